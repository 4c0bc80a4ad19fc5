#include "base/refs.h"

void cp_refs_give_back(struct cp_refs *r, struct cp_mem *mem)
{
    if (atomic_fetch_add(&r->given, 1) == 0)
        cp_mem_retire(mem, &r->dead);
}

/* What is given back was taken before, so that is read first. */
int64_t cp_refs_settle(struct cp_refs *r)
{
    uint32_t given = atomic_exchange(&r->given, 0);
    uint32_t taken = atomic_exchange(&r->taken, 0);

    cp_refs_set_own(r, cp_refs_own(r) + taken - given);
    return cp_refs_own(r);
}
