/* EDHOC as the engine's protection: around OSCORE's own, which seals once there
 * are keys. */
#include "engine/core.h"
#include "secure/edhoc_keying.h"
#include "secure/scope.h"
#include "wire/target.h"
#include "wire/uri.h"

#include <stdio.h>

/* ---- Requests of ours ---- */

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

static struct cp_keying *keying_for(struct cp_edhoc_hub *hub,
                                    struct cp_edhoc_scope *scope,
                                    const char *base, const char *host)
{
    list_each (node, after, &hub->keyings) {
        struct cp_keying *k = cp_container_of(node, struct cp_keying, node);

        if (k->scope == scope && strcmp(k->base, base) == 0)
            return k;
    }
    return cp_keying_new(hub, scope, base, host);
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
    struct cp_keying *k;

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
    return way->free == cp_keying_free;
}

/* Sealed as it is, with message 3 in front of what is sealed. RFC 9668 3.2. */
static int add_message_3(struct cp_keying *k, struct cp_guard **made,
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
    struct cp_keying *k = is_keying(guard) ? cp_keying_of(guard) : NULL;
    int err;

    if (k == NULL)
        return cp_oscore_guard_ops.seal_request(hub->oscore, guard, m, before,
                                                made, out);
    if (k->state == CP_KEYING_CLEARED)
        return COPAL_ECLOSED;
    if (k->state == CP_KEYING_KEYED && k->is_alone)
        return CP_GUARD_LATER;
    if (k->state == CP_KEYING_KEYED) {
        err = cp_oscore_guard_ops.seal_request(hub->oscore, k->context, m,
                                               before, made, out);
        if (err == 0 && k->message_3.len > 0)
            err = add_message_3(k, made, out);
        if (err != COPAL_ELIMIT) /* no number is left: RFC 8613 7.2.1 */
            return err;
        k->state = CP_KEYING_IDLE;
    }
    if (k->state == CP_KEYING_IDLE)
        cp_keying_begin(k);
    return CP_GUARD_LATER;
}

static void on_released(struct cp_timer *t)
{
    struct cp_keying *k = cp_container_of(t, struct cp_keying, timer);

    cp_guard_ready(k->hub->engine, &k->guard, 0, NULL);
}

/* Who waits goes on; not now, amid hearing. */
static void release(struct cp_keying *k)
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
        struct cp_keying *k = cp_container_of(node, struct cp_keying, node);

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
    struct cp_keying *k = is_keying(guard) ? cp_keying_of(guard) : NULL;

    (void)user;
    if (k == NULL || k->hub == NULL)
        return false;
    if (k->state == CP_KEYING_KEYED &&
        k->is_alone) { /* that is what message 3 brought */
        cp_keying_drop_context(k);
        cp_keying_stop(k);
        k->state = CP_KEYING_IDLE;
        release(k);
        return false;
    }
    if (m->code != COPAL_UNAUTHORIZED)
        return false;
    if (k->state == CP_KEYING_KEYED && k->is_proven) {
        k->state = CP_KEYING_IDLE;
        k->is_proven = false;
        return true;
    }
    return k->state == CP_KEYING_ASKS || k->state == CP_KEYING_IDLE;
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
