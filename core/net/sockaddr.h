/* struct cp_address as the system's socket calls want it, and back. */
#ifndef CP_NET_SOCKADDR_H
#define CP_NET_SOCKADDR_H

#include <netinet/in.h>
#include <sys/socket.h>
#include "base/address.h"

union cp_sockaddr {
    struct sockaddr any;
    struct sockaddr_in v4;
    struct sockaddr_in6 v6;
};

/* How many bytes of *out count. a is of IPv4 or IPv6. */
socklen_t cp_sockaddr_write(const struct cp_address *a, union cp_sockaddr *out);

/* False: of another family. */
bool cp_sockaddr_read(const union cp_sockaddr *in, struct cp_address *out);

/* The pieces, for control data, which has addresses without ports. */
void cp_sockaddr_read_v4(const struct in_addr *ip, uint16_t port,
                         struct cp_address *out);
void cp_sockaddr_read_v6(const struct in6_addr *ip, uint16_t port,
                         uint32_t if_index, struct cp_address *out);

/* fe80::/10: means nothing without an interface. RFC 4007 6. */
bool cp_sockaddr_is_link_local(const struct cp_address *a);

/* 0.0.0.0 or [::]. */
bool cp_sockaddr_is_any(const struct cp_address *a);

#endif
