/* Which groups the endpoint hears, by which interfaces. */
#ifndef CP_NET_MEMBERSHIP_H
#define CP_NET_MEMBERSHIP_H

#include "net/net.h"
#include "wire/uri.h"

/* As copal_join(); or, with leave, as copal_leave(). */
int cp_membership_change(struct cp_net *net, const struct cp_uri *group,
                         const char *if_name, bool leave);

/* Forgets all; the sockets' end is theirs. */
void cp_membership_clear(struct cp_net *net);

/* As copal_interface(). */
const char *cp_membership_interface(struct cp_net *net, size_t i,
                                    uint32_t *index);

#endif
