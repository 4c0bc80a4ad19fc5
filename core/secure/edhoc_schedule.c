#include "secure/edhoc_schedule.h"
#include "base/buf.h"
#include "base/secret.h"
#include "secure/cose.h"
#include "wire/cbor.h"

/* clang-format off */
static const struct cp_edhoc_suite suites[] = {
    {0, CP_AES_128_CCM_8, CP_SHA256, 8, CP_X25519, CP_ED25519,
     CP_AES_128_CCM_8, 10},
    {1, CP_AES_128_CCM, CP_SHA256, 16, CP_X25519, CP_ED25519,
     CP_AES_128_CCM_8, 10},
    {2, CP_AES_128_CCM_8, CP_SHA256, 8, CP_P256, CP_P256,
     CP_AES_128_CCM_8, 10},
    {3, CP_AES_128_CCM, CP_SHA256, 16, CP_P256, CP_P256,
     CP_AES_128_CCM_8, 10},
    {4, CP_CHACHA20_POLY1305, CP_SHA256, 16, CP_X25519, CP_ED25519,
     CP_CHACHA20_POLY1305, 24},
    {5, CP_CHACHA20_POLY1305, CP_SHA256, 16, CP_P256, CP_P256,
     CP_CHACHA20_POLY1305, 24},
    {6, CP_AES_128_GCM, CP_SHA256, 16, CP_X25519, CP_P256,
     CP_AES_128_GCM, 1},
};
/* clang-format on */

const struct cp_edhoc_suite *cp_edhoc_suite_find(int number)
{
    for (size_t i = 0; i < sizeof(suites) / sizeof(suites[0]); i++)
        if (suites[i].number == number)
            return &suites[i];
    return NULL;
}

/* A CCM of COSE's has nonces of 13 bytes, RFC 9053 4.2. */
static size_t nonce_len(uint8_t aead)
{
    return aead == CP_AES_128_CCM_8 || aead == CP_AES_128_CCM ? 13 : 12;
}

/* ---- Derivation ---- */

static copal_bytes hash_bytes(const struct cp_edhoc_schedule *k,
                              const uint8_t *hash)
{
    return cp_bytes(hash, cp_edhoc_hash_len(k));
}

int cp_edhoc_kdf(const struct cp_edhoc_schedule *k, const uint8_t *prk,
                 int64_t label, copal_bytes context, uint8_t *out, size_t len)
{
    struct cp_buf b = cp_buf_new(k->mem);
    copal_bytes info;
    int err;

    cp_cbor_put_int(&b, label);
    cp_cbor_put_bytes(&b, context);
    cp_cbor_put_unsigned(&b, len);
    err = cp_buf_finish(&b, &info);
    if (err == 0)
        err =
            cp_hkdf_expand(k->suite->hash, hash_bytes(k, prk), info, out, len);
    cp_buf_free(&b);
    return err;
}

int cp_edhoc_transcript(const struct cp_edhoc_schedule *k, copal_bytes first,
                        copal_bytes second, copal_bytes third, uint8_t *out)
{
    struct cp_buf b = cp_buf_new(k->mem);
    copal_bytes all;
    int err;

    cp_cbor_put_bytes(&b, first);
    cp_put_bytes(&b, second);
    cp_put_bytes(&b, third);
    err = cp_buf_finish(&b, &all);
    if (err == 0)
        err = cp_hash(k->suite->hash, all, out);
    cp_buf_free(&b);
    return err;
}

int cp_edhoc_mix(const struct cp_edhoc_schedule *k, const uint8_t *prk,
                 int label, const uint8_t *hash,
                 const struct cp_public_key *peer, const uint8_t *secret,
                 uint8_t *out)
{
    uint8_t salt[CP_HASH_LEN], shared[CP_CURVE_KEY];
    size_t len = cp_edhoc_hash_len(k);
    int err = cp_curve_shared(peer, secret, shared);

    if (err == 0)
        err = cp_edhoc_kdf(k, prk, label, hash_bytes(k, hash), salt, len);
    if (err == 0)
        err = cp_hkdf_extract(k->suite->hash, cp_bytes(salt, len),
                              cp_bytes(shared, sizeof(shared)), out);
    cp_wipe(salt, sizeof(salt));
    cp_wipe(shared, sizeof(shared));
    return err;
}

int cp_edhoc_stream(const struct cp_edhoc_schedule *k, const uint8_t *prk,
                    const uint8_t *hash, uint8_t *data, size_t len)
{
    size_t most = 255 * cp_edhoc_hash_len(k);
    uint8_t *stream = cp_alloc(k->mem, len < most ? len : most);
    int err = stream == NULL ? COPAL_ENOMEM : 0;
    size_t n;

    for (int64_t i = 0; err == 0 && len > 0; i++, data += n, len -= n) {
        n = len < most ? len : most;
        err = cp_edhoc_kdf(k, prk, -i, hash_bytes(k, hash), stream, n);
        for (size_t j = 0; err == 0 && j < n; j++)
            data[j] ^= stream[j];
    }
    cp_free(k->mem, stream);
    return err;
}

/* ---- Proofs ---- */

static size_t mac_len(const struct cp_edhoc_schedule *k,
                      const struct cp_edhoc_proof *p)
{
    return p->by_signature ? cp_edhoc_hash_len(k) : k->suite->mac_len;
}

static int make_mac(const struct cp_edhoc_schedule *k,
                    const struct cp_edhoc_proof *p, uint8_t mac[CP_HASH_LEN])
{
    struct cp_buf b = cp_buf_new(k->mem);
    copal_bytes context;
    int err;

    cp_put_bytes(&b, p->cid);
    cp_put_bytes(&b, p->id);
    cp_cbor_put_bytes(&b, hash_bytes(k, p->hash));
    cp_put_bytes(&b, p->cred);
    cp_put_bytes(&b, p->ead);
    err = cp_buf_finish(&b, &context);
    if (err == 0)
        err = cp_edhoc_kdf(k, p->prk, p->label, context, mac, mac_len(k, p));
    cp_buf_free(&b);
    return err;
}

/* The Sig_structure around mac, in b. */
static int put_to_sign(const struct cp_edhoc_schedule *k,
                       const struct cp_edhoc_proof *p, const uint8_t *mac,
                       struct cp_buf *b, copal_bytes *out)
{
    uint8_t head[CP_HASH_LEN + 4];
    struct cp_buf h = cp_buf_fixed(head, sizeof(head));
    copal_bytes aad[3];

    cp_cbor_put_bytes(&h, hash_bytes(k, p->hash));
    aad[0] = cp_bytes(head, h.len);
    aad[1] = p->cred;
    aad[2] = p->ead;
    cp_cose_put_to_sign(b, p->id, aad, 3, cp_bytes(mac, mac_len(k, p)));
    return cp_buf_finish(b, out);
}

int cp_edhoc_prove(const struct cp_edhoc_schedule *k,
                   const struct cp_edhoc_proof *p, const uint8_t *secret,
                   uint8_t out[CP_EDHOC_PROOF], size_t *len)
{
    struct cp_buf b = cp_buf_new(k->mem);
    uint8_t mac[CP_HASH_LEN];
    copal_bytes to_sign;
    int err = make_mac(k, p, mac);

    *len = p->by_signature ? CP_CURVE_SIGNATURE : mac_len(k, p);
    if (err == 0 && p->by_signature) {
        err = put_to_sign(k, p, mac, &b, &to_sign);
        if (err == 0)
            err = cp_curve_sign(k->suite->signature, secret, to_sign, out);
    } else if (err == 0) {
        memcpy(out, mac, *len);
    }
    cp_buf_free(&b);
    return err;
}

int cp_edhoc_check_proof(const struct cp_edhoc_schedule *k,
                         const struct cp_edhoc_proof *p,
                         const struct cp_public_key *key, copal_bytes shown)
{
    struct cp_buf b = cp_buf_new(k->mem);
    uint8_t mac[CP_HASH_LEN];
    copal_bytes to_sign;
    int err = make_mac(k, p, mac);

    if (err == 0 && p->by_signature) {
        err = put_to_sign(k, p, mac, &b, &to_sign);
        if (err == 0)
            err = cp_curve_verify(key, to_sign, shown);
    } else if (err == 0) {
        err = shown.len == mac_len(k, p) &&
                      cp_secret_equal(mac, shown.data, shown.len)
                  ? 0
                  : COPAL_EAUTH;
    }
    cp_buf_free(&b);
    return err;
}

/* ---- Messages 3 and 4 ---- */

/* One use of a key: derived, and gone afterwards. */
struct sealing {
    struct cp_aead_key key;
    uint8_t nonce[CP_AEAD_NONCE];
    copal_bytes iv;
    uint8_t aad[CP_HASH_LEN + 16];
    size_t aad_len;
};

static int derive(const struct cp_edhoc_schedule *k, const uint8_t *prk,
                  const uint8_t *hash, int key_label, struct sealing *s)
{
    struct cp_buf aad = cp_buf_fixed(s->aad, sizeof(s->aad));
    size_t n = nonce_len(k->suite->aead);
    int err;

    s->key.algorithm = k->suite->aead;
    s->iv = cp_bytes(s->nonce, n);
    cp_cose_put_to_enclose(&aad, hash_bytes(k, hash));
    s->aad_len = aad.len;
    err = cp_edhoc_kdf(k, prk, key_label, hash_bytes(k, hash), s->key.bytes,
                       cp_aead_key_len(k->suite->aead));
    return err != 0 ? err
                    : cp_edhoc_kdf(k, prk, key_label + 1, hash_bytes(k, hash),
                                   s->nonce, n);
}

static void let_go(const struct cp_edhoc_schedule *k, struct sealing *s)
{
    cp_aeads_forget(k->aeads, &s->key);
    cp_wipe(s, sizeof(*s));
}

int cp_edhoc_seal(const struct cp_edhoc_schedule *k, const uint8_t *prk,
                  const uint8_t *hash, int key_label, copal_bytes plain,
                  uint8_t *out)
{
    struct sealing s = {0};
    int err = derive(k, prk, hash, key_label, &s);

    if (err == 0)
        err = cp_aead_seal(k->aeads, &s.key, s.iv, cp_bytes(s.aad, s.aad_len),
                           plain, out);
    let_go(k, &s);
    return err;
}

int cp_edhoc_open(const struct cp_edhoc_schedule *k, const uint8_t *prk,
                  const uint8_t *hash, int key_label, copal_bytes sealed,
                  uint8_t *out)
{
    struct sealing s = {0};
    int err = derive(k, prk, hash, key_label, &s);

    if (err == 0)
        err = cp_aead_open(k->aeads, &s.key, s.iv, cp_bytes(s.aad, s.aad_len),
                           sealed, out);
    let_go(k, &s);
    return err;
}
