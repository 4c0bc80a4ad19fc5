/* References to what the owner's thread of a mem uses all the time and any other
 * may let go of (garbage collectors choose their own thread). The owner counts
 * without an atomic addition, which takes as long as a dozen others and would be
 * paid twenty times for one request. What others do is counted apart. */
#ifndef CP_BASE_REFS_H
#define CP_BASE_REFS_H

#include <stdatomic.h>
#include "base/mem.h"

/* count + taken - given is how many there are, modulo 2^32. given is reset by
 * reap() alone, which the first of them brought about: until then the thing is
 * not freed, and who gives one back does not touch it again, but for the first. */
struct cp_refs {
    struct cp_dead dead;    /* reap(): others gave some back */
    _Atomic uint32_t count; /* written by the owner's thread alone */
    _Atomic uint32_t taken; /* by others */
    _Atomic uint32_t given; /* back by others */
};

enum {
    CP_REFS_SEEN_TO = -1 /* reap() is about to be called, or was */
};

static inline void cp_refs_init(struct cp_refs *r,
                                void (*reap)(struct cp_dead *dead))
{
    r->dead = (struct cp_dead){.reap = reap};
    atomic_init(&r->count, 1);
    atomic_init(&r->taken, 0);
    atomic_init(&r->given, 0);
}

static inline uint32_t cp_refs_own(const struct cp_refs *r)
{
    return atomic_load_explicit(&r->count, memory_order_relaxed);
}

static inline void cp_refs_set_own(struct cp_refs *r, uint32_t count)
{
    atomic_store_explicit(&r->count, count, memory_order_relaxed);
}

static inline void cp_refs_take(struct cp_refs *r, const struct cp_mem *mem)
{
    if (cp_mem_is_mine(mem))
        cp_refs_set_own(r, cp_refs_own(r) + 1);
    else
        atomic_fetch_add(&r->taken, 1);
}

/* Another thread's. */
void cp_refs_give_back(struct cp_refs *r, struct cp_mem *mem);

/* For reap(): how many are left. 0: nobody else knows of r any more. */
int64_t cp_refs_settle(struct cp_refs *r);

/* How many there are, for the owner's thread: more than it says are never
 * left. */
static inline uint32_t cp_refs_count(const struct cp_refs *r)
{
    uint32_t given = atomic_load(&r->given); /* first: it was taken before */

    return cp_refs_own(r) + atomic_load(&r->taken) - given;
}

/* How many are left, or CP_REFS_SEEN_TO. 0: nobody else knows of r any more. */
static inline int64_t cp_refs_drop(struct cp_refs *r, struct cp_mem *mem)
{
    uint32_t left;

    if (!cp_mem_is_mine(mem)) {
        cp_refs_give_back(r, mem);
        return CP_REFS_SEEN_TO;
    }
    left = cp_refs_own(r) - 1;
    cp_refs_set_own(r, left);
    if (atomic_load(&r->given) != 0)
        return CP_REFS_SEEN_TO;
    return (uint32_t)(left + atomic_load(&r->taken));
}

#endif
