/* Responses, from the wire up to the user. */
#include "engine/ask_group.h"
#include "engine/core.h"
#include "engine/observe_core.h"
#include "engine/wait.h"
#include "wire/message_text.h"

/* A confirmable is answered by an empty message, the same to each repeat. */
static void answer_empty(struct cp_engine *e, struct cp_link *link,
                         const copal_msg *m, struct cp_seen *seen, uint8_t type)
{
    if (m->type == CP_CON)
        cp_reliable_empty(e, link, &m->path, type, m->mid, seen);
}

/* RFC 7252 4.2: a confirmable with RST, anything else in silence. */
static void reject(struct cp_engine *e, struct cp_link *link,
                   const copal_msg *m, struct cp_seen *seen)
{
    e->stats.rejected++;
    answer_empty(e, link, m, seen, CP_RST);
}

static void stray(struct cp_engine *e, struct cp_link *link, copal_msg *m,
                  struct cp_seen *seen)
{
    if (m->type == CP_NON && cp_qblock_is_missing_list(m)) {
        /* The server shall let go of what it collected: RFC 9177 4.3. */
        e->stats.rejected++;
        cp_reliable_empty(e, link, &m->path, CP_RST, m->mid, seen);
        return;
    }
    if (!e->has_stray || m->type == CP_ACK) {
        reject(e, link, m, seen);
        return;
    }
    answer_empty(e, link, m, seen, CP_ACK);
    m->frozen = true;
    cp_event_post(e, COPAL_STRAY, NULL, m);
}

/* With COPAL_ANY_PORT the port does not count, and of a group any member may
 * answer from any of its ports: RFC 7252 8.2. */
static bool is_from(const struct cp_ask *a, const struct cp_address *from)
{
    const struct cp_address *to = &a->way.path.remote;
    struct cp_address expected = *to;

    if (a->group != NULL)
        return true;
    if ((a->x.request->flags & COPAL_ANY_PORT) == 0)
        return cp_address_equal(to, from);
    expected.port = from->port;
    return cp_address_equal(&expected, from);
}

/* With an ACK the message id must match, too. RFC 7252 5.3.2. */
static bool is_answered_by(const struct cp_token *t, struct cp_link *link,
                           const copal_msg *m)
{
    const struct cp_ask *a = cp_ask_of(t->x);

    if (a->way.link != link || !is_from(a, &m->path.remote))
        return false;
    return m->type != CP_ACK ||
           (t->flight.state == CP_OPEN && t->flight.mid == m->mid);
}

/* The token matches, and so does who sent it: by what was asked of that one
 * alone before what was asked of a group. */
static struct cp_token *match(struct cp_engine *e, struct cp_link *link,
                              const copal_msg *m)
{
    struct cp_token *t = cp_token_find(e, m->token), *of_group = NULL;

    if (m->path.is_multicast) /* no answer goes to a group */
        return NULL;
    for (; t != NULL; t = cp_token_next(t)) {
        if (!is_answered_by(t, link, m))
            continue;
        if (cp_ask_of(t->x)->group == NULL)
            return t;
        of_group = t;
    }
    return of_group;
}

void cp_ask_hold(struct cp_ask *a, copal_msg *m)
{
    copal_msg_unref(a->held);
    a->held = copal_msg_ref(m);
}

/* To the user, who is another one's where a member of a group answered. False:
 * out of memory. */
static bool tell(struct cp_ask *a, copal_msg *m)
{
    copal_exchange *asker =
        a->member_of == NULL ? &a->x : &a->member_of->ask->x;

    if (!asker->paused || !a->is_observed)
        return cp_exchange_tell(asker, COPAL_RESPONSE, m) != NULL;
    cp_ask_hold(a, m); /* only the newest is kept */
    return true;
}

void cp_ask_answered(copal_exchange *x, copal_msg *m)
{
    struct cp_ask *a = cp_ask_of(x);

    if (cp_observe_share_answered(a, m))
        return;
    if (a->member_of != NULL && a->is_observed)
        a->member_of->was_observed = true;
    if (a->is_observed)
        cp_ask_limit_met(a);
    if (!tell(a, m)) {
        cp_exchange_fail(x, COPAL_ENOMEM, NULL);
        return;
    }
    cp_observe_share_tell(a, m);
    if (a->is_observed)
        return;
    if (a->wants_observe && cp_code_class(m->code) == 2)
        cp_exchange_fail(x, COPAL_ENOTOBS,
                         "%s: answered, but it cannot be observed; use get, or "
                         "ask again later",
                         copal_msg_uri(x->request));
    else
        cp_ask_finish(x, 0, "");
}

static void pass_up(copal_exchange *x, copal_msg **m)
{
    int verdict;

    (*m)->request = copal_msg_ref(x->request);
    verdict = cp_pass_in(x->engine->stages, x, m);
    if (verdict == CP_PASS)
        cp_ask_answered(x, *m);
    else if (verdict < 0)
        cp_exchange_fail(x, verdict, "%s: %s", copal_msg_uri(x->request),
                         copal_strerror(verdict));
}

/* A notification that left before the server heard the farewell: no answer to
 * it, so it goes on being sent. */
static bool crosses_farewell(const struct cp_token *t, const copal_msg *m)
{
    return cp_ask_of(t->x)->is_farewell && m->type != CP_ACK &&
           cp_msg_has(m, COPAL_OPT_OBSERVE);
}

/* One that was sent before the server heard that we register once more, and is
 * older than what we have: no answer to that. */
static bool crosses_again(const struct cp_token *t, const copal_msg *m)
{
    const struct cp_ask *a = cp_ask_of(t->x);

    return a->is_again && t == &a->main && m->type != CP_ACK &&
           t->flight.is_con && t->flight.state != CP_IDLE &&
           cp_observe_ask_is_stale(a, m);
}

/* One member's answer: what is wrong with it is no matter of the others. */
static void hear_member(struct cp_engine *e, struct cp_link *link,
                        copal_msg **m, struct cp_seen *seen, struct cp_ask *a,
                        unsigned bad)
{
    struct cp_ask *member;

    if (bad != 0) {
        reject(e, link, *m, seen);
        return;
    }
    member = cp_ask_group_member(a, &(*m)->path);
    if (member == NULL) { /* as if the network had lost it */
        cp_dedup_forget(&e->dedup, seen);
        return;
    }
    cp_exchange_hold(&member->x);
    answer_empty(e, link, *m, seen, CP_ACK);
    pass_up(&member->x, m);
    cp_exchange_let_go(&member->x);
}

void cp_ask_hear(struct cp_engine *e, struct cp_link *link, copal_msg **m,
                 struct cp_seen *seen)
{
    struct cp_token *t = match(e, link, *m);
    copal_exchange *x;
    unsigned bad;

    if (t != NULL && t->guard != NULL &&
        cp_guard_hear(e, link, &t, m, seen) != 0)
        return;
    bad = cp_engine_check_options(e, *m);
    if (bad == 0)
        bad = cp_qblock_unasked(t == NULL ? NULL : cp_ask_of(t->x), *m);
    if (t == NULL && bad == 0) {
        stray(e, link, *m, seen);
        return;
    }
    if (t == NULL) {
        reject(e, link, *m, seen);
        return;
    }
    if (bad == 0 && (crosses_farewell(t, *m) || crosses_again(t, *m))) {
        answer_empty(e, link, *m, seen, CP_ACK);
        return;
    }
    x = cp_exchange_hold(t->x);
    if (cp_ask_of(x)->group != NULL) {
        hear_member(e, link, m, seen, cp_ask_of(x), bad);
        cp_exchange_let_go(x);
        return;
    }
    if ((*m)->type == CP_ACK)
        cp_wait_measure(&t->flight);
    cp_ask_heard(cp_ask_of(x), t);
    if (bad == 0) {
        answer_empty(e, link, *m, seen, CP_ACK);
        pass_up(x, m);
    } else {
        reject(e, link, *m, seen);
        cp_exchange_fail(x, COPAL_EFORMAT,
                         "%s: the answer has an option that must be "
                         "understood and is not: %s",
                         copal_msg_uri(x->request),
                         copal_name(COPAL_OPTIONS, (int)bad));
    }
    cp_exchange_let_go(x);
}
