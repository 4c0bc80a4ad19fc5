#include "base/siphash.h"

struct sip {
    uint64_t a, b, c, d;
};

static inline uint64_t turn(uint64_t v, unsigned bits)
{
    return v << bits | v >> (64 - bits);
}

static inline uint64_t read_le64(const uint8_t *p)
{
    return (uint64_t)p[0] | (uint64_t)p[1] << 8 | (uint64_t)p[2] << 16 |
           (uint64_t)p[3] << 24 | (uint64_t)p[4] << 32 | (uint64_t)p[5] << 40 |
           (uint64_t)p[6] << 48 | (uint64_t)p[7] << 56;
}

static inline void sip_round(struct sip *s)
{
    s->a += s->b;
    s->c += s->d;
    s->b = turn(s->b, 13) ^ s->a;
    s->d = turn(s->d, 16) ^ s->c;
    s->a = turn(s->a, 32);
    s->c += s->b;
    s->a += s->d;
    s->b = turn(s->b, 17) ^ s->c;
    s->d = turn(s->d, 21) ^ s->a;
    s->c = turn(s->c, 32);
}

static inline void sip_word(struct sip *s, uint64_t word, int rounds)
{
    s->d ^= word;
    for (int i = 0; i < rounds; i++)
        sip_round(s);
    s->a ^= word;
}

/* SipHash-rounds-last_rounds. */
static inline uint64_t siphash(int rounds, int last_rounds,
                               const uint8_t key[16], const void *data,
                               size_t len)
{
    uint64_t k0 = read_le64(key), k1 = read_le64(key + 8);
    struct sip s = {
        .a = k0 ^ UINT64_C(0x736f6d6570736575),
        .b = k1 ^ UINT64_C(0x646f72616e646f6d),
        .c = k0 ^ UINT64_C(0x6c7967656e657261),
        .d = k1 ^ UINT64_C(0x7465646279746573),
    };
    uint64_t last = (uint64_t)len << 56;
    const uint8_t *p = data;
    size_t left = len;

    for (; left >= 8; left -= 8, p += 8)
        sip_word(&s, read_le64(p), rounds);
    while (left-- > 0)
        last |= (uint64_t)p[left] << 8 * left;
    sip_word(&s, last, rounds);
    s.c ^= 0xff;
    for (int i = 0; i < last_rounds; i++)
        sip_round(&s);
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
