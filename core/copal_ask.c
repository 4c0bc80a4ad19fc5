/* Asking, as <copal.h> has it: requests, watches, pings, raw messages. */
#include "endpoint.h"
#include "base/callback.h"
#include "engine/security.h"
#include "engine/ask.h"
#include "engine/core.h"
#include "engine/raw.h"
#include "engine/record.h"
#include <string.h>

copal_msg *copal_msg_new(copal *c, int code)
{
    return code < 0 || code > 255 ? NULL : cp_msg_new(c->mem, code, 0);
}

/* ---- Requests ---- */

copal_exchange *copal_request(copal *c, copal_msg *m, copal_cb cb)
{
    struct cp_engine *e = c->engine;
    copal_msg *filled = NULL;
    copal_exchange *x;
    unsigned was;

    if (!cp_list_empty(&c->profiles) && cp_endpoint_fill(c, m, &filled) != 0) {
        cp_cb_drop(cb);
        return NULL;
    }
    if (filled != NULL)
        m = filled;
    was = cp_record_call_request(e, cb.fn != NULL, m);
    cp_endpoint_enter(c);
    cp_endpoint_call(c);
    if (m != NULL && (m->flags & COPAL_WATCH) != 0)
        x = cp_endpoint_watch(c, m, cb);
    else
        x = cp_ask_start(e, m, cb);
    copal_msg_unref(filled);
    cp_endpoint_return(c, was);
    return x;
}

/* Most paths fit: what is longer has memory of its own. */
enum {
    USUAL_ROOM = 48
};

static copal_exchange *ask(copal *c, const char *uri, int code, bool observe,
                           unsigned flags, copal_cb cb)
{
    copal_msg *m = cp_msg_new(c->mem, code, USUAL_ROOM);
    copal_exchange *x = NULL;
    int err = m == NULL ? COPAL_ENOMEM : copal_msg_set_uri(m, uri);

    if (err == COPAL_EURI) /* which END will tell */
        err = 0;
    if (err == 0)
        err = copal_msg_set_flags(m, flags);
    if (err == 0 && observe)
        err = cp_msg_add_uint(m, COPAL_OPT_OBSERVE, 0);
    if (err == 0)
        x = copal_request(c, m, cb);
    else
        cp_cb_drop(cb);
    copal_msg_unref(m);
    return x;
}

copal_exchange *copal_get(copal *c, const char *uri, copal_cb cb)
{
    return ask(c, uri, COPAL_GET, false, 0, cb);
}

copal_exchange *copal_observe(copal *c, const char *uri, copal_cb cb)
{
    return ask(c, uri, COPAL_GET, true, 0, cb);
}

copal_exchange *copal_watch(copal *c, const char *uri, copal_cb cb)
{
    return ask(c, uri, COPAL_GET, false, COPAL_WATCH, cb);
}

copal_exchange *copal_ping(copal *c, const char *uri, copal_cb cb)
{
    return ask(c, uri, COPAL_EMPTY, false, 0, cb);
}

int copal_disconnect(copal *c, const char *scope)
{
    const struct cp_security *security = c->driver->security;
    const char *prefix = scope == NULL ? "" : scope;
    unsigned was =
        cp_record_call_texts(c->engine, CP_RECORD_DISCONNECT, 0, 0, 1, &scope);
    int count;

    cp_endpoint_enter(c);
    cp_engine_wake(c->engine);
    count = cp_connections_close(c->engine, prefix);
    if (security != NULL)
        count += security->disconnect(c->credentials, prefix);
    cp_record_return(c->engine, was);
    return count;
}

/* ---- Raw use ---- */

int copal_send(copal *c, copal_msg *m, const char *to)
{
    unsigned was =
        cp_record_call_message(c->engine, CP_RECORD_SEND, 0, 0, to, m);
    int err;

    cp_endpoint_enter(c);
    err = cp_raw_send(c->engine, m, to);
    cp_record_return(c->engine, was);
    return err;
}

int copal_strays(copal *c, copal_cb cb)
{
    copal_cb before = c->engine->on_stray;
    unsigned was =
        cp_record_call(c->engine, CP_RECORD_STRAYS, cb.fn != NULL, 0);

    c->engine->on_stray = cb;
    c->engine->has_stray = cb.fn != NULL;
    cp_endpoint_call(c);
    cp_cb_drop(before);
    cp_endpoint_return(c, was);
    return 0;
}

int copal_understand(copal *c, int option)
{
    struct cp_engine *e = c->engine;

    cp_record_return(
        e, cp_record_call(e, CP_RECORD_UNDERSTAND, (uint64_t)option, 0));
    if (option < 0 || option > UINT16_MAX)
        return cp_why(c->mem, COPAL_EINVAL, "option %d: use 0 to 65535",
                      option);
    if (cp_engine_understands(e, (unsigned)option))
        return 0;
    if (e->understood_count == sizeof(e->understood) / sizeof(e->understood[0]))
        return cp_why(c->mem, COPAL_ELIMIT,
                      "option %d: no more than 16 can be added", option);
    e->understood[e->understood_count++] = (uint16_t)option;
    return 0;
}
