/* Answers to a group's requests: each waits a random part of LEISURE, or all
 * members would answer at once, and only so many are given a second. RFC 7252
 * 8.2, 11.3. */
#include "engine/answer_core.h"
#include "engine/core.h"
#include "engine/fresh_guard.h"
#include "engine/trace.h"

/* ---- How many ---- */

/* A bucket is when the group's next answer would be due were they evenly
 * spread, in us; up to a second ahead of that is a burst that is allowed. */
static bool takes_its_share(struct cp_engine *e, const struct cp_address *group)
{
    uint64_t rate = (uint64_t)e->params.value[COPAL_P_GROUP_RATE];
    uint64_t hash = cp_map_hash(&e->peers, group, sizeof(*group));
    uint64_t *next = &e->group_next[hash % CP_GROUP_COUNTERS];
    uint64_t now = e->now * 1000;

    if (rate == 0)
        return true;
    if (*next < now)
        *next = now;
    if (*next + 1000000 / rate > now + 1000000)
        return false;
    *next += 1000000 / rate;
    return true;
}

/* ---- When ---- */

static void on_leisure_over(struct cp_timer *t)
{
    struct cp_answer *a = cp_container_of(t, struct cp_answer, separate);
    struct cp_engine *e = a->x.engine;
    copal_msg *m = a->late;
    int err;

    a->late = NULL;
    err = cp_answer_send_guarded(a, m);
    if (err == CP_FRESH_TOO_LONG)
        cp_trace_state(e, "answer_lost", "too long for who is not proven");
    else if (err != 0)
        cp_trace_state(e, "answer_lost", copal_errname(err));
    copal_msg_unref(m);
    cp_answer_sent(a);
}

int cp_answer_late(struct cp_answer *a, copal_msg *m)
{
    struct cp_engine *e = a->x.engine;
    uint64_t leisure = (uint64_t)cp_exchange_param(&a->x, COPAL_P_LEISURE);

    if (!takes_its_share(e, &a->wire->path.local)) {
        cp_engine_limited(e, "group_rate");
        cp_answer_sent(a);
        return 0;
    }
    a->late = copal_msg_ref(m);
    m->frozen = true;
    cp_timer_start(&e->timers, &a->separate,
                   e->now + cp_random_below(&e->random, leisure + 1),
                   on_leisure_over);
    return 0;
}
