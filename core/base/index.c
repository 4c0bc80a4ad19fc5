#include "base/index.h"

#include "base/bytes.h"

enum {
    FIRST_TABLE = 8
};

static inline struct cp_index_node *node_of(const struct cp_index *x,
                                            uint32_t n)
{
    return (struct cp_index_node *)(void *)((char *)cp_cells_at(x->cells, n) +
                                            x->at);
}

static void forget_table(struct cp_index *x)
{
    x->first_bucket = 0;
    x->buckets = NULL; /* first_bucket, which moves along with x */
    x->bucket_count = 1;
    x->count = 0;
}

void cp_index_init(struct cp_index *x, const struct cp_cells *cells, size_t at,
                   struct cp_random *random)
{
    x->cells = cells;
    x->at = (uint32_t)at;
    forget_table(x);
    cp_random_bytes(random, x->key, sizeof(x->key));
}

void cp_index_clear(struct cp_index *x)
{
    cp_free(x->cells->mem, x->buckets);
    forget_table(x);
}

static inline uint32_t *bucket_of(const struct cp_index *x, uint32_t hash)
{
    return x->buckets == NULL ? (uint32_t *)&x->first_bucket
                              : &x->buckets[hash & (x->bucket_count - 1)];
}

static inline void push(struct cp_index *x, uint32_t n,
                        struct cp_index_node *node)
{
    uint32_t *bucket = bucket_of(x, node->hash);

    node->next = *bucket;
    *bucket = n;
}

/* Doubles the table, or leaves it as it is when there is no memory. */
static void grow(struct cp_index *x)
{
    uint32_t *old = x->buckets, alone = x->first_bucket;
    uint32_t old_count = x->bucket_count;
    uint32_t count = old_count < FIRST_TABLE ? FIRST_TABLE : 2 * old_count;
    uint32_t *buckets =
        count == 0 ? NULL
                   : cp_zalloc(x->cells->mem, (size_t)count * sizeof(*old));

    if (buckets == NULL)
        return;
    x->buckets = buckets;
    x->bucket_count = count;
    for (uint32_t i = 0; i < old_count; i++)
        for (uint32_t n = old == NULL ? alone : old[i]; n != 0;) {
            struct cp_index_node *node = node_of(x, n);
            uint32_t after = node->next;

            push(x, n, node);
            n = after;
        }
    cp_free(x->cells->mem, old);
}

static uint32_t seek(const struct cp_index *x, uint32_t n, uint32_t hash)
{
    while (n != 0) {
        const struct cp_index_node *node = node_of(x, n);

        if (node->hash == hash)
            return n;
        n = node->next;
    }
    return 0;
}

uint32_t cp_index_first(const struct cp_index *x, uint64_t hash)
{
    return seek(x, *bucket_of(x, (uint32_t)hash), (uint32_t)hash);
}

uint32_t cp_index_next(const struct cp_index *x, uint32_t n)
{
    const struct cp_index_node *node = node_of(x, n);

    return seek(x, node->next, node->hash);
}

void cp_index_put(struct cp_index *x, uint32_t n, uint64_t hash)
{
    struct cp_index_node *node = node_of(x, n);

    if (x->count >= x->bucket_count)
        grow(x);
    node->hash = (uint32_t)hash;
    push(x, n, node);
    x->count++;
}

void cp_index_remove(struct cp_index *x, uint32_t n)
{
    struct cp_index_node *node = node_of(x, n);
    uint32_t *at = bucket_of(x, node->hash);

    while (*at != n)
        at = &node_of(x, *at)->next;
    *at = node->next;
    x->count--;
}
