/* An answer's body on its way out, by Block2. */
#include "base/digest.h"
#include "engine/block_kept.h"
#include "engine/fresh_guard.h"
#include "engine/transfer.h"

/* Of a body that is given again and again it is kept with the body. */
static uint64_t digest_of(const copal_msg *m)
{
    copal_msg *owner = (copal_msg *)m->payload_of; /* a note, not a change */
    bool is_all = owner != NULL && owner->frozen &&
                  owner->payload.data == m->payload.data &&
                  owner->payload.len == m->payload.len;
    uint64_t hash = is_all ? owner->digest : 0;

    if (hash == 0)
        hash = cp_digest(m->payload.data, m->payload.len);
    if (is_all)
        owner->digest = hash;
    return hash;
}

/* A body whose blocks are asked for one by one needs an ETag, or the asker could
 * not tell that it changed meanwhile (RFC 7959 2.4), or that what it gets is of
 * another request of its own to the same resource (RFC 9175 3.8). */
int cp_block_answer_add_etag(copal_msg *m)
{
    uint64_t hash;

    if (cp_code_class(m->code) != 2 || cp_msg_has(m, COPAL_OPT_ETAG))
        return 0;
    hash = digest_of(m);
    return cp_msg_add(m, COPAL_OPT_ETAG, cp_bytes(&hash, 4));
}

static uint64_t key_of(copal_exchange *x, const copal_msg *request)
{
    return cp_bodies_key(x->engine, cp_answer_of(x)->link,
                         &request->path.remote, request);
}

/* whole: the answer of which it is to be a part. */
static struct cp_block block_wanted(const copal_exchange *x,
                                    const copal_msg *whole)
{
    const struct cp_answer *a = cp_container_of(x, struct cp_answer, x);
    struct cp_block b = cp_transfer_first(x, whole);

    if (a->most_block != 0 && a->most_block < b.size)
        b.size = a->most_block;
    if (a->wants_block && a->want.size <= b.size)
        b = a->want;
    else if (a->wants_block && b.size > 0) /* ours is smaller: recounted */
        b.num = (uint32_t)(cp_block_offset(a->want) / b.size);
    return b;
}

/* RFC 7959 4: a size request. */
static bool asks_size(const copal_exchange *x)
{
    const struct cp_answer *a = cp_container_of(x, struct cp_answer, x);

    return a->wire != NULL && cp_msg_has(a->wire, COPAL_OPT_SIZE2);
}

static copal_msg *answer_block(copal_exchange *x, const copal_msg *whole,
                               bool *more)
{
    struct cp_block b = block_wanted(x, whole);
    uint64_t offset = cp_block_offset(b);
    uint16_t span = cp_transfer_span(x, whole, b);
    copal_msg *m;

    *more = false;
    if (offset > 0 && offset >= whole->payload.len)
        return cp_msg_new(x->mem, COPAL_BAD_REQUEST, 0);
    *more = b.more = offset + span < whole->payload.len;
    m = cp_transfer_block_of(whole, COPAL_OPT_BLOCK2, b);
    if (m == NULL)
        return NULL;
    if ((b.num == 0 || asks_size(x)) && whole->payload.len <= UINT32_MAX &&
        !cp_msg_has(m, COPAL_OPT_SIZE2) &&
        cp_msg_add_uint(m, COPAL_OPT_SIZE2, whole->payload.len) != 0) {
        copal_msg_unref(m);
        return NULL;
    }
    cp_msg_borrow_payload(m, whole,
                          cp_transfer_part_of(whole->payload, offset, span));
    return m;
}

uint16_t cp_block_answer_own_size(const struct cp_engine *e)
{
    return cp_block_fit((uint64_t)e->params.value[COPAL_P_BLOCK_SIZE]);
}

uint16_t cp_block_answer_size(struct cp_engine *e, const copal_msg *request)
{
    uint16_t own = cp_block_answer_own_size(e);
    const struct cp_option *o = cp_msg_find(request, COPAL_OPT_BLOCK2);
    struct cp_block wanted;

    return o != NULL &&
                   cp_block_decode(cp_msg_option_value(request, o), &wanted) ==
                       0 &&
                   wanted.size < own
               ? wanted.size
               : own;
}

copal_msg *cp_block_answer_first(copal_msg *m, uint16_t size)
{
    copal_msg *whole, *first;

    if (m->payload.len <= size)
        return copal_msg_ref(m);
    whole = cp_msg_derive(m);
    if (whole == NULL || cp_block_answer_add_etag(whole) != 0) {
        copal_msg_unref(whole);
        return NULL;
    }
    whole->frozen = true;
    first = cp_transfer_block_of(whole, COPAL_OPT_BLOCK2,
                                 (struct cp_block){.size = size, .more = true});
    if (first != NULL)
        cp_msg_borrow_payload(first, whole,
                              cp_transfer_part_of(whole->payload, 0, size));
    copal_msg_unref(whole);
    return first;
}

/* An answer given before the last block came is for the whole all the same, and
 * names no block: it would read as one for that block alone. RFC 7959 2.3. */
int cp_block_answer_echo(copal_exchange *x, copal_msg **m)
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

static int begin_stream(copal_exchange *x, struct cp_transfer *t, copal_msg *m,
                        struct cp_block b)
{
    struct cp_answer *a = cp_answer_of(x);

    if (a->link != NULL) {
        t->kept = cp_block_kept_new(x, key_of(x, a->wire), NULL);
        if (t->kept == NULL)
            return COPAL_ENOMEM;
    }
    t->sending = copal_msg_ref(m);
    t->pulls = true;
    t->size = b.size;
    t->is_bert = b.is_bert;
    t->sent = cp_block_offset(b);
    t->total = cp_msg_uint_or(m, COPAL_OPT_SIZE2, 0);
    return cp_block_stream_out_pull(x);
}

/* The first block of a body that is pulled from the user. A notification has
 * no other: they are asked for as of any representation. */
static int start_stream(copal_exchange *x, copal_msg *m)
{
    struct cp_block b = block_wanted(x, m);
    struct cp_transfer *t;
    int err;

    if (b.size == 0)
        return COPAL_ELIMIT;
    t = cp_transfer_get(x);
    if (t == NULL)
        return COPAL_ENOMEM;
    err = begin_stream(x, t, m, b);
    if (err < 0) /* what is answered instead is in one piece, and ends x */
        cp_transfer_free(x);
    return err;
}

/* For who may not be there nothing is kept that can be made again: forged
 * requests would push out what others come for. */
static bool keeps_rest(const struct cp_answer *a)
{
    return a->most_block == 0 ||
           (a->wire->code != COPAL_GET && a->wire->code != COPAL_FETCH);
}

/* The part of *m that was asked for in its place; the rest is kept, if there is
 * room. */
static int cut(copal_exchange *x, copal_msg **m)
{
    struct cp_answer *a = cp_answer_of(x);
    copal_msg *whole = cp_msg_derive(*m), *block;
    bool more;

    if (whole == NULL || cp_block_answer_add_etag(whole) != 0) {
        copal_msg_unref(whole);
        return COPAL_ENOMEM;
    }
    if (block_wanted(x, whole).size == 0) { /* no blocks: as it is, or not */
        copal_msg_unref(whole);
        return CP_PASS;
    }
    whole->frozen = true; /* so that its blocks share the payload */
    block = answer_block(x, whole, &more);
    if (more && block != NULL && keeps_rest(a))
        cp_block_kept_new(x, key_of(x, a->wire), whole);
    copal_msg_unref(whole);
    if (block == NULL)
        return COPAL_ENOMEM;
    copal_msg_unref(*m);
    *m = block;
    return CP_PASS;
}

/* In one piece, if no smaller one is asked for. */
static bool fits(const copal_exchange *x, const copal_msg *m)
{
    const struct cp_answer *a = cp_container_of(x, struct cp_answer, x);

    if (x->connection == NULL || a->wants_block)
        return m->payload.len <= block_wanted(x, m).size;
    return m->payload.len == 0 || cp_transfer_fits(x, m);
}

/* A value of a few bytes, which is shorter than the shortest block, and nothing
 * that blocks have a part in: what most answers are. */
static bool is_plain(const copal_exchange *x, const struct cp_answer *a,
                     const copal_msg *m)
{
    return m->payload.len <= CP_BLOCK_MIN_SIZE && x->connection == NULL &&
           x->transfer == NULL && (m->flags & COPAL_STREAM_OUT) == 0 &&
           !a->wants_block && !a->echoes_block && !a->registers;
}

int cp_block_answer_out(copal_exchange *x, copal_msg **m)
{
    struct cp_answer *a = cp_answer_of(x);
    bool is_short;
    int err = CP_PASS;

    if (cp_msg_has(*m, COPAL_OPT_BLOCK2) || is_plain(x, a, *m))
        return CP_PASS;
    cp_fresh_limit_blocks(a, *m);
    is_short = fits(x, *m);
    if (x->transfer != NULL && x->transfer->streams_in)
        cp_transfer_free(x); /* answered: nothing more is listened to */
    if (((*m)->flags & COPAL_STREAM_OUT) != 0)
        return start_stream(x, *m);
    if (a->link == NULL)
        return CP_PASS;
    if (!is_short || (a->wants_block && (*m)->payload.len > 0 &&
                      cp_code_class((*m)->code) == 2))
        err = cut(x, m);
    return err != CP_PASS ? err : cp_block_answer_echo(x, m);
}

static int next_of_stream(copal_exchange *x, struct cp_block_kept *o)
{
    copal_exchange *stream = o->stream;
    struct cp_transfer *t = stream->transfer;
    struct cp_block b;

    if (t == NULL || stream->over) {
        cp_block_kept_free(o);
        return cp_answer_send_simple(&cp_block, x, COPAL_INCOMPLETE, NULL);
    }
    cp_block_kept_touch(o);
    cp_answer_wire_adopt(stream, x);
    cp_fresh_limit_blocks(cp_answer_of(stream), t->sending);
    /* A PULL under way may have been for another. */
    b = block_wanted(stream, t->sending);
    t->size = b.size;
    t->is_bert = b.is_bert;
    t->sent = cp_block_offset(b);
    if (!t->awaits_write && cp_block_stream_out_pull(stream) < 0)
        cp_exchange_fail(stream, COPAL_ENOMEM, NULL);
    return CP_KEPT;
}

int cp_block_answer_next(copal_exchange *x, copal_msg *request)
{
    struct cp_engine *e = x->engine;
    struct cp_block_kept *o = cp_block_kept_find(e, key_of(x, request));
    copal_msg *block;
    bool more;
    int err;

    if (o == NULL) /* not kept any more: a safe method is asked anew */
        return request->code == COPAL_GET || request->code == COPAL_FETCH
                   ? CP_PASS
                   : cp_answer_send_simple(&cp_block, x, COPAL_INCOMPLETE,
                                           NULL);
    if (o->stream != NULL)
        return next_of_stream(x, o);
    cp_block_kept_touch(o);
    cp_fresh_limit_blocks(cp_answer_of(x), o->whole);
    block = answer_block(x, o->whole, &more);
    if (block == NULL)
        return COPAL_ENOMEM;
    if (!more)
        cp_block_kept_free(o);
    cp_answer_of(x)->answered = true;
    err = cp_exchange_send_below(&cp_block, x, block);
    copal_msg_unref(block);
    return err < 0 ? err : CP_KEPT;
}
