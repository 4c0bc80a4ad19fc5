/* A message as a record holds it: what its user made of it. */
#include "engine/record_put.h"
#include "engine/record.h"
#include "wire/target.h"

static const char *uri_of(const copal_msg *m)
{
    return m->target == NULL ? NULL : m->target->uri;
}

static copal_bytes etag_of(const copal_msg *m)
{
    return cp_bytes(m->resume_etag, m->resume_etag_len);
}

static unsigned count_tuned(const copal_msg *m)
{
    unsigned count = 0;

    for (unsigned i = 0; m->tuned != NULL && i < CP_MAX_TUNED; i++)
        count += m->tuned[i].param != 0;
    return count;
}

/* An answer has code, options and payload, and no more. */
static inline bool is_plain(const copal_msg *m)
{
    return m->target == NULL && m->tuned == NULL && !m->resumed &&
           m->from.family == CP_NO_ADDRESS;
}

size_t cp_record_message_size(const copal_msg *m)
{
    size_t size = 12 + 4 + m->payload.len + 6 * (size_t)m->option_count +
                  m->data_len; /* of which options are a part */

    if (!is_plain(m))
        size += cp_record_text_size(uri_of(m)) + CP_RECORD_ADDRESS + 1 + 8 + 4 +
                etag_of(m).len + 4 + 12 * (size_t)count_tuned(m);
    return size;
}

static uint8_t *put_request(uint8_t *p, const copal_msg *m)
{
    p = cp_record_text(p, uri_of(m));
    p = cp_record_address(p, &m->from);
    *p++ = m->resumed;
    p = cp_record_le64(p, m->resume_at);
    p = cp_record_le32(p, m->resume_etag_len);
    p = cp_record_bytes(p, etag_of(m));
    p = cp_record_le32(p, count_tuned(m));
    for (unsigned i = 0; m->tuned != NULL && i < CP_MAX_TUNED; i++)
        if (m->tuned[i].param != 0)
            p = cp_record_le64(cp_record_le32(p, (uint32_t)m->tuned[i].param),
                               (uint64_t)m->tuned[i].value);
    return p;
}

uint8_t *cp_record_message(uint8_t *p, const copal_msg *m)
{
    bool is_whole = !is_plain(m);

    p = cp_record_le32(p, m->code);
    p = cp_record_le32(p, m->flags);
    p = cp_record_le16(p, is_whole ? CP_RECORD_WHOLE : 0);
    p = cp_record_le16(p, m->option_count);
    if (is_whole)
        p = put_request(p, m);
    for (size_t i = 0; i < m->option_count; i++) {
        const struct cp_option *o = &m->options[i];

        p = cp_record_le32(cp_record_le16(p, o->number), o->len);
        p = cp_record_bytes(p, cp_msg_option_value(m, o));
    }
    p = cp_record_le32(p, (uint32_t)m->payload.len);
    return cp_record_bytes(p, m->payload);
}
