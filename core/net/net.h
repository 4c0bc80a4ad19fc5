/* What the files of this folder share: one struct cp_net in each loop. */
#ifndef CP_NET_NET_H
#define CP_NET_NET_H

#include "base/list.h"
#include "base/mem.h"
#include "engine/driver.h"

struct cp_inbox;
struct cp_interface;
struct cp_loop;
struct cp_metrics;
struct cp_outbox;
struct cp_resolver;
struct cp_udp;
struct uv_loop_s;

struct cp_net {
    struct cp_driver *driver; /* whose engine, whose memory */
    struct cp_loop *loop;
    struct uv_loop_s *uv;
    struct cp_list sockets;   /* struct cp_udp, in the order they were opened */
    struct cp_list listeners; /* struct cp_tcp_listener, likewise */
    struct cp_list streams;   /* stream.c: connections, by whomever opened */
    struct cp_list young;     /* those of strangers who shake hands yet */
    size_t held; /* bytes of frames of WebSocket that are not all there */
    struct cp_list origins; /* ws.c: whose pages may connect */
    struct cp_list hosts;   /* ws.c: names of ours, by which they may */
    int spare; /* accept.c: a descriptor that can be done without; -1: none */
    uint8_t *read_buffer;       /* tcp.c: of whoever reads, for the moment */
    struct cp_list memberships; /* membership.c: groups that are heard */
    struct cp_interface *interfaces; /* as last listed */
    size_t interface_count;

    /* Shared by all sockets, made with the first: an endpoint without one
     * stays small. */
    struct cp_inbox *in;
    struct cp_outbox *out;

    /* Whom a socket heard last in this turn. NULL: none did. */
    const struct cp_udp *hears;
    struct cp_address heard;

    struct cp_resolver *names;
    struct cp_metrics *metrics; /* metrics.c; NULL: nobody listens */
};

#endif
