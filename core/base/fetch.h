/* Begins to bring what will be looked at in a moment into the cache. */
#ifndef CP_BASE_FETCH_H
#define CP_BASE_FETCH_H

#include <stddef.h>

enum {
    CP_LINE = 64 /* bytes, of the cache */
};

/* The empty statement keeps it: of a function that does nothing but fetch gcc
 * thinks that it does nothing, and leaves its calls out. */
static inline void cp_fetch(const void *p)
{
    __builtin_prefetch(p);
    __asm__ volatile("");
}

/* The same of n bytes, which begin at p. */
static inline void cp_fetch_all(const void *p, size_t n)
{
    for (size_t at = 0; at < n; at += CP_LINE)
        cp_fetch((const char *)p + at);
}

#endif
