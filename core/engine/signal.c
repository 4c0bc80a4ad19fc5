/* What the two ends of a connection tell each other. RFC 8323 5. */
#include "engine/ask.h"
#include "engine/connection.h"
#include "engine/core.h"
#include "engine/observe_core.h"
#include "engine/trace.h"

enum {
    CSM = COPAL_CODE(7, 1),
    PING = COPAL_CODE(7, 2),
    PONG = COPAL_CODE(7, 3),
    RELEASE = COPAL_CODE(7, 4),
    ABORT = COPAL_CODE(7, 5),

    /* Option numbers mean something for one code only: RFC 8323 5.1 */
    MAX_MESSAGE_SIZE = 2,
    BLOCK_WISE_TRANSFER = 4,
    EXTENDED_TOKEN_LENGTH = 6,
    CUSTODY = 2,
    BAD_CSM_OPTION = 2,

    LONGEST_TOKEN = 65804 /* RFC 8974 2.2.1 */
};

static int send(struct cp_connection *c, copal_msg *m, copal_bytes token)
{
    int err = m == NULL ? COPAL_ENOMEM : 0;

    if (err == 0) {
        m->frozen = true;
        err = cp_connection_send(c->link, m, token);
    }
    copal_msg_unref(m);
    cp_engine_wake(c->engine);
    return err;
}

/* ---- CSM ---- */

int cp_signal_csm(struct cp_connection *c)
{
    const int64_t *p = c->engine->params.value;
    copal_msg *m = cp_msg_new(c->engine->mem, CSM, 16);
    int err = m == NULL ? COPAL_ENOMEM : 0;

    if (err == 0)
        err = cp_msg_add_uint(m, MAX_MESSAGE_SIZE,
                              (uint64_t)p[COPAL_P_MAX_MESSAGE]);
    if (err == 0)
        err = cp_msg_add(m, BLOCK_WISE_TRANSFER, (copal_bytes){0});
    if (err == 0 && p[COPAL_P_MAX_TOKEN] > 8)
        err = cp_msg_add_uint(m, EXTENDED_TOKEN_LENGTH,
                              (uint64_t)p[COPAL_P_MAX_TOKEN]);
    if (err != 0) {
        copal_msg_unref(m);
        return err;
    }
    return send(c, m, (copal_bytes){0});
}

/* Options of signals are not those of the table. Of a repeated one the first
 * counts: RFC 7252 5.4.5. */
static bool is_again(const copal_msg *m, size_t i)
{
    return i > 0 && m->options[i - 1].number == m->options[i].number;
}

/* The first critical option, none of which is known; 0: there is none. RFC 8323
 * 5.2. */
static unsigned critical_of(const copal_msg *m)
{
    for (size_t i = 0; i < m->option_count; i++)
        if (m->options[i].number % 2 == 1)
            return m->options[i].number;
    return 0;
}

/* Each CSM is added to those before: what it does not name stays. */
static void on_csm(struct cp_connection *c, const copal_msg *m)
{
    bool is_first = !c->heard_csm;

    for (size_t i = 0; i < m->option_count; i++) {
        copal_bytes value = cp_msg_option_value(m, &m->options[i]);
        uint64_t n = value.len <= 4 ? cp_bytes_uint(value) : 0;

        if (is_again(m, i))
            continue;
        switch (m->options[i].number) {
        case MAX_MESSAGE_SIZE:
            if (value.len <= 4)
                c->peer.max_message = n;
            break;
        case BLOCK_WISE_TRANSFER: c->peer.block_wise = true; break;
        case EXTENDED_TOKEN_LENGTH:
            if (value.len <= 3 && n >= 8)
                c->peer.max_token =
                    n > LONGEST_TOKEN ? LONGEST_TOKEN : (uint32_t)n;
            break;
        default: break;
        }
    }
    c->heard_csm = true;
    if (is_first)
        cp_room_hold(c);
    if (is_first && c->link->ops->agreed != NULL)
        c->link->ops->agreed(c->link);
}

/* ---- Ping and Pong ---- */

static void pong(struct cp_connection *c, copal_bytes token, bool with_custody)
{
    copal_msg *m = cp_msg_new(c->engine->mem, PONG, 4);

    if (m != NULL && with_custody &&
        cp_msg_add(m, CUSTODY, (copal_bytes){0}) != 0) {
        copal_msg_unref(m);
        m = NULL;
    }
    send(c, m, token);
}

static bool owes_answers(const struct cp_connection *c)
{
    list_each (node, after, &c->exchanges)
        if (!cp_container_of(node, copal_exchange, of_connection)->is_ask)
            return true;
    return false;
}

void cp_signal_settle(struct cp_connection *c)
{
    if (!c->owes_custody || owes_answers(c))
        return;
    c->owes_custody = false;
    pong(c, cp_bytes(c->custody, c->custody_len), true);
}

/* With Custody it is answered once all that came before it was. Of several
 * that wait, those before the newest get a Pong that promises nothing. */
static void on_ping(struct cp_connection *c, const copal_msg *m)
{
    if (!cp_msg_has(m, CUSTODY) || m->token.len > sizeof(c->custody)) {
        pong(c, m->token, false);
        return;
    }
    if (c->owes_custody)
        pong(c, cp_bytes(c->custody, c->custody_len), false);
    if (m->token.len > 0)
        memcpy(c->custody, m->token.data, m->token.len);
    c->custody_len = (uint8_t)m->token.len;
    c->owes_custody = true;
    cp_signal_settle(c);
}

int cp_signal_ping(struct cp_connection *c, copal_bytes token)
{
    return send(c, cp_msg_new(c->engine->mem, PING, 0), token);
}

/* The user's that waits longest. */
static struct cp_ask *first_ping(const struct cp_connection *c)
{
    list_each (node, after, &c->exchanges) {
        copal_exchange *x =
            cp_container_of(node, copal_exchange, of_connection);

        if (x->is_ask && cp_ask_of(x)->is_ping)
            return cp_ask_of(x);
    }
    return NULL;
}

/* Ours to keep the connection have no token; those of users one each, which
 * some peers leave out of their Pong, though RFC 8323 5.4 demands it. */
static void on_pong(struct cp_connection *c, const copal_msg *m)
{
    struct cp_token *t = cp_token_find(c->engine, m->token);
    bool was_ours = c->pinged_at != 0;

    c->pinged_at = 0;
    if (m->token.len == 0 && !was_ours && first_ping(c) != NULL) {
        cp_ask_finish(&first_ping(c)->x, 0, "");
        return;
    }
    for (; t != NULL; t = cp_token_next(t)) {
        struct cp_ask *a = cp_ask_of(t->x);

        if (a->is_ping && a->way.link == c->link) {
            cp_ask_finish(t->x, 0, "");
            return;
        }
    }
}

/* ---- Release and Abort ---- */

void cp_signal_release(struct cp_connection *c)
{
    if (c->is_closing)
        return;
    c->is_released = true;
    send(c, cp_msg_new(c->engine->mem, RELEASE, 0), (copal_bytes){0});
}

/* What is asked already is still answered; observations end, and who watches
 * registers by another connection. */
static void on_release(struct cp_connection *c)
{
    c->is_released = true;
    cp_trace_state(c->engine, "released", "by the peer");
    cp_observer_link_gone(c->engine, c->link, &c->path.remote);
    list_each (node, after, &c->exchanges) {
        copal_exchange *x =
            cp_container_of(node, copal_exchange, of_connection);

        if (x->is_ask && cp_ask_of(x)->is_observed)
            cp_exchange_fail(x, COPAL_ECLOSED,
                             "%s: the server closes the connection; observe "
                             "again",
                             copal_msg_uri(x->request));
    }
    if (cp_list_empty(&c->exchanges))
        cp_connection_close(c);
}

void cp_signal_abort(struct cp_connection *c, unsigned bad_csm, const char *why)
{
    copal_msg *m;

    if (c->is_closing)
        return;
    cp_trace_state(c->engine, "aborted", why);
    m = cp_msg_new(c->engine->mem, ABORT, 4);
    if (m != NULL && bad_csm != 0 &&
        cp_msg_add_uint(m, BAD_CSM_OPTION, bad_csm) != 0) {
        copal_msg_unref(m);
        m = NULL;
    }
    if (m != NULL && cp_msg_copy_payload(m, cp_bytes_of_text(why)) != 0) {
        copal_msg_unref(m);
        m = NULL;
    }
    send(c, m, (copal_bytes){0}); /* without memory it is closed in silence */
    cp_connection_close(c);
}

/* ---- All of them ---- */

void cp_signal_hear(struct cp_connection *c, copal_msg *m)
{
    unsigned critical = critical_of(m);

    if (m->code == ABORT) {
        cp_trace_state(c->engine, "aborted", "by the peer");
        cp_connection_close(c);
    } else if (critical != 0) {
        cp_signal_abort(c, m->code == CSM ? critical : 0,
                        "critical option not understood");
    } else if (cp_flood_is_on(&c->signals, c->engine->now)) {
        cp_engine_limited(c->engine, "signals");
        cp_signal_abort(c, 0, "too many signals");
    } else if (m->code == CSM) {
        on_csm(c, m);
    } else if (m->code == PING) {
        on_ping(c, m);
    } else if (m->code == PONG) {
        on_pong(c, m);
    } else if (m->code == RELEASE) {
        on_release(c);
    } else { /* RFC 8323 5.1 leaves it open */
        c->engine->stats.rejected++;
    }
}
