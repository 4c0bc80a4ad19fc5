/* base/: writer, map, timers, randomness, addresses. */
#include "base/address.h"
#include "base/buf.h"
#include "base/digest.h"
#include "base/heap.h"
#include "base/list.h"
#include "base/map.h"
#include "base/random.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <net/if.h>
#include <cmocka.h>

/* Allows a number of allocations, then fails; -1: never fails. */
static void *failing_realloc(void *user, void *p, size_t n)
{
    int *left = user;

    if (n == 0) {
        free(p);
        return NULL;
    }
    if (*left == 0)
        return NULL;
    if (*left > 0)
        --*left;
    return realloc(p, n);
}

static struct cp_mem *mem;

static int set_up(void **state)
{
    (void)state;
    mem = cp_mem_new(NULL, NULL);
    return mem == NULL ? -1 : 0;
}

static int tear_down(void **state)
{
    (void)state;
    assert_int_equal(cp_mem_used(mem), 0);
    cp_mem_release(mem);
    return 0;
}

/* ---- buf ---- */

static void numbers_are_put_big_endian(void **state)
{
    static const uint8_t expected[] = {1, 2, 3, 4, 5, 6, 7};
    struct cp_buf b = cp_buf_new(mem);
    copal_bytes out;

    (void)state;
    cp_put_u8(&b, 1);
    cp_put_u16(&b, 0x0203);
    cp_put_u32(&b, 0x04050607);
    assert_int_equal(cp_buf_finish(&b, &out), 0);
    assert_int_equal(out.len, sizeof(expected));
    assert_memory_equal(out.data, expected, sizeof(expected));
    cp_buf_free(&b);
}

static void text_hex_and_formats_follow_one_another(void **state)
{
    struct cp_buf b = cp_buf_new(mem);
    char line[301];

    (void)state;
    memset(line, 'x', 300);
    line[300] = '\0';
    cp_put_text(&b, "a ");
    cp_put_hex(&b, cp_bytes("\x0a\xff", 2));
    cp_put_format(&b, " %d ", 42);
    cp_put_bytes(&b, cp_bytes(NULL, 0));
    assert_string_equal(cp_buf_text(&b), "a 0aff 42 ");
    assert_int_equal(b.len, 10);
    cp_put_format(&b, "%s!", line);
    assert_int_equal(b.len, 311);
    assert_memory_equal(cp_buf_text(&b) + 10, line, 300);
    assert_string_equal(cp_buf_text(&b) + 310, "!");
    cp_buf_free(&b);
    assert_string_equal(cp_buf_text(&b), "");
    cp_buf_free(&b);
}

static void fixed_storage_takes_what_fits_and_fails_beyond(void **state)
{
    uint8_t storage[5] = {0, 0, 0, 0, 0x55};
    struct cp_buf b = cp_buf_fixed(storage, 4);
    copal_bytes out;

    (void)state;
    cp_put_text(&b, "ab");
    cp_put_format(&b, "%s", "cd");
    assert_int_equal(cp_buf_finish(&b, &out), 0);
    assert_int_equal(out.len, 4);
    cp_put_u8(&b, 'e');
    assert_int_equal(cp_buf_finish(&b, &out), COPAL_ELIMIT);
    assert_null(cp_buf_text(&b));
    assert_int_equal(storage[4], 0x55);
    cp_buf_free(&b);
}

static void a_failed_put_sticks_until_the_end(void **state)
{
    int left = 2; /* the allocator itself, and the first storage */
    struct cp_mem *poor = cp_mem_new(failing_realloc, &left);
    struct cp_buf b = cp_buf_new(poor);
    copal_bytes out;
    size_t len;

    (void)state;
    for (int i = 0; i < 100; i++)
        cp_put_u8(&b, 1);
    left = -1;
    cp_put_u8(&b, 2);
    assert_int_equal(b.len, 64);
    assert_int_equal(cp_buf_finish(&b, &out), COPAL_ENOMEM);
    assert_null(cp_buf_text(&b));
    assert_null(cp_buf_take(&b, &len));
    cp_buf_free(&b);
    assert_int_equal(cp_mem_used(poor), 0);
    cp_mem_release(poor);
}

static void taken_storage_belongs_to_the_caller(void **state)
{
    struct cp_buf b = cp_buf_new(mem);
    size_t len = 99;
    uint8_t *data;

    (void)state;
    for (int i = 0; i < 5000; i++)
        cp_put_u8(&b, (uint8_t)i);
    data = cp_buf_take(&b, &len);
    assert_int_equal(len, 5000);
    assert_int_equal(cp_mem_used(mem), 5000);
    for (int i = 0; i < 5000; i++)
        assert_int_equal(data[i], (uint8_t)i);
    cp_free(mem, data);

    data = cp_buf_take(&b, &len);
    assert_non_null(data);
    assert_int_equal(len, 0);
    cp_free(mem, data);
    cp_buf_free(&b);
}

static void json_escapes_and_replaces_what_is_not_utf8(void **state)
{
#define R "\xef\xbf\xbd"
    static const struct {
        const char *in;
        size_t len;
        const char *out;
    } rows[] = {
        {"", 0, ""},
        {"plain", 5, "plain"},
        {"a\"b\\c", 5, "a\\\"b\\\\c"},
        {"\b\f\n\r\t", 5, "\\b\\f\\n\\r\\t"},
        {"\0\x01\x1f\x7f", 4, "\\u0000\\u0001\\u001f\\u007f"},
        {"gr\xc3\xbc\xc3\x9f", 6, "gr\xc3\xbc\xc3\x9f"},
        {"\xe2\x82\xac\xf0\x9f\x98\x80", 7, "\xe2\x82\xac\xf0\x9f\x98\x80"},
        {"\xed\x9f\xbf\xee\x80\x80", 6, "\xed\x9f\xbf\xee\x80\x80"},
        {"\xf4\x8f\xbf\xbf", 4, "\xf4\x8f\xbf\xbf"},
        {"a\x80z", 3, "a" R "z"},
        {"\xff\xfe", 2, R R},
        {"\xc0\xaf", 2, R R},             /* overlong */
        {"\xe0\x80\x80", 3, R R R},       /* overlong */
        {"\xf0\x8f\xbf\xbf", 4, R R R R}, /* overlong */
        {"\xed\xa0\x80", 3, R R R},       /* a surrogate */
        {"\xf4\x90\x80\x80", 4, R R R R}, /* beyond U+10FFFF */
        {"\xe2\x82", 2, R},               /* cut off */
        {"\xe2\x82z", 3, R "z"},          /* cut off */
        {"\xf0\x9f\x98\xc3\xbc", 5, R "\xc3\xbc"},
        {"\xc3\n", 2, R "\\n"},
    };
#undef R

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        /* Of its own size, so that a sanitizer sees a read beyond it. */
        uint8_t *in = malloc(rows[i].len + (rows[i].len == 0));
        struct cp_buf b = cp_buf_new(mem);

        memcpy(in, rows[i].in, rows[i].len);
        cp_put_json(&b, cp_bytes(in, rows[i].len));
        assert_string_equal(cp_buf_text(&b), rows[i].out);
        cp_buf_free(&b);
        free(in);
    }
}

/* ---- SipHash ---- */

struct sip_state {
    uint64_t v[4];
};

static uint64_t sip_turn(uint64_t x, int n)
{
    return x << n | x >> (64 - n);
}

static void sip_rounds(struct sip_state *s, int rounds)
{
    static const struct {
        int to, from, bits, half;
    } steps[] = {{0, 1, 13, 1}, {2, 3, 16, 0}, {0, 3, 21, 0}, {2, 1, 17, 1}};

    while (rounds-- > 0) {
        for (int i = 0; i < 4; i++) {
            s->v[steps[i].to] += s->v[steps[i].from];
            s->v[steps[i].from] = sip_turn(s->v[steps[i].from], steps[i].bits) ^
                                  s->v[steps[i].to];
            if (steps[i].half)
                s->v[steps[i].to] = sip_turn(s->v[steps[i].to], 32);
        }
    }
}

/* SipHash-c-d as its paper writes it, octet by octet. */
static uint64_t sip_reference(int c, int d, const uint8_t key[16],
                              const uint8_t *data, size_t len)
{
    const char constants[] = "somepseudorandomlygeneratedbytes";
    size_t padded = (len / 8 + 1) * 8;
    struct sip_state s = {{0}};

    for (int i = 0; i < 4; i++)
        for (int j = 0; j < 8; j++)
            s.v[i] |= (uint64_t)((uint8_t)constants[8 * i + 7 - j] ^
                                 key[8 * (i % 2) + j])
                      << 8 * j;
    for (size_t at = 0; at < padded; at += 8) {
        uint64_t m = 0;

        for (size_t j = 8; j-- > 0;) {
            size_t i = at + j;
            m = m << 8 | (i < len           ? data[i]
                          : i == padded - 1 ? (uint8_t)len
                                            : 0);
        }
        s.v[3] ^= m;
        sip_rounds(&s, c);
        s.v[0] ^= m;
    }
    s.v[2] ^= 0xff;
    sip_rounds(&s, d);
    return s.v[0] ^ s.v[1] ^ s.v[2] ^ s.v[3];
}

static void siphash_agrees_with_a_checked_reference(void **state)
{
    uint8_t key[16], data[64];

    (void)state;
    for (uint8_t i = 0; i < 64; i++)
        data[i] = i;
    memcpy(key, data, 16);
    /* The paper's appendix A: SipHash-2-4 of 00 .. 0e. */
    assert_true(sip_reference(2, 4, key, data, 15) ==
                UINT64_C(0xa129ca6149be45e5));
    /* Its authors' vectors_sip64: of nothing. */
    assert_true(sip_reference(2, 4, key, data, 0) ==
                UINT64_C(0x726fdb47dd0e0e31));
    for (size_t len = 0; len <= 64; len++) {
        assert_true(cp_siphash(key, data, len) ==
                    sip_reference(1, 3, key, data, len));
        assert_true(cp_siphash_mac(key, data, len) ==
                    sip_reference(2, 4, key, data, len));
    }
    assert_true(cp_siphash(key, data + 1, 63) ==
                sip_reference(1, 3, key, data + 1, 63));
}

static void a_digest_is_that_of_xxh64(void **state)
{
    static const struct {
        const char *text;
        uint64_t digest;
    } rows[] = {
        {"", UINT64_C(0xef46db3751d8e999)},
        {"a", UINT64_C(0xd24ec4f1a98c6e5b)},
        {"abc", UINT64_C(0x44bc2cf5ad770999)},
        {"Nobody inspects the spammish repetition",
         UINT64_C(0xfbcea83c8a378bf1)},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
        assert_true(cp_digest(rows[i].text, strlen(rows[i].text)) ==
                    rows[i].digest);
}

static void a_digest_sees_every_bit(void **state)
{
    uint8_t data[100] = {0};

    (void)state;
    for (size_t len = 1; len <= sizeof(data); len++) {
        uint64_t before = cp_digest(data, len);

        assert_true(before != cp_digest(data, len - 1));
        for (size_t bit = 0; bit < 8 * len; bit++) {
            data[bit / 8] ^= (uint8_t)(1u << bit % 8);
            assert_true(cp_digest(data, len) != before);
            data[bit / 8] = 0;
        }
    }
}

static void a_hash_by_the_word_is_siphash_without_the_length(void **state)
{
    uint8_t key[16], data[32];
    struct cp_sip s;

    (void)state;
    for (uint8_t i = 0; i < 32; i++)
        data[i] = i;
    memcpy(key, data, 16);
    s = cp_sip_begin(key);
    for (size_t words = 0; words <= 4; words++) {
        struct cp_sip whole = s;

        cp_sip_add(&whole, (uint64_t)words * 8 << 56);
        assert_true(cp_sip_end(whole) ==
                    sip_reference(1, 3, key, data, words * 8));
        if (words < 4)
            cp_sip_add(&s, cp_sip_read(data + words * 8));
    }
}

static uint64_t hash_of_address(const struct cp_address *a)
{
    static const uint8_t key[16] = "a secret of ours";
    struct cp_sip s = cp_sip_begin(key);

    cp_address_hash(&s, a);
    return cp_sip_end(s);
}

static void every_part_of_an_address_is_hashed(void **state)
{
    static const struct cp_address all[] = {
        {.ip = {192, 0, 2, 1}, .port = 5683, .family = CP_IPV4},
        {.ip = {192, 0, 2, 2}, .port = 5683, .family = CP_IPV4},
        {.ip = {192, 0, 2, 1}, .port = 5684, .family = CP_IPV4},
        {.ip = {192, 0, 2, 1}, .port = 5683, .family = CP_IPV6},
        {.ip = {192, 0, 2, 1}, .port = 5683, .family = CP_NAMED},
        {.ip = {[15] = 1}, .port = 5683, .family = CP_IPV6},
        {.ip = {[8] = 1}, .port = 5683, .family = CP_IPV6},
        {.ip = {[15] = 1}, .scope = 1, .port = 5683, .family = CP_IPV6},
    };
    size_t count = sizeof(all) / sizeof(all[0]);

    (void)state;
    for (size_t i = 0; i < count; i++)
        for (size_t j = 0; j < count; j++)
            assert_true((hash_of_address(&all[i]) ==
                         hash_of_address(&all[j])) == (i == j));
}

/* ---- map ---- */

enum {
    ITEMS = 500
};

struct item {
    struct cp_map_node node;
    uint32_t key;
    bool in;
};

static uint64_t hash_of(const struct cp_map *map, uint32_t key, bool collide)
{
    /* Colliding: all hashes from a few values. */
    return collide ? key % 7 : cp_map_hash(map, &key, sizeof(key));
}

static struct item *look_up(const struct cp_map *map, uint32_t key,
                            bool collide)
{
    struct cp_map_node *n = cp_map_first(map, hash_of(map, key, collide));

    for (; n != NULL; n = cp_map_next(n)) {
        struct item *item = cp_container_of(n, struct item, node);
        if (item->key == key)
            return item;
    }
    return NULL;
}

/* Keys that all fall into one bucket of a map whose key is known. */
static void choose_colliding(const struct cp_map *known, struct item *items,
                             size_t count, size_t buckets)
{
    uint32_t key = 0;

    for (size_t i = 0; i < count; key++)
        if ((cp_map_hash(known, &key, sizeof(key)) & (buckets - 1)) == 0)
            items[i++].key = key;
}

/* Nodes that are looked at when each item is looked for. */
static size_t steps_for_all(struct cp_map *map, struct item *items,
                            size_t count)
{
    size_t steps = 0;

    for (size_t i = 0; i < count; i++)
        cp_map_put(map, &items[i].node,
                   cp_map_hash(map, &items[i].key, sizeof(items[i].key)));
    for (size_t i = 0; i < count; i++) {
        size_t at = (size_t)items[i].node.hash & (map->bucket_count - 1);
        struct cp_map_node *n = map->buckets[at];

        for (; n != &items[i].node; n = n->next)
            steps++;
        steps++;
    }
    for (size_t i = 0; i < count; i++)
        cp_map_remove(map, &items[i].node);
    return steps;
}

static void keys_made_to_collide_do_so_in_no_other_map(void **state)
{
    static struct item crafted[1000], plain[1000];
    struct cp_random random;
    struct cp_map known, other;
    size_t usual, steps;

    (void)state;
    cp_random_init(&random, 1);
    cp_map_init(&known, mem, &random);
    choose_colliding(&known, crafted, 1000, 1024);
    for (uint32_t i = 0; i < 1000; i++)
        plain[i].key = i;
    usual = steps_for_all(&known, plain, 1000);
    assert_true(steps_for_all(&known, crafted, 1000) > 100 * usual);
    for (int i = 0; i < 20; i++) {
        cp_map_init(&other, mem, &random);
        steps = steps_for_all(&other, crafted, 1000);
        assert_in_range(steps, usual / 2, 2 * usual);
        cp_map_clear(&other);
    }
    cp_map_clear(&known);
}

static void map_follows_a_model(struct cp_mem *from, bool collide)
{
    struct item *items = calloc(ITEMS, sizeof(*items));
    struct cp_random random;
    struct cp_map map;
    size_t count = 0;

    cp_random_init(&random, 1);
    cp_map_init(&map, from, &random);
    for (uint32_t i = 0; i < ITEMS; i++)
        items[i].key = i * 3;
    for (int step = 0; step < 20000; step++) {
        struct item *item = &items[cp_random_below(&random, ITEMS)];
        uint64_t what = cp_random_below(&random, 3);

        if (what == 0 && !item->in) {
            cp_map_put(&map, &item->node, hash_of(&map, item->key, collide));
            item->in = true;
            count++;
        } else if (what == 1) {
            cp_map_remove(&map, &item->node);
            count -= item->in;
            item->in = false;
        }
        assert_ptr_equal(look_up(&map, item->key, collide),
                         item->in ? item : NULL);
        assert_int_equal(map.count, count);
    }
    size_t seen = 0;
    map_each (node, after, &map) {
        struct item *item = cp_container_of(node, struct item, node);

        assert_true(item->in);
        item->in = false;
        seen++;
        if (seen % 2 == 0)
            cp_map_remove(&map, node);
    }
    assert_int_equal(seen, count);
    assert_int_equal(map.count, count - count / 2);
    cp_map_clear(&map);
    assert_int_equal(map.count, 0);
    assert_null(cp_map_first(&map, 0));
    free(items);
}

static void a_map_holds_what_was_put_and_not_removed(void **state)
{
    (void)state;
    map_follows_a_model(mem, false);
    map_follows_a_model(mem, true);
}

static void a_map_works_when_its_table_cannot_grow(void **state)
{
    (void)state;
    for (int allowed = 0; allowed < 4; allowed++) {
        int left = 1 + allowed;
        struct cp_mem *poor = cp_mem_new(failing_realloc, &left);

        map_follows_a_model(poor, false);
        assert_int_equal(cp_mem_used(poor), 0);
        cp_mem_release(poor);
    }
}

static void a_table_grows_with_what_is_in_it(void **state)
{
    static struct item items[1000];
    struct cp_random random;
    struct cp_map map;

    (void)state;
    cp_random_init(&random, 2);
    cp_map_init(&map, mem, &random);
    for (uint32_t i = 0; i < 1000; i++)
        cp_map_put(&map, &items[i].node, cp_map_hash(&map, &i, sizeof(i)));
    assert_int_equal(map.bucket_count, 1024);
    cp_map_clear(&map);
}

/* ---- heap ---- */

enum {
    TIMERS = 200
};

struct alarm {
    struct cp_timer timer;
    uint64_t at;    /* the model's */
    uint64_t order; /* the model's; 0: not started */
};

static struct alarm alarms[TIMERS];
static struct alarm *rang;

static void ring(struct cp_timer *t)
{
    rang = cp_container_of(t, struct alarm, timer);
    assert_false(cp_timer_is_on(t));
}

static struct alarm *earliest(void)
{
    struct alarm *best = NULL;

    for (int i = 0; i < TIMERS; i++) {
        struct alarm *a = &alarms[i];
        if (a->order != 0 && (best == NULL || a->at < best->at ||
                              (a->at == best->at && a->order < best->order)))
            best = a;
    }
    return best;
}

static void expect_next(struct cp_heap *h, uint64_t now)
{
    struct alarm *best = earliest();
    bool is_due = best != NULL && best->at <= now;

    assert_true(cp_heap_next(h) == (best == NULL ? UINT64_MAX : best->at));
    rang = NULL;
    assert_int_equal(cp_heap_run(h, now), is_due);
    assert_ptr_equal(rang, is_due ? best : NULL);
    if (is_due)
        best->order = 0;
}

/* Each at one of so many times from now on. */
static void start_stop_and_expect(uint64_t times)
{
    struct cp_random random;
    struct cp_heap h = {0};
    uint64_t now = 0, order = 0;

    cp_random_init(&random, 3);
    memset(alarms, 0, sizeof(alarms));
    for (int step = 0; step < 30000; step++) {
        struct alarm *a = &alarms[cp_random_below(&random, TIMERS)];

        switch (cp_random_below(&random, 4)) {
        case 0:
        case 1:
            a->at = now + cp_random_below(&random, times);
            a->order = ++order;
            cp_timer_start(&h, &a->timer, a->at, ring);
            break;
        case 2:
            a->order = 0;
            cp_timer_stop(&h, &a->timer);
            break;
        default: expect_next(&h, now += cp_random_below(&random, 3)); break;
        }
        assert_int_equal(cp_timer_is_on(&a->timer), a->order != 0);
    }
    while (earliest() != NULL)
        expect_next(&h, UINT64_MAX);
    expect_next(&h, UINT64_MAX);
    assert_null(h.last);
}

static void timers_come_in_order_of_time_then_of_start(void **state)
{
    (void)state;
    start_stop_and_expect(1); /* nearly all of one time: long rows */
    start_stop_and_expect(2);
    start_stop_and_expect(30);
    start_stop_and_expect(100000);
}

static void a_million_timers_need_no_deep_stack(void **state)
{
    enum {
        MANY = 1000000
    };
    struct cp_timer *many = calloc(MANY, sizeof(*many));
    struct cp_heap h = {0};
    uint64_t last = 0;

    (void)state;
    for (int i = 0; i < MANY; i++)
        cp_timer_start(&h, &many[i], (uint64_t)(i % 2 ? i : MANY - i), ring);
    for (int i = 0; i < MANY; i++) {
        assert_true(cp_heap_next(&h) >= last);
        last = cp_heap_next(&h);
        assert_true(cp_heap_run(&h, UINT64_MAX));
    }
    assert_false(cp_heap_run(&h, UINT64_MAX));
    free(many);
}

/* ---- list ---- */

static void a_list_keeps_order_and_allows_removal_on_the_way(void **state)
{
    struct cp_list all, nodes[5];
    int i = 0;

    (void)state;
    cp_list_init(&all);
    assert_null(cp_list_first(&all));
    for (i = 0; i < 5; i++)
        cp_list_append(&all, &nodes[i]);
    i = 0;
    list_each (node, after, &all) {
        assert_ptr_equal(node, &nodes[i]);
        if (i++ % 2 == 0)
            cp_list_remove(node);
    }
    assert_int_equal(i, 5);
    assert_ptr_equal(cp_list_first(&all), &nodes[1]);
    assert_true(cp_list_empty(&nodes[0]));
}

/* ---- random ---- */

static void a_seed_repeats_its_stream_however_it_is_portioned(void **state)
{
    uint8_t whole[1000], parts[1000], other[1000];
    struct cp_random r;

    (void)state;
    cp_random_init(&r, 7);
    cp_random_bytes(&r, whole, sizeof(whole));
    cp_random_init(&r, 7);
    for (size_t at = 0, n = 0; at < sizeof(parts); at += n, n = n % 40 + 1)
        cp_random_bytes(&r, parts + at,
                        n < sizeof(parts) - at ? n : sizeof(parts) - at);
    assert_memory_equal(whole, parts, sizeof(whole));
    cp_random_init(&r, 8);
    cp_random_bytes(&r, other, sizeof(other));
    assert_memory_not_equal(whole, other, 16);
}

static void used_randomness_does_not_stay_in_the_pool(void **state)
{
    uint8_t out[100], zero[100] = {0};
    struct cp_random r;

    (void)state;
    cp_random_init(&r, 0);
    cp_random_bytes(&r, out, sizeof(out));
    assert_memory_equal(r.pool, zero, sizeof(zero));
}

static void the_system_gives_something_new_every_time(void **state)
{
    struct cp_random a, b;

    (void)state;
    cp_random_init(&a, 0);
    cp_random_init(&b, 0);
    assert_true(cp_random_u64(&a) != cp_random_u64(&b));
    for (int i = 0; i < 100; i++)
        assert_true(cp_random_u64(&a) != cp_random_u64(&a));
}

static void numbers_below_a_bound_are_even(void **state)
{
    struct cp_random r;
    int seen[6] = {0};

    (void)state;
    cp_random_init(&r, 5);
    for (int i = 0; i < 60000; i++)
        seen[cp_random_below(&r, 6)]++;
    for (int i = 0; i < 6; i++)
        assert_in_range(seen[i], 9500, 10500);
    assert_int_equal(cp_random_below(&r, 1), 0);
    for (int i = 0; i < 100; i++)
        assert_true(cp_random_below(&r, (UINT64_C(1) << 63) + 1) <= UINT64_C(1)
                                                                        << 63);
}

/* ---- address ---- */

static void literals_are_read_and_printed_as_rfc_5952_asks(void **state)
{
    /* NULL: not a literal. */
    static const struct {
        const char *in, *out;
    } rows[] = {
        {"127.0.0.1", "127.0.0.1"},
        {"255.255.255.255", "255.255.255.255"},
        {"::", "[::]"},
        {"::1", "[::1]"},
        {"1::", "[1::]"},
        {"2001:0DB8::0001", "[2001:db8::1]"},
        {"2001:db8:0:0:0:0:2:1", "[2001:db8::2:1]"},
        {"2001:db8:0:1:1:1:1:1", "[2001:db8:0:1:1:1:1:1]"},
        {"2001:0:0:1:0:0:0:1", "[2001:0:0:1::1]"},
        {"2001:db8:0:0:1:0:0:1", "[2001:db8::1:0:0:1]"},
        {"1:2:3:4:5:6:0:0", "[1:2:3:4:5:6::]"},
        {"0:0:3:4:5:6:7:8", "[::3:4:5:6:7:8]"},
        {"::ffff:192.0.2.1", "[::ffff:192.0.2.1]"},
        {"::102:304", "[::102:304]"},
        {"ff02::fd", "[ff02::fd]"},
        {"fe80::1%4000000000", "[fe80::1%4000000000]"},
        {"::1%4000000000", "[::1]"},
        {"fe80::1%4294967296", NULL},
        {"fe80::1%99999999999999999999999", NULL},
        {"fe80::1%0", NULL},
        {"fe80::1%", NULL},
        {"fe80::1%no such one", NULL},
        {"127.0.0.1%1", NULL},
        {"", NULL},
        {"127.0.0", NULL},
        {"127.0.0.256", NULL},
        {"0.0.0.0", "0.0.0.0"},
        {"10.0.200.199", "10.0.200.199"},
        {"127.0.0.1000", NULL},
        {"127.0.0.01", NULL},
        {"00.0.0.1", NULL},
        {"127.0.0.1.", NULL},
        {"127.0.0.1.1", NULL},
        {"127.0..1", NULL},
        {".127.0.0.1", NULL},
        {"127.0.0.", NULL},
        {"127.0.0.1 ", NULL},
        {"+127.0.0.1", NULL},
        {"127.0.0.0x1", NULL},
        {"[::1]", NULL},
        {"::1::", NULL},
        {"1:2:3:4:5:6:7", NULL},
        {"localhost", NULL},
        {"1111:1111:1111:1111:1111:1111:1111:1111:1111:1111", NULL},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct cp_address a, untouched;
        char text[CP_ADDRESS_TEXT];

        memset(&a, 0x5a, sizeof(a));
        untouched = a;
        assert_int_equal(cp_address_read(rows[i].in, &a), rows[i].out != NULL);
        if (rows[i].out == NULL) {
            assert_true(cp_address_equal(&a, &untouched));
            continue;
        }
        assert_int_equal(a.port, 0);
        cp_address_print(&a, 0, text);
        assert_string_equal(text, rows[i].out);
    }
}

static void a_zone_is_an_interface_by_name_or_number(void **state)
{
    struct cp_address by_name, by_number;
    char name[IF_NAMESIZE], literal[64], text[CP_ADDRESS_TEXT];
    char expected[CP_ADDRESS_TEXT];

    (void)state;
    if (if_indextoname(1, name) == NULL)
        skip();
    snprintf(literal, sizeof(literal), "fe80::1%%%s", name);
    assert_true(cp_address_read(literal, &by_name));
    assert_true(cp_address_read("fe80::1%1", &by_number));
    assert_int_equal(by_name.scope, 1);
    assert_true(cp_address_equal(&by_name, &by_number));
    by_name.port = 61616;
    cp_address_print(&by_name, 5683, text);
    snprintf(expected, sizeof(expected), "[%s]:61616", literal);
    assert_string_equal(text, expected);
}

static void a_port_is_printed_unless_it_goes_without_saying(void **state)
{
    struct cp_address a = {.family = CP_NAMED, .port = 5683};
    struct cp_address none = {.port = 5683};
    char text[CP_ADDRESS_TEXT];

    (void)state;
    memcpy(a.ip, "0123456789abcdef", 16);
    cp_address_print(&a, 5683, text);
    assert_string_equal(text, "0123456789abcdef");
    cp_address_print(&a, 5684, text);
    assert_string_equal(text, "0123456789abcdef:5683");
    cp_address_print(&none, 0, text);
    assert_string_equal(text, "*:5683");
}

static void groups_and_loopback_are_known(void **state)
{
    static const struct {
        const char *text;
        bool multicast, loopback;
    } rows[] = {
        {"223.255.255.255", false, false},
        {"224.0.1.187", true, false},
        {"239.255.255.255", true, false},
        {"240.0.0.0", false, false},
        {"ff02::fd", true, false},
        {"fe80::1", false, false},
        {"127.255.0.1", false, true},
        {"128.0.0.1", false, false},
        {"::1", false, true},
        {"::2", false, false},
        {"::", false, false},
    };
    struct cp_address named = {.family = CP_NAMED, .ip = {0xff}};

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct cp_address a;

        assert_true(cp_address_read(rows[i].text, &a));
        assert_int_equal(cp_address_is_multicast(&a), rows[i].multicast);
        assert_int_equal(cp_address_is_loopback(&a), rows[i].loopback);
    }
    assert_false(cp_address_is_multicast(&named));
    assert_false(cp_address_is_loopback(&named));
}

#define test(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        test(numbers_are_put_big_endian),
        test(text_hex_and_formats_follow_one_another),
        test(fixed_storage_takes_what_fits_and_fails_beyond),
        test(a_failed_put_sticks_until_the_end),
        test(taken_storage_belongs_to_the_caller),
        test(json_escapes_and_replaces_what_is_not_utf8),
        test(siphash_agrees_with_a_checked_reference),
        test(a_digest_is_that_of_xxh64),
        test(a_digest_sees_every_bit),
        test(a_hash_by_the_word_is_siphash_without_the_length),
        test(every_part_of_an_address_is_hashed),
        test(keys_made_to_collide_do_so_in_no_other_map),
        test(a_map_holds_what_was_put_and_not_removed),
        test(a_map_works_when_its_table_cannot_grow),
        test(a_table_grows_with_what_is_in_it),
        test(timers_come_in_order_of_time_then_of_start),
        test(a_million_timers_need_no_deep_stack),
        test(a_list_keeps_order_and_allows_removal_on_the_way),
        test(a_seed_repeats_its_stream_however_it_is_portioned),
        test(used_randomness_does_not_stay_in_the_pool),
        test(the_system_gives_something_new_every_time),
        test(numbers_below_a_bound_are_even),
        test(literals_are_read_and_printed_as_rfc_5952_asks),
        test(a_zone_is_an_interface_by_name_or_number),
        test(a_port_is_printed_unless_it_goes_without_saying),
        test(groups_and_loopback_are_known),
    };

    return cmocka_run_group_tests_name("base", tests, NULL, NULL);
}
