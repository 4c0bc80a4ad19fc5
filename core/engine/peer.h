/* One remote that we owe something: a confirmable message of ours is on its
 * way or waits for its turn (NSTART). Plain requests answered make none. */
#ifndef CP_ENGINE_PEER_H
#define CP_ENGINE_PEER_H

#include "base/address.h"
#include "base/list.h"
#include "base/map.h"
#include "engine/link.h"
#include "engine/rate.h"

struct cp_engine;

struct cp_peer {
    struct cp_map_node node; /* in e->peers, by link and addresses */
    struct cp_link *link;
    struct cp_path path;
    uint32_t users;        /* flights that name it */
    uint32_t open;         /* interactions that count against NSTART */
    uint32_t resting;      /* of those, NON notifications */
    uint32_t queued;       /* flights in queue */
    struct cp_list queue;  /* flights that wait for a place */
    struct cp_list flying; /* flights on their way */
    struct cp_rate *rate;  /* NULL: nothing is known of how it answers */
    struct cp_list waits;  /* in rate->waiting: some of queue may not go yet */
    uint64_t hash;         /* cp_peer_hash() */
    uint16_t *next_mid;    /* the counter that cp_peer_next_mid() uses for it */
    bool was_missed;       /* acknowledged or rejected what was not sent */
};

/* The peer, made if need be, with one user more. NULL: out of memory, or
 * MAX_PEERS reached. */
struct cp_peer *cp_peer_get(struct cp_engine *e, struct cp_link *link,
                            const struct cp_path *path);
/* NULL: we owe it nothing. */
struct cp_peer *cp_peer_find(struct cp_engine *e, struct cp_link *link,
                             const struct cp_path *path);
/* Is that where cp_peer_get() would find it? */
bool cp_peer_is_at(const struct cp_peer *peer, const struct cp_link *link,
                   const struct cp_path *path);
/* One user less; the last lets it go. */
void cp_peer_put(struct cp_engine *e, struct cp_peer *peer);

/* What is known of how it answers, made if need be. NULL: out of memory. */
struct cp_rate *cp_peer_rate(struct cp_engine *e, struct cp_peer *peer);

/* Of its address alone. With a message id added it says where to look for who
 * sent that: such sums of one peer differ, and nobody can aim at another's. */
uint64_t cp_peer_hash(const struct cp_engine *e,
                      const struct cp_address *remote);

/* A message id for the next message to that address: unused toward it within
 * EXCHANGE_LIFETIME unless more than 65536 were sent. RFC 7252 4.4. */
uint16_t cp_peer_next_mid(struct cp_engine *e, const struct cp_address *to);

#endif
