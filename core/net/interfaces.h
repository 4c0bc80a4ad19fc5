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
 * which does within the host, last. *list is the caller's to free. 0, or an
 * errno. */
int cp_interfaces_get(struct cp_mem *mem, struct cp_interface **list,
                      size_t *count);

/* The interface that has that address, of IPv4 or IPv6; *index 0: none, or this
 * host does not tell. 0, or the errno of a shortage that may pass. */
int cp_interfaces_with(const struct cp_address *a, uint32_t *index);

/* The interface of that name. 0, or an errno, ENODEV if there is none. */
int cp_interfaces_named(const char *name, uint32_t *index);

#endif
