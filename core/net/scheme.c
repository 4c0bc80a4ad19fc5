#include "net/scheme.h"
#include "net/listen.h"
#include "net/route.h"
#include "net/stream.h"

static const struct cp_transport datagrams = {cp_listen_udp, cp_route_udp};
static const struct cp_transport secured = {cp_listen_dtls, cp_route_udp};
static const struct cp_transport connections = {cp_listen_tcp, cp_stream_route};

/* A scheme without a row is not built in. */
static const struct cp_transport *const schemes[CP_SCHEME_COUNT] = {
    [CP_COAP] = &datagrams,       [CP_COAPS] = &secured,
    [CP_COAP_TCP] = &connections, [CP_COAPS_TCP] = &connections,
    [CP_COAP_WS] = &connections,  [CP_COAPS_WS] = &connections,
};

/* All but these two use the library of secure/, WebSocket for its hash. */
static bool needs_security(int scheme)
{
    return scheme != CP_COAP && scheme != CP_COAP_TCP;
}

const struct cp_transport *cp_scheme_transport(const struct cp_driver *d,
                                               int scheme, const char *text)
{
    const char *name = cp_scheme_name(scheme);
    bool is_there =
        scheme >= 0 && scheme < CP_SCHEME_COUNT && schemes[scheme] != NULL;

    if (is_there && (d->security != NULL || !needs_security(scheme)))
        return schemes[scheme];
    if (is_there)
        cp_why(d->mem, COPAL_ENOTSUP,
               "%s: %s is not built in; build copal with GnuTLS and wslay "
               "(COPAL_TLS=gnutls)",
               text, name);
    else
        cp_why(d->mem, COPAL_ENOTSUP,
               "%s: %s is not built in; coap and coaps are, alone, by +tcp and "
               "by +ws",
               text, name == NULL ? "this scheme" : name);
    return NULL;
}
