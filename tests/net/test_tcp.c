/* Connections over real sockets: what the simulator cannot show. RFC 8323 3. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <arpa/inet.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>
#include <copal.h>
#include "support.h"

enum {
    LIMIT_MS = 10000,
    LONG_BODY = 1000000
};

/* Two endpoints, each with a loop of its own. */
struct world {
    copal *client, *server;
    int responses, ends, requests, drops;
    int status, code;
    size_t body;
    char text[256], local[128];
};

static void note(const copal_event *ev, void *user)
{
    struct world *w = user;

    if (ev->kind == COPAL_RESPONSE) {
        w->responses++;
        w->code = copal_msg_code(ev->msg);
        w->body = copal_msg_payload(ev->msg).len;
    } else if (ev->kind == COPAL_END) {
        w->ends++;
        w->status = ev->status;
        snprintf(w->text, sizeof(w->text), "%s", ev->text);
    }
}

static void answer(const copal_event *ev, void *user)
{
    struct world *w = user;

    if (ev->kind != COPAL_REQUEST)
        return;
    w->requests++;
    copal_reply(ev->exchange, COPAL_CONTENT, COPAL_NO_FORMAT,
                copal_msg_payload(ev->msg));
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
        copal_serve(w->server, 0, "/t", COPAL_OBSERVABLE,
                    COPAL_CB(answer, w)) != 0 ||
        copal_listen(w->server, "coap+tcp://127.0.0.1:0", 0) != 0)
        return -1;
    snprintf(w->local, sizeof(w->local), "%s", copal_local(w->server, 0));
    return 0;
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

    step_all(all, 2, 10);
}

/* Until *what has that value, or for the limit. */
static void go_until(struct world *w, const int *what, int value)
{
    uint64_t until = now_ms() + LIMIT_MS;

    while (*what != value && now_ms() < until)
        step(w);
    assert_int_equal(*what, value);
}

static void go_for(struct world *w, uint64_t ms)
{
    uint64_t until = now_ms() + ms;

    while (now_ms() < until)
        step(w);
}

static const char *uri_of(const struct world *w, const char *path)
{
    static char uri[200];

    snprintf(uri, sizeof(uri), "%s%s", w->local, path);
    return uri;
}

static copal_exchange *put(struct world *w, size_t n)
{
    copal_msg *m = copal_msg_new(w->client, COPAL_PUT);
    uint8_t *body = calloc(1, n + 1);
    copal_exchange *x;

    assert_non_null(body);
    copal_msg_set_uri(m, uri_of(w, "/t"));
    copal_msg_set_payload(m, COPAL_NO_FORMAT, (copal_bytes){body, n});
    x = copal_request(w->client, m, COPAL_CB(note, w));
    copal_msg_unref(m);
    free(body);
    return x;
}

/* ---- Endpoints among themselves ---- */

static void a_request_is_answered(void **state)
{
    struct world *w = *state;

    copal_get(w->client, uri_of(w, "/t"), COPAL_CB(note, w));
    go_until(w, &w->ends, 1);
    assert_int_equal(w->status, 0);
    assert_int_equal(w->code, COPAL_CONTENT);
}

static void a_host_is_found_by_its_name(void **state)
{
    struct world *w = *state;
    char uri[200];

    snprintf(uri, sizeof(uri), "coap+tcp://localhost%s/t",
             strrchr(w->local, ':'));
    copal_get(w->client, uri, COPAL_CB(note, w));
    go_until(w, &w->ends, 1);
    assert_int_equal(w->status, 0);
}

static void a_long_body_goes_both_ways(void **state)
{
    struct world *w = *state;

    put(w, LONG_BODY);
    go_until(w, &w->ends, 1);
    assert_int_equal(w->status, 0);
    assert_int_equal(w->body, LONG_BODY);
}

static void all_families_are_listened_to_at_one_port(void **state)
{
    struct world *w = *state;
    char first[128];
    const char *second;

    assert_int_equal(copal_listen(w->client, "coap+tcp://*:0", 0), 0);
    snprintf(first, sizeof(first), "%s", copal_local(w->client, 0));
    assert_memory_equal(first, "coap+tcp://", 11);
    second = copal_local(w->client, 1);
    if (second != NULL) /* else this host has one family only */
        assert_string_equal(strrchr(second, ':'), strrchr(first, ':'));
}

static void a_port_that_is_taken_is_named(void **state)
{
    struct world *w = *state;

    assert_int_equal(copal_listen(w->client, w->local, 0), COPAL_EINUSE);
    assert_non_null(strstr(copal_why(w->client), w->local));
    assert_null(copal_local(w->client, 0));
}

static void a_refused_port_ends_at_once(void **state)
{
    struct world *w = *state;

    copal_free(w->server);
    w->server = NULL;
    copal_get(w->client, uri_of(w, "/t"), COPAL_CB(note, w));
    go_until(w, &w->ends, 1);
    assert_int_equal(w->status, COPAL_EREFUSED);
    assert_non_null(strstr(w->text, "nothing listens"));
}

static void a_server_that_goes_ends_an_observation(void **state)
{
    struct world *w = *state;

    copal_observe(w->client, uri_of(w, "/t"), COPAL_CB(note, w));
    go_until(w, &w->responses, 1);
    copal_free(w->server);
    w->server = NULL;
    go_until(w, &w->ends, 1);
    assert_int_equal(w->status, COPAL_ECLOSED);
}

static void who_has_nothing_to_wait_for_ends_run(void **state)
{
    struct world *w = *state;

    copal_get(w->client, uri_of(w, "/t"), COPAL_CB(note, w));
    go_until(w, &w->ends, 1);
    copal_run(w->client); /* an idle connection is nothing to wait for */
}

/* ---- Strangers ---- */

static int connect_to(const struct world *w)
{
    struct sockaddr_in to = {.sin_family = AF_INET};
    int fd = socket(AF_INET, SOCK_STREAM, 0);

    to.sin_port = htons((uint16_t)atoi(strrchr(w->local, ':') + 1));
    to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    assert_int_equal(connect(fd, (struct sockaddr *)&to, sizeof(to)), 0);
    return fd;
}

/* All that comes until the other end closes, or for ms. */
static size_t read_all(struct world *w, int fd, uint8_t *out, size_t most,
                       uint64_t ms, bool *is_closed)
{
    uint64_t until = now_ms() + ms;
    size_t len = 0;

    *is_closed = false;
    while (now_ms() < until && len < most) {
        ssize_t n = recv(fd, out + len, most - len, MSG_DONTWAIT);

        if (n > 0)
            len += (size_t)n;
        else if (n == 0) {
            *is_closed = true;
            break;
        }
        step(w);
    }
    return len;
}

static void a_request_in_single_bytes_is_understood(void **state)
{
    static const uint8_t all[] = {0x00, 0xe1, 0x21, 0x01, 0x07, 0xb1, 't'};
    struct world *w = *state;
    uint8_t got[64];
    bool is_closed;
    int fd = connect_to(w);
    size_t n;

    for (size_t i = 0; i < sizeof(all); i++) {
        assert_int_equal(send(fd, &all[i], 1, 0), 1);
        go_for(w, 2);
    }
    n = read_all(w, fd, got, sizeof(got), 300, &is_closed);
    assert_false(is_closed);
    assert_int_equal(n, 7 + 3); /* a CSM and the answer */
    assert_int_equal(got[8], COPAL_CONTENT);
    close(fd);
    go_for(w, 20);
}

static void junk_is_answered_by_abort_and_the_end(void **state)
{
    struct world *w = *state;
    uint8_t got[256];
    bool is_closed;
    int fd = connect_to(w);
    size_t n;

    assert_int_equal(send(fd, "GET / HTTP/1.1\r\n\r\n", 18, 0), 18);
    n = read_all(w, fd, got, sizeof(got), 5000, &is_closed);
    assert_true(is_closed);
    assert_true(n > 9);
    assert_int_equal(got[7 + 1] == 0xe5 || got[7 + 2] == 0xe5, 1);
    close(fd);
}

static void a_half_closed_connection_is_closed(void **state)
{
    struct world *w = *state;
    uint8_t got[64];
    bool is_closed;
    int fd = connect_to(w);

    assert_int_equal(send(fd, "\x00\xe1", 2, 0), 2);
    shutdown(fd, SHUT_WR);
    read_all(w, fd, got, sizeof(got), 5000, &is_closed);
    assert_true(is_closed);
    close(fd);
}

static void a_reset_amid_a_message_harms_nobody(void **state)
{
    struct linger at_once = {.l_onoff = 1};
    struct world *w = *state;
    int fd = connect_to(w);

    assert_int_equal(send(fd, "\x00\xe1\xd0\x10\x01xxx", 8, 0), 8);
    go_for(w, 20);
    setsockopt(fd, SOL_SOCKET, SO_LINGER, &at_once, sizeof(at_once));
    close(fd);
    go_for(w, 20);
    copal_get(w->client, uri_of(w, "/t"), COPAL_CB(note, w));
    go_until(w, &w->ends, 1);
    assert_int_equal(w->status, 0);
}

static void serve_much(const copal_event *ev, void *user)
{
    static uint8_t much[60000];

    (void)user;
    if (ev->kind == COPAL_REQUEST)
        copal_reply(ev->exchange, COPAL_CONTENT, COPAL_NO_FORMAT,
                    (copal_bytes){much, sizeof(much)});
}

static uint64_t memory_of(copal *c)
{
    copal_stats s = {.size = sizeof(s)};

    copal_get_stats(c, &s);
    return s.memory;
}

/* It asks on and on, and reads nothing. */
static void who_does_not_read_is_cut_off(void **state)
{
    static const uint8_t ask[] = {0x21, 0x01, 0x07, 0xb1, 'm'};
    struct world *w = *state;
    uint64_t most = 0;
    int fd = connect_to(w);
    ssize_t n = 1;

    assert_int_equal(
        copal_serve(w->server, 0, "/m", 0, COPAL_CB(serve_much, NULL)), 0);
    assert_int_equal(send(fd, "\x50\xe1\x23\x01\x00\x00", 6, 0), 6);
    assert_int_equal(send(fd, "\x20", 1, 0), 1);
    for (int i = 0; i < 3000 && n > 0; i++) {
        n = send(fd, ask, sizeof(ask), MSG_DONTWAIT | MSG_NOSIGNAL);
        step(w);
        if (memory_of(w->server) > most)
            most = memory_of(w->server);
    }
    assert_true(n < 0);
    assert_true(most < 1500000);
    close(fd);
    go_for(w, 20);
    copal_get(w->client, uri_of(w, "/t"), COPAL_CB(note, w));
    go_until(w, &w->ends, 1);
    assert_int_equal(w->status, 0);
}

static void a_thousand_connections_come_and_go(void **state)
{
    struct world *w = *state;
    int before;

    copal_get(w->client, uri_of(w, "/t"), COPAL_CB(note, w));
    go_until(w, &w->ends, 1);
    before = open_fds();
    for (int i = 0; i < 1000; i++) {
        int fd = connect_to(w);

        if (i % 2 == 0)
            assert_int_equal(send(fd, "\x00\xe1\x21\x01", 4, 0), 4);
        step(w);
        close(fd);
        if (i % 20 == 19)
            go_for(w, 5);
    }
    go_for(w, 100);
    assert_int_equal(open_fds(), before);
}

static void one_address_has_its_share(void **state)
{
    struct world *w = *state;
    uint8_t got[16];
    bool is_closed;
    int fds[3];

    copal_tune(w->server, NULL, COPAL_P_ADDR_CONNECTIONS, 2);
    for (int i = 0; i < 3; i++) {
        fds[i] = connect_to(w);
        go_for(w, 20);
    }
    read_all(w, fds[2], got, sizeof(got), 2000, &is_closed);
    assert_true(is_closed);
    read_all(w, fds[0], got, sizeof(got), 50, &is_closed);
    assert_false(is_closed);
    for (int i = 0; i < 3; i++)
        close(fds[i]);
}

static void listen_by_ws(struct world *w)
{
    int err = copal_listen(w->server, "coap+ws://127.0.0.1:0", 0);

    if (err == COPAL_ENOTSUP)
        skip(); /* built without GnuTLS and wslay */
    assert_int_equal(err, 0);
}

/* Or one stranger could take everybody's room by beginning them. */
static void unfinished_upgrades_are_part_of_that_share(void **state)
{
    struct world *w = *state;
    uint8_t got[16];
    bool is_closed;
    int fds[4], tcp;

    listen_by_ws(w);
    copal_tune(w->server, NULL, COPAL_P_ADDR_CONNECTIONS, 3);
    tcp = connect_to(w);
    go_for(w, 20);
    snprintf(w->local, sizeof(w->local), "%s", copal_local(w->server, 1));
    for (int i = 0; i < 4; i++) {
        fds[i] = connect_to(w);
        assert_int_equal(send(fds[i], "GET ", 4, MSG_NOSIGNAL), 4);
        go_for(w, 20);
    }
    for (int i = 0; i < 4; i++) {
        read_all(w, fds[i], got, sizeof(got), i < 2 ? 50 : 2000, &is_closed);
        assert_int_equal(is_closed, i >= 2);
        close(fds[i]);
    }
    close(tcp);
}

static void handshakes_and_connections_share_the_room(void **state)
{
    struct world *w = *state;
    uint8_t got[16];
    bool is_closed;
    int half, tcp;

    listen_by_ws(w);
    copal_tune(w->server, NULL, COPAL_P_MAX_CONNECTIONS, 1);
    tcp = connect_to(w);
    go_for(w, 20);
    close(tcp);
    go_for(w, 50);
    snprintf(w->local, sizeof(w->local), "%s", copal_local(w->server, 1));
    half = connect_to(w);
    go_for(w, 20);
    snprintf(w->local, sizeof(w->local), "%s", copal_local(w->server, 0));
    tcp = connect_to(w);
    go_for(w, 20);
    read_all(w, half, got, sizeof(got), 2000, &is_closed);
    assert_true(is_closed); /* who came first and is not done gives way */
    read_all(w, tcp, got, sizeof(got), 50, &is_closed);
    assert_false(is_closed);
    close(half);
    close(tcp);
}

/* What is answered to an upgrade with those two fields: "101", "403". */
static void upgrade_by(struct world *w, const char *host, const char *origin,
                       char status[4])
{
    char text[512];
    uint8_t got[512] = {0};
    bool is_closed;
    int fd = connect_to(w), tries;
    size_t len = 0;

    snprintf(text, sizeof(text),
             "GET /.well-known/coap HTTP/1.1\r\nHost: %s\r\n"
             "Upgrade: websocket\r\nConnection: Upgrade\r\n"
             "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Protocol: coap\r\n"
             "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n%s%s\r\n\r\n",
             host, origin[0] == '\0' ? "" : "Origin: ", origin);
    if (origin[0] == '\0')
        text[strlen(text) - 2] = '\0';
    assert_int_equal(send(fd, text, strlen(text), 0), strlen(text));
    for (tries = 0; len < 12; tries++) {
        assert_true(tries < 500);
        len +=
            read_all(w, fd, got + len, sizeof(got) - 1 - len, 20, &is_closed);
    }
    memcpy(status, got + 9, 3);
    status[3] = '\0';
    close(fd);
}

/* A page of a name that its owner leads to 127.0.0.1 (DNS rebinding) is of the
 * host that it connects to, as browsers see it. */
static void a_page_of_a_name_that_leads_to_loopback_is_foreign(void **state)
{
    static const struct {
        const char *host, *origin, *status;
    } rows[] = {
        {"evil.example:5683", "http://evil.example:5683", "403"},
        {"127.0.0.1.evil.example", "https://127.0.0.1.evil.example", "403"},
        {"localhost:5683", "http://localhost:5683", "101"},
        {"127.0.0.1:5683", "http://127.0.0.1:5683", "101"},
        {"localhost:5683", "http://evil.example:5683", "403"},
        {"evil.example:5683", "", "101"}, /* no browser */
        {"good.example", "https://good.example", "101"},
    };
    struct world *w = *state;
    char status[4];

    listen_by_ws(w);
    assert_int_equal(copal_allow_origin(w->server, "https://good.example"), 0);
    snprintf(w->local, sizeof(w->local), "%s", copal_local(w->server, 1));
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        upgrade_by(w, rows[i].host, rows[i].origin, status);
        if (strcmp(status, rows[i].status) != 0)
            fail_msg("%s by %s: %s", rows[i].origin, rows[i].host, status);
    }
}

/* As on every address: whoever is in the browser's network may be reached. */
static void a_page_may_connect_by_the_names_that_are_ours(void **state)
{
    static const char *const wrong[] = {
        "", "http://device.example", "device.example:80", "a b", "[::1]", "a*"};
    struct world *w = *state;
    char status[4];

    listen_by_ws(w);
    snprintf(w->local, sizeof(w->local), "%s", copal_local(w->server, 1));
    upgrade_by(w, "device.example", "http://device.example", status);
    assert_string_equal(status, "403");
    for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++)
        assert_int_equal(copal_allow_host(w->server, wrong[i]), COPAL_EINVAL);
    assert_int_equal(copal_allow_host(w->server, NULL), COPAL_EINVAL);
    assert_int_equal(copal_allow_host(w->server, "Device.example"), 0);
    upgrade_by(w, "device.example", "http://device.example", status);
    assert_string_equal(status, "101");
    upgrade_by(w, "device.example:81", "http://device.example:81", status);
    assert_string_equal(status, "101");
    upgrade_by(w, "device.example", "http://evil.example", status);
    assert_string_equal(status, "403");
    upgrade_by(w, "evil.example", "http://evil.example", status);
    assert_string_equal(status, "403");
    assert_int_equal(copal_allow_host(w->server, "*"), 0);
    upgrade_by(w, "evil.example", "http://evil.example", status);
    assert_string_equal(status, "101");
}

/* The code of the Close that ends the connection after these bytes, which the
 * client sends once it is a WebSocket and has sent its CSM. */
static unsigned close_code(struct world *w, const char *bytes, size_t len)
{
    static const char hello[] = "GET /.well-known/coap HTTP/1.1\r\n"
                                "Host: localhost\r\nUpgrade: websocket\r\n"
                                "Connection: Upgrade\r\n"
                                "Sec-WebSocket-Version: 13\r\n"
                                "Sec-WebSocket-Protocol: coap\r\n"
                                "Sec-WebSocket-Key: "
                                "dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
                                "\x82\x82\0\0\0\0\x00\xe1";
    uint8_t got[1024];
    bool is_closed;
    int fd = connect_to(w);
    size_t n;

    assert_int_equal(send(fd, hello, sizeof(hello) - 1, 0), sizeof(hello) - 1);
    assert_int_equal(send(fd, bytes, len, 0), len);
    n = read_all(w, fd, got, sizeof(got), LIMIT_MS, &is_closed);
    close(fd);
    assert_true(is_closed);
    if (n < 4 || got[n - 4] != 0x88 || got[n - 3] != 2)
        return 0;
    return got[n - 2] * 256u + got[n - 1];
}

#define FRAME(code, bytes) \
    { \
        code, bytes, sizeof(bytes) - 1 \
    }
#define NO_MASK "\0\0\0\0"
#define TEN     "xxxxxxxxxx"
#define SIXTY   TEN TEN TEN TEN TEN TEN

/* RFC 6455 5.2, 5.4, 5.5, 7.4.1, 8.1 */
static void frames_that_are_wrong_are_told_so_by_a_code(void **state)
{
    static const struct {
        unsigned code;
        const char *bytes;
        size_t len;
    } rows[] = {
        FRAME(1002, "\xc2\x82" NO_MASK "\x00\xe1"), /* a reserved bit */
        FRAME(1002, "\x83\x81" NO_MASK "x"),        /* no such opcode */
        FRAME(1002, "\x82\x02\x00\xe1"),            /* not masked */
        FRAME(1002, "\x80\x81" NO_MASK "x"),        /* continues nothing */
        FRAME(1002, "\x02\x81" NO_MASK "x\x82\x81" NO_MASK "y"),
        FRAME(1002, "\x09\x81" NO_MASK "x"), /* a Ping in pieces */
        FRAME(1002, "\x89\xfe\x00\x7e" NO_MASK SIXTY SIXTY "xxxxxx"),
        FRAME(1002, "\x82\xfe\x00\x02" NO_MASK "\x00\xe1"), /* 2 as 126 */
        FRAME(1002, "\x82\xff\0\0\0\0\0\0\xff\xff" NO_MASK "x"),
        FRAME(1002, "\x88\x81" NO_MASK "x"),        /* half a code */
        FRAME(1002, "\x88\x82" NO_MASK "\x03\xed"), /* 1005 */
        FRAME(1003, "\x81\x82" NO_MASK "hi"),       /* text */
        FRAME(1007, "\x81\x82" NO_MASK "\xff\xfe"), /* which is none */
        FRAME(1007, "\x88\x83" NO_MASK "\x03\xe8\xff"),
        FRAME(1009, "\x82\xff\0\0\0\0\x40\0\0\0" NO_MASK),
        FRAME(1009, "\x82\xff\x80\0\0\0\0\0\0\0" NO_MASK),
        FRAME(1000, "\x88\x82" NO_MASK "\x03\xe8"), /* which is right */
    };
    struct world *w = *state;

    listen_by_ws(w);
    snprintf(w->local, sizeof(w->local), "%s", copal_local(w->server, 1));
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        unsigned code = close_code(w, rows[i].bytes, rows[i].len);

        if (code != rows[i].code)
            fail_msg("row %zu: %u, not %u", i, code, rows[i].code);
    }
}

/* They are no part of what may be held. */
static void a_flood_of_frames_without_anything_is_cut_off(void **state)
{
    static const char begin[] = "\x02\x80" NO_MASK;
    static const char next[] = "\x00\x80" NO_MASK;
    struct world *w = *state;
    char bytes[200 * (sizeof(next) - 1)];

    listen_by_ws(w);
    snprintf(w->local, sizeof(w->local), "%s", copal_local(w->server, 1));
    for (size_t i = 0; i < sizeof(bytes); i += sizeof(next) - 1)
        memcpy(bytes + i, i == 0 ? begin : next, sizeof(next) - 1);
    assert_int_equal(close_code(w, bytes, sizeof(bytes)), 1008);
}

/* ---- Servers that are strangers ---- */

/* A socket that listens on loopback, and its port; -1: no such family here. */
static int listen_plainly(const char *host, int *port)
{
    bool is_v6 = strchr(host, ':') != NULL;
    struct sockaddr_in6 v6 = {.sin6_family = AF_INET6,
                              .sin6_addr = IN6ADDR_LOOPBACK_INIT};
    struct sockaddr_in v4 = {.sin_family = AF_INET};
    struct sockaddr *at =
        is_v6 ? (struct sockaddr *)&v6 : (struct sockaddr *)&v4;
    socklen_t size = is_v6 ? sizeof(v6) : sizeof(v4);
    int fd = socket(at->sa_family, SOCK_STREAM, 0);

    v4.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    if (fd < 0 || bind(fd, at, size) != 0 || listen(fd, 4) != 0) {
        close(fd);
        return -1;
    }
    assert_int_equal(getsockname(fd, at, &size), 0);
    *port = ntohs(is_v6 ? v6.sin6_port : v4.sin_port);
    return fd;
}

/* RFC 6455 4.1, RFC 9110 7.2. */
static void a_websocket_names_its_host_as_the_uri_does(void **state)
{
    static const char *const hosts[] = {"127.0.0.1", "[::1]", "localhost"};
    struct world *w = *state;

    for (size_t i = 0; i < 3; i++) {
        char uri[100], wanted[100];
        uint8_t head[1024] = {0};
        bool is_closed;
        int port, got, fd = listen_plainly(hosts[i], &port);

        if (fd < 0)
            continue; /* this host has one family only */
        snprintf(uri, sizeof(uri), "coap+ws://%s:%d/t", hosts[i], port);
        snprintf(wanted, sizeof(wanted), "\r\nHost: %s:%d\r\n", hosts[i], port);
        w->ends = 0;
        copal_get(w->client, uri, COPAL_CB(note, w));
        go_for(w, 1);
        if (w->ends > 0 && w->status == COPAL_ENOTSUP) {
            close(fd);
            skip(); /* not built in */
        }
        for (int tries = 0; (got = accept4(fd, NULL, NULL, SOCK_NONBLOCK)) < 0;
             tries++) {
            assert_true(tries < 1000);
            go_for(w, 1);
        }
        for (int tries = 0; strstr((char *)head, "\r\n\r\n") == NULL; tries++) {
            size_t len = strlen((char *)head);

            assert_true(tries < 100);
            read_all(w, got, head + len, sizeof(head) - 1 - len, 20,
                     &is_closed);
        }
        if (strstr((char *)head, wanted) == NULL)
            fail_msg("%s", (char *)head);
        close(got);
        close(fd);
        go_until(w, &w->ends, 1);
    }
}

static void the_end_of_a_connection_names_its_host_once(void **state)
{
    struct world *w = *state;
    char uri[100];
    int port, got, fd = listen_plainly("127.0.0.1", &port);

    snprintf(uri, sizeof(uri), "coap+tcp://127.0.0.1:%d/t", port);
    copal_get(w->client, uri, COPAL_CB(note, w));
    go_for(w, 20);
    got = accept(fd, NULL, NULL);
    close(got);
    close(fd);
    go_until(w, &w->ends, 1);
    assert_non_null(strstr(w->text, "127.0.0.1"));
    if (strstr(strstr(w->text, "127.0.0.1") + 1, "127.0.0.1") != NULL)
        fail_msg("%s", w->text);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, build, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_request_is_answered),
        TEST(a_host_is_found_by_its_name),
        TEST(a_long_body_goes_both_ways),
        TEST(all_families_are_listened_to_at_one_port),
        TEST(a_port_that_is_taken_is_named),
        TEST(a_refused_port_ends_at_once),
        TEST(a_server_that_goes_ends_an_observation),
        TEST(who_has_nothing_to_wait_for_ends_run),
        TEST(a_request_in_single_bytes_is_understood),
        TEST(junk_is_answered_by_abort_and_the_end),
        TEST(a_half_closed_connection_is_closed),
        TEST(a_reset_amid_a_message_harms_nobody),
        TEST(who_does_not_read_is_cut_off),
        TEST(a_thousand_connections_come_and_go),
        TEST(one_address_has_its_share),
        TEST(unfinished_upgrades_are_part_of_that_share),
        TEST(handshakes_and_connections_share_the_room),
        TEST(a_page_of_a_name_that_leads_to_loopback_is_foreign),
        TEST(a_page_may_connect_by_the_names_that_are_ours),
        TEST(frames_that_are_wrong_are_told_so_by_a_code),
        TEST(a_flood_of_frames_without_anything_is_cut_off),
        TEST(a_websocket_names_its_host_as_the_uri_does),
        TEST(the_end_of_a_connection_names_its_host_once),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
