/* Room for those who connect to us: who of them goes where there are too many, and
 * how much of what they have half said is held. */
#include "net/stream_inside.h"

#include "engine/engine.h"

enum {
    HELD_FREELY = 4096, /* bytes of a frame that is not all there */
    SHARE = 4 /* one part of so many of what may be held has an address */
};

static bool is_same_host(struct cp_address a, struct cp_address b)
{
    a.port = b.port = 0;
    return cp_address_equal(&a, &b);
}

/* Others of that address hold so many bytes. */
static size_t held_by(const struct cp_net *net, const struct cp_stream *but)
{
    size_t sum = 0;

    list_each (node, after, &net->streams) {
        const struct cp_stream *s =
            cp_container_of(node, struct cp_stream, node);

        if (s != but && s->held > 0 &&
            is_same_host(s->path.remote, but->path.remote))
            sum += s->held;
    }
    return sum;
}

/* Frames are put together below the engine, outside of what it counts: as much
 * as that may take they may take again. */
static bool has_room(const struct cp_stream *s, size_t n)
{
    struct cp_engine *engine = s->net->driver->engine;
    uint64_t most;
    size_t others;

    if (n <= s->held) /* perhaps at the end, when there is no engine */
        return true;
    most = (uint64_t)cp_engine_param(engine, COPAL_P_BODY_MEMORY);
    others = held_by(s->net, s);
    if (s->net->held - s->held + n <= most &&
        (others == 0 || others + n <= most / SHARE))
        return true;
    cp_engine_limited(engine, "body_memory");
    return false;
}

bool cp_stream_room_hold(struct cp_stream *s, size_t held)
{
    size_t n = held > HELD_FREELY ? held - HELD_FREELY : 0;

    if (!has_room(s, n))
        return false;
    s->net->held += n - s->held;
    s->held = n;
    return true;
}

/* ---- Who connects ---- */

static struct cp_unfinished unfinished(const struct cp_net *net,
                                       const struct cp_address *from)
{
    struct cp_unfinished count = {0};

    list_each (node, after, &net->young) {
        const struct cp_stream *s =
            cp_container_of(node, struct cp_stream, young);

        count.all++;
        count.of_address += is_same_host(s->path.remote, *from);
    }
    return count;
}

/* At once: who has to wait for others' manners has no room. */
static void cut_off(struct cp_stream *s, const char *why)
{
    s->is_closing = true;
    s->why = why;
    if (s->is_known)
        cp_engine_closed(s->net->driver->engine, &s->link, COPAL_ELIMIT);
    s->is_known = false;
    cp_list_remove(&s->young);
    s->top.below->ops->cut(s->top.below);
}

bool cp_stream_make_room(struct cp_net *net)
{
    struct cp_list *first = cp_list_first(&net->young);
    struct cp_stream *oldest =
        first == NULL ? NULL : cp_container_of(first, struct cp_stream, young);
    uint64_t since = 0;
    struct cp_link *link = cp_engine_oldest(net->driver->engine, &since);

    if (link != NULL && (oldest == NULL || since < oldest->began))
        oldest = cp_container_of(link, struct cp_stream, link);
    if (oldest == NULL)
        return false;
    cut_off(oldest, "others want to connect");
    return true;
}

bool cp_stream_room_for(struct cp_net *net, const struct cp_address *from)
{
    switch (cp_engine_may_accept(net->driver->engine, from,
                                 unfinished(net, from))) {
    case CP_ROOM: return true;
    case CP_ROOM_OF_OLDEST: return cp_stream_make_room(net);
    default: return false;
    }
}
