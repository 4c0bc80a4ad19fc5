#include "secure/edhoc_credential.h"
#include "base/base64.h"
#include "secure/credentials.h"
#include "secure/edhoc_x509.h"
#include "secure/hash.h"
#include "wire/cbor.h"

enum {
    SUB = 2, /* claims, RFC 8392 3.1 and RFC 8747 3.1 */
    CNF = 8,
    COSE_KEY = 1
};

/* ---- Walking ---- */

/* Reads a map's pairs with integers as keys; what is keyed otherwise is passed
 * over. A credential is what somebody else encoded, so that it need not be
 * deterministic (RFC 9528 3.5.2). */
static int find(copal_bytes map, int64_t wanted, copal_bytes *out)
{
    struct cp_cbor_reader r = cp_cbor_read(map, CP_COSE_DEPTH);
    struct cp_cbor_item key, value;
    int result = cp_cbor_next(&r, &key), err = COPAL_ENOENT;

    if (result < 0 || key.kind != CP_CBOR_MAP)
        return COPAL_EFORMAT;
    while ((result = cp_cbor_next(&r, &key)) == 1 && key.kind != CP_CBOR_END) {
        size_t begin;
        bool is_wanted =
            key.kind == CP_CBOR_UNSIGNED && key.n == (uint64_t)wanted;

        if (cp_cbor_skip(&r, &key) != 0)
            return COPAL_EFORMAT;
        begin = cp_cbor_offset(&r, map);
        if (cp_cbor_next(&r, &value) != 1 || cp_cbor_skip(&r, &value) != 0)
            return COPAL_EFORMAT;
        if (is_wanted && err == 0)
            return COPAL_EFORMAT; /* twice */
        if (is_wanted) {
            *out = cp_bytes(map.data + begin, cp_cbor_offset(&r, map) - begin);
            err = 0;
        }
    }
    return result == 1 ? err : COPAL_EFORMAT;
}

/* ---- Names ---- */

/* RFC 6920 3. The hash is of the whole credential, for that is what is proven.
 */
static bool name_by_hash(struct cp_edhoc_credential *c)
{
    struct cp_buf b = cp_buf_fixed(c->name, sizeof(c->name));
    uint8_t digest[CP_HASH_LEN], text[48];
    struct cp_buf t = cp_buf_fixed(text, sizeof(text));

    if (cp_hash(CP_SHA256, c->item, digest) != 0)
        return false;
    cp_put_base64(&t, cp_bytes(digest, 32));
    cp_put_text(&b, "ni:///sha-256;");
    for (size_t i = 0; i < t.len && text[i] != '='; i++)
        cp_put_u8(&b, text[i] == '+' ? '-' : text[i] == '/' ? '_' : text[i]);
    return cp_buf_text(&b) != NULL;
}

/* By its subject, if it says one that is not too long. */
static bool name_by_subject(struct cp_edhoc_credential *c, copal_bytes claims)
{
    struct cp_buf b = cp_buf_fixed(c->name, sizeof(c->name));
    struct cp_cbor_reader r;
    struct cp_cbor_item item;
    copal_bytes subject;

    if (find(claims, SUB, &subject) != 0)
        return false;
    r = cp_cbor_read(subject, 1);
    if (cp_cbor_next(&r, &item) != 1 || item.kind != CP_CBOR_TEXT ||
        item.indefinite || item.bytes.len == 0)
        return false;
    cp_credentials_put_identity(&b, item.bytes);
    return cp_buf_text(&b) != NULL;
}

/* ---- Kinds ---- */

static int read_claims(copal_bytes claims, struct cp_edhoc_credential *c)
{
    copal_bytes confirmation, key;
    const uint8_t *none = c->kid.data;
    int err = find(claims, CNF, &confirmation);

    if (err == 0)
        err = find(confirmation, COSE_KEY, &key);
    if (err == 0)
        err = cp_cose_read_key(key, &c->key, &c->kid);
    if (err != 0)
        return err == COPAL_ENOENT ? COPAL_EFORMAT : err;
    c->has_kid = c->kid.data != none;
    return name_by_subject(c, claims) || name_by_hash(c) ? 0 : COPAL_ENOMEM;
}

/* COSE_Sign1 or COSE_Mac0 without its tag: protected, unprotected, payload,
 * and what proves it. RFC 8392 7.1. */
static int read_cwt(struct cp_edhoc_credential *c)
{
    struct cp_cbor_reader r = cp_cbor_read(c->item, CP_COSE_DEPTH);
    struct cp_cbor_item item;
    copal_bytes claims = {0};

    if (cp_cbor_next(&r, &item) != 1 || item.kind != CP_CBOR_ARRAY ||
        item.indefinite || item.n != 4)
        return COPAL_EFORMAT;
    for (int i = 0; i < 4; i++) {
        if (cp_cbor_next(&r, &item) != 1 ||
            item.kind != (i == 1 ? CP_CBOR_MAP : CP_CBOR_BYTES) ||
            item.indefinite || cp_cbor_skip(&r, &item) != 0)
            return COPAL_EFORMAT;
        if (i == 2)
            claims = item.bytes;
    }
    return read_claims(claims, c);
}

static int read_kind(struct cp_edhoc_credential *c,
                     const struct cp_cbor_item *first)
{
    switch (first->kind) {
    case CP_CBOR_MAP: c->kind = CP_EDHOC_CCS; return read_claims(c->item, c);
    case CP_CBOR_ARRAY: c->kind = CP_EDHOC_CWT; return read_cwt(c);
    case CP_CBOR_BYTES:
        if (first->indefinite)
            return COPAL_EFORMAT;
        c->kind = CP_EDHOC_X509;
        c->der = first->bytes;
        return cp_edhoc_x509_read(c->der, &c->key, c->name, sizeof(c->name),
                                  &c->is_authority);
    default: return COPAL_EFORMAT;
    }
}

int cp_edhoc_credential_read(copal_bytes sequence,
                             struct cp_edhoc_credential *out, copal_bytes *rest)
{
    struct cp_cbor_reader r = cp_cbor_read(sequence, CP_COSE_DEPTH);
    struct cp_cbor_item first;
    size_t len;

    *out = (struct cp_edhoc_credential){0};
    r.is_sequence = true;
    if (cp_cbor_next(&r, &first) != 1 || cp_cbor_skip(&r, &first) != 0)
        return COPAL_EFORMAT;
    len = cp_cbor_offset(&r, sequence);
    if (rest == NULL && len != sequence.len)
        return COPAL_EFORMAT;
    if (rest != NULL)
        *rest = cp_bytes(sequence.data + len, sequence.len - len);
    out->item = cp_bytes(sequence.data, len);
    return read_kind(out, &first);
}

void cp_edhoc_credential_put_ccs(struct cp_buf *b,
                                 const struct cp_public_key *key,
                                 copal_bytes subject, copal_bytes kid)
{
    cp_cbor_put_map(b, 1u + (subject.len > 0));
    if (subject.len > 0) {
        cp_cbor_put_unsigned(b, SUB);
        cp_cbor_put_text(b, subject);
    }
    cp_cbor_put_unsigned(b, CNF);
    cp_cbor_put_map(b, 1);
    cp_cbor_put_unsigned(b, COSE_KEY);
    cp_cose_put_key(b, key, kid);
}

/* ---- What names one ---- */

bool cp_edhoc_credential_is(const struct cp_edhoc_credential *c,
                            const struct cp_cose_id *id)
{
    switch (c->kind) {
    case CP_EDHOC_CCS:
        if (id->kccs.len > 0)
            return cp_bytes_equal(id->kccs, c->item);
        break;
    case CP_EDHOC_CWT:
        if (id->kcwt.len > 0)
            return cp_bytes_equal(id->kcwt, c->item);
        break;
    default:
        if (id->chain_length > 0)
            return cp_bytes_equal(id->chain[0], c->der);
        return id->has_x5t && cp_cose_is_x5t(id, c->der);
    }
    return id->has_kid && c->has_kid && cp_bytes_equal(id->kid, c->kid);
}

void cp_edhoc_credential_put_id(struct cp_buf *b,
                                const struct cp_edhoc_credential *c)
{
    static const uint8_t labels[] = {CP_COSE_KCCS, CP_COSE_KCWT,
                                     CP_COSE_X5CHAIN};

    if (c->has_kid) {
        cp_cose_put_kid(b, c->kid);
        return;
    }
    cp_cbor_put_map(b, 1);
    cp_cbor_put_unsigned(b, labels[c->kind]);
    cp_put_bytes(b, c->item);
}
