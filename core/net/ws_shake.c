/* How a connection becomes a WebSocket. RFC 6455 4, RFC 8323 4.1. */
#include "net/ws_inside.h"

#include "base/base64.h"
#include "base/mem.h"
#include "engine/engine.h"
#include <strings.h>

static const struct cp_security *security_of(const struct cp_ws *w)
{
    return w->net->driver->security;
}

static bool is_allowed_host(const struct cp_ws *w, const char *name)
{
    list_each (node, after, &w->net->hosts) {
        const char *text =
            cp_container_of(node, struct cp_ws_allowed, node)->text;

        if (strcmp(text, "*") == 0 || strcasecmp(text, name) == 0)
            return true;
    }
    return security_of(w)->is_named(w->net->driver->credentials, name);
}

/* A name proves nothing of where the page came from: whoever owns it lets it lead
 * to us once the page is loaded, and reaches what is kept to this host, or to the
 * network that the browser is in (DNS rebinding). So it has to be known as ours.
 */
static bool is_our_host(const struct cp_ws *w, copal_bytes host)
{
    char name[256];

    if (cp_upgrade_is_own_host(host))
        return true;
    host = cp_upgrade_without_port(host);
    if (host.len >= sizeof(name) || memchr(host.data, 0, host.len) != NULL)
        return false;
    memcpy(name, host.data, host.len);
    name[host.len] = '\0';
    return is_allowed_host(w, name);
}

/* The page came from where it connects to. */
static bool is_of_host(const struct cp_ws *w, copal_bytes origin,
                       copal_bytes host)
{
    static const char *const schemes[] = {"http://", "https://"};

    for (size_t i = 0; i < 2; i++) {
        size_t n = strlen(schemes[i]);

        if (origin.len > n && memcmp(origin.data, schemes[i], n) == 0 &&
            cp_bytes_equal(cp_bytes(origin.data + n, origin.len - n), host))
            return is_our_host(w, host);
    }
    return false;
}

static bool origin_is_allowed(void *user, copal_bytes origin, copal_bytes host)
{
    const struct cp_ws *w = user;

    list_each (node, after, &w->net->origins) {
        const char *text =
            cp_container_of(node, struct cp_ws_allowed, node)->text;

        if (strcmp(text, "*") == 0 || cp_bytes_is_text(origin, text))
            return true;
    }
    return is_of_host(w, origin, host);
}

static void answer(struct cp_ws *w, int status, const char *accept)
{
    uint8_t storage[512];
    struct cp_buf out = cp_buf_fixed(storage, sizeof(storage));

    cp_upgrade_put_response(&out, status, accept);
    (void)w->pipe.below->ops->send(w->pipe.below, cp_bytes(storage, out.len));
    if (status != 101)
        cp_ws_end(w, COPAL_EFORMAT, "no WebSocket handshake for CoAP");
}

static int read_request(struct cp_ws *w, size_t *used)
{
    char accept[CP_UPGRADE_ACCEPT + 1] = "";
    struct cp_upgrade u;
    int err = cp_upgrade_read_request(cp_bytes(w->head.data, w->head.len), &u);
    int status = 400;

    if (err == COPAL_ESTATE)
        return err;
    if (err == 0)
        status = cp_upgrade_judge(&u, origin_is_allowed, w);
    else if (err == COPAL_ELIMIT)
        status = 431;
    if (status == 101)
        cp_upgrade_accept(u.key, security_of(w)->sha1, accept);
    *used = u.size;
    answer(w, status, accept);
    return status == 101 ? 0 : COPAL_EFORMAT;
}

static int read_response(struct cp_ws *w, size_t *used)
{
    char expected[CP_UPGRADE_ACCEPT + 1];
    struct cp_upgrade u;
    int err = cp_upgrade_read_response(cp_bytes(w->head.data, w->head.len), &u);

    if (err == COPAL_ESTATE)
        return err;
    cp_upgrade_accept(cp_bytes_of_text(w->key), security_of(w)->sha1, expected);
    if (err == 0 && u.status != 101)
        err = COPAL_EREFUSED;
    else if (err == 0 && (!u.has_upgrade || !u.has_connection || !u.is_coap ||
                          !cp_bytes_is_text(u.accept, expected)))
        err = COPAL_EFORMAT;
    if (err == COPAL_EREFUSED)
        cp_ws_end(w, err, "the server does not speak CoAP by WebSocket");
    else if (err != 0)
        cp_ws_end(w, COPAL_EFORMAT, "no answer to a WebSocket handshake");
    *used = u.size;
    return err;
}

/* What follows the head are frames already. */
void cp_ws_shake_hands(struct cp_ws *w, copal_bytes bytes)
{
    size_t used = 0;
    int err;

    cp_put_bytes(&w->head, bytes);
    if (w->head.failed) {
        cp_ws_end(w, COPAL_ENOMEM, "out of memory");
        return;
    }
    err = w->host == NULL ? read_request(w, &used) : read_response(w, &used);
    if (err != 0 || w->why != NULL)
        return;
    if (cp_ws_frames_new(w) != 0) {
        cp_ws_end(w, COPAL_ENOMEM, "out of memory");
        return;
    }
    w->pipe.above->ops->opened(w->pipe.above);
    if (w->why == NULL && w->head.len > used)
        cp_ws_frames_read(w, cp_bytes(w->head.data + used, w->head.len - used));
    cp_buf_free(&w->head);
}

void cp_ws_shake_ask(struct cp_ws *w)
{
    struct cp_buf out;
    copal_bytes request;
    uint8_t key[16];
    struct cp_buf text = cp_buf_fixed(w->key, CP_UPGRADE_KEY);

    cp_engine_random(w->net->driver->engine, key, sizeof(key));
    cp_put_base64(&text, cp_bytes(key, sizeof(key)));
    out = cp_buf_new(w->net->driver->mem);
    cp_upgrade_put_request(&out, w->host, w->key);
    if (cp_buf_finish(&out, &request) != 0)
        cp_ws_end(w, COPAL_ENOMEM, "out of memory");
    else
        (void)w->pipe.below->ops->send(w->pipe.below, request);
    cp_buf_free(&out);
}
