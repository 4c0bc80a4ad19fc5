/* Ways to a peer: its addresses, each with the socket that can reach it. */
#ifndef CP_NET_ROUTE_H
#define CP_NET_ROUTE_H

#include "net/net.h"

/* As the driver's route() and unroute(), for UDP. */
int cp_route_udp(struct cp_net *net, struct cp_route *r);
void cp_route_forget(struct cp_net *net, struct cp_route *r);

/* Where an answer to remote leaves from: a socket that listens and can reach it;
 * s itself if there is none. */
struct cp_udp;
struct cp_udp *cp_route_back(struct cp_udp *s, const struct cp_address *remote);

/* Tells the routes whose names were found meanwhile. */
void cp_route_deliver(struct cp_net *net);

#endif
