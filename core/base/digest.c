#include "base/digest.h"
#include "base/siphash.h"

#define P1 UINT64_C(0x9e3779b185ebca87)
#define P2 UINT64_C(0xc2b2ae3d27d4eb4f)
#define P3 UINT64_C(0x165667b19e3779f9)
#define P4 UINT64_C(0x85ebca77c2b2ae63)
#define P5 UINT64_C(0x27d4eb2f165667c5)

static inline uint64_t lane(uint64_t sum, uint64_t word)
{
    return cp_sip_turn(sum + word * P2, 31) * P1;
}

static inline uint64_t merge(uint64_t all, uint64_t sum)
{
    return (all ^ lane(0, sum)) * P1 + P4;
}

/* Four lanes, which wait for nothing of each other. */
static uint64_t digest_of_stripes(const uint8_t *p, size_t count)
{
    uint64_t a = P1 + P2, b = P2, c = 0, d = 0 - P1, all;

    for (; count > 0; count--, p += 32) {
        a = lane(a, cp_sip_read(p));
        b = lane(b, cp_sip_read(p + 8));
        c = lane(c, cp_sip_read(p + 16));
        d = lane(d, cp_sip_read(p + 24));
    }
    all = cp_sip_turn(a, 1) + cp_sip_turn(b, 7) + cp_sip_turn(c, 12) +
          cp_sip_turn(d, 18);
    return merge(merge(merge(merge(all, a), b), c), d);
}

static uint64_t digest_of_rest(uint64_t all, const uint8_t *p, size_t left)
{
    for (; left >= 8; left -= 8, p += 8)
        all = cp_sip_turn(all ^ lane(0, cp_sip_read(p)), 27) * P1 + P4;
    if (left >= 4) {
        uint64_t four = p[0] | (uint64_t)p[1] << 8 | (uint64_t)p[2] << 16 |
                        (uint64_t)p[3] << 24;

        all = cp_sip_turn(all ^ four * P1, 23) * P2 + P3;
        left -= 4;
        p += 4;
    }
    for (; left > 0; left--)
        all = cp_sip_turn(all ^ *p++ * P5, 11) * P1;
    return all;
}

uint64_t cp_digest(const void *data, size_t len)
{
    const uint8_t *p = data;
    size_t stripes = len / 32;
    uint64_t all = stripes > 0 ? digest_of_stripes(p, stripes) : P5;

    all += len;
    if (len % 32 > 0)
        all = digest_of_rest(all, p + 32 * stripes, len % 32);
    all = (all ^ all >> 33) * P2;
    all = (all ^ all >> 29) * P3;
    return all ^ all >> 32;
}
