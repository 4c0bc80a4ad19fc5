#include "engine/block_partial.h"
#include "engine/block_kept.h"
#include "engine/fresh_guard.h"
#include "engine/transfer.h"

void cp_block_partial_free(struct cp_block_partial *in)
{
    struct cp_engine *e = in->engine;
    copal_exchange *stream = in->stream;

    if (stream != NULL && stream->transfer != NULL &&
        stream->transfer->partial == in)
        stream->transfer->partial = NULL;
    if (in->q != NULL)
        cp_qblock_upload_let_go(in);
    cp_timer_stop(&e->timers, &in->timer);
    cp_map_remove(&e->bodies.in, &in->node);
    cp_map_remove(&e->bodies.by_peer, &in->of_peer);
    cp_list_remove(&in->place);
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
    struct cp_bodies *all = &e->bodies;
    bool doubted = cp_fresh_doubts(e, in->link, &in->remote);

    in->heard_at = e->now;
    cp_list_remove(&in->place);
    if (in->body.len > 0 || (in->q != NULL && doubted))
        cp_list_append(doubted ? &all->doubted_in : &all->trusted_in,
                       &in->place);
    cp_timer_start(&e->timers, &in->timer, e->now + cp_reliable_lifetime(e),
                   on_lifetime);
}

/* While the user has paused it is us who the sender waits for. Who holds no
 * reference cannot go on: two are the engine's and this body's. */
static void on_lifetime(struct cp_timer *timer)
{
    struct cp_block_partial *in =
        cp_container_of(timer, struct cp_block_partial, timer);
    copal_exchange *x = in->stream;

    if (x == NULL || x->over || cp_answer_of(x)->wire == NULL) {
        cp_block_partial_give_up(in, COPAL_ETIMEOUT,
                                 "the rest of the body did not come");
        return;
    }
    cp_block_partial_wait(in);
    if (cp_refs_count(&x->refs) == 2)
        cp_exchange_abandon(x);
}

struct cp_block_partial *cp_block_partial_find(struct cp_engine *e,
                                               uint64_t key)
{
    struct cp_map_node *n = cp_map_first(&e->bodies.in, key);

    return n == NULL ? NULL : cp_container_of(n, struct cp_block_partial, node);
}

/* ---- Room ---- */

/* Q-Block has timers of its own, where its sender is there, and a stream somebody
 * who sees it end: of those it is one whose sender would not hear the answer to
 * its newest block. */
static bool is_idle(const struct cp_block_partial *in)
{
    struct cp_engine *e = in->engine;

    if (in->stream != NULL)
        return cp_answer_of(in->stream)->asker_left;
    return in->q == NULL && e->now - in->heard_at > cp_reliable_max_wait(e);
}

static void give_way(struct cp_block_partial *in, const char *limit)
{
    cp_engine_limited(in->engine, limit);
    cp_block_partial_give_up(in, COPAL_ETIMEOUT,
                             "the sender left, and began another body");
}

bool cp_block_partial_free_one(struct cp_engine *e, const char *limit)
{
    bool doubted = !cp_list_empty(&e->bodies.doubted_in);
    struct cp_list *place =
        cp_list_first(doubted ? &e->bodies.doubted_in : &e->bodies.trusted_in);
    struct cp_block_partial *in =
        place == NULL ? NULL
                      : cp_container_of(place, struct cp_block_partial, place);

    if (in == NULL || (!doubted && !is_idle(in)))
        return false;
    give_way(in, limit);
    return true;
}

void cp_block_partial_make_room(struct cp_engine *e, uint64_t n)
{
    uint64_t limit = (uint64_t)e->params.value[COPAL_P_BODY_MEMORY];

    while (n <= limit && e->bodies.used + n > limit)
        if (!cp_block_partial_free_one(e, "body_memory"))
            return;
}

/* What one peer has under way. The chain is as long as the limit on it at
 * most. */
struct share {
    unsigned count;
    uint64_t bytes;
    struct cp_block_partial *idle; /* one that may give way */
};

static struct share share_of(struct cp_engine *e, const struct cp_link *link,
                             const struct cp_address *remote,
                             const struct cp_block_partial *but)
{
    uint64_t hash = cp_map_hash(&e->bodies.by_peer, remote, sizeof(*remote));
    struct cp_map_node *n = cp_map_first(&e->bodies.by_peer, hash);
    struct share share = {0};

    for (; n != NULL; n = cp_map_next(n)) {
        struct cp_block_partial *in =
            cp_container_of(n, struct cp_block_partial, of_peer);

        if (in->link != link || !cp_address_equal(&in->remote, remote))
            continue;
        share.count++;
        share.bytes += in->taken - sizeof(*in);
        if (in != but && is_idle(in))
            share.idle = in;
    }
    return share;
}

static bool has_place(struct cp_engine *e, const struct cp_answer *a)
{
    unsigned most = (unsigned)cp_exchange_param(&a->x, COPAL_P_PEER_BODIES);
    const struct cp_address *remote = &a->wire->path.remote;

    for (;;) {
        struct share share = share_of(e, a->link, remote, NULL);

        if (share.count < most)
            return true;
        if (share.idle == NULL)
            break;
        give_way(share.idle, "peer_bodies");
    }
    cp_engine_limited(e, "peer_bodies");
    return false;
}

bool cp_block_partial_take(struct cp_block_partial *in, size_t n, uint64_t most)
{
    struct cp_engine *e = in->engine;

    cp_list_remove(&in->place); /* not for its own sake */
    for (;;) {
        struct share share = share_of(e, in->link, &in->remote, in);

        if (share.bytes + n <= most)
            break;
        if (share.idle == NULL) {
            cp_engine_limited(e, "peer_bodies");
            return false;
        }
        give_way(share.idle, "peer_bodies");
    }
    if (!cp_bodies_take(e, n))
        return false;
    in->taken += n;
    return true;
}

struct cp_block_partial *cp_block_partial_new(struct cp_engine *e,
                                              struct cp_answer *a, uint64_t key)
{
    const struct cp_address *remote = &a->wire->path.remote;
    uint64_t hash = cp_map_hash(&e->bodies.by_peer, remote, sizeof(*remote));
    struct cp_block_partial *in;

    if (!has_place(e, a))
        return NULL;
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
    cp_list_init(&in->place);
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

static struct cp_block_partial *first_by(struct cp_engine *e,
                                         const struct cp_link *link,
                                         const struct cp_address *remote)
{
    uint64_t hash = cp_map_hash(&e->bodies.by_peer, remote, sizeof(*remote));
    struct cp_map_node *n = cp_map_first(&e->bodies.by_peer, hash);

    for (; n != NULL; n = cp_map_next(n))
        if (cp_container_of(n, struct cp_block_partial, of_peer)->link == link)
            return cp_container_of(n, struct cp_block_partial, of_peer);
    return NULL;
}

void cp_block_partial_link_gone(struct cp_engine *e, const struct cp_link *link,
                                const struct cp_address *remote)
{
    struct cp_block_partial *in;

    while ((in = first_by(e, link, remote)) != NULL)
        cp_block_partial_give_up(in, COPAL_ECLOSED, "the connection ended");
}
