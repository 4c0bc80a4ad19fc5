/* A growing writer with a sticky error: a row of puts needs one check. */
#ifndef CP_BASE_BUF_H
#define CP_BASE_BUF_H

#include "base/bytes.h"
#include "base/mem.h"

struct cp_buf {
    struct cp_mem *mem; /* NULL: fixed storage, full is an error */
    uint8_t *data;
    size_t len, cap;
    bool failed;
};

/* Grows from mem. Free with cp_buf_free(). */
static inline struct cp_buf cp_buf_new(struct cp_mem *mem)
{
    return (struct cp_buf){.mem = mem};
}

/* Writes into storage of the caller's and never beyond it. */
static inline struct cp_buf cp_buf_fixed(void *storage, size_t cap)
{
    return (struct cp_buf){.data = storage, .cap = cap};
}

/* Makes room for more bytes than there is room for; false: failed. */
bool cp_buf_grow(struct cp_buf *b, size_t more);

/* Room for more bytes behind those written; false: failed, now or before. */
static inline bool cp_buf_has_room(struct cp_buf *b, size_t more)
{
    if (b->failed)
        return false;
    return b->cap - b->len >= more || cp_buf_grow(b, more);
}

/* Room for n bytes, which are the caller's to write; NULL: as if a put had
 * failed. */
static inline uint8_t *cp_buf_claim(struct cp_buf *b, size_t n)
{
    uint8_t *at;

    if (!cp_buf_has_room(b, n))
        return NULL;
    at = b->data + b->len;
    b->len += n;
    return at;
}

/* Makes room for cap bytes in all and no more, where there is less; growing by
 * itself it would take up to twice of what it needs. Not with fixed storage. */
void cp_buf_reserve(struct cp_buf *b, size_t cap);

static inline void cp_put_u8(struct cp_buf *b, uint8_t v)
{
    if (cp_buf_has_room(b, 1))
        b->data[b->len++] = v;
}

void cp_put_u16(struct cp_buf *b, uint16_t v); /* big-endian */
void cp_put_u32(struct cp_buf *b, uint32_t v);
static inline void cp_put_bytes(struct cp_buf *b, copal_bytes v)
{
    if (v.len == 0 || !cp_buf_has_room(b, v.len))
        return;
    memcpy(b->data + b->len, v.data, v.len);
    b->len += v.len;
}

void cp_put_text(struct cp_buf *b, const char *text); /* without the NUL */
/* Fixed storage needs room for a NUL, too, when the text is long. */
void cp_put_format(struct cp_buf *b, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
void cp_put_hex(struct cp_buf *b, copal_bytes v); /* "0aff" */

/* text inside a JSON string, without the quotes: ", \ and control characters
 * escaped; bytes that are not UTF-8 become U+FFFD. */
void cp_put_json(struct cp_buf *b, copal_bytes text);

/* COPAL_ENOMEM if any put failed (COPAL_ELIMIT with fixed storage); else 0
 * and a view of what was written, good until the next put. */
static inline int cp_buf_finish(struct cp_buf *b, copal_bytes *out)
{
    *out = cp_bytes(b->data, b->len);
    if (b->failed)
        return b->mem == NULL ? COPAL_ELIMIT : COPAL_ENOMEM;
    return 0;
}

/* The same as NUL-terminated text; len does not count the NUL. NULL: a put
 * failed, or the NUL found no room. */
const char *cp_buf_text(struct cp_buf *b);

/* Hands the storage to the caller, who frees it with cp_free(); b is empty
 * then. NULL: a put failed; else never NULL. Not with fixed storage. */
uint8_t *cp_buf_take(struct cp_buf *b, size_t *len);
CP_SHARED void cp_buf_free(struct cp_buf *b);

#endif
