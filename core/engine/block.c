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

bool cp_bodies_take(struct cp_engine *e, uint64_t n)
{
    cp_bodies_make_room(e, n);
    if (e->bodies.used + n > (uint64_t)e->params.value[COPAL_P_BODY_MEMORY]) {
        cp_engine_limited(e, "body_memory");
        return false;
    }
    e->bodies.used += n;
    return true;
}

void cp_bodies_give_back(struct cp_engine *e, uint64_t n)
{
    e->bodies.used -= n;
}

static void put_key(struct cp_buf *key, const struct cp_link *link,
                    const copal_msg *request)
{
    cp_put_bytes(key, cp_bytes(&link, sizeof(link)));
    cp_put_bytes(key,
                 cp_bytes(&request->path.remote, sizeof(request->path.remote)));
    if (cp_msg_has(request,
                   COPAL_OPT_IF_NONE_MATCH)) { /* block 0 alone has it */
        copal_msg *m = cp_msg_derive(request);

        if (m != NULL) {
            cp_msg_remove(m, COPAL_OPT_IF_NONE_MATCH);
            cp_msg_put_cache_key(m, key);
        }
        key->failed = key->failed || m == NULL;
        copal_msg_unref(m);
    } else {
        cp_msg_put_cache_key(request, key);
    }
}

uint64_t cp_body_key(struct cp_engine *e, const struct cp_link *link,
                     const copal_msg *request)
{
    uint8_t storage[512];
    struct cp_buf key = cp_buf_fixed(storage, sizeof(storage));
    uint64_t hash;

    put_key(&key, link, request);
    if (key.failed) { /* long URIs need more room */
        key = cp_buf_new(e->mem);
        put_key(&key, link, request);
    }
    hash = key.failed ? cp_random_u64(&e->random) /* no memory: like no other */
                      : cp_map_hash(&e->bodies.in, key.data, key.len);
    if (key.data != storage)
        cp_buf_free(&key);
    return hash;
}

/* ---- The stage ---- */

/* Reads Block1 or Block2 into *b. 0: not there; 1: read; COPAL_EFORMAT. */
static int read_block(const copal_msg *m, unsigned option, struct cp_block *b)
{
    const struct cp_option *o = cp_msg_find(m, option);

    if (o == NULL)
        return 0;
    return cp_block_decode(cp_msg_option_value(m, o), b) == 0 ? 1
                                                              : COPAL_EFORMAT;
}

/* GET and DELETE have no body; with all others an empty one is one, too. */
static bool may_have_body(const copal_msg *m)
{
    return m->payload.len > 0 ||
           (m->code != COPAL_GET && m->code != COPAL_DELETE);
}

static int request_in(copal_exchange *x, copal_msg **m)
{
    struct cp_answer *a = cp_answer_of(x);
    struct cp_engine *e = x->engine;
    int has1 = read_block(*m, COPAL_OPT_BLOCK1, &a->echo);
    int has2 = read_block(*m, COPAL_OPT_BLOCK2, &a->want);
    int flags = 0;

    if (has1 < 0 || has2 < 0) /* SZX 7: RFC 7959 2.2 */
        return cp_answer_simple(&cp_block, x, COPAL_BAD_REQUEST,
                                "block size 7 is reserved");
    a->echoes_block = has1 > 0;
    a->wants_block = has2 > 0;
    if (has2 > 0 && a->want.num > 0 && has1 == 0)
        return cp_block_out_next(x, *m);
    if (e->flags_of != NULL && (has1 > 0 || may_have_body(*m)))
        flags = e->flags_of(e->on_request.user, *m);
    if (flags < 0) /* nobody serves it: no body is worth collecting */
        return CP_PASS;
    if (has1 > 0 || ((flags & COPAL_STREAMED) != 0 && may_have_body(*m)))
        return cp_block_in_request(x, m, flags);
    return CP_PASS;
}

static int in(copal_exchange *x, copal_msg **m)
{
    int verdict;

    if (!x->is_ask)
        return ((*m)->present & (UINT64_C(1) << COPAL_OPT_BLOCK1 |
                                 UINT64_C(1) << COPAL_OPT_BLOCK2)) != 0 ||
                       may_have_body(*m)
                   ? request_in(x, m)
                   : CP_PASS;
    if ((x->request->flags & COPAL_RAW_BLOCKS) != 0 ||
        cp_ask_of(x)->is_farewell) /* whose answer nobody reads */
        return CP_PASS;
    verdict = cp_block_out_response(x, m);
    return verdict == CP_PASS ? cp_block_in_response(x, m) : verdict;
}

static int out(copal_exchange *x, copal_msg **m)
{
    if (((*m)->flags & COPAL_RAW_BLOCKS) != 0)
        return CP_PASS;
    return x->is_ask ? cp_block_out_request(x, m) : cp_block_out_answer(x, m);
}

bool cp_block_holds_back(copal_exchange *x, const copal_event *chunk)
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

    if (a->is_observed)
        return;
    if (a->wants_observe)
        cp_exchange_fail(x, COPAL_ENOTOBS,
                         "%s: answered, but it cannot be observed; use get, or "
                         "ask again later",
                         copal_msg_uri(x->request));
    else
        cp_ask_finish(x, 0, "");
}

void cp_block_delivered(copal_exchange *x)
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
        cp_block_in_go_on(x);
    else if (t->in_is_last)
        finish(x);
    else if (cp_block_in_ask_next(x) < 0)
        cp_exchange_fail(x, COPAL_ENOMEM, NULL);
}

const struct cp_stage cp_block = {
    .name = "block", .in = in, .out = out, .end = cp_transfer_free};
