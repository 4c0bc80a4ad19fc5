/* Who may not be there: datagrams from made up addresses, and what a server
 * sends there, as its trace tells. Their server has GUARD_LOOPBACK on. */
#ifndef TESTS_SIM_STRANGERS_H
#define TESTS_SIM_STRANGERS_H

#include "bodies.h"

enum {
    FREE_BYTES = 136,  /* RFC 9175 2.4 */
    CON_CYCLE = 100000 /* ms: more than MAX_TRANSMIT_WAIT */
};

/* As build_bodies(), guarded and without a transcript. */
int build_guarded(void **state);

/* A datagram still to be sent. */
struct bytes {
    uint8_t data[1500];
    size_t len;
};
/* "CON PUT coap://server/x 1:0/1/16" with that message id, the same as token,
 * and size bytes of body. */
struct bytes datagram_of(struct world *w, const char *text, unsigned mid,
                         size_t size);

/* Address i of 2^24; those that differ in i / 256 share nothing. */
const char *stranger(unsigned i);
void send_as(struct world *w, const char *from, const struct bytes *d);

/* d from strangers from to to-1, a turn for each 64. */
void flood(struct world *w, unsigned from, unsigned to, const struct bytes *d);

/* Counters of the server. */
copal_stats stats_of(copal *c);

/* How often its trace named each limit. */
struct limits {
    char name[16][24];
    unsigned hits[16];
};
struct limits *count_limits(copal *c);
unsigned hits_of(const struct limits *l, const char *name);

#endif
