/* Whom we ask by EDHOC, one by one: what edhoc_client.c, which asks, and
 * edhoc_way.c, which seals, have in common. */
#ifndef CP_SECURE_EDHOC_KEYING_H
#define CP_SECURE_EDHOC_KEYING_H

#include "secure/edhoc_hub.h"

enum cp_keying_state {
    CP_KEYING_IDLE,    /* nothing was asked yet, or a request failed by it */
    CP_KEYING_ASKS,    /* message 1 or 3 is under way, or about to be */
    CP_KEYING_KEYED,   /* there is a context */
    CP_KEYING_CLEARED, /* the endpoint ends */
};

/* One host, and what protects requests to it. Requests hold on to it. */
struct cp_keying {
    struct cp_guard guard;
    struct cp_edhoc_hub *hub; /* NULL: the endpoint has ended */
    struct cp_mem *mem;
    struct cp_list node;          /* in hub->keyings */
    struct cp_edhoc_scope *scope; /* ref'd */
    char *base, *host;
    uint8_t state;
    bool is_alone;  /* message 3 is on its way with a request: others wait */
    bool is_proven; /* the context was good for an answer */
    bool asks_3;    /* message 3 is under way, not 1 */
    uint8_t tries;
    size_t selected; /* of the scope's suites */
    struct cp_timer timer;
    struct cp_edhoc_work work;
    copal_exchange *x;        /* under way; ref'd */
    struct cp_buf message_3;  /* to go along with a request; empty: none is */
    struct cp_guard *context; /* ref'd; NULL: none */
};

static inline struct cp_keying *cp_keying_of(const struct cp_guard *g)
{
    return cp_container_of((struct cp_guard *)g, struct cp_keying, guard);
}

/* The oldest that nobody needs makes room. NULL: out of memory. */
struct cp_keying *cp_keying_new(struct cp_edhoc_hub *hub,
                                struct cp_edhoc_scope *scope, const char *base,
                                const char *host);

/* A guard's free. */
void cp_keying_free(struct cp_guard *g);

/* Asks for keys, soon: who waits is amid sending. */
void cp_keying_begin(struct cp_keying *k);

/* Nothing is under way any more. */
void cp_keying_stop(struct cp_keying *k);

void cp_keying_drop_context(struct cp_keying *k);

#endif
