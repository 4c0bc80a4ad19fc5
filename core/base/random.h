/* Randomness of an endpoint: the operating system's, in portions, or for the
 * simulator a stream that a seed repeats (SipHash over a counter). */
#ifndef CP_BASE_RANDOM_H
#define CP_BASE_RANDOM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct cp_random {
    uint64_t seed;    /* 0: the operating system's randomness */
    uint64_t counter; /* of a seeded stream */
    uint8_t pool[256];
    size_t left; /* bytes of pool not yet used */

    /* May give bytes in place of what would come: true if it did. Or draws
     * them by cp_random_untapped(), to keep what came. One of them is NULL;
     * tap_user NULL: both are. */
    bool (*give)(void *tap_user, uint8_t *bytes, size_t n);
    void (*draw)(struct cp_random *r, uint8_t *out, size_t n);
    void *tap_user;
};

void cp_random_init(struct cp_random *r, uint64_t seed);
void cp_random_bytes(struct cp_random *r, void *out, size_t n);
/* The same, of which the tap is told nothing. */
void cp_random_untapped(struct cp_random *r, void *out, size_t n);

/* What is drawn next, if that are eight bytes. NULL: it is not known yet. */
static inline const uint8_t *cp_random_next_eight(const struct cp_random *r)
{
    return r->left < 8 ? NULL : r->pool + sizeof(r->pool) - r->left;
}

uint64_t cp_random_u64(struct cp_random *r);

/* A seeded stream goes on at one place, however much of it was drawn. */
void cp_random_skip(struct cp_random *r);

/* Evenly from 0 to below; below is at least 1. */
uint64_t cp_random_below(struct cp_random *r, uint64_t below);

#endif
