/* How much is sent to whom, and how soon again: PROBING_RATE and CoCoA.
 * RFC 7252 4.7, draft-ietf-core-cocoa. */
#include "servers.h"

#define SERVER "coap://server"
#define NOBODY "192.0.2.1"

static struct record *get_non(struct world *w, const char *uri)
{
    struct record *r = next_record(w);
    copal_msg *m = copal_msg_new(w->client, COPAL_GET);

    copal_msg_set_uri(m, uri);
    copal_msg_set_flags(m, COPAL_NON);
    r->exchange = copal_request(w->client, m, recording(r));
    r->is_asked = true;
    r->is_begun = r->exchange != NULL;
    copal_msg_unref(m);
    return r;
}

static void set_path(struct world *w, const char *from, const char *to,
                     uint32_t delay, uint32_t loss)
{
    assert_int_equal(
        copal_sim_set_path(w->sim, from, to,
                           (copal_sim_path){.delay = delay, .loss = loss}),
        0);
}

static uint64_t memory_of(const copal *c)
{
    copal_stats s = {.size = sizeof(s)};

    copal_get_stats(c, &s);
    return s.memory;
}

static uint64_t retransmissions_of(const copal *c)
{
    copal_stats s = {.size = sizeof(s)};

    copal_get_stats(c, &s);
    return s.retransmissions;
}

/* ---- PROBING_RATE, RFC 7252 4.7 ---- */

/* 4 bytes of header, 8 of token, "/1": 14. */
static void who_never_answered_is_probed_at_probing_rate(void **state)
{
    struct world *w = *state;

    get_non(w, "coap://" NOBODY "/1");
    get_non(w, "coap://" NOBODY "/2");
    get_non(w, "coap://" NOBODY "/3");
    copal_sim_run(w->sim, 60000);
    assert_transcript(w, "   0 client > 192.0.2.1 NON GET 0001 /1 (nobody)\n"
                         "14000 client > 192.0.2.1 NON GET 0002 /2 (nobody)\n"
                         "28000 client > 192.0.2.1 NON GET 0003 /3 (nobody)\n");
}

static void probing_rate_can_be_set_for_a_scope(void **state)
{
    struct world *w = *state;

    copal_tune(w->client, "coap://" NOBODY, COPAL_P_PROBING_RATE, 2);
    tune(w->client, COPAL_P_NSTART, 9);
    get_non(w, "coap://" NOBODY "/1");
    get_non(w, "coap://" NOBODY "/2");
    copal_sim_run(w->sim, 10000);
    assert_transcript(w, "   0 client > 192.0.2.1 NON GET 0001 /1 (nobody)\n"
                         "7000 client > 192.0.2.1 NON GET 0002 /2 (nobody)\n");
}

static void giving_up_a_probe_earns_no_other(void **state)
{
    struct world *w = *state;

    for (int i = 0; i < 20; i++) {
        copal_cancel(get_non(w, "coap://" NOBODY "/1")->exchange);
        copal_sim_run(w->sim, 1000);
    }
    get_non(w, "coap://" NOBODY "/2");
    copal_sim_run(w->sim, 1000);
    assert_int_equal(count_in_transcript(w, "/1"), 2);
    assert_int_equal(count_in_transcript(w, "14000 client"), 1);
    assert_int_equal(count_in_transcript(w, "/2"), 0);
}

/* In any while, no more than the rate allows and one message beyond. */
static void a_silent_peer_gets_no_more_than_the_rate(void **state)
{
    struct world *w = *state;
    copal_stats stats = {.size = sizeof(stats)};

    tune(w->client, COPAL_P_PROBING_RATE, 10);
    for (int i = 0; i < 12; i++) {
        for (int k = 0; k < 5; k++)
            get_non(w, "coap://" NOBODY "/silent");
        copal_sim_run(w->sim, 5000);
        copal_get_stats(w->client, &stats);
        assert_in_range(stats.bytes_out, 0,
                        copal_sim_now(w->sim) / 1000 * 10 + 19);
    }
    assert_true(stats.bytes_out > 550);
}

static void who_answers_is_asked_again_at_once(void **state)
{
    struct world *w = *state;

    serve_text(w, w->server, "/t", 0, "x");
    for (int i = 0; i < 50; i++) {
        struct record *r = get_non(w, SERVER "/t");

        copal_sim_run(w->sim, 1);
        assert_ended(r, 0);
    }
}

static void an_answer_lets_those_go_that_wait(void **state)
{
    struct world *w = *state;
    struct record *r[3];

    serve_text(w, w->server, "/t", 0, "x");
    set_path(w, NULL, NULL, 3000, 0);
    for (int i = 0; i < 3; i++)
        r[i] = get_non(w, SERVER "/t");
    copal_sim_run(w->sim, 18000);
    for (int i = 0; i < 3; i++)
        assert_ended(r[i], 0);
    assert_transcript(w, "   0 client > server NON GET 0001 /t\n"
                         "3000 server > client NON 2.05 0001 \"x\"\n"
                         "6000 client > server NON GET 0002 /t\n"
                         "8000 client > server NON GET 0003 /t\n"
                         "9000 server > client NON 2.05 0002 \"x\"\n"
                         "11000 server > client NON 2.05 0003 \"x\"\n");
}

static void any_datagram_of_the_peer_ends_its_silence(void **state)
{
    struct world *w = *state;

    get_non(w, "coap://" NOBODY "/1");
    get_non(w, "coap://" NOBODY "/2");
    copal_sim_run(w->sim, 3000);
    inject_made(w, NOBODY, "4000 0001"); /* a ping of its own */
    copal_sim_run(w->sim, 0);
    assert_int_equal(count_in_transcript(w, "3000 client > 192.0.2.1 NON GET"),
                     1);
}

/* Who answered before may lose as many as a confirmable has transmissions. */
static void who_answered_once_may_lose_some(void **state)
{
    struct world *w = *state;

    serve_text(w, w->server, "/t", 0, "x");
    get_non(w, SERVER "/t");
    copal_sim_run(w->sim, 1000);
    copal_sim_lose(w->sim, "server", 100);
    for (int i = 0; i < 5; i++)
        get_non(w, SERVER "/t");
    copal_sim_run(w->sim, 64000);
    get_non(w, SERVER "/t"); /* waits until 5 of 21 bytes are paid for */
    copal_sim_run(w->sim, 60000);
    assert_transcript(w, "   0 client > server NON GET 0001 /t\n"
                         "   0 server > client NON 2.05 0001 \"x\"\n"
                         "1000 client > server NON GET 0002 /t\n"
                         "1000 server > client NON 2.05 0002 \"x\" (lost)\n"
                         "3000 client > server NON GET 0003 /t\n"
                         "3000 server > client NON 2.05 0003 \"x\" (lost)\n"
                         "7000 client > server NON GET 0004 /t\n"
                         "7000 server > client NON 2.05 0004 \"x\" (lost)\n"
                         "15000 client > server NON GET 0005 /t\n"
                         "15000 server > client NON 2.05 0005 \"x\" (lost)\n"
                         "31000 client > server NON GET 0006 /t\n"
                         "31000 server > client NON 2.05 0006 \"x\" (lost)\n"
                         "106000 client > server NON GET 0007 /t\n"
                         "106000 server > client NON 2.05 0007 \"x\" (lost)\n");
}

static void confirmable_messages_wait_for_no_probe(void **state)
{
    struct world *w = *state;

    get_non(w, "coap://" NOBODY "/1");
    get_non(w, "coap://" NOBODY "/2");
    get(w, "coap://" NOBODY "/con");
    copal_sim_run(w->sim, 3000);
    assert_transcript(w,
                      "   0 client > 192.0.2.1 NON GET 0001 /1 (nobody)\n"
                      "2000 client > 192.0.2.1 CON GET 0003 /con (nobody)\n");
}

static void one_silent_peer_holds_up_no_other(void **state)
{
    struct world *w = *state;
    struct record *r;

    serve_text(w, w->server, "/t", 0, "x");
    get_non(w, "coap://" NOBODY "/1");
    get_non(w, "coap://" NOBODY "/2");
    r = get_non(w, SERVER "/t");
    copal_sim_run(w->sim, 0);
    assert_ended(r, 0);
}

static void what_was_never_sent_says_so(void **state)
{
    struct world *w = *state;
    struct record *r;

    for (int i = 0; i < 7; i++)
        get_non(w, "coap://" NOBODY "/1");
    r = get_non(w, "coap://" NOBODY "/last");
    copal_sim_run(w->sim, 300000);
    assert_ended(r, COPAL_ETIMEOUT);
    assert_non_null(strstr(r->text, "never sent"));
    assert_int_equal(count_in_transcript(w, "/last"), 0);
}

static void learn_of_peers(struct world *w)
{
    get(w, SERVER "/t");
    get_non(w, SERVER "/t");
    get_non(w, "coap://" NOBODY "/1");
    copal_sim_run(w->sim, 1000);
}

static void what_is_known_of_peers_is_forgotten(void **state)
{
    struct world *w = *state;
    uint64_t before;

    tune(w->client, COPAL_P_CONGESTION, 1);
    serve_text(w, w->server, "/t", 0, "x");
    learn_of_peers(w); /* tables grow once */
    copal_sim_run(w->sim, 400000);
    before = memory_of(w->client);
    learn_of_peers(w);
    assert_true(memory_of(w->client) > before);
    copal_sim_run(w->sim, 400000);
    assert_int_equal(memory_of(w->client), before);
}

static void what_is_known_of_peers_is_bounded(void **state)
{
    struct world *w = *state;
    copal_stats stats = {.size = sizeof(stats)};
    char uri[64];
    uint64_t at_500 = 0;

    tune(w->client, COPAL_P_MAX_PEERS, 100);
    for (int i = 0; i < 1000; i++) {
        /* All of one length: the URIs asked for last are kept, too. */
        snprintf(uri, sizeof(uri), "coap://10.0.1%d.1%02d/t", i / 100, i % 100);
        copal_cancel(get_non(w, uri)->exchange);
        copal_sim_run(w->sim, 0);
        if (i == 500)
            at_500 = memory_of(w->client);
    }
    copal_get_stats(w->client, &stats);
    assert_int_equal(stats.memory, at_500);
    assert_int_equal(stats.limited, 900);
    assert_int_equal(stats.peers, 0);
}

static void probe_in_weather(struct world *w)
{
    struct record *r[12], *after;

    serve_text(w, w->server, "/t", 0, "x");
    for (int i = 0; i < 12; i++) {
        r[i] = get_non(w, SERVER "/t");
        copal_sim_run(w->sim, 500);
    }
    copal_sim_run(w->sim, 400000);
    for (int i = 0; i < 12; i++)
        assert_int_equal(r[i]->ends, 1);
    after = get_non(w, SERVER "/t");
    copal_sim_run(w->sim, 400000);
    assert_int_equal(after->ends, 1);
}

static void probing_survives_bad_weather(void **state)
{
    (void)state;
    bad_weather(probe_in_weather, 50);
}

static void probe_and_measure(struct world *w)
{
    tune(w->client, COPAL_P_CONGESTION, 1);
    serve_text(w, w->server, "/t", 0, "x");
    get(w, SERVER "/t");
    get_non(w, SERVER "/t");
    get_non(w, SERVER "/t");
    copal_sim_run(w->sim, 400000);
}

static void congestion_control_survives_every_failed_allocation(void **state)
{
    (void)state;
    for_each_failed_allocation(probe_and_measure);
}

/* ---- CoCoA ---- */

static void get_in_turn(struct world *w, int count, uint64_t ms)
{
    for (int i = 0; i < count; i++) {
        struct record *r = get(w, SERVER "/t");

        copal_sim_run(w->sim, ms);
        assert_ended(r, 0);
    }
}

static void on_a_slow_path_spurious_retransmissions_stop(void **state)
{
    struct world *w = *state;
    uint64_t learnt;

    serve_text(w, w->server, "/t", 0, "x");
    set_path(w, NULL, NULL, 1500, 0);
    tune(w->client, COPAL_P_CONGESTION, 1);
    get_in_turn(w, 6, 4000);
    learnt = retransmissions_of(w->client);
    assert_in_range(learnt, 1, 5);
    get_in_turn(w, 20, 4000);
    assert_int_equal(retransmissions_of(w->client), learnt);
}

static void without_cocoa_they_do_not(void **state)
{
    struct world *w = *state;

    serve_text(w, w->server, "/t", 0, "x");
    set_path(w, NULL, NULL, 1500, 0);
    get_in_turn(w, 26, 4000);
    assert_int_equal(retransmissions_of(w->client), 26);
}

/* First after ACK_TIMEOUT, then ever sooner, but not below 300 ms. */
static void on_a_fast_path_what_was_lost_is_sent_again_soon(void **state)
{
    struct world *w = *state;

    serve_text(w, w->server, "/t", 0, "x");
    set_path(w, NULL, NULL, 10, 0);
    tune(w->client, COPAL_P_CONGESTION, 1);
    get_in_turn(w, 6, 1000);
    copal_sim_lose(w->sim, "client", 2);
    get_in_turn(w, 1, 2000);
    assert_int_equal(count_in_transcript(w, "6000 client > server CON"), 1);
    assert_int_equal(count_in_transcript(w, "6300 client > server CON"), 1);
    assert_int_equal(count_in_transcript(w, "7200 client > server CON"), 1);
}

static void what_was_measured_long_ago_counts_less(void **state)
{
    struct world *w = *state;

    serve_text(w, w->server, "/t", 0, "x");
    set_path(w, NULL, NULL, 10, 0);
    tune(w->client, COPAL_P_CONGESTION, 1);
    get_in_turn(w, 6, 1000);
    copal_sim_run(w->sim, 10000); /* 300 ms, 600 ms after 4.8 s, 1200 ms */
    copal_sim_lose(w->sim, "client", 1);
    get_in_turn(w, 1, 2000);
    assert_int_equal(count_in_transcript(w, "16000 client > server CON"), 1);
    assert_int_equal(count_in_transcript(w, "16600 client > server CON"), 1);
}

static void a_round_trip_is_known_of_one_peer_only(void **state)
{
    struct world *w = *state;

    serve_text(w, w->server, "/t", 0, "x");
    tune(w->client, COPAL_P_CONGESTION, 1);
    get_in_turn(w, 6, 1000);
    get(w, "coap://" NOBODY "/1");
    copal_sim_run(w->sim, 3000);
    assert_int_equal(count_in_transcript(w, "8000 client > 192.0.2.1"), 1);
}

/* A series that lasts longer than others allow for is cut nowhere. */
static void cocoa_in_weather(struct world *w)
{
    int ended = 0;

    serve_text(w, w->server, "/t", 0, "x");
    tune(w->client, COPAL_P_CONGESTION, 1);
    for (int i = 0; i < 20; i++) {
        struct record *r = get(w, SERVER "/t");

        copal_sim_run(w->sim, 240000);
        assert_int_equal(r->ends, 1);
        ended += r->status == 0;
    }
    assert_in_range(ended, 18, 20);
}

static void cocoa_survives_bad_weather(void **state)
{
    (void)state;
    bad_weather(cocoa_in_weather, 50);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, build, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(who_never_answered_is_probed_at_probing_rate),
        TEST(probing_rate_can_be_set_for_a_scope),
        TEST(giving_up_a_probe_earns_no_other),
        TEST(a_silent_peer_gets_no_more_than_the_rate),
        TEST(who_answers_is_asked_again_at_once),
        TEST(an_answer_lets_those_go_that_wait),
        TEST(any_datagram_of_the_peer_ends_its_silence),
        TEST(who_answered_once_may_lose_some),
        TEST(confirmable_messages_wait_for_no_probe),
        TEST(one_silent_peer_holds_up_no_other),
        TEST(what_was_never_sent_says_so),
        TEST(what_is_known_of_peers_is_forgotten),
        TEST(what_is_known_of_peers_is_bounded),
        cmocka_unit_test(probing_survives_bad_weather),
        cmocka_unit_test(congestion_control_survives_every_failed_allocation),
        TEST(on_a_slow_path_spurious_retransmissions_stop),
        TEST(without_cocoa_they_do_not),
        TEST(on_a_fast_path_what_was_lost_is_sent_again_soon),
        TEST(what_was_measured_long_ago_counts_less),
        TEST(a_round_trip_is_known_of_one_peer_only),
        cmocka_unit_test(cocoa_survives_bad_weather),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
