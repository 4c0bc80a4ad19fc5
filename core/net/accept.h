/* Who connects to a socket that listens. */
#ifndef CP_NET_ACCEPT_H
#define CP_NET_ACCEPT_H

#include "net/net.h"
#include "net/sockaddr.h"

enum {
    CP_ACCEPT_NOBODY = -1,
    CP_ACCEPT_NEXT = -2, /* that one is gone; another may wait */
    CP_ACCEPT_REST =
        -3 /* nobody can be let in, or turned away: the socket stays
                          * readable, and is to be left alone for a moment */
};

/* A socket that listens begins: one descriptor is kept for who has to be turned
 * away. */
void cp_accept_begin(struct cp_net *net);
void cp_accept_end(struct cp_net *net);

/* A descriptor, and its other end in *from; or one of the above. Where no
 * descriptors are left whoever has connected and is silent gives way, or who
 * comes is turned away. */
int cp_accept(struct cp_net *net, int fd, union cp_sockaddr *from);

#endif
