/* Connections between simulated hosts: bytes that arrive in order and whole,
 * whatever the path would do to datagrams; only its delays count. */
#include "net/sim_world.h"
#include "engine/engine.h"
#include "wire/uri.h"

enum {
    CONNECT_WITHIN = 10000 /* ms */
};

struct stream;

/* What one end knows. Its other end is known by the stream. */
struct end {
    struct cp_link link;
    struct stream *stream;
    struct cp_host *host; /* NULL: none yet, or not any more */
    struct cp_address address;
    uint64_t arrives_at; /* ms: the newest of what it sent */
    bool is_open;        /* its engine knows of it */
};

struct stream {
    struct cp_list node;
    struct copal_sim *sim;
    struct end ends[2];    /* [0] connects */
    struct cp_list routes; /* of those that wait for it */
    struct cp_timer limit; /* until it is open */
    struct cp_list segments;
    int scheme;
    bool is_agreed; /* requests may go by it */
    bool is_broken;
};

enum kind {
    CONNECT,
    ACCEPT,
    BYTES,
    MORE,   /* what came before goes on */
    CLOSE,  /* the other end did */
    CLOSED, /* this end asked for it */
    REFUSED
};

/* Something that travels to an end. */
struct segment {
    struct cp_timer timer;
    struct cp_list node; /* in stream->segments */
    struct stream *stream;
    struct end *to;
    enum kind kind;
    size_t len;
    uint8_t data[];
};

static struct end *other_of(struct end *end)
{
    struct stream *s = end->stream;

    return end == &s->ends[0] ? &s->ends[1] : &s->ends[0];
}

static enum cp_framing framing_of(const struct stream *s)
{
    return s->scheme == CP_COAP_WS ? CP_FRAMED : CP_STREAMED;
}

/* Gone once nothing of it travels, and no engine knows of it. */
static void free_if_over(struct stream *s)
{
    if (!s->is_broken || !cp_list_empty(&s->segments) || s->ends[0].is_open ||
        s->ends[1].is_open)
        return;
    cp_timer_stop(&s->sim->heap, &s->limit);
    cp_list_remove(&s->node);
    cp_free(s->sim->mem, s);
}

/* ---- Routes ---- */

static void tell_routes(struct stream *s, int status, const char *why)
{
    struct cp_list *first;

    while ((first = cp_list_first(&s->routes)) != NULL) {
        struct cp_route *r = cp_container_of(first, struct cp_route, node);

        cp_list_remove(first);
        r->count = status == 0 ? 1 : 0;
        r->ways[0] = (struct cp_way){
            .link = &s->ends[0].link,
            .path = {.remote = s->ends[1].address, .local = s->ends[0].address},
        };
        r->done(r, status, why);
    }
}

/* ---- Segments ---- */

static void on_arrival(struct cp_timer *t);

/* Out of memory: as if it took for ever. */
static void send_segment(struct end *to, enum kind kind, copal_bytes data,
                         uint64_t at)
{
    struct stream *s = to->stream;
    struct segment *g = cp_zalloc(s->sim->mem, sizeof(*g) + data.len);

    if (g == NULL)
        return;
    g->stream = s;
    g->to = to;
    g->kind = kind;
    g->len = data.len;
    if (data.len > 0)
        memcpy(g->data, data.data, data.len);
    cp_list_append(&s->segments, &g->node);
    s->sim->underway_count++;
    cp_timer_start(&s->sim->heap, &g->timer, at, on_arrival);
}

static void forget_segment(struct segment *g)
{
    struct copal_sim *sim = g->stream->sim;

    cp_timer_stop(&sim->heap, &g->timer);
    cp_list_remove(&g->node);
    sim->underway_count--;
    cp_free(sim->mem, g);
}

/* What is sent later never arrives sooner. */
static void send_from(struct end *from, enum kind kind, copal_bytes data)
{
    struct copal_sim *sim = from->stream->sim;
    struct end *to = other_of(from);
    struct copal_sim_path path =
        cp_sim_paths_find(&sim->paths, &from->address, &to->address);
    uint64_t at = sim->now + cp_sim_path_time(&path, &sim->random);

    if (at < from->arrives_at)
        at = from->arrives_at;
    from->arrives_at = at;
    send_segment(to, kind, data, at);
}

/* ---- The link ---- */

static struct end *end_of(const struct cp_link *l)
{
    return cp_container_of(l, struct end, link);
}

static int send_bytes(struct cp_link *l, const struct cp_path *path,
                      copal_bytes data)
{
    struct end *end = end_of(l);
    struct copal_sim *sim = end->stream->sim;

    (void)path;
    if (end->stream->is_broken)
        return COPAL_ECLOSED;
    cp_ladder_add_stream(&sim->ladder, sim->now, &end->address,
                         &other_of(end)->address, data,
                         framing_of(end->stream));
    send_from(end, BYTES, data);
    return 0;
}

static void close_end(struct cp_link *l)
{
    struct end *end = end_of(l);

    end->stream->is_agreed = false;
    send_segment(end, CLOSED, (copal_bytes){0}, end->stream->sim->now);
    send_from(end, CLOSE, (copal_bytes){0});
}

static void agreed(struct cp_link *l)
{
    struct end *end = end_of(l);

    if (end != &end->stream->ends[0])
        return;
    end->stream->is_agreed = true;
    cp_timer_stop(&end->stream->sim->heap, &end->stream->limit);
    tell_routes(end->stream, 0, NULL);
}

static const struct cp_link_ops link_ops = {
    .name = "sim",
    .send = send_bytes,
    .close = close_end,
    .agreed = agreed,
};

/* ---- Opening and closing ---- */

/* Its engine is told, in a turn of its own. */
static void end_is_over(struct end *end, int status, const char *why)
{
    struct cp_host *h = end->host;

    end->stream->is_broken = true;
    end->stream->is_agreed = false;
    if (h != NULL && h->is_up && end->is_open)
        cp_engine_closed(h->driver.engine, &end->link, status);
    end->is_open = false;
    if (end == &end->stream->ends[0])
        tell_routes(end->stream, status == 0 ? COPAL_ECLOSED : status, why);
}

static bool open_end(struct end *end, struct cp_host *h, bool is_ours)
{
    struct cp_path path = {.remote = other_of(end)->address,
                           .local = end->address};

    end->host = h;
    end->link = (struct cp_link){.ops = &link_ops,
                                 .engine = h->driver.engine,
                                 .scheme = end->stream->scheme,
                                 .is_simulated = true};
    end->is_open = true;
    if (cp_engine_connected(h->driver.engine, &end->link, &path,
                            framing_of(end->stream), is_ours) == 0)
        return true;
    end->is_open = end->link.connection != NULL;
    return false;
}

static void on_connect(struct stream *s)
{
    struct end *end = &s->ends[1];
    struct cp_host *h = cp_host_at(s->sim, &end->address);

    if (h == NULL) {
        if (cp_host_refuses(s->sim, &end->address))
            send_from(end, REFUSED, (copal_bytes){0});
        return; /* else nobody says anything */
    }
    send_from(end, ACCEPT, (copal_bytes){0});
    cp_engine_enter(h->driver.engine, s->sim->now);
    if (!open_end(end, h, false))
        send_from(end, CLOSE, (copal_bytes){0});
    cp_host_turn(h);
}

static void deliver(struct stream *s, const struct segment *g)
{
    struct end *to = g->to;
    struct cp_host *h = to->host;

    if (g->kind == CONNECT) {
        on_connect(s);
        return;
    }
    if (h == NULL || !h->is_up)
        return;
    cp_engine_enter(h->driver.engine, s->sim->now);
    switch (g->kind) {
    case ACCEPT:
        if (!open_end(to, h, true)) {
            send_from(to, CLOSE, (copal_bytes){0});
            end_is_over(to, COPAL_ENOMEM, "out of memory");
        }
        break;
    case BYTES:
    case MORE:
        if (to->is_open)
            cp_engine_bytes(h->driver.engine, &to->link,
                            cp_bytes(g->data, g->len));
        if (to->is_open && cp_engine_has_more(&to->link))
            send_segment(to, MORE, (copal_bytes){0}, s->sim->now);
        break;
    case REFUSED:
        end_is_over(to, COPAL_EREFUSED, "nothing listens there");
        break;
    default: end_is_over(to, 0, "the connection was closed"); break;
    }
    cp_host_turn(h);
}

static void on_arrival(struct cp_timer *t)
{
    struct segment *g = cp_container_of(t, struct segment, timer);
    struct stream *s = g->stream;

    deliver(s, g);
    forget_segment(g);
    free_if_over(s);
}

static void on_limit(struct cp_timer *t)
{
    struct stream *s = cp_container_of(t, struct stream, limit);
    struct cp_host *h = s->ends[0].host;

    if (h == NULL)
        return;
    cp_engine_enter(h->driver.engine, s->sim->now);
    end_is_over(&s->ends[0], COPAL_ETIMEOUT, "no connection within 10 s");
    send_from(&s->ends[0], CLOSE, (copal_bytes){0});
    cp_host_turn(h);
    free_if_over(s);
}

/* ---- For hosts ---- */

static struct stream *find(struct cp_host *h, const struct cp_address *to,
                           int scheme)
{
    list_each (node, after, &h->sim->streams) {
        struct stream *s = cp_container_of(node, struct stream, node);

        if (s->ends[0].host == h && s->scheme == scheme && !s->is_broken &&
            cp_address_equal(&s->ends[1].address, to) &&
            (!s->is_agreed || cp_engine_may_ask(&s->ends[0].link)))
            return s;
    }
    return NULL;
}

static struct stream *connect_to(struct cp_host *h, const struct cp_address *to,
                                 int scheme)
{
    struct stream *s = cp_zalloc(h->sim->mem, sizeof(*s));

    if (s == NULL)
        return NULL;
    s->sim = h->sim;
    s->scheme = scheme;
    cp_list_init(&s->routes);
    cp_list_init(&s->segments);
    s->ends[0] = (struct end){.stream = s, .host = h, .address = h->address};
    s->ends[1] = (struct end){.stream = s, .address = *to};
    cp_list_append(&h->sim->streams, &s->node);
    send_from(&s->ends[0], CONNECT, (copal_bytes){0});
    cp_timer_start(&s->sim->heap, &s->limit, s->sim->now + CONNECT_WITHIN,
                   on_limit);
    return s;
}

int cp_sim_stream_route(struct cp_host *h, struct cp_route *r,
                        struct cp_host *peer)
{
    struct stream *s = find(h, &peer->address, r->scheme);

    if (s == NULL)
        s = connect_to(h, &peer->address, r->scheme);
    if (s == NULL)
        return COPAL_ENOMEM;
    if (!s->is_agreed) {
        cp_list_append(&s->routes, &r->node);
        return 1;
    }
    r->ways[0] = (struct cp_way){
        .link = &s->ends[0].link,
        .path = {.remote = peer->address, .local = h->address},
    };
    r->count = 1;
    return 0;
}

/* Of a host that is down its engine knows nothing any more. */
void cp_sim_streams_break(struct cp_host *h)
{
    list_each (node, after, &h->sim->streams) {
        struct stream *s = cp_container_of(node, struct stream, node);

        for (size_t i = 0; i < 2; i++) {
            struct end *end = &s->ends[i];

            if (end->host != h)
                continue;
            send_from(end, CLOSE, (copal_bytes){0});
            if (h->is_up) {
                send_segment(end, CLOSED, (copal_bytes){0}, s->sim->now);
                continue;
            }
            end->host = NULL;
            end->is_open = false;
            s->is_broken = true;
            s->is_agreed = false;
            if (i == 0)
                cp_list_init(&s->routes); /* those were its engine's */
        }
    }
}

void cp_sim_streams_clear(struct copal_sim *sim)
{
    list_each (node, after, &sim->streams) {
        struct stream *s = cp_container_of(node, struct stream, node);

        list_each (place, next, &s->segments)
            forget_segment(cp_container_of(place, struct segment, node));
        cp_timer_stop(&sim->heap, &s->limit);
        cp_list_remove(&s->node);
        cp_free(sim->mem, s);
    }
}
