/* A request's body on its way out, by Block1. */
#include "engine/transfer.h"
#include "wire/uri.h"

/* Who would rather have smaller blocks than any says so at once, instead of
 * after a first one of the server's choice (RFC 7959 2.4): where the answer is
 * likely to have a body. */
static bool wishes_size(const copal_msg *m, uint16_t size)
{
    return size < CP_BLOCK_MAX_SIZE && !cp_msg_has(m, COPAL_OPT_BLOCK2) &&
           (m->code == COPAL_GET || m->code == COPAL_FETCH ||
            m->code == COPAL_POST);
}

/* Only the last block's answer has a body: what is wished for it stands there
 * alone. RFC 7959 2.7, 3.3. */
static int wish_with_last(copal_exchange *x, copal_msg *m, bool more)
{
    uint16_t size = cp_transfer_own_size(x);

    if (more)
        cp_msg_remove(m, COPAL_OPT_BLOCK2);
    if (more || !wishes_size(m, size))
        return 0;
    return cp_msg_add_uint(m, COPAL_OPT_BLOCK2,
                           cp_block_encode((struct cp_block){.size = size}));
}

copal_msg *cp_block_out_piece(copal_exchange *x, copal_bytes part, bool more)
{
    struct cp_transfer *t = x->transfer;
    uint64_t num = t->sent / t->size;
    copal_msg *m;

    if (num > CP_BLOCK_MAX_NUM)
        return NULL;
    m = cp_transfer_block_of(t->sending, COPAL_OPT_BLOCK1,
                             (struct cp_block){.num = (uint32_t)num,
                                               .size = t->size,
                                               .more = more,
                                               .is_bert = t->is_bert});
    if (m == NULL)
        return NULL;
    if (num > 0) {
        cp_msg_remove(m, COPAL_OPT_SIZE1);
        cp_msg_remove(m, COPAL_OPT_IF_NONE_MATCH); /* RFC 7959 2.10 */
    }
    if (wish_with_last(x, m, more) != 0 ||
        (num == 0 && t->total > 0 && t->total <= UINT32_MAX &&
         !cp_msg_has(m, COPAL_OPT_SIZE1) &&
         cp_msg_add_uint(m, COPAL_OPT_SIZE1, t->total) != 0)) {
        copal_msg_unref(m);
        return NULL;
    }
    cp_msg_borrow_payload(m, t->sending, part);
    t->last_len = (uint32_t)part.len;
    t->awaits_answer = true;
    return m;
}

static copal_msg *next_request_block(copal_exchange *x)
{
    struct cp_transfer *t = x->transfer;
    copal_bytes body = t->sending->payload;
    uint16_t span = cp_transfer_span(
        x, t->sending,
        (struct cp_block){.size = t->size, .is_bert = t->is_bert});

    return cp_block_out_piece(x, cp_transfer_part_of(body, t->sent, span),
                              t->sent + span < body.len);
}

static int prefer_size(copal_msg **m, uint16_t size)
{
    copal_msg *asking;

    if (!wishes_size(*m, size))
        return CP_PASS;
    asking = cp_msg_derive(*m);
    if (asking == NULL)
        return COPAL_ENOMEM;
    if (cp_msg_add_uint(asking, COPAL_OPT_BLOCK2,
                        cp_block_encode((struct cp_block){.size = size}))) {
        copal_msg_unref(asking);
        return COPAL_ENOMEM;
    }
    copal_msg_unref(*m);
    *m = asking;
    return CP_PASS;
}

/* x's body leaves in blocks, from its beginning or where it broke off. */
static int begin(copal_exchange *x, copal_msg **m, bool pulls,
                 struct cp_block b)
{
    struct cp_transfer *t = cp_transfer_get(x);
    copal_msg *first;
    int err = t == NULL ? COPAL_ENOMEM : cp_block_tag_begin(x, m);

    if (err == 0 && b.size == 0)
        err = COPAL_ELIMIT;
    if (err != 0)
        return err;
    copal_msg_unref(t->sending); /* of what began before, after a refusal */
    t->sending = copal_msg_ref(*m);
    t->size = cp_block_resume_size(x->request, b.size);
    t->is_bert = b.is_bert && t->size == b.size;
    t->sent = cp_block_resume_is_upload(x->request) ? x->request->resume_at : 0;
    t->pulls = pulls;
    t->total =
        pulls ? cp_msg_uint_or(*m, COPAL_OPT_SIZE1, 0) : (*m)->payload.len;
    if (pulls)
        return cp_block_stream_out_pull(x);
    first = next_request_block(x);
    if (first == NULL)
        return COPAL_ENOMEM;
    copal_msg_unref(*m);
    *m = first;
    return CP_PASS;
}

int cp_block_out_request(copal_exchange *x, copal_msg **m)
{
    bool pulls = ((*m)->flags & COPAL_STREAM_OUT) != 0;
    bool goes_on = cp_block_resume_is_upload(x->request);

    if (cp_block_resume_is_download(x->request))
        return cp_block_resume_ask(x, m);
    if (!pulls && goes_on && x->request->resume_at >= (*m)->payload.len)
        return COPAL_EINVAL;
    if (!pulls && !goes_on && cp_transfer_fits(x, *m))
        return prefer_size(m, cp_transfer_own_size(x));
    return begin(x, m, pulls, cp_transfer_first(x, *m));
}

int cp_block_out_again(copal_exchange *x)
{
    copal_msg *m = cp_msg_derive(x->request);
    int verdict;

    if (m == NULL)
        return COPAL_ENOMEM;
    cp_msg_remove(m, COPAL_OPT_OBSERVE); /* it is registered by now */
    m->frozen = true;
    verdict = begin(x, &m, false, cp_transfer_first(x, m));
    if (verdict == CP_PASS)
        verdict = cp_block_out_send(x, m);
    copal_msg_unref(m);
    return verdict < 0 ? verdict : CP_KEPT;
}

/* 4.13 to what came without blocks may say in which they would be taken, or by
 * its Size1 that it was the message that is too long. RFC 7959 2.5, 2.9.3. */
static int try_in_blocks(copal_exchange *x, copal_msg *refusal, uint16_t size)
{
    size_t len = x->request->payload.len;
    copal_msg *m;
    int verdict;

    if (x->transfer != NULL || len <= CP_BLOCK_MIN_SIZE ||
        (size == 0 && cp_msg_uint_or(refusal, COPAL_OPT_SIZE1, 0) < len))
        return CP_PASS;
    if (size == 0 || size > cp_transfer_own_size(x))
        size = cp_transfer_own_size(x);
    while (size >= len)
        size /= 2;
    m = copal_msg_ref(x->request);
    verdict = begin(x, &m, false, (struct cp_block){.size = size});
    if (verdict == CP_PASS)
        verdict = cp_exchange_send_below(&cp_block, x, m);
    copal_msg_unref(m);
    return verdict < 0 ? verdict : CP_KEPT;
}

/* Some servers know the blocks of a body by their token, and keep no more than
 * the last one where each has its own. RFC 7959 leaves the choice to us; where
 * a token has to bind an answer to its request, each gets a new one: RFC 9175
 * 4.2. */
int cp_block_out_send(copal_exchange *x, copal_msg *m)
{
    struct cp_ask *a = cp_ask_of(x);
    bool kept = a->keeps_token;
    int err;

    a->keeps_token =
        kept || (x->transfer->sent > 0 && a->way.link->scheme == CP_COAP);
    a->slot = a->is_observed ? &a->sub : &a->main;
    err = cp_exchange_send_below(&cp_block, x, m);
    a->slot = &a->main;
    a->keeps_token = kept;
    return err;
}

static int send_next(copal_exchange *x)
{
    copal_msg *next;
    int err;

    x->transfer->wrote_last = false;
    if (x->transfer->pulls)
        return cp_block_stream_out_pull(x);
    next = next_request_block(x);
    if (next == NULL)
        return COPAL_ENOMEM;
    err = cp_block_out_send(x, next);
    copal_msg_unref(next);
    return err < 0 ? err : CP_KEPT;
}

static void stop_sending(copal_exchange *x)
{
    copal_msg_unref(x->transfer->sending);
    x->transfer->sending = NULL;
    x->transfer->awaits_write = false;
}

static bool has_more_to_send(const struct cp_transfer *t)
{
    return t->pulls ? !t->wrote_last
                    : t->sent + t->last_len < t->sending->payload.len;
}

/* One more answer to a block before this: they have the same token. What is
 * acknowledged by its answer cannot be taken for another. */
static bool is_late(const struct cp_transfer *t, const copal_msg *m,
                    struct cp_block b)
{
    return m->type != CP_ACK && b.size == t->size && b.num < t->sent / t->size;
}

/* RFC 7959 2.5: 2.31 asks for the next block, perhaps in a smaller size, and so
 * does another success that names a block, of a server that acts on each by
 * itself; 4.13 at the beginning may name a size to begin again with. Anything
 * else is the answer. */
int cp_block_out_response(copal_exchange *x, copal_msg **m)
{
    struct cp_transfer *t = x->transfer;
    bool is_success = cp_code_class((*m)->code) == 2;
    struct cp_block b;

    if (cp_transfer_read_block(*m, COPAL_OPT_BLOCK1, &b) <= 0)
        b.size = 0;
    if (t == NULL && (*m)->code == COPAL_TOO_LARGE)
        return try_in_blocks(x, *m, b.size);
    if (t == NULL || t->sending == NULL)
        return CP_PASS;
    if (is_success && is_late(t, *m, b)) {
        /* As it has the token of the newest block, that is not sent again: if
         * it was lost, no answer will come. */
        if (!t->awaits_write)
            cp_ask_hope(cp_ask_of(x), cp_reliable_lifetime(x->engine));
        return CP_KEPT;
    }
    t->awaits_answer = false;
    if (is_success && b.size != 0 && has_more_to_send(t)) {
        t->sent += t->last_len;
        t->is_bert = t->is_bert && b.is_bert;
        if (b.size < t->size)
            t->size = b.size;
        cp_transfer_tell_progress(x, t->sent, t->total);
        return send_next(x);
    }
    if ((*m)->code == COPAL_TOO_LARGE && b.size != 0 && t->sent == 0 &&
        b.size < t->size) {
        t->is_bert = false;
        t->size = b.size;
        return send_next(x);
    }
    if (is_success)
        cp_transfer_tell_progress(x, t->sent + t->last_len, t->total);
    stop_sending(x);
    return CP_PASS;
}
