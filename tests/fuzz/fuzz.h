/* What all fuzzers have in common. Everything is static, so that a fuzzer
 * stays one file. */
#ifndef COPAL_FUZZ_H
#define COPAL_FUZZ_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Not assert(): what must hold must hold with NDEBUG, too. */
static inline void require(bool is_so)
{
    if (!is_so)
        abort();
}

#endif
