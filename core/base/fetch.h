/* Begins to bring what will be looked at in a moment into the cache. */
#ifndef CP_BASE_FETCH_H
#define CP_BASE_FETCH_H

/* The empty statement keeps it: of a function that does nothing but fetch gcc
 * thinks that it does nothing, and leaves its calls out. */
static inline void cp_fetch(const void *p)
{
    __builtin_prefetch(p);
    __asm__ volatile("");
}

#endif
