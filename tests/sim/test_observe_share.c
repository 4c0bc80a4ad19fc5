/* Several users of one observation: RFC 7641 3.1, and "register-once" of the
 * vectors. */
#include "bodies.h"
#include "endpoint.h"
#include "engine/driver.h"

#define URI "coap://server/t"

static copal_stats stats_of(const copal *c)
{
    copal_stats s = {.size = sizeof(s)};

    copal_get_stats(c, &s);
    return s;
}

static struct party *serve_state(struct world *w, size_t size)
{
    struct party *s = serve_body(w, 0, "/t", COPAL_OBSERVABLE, size);

    s->flags = COPAL_NON;
    return s;
}

static void change(struct world *w, struct party *s)
{
    s->version++;
    copal_notify(w->server, "/t");
}

/* So that notifications do not wait for one another. */
static void change_and_rest(struct world *w, struct party *s)
{
    change(w, s);
    run(w, 4000);
}

static copal_msg *observing(struct world *w, int code, const char *uri,
                            size_t size)
{
    copal_msg *m = request_of(w, code, uri, size);

    copal_msg_add_uint(m, COPAL_OPT_OBSERVE, 0);
    return m;
}

/* ---- One registration ---- */

static void one_registration_serves_both(void **state)
{
    struct world *w = *state;
    struct party *s = serve_state(w, 20), *a, *b;

    a = observe_body(w, URI);
    b = observe_body(w, URI);
    run(w, 10);
    change_and_rest(w, s);
    assert_log(a, "2.05 20 bytes\n2.05 20 bytes\n");
    assert_log(b, "2.05 20 bytes\n2.05 20 bytes\n");
    assert_body(a, 20, 2);
    assert_body(b, 20, 2);
    assert_ptr_equal(a->msg, b->msg);
    assert_int_equal(observers(w), 1);
    assert_transcript(w, "   0 client > server CON GET 0001 /t obs=0\n"
                         "   0 server > client ACK 2.05 0001 obs (20 bytes)\n"
                         "  10 server > client NON 2.05 0001 obs (20 bytes)\n");
}

static void who_comes_later_asks_for_its_first_value(void **state)
{
    struct world *w = *state;
    struct party *s = serve_state(w, 20), *a, *b;

    a = observe_body(w, URI);
    run(w, 10);
    b = observe_body(w, URI);
    run(w, 10);
    assert_log(b, "2.05 20 bytes\n");
    change_and_rest(w, s);
    assert_log(a, "2.05 20 bytes\n2.05 20 bytes\n");
    assert_log(b, "2.05 20 bytes\n2.05 20 bytes\n");
    assert_body(b, 20, 2);
    assert_int_equal(observers(w), 1);
    assert_transcript(w, "   0 client > server CON GET 0001 /t obs=0\n"
                         "   0 server > client ACK 2.05 0001 obs (20 bytes)\n"
                         "  10 client > server CON GET 0002 /t\n"
                         "  10 server > client ACK 2.05 0002 (20 bytes)\n"
                         "  20 server > client NON 2.05 0001 obs (20 bytes)\n");
}

static void long_values_reach_both(void **state)
{
    struct world *w = *state;
    struct party *s = serve_state(w, 3000), *a, *b;

    a = observe_body(w, URI);
    run(w, 10);
    b = observe_body(w, URI);
    run(w, 10);
    assert_body(b, 3000, 1);
    assert_int_equal(count_in_transcript(w, "GET"), 6);
    change_and_rest(w, s);
    assert_body(a, 3000, 2);
    assert_body(b, 3000, 2);
    assert_int_equal(count_in_transcript(w, "GET"), 8);
}

static void a_fetch_is_shared_by_its_payload(void **state)
{
    struct world *w = *state;
    struct party *s = serve_state(w, 20), *p[4];

    tune(w->client, COPAL_P_NSTART, 4);
    for (size_t i = 0; i < 4; i++) {
        p[i] = send_request(w, observing(w, COPAL_FETCH, URI, 5 + i % 2));
        run(w, 10);
    }
    assert_int_equal(observers(w), 2);
    change_and_rest(w, s);
    run(w, 4000);
    for (size_t i = 0; i < 4; i++) {
        assert_body(p[i], 20, 2);
        assert_log(p[i], "2.05 20 bytes\n2.05 20 bytes\n");
    }
}

static void a_fetch_of_several_blocks_is_shared(void **state)
{
    struct world *w = *state;
    struct party *s = serve_state(w, 20), *p[2];

    for (size_t i = 0; i < 2; i++) {
        p[i] = send_request(w, observing(w, COPAL_FETCH, URI, 1500));
        run(w, 10);
    }
    assert_int_equal(observers(w), 1);
    assert_int_equal(s->len, 1500);
    change_and_rest(w, s);
    for (size_t i = 0; i < 2; i++)
        assert_log(p[i], "2.05 20 bytes\n2.05 20 bytes\n");
}

/* It is the same target, however it is written. */
static void another_spelling_is_the_same_target(void **state)
{
    struct world *w = *state;

    serve_state(w, 20);
    observe_body(w, URI);
    observe_body(w, "coap://server:5683/%74");
    run(w, 10);
    assert_int_equal(observers(w), 1);
}

static void what_makes_another_request_is_not_shared(void **state)
{
    struct world *w = *state;
    copal_msg *m[9];
    struct party *s = serve_state(w, 20), *p[9];

    s->format = COPAL_TEXT;
    tune(w->client, COPAL_P_NSTART, 16);
    for (size_t i = 0; i < 9; i++)
        m[i] = observing(w, COPAL_GET, i == 1 ? URI "?unit=F" : URI, 0);
    copal_msg_set_flags(m[2], COPAL_NON);
    copal_msg_set_flags(m[3], COPAL_STREAM_IN);
    copal_msg_set_flags(m[4], COPAL_RAW_BLOCKS);
    copal_msg_add_text(m[5], COPAL_OPT_ETAG, "a");
    copal_msg_add_uint(m[6], COPAL_OPT_ACCEPT, COPAL_TEXT);
    copal_msg_tune(m[7], COPAL_P_BLOCK_SIZE, 64);
    copal_msg_set_flags(m[8], COPAL_WATCH);
    for (size_t i = 0; i < 9; i++)
        p[i] = send_request(w, m[i]);
    run(w, 10);
    assert_int_equal(observers(w), 9);
    change_and_rest(w, s);
    run(w, 50000);
    for (size_t i = 0; i < 9; i++) {
        assert_body(p[i], 20, 2);
        assert_int_equal(p[i]->ends, 0);
    }
}

static void streams_raw_blocks_and_watches_are_not_shared_at_all(void **state)
{
    static const unsigned flags[] = {COPAL_STREAM_IN, COPAL_RAW_BLOCKS,
                                     COPAL_WATCH};
    struct world *w = *state;

    serve_state(w, 20);
    for (size_t i = 0; i < 6; i++) {
        copal_msg *m = observing(w, COPAL_GET, URI, 0);

        copal_msg_set_flags(m, flags[i / 2]);
        send_request(w, m);
    }
    run(w, 10);
    assert_int_equal(observers(w), 6);
}

static void from_another_address_it_is_registered_apart(void **state)
{
    struct world *w = *state;
    copal_msg *m = observing(w, COPAL_GET, URI, 0);

    serve_state(w, 20);
    observe_body(w, URI);
    run(w, 10);
    assert_int_equal(copal_msg_set_from(m, "coap://192.0.2.7:7777"), 0);
    send_request(w, m);
    run(w, 10);
    assert_int_equal(observers(w), 2);
}

/* ---- The first value ---- */

static void a_notification_takes_the_place_of_the_first_value(void **state)
{
    struct world *w = *state;
    struct party *s = serve_state(w, 20), *b;

    observe_body(w, URI);
    run(w, 10);
    copal_sim_lose(w->sim, "client", 1);
    b = observe_body(w, URI);
    run(w, 10);
    change(w, s);
    run(w, 300000);
    assert_log(b, "2.05 20 bytes\n");
    assert_body(b, 20, 2);
    assert_int_equal(count_in_transcript(w, "GET 0002"), 1);
}

static void an_older_first_value_is_not_told_any_more(void **state)
{
    struct world *w = *state;
    struct tap *t = tap_client(w), first;
    struct party *b;

    copal_free(w->server);
    observe_body(w, URI);
    run(w, 0);
    first = *t;
    play(w, &first, "ACK 2.05 obs=5", 0, body_of(5, 1));
    b = observe_body(w, URI);
    run(w, 0);
    assert_int_not_equal(t->mid, first.mid);
    play(w, &first, "NON 2.05 obs=6", 77, body_of(6, 2));
    play(w, t, "ACK 2.05", 0, body_of(5, 1));
    assert_log(b, "2.05 6 bytes\n");
    assert_body(b, 6, 2);
}

static void a_first_value_is_told_once(void **state)
{
    struct world *w = *state;
    struct tap *t = tap_client(w);
    struct party *b;

    copal_free(w->server);
    observe_body(w, URI);
    run(w, 0);
    play(w, t, "ACK 2.05 obs=5", 0, body_of(5, 1));
    b = observe_body(w, URI);
    run(w, 0);
    play(w, t, "NON 2.05", 80, body_of(6, 1));
    play(w, t, "NON 2.05", 81, body_of(7, 1));
    assert_log(b, "2.05 6 bytes\n");
}

static void many_that_wait_do_not_all_ask(void **state)
{
    struct world *w = *state;
    struct party *s = serve_state(w, 20), *p[10];

    observe_body(w, URI);
    run(w, 10);
    copal_sim_set_path(w->sim, NULL, NULL, (copal_sim_path){.delay = 100});
    for (size_t i = 0; i < 10; i++)
        p[i] = observe_body(w, URI);
    run(w, 150);
    change(w, s);
    run(w, 300000);
    for (size_t i = 0; i < 10; i++)
        assert_body(p[i], 20, 2);
    /* The registration, one that was answered, and one that was under way. */
    assert_int_equal(count_in_transcript(w, "GET"), 3);
}

static void a_refused_first_value_ends_one_user_only(void **state)
{
    struct world *w = *state;
    struct party *s = serve_state(w, 20), *a, *b;

    a = observe_body(w, URI);
    run(w, 10);
    s->answer = COPAL_FORBIDDEN;
    b = observe_body(w, URI);
    run(w, 10);
    assert_log(b, "4.03 20 bytes\nend OK\n");
    assert_log(a, "2.05 20 bytes\n");
}

static void a_timeout_is_for_the_first_value_of_each(void **state)
{
    struct world *w = *state;
    struct party *s = serve_state(w, 20), *a, *b;

    tune(w->client, COPAL_P_TIMEOUT, 5000);
    a = observe_body(w, URI);
    run(w, 10);
    copal_sim_lose(w->sim, "client", 100);
    b = observe_body(w, URI);
    run(w, 5100);
    assert_int_equal(b->status, COPAL_ETIMEOUT);
    copal_sim_lose(w->sim, "client", 0);
    b = observe_body(w, URI);
    run(w, 100000);
    change_and_rest(w, s);
    assert_log(a, "2.05 20 bytes\n2.05 20 bytes\n");
    assert_log(b, "2.05 20 bytes\n2.05 20 bytes\n");
}

static void a_timeout_is_for_each_registration(void **state)
{
    struct world *w = *state;
    struct party *a, *b;

    serve_state(w, 20);
    tune(w->client, COPAL_P_TIMEOUT, 5000);
    a = observe_body(w, URI);
    b = observe_body(w, URI);
    run(w, 20000);
    copal_sim_lose(w->sim, "client", 100);
    copal_cancel(a->x);
    run(w, 4900);
    assert_int_equal(b->ends, 0);
    run(w, 200);
    assert_log(b, "2.05 20 bytes\nend ETIMEOUT\n");
}

/* ---- Pausing ---- */

static void each_pauses_by_itself(void **state)
{
    struct world *w = *state;
    struct party *s = serve_state(w, 20), *p[2];

    for (size_t i = 0; i < 2; i++) {
        p[i] = observe_body(w, URI);
        run(w, 10);
    }
    for (size_t i = 0; i < 2; i++) {
        int before = p[i]->responses, others = p[1 - i]->responses;

        copal_pause(p[i]->x);
        for (int k = 0; k < 3; k++)
            change_and_rest(w, s);
        assert_int_equal(p[i]->responses, before);
        assert_int_equal(p[1 - i]->responses, others + 3);
        copal_resume(p[i]->x);
        run(w, 10);
        assert_int_equal(p[i]->responses, before + 1);
        assert_int_equal(p[1 - i]->responses, others + 3);
        assert_body(p[i], 20, s->version);
    }
}

static void who_takes_over_while_paused_goes_on(void **state)
{
    struct world *w = *state;
    struct party *s = serve_state(w, 20), *a, *b;

    a = observe_body(w, URI);
    b = observe_body(w, URI);
    run(w, 10);
    copal_pause(b->x);
    change_and_rest(w, s);
    copal_sim_lose(w->sim, "client", 2);
    copal_cancel(a->x);
    run(w, 10);
    copal_resume(b->x); /* before its registration was answered */
    run(w, 10000);
    assert_int_equal(b->ends, 0);
    assert_log(b, "2.05 20 bytes\n2.05 20 bytes\n2.05 20 bytes\n");
    change_and_rest(w, s);
    assert_body(b, 20, 3);
}

/* ---- Who leaves ---- */

static void who_leaves_without_a_registration_says_nothing(void **state)
{
    struct world *w = *state;
    struct party *s = serve_state(w, 20), *a, *b;

    a = observe_body(w, URI);
    b = observe_body(w, URI);
    run(w, 10);
    copal_cancel(b->x);
    change_and_rest(w, s);
    assert_log(a, "2.05 20 bytes\n2.05 20 bytes\n");
    assert_log(b, "2.05 20 bytes\nend ECANCEL\n");
    assert_int_equal(observers(w), 1);
    assert_int_equal(count_in_transcript(w, "GET"), 1);
}

static void who_leaves_stops_asking_for_its_first_value(void **state)
{
    struct world *w = *state;
    struct party *b;

    serve_state(w, 20);
    observe_body(w, URI);
    run(w, 10);
    copal_sim_lose(w->sim, "client", 1);
    b = observe_body(w, URI);
    run(w, 10);
    copal_cancel(b->x);
    run(w, 300000);
    assert_log(b, "end ECANCEL\n");
    assert_int_equal(count_in_transcript(w, "GET"), 2);
}

static void when_the_registered_one_leaves_the_next_registers(void **state)
{
    struct world *w = *state;
    struct party *s = serve_state(w, 20), *p[3];

    for (int i = 0; i < 3; i++)
        p[i] = observe_body(w, URI);
    run(w, 10);
    copal_cancel(p[0]->x);
    run(w, 10);
    assert_int_equal(observers(w), 1);
    change_and_rest(w, s);
    assert_log(p[0], "2.05 20 bytes\nend ECANCEL\n");
    for (int i = 1; i < 3; i++) {
        assert_log(p[i], "2.05 20 bytes\n2.05 20 bytes\n2.05 20 bytes\n");
        assert_body(p[i], 20, 2);
    }
    assert_transcript(w, "   0 client > server CON GET 0001 /t obs=0\n"
                         "   0 server > client ACK 2.05 0001 obs (20 bytes)\n"
                         "  10 client > server CON GET 0002 /t obs=1\n"
                         "  10 server > client ACK 2.05 0002 (20 bytes)\n"
                         "  10 client > server CON GET 0003 /t obs=0\n"
                         "  10 server > client ACK 2.05 0003 obs (20 bytes)\n"
                         "  20 server > client NON 2.05 0001 obs (20 bytes)\n");
    copal_cancel(p[1]->x);
    copal_cancel(p[2]->x);
    run(w, 10);
    assert_int_equal(observers(w), 0);
}

/* Who took over and leaves before its own registration is answered: the server
 * is known to be there, so it hears of that, too. */
static void who_takes_over_and_leaves_unanswered_says_farewell(void **state)
{
    struct world *w = *state;
    struct party *a, *b;

    serve_state(w, 20);
    copal_sim_set_path(w->sim, NULL, NULL, (copal_sim_path){.delay = 10});
    tune(w->client, COPAL_P_NSTART, 4);
    a = observe_body(w, URI);
    b = observe_body(w, URI);
    run(w, 100);
    copal_cancel(a->x);
    run(w, 15); /* b's registration is there, and not its answer */
    copal_cancel(b->x);
    run(w, 1000);
    assert_log(b, "2.05 20 bytes\nend ECANCEL\n");
    assert_int_equal(observers(w), 0);
}

/* It waits behind the farewell of the one before, so nobody knows of it. */
static void who_takes_over_and_leaves_unsent_says_nothing(void **state)
{
    struct world *w = *state;
    struct party *a, *b;

    serve_state(w, 20);
    copal_sim_set_path(w->sim, NULL, NULL, (copal_sim_path){.delay = 10});
    a = observe_body(w, URI);
    b = observe_body(w, URI);
    run(w, 100);
    copal_cancel(a->x);
    copal_cancel(b->x);
    run(w, 1000);
    assert_int_equal(observers(w), 0);
    assert_int_equal(count_in_transcript(w, "GET"), 2);
}

static void who_leaves_unanswered_leaves_the_asking_to_the_next(void **state)
{
    struct world *w = *state;
    struct party *s = serve_state(w, 20), *p[3];

    copal_sim_lose(w->sim, "client", 1);
    for (int i = 0; i < 3; i++)
        p[i] = observe_body(w, URI);
    run(w, 10);
    copal_cancel(p[0]->x);
    run(w, 1000);
    change_and_rest(w, s);
    assert_log(p[0], "end ECANCEL\n");
    assert_log(p[1], "2.05 20 bytes\n2.05 20 bytes\n");
    assert_log(p[2], "2.05 20 bytes\n2.05 20 bytes\n");
    assert_int_equal(observers(w), 1);
    assert_int_equal(count_in_transcript(w, "GET"), 2);
}

static void who_takes_over_amid_its_first_value_registers_instead(void **state)
{
    struct world *w = *state;
    struct party *s = serve_state(w, 3000), *a, *b;

    copal_sim_set_path(w->sim, NULL, NULL, (copal_sim_path){.delay = 10});
    a = observe_body(w, URI);
    run(w, 1000);
    b = observe_body(w, URI);
    run(w, 30); /* some of its blocks are there */
    copal_cancel(a->x);
    run(w, 1000);
    assert_log(b, "2.05 3000 bytes\n");
    change_and_rest(w, s);
    assert_log(b, "2.05 3000 bytes\n2.05 3000 bytes\n");
    assert_body(b, 3000, 2);
    assert_int_equal(observers(w), 1);
}

static void a_new_user_follows_who_took_over(void **state)
{
    struct world *w = *state;
    struct party *s = serve_state(w, 20), *a, *b, *c;

    a = observe_body(w, URI);
    b = observe_body(w, URI);
    run(w, 10);
    copal_cancel(a->x);
    c = observe_body(w, URI);
    run(w, 10);
    change_and_rest(w, s);
    assert_body(b, 20, 2);
    assert_log(c, "2.05 20 bytes\n2.05 20 bytes\n");
    assert_body(c, 20, 2);
    assert_int_equal(observers(w), 1);
}

/* ---- The end of the registration ---- */

static void assert_same_end(struct world *w, int status)
{
    assert_ended(&w->records[0], status);
    assert_ended(&w->records[1], status);
    assert_string_equal(w->records[0].text, w->records[1].text);
}

static void an_unreachable_server_ends_all(void **state)
{
    struct world *w = *state;

    copal_free(w->server);
    w->server = NULL;
    observe(w, URI);
    observe(w, URI);
    run(w, 300000);
    assert_same_end(w, COPAL_ETIMEOUT);
    assert_non_null(strstr(w->records[0].text, "5 transmissions"));
    assert_int_equal(count_in_transcript(w, "GET"), 5);
}

static void what_cannot_be_observed_ends_all(void **state)
{
    struct world *w = *state;
    struct party *a, *b;

    serve_body(w, 0, "/t", 0, 20);
    observe(w, URI);
    observe(w, URI);
    run(w, 10);
    assert_same_end(w, COPAL_ENOTOBS);
    a = observe_body(w, URI);
    b = observe_body(w, URI);
    run(w, 10);
    assert_log(a, "2.05 20 bytes\nend ENOTOBS\n");
    assert_log(b, "2.05 20 bytes\nend ENOTOBS\n");
    assert_int_equal(count_in_transcript(w, "GET"), 2);
}

static void a_refused_registration_ends_all(void **state)
{
    struct world *w = *state;
    struct party *a = observe_body(w, URI), *b = observe_body(w, URI);

    run(w, 10);
    assert_log(a, "4.04 0 bytes\nend OK\n");
    assert_log(b, "4.04 0 bytes\nend OK\n");
    assert_int_equal(count_in_transcript(w, "GET"), 1);
}

static void an_error_notification_ends_all(void **state)
{
    struct world *w = *state;
    struct party *a, *b;

    serve_state(w, 20);
    a = observe_body(w, URI);
    b = observe_body(w, URI);
    run(w, 10);
    copal_pause(b->x);
    copal_unserve(w->server, "/t");
    run(w, 10);
    assert_log(a, "2.05 20 bytes\n4.04 0 bytes\nend OK\n");
    assert_log(b, "2.05 20 bytes\n4.04 0 bytes\nend OK\n");
    assert_int_equal(observers(w), 0);
}

static void a_reset_ends_all(void **state)
{
    struct world *w = *state;
    struct tap *t = tap_client(w);
    uint8_t rst[4] = {0x70, 0};

    copal_free(w->server);
    w->server = NULL;
    observe(w, URI);
    observe(w, URI);
    run(w, 0);
    rst[2] = (uint8_t)(t->mid >> 8);
    rst[3] = (uint8_t)t->mid;
    copal_sim_inject(w->sim, "server", "client",
                     (copal_bytes){rst, sizeof(rst)});
    run(w, 10);
    assert_same_end(w, COPAL_ERESET);
}

static void who_takes_over_and_is_refused_ends_the_others(void **state)
{
    struct world *w = *state;
    struct party *s = serve_state(w, 20), *p[3];

    for (int i = 0; i < 3; i++)
        p[i] = observe_body(w, URI);
    run(w, 10);
    s->answer = COPAL_FORBIDDEN;
    copal_cancel(p[0]->x);
    run(w, 10);
    assert_log(p[1], "2.05 20 bytes\n4.03 20 bytes\nend OK\n");
    assert_log(p[2], "2.05 20 bytes\n4.03 20 bytes\nend OK\n");
    s->answer = 0;
    p[0] = observe_body(w, URI);
    run(w, 10);
    assert_log(p[0], "2.05 20 bytes\n");
    assert_int_equal(observers(w), 1);
}

static void closing_deregisters_once(void **state)
{
    struct world *w = *state;
    struct party *p[3];

    serve_state(w, 20);
    tune(w->client, COPAL_P_NSTART, 8);
    for (int i = 0; i < 3; i++)
        p[i] = observe_body(w, URI);
    run(w, 10);
    copal_close(w->client, 1000);
    run(w, 10);
    for (int i = 0; i < 3; i++)
        assert_log(p[i], "2.05 20 bytes\nend ECANCEL\n");
    assert_int_equal(observers(w), 0);
    assert_int_equal(count_in_transcript(w, "GET"), 2);
}

static void freeing_ends_each_once(void **state)
{
    struct world *w = *state;
    struct party *p[3];

    serve_state(w, 20);
    for (int i = 0; i < 3; i++) {
        p[i] = observe_body(w, URI);
        run(w, i < 2 ? 10 : 0);
    }
    copal_free(w->client);
    w->client = NULL;
    for (int i = 0; i < 3; i++) {
        assert_int_equal(p[i]->ends, 1);
        assert_int_equal(p[i]->status, COPAL_ECLOSED);
    }
    run(w, 10);
    assert_int_equal(count_in_transcript(w, "GET"), 3);
}

/* ---- Callbacks that do things ---- */

/* What some users of one observation do at their n-th RESPONSE. */
struct deed {
    copal_exchange *x[4];
    copal *client;
    int responses, ends, at;
    int cancels; /* one more than which; 0: none */
    bool frees, asks;
};

static void act(const copal_event *ev, void *user)
{
    struct deed *d = user;

    d->ends += ev->kind == COPAL_END;
    d->responses += ev->kind == COPAL_RESPONSE;
    if (ev->kind != COPAL_RESPONSE || d->responses != d->at)
        return;
    if (d->cancels > 0)
        assert_int_equal(copal_cancel(d->x[d->cancels - 1]), 0);
    if (d->asks)
        d->x[3] = copal_observe(d->client, URI, COPAL_CB(act, d));
    if (d->frees)
        copal_free(d->client);
}

static void play_deed(struct deed deed, int ends, uint64_t registered)
{
    void *fixture;
    struct world *w;
    struct party *s;

    assert_int_equal(build_bodies(&fixture), 0);
    w = fixture;
    s = serve_state(w, 20);
    deed.client = w->client;
    for (int i = 0; i < 3; i++)
        deed.x[i] = copal_observe(w->client, URI, COPAL_CB(act, &deed));
    run(w, 10);
    if (deed.at > 3)
        change_and_rest(w, s);
    assert_int_equal(deed.ends, ends);
    if (deed.frees)
        w->client = NULL;
    else
        assert_int_equal(observers(w), registered);
    tear_down_bodies(&fixture);
    assert_int_equal(deed.ends, deed.asks ? 4 : 3);
}

static void callbacks_may_cancel_any_and_free_all(void **state)
{
    (void)state;
    for (int at = 1; at <= 6; at++) {
        for (int which = 1; which <= 3; which++)
            play_deed((struct deed){.at = at, .cancels = which}, 1, 1);
        play_deed((struct deed){.at = at, .frees = true}, 3, 0);
        play_deed((struct deed){.at = at, .frees = true, .cancels = 1}, 3, 0);
        play_deed((struct deed){.at = at, .asks = true}, 0, 1);
        play_deed((struct deed){.at = at, .asks = true, .cancels = 1}, 1, 1);
    }
}

/* ---- Q-Block, groups, memory ---- */

static void by_q_block_it_is_shared_as_well(void **state)
{
    struct world *w = *state;
    struct party *s = serve_state(w, 3000), *p[2];

    tune(w->client, COPAL_P_Q_BLOCK, 1);
    tune(w->server, COPAL_P_Q_BLOCK, 1);
    for (size_t i = 0; i < 2; i++) {
        p[i] = observe_body(w, URI);
        run(w, 10000);
        assert_body(p[i], 3000, 1);
    }
    assert_int_equal(observers(w), 1);
    change(w, s);
    run(w, 20000);
    assert_body(p[0], 3000, 2);
    assert_body(p[1], 3000, 2);
    copal_cancel(p[0]->x);
    run(w, 10000);
    change(w, s);
    run(w, 20000);
    assert_body(p[1], 3000, 3);
    assert_int_equal(observers(w), 1);
}

static void observations_of_a_group_are_not_shared(void **state)
{
    struct world *w = *state;

    for (int i = 0; i < 2; i++) {
        copal_msg *m = observing(w, COPAL_GET, "coap://224.0.1.187/t", 0);

        copal_msg_set_flags(m, COPAL_NON);
        send_request(w, m);
    }
    run(w, 20000);
    assert_int_equal(count_in_transcript(w, "obs=0"), 2);
}

/* ---- Names ---- */

/* A driver for which the first name takes its time, and all lead to a group. */
static struct {
    const struct cp_driver_ops *real;
    struct cp_driver_ops ops;
    struct cp_route *pending;
    bool waits, to_group;
} naming;

static int find_slowly(struct cp_driver *d, struct cp_route *r)
{
    int found = naming.real->route(d, r);

    if (naming.to_group)
        assert_true(cp_address_read("224.0.1.187", &r->ways[0].path.remote));
    r->ways[0].path.remote.port = 5683;
    if (!naming.waits)
        return found;
    naming.waits = false;
    naming.pending = r;
    return 1;
}

static void forget(struct cp_driver *d, struct cp_route *r)
{
    (void)d;
    assert_ptr_equal(r, naming.pending);
    naming.pending = NULL;
}

static void name_slowly(struct world *w, bool to_group)
{
    struct cp_driver *d = w->client->driver;

    naming.real = d->ops;
    naming.ops = *d->ops;
    naming.ops.route = find_slowly;
    naming.ops.unroute = forget;
    naming.waits = true;
    naming.to_group = to_group;
    d->ops = &naming.ops;
}

static void a_name_of_a_group_is_not_shared(void **state)
{
    struct world *w = *state;
    struct party *p[3];

    runs_differ = true; /* it looks names up outside of any turn */
    name_slowly(w, true);
    tune(w->client, COPAL_P_NSTART, 4);
    for (int i = 0; i < 3; i++) {
        copal_msg *m = observing(w, COPAL_GET, URI, 0);

        copal_msg_set_flags(m, COPAL_NON);
        p[i] = send_request(w, m);
    }
    run(w, 10);
    assert_int_equal(count_in_transcript(w, "GET"), 0);
    naming.pending->done(naming.pending, 0, NULL);
    run(w, 10);
    assert_int_equal(count_in_transcript(w, "224.0.1.187 NON GET"), 3);
    assert_int_equal(count_in_transcript(w, "obs=0"), 3);
    copal_cancel(p[0]->x);
    run(w, 20000);
    assert_int_equal(p[1]->status, COPAL_ETIMEOUT);
    assert_int_equal(p[2]->status, COPAL_ETIMEOUT);
    w->client->driver->ops = naming.real;
}

static void who_leaves_before_the_name_is_known_is_replaced(void **state)
{
    struct world *w = *state;
    struct party *a, *b;

    serve_state(w, 20);
    name_slowly(w, false);
    a = observe_body(w, URI);
    b = observe_body(w, URI);
    run(w, 10);
    copal_cancel(a->x);
    assert_null(naming.pending);
    run(w, 10);
    assert_log(a, "end ECANCEL\n");
    assert_log(b, "2.05 20 bytes\n");
    assert_int_equal(observers(w), 1);
    w->client->driver->ops = naming.real;
}

static void who_takes_over_goes_the_way_that_is_known(void **state)
{
    struct world *w = *state;
    struct party *a, *b;

    serve_state(w, 20);
    a = observe_body(w, URI);
    run(w, 10);
    name_slowly(w, false);
    b = observe_body(w, URI);
    run(w, 10);
    assert_non_null(naming.pending);
    copal_cancel(a->x);
    assert_null(naming.pending);
    run(w, 10);
    assert_log(b, "2.05 20 bytes\n");
    assert_int_equal(observers(w), 1);
    w->client->driver->ops = naming.real;
}

static void memory_is_back_at_its_start(void **state)
{
    struct world *w = *state;
    struct party *s = serve_state(w, 20), *p[8];
    uint64_t before = 0;

    for (int round = 0; round < 6; round++) {
        for (int i = 0; i < 8; i++) {
            p[i] = observe_body(w, URI);
            run(w, i == 4 ? 10 : 0);
        }
        change_and_rest(w, s);
        for (int i = 0; i < 8; i++) {
            copal_msg_unref(p[i]->msg);
            p[i]->msg = NULL;
            copal_cancel(p[(i * 3 + round) % 8]->x);
        }
        run(w, 600000);
        assert_int_equal(observers(w), 0);
        assert_int_equal(stats_of(w->client).exchanges_open, 0);
        if (round == 1)
            before = stats_of(w->client).memory;
    }
    assert_int_equal(stats_of(w->client).memory, before);
}

/* ---- Weather ---- */

static unsigned all_served; /* runs in which nobody was lost */

static void share_in_weather(struct world *w)
{
    struct party *s = serve_state(w, 1500), *p[4];
    bool live[4];
    int count = 0;

    s->flags = 0; /* confirmable: a lost last state is sent again */
    p[0] = observe_body(w, URI);
    p[1] = observe_body(w, URI);
    run(w, 100000);
    p[2] = observe_body(w, URI);
    change(w, s);
    run(w, 300);
    p[3] = observe_body(w, URI);
    change(w, s);
    run(w, 100000);
    if (p[0]->ends == 0)
        copal_cancel(p[0]->x);
    for (int i = 0; i < 5; i++) {
        change(w, s);
        run(w, 100 + 700 * (unsigned)i);
    }
    run(w, 400000);
    for (int i = 1; i < 4; i++) {
        live[i] = p[i]->ends == 0 && p[i]->responses > 0;
        count += live[i];
    }
    if (observers(w) == 1)
        for (int i = 1; i < 4; i++)
            if (live[i])
                assert_body(p[i], 1500, s->version);
    assert_in_range(observers(w), 0, 1);
    all_served += observers(w) == 1 && count == 3;
    for (int i = 1; i < 4; i++)
        if (p[i]->ends == 0)
            copal_cancel(p[i]->x);
    run(w, 600000);
    assert_int_equal(stats_of(w->client).exchanges_open, 0);
}

static void the_last_state_reaches_all_in_bad_weather(void **state)
{
    (void)state;
    all_served = 0;
    bodies_in_bad_weather(share_in_weather, 50);
    assert_in_range(all_served, seeds_or(50) / 2, seeds_or(50));
}

static void share_once(struct world *w)
{
    struct party *s = serve_state(w, 1500), *p[3];

    p[0] = observe_body(w, URI);
    p[1] = observe_body(w, URI);
    run(w, 10);
    p[2] = observe_body(w, URI);
    run(w, 10);
    change(w, s);
    run(w, 4000);
    if (!memory_failed(w))
        for (int i = 0; i < 3; i++)
            assert_body(p[i], 1500, 2);
    if (p[0]->is_asked && p[0]->ends == 0)
        copal_cancel(p[0]->x);
    run(w, 10);
    change(w, s);
    run(w, 4000);
    if (!memory_failed(w))
        for (int i = 1; i < 3; i++)
            assert_body(p[i], 1500, 3);
    for (int i = 1; i < 3; i++)
        if (p[i]->is_asked && p[i]->ends == 0)
            copal_cancel(p[i]->x);
    run(w, 300000);
}

static void sharing_survives_every_failed_allocation(void **state)
{
    (void)state;
    bodies_with_failed_allocations(share_once);
}

#define TEST(name) \
    cmocka_unit_test_setup_teardown(name, build_bodies, tear_down_bodies)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(one_registration_serves_both),
        TEST(who_comes_later_asks_for_its_first_value),
        TEST(long_values_reach_both),
        TEST(a_fetch_is_shared_by_its_payload),
        TEST(a_fetch_of_several_blocks_is_shared),
        TEST(another_spelling_is_the_same_target),
        TEST(what_makes_another_request_is_not_shared),
        TEST(streams_raw_blocks_and_watches_are_not_shared_at_all),
        TEST(from_another_address_it_is_registered_apart),
        TEST(a_notification_takes_the_place_of_the_first_value),
        TEST(an_older_first_value_is_not_told_any_more),
        TEST(a_first_value_is_told_once),
        TEST(many_that_wait_do_not_all_ask),
        TEST(a_refused_first_value_ends_one_user_only),
        TEST(a_timeout_is_for_the_first_value_of_each),
        TEST(a_timeout_is_for_each_registration),
        TEST(each_pauses_by_itself),
        TEST(who_takes_over_while_paused_goes_on),
        TEST(who_leaves_without_a_registration_says_nothing),
        TEST(who_leaves_stops_asking_for_its_first_value),
        TEST(when_the_registered_one_leaves_the_next_registers),
        TEST(who_leaves_unanswered_leaves_the_asking_to_the_next),
        TEST(who_takes_over_and_leaves_unanswered_says_farewell),
        TEST(who_takes_over_and_leaves_unsent_says_nothing),
        TEST(who_takes_over_amid_its_first_value_registers_instead),
        TEST(a_new_user_follows_who_took_over),
        TEST(an_unreachable_server_ends_all),
        TEST(what_cannot_be_observed_ends_all),
        TEST(a_refused_registration_ends_all),
        TEST(an_error_notification_ends_all),
        TEST(a_reset_ends_all),
        TEST(who_takes_over_and_is_refused_ends_the_others),
        TEST(closing_deregisters_once),
        TEST(freeing_ends_each_once),
        cmocka_unit_test(callbacks_may_cancel_any_and_free_all),
        TEST(by_q_block_it_is_shared_as_well),
        TEST(observations_of_a_group_are_not_shared),
        TEST(a_name_of_a_group_is_not_shared),
        TEST(who_leaves_before_the_name_is_known_is_replaced),
        TEST(who_takes_over_goes_the_way_that_is_known),
        TEST(memory_is_back_at_its_start),
        cmocka_unit_test(the_last_state_reaches_all_in_bad_weather),
        cmocka_unit_test(sharing_survives_every_failed_allocation),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
