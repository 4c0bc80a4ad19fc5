#include "net/membership.h"

#include <errno.h>
#include <sys/socket.h>
#include "net/interfaces.h"
#include "net/listen.h"
#include "net/resolve.h"
#include "net/route.h"
#include "net/sockaddr.h"
#include "net/udp.h"

enum {
    HOST_TEXT = 320
};

struct membership {
    struct cp_list node;
    struct cp_udp *socket;
    struct cp_address group; /* scope 0 */
    uint32_t if_index;
};

/* ---- What is meant ---- */

static int not_a_group(struct cp_mem *mem, const char *host)
{
    return cp_why(mem, COPAL_EINVAL,
                  "%s: not the address of a group; those are 224.0.0.0 to "
                  "239.255.255.255, and those that begin with ff",
                  host);
}

static int no_interface(struct cp_mem *mem, const char *name)
{
    return cp_why(mem, COPAL_ENOENT,
                  "%s: this host has no such network interface", name);
}

static int find_group(struct cp_net *net, const struct cp_uri *uri,
                      const char *host, struct cp_address *out)
{
    struct cp_mem *mem = net->driver->mem;
    struct cp_found found = {.count = 1};
    int err = 0;

    if (!cp_address_read(host, &found.list[0])) {
        if (uri->is_literal)
            return no_interface(mem, host);
        err = cp_resolve_now(mem, host, &found);
    }
    if (err != 0)
        return err;
    for (size_t i = 0; i < found.count; i++)
        if (cp_address_is_multicast(&found.list[i])) {
            *out = found.list[i];
            return 0;
        }
    return not_a_group(mem, host);
}

/* The group and the interface's index, 0: every one. The latter stands in the
 * zone of an address, too. */
static int read_group(struct cp_net *net, const struct cp_uri *uri,
                      const char *if_name, struct cp_address *group,
                      uint32_t *if_index)
{
    struct cp_mem *mem = net->driver->mem;
    char host[HOST_TEXT];
    uint32_t named;
    int err, error;

    cp_uri_host_text(uri, host);
    err = find_group(net, uri, host, group);
    if (err != 0)
        return err;
    if (uri->port == 0)
        return cp_why(mem, COPAL_EINVAL, "%s: a group has a port, not any",
                      host);
    *if_index = group->scope;
    group->scope = 0;
    group->port = uri->port;
    if (if_name == NULL)
        return 0;
    error = cp_interfaces_named(if_name, &named);
    if (*if_index != 0 && named != *if_index && (error == 0 || error == ENODEV))
        return cp_why(mem, COPAL_EINVAL, "%s: names another interface than %s",
                      host, if_name);
    if (error != 0)
        return error == ENODEV ? no_interface(mem, if_name)
                               : cp_listen_error(mem, if_name, error);
    *if_index = named;
    return 0;
}

/* ---- Sockets ---- */

/* Who listens at that port on every address hears the group there. */
static struct cp_udp *choose(struct cp_net *net, const struct cp_address *group)
{
    struct cp_udp *own = NULL;

    list_each (node, after, &net->sockets) {
        struct cp_udp *s = cp_container_of(node, struct cp_udp, node);

        if (s->local.family != group->family || s->local.port != group->port ||
            s->secured != NULL)
            continue;
        if (s->listens && cp_sockaddr_is_any(&s->local))
            return s;
        if (s->is_group && cp_address_equal(&s->local, group))
            own = s;
    }
    return own;
}

/* Others get a socket for the group alone, beside whoever else on this host
 * has one. It stays when the group is left, and hears nothing then: the engine
 * may still know it by something that came. 0, or an errno. */
static int find_socket(struct cp_net *net, const struct cp_address *group,
                       struct cp_udp **out)
{
    int error;

    *out = choose(net, group);
    if (*out != NULL)
        return 0;
    error = cp_udp_open(net, group, COPAL_REUSE_ADDRESS, out);
    if (error != 0)
        return error;
    (*out)->is_group = true;
    cp_udp_start(*out);
    return 0;
}

static int set_option(const struct membership *m, bool leave)
{
    int fd = m->socket->fd;

    if (m->group.family == CP_IPV4) {
        struct ip_mreqn in = {.imr_ifindex = (int)m->if_index};
        int option = leave ? IP_DROP_MEMBERSHIP : IP_ADD_MEMBERSHIP;

        memcpy(&in.imr_multiaddr, m->group.ip, 4);
        return setsockopt(fd, IPPROTO_IP, option, &in, sizeof(in)) == 0 ? 0
                                                                        : errno;
    }
    struct ipv6_mreq in6 = {.ipv6mr_interface = m->if_index};
    int option = leave ? IPV6_LEAVE_GROUP : IPV6_JOIN_GROUP;

    memcpy(&in6.ipv6mr_multiaddr, m->group.ip, 16);
    return setsockopt(fd, IPPROTO_IPV6, option, &in6, sizeof(in6)) == 0 ? 0
                                                                        : errno;
}

/* ---- Joining and leaving ---- */

static struct membership *find(struct cp_net *net,
                               const struct cp_address *group,
                               uint32_t if_index)
{
    list_each (node, after, &net->memberships) {
        struct membership *m = cp_container_of(node, struct membership, node);

        if (m->if_index == if_index && cp_address_equal(&m->group, group))
            return m;
    }
    return NULL;
}

/* 0, or an errno: EEXIST, ENOMEM, ENETUNREACH, EDQUOT, ... */
static int join(struct cp_net *net, struct cp_udp *s,
                const struct cp_address *group, uint32_t if_index)
{
    struct membership *m;
    int error;

    if (find(net, group, if_index) != NULL)
        return EEXIST;
    if (!cp_route_has_way_back(net, group->family, if_index))
        return ENETUNREACH;
    m = cp_zalloc(net->driver->mem, sizeof(*m));
    if (m == NULL)
        return ENOMEM;
    *m = (struct membership){
        .socket = s,
        .group = *group,
        .if_index = if_index,
    };
    error = set_option(m, false);
    /* The socket never left, for that failed: it is a member again. */
    if (error == EADDRINUSE)
        error = 0;
    /* Room is what sockets may lack, too; this is a number that is set. */
    if (error == ENOBUFS)
        error = EDQUOT;
    if (error != 0) {
        cp_free(net->driver->mem, m);
        return error;
    }
    cp_list_append(&net->memberships, &m->node);
    return 0;
}

/* Those that cannot are passed over where one can: one joined is success. */
static int join_every(struct cp_net *net, struct cp_udp *s,
                      const struct cp_address *group)
{
    struct cp_mem *mem = net->driver->mem;
    struct cp_interface *list;
    size_t count, joined = 0;
    int result = cp_interfaces_get(mem, &list, &count);

    if (result != 0)
        return result;
    result = ENODEV;
    for (size_t i = 0; i < count; i++) {
        int error = join(net, s, group, list[i].index);

        joined += error == 0;
        if (error != 0 && result != EEXIST)
            result = error;
    }
    cp_free(mem, list);
    return joined > 0 ? 0 : result;
}

static int explain(struct cp_mem *mem, const char *what, int error)
{
    switch (error) {
    case EEXIST: return cp_why(mem, COPAL_EEXIST, "%s: joined already", what);
    case EADDRINUSE:
        return cp_why(mem, COPAL_EINUSE,
                      "%s: another program has the group's port for itself; "
                      "see to it that it listens with COPAL_REUSE_ADDRESS "
                      "(reuse_address), or choose another port for the group",
                      what);
    case ENETUNREACH:
        return cp_why(mem, COPAL_ESTATE,
                      "%s: this endpoint listens only at addresses that nobody "
                      "reaches by that interface, so it could not answer; "
                      "listen at one of the interface's, or at *",
                      what);
    case ENODEV:
    case EADDRNOTAVAIL:
        return cp_why(mem, COPAL_EIO,
                      "%s: no interface of this host can hear the group", what);
    case EDQUOT:
        return cp_why(mem, COPAL_ELIMIT,
                      "%s: the system takes no more memberships; raise "
                      "net.ipv4.igmp_max_memberships, or leave a group",
                      what);
    default: return cp_listen_error(mem, what, error);
    }
}

static void leave_one(struct cp_net *net, struct membership *m)
{
    (void)set_option(m, true); /* fails where the interface is gone */
    cp_list_remove(&m->node);
    cp_free(net->driver->mem, m);
}

static int leave(struct cp_net *net, const struct cp_address *group,
                 uint32_t if_index, const char *what)
{
    size_t left = 0;

    list_each (node, after, &net->memberships) {
        struct membership *m = cp_container_of(node, struct membership, node);

        if (!cp_address_equal(&m->group, group) ||
            (if_index != 0 && m->if_index != if_index))
            continue;
        leave_one(net, m);
        left++;
    }
    return left > 0
               ? 0
               : cp_why(net->driver->mem, COPAL_ENOENT, "%s: not joined", what);
}

int cp_membership_change(struct cp_net *net, const struct cp_uri *uri,
                         const char *if_name, bool leaves)
{
    struct cp_mem *mem = net->driver->mem;
    struct cp_address group;
    struct cp_udp *s;
    char host[HOST_TEXT];
    uint32_t if_index = 0;
    int error, err = read_group(net, uri, if_name, &group, &if_index);

    if (err != 0)
        return err;
    cp_uri_host_text(uri, host);
    if (leaves)
        return leave(net, &group, if_index, host);
    error = find_socket(net, &group, &s);
    if (error == 0 && if_index != 0)
        error = join(net, s, &group, if_index);
    else if (error == 0)
        error = join_every(net, s, &group);
    return error == 0 ? 0 : explain(mem, host, error);
}

void cp_membership_clear(struct cp_net *net)
{
    struct cp_mem *mem = net->driver->mem;

    list_each (node, after, &net->memberships)
        cp_free(mem, cp_container_of(node, struct membership, node));
    cp_list_init(&net->memberships);
    cp_free(mem, net->interfaces);
    net->interfaces = NULL;
}

/* ---- Interfaces ---- */

/* Counted from the beginning, the system is asked anew. */
const char *cp_membership_interface(struct cp_net *net, size_t i,
                                    uint32_t *index)
{
    struct cp_mem *mem = net->driver->mem;

    if (i == 0) {
        cp_free(mem, net->interfaces);
        net->interface_count = 0;
        if (cp_interfaces_get(mem, &net->interfaces, &net->interface_count) !=
            0)
            return NULL;
    }
    if (i >= net->interface_count)
        return NULL;
    if (index != NULL)
        *index = net->interfaces[i].index;
    return net->interfaces[i].name;
}
