#include "engine/rate.h"
#include "engine/core.h"

static uint64_t hash_of(const struct cp_engine *e, const struct cp_link *link,
                        const struct cp_address *remote)
{
    struct cp_sip s = cp_map_sip(&e->rates.map);

    cp_sip_add(&s, (uintptr_t)link);
    cp_address_hash(&s, remote);
    return cp_sip_end(s);
}

static struct cp_rate *find(const struct cp_engine *e,
                            const struct cp_link *link,
                            const struct cp_address *remote, uint64_t hash)
{
    struct cp_map_node *n = cp_map_first(&e->rates.map, hash);

    for (; n != NULL; n = cp_map_next(n)) {
        struct cp_rate *r = cp_container_of(n, struct cp_rate, node);

        if (r->link == link && cp_address_equal(&r->remote, remote))
            return r;
    }
    return NULL;
}

static void rate_free(struct cp_rate *r)
{
    struct cp_engine *e = r->engine;

    e->rates.silent -= r->unanswered > 0;
    cp_timer_stop(&e->timers, &r->timer);
    cp_list_remove(&r->place);
    cp_map_remove(&e->rates.map, &r->node);
    cp_free(e->mem, r);
}

void cp_rates_init(struct cp_engine *e)
{
    cp_map_init(&e->rates.map, e->mem, &e->random);
    cp_list_init(&e->rates.idle);
}

void cp_rates_clear(struct cp_engine *e)
{
    list_each (place, after, &e->rates.idle)
        rate_free(cp_container_of(place, struct cp_rate, place));
    cp_map_clear(&e->rates.map);
}

/* ---- Its timer: for who waits, or for its end ---- */

static void on_timer(struct cp_timer *t)
{
    struct cp_rate *r = cp_container_of(t, struct cp_rate, timer);
    struct cp_list due;

    if (r->users == 0) {
        rate_free(r);
        return;
    }
    cp_list_init(&due);
    list_each (place, after, &r->waiting) {
        cp_list_remove(place);
        cp_list_append(&due, place);
    }
    r->users++; /* stays while peers go on, and maybe end */
    while (!cp_list_empty(&due)) {
        struct cp_list *place = cp_list_first(&due);

        cp_list_remove(place);
        cp_flight_launch_next(cp_container_of(place, struct cp_peer, waits));
    }
    cp_rate_put(r);
}

static void start_timer(struct cp_rate *r, uint64_t at)
{
    cp_timer_start(&r->engine->timers, &r->timer, at, on_timer);
}

void cp_rate_wait(struct cp_rate *r, struct cp_list *place)
{
    if (cp_list_empty(place))
        cp_list_append(&r->waiting, place);
    start_timer(r, r->paid_at);
}

/* ---- Who uses it ---- */

static struct cp_rate *rate_new(struct cp_engine *e, struct cp_link *link,
                                const struct cp_address *remote, uint64_t hash)
{
    struct cp_rate *r;

    if (e->rates.map.count >= (size_t)e->params.value[COPAL_P_MAX_PEERS] &&
        !cp_list_empty(&e->rates.idle)) {
        cp_engine_limited(e, "max_peers");
        rate_free(cp_container_of(cp_list_first(&e->rates.idle), struct cp_rate,
                                  place));
    }
    r = cp_zalloc(e->mem, sizeof(*r));
    if (r == NULL)
        return NULL;
    r->engine = e;
    r->link = link;
    r->remote = *remote;
    cp_list_init(&r->place);
    cp_list_init(&r->waiting);
    cp_map_put(&e->rates.map, &r->node, hash);
    return r;
}

struct cp_rate *cp_rate_get(struct cp_engine *e, struct cp_link *link,
                            const struct cp_address *remote, bool is_new)
{
    uint64_t hash;
    struct cp_rate *r;

    if (e->rates.map.count == 0 && !is_new)
        return NULL;
    hash = hash_of(e, link, remote);
    r = find(e, link, remote, hash);
    if (r == NULL && is_new)
        r = rate_new(e, link, remote, hash);
    if (r == NULL)
        return NULL;
    if (r->users++ == 0) {
        cp_list_remove(&r->place);
        cp_timer_stop(&e->timers, &r->timer);
    }
    return r;
}

/* What it owes and what it taught lasts beyond its last user. */
void cp_rate_put(struct cp_rate *r)
{
    struct cp_engine *e = r->engine;
    uint64_t forgotten_at = e->now + cp_reliable_lifetime(e);

    if (--r->users > 0)
        return;
    if (r->unanswered > 0 && r->paid_at > forgotten_at)
        forgotten_at = r->paid_at;
    cp_list_append(&e->rates.idle, &r->place);
    start_timer(r, forgotten_at);
}

/* ---- Probing ---- */

bool cp_rate_allows(const struct cp_rate *r, unsigned transmissions)
{
    return r->unanswered < (r->was_heard ? transmissions : 1) ||
           r->engine->now >= r->paid_at;
}

void cp_rate_probed(struct cp_rate *r, size_t bytes, uint32_t per_second)
{
    struct cp_engine *e = r->engine;
    uint64_t takes = (uint64_t)bytes * 1000 / per_second;

    e->rates.silent += r->unanswered == 0;
    r->unanswered += r->unanswered < UINT32_MAX;
    r->paid_at = (r->paid_at > e->now ? r->paid_at : e->now) + takes;
}

void cp_rate_heard(struct cp_engine *e, struct cp_link *link,
                   const struct cp_address *remote)
{
    struct cp_rate *r;

    if (e->rates.silent == 0) /* nobody is waited for */
        return;
    r = find(e, link, remote, hash_of(e, link, remote));
    if (r == NULL || r->unanswered == 0)
        return;
    e->rates.silent--;
    r->unanswered = 0;
    r->was_heard = true;
    r->paid_at = e->now;
    if (!cp_list_empty(&r->waiting))
        start_timer(r, e->now);
}
