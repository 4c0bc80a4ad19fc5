#include "wire/message_text.h"
#include "wire/target.h"

struct cp_kept_text {
    struct cp_kept_text *next;
    enum cp_text_kind kind;
    bool is_final; /* made of a frozen message */
    char text[];
};

/* ---- Keeping ---- */

void cp_kept_text_free(struct cp_mem *mem, struct cp_kept_text *kept)
{
    while (kept != NULL) {
        struct cp_kept_text *next = kept->next;

        cp_free(mem, kept);
        kept = next;
    }
}

const char *cp_msg_kept(const copal_msg *m, enum cp_text_kind kind)
{
    if (m->frozen)
        for (struct cp_kept_text *k = m->kept; k != NULL; k = k->next)
            if (k->kind == kind && k->is_final)
                return k->text;
    return NULL;
}

static const char *keep_text(copal_msg *m, enum cp_text_kind kind,
                             const char *text)
{
    size_t size = strlen(text) + 1;
    struct cp_kept_text *k;

    for (k = m->kept; k != NULL; k = k->next)
        if (k->kind == kind && strcmp(k->text, text) == 0)
            break;
    if (k == NULL) {
        k = cp_alloc(m->mem, sizeof(*k) + size);
        if (k == NULL)
            return NULL;
        k->next = m->kept;
        k->kind = kind;
        memcpy(k->text, text, size);
        m->kept = k;
    }
    k->is_final = m->frozen;
    return k->text;
}

const char *cp_msg_keep(const copal_msg *m, enum cp_text_kind kind,
                        struct cp_buf *b)
{
    const char *text = cp_buf_text(b);

    if (text != NULL)
        text = keep_text((copal_msg *)m, kind, text);
    cp_buf_free(b);
    return text;
}

/* ---- Parts of the URI ---- */

/* "/" would look like the end of the segment, NUL like that of the text. */
static void put_segment(struct cp_buf *b, copal_bytes segment)
{
    cp_put_u8(b, '/');
    for (size_t i = 0; i < segment.len; i++) {
        uint8_t c = segment.data[i];

        if (c == '/' || c == '\0')
            cp_put_format(b, "%%%02X", c);
        else
            cp_put_u8(b, c);
    }
}

const char *copal_msg_path(const copal_msg *m)
{
    const char *text = m == NULL ? "" : cp_msg_kept(m, CP_TEXT_PATH);
    struct cp_buf b;

    if (text != NULL)
        return text;
    b = cp_buf_new(m->mem);
    for (size_t i = 0; i < m->option_count; i++)
        if (m->options[i].number == COPAL_OPT_URI_PATH)
            put_segment(&b, cp_msg_option_value(m, &m->options[i]));
    if (b.len == 0)
        cp_put_u8(&b, '/');
    text = cp_msg_keep(m, CP_TEXT_PATH, &b);
    return text == NULL ? "" : text;
}

/* Is argument "key=..." or "key" alone? Then *value is what follows. */
static bool has_key(copal_bytes argument, copal_bytes key, copal_bytes *value)
{
    size_t rest = argument.len - key.len;

    if (argument.len < key.len ||
        !cp_bytes_equal(cp_bytes(argument.data, key.len), key))
        return false;
    if (rest > 0 && argument.data[key.len] != '=')
        return false;
    *value = rest > 0 ? cp_bytes(argument.data + key.len + 1, rest - 1)
                      : (copal_bytes){0};
    return true;
}

const char *copal_msg_query(const copal_msg *m, const char *key)
{
    copal_bytes value;

    if (m == NULL || key == NULL)
        return NULL;
    for (size_t i = 0; i < m->option_count; i++) {
        const struct cp_option *o = &m->options[i];

        if (o->number == COPAL_OPT_URI_QUERY &&
            has_key(cp_msg_option_value(m, o), cp_bytes_of_text(key), &value)) {
            struct cp_buf b = cp_buf_new(m->mem);

            cp_put_bytes(&b, value);
            return cp_msg_keep(m, CP_TEXT_QUERY, &b);
        }
    }
    return NULL;
}

/* ---- The whole URI ---- */

/* The scheme of Proxy-Scheme, if it is one of ours; else the message's. RFC
 * 7252 5.10.2. */
static int scheme_of(const copal_msg *m)
{
    const struct cp_option *o = cp_msg_find(m, COPAL_OPT_PROXY_SCHEME);

    if (o != NULL)
        for (int scheme = 0; scheme < CP_SCHEME_COUNT; scheme++)
            if (cp_bytes_is_text(cp_msg_option_value(m, o),
                                 cp_scheme_name(scheme)))
                return scheme;
    return m->scheme;
}

/* RFC 7252 6.5 steps 2 to 5: what options leave out is where the request was
 * sent to. */
static void put_authority(struct cp_buf *b, const copal_msg *m)
{
    const struct cp_option *host = cp_msg_find(m, COPAL_OPT_URI_HOST);
    const struct cp_address *local = &m->path.local;
    int scheme = scheme_of(m);
    uint16_t port =
        local->family == CP_NO_ADDRESS ? cp_scheme_port(scheme) : local->port;
    char text[256] = {0};

    port = (uint16_t)cp_msg_uint_or(m, COPAL_OPT_URI_PORT, port);
    if (host != NULL && host->len < sizeof(text)) {
        memcpy(text, m->data + host->at, host->len);
        cp_uri_put_base(b, scheme, text, port);
        return;
    }
    cp_put_text(b, cp_scheme_name(scheme));
    cp_put_text(b, "://");
    cp_address_print(local, local->port, text);
    cp_put_text(b, text);
    if (port != cp_scheme_port(scheme))
        cp_put_format(b, ":%u", port);
}

/* RFC 7252 6.5. */
static void put_uri(struct cp_buf *b, const copal_msg *m)
{
    const struct cp_option *proxy_uri = cp_msg_find(m, COPAL_OPT_PROXY_URI);
    bool has_path = false, has_query = false;

    if (proxy_uri != NULL) { /* takes precedence: RFC 7252 5.10.2 */
        cp_put_bytes(b, cp_msg_option_value(m, proxy_uri));
        return;
    }
    put_authority(b, m);
    for (size_t i = 0; i < m->option_count; i++) {
        copal_bytes value = cp_msg_option_value(m, &m->options[i]);

        if (m->options[i].number == COPAL_OPT_URI_PATH) {
            cp_uri_put_segment(b, value);
            has_path = true;
        } else if (m->options[i].number == COPAL_OPT_URI_QUERY) {
            if (!has_path)
                cp_put_u8(b, '/');
            has_path = true;
            cp_uri_put_argument(b, value, !has_query);
            has_query = true;
        }
    }
    if (!has_path)
        cp_put_u8(b, '/');
}

/* A datagram from nowhere (copal_msg_decode()) need not say where it went. */
static bool has_place(const copal_msg *m)
{
    return m->path.local.family != CP_NO_ADDRESS ||
           m->path.remote.family != CP_NO_ADDRESS ||
           cp_msg_has(m, COPAL_OPT_URI_HOST) ||
           cp_msg_has(m, COPAL_OPT_PROXY_URI);
}

const char *copal_msg_uri(const copal_msg *m)
{
    const char *text;
    struct cp_buf b;

    if (m != NULL && m->request != NULL)
        m = m->request;
    if (m == NULL)
        return "";
    if (m->target != NULL)
        return m->target->uri;
    text = cp_msg_kept(m, CP_TEXT_URI);
    if (text != NULL || !m->received || !cp_code_is_request(m->code) ||
        !has_place(m))
        return text == NULL ? "" : text;
    b = cp_buf_new(m->mem);
    put_uri(&b, m);
    text = cp_msg_keep(m, CP_TEXT_URI, &b);
    return text == NULL ? "" : text;
}

/* ---- The two ends ---- */

static const char *base_uri(const copal_msg *m, enum cp_text_kind kind,
                            const struct cp_address *a)
{
    const char *text = cp_msg_kept(m, kind);
    char address[CP_ADDRESS_TEXT];
    struct cp_buf b;

    if (!m->received || a->family == CP_NO_ADDRESS)
        return "";
    if (text != NULL)
        return text;
    cp_address_print(a, cp_scheme_port(m->scheme), address);
    b = cp_buf_new(m->mem);
    cp_put_text(&b, cp_scheme_name(m->scheme));
    cp_put_text(&b, "://");
    cp_put_text(&b, address);
    text = cp_msg_keep(m, kind, &b);
    return text == NULL ? "" : text;
}

const char *copal_msg_remote(const copal_msg *m)
{
    return m == NULL ? "" : base_uri(m, CP_TEXT_REMOTE, &m->path.remote);
}

const char *copal_msg_local(const copal_msg *m)
{
    return m == NULL ? "" : base_uri(m, CP_TEXT_LOCAL, &m->path.local);
}
