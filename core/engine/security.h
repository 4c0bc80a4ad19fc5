/* What the endpoint's security (secure/) does for its sockets (net/), which do
 * not see each other: core/copal.c hands this table over. */
#ifndef CP_ENGINE_SECURITY_H
#define CP_ENGINE_SECURITY_H

#include "engine/pipe.h"

struct cp_credentials;

/* Whom a connection or an association leads to, or that we are asked by it. */
struct cp_asked {
    int scheme; /* enum cp_scheme */
    const char
        *host;     /* as asked for: a name or a literal; NULL: we are asked */
    uint16_t port; /* asked for; or ours */
};

struct cp_security {
    void (*sha1)(copal_bytes in, uint8_t out[20]); /* for RFC 6455 4.2.2 only */

    /* A pipe of TLS on top of below: client or server, as asked says, which is
     * copied. Once it tells that it is open the peer is proven, and named:
     * cp_pipe_identity(). COPAL_E* with mem's sentence. */
    int (*tls)(struct cp_credentials *all, struct cp_pipe *below,
               const struct cp_asked *asked, struct cp_pipe **out);
};

#endif
