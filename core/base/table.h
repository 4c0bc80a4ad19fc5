/* A hash table of numbers (base/cells.h) that lie side by side with their hashes:
 * whether one is there, or to take one out, is known without a look at any
 * record, of which each could be a wait for memory. For keys whose hashes differ
 * but by chance; those of base/index.h may be many of one hash. */
#ifndef CP_BASE_TABLE_H
#define CP_BASE_TABLE_H

#include "base/fetch.h"
#include "base/mem.h"
#include "base/random.h"
#include "base/siphash.h"

struct cp_place {
    uint32_t number; /* 0: none is here */
    uint32_t hash;   /* its lower half */
};

struct cp_table {
    struct cp_mem *mem;
    struct cp_place *places;
    uint32_t room; /* a power of two, or 0 */
    uint32_t count;
    uint8_t key[16];
};

enum {
    CP_TABLE_SHARE =
        26 /* bytes of it that one of a dozen or more takes, at most */
};

void cp_table_init(struct cp_table *t, struct cp_mem *mem,
                   struct cp_random *random);
void cp_table_clear(struct cp_table *t);

/* Begins to fetch what looking for that hash will look at. */
static inline void cp_table_fetch(const struct cp_table *t, uint64_t hash)
{
    const struct cp_place *p;

    if (t->room == 0)
        return;
    p = &t->places[(uint32_t)hash & (t->room - 1)];
    cp_fetch(p);
    cp_fetch((const char *)p + 32); /* a few are looked at */
}

/* One after another those whose hash is the same, as far as its lower half tells;
 * 0: no more. *step is 0 at first. */
uint32_t cp_table_find(const struct cp_table *t, uint64_t hash, uint32_t *step);

/* Room for one more. False: out of memory. */
bool cp_table_reserve(struct cp_table *t);

/* number is not 0, and room was reserved. */
void cp_table_put(struct cp_table *t, uint64_t hash, uint32_t number);

/* It is in there with that hash, of which the lower half is enough. */
void cp_table_remove(struct cp_table *t, uint64_t hash, uint32_t number);

#endif
