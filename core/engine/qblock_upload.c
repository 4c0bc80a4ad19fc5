/* A request's body on its way in, by Q-Block1. RFC 9177 4.3, 7.2. Each block
 * is a request of its own; the newest is kept, to be told what is missing. */
#include "engine/block_partial.h"
#include "engine/fresh_guard.h"
#include "engine/qblock_core.h"
#include "engine/transfer.h"
#include "wire/missing.h"

struct cp_qblock_upload {
    struct cp_block_partial *in;
    struct cp_qblock_body body;
    struct cp_timer wait;
    unsigned tries;
    copal_exchange *newest; /* ref'd; NULL: it was confirmable */
    bool is_told;           /* something was sent for the newest block */
};

/* ---- The newest block's request ---- */

static void drop_newest(struct cp_qblock_upload *q)
{
    copal_exchange *x = q->newest;
    struct cp_answer *a;

    if (x == NULL)
        return;
    a = cp_answer_of(x);
    q->newest = NULL;
    a->upload = NULL;
    a->stays = false;
    cp_answer_finish(x);
    cp_exchange_let_go(x);
}

static void keep_newest(struct cp_qblock_upload *q, copal_exchange *x)
{
    struct cp_answer *a = cp_answer_of(x);

    drop_newest(q);
    if (a->wire->type == CP_CON) { /* its ACK is all it gets: RFC 9177 4.3 */
        cp_answer_keep_silent(x);
        return;
    }
    q->newest = cp_exchange_hold(x);
    q->is_told = false;
    a->upload = q->in;
    a->stays = true;
}

void cp_qblock_upload_let_go(struct cp_block_partial *in)
{
    struct cp_qblock_upload *q = in->q;

    in->q = NULL;
    cp_timer_stop(&in->engine->timers, &q->wait);
    drop_newest(q);
    cp_qblock_body_free(&q->body);
    cp_free(in->engine->mem, q);
}

/* ---- What it is told ---- */

/* To who may not be there goes one message for each of his, so that what is
 * missing is not asked for again; it brings an Echo, which his next block may
 * bring back. Either is short enough: RFC 9175 2.4. */
static void send(struct cp_qblock_upload *q, copal_msg *m)
{
    struct cp_answer *a = cp_answer_of(q->newest);
    bool doubts = cp_fresh_doubts(q->in->engine, q->in->link, &q->in->remote);
    copal_msg *going;

    if (doubts && q->is_told)
        return;
    a->gives_echo = doubts;
    going = cp_fresh_echoing(a, m);
    if (going == NULL)
        return;
    q->is_told = true;
    cp_exchange_send_below(&cp_qblock, q->newest, going);
    copal_msg_unref(going);
}

/* What cannot be sent is as good as lost. */
static void tell(struct cp_qblock_upload *q, copal_msg *m, int err)
{
    if (err == 0 && q->newest != NULL)
        send(q, m);
    copal_msg_unref(m);
}

static void tell_to_continue(struct cp_qblock_upload *q)
{
    struct cp_block b = {
        .num = q->body.end - 1, .size = q->body.size, .more = true};
    copal_msg *m = cp_msg_new(q->in->engine->mem, COPAL_CONTINUE, 0);

    tell(q, m,
         m == NULL
             ? COPAL_ENOMEM
             : cp_msg_add_uint(m, COPAL_OPT_Q_BLOCK1, cp_block_encode(b)));
}

static void tell_missing(struct cp_qblock_upload *q, bool waited)
{
    uint8_t storage[CP_MAX_PAYLOADS * 5];
    struct cp_buf list = cp_buf_fixed(storage, sizeof(storage));
    uint32_t nums[CP_MAX_PAYLOADS];
    size_t n = cp_qblock_body_missing(&q->body, waited, nums);
    copal_msg *m = cp_msg_new(q->in->engine->mem, COPAL_INCOMPLETE, 0);
    int err = m == NULL ? COPAL_ENOMEM : 0;

    cp_missing_put(&list, nums, n);
    if (err == 0)
        err = cp_msg_add_uint(m, COPAL_OPT_CONTENT_FORMAT,
                              CP_FORMAT_MISSING_BLOCKS);
    if (err == 0)
        err = cp_msg_copy_payload(m, cp_bytes(storage, list.len));
    tell(q, m, err);
}

static void on_wait_over(struct cp_timer *t);

static void wait_on(struct cp_qblock_upload *q)
{
    copal_exchange *x = q->newest;

    if (x == NULL)
        return;
    cp_timer_start(&x->engine->timers, &q->wait,
                   x->engine->now + (cp_qblock_patience(x)
                                     << (q->tries < 20 ? q->tries : 20)),
                   on_wait_over);
}

static void on_wait_over(struct cp_timer *t)
{
    struct cp_qblock_upload *q =
        cp_container_of(t, struct cp_qblock_upload, wait);

    if (q->newest == NULL || q->tries >= cp_qblock_max_tries(q->newest)) {
        cp_block_partial_free(q->in);
        return;
    }
    tell_missing(q, true);
    q->tries++;
    wait_on(q);
}

/* ---- Collecting ---- */

/* What is kept besides the body. */
static uint64_t needs_of(uint64_t total, uint16_t size)
{
    return cp_qblock_body_needs(total, size) + sizeof(struct cp_qblock_upload);
}

static struct cp_block_partial *open_body(copal_exchange *x, uint64_t key,
                                          uint64_t total, uint16_t size)
{
    struct cp_engine *e = x->engine;
    uint64_t needs = needs_of(total, size);
    uint64_t most = (uint64_t)cp_exchange_param(x, COPAL_P_MAX_BODY);
    struct cp_block_partial *in = cp_block_partial_new(e, cp_answer_of(x), key);

    if (in == NULL)
        return NULL;
    if (!cp_block_partial_take(in, needs, most + needs - total)) {
        cp_block_partial_free(in);
        return NULL;
    }
    in->q = cp_zalloc(e->mem, sizeof(*in->q));
    if (in->q == NULL) {
        cp_block_partial_free(in);
        return NULL;
    }
    in->q->in = in;
    if (cp_qblock_body_open(&in->q->body, e->mem, total, size) != 0) {
        cp_block_partial_free(in);
        return NULL;
    }
    cp_block_partial_wait(in); /* from now on it may give way */
    return in;
}

static int make_whole(copal_exchange *x, copal_msg **m,
                      struct cp_block_partial *in, uint64_t key, int flags)
{
    copal_msg *whole = cp_msg_derive(*m);
    uint64_t total = in->q->body.total;
    uint8_t *body = whole == NULL ? NULL : cp_qblock_body_take(&in->q->body);

    cp_block_partial_free(in);
    if (body == NULL) {
        copal_msg_unref(whole);
        return COPAL_ENOMEM;
    }
    cp_msg_remove(whole, COPAL_OPT_Q_BLOCK1);
    cp_msg_remove(whole, COPAL_OPT_SIZE1);
    cp_msg_give_payload(whole, body, (size_t)total);
    cp_qblock_done_note(x->engine, key);
    copal_msg_unref(*m);
    *m = whole;
    return (flags & COPAL_STREAMED) != 0
               ? cp_block_stream_in_request(x, m, NULL, true)
               : CP_PASS;
}

/* Several may have begun while there was little of each. */
static int put_block(copal_exchange *x, struct cp_block_partial *in,
                     uint32_t num, copal_bytes part)
{
    const struct cp_qblock_body *b = &in->q->body;
    uint64_t growth = cp_qblock_body_growth(b, num);
    uint64_t most = (uint64_t)cp_exchange_param(x, COPAL_P_MAX_BODY);
    int err;

    if (growth > 0 &&
        !cp_block_partial_take(in, (size_t)growth,
                               most + needs_of(b->total, b->size)))
        return COPAL_ELIMIT;
    err = cp_qblock_body_put(&in->q->body, num, part);
    if (err != 0)
        return err;
    in->q->tries = 0;
    cp_block_partial_wait(in);
    return 0;
}

static int collect(copal_exchange *x, copal_msg **m,
                   struct cp_block_partial *in, struct cp_block b)
{
    struct cp_qblock_upload *q = in->q;
    int err = 0;

    /* One that came before is answered as if it had not, RFC 9177 4.3. */
    if (!cp_qblock_body_has(&q->body, b.num))
        err = put_block(x, in, b.num, (*m)->payload);
    if (err != 0)
        return cp_block_upload_refuse(x, in, COPAL_UNAVAILABLE, NULL);
    if (q->body.got == q->body.count)
        return CP_PASS;
    keep_newest(q, x);
    wait_on(q);
    switch (cp_qblock_body_step(&q->body)) {
    case CP_QBLOCK_CONTINUE: tell_to_continue(q); break;
    case CP_QBLOCK_ASK: tell_missing(q, false); break;
    default: break;
    }
    return CP_KEPT;
}

/* 0, or why the request is no good. RFC 9177 4.3, 4.6. */
static const char *fault_of(const copal_msg *m, struct cp_block *b)
{
    const struct cp_option *o = cp_msg_find(m, COPAL_OPT_Q_BLOCK1);
    uint64_t total = cp_msg_uint_or(m, COPAL_OPT_SIZE1, UINT64_MAX);

    if (cp_block_decode(cp_msg_option_value(m, o), b) != 0)
        return "block size 7 is reserved";
    if (cp_msg_find(m, COPAL_OPT_REQUEST_TAG) == NULL)
        return "Q-Block1 without Request-Tag";
    return total == UINT64_MAX ? "Q-Block1 without Size1" : NULL;
}

static int serve_block(copal_exchange *x, copal_msg **m, struct cp_block b,
                       int flags)
{
    struct cp_engine *e = x->engine;
    uint64_t total = cp_msg_uint_or(*m, COPAL_OPT_SIZE1, 0);
    uint64_t key =
        cp_bodies_key(e, cp_answer_of(x)->link, &(*m)->path.remote, *m) ^
        CP_BODIES_QBLOCK;
    struct cp_block_partial *in = cp_block_partial_find(e, key);
    int verdict;

    if (in == NULL && cp_qblock_done_has(e, key)) {
        cp_answer_keep_silent(x);
        return CP_KEPT;
    }
    if (in == NULL && total > (uint64_t)cp_exchange_param(x, COPAL_P_MAX_BODY))
        return cp_block_upload_refuse_size(x, NULL);
    if (in == NULL)
        in = open_body(x, key, total, b.size);
    if (in == NULL)
        return cp_block_upload_refuse(x, NULL, COPAL_UNAVAILABLE, NULL);
    if (in->q->body.total != total ||
        !cp_qblock_body_fits(&in->q->body, b, (*m)->payload.len))
        return cp_block_upload_refuse(x, in, COPAL_BAD_REQUEST,
                                      "block, payload and Size1 differ");
    if (cp_qblock_body_is_ahead(&in->q->body, b.num)) {
        cp_answer_keep_silent(x);
        return CP_KEPT;
    }
    verdict = collect(x, m, in, b);
    return verdict == CP_PASS ? make_whole(x, m, in, key, flags) : verdict;
}

int cp_qblock_upload_in(copal_exchange *x, copal_msg **m)
{
    struct cp_answer *a = cp_answer_of(x);
    struct cp_engine *e = x->engine;
    const char *fault;
    struct cp_block b;
    int flags = 0;

    if ((*m)->path.is_multicast) {
        cp_answer_keep_silent(x);
        return CP_KEPT;
    }
    fault = fault_of(*m, &b);
    if (fault != NULL)
        return cp_answer_send_simple(&cp_qblock, x, COPAL_BAD_REQUEST, fault);
    /* Who sends by it may be answered by it: RFC 9177 4.1. */
    a->wish.is_offered = true;
    a->wish.size = b.size;
    if (e->flags_of != NULL)
        flags = e->flags_of(e->on_request.user, *m);
    if (flags < 0) /* nobody serves it: no body is worth collecting */
        return CP_PASS;
    return serve_block(x, m, b, flags);
}
