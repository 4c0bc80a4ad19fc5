#include "secure/p256_gnutls.h"
#include "base/mem.h"
#include <gmp.h>
#include <gnutls/crypto.h>
#include <gnutls/gnutls.h>
#include <nettle/bignum.h>
#include <nettle/ecc-curve.h>
#include <nettle/ecc.h>
#include <nettle/ecdsa.h>

/* SP 800-186 3.2.1.3; a is -3. */
static const char prime[] =
    "ffffffff00000001000000000000000000000000ffffffffffffffffffffffff";
static const char constant_b[] =
    "5ac635d8aa3a93e7b3ebbd55769886bc651d06b0cc53b0f63bce3c3e27d2604b";

/* ---- Secrets ---- */

/* GMP gives memory back as it is. */
static void clear_secret_number(mpz_t n)
{
    size_t limbs = mpz_size(n);

    if (limbs > 0)
        cp_wipe(mpz_limbs_modify(n, (mp_size_t)limbs),
                limbs * sizeof(mp_limb_t));
    mpz_clear(n);
}

static void clear_scalar(struct ecc_scalar *s)
{
    cp_wipe(s->p, CP_CURVE_KEY);
    ecc_scalar_clear(s);
}

/* On failure there is nothing to clear. COPAL_EINVAL: zero, or not below the
 * group's order. */
static int read_scalar(struct ecc_scalar *s, const uint8_t secret[CP_CURVE_KEY])
{
    mpz_t number;
    int is_one;

    mpz_init(number);
    nettle_mpz_set_str_256_u(number, CP_CURVE_KEY, secret);
    ecc_scalar_init(s, nettle_get_secp_256r1());
    is_one = ecc_scalar_set(s, number);
    clear_secret_number(number);
    if (is_one)
        return 0;
    clear_scalar(s);
    return COPAL_EINVAL;
}

/* ---- Points ---- */

/* y of x, either of the two, by the power (p + 1) / 4, for p is 3 modulo 4.
 * COPAL_EFORMAT: no point has that x. */
static int find_y(mpz_t y, const mpz_t x)
{
    mpz_t p, square, root, power;
    int err = 0;

    mpz_init_set_str(p, prime, 16);
    mpz_inits(square, root, power, NULL);
    if (mpz_cmp(x, p) >= 0) {
        err = COPAL_EFORMAT;
        goto out;
    }
    mpz_mul(square, x, x);
    mpz_sub_ui(square, square, 3);
    mpz_mul(square, square, x);
    mpz_set_str(power, constant_b, 16);
    mpz_add(square, square, power);
    mpz_mod(square, square, p);

    mpz_add_ui(power, p, 1);
    mpz_fdiv_q_2exp(power, power, 2);
    mpz_powm(root, square, power, p);
    mpz_set(y, root);
    mpz_mul(root, root, root);
    mpz_mod(root, root, p);
    if (mpz_cmp(root, square) != 0)
        err = COPAL_EFORMAT;
out:
    mpz_clears(p, square, root, power, NULL);
    return err;
}

/* The point is to be cleared, also after a failure. */
static int read_point(struct ecc_point *point, const struct cp_public_key *key)
{
    mpz_t x, y;
    int err = 0;

    ecc_point_init(point, nettle_get_secp_256r1());
    mpz_inits(x, y, NULL);
    nettle_mpz_set_str_256_u(x, CP_CURVE_KEY, key->x);
    if (key->has_y)
        nettle_mpz_set_str_256_u(y, CP_CURVE_KEY, key->y);
    else
        err = find_y(y, x);
    if (err == 0 && !ecc_point_set(point, x, y))
        err = COPAL_EFORMAT;
    mpz_clears(x, y, NULL);
    return err;
}

static void write_point(const struct ecc_point *point, uint8_t x[CP_CURVE_KEY],
                        uint8_t y[CP_CURVE_KEY])
{
    mpz_t mx, my;

    mpz_inits(mx, my, NULL);
    ecc_point_get(point, mx, my);
    nettle_mpz_get_str_256(CP_CURVE_KEY, x, mx);
    nettle_mpz_get_str_256(CP_CURVE_KEY, y, my);
    clear_secret_number(mx);
    clear_secret_number(my);
}

int cp_p256_find_y(struct cp_public_key *key, bool is_odd)
{
    mpz_t x, y, p;
    int err;

    mpz_inits(x, y, NULL);
    mpz_init_set_str(p, prime, 16);
    nettle_mpz_set_str_256_u(x, CP_CURVE_KEY, key->x);
    err = find_y(y, x);
    if (err == 0) {
        if (mpz_odd_p(y) != is_odd)
            mpz_sub(y, p, y);
        nettle_mpz_get_str_256(CP_CURVE_KEY, key->y, y);
        key->has_y = true;
    }
    mpz_clears(x, y, p, NULL);
    return err;
}

int cp_p256_check(const struct cp_public_key *key)
{
    struct ecc_point point;
    int err = read_point(&point, key);

    ecc_point_clear(&point);
    return err;
}

/* ---- Agreeing ---- */

int cp_p256_public(const uint8_t secret[CP_CURVE_KEY],
                   struct cp_public_key *out)
{
    struct ecc_scalar scalar;
    struct ecc_point point;
    int err = read_scalar(&scalar, secret);

    if (err != 0)
        return err;
    ecc_point_init(&point, nettle_get_secp_256r1());
    ecc_point_mul_g(&point, &scalar);
    *out = (struct cp_public_key){.curve = CP_P256, .has_y = true};
    write_point(&point, out->x, out->y);
    ecc_point_clear(&point);
    clear_scalar(&scalar);
    return 0;
}

int cp_p256_shared(const struct cp_public_key *peer,
                   const uint8_t secret[CP_CURVE_KEY],
                   uint8_t out[CP_CURVE_KEY])
{
    struct ecc_scalar scalar;
    struct ecc_point point;
    uint8_t y[CP_CURVE_KEY];
    int err = read_point(&point, peer);

    if (err == 0)
        err = read_scalar(&scalar, secret);
    if (err != 0)
        goto out;
    ecc_point_mul(&point, &scalar, &point);
    write_point(&point, out, y);
    cp_wipe(y, sizeof(y));
    cp_wipe(point.p, 2 * CP_CURVE_KEY);
    clear_scalar(&scalar);
out:
    ecc_point_clear(&point);
    return err;
}

/* ---- Signing ---- */

static void random_bytes(void *user, size_t n, uint8_t *out)
{
    bool *failed = user;

    if (gnutls_rnd(GNUTLS_RND_KEY, out, n) != 0)
        *failed = true;
}

int cp_p256_sign(const uint8_t secret[CP_CURVE_KEY], const uint8_t digest[32],
                 uint8_t out[CP_CURVE_SIGNATURE])
{
    struct ecc_scalar scalar;
    struct dsa_signature made;
    bool failed = false;
    int err = read_scalar(&scalar, secret);

    if (err != 0)
        return err;
    dsa_signature_init(&made);
    ecdsa_sign(&scalar, &failed, random_bytes, 32, digest, &made);
    nettle_mpz_get_str_256(CP_CURVE_KEY, out, made.r);
    nettle_mpz_get_str_256(CP_CURVE_KEY, out + CP_CURVE_KEY, made.s);
    dsa_signature_clear(&made);
    clear_scalar(&scalar);
    if (!failed)
        return 0;
    /* A number drawn badly would give the secret away. */
    cp_wipe(out, CP_CURVE_SIGNATURE);
    return COPAL_ENOMEM;
}

int cp_p256_verify(const struct cp_public_key *key, const uint8_t digest[32],
                   const uint8_t signature[CP_CURVE_SIGNATURE])
{
    struct dsa_signature shown;
    struct ecc_point point;
    int err = key->has_y ? read_point(&point, key) : COPAL_EAUTH;

    if (!key->has_y)
        return err;
    dsa_signature_init(&shown);
    nettle_mpz_set_str_256_u(shown.r, CP_CURVE_KEY, signature);
    nettle_mpz_set_str_256_u(shown.s, CP_CURVE_KEY, signature + CP_CURVE_KEY);
    if (err != 0 || !ecdsa_verify(&point, 32, digest, &shown))
        err = COPAL_EAUTH;
    dsa_signature_clear(&shown);
    ecc_point_clear(&point);
    return err;
}
