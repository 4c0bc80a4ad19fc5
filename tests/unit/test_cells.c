/* base/cells.c and base/index.c: records by number, their rows and their index,
 * beside what an array says. */
#include "base/bytes.h"
#include "base/index.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <cmocka.h>

enum {
    PLACES = 500,
    STEPS = 40000
};

struct cell {
    struct cp_index_node node;
    struct cp_row_node of_row;
    uint32_t place; /* in the array */
    uint8_t filler[12];
};

static const struct cp_row_form ROW = {sizeof(struct cell),
                                       offsetof(struct cell, of_row)};

struct box {
    struct cp_mem *mem;
    struct cp_random random;
    struct cp_cells cells;
    struct cp_index index;
    struct cp_row row;
    uint32_t numbers[PLACES]; /* 0: none is there */
    uint32_t order[PLACES], count;
    int calls, fails_from; /* of realloc; 0: none fails */
};

static void *some_realloc(void *user, void *p, size_t n)
{
    struct box *b = user;

    if (n == 0) {
        free(p);
        return NULL;
    }
    return b->fails_from != 0 && ++b->calls >= b->fails_from ? NULL
                                                             : realloc(p, n);
}

static struct box *box_new(bool sees_each)
{
    struct box *b = calloc(1, sizeof(*b));

    b->mem = cp_mem_new(sees_each ? some_realloc : NULL, b);
    cp_random_init(&b->random, 7);
    cp_cells_init(&b->cells, b->mem, sizeof(struct cell));
    cp_index_init(&b->index, &b->cells, offsetof(struct cell, node),
                  &b->random);
    return b;
}

static void box_free(struct box *b)
{
    cp_index_clear(&b->index);
    cp_cells_clear(&b->cells);
    assert_int_equal(cp_mem_used(b->mem), 0);
    cp_mem_release(b->mem);
    free(b);
}

static struct cell *cell_at(struct box *b, uint32_t n)
{
    return cp_cells_at(&b->cells, n);
}

/* Few hashes, so that many share one. */
static uint64_t hash_of(uint32_t place)
{
    return place % 97;
}

static bool add(struct box *b, uint32_t place)
{
    uint32_t n = cp_cells_take(&b->cells);

    if (n == 0)
        return false;
    memset(cell_at(b, n), 0xa5, sizeof(struct cell));
    cell_at(b, n)->place = place;
    cp_index_put(&b->index, n, hash_of(place));
    cp_row_append(&b->cells, ROW, &b->row, n, &cell_at(b, n)->of_row);
    b->numbers[place] = n;
    b->order[b->count++] = n;
    return true;
}

static void take_away(struct box *b, uint32_t place)
{
    uint32_t n = b->numbers[place], i = 0;

    cp_index_remove(&b->index, n);
    cp_row_remove(&b->cells, ROW, &b->row, &cell_at(b, n)->of_row);
    cp_cells_give_back(&b->cells, n);
    b->numbers[place] = 0;
    while (b->order[i] != n)
        i++;
    memmove(&b->order[i], &b->order[i + 1],
            (--b->count - i) * sizeof(b->order[0]));
}

static uint32_t find(struct box *b, uint32_t place)
{
    uint32_t n = cp_index_first(&b->index, hash_of(place));

    while (n != 0 && cell_at(b, n)->place != place)
        n = cp_index_next(&b->index, n);
    return n;
}

static void assert_as_the_array_says(struct box *b)
{
    uint32_t n = b->row.first, before = 0;

    for (uint32_t i = 0; i < b->count; i++) {
        assert_int_equal(n, b->order[i]);
        assert_int_equal(cell_at(b, n)->of_row.prev, before);
        before = n;
        n = cell_at(b, n)->of_row.next;
    }
    assert_int_equal(n, 0);
    assert_int_equal(b->row.last, before);
    for (uint32_t place = 0; place < PLACES; place++)
        assert_int_equal(find(b, place), b->numbers[place]);
    assert_int_equal(b->cells.count, b->count);
    assert_int_equal(b->index.count, b->count);
}

static void come_and_go(struct box *b)
{
    for (int i = 0; i < STEPS; i++) {
        uint32_t place = (uint32_t)cp_random_below(&b->random, PLACES);

        if (b->numbers[place] != 0)
            take_away(b, place);
        else
            assert_true(add(b, place));
        if (i % 1000 == 0)
            assert_as_the_array_says(b);
    }
    assert_as_the_array_says(b);
}

static void records_come_and_go_as_in_an_array(void **state)
{
    (void)state;
    for (int sees_each = 0; sees_each < 2; sees_each++) {
        struct box *b = box_new(sees_each);

        come_and_go(b);
        box_free(b); /* with what is still in it */
    }
}

static void those_given_back_are_taken_again(void **state)
{
    (void)state;
    for (int sees_each = 0; sees_each < 2; sees_each++) {
        struct box *b = box_new(sees_each);
        uint32_t most;

        for (uint32_t place = 0; place < PLACES; place++)
            assert_true(add(b, place));
        most = b->cells.fresh;
        for (int round = 0; round < 10; round++) {
            for (uint32_t place = 0; place < PLACES; place++)
                take_away(b, place);
            for (uint32_t place = PLACES; place-- > 0;)
                assert_true(add(b, place));
        }
        assert_int_equal(b->cells.fresh, most);
        assert_as_the_array_says(b);
        box_free(b);
    }
}

static void what_is_taken_is_counted_and_limited(void **state)
{
    struct box *b = box_new(false);
    uint64_t before;

    (void)state;
    assert_true(add(b, 0));
    before = cp_mem_used(b->mem);
    take_away(b, 0);
    assert_in_range(before - cp_mem_used(b->mem), sizeof(struct cell),
                    sizeof(struct cell) + 16); /* with the allocator's own */
    cp_mem_limit(b->mem, before + 20 * sizeof(struct cell));
    for (uint32_t place = 0; place < PLACES; place++)
        if (!add(b, place))
            break;
    assert_in_range(b->count, 10, 21);
    assert_as_the_array_says(b);
    take_away(b, 3);
    assert_true(add(b, 3)); /* room again */
    box_free(b);
}

static void nothing_changes_when_memory_is_out(void **state)
{
    struct box *b = box_new(true);

    (void)state;
    for (uint32_t place = 0; place < 20; place++)
        assert_true(add(b, place));
    b->fails_from = 1;
    for (uint32_t place = 20; place < 40; place++)
        assert_false(add(b, place));
    assert_as_the_array_says(b);
    b->fails_from = 0;
    for (uint32_t place = 20; place < 200; place++) /* no larger table */
        assert_true(add(b, place));
    assert_as_the_array_says(b);
    box_free(b);
}

static void an_index_whose_table_cannot_grow_has_longer_chains(void **state)
{
    struct box *b = box_new(true);
    uint32_t numbers[64];

    (void)state;
    for (uint32_t i = 0; i < 64; i++) {
        numbers[i] = cp_cells_take(&b->cells);
        assert_int_not_equal(numbers[i], 0);
    }
    b->fails_from = 1;
    for (uint32_t i = 0; i < 64; i++)
        cp_index_put(&b->index, numbers[i], i);
    for (uint32_t i = 0; i < 64; i++)
        assert_int_equal(cp_index_first(&b->index, i), numbers[i]);
    assert_int_equal(b->index.bucket_count, 1);
    box_free(b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(records_come_and_go_as_in_an_array),
        cmocka_unit_test(those_given_back_are_taken_again),
        cmocka_unit_test(what_is_taken_is_counted_and_limited),
        cmocka_unit_test(nothing_changes_when_memory_is_out),
        cmocka_unit_test(an_index_whose_table_cannot_grow_has_longer_chains),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
