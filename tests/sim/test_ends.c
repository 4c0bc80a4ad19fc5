/* How exchanges end on either side: once, whatever happens. */
#include "servers.h"

#define SERVER "coap://server"

/* Nobody has this address. */
#define NOBODY "192.0.2.1"

/* ---- Who owes an answer ---- */

static void reply_nothing(const copal_event *ev, void *user)
{
    copal_cb cb = recording(user);

    cb.fn(ev, cb.user);
}

static void note_drop(void *user)
{
    struct record *r = user;

    r->drops++;
}

static void a_handler_that_lets_go_without_an_answer_gives_5_00(void **state)
{
    struct world *w = *state;
    struct record *r, *served = next_record(w);

    copal_serve(w->server, 0, "/t", 0,
                COPAL_CB_OWN(reply_nothing, served, note_drop));
    r = get(w, SERVER "/t");
    copal_sim_run(w->sim, 0);
    assert_ended(r, 0);
    assert_int_equal(r->code, COPAL_INTERNAL_ERROR);
    assert_transcript(w, "   0 client > server CON GET 0001 /t\n"
                         "   0 server > client ACK 5.00 0001\n");
}

static void letting_go_later_without_an_answer_gives_5_00(void **state)
{
    struct world *w = *state;
    struct kept *k = serve_kept(w, "/t");
    struct record *r = get(w, SERVER "/t");

    copal_sim_run(w->sim, 1000);
    let_go_kept(k, 0);
    copal_sim_run(w->sim, 0);
    assert_ended(r, 0);
    assert_transcript(w, "   0 client > server CON GET 0001 /t\n"
                         " 250 server > client ACK empty 0001\n"
                         "1000 server > client CON 5.00 0001\n"
                         "1000 client > server ACK empty 0001\n");
}

static void answering_twice_is_refused(void **state)
{
    struct world *w = *state;
    struct kept *k = serve_kept(w, "/t");

    get(w, SERVER "/t");
    copal_sim_run(w->sim, 0);
    copal_exchange_ref(k->x[0]);
    assert_int_equal(copal_reply_text(k->x[0], COPAL_CONTENT, "1"), 0);
    assert_int_equal(copal_reply_text(k->x[0], COPAL_CONTENT, "2"),
                     COPAL_ESTATE);
    copal_exchange_unref(k->x[0]);
    copal_sim_run(w->sim, 1000);
    assert_int_equal(copal_reply_text(k->x[0], COPAL_CONTENT, "3"),
                     COPAL_ESTATE);
    assert_int_equal(count_in_transcript(w, "2.05"), 1);
    let_go_kept(k, 0);
}

static void an_answer_that_is_no_response_is_refused(void **state)
{
    struct world *w = *state;
    struct kept *k = serve_kept(w, "/t");
    struct record *r = get(w, SERVER "/t");

    copal_sim_run(w->sim, 0);
    assert_int_equal(copal_reply_text(k->x[0], COPAL_GET, "1"), COPAL_EINVAL);
    assert_int_equal(copal_reply_text(k->x[0], 256, "1"), COPAL_EINVAL);
    assert_int_equal(copal_reply(k->x[0], COPAL_CONTENT, -2, (copal_bytes){0}),
                     COPAL_EINVAL);
    assert_int_equal(
        copal_reply(k->x[0], COPAL_CONTENT, 65536, (copal_bytes){0}),
        COPAL_EINVAL);
    assert_int_equal(reply_kept(k, 0, COPAL_CONTENT, "2"), 0);
    copal_sim_run(w->sim, 0);
    assert_ended(r, 0);
    assert_string_equal(r->payload, "2");
}

/* ---- Ends ---- */

struct freeing {
    struct record *record;
    copal **victim;
};

static void free_in_callback(const copal_event *ev, void *user)
{
    struct freeing *f = user;
    copal_cb cb = recording(f->record);

    cb.fn(ev, cb.user);
    copal_free(*f->victim);
    *f->victim = NULL;
}

static void free_once(const copal_event *ev, void *user)
{
    struct freeing *f = user;
    copal_cb cb = recording(f->record);

    cb.fn(ev, cb.user);
    if (*f->victim != NULL)
        copal_free(*f->victim);
    *f->victim = NULL;
}

static void the_endpoint_may_be_freed_when_the_response_comes(void **state)
{
    struct world *w = *state;
    struct freeing f = {next_record(w), &w->client};
    struct record *other;

    f.record->drops = 1; /* nothing to drop */
    serve_text(w, w->server, "/t", 0, "x");
    copal_get(w->client, SERVER "/t", COPAL_CB(free_once, &f));
    other = get(w, "coap://" NOBODY "/t");
    f.record->drops = 0;
    copal_sim_run(w->sim, 1000);
    f.record->drops = 1;
    assert_int_equal(f.record->responses, 1);
    assert_int_equal(f.record->ends, 1);
    assert_ended(other, COPAL_ECLOSED);
}

static void the_endpoint_may_be_freed_at_the_end(void **state)
{
    struct world *w = *state;
    struct freeing f = {next_record(w), &w->client};

    copal_tune(w->client, NULL, COPAL_P_TIMEOUT, 10);
    copal_get(w->client, "coap://" NOBODY "/t", COPAL_CB(free_in_callback, &f));
    copal_sim_run(w->sim, 1000);
    assert_int_equal(f.record->events, 1);
    assert_int_equal(f.record->status, COPAL_ETIMEOUT);
    f.record->drops = 1;
}

static void a_server_may_be_freed_by_its_handler(void **state)
{
    struct world *w = *state;
    struct freeing f = {next_record(w), &w->server};
    struct record *r;

    copal_serve(w->server, 0, "/t", 0, COPAL_CB(free_once, &f));
    r = get(w, SERVER "/t");
    copal_sim_run(w->sim, 100000);
    f.record->drops = 1;
    assert_int_equal(f.record->requests, 1);
    assert_ended(r, 0); /* it let go of the exchange before */
    assert_int_equal(r->code, COPAL_INTERNAL_ERROR);
}

static void cancel_in_callback(const copal_event *ev, void *user)
{
    struct record *r = user;
    copal_cb cb = recording(r);

    cb.fn(ev, cb.user);
    if (ev->kind != COPAL_END)
        copal_cancel(ev->exchange);
    else
        assert_int_equal(copal_cancel(ev->exchange), COPAL_ESTATE);
}

static void an_exchange_may_be_cancelled_by_its_callback(void **state)
{
    struct world *w = *state;
    struct record *r = next_record(w);

    serve_text(w, w->server, "/t", COPAL_OBSERVABLE, "x");
    r->is_asked = r->is_begun = true;
    copal_observe(w->client, SERVER "/t",
                  COPAL_CB_OWN(cancel_in_callback, r, note_drop));
    copal_sim_run(w->sim, 10000);
    assert_ended(r, COPAL_ECANCEL);
    assert_int_equal(r->responses, 1);
    assert_int_equal(r->events, 2);
}

/* The first block of a stream is two events, which wait together. */
static void what_waits_of_a_cancelled_exchange_is_not_told(void **state)
{
    struct world *w = *state;
    struct record *r = next_record(w);
    copal_msg *m = copal_msg_new(w->client, COPAL_GET);
    char body[3001];

    memset(body, 'x', sizeof(body));
    body[sizeof(body) - 1] = '\0';
    serve_text(w, w->server, "/t", 0, body);
    assert_int_equal(copal_msg_set_uri(m, SERVER "/t"), 0);
    assert_int_equal(copal_msg_set_flags(m, COPAL_STREAM_IN), 0);
    r->is_asked = r->is_begun = true;
    copal_request(w->client, m, COPAL_CB_OWN(cancel_in_callback, r, note_drop));
    copal_msg_unref(m);
    copal_sim_run(w->sim, 10000);
    assert_ended(r, COPAL_ECANCEL);
    assert_int_equal(r->responses, 1);
    assert_int_equal(r->events, 2); /* no CHUNK */
}

static void a_handle_kept_beyond_its_end_is_a_husk(void **state)
{
    struct world *w = *state;
    struct record *r = get(w, "coap://" NOBODY "/t");
    copal_exchange *x = copal_exchange_ref(r->exchange);

    copal_free(w->client);
    w->client = NULL;
    assert_ended(r, COPAL_ECLOSED);
    assert_int_equal(copal_cancel(x), COPAL_ESTATE);
    assert_int_equal(copal_pause(x), COPAL_ESTATE);
    assert_int_equal(copal_resume(x), COPAL_ESTATE);
    assert_null(copal_exchange_endpoint(x));
    assert_string_equal(copal_msg_uri(copal_exchange_request(x)),
                        "coap://" NOBODY "/t");
    copal_exchange_unref(x);
}

static void a_request_kept_beyond_its_server_is_a_husk(void **state)
{
    struct world *w = *state;
    struct kept *k = serve_kept(w, "/t");
    copal_exchange *x;

    get(w, SERVER "/t");
    copal_sim_run(w->sim, 0);
    x = copal_exchange_ref(k->x[0]);
    copal_free(w->server);
    w->server = NULL;
    assert_int_equal(copal_reply_text(x, COPAL_CONTENT, "late"), COPAL_ESTATE);
    assert_string_equal(copal_msg_path(copal_exchange_request(x)), "/t");
    copal_exchange_unref(x);
}

static void a_free_ends_what_is_pending_everywhere(void **state)
{
    struct world *w = *state;
    struct kept *k = serve_kept(w, "/kept");
    struct record *served = k->record, *open, *queued, *unresolved, *pinged;

    serve_after(w, "/late", 1000, "x");
    open = get(w, SERVER "/kept");
    queued = get(w, SERVER "/late");
    unresolved = get(w, "coap://nowhere/");
    pinged = next_record(w);
    copal_ping(w->client, "coap://" NOBODY, recording(pinged));
    copal_sim_run(w->sim, 0);
    assert_ended(unresolved, COPAL_ERESOLVE);
    copal_sim_run(w->sim, 500);
    copal_free(w->client);
    w->client = NULL;
    assert_ended(open, COPAL_ECLOSED);
    assert_ended(queued, COPAL_ECLOSED);
    assert_ended(pinged, COPAL_ECLOSED);
    assert_string_equal(open->text, "the endpoint was closed");
    copal_free(w->server);
    w->server = NULL;
    assert_int_equal(served->ends, 1); /* it still owed its answer */
    assert_int_equal(served->status, COPAL_ECLOSED);
}

static void who_has_answered_hears_no_end(void **state)
{
    struct world *w = *state;
    struct kept *k = serve_kept(w, "/t");
    struct record *served = k->record;

    get(w, SERVER "/t");
    copal_sim_run(w->sim, 1000);
    copal_sim_lose(w->sim, "server", 100);
    reply_kept(k, 0, COPAL_CONTENT, "x");
    copal_sim_run(w->sim, 1000);
    copal_free(w->server);
    w->server = NULL;
    assert_int_equal(served->events, 1);
}

static void begin_another(const copal_event *ev, void *user)
{
    struct world *w = user;
    struct record *r = next_record(w);

    if (ev->kind != COPAL_END)
        return;
    r->exchange = copal_get(w->client, "coap://" NOBODY "/again", recording(r));
    r->is_asked = true;
    r->is_begun = r->exchange != NULL;
}

static void an_end_begins_nothing_while_the_endpoint_closes(void **state)
{
    struct world *w = *state;

    copal_get(w->client, "coap://" NOBODY "/t", COPAL_CB(begin_another, w));
    copal_sim_run(w->sim, 0);
    copal_free(w->client);
    w->client = NULL;
    assert_false(w->records[w->record_count - 1].is_begun);
}

static void begin_in_drop(void *user)
{
    struct world *w = user;
    struct record *r = next_record(w);

    r->exchange = copal_get(w->client, "coap://" NOBODY "/drop", recording(r));
    r->is_asked = true;
    r->is_begun = r->exchange != NULL;
    copal_after(w->client, 0, recording(next_record(w)));
}

static void a_drop_begins_nothing_while_the_endpoint_closes(void **state)
{
    struct world *w = *state;

    copal_after(w->client, 1000, COPAL_CB_OWN(NULL, w, begin_in_drop));
    copal_serve(w->client, 0, "/t", 0, COPAL_CB_OWN(NULL, w, begin_in_drop));
    copal_free(w->client);
    w->client = NULL;
}

static void an_exchange_traced_to_its_end_leaves_nothing(void **state)
{
    struct world *w = *state;

    serve_after(w, "/late", 1000, "x");
    tap(w->client);
    copal_trace(w->server, 7, COPAL_CB(NULL, NULL));
    tap(w->server);
    get(w, SERVER "/late");
    observe(w, "coap://" NOBODY "/t");
    copal_sim_run(w->sim, 500);
}

/* ---- An orderly end ---- */

static void close_sends_the_answers_owed_and_takes_no_more(void **state)
{
    struct world *w = *state;
    struct record *owed, *late;
    copal_stats stats = {.size = sizeof(stats)};

    serve_after(w, "/t", 1000, "x");
    owed = get(w, SERVER "/t");
    copal_sim_run(w->sim, 500);
    copal_close(w->server, 5000);
    late = get(w, SERVER "/t?2");
    copal_sim_run(w->sim, 6000);
    assert_ended(owed, 0);
    assert_string_equal(owed->payload, "x");
    assert_ended(late, 0);
    assert_int_equal(late->code, COPAL_UNAVAILABLE);
    copal_get_stats(w->server, &stats);
    assert_int_equal(stats.limited, 0);
    assert_transcript(w, "   0 client > server CON GET 0001 /t\n"
                         " 250 server > client ACK empty 0001\n"
                         " 500 client > server CON GET 0002 /t?2\n"
                         " 500 server > client ACK 5.03 0002\n"
                         "1000 server > client CON 2.05 0001 \"x\"\n"
                         "1000 client > server ACK empty 0001\n");
}

static void what_is_still_owed_at_the_end_is_answered_by_5_03(void **state)
{
    struct world *w = *state;
    struct record *owed;

    serve_after(w, "/t", 60000, "x");
    owed = get(w, SERVER "/t");
    copal_sim_run(w->sim, 100);
    copal_close(w->server, 1000);
    copal_sim_run(w->sim, 1000);
    copal_free(w->server);
    w->server = NULL;
    copal_sim_run(w->sim, 1000);
    assert_ended(owed, 0);
    assert_int_equal(owed->code, COPAL_UNAVAILABLE);
}

static void close_deregisters_what_is_observed(void **state)
{
    struct world *w = *state;
    struct record *r;
    copal_stats stats = {.size = sizeof(stats)};

    serve_text(w, w->server, "/t", COPAL_OBSERVABLE, "x");
    r = observe(w, SERVER "/t");
    copal_sim_run(w->sim, 100);
    copal_get_stats(w->server, &stats);
    assert_int_equal(stats.observers, 1);
    copal_close(w->client, 1000);
    copal_sim_run(w->sim, 1000);
    assert_ended(r, COPAL_ECANCEL);
    copal_get_stats(w->server, &stats);
    assert_int_equal(stats.observers, 0);
    assert_int_equal(count_in_transcript(w, "CON GET 0002 /t obs=1"), 1);
}

static void close_tells_observers_that_it_is_over(void **state)
{
    struct world *w = *state;
    struct record *r;
    copal_stats stats = {.size = sizeof(stats)};

    serve_text(w, w->server, "/t", COPAL_OBSERVABLE, "x");
    r = observe(w, SERVER "/t");
    copal_sim_run(w->sim, 100);
    assert_int_equal(r->ends, 0);
    copal_close(w->server, 1000);
    copal_sim_run(w->sim, 100);
    assert_ended(r, 0);
    assert_int_equal(r->code, COPAL_UNAVAILABLE);
    copal_get_stats(w->server, &stats);
    assert_int_equal(stats.observers, 0);
}

static void requests_may_finish_while_the_endpoint_closes(void **state)
{
    struct world *w = *state;
    struct record *r;

    serve_after(w, "/t", 1000, "x");
    r = get(w, SERVER "/t");
    copal_sim_run(w->sim, 500);
    copal_close(w->client, 5000);
    copal_sim_run(w->sim, 1000);
    assert_ended(r, 0);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, build, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_handler_that_lets_go_without_an_answer_gives_5_00),
        TEST(letting_go_later_without_an_answer_gives_5_00),
        TEST(answering_twice_is_refused),
        TEST(an_answer_that_is_no_response_is_refused),
        TEST(the_endpoint_may_be_freed_when_the_response_comes),
        TEST(the_endpoint_may_be_freed_at_the_end),
        TEST(a_server_may_be_freed_by_its_handler),
        TEST(an_exchange_may_be_cancelled_by_its_callback),
        TEST(what_waits_of_a_cancelled_exchange_is_not_told),
        TEST(a_handle_kept_beyond_its_end_is_a_husk),
        TEST(a_request_kept_beyond_its_server_is_a_husk),
        TEST(a_free_ends_what_is_pending_everywhere),
        TEST(who_has_answered_hears_no_end),
        TEST(an_end_begins_nothing_while_the_endpoint_closes),
        TEST(a_drop_begins_nothing_while_the_endpoint_closes),
        TEST(an_exchange_traced_to_its_end_leaves_nothing),
        TEST(close_sends_the_answers_owed_and_takes_no_more),
        TEST(what_is_still_owed_at_the_end_is_answered_by_5_03),
        TEST(close_deregisters_what_is_observed),
        TEST(close_tells_observers_that_it_is_over),
        TEST(requests_may_finish_while_the_endpoint_closes),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
