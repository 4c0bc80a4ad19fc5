/* Handlers asked and observers told in portions, a turn each, so that a
 * resource with very many of them keeps nobody waiting, and what comes back is
 * read between what goes out. */
#include "engine/observe_core.h"
#include "engine/core.h"
#include "engine/record.h"

enum {
    PER_TURN = 128, /* handlers asked and datagrams sent in a turn */
    IN_A_ROW = 32   /* for one interest, then it is another's turn */
};

static bool spend(struct cp_observing *o)
{
    if (o->budget == 0)
        return false;
    o->budget--;
    return true;
}

/* ---- Telling ---- */

/* The interest stays, whoever comes and goes meanwhile: it has a telling. */
static void tell_some(struct cp_interest *i)
{
    struct cp_observing *all = &i->engine->observing;

    for (unsigned n = 0; n < IN_A_ROW && !cp_interest_is_told(i); n++) {
        struct cp_observer *o = cp_cells_at(&all->cells, i->observers.first);
        struct cp_link *link = cp_observer_link(o);

        if (link->connection == NULL && cp_record_is_blocked(i->engine, link)) {
            all->resume_at = i->engine->now + 1;
            return;
        }
        if (!spend(all))
            return;
        cp_observe_tell(cp_interest_next(i));
    }
}

static void tell(struct cp_engine *e)
{
    struct cp_observing *all = &e->observing;

    while (all->budget > 0 && all->resume_at == 0 &&
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

void cp_observe_turn(struct cp_engine *e)
{
    struct cp_observing *all = &e->observing;

    all->resume_at = 0;
    all->budget = PER_TURN / 2; /* a round of many keeps no other waiting */
    ask(e);
    all->budget += PER_TURN / 2;
    tell(e);
    ask(e);
}

uint64_t cp_observe_deadline(const struct cp_engine *e)
{
    const struct cp_observing *all = &e->observing;

    if (!cp_list_empty(&all->stale))
        return e->now;
    if (!cp_list_empty(&all->telling))
        return all->resume_at > e->now ? all->resume_at : e->now;
    return UINT64_MAX;
}
