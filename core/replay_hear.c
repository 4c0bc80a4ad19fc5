/* What comes into a replay from outside: datagrams, connections. */
#include "replay.h"
#include "engine/core.h"

/* Of an association that is over: its number, if there is one. */
static uint32_t heir_of(copal_bytes bytes)
{
    struct cp_cursor c = cp_cursor_of(bytes);
    uint32_t heir = cp_record_take_32(&c);

    return c.failed ? 0 : heir;
}

void cp_replay_hear(struct cp_replay *r, const struct cp_record_head *h)
{
    struct cp_engine *e = r->c->engine;
    struct cp_cursor c = cp_cursor_of(h->body);
    bool is_in = h->type == CP_RECORD_IN;
    int status = is_in ? 0 : (int)(int32_t)cp_record_take_32(&c);
    struct cp_record_way way;
    struct cp_link *link;
    copal_bytes datagram;

    if (!cp_record_take_way(&c, &way) || (!is_in && status >= 0)) {
        cp_replay_malformed(r, "a datagram");
        return;
    }
    datagram = cp_take(&c, cp_cursor_left(&c));
    link = cp_replay_link(r, &way);
    if (link == NULL) {
        cp_replay_malformed(r, "no memory for a socket");
        return;
    }
    if (h->type == CP_RECORD_LOST) {
        cp_engine_undelivered(e, link, &way.path, datagram, status);
        return;
    }
    if (h->type == CP_RECORD_OVER) {
        if (r->is_late)
            cp_replay_past_moved(r, &way.path.remote, heir_of(datagram));
        cp_engine_association_over(e, link, &way.path, status,
                                   heir_of(datagram));
        return;
    }
    if (r->is_late)
        cp_replay_past_note(r, &way.path, datagram, false, false);
    cp_engine_count_datagram(e, false, datagram.len);
    cp_engine_datagram(e, link, &way.path, datagram);
}

static void name_end(struct cp_link *link, copal_bytes identity)
{
    link->identity = NULL;
    if (identity.len > 0 && cp_replay_name(link, identity))
        link->identity = cp_replay_named(link);
}

/* Of a connection. */
void cp_replay_hear_stream(struct cp_replay *r, const struct cp_record_head *h)
{
    struct cp_engine *e = r->c->engine;
    struct cp_cursor c = cp_cursor_of(h->body);
    uint32_t a = cp_record_take_32(&c);
    int b = (int)(int32_t)cp_record_take_32(&c);
    struct cp_record_way way;
    struct cp_link *link = NULL;

    if (r->is_bare) {
        cp_replay_damaged(r, "what connections carried was left out with the "
                             "payloads; it cannot be run again");
        return;
    }
    if (cp_record_take_way(&c, &way))
        link = cp_replay_link(r, &way);
    if (link == NULL || a > CP_FRAMED ||
        (h->type == CP_RECORD_CONNECTED && link->connection != NULL)) {
        cp_replay_malformed(r, "a connection");
        return;
    }
    cp_engine_enter(e, r->clock);
    switch (h->type) {
    case CP_RECORD_CONNECTED:
        name_end(link, cp_take(&c, cp_cursor_left(&c)));
        cp_engine_connected(e, link, &way.path, (enum cp_framing)a, b != 0);
        break;
    case CP_RECORD_STREAM_IN:
        cp_engine_bytes(e, link, cp_take(&c, cp_cursor_left(&c)));
        break;
    case CP_RECORD_CLOSED:
        cp_engine_closed(e, link, b > 0 ? COPAL_EIO : b);
        break;
    default: cp_engine_drained(e, link); break;
    }
}
