/* How the pieces of records are laid out, see engine/record.h: each writes at p,
 * where there is room, and gives where the next one goes. */
#ifndef CP_ENGINE_RECORD_PUT_H
#define CP_ENGINE_RECORD_PUT_H

#include "base/address.h"
#include "engine/link.h"
#include "wire/message.h"

/* One store each, on what machines there are. */
#if __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
#define CP_RECORD_SWAP(bits, v) (v)
#else
#define CP_RECORD_SWAP(bits, v) __builtin_bswap##bits(v)
#endif

static inline uint8_t *cp_record_le16(uint8_t *p, uint16_t v)
{
    v = CP_RECORD_SWAP(16, v);
    memcpy(p, &v, sizeof(v));
    return p + sizeof(v);
}

static inline uint8_t *cp_record_le32(uint8_t *p, uint32_t v)
{
    v = CP_RECORD_SWAP(32, v);
    memcpy(p, &v, sizeof(v));
    return p + sizeof(v);
}

static inline uint8_t *cp_record_le64(uint8_t *p, uint64_t v)
{
    v = CP_RECORD_SWAP(64, v);
    memcpy(p, &v, sizeof(v));
    return p + sizeof(v);
}

/* Most of what is recorded is short: moves, which may overlap, and no call. */
static inline bool cp_record_is_short(size_t n)
{
    return n - 8 <= 56;
}

static inline uint8_t *cp_record_short(uint8_t *p, copal_bytes bytes)
{
    const uint8_t *from = bytes.data;
    size_t n = bytes.len;

    if (n < 16) {
        memcpy(p, from, 8);
        memcpy(p + n - 8, from + n - 8, 8);
        return p + n;
    }
    memcpy(p, from, 16);
    if (n > 32) {
        memcpy(p + 16, from + 16, 16);
        memcpy(p + n - 32, from + n - 32, 16);
    }
    memcpy(p + n - 16, from + n - 16, 16);
    return p + n;
}

static inline uint8_t *cp_record_bytes(uint8_t *p, copal_bytes bytes)
{
    if (cp_record_is_short(bytes.len))
        return cp_record_short(p, bytes);
    if (bytes.len > 0)
        memcpy(p, bytes.data, bytes.len);
    return p + bytes.len;
}

static inline size_t cp_record_text_size(const char *text)
{
    return 4 + (text == NULL ? 0 : strlen(text));
}

static inline uint8_t *cp_record_text(uint8_t *p, const char *text)
{
    size_t len;

    if (text == NULL)
        return cp_record_le32(p, UINT32_MAX);
    len = strlen(text);
    return cp_record_bytes(cp_record_le32(p, (uint32_t)len),
                           cp_bytes(text, len));
}

/* Addresses and paths are laid out as their structs are, little-endian: the
 * longest piece of most records is one copy on what machines there are. */
_Static_assert(sizeof(struct cp_address) == 28, "as recordings have it");
_Static_assert(sizeof(struct cp_path) == 64, "as recordings have it");

static inline struct cp_address cp_record_little_address(
    const struct cp_address *a)
{
    struct cp_address little = *a;

    little.scope = CP_RECORD_SWAP(32, a->scope);
    little.association = CP_RECORD_SWAP(32, a->association);
    little.port = CP_RECORD_SWAP(16, a->port);
    return little;
}

/* The same function leads back. */
static inline struct cp_path cp_record_little_path(const struct cp_path *path)
{
    struct cp_path little = *path;

    little.remote = cp_record_little_address(&path->remote);
    little.local = cp_record_little_address(&path->local);
    little.if_index = CP_RECORD_SWAP(32, path->if_index);
    return little;
}

static inline uint8_t *cp_record_address(uint8_t *p, const struct cp_address *a)
{
    struct cp_address little = cp_record_little_address(a);

    memcpy(p, &little, sizeof(little));
    return p + sizeof(little);
}

/* Number, scheme, flags. */
static inline uint32_t cp_record_mark(const struct cp_link *link)
{
    return link->number | (uint32_t)link->scheme << 16 |
           (link->is_simulated ? UINT32_C(2) << 24 : 0);
}

static inline uint8_t *cp_record_path(uint8_t *p, const struct cp_path *path)
{
#if __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
    memcpy(p, path, sizeof(*path));
#else
    struct cp_path little = cp_record_little_path(path);

    memcpy(p, &little, sizeof(little));
#endif
    return p + sizeof(*path);
}

#endif
