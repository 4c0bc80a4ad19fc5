#include "secure/curve.h"

int cp_curve_generate(enum cp_curve curve, uint8_t secret[CP_CURVE_KEY],
                      struct cp_public_key *out)
{
    (void)curve, (void)secret, (void)out;
    return COPAL_ENOTSUP;
}

int cp_curve_public(enum cp_curve curve, const uint8_t secret[CP_CURVE_KEY],
                    struct cp_public_key *out)
{
    (void)curve, (void)secret, (void)out;
    return COPAL_ENOTSUP;
}

int cp_curve_find_y(struct cp_public_key *key, bool is_odd)
{
    (void)key, (void)is_odd;
    return COPAL_ENOTSUP;
}

int cp_curve_check(const struct cp_public_key *key)
{
    (void)key;
    return COPAL_ENOTSUP;
}

int cp_curve_shared(const struct cp_public_key *peer,
                    const uint8_t secret[CP_CURVE_KEY],
                    uint8_t out[CP_CURVE_KEY])
{
    (void)peer, (void)secret, (void)out;
    return COPAL_ENOTSUP;
}

int cp_curve_sign(enum cp_curve curve, const uint8_t secret[CP_CURVE_KEY],
                  copal_bytes data, uint8_t out[CP_CURVE_SIGNATURE])
{
    (void)curve, (void)secret, (void)data, (void)out;
    return COPAL_ENOTSUP;
}

int cp_curve_verify(const struct cp_public_key *key, copal_bytes data,
                    copal_bytes signature)
{
    (void)key, (void)data, (void)signature;
    return COPAL_ENOTSUP;
}
