/* Notifications to who registered by a group: like a group's answers each waits
 * a random part of LEISURE, and of those that come meanwhile the newest is
 * sent. RFC 7252 8.2. */
#include "engine/observe_core.h"
#include "engine/core.h"

struct cp_late {
    struct cp_timer timer;
    struct cp_observer *observer;
    copal_msg *m;
};

void cp_observe_late_stop(struct cp_observer *o)
{
    struct cp_late *late = o->delivery == NULL ? NULL : o->delivery->late;
    struct cp_engine *e = o->interest->engine;

    if (late == NULL)
        return;
    o->delivery->late = NULL;
    cp_timer_stop(&e->timers, &late->timer);
    copal_msg_unref(late->m);
    cp_free(e->mem, late);
}

static void on_leisure_over(struct cp_timer *t)
{
    struct cp_late *late = cp_container_of(t, struct cp_late, timer);
    struct cp_observer *o = late->observer;
    copal_msg *m = copal_msg_ref(late->m);

    cp_observe_late_stop(o);
    cp_observer_send(o, m);
    copal_msg_unref(m);
}

bool cp_observe_late(struct cp_observer *o, copal_msg *m)
{
    struct cp_engine *e = o->interest->engine;
    uint64_t leisure = (uint64_t)cp_params_get(
        &e->params, NULL, cp_observer_uri(o), COPAL_P_LEISURE);
    struct cp_delivery *d = cp_observer_delivery(o);
    struct cp_late *late;

    if (d == NULL)
        return false;
    late = d->late;
    if (late == NULL) {
        late = cp_zalloc(e->mem, sizeof(*late));
        if (late == NULL)
            return false;
        late->observer = o;
        d->late = late;
        cp_timer_start(&e->timers, &late->timer,
                       e->now + cp_random_below(&e->random, leisure + 1),
                       on_leisure_over);
    }
    if (late->m == NULL || !cp_observer_is_last(late->m)) {
        copal_msg_unref(late->m);
        late->m = copal_msg_ref(m);
    }
    return true;
}
