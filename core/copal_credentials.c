/* Credentials for TLS and DTLS, as users give them. */
#include "endpoint.h"
#include "base/callback.h"
#include "secure/credentials.h"
#include "secure/credentials_file.h"
#include "secure/edhoc_hub.h"
#include "secure/oscore.h"

static int without_library(copal *c, const char *what)
{
    return cp_why(c->mem, COPAL_ENOTSUP,
                  "%s: copal was built without GnuTLS, and has no TLS or DTLS",
                  what);
}

static bool has_library(const copal *c)
{
    return c->driver->security != NULL;
}

int copal_use_psk(copal *c, const char *scope, copal_bytes identity,
                  copal_bytes key)
{
    if (!has_library(c))
        return without_library(c, "pre-shared keys");
    return cp_credentials_use_psk(c->credentials, scope, identity, key);
}

int copal_use_cert(copal *c, const char *scope, const char *cert_pem,
                   const char *key_pem, const char *trusted_pem)
{
    struct cp_pem pem = {
        .cert = cert_pem, .key = key_pem, .trusted = trusted_pem};

    if (!has_library(c))
        return without_library(c, "certificates and raw public keys");
    return cp_credentials_use_cert(c->credentials, scope, &pem);
}

int copal_forget(copal *c, const char *scope)
{
    int oscore = COPAL_ENOENT, edhoc = COPAL_ENOENT, others;

    if (!has_library(c))
        return without_library(c, "credentials");
    if (scope != NULL && c->edhoc != NULL)
        edhoc = cp_edhoc_hub_forget(c->edhoc, scope);
    if (scope != NULL && c->oscore != NULL)
        oscore = cp_oscore_forget(c->oscore, scope);
    others = cp_credentials_forget(c->credentials, scope);
    return oscore == 0 || edhoc == 0 ? 0 : others;
}

int copal_use_lookup(copal *c, const char *scope, copal_cb cb)
{
    if (!has_library(c)) {
        cp_cb_drop(cb);
        return without_library(c, "keys on demand");
    }
    return cp_credentials_use_lookup(c->credentials, scope, cb);
}

static struct cp_oscore *oscore_of(void *endpoint)
{
    return cp_endpoint_oscore(endpoint);
}

static int use_edhoc(void *endpoint, const char *scope,
                     const struct cp_edhoc_spec *spec, bool is_trial)
{
    return cp_endpoint_use_edhoc(endpoint, scope, spec, is_trial);
}

static int use_profile(void *endpoint, const char *scope, const char *name,
                       bool is_trial)
{
    return is_trial ? cp_endpoint_knows_profile(endpoint, name)
                    : copal_profile(endpoint, scope, name);
}

int copal_use_file(copal *c, const char *path)
{
    struct cp_credentials_more more = {.oscore = oscore_of,
                                       .edhoc = use_edhoc,
                                       .profile = use_profile,
                                       .user = c};

    if (!has_library(c))
        return without_library(c, "credentials files");
    if (path == NULL)
        return cp_why(c->mem, COPAL_EINVAL, "no credentials file given");
    return cp_credentials_read_file(c->credentials, &more, path);
}
