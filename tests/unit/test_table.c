/* base/table.c, beside what an array says. */
#include "base/bytes.h"
#include "base/table.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <cmocka.h>

enum {
    NUMBERS = 600,
    STEPS = 60000
};

struct box {
    struct cp_mem *mem;
    struct cp_random random;
    struct cp_table table;
    uint64_t hashes[NUMBERS]; /* of the number one more; 0: it is not there */
    bool fails;               /* all of realloc */
};

static void *some_realloc(void *user, void *p, size_t n)
{
    const struct box *b = user;

    if (n == 0) {
        free(p);
        return NULL;
    }
    return b->fails ? NULL : realloc(p, n);
}

static struct box *box_new(void)
{
    struct box *b = calloc(1, sizeof(*b));

    b->mem = cp_mem_new(some_realloc, b);
    cp_random_init(&b->random, 11);
    cp_table_init(&b->table, b->mem, &b->random);
    return b;
}

static void box_free(struct box *b)
{
    cp_table_clear(&b->table);
    assert_int_equal(cp_mem_used(b->mem), 0);
    cp_mem_release(b->mem);
    free(b);
}

static bool put(struct box *b, uint32_t number, uint64_t hash)
{
    if (!cp_table_reserve(&b->table))
        return false;
    cp_table_put(&b->table, hash, number);
    b->hashes[number - 1] = hash;
    return true;
}

static void take_out(struct box *b, uint32_t number)
{
    cp_table_remove(&b->table, b->hashes[number - 1], number);
    b->hashes[number - 1] = 0;
}

static bool is_found(const struct box *b, uint32_t number, uint64_t hash)
{
    uint32_t step = 0, n;

    while ((n = cp_table_find(&b->table, hash, &step)) != 0)
        if (n == number)
            return true;
    return false;
}

static void assert_as_the_array_says(const struct box *b)
{
    uint32_t count = 0;

    for (uint32_t n = 1; n <= NUMBERS; n++) {
        if (b->hashes[n - 1] == 0)
            continue;
        count++;
        assert_true(is_found(b, n, b->hashes[n - 1]));
    }
    assert_int_equal(b->table.count, count);
}

/* width: of the hashes. Few that differ make long ways and end at the table's
 * end, where they go on at its beginning. */
static void live(struct box *b, uint64_t width)
{
    for (int i = 0; i < STEPS; i++) {
        uint32_t n = 1 + (uint32_t)cp_random_below(&b->random, NUMBERS);
        uint64_t hash = 1 + cp_random_u64(&b->random) % width;

        if (b->hashes[n - 1] != 0) {
            take_out(b, n);
            assert_false(is_found(b, n, hash));
        } else {
            assert_true(put(b, n, hash));
        }
        if (i % 500 == 0)
            assert_as_the_array_says(b);
    }
    assert_as_the_array_says(b);
}

static void numbers_come_and_go_as_in_an_array(void **state)
{
    struct box *b = box_new();

    (void)state;
    live(b, UINT64_MAX);
    box_free(b);
}

static void they_do_where_many_want_the_same_place(void **state)
{
    static const uint64_t widths[] = {1, 3, 40, 1030};

    (void)state;
    for (size_t i = 0; i < sizeof(widths) / sizeof(widths[0]); i++) {
        struct box *b = box_new();

        live(b, widths[i]);
        box_free(b);
    }
}

static void a_hash_is_told_by_its_lower_half(void **state)
{
    struct box *b = box_new();

    (void)state;
    assert_true(put(b, 1, UINT64_C(0x500000007)));
    assert_true(put(b, 2, UINT64_C(0x600000007)));
    assert_true(is_found(b, 1, 7));
    assert_true(is_found(b, 2, 7));
    assert_false(is_found(b, 1, 8));
    take_out(b, 1);
    assert_false(is_found(b, 1, 7));
    assert_true(is_found(b, 2, 7));
    box_free(b);
}

static void a_quarter_of_it_stays_free(void **state)
{
    struct box *b = box_new();

    (void)state;
    for (uint32_t n = 1; n <= NUMBERS; n++) {
        assert_true(put(b, n, n));
        assert_true(n <= b->table.room / 4 * 3);
        assert_true(n < 12 || cp_mem_used(b->mem) <= CP_TABLE_SHARE * n);
    }
    box_free(b);
}

static void without_memory_all_but_one_of_its_places_are_used(void **state)
{
    struct box *b = box_new();
    uint32_t n = 1;

    (void)state;
    b->fails = true;
    assert_false(put(b, 1, 1));
    b->fails = false;
    assert_true(put(b, 1, 1));
    b->fails = true;
    while (put(b, n + 1, 5 * n))
        n++;
    assert_int_equal(n, b->table.room - 1);
    assert_as_the_array_says(b);
    assert_false(is_found(b, 1, 2)); /* looking for what is not there ends */
    take_out(b, 3);
    assert_true(put(b, 3, 77));
    b->fails = false;
    assert_true(put(b, n + 1, 78));
    assert_as_the_array_says(b);
    box_free(b);
}

static void nothing_is_found_in_an_empty_one(void **state)
{
    struct box *b = box_new();

    (void)state;
    assert_false(is_found(b, 1, 1));
    cp_table_fetch(&b->table, 1);
    assert_true(put(b, 1, 1));
    cp_table_fetch(&b->table, 1);
    cp_table_clear(&b->table);
    b->hashes[0] = 0;
    assert_false(is_found(b, 1, 1));
    box_free(b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(numbers_come_and_go_as_in_an_array),
        cmocka_unit_test(they_do_where_many_want_the_same_place),
        cmocka_unit_test(a_hash_is_told_by_its_lower_half),
        cmocka_unit_test(a_quarter_of_it_stays_free),
        cmocka_unit_test(without_memory_all_but_one_of_its_places_are_used),
        cmocka_unit_test(nothing_is_found_in_an_empty_one),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
