/* A response's body on its way in, by Block2. */
#include "engine/transfer.h"

static void note_etag(struct cp_transfer *t, const copal_msg *m)
{
    const struct cp_option *o = cp_msg_find(m, COPAL_OPT_ETAG);

    t->etag_len = 0;
    if (o == NULL || o->len > CP_MAX_ETAG)
        return;
    t->etag_len = (uint8_t)o->len;
    memcpy(t->etag, m->data + o->at, o->len);
}

static bool same_etag(const struct cp_transfer *t, const copal_msg *m)
{
    const struct cp_option *o = cp_msg_find(m, COPAL_OPT_ETAG);
    copal_bytes etag = o == NULL ? (copal_bytes){0} : cp_msg_option_value(m, o);

    return cp_bytes_equal(etag, cp_bytes(t->etag, t->etag_len));
}

/* All of it is in one format, RFC 7959 2.3; who leaves it out of later blocks
 * says nothing else. */
static bool same_format(const struct cp_transfer *t, const copal_msg *m)
{
    uint64_t format = cp_msg_uint_or(m, COPAL_OPT_CONTENT_FORMAT, UINT64_MAX);

    return format == UINT64_MAX ||
           cp_msg_uint_or(t->head, COPAL_OPT_CONTENT_FORMAT, UINT64_MAX) ==
               format;
}

static void forget_body(copal_exchange *x)
{
    struct cp_transfer *t = x->transfer;

    cp_buf_free(&t->body);
    t->body = cp_buf_new(x->mem);
    copal_msg_unref(t->head);
    t->head = NULL;
    copal_msg_unref(t->held);
    t->held = NULL;
    t->got = t->from = 0;
    t->is_rest = false;
    t->asks = t->owes_next = t->in_is_last = false;
}

/* The request for a later block is the first one without its body and without
 * Observe; beside an observation it goes under a token of its own. RFC 7959
 * 2.7, 3.4. */
int cp_block_in_ask_next(copal_exchange *x)
{
    struct cp_transfer *t = x->transfer;
    struct cp_ask *a = cp_ask_of(x);
    copal_msg *m = cp_msg_derive(x->request);
    int err = m == NULL ? COPAL_ENOMEM : 0;
    struct cp_block b;

    if (t->in_size > cp_transfer_own_size(x)) { /* RFC 7959 2.4 */
        t->in_size = cp_transfer_own_size(x);
        t->in_bert = false;
    }
    b = (struct cp_block){.num = (uint32_t)(t->got / t->in_size),
                          .size = t->in_size,
                          .is_bert = t->in_bert};
    if (t->got / t->in_size > CP_BLOCK_MAX_NUM)
        err = COPAL_ELIMIT;
    if (err == 0) {
        cp_msg_remove(m, COPAL_OPT_OBSERVE);
        cp_msg_remove(m, COPAL_OPT_BLOCK1);
        cp_msg_remove(m, COPAL_OPT_BLOCK2);
        cp_msg_remove(m, COPAL_OPT_SIZE1);
        cp_msg_remove(m, COPAL_OPT_SIZE2);
        cp_msg_remove(m, COPAL_OPT_IF_NONE_MATCH);
        if (m->code != COPAL_FETCH || m->payload.len > t->in_size)
            cp_msg_borrow_payload(m, NULL, (copal_bytes){0});
        err = cp_msg_add_uint(m, COPAL_OPT_BLOCK2, cp_block_encode(b));
    }
    if (err == 0)
        err = cp_block_tag_put(x, m);
    if (err == 0) {
        a->slot = a->is_observed ? &a->sub : &a->main;
        t->asks = true;
        err = cp_exchange_send_below(&cp_block, x, m);
        a->slot = &a->main;
    }
    copal_msg_unref(m);
    return err < 0 ? err : CP_KEPT;
}

/* Everything is there: the first response's options and the whole body. */
static int complete(copal_exchange *x, copal_msg **m)
{
    struct cp_transfer *t = x->transfer;
    copal_msg *whole = cp_msg_derive(t->head);
    bool is_empty = t->body.len == 0;
    size_t len = 0;
    uint8_t *body;

    if (whole == NULL)
        return COPAL_ENOMEM;
    cp_msg_remove(whole, COPAL_OPT_BLOCK2);
    whole->mid = (*m)->mid;
    whole->type = (*m)->type;
    body = cp_buf_take(&t->body, &len);
    if (body == NULL && !is_empty) {
        copal_msg_unref(whole);
        return COPAL_ENOMEM;
    }
    cp_msg_give_payload(whole, body, len);
    copal_msg_unref(*m);
    *m = whole;
    forget_body(x);
    return CP_PASS;
}

/* What is to be fetched stands in a body that no single message holds. */
static bool is_long_fetch(const copal_exchange *x)
{
    return x->request->code == COPAL_FETCH && !cp_transfer_fits(x, x->request);
}

/* The whole body goes once more, and the answer comes from its beginning: a
 * request for a later block alone would say nothing of what to fetch. RFC 8132
 * 2.4. */
static int fetch_again(copal_exchange *x)
{
    int verdict = cp_block_out_again(x);

    x->transfer->asks = true;
    return verdict;
}

/* The representation is another than that of the blocks before: begins again,
 * unless that was tried often enough or would act twice. */
static int changed(copal_exchange *x)
{
    struct cp_transfer *t = x->transfer;
    bool safe =
        x->request->code == COPAL_GET || x->request->code == COPAL_FETCH;

    if (!safe || t->streams_in || t->is_rest)
        return COPAL_ECHANGED;
    if (t->pulls)
        return COPAL_ECHANGED;
    forget_body(x);
    if (++t->restarts <= CP_MAX_RESTARTS && is_long_fetch(x))
        return fetch_again(x);
    if (t->restarts <= CP_MAX_RESTARTS)
        return cp_block_in_ask_next(x);
    /* Who observes is told of the state after this one. */
    return cp_ask_of(x)->is_observed ? CP_KEPT : COPAL_ECHANGED;
}

/* A stream begins with the response's options, without a body. */
static int begin_stream(copal_exchange *x, const copal_msg *m)
{
    copal_msg *head = cp_msg_derive(m);
    struct cp_event *ev;

    if (head == NULL)
        return COPAL_ENOMEM;
    cp_msg_remove(head, COPAL_OPT_BLOCK2);
    cp_msg_borrow_payload(head, NULL, (copal_bytes){0});
    ev = cp_exchange_tell(x, COPAL_RESPONSE, head);
    copal_msg_unref(head);
    return ev == NULL ? COPAL_ENOMEM : 0;
}

static int refuse_body(copal_exchange *x)
{
    cp_exchange_fail(x, COPAL_ELIMIT,
                     "%s: the body is longer than max_body, %lld bytes; raise "
                     "it, or stream the body",
                     copal_msg_uri(x->request),
                     (long long)cp_exchange_param(x, COPAL_P_MAX_BODY));
    return CP_KEPT;
}

/* Would the body, or what is to come of it by its size, be too long to keep? */
static bool is_too_long(const copal_exchange *x, const copal_msg *m)
{
    const struct cp_transfer *t = x->transfer;
    uint64_t most = (uint64_t)cp_exchange_param(x, COPAL_P_MAX_BODY);
    uint64_t total = cp_msg_uint_or(m, COPAL_OPT_SIZE2, 0);

    return !t->streams_in && ((total > t->from && total - t->from > most) ||
                              t->body.len + m->payload.len > most);
}

static bool is_notification(copal_exchange *x)
{
    const struct cp_ask *a = cp_ask_of(x);

    return a->is_observed && a->came_by == &a->main;
}

static int take_block(copal_exchange *x, copal_msg **m, struct cp_block b)
{
    struct cp_transfer *t = x->transfer;
    uint64_t total = cp_msg_uint_or(*m, COPAL_OPT_SIZE2, 0);

    if (cp_block_offset(b) != t->got || !cp_block_holds(b, (*m)->payload.len))
        return COPAL_EFORMAT;
    if (cp_block_resume_skip(x, m) != 0)
        return COPAL_ENOMEM;
    if (is_too_long(x, *m))
        return refuse_body(x);
    t->in_size = b.size;
    t->in_bert = b.is_bert;
    if (total > 0)
        t->total = total;
    if (b.more && (*m)->payload.len == 0) /* the user has all of it already */
        return cp_block_in_ask_next(x);
    cp_transfer_tell_progress(x, t->got + (*m)->payload.len, t->total);
    if (t->streams_in)
        return cp_block_stream_in_hand(x, *m, !b.more);
    cp_put_bytes(&t->body, (*m)->payload);
    if (t->body.failed)
        return COPAL_ENOMEM;
    t->got += (*m)->payload.len;
    return b.more ? cp_block_in_ask_next(x) : complete(x, m);
}

/* A newer state came, or none at all: what was under way is let go. */
static void abandon(copal_exchange *x)
{
    cp_flight_stop(&cp_ask_of(x)->sub.flight);
    if (x->transfer != NULL)
        forget_body(x);
}

static int begin_at_got(copal_exchange *x, copal_msg **m, struct cp_block b,
                        bool streams)
{
    struct cp_transfer *t = x->transfer;
    int err = 0;

    t->head = copal_msg_ref(*m);
    t->head->frozen = true;
    t->streams_in = streams;
    t->total = 0;
    if (is_notification(x))
        t->restarts = 0;
    note_etag(t, *m);
    if (streams)
        err = begin_stream(x, *m);
    return err != 0 ? err : take_block(x, m, b);
}

static int begin(copal_exchange *x, copal_msg **m, struct cp_block b,
                 bool streams)
{
    if (cp_transfer_get(x) == NULL)
        return COPAL_ENOMEM;
    abandon(x);
    if (is_notification(x) && b.more && is_long_fetch(x) &&
        !cp_msg_has(*m, COPAL_OPT_BLOCK1)) /* it answers no body of ours */
        return fetch_again(x);
    return begin_at_got(x, m, b, streams);
}

/* The first answer to who goes on: the block asked for, or of a server that has
 * no blocks everything. */
static int begin_rest(copal_exchange *x, copal_msg **m, struct cp_block b,
                      bool is_block, bool streams)
{
    struct cp_transfer *t = x->transfer;

    if (cp_code_class((*m)->code) != 2) {
        abandon(x);
        return CP_PASS;
    }
    if (!same_etag(t, *m))
        return COPAL_ECHANGED;
    if (!is_block) {
        t->got = 0;
        if ((*m)->payload.len < t->from)
            return COPAL_EFORMAT;
    }
    return begin_at_got(x, m, b, streams);
}

/* An answer of another class than the blocks before: there is no more of them.
 * For who saw none of them yet it is the answer; who was handed some must not
 * take them for the whole. */
static bool ends_body(const copal_exchange *x, const copal_msg *m)
{
    const struct cp_transfer *t = x->transfer;

    return t != NULL && t->head != NULL && t->asks &&
           cp_code_class(m->code) != cp_code_class(t->head->code);
}

static int refused_amid(copal_exchange *x, const copal_msg *m)
{
    if (!x->transfer->streams_in) {
        abandon(x);
        return CP_PASS;
    }
    cp_exchange_fail(x, COPAL_ECHANGED,
                     "%s: the rest of the body was refused: %s",
                     copal_msg_uri(x->request), cp_code_name(m->code));
    return CP_KEPT;
}

/* The user wants just this part of the body. Nobody else may be told that a
 * part is all. */
static bool asked_for(const copal_msg *request, struct cp_block b)
{
    const struct cp_option *o = cp_msg_find(request, COPAL_OPT_BLOCK2);
    struct cp_block wanted;

    return o != NULL &&
           cp_block_decode(cp_msg_option_value(request, o), &wanted) == 0 &&
           cp_block_offset(wanted) == cp_block_offset(b);
}

int cp_block_in_response(copal_exchange *x, copal_msg **m)
{
    bool streams = (x->request->flags & COPAL_STREAM_IN) != 0 &&
                   cp_code_class((*m)->code) == 2;
    struct cp_block b = {.size = 1024, .is_bert = true}; /* of any length */
    int has = cp_transfer_read_block(*m, COPAL_OPT_BLOCK2, &b);

    if (has < 0)
        return COPAL_EFORMAT;
    if (cp_ask_of(x)->came_by == &cp_ask_of(x)->sub &&
        (x->transfer == NULL || !x->transfer->asks))
        return CP_KEPT; /* of a state that is history by now */
    if (!is_notification(x) && ends_body(x, *m))
        return refused_amid(x, *m);
    if (x->transfer != NULL && x->transfer->is_rest &&
        x->transfer->head == NULL)
        return begin_rest(x, m, b, has > 0, streams);
    if (has == 0 && !streams) { /* whole as it is */
        abandon(x);
        return CP_PASS;
    }
    if (b.num == 0 && !b.more && !streams) {
        abandon(x);
        return CP_PASS;
    }
    if (b.num == 0 && !is_notification(x) && x->transfer != NULL &&
        x->transfer->got > 0)
        return COPAL_EFORMAT; /* another was asked for: it would never end */
    if (b.num == 0)
        return begin(x, m, b, streams);
    if (x->transfer == NULL || x->transfer->head == NULL)
        return asked_for(x->request, b) ? CP_PASS : COPAL_EFORMAT;
    if (!same_etag(x->transfer, *m) || !same_format(x->transfer, *m))
        return changed(x);
    return take_block(x, m, b);
}
