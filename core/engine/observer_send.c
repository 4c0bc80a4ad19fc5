/* One observer's notifications on their way. RFC 7641 4.5. */
#include "engine/observe_core.h"
#include "engine/record.h"
#include "engine/fresh_guard.h"
#include "engine/transfer.h"
#include "engine/wait.h"

enum {
    CON_EVERY = 20,       /* one notification in so many is confirmable */
    LEAST_QUIET = 3000,   /* ms */
    MOST_QUIET = 30000,   /* ms */
    STANDARD_MAX_AGE = 60 /* s: RFC 7252 5.10.5 */
};

static uint64_t max_age_of(const copal_msg *m)
{
    return cp_msg_uint_or(m, COPAL_OPT_MAX_AGE, STANDARD_MAX_AGE);
}

/* What may still be sent before it shows to be there, of what is yet to be
 * sealed. */
static uint32_t room_of(const struct cp_observer *o)
{
    const struct cp_delivery *d = o->delivery;
    uint32_t room = d->flight.state == CP_IDLE ? d->room : d->flight.allowance;
    uint32_t more = cp_observer_guard(o) == NULL ? 0 : CP_GUARD_MORE;

    return room < more ? 0 : room - more;
}

/* m, which is let go of, as it is on the wire; NULL stays. NULL: it cannot be
 * sealed. */
static copal_msg *sealed(struct cp_observer *o, copal_msg *m)
{
    copal_msg *out = NULL;

    if (m == NULL || cp_observer_guard(o) == NULL)
        return m;
    if (cp_guard_answer(o->interest->engine, o->request, m, &out) != 0)
        out = NULL;
    copal_msg_unref(m);
    return out;
}

uint16_t cp_observer_block_size(struct cp_observer *o, const copal_msg *whole)
{
    struct cp_engine *e = o->interest->engine;
    uint16_t size = o->keeps_all ? cp_block_answer_size(e, o->request)
                                 : cp_block_answer_own_size(e);
    uint16_t most = size;

    if (cp_observer_is_unproven(o))
        most = cp_fresh_notification_block(whole, cp_observer_token(o),
                                           room_of(o));
    return most < size ? most : size;
}

/* An error is told by its code alone where its words are too many. */
static copal_msg *fitting(struct cp_observer *o, const copal_msg *m)
{
    copal_msg *bare;

    if (!cp_observer_is_unproven(o) ||
        cp_datagram_size(m, cp_observer_token(o)) <= room_of(o))
        return copal_msg_ref(m);
    bare = cp_observer_is_last(m) ? cp_msg_new(m->mem, m->code, 0) : NULL;
    if (bare != NULL)
        bare->frozen = true;
    return bare;
}

static bool is_set_of_blocks(const copal_msg *m)
{
    return cp_msg_has(m, COPAL_OPT_Q_BLOCK2);
}

/* A body by Q-Block2 goes as it was asked for where the handler leaves that
 * open: sets are there for messages that are not confirmed. RFC 9177 3. */
static bool is_confirmed(const struct cp_observer *o, const copal_msg *m)
{
    return (m->flags & COPAL_NON) == 0 &&
           (!is_set_of_blocks(m) || cp_observer_form(o)->type == CP_CON);
}

static bool must_confirm(const struct cp_observer *o, const copal_msg *m)
{
    return is_confirmed(o, m) || cp_observer_is_last(m) || o->is_unproven ||
           o->since_con + 1 >= CON_EVERY;
}

/* One that comes sooner after the one before than a path of unknown length
 * allows is confirmable: so its length will be known. */
static bool must_measure(const struct cp_observer *o)
{
    return cp_wait_round_trip(&o->delivery->flight) == 0;
}

static void take_next(struct cp_observer *o)
{
    struct cp_delivery *d = o->delivery;

    copal_msg_unref(d->state);
    d->state = d->next;
    d->state_at = d->next_at;
    d->next = NULL;
    o->is_quiet = false;
    o->ends = cp_observer_is_last(d->state); /* which is always confirmable */
}

static void count(struct cp_observer *o, bool is_con)
{
    o->since_con = is_con ? 0 : (o->since_con + 1u) & 0x1f;
}

static copal_msg *with_max_age(const copal_msg *m, uint64_t max_age)
{
    copal_msg *copy = cp_msg_derive(m);

    if (copy == NULL)
        return NULL;
    cp_msg_remove(copy, COPAL_OPT_MAX_AGE);
    if (cp_msg_add_uint(copy, COPAL_OPT_MAX_AGE, max_age) != 0) {
        copal_msg_unref(copy);
        return NULL;
    }
    copy->frozen = true;
    return copy;
}

/* As it is to leave now: Max-Age counts from when the state was given, RFC 7252
 * 5.10.5. NULL: out of memory, or too long for where nobody may be. */
static copal_msg *as_of_now(struct cp_observer *o, const copal_msg *m,
                            uint64_t at)
{
    uint64_t age = (o->interest->engine->now - at) / 1000;
    uint64_t max_age = max_age_of(m);
    copal_msg *copy;

    if (age == 0)
        return fitting(o, m);
    copy = with_max_age(m, max_age > age ? max_age - age : 0);
    if (copy == NULL || !cp_observer_is_unproven(o) ||
        cp_datagram_size(copy, cp_observer_token(o)) <= room_of(o))
        return copy;
    copal_msg_unref(copy);
    return fitting(o, m);
}

/* A non-confirmable one may be lost, and with it the state for ever if no other
 * follows: it is repeated in a confirmable message once nothing newer came for
 * half of its Max-Age. With that one more often than once a day is confirmable.
 * RFC 7641 4.5. */
static uint32_t quiet_of(const copal_msg *m)
{
    uint64_t quiet = max_age_of(m) * 500;

    return quiet < LEAST_QUIET  ? LEAST_QUIET
           : quiet > MOST_QUIET ? MOST_QUIET
                                : (uint32_t)quiet;
}

/* It could miss a state for ever where one cannot be sent: then it is no
 * observer any more. */
static void send_next(struct cp_observer *o, bool confirms)
{
    struct cp_engine *e = o->interest->engine;
    struct cp_delivery *d = o->delivery;
    struct cp_flight_plan plan =
        cp_flight_plan_for(e, d->next, cp_observer_uri(o));
    copal_msg *m = sealed(o, as_of_now(o, d->next, d->next_at));
    struct cp_path path;

    plan.code = d->next->code;
    plan.link = cp_observer_link(o);
    if (d->flight.peer == NULL) {
        path = cp_observer_path(o);
        plan.path = &path;
    }
    plan.token = cp_observer_token(o);
    plan.is_con = confirms || must_confirm(o, d->next);
    plan.is_limited = cp_observer_is_unproven(o);
    plan.allowance = d->room;
    plan.is_part = is_set_of_blocks(d->next);
    plan.measures |= (d->next->flags & COPAL_NON) != 0;
    plan.quiet = plan.is_con ? 0 : quiet_of(d->next);
    take_next(o);
    if (m == NULL || cp_flight_start(&d->flight, &plan, m) != 0) {
        copal_msg_unref(m);
        cp_observer_free(o);
        return;
    }
    copal_msg_unref(m);
    count(o, plan.is_con);
    if (d->flight.state == CP_OPEN)
        cp_observe_round_sent(e, d);
    if (plan.is_part)
        cp_qblock_notify_rest(e, plan.link, cp_observer_request(o), d->state,
                              plan.is_con);
}

/* What left by a connection arrives, so nothing of it is kept; and nothing is
 * confirmed: RFC 8323 7.1. */
static void send_by_connection(struct cp_observer *o)
{
    struct cp_link *link = cp_observer_link(o);
    struct cp_delivery *d = o->delivery;
    copal_msg *m;
    int err = COPAL_ENOMEM;

    if (d == NULL || d->next == NULL ||
        cp_record_is_blocked(link->engine, link))
        return; /* of those that come meanwhile the newest waits */
    m = sealed(o, as_of_now(o, d->next, d->next_at));
    take_next(o);
    if (m != NULL)
        err = cp_connection_send(link, m, cp_observer_token(o));
    copal_msg_unref(m);
    copal_msg_unref(d->state);
    d->state = NULL;
    if (err != 0 || o->ends)
        cp_observer_free(o);
    else
        cp_observer_settle(o);
}

void cp_observer_drained(struct cp_observer *o)
{
    send_by_connection(o);
}

/* One notification is under way to an observer, which of a non-confirmable one
 * is so for a round trip; of those that come meanwhile the newest waits. RFC
 * 7641 4.5.1, 4.5.2. */
void cp_observer_send(struct cp_observer *o, copal_msg *m)
{
    struct cp_delivery *d = cp_observer_delivery(o);

    if (d == NULL) {
        cp_observer_free(o);
        return;
    }
    if (o->ends || (d->next != NULL && cp_observer_is_last(d->next)))
        return;
    copal_msg_unref(d->next);
    d->next = copal_msg_ref(m);
    d->next_at = o->interest->engine->now;
    if (cp_observer_link(o)->connection != NULL)
        send_by_connection(o);
    else if (!cp_list_empty(&d->rested))
        return;
    else if (cp_flight_is_rested(&d->flight))
        send_next(o, false);
    else
        cp_flight_hurry(&d->flight);
}

void cp_observer_tell(struct cp_observer *o, copal_msg *m)
{
    if (!o->of_group || o->ends || !cp_observe_late(o, m))
        cp_observer_send(o, m);
}

/* Sets of blocks have their own ways, and what is left of one on the way. */
static bool may_change(const struct cp_delivery *d)
{
    return !is_set_of_blocks(d->state) &&
           (d->next == NULL || !is_set_of_blocks(d->next));
}

/* What leaves late, or again, is the newest state, and as old as it is. RFC
 * 7641 4.5.2: transmissions and waits go on as they were. */
static void on_leaving(struct cp_flight *f)
{
    struct cp_delivery *d = cp_container_of(f, struct cp_delivery, flight);
    struct cp_observer *o = d->observer;
    bool changes = may_change(d), was_con = f->is_con;
    bool is_new = d->next != NULL && changes;
    copal_msg *state = is_new ? d->next : d->state;
    copal_msg *m;

    if (f->is_limited && !cp_observer_is_unproven(o))
        f->is_limited = false;
    m = sealed(o, changes
                      ? as_of_now(o, state, is_new ? d->next_at : d->state_at)
                      : copal_msg_ref(state));
    if (f->sent == 0 && changes)
        f->is_con = must_confirm(o, state) || must_measure(o);
    if (m == NULL || cp_flight_renew(f, m, cp_observer_token(o), is_new) != 0)
        f->is_con = was_con;
    else if (is_new)
        take_next(o);
    f->quiet = d->next != NULL ? 0 : quiet_of(d->state);
    if (f->is_con && !was_con)
        count(o, true);
    if (f->is_con && f->sent == 0)
        cp_observe_round_sent(o->interest->engine, d);
    copal_msg_unref(m);
}

static void on_rested(struct cp_flight *f, bool is_over)
{
    struct cp_delivery *d = cp_container_of(f, struct cp_delivery, flight);
    struct cp_observer *o = d->observer;

    if (d->next == NULL && !is_over)
        return;
    if (d->next == NULL) {
        o->is_quiet = true;
        d->next = copal_msg_ref(d->state);
        d->next_at = d->state_at;
    }
    cp_observe_round_rested(o->interest->engine, d);
}

void cp_observer_go_on(struct cp_observer *o)
{
    send_next(o, o->is_quiet || must_measure(o));
}

const struct cp_flight_notes cp_observer_notes = {
    .leaving = on_leaving,
    .rested = on_rested,
};

void cp_observer_flight_over(struct cp_flight *f, int status)
{
    struct cp_delivery *d = cp_container_of(f, struct cp_delivery, flight);
    struct cp_observer *o = d->observer;

    cp_observe_round_fetch(o);
    cp_observe_round_heard(o->interest->engine, d);
    if (status != 0 || o->ends) { /* rejected, gone, or told: RFC 7641 4.5 */
        cp_observer_free(o);
        return;
    }
    d->room = CP_FRESH_FREE; /* somebody answers there, or guessed an id */
    copal_msg_unref(d->state);
    d->state = NULL;
    if (d->next != NULL)
        send_next(o, false);
    else
        cp_observer_settle(o);
}
