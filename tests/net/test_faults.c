/* Everyday work over real sockets while any one call of the system fails: each
 * exchange ends once, what passes is got over, what does not is told in a
 * sentence, nothing leaks, nothing spins. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "faults.h"
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <uv.h>
#include <copal.h>
#include "support.h"

enum {
    HANG_MS = 4000,   /* nothing here takes a tenth of it */
    SPIN_STEPS = 600, /* turns of a loop that no scenario comes near */
    LONG_BODY = 5000,
    MAX_ASKED = 4,
    MANY = 1000
};

/* ---- The world ---- */

struct asked {
    copal_exchange *x; /* NULL: not begun, or over */
    bool is_begun;
    int responses, ends, drops, status, code;
    int heard; /* responses; many once it is over */
    size_t len;
    char text[256];
};

/* A client and a server, each with a loop of its own, driven by poll(), or both
 * on one loop. */
struct world {
    bool is_shared;
    uv_loop_t uv;
    uv_timer_t guard;
    bool is_late;
    copal *client, *server; /* NULL: could not be made */
    char base[64];          /* "coap://127.0.0.1:40000"; "": does not listen */
    struct asked asked[MAX_ASKED];
    int asked_count, served, server_drops;
    unsigned steps;
    /* What came out of it. */
    bool was_refused; /* a call failed, and said why */
};

static atomic_long blocks;

static void *counting_realloc(void *user, void *p, size_t n)
{
    void *moved;

    (void)user;
    if (n == 0) {
        if (p != NULL)
            atomic_fetch_sub(&blocks, 1);
        free(p);
        return NULL;
    }
    moved = realloc(p, n);
    assert_non_null(moved);
    if (p == NULL)
        atomic_fetch_add(&blocks, 1);
    return moved;
}

static char long_body[LONG_BODY + 1];

static void answer(const copal_event *ev, void *user)
{
    struct world *w = user;

    if (ev->kind != COPAL_REQUEST)
        return;
    w->served++;
    if (strcmp(copal_msg_path(copal_exchange_request(ev->exchange)), "/long") ==
        0)
        copal_reply_text(ev->exchange, COPAL_CONTENT, long_body);
    else
        copal_reply_text(ev->exchange, COPAL_CONTENT, "22.5 C");
}

static void drop_served(void *user)
{
    ((struct world *)user)->server_drops++;
}

static copal *new_endpoint(struct world *w)
{
    const copal_config config = {
        COPAL_CONFIG_INIT,
        .realloc_fn = counting_realloc,
        .loop = w->is_shared ? &w->uv : NULL,
    };
    copal *c = copal_new(&config);

    if (c == NULL)
        return NULL;
    copal_tune(c, NULL, COPAL_P_ACK_TIMEOUT, 10);
    copal_tune(c, NULL, COPAL_P_ACK_RANDOM, 100);
    copal_tune(c, NULL, COPAL_P_MAX_RETRANSMIT, 4);
    copal_tune(c, NULL, COPAL_P_TIMEOUT, 1000);
    return c;
}

/* What is said of a shortage, wherever it showed. */
static const struct told {
    enum call call;
    int error;
    const char *text;
} told[] = {
    {CALL_socket, EMFILE, "too many files open; raise"},
    {CALL_getifaddrs, EMFILE, "too many files open; raise"},
    {CALL_if_nametoindex, EMFILE, "too many files open; raise"},
    {CALL_if_nametoindex, ENOENT, "too many files open; raise"},
    {CALL_getaddrinfo, EMFILE, "could not be looked up: Too many open files"},
    {CALL_getaddrinfo, ENOMEM, "could not be looked up: out of memory"},
    {CALL_pthread_create, EAGAIN, "no thread to look it up"},
    {CALL_epoll_ctl, ENOSPC, "watch too many files"},
    {CALL_socket, ENOBUFS, "short of buffers"},
    {CALL_getifaddrs, ENOBUFS, "short of buffers"},
    {CALL_getsockname, ENOBUFS, "short of buffers"},
    {CALL_socket, ENOMEM, "out of memory"},
    {CALL_getifaddrs, ENOMEM, "out of memory"},
    {CALL_socket, EPERM, "sandbox"},
};

/* It says in words what did not work, and why. */
static void check_sentence(const char *text)
{
    assert_true(strlen(text) > 10);
    for (size_t i = 0; i < sizeof(told) / sizeof(told[0]); i++)
        if (told[i].call == fault.call && told[i].error == fault.error &&
            strstr(text, told[i].text) == NULL)
            fail_msg("it says: %s", text);
}

/* True: it did not work, which must have been for the fault. */
static bool refused(struct world *w, copal *c, int err)
{
    if (err >= 0)
        return false;
    assert_true(atomic_load(&calls_failed) > 0);
    check_sentence(copal_why(c));
    w->was_refused = true;
    return true;
}

static void listen_somewhere(struct world *w)
{
    if (!refused(w, w->server,
                 copal_listen(w->server, "coap://127.0.0.1:0", 0)))
        snprintf(w->base, sizeof(w->base), "%s", copal_local(w->server, 0));
}

static void open_world(struct world *w, bool is_shared)
{
    *w = (struct world){.is_shared = is_shared};
    if (is_shared)
        assert_int_equal(uv_loop_init(&w->uv), 0);
}

static void close_world(struct world *w)
{
    copal_free(w->client);
    copal_free(w->server);
    if (w->is_shared) {
        uv_run(&w->uv, UV_RUN_DEFAULT);
        assert_int_equal(uv_loop_close(&w->uv), 0);
    }
}

/* ---- Going on ---- */

static void on_guard(uv_timer_t *timer)
{
    ((struct world *)timer->data)->is_late = true;
}

static void step(struct world *w, int limit)
{
    copal *all[] = {w->client, w->server};

    step_all(all, 2, limit);
}

/* Until count reaches wanted, or ms have passed. */
static void go(struct world *w, const int *count, int wanted, uint64_t ms)
{
    uint64_t now, end = now_ms() + ms;

    if (w->is_shared) {
        uv_timer_init(&w->uv, &w->guard);
        w->guard.data = w;
        w->is_late = false;
        uv_update_time(&w->uv);
        uv_timer_start(&w->guard, on_guard, ms, 0);
    }
    while (*count < wanted && (now = now_ms()) < end && !w->is_late) {
        if (++w->steps > SPIN_STEPS)
            fail_msg("it spins");
        if (w->is_shared)
            uv_run(&w->uv, UV_RUN_ONCE);
        else
            step(w, (int)(end - now));
    }
    if (w->is_shared) {
        uv_close((uv_handle_t *)&w->guard, NULL);
        uv_run(&w->uv, UV_RUN_NOWAIT);
    }
}

static void note(const copal_event *ev, void *user)
{
    struct asked *a = user;

    assert_int_equal(a->ends, 0);
    if (ev->kind == COPAL_RESPONSE) {
        a->responses++;
        a->heard++;
        a->code = copal_msg_code(ev->msg);
        a->len = copal_msg_payload(ev->msg).len;
    } else if (ev->kind == COPAL_SILENT) {
        a->heard++;
    } else if (ev->kind == COPAL_END) {
        a->ends++;
        a->heard = MANY;
        a->x = NULL;
        a->status = ev->status;
        snprintf(a->text, sizeof(a->text), "%s", ev->text);
    }
}

static void note_drop(void *user)
{
    struct asked *a = user;

    a->drops++;
    a->x = NULL;
}

static struct asked *begin(struct world *w, int code, const char *base,
                           const char *path, unsigned flags, const char *body)
{
    struct asked *a = &w->asked[w->asked_count++];
    copal_msg *m = copal_msg_new(w->client, code);
    char uri[128];

    snprintf(uri, sizeof(uri), "%s%s", base, path);
    assert_int_equal(copal_msg_set_uri(m, uri), 0);
    copal_msg_set_flags(m, flags);
    if (body != NULL)
        copal_msg_set_payload(
            m, COPAL_TEXT, (copal_bytes){(const uint8_t *)body, strlen(body)});
    a->x = copal_request(w->client, m, COPAL_CB_OWN(note, a, note_drop));
    a->is_begun = a->x != NULL;
    copal_msg_unref(m);
    assert_true(a->is_begun);
    return a;
}

/* Over, with the answer or a reason. */
static void finish(struct world *w, struct asked *a, size_t len)
{
    go(w, &a->ends, 1, HANG_MS);
    if (a->ends != 1)
        fail_msg("it hangs");
    if (a->status != 0) {
        check_sentence(a->text);
        w->was_refused = true;
    } else if (a->len != len) {
        fail_msg("an answer of %zu bytes with code %d", a->len, a->code);
    }
}

/* ---- Scenarios ---- */

static void play_get(struct world *w)
{
    finish(w, begin(w, COPAL_GET, w->base, "/t", 0, NULL), 6);
    finish(w, begin(w, COPAL_GET, w->base, "/t", 0, NULL), 6);
}

static void play_download(struct world *w)
{
    finish(w, begin(w, COPAL_GET, w->base, "/long", 0, NULL), LONG_BODY);
}

static void play_upload(struct world *w)
{
    finish(w, begin(w, COPAL_PUT, w->base, "/t", 0, long_body), 6);
}

/* Notifications may get lost: the end tells, the last one need not. */
static void observe_some(struct world *w, struct asked *a)
{
    go(w, &a->heard, 1, 200);
    for (int i = 0; i < 2 && a->ends == 0; i++) {
        copal_notify(w->server, "/t");
        go(w, &a->heard, a->heard + 1, 60);
    }
    if (a->ends == 0)
        assert_int_equal(copal_cancel(a->x), 0);
    go(w, &a->ends, 1, HANG_MS);
    assert_int_equal(a->ends, 1);
    if (a->status == COPAL_ECANCEL)
        a->status = 0;
    finish(w, a, 6);
}

static void play_observe(struct world *w)
{
    struct asked *a = begin(w, COPAL_GET, w->base, "/t", 0, NULL);

    finish(w, a, 6);
    a = &w->asked[w->asked_count++];
    {
        char uri[128];

        snprintf(uri, sizeof(uri), "%s/t", w->base);
        a->x = copal_observe(w->client, uri, COPAL_CB_OWN(note, a, note_drop));
    }
    a->is_begun = a->x != NULL;
    assert_true(a->is_begun);
    observe_some(w, a);
}

/* A watch goes on until it is told not to, whatever fails meanwhile. */
static void play_watch(struct world *w)
{
    struct asked *a = begin(w, COPAL_GET, w->base, "/t", COPAL_WATCH, NULL);

    go(w, &a->heard, 1, 300);
    copal_notify(w->server, "/t");
    go(w, &a->heard, a->heard + 1, 60);
    if (a->ends == 0)
        assert_int_equal(copal_cancel(a->x), 0);
    go(w, &a->ends, 1, HANG_MS);
    assert_int_equal(a->ends, 1);
    if (a->responses == 0)
        w->was_refused = true;
}

/* "127.1" is no literal of a URI, but getaddrinfo() knows it without asking. */
static void play_name(struct world *w)
{
    char base[64];

    snprintf(base, sizeof(base), "coap://127.1%s", strrchr(w->base, ':'));
    finish(w, begin(w, COPAL_GET, base, "/t", 0, NULL), 6);
    finish(w, begin(w, COPAL_GET, base, "/t", 0, NULL), 6);
}

static void play_group(struct world *w)
{
    static const char group[] = "coap://224.0.1.187:0";
    char uri[64];
    struct asked *a;
    int err;

    snprintf(uri, sizeof(uri), "%.*s%s", (int)sizeof(group) - 3, group,
             strrchr(w->base, ':'));
    err = copal_join(w->server, uri, "lo");
    if (err != 0 && atomic_load(&calls_failed) == 0)
        return; /* this host has no multicast */
    if (refused(w, w->server, err))
        return;
    copal_tune(w->client, NULL, COPAL_P_LEISURE, 1);
    copal_tune(w->server, NULL, COPAL_P_LEISURE, 1);
    copal_tune(w->client, NULL, COPAL_P_INTERFACE, if_nametoindex("lo"));
    copal_tune(w->client, NULL, COPAL_P_TIMEOUT, 6);
    a = begin(w, COPAL_GET, uri, "/t", COPAL_NON, NULL);
    go(w, &a->ends, 1, HANG_MS);
    assert_int_equal(a->ends, 1);
    if (!refused(w, w->server, copal_leave(w->server, uri, "lo")))
        (void)refused(w, w->server, copal_join(w->server, uri, NULL));
}

static void play_listen(struct world *w)
{
    size_t before = 1;

    if (!refused(w, w->server, copal_listen(w->server, "coap://*:0", 0)))
        while (copal_local(w->server, before) != NULL)
            before++;
    /* All of it is open, or nothing. */
    assert_true(before == 1 || before >= 2);
    for (size_t i = 0; copal_interface(w->client, i, NULL) != NULL; i++)
        continue;
    finish(w, begin(w, COPAL_GET, w->base, "/t", 0, NULL), 6);
}

static void play_close(struct world *w)
{
    struct asked *owed = begin(w, COPAL_GET, w->base, "/t", 0, NULL);
    struct asked *other = begin(w, COPAL_GET, w->base, "/long", 0, NULL);

    go(w, &w->served, 1, 100);
    copal_close(w->server, 50);
    copal_close(w->client, 500);
    go(w, &owed->ends, 1, 50);
    copal_free(w->client);
    copal_free(w->server);
    w->client = w->server = NULL;
    assert_int_equal(owed->ends, 1);
    assert_int_equal(other->ends, 1);
}

struct scenario {
    const char *name;
    void (*play)(struct world *w);
    unsigned points; /* failures injected */
};

static struct scenario scenarios[] = {
    {"request", play_get, 0},   {"download", play_download, 0},
    {"upload", play_upload, 0}, {"observe", play_observe, 0},
    {"watch", play_watch, 0},   {"name", play_name, 0},
    {"group", play_group, 0},   {"listen", play_listen, 0},
    {"close", play_close, 0},
};

/* ---- The sweep ---- */

/* What a system says that is short of something, interrupted, or forbids it.
 * Others come from these calls, too, but are handled as one of them. */
static const struct kind {
    enum call call;
    bool passes; /* one or two failures in a row must not show */
    int errors[8];
} kinds[] = {
    {CALL_socket, false, {EMFILE, ENOBUFS, ENOMEM, EPERM, EAFNOSUPPORT}},
    {CALL_bind, false, {ENOMEM, EADDRINUSE, EACCES, EADDRNOTAVAIL}},
    {CALL_setsockopt, false, {ENOMEM, ENOBUFS, EPERM, ENOPROTOOPT}},
    {CALL_getsockopt, true, {ENOBUFS}},
    {CALL_getsockname, false, {ENOBUFS}},
    {CALL_sendmmsg, true, {EAGAIN, EINTR, ENOBUFS, ENOMEM}},
    {CALL_sendmmsg, false, {ENETUNREACH, ECONNREFUSED, EPERM}},
    {CALL_recvmmsg, true, {EAGAIN, EINTR, ENOBUFS, ENOMEM, ECONNREFUSED}},
    {CALL_recvmsg, true, {EAGAIN, EINTR, ENOMEM}},
    {CALL_ioctl, false, {ENOMEM}},
    {CALL_epoll_create1, false, {EMFILE, ENOMEM}},
    {CALL_epoll_ctl, false, {ENOMEM, ENOSPC}},
    {CALL_epoll_pwait, true, {EINTR}},
    {CALL_eventfd, false, {EMFILE, ENOMEM}},
    {CALL_getrandom, true, {ENOSYS, EINTR, EAGAIN}},
    {CALL_getifaddrs, false, {EMFILE, ENOMEM, ENOBUFS}},
    {CALL_if_nametoindex, false, {EMFILE, ENOENT, ENODEV}},
    {CALL_getaddrinfo, false, {EMFILE, EAGAIN, ENOMEM}},
    {CALL_pthread_create, false, {EAGAIN}},
};

static char running[128];

static void tell_running(void)
{
    if (running[0] != '\0')
        print_error("with %s\n", running);
}

/* Threads of look-ups may have been left behind. */
static void wait_for_threads(void)
{
    for (int i = 0; i < 1000 && atomic_load(&blocks) > 0; i++)
        usleep(1000);
}

/* libuv 1.44 keeps the descriptor of a loop that then cannot be woken. */
static int kept_by_libuv(const struct fault *f, bool is_shared)
{
    return !is_shared && f->call == CALL_eventfd
               ? (int)atomic_load(&calls_failed)
               : 0;
}

static void check_asked(const struct world *w)
{
    for (int i = 0; i < w->asked_count; i++) {
        assert_int_equal(w->asked[i].ends, w->asked[i].is_begun);
        assert_int_equal(w->asked[i].drops, 1);
    }
}

static bool play(const struct scenario *s, bool is_shared, struct fault f,
                 bool passes)
{
    int before = open_fds();
    struct world w;
    bool has_server = false;

    snprintf(running, sizeof(running), "%s (%s loop): %s %u to %u: %s", s->name,
             is_shared ? "one" : "own", call_names[f.call], f.nth,
             f.nth + f.width - 1, strerror(f.error));
    open_world(&w, is_shared);
    begin_faults(f);
    w.client = new_endpoint(&w);
    w.server = new_endpoint(&w);
    if (w.server != NULL) {
        has_server = true;
        assert_int_equal(copal_serve(w.server, 0, "/t",
                                     COPAL_OBSERVABLE | COPAL_GROUP,
                                     COPAL_CB_OWN(answer, &w, drop_served)),
                         0);
        copal_serve(w.server, 0, "/long", 0, COPAL_CB(answer, &w));
        listen_somewhere(&w);
    }
    if (w.client == NULL || w.server == NULL)
        w.was_refused = true;
    else if (w.base[0] != '\0')
        s->play(&w);
    close_world(&w);
    end_faults();
    wait_for_threads();

    if (w.was_refused && (passes || atomic_load(&calls_failed) == 0))
        fail_msg("it did not work: %s", w.asked[0].text);
    check_asked(&w);
    assert_int_equal(w.server_drops, has_server);
    assert_int_equal(atomic_load(&blocks), 0);
    assert_in_range(open_fds(), before, before + kept_by_libuv(&f, is_shared));
    running[0] = '\0';
    return atomic_load(&calls_failed) > 0;
}

/* One failure, and two in a row: some calls are made again at once. */
static void sweep(struct scenario *s, bool is_shared)
{
    /* What is made of an errno has nothing to do with whose the loop is. */
    size_t most = is_shared ? 1 : sizeof(kinds[0].errors);
    unsigned before = s->points;

    for (size_t k = 0; k < sizeof(kinds) / sizeof(kinds[0]); k++)
        for (size_t e = 0; kinds[k].errors[e] != 0 && e < most; e++)
            for (unsigned width = 1; width <= 2; width++)
                for (unsigned nth = 1;; nth++) {
                    struct fault f = {.call = kinds[k].call,
                                      .error = kinds[k].errors[e],
                                      .nth = nth,
                                      .width = width};

                    if (!play(s, is_shared, f, kinds[k].passes))
                        break;
                    s->points++;
                }
    print_message("%s, %s: %u failures\n", s->name,
                  is_shared ? "on one loop" : "on loops of their own",
                  s->points - before);
}

static void work_survives_any_failed_call_on_own_loops(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(scenarios) / sizeof(scenarios[0]); i++)
        sweep(&scenarios[i], false);
}

static void work_survives_any_failed_call_on_one_loop(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(scenarios) / sizeof(scenarios[0]); i++)
        sweep(&scenarios[i], true);
}

/* ---- What lasts ---- */

static void build_pair(struct world *w)
{
    open_world(w, false);
    w->client = new_endpoint(w);
    w->server = new_endpoint(w);
    assert_non_null(w->client);
    assert_non_null(w->server);
    copal_serve(w->server, 0, "/t", 0, COPAL_CB(answer, w));
    listen_somewhere(w);
}

/* Asks, and gives how it ended. */
static int ask_once(struct world *w)
{
    struct asked *a;

    w->asked_count = 0;
    w->asked[0] = (struct asked){.x = NULL};
    a = begin(w, COPAL_GET, w->base, "/t", 0, NULL);
    go(w, &a->ends, 1, HANG_MS);
    assert_int_equal(a->ends, 1);
    if (a->status != 0)
        check_sentence(a->text);
    return a->status;
}

static void a_lasting_failure_to_read_spins_not(void **state)
{
    static const struct fault faults[] = {
        {.call = CALL_recvmmsg, .error = ENOMEM, .nth = 1, .width = 1u << 30},
        {.call = CALL_recvmsg, .error = ENOMEM, .nth = 1, .width = 1u << 30},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(faults) / sizeof(faults[0]); i++) {
        struct world w;
        int never = 0;

        build_pair(&w);
        assert_int_equal(ask_once(&w), 0);
        begin_faults(faults[i]);
        (void)ask_once(&w);
        /* A refused port, so that there is an error to be read as well. */
        copal_get(w.client, "coap://127.0.0.1:1/", COPAL_CB(NULL, NULL));
        go(&w, &never, 1, 500);
        assert_in_range(w.steps, 0, 200);
        end_faults();
        assert_int_equal(ask_once(&w), 0);
        close_world(&w);
    }
}

static void what_needs_no_descriptor_works_without_one(void **state)
{
    struct rlimit before, few;
    struct world w, other;
    int taken[32], count = 0, fd;

    (void)state;
    assert_int_equal(getrlimit(RLIMIT_NOFILE, &before), 0);
    build_pair(&w);
    build_pair(&other);
    assert_int_equal(ask_once(&w), 0); /* this one has its socket */
    fd = dup(0);
    close(fd);
    few = before;
    few.rlim_cur = (rlim_t)(fd < 16 ? 20 : fd + 4);
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &few), 0);
    while (count < 32 && (fd = dup(0)) >= 0)
        taken[count++] = fd;

    assert_true(count > 0);
    assert_null(copal_new(NULL));
    assert_int_equal(ask_once(&other), COPAL_ELIMIT);
    assert_non_null(strstr(other.asked[0].text, "too many files open"));
    assert_int_equal(copal_listen(w.server, "coap://127.0.0.1:0", 0),
                     COPAL_ELIMIT);
    assert_int_equal(copal_listen(w.server, "coap://*:0", 0), COPAL_ELIMIT);
    assert_null(copal_local(w.server, 1));
    assert_int_equal(copal_join(w.server, "coap://224.0.1.187", "lo"),
                     COPAL_ELIMIT);
    assert_int_equal(copal_join(w.server, "coap://224.0.1.187", NULL),
                     COPAL_ELIMIT);
    for (int i = 0; i < 20; i++)
        assert_int_equal(ask_once(&w), 0);
    assert_in_range(w.steps + other.steps, 0, 200);

    while (count > 0)
        close(taken[--count]);
    assert_int_equal(ask_once(&other), 0);
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &before), 0);
    close_world(&other);
    close_world(&w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        /* First, for what libuv then keeps would count, too. */
        cmocka_unit_test(what_needs_no_descriptor_works_without_one),
        cmocka_unit_test(a_lasting_failure_to_read_spins_not),
        cmocka_unit_test(work_survives_any_failed_call_on_own_loops),
        cmocka_unit_test(work_survives_any_failed_call_on_one_loop),
    };

    /* What libuv keeps for a process is opened with its first loop. */
    uv_loop_close(uv_default_loop());
    atexit(tell_running);
    memset(long_body, 'a', LONG_BODY);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
