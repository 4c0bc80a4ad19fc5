/* Observing, RFC 7641, and its blocks, RFC 7959 3.4. Of the vectors' behaviour
 * max-age-expired and reregister-delay are the watch's; superseding, max-age,
 * value-current, sequence-rate, non-rate and unauthenticated are in
 * test_notify.c, register-once in test_observe_share.c. */
#include "bodies.h"
#include <stdlib.h>
#include <jansson.h>

static struct party *serve_state(struct world *w, unsigned flags, size_t size)
{
    return serve_body(w, COPAL_GET, "/t", COPAL_OBSERVABLE | flags, size);
}

static void change(struct world *w, struct party *s)
{
    s->version++;
    copal_notify(w->server, "/t");
}

static int64_t number_of(const struct party *p)
{
    return copal_msg_uint(p->msg, COPAL_OPT_OBSERVE);
}

static void assert_status(const struct party *p, int status)
{
    assert_ended(&(struct record){.ends = p->ends, .status = p->status},
                 status);
}

/* ---- Registering and being told ---- */

static void a_change_is_told_to_who_registered(void **state)
{
    struct world *w = *state;
    struct party *s = serve_state(w, 0, 20), *p;
    int64_t first;

    s->flags = COPAL_NON;
    p = observe_body(w, "coap://server/t");
    run(w, 10);
    assert_int_equal(observers(w), 1);
    first = number_of(p);
    s->version++;
    assert_int_equal(copal_notify(w->server, "/t"), 1);
    run(w, 10);
    assert_body(p, 20, 2);
    assert_true(number_of(p) > first);
    assert_log(p, "2.05 20 bytes\n2.05 20 bytes\n");
    assert_transcript(w, "   0 client > server CON GET 0001 /t obs=0\n"
                         "   0 server > client ACK 2.05 0001 obs (20 bytes)\n"
                         "  10 server > client NON 2.05 0001 obs (20 bytes)\n");
}

static void a_confirmable_notification_is_acknowledged(void **state)
{
    struct world *w = *state;
    struct party *s = serve_state(w, 0, 20), *p;

    p = observe_body(w, "coap://server/t");
    run(w, 10);
    change(w, s);
    run(w, 10);
    assert_body(p, 20, 2);
    assert_transcript(w, "   0 client > server CON GET 0001 /t obs=0\n"
                         "   0 server > client ACK 2.05 0001 obs (20 bytes)\n"
                         "  10 server > client CON 2.05 0001 obs (20 bytes)\n"
                         "  10 client > server ACK empty 0001\n");
}

static void a_lost_notification_is_sent_again(void **state)
{
    struct world *w = *state;
    struct party *s = serve_state(w, 0, 20), *p;

    p = observe_body(w, "coap://server/t");
    run(w, 10);
    copal_sim_lose(w->sim, "server", 1);
    change(w, s);
    run(w, 2500);
    assert_body(p, 20, 2);
    assert_transcript(
        w, "   0 client > server CON GET 0001 /t obs=0\n"
           "   0 server > client ACK 2.05 0001 obs (20 bytes)\n"
           "  10 server > client CON 2.05 0001 obs (20 bytes) (lost)\n"
           "2010 server > client CON 2.05 0001 obs (20 bytes)\n"
           "2010 client > server ACK empty 0001\n");
}

static void a_notification_goes_by_the_parameters_of_its_scope(void **state)
{
    struct world *w = *state;
    struct party *s = serve_state(w, 0, 20), *p;

    copal_tune(w->server, "coap://client", COPAL_P_ACK_TIMEOUT, 300);
    p = observe_body(w, "coap://server/t");
    run(w, 10);
    copal_sim_lose(w->sim, "server", 1);
    change(w, s);
    run(w, 2500);
    assert_body(p, 20, 2);
    assert_int_equal(count_in_transcript(w, " 310 server > client CON 2.05"),
                     1);
}

static void every_twentieth_non_confirmable_is_confirmable_instead(void **state)
{
    struct world *w = *state;
    struct party *s = serve_state(w, 0, 20), *p;

    s->flags = COPAL_NON;
    p = observe_body(w, "coap://server/t");
    run(w, 10);
    for (int i = 0; i < 40; i++) {
        change(w, s);
        run(w, 3000);
    }
    assert_int_equal(p->responses, 41);
    assert_int_equal(count_in_transcript(w, "server > client CON"), 2);
}

static void no_day_passes_without_a_confirmable_notification(void **state)
{
    struct world *w = *state;
    struct party *s = serve_state(w, 0, 20), *p;

    s->flags = COPAL_NON;
    p = observe_body(w, "coap://server/t");
    run(w, 10);
    change(w, s);
    run(w, 86400000);
    assert_int_equal(count_in_transcript(w, "server > client NON"), 1);
    assert_int_equal(count_in_transcript(w, "server > client CON"), 1);
    assert_int_equal(p->responses, 2); /* it is the same state */
}

static void what_cannot_be_observed_is_answered_and_ends(void **state)
{
    struct world *w = *state;
    struct party *p;

    serve_body(w, COPAL_GET, "/plain", 0, 20);
    p = observe_body(w, "coap://server/plain");
    run(w, 10);
    assert_log(p, "2.05 20 bytes\nend ENOTOBS\n");
    assert_int_equal(observers(w), 0);
    assert_int_equal(
        count_in_transcript(w, " obs (") + count_in_transcript(w, " obs\n"), 0);
}

static void what_cannot_be_observed_may_be_long(void **state)
{
    struct world *w = *state;
    struct party *p;

    serve_body(w, COPAL_GET, "/plain", 0, 2500);
    p = observe_body(w, "coap://server/plain");
    run(w, 10);
    assert_log(p, "2.05 2500 bytes\nend ENOTOBS\n");
    assert_body(p, 2500, 1);
}

static void an_error_registers_nobody(void **state)
{
    struct world *w = *state;
    struct party *s = serve_state(w, 0, 0), *p;

    p = observe_body(w, "coap://server/none");
    run(w, 10);
    assert_log(p, "4.04 0 bytes\nend OK\n");
    s->answer = COPAL_FORBIDDEN;
    p = observe_body(w, "coap://server/t");
    run(w, 10);
    assert_log(p, "4.03 0 bytes\nend OK\n");
    assert_int_equal(observers(w), 0);
}

static void observe_means_nothing_in_a_put(void **state)
{
    struct world *w = *state;
    struct party *p;
    copal_msg *m = request_of(w, COPAL_PUT, "coap://server/t", 5);

    serve_body(w, 0, "/t", COPAL_OBSERVABLE, 20);
    copal_msg_add_uint(m, COPAL_OPT_OBSERVE, 0);
    p = send_request(w, m);
    run(w, 10);
    assert_int_equal(p->code, COPAL_CONTENT);
    assert_int_equal(number_of(p), COPAL_ENOENT);
    assert_int_equal(observers(w), 0);
}

static void other_values_of_observe_mean_nothing(void **state)
{
    struct world *w = *state;
    struct party *p;
    copal_msg *m = request_of(w, COPAL_GET, "coap://server/t", 0);

    serve_state(w, 0, 20);
    copal_msg_add_uint(m, COPAL_OPT_OBSERVE, 2);
    p = send_request(w, m);
    run(w, 10);
    assert_log(p, "2.05 20 bytes\nend OK\n");
    assert_int_equal(observers(w), 0);
}

static void an_observe_option_of_4_bytes_is_ignored(void **state)
{
    struct world *w = *state;
    const uint8_t get[] = {0x51, 1, 0, 9, 0xaa, 0x64, 0, 0, 0, 0, 0x51, 't'};

    serve_state(w, 0, 20);
    copal_sim_inject(w->sim, "client", "server",
                     (copal_bytes){get, sizeof(get)});
    run(w, 10);
    assert_int_equal(observers(w), 0);
    assert_int_equal(count_in_transcript(w, "server > client NON 2.05"), 1);
    assert_int_equal(count_in_transcript(w, " obs ("), 0);
}

/* ---- Order, RFC 7641 3.4 ---- */

static bool is_taken_as_fresher(uint32_t v1, uint32_t v2, uint64_t ms)
{
    void *fixture;
    struct world *w;
    struct party *p;
    struct tap *t;
    char text[64];
    bool fresher;

    assert_int_equal(build_bodies(&fixture), 0);
    w = fixture;
    t = tap_client(w);
    copal_free(w->server);
    p = observe_body(w, "coap://server/t");
    run(w, 0);
    snprintf(text, sizeof(text), "ACK 2.05 obs=%u", v1);
    play(w, t, text, 0, (copal_bytes){0});
    assert_int_equal(p->responses, 1);
    run(w, ms);
    snprintf(text, sizeof(text), "CON 2.05 obs=%u", v2);
    play(w, t, text, 99, (copal_bytes){0});
    fresher = p->responses == 2;
    /* Stale or not, it is acknowledged. */
    assert_int_equal(count_in_transcript(w, "client > server ACK"), 1);
    assert_int_equal(p->ends, 0);
    tear_down_bodies(&fixture);
    return fresher;
}

static void notifications_are_ordered_as_the_vectors_say(void **state)
{
    json_error_t error;
    json_t *document =
        json_load_file(COPAL_VECTORS_DIR "/observe.json", 0, &error);
    json_t *rows = json_object_get(document, "reordering");

    (void)state;
    assert_int_equal(json_array_size(rows), 31);
    for (size_t i = 0; i < json_array_size(rows); i++) {
        json_t *row = json_array_get(rows, i);
        uint32_t v1 = (uint32_t)json_integer_value(json_object_get(row, "v1"));
        uint32_t v2 = (uint32_t)json_integer_value(json_object_get(row, "v2"));
        double seconds = json_number_value(json_object_get(row, "t2"));
        bool fresher = json_is_true(json_object_get(row, "fresher"));

        if (is_taken_as_fresher(v1, v2, (uint64_t)(seconds * 1000)) != fresher)
            fail_msg("%u, then %u after %g s", v1, v2, seconds);
    }
    json_decref(document);
}

/* ---- Leaving ---- */

static void cancelling_deregisters_under_the_same_token(void **state)
{
    struct world *w = *state;
    struct party *s = serve_state(w, 0, 20), *p;
    struct tap *t = tap_client(w), first;

    p = observe_body(w, "coap://server/t");
    run(w, 10);
    first = *t;
    copal_cancel(p->x);
    run(w, 10);
    assert_int_equal(observers(w), 0);
    assert_int_equal(copal_notify(w->server, "/t"), 0);
    run(w, 10);
    assert_memory_equal(first.token, t->token, 8);
    assert_log(p, "2.05 20 bytes\nend ECANCEL\n");
    assert_int_equal(s->requests, 2);
    assert_transcript(w, "   0 client > server CON GET 0001 /t obs=0\n"
                         "   0 server > client ACK 2.05 0001 obs (20 bytes)\n"
                         "  10 client > server CON GET 0002 /t obs=1\n"
                         "  10 server > client ACK 2.05 0002 (20 bytes)\n");
}

/* RFC 7641 3.6: all but Observe and ETag are those of the registration. */
static void deregistering_has_the_options_of_the_registration(void **state)
{
    struct world *w = *state;
    struct tap *t = tap_client(w), first;
    copal_msg *m = request_of(w, COPAL_GET, "coap://server/t?unit=F", 0);
    struct party *p;

    serve_state(w, 0, 20)->format = COPAL_JSON;
    copal_msg_add_uint(m, COPAL_OPT_OBSERVE, 0);
    copal_msg_add_uint(m, COPAL_OPT_ACCEPT, COPAL_JSON);
    copal_msg_add_text(m, COPAL_OPT_ETAG, "old");
    p = send_request(w, m);
    run(w, 10);
    first = *t;
    copal_cancel(p->x);
    run(w, 10);
    assert_non_null(strstr(first.line, "[\"ETag\""));
    assert_non_null(strstr(t->line, "[\"Observe\",\"1\"]"));
    assert_non_null(strstr(t->line, "[\"Uri-Path\",\"t\"]"));
    assert_non_null(strstr(t->line, "[\"Uri-Query\",\"unit=F\"]"));
    assert_non_null(strstr(t->line, "[\"Accept\""));
    assert_memory_equal(first.token, t->token, 8);
}

static void who_leaves_does_not_fetch_the_whole_body_for_it(void **state)
{
    struct world *w = *state;
    struct party *p;

    serve_state(w, 0, 3000);
    p = observe_body(w, "coap://server/t");
    run(w, 10);
    assert_int_equal(count_in_transcript(w, "GET"), 3);
    copal_cancel(p->x);
    run(w, 10);
    assert_int_equal(count_in_transcript(w, "GET"), 4);
    assert_int_equal(observers(w), 0);
}

/* Observes by a FETCH whose body takes three blocks, 10 ms a way. */
static struct party *observe_by_long_fetch(struct world *w)
{
    copal_msg *m = request_of(w, COPAL_FETCH, "coap://server/t", 3000);

    serve_body(w, COPAL_FETCH, "/t", COPAL_OBSERVABLE, 20);
    copal_sim_set_path(w->sim, NULL, NULL, (copal_sim_path){.delay = 10});
    copal_msg_add_uint(m, COPAL_OPT_OBSERVE, 0);
    return send_request(w, m);
}

static void who_leaves_does_not_send_a_long_body_again(void **state)
{
    struct world *w = *state;
    struct party *p = observe_by_long_fetch(w);

    run(w, 1000);
    assert_int_equal(observers(w), 1);
    copal_cancel(p->x);
    run(w, 1000);
    assert_int_equal(observers(w), 0);
    assert_int_equal(count_in_transcript(w, "CON FETCH"), 4);
    assert_int_equal(count_in_transcript(w, "obs=1\n"), 1);
}

static void who_leaves_while_the_last_block_is_answered_says_so(void **state)
{
    struct world *w = *state;
    struct party *p = observe_by_long_fetch(w);

    run(w, 55); /* the answer is under way */
    assert_int_equal(observers(w), 1);
    copal_cancel(p->x);
    run(w, 1000);
    assert_int_equal(observers(w), 0);
}

static void a_lost_farewell_is_repeated(void **state)
{
    struct world *w = *state;
    struct party *p;

    serve_state(w, 0, 20);
    p = observe_body(w, "coap://server/t");
    run(w, 10);
    copal_sim_lose(w->sim, "client", 1);
    copal_cancel(p->x);
    run(w, 3000);
    assert_int_equal(observers(w), 0);
}

/* The notification carries the farewell's token, and is no answer to it. */
static void a_notification_that_crosses_the_farewell_does_not_hold_it(
    void **state)
{
    struct world *w = *state;
    struct party *s = serve_state(w, 0, 20), *p;
    copal_stats stats = {.size = sizeof(stats)};

    p = observe_body(w, "coap://server/t");
    run(w, 10);
    copal_sim_set_path(w->sim, NULL, NULL, (copal_sim_path){.delay = 50});
    change(w, s);
    run(w, 10);
    copal_sim_lose(w->sim, "client", 1); /* the farewell */
    copal_cancel(p->x);
    run(w, 300000);
    copal_get_stats(w->client, &stats);
    assert_int_equal(stats.exchanges_open, 0);
    assert_int_equal(observers(w), 0);
}

/* Else who registers with long requests makes us keep as much as it likes. */
static void what_observers_make_us_keep_is_bounded_in_bytes(void **state)
{
    struct world *w = *state;
    char uri[320] = "coap://server/t?";
    uint64_t before;
    copal_stats stats = {.size = sizeof(stats)};

    serve_state(w, 0, 20);
    tune(w->server, COPAL_P_BODY_MEMORY, 4096);
    tune(w->client, COPAL_P_NSTART, 64);
    copal_get_stats(w->server, &stats);
    before = stats.memory;
    for (int i = 0; i < 60; i++) {
        memset(uri + 16, 'a' + i % 26, 250);
        uri[16 + i] = '0';
        uri[266] = '&';
        memset(uri + 267, 'x', 50);
        observe_body(w, uri);
        run(w, 10);
    }
    copal_get_stats(w->server, &stats);
    assert_in_range(observers(w), 1, 59);
    assert_true(stats.limited > 0);
    assert_true(stats.memory - before < 512 * 1024);
}

/* The client is gone and knows nothing of it: it resets. */
static void a_reset_removes_the_observer(void **state)
{
    struct world *w = *state;
    struct party *s = serve_state(w, 0, 20);

    observe_body(w, "coap://server/t");
    run(w, 10);
    copal_free(w->client);
    w->client = add_host(w, "client");
    change(w, s);
    run(w, 10);
    assert_int_equal(count_in_transcript(w, "client > server RST"), 1);
    assert_int_equal(observers(w), 0);
}

static void a_reset_to_a_non_confirmable_removes_the_observer(void **state)
{
    struct world *w = *state;
    struct party *s = serve_state(w, 0, 20);
    struct tap *t = tap_of(w->server);
    uint8_t rst[4] = {0x70, 0};

    s->flags = COPAL_NON;
    observe_body(w, "coap://server/t");
    run(w, 10);
    change(w, s);
    run(w, 10);
    assert_string_equal(t->type, "NON");
    rst[2] = (uint8_t)(t->mid >> 8);
    rst[3] = (uint8_t)t->mid;
    copal_sim_inject(w->sim, "client", "server",
                     (copal_bytes){rst, sizeof(rst)});
    run(w, 10);
    assert_int_equal(observers(w), 0);
}

static void silence_removes_the_observer(void **state)
{
    struct world *w = *state;
    struct party *s = serve_state(w, 0, 20);

    observe_body(w, "coap://server/t");
    run(w, 10);
    copal_free(w->client);
    change(w, s);
    run(w, 61000);
    assert_int_equal(observers(w), 1);
    run(w, 2000);
    assert_int_equal(observers(w), 0);
    assert_int_equal(count_in_transcript(w, "(nobody)"), 5);
}

static void the_same_token_replaces_the_observer(void **state)
{
    struct world *w = *state;
    const uint8_t get[] = {0x51, 1, 0, 9, 0xaa, 0x60, 0x51, 't'};
    uint8_t again[sizeof(get)];
    struct party *s = serve_state(w, 0, 20);

    s->flags = COPAL_NON;
    memcpy(again, get, sizeof(get));
    again[3] = 10;
    copal_sim_inject(w->sim, "client", "server",
                     (copal_bytes){get, sizeof(get)});
    run(w, 10);
    copal_sim_inject(w->sim, "client", "server",
                     (copal_bytes){again, sizeof(get)});
    run(w, 10);
    assert_int_equal(observers(w), 1);
    assert_int_equal(copal_notify(w->server, "/t"), 1);
}

static void an_error_notification_ends_the_observation(void **state)
{
    struct world *w = *state;
    struct party *s = serve_state(w, 0, 20), *p;

    s->flags = COPAL_NON;
    p = observe_body(w, "coap://server/t");
    run(w, 10);
    s->answer = COPAL_UNAVAILABLE;
    change(w, s);
    run(w, 10);
    assert_log(p, "2.05 20 bytes\n5.03 20 bytes\nend OK\n");
    assert_int_equal(observers(w), 0);
    assert_int_equal(count_in_transcript(w, "server > client CON 5.03"), 1);
}

static void unserving_tells_observers_4_04(void **state)
{
    struct world *w = *state;
    struct party *p;

    serve_state(w, 0, 20);
    p = observe_body(w, "coap://server/t");
    run(w, 10);
    copal_unserve(w->server, "/t");
    run(w, 10);
    assert_log(p, "2.05 20 bytes\n4.04 0 bytes\nend OK\n");
    assert_int_equal(observers(w), 0);
}

static void unserving_while_a_state_is_asked_for_leaves_nobody(void **state)
{
    struct world *w = *state;
    struct party *s = serve_state(w, 0, 20), *p;

    copal_sim_set_path(w->sim, NULL, NULL, (copal_sim_path){.delay = 10});
    p = observe_body(w, "coap://server/t");
    run(w, 50);
    change(w, s); /* on its way, not acknowledged yet */
    run(w, 1);
    s->holds = true;
    change(w, s);
    run(w, 1);
    copal_unserve(w->server, "/t");
    give(s);
    run(w, 100);
    assert_int_equal(p->code, COPAL_NOT_FOUND);
    assert_status(p, 0);
    assert_int_equal(observers(w), 0);
    release(s);
}

static void a_notification_without_observe_is_the_last(void **state)
{
    struct world *w = *state;
    struct tap *t = tap_client(w);
    struct party *p;

    copal_free(w->server);
    p = observe_body(w, "coap://server/t");
    run(w, 0);
    play(w, t, "ACK 2.05 obs=5", 0, (copal_bytes){0});
    play(w, t, "CON 2.05", 77, (copal_bytes){0});
    assert_int_equal(p->responses, 2);
    assert_int_equal(p->ends, 1);
}

static void the_client_rejects_notifications_it_does_not_know(void **state)
{
    struct world *w = *state;
    struct tap t = {.token_len = 8};

    copal_free(w->server);
    play(w, &t, "CON 2.05 obs=5", 77, (copal_bytes){0});
    assert_int_equal(count_in_transcript(w, "client > server RST empty"), 1);
    play(w, &t, "NON 2.05 obs=6", 78, (copal_bytes){0});
    assert_int_equal(count_in_transcript(w, "client > server ACK"), 0);
}

/* ---- Load ---- */

static void the_latest_state_wins_while_one_is_under_way(void **state)
{
    struct world *w = *state;
    struct party *s = serve_state(w, 0, 20), *p;

    copal_sim_set_path(w->sim, NULL, NULL, (copal_sim_path){.delay = 10});
    p = observe_body(w, "coap://server/t");
    run(w, 50);
    for (int i = 0; i < 5; i++) {
        change(w, s);
        run(w, 1);
    }
    run(w, 1000);
    assert_body(p, 20, 6);
    assert_int_equal(p->responses, 3);
    assert_int_equal(count_in_transcript(w, "server > client CON"), 2);
}

static void the_handler_is_asked_once_for_many(void **state)
{
    struct world *w = *state;
    struct party *s = serve_state(w, 0, 20), *p[5];

    for (int i = 0; i < 5; i++)
        p[i] = observe_apart(w, "coap://server/t", i);
    run(w, 10);
    assert_int_equal(s->requests, 5);
    s->version++;
    assert_int_equal(copal_notify(w->server, "/t"), 5);
    run(w, 1000);
    assert_int_equal(s->requests, 6);
    assert_string_equal(copal_msg_remote(s->msg), "");
    for (int i = 0; i < 5; i++)
        assert_body(p[i], 20, 2);
}

static void other_options_are_asked_for_apart(void **state)
{
    struct world *w = *state;
    struct party *s = serve_state(w, 0, 20);

    observe_body(w, "coap://server/t");
    observe_body(w, "coap://server/t?unit=F");
    run(w, 10);
    change(w, s);
    run(w, 1000);
    assert_int_equal(s->requests, 4);
}

static void per_peer_the_handler_is_asked_for_each(void **state)
{
    struct world *w = *state;
    struct party *s = serve_state(w, COPAL_PER_PEER, 20);

    observe_apart(w, "coap://server/t", 0);
    observe_apart(w, "coap://server/t", 1);
    run(w, 10);
    change(w, s);
    run(w, 1000);
    assert_int_equal(s->requests, 4);
    assert_string_equal(copal_msg_remote(s->msg), "coap://client");
}

static void changes_while_the_handler_thinks_are_asked_for_once_more(
    void **state)
{
    struct world *w = *state;
    struct party *s = serve_state(w, 0, 20), *p;

    p = observe_body(w, "coap://server/t");
    run(w, 10);
    s->holds = true;
    change(w, s);
    change(w, s);
    run(w, 10);
    change(w, s);
    run(w, 10);
    assert_int_equal(s->requests, 2);
    s->version = 2;
    give(s);
    run(w, 10);
    assert_int_equal(s->requests, 3);
    s->version = 4;
    give(s);
    run(w, 10);
    assert_body(p, 20, 4);
    assert_int_equal(p->responses, 3);
    release(s);
}

static void one_peer_has_so_many_observations(void **state)
{
    struct world *w = *state;
    struct party *p[3];

    tune(w->server, COPAL_P_PEER_OBSERVERS, 2);
    serve_state(w, 0, 20);
    for (int i = 0; i < 3; i++) {
        p[i] = observe_apart(w, "coap://server/t", i);
        run(w, 10);
    }
    assert_int_equal(observers(w), 2);
    assert_log(p[1], "2.05 20 bytes\n");
    assert_log(p[2], "2.05 20 bytes\nend ENOTOBS\n");
}

static void there_are_so_many_observers_in_all(void **state)
{
    struct world *w = *state;
    struct party *p;

    tune(w->server, COPAL_P_MAX_OBSERVERS, 1);
    serve_state(w, 0, 20);
    observe_apart(w, "coap://server/t", 0);
    p = observe_apart(w, "coap://server/t", 1);
    run(w, 10);
    assert_log(p, "2.05 20 bytes\nend ENOTOBS\n");
}

static void a_paused_observation_keeps_only_the_newest(void **state)
{
    struct world *w = *state;
    struct party *s = serve_state(w, 0, 20), *p;

    p = observe_body(w, "coap://server/t");
    run(w, 10);
    copal_pause(p->x);
    for (int i = 0; i < 3; i++) {
        change(w, s);
        run(w, 10);
    }
    assert_int_equal(p->responses, 1);
    copal_resume(p->x);
    run(w, 10);
    assert_int_equal(p->responses, 2);
    assert_body(p, 20, 4);
}

static void a_timeout_is_for_the_first_answer(void **state)
{
    struct world *w = *state;
    struct party *s, *p;

    tune(w->client, COPAL_P_TIMEOUT, 5000);
    copal_free(add_host(w, "nowhere"));
    p = observe_body(w, "coap://nowhere/t");
    run(w, 5100);
    assert_status(p, COPAL_ETIMEOUT);
    s = serve_state(w, 0, 20);
    p = observe_body(w, "coap://server/t");
    run(w, 100000);
    change(w, s);
    run(w, 10);
    assert_log(p, "2.05 20 bytes\n2.05 20 bytes\n");
}

/* ---- FETCH and ETags ---- */

static void a_fetch_is_observed_by_its_payload(void **state)
{
    struct world *w = *state;
    struct party *s = serve_body(w, COPAL_FETCH, "/t", COPAL_OBSERVABLE, 20);
    struct party *p[2];

    for (size_t i = 0; i < 2; i++) {
        copal_msg *m = request_of(w, COPAL_FETCH, "coap://server/t", 5 + i);

        copal_msg_add_uint(m, COPAL_OPT_OBSERVE, 0);
        p[i] = send_request(w, m);
    }
    run(w, 10);
    assert_int_equal(observers(w), 2);
    change(w, s);
    run(w, 1000);
    assert_int_equal(s->requests, 4);
    assert_true(s->len == 5 || s->len == 6);
    assert_body(p[0], 20, 2);
    assert_body(p[1], 20, 2);
    copal_cancel(p[0]->x);
    copal_cancel(p[1]->x);
    run(w, 10);
    assert_int_equal(observers(w), 0);
}

static struct party *observe_with_etag(struct world *w, const char *etag)
{
    copal_msg *m = request_of(w, COPAL_GET, "coap://server/t", 0);

    copal_msg_add_uint(m, COPAL_OPT_OBSERVE, 0);
    copal_msg_add_text(m, COPAL_OPT_ETAG, etag);
    return send_request(w, m);
}

static void a_state_known_by_its_etag_is_told_as_2_03(void **state)
{
    struct world *w = *state;
    struct party *s = serve_state(w, 0, 20), *knows, *other, *none;

    s->etag = "a";
    knows = observe_with_etag(w, "b");
    other = observe_with_etag(w, "a");
    none = observe_body(w, "coap://server/t");
    run(w, 10);
    assert_log(knows, "2.05 20 bytes\n");
    assert_log(other, "2.03 0 bytes\n");
    s->etag = "b";
    change(w, s);
    run(w, 1000);
    assert_log(knows, "2.05 20 bytes\n2.03 0 bytes\n");
    assert_log(other, "2.03 0 bytes\n2.05 20 bytes\n");
    assert_log(none, "2.05 20 bytes\n2.05 20 bytes\n");
    assert_int_equal(s->requests, 4);
    assert_true(number_of(knows) > 0);
}

static void another_format_ends_the_observation(void **state)
{
    struct world *w = *state;
    struct party *s = serve_state(w, 0, 20), *p;

    s->format = COPAL_TEXT;
    p = observe_body(w, "coap://server/t");
    run(w, 10);
    change(w, s);
    run(w, 10);
    s->format = COPAL_CBOR;
    change(w, s);
    run(w, 10);
    assert_log(p, "2.05 20 bytes\n2.05 20 bytes\n4.06 0 bytes\nend OK\n");
    assert_int_equal(observers(w), 0);
}

/* ---- Blocks, RFC 7959 2.6, 3.4 ---- */

static void a_later_block_registers_nobody(void **state)
{
    struct world *w = *state;
    copal_msg *m = message_of(w->client, "GET coap://server/t obs=0 2:1/0/64");

    serve_state(w, 0, 150);
    copal_msg_set_flags(m, COPAL_RAW_BLOCKS);
    send_request(w, m);
    run(w, 10);
    assert_int_equal(observers(w), 0);
    assert_int_equal(count_in_transcript(w, "2.05 0001 2:1/1/64"), 1);
}

static void a_long_notification_is_fetched_under_another_token(void **state)
{
    struct world *w = *state;
    struct party *s = serve_state(w, 0, 309), *p;

    tune(w->server, COPAL_P_BLOCK_SIZE, 128);
    s->etag = "A";
    p = observe_body(w, "coap://server/t");
    run(w, 10);
    s->etag = "B";
    change(w, s);
    run(w, 10);
    assert_body(p, 309, 2);
    assert_true(number_of(p) >= 0);
    assert_log(p, "2.05 309 bytes\n2.05 309 bytes\n");
    assert_int_equal(s->requests, 3); /* once to tell, once to serve the rest */
    assert_int_equal(observers(w), 1);
    assert_transcript(
        w,
        "   0 client > server CON GET 0001 /t obs=0\n"
        "   0 server > client ACK 2.05 0001 obs 2:0/1/128 etag=41 (128 bytes)\n"
        "   0 client > server CON GET 0002 /t 2:1/0/128\n"
        "   0 server > client ACK 2.05 0002 2:1/1/128 etag=41 (128 bytes)\n"
        "   0 client > server CON GET 0003 /t 2:2/0/128\n"
        "   0 server > client ACK 2.05 0003 2:2/0/128 etag=41 (53 bytes)\n"
        "  10 server > client CON 2.05 0001 obs 2:0/1/128 etag=42 (128 bytes)\n"
        "  10 client > server ACK empty 0001\n"
        "  10 client > server CON GET 0004 /t 2:1/0/128\n"
        "  10 server > client ACK 2.05 0004 2:1/1/128 etag=42 (128 bytes)\n"
        "  10 client > server CON GET 0005 /t 2:2/0/128\n"
        "  10 server > client ACK 2.05 0005 2:2/0/128 etag=42 (53 bytes)\n");
}

static void notifications_come_in_the_size_each_observer_asked_for(void **state)
{
    struct world *w = *state;
    struct party *s = serve_state(w, 0, 150), *small, *large;
    copal_msg *m = request_of(w, COPAL_GET, "coap://server/t", 0);

    tune(w->client, COPAL_P_NSTART, 4);
    copal_msg_tune(m, COPAL_P_BLOCK_SIZE, 64);
    copal_msg_add_uint(m, COPAL_OPT_OBSERVE, 0);
    small = send_request(w, m);
    run(w, 10);
    large = observe_body(w, "coap://server/t");
    run(w, 10);
    change(w, s);
    run(w, 1000);
    assert_log(small, "2.05 150 bytes\n2.05 150 bytes\n");
    assert_log(large, "2.05 150 bytes\n2.05 150 bytes\n");
    assert_body(small, 150, 2);
    assert_body(large, 150, 2);
    assert_int_equal(count_in_transcript(w, "obs 2:0/1/64"), 2);
    assert_int_equal(count_in_transcript(w, "2.05 0002 obs (150 bytes)") +
                         count_in_transcript(w, "2.05 0001 obs (150 bytes)"),
                     1);
}

static void a_newer_notification_takes_the_place_of_a_transfer(void **state)
{
    struct world *w = *state;
    struct party *s = serve_state(w, 0, 3000), *p;

    copal_sim_set_path(w->sim, NULL, NULL, (copal_sim_path){.delay = 10});
    p = observe_body(w, "coap://server/t");
    run(w, 1000);
    change(w, s);
    run(w, 25);
    change(w, s);
    run(w, 1000);
    assert_log(p, "2.05 3000 bytes\n2.05 3000 bytes\n");
    assert_body(p, 3000, 3);
    assert_int_equal(p->ends, 0);
}

static void a_short_notification_takes_its_place_too(void **state)
{
    struct world *w = *state;
    struct tap *t = tap_client(w), first;
    struct party *p;

    copal_free(w->server);
    p = observe_body(w, "coap://server/t");
    run(w, 0);
    first = *t;
    play(w, t, "ACK 2.05 obs=5 2:0/1/64 etag=0a", 0, body_of(64, 1));
    play(w, &first, "CON 2.05 obs=6 etag=0b", 77, body_of(10, 2));
    play(w, t, "ACK 2.05 2:1/0/64 etag=0a", 0, body_of(20, 1));
    assert_log(p, "2.05 10 bytes\n");
    assert_body(p, 10, 2);
    play(w, &first, "CON 2.05 obs=7 2:0/1/64 etag=0c", 78, body_of(64, 1));
    play(w, t, "ACK 2.05 2:1/0/64 etag=0c", 0, body_of(20, 1));
    assert_log(p, "2.05 10 bytes\n2.05 84 bytes\n");
}

static void changes_amid_transfers_do_not_add_up(void **state)
{
    struct world *w = *state;
    struct tap *t = tap_client(w), first;
    struct party *p;

    copal_free(w->server);
    p = observe_body(w, "coap://server/t");
    run(w, 0);
    first = *t;
    play(w, t, "ACK 2.05 obs=1 2:0/1/64 etag=0a", 0, body_of(64, 1));
    for (unsigned i = 0; i < 5; i++) {
        char text[64];

        play(w, t, "ACK 2.05 2:1/0/64 etag=0f", 0, body_of(20, 1));
        assert_non_null(strstr(t->line, "0/0/64"));
        play(w, t, "ACK 2.05 2:0/0/64 etag=0f", 0, body_of(50, 1));
        assert_int_equal(p->responses, (int)i + 1);
        assert_int_equal(number_of(p), (int)i + 1);
        snprintf(text, sizeof(text), "CON 2.05 obs=%u 2:0/1/64 etag=0a", i + 2);
        play(w, &first, text, 70 + i, body_of(64, 1));
    }
    assert_int_equal(p->ends, 0);
}

static void a_streamed_state_is_told_by_its_first_block(void **state)
{
    struct world *w = *state;
    struct party *s = serve_state(w, 0, 300), *p;

    tune(w->server, COPAL_P_BLOCK_SIZE, 128);
    s->flags = COPAL_STREAM_OUT;
    p = observe_body(w, "coap://server/t");
    run(w, 10);
    assert_body(p, 300, 1);
    change(w, s);
    run(w, 1000);
    assert_log(p, "2.05 300 bytes\n2.05 300 bytes\n");
    assert_body(p, 300, 2);
    assert_int_equal(p->ends, 0);
}

static void an_observation_streamed_in_goes_on_after_the_first(void **state)
{
    struct world *w = *state;
    struct party *s = serve_state(w, 0, 1500), *p;
    copal_msg *m = request_of(w, COPAL_GET, "coap://server/t", 0);

    copal_msg_add_uint(m, COPAL_OPT_OBSERVE, 0);
    copal_msg_set_flags(m, COPAL_STREAM_IN);
    p = send_request(w, m);
    run(w, 10);
    assert_int_equal(p->ends, 0);
    change(w, s);
    run(w, 10);
    assert_log(p, "2.05 0 bytes\nchunk 0 +1024\nchunk 1024 +476 last\n"
                  "2.05 0 bytes\nchunk 0 +1024\nchunk 1024 +476 last\n");
    assert_body(p, 1500, 2);
}

/* ---- Weather ---- */

static void observe_in_weather(struct world *w)
{
    struct party *s = serve_state(w, 0, 2500), *p;

    p = observe_body(w, "coap://server/t");
    run(w, 100000);
    for (int i = 0; i < 4; i++) {
        change(w, s);
        run(w, 100 + 400 * (unsigned)i);
    }
    run(w, 400000);
    if (p->ends == 0 && p->responses > 0 && observers(w) == 1) {
        /* Eventually consistent: RFC 7641 1.3. */
        assert_body(p, 2500, s->version);
        copal_cancel(p->x);
        run(w, 300000);
    } else if (p->ends == 1) {
        assert_true(p->status == COPAL_ETIMEOUT || p->status == COPAL_ENOTOBS);
    }
}

static void long_notifications_survive_bad_weather(void **state)
{
    (void)state;
    bodies_in_bad_weather(observe_in_weather, 50);
}

static void observe_once(struct world *w)
{
    struct party *s = serve_state(w, 0, 1500), *p;

    p = observe_body(w, "coap://server/t");
    run(w, 10);
    change(w, s);
    run(w, 10);
    if (!memory_failed(w))
        assert_body(p, 1500, 2);
    if (p->is_asked && p->ends == 0)
        copal_cancel(p->x);
    run(w, 300000);
}

static void observing_survives_every_failed_allocation(void **state)
{
    (void)state;
    bodies_with_failed_allocations(observe_once);
}

/* What to fetch stands in a body of several blocks, which goes along with the
 * question for the rest of each state. */
static void a_long_fetch_is_observed_to_the_last_block(void **state)
{
    struct world *w = *state;
    struct party *s = serve_body(w, COPAL_FETCH, "/t", COPAL_OBSERVABLE, 300);
    copal_msg *m = request_of(w, COPAL_FETCH, "coap://server/t", 200);
    struct party *p;

    tune(w->client, COPAL_P_BLOCK_SIZE, 64);
    tune(w->server, COPAL_P_BLOCK_SIZE, 64);
    copal_msg_add_uint(m, COPAL_OPT_OBSERVE, 0);
    p = send_request(w, m);
    run(w, 1000);
    for (unsigned version = 2; version < 5; version++) {
        s->version = version;
        copal_notify(w->server, "/t");
        run(w, 1000);
        assert_body(p, 300, version);
        assert_body(s, 200, 1); /* the handler saw all of the question */
    }
    assert_int_equal(p->responses, 4);
    assert_int_equal(observers(w), 1);
    copal_cancel(p->x);
    run(w, 1000);
    assert_int_equal(observers(w), 0);
}

#define TEST(name) \
    cmocka_unit_test_setup_teardown(name, build_bodies, tear_down_bodies)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_change_is_told_to_who_registered),
        TEST(a_long_fetch_is_observed_to_the_last_block),
        TEST(a_confirmable_notification_is_acknowledged),
        TEST(a_lost_notification_is_sent_again),
        TEST(a_notification_goes_by_the_parameters_of_its_scope),
        TEST(every_twentieth_non_confirmable_is_confirmable_instead),
        TEST(no_day_passes_without_a_confirmable_notification),
        TEST(what_cannot_be_observed_is_answered_and_ends),
        TEST(what_cannot_be_observed_may_be_long),
        TEST(an_error_registers_nobody),
        TEST(observe_means_nothing_in_a_put),
        TEST(other_values_of_observe_mean_nothing),
        TEST(an_observe_option_of_4_bytes_is_ignored),
        cmocka_unit_test(notifications_are_ordered_as_the_vectors_say),
        TEST(cancelling_deregisters_under_the_same_token),
        TEST(deregistering_has_the_options_of_the_registration),
        TEST(who_leaves_does_not_fetch_the_whole_body_for_it),
        TEST(who_leaves_does_not_send_a_long_body_again),
        TEST(who_leaves_while_the_last_block_is_answered_says_so),
        TEST(a_lost_farewell_is_repeated),
        TEST(a_notification_that_crosses_the_farewell_does_not_hold_it),
        TEST(what_observers_make_us_keep_is_bounded_in_bytes),
        TEST(a_reset_removes_the_observer),
        TEST(a_reset_to_a_non_confirmable_removes_the_observer),
        TEST(silence_removes_the_observer),
        TEST(the_same_token_replaces_the_observer),
        TEST(an_error_notification_ends_the_observation),
        TEST(unserving_tells_observers_4_04),
        TEST(unserving_while_a_state_is_asked_for_leaves_nobody),
        TEST(a_notification_without_observe_is_the_last),
        TEST(the_client_rejects_notifications_it_does_not_know),
        TEST(the_latest_state_wins_while_one_is_under_way),
        TEST(the_handler_is_asked_once_for_many),
        TEST(other_options_are_asked_for_apart),
        TEST(per_peer_the_handler_is_asked_for_each),
        TEST(changes_while_the_handler_thinks_are_asked_for_once_more),
        TEST(one_peer_has_so_many_observations),
        TEST(there_are_so_many_observers_in_all),
        TEST(a_paused_observation_keeps_only_the_newest),
        TEST(a_timeout_is_for_the_first_answer),
        TEST(a_fetch_is_observed_by_its_payload),
        TEST(a_state_known_by_its_etag_is_told_as_2_03),
        TEST(another_format_ends_the_observation),
        TEST(a_later_block_registers_nobody),
        TEST(a_long_notification_is_fetched_under_another_token),
        TEST(notifications_come_in_the_size_each_observer_asked_for),
        TEST(a_newer_notification_takes_the_place_of_a_transfer),
        TEST(a_short_notification_takes_its_place_too),
        TEST(changes_amid_transfers_do_not_add_up),
        TEST(a_streamed_state_is_told_by_its_first_block),
        TEST(an_observation_streamed_in_goes_on_after_the_first),
        cmocka_unit_test(long_notifications_survive_bad_weather),
        cmocka_unit_test(observing_survives_every_failed_allocation),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
