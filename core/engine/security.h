/* What the endpoint's security (secure/) does for its sockets (net/), which do
 * not see each other: core/copal.c hands this table over. */
#ifndef CP_ENGINE_SECURITY_H
#define CP_ENGINE_SECURITY_H

#include "engine/driver.h"
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

    /* Do our certificates for who asks us name that host? */
    bool (*is_named)(const struct cp_credentials *all, const char *host);

    /* A pipe of TLS on top of below: client or server, as asked says, which is
     * copied. Once it tells that it is open the peer is proven, and named:
     * cp_pipe_identity(). COPAL_E* with mem's sentence. */
    int (*tls)(struct cp_credentials *all, struct cp_pipe *below,
               const struct cp_asked *asked, struct cp_pipe **out);

    /* ---- Datagrams: DTLS ---- */

    /* A link of secure associations over below, a socket: what comes there is
     * handed to datagram(), and the engine hears what was sealed in it. Its
     * path->remote has the association's number. NULL: out of memory. */
    struct cp_link *(*datagrams)(struct cp_driver *d, struct cp_link *below);

    /* From below, within a turn. */
    void (*datagram)(struct cp_link *secured, const struct cp_path *path,
                     copal_bytes datagram);
    void (*undelivered)(struct cp_link *secured, const struct cp_path *path,
                        int status);

    /* Every way of r leads by a secured link to an address: makes the first
     * that can be had an association, by a handshake if need be, and that is
     * r's only way then. As the driver's route(). To take r back, who asked
     * removes r->node. */
    int (*associate)(struct cp_driver *d, struct cp_route *r);

    /* Ends established associations under a URI prefix, telling their peers.
     * Gives how many. */
    int (*disconnect)(struct cp_credentials *all, const char *prefix);

    /* Tells every peer good-bye, which below still sends; then frees secured.
     * The engine may be gone. */
    void (*close)(struct cp_link *secured);
};

#endif
