#include "secure/curve.h"
#include "base/mem.h"
#include "base/secret.h"
#include "secure/hash.h"
#include "secure/p256_gnutls.h"
#include <gnutls/crypto.h>
#include <gnutls/gnutls.h>
#include <nettle/curve25519.h>
#include <nettle/eddsa.h>

int cp_curve_public(enum cp_curve curve, const uint8_t secret[CP_CURVE_KEY],
                    struct cp_public_key *out)
{
    if (curve == CP_P256)
        return cp_p256_public(secret, out);
    *out = (struct cp_public_key){.curve = (uint8_t)curve};
    if (curve == CP_X25519)
        curve25519_mul_g(out->x, secret);
    else if (curve == CP_ED25519)
        ed25519_sha512_public_key(out->x, secret);
    else
        return COPAL_ENOTSUP;
    return 0;
}

int cp_curve_generate(enum cp_curve curve, uint8_t secret[CP_CURVE_KEY],
                      struct cp_public_key *out)
{
    int err;

    /* Of P-256 one number in 2^32 is not below the order. */
    do {
        if (gnutls_rnd(GNUTLS_RND_KEY, secret, CP_CURVE_KEY) != 0)
            return COPAL_ENOMEM;
        err = cp_curve_public(curve, secret, out);
    } while (err == COPAL_EINVAL);
    return err;
}

int cp_curve_find_y(struct cp_public_key *key, bool is_odd)
{
    return key->curve == CP_P256 ? cp_p256_find_y(key, is_odd) : COPAL_ENOTSUP;
}

int cp_curve_check(const struct cp_public_key *key)
{
    if (key->curve == CP_P256)
        return cp_p256_check(key);
    return key->curve == CP_X25519 || key->curve == CP_ED25519 ? 0
                                                               : COPAL_ENOTSUP;
}

int cp_curve_shared(const struct cp_public_key *peer,
                    const uint8_t secret[CP_CURVE_KEY],
                    uint8_t out[CP_CURVE_KEY])
{
    static const uint8_t zeroes[CP_CURVE_KEY];

    if (peer->curve == CP_P256)
        return cp_p256_shared(peer, secret, out);
    if (peer->curve != CP_X25519)
        return COPAL_ENOTSUP;
    curve25519_mul(out, secret, peer->x);
    return cp_secret_equal(out, zeroes, sizeof(zeroes)) ? COPAL_EFORMAT : 0;
}

int cp_curve_sign(enum cp_curve curve, const uint8_t secret[CP_CURVE_KEY],
                  copal_bytes data, uint8_t out[CP_CURVE_SIGNATURE])
{
    uint8_t digest[32], public_key[CP_CURVE_KEY];
    int err;

    if (curve == CP_ED25519) {
        ed25519_sha512_public_key(public_key, secret);
        ed25519_sha512_sign(public_key, secret, data.len, data.data, out);
        return 0;
    }
    if (curve != CP_P256)
        return COPAL_ENOTSUP;
    err = cp_hash(CP_SHA256, data, digest);
    return err != 0 ? err : cp_p256_sign(secret, digest, out);
}

int cp_curve_verify(const struct cp_public_key *key, copal_bytes data,
                    copal_bytes signature)
{
    uint8_t digest[32];
    int err;

    if (signature.len != CP_CURVE_SIGNATURE)
        return COPAL_EAUTH;
    if (key->curve == CP_ED25519)
        return ed25519_sha512_verify(key->x, data.len, data.data,
                                     signature.data)
                   ? 0
                   : COPAL_EAUTH;
    if (key->curve != CP_P256)
        return COPAL_ENOTSUP;
    err = cp_hash(CP_SHA256, data, digest);
    return err != 0 ? err : cp_p256_verify(key, digest, signature.data);
}
