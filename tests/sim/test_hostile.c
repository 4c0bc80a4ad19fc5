/* Whatever strangers send, a server goes on serving, and owes them nothing. */
#include "../junk.h"
#include "strangers.h"

enum {
    DATAGRAMS = 100000,
    ADDRESSES = 20000,
    A_TURN = 64,
    PLENTY = 64 << 20 /* bytes that a server may have come to need */
};

/* Of every kind, so that much is reached. */
static void serve_all(struct world *w)
{
    serve_text(w, w->server, "/t", 0, "22.5 C");
    serve_text(w, w->server, "/*", COPAL_OBSERVABLE, "any");
    serve_text(w, w->server, "/", COPAL_OBSERVABLE | COPAL_GROUP, "root");
    serve_body(w, COPAL_PUT, "/b", 0, 3000);
    serve_body(w, COPAL_POST, "/s", COPAL_STREAMED, 10);
    tune(w->server, COPAL_P_Q_BLOCK, 1);
    tune(w->server, COPAL_P_MAX_TOKEN, 32);
}

static void assert_served(struct world *w)
{
    struct record *r = get(w, "coap://server/t");

    run(w, 100000);
    assert_ended(r, 0);
    assert_string_equal(r->payload, "22.5 C");
}

static void after_100000_datagrams_the_server_still_answers(void **state)
{
    struct world *w = *state;
    struct junk *j = junk_new(7);
    copal_stats before, after;

    assert_non_null(j);
    serve_all(w);
    before = stats_of(w->server);
    for (unsigned i = 0; i < DATAGRAMS; i++) {
        junk_next(j);
        assert_int_equal(
            copal_sim_inject(w->sim, stranger(junk_below(j, ADDRESSES)),
                             "server", (copal_bytes){j->data, j->len}),
            0);
        if (i % A_TURN == A_TURN - 1)
            run(w, junk_below(j, 40));
        if (i % (DATAGRAMS / 4) == DATAGRAMS / 8)
            assert_served(w);
    }
    run(w, 1000);
    after = stats_of(w->server);
    assert_true(after.datagrams_in - before.datagrams_in >= DATAGRAMS);
    assert_true(after.datagrams_out - before.datagrams_out > DATAGRAMS / 10);
    assert_true(after.malformed > DATAGRAMS / 10);
    assert_true(after.memory - before.memory < PLENTY);
    assert_served(w);
    free(j);
}

static int build_hostile(void **state)
{
    runs_differ = true; /* too long to be recorded */
    return build_guarded(state);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(
            after_100000_datagrams_the_server_still_answers, build_hostile,
            tear_down_bodies),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
