/* Real sockets and real loops: what the simulator cannot show. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <arpa/inet.h>
#include <poll.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>
#include <uv.h>
#include <copal.h>
#include "support.h"

/* A name that no resolver asks anybody for: its label is too long. */
#define NOWHERE \
    "no-label-of-a-name-in-the-dns-is-longer-than-sixty-three-characters"

enum {
    LIMIT_MS = 5000
};

/* Two endpoints, each with a loop of its own, driven by poll(). */
struct world {
    copal *client, *server;
    int responses, ends, drops, requests, timers;
    int status, code;
    size_t body;
    char text[256], remote[64];
};

/* ---- Callbacks ---- */

static void note(const copal_event *ev, void *user)
{
    struct world *w = user;

    if (ev->kind == COPAL_RESPONSE) {
        w->responses++;
        w->code = copal_msg_code(ev->msg);
        w->body = copal_msg_payload(ev->msg).len;
        snprintf(w->remote, sizeof(w->remote), "%s", copal_msg_remote(ev->msg));
    } else if (ev->kind == COPAL_END) {
        w->ends++;
        w->status = ev->status;
        snprintf(w->text, sizeof(w->text), "%s",
                 ev->text == NULL ? "" : ev->text);
    } else if (ev->kind == COPAL_TIMER) {
        w->timers++;
    }
}

static void note_drop(void *user)
{
    ((struct world *)user)->drops++;
}

static void answer(const copal_event *ev, void *user)
{
    struct world *w = user;

    if (ev->kind != COPAL_REQUEST)
        return;
    w->requests++;
    w->body = copal_msg_payload(ev->msg).len;
    copal_reply_text(ev->exchange, COPAL_CONTENT, "22.5 C");
}

/* ---- The world ---- */

static int build(void **state)
{
    struct world *w = calloc(1, sizeof(*w));

    if (w == NULL)
        return -1;
    w->client = copal_new(NULL);
    w->server = copal_new(NULL);
    w->status = 1;
    *state = w;
    return w->client == NULL || w->server == NULL ||
           copal_serve(w->server, 0, "/t", 0, COPAL_CB(answer, w)) != 0;
}

static int tear_down(void **state)
{
    struct world *w = *state;

    copal_free(w->client);
    copal_free(w->server);
    free(w);
    return 0;
}

static void step(struct world *w, int limit)
{
    copal *all[] = {w->client, w->server};

    step_all(all, 2, limit);
}

static void go_until(struct world *w, const int *count, int wanted)
{
    uint64_t end = now_ms() + LIMIT_MS;

    while (*count < wanted && now_ms() < end)
        step(w, 100);
    assert_int_equal(*count, wanted);
}

static int port_of(const char *uri)
{
    const char *colon = strrchr(uri, ':');

    return colon == NULL ? 0 : atoi(colon + 1);
}

static bool has_ipv6(void)
{
    struct sockaddr_in6 name = {.sin6_family = AF_INET6,
                                .sin6_addr = IN6ADDR_LOOPBACK_INIT};
    int fd = socket(AF_INET6, SOCK_DGRAM, 0);
    bool has = fd >= 0 && bind(fd, (struct sockaddr *)&name, sizeof(name)) == 0;

    if (fd >= 0)
        close(fd);
    return has;
}

/* A port that was free a moment ago. */
static int free_port(int family)
{
    union {
        struct sockaddr any;
        struct sockaddr_in v4;
        struct sockaddr_in6 v6;
    } name;
    socklen_t size = sizeof(name);
    int fd = socket(family, SOCK_DGRAM, 0);

    memset(&name, 0, sizeof(name));
    name.any.sa_family = (sa_family_t)family;
    assert_int_equal(bind(fd, &name.any, size), 0);
    assert_int_equal(getsockname(fd, &name.any, &size), 0);
    close(fd);
    return ntohs(family == AF_INET ? name.v4.sin_port : name.v6.sin6_port);
}

/* A plain socket connected to 127.0.0.x: hears only what comes from there. */
static int connected_to(const char *ip, int port)
{
    struct sockaddr_in to = {.sin_family = AF_INET,
                             .sin_port = htons((uint16_t)port)};
    int fd = socket(AF_INET, SOCK_DGRAM, 0);

    assert_int_equal(inet_pton(AF_INET, ip, &to.sin_addr), 1);
    assert_int_equal(connect(fd, (struct sockaddr *)&to, sizeof(to)), 0);
    return fd;
}

/* ---- Sockets ---- */

static void an_answer_comes_back_over_either_ip(void **state)
{
    static const char *const hosts[] = {"127.0.0.1", "[::1]"};
    struct world *w = *state;

    for (int i = 0; i < (has_ipv6() ? 2 : 1); i++) {
        char uri[64];

        snprintf(uri, sizeof(uri), "coap://%s:0", hosts[i]);
        assert_int_equal(copal_listen(w->server, uri, 0), 0);
        snprintf(uri, sizeof(uri), "%s/t", copal_local(w->server, (size_t)i));
        copal_get(w->client, uri, COPAL_CB(note, w));
        go_until(w, &w->ends, i + 1);

        assert_int_equal(w->status, 0);
        assert_int_equal(w->code, COPAL_CONTENT);
        assert_string_equal(w->remote, copal_local(w->server, (size_t)i));
    }
}

static void a_star_is_one_port_of_ipv4_and_ipv6(void **state)
{
    struct world *w = *state;
    int port;

    assert_int_equal(copal_listen(w->server, "coap://*:0", 0), 0);
    assert_non_null(copal_local(w->server, 0));
    port = port_of(copal_local(w->server, 0));
    assert_int_not_equal(port, 0);
    if (!has_ipv6())
        return;
    assert_non_null(copal_local(w->server, 1));
    assert_int_equal(port_of(copal_local(w->server, 1)), port);
    assert_null(copal_local(w->server, 2));
}

static void the_uri_a_server_says_it_listens_at_can_be_asked(void **state)
{
    struct world *w = *state;
    char uri[64];

    assert_int_equal(copal_listen(w->server, "coap://*:0", 0), 0);
    for (size_t i = 0; copal_local(w->server, i) != NULL; i++) {
        snprintf(uri, sizeof(uri), "%s/t", copal_local(w->server, i));
        assert_non_null(copal_get(w->client, uri, COPAL_CB(note, w)));
        go_until(w, &w->ends, (int)i + 1);
        assert_int_equal(w->status, 0);
    }
}

static void a_refused_port_is_known_within_milliseconds(void **state)
{
    struct world *w = *state;

    for (int i = 0; i < (has_ipv6() ? 2 : 1); i++) {
        char uri[64];
        uint64_t began;

        snprintf(uri, sizeof(uri),
                 i == 0 ? "coap://127.0.0.1:%d/t" : "coap://[::1]:%d/t",
                 free_port(i == 0 ? AF_INET : AF_INET6));
        began = now_ms();
        copal_get(w->client, uri, COPAL_CB(note, w));
        go_until(w, &w->ends, i + 1);

        assert_int_equal(w->status, COPAL_EREFUSED);
        assert_in_range(now_ms() - began, 0, 1000);
        assert_string_not_equal(w->text, "");
    }
}

static void the_answer_leaves_from_the_address_that_was_asked(void **state)
{
    static const uint8_t get_t[] = {0x40, 0x01, 0x12, 0x34, 0xb1, 't'};
    struct world *w = *state;
    uint8_t answered[64];
    struct pollfd heard;
    int fd;

    assert_int_equal(copal_listen(w->server, "coap://0.0.0.0:0", 0), 0);
    fd = connected_to("127.0.0.2", port_of(copal_local(w->server, 0)));
    assert_int_equal(send(fd, get_t, sizeof(get_t), 0), sizeof(get_t));
    go_until(w, &w->requests, 1);

    heard = (struct pollfd){.fd = fd, .events = POLLIN};
    assert_int_equal(poll(&heard, 1, 1000), 1);
    assert_true(recv(fd, answered, sizeof(answered), 0) > 4);
    assert_int_equal(answered[0], 0x60);
    assert_int_equal(answered[1], COPAL_CONTENT);
    close(fd);
}

static void a_datagram_of_many_kilobytes_is_whole(void **state)
{
    static const uint8_t head[] = {0x50, 0x02, 0x12, 0x35, 0xb1, 't', 0xff};
    static uint8_t put[sizeof(head) + 20000];
    struct world *w = *state;
    int fd;

    memcpy(put, head, sizeof(head));
    assert_int_equal(copal_listen(w->server, "coap://127.0.0.1:0", 0), 0);
    fd = connected_to("127.0.0.1", port_of(copal_local(w->server, 0)));
    assert_int_equal(send(fd, put, sizeof(put), 0), sizeof(put));
    go_until(w, &w->requests, 1);

    assert_int_equal(w->body, 20000);
    close(fd);
}

static void answer_at_length(const copal_event *ev, void *user)
{
    static const uint8_t body[100000];
    struct world *w = user;

    if (ev->kind != COPAL_REQUEST)
        return;
    w->requests++;
    copal_reply(ev->exchange, COPAL_CONTENT, COPAL_OCTETS,
                (copal_bytes){body, sizeof(body)});
}

static void a_guarded_port_sends_little_until_it_knows_who_asks(void **state)
{
    static const uint8_t get_big[] = {0x40, 0x01, 0x12, 0x34, 0xb1, 'b'};
    struct world *w = *state;
    uint8_t answered[2048];
    struct pollfd heard;
    char uri[64];
    ssize_t len;
    int fd;

    copal_tune(w->server, NULL, COPAL_P_GUARD_LOOPBACK, 1);
    copal_serve(w->server, COPAL_GET, "/b", 0, COPAL_CB(answer_at_length, w));
    assert_int_equal(copal_listen(w->server, "coap://127.0.0.1:0", 0), 0);
    fd = connected_to("127.0.0.1", port_of(copal_local(w->server, 0)));
    assert_int_equal(send(fd, get_big, sizeof(get_big), 0), sizeof(get_big));
    go_until(w, &w->requests, 1);
    heard = (struct pollfd){.fd = fd, .events = POLLIN};
    assert_int_equal(poll(&heard, 1, 1000), 1);
    len = recv(fd, answered, sizeof(answered), 0);
    assert_true(len > 64 && len <= 136);
    close(fd);

    snprintf(uri, sizeof(uri), "%s/b", copal_local(w->server, 0));
    copal_get(w->client, uri, COPAL_CB(note, w));
    go_until(w, &w->ends, 1);
    assert_int_equal(w->status, 0);
    assert_int_equal(w->body, 100000);
    assert_int_equal(w->requests, 3); /* twice for the client */
}

static void a_port_in_use_says_what_to_do(void **state)
{
    struct world *w = *state;
    const char *why;

    assert_int_equal(copal_listen(w->server, "coap://127.0.0.1:0", 0), 0);
    assert_int_equal(copal_listen(w->client, copal_local(w->server, 0), 0),
                     COPAL_EINUSE);
    why = copal_why(w->client);
    assert_non_null(strstr(why, copal_local(w->server, 0)));
    assert_non_null(strstr(why, "another port"));
    assert_null(copal_local(w->client, 0));
}

static void workers_share_a_port_if_they_ask_to(void **state)
{
    struct world *w = *state;

    assert_int_equal(
        copal_listen(w->server, "coap://127.0.0.1:0", COPAL_REUSE_PORT), 0);
    assert_int_equal(
        copal_listen(w->client, copal_local(w->server, 0), COPAL_REUSE_PORT),
        0);
}

static void what_comes_while_a_socket_changes_hands_waits_in_it(void **state)
{
    struct world *w = *state;
    copal *heir = copal_new(NULL);
    char uri[64];
    int fd;

    assert_int_equal(copal_listen(w->server, "coap://127.0.0.1:0", 0), 0);
    snprintf(uri, sizeof(uri), "%s/t", copal_local(w->server, 0));
    copal_serve(heir, COPAL_GET, "/t", 0, COPAL_CB(answer, w));

    assert_int_equal(copal_hand_over(w->server, 1), COPAL_ENOENT);
    fd = copal_hand_over(w->server, 0);
    assert_true(fd >= 0);
    copal_get(w->client, uri, COPAL_CB(note, w));
    for (int i = 0; i < 20; i++) { /* nobody is there: neither hears it */
        copal_step(w->client);
        copal_step(w->server);
    }
    assert_int_equal(w->ends, 0);
    copal_free(w->server);
    w->server = heir;
    assert_int_equal(copal_take_over(heir, fd), 0);
    close(fd);
    go_until(w, &w->ends, 1);
    assert_int_equal(w->status, 0);
    assert_int_equal(w->code, COPAL_CONTENT);
}

static void who_handed_its_socket_over_asks_from_another(void **state)
{
    struct world *w = *state;
    char uri[64];
    int fd;

    assert_int_equal(copal_listen(w->client, "coap://127.0.0.1:0", 0), 0);
    fd = copal_hand_over(w->client, 0);
    assert_true(fd >= 0);
    assert_int_equal(copal_listen(w->server, "coap://127.0.0.1:0", 0), 0);
    snprintf(uri, sizeof(uri), "%s/t", copal_local(w->server, 0));
    copal_get(w->client, uri, COPAL_CB(note, w));
    go_until(w, &w->ends, 1);
    assert_int_equal(w->status, 0);
    close(fd);
}

static void only_a_bound_udp_socket_is_taken_over(void **state)
{
    struct world *w = *state;
    int unbound = socket(AF_INET, SOCK_DGRAM, 0);
    int stream = socket(AF_INET, SOCK_STREAM, 0);

    assert_int_equal(copal_take_over(w->server, unbound), COPAL_EINVAL);
    assert_non_null(strstr(copal_why(w->server), "not a UDP socket bound"));
    assert_int_equal(copal_take_over(w->server, stream), COPAL_EINVAL);
    assert_int_equal(copal_take_over(w->server, -1), COPAL_EINVAL);
    assert_null(copal_local(w->server, 0));
    close(unbound);
    close(stream);
}

/* Of a build without GnuTLS. */
static void an_absent_scheme_is_named(void **state)
{
    struct world *w = *state;

    if (copal_listen(w->server, "coaps://127.0.0.1:0", 0) == 0)
        skip();
    assert_int_equal(copal_listen(w->server, "coaps://*", 0), COPAL_ENOTSUP);
    assert_non_null(strstr(copal_why(w->server), "coaps"));
    copal_get(w->client, "coaps://127.0.0.1/t", COPAL_CB(note, w));
    go_until(w, &w->ends, 1);
    assert_int_equal(w->status, COPAL_ENOTSUP);
}

/* ---- Names ---- */

static void an_unknown_name_ends_with_a_sentence(void **state)
{
    struct world *w = *state;

    copal_get(w->client, "coap://" NOWHERE "/t", COPAL_CB(note, w));
    go_until(w, &w->ends, 1);

    assert_int_equal(w->status, COPAL_ERESOLVE);
    assert_non_null(strstr(w->text, NOWHERE));
    assert_int_equal(w->responses, 0);
}

static void a_name_is_found_and_asked(void **state)
{
    struct world *w = *state;
    char uri[64];

    assert_int_equal(copal_listen(w->server, "coap://127.0.0.1:0", 0), 0);
    snprintf(uri, sizeof(uri), "coap://127.1:%d/t",
             port_of(copal_local(w->server, 0)));
    copal_get(w->client, uri, COPAL_CB(note, w));
    go_until(w, &w->ends, 1);
    assert_int_equal(w->status, 0);
}

static void nobody_waits_for_a_name_in_order_to_end(void **state)
{
    struct world *w = *state;

    copal_get(w->client, "coap://" NOWHERE "/t",
              COPAL_CB_OWN(note, w, note_drop));
    copal_free(w->client);
    w->client = NULL;
    assert_int_equal(w->status, COPAL_ECLOSED);
    assert_int_equal(w->ends, 1);
    assert_int_equal(w->drops, 1);
}

/* ---- A host's loop ---- */

static void an_idle_endpoint_lets_its_host_sleep(void **state)
{
    struct world *w = *state;
    struct pollfd fd = {.events = POLLIN};

    assert_int_equal(copal_listen(w->server, "coap://127.0.0.1:0", 0), 0);
    for (int i = 0; i < 3; i++)
        assert_int_equal(copal_step(w->server), 0);
    fd.fd = copal_fd(w->server);
    assert_int_equal(copal_timeout(w->server), -1);
    assert_int_equal(poll(&fd, 1, 50), 0);
}

static void waiting_for_an_answer_costs_few_steps(void **state)
{
    struct world *w = *state;
    struct sockaddr_in name = {.sin_family = AF_INET};
    socklen_t size = sizeof(name);
    int mute = socket(AF_INET, SOCK_DGRAM, 0);
    uint64_t end = now_ms() + 200;
    char uri[64];
    int steps = 0;

    inet_pton(AF_INET, "127.0.0.1", &name.sin_addr);
    assert_int_equal(bind(mute, (struct sockaddr *)&name, size), 0);
    getsockname(mute, (struct sockaddr *)&name, &size);
    snprintf(uri, sizeof(uri), "coap://127.0.0.1:%d/t", ntohs(name.sin_port));
    copal_get(w->client, uri, COPAL_CB(note, w));
    for (; now_ms() < end; steps++)
        step(w, 50);
    assert_in_range(steps, 1, 12);
    close(mute);
}

static void a_call_from_outside_wakes_the_host(void **state)
{
    struct world *w = *state;
    struct pollfd fd = {.fd = copal_fd(w->client), .events = POLLIN};
    uint64_t began = now_ms();

    assert_int_equal(copal_step(w->client), 0);
    assert_true(copal_after(w->client, 50, COPAL_CB(note, w)) >= 0);
    assert_int_equal(poll(&fd, 1, 1000), 1);
    assert_int_equal(copal_step(w->client), 0);
    assert_in_range(copal_timeout(w->client), 1, 50);
    go_until(w, &w->timers, 1);
    assert_in_range(now_ms() - began, 50, 1000);
}

/* ---- Our own loop ---- */

static void *stop_soon(void *user)
{
    usleep(30000);
    copal_stop(user);
    return NULL;
}

static void another_thread_stops_a_run(void **state)
{
    struct world *w = *state;
    uint64_t began = now_ms();
    pthread_t thread;

    assert_int_equal(copal_listen(w->server, "coap://127.0.0.1:0", 0), 0);
    pthread_create(&thread, NULL, stop_soon, w->server);
    assert_int_equal(copal_run(w->server), 0);
    pthread_join(thread, NULL);
    assert_in_range(now_ms() - began, 30, 2000);
}

static void *let_go_soon(void *user)
{
    usleep(30000);
    copal_exchange_unref(user);
    return NULL;
}

static void keep(const copal_event *ev, void *user)
{
    if (ev->kind == COPAL_REQUEST)
        *(copal_exchange **)user = copal_exchange_ref(ev->exchange);
}

/* A garbage collector chooses its own thread, and its own time: the asker does
 * not wait for it longer than need be. */
static void what_another_thread_let_go_of_is_answered(void **state)
{
    struct world *w = *state;
    copal_exchange *kept = NULL;
    char uri[64];
    pthread_t thread;

    copal_serve(w->server, COPAL_GET, "/kept", 0, COPAL_CB(keep, &kept));
    assert_int_equal(copal_listen(w->server, "coap://127.0.0.1:0", 0), 0);
    snprintf(uri, sizeof(uri), "%s/kept", copal_local(w->server, 0));
    assert_non_null(copal_get(w->client, uri, COPAL_CB(note, w)));
    for (int i = 0; i < 100 && kept == NULL; i++)
        step(w, 100);
    assert_non_null(kept);
    pthread_create(&thread, NULL, let_go_soon, kept);
    for (uint64_t end = now_ms() + LIMIT_MS; w->ends == 0 && now_ms() < end;)
        step(w, LIMIT_MS);
    pthread_join(thread, NULL);
    assert_int_equal(w->code, COPAL_INTERNAL_ERROR);
    assert_int_equal(w->ends, 1);
}

static void a_stop_before_a_run_is_kept_for_it(void **state)
{
    struct world *w = *state;

    assert_int_equal(copal_listen(w->server, "coap://127.0.0.1:0", 0), 0);
    copal_stop(w->server);
    assert_int_equal(copal_run(w->server), 0);
}

static void a_run_ends_when_nothing_is_left(void **state)
{
    struct world *w = *state;

    assert_int_equal(copal_run(w->client), 0);
    assert_true(copal_after(w->client, 20, COPAL_CB(note, w)) >= 0);
    assert_int_equal(copal_run(w->client), 0);
    assert_int_equal(w->timers, 1);
}

static void dawdle(const copal_event *ev, void *user)
{
    struct world *w = user;

    note(ev, user);
    copal_after(w->client, 1, COPAL_CB(note, w));
    usleep(5000);
}

/* libuv waits for descriptors after timers that are due at once. */
static void a_last_timer_that_is_late_already_ends_the_run(void **state)
{
    struct world *w = *state;

    copal_after(w->client, 5, COPAL_CB(dawdle, w));
    assert_int_equal(copal_run(w->client), 0);
    assert_int_equal(w->timers, 2);
}

static void free_client(const copal_event *ev, void *user)
{
    struct world *w = user;

    note(ev, user);
    if (ev->kind == COPAL_TIMER) {
        copal_free(w->client);
        w->client = NULL;
    }
}

static void a_callback_may_free_its_running_endpoint(void **state)
{
    struct world *w = *state;

    copal_after(w->client, 5000, COPAL_CB_OWN(note, w, note_drop));
    copal_after(w->client, 5, COPAL_CB_OWN(free_client, w, note_drop));
    assert_int_equal(copal_run(w->client), 0);
    assert_null(w->client);
    assert_int_equal(w->drops, 2);
}

static void a_callback_may_free_its_stepped_endpoint(void **state)
{
    struct world *w = *state;
    copal *c = w->client;

    copal_get(c, "coap://" NOWHERE "/", COPAL_CB_OWN(note, w, note_drop));
    copal_after(c, 0, COPAL_CB_OWN(free_client, w, note_drop));
    for (int i = 0; w->client != NULL && i < 100; i++)
        assert_int_equal(copal_step(c), 0);
    assert_null(w->client);
    assert_int_equal(w->ends, 1);
    assert_int_equal(w->drops, 2);
}

/* ---- A shared loop ---- */

static copal *on_loop(uv_loop_t *loop)
{
    copal_config config = {COPAL_CONFIG_INIT, .loop = loop};
    copal *c = copal_new(&config);

    assert_non_null(c);
    return c;
}

static void a_shared_loop_runs_until_its_endpoint_is_done(void **state)
{
    struct world *w = *state;
    char uri[64];
    uv_loop_t loop;
    copal *c;

    assert_int_equal(uv_loop_init(&loop), 0);
    c = on_loop(&loop);
    assert_int_equal(uv_run(&loop, UV_RUN_DEFAULT), 0);
    snprintf(uri, sizeof(uri), "coap://127.0.0.1:%d/t", free_port(AF_INET));
    copal_get(c, uri, COPAL_CB(note, w));
    assert_int_equal(uv_run(&loop, UV_RUN_DEFAULT), 0);
    assert_int_equal(w->status, COPAL_EREFUSED);

    assert_int_equal(copal_run(c), COPAL_ESTATE);
    assert_int_equal(copal_step(c), COPAL_ESTATE);
    assert_int_equal(copal_fd(c), COPAL_ESTATE);
    assert_int_equal(copal_timeout(c), COPAL_ESTATE);
    copal_free(c);
    assert_int_equal(uv_run(&loop, UV_RUN_DEFAULT), 0);
    assert_int_equal(uv_loop_close(&loop), 0);
}

static void two_endpoints_talk_on_one_loop(void **state)
{
    struct world *w = *state;
    char uri[64];
    uv_loop_t loop;
    copal *client, *server;

    assert_int_equal(uv_loop_init(&loop), 0);
    client = on_loop(&loop);
    server = on_loop(&loop);
    assert_int_equal(copal_listen(server, "coap://127.0.0.1:0", 0), 0);
    copal_serve(server, COPAL_GET, "/t", 0, COPAL_CB(answer, w));
    snprintf(uri, sizeof(uri), "%s/t", copal_local(server, 0));
    copal_get(client, uri, COPAL_CB(note, w));
    while (w->ends == 0)
        uv_run(&loop, UV_RUN_ONCE);
    assert_int_equal(w->status, 0);
    assert_int_equal(w->responses, 1);

    copal_free(client);
    copal_free(server);
    assert_int_equal(uv_run(&loop, UV_RUN_DEFAULT), 0);
    assert_int_equal(uv_loop_close(&loop), 0);
}

static void a_callback_may_free_its_endpoint_on_a_shared_loop(void **state)
{
    struct world *w = *state;
    uv_loop_t loop;

    assert_int_equal(uv_loop_init(&loop), 0);
    copal_free(w->client);
    w->client = on_loop(&loop);
    assert_int_equal(copal_listen(w->client, "coap://127.0.0.1:0", 0), 0);
    copal_get(w->client, "coap://" NOWHERE "/",
              COPAL_CB_OWN(note, w, note_drop));
    copal_after(w->client, 0, COPAL_CB_OWN(free_client, w, note_drop));
    assert_int_equal(uv_run(&loop, UV_RUN_DEFAULT), 0);
    assert_null(w->client);
    assert_int_equal(w->ends, 1);
    assert_int_equal(w->drops, 2);
    assert_int_equal(uv_loop_close(&loop), 0);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, build, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(an_answer_comes_back_over_either_ip),
        TEST(a_star_is_one_port_of_ipv4_and_ipv6),
        TEST(the_uri_a_server_says_it_listens_at_can_be_asked),
        TEST(a_refused_port_is_known_within_milliseconds),
        TEST(the_answer_leaves_from_the_address_that_was_asked),
        TEST(a_datagram_of_many_kilobytes_is_whole),
        TEST(a_guarded_port_sends_little_until_it_knows_who_asks),
        TEST(a_port_in_use_says_what_to_do),
        TEST(workers_share_a_port_if_they_ask_to),
        TEST(what_comes_while_a_socket_changes_hands_waits_in_it),
        TEST(who_handed_its_socket_over_asks_from_another),
        TEST(only_a_bound_udp_socket_is_taken_over),
        TEST(an_absent_scheme_is_named),
        TEST(an_unknown_name_ends_with_a_sentence),
        TEST(a_name_is_found_and_asked),
        TEST(nobody_waits_for_a_name_in_order_to_end),
        TEST(an_idle_endpoint_lets_its_host_sleep),
        TEST(waiting_for_an_answer_costs_few_steps),
        TEST(a_call_from_outside_wakes_the_host),
        TEST(another_thread_stops_a_run),
        TEST(what_another_thread_let_go_of_is_answered),
        TEST(a_stop_before_a_run_is_kept_for_it),
        TEST(a_run_ends_when_nothing_is_left),
        TEST(a_last_timer_that_is_late_already_ends_the_run),
        TEST(a_callback_may_free_its_running_endpoint),
        TEST(a_callback_may_free_its_stepped_endpoint),
        TEST(a_shared_loop_runs_until_its_endpoint_is_done),
        TEST(two_endpoints_talk_on_one_loop),
        TEST(a_callback_may_free_its_endpoint_on_a_shared_loop),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
