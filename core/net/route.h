/* Ways to a peer: its addresses, each with the socket that can reach it. */
#ifndef CP_NET_ROUTE_H
#define CP_NET_ROUTE_H

#include "net/net.h"

struct cp_found;

/* As the driver's route(), for UDP, and unroute(), for all. */
int cp_route_udp(struct cp_net *net, struct cp_route *r);
void cp_route_forget(struct cp_net *net, struct cp_route *r);

/* The addresses of r's host. 0; 1: it is looked up, cp_route_deliver() goes on;
 * COPAL_E* with mem's sentence. */
int cp_route_find(struct cp_net *net, struct cp_route *r, struct cp_found *out);

/* Where the answer to what a group's socket s heard leaves from: a socket that
 * listens and is reached by the interface it came by, or else one of our own;
 * what comes to its address and port is served, too (RFC 7252 8.2). s itself if
 * none can be had. */
struct cp_udp;
struct cp_udp *cp_route_back(struct cp_udp *s, const struct cp_path *path);

/* Is any of those that listen reached by that interface; also if none listens:
 * then there is one of our own. */
bool cp_route_has_way_back(struct cp_net *net, uint8_t family,
                           uint32_t if_index);

/* Tells the routes whose names were found meanwhile. */
void cp_route_deliver(struct cp_net *net);

#endif
