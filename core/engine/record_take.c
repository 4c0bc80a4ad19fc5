#include "engine/record_take.h"
#include "engine/record.h"
#include "engine/record_put.h"
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

static bool is_address(const struct cp_address *a)
{
    return a->zero == 0 &&
           (a->family == CP_NO_ADDRESS || a->family == CP_IPV4 ||
            a->family == CP_IPV6 || a->family == CP_NAMED);
}

bool cp_record_take_address(struct cp_cursor *c, struct cp_address *out)
{
    copal_bytes bytes = cp_take(c, sizeof(*out));
    struct cp_address little = {0};

    if (bytes.len == sizeof(little))
        memcpy(&little, bytes.data, sizeof(little));
    *out = cp_record_little_address(&little);
    return !c->failed && is_address(out);
}

bool cp_record_take_way(struct cp_cursor *c, struct cp_record_way *out)
{
    copal_bytes bytes = cp_take(c, sizeof(out->path));
    struct cp_path little = {0};
    uint8_t flags;

    if (bytes.len == sizeof(little))
        memcpy(&little, bytes.data, sizeof(little));
    out->path = cp_record_little_path(&little);
    out->link = cp_record_take_16(c);
    out->scheme = cp_take_u8(c);
    flags = cp_take_u8(c);
    out->again = (flags & 1) != 0;
    out->is_simulated = (flags & 2) != 0;
    return !c->failed && is_address(&out->path.remote) &&
           is_address(&out->path.local) && out->scheme < CP_SCHEME_COUNT &&
           out->path.is_multicast <= 1 && out->path.zero[0] == 0 &&
           out->path.zero[1] == 0;
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

static bool take_parts(struct cp_cursor *c, unsigned parts,
                       struct cp_record_message *out)
{
    bool is_good = true;

    if (parts & CP_RECORD_URI)
        out->uri = cp_record_take_text(c);
    if (parts & CP_RECORD_FROM)
        is_good = cp_record_take_address(c, &out->from);
    out->resumed = (parts & CP_RECORD_RESUMED) != 0;
    if (out->resumed) {
        out->resume_at = cp_record_take_64(c);
        out->resume_etag = cp_record_take_text(c);
    }
    if (parts & CP_RECORD_TUNED)
        out->tuned_count = cp_record_take_32(c);
    out->tuned = *c;
    cp_take(c, 12 * (size_t)out->tuned_count);
    return is_good;
}

bool cp_record_take_message(struct cp_cursor *c, struct cp_record_message *out)
{
    unsigned parts;
    bool is_good;
    uint32_t code = cp_record_take_32(c);

    *out = (struct cp_record_message){.code = (uint8_t)code};
    out->flags = cp_record_take_32(c);
    parts = cp_record_take_16(c);
    out->option_count = cp_record_take_16(c);
    is_good = take_parts(c, parts, out);
    out->options = *c;
    skip_options(c, out->option_count);
    out->payload = cp_record_take_text(c);
    return is_good && !c->failed && code <= UINT8_MAX;
}
