#include "wire/datagram.h"
#include <assert.h>

enum {
    VERSION = 1,
    MARKER = 0xff,
    MAX_TOKEN = 65804, /* RFC 8974 2.1 */
    EXT8 = 13,         /* nibbles that announce more bytes */
    EXT16 = 14,
    RESERVED = 15
};

/* Option deltas, option lengths and token lengths share one coding: a nibble,
 * then up to two bytes. RFC 7252 3.1, RFC 8974 2.1. */
static uint32_t take_extended(struct cp_cursor *c, unsigned nibble)
{
    if (nibble == EXT8)
        return 13u + cp_take_u8(c);
    if (nibble == EXT16)
        return 269u + cp_take_u16(c);
    if (nibble == RESERVED)
        c->failed = true;
    return nibble;
}

static uint8_t nibble_of(uint32_t n)
{
    return (uint8_t)(n < 13 ? n : n < 269 ? EXT8 : EXT16);
}

static void put_extension(struct cp_buf *out, uint32_t n)
{
    if (n >= 269)
        cp_put_u16(out, (uint16_t)(n - 269));
    else if (n >= 13)
        cp_put_u8(out, (uint8_t)(n - 13));
}

static size_t extension_size(uint32_t n)
{
    return n < 13 ? 0 : n < 269 ? 1 : 2;
}

int cp_header_read(copal_bytes datagram, struct cp_header *out)
{
    struct cp_cursor c = cp_cursor_of(datagram);
    const uint8_t *at = datagram.data;
    unsigned tkl;

    if (datagram.len < 4 || at[0] >> 6 != VERSION)
        return COPAL_ENOTSUP;
    out->type = at[0] >> 4 & 3;
    out->code = at[1];
    out->mid = (uint16_t)(at[2] << 8 | at[3]);
    tkl = at[0] & 15;
    c.at += 4;
    out->token = cp_take(&c, tkl < EXT8 ? tkl : take_extended(&c, tkl));
    out->rest = cp_bytes(c.at, cp_cursor_left(&c));
    return c.failed ? COPAL_EFORMAT : 0;
}

/* rest stands within m->data already: options become an index into it. */
static int index_options(copal_msg *m, copal_bytes rest)
{
    struct cp_cursor c = cp_cursor_of(rest);
    uint32_t number = 0;

    while (cp_cursor_left(&c) > 0) {
        uint8_t first = *c.at++;
        uint32_t delta = first >> 4, len = first & 15;
        copal_bytes value;
        int err;

        if (first == MARKER) {
            m->payload = cp_bytes(c.at, cp_cursor_left(&c));
            return m->payload.len > 0 ? 0 : COPAL_EFORMAT;
        }
        if (delta >= EXT8)
            delta = take_extended(&c, delta);
        if (len >= EXT8)
            len = take_extended(&c, len);
        value = cp_take(&c, len);
        number += delta;
        if (c.failed || number > UINT16_MAX)
            return COPAL_EFORMAT;
        if (m->option_count == m->option_cap &&
            (err = cp_msg_reserve_options(m, 1)) != 0)
            return err;
        cp_msg_index_last(m, number, value);
    }
    return 0;
}

int cp_options_decode(copal_msg *m, copal_bytes rest)
{
    int err = cp_msg_reserve(m, rest.len);
    uint8_t *at;

    if (err != 0)
        return err;
    at = m->data + m->data_len;
    if (rest.len > 0)
        memcpy(at, rest.data, rest.len);
    m->data_len += (uint32_t)rest.len;
    cp_msg_borrow_payload(m, NULL, (copal_bytes){0}); /* rest has its own */
    return index_options(m, cp_bytes(at, rest.len));
}

int cp_datagram_decode(struct cp_mem *mem, const struct cp_header *header,
                       copal_msg **out)
{
    size_t token_len = header->token.len;
    copal_msg *m;
    int err;

    if (header->code == COPAL_EMPTY && token_len + header->rest.len > 0)
        return COPAL_EFORMAT;
    m = cp_msg_new(mem, header->code, token_len + header->rest.len);
    if (m == NULL)
        return COPAL_ENOMEM;
    m->type = header->type;
    m->mid = header->mid;
    m->received = true;
    if (token_len > 0)
        memcpy(m->data, header->token.data, token_len);
    m->token = cp_bytes(m->data, token_len);
    m->data_len = (uint32_t)token_len;
    err = cp_options_decode(m, header->rest);
    if (err != 0) {
        copal_msg_unref(m);
        return err;
    }
    *out = m;
    return 0;
}

size_t cp_datagram_size(const copal_msg *m, copal_bytes token)
{
    size_t size = 4 + extension_size((uint32_t)token.len) + token.len;
    uint32_t last = 0;

    if (m->is_wired)
        return size + m->data_len;
    for (size_t i = 0; i < m->option_count; i++) {
        const struct cp_option *o = &m->options[i];

        size += 1 + extension_size(o->number - last) + extension_size(o->len) +
                o->len;
        last = o->number;
    }
    return size + (m->payload.len > 0 ? 1 + m->payload.len : 0);
}

static inline void put_option(struct cp_buf *out, uint32_t delta,
                              copal_bytes value)
{
    uint32_t len = (uint32_t)value.len;

    cp_put_u8(out, (uint8_t)(nibble_of(delta) << 4 | nibble_of(len)));
    put_extension(out, delta);
    put_extension(out, len);
    cp_put_bytes(out, value);
}

void cp_options_put(struct cp_buf *out, uint32_t *last, unsigned number,
                    copal_bytes value)
{
    put_option(out, number - *last, value);
    *last = number;
}

void cp_options_put_payload(struct cp_buf *out, copal_bytes payload)
{
    if (payload.len == 0)
        return;
    cp_put_u8(out, MARKER);
    cp_put_bytes(out, payload);
}

int cp_options_encode(const copal_msg *m, struct cp_buf *out)
{
    uint32_t last = 0;
    copal_bytes written;
    uint8_t *at;

    if (m->is_wired) {
        cp_put_bytes(out, cp_bytes(m->data, m->data_len));
        return cp_buf_finish(out, &written);
    }
    for (size_t i = 0; i < m->option_count; i++) {
        const struct cp_option *o = &m->options[i];

        put_option(out, o->number - last, cp_msg_option_value(m, o));
        last = o->number;
    }
    if (m->payload.len > 0 &&
        (at = cp_buf_claim(out, 1 + m->payload.len)) != NULL) {
        *at++ = MARKER;
        memcpy(at, m->payload.data, m->payload.len);
    }
    return cp_buf_finish(out, &written);
}

int cp_datagram_wire(copal_msg *m)
{
    struct cp_buf b = cp_buf_new(m->mem);
    copal_bytes wire;
    int err;

    assert(!m->is_wired);
    cp_buf_reserve(&b, cp_datagram_size(m, (copal_bytes){0}) - 4);
    err = cp_options_encode(m, &b);
    wire = cp_bytes(b.data, b.len);
    if (err == 0)
        err = cp_msg_reserve(m, wire.len);
    if (err == 0) {
        m->token = (copal_bytes){0};
        m->option_count = 0;
        m->present = 0;
        m->data_len = 0;
        err = cp_options_decode(m, wire); /* finds room for all of it */
        m->is_wired = err == 0;
    }
    cp_buf_free(&b);
    return err;
}

int cp_datagram_encode(const copal_msg *m, uint8_t type, uint16_t mid,
                       copal_bytes token, struct cp_buf *out)
{
    uint32_t token_len = (uint32_t)token.len;
    uint8_t *at;

    if (token.len > MAX_TOKEN)
        return COPAL_EINVAL;
    at = cp_buf_claim(out, 4);
    if (at != NULL) {
        at[0] = (uint8_t)(VERSION << 6 | type << 4 | nibble_of(token_len));
        at[1] = m->code;
        at[2] = (uint8_t)(mid >> 8);
        at[3] = (uint8_t)mid;
    }
    put_extension(out, token_len);
    cp_put_bytes(out, token);
    return cp_options_encode(m, out);
}
