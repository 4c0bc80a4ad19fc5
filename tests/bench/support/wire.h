/* One socket that sends from any address of 127.0.0.0/8, by the batch. */
#ifndef BENCH_WIRE_H
#define BENCH_WIRE_H

#include <netinet/in.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>

enum {
    WIRE_BATCH = 64,
    WIRE_ROOM = 2048
};

struct wire {
    int fd;
    struct sockaddr_in server;
    struct mmsghdr out[WIRE_BATCH], in[WIRE_BATCH];
    struct iovec out_part[WIRE_BATCH], in_part[WIRE_BATCH];
    _Alignas(struct cmsghdr)
        uint8_t control[WIRE_BATCH][CMSG_SPACE(sizeof(struct in_pktinfo))];
    uint8_t out_data[WIRE_BATCH][WIRE_ROOM], in_data[WIRE_BATCH][WIRE_ROOM];
    unsigned out_count;
};

void wire_open(struct wire *w, uint16_t port);

/* Room for a datagram from the client of that number, to be filled at once;
 * leaves with the batch. */
uint8_t *wire_put(struct wire *w, uint32_t client, size_t len);
void wire_flush(struct wire *w);

/* How many came, into in and in_data; waits up to 20 ms for the first. */
unsigned wire_receive(struct wire *w);

uint64_t wire_now(void); /* ns */

#endif
