/* Who may connect, and who has to go for it: connections whose peers have not
 * said what they take, or that are closing already, are held for nobody. */
#include "engine/core.h"

static uint64_t address_hash(struct cp_engine *e, const struct cp_address *from)
{
    struct cp_address host = *from;

    host.port = 0;
    return cp_map_hash(&e->connections.by_address, &host, sizeof(host));
}

/* The chain is as long as the limit at most. */
static size_t count_of(struct cp_engine *e, const struct cp_address *from)
{
    struct cp_map_node *n =
        cp_map_first(&e->connections.by_address, address_hash(e, from));
    size_t count = 0;

    for (; n != NULL; n = cp_map_next(n))
        count++;
    return count;
}

enum cp_room cp_engine_may_accept(struct cp_engine *e,
                                  const struct cp_address *from,
                                  struct cp_unfinished unfinished)
{
    const int64_t *p = e->params.value;
    const struct cp_connections *all = &e->connections;

    if (count_of(e, from) + unfinished.of_address >=
        (size_t)p[COPAL_P_ADDR_CONNECTIONS]) {
        cp_engine_limited(e, "addr_connections");
        return CP_NO_ROOM;
    }
    if (all->silent + unfinished.all >= (size_t)p[COPAL_P_MAX_HANDSHAKES])
        cp_engine_limited(e, "max_handshakes");
    else if (all->accepted + unfinished.all >=
             (size_t)p[COPAL_P_MAX_CONNECTIONS])
        cp_engine_limited(e, "max_connections");
    else
        return CP_ROOM;
    return unfinished.all > 0 || !cp_list_empty(&all->loose) ? CP_ROOM_OF_OLDEST
                                                             : CP_NO_ROOM;
}

static struct cp_connection *oldest(struct cp_engine *e)
{
    struct cp_list *first = cp_list_first(&e->connections.loose);

    return first == NULL ? NULL
                         : cp_container_of(first, struct cp_connection, loose);
}

struct cp_link *cp_engine_oldest(struct cp_engine *e, uint64_t *since)
{
    struct cp_connection *c = oldest(e);

    if (c == NULL)
        return NULL;
    *since = c->loose_since;
    return c->link;
}

/* A driver that cuts who has to go has done so before; else it is told to close
 * that, and for so long there is one connection more. */
bool cp_room_for(struct cp_engine *e, const struct cp_address *from)
{
    struct cp_connection *c = oldest(e);

    switch (cp_engine_may_accept(e, from, (struct cp_unfinished){0})) {
    case CP_ROOM: return true;
    case CP_NO_ROOM: return false;
    default: break;
    }
    if (c->is_closing)
        return false;
    cp_signal_abort(c, 0, "others want to connect");
    return true;
}

/* ---- Who is there ---- */

static void loosen(struct cp_connection *c)
{
    cp_list_remove(&c->loose);
    c->loose_since = c->engine->now;
    cp_list_append(&c->engine->connections.loose, &c->loose);
}

void cp_room_enter(struct cp_connection *c)
{
    struct cp_engine *e = c->engine;

    cp_list_init(&c->loose);
    if (c->is_ours)
        return;
    e->connections.accepted++;
    e->connections.silent++;
    c->is_silent = true;
    cp_map_put(&e->connections.by_address, &c->of_address,
               address_hash(e, &c->path.remote));
    loosen(c);
}

static void end_silence(struct cp_connection *c)
{
    c->engine->connections.silent -= c->is_silent ? 1 : 0;
    c->is_silent = false;
}

void cp_room_hold(struct cp_connection *c)
{
    end_silence(c);
    cp_list_remove(&c->loose);
}

void cp_room_loosen(struct cp_connection *c)
{
    end_silence(c);
    if (!c->is_ours)
        loosen(c);
}

void cp_room_leave(struct cp_connection *c)
{
    end_silence(c);
    cp_list_remove(&c->loose);
    if (c->is_ours)
        return;
    c->engine->connections.accepted--;
    cp_map_remove(&c->engine->connections.by_address, &c->of_address);
}

uint64_t cp_room_charged(const struct cp_connection *c)
{
    struct cp_engine *e = c->engine;
    struct cp_map_node *n;
    uint64_t sum = 0;

    if (c->is_ours)
        return 0;
    n = cp_map_first(&e->connections.by_address,
                     address_hash(e, &c->path.remote));
    for (; n != NULL; n = cp_map_next(n)) {
        const struct cp_connection *other =
            cp_container_of(n, struct cp_connection, of_address);

        if (other != c)
            sum += other->charged;
    }
    return sum;
}
