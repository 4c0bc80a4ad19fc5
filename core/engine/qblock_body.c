#include "engine/qblock_body.h"

static uint64_t count_of(uint64_t total, uint16_t size)
{
    return total == 0 ? 1 : (total + size - 1) / size;
}

uint64_t cp_qblock_body_needs(uint64_t total, uint16_t size)
{
    return count_of(total, size) / 8 + 1;
}

int cp_qblock_body_open(struct cp_qblock_body *b, struct cp_mem *mem,
                        uint64_t total, uint16_t size)
{
    uint64_t count = count_of(total, size);

    if (count > CP_BLOCK_MAX_NUM + 1)
        return COPAL_EFORMAT;
    *b = (struct cp_qblock_body){
        .mem = mem, .total = total, .size = size, .count = (uint32_t)count};
    b->have = cp_zalloc(mem, (size_t)cp_qblock_body_needs(total, size));
    return b->have == NULL ? COPAL_ENOMEM : 0;
}

void cp_qblock_body_free(struct cp_qblock_body *b)
{
    cp_free(b->mem, b->data);
    cp_free(b->mem, b->have);
    *b = (struct cp_qblock_body){.mem = b->mem};
}

static uint64_t end_of(const struct cp_qblock_body *b, uint32_t num)
{
    uint64_t end = ((uint64_t)num + 1) * b->size;

    return end < b->total ? end : b->total;
}

uint64_t cp_qblock_body_growth(const struct cp_qblock_body *b, uint32_t num)
{
    uint64_t need = end_of(b, num), wish = b->cap * 2;

    if (need <= b->cap)
        return 0;
    if (wish > b->total)
        wish = b->total;
    return (wish > need ? wish : need) - b->cap;
}

bool cp_qblock_body_fits(const struct cp_qblock_body *b, struct cp_block p,
                         size_t len)
{
    return p.size == b->size && p.num < b->count &&
           p.more == (p.num + 1 < b->count) &&
           len == end_of(b, p.num) - cp_block_offset(p);
}

bool cp_qblock_body_has(const struct cp_qblock_body *b, uint32_t num)
{
    return b->have[num / 8] >> (num % 8) & 1;
}

bool cp_qblock_body_is_ahead(const struct cp_qblock_body *b, uint32_t num)
{
    return num >= b->end + CP_QBLOCK_AHEAD;
}

int cp_qblock_body_put(struct cp_qblock_body *b, uint32_t num, copal_bytes part)
{
    uint64_t growth = cp_qblock_body_growth(b, num);
    uint8_t *data;

    if (growth > 0) {
        data = cp_resize(b->mem, b->data, (size_t)(b->cap + growth));
        if (data == NULL)
            return COPAL_ENOMEM;
        b->data = data;
        b->cap += growth;
    }
    if (part.len > 0)
        memcpy(b->data + (uint64_t)num * b->size, part.data, part.len);
    b->have[num / 8] |= (uint8_t)(1u << (num % 8));
    b->got++;
    if (num >= b->end)
        b->end = num + 1;
    while (b->first < b->count && cp_qblock_body_has(b, b->first))
        b->first++;
    return 0;
}

static uint32_t newest_set(const struct cp_qblock_body *b)
{
    return b->end == 0 ? 0 : (b->end - 1) / CP_MAX_PAYLOADS;
}

enum cp_qblock_step cp_qblock_body_step(struct cp_qblock_body *b)
{
    uint32_t set = newest_set(b);

    if (b->got == b->count)
        return CP_QBLOCK_DONE;
    if (b->first > 0 && b->first == b->end && b->end % CP_MAX_PAYLOADS == 0)
        return CP_QBLOCK_CONTINUE;
    if (b->first < set * CP_MAX_PAYLOADS && set > b->told_set) {
        b->told_set = set;
        return CP_QBLOCK_ASK;
    }
    return CP_QBLOCK_WAIT;
}

size_t cp_qblock_body_missing(const struct cp_qblock_body *b, bool waited,
                              uint32_t nums[CP_MAX_PAYLOADS])
{
    uint32_t end = newest_set(b) * CP_MAX_PAYLOADS;
    size_t n = 0;

    if (waited)
        end += CP_MAX_PAYLOADS;
    if (waited && b->first >= end)
        end += CP_MAX_PAYLOADS;
    if (end > b->count)
        end = b->count;
    for (uint32_t i = b->first; i < end && n < CP_MAX_PAYLOADS; i++)
        if (!cp_qblock_body_has(b, i))
            nums[n++] = i;
    return n;
}

uint8_t *cp_qblock_body_take(struct cp_qblock_body *b)
{
    uint8_t *data = b->data == NULL ? cp_alloc(b->mem, 0) : b->data;

    if (data != NULL)
        b->data = NULL;
    return data;
}
