/* CoAP over TLS, over real sockets: who is believed, and who is not. RFC 8323
 * 9.1, RFC 7925. */
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
#include "endpoint.h"
#include "leap.h"
#include "secure/credentials.h"

enum {
    LIMIT_MS = 20000,
    LONG_BODY = 300000
};

struct world {
    copal *client, *server;
    int responses, ends, requests, asked, failures, resumed;
    int status, code, answer, replayed;
    size_t body;
    char text[700], local[128], seen[128], proven[128], what[700], kind[16];
    copal_exchange *late;
};

/* Made once: keys take their time. */
static struct party ca, other_ca, server_cert, client_cert, expired, early,
    stranger, self_signed, wrong_purpose, second;

static int make_parties(void **state)
{
    (void)state;
    party_make(&ca, (struct wish){.name = "Test CA", .is_ca = 1});
    party_make(&other_ca, (struct wish){.name = "Other CA", .is_ca = 1});
    party_make(
        &server_cert,
        (struct wish){.name = "server", .dns = "localhost", .issuer = &ca});
    party_make(&second, (struct wish){.name = "second",
                                      .dns = "second.example",
                                      .issuer = &ca});
    party_make(&client_cert, (struct wish){.name = "client 7", .issuer = &ca});
    party_make(&expired, (struct wish){.name = "expired",
                                       .dns = "localhost",
                                       .issuer = &ca,
                                       .from = -7200,
                                       .until = -3600});
    party_make(&early, (struct wish){.name = "early",
                                     .dns = "localhost",
                                     .issuer = &ca,
                                     .from = 36000,
                                     .until = 72000});
    party_make(&stranger, (struct wish){.name = "stranger",
                                        .dns = "localhost",
                                        .issuer = &other_ca});
    party_make(&self_signed,
               (struct wish){.name = "alone", .dns = "localhost"});
    party_make(&wrong_purpose,
               (struct wish){.name = "purpose",
                             .dns = "localhost",
                             .issuer = &ca,
                             .purpose = GNUTLS_KP_CODE_SIGNING});
    return 0;
}

static int free_parties(void **state)
{
    struct party *all[] = {
        &ca,    &other_ca, &server_cert, &client_cert,   &expired,
        &early, &stranger, &self_signed, &wrong_purpose, &second};

    (void)state;
    for (size_t i = 0; i < sizeof(all) / sizeof(all[0]); i++)
        party_free(all[i]);
    return 0;
}

static void note(const copal_event *ev, void *user)
{
    struct world *w = user;

    if (ev->kind == COPAL_RESPONSE) {
        const char *id = copal_msg_identity(ev->msg);

        w->responses++;
        w->code = copal_msg_code(ev->msg);
        w->body = copal_msg_payload(ev->msg).len;
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
    copal_reply(ev->exchange, COPAL_CONTENT, COPAL_NO_FORMAT,
                copal_msg_payload(ev->msg));
}

static void note_trace(const copal_event *ev, void *user)
{
    struct world *w = user;

    if (strstr(ev->text, "\"handshake_failed\"") != NULL) {
        w->failures++;
        snprintf(w->what, sizeof(w->what), "%s", ev->text);
    }
    w->resumed += strstr(ev->text, "resumed") != NULL;
}

static int listen_at(struct world *w, const char *base)
{
    if (copal_listen(w->server, base, 0) != 0)
        return -1;
    snprintf(w->local, sizeof(w->local), "%s", copal_local(w->server, 0));
    return 0;
}

static int build_any(void **state, const char *base)
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
        copal_serve(w->server, 0, "/secret", COPAL_SECURE,
                    COPAL_CB(answer, w)) != 0)
        return -1;
    copal_trace(w->server, COPAL_TRACE_SECURITY, COPAL_CB(note_trace, w));
    return listen_at(w, base);
}

static int build(void **state)
{
    return build_any(state, "coaps+tcp://127.0.0.1:0");
}

static int build_ws(void **state)
{
    return build_any(state, "coaps+ws://127.0.0.1:0");
}

static int tear_down(void **state)
{
    struct world *w = *state;

    copal_free(w->client);
    copal_free(w->server);
    copal_exchange_unref(w->late);
    free(w);
    return 0;
}

static void step(struct world *w)
{
    copal *all[] = {w->client, w->server};
    struct pollfd fds[2];
    int limit = 10, count = 0;

    for (int i = 0; i < 2; i++) {
        int timeout;

        if (all[i] == NULL)
            continue;
        timeout = copal_timeout(all[i]);
        fds[count++] =
            (struct pollfd){.fd = copal_fd(all[i]), .events = POLLIN};
        if (timeout >= 0 && timeout < limit)
            limit = timeout;
    }
    poll(fds, (nfds_t)count, limit);
    for (int i = 0; i < 2; i++)
        if (all[i] != NULL)
            copal_step(all[i]);
}

static void go_until(struct world *w, const int *what, int value)
{
    uint64_t until = true_ms() + LIMIT_MS;

    while (*what != value && true_ms() < until)
        step(w);
    if (*what != value)
        fail_msg("%d, not %d; \"%s\"; \"%s\"", *what, value, w->text, w->what);
}

static void go_for(struct world *w, uint64_t ms)
{
    uint64_t until = true_ms() + ms;

    while (true_ms() < until)
        step(w);
}

/* The server by its name, or by its number where host is NULL. */
static const char *uri_of(const struct world *w, const char *host,
                          const char *path)
{
    static char uri[300];
    const char *port = strrchr(w->local, ':');
    size_t scheme = (size_t)(strstr(w->local, "://") - w->local);

    snprintf(uri, sizeof(uri), "%.*s://%s%s%s", (int)scheme, w->local,
             host == NULL ? "127.0.0.1" : host, port, path);
    return uri;
}

static copal_exchange *put(struct world *w, const char *host, const char *path,
                           size_t n)
{
    copal_msg *m = copal_msg_new(w->client, COPAL_PUT);
    uint8_t *body = calloc(1, n + 1);
    copal_exchange *x;

    copal_msg_set_uri(m, uri_of(w, host, path));
    copal_msg_set_payload(m, COPAL_NO_FORMAT, (copal_bytes){body, n});
    x = copal_request(w->client, m, COPAL_CB(note, w));
    copal_msg_unref(m);
    free(body);
    return x;
}

static void ask(struct world *w, const char *host, const char *path)
{
    w->ends = 0;
    put(w, host, path, 10);
    go_until(w, &w->ends, 1);
}

static void assert_content(const struct world *w)
{
    if (w->status != 0)
        fail_msg("%s; %s", w->text, w->what);
    assert_int_equal(w->code, COPAL_CONTENT);
}

static void assert_refused(const struct world *w, const char *part)
{
    assert_int_equal(w->status, COPAL_EAUTH);
    if (strstr(w->text, part) == NULL)
        fail_msg("\"%s\" does not say \"%s\"", w->text, part);
}

static copal_bytes text_bytes(const char *text)
{
    return (copal_bytes){(const uint8_t *)text, strlen(text)};
}

static void use_psk(copal *c, const char *scope, const char *identity,
                    const char *key)
{
    assert_int_equal(
        copal_use_psk(c, scope, text_bytes(identity), text_bytes(key)), 0);
}

static void use_cert(copal *c, const char *scope, const struct party *own,
                     const char *trusted)
{
    int err = copal_use_cert(c, scope, own == NULL ? NULL : own->cert_pem,
                             own == NULL ? NULL : own->key_pem, trusted);

    if (err != 0)
        fail_msg("%s", copal_why(c));
}

static void use_key(copal *c, const char *scope, const struct party *own,
                    const char *trusted)
{
    int err = copal_use_cert(c, scope, own == NULL ? NULL : own->public_pem,
                             own == NULL ? NULL : own->key_pem, trusted);

    if (err != 0)
        fail_msg("%s", copal_why(c));
}

#define ANY "coaps+tcp://"

/* ---- Pre-shared keys ---- */

static void a_key_that_both_have_proves_both(void **state)
{
    struct world *w = *state;

    use_psk(w->server, "*", "me", "0123456789abcdef");
    use_psk(w->client, ANY, "me", "0123456789abcdef");
    ask(w, NULL, "/t");
    assert_content(w);
    assert_string_equal(w->seen, "me");
    ask(w, NULL, "/secret");
    assert_content(w);
    w->ends = 0;
    put(w, NULL, "/t", LONG_BODY);
    go_until(w, &w->ends, 1);
    assert_content(w);
    assert_int_equal(w->body, LONG_BODY);
}

static void an_identity_of_any_bytes_is_named_readably(void **state)
{
    struct world *w = *state;

    use_psk(w->server, "*", "\xff\x01 50%", "0123456789abcdef");
    use_psk(w->client, ANY, "\xff\x01 50%", "0123456789abcdef");
    ask(w, NULL, "/t");
    assert_content(w);
    assert_string_equal(w->seen, "%ff%01 50%25");
}

/* Nobody learns which identities there are. RFC 4279 2. */
static void an_unknown_identity_fails_as_a_wrong_key_does(void **state)
{
    struct world *w = *state;
    char first[700];

    use_psk(w->server, "*", "me", "0123456789abcdef");
    use_psk(w->client, ANY, "me", "wrong");
    ask(w, NULL, "/t");
    assert_refused(w, "the key the same");
    snprintf(first, sizeof(first), "%s", w->text);
    use_psk(w->client, ANY, "nobody", "0123456789abcdef");
    ask(w, NULL, "/t");
    assert_string_equal(w->text, first);
    assert_int_equal(w->requests, 0);
}

static void without_credentials_nobody_gets_in(void **state)
{
    struct world *w = *state;

    use_psk(w->client, ANY, "me", "0123456789abcdef");
    ask(w, NULL, "/t");
    assert_refused(w, "credentials");
    assert_int_equal(w->failures, 1);
}

static void keys_that_are_forgotten_open_nothing(void **state)
{
    struct world *w = *state;

    use_psk(w->server, "*", "me", "0123456789abcdef");
    use_psk(w->server, "*", "you", "0123456789abcdef");
    use_psk(w->client, ANY, "me", "0123456789abcdef");
    ask(w, NULL, "/t");
    assert_content(w);
    copal_free(w->client);
    w->client = copal_new(NULL);
    use_psk(w->client, ANY, "me", "0123456789abcdef");
    assert_int_equal(copal_forget(w->server, "*"), 0);
    use_psk(w->server, "*", "you", "0123456789abcdef");
    ask(w, NULL, "/t");
    assert_refused(w, "");
}

/* ---- Keys on demand ---- */

static void look_up(const copal_event *ev, void *user)
{
    struct world *w = user;
    copal_bytes id;

    if (ev->kind != COPAL_REQUEST)
        return;
    w->asked++;
    id = copal_msg_payload(ev->msg);
    snprintf(w->kind, sizeof(w->kind), "%s", ev->text);
    snprintf(w->what, sizeof(w->what), "%.*s", (int)id.len,
             (const char *)id.data);
    if (w->answer == 0)
        w->late = copal_exchange_ref(ev->exchange);
    else
        copal_reply(ev->exchange, w->answer, COPAL_NO_FORMAT,
                    text_bytes("0123456789abcdef"));
}

static void a_key_is_looked_up_while_others_go_on(void **state)
{
    struct world *w = *state;

    copal_use_lookup(w->server, "*", COPAL_CB(look_up, w));
    use_psk(w->server, "*", "known", "abcdef0123456789");
    use_psk(w->client, ANY "127.0.0.1", "me", "0123456789abcdef");
    use_psk(w->client, ANY "localhost", "known", "abcdef0123456789");
    put(w, NULL, "/t", 10);
    go_until(w, &w->asked, 1);
    assert_string_equal(w->kind, "psk");
    assert_string_equal(w->what, "me");
    ask(w, "localhost", "/t"); /* meanwhile */
    assert_content(w);
    assert_int_equal(w->asked, 1);
    w->ends = 0;
    copal_reply(w->late, COPAL_CONTENT, COPAL_NO_FORMAT,
                text_bytes("0123456789abcdef"));
    go_until(w, &w->ends, 1);
    assert_content(w);
    assert_string_equal(w->seen, "me");
}

static void a_key_that_is_not_found_fails_as_a_wrong_one_does(void **state)
{
    struct world *w = *state;
    char first[700];

    w->answer = COPAL_NOT_FOUND;
    copal_use_lookup(w->server, "*", COPAL_CB(look_up, w));
    use_psk(w->client, ANY, "me", "0123456789abcdef");
    ask(w, NULL, "/t");
    assert_refused(w, "the key the same");
    snprintf(first, sizeof(first), "%s", w->text);
    w->answer = COPAL_CONTENT;
    use_psk(w->client, ANY, "me", "fedcba9876543210");
    ask(w, NULL, "/t");
    assert_string_equal(w->text, first);
    assert_int_equal(w->asked, 2);
}

static void who_leaves_while_a_key_is_looked_up_leaves_nothing(void **state)
{
    struct world *w = *state;

    copal_use_lookup(w->server, "*", COPAL_CB(look_up, w));
    use_psk(w->client, ANY, "me", "0123456789abcdef");
    put(w, NULL, "/t", 10);
    go_until(w, &w->asked, 1);
    copal_free(w->client);
    w->client = NULL;
    go_until(w, &w->failures, 1);
    copal_reply(w->late, COPAL_CONTENT, COPAL_NO_FORMAT,
                text_bytes("0123456789abcdef"));
    go_for(w, 20);
}

static void a_server_may_end_while_a_key_is_looked_up(void **state)
{
    struct world *w = *state;

    copal_use_lookup(w->server, "*", COPAL_CB(look_up, w));
    use_psk(w->client, ANY, "me", "0123456789abcdef");
    put(w, NULL, "/t", 10);
    go_until(w, &w->asked, 1);
    copal_free(w->server);
    w->server = NULL;
    go_until(w, &w->ends, 1);
    assert_int_not_equal(w->status, 0);
}

/* ---- Raw public keys ---- */

static void public_keys_prove_both(void **state)
{
    struct world *w = *state;

    use_key(w->server, "*", &server_cert, client_cert.public_pem);
    use_key(w->client, ANY, &client_cert, server_cert.public_pem);
    ask(w, NULL, "/secret");
    assert_content(w);
    assert_int_equal(strncmp(w->seen, "ni:///sha-256;", 14), 0);
    assert_int_equal(strncmp(w->proven, "ni:///sha-256;", 14), 0);
    assert_string_not_equal(w->seen, w->proven);
}

static void a_public_key_that_nobody_asks_for_is_not_minded(void **state)
{
    struct world *w = *state;

    use_key(w->server, "*", &server_cert, NULL);
    use_key(w->client, ANY, &client_cert, server_cert.public_pem);
    ask(w, NULL, "/t");
    assert_content(w);
    assert_string_equal(w->seen, "");
}

static void a_public_key_that_is_not_trusted_is_refused(void **state)
{
    struct world *w = *state;

    use_key(w->server, "*", &server_cert, client_cert.public_pem);
    use_key(w->client, ANY, &client_cert, stranger.public_pem);
    ask(w, NULL, "/t");
    assert_refused(w, "none of those that are trusted");
    use_key(w->client, ANY, &stranger, server_cert.public_pem);
    ask(w, NULL, "/t");
    assert_refused(w, "does not believe");
    assert_int_equal(w->requests, 0);
}

static void a_public_key_is_looked_up(void **state)
{
    struct world *w = *state;

    use_key(w->server, "*", &server_cert, NULL);
    copal_use_lookup(w->server, "*", COPAL_CB(look_up, w));
    use_key(w->client, ANY, &client_cert, server_cert.public_pem);
    put(w, NULL, "/t", 10);
    go_until(w, &w->asked, 1);
    assert_string_equal(w->kind, "rpk");
    assert_int_equal(w->requests, 0);
    copal_reply(w->late, COPAL_CONTENT, COPAL_NO_FORMAT, (copal_bytes){0});
    go_until(w, &w->ends, 1);
    assert_content(w);
    assert_string_equal(w->seen, w->what);

    copal_free(w->client);
    w->client = copal_new(NULL);
    w->answer = COPAL_NOT_FOUND;
    use_key(w->client, ANY, &stranger, server_cert.public_pem);
    ask(w, NULL, "/t");
    assert_refused(w, "does not believe");
    assert_int_equal(w->requests, 1);
}

/* ---- Certificates ---- */

static void certificates_prove_both(void **state)
{
    struct world *w = *state;

    use_cert(w->server, "*", &server_cert, ca.cert_pem);
    use_cert(w->client, ANY, &client_cert, ca.cert_pem);
    ask(w, "localhost", "/secret");
    assert_content(w);
    assert_string_equal(w->seen, "client 7");
    assert_string_equal(w->proven, "localhost");
}

static void who_shows_no_certificate_is_nobody(void **state)
{
    struct world *w = *state;

    use_cert(w->server, "*", &server_cert, NULL);
    use_cert(w->client, ANY, NULL, ca.cert_pem);
    ask(w, "localhost", "/t");
    assert_content(w);
    assert_string_equal(w->seen, "");
    ask(w, "localhost", "/secret");
    assert_int_equal(w->code, COPAL_UNAUTHORIZED);
}

static void a_certificate_that_is_wanted_has_to_be_shown(void **state)
{
    struct world *w = *state;

    use_cert(w->server, "*", &server_cert, ca.cert_pem);
    use_cert(w->client, ANY, NULL, ca.cert_pem);
    ask(w, "localhost", "/t");
    assert_refused(w, "wants a certificate");
    use_cert(w->client, ANY, &stranger, ca.cert_pem);
    ask(w, "localhost", "/t");
    assert_refused(w, "");
    assert_int_equal(w->requests, 0);
}

static void what_is_wrong_with_a_certificate_is_said(void **state)
{
    static const struct {
        const struct party *shown;
        const char *host, *part;
    } rows[] = {
        {&expired, "localhost", "has expired"},
        {&early, "localhost", "is valid from"},
        {&stranger, "localhost", "signed by CN=Other CA, who is not trusted"},
        {&self_signed, "localhost", "signed by itself"},
        {&wrong_purpose, "localhost", "not meant for a server"},
        {&server_cert, NULL, "is for localhost, not for 127.0.0.1"},
    };
    struct world *w = *state;

    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        (void)copal_forget(w->server, "*");
        use_cert(w->server, "*", rows[i].shown, NULL);
        use_cert(w->client, ANY, NULL, ca.cert_pem);
        ask(w, rows[i].host, "/t");
        assert_refused(w, rows[i].part);
    }
    assert_int_equal(w->requests, 0);
}

static void a_certificate_signed_by_itself_can_be_trusted(void **state)
{
    struct world *w = *state;

    use_cert(w->server, "*", &self_signed, NULL);
    use_cert(w->client, ANY, NULL, self_signed.cert_pem);
    ask(w, "localhost", "/t");
    assert_content(w);
}

static void without_a_scope_the_system_s_authorities_are_believed(void **state)
{
    struct world *w = *state;

    use_cert(w->server, "*", &server_cert, NULL);
    ask(w, "localhost", "/t");
    assert_refused(w, "not trusted");
}

static void a_server_shows_the_certificate_that_is_asked_for(void **state)
{
    struct world *w = *state;

    use_cert(w->server, "*", &second, NULL);
    use_cert(w->server, "*", &server_cert, NULL);
    use_cert(w->client, ANY, NULL, ca.cert_pem);
    ask(w, "localhost", "/t");
    assert_content(w);
    assert_string_equal(w->proven, "localhost");
}

/* By which pages of this host may connect: see tests/net/test_tcp.c. */
static void the_names_of_certificates_that_are_shown_are_ours(void **state)
{
    static const struct {
        const char *name;
        bool is_ours;
    } rows[] = {
        {"second.example", true},
        {"SECOND.example", true},
        {"localhost", true},
        {"evil.example", false},
        {"second", false},
        {"second.example.evil.example", false},
        {"", false},
    };
    struct world *w = *state;
    const struct cp_credentials *all = w->server->credentials;

    assert_false(cp_credentials_name(all, "second.example"));
    use_cert(w->server, "*", &second, NULL);
    use_cert(w->server, "*", &server_cert, NULL);
    use_key(w->server, "*", &stranger, NULL);
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
        if (cp_credentials_name(all, rows[i].name) != rows[i].is_ours)
            fail_msg("'%s'", rows[i].name);
    assert_int_equal(copal_forget(w->server, "*"), 0);
    assert_false(cp_credentials_name(all, "second.example"));
    use_key(w->server, "*", &stranger, NULL); /* which has no name */
    use_cert(w->server, "*", &second, NULL);
    assert_true(cp_credentials_name(all, "second.example"));
    assert_int_equal(copal_forget(w->server, "*"), 0);
    use_cert(w->server, "*", NULL, ca.cert_pem);
    assert_false(cp_credentials_name(all, "second.example"));
}

static void all_kinds_are_served_on_one_port(void **state)
{
    struct world *w = *state;
    char both[4096];

    snprintf(both, sizeof(both), "%s%s", ca.cert_pem, stranger.public_pem);
    use_psk(w->server, "*", "me", "0123456789abcdef");
    use_cert(w->server, "*", &server_cert, both);
    use_key(w->server, "*", &second, NULL);

    use_psk(w->client, ANY "127.0.0.1", "me", "0123456789abcdef");
    ask(w, NULL, "/secret");
    assert_content(w);
    assert_string_equal(w->seen, "me");
    use_cert(w->client, ANY "localhost", &client_cert, ca.cert_pem);
    ask(w, "localhost", "/secret");
    assert_content(w);
    assert_string_equal(w->seen, "client 7");
    copal_free(w->client);
    w->client = copal_new(NULL);
    use_key(w->client, ANY, &stranger, second.public_pem);
    ask(w, "localhost", "/secret");
    assert_content(w);
    assert_int_equal(strncmp(w->seen, "ni:", 3), 0);
}

static void texts_that_do_not_fit_are_refused(void **state)
{
    const struct {
        const char *cert, *key, *trusted, *part;
    } rows[] = {
        {server_cert.cert_pem, client_cert.key_pem, NULL, "does not belong"},
        {server_cert.public_pem, client_cert.key_pem, NULL, "does not belong"},
        {server_cert.cert_pem, "junk", NULL, "private key cannot be read"},
        {"junk", server_cert.key_pem, NULL, "cannot be used"},
        {NULL, NULL, "junk", "neither a certificate nor a public key"},
        {NULL, NULL,
         "-----BEGIN PUBLIC KEY-----\nQUJD\n-----END PUBLIC "
         "KEY-----\n",
         "cannot be read"},
    };
    struct world *w = *state;

    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        assert_int_equal(copal_use_cert(w->server, "*", rows[i].cert,
                                        rows[i].key, rows[i].trusted),
                         COPAL_EFORMAT);
        if (strstr(copal_why(w->server), rows[i].part) == NULL)
            fail_msg("%s", copal_why(w->server));
    }
}

/* ---- Sessions ---- */

static void the_next_connection_goes_on_with_the_session(void **state)
{
    struct world *w = *state;

    use_cert(w->server, "*", &server_cert, ca.cert_pem);
    use_cert(w->client, ANY, &client_cert, ca.cert_pem);
    ask(w, "localhost", "/t");
    assert_content(w);
    assert_int_equal(w->resumed, 0);
    assert_int_equal(copal_disconnect(w->client, "coaps+tcp://other"), 0);
    assert_int_equal(copal_disconnect(w->client, "coaps+tcp://localhost"), 1);
    go_for(w, 50);
    ask(w, "localhost", "/secret");
    assert_content(w);
    assert_int_equal(w->resumed, 1);
    assert_string_equal(w->seen, "client 7");
    assert_string_equal(w->proven, "localhost");
}

static void keys_are_logged_only_when_asked_for(void **state)
{
    struct world *w = *state;
    char path[] = "/tmp/copal-keys-XXXXXX", line[512];
    int fd = mkstemp(path), count = 0;
    FILE *f;

    close(fd);
    unlink(path);
    use_psk(w->server, "*", "me", "0123456789abcdef");
    use_psk(w->client, ANY, "me", "0123456789abcdef");
    assert_int_equal(copal_log_to(w->client, COPAL_LOG_KEYS, path), 0);
    ask(w, NULL, "/t");
    assert_content(w);
    assert_int_equal(copal_log_to(w->client, COPAL_LOG_KEYS, NULL), 0);
    f = fopen(path, "r");
    assert_non_null(f);
    while (fgets(line, sizeof(line), f) != NULL) {
        char label[64], random[128], secret[256];

        assert_int_equal(
            sscanf(line, "%63s %127s %255s", label, random, secret), 3);
        assert_int_equal(strlen(random), 64);
        count += strcmp(label, "CLIENT_TRAFFIC_SECRET_0") == 0;
    }
    fclose(f);
    unlink(path);
    assert_int_equal(count, 1);
    assert_int_equal(
        copal_log_to(w->client, COPAL_LOG_KEYS, "/no/such/folder/x"),
        COPAL_ENOENT);
}

/* ---- The unfriendly ---- */

static int connect_plainly(const struct world *w)
{
    struct sockaddr_in to = {.sin_family = AF_INET};
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

    to.sin_port = htons((uint16_t)atoi(strrchr(w->local, ':') + 1));
    to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    assert_int_equal(connect(fd, (struct sockaddr *)&to, sizeof(to)), 0);
    return fd;
}

static void junk_in_place_of_a_hello_ends_the_connection(void **state)
{
#define JUNK(text) \
    { \
        text, sizeof(text) - 1 \
    }
    static const struct {
        const char *text;
        size_t len;
    } junk[] = {
        JUNK("GET / HTTP/1.1\r\nHost: h\r\n\r\n"),
        JUNK("\x16\x03\x01\xff\xff junk that is announced as too long"),
        JUNK("\x17\x03\x03\x00\x04oops"),
        /* A hello of 64 kB is announced. */
        JUNK("\x16\x03\x01\x00\x08\x01\x00\xff\xff\x03\x03oo"),
        /* A well-formed record with a bad hello. */
        JUNK("\x16\x03\x01\x00\x08\x01\x00\x00\x04oops"),
    };
#undef JUNK
    struct world *w = *state;

    for (int lookups = 0; lookups < 2; lookups++) {
        use_psk(w->server, "*", "me", "0123456789abcdef");
        if (lookups)
            copal_use_lookup(w->server, "*", COPAL_CB(look_up, w));
        for (size_t i = 0; i < sizeof(junk) / sizeof(junk[0]); i++) {
            int fd = connect_plainly(w);
            int before = w->failures;
            char back[64];

            assert_int_equal(write(fd, junk[i].text, junk[i].len),
                             (ssize_t)junk[i].len);
            go_until(w, &w->failures, before + 1); /* it waits for nothing */
            (void)recv(fd, back, sizeof(back), MSG_DONTWAIT); /* an alert */
            assert_int_equal(recv(fd, back, sizeof(back), 0), 0);
            close(fd);
        }
    }
}

static void half_a_record_and_silence_is_cut_off_after_10_s(void **state)
{
    struct world *w = *state;
    uint64_t began = true_ms();
    int fd = connect_plainly(w);

    use_psk(w->server, "*", "me", "0123456789abcdef");
    assert_int_equal(write(fd, "\x16\x03\x01\x01", 4), 4);
    go_for(w, 50);
    leap(8000);
    go_for(w, 50);
    if (true_ms() - began < 1500) /* else this machine is too slow to tell */
        assert_int_equal(w->failures, 0);
    leap(2000);
    go_until(w, &w->failures, 1);
    assert_non_null(strstr(w->what, "10 s"));
    close(fd);
}

/* The next record's type, and its last byte; -1: no more. */
static int read_record(int fd, uint8_t *last)
{
    uint8_t head[5], body[4096];
    size_t len;

    if (recv(fd, head, sizeof(head), MSG_WAITALL) != sizeof(head))
        return -1;
    len = (size_t)head[3] << 8 | head[4];
    if (len == 0 || len > sizeof(body) ||
        recv(fd, body, len, MSG_WAITALL) != (ssize_t)len)
        return -1;
    *last = body[len - 1];
    return head[0];
}

/* RFC 8446 6.1: user_canceled, then close_notify. */
static void a_server_that_says_nothing_is_told_that_it_is_over(void **state)
{
    struct sockaddr_in at = {.sin_family = AF_INET,
                             .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    struct world *w = *state;
    socklen_t size = sizeof(at);
    int listens = socket(AF_INET, SOCK_STREAM, 0), fd;
    char uri[64];
    uint8_t last;

    assert_int_equal(bind(listens, (struct sockaddr *)&at, sizeof(at)), 0);
    assert_int_equal(listen(listens, 1), 0);
    assert_int_equal(getsockname(listens, (struct sockaddr *)&at, &size), 0);
    snprintf(uri, sizeof(uri), "coaps+tcp://127.0.0.1:%u/t",
             (unsigned)ntohs(at.sin_port));
    use_psk(w->client, ANY, "me", "0123456789abcdef");
    copal_get(w->client, uri, COPAL_CB(note, w));
    go_for(w, 50);
    fd = accept(listens, NULL, NULL);
    assert_true(fd >= 0);
    assert_int_equal(read_record(fd, &last), 22);
    leap(11000);
    go_until(w, &w->ends, 1);
    assert_non_null(strstr(w->text, "10 s"));
    assert_int_equal(read_record(fd, &last), 21);
    assert_int_equal(last, 90);
    assert_int_equal(read_record(fd, &last), 21);
    assert_int_equal(last, 0);
    assert_int_equal(read_record(fd, &last), -1);
    close(fd);
    close(listens);
}

/* A client that is no copal, of which each request has a record of its own. */
static gnutls_session_t shake_hands(struct world *w, int fd,
                                    gnutls_psk_client_credentials_t key)
{
    const gnutls_datum_t secret = {(unsigned char *)"0123456789abcdef", 16};
    gnutls_session_t s;
    int error;

    assert_int_equal(gnutls_psk_set_client_credentials(key, "me", &secret,
                                                       GNUTLS_PSK_KEY_RAW),
                     0);
    assert_int_equal(gnutls_init(&s, GNUTLS_CLIENT | GNUTLS_NONBLOCK), 0);
    assert_int_equal(
        gnutls_priority_set_direct(
            s, "NORMAL:-VERS-ALL:+VERS-TLS1.2:-KX-ALL:+ECDHE-PSK", NULL),
        0);
    gnutls_credentials_set(s, GNUTLS_CRD_PSK, key);
    assert_int_equal(fcntl(fd, F_SETFL, O_NONBLOCK), 0);
    gnutls_transport_set_int(s, fd);
    while ((error = gnutls_handshake(s)) == GNUTLS_E_AGAIN)
        step(w);
    assert_int_equal(error, 0);
    return s;
}

static void a_heap_of_records_is_worked_off_in_parts(void **state)
{
    static const char csm[] = {0x00, (char)0xe1},
                      get[] = {0x21, 0x01, 0x07, (char)0xb1, 't'};
    gnutls_psk_client_credentials_t key;
    struct world *w = *state;
    gnutls_session_t s;
    uint64_t until;
    int fd;

    use_psk(w->server, "*", "me", "0123456789abcdef");
    fd = connect_plainly(w);
    assert_int_equal(gnutls_psk_allocate_client_credentials(&key), 0);
    s = shake_hands(w, fd, key);
    assert_int_equal(gnutls_record_send(s, csm, sizeof(csm)), sizeof(csm));
    for (int i = 0; i < 2000; i++)
        assert_int_equal(gnutls_record_send(s, get, sizeof(get)), sizeof(get));
    until = true_ms() + LIMIT_MS;
    while (w->requests < 2000 && true_ms() < until) {
        int before = w->requests;

        assert_int_equal(copal_step(w->server), 0);
        assert_in_range(w->requests - before, 0, 300);
    }
    assert_int_equal(w->requests, 2000);
    gnutls_deinit(s);
    gnutls_psk_free_client_credentials(key);
    close(fd);
}

/* ---- Recorded ---- */

static void note_replay(const copal_event *ev, void *user)
{
    struct world *w = user;

    if (ev->kind == COPAL_TRACE)
        w->replayed += strstr(ev->text, "\"ev\":\"out\"") != NULL;
    else
        snprintf(w->text, sizeof(w->text), "%s", ev->text);
}

/* What c sent by then is sent again; gives how many messages that are. */
static int assert_same_again(struct world *w, copal *c)
{
    char path[] = "/tmp/copal-record-XXXXXX";
    int fd = mkstemp(path), err;

    assert_true(fd >= 0);
    close(fd);
    w->replayed = 0;
    assert_int_equal(copal_log_to(c, COPAL_LOG_RECORDING, path), 0);
    err = copal_replay(path, COPAL_CB(note_replay, w));
    unlink(path);
    if (err != 0)
        fail_msg("%s", w->text);
    return w->replayed;
}

/* Both ends from their beginning; the fixture's calls are part of the setting. */
static void assert_recordings_are_the_same_again(struct world *w,
                                                 const char *scope)
{
    copal_tune(w->client, NULL, COPAL_P_RECORD_MEMORY, 1 << 22);
    copal_tune(w->server, NULL, COPAL_P_RECORD_MEMORY, 1 << 22);
    use_cert(w->server, "*", &server_cert, ca.cert_pem);
    use_cert(w->client, scope, &client_cert, ca.cert_pem);
    ask(w, "localhost", "/secret");
    assert_content(w);
    assert_string_equal(w->seen, "client 7");
    w->ends = 0;
    put(w, "localhost", "/t", LONG_BODY);
    go_until(w, &w->ends, 1);
    assert_content(w);
    assert_true(assert_same_again(w, w->client) >= 3); /* a CSM, two requests */
    assert_true(assert_same_again(w, w->server) >= 3);
}

static void what_went_by_tls_is_the_same_again(void **state)
{
    assert_recordings_are_the_same_again(*state, ANY "localhost");
}

static void what_websocket_carried_over_tls_is_the_same_again(void **state)
{
    assert_recordings_are_the_same_again(*state, "coaps+ws://localhost");
}

/* ---- WebSocket over it ---- */

static void websocket_goes_over_tls(void **state)
{
    struct world *w = *state;

    use_cert(w->server, "*", &server_cert, ca.cert_pem);
    use_cert(w->client, "coaps+ws://localhost", &client_cert, ca.cert_pem);
    ask(w, "localhost", "/secret");
    assert_content(w);
    assert_string_equal(w->seen, "client 7");
    w->ends = 0;
    put(w, "localhost", "/t", LONG_BODY);
    go_until(w, &w->ends, 1);
    assert_content(w);
    assert_int_equal(w->body, LONG_BODY);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, build, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_key_that_both_have_proves_both),
        TEST(an_identity_of_any_bytes_is_named_readably),
        TEST(an_unknown_identity_fails_as_a_wrong_key_does),
        TEST(without_credentials_nobody_gets_in),
        TEST(keys_that_are_forgotten_open_nothing),
        TEST(a_key_is_looked_up_while_others_go_on),
        TEST(a_key_that_is_not_found_fails_as_a_wrong_one_does),
        TEST(who_leaves_while_a_key_is_looked_up_leaves_nothing),
        TEST(a_server_may_end_while_a_key_is_looked_up),
        TEST(public_keys_prove_both),
        TEST(a_public_key_that_nobody_asks_for_is_not_minded),
        TEST(a_public_key_that_is_not_trusted_is_refused),
        TEST(a_public_key_is_looked_up),
        TEST(certificates_prove_both),
        TEST(who_shows_no_certificate_is_nobody),
        TEST(a_certificate_that_is_wanted_has_to_be_shown),
        TEST(what_is_wrong_with_a_certificate_is_said),
        TEST(a_certificate_signed_by_itself_can_be_trusted),
        TEST(without_a_scope_the_system_s_authorities_are_believed),
        TEST(a_server_shows_the_certificate_that_is_asked_for),
        TEST(the_names_of_certificates_that_are_shown_are_ours),
        TEST(all_kinds_are_served_on_one_port),
        TEST(texts_that_do_not_fit_are_refused),
        TEST(the_next_connection_goes_on_with_the_session),
        TEST(keys_are_logged_only_when_asked_for),
        TEST(junk_in_place_of_a_hello_ends_the_connection),
        TEST(half_a_record_and_silence_is_cut_off_after_10_s),
        TEST(a_server_that_says_nothing_is_told_that_it_is_over),
        TEST(a_heap_of_records_is_worked_off_in_parts),
        TEST(what_went_by_tls_is_the_same_again),
        cmocka_unit_test_setup_teardown(
            what_websocket_carried_over_tls_is_the_same_again, build_ws,
            tear_down),
        cmocka_unit_test_setup_teardown(websocket_goes_over_tls, build_ws,
                                        tear_down),
    };

    return cmocka_run_group_tests(tests, make_parties, free_parties);
}
