#include "net/sim_world.h"
#include <stdio.h>
#include "engine/engine.h"
#include "engine/security.h"
#include "wire/upgrade.h"
#include "wire/uri.h"

/* ---- The link ---- */

/* path->local counts for nothing: who moved sends from the new address only. */
static int send_datagram(struct cp_link *l, const struct cp_path *path,
                         copal_bytes data)
{
    struct cp_host *h = cp_container_of(l, struct cp_host, link);

    if (h->driver.engine == NULL) /* it crashed: nobody is told */
        return 0;
    cp_engine_count_datagram(h->driver.engine, true, data.len);
    cp_sim_transmit(h->sim, h, &h->address, &path->remote, data);
    return 0;
}

static const struct cp_link_ops link_ops = {
    .name = "sim",
    .send = send_datagram,
};

/* ---- Ways ---- */

/* There is one network only: a zone says nothing. */
static bool read_literal(const char *host, struct cp_address *out)
{
    char text[64];
    size_t len = strcspn(host, "%");

    if (len >= sizeof(text))
        return false;
    memcpy(text, host, len);
    text[len] = '\0';
    return cp_address_read(text, out);
}

static bool is_simulated(int scheme)
{
    return scheme == CP_COAP || scheme == CP_COAPS || scheme == CP_COAP_TCP ||
           scheme == CP_COAP_WS;
}

/* 0, or COPAL_E* with the sentence. */
static int secure(struct cp_host *h, const char *what)
{
    struct cp_driver *d = &h->driver;

    if (d->security == NULL)
        return cp_why(d->mem, COPAL_ENOTSUP,
                      "%s: coaps is not built in, for copal was built without "
                      "GnuTLS",
                      what);
    if (h->secured != NULL)
        return 0;
    h->secured = d->security->datagrams(d, &h->link);
    if (h->secured == NULL)
        return COPAL_ENOMEM;
    cp_engine_attach(d->engine, h->secured);
    return 0;
}

static int not_simulated(const struct cp_driver *d, int scheme,
                         const char *host)
{
    return cp_why(d->mem, COPAL_ENOTSUP,
                  "%s://%s: simulated hosts are reached by coap, coaps, "
                  "coap+tcp and coap+ws only",
                  cp_scheme_name(scheme), host);
}

static int route(struct cp_driver *d, struct cp_route *r)
{
    struct cp_host *h = cp_host_of(d), *peer = cp_host_named(h->sim, r->host);
    struct cp_way *way = &r->ways[0];
    int err;

    cp_list_init(&r->node);
    if (!is_simulated(r->scheme))
        return not_simulated(d, r->scheme, r->host);
    if (cp_scheme_is_stream(r->scheme) && peer != NULL)
        return cp_sim_stream_route(h, r, peer);
    *way = (struct cp_way){.link = &h->link};
    if (peer != NULL)
        way->path.remote = peer->address;
    else if (!read_literal(r->host, &way->path.remote))
        return cp_why(d->mem, COPAL_ERESOLVE,
                      "%s: no such host in this simulation; make it with "
                      "copal_sim_endpoint()",
                      r->host);
    if (cp_scheme_is_stream(r->scheme))
        return cp_why(d->mem, COPAL_EUNREACH,
                      "%s: no host of this simulation is connected to by its "
                      "address; use its name",
                      r->host);
    /* The name leads to where its host is now; a port of one's own choice is
     * an address, maybe an old one. */
    if (peer == NULL || r->port != cp_scheme_port(r->scheme))
        way->path.remote.port = r->port;
    r->count = 1;
    if (r->scheme != CP_COAPS)
        return 0;
    err = secure(h, r->host);
    way->link = h->secured;
    return err != 0 ? err : d->security->associate(d, r);
}

static void unroute(struct cp_driver *d, struct cp_route *r)
{
    (void)d;
    cp_list_remove(&r->node);
}

static int listen_at(struct cp_driver *d, const struct cp_uri *base,
                     const char *text, unsigned flags)
{
    int err = 0;

    (void)flags;
    if (!is_simulated(base->scheme))
        return cp_why(d->mem, COPAL_ENOTSUP,
                      "%s: simulated hosts are reached by coap, coaps, "
                      "coap+tcp and coap+ws only",
                      text);
    if (base->scheme == CP_COAPS)
        err = secure(cp_host_of(d), text);
    if (err == 0)
        cp_host_of(d)->listens |= 1u << base->scheme;
    return err;
}

static const char *local(const struct cp_driver *d, size_t i)
{
    struct cp_host *h = cp_host_of(d);

    for (int scheme = 0; scheme < CP_SCHEME_COUNT; scheme++)
        if ((h->listens >> scheme & 1) != 0 && i-- == 0) {
            snprintf(h->local, sizeof(h->local), "%s://%.16s",
                     cp_scheme_name(scheme), (const char *)h->address.ip);
            return h->local;
        }
    return NULL;
}

/* ---- Groups ---- */

static struct cp_sim_member *find_member(const struct cp_host *h,
                                         const struct cp_address *group)
{
    list_each (node, after, &h->groups) {
        struct cp_sim_member *m =
            cp_container_of(node, struct cp_sim_member, node);

        if (cp_address_equal(&m->group, group))
            return m;
    }
    return NULL;
}

bool cp_host_is_in(const struct cp_host *h, const struct cp_address *group)
{
    return h->is_up && find_member(h, group) != NULL;
}

static void leave_group(struct cp_host *h, struct cp_sim_member *m)
{
    cp_list_remove(&m->node);
    cp_free(h->sim->mem, m);
}

static int join_group(struct cp_host *h, const struct cp_address *group)
{
    struct cp_sim_member *m = cp_zalloc(h->sim->mem, sizeof(*m));

    if (m == NULL)
        return COPAL_ENOMEM;
    m->group = *group;
    cp_list_append(&h->groups, &m->node);
    return 0;
}

/* Interfaces by any name are the one network that there is. */
static int join(struct cp_driver *d, const struct cp_uri *group,
                const char *if_name, bool leave)
{
    struct cp_host *h = cp_host_of(d);
    struct cp_sim_member *m;
    struct cp_address a;
    char host[320];

    (void)if_name;
    if (group->scheme != CP_COAP)
        return cp_why(d->mem, COPAL_ENOTSUP,
                      "%s: groups are reached by coap only",
                      cp_scheme_name(group->scheme));
    cp_uri_host_text(group, host);
    if (!read_literal(host, &a) || !cp_address_is_multicast(&a))
        return cp_why(d->mem, COPAL_EINVAL,
                      "%s: not the address of a group; those are 224.0.0.0 to "
                      "239.255.255.255, and those that begin with ff",
                      host);
    a.port = group->port;
    m = find_member(h, &a);
    if (leave && m == NULL)
        return cp_why(d->mem, COPAL_ENOENT, "%s: not joined", host);
    if (!leave && m != NULL)
        return cp_why(d->mem, COPAL_EEXIST, "%s: joined already", host);
    if (!leave)
        return join_group(h, &a);
    leave_group(h, m);
    return 0;
}

/* ---- The driver ---- */

static uint64_t now_of(struct cp_driver *d)
{
    return cp_host_of(d)->sim->now;
}

static void wake(struct cp_driver *d)
{
    struct cp_host *h = cp_host_of(d);

    atomic_store(&h->is_woken, true);
    atomic_store(&h->sim->is_woken, true);
}

static const char *interface(struct cp_driver *d, size_t i, uint32_t *index)
{
    (void)d;
    (void)i;
    (void)index;
    return NULL;
}

/* No page in a browser connects to a simulation, but what is no origin is none
 * here either. */
static int allow(struct cp_driver *d, const char *origin)
{
    return cp_upgrade_check_origin(d->mem, origin);
}

static int allow_host(struct cp_driver *d, const char *name)
{
    return cp_upgrade_check_host(d->mem, name);
}

static int not_here(const struct cp_driver *d)
{
    return cp_why(d->mem, COPAL_ESTATE,
                  "%s: a simulated host cannot run by itself; copal_sim_run() "
                  "moves all of them together",
                  cp_host_of(d)->local);
}

static int run(struct cp_driver *d)
{
    return not_here(d);
}

static void stop(struct cp_driver *d)
{
    (void)d; /* nothing runs that could be stopped */
}

static void close_host(struct cp_driver *d)
{
    struct cp_host *h = cp_host_of(d);

    cp_timer_stop(&h->sim->heap, &h->timer);
    list_each (node, after, &h->groups)
        leave_group(h, cp_container_of(node, struct cp_sim_member, node));
    h->is_up = false;
    if (h->secured != NULL)
        d->security->close(h->secured);
    h->secured = NULL;
    cp_sim_streams_break(h);
    d->engine = NULL;
    d->owner = NULL;
    d->mem = NULL;
}

static const struct cp_driver_ops driver_ops = {
    .is_virtual = true,
    .now = now_of,
    .wake = wake,
    .route = route,
    .unroute = unroute,
    .listen = listen_at,
    .local = local,
    .join = join,
    .interface = interface,
    .allow = allow,
    .allow_host = allow_host,
    .run = run,
    .stop = stop,
    .fd = not_here,
    .timeout = not_here,
    .step = run,
    .close = close_host,
};

void cp_sim_driver_init(struct cp_host *h, struct cp_mem *mem)
{
    h->driver = (struct cp_driver){.ops = &driver_ops, .mem = mem};
    h->link = (struct cp_link){
        .ops = &link_ops, .scheme = CP_COAP, .is_simulated = true};
    h->listens = 0;
}
