/* Bodies that the user writes, a piece for each PULL, in both roles. */
#include "engine/record.h"
#include "engine/transfer.h"

int cp_block_stream_out_pull(copal_exchange *x)
{
    struct cp_transfer *t = x->transfer;
    struct cp_event *ev = cp_exchange_tell(x, COPAL_PULL, NULL);

    if (ev == NULL)
        return COPAL_ENOMEM;
    t->awaits_write = true;
    t->pull_at = ev->offset = t->sent;
    t->pull_size = cp_transfer_span(
        x, t->sending,
        (struct cp_block){.size = t->size, .is_bert = t->is_bert});
    ev->want = t->pull_size;
    return CP_KEPT;
}

static int write_request(copal_exchange *x, copal_bytes piece, bool last)
{
    struct cp_transfer *t = x->transfer;
    copal_msg *m = cp_block_out_piece(x, (copal_bytes){0}, !last);
    int err = m == NULL ? COPAL_ENOMEM : cp_msg_copy_payload(m, piece);

    if (err == 0) {
        t->last_len = (uint32_t)piece.len;
        t->wrote_last = last;
        err = cp_block_out_send(x, m);
    }
    copal_msg_unref(m);
    return err;
}

static int write_answer(copal_exchange *x, copal_bytes piece, bool last)
{
    struct cp_transfer *t = x->transfer;
    struct cp_answer *a = cp_answer_of(x);
    copal_msg *m;
    int err;

    if (t->sent != t->pull_at ||
        cp_transfer_span(
            x, t->sending,
            (struct cp_block){.size = t->size, .is_bert = t->is_bert}) !=
            t->pull_size)
        return cp_block_stream_out_pull(x) < 0 ? COPAL_ENOMEM
                                               : 0; /* another is wanted */
    m = cp_transfer_block_of(
        t->sending, COPAL_OPT_BLOCK2,
        (struct cp_block){.num = (uint32_t)(t->sent / t->size),
                          .size = t->size,
                          .more = !last,
                          .is_bert = t->is_bert});
    err = m == NULL ? COPAL_ENOMEM : cp_msg_copy_payload(m, piece);
    if (err == 0)
        err = cp_block_answer_echo(x, &m);
    t->is_ending = last || a->link == NULL;
    if (err == 0)
        err = cp_exchange_send_below(&cp_block, x, m);
    copal_msg_unref(m);
    if (x->transfer == NULL) /* x ended */
        return err;
    if (err == 0 && t->is_ending)
        cp_transfer_free(x);
    else
        t->is_ending = false; /* what did not leave may be written again */
    return err;
}

/* Is piece what t waits for? */
static int check_piece(const copal_exchange *x, copal_bytes piece, int last)
{
    const struct cp_transfer *t = x->transfer;

    if (t == NULL || x->over || !t->awaits_write)
        return cp_why(x->mem, COPAL_ESTATE,
                      "write: nothing was asked for; write once for each PULL");
    if (piece.len > t->pull_size || (piece.len < t->pull_size && !last))
        return cp_why(x->mem, COPAL_EINVAL,
                      "write: %zu bytes; a block is %u, and only the last may "
                      "be shorter",
                      piece.len, t->pull_size);
    if (piece.data == NULL && piece.len > 0)
        return cp_why(x->mem, COPAL_EINVAL, "write: no bytes but a length");
    if (t->pull_at / t->size > CP_BLOCK_MAX_NUM)
        return cp_why(x->mem, COPAL_ELIMIT,
                      "write: a body has at most 1048576 blocks, these are of "
                      "%u bytes; raise block_size",
                      t->size);
    return 0;
}

static int write_piece(copal_exchange *x, copal_bytes piece, int last)
{
    int err = check_piece(x, piece, last);

    if (err != 0)
        return err;
    x->transfer->awaits_write = false;
    cp_exchange_hold(x);
    err = x->is_ask ? write_request(x, piece, last != 0)
                    : write_answer(x, piece, last != 0);
    if (err < 0 && x->transfer != NULL)
        x->transfer->awaits_write = true;
    cp_exchange_let_go(x);
    return err;
}

int copal_write(copal_exchange *x, copal_bytes piece, int last)
{
    struct cp_engine *e;
    unsigned was;
    int err;

    if (x == NULL)
        return COPAL_EINVAL;
    if (x->engine == NULL || (piece.data == NULL && piece.len > 0))
        return write_piece(x, piece, last);
    e = x->engine;
    was = cp_record_call_write(e, x->serial, last != 0, piece);
    err = write_piece(x, piece, last);
    cp_record_return(e, was);
    return err;
}
