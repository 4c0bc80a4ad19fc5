/* Records of DTLS 1.2: how a datagram is taken apart, what counts as a
 * ClientHello, and what the record layer lets in. RFC 6347 4.1, RFC 9146. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "base/buf.h"
#include "secure/dtls_record.h"

/* ---- Finding ---- */

static const uint8_t two_records[] = {
    20, 0xfe, 0xfd, 0, 0, 0, 0, 0, 0, 0, 7, 0, 1, 1, /* ChangeCipherSpec */
    22, 0xfe, 0xfd, 0, 1, 0, 0, 0, 0, 1, 0, 0, 2, 0xaa, 0xbb,
};

static void a_datagram_is_split_into_its_records(void **state)
{
    copal_bytes rest = cp_bytes(two_records, sizeof(two_records));
    struct cp_record r;

    (void)state;
    assert_int_equal(cp_record_next(&rest, 9, &r), 1);
    assert_int_equal(r.type, CP_CHANGE_CIPHER);
    assert_int_equal(r.epoch, 0);
    assert_int_equal(r.seq, 7);
    assert_int_equal(r.whole.len, 14);
    assert_int_equal(cp_record_next(&rest, 9, &r), 1);
    assert_int_equal(r.type, CP_HANDSHAKE);
    assert_int_equal(r.epoch, 1);
    assert_int_equal(r.seq, 256);
    assert_int_equal(r.body.len, 2);
    assert_int_equal(r.body.data[0], 0xaa);
    assert_int_equal(cp_record_next(&rest, 9, &r), 0);
}

static void a_record_that_ends_too_early_is_none(void **state)
{
    struct cp_record r;

    (void)state;
    for (size_t len = 1; len < 14; len++) {
        copal_bytes rest = cp_bytes(two_records, len);

        assert_int_equal(cp_record_next(&rest, 9, &r), COPAL_EFORMAT);
        assert_int_equal(rest.len, len);
    }
}

static void a_record_with_a_connection_id_has_it_before_its_length(void **state)
{
    static const uint8_t bytes[] = {25, 0xfe, 0xfd, 0,   1,   0, 0, 0,   0,
                                    0,  3,    'c',  'i', 'd', 0, 1, 0x55};
    copal_bytes rest = cp_bytes(bytes, sizeof(bytes));
    struct cp_record r;

    (void)state;
    assert_int_equal(cp_record_next(&rest, 3, &r), 1);
    assert_true(cp_bytes_is_text(r.cid, "cid"));
    assert_int_equal(r.body.len, 1);
    assert_int_equal(rest.len, 0);
}

/* ---- ClientHello ---- */

/* One of 58 bytes: an empty session id, a cookie of 2 bytes, one suite, no
 * extensions. */
static size_t make_hello(uint8_t out[128], copal_bytes extensions)
{
    uint8_t body[96];
    struct cp_buf b = cp_buf_fixed(body, sizeof(body));
    struct cp_buf r = cp_buf_fixed(out, 128);

    cp_put_u16(&b, CP_DTLS_1_2);
    for (int i = 0; i < 32; i++)
        cp_put_u8(&b, (uint8_t)i);
    cp_put_u8(&b, 0);
    cp_put_u8(&b, 2);
    cp_put_u16(&b, 0xc00c);
    cp_put_u16(&b, 2);
    cp_put_u16(&b, 0xc0a8);
    cp_put_u16(&b, 0x0100);
    cp_put_bytes(&b, extensions);

    cp_put_u8(&r, CP_HANDSHAKE);
    cp_put_u16(&r, 0xfeff);
    cp_put_u16(&r, 0);
    cp_put_u16(&r, 0);
    cp_put_u32(&r, 5);
    cp_put_u16(&r, (uint16_t)(b.len + 12));
    cp_put_u8(&r, 1);
    cp_put_u8(&r, 0);
    cp_put_u16(&r, (uint16_t)b.len);
    cp_put_u16(&r, 0);
    cp_put_u8(&r, 0);
    cp_put_u16(&r, 0);
    cp_put_u8(&r, 0);
    cp_put_u16(&r, (uint16_t)b.len);
    cp_put_bytes(&r, cp_bytes(body, b.len));
    assert_false(b.failed || r.failed);
    return r.len;
}

static void a_client_hello_is_known_with_its_cookie_and_number(void **state)
{
    uint8_t bytes[128];
    size_t len = make_hello(bytes, (copal_bytes){0});
    struct cp_hello hello;

    (void)state;
    assert_true(cp_record_is_hello(cp_bytes(bytes, len), &hello));
    assert_int_equal(hello.seq, 5);
    assert_int_equal(hello.random[31], 31);
    assert_int_equal(hello.cookie.len, 2);
    assert_int_equal(hello.cookie.data[0], 0xc0);
}

static void a_client_hello_may_have_extensions(void **state)
{
    static const uint8_t good[] = {0, 8, 0, 23, 0, 0, 0, 54, 0, 0};
    static const uint8_t bad[] = {0, 8, 0, 23, 0, 0, 0, 54, 0, 1};
    uint8_t bytes[128];
    struct cp_hello hello;
    size_t len = make_hello(bytes, cp_bytes(good, sizeof(good)));

    (void)state;
    assert_true(cp_record_is_hello(cp_bytes(bytes, len), &hello));
    len = make_hello(bytes, cp_bytes(bad, sizeof(bad)));
    assert_false(cp_record_is_hello(cp_bytes(bytes, len), &hello));
}

/* Each of these would be an answer for the asking to whoever is named as its
 * sender. */
static void what_is_no_whole_client_hello_earns_nothing(void **state)
{
    static const struct {
        size_t at;
        uint8_t value;
        const char *what;
    } changes[] = {
        {0, 23, "no handshake"},
        {1, 0x03, "TLS"},
        {4, 1, "epoch 1"},
        {12, 61, "record shorter"},
        {13, 2, "no ClientHello"},
        {16, 45, "message longer"},
        {21, 1, "not from its start"},
        {24, 45, "a fragment"},
        {25, 3, "another version"},
        {59, 33, "session id too long"},
        {60, 200, "cookie beyond the end"},
        {64, 3, "half a suite"},
        {64, 0, "no suite"},
        {67, 0, "no compression method"},
    };
    uint8_t bytes[128];
    size_t len = make_hello(bytes, (copal_bytes){0});
    struct cp_hello hello;

    (void)state;
    for (size_t i = 0; i < sizeof(changes) / sizeof(changes[0]); i++) {
        uint8_t was = bytes[changes[i].at];

        bytes[changes[i].at] = changes[i].value;
        if (cp_record_is_hello(cp_bytes(bytes, len), &hello))
            fail_msg("taken: %s", changes[i].what);
        bytes[changes[i].at] = was;
    }
    for (size_t n = 0; n < len; n++)
        assert_false(cp_record_is_hello(cp_bytes(bytes, n), &hello));
    assert_false(cp_record_is_hello(cp_bytes(bytes, len + 1), &hello));
    assert_true(cp_record_is_hello(cp_bytes(bytes, len), &hello));
}

/* ---- Sealing and opening ---- */

struct pair {
    struct cp_mem *mem;
    struct cp_aeads *aeads;
    struct cp_protect alice, bob;
};

static void set_key(struct cp_protect_way *w, uint8_t algorithm, uint8_t first)
{
    w->key.algorithm = algorithm;
    for (uint8_t i = 0; i < CP_AEAD_KEY; i++)
        w->key.bytes[i] = (uint8_t)(first + i);
    for (uint8_t i = 0; i < CP_AEAD_TLS_NONCE; i++)
        w->iv[i] = (uint8_t)(first ^ i);
}

static void pair_up(struct pair *p, uint8_t algorithm, size_t cid_len)
{
    memset(&p->alice, 0, sizeof(p->alice));
    p->alice.epoch = 1;
    set_key(&p->alice.out, algorithm, 10);
    set_key(&p->alice.in, algorithm, 99);
    p->bob = p->alice;
    p->bob.in = p->alice.out;
    p->bob.out = p->alice.in;
    p->alice.cid_out_len = p->bob.cid_in_len = (uint8_t)cid_len;
    memset(p->alice.cid_out, 0xc1, cid_len);
    memset(p->bob.cid_in, 0xc1, cid_len);
}

static int set_up(void **state)
{
    struct pair *p = calloc(1, sizeof(*p));

    p->mem = cp_mem_new(NULL, NULL);
    p->aeads = cp_aeads_new(p->mem);
    *state = p;
    return 0;
}

static int tear_down(void **state)
{
    struct pair *p = *state;

    cp_aeads_free(p->aeads);
    cp_mem_release(p->mem);
    free(p);
    return 0;
}

static bool has_library(const struct pair *p)
{
    return p->aeads != NULL;
}

/* What bob makes of bytes from alice. */
static int hear(struct pair *p, copal_bytes bytes, uint8_t out[256],
                uint8_t *type, bool *newest)
{
    struct cp_record r;
    int err = cp_record_next(&bytes, p->bob.cid_in_len, &r);

    return err == 1 ? cp_protect_open(&p->bob, p->aeads, &r, out, type, newest)
                    : COPAL_EFORMAT;
}

static int say(struct pair *p, const char *text, uint8_t out[256])
{
    return cp_protect_seal(&p->alice, p->aeads, CP_APPLICATION,
                           cp_bytes_of_text(text), out, 256);
}

static void what_is_sealed_opens_in_every_suite(void **state)
{
    struct pair *p = *state;
    uint8_t wire[256], plain[256], type = 0;
    bool newest = false;

    if (!has_library(p))
        skip();
    for (uint8_t a = 0; a < CP_AEAD_OF_TLS; a++)
        for (size_t cid = 0; cid <= CP_CID_MINE; cid += CP_CID_MINE) {
            int len;

            pair_up(p, a, cid);
            len = say(p, "hello", wire);
            assert_int_equal(len, 5 + (int)cp_protect_more(&p->alice));
            assert_int_equal(wire[0], cid > 0 ? CP_TLS12_CID : CP_APPLICATION);
            assert_int_equal(
                hear(p, cp_bytes(wire, (size_t)len), plain, &type, &newest), 5);
            assert_int_equal(type, CP_APPLICATION);
            assert_true(newest);
            assert_memory_equal(plain, "hello", 5);
            cp_aeads_forget(p->aeads, &p->alice.out.key);
            cp_aeads_forget(p->aeads, &p->bob.in.key);
        }
}

static void no_byte_of_a_record_can_be_changed(void **state)
{
    struct pair *p = *state;
    uint8_t wire[256], plain[256], type;
    bool newest;

    if (!has_library(p))
        skip();
    for (size_t cid = 0; cid <= CP_CID_MINE; cid += CP_CID_MINE) {
        int len;

        pair_up(p, CP_AES_128_CCM_8, cid);
        len = say(p, "hello", wire);
        for (int i = 0; i < len; i++) {
            wire[i] ^= 0x10;
            assert_true(hear(p, cp_bytes(wire, (size_t)len), plain, &type,
                             &newest) < 0);
            wire[i] ^= 0x10;
        }
        assert_int_equal(p->bob.next_in, 0); /* nothing was noted */
        assert_int_equal(
            hear(p, cp_bytes(wire, (size_t)len), plain, &type, &newest), 5);
        cp_aeads_forget(p->aeads, &p->alice.out.key);
        cp_aeads_forget(p->aeads, &p->bob.in.key);
    }
}

/* The numbers in the order in which they come, and whether each is new. RFC
 * 6347 4.1.2.6. */
static void a_record_is_taken_once_in_any_order(void **state)
{
    static const struct {
        uint64_t seq;
        bool is_new, is_newest;
    } rows[] = {
        {0, true, true},     {0, false, false},  {2, true, true},
        {1, true, false},    {1, false, false},  {70, true, true},
        {7, true, false},    {7, false, false},  {6, false, false},
        {2, false, false},   {69, true, false},  {1000, true, true},
        {936, false, false}, {937, true, false}, {1000, false, false},
    };
    struct pair *p = *state;
    uint8_t wire[256], plain[256], type;

    if (!has_library(p))
        skip();
    pair_up(p, CP_CHACHA20_POLY1305, 0);
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        bool newest = false;
        int len, got;

        p->alice.next_out = rows[i].seq;
        len = say(p, "x", wire);
        got = hear(p, cp_bytes(wire, (size_t)len), plain, &type, &newest);
        assert_int_equal(got, rows[i].is_new ? 1 : COPAL_EEXIST);
        assert_int_equal(newest, rows[i].is_newest);
    }
}

static void the_key_is_given_up_after_so_many_forgeries(void **state)
{
    struct pair *p = *state;
    uint8_t wire[256], plain[256], type;
    bool newest;
    int len, forged = 0;

    if (!has_library(p))
        skip();
    pair_up(p, CP_AES_128_CCM_8, 0);
    len = say(p, "x", wire);
    wire[len - 1] ^= 1;
    while (hear(p, cp_bytes(wire, (size_t)len), plain, &type, &newest) ==
           COPAL_EAUTH)
        forged++;
    assert_int_equal(forged, (1 << 14) - 1);
    wire[len - 1] ^= 1;
    assert_int_equal(
        hear(p, cp_bytes(wire, (size_t)len), plain, &type, &newest),
        COPAL_ELIMIT);
}

static void the_last_number_ends_an_association(void **state)
{
    struct pair *p = *state;
    uint8_t wire[256];

    if (!has_library(p))
        skip();
    pair_up(p, CP_AES_128_GCM, 0);
    p->alice.next_out = (UINT64_C(1) << 48) - 1;
    assert_true(say(p, "x", wire) > 0);
    assert_memory_equal(wire + 5, "\xff\xff\xff\xff\xff\xff", 6);
    assert_int_equal(say(p, "x", wire), COPAL_ELIMIT);
}

static void a_record_of_another_epoch_is_not_tried(void **state)
{
    struct pair *p = *state;
    uint8_t wire[256], plain[256], type;
    bool newest;
    int len;

    if (!has_library(p))
        skip();
    pair_up(p, CP_AES_128_GCM, 0);
    len = say(p, "x", wire);
    wire[4] = 0;
    assert_int_equal(
        hear(p, cp_bytes(wire, (size_t)len), plain, &type, &newest),
        COPAL_EFORMAT);
    assert_int_equal(p->bob.failed, 0);
}

static void a_record_is_translated_to_one_without_connection_id(void **state)
{
    struct pair *p = *state;
    uint8_t wire[256], other[256], again[256], type;
    copal_bytes rest;
    struct cp_record r;
    int len, other_len;

    if (!has_library(p))
        skip();
    pair_up(p, CP_AES_128_CCM_8, CP_CID_MINE);
    len = say(p, "finished", wire);
    rest = cp_bytes(wire, (size_t)len);
    assert_int_equal(cp_record_next(&rest, CP_CID_MINE, &r), 1);
    other_len =
        cp_protect_without_cid(&p->bob, p->aeads, &r, other, sizeof(other));
    assert_int_equal(other_len, len - CP_CID_MINE - 1);
    assert_int_equal(other[0], CP_APPLICATION);
    rest = cp_bytes(other, (size_t)other_len);
    assert_int_equal(cp_record_next(&rest, 0, &r), 1);
    assert_int_equal(cp_protect_look(&p->alice, p->aeads, &r, again, &type), 8);
    assert_int_equal(type, CP_APPLICATION);
    assert_memory_equal(again, "finished", 8);
    wire[len - 1] ^= 1;
    rest = cp_bytes(wire, (size_t)len);
    assert_int_equal(cp_record_next(&rest, CP_CID_MINE, &r), 1);
    assert_int_equal(
        cp_protect_without_cid(&p->bob, p->aeads, &r, other, sizeof(other)),
        COPAL_EAUTH);
}

#define SEALED(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_datagram_is_split_into_its_records),
        cmocka_unit_test(a_record_that_ends_too_early_is_none),
        cmocka_unit_test(
            a_record_with_a_connection_id_has_it_before_its_length),
        cmocka_unit_test(a_client_hello_is_known_with_its_cookie_and_number),
        cmocka_unit_test(a_client_hello_may_have_extensions),
        cmocka_unit_test(what_is_no_whole_client_hello_earns_nothing),
        SEALED(what_is_sealed_opens_in_every_suite),
        SEALED(no_byte_of_a_record_can_be_changed),
        SEALED(a_record_is_taken_once_in_any_order),
        SEALED(the_key_is_given_up_after_so_many_forgeries),
        SEALED(the_last_number_ends_an_association),
        SEALED(a_record_of_another_epoch_is_not_tried),
        SEALED(a_record_is_translated_to_one_without_connection_id),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
