#include "wire/message_pack.h"
#include "base/buf.h"
#include "wire/message_text.h"
#include "wire/target.h"

/* Behind it come the options, the data, and of an answer the request's URI. */
struct packed {
    struct cp_path path;
    uint64_t present;
    uint32_t flags;
    uint32_t data_len;
    uint32_t payload_at, payload_len; /* within the data */
    uint16_t mid;
    uint8_t option_count;
    uint8_t token_len; /* it begins the data */
    uint8_t code, type, scheme;
    uint8_t request; /* of an answer: its code; else 0 */
    uint16_t uri_len;
};

/* But for the request that it answers. */
static bool is_bytes_alone(const copal_msg *m)
{
    uintptr_t held = (uintptr_t)m->payload_of | (uintptr_t)m->own_payload |
                     (uintptr_t)m->target | (uintptr_t)m->guard |
                     (uintptr_t)m->tuned | (uintptr_t)m->identity;

    return held == 0 && m->received && m->frozen && !m->is_secret &&
           !m->is_multicast && m->outer_block == 0 && !m->resumed &&
           m->resume_etag_len == 0 && m->options == m->inline_options &&
           m->token.len <= UINT8_MAX;
}

/* An answer is asked for its request's URI, which is all we keep of that. False: it
 * is not to be had as text. */
static bool uri_asked_for(const copal_msg *m, copal_bytes *uri)
{
    const copal_msg *request = m->request;

    *uri = (copal_bytes){0};
    if (request == NULL)
        return true;
    if (request->target == NULL || request->code == 0)
        return false;
    *uri = cp_bytes_of_text(request->target->uri);
    return uri->len <= UINT16_MAX;
}

static inline uint8_t *put(uint8_t *at, const void *from, size_t n)
{
    if (n > 0)
        memcpy(at, from, n);
    return at + n;
}

/* Where part stands in m's data; false: elsewhere. */
static bool place_of(const copal_msg *m, copal_bytes part, uint32_t *at)
{
    uintptr_t data = (uintptr_t)m->data, begin = (uintptr_t)part.data;

    *at = 0;
    if (part.len == 0)
        return true;
    if (begin < data || begin + part.len > data + m->data_len)
        return false;
    *at = (uint32_t)(begin - data);
    return true;
}

size_t cp_msg_pack(const copal_msg *m, void *to, size_t room)
{
    size_t options = m->option_count * sizeof(*m->options), size;
    uint32_t token_at, payload_at;
    uint8_t *at = to;
    copal_bytes uri;

    if (!is_bytes_alone(m) || !uri_asked_for(m, &uri) ||
        !place_of(m, m->token, &token_at) || token_at != 0 ||
        !place_of(m, m->payload, &payload_at))
        return 0;
    size = sizeof(struct packed) + options + m->data_len + uri.len;
    if (size > room)
        return 0;
    at = put(at,
             &(struct packed){
                 .path = m->path,
                 .present = m->present,
                 .flags = m->flags,
                 .data_len = m->data_len,
                 .payload_at = payload_at,
                 .payload_len = (uint32_t)m->payload.len,
                 .mid = m->mid,
                 .option_count = (uint8_t)m->option_count,
                 .token_len = (uint8_t)m->token.len,
                 .code = m->code,
                 .type = m->type,
                 .scheme = m->scheme,
                 .request = m->request == NULL ? 0 : m->request->code,
                 .uri_len = (uint16_t)uri.len,
             },
             sizeof(struct packed));
    at = put(at, m->options, options);
    at = put(at, m->data, m->data_len);
    put(at, uri.data, uri.len);
    return size;
}

/* A request of which only the URI is known. */
static copal_msg *request_of(struct cp_mem *mem, int code, copal_bytes uri)
{
    copal_msg *m = cp_msg_new(mem, code, 0);
    struct cp_buf b = cp_buf_new(mem);

    if (m == NULL)
        return NULL;
    m->frozen = true;
    cp_put_bytes(&b, uri);
    if (cp_msg_keep(m, CP_TEXT_URI, &b) == NULL) {
        copal_msg_unref(m);
        return NULL;
    }
    return m;
}

copal_msg *cp_msg_unpack(struct cp_mem *mem, const void *packed)
{
    const uint8_t *at = packed;
    struct packed p;
    copal_msg *m;

    memcpy(&p, at, sizeof(p));
    at += sizeof(p);
    m = cp_msg_new(mem, p.code, p.data_len);
    if (m == NULL)
        return NULL;
    m->path = p.path;
    m->present = p.present;
    m->flags = p.flags;
    m->mid = p.mid;
    m->type = p.type;
    m->scheme = p.scheme;
    m->received = m->frozen = true;
    m->option_count = p.option_count;
    if (p.option_count > 0)
        memcpy(m->options, at, p.option_count * sizeof(*m->options));
    at += p.option_count * sizeof(*m->options);
    if (p.data_len > 0)
        memcpy(m->data, at, p.data_len);
    m->data_len = p.data_len;
    m->token = cp_bytes(m->data, p.token_len);
    m->payload = cp_bytes(m->data + p.payload_at, p.payload_len);
    if (p.request == 0)
        return m;
    m->request =
        request_of(mem, p.request, cp_bytes(at + p.data_len, p.uri_len));
    if (m->request == NULL) {
        copal_msg_unref(m);
        return NULL;
    }
    return m;
}
