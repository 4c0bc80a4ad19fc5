#include "engine/exchange.h"
#include "engine/core.h"
#include "engine/record.h"
#include "wire/target.h"
#include <stdio.h>

enum {
    SENTENCE = 256
};

/* The last reference went away, or the last one that could have answered did:
 * left is how many there are. */
static void few_left(copal_exchange *x, int64_t left)
{
    if (left == 0) {
        if (x->engine != NULL)
            cp_list_remove(&x->node);
        if (x->is_ask)
            cp_ask_free(x);
        else
            cp_answer_free(x);
    } else if (left == 1) {
        cp_exchange_abandon(x);
    }
}

static void exchange_reap(struct cp_dead *dead)
{
    copal_exchange *x = cp_container_of(dead, copal_exchange, refs.dead);

    few_left(x, cp_refs_settle(&x->refs));
}

void cp_exchange_init(copal_exchange *x, struct cp_engine *e, bool is_ask,
                      copal_msg *request)
{
    cp_refs_init(&x->refs, exchange_reap);
    x->is_ask = is_ask;
    x->is_live = true;
    x->is_inner = e->whose == CP_WHOSE_INNER;
    x->serial = ++e->serial;
    x->mem = e->mem;
    x->engine = e;
    x->request = copal_msg_ref(request);
    cp_list_init(&x->of_connection);
    cp_list_append(&e->exchanges, &x->node);
    e->exchange_count++;
    e->stats.exchanges++;
}

copal_exchange *cp_exchange_hold(copal_exchange *x)
{
    cp_refs_take(&x->refs, x->mem);
    return x;
}

void cp_exchange_let_go(copal_exchange *x)
{
    int64_t left = cp_refs_drop(&x->refs, x->mem);

    if (left == 0 || left == 1)
        few_left(x, left);
}

void cp_exchange_abandon(copal_exchange *x)
{
    if (x->engine != NULL && !x->is_ask)
        cp_answer_abandoned(x);
}

copal_exchange *copal_exchange_ref(copal_exchange *x)
{
    return x == NULL ? NULL : cp_exchange_hold(x);
}

void copal_exchange_unref(copal_exchange *x)
{
    if (x != NULL)
        cp_exchange_let_go(x);
}

void cp_exchange_retire(copal_exchange *x)
{
    struct cp_engine *e = x->engine;

    if (!x->is_live)
        return;
    x->is_live = false;
    x->over = true;
    e->exchange_count--;
    cp_connection_part(x);
    cp_exchange_let_go(x);
}

void cp_exchange_deliver(copal_exchange *x, const copal_event *ev)
{
    bool outer = x->delivering;

    x->delivering = true;
    if (x->is_ask)
        cp_ask_deliver(x, ev);
    else
        cp_answer_deliver(x, ev);
    x->delivering = outer;
}

void cp_exchange_fail(copal_exchange *x, int status, const char *format, ...)
{
    char sentence[SENTENCE];
    va_list list;

    if (x->over)
        return;
    snprintf(sentence, sizeof(sentence), "%s", copal_strerror(status));
    if (format != NULL) {
        va_start(list, format);
        vsnprintf(sentence, sizeof(sentence), format, list);
        va_end(list);
    }
    if (x->is_ask)
        cp_ask_fail(x, status, sentence);
    else
        cp_answer_fail(x, status, sentence);
}

int cp_exchange_send_below(const struct cp_stage *stage, copal_exchange *x,
                           copal_msg *m)
{
    copal_msg *going = copal_msg_ref(m);
    int verdict = cp_pass_out_below(x->engine->stages, stage, x, &going);

    if (verdict == CP_PASS)
        verdict = x->is_ask ? cp_ask_send(x, going) : cp_answer_send(x, going);
    copal_msg_unref(going);
    return verdict == CP_KEPT ? 0 : verdict;
}

struct cp_event *cp_exchange_tell(copal_exchange *x, int kind, copal_msg *m)
{
    if (m != NULL)
        m->frozen = true;
    return cp_event_post(x->engine, kind, x, m);
}

int64_t cp_exchange_narrow_param(const copal_exchange *x, int param)
{
    const copal_msg *m = x->request;
    const struct cp_params *p = &x->engine->params;

    if (!x->is_ask)
        return cp_params_get(p, NULL, cp_params_uri_back(p, m), param);
    return cp_params_get(p, m, m->target == NULL ? NULL : m->target->uri,
                         param);
}

copal *copal_exchange_endpoint(const copal_exchange *x)
{
    return x == NULL || x->engine == NULL ? NULL : x->engine->owner;
}

const copal_msg *copal_exchange_request(const copal_exchange *x)
{
    return x == NULL ? NULL : x->request;
}
