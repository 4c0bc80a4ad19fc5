/* Handlers asked and observers told in portions, a turn each, so that a
 * resource with very many of them keeps nobody waiting, and what comes back is
 * read between what goes out. */
#include "engine/observe_core.h"
#include "base/fetch.h"
#include "engine/core.h"
#include "engine/record.h"

enum {
    PER_TURN = 128,      /* handlers asked and datagrams sent in a turn */
    IN_A_ROW = 32,       /* for one interest, then it is another's turn */
    MOST_AWAITED = 4096, /* acknowledgements: a receive buffer holds as many */
    PERIOD_MS = 500,     /* for which one is waited for before others go */
    MANY = 2048          /* observers: of fewer a cache has all */
};

/* ---- What is to be acknowledged ---- */

/* Were all told at once, most of what they say to it would find the buffer full,
 * and all of it would be sent again. Who is silent for longer than a period
 * holds up nobody: he is sent it again in time, among the others. */
static void count_on(struct cp_observing *all, uint64_t now)
{
    uint64_t period = now / PERIOD_MS + 1;

    if (period == all->period)
        return;
    all->awaited[period & 1] = 0;
    if (period != all->period + 1)
        all->awaited[(period - 1) & 1] = 0;
    all->period = period;
}

static bool awaits_many(const struct cp_observing *all)
{
    return all->awaited[0] + all->awaited[1] >= MOST_AWAITED;
}

void cp_observe_round_sent(struct cp_engine *e, struct cp_delivery *d)
{
    struct cp_observing *all = &e->observing;

    count_on(all, e->now);
    all->awaited[all->period & 1]++;
    d->period = all->period;
}

void cp_observe_round_heard(struct cp_engine *e, struct cp_delivery *d)
{
    struct cp_observing *all = &e->observing;
    uint64_t since = d->period;

    if (since == 0)
        return;
    d->period = 0;
    all->heard++;
    count_on(all, e->now);
    if (all->period - since < 2)
        all->awaited[since & 1]--;
}

static bool spend(struct cp_observing *o)
{
    if (o->budget == 0)
        return false;
    o->budget--;
    return true;
}

/* ---- Telling ---- */

/* Nothing can be sent there now, and so to nobody. */
static bool is_blocked(struct cp_observing *all, struct cp_observer *o)
{
    struct cp_engine *e = o->interest->engine;
    struct cp_link *link = cp_observer_link(o);

    if (link->connection != NULL || !cp_record_is_blocked(e, link))
        return false;
    all->resume_at = e->now + 1;
    return true;
}

/* A delivery leads to its peer, and that to what is known of its round trips, so
 * each of these is asked for one earlier than the next. */
void cp_observe_round_fetch(const struct cp_observer *o)
{
    const struct cp_observing *all = &o->interest->engine->observing;
    const struct cp_delivery *ahead[3] = {NULL, NULL, NULL};

    if (all->observers.count < MANY)
        return;
    for (unsigned k = 0; k < 3 && o->place.next != 0; k++) {
        o = cp_cells_place(&all->cells, sizeof(*o), o->place.next);
        ahead[k] = o->delivery;
    }
    if (ahead[2] != NULL)
        cp_fetch_all(ahead[2], sizeof(*ahead[2]));
    if (ahead[1] != NULL && ahead[1]->flight.peer != NULL)
        cp_fetch_all(ahead[1]->flight.peer, sizeof(struct cp_peer));
    if (ahead[0] != NULL && ahead[0]->flight.peer != NULL &&
        ahead[0]->flight.peer->rate != NULL)
        cp_fetch(&ahead[0]->flight.peer->rate->rto);
}

/* The interest stays, whoever comes and goes meanwhile: it has a telling. */
static void tell_some(struct cp_interest *i)
{
    struct cp_observing *all = &i->engine->observing;

    for (unsigned n = 0;
         n < IN_A_ROW && !cp_interest_is_told(i) && !awaits_many(all); n++) {
        struct cp_observer *o = cp_cells_at(&all->cells, i->observers.first);

        if (is_blocked(all, o) || !spend(all))
            return;
        cp_observe_round_fetch(o);
        cp_observe_tell(cp_interest_next(i));
    }
}

static void tell(struct cp_engine *e)
{
    struct cp_observing *all = &e->observing;

    count_on(all, e->now);
    while (all->budget > 0 && all->resume_at == 0 && !awaits_many(all) &&
           !cp_list_empty(&all->telling)) {
        struct cp_interest *i = cp_container_of(cp_list_first(&all->telling),
                                                struct cp_interest, work);

        cp_list_remove(&i->work);
        tell_some(i);
        if (cp_interest_is_told(i))
            cp_observe_told(i);
        else
            cp_list_append(&all->telling, &i->work);
    }
}

/* Who has not heard of the state before this one comes first. */
void cp_observe_round_tell(struct cp_interest *i)
{
    cp_interest_untold(i);
    if (cp_list_empty(&i->work))
        cp_list_append(&i->engine->observing.telling, &i->work);
    tell(i->engine);
}

/* ---- Going on ---- */

/* Where a state comes sooner than a round trip after the one before, as many wait
 * as there are observers, and all until the same time. */
void cp_observe_round_rested(struct cp_engine *e, struct cp_delivery *d)
{
    if (cp_list_empty(&d->rested))
        cp_list_append(&e->observing.rested, &d->rested);
}

static void go_on(struct cp_engine *e)
{
    struct cp_observing *all = &e->observing;

    if (cp_list_empty(&all->rested))
        return;
    count_on(all, e->now);
    while (all->resume_at == 0 && !awaits_many(all) &&
           !cp_list_empty(&all->rested)) {
        struct cp_delivery *d = cp_container_of(cp_list_first(&all->rested),
                                                struct cp_delivery, rested);

        if (is_blocked(all, d->observer) || !spend(all))
            return;
        cp_list_remove(&d->rested);
        cp_observer_go_on(d->observer);
    }
}

/* ---- Asking ---- */

static void ask(struct cp_engine *e)
{
    struct cp_observing *all = &e->observing;

    while (!cp_list_empty(&all->stale) && spend(all)) {
        struct cp_topic *t =
            cp_container_of(cp_list_first(&all->stale), struct cp_topic, work);
        struct cp_interest *i = cp_container_of(cp_list_first(&t->stale),
                                                struct cp_interest, place);

        cp_list_remove(&i->place);
        cp_list_append(&t->interests, &i->place);
        cp_list_remove(&t->work);
        if (!cp_list_empty(&t->stale))
            cp_list_append(&all->stale, &t->work);
        cp_observe_ask(i);
    }
}

void cp_observe_round_ask(struct cp_engine *e, struct cp_topic *t)
{
    cp_list_join(&t->stale, &t->interests);
    if (!cp_list_empty(&t->stale) && cp_list_empty(&t->work))
        cp_list_append(&e->observing.stale, &t->work);
    ask(e);
}

/* ---- Turns ---- */

/* Less goes out than came in where much came in: what waits to be read becomes
 * less. */
static unsigned half_of_turn(const struct cp_observing *all)
{
    return all->heard > IN_A_ROW && all->heard < PER_TURN ? all->heard / 3
                                                          : PER_TURN / 2;
}

void cp_observe_turn(struct cp_engine *e)
{
    struct cp_observing *all = &e->observing;
    unsigned half = half_of_turn(all);

    all->heard = 0;
    all->resume_at = 0;
    all->budget = half; /* a round of many keeps no other waiting */
    ask(e);
    go_on(e);
    all->budget += half;
    tell(e);
    go_on(e);
    ask(e);
}

uint64_t cp_observe_deadline(const struct cp_engine *e)
{
    const struct cp_observing *all = &e->observing;

    if (!cp_list_empty(&all->stale))
        return e->now;
    if (cp_list_empty(&all->telling) && cp_list_empty(&all->rested))
        return UINT64_MAX;
    if (awaits_many(all))
        return all->period * PERIOD_MS; /* if not heard of before */
    return all->resume_at > e->now ? all->resume_at : e->now;
}
