#include "engine/outer.h"
#include "engine/block_partial.h"
#include "engine/memory.h"
#include "engine/stage.h"
#include "engine/transfer.h"
#include "wire/message_text.h"

/* ---- Server ---- */

/* One block, in the place of a request. A verdict. */
static int take_request(copal_exchange *x, copal_msg **m)
{
    struct cp_answer *a = cp_answer_of(x);
    struct cp_engine *e = x->engine;

    if (cp_transfer_read_block(*m, COPAL_OPT_BLOCK1, &a->echo) < 0)
        return cp_answer_send_simple(&cp_block, x, COPAL_BAD_REQUEST,
                                     "block size 7 is reserved");
    if (e->params.value[COPAL_P_MAX_MEMORY] != 0 &&
        !cp_memory_has_room(e, a->echo.num > 0))
        return cp_answer_send_simple(&cp_block, x, COPAL_UNAVAILABLE, NULL);
    a->echoes_block = true;
    cp_transfer_note_blocks(x);
    return cp_block_upload_in(x, m, 0);
}

bool cp_outer_request(struct cp_engine *e, struct cp_link *link, copal_msg **m,
                      struct cp_seen *seen)
{
    struct cp_answer *a;
    int verdict;

    if ((*m)->path.is_multicast) /* what is sealed is not for groups */
        return true;
    a = cp_answer_begin(e, link, *m, seen);
    if (a == NULL)
        return false;
    cp_exchange_hold(&a->x);
    verdict = take_request(&a->x, m);
    if (verdict == CP_PASS) { /* another exchange answers it */
        (*m)->outer_block = cp_block_encode(a->echo) + 1;
        cp_dedup_own(a->seen, NULL);
        a->seen = NULL;
    } else if (verdict < 0) {
        cp_dedup_forget(&e->dedup, a->seen);
    }
    if (verdict != CP_KEPT)
        cp_answer_finish(&a->x);
    cp_exchange_let_go(&a->x);
    return verdict == CP_PASS;
}

int cp_outer_echo(const copal_msg *request, copal_msg *m)
{
    return request->outer_block == 0
               ? 0
               : cp_msg_add_uint(m, COPAL_OPT_BLOCK1, request->outer_block - 1);
}

/* ---- Client ---- */

/* An answer that comes in blocks. */
struct cp_outer {
    struct cp_token rest; /* of requests for later blocks */
    struct cp_token *of;  /* what the first one answered, and its bytes */
    uint8_t of_bytes[CP_TOKEN_LEN];
    copal_msg *head; /* the first block */
    copal_msg *asks; /* what was answered, as it left */
    struct cp_buf body;
};

bool cp_outer_is_rest(const struct cp_ask *a, const struct cp_token *t)
{
    return a->outer != NULL && t == &a->outer->rest;
}

struct cp_token *cp_outer_drop(struct cp_ask *a)
{
    struct cp_outer *o = a->outer;
    struct cp_token *of;

    if (o == NULL)
        return NULL;
    a->outer = NULL;
    of = o->of->is_on && memcmp(o->of->bytes, o->of_bytes, CP_TOKEN_LEN) == 0
             ? o->of
             : NULL;
    if (!a->is_observed) /* its request is not sent again */
        cp_ask_hope(a, cp_reliable_lifetime(a->x.engine));
    cp_token_off(a->x.engine, &o->rest);
    copal_msg_unref(o->head);
    copal_msg_unref(o->asks);
    cp_buf_free(&o->body);
    cp_free(a->x.mem, o);
    return of;
}

void cp_outer_opened(struct cp_ask *a, const struct cp_token *t)
{
    if (a->outer != NULL && a->outer->of == t)
        cp_outer_drop(a);
}

/* m, a first block, answers t. COPAL_ENOMEM. */
static int begin(struct cp_ask *a, struct cp_token *t, copal_msg *m)
{
    struct cp_outer *o = cp_zalloc(a->x.mem, sizeof(*o));

    if (o == NULL)
        return COPAL_ENOMEM;
    cp_outer_drop(a);
    cp_ask_token_init(a, &o->rest);
    o->rest.guard = cp_guard_ref(t->guard);
    o->of = t;
    memcpy(o->of_bytes, t->bytes, CP_TOKEN_LEN);
    o->head = copal_msg_ref(m);
    o->asks = copal_msg_ref(t->sealed);
    o->body = cp_buf_new(a->x.mem);
    a->outer = o;
    return 0;
}

/* As a request for a later block of any answer, but nothing in it is ours to
 * change that is sealed. RFC 7959 2.4, RFC 8132 2.4. */
static int ask_next(struct cp_ask *a, uint16_t size)
{
    struct cp_outer *o = a->outer;
    copal_msg *m = cp_msg_derive(o->asks);
    struct cp_block b = {.num = (uint32_t)(o->body.len / size), .size = size};
    int err = m == NULL                               ? COPAL_ENOMEM
              : o->body.len / size > CP_BLOCK_MAX_NUM ? COPAL_ELIMIT
                                                      : 0;

    if (err == 0) {
        cp_msg_remove(m, COPAL_OPT_OBSERVE);
        if (m->code != COPAL_FETCH)
            cp_msg_borrow_payload(m, NULL, (copal_bytes){0});
        err = cp_msg_add_uint(m, COPAL_OPT_BLOCK2, cp_block_encode(b));
    }
    if (err == 0)
        err = cp_ask_send_as_it_is(a, &o->rest, m);
    copal_msg_unref(m);
    return err;
}

/* The first block with the whole body, as if that had come at once. */
static int complete(struct cp_ask *a, struct cp_token **at, copal_msg **m)
{
    struct cp_outer *o = a->outer;
    copal_msg *whole = cp_msg_derive(o->head);
    size_t len = 0;
    uint8_t *body;
    struct cp_token *of;

    if (whole == NULL)
        return COPAL_ENOMEM;
    cp_msg_remove(whole, COPAL_OPT_BLOCK2);
    whole->type = (*m)->type;
    whole->mid = (*m)->mid;
    body = cp_buf_take(&o->body, &len);
    of = body == NULL ? NULL : cp_outer_drop(a);
    if (of == NULL) { /* what it answers was given up meanwhile */
        cp_free(a->x.mem, body);
        copal_msg_unref(whole);
        *at = NULL;
        return body == NULL ? COPAL_ENOMEM : COPAL_EAUTH;
    }
    cp_msg_give_payload(whole, body, len);
    copal_msg_unref(*m);
    *m = whole;
    *at = of;
    return CP_PASS;
}

static int take(struct cp_ask *a, struct cp_token **at, copal_msg **m,
                struct cp_block b)
{
    uint64_t most = (uint64_t)cp_exchange_param(&a->x, COPAL_P_MAX_BODY);
    struct cp_outer *o = a->outer;
    int err;

    if (o->body.len + (*m)->payload.len > most) {
        cp_exchange_fail(&a->x, COPAL_ELIMIT,
                         "%s: the answer came in blocks, and is longer than "
                         "max_body, %llu bytes; raise it",
                         copal_msg_uri(a->x.request), (unsigned long long)most);
        return CP_KEPT;
    }
    cp_put_bytes(&o->body, (*m)->payload);
    err = o->body.failed ? COPAL_ENOMEM
          : b.more       ? ask_next(a, b.size)
                         : complete(a, at, m);
    if (err == CP_PASS && b.more)
        return CP_KEPT;
    if (err < 0 && err != COPAL_EAUTH) { /* what was asked for is answered */
        cp_exchange_fail(&a->x, err, "%s: %s", copal_msg_uri(a->x.request),
                         copal_strerror(err));
        return CP_KEPT;
    }
    return err;
}

/* Is m the block that comes next, or a first one? */
static bool is_wanted(const struct cp_ask *a, const struct cp_token *t,
                      const copal_msg *m, struct cp_block b)
{
    if (!cp_block_holds(b, m->payload.len) || (b.more && m->payload.len == 0))
        return false;
    return cp_outer_is_rest(a, t)
               ? b.num > 0 && cp_block_offset(b) == a->outer->body.len
               : b.num == 0;
}

int cp_outer_hear(struct cp_ask *a, struct cp_link *link, struct cp_token **at,
                  copal_msg **m, struct cp_seen *seen)
{
    struct cp_engine *e = a->x.engine;
    bool is_rest = cp_outer_is_rest(a, *at);
    uint16_t mid = (*m)->mid;
    uint8_t type = (*m)->type;
    struct cp_path path = (*m)->path;
    struct cp_block b = {.num = 0};
    int has = cp_transfer_read_block(*m, COPAL_OPT_BLOCK2, &b);
    int verdict = 0;

    if (!is_rest && has >= 0 && b.num == 0 && !b.more)
        return CP_PASS;        /* whole as it is */
    if (is_rest && has == 0) { /* who asks was not understood to want a part */
        *at = cp_outer_drop(a);
        return *at == NULL ? COPAL_EAUTH : CP_PASS;
    }
    if (has <= 0 || !is_wanted(a, *at, *m, b))
        return COPAL_EAUTH;
    if (!is_rest)
        verdict = begin(a, *at, *m);
    if (verdict == 0) {
        /* What was not acknowledged goes on: the block may be made up. */
        if (is_rest || type == CP_ACK)
            cp_flight_stop(&(*at)->flight);
        verdict = take(a, at, m, b);
    }
    if (verdict == CP_KEPT && type == CP_CON)
        cp_reliable_empty(e, link, &path, CP_ACK, mid, seen);
    return verdict;
}
