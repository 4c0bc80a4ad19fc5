/* Looking inside an endpoint: counters and trace. */
#include "endpoint.h"
#include "engine/core.h"

int copal_get_stats(const copal *c, copal_stats *out)
{
    const struct cp_engine *e = c->engine;
    copal_stats now = e->stats;
    size_t size = out->size < sizeof(now) ? out->size : sizeof(now);

    now.exchanges_open = e->exchange_count;
    now.peers = e->peers.count;
    now.observers = e->observing.observers.count;
    now.memory = cp_mem_used(c->mem);
    now.size = size;
    memcpy(out, &now, size);
    return 0;
}

int copal_trace(copal *c, unsigned what, copal_cb cb)
{
    copal_cb before = c->engine->on_trace;

    c->engine->on_trace = cb;
    c->engine->trace = cb.fn == NULL ? 0 : what;
    if (before.drop != NULL)
        before.drop(before.user);
    return 0;
}
