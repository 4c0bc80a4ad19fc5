/* The cache of a client, as its requests and their answers meet it. */
#include "engine/cache.h"
#include "engine/ask.h"
#include "engine/core.h"
#include "engine/trace.h"
#include "wire/option.h"

static bool is_on(const struct cp_engine *e)
{
    return e->params.value[COPAL_P_CACHE_MEMORY] > 0;
}

/* Is an answer to it the whole of what was asked for, from one server? */
static bool asks_for_whole(const copal_msg *request)
{
    const unsigned in_parts =
        COPAL_STREAM_IN | COPAL_STREAM_OUT | COPAL_RAW_BLOCKS;

    return cp_code_is_safe(request->code) && (request->flags & in_parts) == 0 &&
           !request->is_multicast && !request->resumed &&
           !cp_msg_has(request, COPAL_OPT_BLOCK1) &&
           !cp_msg_has(request, COPAL_OPT_BLOCK2);
}

/* Who observes wants the server to know of it, and who is not interested in
 * every answer may not want this one. RFC 7967 3.3. */
static bool may_be_answered(const copal_msg *request)
{
    return asks_for_whole(request) && (request->flags & COPAL_NO_CACHE) == 0 &&
           !cp_msg_has(request, COPAL_OPT_OBSERVE) &&
           cp_msg_find(request, COPAL_OPT_NO_RESPONSE) == NULL;
}

/* RFC 7252 5.9. A 4.01 that asks for an Echo is meant for one request. */
static bool may_be_kept(const copal_msg *m)
{
    return (m->code == COPAL_CONTENT || cp_code_class(m->code) >= 4) &&
           m->code != COPAL_TOO_MANY_REQUESTS &&
           cp_msg_find(m, COPAL_OPT_ECHO) == NULL;
}

uint64_t cp_cache_lifetime(const copal_msg *m)
{
    return 1000 * cp_msg_max_age(m);
}

/* ---- Without asking ---- */

copal_msg *cp_cache_shown(copal_exchange *x, const copal_msg *kept, uint64_t s)
{
    copal_msg *m = cp_msg_derive(kept);

    if (m == NULL)
        return NULL;
    cp_msg_remove(m, COPAL_OPT_MAX_AGE);
    if (cp_msg_add_uint(m, COPAL_OPT_MAX_AGE, s) != 0) {
        copal_msg_unref(m);
        return NULL;
    }
    m->request = copal_msg_ref(x->request);
    return m;
}

/* Who has the representation and names it by ETag is told no more than that.
 * RFC 7252 5.9.1.3. */
static void make_valid(copal_msg *m)
{
    size_t kept = 0;

    for (size_t i = 0; i < m->option_count; i++)
        if (m->options[i].number == COPAL_OPT_ETAG ||
            m->options[i].number == COPAL_OPT_MAX_AGE)
            m->options[kept++] = m->options[i];
    m->option_count = (uint16_t)kept;
    m->present &= UINT64_C(1) << COPAL_OPT_ETAG | UINT64_C(1)
                                                      << COPAL_OPT_MAX_AGE;
    m->code = COPAL_VALID;
    cp_msg_borrow_payload(m, NULL, (copal_bytes){0});
}

static copal_msg *fresh_answer(copal_exchange *x)
{
    struct cp_engine *e = x->engine;
    struct cp_cached *c;
    copal_msg *m;
    uint64_t key;

    if (!is_on(e) || !may_be_answered(x->request) ||
        !cp_cache_key(e, x->request, &key))
        return NULL;
    c = cp_cache_fresh(e, key);
    if (c == NULL)
        return NULL;
    m = cp_cache_shown(x, c->msg, (c->fresh_until - e->now) / 1000);
    if (m != NULL && cp_msg_has_etag(x->request, cp_msg_etag(c->msg)))
        make_valid(m);
    return m;
}

bool cp_cache_answers(copal_exchange *x)
{
    copal_msg *m = cp_held_back_answer(x);
    const char *how = "held_back";

    if (m == NULL) {
        m = fresh_answer(x);
        how = "cache_fresh";
    }
    if (m == NULL)
        return false;
    cp_trace_state(x->engine, how, copal_msg_uri(x->request));
    cp_ask_answered(x, m);
    copal_msg_unref(m);
    cp_engine_wake(x->engine);
    return true;
}

/* ---- Asking ---- */

static void drop_offers(struct cp_cache_use *use)
{
    while (use->offered_count > 0)
        copal_msg_unref(use->offered[--use->offered_count]);
}

/* RFC 7252 5.10.6.2: the server may answer that one of ours is still right. */
static int offer_etags(struct cp_cache_use *use, copal_msg **m)
{
    copal_msg *asking = cp_msg_derive(*m);
    int err = asking == NULL ? COPAL_ENOMEM : 0;

    for (size_t i = 0; i < use->offered_count && err == 0; i++) {
        copal_bytes etag = cp_msg_etag(use->offered[i]);

        if (!cp_msg_has_etag(asking, etag))
            err = cp_msg_add(asking, COPAL_OPT_ETAG, etag);
    }
    if (err != 0) {
        copal_msg_unref(asking);
        return err;
    }
    asking->frozen = true;
    copal_msg_unref(*m);
    *m = asking;
    return 0;
}

static int request_out(copal_exchange *x, copal_msg **m)
{
    struct cp_engine *e = x->engine;
    struct cp_cache_use *use = &cp_ask_of(x)->cache;
    uint64_t resource, key;

    use->may_act = !cp_code_is_safe(x->request->code);
    if (!asks_for_whole(x->request))
        return CP_PASS;
    if (!cp_cache_resource(e, x->request, NULL, &resource) ||
        !cp_cache_key(e, x->request, &key))
        return COPAL_ENOMEM;
    use->changes = cp_cache_changes(e, resource);
    drop_offers(use);
    if (may_be_answered(x->request))
        use->offered_count = (uint8_t)cp_cache_candidates(e, key, use->offered);
    return use->offered_count == 0 ? CP_PASS : offer_etags(use, m);
}

static int out(copal_exchange *x, copal_msg **m)
{
    return x->is_ask && is_on(x->engine) ? request_out(x, m) : CP_PASS;
}

/* ---- Answers ---- */

/* The answer to a method that changes things: what is kept of the resource is
 * history, and of the one that came to be. RFC 7252 5.9.1. */
static void changed(copal_exchange *x, const copal_msg *m)
{
    struct cp_engine *e = x->engine;
    uint64_t resource;

    if (cp_cache_resource(e, x->request, NULL, &resource))
        cp_cache_spoil(e, resource);
    if (m != NULL &&
        (cp_msg_has(m, COPAL_OPT_LOCATION_PATH) ||
         cp_msg_has(m, COPAL_OPT_LOCATION_QUERY)) &&
        cp_cache_resource(e, x->request, m, &resource))
        cp_cache_spoil(e, resource);
}

/* Unless it may be of a state before a change that we know of. A notification
 * that is will be followed by another. RFC 7641 3.4. */
static void keep(copal_exchange *x, const copal_msg *m)
{
    const struct cp_ask *a = cp_ask_of(x);
    struct cp_engine *e = x->engine;
    uint64_t resource;

    if (a->is_observed || (cp_cache_resource(e, x->request, NULL, &resource) &&
                           cp_cache_changes(e, resource) == a->cache.changes))
        cp_cache_put(e, x->request, m);
}

/* What m, a 2.03, says is valid; ref'd. NULL: nothing of ours. */
static copal_msg *meant_by(copal_exchange *x, const copal_msg *m)
{
    struct cp_cache_use *use = &cp_ask_of(x)->cache;
    copal_msg *kept[CP_CACHE_ETAGS], *meant = NULL;
    size_t count;
    uint64_t key;

    for (size_t i = 0; i < use->offered_count; i++)
        if (cp_msg_has_etag(use->offered[i], cp_msg_etag(m)))
            return copal_msg_ref(use->offered[i]);
    if (!cp_cache_key(x->engine, x->request, &key))
        return NULL;
    count = cp_cache_candidates(x->engine, key, kept);
    while (count-- > 0) {
        if (meant == NULL && cp_msg_has_etag(kept[count], cp_msg_etag(m)))
            meant = copal_msg_ref(kept[count]);
        copal_msg_unref(kept[count]);
    }
    return meant;
}

/* kept with the options that m says are of now: Max-Age, there or not, and
 * those that are safe to forward. RFC 7252 5.9.1.3. NULL: out of memory. */
static copal_msg *brought_up_to_date(const copal_msg *kept, const copal_msg *m)
{
    copal_msg *whole = cp_msg_derive(kept);
    int err = whole == NULL ? COPAL_ENOMEM : 0;

    for (size_t i = 0; i < m->option_count && err == 0; i++) {
        unsigned number = m->options[i].number;

        if (!cp_option_is_unsafe(number))
            cp_msg_remove(whole, number);
    }
    if (err == 0)
        cp_msg_remove(whole, COPAL_OPT_MAX_AGE);
    for (size_t i = 0; i < m->option_count && err == 0; i++) {
        unsigned number = m->options[i].number;

        if (!cp_option_is_unsafe(number) || number == COPAL_OPT_MAX_AGE)
            err = cp_msg_add(whole, number,
                             cp_msg_option_value(m, &m->options[i]));
    }
    if (err != 0) {
        copal_msg_unref(whole);
        return NULL;
    }
    whole->path = m->path;
    whole->type = m->type;
    whole->mid = m->mid;
    whole->request = copal_msg_ref(m->request);
    whole->frozen = true;
    return whole;
}

/* The user sees what is valid, or the 2.03 itself where the ETag is the user's
 * own. */
static int validated(copal_exchange *x, copal_msg **m)
{
    copal_msg *kept = meant_by(x, *m), *whole;

    if (kept == NULL)
        return CP_PASS;
    whole = brought_up_to_date(kept, *m);
    copal_msg_unref(kept);
    if (whole == NULL)
        return COPAL_ENOMEM;
    keep(x, whole);
    if (cp_msg_has_etag(x->request, cp_msg_etag(*m))) {
        copal_msg_unref(whole);
        return CP_PASS;
    }
    cp_trace_state(x->engine, "cache_valid", copal_msg_uri(x->request));
    copal_msg_unref(*m);
    *m = whole;
    return CP_PASS;
}

static int in(copal_exchange *x, copal_msg **m)
{
    struct cp_ask *a;

    if (!x->is_ask)
        return CP_PASS;
    a = cp_ask_of(x);
    if (a->is_farewell || a->is_ping || a->group != NULL ||
        a->member_of != NULL)
        return CP_PASS;
    cp_held_back_note(x, *m);
    if (!is_on(x->engine))
        return CP_PASS;
    if (!cp_code_is_safe(x->request->code)) {
        a->cache.may_act = false;
        if (cp_code_class((*m)->code) == 2)
            changed(x, *m);
        return CP_PASS;
    }
    if (!asks_for_whole(x->request))
        return CP_PASS;
    (*m)->frozen = true;
    if ((*m)->code == COPAL_VALID)
        return validated(x, m);
    if (may_be_kept(*m))
        keep(x, *m);
    return CP_PASS;
}

/* A request whose answer nobody saw, or only as a stream, may have changed
 * things as well. */
static void end(copal_exchange *x)
{
    struct cp_cache_use *use;

    if (!x->is_ask)
        return;
    use = &cp_ask_of(x)->cache;
    drop_offers(use);
    if (use->may_act)
        changed(x, NULL);
    use->may_act = false;
}

const struct cp_stage cp_cache = {
    .name = "cache", .in = in, .out = out, .end = end};
