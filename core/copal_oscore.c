/* OSCORE contexts, as users give them. */
#include "endpoint.h"
#include "engine/core.h"
#include "engine/record.h"
#include "secure/credentials.h"
#include "secure/oscore.h"

struct cp_oscore *cp_endpoint_oscore(copal *c)
{
    if (c->oscore == NULL) {
        if (CP_RECORD_IS_ON(c->engine)) /* what it draws comes behind that */
            cp_record_do_plain(c->engine, CP_RECORD_KEYED);
        c->oscore = cp_oscore_new(c->mem, c->engine);
    }
    if (c->oscore != NULL)
        cp_oscore_keep_in(c->oscore, c->credentials->store);
    return c->oscore;
}

/* The caller may know more fields than we, or fewer. */
static copal_oscore known_part(const copal_oscore *context)
{
    copal_oscore known = {0};

    memcpy(&known, context,
           context->size < sizeof(known) ? context->size : sizeof(known));
    return known;
}

static bool is_whole(copal_bytes b)
{
    return b.data != NULL || b.len == 0;
}

static int use(copal *c, const char *scope, const copal_oscore *k)
{
    struct cp_oscore_spec spec = {
        .in = {.secret = k->secret,
               .salt = k->salt,
               .sender_id = k->sender_id,
               .recipient_id = k->recipient_id,
               .id_context = k->id_context,
               .aead = k->aead == 0 ? CP_OSCORE_AEAD : k->aead,
               .hkdf = k->hkdf == 0 ? CP_OSCORE_HKDF : k->hkdf},
        .window = k->replay_window,
        .rederives = k->rederives != 0,
    };
    struct cp_oscore *all;

    if (!is_whole(k->secret) || !is_whole(k->salt) || !is_whole(k->sender_id) ||
        !is_whole(k->recipient_id) || !is_whole(k->id_context))
        return cp_why(c->mem, COPAL_EINVAL,
                      "OSCORE: a length, and no bytes it is of");
    all = cp_endpoint_oscore(c);
    return all == NULL ? COPAL_ENOMEM : cp_oscore_use(all, scope, &spec);
}

int copal_use_oscore(copal *c, const char *scope, const copal_oscore *context)
{
    copal_oscore known;
    int err;

    if (c->driver->security == NULL)
        return cp_why(c->mem, COPAL_ENOTSUP,
                      "OSCORE: copal was built without GnuTLS, and has no "
                      "ciphers");
    if (context == NULL || context->size == 0)
        return cp_why(c->mem, COPAL_EINVAL,
                      "OSCORE: no context, or its size is not set");
    cp_endpoint_enter(c);
    cp_endpoint_call(c);
    known = known_part(context);
    err = use(c, scope, &known);
    cp_endpoint_return(c, c->engine->whose);
    return err;
}
