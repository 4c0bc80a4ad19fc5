/* Requests and answers that come. RFC 8613 8.2, 8.4. */
#include "secure/oscore_context.h"
#include "engine/core.h"
#include "engine/trace.h"

/* ---- The option ---- */

/* Its parts; false: it cannot be told what was sealed, or nothing was. */
static bool read_head(const copal_msg *m, struct cp_oscore_option *head)
{
    const struct cp_option *found = NULL;

    for (size_t i = 0; i < m->option_count; i++) {
        if (m->options[i].number != COPAL_OPT_OSCORE)
            continue;
        if (found != NULL)
            return false;
        found = &m->options[i];
    }
    return found != NULL && m->payload.len > 0 &&
           cp_oscore_option_decode(cp_msg_option_value(m, found), head) == 0;
}

/* ---- Requests ---- */

/* Unsealed, and nothing to be kept by who passes it on. RFC 8613 8.2. */
static int refuse(struct cp_oscore *all, const copal_msg *m, int code,
                  const char *why, copal_msg **answer)
{
    copal_msg *a = cp_msg_new(m->mem, code, 40);

    cp_trace_security(all->engine, "oscore", why);
    if (a == NULL || cp_msg_add_uint(a, COPAL_OPT_MAX_AGE, 0) != 0 ||
        cp_msg_append_payload(a, cp_bytes_of_text(why)) != 0) {
        copal_msg_unref(a);
        return COPAL_ENOMEM;
    }
    *answer = a;
    return CP_GUARD_REFUSED;
}

/* Sealed, with a number of our own: the window is not to be trusted, so the
 * request may have come before. RFC 8613 B.1.2. */
static int ask_for_echo(struct cp_oscore_context *c, struct cp_oscore_guard *g,
                        copal_msg **answer)
{
    uint8_t echo[CP_OSCORE_ECHO];
    copal_msg *a = cp_msg_new(c->mem, COPAL_UNAUTHORIZED, 16);

    g->nonce_used = true;
    if (a == NULL || cp_oscore_state_echo(c, echo) != 0 ||
        cp_msg_add(a, COPAL_OPT_ECHO, cp_bytes(echo, sizeof(echo))) != 0) {
        copal_msg_unref(a);
        return COPAL_ENOMEM;
    }
    cp_trace_security(c->all->engine, "oscore", "asked for an Echo");
    *answer = a;
    return CP_GUARD_REFUSED;
}

static bool brings_echo(struct cp_oscore_context *c, const copal_msg *m)
{
    const struct cp_option *o = cp_msg_find(m, COPAL_OPT_ECHO);

    return o != NULL && cp_oscore_state_is_echo(c, cp_msg_option_value(m, o));
}

/* m is genuine: it gets what its answers need. */
static int take(struct cp_oscore_context *c, copal_msg *m, uint64_t seq,
                const struct cp_oscore_bound *bound, copal_msg **answer)
{
    struct cp_oscore_guard *g = cp_oscore_guard_new(c, bound);

    if (g == NULL)
        return COPAL_ENOMEM;
    m->guard = &g->guard;
    m->identity = c->identity;
    m->names_guard = true;
    if (c->is_synced) {
        cp_oscore_window_note(&c->window, seq);
        return CP_GUARD_DONE;
    }
    if (!brings_echo(c, m))
        return ask_for_echo(c, g, answer);
    cp_oscore_window_begin(&c->window, seq);
    c->is_synced = true;
    return CP_GUARD_DONE;
}

int cp_oscore_in_by(struct cp_oscore *all, struct cp_oscore_context *c,
                    const struct cp_oscore_option *head, copal_msg **m,
                    copal_msg **answer)
{
    uint64_t seq = cp_bytes_uint(head->piv);
    struct cp_oscore_bound bound;
    int err;

    if (!c->is_known ||
        (c->next >= c->ceiling && c->ceiling <= CP_OSCORE_LAST_SEQ)) {
        cp_oscore_state_want(c);
        return COPAL_ESTATE; /* what needs a number could not be answered */
    }
    if (c->is_synced && !cp_oscore_window_is_new(&c->window, seq))
        return COPAL_EEXIST;
    cp_oscore_bind(&bound, head->kid, head->piv);
    cp_oscore_bind_aad(&bound, &c->keys);
    err = cp_oscore_open_as(all->aeads, &c->keys, &bound, head, m);
    if (err == 0)
        return take(c, *m, seq, &bound, answer);
    if (err == COPAL_EFORMAT && c->is_synced)
        cp_oscore_window_note(&c->window, seq);
    return err;
}

static bool is_meant(const struct cp_oscore_context *c,
                     const struct cp_oscore_option *head)
{
    if (!head->has_context)
        return true;
    return c->has_id_context &&
           cp_bytes_equal(head->context, cp_oscore_id_context(c));
}

int cp_oscore_in_request(void *user, copal_msg **m, copal_msg **answer)
{
    struct cp_oscore *all = user;
    struct cp_oscore_option head;
    int err = COPAL_ENOENT;

    if (cp_msg_find(*m, COPAL_OPT_NO_RESPONSE) != NULL) /* 4.1.3.6 */
        cp_msg_remove(*m, COPAL_OPT_NO_RESPONSE);
    if (!read_head(*m, &head) || !head.has_kid || head.piv.len == 0)
        return refuse(all, *m, COPAL_BAD_OPTION, "Failed to decode COSE",
                      answer);
    /* Where the context is not said there may be several: RFC 8613 5.1. */
    for (struct cp_oscore_context *c = cp_oscore_by_kid(all, head.kid);
         c != NULL; c = cp_oscore_next(c, head.kid)) {
        if (c->derives == NULL && !is_meant(c, &head))
            continue;
        err = c->derives != NULL
                  ? cp_oscore_rederive_request(all, c, &head, m, answer)
                  : cp_oscore_in_by(all, c, &head, m, answer);
        if (err != COPAL_EAUTH && err != COPAL_EEXIST && err != COPAL_ENOENT)
            break;
    }
    switch (err) {
    case COPAL_ENOENT:
        return refuse(all, *m, COPAL_UNAUTHORIZED, "Security context not found",
                      answer);
    case COPAL_EEXIST:
        return refuse(all, *m, COPAL_UNAUTHORIZED, "Replay detected", answer);
    case COPAL_EAUTH:
    case COPAL_EFORMAT:
        return refuse(all, *m, COPAL_BAD_REQUEST, "Decryption failed", answer);
    default: return err;
    }
}

/* ---- Answers ---- */

/* Their order is that of their Partial IVs; one may be without, and is the
 * oldest. RFC 8613 7.4.1, 8.4.2. */
static bool is_newest(const struct cp_oscore_guard *g,
                      const struct cp_oscore_option *head)
{
    if (head->piv.len == 0)
        return !g->nonce_used && !g->has_number;
    return !g->has_number || cp_bytes_uint(head->piv) > g->number;
}

/* What is above knows the order by Observe. */
static int number(struct cp_oscore_guard *g,
                  const struct cp_oscore_option *head, copal_msg *inner)
{
    if (!g->observes)
        return COPAL_EAUTH; /* RFC 8613 4.1.3.5.2 */
    if (!is_newest(g, head))
        return COPAL_EEXIST;
    cp_msg_remove(inner, COPAL_OPT_OBSERVE);
    if (cp_msg_add_uint(inner, COPAL_OPT_OBSERVE, g->count + 1) != 0)
        return COPAL_ENOMEM;
    g->count = (g->count + 1) & 0xffffff;
    if (head->piv.len > 0) {
        g->has_number = true;
        g->number = cp_bytes_uint(head->piv);
    }
    return 0;
}

int cp_oscore_in_answer(void *user, struct cp_guard *guard, copal_msg **m)
{
    struct cp_oscore *all = user;
    struct cp_oscore_guard *g = cp_oscore_guard_of(guard);
    struct cp_oscore_context *c = g->context;
    struct cp_oscore_option head;
    uint8_t piv[CP_OSCORE_PIV]; /* head's stands in *m, which goes */
    copal_msg *inner;
    int err;

    if (!read_head(*m, &head) ||
        (head.has_kid &&
         !cp_bytes_equal(head.kid, cp_oscore_recipient(&c->keys))))
        return COPAL_EAUTH;
    if (head.has_context && c->root != NULL)
        return cp_oscore_rederive_answer(all, g, &head, *m);
    if (head.piv.len > 0) {
        memcpy(piv, head.piv.data, head.piv.len);
        head.piv.data = piv;
    }
    err = cp_oscore_open_as(all->aeads, &c->keys, &g->bound, &head, m);
    if (err != 0)
        return err == COPAL_EFORMAT ? COPAL_EAUTH : err;
    inner = *m;
    inner->guard = cp_guard_ref(guard);
    inner->identity = c->identity;
    inner->names_guard = true;
    if (cp_msg_has(inner, COPAL_OPT_OBSERVE))
        err = number(g, &head, inner);
    if (err == 0 && head.piv.len == 0)
        g->nonce_used = true;
    return err;
}
