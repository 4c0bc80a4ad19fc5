/* A request's body on its way in, by Block1. */
#include "engine/block_partial.h"
#include "engine/transfer.h"

int cp_block_upload_continue(copal_exchange *x)
{
    struct cp_answer *a = cp_answer_of(x);
    uint16_t own = cp_transfer_own_size(x);
    struct cp_block b = a->echo;
    copal_msg *m = cp_msg_new(x->mem, COPAL_CONTINUE, 0);
    int err = m == NULL ? COPAL_ENOMEM : 0;

    b.more = true;
    if (b.size > own) {
        b.size = own;
        b.is_bert = false;
    }
    if (err == 0)
        err = cp_msg_add_uint(m, COPAL_OPT_BLOCK1, cp_block_encode(b));
    if (err == 0)
        err = cp_exchange_send_below(&cp_block, x, m);
    copal_msg_unref(m);
    return err < 0 ? err : CP_KEPT;
}

int cp_block_upload_refuse(copal_exchange *x, struct cp_block_partial *in,
                           int code, const char *diagnostic)
{
    if (in != NULL)
        cp_block_partial_give_up(in, COPAL_EFORMAT, "a block is missing");
    return cp_answer_send_simple(&cp_block, x, code, diagnostic);
}

int cp_block_upload_refuse_size(copal_exchange *x, struct cp_block_partial *in)
{
    copal_msg *m = cp_msg_new(x->mem, COPAL_TOO_LARGE, 0);
    int64_t most = cp_exchange_param(x, COPAL_P_MAX_BODY);
    int err = m == NULL ? COPAL_ENOMEM : 0;

    if (in != NULL)
        cp_block_partial_free(in);
    cp_engine_limited(x->engine, "max_body");
    if (err == 0)
        err = cp_msg_add_uint(m, COPAL_OPT_SIZE1, (uint64_t)most);
    if (err == 0) {
        cp_answer_of(x)->answered = true;
        err = cp_exchange_send_below(&cp_block, x, m);
    }
    copal_msg_unref(m);
    return err < 0 ? err : CP_KEPT;
}

static int make_whole(copal_msg **m, struct cp_block_partial *in)
{
    copal_msg *whole = cp_msg_derive(*m);
    size_t len = 0;
    uint8_t *body;

    if (whole == NULL)
        return COPAL_ENOMEM;
    cp_msg_remove(whole, COPAL_OPT_BLOCK1);
    cp_msg_remove(whole, COPAL_OPT_SIZE1);
    if (in->if_none_match && !cp_msg_has(whole, COPAL_OPT_IF_NONE_MATCH) &&
        cp_msg_add(whole, COPAL_OPT_IF_NONE_MATCH, (copal_bytes){0}) != 0) {
        copal_msg_unref(whole);
        return COPAL_ENOMEM;
    }
    body = cp_buf_take(&in->body, &len);
    if (body == NULL && in->got > 0) {
        copal_msg_unref(whole);
        return COPAL_ENOMEM;
    }
    cp_msg_give_payload(whole, body, len);
    cp_block_partial_free(in);
    copal_msg_unref(*m);
    *m = whole;
    return CP_PASS;
}

static int collect(copal_exchange *x, copal_msg **m,
                   struct cp_block_partial *in)
{
    struct cp_answer *a = cp_answer_of(x);
    uint64_t most = (uint64_t)cp_exchange_param(x, COPAL_P_MAX_BODY);
    size_t n = (*m)->payload.len;

    if (in->got + n > most)
        return cp_block_upload_refuse_size(x, in);
    if (!cp_block_partial_take(in, n, most))
        return cp_block_upload_refuse(x, in, COPAL_UNAVAILABLE, NULL);
    cp_put_bytes(&in->body, (*m)->payload);
    if (in->body.failed)
        return cp_block_upload_refuse(x, in, COPAL_UNAVAILABLE, NULL);
    in->got += n;
    in->last_len = n;
    if (!a->echo.more)
        return make_whole(m, in);
    cp_block_partial_wait(in);
    return cp_block_upload_continue(x);
}

static uint64_t hash_of(const struct cp_engine *e, const copal_msg *m)
{
    return cp_map_hash(&e->bodies.in, m->payload.data, m->payload.len);
}

static bool is_lost_stream(const struct cp_block_partial *in)
{
    return in->stream != NULL &&
           (in->stream->over || in->stream->transfer == NULL);
}

/* The block before under a new message id: our 2.31 was lost, and so were the
 * repeats of it. Block 0 is that block as long as it is the only one; later it
 * begins the body again. The last block has none after it: a repeat of it finds
 * nothing collected and gets 4.08, as RFC 7959 2.5 demands. */
static bool is_block_again(const struct cp_block_partial *in, struct cp_block b,
                           const copal_msg *m)
{
    return b.more && m->payload.len == in->last_len &&
           cp_block_offset(b) + m->payload.len == in->got &&
           hash_of(in->engine, m) == in->last_hash &&
           (b.num > 0 || cp_msg_uint_or(m, COPAL_OPT_SIZE1, 0) == in->size1) &&
           !is_lost_stream(in);
}

/* Answered as before, and acted upon no second time. */
static int continue_again(copal_exchange *x, struct cp_block_partial *in)
{
    copal_exchange *stream = in->stream;

    cp_block_partial_wait(in);
    if (stream == NULL)
        return cp_block_upload_continue(x);
    cp_answer_wire_adopt(stream, x);
    if (!stream->transfer->owes_next && cp_block_upload_continue(stream) < 0)
        cp_exchange_fail(stream, COPAL_ENOMEM, NULL);
    return CP_KEPT;
}

int cp_block_upload_in(copal_exchange *x, copal_msg **m, int flags)
{
    struct cp_answer *a = cp_answer_of(x);
    struct cp_engine *e = x->engine;
    struct cp_block b = a->echo;
    bool streamed = (flags & COPAL_STREAMED) != 0;
    struct cp_block_partial *in;
    uint64_t key;

    if (!a->echoes_block)
        return cp_block_stream_in_request(x, m, NULL, true);
    if (!cp_block_holds(b, (*m)->payload.len))
        return cp_block_upload_refuse(x, NULL, COPAL_BAD_REQUEST,
                                      "payload and block differ");
    key = cp_bodies_key(e, a->link, &(*m)->path.remote, *m);
    in = cp_block_partial_find(e, key);
    if (in != NULL && is_block_again(in, b, *m))
        return continue_again(x, in);
    if (b.num == 0) { /* begins, or begins again */
        if (in != NULL)
            cp_block_partial_give_up(in, COPAL_ECLOSED,
                                     "the sender began again");
        if (!streamed && cp_msg_uint_or(*m, COPAL_OPT_SIZE1, 0) >
                             (uint64_t)cp_exchange_param(x, COPAL_P_MAX_BODY))
            return cp_block_upload_refuse_size(x, NULL);
        if (!b.more && !streamed)
            return CP_PASS; /* a body of one block */
        in = cp_block_partial_new(e, a, key);
        if (in == NULL)
            return cp_block_upload_refuse(x, NULL, COPAL_UNAVAILABLE, NULL);
        in->if_none_match = cp_msg_has(*m, COPAL_OPT_IF_NONE_MATCH);
        in->size1 = cp_msg_uint_or(*m, COPAL_OPT_SIZE1, 0);
    }
    if (in == NULL || cp_block_offset(b) != in->got)
        return cp_block_upload_refuse(x, in, COPAL_INCOMPLETE, NULL);
    in->last_hash = hash_of(e, *m);
    return streamed ? cp_block_stream_in_request(x, m, in, !b.more)
                    : collect(x, m, in);
}
