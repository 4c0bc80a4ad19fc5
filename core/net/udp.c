#include "net/udp.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>
#include "engine/engine.h"
#include "engine/security.h"
#include "net/batch.h"
#include "net/inbox.h"
#include "net/loop.h"
#include "net/outbox.h"
#include "net/sockaddr.h"
#include "net/turn.h"
#include "wire/uri.h"

/* Batches read in a row before the loop's other handles get their chance. */
enum {
    MAX_BATCHES = 8
};

/* ---- As the engine sees it ---- */

static int send_datagram(struct cp_link *l, const struct cp_path *path,
                         copal_bytes data)
{
    cp_outbox_put(cp_container_of(l, struct cp_udp, link), path, data);
    return 0;
}

static bool is_blocked(const struct cp_link *l)
{
    return cp_container_of(l, const struct cp_udp, link)->is_blocked;
}

static const struct cp_link_ops udp_ops = {
    .name = "udp",
    .send = send_datagram,
    .is_blocked = is_blocked,
};

/* ---- As the loop sees it ---- */

static void on_poll(uv_poll_t *poll, int status, int events);

static void watch(struct cp_udp *s)
{
    int events = (s->is_handed_over ? 0 : UV_READABLE) |
                 (s->is_blocked ? UV_WRITABLE : 0);

    if (s->is_resting || events == 0) {
        (void)uv_poll_stop(&s->poll);
        return;
    }
    /* Fails only on a handle that is closing or not initialised. */
    (void)uv_poll_start(&s->poll, events, on_poll);
}

/* What waits in it cannot be read, and so would wake the loop at once again. */
static void rest(struct cp_udp *s)
{
    s->is_resting = true;
    watch(s);
    cp_turn_rest(s->net->loop);
}

void cp_udp_go_on(struct cp_udp *s)
{
    if (!s->is_resting)
        return;
    s->is_resting = false;
    watch(s);
}

static void on_poll(uv_poll_t *poll, int status, int events)
{
    struct cp_udp *s = poll->data;
    struct cp_loop *loop = s->net->loop;
    int failures = 0;

    if (!cp_turn_enter(loop))
        return;
    if (status < 0) {
        /* libuv reports EBADF and stops the handle when the socket has an
         * error waiting, which for UDP is one more kind of news. */
        s->is_blocked = false;
        if (cp_inbox_receive_errors(s) == 0)
            watch(s);
        else
            rest(s);
    } else if ((events & UV_WRITABLE) != 0) {
        s->is_blocked = false;
        watch(s);
    }

    for (int i = 0; i < MAX_BATCHES && !s->is_handed_over; i++) {
        int more = cp_inbox_receive(s);

        failures += more < 0;
        if (failures == MAX_BATCHES)
            rest(s);
        /* The answers of one batch leave together before the next is read. */
        if (!cp_turn_end(loop) || more == 0 || !cp_turn_enter(loop))
            return;
    }
    (void)cp_turn_end(loop);
}

void cp_udp_block(struct cp_udp *s)
{
    s->is_blocked = true;
    watch(s);
}

void cp_udp_hand_over(struct cp_udp *s)
{
    s->is_handed_over = true;
    s->is_shared = true; /* what we ask leaves from another */
    watch(s);
}

/* ---- Birth and end ---- */

static int switch_on(int fd, int level, int option)
{
    int on = 1;

    return setsockopt(fd, level, option, &on, sizeof(on)) == 0 ? 0 : errno;
}

/* Room for bursts: a default receive buffer holds about 256 small datagrams.
 * What the system does not grant costs speed only. */
static void size_buffers(int fd, int64_t bytes)
{
    int size = bytes > INT_MAX ? INT_MAX : (int)bytes;

    if (size <= 0)
        return;
#ifdef SO_RCVBUFFORCE
    if (setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &size, sizeof(size)) != 0)
#endif
        (void)setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &size, sizeof(size));
#ifdef SO_SNDBUFFORCE
    if (setsockopt(fd, SOL_SOCKET, SO_SNDBUFFORCE, &size, sizeof(size)) != 0)
#endif
        (void)setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &size, sizeof(size));
}

/* IPv6 sockets leave IPv4 to others: that is set before they are bound. */
static int keep_to_family(int fd, int family)
{
    return family == CP_IPV4 ? 0 : switch_on(fd, IPPROTO_IPV6, IPV6_V6ONLY);
}

/* Which address was asked, and what became of what was sent. Systems without
 * an error queue tell of refused ports by the time-out only. */
static int ask_for_news(int fd, int family)
{
    if (family == CP_IPV4) {
#ifdef IP_RECVERR
        (void)switch_on(fd, IPPROTO_IP, IP_RECVERR);
#endif
        return switch_on(fd, IPPROTO_IP, IP_PKTINFO);
    }
#ifdef IPV6_RECVERR
    (void)switch_on(fd, IPPROTO_IPV6, IPV6_RECVERR);
#endif
    return switch_on(fd, IPPROTO_IPV6, IPV6_RECVPKTINFO);
}

/* Groups that this socket did not join are others' to hear, whatever the rest
 * of the host has joined. */
static void hear_own_groups_only(int fd, int family)
{
    int off = 0;

#ifdef IP_MULTICAST_ALL
    if (family == CP_IPV4)
        (void)setsockopt(fd, IPPROTO_IP, IP_MULTICAST_ALL, &off, sizeof(off));
#endif
#ifdef IPV6_MULTICAST_ALL
    if (family == CP_IPV6)
        (void)setsockopt(fd, IPPROTO_IPV6, IPV6_MULTICAST_ALL, &off,
                         sizeof(off));
#endif
    (void)fd;
    (void)family;
    (void)off;
}

/* A group's socket of our own at that port: it does not stand in the way of
 * who listens there. */
static bool is_beside_group(const struct cp_net *net,
                            const struct cp_address *local)
{
    list_each (node, after, &net->sockets) {
        struct cp_udp *s = cp_container_of(node, struct cp_udp, node);

        if (s->is_group && s->local.family == local->family &&
            s->local.port == local->port)
            return true;
    }
    return false;
}

static int set_up(int fd, const struct cp_address *local, unsigned flags)
{
    int error = keep_to_family(fd, local->family);

    if (error == 0)
        error = ask_for_news(fd, local->family);
    hear_own_groups_only(fd, local->family);
    if (error == 0 && (flags & COPAL_REUSE_ADDRESS) != 0)
        error = switch_on(fd, SOL_SOCKET, SO_REUSEADDR);
    if (error == 0 && (flags & COPAL_REUSE_PORT) != 0)
        error = switch_on(fd, SOL_SOCKET, SO_REUSEPORT);
    return error;
}

static int bind_to(struct cp_net *net, int fd, const struct cp_address *local,
                   unsigned flags, struct cp_address *bound)
{
    bool is_beside = is_beside_group(net, local);
    union cp_sockaddr name;
    socklen_t size = cp_sockaddr_write(local, &name);
    int off = 0, error;

    error = set_up(fd, local, is_beside ? flags | COPAL_REUSE_ADDRESS : flags);
    if (error != 0)
        return error;
    if (bind(fd, &name.any, size) != 0)
        return errno;
    /* From here on the port is ours again, as far as others are concerned. */
    if (is_beside && (flags & COPAL_REUSE_ADDRESS) == 0)
        (void)setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &off, sizeof(off));
    size = sizeof(name);
    if (getsockname(fd, &name.any, &size) != 0)
        return errno;
    return cp_sockaddr_read(&name, bound) ? 0 : EAFNOSUPPORT;
}

static int make_boxes(struct cp_net *net)
{
    struct cp_mem *mem = net->driver->mem;

    if (net->in == NULL)
        net->in = cp_inbox_new(mem);
    if (net->out == NULL)
        net->out = cp_outbox_new(mem);
    return net->in == NULL || net->out == NULL ? ENOMEM : 0;
}

static int make_fd(int family)
{
    int domain = family == CP_IPV4 ? AF_INET : AF_INET6;
    int type = SOCK_DGRAM;

#ifdef SOCK_CLOEXEC
    type |= SOCK_CLOEXEC | SOCK_NONBLOCK;
#endif
    return socket(domain, type, 0);
}

bool cp_udp_is_shared(const struct cp_address *local)
{
    union cp_sockaddr name;
    socklen_t size = cp_sockaddr_write(local, &name);
    int fd = make_fd(local->family);
    bool is_shared = fd >= 0 && set_up(fd, local, COPAL_REUSE_ADDRESS) == 0 &&
                     bind(fd, &name.any, size) == 0;

    if (fd >= 0)
        close(fd);
    return is_shared;
}

/* Takes fd, which is bound to s->local, into the loop. 0 or an errno. */
static int enter_loop(struct cp_net *net, struct cp_udp *s, int fd)
{
    int error = -uv_poll_init(net->uv, &s->poll, fd);

    if (error != 0)
        return error;
    s->fd = fd;
    s->cuts = cp_batch_can_cut(fd);
    s->net = net;
    s->link = (struct cp_link){
        .ops = &udp_ops,
        .engine = net->driver->engine,
        .scheme = CP_COAP,
    };
    s->poll.data = s;
    /* The loop alone decides whether there is something to wait for. */
    uv_unref((uv_handle_t *)&s->poll);
    cp_list_append(&net->sockets, &s->node);
    cp_loop_handle_opened(net->loop);
    return 0;
}

int cp_udp_open(struct cp_net *net, const struct cp_address *local,
                unsigned flags, struct cp_udp **out)
{
    struct cp_engine *engine = net->driver->engine;
    struct cp_udp *s;
    int error = make_boxes(net);
    int fd;

    if (error != 0)
        return error;
    s = cp_zalloc(net->driver->mem, sizeof(*s));
    if (s == NULL)
        return ENOMEM;
    fd = make_fd(local->family);
    if (fd < 0) {
        error = errno;
        goto no_socket;
    }
    size_buffers(fd, cp_engine_param(engine, COPAL_P_SOCKET_BUFFER));
    error = bind_to(net, fd, local, flags, &s->local);
    if (error == 0)
        error = enter_loop(net, s, fd);
    if (error != 0)
        goto no_use;
    s->is_shared = flags != 0;
    *out = s;
    return 0;
no_use:
    close(fd);
no_socket:
    cp_free(net->driver->mem, s);
    return error;
}

static int option_of(int fd, int level, int option)
{
    int value = 0;
    socklen_t size = sizeof(value);

    return getsockopt(fd, level, option, &value, &size) == 0 ? value : -1;
}

/* Where fd is bound, if it is what cp_udp_open() would have opened. */
static int look_at(int fd, struct cp_address *local)
{
    union cp_sockaddr name;
    socklen_t size = sizeof(name);

    if (option_of(fd, SOL_SOCKET, SO_TYPE) != SOCK_DGRAM ||
        getsockname(fd, &name.any, &size) != 0 ||
        !cp_sockaddr_read(&name, local) || local->port == 0)
        return EINVAL;
    if (local->family == CP_IPV6 &&
        option_of(fd, IPPROTO_IPV6, IPV6_V6ONLY) != 1)
        return EINVAL;
    return 0;
}

/* What can still be set when it is bound; IPV6_V6ONLY cannot. */
static int fit_out(int fd, int family)
{
    int flags = fcntl(fd, F_GETFL);

    if (flags < 0 || fcntl(fd, F_SETFL, flags | O_NONBLOCK) != 0)
        return errno;
    hear_own_groups_only(fd, family);
    return ask_for_news(fd, family);
}

int cp_udp_adopt(struct cp_net *net, int fd, struct cp_udp **out)
{
    struct cp_engine *engine = net->driver->engine;
    int error = make_boxes(net);
    struct cp_udp *s = NULL;

    if (error == 0) {
        s = cp_zalloc(net->driver->mem, sizeof(*s));
        error = s == NULL ? ENOMEM : look_at(fd, &s->local);
    }
    if (error == 0)
        error = fit_out(fd, s->local.family);
    if (error == 0) {
        size_buffers(fd, cp_engine_param(engine, COPAL_P_SOCKET_BUFFER));
        error = enter_loop(net, s, fd);
    }
    if (error != 0) {
        cp_free(net->driver->mem, s);
        close(fd);
        return error;
    }
    s->is_shared = option_of(fd, SOL_SOCKET, SO_REUSEPORT) == 1 ||
                   option_of(fd, SOL_SOCKET, SO_REUSEADDR) == 1;
    *out = s;
    return 0;
}

int cp_udp_open_secured(struct cp_net *net, const struct cp_address *local,
                        unsigned flags, struct cp_udp **out)
{
    struct cp_udp *s = NULL;
    int error = cp_udp_open(net, local, flags, &s);

    if (error != 0)
        return error;
    s->link.scheme = CP_COAPS;
    s->secured = net->driver->security->datagrams(net->driver, &s->link);
    if (s->secured == NULL) {
        cp_udp_close(s);
        return ENOMEM;
    }
    *out = s;
    return 0;
}

void cp_udp_start(struct cp_udp *s)
{
    watch(s);
    cp_engine_attach(s->link.engine,
                     s->secured != NULL ? s->secured : &s->link);
}

void cp_udp_heard(struct cp_udp *s, const struct cp_path *path,
                  copal_bytes datagram, const struct cp_foreseen *foreseen)
{
    if (s->secured != NULL)
        s->net->driver->security->datagram(s->secured, path, datagram);
    else
        cp_engine_foreseen(s->link.engine, &s->link, path, datagram, foreseen);
}

void cp_udp_undelivered(struct cp_udp *s, const struct cp_path *path,
                        copal_bytes quoted, int status)
{
    if (s->secured != NULL)
        s->net->driver->security->undelivered(s->secured, path, status);
    else
        cp_engine_undelivered(s->link.engine, &s->link, path, quoted, status);
}

void cp_udp_end_secured(struct cp_udp *s)
{
    if (s->secured != NULL)
        s->net->driver->security->close(s->secured);
    s->secured = NULL;
}

static void on_closed(uv_handle_t *handle)
{
    struct cp_udp *s = handle->data;
    struct cp_loop *loop = s->net->loop;

    cp_free(s->net->driver->mem, s);
    cp_loop_handle_closed(loop);
}

void cp_udp_close(struct cp_udp *s)
{
    cp_udp_end_secured(s);
    cp_list_remove(&s->node);
    uv_close((uv_handle_t *)&s->poll, on_closed);
    close(s->fd);
}
