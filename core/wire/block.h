/* The value of a Block1 or Block2 option: which block, how big, more to come.
 * On the wire 0 to 3 bytes, big-endian, leading zeroes dropped:
 * NUM (20 bits), M (1), SZX (3); a block is 2^(SZX+4) bytes. RFC 7959 2.2. */
#ifndef CP_WIRE_BLOCK_H
#define CP_WIRE_BLOCK_H

#include "base/bytes.h"

enum {
    CP_BLOCK_MAX_NUM = 1048575,
    CP_BLOCK_MIN_SIZE = 16, /* bytes */
    CP_BLOCK_MAX_SIZE = 1024
};

struct cp_block {
    uint32_t num;  /* 0 .. 1048575            */
    uint16_t size; /* bytes: 16, 32, .. 1024  */
    bool more;     /* another block follows   */
    bool is_bert;  /* SZX 7: as many of 1024 bytes at once as the message has,
                    * the last perhaps shorter. RFC 8323 6 */
};

/* Reads value into *b, untouched on failure.
 * COPAL_EFORMAT: over 3 bytes, or SZX 7, which means something on reliable
 * transports only (RFC 8323 6). */
int cp_block_decode(copal_bytes value, struct cp_block *b);

/* The same for a reliable transport, where SZX 7 is BERT and size 1024. */
int cp_block_decode_bert(copal_bytes value, struct cp_block *b);

/* May a message with b have so many bytes of payload? RFC 7959 2.2. */
bool cp_block_holds(struct cp_block b, size_t len);

/* The option's value as a number, to be written without leading zeroes. */
uint32_t cp_block_encode(struct cp_block b);

/* The block size, a power of two from 16 to 1024, at or below size. */
uint16_t cp_block_fit(uint64_t size);

/* Where the block begins in the body. */
static inline uint64_t cp_block_offset(struct cp_block b)
{
    return (uint64_t)b.num * b.size;
}

#endif
