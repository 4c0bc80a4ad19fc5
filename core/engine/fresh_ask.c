/* What a server asks us by Echo. RFC 9175 2.3. */
#include "engine/fresh.h"
#include "engine/ask.h"
#include "engine/core.h"
#include "engine/transfer.h"

static const copal_msg *sent_of(const struct cp_ask *a)
{
    return a->came_by->sent == NULL ? a->x.request : a->came_by->sent;
}

/* Who sets an Echo of his own wants to see what comes of it. */
static bool is_users(const copal_exchange *x)
{
    return cp_fresh_option(x->request) != NULL;
}

/* A value goes only to whom it came from. */
static bool is_where_we_asked(const struct cp_ask *a, const copal_msg *m)
{
    return cp_address_equal(&m->path.remote, &a->way.path.remote);
}

/* The beginning of a body in smaller blocks than we would have: the server
 * means to send more once it knows who asks, and what it sent is little to
 * throw away. Not where asking again would act again. A body of ours that
 * went block by block is not there any more. */
static bool is_cut(copal_exchange *x, const copal_msg *m)
{
    const struct cp_ask *a = cp_ask_of(x);
    const copal_msg *sent = sent_of(a);
    const struct cp_option *o = cp_msg_find(m, COPAL_OPT_BLOCK2);
    struct cp_block b;

    return o != NULL && cp_block_decode(cp_msg_option_value(m, o), &b) == 0 &&
           cp_fresh_option(sent) == NULL && b.num == 0 && b.more &&
           b.size < cp_transfer_own_size(x) && cp_code_is_safe(sent->code) &&
           !cp_msg_has(x->request, COPAL_OPT_BLOCK2) &&
           !cp_msg_has(sent, COPAL_OPT_BLOCK1) &&
           !cp_msg_has(sent, COPAL_OPT_Q_BLOCK1) && !a->is_observed &&
           !a->is_farewell && (x->request->flags & COPAL_RAW_BLOCKS) == 0;
}

/* What was sent last goes again with value. A registration keeps its token: the
 * server may have entered it already, and the same token replaces the entry
 * (RFC 7641 4.1). */
static int send_again(copal_exchange *x, copal_bytes value)
{
    struct cp_ask *a = cp_ask_of(x);
    bool kept = a->keeps_token;
    copal_msg *m = cp_fresh_with(sent_of(a), value);
    int err;

    if (m == NULL)
        return COPAL_ENOMEM;
    if (cp_msg_has(m, COPAL_OPT_OBSERVE)) {
        cp_token_off(x->engine, &a->sub); /* of a state that is history */
        a->keeps_token = true;
        a->is_observed = false;
    }
    a->echoed = true;
    a->slot = a->came_by;
    err = cp_ask_send(x, m);
    a->slot = &a->main;
    a->keeps_token = kept;
    copal_msg_unref(m);
    return err == 0 ? CP_KEPT : err;
}

int cp_fresh_ask_in(copal_exchange *x, const copal_msg *m)
{
    struct cp_ask *a = cp_ask_of(x);
    struct cp_engine *e = x->engine;
    const struct cp_option *o = cp_fresh_option(m);
    bool was_echoed = a->echoed;
    copal_bytes value;

    a->echoed = false;
    if (o == NULL || is_users(x) || !is_where_we_asked(a, m))
        return CP_PASS;
    value = cp_msg_option_value(m, o);
    if (!was_echoed && (m->code == COPAL_UNAUTHORIZED || is_cut(x, m)))
        return send_again(x, value);
    if (a->protection != NULL) /* what came sealed goes back sealed only */
        return CP_PASS;
    cp_known_put(&e->freshness.heard, a->way.link, &m->path.remote, value);
    return CP_PASS;
}

int cp_fresh_ask_out(copal_exchange *x, copal_msg **m)
{
    const struct cp_way *way = &cp_ask_of(x)->way;
    struct cp_known *heard = &x->engine->freshness.heard;
    struct cp_known_entry *known;
    copal_msg *copy;

    if (heard->map.count == 0 || is_users(x) ||
        cp_ask_of(x)->protection != NULL)
        return CP_PASS;
    known = cp_known_find(heard, way->link, &way->path.remote);
    if (known == NULL)
        return CP_PASS;
    copy = cp_fresh_with(*m, cp_bytes(known->value, known->len));
    if (copy == NULL)
        return COPAL_ENOMEM;
    cp_known_remove(heard, known);
    copal_msg_unref(*m);
    *m = copy;
    return CP_PASS;
}
