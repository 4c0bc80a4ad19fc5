/* A clock that leaps amid everyday work, as where a machine was asleep, or goes
 * back, as none should: what was begun ends once, timers come once, and nothing
 * waits for ever. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>
#include <copal.h>
#include "leap.h"
#include "support.h"

#define HOURS(n) ((int64_t)(n)*3600000)

enum {
    LIMIT_MS = 4000
};

/* ---- The world ---- */

struct heard {
    copal_exchange *x;
    int responses, silents, ends, timers, drops, status;
};

struct world {
    copal *client, *server;
    char uri[80], silent[64]; /* a port that never answers */
    int mute;                 /* its socket */
    copal_exchange *held;
    struct heard got, watched, observed, uploaded, lost, soon, late;
    unsigned steps;
};

static void note(const copal_event *ev, void *user)
{
    struct heard *h = user;

    assert_int_equal(h->ends, 0);
    h->responses += ev->kind == COPAL_RESPONSE;
    h->silents += ev->kind == COPAL_SILENT;
    h->timers += ev->kind == COPAL_TIMER;
    if (ev->kind == COPAL_END) {
        h->ends++;
        h->status = ev->status;
    }
}

static void note_drop(void *user)
{
    ((struct heard *)user)->drops++;
}

static copal_cb hearing(struct heard *h)
{
    return COPAL_CB_OWN(note, h, note_drop);
}

static void answer(const copal_event *ev, void *user)
{
    (void)user;
    if (ev->kind == COPAL_REQUEST)
        copal_reply_text(ev->exchange, COPAL_CONTENT, "22.5 C");
}

static void hold(const copal_event *ev, void *user)
{
    struct world *w = user;

    if (ev->kind != COPAL_REQUEST)
        return;
    copal_exchange_unref(w->held); /* a leap made a duplicate a new request */
    w->held = copal_exchange_ref(ev->exchange);
}

static copal *new_endpoint(void)
{
    copal *c = copal_new(NULL);

    assert_non_null(c);
    copal_tune(c, NULL, COPAL_P_ACK_TIMEOUT, 20);
    copal_tune(c, NULL, COPAL_P_ACK_RANDOM, 100);
    copal_tune(c, NULL, COPAL_P_MAX_RETRANSMIT, 2);
    copal_tune(c, NULL, COPAL_P_SEPARATE_AFTER, 5);
    return c;
}

static void open_mute(struct world *w)
{
    struct sockaddr_in name = {.sin_family = AF_INET};
    socklen_t size = sizeof(name);

    name.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    w->mute = socket(AF_INET, SOCK_DGRAM, 0);
    assert_int_equal(bind(w->mute, (struct sockaddr *)&name, size), 0);
    assert_int_equal(getsockname(w->mute, (struct sockaddr *)&name, &size), 0);
    snprintf(w->silent, sizeof(w->silent), "coap://127.0.0.1:%d/",
             ntohs(name.sin_port));
}

static int build(void **state)
{
    struct world *w = calloc(1, sizeof(*w));

    assert_non_null(w);
    *state = w;
    atomic_store(&leapt, HOURS(1000));
    w->client = new_endpoint();
    w->server = new_endpoint();
    open_mute(w);
    copal_serve(w->server, 0, "/t", COPAL_OBSERVABLE, COPAL_CB(answer, w));
    copal_serve(w->server, 0, "/held", 0, COPAL_CB(hold, w));
    assert_int_equal(copal_listen(w->server, "coap://127.0.0.1:0", 0), 0);
    return 0;
}

static const char *uri(struct world *w, const char *path)
{
    snprintf(w->uri, sizeof(w->uri), "%s%s", copal_local(w->server, 0), path);
    return w->uri;
}

static int tear_down(void **state)
{
    struct world *w = *state;
    struct heard *all[] = {&w->got,  &w->watched, &w->observed, &w->uploaded,
                           &w->lost, &w->soon,    &w->late};

    copal_exchange_unref(w->held);
    copal_free(w->client);
    copal_free(w->server);
    close(w->mute);
    for (size_t i = 0; i < sizeof(all) / sizeof(all[0]); i++) {
        assert_int_equal(all[i]->ends, all[i]->x != NULL);
        assert_in_range(all[i]->drops, 0, 1);
    }
    free(w);
    atomic_store(&leapt, 0);
    return 0;
}

static void step(struct world *w, int limit)
{
    copal *all[] = {w->client, w->server};

    w->steps++;
    step_all(all, 2, limit);
}

static void go(struct world *w, int ms)
{
    uint64_t now, end = true_ms() + (uint64_t)ms;

    while ((now = true_ms()) < end)
        step(w, (int)(end - now));
}

static void go_until(struct world *w, const int *count, int wanted)
{
    uint64_t now, end = true_ms() + LIMIT_MS;

    while (*count < wanted && (now = true_ms()) < end)
        step(w, (int)(end - now));
    assert_int_equal(*count, wanted);
}

/* A bit of everything, each in the middle of it. */
static void begin_work(struct world *w)
{
    static uint8_t body[20000];
    copal_msg *m;

    copal_after(w->client, 100, hearing(&w->soon));
    copal_after(w->client, (uint64_t)HOURS(1), hearing(&w->late));
    w->observed.x =
        copal_observe(w->client, uri(w, "/t"), hearing(&w->observed));
    w->watched.x = copal_watch(w->client, uri(w, "/t"), hearing(&w->watched));
    go_until(w, &w->watched.responses, 1);
    w->got.x = copal_get(w->client, uri(w, "/held"), hearing(&w->got));
    w->lost.x = copal_get(w->client, w->silent, hearing(&w->lost));
    m = copal_msg_new(w->client, COPAL_PUT);
    copal_msg_set_uri(m, uri(w, "/t"));
    copal_msg_set_payload(m, COPAL_OCTETS, (copal_bytes){body, sizeof(body)});
    w->uploaded.x = copal_request(w->client, m, hearing(&w->uploaded));
    copal_msg_unref(m);
    for (int i = 0; i < 6; i++)
        step(w, 1);
}

static void ask_once_more(struct world *w)
{
    struct heard h = {.status = 1};

    copal_get(w->client, uri(w, "/t"), hearing(&h));
    go_until(w, &h.ends, 1);
    assert_int_equal(h.status, 0);
    assert_int_equal(h.drops, 1);
}

/* ---- Leaps ---- */

static void a_leap_ahead_ends_nothing_twice(void **state)
{
    struct world *w = *state;

    begin_work(w);
    leap(HOURS(3));
    go(w, 200);
    assert_int_equal(w->soon.timers, 1);
    assert_int_equal(w->late.timers, 1);
    go_until(w, &w->lost.ends, 1);
    go_until(w, &w->uploaded.ends, 1);
    if (w->got.ends == 0) /* its ACK was on its way when the clock leapt */
        leap(HOURS(1));
    go_until(w, &w->got.ends, 1);
    assert_int_equal(w->lost.ends, 1);
    assert_int_equal(w->lost.status, COPAL_ETIMEOUT);
    assert_int_equal(w->got.ends, 1); /* EXCHANGE_LIFETIME is over */
    assert_int_equal(w->uploaded.ends, 1);
    assert_int_equal(w->observed.ends, 0);
    assert_int_equal(w->watched.ends, 0);
    ask_once_more(w);

    for (int i = 0; i < 3; i++) { /* by its attempts to come back, if need be */
        leap(HOURS(1));
        go(w, 50);
    }
    copal_notify(w->server, "/t");
    go_until(w, &w->watched.responses, w->watched.responses + 1);
    assert_in_range(w->steps, 0, 2000);
}

static void a_leap_back_stops_nothing(void **state)
{
    struct world *w = *state;
    uint64_t before;

    begin_work(w);
    before = copal_now(w->client);
    leap(-HOURS(3));
    assert_true(copal_now(w->client) >= before);
    go_until(w, &w->soon.timers, 1);
    go_until(w, &w->lost.ends, 1);
    assert_int_equal(w->lost.status, COPAL_ETIMEOUT);
    go_until(w, &w->uploaded.ends, 1);
    assert_int_equal(w->uploaded.status, 0);
    assert_int_equal(copal_reply_text(w->held, COPAL_CONTENT, "x"), 0);
    go_until(w, &w->got.ends, 1);
    assert_int_equal(w->got.status, 0);
    copal_notify(w->server, "/t");
    go_until(w, &w->watched.responses, w->watched.responses + 1);
    assert_int_equal(w->late.timers, 0);
    assert_true(copal_now(w->client) < before + (uint64_t)HOURS(1));
    ask_once_more(w);
    assert_in_range(w->steps, 0, 2000);
}

static void leaps_to_and_fro_harm_nothing(void **state)
{
    static const int64_t leaps[] = {5,         -5,       HOURS(1),  -HOURS(2),
                                    HOURS(24), HOURS(1), -HOURS(9), 0};
    struct world *w = *state;

    begin_work(w);
    for (size_t i = 0; i < sizeof(leaps) / sizeof(leaps[0]); i++) {
        leap(leaps[i]);
        go(w, 20);
        ask_once_more(w);
    }
    assert_int_equal(w->soon.timers, 1);
    assert_int_equal(w->late.timers, 1);
    assert_in_range(w->steps, 0, 2000);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, build, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_leap_ahead_ends_nothing_twice),
        TEST(a_leap_back_stops_nothing),
        TEST(leaps_to_and_fro_harm_nothing),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
