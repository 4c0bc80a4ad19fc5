/* What is kept of who asks and of who observes, in bytes: by the thousand, so
 * that tables are as full as they are. */
#include "servers.h"

enum {
    MANY = 10000,
    ASKED = 96,    /* bytes: of who asked once */
    OBSERVES = 160 /* of who observes, and so asked once, too */
};

/* Where each allocation is on its own they are larger: not what is measured. */
#if defined(__SANITIZE_ADDRESS__)
enum {
    IS_MEASURED = 0
};
#else
enum {
    IS_MEASURED = 1
};
#endif

static uint64_t memory_of(copal *c)
{
    copal_stats s = {.size = sizeof(s)};

    copal_get_stats(c, &s);
    return s.memory;
}

/* Whose small records share large pieces, as they do outside of tests. */
static copal *plain_server(struct world *w)
{
    copal *c = copal_sim_endpoint(w->sim, "plain", NULL);

    assert_non_null(c);
    copal_sim_keep(w->sim, 0);
    return c;
}

/* In addresses that share nothing. */
static void from_stranger(struct world *w, unsigned i, const char *hex)
{
    char from[20];

    snprintf(from, sizeof(from), "10.%u.%u.1", i >> 8 & 255, i & 255);
    inject_hex(w, from, "plain", hex);
}

/* hex from MANY strangers, and bytes kept of each. */
static double weight_of(struct world *w, copal *c, const char *hex)
{
    uint64_t before;

    from_stranger(w, MANY, hex);
    copal_sim_run(w->sim, 0);
    before = memory_of(c);
    for (unsigned i = 0; i < MANY; i++) {
        from_stranger(w, i, hex);
        if (i % 64 == 63)
            copal_sim_run(w->sim, 0);
    }
    copal_sim_run(w->sim, 0);
    return (double)(memory_of(c) - before) / MANY;
}

static void assert_at_most(double bytes, int most)
{
    if (!IS_MEASURED || bytes <= most)
        return;
    fail_msg("%.1f bytes, %d at most", bytes, most);
}

/* CON GET /t with a token of 4 bytes. */
#define GET_T     "4401 1234 0a0b0c0d b174"
#define OBSERVE_T "4401 1234 0a0b0c0d 60 5174"

static void who_asked_once_takes_96_bytes(void **state)
{
    struct world *w = *state;
    copal *c = plain_server(w);
    struct record *served = serve_text(w, c, "/t", 0, "hello, world");

    assert_at_most(weight_of(w, c, GET_T), ASKED);
    assert_int_equal(served->requests, MANY + 1);
}

static void who_observes_takes_160_bytes(void **state)
{
    struct world *w = *state;
    copal *c = plain_server(w);

    serve_text(w, c, "/t", COPAL_OBSERVABLE, "hello, world");
    assert_at_most(weight_of(w, c, OBSERVE_T), OBSERVES);
    assert_int_equal(copal_notify(c, "/t"), MANY + 1);
}

/* Once it acknowledged nothing is under way any more. */
static void an_observer_weighs_no_more_after_it_was_told(void **state)
{
    struct world *w = *state;
    struct record *r;
    uint64_t before;

    serve_text(w, w->server, "/t", COPAL_OBSERVABLE, "hello, world");
    r = observe(w, "coap://server/t");
    copal_sim_run(w->sim, 1000);
    before = memory_of(w->server);
    for (int i = 0; i < 5; i++) {
        copal_notify(w->server, "/t");
        copal_sim_run(w->sim, 1000);
    }
    assert_int_equal(r->responses, 6);
    assert_int_equal(memory_of(w->server), before);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, build, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(who_asked_once_takes_96_bytes),
        TEST(who_observes_takes_160_bytes),
        TEST(an_observer_weighs_no_more_after_it_was_told),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
