/* Addresses of which something is known, for a while and so many at most: the
 * one noted longest ago gives way. */
#ifndef CP_ENGINE_FRESH_KNOWN_H
#define CP_ENGINE_FRESH_KNOWN_H

#include "base/list.h"
#include "base/map.h"
#include "engine/link.h"
#include "wire/message.h"

struct cp_known_entry {
    struct cp_map_node node;
    struct cp_list place; /* in known->oldest */
    const struct cp_link *link;
    struct cp_address remote;
    uint64_t at; /* ms: when it was noted */
    size_t len;
    uint8_t value[];
};

struct cp_known {
    struct cp_engine *engine;
    struct cp_map map;
    struct cp_list oldest;
    const char *limit; /* what a trace calls the bound */
    size_t most;       /* entries */
    uint64_t lives;    /* ms */
};

void cp_known_init(struct cp_known *k, struct cp_engine *e, const char *limit,
                   size_t most, uint64_t lives);
void cp_known_clear(struct cp_known *k);

/* NULL: nothing, or too long ago. link NULL: it counts by whatever link. */
struct cp_known_entry *cp_known_find(struct cp_known *k,
                                     const struct cp_link *link,
                                     const struct cp_address *remote);

/* Notes value, which is copied, in place of what was known. Out of memory:
 * nothing is known. */
void cp_known_put(struct cp_known *k, const struct cp_link *link,
                  const struct cp_address *remote, copal_bytes value);

void cp_known_remove(struct cp_known *k, struct cp_known_entry *known);

#endif
