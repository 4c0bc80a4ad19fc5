/* SHA-2, HMAC and HKDF, by what FIPS 180-4, RFC 4231 and RFC 5869 print. */
#include "secure/hash.h"

#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>
#include "vectors.h"

static const char *const names[CP_HASH_COUNT] = {"sha256", "sha384", "sha512"};

/* Built without a library that has them. */
static bool has_library(void)
{
    uint8_t out[CP_HASH_LEN];

    return cp_hash(CP_SHA256, (copal_bytes){0}, out) != COPAL_ENOTSUP;
}

static void check(json_t *row, const char *key, copal_bytes got)
{
    uint8_t storage[256];
    copal_bytes expected = vectors_hex(row, key, storage, sizeof(storage));

    if (!cp_bytes_equal(got, expected))
        fail_msg("%s: another %s", vectors_text(row, "source"), key);
}

static void digests_are_those_of_fips_180_4(void **state)
{
    json_t *document = vectors_load("hash.json");
    json_t *rows = vectors_rows(document, "digests", 3);
    uint8_t data[256], out[CP_HASH_LEN];

    (void)state;
    if (!has_library())
        skip();
    for (size_t i = 0; i < json_array_size(rows); i++)
        for (int h = 0; h < CP_HASH_COUNT; h++) {
            json_t *row = json_array_get(rows, i);

            assert_int_equal(
                cp_hash(h, vectors_hex(row, "data", data, sizeof(data)), out),
                0);
            check(row, names[h], cp_bytes(out, cp_hash_len(h)));
        }
    json_decref(document);
}

static void codes_are_those_of_rfc_4231(void **state)
{
    json_t *document = vectors_load("hash.json");
    json_t *rows = vectors_rows(document, "hmac", 6);
    uint8_t key[256], data[256], out[CP_HASH_LEN];

    (void)state;
    if (!has_library())
        skip();
    for (size_t i = 0; i < json_array_size(rows); i++)
        for (int h = 0; h < CP_HASH_COUNT; h++) {
            json_t *row = json_array_get(rows, i);

            assert_int_equal(
                cp_hmac(h, vectors_hex(row, "key", key, sizeof(key)),
                        vectors_hex(row, "data", data, sizeof(data)), out),
                0);
            check(row, names[h], cp_bytes(out, cp_hash_len(h)));
        }
    json_decref(document);
}

static void keys_are_those_of_rfc_5869(void **state)
{
    json_t *document = vectors_load("hash.json");
    json_t *rows = vectors_rows(document, "hkdf", 3);
    uint8_t ikm[256], salt[256], info[256], prk[CP_HASH_LEN], okm[256];

    (void)state;
    if (!has_library())
        skip();
    for (size_t i = 0; i < json_array_size(rows); i++) {
        json_t *row = json_array_get(rows, i);
        size_t len = strlen(vectors_text(row, "okm")) / 2;

        assert_int_equal(
            cp_hkdf_extract(CP_SHA256,
                            vectors_hex(row, "salt", salt, sizeof(salt)),
                            vectors_hex(row, "ikm", ikm, sizeof(ikm)), prk),
            0);
        check(row, "prk", cp_bytes(prk, 32));
        assert_int_equal(
            cp_hkdf_expand(CP_SHA256, cp_bytes(prk, 32),
                           vectors_hex(row, "info", info, sizeof(info)), okm,
                           len),
            0);
        check(row, "okm", cp_bytes(okm, len));
    }
    json_decref(document);
}

/* Extract is an HMAC, and the first of what Expand gives is one, too. RFC 5869
 * 2.2, 2.3. */
static void keys_of_every_hash_are_made_of_its_hmac(void **state)
{
    uint8_t prk[CP_HASH_LEN], expected[CP_HASH_LEN], out[CP_HASH_LEN];
    static const uint8_t info[] = {'i', 1};

    (void)state;
    if (!has_library())
        skip();
    for (int h = 0; h < CP_HASH_COUNT; h++) {
        size_t len = cp_hash_len(h);

        assert_int_equal(cp_hkdf_extract(h, cp_bytes_of_text("salt"),
                                         cp_bytes_of_text("key"), prk),
                         0);
        assert_int_equal(cp_hmac(h, cp_bytes_of_text("salt"),
                                 cp_bytes_of_text("key"), expected),
                         0);
        assert_memory_equal(prk, expected, len);
        assert_int_equal(cp_hkdf_expand(h, cp_bytes(prk, len),
                                        cp_bytes_of_text("i"), out, len),
                         0);
        assert_int_equal(
            cp_hmac(h, cp_bytes(prk, len), cp_bytes(info, 2), expected), 0);
        assert_memory_equal(out, expected, len);
    }
}

static void more_than_255_hashes_of_key_are_refused(void **state)
{
    static uint8_t out[255 * CP_HASH_LEN + 1];
    static const uint8_t prk[CP_HASH_LEN];

    (void)state;
    if (!has_library())
        skip();
    for (int h = 0; h < CP_HASH_COUNT; h++) {
        size_t len = cp_hash_len(h);

        assert_int_equal(cp_hkdf_expand(h, cp_bytes(prk, len), (copal_bytes){0},
                                        out, 255 * len),
                         0);
        assert_int_equal(cp_hkdf_expand(h, cp_bytes(prk, len), (copal_bytes){0},
                                        out, 255 * len + 1),
                         COPAL_EINVAL);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(digests_are_those_of_fips_180_4),
        cmocka_unit_test(codes_are_those_of_rfc_4231),
        cmocka_unit_test(keys_are_those_of_rfc_5869),
        cmocka_unit_test(keys_of_every_hash_are_made_of_its_hmac),
        cmocka_unit_test(more_than_255_hashes_of_key_are_refused),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
