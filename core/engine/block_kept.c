#include "engine/block_kept.h"
#include "engine/transfer.h"

static uint64_t size_kept(const struct cp_block_kept *o)
{
    return sizeof(*o) + (o->whole == NULL ? 0 : o->whole->payload.len);
}

void cp_block_kept_free(struct cp_block_kept *o)
{
    struct cp_engine *e = o->engine;
    copal_exchange *stream = o->stream;

    if (stream != NULL && stream->transfer != NULL &&
        stream->transfer->kept == o)
        stream->transfer->kept = NULL;
    cp_qblock_answer_let_go(o);
    cp_timer_stop(&e->timers, &o->timer);
    cp_map_remove(&e->bodies.out, &o->node);
    cp_list_remove(&o->place);
    cp_bodies_give_back(e, size_kept(o));
    copal_msg_unref(o->whole);
    cp_free(e->mem, o);
    if (stream != NULL)
        cp_exchange_let_go(stream);
}

void cp_block_kept_give_up(struct cp_block_kept *o, int status, const char *why)
{
    copal_exchange *stream = o->stream;

    if (stream != NULL)
        cp_exchange_hold(stream);
    cp_block_kept_free(o);
    if (stream == NULL)
        return;
    cp_exchange_fail(stream, status, "%s", why);
    cp_exchange_let_go(stream);
}

static void on_lifetime(struct cp_timer *timer)
{
    struct cp_block_kept *o =
        cp_container_of(timer, struct cp_block_kept, timer);
    struct cp_engine *e = o->engine;
    bool is_ours = o->stream != NULL && cp_answer_of(o->stream)->wire != NULL;

    if (o->until > e->now) {
        cp_timer_start(&e->timers, &o->timer, o->until, on_lifetime);
        return;
    }
    cp_block_kept_give_up(
        o, COPAL_ETIMEOUT,
        is_ours ? "the block asked for was not written in time"
                : "the asker did not come for the rest of the body");
}

struct cp_block_kept *cp_block_kept_find(struct cp_engine *e, uint64_t key)
{
    struct cp_map_node *n = cp_map_first(&e->bodies.out, key);

    return n == NULL ? NULL : cp_container_of(n, struct cp_block_kept, node);
}

void cp_block_kept_touch(struct cp_block_kept *o)
{
    struct cp_engine *e = o->engine;

    cp_list_remove(&o->place);
    cp_list_append(&e->bodies.oldest_out, &o->place);
    o->until = e->now + cp_reliable_lifetime(e);
    if (!cp_timer_is_on(&o->timer) || o->timer.at > o->until)
        cp_timer_start(&e->timers, &o->timer, o->until, on_lifetime);
}

static bool may_give_way(const struct cp_block_kept *o)
{
    return o->stream == NULL && !o->is_sending;
}

void cp_block_kept_make_room(struct cp_engine *e, uint64_t need)
{
    uint64_t limit = (uint64_t)e->params.value[COPAL_P_BODY_MEMORY];

    if (need > limit)
        return;
    list_each (place, after, &e->bodies.oldest_out) {
        struct cp_block_kept *o =
            cp_container_of(place, struct cp_block_kept, place);

        if (e->bodies.used + need <= limit)
            break;
        if (may_give_way(o))
            cp_block_kept_free(o);
    }
}

bool cp_block_kept_free_one(struct cp_engine *e)
{
    list_each (place, after, &e->bodies.oldest_out) {
        struct cp_block_kept *o =
            cp_container_of(place, struct cp_block_kept, place);

        if (may_give_way(o)) {
            cp_block_kept_free(o);
            return true;
        }
    }
    return false;
}

void cp_block_kept_forget(struct cp_engine *e, struct cp_link *link,
                          const struct cp_address *remote,
                          const copal_msg *request)
{
    uint64_t key = cp_bodies_key(e, link, remote, request);
    struct cp_block_kept *o;

    o = cp_block_kept_find(e, key);
    if (o != NULL && o->stream == NULL)
        cp_block_kept_free(o);
    o = cp_block_kept_find(e, key ^ CP_BODIES_QBLOCK);
    if (o != NULL)
        cp_block_kept_free(o);
}

struct cp_block_kept *cp_block_kept_new(copal_exchange *x, uint64_t key,
                                        copal_msg *whole)
{
    struct cp_engine *e = x->engine;
    struct cp_block_kept *o = cp_block_kept_find(e, key);

    if (o != NULL)
        cp_block_kept_give_up(o, COPAL_ECLOSED, "the asker began again");
    if (!cp_bodies_take(e,
                        sizeof(*o) + (whole == NULL ? 0 : whole->payload.len)))
        return NULL;
    o = cp_zalloc(e->mem, sizeof(*o));
    if (o == NULL) {
        cp_bodies_give_back(e, sizeof(*o) +
                                   (whole == NULL ? 0 : whole->payload.len));
        return NULL;
    }
    o->engine = e;
    o->whole = copal_msg_ref(whole);
    o->stream = whole == NULL ? cp_exchange_hold(x) : NULL;
    cp_list_init(&o->place);
    cp_map_put(&e->bodies.out, &o->node, key);
    cp_block_kept_touch(o);
    return o;
}

void cp_block_kept_clear(struct cp_engine *e)
{
    list_each (place, after, &e->bodies.oldest_out)
        cp_block_kept_free(cp_container_of(place, struct cp_block_kept, place));
}
