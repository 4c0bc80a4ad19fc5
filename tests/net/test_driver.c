/* The driver under an engine that only counts: what sockets do when the system
 * refuses, and what a real engine would make hard to see. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>
#include "engine/engine.h"
#include "net/batch.h"
#include "net/loop.h"
#include "net/udp.h"
#include "wire/uri.h"

enum {
    LIMIT_MS = 2000
};

/* ---- An engine that counts ---- */

struct cp_engine {
    const char *const *answers; /* to what comes, each as it is; NULL: none */
    size_t answer_count;
    size_t lengths; /* of what came, as digits */
    unsigned turns, received, counted_in, foreseen, sent, undelivered;
    int status;
    uint8_t quoted[64];
    size_t quoted_len;
    uint8_t first_bytes[64]; /* of what was received, in order */
    bool is_busy, is_inside;
};

void cp_engine_enter(struct cp_engine *e, uint64_t now)
{
    (void)now;
    e->is_inside = true;
}

void cp_engine_turn(struct cp_engine *e, uint64_t now)
{
    (void)now;
    e->turns++;
    e->is_inside = false;
}

uint64_t cp_engine_deadline(const struct cp_engine *e)
{
    (void)e;
    return UINT64_MAX;
}

bool cp_engine_is_busy(const struct cp_engine *e)
{
    return e->is_busy;
}

bool cp_engine_is_closing(const struct cp_engine *e)
{
    (void)e;
    return false;
}

bool cp_engine_is_condemned(const struct cp_engine *e)
{
    (void)e;
    return false;
}

void cp_engine_attach(struct cp_engine *e, struct cp_link *link)
{
    link->engine = e;
}

void cp_engine_foresee(struct cp_engine *e, const struct cp_link *link,
                       const struct cp_path *path, copal_bytes datagram,
                       struct cp_foreseen *out)
{
    (void)link;
    assert_int_not_equal(path->remote.port, 0);
    *out = (struct cp_foreseen){.is_known = datagram.len > 0};
    if (out->is_known)
        out->hash = datagram.data[0];
    e->foreseen++;
}

/* What is foreseen of a datagram comes with the same. */
void cp_engine_foreseen(struct cp_engine *e, struct cp_link *link,
                        const struct cp_path *path, copal_bytes datagram,
                        const struct cp_foreseen *f)
{
    struct cp_path back = {.remote = path->remote};

    assert_true(e->is_inside);
    if (f->is_known)
        assert_int_equal(f->hash, datagram.data[0]);
    if (datagram.len > 0 && e->received < sizeof(e->first_bytes))
        e->first_bytes[e->received] = datagram.data[0];
    e->lengths = 10 * e->lengths + datagram.len;
    e->received++;
    for (size_t i = 0; i < e->answer_count; i++)
        (void)cp_link_send(link, &back,
                           cp_bytes(e->answers[i], strlen(e->answers[i])));
}

void cp_engine_datagram(struct cp_engine *e, struct cp_link *link,
                        const struct cp_path *path, copal_bytes datagram)
{
    (void)e;
    (void)link;
    (void)path;
    (void)datagram;
    fail(); /* those of DTLS */
}

void cp_engine_undelivered(struct cp_engine *e, struct cp_link *link,
                           const struct cp_path *path, copal_bytes quoted,
                           int status)
{
    (void)link;
    (void)path;
    assert_true(e->is_inside);
    e->undelivered++;
    e->status = status;
    e->quoted_len = 0;
    while (e->quoted_len < quoted.len && e->quoted_len < sizeof(e->quoted)) {
        e->quoted[e->quoted_len] = quoted.data[e->quoted_len];
        e->quoted_len++;
    }
}

int64_t cp_engine_param(const struct cp_engine *e, int param)
{
    (void)e;
    return param == COPAL_P_SOCKET_BUFFER ? 4194304 : 0;
}

/* None of these endpoints listens for connections. */
int cp_engine_connected(struct cp_engine *e, struct cp_link *link,
                        const struct cp_path *path, enum cp_framing framing,
                        bool is_ours)
{
    (void)e;
    (void)link;
    (void)path;
    (void)framing;
    (void)is_ours;
    return COPAL_ECLOSED;
}

void cp_engine_random(struct cp_engine *e, void *out, size_t n)
{
    (void)e;
    memset(out, 0, n);
}

enum cp_room cp_engine_may_accept(struct cp_engine *e,
                                  const struct cp_address *from,
                                  struct cp_unfinished unfinished)
{
    (void)e;
    (void)unfinished;
    (void)from;
    return CP_NO_ROOM;
}

struct cp_link *cp_engine_oldest(struct cp_engine *e, uint64_t *since)
{
    (void)e;
    (void)since;
    return NULL;
}

bool cp_engine_has_more(const struct cp_link *link)
{
    (void)link;
    return false;
}

void cp_engine_limited(struct cp_engine *e, const char *limit)
{
    (void)e;
    (void)limit;
}

bool cp_engine_may_ask(const struct cp_link *link)
{
    (void)link;
    return false;
}

void cp_engine_bytes(struct cp_engine *e, struct cp_link *link,
                     copal_bytes bytes)
{
    (void)e;
    (void)link;
    (void)bytes;
}

void cp_engine_shut_out(struct cp_engine *e, const struct cp_address *peer,
                        const char *why)
{
    (void)e;
    (void)peer;
    (void)why;
}

void cp_engine_drained(struct cp_engine *e, struct cp_link *link)
{
    (void)e;
    (void)link;
}

void cp_engine_closed(struct cp_engine *e, struct cp_link *link, int status)
{
    (void)e;
    (void)link;
    (void)status;
}

void cp_engine_count_datagram(struct cp_engine *e, bool out, size_t bytes)
{
    (void)bytes;
    if (out)
        e->sent++;
    else
        e->counted_in++;
}

/* Of engine/trace.h, which wants to see inside. */
void cp_trace_security(struct cp_engine *e, const char *ev, const char *what);
void cp_trace_security(struct cp_engine *e, const char *ev, const char *what)
{
    (void)e;
    (void)ev;
    (void)what;
}

/* ---- A system that refuses ---- */

static int planned[8]; /* an errno, or 0: let it through */
static size_t plan_len, plan_at;
static unsigned passed; /* messages; each may be many datagrams */

int sendmmsg(int fd, struct mmsghdr *slots, unsigned count, int flags)
{
    if (plan_at < plan_len && planned[plan_at++] != 0) {
        errno = planned[plan_at - 1];
        return -1;
    }
    passed += count;
    return (int)syscall(SYS_sendmmsg, fd, slots, count, flags);
}

static unsigned asked_for; /* datagrams, when last were read */

int recvmmsg(int fd, struct mmsghdr *slots, unsigned count, int flags,
             struct timespec *limit)
{
    asked_for = count;
    return (int)syscall(SYS_recvmmsg, fd, slots, count, flags, limit);
}

static void plan(const int *errors, size_t count)
{
    for (size_t i = 0; i < count; i++)
        planned[i] = errors[i];
    plan_len = count;
    plan_at = 0;
    passed = 0;
}

/* ---- Two hosts ---- */

struct host {
    struct cp_mem *mem;
    struct cp_driver *driver;
    struct cp_engine engine;
};

struct world {
    struct host near, far;
    struct cp_route route; /* from near to far */
    struct cp_link *link;
    const struct cp_path *path;
};

static uint64_t now_ms(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000 + (uint64_t)t.tv_nsec / 1000000;
}

static bool open_host(struct host *h, struct cp_mem *mem)
{
    *h = (struct host){.mem = mem};
    if (mem == NULL)
        return false;
    h->driver = cp_loop_new(mem, NULL);
    if (h->driver == NULL) {
        cp_mem_release(mem);
        return false;
    }
    h->driver->engine = &h->engine;
    h->driver->owner = h;
    return true;
}

static void close_host(struct host *h)
{
    h->driver->ops->close(h->driver);
    cp_mem_release(h->mem);
}

static int listen_at(struct host *h, const char *text)
{
    struct cp_uri base;

    assert_int_equal(cp_uri_split_base(h->mem, text, &base), 0);
    return h->driver->ops->listen(h->driver, &base, text, 0);
}

static int find(struct host *h, struct cp_route *r, const char *host, int port)
{
    r->host = host;
    r->port = (uint16_t)port;
    return h->driver->ops->route(h->driver, r);
}

static void tell(struct world *w, const void *data, size_t len)
{
    assert_int_equal(cp_link_send(w->link, w->path, cp_bytes(data, len)), 0);
}

static void go_until(struct host *h, const unsigned *count, unsigned wanted)
{
    uint64_t end = now_ms() + LIMIT_MS;

    while (*count < wanted && now_ms() < end) {
        struct pollfd fd = {.fd = h->driver->ops->fd(h->driver),
                            .events = POLLIN};
        int timeout = h->driver->ops->timeout(h->driver);

        poll(&fd, 1, timeout < 0 || timeout > 20 ? 20 : timeout);
        assert_int_equal(h->driver->ops->step(h->driver), 0);
    }
    assert_int_equal(*count, wanted);
}

static int build(void **state)
{
    struct world *w = calloc(1, sizeof(*w));
    const char *uri;

    plan(NULL, 0);
    if (w == NULL || !open_host(&w->near, cp_mem_new(NULL, NULL)) ||
        !open_host(&w->far, cp_mem_new(NULL, NULL)) ||
        listen_at(&w->far, "coap://127.0.0.1:0") != 0)
        return -1;
    uri = w->far.driver->ops->local(w->far.driver, 0);
    if (find(&w->near, &w->route, "127.0.0.1", atoi(strrchr(uri, ':') + 1)) !=
        0)
        return -1;
    w->link = w->route.ways[0].link;
    w->path = &w->route.ways[0].path;
    *state = w;
    return 0;
}

static int tear_down(void **state)
{
    struct world *w = *state;

    plan(NULL, 0);
    if (w->near.driver != NULL)
        close_host(&w->near);
    close_host(&w->far);
    free(w);
    return 0;
}

/* ---- Sending ---- */

static void thousands_of_datagrams_take_few_turns(void **state)
{
    struct world *w = *state;

    for (int i = 0; i < 4000; i++)
        tell(w, "0123456789", 10);
    go_until(&w->near, &w->near.engine.sent, 4000);
    go_until(&w->far, &w->far.engine.received, 4000);
    assert_in_range(w->far.engine.turns, 1, 100);
}

static void a_blocked_socket_keeps_its_order(void **state)
{
    static const int full[] = {EAGAIN, EAGAIN};
    struct world *w = *state;

    plan(full, 2);
    for (char c = 'a'; c <= 'j'; c++)
        tell(w, &c, 1);
    go_until(&w->near, &w->near.engine.sent, 10);
    go_until(&w->far, &w->far.engine.received, 10);
    assert_memory_equal(w->far.engine.first_bytes, "abcdefghij", 10);
}

static void what_a_blocked_socket_cannot_hold_is_lost(void **state)
{
    static const int full[] = {EAGAIN};
    struct world *w = *state;

    plan(full, 1);
    for (int i = 0; i < 200; i++)
        tell(w, "x", 1);
    go_until(&w->near, &w->near.engine.sent, 64);
    go_until(&w->far, &w->far.engine.received, 64);
    assert_int_equal(w->near.engine.undelivered, 0);
}

/* ---- Bursts to one peer ---- */

/* What far says to one datagram of near's, all in one turn. Gives how many
 * messages that took it, or 0 where the system cuts none. */
static unsigned answered(struct world *w, const char *const *answers,
                         size_t count)
{
    struct cp_engine *far = &w->far.engine, *near = &w->near.engine;
    struct cp_udp *s = cp_container_of(w->link, struct cp_udp, link);

    far->answers = answers;
    far->answer_count = count;
    near->lengths = near->received = 0;
    tell(w, "x", 1);
    go_until(&w->near, &near->sent, near->sent + 1);
    passed = 0;
    go_until(&w->far, &far->sent, far->sent + (unsigned)count);
    go_until(&w->near, &near->received, (unsigned)count);
    return cp_batch_can_cut(s->fd) ? passed : 0;
}

static void a_burst_to_who_was_heard_goes_as_one_and_comes_as_many(void **state)
{
    static const char *const burst[] = {"aaaa", "bbbb", "cccc", "d"};
    struct world *w = *state;

    assert_in_range(answered(w, burst, 4), 0, 1);
    assert_int_equal(w->near.engine.lengths, 4441);
    assert_memory_equal(w->near.engine.first_bytes, "abcd", 4);
    assert_int_equal(w->near.engine.undelivered, 0);
}

static void what_differs_in_length_goes_apart(void **state)
{
    static const char *const burst[] = {"aa", "bb", "c", "dd", "eee", "", "ff"};
    struct world *w = *state;
    unsigned count = answered(w, burst, 7);

    if (count > 0)
        assert_int_equal(count, 5); /* aa bb c, dd, eee, nothing, ff */
    assert_int_equal(w->near.engine.lengths, 2212302);
    assert_memory_equal(w->near.engine.first_bytes, "abcde", 5);
    assert_int_equal(w->near.engine.first_bytes[6], 'f');
}

static void what_the_system_will_not_cut_goes_one_by_one(void **state)
{
    static const int never[] = {0, EIO, EIO};
    static const char *const burst[] = {"aaaa", "bbbb", "cccc"};
    struct world *w = *state;
    unsigned count;

    plan(never, 3);
    count = answered(w, burst, 3);
    assert_true(count == 0 || count == 3);
    assert_int_equal(w->near.engine.lengths, 444);
    assert_memory_equal(w->near.engine.first_bytes, "abc", 3);
    count = answered(w, burst, 3); /* nor tried once more */
    assert_true(count == 0 || count == 3);
    assert_int_equal(w->near.engine.lengths, 444);
    assert_int_equal(w->far.engine.undelivered, 0);
}

static void what_fails_as_one_has_each_its_own_fate(void **state)
{
    static const int errors[] = {0, EPERM, EPERM, EPERM, EPERM};
    static const char *const burst[] = {"aaaa", "bbbb", "cccc"};
    struct world *w = *state;
    unsigned count;

    w->far.engine.answers = burst;
    w->far.engine.answer_count = 3;
    plan(errors, 5);
    tell(w, "x", 1);
    go_until(&w->near, &w->near.engine.sent, 1);
    go_until(&w->far, &w->far.engine.undelivered, 1);
    assert_int_equal(w->far.engine.status, COPAL_EPERM);
    assert_int_equal(w->far.engine.quoted_len, 4);
    assert_memory_equal(w->far.engine.quoted, "aaaa", 4);
    go_until(&w->near, &w->near.engine.received, 2);
    assert_memory_equal(w->near.engine.first_bytes, "bc", 2);
    count = answered(w, burst, 3); /* as one, as before */
    assert_in_range(count, 0, 1);
}

/* A port where nobody is says so once for all that went as one. */
static void who_was_not_heard_is_sent_each_by_itself(void **state)
{
    struct world *w = *state;

    for (char c = 'a'; c <= 'j'; c++)
        tell(w, &c, 1);
    go_until(&w->near, &w->near.engine.sent, 10);
    assert_int_equal(passed, 10);
    go_until(&w->far, &w->far.engine.received, 10);
    assert_memory_equal(w->far.engine.first_bytes, "abcdefghij", 10);
}

static void an_old_datagrams_error_fails_no_other(void **state)
{
    static const int once[] = {ECONNREFUSED};
    struct world *w = *state;

    plan(once, 1);
    tell(w, "x", 1);
    go_until(&w->near, &w->near.engine.sent, 1);
    assert_int_equal(w->near.engine.undelivered, 0);
}

static void what_the_system_will_not_send_is_told_with_its_beginning(
    void **state)
{
    static const int twice[] = {ENETUNREACH, ENETUNREACH};
    struct world *w = *state;

    plan(twice, 2);
    tell(w, "abc", 3);
    tell(w, "def", 3);
    assert_int_equal(w->near.engine.undelivered, 0); /* not inside send */
    go_until(&w->near, &w->near.engine.sent, 1);
    assert_int_equal(w->near.engine.undelivered, 1);
    assert_int_equal(w->near.engine.status, COPAL_EUNREACH);
    assert_int_equal(w->near.engine.quoted_len, 3);
    assert_memory_equal(w->near.engine.quoted, "abc", 3);
}

static void what_no_datagram_can_hold_is_told(void **state)
{
    static uint8_t large[65536];
    struct world *w = *state;

    tell(w, large, sizeof(large)); /* more than UDP's length can say */
    tell(w, large, 65530);         /* more than IP has room for */
    go_until(&w->near, &w->near.engine.undelivered, 2);
    assert_int_equal(w->near.engine.status, COPAL_EIO);
}

static void last_words_leave_before_the_port_closes(void **state)
{
    struct world *w = *state;

    tell(w, "bye", 3);
    close_host(&w->near);
    w->near.driver = NULL;
    go_until(&w->far, &w->far.engine.received, 1);
}

/* ---- Receiving ---- */

static void of_large_datagrams_in_one_batch_the_last_is_whole(void **state)
{
    static uint8_t large[5000];
    struct world *w = *state;

    for (uint8_t i = 0; i < 3; i++) {
        large[0] = (uint8_t)('A' + i);
        tell(w, large, sizeof(large));
        tell(w, "s", 1);
    }
    go_until(&w->near, &w->near.engine.sent, 6);
    go_until(&w->far, &w->far.engine.counted_in, 6);
    assert_int_equal(w->far.engine.received, 4);
    assert_memory_equal(w->far.engine.first_bytes, "ssCs", 4);
}

static void those_that_came_together_are_foreseen_one_alone_is_not(void **state)
{
    struct world *w = *state;
    unsigned foreseen;

    for (uint8_t i = 0; i < 8; i++)
        tell(w, &i, 1);
    go_until(&w->near, &w->near.engine.sent, 8);
    go_until(&w->far, &w->far.engine.received, 8);
    assert_true(w->far.engine.foreseen >= 2); /* in one batch, mostly */
    foreseen = w->far.engine.foreseen;
    assert_memory_equal(w->far.engine.first_bytes, "\0\1\2\3\4\5\6\7", 8);

    tell(w, "s", 1);
    go_until(&w->near, &w->near.engine.sent, 9);
    go_until(&w->far, &w->far.engine.received, 9);
    assert_int_equal(w->far.engine.foreseen, foreseen);
}

/* ---- Ways ---- */

/* To look for a second costs a system's call that finds none. */
static void who_always_comes_alone_is_read_alone_a_crowd_soon_together(
    void **state)
{
    struct world *w = *state;
    struct cp_engine *far = &w->far.engine;
    unsigned alone = 0;

    for (unsigned i = 1; i <= 36; i++) {
        tell(w, "x", 1);
        go_until(&w->near, &w->near.engine.sent, i);
        go_until(&w->far, &far->received, i);
        alone += asked_for == 1;
    }
    assert_in_range(alone, 14, 16); /* of the last 20 three of four */
    far->turns = 0;
    for (int i = 0; i < 30; i++)
        tell(w, "x", 1);
    go_until(&w->near, &w->near.engine.sent, 66);
    go_until(&w->far, &far->received, 66);
    assert_in_range(far->turns, 1, 5);
    tell(w, "x", 1);
    go_until(&w->near, &w->near.engine.sent, 67);
    go_until(&w->far, &far->received, 67);
    assert_int_equal(asked_for, CP_BATCH);
}

static void a_request_leaves_from_where_the_endpoint_listens(void **state)
{
    struct world *w = *state;
    struct cp_route r = {0};

    assert_int_equal(listen_at(&w->near, "coap://127.0.0.1:0"), 0);
    assert_int_equal(find(&w->near, &r, "127.0.0.1", 9), 0);
    assert_ptr_not_equal(r.ways[0].link, w->link);
    /* ... but not from loopback to elsewhere. */
    assert_int_equal(find(&w->near, &r, "192.0.2.1", 9), 0);
    assert_ptr_equal(r.ways[0].link, w->link);
}

static void a_source_must_be_an_address_of_this_host(void **state)
{
    struct world *w = *state;
    struct cp_route r = {0};

    assert_true(cp_address_read("127.0.0.9", &r.from));
    assert_int_equal(find(&w->near, &r, "127.0.0.1", 9), 0);
    assert_true(cp_address_read("203.0.113.9", &r.from));
    assert_int_equal(find(&w->near, &r, "127.0.0.1", 9), COPAL_EIO);
    assert_non_null(strstr(cp_why_text(w->near.mem), "203.0.113.9"));
    assert_int_equal(find(&w->near, &r, "::1", 9), COPAL_EUNREACH);
}

static void a_link_local_address_needs_an_interface(void **state)
{
    struct world *w = *state;
    struct cp_route r = {0};

    assert_int_equal(find(&w->near, &r, "fe80::1", 9), COPAL_EUNREACH);
    assert_non_null(strstr(cp_why_text(w->near.mem), "fe80::1%"));
}

/* ---- Names ---- */

/* A name that no resolver asks anybody for: its label is too long. */
#define NOWHERE \
    "no-label-of-a-name-in-the-dns-is-longer-than-sixty-three-characters"

static unsigned told;
static int told_status;

static void note(struct cp_route *r, int status, const char *why)
{
    (void)r;
    (void)why;
    told++;
    told_status = status;
}

static void routes_to_one_name_wait_together(void **state)
{
    struct world *w = *state;
    struct cp_route all[3] = {{.done = note}, {.done = note}, {.done = note}};

    told = 0;
    for (int i = 0; i < 3; i++)
        assert_int_equal(find(&w->near, &all[i], NOWHERE, 9), 1);
    w->near.driver->ops->unroute(w->near.driver, &all[1]);
    assert_int_equal(told, 0);
    go_until(&w->near, &told, 2);
    assert_int_equal(told_status, COPAL_ERESOLVE);
}

/* "127.1" is no literal of a URI, but getaddrinfo() knows what is meant without
 * asking anybody. */
static void a_name_that_was_found_is_known_at_once(void **state)
{
    struct world *w = *state;
    struct cp_route r = {.done = note};

    told = 0;
    assert_int_equal(find(&w->near, &r, "127.1", 9), 1);
    go_until(&w->near, &told, 1);
    assert_int_equal(told_status, 0);
    assert_int_equal(find(&w->near, &r, "127.1", 10), 0);
    assert_true(r.count > 0);
    assert_int_equal(r.ways[0].path.remote.port, 10);
}

static void localhost_is_never_looked_up(void **state)
{
    struct world *w = *state;
    struct cp_route r = {.done = note};

    assert_int_equal(find(&w->near, &r, "localhost", 9), 0);
    assert_int_equal(r.ways[r.count - 1].path.remote.ip[0], 127);
    assert_int_equal(find(&w->near, &r, "a.LOCALHOST", 9), 0);
    assert_int_equal(find(&w->near, &r, NOWHERE "localhost", 9), 1);
}

static void names_asked_for_at_a_time_are_bounded(void **state)
{
    static struct cp_route routes[65];
    static char names[65][sizeof(NOWHERE) + 3];
    struct world *w = *state;
    int limited = 0;

    for (int i = 0; i < 65; i++) {
        int err;

        snprintf(names[i], sizeof(names[i]), NOWHERE "%d", i);
        routes[i] = (struct cp_route){.done = note};
        err = find(&w->near, &routes[i], names[i], 9);
        assert_true(err == 1 || err == COPAL_ELIMIT);
        limited += err == COPAL_ELIMIT;
    }
    assert_int_equal(limited, 1);
}

/* ---- Memory ---- */

static int left;

static void *fickle(void *user, void *p, size_t n)
{
    (void)user;
    if (n == 0) {
        free(p);
        return NULL;
    }
    return left-- > 0 ? realloc(p, n) : NULL;
}

/* True: everything worked. */
static bool scenario(struct host *h)
{
    struct cp_route r = {.done = note}, named = {.done = note};
    int heard = listen_at(h, "coap://*:0");
    int found = find(h, &r, "127.0.0.1", 9);
    int asked = find(h, &named, NOWHERE, 9);

    if (heard != 0)
        assert_null(h->driver->ops->local(h->driver, 0));
    if (found == 0)
        cp_link_send(r.ways[0].link, &r.ways[0].path, cp_bytes("x", 1));
    assert_true(heard == 0 || heard == COPAL_ENOMEM);
    assert_true(found == 0 || found == COPAL_ENOMEM);
    assert_true(asked == 1 || asked == COPAL_ENOMEM);
    assert_int_equal(h->driver->ops->step(h->driver), 0);
    return heard == 0 && found == 0 && asked == 1;
}

static void each_failing_allocation_is_survived(void **state)
{
    bool worked = false;

    (void)state;
    for (int n = 0; n < 100 && !worked; n++) {
        struct host h;

        left = n;
        if (!open_host(&h, cp_mem_new(fickle, NULL)))
            continue;
        worked = scenario(&h);
        close_host(&h);
    }
    assert_true(worked);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, build, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(thousands_of_datagrams_take_few_turns),
        TEST(a_blocked_socket_keeps_its_order),
        TEST(what_a_blocked_socket_cannot_hold_is_lost),
        TEST(a_burst_to_who_was_heard_goes_as_one_and_comes_as_many),
        TEST(what_differs_in_length_goes_apart),
        TEST(what_the_system_will_not_cut_goes_one_by_one),
        TEST(what_fails_as_one_has_each_its_own_fate),
        TEST(who_was_not_heard_is_sent_each_by_itself),
        TEST(an_old_datagrams_error_fails_no_other),
        TEST(what_the_system_will_not_send_is_told_with_its_beginning),
        TEST(what_no_datagram_can_hold_is_told),
        TEST(last_words_leave_before_the_port_closes),
        TEST(of_large_datagrams_in_one_batch_the_last_is_whole),
        TEST(those_that_came_together_are_foreseen_one_alone_is_not),
        TEST(who_always_comes_alone_is_read_alone_a_crowd_soon_together),
        TEST(a_request_leaves_from_where_the_endpoint_listens),
        TEST(a_source_must_be_an_address_of_this_host),
        TEST(a_link_local_address_needs_an_interface),
        TEST(routes_to_one_name_wait_together),
        TEST(a_name_that_was_found_is_known_at_once),
        TEST(localhost_is_never_looked_up),
        TEST(names_asked_for_at_a_time_are_bounded),
        cmocka_unit_test(each_failing_allocation_is_survived),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
