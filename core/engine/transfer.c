#include "engine/transfer.h"

struct cp_transfer *cp_transfer_get(copal_exchange *x)
{
    if (x->transfer == NULL) {
        x->transfer = cp_zalloc(x->mem, sizeof(*x->transfer));
        if (x->transfer != NULL)
            x->transfer->body = cp_buf_new(x->mem);
    }
    return x->transfer;
}

void cp_transfer_free(copal_exchange *x)
{
    struct cp_transfer *t = x->transfer;

    if (t == NULL)
        return;
    cp_block_tag_end(x);
    x->transfer = NULL;
    copal_msg_unref(t->sending);
    copal_msg_unref(t->head);
    copal_msg_unref(t->held);
    cp_buf_free(&t->body);
    cp_free(x->mem, t);
}

uint16_t cp_transfer_own_size(const copal_exchange *x)
{
    return cp_block_fit((uint64_t)cp_exchange_param(x, COPAL_P_BLOCK_SIZE));
}

void cp_transfer_tell_progress(copal_exchange *x, uint64_t offset,
                               uint64_t total)
{
    struct cp_event *ev;

    if ((x->request->flags & COPAL_TELL_PROGRESS) == 0)
        return;
    ev = cp_exchange_tell(x, COPAL_PROGRESS, NULL);
    if (ev != NULL) { /* else out of memory: the next one will tell */
        ev->offset = offset;
        ev->total = total;
    }
}

copal_msg *cp_transfer_block_of(const copal_msg *m, unsigned option,
                                struct cp_block b)
{
    copal_msg *block = cp_msg_derive(m);

    if (block == NULL)
        return NULL;
    cp_msg_remove(block, option);
    cp_msg_borrow_payload(block, NULL, (copal_bytes){0});
    if (cp_msg_add_uint(block, option, cp_block_encode(b)) != 0) {
        copal_msg_unref(block);
        return NULL;
    }
    return block;
}

copal_bytes cp_transfer_part_of(copal_bytes body, uint64_t offset,
                                uint16_t size)
{
    size_t len = body.len - (size_t)offset;

    return cp_bytes(body.data + offset, len < size ? len : size);
}
