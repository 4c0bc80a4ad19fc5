/* CoAP over DTLS, over real sockets: who is believed, and who is not; and what
 * somebody in between can do. RFC 7252 9, RFC 9146. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <arpa/inet.h>
#include <fcntl.h>
#include <poll.h>
#include <stdbool.h>
#include <stdio.h>
#include <sys/socket.h>
#include <unistd.h>
#include <copal.h>
#include "certs.h"

#define TEXT(t)  ((copal_bytes){(const uint8_t *)(t), sizeof(t) - 1})
#define KEY      TEXT("0123456789abcdef")
#define IDENTITY TEXT("dev1")

enum {
    LIMIT_MS = 20000,
    RELAYS = 11,
    MOST_KEPT = 64
};

/* Who sits in between: what comes from the client goes to the server from one
 * of several ports; the last is the one that counts. */
struct relay {
    int front, backs[RELAYS], at; /* at: of backs, where we are */
    struct sockaddr_in server, client;
    uint8_t kept[MOST_KEPT][2048]; /* what the client sent */
    size_t lens[MOST_KEPT], count;
    unsigned to_client[RELAYS]; /* datagrams that came to each */
};

struct world {
    copal *client, *server;
    int responses, ends, requests, looked_up;
    int status, code;
    char text[700], local[128], seen[128], proven[128];
    struct relay *relay;
};

static struct party ca, server_cert, client_cert, stranger;

static int make_parties(void **state)
{
    (void)state;
    party_make(&ca, (struct wish){.name = "Test CA", .is_ca = 1});
    party_make(
        &server_cert,
        (struct wish){.name = "server", .dns = "localhost", .issuer = &ca});
    party_make(&client_cert, (struct wish){.name = "client 7", .issuer = &ca});
    party_make(&stranger,
               (struct wish){.name = "stranger", .dns = "localhost"});
    return 0;
}

static int free_parties(void **state)
{
    (void)state;
    party_free(&ca);
    party_free(&server_cert);
    party_free(&client_cert);
    party_free(&stranger);
    return 0;
}

static uint64_t now_ms(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000 + (uint64_t)t.tv_nsec / 1000000;
}

static void note(const copal_event *ev, void *user)
{
    struct world *w = user;

    if (ev->kind == COPAL_RESPONSE) {
        const char *id = copal_msg_identity(ev->msg);

        w->responses++;
        w->code = copal_msg_code(ev->msg);
        snprintf(w->proven, sizeof(w->proven), "%s", id == NULL ? "" : id);
    } else if (ev->kind == COPAL_END) {
        w->ends++;
        w->status = ev->status;
        snprintf(w->text, sizeof(w->text), "%s", ev->text);
    }
}

static void answer(const copal_event *ev, void *user)
{
    struct world *w = user;
    const char *id;

    if (ev->kind != COPAL_REQUEST)
        return;
    w->requests++;
    id = copal_msg_identity(ev->msg);
    snprintf(w->seen, sizeof(w->seen), "%s", id == NULL ? "" : id);
    copal_reply_text(ev->exchange, COPAL_CONTENT, "ok");
}

static int build(void **state)
{
    struct world *w = calloc(1, sizeof(*w));

    w->client = copal_new(NULL);
    w->server = copal_new(NULL);
    assert_non_null(w->client);
    assert_non_null(w->server);
    assert_int_equal(
        copal_serve(w->server, COPAL_GET, "/t", 0, COPAL_CB(answer, w)), 0);
    assert_int_equal(copal_listen(w->server, "coaps://127.0.0.1:0", 0), 0);
    snprintf(w->local, sizeof(w->local), "%s", copal_local(w->server, 0));
    *state = w;
    return 0;
}

static int tear_down(void **state)
{
    struct world *w = *state;

    copal_free(w->client);
    copal_free(w->server);
    if (w->relay != NULL) {
        close(w->relay->front);
        for (int i = 0; i < RELAYS; i++)
            close(w->relay->backs[i]);
        free(w->relay);
    }
    free(w);
    return 0;
}

static unsigned port_of(const struct world *w)
{
    return (unsigned)atoi(strrchr(w->local, ':') + 1);
}

/* ---- In between ---- */

static int open_socket(void)
{
    struct sockaddr_in a = {.sin_family = AF_INET};
    int fd = socket(AF_INET, SOCK_DGRAM | SOCK_NONBLOCK, 0);

    a.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    assert_true(fd >= 0);
    assert_int_equal(bind(fd, (struct sockaddr *)&a, sizeof(a)), 0);
    return fd;
}

/* Gives the port to ask. */
static unsigned put_between(struct world *w)
{
    struct relay *r = calloc(1, sizeof(*r));
    struct sockaddr_in a;
    socklen_t len = sizeof(a);

    r->front = open_socket();
    for (int i = 0; i < RELAYS; i++)
        r->backs[i] = open_socket();
    r->server.sin_family = AF_INET;
    r->server.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    r->server.sin_port = htons((uint16_t)port_of(w));
    assert_int_equal(getsockname(r->front, (struct sockaddr *)&a, &len), 0);
    w->relay = r;
    return ntohs(a.sin_port);
}

static void send_from(struct relay *r, int i, const void *data, size_t len)
{
    (void)sendto(r->backs[i], data, len, 0, (struct sockaddr *)&r->server,
                 sizeof(r->server));
}

static void pass_on(struct relay *r)
{
    uint8_t data[2048];
    socklen_t len = sizeof(r->client);
    ssize_t n;

    while ((n = recvfrom(r->front, data, sizeof(data), 0,
                         (struct sockaddr *)&r->client, &len)) > 0) {
        if (r->count < MOST_KEPT) {
            memcpy(r->kept[r->count], data, (size_t)n);
            r->lens[r->count++] = (size_t)n;
        }
        send_from(r, r->at, data, (size_t)n);
    }
    for (int i = 0; i < RELAYS; i++)
        while ((n = recv(r->backs[i], data, sizeof(data), 0)) > 0) {
            r->to_client[i]++;
            (void)sendto(r->front, data, (size_t)n, 0,
                         (struct sockaddr *)&r->client, sizeof(r->client));
        }
}

static void go_once(struct world *w)
{
    struct pollfd fds[] = {
        {.fd = copal_fd(w->client), .events = POLLIN},
        {.fd = copal_fd(w->server), .events = POLLIN},
    };

    (void)poll(fds, 2, w->relay != NULL ? 1 : 5);
    copal_step(w->client);
    copal_step(w->server);
    if (w->relay != NULL)
        pass_on(w->relay);
}

static void go_until(struct world *w, const int *count, int wanted)
{
    uint64_t end = now_ms() + LIMIT_MS;

    while (*count < wanted && now_ms() < end)
        go_once(w);
    assert_int_equal(*count, wanted);
}

static void go_for(struct world *w, uint64_t ms)
{
    uint64_t end = now_ms() + ms;

    while (now_ms() < end)
        go_once(w);
}

static void ask(struct world *w, const char *host, unsigned port)
{
    char uri[128];

    snprintf(uri, sizeof(uri), "coaps://%s:%u/t", host, port);
    copal_get(w->client, uri, COPAL_CB(note, w));
    go_until(w, &w->ends, w->ends + 1);
}

static void assert_answered(const struct world *w)
{
    if (w->status != 0)
        fail_msg("%s", w->text);
    assert_int_equal(w->code, COPAL_CONTENT);
}

static void assert_refused(const struct world *w, const char *part)
{
    assert_int_equal(w->status, COPAL_EAUTH);
    if (strstr(w->text, part) == NULL)
        fail_msg("\"%s\" does not say \"%s\"", w->text, part);
    assert_int_equal(w->requests, 0);
}

/* ---- Who is believed ---- */

static void share_key(struct world *w)
{
    assert_int_equal(copal_use_psk(w->client, "coaps://", IDENTITY, KEY), 0);
    assert_int_equal(copal_use_psk(w->server, "*", IDENTITY, KEY), 0);
}

static void a_shared_key_proves_both(void **state)
{
    struct world *w = *state;

    share_key(w);
    ask(w, "127.0.0.1", port_of(w));
    assert_answered(w);
    assert_string_equal(w->seen, "dev1");
    assert_string_equal(w->proven, "dev1");
}

/* localhost is ::1 before it is 127.0.0.1, where the server is. */
static void the_next_address_is_tried(void **state)
{
    struct world *w = *state;

    share_key(w);
    ask(w, "localhost", port_of(w));
    assert_answered(w);
}

static void ask_itself(struct world *w, const char *where)
{
    char uri[128];

    assert_int_equal(copal_use_psk(w->client, "*", IDENTITY, KEY), 0);
    assert_int_equal(
        copal_serve(w->client, COPAL_GET, "/t", 0, COPAL_CB(answer, w)), 0);
    assert_int_equal(copal_listen(w->client, where, 0), 0);
    snprintf(uri, sizeof(uri), "coaps://127.0.0.1%s/t",
             strrchr(copal_local(w->client, 0), ':'));
    copal_get(w->client, uri, COPAL_CB(note, w));
    go_until(w, &w->ends, 1);
    assert_answered(w);
    assert_int_equal(w->requests, 1);
}

static void an_endpoint_may_ask_itself(void **state)
{
    struct world *w = *state;

    share_key(w);
    ask_itself(w, "coaps://127.0.0.1:0");
}

static void an_endpoint_at_every_address_may_ask_itself(void **state)
{
    struct world *w = *state;

    share_key(w);
    ask_itself(w, "coaps://0.0.0.0:0");
}

static void give_certs(struct world *w, const struct party *server,
                       const struct party *client)
{
    assert_int_equal(copal_use_cert(w->server, "*", server->cert_pem,
                                    server->key_pem, ca.cert_pem),
                     0);
    assert_int_equal(copal_use_cert(w->client, "coaps://", client->cert_pem,
                                    client->key_pem, ca.cert_pem),
                     0);
}

static void certificates_prove_both(void **state)
{
    struct world *w = *state;

    give_certs(w, &server_cert, &client_cert);
    ask(w, "localhost", port_of(w));
    assert_answered(w);
    assert_string_equal(w->seen, "client 7");
    assert_string_equal(w->proven, "localhost");
}

static void a_certificate_for_another_name_is_refused(void **state)
{
    struct world *w = *state;

    give_certs(w, &server_cert, &client_cert);
    ask(w, "127.0.0.1", port_of(w));
    assert_refused(w, "is for localhost, not for 127.0.0.1");
}

static void a_certificate_of_nobody_known_is_refused(void **state)
{
    struct world *w = *state;

    give_certs(w, &stranger, &client_cert);
    ask(w, "localhost", port_of(w));
    assert_refused(w, "signed by itself");
}

static void give_keys(struct world *w, const struct party *trusted)
{
    assert_int_equal(copal_use_cert(w->server, "*", server_cert.public_pem,
                                    server_cert.key_pem,
                                    client_cert.public_pem),
                     0);
    assert_int_equal(copal_use_cert(w->client, "coaps://",
                                    client_cert.public_pem, client_cert.key_pem,
                                    trusted->public_pem),
                     0);
}

static void raw_public_keys_prove_both(void **state)
{
    struct world *w = *state;

    give_keys(w, &server_cert);
    ask(w, "127.0.0.1", port_of(w));
    assert_answered(w);
    assert_int_equal(strncmp(w->seen, "ni:///sha-256;", 14), 0);
    assert_int_equal(strncmp(w->proven, "ni:///sha-256;", 14), 0);
    assert_string_not_equal(w->seen, w->proven);
}

/* RFC 7250 4.2: of a certificate that nobody asks for the kind does not matter. */
static void a_public_key_that_nobody_asks_for_is_not_minded(void **state)
{
    struct world *w = *state;

    give_keys(w, &server_cert);
    assert_int_equal(copal_forget(w->server, "*"), 0);
    assert_int_equal(copal_use_cert(w->server, "*", server_cert.public_pem,
                                    server_cert.key_pem, NULL),
                     0);
    ask(w, "127.0.0.1", port_of(w));
    assert_answered(w);
    assert_string_equal(w->seen, "");
    assert_int_equal(strncmp(w->proven, "ni:///sha-256;", 14), 0);
}

static void a_raw_public_key_that_is_not_trusted_is_refused(void **state)
{
    struct world *w = *state;

    give_keys(w, &stranger);
    ask(w, "127.0.0.1", port_of(w));
    assert_refused(w, "is none of those that are trusted");
}

/* ---- Look-ups ---- */

static copal_exchange *looking;

static void look_up(const copal_event *ev, void *user)
{
    struct world *w = user;

    if (ev->kind != COPAL_REQUEST)
        return;
    w->looked_up++;
    looking = copal_exchange_ref(ev->exchange);
}

static void begin_look_up(struct world *w, const char *host)
{
    char uri[128];

    snprintf(uri, sizeof(uri), "coaps://%s:%u/t", host, port_of(w));
    assert_int_equal(copal_use_lookup(w->server, "*", COPAL_CB(look_up, w)), 0);
    copal_get(w->client, uri, COPAL_CB(note, w));
    go_until(w, &w->looked_up, 1);
    go_for(w, 50);
    assert_int_equal(w->requests, 0);
}

static void end_look_up(struct world *w, int code, copal_bytes key)
{
    assert_int_equal(copal_reply(looking, code, COPAL_NO_FORMAT, key), 0);
    copal_exchange_unref(looking);
    go_until(w, &w->ends, 1);
}

static void a_key_may_be_looked_up_while_the_handshake_waits(void **state)
{
    struct world *w = *state;

    assert_int_equal(copal_use_psk(w->client, "coaps://", IDENTITY, KEY), 0);
    begin_look_up(w, "127.0.0.1");
    end_look_up(w, COPAL_CONTENT, KEY);
    assert_answered(w);
    assert_string_equal(w->seen, "dev1");
}

static void trust_may_be_looked_up_while_the_handshake_waits(void **state)
{
    struct world *w = *state;

    give_keys(w, &server_cert);
    assert_int_equal(copal_forget(w->server, "*"), 0);
    assert_int_equal(copal_use_cert(w->server, "*", server_cert.public_pem,
                                    server_cert.key_pem, stranger.public_pem),
                     0);
    begin_look_up(w, "127.0.0.1");
    end_look_up(w, COPAL_CONTENT, TEXT(""));
    assert_answered(w);
}

/* ---- Those in between ---- */

static void a_client_whose_port_changes_needs_no_handshake(void **state)
{
    struct world *w = *state;
    struct relay *r;
    unsigned port = put_between(w);
    size_t before;

    r = w->relay;
    share_key(w);
    ask(w, "127.0.0.1", port);
    assert_answered(w);
    for (r->at = 1; r->at < RELAYS; r->at++) {
        before = r->count;
        ask(w, "127.0.0.1", port);
        assert_answered(w);
        assert_int_equal(r->count, before + 1); /* the request, nothing else */
        assert_int_equal(r->to_client[r->at], 1);
    }
    r->at = RELAYS - 1; /* for what comes while all ends */
}

/* An old record sent again from elsewhere: it is not heard, and draws nothing
 * there. RFC 9146 6. */
static void a_replayed_record_moves_nobody(void **state)
{
    struct world *w = *state;
    struct relay *r;
    unsigned port = put_between(w);

    r = w->relay;
    share_key(w);
    ask(w, "127.0.0.1", port);
    ask(w, "127.0.0.1", port);
    for (size_t i = 0; i < r->count; i++)
        send_from(r, 5, r->kept[i], r->lens[i]);
    go_for(w, 50);
    assert_int_equal(w->requests, 2);
    assert_int_equal(r->to_client[5], 2); /* the ClientHellos, asked back */
    ask(w, "127.0.0.1", port);
    assert_answered(w);
    assert_int_equal(r->to_client[5], 2);
}

static void who_leaves_says_so(void **state)
{
    struct world *w = *state;
    copal *other = copal_new(NULL);
    char local[128];

    assert_non_null(other);
    share_key(w);
    ask(w, "127.0.0.1", port_of(w));
    assert_answered(w);
    snprintf(local, sizeof(local), "%s", w->local);
    copal_free(w->server);
    w->server = other;
    go_for(w, 50); /* the client hears of it, and asks anew */
    assert_int_equal(copal_use_psk(other, "*", IDENTITY, KEY), 0);
    assert_int_equal(
        copal_serve(other, COPAL_GET, "/t", 0, COPAL_CB(answer, w)), 0);
    assert_int_equal(copal_listen(other, local, 0), 0);
    ask(w, "127.0.0.1", port_of(w));
    assert_answered(w);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, build, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_shared_key_proves_both),
        TEST(the_next_address_is_tried),
        TEST(an_endpoint_may_ask_itself),
        TEST(an_endpoint_at_every_address_may_ask_itself),
        TEST(certificates_prove_both),
        TEST(a_certificate_for_another_name_is_refused),
        TEST(a_certificate_of_nobody_known_is_refused),
        TEST(raw_public_keys_prove_both),
        TEST(a_public_key_that_nobody_asks_for_is_not_minded),
        TEST(a_raw_public_key_that_is_not_trusted_is_refused),
        TEST(a_key_may_be_looked_up_while_the_handshake_waits),
        TEST(trust_may_be_looked_up_while_the_handshake_waits),
        TEST(a_client_whose_port_changes_needs_no_handshake),
        TEST(a_replayed_record_moves_nobody),
        TEST(who_leaves_says_so),
    };

    return cmocka_run_group_tests(tests, make_parties, free_parties);
}
