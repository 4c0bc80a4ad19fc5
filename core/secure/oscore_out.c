/* Requests and answers that go. RFC 8613 8.1, 8.3. */
#include "secure/oscore_context.h"
#include "wire/target.h"
#include "wire/uri.h"

/* ---- Guards and answers ---- */

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

/* ---- Through a proxy ---- */

/* Path and query of a URI are sealed. */
static int add_parts(copal_msg *m, const struct cp_target *to)
{
    struct cp_cursor c;
    int err = 0;

    c = cp_cursor_of(
        cp_bytes(to->options, to->value_size + 3 * (size_t)to->option_count));
    for (size_t i = 0; err == 0 && i < to->option_count; i++) {
        unsigned number = cp_take_u8(&c);
        copal_bytes value = cp_take(&c, cp_take_u16(&c));

        if (number == COPAL_OPT_URI_PATH || number == COPAL_OPT_URI_QUERY)
            err = cp_msg_add(m, number, value);
    }
    return err;
}

/* Instead of a Proxy-Uri's path and query, which the proxy is to know nothing
 * of, m has them as options; of the Proxy-Uri scheme, host and port stay. RFC
 * 8613 4.1.3.3. COPAL_EURI: no URI of CoAP; COPAL_ENOMEM. */
static int for_proxy(const copal_msg *m, copal_msg **out)
{
    copal_bytes uri =
        cp_msg_option_value(m, cp_msg_find(m, COPAL_OPT_PROXY_URI));
    char *text = cp_copy_text(m->mem, (const char *)uri.data, uri.len);
    struct cp_buf base = cp_buf_new(m->mem);
    struct cp_target *to = NULL;
    copal_msg *copy = NULL;
    copal_bytes written;
    int err = text == NULL ? COPAL_ENOMEM : cp_target_find(m->mem, text, &to);

    if (err == 0) {
        cp_uri_put_base(&base, to->scheme, to->host, to->port);
        err = cp_buf_finish(&base, &written);
    }
    if (err == 0 && (copy = cp_msg_derive(m)) == NULL)
        err = COPAL_ENOMEM;
    if (err == 0) {
        cp_msg_remove(copy, COPAL_OPT_PROXY_URI);
        err = cp_msg_add(copy, COPAL_OPT_PROXY_URI, written);
        if (err == 0)
            err = add_parts(copy, to);
    }
    if (err != 0)
        copal_msg_unref(copy);
    else
        *out = copy;
    cp_buf_free(&base);
    cp_target_unref(m->mem, to);
    cp_free(m->mem, text);
    return err;
}

/* ---- Requests ---- */

static int seal_for(struct cp_oscore *all, const struct cp_oscore_context *c,
                    const struct cp_oscore_bound *bound,
                    const struct cp_oscore_option *head, const copal_msg *m,
                    copal_msg **out)
{
    copal_msg *parted;
    int err;

    if (!cp_msg_has(m, COPAL_OPT_PROXY_URI))
        return cp_oscore_seal(all->aeads, &c->keys, bound, head, m, out);
    err = for_proxy(m, &parted);
    if (err != 0)
        return err;
    err = cp_oscore_seal(all->aeads, &c->keys, bound, head, parted, out);
    copal_msg_unref(parted);
    return err;
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
    err = seal_for(all, c, &bound, &head, m, out);
    if (err != 0)
        cp_guard_unref(&g->guard);
    else
        *guard = &g->guard;
    return err;
}
