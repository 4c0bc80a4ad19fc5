#include "net/ws.h"

#include <stdio.h>
#include <wslay/wslay.h>
#include "base/base64.h"
#include "base/mem.h"
#include "engine/engine.h"
#include "engine/flood.h"
#include "engine/security.h"
#include "net/turn.h"
#include "wire/upgrade.h"
#include "wire/uri.h"

enum {
    GOING_AWAY = 1001, /* RFC 6455 7.4.1 */
    NOT_BINARY = 1003,
    TOO_OFTEN = 1008,
    TOO_BIG = 1009,
    LONGEST_HEAD = 14,
    AT_ONCE = 64 /* frames in a row; then it is others' turn */
};

/* Where in its frames the peer is, of which wslay tells only when one is over.
 * RFC 6455 5.2. */
struct place {
    uint8_t head[LONGEST_HEAD];
    size_t have;   /* bytes of head */
    uint64_t left; /* bytes of the payload still to come */
    size_t held;   /* bytes of the message that came so far */
    bool is_part;  /* a frame before said that more follow */
};

struct ws {
    struct cp_pipe pipe;
    struct cp_net *net;
    wslay_event_context_ptr frames; /* NULL: the handshake is not over */
    struct cp_buf head;             /* of the handshake, as far as it came */
    copal_bytes in;                 /* what wslay reads from, for the moment */
    struct cp_buf rest;             /* what came and waits for its turn */
    struct place place;
    struct cp_flood pings; /* and Pongs */
    char *host;            /* of whom we ask; NULL: we were asked */
    char key[CP_UPGRADE_KEY + 1];
    const char *why; /* it ends; NULL: it does not */
    int status;
};

struct cp_ws_origin {
    struct cp_list node;
    char text[];
};

static struct ws *of_pipe(const struct cp_pipe *p)
{
    return cp_container_of((struct cp_pipe *)p, struct ws, pipe);
}

/* Whoever is above hears why when what is below has closed. */
static void end(struct ws *w, int status, const char *why)
{
    if (w->why != NULL)
        return;
    w->status = status;
    w->why = why;
    if (status == 0 || status == COPAL_ECLOSED)
        w->pipe.below->ops->close(w->pipe.below);
    else
        w->pipe.below->ops->dismiss(w->pipe.below);
}

/* ---- Frames ---- */

static ssize_t give_input(wslay_event_context_ptr frames, uint8_t *out,
                          size_t len, int flags, void *user)
{
    struct ws *w = user;
    size_t n = w->in.len < len ? w->in.len : len;

    (void)flags;
    if (n == 0) {
        wslay_event_set_error(frames, WSLAY_ERR_WOULDBLOCK);
        return -1;
    }
    memcpy(out, w->in.data, n);
    w->in = cp_bytes(w->in.data + n, w->in.len - n);
    return (ssize_t)n;
}

static ssize_t take_output(wslay_event_context_ptr frames, const uint8_t *data,
                           size_t len, int flags, void *user)
{
    struct ws *w = user;

    (void)flags;
    if (w->pipe.below->ops->send(w->pipe.below, cp_bytes(data, len)) == 0)
        return (ssize_t)len;
    wslay_event_set_error(frames, WSLAY_ERR_CALLBACK_FAILURE);
    return -1;
}

static int make_mask(wslay_event_context_ptr frames, uint8_t *out, size_t len,
                     void *user)
{
    const struct ws *w = user;

    (void)frames;
    cp_engine_random(w->net->driver->engine, out, len);
    return 0;
}

/* Says why by a close frame, and ends. */
static void break_off(struct ws *w, uint16_t code, int status, const char *why)
{
    wslay_event_queue_close(w->frames, code, NULL, 0);
    (void)wslay_event_send(w->frames);
    end(w, status, why);
}

/* wslay answers them by itself. */
static void on_control_frame(struct ws *w, uint8_t opcode)
{
    if (opcode == WSLAY_CONNECTION_CLOSE ||
        !cp_flood_is_on(&w->pings, cp_turn_now(w->net->loop)))
        return;
    cp_engine_limited(w->net->driver->engine, "signals");
    break_off(w, TOO_OFTEN, COPAL_ELIMIT, "too many Pings of WebSocket");
}

static void on_frame(wslay_event_context_ptr frames,
                     const struct wslay_event_on_msg_recv_arg *arg, void *user)
{
    struct ws *w = user;

    if (w->why != NULL)
        return;
    if (wslay_is_ctrl_frame(arg->opcode))
        on_control_frame(w, arg->opcode);
    else if (arg->opcode == WSLAY_BINARY_FRAME)
        w->pipe.above->ops->bytes(w->pipe.above,
                                  cp_bytes(arg->msg, arg->msg_length));
    else
        wslay_event_queue_close(frames, NOT_BINARY, NULL, 0);
}

static int frames_new(struct ws *w)
{
    static const struct wslay_event_callbacks callbacks = {
        .recv_callback = give_input,
        .send_callback = take_output,
        .genmask_callback = make_mask,
        .on_msg_recv_callback = on_frame,
    };
    int err = w->host == NULL
                  ? wslay_event_context_server_init(&w->frames, &callbacks, w)
                  : wslay_event_context_client_init(&w->frames, &callbacks, w);

    if (err != 0) {
        w->frames = NULL;
        return COPAL_ENOMEM;
    }
    wslay_event_config_set_max_recv_msg_length(
        w->frames,
        (uint64_t)cp_engine_param(w->net->driver->engine, COPAL_P_MAX_MESSAGE));
    return 0;
}

/* What it has to say goes out, a close frame too; then nothing is left. */
static void flush(struct ws *w)
{
    int err = wslay_event_send(w->frames);

    if (err == WSLAY_ERR_NOMEM)
        end(w, COPAL_ENOMEM, "out of memory");
    else if (err != 0)
        end(w, COPAL_EIO, "a frame could not be sent");
    else if (wslay_event_get_close_sent(w->frames))
        end(w, 0, "the WebSocket was closed");
}

static size_t head_size(const struct place *p)
{
    unsigned len = p->have < 2 ? 0 : p->head[1] & 0x7f;

    return 2 +
           (p->have < 2  ? 0u
            : len == 126 ? 2u
            : len == 127 ? 8u
                         : 0u) +
           (p->have >= 2 && (p->head[1] & 0x80) != 0 ? 4u : 0u);
}

static uint64_t payload_size(const struct place *p)
{
    unsigned len = p->head[1] & 0x7f;

    if (len < 126)
        return len;
    return cp_bytes_uint(cp_bytes(p->head + 2, len == 126 ? 2 : 8));
}

/* A frame begins, of which head is all there. */
static void begin_frame(struct place *p)
{
    p->left = payload_size(p);
    p->have = 0;
    if ((p->head[0] & 8) == 0) /* no control frame: RFC 6455 5.4 */
        p->is_part = (p->head[0] & 0x80) == 0;
}

/* Follows the bytes to the end of a frame, or to their own. How many those
 * are; 0: a frame longer than may be. */
static size_t follow(struct place *p, copal_bytes b, uint64_t most)
{
    size_t i = 0;

    while (i < b.len) {
        if (p->left > 0) {
            uint64_t n = b.len - i < p->left ? b.len - i : p->left;

            p->left -= n;
            p->held += (size_t)n;
            i += (size_t)n;
        } else {
            p->head[p->have++] = b.data[i++];
            if (p->have < 2 || p->have < head_size(p))
                continue;
            begin_frame(p);
            if (p->left > most)
                return 0;
        }
        if (p->left == 0)
            break;
    }
    if (p->left == 0 && p->have == 0 && !p->is_part)
        p->held = 0;
    return i;
}

static size_t held(const struct place *p)
{
    return p->left > 0 || p->have > 0 || p->is_part ? p->held + 1 : 0;
}

static void read_frame(struct ws *w, copal_bytes bytes)
{
    int err;

    w->in = bytes;
    err = wslay_event_recv(w->frames);
    w->in = (copal_bytes){0};
    if (w->why == NULL && err == WSLAY_ERR_NOMEM)
        end(w, COPAL_ENOMEM, "out of memory");
}

/* Frame by frame, and not too many of them. How many bytes that took. */
static size_t read_some(struct ws *w, copal_bytes bytes)
{
    uint64_t most =
        (uint64_t)cp_engine_param(w->net->driver->engine, COPAL_P_MAX_MESSAGE);
    size_t used = 0;

    for (int i = 0; i < AT_ONCE && used < bytes.len && w->why == NULL; i++) {
        copal_bytes left = cp_bytes(bytes.data + used, bytes.len - used);
        size_t n = follow(&w->place, left, most);

        if (n == 0) {
            break_off(w, TOO_BIG, COPAL_ELIMIT,
                      "a frame longer than Max-Message-Size");
        } else if (!w->pipe.above->ops->amid(w->pipe.above, held(&w->place))) {
            break_off(w, TOO_BIG, COPAL_ELIMIT,
                      "no room for a message that long");
        } else {
            read_frame(w, cp_bytes(left.data, n));
            used += n;
        }
    }
    return used;
}

static void keep(struct ws *w, copal_bytes rest)
{
    cp_put_bytes(&w->rest, rest);
    if (w->rest.failed)
        end(w, COPAL_ENOMEM, "out of memory");
}

static void read_frames(struct ws *w, copal_bytes bytes)
{
    size_t used = read_some(w, bytes);

    if (w->why != NULL)
        return;
    keep(w, cp_bytes(bytes.data + used, bytes.len - used));
    if (w->why == NULL)
        flush(w); /* also the close frame that says what was wrong */
}

/* What waited comes first. */
static void go_on(struct ws *w, copal_bytes bytes)
{
    struct cp_buf before = w->rest;

    if (bytes.len > 0) {
        keep(w, bytes);
        return;
    }
    w->rest = cp_buf_new(w->net->driver->mem);
    read_frames(w, cp_bytes(before.data, before.len));
    cp_buf_free(&before);
}

/* ---- Handshake ---- */

static bool origin_is_allowed(void *user, copal_bytes origin, copal_bytes host)
{
    const struct ws *w = user;
    static const char *const schemes[] = {"http://", "https://"};

    for (size_t i = 0; i < 2; i++) {
        size_t n = strlen(schemes[i]);

        if (origin.len > n && memcmp(origin.data, schemes[i], n) == 0 &&
            cp_bytes_equal(cp_bytes(origin.data + n, origin.len - n), host))
            return true;
    }
    list_each (node, after, &w->net->origins) {
        const char *text =
            cp_container_of(node, struct cp_ws_origin, node)->text;

        if (strcmp(text, "*") == 0 || cp_bytes_is_text(origin, text))
            return true;
    }
    return false;
}

static void answer(struct ws *w, int status, const char *accept)
{
    uint8_t storage[512];
    struct cp_buf out = cp_buf_fixed(storage, sizeof(storage));

    cp_upgrade_put_response(&out, status, accept);
    (void)w->pipe.below->ops->send(w->pipe.below, cp_bytes(storage, out.len));
    if (status != 101)
        end(w, COPAL_EFORMAT, "no WebSocket handshake for CoAP");
}

static const struct cp_security *security_of(const struct ws *w)
{
    return w->net->driver->security;
}

static int read_request(struct ws *w, size_t *used)
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

static int read_response(struct ws *w, size_t *used)
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
        end(w, err, "the server does not speak CoAP by WebSocket");
    else if (err != 0)
        end(w, COPAL_EFORMAT, "no answer to a WebSocket handshake");
    *used = u.size;
    return err;
}

/* What follows the head are frames already. */
static void shake_hands(struct ws *w, copal_bytes bytes)
{
    size_t used = 0;
    int err;

    cp_put_bytes(&w->head, bytes);
    if (w->head.failed) {
        end(w, COPAL_ENOMEM, "out of memory");
        return;
    }
    err = w->host == NULL ? read_request(w, &used) : read_response(w, &used);
    if (err != 0 || w->why != NULL)
        return;
    if (frames_new(w) != 0) {
        end(w, COPAL_ENOMEM, "out of memory");
        return;
    }
    w->pipe.above->ops->opened(w->pipe.above);
    if (w->why == NULL && w->head.len > used)
        read_frames(w, cp_bytes(w->head.data + used, w->head.len - used));
    cp_buf_free(&w->head);
}

/* ---- The pipe ---- */

static void opened(struct cp_pipe *p)
{
    struct ws *w = of_pipe(p);
    struct cp_buf out;
    copal_bytes request;
    uint8_t key[16];
    struct cp_buf text = cp_buf_fixed(w->key, CP_UPGRADE_KEY);

    if (w->host == NULL)
        return; /* the client speaks first */
    cp_engine_random(w->net->driver->engine, key, sizeof(key));
    cp_put_base64(&text, cp_bytes(key, sizeof(key)));
    out = cp_buf_new(w->net->driver->mem);
    cp_upgrade_put_request(&out, w->host, w->key);
    if (cp_buf_finish(&out, &request) != 0)
        end(w, COPAL_ENOMEM, "out of memory");
    else
        (void)p->below->ops->send(p->below, request);
    cp_buf_free(&out);
}

static void bytes(struct cp_pipe *p, copal_bytes b)
{
    struct ws *w = of_pipe(p);

    if (w->why != NULL)
        return;
    if (w->frames == NULL)
        shake_hands(w, b);
    else if (w->rest.len > 0)
        go_on(w, b);
    else
        read_frames(w, b);
}

static bool has_more(const struct cp_pipe *p)
{
    const struct ws *w = of_pipe(p);

    return w->why == NULL && w->rest.len > 0;
}

static void drained(struct cp_pipe *p)
{
    p->above->ops->drained(p->above);
}

static void closed(struct cp_pipe *p, int status, const char *why)
{
    struct ws *w = of_pipe(p);
    struct cp_mem *mem = w->net->driver->mem;
    struct cp_pipe *above = p->above;

    if (w->why != NULL) {
        status = w->status;
        why = w->why;
    }
    if (w->frames != NULL)
        wslay_event_context_free(w->frames);
    cp_buf_free(&w->head);
    cp_buf_free(&w->rest);
    cp_free(mem, w->host);
    cp_free(mem, w);
    if (above != NULL)
        above->ops->closed(above, status, why);
}

static int send_frame(struct cp_pipe *p, copal_bytes b)
{
    struct ws *w = of_pipe(p);
    struct wslay_event_msg m = {
        .opcode = WSLAY_BINARY_FRAME, .msg = b.data, .msg_length = b.len};

    if (w->frames == NULL || w->why != NULL)
        return COPAL_ECLOSED;
    if (wslay_event_queue_msg(w->frames, &m) != 0)
        return COPAL_ENOMEM;
    flush(w);
    return w->why == NULL ? 0 : w->status;
}

static void close_pipe(struct cp_pipe *p)
{
    struct ws *w = of_pipe(p);

    if (w->frames != NULL && w->why == NULL) {
        wslay_event_queue_close(w->frames, GOING_AWAY, NULL, 0);
        (void)wslay_event_send(w->frames);
    }
    end(w, COPAL_ECLOSED, "closed here");
}

static void dismiss(struct cp_pipe *p)
{
    close_pipe(p);
    p->below->ops->dismiss(p->below);
}

static void cut(struct cp_pipe *p)
{
    p->below->ops->cut(p->below);
}

static size_t queued(const struct cp_pipe *p)
{
    return p->below->ops->queued(p->below);
}

static const struct cp_pipe_ops ws_ops = {
    .opened = opened,
    .bytes = bytes,
    .has_more = has_more,
    .drained = drained,
    .closed = closed,
    .send = send_frame,
    .close = close_pipe,
    .dismiss = dismiss,
    .cut = cut,
    .queued = queued,
};

/* As an URI has it: a port that is not the scheme's own, a literal in brackets.
 * RFC 6455 4.1, RFC 9110 7.2. NULL: out of memory. */
static char *host_of(struct cp_mem *mem, const struct cp_asked *asked)
{
    struct cp_buf b = cp_buf_new(mem);
    char *copy = NULL;
    const char *base;

    cp_uri_put_base(&b, asked->scheme, asked->host, asked->port);
    base = cp_buf_text(&b);
    if (base != NULL)
        base = strstr(base, "://") + 3;
    if (base != NULL)
        copy = cp_copy_text(mem, base, strlen(base));
    cp_buf_free(&b);
    return copy;
}

int cp_ws_new(struct cp_net *net, struct cp_pipe *below,
              const struct cp_asked *asked, struct cp_pipe **out)
{
    struct cp_mem *mem = net->driver->mem;
    struct ws *w = cp_zalloc(mem, sizeof(*w));

    if (w == NULL)
        return COPAL_ENOMEM;
    if (asked->host != NULL && (w->host = host_of(mem, asked)) == NULL) {
        cp_free(mem, w);
        return COPAL_ENOMEM;
    }
    w->pipe.ops = &ws_ops;
    w->net = net;
    w->head = cp_buf_new(mem);
    w->rest = cp_buf_new(mem);
    cp_pipe_join(&w->pipe, below);
    *out = &w->pipe;
    return 0;
}

/* ---- Origins ---- */

int cp_ws_allow(struct cp_net *net, const char *origin)
{
    struct cp_mem *mem = net->driver->mem;
    size_t len = strlen(origin);
    struct cp_ws_origin *o;

    if (strcmp(origin, "*") != 0 &&
        (strstr(origin, "://") == NULL || origin[len - 1] == '/'))
        return cp_why(mem, COPAL_EINVAL,
                      "%s: no origin; write it like https://example.org, or * "
                      "for any",
                      origin);
    o = cp_alloc(mem, sizeof(*o) + len + 1);
    if (o == NULL)
        return COPAL_ENOMEM;
    memcpy(o->text, origin, len + 1);
    cp_list_append(&net->origins, &o->node);
    return 0;
}

void cp_ws_forget(struct cp_net *net)
{
    list_each (node, after, &net->origins) {
        cp_list_remove(node);
        cp_free(net->driver->mem,
                cp_container_of(node, struct cp_ws_origin, node));
    }
}
