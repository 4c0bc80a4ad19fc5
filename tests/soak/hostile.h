/* Strangers: datagrams of all kinds from 100,000 addresses of 127.0.0.0/8 and
 * many ports, as fast as the server takes them. */
#ifndef TESTS_SOAK_HOSTILE_H
#define TESTS_SOAK_HOSTILE_H

#include <netinet/in.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

enum {
    HOSTILE_ADDRESSES = 100000,
    HOSTILE_PORTS = 8,
    HOSTILE_BURST = 64
};

struct hostile {
    struct sockaddr_in server;
    uint64_t seed;
    uint64_t most; /* datagrams, at most */
    atomic_bool is_over;
    int fds[HOSTILE_PORTS];
    int probe;
    uint16_t mid;
    atomic_ullong sent, bytes_sent, heard, bytes_heard, unheard_probes;
};

/* False: no sockets; errno says why. */
bool hostile_open(struct hostile *h);
void hostile_close(struct hostile *h);

/* A thread's function: sends until is_over. A burst leaves when the server has
 * answered a ping behind the one before: it always has a queue, and never one
 * that its socket cannot hold. */
void *hostile_run(void *hostile);

#endif
