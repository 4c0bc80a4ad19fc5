/* Requests that were answered 4.29 and are not to be repeated yet. RFC 8516. */
#include "engine/ask.h"
#include "engine/core.h"

enum {
    MAX_HELD_BACK = 256,
    LONGEST_PAYLOAD = 1024 /* bytes, of an answer that is kept; else without */
};

struct cp_held_back {
    struct cp_map_node node;
    struct cp_list place;
    copal_msg *msg; /* frozen */
    uint64_t until; /* ms */
};

/* A request is similar if method and URI are the same: RFC 8516 1. */
static bool key_of(struct cp_engine *e, const copal_msg *request, uint64_t *out)
{
    uint64_t part[2] = {request->code, 0};

    if (!cp_cache_resource(e, request, NULL, &part[1]))
        return false;
    *out = cp_map_hash(&e->caching.held_back, part, sizeof(part));
    return true;
}

static void give_up(struct cp_engine *e, struct cp_held_back *h)
{
    if (h == NULL)
        return;
    cp_map_remove(&e->caching.held_back, &h->node);
    cp_list_remove(&h->place);
    copal_msg_unref(h->msg);
    cp_free(e->mem, h);
}

void cp_held_back_clear(struct cp_engine *e)
{
    list_each (place, after, &e->caching.held_back_oldest)
        give_up(e, cp_container_of(place, struct cp_held_back, place));
}

static struct cp_held_back *find(struct cp_engine *e, uint64_t key)
{
    struct cp_map_node *n = cp_map_first(&e->caching.held_back, key);
    struct cp_held_back *h =
        n == NULL ? NULL : cp_container_of(n, struct cp_held_back, node);

    if (h == NULL || h->until > e->now)
        return h;
    give_up(e, h);
    return NULL;
}

/* Room for one more: the oldest gives way, and what is over anyway. */
static void make_room(struct cp_engine *e)
{
    list_each (place, after, &e->caching.held_back_oldest) {
        struct cp_held_back *h =
            cp_container_of(place, struct cp_held_back, place);

        if (h->until > e->now && e->caching.held_back.count < MAX_HELD_BACK)
            break;
        if (h->until > e->now)
            cp_engine_limited(e, "held_back");
        give_up(e, h);
    }
}

static copal_msg *kept_of(const copal_msg *m)
{
    bool is_short = m->payload.len <= LONGEST_PAYLOAD;
    copal_msg *copy =
        cp_cache_own_copy(m, is_short ? m->payload : (copal_bytes){0});

    if (copy == NULL)
        return NULL;
    if (!is_short)
        cp_msg_remove(copy, COPAL_OPT_CONTENT_FORMAT);
    copy->frozen = true;
    return copy;
}

static void hold_back(struct cp_engine *e, uint64_t key, const copal_msg *m)
{
    struct cp_held_back *h = cp_zalloc(e->mem, sizeof(*h));

    if (h == NULL)
        return;
    h->msg = kept_of(m);
    if (h->msg == NULL) {
        cp_free(e->mem, h);
        return;
    }
    h->until = e->now + cp_cache_lifetime(m);
    make_room(e);
    cp_list_init(&h->place);
    cp_list_append(&e->caching.held_back_oldest, &h->place);
    cp_map_put(&e->caching.held_back, &h->node, key);
}

void cp_held_back_note(copal_exchange *x, const copal_msg *m)
{
    struct cp_engine *e = x->engine;
    bool is_it = m->code == COPAL_TOO_MANY_REQUESTS && cp_cache_lifetime(m) > 0;
    uint64_t key;

    if ((!is_it && e->caching.held_back.count == 0) ||
        x->request->is_multicast || !key_of(e, x->request, &key))
        return;
    give_up(e, find(e, key));
    if (is_it)
        hold_back(e, key, m);
}

copal_msg *cp_held_back_answer(copal_exchange *x)
{
    struct cp_engine *e = x->engine;
    struct cp_held_back *h;
    uint64_t key;

    if (e->caching.held_back.count == 0 || x->request->is_multicast ||
        (x->request->flags & COPAL_NO_CACHE) != 0 ||
        !key_of(e, x->request, &key))
        return NULL;
    h = find(e, key);
    /* Rounded up: not a moment too early. */
    return h == NULL
               ? NULL
               : cp_cache_shown(x, h->msg, (h->until - e->now + 999) / 1000);
}
