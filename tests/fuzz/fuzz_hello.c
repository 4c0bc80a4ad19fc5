/* A client's first messages of a handshake, for the identity of a key. */
#include <stdlib.h>
#include "secure/hello.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check(copal_bytes all, copal_bytes identity)
{
    if (identity.len > 0 && (identity.data < all.data || identity.len > 128 ||
                             identity.data + identity.len > all.data + all.len))
        abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    copal_bytes all = cp_bytes(data, size);

    check(all, cp_hello_identity(all));
    check(all, cp_hello_exchange_identity(all));
    return 0;
}
