/* Many datagrams with one system call where the system can: recvmmsg() and
 * sendmmsg() on Linux, one by one elsewhere. */
#ifndef CP_NET_BATCH_H
#define CP_NET_BATCH_H

#include <netinet/in.h>
#include <netinet/udp.h>
#include <stdbool.h>
#include <sys/socket.h>

enum {
    CP_BATCH = 64, /* as many as the system cuts, too */
#ifdef UDP_SEGMENT
    CP_CUT = UDP_SEGMENT /* of IPPROTO_UDP: bytes of each, 16 bits */
#else
    CP_CUT = 0
#endif
};

#ifdef __linux__
#define cp_datagram_slot mmsghdr
#else
struct cp_datagram_slot {
    struct msghdr msg_hdr;
    unsigned msg_len;
};
#endif

/* Does the system cut what goes to one peer into datagrams of one size, given
 * that size as control data (CP_CUT)? It takes the way down once then, and not for
 * each. */
bool cp_batch_can_cut(int fd);

/* How many slots were filled or sent, at least 1; or a negative errno when
 * that happened to the first. The socket is non-blocking: -EAGAIN says that
 * nothing is there, or that nothing more fits. Never -EINTR. */
int cp_batch_receive(int fd, struct cp_datagram_slot *slots, unsigned count);
int cp_batch_send(int fd, struct cp_datagram_slot *slots, unsigned count);

#endif
