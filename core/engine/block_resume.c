/* Transfers that broke off and go on: copal_msg_resume(). */
#include "engine/transfer.h"

bool cp_block_resume_is_download(const copal_msg *m)
{
    return m->resumed && m->resume_etag_len > 0;
}

bool cp_block_resume_is_upload(const copal_msg *m)
{
    return m->resumed && m->resume_etag_len == 0 && m->resume_at > 0;
}

uint16_t cp_block_resume_size(const copal_msg *m, uint16_t size)
{
    if (cp_block_resume_is_upload(m))
        while (size > CP_BLOCK_MIN_SIZE && m->resume_at % size != 0)
            size /= 2;
    return size;
}

/* The body before it may be of any length: the first block that has something
 * new is asked for, and what it has of the old left out. */
int cp_block_resume_ask(copal_exchange *x, copal_msg **m)
{
    struct cp_transfer *t = cp_transfer_get(x);
    uint16_t size = cp_transfer_own_size(x);
    uint64_t num = x->request->resume_at / size;
    copal_msg *asking;
    int err = 0;

    if (cp_msg_has(*m, COPAL_OPT_OBSERVE) || (*m)->payload.len > size)
        return COPAL_EINVAL;
    if (num > CP_BLOCK_MAX_NUM)
        return COPAL_ELIMIT;
    asking = t == NULL ? NULL : cp_msg_derive(*m);
    if (asking == NULL)
        return COPAL_ENOMEM;
    cp_msg_remove(asking, COPAL_OPT_BLOCK2);
    err = cp_msg_add_uint(
        asking, COPAL_OPT_BLOCK2,
        cp_block_encode((struct cp_block){.num = (uint32_t)num, .size = size}));
    if (err == 0 && (x->request->flags & COPAL_TELL_PROGRESS) != 0 &&
        !cp_msg_has(asking, COPAL_OPT_SIZE2)) /* asks for it: RFC 7959 4 */
        err = cp_msg_add_uint(asking, COPAL_OPT_SIZE2, 0);
    if (err != 0) {
        copal_msg_unref(asking);
        return err;
    }
    t->is_rest = true;
    t->got = num * size;
    t->from = x->request->resume_at;
    t->etag_len = x->request->resume_etag_len;
    memcpy(t->etag, x->request->resume_etag, t->etag_len);
    copal_msg_unref(*m);
    *m = asking;
    return CP_PASS;
}

int cp_block_resume_skip(copal_exchange *x, copal_msg **m)
{
    struct cp_transfer *t = x->transfer;
    uint64_t known = t->got < t->from ? t->from - t->got : 0;
    copal_bytes all = (*m)->payload;
    size_t n = known < all.len ? (size_t)known : all.len;
    copal_msg *rest;

    if (n == 0)
        return 0;
    (*m)->frozen = true;
    rest = cp_msg_derive(*m);
    if (rest == NULL)
        return COPAL_ENOMEM;
    cp_msg_borrow_payload(rest,
                          (*m)->payload_of != NULL ? (*m)->payload_of : *m,
                          cp_bytes(all.data + n, all.len - n));
    copal_msg_unref(*m);
    *m = rest;
    t->got += n;
    return 0;
}
