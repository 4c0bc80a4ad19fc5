#include "base/secret.h"

#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>

static void two_are_equal_if_no_bit_differs(void **state)
{
    uint8_t a[20] = {1, 2, 3}, b[20] = {1, 2, 3};

    (void)state;
    assert_true(cp_secret_equal(a, b, sizeof(a)));
    assert_true(cp_secret_equal(NULL, NULL, 0));
    for (int x = 0; x < 256; x++) /* each difference of a byte */
        for (int y = 0; y < 256; y++) {
            a[7] = (uint8_t)x;
            b[7] = (uint8_t)y;
            assert_int_equal(cp_secret_equal(a, b, sizeof(a)), x == y);
        }
    a[7] = b[7] = 0;
    for (size_t i = 0; i < 8 * sizeof(a); i++) {
        b[i / 8] ^= (uint8_t)(1u << i % 8);
        assert_false(cp_secret_equal(a, b, sizeof(a)));
        b[i / 8] ^= (uint8_t)(1u << i % 8);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(two_are_equal_if_no_bit_differs),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
