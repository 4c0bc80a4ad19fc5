#include "engine/answer_core.h"
#include "engine/core.h"
#include "engine/memory.h"
#include "engine/record.h"
#include "engine/trace.h"
#include "engine/transfer.h"

/* ---- Ends ---- */

void cp_answer_free(copal_exchange *x)
{
    struct cp_answer *a = cp_answer_of(x);

    cp_answer_param_clear(a);
    copal_msg_unref(x->request);
    cp_free(x->mem, a);
}

void cp_answer_say_unavailable(struct cp_answer *a)
{
    copal_msg *m;

    if (a->wire == NULL || a->answered || a->link == NULL ||
        a->wire->path.is_multicast)
        return;
    m = cp_msg_new(a->x.mem, COPAL_UNAVAILABLE, 0);
    if (m != NULL && a->wire->type == CP_CON && !a->acked)
        cp_answer_send_now(a, m, CP_ACK, a->wire->mid);
    else if (m != NULL)
        cp_answer_send_now(
            a, m, CP_NON, cp_peer_next_mid(a->x.engine, &a->wire->path.remote));
    copal_msg_unref(m);
}

void cp_answer_finish(copal_exchange *x)
{
    struct cp_answer *a = cp_answer_of(x);
    struct cp_handler *h = a->handler;

    if (!x->is_live)
        return;
    x->over = true;
    /* An endpoint in orderly retreat (copal_close) does not leave askers waiting
     * for what will never come. */
    if (x->engine->closing && a->dispatched)
        cp_answer_say_unavailable(a);
    cp_answer_place_leave(a);
    cp_pass_end(x->engine->stages, x);
    cp_answer_wire_done(a);
    cp_flight_stop(&a->flight);
    a->handler = NULL;
    if (a->done != NULL) {
        unsigned was = cp_record_inner(x->engine);

        a->done(a->done_user, NULL);
        cp_record_return(x->engine, was);
    }
    a->done = NULL;
    cp_exchange_retire(x);
    cp_handler_unref(h);
}

void cp_answer_fail(copal_exchange *x, int status, const char *sentence)
{
    struct cp_answer *a = cp_answer_of(x);
    bool owes_nothing = a->answered && cp_transfer_is_over(x);

    if (a->handler == NULL || !a->dispatched || owes_nothing ||
        a->end.kind != 0) {
        cp_answer_finish(x);
        return;
    }
    a->end.kind = COPAL_END;
    a->end.status = status;
    a->end.own_text = cp_copy_text(x->mem, sentence, strlen(sentence));
    a->end.text =
        a->end.own_text != NULL ? a->end.own_text : copal_strerror(status);
    cp_event_post_part(x->engine, &a->end, x, NULL);
    x->over = true;
}

/* Of a 2.31 amid an upload: who asked gave up waiting for it, or is out of reach
 * for now. What came stays until its lifetime is over, for whoever goes on. */
static bool may_go_on(const struct cp_answer *a)
{
    return !a->answered && a->x.transfer != NULL && a->x.transfer->streams_in;
}

static void on_flight_over(struct cp_flight *f, int status)
{
    struct cp_answer *a = cp_container_of(f, struct cp_answer, flight);

    if (a->stays) {
        cp_qblock_answer_flown(&a->x, status);
        return;
    }
    /* Answered; and whoever asked has gone, or has its answer. */
    if (status != 0)
        cp_trace_state(a->x.engine, "answer_lost", copal_errname(status));
    if (cp_transfer_is_over(&a->x))
        cp_answer_finish(&a->x);
    else if (may_go_on(a))
        a->asker_left = status != 0;
    else if (status != 0) /* nobody will come for the next block */
        cp_exchange_fail(&a->x, status, "the asker has gone");
}

void cp_answer_abandoned(copal_exchange *x)
{
    struct cp_answer *a = cp_answer_of(x);
    struct cp_engine *e = x->engine;
    unsigned was;

    if (x->over || !x->is_live || !a->dispatched || a->answered ||
        x->delivering)
        return;
    cp_exchange_hold(x); /* a reply that fails abandons it no second time */
    if (CP_RECORD_IS_ON(e) && a->handler != NULL) /* else no user saw it */
        cp_record_do_pair(
            e, CP_RECORD_ABANDONED | (e->in_turn ? CP_RECORD_NESTED : 0),
            x->serial, 0);
    was = cp_record_inner(e);
    if (copal_reply(x, COPAL_INTERNAL_ERROR, COPAL_NO_FORMAT,
                    (copal_bytes){0}) != 0)
        cp_answer_finish(x);
    cp_record_return(e, was);
    cp_exchange_let_go(x);
}

/* ---- Arriving ---- */

static struct cp_answer *answer_new(struct cp_engine *e, copal_msg *request)
{
    struct cp_answer *a = cp_zalloc(e->mem, sizeof(*a));

    if (a == NULL)
        return NULL;
    cp_exchange_init(&a->x, e, false, request);
    cp_flight_init(&a->flight, e, on_flight_over);
    cp_list_init(&a->place);
    cp_list_init(&a->of_share);
    cp_list_init(&a->arrival.node);
    cp_list_init(&a->end.node);
    return a;
}

copal_exchange *cp_answer_open(struct cp_engine *e, struct cp_link *link,
                               copal_msg *wire)
{
    struct cp_answer *a = NULL;

    if (e->exchange_count >= (size_t)e->params.value[COPAL_P_MAX_EXCHANGES])
        cp_engine_limited(e, "max_exchanges");
    else if (!e->closing && !e->ending)
        a = answer_new(e, wire);
    if (a == NULL)
        return NULL;
    a->link = link;
    cp_answer_wire_set(a, wire, NULL);
    a->answered = a->acked = true;
    return &a->x;
}

struct cp_answer *cp_answer_begin(struct cp_engine *e, struct cp_link *link,
                                  copal_msg *request, struct cp_seen *seen)
{
    struct cp_answer *a = answer_new(e, request);

    if (a == NULL) {
        cp_dedup_forget(&e->dedup, seen);
        return NULL;
    }
    a->link = link;
    cp_answer_wire_set(a, request, seen);
    return a;
}

void cp_answer_at_once(struct cp_engine *e, struct cp_link *link,
                       const copal_msg *request, struct cp_seen *seen, int code,
                       const char *diagnostic)
{
    struct cp_answer *a = cp_answer_begin(e, link, (copal_msg *)request, seen);

    if (a == NULL)
        return;
    if (cp_answer_send_simple(e->stages.count > 0 ? e->stages.list[0] : NULL,
                              &a->x, code, diagnostic) < 0)
        cp_dedup_forget(&e->dedup, seen); /* a repeat may have better luck */
}

void cp_answer_with(struct cp_engine *e, struct cp_link *link,
                    const copal_msg *request, struct cp_seen *seen,
                    copal_msg *m)
{
    struct cp_answer *a = cp_answer_begin(e, link, (copal_msg *)request, seen);
    copal_exchange *x;

    if (a == NULL)
        return;
    x = &a->x;
    a->answered = true;
    cp_exchange_hold(x);
    if (cp_answer_send(x, m) != 0)
        cp_dedup_forget(&e->dedup, seen);
    if (x->is_live && a->flight.state == CP_IDLE)
        cp_answer_finish(x);
    cp_exchange_let_go(x);
}

void cp_answer_full(struct cp_engine *e, struct cp_link *link,
                    const struct cp_path *path, const struct cp_header *h)
{
    copal_msg *m;

    if (h->type != CP_CON || path->is_multicast)
        return;
    m = cp_msg_new(e->mem, h->code, h->token.len);
    if (m == NULL)
        return;
    m->type = h->type;
    m->mid = h->mid;
    m->path = *path;
    if (h->token.len > 0)
        memcpy(m->data, h->token.data, h->token.len);
    m->token = cp_bytes(m->data, h->token.len);
    cp_answer_at_once(e, link, m, NULL, COPAL_UNAVAILABLE, NULL);
    copal_msg_unref(m);
}

static void arrive(struct cp_answer *a, copal_msg *m)
{
    copal_exchange *x = &a->x;

    m->frozen = true;
    if (m != x->request) { /* a stage made it whole */
        copal_msg_unref(x->request);
        x->request = copal_msg_ref(m);
    }
    a->arrival.kind = COPAL_REQUEST;
    cp_event_post_part(x->engine, &a->arrival, x, m);
}

static bool is_later(const copal_msg *m, unsigned option)
{
    const struct cp_option *o = cp_msg_find(m, option);

    return o != NULL && o->len <= 3 && /* of any size, RFC 8323 6 */
           cp_bytes_uint(cp_msg_option_value(m, o)) >> 4 > 0;
}

/* A block of a body that others came of before. */
static bool goes_on(const copal_msg *m)
{
    return is_later(m, COPAL_OPT_BLOCK1) || is_later(m, COPAL_OPT_BLOCK2) ||
           is_later(m, COPAL_OPT_Q_BLOCK1) || is_later(m, COPAL_OPT_Q_BLOCK2);
}

void cp_answer_request(struct cp_engine *e, struct cp_link *link, copal_msg **m,
                       struct cp_seen *seen)
{
    struct cp_answer *a;
    int verdict, refused;

    cp_dedup_own(seen, &seen); /* it may give way, too */
    if (e->params.value[COPAL_P_MAX_MEMORY] != 0 &&
        !cp_memory_has_room(e, goes_on(*m))) {
        cp_dedup_forget(&e->dedup, seen); /* that is for others, too */
        cp_answer_at_once(e, link, *m, NULL, COPAL_UNAVAILABLE, NULL);
        return;
    }
    refused = e->closing ? COPAL_UNAVAILABLE
                         : cp_answer_place_make(e, link, &(*m)->path.remote);
    cp_dedup_own(seen, NULL);
    if (refused != 0) {
        cp_answer_at_once(e, link, *m, seen, refused, NULL);
        return;
    }
    a = answer_new(e, *m);
    if (a == NULL) { /* as if the network had lost it */
        cp_dedup_forget(&e->dedup, seen);
        return;
    }
    a->link = link;
    cp_connection_join(&a->x, link);
    cp_answer_wire_set(a, *m, seen);
    cp_answer_place_take(a);
    cp_exchange_hold(&a->x);
    verdict = cp_pass_in(e->stages, &a->x, m);
    if (verdict == CP_PASS) {
        arrive(a, *m);
    } else if (verdict < 0) {
        cp_dedup_forget(&e->dedup, a->seen);
        cp_answer_finish(&a->x);
    }
    cp_exchange_let_go(&a->x);
}

/* ---- Handlers ---- */

/* Every request passes here, mostly not recorded; the recorder pays for no frame
 * of its own. */
static inline void call(struct cp_engine *e, struct cp_handler *h,
                        const copal_event *ev)
{
    uint8_t was = e->whose;

    if (h->cb.fn == NULL)
        return;
    if (CP_RECORD_IS_ON(e) && !h->is_own) {
        ev = cp_record_do_handler(e, ev);
        e->whose = CP_WHOSE_USER;
        h->cb.fn(ev, h->cb.user);
        cp_record_callback_over(e, false, was);
        return;
    }
    e->whose = h->is_own ? CP_WHOSE_INNER : CP_WHOSE_USER;
    h->cb.fn(ev, h->cb.user);
    e->whose = was;
}

void cp_answer_deliver(copal_exchange *x, const copal_event *ev)
{
    struct cp_answer *a = cp_answer_of(x);
    struct cp_engine *e = x->engine;
    struct cp_handler *h;

    if (ev->kind == COPAL_REQUEST) {
        if (x->over)
            return;
        a->dispatched = true;
        if (ev->text != NULL) { /* a look-up has no path that leads to it */
            cp_answer_dispatch(ev, a->handler);
        } else if (e->on_request.fn != NULL) {
            unsigned was = cp_record_inner(e);

            e->on_request.fn(ev, e->on_request.user);
            cp_record_return(e, was);
        }
        cp_answer_wire_expect(a);
        return;
    }
    if (ev->kind == COPAL_CHUNK && cp_block_stream_in_holds_back(x, ev))
        return;
    h = cp_handler_ref(a->handler);
    if (h != NULL)
        call(e, h, ev);
    if (ev->kind == COPAL_CHUNK && !x->over)
        cp_block_stream_in_delivered(x);
    if (ev->kind == COPAL_END)
        cp_answer_finish(x);
    else
        cp_answer_wire_expect(a);
    cp_handler_unref(h);
}

void cp_answer_dispatch(const copal_event *ev, struct cp_handler *h)
{
    struct cp_answer *a = cp_answer_of(ev->exchange);
    copal_exchange *x = ev->exchange;
    bool outer = x->delivering;

    if (x->over)
        return;
    if (a->handler == NULL)
        a->handler = cp_handler_ref(h);
    cp_handler_ref(h);
    x->delivering = true;
    call(x->engine, h, ev);
    x->delivering = outer;
    cp_answer_wire_expect(a);
    cp_handler_unref(h);
}

/* ---- Asked from within ---- */

void cp_answer_look_up(struct cp_engine *e, struct cp_handler *h,
                       const char *kind, const copal_msg *request,
                       void (*done)(void *user, const copal_msg *answer),
                       void *user)
{
    struct cp_answer *a =
        e->ending ? NULL : answer_new(e, (copal_msg *)request);

    if (a == NULL) {
        done(user, NULL);
        return;
    }
    a->done = done;
    a->done_user = user;
    a->handler = cp_handler_ref(h);
    a->arrival.text = kind;
    if (kind != NULL && CP_RECORD_IS_ON(e))
        cp_record_do_look_up(e, kind, request->payload);
    cp_answer_wire_set(a, (copal_msg *)request, NULL);
    arrive(a, (copal_msg *)request);
}

void cp_answer_ask(struct cp_engine *e, struct cp_handler *h,
                   const copal_msg *request,
                   void (*done)(void *user, const copal_msg *answer),
                   void *user)
{
    cp_answer_look_up(e, h, NULL, request, done, user);
}
