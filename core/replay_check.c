/* Is what a replay sends what was sent? */
#include "replay.h"
#include "base/buf.h"
#include "engine/record_bare.h"
#include "wire/datagram.h"
#include "wire/uri.h"

enum {
    SHORT = 160
};

/* ---- In short ---- */

static void put_short(const struct cp_path *path, copal_bytes datagram,
                      char out[SHORT])
{
    static const char *const types[] = {"CON", "NON", "ACK", "RST"};
    struct cp_buf b = cp_buf_fixed(out, SHORT);
    char to[CP_ADDRESS_TEXT];
    struct cp_header h;

    cp_address_print(&path->remote, cp_scheme_port(CP_COAP), to);
    if (cp_header_read(datagram, &h) == 0) {
        cp_put_format(&b, "%s %u.%02u %04x", types[h.type],
                      cp_code_class(h.code), cp_code_detail(h.code), h.mid);
        if (h.token.len > 0)
            cp_put_text(&b, " token ");
        cp_put_hex(&b,
                   cp_bytes(h.token.data, h.token.len > 8 ? 8 : h.token.len));
        cp_put_format(&b, ", ");
    }
    cp_put_format(&b, "%zu bytes to %.80s", datagram.len, to);
    if (cp_buf_text(&b) == NULL)
        out[0] = '\0';
}

static void tell_difference(struct cp_replay *r, const struct cp_path *path,
                            copal_bytes now, const struct cp_record_way *way,
                            copal_bytes then)
{
    char a[SHORT], b[SHORT];
    size_t at = 0;

    put_short(path, now, a);
    put_short(&way->path, then, b);
    while (at < now.len && at < then.len && now.data[at] == then.data[at])
        at++;
    cp_replay_differs(r, "sends %s; then it was %s; they differ from byte %zu",
                      a, b, at);
}

/* ---- Alike ---- */

static bool are_alike_bare(struct cp_replay *r, copal_bytes now,
                           copal_bytes then)
{
    uint8_t *copy = cp_alloc(r->mem, now.len);
    bool alike = false;

    if (copy != NULL && now.len == then.len) {
        if (now.len > 0)
            memcpy(copy, now.data, now.len);
        cp_record_strip_datagram(copy, now.len);
        alike = cp_bytes_equal(cp_bytes(copy, now.len), then);
    }
    cp_free(r->mem, copy);
    return alike;
}

static bool are_alike(struct cp_replay *r, const struct cp_link *link,
                      const struct cp_path *path, copal_bytes now,
                      const struct cp_record_way *way, copal_bytes then)
{
    if (link->number != way->link ||
        memcmp(path, &way->path, sizeof(*path)) != 0)
        return false;
    return cp_bytes_equal(now, then) ||
           (r->is_bare && are_alike_bare(r, now, then));
}

/* The way and the datagram of an OUT. */
static bool take_out(struct cp_replay *r, const struct cp_record_head *h,
                     struct cp_record_way *way, copal_bytes *datagram)
{
    struct cp_cursor c = cp_cursor_of(h->body);

    if (!cp_record_take_way(&c, way)) {
        cp_replay_malformed(r, "a datagram");
        return false;
    }
    *datagram = cp_take(&c, cp_cursor_left(&c));
    return true;
}

/* ---- Sending ---- */

static void went_out(struct cp_replay *r, const struct cp_path *path,
                     copal_bytes datagram, const struct cp_record_way *way)
{
    struct cp_record_head h;

    cp_replay_take(r, &h);
    r->sent++;
    if (r->is_late)
        cp_replay_past_note(r, path, datagram, true, way->again);
}

/* Work of the same kind goes on: what was sent may be among it. */
static bool is_amid_work(const struct cp_record_head *h)
{
    return h->type == CP_RECORD_OUT || h->type == CP_RECORD_RANDOM ||
           h->type == CP_RECORD_BLOCKED || h->type == CP_RECORD_ROUTE ||
           h->type == CP_RECORD_STREAM_OUT;
}

/* Others that began before may have sent something first. */
static bool is_ahead(struct cp_replay *r, const struct cp_link *link,
                     const struct cp_path *path, copal_bytes datagram)
{
    struct cp_cursor ahead = r->records;
    struct cp_record_head h;
    struct cp_record_way way;
    copal_bytes then;

    while (cp_record_take(&ahead, &h) && is_amid_work(&h))
        if (h.type == CP_RECORD_OUT && take_out(r, &h, &way, &then) &&
            are_alike(r, link, path, datagram, &way, then))
            return true;
    return false;
}

bool cp_replay_sent_again(struct cp_replay *r, struct cp_cursor *ahead,
                          struct cp_record_way *way, copal_bytes *datagram)
{
    struct cp_record_head h;

    while (cp_record_take(ahead, &h) &&
           (is_amid_work(&h) || h.type == CP_RECORD_NAMED))
        if (h.type == CP_RECORD_OUT && take_out(r, &h, way, datagram) &&
            way->again)
            return true;
    return false;
}

static void sends_late(struct cp_replay *r, struct cp_link *link,
                       const struct cp_path *path, copal_bytes datagram)
{
    struct cp_record_head h;
    struct cp_record_way way;
    copal_bytes then;
    char text[SHORT];

    if (!is_ahead(r, link, path, datagram)) {
        if (cp_replay_past_has(r, path, datagram)) {
            r->untold++;
            return;
        }
        put_short(path, datagram, text);
        cp_replay_differs(r, "sends %s, which was not sent then", text);
        return;
    }
    while (cp_replay_peek(r, &h)) {
        if (h.type == CP_RECORD_OUT && take_out(r, &h, &way, &then) &&
            are_alike(r, link, path, datagram, &way, then)) {
            went_out(r, path, datagram, &way);
            return;
        }
        cp_replay_leftover(r);
    }
}

void cp_replay_sends(struct cp_replay *r, struct cp_link *link,
                     const struct cp_path *path, copal_bytes datagram)
{
    struct cp_record_head h;
    struct cp_record_way way;
    copal_bytes then;
    char text[SHORT];

    if (r->is_over)
        return;
    if (r->is_late) {
        sends_late(r, link, path, datagram);
        return;
    }
    if (!cp_replay_peek(r, &h))
        return;
    if (h.type != CP_RECORD_OUT) {
        put_short(path, datagram, text);
        cp_replay_differs(r, "sends %s, which was not sent then", text);
    } else if (take_out(r, &h, &way, &then)) {
        if (are_alike(r, link, path, datagram, &way, then))
            went_out(r, path, datagram, &way);
        else
            tell_difference(r, path, datagram, &way, then);
    }
}

void cp_replay_unsent(struct cp_replay *r, const struct cp_record_head *h)
{
    struct cp_record_way way;
    copal_bytes datagram;
    char text[SHORT];

    if (!take_out(r, h, &way, &datagram))
        return;
    if (r->is_late)
        cp_replay_past_note(r, &way.path, datagram, true, way.again);
    if (r->is_late && cp_replay_past_has(r, &way.path, datagram)) {
        r->untold++;
        return;
    }
    put_short(&way.path, datagram, text);
    cp_replay_differs(r, "does not send %s, which was sent then", text);
}

int cp_replay_streams(struct cp_replay *r, const struct cp_link *link,
                      copal_bytes bytes)
{
    struct cp_record_head h;
    struct cp_cursor c;
    struct cp_record_way way;
    int status;

    if (!cp_replay_peek(r, &h))
        return 0;
    c = cp_cursor_of(h.body);
    cp_record_take_32(&c);
    status = (int)(int32_t)cp_record_take_32(&c);
    if (h.type == CP_RECORD_STREAM_OUT && cp_record_take_way(&c, &way) &&
        way.link == link->number && status <= 0 &&
        cp_bytes_equal(bytes, cp_take(&c, cp_cursor_left(&c)))) {
        cp_replay_take(r, &h);
        r->sent++;
        return status;
    }
    if (!r->is_late)
        cp_replay_differs(r,
                          "sends %zu bytes by a connection, which were not "
                          "sent then",
                          bytes.len);
    r->untold++;
    return 0;
}
