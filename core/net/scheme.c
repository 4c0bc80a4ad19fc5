#include "net/scheme.h"
#include "net/listen.h"
#include "net/route.h"
#include "net/stream.h"

/* A scheme without a row is not built in. */
static const struct cp_transport *const schemes[CP_SCHEME_COUNT] = {
    [CP_COAP] = &(const struct cp_transport){cp_listen_udp, cp_route_udp},
    [CP_COAP_TCP] =
        &(const struct cp_transport){cp_listen_tcp, cp_stream_route},
};

const struct cp_transport *cp_scheme_transport(struct cp_mem *mem, int scheme,
                                               const char *text)
{
    const char *name = cp_scheme_name(scheme);

    if (scheme >= 0 && scheme < CP_SCHEME_COUNT && schemes[scheme] != NULL)
        return schemes[scheme];
    cp_why(mem, COPAL_ENOTSUP, "%s: %s is not built in; coap and coap+tcp are",
           text, name == NULL ? "this scheme" : name);
    return NULL;
}
