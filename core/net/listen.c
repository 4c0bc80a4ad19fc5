#include "net/listen.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>
#include "net/interfaces.h"
#include "net/resolve.h"
#include "net/sockaddr.h"
#include "net/tcp.h"
#include "net/udp.h"

/* How often a free port of one family is tried on the other. */
enum {
    PAIR_TRIES = 16,
    HOST_TEXT = 320
};

/* What is opened, by its transport. */
struct opener {
    int (*open)(struct cp_net *net, const struct cp_address *local,
                unsigned flags, void **out);
    void (*close)(void *socket);
    const struct cp_address *(*local)(const void *socket);
    void (*start)(void *socket, int scheme);
};

/* What one call opens: nothing is listened to unless all of it worked. */
struct opened {
    const struct opener *by;
    void *sockets[CP_MAX_WAYS];
    size_t count;
    bool is_shared; /* whoever has the port shares it, as for a group */
};

/* ---- By UDP ---- */

static int open_udp(struct cp_net *net, const struct cp_address *local,
                    unsigned flags, void **out)
{
    struct cp_udp *s = NULL;
    int error = cp_udp_open(net, local, flags, &s);

    if (error == 0 && !cp_sockaddr_is_any(&s->local))
        error = cp_interfaces_with(&s->local, &s->if_index);
    if (error != 0 && s != NULL)
        cp_udp_close(s);
    *out = s;
    return error;
}

static int open_secured(struct cp_net *net, const struct cp_address *local,
                        unsigned flags, void **out)
{
    struct cp_udp *s = NULL;
    int error = cp_udp_open_secured(net, local, flags, &s);

    *out = s;
    return error;
}

static void close_udp(void *socket)
{
    cp_udp_close(socket);
}

static const struct cp_address *local_udp(const void *socket)
{
    return &((const struct cp_udp *)socket)->local;
}

static void start_udp(void *socket, int scheme)
{
    struct cp_udp *s = socket;
    char address[CP_ADDRESS_TEXT];

    cp_address_print(&s->local, 0, address);
    snprintf(s->uri, sizeof(s->uri), "%s://%s", cp_scheme_name(scheme),
             address);
    s->listens = true;
    cp_udp_start(s);
}

static const struct opener by_udp = {open_udp, close_udp, local_udp, start_udp};
static const struct opener by_dtls = {open_secured, close_udp, local_udp,
                                      start_udp};

/* ---- By TCP ---- */

static int open_tcp(struct cp_net *net, const struct cp_address *local,
                    unsigned flags, void **out)
{
    struct cp_tcp_listener *l = NULL;
    int error = cp_tcp_listen(net, local, flags, &l);

    *out = l;
    return error;
}

static void close_tcp(void *socket)
{
    cp_tcp_close(socket);
}

static const struct cp_address *local_tcp(const void *socket)
{
    return cp_tcp_local(socket);
}

static void start_tcp(void *socket, int scheme)
{
    cp_tcp_start(socket, scheme);
}

static const struct opener by_tcp = {open_tcp, close_tcp, local_tcp, start_tcp};

/* ---- Opening ---- */

int cp_listen_error(struct cp_mem *mem, const char *what, int error)
{
    switch (error) {
    case EADDRINUSE:
        return cp_why(mem, COPAL_EINUSE,
                      "%s: another program listens there; choose another "
                      "port, 0 for any",
                      what);
    case EACCES:
        return cp_why(mem, COPAL_EPERM,
                      "%s: the system does not permit it; ports below 1024 "
                      "need privileges, choose one above",
                      what);
    case EPERM:
        return cp_why(
            mem, COPAL_EPERM,
            "%s: the system does not permit it; see whether a sandbox "
            "or a firewall forbids it",
            what);
    case EADDRNOTAVAIL:
    case ENODEV:
    case EINVAL:
        return cp_why(mem, COPAL_EIO,
                      "%s: this host has no such address; choose one that it "
                      "has, or * for all",
                      what);
    case EAFNOSUPPORT:
        return cp_why(mem, COPAL_EIO,
                      "%s: this host does not speak that version of IP", what);
    case EMFILE:
        return cp_why(mem, COPAL_ELIMIT,
                      "%s: this program has too many files open; raise its "
                      "limit (ulimit -n), or close some",
                      what);
    case ENFILE:
        return cp_why(mem, COPAL_ELIMIT,
                      "%s: this host has too many files open; close some",
                      what);
    case ENOSPC:
        return cp_why(mem, COPAL_ELIMIT,
                      "%s: this user's programs watch too many files; raise "
                      "fs.epoll.max_user_watches",
                      what);
    case ENOBUFS:
        return cp_why(mem, COPAL_EIO,
                      "%s: the system is short of buffers; try again", what);
    case ENOMEM: return cp_why(mem, COPAL_ENOMEM, "%s: out of memory", what);
    default: return cp_why(mem, COPAL_EIO, "%s: %s", what, strerror(error));
    }
}

static uint16_t first_port(const struct opened *all)
{
    return all->by->local(all->sockets[0])->port;
}

static void take_back(struct opened *all)
{
    while (all->count > 0)
        all->by->close(all->sockets[--all->count]);
}

static int open_one(struct cp_net *net, const struct cp_address *local,
                    unsigned flags, struct opened *all)
{
    int error = all->by->open(net, local, flags, &all->sockets[all->count]);

    if (error == 0)
        all->count++;
    if (error == EADDRINUSE && flags == 0 && all->by != &by_tcp)
        all->is_shared = cp_udp_is_shared(local);
    return error;
}

static bool is_missing_family(int error)
{
    return error == EAFNOSUPPORT || error == EADDRNOTAVAIL;
}

/* IPv6 and IPv4 on one port, whichever of them the host has. With port 0 the
 * one that IPv6 was given may be taken on IPv4: then EADDRINUSE. */
static int open_both(struct cp_net *net, uint16_t port, unsigned flags,
                     struct opened *all)
{
    struct cp_address any = {.family = CP_IPV6, .port = port};
    int error6 = open_one(net, &any, flags, all);
    int error4;

    if (error6 != 0 && !is_missing_family(error6))
        return error6;
    any.family = CP_IPV4;
    if (error6 == 0)
        any.port = first_port(all);
    error4 = open_one(net, &any, flags, all);
    if (error4 == 0 || (error6 == 0 && is_missing_family(error4)))
        return 0;
    take_back(all);
    return error4;
}

static int open_every(struct cp_net *net, uint16_t port, unsigned flags,
                      struct opened *all)
{
    int error;
    int tries = port == 0 ? PAIR_TRIES : 1;

    do
        error = open_both(net, port, flags, all);
    while (error == EADDRINUSE && --tries > 0);
    return error;
}

/* Every address of a host. A name that stands for IPv4 and IPv6, as localhost
 * does, works with one of them, too. */
static int open_found(struct cp_net *net, const struct cp_found *found,
                      uint16_t port, unsigned flags, struct opened *all)
{
    int missing = EADDRNOTAVAIL;

    for (size_t i = 0; i < found->count; i++) {
        struct cp_address local = found->list[i];
        int error;

        local.port = port;
        if (port == 0 && all->count > 0)
            local.port = first_port(all);
        error = open_one(net, &local, flags, all);
        if (error == EADDRINUSE && port == 0) {
            local.port = 0;
            error = open_one(net, &local, flags, all);
        }
        if (is_missing_family(error)) {
            missing = error;
        } else if (error != 0) {
            take_back(all);
            return error;
        }
    }
    return all->count > 0 ? 0 : missing;
}

static int find_host(struct cp_net *net, const struct cp_uri *base,
                     struct cp_found *out)
{
    struct cp_mem *mem = net->driver->mem;
    char host[HOST_TEXT];

    cp_uri_host_text(base, host);
    if (cp_address_read(host, &out->list[0])) {
        out->count = 1;
        return 0;
    }
    if (base->is_literal)
        return cp_why(mem, COPAL_EIO,
                      "%s: this host has no such network interface", host);
    return cp_resolve_now(mem, host, out);
}

static int listen_by(const struct opener *by, struct cp_net *net,
                     const struct cp_uri *base, const char *text,
                     unsigned flags)
{
    struct opened all = {.by = by};
    int error;

    if (cp_bytes_is_text(base->host, "*")) {
        error = open_every(net, base->port, flags, &all);
    } else {
        struct cp_found found;
        int err = find_host(net, base, &found);

        if (err != 0)
            return err;
        error = open_found(net, &found, base->port, flags, &all);
    }
    if (error == EADDRINUSE && all.is_shared)
        return cp_why(net->driver->mem, COPAL_EINUSE,
                      "%s: another program has that port and shares it, as to "
                      "hear a group; listen with COPAL_REUSE_ADDRESS "
                      "(reuse_address), or choose another port, 0 for any",
                      text);
    if (error != 0)
        return cp_listen_error(net->driver->mem, text, error);
    for (size_t i = 0; i < all.count; i++)
        by->start(all.sockets[i], base->scheme);
    return 0;
}

int cp_listen_udp(struct cp_net *net, const struct cp_uri *base,
                  const char *text, unsigned flags)
{
    return listen_by(&by_udp, net, base, text, flags);
}

int cp_listen_dtls(struct cp_net *net, const struct cp_uri *base,
                   const char *text, unsigned flags)
{
    return listen_by(&by_dtls, net, base, text, flags);
}

int cp_listen_tcp(struct cp_net *net, const struct cp_uri *base,
                  const char *text, unsigned flags)
{
    return listen_by(&by_tcp, net, base, text, flags);
}

/* ---- From hand to hand ---- */

static int copy_fd(int fd)
{
    return fcntl(fd, F_DUPFD_CLOEXEC, 0);
}

int cp_listen_take_over(struct cp_net *net, int fd)
{
    struct cp_mem *mem = net->driver->mem;
    struct cp_udp *s = NULL;
    int own = copy_fd(fd), error;

    if (own < 0)
        return errno == EBADF
                   ? cp_why(mem, COPAL_EINVAL, "no descriptor: %d", fd)
                   : cp_listen_error(mem, "take over", errno);
    error = cp_udp_adopt(net, own, &s);
    if (error == EINVAL)
        return cp_why(mem, COPAL_EINVAL,
                      "descriptor %d is not a UDP socket bound to a port; one "
                      "of IPv6 must be IPV6_V6ONLY",
                      fd);
    if (error == 0 && !cp_sockaddr_is_any(&s->local))
        error = cp_interfaces_with(&s->local, &s->if_index);
    if (error != 0) {
        if (s != NULL)
            cp_udp_close(s);
        return cp_listen_error(mem, "take over", error);
    }
    start_udp(s, CP_COAP);
    return 0;
}

int cp_listen_hand_over(struct cp_net *net, size_t i)
{
    struct cp_mem *mem = net->driver->mem;
    struct cp_udp *found = NULL;
    size_t left = i;
    int fd;

    list_each (node, after, &net->sockets) {
        struct cp_udp *s = cp_container_of(node, struct cp_udp, node);

        if (s->listens && found == NULL && left-- == 0)
            found = s;
    }
    if (found == NULL && cp_listen_uri(net, i) == NULL)
        return cp_why(mem, COPAL_ENOENT,
                      "hand over: this endpoint listens at fewer addresses");
    if (found == NULL)
        return cp_why(mem, COPAL_ENOTSUP,
                      "%s: only UDP is handed over; listen there anew, with "
                      "COPAL_REUSE_PORT",
                      cp_listen_uri(net, i));
    if (found->secured != NULL) /* its keys are not in the socket */
        return cp_why(mem, COPAL_ENOTSUP,
                      "%s: no association is handed over; listen there anew, "
                      "with COPAL_REUSE_PORT",
                      found->uri);
    fd = copy_fd(found->fd);
    if (fd < 0)
        return cp_listen_error(mem, found->uri, errno);
    cp_udp_hand_over(found);
    return fd;
}

const char *cp_listen_uri(const struct cp_net *net, size_t i)
{
    list_each (node, after, &net->sockets) {
        struct cp_udp *s = cp_container_of(node, struct cp_udp, node);

        if (s->listens && i-- == 0)
            return s->uri;
    }
    return cp_tcp_uri(net, i);
}
