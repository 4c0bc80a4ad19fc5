/* The page of counters over HTTP: who asks properly gets it, whoever else is
 * about; and CoAP goes on meanwhile. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>
#include <uv.h>
#include <copal.h>
#include "support.h"

#define GET "GET /metrics HTTP/1.1\r\nHost: h\r\n\r\n"

enum {
    LIMIT_MS = 10000,
    MAX_TEXT = 65536
};

struct world {
    copal *c;
    int port;
    int answered, asked; /* by CoAP */
    char text[MAX_TEXT]; /* what HTTP gave */
};

static int build(void **state)
{
    struct world *w = calloc(1, sizeof(*w));

    if (w == NULL)
        return -1;
    *state = w;
    w->c = copal_new(NULL);
    if (w->c == NULL)
        return -1;
    w->port = copal_metrics(w->c, "127.0.0.1:0");
    return w->port > 0 ? 0 : -1;
}

static int tear_down(void **state)
{
    struct world *w = *state;

    copal_free(w->c);
    free(w);
    return 0;
}

static void step(copal *c, int limit)
{
    step_all(&c, 1, limit);
}

static int dial(int port)
{
    struct sockaddr_in to = {.sin_family = AF_INET,
                             .sin_port = htons((uint16_t)port),
                             .sin_addr = {htonl(INADDR_LOOPBACK)}};
    int fd = socket(AF_INET, SOCK_STREAM, 0);

    assert_true(fd >= 0);
    assert_int_equal(connect(fd, (struct sockaddr *)&to, sizeof(to)), 0);
    assert_int_equal(fcntl(fd, F_SETFL, O_NONBLOCK), 0);
    return fd;
}

static void say(int fd, const char *text)
{
    assert_int_equal(send(fd, text, strlen(text), MSG_NOSIGNAL), strlen(text));
}

/* What comes until the other side closes, in w->text. False: it does not. */
static bool hear(struct world *w, int fd)
{
    uint64_t end = now_ms() + LIMIT_MS;
    size_t len = 0;

    while (now_ms() < end) {
        ssize_t got = recv(fd, w->text + len, sizeof(w->text) - len - 1, 0);

        if (got > 0)
            len += (size_t)got;
        w->text[len] = '\0';
        if (got == 0 || (got < 0 && errno != EAGAIN))
            return true;
        if (got < 0)
            step(w->c, 10);
    }
    return false;
}

/* The status that request gets; 0: the connection was closed. */
static int status_of(struct world *w, const char *request)
{
    int fd = dial(w->port), status = 0;

    say(fd, request);
    assert_true(hear(w, fd));
    close(fd);
    sscanf(w->text, "HTTP/1.1 %d ", &status);
    return status;
}

static void the_page_is_given_with_its_type_and_length(void **state)
{
    struct world *w = *state;
    const char *body, *length;

    assert_int_equal(status_of(w, GET), 200);
    assert_non_null(strstr(w->text, "\r\nContent-Type: text/plain; "
                                    "version=0.0.4; charset=utf-8\r\n"));
    assert_non_null(strstr(w->text, "\r\nConnection: close\r\n"));
    body = strstr(w->text, "\r\n\r\n");
    length = strstr(w->text, "\r\nContent-Length: ");
    assert_non_null(body);
    assert_non_null(length);
    assert_int_equal(atoi(length + 18), strlen(body + 4));
    assert_non_null(strstr(body, "\ncopal_datagrams_in_total 0\n"));
    assert_non_null(strstr(body, "\nprocess_resident_memory_bytes "));
    assert_non_null(strstr(body, "\nprocess_open_fds "));
}

static void whatever_else_is_asked_is_refused(void **state)
{
    struct world *w = *state;

    assert_int_equal(status_of(w, "GET / HTTP/1.1\r\nHost: h\r\n\r\n"), 404);
    assert_int_equal(status_of(w, "GET /metrics/ HTTP/1.0\r\n\r\n"), 404);
    assert_int_equal(status_of(w, "HEAD /metrics HTTP/1.0\r\n\r\n"), 405);
    assert_non_null(strstr(w->text, "\r\nAllow: GET\r\n"));
    assert_int_equal(status_of(w, "get /metrics HTTP/1.0\r\n\r\n"), 405);
    assert_int_equal(status_of(w, "\x16\x03\x01\x02"), 400);
    assert_int_equal(status_of(w, "GET /metrics HTTP/3.0\r\n\r\n"), 505);
    assert_int_equal(status_of(w, GET GET GET), 200);
}

static void a_head_over_4_kilobytes_is_refused(void **state)
{
    struct world *w = *state;
    char head[4096 + 1];
    int size = snprintf(head, sizeof(head), "GET /metrics HTTP/1.0\r\nX: ");

    memset(head + size, 'x', sizeof(head) - 1 - (size_t)size);
    head[sizeof(head) - 1] = '\0';
    assert_int_equal(status_of(w, head), 431);
    memcpy(head + sizeof(head) - 5, "\r\n\r\n", 5);
    assert_int_equal(status_of(w, head), 200);
}

static void a_head_may_come_byte_by_byte(void **state)
{
    struct world *w = *state;
    int fd = dial(w->port);

    for (const char *c = GET; *c != '\0'; c++) {
        char one[2] = {*c, '\0'};

        say(fd, one);
        step(w->c, 5);
    }
    assert_true(hear(w, fd));
    close(fd);
    assert_int_equal(strncmp(w->text, "HTTP/1.1 200 ", 13), 0);
}

static void who_says_nothing_for_5_seconds_is_left(void **state)
{
    struct world *w = *state;
    int fd = dial(w->port);
    uint64_t began = now_ms();

    say(fd, "GET /metrics HT");
    assert_true(hear(w, fd));
    close(fd);
    assert_string_equal(w->text, "");
    assert_in_range(now_ms() - began, 4900, LIMIT_MS);
}

static void who_says_nothing_keeps_nobody_out(void **state)
{
    struct world *w = *state;
    int fds[16];

    for (int i = 0; i < 16; i++) {
        fds[i] = dial(w->port);
        say(fds[i], "GET /metrics HT");
        step(w->c, 5);
    }
    assert_int_equal(status_of(w, GET), 200);
    for (int i = 0; i < 16; i++)
        close(fds[i]);
}

static void sixteen_are_served_at_once_and_no_more(void **state)
{
    struct world *w = *state;
    int fds[40], open = 0;
    char byte;

    for (int i = 0; i < 40; i++)
        fds[i] = dial(w->port);
    for (int i = 0; i < 50; i++)
        step(w->c, 5);
    for (int i = 0; i < 40; i++)
        open += recv(fds[i], &byte, 1, 0) < 0 && errno == EAGAIN;
    assert_int_equal(open, 16);
    say(fds[39], GET); /* the newest are those who are let in */
    assert_true(hear(w, fds[39]));
    assert_int_equal(strncmp(w->text, "HTTP/1.1 200 ", 13), 0);
    for (int i = 0; i < 40; i++)
        close(fds[i]);
    for (int i = 0; i < 50; i++)
        step(w->c, 5);
    assert_int_equal(status_of(w, GET), 200);
}

static void who_goes_away_in_the_middle_leaves_nothing_behind(void **state)
{
    struct world *w = *state;
    struct linger at_once = {.l_onoff = 1};
    const char *parts[] = {"", "GET /met", GET};

    for (int i = 0; i < 60; i++) {
        int fd = dial(w->port);

        say(fd, parts[i % 3]);
        setsockopt(fd, SOL_SOCKET, SO_LINGER, &at_once,
                   i % 2 ? sizeof(at_once) : 0);
        close(fd);
        step(w->c, 5);
    }
    assert_int_equal(status_of(w, GET), 200);
}

/* ---- CoAP meanwhile ---- */

static void on_request(const copal_event *ev, void *user)
{
    (void)user;
    if (ev->kind == COPAL_REQUEST)
        copal_reply_text(ev->exchange, COPAL_CONTENT, "t");
}

static void on_answer(const copal_event *ev, void *user)
{
    struct world *w = user;

    if (ev->kind == COPAL_RESPONSE)
        w->answered++;
}

static void coap_goes_on_while_many_connect(void **state)
{
    struct world *w = *state;
    char uri[80];

    assert_int_equal(
        copal_serve(w->c, COPAL_GET, "/t", 0, COPAL_CB(on_request, NULL)), 0);
    assert_int_equal(copal_listen(w->c, "coap://127.0.0.1:0", 0), 0);
    snprintf(uri, sizeof(uri), "%s/t", copal_local(w->c, 0));
    for (int i = 0; i < 50; i++) {
        int fds[20];
        uint64_t end = now_ms() + LIMIT_MS;

        for (int j = 0; j < 20; j++) {
            fds[j] = dial(w->port);
            if (j % 2)
                say(fds[j], j % 4 == 1 ? GET : "nonsense\r\n\r\n");
        }
        copal_get(w->c, uri, COPAL_CB(on_answer, w));
        while (w->answered <= i && now_ms() < end)
            step(w->c, 10);
        for (int j = 0; j < 20; j++)
            close(fds[j]);
    }
    assert_int_equal(w->answered, 50);
    for (int i = 0; i < 20; i++)
        step(w->c, 5);
    assert_int_equal(status_of(w, GET), 200);
    assert_non_null(
        strstr(w->text, "\ncopal_requests_total{method=\"GET\"} 50\n"));
}

/* ---- Places and ends ---- */

static void a_place_is_a_port_or_an_address_and_a_port(void **state)
{
    static const char *const bad[] = {
        "",       "x",     "127.0.0.1", "127.0.0.1:",
        "host:1", "[::1]", "::1:9100",  "[127.0.0.1]:0",
        "65536",  "-1",    "1 ",        "[]:1"};
    struct world *w = *state;

    for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++) {
        assert_int_equal(copal_metrics(w->c, bad[i]), COPAL_EINVAL);
        assert_non_null(strstr(copal_why(w->c), "127.0.0.1:9100"));
    }
    assert_int_equal(status_of(w, GET), 200); /* the one before goes on */
    assert_true((w->port = copal_metrics(w->c, "0")) > 0);
    assert_int_equal(status_of(w, GET), 200);
    assert_true((w->port = copal_metrics(w->c, ":0")) > 0);
    assert_int_equal(status_of(w, GET), 200);
}

static void a_port_that_is_taken_is_in_use(void **state)
{
    struct world *w = *state;
    copal *other = copal_new(NULL);
    char where[16];

    snprintf(where, sizeof(where), "%d", w->port);
    assert_non_null(other);
    assert_int_equal(copal_metrics(other, where), COPAL_EINUSE);
    copal_free(other);
    assert_int_equal(copal_metrics(w->c, where), w->port); /* not its own */
    assert_int_equal(status_of(w, GET), 200);
}

static void without_a_place_it_is_over(void **state)
{
    struct world *w = *state;
    struct sockaddr_in to = {.sin_family = AF_INET,
                             .sin_port = htons((uint16_t)w->port),
                             .sin_addr = {htonl(INADDR_LOOPBACK)}};
    int waiting = dial(w->port), fd = socket(AF_INET, SOCK_STREAM, 0);

    step(w->c, 5);
    assert_int_equal(copal_metrics(w->c, NULL), 0);
    assert_true(hear(w, waiting));
    assert_int_equal(connect(fd, (struct sockaddr *)&to, sizeof(to)), -1);
    assert_int_equal(errno, ECONNREFUSED);
    close(fd);
    close(waiting);
}

static void it_keeps_no_endpoint_running(void **state)
{
    struct world *w = *state;
    int fd = dial(w->port);

    step(w->c, 5);
    assert_int_equal(copal_run(w->c), 0); /* returns */
    close(fd);
}

static void on_a_shared_loop_it_ends_with_the_endpoint(void **state)
{
    struct world *w = *state;
    copal_config config = {COPAL_CONFIG_INIT};
    uv_loop_t loop;
    copal *c;
    int fd;

    assert_int_equal(uv_loop_init(&loop), 0);
    config.loop = &loop;
    c = copal_new(&config);
    assert_non_null(c);
    w->port = copal_metrics(c, "0");
    assert_true(w->port > 0);
    fd = dial(w->port);
    say(fd, "GET /m");
    for (int i = 0; i < 3; i++)
        uv_run(&loop, UV_RUN_NOWAIT);
    copal_free(c);
    uv_run(&loop, UV_RUN_DEFAULT);
    assert_int_equal(uv_loop_close(&loop), 0);
    close(fd);
}

static void without_descriptors_who_comes_is_turned_away(void **state)
{
    struct world *w = *state;
    struct rlimit before, few;
    uint64_t began;
    int fd = dial(w->port), steps = 0, last = dup(fd);

    assert_int_equal(getrlimit(RLIMIT_NOFILE, &before), 0);
    few = before;
    few.rlim_cur = (rlim_t)last; /* every one below is taken */
    close(last);
    for (int i = 3; i < (int)few.rlim_cur; i++)
        if (fcntl(i, F_GETFD) < 0)
            few.rlim_cur = (rlim_t)i;
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &few), 0);
    say(fd, GET);
    began = now_ms();
    while (now_ms() < began + 600) {
        step(w->c, 100);
        steps++;
    }
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &before), 0);
    assert_in_range(steps, 1, 60);
    assert_true(hear(w, fd)); /* closed */
    assert_string_equal(w->text, "");
    close(fd);
    fd = dial(w->port);
    say(fd, GET);
    assert_true(hear(w, fd));
    close(fd);
    assert_int_equal(strncmp(w->text, "HTTP/1.1 200 ", 13), 0);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, build, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(the_page_is_given_with_its_type_and_length),
        TEST(whatever_else_is_asked_is_refused),
        TEST(a_head_over_4_kilobytes_is_refused),
        TEST(a_head_may_come_byte_by_byte),
        TEST(who_says_nothing_for_5_seconds_is_left),
        TEST(who_says_nothing_keeps_nobody_out),
        TEST(sixteen_are_served_at_once_and_no_more),
        TEST(who_goes_away_in_the_middle_leaves_nothing_behind),
        TEST(coap_goes_on_while_many_connect),
        TEST(a_place_is_a_port_or_an_address_and_a_port),
        TEST(a_port_that_is_taken_is_in_use),
        TEST(without_a_place_it_is_over),
        TEST(it_keeps_no_endpoint_running),
        TEST(on_a_shared_loop_it_ends_with_the_endpoint),
        TEST(without_descriptors_who_comes_is_turned_away),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
