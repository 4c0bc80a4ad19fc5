/* Datagrams that nobody should send, the same each time: half of them random
 * bytes, half those of tests/vectors/codec_udp.json with some of it changed, cut
 * off, put in twice or out of another. */
#ifndef TESTS_JUNK_H
#define TESTS_JUNK_H

#include <jansson.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    JUNK_SEEDS = 1024,
    JUNK_LONGEST = 1400 /* bytes */
};

struct junk {
    uint64_t random;
    size_t seed_count;
    struct {
        uint8_t data[JUNK_LONGEST];
        size_t len;
    } seeds[JUNK_SEEDS];
    uint8_t data[JUNK_LONGEST]; /* the newest */
    size_t len;
};

/* xorshift: evenly from 0 to below. */
static inline uint32_t junk_below(struct junk *j, uint32_t below)
{
    j->random ^= j->random << 13;
    j->random ^= j->random >> 7;
    j->random ^= j->random << 17;
    return (uint32_t)((j->random >> 16) % below);
}

static inline void junk_add_seed(struct junk *j, const char *hex)
{
    size_t len = strlen(hex) / 2;

    if (len == 0 || len > JUNK_LONGEST || j->seed_count == JUNK_SEEDS)
        return;
    for (size_t i = 0; i < len; i++) {
        unsigned byte = 0;

        sscanf(hex + 2 * i, "%2x", &byte);
        j->seeds[j->seed_count].data[i] = (uint8_t)byte;
    }
    j->seeds[j->seed_count++].len = len;
}

/* NULL: the vectors are not there. Free with free(). */
static inline struct junk *junk_new(uint64_t random)
{
    struct junk *j = calloc(1, sizeof(*j));
    json_t *all = json_load_file(COPAL_VECTORS_DIR "/codec_udp.json",
                                 JSON_ALLOW_NUL, NULL);
    json_t *cases = json_object_get(all, "cases"), *row;
    size_t i;

    if (j == NULL)
        return NULL;
    j->random = random;
    json_array_foreach(cases, i, row)
    {
        const char *hex = json_string_value(json_object_get(row, "hex"));

        if (hex != NULL)
            junk_add_seed(j, hex);
    }
    json_decref(all);
    if (j->seed_count > 0)
        return j;
    free(j);
    return NULL;
}

static inline void junk_random(struct junk *j)
{
    j->len = junk_below(j, junk_below(j, 8) == 0 ? JUNK_LONGEST : 64);
    for (size_t i = 0; i < j->len; i++)
        j->data[i] = (uint8_t)junk_below(j, 256);
    if (j->len > 1 && junk_below(j, 2) == 0) /* as far as a version's check */
        j->data[0] = 0x40 | (j->data[0] & 0x3f);
}

static inline void junk_change(struct junk *j)
{
    size_t at = j->len == 0 ? 0 : junk_below(j, (uint32_t)j->len), n;

    switch (junk_below(j, 5)) {
    case 0: j->len = at; break;
    case 1: /* some of it twice */
        n = j->len - at;
        if (j->len + n <= JUNK_LONGEST) {
            memcpy(j->data + j->len, j->data + at, n);
            j->len += n;
        }
        break;
    case 2: /* the end of another */
        n = junk_below(j, (uint32_t)j->seed_count);
        if (j->seeds[n].len > at) {
            memcpy(j->data + at, j->seeds[n].data + at, j->seeds[n].len - at);
            j->len = j->seeds[n].len;
        }
        break;
    default:
        if (j->len > 0)
            j->data[at] = (uint8_t)junk_below(j, 256);
    }
}

static inline void junk_mutated(struct junk *j)
{
    size_t seed = junk_below(j, (uint32_t)j->seed_count);

    j->len = j->seeds[seed].len;
    memcpy(j->data, j->seeds[seed].data, j->len);
    for (uint32_t i = junk_below(j, 4); i > 0; i--)
        junk_change(j);
}

/* The next one, of either half: j->data, j->len. */
static inline void junk_next(struct junk *j)
{
    if (junk_below(j, 2) == 0)
        junk_random(j);
    else
        junk_mutated(j);
}

#endif
