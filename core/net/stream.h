/* Connections to peers, as the engine knows them: each has a link of its own.
 * What is between that and the socket is a row of pipes. */
#ifndef CP_NET_STREAM_H
#define CP_NET_STREAM_H

#include "engine/pipe.h"
#include "net/net.h"
#include "net/resolve.h"
#include "wire/stream.h"

/* How a scheme connects, and what stands on TCP. */
struct cp_layers {
    enum cp_framing framing;
    bool tls;
    bool ws;
};

/* The layers of a scheme that connects. */
const struct cp_layers *cp_stream_layers(int scheme);

/* As the driver's route(): by a connection that there is, or a new one. */
int cp_stream_route(struct cp_net *net, struct cp_route *r);

/* The same, once the name is found. 1: r->done will be called. */
int cp_stream_route_to(struct cp_net *net, struct cp_route *r,
                       const struct cp_found *found);

/* Somebody connected, and bottom is open. Nobody is told of failures: bottom is
 * closed then. */
void cp_stream_accept(struct cp_net *net, struct cp_pipe *bottom,
                      const struct cp_path *path, int scheme);

/* Cuts off who has connected longest ago and not said what it takes. False: there
 * is nobody like that. */
bool cp_stream_make_room(struct cp_net *net);

/* The engine is gone: all end now, their memory with the loop's next turn. */
void cp_streams_close(struct cp_net *net);

/* Bytes wait to be sent. */
bool cp_streams_are_waiting(const struct cp_net *net);

#endif
