/* Authenticated encryption, whichever library gives it: rows of
 * vectors/aead.json, which another library computed. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include "secure/crypto.h"
#include "secure/hash.h"
#include "vectors.h"

enum {
    ROWS = 42,
    MOST = 64 /* bytes of a row's value */
};

struct row {
    struct cp_aead_key key;
    uint8_t nonce[MOST], aad[MOST], plain[MOST], sealed[MOST];
    copal_bytes n, a, p, s;
};

static void read_row(json_t *from, struct row *r)
{
    uint8_t key[MOST];
    copal_bytes k = vectors_hex(from, "key", key, sizeof(key));

    memset(r, 0, sizeof(*r));
    r->key.algorithm = (uint8_t)vectors_int(from, "algorithm");
    assert_int_equal(k.len, cp_aead_key_len(r->key.algorithm));
    memcpy(r->key.bytes, key, k.len);
    r->n = vectors_hex(from, "nonce", r->nonce, MOST);
    r->a = vectors_hex(from, "aad", r->aad, MOST);
    r->p = vectors_hex(from, "plain", r->plain, MOST);
    r->s = vectors_hex(from, "sealed", r->sealed, MOST);
    assert_int_equal(r->s.len, r->p.len + cp_aead_tag_len(r->key.algorithm));
}

static void each_row(void (*check)(struct cp_aeads *all, struct row *r))
{
    json_t *document = vectors_load("aead.json"),
           *rows = vectors_rows(document, "rows", ROWS);
    struct cp_mem *mem = cp_mem_new(NULL, NULL);
    struct cp_aeads *all = cp_aeads_new(mem);

    for (size_t i = 0; all != NULL && i < ROWS; i++) {
        struct row r;

        read_row(json_array_get(rows, i), &r);
        check(all, &r);
        cp_aeads_forget(all, &r.key);
    }
    json_decref(document);
    cp_aeads_free(all);
    cp_mem_release(mem);
    if (all == NULL)
        skip(); /* built without a library */
}

static void seal(struct cp_aeads *all, struct row *r)
{
    uint8_t out[MOST];

    assert_int_equal(cp_aead_seal(all, &r->key, r->n, r->a, r->p, out), 0);
    assert_memory_equal(out, r->sealed, r->s.len);
}

static void what_is_sealed_is_what_others_seal(void **state)
{
    (void)state;
    each_row(seal);
}

static void open_row(struct cp_aeads *all, struct row *r)
{
    uint8_t out[MOST];

    assert_int_equal(cp_aead_open(all, &r->key, r->n, r->a, r->s, out), 0);
    if (r->p.len > 0)
        assert_memory_equal(out, r->plain, r->p.len);
}

static void what_others_sealed_opens(void **state)
{
    (void)state;
    each_row(open_row);
}

static void refuse(struct cp_aeads *all, struct row *r)
{
    copal_bytes parts[] = {r->n, r->a, r->s};
    uint8_t out[MOST];

    for (size_t part = 0; part < 3; part++)
        for (size_t i = 0; i < parts[part].len; i++) {
            uint8_t *byte = (uint8_t *)parts[part].data + i;

            *byte ^= 1;
            assert_int_equal(cp_aead_open(all, &r->key, r->n, r->a, r->s, out),
                             COPAL_EAUTH);
            *byte ^= 1;
        }
    for (size_t len = 0; len < r->s.len; len++)
        assert_int_equal(cp_aead_open(all, &r->key, r->n, r->a,
                                      cp_bytes(r->sealed, len), out),
                         COPAL_EAUTH);
}

static void nothing_opens_that_was_changed_or_cut(void **state)
{
    (void)state;
    each_row(refuse);
}

/* Made by another library: SHA-256 of all that is sealed in turn, of 0 to 600 bytes
 * with as much AAD, modulo 300, and nonces of 7 to 13 bytes. */
static void ccm_is_the_same_at_every_length(void **state)
{
    static const struct {
        enum cp_aead aead;
        uint8_t sum[32];
    } rows[] = {
        {CP_AES_128_CCM,
         {0xf9, 0xd8, 0xba, 0x84, 0x26, 0xf6, 0xe2, 0x98, 0x59, 0x4e, 0x9c,
          0xbe, 0x45, 0xbd, 0x43, 0xa2, 0x3d, 0x96, 0x18, 0x51, 0xd2, 0x36,
          0x79, 0x93, 0x66, 0x9c, 0xef, 0xc3, 0x4d, 0x4f, 0x51, 0xcf}},
        {CP_AES_128_CCM_8,
         {0x43, 0x2f, 0xc5, 0x3e, 0xd1, 0x3a, 0x93, 0x9a, 0x93, 0xcf, 0x8b,
          0x84, 0xcd, 0x05, 0xcc, 0xf9, 0x04, 0x38, 0x37, 0xfc, 0x1d, 0xd4,
          0x00, 0x99, 0xe8, 0x07, 0xf7, 0x5a, 0x71, 0xb0, 0xe9, 0x7f}},
        {CP_AES_256_CCM,
         {0xaf, 0x35, 0x91, 0x36, 0x08, 0xe8, 0x0d, 0xaa, 0xd6, 0xee, 0xad,
          0x39, 0x0a, 0xff, 0x84, 0x70, 0x4d, 0xa1, 0xcc, 0xe6, 0x31, 0xe2,
          0x45, 0x1f, 0xef, 0x01, 0x9f, 0x79, 0xf5, 0xdb, 0x26, 0xa3}},
        {CP_AES_256_CCM_8,
         {0x50, 0x36, 0xb4, 0x28, 0xea, 0x64, 0x1f, 0xde, 0x4f, 0xde, 0x2c,
          0xa9, 0xa5, 0xd9, 0x93, 0x9b, 0x46, 0xfe, 0x91, 0xc8, 0xae, 0x0b,
          0xd5, 0x79, 0xf9, 0xbf, 0xd7, 0x87, 0xd2, 0x26, 0x02, 0x94}},
    };
    static uint8_t all[601 * 700];
    struct cp_mem *mem = cp_mem_new(NULL, NULL);
    struct cp_aeads *aeads = cp_aeads_new(mem);
    uint8_t in[600], sum[CP_HASH_LEN], out[600];

    (void)state;
    for (size_t i = 0; i < sizeof(in); i++)
        in[i] = (uint8_t)(i * 7 + 1);
    for (size_t r = 0; aeads != NULL && r < 4; r++) {
        struct cp_aead_key k = {.algorithm = (uint8_t)rows[r].aead};
        size_t tag = cp_aead_tag_len(rows[r].aead), at = 0;

        memcpy(k.bytes, in + 100, cp_aead_key_len(rows[r].aead));
        for (size_t len = 0; len <= 600; len++) {
            copal_bytes nonce = cp_bytes(in + len % 500, 7 + len % 7),
                        aad = cp_bytes(in, len % 300);

            assert_int_equal(cp_aead_seal(aeads, &k, nonce, aad,
                                          cp_bytes(in, len), all + at),
                             0);
            assert_int_equal(cp_aead_open(aeads, &k, nonce, aad,
                                          cp_bytes(all + at, len + tag), out),
                             0);
            assert_memory_equal(out, in, len);
            at += len + tag;
        }
        assert_int_equal(cp_hash(CP_SHA256, cp_bytes(all, at), sum), 0);
        assert_memory_equal(sum, rows[r].sum, 32);
        cp_aeads_forget(aeads, &k);
    }
    cp_aeads_free(aeads);
    cp_mem_release(mem);
    if (aeads == NULL)
        skip();
}

/* A CCM counts them in what its nonce leaves of a block. */
static void more_than_a_nonce_can_seal_is_refused(void **state)
{
    static uint8_t plain[65536 + 16], out[65536 + 16];
    static const uint8_t nonce[13];
    struct cp_mem *mem = cp_mem_new(NULL, NULL);
    struct cp_aeads *aeads = cp_aeads_new(mem);
    struct cp_aead_key k = {.algorithm = CP_AES_128_CCM_8};
    copal_bytes n13 = cp_bytes(nonce, 13), n12 = cp_bytes(nonce, 12),
                none = {0};

    (void)state;
    if (aeads != NULL) {
        assert_int_equal(
            cp_aead_seal(aeads, &k, n13, none, cp_bytes(plain, 65535), out), 0);
        assert_int_equal(
            cp_aead_open(aeads, &k, n13, none, cp_bytes(out, 65535 + 8), plain),
            0);
        assert_int_equal(
            cp_aead_seal(aeads, &k, n13, none, cp_bytes(plain, 65536), out),
            COPAL_ELIMIT);
        assert_int_equal(
            cp_aead_open(aeads, &k, n13, none, cp_bytes(out, 65536 + 8), plain),
            COPAL_EAUTH);
        assert_int_equal(
            cp_aead_seal(aeads, &k, n12, none, cp_bytes(plain, 65536), out), 0);
    }
    cp_aeads_free(aeads);
    cp_mem_release(mem);
    if (aeads == NULL)
        skip();
}

/* Of every cipher 100 keys, each sealing at the same place of its own message and
 * opening what it sealed, while the others come in between. */
static void many_keys_in_turns_stay_apart(void **state)
{
    enum {
        KEYS = 100 * CP_AEAD_COUNT
    };
    static struct cp_aead_key keys[KEYS];
    static uint8_t sealed[2][KEYS][2 + CP_AEAD_TAG];
    static const uint8_t nonce[CP_AEAD_TLS_NONCE];
    struct cp_mem *mem = cp_mem_new(NULL, NULL);
    struct cp_aeads *aeads = cp_aeads_new(mem);
    copal_bytes n = cp_bytes(nonce, sizeof(nonce)), none = {0};
    uint8_t plain[2];

    (void)state;
    for (size_t i = 0; i < 3 * KEYS && aeads != NULL; i++) {
        /* Neighbours of one cipher, and of different ones. */
        size_t at = i / KEYS == 1 ? i * 101 % KEYS : i % KEYS;
        struct cp_aead_key *k = &keys[at];
        size_t tag;

        k->algorithm = (uint8_t)(at / 100);
        k->bytes[0] = (uint8_t)at;
        k->bytes[1] = (uint8_t)(at >> 8);
        tag = cp_aead_tag_len(k->algorithm);
        assert_int_equal(cp_aead_seal(aeads, k, n, none, cp_bytes(&at, 2),
                                      sealed[i >= KEYS][at]),
                         0);
        if (i < KEYS)
            continue;
        assert_memory_equal(sealed[0][at], sealed[1][at], 2 + tag);
        assert_int_equal(cp_aead_open(aeads, k, n, none,
                                      cp_bytes(sealed[0][at], 2 + tag), plain),
                         0);
        assert_memory_equal(plain, &at, 2);
        assert_int_equal(cp_aead_open(aeads, &keys[(at + 1) % KEYS], n, none,
                                      cp_bytes(sealed[0][at], 2 + tag), plain),
                         COPAL_EAUTH);
    }
    cp_aeads_free(aeads);
    cp_mem_release(mem);
    if (aeads == NULL)
        skip();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_sealed_is_what_others_seal),
        cmocka_unit_test(what_others_sealed_opens),
        cmocka_unit_test(nothing_opens_that_was_changed_or_cut),
        cmocka_unit_test(ccm_is_the_same_at_every_length),
        cmocka_unit_test(more_than_a_nonce_can_seal_is_refused),
        cmocka_unit_test(many_keys_in_turns_stay_apart),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
