/* A message as a record holds it: what its user made of it. */
#include "engine/record.h"
#include "wire/target.h"

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

static unsigned parts_of(const copal_msg *m)
{
    return (m->target != NULL ? CP_RECORD_URI : 0) |
           (m->from.family != CP_NO_ADDRESS ? CP_RECORD_FROM : 0) |
           (m->resumed ? CP_RECORD_RESUMED : 0) |
           (m->tuned != NULL ? CP_RECORD_TUNED : 0);
}

/* Of an answer, at most; payload and options are both parts of data, or not. */
static inline size_t most_of(const copal_msg *m)
{
    return 12 + 6 * (size_t)m->option_count + m->data_len + 4 + m->payload.len;
}

/* Exactly; what asks for more room than it takes may be too long for a part. */
static size_t size_of(const copal_msg *m)
{
    size_t size = 16 + m->payload.len;

    for (size_t i = 0; i < m->option_count; i++)
        size += 6 + m->options[i].len;
    return size;
}

/* What few messages have. */
static size_t size_of_parts(const copal_msg *m, unsigned parts)
{
    size_t size = 0;

    if (parts & CP_RECORD_FROM)
        size += CP_RECORD_ADDRESS;
    if (parts & CP_RECORD_RESUMED)
        size += 12 + etag_of(m).len;
    if (parts & CP_RECORD_TUNED)
        size += 4 + 12 * (size_t)count_tuned(m);
    return size;
}

static uint8_t *put_parts(uint8_t *p, const copal_msg *m, unsigned parts)
{
    if (parts & CP_RECORD_FROM)
        p = cp_record_address(p, &m->from);
    if (parts & CP_RECORD_RESUMED) {
        p = cp_record_le32(cp_record_le64(p, m->resume_at), m->resume_etag_len);
        p = cp_record_bytes(p, etag_of(m));
    }
    if ((parts & CP_RECORD_TUNED) == 0)
        return p;
    p = cp_record_le32(p, count_tuned(m));
    for (unsigned i = 0; i < CP_MAX_TUNED; i++)
        if (m->tuned[i].param != 0)
            p = cp_record_le64(cp_record_le32(p, (uint32_t)m->tuned[i].param),
                               (uint64_t)m->tuned[i].value);
    return p;
}

static uint8_t *put_options(uint8_t *p, const copal_msg *m)
{
    for (size_t i = 0; i < m->option_count; i++) {
        const struct cp_option *o = &m->options[i];

        p = cp_record_le32(cp_record_le16(p, o->number), o->len);
        p = cp_record_bytes(p, cp_msg_option_value(m, o));
    }
    return p;
}

static inline uint8_t *put_head(uint8_t *p, const copal_msg *m, unsigned parts)
{
    p = cp_record_le32(cp_record_le32(p, m->code), m->flags);
    return cp_record_le32(p, parts | (uint32_t)m->option_count << 16);
}

/* Of a key only how long it is. */
static uint8_t *put_payload(uint8_t *p, const copal_msg *m)
{
    p = cp_record_le32(p, (uint32_t)m->payload.len);
    if (!m->is_secret)
        return cp_record_bytes(p, m->payload);
    memset(p, 0, m->payload.len);
    return p + m->payload.len;
}

void cp_record_do_message(struct cp_engine *e, int type, uint64_t a, uint64_t b,
                          const char *to, const copal_msg *m)
{
    struct cp_record *r = e->record;
    unsigned parts = parts_of(m);
    copal_bytes uri = {0}, where = {0};
    uint8_t *body, *p;

    if (to != NULL)
        where = cp_bytes_of_text(to);
    if (parts & CP_RECORD_URI)
        uri = cp_bytes(m->target->uri, m->target->uri_len);
    body = cp_record_room(r, cp_record_call_type(e, type),
                          20 + where.len + size_of(m) + 4 + uri.len +
                              size_of_parts(m, parts));
    if (body == NULL)
        return;
    p = cp_record_le64(cp_record_le64(body, a), b);
    p = cp_record_le32(p, to == NULL ? UINT32_MAX : (uint32_t)where.len);
    p = put_head(cp_record_bytes(p, where), m, parts);
    if (parts & CP_RECORD_URI)
        p = cp_record_bytes(cp_record_le32(p, (uint32_t)uri.len), uri);
    p = put_options(put_parts(p, m, parts), m);
    r->at = put_payload(p, m);
    cp_record_le32(body - 4, (uint32_t)(r->at - body));
}

/* ---- What nearly every request and answer is put by ---- */

/* Nothing here is kept across a call, for it adds to every request's cost: what
 * few have is put by cp_record_do_message(). */

/* From option o on, to the record's end. */
static __attribute__((noinline)) void put_long_rest(struct cp_record *r,
                                                    uint8_t *p,
                                                    const copal_msg *m,
                                                    const struct cp_option *o)
{
    uint8_t *body = r->at + CP_RECORD_HEAD;

    for (; o < m->options + m->option_count; o++) {
        p = cp_record_le32(cp_record_le16(p, o->number), o->len);
        p = cp_record_bytes(p, cp_msg_option_value(m, o));
    }
    r->at = put_payload(p, m);
    cp_record_le32(body - 4, (uint32_t)(r->at - body));
}

/* At p, to the end of the record that begins at where. */
static inline void put_last(struct cp_record *r, uint8_t *where, uint8_t *p,
                            copal_bytes payload)
{
    uint8_t *end = p + 4 + payload.len;

    r->at = end;
    cp_record_le32(where + 1, (uint32_t)(end - where) - CP_RECORD_HEAD);
    cp_record_le32(p, (uint32_t)payload.len);
    cp_record_bytes(p + 4, payload);
}

/* Options and payload, to the record's end. Values mostly have less than 17
 * bytes: moves, which may overlap. m is no secret. */
static inline __attribute__((always_inline)) void put_rest(struct cp_record *r,
                                                           uint8_t *where,
                                                           uint8_t *p,
                                                           const copal_msg *m)
{
    const struct cp_option *o = m->options, *end = o + m->option_count;
    const uint8_t *data = m->data;

    for (; o < end; o++) {
        const uint8_t *value = data + o->at;
        uint32_t n = o->len;

        if (n > 16) {
            put_long_rest(r, p, m, o);
            return;
        }
        p = cp_record_le32(cp_record_le16(p, o->number), n) + n;
        if (n >= 8) {
            memcpy(p - n, value, 8);
            memcpy(p - 8, value + n - 8, 8);
        } else if (n >= 4) {
            memcpy(p - n, value, 4);
            memcpy(p - 4, value + n - 4, 4);
        } else if (n > 0) {
            p[-(ptrdiff_t)n] = value[0];
            p[-(ptrdiff_t)(n + 1) / 2] = value[n / 2];
            p[-1] = value[n - 1];
        }
    }
    put_last(r, where, p, m->payload);
}

static inline bool is_simple(const copal_msg *m)
{
    return m->tuned == NULL && !m->resumed && m->from.family == CP_NO_ADDRESS &&
           !m->is_secret;
}

void cp_record_do_request(struct cp_engine *e, uint64_t exchange,
                          uint64_t is_heard, const copal_msg *m)
{
    const struct cp_target *t = m->target;
    struct cp_record *r = e->record;
    uint8_t *at = r->at, *p;
    copal_bytes uri;

    if (t == NULL || !cp_record_is_short(t->uri_len) || !is_simple(m) ||
        (size_t)(r->end - at) < CP_RECORD_HEAD + 24 + t->uri_len + most_of(m)) {
        cp_record_do_message(e, CP_RECORD_REQUEST, exchange, is_heard, NULL, m);
        return;
    }
    uri = cp_bytes(t->uri, t->uri_len);
    *at = (uint8_t)cp_record_call_type(e, CP_RECORD_REQUEST);
    p = cp_record_le64(at + CP_RECORD_HEAD, exchange);
    p = cp_record_le32(cp_record_le64(p, is_heard), UINT32_MAX);
    p = cp_record_le32(put_head(p, m, CP_RECORD_URI), (uint32_t)uri.len);
    put_rest(r, at, cp_record_short(p, uri), m);
}

/* Most have no options. */
static __attribute__((noinline)) void put_respond(struct cp_engine *e,
                                                  uint64_t exchange,
                                                  const copal_msg *m)
{
    struct cp_record *r = e->record;
    uint8_t *at = r->at, *p;

    if (m->tuned != NULL || m->is_secret ||
        (size_t)(r->end - at) < CP_RECORD_HEAD + 20 + most_of(m)) {
        cp_record_do_message(e, CP_RECORD_RESPOND, exchange, 0, NULL, m);
        return;
    }
    *at = (uint8_t)cp_record_call_type(e, CP_RECORD_RESPOND);
    p = cp_record_le64(at + CP_RECORD_HEAD, exchange);
    p = put_head(cp_record_le32(cp_record_le64(p, 0), UINT32_MAX), m, 0);
    put_rest(r, at, p, m);
}

void cp_record_do_respond(struct cp_engine *e, uint64_t exchange,
                          const copal_msg *m)
{
    struct cp_record *r = e->record;
    copal_bytes payload = m->payload;
    uint8_t *at = r->at, *p;

    if (m->option_count > 0 || m->tuned != NULL || m->is_secret ||
        (size_t)(r->end - at) < CP_RECORD_HEAD + 36 + payload.len) {
        put_respond(e, exchange, m);
        return;
    }
    *at = (uint8_t)cp_record_call_type(e, CP_RECORD_RESPOND);
    p = cp_record_le64(at + CP_RECORD_HEAD, exchange);
    p = cp_record_le32(cp_record_le64(p, 0), UINT32_MAX);
    p = cp_record_le32(cp_record_le32(p, m->code), m->flags);
    put_last(r, at, cp_record_le32(p, 0), payload);
}
