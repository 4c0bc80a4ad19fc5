#include "engine/answer_core.h"
#include "engine/core.h"
#include "engine/trace.h"
#include <stdio.h>

enum {
    INLINE_DATAGRAM = 1280
};

struct cp_param_value {
    struct cp_param_value *next;
    const char *name, *value;
};

/* ---- Handlers ---- */

struct cp_handler *cp_handler_new(struct cp_mem *mem, unsigned flags,
                                  copal_cb cb)
{
    struct cp_handler *h = cp_alloc(mem, sizeof(*h));

    if (h == NULL) {
        if (cb.drop != NULL)
            cb.drop(cb.user);
        return NULL;
    }
    *h = (struct cp_handler){.mem = mem, .refs = 1, .flags = flags, .cb = cb};
    return h;
}

struct cp_handler *cp_handler_ref(struct cp_handler *h)
{
    if (h != NULL)
        h->refs++;
    return h;
}

void cp_handler_unref(struct cp_handler *h)
{
    copal_cb cb;

    if (h == NULL || --h->refs > 0)
        return;
    cb = h->cb;
    cp_free(h->mem, h);
    if (cb.drop != NULL)
        cb.drop(cb.user);
}

/* ---- Path parameters ---- */

int cp_answer_set_param(copal_exchange *x, const char *name, copal_bytes value)
{
    struct cp_answer *a = cp_answer_of(x);
    size_t name_len = strlen(name);
    struct cp_param_value *p =
        cp_alloc(x->mem, sizeof(*p) + name_len + value.len + 2);
    char *text = (char *)(p + 1);

    if (p == NULL)
        return COPAL_ENOMEM;
    memcpy(text, name, name_len + 1);
    if (value.len > 0)
        memcpy(text + name_len + 1, value.data, value.len);
    text[name_len + 1 + value.len] = 0;
    *p = (struct cp_param_value){a->params, text, text + name_len + 1};
    a->params = p;
    return 0;
}

const char *copal_exchange_param(const copal_exchange *x, const char *name)
{
    const struct cp_answer *a;

    if (x == NULL || x->is_ask || name == NULL)
        return NULL;
    a = cp_container_of(x, struct cp_answer, x);
    for (const struct cp_param_value *p = a->params; p != NULL; p = p->next)
        if (strcmp(p->name, name) == 0)
            return p->value;
    return NULL;
}

/* ---- The message that is answered ---- */

static void wire_done(struct cp_answer *a)
{
    copal_msg *wire = a->wire;

    cp_timer_stop(&a->x.engine->timers, &a->separate);
    if (a->seen != NULL)
        a->seen->owner = NULL;
    a->seen = NULL;
    a->wire = NULL;
    a->acked = false;
    copal_msg_unref(wire);
}

static void set_wire(struct cp_answer *a, copal_msg *wire, struct cp_seen *seen)
{
    a->wire = copal_msg_ref(wire);
    a->seen = seen;
    if (seen != NULL)
        seen->owner = &a->seen;
}

static void send_empty_ack(struct cp_answer *a)
{
    struct cp_engine *e = a->x.engine;
    uint16_t mid = a->wire->mid;
    uint8_t ack[4] = {0x60, COPAL_EMPTY, (uint8_t)(mid >> 8), (uint8_t)mid};

    cp_reliable_empty(e, a->link, &a->wire->path, CP_ACK, mid);
    if (a->seen != NULL)
        cp_dedup_keep(&e->dedup, a->seen, cp_bytes(ack, sizeof(ack)));
    a->acked = true;
}

/* The answer takes its time: the asker must not think that we did not hear.
 * RFC 7252 5.2.2. */
static void on_separate(struct cp_timer *t)
{
    struct cp_answer *a = cp_container_of(t, struct cp_answer, separate);

    send_empty_ack(a);
}

static void expect_separate(struct cp_answer *a)
{
    struct cp_engine *e = a->x.engine;

    if (a->wire == NULL || a->link == NULL || a->wire->type != CP_CON ||
        a->acked || a->x.over || cp_timer_is_on(&a->separate))
        return;
    cp_timer_start(&e->timers, &a->separate,
                   e->now + (uint64_t)e->params.value[COPAL_P_SEPARATE_AFTER],
                   on_separate);
}

void cp_answer_adopt(copal_exchange *x, copal_exchange *later)
{
    struct cp_answer *a = cp_answer_of(x), *b = cp_answer_of(later);

    if (a->wire != NULL) { /* asked again before it was answered */
        if (a->wire->type == CP_CON && !a->acked && a->link != NULL)
            send_empty_ack(a);
        wire_done(a);
    }
    cp_flight_stop(&a->flight);
    set_wire(a, b->wire, b->seen);
    b->seen = NULL;
    a->link = b->link;
    a->want = b->want;
    a->wants_block = b->wants_block;
    a->echo = b->echo;
    a->echoes_block = b->echoes_block;
    expect_separate(a);
    wire_done(b);
    b->answered = true;
    cp_exchange_retire(later);
}

static int send_now(struct cp_answer *a, const copal_msg *m, uint8_t type,
                    uint16_t mid);

/* ---- Ends ---- */

void cp_answer_free(copal_exchange *x)
{
    struct cp_answer *a = cp_answer_of(x);

    while (a->params != NULL) {
        struct cp_param_value *next = a->params->next;

        cp_free(x->mem, a->params);
        a->params = next;
    }
    copal_msg_unref(x->request);
    cp_free(x->mem, a);
}

/* An endpoint in orderly retreat (copal_close) does not leave askers waiting
 * for what will never come. */
static void say_unavailable(struct cp_answer *a)
{
    copal_msg *m;

    if (a->wire == NULL || a->answered || a->link == NULL || !a->dispatched ||
        !a->x.engine->closing || a->wire->path.is_multicast)
        return;
    m = cp_msg_new(a->x.mem, COPAL_UNAVAILABLE, 0);
    if (m != NULL && a->wire->type == CP_CON && !a->acked)
        send_now(a, m, CP_ACK, a->wire->mid);
    else if (m != NULL)
        send_now(a, m, CP_NON,
                 cp_peer_next_mid(a->x.engine, &a->wire->path.remote));
    copal_msg_unref(m);
}

/* Everything but the memory goes: users may hold the handle for long. */
static void finish(copal_exchange *x)
{
    struct cp_answer *a = cp_answer_of(x);
    struct cp_handler *h = a->handler;

    if (!x->is_live)
        return;
    x->over = true;
    say_unavailable(a);
    cp_pass_end(x->engine->stages, x);
    wire_done(a);
    cp_flight_stop(&a->flight);
    a->handler = NULL;
    if (a->done != NULL)
        a->done(a->done_user, NULL);
    a->done = NULL;
    cp_exchange_retire(x);
    cp_handler_unref(h);
}

void cp_answer_finished(copal_exchange *x)
{
    finish(x);
}

void cp_answer_fail(copal_exchange *x, int status, const char *sentence)
{
    struct cp_answer *a = cp_answer_of(x);
    bool owes_nothing = a->answered && x->transfer == NULL;

    if (a->handler == NULL || !a->dispatched || owes_nothing ||
        a->end.kind != 0) {
        finish(x);
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

static void on_flight_over(struct cp_flight *f, int status)
{
    struct cp_answer *a = cp_container_of(f, struct cp_answer, flight);

    /* Answered; and whoever asked has gone, or has its answer. */
    if (status != 0)
        cp_trace_state(a->x.engine, "answer_lost", copal_errname(status));
    if (a->x.transfer == NULL)
        finish(&a->x);
    else if (status != 0) /* nobody will come for the next block */
        cp_exchange_fail(&a->x, status, "the asker has gone");
}

void cp_answer_abandoned(copal_exchange *x)
{
    struct cp_answer *a = cp_answer_of(x);

    if (x->over || !x->is_live || !a->dispatched || a->answered ||
        x->delivering)
        return;
    cp_exchange_hold(x); /* a reply that fails abandons it no second time */
    if (copal_reply(x, COPAL_INTERNAL_ERROR, COPAL_NO_FORMAT,
                    (copal_bytes){0}) != 0)
        finish(x);
    cp_exchange_let_go(x);
}

/* ---- Sending ---- */

static int send_now(struct cp_answer *a, const copal_msg *m, uint8_t type,
                    uint16_t mid)
{
    struct cp_engine *e = a->x.engine;
    uint8_t storage[INLINE_DATAGRAM];
    size_t size = cp_datagram_size(m, a->wire->token);
    struct cp_buf out = size <= sizeof(storage)
                            ? cp_buf_fixed(storage, sizeof(storage))
                            : cp_buf_new(e->mem);
    struct cp_path path = a->wire->path;
    copal_bytes datagram;
    int err = cp_datagram_encode(m, type, mid, a->wire->token, &out);

    if (err == 0)
        err = cp_buf_finish(&out, &datagram);
    if (path.is_multicast) /* a group is no one's source address */
        path.local = (struct cp_address){0};
    path.is_multicast = 0;
    if (err == 0)
        err = cp_engine_send(e, a->link, &path, datagram, false);
    if (err == 0 && a->seen != NULL && type == CP_ACK)
        cp_dedup_keep(&e->dedup, a->seen, datagram);
    if (out.data != storage)
        cp_buf_free(&out);
    return err;
}

/* The narrowest that applies to the answer m. */
static uint32_t param_of(struct cp_answer *a, const copal_msg *m, int param)
{
    const struct cp_params *p = &a->x.engine->params;
    const char *peer =
        cp_list_empty(&p->scopes) ? NULL : copal_msg_remote(a->wire);

    return (uint32_t)cp_params_get(p, m, peer, param);
}

static int send_separately(struct cp_answer *a, const copal_msg *m)
{
    struct cp_flight_plan plan = {
        .link = a->link,
        .path = &a->wire->path,
        .token = a->wire->token,
        .is_con = true,
        .ignores_icmp = param_of(a, m, COPAL_P_IGNORE_ICMP) != 0,
        .ack_timeout = param_of(a, m, COPAL_P_ACK_TIMEOUT),
        .ack_random = param_of(a, m, COPAL_P_ACK_RANDOM),
        .max_retransmit = param_of(a, m, COPAL_P_MAX_RETRANSMIT),
        .nstart = param_of(a, m, COPAL_P_NSTART),
    };

    return cp_flight_start(&a->flight, &plan, m);
}

/* The bottom: m answers what came last. Over with it, unless a transfer goes
 * on or the answer is yet to be acknowledged. */
int cp_answer_transmit(copal_exchange *x, copal_msg *m)
{
    struct cp_answer *a = cp_answer_of(x);
    struct cp_engine *e = x->engine;
    int err = 0;

    if (a->wire == NULL)
        return COPAL_ESTATE;
    cp_engine_tell_time(e);
    if (a->link == NULL) {
        void (*done)(void *user, const copal_msg *answer) = a->done;

        a->done = NULL;
        done(a->done_user, m);
    } else if (a->wire->type == CP_CON && !a->acked) {
        err = send_now(a, m, CP_ACK, a->wire->mid);
    } else if (a->wire->type == CP_CON && (m->flags & COPAL_NON) == 0) {
        err = send_separately(a, m);
    } else {
        err =
            send_now(a, m, CP_NON, cp_peer_next_mid(e, &a->wire->path.remote));
    }
    cp_engine_wake(e);
    if (err != 0) /* nothing went out: it may be answered again */
        return err;
    wire_done(a);
    if (x->transfer == NULL && a->flight.state == CP_IDLE)
        finish(x);
    return err;
}

/* RFC 7967 2.1: the asker does not want answers of this class. */
static bool is_unwanted(const struct cp_answer *a, const copal_msg *m)
{
    unsigned cls = cp_code_class(m->code);
    uint64_t unwanted;

    if (a->wire->path.is_multicast && cls >= 4)
        return true; /* RFC 7252 8.2: a group's errors are nobody's */
    unwanted = cp_msg_uint_or(a->wire, COPAL_OPT_NO_RESPONSE, 0);
    return cls >= 2 && (unwanted >> (cls - 1) & 1) != 0;
}

static int keep_silent(struct cp_answer *a)
{
    if (a->wire->type == CP_CON && !a->acked && a->link != NULL)
        send_empty_ack(a); /* it suppresses answers, not acknowledgements */
    finish(&a->x);
    return 0;
}

static bool etag_is_known(const copal_msg *request, copal_bytes etag)
{
    for (size_t i = 0; i < request->option_count; i++)
        if (request->options[i].number == COPAL_OPT_ETAG &&
            cp_bytes_equal(cp_msg_option_value(request, &request->options[i]),
                           etag))
            return true;
    return false;
}

/* What the asker has already, or cannot take: another answer in m's place.
 * RFC 7252 5.9.1.3 and 5.10.4. 0: m stands as it is, or *instead is set. */
static int replace_answer(const copal_msg *request, const copal_msg *m,
                          copal_msg **instead)
{
    const struct cp_option *etag = cp_msg_find(m, COPAL_OPT_ETAG);
    uint64_t format = cp_msg_uint_or(m, COPAL_OPT_CONTENT_FORMAT, UINT64_MAX);
    int code = 0;

    if (m->code != COPAL_CONTENT)
        return 0;
    if (format != UINT64_MAX &&
        cp_msg_uint_or(request, COPAL_OPT_ACCEPT, format) != format)
        code = COPAL_NOT_ACCEPTABLE;
    else if (etag != NULL && cp_msg_has(request, COPAL_OPT_ETAG) &&
             etag_is_known(request, cp_msg_option_value(m, etag)))
        code = COPAL_VALID;
    if (code == 0)
        return 0;
    *instead = cp_msg_new(m->mem, code, 0);
    if (*instead == NULL)
        return COPAL_ENOMEM;
    (*instead)->flags = m->flags & COPAL_NON;
    if (code == COPAL_VALID &&
        (cp_msg_add(*instead, COPAL_OPT_ETAG, cp_msg_option_value(m, etag)) !=
             0 ||
         (cp_msg_has(m, COPAL_OPT_MAX_AGE) &&
          cp_msg_add_uint(*instead, COPAL_OPT_MAX_AGE,
                          cp_msg_uint_or(m, COPAL_OPT_MAX_AGE, 60)) != 0))) {
        copal_msg_unref(*instead);
        *instead = NULL;
        return COPAL_ENOMEM;
    }
    return 0;
}

static int pass_down(copal_exchange *x, const copal_msg *m)
{
    copal_msg *going = NULL;
    int verdict = replace_answer(x->request, m, &going);

    if (verdict != 0)
        return verdict;
    if (going == NULL)
        going = copal_msg_ref(m);
    verdict = cp_pass_out(x->engine->stages, x, &going);
    if (verdict == CP_PASS)
        verdict = cp_answer_transmit(x, going);
    copal_msg_unref(going);
    return verdict == CP_KEPT ? 0 : verdict;
}

int copal_respond(copal_exchange *x, copal_msg *m)
{
    struct cp_answer *a;
    int err;

    if (x == NULL)
        return COPAL_EINVAL;
    if (m == NULL)
        return COPAL_ENOMEM;
    if (x->engine == NULL)
        return COPAL_ESTATE;
    a = cp_answer_of(x);
    if (x->is_ask || x->over || a->answered || a->wire == NULL)
        return cp_why(x->mem, COPAL_ESTATE, "reply: %s",
                      x->is_ask ? "this exchange asks, it has nothing to answer"
                                : "answered already, or the asker left");
    if (!cp_code_is_response(m->code))
        return cp_why(x->mem, COPAL_EINVAL,
                      "reply: %s is no response code; use 2.xx, 4.xx or 5.xx",
                      cp_code_name(m->code));
    m->frozen = true;
    a->answered = true;
    if (is_unwanted(a, m))
        return keep_silent(a);
    cp_exchange_hold(x);
    err = pass_down(x, m);
    if (err < 0) { /* nothing went out: the next try may */
        if (x->is_live)
            a->answered = false;
        cp_why(x->mem, err, "reply: not sent, %s", copal_strerror(err));
    }
    cp_exchange_let_go(x);
    return err;
}

int copal_reply(copal_exchange *x, int code, int format, copal_bytes body)
{
    copal_msg *m;
    int err;

    if (x == NULL)
        return COPAL_EINVAL;
    if (x->engine == NULL)
        return COPAL_ESTATE;
    m = cp_msg_new(x->mem, code, 16 + body.len);
    if (m == NULL)
        return COPAL_ENOMEM;
    err = code < 0 || code > 255 ? cp_why(x->mem, COPAL_EINVAL,
                                          "reply: code %d; use 0 to 255", code)
                                 : 0;
    if (err == 0 && (format < COPAL_NO_FORMAT || format > UINT16_MAX))
        err = cp_why(x->mem, COPAL_EINVAL,
                     "reply: format %d; use 0 to 65535, or COPAL_NO_FORMAT",
                     format);
    if (err == 0 && format != COPAL_NO_FORMAT)
        err = cp_msg_add_uint(m, COPAL_OPT_CONTENT_FORMAT, (uint64_t)format);
    if (err == 0)
        err = cp_msg_append_payload(m, body);
    if (err == 0)
        err = copal_respond(x, m);
    copal_msg_unref(m);
    return err;
}

int copal_reply_text(copal_exchange *x, int code, const char *text)
{
    return copal_reply(
        x, code, cp_code_class(code) == 2 ? COPAL_TEXT : COPAL_NO_FORMAT,
        text == NULL ? (copal_bytes){0} : cp_bytes_of_text(text));
}

int cp_answer_simple(const struct cp_stage *stage, copal_exchange *x, int code,
                     const char *diagnostic)
{
    struct cp_answer *a = cp_answer_of(x);
    copal_msg *m = cp_msg_new(x->mem, code, 0);
    int err = m == NULL ? COPAL_ENOMEM : 0;

    if (err == 0 && diagnostic != NULL)
        err = cp_msg_copy_payload(m, cp_bytes_of_text(diagnostic));
    a->answered = true;
    cp_exchange_hold(x); /* sending may be the end of it */
    if (err == 0 && is_unwanted(a, m))
        keep_silent(a);
    else if (err == 0)
        err = cp_exchange_send_below(stage, x, m);
    if (x->is_live && a->flight.state == CP_IDLE && x->transfer == NULL)
        finish(x);
    cp_exchange_let_go(x);
    copal_msg_unref(m);
    return err < 0 ? err : CP_KEPT;
}

/* ---- Arriving ---- */

static struct cp_answer *answer_new(struct cp_engine *e, copal_msg *request)
{
    struct cp_answer *a = cp_zalloc(e->mem, sizeof(*a));

    if (a == NULL)
        return NULL;
    cp_exchange_init(&a->x, e, false, request);
    cp_flight_init(&a->flight, e, on_flight_over);
    cp_list_init(&a->arrival.node);
    cp_list_init(&a->end.node);
    return a;
}

void cp_answer_at_once(struct cp_engine *e, struct cp_link *link,
                       const copal_msg *request, struct cp_seen *seen, int code,
                       const char *diagnostic)
{
    struct cp_answer *a = answer_new(e, (copal_msg *)request);

    if (a == NULL) {
        cp_dedup_forget(&e->dedup, seen);
        return;
    }
    a->link = link;
    set_wire(a, (copal_msg *)request, seen);
    if (cp_answer_simple(e->stages.count > 0 ? e->stages.list[0] : NULL, &a->x,
                         code, diagnostic) < 0)
        cp_dedup_forget(&e->dedup, seen); /* a repeat may have better luck */
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

void cp_answer_request(struct cp_engine *e, struct cp_link *link, copal_msg **m,
                       struct cp_seen *seen)
{
    struct cp_answer *a;
    int verdict;

    if (e->closing ||
        e->exchange_count >= (size_t)e->params.value[COPAL_P_MAX_EXCHANGES]) {
        if (!e->closing)
            cp_engine_limited(e, "max_exchanges");
        cp_answer_at_once(e, link, *m, seen, COPAL_UNAVAILABLE, NULL);
        return;
    }
    a = answer_new(e, *m);
    if (a == NULL) { /* as if the network had lost it */
        cp_dedup_forget(&e->dedup, seen);
        return;
    }
    a->link = link;
    set_wire(a, *m, seen);
    cp_exchange_hold(&a->x);
    verdict = cp_pass_in(e->stages, &a->x, m);
    if (verdict == CP_PASS) {
        arrive(a, *m);
    } else if (verdict < 0) {
        cp_dedup_forget(&e->dedup, a->seen);
        finish(&a->x);
    }
    cp_exchange_let_go(&a->x);
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
        if (e->on_request.fn != NULL)
            e->on_request.fn(ev, e->on_request.user);
        expect_separate(a);
        return;
    }
    if (ev->kind == COPAL_CHUNK && cp_block_holds_back(x, ev))
        return;
    h = cp_handler_ref(a->handler);
    if (h != NULL && h->cb.fn != NULL)
        h->cb.fn(ev, h->cb.user);
    if (ev->kind == COPAL_CHUNK && !x->over)
        cp_block_delivered(x);
    if (ev->kind == COPAL_END)
        finish(x);
    else
        expect_separate(a);
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
    if (h->cb.fn != NULL)
        h->cb.fn(ev, h->cb.user);
    x->delivering = outer;
    expect_separate(a);
    cp_handler_unref(h);
}

/* ---- Asked from within ---- */

void cp_answer_ask(struct cp_engine *e, struct cp_handler *h,
                   const copal_msg *request,
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
    set_wire(a, (copal_msg *)request, NULL);
    arrive(a, (copal_msg *)request);
}
