#include "engine/trace.h"
#include "base/utf8.h"
#include "wire/datagram.h"
#include "wire/message_print.h"
#include "wire/uri.h"

static const char *const ways[] = {"in", "out", "again"};
static const char *const types[] = {"CON", "NON", "ACK", "RST"};

static void tell(struct cp_engine *e, struct cp_buf *line)
{
    size_t len;
    char *text;

    cp_put_u8(line, 0);
    text = (char *)cp_buf_take(line, &len);
    if (text != NULL) /* else out of memory: the line is lost */
        cp_event_post_trace(e, text);
    cp_buf_free(line);
}

static void put_peer(struct cp_buf *b, const struct cp_link *link,
                     const struct cp_path *path)
{
    char text[CP_ADDRESS_TEXT];

    cp_address_print(&path->remote, cp_scheme_port(link->scheme), text);
    cp_put_format(b, "\"peer\":\"%s://", cp_scheme_name(link->scheme));
    cp_put_json(b, cp_bytes_of_text(text));
    cp_put_text(b, "\",");
}

static bool is_text(copal_bytes b)
{
    for (size_t i = 0; i < b.len; i++)
        if (b.data[i] < 0x20 && b.data[i] != '\n' && b.data[i] != '\t')
            return false;
    return cp_utf8_is_valid(b);
}

/* As copal_msg_print() shows it: its name, or its value. */
static void put_part(struct cp_buf *b, const copal_msg *m, size_t i,
                     void (*put)(struct cp_buf *, const copal_msg *, size_t))
{
    struct cp_buf text = cp_buf_new(b->mem);
    copal_bytes shown;

    put(&text, m, i);
    if (cp_buf_finish(&text, &shown) == 0)
        cp_put_json(b, shown);
    cp_buf_free(&text);
}

static void put_message(struct cp_buf *b, const copal_msg *m)
{
    cp_put_text(b, ",\"options\":[");
    for (size_t i = 0; i < m->option_count; i++) {
        cp_put_text(b, i == 0 ? "[\"" : ",[\"");
        put_part(b, m, i, cp_msg_put_option_name);
        cp_put_text(b, "\",\"");
        put_part(b, m, i, cp_msg_put_value);
        cp_put_text(b, "\"]");
    }
    cp_put_text(b, "]");
    if (m->payload.len == 0)
        return;
    if (is_text(m->payload)) {
        cp_put_text(b, ",\"payload\":\"");
        cp_put_json(b, m->payload);
    } else {
        cp_put_text(b, ",\"payload_hex\":\"");
        cp_put_hex(b, m->payload);
    }
    cp_put_text(b, "\"");
}

static void put_head(struct cp_buf *b, const struct cp_engine *e,
                     enum cp_trace_way way, const struct cp_link *link,
                     const struct cp_path *path)
{
    cp_put_format(b, "{\"t\":%llu,\"ev\":\"%s\",", (unsigned long long)e->now,
                  ways[way]);
    put_peer(b, link, path);
}

/* m NULL: it could not be read; h NULL: it was no datagram. */
static void put_body(struct cp_buf *b, const struct cp_header *h,
                     const copal_msg *m, copal_bytes bytes)
{
    if (m == NULL) {
        cp_put_format(b, "\"malformed\":true,\"len\":%zu,\"hex\":\"",
                      bytes.len);
        cp_put_hex(b, bytes);
        cp_put_text(b, "\"}");
        return;
    }
    if (h != NULL)
        cp_put_format(b, "\"type\":\"%s\",", types[h->type]);
    cp_put_format(b, "\"code\":\"%u.%02u\",", cp_code_class(m->code),
                  cp_code_detail(m->code));
    if (h != NULL)
        cp_put_format(b, "\"mid\":%u,", h->mid);
    cp_put_text(b, "\"token\":\"");
    cp_put_hex(b, m->token);
    cp_put_format(b, "\",\"len\":%zu", bytes.len);
    put_message(b, m);
    cp_put_text(b, "}");
}

void cp_trace_datagram(struct cp_engine *e, enum cp_trace_way way,
                       struct cp_link *link, const struct cp_path *path,
                       copal_bytes datagram)
{
    struct cp_header h;
    copal_msg *m = NULL;
    struct cp_buf b;

    if (e->tap.fn != NULL)
        e->tap.fn(e->tap.user, path, datagram, way != CP_TRACE_IN);
    if ((e->trace & COPAL_TRACE_WIRE) == 0)
        return;
    if (cp_header_read(datagram, &h) == 0)
        (void)cp_datagram_decode(e->mem, &h, &m);
    b = cp_buf_new(e->mem);
    put_head(&b, e, way, link, path);
    put_body(&b, &h, m, datagram);
    tell(e, &b);
    copal_msg_unref(m);
}

/* As a datagram, which is what captures are made of. Its id is a number of its
 * own: under one id they would be taken for repeats of each other. */
static void tap(struct cp_engine *e, enum cp_trace_way way,
                const struct cp_connection *c, const copal_msg *m)
{
    uint64_t number = e->stats.datagrams_in + e->stats.datagrams_out;
    struct cp_buf b = cp_buf_new(e->mem);
    copal_bytes datagram;

    if (cp_datagram_encode(m, CP_NON, (uint16_t)number, m->token, &b) == 0 &&
        cp_buf_finish(&b, &datagram) == 0)
        e->tap.fn(e->tap.user, &c->path, datagram, way != CP_TRACE_IN);
    cp_buf_free(&b);
}

void cp_trace_message(struct cp_engine *e, enum cp_trace_way way,
                      const struct cp_connection *c, copal_bytes bytes)
{
    bool is_traced = (e->trace & COPAL_TRACE_WIRE) != 0;
    struct cp_frame f;
    copal_msg *m = NULL;
    struct cp_buf b;

    if (e->tap.fn == NULL && !is_traced)
        return;
    if (cp_frame_read(bytes, c->framing, &f) == 0)
        (void)cp_frame_decode(e->mem, &f, &m);
    if (e->tap.fn != NULL && m != NULL)
        tap(e, way, c, m);
    if (is_traced) {
        b = cp_buf_new(e->mem);
        put_head(&b, e, way, c->link, &c->path);
        put_body(&b, NULL, m, bytes);
        tell(e, &b);
    }
    copal_msg_unref(m);
}

static void tell_what(struct cp_engine *e, unsigned kind, const char *ev,
                      const char *what)
{
    struct cp_buf b;

    if ((e->trace & kind) == 0)
        return;
    b = cp_buf_new(e->mem);
    cp_put_format(&b, "{\"t\":%llu,\"ev\":\"%s\",\"what\":\"",
                  (unsigned long long)e->now, ev);
    cp_put_json(&b, cp_bytes_of_text(what));
    cp_put_text(&b, "\"}");
    tell(e, &b);
}

void cp_trace_state(struct cp_engine *e, const char *ev, const char *what)
{
    tell_what(e, COPAL_TRACE_STATE, ev, what);
}

void cp_trace_security(struct cp_engine *e, const char *ev, const char *what)
{
    tell_what(e, COPAL_TRACE_SECURITY, ev, what);
}
