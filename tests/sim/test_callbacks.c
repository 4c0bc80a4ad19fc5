/* Callbacks that pull the ground from under whoever called them: in each kind
 * of event that each of them hears, and as it is dropped, they free, close,
 * cancel, unserve, begin and run what they can get hold of. Every exchange ends
 * once all the same, every callback is dropped once, and nothing is left. */
#include "support.h"

#define SERVER "coap://server"

enum {
    BODY = 2500,
    DROPPED = 0 /* in place of a copal_kind */
};

enum role {
    UPLOAD,
    DOWNLOAD,
    PULLED,
    OBSERVED,
    WATCHED,
    PINGED,
    REFUSED,
    ABANDONED,
    TIMED,
    POSTED,
    STRAYS,
    CLIENT_TRACE, /* the last of the client's */
    STATE,
    STREAMED,
    GIVEN,
    HELD,
    SERVER_TIMER,
    SERVER_TRACE,
    ROLES
};

enum deed {
    NOTHING,
    FREE_OWN,
    FREE_OTHER,
    FREE_BOTH,
    FREE_NETWORK,
    CLOSE_OWN,
    CANCEL_ALL,
    PAUSE,
    UNSERVE_ALL,
    HUSH, /* no more traces and strays */
    BEGIN,
    RUN,
    DEEDS
};

/* A callback, and what became of it. */
struct party {
    struct stage *stage;
    enum role role;
    copal_exchange *x; /* of an exchange of ours, until its END */
    copal_exchange *kept;
    bool is_asked;
    int ends, drops, taken;
};

struct stage {
    struct world *w;
    struct party parties[ROLES];
    bool heard[ROLES][COPAL_TRACE + 1];
    enum role role; /* who does it, when, and what */
    int kind;
    enum deed deed;
    bool is_done;
};

static const char *const paths[] = {"/t", "/up", "/down", "/late"};
static uint8_t body[BODY];

/* ---- Deeds ---- */

static copal **own_of(struct party *p)
{
    struct world *w = p->stage->w;

    return p->role <= CLIENT_TRACE ? &w->client : &w->server;
}

static void free_one(copal **c)
{
    copal *freed = *c;

    *c = NULL;
    copal_free(freed);
}

static void free_network(struct world *w)
{
    copal_sim *sim = w->sim;

    w->sim = NULL;
    w->client = w->server = NULL;
    copal_sim_free(sim);
}

static void cancel_all(struct stage *s)
{
    for (int i = 0; i < ROLES; i++)
        if (s->parties[i].x != NULL)
            (void)copal_cancel(s->parties[i].x);
}

static void begin_some(struct world *w)
{
    if (w->client != NULL) {
        get(w, SERVER "/t");
        copal_after(w->client, 0, recording(next_record(w)));
    }
    if (w->server != NULL)
        copal_notify(w->server, "/t");
}

static void run_all(struct world *w)
{
    if (w->sim == NULL)
        return;
    (void)copal_sim_run(w->sim, 100);
    if (w->client != NULL)
        assert_int_equal(copal_run(w->client), COPAL_ESTATE);
}

static void hush(copal *c)
{
    copal_trace(c, 7, (copal_cb){0});
    copal_strays(c, (copal_cb){0});
}

static void do_deed(struct party *p, copal_exchange *x)
{
    struct stage *s = p->stage;
    struct world *w = s->w;
    copal **own = own_of(p), **other;

    other = own == &w->client ? &w->server : &w->client;
    switch (s->deed) {
    case FREE_OWN: free_one(own); break;
    case FREE_OTHER: free_one(other); break;
    case FREE_BOTH:
        free_one(own);
        free_one(other);
        break;
    case FREE_NETWORK: free_network(w); break;
    case CLOSE_OWN: copal_close(*own, 0); break;
    case CANCEL_ALL: cancel_all(s); break;
    case PAUSE:
        if (x != NULL) {
            (void)copal_pause(x);
            (void)copal_resume(x);
        }
        break;
    case UNSERVE_ALL:
        for (size_t i = 0; i < sizeof(paths) / sizeof(paths[0]); i++)
            if (w->server != NULL)
                (void)copal_unserve(w->server, paths[i]);
        break;
    case HUSH: hush(*own); break;
    case BEGIN: begin_some(w); break;
    case RUN: run_all(w); break;
    default: break;
    }
}

static void perhaps(struct party *p, int kind, copal_exchange *x)
{
    struct stage *s = p->stage;

    s->heard[p->role][kind] = true;
    if (s->is_done || s->role != p->role || s->kind != kind ||
        *own_of(p) == NULL)
        return;
    s->is_done = true;
    do_deed(p, x);
}

/* ---- Callbacks ---- */

static void respond(copal_exchange *x, unsigned flags)
{
    copal_msg *m = copal_msg_new(copal_exchange_endpoint(x), COPAL_CONTENT);

    copal_msg_set_flags(m, flags);
    if ((flags & COPAL_STREAM_OUT) == 0)
        copal_msg_set_payload(m, COPAL_TEXT, (copal_bytes){body, 10});
    (void)copal_respond(x, m);
    copal_msg_unref(m);
}

/* What a party of that role does where nothing is wrong; and it does it, too,
 * after its deed. */
static void act(struct party *p, const copal_event *ev)
{
    if (ev->kind == COPAL_PULL) {
        size_t left = BODY - (size_t)ev->offset;
        size_t n = left < ev->want ? left : ev->want;

        (void)copal_write(ev->exchange, (copal_bytes){body + ev->offset, n},
                          n == left);
    }
    if (ev->kind == COPAL_REQUEST && p->role == STATE)
        respond(ev->exchange, 0);
    if (ev->kind == COPAL_REQUEST && p->role == GIVEN)
        respond(ev->exchange, COPAL_STREAM_OUT);
    if (ev->kind == COPAL_CHUNK && p->role == STREAMED && ev->last)
        respond(ev->exchange, 0);
    if (ev->kind == COPAL_REQUEST && p->role == HELD && p->kept == NULL)
        p->kept = copal_exchange_ref(ev->exchange);
}

static void hear(const copal_event *ev, void *user)
{
    struct party *p = user;

    assert_true(p->drops < p->taken);
    if (ev->kind == COPAL_END && p->role < TIMED) {
        p->ends++;
        p->x = NULL;
    }
    perhaps(p, (int)ev->kind, ev->exchange);
    act(p, ev);
}

static void dropped(void *user)
{
    struct party *p = user;

    p->drops++;
    perhaps(p, DROPPED, NULL);
}

static copal_cb hearing(struct stage *s, enum role role)
{
    struct party *p = &s->parties[role];

    p->stage = s;
    p->role = role;
    p->taken++;
    return COPAL_CB_OWN(hear, p, dropped);
}

/* ---- The play ---- */

static void begun(struct stage *s, enum role role, copal_exchange *x)
{
    s->parties[role].is_asked = x != NULL;
    if (s->parties[role].ends == 0)
        s->parties[role].x = x;
}

static void ask_with(struct stage *s, enum role role, int code,
                     const char *path, unsigned flags)
{
    copal_msg *m = copal_msg_new(s->w->client, code);

    copal_msg_set_uri(m, path);
    copal_msg_set_flags(m, flags);
    if (code == COPAL_PUT && (flags & COPAL_STREAM_OUT) == 0)
        copal_msg_set_payload(m, COPAL_OCTETS, (copal_bytes){body, BODY});
    begun(s, role, copal_request(s->w->client, m, hearing(s, role)));
    copal_msg_unref(m);
}

static void serve_all(struct stage *s)
{
    copal *c = s->w->server;

    copal_trace(c, 7, hearing(s, SERVER_TRACE));
    copal_serve(c, 0, "/t", COPAL_OBSERVABLE, hearing(s, STATE));
    copal_serve(c, 0, "/up", COPAL_STREAMED, hearing(s, STREAMED));
    copal_serve(c, 0, "/down", 0, hearing(s, GIVEN));
    copal_serve(c, 0, "/late", 0, hearing(s, HELD));
    copal_after(c, 500, hearing(s, SERVER_TIMER));
}

static void ask_all(struct stage *s)
{
    copal *c = s->w->client;

    copal_trace(c, 7, hearing(s, CLIENT_TRACE));
    copal_strays(c, hearing(s, STRAYS));
    copal_tune(c, NULL, COPAL_P_NSTART, 10);
    copal_after(c, 300, hearing(s, TIMED));
    copal_post(c, hearing(s, POSTED));
    ask_with(s, UPLOAD, COPAL_PUT, SERVER "/t", COPAL_TELL_PROGRESS);
    ask_with(s, DOWNLOAD, COPAL_GET, SERVER "/down",
             COPAL_STREAM_IN | COPAL_TELL_PROGRESS);
    ask_with(s, PULLED, COPAL_PUT, SERVER "/up", COPAL_STREAM_OUT);
    ask_with(s, ABANDONED, COPAL_PUT, SERVER "/late", 0);
    begun(s, OBSERVED, copal_observe(c, SERVER "/t", hearing(s, OBSERVED)));
    begun(s, WATCHED, copal_watch(c, SERVER "/t?w", hearing(s, WATCHED)));
    begun(s, PINGED, copal_ping(c, SERVER, hearing(s, PINGED)));
    begun(s, REFUSED, copal_get(c, "no uri", hearing(s, REFUSED)));
}

static bool pass(struct world *w, uint64_t ms)
{
    if (w->sim != NULL)
        copal_sim_run(w->sim, ms);
    return w->sim != NULL;
}

static void perform(struct stage *s)
{
    static const uint8_t stray[] = {0x51, 0x45, 0x7f, 0x01, 0xaa};
    struct world *w = s->w;

    copal_sim_set_path(w->sim, NULL, NULL, (copal_sim_path){.delay = 10});
    serve_all(s);
    if (w->client != NULL && w->sim != NULL)
        ask_all(s);
    if (!pass(w, 400))
        return;
    copal_sim_inject(w->sim, "server", "client",
                     (copal_bytes){stray, sizeof(stray)});
    if (!pass(w, 1000))
        return;
    if (w->server != NULL)
        copal_notify(w->server, "/t");
    if (!pass(w, 1000))
        return;
    copal_sim_lose(w->sim, "server", 14); /* for the watch to be silent */
    if (w->server != NULL)
        copal_notify(w->server, "/t");
    pass(w, 300000);
}

static void check(const struct stage *s)
{
    for (int i = 0; i < ROLES; i++) {
        const struct party *p = &s->parties[i];

        if (p->ends != p->is_asked || p->drops != p->taken)
            fail_msg("role %d: %d ends, %d drops of %d", i, p->ends, p->drops,
                     p->taken);
    }
}

static void play(struct stage *s, enum role role, int kind, enum deed deed)
{
    *s = (struct stage){
        .w = new_world(1, 0), .role = role, .kind = kind, .deed = deed};
    perform(s);
    cancel_all(s);
    if (s->w->client != NULL)
        free_one(&s->w->client);
    if (s->w->server != NULL)
        free_one(&s->w->server);
    copal_exchange_unref(s->parties[HELD].kept);
    check(s);
    free_world(s->w);
}

/* ---- Every one of them ---- */

static struct stage plain;

static void each_kind_is_heard(void **state)
{
    static const struct {
        enum role role;
        int kind;
    } wanted[] = {
        {STATE, COPAL_REQUEST},      {OBSERVED, COPAL_RESPONSE},
        {DOWNLOAD, COPAL_CHUNK},     {STREAMED, COPAL_CHUNK},
        {PULLED, COPAL_PULL},        {GIVEN, COPAL_PULL},
        {UPLOAD, COPAL_PROGRESS},    {WATCHED, COPAL_SILENT},
        {WATCHED, COPAL_RESUMED},    {REFUSED, COPAL_END},
        {HELD, COPAL_END},           {TIMED, COPAL_TIMER},
        {POSTED, COPAL_TIMER},       {STRAYS, COPAL_STRAY},
        {CLIENT_TRACE, COPAL_TRACE}, {SERVER_TRACE, COPAL_TRACE},
    };

    (void)state;
    play(&plain, ROLES, 0, NOTHING);
    for (size_t i = 0; i < sizeof(wanted) / sizeof(wanted[0]); i++)
        if (!plain.heard[wanted[i].role][wanted[i].kind])
            fail_msg("role %d does not hear kind %d", (int)wanted[i].role,
                     wanted[i].kind);
}

static void each_deed_in_each_callback_leaves_nothing(void **state)
{
    static struct stage s;
    unsigned done = 0;

    (void)state;
    for (int role = 0; role < ROLES; role++)
        for (int kind = DROPPED + 1; kind <= COPAL_TRACE; kind++)
            for (int deed = FREE_OWN; deed < DEEDS; deed++) {
                if (!plain.heard[role][kind])
                    continue;
                play(&s, (enum role)role, kind, (enum deed)deed);
                done += s.is_done;
            }
    assert_true(done > 200);
    print_message("%u deeds\n", done);
}

static void each_deed_in_each_drop_leaves_nothing(void **state)
{
    static struct stage s;
    unsigned done = 0;

    (void)state;
    for (int role = 0; role < ROLES; role++)
        for (int deed = FREE_OWN; deed < DEEDS; deed++) {
            play(&s, (enum role)role, DROPPED, (enum deed)deed);
            done += s.is_done;
        }
    assert_true(done > 50);
    print_message("%u deeds\n", done);
}

/* Outside of a turn, amid the call that lets go of it. */
static void unserving_may_free_the_endpoint(void **state)
{
    struct stage s = {
        .w = new_world(1, 0), .role = STATE, .kind = DROPPED, .deed = FREE_OWN};
    copal *c = s.w->server;

    (void)state;
    copal_serve(c, COPAL_GET, "/t", 0, hearing(&s, STATE));
    copal_serve(c, COPAL_PUT, "/t", 0, hearing(&s, STATE));
    copal_serve(c, COPAL_PUT, "/other", 0, hearing(&s, GIVEN));
    assert_int_equal(copal_unserve(c, "/t"), 0);
    assert_true(s.is_done);
    check(&s);
    free_world(s.w);
}

static void serving_in_vain_may_free_the_endpoint(void **state)
{
    struct stage s = {
        .w = new_world(1, 0), .role = GIVEN, .kind = DROPPED, .deed = FREE_OWN};
    copal *c = s.w->server;

    (void)state;
    copal_serve(c, COPAL_GET, "/t", 0, hearing(&s, STATE));
    assert_int_equal(copal_serve(c, COPAL_GET, "/t", 0, hearing(&s, GIVEN)),
                     COPAL_EEXIST);
    assert_true(s.is_done);
    check(&s);
    free_world(s.w);
}

static void a_cancelled_timer_may_free_the_endpoint(void **state)
{
    struct stage s = {
        .w = new_world(1, 0), .role = STATE, .kind = DROPPED, .deed = FREE_OWN};
    copal *c = s.w->server;
    int64_t id = copal_after(c, 1000, hearing(&s, STATE));

    (void)state;
    assert_int_equal(copal_cancel_timer(c, id), 0);
    assert_true(s.is_done);
    check(&s);
    free_world(s.w);
}

static void strays_that_go_elsewhere_may_free_the_endpoint(void **state)
{
    struct stage s = {
        .w = new_world(1, 0), .role = STATE, .kind = DROPPED, .deed = FREE_OWN};
    copal *c = s.w->server;

    (void)state;
    copal_strays(c, hearing(&s, STATE));
    assert_int_equal(copal_strays(c, (copal_cb){0}), 0);
    assert_true(s.is_done);
    check(&s);
    free_world(s.w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_kind_is_heard),
        cmocka_unit_test(each_deed_in_each_callback_leaves_nothing),
        cmocka_unit_test(each_deed_in_each_drop_leaves_nothing),
        cmocka_unit_test(unserving_may_free_the_endpoint),
        cmocka_unit_test(serving_in_vain_may_free_the_endpoint),
        cmocka_unit_test(a_cancelled_timer_may_free_the_endpoint),
        cmocka_unit_test(strays_that_go_elsewhere_may_free_the_endpoint),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
