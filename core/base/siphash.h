/* SipHash, keyed: who does not know the key can neither make a value nor aim at
 * one. */
#ifndef CP_BASE_SIPHASH_H
#define CP_BASE_SIPHASH_H

#include <stddef.h>
#include <stdint.h>

/* SipHash-1-3, for values that stay here. */
uint64_t cp_siphash(const uint8_t key[16], const void *data, size_t len);

/* SipHash-2-4, for what strangers get to see and must not be able to make. */
uint64_t cp_siphash_mac(const uint8_t key[16], const void *data, size_t len);

#endif
