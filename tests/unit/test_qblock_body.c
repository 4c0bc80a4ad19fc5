/* The parts of Q-Block that know no time and no network: lists of missing
 * blocks, and bodies that come in any order. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include "engine/qblock_body.h"
#include "wire/missing.h"

static void a_list_is_read_as_it_was_written(void **state)
{
    static const uint32_t nums[] = {0, 23, 24, 255, 256, 65536, 1048575};
    uint8_t storage[64];
    struct cp_buf b = cp_buf_fixed(storage, sizeof(storage));
    uint32_t out[10];
    size_t n;

    (void)state;
    cp_missing_put(&b, nums, 7);
    assert_int_equal(
        cp_missing_read(cp_bytes(storage, b.len), 1048576, out, 10, &n), 0);
    assert_int_equal(n, 7);
    assert_memory_equal(out, nums, sizeof(nums));
}

static void what_does_not_fit_a_list_is_checked_all_the_same(void **state)
{
    uint32_t out[2];
    size_t n;

    (void)state;
    assert_int_equal(
        cp_missing_read(cp_bytes("\x01\x02\x03", 3), 9, out, 2, &n), 0);
    assert_int_equal(n, 2);
    assert_int_equal(
        cp_missing_read(cp_bytes("\x01\x02\x09", 3), 9, out, 2, &n),
        COPAL_EFORMAT);
    assert_int_equal(
        cp_missing_read(cp_bytes("\x01\x02\x01", 3), 9, out, 2, &n),
        COPAL_EFORMAT);
}

static void take(struct cp_qblock_body *b, uint32_t num)
{
    static const uint8_t zeroes[1024];
    uint64_t offset = (uint64_t)num * b->size;
    uint64_t len = b->total - offset < b->size ? b->total - offset : b->size;

    assert_int_equal(cp_qblock_body_put(b, num, cp_bytes(zeroes, (size_t)len)),
                     0);
}

static void a_body_tells_what_it_misses(void **state)
{
    struct cp_mem *mem = cp_mem_new(NULL, NULL);
    struct cp_qblock_body b;
    uint32_t nums[CP_MAX_PAYLOADS];

    (void)state;
    assert_int_equal(cp_qblock_body_open(&b, mem, 25 * 16 - 3, 16), 0);
    assert_int_equal(b.count, 25);
    take(&b, 0);
    take(&b, 2);
    assert_int_equal(cp_qblock_body_step(&b), CP_QBLOCK_WAIT);
    assert_int_equal(cp_qblock_body_missing(&b, true, nums), 8);
    assert_int_equal(nums[0], 1);
    assert_int_equal(nums[7], 9);
    take(&b, 10);
    assert_int_equal(cp_qblock_body_step(&b), CP_QBLOCK_ASK);
    assert_int_equal(cp_qblock_body_missing(&b, false, nums), 8);
    assert_int_equal(cp_qblock_body_step(&b), CP_QBLOCK_WAIT); /* but once */
    for (uint32_t i = 0; i < 20; i++)
        if (!cp_qblock_body_has(&b, i))
            take(&b, i);
    assert_int_equal(cp_qblock_body_step(&b), CP_QBLOCK_CONTINUE);
    assert_int_equal(cp_qblock_body_missing(&b, true, nums), 5);
    assert_int_equal(nums[0], 20);
    for (uint32_t i = 20; i < 25; i++)
        take(&b, i);
    assert_int_equal(cp_qblock_body_step(&b), CP_QBLOCK_DONE);
    cp_qblock_body_free(&b);
    cp_mem_release(mem);
}

/* One block of a stranger's makes us keep room for so many before it. */
static void a_body_grows_with_what_came(void **state)
{
    struct cp_mem *mem = cp_mem_new(NULL, NULL);
    struct cp_qblock_body b;

    (void)state;
    assert_int_equal(cp_qblock_body_open(&b, mem, 1 << 20, 16), 0);
    assert_true(cp_qblock_body_is_ahead(&b, CP_QBLOCK_AHEAD));
    assert_false(cp_qblock_body_is_ahead(&b, CP_QBLOCK_AHEAD - 1));
    take(&b, CP_QBLOCK_AHEAD - 1);
    assert_int_equal(b.cap, CP_QBLOCK_AHEAD * 16);
    cp_qblock_body_free(&b);
    assert_int_equal(cp_mem_used(mem), 0);
    cp_mem_release(mem);
}

static void a_block_fits_its_place_or_not(void **state)
{
    struct cp_mem *mem = cp_mem_new(NULL, NULL);
    struct cp_qblock_body b;

    (void)state;
    assert_int_equal(cp_qblock_body_open(&b, mem, 100, 64), 0);
    assert_true(cp_qblock_body_fits(
        &b, (struct cp_block){.num = 0, .size = 64, .more = true}, 64));
    assert_true(cp_qblock_body_fits(
        &b, (struct cp_block){.num = 1, .size = 64, .more = false}, 36));
    assert_false(cp_qblock_body_fits(
        &b, (struct cp_block){.num = 0, .size = 64, .more = false}, 64));
    assert_false(cp_qblock_body_fits(
        &b, (struct cp_block){.num = 1, .size = 64, .more = false}, 37));
    assert_false(cp_qblock_body_fits(
        &b, (struct cp_block){.num = 2, .size = 64, .more = false}, 0));
    assert_false(cp_qblock_body_fits(
        &b, (struct cp_block){.num = 0, .size = 32, .more = true}, 32));
    cp_qblock_body_free(&b);
    assert_int_equal(cp_qblock_body_open(&b, mem, UINT64_C(1) << 31, 1024),
                     COPAL_EFORMAT);
    cp_mem_release(mem);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_list_is_read_as_it_was_written),
        cmocka_unit_test(what_does_not_fit_a_list_is_checked_all_the_same),
        cmocka_unit_test(a_body_tells_what_it_misses),
        cmocka_unit_test(a_body_grows_with_what_came),
        cmocka_unit_test(a_block_fits_its_place_or_not),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
