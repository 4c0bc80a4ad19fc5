/* Memory for Lua, whose objects are small and many: as lua_Alloc wants it. Blocks of
 * one size lie in pages of their own, so that to take and to give back one is a few
 * steps, whatever order a collector frees them in. A page of which nothing is in
 * use is given back to the system, but for one of each size. For one thread. */
#ifndef COPAL_SLAB_H
#define COPAL_SLAB_H

#include <stddef.h>

enum {
    SLAB_STEP = 16,    /* bytes: sizes are multiples of it   */
    SLAB_LARGEST = 512 /* bytes: larger ones are malloc()'s  */
};

struct slab_page;

/* All zero to begin with. */
struct slab {
    struct slab_page *with_room[SLAB_LARGEST / SLAB_STEP];
    size_t pages;
};

/* A lua_Alloc; slab is a struct slab. */
void *slab_alloc(void *slab, void *block, size_t old_size, size_t size);

/* Everything was given back. */
void slab_end(struct slab *s);

#endif
