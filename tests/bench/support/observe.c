/* Observers, one an address, and rounds: a PUT, and everybody is told. */
#include "load.h"
#include <string.h>

static const uint64_t PATIENCE = 4000000000; /* ns after the last that came */

void load_told(struct load *l, struct slot *s, const uint8_t *m)
{
    uint16_t mid = (uint16_t)(m[2] << 8 | m[3]);
    uint64_t now = wire_now();

    if (s->was_told && s->mid == mid) {
        l->twice++;
        return;
    }
    s->was_told = true;
    s->mid = mid;
    l->told++;
    if (now - l->last_told > l->longest_gap)
        l->longest_gap = now - l->last_told;
    l->last_told = now;
    if (s->round == l->round)
        return;
    s->round = l->round;
    l->told_now++;
}

static void register_all(struct load *l)
{
    struct pattern r = load_pattern(&l->plan, 1, true, -1);
    uint32_t next = 0;

    l->free[0] = l->plan.clients; /* the others are the observers' */
    l->free_count = 1;
    l->round = 1;
    while (l->done < l->plan.clients) {
        while (next < l->plan.clients && next - l->done < l->plan.window) {
            load_ask(l, next, next, &r);
            next++;
        }
        wire_flush(&l->wire);
        load_hear(l, &r);
    }
    l->at_registered = load_spent(l->plan.server);
}

/* Who was not told within PATIENCE of the one before was lost. */
static void tell_once(struct load *l, const struct pattern *r)
{
    l->round++;
    l->told_now = 0;
    l->last_told = wire_now();
    load_ask(l, load_take_slot(l), l->plan.clients, r);
    wire_flush(&l->wire);
    while (l->free_count == 0 ||
           (l->told_now < l->observers && wire_now() < l->last_told + PATIENCE))
        load_hear(l, r);
    l->unheard += l->observers - l->told_now;
    l->rounds++;
}

void load_observe(struct load *l)
{
    struct pattern r;

    register_all(l);
    if (l->observers == 0)
        return;
    l->plan.is_put = true;
    l->plan.payload = 1;
    r = load_pattern(&l->plan, 3, false, -1);
    tell_once(l, &r); /* the first has memory to get */
    load_reset(l);
    while (wire_now() < l->start + l->plan.ns)
        tell_once(l, &r);
}
