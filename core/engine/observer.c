#include "engine/observe_core.h"
#include "engine/fresh_guard.h"
#include "engine/transfer.h"

enum {
    CON_EVERY = 20,         /* one notification in so many is confirmable */
    CON_AFTER_MS = 86400000 /* and one in 24 hours: RFC 7641 4.5 */
};

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

void cp_observer_free(struct cp_observer *o)
{
    struct cp_interest *i = o->interest;
    struct cp_engine *e = i->engine;

    cp_flight_stop(&o->flight);
    cp_observe_late_stop(o);
    cp_map_remove(&e->observing.observers, &o->node);
    cp_map_remove(&e->observing.by_peer, &o->of_peer);
    cp_list_remove(&o->place);
    copal_msg_unref(o->next);
    cp_bodies_give_back(e, o->charged);
    copal_msg_unref(o->request);
    cp_free(e->mem, o);
    cp_interest_free_idle(i);
}

uint64_t cp_observer_format_of(const copal_msg *m)
{
    return m->code != COPAL_CONTENT
               ? CP_UNKNOWN_FORMAT
               : cp_msg_uint_or(m, COPAL_OPT_CONTENT_FORMAT, CP_NO_FORMAT);
}

bool cp_observer_is_last(const copal_msg *m)
{
    return cp_code_class(m->code) != 2;
}

/* Anybody can register somebody else. Until the first notification is
 * acknowledged, or an Echo came back, what goes there is small and confirmable,
 * so that nothing follows it. */
static bool is_unproven(struct cp_observer *o)
{
    if (o->is_unproven && !cp_fresh_doubts(o->interest->engine, o->link,
                                           &o->request->path.remote))
        o->is_unproven = false;
    return o->is_unproven;
}

uint16_t cp_observer_block_size(struct cp_observer *o, const copal_msg *whole)
{
    uint16_t size = cp_block_answer_size(o->interest->engine, o->request),
             most = size;

    if (is_unproven(o))
        most = cp_fresh_notification_block(whole, o->request->token);
    return most < size ? most : size;
}

/* An error is told by its code alone where its words are too many. */
static copal_msg *fitting(struct cp_observer *o, const copal_msg *m)
{
    copal_msg *bare;

    if (!is_unproven(o) ||
        cp_datagram_size(m, o->request->token) <= CP_FRESH_FREE)
        return copal_msg_ref(m);
    bare = cp_observer_is_last(m) ? cp_msg_new(m->mem, m->code, 0) : NULL;
    if (bare != NULL)
        bare->frozen = true;
    return bare;
}

/* A body by Q-Block2 goes as it was asked for where the handler leaves that
 * open: sets are there for messages that are not confirmed. RFC 9177 3. */
static bool is_confirmed(const struct cp_observer *o, const copal_msg *m)
{
    return (m->flags & COPAL_NON) == 0 &&
           (!cp_msg_has(m, COPAL_OPT_Q_BLOCK2) || o->request->type == CP_CON);
}

static bool must_confirm(const struct cp_observer *o, const copal_msg *m)
{
    return is_confirmed(o, m) || cp_observer_is_last(m) || o->is_unproven ||
           o->since_con + 1 >= CON_EVERY ||
           o->interest->engine->now >= o->con_at + CON_AFTER_MS;
}

/* It could miss a state for ever where one cannot be sent: then it is no
 * observer any more. */
static void transmit(struct cp_observer *o, const copal_msg *whole)
{
    struct cp_engine *e = o->interest->engine;
    const char *uri = cp_params_uri_back(&e->params, o->request);
    struct cp_flight_plan plan = cp_flight_plan_for(e, whole, uri);
    copal_msg *m = fitting(o, whole);
    int err = m == NULL ? COPAL_ENOMEM : 0;

    plan.link = o->link;
    plan.path = &o->request->path;
    plan.token = o->request->token;
    plan.is_con = must_confirm(o, whole);
    plan.is_part = cp_msg_has(whole, COPAL_OPT_Q_BLOCK2);
    if (err == 0)
        err = cp_flight_start(&o->flight, &plan, m);
    copal_msg_unref(m);
    if (err != 0) {
        cp_observer_free(o);
        return;
    }
    o->ends = cp_observer_is_last(whole); /* which is always confirmable */
    o->since_con = plan.is_con ? 0 : o->since_con + 1;
    if (plan.is_con)
        o->con_at = e->now;
    if (cp_msg_has(whole, COPAL_OPT_Q_BLOCK2))
        cp_qblock_notify_rest(e, o->link, o->request, whole, plan.is_con);
}

/* At most one confirmable notification is under way to an observer; of those
 * that come meanwhile the newest waits. RFC 7641 4.5.1, 4.5.2. */
void cp_observer_send(struct cp_observer *o, copal_msg *m)
{
    if (o->ends)
        return;
    if (o->flight.state != CP_OPEN && o->flight.state != CP_QUEUED) {
        transmit(o, m);
    } else if (o->next == NULL || !cp_observer_is_last(o->next)) {
        copal_msg_unref(o->next);
        o->next = copal_msg_ref(m);
    }
}

void cp_observer_tell(struct cp_observer *o, copal_msg *m)
{
    if (!o->of_group || o->ends || !cp_observe_late(o, m))
        cp_observer_send(o, m);
}

static void on_flight_over(struct cp_flight *f, int status)
{
    struct cp_observer *o = cp_container_of(f, struct cp_observer, flight);
    copal_msg *next = o->next;

    o->next = NULL;
    if (status != 0 || o->ends) /* rejected, gone, or told: RFC 7641 4.5 */
        cp_observer_free(o);
    else if (next != NULL)
        cp_observer_send(o, next);
    copal_msg_unref(next);
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
    if (count < cp_exchange_param(&a->x, COPAL_P_PEER_OBSERVERS) &&
        (int64_t)e->observing.observers.count <
            e->params.value[COPAL_P_MAX_OBSERVERS])
        return true;
    cp_engine_limited(e, "observers");
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

bool cp_observer_add(struct cp_answer *a, const copal_msg *first)
{
    struct cp_engine *e = a->x.engine;
    const struct cp_address *remote = &a->wire->path.remote;
    uint64_t peer_hash =
        cp_map_hash(&e->observing.by_peer, remote, sizeof(*remote));
    struct cp_interest *i;
    struct cp_observer *o;

    if (!has_room(a, peer_hash))
        return false;
    i = cp_interest_get(e, a->handler, a->x.request);
    o = i == NULL ? NULL : cp_zalloc(e->mem, sizeof(*o));
    if (o == NULL) {
        if (i != NULL)
            cp_interest_free_idle(i);
        return false;
    }
    o->interest = i;
    o->link = a->link;
    o->of_group = a->wire->path.is_multicast;
    o->request = registration_of(a->wire);
    if (o->request == NULL || !cp_interest_charge(e, o->request, &o->charged)) {
        copal_msg_unref(o->request);
        cp_free(e->mem, o);
        cp_interest_free_idle(i);
        return false;
    }
    o->is_unproven = cp_fresh_doubts(e, a->link, remote);
    o->con_at = e->now;
    o->format = cp_observer_format_of(first);
    cp_flight_init(&o->flight, e, on_flight_over);
    cp_list_init(&o->place);
    cp_list_append(&i->observers, &o->place);
    cp_map_put(&e->observing.observers, &o->node,
               hash_of(e, remote, a->wire->token));
    cp_map_put(&e->observing.by_peer, &o->of_peer, peer_hash);
    return true;
}
