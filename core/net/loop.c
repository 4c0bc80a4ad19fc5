#include "net/loop.h"

#include <errno.h>
#include <limits.h>
#include "engine/engine.h"
#include "net/accept.h"
#include "net/listen.h"
#include "net/membership.h"
#include "net/metrics.h"
#include "net/outbox.h"
#include "net/resolve.h"
#include "net/route.h"
#include "net/scheme.h"
#include "net/stream.h"
#include "net/tcp.h"
#include "net/turn.h"
#include "net/udp.h"
#include "net/ws.h"
#include "wire/uri.h"

static struct cp_loop *loop_of(struct cp_driver *d)
{
    return cp_container_of(d, struct cp_loop, driver);
}

static const struct cp_loop *loop_of_const(const struct cp_driver *d)
{
    return (const struct cp_loop *)(const void *)d;
}

static uint64_t now(struct cp_driver *d)
{
    return cp_turn_now(loop_of(d));
}

/* ---- Running ---- */

static void wake(struct cp_driver *d)
{
    cp_turn_wake(loop_of(d));
}

static void bury(struct cp_loop *l)
{
    l->driver.condemned(l->driver.owner);
}

static int refuse_to_run(struct cp_loop *l, const char *what)
{
    if (l->is_shared)
        return cp_why(l->driver.mem, COPAL_ESTATE,
                      "%s: this endpoint lives on a shared loop; run that",
                      what);
    if (l->is_inside)
        return cp_why(l->driver.mem, COPAL_ESTATE,
                      "%s: called from a callback, the loop runs already",
                      what);
    return 0;
}

/* Consumes what stop() left, also when it came before. */
static bool is_stopped(struct cp_loop *l)
{
    return atomic_exchange(&l->is_stopped, false);
}

static int run(struct cp_driver *d)
{
    struct cp_loop *l = loop_of(d);
    int err = refuse_to_run(l, "run");

    if (err != 0)
        return err;
    if (is_stopped(l) || l->is_condemned)
        return 0;
    cp_turn_run(l);
    while (!l->is_condemned && !is_stopped(l) && cp_turn_is_alive(l))
        uv_run(l->uv, UV_RUN_ONCE);
    if (l->is_condemned)
        bury(l);
    return 0;
}

/* Async-signal-safe, errno included. */
static void stop(struct cp_driver *d)
{
    struct cp_loop *l = loop_of(d);
    int saved = errno;

    atomic_store(&l->is_stopped, true);
    uv_async_send(&l->wake);
    errno = saved;
}

static int step(struct cp_driver *d)
{
    struct cp_loop *l = loop_of(d);
    int err = refuse_to_run(l, "step");

    if (err != 0)
        return err;
    cp_turn_run_due(l);
    if (!l->is_condemned)
        uv_run(l->uv, UV_RUN_NOWAIT);
    if (l->is_condemned)
        bury(l);
    return 0;
}

static int fd(const struct cp_driver *d)
{
    const struct cp_loop *l = loop_of_const(d);

    if (l->is_shared)
        return cp_why(d->mem, COPAL_ESTATE,
                      "fd: this endpoint lives on a shared loop; watch that");
    return uv_backend_fd(l->uv);
}

/* libuv counts from when it last ran; the deadline is counted from now. */
static int until_deadline(struct cp_loop *l)
{
    uint64_t deadline = cp_turn_deadline(l);
    uint64_t at = cp_turn_now(l);

    if (deadline == UINT64_MAX)
        return -1;
    if (deadline <= at)
        return 0;
    return deadline - at > INT_MAX ? INT_MAX : (int)(deadline - at);
}

static int timeout(const struct cp_driver *d)
{
    const struct cp_loop *l = loop_of_const(d);
    int theirs, ours;

    if (l->is_shared)
        return cp_why(d->mem, COPAL_ESTATE,
                      "timeout: this endpoint lives on a shared loop; ask "
                      "that");
    if (atomic_load(&l->is_due))
        return 0;
    theirs = uv_backend_timeout(l->uv);
    ours = until_deadline((struct cp_loop *)l);
    if (theirs < 0 || ours < 0)
        return theirs < 0 ? ours : theirs;
    return ours < theirs ? ours : theirs;
}

/* ---- Ways in and out ---- */

static int route(struct cp_driver *d, struct cp_route *r)
{
    const struct cp_transport *t = cp_scheme_transport(d, r->scheme, r->host);

    cp_list_init(&r->node);
    r->work = NULL;
    r->count = 0;
    return t == NULL ? COPAL_ENOTSUP : t->route(&loop_of(d)->net, r);
}

static void unroute(struct cp_driver *d, struct cp_route *r)
{
    cp_route_forget(&loop_of(d)->net, r);
}

static int listen_at(struct cp_driver *d, const struct cp_uri *base,
                     const char *text, unsigned flags)
{
    struct cp_loop *l = loop_of(d);
    const struct cp_transport *t = cp_scheme_transport(d, base->scheme, text);
    int err;

    if (t == NULL)
        return COPAL_ENOTSUP;
    err = t->listen(&l->net, base, text, flags);
    if (err == 0)
        cp_turn_update_reference(l);
    return err;
}

static int take_over(struct cp_driver *d, int fd)
{
    struct cp_loop *l = loop_of(d);
    int err = cp_listen_take_over(&l->net, fd);

    if (err == 0)
        cp_turn_update_reference(l);
    return err;
}

static int hand_over(struct cp_driver *d, size_t i)
{
    return cp_listen_hand_over(&loop_of(d)->net, i);
}

static const char *local(const struct cp_driver *d, size_t i)
{
    return cp_listen_uri(&loop_of_const(d)->net, i);
}

static int join(struct cp_driver *d, const struct cp_uri *group,
                const char *if_name, bool leave)
{
    struct cp_loop *l = loop_of(d);
    int err;

    if (cp_scheme_transport(d, group->scheme, "group") == NULL)
        return COPAL_ENOTSUP;
    if (cp_scheme_is_stream(group->scheme))
        return cp_why(d->mem, COPAL_ENOTSUP,
                      "%s: nobody connects to a group; use coap://",
                      cp_scheme_name(group->scheme));
    if (group->scheme != CP_COAP)
        return cp_why(d->mem, COPAL_ENOTSUP,
                      "%s: DTLS is between two, not for a group; use coap://",
                      cp_scheme_name(group->scheme));
    err = cp_membership_change(&l->net, group, if_name, leave);
    cp_turn_update_reference(l);
    return err;
}

static const char *interface(struct cp_driver *d, size_t i, uint32_t *index)
{
    return cp_membership_interface(&loop_of(d)->net, i, index);
}

static int metrics(struct cp_driver *d, const char *where, struct cp_page page)
{
    return cp_metrics_open(&loop_of(d)->net, where, page);
}

static int allow(struct cp_driver *d, const char *origin)
{
    return cp_ws_allow(&loop_of(d)->net, origin);
}

static int allow_host(struct cp_driver *d, const char *name)
{
    return cp_ws_allow_host(&loop_of(d)->net, name);
}

/* ---- Birth and end ---- */

static void finish(struct cp_loop *l)
{
    struct cp_mem *mem = l->driver.mem;

    cp_free(mem, l->net.in);
    cp_free(mem, l->net.out);
    cp_free(mem, l->net.read_buffer);
    cp_free(mem, l);
}

void cp_loop_handle_opened(struct cp_loop *l)
{
    l->handles++;
}

void cp_loop_handle_closed(struct cp_loop *l)
{
    l->handles--;
    if (l->handles == 0 && l->is_closing && l->is_shared)
        finish(l);
}

static void on_closed(uv_handle_t *handle)
{
    cp_loop_handle_closed(handle->data);
}

static void close_loop(struct cp_driver *d)
{
    struct cp_loop *l = loop_of(d);

    cp_mem_on_retire(d->mem, NULL, NULL);
    l->is_closing = true;
    l->is_condemned = true;
    /* What the engine said last still goes out. */
    d->engine = NULL;
    list_each (node, after, &l->net.sockets) {
        cp_udp_end_secured(cp_container_of(node, struct cp_udp, node));
    }
    cp_outbox_flush(l->net.out);
    cp_resolver_free(l->net.names);
    cp_membership_clear(&l->net);
    cp_metrics_close(&l->net);
    cp_tcp_close_all(&l->net);
    cp_accept_end(&l->net);
    cp_streams_close(&l->net);
    cp_ws_forget(&l->net);
    list_each (node, after, &l->net.sockets) {
        cp_udp_close(cp_container_of(node, struct cp_udp, node));
    }
    uv_close((uv_handle_t *)&l->wake, on_closed);
    uv_close((uv_handle_t *)&l->timer, on_closed);
    uv_close((uv_handle_t *)&l->prepare, on_closed);
    uv_close((uv_handle_t *)&l->idle, on_closed);
    if (l->is_shared)
        return;
    while (l->handles > 0)
        uv_run(l->uv, UV_RUN_ONCE);
    (void)uv_loop_close(l->uv);
    finish(l);
}

static const struct cp_driver_ops loop_ops = {
    .now = now,
    .wake = wake,
    .route = route,
    .unroute = unroute,
    .listen = listen_at,
    .local = local,
    .take_over = take_over,
    .hand_over = hand_over,
    .join = join,
    .interface = interface,
    .metrics = metrics,
    .allow = allow,
    .allow_host = allow_host,
    .run = run,
    .stop = stop,
    .fd = fd,
    .timeout = timeout,
    .step = step,
    .close = close_loop,
};

static void on_retire(void *loop)
{
    cp_turn_wake(loop);
}

static void on_wake(uv_async_t *async)
{
    cp_turn_run_due(async->data);
}

/* 0, or libuv's error; then no handle is open. */
static int open_handles(struct cp_loop *l)
{
    int error = 0;

    if (!l->is_shared)
        error = uv_loop_init(l->uv);
    if (error != 0)
        return error;
    error = uv_async_init(l->uv, &l->wake, on_wake);
    if (error != 0) {
        if (!l->is_shared)
            (void)uv_loop_close(l->uv);
        return error;
    }
    (void)uv_timer_init(l->uv, &l->timer);
    (void)uv_prepare_init(l->uv, &l->prepare);
    (void)uv_idle_init(l->uv, &l->idle);
    l->wake.data = l->timer.data = l->prepare.data = l->idle.data = l;
    l->handles = 4;
    /* Only the first is to keep a loop going. */
    uv_unref((uv_handle_t *)&l->timer);
    uv_unref((uv_handle_t *)&l->prepare);
    uv_unref((uv_handle_t *)&l->idle);
    if (l->is_shared)
        uv_unref((uv_handle_t *)&l->wake);
    return 0;
}

struct cp_driver *cp_loop_new(struct cp_mem *mem, struct uv_loop_s *shared)
{
    struct cp_loop *l = cp_zalloc(mem, sizeof(*l));
    int error;

    if (l == NULL)
        return NULL;
    l->driver = (struct cp_driver){.ops = &loop_ops, .mem = mem};
    l->is_shared = shared != NULL;
    l->uv = l->is_shared ? shared : &l->own;
    l->armed = UINT64_MAX;
    l->rest_until = UINT64_MAX;
    atomic_init(&l->thread, uv_thread_self());
    l->net = (struct cp_net){
        .driver = &l->driver,
        .loop = l,
        .uv = l->uv,
        .spare = -1,
    };
    cp_list_init(&l->net.sockets);
    cp_list_init(&l->net.listeners);
    cp_list_init(&l->net.streams);
    cp_list_init(&l->net.origins);
    cp_list_init(&l->net.hosts);
    cp_list_init(&l->net.memberships);
    cp_list_init(&l->net.young);
    cp_list_init(&l->waiting);
    l->net.names = cp_resolver_new(&l->driver);
    if (l->net.names == NULL)
        goto no_names;
    error = open_handles(l);
    if (error != 0) {
        cp_why(mem, COPAL_EIO, "no event loop: %s", uv_strerror(error));
        goto no_handles;
    }
    cp_mem_on_retire(mem, on_retire, l);
    return &l->driver;
no_handles:
    cp_resolver_free(l->net.names);
no_names:
    cp_free(mem, l);
    return NULL;
}
