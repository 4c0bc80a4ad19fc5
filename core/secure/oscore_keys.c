#include "secure/oscore_keys.h"
#include "wire/cbor.h"

enum {
    INFO = 128 /* bytes of an info at most */
};

const struct cp_oscore_aead *cp_oscore_aead(int cose)
{
    /* AES-CCM-L-M-K: nonces of 15 - L/8 bytes, tags of M bits. */
    static const struct cp_oscore_aead all[] = {
        {1, CP_AES_128_GCM, 12, "A128GCM"},
        {2, CP_AES_192_GCM, 12, "A192GCM"},
        {3, CP_AES_256_GCM, 12, "A256GCM"},
        {10, CP_AES_128_CCM_8, 13, "AES-CCM-16-64-128"},
        {11, CP_AES_256_CCM_8, 13, "AES-CCM-16-64-256"},
        {12, CP_AES_128_CCM_8, 7, "AES-CCM-64-64-128"},
        {13, CP_AES_256_CCM_8, 7, "AES-CCM-64-64-256"},
        {24, CP_CHACHA20_POLY1305, 12, "ChaCha20/Poly1305"},
        {30, CP_AES_128_CCM, 13, "AES-CCM-16-128-128"},
        {31, CP_AES_256_CCM, 13, "AES-CCM-16-128-256"},
        {32, CP_AES_128_CCM, 7, "AES-CCM-64-128-128"},
        {33, CP_AES_256_CCM, 7, "AES-CCM-64-128-256"},
    };

    for (size_t i = 0; i < sizeof(all) / sizeof(all[0]); i++)
        if (all[i].cose == cose)
            return &all[i];
    return NULL;
}

bool cp_oscore_hash(int cose, enum cp_hash *out)
{
    switch (cose) {
    case -10:
    case 5: *out = CP_SHA256; return true;
    case 6: *out = CP_SHA384; return true;
    case -11:
    case 7: *out = CP_SHA512; return true;
    default: return false;
    }
}

void cp_oscore_put_info(struct cp_buf *out, copal_bytes id,
                        copal_bytes id_context, int aead, const char *type,
                        size_t len)
{
    cp_cbor_put_array(out, 5);
    cp_cbor_put_bytes(out, id);
    if (id_context.data == NULL)
        cp_cbor_put_simple(out, CP_CBOR_NULL);
    else
        cp_cbor_put_bytes(out, id_context);
    cp_cbor_put_int(out, aead);
    cp_cbor_put_text(out, cp_bytes_of_text(type));
    cp_cbor_put_unsigned(out, len);
}

/* RFC 8613 3.2.1. */
static int expand(const struct cp_oscore_input *in, enum cp_hash h,
                  const uint8_t *prk, copal_bytes id, const char *type,
                  uint8_t *out, size_t len)
{
    uint8_t storage[INFO];
    struct cp_buf info = cp_buf_fixed(storage, sizeof(storage));
    copal_bytes written;
    int err;

    cp_oscore_put_info(&info, id, in->id_context, in->aead, type, len);
    err = cp_buf_finish(&info, &written);
    return err != 0 ? COPAL_EINVAL
                    : cp_hkdf_expand(h, cp_bytes(prk, cp_hash_len(h)), written,
                                     out, len);
}

static int check(const struct cp_oscore_input *in, enum cp_hash *h)
{
    const struct cp_oscore_aead *a = cp_oscore_aead(in->aead);

    if (a == NULL || !cp_oscore_hash(in->hkdf, h) ||
        in->sender_id.len + 6 > a->nonce_len ||
        in->recipient_id.len + 6 > a->nonce_len ||
        in->id_context.len > CP_OSCORE_ID_CONTEXT ||
        cp_bytes_equal(in->sender_id, in->recipient_id))
        return COPAL_EINVAL;
    return 0;
}

static uint8_t copy_id(uint8_t to[CP_OSCORE_ID], copal_bytes id)
{
    if (id.len > 0)
        memcpy(to, id.data, id.len);
    return (uint8_t)id.len;
}

/* The Common IV with an ID and its length in it: what a Partial IV is missing
 * to be a nonce. */
static void begin_nonce(const struct cp_oscore_keys *k, copal_bytes id,
                        uint8_t out[CP_AEAD_NONCE])
{
    size_t at = k->aead->nonce_len - (size_t)CP_OSCORE_PIV - id.len;

    memcpy(out, k->common_iv, CP_AEAD_NONCE);
    out[0] ^= (uint8_t)id.len;
    for (size_t i = 0; i < id.len; i++)
        out[at + i] ^= id.data[i];
}

int cp_oscore_derive(const struct cp_oscore_input *in,
                     struct cp_oscore_keys *out)
{
    uint8_t prk[CP_HASH_LEN];
    enum cp_hash h;
    int err = check(in, &h);
    size_t len;

    if (err != 0)
        return err;
    memset(out, 0, sizeof(*out));
    out->aead = cp_oscore_aead(in->aead);
    out->sender_id_len = copy_id(out->sender_id, in->sender_id);
    out->recipient_id_len = copy_id(out->recipient_id, in->recipient_id);
    out->sender.algorithm = out->recipient.algorithm = out->aead->aead;
    len = cp_aead_key_len((enum cp_aead)out->aead->aead);
    err = cp_hkdf_extract(h, in->salt, in->secret, prk);
    if (err == 0)
        err = expand(in, h, prk, in->sender_id, "Key", out->sender.bytes, len);
    if (err == 0)
        err = expand(in, h, prk, in->recipient_id, "Key", out->recipient.bytes,
                     len);
    if (err == 0)
        err = expand(in, h, prk, (copal_bytes){0}, "IV", out->common_iv,
                     out->aead->nonce_len);
    cp_wipe(prk, sizeof(prk));
    if (err != 0) {
        cp_wipe(out, sizeof(*out));
        return err;
    }
    begin_nonce(out, in->sender_id, out->sender_iv);
    begin_nonce(out, in->recipient_id, out->recipient_iv);
    return 0;
}

copal_bytes cp_oscore_nonce(const struct cp_oscore_keys *k, bool is_senders,
                            copal_bytes piv, uint8_t storage[CP_AEAD_NONCE])
{
    size_t len = k->aead->nonce_len;
    uint8_t *at = storage + len - piv.len;

    memcpy(storage, is_senders ? k->sender_iv : k->recipient_iv, CP_AEAD_NONCE);
    for (size_t i = 0; i < piv.len; i++)
        at[i] ^= piv.data[i];
    return cp_bytes(storage, len);
}

/* At most 8 bytes, without a call. */
static inline uint8_t *put_short(uint8_t *at, copal_bytes bytes)
{
    *at++ = (uint8_t)(0x40 | bytes.len);
    if (bytes.len >= 4) {
        memcpy(at + bytes.len - 4, bytes.data + bytes.len - 4, 4);
        memcpy(at, bytes.data, 4);
    } else if (bytes.len > 0) {
        at[0] = bytes.data[0];
        at[bytes.len / 2] = bytes.data[bytes.len / 2];
        at[bytes.len - 1] = bytes.data[bytes.len - 1];
    }
    return at + bytes.len;
}

/* By hand, for it is made twice a request: [ "Encrypt0", h'', external_aad ],
 * which is [ 1, [ alg_aead ], request_kid, request_piv, h'' ] in a byte string;
 * there is no option of class I. All of it is shorter than 24 bytes. */
copal_bytes cp_oscore_aad(const struct cp_oscore_keys *k, copal_bytes kid,
                          copal_bytes piv, uint8_t storage[CP_OSCORE_AAD])
{
    static const uint8_t head[] = "\x83\x68"
                                  "Encrypt0\x40";
    uint8_t *at = storage + sizeof(head), *inner = at;

    memcpy(storage, head, sizeof(head) - 1);
    *at++ = 0x85;
    *at++ = 1;
    *at++ = 0x81;
    if (k->aead->cose >= 24)
        *at++ = 0x18;
    *at++ = k->aead->cose;
    at = put_short(at, kid);
    at = put_short(at, piv);
    *at++ = 0x40;
    inner[-1] = (uint8_t)(0x40 | (at - inner));
    return cp_bytes(storage, (size_t)(at - storage));
}
