#include "engine/ask.h"
#include "base/callback.h"
#include "engine/ask_group.h"
#include "engine/core.h"
#include "engine/outer.h"
#include "engine/record.h"
#include "engine/trace.h"
#include "wire/message_text.h"
#include "wire/uri.h"
#include "wire/target.h"
#include <stdio.h>

static void on_flight_over(struct cp_flight *f, int status);
static void go(struct cp_ask *a);
static void fail_as_forged(struct cp_ask *a);
static void hope_no_limit(struct cp_ask *a);

static const char *uri_of(const copal_exchange *x)
{
    const struct cp_target *t = x->request->target;

    return t == NULL || t->uri == NULL ? "" : t->uri;
}

/* ---- Its end ---- */

static void drop_route(struct cp_ask *a)
{
    struct cp_engine *e = a->x.engine;

    if (a->route == NULL)
        return;
    if (a->routing)
        e->driver->ops->unroute(e->driver, a->route);
    cp_free(e->mem, a->route);
    a->route = NULL;
    a->routing = false;
}

void cp_ask_stop(struct cp_ask *a)
{
    struct cp_engine *e = a->x.engine;

    drop_route(a);
    if (a->protection != NULL) {
        cp_guard_ask_stop(a);
        cp_outer_drop(a);
    }
    hope_no_limit(a);
    cp_connection_part(&a->x);
    cp_token_off(e, &a->main);
    cp_token_off(e, &a->sub);
    cp_pass_end(e->stages, &a->x);
}

void cp_ask_finish(copal_exchange *x, int status, const char *sentence)
{
    struct cp_ask *a = cp_ask_of(x);
    struct cp_engine *e = x->engine;

    if (x->over)
        return;
    x->over = true;
    cp_ask_limit_met(a);
    cp_ask_stop(a);
    cp_ask_group_end(a);
    copal_msg_unref(a->held);
    a->held = NULL;
    if (a->member_of != NULL && status != 0 && status != COPAL_ENOTOBS)
        cp_trace_state(e, "member_lost", copal_errname(status));
    if (a->source.over != NULL) {
        unsigned was = cp_record_inner(e);

        a->source.over(a->source.user);
        cp_record_return(e, was);
    }
    if (*sentence == '\0')
        a->why[0] = '\0'; /* as nearly always: not worth a printf */
    else
        snprintf(a->why, sizeof(a->why), "%s", sentence);
    a->end.kind = COPAL_END;
    a->end.status = status;
    a->end.text = a->why;
    cp_event_post_part(e, &a->end, x, NULL);
    cp_observe_share_end(a, status, sentence);
}

void cp_ask_fail(copal_exchange *x, int status, const char *sentence)
{
    cp_ask_finish(x, status, sentence);
}

void cp_ask_free(copal_exchange *x)
{
    struct cp_ask *a = cp_ask_of(x);

    copal_msg_unref(x->request);
    cp_guard_unref(a->protection);
    cp_free(x->mem, a);
}

void cp_ask_deliver(copal_exchange *x, const copal_event *ev)
{
    struct cp_ask *a = cp_ask_of(x);
    struct cp_engine *e = x->engine;
    copal_cb cb = a->cb;
    unsigned was;

    if (ev->kind == COPAL_CHUNK && cp_block_stream_in_holds_back(x, ev))
        return;
    if (cb.fn != NULL) {
        was = cp_record_callback(e, x->is_inner, (uint64_t)ev->kind, x->serial);
        cb.fn(ev, cb.user);
        cp_record_callback_over(e, x->is_inner, was);
    }
    if (ev->kind == COPAL_CHUNK && !x->over)
        cp_block_stream_in_delivered(x);
    if (ev->kind != COPAL_END)
        return;
    a->cb = (copal_cb){0};
    cp_cb_drop(cb);
    cp_exchange_retire(x);
}

/* ---- Deadlines ---- */

static void on_deadline(struct cp_timer *t)
{
    struct cp_ask *a = cp_container_of(t, struct cp_ask, deadline);

    if (cp_ask_has_left_silently(a))
        cp_ask_finish(&a->x, 0, "");
    else if (a->group != NULL)
        cp_ask_group_waited(a);
    else if (a->was_forged)
        fail_as_forged(a);
    else if (a->user_limit)
        cp_exchange_fail(&a->x, COPAL_ETIMEOUT,
                         "%s: not done within %lld ms; allow more with timeout",
                         uri_of(&a->x),
                         (long long)cp_exchange_param(&a->x, COPAL_P_TIMEOUT));
    else if (a->slot->flight.state == CP_QUEUED)
        cp_exchange_fail(&a->x, COPAL_ETIMEOUT,
                         "%s: never sent, requests to that peer before it had "
                         "no answer (nstart, probing_rate); try a confirmable "
                         "one",
                         uri_of(&a->x));
    else if (a->heard)
        cp_exchange_fail(&a->x, COPAL_ETIMEOUT,
                         "%s: acknowledged, but no answer followed; it may "
                         "have restarted meanwhile, try again",
                         uri_of(&a->x));
    else
        cp_exchange_fail(&a->x, COPAL_ETIMEOUT,
                         "%s: no answer to a non-confirmable request; try a "
                         "confirmable one",
                         uri_of(&a->x));
}

void cp_ask_wait(struct cp_ask *a, uint64_t ms)
{
    struct cp_engine *e = a->x.engine;

    cp_timer_start(&e->timers, &a->deadline, e->now + ms, on_deadline);
}

/* Without a deadline of the user's, hope lasts as long as RFC 7252 4.8.2 lets
 * an answer be under way. */
void cp_ask_hope(struct cp_ask *a, uint64_t ms)
{
    if (!a->user_limit)
        cp_ask_wait(a, ms);
}

static void hope_no_limit(struct cp_ask *a)
{
    if (!a->user_limit)
        cp_timer_stop(&a->x.engine->timers, &a->deadline);
}

void cp_ask_limit(struct cp_ask *a)
{
    int64_t limit = cp_exchange_param(&a->x, COPAL_P_TIMEOUT);

    if (limit <= 0)
        return;
    a->user_limit = false;
    cp_ask_hope(a, (uint64_t)limit);
    a->user_limit = true;
}

void cp_ask_limit_met(struct cp_ask *a)
{
    a->user_limit = false;
    hope_no_limit(a);
}

void cp_ask_heard(struct cp_ask *a, struct cp_token *t)
{
    a->heard = true;
    a->came_by = t;
    drop_route(a);
    cp_flight_stop(&t->flight);
    hope_no_limit(a);
}

/* ---- Sending ---- */

static struct cp_flight_plan plan_of(struct cp_ask *a, struct cp_token *t)
{
    const copal_msg *m = a->x.request;
    struct cp_flight_plan plan =
        cp_flight_plan_for(a->x.engine, m, m->target->uri);

    plan.link = a->way.link;
    plan.path = &a->way.path;
    if (!a->is_ping)
        plan.token = cp_bytes(t->bytes, CP_TOKEN_LEN);
    /* The rest of one member's answer is asked of it alone. RFC 7959 2.8. */
    plan.is_con =
        (m->flags & COPAL_NON) == 0 || t->confirms || a->member_of != NULL;
    plan.is_request = true;
    plan.is_part = t->family != NULL;
    if (a->group != NULL)
        plan.probing_rate = 0;
    return plan;
}

/* Nothing is lost by a connection: an answer comes, or the connection ends. */
static int send_by_connection(struct cp_ask *a, struct cp_token *t,
                              const copal_msg *m, const copal_msg *going)
{
    struct cp_engine *e = a->x.engine;
    copal_bytes token = cp_bytes(t->bytes, CP_TOKEN_LEN);
    int err;

    cp_connection_join(&a->x, a->way.link);
    cp_engine_wake(e);
    if (a->is_ping) {
        cp_ask_hope(a, cp_reliable_max_wait(e));
        return cp_signal_ping(a->way.link->connection, token);
    }
    err = cp_connection_send(a->way.link, going, token);
    a->heard = true;
    if (err == 0 && cp_ask_wants_nothing(m))
        cp_ask_finish(&a->x, 0, "");
    else
        cp_ask_hope(a, cp_reliable_lifetime(e));
    return err;
}

/* going: m as it leaves. */
static int send_as(struct cp_ask *a, copal_msg *m, const copal_msg *going)
{
    struct cp_engine *e = a->x.engine;
    struct cp_token *t = a->slot;
    struct cp_flight_plan plan;
    int err;

    if (!a->keeps_token) {
        if (a->protection == NULL) /* else send_sealed() did */
            cp_token_off(e, t);
        if (t->family != NULL)
            cp_token_renew(t);
        else
            cp_random_bytes(&e->random, t->bytes, CP_TOKEN_LEN);
    }
    copal_msg_unref(t->sent);
    t->sent = m == a->x.request ? NULL : copal_msg_ref(m);
    if (!t->is_on && (!a->is_ping || a->way.link->connection != NULL))
        cp_token_on(e, t);
    if (a->way.link->connection != NULL)
        return send_by_connection(a, t, m, going);
    plan = plan_of(a, t);
    if (plan.is_con)
        hope_no_limit(a);
    else
        cp_ask_hope(a, a->group != NULL ? cp_ask_group_wait(a)
                                        : cp_reliable_max_wait(e));
    cp_engine_wake(e);
    a->is_silent = !a->is_ping && cp_ask_wants_nothing(m);
    t->flight.notes = NULL;
    err = cp_flight_start(&t->flight, &plan, going);
    if (err == 0 && cp_ask_has_left_silently(a))
        cp_ask_wait(a, 0);
    else
        t->flight.notes = cp_ask_silent_notes(a);
    return err;
}

static int send_sealed(struct cp_ask *a, copal_msg *m)
{
    struct cp_token *t = a->slot;
    struct cp_guard *guard = NULL;
    copal_msg *going = NULL;
    int err = cp_guard_ask(a, m, &guard, &going);

    if (err != 0)
        return err < 0 ? err : 0;
    if (a->keeps_token) { /* answers to what went before may be on their way */
        cp_guard_unref(t->before);
        t->before = t->guard;
        t->guard = NULL;
    } else {
        cp_token_off(a->x.engine, t);
    }
    cp_guard_unref(t->guard);
    t->guard = guard;
    copal_msg_unref(t->sealed);
    t->sealed = copal_msg_ref(going);
    err = send_as(a, m, going);
    copal_msg_unref(going);
    return err;
}

void cp_ask_token_init(struct cp_ask *a, struct cp_token *t)
{
    t->x = &a->x;
    cp_flight_init(&t->flight, a->x.engine, on_flight_over);
}

int cp_ask_send_as_it_is(struct cp_ask *a, struct cp_token *t, copal_msg *m)
{
    struct cp_token *slot = a->slot;
    struct cp_guard *guard = cp_guard_ref(t->guard);
    bool kept = a->keeps_token;
    int err;

    cp_token_off(a->x.engine, t);
    t->guard = guard;
    a->slot = t;
    a->keeps_token = false;
    err = send_as(a, m, m);
    a->slot = slot;
    a->keeps_token = kept;
    return err;
}

int cp_ask_send(copal_exchange *x, copal_msg *m)
{
    struct cp_ask *a = cp_ask_of(x);

    if (a->way.link == NULL)
        return COPAL_ECLOSED;
    cp_engine_tell_time(x->engine);
    return a->protection == NULL ? send_as(a, m, m) : send_sealed(a, m);
}

void cp_ask_restart(copal_exchange *x)
{
    struct cp_ask *a = cp_ask_of(x);
    struct cp_engine *e = x->engine;
    copal_msg *m;
    int verdict;

    a->slot = &a->main;
    m = a->is_ping ? cp_msg_new(e->mem, COPAL_EMPTY, 0)
                   : copal_msg_ref(x->request);
    if (m == NULL)
        verdict = COPAL_ENOMEM;
    else /* a ping is empty, what its URI says has no place in it */
        verdict = a->is_ping ? CP_PASS : cp_pass_out(e->stages, x, &m);
    if (verdict == CP_PASS)
        verdict = cp_ask_send(x, m);
    copal_msg_unref(m);
    if (verdict == COPAL_ELIMIT && a->way.link != NULL &&
        a->way.link->connection != NULL)
        cp_exchange_fail(x, verdict,
                         "%s: not sent, it is longer than the server takes; "
                         "send less",
                         uri_of(x));
    else if (verdict == COPAL_ELIMIT)
        cp_exchange_fail(x, verdict,
                         "%s: not sent, a limit of this endpoint was reached "
                         "(max_peers)",
                         uri_of(x));
    else if (verdict < 0)
        cp_exchange_fail(x, verdict, "%s: not sent, %s", uri_of(x),
                         copal_strerror(verdict));
}

void cp_ask_move(struct cp_ask *a, uint32_t association)
{
    cp_pass_end(a->x.engine->stages, &a->x);
    a->moves = false;
    a->way.path.remote.association = association;
    cp_ask_restart(&a->x);
}

/* Takes the next way. A name may turn out to be that of a group. */
static void go(struct cp_ask *a)
{
    a->way = a->route->ways[a->way_index++];
    a->way.path.hops = (uint8_t)cp_exchange_param(&a->x, COPAL_P_HOPS);
    if (!cp_address_is_multicast(&a->way.path.remote))
        cp_ask_group_end(a);
    else if (a->protection != NULL) {
        cp_exchange_fail(&a->x, COPAL_ENOTSUP,
                         "%s: a group cannot be asked by OSCORE, which has two "
                         "ends",
                         uri_of(&a->x));
        return;
    } else if (!cp_ask_group_begin(a))
        return;
    cp_ask_restart(&a->x);
}

/* Nothing was heard by this way; is there another? */
static bool try_next_way(struct cp_ask *a)
{
    if (a->heard || a->route == NULL || a->way_index >= a->route->count)
        return false;
    cp_pass_end(a->x.engine->stages, &a->x);
    go(a);
    return true;
}

/* Answers came, but none that could be believed. */
static void fail_as_forged(struct cp_ask *a)
{
    cp_exchange_fail(&a->x, COPAL_EAUTH,
                     "%s: no answer came that is genuine; are both ends given "
                     "the same OSCORE context?",
                     uri_of(&a->x));
}

static void fail_by_network(struct cp_ask *a, int status, unsigned sent)
{
    char where[CP_ADDRESS_TEXT];

    cp_address_print(&a->way.path.remote, 0, where);
    switch (status) {
    case COPAL_ETIMEOUT:
        if (a->was_forged) {
            fail_as_forged(a);
            break;
        }
        cp_exchange_fail(&a->x, status,
                         "%s: no answer from %s after %u transmission%s; is it "
                         "on, and the address right?",
                         uri_of(&a->x), where, sent, sent == 1 ? "" : "s");
        break;
    case COPAL_EREFUSED:
        cp_exchange_fail(&a->x, status,
                         "%s: nothing listens at %s; is the server running, "
                         "and the port right?",
                         uri_of(&a->x), where);
        break;
    case COPAL_ERESET:
        cp_exchange_fail(&a->x, status,
                         "%s: %s rejected the message (Reset); it may have "
                         "restarted or not speak this part of CoAP",
                         uri_of(&a->x), where);
        break;
    default:
        cp_exchange_fail(&a->x, status, "%s: %s (%s)", uri_of(&a->x),
                         copal_strerror(status), where);
    }
}

void cp_ask_lost(struct cp_ask *a, int status, unsigned sent)
{
    if (status == COPAL_ERESET || !try_next_way(a))
        fail_by_network(a, status, sent);
}

static void on_flight_over(struct cp_flight *f, int status)
{
    struct cp_token *t = cp_container_of(f, struct cp_token, flight);
    struct cp_ask *a = cp_ask_of(t->x);

    if (a->is_ping && (status == 0 || status == COPAL_ERESET)) {
        cp_ask_finish(t->x, 0, ""); /* either way somebody is there */
    } else if (status == 0 && a->is_silent) {
        cp_ask_finish(t->x, 0, "");
    } else if (status == 0) { /* an empty ACK: the answer comes separately */
        a->heard = true;
        cp_ask_hope(a, cp_reliable_lifetime(t->x->engine));
    } else if (a->group != NULL && a->heard) {
        return; /* some were reached all the same */
    } else if (!cp_qblock_unheard(a, status)) {
        cp_ask_lost(a, status, f->sent);
    }
}

static void on_routed(struct cp_route *r, int status, const char *why)
{
    struct cp_ask *a = r->work_user;

    cp_record_route(a->x.engine, CP_RECORD_ROUTED, r, status, why);
    a->routing = false;
    if (status != 0)
        cp_exchange_fail(&a->x, status, "%s", why);
    else
        go(a);
}

static int find_route(struct cp_ask *a)
{
    struct cp_engine *e = a->x.engine;
    const struct cp_target *to = a->x.request->target;
    struct cp_route *r = cp_alloc(e->mem, sizeof(*r));
    int found;

    if (r == NULL)
        return COPAL_ENOMEM;
    memset(r, 0, offsetof(struct cp_route, ways));
    cp_list_init(&r->node);
    r->scheme = to->scheme;
    r->host = to->host;
    r->address = to->address;
    r->port = to->port;
    r->from = a->x.request->from;
    r->if_index = (uint32_t)cp_exchange_param(&a->x, COPAL_P_INTERFACE);
    r->done = on_routed;
    r->work_user = a;
    a->route = r;
    a->routing = true; /* done may not be called from inside */
    found = e->driver->ops->route(e->driver, r);
    cp_record_route(e, CP_RECORD_ROUTE, r, found,
                    found < 0 ? cp_why_text(e->mem) : NULL);
    if (found != 1)
        a->routing = false;
    return found;
}

/* What can be said about a request before anything is sent. */
static int check(struct cp_ask *a)
{
    copal_exchange *x = &a->x;
    const copal_msg *m = x->request;

    if (m->target == NULL)
        cp_exchange_fail(x, COPAL_EURI,
                         "the request has no URI; call copal_msg_set_uri");
    else if (m->target->error != 0)
        cp_exchange_fail(x, m->target->error, "%s", m->target->why);
    else if (!a->is_ping && !cp_code_is_request(m->code))
        cp_exchange_fail(x, COPAL_EINVAL,
                         "%s: %s is not a method; use codes 0.01 to 0.31",
                         uri_of(x), cp_code_name(m->code));
    else if (x->engine->exchange_count >
             (size_t)x->engine->params.value[COPAL_P_MAX_EXCHANGES])
        cp_exchange_fail(x, COPAL_ELIMIT,
                         "%s: %zu exchanges are open; raise max_exchanges or "
                         "wait for some to end",
                         uri_of(x), x->engine->exchange_count - 1);
    return x->over ? COPAL_ESTATE : 0;
}

copal_exchange *cp_ask_open(struct cp_engine *e, copal_msg *m, copal_cb cb)
{
    struct cp_ask *a =
        m == NULL || e->ending ? NULL : cp_alloc(e->mem, sizeof(*a));

    if (a == NULL) { /* or nothing new begins any more */
        cp_cb_drop(cb);
        return NULL;
    }
    cp_clear(a, offsetof(struct cp_ask, why));
    m->frozen = true;
    cp_exchange_init(&a->x, e, true, m);
    a->cb = cb;
    cp_ask_token_init(a, &a->main);
    cp_ask_token_init(a, &a->sub);
    a->slot = &a->main;
    cp_list_init(&a->end.node);
    cp_observe_share_init(&a->share);
    a->is_ping = m->code == COPAL_EMPTY;
    if (e->protection.asks)
        cp_guard_ask_begin(a);
    return &a->x;
}

void cp_ask_begin(struct cp_ask *a)
{
    copal_exchange *x = &a->x;
    int found;

    a->way_index = 0;
    found = find_route(a);
    if (found == 0)
        go(a);
    else if (found < 0)
        cp_exchange_fail(x, found, "%s: %s", uri_of(x), cp_why_text(x->mem));
}

copal_exchange *cp_ask_start(struct cp_engine *e, copal_msg *m, copal_cb cb)
{
    copal_exchange *x = cp_ask_open(e, m, cb);
    struct cp_ask *a;

    if (x == NULL)
        return NULL;
    a = cp_ask_of(x);
    if (check(a) != 0 || (!a->is_ping && cp_cache_answers(x)))
        return x;
    cp_ask_limit(a);
    if (!cp_observe_share_join(x))
        cp_ask_begin(a);
    return x;
}
