/* Sockets that listen for connections. */
#include <errno.h>
#include <stdio.h>
#include <sys/socket.h>
#include <unistd.h>
#include <uv.h>
#include "base/mem.h"
#include "net/accept.h"
#include "net/loop.h"
#include "net/sockaddr.h"
#include "net/stream.h"
#include "net/tcp.h"
#include "net/turn.h"

enum {
    BACKLOG = 512,
    MAX_ACCEPTS = 64, /* in a row; then it is others' turn */
    REST_MS = 100     /* where nobody can be let in */
};

struct cp_tcp_listener {
    uv_poll_t poll;
    uv_timer_t rest;
    size_t handles; /* of these two, not yet closed */
    int fd;
    struct cp_list node;
    struct cp_net *net;
    struct cp_address local;
    int scheme;
    bool listens;
    char uri[CP_ADDRESS_TEXT + 16];
};

static void on_connection(uv_poll_t *poll, int status, int events);

static void watch(struct cp_tcp_listener *l)
{
    (void)uv_poll_start(&l->poll, UV_READABLE, on_connection);
    cp_turn_come_round(l->net->loop);
}

static void on_rested(uv_timer_t *timer)
{
    watch(timer->data);
}

static void let_in(struct cp_tcp_listener *l, int fd,
                   const union cp_sockaddr *from)
{
    union cp_sockaddr name;
    socklen_t size = sizeof(name);
    struct cp_path path = {0};
    struct cp_pipe *bottom;

    if (!cp_sockaddr_read(from, &path.remote) ||
        getsockname(fd, &name.any, &size) != 0 ||
        !cp_sockaddr_read(&name, &path.local)) {
        close(fd);
        return;
    }
    if (cp_tcp_adopt(l->net, fd, &path, true, &bottom) == 0)
        cp_stream_accept(l->net, bottom, &path, l->scheme);
}

/* False: nobody waits, or nobody can be let in. */
static bool accept_one(struct cp_tcp_listener *l)
{
    union cp_sockaddr from;
    int fd = cp_accept(l->net, l->fd, &from);

    if (fd >= 0) {
        let_in(l, fd, &from);
    } else if (fd == CP_ACCEPT_REST) {
        uv_poll_stop(&l->poll);
        (void)uv_timer_start(&l->rest, on_rested, REST_MS, 0);
        uv_unref((uv_handle_t *)&l->rest);
    }
    return fd >= 0 || fd == CP_ACCEPT_NEXT;
}

static void on_connection(uv_poll_t *poll, int status, int events)
{
    struct cp_tcp_listener *l = poll->data;
    struct cp_loop *loop = l->net->loop;

    (void)status;
    (void)events;
    if (!cp_turn_enter(loop))
        return;
    for (int i = 0; i < MAX_ACCEPTS && accept_one(l); i++)
        continue;
    (void)cp_turn_end(loop);
}

/* ---- Birth and end ---- */

static int switch_on(int fd, int level, int option)
{
    int on = 1;

    return setsockopt(fd, level, option, &on, sizeof(on)) == 0 ? 0 : errno;
}

/* 0 or an errno. After an earlier server the port is free at once, though its
 * connections are remembered: SO_REUSEADDR. */
static int open_socket(const struct cp_address *at, unsigned flags, int *out)
{
    union cp_sockaddr name;
    socklen_t size = cp_sockaddr_write(at, &name);
    int fd = socket(name.any.sa_family,
                    SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    int error;

    if (fd < 0)
        return errno;
    error = switch_on(fd, SOL_SOCKET, SO_REUSEADDR);
    if (error == 0 && (flags & COPAL_REUSE_PORT) != 0)
        error = switch_on(fd, SOL_SOCKET, SO_REUSEPORT);
    if (error == 0 && at->family == CP_IPV6)
        error = switch_on(fd, IPPROTO_IPV6, IPV6_V6ONLY);
    if (error == 0 &&
        (bind(fd, &name.any, size) != 0 || listen(fd, BACKLOG) != 0))
        error = errno;
    if (error != 0)
        close(fd);
    *out = fd;
    return error;
}

static void on_closed(uv_handle_t *handle)
{
    struct cp_tcp_listener *l = handle->data;
    struct cp_loop *loop = l->net->loop;

    if (--l->handles == 0)
        cp_free(l->net->driver->mem, l);
    cp_loop_handle_closed(loop);
}

int cp_tcp_listen(struct cp_net *net, const struct cp_address *local,
                  unsigned flags, struct cp_tcp_listener **out)
{
    struct cp_tcp_listener *l = cp_zalloc(net->driver->mem, sizeof(*l));
    union cp_sockaddr name;
    socklen_t size = sizeof(name);
    int error = l == NULL ? ENOMEM : open_socket(local, flags, &l->fd);

    if (error != 0) {
        cp_free(net->driver->mem, l);
        return error;
    }
    if (getsockname(l->fd, &name.any, &size) != 0 ||
        !cp_sockaddr_read(&name, &l->local) ||
        uv_poll_init(net->uv, &l->poll, l->fd) != 0) {
        close(l->fd);
        cp_free(net->driver->mem, l);
        return ENOMEM;
    }
    (void)uv_timer_init(net->uv, &l->rest);
    l->net = net;
    l->handles = 2;
    l->poll.data = l->rest.data = l;
    uv_unref((uv_handle_t *)&l->poll);
    uv_unref((uv_handle_t *)&l->rest);
    cp_loop_handle_opened(net->loop);
    cp_loop_handle_opened(net->loop);
    cp_list_append(&net->listeners, &l->node);
    cp_accept_begin(net);
    *out = l;
    return 0;
}

void cp_tcp_start(struct cp_tcp_listener *l, int scheme)
{
    char address[CP_ADDRESS_TEXT];

    cp_address_print(&l->local, 0, address);
    snprintf(l->uri, sizeof(l->uri), "%s://%s", cp_scheme_name(scheme),
             address);
    l->scheme = scheme;
    l->listens = true;
    watch(l);
}

void cp_tcp_close(struct cp_tcp_listener *l)
{
    cp_list_remove(&l->node);
    uv_close((uv_handle_t *)&l->poll, on_closed);
    uv_close((uv_handle_t *)&l->rest, on_closed);
    close(l->fd);
}

const struct cp_address *cp_tcp_local(const struct cp_tcp_listener *l)
{
    return &l->local;
}

const char *cp_tcp_uri(const struct cp_net *net, size_t i)
{
    list_each (node, after, &net->listeners) {
        const struct cp_tcp_listener *l =
            cp_container_of(node, struct cp_tcp_listener, node);

        if (l->listens && i-- == 0)
            return l->uri;
    }
    return NULL;
}

void cp_tcp_close_all(struct cp_net *net)
{
    list_each (node, after, &net->listeners)
        cp_tcp_close(cp_container_of(node, struct cp_tcp_listener, node));
}
