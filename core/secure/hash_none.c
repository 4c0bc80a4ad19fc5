#include "secure/hash.h"

int cp_hash(enum cp_hash h, copal_bytes data, uint8_t *out)
{
    (void)h, (void)data, (void)out;
    return COPAL_ENOTSUP;
}

int cp_hmac(enum cp_hash h, copal_bytes key, copal_bytes data, uint8_t *out)
{
    (void)h, (void)key, (void)data, (void)out;
    return COPAL_ENOTSUP;
}

int cp_hkdf_extract(enum cp_hash h, copal_bytes salt, copal_bytes ikm,
                    uint8_t *prk)
{
    (void)h, (void)salt, (void)ikm, (void)prk;
    return COPAL_ENOTSUP;
}

int cp_hkdf_expand(enum cp_hash h, copal_bytes prk, copal_bytes info,
                   uint8_t *out, size_t len)
{
    (void)h, (void)prk, (void)info, (void)out, (void)len;
    return COPAL_ENOTSUP;
}
