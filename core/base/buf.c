#include "base/buf.h"
#include "base/utf8.h"

#include <assert.h>
#include <stdio.h>

enum {
    FIRST_CAP = 64
};

static bool resize(struct cp_buf *b, size_t cap)
{
    uint8_t *data = cp_resize(b->mem, b->data, cap);

    if (data == NULL) {
        b->failed = true;
        return false;
    }
    b->data = data;
    b->cap = cap;
    return true;
}

bool cp_buf_grow(struct cp_buf *b, size_t more)
{
    size_t cap = b->cap < FIRST_CAP ? FIRST_CAP : b->cap;

    while (cap - b->len < more && cap <= SIZE_MAX / 2)
        cap *= 2;
    if (b->mem == NULL || cap - b->len < more) {
        b->failed = true;
        return false;
    }
    return resize(b, cap);
}

void cp_buf_reserve(struct cp_buf *b, size_t cap)
{
    if (!b->failed && cap > b->cap)
        (void)resize(b, cap);
}

void cp_put_u16(struct cp_buf *b, uint16_t v)
{
    if (!cp_buf_has_room(b, 2))
        return;
    b->data[b->len++] = (uint8_t)(v >> 8);
    b->data[b->len++] = (uint8_t)v;
}

void cp_put_u32(struct cp_buf *b, uint32_t v)
{
    if (!cp_buf_has_room(b, 4))
        return;
    for (unsigned shift = 32; shift > 0; shift -= 8)
        b->data[b->len++] = (uint8_t)(v >> (shift - 8));
}

void cp_put_text(struct cp_buf *b, const char *text)
{
    cp_put_bytes(b, cp_bytes_of_text(text));
}

void cp_put_format(struct cp_buf *b, const char *format, ...)
{
    char small[128];
    va_list list;
    int n;

    va_start(list, format);
    n = vsnprintf(small, sizeof(small), format, list);
    va_end(list);
    if (n < 0) {
        b->failed = true;
    } else if ((size_t)n < sizeof(small)) {
        cp_put_bytes(b, cp_bytes(small, (size_t)n));
    } else if (cp_buf_has_room(b, (size_t)n + 1)) {
        va_start(list, format);
        vsnprintf((char *)b->data + b->len, (size_t)n + 1, format, list);
        va_end(list);
        b->len += (size_t)n;
    }
}

void cp_put_hex(struct cp_buf *b, copal_bytes v)
{
    static const char digits[] = "0123456789abcdef";

    if (v.len > SIZE_MAX / 2) {
        b->failed = true;
        return;
    }
    if (!cp_buf_has_room(b, 2 * v.len))
        return;
    for (size_t i = 0; i < v.len; i++) {
        b->data[b->len++] = (uint8_t)digits[v.data[i] >> 4];
        b->data[b->len++] = (uint8_t)digits[v.data[i] & 15];
    }
}

/* ---- JSON ---- */

static void put_escape(struct cp_buf *b, uint8_t c)
{
    static const char with_letter[] = "\"\\\b\f\n\r\t", letters[] = "\"\\bfnrt";
    const char *found = c == 0 ? NULL : strchr(with_letter, c);

    if (found == NULL) {
        cp_put_format(b, "\\u%04x", c);
        return;
    }
    cp_put_u8(b, '\\');
    cp_put_u8(b, (uint8_t)letters[found - with_letter]);
}

static bool needs_escape(uint8_t c)
{
    return c < 0x20 || c == '"' || c == '\\' || c == 0x7f;
}

void cp_put_json(struct cp_buf *b, copal_bytes text)
{
    size_t plain = 0; /* where what can be put as it is begins */
    size_t n;

    for (size_t i = 0; i < text.len; i += n) {
        bool valid;

        n = cp_utf8_length(text, i, &valid);
        if (valid && !needs_escape(text.data[i]))
            continue;
        if (i > plain)
            cp_put_bytes(b, cp_bytes(text.data + plain, i - plain));
        plain = i + n;
        if (valid)
            put_escape(b, text.data[i]);
        else
            cp_put_text(b, "\xef\xbf\xbd");
    }
    if (text.len > plain)
        cp_put_bytes(b, cp_bytes(text.data + plain, text.len - plain));
}

/* ---- The end ---- */

const char *cp_buf_text(struct cp_buf *b)
{
    if (!cp_buf_has_room(b, 1))
        return NULL;
    b->data[b->len] = '\0';
    return (const char *)b->data;
}

uint8_t *cp_buf_take(struct cp_buf *b, size_t *len)
{
    uint8_t *data, *fitted;

    assert(b->mem != NULL);
    /* Something even when nothing was put, since NULL says that it failed. */
    if (b->failed || (b->data == NULL && !cp_buf_grow(b, 1)))
        return NULL;
    data = b->data;
    *len = b->len;
    /* It may be kept for long: without the room for growing. */
    fitted = cp_resize(b->mem, data, b->len > 0 ? b->len : 1);
    *b = cp_buf_new(b->mem);
    return fitted == NULL ? data : fitted;
}

void cp_buf_free(struct cp_buf *b)
{
    if (b->mem != NULL)
        cp_free(b->mem, b->data);
    *b = (struct cp_buf){.mem = b->mem};
}
