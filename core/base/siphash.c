#include "base/siphash.h"

/* Each with its rounds known to the compiler, which would share one otherwise. */
#define SIPHASH static inline __attribute__((always_inline))

SIPHASH void add(struct cp_sip *s, uint64_t word, int rounds)
{
    s->d ^= word;
    for (int i = 0; i < rounds; i++)
        cp_sip_round(s);
    s->a ^= word;
}

/* The last 0 to 7 bytes of len, p points at. */
SIPHASH uint64_t tail_of(const uint8_t *p, size_t left, size_t len)
{
    uint64_t tail = 0;

    if (left == 0)
        return 0;
    if (len >= 8) /* with some of those before it, which are shifted out */
        return cp_sip_read(p + left - 8) >> (64 - 8 * left);
    while (left-- > 0)
        tail |= (uint64_t)p[left] << 8 * left;
    return tail;
}

/* SipHash-rounds-last_rounds. */
SIPHASH uint64_t siphash(int rounds, int last_rounds, const uint8_t key[16],
                         const void *data, size_t len)
{
    struct cp_sip s = cp_sip_begin(key);
    const uint8_t *p = data;
    size_t left = len;

    for (; left >= 8; left -= 8, p += 8)
        add(&s, cp_sip_read(p), rounds);
    add(&s, (uint64_t)len << 56 | tail_of(p, left, len), rounds);
    s.c ^= 0xff;
    for (int i = 0; i < last_rounds; i++)
        cp_sip_round(&s);
    return s.a ^ s.b ^ s.c ^ s.d;
}

uint64_t cp_siphash(const uint8_t key[16], const void *data, size_t len)
{
    return siphash(1, 3, key, data, len);
}

uint64_t cp_siphash_mac(const uint8_t key[16], const void *data, size_t len)
{
    return siphash(2, 4, key, data, len);
}
