#include "secure/edhoc_message.h"
#include "wire/cbor.h"

/* ---- Sequences ---- */

/* A message under way, with the first error. */
struct sequence {
    struct cp_cbor_reader r;
    copal_bytes bytes;
    int err;
};

static struct sequence open_sequence(copal_bytes bytes)
{
    struct sequence s = {.r = cp_cbor_read(bytes, CP_COSE_DEPTH),
                         .bytes = bytes};

    s.r.is_sequence = true;
    s.r.is_strict = true;
    if (bytes.len > CP_EDHOC_MESSAGE)
        s.err = COPAL_ELIMIT;
    return s;
}

static bool next(struct sequence *s, struct cp_cbor_item *item)
{
    int result = s->err != 0 ? s->err : cp_cbor_next(&s->r, item);

    if (result <= 0 && s->err == 0)
        s->err = result == 0 ? COPAL_EFORMAT : result;
    return s->err == 0;
}

static void refuse(struct sequence *s)
{
    if (s->err == 0)
        s->err = COPAL_EFORMAT;
}

static copal_bytes rest_of(const struct sequence *s)
{
    size_t at = cp_cbor_offset(&s->r, s->bytes);

    if (at == 0)
        return s->bytes;
    return cp_bytes(s->bytes.data + at, s->bytes.len - at);
}

static bool to_int(const struct cp_cbor_item *item, int *out)
{
    if ((item->kind != CP_CBOR_UNSIGNED && item->kind != CP_CBOR_NEGATIVE) ||
        item->n > INT32_MAX)
        return false;
    *out = item->kind == CP_CBOR_NEGATIVE ? -1 - (int)item->n : (int)item->n;
    return true;
}

static int take_int(struct sequence *s)
{
    struct cp_cbor_item item;
    int n = 0;

    if (next(s, &item) && !to_int(&item, &n))
        refuse(s);
    return n;
}

static copal_bytes take_bytes(struct sequence *s)
{
    struct cp_cbor_item item;

    if (next(s, &item) && item.kind != CP_CBOR_BYTES)
        refuse(s);
    return s->err == 0 ? item.bytes : (copal_bytes){0};
}

/* ---- Identifiers, RFC 9528 3.3.2 ---- */

/* The bytes that an item stands for; byte is where one that stood as an integer
 * is kept. false: it stands for none. */
static bool to_identifier(const struct cp_cbor_item *item, uint8_t *byte,
                          copal_bytes *out)
{
    if (item->kind == CP_CBOR_BYTES) {
        *out = item->bytes;
        return out->len != 1 || !cp_edhoc_is_int(out->data[0]);
    }
    if ((item->kind != CP_CBOR_UNSIGNED && item->kind != CP_CBOR_NEGATIVE) ||
        item->width > 0)
        return false;
    *byte = (uint8_t)(item->kind << 5 | item->n);
    *out = cp_bytes(byte, 1);
    return true;
}

static void to_cid(struct sequence *s, const struct cp_cbor_item *item,
                   struct cp_edhoc_cid *out)
{
    copal_bytes bytes = {0};
    uint8_t byte;

    if (s->err != 0)
        return;
    if (!to_identifier(item, &byte, &bytes)) {
        refuse(s);
    } else if (bytes.len > CP_EDHOC_CID) {
        s->err = COPAL_ELIMIT;
    } else {
        out->len = (uint8_t)bytes.len;
        if (bytes.len > 0)
            memcpy(out->bytes, bytes.data, bytes.len);
    }
}

static void take_cid(struct sequence *s, struct cp_edhoc_cid *out)
{
    struct cp_cbor_item item;

    if (next(s, &item))
        to_cid(s, &item, out);
}

void cp_edhoc_put_cid(struct cp_buf *b, copal_bytes cid)
{
    if (cid.len == 1 && cp_edhoc_is_int(cid.data[0]))
        cp_put_u8(b, cid.data[0]);
    else
        cp_cbor_put_bytes(b, cid);
}

int cp_edhoc_read_prefix(copal_bytes body, bool *is_first,
                         struct cp_edhoc_cid *cid, copal_bytes *rest)
{
    struct sequence s = open_sequence(body);
    struct cp_cbor_item item;

    *cid = (struct cp_edhoc_cid){0};
    if (!next(&s, &item))
        return s.err;
    *is_first = item.kind == CP_CBOR_SIMPLE && item.n == CP_CBOR_TRUE;
    if (!*is_first)
        to_cid(&s, &item, cid);
    *rest = rest_of(&s);
    return s.err;
}

/* ---- Suites ---- */

/* An integer, or an array of two or more. */
static void take_suites(struct sequence *s, struct cp_edhoc_suites *out)
{
    struct cp_cbor_item item;

    *out = (struct cp_edhoc_suites){0};
    if (!next(s, &item))
        return;
    if (item.kind != CP_CBOR_ARRAY) {
        out->count = 1;
        if (!to_int(&item, &out->list[0]))
            refuse(s);
        return;
    }
    if (item.n < 2)
        refuse(s);
    else if (item.n > CP_EDHOC_SUITES && s->err == 0)
        s->err = COPAL_ELIMIT;
    while (next(s, &item) && item.kind != CP_CBOR_END)
        if (!to_int(&item, &out->list[out->count++]))
            refuse(s);
}

void cp_edhoc_put_suites(struct cp_buf *b, const struct cp_edhoc_suites *s)
{
    if (s->count != 1)
        cp_cbor_put_array(b, s->count);
    for (size_t i = 0; i < s->count; i++)
        cp_cbor_put_int(b, s->list[i]);
}

/* ---- External authorization data, RFC 9528 3.8 ---- */

int cp_edhoc_next_ead(copal_bytes *ead, struct cp_edhoc_ead *out)
{
    struct sequence s = open_sequence(*ead);
    struct cp_cbor_item item;
    int label = 0;

    *out = (struct cp_edhoc_ead){0};
    if (ead->len == 0)
        return 0;
    label = take_int(&s);
    out->label = label;
    *ead = rest_of(&s);
    if (s.err != 0 || ead->len == 0)
        return s.err != 0 ? s.err : 1;
    /* A value is there if what comes is no label. */
    if (next(&s, &item) && item.kind == CP_CBOR_BYTES) {
        out->has_value = true;
        out->value = item.bytes;
        *ead = rest_of(&s);
    }
    return s.err != 0 ? s.err : 1;
}

int cp_edhoc_check_ead(copal_bytes ead)
{
    struct cp_edhoc_ead item;
    size_t count = 0;
    int result;

    while ((result = cp_edhoc_next_ead(&ead, &item)) == 1)
        if (++count > CP_EDHOC_EAD)
            return COPAL_ELIMIT;
    return result;
}

/* All of it, once: what follows reads it without asking for errors. */
static void check_ead(struct sequence *s, copal_bytes ead)
{
    if (s->err == 0)
        s->err = cp_edhoc_check_ead(ead);
}

/* ---- Message 1 ---- */

int cp_edhoc_read_1(copal_bytes message, struct cp_edhoc_1 *out)
{
    struct sequence s = open_sequence(message);

    *out = (struct cp_edhoc_1){0};
    out->method = take_int(&s);
    take_suites(&s, &out->suites);
    out->g_x = take_bytes(&s);
    take_cid(&s, &out->c_i);
    out->ead = rest_of(&s);
    check_ead(&s, out->ead);
    return s.err;
}

void cp_edhoc_put_1(struct cp_buf *b, const struct cp_edhoc_1 *m)
{
    cp_cbor_put_int(b, m->method);
    cp_edhoc_put_suites(b, &m->suites);
    cp_cbor_put_bytes(b, m->g_x);
    cp_edhoc_put_cid(b, cp_edhoc_cid_bytes(&m->c_i));
    cp_put_bytes(b, m->ead);
}

/* ---- The others ---- */

int cp_edhoc_read_bytes(copal_bytes message, copal_bytes *out)
{
    struct sequence s = open_sequence(message);

    *out = take_bytes(&s);
    if (rest_of(&s).len > 0)
        refuse(&s);
    return s.err;
}

/* ID_CRED: a kid alone never stands as a map. RFC 9528 3.5.3.2. */
static void take_id(struct sequence *s, struct cp_edhoc_plain *out)
{
    size_t begin = cp_cbor_offset(&s->r, s->bytes);
    struct cp_cbor_item item;
    struct cp_cose_id id;
    int err;

    if (!next(s, &item))
        return;
    if (item.kind != CP_CBOR_MAP) {
        out->is_kid = true;
        if (!to_identifier(&item, &out->kid_int, &out->kid))
            refuse(s);
        return;
    }
    err = cp_cbor_skip(&s->r, &item);
    out->id = cp_bytes(s->bytes.data + begin,
                       cp_cbor_offset(&s->r, s->bytes) - begin);
    if (err == 0)
        err = cp_cose_read_id(out->id, &id);
    if (err == 0 && id.has_kid && id.count == 1)
        err = COPAL_EFORMAT;
    s->err = err;
}

int cp_edhoc_read_plain(copal_bytes plain, bool has_cid,
                        struct cp_edhoc_plain *out)
{
    struct sequence s = open_sequence(plain);

    *out = (struct cp_edhoc_plain){0};
    if (has_cid)
        take_cid(&s, &out->c_r);
    take_id(&s, out);
    out->proof = take_bytes(&s);
    out->ead = rest_of(&s);
    check_ead(&s, out->ead);
    return s.err;
}

void cp_edhoc_put_id(struct cp_buf *b, copal_bytes map)
{
    struct cp_cose_id id;

    if (cp_cose_read_id(map, &id) == 0 && id.has_kid && id.count == 1)
        cp_edhoc_put_cid(b, id.kid);
    else
        cp_put_bytes(b, map);
}

/* ---- Errors ---- */

int cp_edhoc_read_error(copal_bytes message, struct cp_edhoc_error *out)
{
    struct sequence s = open_sequence(message);
    struct cp_cbor_item item;

    *out = (struct cp_edhoc_error){0};
    out->code = take_int(&s);
    if (s.err == 0 && out->code == CP_EDHOC_WRONG_SUITE) {
        take_suites(&s, &out->suites);
    } else if (next(&s, &item)) {
        if (item.kind == CP_CBOR_TEXT)
            out->text = item.bytes;
        else if (out->code == CP_EDHOC_UNSPECIFIED)
            refuse(&s);
        if (s.err == 0)
            s.err = cp_cbor_skip(&s.r, &item);
    }
    if (rest_of(&s).len > 0)
        refuse(&s);
    return s.err;
}

void cp_edhoc_put_error(struct cp_buf *b, const struct cp_edhoc_error *e)
{
    cp_cbor_put_int(b, e->code);
    switch (e->code) {
    case CP_EDHOC_WRONG_SUITE: cp_edhoc_put_suites(b, &e->suites); break;
    case CP_EDHOC_UNKNOWN_CREDENTIAL:
        cp_cbor_put_simple(b, CP_CBOR_TRUE);
        break;
    default: cp_cbor_put_text(b, e->text); break;
    }
}
