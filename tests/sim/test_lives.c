/* Two hosts that do at random what programs do, in bad weather, with reboots
 * and changes of address: every exchange begun ends once, every callback is
 * dropped once, and nothing is left. */
#include "support.h"
#include <stdlib.h>

enum {
    LIVES = 40,
    STEPS = 250,
    MAX_HELD = 16
};

/* One request of a life. */
struct asked {
    struct life *life;
    copal_exchange *x; /* NULL: over */
    int ends;
};

struct life {
    struct world *w;
    uint32_t seed;
    copal *host[2];
    struct asked asked[STEPS];
    size_t count;
    copal_exchange *held[MAX_HELD]; /* requests to be answered some day */
    size_t held_count;
    size_t begun, ended, taken, dropped;
    enum hardship {
        NONE,
        STARVED, /* an allocation fails now and then */
        NARROW,  /* limits are low */
        MORTAL   /* callbacks free their endpoint now and then */
    } hardship;
    bool is_over; /* only counts from now on */
};

static const char *const names[] = {"client", "server"};

static uint32_t dice(struct life *l, uint32_t sides)
{
    l->seed = l->seed * 1664525u + 1013904223u;
    return (l->seed >> 8) % sides;
}

static void count_drop(void *user)
{
    struct life *l = user;

    l->dropped++;
}

static void drop_asked(void *user)
{
    struct asked *a = user;

    a->life->dropped++;
    a->x = NULL;
}

/* ---- Serving ---- */

static const char body[3000] = "a body of some length";

/* From a callback: it is begun anew by the next step. */
static void die_perhaps(struct life *l, copal_exchange *x)
{
    copal *c = copal_exchange_endpoint(x);

    if (l->hardship != MORTAL || l->is_over || dice(l, 30) > 0)
        return;
    for (int i = 0; i < 2; i++)
        if (l->host[i] == c) {
            l->host[i] = NULL;
            copal_free(c);
        }
}

static void answer(struct life *l, copal_exchange *x)
{
    static const int codes[] = {COPAL_CONTENT, COPAL_CHANGED,
                                COPAL_BAD_REQUEST};
    const copal_bytes bytes = {(const uint8_t *)body,
                               dice(l, 3) == 0 ? sizeof(body) : 20};

    copal_reply(x, codes[dice(l, 3)], COPAL_TEXT, bytes);
}

static void on_request(const copal_event *ev, void *user)
{
    struct life *l = user;

    if (ev->kind != COPAL_REQUEST || l->is_over)
        return;
    switch (dice(l, 5)) {
    case 0: break; /* 5.00 */
    case 1:
        if (l->held_count < MAX_HELD) {
            l->held[l->held_count++] = copal_exchange_ref(ev->exchange);
            break;
        } /* fall through */
    default: answer(l, ev->exchange);
    }
    die_perhaps(l, ev->exchange);
}

static void serve(struct life *l, copal *c)
{
    static const struct {
        const char *path;
        unsigned flags;
    } rows[] = {{"/a", 0},
                {"/o", COPAL_OBSERVABLE},
                {"/p", COPAL_OBSERVABLE | COPAL_PER_PEER},
                {"/s", COPAL_STREAMED}};

    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        l->taken++;
        copal_serve(c, 0, rows[i].path, rows[i].flags,
                    COPAL_CB_OWN(on_request, l, count_drop));
    }
}

static void answer_held(struct life *l)
{
    copal_exchange *x;

    if (l->held_count == 0)
        return;
    x = l->held[--l->held_count];
    if (dice(l, 4) > 0)
        answer(l, x);
    copal_exchange_unref(x);
}

/* ---- Asking ---- */

static void on_answer(const copal_event *ev, void *user)
{
    struct asked *a = user;
    struct life *l = a->life;

    if (ev->kind == COPAL_END) {
        a->ends++;
        a->x = NULL;
        l->ended++;
    } else if (!l->is_over && dice(l, 10) == 0) {
        copal_cancel(ev->exchange);
    } else if (!l->is_over && dice(l, 10) == 0) {
        copal_pause(ev->exchange);
    }
    die_perhaps(l, ev->exchange);
}

static void ask_random(struct life *l, copal *c)
{
    static const char *const uris[] = {
        "coap://server/a", "coap://server/o",  "coap://client/o",
        "coap://server/p", "coap://client/a",  "coap://server/s",
        "coap://server/x", "coap://nowhere/a", "coap://192.0.2.1/a"};
    static const unsigned flags[] = {0, 0, COPAL_NON, COPAL_STREAM_IN,
                                     COPAL_TELL_PROGRESS};
    struct asked *a = &l->asked[l->count++];
    const char *uri = uris[dice(l, 9)];
    copal_cb cb = COPAL_CB_OWN(on_answer, a, drop_asked);
    copal_msg *m;

    a->life = l;
    l->taken++;
    switch (dice(l, 6)) {
    case 0: a->x = copal_observe(c, uri, cb); break;
    case 1: a->x = copal_watch(c, uri, cb); break;
    case 2: a->x = copal_ping(c, uri, cb); break;
    case 3: a->x = copal_get(c, uri, cb); break;
    default:
        m = copal_msg_new(c, (int)dice(l, 7) + 1);
        copal_msg_set_uri(m, uri);
        copal_msg_set_flags(m, flags[dice(l, 5)]);
        if (dice(l, 2) == 0)
            copal_msg_set_payload(
                m, COPAL_TEXT,
                (copal_bytes){(const uint8_t *)body, dice(l, sizeof(body))});
        if (dice(l, 4) == 0)
            copal_msg_tune(m, COPAL_P_TIMEOUT, dice(l, 20000) + 1);
        a->x = copal_request(c, m, cb);
        copal_msg_unref(m);
    }
    l->begun += a->x != NULL;
}

static void use_one(struct life *l, int (*use)(copal_exchange *x))
{
    struct asked *a;

    if (l->count == 0)
        return;
    a = &l->asked[dice(l, (uint32_t)l->count)];
    if (a->x != NULL)
        use(a->x);
}

/* ---- The hosts ---- */

static void narrow(struct life *l, copal *c)
{
    copal_tune(c, NULL, COPAL_P_MAX_PEERS, dice(l, 3) + 1);
    copal_tune(c, NULL, COPAL_P_MAX_EXCHANGES, dice(l, 8) + 1);
    copal_tune(c, NULL, COPAL_P_MAX_OBSERVERS, dice(l, 3));
    copal_tune(c, NULL, COPAL_P_PEER_OBSERVERS, dice(l, 3));
    copal_tune(c, NULL, COPAL_P_PEER_BODIES, dice(l, 3));
    copal_tune(c, NULL, COPAL_P_BODY_MEMORY, dice(l, 6000));
    copal_tune(c, NULL, COPAL_P_MAX_BODY, dice(l, 4000));
    copal_tune(c, NULL, COPAL_P_DEDUP_MEMORY, dice(l, 4000));
}

static void begin(struct life *l, unsigned i)
{
    l->w->heap.fail_at = 0;
    l->host[i] = add_host(l->w, names[i]);
    assert_non_null(l->host[i]);
    copal_tune(l->host[i], NULL, COPAL_P_NSTART, dice(l, 3) + 1);
    if (l->hardship == NARROW)
        narrow(l, l->host[i]);
    serve(l, l->host[i]);
}

static void reboot(struct life *l, unsigned i)
{
    copal_free(l->host[i]);
    begin(l, i);
}

static void step(struct life *l)
{
    static const char *const paths[] = {"/o", "/p", "/a"};
    unsigned i = dice(l, 2);

    if (l->host[i] == NULL)
        begin(l, i);
    if (l->hardship == STARVED) {
        runs_differ = true;
        l->w->heap.fail_at = l->w->heap.asked + 1 + dice(l, 60);
    }
    switch (dice(l, 20)) {
    case 0: use_one(l, copal_cancel); break;
    case 1: use_one(l, copal_pause); break;
    case 2: use_one(l, copal_resume); break;
    case 3:
    case 4: answer_held(l); break;
    case 5:
    case 6: copal_notify(l->host[i], paths[dice(l, 3)]); break;
    case 7: copal_sim_move(l->w->sim, names[i]); break;
    case 8:
        if (dice(l, 3) == 0)
            reboot(l, i);
        break;
    case 9:
        if (dice(l, 4) == 0)
            copal_unserve(l->host[i], paths[dice(l, 3)]);
        break;
    case 10:
        if (dice(l, 10) == 0)
            copal_close(l->host[i], dice(l, 5000));
        break;
    default: ask_random(l, l->host[i]);
    }
    copal_sim_run(l->w->sim, dice(l, 4) == 0 ? dice(l, 30000) : dice(l, 300));
}

static void live(struct world *w, uint32_t seed, enum hardship hardship)
{
    struct life *l = calloc(1, sizeof(*l));

    assert_non_null(l);
    l->w = w;
    l->seed = seed;
    l->hardship = hardship;
    for (unsigned i = 0; i < 2; i++) {
        copal_free(i == 0 ? w->client : w->server);
        begin(l, i);
    }
    for (int i = 0; i < STEPS; i++)
        step(l);
    if (dice(l, 2) == 0)
        copal_sim_run(w->sim, 1000000);
    l->is_over = true;
    while (l->held_count > 0)
        copal_exchange_unref(l->held[--l->held_count]);
    copal_free(l->host[0]);
    copal_free(l->host[1]);
    for (size_t i = 0; i < l->count; i++)
        assert_in_range(l->asked[i].ends, 0, 1);
    assert_int_equal(l->ended, l->begun);
    assert_int_equal(l->dropped, l->taken);
    free(l);
}

static void live_many(enum hardship hardship)
{
    const copal_sim_path storm = {.delay = 10,
                                  .jitter = 50,
                                  .loss = 15,
                                  .duplication = 15,
                                  .reordering = 15};

    for (uint32_t seed = 1; seed <= LIVES; seed++) {
        struct world *w = new_world(seed, 0);

        if (seed % 4 != 0)
            copal_sim_set_path(w->sim, NULL, NULL, storm);
        copal_sim_keep(w->sim, 4096);
        live(w, seed, hardship);
        free_world(w);
    }
}

static void all_that_begins_ends_once(void **state)
{
    (void)state;
    live_many(NONE);
}

static void all_that_begins_ends_once_while_memory_fails(void **state)
{
    (void)state;
    live_many(STARVED);
}

static void all_that_begins_ends_once_within_low_limits(void **state)
{
    (void)state;
    live_many(NARROW);
}

static void all_that_begins_ends_once_when_callbacks_free(void **state)
{
    (void)state;
    live_many(MORTAL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(all_that_begins_ends_once),
        cmocka_unit_test(all_that_begins_ends_once_while_memory_fails),
        cmocka_unit_test(all_that_begins_ends_once_within_low_limits),
        cmocka_unit_test(all_that_begins_ends_once_when_callbacks_free),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
