/* A hash map of records that are known by numbers (base/cells.h): as base/map.h,
 * in half the room. */
#ifndef CP_BASE_INDEX_H
#define CP_BASE_INDEX_H

#include "base/cells.h"
#include "base/random.h"
#include "base/siphash.h"

/* What a record needs of it. */
struct cp_index_node {
    uint32_t next; /* of the same bucket; 0: none */
    uint32_t hash; /* its lower half */
};

struct cp_index {
    const struct cp_cells *cells;
    uint32_t *buckets;
    uint32_t first_bucket; /* the table until it first grows */
    uint32_t bucket_count; /* a power of two */
    uint32_t count;
    uint32_t at; /* where a record has its node */
    uint8_t key[16];
};

void cp_index_init(struct cp_index *x, const struct cp_cells *cells, size_t at,
                   struct cp_random *random);

/* Frees the table, not what is in it. */
void cp_index_clear(struct cp_index *x);

/* A hash by the word: cp_sip_add(), cp_address_hash(), cp_sip_end(). */
static inline struct cp_sip cp_index_sip(const struct cp_index *x)
{
    return cp_sip_begin(x->key);
}

/* Records of that hash, as far as its lower half tells, one after another; 0:
 * no more. The caller compares the real key. */
uint32_t cp_index_first(const struct cp_index *x, uint64_t hash);
uint32_t cp_index_next(const struct cp_index *x, uint32_t n);

/* The first record of the i-th of bucket_count buckets, whatever its hash; 0:
 * there is none. For who must see everything (an endpoint's end). */
static inline uint32_t cp_index_at(const struct cp_index *x, uint32_t i)
{
    return x->buckets == NULL ? x->first_bucket : x->buckets[i];
}

/* Putting never fails: when the table cannot grow, chains get longer. */
void cp_index_put(struct cp_index *x, uint32_t n, uint64_t hash);

/* n is in it. */
void cp_index_remove(struct cp_index *x, uint32_t n);

#endif
