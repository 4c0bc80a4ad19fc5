/* SipHash, keyed: who does not know the key can neither make a value nor aim at
 * one. */
#ifndef CP_BASE_SIPHASH_H
#define CP_BASE_SIPHASH_H

#include <stddef.h>
#include <stdint.h>

/* SipHash-1-3 and -2-4 on their way. */
struct cp_sip {
    uint64_t a, b, c, d;
};

static inline uint64_t cp_sip_turn(uint64_t v, unsigned bits)
{
    return v << bits | v >> (64 - bits);
}

static inline void cp_sip_round(struct cp_sip *s)
{
    s->a += s->b;
    s->c += s->d;
    s->b = cp_sip_turn(s->b, 13) ^ s->a;
    s->d = cp_sip_turn(s->d, 16) ^ s->c;
    s->a = cp_sip_turn(s->a, 32);
    s->c += s->b;
    s->a += s->d;
    s->b = cp_sip_turn(s->b, 17) ^ s->c;
    s->d = cp_sip_turn(s->d, 21) ^ s->a;
    s->c = cp_sip_turn(s->c, 32);
}

static inline uint64_t cp_sip_read(const uint8_t *p)
{
    return (uint64_t)p[0] | (uint64_t)p[1] << 8 | (uint64_t)p[2] << 16 |
           (uint64_t)p[3] << 24 | (uint64_t)p[4] << 32 | (uint64_t)p[5] << 40 |
           (uint64_t)p[6] << 48 | (uint64_t)p[7] << 56;
}

static inline struct cp_sip cp_sip_begin(const uint8_t key[16])
{
    uint64_t k0 = cp_sip_read(key), k1 = cp_sip_read(key + 8);

    return (struct cp_sip){
        .a = k0 ^ UINT64_C(0x736f6d6570736575),
        .b = k1 ^ UINT64_C(0x646f72616e646f6d),
        .c = k0 ^ UINT64_C(0x6c7967656e657261),
        .d = k1 ^ UINT64_C(0x7465646279746573),
    };
}

/* SipHash-1-3 by the word, where a look-up is made of a few numbers: begin, add
 * each, end, of a copy if more shall follow. The length is no part of it: two
 * keys, be one the other's beginning, hash alike by chance alone, as whoever
 * does not know the state cannot aim at what end makes of it. */
static inline void cp_sip_add(struct cp_sip *s, uint64_t word)
{
    s->d ^= word;
    cp_sip_round(s);
    s->a ^= word;
}

/* By whole words, the last filled up with zeroes: whoever cannot tell from what
 * else is added how many bytes they are adds that, too. */
static inline void cp_sip_add_bytes(struct cp_sip *s, const uint8_t *p,
                                    size_t len)
{
    uint64_t rest = 0;

    for (; len >= 8; len -= 8, p += 8)
        cp_sip_add(s, cp_sip_read(p));
    for (size_t i = len; i > 0; i--)
        rest = rest << 8 | p[i - 1];
    if (len > 0)
        cp_sip_add(s, rest);
}

static inline uint64_t cp_sip_end(struct cp_sip s)
{
    s.c ^= 0xff;
    cp_sip_round(&s);
    cp_sip_round(&s);
    cp_sip_round(&s);
    return s.a ^ s.b ^ s.c ^ s.d;
}

/* SipHash-1-3, for values that stay here. */
uint64_t cp_siphash(const uint8_t key[16], const void *data, size_t len);

/* SipHash-2-4, for what strangers get to see and must not be able to make. */
uint64_t cp_siphash_mac(const uint8_t key[16], const void *data, size_t len);

#endif
