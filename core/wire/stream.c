#include "wire/stream.h"
#include "wire/datagram.h"

enum {
    MAX_TOKEN = 65804, /* RFC 8974 2.1 */
    LEN8 = 13,         /* nibbles that announce more bytes of length */
    LEN16 = 14,
    LEN32 = 15,
    FROM8 = 13, /* what those bytes count from */
    FROM16 = 269,
    FROM32 = 65805
};

/* Whether a read past the end failed for good or for now, only the caller can
 * tell. */
static uint64_t take_length(struct cp_cursor *c, unsigned nibble)
{
    switch (nibble) {
    case LEN8: return FROM8 + (uint64_t)cp_take_u8(c);
    case LEN16: return FROM16 + (uint64_t)cp_take_u16(c);
    case LEN32: return FROM32 + cp_bytes_uint(cp_take(c, 4));
    default: return nibble;
    }
}

static size_t take_token_length(struct cp_cursor *c, unsigned nibble)
{
    switch (nibble) {
    case LEN8: return FROM8 + (size_t)cp_take_u8(c);
    case LEN16: return FROM16 + (size_t)cp_take_u16(c);
    default: return nibble;
    }
}

int cp_frame_read(copal_bytes bytes, enum cp_framing framing,
                  struct cp_frame *out)
{
    struct cp_cursor c = cp_cursor_of(bytes);
    uint8_t first = cp_take_u8(&c);
    uint64_t len;
    size_t token_len;

    out->size = 0;
    out->token = (copal_bytes){0};
    if (bytes.len > 0 && (first & 15) == 15)
        return COPAL_EFORMAT;
    if (framing == CP_FRAMED && first >> 4 != 0) /* RFC 8323 4.2 */
        return COPAL_EFORMAT;
    len = take_length(&c, first >> 4);
    out->code = cp_take_u8(&c);
    token_len = take_token_length(&c, first & 15);
    if (c.failed)
        return framing == CP_FRAMED ? COPAL_EFORMAT : COPAL_ESTATE;
    if (framing == CP_FRAMED && cp_cursor_left(&c) < token_len)
        return COPAL_EFORMAT;
    if (framing == CP_FRAMED)
        len = cp_cursor_left(&c) - token_len;
    out->size = bytes.len - cp_cursor_left(&c) + token_len + len;
    if (cp_cursor_left(&c) >= token_len)
        out->token = cp_take(&c, token_len);
    if (out->size > bytes.len)
        return COPAL_ESTATE;
    out->rest = cp_take(&c, (size_t)len);
    return 0;
}

int cp_frame_decode(struct cp_mem *mem, const struct cp_frame *frame,
                    copal_msg **out)
{
    copal_msg *m =
        cp_msg_new(mem, frame->code, frame->token.len + frame->rest.len);
    int err;

    if (m == NULL)
        return COPAL_ENOMEM;
    m->type = CP_NON; /* nothing is ever confirmed */
    m->received = true;
    if (frame->token.len > 0)
        memcpy(m->data, frame->token.data, frame->token.len);
    m->token = cp_bytes(m->data, frame->token.len);
    m->data_len = (uint32_t)frame->token.len;
    err = cp_options_decode(m, frame->rest);
    if (err != 0)
        copal_msg_unref(m);
    else
        *out = m;
    return err;
}

/* ---- Writing ---- */

static size_t rest_size(const copal_msg *m)
{
    return cp_datagram_size(m, (copal_bytes){0}) - 4;
}

static size_t length_size(uint64_t len)
{
    return len < FROM8 ? 0 : len < FROM16 ? 1 : len < FROM32 ? 2 : 4;
}

static uint8_t nibble_of(uint64_t len)
{
    return (uint8_t)(len < FROM8    ? len
                     : len < FROM16 ? LEN8
                     : len < FROM32 ? LEN16
                                    : LEN32);
}

static void put_length(struct cp_buf *out, uint64_t len)
{
    if (len >= FROM32)
        cp_put_u32(out, (uint32_t)(len - FROM32));
    else if (len >= FROM16)
        cp_put_u16(out, (uint16_t)(len - FROM16));
    else if (len >= FROM8)
        cp_put_u8(out, (uint8_t)(len - FROM8));
}

size_t cp_frame_size(const copal_msg *m, copal_bytes token,
                     enum cp_framing framing)
{
    size_t len = rest_size(m);

    return 2 + (framing == CP_STREAMED ? length_size(len) : 0) +
           length_size(token.len) + token.len + len;
}

int cp_frame_encode(const copal_msg *m, copal_bytes token,
                    enum cp_framing framing, struct cp_buf *out)
{
    uint64_t len = framing == CP_STREAMED ? rest_size(m) : 0;

    if (token.len > MAX_TOKEN)
        return COPAL_EINVAL;
    if (len > FROM32 + (uint64_t)UINT32_MAX)
        return COPAL_ELIMIT;
    cp_put_u8(out, (uint8_t)(nibble_of(len) << 4 | nibble_of(token.len)));
    put_length(out, len);
    cp_put_u8(out, m->code);
    put_length(out, token.len);
    cp_put_bytes(out, token);
    return cp_options_encode(m, out);
}
