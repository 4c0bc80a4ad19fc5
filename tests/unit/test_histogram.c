/* copal bench's durations: three digits, whatever the number. */
#include "bench/histogram.h"
#include "base/random.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <cmocka.h>

static int make(void **state)
{
    *state = calloc(1, sizeof(struct bench_histogram));
    return *state == NULL;
}

static int drop(void **state)
{
    free(*state);
    return 0;
}

static void nothing_counted_has_no_duration(void **state)
{
    struct bench_histogram *h = *state;

    assert_int_equal(bench_histogram_at(h, 0.5), 0);
    assert_int_equal(bench_histogram_at(h, 1), 0);
    assert_int_equal(bench_histogram_within(h, UINT64_MAX), 0);
}

static void one_duration_is_every_percentile(void **state)
{
    struct bench_histogram *h = *state;

    bench_histogram_add(h, 123456789);
    assert_int_equal(bench_histogram_at(h, 0), 123456789);
    assert_int_equal(bench_histogram_at(h, 0.5), 123456789);
    assert_int_equal(bench_histogram_at(h, 1), 123456789);
    assert_int_equal(h->least, 123456789);
    assert_int_equal(h->most, 123456789);
}

/* Of 1 to 10,000 the p-th percentile is known. */
static void percentiles_are_of_the_rank_they_say(void **state)
{
    struct bench_histogram *h = *state;

    for (uint64_t i = 1; i <= 10000; i++)
        bench_histogram_add(h, i * 1000);
    assert_in_range(bench_histogram_at(h, 0.5), 5000000, 5005000);
    assert_in_range(bench_histogram_at(h, 0.9), 9000000, 9009000);
    assert_in_range(bench_histogram_at(h, 0.999), 9990000, 10000000);
    assert_int_equal(bench_histogram_at(h, 1), 10000000);
    assert_int_equal(h->total, 10000);
    assert_true(h->sum == 50005000.0 * 1000);
}

static void numbers_below_2048_are_exact(void **state)
{
    struct bench_histogram *h = *state;

    for (uint64_t i = 0; i < 2048; i++)
        bench_histogram_add(h, i);
    for (uint64_t i = 0; i < 2048; i++)
        assert_int_equal(bench_histogram_at(h, (double)(i + 1) / 2048), i);
}

/* Two in it: the lower one is told by its bucket, not by what is most. */
static void each_is_told_to_three_digits(void **state)
{
    struct bench_histogram *h = *state;
    struct cp_random random;

    cp_random_init(&random, 7);
    for (int i = 0; i < 2000; i++) {
        uint64_t ns = (UINT64_C(1) << (1 + i % 41)) +
                      cp_random_below(&random, UINT64_C(1) << (i % 41));

        h->total = h->most = 0;
        bench_histogram_add(h, ns);
        bench_histogram_add(h, UINT64_C(1) << 43);
        assert_in_range(bench_histogram_at(h, 0.5), ns, ns + ns / 1000);
        assert_int_equal(bench_histogram_within(h, ns), 1);
        for (size_t b = 0; b < BENCH_BUCKETS; b++)
            h->count[b] = 0;
    }
}

static void what_is_too_long_counts_as_the_longest(void **state)
{
    struct bench_histogram *h = *state;

    bench_histogram_add(h, 5);
    bench_histogram_add(h, UINT64_MAX);
    assert_int_equal(bench_histogram_at(h, 0.5), 5);
    assert_int_equal(h->most, UINT64_MAX);
    assert_int_equal(bench_histogram_at(h, 1), (UINT64_C(1) << 42) - 1);
    assert_int_equal(bench_histogram_within(h, UINT64_MAX), 2);
}

static void the_end_of_a_bucket_borders_on_the_next(void **state)
{
    struct bench_histogram *h = *state;

    for (unsigned bits = 11; bits < 42; bits++) {
        uint64_t edge = UINT64_C(1) << bits;

        bench_histogram_add(h, edge - 1);
        bench_histogram_add(h, edge);
        assert_int_equal(bench_histogram_within(h, edge - 1), h->total - 1);
        assert_int_equal(bench_histogram_within(h, edge), h->total);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(nothing_counted_has_no_duration, make,
                                        drop),
        cmocka_unit_test_setup_teardown(one_duration_is_every_percentile, make,
                                        drop),
        cmocka_unit_test_setup_teardown(percentiles_are_of_the_rank_they_say,
                                        make, drop),
        cmocka_unit_test_setup_teardown(numbers_below_2048_are_exact, make,
                                        drop),
        cmocka_unit_test_setup_teardown(each_is_told_to_three_digits, make,
                                        drop),
        cmocka_unit_test_setup_teardown(what_is_too_long_counts_as_the_longest,
                                        make, drop),
        cmocka_unit_test_setup_teardown(the_end_of_a_bucket_borders_on_the_next,
                                        make, drop),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
