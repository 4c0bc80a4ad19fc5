#include "secure/cose.h"
#include "secure/hash.h"
#include "wire/cbor.h"

/* ---- Maps with integers and texts as labels ---- */

/* A map's next label, or false: its end, or *err. Text labels, which nobody
 * here knows, have label 0, which is nobody's. */
struct labels {
    struct cp_cbor_reader r;
    copal_bytes bytes;
    int64_t seen[CP_COSE_LABELS];
    size_t count;
    int err;
};

static void fail(struct labels *l, int err)
{
    if (l->err == 0)
        l->err = err;
}

static bool next(struct labels *l, struct cp_cbor_item *item)
{
    int result = l->err != 0 ? l->err : cp_cbor_next(&l->r, item);

    if (result < 0)
        fail(l, result);
    else if (result == 0)
        fail(l, COPAL_EFORMAT);
    return l->err == 0;
}

static struct labels open_map(copal_bytes map, bool is_strict)
{
    struct labels l = {.r = cp_cbor_read(map, CP_COSE_DEPTH), .bytes = map};
    struct cp_cbor_item item;

    l.r.is_strict = is_strict;
    if (next(&l, &item) && item.kind != CP_CBOR_MAP)
        fail(&l, COPAL_EFORMAT);
    return l;
}

/* An integer of 32 bits. */
static bool to_int(const struct cp_cbor_item *item, int64_t *out)
{
    if (item->n > INT32_MAX)
        return false;
    *out = item->kind == CP_CBOR_NEGATIVE ? -1 - (int64_t)item->n
                                          : (int64_t)item->n;
    return item->kind == CP_CBOR_UNSIGNED || item->kind == CP_CBOR_NEGATIVE;
}

/* After the last one everything was read, and nothing stands behind. */
static bool next_label(struct labels *l, int64_t *label)
{
    struct cp_cbor_item item;

    if (!next(l, &item))
        return false;
    if (item.kind == CP_CBOR_END) {
        int result = cp_cbor_next(&l->r, &item);

        if (result != 0)
            fail(l, result < 0 ? result : COPAL_EFORMAT);
        return false;
    }
    *label = 0;
    if (!to_int(&item, label) && item.kind != CP_CBOR_TEXT)
        fail(l, COPAL_EFORMAT);
    for (size_t i = 0; i < l->count; i++)
        if (*label != 0 && l->seen[i] == *label)
            fail(l, COPAL_EFORMAT);
    if (l->count == CP_COSE_LABELS)
        fail(l, COPAL_ELIMIT);
    else
        l->seen[l->count++] = *label;
    return l->err == 0;
}

/* The whole value of a label. */
static copal_bytes take_item(struct labels *l)
{
    size_t begin = cp_cbor_offset(&l->r, l->bytes);
    struct cp_cbor_item item;
    int err;

    if (!next(l, &item))
        return (copal_bytes){0};
    err = cp_cbor_skip(&l->r, &item);
    if (err != 0) {
        fail(l, err);
        return (copal_bytes){0};
    }
    return cp_bytes(l->bytes.data + begin,
                    cp_cbor_offset(&l->r, l->bytes) - begin);
}

static copal_bytes take_bytes(struct labels *l)
{
    struct cp_cbor_item item;

    if (next(l, &item) && (item.kind != CP_CBOR_BYTES || item.indefinite))
        fail(l, COPAL_EFORMAT);
    return l->err == 0 ? item.bytes : (copal_bytes){0};
}

static int64_t take_int(struct labels *l)
{
    struct cp_cbor_item item;
    int64_t n = 0;

    if (next(l, &item) && !to_int(&item, &n))
        fail(l, COPAL_EFORMAT);
    return n;
}

/* ---- Names of credentials ---- */

static void take_x5t(struct labels *l, struct cp_cose_id *out)
{
    struct cp_cbor_item item;

    if (next(l, &item) && (item.kind != CP_CBOR_ARRAY || item.n != 2))
        fail(l, COPAL_EFORMAT);
    if (l->err != 0)
        return;
    out->x5t_algorithm = (int)take_int(l);
    out->x5t = take_bytes(l);
    out->has_x5t = next(l, &item); /* the array's end */
}

/* One certificate stands by itself, several in an array. RFC 9360 2. */
static void take_chain(struct labels *l, struct cp_cose_id *out)
{
    struct cp_cbor_item item;

    if (!next(l, &item))
        return;
    if (item.kind == CP_CBOR_BYTES) {
        out->chain[out->chain_length++] = item.bytes;
        return;
    }
    if (item.kind != CP_CBOR_ARRAY || item.n < 2)
        fail(l, COPAL_EFORMAT);
    while (next(l, &item) && item.kind != CP_CBOR_END) {
        if (item.kind != CP_CBOR_BYTES)
            fail(l, COPAL_EFORMAT);
        else if (out->chain_length == CP_COSE_CHAIN)
            fail(l, COPAL_ELIMIT);
        else
            out->chain[out->chain_length++] = item.bytes;
    }
}

int cp_cose_read_id(copal_bytes map, struct cp_cose_id *out)
{
    struct labels l = open_map(map, true);
    int64_t label;

    *out = (struct cp_cose_id){.whole = map};
    while (next_label(&l, &label)) {
        out->count++;
        switch (label) {
        case CP_COSE_KID:
            out->kid = take_bytes(&l);
            out->has_kid = true;
            break;
        case CP_COSE_KCWT: out->kcwt = take_item(&l); break;
        case CP_COSE_KCCS: out->kccs = take_item(&l); break;
        case CP_COSE_X5CHAIN: take_chain(&l, out); break;
        case CP_COSE_X5T: take_x5t(&l, out); break;
        default: take_item(&l); break;
        }
    }
    if (l.err == 0 && out->count == 0)
        return COPAL_EFORMAT;
    return l.err;
}

void cp_cose_put_kid(struct cp_buf *b, copal_bytes kid)
{
    cp_cbor_put_map(b, 1);
    cp_cbor_put_unsigned(b, CP_COSE_KID);
    cp_cbor_put_bytes(b, kid);
}

bool cp_cose_is_x5t(const struct cp_cose_id *id, copal_bytes der)
{
    uint8_t digest[CP_HASH_LEN];
    enum cp_hash hash = CP_SHA256;
    size_t len;

    switch (id->x5t_algorithm) {
    case -15: len = 8; break; /* SHA-256/64, RFC 9054 3.1 */
    case -16: len = 32; break;
    case -43:
        hash = CP_SHA384;
        len = 48;
        break;
    case -44:
        hash = CP_SHA512;
        len = 64;
        break;
    default: return false;
    }
    return id->x5t.len == len && cp_hash(hash, der, digest) == 0 &&
           memcmp(digest, id->x5t.data, len) == 0;
}

/* ---- Keys ---- */

enum {
    KTY = 1,
    CRV = -1,
    X = -2,
    Y = -3,
    D = -4,
    OKP = 1,
    EC2 = 2
};

/* y is bytes, or which of the two it is. RFC 9053 7.1.1. */
struct y {
    bool is_there, is_sign, sign;
    copal_bytes bytes;
};

static struct y take_y(struct labels *l)
{
    struct y y = {.is_there = true};
    struct cp_cbor_item item;

    if (!next(l, &item))
        return y;
    if (item.kind == CP_CBOR_BYTES && !item.indefinite) {
        y.bytes = item.bytes;
    } else if (item.kind == CP_CBOR_SIMPLE &&
               (item.n == CP_CBOR_TRUE || item.n == CP_CBOR_FALSE)) {
        y.is_sign = true;
        y.sign = item.n == CP_CBOR_TRUE;
    } else {
        fail(l, COPAL_EFORMAT);
    }
    return y;
}

static int make_key(int64_t kty, int64_t curve, copal_bytes x,
                    const struct y *y, struct cp_public_key *out)
{
    bool is_p256 = kty == EC2 && curve == CP_P256;

    if (!is_p256 && (kty != OKP || (curve != CP_X25519 && curve != CP_ED25519)))
        return COPAL_ENOTSUP;
    if (x.len != CP_CURVE_KEY || (!is_p256 && y->is_there))
        return COPAL_EFORMAT;
    *out = (struct cp_public_key){.curve = (uint8_t)curve};
    memcpy(out->x, x.data, CP_CURVE_KEY);
    if (is_p256 && y->is_sign)
        return cp_curve_find_y(out, y->sign);
    if (is_p256 && y->is_there) {
        if (y->bytes.len != CP_CURVE_KEY)
            return COPAL_EFORMAT;
        memcpy(out->y, y->bytes.data, CP_CURVE_KEY);
        out->has_y = true;
    }
    return cp_curve_check(out);
}

int cp_cose_read_key(copal_bytes map, struct cp_public_key *out,
                     copal_bytes *kid)
{
    struct labels l = open_map(map, false);
    int64_t label, kty = 0, curve = 0;
    copal_bytes x = {0}, name = {0};
    struct y y = {.is_there = false};
    bool is_private = false, is_named = false;

    while (next_label(&l, &label)) {
        switch (label) {
        case KTY: kty = take_int(&l); break;
        case 2:
            name = take_bytes(&l);
            is_named = true;
            break;
        case CRV: curve = take_int(&l); break;
        case X: x = take_bytes(&l); break;
        case Y: y = take_y(&l); break;
        case D: is_private = true; /* fall through */
        default: take_item(&l); break;
        }
    }
    if (l.err != 0)
        return l.err;
    if (is_private)
        return COPAL_ENOTSUP;
    if (is_named && kid != NULL)
        *kid = name;
    return make_key(kty, curve, x, &y, out);
}

void cp_cose_put_key(struct cp_buf *b, const struct cp_public_key *key,
                     copal_bytes kid)
{
    bool is_p256 = key->curve == CP_P256;

    cp_cbor_put_map(b, 3u + (kid.len > 0) + (is_p256 && key->has_y));
    cp_cbor_put_unsigned(b, KTY);
    cp_cbor_put_unsigned(b, is_p256 ? EC2 : OKP);
    if (kid.len > 0) {
        cp_cbor_put_unsigned(b, 2);
        cp_cbor_put_bytes(b, kid);
    }
    cp_cbor_put_int(b, CRV);
    cp_cbor_put_unsigned(b, key->curve);
    cp_cbor_put_int(b, X);
    cp_cbor_put_bytes(b, cp_bytes(key->x, CP_CURVE_KEY));
    if (is_p256 && key->has_y) {
        cp_cbor_put_int(b, Y);
        cp_cbor_put_bytes(b, cp_bytes(key->y, CP_CURVE_KEY));
    }
}

/* ---- Structures ---- */

void cp_cose_put_to_sign(struct cp_buf *b, copal_bytes protected_map,
                         const copal_bytes *aad, size_t parts,
                         copal_bytes payload)
{
    size_t len = 0;

    for (size_t i = 0; i < parts; i++)
        len += aad[i].len;
    cp_cbor_put_array(b, 4);
    cp_cbor_put_text(b, cp_bytes_of_text("Signature1"));
    cp_cbor_put_bytes(b, protected_map);
    cp_cbor_put_bytes_head(b, len);
    for (size_t i = 0; i < parts; i++)
        cp_put_bytes(b, aad[i]);
    cp_cbor_put_bytes(b, payload);
}

void cp_cose_put_to_enclose(struct cp_buf *b, copal_bytes aad)
{
    cp_cbor_put_array(b, 3);
    cp_cbor_put_text(b, cp_bytes_of_text("Encrypt0"));
    cp_cbor_put_bytes(b, (copal_bytes){0});
    cp_cbor_put_bytes(b, aad);
}
