#include "net/stream_inside.h"

#include <stdio.h>
#include "engine/engine.h"
#include "engine/security.h"
#include "net/loop.h"
#include "net/route.h"
#include "net/tcp.h"
#include "net/turn.h"
#include "net/ws.h"
#include "wire/uri.h"

enum {
    OPEN_WITHIN = 10000,  /* ms: TCP, TLS, WebSocket and the peer's CSM */
    CLOSE_WITHIN = 5000,  /* ms: for what was sent to leave */
    FRAME_WITHIN = 30000, /* ms: all of one, from its first byte */
    BLOCKED_FROM = 65536  /* bytes that wait */
};

const struct cp_layers *cp_stream_layers(int scheme)
{
    static const struct cp_layers all[CP_SCHEME_COUNT] = {
        [CP_COAP_TCP] = {.framing = CP_STREAMED},
        [CP_COAPS_TCP] = {.framing = CP_STREAMED, .tls = true},
        [CP_COAP_WS] = {.framing = CP_FRAMED, .ws = true},
        [CP_COAPS_WS] = {.framing = CP_FRAMED, .tls = true, .ws = true},
    };

    return cp_scheme_is_stream(scheme) ? &all[scheme] : NULL;
}

static struct cp_stream *of_top(struct cp_pipe *p)
{
    return cp_container_of(p, struct cp_stream, top);
}

static struct cp_stream *of_link(const struct cp_link *l)
{
    return cp_container_of((struct cp_link *)l, struct cp_stream, link);
}

/* ---- Routes ---- */

static void give_way(const struct cp_stream *s, struct cp_route *r)
{
    r->ways[0] =
        (struct cp_way){.link = (struct cp_link *)&s->link, .path = s->path};
    r->count = 1;
}

static void tell_routes(struct cp_stream *s, int status, const char *why)
{
    struct cp_list *first;

    while ((first = cp_list_first(&s->routes)) != NULL) {
        struct cp_route *r = cp_container_of(first, struct cp_route, node);

        cp_list_remove(first);
        if (status == 0)
            give_way(s, r);
        r->done(r, status, why);
    }
}

/* ---- Time ---- */

/* Whoever closes already is cut off; else it closes. */
static void on_limit(uv_timer_t *timer)
{
    struct cp_stream *s = timer->data;
    struct cp_loop *loop = s->net->loop;

    if (!cp_turn_enter(loop))
        return;
    if (!s->is_closing)
        s->why = "not open within 10 s";
    s->is_closing = true;
    if (s->top.below != NULL)
        s->top.below->ops->cut(s->top.below);
    (void)cp_turn_end(loop);
}

static void limit(struct cp_stream *s, unsigned ms)
{
    uv_timer_start(&s->limit, on_limit, ms, 0);
    uv_unref((uv_handle_t *)&s->limit);
}

/* ---- The link: from the engine ---- */

static int send_bytes(struct cp_link *l, const struct cp_path *path,
                      copal_bytes data)
{
    struct cp_stream *s = of_link(l);

    (void)path;
    if (s->is_closing)
        return COPAL_ECLOSED;
    return s->top.below->ops->send(s->top.below, data);
}

static bool is_blocked(const struct cp_link *l)
{
    const struct cp_stream *s = of_link(l);

    return s->top.below->ops->queued(s->top.below) > BLOCKED_FROM;
}

static void close_stream(struct cp_link *l)
{
    struct cp_stream *s = of_link(l);

    if (s->is_closing)
        return;
    s->is_closing = true;
    limit(s, CLOSE_WITHIN);
    s->top.below->ops->close(s->top.below);
}

static void agreed(struct cp_link *l)
{
    struct cp_stream *s = of_link(l);

    s->is_agreed = true;
    uv_timer_stop(&s->limit);
    tell_routes(s, 0, NULL);
}

static const struct cp_link_ops link_ops = {
    .name = "stream",
    .send = send_bytes,
    .is_blocked = is_blocked,
    .close = close_stream,
    .agreed = agreed,
};

/* ---- The top: from the network ---- */

static void opened(struct cp_pipe *p)
{
    struct cp_stream *s = of_top(p);
    int err;

    s->link.identity = cp_pipe_identity(p->below);
    if (s->host != NULL)
        (void)cp_tcp_local_end(s->bottom, &s->path.local);
    err = cp_engine_connected(s->net->driver->engine, &s->link, &s->path,
                              s->layers->framing, s->host != NULL);
    s->is_known = s->link.connection != NULL;
    if (s->is_known)
        cp_list_remove(&s->young);
    if (s->is_known && s->host == NULL)
        uv_timer_stop(&s->limit); /* the engine waits for the CSM by itself */
    if (err != 0)
        close_stream(&s->link);
}

static void bytes(struct cp_pipe *p, copal_bytes b)
{
    struct cp_stream *s = of_top(p);

    if (s->is_known && !s->is_closing)
        cp_engine_bytes(s->net->driver->engine, &s->link, b);
}

static bool has_more(const struct cp_pipe *p)
{
    const struct cp_stream *s = of_top((struct cp_pipe *)p);

    return s->is_known && !s->is_closing && cp_engine_has_more(&s->link);
}

static void drained(struct cp_pipe *p)
{
    struct cp_stream *s = of_top(p);

    if (s->is_known && !s->is_closing && !is_blocked(&s->link))
        cp_engine_drained(s->net->driver->engine, &s->link);
}

static void on_limit_closed(uv_handle_t *handle)
{
    struct cp_stream *s = handle->data;
    struct cp_loop *loop = s->net->loop;

    cp_free(s->net->driver->mem, s->host);
    cp_free(s->net->driver->mem, s);
    cp_loop_handle_closed(loop);
}

static void forget(struct cp_stream *s)
{
    (void)cp_stream_room_hold(s, 0);
    cp_list_remove(&s->node);
    cp_list_remove(&s->young);
    uv_close((uv_handle_t *)&s->limit, on_limit_closed);
}

static int try_next(struct cp_stream *s);

static void say_end(struct cp_stream *s, int status, const char *why)
{
    struct cp_engine *engine = s->net->driver->engine;
    char text[640];

    if (s->is_known)
        cp_engine_closed(engine, &s->link, status);
    else if (s->host == NULL)
        cp_engine_shut_out(engine, &s->path.remote,
                           s->why == NULL ? why : s->why);
    s->is_known = s->is_agreed = false;
    if (s->host == NULL)
        return; /* who connected to us waits for nothing here */
    if (s->why != NULL)
        status = COPAL_ETIMEOUT;
    if (s->why == NULL && strstr(why, s->host) != NULL)
        snprintf(text, sizeof(text), "%s", why);
    else
        snprintf(text, sizeof(text), "%s: %s%s", s->host,
                 s->why == NULL ? "" : "the connection was ",
                 s->why == NULL ? why : s->why);
    tell_routes(s, status == 0 ? COPAL_ECLOSED : status, text);
}

/* Of an attempt that failed: another address may do. */
static void closed(struct cp_pipe *p, int status, const char *why)
{
    struct cp_stream *s = of_top(p);

    s->top.below = NULL;
    if (s->net->driver->engine == NULL) {
        forget(s);
        return;
    }
    if (!s->is_known && s->host != NULL && status != COPAL_EAUTH &&
        s->tried < s->to.count && try_next(s) == 0)
        return;
    s->link.identity = NULL;
    s->is_closing = true;
    say_end(s, status, why);
    forget(s);
}

/* The time is that of the beginning, however often more comes. */
static bool amid(struct cp_pipe *p, size_t held)
{
    struct cp_stream *s = of_top(p);

    if (s->is_closing)
        return true;
    if (!cp_stream_room_hold(s, held))
        return false;
    if (s->host != NULL && !s->is_agreed)
        return true;
    if (held == 0)
        uv_timer_stop(&s->limit);
    else if (!uv_is_active((uv_handle_t *)&s->limit))
        limit(s, FRAME_WITHIN);
    return true;
}

static const struct cp_pipe_ops top_ops = {
    .opened = opened,
    .amid = amid,
    .bytes = bytes,
    .has_more = has_more,
    .drained = drained,
    .closed = closed,
};

/* ---- Building ---- */

/* bottom is closed where it fails, which nobody hears of. */
static int put_layers(struct cp_stream *s, struct cp_pipe *bottom)
{
    const struct cp_driver *d = s->net->driver;
    struct cp_asked asked = {
        .scheme = s->scheme,
        .host = s->host,
        .port = s->host == NULL ? s->path.local.port : s->path.remote.port,
    };
    struct cp_pipe *highest = bottom, *next;
    int err = 0;

    s->bottom = bottom;
    if (s->layers->tls) {
        err = d->security->tls(d->credentials, highest, &asked, &next);
        highest = err == 0 ? next : highest;
    }
    if (err == 0 && s->layers->ws) {
        err = cp_ws_new(s->net, highest, &asked, &next);
        highest = err == 0 ? next : highest;
    }
    if (err == 0)
        cp_pipe_join(&s->top, highest);
    else
        highest->ops->cut(highest);
    return err;
}

static struct cp_stream *stream_new(struct cp_net *net, const char *host,
                                    int scheme)
{
    struct cp_mem *mem = net->driver->mem;
    struct cp_stream *s = cp_zalloc(mem, sizeof(*s));

    if (s == NULL)
        return NULL;
    if (host != NULL) {
        s->host = cp_copy_text(mem, host, strlen(host));
        if (s->host == NULL) {
            cp_free(mem, s);
            return NULL;
        }
    }
    s->net = net;
    s->scheme = scheme;
    s->layers = cp_stream_layers(scheme);
    s->top.ops = &top_ops;
    s->link = (struct cp_link){
        .ops = &link_ops,
        .engine = net->driver->engine,
        .scheme = scheme,
        .host = s->host,
    };
    s->began = cp_turn_now(net->loop);
    cp_list_init(&s->routes);
    cp_list_init(&s->young);
    cp_list_append(&net->streams, &s->node);
    if (host == NULL)
        cp_list_append(&net->young, &s->young);
    (void)uv_timer_init(net->uv, &s->limit);
    s->limit.data = s;
    uv_unref((uv_handle_t *)&s->limit);
    cp_loop_handle_opened(net->loop);
    limit(s, OPEN_WITHIN);
    return s;
}

/* Connects to the next address that can be tried at all. 0, or COPAL_E* with
 * mem's sentence. */
static int try_next(struct cp_stream *s)
{
    int err = COPAL_EUNREACH;

    while (s->tried < s->to.count) {
        const struct cp_address *to = &s->to.list[s->tried++];
        struct cp_pipe *bottom;

        err = cp_tcp_connect(s->net, to, &s->from, &bottom);
        if (err != 0)
            continue;
        s->path.remote = *to;
        err = put_layers(s, bottom);
        if (err == 0)
            return 0;
    }
    return err;
}

static struct cp_stream *find(struct cp_net *net, const struct cp_route *r)
{
    list_each (node, after, &net->streams) {
        struct cp_stream *s = cp_container_of(node, struct cp_stream, node);

        if (s->host != NULL && s->scheme == r->scheme && !s->is_closing &&
            s->to.list[0].port == r->port && strcmp(s->host, r->host) == 0 &&
            cp_address_equal(&s->from, &r->from) &&
            (!s->is_agreed || cp_engine_may_ask(&s->link)))
            return s;
    }
    return NULL;
}

int cp_stream_route_to(struct cp_net *net, struct cp_route *r,
                       const struct cp_found *found)
{
    struct cp_stream *s = stream_new(net, r->host, r->scheme);
    int err;

    if (s == NULL)
        return COPAL_ENOMEM;
    s->to = *found;
    s->from = r->from;
    for (size_t i = 0; i < s->to.count; i++)
        s->to.list[i].port = r->port;
    err = try_next(s);
    if (err != 0) {
        s->is_closing = true;
        forget(s);
        return err;
    }
    cp_list_append(&s->routes, &r->node);
    return 1;
}

int cp_stream_route(struct cp_net *net, struct cp_route *r)
{
    struct cp_stream *s = find(net, r);
    struct cp_found found;
    int err;

    if (s != NULL && s->is_agreed) {
        give_way(s, r);
        return 0;
    }
    if (s != NULL) {
        cp_list_append(&s->routes, &r->node);
        return 1;
    }
    err = cp_route_find(net, r, &found);
    return err == 0 ? cp_stream_route_to(net, r, &found) : err;
}

/* ---- Accepting ---- */

void cp_stream_accept(struct cp_net *net, struct cp_pipe *bottom,
                      const struct cp_path *path, int scheme)
{
    struct cp_stream *s = NULL;

    if (cp_stream_room_for(net, &path->remote))
        s = stream_new(net, NULL, scheme);
    if (s == NULL) {
        bottom->ops->cut(bottom);
        return;
    }
    s->path = *path;
    if (put_layers(s, bottom) != 0) {
        s->is_closing = true;
        forget(s);
        return;
    }
    bottom->above->ops->opened(bottom->above);
}

/* ---- All of them ---- */

void cp_streams_close(struct cp_net *net)
{
    list_each (node, after, &net->streams) {
        struct cp_stream *s = cp_container_of(node, struct cp_stream, node);

        s->is_closing = true;
        if (s->top.below != NULL)
            s->top.below->ops->cut(s->top.below);
    }
}

bool cp_streams_are_waiting(const struct cp_net *net)
{
    list_each (node, after, &net->streams) {
        const struct cp_stream *s =
            cp_container_of(node, struct cp_stream, node);

        if (s->top.below != NULL && s->top.below->ops->queued(s->top.below) > 0)
            return true;
    }
    return false;
}
