#include "net/route.h"

#include <errno.h>
#include "base/mem.h"
#include "engine/engine.h"
#include "engine/security.h"
#include "net/listen.h"
#include "net/resolve.h"
#include "net/sockaddr.h"
#include "net/stream.h"
#include "net/turn.h"
#include "net/udp.h"
#include "wire/uri.h"

/* ---- Which socket ---- */

static bool is_same_ip(const struct cp_address *a, const struct cp_address *b)
{
    return a->family == b->family && a->scope == b->scope &&
           memcmp(a->ip, b->ip, sizeof(a->ip)) == 0;
}

/* Does s leave from the address and port that were asked for. One for all
 * addresses does where it holds the port; otherwise a socket is bound to the
 * address, which tells at once whether this host has it. */
static bool is_from(const struct cp_udp *s, const struct cp_address *from)
{
    if (is_same_ip(&s->local, from))
        return from->port == 0 || from->port == s->local.port;
    return cp_sockaddr_is_any(&s->local) && from->port == s->local.port;
}

/* What is bound to loopback reaches nothing else, and the other way round. A
 * group is asked from the address of the interface that leads there. */
static bool can_reach(const struct cp_udp *s, const struct cp_address *remote)
{
    if (cp_sockaddr_is_any(&s->local))
        return true;
    if (cp_address_is_multicast(remote))
        return false;
    if (cp_sockaddr_is_link_local(&s->local))
        return s->local.scope == remote->scope;
    return cp_address_is_loopback(&s->local) == cp_address_is_loopback(remote);
}

/* An association's two ends are told apart by their addresses, so one with
 * oneself needs a second socket. At which addresses of this host one for all of
 * them is reached is not asked for: the port decides. */
static bool may_be_itself(const struct cp_udp *s,
                          const struct cp_address *remote)
{
    if (s->local.port != remote->port)
        return false;
    return cp_sockaddr_is_any(&s->local) || is_same_ip(&s->local, remote);
}

/* One for coaps or one for coap, as is_secured says. A listening socket before
 * others, one for all addresses before those bound to one. The answer would get
 * lost where a port is shared: the system may give it to somebody else. */
static struct cp_udp *choose(struct cp_net *net, const struct cp_address *from,
                             const struct cp_address *remote, bool is_secured)
{
    struct cp_udp *best = NULL;
    int best_rank = 0;

    list_each (node, after, &net->sockets) {
        struct cp_udp *s = cp_container_of(node, struct cp_udp, node);
        int rank =
            1 + (s->listens ? 2 : 0) + (cp_sockaddr_is_any(&s->local) ? 1 : 0);

        if (s->is_shared || s->local.family != remote->family ||
            (s->secured != NULL) != is_secured ||
            (is_secured && may_be_itself(s, remote)))
            continue;
        if (from->family != 0 ? !is_from(s, from) : !can_reach(s, remote))
            continue;
        if (rank > best_rank) {
            best = s;
            best_rank = rank;
        }
    }
    return best;
}

/* 0, or an errno. */
static int find_socket(struct cp_net *net, const struct cp_address *from,
                       const struct cp_address *remote, bool is_secured,
                       struct cp_udp **out)
{
    struct cp_address any = {.family = remote->family};
    int error;

    *out = choose(net, from, remote, is_secured);
    if (*out != NULL)
        return 0;
    if (from->family != 0)
        any = *from;
    error = is_secured ? cp_udp_open_secured(net, &any, 0, out)
                       : cp_udp_open(net, &any, 0, out);
    if (error == 0)
        cp_udp_start(*out);
    return error;
}

/* ---- The way back from a group ---- */

/* How well who is reached by an interface reaches s; 0: not at all. An address
 * of another interface is this host's all the same, unless it means nothing
 * beyond that interface. */
static int nearness(const struct cp_udp *s, uint32_t if_index)
{
    if (s->if_index == if_index && if_index != 0)
        return 3;
    if (cp_sockaddr_is_any(&s->local))
        return 2;
    return cp_address_is_loopback(&s->local) ||
                   cp_sockaddr_is_link_local(&s->local)
               ? 0
               : 1;
}

/* NULL: none, and *listens says whether any listens at all. */
static struct cp_udp *nearest(struct cp_net *net, uint8_t family,
                              uint32_t if_index, bool *listens)
{
    struct cp_udp *best = NULL;
    int most = 0;

    *listens = false;
    list_each (node, after, &net->sockets) {
        struct cp_udp *s = cp_container_of(node, struct cp_udp, node);

        if (!s->listens || s->local.family != family || s->secured != NULL)
            continue;
        *listens = true;
        if (nearness(s, if_index) > most) {
            best = s;
            most = nearness(s, if_index);
        }
    }
    return best;
}

bool cp_route_has_way_back(struct cp_net *net, uint8_t family,
                           uint32_t if_index)
{
    bool listens;

    return nearest(net, family, if_index, &listens) != NULL || !listens;
}

struct cp_udp *cp_route_back(struct cp_udp *s, const struct cp_path *path)
{
    static const struct cp_address any = {0};
    bool listens;
    struct cp_udp *best =
        nearest(s->net, s->local.family, path->if_index, &listens);

    if (best == NULL &&
        find_socket(s->net, &any, &path->remote, false, &best) != 0)
        return s;
    return best;
}

/* ---- Ways ---- */

/* ff02::/16 and, within a host, ff01::/16. RFC 4291 2.7. */
static bool is_link_local_group(const struct cp_address *a)
{
    return a->family == CP_IPV6 && a->ip[0] == 0xff && (a->ip[1] & 0xf) <= 2;
}

/* Adds the way to one address. 0, or an errno. */
static int add_way(struct cp_net *net, struct cp_route *r,
                   struct cp_address remote)
{
    struct cp_udp *s;
    struct cp_way *way = &r->ways[r->count];
    int error;

    if (r->from.family != 0 && r->from.family != remote.family)
        return EAFNOSUPPORT;
    remote.port = r->port;
    if (remote.scope == 0 &&
        (cp_sockaddr_is_link_local(&remote) || is_link_local_group(&remote)))
        remote.scope = r->if_index;
    error = find_socket(net, &r->from, &remote, r->scheme == CP_COAPS, &s);
    if (error != 0)
        return error;
    *way = (struct cp_way){
        .link = s->secured != NULL ? s->secured : &s->link,
        .path = {.remote = remote, .if_index = r->if_index},
    };
    if (r->from.family != 0) {
        way->path.local = r->from;
        way->path.local.port = s->local.port;
    }
    r->count++;
    return 0;
}

/* Why an address cannot be reached, or a socket not be had. */
static int explain(struct cp_net *net, const struct cp_route *r, int error)
{
    struct cp_mem *mem = net->driver->mem;
    char from[CP_ADDRESS_TEXT];

    if (r->from.family != 0 && error == EAFNOSUPPORT) {
        cp_address_print(&r->from, 0, from);
        return cp_why(mem, COPAL_EUNREACH,
                      "%s: has no address of the same version of IP as %s",
                      r->host, from);
    }
    if (r->from.family != 0) {
        cp_address_print(&r->from, 0, from);
        return cp_listen_error(mem, from, error);
    }
    if (error == EAFNOSUPPORT || error == EADDRNOTAVAIL)
        return cp_why(mem, COPAL_EUNREACH,
                      "%s: this host does not speak that version of IP",
                      r->host);
    if (error == EADDRINUSE)
        return cp_why(mem, COPAL_ELIMIT,
                      "%s: no port of this host is free to ask from; close "
                      "some sockets",
                      r->host);
    return cp_listen_error(mem, r->host, error);
}

static int add_ways(struct cp_net *net, struct cp_route *r,
                    const struct cp_found *found)
{
    int error = 0;

    r->count = 0;
    for (size_t i = 0; i < found->count; i++) {
        int e = add_way(net, r, found->list[i]);

        if (error == 0 || error == EAFNOSUPPORT)
            error = e;
    }
    if (r->count == 0)
        return explain(net, r, error);
    return r->scheme == CP_COAPS
               ? net->driver->security->associate(net->driver, r)
               : 0;
}

/* Where a server that listens everywhere is to be found: "[::]" is what its own
 * URI says. The system sends such datagrams to this host, but answers come from
 * the address they went to, which must be known to match them. */
static struct cp_address reachable(const struct cp_address *a)
{
    struct cp_address here = *a;

    if (!cp_sockaddr_is_any(a))
        return here;
    if (a->family == CP_IPV4)
        memcpy(here.ip, (const uint8_t[]){127, 0, 0, 1}, 4);
    else
        here.ip[15] = 1;
    return here;
}

static int take_literal(struct cp_net *net, struct cp_route *r,
                        const struct cp_address *remote, struct cp_found *out)
{
    *out = (struct cp_found){.list = {reachable(remote)}, .count = 1};
    if (cp_sockaddr_is_link_local(remote) && remote->scope == 0 &&
        r->if_index == 0)
        return cp_why(net->driver->mem, COPAL_EUNREACH,
                      "%s: a link-local address needs an interface; write "
                      "%s%%eth0",
                      r->host, r->host);
    if (out->list[0].scope == 0 && cp_sockaddr_is_link_local(remote))
        out->list[0].scope = r->if_index;
    return 0;
}

int cp_route_find(struct cp_net *net, struct cp_route *r, struct cp_found *out)
{
    struct cp_mem *mem = net->driver->mem;
    struct cp_address remote = r->address;
    int err;

    if (remote.family != 0 || cp_address_read(r->host, &remote))
        return take_literal(net, r, &remote, out);
    if (strchr(r->host, ':') != NULL)
        return cp_why(mem, COPAL_EUNREACH,
                      "%s: this host has no such network interface", r->host);

    err =
        cp_resolver_ask(net->names, r, net->driver->ops->now(net->driver), out);
    if (err == COPAL_ENOMEM)
        return cp_why(mem, err, "%s: out of memory", r->host);
    return err;
}

int cp_route_udp(struct cp_net *net, struct cp_route *r)
{
    struct cp_found found;
    int err = cp_route_find(net, r, &found);

    return err == 0 ? add_ways(net, r, &found) : err;
}

void cp_route_forget(struct cp_net *net, struct cp_route *r)
{
    (void)net;
    cp_resolver_forget(r);
    cp_list_remove(&r->node); /* of those that wait for a connection */
}

/* ---- Names that were found ---- */

static void tell(void *user, struct cp_route *r, const struct cp_found *found,
                 int status, const char *why)
{
    struct cp_net *net = user;
    char copy[384] = "";

    if (status == 0) {
        status = cp_scheme_is_stream(r->scheme)
                     ? cp_stream_route_to(net, r, found)
                     : add_ways(net, r, found);
        if (status == 1) /* it connects, and is told then */
            return;
        strncpy(copy, cp_why_text(net->driver->mem), sizeof(copy) - 1);
        why = status == 0 ? NULL : copy;
    }
    r->done(r, status, why);
}

void cp_route_deliver(struct cp_net *net)
{
    cp_resolver_deliver(net->names, net->loop->latest, tell, net);
}
