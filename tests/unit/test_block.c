/* wire/block: the values of Block options. RFC 7959 2.2. */
#include "wire/block.h"
#include "vectors.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <cmocka.h>

static json_t *document;

static int set_up(void **state)
{
    (void)state;
    document = vectors_load("block.json");
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    json_decref(document);
    return 0;
}

static void every_value_is_read_and_written(void **state)
{
    json_t *rows = vectors_rows(document, "values", 42), *row;
    size_t i;

    (void)state;
    json_array_foreach(rows, i, row)
    {
        uint8_t storage[4];
        copal_bytes value = vectors_hex(row, "value", storage, sizeof(storage));
        struct cp_block b;

        assert_int_equal(cp_block_decode(value, &b), 0);
        assert_int_equal(b.num, vectors_int(row, "num"));
        assert_int_equal(b.more, vectors_bool(row, "more"));
        assert_int_equal(b.size, vectors_int(row, "size"));
        assert_int_equal(b.size, 16 << vectors_int(row, "szx"));
        assert_int_equal(cp_block_encode(b), cp_bytes_uint(value));
        assert_true(cp_block_offset(b) == (uint64_t)b.num * b.size);
    }
}

static void leading_zeroes_are_read_and_the_size_of_tcp_is_refused(void **state)
{
    json_t *rows = vectors_rows(document, "decode", 8), *row;
    size_t i;

    (void)state;
    json_array_foreach(rows, i, row)
    {
        uint8_t storage[4];
        copal_bytes value = vectors_hex(row, "value", storage, sizeof(storage));
        struct cp_block b;
        int err = cp_block_decode(value, &b);

        if (vectors_int(row, "szx") == 7) {
            assert_int_equal(err, COPAL_EFORMAT);
            continue;
        }
        assert_int_equal(err, 0);
        assert_int_equal(b.num, vectors_int(row, "num"));
        assert_int_equal(b.more, vectors_bool(row, "more"));
        assert_int_equal(b.size, 16 << vectors_int(row, "szx"));
    }
}

static void an_invalid_value_is_refused_and_changes_nothing(void **state)
{
    json_t *rows = vectors_rows(document, "invalid", 3), *row;
    size_t i;

    (void)state;
    json_array_foreach(rows, i, row)
    {
        uint8_t storage[4];
        copal_bytes value = vectors_hex(row, "value", storage, sizeof(storage));
        struct cp_block b = {.num = 7, .size = 32, .more = true};

        assert_int_equal(cp_block_decode(value, &b), COPAL_EFORMAT);
        assert_true(b.num == 7 && b.size == 32 && b.more);
    }
}

static void a_size_is_fitted_to_the_power_of_two_below(void **state)
{
    static const struct {
        uint64_t size;
        uint16_t fitted;
    } rows[] = {
        {0, 16},
        {1, 16},
        {16, 16},
        {17, 16},
        {31, 16},
        {32, 32},
        {63, 32},
        {500, 256},
        {1023, 512},
        {1024, 1024},
        {1025, 1024},
        {1152, 1024},
        {UINT64_MAX, 1024},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
        assert_int_equal(cp_block_fit(rows[i].size), rows[i].fitted);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_value_is_read_and_written),
        cmocka_unit_test(
            leading_zeroes_are_read_and_the_size_of_tcp_is_refused),
        cmocka_unit_test(an_invalid_value_is_refused_and_changes_nothing),
        cmocka_unit_test(a_size_is_fitted_to_the_power_of_two_below),
    };

    return cmocka_run_group_tests(tests, set_up, tear_down);
}
