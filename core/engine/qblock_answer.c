/* An answer's body on its way out, by Q-Block2. RFC 9177 4.4, 7.2. All parts
 * bear the token of the request; what the asker misses, that of the request for
 * it. */
#include "engine/block_kept.h"
#include "engine/block_partial.h"
#include "engine/fresh_guard.h"
#include "engine/observe_core.h"
#include "engine/qblock_core.h"
#include "engine/transfer.h"

static void on_pace(struct cp_timer *t);

/* ---- Its life ---- */

static struct cp_qblock_answer *sender_new(copal_exchange *x, copal_msg *whole,
                                           uint16_t size, bool is_con)
{
    struct cp_answer *a = cp_answer_of(x);
    struct cp_qblock_answer *q = cp_zalloc(x->mem, sizeof(*q));

    if (q == NULL)
        return NULL;
    q->x = x;
    q->whole = copal_msg_ref(whole);
    q->size = size;
    q->count = (uint32_t)((whole->payload.len + size - 1) / size);
    q->is_con = is_con;
    q->pause = cp_qblock_pause(x);
    a->qblock = q;
    a->stays = true;
    a->confirms = is_con;
    return q;
}

void cp_qblock_answer_free(copal_exchange *x)
{
    struct cp_answer *a = cp_answer_of(x);
    struct cp_qblock_answer *q = a->qblock;

    if (a->upload != NULL) { /* the endpoint ends: the newest block goes */
        cp_block_partial_free(a->upload);
        return;
    }
    if (q == NULL)
        return;
    a->qblock = NULL;
    a->stays = false;
    cp_timer_stop(&x->engine->timers, &q->pace);
    if (q->kept != NULL)
        q->kept->sender = NULL;
    copal_msg_unref(q->whole);
    if (q->kept != NULL)
        cp_exchange_let_go(x);
    cp_free(x->mem, q);
}

void cp_qblock_answer_finish(copal_exchange *x)
{
    cp_exchange_hold(x);
    cp_qblock_answer_free(x);
    cp_answer_finish(x);
    cp_exchange_let_go(x);
}

void cp_qblock_answer_let_go(struct cp_block_kept *o)
{
    copal_msg_unref(o->request);
    o->request = NULL;
    if (o->sender != NULL)
        cp_qblock_answer_finish(o->sender);
}

/* Who asked: all that later parts need to know of it. */
static copal_msg *asker_of(const copal_msg *request)
{
    copal_msg *m = cp_msg_new(request->mem, request->code, request->token.len);

    if (m == NULL)
        return NULL;
    m->type = request->type;
    m->path = request->path;
    m->scheme = request->scheme;
    if (request->token.len > 0)
        memcpy(m->data, request->token.data, request->token.len);
    m->token = cp_bytes(m->data, request->token.len);
    m->frozen = true;
    return m;
}

/* q's body stays for who misses parts of it; q is whom "Continue" is for.
 * COPAL_ENOMEM, also where BODY_MEMORY is spent. */
static int keep(struct cp_qblock_answer *q, const copal_msg *request)
{
    struct cp_answer *a = cp_answer_of(q->x);
    uint64_t key =
        cp_bodies_key(q->x->engine, a->link, &request->path.remote, request) ^
        CP_BODIES_QBLOCK;
    copal_msg *asker = asker_of(request);
    struct cp_block_kept *o =
        asker == NULL ? NULL : cp_block_kept_new(q->x, key, q->whole);

    if (o == NULL) {
        copal_msg_unref(asker);
        return COPAL_ENOMEM;
    }
    o->request = asker;
    o->sender = cp_exchange_hold(q->x);
    q->kept = o;
    return 0;
}

/* ---- Sending ---- */

static copal_msg *part_of(const struct cp_qblock_answer *q, uint32_t num)
{
    struct cp_block b = {
        .num = num, .size = q->size, .more = num + 1 < q->count};
    copal_msg *m = cp_transfer_block_of(q->whole, COPAL_OPT_Q_BLOCK2, b);

    if (m == NULL)
        return NULL;
    if (q->has_observe &&
        cp_msg_add_uint(m, COPAL_OPT_OBSERVE, q->observe) != 0) {
        copal_msg_unref(m);
        return NULL;
    }
    cp_msg_borrow_payload(
        m, q->whole,
        cp_transfer_part_of(q->whole->payload, cp_block_offset(b), b.size));
    return m;
}

static int send_part(struct cp_qblock_answer *q, uint32_t num)
{
    copal_msg *m = part_of(q, num);
    int err =
        m == NULL ? COPAL_ENOMEM : cp_exchange_send_below(&cp_qblock, q->x, m);

    copal_msg_unref(m);
    return err;
}

static bool is_done(const struct cp_qblock_answer *q)
{
    return q->listed > 0 ? q->at >= q->listed : q->next >= q->count;
}

static int send_next(struct cp_qblock_answer *q)
{
    return q->listed > 0 ? send_part(q, q->list[q->at++])
                         : send_part(q, q->next++);
}

/* The rest of the set, or of the list. Of it, what cannot be sent now is as
 * good as lost, and asked for. */
static int send_set(struct cp_qblock_answer *q)
{
    int err = send_next(q);

    while (err == 0 && !is_done(q) &&
           (q->listed > 0 || q->next % CP_MAX_PAYLOADS != 0))
        if (send_next(q) != 0)
            break;
    return err;
}

/* What may go now; then x ends, or waits: for the pause after a set, or for an
 * ACK. Negative: nothing went out, and nothing will. */
static int send_due(struct cp_qblock_answer *q)
{
    copal_exchange *x = q->x;
    struct cp_answer *a = cp_answer_of(x);
    int err;

    if (q->is_con) {
        err = send_next(q);
        if (err == 0 && !is_done(q) && a->flight.state == CP_IDLE)
            err = send_next(q); /* the one before was in an ACK */
    } else {
        err = send_set(q);
    }
    if (err < 0)
        return err;
    if (is_done(q) && (!q->is_con || a->flight.state == CP_IDLE))
        cp_qblock_answer_finish(x);
    else if (!q->is_con)
        cp_timer_start(&x->engine->timers, &q->pace, x->engine->now + q->pause,
                       on_pace);
    return 0;
}

/* What is noted of who observes may need room, of which what is being sent is not
 * a part. */
static int go_on(struct cp_qblock_answer *q)
{
    struct cp_block_kept *o = q->kept;
    int err;

    if (o != NULL)
        o->is_sending = true;
    err = send_due(q);
    if (o != NULL)
        o->is_sending = false;
    return err;
}

static void on_pace(struct cp_timer *t)
{
    struct cp_qblock_answer *q =
        cp_container_of(t, struct cp_qblock_answer, pace);

    if (go_on(q) < 0)
        cp_qblock_answer_finish(q->x);
}

/* Who rejects a part of a notification observes no more. RFC 7641 3.6. */
static void forget_observer(copal_exchange *x)
{
    struct cp_answer *a = cp_answer_of(x);
    struct cp_observer *o = cp_observer_find(x->engine, a->link, a->wire);

    if (o != NULL)
        cp_observer_free(o);
}

void cp_qblock_answer_flown(copal_exchange *x, int status)
{
    struct cp_answer *a = cp_answer_of(x);
    struct cp_qblock_answer *q = a->qblock;

    if (a->upload != NULL) {
        if (status == COPAL_ERESET) /* it sends no more: RFC 9177 4.3 */
            cp_block_partial_free(a->upload);
        return;
    }
    if (q == NULL)
        return;
    if (status == COPAL_ERESET && q->has_observe)
        forget_observer(x);
    if (status != 0 || is_done(q) || go_on(q) < 0)
        cp_qblock_answer_finish(x);
}

void cp_qblock_answer_numbered(copal_exchange *x, uint32_t number)
{
    struct cp_qblock_answer *q = cp_answer_of(x)->qblock;

    if (q == NULL)
        return;
    q->has_observe = true;
    q->observe = number;
    if (q->kept == NULL)
        return;
    q->kept->has_observe = true;
    q->kept->observe = number;
}

/* ---- An answer ---- */

static copal_msg *make_whole(const copal_msg *m)
{
    copal_msg *whole = cp_msg_derive(m);
    int err = whole == NULL ? COPAL_ENOMEM : 0;

    if (err == 0) {
        cp_msg_remove(whole, COPAL_OPT_SIZE2);
        err = cp_msg_add_uint(whole, COPAL_OPT_SIZE2, m->payload.len);
    }
    if (err == 0)
        err = cp_block_answer_add_etag(whole);
    if (err != 0) {
        copal_msg_unref(whole);
        return NULL;
    }
    whole->frozen = true; /* so that its parts share the payload */
    return whole;
}

static bool goes_by_qblock2(const struct cp_answer *a, const copal_msg *m,
                            uint16_t size)
{
    return a->link != NULL && cp_code_class(m->code) == 2 &&
           (m->flags & (COPAL_STREAM_OUT | COPAL_RAW_BLOCKS)) == 0 &&
           !cp_msg_has(m, COPAL_OPT_BLOCK2) &&
           !cp_msg_has(m, COPAL_OPT_Q_BLOCK2) && m->payload.len > size &&
           (m->payload.len - 1) / size <= CP_BLOCK_MAX_NUM &&
           !cp_fresh_doubts(a->x.engine, a->link, &a->wire->path.remote);
}

static void list_wishes(struct cp_qblock_answer *q,
                        const struct cp_qblock_wish *w)
{
    for (uint8_t i = 0; i < w->count; i++)
        if (w->nums[i] < q->count)
            q->list[q->listed++] = w->nums[i];
}

/* Where there is no room to keep the body, or nobody has shown to be there, it
 * goes by Block2, a block for each request: CP_PASS. */
int cp_qblock_answer_out(copal_exchange *x, copal_msg *m)
{
    struct cp_answer *a = cp_answer_of(x);
    bool is_con = a->wire != NULL && a->wire->type == CP_CON;
    struct cp_qblock_answer *q;
    copal_msg *whole;
    uint16_t size;
    int err;

    size = cp_transfer_own_size(x);
    if (a->wish.size < size)
        size = a->wish.size;
    if (!goes_by_qblock2(a, m, size))
        return CP_PASS;
    whole = make_whole(m);
    if (whole == NULL)
        return COPAL_ENOMEM;
    q = sender_new(x, whole, size, is_con);
    copal_msg_unref(whole);
    if (q == NULL)
        return COPAL_ENOMEM;
    if (keep(q, a->wire) != 0) {
        cp_qblock_answer_free(x);
        return CP_PASS;
    }
    list_wishes(q, &a->wish);
    err = go_on(q);
    if (err == 0)
        return CP_KEPT;
    cp_qblock_answer_free(x);
    return err;
}

/* ---- What is missing ---- */

static int refuse(copal_exchange *x, const char *why)
{
    return cp_answer_send_simple(&cp_qblock, x, COPAL_BAD_REQUEST, why);
}

/* Adds those of from to end that come after all that are there; MAX_PAYLOADS in
 * all, whoever wants more asks again. */
static void wish_for(struct cp_qblock_wish *w, uint32_t from, uint32_t end)
{
    for (; from < end && w->count < CP_MAX_PAYLOADS; from++)
        if (w->count == 0 || from > w->nums[w->count - 1])
            w->nums[w->count++] = from;
}

/* NULL, or what is wrong: RFC 9177 4.4. */
static const char *read_wish(const copal_msg *m, struct cp_qblock_wish *w)
{
    int64_t before = -1;
    struct cp_block b;

    for (size_t i = 0; i < m->option_count; i++) {
        if (m->options[i].number != COPAL_OPT_Q_BLOCK2)
            continue;
        if (cp_block_decode(cp_msg_option_value(m, &m->options[i]), &b) != 0)
            return "block size 7 is reserved";
        if ((int64_t)b.num <= before || (before >= 0 && b.size != w->size))
            return "block numbers must rise, in one size";
        if (before < 0 && b.num == 0 && b.more) {
            w->size = b.size;
            return NULL;
        }
        w->goes_on = before < 0 && b.more && b.num % CP_MAX_PAYLOADS == 0;
        w->size = b.size;
        wish_for(w, b.num,
                 b.more ? (b.num / CP_MAX_PAYLOADS + 1) * CP_MAX_PAYLOADS
                        : b.num + 1);
        before = b.num;
    }
    return NULL;
}

/* The parts asked for, with x's token and without Observe, or again with those
 * of the request: "Continue". RFC 9177 4.5, 7.2. */
static int send_list(copal_exchange *x, struct cp_block_kept *o,
                     const struct cp_qblock_wish *w, bool observed)
{
    bool is_con = cp_answer_of(x)->wire->type == CP_CON;
    struct cp_qblock_answer *q = sender_new(x, o->whole, w->size, is_con);

    if (q == NULL)
        return COPAL_ENOMEM;
    list_wishes(q, w);
    q->has_observe = observed && o->has_observe;
    q->observe = o->observe;
    return go_on(q) < 0 ? COPAL_EIO : CP_KEPT;
}

/* To who has not shown to be there, no more than one answer goes to a request,
 * and no longer one than elsewhere. */
static int send_guarded(copal_exchange *x, struct cp_block_kept *o)
{
    struct cp_answer *a = cp_answer_of(x);
    struct cp_qblock_answer *q =
        sender_new(x, o->whole, a->wish.size, a->wire->type == CP_CON);
    copal_msg *m = q == NULL ? NULL : part_of(q, a->wish.nums[0]);
    int err = COPAL_ENOMEM;

    cp_qblock_answer_free(x);
    if (m != NULL)
        err = cp_exchange_send_below(&cp_qblock, x, m);
    copal_msg_unref(m);
    return err < 0 ? err : CP_KEPT;
}

static void continue_anew(struct cp_engine *e, struct cp_answer *a,
                          struct cp_block_kept *o)
{
    copal_exchange *x = cp_answer_open(e, a->link, o->request);

    if (x != NULL && send_list(x, o, &a->wish, true) < 0)
        cp_qblock_answer_finish(x);
}

/* The set before is there: the next may go at once, under the token of the
 * first request. */
static int resume(copal_exchange *x, struct cp_block_kept *o)
{
    struct cp_answer *a = cp_answer_of(x);
    struct cp_qblock_answer *q =
        o->sender == NULL ? NULL : cp_answer_of(o->sender)->qblock;
    copal_exchange *sender = o->sender;

    if (q == NULL || a->wish.size != q->size) {
        continue_anew(x->engine, a, o);
    } else if (!q->is_con && q->listed == 0 && q->next == a->wish.nums[0]) {
        cp_exchange_hold(sender);
        if (go_on(q) < 0)
            cp_qblock_answer_finish(sender);
        cp_exchange_let_go(sender);
    } /* else it is on its way already */
    cp_answer_keep_silent(x);
    return CP_KEPT;
}

/* What is missing goes before the next set, and a pause after it. */
static void hold_back(struct cp_block_kept *o)
{
    struct cp_qblock_answer *q =
        o->sender == NULL ? NULL : cp_answer_of(o->sender)->qblock;

    if (q != NULL && cp_timer_is_on(&q->pace))
        cp_timer_start(&q->x->engine->timers, &q->pace,
                       q->x->engine->now + q->pause, on_pace);
}

int cp_qblock_answer_in(copal_exchange *x, copal_msg *m)
{
    struct cp_answer *a = cp_answer_of(x);
    struct cp_engine *e = x->engine;
    struct cp_block_kept *o;
    const char *fault;

    if (m->path.is_multicast) { /* RFC 9177 4.8 */
        cp_answer_keep_silent(x);
        return CP_KEPT;
    }
    fault = read_wish(m, &a->wish);
    if (fault != NULL)
        return refuse(x, fault);
    a->wish.is_offered = true;
    if (a->wish.count == 0)
        return CP_PASS;
    o = cp_block_kept_find(e, cp_bodies_key(e, a->link, &m->path.remote, m) ^
                                  CP_BODIES_QBLOCK);
    a->registers = a->deregisters = false;
    if (o == NULL) /* not kept any more: a safe method is asked anew */
        return m->code == COPAL_GET ||
                       (m->code == COPAL_FETCH && m->payload.len > 0)
                   ? CP_PASS
                   : cp_answer_send_simple(&cp_qblock, x, COPAL_INCOMPLETE,
                                           NULL);
    if ((uint64_t)a->wish.nums[0] * a->wish.size >= o->whole->payload.len)
        return refuse(x, "there is no such block");
    cp_block_kept_touch(o);
    a->answered = true;
    if (cp_fresh_doubts(e, a->link, &m->path.remote))
        return send_guarded(x, o);
    if (a->wish.goes_on)
        return resume(x, o);
    hold_back(o);
    return send_list(x, o, &a->wish, false);
}

/* ---- Notifications ---- */

uint16_t cp_qblock_notify_size(struct cp_engine *e, const struct cp_link *link,
                               const copal_msg *request)
{
    uint16_t own = cp_block_fit((uint64_t)e->params.value[COPAL_P_BLOCK_SIZE]);
    const struct cp_option *o = cp_msg_find(request, COPAL_OPT_Q_BLOCK2);
    struct cp_block b;

    if (o == NULL)
        o = cp_msg_find(request, COPAL_OPT_Q_BLOCK1);
    if (o == NULL ||
        cp_block_decode(cp_msg_option_value(request, o), &b) != 0 ||
        cp_fresh_doubts(e, link, &request->path.remote))
        return 0;
    return b.size < own ? b.size : own;
}

copal_msg *cp_qblock_notify_first(const copal_msg *m, uint16_t size)
{
    copal_msg *whole = make_whole(m), *first = NULL;

    if (whole != NULL)
        first =
            cp_transfer_block_of(whole, COPAL_OPT_Q_BLOCK2,
                                 (struct cp_block){.size = size, .more = true});
    if (first != NULL) {
        cp_msg_borrow_payload(first, whole,
                              cp_transfer_part_of(whole->payload, 0, size));
        first->frozen = true;
    }
    copal_msg_unref(whole);
    return first;
}

static copal_msg *whole_of(const copal_msg *first)
{
    copal_msg *whole = cp_msg_derive(first);

    if (whole == NULL)
        return NULL;
    cp_msg_remove(whole, COPAL_OPT_Q_BLOCK2);
    cp_msg_remove(whole, COPAL_OPT_OBSERVE);
    cp_msg_borrow_payload(whole, first->payload_of, first->payload_of->payload);
    whole->frozen = true;
    return whole;
}

/* What the first said. 0: it is doubted by now who observes, and gets no more than
 * it asks for. */
static uint16_t size_of_rest(struct cp_engine *e, const struct cp_link *link,
                             const copal_msg *request, const copal_msg *first)
{
    const struct cp_option *o = cp_msg_find(first, COPAL_OPT_Q_BLOCK2);
    struct cp_block b;

    if (o == NULL || cp_qblock_notify_size(e, link, request) == 0 ||
        cp_block_decode(cp_msg_option_value(first, o), &b) != 0)
        return 0;
    return b.size;
}

void cp_qblock_notify_rest(struct cp_engine *e, struct cp_link *link,
                           copal_msg *request, const copal_msg *first,
                           bool is_con)
{
    uint16_t size = size_of_rest(e, link, request, first);
    copal_msg *whole = size == 0 ? NULL : whole_of(first);
    copal_exchange *x = whole == NULL ? NULL : cp_answer_open(e, link, request);
    struct cp_qblock_answer *q =
        x == NULL ? NULL : sender_new(x, whole, size, is_con);

    copal_msg_unref(whole);
    if (x == NULL)
        return;
    if (q == NULL || keep(q, request) != 0) {
        cp_qblock_answer_finish(x);
        return;
    }
    cp_qblock_answer_numbered(
        x, (uint32_t)cp_msg_uint_or(first, COPAL_OPT_OBSERVE, 0));
    q->next = 1;
    if (go_on(q) < 0)
        cp_qblock_answer_finish(x);
}
