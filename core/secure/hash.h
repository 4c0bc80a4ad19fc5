/* Hashes and what is made of them, as OSCORE and EDHOC need it, whichever
 * library gives them: SHA-2 (FIPS 180-4), HMAC (RFC 2104), HKDF (RFC 5869). */
#ifndef CP_SECURE_HASH_H
#define CP_SECURE_HASH_H

#include "base/bytes.h"

enum cp_hash {
    CP_SHA256,
    CP_SHA384,
    CP_SHA512,
    CP_HASH_COUNT
};

enum {
    CP_HASH_LEN = 64 /* bytes at most */
};

static inline size_t cp_hash_len(enum cp_hash h)
{
    return h == CP_SHA256 ? 32 : h == CP_SHA384 ? 48 : 64;
}

/* Each writes cp_hash_len(h) bytes. COPAL_ENOMEM; COPAL_ENOTSUP: no library. */
int cp_hash(enum cp_hash h, copal_bytes data, uint8_t *out);
int cp_hmac(enum cp_hash h, copal_bytes key, copal_bytes data, uint8_t *out);

/* A pseudorandom key of cp_hash_len(h) bytes; without salt as with one of
 * zeroes. RFC 5869 2.2. */
int cp_hkdf_extract(enum cp_hash h, copal_bytes salt, copal_bytes ikm,
                    uint8_t *prk);

/* len bytes of key. RFC 5869 2.3. COPAL_EINVAL: len is above 255 hashes. */
int cp_hkdf_expand(enum cp_hash h, copal_bytes prk, copal_bytes info,
                   uint8_t *out, size_t len);

#endif
