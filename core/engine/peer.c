#include "engine/peer.h"
#include "engine/core.h"
#include "engine/record.h"

/* What else tells two ways to one address apart: a group's address leads to
 * others by each interface, and with each hop limit. */
static uint64_t way_of(const struct cp_path *path)
{
    bool is_group = cp_address_is_multicast(&path->remote);

    return (is_group ? (uint64_t)path->if_index << 8 : 0) | path->hops;
}

/* A counter for each remote would outlive what we owe it by minutes. Remotes
 * share counters by hash instead: ids toward one of them still only count
 * upward, and the table never grows. */
static uint16_t *counter_of(struct cp_engine *e, uint64_t hash)
{
    return &e->mids[hash % CP_MID_COUNTERS];
}

uint64_t cp_peer_hash(const struct cp_engine *e,
                      const struct cp_address *remote)
{
    struct cp_sip s = cp_map_sip(&e->peers);

    cp_address_hash(&s, remote);
    return cp_sip_end(s);
}

/* Our own address is part of the key: an answer leaves from where it was
 * asked. It is spread by what nobody knows, too. */
static uint64_t hash_of(uint64_t of_remote, const struct cp_link *link,
                        const struct cp_path *path)
{
    uint64_t ip[2];

    memcpy(ip, path->local.ip, sizeof(ip));
    ip[0] ^= ip[1] ^ (uintptr_t)link ^ way_of(path);
    return of_remote + (ip[0] * (of_remote | 1) >> 32);
}

_Static_assert(offsetof(struct cp_path, if_index) ==
                   2 * sizeof(struct cp_address),
               "the two addresses stand side by side");

bool cp_peer_is_at(const struct cp_peer *p, const struct cp_link *link,
                   const struct cp_path *path)
{
    return p->link == link && way_of(&p->path) == way_of(path) &&
           memcmp(&p->path, path, offsetof(struct cp_path, if_index)) == 0;
}

static struct cp_peer *find(struct cp_engine *e, struct cp_link *link,
                            const struct cp_path *path, uint64_t hash)
{
    struct cp_map_node *n = cp_map_first(&e->peers, hash);

    for (; n != NULL; n = cp_map_next(n)) {
        struct cp_peer *p = cp_container_of(n, struct cp_peer, node);

        if (cp_peer_is_at(p, link, path))
            return p;
    }
    return NULL;
}

struct cp_peer *cp_peer_find(struct cp_engine *e, struct cp_link *link,
                             const struct cp_path *path)
{
    return find(e, link, path,
                hash_of(cp_peer_hash(e, &path->remote), link, path));
}

struct cp_peer *cp_peer_get(struct cp_engine *e, struct cp_link *link,
                            const struct cp_path *path)
{
    uint64_t of_remote = cp_peer_hash(e, &path->remote);
    uint64_t hash = hash_of(of_remote, link, path);
    struct cp_peer *p = find(e, link, path, hash);

    if (p == NULL) {
        if (e->peers.count >= (size_t)e->params.value[COPAL_P_MAX_PEERS]) {
            cp_engine_limited(e, "max_peers");
            return NULL;
        }
        p = cp_zalloc(e->mem, sizeof(*p));
        if (p == NULL)
            return NULL;
        p->link = link;
        p->path = *path;
        cp_list_init(&p->queue);
        cp_list_init(&p->flying);
        cp_list_init(&p->waits);
        p->rate = cp_rate_get(e, link, &path->remote, false);
        p->hash = of_remote;
        p->next_mid = counter_of(e, of_remote);
        cp_map_put(&e->peers, &p->node, hash);
    }
    p->users++;
    return p;
}

void cp_peer_put(struct cp_engine *e, struct cp_peer *p)
{
    if (--p->users > 0)
        return;
    cp_map_remove(&e->peers, &p->node);
    cp_list_remove(&p->waits);
    if (p->rate != NULL)
        cp_rate_put(p->rate);
    cp_free(e->mem, p);
}

struct cp_rate *cp_peer_rate(struct cp_engine *e, struct cp_peer *p)
{
    if (p->rate == NULL)
        p->rate = cp_rate_get(e, p->link, &p->path.remote, true);
    return p->rate;
}

/* Run again from a recording. */
static __attribute__((noinline)) uint16_t given_mid(struct cp_engine *e,
                                                    uint16_t *counter)
{
    const struct cp_random *r = &e->random;
    uint16_t mid = *counter;

    if (!r->give(r->tap_user, (uint8_t *)&mid, sizeof(mid)))
        mid = *counter;
    *counter = (uint16_t)(mid + 1);
    return mid;
}

uint16_t cp_peer_tapped_mid(struct cp_engine *e, uint16_t *counter)
{
    uint16_t mid = *counter;

    if (e->record == NULL)
        return given_mid(e, counter);
    *counter = (uint16_t)(mid + 1);
    return cp_record_do_mid(e->record, mid);
}

uint16_t cp_peer_next_mid(struct cp_engine *e, const struct cp_address *to)
{
    return cp_peer_take_mid(e, counter_of(e, cp_peer_hash(e, to)));
}
