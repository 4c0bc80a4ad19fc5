/* What we know of servers: whether they speak Q-Block. RFC 9177 4.1. */
#include "engine/qblock_core.h"

enum {
    MAX_REMEMBERED = 1024, /* the one used longest ago gives way */
    LIFETIME_MS = 3600000  /* of what was learnt */
};

struct cp_qblock_peer {
    struct cp_map_node node; /* in qblocks.peers */
    struct cp_list place;    /* in qblocks.oldest_peer */
    struct cp_link *link;
    struct cp_address remote;
    enum cp_qblock_support support;
    uint64_t until; /* ms: support holds */
};

static uint64_t hash_of(struct cp_engine *e, const struct cp_way *way)
{
    return cp_map_hash(&e->qblocks.peers, &way->path.remote,
                       sizeof(way->path.remote));
}

static struct cp_qblock_peer *peer_find(struct cp_engine *e,
                                        const struct cp_way *way)
{
    struct cp_map_node *n = cp_map_first(&e->qblocks.peers, hash_of(e, way));

    for (; n != NULL; n = cp_map_next(n)) {
        struct cp_qblock_peer *p =
            cp_container_of(n, struct cp_qblock_peer, node);

        if (p->link == way->link &&
            cp_address_equal(&p->remote, &way->path.remote))
            return p;
    }
    return NULL;
}

static void peer_free(struct cp_engine *e, struct cp_qblock_peer *p)
{
    cp_map_remove(&e->qblocks.peers, &p->node);
    cp_list_remove(&p->place);
    cp_free(e->mem, p);
}

static struct cp_qblock_peer *peer_get(struct cp_engine *e,
                                       const struct cp_way *way)
{
    struct cp_qblock_peer *p = peer_find(e, way);

    if (p != NULL) {
        cp_list_remove(&p->place);
        cp_list_append(&e->qblocks.oldest_peer, &p->place);
        return p;
    }
    if (e->qblocks.peers.count >= MAX_REMEMBERED)
        peer_free(e, cp_container_of(cp_list_first(&e->qblocks.oldest_peer),
                                     struct cp_qblock_peer, place));
    p = cp_zalloc(e->mem, sizeof(*p));
    if (p == NULL)
        return NULL;
    p->link = way->link;
    p->remote = way->path.remote;
    cp_list_init(&p->place);
    cp_list_append(&e->qblocks.oldest_peer, &p->place);
    cp_map_put(&e->qblocks.peers, &p->node, hash_of(e, way));
    return p;
}

enum cp_qblock_support cp_qblock_peer_support(struct cp_engine *e,
                                              const struct cp_way *way)
{
    const struct cp_qblock_peer *p = peer_find(e, way);

    return p == NULL || p->until <= e->now ? CP_QBLOCK_UNKNOWN : p->support;
}

void cp_qblock_peer_learn(struct cp_engine *e, const struct cp_way *way,
                          enum cp_qblock_support support)
{
    struct cp_qblock_peer *p = peer_get(e, way);

    if (p == NULL)
        return;
    p->support = support;
    p->until = e->now + LIFETIME_MS;
}

/* ---- All of it ---- */

void cp_qblocks_init(struct cp_engine *e)
{
    cp_map_init(&e->qblocks.peers, e->mem, &e->random);
    cp_list_init(&e->qblocks.oldest_peer);
    cp_map_init(&e->qblocks.done, e->mem, &e->random);
    cp_list_init(&e->qblocks.oldest_done);
    cp_random_bytes(&e->random, &e->qblocks.tag, sizeof(e->qblocks.tag));
}

void cp_qblocks_clear(struct cp_engine *e)
{
    list_each (place, after, &e->qblocks.oldest_peer)
        peer_free(e, cp_container_of(place, struct cp_qblock_peer, place));
    cp_map_clear(&e->qblocks.peers);
    cp_qblock_done_clear(e);
    cp_map_clear(&e->qblocks.done);
}
