/* What all fuzzers have in common. Everything is static, so that a fuzzer
 * stays one file. */
#ifndef COPAL_FUZZ_H
#define COPAL_FUZZ_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Not assert(): what must hold must hold with NDEBUG, too. */
#define require(fact) ((fact) ? (void)0 : give_up(__FILE__, __LINE__, #fact))

static inline _Noreturn void give_up(const char *file, int line,
                                     const char *fact)
{
    fprintf(stderr, "%s:%d: not so: %s\n", file, line, fact);
    abort();
}

#endif
