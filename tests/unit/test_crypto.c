/* Authenticated encryption, whichever library gives it: rows of
 * vectors/aead.json, which another library computed. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include "secure/crypto.h"
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

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_sealed_is_what_others_seal),
        cmocka_unit_test(what_others_sealed_opens),
        cmocka_unit_test(nothing_opens_that_was_changed_or_cut),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
