#include "net/metrics.h"

#include <errno.h>
#include <sys/socket.h>
#include <unistd.h>
#include "base/buf.h"
#include "net/accept.h"
#include "net/listen.h"
#include "net/loop.h"
#include "net/metrics_place.h"
#include "net/sockaddr.h"
#include "net/turn.h"
#include "wire/http_head.h"

enum {
    MAX_CONNECTIONS = 16,
    MAX_HEAD = 4096,
    MAX_ACCEPTS = 64,   /* in a row; then it is others' turn */
    PATIENCE_MS = 5000, /* for the head, and again for the answer */
    FAREWELL_MS = 1000, /* for the other side to close */
    TICK_MS = 250
};

enum state {
    READING,
    WRITING,
    LEAVING /* all is sent; what still comes is read and dropped, or a reset
             * could overtake the answer */
};

struct cp_metrics {
    struct cp_net *net;
    struct cp_page page;
    uv_poll_t poll;
    uv_timer_t timer; /* while there is something to look after */
    size_t handles;   /* of these two, not yet closed */
    int fd;
    bool is_pausing; /* out of descriptors: accepts again at the next tick */
    struct cp_list connections;
    size_t count;
};

struct connection {
    struct cp_list node;
    struct cp_metrics *owner;
    struct cp_net *net; /* which outlives owner */
    uv_poll_t poll;
    int fd;
    enum state state;
    uint64_t until; /* ms, as cp_turn_now() */
    uint8_t *answer;
    size_t size, sent;
    size_t len; /* of head */
    uint8_t head[MAX_HEAD];
};

static void on_tick(uv_timer_t *timer);

/* ---- A connection ---- */

static void on_connection_closed(uv_handle_t *handle)
{
    struct connection *n = handle->data;
    struct cp_loop *loop = n->net->loop;

    cp_free(n->net->driver->mem, n->answer);
    cp_free(n->net->driver->mem, n);
    cp_loop_handle_closed(loop);
}

static void leave(struct connection *n)
{
    cp_list_remove(&n->node);
    n->owner->count--;
    uv_close((uv_handle_t *)&n->poll, on_connection_closed);
    close(n->fd);
}

static void on_connection(uv_poll_t *poll, int status, int events);

static void wait_for(struct connection *n, enum state state, uint64_t ms)
{
    n->state = state;
    n->until = cp_turn_now(n->net->loop) + ms;
    (void)uv_poll_start(&n->poll, state == WRITING ? UV_WRITABLE : UV_READABLE,
                        on_connection);
}

/* False: out of memory. Another status has itself as its page. */
static bool compose(struct connection *n, int status)
{
    struct cp_mem *mem = n->net->driver->mem;
    struct cp_buf page = cp_buf_new(mem), all = cp_buf_new(mem);
    copal_bytes body = {0};
    bool is_whole;

    if (status == CP_HTTP_OK)
        n->owner->page.fn(n->owner->page.user, &page);
    else
        cp_put_format(&page, "%d %s\n", status, cp_http_reason(status));
    is_whole = cp_buf_finish(&page, &body) == 0;
    cp_put_format(&all, "HTTP/1.1 %d %s\r\n", status, cp_http_reason(status));
    cp_put_format(&all, "Content-Type: text/plain; %scharset=utf-8\r\n",
                  status == CP_HTTP_OK ? "version=0.0.4; " : "");
    if (status == 405)
        cp_put_text(&all, "Allow: GET\r\n"); /* RFC 9110 15.5.6 */
    cp_put_format(&all, "Content-Length: %zu\r\nConnection: close\r\n\r\n",
                  body.len);
    cp_put_bytes(&all, body);
    cp_buf_free(&page);
    if (is_whole)
        n->answer = cp_buf_take(&all, &n->size);
    cp_buf_free(&all);
    return n->answer != NULL;
}

static void write_on(struct connection *n)
{
    ssize_t sent = send(n->fd, n->answer + n->sent, n->size - n->sent,
                        MSG_NOSIGNAL | MSG_DONTWAIT);

    if (sent < 0 && (errno == EAGAIN || errno == EINTR))
        return;
    if (sent < 0) {
        leave(n);
        return;
    }
    n->sent += (size_t)sent;
    if (n->sent < n->size)
        return;
    (void)shutdown(n->fd, SHUT_WR);
    wait_for(n, LEAVING, FAREWELL_MS);
}

static void answer(struct connection *n, int status)
{
    if (!compose(n, status)) {
        leave(n);
        return;
    }
    wait_for(n, WRITING, PATIENCE_MS);
    write_on(n);
}

static void read_head(struct connection *n)
{
    struct cp_http_head head;
    int status = cp_http_head_read(cp_bytes(n->head, n->len), &head);

    if (status == CP_HTTP_MORE && n->len < MAX_HEAD)
        return;
    if (status == CP_HTTP_MORE)
        status = 431;
    else if (status == CP_HTTP_OK && !cp_bytes_is_text(head.path, "/metrics"))
        status = 404;
    else if (status == CP_HTTP_OK && !cp_bytes_is_text(head.method, "GET"))
        status = 405;
    answer(n, status);
}

/* A head that has come whole is answered; what follows it is not read as
 * another one. */
static void read_on(struct connection *n)
{
    size_t at = n->state == READING ? n->len : 0;
    ssize_t got = recv(n->fd, n->head + at, MAX_HEAD - at, MSG_DONTWAIT);

    if (got < 0 && (errno == EAGAIN || errno == EINTR))
        return;
    if (got <= 0) {
        leave(n);
        return;
    }
    if (n->state == LEAVING)
        return;
    n->len += (size_t)got;
    read_head(n);
}

static void on_connection(uv_poll_t *poll, int status, int events)
{
    struct connection *n = poll->data;
    struct cp_loop *loop = n->net->loop;

    (void)events;
    if (!cp_turn_enter(loop))
        return;
    if (status < 0)
        leave(n);
    else if (n->state == WRITING)
        write_on(n);
    else
        read_on(n);
    (void)cp_turn_end(loop);
}

/* ---- Accepting ---- */

static void look_after(struct cp_metrics *m)
{
    if (uv_is_active((uv_handle_t *)&m->timer) == 0)
        (void)uv_timer_start(&m->timer, on_tick, TICK_MS, TICK_MS);
}

/* Of as many as there may be the oldest goes whose head is not there: who comes to
 * ask does so at once. */
static void make_room(struct cp_metrics *m)
{
    if (m->count < MAX_CONNECTIONS)
        return;
    list_each (node, after, &m->connections) {
        struct connection *n = cp_container_of(node, struct connection, node);

        if (n->state != READING)
            continue;
        leave(n);
        return;
    }
}

/* Where nobody can go for it, and without memory, the newest goes. */
static void begin(struct cp_metrics *m, int fd)
{
    struct cp_mem *mem = m->net->driver->mem;
    struct connection *n;

    make_room(m);
    n = m->count < MAX_CONNECTIONS ? cp_alloc(mem, sizeof(*n)) : NULL;

    if (n == NULL || uv_poll_init(m->net->uv, &n->poll, fd) != 0) {
        cp_free(mem, n);
        close(fd);
        return;
    }
    n->owner = m;
    n->net = m->net;
    n->fd = fd;
    n->poll.data = n;
    n->answer = NULL;
    n->size = n->sent = n->len = 0;
    uv_unref((uv_handle_t *)&n->poll);
    cp_loop_handle_opened(m->net->loop);
    cp_list_append(&m->connections, &n->node);
    m->count++;
    wait_for(n, READING, PATIENCE_MS);
    look_after(m);
}

/* False: nobody waits, or nobody can be let in. */
static bool accept_one(struct cp_metrics *m)
{
    union cp_sockaddr from;
    int fd = cp_accept(m->net, m->fd, &from);

    if (fd >= 0) {
        begin(m, fd);
    } else if (fd == CP_ACCEPT_REST) {
        m->is_pausing = true;
        uv_poll_stop(&m->poll);
        look_after(m);
    }
    return fd >= 0 || fd == CP_ACCEPT_NEXT;
}

static void on_listener(uv_poll_t *poll, int status, int events)
{
    struct cp_metrics *m = poll->data;

    struct cp_loop *loop = m->net->loop;

    (void)status;
    (void)events;
    if (!cp_turn_enter(loop))
        return;
    for (int i = 0; i < MAX_ACCEPTS && accept_one(m); i++)
        continue;
    (void)cp_turn_end(loop);
}

static void on_tick(uv_timer_t *timer)
{
    struct cp_metrics *m = timer->data;
    struct cp_loop *loop = m->net->loop;
    uint64_t now;

    if (!cp_turn_enter(loop))
        return;
    now = cp_turn_now(loop);
    list_each (node, after, &m->connections) {
        struct connection *n = cp_container_of(node, struct connection, node);

        if (now >= n->until)
            leave(n);
    }
    if (m->is_pausing)
        (void)uv_poll_start(&m->poll, UV_READABLE, on_listener);
    m->is_pausing = false;
    if (m->count == 0)
        uv_timer_stop(timer);
    (void)cp_turn_end(loop);
}

/* ---- Birth and end ---- */

static void on_closed(uv_handle_t *handle)
{
    struct cp_metrics *m = handle->data;
    struct cp_loop *loop = m->net->loop;

    if (--m->handles == 0)
        cp_free(m->net->driver->mem, m);
    cp_loop_handle_closed(loop);
}

void cp_metrics_close(struct cp_net *net)
{
    struct cp_metrics *m = net->metrics;

    if (m == NULL)
        return;
    net->metrics = NULL;
    list_each (node, after, &m->connections)
        leave(cp_container_of(node, struct connection, node));
    uv_close((uv_handle_t *)&m->poll, on_closed);
    uv_close((uv_handle_t *)&m->timer, on_closed);
    close(m->fd);
}

/* fd is taken over. */
static int start(struct cp_net *net, int fd, struct cp_page page)
{
    struct cp_metrics *m = cp_zalloc(net->driver->mem, sizeof(*m));

    if (m == NULL || uv_poll_init(net->uv, &m->poll, fd) != 0) {
        cp_free(net->driver->mem, m);
        close(fd);
        return COPAL_ENOMEM;
    }
    (void)uv_timer_init(net->uv, &m->timer);
    m->net = net;
    m->page = page;
    m->fd = fd;
    m->poll.data = m->timer.data = m;
    m->handles = 2;
    cp_list_init(&m->connections);
    for (size_t i = 0; i < m->handles; i++)
        cp_loop_handle_opened(net->loop);
    uv_unref((uv_handle_t *)&m->poll);
    uv_unref((uv_handle_t *)&m->timer);
    (void)uv_poll_start(&m->poll, UV_READABLE, on_listener);
    net->metrics = m;
    cp_accept_begin(net);
    return cp_metrics_place_port(fd);
}

int cp_metrics_open(struct cp_net *net, const char *where, struct cp_page page)
{
    struct cp_mem *mem = net->driver->mem;
    struct cp_address at;
    int fd = -1, error, err;

    if (where != NULL && (err = cp_metrics_place_read(mem, where, &at)) != 0)
        return err;
    cp_metrics_close(net);
    if (where == NULL)
        return 0;
    error = cp_metrics_place_bind(&at, &fd);
    return error != 0 ? cp_listen_error(mem, where, error)
                      : start(net, fd, page);
}
