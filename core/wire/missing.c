#include "wire/missing.h"
#include "wire/cbor.h"

int cp_missing_read(copal_bytes list, uint32_t count, uint32_t *nums,
                    size_t cap, size_t *n)
{
    struct cp_cbor_reader r = cp_cbor_read(list, 1);
    struct cp_cbor_item item;
    uint64_t least = 0;
    int more;

    *n = 0;
    r.is_sequence = true;
    while ((more = cp_cbor_next(&r, &item)) == 1) {
        if (item.kind != CP_CBOR_UNSIGNED || item.n >= count ||
            item.n + 1 < least)
            return COPAL_EFORMAT;
        if (item.n + 1 == least) /* a duplicate: RFC 9177 5 */
            continue;
        least = item.n + 1;
        if (*n < cap)
            nums[(*n)++] = (uint32_t)item.n;
    }
    return more < 0 || least == 0 ? COPAL_EFORMAT : 0;
}

void cp_missing_put(struct cp_buf *b, const uint32_t *nums, size_t n)
{
    for (size_t i = 0; i < n; i++)
        cp_cbor_put_unsigned(b, nums[i]);
}
