/* A UDP socket: one link for all who send to it. Watched by uv_poll_t and read
 * in batches; it tells which address was asked, and what the network says of
 * datagrams that did not arrive. */
#ifndef CP_NET_UDP_H
#define CP_NET_UDP_H

#include <uv.h>
#include "engine/engine.h"
#include "engine/link.h"
#include "net/net.h"

struct cp_udp {
    struct cp_link link;
    struct cp_link *secured; /* DTLS over it, and nothing else; NULL: none */
    struct cp_list node;
    struct cp_net *net;
    uv_poll_t poll;
    int fd;
    struct cp_address local; /* bound to, with the real port */
    uint32_t if_index;       /* of a listening one: whose that address is */
    bool listens;
    bool is_group;       /* bound to a group's address: hears nothing else */
    bool is_shared;      /* others may hear what is sent to its port */
    bool is_blocked;     /* the system takes nothing more until writable */
    bool is_resting;     /* it cannot be read: it is left alone for a moment */
    bool is_handed_over; /* it is for others to read */
    bool cuts;           /* the system does: cp_batch_can_cut() */
    char uri[CP_ADDRESS_TEXT + 8]; /* of a listening one */
};

/* Opens a socket bound to local. flags as of copal_listen(). Nothing is heard
 * or sent before cp_udp_start(). Gives 0 or an errno. */
int cp_udp_open(struct cp_net *net, const struct cp_address *local,
                unsigned flags, struct cp_udp **out);

/* The same with a socket that is bound already; from then on fd is ours to
 * close. EINVAL: it is no such socket, or one of IPv6 for IPv4 as well. */
int cp_udp_adopt(struct cp_net *net, int fd, struct cp_udp **out);

/* What comes is left to others who have the socket. */
void cp_udp_hand_over(struct cp_udp *s);
/* The same for DTLS: the engine hears of it what is proven. */
int cp_udp_open_secured(struct cp_net *net, const struct cp_address *local,
                        unsigned flags, struct cp_udp **out);

/* A datagram came, or did not arrive: the engine hears of it, or who secures
 * the socket. quoted: as cp_engine_undelivered() has it. */
void cp_udp_heard(struct cp_udp *s, const struct cp_path *path,
                  copal_bytes datagram, const struct cp_foreseen *foreseen);
void cp_udp_undelivered(struct cp_udp *s, const struct cp_path *path,
                        copal_bytes quoted, int status);

/* The engine has gone: the associations end, and their peers are told. */
void cp_udp_end_secured(struct cp_udp *s);

/* Who has local shares it: COPAL_REUSE_ADDRESS would do beside him. */
bool cp_udp_is_shared(const struct cp_address *local);

/* Hands s to the engine. */
void cp_udp_start(struct cp_udp *s);

/* The engine is gone, or s was not started: closes the port now; s itself goes
 * with the loop's next turn. */
void cp_udp_close(struct cp_udp *s);

/* It has rested: is watched again. */
void cp_udp_go_on(struct cp_udp *s);

/* Nothing more fits: asks to be told when it does. */
void cp_udp_block(struct cp_udp *s);

#endif
