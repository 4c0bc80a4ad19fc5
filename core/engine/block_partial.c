#include "engine/block_partial.h"
#include "engine/transfer.h"

void cp_block_partial_free(struct cp_block_partial *in)
{
    struct cp_engine *e = in->engine;
    copal_exchange *stream = in->stream;

    if (in->q != NULL)
        cp_qblock_upload_let_go(in);
    cp_timer_stop(&e->timers, &in->timer);
    cp_map_remove(&e->bodies.in, &in->node);
    cp_map_remove(&e->bodies.by_peer, &in->of_peer);
    cp_bodies_give_back(e, in->taken);
    cp_buf_free(&in->body);
    cp_free(e->mem, in);
    if (stream != NULL)
        cp_exchange_let_go(stream);
}

void cp_block_partial_give_up(struct cp_block_partial *in, int status,
                              const char *why)
{
    copal_exchange *stream = in->stream;

    if (stream != NULL)
        cp_exchange_hold(stream);
    cp_block_partial_free(in);
    if (stream == NULL)
        return;
    cp_exchange_fail(stream, status, "%s", why);
    cp_exchange_let_go(stream);
}

static void on_lifetime(struct cp_timer *timer);

void cp_block_partial_wait(struct cp_block_partial *in)
{
    struct cp_engine *e = in->engine;

    cp_timer_start(&e->timers, &in->timer, e->now + cp_reliable_lifetime(e),
                   on_lifetime);
}

/* While the user has paused it is us who the sender waits for. */
static void on_lifetime(struct cp_timer *timer)
{
    struct cp_block_partial *in =
        cp_container_of(timer, struct cp_block_partial, timer);

    if (in->stream != NULL && !in->stream->over &&
        cp_answer_of(in->stream)->wire != NULL)
        cp_block_partial_wait(in);
    else
        cp_block_partial_give_up(in, COPAL_ETIMEOUT,
                                 "the rest of the body did not come");
}

struct cp_block_partial *cp_block_partial_find(struct cp_engine *e,
                                               uint64_t key)
{
    struct cp_map_node *n = cp_map_first(&e->bodies.in, key);

    return n == NULL ? NULL : cp_container_of(n, struct cp_block_partial, node);
}

/* The chain is as long as the limit on one peer at most. */
static unsigned count_of_peer(struct cp_engine *e, const struct cp_answer *a,
                              uint64_t hash)
{
    struct cp_map_node *n = cp_map_first(&e->bodies.by_peer, hash);
    unsigned count = 0;

    for (; n != NULL; n = cp_map_next(n)) {
        struct cp_block_partial *in =
            cp_container_of(n, struct cp_block_partial, of_peer);

        count += in->link == a->link &&
                 cp_address_equal(&in->remote, &a->wire->path.remote);
    }
    return count;
}

struct cp_block_partial *cp_block_partial_new(struct cp_engine *e,
                                              struct cp_answer *a, uint64_t key)
{
    const struct cp_address *remote = &a->wire->path.remote;
    uint64_t hash = cp_map_hash(&e->bodies.by_peer, remote, sizeof(*remote));
    struct cp_block_partial *in;

    if (count_of_peer(e, a, hash) >=
        (unsigned)cp_exchange_param(&a->x, COPAL_P_PEER_BODIES)) {
        cp_engine_limited(e, "peer_bodies");
        return NULL;
    }
    if (!cp_bodies_take(e, sizeof(*in)))
        return NULL;
    in = cp_zalloc(e->mem, sizeof(*in));
    if (in == NULL) {
        cp_bodies_give_back(e, sizeof(*in));
        return NULL;
    }
    in->engine = e;
    in->link = a->link;
    in->remote = *remote;
    in->body = cp_buf_new(e->mem);
    in->taken = sizeof(*in);
    cp_map_put(&e->bodies.in, &in->node, key);
    cp_map_put(&e->bodies.by_peer, &in->of_peer, hash);
    cp_block_partial_wait(in);
    return in;
}

void cp_block_partial_clear(struct cp_engine *e)
{
    map_each (node, after, &e->bodies.in)
        cp_block_partial_free(
            cp_container_of(node, struct cp_block_partial, node));
}
