/* A stream is cut into the same messages wherever the network cuts it, and each
 * is encoded to what it was read from, since RFC 8323 3.2 and RFC 8974 2.1
 * leave one encoding of everything. */
#include <stdlib.h>
#include "wire/stream.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require(bool is_so)
{
    if (!is_so)
        abort();
}

/* Lengths may be written longer than needed only in fields that they need. */
static void come_back(struct cp_mem *mem, const struct cp_frame *f,
                      copal_bytes bytes, enum cp_framing framing)
{
    struct cp_buf b = cp_buf_new(mem);
    copal_msg *m = NULL;

    if (cp_frame_decode(mem, f, &m) == 0) {
        require(cp_frame_encode(m, m->token, framing, &b) == 0);
        require(cp_frame_size(m, m->token, framing) == b.len);
        require(cp_bytes_equal(cp_bytes(b.data, b.len),
                               cp_bytes(bytes.data, (size_t)f->size)));
        copal_msg_unref(m);
    }
    cp_buf_free(&b);
}

/* Fewer bytes are never another message. */
static void cut(copal_bytes bytes, const struct cp_frame *whole)
{
    for (size_t n = 0; n < whole->size; n += 1 + n / 8) {
        struct cp_frame f;

        require(cp_frame_read(cp_bytes(bytes.data, n), CP_STREAMED, &f) ==
                COPAL_ESTATE);
        require(f.size == 0 || f.size == whole->size);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    copal_bytes left = cp_bytes(data, size);
    struct cp_mem *mem = cp_mem_new(NULL, NULL);
    struct cp_frame f;

    require(mem != NULL);
    if (cp_frame_read(left, CP_FRAMED, &f) == 0) {
        require(f.size == size);
        come_back(mem, &f, left, CP_FRAMED);
    }
    while (cp_frame_read(left, CP_STREAMED, &f) == 0) {
        require(f.size >= 2 && f.size <= left.len);
        cut(left, &f);
        come_back(mem, &f, left, CP_STREAMED);
        left = cp_bytes(left.data + f.size, left.len - (size_t)f.size);
    }
    require(cp_mem_used(mem) == 0);
    cp_mem_release(mem);
    return 0;
}
