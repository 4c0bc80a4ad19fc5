/* The world of a replay: time, ways and sockets as they were recorded. */
#include "replay.h"

struct link {
    struct cp_list node;
    struct cp_link link;
    struct cp_replay *replay;
    char *name; /* who proved to be at its end, or sent what came last */
};

static struct cp_replay *replay_of(const struct cp_driver *d)
{
    return cp_container_of(d, struct cp_replay, driver);
}

/* ---- Links ---- */

static int send_datagram(struct cp_link *l, const struct cp_path *path,
                         copal_bytes data)
{
    struct cp_replay *r = cp_container_of(l, struct link, link)->replay;

    if (l->connection != NULL)
        return cp_replay_streams(r, l, data);
    cp_engine_count_datagram(l->engine, true, data.len);
    cp_replay_sends(r, l, path, data);
    return 0;
}

static void close_link(struct cp_link *l)
{
    (void)l; /* the recording says when it is closed */
}

/* Those who waited for a way by this connection were told then. */
static void agreed(struct cp_link *l)
{
    struct cp_replay *r = cp_container_of(l, struct link, link)->replay;
    struct cp_record_head h;

    while (cp_replay_peek(r, &h) && h.type == CP_RECORD_ROUTED) {
        cp_replay_take(r, &h);
        cp_replay_routed(r, h.body);
    }
}

/* It was if the recording says so. */
static bool is_blocked(const struct cp_link *l)
{
    struct cp_replay *r = cp_container_of(l, const struct link, link)->replay;
    struct cp_record_head h;

    return cp_replay_peek(r, &h) && h.type == CP_RECORD_BLOCKED &&
           cp_replay_take(r, &h);
}

bool cp_replay_name(struct cp_link *l, copal_bytes identity)
{
    struct link *link = cp_container_of(l, struct link, link);
    struct cp_mem *mem = link->replay->mem;
    char *name = cp_copy_text(mem, (const char *)identity.data, identity.len);

    if (name == NULL)
        return false;
    cp_free(mem, link->name);
    link->name = name;
    return true;
}

const char *cp_replay_named(const struct cp_link *l)
{
    return cp_container_of(l, const struct link, link)->name;
}

/* Who sent what is being heard was noted right behind it. */
static const char *identity(const struct cp_link *l, const struct cp_path *path)
{
    const struct link *link = cp_container_of(l, const struct link, link);
    struct cp_replay *r = link->replay;
    struct cp_record_head h;

    (void)path;
    if (!cp_replay_peek(r, &h) || h.type != CP_RECORD_NAMED)
        return NULL;
    cp_replay_take(r, &h);
    return cp_replay_name((struct cp_link *)l, h.body) ? link->name : NULL;
}

static const struct cp_link_ops link_ops = {
    .name = "replay",
    .send = send_datagram,
    .is_blocked = is_blocked,
    .close = close_link,
    .agreed = agreed,
    .identity = identity,
};

struct cp_link *cp_replay_link(struct cp_replay *r,
                               const struct cp_record_way *way)
{
    struct link *l;

    list_each (node, after, &r->links) {
        l = cp_container_of(node, struct link, node);
        if (l->link.number == way->link)
            return &l->link;
    }
    l = cp_zalloc(r->mem, sizeof(*l));
    if (l == NULL)
        return NULL;
    l->replay = r;
    l->link = (struct cp_link){.ops = &link_ops,
                               .scheme = way->scheme,
                               .is_simulated = way->is_simulated};
    l->link.engine = r->c->engine;
    l->link.number = way->link;
    l->link.mark = cp_record_mark(&l->link);
    cp_list_append(&r->links, &l->node);
    return &l->link;
}

/* ---- Time ---- */

/* Time goes on where it did. */
static uint64_t now(struct cp_driver *d)
{
    struct cp_replay *r = replay_of(d);
    struct cp_record_head h;
    struct cp_cursor c;

    if (!r->is_begun || !cp_replay_peek(r, &h) ||
        h.type != (CP_RECORD_TIME | CP_RECORD_NESTED))
        return r->clock;
    cp_replay_take(r, &h);
    c = cp_cursor_of(h.body);
    r->clock = cp_record_take_64(&c);
    return r->clock;
}

static void wake(struct cp_driver *d)
{
    (void)d; /* the recording says when */
}

/* ---- Ways ---- */

/* Reads a result into route. Its status; *why of mem, or NULL. */
static int take_result(struct cp_replay *r, struct cp_cursor *c,
                       struct cp_route *route, char **why)
{
    int status = (int)(int32_t)cp_record_take_32(c);
    copal_bytes text = cp_record_take_text(c);
    uint32_t count = cp_record_take_32(c);

    *why = text.data == NULL
               ? NULL
               : cp_copy_text(r->mem, (const char *)text.data, text.len);
    if (c->failed || count > CP_MAX_WAYS || status > 1 ||
        (status == 0) != (count > 0) || (status < 0 && *why == NULL))
        goto bad;
    route->count = count;
    for (uint32_t i = 0; i < count; i++) {
        struct cp_record_way way;

        if (!cp_record_take_way(c, &way))
            goto bad;
        route->ways[i] =
            (struct cp_way){.link = cp_replay_link(r, &way), .path = way.path};
        if (route->ways[i].link == NULL)
            goto bad;
    }
    return status;
bad:
    cp_replay_malformed(r, "a way to a peer");
    route->count = 0;
    return COPAL_EUNREACH;
}

static int route(struct cp_driver *d, struct cp_route *route)
{
    struct cp_replay *r = replay_of(d);
    struct cp_record_head h;
    struct cp_cursor c;
    char *why = NULL;
    int status;

    cp_list_init(&route->node);
    if (!cp_replay_peek(r, &h) || h.type != CP_RECORD_ROUTE) {
        if (!r->is_late && cp_replay_peek(r, &h))
            cp_replay_differs(r, "the way to %s is looked for, but was not",
                              route->host);
        return cp_why(r->mem, COPAL_EUNREACH, "%s: not in the recording",
                      route->host);
    }
    cp_replay_take(r, &h);
    c = cp_cursor_of(h.body);
    route->number = cp_record_take_32(&c);
    status = take_result(r, &c, route, &why);
    if (status == 1)
        cp_list_append(&r->routes, &route->node);
    if (status < 0)
        cp_why(r->mem, status, "%s", why == NULL ? "" : why);
    cp_free(r->mem, why);
    return status;
}

static void unroute(struct cp_driver *d, struct cp_route *route)
{
    (void)d;
    cp_list_remove(&route->node);
}

void cp_replay_routed(struct cp_replay *r, copal_bytes body)
{
    struct cp_cursor c = cp_cursor_of(body);
    uint32_t number = cp_record_take_32(&c);

    list_each (node, after, &r->routes) {
        struct cp_route *it = cp_container_of(node, struct cp_route, node);
        char *why;
        int status;

        if (it->number != number)
            continue;
        cp_list_remove(node);
        cp_list_init(node);
        status = take_result(r, &c, it, &why);
        if (status > 0)
            status = COPAL_EUNREACH;
        cp_engine_enter(r->c->engine, r->clock);
        it->done(it, status, why == NULL && status != 0 ? "" : why);
        cp_free(r->mem, why);
        return;
    }
    if (r->is_late)
        cp_replay_past_route(r, body);
    else
        cp_replay_differs(r, "a name was found that nobody looks for now");
}

/* ---- What a replay has none of ---- */

static int no_listen(struct cp_driver *d, const struct cp_uri *base,
                     const char *text, unsigned flags)
{
    (void)base, (void)text, (void)flags;
    return cp_why(d->mem, COPAL_ESTATE, "a replay has no network");
}

static const char *no_local(const struct cp_driver *d, size_t i)
{
    (void)d, (void)i;
    return NULL;
}

static int no_join(struct cp_driver *d, const struct cp_uri *group,
                   const char *if_name, bool leave)
{
    (void)group, (void)if_name, (void)leave;
    return cp_why(d->mem, COPAL_ESTATE, "a replay has no network");
}

static const char *no_interface(struct cp_driver *d, size_t i, uint32_t *index)
{
    (void)d, (void)i, (void)index;
    return NULL;
}

static int no_run(struct cp_driver *d)
{
    return cp_why(d->mem, COPAL_ESTATE, "a replay runs by its recording");
}

static int no_fd(const struct cp_driver *d)
{
    return cp_why(d->mem, COPAL_ESTATE, "a replay runs by its recording");
}

static void nothing(struct cp_driver *d)
{
    (void)d;
}

static const struct cp_driver_ops driver_ops = {
    .is_virtual = true,
    .now = now,
    .wake = wake,
    .route = route,
    .unroute = unroute,
    .listen = no_listen,
    .local = no_local,
    .join = no_join,
    .interface = no_interface,
    .run = no_run,
    .stop = nothing,
    .fd = no_fd,
    .timeout = no_fd,
    .step = no_run,
    .close = nothing,
};

void cp_replay_world_init(struct cp_replay *r)
{
    r->driver = (struct cp_driver){.ops = &driver_ops, .mem = r->mem};
    cp_list_init(&r->links);
    cp_list_init(&r->routes);
}

void cp_replay_world_clear(struct cp_replay *r)
{
    list_each (node, after, &r->links) {
        struct link *l = cp_container_of(node, struct link, node);

        cp_free(r->mem, l->name);
        cp_free(r->mem, l);
    }
}
