/* Tells contents apart: XXH64 of seed 0, 32 bytes at a time. Without a key, so
 * only where nobody gains by two that are alike; else siphash.h. */
#ifndef CP_BASE_DIGEST_H
#define CP_BASE_DIGEST_H

#include <stddef.h>
#include <stdint.h>

uint64_t cp_digest(const void *data, size_t len);

#endif
