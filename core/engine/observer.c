#include "engine/observe_core.h"
#include "engine/core.h"
#include "engine/fresh_guard.h"
#include "engine/record.h"
#include "engine/transfer.h"

_Static_assert(sizeof(struct cp_observer) == 72, "see there");

static struct cp_observer *observer_at(const struct cp_engine *e, uint32_t n)
{
    return cp_cells_place(&e->observing.cells, sizeof(struct cp_observer), n);
}

static uint64_t hash_of(struct cp_engine *e, const struct cp_address *remote)
{
    struct cp_sip s = cp_index_sip(&e->observing.observers);

    cp_address_hash(&s, remote);
    return cp_sip_end(s);
}

/* n, or the next after it, that is from remote. 0: there is none. */
static uint32_t next_from(struct cp_engine *e, uint32_t n,
                          const struct cp_address *remote)
{
    while (n != 0 && !cp_observer_is_from(observer_at(e, n), remote))
        n = cp_index_next(&e->observing.observers, n);
    return n;
}

static uint32_t first_from(struct cp_engine *e, const struct cp_address *remote)
{
    return next_from(
        e, cp_index_first(&e->observing.observers, hash_of(e, remote)), remote);
}

static uint32_t another_from(struct cp_engine *e, uint32_t n,
                             const struct cp_address *remote)
{
    return next_from(e, cp_index_next(&e->observing.observers, n), remote);
}

struct cp_observer *cp_observer_find(struct cp_engine *e, struct cp_link *link,
                                     const copal_msg *request)
{
    const struct cp_address *remote = &request->path.remote;

    for (uint32_t n = first_from(e, remote); n != 0;
         n = another_from(e, n, remote)) {
        struct cp_observer *o = observer_at(e, n);

        if (o->home->link == link &&
            cp_guard_same(cp_observer_guard(o), request->guard) &&
            cp_bytes_equal(cp_observer_token(o), request->token))
            return o;
    }
    return NULL;
}

struct cp_flight *cp_observe_flight(struct cp_engine *e, struct cp_link *link,
                                    const struct cp_address *remote,
                                    uint16_t mid)
{
    if (e->observing.observers.count == 0)
        return NULL;
    for (uint32_t n = first_from(e, remote); n != 0;
         n = another_from(e, n, remote)) {
        const struct cp_observer *o = observer_at(e, n);
        struct cp_delivery *d = o->delivery;

        if (d != NULL && d->flight.mid == mid && o->home->link == link &&
            d->flight.state != CP_IDLE && !d->flight.is_con)
            return &d->flight;
    }
    return NULL;
}

/* ---- What is on its way to it ---- */

struct cp_delivery *cp_observer_delivery(struct cp_observer *o)
{
    struct cp_engine *e = o->interest->engine;
    struct cp_delivery *d = o->delivery;

    if (d != NULL)
        return d;
    d = cp_zalloc(e->mem, sizeof(*d));
    if (d == NULL)
        return NULL;
    d->observer = o;
    cp_list_init(&d->unproven);
    cp_list_init(&d->rested);
    cp_flight_init(&d->flight, e, cp_observer_flight_over);
    d->flight.notes = &cp_observer_notes;
    o->delivery = d;
    return d;
}

void cp_observer_settle(struct cp_observer *o)
{
    struct cp_delivery *d = o->delivery;

    if (d == NULL || o->is_unproven || d->flight.state != CP_IDLE ||
        d->state != NULL || d->next != NULL || d->late != NULL)
        return;
    o->delivery = NULL;
    cp_free(o->interest->engine->mem, d);
}

static void delivery_free(struct cp_observer *o)
{
    struct cp_delivery *d = o->delivery;

    if (d == NULL)
        return;
    cp_observe_round_heard(o->interest->engine, d);
    cp_list_remove(&d->rested);
    cp_flight_stop(&d->flight);
    cp_observe_late_stop(o);
    copal_msg_unref(d->state);
    copal_msg_unref(d->next);
    cp_free(o->interest->engine->mem, d);
    o->delivery = NULL;
}

/* ---- Those at whose address nobody may be ---- */

static void no_longer_unproven(struct cp_observer *o)
{
    if (!o->is_unproven)
        return;
    o->is_unproven = false;
    cp_list_remove(&o->delivery->unproven);
    o->interest->engine->observing.unproven_count--;
}

bool cp_observer_is_unproven(struct cp_observer *o)
{
    struct cp_address remote;

    if (!o->is_unproven)
        return false;
    remote = cp_observer_remote(o);
    if (!cp_fresh_doubts(o->interest->engine, o->home->link, &remote))
        no_longer_unproven(o);
    return o->is_unproven;
}

bool cp_observer_free_one(struct cp_engine *e, const char *limit)
{
    struct cp_list *first;

    while ((first = cp_list_first(&e->observing.unproven)) != NULL) {
        struct cp_observer *o =
            cp_container_of(first, struct cp_delivery, unproven)->observer;

        if (cp_observer_is_unproven(o)) {
            cp_engine_limited(e, limit);
            cp_observer_free(o);
            return true;
        }
    }
    return false;
}

/* False: out of memory. */
static bool note_unproven(struct cp_engine *e, struct cp_observer *o,
                          const struct cp_address *remote)
{
    if (!cp_fresh_doubts(e, o->home->link, remote))
        return true;
    if (cp_observer_delivery(o) == NULL)
        return false;
    o->is_unproven = true;
    cp_list_append(&e->observing.unproven, &o->delivery->unproven);
    e->observing.unproven_count++;
    return true;
}

/* ---- All ---- */

/* What it has; it is in no list. */
static void let_go(struct cp_engine *e, struct cp_observer *o, uint32_t n)
{
    struct cp_interest *i = o->interest;

    delivery_free(o);
    if (o->keeps_all) {
        cp_interest_discharge(e, o->request);
        copal_msg_unref(o->request);
    }
    cp_home_put(e, o->home);
    cp_cells_give_back(&e->observing.cells, n);
    cp_interest_free_idle(i);
}

void cp_observer_free(struct cp_observer *o)
{
    struct cp_interest *i = o->interest;
    struct cp_engine *e = i->engine;
    uint32_t n = cp_interest_remove(i, o);

    no_longer_unproven(o);
    cp_index_remove(&e->observing.observers, n);
    let_go(e, o, n);
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

/* Before anything of the new one is there: those that give way may have been
 * the last of the interest that it joins. */
static void make_room_for_unproven(struct cp_answer *a)
{
    struct cp_engine *e = a->x.engine;
    size_t most = (size_t)e->params.value[COPAL_P_MAX_UNPROVEN];

    if (!cp_fresh_doubts(e, a->link, &a->wire->path.remote))
        return;
    while (e->observing.unproven_count >= most &&
           cp_observer_free_one(e, "max_unproven"))
        ;
}

static bool has_room(struct cp_answer *a)
{
    struct cp_engine *e = a->x.engine;
    const struct cp_address *remote = &a->wire->path.remote;
    int64_t count = 0;

    for (uint32_t n = first_from(e, remote); n != 0;
         n = another_from(e, n, remote))
        count++;
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

static struct cp_home *home_of(struct cp_answer *a)
{
    struct cp_path path = a->wire->path;

    if (path.is_multicast)
        path.local = (struct cp_address){0};
    return cp_home_get(a->x.engine, a->link, &path);
}

/* Of i, in no list; with what it registered with. 0: out of memory. */
static uint32_t observer_new(struct cp_answer *a, struct cp_interest *i)
{
    struct cp_engine *e = a->x.engine;
    uint32_t n = cp_cells_take(&e->observing.cells);
    struct cp_observer *o;

    if (n == 0) {
        cp_interest_free_idle(i);
        return 0;
    }
    o = observer_at(e, n);
    memset(o, 0, sizeof(*o));
    o->interest = i;
    o->of_group = a->wire->path.is_multicast != 0;
    o->home = home_of(a);
    if (o->home != NULL && cp_observer_note(o, a->wire) &&
        note_unproven(e, o, &a->wire->path.remote))
        return n;
    let_go(e, o, n);
    return 0;
}

struct cp_observer *cp_observer_add(struct cp_answer *a, const copal_msg *first)
{
    struct cp_engine *e = a->x.engine;
    struct cp_interest *i;
    struct cp_observer *o;
    uint32_t n;

    if (!has_room(a))
        return NULL;
    make_room_for_unproven(a);
    i = cp_interest_get(e, a->handler, a->x.request);
    n = i == NULL ? 0 : observer_new(a, i);
    if (n == 0)
        return NULL;
    o = observer_at(e, n);
    cp_fresh_begin_observer(a, o);
    o->format = cp_observer_format_of(first) & 0x1ffff;
    cp_interest_add(i, o, n);
    cp_index_put(&e->observing.observers, n, hash_of(e, &a->wire->path.remote));
    return o;
}

/* ---- By a connection ---- */

/* n, or the next after it, that came by link, too. */
static uint32_t next_by(struct cp_engine *e, uint32_t n,
                        const struct cp_link *link,
                        const struct cp_address *remote)
{
    while (n != 0 && observer_at(e, n)->home->link != link)
        n = another_from(e, n, remote);
    return n;
}

static uint32_t first_by(struct cp_engine *e, const struct cp_link *link,
                         const struct cp_address *remote)
{
    return next_by(e, first_from(e, remote), link, remote);
}

bool cp_observer_of_link(struct cp_engine *e, const struct cp_link *link,
                         const struct cp_address *remote)
{
    return first_by(e, link, remote) != 0;
}

void cp_observer_link_gone(struct cp_engine *e, const struct cp_link *link,
                           const struct cp_address *remote)
{
    uint32_t n;

    while ((n = first_by(e, link, remote)) != 0)
        cp_observer_free(observer_at(e, n));
}

void cp_engine_drained(struct cp_engine *e, struct cp_link *link)
{
    const struct cp_address *remote;
    uint32_t n, after;

    if (link->connection == NULL)
        return;
    cp_record_stream(e, CP_RECORD_DRAINED, 0, 0, link, &link->connection->path,
                     (copal_bytes){0});
    remote = &link->connection->path.remote;
    for (n = first_by(e, link, remote); n != 0; n = after) {
        after = next_by(e, another_from(e, n, remote), link, remote);
        cp_observer_drained(observer_at(e, n));
    }
}
