/* The primitives that copal's own record layer needs, whichever library gives
 * them. */
#ifndef CP_SECURE_CRYPTO_H
#define CP_SECURE_CRYPTO_H

#include "base/bytes.h"
#include "base/mem.h"

enum cp_aead {
    CP_AES_128_CCM,
    CP_AES_128_CCM_8,
    CP_AES_128_GCM,
    CP_AES_256_GCM,
    CP_CHACHA20_POLY1305,
    CP_AEAD_COUNT
};

enum {
    CP_AEAD_KEY = 32,  /* bytes at most */
    CP_AEAD_TAG = 16,  /* likewise */
    CP_AEAD_NONCE = 12 /* always, in TLS */
};

/* A key at rest. What the library makes of it (4 kB of tables for GCM) is kept
 * for those that are used at the moment only. */
struct cp_aead_key {
    uint8_t algorithm; /* enum cp_aead */
    uint8_t bytes[CP_AEAD_KEY];
};

struct cp_aeads; /* what is kept of keys in use */

/* NULL: out of memory. */
struct cp_aeads *cp_aeads_new(struct cp_mem *mem);
void cp_aeads_free(struct cp_aeads *all); /* may be NULL */

/* Before k goes or changes. all may be NULL. */
void cp_aeads_forget(struct cp_aeads *all, const struct cp_aead_key *k);

static inline size_t cp_aead_key_len(enum cp_aead a)
{
    return a == CP_AES_256_GCM || a == CP_CHACHA20_POLY1305 ? 32 : 16;
}

static inline size_t cp_aead_tag_len(enum cp_aead a)
{
    return a == CP_AES_128_CCM_8 ? 8 : 16;
}

/* Writes plain.len bytes and the tag to out, which plain must not overlap.
 * COPAL_ENOMEM; COPAL_ENOTSUP: no library. */
int cp_aead_seal(struct cp_aeads *all, const struct cp_aead_key *k,
                 const uint8_t nonce[CP_AEAD_NONCE], copal_bytes aad,
                 copal_bytes plain, uint8_t *out);

/* Writes sealed.len bytes without the tag to out. COPAL_EAUTH: not genuine;
 * COPAL_ENOMEM; COPAL_ENOTSUP. */
int cp_aead_open(struct cp_aeads *all, const struct cp_aead_key *k,
                 const uint8_t nonce[CP_AEAD_NONCE], copal_bytes aad,
                 copal_bytes sealed, uint8_t *out);

#endif
