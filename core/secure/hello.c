#include "secure/hello.h"
#include "secure/credentials.h"

enum {
    PRE_SHARED_KEY = 41 /* the extension, RFC 8446 4.2.11 */
};

/* A vector: its length in so many bytes, then itself. */
static copal_bytes take_vector(struct cp_cursor *c, size_t length_bytes)
{
    uint64_t len = cp_bytes_uint(cp_take(c, length_bytes));

    return cp_take(c, len > SIZE_MAX ? SIZE_MAX : (size_t)len);
}

static copal_bytes first_key(copal_bytes extension)
{
    struct cp_cursor c = cp_cursor_of(extension);
    struct cp_cursor list = cp_cursor_of(take_vector(&c, 2));

    while (!list.failed && cp_cursor_left(&list) > 0) {
        copal_bytes identity = take_vector(&list, 2);

        (void)cp_take(&list, 4); /* obfuscated age of a ticket */
        if (!list.failed && identity.len > 0 && identity.len <= CP_PSK_IDENTITY)
            return identity;
    }
    return (copal_bytes){0};
}

copal_bytes cp_hello_identity(copal_bytes body)
{
    struct cp_cursor c = cp_cursor_of(body);
    struct cp_cursor extensions;

    (void)cp_take(&c, 2 + 32); /* version, random */
    (void)take_vector(&c, 1);  /* session id */
    (void)take_vector(&c, 2);  /* suites */
    (void)take_vector(&c, 1);  /* compression */
    extensions = cp_cursor_of(take_vector(&c, 2));
    while (!c.failed && !extensions.failed && cp_cursor_left(&extensions) > 0) {
        uint64_t type = cp_bytes_uint(cp_take(&extensions, 2));
        copal_bytes data = take_vector(&extensions, 2);

        if (!extensions.failed && type == PRE_SHARED_KEY)
            return first_key(data);
    }
    return (copal_bytes){0};
}

copal_bytes cp_hello_exchange_identity(copal_bytes body)
{
    struct cp_cursor c = cp_cursor_of(body);
    copal_bytes identity = take_vector(&c, 2);

    return c.failed || identity.len > CP_PSK_IDENTITY ? (copal_bytes){0}
                                                      : identity;
}
