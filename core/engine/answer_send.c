/* What goes out as an answer: the user's, a stage's, what stands for them. */
#include "engine/answer_core.h"
#include "engine/fresh_guard.h"
#include "engine/outer.h"
#include "engine/record.h"
#include "engine/transfer.h"

enum {
    INLINE_DATAGRAM = 1280,
    RETRY_AFTER = 1 /* s: by then others may have ended. RFC 8516 3 */
};

/* plain: what m was before it was sealed. */
static int send_now(struct cp_answer *a, const copal_msg *m,
                    const copal_msg *plain, uint8_t type, uint16_t mid)
{
    struct cp_engine *e = a->x.engine;
    uint8_t storage[INLINE_DATAGRAM];
    size_t size = cp_datagram_size(m, a->wire->token);
    struct cp_buf out = size <= sizeof(storage)
                            ? cp_buf_fixed(storage, sizeof(storage))
                            : cp_buf_new(e->mem);
    struct cp_path path = a->wire->path;
    const char *uri = cp_params_uri_back(&e->params, a->wire);
    copal_bytes datagram;
    int err;

    if (a->link->connection != NULL) {
        cp_counts_response(&e->counts, plain->code);
        return cp_connection_send(a->link, m, a->wire->token);
    }
    if ((size > CP_FRESH_FREE || a->reserve > 0) && !cp_fresh_allows(a, size))
        return CP_FRESH_TOO_LONG;
    err = cp_datagram_encode(m, type, mid, a->wire->token, &out);
    if (err == 0)
        err = cp_buf_finish(&out, &datagram);
    if (path.is_multicast) /* a group is no one's source address */
        path.local = (struct cp_address){0};
    path.is_multicast = 0;
    path.hops = (uint8_t)cp_params_get(&e->params, plain, uri, COPAL_P_HOPS);
    if (err == 0)
        err = cp_engine_send(e, a->link, &path, datagram, false);
    if (err == 0)
        cp_counts_response(&e->counts, plain->code);
    if (err == 0 && a->seen != NULL && type == CP_ACK)
        cp_dedup_keep(&e->dedup, a->seen, datagram);
    if (out.data != storage)
        cp_buf_free(&out);
    return err;
}

/* m as it leaves, ref'd. COPAL_E*. */
static int seal(struct cp_answer *a, const copal_msg *m, copal_msg **out)
{
    int err = cp_guard_answer(a->x.engine, a->wire, m, out);

    if (err == 0 && a->wire->outer_block != 0) {
        err = cp_outer_echo(a->wire, *out);
        if (err != 0)
            copal_msg_unref(*out);
    }
    return err;
}

int cp_answer_send_now(struct cp_answer *a, const copal_msg *m, uint8_t type,
                       uint16_t mid)
{
    copal_msg *sealed;
    int err;

    if (a->wire->guard == NULL)
        return send_now(a, m, m, type, mid);
    err = seal(a, m, &sealed);
    if (err == 0) {
        err = send_now(a, sealed, m, type, mid);
        copal_msg_unref(sealed);
    }
    return err;
}

static int send_separately(struct cp_answer *a, const copal_msg *m, bool is_con)
{
    struct cp_engine *e = a->x.engine;
    const char *uri = cp_params_uri_back(&e->params, a->wire);
    struct cp_flight_plan plan = cp_flight_plan_for(e, m, uri);
    struct cp_path path = a->wire->path;
    copal_msg *going;
    int err = seal(a, m, &going);

    if (err != 0)
        return err;
    path.hops = (uint8_t)cp_params_get(&e->params, m, uri, COPAL_P_HOPS);
    plan.link = a->link;
    plan.path = &path;
    plan.token = a->wire->token;
    plan.is_con = is_con;
    plan.is_part = !is_con;
    plan.code = m->code;
    err = cp_flight_start(&a->flight, &plan, going);
    copal_msg_unref(going);
    return err;
}

static int send_by_type(struct cp_answer *a, const copal_msg *m)
{
    struct cp_engine *e = a->x.engine;

    if (a->wire->type == CP_CON && !a->acked)
        return cp_answer_send_now(a, m, CP_ACK, a->wire->mid);
    if (a->wire->type == CP_CON && (m->flags & COPAL_NON) == 0 &&
        cp_fresh_may_repeat(a))
        return send_separately(a, m, true);
    return cp_answer_send_now(a, m, CP_NON,
                              cp_peer_next_mid(e, &a->wire->path.remote));
}

/* 4.01 with an Echo goes out also to who has no interest in 4.xx: it stands for
 * an answer that is wanted, and without it that could never be given. It is as
 * short as what any stranger gets, so nothing grows by it; to who wants no answer
 * at all nothing is sent, and so nothing is put in its place. RFC 7967 2.1, RFC
 * 9175 2.4. */
int cp_answer_send_guarded(struct cp_answer *a, copal_msg *m)
{
    copal_msg *other = NULL;
    int err;

    if (cp_fresh_wants_echo(a, m)) {
        other = cp_fresh_echoing(a, m);
        if (other == NULL)
            return COPAL_ENOMEM;
        m = other;
    }
    err = send_by_type(a, m);
    if (err == 0 && a->reserve > 0)
        cp_fresh_registered(a, m);
    if (err == CP_FRESH_TOO_LONG && !a->wire->path.is_multicast) {
        copal_msg *instead = cp_fresh_instead(a, m);

        err = instead == NULL ? COPAL_ENOMEM : send_by_type(a, instead);
        copal_msg_unref(instead);
    }
    copal_msg_unref(other);
    return err;
}

/* One message of several. By a flight also where it is not confirmed: its Reset
 * is heard. */
static int send_one_of_many(struct cp_answer *a, const copal_msg *m)
{
    int err;

    if (a->wire->type != CP_CON || a->acked)
        return send_separately(a, m, a->confirms);
    err = cp_answer_send_now(a, m, CP_ACK, a->wire->mid);
    if (err == 0) {
        cp_timer_stop(&a->x.engine->timers, &a->separate);
        a->acked = true;
    }
    return err;
}

void cp_answer_sent(struct cp_answer *a)
{
    cp_answer_wire_done(a);
    if (cp_transfer_is_over(&a->x) && a->flight.state == CP_IDLE)
        cp_answer_finish(&a->x);
}

/* ---- What is not sent ---- */

/* A group's errors are nobody's (RFC 7252 8.2), unless the asker says what it
 * has no interest in, and so that it has in the others (RFC 7967 2.1): of what
 * is served to groups it is told then. */
static bool suppresses_errors(const struct cp_answer *a)
{
    return a->wire->path.is_multicast &&
           (a->handler == NULL || (a->handler->flags & COPAL_GROUP) == 0 ||
            cp_msg_find(a->wire, COPAL_OPT_NO_RESPONSE) == NULL);
}

/* RFC 7967 2.1: the asker does not want answers of this class. Those amid an
 * upload, 2.31 and 4.08, it needs to go on. */
static bool is_unwanted(const struct cp_answer *a, const copal_msg *m)
{
    const struct cp_option *o = cp_msg_find(a->wire, COPAL_OPT_NO_RESPONSE);
    unsigned cls = cp_code_class(m->code);

    if (cls >= 4 && suppresses_errors(a))
        return true;
    if (o == NULL || (a->echoes_block && a->echo.more))
        return false;
    return cls >= 2 &&
           (cp_bytes_uint(cp_msg_option_value(a->wire, o)) >> (cls - 1) & 1);
}

/* ---- The bottom ---- */

/* m answers what came last. */
int cp_answer_send(copal_exchange *x, copal_msg *m)
{
    struct cp_answer *a = cp_answer_of(x);
    struct cp_engine *e = x->engine;
    int err = 0;

    if (a->wire == NULL)
        return COPAL_ESTATE;
    cp_engine_tell_time(e);
    cp_engine_wake(e);
    if (a->stays)
        return send_one_of_many(a, m);
    if (cp_code_class(m->code) >= 4 && is_unwanted(a, m)) {
        cp_answer_keep_silent(x); /* a stage's, in place of the user's */
        return 0;
    }
    if (a->link == NULL) {
        void (*done)(void *user, const copal_msg *answer) = a->done;
        unsigned was = cp_record_inner(e);

        a->done = NULL;
        done(a->done_user, m);
        cp_record_return(e, was);
    } else if (a->wire->path.is_multicast) {
        cp_engine_wake(e);
        return cp_answer_late(a, m);
    } else {
        err = cp_answer_send_guarded(a, m);
    }
    if (err != 0) /* nothing went out: it may be answered again */
        return err;
    cp_answer_sent(a);
    return 0;
}

/* ---- What is sent ---- */

void cp_answer_keep_silent(copal_exchange *x)
{
    struct cp_answer *a = cp_answer_of(x);

    if (a->wire->type == CP_CON && !a->acked && a->link != NULL)
        cp_answer_wire_ack(a);
    cp_answer_finish(x);
}

/* What the asker has already, or cannot take: another answer in m's place.
 * RFC 7252 5.9.1.3 and 5.10.4. 0: m stands as it is, or *instead is set. */
static int replace_answer(const copal_msg *request, const copal_msg *m,
                          copal_msg **instead)
{
    copal_bytes etag;
    uint64_t format;
    int code = 0;

    if (m->code != COPAL_CONTENT || (!cp_msg_has(request, COPAL_OPT_ACCEPT) &&
                                     !cp_msg_has(request, COPAL_OPT_ETAG)))
        return 0;
    etag = cp_msg_etag(m);
    format = cp_msg_uint_or(m, COPAL_OPT_CONTENT_FORMAT, UINT64_MAX);
    if (format != UINT64_MAX &&
        cp_msg_uint_or(request, COPAL_OPT_ACCEPT, format) != format)
        code = COPAL_NOT_ACCEPTABLE;
    else if (cp_msg_has_etag(request, etag))
        code = COPAL_VALID;
    if (code == 0)
        return 0;
    *instead = cp_msg_new(m->mem, code, 0);
    if (*instead == NULL)
        return COPAL_ENOMEM;
    (*instead)->flags = m->flags & COPAL_NON;
    if (code == COPAL_VALID &&
        (cp_msg_add(*instead, COPAL_OPT_ETAG, etag) != 0 ||
         (cp_msg_has(m, COPAL_OPT_MAX_AGE) &&
          cp_msg_add_uint(*instead, COPAL_OPT_MAX_AGE, cp_msg_max_age(m)) !=
              0))) {
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
        verdict = cp_answer_send(x, going);
    copal_msg_unref(going);
    return verdict == CP_KEPT ? 0 : verdict;
}

/* ---- Who sends ---- */

static int respond(copal_exchange *x, copal_msg *m)
{
    struct cp_answer *a = cp_answer_of(x);
    int err;

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
    if (is_unwanted(a, m)) { /* answers, not acknowledgements: RFC 7967 2 */
        cp_answer_keep_silent(x);
        return 0;
    }
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

/* What answers a look-up is a key, which no recording holds. */
static void note_secret(copal_exchange *x, copal_msg *m)
{
    if (!x->is_ask && cp_answer_of(x)->arrival.text != NULL)
        m->is_secret = true;
}

int copal_respond(copal_exchange *x, copal_msg *m)
{
    struct cp_engine *e;
    unsigned was;
    int err;

    if (x == NULL)
        return COPAL_EINVAL;
    if (m == NULL)
        return COPAL_ENOMEM;
    if (x->engine == NULL)
        return COPAL_ESTATE;
    e = x->engine;
    if (CP_RECORD_IS_ON(e))
        note_secret(x, m);
    was = cp_record_call_respond(e, x->serial, m);
    err = respond(x, m);
    cp_record_return(e, was);
    return err;
}

/* On the wire a code is one byte: RFC 7252 3. */
static int check_code(copal_exchange *x, int code)
{
    return code < 0 || code > 255 ? cp_why(x->mem, COPAL_EINVAL,
                                           "reply: code %d; use 0 to 255", code)
                                  : 0;
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
    err = check_code(x, code);
    if (err == 0 && (format < COPAL_NO_FORMAT || format > UINT16_MAX))
        err = cp_why(x->mem, COPAL_EINVAL,
                     "reply: format %d; use 0 to 65535, or COPAL_NO_FORMAT",
                     format);
    if (err == 0 && body.data == NULL && body.len > 0)
        err = cp_why(x->mem, COPAL_EINVAL, "reply: no bytes but a length");
    if (err == 0 && format != COPAL_NO_FORMAT)
        err = cp_msg_add_uint(m, COPAL_OPT_CONTENT_FORMAT, (uint64_t)format);
    if (err == 0)
        err = cp_msg_append_payload(m, body);
    if (err == 0)
        err = copal_respond(x, m);
    copal_msg_unref(m);
    return err;
}

int copal_reply_problem(copal_exchange *x, int code, const char *title,
                        const char *detail)
{
    copal_problem p = {.size = sizeof(p)};
    copal_msg *m;
    int err;

    if (x == NULL)
        return COPAL_EINVAL;
    if (x->engine == NULL)
        return COPAL_ESTATE;
    if (title != NULL)
        p.title.text = cp_bytes_of_text(title);
    if (detail != NULL)
        p.detail.text = cp_bytes_of_text(detail);
    m = cp_msg_new(x->mem, code, 0);
    err = copal_msg_set_problem(m, &p);
    if (err == 0)
        err = check_code(x, code);
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

int cp_answer_send_simple(const struct cp_stage *stage, copal_exchange *x,
                          int code, const char *diagnostic)
{
    struct cp_answer *a = cp_answer_of(x);
    copal_msg *m = cp_msg_new(x->mem, code, 0);
    int err = m == NULL ? COPAL_ENOMEM : 0;

    if (err == 0 && diagnostic != NULL)
        err = cp_msg_copy_payload(m, cp_bytes_of_text(diagnostic));
    if (err == 0 && code == COPAL_TOO_MANY_REQUESTS)
        err = cp_msg_add_uint(m, COPAL_OPT_MAX_AGE, RETRY_AFTER);
    a->answered = true;
    cp_exchange_hold(x); /* sending may be the end of it */
    if (err == 0 && is_unwanted(a, m))
        cp_answer_keep_silent(x);
    else if (err == 0)
        err = cp_exchange_send_below(stage, x, m);
    if (x->is_live && a->flight.state == CP_IDLE && cp_transfer_is_over(x) &&
        a->late == NULL)
        cp_answer_finish(x);
    cp_exchange_let_go(x);
    copal_msg_unref(m);
    return err < 0 ? err : CP_KEPT;
}
