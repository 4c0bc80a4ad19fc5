#include "base/map.h"
#include <assert.h>

#include "base/bytes.h"

/* The first table; smaller ones stand in for one bucket within the map. */
enum {
    FIRST_TABLE = 8
};

static void forget_table(struct cp_map *map)
{
    map->first_bucket = NULL;
    map->buckets = &map->first_bucket;
    map->bucket_count = 1;
    map->count = 0;
}

void cp_map_init(struct cp_map *map, struct cp_mem *mem,
                 struct cp_random *random)
{
    map->mem = mem;
    forget_table(map);
    cp_random_untapped(random, map->key, sizeof(map->key));
}

void cp_map_clear(struct cp_map *map)
{
    if (map->buckets != &map->first_bucket)
        cp_free(map->mem, map->buckets);
    forget_table(map);
}

static struct cp_map_node **bucket_of(const struct cp_map *map, uint64_t hash)
{
    return &map->buckets[(size_t)hash & (map->bucket_count - 1)];
}

static void push(struct cp_map *map, struct cp_map_node *node)
{
    struct cp_map_node **bucket = bucket_of(map, node->hash);

    node->next = *bucket;
    *bucket = node;
}

/* Doubles the table, or leaves it as it is when there is no memory. */
static void grow(struct cp_map *map)
{
    struct cp_map_node **old = map->buckets;
    size_t old_count = map->bucket_count;
    size_t count = old_count < FIRST_TABLE ? FIRST_TABLE : 2 * old_count;

    if (count > SIZE_MAX / sizeof(*old))
        return;
    struct cp_map_node **buckets = cp_zalloc(map->mem, count * sizeof(*old));
    if (buckets == NULL)
        return;

    map->buckets = buckets;
    map->bucket_count = count;
    for (size_t i = 0; i < old_count; i++) {
        while (old[i] != NULL) {
            struct cp_map_node *node = old[i];

            old[i] = node->next;
            push(map, node);
        }
    }
    if (old != &map->first_bucket)
        cp_free(map->mem, old);
}

static struct cp_map_node *seek(struct cp_map_node *node, uint64_t hash)
{
    while (node != NULL && node->hash != hash)
        node = node->next;
    return node;
}

struct cp_map_node *cp_map_first(const struct cp_map *map, uint64_t hash)
{
    return seek(*bucket_of(map, hash), hash);
}

struct cp_map_node *cp_map_next(const struct cp_map_node *node)
{
    return seek(node->next, node->hash);
}

#ifndef NDEBUG
static bool has(const struct cp_map *map, const struct cp_map_node *node,
                uint64_t hash)
{
    const struct cp_map_node *n = *bucket_of(map, hash);

    while (n != NULL && n != node)
        n = n->next;
    return n != NULL;
}
#endif

void cp_map_put(struct cp_map *map, struct cp_map_node *node, uint64_t hash)
{
    assert(!has(map, node, hash)); /* twice: its bucket would have no end */
    if (map->count >= map->bucket_count)
        grow(map);
    node->hash = hash;
    push(map, node);
    map->count++;
}

void cp_map_remove(struct cp_map *map, struct cp_map_node *node)
{
    struct cp_map_node **at = bucket_of(map, node->hash);

    while (*at != NULL && *at != node)
        at = &(*at)->next;
    if (*at == NULL)
        return;
    *at = node->next;
    node->next = NULL;
    map->count--;
}
