#include "engine/observe.h"
#include "engine/observe_core.h"
#include "engine/ask.h"
#include "engine/core.h"

enum {
    TICKS = 32,       /* numbers a millisecond */
    MOST_AHEAD = 4096 /* of the clock: bursts */
};

/* Strictly increasing for each observer, and never by more than 2^23 in 256 s:
 * the clock, or one more than before where states come faster than it ticks.
 * Beyond what bursts may take the number stays, which no observer sees: it
 * would have been told of 4096 states within 128 ms. A number belongs to a
 * state, so one that is sent again unchanged keeps it. RFC 7641 4.4. */
uint64_t cp_observe_number(const struct cp_engine *e, uint64_t before)
{
    uint64_t clock = e->now * TICKS, next = before + 1;

    if (next < clock)
        return clock;
    return next > clock + MOST_AHEAD ? before : next;
}

copal_msg *cp_observe_numbered(const copal_msg *m, uint64_t number)
{
    copal_msg *copy = cp_msg_derive(m);

    if (copy == NULL)
        return NULL;
    cp_msg_remove(copy, COPAL_OPT_OBSERVE);
    if (cp_msg_add_uint(copy, COPAL_OPT_OBSERVE, number & 0xffffff) != 0) {
        copal_msg_unref(copy);
        return NULL;
    }
    copy->frozen = true;
    return copy;
}

static int in(copal_exchange *x, copal_msg **m)
{
    if (x->is_ask)
        return cp_observe_ask_in(x, *m);
    if (cp_msg_has(*m, COPAL_OPT_OBSERVE))
        cp_observe_register_in(x, *m);
    return CP_PASS;
}

static int out(copal_exchange *x, copal_msg **m)
{
    if (!x->is_ask)
        return cp_answer_of(x)->registers || cp_answer_of(x)->deregisters
                   ? cp_observe_register_out(x, m)
                   : CP_PASS;
    if (cp_ask_of(x)->share.leader != NULL)
        return cp_observe_share_out(m);
    if (!cp_ask_of(x)->is_farewell)
        cp_ask_of(x)->wants_observe =
            cp_ask_of(x)->wants_observe ||
            cp_msg_uint_or(*m, COPAL_OPT_OBSERVE, UINT64_MAX) == 0;
    return CP_PASS;
}

const struct cp_stage cp_observe = {.name = "observe", .in = in, .out = out};

void cp_observing_init(struct cp_engine *e)
{
    struct cp_observing *all = &e->observing;
    struct cp_random random;

    cp_random_init(&random, 0); /* a key that no recording needs */
    cp_map_init(&all->homes, e->mem, &random);
    cp_cells_init(&all->cells, e->mem, sizeof(struct cp_observer));
    cp_index_init(&all->observers, &all->cells,
                  offsetof(struct cp_observer, node), &e->random);
    cp_map_init(&e->observing.interests, e->mem, &e->random);
    cp_map_init(&e->observing.topics, e->mem, &e->random);
    cp_list_init(&e->observing.unproven);
    cp_list_init(&e->observing.stale);
    cp_list_init(&e->observing.telling);
    cp_list_init(&e->observing.rested);
}

void cp_observing_clear(struct cp_engine *e)
{
    map_each (node, after, &e->observing.interests)
        cp_observe_told(cp_container_of(node, struct cp_interest, node));
    for (uint32_t i = 0; i < e->observing.observers.bucket_count; i++)
        for (uint32_t n; (n = cp_index_at(&e->observing.observers, i)) != 0;)
            cp_observer_free(cp_cells_at(&e->observing.cells, n));
    cp_index_clear(&e->observing.observers);
    cp_cells_clear(&e->observing.cells);
    cp_map_clear(&e->observing.homes);
    cp_map_clear(&e->observing.interests);
    cp_map_clear(&e->observing.topics);
}
