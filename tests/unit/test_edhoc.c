/* EDHOC between two ends: every method and suite, every way to name a
 * credential, what is refused, and what is said then. RFC 9528. */
#include "edhoc.h"
#include "wire/cbor.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <cmocka.h>

/* Allows a number of allocations, then fails; -1: never fails. */
struct budget {
    int left;
};

static void *counted(void *user, void *p, size_t n)
{
    struct budget *b = user;

    if (n == 0) {
        free(p);
        return NULL;
    }
    if (b->left == 0)
        return NULL;
    if (b->left > 0)
        b->left--;
    return realloc(p, n);
}

struct identity {
    uint8_t secret[CP_CURVE_KEY], cred[256], id[260];
    size_t cred_len, id_len;
};

struct world {
    struct budget budget;
    struct cp_mem *mem;
    struct cp_aeads *aeads;
    struct end i, r;
    struct identity of_i, of_r;
    uint8_t m1[2048], m2[16384], m3[2048], m4[512]; /* as they were sent */
    size_t len[5];
};

static int set_up(void **state)
{
    struct world *w = calloc(1, sizeof(*w));

    w->budget.left = -1;
    w->mem = cp_mem_new(counted, &w->budget);
    w->aeads = cp_aeads_new(w->mem);
    *state = w;
    return 0;
}

static void part(struct world *w)
{
    cp_edhoc_clear(&w->i.session);
    cp_edhoc_clear(&w->r.session);
}

static int tear_down(void **state)
{
    struct world *w = *state;

    part(w);
    cp_aeads_free(w->aeads);
    assert_int_equal(cp_mem_used(w->mem), 0);
    cp_mem_release(w->mem);
    free(w);
    return 0;
}

/* ---- Who they are ---- */

enum naming {
    BY_KID,
    KCCS,
    KCWT
};

static void put_claims(struct cp_buf *b, const struct cp_public_key *key,
                       const char *sub, const char *kid)
{
    cp_cbor_put_map(b, 1u + (sub != NULL));
    if (sub != NULL) {
        cp_cbor_put_unsigned(b, 2);
        cp_cbor_put_text(b, cp_bytes_of_text(sub));
    }
    cp_cbor_put_unsigned(b, 8);
    cp_cbor_put_map(b, 1);
    cp_cbor_put_unsigned(b, 1);
    cp_cose_put_key(b, key, cp_bytes_of_text(kid));
}

static void make(struct identity *p, enum cp_curve curve, const char *sub,
                 const char *kid, enum naming naming)
{
    struct cp_buf claims = cp_buf_fixed(p->cred, sizeof(p->cred));
    struct cp_buf id = cp_buf_fixed(p->id, sizeof(p->id));
    struct cp_public_key key;
    uint8_t copy[200];

    assert_int_equal(cp_curve_generate(curve, p->secret, &key), 0);
    put_claims(&claims, &key, sub, kid);
    if (naming == KCWT) { /* a claim nobody checks: it is known, or it is not */
        size_t len = claims.len;

        memcpy(copy, p->cred, len);
        claims = cp_buf_fixed(p->cred, sizeof(p->cred));
        cp_cbor_put_array(&claims, 4);
        cp_cbor_put_bytes(&claims, cp_bytes_of_text("\xa1\x01\x26"));
        cp_cbor_put_map(&claims, 0);
        cp_cbor_put_bytes(&claims, cp_bytes(copy, len));
        cp_cbor_put_bytes(&claims, cp_bytes_of_text("signature"));
    }
    p->cred_len = claims.len;
    if (naming == BY_KID) {
        cp_cose_put_kid(&id, cp_bytes_of_text(kid));
    } else {
        cp_cbor_put_map(&id, 1);
        cp_cbor_put_unsigned(&id, naming == KCCS ? CP_COSE_KCCS : CP_COSE_KCWT);
        cp_put_bytes(&id, cp_bytes(p->cred, p->cred_len));
    }
    p->id_len = id.len;
    assert_false(claims.failed || id.failed);
}

static void show(struct end *e, enum cp_curve curve, const struct identity *p)
{
    end_own(e, curve, cp_bytes(p->secret, CP_CURVE_KEY),
            cp_bytes(p->id, p->id_len), cp_bytes(p->cred, p->cred_len));
}

static copal_bytes cred_of(const struct identity *p)
{
    return cp_bytes(p->cred, p->cred_len);
}

static enum cp_curve curve_for(int suite, bool by_signature)
{
    const struct cp_edhoc_suite *s = cp_edhoc_suite_find(suite);

    return by_signature ? s->signature : s->curve;
}

/* Two who know each other, for one method and one suite. */
static void meet(struct world *w, int method, int suite, enum naming naming)
{
    int suites[] = {suite, -1};
    enum cp_curve of_i = curve_for(suite, (method & 2) == 0);
    enum cp_curve of_r = curve_for(suite, (method & 1) == 0);

    part(w);
    end_init(&w->i, w->mem, w->aeads, 1u << method, suites);
    end_init(&w->r, w->mem, w->aeads, 1u << method, suites);
    make(&w->of_i, of_i, "initiator", "i", naming);
    make(&w->of_r, of_r, "responder", "\x01", naming);
    show(&w->i, of_i, &w->of_i);
    show(&w->r, of_r, &w->of_r);
    end_knows(&w->i, cred_of(&w->of_r));
    end_knows(&w->r, cred_of(&w->of_i));
    w->i.cid = (struct cp_edhoc_cid){1, {0x0a}};
    w->r.cid = (struct cp_edhoc_cid){2, {0xab, 0xcd}};
    end_begin(&w->i, true);
    end_begin(&w->r, false);
}

static void keep(struct world *w, int message, copal_bytes bytes)
{
    uint8_t *const to[] = {NULL, w->m1, w->m2, w->m3, w->m4};
    static const size_t caps[] = {0, sizeof(w->m1), sizeof(w->m2),
                                  sizeof(w->m3), sizeof(w->m4)};

    assert_true(bytes.len <= caps[message]);
    if (bytes.len > 0)
        memcpy(to[message], bytes.data, bytes.len);
    w->len[message] = bytes.len;
}

/* 0, or who first said no, with the error message in *out. */
static int run(struct world *w, copal_bytes *out)
{
    int err = cp_edhoc_begin(&w->i.session, w->i.setup.suites.count - 1, out);

    if (err != 0)
        return err;
    keep(w, 1, *out);
    err = cp_edhoc_take_1(&w->r.session, *out, out);
    if (err != 0)
        return err;
    keep(w, 2, *out);
    err = cp_edhoc_take_2(&w->i.session, *out, out);
    if (err != 0)
        return err;
    keep(w, 3, *out);
    err = cp_edhoc_take_3(&w->r.session, *out, out);
    if (err != 0)
        return err;
    keep(w, 4, *out);
    return cp_edhoc_take_4(&w->i.session, *out, out);
}

static void check_alike(struct world *w)
{
    struct cp_edhoc_oscore a, b;

    assert_int_equal(w->i.session.state, CP_EDHOC_DONE);
    assert_int_equal(w->r.session.state, CP_EDHOC_DONE);
    assert_int_equal(cp_edhoc_oscore(&w->i.session, &a), 0);
    assert_int_equal(cp_edhoc_oscore(&w->r.session, &b), 0);
    assert_int_equal(a.secret_len, b.secret_len);
    assert_memory_equal(a.secret, b.secret, a.secret_len);
    assert_memory_equal(a.salt, b.salt, sizeof(a.salt));
    assert_int_equal(a.aead, b.aead);
    assert_bytes_equal(cp_edhoc_cid_bytes(&a.sender),
                       cp_edhoc_cid_bytes(&b.recipient));
    assert_bytes_equal(cp_edhoc_cid_bytes(&a.recipient),
                       cp_edhoc_cid_bytes(&b.sender));
    assert_string_equal(w->i.session.peer, "responder");
    assert_string_equal(w->r.session.peer, "initiator");
}

static int64_t code_of(copal_bytes out)
{
    struct cp_edhoc_error e;

    assert_int_equal(cp_edhoc_read_error(out, &e), 0);
    return e.code;
}

/* ---- What works ---- */

static void two_agree_in_every_method_and_suite(void **state)
{
    struct world *w = *state;
    copal_bytes out;

    if (!has_curves())
        skip();
    for (int method = 0; method < 4; method++)
        for (int suite = 0; suite <= 6; suite++) {
            meet(w, method, suite, BY_KID);
            if (run(w, &out) != 0)
                fail_msg("method %d, suite %d: %s / %s", method, suite,
                         w->i.session.why, w->r.session.why);
            check_alike(w);
        }
}

static void a_credential_may_come_by_value(void **state)
{
    struct world *w = *state;
    copal_bytes out;

    if (!has_curves())
        skip();
    for (enum naming n = KCCS; n <= KCWT; n++) {
        meet(w, 0, 0, n);
        assert_int_equal(run(w, &out), 0);
        check_alike(w);
    }
}

/* A chain of one certificate stands by itself. RFC 9360 2. */
static void a_certificate_may_come_by_value(void **state)
{
    struct world *w = *state;
    struct trace t;
    uint8_t id[300];
    struct cp_buf b = cp_buf_fixed(id, sizeof(id));
    copal_bytes cred, out;

    if (!has_curves())
        skip();
    trace_open(&t, 0);
    cred = trace_get(&t, "message_3", "CRED_I", "CBOR");
    cp_cbor_put_map(&b, 1);
    cp_cbor_put_unsigned(&b, CP_COSE_X5CHAIN);
    cp_put_bytes(&b, cred);
    meet(w, 0, 0, BY_KID);
    w->i.own_count = w->r.known_count = 0;
    end_own(&w->i, CP_ED25519, trace_get(&t, "message_3", "SK_I", NULL),
            cp_bytes(id, b.len), cred);
    end_knows(&w->r, cred);
    assert_int_equal(run(w, &out), 0);
    assert_string_equal(w->r.session.peer, "EDHOC Initiator Ed25519");
    trace_close(&t);
}

static void the_right_one_of_several_with_a_kid_is_found(void **state)
{
    struct world *w = *state;
    struct identity others[3];
    copal_bytes out;

    if (!has_curves())
        skip();
    for (int method = 0; method < 4; method += 3) {
        meet(w, method, 2, BY_KID);
        w->r.known_count = 0;
        for (int i = 0; i < 3; i++) {
            make(&others[i], i == 1 ? CP_X25519 : CP_P256, "other", "i",
                 BY_KID);
            end_knows(&w->r, cred_of(&others[i]));
        }
        end_knows(&w->r, cred_of(&w->of_i));
        assert_int_equal(run(w, &out), 0);
        check_alike(w);
        assert_int_equal(w->r.asked, 4);
    }
}

static void a_credential_without_a_subject_is_named_by_its_hash(void **state)
{
    struct world *w = *state;
    copal_bytes out;

    if (!has_curves())
        skip();
    meet(w, 3, 2, BY_KID);
    w->i.own_count = w->r.known_count = 0;
    make(&w->of_i, CP_P256, NULL, "i", BY_KID);
    show(&w->i, CP_P256, &w->of_i);
    end_knows(&w->r, cred_of(&w->of_i));
    assert_int_equal(run(w, &out), 0);
    assert_memory_equal(w->r.session.peer, "ni:///sha-256;", 14);
    assert_int_equal(strlen(w->r.session.peer), 14 + 43);
}

/* RFC 9528 G: above 255 hashes of key stream, more of them follow. */
static void a_message_2_may_be_long(void **state)
{
    struct world *w = *state;
    uint8_t *ead = calloc(1, 9000);
    struct cp_buf b = cp_buf_fixed(ead, 9000);
    copal_bytes out;
    static const uint8_t zeroes[8500];

    if (!has_curves()) {
        free(ead);
        skip();
    }
    meet(w, 0, 0, BY_KID);
    cp_cbor_put_unsigned(&b, 0);
    cp_cbor_put_bytes(&b, cp_bytes(zeroes, sizeof(zeroes)));
    w->r.setup.ead[1] = cp_bytes(ead, b.len);
    end_begin(&w->r, false);
    assert_int_equal(run(w, &out), 0);
    assert_true(w->len[2] > 8160);
    check_alike(w);
    free(ead);
}

static void keys_of_an_update_are_others_and_alike(void **state)
{
    struct world *w = *state;
    struct cp_edhoc_oscore before, after;
    copal_bytes out;

    if (!has_curves())
        skip();
    meet(w, 3, 2, BY_KID);
    assert_int_equal(run(w, &out), 0);
    assert_int_equal(cp_edhoc_oscore(&w->i.session, &before), 0);
    assert_int_equal(cp_edhoc_update(&w->i.session, cp_bytes_of_text("1")), 0);
    assert_int_equal(cp_edhoc_oscore(&w->i.session, &after), 0);
    assert_memory_not_equal(before.secret, after.secret, before.secret_len);
    assert_int_equal(cp_edhoc_update(&w->r.session, cp_bytes_of_text("1")), 0);
    check_alike(w);
}

static bool is_wiped(const uint8_t *p, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (p[i] != 0)
            return false;
    return true;
}

static void secrets_are_wiped_once_they_are_used(void **state)
{
    struct world *w = *state;
    copal_bytes out;

    if (!has_curves())
        skip();
    meet(w, 3, 2, BY_KID);
    assert_int_equal(run(w, &out), 0);
    assert_true(is_wiped(w->i.session.secret, CP_CURVE_KEY));
    assert_true(is_wiped(w->r.session.secret, CP_CURVE_KEY));
    assert_true(is_wiped(w->i.session.prk, CP_HASH_LEN));
    assert_true(is_wiped(w->r.session.prk, CP_HASH_LEN));
    part(w);
    assert_true(is_wiped(w->i.session.prk_out, CP_HASH_LEN));
    assert_true(is_wiped(w->r.session.prk_exporter, CP_HASH_LEN));

    meet(w, 3, 2, BY_KID); /* and when it fails */
    w->r.known_count = 0;
    assert_int_equal(run(w, &out), COPAL_EAUTH);
    assert_true(is_wiped(w->r.session.secret, CP_CURVE_KEY));
    assert_true(is_wiped(w->r.session.prk, CP_HASH_LEN));
}

/* ---- External authorization data ---- */

struct heard {
    int message;
    int64_t label;
    char value[8];
};

static struct heard heard[8];
static size_t heard_count;

static int on_ead(void *user, int message, const struct cp_edhoc_ead *ead)
{
    struct heard *h = &heard[heard_count++];

    (void)user;
    h->message = message;
    h->label = ead->label;
    memset(h->value, 0, sizeof(h->value));
    if (ead->has_value)
        memcpy(h->value, ead->value.data, ead->value.len);
    return ead->label == -70 ? COPAL_ENOENT : 0;
}

static const uint8_t some_ead[] = {0, 0x18, 65, 0x41, 'x', 0, 0x40, 0x38, 65};

static void data_of_others_is_handed_on_and_padding_is_not(void **state)
{
    struct world *w = *state;
    copal_bytes out;

    if (!has_curves())
        skip();
    meet(w, 0, 0, BY_KID);
    for (int i = 0; i < 4; i++) {
        w->i.setup.ead[i] = cp_bytes(some_ead, sizeof(some_ead));
        w->r.setup.ead[i] = cp_bytes(some_ead, sizeof(some_ead));
    }
    w->i.setup.on_ead = w->r.setup.on_ead = on_ead;
    end_begin(&w->i, true);
    end_begin(&w->r, false);
    heard_count = 0;
    assert_int_equal(run(w, &out), 0);
    check_alike(w);
    assert_int_equal(heard_count, 8);
    for (int i = 0; i < 4; i++) {
        assert_int_equal(heard[2 * i].message, i + 1);
        assert_int_equal(heard[2 * i].label, 65);
        assert_string_equal(heard[2 * i].value, "x");
        assert_int_equal(heard[2 * i + 1].label, -66);
    }
}

static void critical_data_that_nobody_knows_ends_a_session(void **state)
{
    static const uint8_t critical[] = {0x38, 69}; /* -70 */
    struct world *w = *state;
    copal_bytes out;

    if (!has_curves())
        skip();
    for (int i = 0; i < 8; i++) { /* with a hook that says no, or without */
        meet(w, 0, 0, BY_KID);
        (i % 2 == 0 ? &w->i : &w->r)->setup.ead[i % 4] =
            cp_bytes(critical, sizeof(critical));
        if (i >= 4)
            w->i.setup.on_ead = w->r.setup.on_ead = on_ead;
        heard_count = 0;
        end_begin(&w->i, true);
        end_begin(&w->r, false);
        assert_int_equal(run(w, &out), COPAL_ENOTSUP);
        assert_int_equal(code_of(out), CP_EDHOC_UNSPECIFIED);
    }
}

/* ---- What is refused ---- */

static void an_unknown_credential_has_an_error_of_its_own(void **state)
{
    struct world *w = *state;
    copal_bytes out;

    if (!has_curves())
        skip();
    meet(w, 0, 0, BY_KID);
    w->i.known_count = 0;
    assert_int_equal(run(w, &out), COPAL_EAUTH);
    assert_int_equal(code_of(out), CP_EDHOC_UNKNOWN_CREDENTIAL);
    assert_int_equal(w->i.session.state, CP_EDHOC_FAILED);
    meet(w, 3, 2, BY_KID);
    w->r.known_count = 0;
    assert_int_equal(run(w, &out), COPAL_EAUTH);
    assert_int_equal(code_of(out), CP_EDHOC_UNKNOWN_CREDENTIAL);
    assert_int_equal(w->r.session.state, CP_EDHOC_FAILED);
}

static void who_has_another_key_is_not_believed(void **state)
{
    struct world *w = *state;
    struct identity other;
    copal_bytes out;

    if (!has_curves())
        skip();
    for (int method = 0; method < 4; method++)
        for (int who = 0; who < 2; who++) {
            enum cp_curve curve =
                curve_for(0, (method & (who == 0 ? 2 : 1)) == 0);
            struct end *e = who == 0 ? &w->i : &w->r;

            meet(w, method, 0, BY_KID);
            make(&other, curve, "other", "x", BY_KID);
            memcpy(e->own[0].secret, other.secret, CP_CURVE_KEY);
            assert_int_equal(run(w, &out), COPAL_EAUTH);
            assert_int_equal(code_of(out), CP_EDHOC_UNSPECIFIED);
        }
}

static void who_shows_our_own_credential_is_not_believed(void **state)
{
    struct world *w = *state;
    copal_bytes out;

    if (!has_curves())
        skip();
    meet(w, 3, 2, BY_KID);
    w->r.own_count = 0;
    show(&w->r, CP_P256, &w->of_i);
    end_knows(&w->i, cred_of(&w->of_i));
    assert_int_equal(run(w, &out), COPAL_EAUTH);
    assert_int_equal(w->i.session.state, CP_EDHOC_FAILED);
}

static void a_method_or_a_suite_that_is_not_there_is_refused(void **state)
{
    static const int suites[] = {0, 3, -1};
    struct world *w = *state;
    struct cp_edhoc_error error;
    copal_bytes out;

    if (!has_curves())
        skip();
    meet(w, 0, 0, BY_KID);
    w->r.setup.methods = 1u << 3;
    end_begin(&w->r, false);
    assert_int_equal(run(w, &out), COPAL_ENOTSUP);
    assert_int_equal(code_of(out), CP_EDHOC_UNSPECIFIED);

    meet(w, 3, 2, BY_KID); /* it has 0 and 3: an array says so */
    end_init(&w->r, w->mem, w->aeads, 8, suites);
    end_begin(&w->r, false);
    assert_int_equal(run(w, &out), COPAL_ENOTSUP);
    assert_int_equal(cp_edhoc_read_error(out, &error), 0);
    assert_int_equal(error.code, CP_EDHOC_WRONG_SUITE);
    assert_int_equal(error.suites.count, 2);
    assert_int_equal(error.suites.list[1], 3);
}

/* RFC 9528 6.3.2: with suites 4, 5, 6, 2 and 3 for its 5 to 9. */
static void the_first_suite_that_both_have_is_the_one(void **state)
{
    static const struct {
        size_t selected;
        int of_r[4];
        bool is_taken;
    } rows[] = {
        {0, {5, -1}, false},   {1, {5, -1}, true},     {1, {3, 2, -1}, false},
        {3, {3, 2, -1}, true}, {4, {3, 2, -1}, false}, {1, {4, 5, -1}, false},
        {0, {5, 4, -1}, true},
    };
    static const int of_i[] = {4, 5, 6, 2, 3, -1};
    struct world *w = *state;
    struct identity x;
    copal_bytes out;

    if (!has_curves())
        skip();
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        int err;

        meet(w, 3, 2, BY_KID);
        make(&x, CP_X25519, "x", "x", BY_KID);
        end_init(&w->r, w->mem, w->aeads, 8, rows[i].of_r);
        end_init(&w->i, w->mem, w->aeads, 8, of_i);
        for (int e = 0; e < 2; e++) {
            show(e == 0 ? &w->i : &w->r, CP_P256, &w->of_r);
            show(e == 0 ? &w->i : &w->r, CP_X25519, &x);
        }
        end_begin(&w->i, true);
        end_begin(&w->r, false);
        w->r.cid = (struct cp_edhoc_cid){1, {5}};
        assert_int_equal(cp_edhoc_begin(&w->i.session, rows[i].selected, &out),
                         0);
        err = cp_edhoc_take_1(&w->r.session, out, &out);
        assert_int_equal(err, rows[i].is_taken ? 0 : COPAL_ENOTSUP);
        if (!rows[i].is_taken)
            assert_int_equal(code_of(out), CP_EDHOC_WRONG_SUITE);
    }
}

static void the_same_identifier_on_both_sides_is_refused(void **state)
{
    struct world *w = *state;
    copal_bytes out;

    if (!has_curves())
        skip();
    meet(w, 0, 0, BY_KID);
    w->r.cid = w->i.cid;
    assert_int_equal(run(w, &out), COPAL_EFORMAT);
    assert_int_equal(w->i.session.state, CP_EDHOC_FAILED);
}

static void identifiers_too_long_for_oscore_are_told(void **state)
{
    struct world *w = *state;
    struct cp_edhoc_oscore made;
    copal_bytes out;

    if (!has_curves())
        skip();
    meet(w, 0, 4, BY_KID);
    w->r.cid = (struct cp_edhoc_cid){7, "1234567"};
    assert_int_equal(run(w, &out), 0);
    assert_int_equal(cp_edhoc_oscore(&w->i.session, &made), COPAL_ELIMIT);
    meet(w, 0, 0, BY_KID); /* a CCM takes one more */
    w->r.cid = (struct cp_edhoc_cid){7, "1234567"};
    assert_int_equal(run(w, &out), 0);
    assert_int_equal(cp_edhoc_oscore(&w->i.session, &made), 0);
}

/* Each message is taken once, in its turn. RFC 9528 5.1. */
static void a_message_out_of_turn_changes_nothing(void **state)
{
    struct world *w = *state;
    copal_bytes out;

    if (!has_curves())
        skip();
    meet(w, 3, 2, BY_KID);
    assert_int_equal(run(w, &out), 0);
    assert_int_equal(
        cp_edhoc_take_1(&w->r.session, cp_bytes(w->m1, w->len[1]), &out),
        COPAL_ESTATE);
    assert_int_equal(out.len, 0);
    assert_int_equal(
        cp_edhoc_take_3(&w->r.session, cp_bytes(w->m3, w->len[3]), &out),
        COPAL_ESTATE);
    assert_int_equal(
        cp_edhoc_take_2(&w->i.session, cp_bytes(w->m2, w->len[2]), &out),
        COPAL_ESTATE);
    assert_int_equal(
        cp_edhoc_take_4(&w->i.session, cp_bytes(w->m4, w->len[4]), &out),
        COPAL_ESTATE);
    check_alike(w);
    meet(w, 3, 2, BY_KID);
    assert_int_equal(
        cp_edhoc_take_3(&w->r.session, cp_bytes(w->m3, w->len[3]), &out),
        COPAL_ESTATE);
    assert_int_equal(
        cp_edhoc_take_1(&w->i.session, cp_bytes(w->m1, w->len[1]), &out),
        COPAL_ESTATE);
    assert_int_equal(cp_edhoc_export(&w->i.session, 0, out, w->m1, 16),
                     COPAL_ESTATE);
    assert_int_equal(run(w, &out), 0);
}

/* Message 1 changed is noticed by the Initiator, since TH_2 is over it; the
 * others by who takes them. */
static void no_byte_of_a_message_can_be_changed(void **state)
{
    struct world *w = *state;
    copal_bytes out;

    if (!has_curves())
        skip();
    for (int message = 1; message <= 4; message++)
        for (size_t at = 0, len = 1; at < len; at += 1 + at / 12) {
            uint8_t copy[512];
            int err;

            meet(w, 3, 2, BY_KID);
            err = cp_edhoc_begin(&w->i.session, 0, &out);
            for (int m = 1; err == 0 && m <= 4; m++) {
                assert_true(out.len <= sizeof(copy));
                memcpy(copy, out.data, out.len);
                len = m == message ? out.len : len;
                if (m == message)
                    copy[at] ^= 0x04;
                out = cp_bytes(copy, out.len);
                err = m == 1   ? cp_edhoc_take_1(&w->r.session, out, &out)
                      : m == 2 ? cp_edhoc_take_2(&w->i.session, out, &out)
                      : m == 3 ? cp_edhoc_take_3(&w->r.session, out, &out)
                               : cp_edhoc_take_4(&w->i.session, out, &out);
                assert_true(err != 0 || m < message ||
                            (message == 1 && m == 1));
            }
            assert_int_not_equal(err, 0);
            assert_true(w->i.session.state == CP_EDHOC_FAILED ||
                        w->r.session.state == CP_EDHOC_FAILED);
        }
}

static void a_message_cut_short_or_longer_is_refused(void **state)
{
    struct world *w = *state;
    copal_bytes out;

    if (!has_curves())
        skip();
    meet(w, 0, 0, BY_KID);
    assert_int_equal(run(w, &out), 0);
    part(w);
    for (size_t len = 0; len < w->len[1]; len++) {
        end_begin(&w->r, false);
        assert_int_equal(
            cp_edhoc_take_1(&w->r.session, cp_bytes(w->m1, len), &out),
            COPAL_EFORMAT);
        assert_int_equal(code_of(out), CP_EDHOC_UNSPECIFIED);
        cp_edhoc_clear(&w->r.session);
    }
    for (size_t len = 0; len < w->len[2]; len++) {
        end_begin(&w->i, true);
        assert_int_equal(cp_edhoc_begin(&w->i.session, 0, &out), 0);
        assert_int_equal(
            cp_edhoc_take_2(&w->i.session, cp_bytes(w->m2, len), &out),
            COPAL_EFORMAT);
        cp_edhoc_clear(&w->i.session);
    }
}

/* ---- Messages ---- */

static void identifiers_stand_as_rfc_9528_has_them(void **state)
{
    static const struct {
        const char *id, *wire;
        size_t id_len, wire_len;
    } rows[] = {
        {"\x21", "\x21", 1, 1},
        {"\x0d", "\x0d", 1, 1},
        {"\x18", "\x41\x18", 1, 2},
        {"\x38", "\x41\x38", 1, 2},
        {"\xab\xcd", "\x42\xab\xcd", 2, 3},
        {"", "\x40", 0, 1},
        {"\xff", "\x41\xff", 1, 2},
        {"\0", "\0", 1, 1},
        {"\x37", "\x37", 1, 1},
        {"\x17", "\x17", 1, 1},
    };
    static const char *const bad[] = {"\x41\x21",     "\x41\x17", "\x18\x05",
                                      "\x58\x01\xff", "\x61\x61", "\xf6"};
    struct cp_edhoc_cid cid;
    copal_bytes rest;
    bool first;

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        uint8_t out[8];
        struct cp_buf b = cp_buf_fixed(out, sizeof(out));

        cp_edhoc_put_cid(&b, cp_bytes(rows[i].id, rows[i].id_len));
        assert_bytes_equal(cp_bytes(out, b.len),
                           cp_bytes(rows[i].wire, rows[i].wire_len));
        cp_put_u8(&b, 0x40);
        assert_int_equal(
            cp_edhoc_read_prefix(cp_bytes(out, b.len), &first, &cid, &rest), 0);
        assert_false(first);
        assert_int_equal(rest.len, 1);
        assert_bytes_equal(cp_edhoc_cid_bytes(&cid),
                           cp_bytes(rows[i].id, rows[i].id_len));
    }
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
        assert_int_equal(
            cp_edhoc_read_prefix(cp_bytes_of_text(bad[i]), &first, &cid, &rest),
            COPAL_EFORMAT);
    assert_int_equal(
        cp_edhoc_read_prefix(cp_bytes_of_text("\xf5\x05"), &first, &cid, &rest),
        0);
    assert_true(first);
    assert_int_equal(rest.len, 1);
    assert_int_equal(
        cp_edhoc_read_prefix((copal_bytes){0}, &first, &cid, &rest),
        COPAL_EFORMAT);
}

static void errors_are_read_as_they_are_written(void **state)
{
    struct cp_edhoc_error in[] = {
        {.code = CP_EDHOC_UNSPECIFIED, .text = cp_bytes_of_text("no")},
        {.code = CP_EDHOC_WRONG_SUITE, .suites = {1, {2}}},
        {.code = CP_EDHOC_WRONG_SUITE, .suites = {3, {0, -24, 500}}},
        {.code = CP_EDHOC_UNKNOWN_CREDENTIAL},
    };
    static const char *const wire[] = {
        "\x01\x62no", "\x02\x02", "\x02\x83\0\x37\x19\x01\xf4", "\x03\xf5"};
    static const size_t lens[] = {4, 2, 7, 2};

    (void)state;
    for (size_t i = 0; i < 4; i++) {
        uint8_t bytes[32];
        struct cp_buf b = cp_buf_fixed(bytes, sizeof(bytes));
        struct cp_edhoc_error out;

        cp_edhoc_put_error(&b, &in[i]);
        assert_bytes_equal(cp_bytes(bytes, b.len), cp_bytes(wire[i], lens[i]));
        assert_int_equal(cp_edhoc_read_error(cp_bytes(bytes, b.len), &out), 0);
        assert_int_equal(out.code, in[i].code);
        assert_bytes_equal(out.text, in[i].text);
        assert_int_equal(out.suites.count, in[i].suites.count);
        assert_memory_equal(out.suites.list, in[i].suites.list,
                            in[i].suites.count * sizeof(int));
        /* A message of another kind is none. */
        assert_int_not_equal(
            cp_edhoc_read_error(cp_bytes(bytes, b.len - 1), &out), 0);
    }
}

/* ---- Memory ---- */

static void memory_that_runs_out_anywhere_ends_a_session_cleanly(void **state)
{
    struct world *w = *state;
    copal_bytes out;
    int err = COPAL_ENOMEM, n = 0;

    if (!has_curves())
        skip();
    for (; err != 0; n++) {
        meet(w, n % 2 == 0 ? 0 : 3, 2, KCCS);
        w->budget.left = n / 2;
        err = run(w, &out);
        w->budget.left = -1;
        if (n % 2 == 0) /* both methods have to get through */
            err = COPAL_ENOMEM;
        else if (err != 0)
            assert_int_equal(err, COPAL_ENOMEM);
        if (err == 0)
            check_alike(w);
    }
    assert_true(n > 20);
}

#define WORLD(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        WORLD(two_agree_in_every_method_and_suite),
        WORLD(a_credential_may_come_by_value),
        WORLD(a_certificate_may_come_by_value),
        WORLD(the_right_one_of_several_with_a_kid_is_found),
        WORLD(a_credential_without_a_subject_is_named_by_its_hash),
        WORLD(a_message_2_may_be_long),
        WORLD(keys_of_an_update_are_others_and_alike),
        WORLD(secrets_are_wiped_once_they_are_used),
        WORLD(data_of_others_is_handed_on_and_padding_is_not),
        WORLD(critical_data_that_nobody_knows_ends_a_session),
        WORLD(an_unknown_credential_has_an_error_of_its_own),
        WORLD(who_has_another_key_is_not_believed),
        WORLD(who_shows_our_own_credential_is_not_believed),
        WORLD(a_method_or_a_suite_that_is_not_there_is_refused),
        WORLD(the_first_suite_that_both_have_is_the_one),
        WORLD(the_same_identifier_on_both_sides_is_refused),
        WORLD(identifiers_too_long_for_oscore_are_told),
        WORLD(a_message_out_of_turn_changes_nothing),
        WORLD(no_byte_of_a_message_can_be_changed),
        WORLD(a_message_cut_short_or_longer_is_refused),
        cmocka_unit_test(identifiers_stand_as_rfc_9528_has_them),
        cmocka_unit_test(errors_are_read_as_they_are_written),
        WORLD(memory_that_runs_out_anywhere_ends_a_session_cleanly),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
