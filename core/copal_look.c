/* Looking inside an endpoint: counters and trace. */
#include "endpoint.h"
#include "base/callback.h"
#include "engine/core.h"

/* size is what the caller was compiled with and stays: of a smaller struct
 * only what fits is filled, what a larger one has more is zeroed. */
int copal_get_stats(const copal *c, copal_stats *out)
{
    const struct cp_engine *e = c->engine;
    const size_t begin = offsetof(copal_stats, datagrams_in);
    copal_stats now = e->stats;
    size_t size;

    if (out == NULL || out->size < begin)
        return cp_why(c->mem, COPAL_EINVAL,
                      "copal_get_stats: set size to sizeof(copal_stats)");
    now.exchanges_open = e->exchange_count;
    now.peers = e->peers.count;
    now.observers = e->observing.observers.count;
    now.memory = cp_mem_used(c->mem);
    size = out->size < sizeof(now) ? out->size : sizeof(now);
    memset((char *)out + begin, 0, out->size - begin);
    memcpy((char *)out + begin, (char *)&now + begin, size - begin);
    return 0;
}

int copal_trace(copal *c, unsigned what, copal_cb cb)
{
    copal_cb before = c->engine->on_trace;

    c->engine->on_trace = cb;
    c->engine->trace = cb.fn == NULL ? 0 : what;
    cp_cb_drop(before);
    return 0;
}
