/* Intrusive hash map. Keys are hashed with SipHash under a random key of the
 * map's, so strangers cannot aim at one bucket. Putting never fails: when the
 * table cannot grow, chains get longer. */
#ifndef CP_BASE_MAP_H
#define CP_BASE_MAP_H

#include <stdbool.h>
#include "base/mem.h"
#include "base/random.h"
#include "base/siphash.h"

struct cp_map_node {
    struct cp_map_node *next; /* of the same bucket; NULL when in no map too */
    uint64_t hash;
};

struct cp_map {
    struct cp_mem *mem;
    struct cp_map_node **buckets;
    struct cp_map_node *first_bucket; /* the table until it first grows */
    size_t bucket_count;              /* a power of two */
    size_t count;
    uint8_t key[16];
};

void cp_map_init(struct cp_map *map, struct cp_mem *mem,
                 struct cp_random *random);

/* Frees the table, not what is in it. */
void cp_map_clear(struct cp_map *map);

static inline uint64_t cp_map_hash(const struct cp_map *map, const void *data,
                                   size_t len)
{
    return cp_siphash(map->key, data, len);
}

/* A hash by the word: cp_sip_add(), cp_address_hash(), cp_sip_end(). */
static inline struct cp_sip cp_map_sip(const struct cp_map *map)
{
    return cp_sip_begin(map->key);
}

/* Nodes of that hash, one after another; the caller compares the real key. */
struct cp_map_node *cp_map_first(const struct cp_map *map, uint64_t hash);
struct cp_map_node *cp_map_next(const struct cp_map_node *node);

void cp_map_put(struct cp_map *map, struct cp_map_node *node, uint64_t hash);

/* Nothing happens if node is not in map. */
void cp_map_remove(struct cp_map *map, struct cp_map_node *node);

/* All nodes in no order: i-th bucket's chain. For walks that must see
 * everything (an endpoint's end), not for look-ups. */
#define map_each(node, after, map) \
    for (size_t bucket_ = 0; bucket_ < (map)->bucket_count; bucket_++) \
        for (struct cp_map_node *node = (map)->buckets[bucket_], \
                                *after = node == NULL ? NULL : node->next; \
             node != NULL; \
             node = after, after = node == NULL ? NULL : node->next)

#endif
