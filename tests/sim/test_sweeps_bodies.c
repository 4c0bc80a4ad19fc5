/* What the tests of bodies, limits and ends show to work, while memory runs out
 * at any one point: whatever was begun ends once, and nothing is left. */
#include "bodies.h"

#define SERVER "coap://server"

static void cancel_party(struct party *p)
{
    if (p->is_asked && p->ends == 0)
        assert_int_equal(copal_cancel(p->x), 0);
}

/* ---- Bodies ---- */

static void play_upload_that_goes_on(struct world *w)
{
    struct party *s = serve_body(w, COPAL_PUT, "/x", 0, 0), *p;

    copal_tune(w->client, NULL, COPAL_P_BLOCK_SIZE, 128);
    copal_sim_set_path(w->sim, NULL, NULL, (copal_sim_path){.delay = 10});
    for (int i = 0; i < 2; i++) {
        copal_msg *m = request_of(w, COPAL_PUT, SERVER "/x", 350);

        copal_msg_add_text(m, COPAL_OPT_REQUEST_TAG, "t");
        if (i == 1)
            copal_msg_resume(m, 128, (copal_bytes){0});
        p = send_request(w, m);
        run(w, i == 0 ? 35 : 10000);
        if (i == 0)
            cancel_party(p);
        run(w, 965);
    }
    settle(w);
    if (!memory_failed(w)) {
        assert_int_equal(p->status, 0);
        assert_body(s, 350, 1);
    }
}

/* Either side holds a stream back for a while. */
static void play_pauses(struct world *w)
{
    struct party *s = serve_body(w, COPAL_PUT, "/up", COPAL_STREAMED, 0);
    struct party *p, *q;
    copal_msg *m;

    serve_body(w, COPAL_GET, "/down", 0, 3000);
    s->pauses = s->holds = true;
    p = ask_body(w, COPAL_PUT, SERVER "/up", 2500);
    m = request_of(w, COPAL_GET, SERVER "/down", 0);
    copal_msg_set_flags(m, COPAL_STREAM_IN);
    q = send_request(w, m);
    q->pauses = q->holds = true;
    for (int i = 0; i < 8; i++) {
        run(w, 5000);
        if (s->kept != NULL && s->ends == 0)
            copal_resume(s->kept);
        if (q->kept != NULL && q->ends == 0)
            copal_resume(q->kept);
    }
    s->pauses = q->pauses = false;
    if (s->kept != NULL && s->ends == 0)
        give(s);
    run(w, 20000);
    release(s);
    release(q);
    settle(w);
    if (!memory_failed(w)) {
        assert_int_equal(p->ends, 1);
        assert_int_equal(q->ends, 1);
        assert_int_equal(q->len, 3000);
    }
}

/* Given up at each stage of it; then the resource goes, too. */
static void play_cancels(struct world *w)
{
    static const uint64_t waits[] = {0, 15, 35, 300};
    struct party *all[16], *late;
    size_t count = 0;

    serve_body(w, COPAL_PUT, "/x", 0, 2500);
    serve_body(w, COPAL_GET, "/x", COPAL_OBSERVABLE, 2500);
    late = serve_body(w, COPAL_GET, "/late", 0, 10);
    late->holds = true;
    copal_sim_set_path(w->sim, NULL, NULL, (copal_sim_path){.delay = 10});
    for (int i = 0; i < 4; i++) {
        all[count++] = ask_body(w, COPAL_PUT, SERVER "/x", 2500);
        all[count++] = observe_apart(w, SERVER "/x", i);
        all[count++] = ask_body(w, COPAL_GET, SERVER "/late", 0);
        run(w, waits[i]);
        for (size_t k = count - 3; k < count; k++)
            cancel_party(all[k]);
    }
    all[count++] = observe_body(w, SERVER "/x");
    all[count++] = ask_body(w, COPAL_PUT, SERVER "/x", 2500);
    run(w, 25);
    copal_unserve(w->server, "/x");
    release(late);
    settle(w);
    for (size_t i = 0; i < count; i++)
        assert_int_equal(all[i]->ends, all[i]->is_asked);
}

/* Blocks and whole sets of them are lost, and asked for again. RFC 9177. */
static void play_lost_sets(struct world *w)
{
    struct party *s, *p;
    copal_msg *m;

    copal_tune(w->client, NULL, COPAL_P_Q_BLOCK, 1);
    copal_tune(w->server, NULL, COPAL_P_Q_BLOCK, 1);
    copal_tune(w->client, NULL, COPAL_P_BLOCK_SIZE, 64);
    copal_tune(w->server, NULL, COPAL_P_BLOCK_SIZE, 64);
    s = serve_body(w, COPAL_POST, "/x", 0, 1500);
    ask_body(w, COPAL_POST, SERVER "/x", 10);
    run(w, 1000);
    copal_sim_set_path(w->sim, NULL, NULL, (copal_sim_path){.delay = 10});
    m = request_of(w, COPAL_POST, SERVER "/x", 1500);
    copal_msg_set_flags(m, COPAL_NON);
    copal_sim_lose(w->sim, "client", 3);
    p = send_request(w, m);
    run(w, 15);
    copal_sim_lose(w->sim, "server", 2);
    settle(w);
    if (!memory_failed(w)) {
        assert_int_equal(p->status, 0);
        assert_body(s, 1500, 1);
        assert_body(p, 1500, 1);
    }
}

/* ---- Limits ---- */

static void play_limits(struct world *w)
{
    static const struct {
        copal_param p;
        int64_t value;
    } low[] = {{COPAL_P_MAX_EXCHANGES, 6}, {COPAL_P_MAX_PEERS, 2},
               {COPAL_P_MAX_OBSERVERS, 1}, {COPAL_P_PEER_OBSERVERS, 1},
               {COPAL_P_PEER_BODIES, 1},   {COPAL_P_BODY_MEMORY, 3000},
               {COPAL_P_MAX_BODY, 2600},   {COPAL_P_DEDUP_MEMORY, 400},
               {COPAL_P_CACHE_MEMORY, 800}};
    struct record *held[2];
    struct party *late;

    serve_text(w, w->server, "/t", COPAL_OBSERVABLE, "x");
    serve_body(w, COPAL_PUT, "/x", 0, 2500);
    late = serve_body(w, COPAL_GET, "/late", 0, 10);
    late->holds = true;
    for (size_t i = 0; i < sizeof(low) / sizeof(low[0]); i++) {
        copal_tune(w->client, NULL, low[i].p, low[i].value);
        copal_tune(w->server, NULL, low[i].p, low[i].value);
    }
    copal_sim_set_path(w->sim, NULL, NULL, (copal_sim_path){.delay = 10});
    held[0] = observe(w, SERVER "/t");
    held[1] = observe(w, SERVER "/t?2");
    for (int i = 0; i < 3; i++) {
        char uri[32];

        ask_body(w, COPAL_PUT, SERVER "/x", 2500);
        snprintf(uri, sizeof(uri), "coap://192.0.2.%d/", i);
        get(w, uri);
        get(w, SERVER "/late");
        snprintf(uri, sizeof(uri), SERVER "/t?%d", i + 5);
        get(w, uri);
        run(w, 1000);
        copal_notify(w->server, "/t");
    }
    release(late);
    run(w, 100000);
    cancel_if_open(held[0]);
    cancel_if_open(held[1]);
    settle(w);
}

/* ---- The end ---- */

static void play_orderly_end(struct world *w)
{
    serve_body(w, COPAL_GET, "/late", 0, 10)->holds = true;
    serve_body(w, COPAL_PUT, "/x", 0, 2500);
    serve_text(w, w->server, "/t", COPAL_OBSERVABLE, "x");
    copal_sim_set_path(w->sim, NULL, NULL, (copal_sim_path){.delay = 10});
    observe(w, SERVER "/t");
    get(w, SERVER "/late");
    ask_body(w, COPAL_PUT, SERVER "/x", 2500);
    run(w, 35);
    copal_close(w->server, 2000);
    copal_close(w->client, 3000);
    copal_notify(w->server, "/t");
    get(w, SERVER "/t");
    run(w, 10000);
}

static void play_traced(struct world *w)
{
    static const uint8_t bytes[] = {0x49, 0x01, 0x00, 0x01};
    const copal_bytes junk = {bytes, sizeof(bytes)};

    copal_trace(w->client, 7, recording(next_record(w)));
    copal_trace(w->server, 7, recording(next_record(w)));
    serve_body(w, COPAL_PUT, "/x", 0, 2500);
    ask_body(w, COPAL_PUT, SERVER "/x", 2500);
    get(w, "coap://nowhere/");
    copal_sim_inject(w->sim, "192.0.2.1", "server", junk);
    settle(w);
}

#define SWEEP(name, scene) \
    static void name(void **state) \
    { \
        (void)state; \
        bodies_with_failed_allocations(scene); \
    }

SWEEP(an_upload_that_goes_on_survives_it, play_upload_that_goes_on)
SWEEP(pauses_survive_any_failed_allocation, play_pauses)
SWEEP(cancels_survive_any_failed_allocation, play_cancels)
SWEEP(lost_sets_survive_any_failed_allocation, play_lost_sets)
SWEEP(limits_survive_any_failed_allocation, play_limits)
SWEEP(an_orderly_end_survives_any_failed_allocation, play_orderly_end)
SWEEP(a_trace_survives_any_failed_allocation, play_traced)

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_upload_that_goes_on_survives_it),
        cmocka_unit_test(pauses_survive_any_failed_allocation),
        cmocka_unit_test(cancels_survive_any_failed_allocation),
        cmocka_unit_test(lost_sets_survive_any_failed_allocation),
        cmocka_unit_test(limits_survive_any_failed_allocation),
        cmocka_unit_test(an_orderly_end_survives_any_failed_allocation),
        cmocka_unit_test(a_trace_survives_any_failed_allocation),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
