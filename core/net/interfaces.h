/* The network interfaces of this host that can reach groups. */
#ifndef CP_NET_INTERFACES_H
#define CP_NET_INTERFACES_H

#include <net/if.h>
#include <stdbool.h>
#include <copal.h>
#include "base/address.h"
#include "base/mem.h"

struct cp_interface {
    uint32_t index;
    bool is_loopback;
    char name[IF_NAMESIZE];
};

/* Those that are up and can multicast, in the system's order, and loopback,
 * which does within the host, last. *list is the caller's to free. 0, or
 * COPAL_ENOMEM. */
int cp_interfaces_get(struct cp_mem *mem, struct cp_interface **list,
                      size_t *count);

/* The interface that has that address, of IPv4 or IPv6; 0: none, or several, as
 * of 0.0.0.0. */
uint32_t cp_interfaces_with(const struct cp_address *a);

#endif
