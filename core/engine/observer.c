#include "engine/observe_core.h"
#include "engine/fresh_guard.h"
#include "engine/record.h"
#include "engine/transfer.h"

static uint64_t hash_of(struct cp_engine *e, const struct cp_address *remote,
                        copal_bytes token)
{
    uint64_t part[2] = {
        cp_map_hash(&e->observing.observers, remote, sizeof(*remote)),
        cp_map_hash(&e->observing.observers, token.data, token.len)};

    return cp_map_hash(&e->observing.observers, part, sizeof(part));
}

struct cp_observer *cp_observer_find(struct cp_engine *e, struct cp_link *link,
                                     const copal_msg *request)
{
    struct cp_map_node *n =
        cp_map_first(&e->observing.observers,
                     hash_of(e, &request->path.remote, request->token));

    for (; n != NULL; n = cp_map_next(n)) {
        struct cp_observer *o = cp_container_of(n, struct cp_observer, node);

        if (o->link == link &&
            cp_address_equal(&o->request->path.remote, &request->path.remote) &&
            cp_bytes_equal(o->request->token, request->token))
            return o;
    }
    return NULL;
}

/* ---- Those at whose address nobody may be ---- */

static void no_longer_unproven(struct cp_observer *o)
{
    if (!o->is_unproven)
        return;
    o->is_unproven = false;
    cp_list_remove(&o->unproven);
    o->interest->engine->observing.unproven_count--;
}

bool cp_observer_is_unproven(struct cp_observer *o)
{
    if (o->is_unproven && !cp_fresh_doubts(o->interest->engine, o->link,
                                           &o->request->path.remote))
        no_longer_unproven(o);
    return o->is_unproven;
}

bool cp_observer_free_one(struct cp_engine *e, const char *limit)
{
    struct cp_list *first;

    while ((first = cp_list_first(&e->observing.unproven)) != NULL) {
        struct cp_observer *o =
            cp_container_of(first, struct cp_observer, unproven);

        if (cp_observer_is_unproven(o)) {
            cp_engine_limited(e, limit);
            cp_observer_free(o);
            return true;
        }
    }
    return false;
}

/* Called while o is in no list yet. */
static void note_unproven(struct cp_engine *e, struct cp_observer *o)
{
    size_t most = (size_t)e->params.value[COPAL_P_MAX_UNPROVEN];

    cp_list_init(&o->unproven);
    if (!cp_fresh_doubts(e, o->link, &o->request->path.remote))
        return;
    while (e->observing.unproven_count >= most &&
           cp_observer_free_one(e, "max_unproven"))
        ;
    o->is_unproven = true;
    cp_list_append(&e->observing.unproven, &o->unproven);
    e->observing.unproven_count++;
}

/* ---- All ---- */

void cp_observer_free(struct cp_observer *o)
{
    struct cp_interest *i = o->interest;
    struct cp_engine *e = i->engine;

    no_longer_unproven(o);
    cp_flight_stop(&o->flight);
    cp_observe_late_stop(o);
    cp_map_remove(&e->observing.observers, &o->node);
    cp_map_remove(&e->observing.by_peer, &o->of_peer);
    cp_list_remove(&o->place);
    copal_msg_unref(o->state);
    copal_msg_unref(o->next);
    i->topic->observers--;
    cp_bodies_give_back(e, o->charged);
    copal_msg_unref(o->request);
    cp_free(e->mem, o);
    cp_interest_free_idle(i);
}

uint32_t cp_observer_format_of(const copal_msg *m)
{
    return m->code != COPAL_CONTENT
               ? CP_UNKNOWN_FORMAT
               : (uint32_t)cp_msg_uint_or(m, COPAL_OPT_CONTENT_FORMAT,
                                          CP_NO_FORMAT);
}

bool cp_observer_is_last(const copal_msg *m)
{
    return cp_code_class(m->code) != 2;
}

/* The chain is as long as the limit on one peer at most. */
static bool has_room(struct cp_answer *a, uint64_t peer_hash)
{
    struct cp_engine *e = a->x.engine;
    const copal_msg *request = a->wire;
    struct cp_map_node *n = cp_map_first(&e->observing.by_peer, peer_hash);
    int64_t count = 0;

    for (; n != NULL; n = cp_map_next(n))
        count +=
            cp_address_equal(&cp_container_of(n, struct cp_observer, of_peer)
                                  ->request->path.remote,
                             &request->path.remote);
    if (count >= cp_exchange_param(&a->x, COPAL_P_PEER_OBSERVERS)) {
        cp_engine_limited(e, "peer_observers");
        return false;
    }
    if ((int64_t)e->observing.observers.count <
            e->params.value[COPAL_P_MAX_OBSERVERS] ||
        cp_observer_free_one(e, "max_observers"))
        return true;
    cp_engine_limited(e, "max_observers");
    return false;
}

/* What of a registration is kept: a FETCH's body is the interest's. Of one that
 * came to a group the group is not: notifications leave from an address of
 * this host. */
static copal_msg *registration_of(const copal_msg *request)
{
    copal_msg *m = cp_msg_derive(request);

    if (m == NULL)
        return NULL;
    cp_msg_borrow_payload(m, NULL, (copal_bytes){0});
    if (m->path.is_multicast)
        m->path.local = (struct cp_address){0};
    m->path.is_multicast = 0;
    m->frozen = true;
    return m;
}

struct cp_observer *cp_observer_add(struct cp_answer *a, const copal_msg *first)
{
    struct cp_engine *e = a->x.engine;
    const struct cp_address *remote = &a->wire->path.remote;
    uint64_t peer_hash =
        cp_map_hash(&e->observing.by_peer, remote, sizeof(*remote));
    struct cp_interest *i;
    struct cp_observer *o;

    if (!has_room(a, peer_hash))
        return NULL;
    i = cp_interest_get(e, a->handler, a->x.request);
    o = i == NULL ? NULL : cp_zalloc(e->mem, sizeof(*o));
    if (o == NULL) {
        if (i != NULL)
            cp_interest_free_idle(i);
        return NULL;
    }
    o->interest = i;
    o->link = a->link;
    o->of_group = a->wire->path.is_multicast;
    o->request = registration_of(a->wire);
    if (o->request == NULL || !cp_interest_charge(e, o->request, &o->charged)) {
        copal_msg_unref(o->request);
        cp_free(e->mem, o);
        cp_interest_free_idle(i);
        return NULL;
    }
    note_unproven(e, o);
    cp_fresh_begin_observer(a, o);
    o->format = cp_observer_format_of(first);
    cp_flight_init(&o->flight, e, cp_observer_flight_over);
    o->flight.notes = &cp_observer_notes;
    cp_list_init(&o->place);
    cp_list_append(&i->observers, &o->place);
    i->topic->observers++;
    cp_map_put(&e->observing.observers, &o->node,
               hash_of(e, remote, a->wire->token));
    cp_map_put(&e->observing.by_peer, &o->of_peer, peer_hash);
    return o;
}

/* ---- By a connection ---- */

static struct cp_observer *next_by(struct cp_map_node *n,
                                   const struct cp_link *link)
{
    for (; n != NULL; n = cp_map_next(n)) {
        struct cp_observer *o = cp_container_of(n, struct cp_observer, of_peer);

        if (o->link == link)
            return o;
    }
    return NULL;
}

static struct cp_observer *first_by(struct cp_engine *e,
                                    const struct cp_link *link,
                                    const struct cp_address *remote)
{
    return next_by(cp_map_first(&e->observing.by_peer,
                                cp_map_hash(&e->observing.by_peer, remote,
                                            sizeof(*remote))),
                   link);
}

bool cp_observer_of_link(struct cp_engine *e, const struct cp_link *link,
                         const struct cp_address *remote)
{
    return first_by(e, link, remote) != NULL;
}

void cp_observer_link_gone(struct cp_engine *e, const struct cp_link *link,
                           const struct cp_address *remote)
{
    struct cp_observer *o;

    while ((o = first_by(e, link, remote)) != NULL)
        cp_observer_free(o);
}

void cp_engine_drained(struct cp_engine *e, struct cp_link *link)
{
    struct cp_observer *o, *after;

    if (link->connection == NULL)
        return;
    cp_record_stream(e, CP_RECORD_DRAINED, 0, 0, link, &link->connection->path,
                     (copal_bytes){0});
    o = first_by(e, link, &link->connection->path.remote);
    for (; o != NULL; o = after) {
        after = next_by(cp_map_next(&o->of_peer), link);
        cp_observer_drained(o);
    }
}
