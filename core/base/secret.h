/* Comparing what nobody may guess: tags, MACs, Echo values, keys. */
#ifndef CP_BASE_SECRET_H
#define CP_BASE_SECRET_H

#include "base/bytes.h"

/* Are n bytes the same? In a time that tells nothing of where they differ, and
 * without a branch that depends on them. Whatever in core/ compares a secret does
 * it by this; tests/check_secrets.cmake looks for what does not. */
bool cp_secret_equal(const void *a, const void *b, size_t n);

#endif
