#include "engine/guard.h"
#include "engine/ask.h"
#include "engine/core.h"
#include "engine/observe_core.h"
#include "engine/outer.h"
#include "wire/message_text.h"
#include "wire/target.h"

enum {
    MOST_REKEYED = 8
};

/* ---- Server ---- */

bool cp_guard_open(struct cp_engine *e, struct cp_link *link, copal_msg **m,
                   struct cp_seen *seen)
{
    copal_msg *answer = NULL;
    int verdict;

    if ((*m)->path.is_multicast) { /* it protects two ends, not groups */
        e->stats.rejected++;
        return false;
    }
    verdict = e->protection.ops->open(e->protection.user, m, &answer);
    if (verdict == CP_GUARD_REFUSED)
        cp_answer_with(e, link, *m, seen, answer);
    else if (verdict != CP_GUARD_DONE) /* a repeat may have better luck */
        cp_dedup_forget(&e->dedup, seen);
    copal_msg_unref(answer);
    return verdict == CP_GUARD_DONE;
}

int cp_guard_answer(struct cp_engine *e, const copal_msg *request,
                    const copal_msg *m, copal_msg **out)
{
    if (request->guard != NULL && e->protection.ops == NULL)
        return COPAL_ECLOSED; /* it ends */
    if (request->guard != NULL)
        return e->protection.ops->seal(e->protection.user, request, m, out);
    *out = copal_msg_ref(m);
    return 0;
}

void cp_guard_gone(struct cp_engine *e, const void *whose)
{
    const struct cp_index *all = &e->observing.observers;

    for (uint32_t i = 0; i < all->bucket_count; i++) {
        uint32_t n = cp_index_at(all, i);

        while (n != 0) {
            struct cp_observer *o = cp_cells_at(&e->observing.cells, n);
            const struct cp_guard *g = cp_observer_guard(o);

            n = o->node.next; /* of the same bucket */
            if (g != NULL && g->whose == whose)
                cp_observer_free(o);
        }
    }
}

/* ---- Client: out ---- */

void cp_guard_ask_begin(struct cp_ask *a)
{
    struct cp_protection *p = &a->x.engine->protection;
    const copal_msg *m = a->x.request;

    if (!a->is_ping && m->target != NULL && m->target->error == 0)
        a->protection = p->ops->way(p->user, m->target);
    if (a->protection != NULL)
        a->qblock_off = true; /* answers by tokens that nobody remembers */
}

static void wait_for_it(struct cp_ask *a, copal_msg *m)
{
    cp_guard_ask_stop(a);
    a->sealing.m = copal_msg_ref(m);
    a->sealing.slot = a->slot;
    a->sealing.keeps_token = a->keeps_token;
    cp_list_init(&a->sealing.node);
    cp_list_append(&a->x.engine->protection.waiting, &a->sealing.node);
}

int cp_guard_ask(struct cp_ask *a, copal_msg *m, struct cp_guard **guard,
                 copal_msg **out)
{
    struct cp_protection *p = &a->x.engine->protection;
    const struct cp_guard *before = a->keeps_token ? a->slot->guard : NULL;
    int err;

    if (p->ops == NULL) /* it ends */
        return COPAL_ECLOSED;
    err = p->ops->seal_request(p->user, a->protection, m, before, guard, out);
    if (err == CP_GUARD_LATER)
        wait_for_it(a, m);
    else if (err < 0 && err != COPAL_ENOMEM)
        cp_exchange_fail(&a->x, err, "%s: not sent, %s",
                         copal_msg_uri(a->x.request), cp_why_text(a->x.mem));
    return err;
}

void cp_guard_ask_stop(struct cp_ask *a)
{
    if (a->sealing.m == NULL)
        return;
    cp_list_remove(&a->sealing.node);
    copal_msg_unref(a->sealing.m);
    a->sealing.m = NULL;
}

static void try_again(struct cp_ask *a, int status, const char *why)
{
    copal_exchange *x = cp_exchange_hold(&a->x);
    copal_msg *m = copal_msg_ref(a->sealing.m);
    bool kept = a->keeps_token;

    a->slot = a->sealing.slot;
    a->keeps_token = a->sealing.keeps_token;
    cp_guard_ask_stop(a);
    if (m == NULL)
        status = 0; /* it was over meanwhile */
    else if (status != 0)
        cp_exchange_fail(x, status, "%s: not sent, %s",
                         copal_msg_uri(x->request), why);
    else if ((status = cp_ask_send(x, m)) < 0)
        cp_exchange_fail(x, status, "%s: not sent, %s",
                         copal_msg_uri(x->request), copal_strerror(status));
    a->keeps_token = kept;
    copal_msg_unref(m);
    cp_exchange_let_go(x);
}

void cp_guard_ready(struct cp_engine *e, const struct cp_guard *way, int status,
                    const char *why)
{
    struct cp_list now;
    struct cp_list *first;

    /* Those that are to wait once more do so behind these. */
    cp_list_init(&now);
    list_each (node, after, &e->protection.waiting) {
        if (cp_container_of(node, struct cp_ask, sealing.node)->protection !=
            way)
            continue;
        cp_list_remove(node);
        cp_list_append(&now, node);
    }
    while ((first = cp_list_first(&now)) != NULL)
        try_again(cp_container_of(first, struct cp_ask, sealing.node), status,
                  why);
}

/* ---- Client: in ---- */

/* Without protection come only this layer's errors, and what somebody made up:
 * no answer, in any case. RFC 8613 8.2, 8.4. */
static void hear_plain(struct cp_ask *a, struct cp_token *t, const copal_msg *m)
{
    copal_exchange *x = &a->x;
    int len = (int)(m->payload.len < 80 ? m->payload.len : 80);

    if (cp_code_class(m->code) < 4 || a->is_observed) {
        a->was_forged = true;
        return;
    }
    cp_ask_heard(a, t);
    cp_exchange_fail(x, COPAL_EAUTH,
                     "%s: answered by %s%s%.*s without protection; are both "
                     "ends given the same OSCORE context?",
                     copal_msg_uri(x->request), cp_code_name(m->code),
                     len > 0 ? ", " : "", len, (const char *)m->payload.data);
}

static int open_by_either(struct cp_protection *p, struct cp_token *t,
                          copal_msg **m)
{
    int err = p->ops->open_answer(p->user, t->guard, m);

    if (err == COPAL_EAUTH && t->before != NULL) {
        err = p->ops->open_answer(p->user, t->before, m);
    } else if (err == 0) {
        cp_guard_unref(t->before);
        t->before = NULL;
    }
    return err;
}

/* The request goes once more, under another context. */
static void send_again(struct cp_ask *a, struct cp_token *t)
{
    copal_msg *m = copal_msg_ref(t->sent == NULL ? a->x.request : t->sent);
    int err;

    cp_ask_heard(a, t);
    a->slot = t;
    err = cp_ask_send(&a->x, m);
    a->slot = &a->main;
    copal_msg_unref(m);
    if (err < 0)
        cp_exchange_fail(&a->x, err, "%s: not sent, %s",
                         copal_msg_uri(a->x.request), copal_strerror(err));
}

/* Keys made anew may cross those of another request, or get lost with one end,
 * but not for ever. */
static void send_under_others(struct cp_ask *a, struct cp_token *t)
{
    if (a->rekeyed++ < MOST_REKEYED) {
        send_again(a, t);
        return;
    }
    cp_ask_heard(a, t);
    cp_exchange_fail(&a->x, COPAL_EAUTH,
                     "%s: the peer wants other keys again and again; does it "
                     "lose its state, or are there two of it?",
                     copal_msg_uri(a->x.request));
}

static bool is_lost(struct cp_ask *a, const copal_msg *m)
{
    struct cp_protection *p = &a->x.engine->protection;

    return a->protection != NULL && p->ops->is_lost != NULL &&
           p->ops->is_lost(p->user, a->protection, m);
}

/* *m becomes what was sealed in it. CP_KEPT: it was a part of that, and is dealt
 * with. */
static int open_sealed(struct cp_engine *e, struct cp_link *link,
                       struct cp_token **at, copal_msg **m,
                       struct cp_seen *seen)
{
    struct cp_ask *a = cp_ask_of((*at)->x);
    int err = CP_PASS;

    if (cp_msg_has(*m, COPAL_OPT_BLOCK2) || cp_outer_is_rest(a, *at))
        err = cp_outer_hear(a, link, at, m, seen);
    if (err == CP_PASS)
        err = open_by_either(&e->protection, *at, m);
    if (err == 0) {
        a->rekeyed = 0;
        cp_outer_opened(a, *at);
    }
    return err;
}

/* Without protection, a request for the rest of an answer is answered as the one
 * before it. NULL: that was given up. */
static struct cp_token *plainly_answered(struct cp_ask *a, struct cp_token *t)
{
    return cp_outer_is_rest(a, t) ? cp_outer_drop(a) : t;
}

int cp_guard_hear(struct cp_engine *e, struct cp_link *link,
                  struct cp_token **at, copal_msg **m, struct cp_seen *seen)
{
    struct cp_ask *a = cp_ask_of((*at)->x);
    bool is_sealed = cp_msg_has(*m, COPAL_OPT_OSCORE);
    struct cp_token *t;
    int err;

    cp_exchange_hold(&a->x);
    err = is_sealed ? open_sealed(e, link, at, m, seen) : COPAL_EAUTH;
    if (err == 0 || err == CP_KEPT) {
        cp_exchange_let_go(&a->x);
        return err;
    }
    t = is_sealed ? *at : plainly_answered(a, *at);
    if (t == NULL)
        a->was_forged = true;
    else if (!is_sealed && is_lost(a, *m))
        send_again(a, t);
    else if (!is_sealed)
        hear_plain(a, t, *m);
    else if (err == CP_GUARD_AGAIN)
        send_under_others(a, t);
    else
        a->was_forged = a->was_forged || err == COPAL_EAUTH;
    /* What is genuine, or an end of it, is acknowledged; anything else is as if
     * it had been lost. RFC 8613 8.4. */
    if ((*m)->type == CP_CON &&
        (err == COPAL_EEXIST || a->x.over || err == CP_GUARD_AGAIN))
        cp_reliable_empty(e, link, &(*m)->path, CP_ACK, (*m)->mid, seen);
    else if (err != COPAL_EEXIST)
        cp_dedup_forget(&e->dedup, seen);
    cp_exchange_let_go(&a->x);
    return err;
}
