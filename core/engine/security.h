/* What the endpoint's security (secure/) does for its sockets (net/), which do
 * not see each other: core/copal.c hands this table over. */
#ifndef CP_ENGINE_SECURITY_H
#define CP_ENGINE_SECURITY_H

#include "engine/pipe.h"

struct cp_security {
    void (*sha1)(copal_bytes in, uint8_t out[20]); /* for RFC 6455 4.2.2 only */
};

#endif
