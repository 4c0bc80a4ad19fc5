/* A response's body on its way in, by Q-Block2. RFC 9177 4.4, 7.2. */
#include "engine/qblock_core.h"
#include "engine/transfer.h"

static void on_wait_over(struct cp_timer *t);

void cp_qblock_in_forget(struct cp_qblock_ask *q)
{
    cp_timer_stop(&q->x->engine->timers, &q->wait);
    cp_qblock_body_free(&q->body);
    copal_msg_unref(q->head);
    q->head = NULL;
    q->tries = 0;
}

/* Confirmable blocks get their time to be sent again: RFC 9177 4.4. */
static void wait_on(struct cp_qblock_ask *q)
{
    copal_exchange *x = q->x;
    uint64_t ms =
        q->is_con ? cp_reliable_max_wait(x->engine) : cp_qblock_patience(x);

    cp_timer_start(&x->engine->timers, &q->wait,
                   x->engine->now + (ms << (q->tries < 20 ? q->tries : 20)),
                   on_wait_over);
}

/* ---- Asking ---- */

/* The user's request without its body, as RFC 7959 2.7 has it, without Observe
 * (RFC 9177 4.5) and ETag (4.4). */
static copal_msg *request_for(struct cp_qblock_ask *q)
{
    static const unsigned gone[] = {
        COPAL_OPT_OBSERVE, COPAL_OPT_ETAG,        COPAL_OPT_SIZE1,
        COPAL_OPT_SIZE2,   COPAL_OPT_REQUEST_TAG, COPAL_OPT_IF_NONE_MATCH};
    copal_msg *m = cp_msg_derive(q->x->request);

    if (m == NULL)
        return NULL;
    for (size_t i = 0; i < sizeof(gone) / sizeof(gone[0]); i++)
        cp_msg_remove(m, gone[i]);
    if (m->code != COPAL_FETCH || q->has_tag)
        cp_msg_borrow_payload(m, NULL, (copal_bytes){0});
    if (q->has_tag && cp_msg_add(m, COPAL_OPT_REQUEST_TAG,
                                 cp_bytes(q->tag, sizeof(q->tag))) != 0) {
        copal_msg_unref(m);
        return NULL;
    }
    return m;
}

static int add_wish(copal_msg *m, const struct cp_qblock_ask *q, uint32_t num,
                    bool and_more)
{
    return cp_msg_add_uint(
        m, COPAL_OPT_Q_BLOCK2,
        cp_block_encode((struct cp_block){
            .num = num, .size = q->body.size, .more = and_more}));
}

/* All blocks from the first one to the end of its set are named by that one and
 * the M bit, which on the first of a set means just this: go on. */
static bool is_rest_of_set(const struct cp_qblock_ask *q, const uint32_t *nums,
                           size_t n)
{
    uint32_t end = (nums[0] / CP_MAX_PAYLOADS + 1) * CP_MAX_PAYLOADS;

    if (end > q->body.count)
        end = q->body.count;
    return nums[0] > 0 && (n > 1 || nums[0] % CP_MAX_PAYLOADS == 0) &&
           nums[n - 1] == end - 1 && n == end - nums[0];
}

static void send_wishes(struct cp_qblock_ask *q, const uint32_t *nums, size_t n)
{
    copal_msg *m = request_for(q);
    int err = m == NULL ? COPAL_ENOMEM : 0;

    if (err == 0 && is_rest_of_set(q, nums, n)) {
        err = add_wish(m, q, nums[0], true);
    } else {
        for (size_t i = 0; i < n && err == 0; i++)
            err = add_wish(m, q, nums[i], false);
    }
    if (err == 0) /* else as if it were lost: it is asked for again */
        cp_qblock_ask_send(q, m, 0);
    copal_msg_unref(m);
}

static void ask_missing(struct cp_qblock_ask *q, bool waited)
{
    uint32_t nums[CP_MAX_PAYLOADS];
    size_t n = cp_qblock_body_missing(&q->body, waited, nums);

    if (n > 0)
        send_wishes(q, nums, n);
}

static void ask_to_continue(struct cp_qblock_ask *q)
{
    copal_msg *m = request_for(q);

    if (m != NULL && add_wish(m, q, q->body.end, true) == 0)
        cp_qblock_ask_send(q, m, 0);
    copal_msg_unref(m);
}

static void give_up(struct cp_qblock_ask *q)
{
    copal_exchange *x = q->x;
    uint32_t missing = q->body.count - q->body.got, count = q->body.count;

    if (cp_ask_of(x)->is_observed) /* the next state is told of as a whole */
        cp_qblock_in_forget(q);
    else
        cp_exchange_fail(x, COPAL_ETIMEOUT,
                         "%s: %u of %u blocks of the answer did not come, "
                         "however often they were asked for",
                         copal_msg_uri(x->request), (unsigned)missing,
                         (unsigned)count);
}

static void on_wait_over(struct cp_timer *t)
{
    struct cp_qblock_ask *q = cp_container_of(t, struct cp_qblock_ask, wait);

    if (q->tries >= cp_qblock_max_tries(q->x)) {
        give_up(q);
        return;
    }
    ask_missing(q, true);
    q->tries++;
    wait_on(q);
}

/* ---- Collecting ---- */

static bool is_of_body(const struct cp_qblock_ask *q, const copal_msg *m,
                       uint64_t total, struct cp_block b)
{
    const struct cp_option *mine = cp_msg_find(q->head, COPAL_OPT_ETAG);
    const struct cp_option *its = cp_msg_find(m, COPAL_OPT_ETAG);
    copal_bytes none = {0};

    return q->body.total == total && q->body.size == b.size &&
           cp_bytes_equal(mine == NULL ? none
                                       : cp_msg_option_value(q->head, mine),
                          its == NULL ? none : cp_msg_option_value(m, its));
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

static int begin(struct cp_qblock_ask *q, copal_msg *m, uint64_t total,
                 struct cp_block b)
{
    int err;

    cp_qblock_in_forget(q);
    err = cp_qblock_body_open(&q->body, q->x->mem, total, b.size);
    if (err != 0)
        return err;
    q->head = copal_msg_ref(m);
    q->head->frozen = true;
    wait_on(q);
    return 0;
}

static int complete(struct cp_qblock_ask *q, copal_msg **m)
{
    copal_msg *whole = cp_msg_derive(q->head);
    uint64_t total = q->body.total;
    uint8_t *body = whole == NULL ? NULL : cp_qblock_body_take(&q->body);

    if (body == NULL) {
        copal_msg_unref(whole);
        return COPAL_ENOMEM;
    }
    cp_msg_remove(whole, COPAL_OPT_Q_BLOCK2);
    whole->mid = (*m)->mid;
    whole->type = (*m)->type;
    cp_msg_give_payload(whole, body, (size_t)total);
    copal_msg_unref(*m);
    *m = whole;
    cp_qblock_in_forget(q);
    return CP_PASS;
}

static int take_block(struct cp_qblock_ask *q, copal_msg **m, struct cp_block b)
{
    int err;

    if (!cp_qblock_body_fits(&q->body, b, (*m)->payload.len))
        return COPAL_EFORMAT;
    if (cp_qblock_body_has(&q->body, b.num) ||
        cp_qblock_body_is_ahead(&q->body, b.num))
        return CP_KEPT;
    err = cp_qblock_body_put(&q->body, b.num, (*m)->payload);
    if (err != 0)
        return err;
    cp_transfer_tell_progress(q->x,
                              (uint64_t)q->body.got * b.size < q->body.total
                                  ? (uint64_t)q->body.got * b.size
                                  : q->body.total,
                              q->body.total);
    q->tries = 0;
    wait_on(q);
    switch (cp_qblock_body_step(&q->body)) {
    case CP_QBLOCK_DONE: return complete(q, m);
    case CP_QBLOCK_CONTINUE:
        if (!q->is_con)
            ask_to_continue(q);
        break;
    case CP_QBLOCK_ASK:
        if (!q->is_con)
            ask_missing(q, false);
        break;
    default: break;
    }
    return CP_KEPT;
}

/* A part of another body than the one under way: a newer state, or what the
 * representation has become. Beside an observation only a notification tells of
 * that. */
static int take_other(struct cp_qblock_ask *q, copal_msg **m, uint64_t total,
                      struct cp_block b)
{
    struct cp_ask *a = cp_ask_of(q->x);
    int err;

    if (a->is_observed && a->came_by != &a->main)
        return CP_KEPT;
    if (total > (uint64_t)cp_exchange_param(q->x, COPAL_P_MAX_BODY))
        return refuse_body(q->x);
    if (a->came_by == &a->main && a->is_observed)
        q->restarts = 0;
    else if (q->head != NULL && ++q->restarts > CP_MAX_RESTARTS)
        return COPAL_ECHANGED;
    err = begin(q, *m, total, b);
    return err != 0 ? err : take_block(q, m, b);
}

/* Whole as it is, or an error. What answers a request for missing blocks does
 * not end an observation. */
static int take_whole(struct cp_qblock_ask *q)
{
    struct cp_ask *a = cp_ask_of(q->x);
    bool beside = a->came_by != &a->main;

    if (beside && (a->is_observed || q->head == NULL))
        return CP_KEPT;
    cp_qblock_in_forget(q);
    return CP_PASS;
}

int cp_qblock_in_response(copal_exchange *x, copal_msg **m)
{
    struct cp_qblock_ask *q = cp_ask_of(x)->qblock;
    const struct cp_option *o = cp_msg_find(*m, COPAL_OPT_Q_BLOCK2);
    uint64_t total = cp_msg_uint_or(*m, COPAL_OPT_SIZE2, UINT64_MAX);
    struct cp_block b;

    if (o == NULL)
        return take_whole(q);
    if (cp_block_decode(cp_msg_option_value(*m, o), &b) != 0)
        return COPAL_EFORMAT;
    if (b.num == 0 && !b.more && cp_ask_of(x)->came_by == &cp_ask_of(x)->main) {
        cp_qblock_in_forget(q);
        return CP_PASS;
    }
    if (total == UINT64_MAX) /* which a part must have: RFC 9177 4.6 */
        return COPAL_EFORMAT;
    if (q->head == NULL || !is_of_body(q, *m, total, b))
        return q->head == NULL && cp_ask_of(x)->came_by != &cp_ask_of(x)->main
                   ? CP_KEPT /* of a body that is complete, or given up */
                   : take_other(q, m, total, b);
    return take_block(q, m, b);
}
