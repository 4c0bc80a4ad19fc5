/* Everyday work while memory runs out at any one point, and in bad weather: no
 * exchange is lost or stuck, nothing leaks, no POST is acted upon twice. */
#include "servers.h"

#define BIG 5120

static char big[BIG + 1];

static void make_big(void)
{
    for (size_t i = 0; i < BIG; i++)
        big[i] = (char)('a' + i % 26);
}

static uint8_t sum_of_big(void)
{
    uint8_t sum = 0;

    for (size_t i = 0; i < BIG; i++)
        sum = (uint8_t)(sum + (uint8_t)big[i]);
    return sum;
}

/* All that was begun has ended, on both sides. */
static void assert_settled(struct world *w)
{
    copal_stats stats = {.size = sizeof(stats)};

    copal_sim_run(w->sim, 600000);
    copal_get_stats(w->client, &stats);
    assert_int_equal(stats.exchanges_open, 0);
    assert_int_equal(stats.peers, 0);
    copal_get_stats(w->server, &stats);
    assert_int_equal(stats.exchanges_open, 0);
    assert_int_equal(stats.peers, 0);
}

/* Memory did not fail and the weather was fair: then it succeeds. */
static bool must_succeed(const struct world *w)
{
    return !memory_failed(w);
}

static void play_get(struct world *w)
{
    struct record *r;

    serve_text(w, w->server, "/t", 0, "22.3 C");
    r = get(w, "coap://server/t?a=b");
    assert_settled(w);
    if (must_succeed(w)) {
        assert_ended(r, 0);
        assert_string_equal(r->payload, "22.3 C");
    }
}

static void play_non(struct world *w)
{
    copal_msg *m = copal_msg_new(w->client, COPAL_GET);
    struct record *r = next_record(w);

    serve_text(w, w->server, "/t", 0, "22.3 C");
    copal_msg_set_uri(m, "coap://server/t");
    copal_msg_set_flags(m, COPAL_NON);
    r->exchange = copal_request(w->client, m, recording(r));
    r->is_asked = true;
    r->is_begun = r->exchange != NULL;
    copal_msg_unref(m);
    assert_settled(w);
}

static void play_post(struct world *w)
{
    struct record *served = serve_after(w, "/t", 1000, "done"), *r;

    r = ask(w, w->client, COPAL_POST, "coap://server/t", "do it");
    assert_settled(w);
    assert_in_range(served->requests, 0, 1);
    if (must_succeed(w)) {
        assert_ended(r, 0);
        assert_string_equal(r->payload, "done");
    }
}

static void play_observe(struct world *w)
{
    struct record *r;

    serve_text(w, w->server, "/t", COPAL_OBSERVABLE, "x");
    r = observe(w, "coap://server/t");
    for (int i = 0; i < 3; i++) {
        copal_sim_run(w->sim, 3000);
        copal_notify(w->server, "/t");
    }
    copal_sim_run(w->sim, 3000);
    if (must_succeed(w))
        assert_int_equal(r->responses, 4);
    if (r->is_begun && r->ends == 0)
        copal_cancel(r->exchange);
    assert_settled(w);
}

static void play_big_get(struct world *w)
{
    struct record *r;

    serve_text(w, w->server, "/big", 0, big);
    r = get(w, "coap://server/big");
    assert_settled(w);
    if (r->status == 0 && r->code == COPAL_CONTENT) {
        assert_int_equal(r->payload_len, BIG);
        assert_int_equal(r->sum, sum_of_big());
    }
    if (must_succeed(w))
        assert_ended(r, 0);
}

/* Unlike ask(), asks nothing where the body could not be set. */
static struct record *put_big(struct world *w)
{
    struct record *r = next_record(w);
    copal_msg *m = copal_msg_new(w->client, COPAL_PUT);
    int err = copal_msg_set_uri(m, "coap://server/big");

    if (err == 0)
        err = copal_msg_set_payload(m, COPAL_TEXT,
                                    (copal_bytes){(const uint8_t *)big, BIG});
    if (err == 0)
        r->exchange = copal_request(w->client, m, recording(r));
    else
        r->drops = 1;
    r->is_asked = true;
    r->is_begun = r->exchange != NULL;
    copal_msg_unref(m);
    return r;
}

static void play_big_put(struct world *w)
{
    struct record *served = serve_text(w, w->server, "/big", 0, "ok");
    struct record *r = put_big(w);

    assert_settled(w);
    if (served->requests > 0) {
        assert_int_equal(served->payload_len, BIG);
        assert_int_equal(served->sum, sum_of_big());
    }
    if (must_succeed(w)) {
        assert_ended(r, 0);
        assert_string_equal(r->payload, "ok");
    }
}

static void play_ping(struct world *w)
{
    struct record *r = next_record(w);

    r->exchange = copal_ping(w->client, "coap://server", recording(r));
    r->is_asked = true;
    r->is_begun = r->exchange != NULL;
    assert_settled(w);
    if (must_succeed(w))
        assert_ended(r, 0);
}

static void play_watch(struct world *w)
{
    struct record *r = next_record(w);

    serve_text(w, w->server, "/t", COPAL_OBSERVABLE, "x");
    r->exchange = copal_watch(w->client, "coap://server/t", recording(r));
    r->is_asked = true;
    r->is_begun = r->exchange != NULL;
    copal_sim_run(w->sim, 30000);
    copal_notify(w->server, "/t");
    copal_sim_run(w->sim, 100000);
    if (must_succeed(w))
        assert_true(r->responses >= 2);
    if (r->is_begun && r->ends == 0)
        copal_cancel(r->exchange);
    assert_settled(w);
}

/* The first world's birth counts its allocations already. */
static void play_birth(struct world *w)
{
    serve_text(w, w->server, "/a/{name}", COPAL_OBSERVABLE, "x");
    serve_text(w, w->server, "/a/b/*", COPAL_UNLISTED, "y");
    copal_describe(w->server, "/a/{name}", "rt", "temperature");
    copal_describe(w->server, "/a/{name}", "sz", NULL);
    copal_links(w->server);
    get(w, "coap://server/.well-known/core");
    get(w, "coap://server/a/c");
    copal_tune(w->client, "coap://server", COPAL_P_NSTART, 2);
    copal_understand(w->server, 65001);
    assert_settled(w);
    copal_unserve(w->server, "/a/{name}");
    get(w, "coap://server/a/c");
    assert_settled(w);
}

static void play_raw(struct world *w)
{
    struct record *r = next_record(w);
    copal_msg *m = copal_msg_new(w->client, COPAL_GET);

    copal_strays(w->client, recording(r));
    serve_text(w, w->server, "/t", 0, "x");
    copal_msg_add_text(m, COPAL_OPT_URI_PATH, "t");
    copal_msg_set_flags(m, COPAL_NON);
    copal_send(w->client, m, "coap://server");
    copal_msg_unref(m);
    assert_settled(w);
    if (must_succeed(w))
        assert_int_equal(r->strays, 1);
}

static void play_refusals(struct world *w)
{
    inject_hex(w, "192.0.2.1", "server", "4001 0001 b174 e1fcd101");
    inject_hex(w, "192.0.2.1", "server", "4001 0002 d11661");
    inject_hex(w, "192.0.2.1", "server", "4003 0003 b174 d10310 ff78");
    inject_hex(w, "192.0.2.1", "server", "4001 0004 b174 ff");
    inject_hex(w, "192.0.2.1", "server", "4145 0005 aa ff78");
    get(w, "coap://server/nothing");
    get(w, "coap://nowhere/");
    get(w, "no uri");
    assert_settled(w);
}

static void play_free(struct world *w)
{
    serve_after(w, "/late", 1000, "y");
    serve_text(w, w->server, "/t", COPAL_OBSERVABLE, "x");
    tap(w->client);
    tap(w->server);
    observe(w, "coap://server/t");
    get(w, "coap://server/late");
    get(w, "coap://192.0.2.1/");
    copal_sim_run(w->sim, 500);
    copal_notify(w->server, "/t");
    copal_close(w->client, 100);
}

#define SWEEP(name, play) \
    static void name(void **state) \
    { \
        (void)state; \
        for_each_failed_allocation(play); \
    }

#define STORM(name, play) \
    static void name(void **state) \
    { \
        (void)state; \
        bad_weather(play, 50); \
    }

SWEEP(a_get_survives_any_failed_allocation, play_get)
SWEEP(a_non_confirmable_survives_any_failed_allocation, play_non)
SWEEP(a_separate_answer_survives_any_failed_allocation, play_post)
SWEEP(an_observation_survives_any_failed_allocation, play_observe)
SWEEP(a_long_get_survives_any_failed_allocation, play_big_get)
SWEEP(a_long_put_survives_any_failed_allocation, play_big_put)
SWEEP(a_ping_survives_any_failed_allocation, play_ping)
SWEEP(a_watch_survives_any_failed_allocation, play_watch)
SWEEP(a_birth_survives_any_failed_allocation, play_birth)
SWEEP(raw_use_survives_any_failed_allocation, play_raw)
SWEEP(refusals_survive_any_failed_allocation, play_refusals)
SWEEP(an_end_survives_any_failed_allocation, play_free)

/* In a storm an exchange may fail, but not hang, nor give half an answer. */
static void storm_get(struct world *w)
{
    struct record *r[5];

    serve_text(w, w->server, "/t", 0, "22.3 C");
    for (int i = 0; i < 5; i++)
        r[i] = get(w, "coap://server/t");
    assert_settled(w);
    for (int i = 0; i < 5; i++) {
        assert_int_equal(r[i]->ends, 1);
        assert_true(r[i]->status == 0 || r[i]->status == COPAL_ETIMEOUT);
        assert_int_equal(r[i]->responses, r[i]->status == 0);
    }
}

static void storm_post(struct world *w)
{
    struct record *served = serve_after(w, "/t", 1000, "done");
    struct record *r[5];

    for (int i = 0; i < 5; i++)
        r[i] = ask(w, w->client, COPAL_POST, "coap://server/t", "do it");
    assert_settled(w);
    assert_in_range(served->requests, 0, 5); /* none twice */
    for (int i = 0; i < 5; i++) {
        assert_int_equal(r[i]->ends, 1);
        assert_int_equal(r[i]->responses, r[i]->status == 0);
    }
}

static void storm_observe(struct world *w)
{
    struct record *r;

    serve_text(w, w->server, "/t", COPAL_OBSERVABLE, "x");
    r = observe(w, "coap://server/t");
    for (int i = 0; i < 3; i++) {
        copal_sim_run(w->sim, 20000);
        copal_notify(w->server, "/t");
    }
    copal_sim_run(w->sim, 100000);
    if (r->ends == 0)
        assert_int_equal(copal_cancel(r->exchange), 0);
    assert_settled(w);
    assert_int_equal(r->ends, 1);
    assert_in_range(r->responses, 0, 4);
}

static void storm_big_get(struct world *w)
{
    struct record *r;

    serve_text(w, w->server, "/big", 0, big);
    r = get(w, "coap://server/big");
    assert_settled(w);
    assert_int_equal(r->ends, 1);
    if (r->status == 0) {
        assert_int_equal(r->payload_len, BIG);
        assert_int_equal(r->sum, sum_of_big());
    }
}

static void storm_big_put(struct world *w)
{
    struct record *served = serve_text(w, w->server, "/big", 0, "ok");
    struct record *r = put_big(w);

    assert_settled(w);
    assert_int_equal(r->ends, 1);
    assert_in_range(served->requests, 0, 1);
    if (served->requests > 0) {
        assert_int_equal(served->payload_len, BIG);
        assert_int_equal(served->sum, sum_of_big());
    }
}

static void storm_ping(struct world *w)
{
    struct record *r = next_record(w);

    r->exchange = copal_ping(w->client, "coap://server", recording(r));
    r->is_asked = r->is_begun = true;
    assert_settled(w);
    assert_int_equal(r->ends, 1);
}

static void storm_watch(struct world *w)
{
    struct record *r = next_record(w);

    serve_text(w, w->server, "/t", COPAL_OBSERVABLE, "x");
    r->exchange = copal_watch(w->client, "coap://server/t", recording(r));
    r->is_asked = r->is_begun = true;
    copal_sim_run(w->sim, 600000);
    assert_int_equal(r->ends, 0);
    assert_true(r->responses > 0);
    copal_cancel(r->exchange);
    assert_settled(w);
    assert_int_equal(r->ends, 1);
}

STORM(gets_survive_bad_weather, storm_get)
STORM(posts_are_acted_upon_once_in_bad_weather, storm_post)
STORM(an_observation_survives_bad_weather, storm_observe)
STORM(a_long_get_is_whole_or_fails_in_bad_weather, storm_big_get)
STORM(a_long_put_is_whole_or_fails_in_bad_weather, storm_big_put)
STORM(a_ping_survives_bad_weather, storm_ping)
STORM(a_watch_goes_on_in_bad_weather, storm_watch)

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_get_survives_any_failed_allocation),
        cmocka_unit_test(a_non_confirmable_survives_any_failed_allocation),
        cmocka_unit_test(a_separate_answer_survives_any_failed_allocation),
        cmocka_unit_test(an_observation_survives_any_failed_allocation),
        cmocka_unit_test(a_long_get_survives_any_failed_allocation),
        cmocka_unit_test(a_long_put_survives_any_failed_allocation),
        cmocka_unit_test(a_ping_survives_any_failed_allocation),
        cmocka_unit_test(a_watch_survives_any_failed_allocation),
        cmocka_unit_test(a_birth_survives_any_failed_allocation),
        cmocka_unit_test(raw_use_survives_any_failed_allocation),
        cmocka_unit_test(refusals_survive_any_failed_allocation),
        cmocka_unit_test(an_end_survives_any_failed_allocation),
        cmocka_unit_test(gets_survive_bad_weather),
        cmocka_unit_test(posts_are_acted_upon_once_in_bad_weather),
        cmocka_unit_test(an_observation_survives_bad_weather),
        cmocka_unit_test(a_long_get_is_whole_or_fails_in_bad_weather),
        cmocka_unit_test(a_long_put_is_whole_or_fails_in_bad_weather),
        cmocka_unit_test(a_ping_survives_bad_weather),
        cmocka_unit_test(a_watch_goes_on_in_bad_weather),
    };

    make_big();
    return cmocka_run_group_tests(tests, NULL, NULL);
}
