#include "wire/cbor.h"

#include <float.h>
#include <math.h>
#include <stdlib.h>

enum {
    MAJOR_BYTES = 2,
    MAJOR_TEXT,
    MAJOR_ARRAY,
    MAJOR_MAP,
    MAJOR_TAG,
    MAJOR_7
};

/* ---- Heads ---- */

static void put_long(struct cp_buf *b, uint64_t n)
{
    cp_put_u32(b, (uint32_t)(n >> 32));
    cp_put_u32(b, (uint32_t)n);
}

/* The shortest form of n. RFC 8949 4.2.1. */
static void put_head(struct cp_buf *b, unsigned major, uint64_t n)
{
    unsigned top = major << 5;

    if (n < 24) {
        cp_put_u8(b, (uint8_t)(top | n));
    } else if (n <= UINT8_MAX) {
        cp_put_u8(b, (uint8_t)(top | 24));
        cp_put_u8(b, (uint8_t)n);
    } else if (n <= UINT16_MAX) {
        cp_put_u8(b, (uint8_t)(top | 25));
        cp_put_u16(b, (uint16_t)n);
    } else if (n <= UINT32_MAX) {
        cp_put_u8(b, (uint8_t)(top | 26));
        cp_put_u32(b, (uint32_t)n);
    } else {
        cp_put_u8(b, (uint8_t)(top | 27));
        put_long(b, n);
    }
}

/* ---- Items ---- */

void cp_cbor_put_unsigned(struct cp_buf *b, uint64_t n)
{
    put_head(b, 0, n);
}

void cp_cbor_put_negative(struct cp_buf *b, uint64_t n)
{
    put_head(b, 1, n);
}

void cp_cbor_put_int(struct cp_buf *b, int64_t n)
{
    if (n < 0)
        put_head(b, 1, ~(uint64_t)n);
    else
        put_head(b, 0, (uint64_t)n);
}

void cp_cbor_put_bytes_head(struct cp_buf *b, uint64_t len)
{
    put_head(b, MAJOR_BYTES, len);
}

void cp_cbor_put_bytes(struct cp_buf *b, copal_bytes bytes)
{
    put_head(b, MAJOR_BYTES, bytes.len);
    cp_put_bytes(b, bytes);
}

void cp_cbor_put_text(struct cp_buf *b, copal_bytes text)
{
    put_head(b, MAJOR_TEXT, text.len);
    cp_put_bytes(b, text);
}

void cp_cbor_put_array(struct cp_buf *b, uint64_t count)
{
    put_head(b, MAJOR_ARRAY, count);
}

void cp_cbor_put_map(struct cp_buf *b, uint64_t pairs)
{
    put_head(b, MAJOR_MAP, pairs);
}

void cp_cbor_put_tag(struct cp_buf *b, uint64_t tag)
{
    put_head(b, MAJOR_TAG, tag);
}

void cp_cbor_put_simple(struct cp_buf *b, uint8_t n)
{
    put_head(b, MAJOR_7, n);
}

void cp_cbor_put_bignum(struct cp_buf *b, copal_bytes n, bool is_negative)
{
    while (n.len > 0 && n.data[0] == 0)
        n = cp_bytes(n.data + 1, n.len - 1);
    if (n.len <= 8) {
        put_head(b, is_negative, cp_bytes_uint(n));
        return;
    }
    cp_cbor_put_tag(b, is_negative ? 3 : 2);
    cp_cbor_put_bytes(b, n);
}

/* ---- Floats ---- */

/* The bits of a half-precision float of exactly this value. */
static bool half_bits(double number, uint16_t *bits)
{
    uint16_t sign = signbit(number) ? 0x8000 : 0;
    double magnitude = fabs(number), scaled;
    int exponent;

    if (number == 0 || isinf(number)) {
        *bits = (uint16_t)(sign | (number == 0 ? 0 : 0x7c00));
        return true;
    }
    frexp(magnitude, &exponent); /* magnitude < 2^exponent */
    if (exponent > 16)
        return false;
    /* Below 2^-14 the steps are 2^-24, above they are 2^-10 of the power. */
    if (exponent < -13)
        exponent = -13;
    scaled = ldexp(magnitude, 11 - exponent);
    if (scaled != (int)scaled)
        return false;
    /* 1024 for the leading bit carries into the exponent by itself. */
    *bits =
        (uint16_t)(sign + (uint16_t)(((exponent + 13) << 10) + (int)scaled));
    return true;
}

static bool single_bits(double number, uint32_t *bits)
{
    float single;

    if (fabs(number) > (double)FLT_MAX)
        return false;
    single = (float)number;
    memcpy(bits, &single, sizeof(single));
    return (double)single == number;
}

void cp_cbor_put_float(struct cp_buf *b, double number)
{
    uint16_t half = 0x7e00; /* the one NaN there is, RFC 8949 4.2.2 */
    uint32_t single;
    uint64_t bits;

    if (isnan(number) || half_bits(number, &half)) {
        cp_put_u8(b, MAJOR_7 << 5 | 25);
        cp_put_u16(b, half);
    } else if (single_bits(number, &single)) {
        cp_put_u8(b, MAJOR_7 << 5 | 26);
        cp_put_u32(b, single);
    } else {
        memcpy(&bits, &number, sizeof(bits));
        cp_put_u8(b, MAJOR_7 << 5 | 27);
        put_long(b, bits);
    }
}

/* ---- Maps ---- */

struct pair {
    copal_bytes key;
    size_t len; /* of key and value */
};

static int compare(const void *left, const void *right)
{
    const struct pair *a = left, *b = right;
    size_t least = a->key.len < b->key.len ? a->key.len : b->key.len;

    /* No encoded item is the beginning of another, so this decides. */
    return memcmp(a->key.data, b->key.data, least);
}

static const uint8_t *item_end(struct cp_cbor_reader *r)
{
    struct cp_cbor_item item;

    if (cp_cbor_next(r, &item) == 1)
        cp_cbor_skip(r, &item);
    return r->in.at;
}

static void find_pairs(copal_bytes written, struct pair *pairs, size_t count)
{
    struct cp_cbor_reader r = cp_cbor_read(written, CP_CBOR_DEPTH);

    r.is_sequence = true;
    for (size_t i = 0; i < count; i++) {
        const uint8_t *key = r.in.at, *end = item_end(&r);

        pairs[i].key = cp_bytes(key, (size_t)(end - key));
        pairs[i].len = (size_t)(item_end(&r) - key);
    }
}

int cp_cbor_sort_map(struct cp_buf *b, size_t begin, size_t count)
{
    copal_bytes written;
    struct pair *pairs;
    uint8_t *copy;
    size_t at = begin;
    int err = 0;

    if (b->failed)
        return COPAL_ENOMEM;
    if (count < 2)
        return 0;
    pairs = cp_alloc(b->mem, count * sizeof(*pairs));
    copy = cp_alloc(b->mem, b->len - begin);
    if (pairs == NULL || copy == NULL) {
        err = COPAL_ENOMEM;
        goto out;
    }
    memcpy(copy, b->data + begin, b->len - begin);
    written = cp_bytes(copy, b->len - begin);
    find_pairs(written, pairs, count);
    qsort(pairs, count, sizeof(*pairs), compare);
    for (size_t i = 0; i < count; i++) {
        if (i > 0 && compare(&pairs[i - 1], &pairs[i]) == 0)
            err = COPAL_EINVAL;
        memcpy(b->data + at, pairs[i].key.data, pairs[i].len);
        at += pairs[i].len;
    }
out:
    cp_free(b->mem, copy);
    cp_free(b->mem, pairs);
    return err;
}
