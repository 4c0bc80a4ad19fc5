/* Authenticated encryption for what copal seals itself, records of DTLS and
 * messages of OSCORE, whichever library gives it. */
#ifndef CP_SECURE_CRYPTO_H
#define CP_SECURE_CRYPTO_H

#include "base/bytes.h"
#include "base/mem.h"

/* A CCM takes nonces of 7 to 13 bytes, the others of 12. The first five are
 * those of TLS. */
enum cp_aead {
    CP_AES_128_CCM,
    CP_AES_128_CCM_8,
    CP_AES_128_GCM,
    CP_AES_256_GCM,
    CP_CHACHA20_POLY1305,
    CP_AEAD_OF_TLS,
    CP_AES_256_CCM = CP_AEAD_OF_TLS,
    CP_AES_256_CCM_8,
    CP_AES_192_GCM,
    CP_AEAD_COUNT
};

enum {
    CP_AEAD_KEY = 32,       /* bytes at most */
    CP_AEAD_TAG = 16,       /* likewise */
    CP_AEAD_NONCE = 13,     /* likewise */
    CP_AEAD_TLS_NONCE = 12, /* always, there */
    CP_AEAD_AAD = 65000     /* bytes of what is not sealed, at most */
};

/* A key at rest. What the library makes of it (4 kB of tables for GCM) is kept
 * for those that are used at the moment only. */
struct cp_aead_key {
    uint8_t algorithm; /* enum cp_aead */
    uint8_t bytes[CP_AEAD_KEY];
};

struct cp_aeads; /* what is kept of keys in use */

/* NULL: out of memory. */
CP_SHARED struct cp_aeads *cp_aeads_new(struct cp_mem *mem);
CP_SHARED void cp_aeads_free(struct cp_aeads *all); /* may be NULL */

/* Before k goes or changes. all may be NULL. */
void cp_aeads_forget(struct cp_aeads *all, const struct cp_aead_key *k);

static inline size_t cp_aead_key_len(enum cp_aead a)
{
    switch (a) {
    case CP_AES_192_GCM: return 24;
    case CP_AES_256_GCM:
    case CP_CHACHA20_POLY1305:
    case CP_AES_256_CCM:
    case CP_AES_256_CCM_8: return 32;
    default: return 16;
    }
}

static inline size_t cp_aead_tag_len(enum cp_aead a)
{
    return a == CP_AES_128_CCM_8 || a == CP_AES_256_CCM_8 ? 8 : 16;
}

static inline bool cp_aead_is_ccm(enum cp_aead a)
{
    return a == CP_AES_128_CCM || a == CP_AES_128_CCM_8 ||
           a == CP_AES_256_CCM || a == CP_AES_256_CCM_8;
}

/* Bytes that one nonce can seal: the rest of a CCM's first block counts them. RFC
 * 3610 2.1. */
static inline uint64_t cp_aead_most(enum cp_aead a, size_t nonce_len)
{
    return cp_aead_is_ccm(a) && nonce_len > 11
               ? (UINT64_C(1) << (8 * (15 - nonce_len))) - 1
               : UINT32_MAX;
}

/* Writes plain.len bytes and the tag to out, which plain must not overlap.
 * COPAL_ELIMIT: more than cp_aead_most(), or than CP_AEAD_AAD; COPAL_ENOMEM;
 * COPAL_ENOTSUP: no library. */
CP_SHARED int cp_aead_seal(struct cp_aeads *all, const struct cp_aead_key *k,
                           copal_bytes nonce, copal_bytes aad,
                           copal_bytes plain, uint8_t *out);

/* Writes sealed.len bytes without the tag to out. COPAL_EAUTH: not genuine;
 * COPAL_ENOMEM; COPAL_ENOTSUP. */
CP_SHARED int cp_aead_open(struct cp_aeads *all, const struct cp_aead_key *k,
                           copal_bytes nonce, copal_bytes aad,
                           copal_bytes sealed, uint8_t *out);

#endif
