#include "base/secret.h"

/* volatile: all bytes are read, whatever a compiler makes of the first that
 * differs. */
bool cp_secret_equal(const void *a, const void *b, size_t n)
{
    const volatile uint8_t *x = a, *y = b;
    volatile uint32_t different = 0;

    for (size_t i = 0; i < n; i++)
        different |= (uint32_t)x[i] ^ y[i];
    return (different - 1) >> 31 != 0;
}
