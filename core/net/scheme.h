/* All transports at a glance: which schemes are built in, and who listens and
 * finds ways for them. */
#ifndef CP_NET_SCHEME_H
#define CP_NET_SCHEME_H

#include "net/net.h"
#include "wire/uri.h"

struct cp_transport {
    /* As the driver's functions of that name. */
    int (*listen)(struct cp_net *net, const struct cp_uri *base,
                  const char *text, unsigned flags);
    int (*route)(struct cp_net *net, struct cp_route *r);
};

/* NULL: not built in, and d's sentence about text says so (ENOTSUP). */
const struct cp_transport *cp_scheme_transport(const struct cp_driver *d,
                                               int scheme, const char *text);

#endif
