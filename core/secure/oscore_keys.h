/* What two endpoints derive from what they share, and the numbers used once that
 * they make of it. Pure functions. RFC 8613 3.2, 5.2, 5.4. */
#ifndef CP_SECURE_OSCORE_KEYS_H
#define CP_SECURE_OSCORE_KEYS_H

#include "secure/crypto.h"
#include "secure/hash.h"
#include "secure/oscore_option.h"

/* An AEAD that COSE has a number for. RFC 9053 4. */
struct cp_oscore_aead {
    uint8_t cose;
    uint8_t aead;      /* enum cp_aead */
    uint8_t nonce_len; /* an ID has 6 bytes less at most */
    const char *name;
};

enum {
    CP_OSCORE_AEAD = 10,  /* AES-CCM-16-64-128: the default, RFC 8613 3.2 */
    CP_OSCORE_HKDF = -10, /* HKDF with SHA-256, likewise */
    CP_OSCORE_AAD = 40    /* bytes of an AAD at most */
};

/* NULL: cose is no AEAD that OSCORE can be used with here. */
const struct cp_oscore_aead *cp_oscore_aead(int cose);

/* The hash that a COSE algorithm stands for: direct+HKDF-SHA-256 (-10) and -512
 * (-11), or HMAC with SHA-256, -384, -512 (5, 6, 7). False: none. */
bool cp_oscore_hash(int cose, enum cp_hash *out);

/* What two endpoints share, or agree upon, beforehand. RFC 8613 3.2. */
struct cp_oscore_input {
    copal_bytes secret, salt, sender_id, recipient_id;
    copal_bytes id_context; /* data NULL: there is none */
    int aead, hkdf;         /* COSE algorithms */
};

/* Sender and Recipient Context without what changes. */
struct cp_oscore_keys {
    const struct cp_oscore_aead *aead;
    struct cp_aead_key sender, recipient;
    uint8_t common_iv[CP_AEAD_NONCE];
    uint8_t sender_iv[CP_AEAD_NONCE],
        recipient_iv[CP_AEAD_NONCE]; /* with IDs */
    uint8_t sender_id[CP_OSCORE_ID], recipient_id[CP_OSCORE_ID];
    uint8_t sender_id_len, recipient_id_len;
};

static inline copal_bytes cp_oscore_sender(const struct cp_oscore_keys *k)
{
    return cp_bytes(k->sender_id, k->sender_id_len);
}

static inline copal_bytes cp_oscore_recipient(const struct cp_oscore_keys *k)
{
    return cp_bytes(k->recipient_id, k->recipient_id_len);
}

/* COPAL_EINVAL: an algorithm that is none, an ID too long for it, or both IDs
 * the same; COPAL_ENOMEM; COPAL_ENOTSUP: no library. Wipe *out after use. */
CP_SHARED int cp_oscore_derive(const struct cp_oscore_input *in,
                               struct cp_oscore_keys *out);

/* The info of one output: an ID, or empty for the Common IV; type "Key" or
 * "IV"; len: of the output. RFC 8613 3.2.1. */
void cp_oscore_put_info(struct cp_buf *out, copal_bytes id,
                        copal_bytes id_context, int aead, const char *type,
                        size_t len);

/* The nonce of k->aead->nonce_len bytes; is_senders: who made the Partial IV. */
copal_bytes cp_oscore_nonce(const struct cp_oscore_keys *k, bool is_senders,
                            copal_bytes piv, uint8_t storage[CP_AEAD_NONCE]);

/* kid and piv are the request's. RFC 8613 5.4. */
copal_bytes cp_oscore_aad(const struct cp_oscore_keys *k, copal_bytes kid,
                          copal_bytes piv, uint8_t storage[CP_OSCORE_AAD]);

#endif
