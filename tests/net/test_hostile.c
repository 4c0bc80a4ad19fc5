/* Junk by real sockets, from many addresses and ports: the server still
 * answers. tests/sim/test_hostile.c sends more of it, in less time. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>
#include <copal.h>
#include "../junk.h"
#include "support.h"

enum {
    SENDERS = 100,
    DATAGRAMS = 10000,
    AT_ONCE = 50, /* which fit a socket's buffer */
    LIMIT_MS = 20000
};

static void answer(const copal_event *ev, void *user)
{
    (void)user;
    if (ev->kind == COPAL_REQUEST)
        copal_reply_text(ev->exchange, COPAL_CONTENT, "still here");
}

struct asked {
    int ends, status;
    char text[32];
};

static void note(const copal_event *ev, void *user)
{
    struct asked *a = user;
    copal_bytes payload;

    if (ev->kind == COPAL_RESPONSE) {
        payload = copal_msg_payload(ev->msg);
        snprintf(a->text, sizeof(a->text), "%.*s", (int)payload.len,
                 (const char *)payload.data);
    } else if (ev->kind == COPAL_END) {
        a->ends++;
        a->status = ev->status;
    }
}

/* At 127.9.x.y and a port of the system's choice. */
static int sender(unsigned i)
{
    struct sockaddr_in a = {.sin_family = AF_INET};
    int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

    assert_true(fd >= 0);
    a.sin_addr.s_addr = htonl(0x7f090000u + i);
    if (bind(fd, (struct sockaddr *)&a, sizeof(a)) != 0) {
        close(fd); /* a system whose loopback has one address only */
        fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    }
    return fd;
}

static void assert_answered(copal *server, const char *uri)
{
    struct asked a = {0};
    copal *client = copal_new(NULL), *both[] = {server, client};
    uint64_t until = now_ms() + LIMIT_MS;

    assert_non_null(copal_get(client, uri, COPAL_CB(note, &a)));
    while (a.ends == 0 && now_ms() < until)
        step_all(both, 2, 50);
    assert_int_equal(a.ends, 1);
    assert_int_equal(a.status, 0);
    assert_string_equal(a.text, "still here");
    copal_free(client);
}

static void junk_from_many_addresses_keeps_nobody_from_an_answer(void **state)
{
    struct junk *j = junk_new(11);
    copal *server = copal_new(NULL);
    struct sockaddr_in to = {.sin_family = AF_INET};
    copal_stats stats = {.size = sizeof(stats)};
    int senders[SENDERS];
    unsigned port;
    char uri[64];

    (void)state;
    assert_non_null(j);
    assert_int_equal(copal_listen(server, "coap://127.0.0.1:0", 0), 0);
    assert_int_equal(
        sscanf(copal_local(server, 0), "coap://127.0.0.1:%u", &port), 1);
    copal_serve(server, COPAL_GET, "/t", COPAL_OBSERVABLE,
                COPAL_CB(answer, NULL));
    copal_tune(server, NULL, COPAL_P_GUARD_LOOPBACK, 1);
    to.sin_port = htons((uint16_t)port);
    to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    for (unsigned i = 0; i < SENDERS; i++)
        senders[i] = sender(i + 1);
    for (int i = 0; i < DATAGRAMS; i++) {
        junk_next(j);
        (void)!sendto(senders[junk_below(j, SENDERS)], j->data, j->len, 0,
                      (struct sockaddr *)&to, sizeof(to));
        if (i % AT_ONCE == AT_ONCE - 1)
            step_all(&server, 1, 0);
    }
    snprintf(uri, sizeof(uri), "coap://127.0.0.1:%u/t", port);
    assert_answered(server, uri);
    copal_get_stats(server, &stats);
    assert_true(stats.datagrams_in > DATAGRAMS / 2);
    for (unsigned i = 0; i < SENDERS; i++)
        close(senders[i]);
    copal_free(server);
    free(j);
}

/* Those of one batch are looked at before the first is handed in: a repeat is
 * one all the same, also while the table of what was seen grows. */
static void of_repeats_in_one_batch_one_is_acted_upon(void **state)
{
    copal *server = copal_new(NULL);
    copal_stats stats = {.size = sizeof(stats)};
    struct sockaddr_in to = {.sin_family = AF_INET};
    uint8_t get[] = {0x41, COPAL_GET, 0, 0, 'k', 0xb1, 't'};
    uint64_t until = now_ms() + LIMIT_MS;
    unsigned port;
    int fd = sender(1);

    (void)state;
    assert_int_equal(copal_listen(server, "coap://127.0.0.1:0", 0), 0);
    assert_int_equal(
        sscanf(copal_local(server, 0), "coap://127.0.0.1:%u", &port), 1);
    copal_serve(server, COPAL_GET, "/t", 0, COPAL_CB(answer, NULL));
    to.sin_port = htons((uint16_t)port);
    to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    for (int i = 0; i < 40; i++) {
        get[3] = (uint8_t)(i % 20);
        assert_int_equal(
            sendto(fd, get, sizeof(get), 0, (struct sockaddr *)&to, sizeof(to)),
            sizeof(get));
    }
    while (stats.datagrams_in < 40 && now_ms() < until) {
        step_all(&server, 1, 50);
        copal_get_stats(server, &stats);
    }
    assert_int_equal(stats.datagrams_in, 40);
    assert_int_equal(stats.duplicates, 20);
    close(fd);
    copal_free(server);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(of_repeats_in_one_batch_one_is_acted_upon),
        cmocka_unit_test(junk_from_many_addresses_keeps_nobody_from_an_answer),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
