/* Views of bytes, and a cursor that reads them without running past the end. */
#ifndef CP_BASE_BYTES_H
#define CP_BASE_BYTES_H

#include <copal.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

/* Inner functions that are called from outside of core/: by the bindings, and by
 * what counts instructions. Where the core is optimized as one (COPAL_LTO), these
 * and COPAL_API keep their names, all else is free to melt into its callers. */
#if defined(__GNUC__) && !defined(__clang__)
#define CP_SHARED __attribute__((externally_visible))
#else
#define CP_SHARED
#endif

/* The struct of which member is a part. */
#define cp_container_of(pointer, type, member) \
    ((type *)(void *)((char *)(pointer)-offsetof(type, member)))

static inline copal_bytes cp_bytes(const void *data, size_t len)
{
    return (copal_bytes){.data = data, .len = len};
}

static inline copal_bytes cp_bytes_of_text(const char *text)
{
    return cp_bytes(text, strlen(text));
}

static inline bool cp_bytes_equal(copal_bytes a, copal_bytes b)
{
    return a.len == b.len && (a.len == 0 || memcmp(a.data, b.data, a.len) == 0);
}

static inline bool cp_bytes_is_text(copal_bytes a, const char *text)
{
    return cp_bytes_equal(a, cp_bytes_of_text(text));
}

/* An unsigned number as options hold it: big-endian, at most 8 bytes, leading
 * zeroes allowed on input. RFC 7252 3.2. */
static inline uint64_t cp_bytes_uint(copal_bytes value)
{
    uint64_t n = 0;

    for (size_t i = 0; i < value.len; i++)
        n = n << 8 | value.data[i];
    return n;
}

/* The shortest form of n, which is written into storage; 0 has no bytes. RFC
 * 7252 3.2. */
static inline copal_bytes cp_bytes_of_uint(uint64_t n, uint8_t storage[8])
{
    size_t len = 0;

    while (len < 8 && n >> 8 * len != 0)
        len++;
    for (size_t i = len; i > 0; n >>= 8)
        storage[--i] = (uint8_t)n;
    return cp_bytes(storage, len);
}

/* Reads from left to right. A read past the end gives zeroes and sets failed,
 * so a row of reads needs one check. */
struct cp_cursor {
    const uint8_t *at, *end;
    bool failed;
};

static inline struct cp_cursor cp_cursor_of(copal_bytes bytes)
{
    return (struct cp_cursor){
        .at = bytes.data,
        .end = bytes.data == NULL ? NULL : bytes.data + bytes.len,
    };
}

static inline size_t cp_cursor_left(const struct cp_cursor *c)
{
    return (size_t)(c->end - c->at);
}

static inline copal_bytes cp_take(struct cp_cursor *c, size_t n)
{
    copal_bytes taken = {0};

    if (c->failed || cp_cursor_left(c) < n) {
        c->failed = true;
        return taken;
    }
    taken = cp_bytes(c->at, n);
    if (n > 0)
        c->at += n;
    return taken;
}

static inline uint8_t cp_take_u8(struct cp_cursor *c)
{
    copal_bytes b = cp_take(c, 1);
    return b.len == 1 ? b.data[0] : 0;
}

static inline uint16_t cp_take_u16(struct cp_cursor *c)
{
    return (uint16_t)cp_bytes_uint(cp_take(c, 2));
}

#endif
