#include "net/tcp.h"

#include <errno.h>
#include <stdio.h>
#include <sys/socket.h>
#include <unistd.h>
#include <netinet/tcp.h>
#include <uv.h>
#include "base/buf.h"
#include "engine/engine.h"
#include "net/loop.h"
#include "net/slice.h"
#include "net/sockaddr.h"
#include "net/turn.h"

/* The socket is ours and libuv only watches it: libuv's own writes would end the
 * process by SIGPIPE where a peer has gone, and what it queues is nobody's
 * memory. */

enum {
    READ_AT_ONCE = 16384, /* so much may lie here that has to wait */
    READS_IN_A_ROW = 16,  /* then it is others' turn */
    MOST_QUEUED = 262144  /* bytes: who does not read is cut off */
};

enum state {
    CONNECTING,
    OPEN,
    FLUSHING, /* closes once the queue has left */
    LEAVING,  /* all has left: what still comes is dropped, or a reset could
               * overtake what was said last */
    CLOSED
};

struct tcp {
    struct cp_pipe pipe;
    uv_poll_t poll;
    struct cp_slice slice;
    int fd;
    struct cp_net *net;
    struct cp_path path;
    enum state state;
    bool is_dismissed;   /* leaves without waiting for the peer */
    struct cp_buf queue; /* from sent on: not yet taken by the system */
    size_t sent;
    int status; /* why it closes */
    char why[192];
};

static struct tcp *of_pipe(const struct cp_pipe *p)
{
    return cp_container_of((struct cp_pipe *)p, struct tcp, pipe);
}

static int status_of(int error)
{
    switch (error) {
    case 0: return 0;
    case ECONNREFUSED: return COPAL_EREFUSED;
    case ETIMEDOUT: return COPAL_ETIMEOUT;
    case ENETUNREACH:
    case EHOSTUNREACH:
    case EADDRNOTAVAIL: return COPAL_EUNREACH;
    case EACCES:
    case EPERM: return COPAL_EPERM;
    case ENOMEM: return COPAL_ENOMEM;
    case EMFILE:
    case ENFILE: return COPAL_ELIMIT;
    case ECONNRESET:
    case EPIPE:
    case ECONNABORTED: return COPAL_ECLOSED;
    default: return COPAL_EIO;
    }
}

/* error 0: the peer closed. */
static void explain(struct tcp *t, int error)
{
    char where[CP_ADDRESS_TEXT];

    cp_address_print(&t->path.remote, 0, where);
    t->status = status_of(error);
    if (error == ECONNREFUSED)
        snprintf(t->why, sizeof(t->why),
                 "nothing listens at %s; is the server running, and the port "
                 "right?",
                 where);
    else if (error == 0)
        snprintf(t->why, sizeof(t->why), "%s closed the connection", where);
    else
        snprintf(t->why, sizeof(t->why), "%s: %s", where, strerror(error));
}

/* ---- Its end ---- */

static void on_closed(uv_handle_t *handle)
{
    struct tcp *t = handle->data;
    struct cp_loop *loop = t->net->loop;
    bool is_on = cp_turn_enter(loop);

    if (t->pipe.above != NULL)
        t->pipe.above->ops->closed(t->pipe.above, t->status, t->why);
    cp_buf_free(&t->queue);
    cp_free(t->net->driver->mem, t);
    cp_loop_handle_closed(loop);
    if (is_on)
        (void)cp_turn_end(loop);
}

static void cut(struct cp_pipe *p)
{
    struct tcp *t = of_pipe(p);

    if (t->state == CLOSED)
        return;
    t->state = CLOSED;
    cp_slice_leave(&t->slice);
    cp_turn_come_round(t->net->loop);
    uv_close((uv_handle_t *)&t->poll, on_closed);
    close(t->fd);
}

static void fail(struct tcp *t, int error)
{
    if (t->state == CONNECTING || t->state == OPEN)
        explain(t, error);
    cut(&t->pipe);
}

/* ---- Watching ---- */

static void on_ready(uv_poll_t *poll, int status, int events);

static size_t queued(const struct cp_pipe *p)
{
    const struct tcp *t = of_pipe(p);

    return t->queue.len - t->sent;
}

/* What came already waits for another turn: the rest waits with the peer. */
static bool has_more(const struct tcp *t)
{
    const struct cp_pipe *above = t->pipe.above;

    return t->state == OPEN && above != NULL && above->ops->has_more(above);
}

/* libuv would take it ill to be told to watch for nothing. */
static void watch(struct tcp *t)
{
    int events = has_more(t) ? 0 : UV_READABLE;

    if (t->state == CLOSED)
        return;
    if (t->state == CONNECTING)
        events = UV_WRITABLE;
    else if (queued(&t->pipe) > 0)
        events |= UV_WRITABLE;
    if (events == 0)
        uv_poll_stop(&t->poll);
    else
        (void)uv_poll_start(&t->poll, events, on_ready);
    cp_turn_come_round(t->net->loop);
}

/* ---- Out ---- */

/* How much of it the system takes now. What is wrong with the connection is
 * told when it is read. */
static size_t give(struct tcp *t, copal_bytes bytes)
{
    ssize_t n = send(t->fd, bytes.data, bytes.len, MSG_NOSIGNAL | MSG_DONTWAIT);

    return n < 0 ? 0 : (size_t)n;
}

/* What is closed with something unread is reset, and that may overtake what was
 * said last. */
static void drop_input(const struct tcp *t)
{
    uint8_t dropped[4096];

    for (int i = 0; i < READS_IN_A_ROW; i++)
        if (recv(t->fd, dropped, sizeof(dropped), MSG_DONTWAIT) <= 0)
            break;
}

static void leave(struct tcp *t)
{
    t->state = LEAVING;
    if (shutdown(t->fd, SHUT_WR) != 0) {
        cut(&t->pipe);
    } else if (t->is_dismissed) {
        drop_input(t);
        cut(&t->pipe);
    }
}

static void flush(struct tcp *t)
{
    size_t before = queued(&t->pipe);

    if (before == 0)
        return;
    t->sent += give(t, cp_bytes(t->queue.data + t->sent, before));
    if (queued(&t->pipe) > 0)
        return;
    cp_buf_free(&t->queue);
    t->queue = cp_buf_new(t->net->driver->mem);
    t->sent = 0;
    if (t->state == FLUSHING)
        leave(t);
    watch(t);
}

static int give_up(struct tcp *t, int status, const char *why)
{
    t->status = status;
    snprintf(t->why, sizeof(t->why), "%s", why);
    cut(&t->pipe);
    return status;
}

/* Half of something was sent: the rest must follow, or nothing. */
static int send_bytes(struct cp_pipe *p, copal_bytes bytes)
{
    struct tcp *t = of_pipe(p);
    size_t before = queued(p), taken = 0;

    if (t->state != OPEN)
        return COPAL_ECLOSED;
    if (before > MOST_QUEUED)
        return give_up(t, COPAL_ELIMIT, "the peer does not read");
    if (before == 0)
        taken = give(t, bytes);
    if (taken == bytes.len)
        return 0;
    cp_put_bytes(&t->queue, cp_bytes(bytes.data + taken, bytes.len - taken));
    if (t->queue.failed)
        return give_up(t, COPAL_ENOMEM, "out of memory");
    if (before == 0)
        watch(t);
    return 0;
}

static void close_pipe(struct cp_pipe *p)
{
    struct tcp *t = of_pipe(p);

    if (t->state == CONNECTING) {
        cut(p);
    } else if (t->state == OPEN) {
        t->state = FLUSHING;
        if (queued(p) == 0)
            leave(t);
        watch(t);
    }
}

static void dismiss(struct cp_pipe *p)
{
    struct tcp *t = of_pipe(p);

    t->is_dismissed = true;
    if (t->state == LEAVING)
        leave(t);
    else
        close_pipe(p);
}

/* ---- In ---- */

static uint8_t *buffer_of(struct cp_net *net)
{
    if (net->read_buffer == NULL)
        net->read_buffer = cp_alloc(net->driver->mem, READ_AT_ONCE);
    return net->read_buffer;
}

/* False: nothing more for now. */
static bool read_some(struct tcp *t)
{
    uint8_t *buffer = buffer_of(t->net);
    ssize_t n;

    if (buffer == NULL) {
        fail(t, ENOMEM);
        return false;
    }
    n = recv(t->fd, buffer, READ_AT_ONCE, MSG_DONTWAIT);
    if (n < 0 && (errno == EAGAIN || errno == EINTR))
        return false;
    if (n <= 0) {
        fail(t, n == 0 ? 0 : errno);
        return false;
    }
    if (t->state == OPEN)
        t->pipe.above->ops->bytes(t->pipe.above, cp_bytes(buffer, (size_t)n));
    return n == READ_AT_ONCE && t->state != CLOSED;
}

/* What waits from before goes first. */
static void read_on(struct tcp *t)
{
    bool had_more = has_more(t);

    if (had_more)
        t->pipe.above->ops->bytes(t->pipe.above, (copal_bytes){0});
    for (int i = 0; i < READS_IN_A_ROW && t->state != CLOSED && !has_more(t);
         i++)
        if (!read_some(t))
            break;
    if (has_more(t))
        cp_slice_wait(t->net->loop, &t->slice);
    if (has_more(t) != had_more)
        watch(t);
}

static void more(struct cp_pipe *p)
{
    struct tcp *t = of_pipe(p);

    if (!has_more(t))
        return;
    cp_slice_wait(t->net->loop, &t->slice);
    watch(t);
}

/* Its slice has come. */
static void go_on(struct cp_slice *s)
{
    struct tcp *t = cp_container_of(s, struct tcp, slice);
    struct cp_loop *loop = t->net->loop;

    if (t->state == CLOSED || !cp_turn_enter(loop))
        return;
    read_on(t);
    (void)cp_turn_end(loop);
}

static void on_connected(struct tcp *t)
{
    int error = 0;
    socklen_t size = sizeof(error);

    if (getsockopt(t->fd, SOL_SOCKET, SO_ERROR, &error, &size) != 0)
        error = errno;
    if (error != 0) {
        fail(t, error);
        return;
    }
    t->state = OPEN;
    watch(t);
    t->pipe.above->ops->opened(t->pipe.above);
}

/* Who waits already is not asked for more, and where others have waited long it
 * has to wait: that costs next to nothing, however many there are. */
static bool has_to_wait(struct tcp *t, int status, int events)
{
    if (t->state == CONNECTING || status < 0 || events != UV_READABLE)
        return false;
    if (!cp_slice_waits(&t->slice) && !cp_slice_is_over(t->net->loop))
        return false;
    cp_slice_wait(t->net->loop, &t->slice);
    return true;
}

static void on_ready(uv_poll_t *poll, int status, int events)
{
    struct tcp *t = poll->data;
    struct cp_loop *loop = t->net->loop;

    if (t->state == CLOSED || has_to_wait(t, status, events) ||
        !cp_turn_enter(loop))
        return;
    if (t->state == CONNECTING) {
        on_connected(t);
    } else {
        if ((events & UV_WRITABLE) != 0) {
            flush(t);
            if (t->state == OPEN && queued(&t->pipe) == 0)
                t->pipe.above->ops->drained(t->pipe.above);
        }
        /* libuv stops to watch where there is an error; reading shows it,
         * perhaps behind what came before. */
        if (status < 0 || (events & UV_READABLE) != 0)
            read_on(t);
        if (status < 0)
            watch(t);
    }
    (void)cp_turn_end(loop);
}

static const struct cp_pipe_ops tcp_ops = {
    .send = send_bytes,
    .close = close_pipe,
    .dismiss = dismiss,
    .cut = cut,
    .queued = queued,
    .more = more,
};

/* ---- Birth ---- */

static int set_up(int fd)
{
    int on = 1;

    return setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on)) == 0
               ? 0
               : errno;
}

int cp_tcp_adopt(struct cp_net *net, int fd, const struct cp_path *path,
                 bool is_open, struct cp_pipe **out)
{
    struct tcp *t = cp_zalloc(net->driver->mem, sizeof(*t));

    (void)set_up(fd); /* without it it is slower */
    if (t == NULL || uv_poll_init(net->uv, &t->poll, fd) != 0) {
        cp_free(net->driver->mem, t);
        close(fd);
        return COPAL_ENOMEM;
    }
    t->pipe.ops = &tcp_ops;
    t->net = net;
    t->fd = fd;
    t->path = *path;
    t->state = is_open ? OPEN : CONNECTING;
    t->queue = cp_buf_new(net->driver->mem);
    t->status = COPAL_ECLOSED;
    snprintf(t->why, sizeof(t->why), "closed here");
    t->poll.data = t;
    cp_slice_init(&t->slice, go_on);
    /* The loop alone decides whether there is something to wait for. */
    uv_unref((uv_handle_t *)&t->poll);
    cp_loop_handle_opened(net->loop);
    watch(t);
    *out = &t->pipe;
    return 0;
}

/* 0 or an errno. */
static int begin(const struct cp_address *to, const struct cp_address *from,
                 int *out)
{
    union cp_sockaddr name;
    socklen_t size = cp_sockaddr_write(to, &name);
    int fd = socket(name.any.sa_family,
                    SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    int error = 0;

    if (fd < 0)
        return errno;
    if (from->family != 0) {
        union cp_sockaddr own;
        socklen_t len = cp_sockaddr_write(from, &own);

        if (bind(fd, &own.any, len) != 0)
            error = errno;
    }
    if (error == 0 && connect(fd, &name.any, size) != 0 && errno != EINPROGRESS)
        error = errno;
    if (error != 0)
        close(fd);
    *out = fd;
    return error;
}

int cp_tcp_connect(struct cp_net *net, const struct cp_address *to,
                   const struct cp_address *from, struct cp_pipe **out)
{
    struct cp_path path = {.remote = *to};
    struct tcp failed = {.path = path};
    int fd = -1, error;

    if (from->family != 0 && from->family != to->family)
        return cp_why(net->driver->mem, COPAL_EUNREACH,
                      "the address to leave from is of another version of IP");
    error = begin(to, from, &fd);
    if (error != 0) {
        explain(&failed, error);
        return cp_why(net->driver->mem, failed.status, "%s", failed.why);
    }
    return cp_tcp_adopt(net, fd, &path, false, out);
}

bool cp_tcp_local_end(const struct cp_pipe *p, struct cp_address *out)
{
    union cp_sockaddr name;
    socklen_t size = sizeof(name);

    return getsockname(of_pipe(p)->fd, &name.any, &size) == 0 &&
           cp_sockaddr_read(&name, out);
}
