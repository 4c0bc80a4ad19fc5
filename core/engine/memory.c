#include "engine/memory.h"
#include "engine/answer_core.h"
#include "engine/block_kept.h"
#include "engine/block_partial.h"
#include "engine/core.h"
#include "engine/observe_core.h"
#include "engine/record.h"

enum {
    RESERVE = 8,    /* one part of so many is kept back */
    AT_A_TIME = 64, /* so that no datagram pays for all */
    PERIOD_MS = 1000
};

static bool give_way(struct cp_engine *e)
{
    return cp_dedup_free_one(&e->dedup) || cp_block_kept_free_one(e) ||
           cp_block_partial_free_one(e, "max_memory") ||
           cp_answer_place_free_one(e, "max_memory") ||
           cp_observer_free_one(e, "max_memory");
}

/* Who gave way is told in this turn, and is gone with it. */
static uint64_t used(const struct cp_engine *e)
{
    uint64_t all = cp_mem_used(e->mem);
    uint64_t leaving = e->places.leaving * sizeof(struct cp_answer);

    return all > leaving ? all - leaving : 0;
}

bool cp_memory_has_room(struct cp_engine *e, bool goes_on)
{
    uint64_t most = (uint64_t)e->params.value[COPAL_P_MAX_MEMORY];
    uint64_t reserve = most / (goes_on ? 2 * RESERVE : RESERVE);

    for (int i = 0; i < AT_A_TIME; i++)
        if (used(e) <= most - reserve || !give_way(e))
            break;
    if (used(e) <= most - reserve)
        return true;
    cp_engine_limited(e, "max_memory");
    e->shortage.is_new = true;
    return false;
}

void cp_memory_tell_shortage(struct cp_engine *e)
{
    struct cp_shortage *s = &e->shortage;

    s->is_new = false;
    if (s->tell == NULL || (s->told != 0 && e->now - s->told < PERIOD_MS))
        return;
    s->told = e->now;
    e->whose = CP_WHOSE_USER;
    s->tell(s->user);
    e->whose = CP_WHOSE_ENGINE;
}
