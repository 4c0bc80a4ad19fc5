#include "engine/raw.h"
#include "engine/core.h"
#include "engine/peer.h"
#include "engine/record.h"
#include "engine/trace.h"
#include "wire/datagram.h"
#include "wire/uri.h"

struct raw {
    struct cp_route route;
    struct cp_engine *engine;
    struct cp_list node; /* in engine->raws while a name is looked up */
    copal_msg *m;
    char host[320];
};

static int64_t param(const struct raw *r, int p)
{
    return cp_msg_tuned(r->m, p, r->engine->params.value[p]);
}

static int send_by(struct raw *r)
{
    struct cp_engine *e = r->engine;
    struct cp_way *way = &r->route.ways[0];
    copal_msg *m = r->m;
    uint8_t token[8];
    struct cp_buf out = cp_buf_new(e->mem);
    copal_bytes datagram;
    bool is_con = (m->flags & COPAL_NON) == 0;
    int err;

    if (is_con && cp_address_is_multicast(&way->path.remote)) {
        cp_buf_free(&out);
        return cp_why(
            e->mem, COPAL_EINVAL,
            "%s: a group cannot confirm; send it non-confirmable (COPAL_NON, "
            "non=true, --non)",
            r->host);
    }
    cp_random_bytes(&e->random, token, sizeof(token));
    if (way->link->connection != NULL) {
        cp_buf_free(&out);
        cp_engine_wake(e);
        return cp_connection_send(way->link, m,
                                  cp_bytes(token, m->code == 0 ? 0 : 8));
    }
    way->path.hops = (uint8_t)param(r, COPAL_P_HOPS);
    err = cp_datagram_encode(m, is_con ? CP_CON : CP_NON,
                             cp_peer_next_mid(e, &way->path.remote),
                             cp_bytes(token, m->code == 0 ? 0 : 8), &out);
    if (err == 0)
        err = cp_buf_finish(&out, &datagram);
    if (err == 0)
        err = cp_engine_send(e, way->link, &way->path, datagram, false);
    cp_buf_free(&out);
    cp_engine_wake(e);
    return err;
}

static void raw_free(struct raw *r)
{
    cp_list_remove(&r->node);
    copal_msg_unref(r->m);
    cp_free(r->engine->mem, r);
}

static void on_routed(struct cp_route *route, int status, const char *why)
{
    struct raw *r = cp_container_of(route, struct raw, route);

    cp_record_route(r->engine, CP_RECORD_ROUTED, route, status, why);
    if (status != 0 || send_by(r) != 0)
        cp_trace_state(r->engine, "raw_lost", why == NULL ? "" : why);
    raw_free(r);
}

void cp_raw_clear(struct cp_engine *e)
{
    list_each (node, after, &e->raws) {
        struct raw *r = cp_container_of(node, struct raw, node);

        e->driver->ops->unroute(e->driver, &r->route);
        raw_free(r);
    }
}

int cp_raw_send(struct cp_engine *e, copal_msg *m, const char *to)
{
    struct cp_uri uri;
    struct raw *r;
    int found, err = cp_uri_split_base(e->mem, to, &uri);

    if (err != 0)
        return err;
    if (e->ending)
        return cp_why(e->mem, COPAL_ECLOSED, "send: the endpoint is closing");
    if (m != NULL && m->code == COPAL_EMPTY &&
        (m->option_count > 0 || m->payload.len > 0))
        return cp_why(e->mem, COPAL_EINVAL,
                      "send: an empty message (0.00) has neither options nor a "
                      "payload");
    r = m == NULL ? NULL : cp_zalloc(e->mem, sizeof(*r));
    if (r == NULL)
        return COPAL_ENOMEM;
    m->frozen = true;
    r->engine = e;
    r->m = copal_msg_ref(m);
    cp_uri_host_text(&uri, r->host);
    r->route.scheme = uri.scheme;
    r->route.host = r->host;
    r->route.port = uri.port;
    r->route.if_index = (uint32_t)param(r, COPAL_P_INTERFACE);
    r->route.done = on_routed;
    cp_list_init(&r->route.node);
    cp_list_init(&r->node);
    cp_list_append(&e->raws, &r->node);
    found = e->driver->ops->route(e->driver, &r->route);
    cp_record_route(e, CP_RECORD_ROUTE, &r->route, found,
                    found < 0 ? cp_why_text(e->mem) : NULL);
    if (found == 1)
        return 0;
    err = found == 0 ? send_by(r) : found;
    raw_free(r);
    return err;
}
