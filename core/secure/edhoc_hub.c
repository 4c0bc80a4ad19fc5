#include "secure/edhoc_hub.h"
#include "engine/core.h"

/* ---- Life ---- */

struct cp_edhoc_hub *cp_edhoc_hub_new(struct cp_mem *mem, struct cp_engine *e,
                                      struct cp_oscore *oscore)
{
    struct cp_edhoc_hub *hub = cp_zalloc(mem, sizeof(*hub));

    if (hub == NULL)
        return NULL;
    hub->mem = mem;
    hub->engine = e;
    hub->oscore = oscore;
    hub->aeads = cp_aeads_new(mem);
    if (hub->aeads == NULL) {
        cp_free(mem, hub);
        return NULL;
    }
    cp_edhoc_keys_init(&hub->keys, mem);
    cp_list_init(&hub->half_open);
    cp_list_init(&hub->made);
    cp_list_init(&hub->keyings);
    e->protection.ops = &cp_edhoc_guard;
    e->protection.user = hub;
    return hub;
}

void cp_edhoc_hub_free(struct cp_edhoc_hub *hub)
{
    if (hub == NULL)
        return;
    hub->engine->protection.ops = NULL;
    cp_edhoc_client_clear(hub);
    cp_edhoc_server_clear(hub);
    cp_edhoc_keys_clear(&hub->keys);
    cp_aeads_free(hub->aeads);
    cp_free(hub->mem, hub);
}

/* ---- Keys ---- */

int cp_edhoc_hub_use(struct cp_edhoc_hub *hub, const char *scope,
                     const struct cp_edhoc_spec *spec)
{
    struct cp_edhoc_scope *before =
        scope == NULL ? NULL : cp_edhoc_keys_at(&hub->keys, scope);
    bool is_for_askers = before != NULL && strcmp(before->text, "*") == 0;
    int err;

    if (before != NULL)
        cp_edhoc_scope_ref(before);
    err = cp_edhoc_keys_use(&hub->keys, scope, spec);
    if (before != NULL && err == 0 && !is_for_askers)
        cp_edhoc_client_forget(hub, before);
    cp_edhoc_scope_unref(before);
    if (err == 0)
        hub->engine->protection.asks = hub->engine->protection.by_edhoc = true;
    return err;
}

int cp_edhoc_hub_forget(struct cp_edhoc_hub *hub, const char *scope)
{
    struct cp_edhoc_scope *s = cp_edhoc_keys_at(&hub->keys, scope);

    if (s == NULL)
        return COPAL_ENOENT;
    if (strcmp(s->text, "*") == 0)
        cp_edhoc_server_clear(hub);
    else
        cp_edhoc_client_forget(hub, s);
    return cp_edhoc_keys_forget(&hub->keys, scope);
}

/* ---- Sessions ---- */

static bool own(void *user, enum cp_curve curve, struct cp_edhoc_own *out)
{
    return cp_edhoc_scope_own(((struct cp_edhoc_work *)user)->scope, curve,
                              out);
}

static int find(void *user, const struct cp_cose_id *id, size_t i,
                struct cp_edhoc_credential *out)
{
    struct cp_edhoc_work *w = user;

    return cp_edhoc_scope_find(w->scope, w->host, id, i, out);
}

static bool is_taken(const struct cp_edhoc_hub *hub, copal_bytes cid)
{
    return cp_edhoc_server_has(hub, cid) || cp_edhoc_client_has(hub, cid) ||
           cp_oscore_knows(hub->oscore, cid);
}

/* As short as may be, at random: it is to tell nothing of others. RFC 9528
 * 9.7, RFC 9668 4.1. */
static int choose(void *user, const struct cp_edhoc_cid *taken,
                  struct cp_edhoc_cid *out)
{
    struct cp_edhoc_hub *hub = ((struct cp_edhoc_work *)user)->hub;

    for (int tries = 0; tries < 64; tries++) {
        struct cp_edhoc_cid one = {.len = (uint8_t)(tries < 8    ? 1
                                                    : tries < 24 ? 2
                                                                 : 4)};

        cp_engine_random(hub->engine, one.bytes, one.len);
        if (one.len == 1 && !cp_edhoc_is_int(one.bytes[0]))
            continue; /* two bytes on the wire, and as many as a longer one */
        if (cp_bytes_equal(cp_edhoc_cid_bytes(&one),
                           cp_edhoc_cid_bytes(taken)) ||
            is_taken(hub, cp_edhoc_cid_bytes(&one)))
            continue;
        *out = one; /* only now: it is among those that are looked at */
        return 0;
    }
    return COPAL_ELIMIT;
}

void cp_edhoc_work_begin(struct cp_edhoc_work *w, struct cp_edhoc_hub *hub,
                         struct cp_edhoc_scope *scope, const char *host)
{
    struct cp_edhoc_setup setup = {
        .mem = hub->mem,
        .aeads = hub->aeads,
        .suites = scope->suites,
        .methods = scope->methods,
        .own = own,
        .find = find,
        .choose = choose,
        .user = w,
    };

    w->hub = hub;
    w->scope = cp_edhoc_scope_ref(scope);
    w->host = host;
    cp_edhoc_init(&w->session, &setup, host != NULL);
}

void cp_edhoc_work_end(struct cp_edhoc_work *w)
{
    if (w->scope == NULL)
        return;
    cp_edhoc_clear(&w->session);
    cp_edhoc_scope_unref(w->scope);
    w->scope = NULL;
}

int cp_edhoc_work_install(struct cp_edhoc_work *w, struct cp_guard **out)
{
    struct cp_edhoc_oscore made;
    struct cp_oscore_spec spec = {.identity = w->session.peer, .is_new = true};
    int err = cp_edhoc_oscore(&w->session, &made);

    spec.in.secret = cp_bytes(made.secret, made.secret_len);
    spec.in.salt = cp_bytes(made.salt, sizeof(made.salt));
    spec.in.sender_id = cp_edhoc_cid_bytes(&made.sender);
    spec.in.recipient_id = cp_edhoc_cid_bytes(&made.recipient);
    spec.in.aead = made.aead;
    spec.in.hkdf = made.hkdf;
    if (err == 0)
        err = cp_oscore_add(w->hub->oscore, &spec, out);
    cp_wipe(&made, sizeof(made));
    return err;
}
