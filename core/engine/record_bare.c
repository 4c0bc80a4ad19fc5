#include "engine/record_bare.h"
#include "engine/record.h"
#include "engine/record_take.h"
#include "wire/datagram.h"

/* Options up to the marker of the payload, RFC 7252 3.1: only their lengths
 * matter. NULL: there is no payload, or they end amid one. */
static const uint8_t *payload_of(copal_bytes rest)
{
    struct cp_cursor c = cp_cursor_of(rest);

    while (cp_cursor_left(&c) > 0) {
        uint8_t first = cp_take_u8(&c);
        unsigned delta = first >> 4, len = first & 15;

        if (first == 0xff)
            return c.at;
        if (delta == 13)
            cp_take(&c, 1);
        else if (delta == 14)
            cp_take(&c, 2);
        if (len == 13)
            len = 13u + cp_take_u8(&c);
        else if (len == 14)
            len = 269u + cp_take_u16(&c);
        cp_take(&c, len);
    }
    return NULL;
}

void cp_record_strip_datagram(uint8_t *datagram, size_t size)
{
    struct cp_header h;
    const uint8_t *payload;

    if (cp_header_read(cp_bytes(datagram, size), &h) != 0)
        return;
    payload = payload_of(h.rest);
    if (payload != NULL)
        memset(datagram + (payload - datagram), 0,
               size - (size_t)(payload - datagram));
}

static void zero(uint8_t *base, const uint8_t *all, copal_bytes part)
{
    if (part.data != NULL)
        memset(base + (part.data - all), 0, part.len);
}

static void strip_one(uint8_t *body, const struct cp_record_head *r)
{
    struct cp_cursor c = cp_cursor_of(r->body);
    struct cp_record_message m;

    switch (r->type & ~CP_RECORD_NESTED) {
    case CP_RECORD_LOST: cp_take(&c, 4); /* fall through */
    case CP_RECORD_IN:
    case CP_RECORD_OUT:
        cp_take(&c, CP_RECORD_PATH);
        if (!c.failed)
            cp_record_strip_datagram(body + (c.at - r->body.data),
                                     cp_cursor_left(&c));
        break;
    case CP_RECORD_STREAM_IN:
    case CP_RECORD_STREAM_OUT: /* where messages begin is not to be seen */
        cp_take(&c, 8 + CP_RECORD_PATH);
        if (!c.failed)
            memset(body + (c.at - r->body.data), 0, cp_cursor_left(&c));
        break;
    case CP_RECORD_WRITE:
        cp_take(&c, 16);
        zero(body, r->body.data, cp_record_take_text(&c));
        break;
    case CP_RECORD_REQUEST:
    case CP_RECORD_RESPOND:
    case CP_RECORD_SEND:
        cp_take(&c, 16);
        cp_record_take_text(&c);
        if (cp_record_take_message(&c, &m))
            zero(body, r->body.data, m.payload);
        break;
    default: break;
    }
}

void cp_record_strip(uint8_t *records, size_t size)
{
    struct cp_cursor c = cp_cursor_of(cp_bytes(records, size));
    struct cp_record_head r;

    while (cp_record_take(&c, &r))
        strip_one(records + (r.body.data - records), &r);
}
