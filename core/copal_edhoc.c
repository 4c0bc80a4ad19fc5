/* Keys for EDHOC, as users give them. */
#include "endpoint.h"
#include "base/utf8.h"
#include "engine/core.h"
#include "engine/record.h"
#include "secure/edhoc_hub.h"

/* Made when first needed. NULL: out of memory. */
static struct cp_edhoc_hub *hub_of(copal *c)
{
    struct cp_oscore *oscore = cp_endpoint_oscore(c);

    if (c->edhoc == NULL && oscore != NULL)
        c->edhoc = cp_edhoc_hub_new(c->mem, c->engine, oscore);
    return c->edhoc;
}

/* The caller may know more fields than we, or fewer. */
static copal_edhoc known_part(const copal_edhoc *keys)
{
    copal_edhoc known = {0};

    memcpy(&known, keys,
           keys->size < sizeof(known) ? keys->size : sizeof(known));
    return known;
}

static bool is_whole(copal_bytes b)
{
    return b.data != NULL || b.len == 0;
}

/* What is said of the resource: RFC 9668 6. */
static void describe(copal *c)
{
    static const char *const attributes[][2] = {
        {"rt", "core.edhoc"}, {"ed-r", NULL}, {"ed-comb-req", NULL}};

    for (size_t i = 0; i < sizeof(attributes) / sizeof(attributes[0]); i++)
        copal_describe(c, CP_EDHOC_PATH, attributes[i][0], attributes[i][1]);
}

/* The resource is there from the first key on. */
static int serve(copal *c, struct cp_edhoc_hub *hub)
{
    unsigned was;
    int err;

    if (hub->is_served)
        return 0;
    was = cp_record_inner(c->engine);
    err = copal_serve(c, COPAL_POST, CP_EDHOC_PATH, 0,
                      COPAL_CB(cp_edhoc_hub_on_post, hub));
    if (err == 0) {
        hub->is_served = true;
        describe(c);
    }
    cp_record_return(c->engine, was);
    return err;
}

int copal_make_edhoc(int curve, copal_bytes subject, copal_bytes kid,
                     uint8_t private_key[32], uint8_t *credential, size_t cap)
{
    struct cp_buf b = cp_buf_fixed(credential, cap);
    struct cp_public_key key;
    int err;

    if ((curve != CP_P256 && curve != CP_X25519 && curve != CP_ED25519) ||
        !is_whole(subject) || !is_whole(kid) || !cp_utf8_is_valid(subject))
        return COPAL_EINVAL;
    err = cp_curve_generate((enum cp_curve)curve, private_key, &key);
    if (err != 0)
        return err;
    cp_edhoc_credential_put_ccs(&b, &key, subject, kid);
    return b.failed ? COPAL_ELIMIT : (int)b.len;
}

static int use(copal *c, const char *scope, const copal_edhoc *k)
{
    struct cp_edhoc_spec spec = {
        .method = k->method,
        .suite = k->suite,
        .private_key = k->private_key,
        .credential = k->credential,
        .identifier = k->identifier,
        .peers = k->peer_credential,
        .combined = k->combined != 0,
    };

    if (!is_whole(spec.private_key) || !is_whole(spec.credential) ||
        !is_whole(spec.identifier) || !is_whole(spec.peers))
        return cp_why(c->mem, COPAL_EINVAL,
                      "EDHOC: a length, and no bytes it is of");
    return cp_endpoint_use_edhoc(c, scope, &spec, false);
}

int cp_endpoint_use_edhoc(copal *c, const char *scope,
                          const struct cp_edhoc_spec *spec, bool is_trial)
{
    struct cp_edhoc_hub *hub = hub_of(c);
    struct cp_edhoc_keys trial;
    int err;

    if (hub == NULL)
        return COPAL_ENOMEM;
    if (is_trial) {
        cp_edhoc_keys_init(&trial, c->mem);
        err = cp_edhoc_keys_use(&trial, scope, spec);
        cp_edhoc_keys_clear(&trial);
        return err;
    }
    if (scope != NULL && strcmp(scope, "*") == 0) {
        err = serve(c, hub);
        if (err != 0)
            return err;
    }
    return cp_edhoc_hub_use(hub, scope, spec);
}

int copal_use_edhoc(copal *c, const char *scope, const copal_edhoc *keys)
{
    copal_edhoc known;
    int err;

    if (c->driver->security == NULL)
        return cp_why(c->mem, COPAL_ENOTSUP,
                      "EDHOC: copal was built without GnuTLS, and has no "
                      "curves");
    if (keys == NULL || keys->size == 0)
        return cp_why(c->mem, COPAL_EINVAL,
                      "EDHOC: no keys, or their size is not set");
    cp_endpoint_enter(c);
    cp_endpoint_call(c);
    known = known_part(keys);
    err = use(c, scope, &known);
    cp_endpoint_return(c, c->engine->whose);
    return err;
}
