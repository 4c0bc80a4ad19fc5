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

static inline uint8_t *cp_record_bytes(uint8_t *p, copal_bytes bytes)
{
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

static inline uint8_t *cp_record_address(uint8_t *p, const struct cp_address *a)
{
    *p = a->family;
    p = cp_record_le32(cp_record_le16(p + 1, a->port), a->scope);
    memcpy(p, a->ip, sizeof(a->ip));
    return p + sizeof(a->ip);
}

/* Number, scheme, flags. */
static inline uint32_t cp_record_mark(const struct cp_link *link)
{
    return link->number | (uint32_t)link->scheme << 16 |
           (link->is_simulated ? UINT32_C(2) << 24 : 0);
}

static inline uint8_t *cp_record_path(uint8_t *p, const struct cp_link *link,
                                      const struct cp_path *path, bool again)
{
    p = cp_record_address(p, &path->remote);
    p = cp_record_address(p, &path->local);
    p = cp_record_le32(p, path->if_index);
    p = cp_record_le16(p, (uint16_t)(path->is_multicast | path->hops << 8));
    return cp_record_le32(p, link->mark | (uint32_t)again << 24);
}

/* record_message.c: no more than so many bytes, and how it is put. */
size_t cp_record_message_size(const copal_msg *m);
uint8_t *cp_record_message(uint8_t *p, const copal_msg *m);

#endif
