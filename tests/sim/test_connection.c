/* Requests by connections: coap+tcp and coap+ws. RFC 8323. */
#include "bodies.h"

#define TCP "coap+tcp://server"

static struct record *served(struct world *w, const char *text)
{
    return serve_text(w, w->server, "/t", COPAL_OBSERVABLE, text);
}

/* ---- Ladders ---- */

static void both_say_what_they_take_before_the_first_request(void **state)
{
    struct world *w = *state;
    struct record *r;

    served(w, "22.5 C");
    copal_sim_set_path(w->sim, NULL, NULL, (copal_sim_path){.delay = 10});
    r = get(w, TCP "/t");
    run(w, 1000);
    assert_ended(r, 0);
    assert_string_equal(r->payload, "22.5 C");
    assert_transcript(w, "  10 server > client 7.01\n"
                         "  20 client > server 7.01\n"
                         "  20 client > server GET /t\n"
                         "  30 server > client 2.05 \"22.5 C\"\n");
}

static void the_next_request_goes_by_the_same_connection(void **state)
{
    struct world *w = *state;
    struct record *a, *b;

    served(w, "x");
    a = get(w, TCP "/t");
    run(w, 10);
    b = get(w, TCP "/t");
    run(w, 10);
    assert_ended(a, 0);
    assert_ended(b, 0);
    assert_int_equal(count_in_transcript(w, "7.01"), 2);
}

static void websocket_carries_one_message_a_frame(void **state)
{
    struct world *w = *state;
    struct record *r;

    served(w, "x");
    r = get(w, "coap+ws://server/t");
    run(w, 10);
    assert_ended(r, 0);
    assert_transcript(w, "   0 server > client 7.01\n"
                         "   0 client > server 7.01\n"
                         "   0 client > server GET /t\n"
                         "   0 server > client 2.05 \"x\"\n");
}

static void many_requests_are_under_way_at_once(void **state)
{
    struct world *w = *state;
    struct record *r[20];

    served(w, "x");
    copal_sim_set_path(w->sim, NULL, NULL, (copal_sim_path){.delay = 100});
    for (int i = 0; i < 20; i++)
        r[i] = get(w, TCP "/t");
    run(w, 500);
    for (int i = 0; i < 20; i++)
        assert_ended(r[i], 0);
    assert_int_equal(count_in_transcript(w, "7.01"), 2);
}

static void a_ping_is_answered_by_a_pong(void **state)
{
    struct world *w = *state;
    struct record *r = next_record(w);

    r->is_asked = true;
    r->is_begun = copal_ping(w->client, TCP, recording(r)) != NULL;
    run(w, 10);
    assert_ended(r, 0);
    assert_transcript(w, "   0 server > client 7.01\n"
                         "   0 client > server 7.01\n"
                         "   0 client > server 7.02\n"
                         "   0 server > client 7.03\n");
}

static void an_unknown_critical_option_gets_4_02(void **state)
{
    struct world *w = *state;
    copal_msg *m = copal_msg_new(w->client, COPAL_GET);
    struct record *r = next_record(w);

    served(w, "x");
    copal_msg_set_uri(m, TCP "/t");
    assert_int_equal(copal_msg_add(m, 65001, (copal_bytes){0}), 0);
    r->is_asked = true;
    r->is_begun = copal_request(w->client, m, recording(r)) != NULL;
    copal_msg_unref(m);
    run(w, 10);
    assert_int_equal(r->code, COPAL_BAD_OPTION);
}

/* ---- Ends ---- */

static void a_refused_connection_says_so(void **state)
{
    struct world *w = *state;
    struct record *r;

    copal_free(w->server);
    w->server = NULL;
    copal_sim_refuse(w->sim, "server", 1);
    r = get(w, TCP "/t");
    run(w, 10);
    assert_ended(r, COPAL_EREFUSED);
}

static void where_nobody_is_it_ends_after_10_s(void **state)
{
    struct world *w = *state;
    struct record *r;

    copal_free(w->server);
    w->server = NULL;
    r = get(w, TCP "/t");
    run(w, 9999);
    assert_int_equal(r->ends, 0);
    run(w, 10);
    assert_ended(r, COPAL_ETIMEOUT);
}

static void a_server_that_goes_ends_what_waits_for_it(void **state)
{
    struct world *w = *state;
    struct party *s = serve_body(w, 0, "/t", 0, 10), *a;

    s->holds = true;
    a = send_request(w, request_of(w, COPAL_GET, TCP "/t", 0));
    run(w, 10);
    copal_free(w->server);
    w->server = NULL;
    release(s);
    run(w, 10);
    assert_int_equal(a->status, COPAL_ECLOSED);
    assert_int_equal(a->ends, 1);
}

static void a_handler_hears_that_its_asker_went(void **state)
{
    struct world *w = *state;
    struct party *s = serve_body(w, 0, "/t", 0, 10);

    s->holds = true;
    send_request(w, request_of(w, COPAL_GET, TCP "/t", 0));
    run(w, 10);
    copal_free(w->client);
    w->client = NULL;
    run(w, 10);
    assert_int_equal(s->ends, 1);
    assert_int_equal(s->status, COPAL_ECLOSED);
    assert_int_equal(copal_reply_text(s->kept, COPAL_CONTENT, "late"),
                     COPAL_ESTATE);
}

static void closing_lets_what_is_asked_be_answered(void **state)
{
    struct world *w = *state;
    struct party *s = serve_body(w, 0, "/t", 0, 10), *a;

    s->holds = true;
    a = send_request(w, request_of(w, COPAL_GET, TCP "/t", 0));
    run(w, 10);
    copal_close(w->server, 1000);
    run(w, 10);
    assert_int_equal(a->ends, 0);
    give(s);
    run(w, 10);
    assert_log(a, "2.05 10 bytes\nend OK\n");
    assert_int_equal(count_in_transcript(w, "server > client 7.04"), 1);
}

static void after_a_release_the_next_request_connects_anew(void **state)
{
    struct world *w = *state;
    struct record *r;

    served(w, "x");
    get(w, TCP "/t");
    run(w, 10);
    copal_close(w->server, 0);
    run(w, 10);
    copal_free(w->server);
    w->server = copal_sim_endpoint(w->sim, "server", NULL);
    serve_text(w, w->server, "/t", 0, "y");
    r = get(w, TCP "/t");
    run(w, 10);
    assert_ended(r, 0);
    assert_string_equal(r->payload, "y");
    assert_int_equal(count_in_transcript(w, "7.01"), 4);
}

/* ---- Observing: RFC 8323 7 ---- */

static void notifications_come_in_order_and_are_not_confirmed(void **state)
{
    struct world *w = *state;
    struct party *s = serve_body(w, 0, "/t", COPAL_OBSERVABLE, 20), *a;

    a = observe_body(w, TCP "/t");
    run(w, 10);
    for (int i = 0; i < 2; i++) {
        s->version++;
        copal_notify(w->server, "/t");
        run(w, 10);
    }
    assert_body(a, 20, 3);
    copal_cancel(a->x);
    run(w, 1000000);
    assert_int_equal(observers(w), 0);
    assert_transcript(w, "   0 server > client 7.01\n"
                         "   0 client > server 7.01\n"
                         "   0 client > server GET /t obs=0\n"
                         "   0 server > client 2.05 obs (20 bytes)\n"
                         "  10 server > client 2.05 obs (20 bytes)\n"
                         "  20 server > client 2.05 obs (20 bytes)\n"
                         "  30 client > server GET /t obs=1\n"
                         "  30 server > client 2.05 (20 bytes)\n"
                         "600030 server > client 7.04\n");
}

static void observers_end_with_their_connection(void **state)
{
    struct world *w = *state;
    struct party *s = serve_body(w, 0, "/t", COPAL_OBSERVABLE, 20);

    observe_body(w, TCP "/t");
    run(w, 10);
    assert_int_equal(observers(w), 1);
    copal_free(w->client);
    w->client = NULL;
    run(w, 10);
    assert_int_equal(observers(w), 0);
    s->version++;
    copal_notify(w->server, "/t");
    run(w, 10);
}

static void a_connection_that_is_observed_by_is_not_idle(void **state)
{
    struct world *w = *state;
    struct party *s = serve_body(w, 0, "/t", COPAL_OBSERVABLE, 20), *a;

    a = observe_body(w, TCP "/t");
    run(w, 3599000);
    assert_int_equal(observers(w), 1);
    s->version++;
    copal_notify(w->server, "/t");
    run(w, 10);
    assert_body(a, 20, 2);
    assert_int_equal(count_in_transcript(w, "server > client 7.02"), 5);
}

static void a_watch_registers_by_a_new_connection(void **state)
{
    struct world *w = *state;
    struct record *r = next_record(w);

    served(w, "one");
    r->is_asked = true;
    r->is_begun = copal_watch(w->client, TCP "/t", recording(r)) != NULL;
    run(w, 10);
    assert_string_equal(r->payload, "one");
    copal_free(w->server);
    w->server = copal_sim_endpoint(w->sim, "server", NULL);
    serve_text(w, w->server, "/t", COPAL_OBSERVABLE, "two");
    run(w, 60000);
    assert_int_equal(r->silents, 1);
    assert_int_equal(r->resumed, 1);
    assert_string_equal(r->payload, "two");
    assert_int_equal(observers(w), 1);
    copal_cancel(r->exchange);
    run(w, 10);
}

/* ---- Bodies: RFC 8323 6 ---- */

static void a_body_that_the_peer_takes_goes_in_one_message(void **state)
{
    struct world *w = *state;
    struct party *s = serve_body(w, 0, "/t", 0, 100000), *a;

    a = ask_body(w, COPAL_PUT, TCP "/t", 100000);
    run(w, 10);
    assert_body(s, 100000, 1);
    assert_body(a, 100000, 1);
    assert_transcript(w, "   0 server > client 7.01\n"
                         "   0 client > server 7.01\n"
                         "   0 client > server PUT /t (100000 bytes)\n"
                         "   0 server > client 2.05 (100000 bytes)\n");
}

static void longer_bodies_go_in_blocks_of_several_kib(void **state)
{
    struct world *w = *state;
    struct party *s = serve_body(w, 0, "/t", 0, 100000), *a;

    tune(w->server, COPAL_P_MAX_MESSAGE, 40000);
    tune(w->client, COPAL_P_MAX_MESSAGE, 40000);
    a = ask_body(w, COPAL_PUT, TCP "/t", 100000);
    run(w, 10);
    assert_body(s, 100000, 1);
    assert_body(a, 100000, 1);
    assert_int_equal(count_in_transcript(w, "PUT /t 1:0/1/1024+"), 1);
    assert_int_equal(count_in_transcript(w, "PUT /t 1:32/1/1024+"), 1);
    assert_int_equal(count_in_transcript(w, "PUT /t 1:96/0/1024+"), 1);
    assert_int_equal(count_in_transcript(w, "PUT /t 2:96/0/1024+"), 1);
    assert_int_equal(count_in_transcript(w, "PUT"), 7);
}

static void a_peer_of_little_memory_gets_little_blocks(void **state)
{
    struct world *w = *state;
    struct party *s = serve_body(w, 0, "/t", 0, 3000), *a;

    tune(w->server, COPAL_P_MAX_MESSAGE, 1152);
    tune(w->client, COPAL_P_MAX_MESSAGE, 1152);
    a = ask_body(w, COPAL_PUT, TCP "/t", 3000);
    run(w, 10);
    assert_body(s, 3000, 1);
    assert_body(a, 3000, 1);
    assert_int_equal(count_in_transcript(w, "1024+"), 0);
    assert_int_equal(count_in_transcript(w, "PUT"), 5);
}

static void streams_flow_both_ways(void **state)
{
    struct world *w = *state;
    struct party *s = serve_body(w, 0, "/t", COPAL_STREAMED, 300000), *a;
    copal_msg *m;

    s->flags = COPAL_STREAM_OUT;
    tune(w->server, COPAL_P_MAX_MESSAGE, 40000);
    tune(w->client, COPAL_P_MAX_MESSAGE, 40000);
    m = request_of(w, COPAL_PUT, TCP "/t", 0);
    copal_msg_set_flags(m, COPAL_STREAM_OUT | COPAL_STREAM_IN);
    a = send_request(w, m);
    a->size = 200000;
    run(w, 100);
    assert_int_equal(s->len, 200000);
    assert_body(a, 300000, 1);
}

/* ---- Everything else that goes wrong ---- */

static void play_requests(struct world *w)
{
    struct record *r[4];

    serve_text(w, w->server, "/t", COPAL_OBSERVABLE, "x");
    for (int i = 0; i < 4; i++)
        r[i] = i == 3 ? observe(w, TCP "/t") : get(w, TCP "/t");
    run(w, 2000);
    copal_notify(w->server, "/t");
    run(w, 2000);
    if (!memory_failed(w))
        for (int i = 0; i < 3; i++)
            assert_ended(r[i], 0);
    if (r[3]->exchange != NULL && r[3]->ends == 0)
        copal_cancel(r[3]->exchange);
    run(w, 700000);
}

static void requests_survive_every_failed_allocation(void **state)
{
    (void)state;
    for_each_failed_allocation(play_requests);
}

static void weather_delays_and_loses_nothing(void **state)
{
    (void)state;
    bad_weather(play_requests, 50);
}

static void play_bodies(struct world *w)
{
    struct party *s = serve_body(w, 0, "/t", 0, 50000), *a;

    copal_tune(w->server, NULL, COPAL_P_MAX_MESSAGE, 20000);
    copal_tune(w->client, NULL, COPAL_P_MAX_MESSAGE, 20000);
    a = ask_body(w, COPAL_PUT, TCP "/t", 30000);
    run(w, 300000);
    if (!memory_failed(w)) {
        assert_body(s, 30000, 1);
        assert_body(a, 50000, 1);
    }
}

static void bodies_survive_every_failed_allocation(void **state)
{
    (void)state;
    bodies_with_failed_allocations(play_bodies);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, build, tear_down)
#define BODIES(name) \
    cmocka_unit_test_setup_teardown(name, build_bodies, tear_down_bodies)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(both_say_what_they_take_before_the_first_request),
        TEST(the_next_request_goes_by_the_same_connection),
        TEST(websocket_carries_one_message_a_frame),
        TEST(many_requests_are_under_way_at_once),
        TEST(a_ping_is_answered_by_a_pong),
        TEST(an_unknown_critical_option_gets_4_02),
        TEST(a_refused_connection_says_so),
        TEST(where_nobody_is_it_ends_after_10_s),
        BODIES(a_server_that_goes_ends_what_waits_for_it),
        BODIES(a_handler_hears_that_its_asker_went),
        BODIES(closing_lets_what_is_asked_be_answered),
        TEST(after_a_release_the_next_request_connects_anew),
        BODIES(notifications_come_in_order_and_are_not_confirmed),
        BODIES(observers_end_with_their_connection),
        BODIES(a_connection_that_is_observed_by_is_not_idle),
        TEST(a_watch_registers_by_a_new_connection),
        BODIES(a_body_that_the_peer_takes_goes_in_one_message),
        BODIES(longer_bodies_go_in_blocks_of_several_kib),
        BODIES(a_peer_of_little_memory_gets_little_blocks),
        BODIES(streams_flow_both_ways),
        cmocka_unit_test(requests_survive_every_failed_allocation),
        cmocka_unit_test(weather_delays_and_loses_nothing),
        cmocka_unit_test(bodies_survive_every_failed_allocation),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
