#include "wire/block.h"

int cp_block_decode_bert(copal_bytes value, struct cp_block *b)
{
    uint32_t bits;

    if (value.len > 3)
        return COPAL_EFORMAT;
    bits = (uint32_t)cp_bytes_uint(value);
    *b = (struct cp_block){
        .num = bits >> 4,
        .more = bits >> 3 & 1,
        .is_bert = (bits & 7) == 7,
        .size = CP_BLOCK_MAX_SIZE,
    };
    if (!b->is_bert)
        b->size = (uint16_t)(CP_BLOCK_MIN_SIZE << (bits & 7));
    return 0;
}

int cp_block_decode(copal_bytes value, struct cp_block *b)
{
    struct cp_block any;

    if (cp_block_decode_bert(value, &any) != 0 || any.is_bert)
        return COPAL_EFORMAT;
    *b = any;
    return 0;
}

bool cp_block_holds(struct cp_block b, size_t len)
{
    if (b.is_bert)
        return !b.more || (len > 0 && len % b.size == 0);
    return b.more ? len == b.size : len <= b.size;
}

uint32_t cp_block_encode(struct cp_block b)
{
    uint32_t szx = 7;

    if (!b.is_bert) /* a power of two from 2^4 on */
        szx = b.size <= CP_BLOCK_MIN_SIZE
                  ? 0
                  : 28u - (uint32_t)__builtin_clz(b.size - 1u);
    return b.num << 4 | (uint32_t)b.more << 3 | szx;
}

uint16_t cp_block_fit(uint64_t size)
{
    uint16_t fits = CP_BLOCK_MAX_SIZE;

    while (fits > CP_BLOCK_MIN_SIZE && fits > size)
        fits /= 2;
    return fits;
}
