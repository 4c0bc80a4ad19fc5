/* Groups with real sockets, on the loopback interface alone; or, to see IPv6,
 * which Linux does not let multicast there, on COPAL_TEST_INTERFACE, as of a
 * network namespace. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <arpa/inet.h>
#include <net/if.h>
#include <netinet/in.h>
#include <poll.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>
#include <copal.h>
#include "support.h"

enum {
    LIMIT_MS = 5000,
    ENDPOINTS = 3
};

struct world {
    copal *client, *server, *other;
    char interface[IF_NAMESIZE];
    unsigned index;
    int responses, ends, status;
    int requests, multicast;
    unsigned by;
    char text[256], from[256];
    unsigned port;
};

/* ---- Callbacks ---- */

static void note(const copal_event *ev, void *user)
{
    struct world *w = user;
    size_t used = strlen(w->from);

    if (ev->kind == COPAL_RESPONSE) {
        w->responses++;
        snprintf(w->from + used, sizeof(w->from) - used, "%s ",
                 copal_msg_remote(ev->msg));
    } else if (ev->kind == COPAL_END) {
        w->ends++;
        w->status = ev->status;
        snprintf(w->text, sizeof(w->text), "%s", ev->text);
    }
}

static void answer(const copal_event *ev, void *user)
{
    copal_wire wire = {.size = sizeof(wire)};
    struct world *w = user;

    copal_msg_wire(ev->msg, &wire);
    w->requests++;
    w->multicast += wire.multicast != 0;
    w->by = wire.if_index;
    copal_reply_text(ev->exchange, COPAL_CONTENT, "here");
}

/* ---- The world ---- */

static copal *server_of(struct world *w)
{
    copal *c = copal_new(NULL);

    assert_non_null(c);
    copal_tune(c, NULL, COPAL_P_LEISURE, 0);
    copal_serve(c, 0, "/t", COPAL_GROUP, COPAL_CB(answer, w));
    return c;
}

static int build(void **state)
{
    struct world *w = calloc(1, sizeof(*w));
    const char *wanted = getenv("COPAL_TEST_INTERFACE"), *name;
    unsigned index;

    if (w == NULL)
        return -1;
    w->client = copal_new(NULL);
    w->server = server_of(w);
    w->status = 1;
    for (size_t i = 0; (name = copal_interface(w->client, i, &index)) != NULL;
         i++) {
        snprintf(w->interface, sizeof(w->interface), "%s", name);
        w->index = index; /* loopback is the last */
        if (wanted != NULL && strcmp(name, wanted) == 0)
            break;
    }
    *state = w;
    return w->client == NULL;
}

static int tear_down(void **state)
{
    struct world *w = *state;

    copal_free(w->client);
    copal_free(w->server);
    copal_free(w->other);
    free(w);
    return 0;
}

static void step(struct world *w, int limit)
{
    copal *all[] = {w->client, w->server, w->other};

    step_all(all, 3, limit);
}

/* A plain socket that sends to a group on loopback and hears it there: without
 * that there is nothing to test. */
static bool hears_groups(int family, unsigned index)
{
    struct ip_mreqn in = {.imr_ifindex = (int)index};
    struct ipv6_mreq in6 = {.ipv6mr_interface = index};
    struct sockaddr_in v4 = {.sin_family = AF_INET};
    struct sockaddr_in6 v6 = {.sin6_family = AF_INET6, .sin6_scope_id = index};
    struct sockaddr *to = family == AF_INET ? (void *)&v4 : (void *)&v6;
    socklen_t size = family == AF_INET ? sizeof(v4) : sizeof(v6);
    int fd = socket(family, SOCK_DGRAM | SOCK_NONBLOCK, 0);
    struct pollfd one = {.fd = fd, .events = POLLIN};
    bool works =
        fd >= 0 && bind(fd, to, size) == 0 && getsockname(fd, to, &size) == 0;

    inet_pton(AF_INET, "224.0.1.187", &in.imr_multiaddr);
    inet_pton(AF_INET6, "ff02::fd", &in6.ipv6mr_multiaddr);
    v4.sin_addr = in.imr_multiaddr;
    v6.sin6_addr = in6.ipv6mr_multiaddr;
    v6.sin6_scope_id = index;
    if (works && family == AF_INET)
        works =
            setsockopt(fd, IPPROTO_IP, IP_ADD_MEMBERSHIP, &in, sizeof(in)) ==
                0 &&
            setsockopt(fd, IPPROTO_IP, IP_MULTICAST_IF, &in, sizeof(in)) == 0;
    else if (works)
        works = setsockopt(fd, IPPROTO_IPV6, IPV6_JOIN_GROUP, &in6,
                           sizeof(in6)) == 0;
    works = works && sendto(fd, "x", 1, 0, to, size) == 1 &&
            poll(&one, 1, 500) == 1;
    if (fd >= 0)
        close(fd);
    return works;
}

static void need_groups(struct world *w, int family)
{
    if (w->index != 0 && hears_groups(family, w->index))
        return;
    print_message("skipped: IPv%d has no multicast on %s\n",
                  family == AF_INET ? 4 : 6,
                  w->index == 0 ? "any interface" : w->interface);
    skip();
}

static unsigned port_of(copal *c)
{
    const char *uri = copal_local(c, 0);

    assert_non_null(uri);
    return (unsigned)strtoul(strrchr(uri, ':') + 1, NULL, 10);
}

/* One that nobody has at the moment. */
static unsigned free_port(void)
{
    copal *c = copal_new(NULL);
    unsigned port;

    assert_int_equal(copal_listen(c, "coap://*:0", 0), 0);
    port = port_of(c);
    copal_free(c);
    return port;
}

static const char *group_at(const char *host, unsigned port)
{
    static char uri[128];

    snprintf(uri, sizeof(uri), "coap://%s:%u", host, port);
    return uri;
}

static int join(struct world *w, copal *c, const char *host)
{
    return copal_join(c, group_at(host, w->port), w->interface);
}

static copal_msg *request(struct world *w, const char *host)
{
    copal_msg *m = copal_msg_new(w->client, COPAL_GET);
    char uri[160];

    snprintf(uri, sizeof(uri), "%s/t", group_at(host, w->port));
    assert_int_equal(copal_msg_set_uri(m, uri), 0);
    copal_msg_set_flags(m, COPAL_NON);
    copal_msg_tune(m, COPAL_P_TIMEOUT, 200);
    if (strcmp(host, "127.0.0.1") != 0)
        copal_msg_tune(m, COPAL_P_INTERFACE, w->index);
    return m;
}

static void run_until_end(struct world *w)
{
    uint64_t limit = now_ms() + LIMIT_MS;

    while (w->ends == 0 && now_ms() < limit)
        step(w, 50);
    assert_int_equal(w->ends, 1);
    w->ends = 0;
}

static void ask_message(struct world *w, copal_msg *m)
{
    w->responses = w->requests = 0;
    w->from[0] = '\0';
    assert_non_null(copal_request(w->client, m, COPAL_CB(note, w)));
    copal_msg_unref(m);
    run_until_end(w);
}

static void ask(struct world *w, const char *host)
{
    ask_message(w, request(w, host));
}

static void listen_everywhere(struct world *w)
{
    assert_int_equal(copal_listen(w->server, "coap://*:0", 0), 0);
    w->port = port_of(w->server);
}

/* ---- Tests ---- */

static void check_heard(struct world *w, const char *host)
{
    listen_everywhere(w);
    assert_int_equal(join(w, w->server, host), 0);
    ask(w, host);
    assert_int_equal(w->status, 0);
    assert_int_equal(w->responses, 1);
    assert_int_equal(w->requests, 1);
    assert_int_equal(w->multicast, 1);
    assert_int_equal(w->by, w->index);
    assert_null(strstr(w->from, "224."));
    assert_null(strstr(w->from, "ff0"));
    assert_int_equal(
        copal_leave(w->server, group_at(host, w->port), w->interface), 0);
    ask(w, host);
    assert_int_equal(w->status, COPAL_ETIMEOUT);
    assert_int_equal(w->requests, 0);
}

static void a_group_of_ipv4_is_heard_and_left(void **state)
{
    need_groups(*state, AF_INET);
    check_heard(*state, "224.0.1.187");
}

static void a_link_local_group_of_ipv6_is_heard_and_left(void **state)
{
    need_groups(*state, AF_INET6);
    check_heard(*state, "[ff02::fd]");
}

static void a_site_local_group_of_ipv6_is_heard_and_left(void **state)
{
    need_groups(*state, AF_INET6);
    check_heard(*state, "[ff05::fd]");
}

static void a_group_may_be_joined_before_listening(void **state)
{
    struct world *w = *state;

    need_groups(w, AF_INET);
    w->port = free_port();
    assert_int_equal(join(w, w->server, "224.0.1.187"), 0);
    assert_null(copal_local(w->server, 0));
    ask(w, "224.0.1.187");
    assert_int_equal(w->responses, 1);

    assert_int_equal(copal_listen(w->server, group_at("*", w->port), 0), 0);
    ask(w, "224.0.1.187");
    assert_int_equal(w->responses, 1);
    w->other = copal_new(NULL); /* the port is the listener's all the same */
    assert_int_equal(
        copal_listen(w->other, group_at("*", w->port), COPAL_REUSE_ADDRESS),
        COPAL_EINUSE);
}

static void endpoints_without_that_port_share_a_group(void **state)
{
    struct world *w = *state;

    need_groups(w, AF_INET);
    w->port = free_port();
    w->other = server_of(w);
    assert_int_equal(join(w, w->server, "224.0.1.187"), 0);
    assert_int_equal(join(w, w->other, "224.0.1.187"), 0);
    ask(w, "224.0.1.187");
    assert_int_equal(w->requests, 2);
    assert_int_equal(w->responses, 2);
}

/* Linux would hand every socket of the host what any of them has joined. */
static void what_others_have_joined_is_not_heard(void **state)
{
    struct world *w = *state;

    need_groups(w, AF_INET);
    assert_int_equal(copal_listen(w->server, "coap://*:0", COPAL_REUSE_ADDRESS),
                     0);
    w->port = port_of(w->server);
    w->other = server_of(w);
    assert_int_equal(
        copal_listen(w->other, group_at("*", w->port), COPAL_REUSE_ADDRESS), 0);
    assert_int_equal(join(w, w->other, "224.0.1.187"), 0);
    ask(w, "224.0.1.187");
    assert_int_equal(w->requests, 1);
}

static void an_answer_leaves_from_where_the_server_listens(void **state)
{
    struct world *w = *state;
    char expected[64];
    copal_msg *m;

    need_groups(w, AF_INET);
    if (getenv("COPAL_TEST_INTERFACE") != NULL)
        skip(); /* 127.0.0.1 is not known there */
    assert_int_equal(copal_listen(w->server, "coap://127.0.0.1:0", 0), 0);
    w->port = port_of(w->server);
    assert_int_equal(join(w, w->server, "224.0.1.187"), 0);
    m = request(w, "224.0.1.187");
    copal_msg_set_from(m, "coap://127.0.0.1:0");
    ask_message(w, m);
    assert_int_equal(w->responses, 1);
    snprintf(expected, sizeof(expected), "coap://127.0.0.1:%u ", w->port);
    assert_string_equal(w->from, expected);
}

static void need_loopback(struct world *w)
{
    need_groups(w, AF_INET);
    if (getenv("COPAL_TEST_INTERFACE") != NULL)
        skip(); /* 127.0.0.1 is not known there */
}

/* The asker's own address is another interface's: what answers must be where
 * each of them is reached. */
static void who_listens_at_one_address_answers_from_there(void **state)
{
    struct world *w = *state;
    char first[64], second[64];

    need_loopback(w);
    w->port = free_port();
    w->other = server_of(w);
    snprintf(first, sizeof(first), "coap://127.0.0.1:%u", w->port);
    snprintf(second, sizeof(second), "coap://127.0.0.2:%u", w->port);
    assert_int_equal(copal_listen(w->server, first, COPAL_REUSE_ADDRESS), 0);
    assert_int_equal(copal_listen(w->other, second, 0), 0);
    assert_int_equal(join(w, w->server, "224.0.1.187"), 0);
    assert_int_equal(join(w, w->other, "224.0.1.187"), 0);
    ask(w, "224.0.1.187");
    assert_int_equal(w->responses, 2);
    strcat(first, " ");
    strcat(second, " ");
    assert_non_null(strstr(w->from, first));
    assert_non_null(strstr(w->from, second));
}

/* Whoever heard the answer asks its sender for more. */
static void who_answers_a_group_serves_where_it_answered_from(void **state)
{
    struct world *w = *state;
    char uri[300];
    copal_msg *m;

    need_groups(w, AF_INET);
    w->port = free_port();
    assert_int_equal(join(w, w->server, "224.0.1.187"), 0);
    ask(w, "224.0.1.187");
    assert_int_equal(w->responses, 1);
    snprintf(uri, sizeof(uri), "%.*s/t", (int)strcspn(w->from, " "), w->from);
    m = copal_msg_new(w->client, COPAL_GET);
    assert_int_equal(copal_msg_set_uri(m, uri), 0);
    copal_msg_tune(m, COPAL_P_TIMEOUT, 2000);
    ask_message(w, m);
    assert_int_equal(w->status, 0);
    assert_int_equal(w->requests, 1);
}

static void who_is_not_reached_by_an_interface_cannot_join_there(void **state)
{
    struct world *w = *state;
    const char *other;
    unsigned index;

    need_loopback(w);
    other = copal_interface(w->server, 0, &index);
    if (index == w->index)
        skip(); /* loopback is the only one */
    assert_int_equal(copal_listen(w->server, "coap://127.0.0.1:0", 0), 0);
    w->port = port_of(w->server);
    assert_int_equal(
        copal_join(w->server, group_at("224.0.1.187", w->port), other),
        COPAL_ESTATE);
    assert_non_null(strstr(copal_why(w->server), "listen at one of"));
    assert_int_equal(
        copal_join(w->server, group_at("224.0.1.187", w->port), NULL), 0);
    assert_int_equal(join(w, w->server, "224.0.1.187"), COPAL_EEXIST);
}

/* A program that has a port on every address, for itself or not. */
static int take_port(struct world *w, bool shares)
{
    struct sockaddr_in at = {.sin_family = AF_INET};
    socklen_t size = sizeof(at);
    int on = shares, fd = socket(AF_INET, SOCK_DGRAM, 0);

    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
    assert_int_equal(bind(fd, (struct sockaddr *)&at, sizeof(at)), 0);
    assert_int_equal(getsockname(fd, (struct sockaddr *)&at, &size), 0);
    w->port = ntohs(at.sin_port);
    return fd;
}

static void who_finds_a_groups_port_taken_learns_how_to_share_it(void **state)
{
    struct world *w = *state;
    int fd;

    need_groups(w, AF_INET);
    fd = take_port(w, false);
    assert_int_equal(join(w, w->server, "224.0.1.187"), COPAL_EINUSE);
    assert_non_null(strstr(copal_why(w->server), "COPAL_REUSE_ADDRESS"));
    assert_int_equal(copal_listen(w->server, group_at("0.0.0.0", w->port), 0),
                     COPAL_EINUSE);
    assert_null(strstr(copal_why(w->server), "COPAL_REUSE_ADDRESS"));
    close(fd);
    fd = take_port(w, true);
    assert_int_equal(copal_listen(w->server, group_at("0.0.0.0", w->port), 0),
                     COPAL_EINUSE);
    assert_non_null(strstr(copal_why(w->server), "(reuse_address)"));
    assert_int_equal(copal_listen(w->server, group_at("0.0.0.0", w->port),
                                  COPAL_REUSE_ADDRESS),
                     0);
    close(fd);
}

static void every_interface_is_joined_where_none_is_named(void **state)
{
    struct world *w = *state;
    const char *group;

    need_groups(w, AF_INET);
    listen_everywhere(w);
    group = group_at("224.0.1.187", w->port);
    assert_int_equal(copal_join(w->server, group, NULL), 0);
    assert_int_equal(copal_join(w->server, group, NULL), COPAL_EEXIST);
    assert_int_equal(copal_join(w->server, group, w->interface), COPAL_EEXIST);
    assert_int_equal(copal_leave(w->server, group, w->interface), 0);
    assert_int_equal(copal_join(w->server, group, NULL), 0); /* that one */
    ask(w, "224.0.1.187");
    assert_int_equal(w->responses, 1);
    assert_int_equal(copal_leave(w->server, group, NULL), 0);
    assert_int_equal(copal_leave(w->server, group, NULL), COPAL_ENOENT);
}

static void what_cannot_be_joined_says_why(void **state)
{
    static const struct {
        const char *group, *interface;
        int status;
        const char *why;
    } rows[] = {
        {"coap://224.0.1.187", "nosuch0", COPAL_ENOENT,
         "nosuch0: this host has no such network interface"},
        {"coap://[ff02::fd%nosuch0]", NULL, COPAL_ENOENT,
         "ff02::fd%nosuch0: this host has no such network interface"},
        {"coap://192.0.2.1", NULL, COPAL_EINVAL, "not the address of a group"},
        {"coap://localhost", NULL, COPAL_EINVAL, "not the address of a group"},
        {"coap://224.0.1.187:0", NULL, COPAL_EINVAL, "has a port"},
        {"coaps://224.0.1.187", NULL, COPAL_ENOTSUP, "coaps"},
        {"coap+tcp://224.0.1.187", NULL, COPAL_ENOTSUP, "use coap"},
        {"coap://224.0.1.187/path", NULL, COPAL_EURI, "path"},
    };
    struct world *w = *state;

    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        assert_int_equal(
            copal_join(w->server, rows[i].group, rows[i].interface),
            rows[i].status);
        if (strstr(copal_why(w->server), rows[i].why) == NULL)
            fail_msg("%s", copal_why(w->server));
    }
    assert_int_equal(copal_leave(w->server, "coap://224.0.1.187", NULL),
                     COPAL_ENOENT);
}

/* What the system saw of a datagram: its hop limit. */
static int hops_of(struct world *w, int64_t hops, const char *host)
{
    struct sockaddr_in at = {.sin_family = AF_INET};
    struct ip_mreqn in = {.imr_ifindex = (int)w->index};
    socklen_t size = sizeof(at);
    int on = 1, ttl = -1, fd = socket(AF_INET, SOCK_DGRAM, 0);
    struct pollfd one = {.fd = fd, .events = POLLIN};
    _Alignas(struct cmsghdr) uint8_t control[128];
    uint8_t data[64];
    struct iovec part = {data, sizeof(data)};
    struct msghdr head = {.msg_iov = &part,
                          .msg_iovlen = 1,
                          .msg_control = control,
                          .msg_controllen = sizeof(control)};
    copal_msg *m;

    assert_int_equal(bind(fd, (struct sockaddr *)&at, sizeof(at)), 0);
    assert_int_equal(getsockname(fd, (struct sockaddr *)&at, &size), 0);
    inet_pton(AF_INET, "224.0.1.187", &in.imr_multiaddr);
    setsockopt(fd, IPPROTO_IP, IP_ADD_MEMBERSHIP, &in, sizeof(in));
    setsockopt(fd, IPPROTO_IP, IP_RECVTTL, &on, sizeof(on));
    w->port = ntohs(at.sin_port);
    m = request(w, host);
    copal_msg_tune(m, COPAL_P_HOPS, hops);
    ask_message(w, m);
    assert_int_equal(poll(&one, 1, 0), 1);
    assert_true(recvmsg(fd, &head, 0) > 0);
    for (struct cmsghdr *c = CMSG_FIRSTHDR(&head); c != NULL;
         c = CMSG_NXTHDR(&head, c))
        if (c->cmsg_level == IPPROTO_IP && c->cmsg_type == IP_TTL)
            memcpy(&ttl, CMSG_DATA(c), sizeof(ttl));
    close(fd);
    return ttl;
}

static void the_hop_limit_is_the_users(void **state)
{
    struct world *w = *state;

    assert_int_equal(hops_of(w, 9, "127.0.0.1"), 9);
    need_groups(w, AF_INET);
    assert_int_equal(hops_of(w, 0, "224.0.1.187"), 1); /* the system's */
    assert_int_equal(hops_of(w, 1, "224.0.1.187"), 1);
    assert_int_equal(hops_of(w, 255, "224.0.1.187"), 255);
}

#define IN_WORLD(test) cmocka_unit_test_setup_teardown(test, build, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        IN_WORLD(a_group_of_ipv4_is_heard_and_left),
        IN_WORLD(a_link_local_group_of_ipv6_is_heard_and_left),
        IN_WORLD(a_site_local_group_of_ipv6_is_heard_and_left),
        IN_WORLD(a_group_may_be_joined_before_listening),
        IN_WORLD(endpoints_without_that_port_share_a_group),
        IN_WORLD(what_others_have_joined_is_not_heard),
        IN_WORLD(an_answer_leaves_from_where_the_server_listens),
        IN_WORLD(who_listens_at_one_address_answers_from_there),
        IN_WORLD(who_answers_a_group_serves_where_it_answered_from),
        IN_WORLD(who_is_not_reached_by_an_interface_cannot_join_there),
        IN_WORLD(who_finds_a_groups_port_taken_learns_how_to_share_it),
        IN_WORLD(every_interface_is_joined_where_none_is_named),
        IN_WORLD(what_cannot_be_joined_says_why),
        IN_WORLD(the_hop_limit_is_the_users),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
