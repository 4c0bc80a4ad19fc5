#include "engine/record_take.h"
#include "engine/record.h"
#include "wire/uri.h"

bool cp_record_take(struct cp_cursor *c, struct cp_record_head *out)
{
    struct cp_cursor it = *c;
    uint32_t len;

    out->type = cp_take_u8(&it);
    len = cp_record_take_32(&it);
    out->body = cp_take(&it, len);
    if (it.failed)
        return false;
    *c = it;
    return true;
}

bool cp_record_is_stream(uint8_t type)
{
    return type >= CP_RECORD_CONNECTED && type <= CP_RECORD_DRAINED;
}

copal_bytes cp_record_take_text(struct cp_cursor *c)
{
    uint32_t len = cp_record_take_32(c);
    copal_bytes text = {0};

    return len == UINT32_MAX ? text : cp_take(c, len);
}

bool cp_record_take_address(struct cp_cursor *c, struct cp_address *out)
{
    copal_bytes ip;

    *out = (struct cp_address){.family = cp_take_u8(c)};
    out->port = cp_record_take_16(c);
    out->scope = cp_record_take_32(c);
    ip = cp_take(c, sizeof(out->ip));
    if (ip.len == sizeof(out->ip))
        memcpy(out->ip, ip.data, ip.len);
    return !c->failed &&
           (out->family == CP_NO_ADDRESS || out->family == CP_IPV4 ||
            out->family == CP_IPV6 || out->family == CP_NAMED);
}

bool cp_record_take_way(struct cp_cursor *c, struct cp_record_way *out)
{
    uint8_t flags;
    bool is_good = cp_record_take_address(c, &out->path.remote);

    is_good &= cp_record_take_address(c, &out->path.local);
    out->path.if_index = cp_record_take_32(c);
    out->path.is_multicast = cp_take_u8(c);
    out->path.hops = cp_take_u8(c);
    memset(out->path.zero, 0, sizeof(out->path.zero));
    out->link = cp_record_take_16(c);
    out->scheme = cp_take_u8(c);
    flags = cp_take_u8(c);
    out->again = (flags & 1) != 0;
    out->is_simulated = (flags & 2) != 0;
    return is_good && !c->failed && out->scheme < CP_SCHEME_COUNT &&
           out->path.is_multicast <= 1;
}

copal_bytes cp_record_take_option(struct cp_cursor *c, uint32_t *number)
{
    *number = cp_record_take_16(c);
    return cp_record_take_text(c);
}

/* Past so many; those that overflow a length have failed long before. */
static void skip_options(struct cp_cursor *c, uint32_t count)
{
    uint32_t number;

    for (uint32_t i = 0; i < count && !c->failed; i++)
        cp_record_take_option(c, &number);
}

static bool take_request(struct cp_cursor *c, struct cp_record_message *out)
{
    bool is_good;

    out->uri = cp_record_take_text(c);
    is_good = cp_record_take_address(c, &out->from);
    out->resumed = cp_take_u8(c) != 0;
    out->resume_at = cp_record_take_64(c);
    out->resume_etag = cp_record_take_text(c);
    out->tuned_count = cp_record_take_32(c);
    out->tuned = *c;
    cp_take(c, 12 * (size_t)out->tuned_count);
    return is_good;
}

bool cp_record_take_message(struct cp_cursor *c, struct cp_record_message *out)
{
    bool is_good = true, is_whole;
    uint32_t code = cp_record_take_32(c);

    *out = (struct cp_record_message){.code = (uint8_t)code};
    out->flags = cp_record_take_32(c);
    is_whole = (cp_record_take_16(c) & CP_RECORD_WHOLE) != 0;
    out->option_count = cp_record_take_16(c);
    if (is_whole)
        is_good = take_request(c, out);
    out->options = *c;
    skip_options(c, out->option_count);
    out->payload = cp_record_take_text(c);
    return is_good && !c->failed && code <= UINT8_MAX;
}
