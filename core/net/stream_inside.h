/* A connection, as stream.c and stream_room.c know it. */
#ifndef CP_NET_STREAM_INSIDE_H
#define CP_NET_STREAM_INSIDE_H

#include <uv.h>
#include "net/stream.h"

struct cp_stream {
    struct cp_link link;
    struct cp_pipe top; /* below: the pipes down to TCP */
    struct cp_pipe *bottom;
    struct cp_list node, young; /* in net->streams, and net->young or none */
    struct cp_net *net;
    const struct cp_layers *layers;
    struct cp_path path;
    struct cp_address from; /* family 0: any */
    struct cp_found to;     /* of one we open: where it may lead */
    size_t tried;
    struct cp_list routes; /* that wait for it */
    uv_timer_t limit;
    uint64_t began; /* ms */
    size_t held;    /* of net->held */
    char *host;     /* as asked for; NULL: it was opened by the peer */
    int scheme;
    bool is_known;  /* to the engine */
    bool is_agreed; /* the peer's CSM is there */
    bool is_closing;
    const char *why; /* it was cut off; NULL: it was not */
};

/* ---- stream_room.c ---- */

/* held bytes are there of a frame that is not all there, instead of those before.
 * False: there is no room for them. Never so of fewer. */
bool cp_stream_room_hold(struct cp_stream *s, size_t held);

/* Is there room for one more who connects from there? Who is not done shaking
 * hands, or has not said what it takes, may have been cut off for that. */
bool cp_stream_room_for(struct cp_net *net, const struct cp_address *from);

#endif
