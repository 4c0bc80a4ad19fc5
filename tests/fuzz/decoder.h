/* What fuzzers of decoders have in common: memory that is made once and must
 * be all back after each input, and views of the input. */
#ifndef COPAL_FUZZ_DECODER_H
#define COPAL_FUZZ_DECODER_H

#include "base/buf.h"
#include "fuzz.h"

/* The same for every input: making it takes longer than most inputs do. */
static inline struct cp_mem *memory(void)
{
    static struct cp_mem *mem;

    if (mem == NULL)
        mem = cp_mem_new(NULL, NULL);
    require(mem != NULL);
    return mem;
}

static inline void require_all_back(void)
{
    cp_mem_keep(memory(), NULL); /* URIs read before */
    require(cp_mem_used(memory()) == 0);
}

/* part is NULL or a part of whole. */
static inline void require_within(copal_bytes whole, copal_bytes part)
{
    require(part.data == NULL ||
            (part.data >= whole.data &&
             part.data + part.len <= whole.data + whole.len));
}

/* Up to n bytes off the beginning of *rest. */
static inline copal_bytes take_bytes(copal_bytes *rest, size_t n)
{
    copal_bytes taken = cp_bytes(rest->data, n < rest->len ? n : rest->len);

    if (taken.len > 0)
        *rest = cp_bytes(rest->data + taken.len, rest->len - taken.len);
    return taken;
}

/* A number of that many bytes; those that are missing are not counted. */
static inline uint64_t take_number(copal_bytes *rest, size_t bytes)
{
    return cp_bytes_uint(take_bytes(rest, bytes));
}

/* Everything up to and without end, or all; end goes, too. */
static inline copal_bytes take_until(copal_bytes *rest, char end)
{
    size_t len = 0;
    copal_bytes taken;

    while (len < rest->len && rest->data[len] != (uint8_t)end)
        len++;
    taken = take_bytes(rest, len);
    take_bytes(rest, 1);
    return taken;
}

/* As text with a NUL behind it, exactly as large, to be freed with
 * cp_free(memory(), ...). */
static inline char *text_of(copal_bytes bytes)
{
    char *text = cp_copy_text(memory(), (const char *)bytes.data, bytes.len);

    require(text != NULL);
    return text;
}

#endif
