/* What strangers may do to a server by connections, over real sockets: others are
 * served meanwhile, and nothing is held for them for long. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>
#include <copal.h>
#include "leap.h"
#include "support.h"

enum {
    LIMIT_MS = 60000,
    HEAPS = 10,
    EACH = 1000,      /* requests of a heap */
    MOST_SLOW = 2000, /* of each kind */
    ROUNDS = 3,
    MOST_ASKED = 4096
};

struct world {
    copal *client, *server;
    int ends, status, served, shut_out, descriptors, signals, bodies;
    char udp[64], tcp[64], ws[64], tls[64]; /* "": not built in */
};

/* ---- The world ---- */

static void note(const copal_event *ev, void *user)
{
    struct world *w = user;

    if (ev->kind == COPAL_END) {
        w->ends++;
        w->status = ev->status;
    }
}

static void answer(const copal_event *ev, void *user)
{
    (void)user;
    if (ev->kind == COPAL_REQUEST)
        copal_reply_text(ev->exchange, COPAL_CONTENT, "22.5 C");
}

/* As slow as a script. */
static void answer_slowly(const copal_event *ev, void *user)
{
    struct world *w = user;
    struct timespec t, now;

    if (ev->kind != COPAL_REQUEST)
        return;
    w->served++;
    clock_gettime(CLOCK_MONOTONIC, &t);
    do
        clock_gettime(CLOCK_MONOTONIC, &now);
    while ((now.tv_sec - t.tv_sec) * 1000000000 + now.tv_nsec - t.tv_nsec <
           50000);
    copal_reply_text(ev->exchange, COPAL_CONTENT, "x");
}

static void note_trace(const copal_event *ev, void *user)
{
    struct world *w = user;

    w->shut_out += strstr(ev->text, "\"handshake_failed\"") != NULL;
    w->descriptors += strstr(ev->text, "\"descriptors\"") != NULL;
    w->signals += strstr(ev->text, "\"signals\"") != NULL;
    w->bodies += strstr(ev->text, "\"body_memory\"") != NULL;
}

static void listen_at(struct world *w, const char *scheme, char out[64])
{
    char base[64];
    int count = 0;

    snprintf(base, sizeof(base), "%s://127.0.0.1:0", scheme);
    while (copal_local(w->server, (size_t)count) != NULL)
        count++;
    if (copal_listen(w->server, base, 0) != 0)
        return;
    for (size_t i = 0; copal_local(w->server, i) != NULL; i++)
        if (strncmp(copal_local(w->server, i), base, strlen(scheme) + 3) == 0)
            snprintf(out, 64, "%s", copal_local(w->server, i));
}

static int build(void **state)
{
    struct world *w = calloc(1, sizeof(*w));

    if (w == NULL)
        return -1;
    w->client = copal_new(NULL);
    w->server = copal_new(NULL);
    w->status = 1;
    *state = w;
    if (w->client == NULL || w->server == NULL ||
        copal_serve(w->server, 0, "/t", 0, COPAL_CB(answer, w)) != 0 ||
        copal_serve(w->server, 0, "/slow", 0, COPAL_CB(answer_slowly, w)) != 0)
        return -1;
    (void)copal_use_psk(w->server, "*", (copal_bytes){(uint8_t *)"me", 2},
                        (copal_bytes){(uint8_t *)"0123456789abcdef", 16});
    copal_trace(w->server, COPAL_TRACE_SECURITY | COPAL_TRACE_STATE,
                COPAL_CB(note_trace, w));
    listen_at(w, "coap", w->udp);
    listen_at(w, "coap+tcp", w->tcp);
    listen_at(w, "coap+ws", w->ws);
    listen_at(w, "coaps+tcp", w->tls);
    return w->udp[0] == '\0' || w->tcp[0] == '\0';
}

static int tear_down(void **state)
{
    struct world *w = *state;

    copal_free(w->client);
    copal_free(w->server);
    free(w);
    return 0;
}

static void step(struct world *w)
{
    copal *all[] = {w->client, w->server};

    step_all(all, 2, 5);
}

/* For so long, and on a machine that is busy with others a few turns at least. */
static void go_for(struct world *w, uint64_t ms)
{
    uint64_t until = true_ms() + ms;

    for (int i = 0; i < 4 || true_ms() < until; i++)
        step(w);
}

static void go_until(struct world *w, const int *what, int value)
{
    uint64_t until = true_ms() + LIMIT_MS;

    while (*what < value && true_ms() < until)
        step(w);
    assert_true(*what >= value);
}

static uint64_t true_us(void)
{
    struct timespec t;

    syscall(SYS_clock_gettime, CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000000 + (uint64_t)t.tv_nsec / 1000;
}

/* How long a good client waits, us. */
static uint64_t ask(struct world *w, const char *base, const char *path)
{
    uint64_t began = true_us();
    char uri[100];

    snprintf(uri, sizeof(uri), "%s%s", base, path);
    w->ends = 0;
    copal_get(w->client, uri, COPAL_CB(note, w));
    go_until(w, &w->ends, 1);
    assert_int_equal(w->status, 0);
    return true_us() - began;
}

/* ---- Strangers ---- */

/* From 127.1.x.y, of which each 32 connections have one. -1: no descriptor is
 * left. */
static int dial(struct world *w, const char *base, unsigned i)
{
    struct sockaddr_in from = {.sin_family = AF_INET},
                       to = {.sin_family = AF_INET};
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    struct pollfd there = {.fd = fd, .events = POLLOUT};

    if (fd < 0)
        return -1;
    from.sin_addr.s_addr = htonl(0x7f010000 + 1 + i / 32);
    to.sin_port = htons((uint16_t)atoi(strrchr(base, ':') + 1));
    to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    assert_int_equal(bind(fd, (struct sockaddr *)&from, sizeof(from)), 0);
    if (connect(fd, (struct sockaddr *)&to, sizeof(to)) != 0)
        assert_int_equal(errno, EINPROGRESS);
    while (poll(&there, 1, 0) == 0)
        step(w);
    return fd;
}

static void say(int fd, const void *bytes, size_t n)
{
    assert_int_equal(send(fd, bytes, n, MSG_NOSIGNAL), (ssize_t)n);
}

/* What has come is read away. True: the other end has closed it. */
static bool is_over(int fd)
{
    char dropped[4096];
    ssize_t n;

    do
        n = recv(fd, dropped, sizeof(dropped), MSG_DONTWAIT);
    while (n > 0);
    return n == 0 || errno != EAGAIN;
}

static void go_until_over(struct world *w, int fd)
{
    uint64_t until = true_ms() + LIMIT_MS;

    while (!is_over(fd) && true_ms() < until)
        step(w);
    assert_true(is_over(fd));
}

static const char upgrade[] = "GET /.well-known/coap HTTP/1.1\r\n"
                              "Host: 127.0.0.1\r\n"
                              "Upgrade: websocket\r\n"
                              "Connection: Upgrade\r\n"
                              "Sec-WebSocket-Version: 13\r\n"
                              "Sec-WebSocket-Protocol: coap\r\n"
                              "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
                              "\r\n";

static int dial_ws(struct world *w, unsigned i)
{
    int fd = dial(w, w->ws, i);

    say(fd, upgrade, sizeof(upgrade) - 1);
    go_for(w, 20);
    say(fd, "\x82\x82\0\0\0\0\x00\xe1", 8); /* a CSM, masked by zeroes */
    go_for(w, 5);
    return fd;
}

/* ---- Heaps ---- */

/* Many small requests at once, by ten connections: 0 mask of WebSocket. */
static void heap_and_ask(struct world *w, bool is_ws)
{
    static const char tcp_get[] = "\x51\x01\x07\xb4slow",
                      ws_get[] = "\x82\x88\0\0\0\0\x01\x01\x07\xb4slow";
    const char *get = is_ws ? ws_get : tcp_get;
    size_t size = is_ws ? sizeof(ws_get) - 1 : sizeof(tcp_get) - 1;
    static char heap[14 * EACH];
    int fds[HEAPS], most = 0;

    for (size_t i = 0; i < EACH; i++)
        memcpy(heap + i * size, get, size);
    for (unsigned i = 0; i < HEAPS; i++) {
        fds[i] = is_ws ? dial_ws(w, i * 32) : dial(w, w->tcp, i * 32);
        if (!is_ws)
            say(fds[i], "\x00\xe1", 2);
    }
    go_for(w, 20);
    ask(w, w->tcp, "/t");
    for (int i = 0; i < HEAPS; i++)
        say(fds[i], heap, EACH * size);
    for (int i = 0; i < 8; i++) {
        int before = w->served;

        ask(w, i % 2 == 0 ? w->udp : w->tcp, "/t");
        if (w->served - before > most)
            most = w->served - before;
    }
    assert_in_range(w->served, 1, HEAPS * EACH - 1); /* there was more */
    assert_in_range(most, 0, 2000);
    go_until(w, &w->served, HEAPS * EACH); /* and it is worked off */
    for (int i = 0; i < HEAPS; i++) {
        assert_false(is_over(fds[i]));
        close(fds[i]);
    }
}

static void heaps_of_requests_keep_nobody_waiting(void **state)
{
    heap_and_ask(*state, false);
}

static void heaps_of_frames_keep_nobody_waiting(void **state)
{
    struct world *w = *state;

    if (w->ws[0] == '\0')
        skip();
    heap_and_ask(w, true);
}

/* ---- Room ---- */

static void silent_connections_keep_nobody_out(void **state)
{
    struct world *w = *state;
    int fds[60], over = 0;

    copal_tune(w->server, NULL, COPAL_P_MAX_CONNECTIONS, 40);
    for (unsigned i = 0; i < 60; i++)
        fds[i] = dial(w, w->tcp, i * 32);
    go_for(w, 20);
    ask(w, w->tcp, "/t");
    for (int i = 0; i < 60; i++) {
        over += is_over(fds[i]);
        close(fds[i]);
    }
    assert_int_equal(over, 21); /* there are 39 and the client */
    assert_int_equal(w->shut_out, 21);
}

/* They do not close their ends either, and that is no use. */
static void who_was_aborted_keeps_nobody_out(void **state)
{
    struct world *w = *state;
    int fds[60];

    copal_tune(w->server, NULL, COPAL_P_MAX_CONNECTIONS, 40);
    for (unsigned i = 0; i < 60; i++) {
        fds[i] = dial(w, w->tcp, i * 32);
        say(fds[i], "\x00\x01", 2); /* no CSM */
        go_for(w, 1);
    }
    ask(w, w->tcp, "/t");
    for (int i = 0; i < 60; i++)
        close(fds[i]);
}

static void half_a_handshake_gives_way_to_who_comes(void **state)
{
    struct world *w = *state;
    int fds[6];

    if (w->tls[0] == '\0')
        skip();
    copal_tune(w->server, NULL, COPAL_P_MAX_HANDSHAKES, 4);
    for (unsigned i = 0; i < 6; i++) {
        fds[i] = dial(w, i % 2 == 0 ? w->tls : w->ws, i * 32);
        say(fds[i], i % 2 == 0 ? "\x16\x03\x01" : "GET", 3);
        go_for(w, 10);
    }
    ask(w, w->tcp, "/t");
    for (int i = 0; i < 6; i++) {
        assert_int_equal(is_over(fds[i]), i < 3);
        close(fds[i]);
    }
}

/* ---- WebSocket ---- */

static void pings_of_websocket_have_a_rate(void **state)
{
    static const char ping[] = "\x89\x80\0\0\0\0", pong[] = "\x8a\x80\0\0\0\0";
    struct world *w = *state;

    if (w->ws[0] == '\0')
        skip();
    for (unsigned kind = 0; kind < 2; kind++) {
        int fd = dial_ws(w, kind * 32);

        for (int i = 0; i < 5; i++) {
            say(fd, kind == 0 ? ping : pong, 6);
            go_for(w, 5);
        }
        assert_false(is_over(fd));
        for (int i = 0; i < 100; i++)
            (void)send(fd, kind == 0 ? ping : pong, 6, MSG_NOSIGNAL);
        go_until_over(w, fd);
        close(fd);
    }
    assert_int_equal(w->signals, 2);
    ask(w, w->ws, "/t");
}

static void half_a_frame_is_part_of_what_may_be_held(void **state)
{
    static const char head[] = "\x82\xff\0\0\0\0\0\x01\0\0\0\0\0\0";
    static char zeroes[30000];
    struct world *w = *state;
    int fds[3];

    if (w->ws[0] == '\0')
        skip();
    copal_tune(w->server, NULL, COPAL_P_BODY_MEMORY, 160000);
    for (unsigned i = 0; i < 3; i++) {
        fds[i] = dial_ws(w, i == 2 ? 32 : 0);
        say(fds[i], head, sizeof(head) - 1);
        say(fds[i], zeroes, sizeof(zeroes));
        go_for(w, 20);
    }
    assert_false(is_over(fds[0]));
    go_until_over(w, fds[1]); /* it has its share */
    assert_false(is_over(fds[2]));
    assert_int_equal(w->bodies, 1);
    for (int i = 0; i < 3; i++)
        close(fds[i]);
    go_for(w, 20);
    fds[0] = dial_ws(w, 0); /* all was given back */
    say(fds[0], head, sizeof(head) - 1);
    for (int i = 0; i < 2; i++)
        say(fds[0], zeroes, sizeof(zeroes));
    go_for(w, 20);
    assert_false(is_over(fds[0]));
    close(fds[0]);
}

/* ---- Descriptors ---- */

static void without_descriptors_others_go_on_and_who_comes_is_told(void **state)
{
    struct world *w = *state;
    struct rlimit before, few;
    int fds[40], there = 0, turned_away = 0;

    ask(w, w->tcp, "/t");
    ask(w, w->udp, "/t");
    assert_int_equal(getrlimit(RLIMIT_NOFILE, &before), 0);
    for (unsigned i = 0; i < 40; i++)
        fds[i] = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    few = before;
    few.rlim_cur = (rlim_t)fds[39] + 1;
    for (int i = 30; i < 40; i++) /* so many may be let in */
        close(fds[i]);
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &few), 0);
    for (int i = 0; i < 30; i++) {
        struct sockaddr_in to = {.sin_family = AF_INET};

        to.sin_port = htons((uint16_t)atoi(strrchr(w->tcp, ':') + 1));
        to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
        assert_int_equal(connect(fds[i], (struct sockaddr *)&to, sizeof(to)),
                         0);
        say(fds[i], "\x00\xe1", 2);
        go_for(w, 5);
    }
    for (int i = 0; i < 30; i++) {
        turned_away += is_over(fds[i]);
        there += !is_over(fds[i]);
    }
    assert_true(there > 0 && turned_away > 0);
    assert_true(w->descriptors >= turned_away);
    assert_int_equal(w->shut_out, turned_away);
    ask(w, w->tcp, "/t");
    ask(w, w->udp, "/t");
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &before), 0);
    for (int i = 0; i < 30; i++)
        close(fds[i]);
    go_for(w, 20);
    ask(w, w->tcp, "/t");
}

/* ---- Slowloris ---- */

struct slow {
    int fd;
    uint64_t began, over; /* ms; 0: it is there */
};

struct slowly {
    const char *name, *base, *bytes;
    size_t len;
    struct slow all[MOST_SLOW];
    unsigned count;
};

static long resident_kb(void)
{
    FILE *f = fopen("/proc/self/statm", "r");
    long all = 0, resident = 0;

    if (f != NULL) {
        if (fscanf(f, "%ld %ld", &all, &resident) != 2)
            resident = 0;
        fclose(f);
    }
    return resident * (sysconf(_SC_PAGESIZE) / 1024);
}

static void begin_slowly(struct world *w, struct slowly *s, unsigned most,
                         unsigned first)
{
    s->count = s->base[0] == '\0' ? 0 : most;
    for (unsigned i = 0; i < s->count; i++) {
        s->all[i].fd = dial(w, s->base, first + i);
        assert_true(s->all[i].fd >= 0);
        if (i % 64 == 0) /* before the system's queue is full */
            step(w);
        s->all[i].began = true_ms() + (uint64_t)atomic_load(&leapt);
    }
}

/* One byte more of what will not be whole, and who is gone? How many are. */
static unsigned trickle(struct slowly *s, unsigned round)
{
    uint64_t now = true_ms() + (uint64_t)atomic_load(&leapt);
    unsigned over = 0;

    for (unsigned i = 0; i < s->count; i++) {
        struct slow *one = &s->all[i];

        if (one->over == 0 && is_over(one->fd))
            one->over = now;
        if (one->over == 0 && round < s->len)
            (void)send(one->fd, s->bytes + round, 1,
                       MSG_NOSIGNAL | MSG_DONTWAIT);
        over += one->over != 0;
    }
    return over;
}

static int by_size(const void *a, const void *b)
{
    uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

    return x < y ? -1 : x > y;
}

static void tell_slowly(const struct slowly *s)
{
    static uint64_t lives[MOST_SLOW];

    if (s->count == 0)
        return;
    for (unsigned i = 0; i < s->count; i++)
        lives[i] = s->all[i].over - s->all[i].began;
    qsort(lives, s->count, sizeof(lives[0]), by_size);
    print_message("%s: %u cut off, after %.1f s (p50), %.1f s (all)\n", s->name,
                  s->count, (double)lives[s->count / 2] / 1000,
                  (double)lives[s->count - 1] / 1000);
    assert_true(lives[s->count - 1] < LIMIT_MS + 10000);
}

static void tell_waits(const char *when, uint64_t *waits, unsigned count)
{
    qsort(waits, count, sizeof(waits[0]), by_size);
    print_message("a good client %s: %u answers, p50 %.2f ms, p99 %.2f ms\n",
                  when, count, (double)waits[count / 2] / 1000,
                  (double)waits[count * 99 / 100] / 1000);
}

/* The clock leaps over most of the 10 s that each of them has. */
static void thousands_who_are_slow_are_cut_off_and_others_served(void **state)
{
    static struct slowly kinds[] = {
        {.name = "TCP, a CSM", .bytes = "\xd0\x10", .len = 2},
        {.name = "TLS, a hello", .bytes = "\x16\x03\x01\x02\x00\x01", .len = 6},
        {.name = "WebSocket, an upgrade", .bytes = "GET /.well", .len = 10},
    };
    static uint64_t waits[MOST_ASKED];
    struct world *w = *state;
    struct rlimit files;
    unsigned most, over = 0, asked = 0, all;
    uint64_t until;
    long before;

    kinds[0].base = w->tcp;
    kinds[1].base = w->tls;
    kinds[2].base = w->ws;
    assert_int_equal(getrlimit(RLIMIT_NOFILE, &files), 0);
    files.rlim_cur = files.rlim_max;
    (void)setrlimit(RLIMIT_NOFILE, &files);
    most = files.rlim_cur > 6 * MOST_SLOW + 200
               ? MOST_SLOW
               : (unsigned)(files.rlim_cur - 200) / 6;
    copal_tune(w->server, NULL, COPAL_P_MAX_CONNECTIONS, 10000);
    copal_tune(w->server, NULL, COPAL_P_MAX_HANDSHAKES, 10000);
    ask(w, w->tcp, "/t");
    before = resident_kb();
    for (unsigned i = 0; i < 3; i++)
        begin_slowly(w, &kinds[i], most, i * MOST_SLOW);
    all = kinds[0].count + kinds[1].count + kinds[2].count;
    for (unsigned round = 0; round < ROUNDS; round++) {
        for (int i = 0; i < 3; i++)
            (void)trickle(&kinds[i], round);
        for (int i = 0; i < 100; i++)
            waits[asked++] = ask(w, i % 2 == 0 ? w->udp : w->tcp, "/t");
    }
    print_message("%u are there, by %ld kB\n", all, resident_kb() - before);
    tell_waits("meanwhile", waits, asked);
    leap(6000);
    until = true_ms() + LIMIT_MS;
    for (asked = 0; over < all && true_ms() < until; leap(1000)) {
        over = 0;
        for (int i = 0; i < 3; i++)
            over += trickle(&kinds[i], ROUNDS);
        for (int i = 0; i < 20 && asked < MOST_ASKED; i++)
            waits[asked++] = ask(w, i % 2 == 0 ? w->udp : w->tcp, "/t");
    }
    assert_int_equal(over, all);
    for (int i = 0; i < 3; i++)
        tell_slowly(&kinds[i]);
    tell_waits("while they are cut off, many at a time", waits, asked);
    for (int k = 0; k < 3; k++)
        for (unsigned i = 0; i < kinds[k].count; i++)
            close(kinds[k].all[i].fd);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, build, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(heaps_of_requests_keep_nobody_waiting),
        TEST(heaps_of_frames_keep_nobody_waiting),
        TEST(silent_connections_keep_nobody_out),
        TEST(who_was_aborted_keeps_nobody_out),
        TEST(half_a_handshake_gives_way_to_who_comes),
        TEST(pings_of_websocket_have_a_rate),
        TEST(half_a_frame_is_part_of_what_may_be_held),
        TEST(without_descriptors_others_go_on_and_who_comes_is_told),
        TEST(thousands_who_are_slow_are_cut_off_and_others_served),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
