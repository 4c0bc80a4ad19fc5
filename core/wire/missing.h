/* The list of missing blocks in a 4.08: a CBOR sequence of block numbers that
 * rise, media type application/missing-blocks+cbor-seq. RFC 9177 5. */
#ifndef CP_WIRE_MISSING_H
#define CP_WIRE_MISSING_H

#include "base/buf.h"

enum {
    CP_FORMAT_MISSING_BLOCKS = 272
};

/* Reads at most cap numbers, each below count, into nums; *n: how many. What
 * follows them is checked and left out, a number that stands there twice counts
 * once. COPAL_EFORMAT: empty, not such a sequence, or not in order. */
int cp_missing_read(copal_bytes list, uint32_t count, uint32_t *nums,
                    size_t cap, size_t *n);

void cp_missing_put(struct cp_buf *b, const uint32_t *nums, size_t n);

#endif
