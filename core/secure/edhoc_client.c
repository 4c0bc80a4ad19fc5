/* Whom we ask: the Initiator. The first request to a host under a scope of EDHOC
 * waits, as do those after it, until there is a context that they are sealed
 * with; RFC 9528 A.2.1. */
#include "engine/ask.h"
#include "engine/core.h"
#include "engine/record.h"
#include "engine/trace.h"
#include "secure/edhoc_hub.h"
#include "secure/scope.h"
#include "wire/target.h"
#include "wire/uri.h"

#include <stdarg.h>
#include <stdio.h>

enum {
    COMBINED = 256, /* bytes of a message 3 that goes along, at most */
    MOST = 1024,    /* hosts at once, while others can give way */
    TRIES = 8       /* suites that are tried, one after the other */
};

enum state {
    IDLE,    /* nothing was asked yet, or a request failed by it */
    ASKS,    /* message 1 or 3 is under way, or about to be */
    KEYED,   /* there is a context */
    CLEARED, /* the endpoint ends */
};

/* One host, and what protects requests to it. Requests hold on to it. */
struct keying {
    struct cp_guard guard;
    struct cp_edhoc_hub *hub; /* NULL: the endpoint has ended */
    struct cp_mem *mem;
    struct cp_list node;          /* in hub->keyings */
    struct cp_edhoc_scope *scope; /* ref'd */
    char *base, *host;
    uint8_t state;
    bool is_alone;  /* message 3 is on its way with a request: others wait */
    bool is_proven; /* the context was good for an answer */
    bool asks_3;    /* message 3 is under way, not 1 */
    uint8_t tries;
    size_t selected; /* of the scope's suites */
    struct cp_timer timer;
    struct cp_edhoc_work work;
    copal_exchange *x;        /* under way; ref'd */
    struct cp_buf message_3;  /* to go along with a request; empty: none is */
    struct cp_guard *context; /* ref'd; NULL: none */
};

static struct keying *keying_of(const struct cp_guard *g)
{
    return cp_container_of((struct cp_guard *)g, struct keying, guard);
}

/* ---- Life ---- */

static void keying_free(struct cp_guard *g)
{
    struct keying *k = keying_of(g);
    struct cp_mem *mem = k->mem;

    cp_edhoc_scope_unref(k->scope);
    cp_buf_free(&k->message_3);
    cp_free(mem, k->base);
    cp_free(mem, k->host);
    cp_free(mem, k);
}

static void drop_context(struct keying *k)
{
    struct cp_guard *context = k->context;

    k->context = NULL;
    if (context == NULL)
        return;
    cp_oscore_retire(k->hub->oscore, context);
    cp_guard_unref(context);
}

/* Nothing is under way any more. */
static void stop(struct keying *k)
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
static void forget(struct keying *k)
{
    stop(k);
    drop_context(k);
    cp_list_remove(&k->node);
    k->hub->keying_count--;
    k->hub = NULL;
    k->state = CLEARED;
    cp_guard_unref(&k->guard);
}

/* The oldest that no request holds on to. */
static void make_room(struct cp_edhoc_hub *hub)
{
    list_each (node, after, &hub->keyings) {
        struct keying *k = cp_container_of(node, struct keying, node);

        if (hub->keying_count < MOST)
            return;
        if (k->guard.refs == 1)
            forget(k);
    }
}

static struct keying *keying_new(struct cp_edhoc_hub *hub,
                                 struct cp_edhoc_scope *scope, const char *base,
                                 const char *host)
{
    struct keying *k;

    make_room(hub);
    k = cp_zalloc(hub->mem, sizeof(*k));
    if (k == NULL)
        return NULL;
    k->guard.refs = 1;
    k->guard.free = keying_free;
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
        struct keying *k = cp_container_of(node, struct keying, node);

        if (k->scope == scope)
            forget(k);
    }
}

void cp_edhoc_client_clear(struct cp_edhoc_hub *hub)
{
    list_each (node, after, &hub->keyings)
        forget(cp_container_of(node, struct keying, node));
}

bool cp_edhoc_client_has(const struct cp_edhoc_hub *hub, copal_bytes cid)
{
    list_each (node, after, &hub->keyings) {
        struct keying *k = cp_container_of(node, struct keying, node);

        if (k->work.scope != NULL &&
            cp_bytes_equal(cp_edhoc_cid_bytes(&k->work.session.c_i), cid))
            return true;
    }
    return false;
}

/* ---- Ends ---- */

static void trace(struct keying *k, const char *what)
{
    char line[640];

    snprintf(line, sizeof(line), "EDHOC: %.300s: %.300s", k->base, what);
    cp_trace_security(k->hub->engine, "handshake", line);
}

/* What waits for it fails with that; the next request tries anew. */
static void fail(struct keying *k, int status, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
static void fail(struct keying *k, int status, const char *format, ...)
{
    char why[200], line[256];
    va_list list;

    va_start(list, format);
    vsnprintf(why, sizeof(why), format, list);
    va_end(list);
    snprintf(line, sizeof(line), "EDHOC failed: %s", why);
    trace(k, why);
    stop(k);
    k->state = IDLE;
    k->tries = 0;
    cp_guard_ready(k->hub->engine, &k->guard, status, line);
}

/* The context takes the place of the one before. */
static int install(struct keying *k)
{
    struct cp_guard *context = NULL;
    int err = cp_edhoc_work_install(&k->work, &context);
    char line[256];

    if (err != 0)
        return err;
    drop_context(k);
    k->context = context;
    k->is_proven = false;
    snprintf(line, sizeof(line), "method %d, suite %d with %s",
             k->work.session.method, k->work.session.schedule.suite->number,
             k->work.session.peer);
    trace(k, line);
    stop(k);
    k->state = KEYED;
    k->tries = 0;
    return 0;
}

static void succeed(struct keying *k)
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
    struct keying *k = cp_container_of(t, struct keying, timer);

    drop_context(k);
    fail(k, COPAL_ETIMEOUT, "the peer did not answer the last message");
}

/* Message 3 waits for a request to go along with, the first of those that wait.
 * RFC 9668 3.2. */
static void combine(struct keying *k, copal_bytes message_3)
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
    cp_guard_unref(&((struct keying *)user)->guard);
}

/* POSTs prefix and message; *out is ref'd. */
static int post(struct keying *k, copal_bytes prefix, copal_bytes message,
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

static void ask_1(struct keying *k)
{
    static const uint8_t is_first = 0xf5; /* true */
    copal_bytes out;
    int err;

    k->state = ASKS;
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
    ask_1(cp_container_of(t, struct keying, timer));
}

/* Not now: who waits is amid sending. */
static void begin(struct keying *k)
{
    struct cp_engine *e = k->hub->engine;

    k->state = ASKS;
    cp_timer_start(&e->timers, &k->timer, e->now, on_timer);
    cp_engine_wake(e);
}

/* ---- Hearing ---- */

/* The peer has other suites: once more with one of them. RFC 9528 6.3. */
static bool tries_another(struct keying *k, const struct cp_edhoc_error *error)
{
    int next;

    if (error->code != CP_EDHOC_WRONG_SUITE || k->asks_3)
        return false;
    next = cp_edhoc_negotiate(&k->scope->suites, &error->suites);
    if (next < 0 || (size_t)next == k->selected || ++k->tries > TRIES)
        return false;
    k->selected = (size_t)next;
    stop(k);
    begin(k);
    return true;
}

static void hear_error(struct keying *k, const copal_msg *m)
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
static void tell(struct keying *k, copal_bytes error)
{
    struct cp_buf prefix = cp_buf_new(k->mem);
    copal_exchange *x = NULL;

    cp_edhoc_put_cid(&prefix, cp_edhoc_cid_bytes(&k->work.session.c_r));
    if (!prefix.failed && error.len > 0 && k->work.session.c_r.len > 0 &&
        post(k, cp_bytes(prefix.data, prefix.len), error, &x) == 0)
        copal_exchange_unref(x);
    cp_buf_free(&prefix);
}

static void hear_2(struct keying *k, const copal_msg *m)
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
static void hear_4(struct keying *k, const copal_msg *m)
{
    struct cp_edhoc *s = &k->work.session;
    copal_bytes body = copal_msg_payload(m), out;
    int err = body.len == 0 ? 0 : cp_edhoc_take_4(s, body, &out);

    if (err != 0)
        fail(k, err, "%s", s->why);
    else
        succeed(k);
}

static void hear(struct keying *k, const copal_msg *m)
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
    struct keying *k = user;

    if (k->hub == NULL || ev->exchange != k->x)
        return; /* not waited for any more */
    if (ev->kind == COPAL_RESPONSE)
        hear(k, ev->msg);
    else if (ev->kind == COPAL_END)
        fail(k, ev->status != 0 ? ev->status : COPAL_EAUTH, "%s", ev->text);
}

/* ---- As the engine's protection ---- */

static const char *path_of(const char *uri)
{
    const char *path = strstr(uri, "://");

    return path == NULL ? "" : path + 3 + strcspn(path + 3, "/?");
}

/* That path alone is asked without protection: it is to bring it. */
static bool is_edhoc(const char *uri)
{
    const char *path = path_of(uri);
    size_t len = strlen(CP_EDHOC_PATH);

    return strncmp(path, CP_EDHOC_PATH, len) == 0 &&
           (path[len] == '\0' || path[len] == '?');
}

static struct keying *keying_for(struct cp_edhoc_hub *hub,
                                 struct cp_edhoc_scope *scope, const char *base,
                                 const char *host)
{
    list_each (node, after, &hub->keyings) {
        struct keying *k = cp_container_of(node, struct keying, node);

        if (k->scope == scope && strcmp(k->base, base) == 0)
            return k;
    }
    return keying_new(hub, scope, base, host);
}

/* A context given by its own scope goes before: it is there already. */
static struct cp_guard *way(void *user, const struct cp_target *to)
{
    struct cp_edhoc_hub *hub = user;
    struct cp_guard *given = cp_oscore_guard_ops.way(hub->oscore, to);
    struct cp_edhoc_scope *scope;
    char base[400], uri[1024], with_port[1024] = "";
    struct cp_buf b = cp_buf_fixed(base, sizeof(base));
    const char *path = path_of(to->uri);
    struct keying *k;

    if (given != NULL || is_edhoc(to->uri))
        return given;
    cp_uri_put_base(&b, to->scheme, to->host, to->port);
    if (cp_buf_text(&b) == NULL)
        return NULL;
    cp_scope_lower(base);
    snprintf(uri, sizeof(uri), "%s%s%.500s", base, *path == '/' ? "" : "/",
             path);
    if (to->port == cp_scheme_port(to->scheme))
        snprintf(with_port, sizeof(with_port), "%s:%u%s%.500s", base, to->port,
                 *path == '/' ? "" : "/", path);
    scope = cp_edhoc_keys_for(&hub->keys, uri, with_port);
    if (scope == NULL)
        return NULL;
    k = keying_for(hub, scope, base, to->host);
    return k == NULL ? NULL : cp_guard_ref(&k->guard);
}

static bool is_keying(const struct cp_guard *way)
{
    return way->free == keying_free;
}

/* Sealed as it is, with message 3 in front of what is sealed. RFC 9668 3.2. */
static int add_message_3(struct keying *k, struct cp_guard **made,
                         copal_msg **out)
{
    struct cp_buf both = cp_buf_new(k->mem);
    copal_bytes payload;
    int err;

    cp_put_bytes(&both, cp_bytes(k->message_3.data, k->message_3.len));
    cp_put_bytes(&both, copal_msg_payload(*out));
    err = cp_buf_finish(&both, &payload);
    if (err == 0)
        err = cp_msg_add(*out, COPAL_OPT_EDHOC, (copal_bytes){0});
    if (err == 0)
        err = cp_msg_copy_payload(*out, payload);
    cp_buf_free(&both);
    if (err == 0) {
        k->message_3.len = 0;
        k->is_alone = true;
        return 0;
    }
    copal_msg_unref(*out);
    cp_guard_unref(*made);
    *out = NULL;
    *made = NULL;
    return err;
}

static int seal_request(void *user, struct cp_guard *guard, const copal_msg *m,
                        const struct cp_guard *before, struct cp_guard **made,
                        copal_msg **out)
{
    struct cp_edhoc_hub *hub = user;
    struct keying *k = is_keying(guard) ? keying_of(guard) : NULL;
    int err;

    if (k == NULL)
        return cp_oscore_guard_ops.seal_request(hub->oscore, guard, m, before,
                                                made, out);
    if (k->state == CLEARED)
        return COPAL_ECLOSED;
    if (k->state == KEYED && k->is_alone)
        return CP_GUARD_LATER;
    if (k->state == KEYED) {
        err = cp_oscore_guard_ops.seal_request(hub->oscore, k->context, m,
                                               before, made, out);
        if (err == 0 && k->message_3.len > 0)
            err = add_message_3(k, made, out);
        if (err != COPAL_ELIMIT) /* no number is left: RFC 8613 7.2.1 */
            return err;
        k->state = IDLE;
    }
    if (k->state == IDLE)
        begin(k);
    return CP_GUARD_LATER;
}

static void on_released(struct cp_timer *t)
{
    struct keying *k = cp_container_of(t, struct keying, timer);

    cp_guard_ready(k->hub->engine, &k->guard, 0, NULL);
}

/* Who waits goes on; not now, amid hearing. */
static void release(struct keying *k)
{
    struct cp_engine *e = k->hub->engine;

    cp_timer_start(&e->timers, &k->timer, e->now, on_released);
}

static int open_answer(void *user, struct cp_guard *guard, copal_msg **m)
{
    struct cp_edhoc_hub *hub = user;
    int err = cp_oscore_guard_ops.open_answer(hub->oscore, guard, m);

    if (err != 0)
        return err;
    list_each (node, after, &hub->keyings) {
        struct keying *k = cp_container_of(node, struct keying, node);

        if (k->context == NULL || k->context->whose != guard->whose)
            continue;
        k->is_proven = true;
        if (k->is_alone)
            release(k);
        k->is_alone = false;
    }
    return 0;
}

/* A peer that began anew has no contexts. Anybody may say so, which costs a
 * handshake; a new context that is unknown again is none. RFC 8613 8.2. */
static bool is_lost(void *user, struct cp_guard *guard, const copal_msg *m)
{
    struct keying *k = is_keying(guard) ? keying_of(guard) : NULL;

    (void)user;
    if (k == NULL || k->hub == NULL)
        return false;
    if (k->state == KEYED && k->is_alone) { /* that is what message 3 brought */
        drop_context(k);
        stop(k);
        k->state = IDLE;
        release(k);
        return false;
    }
    if (m->code != COPAL_UNAUTHORIZED)
        return false;
    if (k->state == KEYED && k->is_proven) {
        k->state = IDLE;
        k->is_proven = false;
        return true;
    }
    return k->state == ASKS || k->state == IDLE;
}

static int open(void *user, copal_msg **m, copal_msg **answer)
{
    struct cp_edhoc_hub *hub = user;
    int verdict = CP_GUARD_DONE;

    if (cp_msg_has(*m, COPAL_OPT_EDHOC))
        verdict = cp_edhoc_server_combined(hub, m, answer);
    return verdict != CP_GUARD_DONE
               ? verdict
               : cp_oscore_guard_ops.open(hub->oscore, m, answer);
}

static int seal(void *user, const copal_msg *request, const copal_msg *m,
                copal_msg **out)
{
    struct cp_edhoc_hub *hub = user;

    return cp_oscore_guard_ops.seal(hub->oscore, request, m, out);
}

const struct cp_guard_ops cp_edhoc_guard = {
    .open = open,
    .seal = seal,
    .way = way,
    .seal_request = seal_request,
    .open_answer = open_answer,
    .is_lost = is_lost,
};
