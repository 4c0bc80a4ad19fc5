#include "net/tcp.h"

#include <errno.h>
#include <stdio.h>
#include <uv.h>
#include "base/mem.h"
#include "engine/engine.h"
#include "net/listen.h"
#include "net/loop.h"
#include "net/sockaddr.h"
#include "net/stream.h"
#include "net/turn.h"

enum {
    READ_AT_ONCE = 65536,
    MOST_QUEUED = 262144, /* bytes: who does not read is cut off */
    BACKLOG = 512
};

struct tcp {
    struct cp_pipe pipe;
    uv_tcp_t handle;
    uv_connect_t connect;
    uv_shutdown_t shutdown;
    struct cp_net *net;
    struct cp_path path;
    int status; /* why it closes */
    bool is_open, is_closing, is_closed;
    char why[192];
};

/* Bytes that the system did not take at once. */
struct write {
    uv_write_t request;
    struct tcp *tcp;
    uint8_t data[];
};

struct cp_tcp_listener {
    uv_tcp_t handle;
    struct cp_list node;
    struct cp_net *net;
    struct cp_address local;
    int scheme;
    bool listens;
    char uri[CP_ADDRESS_TEXT + 16];
};

static struct tcp *of_pipe(const struct cp_pipe *p)
{
    return cp_container_of((struct cp_pipe *)p, struct tcp, pipe);
}

static int status_of(int uv_error)
{
    switch (uv_error) {
    case 0:
    case UV_EOF: return 0;
    case UV_ECONNREFUSED: return COPAL_EREFUSED;
    case UV_ETIMEDOUT: return COPAL_ETIMEOUT;
    case UV_ENETUNREACH:
    case UV_EHOSTUNREACH:
    case UV_EADDRNOTAVAIL: return COPAL_EUNREACH;
    case UV_EACCES:
    case UV_EPERM: return COPAL_EPERM;
    case UV_ENOMEM: return COPAL_ENOMEM;
    case UV_ECONNRESET:
    case UV_EPIPE:
    case UV_ECANCELED:
    case UV_ECONNABORTED: return COPAL_ECLOSED;
    default: return COPAL_EIO;
    }
}

static void explain(struct tcp *t, int uv_error)
{
    char where[CP_ADDRESS_TEXT];

    cp_address_print(&t->path.remote, 0, where);
    t->status = status_of(uv_error);
    if (t->status == COPAL_EREFUSED)
        snprintf(t->why, sizeof(t->why),
                 "nothing listens at %s; is the server running, and the port "
                 "right?",
                 where);
    else if (t->status == 0)
        snprintf(t->why, sizeof(t->why), "%s closed the connection", where);
    else
        snprintf(t->why, sizeof(t->why), "%s: %s", where,
                 uv_strerror(uv_error));
}

/* ---- Its end ---- */

static void on_closed(uv_handle_t *handle)
{
    struct tcp *t = handle->data;
    struct cp_loop *loop = t->net->loop;
    bool is_on = cp_turn_enter(loop);

    if (t->pipe.above != NULL)
        t->pipe.above->ops->closed(t->pipe.above, t->status, t->why);
    cp_free(t->net->driver->mem, t);
    cp_loop_handle_closed(loop);
    if (is_on)
        (void)cp_turn_end(loop);
}

static void cut(struct cp_pipe *p)
{
    struct tcp *t = of_pipe(p);

    t->is_closing = true;
    if (t->is_closed)
        return;
    t->is_closed = true;
    uv_close((uv_handle_t *)&t->handle, on_closed);
}

static void on_shut_down(uv_shutdown_t *request, int status)
{
    struct tcp *t = request->data;

    (void)status;
    cut(&t->pipe);
}

static void close_pipe(struct cp_pipe *p)
{
    struct tcp *t = of_pipe(p);

    if (t->is_closing)
        return;
    t->is_closing = true;
    t->shutdown.data = t;
    if (!t->is_open ||
        uv_shutdown(&t->shutdown, (uv_stream_t *)&t->handle, on_shut_down) != 0)
        cut(p);
}

static void fail(struct tcp *t, int uv_error)
{
    if (!t->is_closing)
        explain(t, uv_error);
    cut(&t->pipe);
}

/* ---- In ---- */

static void give_buffer(uv_handle_t *handle, size_t suggested, uv_buf_t *out)
{
    struct tcp *t = handle->data;
    struct cp_net *net = t->net;

    (void)suggested;
    if (net->read_buffer == NULL)
        net->read_buffer = cp_alloc(net->driver->mem, READ_AT_ONCE);
    *out = uv_buf_init((char *)net->read_buffer,
                       net->read_buffer == NULL ? 0 : READ_AT_ONCE);
}

static void on_read(uv_stream_t *stream, ssize_t count, const uv_buf_t *buffer)
{
    struct tcp *t = stream->data;
    struct cp_loop *loop = t->net->loop;

    if (count == 0 || !cp_turn_enter(loop))
        return;
    if (count < 0)
        fail(t, count == UV_ENOBUFS ? UV_ENOMEM : (int)count);
    else if (!t->is_closing)
        t->pipe.above->ops->bytes(t->pipe.above,
                                  cp_bytes(buffer->base, (size_t)count));
    (void)cp_turn_end(loop);
}

/* ---- Out ---- */

static size_t queued(const struct cp_pipe *p)
{
    return uv_stream_get_write_queue_size(
        (const uv_stream_t *)&of_pipe(p)->handle);
}

static void on_written(uv_write_t *request, int status)
{
    struct write *w = cp_container_of(request, struct write, request);
    struct tcp *t = w->tcp;
    struct cp_loop *loop = t->net->loop;

    cp_free(t->net->driver->mem, w);
    if (t->is_closed || !cp_turn_enter(loop))
        return;
    if (status < 0)
        fail(t, status);
    else if (!t->is_closing)
        t->pipe.above->ops->drained(t->pipe.above);
    (void)cp_turn_end(loop);
}

static int send_rest(struct tcp *t, copal_bytes rest)
{
    struct write *w = cp_alloc(t->net->driver->mem, sizeof(*w) + rest.len);
    uv_buf_t buffer;

    if (w == NULL)
        return COPAL_ENOMEM;
    w->tcp = t;
    memcpy(w->data, rest.data, rest.len);
    buffer = uv_buf_init((char *)w->data, (unsigned)rest.len);
    if (uv_write(&w->request, (uv_stream_t *)&t->handle, &buffer, 1,
                 on_written) == 0)
        return 0;
    cp_free(t->net->driver->mem, w);
    return COPAL_EIO;
}

/* Half of something was sent: the rest must follow, or nothing. */
static int send_bytes(struct cp_pipe *p, copal_bytes bytes)
{
    struct tcp *t = of_pipe(p);
    uv_buf_t buffer = uv_buf_init((char *)bytes.data, (unsigned)bytes.len);
    int sent = 0, err;

    if (!t->is_open || t->is_closing)
        return COPAL_ECLOSED;
    if (queued(p) > MOST_QUEUED) {
        snprintf(t->why, sizeof(t->why), "the peer does not read");
        t->status = COPAL_ELIMIT;
        cut(p);
        return COPAL_ELIMIT;
    }
    if (queued(p) == 0)
        sent = uv_try_write((uv_stream_t *)&t->handle, &buffer, 1);
    if (sent < 0)
        sent = 0; /* what is wrong is told when it is written or read */
    if ((size_t)sent == bytes.len)
        return 0;
    err = send_rest(t, cp_bytes(bytes.data + sent, bytes.len - (size_t)sent));
    if (err != 0) {
        t->status = err;
        snprintf(t->why, sizeof(t->why), "%s", copal_strerror(err));
        cut(p);
    }
    return err;
}

static const struct cp_pipe_ops tcp_ops = {
    .send = send_bytes,
    .close = close_pipe,
    .cut = cut,
    .queued = queued,
};

/* ---- Birth ---- */

static struct tcp *tcp_new(struct cp_net *net)
{
    struct tcp *t = cp_zalloc(net->driver->mem, sizeof(*t));

    if (t == NULL)
        return NULL;
    t->pipe.ops = &tcp_ops;
    t->net = net;
    t->status = COPAL_ECLOSED;
    snprintf(t->why, sizeof(t->why), "closed here");
    (void)uv_tcp_init(net->uv, &t->handle);
    t->handle.data = t;
    /* The loop alone decides whether there is something to wait for. */
    uv_unref((uv_handle_t *)&t->handle);
    cp_loop_handle_opened(net->loop);
    return t;
}

static void start(struct tcp *t)
{
    t->is_open = true;
    (void)uv_tcp_nodelay(&t->handle, 1);
    if (uv_read_start((uv_stream_t *)&t->handle, give_buffer, on_read) != 0)
        fail(t, UV_EIO);
}

static void on_connected(uv_connect_t *request, int status)
{
    struct tcp *t = request->data;
    struct cp_loop *loop = t->net->loop;

    if (t->is_closed || !cp_turn_enter(loop))
        return;
    if (status < 0) {
        fail(t, status);
    } else {
        start(t);
        if (!t->is_closing)
            t->pipe.above->ops->opened(t->pipe.above);
    }
    (void)cp_turn_end(loop);
}

int cp_tcp_connect(struct cp_net *net, const struct cp_address *to,
                   const struct cp_address *from, struct cp_pipe **out)
{
    struct tcp *t;
    union cp_sockaddr name;
    int error = 0;

    if (from->family != 0 && from->family != to->family)
        return cp_why(net->driver->mem, COPAL_EUNREACH,
                      "the address to leave from is of another version of IP");
    t = tcp_new(net);
    if (t == NULL)
        return COPAL_ENOMEM;
    t->path.remote = *to;
    if (from->family != 0) {
        (void)cp_sockaddr_write(from, &name);
        error = uv_tcp_bind(&t->handle, &name.any, 0);
    }
    (void)cp_sockaddr_write(to, &name);
    t->connect.data = t;
    if (error == 0)
        error =
            uv_tcp_connect(&t->connect, &t->handle, &name.any, on_connected);
    if (error != 0) {
        explain(t, error);
        cp_why(net->driver->mem, t->status, "%s", t->why);
        error = t->status;
        cut(&t->pipe);
        return error;
    }
    *out = &t->pipe;
    return 0;
}

/* ---- Listening ---- */

static bool read_peer(const struct tcp *t, struct cp_path *out)
{
    union cp_sockaddr name;
    int size = sizeof(name);

    if (uv_tcp_getpeername(&t->handle, &name.any, &size) != 0 ||
        !cp_sockaddr_read(&name, &out->remote))
        return false;
    size = sizeof(name);
    return uv_tcp_getsockname(&t->handle, &name.any, &size) == 0 &&
           cp_sockaddr_read(&name, &out->local);
}

/* Where there are no descriptors left libuv closes who asks, and goes on. */
static void on_connection(uv_stream_t *server, int status)
{
    struct cp_tcp_listener *l = server->data;
    struct cp_net *net = l->net;
    struct tcp *t;

    if (status < 0 || !cp_turn_enter(net->loop))
        return;
    t = tcp_new(net);
    if (t != NULL && uv_accept(server, (uv_stream_t *)&t->handle) == 0 &&
        read_peer(t, &t->path)) {
        start(t);
        if (!t->is_closing)
            cp_stream_accept(net, &t->pipe, &t->path, l->scheme);
    } else if (t != NULL) {
        cut(&t->pipe);
    }
    (void)cp_turn_end(net->loop);
}

static int share_port(uv_tcp_t *handle)
{
    uv_os_fd_t fd;
    int on = 1, error = uv_fileno((uv_handle_t *)handle, &fd);

    if (error == 0 &&
        setsockopt(fd, SOL_SOCKET, SO_REUSEPORT, &on, sizeof(on)) != 0)
        error = -errno;
    return error;
}

static void on_listener_closed(uv_handle_t *handle)
{
    struct cp_tcp_listener *l = handle->data;
    struct cp_loop *loop = l->net->loop;

    cp_free(l->net->driver->mem, l);
    cp_loop_handle_closed(loop);
}

/* libuv tells of a port that is taken when it is to listen. */
int cp_tcp_listen(struct cp_net *net, const struct cp_address *local,
                  unsigned flags, struct cp_tcp_listener **out)
{
    struct cp_tcp_listener *l = cp_zalloc(net->driver->mem, sizeof(*l));
    union cp_sockaddr name;
    int size = sizeof(name), error;

    if (l == NULL)
        return ENOMEM;
    l->net = net;
    cp_list_append(&net->listeners, &l->node);
    error = uv_tcp_init_ex(net->uv, &l->handle,
                           local->family == CP_IPV4 ? AF_INET : AF_INET6);
    if (error != 0) {
        cp_list_remove(&l->node);
        cp_free(net->driver->mem, l);
        return -error;
    }
    l->handle.data = l;
    uv_unref((uv_handle_t *)&l->handle);
    cp_loop_handle_opened(net->loop);
    (void)cp_sockaddr_write(local, &name);
    if ((flags & COPAL_REUSE_PORT) != 0)
        error = share_port(&l->handle);
    if (error == 0)
        error = uv_tcp_bind(&l->handle, &name.any,
                            local->family == CP_IPV6 ? UV_TCP_IPV6ONLY : 0);
    if (error == 0)
        error = uv_listen((uv_stream_t *)&l->handle, BACKLOG, on_connection);
    if (error == 0)
        error = uv_tcp_getsockname(&l->handle, &name.any, &size);
    if (error == 0 && !cp_sockaddr_read(&name, &l->local))
        error = UV_EAFNOSUPPORT;
    if (error != 0) {
        cp_tcp_close(l);
        return -error;
    }
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
}

void cp_tcp_close(struct cp_tcp_listener *l)
{
    cp_list_remove(&l->node);
    uv_close((uv_handle_t *)&l->handle, on_listener_closed);
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
