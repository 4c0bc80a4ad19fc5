/* Requests and answers that go. RFC 8613 8.1, 8.3. */
#include "secure/oscore_context.h"

static void guard_free(struct cp_guard *g)
{
    struct cp_oscore_guard *mine = cp_oscore_guard_of(g);
    struct cp_mem *mem = mine->context->mem;
    struct cp_oscore_context *c = mine->context;

    cp_free(mem, mine);
    cp_guard_unref(&c->guard);
}

struct cp_oscore_guard *cp_oscore_guard_new(struct cp_oscore_context *c,
                                            const struct cp_oscore_bound *b)
{
    struct cp_oscore_guard *g = cp_zalloc(c->mem, sizeof(*g));

    if (g == NULL)
        return NULL;
    g->guard.refs = 1;
    g->guard.free = guard_free;
    g->guard.whose = c;
    g->context = c;
    g->bound = *b;
    cp_guard_ref(&c->guard);
    return g;
}

/* The first answer has the request's nonce, which nobody else uses under our
 * key; any other one of its own. */
int cp_oscore_out_answer(void *user, const copal_msg *request,
                         const copal_msg *m, copal_msg **out)
{
    struct cp_oscore_guard *g = cp_oscore_guard_of(request->guard);
    struct cp_oscore_context *c = g->context;
    struct cp_oscore *all = user;
    struct cp_oscore_option head = {0};
    uint8_t storage[8], wrapped[CP_OSCORE_R2 + 2];
    uint64_t seq;
    int err;

    if (g->nonce_used) {
        err = cp_oscore_state_take(c, &seq);
        if (err != 0)
            return err < 0 ? err : COPAL_ESTATE;
        head.piv = cp_oscore_piv(seq, storage);
    }
    g->nonce_used = true; /* whatever comes of it */
    if (g->says_len > 0) {
        head.has_context = true;
        head.context =
            cp_oscore_rederive_wrap(cp_bytes(g->says, g->says_len), wrapped);
    }
    return cp_oscore_seal(all->aeads, &c->keys, &g->bound, &head, m, out);
}

int cp_oscore_out_request(void *user, struct cp_guard *way, const copal_msg *m,
                          const struct cp_guard *before,
                          struct cp_guard **guard, copal_msg **out)
{
    struct cp_oscore *all = user;
    struct cp_oscore_context *c = cp_oscore_context_of(way);
    struct cp_oscore_option head = {.has_kid = true};
    struct cp_oscore_bound bound;
    struct cp_oscore_guard *g;
    uint8_t storage[8], wrapped[CP_OSCORE_ID_CONTEXT + 2];
    uint64_t seq;
    int err;

    if (cp_msg_has(m, COPAL_OPT_OSCORE))
        return cp_why(c->mem, COPAL_EINVAL,
                      "it has an OSCORE option already; leave that to copal");
    err = c->derives == NULL ? 0 : cp_oscore_rederive_current(c, &c);
    if (err == 0)
        err = cp_oscore_state_take(c, &seq);
    if (err != 0)
        return err;
    head.kid = cp_oscore_sender(&c->keys);
    head.has_context = c->has_id_context;
    head.context =
        c->root == NULL
            ? cp_oscore_id_context(c)
            : cp_oscore_rederive_wrap(cp_oscore_id_context(c), wrapped);
    head.piv = cp_oscore_piv(seq, storage);
    cp_oscore_bind(&bound, head.kid, head.piv);
    g = cp_oscore_guard_new(c, &bound);
    if (g == NULL)
        return COPAL_ENOMEM;
    g->observes = cp_msg_uint_or(m, COPAL_OPT_OBSERVE, 1) == 0;
    if (before != NULL) { /* one observation, registered once more */
        g->has_number = cp_oscore_guard_of(before)->has_number;
        g->number = cp_oscore_guard_of(before)->number;
        g->count = cp_oscore_guard_of(before)->count;
    }
    err = cp_oscore_seal(all->aeads, &c->keys, &bound, &head, m, out);
    if (err != 0)
        cp_guard_unref(&g->guard);
    else
        *guard = &g->guard;
    return err;
}
