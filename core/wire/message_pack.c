#include "wire/message_pack.h"
#include "base/buf.h"
#include "wire/message_text.h"
#include "wire/target.h"

/* Written where they stand, which costs less than to copy them there. */
#define UNALIGNED __attribute__((packed, may_alias))

/* Behind it come the addresses, the options, the data, and of an answer the request's
 * URI. */
struct UNALIGNED packed {
    uint32_t flags;
    uint32_t if_index;
    uint16_t mid;
    uint8_t code, type, scheme;
    uint8_t request; /* of an answer: its code; else 0 */
    uint8_t option_count;
    uint8_t data_len;
    uint8_t token_len;               /* it begins the data */
    uint8_t payload_at, payload_len; /* within the data */
    uint8_t uri_len;
    uint8_t hops;
    bool is_multicast;
    bool is_brief; /* both addresses are */
};

/* One of IPv4. */
struct UNALIGNED brief {
    uint8_t ip[4];
    uint16_t port;
};

struct UNALIGNED packed_option {
    uint16_t number;
    uint8_t at, len;
};

static bool is_brief(const struct cp_address *a)
{
    return a->family == CP_IPV4 && a->scope == 0 && a->association == 0;
}

static uint8_t *put_brief(uint8_t *at, const struct cp_address *a)
{
    struct brief *b = (struct brief *)at;

    memcpy(b->ip, a->ip, sizeof(b->ip));
    b->port = a->port;
    return at + sizeof(*b);
}

static struct cp_address address_of(struct brief b)
{
    struct cp_address a = {.family = CP_IPV4, .port = b.port};

    memcpy(a.ip, b.ip, sizeof(b.ip));
    return a;
}

/* But for the request that it answers. */
static bool is_bytes_alone(const copal_msg *m)
{
    uintptr_t held = (uintptr_t)m->payload_of | (uintptr_t)m->own_payload |
                     (uintptr_t)m->target | (uintptr_t)m->guard |
                     (uintptr_t)m->tuned | (uintptr_t)m->identity;

    return held == 0 && m->received && m->frozen && !m->is_secret &&
           !m->is_multicast && m->outer_block == 0 && !m->resumed &&
           m->resume_etag_len == 0 && m->options == m->inline_options &&
           m->data_len <= UINT8_MAX;
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
    return uri->len <= UINT8_MAX;
}

static inline uint8_t *put(uint8_t *at, const void *from, size_t n)
{
    if (n > 0)
        memcpy(at, from, n);
    return at + n;
}

/* Where part stands in m's data; false: elsewhere. */
static bool place_of(const copal_msg *m, copal_bytes part, uint8_t *at)
{
    uintptr_t data = (uintptr_t)m->data, begin = (uintptr_t)part.data;

    *at = 0;
    if (part.len == 0)
        return true;
    if (begin < data || begin + part.len > data + m->data_len)
        return false;
    *at = (uint8_t)(begin - data);
    return true;
}

static uint8_t *put_addresses(uint8_t *at, const struct cp_path *p,
                              bool is_short)
{
    if (is_short)
        return put_brief(put_brief(at, &p->remote), &p->local);
    at = put(at, &p->remote, sizeof(p->remote));
    return put(at, &p->local, sizeof(p->local));
}

static uint8_t *put_options(uint8_t *at, const copal_msg *m)
{
    for (size_t i = 0; i < m->option_count; i++) {
        const struct cp_option *o = &m->options[i];

        *(struct packed_option *)at =
            (struct packed_option){o->number, (uint8_t)o->at, (uint8_t)o->len};
        at += sizeof(struct packed_option);
    }
    return at;
}

size_t cp_msg_pack(const copal_msg *m, void *to, size_t room)
{
    uint8_t *at = to, token_at, payload_at;
    bool is_short;
    copal_bytes uri;
    size_t size;

    if (!is_bytes_alone(m) || !uri_asked_for(m, &uri) ||
        !place_of(m, m->token, &token_at) || token_at != 0 ||
        !place_of(m, m->payload, &payload_at))
        return 0;
    is_short = is_brief(&m->path.remote) && is_brief(&m->path.local);
    size = sizeof(struct packed) +
           2 * (is_short ? sizeof(struct brief) : sizeof(struct cp_address)) +
           m->option_count * sizeof(struct packed_option) + m->data_len +
           uri.len;
    if (size > room)
        return size;
    *(struct packed *)to = (struct packed){
        .flags = m->flags,
        .if_index = m->path.if_index,
        .mid = m->mid,
        .code = m->code,
        .type = m->type,
        .scheme = m->scheme,
        .request = m->request == NULL ? 0 : m->request->code,
        .option_count = (uint8_t)m->option_count,
        .data_len = (uint8_t)m->data_len,
        .token_len = (uint8_t)m->token.len,
        .payload_at = payload_at,
        .payload_len = (uint8_t)m->payload.len,
        .uri_len = (uint8_t)uri.len,
        .hops = m->path.hops,
        .is_multicast = m->path.is_multicast,
        .is_brief = is_short,
    };
    at += sizeof(struct packed);
    at = put_addresses(at, &m->path, is_short);
    at = put_options(at, m);
    at = put(at, m->data, m->data_len);
    put(at, uri.data, uri.len);
    return size;
}

/* ---- And back ---- */

static const uint8_t *get(void *to, const uint8_t *at, size_t n)
{
    if (n > 0)
        memcpy(to, at, n);
    return at + n;
}

static const uint8_t *get_addresses(struct cp_path *p, const uint8_t *at,
                                    bool is_short)
{
    if (is_short) {
        struct brief both[2];

        at = get(both, at, sizeof(both));
        p->remote = address_of(both[0]);
        p->local = address_of(both[1]);
        return at;
    }
    at = get(&p->remote, at, sizeof(p->remote));
    return get(&p->local, at, sizeof(p->local));
}

static const uint8_t *get_options(copal_msg *m, const uint8_t *at, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        struct packed_option o;

        at = get(&o, at, sizeof(o));
        cp_msg_index_last(m, o.number, cp_bytes(m->data + o.at, o.len));
    }
    return at;
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

    at = get(&p, at, sizeof(p));
    m = cp_msg_new(mem, p.code, p.data_len);
    if (m == NULL)
        return NULL;
    m->path.if_index = p.if_index;
    m->path.is_multicast = p.is_multicast;
    m->path.hops = p.hops;
    m->flags = p.flags;
    m->mid = p.mid;
    m->type = p.type;
    m->scheme = p.scheme;
    m->received = m->frozen = true;
    at = get_addresses(&m->path, at, p.is_brief);
    at = get_options(m, at, p.option_count);
    at = get(m->data, at, p.data_len);
    m->data_len = p.data_len;
    m->token = cp_bytes(m->data, p.token_len);
    m->payload = cp_bytes(m->data + p.payload_at, p.payload_len);
    if (p.request == 0)
        return m;
    m->request = request_of(mem, p.request, cp_bytes(at, p.uri_len));
    if (m->request == NULL) {
        copal_msg_unref(m);
        return NULL;
    }
    return m;
}
