/* What an observer registered with: all of it, or what tells it from others. */
#include "engine/observe_core.h"
#include "engine/core.h"

bool cp_observer_is_from(const struct cp_observer *o,
                         const struct cp_address *remote)
{
    if (o->keeps_all)
        return cp_address_equal(&o->request->path.remote, remote);
    return o->port == remote->port && o->family == remote->family &&
           memcmp(o->ip, remote->ip, sizeof(o->ip)) == 0 &&
           remote->scope == 0 && remote->association == 0;
}

struct cp_address cp_observer_remote(const struct cp_observer *o)
{
    struct cp_address a = {.port = o->port, .family = o->family};

    if (o->keeps_all)
        return o->request->path.remote;
    memcpy(a.ip, o->ip, sizeof(a.ip));
    return a;
}

struct cp_path cp_observer_path(const struct cp_observer *o)
{
    return (struct cp_path){.remote = cp_observer_remote(o),
                            .local = o->home->local,
                            .if_index = o->home->if_index,
                            .hops = o->home->hops};
}

const copal_msg *cp_observer_form(const struct cp_observer *o)
{
    return o->keeps_all ? o->request : o->interest->request;
}

/* Nothing of it matters but where it came from, its token, and what is the
 * same for all of its interest. */
static bool is_plain(struct cp_engine *e, const copal_msg *m)
{
    return m->guard == NULL && m->token.len <= CP_OBSERVER_TOKEN &&
           m->path.remote.scope == 0 && m->path.remote.association == 0 &&
           !cp_msg_has(m, COPAL_OPT_ETAG) && !cp_msg_has(m, COPAL_OPT_BLOCK2) &&
           !cp_msg_has(m, COPAL_OPT_Q_BLOCK1) &&
           !cp_msg_has(m, COPAL_OPT_Q_BLOCK2) &&
           cp_list_empty(&e->params.scopes);
}

static void note_plain(struct cp_observer *o, const copal_msg *m)
{
    const struct cp_address *remote = &m->path.remote;

    memcpy(o->ip, remote->ip, sizeof(o->ip));
    o->port = remote->port;
    o->family = remote->family;
    o->token_len = (uint8_t)m->token.len;
    if (m->token.len > 0)
        memcpy(o->token, m->token.data, m->token.len);
}

/* A FETCH's body is the interest's. Of what came to a group the group is not
 * kept: notifications leave from an address of this host. */
static bool keep_all(struct cp_engine *e, struct cp_observer *o,
                     const copal_msg *request)
{
    copal_msg *m = cp_msg_derive(request);

    if (m == NULL)
        return false;
    cp_msg_borrow_payload(m, NULL, (copal_bytes){0});
    if (m->path.is_multicast)
        m->path.local = (struct cp_address){0};
    m->path.is_multicast = 0;
    m->frozen = true;
    if (!cp_interest_charge(e, m)) {
        copal_msg_unref(m);
        return false;
    }
    o->request = m;
    o->keeps_all = true;
    return true;
}

copal_msg *cp_observer_request(struct cp_observer *o)
{
    struct cp_engine *e = o->interest->engine;
    copal_msg *m;

    if (o->keeps_all)
        return o->request;
    m = cp_msg_derive(o->interest->request);
    if (m == NULL)
        return NULL;
    m->scheme = (uint8_t)o->home->link->scheme;
    m->path = cp_observer_path(o);
    if (cp_msg_reserve(m, o->token_len) != 0)
        goto fail;
    if (o->token_len > 0)
        memcpy(m->data + m->data_len, o->token, o->token_len);
    m->token = cp_bytes(m->data + m->data_len, o->token_len);
    m->data_len += o->token_len;
    if (!keep_all(e, o, m))
        goto fail;
    copal_msg_unref(m);
    return o->request;
fail:
    copal_msg_unref(m);
    return NULL;
}

const char *cp_observer_uri(struct cp_observer *o)
{
    const struct cp_params *p = &o->interest->engine->params;
    const copal_msg *m;

    if (cp_list_empty(&p->scopes))
        return NULL;
    m = cp_observer_request(o);
    return m == NULL ? NULL : cp_params_uri_back(p, m);
}

bool cp_observer_note(struct cp_observer *o, const copal_msg *m)
{
    struct cp_engine *e = o->interest->engine;

    if (!is_plain(e, m))
        return keep_all(e, o, m);
    note_plain(o, m);
    return true;
}
