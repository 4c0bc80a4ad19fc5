/* OSCORE without its state: keys, numbers, the option, messages sealed and
 * opened. RFC 8613 appendix C. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include "secure/oscore_seal.h"
#include "secure/oscore_window.h"
#include "vectors.h"

enum {
    CONTEXTS = 6,
    MESSAGES = 5,
    REJECTIONS = 6,
    ROOM = 128
};

static json_t *document;
static struct cp_mem *mem;
static struct cp_aeads *aeads;

static int set_up(void **state)
{
    (void)state;
    document = vectors_load("oscore_rfc8613.json");
    mem = cp_mem_new(NULL, NULL);
    aeads = mem == NULL ? NULL : cp_aeads_new(mem);
    return mem == NULL;
}

static int tear_down(void **state)
{
    (void)state;
    json_decref(document);
    cp_aeads_free(aeads);
    assert_int_equal(cp_mem_used(mem), 0);
    cp_mem_release(mem);
    return 0;
}

static void need_library(void)
{
    if (aeads == NULL)
        skip();
}

static void assert_hex(copal_bytes got, json_t *row, const char *key)
{
    uint8_t storage[ROOM];
    copal_bytes expected = vectors_hex(row, key, storage, sizeof(storage));

    if (got.len != expected.len)
        fail_msg("%s: %s has %zu bytes, not %zu", vectors_text(row, "name"),
                 key, got.len, expected.len);
    if (got.len > 0)
        assert_memory_equal(got.data, expected.data, got.len);
}

/* ---- Keys ---- */

/* in's bytes stand in storage. */
static struct cp_oscore_input input_of(json_t *row, uint8_t storage[5][ROOM])
{
    struct cp_oscore_input in = {
        .secret = vectors_hex(row, "master_secret", storage[0], ROOM),
        .salt = vectors_hex(row, "master_salt", storage[1], ROOM),
        .sender_id = vectors_hex(row, "sender_id", storage[2], ROOM),
        .recipient_id = vectors_hex(row, "recipient_id", storage[3], ROOM),
        .aead = vectors_int(row, "aead_algorithm"),
        .hkdf = CP_OSCORE_HKDF,
    };

    if (!json_is_null(json_object_get(row, "id_context")))
        in.id_context = vectors_hex(row, "id_context", storage[4], ROOM);
    return in;
}

static json_t *context_row(const char *name)
{
    json_t *rows = vectors_rows(document, "key_derivation", CONTEXTS);

    for (size_t i = 0; i < CONTEXTS; i++) {
        json_t *row = json_array_get(rows, i);

        if (strcmp(vectors_text(row, "name"), name) == 0)
            return row;
    }
    fail_msg("no context %s", name);
    return NULL;
}

static struct cp_oscore_keys keys_of(json_t *row)
{
    uint8_t storage[5][ROOM];
    struct cp_oscore_input in = input_of(row, storage);
    struct cp_oscore_keys keys;

    assert_int_equal(cp_oscore_derive(&in, &keys), 0);
    return keys;
}

static void assert_info(json_t *row, const struct cp_oscore_input *in,
                        copal_bytes id, const char *type, size_t len,
                        const char *key)
{
    uint8_t storage[ROOM];
    struct cp_buf b = cp_buf_fixed(storage, sizeof(storage));

    cp_oscore_put_info(&b, id, in->id_context, in->aead, type, len);
    assert_hex(cp_bytes(b.data, b.len), row, key);
}

static void keys_are_those_of_the_appendix(void **state)
{
    json_t *rows = vectors_rows(document, "key_derivation", CONTEXTS);

    (void)state;
    need_library();
    for (size_t i = 0; i < CONTEXTS; i++) {
        json_t *row = json_array_get(rows, i);
        uint8_t storage[5][ROOM], nonce[CP_AEAD_NONCE], zero[8];
        struct cp_oscore_input in = input_of(row, storage);
        struct cp_oscore_keys k = keys_of(row);
        copal_bytes piv = cp_oscore_piv(0, zero);

        assert_info(row, &in, in.sender_id, "Key", 16, "info_sender_key");
        assert_info(row, &in, in.recipient_id, "Key", 16, "info_recipient_key");
        assert_info(row, &in, (copal_bytes){0}, "IV", 13, "info_common_iv");
        assert_hex(cp_bytes(k.sender.bytes, 16), row, "sender_key");
        assert_hex(cp_bytes(k.recipient.bytes, 16), row, "recipient_key");
        assert_hex(cp_bytes(k.common_iv, 13), row, "common_iv");
        assert_hex(cp_oscore_nonce(&k, true, piv, nonce), row,
                   "sender_nonce_piv0");
        assert_hex(cp_oscore_nonce(&k, false, piv, nonce), row,
                   "recipient_nonce_piv0");
    }
}

static void what_makes_no_context_is_refused(void **state)
{
    static const struct {
        int aead, hkdf;
        size_t sender, recipient, context;
        int error;
    } rows[] = {
        {10, -10, 7, 0, 0, 0},
        {10, -10, 8, 0, 0, COPAL_EINVAL},
        {10, -10, 0, 8, 0, COPAL_EINVAL},
        {10, -10, 1, 1, 0, COPAL_EINVAL},
        {10, -10, 1, 0, 64, 0},
        {10, -10, 1, 0, 65, COPAL_EINVAL},
        {1, 5, 6, 0, 0, 0},
        {1, 5, 7, 0, 0, COPAL_EINVAL},
        {12, 6, 1, 0, 0, 0},
        {12, 6, 2, 0, 0, COPAL_EINVAL},
        {33, 7, 1, 0, 0, 0},
        {34, 7, 1, 0, 0, COPAL_EINVAL},
        {24, -11, 6, 0, 0, 0},
        {24, -12, 6, 0, 0, COPAL_EINVAL},
        {0, -10, 1, 0, 0, COPAL_EINVAL},
    };
    static const uint8_t bytes[ROOM] = {1, 2, 3, 4, 5, 6, 7, 8, 9};

    (void)state;
    need_library();
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct cp_oscore_input in = {
            .secret = cp_bytes(bytes, 16),
            .sender_id = cp_bytes(bytes, rows[i].sender),
            .recipient_id = cp_bytes(bytes, rows[i].recipient),
            .id_context = cp_bytes(bytes, rows[i].context),
            .aead = rows[i].aead,
            .hkdf = rows[i].hkdf,
        };
        struct cp_oscore_keys k;

        assert_int_equal(cp_oscore_derive(&in, &k), rows[i].error);
    }
}

/* ---- The option ---- */

static copal_bytes unhex(const char *hex, uint8_t *out)
{
    size_t len = strlen(hex) / 2;

    for (size_t i = 0; i < len; i++) {
        unsigned byte;

        assert_int_equal(sscanf(hex + 2 * i, "%2x", &byte), 1);
        out[i] = (uint8_t)byte;
    }
    return cp_bytes(out, len);
}

static void the_option_is_read_and_written(void **state)
{
    /* NULL: is not there. RFC 8613 6.1, 6.3. */
    static const struct {
        const char *value, *piv, *context, *kid;
    } rows[] = {
        {"", "", NULL, NULL},
        {"0914", "14", NULL, ""},
        {"091400", "14", NULL, "00"},
        {"19140837cbf3210017a2d3", "14", "37cbf3210017a2d3", ""},
        {"0100", "00", NULL, NULL},
        {"090525", "05", NULL, "25"},
        {"0d0102030405aabb", "0102030405", NULL, "aabb"},
        {"1000", "", "", NULL},
        {"1801ff0102", "", "ff", "0102"},
        {"08", "", NULL, ""},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        uint8_t value[ROOM], part[ROOM], again[ROOM];
        struct cp_buf b = cp_buf_fixed(again, sizeof(again));
        copal_bytes v = unhex(rows[i].value, value);
        struct cp_oscore_option o;

        assert_int_equal(cp_oscore_option_decode(v, &o), 0);
        assert_true(cp_bytes_equal(o.piv, unhex(rows[i].piv, part)));
        assert_int_equal(o.has_context, rows[i].context != NULL);
        assert_int_equal(o.has_kid, rows[i].kid != NULL);
        if (o.has_context)
            assert_true(
                cp_bytes_equal(o.context, unhex(rows[i].context, part)));
        if (o.has_kid)
            assert_true(cp_bytes_equal(o.kid, unhex(rows[i].kid, part)));
        cp_oscore_option_put(&b, &o);
        assert_true(cp_bytes_equal(cp_bytes(b.data, b.len), v));
    }
}

static void an_option_out_of_order_is_refused(void **state)
{
    static const char *const rows[] = {
        "00",   /* no flags take no byte */
        "2914", /* reserved bits */
        "4914",
        "8914",
        "0e000000000014", /* Partial IV of 6 and 7 bytes */
        "0f00000000000014",
        "09", /* cut off */
        "0d01020304",
        "10",
        "1902",
        "190208aabb",
        "011400", /* bytes behind the last part */
        "100100ff",
    };

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        uint8_t value[ROOM];
        struct cp_oscore_option o;

        assert_int_equal(cp_oscore_option_decode(unhex(rows[i], value), &o),
                         COPAL_EFORMAT);
    }
}

/* ---- Messages ---- */

static copal_msg *message_of(json_t *row, const char *key)
{
    uint8_t datagram[ROOM];
    struct cp_header h;
    copal_msg *m = NULL;
    copal_bytes bytes = vectors_hex(row, key, datagram, sizeof(datagram));

    assert_int_equal(cp_header_read(bytes, &h), 0);
    assert_int_equal(cp_datagram_decode(mem, &h, &m), 0);
    return m;
}

static void assert_datagram(const copal_msg *m, const copal_msg *like,
                            json_t *row, const char *key)
{
    uint8_t storage[ROOM];
    struct cp_buf b = cp_buf_fixed(storage, sizeof(storage));

    assert_int_equal(
        cp_datagram_encode(m, like->type, like->mid, like->token, &b), 0);
    assert_hex(cp_bytes(b.data, b.len), row, key);
}

struct row {
    struct cp_oscore_bound bound;
    struct cp_oscore_option head;
    uint8_t piv[8], kid[8], context[ROOM];
};

static bool is_null(json_t *row, const char *key)
{
    return json_is_null(json_object_get(row, key));
}

static void read_row(json_t *from, struct row *r)
{
    uint8_t kid[ROOM], piv[ROOM];

    memset(r, 0, sizeof(*r));
    cp_oscore_bind(&r->bound, vectors_hex(from, "request_kid", kid, ROOM),
                   vectors_hex(from, "request_piv", piv, ROOM));
    if (!is_null(from, "partial_iv_sent"))
        r->head.piv =
            vectors_hex(from, "partial_iv_sent", r->piv, sizeof(r->piv));
    r->head.has_kid = !is_null(from, "kid_sent");
    if (r->head.has_kid)
        r->head.kid = vectors_hex(from, "kid_sent", r->kid, sizeof(r->kid));
    r->head.has_context = !is_null(from, "kid_context_sent");
    if (r->head.has_context)
        r->head.context =
            vectors_hex(from, "kid_context_sent", r->context, ROOM);
}

static void messages_are_sealed_as_in_the_appendix(void **state)
{
    json_t *rows = vectors_rows(document, "messages", MESSAGES);

    (void)state;
    need_library();
    for (size_t i = 0; i < MESSAGES; i++) {
        json_t *row = json_array_get(rows, i);
        struct cp_oscore_keys k =
            keys_of(context_row(vectors_text(row, "security_context")));
        copal_msg *m = message_of(row, "unprotected_message"), *out = NULL;
        uint8_t aad[CP_OSCORE_AAD];
        struct row r;

        read_row(row, &r);
        assert_hex(cp_oscore_aad(&k, cp_oscore_bound_kid(&r.bound),
                                 cp_oscore_bound_piv(&r.bound), aad),
                   row, "aad");
        assert_int_equal(cp_oscore_seal(aeads, &k, &r.bound, &r.head, m, &out),
                         0);
        assert_datagram(out, m, row, "protected_message");
        cp_aeads_forget(aeads, &k.sender);
        copal_msg_unref(out);
        copal_msg_unref(m);
    }
}

/* The same context at the other end. */
static struct cp_oscore_keys other_end(const struct cp_oscore_keys *k)
{
    struct cp_oscore_keys o = *k;

    o.sender = k->recipient;
    o.recipient = k->sender;
    memcpy(o.sender_id, k->recipient_id, sizeof(o.sender_id));
    memcpy(o.recipient_id, k->sender_id, sizeof(o.recipient_id));
    o.sender_id_len = k->recipient_id_len;
    o.recipient_id_len = k->sender_id_len;
    memcpy(o.sender_iv, k->recipient_iv, sizeof(o.sender_iv));
    memcpy(o.recipient_iv, k->sender_iv, sizeof(o.recipient_iv));
    return o;
}

static void messages_of_the_appendix_open(void **state)
{
    json_t *rows = vectors_rows(document, "messages", MESSAGES);

    (void)state;
    need_library();
    for (size_t i = 0; i < MESSAGES; i++) {
        json_t *row = json_array_get(rows, i);
        struct cp_oscore_keys mine = keys_of(
                                  context_row(vectors_text(row, "security_"
                                                                "context"))),
                              k = other_end(&mine);
        copal_msg *m = message_of(row, "protected_message"), *out = NULL;
        struct row r;

        read_row(row, &r);
        assert_int_equal(cp_oscore_open(aeads, &k, &r.bound, &r.head, m, &out),
                         0);
        assert_datagram(out, m, row, "unprotected_message");
        cp_aeads_forget(aeads, &k.recipient);
        copal_msg_unref(out);
        copal_msg_unref(m);
    }
}

/* Of what is rejected these find it out without state. */
static void what_the_appendix_does_not_say_is_rejected(void **state)
{
    json_t *rows = vectors_rows(document, "rejections", REJECTIONS);
    unsigned malformed = 0, forged = 0;

    (void)state;
    need_library();
    for (size_t i = 0; i < REJECTIONS; i++) {
        json_t *row = json_array_get(rows, i);
        struct cp_oscore_keys k = keys_of(context_row("C.1.2"));
        copal_msg *m = message_of(row, "protected_message"), *out = NULL;
        const struct cp_option *o = cp_msg_find(m, COPAL_OPT_OSCORE);
        struct cp_oscore_option head;
        struct cp_oscore_bound bound;

        assert_non_null(o);
        if (cp_oscore_option_decode(cp_msg_option_value(m, o), &head) != 0) {
            malformed++;
        } else {
            cp_oscore_bind(&bound, cp_oscore_recipient(&k), head.piv);
            forged += cp_oscore_open(aeads, &k, &bound, &head, m, &out) ==
                      COPAL_EAUTH;
        }
        cp_aeads_forget(aeads, &k.recipient);
        copal_msg_unref(out);
        copal_msg_unref(m);
    }
    assert_int_equal(malformed, 2); /* reserved flags and length */
    assert_int_equal(forged, 2);    /* its tag, and no payload */
}

static struct cp_oscore_keys keys_by(int aead, int hkdf)
{
    static const uint8_t bytes[] = "a secret for tests, and a salt";
    struct cp_oscore_input in = {.secret = cp_bytes(bytes, 20),
                                 .salt = cp_bytes(bytes + 20, 8),
                                 .sender_id = cp_bytes(bytes, 1),
                                 .aead = aead,
                                 .hkdf = hkdf};
    struct cp_oscore_keys k;

    assert_int_equal(cp_oscore_derive(&in, &k), 0);
    return k;
}

static copal_msg *request_with_everything(void)
{
    copal_msg *m = cp_msg_new(mem, COPAL_PUT, 0);

    assert_int_equal(cp_msg_add(m, COPAL_OPT_URI_HOST, cp_bytes("h", 1)), 0);
    assert_int_equal(cp_msg_add(m, COPAL_OPT_URI_PATH, cp_bytes("secret", 6)),
                     0);
    assert_int_equal(cp_msg_add_uint(m, COPAL_OPT_BLOCK1, 8), 0);
    assert_int_equal(cp_msg_add(m, 2049, cp_bytes("unknown", 7)), 0);
    assert_int_equal(cp_msg_copy_payload(m, cp_bytes("payload", 7)), 0);
    return m;
}

static void each_algorithm_seals_what_it_opens(void **state)
{
    static const int all[] = {1, 2, 3, 10, 11, 12, 13, 24, 30, 31, 32, 33};
    static const int hashes[] = {-10, -11, 5, 6, 7};

    (void)state;
    need_library();
    for (size_t i = 0; i < sizeof(all) / sizeof(all[0]) * 5; i++) {
        struct cp_oscore_keys k = keys_by(all[i / 5], hashes[i % 5]),
                              peer = other_end(&k);
        copal_msg *m = request_with_everything(), *out = NULL, *back = NULL;
        uint8_t storage[8];
        struct cp_oscore_option head = {.piv = cp_oscore_piv(77, storage),
                                        .kid = cp_oscore_sender(&k),
                                        .has_kid = true};
        struct cp_oscore_bound bound;

        cp_oscore_bind(&bound, head.kid, head.piv);
        assert_int_equal(cp_oscore_seal(aeads, &k, &bound, &head, m, &out), 0);
        assert_int_equal(out->option_count, 2); /* Uri-Host and OSCORE */
        assert_int_equal(
            cp_oscore_open(aeads, &peer, &bound, &head, out, &back), 0);
        assert_int_equal(back->code, COPAL_PUT);
        assert_int_equal(back->option_count, 4);
        assert_true(cp_bytes_is_text(back->payload, "payload"));
        cp_aeads_forget(aeads, &k.sender);
        cp_aeads_forget(aeads, &peer.recipient);
        copal_msg_unref(m);
        copal_msg_unref(out);
        copal_msg_unref(back);
    }
}

static void outer_options_that_belong_within_are_discarded(void **state)
{
    struct cp_oscore_keys k, peer;
    copal_msg *m, *out = NULL, *back = NULL;
    uint8_t storage[8];
    struct cp_oscore_option head = {.piv = cp_oscore_piv(1, storage)};
    struct cp_oscore_bound bound;

    (void)state;
    need_library();
    k = keys_by(10, -10);
    peer = other_end(&k);
    m = request_with_everything();
    cp_oscore_bind(&bound, cp_oscore_sender(&k), head.piv);
    assert_int_equal(cp_oscore_seal(aeads, &k, &bound, &head, m, &out), 0);
    assert_int_equal(cp_msg_add(out, COPAL_OPT_IF_MATCH, cp_bytes("x", 1)), 0);
    assert_int_equal(cp_msg_add(out, COPAL_OPT_URI_PATH, cp_bytes("x", 1)), 0);
    assert_int_equal(cp_msg_add_uint(out, COPAL_OPT_OBSERVE, 0), 0);
    assert_int_equal(cp_msg_add_uint(out, COPAL_OPT_NO_RESPONSE, 26), 0);
    assert_int_equal(cp_msg_add(out, 65001, cp_bytes("x", 1)), 0);
    assert_int_equal(cp_oscore_open(aeads, &peer, &bound, &head, out, &back),
                     0);
    assert_int_equal(back->option_count, 4);
    assert_null(cp_msg_find(back, COPAL_OPT_IF_MATCH));
    assert_null(cp_msg_find(back, COPAL_OPT_OBSERVE));
    copal_msg_unref(m);
    copal_msg_unref(out);
    copal_msg_unref(back);
    cp_aeads_forget(aeads, &k.sender);
    cp_aeads_forget(aeads, &peer.recipient);
}

static void observe_stands_outside_too_and_is_empty_in_a_notification(
    void **state)
{
    struct cp_oscore_keys k, peer;
    uint8_t storage[8];
    struct cp_oscore_option head = {.piv = cp_oscore_piv(1, storage)};
    struct cp_oscore_bound bound;

    (void)state;
    need_library();
    k = keys_by(10, -10);
    peer = other_end(&k);
    cp_oscore_bind(&bound, cp_oscore_sender(&k), head.piv);
    for (int is_request = 0; is_request < 2; is_request++) {
        copal_msg *m = cp_msg_new(mem, is_request ? COPAL_GET : COPAL_CONTENT,
                                  0),
                  *out = NULL, *back = NULL;

        assert_int_equal(cp_msg_add_uint(m, COPAL_OPT_OBSERVE, 1), 0);
        assert_int_equal(cp_oscore_seal(aeads, &k, &bound, &head, m, &out), 0);
        assert_int_equal(out->code, is_request ? COPAL_FETCH : COPAL_CONTENT);
        assert_int_equal(cp_msg_uint_or(out, COPAL_OPT_OBSERVE, 99), 1);
        assert_int_equal(
            cp_oscore_open(aeads, &peer, &bound, &head, out, &back), 0);
        assert_int_equal(cp_msg_uint_or(back, COPAL_OPT_OBSERVE, 99),
                         is_request);
        copal_msg_unref(m);
        copal_msg_unref(out);
        copal_msg_unref(back);
    }
    cp_aeads_forget(aeads, &k.sender);
    cp_aeads_forget(aeads, &peer.recipient);
}

static void nothing_is_sealed_twice(void **state)
{
    struct cp_oscore_keys k;
    struct cp_oscore_option head = {.has_kid = true};
    struct cp_oscore_bound bound = {.kid_len = 0};
    copal_msg *m = cp_msg_new(mem, COPAL_GET, 0), *out = NULL;

    (void)state;
    if (aeads != NULL) {
        k = keys_by(10, -10);
        assert_int_equal(cp_msg_add(m, COPAL_OPT_OSCORE, (copal_bytes){0}), 0);
        assert_int_equal(cp_oscore_seal(aeads, &k, &bound, &head, m, &out),
                         COPAL_EINVAL);
    }
    copal_msg_unref(m);
    need_library();
}

/* ---- The window ---- */

static void a_number_is_taken_once_in_any_order(void **state)
{
    static const struct {
        uint64_t seq;
        bool is_new;
    } rows[] = {
        {0, true},
        {0, false},
        {5, true},
        {4, true},
        {5, false},
        {4, false},
        {1, true},
        {36, true},
        {5, false},
        {4, false},
        {6, true},
        {37, true},
        {6, false},
        {3, false},
        {2000, true},
        {1968, false},
        {1969, true},
        {37, false},
        {1999, true},
        {2000, false},
        {((UINT64_C(1) << 40) - 1), true},
        {((UINT64_C(1) << 40) - 1), false},
        {((UINT64_C(1) << 40) - 32), true},
        {2001, false},
    };
    struct cp_oscore_window w = {.size = 32};

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        if (cp_oscore_window_is_new(&w, rows[i].seq) != rows[i].is_new)
            fail_msg("row %zu", i);
        if (rows[i].is_new)
            cp_oscore_window_note(&w, rows[i].seq);
    }
}

static void a_window_may_begin_anywhere(void **state)
{
    struct cp_oscore_window w = {.size = 32};

    (void)state;
    cp_oscore_window_begin(&w, 100);
    assert_false(cp_oscore_window_is_new(&w, 0));
    assert_false(cp_oscore_window_is_new(&w, 99));
    assert_false(cp_oscore_window_is_new(&w, 100));
    assert_true(cp_oscore_window_is_new(&w, 102));
    cp_oscore_window_note(&w, 102);
    assert_true(cp_oscore_window_is_new(&w, 101));
    assert_false(cp_oscore_window_is_new(&w, 99));
    assert_false(cp_oscore_window_is_new(&w, 102));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(keys_are_those_of_the_appendix),
        cmocka_unit_test(what_makes_no_context_is_refused),
        cmocka_unit_test(the_option_is_read_and_written),
        cmocka_unit_test(an_option_out_of_order_is_refused),
        cmocka_unit_test(messages_are_sealed_as_in_the_appendix),
        cmocka_unit_test(messages_of_the_appendix_open),
        cmocka_unit_test(what_the_appendix_does_not_say_is_rejected),
        cmocka_unit_test(each_algorithm_seals_what_it_opens),
        cmocka_unit_test(outer_options_that_belong_within_are_discarded),
        cmocka_unit_test(
            observe_stands_outside_too_and_is_empty_in_a_notification),
        cmocka_unit_test(nothing_is_sealed_twice),
        cmocka_unit_test(a_number_is_taken_once_in_any_order),
        cmocka_unit_test(a_window_may_begin_anywhere),
    };

    return cmocka_run_group_tests(tests, set_up, tear_down);
}
