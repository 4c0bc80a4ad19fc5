#include "wire/cbor.h"
#include "base/utf8.h"

#include <math.h>

/* ---- Heads, RFC 8949 3 ---- */

struct head {
    uint8_t major, info;
    uint8_t width;
    uint64_t n;
};

static bool take_head(struct cp_cursor *c, struct head *h)
{
    uint8_t first = cp_take_u8(c);

    *h = (struct head){.major = first >> 5, .info = first & 31};
    if (h->info < 24)
        h->n = h->info;
    else if (h->info < 28)
        h->width = (uint8_t)(1u << (h->info - 24));
    else if (h->info < 31)
        return false;
    if (h->width > 0)
        h->n = cp_bytes_uint(cp_take(c, h->width));
    return !c->failed;
}

/* ---- Floats, RFC 8949 3.3 and D ---- */

static double half_of(uint16_t bits)
{
    int exponent = bits >> 10 & 31, fraction = bits & 1023;
    double magnitude;

    if (exponent == 0)
        magnitude = ldexp(fraction, -24);
    else if (exponent == 31)
        magnitude = fraction == 0 ? INFINITY : NAN;
    else
        magnitude = ldexp(fraction + 1024, exponent - 25);
    return bits & 0x8000 ? -magnitude : magnitude;
}

static double float_of(uint64_t bits, uint8_t width)
{
    uint32_t single_bits = (uint32_t)bits;
    float single;
    double number;

    if (width == 2)
        return half_of((uint16_t)bits);
    if (width == 4) {
        memcpy(&single, &single_bits, sizeof(single));
        return (double)single;
    }
    memcpy(&number, &bits, sizeof(number));
    return number;
}

/* ---- The stack of what items stand in ---- */

static struct cp_cbor_frame *top(struct cp_cbor_reader *r)
{
    return r->depth > 0 ? &r->stack[r->depth - 1] : NULL;
}

static int push(struct cp_cbor_reader *r, const struct cp_cbor_item *item,
                uint64_t left)
{
    if (r->depth >= r->max_depth)
        return COPAL_ELIMIT;
    r->stack[r->depth++] = (struct cp_cbor_frame){
        .kind = item->kind,
        .left = left,
        .indefinite = item->indefinite,
    };
    return 0;
}

static void pop(struct cp_cbor_reader *r, struct cp_cbor_item *out)
{
    const struct cp_cbor_frame *frame = top(r);

    *out = (struct cp_cbor_item){
        .kind = CP_CBOR_END,
        .parent = frame->kind,
        .indefinite = frame->indefinite,
        .index = frame->index,
        .depth = r->depth - 1,
    };
    r->depth--;
}

/* ---- Items ---- */

static int read_string(struct cp_cbor_reader *r, struct cp_cbor_item *item)
{
    if (item->indefinite)
        return push(r, item, 0);
    if (item->n > cp_cursor_left(&r->in))
        return COPAL_EFORMAT;
    item->bytes = cp_take(&r->in, (size_t)item->n);
    if (item->kind == CP_CBOR_TEXT && !cp_utf8_is_valid(item->bytes))
        return COPAL_EFORMAT;
    return 0;
}

/* Every item takes a byte at least: a count that the input cannot hold is
 * refused here, before anybody makes room for it. */
static int read_many(struct cp_cbor_reader *r, const struct cp_cbor_item *item)
{
    unsigned each = item->kind == CP_CBOR_MAP ? 2 : 1;

    if (!item->indefinite && item->n > cp_cursor_left(&r->in) / each)
        return COPAL_EFORMAT;
    return push(r, item, item->n * each);
}

static int read_special(struct cp_cbor_item *item, const struct head *h)
{
    if (h->info == 24 && h->n < 32) /* has a shorter form, RFC 8949 3.3 */
        return COPAL_EFORMAT;
    if (h->info >= 25) {
        item->kind = CP_CBOR_FLOAT;
        item->number = float_of(h->n, h->width);
    }
    return 0;
}

static int read_content(struct cp_cbor_reader *r, struct cp_cbor_item *item,
                        const struct head *h)
{
    switch (item->kind) {
    case CP_CBOR_BYTES:
    case CP_CBOR_TEXT: return read_string(r, item);
    case CP_CBOR_ARRAY:
    case CP_CBOR_MAP: return read_many(r, item);
    case CP_CBOR_TAG: return push(r, item, 1);
    case CP_CBOR_SIMPLE: return read_special(item, h);
    default: return 0;
    }
}

/* "break" ends what has no length; not between a key and its value. */
static int read_break(struct cp_cbor_reader *r, struct cp_cbor_item *out)
{
    const struct cp_cbor_frame *frame = top(r);

    if (frame == NULL || !frame->indefinite ||
        (frame->kind == CP_CBOR_MAP && frame->index % 2 == 1))
        return COPAL_EFORMAT;
    pop(r, out);
    return 1;
}

/* A string of chunks has only chunks of its own kind. RFC 8949 3.2.3. */
static bool fits(const struct cp_cbor_frame *frame,
                 const struct cp_cbor_item *item)
{
    if (frame == NULL ||
        (frame->kind != CP_CBOR_BYTES && frame->kind != CP_CBOR_TEXT))
        return true;
    return item->kind == frame->kind && !item->indefinite;
}

/* The item's place: what it stands in, and which one it is there. */
static void place(struct cp_cbor_reader *r, struct cp_cbor_item *item)
{
    struct cp_cbor_frame *frame = top(r);

    item->depth = r->depth;
    item->parent = frame == NULL ? CP_CBOR_NOTHING : frame->kind;
    item->index = frame == NULL ? r->count++ : frame->index++;
    if (frame != NULL && !frame->indefinite)
        frame->left--;
}

/* Could the head be shorter? */
static bool is_shortest(const struct cp_cbor_item *item)
{
    switch (item->width) {
    case 0: return !item->indefinite;
    case 1: return item->n >= 24;
    case 2: return item->n > UINT8_MAX;
    case 4: return item->n > UINT16_MAX;
    default: return item->n > UINT32_MAX;
    }
}

static int read_item(struct cp_cbor_reader *r, struct cp_cbor_item *out)
{
    struct head h;
    struct cp_cbor_item item = {0};
    int err;

    if (!take_head(&r->in, &h))
        return COPAL_EFORMAT;
    if (h.major == 7 && h.info == 31)
        return read_break(r, out);
    item.kind = (enum cp_cbor_kind)h.major;
    item.n = h.n;
    item.width = h.width;
    item.indefinite = h.info == 31;
    if (item.indefinite &&
        (item.kind < CP_CBOR_BYTES || item.kind > CP_CBOR_MAP))
        return COPAL_EFORMAT;
    if (!fits(top(r), &item))
        return COPAL_EFORMAT;
    if (r->is_strict && item.kind != CP_CBOR_SIMPLE && !is_shortest(&item))
        return COPAL_EFORMAT;
    place(r, &item);
    err = read_content(r, &item, &h);
    if (err != 0)
        return err;
    *out = item;
    return 1;
}

/* ---- Walking ---- */

struct cp_cbor_reader cp_cbor_read(copal_bytes bytes, int max_depth)
{
    return (struct cp_cbor_reader){
        .in = cp_cursor_of(bytes),
        .max_depth = max_depth < CP_CBOR_DEPTH ? max_depth : CP_CBOR_DEPTH,
    };
}

int cp_cbor_next(struct cp_cbor_reader *r, struct cp_cbor_item *out)
{
    const struct cp_cbor_frame *frame = top(r);
    const uint8_t *begin = r->in.at;
    int result;

    if (r->error != 0)
        return r->error;
    if (frame != NULL && !frame->indefinite && frame->left == 0) {
        pop(r, out);
        return 1;
    }
    if (frame == NULL && r->in.at == r->in.end &&
        (r->count > 0 || r->is_sequence))
        return 0;
    if (frame == NULL && r->count > 0 && !r->is_sequence)
        result = COPAL_EFORMAT;
    else
        result = read_item(r, out);
    if (result < 0) {
        r->error = result;
        r->in.at = begin;
    }
    return result;
}

int cp_cbor_skip(struct cp_cbor_reader *r, const struct cp_cbor_item *item)
{
    struct cp_cbor_item inner;
    int depth = item->depth, result = 1;

    while (r->depth > depth && result > 0)
        result = cp_cbor_next(r, &inner);
    return result < 0 ? result : 0;
}

int cp_cbor_check(copal_bytes bytes, int max_depth)
{
    struct cp_cbor_reader r = cp_cbor_read(bytes, max_depth);
    struct cp_cbor_item item;
    int result;

    do {
        result = cp_cbor_next(&r, &item);
    } while (result > 0);
    return result;
}

size_t cp_cbor_offset(const struct cp_cbor_reader *r, copal_bytes bytes)
{
    return bytes.len - cp_cursor_left(&r->in);
}
