/* A request's body on its way out, by Q-Block1. Not confirmable, it leaves in
 * sets, a pause after each unless the peer says that it has all of it; RFC 9177
 * 7.2. Confirmable, as NSTART lets it; 7.1. */
#include "engine/qblock_core.h"
#include "engine/transfer.h"
#include "wire/missing.h"

static void on_pace(struct cp_timer *t);

static void start_pace(struct cp_qblock_ask *q, uint64_t at)
{
    cp_timer_start(&q->x->engine->timers, &q->pace, at, on_pace);
}

void cp_qblock_out_stop(struct cp_qblock_ask *q)
{
    cp_timer_stop(&q->x->engine->timers, &q->pace);
    copal_msg_unref(q->sending);
    q->sending = NULL;
}

static copal_msg *block_of(struct cp_qblock_ask *q, uint32_t num)
{
    copal_bytes body = q->sending->payload;
    struct cp_block b = {
        .num = num, .size = q->size, .more = num + 1 < q->count};
    copal_msg *m = cp_transfer_block_of(q->sending, COPAL_OPT_Q_BLOCK1, b);

    if (m == NULL)
        return NULL;
    cp_msg_remove(m, COPAL_OPT_SIZE1);
    cp_msg_remove(m, COPAL_OPT_REQUEST_TAG);
    if (cp_msg_add_uint(m, COPAL_OPT_SIZE1, body.len) != 0 ||
        cp_msg_add(m, COPAL_OPT_REQUEST_TAG,
                   cp_bytes(q->tag, sizeof(q->tag))) != 0) {
        copal_msg_unref(m);
        return NULL;
    }
    cp_msg_borrow_payload(
        m, q->sending, cp_transfer_part_of(body, cp_block_offset(b), b.size));
    return m;
}

static int send_block(struct cp_qblock_ask *q, uint32_t num)
{
    copal_msg *m = block_of(q, num);
    int err = m == NULL ? COPAL_ENOMEM : cp_qblock_ask_send(q, m, num);

    copal_msg_unref(m);
    return err;
}

static uint64_t bytes_before(const struct cp_qblock_ask *q, uint32_t num)
{
    uint64_t n = (uint64_t)num * q->size, total = q->sending->payload.len;

    return n < total ? n : total;
}

/* The next set at once. What cannot be sent now is as good as lost, and asked
 * for; but the first. */
static int send_set(struct cp_qblock_ask *q)
{
    uint32_t end = (q->next / CP_MAX_PAYLOADS + 1) * CP_MAX_PAYLOADS;
    int err = 0;

    if (end > q->count)
        end = q->count;
    for (; q->next < end; q->next++) {
        err = send_block(q, q->next);
        if (err != 0 && q->next == 0)
            return err;
    }
    if (q->next < q->count)
        start_pace(q, q->x->engine->now + q->pause);
    else
        cp_timer_stop(&q->x->engine->timers, &q->pace);
    return 0;
}

/* As many as records are free; to a stranger the first alone, until it was
 * heard. */
static int send_confirmable(struct cp_qblock_ask *q)
{
    const struct cp_ask *a = cp_ask_of(q->x);
    bool is_known = a->heard || cp_qblock_peer_support(q->x->engine, &a->way) ==
                                    CP_QBLOCK_SPOKEN;
    int err = 0;

    while (err == 0 && q->next < q->count && (is_known || q->next == 0)) {
        err = send_block(q, q->next);
        if (err == 0)
            q->next++;
    }
    return err == COPAL_ELIMIT && q->next > 0 ? 0 : err;
}

/* PROBING_RATE limits bodies, not their parts: one that the peer did not answer
 * in any way delays the next, but not beyond NON_PROBING_WAIT. RFC 9177 7.2.
 * 0: q's may leave, and counts; else when to look again, ms. */
static uint64_t probe_by_body(struct cp_qblock_ask *q)
{
    struct cp_engine *e = q->x->engine;
    const struct cp_way *way = &cp_ask_of(q->x)->way;
    struct cp_rate *r = cp_rate_get(e, way->link, &way->path.remote, true);
    uint32_t rate = (uint32_t)cp_exchange_param(q->x, COPAL_P_PROBING_RATE);
    uint64_t most = rate * (cp_reliable_lifetime(e) / 1000);
    uint64_t bytes = q->sending->payload.len, again = 0;

    if (r == NULL) /* out of memory: nothing is known */
        return 0;
    if (cp_rate_allows(r, 1))
        cp_rate_probed(r, (size_t)(bytes < most ? bytes : most), rate);
    else /* sooner than it was paid for, if the peer is heard meanwhile */
        again = r->paid_at - e->now < q->pause ? r->paid_at : e->now + q->pause;
    cp_rate_put(r);
    return again;
}

static int begin_sending(struct cp_qblock_ask *q)
{
    uint64_t again;

    if (q->is_con)
        return send_confirmable(q);
    again = probe_by_body(q);
    if (again == 0)
        return send_set(q);
    start_pace(q, again);
    return 0;
}

static void on_pace(struct cp_timer *t)
{
    struct cp_qblock_ask *q = cp_container_of(t, struct cp_qblock_ask, pace);
    int err = q->next == 0 ? begin_sending(q) : send_set(q);

    if (err != 0)
        cp_exchange_fail(q->x, err, "%s: not sent, %s",
                         copal_msg_uri(q->x->request), copal_strerror(err));
}

int cp_qblock_out_request(copal_exchange *x, copal_msg *m)
{
    struct cp_qblock_ask *q = cp_ask_of(x)->qblock;
    uint64_t count;
    uint32_t tag = ++x->engine->qblocks.tag;
    int err;

    q->size = cp_transfer_own_size(x);
    count = (m->payload.len + q->size - 1) / q->size;
    if (count > CP_BLOCK_MAX_NUM + 1)
        return COPAL_ELIMIT;
    q->sending = copal_msg_ref(m);
    q->count = (uint32_t)count;
    q->next = 0;
    q->has_tag = true;
    for (int i = 0; i < 4; i++)
        q->tag[i] = (uint8_t)(tag >> (24 - 8 * i));
    err = begin_sending(q);
    return err < 0 ? err : CP_KEPT;
}

static bool is_any_under_way(const struct cp_qblock_ask *q)
{
    for (size_t i = 0; i < CP_MAX_PAYLOADS; i++) {
        int state = q->parts[i].token.flight.state;

        if (state == CP_OPEN || state == CP_QUEUED)
            return true;
    }
    return false;
}

void cp_qblock_out_flown(struct cp_qblock_ask *q, struct cp_flight *f,
                         int status)
{
    struct cp_ask *a = cp_ask_of(q->x);
    int err;

    if (status == COPAL_ERESET) {
        cp_qblock_ask_fall_back(q->x, true);
        return;
    }
    if (status != 0) {
        cp_ask_lost(a, status, f->sent);
        return;
    }
    cp_ask_heard(a, cp_container_of(f, struct cp_token, flight));
    cp_transfer_tell_progress(q->x, bytes_before(q, q->next),
                              q->sending->payload.len);
    err = send_confirmable(q);
    if (err != 0)
        cp_exchange_fail(q->x, err, NULL);
    else if (q->next == q->count && !is_any_under_way(q))
        cp_ask_hope(a, cp_reliable_lifetime(q->x->engine));
}

/* ---- Answers to blocks ---- */

/* Which block a response says that it answers; by the option, or by its token,
 * of which the newest ones are on record. */
static bool continues(const struct cp_qblock_ask *q, const copal_msg *m)
{
    const struct cp_option *o = cp_msg_find(m, COPAL_OPT_Q_BLOCK1);
    const struct cp_token *t = cp_ask_of(q->x)->came_by;
    struct cp_block b;

    if (o != NULL && cp_block_decode(cp_msg_option_value(m, o), &b) == 0)
        return b.num + 1 == q->next;
    return t != &q->family.any && q->next > 0 &&
           cp_container_of(t, struct cp_qblock_part, token)->num /
                   CP_MAX_PAYLOADS ==
               (q->next - 1) / CP_MAX_PAYLOADS;
}

static void on_continue(struct cp_qblock_ask *q, const copal_msg *m)
{
    if (q->is_con || q->next >= q->count || !continues(q, m))
        return;
    cp_transfer_tell_progress(q->x, bytes_before(q, q->next),
                              q->sending->payload.len);
    send_set(q);
}

/* Missing blocks go before the next set, and a pause after them. A list that
 * breaks the rules is dropped in silence: RFC 9177 5. Who asks for ever gets no
 * more than each block so often. */
static void on_missing(struct cp_qblock_ask *q, const copal_msg *m)
{
    uint32_t nums[CP_MAX_PAYLOADS];
    uint64_t most = (uint64_t)q->count * (cp_qblock_max_tries(q->x) + 1);
    size_t n = 0, sent = 0;

    if (cp_missing_read(m->payload, q->count, nums, CP_MAX_PAYLOADS, &n) != 0)
        return;
    for (size_t i = 0; i < n && nums[i] < q->next && q->again < most; i++) {
        if (send_block(q, nums[i]) != 0)
            break;
        q->again++;
        sent++;
    }
    if (q->is_con || q->next >= q->count)
        return;
    if (sent == 0 && nums[0] >= q->next)
        send_set(q);
    else
        start_pace(q, q->x->engine->now + q->pause);
}

/* The answer to all of it: from here on its token stands for the exchange, and
 * for the observation if it began one. RFC 9177 4.3. */
static void answered(copal_exchange *x, const copal_msg *m)
{
    struct cp_ask *a = cp_ask_of(x);
    struct cp_qblock_ask *q = a->qblock;

    cp_transfer_tell_progress(x, q->sending->payload.len,
                              q->sending->payload.len);
    cp_qblock_out_stop(q);
    for (size_t i = 0; i < CP_MAX_PAYLOADS; i++)
        cp_token_off(x->engine, &q->parts[i].token);
    cp_token_family_forget(&q->family);
    cp_token_off(x->engine, &a->main);
    memcpy(a->main.bytes, m->token.data, CP_TOKEN_LEN);
    cp_token_on(x->engine, &a->main);
    a->came_by = &a->main;
}

int cp_qblock_out_response(copal_exchange *x, const copal_msg *m)
{
    struct cp_qblock_ask *q = cp_ask_of(x)->qblock;
    bool is_control = m->code == COPAL_CONTINUE || cp_qblock_is_missing_list(m);

    /* Late; but what never went by Q-Block1 has no other answer than this. */
    if (q->sending == NULL)
        return is_control && q->has_tag ? CP_KEPT : CP_PASS;
    if (!is_control) {
        answered(x, m);
        return CP_PASS;
    }
    if (m->code == COPAL_CONTINUE)
        on_continue(q, m);
    else
        on_missing(q, m);
    if (!cp_timer_is_on(&q->pace))
        cp_ask_hope(cp_ask_of(x), cp_reliable_max_wait(x->engine));
    return CP_KEPT;
}
