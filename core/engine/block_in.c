/* Bodies that arrive: a response's by Block2, a request's by Block1. */
#include "engine/transfer.h"

/* A request's body on its way in, whole or as a stream. */
struct incoming {
    struct cp_map_node node;    /* in bodies.in */
    struct cp_map_node of_peer; /* in bodies.by_peer */
    struct cp_timer timer;
    struct cp_engine *engine;
    struct cp_link *link;
    struct cp_address remote;
    struct cp_buf body;
    uint64_t got;
    uint64_t taken;         /* of BODY_MEMORY */
    copal_exchange *stream; /* ref'd: who sees the CHUNKs; NULL: collected */
    bool if_none_match;     /* which stands in block 0 only: RFC 7959 2.10 */
};

/* ---- Client ---- */

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

static void forget_body(copal_exchange *x)
{
    struct cp_transfer *t = x->transfer;

    cp_buf_free(&t->body);
    t->body = cp_buf_new(x->mem);
    copal_msg_unref(t->head);
    t->head = NULL;
    copal_msg_unref(t->held);
    t->held = NULL;
    t->got = 0;
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

    if (t->in_size > cp_transfer_own_size(x)) /* RFC 7959 2.4 */
        t->in_size = cp_transfer_own_size(x);
    b = (struct cp_block){(uint32_t)(t->got / t->in_size), t->in_size, false};
    if (t->got / t->in_size > CP_BLOCK_MAX_NUM)
        err = COPAL_ELIMIT;
    if (err == 0) {
        cp_msg_remove(m, COPAL_OPT_OBSERVE);
        cp_msg_remove(m, COPAL_OPT_BLOCK1);
        cp_msg_remove(m, COPAL_OPT_BLOCK2);
        cp_msg_remove(m, COPAL_OPT_SIZE1);
        cp_msg_remove(m, COPAL_OPT_IF_NONE_MATCH);
        if (m->code != COPAL_FETCH || m->payload.len > t->in_size)
            cp_msg_borrow_payload(m, NULL, (copal_bytes){0});
        err = cp_msg_add_uint(m, COPAL_OPT_BLOCK2, cp_block_encode(b));
    }
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
    size_t len = 0;
    uint8_t *body;

    if (whole == NULL)
        return COPAL_ENOMEM;
    cp_msg_remove(whole, COPAL_OPT_BLOCK2);
    whole->mid = (*m)->mid;
    whole->type = (*m)->type;
    body = cp_buf_take(&t->body, &len);
    if (body == NULL && t->got > 0) {
        copal_msg_unref(whole);
        return COPAL_ENOMEM;
    }
    cp_msg_give_payload(whole, body, len);
    copal_msg_unref(*m);
    *m = whole;
    forget_body(x);
    return CP_PASS;
}

/* The representation is another than that of the blocks before: begins again,
 * unless that was tried often enough or would act twice. */
static int changed(copal_exchange *x)
{
    struct cp_transfer *t = x->transfer;
    bool safe =
        x->request->code == COPAL_GET || x->request->code == COPAL_FETCH;

    if (!safe || t->streams_in)
        return COPAL_ECHANGED;
    forget_body(x);
    if (++t->restarts <= CP_MAX_RESTARTS)
        return cp_block_in_ask_next(x);
    /* Who observes is told of the state after this one. */
    return cp_ask_of(x)->is_observed ? CP_KEPT : COPAL_ECHANGED;
}

static int hand_chunk(copal_exchange *x, const copal_msg *m, bool last)
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

static int take_block(copal_exchange *x, copal_msg **m, struct cp_block b)
{
    struct cp_transfer *t = x->transfer;
    uint64_t most = (uint64_t)cp_exchange_param(x, COPAL_P_MAX_BODY);
    uint64_t total = cp_msg_uint_or(*m, COPAL_OPT_SIZE2, 0);

    if (cp_block_offset(b) != t->got ||
        (b.more && (*m)->payload.len != b.size) || (*m)->payload.len > b.size)
        return COPAL_EFORMAT;
    if (!t->streams_in && (total > most || t->got + (*m)->payload.len > most))
        return refuse_body(x);
    t->in_size = b.size;
    if (total > 0)
        t->total = total;
    cp_transfer_tell_progress(x, t->got + (*m)->payload.len, t->total);
    if (t->streams_in)
        return hand_chunk(x, *m, !b.more);
    cp_put_bytes(&t->body, (*m)->payload);
    if (t->body.failed)
        return COPAL_ENOMEM;
    t->got += (*m)->payload.len;
    return b.more ? cp_block_in_ask_next(x) : complete(x, m);
}

static bool is_notification(copal_exchange *x)
{
    const struct cp_ask *a = cp_ask_of(x);

    return a->is_observed && a->came_by == &a->main;
}

/* A newer state came, or none at all: what was under way is let go. */
static void abandon(copal_exchange *x)
{
    cp_flight_stop(&cp_ask_of(x)->sub.flight);
    if (x->transfer != NULL)
        forget_body(x);
}

static int begin(copal_exchange *x, copal_msg **m, struct cp_block b,
                 bool streams)
{
    struct cp_transfer *t = cp_transfer_get(x);
    int err = 0;

    if (t == NULL)
        return COPAL_ENOMEM;
    abandon(x);
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

int cp_block_in_response(copal_exchange *x, copal_msg **m)
{
    const struct cp_option *o = cp_msg_find(*m, COPAL_OPT_BLOCK2);
    bool streams = (x->request->flags & COPAL_STREAM_IN) != 0 &&
                   cp_code_class((*m)->code) == 2;
    struct cp_block b = {0, 1024, false};

    if (o != NULL && cp_block_decode(cp_msg_option_value(*m, o), &b) != 0)
        return COPAL_EFORMAT;
    if (cp_ask_of(x)->came_by == &cp_ask_of(x)->sub &&
        (x->transfer == NULL || !x->transfer->asks))
        return CP_KEPT;          /* of a state that is history by now */
    if (o == NULL && !streams) { /* whole as it is, or an error amid it */
        abandon(x);
        return CP_PASS;
    }
    if (o == NULL)
        b.size = (uint16_t)((*m)->payload.len <= 1024 ? 1024 : UINT16_MAX);
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
        return CP_PASS; /* the user asked for this very block */
    if (!same_etag(x->transfer, *m))
        return changed(x);
    return take_block(x, m, b);
}

/* ---- Server ---- */

static void incoming_free(struct incoming *in)
{
    struct cp_engine *e = in->engine;
    copal_exchange *stream = in->stream;

    cp_timer_stop(&e->timers, &in->timer);
    cp_map_remove(&e->bodies.in, &in->node);
    cp_map_remove(&e->bodies.by_peer, &in->of_peer);
    cp_bodies_give_back(e, in->taken);
    cp_buf_free(&in->body);
    cp_free(e->mem, in);
    if (stream != NULL)
        cp_exchange_let_go(stream);
}

/* It will not be completed: a stream's handler is told. */
static void incoming_give_up(struct incoming *in, int status, const char *why)
{
    copal_exchange *stream = in->stream;

    if (stream != NULL)
        cp_exchange_hold(stream);
    incoming_free(in);
    if (stream == NULL)
        return;
    cp_exchange_fail(stream, status, "%s", why);
    cp_exchange_let_go(stream);
}

static void on_lifetime(struct cp_timer *timer);

static void wait_for_more(struct incoming *in)
{
    struct cp_engine *e = in->engine;

    cp_timer_start(&e->timers, &in->timer, e->now + cp_exchange_lifetime(e),
                   on_lifetime);
}

/* While the user has paused it is us who the sender waits for. */
static void on_lifetime(struct cp_timer *timer)
{
    struct incoming *in = cp_container_of(timer, struct incoming, timer);

    if (in->stream != NULL && !in->stream->over &&
        cp_answer_of(in->stream)->wire != NULL)
        wait_for_more(in);
    else
        incoming_give_up(in, COPAL_ETIMEOUT,
                         "the rest of the body did not come");
}

static struct incoming *incoming_find(struct cp_engine *e, uint64_t key)
{
    struct cp_map_node *n = cp_map_first(&e->bodies.in, key);

    return n == NULL ? NULL : cp_container_of(n, struct incoming, node);
}

/* The chain is as long as the limit on one peer at most. */
static unsigned count_of_peer(struct cp_engine *e, const struct cp_answer *a,
                              uint64_t hash)
{
    struct cp_map_node *n = cp_map_first(&e->bodies.by_peer, hash);
    unsigned count = 0;

    for (; n != NULL; n = cp_map_next(n)) {
        struct incoming *in = cp_container_of(n, struct incoming, of_peer);

        count += in->link == a->link &&
                 cp_address_equal(&in->remote, &a->wire->path.remote);
    }
    return count;
}

static struct incoming *incoming_new(struct cp_engine *e, struct cp_answer *a,
                                     uint64_t key)
{
    const struct cp_address *remote = &a->wire->path.remote;
    uint64_t hash = cp_map_hash(&e->bodies.by_peer, remote, sizeof(*remote));
    struct incoming *in;

    if (count_of_peer(e, a, hash) >=
        (unsigned)cp_exchange_param(&a->x, COPAL_P_PEER_BODIES)) {
        cp_engine_limited(e, "peer_bodies");
        return NULL;
    }
    if (!cp_bodies_take(e, sizeof(*in)))
        return NULL;
    in = cp_zalloc(e->mem, sizeof(*in));
    if (in == NULL) {
        cp_bodies_give_back(e, sizeof(*in));
        return NULL;
    }
    in->engine = e;
    in->link = a->link;
    in->remote = *remote;
    in->body = cp_buf_new(e->mem);
    in->taken = sizeof(*in);
    cp_map_put(&e->bodies.in, &in->node, key);
    cp_map_put(&e->bodies.by_peer, &in->of_peer, hash);
    wait_for_more(in);
    return in;
}

/* 2.31 names the size that we would rather have. RFC 7959 2.5. */
static int answer_continue(copal_exchange *x)
{
    struct cp_answer *a = cp_answer_of(x);
    uint16_t own = cp_transfer_own_size(x);
    struct cp_block b = a->echo;
    copal_msg *m = cp_msg_new(x->mem, COPAL_CONTINUE, 0);
    int err = m == NULL ? COPAL_ENOMEM : 0;

    b.more = true;
    if (b.size > own)
        b.size = own;
    if (err == 0)
        err = cp_msg_add_uint(m, COPAL_OPT_BLOCK1, cp_block_encode(b));
    if (err == 0)
        err = cp_exchange_send_below(&cp_block, x, m);
    copal_msg_unref(m);
    return err < 0 ? err : CP_KEPT;
}

static int refuse(copal_exchange *x, struct incoming *in, int code,
                  const char *diagnostic)
{
    if (in != NULL)
        incoming_give_up(in, COPAL_EFORMAT, "a block is missing");
    return cp_answer_simple(&cp_block, x, code, diagnostic);
}

/* 4.13 says how much we would take. RFC 7959 2.9.3. */
static int refuse_size(copal_exchange *x, struct incoming *in)
{
    copal_msg *m = cp_msg_new(x->mem, COPAL_TOO_LARGE, 0);
    int64_t most = cp_exchange_param(x, COPAL_P_MAX_BODY);
    int err = m == NULL ? COPAL_ENOMEM : 0;

    if (in != NULL)
        incoming_free(in);
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

static int make_whole(copal_exchange *x, copal_msg **m, struct incoming *in)
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
    incoming_free(in);
    copal_msg_unref(*m);
    *m = whole;
    (void)x;
    return CP_PASS;
}

static int collect(copal_exchange *x, copal_msg **m, struct incoming *in)
{
    struct cp_answer *a = cp_answer_of(x);
    size_t n = (*m)->payload.len;

    if (in->got + n > (uint64_t)cp_exchange_param(x, COPAL_P_MAX_BODY))
        return refuse_size(x, in);
    if (!cp_bodies_take(x->engine, n))
        return refuse(x, in, COPAL_UNAVAILABLE, NULL);
    in->taken += n;
    cp_put_bytes(&in->body, (*m)->payload);
    if (in->body.failed)
        return refuse(x, in, COPAL_UNAVAILABLE, NULL);
    in->got += n;
    if (!a->echo.more)
        return make_whole(x, m, in);
    wait_for_more(in);
    return answer_continue(x);
}

/* ---- Server, streamed ---- */

/* The first request is what the user sees, without its body; the pieces come
 * as CHUNKs of the same exchange, which takes over each later request. */
static int stream_begin(copal_exchange *x, copal_msg **m, struct incoming *in)
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
    if (in != NULL)
        in->stream = cp_exchange_hold(x);
    return CP_PASS;
}

static int stream_chunk(copal_exchange *x, copal_msg *m, struct incoming *in,
                        bool last)
{
    int verdict = hand_chunk(x, m, last);

    if (in == NULL)
        return verdict;
    in->got += m->payload.len;
    if (verdict < 0) /* the sender waits for an answer that never comes */
        incoming_give_up(in, verdict, copal_strerror(verdict));
    else if (last) /* only now: the CHUNK holds the exchange by itself */
        incoming_free(in);
    else
        wait_for_more(in);
    return CP_KEPT;
}

void cp_block_in_go_on(copal_exchange *x)
{
    if (x->transfer->in_is_last) { /* the handler's answer ends it now */
        cp_transfer_free(x);
        return;
    }
    if (cp_answer_of(x)->wire != NULL && answer_continue(x) < 0)
        cp_exchange_fail(x, COPAL_ENOMEM, NULL);
}

static int stream(copal_exchange *x, copal_msg **m, struct incoming *in,
                  bool last)
{
    copal_exchange *main = in == NULL || in->stream == NULL ? x : in->stream;
    int err = CP_PASS;

    if (main->over || (main != x && main->transfer == NULL))
        return refuse(x, in, COPAL_INCOMPLETE, NULL);
    if (main == x)
        err = stream_begin(x, m, in);
    else
        cp_answer_adopt(main, x);
    if (err != CP_PASS)
        return err;
    return stream_chunk(main, *m, in, last);
}

int cp_block_in_request(copal_exchange *x, copal_msg **m, int flags)
{
    struct cp_answer *a = cp_answer_of(x);
    struct cp_engine *e = x->engine;
    struct cp_block b = a->echo;
    bool streamed = (flags & COPAL_STREAMED) != 0;
    struct incoming *in;
    uint64_t key;

    if (!a->echoes_block)
        return stream(x, m, NULL, true);
    if ((b.more && (*m)->payload.len != b.size) || (*m)->payload.len > b.size)
        return refuse(x, NULL, COPAL_BAD_REQUEST, "payload and block differ");
    key = cp_body_key(e, a->link, *m);
    in = incoming_find(e, key);
    if (b.num == 0) { /* begins, or begins again */
        if (in != NULL)
            incoming_give_up(in, COPAL_ECLOSED, "the sender began again");
        if (!streamed && cp_msg_uint_or(*m, COPAL_OPT_SIZE1, 0) >
                             (uint64_t)cp_exchange_param(x, COPAL_P_MAX_BODY))
            return refuse_size(x, NULL);
        if (!b.more && !streamed)
            return CP_PASS; /* a body of one block */
        in = incoming_new(e, a, key);
        if (in == NULL)
            return refuse(x, NULL, COPAL_UNAVAILABLE, NULL);
        in->if_none_match = cp_msg_has(*m, COPAL_OPT_IF_NONE_MATCH);
    }
    if (in == NULL || cp_block_offset(b) != in->got)
        return refuse(x, in, COPAL_INCOMPLETE, NULL);
    return streamed ? stream(x, m, in, !b.more) : collect(x, m, in);
}

/* ---- The store ---- */

void cp_bodies_init(struct cp_engine *e)
{
    cp_map_init(&e->bodies.in, e->mem, &e->random);
    cp_map_init(&e->bodies.by_peer, e->mem, &e->random);
    cp_map_init(&e->bodies.out, e->mem, &e->random);
    cp_list_init(&e->bodies.oldest_out);
}

void cp_bodies_clear(struct cp_engine *e)
{
    map_each (node, after, &e->bodies.in)
        incoming_free(cp_container_of(node, struct incoming, node));
    cp_bodies_clear_out(e);
    cp_map_clear(&e->bodies.in);
    cp_map_clear(&e->bodies.by_peer);
    cp_map_clear(&e->bodies.out);
}
