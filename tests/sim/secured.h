/* What the tests of OSCORE share: a client and a server with a context in common
 * and stores that survive both, and who listens on the way between them. */
#ifndef TESTS_SIM_SECURED_H
#define TESTS_SIM_SECURED_H

#include "support.h"

/* What an application keeps for copal_store(): it outlives its endpoint. */
struct memory_store {
    struct kept {
        char path[64];
        uint8_t value[256];
        size_t len;
    } kept[8];
    int puts;
    bool fails;           /* what is to be put is refused */
    copal_exchange *late; /* holds: what is to be put is not answered yet */
    bool holds;
};

enum {
    MAX_HEARD = 512,
    MAX_DATAGRAM = 1500
};

/* Datagrams that an endpoint sent or was sent. */
struct wire_tap {
    struct heard {
        uint8_t bytes[MAX_DATAGRAM];
        size_t len;
        bool out;
    } heard[MAX_HEARD];
    size_t count;
};

extern struct memory_store client_store, server_store;

/* Fixtures: as build(), with stores and a context for coap://server and "*". */
int build_secured(void **state);
int tear_down_secured(void **state);

/* Gives c a store, empty as it was left. */
void keep_in(copal *c, struct memory_store *s);
/* The same where memory may run out. */
void keep_in_if_possible(copal *c, struct memory_store *s);
void let_go_on(struct memory_store *s); /* answers what it holds */

/* The two ends of one context; number: which of several. */
copal_oscore client_end(int number);
copal_oscore server_end(int number);
int protect(copal *c, const char *scope, copal_oscore context);

/* c, crashed and started anew, with its store and context. */
copal *restart_client(struct world *w);
copal *restart_server(struct world *w);

/* Listens to what c sends and is sent, from now on. */
void listen_to(copal *c, struct wire_tap *t);

/* The Partial IV in a datagram; false: it has none. context: the sender's kid,
 * where it says one. */
bool partial_iv(const struct heard *d, uint64_t *out);

/* Nothing that was heard has text in it. */
bool shows(const struct wire_tap *t, const char *text);

#endif
