#include "secure/oscore_option.h"

enum {
    PIV_BITS = 7,
    KID = 8,
    KID_CONTEXT = 16,
    RESERVED = 0xe0
};

int cp_oscore_option_decode(copal_bytes value, struct cp_oscore_option *out)
{
    struct cp_cursor c = cp_cursor_of(value);
    uint8_t flags = value.len == 0 ? 0 : cp_take_u8(&c);
    struct cp_oscore_option o = {.has_context = (flags & KID_CONTEXT) != 0,
                                 .has_kid = (flags & KID) != 0};

    if ((flags & RESERVED) != 0 || (flags & PIV_BITS) > CP_OSCORE_PIV ||
        (flags == 0 && value.len > 0))
        return COPAL_EFORMAT;
    o.piv = cp_take(&c, flags & PIV_BITS);
    if (o.has_context)
        o.context = cp_take(&c, cp_take_u8(&c));
    if (o.has_kid)
        o.kid = cp_take(&c, cp_cursor_left(&c));
    if (c.failed || cp_cursor_left(&c) > 0)
        return COPAL_EFORMAT;
    *out = o;
    return 0;
}

void cp_oscore_option_put(struct cp_buf *out, const struct cp_oscore_option *o)
{
    uint8_t flags = (uint8_t)(o->piv.len | (o->has_kid ? KID : 0) |
                              (o->has_context ? KID_CONTEXT : 0));

    if (flags == 0)
        return;
    cp_put_u8(out, flags);
    cp_put_bytes(out, o->piv);
    if (o->has_context) {
        cp_put_u8(out, (uint8_t)o->context.len);
        cp_put_bytes(out, o->context);
    }
    if (o->has_kid)
        cp_put_bytes(out, o->kid);
}

copal_bytes cp_oscore_piv(uint64_t seq, uint8_t storage[8])
{
    copal_bytes piv = cp_bytes_of_uint(seq, storage);

    if (piv.len > 0)
        return piv;
    storage[0] = 0;
    return cp_bytes(storage, 1);
}
