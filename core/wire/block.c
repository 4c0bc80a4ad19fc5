#include "wire/block.h"

int cp_block_decode(copal_bytes value, struct cp_block *b)
{
    uint32_t bits;

    if (value.len > 3)
        return COPAL_EFORMAT;
    bits = (uint32_t)cp_bytes_uint(value);
    if ((bits & 7) == 7)
        return COPAL_EFORMAT;
    *b = (struct cp_block){
        .num = bits >> 4,
        .more = bits >> 3 & 1,
        .size = (uint16_t)(CP_BLOCK_MIN_SIZE << (bits & 7)),
    };
    return 0;
}

uint32_t cp_block_encode(struct cp_block b)
{
    uint32_t szx = 0;

    while (CP_BLOCK_MIN_SIZE << szx < b.size)
        szx++;
    return b.num << 4 | (uint32_t)b.more << 3 | szx;
}

uint16_t cp_block_fit(uint64_t size)
{
    uint16_t fits = CP_BLOCK_MAX_SIZE;

    while (fits > CP_BLOCK_MIN_SIZE && fits > size)
        fits /= 2;
    return fits;
}
