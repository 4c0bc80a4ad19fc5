/* Keys of EDHOC by scope, with certificates made here: whose are believed, and
 * what is refused when they are given. RFC 9528 3.5, RFC 9360. */
#include "edhoc.h"
#include "secure/edhoc_keys.h"
#include "wire/cbor.h"

#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>
#include "../net/certs.h"

struct world {
    struct cp_mem *mem;
    struct cp_aeads *aeads;
    struct cp_edhoc_keys of_i, of_r;
    struct cp_edhoc_scope *i, *r;
    struct cp_edhoc session_i, session_r;
    struct party ca, other_ca, server, client, expired;
};

static int set_up(void **state)
{
    struct world *w = calloc(1, sizeof(*w));

    w->mem = cp_mem_new(NULL, NULL);
    w->aeads = cp_aeads_new(w->mem);
    cp_edhoc_keys_init(&w->of_i, w->mem);
    cp_edhoc_keys_init(&w->of_r, w->mem);
    party_make(&w->ca, (struct wish){.name = "ca", .is_ca = 1});
    party_make(&w->other_ca, (struct wish){.name = "other", .is_ca = 1});
    party_make(&w->server, (struct wish){.name = "server",
                                         .dns = "server.example",
                                         .issuer = &w->ca});
    party_make(&w->client, (struct wish){.name = "client", .issuer = &w->ca});
    party_make(&w->expired, (struct wish){.name = "late",
                                          .issuer = &w->ca,
                                          .from = -7200,
                                          .until = -3600});
    *state = w;
    return 0;
}

static int tear_down(void **state)
{
    struct world *w = *state;

    cp_edhoc_clear(&w->session_i);
    cp_edhoc_clear(&w->session_r);
    cp_edhoc_keys_clear(&w->of_i);
    cp_edhoc_keys_clear(&w->of_r);
    cp_aeads_free(w->aeads);
    assert_int_equal(cp_mem_used(w->mem), 0);
    cp_mem_release(w->mem);
    party_free(&w->ca);
    party_free(&w->other_ca);
    party_free(&w->server);
    party_free(&w->client);
    party_free(&w->expired);
    free(w);
    return 0;
}

static copal_bytes text(const char *s)
{
    return cp_bytes_of_text(s);
}

/* ---- Sessions by what scopes have ---- */

static bool own(void *user, enum cp_curve curve, struct cp_edhoc_own *out)
{
    return cp_edhoc_scope_own(user, curve, out);
}

static int find(void *user, const struct cp_cose_id *id, size_t i,
                struct cp_edhoc_credential *out)
{
    struct cp_edhoc_scope *s = user;
    bool is_asked = strcmp(s->text, "*") == 0;

    return cp_edhoc_scope_find(s, is_asked ? NULL : "server.example", id, i,
                               out);
}

static int choose(void *user, const struct cp_edhoc_cid *taken,
                  struct cp_edhoc_cid *out)
{
    (void)user;
    *out = (struct cp_edhoc_cid){1, {taken->len == 0 ? 1 : 2}};
    return 0;
}

static void begin(struct world *w, struct cp_edhoc_scope *s,
                  struct cp_edhoc *session, bool is_initiator)
{
    struct cp_edhoc_setup setup = {.mem = w->mem,
                                   .aeads = w->aeads,
                                   .suites = s->suites,
                                   .methods = s->methods,
                                   .own = own,
                                   .find = find,
                                   .choose = choose,
                                   .user = s};

    cp_edhoc_clear(session);
    cp_edhoc_init(session, &setup, is_initiator);
}

/* What becomes of it, up to message 3. */
static int run(struct world *w)
{
    copal_bytes out;
    int err;

    w->i = cp_edhoc_keys_for(&w->of_i, "coap://server.example/x", "");
    w->r = cp_edhoc_keys_serve(&w->of_r);
    assert_non_null(w->i);
    assert_non_null(w->r);
    begin(w, w->i, &w->session_i, true);
    begin(w, w->r, &w->session_r, false);
    assert_int_equal(cp_edhoc_begin(&w->session_i, 0, &out), 0);
    assert_int_equal(cp_edhoc_take_1(&w->session_r, out, &out), 0);
    err = cp_edhoc_take_2(&w->session_i, out, &out);
    return err != 0 ? err : cp_edhoc_take_3(&w->session_r, out, &out);
}

static int use(struct cp_edhoc_keys *keys, const char *scope,
               const struct party *p, const char *peers)
{
    struct cp_edhoc_spec spec = {.method = 0,
                                 .suite = 2,
                                 .private_key = text(p->key_pem),
                                 .credential = text(p->cert_pem),
                                 .peers = text(peers)};

    return cp_edhoc_keys_use(keys, scope, &spec);
}

static void a_certificate_by_a_known_authority_is_believed(void **state)
{
    struct world *w = *state;

    assert_int_equal(
        use(&w->of_i, "coap://server.example", &w->client, w->ca.cert_pem), 0);
    assert_int_equal(use(&w->of_r, "*", &w->server, w->ca.cert_pem), 0);
    assert_int_equal(run(w), 0);
    assert_string_equal(w->session_i.peer, "server.example");
    assert_string_equal(w->session_r.peer, "client");
}

/* The authority stands for many, and each only for itself. */
static void a_certificate_for_another_host_is_not_believed(void **state)
{
    struct world *w = *state;

    assert_int_equal(use(&w->of_i, "coap://", &w->server, w->ca.cert_pem), 0);
    assert_int_equal(use(&w->of_r, "*", &w->client, w->ca.cert_pem), 0);
    assert_int_equal(run(w), COPAL_EAUTH);
    assert_int_equal(w->session_i.state, CP_EDHOC_FAILED);
}

static void a_certificate_that_is_known_itself_needs_no_authority(void **state)
{
    struct world *w = *state;

    assert_int_equal(use(&w->of_i, "coap://", &w->expired, w->server.cert_pem),
                     0);
    assert_int_equal(use(&w->of_r, "*", &w->server, w->expired.cert_pem), 0);
    assert_int_equal(run(w), 0);
    assert_string_equal(w->session_r.peer, "late");
}

static void a_certificate_by_nobody_known_is_not_believed(void **state)
{
    struct world *w = *state;

    assert_int_equal(use(&w->of_i, "coap://", &w->client, w->other_ca.cert_pem),
                     0);
    assert_int_equal(use(&w->of_r, "*", &w->server, w->ca.cert_pem), 0);
    assert_int_equal(run(w), COPAL_EAUTH);
    assert_int_equal(w->session_i.state, CP_EDHOC_FAILED);
    assert_int_equal(use(&w->of_i, "coap://", &w->client, w->ca.cert_pem), 0);
    cp_edhoc_keys_clear(&w->of_r);
    assert_int_equal(use(&w->of_r, "*", &w->server, w->other_ca.cert_pem), 0);
    assert_int_equal(run(w), COPAL_EAUTH);
    assert_int_equal(w->session_r.state, CP_EDHOC_FAILED);
}

static void a_certificate_that_has_expired_is_not_believed(void **state)
{
    struct world *w = *state;

    assert_int_equal(use(&w->of_i, "coap://", &w->expired, w->ca.cert_pem), 0);
    assert_int_equal(use(&w->of_r, "*", &w->server, w->ca.cert_pem), 0);
    assert_int_equal(run(w), COPAL_EAUTH);
    assert_int_equal(w->session_r.state, CP_EDHOC_FAILED);
}

/* One that is no authority signs nobody. */
static void a_peer_is_no_authority(void **state)
{
    struct world *w = *state;
    struct party forged;

    party_make(&forged, (struct wish){.name = "forged", .issuer = &w->client});
    assert_int_equal(use(&w->of_i, "coap://", &forged, w->ca.cert_pem), 0);
    assert_int_equal(use(&w->of_r, "*", &w->server, w->client.cert_pem), 0);
    assert_int_equal(run(w), COPAL_EAUTH);
    assert_int_equal(w->session_r.state, CP_EDHOC_FAILED);
    party_free(&forged);
}

static void a_chain_is_sent_as_a_whole(void **state)
{
    struct world *w = *state;
    struct party middle, leaf;
    char *both;

    party_make(&middle,
               (struct wish){.name = "middle", .issuer = &w->ca, .is_ca = 1});
    party_make(&leaf, (struct wish){.name = "leaf", .issuer = &middle});
    both = malloc(strlen(leaf.cert_pem) + strlen(middle.cert_pem) + 1);
    strcpy(both, leaf.cert_pem);
    strcat(both, middle.cert_pem);
    assert_int_equal(cp_edhoc_keys_use(&w->of_i, "coap://",
                                       &(struct cp_edhoc_spec){
                                           .method = 0,
                                           .suite = 2,
                                           .private_key = text(leaf.key_pem),
                                           .credential = text(both),
                                           .peers = text(w->server.cert_pem)}),
                     0);
    assert_int_equal(use(&w->of_r, "*", &w->server, w->ca.cert_pem), 0);
    assert_int_equal(run(w), 0);
    assert_string_equal(w->session_r.peer, "leaf");
    free(both);
    party_free(&middle);
    party_free(&leaf);
}

static void a_certificate_may_be_named_by_its_hash(void **state)
{
    struct world *w = *state;
    uint8_t id[64], digest[CP_HASH_LEN];
    struct cp_buf b = cp_buf_fixed(id, sizeof(id));
    gnutls_datum_t der = {0};

    gnutls_x509_crt_export2(w->client.cert, GNUTLS_X509_FMT_DER, &der);
    assert_int_equal(cp_hash(CP_SHA256, cp_bytes(der.data, der.size), digest),
                     0);
    cp_cbor_put_map(&b, 1);
    cp_cbor_put_unsigned(&b, CP_COSE_X5T);
    cp_cbor_put_array(&b, 2);
    cp_cbor_put_int(&b, -16);
    cp_cbor_put_bytes(&b, cp_bytes(digest, 32));
    assert_int_equal(
        cp_edhoc_keys_use(
            &w->of_i, "coap://",
            &(struct cp_edhoc_spec){.method = 0,
                                    .suite = 2,
                                    .private_key = text(w->client.key_pem),
                                    .credential = cp_bytes(der.data, der.size),
                                    .identifier = cp_bytes(id, b.len),
                                    .peers = text(w->server.cert_pem)}),
        0);
    gnutls_free(der.data);
    /* A hash says nothing of who signed: the certificate has to be here. */
    assert_int_equal(use(&w->of_r, "*", &w->server, w->ca.cert_pem), 0);
    assert_int_equal(run(w), COPAL_EAUTH);
    assert_int_equal(cp_edhoc_keys_use(&w->of_r, "*",
                                       &(struct cp_edhoc_spec){
                                           .peers = text(w->client.cert_pem)}),
                     0);
    assert_int_equal(run(w), 0);
    assert_string_equal(w->session_r.peer, "client");
}

/* ---- What is given ---- */

static void what_does_not_fit_is_told(void **state)
{
    struct world *w = *state;
    struct cp_edhoc_spec good = {.method = 0,
                                 .suite = 2,
                                 .private_key = text(w->client.key_pem),
                                 .credential = text(w->client.cert_pem),
                                 .peers = text(w->ca.cert_pem)};
    struct cp_edhoc_spec spec;

    static const struct {
        const char *scope;
        int err;
        const char *why;
    } scopes[] = {
        {NULL, COPAL_EINVAL, "no scope of EDHOC"},
        {"", COPAL_EINVAL, "no scope of EDHOC"},
        {"server.example", COPAL_EINVAL, "no scope of EDHOC"},
        {"http://x", COPAL_EINVAL, "no scope of EDHOC"},
    };

    for (size_t i = 0; i < 4; i++) {
        assert_int_equal(cp_edhoc_keys_use(&w->of_i, scopes[i].scope, &good),
                         scopes[i].err);
        assert_non_null(strstr(cp_why_text(w->mem), scopes[i].why));
    }
#define REFUSED(field, value, error, sentence) \
    do { \
        spec = good; \
        spec.field = value; \
        assert_int_equal(cp_edhoc_keys_use(&w->of_i, "coap://h", &spec), \
                         error); \
        assert_non_null(strstr(cp_why_text(w->mem), sentence)); \
    } while (0)
    REFUSED(method, 4, COPAL_EINVAL, "method 4 is none");
    REFUSED(suite, 24, COPAL_EINVAL, "suite 24 is not built in");
    REFUSED(suite, 0, COPAL_EINVAL, "one of Ed25519 is");
    REFUSED(private_key, text("short"), COPAL_EFORMAT, "32 bytes, not 5");
    REFUSED(private_key, text(w->server.key_pem), COPAL_EFORMAT,
            "does not belong");
    REFUSED(private_key, text("-----BEGIN PRIVATE KEY-----"), COPAL_EFORMAT,
            "cannot be read");
    REFUSED(credential, text("xyz"), COPAL_EFORMAT, "the credential cannot");
    REFUSED(credential, text(""), COPAL_EFORMAT, "the credential cannot");
    REFUSED(identifier, text("x"), COPAL_EFORMAT, "no header map");
    REFUSED(peers, text("xyz"), COPAL_EFORMAT, "a peer's credential cannot");
    REFUSED(peers, text(""), COPAL_EINVAL, "no peer_credential");
#undef REFUSED
    assert_null(cp_edhoc_keys_for(&w->of_i, "coap://h/x", ""));
    assert_int_equal(
        cp_edhoc_keys_use(&w->of_r, "*", &(struct cp_edhoc_spec){0}),
        COPAL_EINVAL);
    assert_null(cp_edhoc_keys_serve(&w->of_r));
    assert_int_equal(cp_edhoc_keys_forget(&w->of_r, "*"), COPAL_ENOENT);
}

static void the_longest_scope_wins_and_can_be_forgotten(void **state)
{
    struct world *w = *state;
    struct cp_edhoc_scope *all, *one;

    assert_int_equal(use(&w->of_i, "coap://", &w->client, w->ca.cert_pem), 0);
    assert_int_equal(
        use(&w->of_i, "coap://Host.example", &w->server, w->ca.cert_pem), 0);
    all = cp_edhoc_keys_for(&w->of_i, "coap://other/x", "");
    one = cp_edhoc_keys_for(&w->of_i, "coap://host.example/x", "");
    assert_non_null(all);
    assert_non_null(one);
    assert_ptr_not_equal(all, one);
    assert_null(cp_edhoc_keys_for(&w->of_i, "coap+tcp://other/x", ""));
    assert_null(cp_edhoc_keys_serve(&w->of_i));
    assert_int_equal(cp_edhoc_keys_forget(&w->of_i, "coap://host.EXAMPLE"), 0);
    assert_ptr_equal(cp_edhoc_keys_for(&w->of_i, "coap://host.example/x", ""),
                     all);
    /* In place of the one before. */
    assert_int_equal(use(&w->of_i, "coap://", &w->server, w->ca.cert_pem), 0);
    assert_int_equal(cp_edhoc_keys_forget(&w->of_i, "coap://"), 0);
    assert_null(cp_edhoc_keys_for(&w->of_i, "coap://other/x", ""));
}

#define WORLD(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        WORLD(a_certificate_by_a_known_authority_is_believed),
        WORLD(a_certificate_for_another_host_is_not_believed),
        WORLD(a_certificate_that_is_known_itself_needs_no_authority),
        WORLD(a_certificate_by_nobody_known_is_not_believed),
        WORLD(a_certificate_that_has_expired_is_not_believed),
        WORLD(a_peer_is_no_authority),
        WORLD(a_chain_is_sent_as_a_whole),
        WORLD(a_certificate_may_be_named_by_its_hash),
        WORLD(what_does_not_fit_is_told),
        WORLD(the_longest_scope_wins_and_can_be_forgotten),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
