/* What EDHOC derives from what: its suites, keys (RFC 9528 4), and what proves
 * who is who (RFC 9528 5.3.2, 5.4.2). */
#ifndef CP_SECURE_EDHOC_SCHEDULE_H
#define CP_SECURE_EDHOC_SCHEDULE_H

#include "base/mem.h"
#include "secure/crypto.h"
#include "secure/curve.h"
#include "secure/hash.h"

/* RFC 9528 10.2. */
struct cp_edhoc_suite {
    int number;
    uint8_t aead, hash, mac_len, curve, signature; /* enums; a curve each */
    uint8_t app_aead; /* enum cp_aead; its hash is SHA-256, as for all */
    int app_aead_cose;
};

/* NULL: not one of ours (0 to 6). */
const struct cp_edhoc_suite *cp_edhoc_suite_find(int number);

/* Labels of EDHOC_KDF, RFC 9528 4.1.2. */
enum {
    CP_KEYSTREAM_2 = 0,
    CP_SALT_3E2M,
    CP_MAC_2,
    CP_K_3,
    CP_IV_3,
    CP_SALT_4E3M,
    CP_MAC_3,
    CP_PRK_OUT,
    CP_K_4,
    CP_IV_4,
    CP_PRK_EXPORTER,
    CP_KEY_UPDATE
};

/* What runs through a session: suite and memory for what is put together. */
struct cp_edhoc_schedule {
    struct cp_mem *mem;
    struct cp_aeads *aeads;
    const struct cp_edhoc_suite *suite;
};

static inline size_t cp_edhoc_hash_len(const struct cp_edhoc_schedule *k)
{
    return cp_hash_len(k->suite->hash);
}

/* Each: COPAL_ENOMEM, COPAL_ENOTSUP: no library. A prk and a hash have
 * cp_edhoc_hash_len() bytes. */

/* EDHOC_KDF. */
int cp_edhoc_kdf(const struct cp_edhoc_schedule *k, const uint8_t *prk,
                 int64_t label, copal_bytes context, uint8_t *out, size_t len);

/* The hash of parts, one behind the other; the first as a byte string. */
int cp_edhoc_transcript(const struct cp_edhoc_schedule *k, copal_bytes first,
                        copal_bytes second, copal_bytes third, uint8_t *out);

/* What a secret and a key of someone's share, extracted with the salt that
 * label derives from prk and hash. COPAL_EFORMAT: no such key. */
int cp_edhoc_mix(const struct cp_edhoc_schedule *k, const uint8_t *prk,
                 int label, const uint8_t *hash,
                 const struct cp_public_key *peer, const uint8_t *secret,
                 uint8_t *out);

/* Encrypts or decrypts in place with KEYSTREAM_2, of any length (RFC 9528 G). */
int cp_edhoc_stream(const struct cp_edhoc_schedule *k, const uint8_t *prk,
                    const uint8_t *hash, uint8_t *data, size_t len);

/* One's proof, in message 2 or 3. */
struct cp_edhoc_proof {
    int label;        /* CP_MAC_2, CP_MAC_3 */
    copal_bytes cid;  /* C_R as it stands in message 2; else empty */
    copal_bytes id;   /* ID_CRED, the map */
    copal_bytes cred; /* CRED */
    copal_bytes ead;
    const uint8_t *hash; /* TH_2, TH_3 */
    const uint8_t *prk;  /* PRK_3e2m, PRK_4e3m */
    bool by_signature;
};

enum {
    CP_EDHOC_PROOF = 64 /* bytes of Signature_or_MAC at most */
};

/* Signature_or_MAC; secret: of whom signs. */
int cp_edhoc_prove(const struct cp_edhoc_schedule *k,
                   const struct cp_edhoc_proof *p, const uint8_t *secret,
                   uint8_t out[CP_EDHOC_PROOF], size_t *len);

/* COPAL_EAUTH: shown is no proof of who has key. */
int cp_edhoc_check_proof(const struct cp_edhoc_schedule *k,
                         const struct cp_edhoc_proof *p,
                         const struct cp_public_key *key, copal_bytes shown);

/* Message 3 or 4: key and nonce by these labels, hash authenticated, too.
 * seal() writes plain.len and the tag, open() sealed.len without it; neither
 * in place. COPAL_EAUTH: not genuine. */
int cp_edhoc_seal(const struct cp_edhoc_schedule *k, const uint8_t *prk,
                  const uint8_t *hash, int key_label, copal_bytes plain,
                  uint8_t *out);
int cp_edhoc_open(const struct cp_edhoc_schedule *k, const uint8_t *prk,
                  const uint8_t *hash, int key_label, copal_bytes sealed,
                  uint8_t *out);

#endif
