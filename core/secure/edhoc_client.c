/* Whom we ask: the Initiator. The first request to a host under a scope of EDHOC
 * waits, as do those after it, until there is a context that they are sealed
 * with; RFC 9528 A.2.1. */
#include "engine/ask.h"
#include "engine/core.h"
#include "engine/record.h"
#include "engine/trace.h"
#include "secure/edhoc_keying.h"

#include <stdarg.h>
#include <stdio.h>

enum {
    COMBINED = 256, /* bytes of a message 3 that goes along, at most */
    MOST = 1024,    /* hosts at once, while others can give way */
    TRIES = 8       /* suites that are tried, one after the other */
};

/* ---- Life ---- */

void cp_keying_free(struct cp_guard *g)
{
    struct cp_keying *k = cp_keying_of(g);
    struct cp_mem *mem = k->mem;

    cp_edhoc_scope_unref(k->scope);
    cp_buf_free(&k->message_3);
    cp_free(mem, k->base);
    cp_free(mem, k->host);
    cp_free(mem, k);
}

void cp_keying_drop_context(struct cp_keying *k)
{
    struct cp_guard *context = k->context;

    k->context = NULL;
    if (context == NULL)
        return;
    cp_oscore_retire(k->hub->oscore, context);
    cp_guard_unref(context);
}

/* Nothing is under way any more. */
void cp_keying_stop(struct cp_keying *k)
{
    copal_exchange *x = k->x;

    k->x = NULL;
    cp_timer_stop(&k->hub->engine->timers, &k->timer);
    cp_edhoc_work_end(&k->work);
    k->message_3.len = 0;
    k->is_alone = false;
    if (x != NULL)
        copal_exchange_unref(x);
}

/* The hub lets go of it. */
static void forget(struct cp_keying *k)
{
    cp_keying_stop(k);
    cp_keying_drop_context(k);
    cp_list_remove(&k->node);
    k->hub->keying_count--;
    k->hub = NULL;
    k->state = CP_KEYING_CLEARED;
    cp_guard_unref(&k->guard);
}

/* The oldest that no request holds on to. */
static void make_room(struct cp_edhoc_hub *hub)
{
    list_each (node, after, &hub->keyings) {
        struct cp_keying *k = cp_container_of(node, struct cp_keying, node);

        if (hub->keying_count < MOST)
            return;
        if (k->guard.refs == 1)
            forget(k);
    }
}

struct cp_keying *cp_keying_new(struct cp_edhoc_hub *hub,
                                struct cp_edhoc_scope *scope, const char *base,
                                const char *host)
{
    struct cp_keying *k;

    make_room(hub);
    k = cp_zalloc(hub->mem, sizeof(*k));
    if (k == NULL)
        return NULL;
    k->guard.refs = 1;
    k->guard.free = cp_keying_free;
    k->guard.whose = k;
    k->mem = hub->mem;
    k->message_3 = cp_buf_new(hub->mem);
    k->base = cp_copy_text(hub->mem, base, strlen(base));
    k->host = cp_copy_text(hub->mem, host, strlen(host));
    k->scope = cp_edhoc_scope_ref(scope);
    cp_list_init(&k->node);
    if (k->base == NULL || k->host == NULL) {
        cp_guard_unref(&k->guard);
        return NULL;
    }
    k->hub = hub;
    cp_list_append(&hub->keyings, &k->node);
    hub->keying_count++;
    return k;
}

void cp_edhoc_client_forget(struct cp_edhoc_hub *hub,
                            const struct cp_edhoc_scope *scope)
{
    list_each (node, after, &hub->keyings) {
        struct cp_keying *k = cp_container_of(node, struct cp_keying, node);

        if (k->scope == scope)
            forget(k);
    }
}

void cp_edhoc_client_clear(struct cp_edhoc_hub *hub)
{
    list_each (node, after, &hub->keyings)
        forget(cp_container_of(node, struct cp_keying, node));
}

bool cp_edhoc_client_has(const struct cp_edhoc_hub *hub, copal_bytes cid)
{
    list_each (node, after, &hub->keyings) {
        struct cp_keying *k = cp_container_of(node, struct cp_keying, node);

        if (k->work.scope != NULL &&
            cp_bytes_equal(cp_edhoc_cid_bytes(&k->work.session.c_i), cid))
            return true;
    }
    return false;
}

/* ---- Ends ---- */

static void trace(struct cp_keying *k, const char *what)
{
    char line[640];

    snprintf(line, sizeof(line), "EDHOC: %.300s: %.300s", k->base, what);
    cp_trace_security(k->hub->engine, "handshake", line);
}

/* What waits for it fails with that; the next request tries anew. */
static void fail(struct cp_keying *k, int status, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
static void fail(struct cp_keying *k, int status, const char *format, ...)
{
    char why[200], line[256];
    va_list list;

    va_start(list, format);
    vsnprintf(why, sizeof(why), format, list);
    va_end(list);
    snprintf(line, sizeof(line), "EDHOC failed: %s", why);
    trace(k, why);
    cp_keying_stop(k);
    k->state = CP_KEYING_IDLE;
    k->tries = 0;
    cp_guard_ready(k->hub->engine, &k->guard, status, line);
}

/* The context takes the place of the one before. */
static int install(struct cp_keying *k)
{
    struct cp_guard *context = NULL;
    int err = cp_edhoc_work_install(&k->work, &context);
    char line[256];

    if (err != 0)
        return err;
    cp_keying_drop_context(k);
    k->context = context;
    k->is_proven = false;
    snprintf(line, sizeof(line), "method %d, suite %d with %s",
             k->work.session.method, k->work.session.schedule.suite->number,
             k->work.session.peer);
    trace(k, line);
    cp_keying_stop(k);
    k->state = CP_KEYING_KEYED;
    k->tries = 0;
    return 0;
}

static void succeed(struct cp_keying *k)
{
    int err = install(k);

    if (err != 0)
        fail(k, err, "%s", copal_strerror(err));
    else
        cp_guard_ready(k->hub->engine, &k->guard, 0, NULL);
}

/* The request that message 3 went with was not answered in time. */
static void on_silence(struct cp_timer *t)
{
    struct cp_keying *k = cp_container_of(t, struct cp_keying, timer);

    cp_keying_drop_context(k);
    fail(k, COPAL_ETIMEOUT, "the peer did not answer the last message");
}

/* Message 3 waits for a request to go along with, the first of those that wait.
 * RFC 9668 3.2. */
static void combine(struct cp_keying *k, copal_bytes message_3)
{
    struct cp_engine *e = k->hub->engine;
    struct cp_buf kept = cp_buf_new(k->mem);
    int err;

    cp_put_bytes(&kept, message_3);
    err = kept.failed ? COPAL_ENOMEM : install(k);
    if (err != 0) {
        cp_buf_free(&kept);
        fail(k, err, "%s", copal_strerror(err));
        return;
    }
    cp_buf_free(&k->message_3);
    k->message_3 = kept;
    cp_timer_start(&e->timers, &k->timer,
                   e->now + (uint64_t)cp_engine_param(e, COPAL_P_EDHOC_TIMEOUT),
                   on_silence);
    cp_guard_ready(e, &k->guard, 0, NULL);
}

/* ---- Asking ---- */

static void on_event(const copal_event *ev, void *user);

static void let_go(void *user)
{
    cp_guard_unref(&((struct cp_keying *)user)->guard);
}

/* POSTs prefix and message; *out is ref'd. */
static int post(struct cp_keying *k, copal_bytes prefix, copal_bytes message,
                copal_exchange **out)
{
    struct cp_engine *e = k->hub->engine;
    copal_msg *m = cp_msg_new(k->mem, COPAL_POST, 0);
    struct cp_buf body = cp_buf_new(k->mem);
    char uri[600];
    unsigned was = cp_record_inner(e);
    int err = m == NULL ? COPAL_ENOMEM : 0;

    snprintf(uri, sizeof(uri), "%s" CP_EDHOC_PATH, k->base);
    cp_put_bytes(&body, prefix);
    cp_put_bytes(&body, message);
    if (body.failed)
        err = COPAL_ENOMEM;
    if (err == 0)
        err = copal_msg_set_uri(m, uri);
    if (err == 0)
        err = copal_msg_set_payload(m, CP_EDHOC_CID_FORMAT,
                                    cp_bytes(body.data, body.len));
    if (err == 0)
        err = copal_msg_tune(m, COPAL_P_TIMEOUT,
                             cp_engine_param(e, COPAL_P_EDHOC_TIMEOUT));
    if (err == 0) {
        cp_guard_ref(&k->guard);
        *out = cp_ask_start(e, m, COPAL_CB_OWN(on_event, k, let_go));
        err = *out == NULL ? COPAL_ENOMEM : 0;
        copal_exchange_ref(*out);
    }
    cp_record_return(e, was);
    cp_buf_free(&body);
    copal_msg_unref(m);
    return err;
}

static void ask_1(struct cp_keying *k)
{
    static const uint8_t is_first = 0xf5; /* true */
    copal_bytes out;
    int err;

    k->state = CP_KEYING_ASKS;
    k->asks_3 = false;
    cp_edhoc_work_begin(&k->work, k->hub, k->scope, k->host);
    err = cp_edhoc_begin(&k->work.session, k->selected, &out);
    if (err == 0)
        err = post(k, cp_bytes(&is_first, 1), out, &k->x);
    if (err != 0)
        fail(k, err, "%s",
             k->work.session.why[0] != '\0' ? k->work.session.why
                                            : copal_strerror(err));
}

static void on_timer(struct cp_timer *t)
{
    ask_1(cp_container_of(t, struct cp_keying, timer));
}

/* Not now: who waits is amid sending. */
void cp_keying_begin(struct cp_keying *k)
{
    struct cp_engine *e = k->hub->engine;

    k->state = CP_KEYING_ASKS;
    cp_timer_start(&e->timers, &k->timer, e->now, on_timer);
    cp_engine_wake(e);
}

/* ---- Hearing ---- */

/* The peer has other suites: once more with one of them. RFC 9528 6.3. */
static bool tries_another(struct cp_keying *k,
                          const struct cp_edhoc_error *error)
{
    int next;

    if (error->code != CP_EDHOC_WRONG_SUITE || k->asks_3)
        return false;
    next = cp_edhoc_negotiate(&k->scope->suites, &error->suites);
    if (next < 0 || (size_t)next == k->selected || ++k->tries > TRIES)
        return false;
    k->selected = (size_t)next;
    cp_keying_stop(k);
    cp_keying_begin(k);
    return true;
}

static void hear_error(struct cp_keying *k, const copal_msg *m)
{
    copal_bytes body = copal_msg_payload(m);
    struct cp_edhoc_error error;
    int len = (int)(body.len < 80 ? body.len : 80);

    if (copal_msg_format(m) != CP_EDHOC_FORMAT ||
        cp_edhoc_read_error(body, &error) != 0) {
        bool is_text = copal_msg_format(m) == COPAL_NO_FORMAT;

        fail(k, COPAL_EAUTH, "answered by %s%s%.*s",
             copal_name(COPAL_CODES, copal_msg_code(m)),
             is_text && len > 0 ? ", " : "", is_text ? len : 0,
             (const char *)body.data);
        return;
    }
    if (tries_another(k, &error))
        return;
    switch (error.code) {
    case CP_EDHOC_WRONG_SUITE:
        fail(k, COPAL_EAUTH, "the peer has none of our suites");
        break;
    case CP_EDHOC_UNKNOWN_CREDENTIAL:
        fail(k, COPAL_EAUTH,
             "the peer does not know our credential; give it there, or send "
             "it by value");
        break;
    default:
        fail(k, COPAL_EAUTH, "the peer says: %.*s",
             (int)(error.text.len < 120 ? error.text.len : 120),
             (const char *)error.text.data);
    }
}

/* The error message goes to the peer, and nobody waits for what it says. */
static void tell(struct cp_keying *k, copal_bytes error)
{
    struct cp_buf prefix = cp_buf_new(k->mem);
    copal_exchange *x = NULL;

    cp_edhoc_put_cid(&prefix, cp_edhoc_cid_bytes(&k->work.session.c_r));
    if (!prefix.failed && error.len > 0 && k->work.session.c_r.len > 0 &&
        post(k, cp_bytes(prefix.data, prefix.len), error, &x) == 0)
        copal_exchange_unref(x);
    cp_buf_free(&prefix);
}

static void hear_2(struct cp_keying *k, const copal_msg *m)
{
    struct cp_edhoc *s = &k->work.session;
    struct cp_buf prefix = cp_buf_new(k->mem);
    copal_exchange *next = NULL;
    copal_bytes out;
    int err = cp_edhoc_take_2(s, copal_msg_payload(m), &out);

    if (err != 0) {
        tell(k, out);
        fail(k, err, "%s", s->why);
        return;
    }
    if (k->scope->combined && out.len <= COMBINED) {
        combine(k, out);
        return;
    }
    cp_edhoc_put_cid(&prefix, cp_edhoc_cid_bytes(&s->c_r));
    k->asks_3 = true;
    err = prefix.failed
              ? COPAL_ENOMEM
              : post(k, cp_bytes(prefix.data, prefix.len), out, &next);
    cp_buf_free(&prefix);
    if (err != 0) {
        fail(k, err, "%s", copal_strerror(err));
        return;
    }
    copal_exchange_unref(k->x);
    k->x = next;
}

/* Message 4 may be there, or not: the first protected answer says as much. */
static void hear_4(struct cp_keying *k, const copal_msg *m)
{
    struct cp_edhoc *s = &k->work.session;
    copal_bytes body = copal_msg_payload(m), out;
    int err = body.len == 0 ? 0 : cp_edhoc_take_4(s, body, &out);

    if (err != 0)
        fail(k, err, "%s", s->why);
    else
        succeed(k);
}

static void hear(struct cp_keying *k, const copal_msg *m)
{
    if (copal_msg_code(m) != COPAL_CHANGED)
        hear_error(k, m);
    else if (k->asks_3)
        hear_4(k, m);
    else
        hear_2(k, m);
}

static void on_event(const copal_event *ev, void *user)
{
    struct cp_keying *k = user;

    if (k->hub == NULL || ev->exchange != k->x)
        return; /* not waited for any more */
    if (ev->kind == COPAL_RESPONSE)
        hear(k, ev->msg);
    else if (ev->kind == COPAL_END)
        fail(k, ev->status != 0 ? ev->status : COPAL_EAUTH, "%s", ev->text);
}
