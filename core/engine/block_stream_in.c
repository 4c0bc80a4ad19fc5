/* Bodies that come to the user in CHUNKs, in both roles. */
#include "engine/block_partial.h"
#include "engine/transfer.h"

int cp_block_stream_in_hand(copal_exchange *x, const copal_msg *m, bool last)
{
    struct cp_transfer *t = x->transfer;
    struct cp_event *ev = cp_exchange_tell(x, COPAL_CHUNK, (copal_msg *)m);

    if (ev == NULL)
        return COPAL_ENOMEM;
    ev->offset = t->got;
    ev->last = last;
    t->got += m->payload.len;
    t->owes_next = true;
    t->in_is_last = last;
    return CP_KEPT;
}

/* ---- Server ---- */

/* The first request is what the user sees, without its body; the pieces come
 * as CHUNKs of the same exchange, which takes over each later request. */
static int stream_begin(copal_exchange *x, copal_msg **m,
                        struct cp_block_partial *in)
{
    struct cp_transfer *t = cp_transfer_get(x);
    struct cp_answer *a = cp_answer_of(x);
    copal_msg *head = t == NULL ? NULL : cp_msg_derive(*m);

    if (head == NULL)
        return COPAL_ENOMEM;
    cp_msg_remove(head, COPAL_OPT_BLOCK1);
    cp_msg_borrow_payload(head, NULL, (copal_bytes){0});
    head->frozen = true;
    copal_msg_unref(x->request);
    x->request = head;
    t->streams_in = true;
    a->arrival.kind = COPAL_REQUEST;
    cp_event_post_part(x->engine, &a->arrival, x, head);
    if (in != NULL) {
        in->stream = cp_exchange_hold(x);
        t->partial = in;
    }
    return CP_PASS;
}

static int stream_chunk(copal_exchange *x, copal_msg *m,
                        struct cp_block_partial *in, bool last)
{
    int verdict = cp_block_stream_in_hand(x, m, last);

    if (in == NULL)
        return verdict;
    in->got += m->payload.len;
    in->last_len = m->payload.len;
    if (verdict < 0) /* the sender waits for an answer that never comes */
        cp_block_partial_give_up(in, verdict, copal_strerror(verdict));
    else if (last) /* only now: the CHUNK holds the exchange by itself */
        cp_block_partial_free(in);
    else
        cp_block_partial_wait(in);
    return CP_KEPT;
}

int cp_block_stream_in_request(copal_exchange *x, copal_msg **m,
                               struct cp_block_partial *in, bool last)
{
    copal_exchange *main = in == NULL || in->stream == NULL ? x : in->stream;
    int err = CP_PASS;

    if (main->over || (main != x && main->transfer == NULL))
        return cp_block_upload_refuse(x, in, COPAL_INCOMPLETE, NULL);
    if (main == x)
        err = stream_begin(x, m, in);
    else
        cp_answer_wire_adopt(main, x);
    if (err != CP_PASS)
        return err;
    return stream_chunk(main, *m, in, last);
}

static void go_on(copal_exchange *x)
{
    if (x->transfer->in_is_last) { /* the handler's answer ends it now */
        cp_transfer_free(x);
        return;
    }
    if (cp_answer_of(x)->wire != NULL && cp_block_upload_continue(x) < 0)
        cp_exchange_fail(x, COPAL_ENOMEM, NULL);
}

/* ---- After each CHUNK, both roles ---- */

bool cp_block_stream_in_holds_back(copal_exchange *x, const copal_event *chunk)
{
    struct cp_transfer *t = x->transfer;

    if (!x->is_ask && (x->over || cp_answer_of(x)->answered))
        return true;
    if (!x->paused || x->over || t == NULL)
        return false;
    copal_msg_unref(t->held);
    t->held = copal_msg_ref(chunk->msg);
    t->held_at = chunk->offset;
    t->held_is_last = chunk->last != 0;
    return true;
}

/* The CHUNK that was held back, once more. */
static void post_held(copal_exchange *x)
{
    struct cp_transfer *t = x->transfer;
    struct cp_event *ev = cp_exchange_tell(x, COPAL_CHUNK, t->held);

    if (ev == NULL) {
        cp_exchange_fail(x, COPAL_ENOMEM, NULL);
        return;
    }
    ev->offset = t->held_at;
    ev->last = t->held_is_last;
    copal_msg_unref(t->held);
    t->held = NULL;
}

/* The last CHUNK was seen. An observation waits for the next notification. */
static void finish(copal_exchange *x)
{
    struct cp_ask *a = cp_ask_of(x);

    if (a->is_observed) {
        cp_ask_limit_met(a);
        return;
    }
    if (a->wants_observe)
        cp_exchange_fail(x, COPAL_ENOTOBS,
                         "%s: answered, but it cannot be observed; use get, or "
                         "ask again later",
                         copal_msg_uri(x->request));
    else
        cp_ask_finish(x, 0, "");
}

void cp_block_stream_in_delivered(copal_exchange *x)
{
    struct cp_transfer *t = x->transfer;

    if (t == NULL || !t->owes_next || x->paused || x->over)
        return;
    if (t->held != NULL) {
        post_held(x);
        return;
    }
    t->owes_next = false;
    if (!x->is_ask)
        go_on(x);
    else if (t->in_is_last)
        finish(x);
    else if (cp_block_in_ask_next(x) < 0)
        cp_exchange_fail(x, COPAL_ENOMEM, NULL);
}
