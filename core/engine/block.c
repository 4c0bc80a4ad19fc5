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
    cp_buf_free(&t->body);
    cp_free(x->mem, t);
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

uint64_t cp_body_key(struct cp_engine *e, const struct cp_answer *a,
                     const copal_msg *request)
{
    uint8_t storage[512];
    struct cp_buf key = cp_buf_fixed(storage, sizeof(storage));
    uint64_t hash;

    cp_put_bytes(&key, cp_bytes(&a->link, sizeof(a->link)));
    cp_put_bytes(&key,
                 cp_bytes(&a->wire->path.remote, sizeof(a->wire->path.remote)));
    cp_msg_put_cache_key(request, &key);
    if (key.failed) { /* long URIs need more room */
        key = cp_buf_new(e->mem);
        cp_put_bytes(&key, cp_bytes(&a->link, sizeof(a->link)));
        cp_put_bytes(&key, cp_bytes(&a->wire->path.remote,
                                    sizeof(a->wire->path.remote)));
        cp_msg_put_cache_key(request, &key);
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
    if (e->flags_of != NULL && (has1 > 0 || (*m)->payload.len > 0))
        flags = e->flags_of(e->on_request.user, *m);
    if (flags < 0) /* nobody serves it: no body is worth collecting */
        return CP_PASS;
    if (has1 > 0 || (flags & COPAL_STREAMED) != 0)
        return cp_block_in_request(x, m, flags);
    return CP_PASS;
}

static int in(copal_exchange *x, copal_msg **m)
{
    int verdict;

    if (!x->is_ask)
        return ((*m)->present & (UINT64_C(1) << COPAL_OPT_BLOCK1 |
                                 UINT64_C(1) << COPAL_OPT_BLOCK2)) != 0 ||
                       (*m)->payload.len > 0
                   ? request_in(x, m)
                   : CP_PASS;
    if ((x->request->flags & COPAL_RAW_BLOCKS) != 0)
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

void cp_block_delivered(copal_exchange *x)
{
    struct cp_transfer *t = x->transfer;

    if (t == NULL || !t->owes_next || x->paused || x->over)
        return;
    t->owes_next = false;
    if (!x->is_ask)
        cp_block_in_go_on(x);
    else if (t->in_is_last)
        cp_ask_finish(x, 0, "");
    else if (cp_block_in_ask_next(x) < 0)
        cp_exchange_fail(x, COPAL_ENOMEM, NULL);
}

const struct cp_stage cp_block = {
    .name = "block", .in = in, .out = out, .end = cp_transfer_free};
