/* Behaviours that are each well alone, two at a time, in each kind of trouble,
 * over many seeds: what must hold whatever happens. Prints the table. */
#include "bodies.h"

enum {
    LONG = 3000, /* three blocks of 1024 */
    LAST = 9,    /* the state that everybody has to know in the end */
    CALM_MS = 400000,
    SEEDS = 50
};

enum trouble {
    NO_TROUBLE,
    LOSS,
    DUPLICATION,
    REORDERING,
    LATENESS,
    CANCEL,
    REBOOT,
    TOKEN_REUSE,
    TROUBLES
};

static const char *const trouble_names[TROUBLES] = {
    "none", "loss",   "duplicates", "reordering",
    "late", "cancel", "reboot",     "token reuse"};

static const copal_sim_path paths[TROUBLES] = {
    [NO_TROUBLE] = {.delay = 10},
    [LOSS] = {.delay = 10, .jitter = 20, .loss = 25},
    [DUPLICATION] = {.delay = 10, .jitter = 400, .duplication = 50},
    [REORDERING] = {.delay = 10, .jitter = 900, .reordering = 50},
    [LATENESS] = {.delay = 1500, .jitter = 6000}, /* beyond ACK_TIMEOUT */
    [CANCEL] = {.delay = 60, .jitter = 200, .loss = 10},
    [REBOOT] = {.delay = 60, .jitter = 200, .loss = 5},
    [TOKEN_REUSE] = {.delay = 60, .jitter = 100, .loss = 5},
};

/* What is played: a method and the lengths of its bodies. */
struct pair {
    const char *name;
    int method;
    size_t up, down;
    bool observes;
    bool q_blocks; /* both offer RFC 9177 */
    bool guards;   /* the server wants to see an Echo */
    unsigned flags;
};

static const struct pair pairs[] = {
    {"observe x block2", COPAL_GET, 0, LONG, .observes = true},
    {"observe x FETCH", COPAL_FETCH, 40, 40, .observes = true},
    {"observe x FETCH x block2", COPAL_FETCH, 40, LONG, .observes = true},
    {"observe x FETCH x block1", COPAL_FETCH, LONG, LONG, .observes = true},
    {"block1 x block2", COPAL_POST, LONG, LONG, .observes = false},
    {"block1 x block2 (PUT)", COPAL_PUT, LONG, LONG, .observes = false},
    {"Q-Block1 x Q-Block2", COPAL_POST, LONG, LONG, .q_blocks = true},
    {"Q-Block1 x Q-Block2 (NON)", COPAL_POST, LONG, LONG, .q_blocks = true,
     .flags = COPAL_NON},
    {"observe x Q-Block2", COPAL_GET, 0, LONG, .observes = true,
     .q_blocks = true},
    {"Echo x block1 x block2", COPAL_POST, LONG, LONG, .guards = true},
    {"Echo x observe x block2", COPAL_GET, 0, LONG, .observes = true,
     .guards = true},
};

/* The scene under way. */
static const struct pair *the_pair;
static enum trouble the_trouble;
static uint32_t dice_state;

static uint32_t dice(uint32_t sides)
{
    dice_state = dice_state * 1664525u + 1013904223u;
    return (dice_state >> 8) % sides;
}

static struct party *serve_pair(struct world *w, unsigned version)
{
    struct party *s =
        serve_body(w, the_pair->method, "/x",
                   the_pair->observes ? COPAL_OBSERVABLE : 0, the_pair->down);

    copal_tune(w->server, NULL, COPAL_P_Q_BLOCK, the_pair->q_blocks);
    copal_tune(w->server, NULL, COPAL_P_GUARD_LOOPBACK, the_pair->guards);
    s->version = version;
    return s;
}

static struct party *ask_pair(struct world *w)
{
    copal_msg *m =
        request_of(w, the_pair->method, "coap://server/x", the_pair->up);
    unsigned flags = the_pair->flags;

    /* An observer cannot see that its server lost its mind; a watch does. */
    if (the_pair->observes && the_trouble == REBOOT)
        flags |= COPAL_WATCH;
    else if (the_pair->observes)
        copal_msg_add_uint(m, COPAL_OPT_OBSERVE, 0);
    copal_msg_set_flags(m, flags);
    return send_request(w, m);
}

/* ---- Trouble ---- */

/* A stranger who saw the client's token uses it with both, for another
 * request, a leave and an answer. RFC 7252 5.3.1: a token counts together with
 * the addresses. */
static void reuse_token(struct world *w, const struct tap *t)
{
    static const uint8_t kinds[] = {COPAL_GET, COPAL_GET, COPAL_CONTENT};
    uint8_t datagram[64];

    for (size_t i = 0; i < sizeof(kinds) && t->token_len <= 8; i++) {
        size_t n = 4 + t->token_len;
        bool asks = kinds[i] == COPAL_GET;

        datagram[0] = (uint8_t)(0x40 | t->token_len);
        datagram[1] = kinds[i];
        datagram[2] = (uint8_t)dice(256);
        datagram[3] = (uint8_t)dice(256);
        memcpy(datagram + 4, t->token, t->token_len);
        memcpy(datagram + n, "\x60\x51x", 3); /* Observe 0, Uri-Path */
        if (i == 1)
            memcpy(datagram + n, "\x61\x01\x51x", 4); /* Observe 1 */
        if (!asks)
            memcpy(datagram + n, "\x60\xffx", 3);
        copal_sim_inject(w->sim, "203.0.113.5", asks ? "server" : "client",
                         (copal_bytes){datagram, n + (i == 1 ? 4 : 3)});
    }
}

static void reboot(struct world *w, struct party **s)
{
    unsigned version = (*s)->version;

    release(*s);
    copal_free(w->server);
    run(w, dice(4000));
    w->server = add_host(w, "server");
    *s = serve_pair(w, version + 1);
}

static void make_trouble(struct world *w, struct party **s, struct party *p,
                         const struct tap *t)
{
    if (the_trouble == CANCEL && p->ends == 0 && dice(3) == 0)
        copal_cancel(p->x);
    else if (the_trouble == REBOOT && dice(3) == 0)
        reboot(w, s);
    else if (the_trouble == TOKEN_REUSE)
        reuse_token(w, t);
}

/* ---- What must hold ---- */

/* Whatever arrived as whole is one state, not a mixture of two. */
static void assert_intact(const struct party *p, size_t size)
{
    unsigned version = 0;

    if (p->len == 0 && p->code >> 5 != 2)
        return;
    while (version <= LAST + 20 &&
           (p->len != size ||
            memcmp(p->body, body_of(size, version).data, size) != 0))
        version++;
    if (version > LAST + 20)
        fail_msg("a body of %zu bytes is of no version", p->len);
}

static void assert_idle(struct world *w)
{
    copal *const both[] = {w->client, w->server};

    for (size_t i = 0; i < 2; i++) {
        copal_stats stats = {.size = sizeof(stats)};

        copal_get_stats(both[i], &stats);
        assert_int_equal(stats.exchanges_open, 0);
        assert_int_equal(stats.peers, 0);
        assert_int_equal(stats.observers, 0);
    }
}

static bool is_lawful_end(int status)
{
    switch (status) {
    case COPAL_OK:
    case COPAL_ETIMEOUT:
    case COPAL_ECANCEL: return true;
    case COPAL_ERESET: return the_trouble == REBOOT;
    case COPAL_ECHANGED: return the_pair->observes || the_trouble == REBOOT;
    /* Its registration was lost together with its answer. RFC 7641 3.1 */
    case COPAL_ENOTOBS: return the_pair->observes;
    default: return false;
    }
}

static void settle_observer(struct world *w, struct party *s, struct party *p)
{
    copal_sim_set_path(w->sim, NULL, NULL, paths[NO_TROUBLE]);
    run(w, CALM_MS); /* what was on its way has come, a watch has healed */
    s->version = LAST;
    copal_notify(w->server, "/x");
    run(w, CALM_MS);
    if (p->ends == 0) {
        copal_stats stats = {.size = sizeof(stats)};

        copal_get_stats(w->server, &stats);
        if (stats.observers > 0) /* else the server gave us up in the storm */
            assert_body(p, the_pair->down, LAST);
        copal_cancel(p->x);
    }
    run(w, CALM_MS);
}

static void play_scene(struct world *w)
{
    const struct tap *t = tap_client(w);
    struct party *s, *p;

    /* Of its seed and cell alone, so that one can be played again. */
    dice_state = (uint32_t)w->seed * 256 + (uint32_t)(the_pair - pairs) * 16 +
                 (uint32_t)the_trouble;
    if (seeds_or(SEEDS) > 1)
        copal_sim_keep(w->sim, 0);
    copal_sim_set_path(w->sim, NULL, NULL, paths[the_trouble]);
    copal_tune(w->client, NULL, COPAL_P_SILENCE, 20000);
    copal_tune(w->client, NULL, COPAL_P_Q_BLOCK, the_pair->q_blocks);
    s = serve_pair(w, 1);
    p = ask_pair(w);
    for (int i = 0; i < 6; i++) {
        run(w, dice(2500));
        make_trouble(w, &s, p, t);
        if (the_pair->observes) {
            s->version++;
            copal_notify(w->server, "/x");
        } else if (the_trouble != REBOOT) {
            assert_in_range(s->requests, 0, 1);
        }
        assert_intact(p, the_pair->down);
    }
    settle_observer(w, s, p);
    assert_int_equal(p->ends, 1);
    assert_true(is_lawful_end(p->status));
    assert_intact(p, the_pair->down);
    if (s->len > 0)
        assert_body(s, the_pair->up, 1);
    if (the_trouble == NO_TROUBLE)
        assert_true(p->responses > 0);
    copal_trace(w->client, 0, (copal_cb){0});
    if (the_trouble != TOKEN_REUSE) /* whose stranger may stay registered */
        assert_idle(w);
}

static void every_pair_holds_in_every_trouble(void **state)
{
    (void)state;
    printf("%-26s", "each of so many seeds:");
    for (int t = 0; t < TROUBLES; t++)
        printf("%12s", trouble_names[t]);
    for (size_t i = 0; i < sizeof(pairs) / sizeof(pairs[0]); i++) {
        the_pair = &pairs[i];
        printf("\n%-26s", the_pair->name);
        for (the_trouble = 0; the_trouble < TROUBLES; the_trouble++) {
            bodies_in_bad_weather(play_scene, SEEDS);
            printf("%9u ok", seeds_or(SEEDS));
            fflush(stdout);
        }
    }
    printf("\n");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_pair_holds_in_every_trouble),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
