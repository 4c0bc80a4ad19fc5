/* Curves that cost nothing and agree on anything: the linker puts them in the
 * place of the real ones (--wrap, tests/CMakeLists.txt), of which a fuzzer would
 * see but the time they take. */
#ifndef COPAL_FUZZ_CURVES_H
#define COPAL_FUZZ_CURVES_H

#include "secure/curve.h"

int __wrap_cp_curve_generate(enum cp_curve curve, uint8_t secret[CP_CURVE_KEY],
                             struct cp_public_key *out);
int __wrap_cp_curve_public(enum cp_curve curve,
                           const uint8_t secret[CP_CURVE_KEY],
                           struct cp_public_key *out);
int __wrap_cp_curve_find_y(struct cp_public_key *key, bool is_odd);
int __wrap_cp_curve_check(const struct cp_public_key *key);
int __wrap_cp_curve_shared(const struct cp_public_key *peer,
                           const uint8_t secret[CP_CURVE_KEY],
                           uint8_t out[CP_CURVE_KEY]);
int __wrap_cp_curve_sign(enum cp_curve curve,
                         const uint8_t secret[CP_CURVE_KEY], copal_bytes data,
                         uint8_t out[CP_CURVE_SIGNATURE]);
int __wrap_cp_curve_verify(const struct cp_public_key *key, copal_bytes data,
                           copal_bytes signature);

int __wrap_cp_curve_generate(enum cp_curve curve, uint8_t secret[CP_CURVE_KEY],
                             struct cp_public_key *out)
{
    memset(secret, 1, CP_CURVE_KEY);
    return __wrap_cp_curve_public(curve, secret, out);
}

int __wrap_cp_curve_public(enum cp_curve curve,
                           const uint8_t secret[CP_CURVE_KEY],
                           struct cp_public_key *out)
{
    *out = (struct cp_public_key){.curve = (uint8_t)curve};
    memcpy(out->x, secret, CP_CURVE_KEY);
    return 0;
}

int __wrap_cp_curve_find_y(struct cp_public_key *key, bool is_odd)
{
    key->has_y = true;
    key->y[31] = is_odd;
    return key->x[0] == 0xff ? COPAL_EFORMAT : 0;
}

int __wrap_cp_curve_check(const struct cp_public_key *key)
{
    return key->x[0] == 0xff ? COPAL_EFORMAT : 0;
}

int __wrap_cp_curve_shared(const struct cp_public_key *peer,
                           const uint8_t secret[CP_CURVE_KEY],
                           uint8_t out[CP_CURVE_KEY])
{
    (void)secret;
    memset(out, 7, CP_CURVE_KEY);
    return peer->x[0] == 0xff ? COPAL_EFORMAT : 0;
}

int __wrap_cp_curve_sign(enum cp_curve curve,
                         const uint8_t secret[CP_CURVE_KEY], copal_bytes data,
                         uint8_t out[CP_CURVE_SIGNATURE])
{
    (void)curve, (void)secret, (void)data;
    memset(out, 's', CP_CURVE_SIGNATURE);
    return 0;
}

/* Any signature that begins so is right. */
int __wrap_cp_curve_verify(const struct cp_public_key *key, copal_bytes data,
                           copal_bytes signature)
{
    (void)key, (void)data;
    return signature.len == CP_CURVE_SIGNATURE && signature.data[0] == 's'
               ? 0
               : COPAL_EAUTH;
}

#endif
