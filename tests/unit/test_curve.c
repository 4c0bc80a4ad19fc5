/* Curves: by what RFC 7748, RFC 8032, RFC 6979 and RFC 9529 print, and what no
 * peer may make of them. */
#include "secure/curve.h"

#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>
#include "vectors.h"

static bool has_library(void)
{
    uint8_t secret[CP_CURVE_KEY];
    struct cp_public_key key;

    return cp_curve_generate(CP_X25519, secret, &key) != COPAL_ENOTSUP;
}

static void take(json_t *row, const char *name, uint8_t *out, size_t n)
{
    assert_int_equal(vectors_hex(row, name, out, n).len, n);
}

static void x25519_agrees_as_rfc_7748_has_it(void **state)
{
    json_t *document = vectors_load("curves.json");
    json_t *rows = vectors_rows(document, "x25519", 2);

    (void)state;
    if (!has_library())
        skip();
    for (size_t i = 0; i < 2; i++) {
        json_t *row = json_array_get(rows, i);
        struct cp_public_key peer = {.curve = CP_X25519};
        uint8_t secret[32], shared[32], out[32];

        take(row, "secret", secret, 32);
        take(row, "peer", peer.x, 32);
        take(row, "shared", shared, 32);
        assert_int_equal(cp_curve_shared(&peer, secret, out), 0);
        assert_memory_equal(out, shared, 32);
    }
    json_decref(document);
}

static void p256_agrees_by_x_alone(void **state)
{
    json_t *document = vectors_load("curves.json");
    json_t *rows = vectors_rows(document, "p256", 2);

    (void)state;
    if (!has_library())
        skip();
    for (size_t i = 0; i < 2; i++) {
        json_t *row = json_array_get(rows, i);
        struct cp_public_key peer = {.curve = CP_P256}, own, found;
        uint8_t secret[32], shared[32], x[32], y[32], out[32];

        take(row, "secret", secret, 32);
        take(row, "peer", peer.x, 32);
        take(row, "shared", shared, 32);
        take(row, "public", x, 32);
        take(row, "y", y, 32);
        assert_int_equal(cp_curve_public(CP_P256, secret, &own), 0);
        assert_memory_equal(own.x, x, 32);
        assert_memory_equal(own.y, y, 32);
        assert_int_equal(cp_curve_shared(&peer, secret, out), 0);
        assert_memory_equal(out, shared, 32);

        found = (struct cp_public_key){.curve = CP_P256};
        memcpy(found.x, x, 32);
        assert_int_equal(cp_curve_find_y(&found, y[31] & 1), 0);
        assert_memory_equal(found.y, y, 32);
        assert_int_equal(cp_curve_find_y(&found, !(y[31] & 1)), 0);
        assert_memory_not_equal(found.y, y, 32);
        assert_int_equal(cp_curve_check(&found), 0);
    }
    json_decref(document);
}

static void ed25519_signs_as_rfc_8032_has_it(void **state)
{
    json_t *document = vectors_load("curves.json");
    json_t *rows = vectors_rows(document, "ed25519", 2);

    (void)state;
    if (!has_library())
        skip();
    for (size_t i = 0; i < 2; i++) {
        json_t *row = json_array_get(rows, i);
        uint8_t secret[32], x[32], expected[64], made[64], storage[8];
        copal_bytes message =
            vectors_hex(row, "message", storage, sizeof(storage));
        struct cp_public_key key;

        take(row, "secret", secret, 32);
        take(row, "public", x, 32);
        take(row, "signature", expected, 64);
        assert_int_equal(cp_curve_public(CP_ED25519, secret, &key), 0);
        assert_memory_equal(key.x, x, 32);
        assert_int_equal(cp_curve_sign(CP_ED25519, secret, message, made), 0);
        assert_memory_equal(made, expected, 64);
        assert_int_equal(cp_curve_verify(&key, message, cp_bytes(made, 64)), 0);
    }
    json_decref(document);
}

/* The library draws a number for each signature, so that one of its own is
 * never the one of RFC 6979. */
static void es256_takes_the_signature_of_rfc_6979_and_its_own(void **state)
{
    json_t *document = vectors_load("curves.json");
    json_t *row = json_array_get(vectors_rows(document, "es256", 1), 0);
    struct cp_public_key key = {.curve = CP_P256, .has_y = true}, own;
    uint8_t secret[32], signature[64], made[64], storage[8];
    copal_bytes message = vectors_hex(row, "message", storage, sizeof(storage));

    (void)state;
    if (!has_library())
        skip();
    take(row, "secret", secret, 32);
    take(row, "x", key.x, 32);
    take(row, "y", key.y, 32);
    take(row, "signature", signature, 64);
    assert_int_equal(cp_curve_verify(&key, message, cp_bytes(signature, 64)),
                     0);
    assert_int_equal(cp_curve_public(CP_P256, secret, &own), 0);
    assert_memory_equal(own.x, key.x, 32);
    assert_memory_equal(own.y, key.y, 32);
    assert_int_equal(cp_curve_sign(CP_P256, secret, message, made), 0);
    assert_int_equal(cp_curve_verify(&key, message, cp_bytes(made, 64)), 0);
    json_decref(document);
}

static void two_who_generate_keys_agree(void **state)
{
    static const enum cp_curve curves[] = {CP_X25519, CP_P256};

    (void)state;
    if (!has_library())
        skip();
    for (size_t i = 0; i < 2; i++) {
        uint8_t a[32], b[32], ab[32], ba[32];
        struct cp_public_key of_a, of_b;

        assert_int_equal(cp_curve_generate(curves[i], a, &of_a), 0);
        assert_int_equal(cp_curve_generate(curves[i], b, &of_b), 0);
        assert_int_equal(cp_curve_shared(&of_b, a, ab), 0);
        of_a.has_y = false; /* x is enough */
        assert_int_equal(cp_curve_shared(&of_a, b, ba), 0);
        assert_memory_equal(ab, ba, 32);
    }
}

static void no_bit_of_a_signature_or_of_what_is_signed_can_change(void **state)
{
    static const enum cp_curve curves[] = {CP_ED25519, CP_P256};
    uint8_t text[] = "what is signed";

    (void)state;
    if (!has_library())
        skip();
    for (size_t i = 0; i < 2; i++) {
        uint8_t secret[32], made[64];
        struct cp_public_key key;
        copal_bytes data = cp_bytes(text, sizeof(text));

        assert_int_equal(cp_curve_generate(curves[i], secret, &key), 0);
        assert_int_equal(cp_curve_sign(curves[i], secret, data, made), 0);
        for (size_t bit = 0; bit < 8 * sizeof(made); bit += 5) {
            made[bit / 8] ^= (uint8_t)(1u << bit % 8);
            assert_int_equal(cp_curve_verify(&key, data, cp_bytes(made, 64)),
                             COPAL_EAUTH);
            made[bit / 8] ^= (uint8_t)(1u << bit % 8);
        }
        text[3] ^= 1;
        assert_int_equal(cp_curve_verify(&key, data, cp_bytes(made, 64)),
                         COPAL_EAUTH);
        text[3] ^= 1;
        assert_int_equal(cp_curve_verify(&key, data, cp_bytes(made, 63)),
                         COPAL_EAUTH);
        assert_int_equal(cp_curve_verify(&key, data, cp_bytes(made, 64)), 0);
    }
}

/* RFC 9529 4.2, RFC 7748 6.1. */
static void points_that_are_none_are_refused(void **state)
{
    static const char *const rows[] = {
        /* x is not below p */
        "ffffffff00000001000000000000000000000000ffffffffffffffffffffffff",
        "ffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff",
        /* nothing is there */
        "a04e73601df544a70ba7ea1e57030f7d4b4eb7f673924e58d54ca77a5e7d4d4a",
    };
    uint8_t secret[32], out[32];
    struct cp_public_key key;

    (void)state;
    if (!has_library())
        skip();
    assert_int_equal(cp_curve_generate(CP_P256, secret, &key), 0);
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        json_t *row = json_pack("{s:s}", "x", rows[i]);

        key = (struct cp_public_key){.curve = CP_P256};
        take(row, "x", key.x, 32);
        json_decref(row);
        assert_int_equal(cp_curve_check(&key), COPAL_EFORMAT);
        assert_int_equal(cp_curve_find_y(&key, true), COPAL_EFORMAT);
        assert_int_equal(cp_curve_shared(&key, secret, out), COPAL_EFORMAT);
    }
}

static void a_point_beside_the_curve_is_refused(void **state)
{
    uint8_t secret[32], out[32];
    struct cp_public_key key;

    (void)state;
    if (!has_library())
        skip();
    assert_int_equal(cp_curve_generate(CP_P256, secret, &key), 0);
    key.y[31] ^= 1;
    assert_int_equal(cp_curve_check(&key), COPAL_EFORMAT);
    assert_int_equal(cp_curve_shared(&key, secret, out), COPAL_EFORMAT);
    assert_int_equal(
        cp_curve_verify(&key, cp_bytes_of_text("x"), cp_bytes(secret, 32)),
        COPAL_EAUTH);
}

static void points_of_low_order_are_refused(void **state)
{
    static const uint8_t low[][32] = {
        {0},
        {1},
        {0xed, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff,
         0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff,
         0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x7f},
    };
    uint8_t secret[32], out[32];
    struct cp_public_key key;

    (void)state;
    if (!has_library())
        skip();
    assert_int_equal(cp_curve_generate(CP_X25519, secret, &key), 0);
    for (size_t i = 0; i < sizeof(low) / sizeof(low[0]); i++) {
        memcpy(key.x, low[i], 32);
        assert_int_equal(cp_curve_shared(&key, secret, out), COPAL_EFORMAT);
    }
}

static void secrets_that_are_none_are_refused(void **state)
{
    static const uint8_t zero[32];
    uint8_t all_ones[32], out[64];
    struct cp_public_key key;

    (void)state;
    if (!has_library())
        skip();
    memset(all_ones, 0xff, sizeof(all_ones));
    assert_int_equal(cp_curve_public(CP_P256, zero, &key), COPAL_EINVAL);
    assert_int_equal(cp_curve_public(CP_P256, all_ones, &key), COPAL_EINVAL);
    assert_int_equal(cp_curve_sign(CP_P256, zero, cp_bytes_of_text("x"), out),
                     COPAL_EINVAL);
}

static void what_a_curve_is_not_for_is_refused(void **state)
{
    uint8_t secret[32], out[64];
    struct cp_public_key key;

    (void)state;
    if (!has_library())
        skip();
    assert_int_equal(cp_curve_generate(CP_ED25519, secret, &key), 0);
    assert_int_equal(cp_curve_shared(&key, secret, out), COPAL_ENOTSUP);
    assert_int_equal(cp_curve_find_y(&key, false), COPAL_ENOTSUP);
    assert_int_equal(
        cp_curve_sign(CP_X25519, secret, cp_bytes_of_text("x"), out),
        COPAL_ENOTSUP);
    key.curve = CP_X25519;
    assert_int_equal(
        cp_curve_verify(&key, cp_bytes_of_text("x"), cp_bytes(out, 64)),
        COPAL_ENOTSUP);
    key.curve = 7; /* Ed448 */
    assert_int_equal(cp_curve_check(&key), COPAL_ENOTSUP);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(x25519_agrees_as_rfc_7748_has_it),
        cmocka_unit_test(p256_agrees_by_x_alone),
        cmocka_unit_test(ed25519_signs_as_rfc_8032_has_it),
        cmocka_unit_test(es256_takes_the_signature_of_rfc_6979_and_its_own),
        cmocka_unit_test(two_who_generate_keys_agree),
        cmocka_unit_test(no_bit_of_a_signature_or_of_what_is_signed_can_change),
        cmocka_unit_test(points_that_are_none_are_refused),
        cmocka_unit_test(a_point_beside_the_curve_is_refused),
        cmocka_unit_test(points_of_low_order_are_refused),
        cmocka_unit_test(secrets_that_are_none_are_refused),
        cmocka_unit_test(what_a_curve_is_not_for_is_refused),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
