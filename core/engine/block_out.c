/* Bodies that leave: a request's by Block1, an answer's by Block2. */
#include "engine/transfer.h"

/* An answer kept until its blocks were asked for. */
struct outgoing {
    struct cp_map_node node; /* in bodies.out */
    struct cp_list place;    /* in bodies.oldest_out */
    struct cp_timer timer;
    struct cp_engine *engine;
    copal_msg *whole;       /* NULL: a stream */
    copal_exchange *stream; /* ref'd: who pulls */
};

/* A copy of m without body that says which block it is. */
static copal_msg *block_of(const copal_msg *m, unsigned option,
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

static copal_bytes part_of(copal_bytes body, uint64_t offset, uint16_t size)
{
    size_t len = body.len - (size_t)offset;

    return cp_bytes(body.data + offset, len < size ? len : size);
}

static int ask_for_more(copal_exchange *x)
{
    struct cp_transfer *t = x->transfer;
    struct cp_event *ev = cp_exchange_tell(x, COPAL_PULL, NULL);

    if (ev == NULL)
        return COPAL_ENOMEM;
    t->awaits_write = true;
    t->pull_at = ev->offset = t->sent;
    t->pull_size = t->size;
    ev->want = t->size;
    return CP_KEPT;
}

/* ---- Client: Block1 ---- */

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
                           cp_block_encode((struct cp_block){0, size, false}));
}

/* The block of the request's body at t->sent, or a piece given as such. */
static copal_msg *request_block(copal_exchange *x, copal_bytes part, bool more)
{
    struct cp_transfer *t = x->transfer;
    uint64_t num = t->sent / t->size;
    copal_msg *m;

    if (num > CP_BLOCK_MAX_NUM)
        return NULL;
    m = block_of(t->sending, COPAL_OPT_BLOCK1,
                 (struct cp_block){(uint32_t)num, t->size, more});
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
    return m;
}

static copal_msg *next_request_block(copal_exchange *x)
{
    struct cp_transfer *t = x->transfer;
    copal_bytes body = t->sending->payload;

    return request_block(x, part_of(body, t->sent, t->size),
                         t->sent + t->size < body.len);
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
                        cp_block_encode((struct cp_block){0, size, false}))) {
        copal_msg_unref(asking);
        return COPAL_ENOMEM;
    }
    copal_msg_unref(*m);
    *m = asking;
    return CP_PASS;
}

int cp_block_out_request(copal_exchange *x, copal_msg **m)
{
    uint16_t size = cp_transfer_own_size(x);
    bool pulls = ((*m)->flags & COPAL_STREAM_OUT) != 0;
    struct cp_transfer *t;
    copal_msg *first;

    if (!pulls && (*m)->payload.len <= size)
        return prefer_size(m, size);
    t = cp_transfer_get(x);
    if (t == NULL)
        return COPAL_ENOMEM;
    t->sending = copal_msg_ref(*m);
    t->size = size;
    t->sent = 0;
    t->pulls = pulls;
    t->total =
        pulls ? cp_msg_uint_or(*m, COPAL_OPT_SIZE1, 0) : (*m)->payload.len;
    if (pulls)
        return ask_for_more(x);
    first = next_request_block(x);
    if (first == NULL)
        return COPAL_ENOMEM;
    copal_msg_unref(*m);
    *m = first;
    return CP_PASS;
}

static int send_next(copal_exchange *x)
{
    copal_msg *next;
    int err;

    x->transfer->wrote_last = false;
    if (x->transfer->pulls)
        return ask_for_more(x);
    next = next_request_block(x);
    if (next == NULL)
        return COPAL_ENOMEM;
    err = cp_exchange_send_below(&cp_block, x, next);
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

/* RFC 7959 2.5: 2.31 asks for the next block, perhaps in a smaller size, and so
 * does another success that names a block, of a server that acts on each by
 * itself; 4.13 at the beginning may name a size to begin again with. Anything
 * else is the answer. */
int cp_block_out_response(copal_exchange *x, copal_msg **m)
{
    struct cp_transfer *t = x->transfer;
    bool is_success = cp_code_class((*m)->code) == 2;
    const struct cp_option *o;
    struct cp_block b;

    if (t == NULL || t->sending == NULL)
        return CP_PASS;
    o = cp_msg_find(*m, COPAL_OPT_BLOCK1);
    if (o == NULL || cp_block_decode(cp_msg_option_value(*m, o), &b) != 0)
        b.size = 0;
    if (is_success && b.size != 0 && has_more_to_send(t)) {
        t->sent += t->last_len;
        if (b.size < t->size)
            t->size = b.size;
        cp_transfer_tell_progress(x, t->sent, t->total);
        return send_next(x);
    }
    if ((*m)->code == COPAL_TOO_LARGE && b.size != 0 && t->sent == 0 &&
        b.size < t->size) {
        t->size = b.size;
        return send_next(x);
    }
    if (is_success)
        cp_transfer_tell_progress(x, t->sent + t->last_len, t->total);
    stop_sending(x);
    return CP_PASS;
}

/* ---- Server: Block2 ---- */

static uint64_t size_kept(const struct outgoing *o)
{
    return sizeof(*o) + (o->whole == NULL ? 0 : o->whole->payload.len);
}

static void outgoing_free(struct outgoing *o)
{
    struct cp_engine *e = o->engine;
    copal_exchange *stream = o->stream;

    cp_timer_stop(&e->timers, &o->timer);
    cp_map_remove(&e->bodies.out, &o->node);
    cp_list_remove(&o->place);
    cp_bodies_give_back(e, size_kept(o));
    copal_msg_unref(o->whole);
    cp_free(e->mem, o);
    if (stream != NULL)
        cp_exchange_let_go(stream);
}

/* A stream's handler is told. */
static void outgoing_give_up(struct outgoing *o, int status, const char *why)
{
    copal_exchange *stream = o->stream;

    if (stream != NULL)
        cp_exchange_hold(stream);
    outgoing_free(o);
    if (stream == NULL)
        return;
    cp_exchange_fail(stream, status, "%s", why);
    cp_exchange_let_go(stream);
}

static void on_lifetime(struct cp_timer *timer)
{
    struct outgoing *o = cp_container_of(timer, struct outgoing, timer);
    bool is_ours = o->stream != NULL && cp_answer_of(o->stream)->wire != NULL;

    outgoing_give_up(o, COPAL_ETIMEOUT,
                     is_ours
                         ? "the block asked for was not written in time"
                         : "the asker did not come for the rest of the body");
}

static struct outgoing *outgoing_find(struct cp_engine *e, uint64_t key)
{
    struct cp_map_node *n = cp_map_first(&e->bodies.out, key);

    return n == NULL ? NULL : cp_container_of(n, struct outgoing, node);
}

static void touch(struct outgoing *o)
{
    struct cp_engine *e = o->engine;

    cp_list_remove(&o->place);
    cp_list_append(&e->bodies.oldest_out, &o->place);
    cp_timer_start(&e->timers, &o->timer, e->now + cp_exchange_lifetime(e),
                   on_lifetime);
}

void cp_bodies_make_room(struct cp_engine *e, uint64_t need)
{
    uint64_t limit = (uint64_t)e->params.value[COPAL_P_BODY_MEMORY];

    if (need > limit)
        return;
    list_each (place, after, &e->bodies.oldest_out) {
        struct outgoing *o = cp_container_of(place, struct outgoing, place);

        if (e->bodies.used + need <= limit)
            break;
        if (o->stream == NULL)
            outgoing_free(o);
    }
}

void cp_block_forget_kept(struct cp_engine *e, struct cp_link *link,
                          const copal_msg *request)
{
    struct outgoing *o;

    if (e->bodies.out.count == 0)
        return;
    o = outgoing_find(e, cp_body_key(e, link, request));
    if (o != NULL && o->stream == NULL)
        outgoing_free(o);
}

static struct outgoing *outgoing_new(copal_exchange *x, uint64_t key,
                                     copal_msg *whole)
{
    struct cp_engine *e = x->engine;
    struct outgoing *o = outgoing_find(e, key);

    if (o != NULL)
        outgoing_give_up(o, COPAL_ECLOSED, "the asker began again");
    if (!cp_bodies_take(e,
                        sizeof(*o) + (whole == NULL ? 0 : whole->payload.len)))
        return NULL;
    o = cp_zalloc(e->mem, sizeof(*o));
    if (o == NULL) {
        cp_bodies_give_back(e, sizeof(*o) +
                                   (whole == NULL ? 0 : whole->payload.len));
        return NULL;
    }
    o->engine = e;
    o->whole = copal_msg_ref(whole);
    o->stream = whole == NULL ? cp_exchange_hold(x) : NULL;
    cp_list_init(&o->place);
    cp_map_put(&e->bodies.out, &o->node, key);
    touch(o);
    return o;
}

/* A representation whose blocks are asked for one by one needs an ETag, or the
 * asker could not tell that it changed meanwhile. RFC 7959 2.4. */
static int add_etag(copal_msg *m)
{
    static const uint8_t key[16] = "copal body etag";
    uint64_t hash = cp_siphash(key, m->payload.data, m->payload.len);

    if (m->code != COPAL_CONTENT || cp_msg_has(m, COPAL_OPT_ETAG))
        return 0;
    return cp_msg_add(m, COPAL_OPT_ETAG, cp_bytes(&hash, 4));
}

static struct cp_block block_wanted(const copal_exchange *x)
{
    const struct cp_answer *a = cp_container_of(x, struct cp_answer, x);
    struct cp_block b = {0, cp_transfer_own_size(x), false};

    if (a->wants_block && a->want.size <= b.size)
        b = a->want;
    else if (a->wants_block) /* ours is smaller: the same place, recounted */
        b.num = (uint32_t)(cp_block_offset(a->want) / b.size);
    return b;
}

static copal_msg *answer_block(copal_exchange *x, const copal_msg *whole,
                               bool *more)
{
    struct cp_block b = block_wanted(x);
    uint64_t offset = cp_block_offset(b);
    copal_msg *m;

    *more = false;
    if (offset > 0 && offset >= whole->payload.len)
        return cp_msg_new(x->mem, COPAL_BAD_REQUEST, 0);
    *more = b.more = offset + b.size < whole->payload.len;
    m = block_of(whole, COPAL_OPT_BLOCK2, b);
    if (m == NULL)
        return NULL;
    if (b.num == 0 && whole->payload.len <= UINT32_MAX &&
        !cp_msg_has(m, COPAL_OPT_SIZE2) &&
        cp_msg_add_uint(m, COPAL_OPT_SIZE2, whole->payload.len) != 0) {
        copal_msg_unref(m);
        return NULL;
    }
    cp_msg_borrow_payload(m, whole, part_of(whole->payload, offset, b.size));
    return m;
}

uint16_t cp_block_preferred(struct cp_engine *e, const copal_msg *request)
{
    uint16_t own = cp_block_fit((uint64_t)e->params.value[COPAL_P_BLOCK_SIZE]);
    const struct cp_option *o = cp_msg_find(request, COPAL_OPT_BLOCK2);
    struct cp_block wanted;

    return o != NULL &&
                   cp_block_decode(cp_msg_option_value(request, o), &wanted) ==
                       0 &&
                   wanted.size < own
               ? wanted.size
               : own;
}

copal_msg *cp_block_first(copal_msg *m, uint16_t size)
{
    copal_msg *whole, *first;

    if (m->payload.len <= size)
        return copal_msg_ref(m);
    whole = cp_msg_derive(m);
    if (whole == NULL || add_etag(whole) != 0) {
        copal_msg_unref(whole);
        return NULL;
    }
    whole->frozen = true;
    first = block_of(whole, COPAL_OPT_BLOCK2, (struct cp_block){0, size, true});
    if (first != NULL)
        cp_msg_borrow_payload(first, whole, part_of(whole->payload, 0, size));
    copal_msg_unref(whole);
    return first;
}

/* An answer given before the last block came is for the whole all the same, and
 * names no block: it would read as one for that block alone. RFC 7959 2.3. */
static int echo_block1(copal_exchange *x, copal_msg **m)
{
    struct cp_answer *a = cp_answer_of(x);
    struct cp_block b = a->echo;
    copal_msg *copy;

    if (!a->echoes_block || a->echo.more || cp_msg_has(*m, COPAL_OPT_BLOCK1))
        return 0;
    copy = cp_msg_derive(*m);
    if (copy == NULL)
        return COPAL_ENOMEM;
    if (cp_msg_add_uint(copy, COPAL_OPT_BLOCK1, cp_block_encode(b)) != 0) {
        copal_msg_unref(copy);
        return COPAL_ENOMEM;
    }
    copal_msg_unref(*m);
    *m = copy;
    return 0;
}

/* The first block of a body that is pulled from the user. A notification has
 * no other: they are asked for as of any representation. */
static int start_stream(copal_exchange *x, copal_msg *m)
{
    struct cp_answer *a = cp_answer_of(x);
    struct cp_block b = block_wanted(x);
    struct cp_transfer *t = cp_transfer_get(x);

    if (t == NULL || (a->link != NULL &&
                      outgoing_new(x, cp_body_key(x->engine, a->link, a->wire),
                                   NULL) == NULL))
        return COPAL_ENOMEM;
    t->sending = copal_msg_ref(m);
    t->pulls = true;
    t->size = b.size;
    t->sent = cp_block_offset(b);
    t->total = cp_msg_uint_or(m, COPAL_OPT_SIZE2, 0);
    return ask_for_more(x);
}

/* The part of *m that was asked for in its place; the rest is kept, if there is
 * room. */
static int cut(copal_exchange *x, copal_msg **m)
{
    struct cp_answer *a = cp_answer_of(x);
    copal_msg *whole = cp_msg_derive(*m), *block;
    bool more;

    if (whole == NULL || add_etag(whole) != 0) {
        copal_msg_unref(whole);
        return COPAL_ENOMEM;
    }
    whole->frozen = true; /* so that its blocks share the payload */
    block = answer_block(x, whole, &more);
    if (more && block != NULL)
        outgoing_new(x, cp_body_key(x->engine, a->link, a->wire), whole);
    copal_msg_unref(whole);
    if (block == NULL)
        return COPAL_ENOMEM;
    copal_msg_unref(*m);
    *m = block;
    return CP_PASS;
}

int cp_block_out_answer(copal_exchange *x, copal_msg **m)
{
    struct cp_answer *a = cp_answer_of(x);
    uint16_t size = block_wanted(x).size;
    bool is_short = (*m)->payload.len <= size;
    int err = CP_PASS;

    if (cp_msg_has(*m, COPAL_OPT_BLOCK2))
        return CP_PASS;
    if (x->transfer != NULL && x->transfer->streams_in)
        cp_transfer_free(x); /* answered: nothing more is listened to */
    if (((*m)->flags & COPAL_STREAM_OUT) != 0)
        return start_stream(x, *m);
    if (a->link == NULL)
        return CP_PASS;
    if (!is_short || (a->wants_block && (*m)->payload.len > 0 &&
                      cp_code_class((*m)->code) == 2))
        err = cut(x, m);
    return err != CP_PASS ? err : echo_block1(x, m);
}

static int next_of_stream(copal_exchange *x, struct outgoing *o)
{
    copal_exchange *stream = o->stream;
    struct cp_transfer *t = stream->transfer;
    struct cp_block b;

    if (t == NULL || stream->over) {
        outgoing_free(o);
        return cp_answer_simple(&cp_block, x, COPAL_INCOMPLETE, NULL);
    }
    touch(o);
    cp_answer_adopt(stream, x);
    b = block_wanted(stream); /* a PULL under way may have been for another */
    t->size = b.size;
    t->sent = cp_block_offset(b);
    if (!t->awaits_write && ask_for_more(stream) < 0)
        cp_exchange_fail(stream, COPAL_ENOMEM, NULL);
    return CP_KEPT;
}

int cp_block_out_next(copal_exchange *x, copal_msg *request)
{
    struct cp_engine *e = x->engine;
    struct outgoing *o =
        outgoing_find(e, cp_body_key(e, cp_answer_of(x)->link, request));
    copal_msg *block;
    bool more;
    int err;

    if (o == NULL) /* not kept any more: a safe method is asked anew */
        return request->code == COPAL_GET || request->code == COPAL_FETCH
                   ? CP_PASS
                   : cp_answer_simple(&cp_block, x, COPAL_INCOMPLETE, NULL);
    if (o->stream != NULL)
        return next_of_stream(x, o);
    touch(o);
    block = answer_block(x, o->whole, &more);
    if (block == NULL)
        return COPAL_ENOMEM;
    if (!more)
        outgoing_free(o);
    cp_answer_of(x)->answered = true;
    err = cp_exchange_send_below(&cp_block, x, block);
    copal_msg_unref(block);
    return err < 0 ? err : CP_KEPT;
}

/* ---- Streams out, both roles ---- */

static int write_request(copal_exchange *x, copal_bytes piece, bool last)
{
    struct cp_transfer *t = x->transfer;
    copal_msg *m = request_block(x, (copal_bytes){0}, !last);
    int err = m == NULL ? COPAL_ENOMEM : cp_msg_copy_payload(m, piece);

    if (err == 0) {
        t->last_len = (uint32_t)piece.len;
        t->wrote_last = last;
        err = cp_exchange_send_below(&cp_block, x, m);
    }
    copal_msg_unref(m);
    return err;
}

static int write_answer(copal_exchange *x, copal_bytes piece, bool last)
{
    struct cp_transfer *t = x->transfer;
    struct cp_answer *a = cp_answer_of(x);
    struct cp_engine *e = x->engine;
    struct outgoing *o;
    copal_msg *m;
    int err;

    if (t->sent != t->pull_at || t->size != t->pull_size)
        return ask_for_more(x) < 0 ? COPAL_ENOMEM : 0; /* another is wanted */
    if (t->sent / t->size > CP_BLOCK_MAX_NUM)
        return COPAL_ELIMIT;
    m = block_of(
        t->sending, COPAL_OPT_BLOCK2,
        (struct cp_block){(uint32_t)(t->sent / t->size), t->size, !last});
    err = m == NULL ? COPAL_ENOMEM : cp_msg_copy_payload(m, piece);
    if (err == 0)
        err = echo_block1(x, &m);
    if (err == 0 && (last || a->link == NULL)) {
        o = outgoing_find(e, cp_body_key(e, a->link, x->request));
        cp_transfer_free(x); /* before the last one leaves: it ends x */
        if (o != NULL && o->stream == x)
            outgoing_free(o);
    }
    if (err == 0)
        err = cp_exchange_send_below(&cp_block, x, m);
    copal_msg_unref(m);
    return err;
}

int copal_write(copal_exchange *x, copal_bytes piece, int last)
{
    struct cp_transfer *t = x == NULL ? NULL : x->transfer;
    int err;

    if (t == NULL || x->over || !t->awaits_write)
        return x == NULL ? COPAL_EINVAL
                         : cp_why(x->mem, COPAL_ESTATE,
                                  "write: nothing was asked for; write once "
                                  "for each PULL");
    if (piece.len > t->pull_size || (piece.len < t->pull_size && !last))
        return cp_why(x->mem, COPAL_EINVAL,
                      "write: %zu bytes; a block is %u, and only the last may "
                      "be shorter",
                      piece.len, t->pull_size);
    t->awaits_write = false;
    cp_exchange_hold(x);
    err = x->is_ask ? write_request(x, piece, last != 0)
                    : write_answer(x, piece, last != 0);
    if (err < 0 && x->transfer != NULL)
        x->transfer->awaits_write = true;
    cp_exchange_let_go(x);
    return err;
}

/* ---- The store ---- */

void cp_bodies_clear_out(struct cp_engine *e)
{
    list_each (place, after, &e->bodies.oldest_out)
        outgoing_free(cp_container_of(place, struct outgoing, place));
}
