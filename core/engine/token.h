/* Tokens of ours, by which answers find the exchange that asked. */
#ifndef CP_ENGINE_TOKEN_H
#define CP_ENGINE_TOKEN_H

#include "engine/reliable.h"

enum {
    CP_TOKEN_LEN = 8
};

struct cp_token_family;

/* A token on the wire and the message that carried it last. */
struct cp_token {
    struct cp_map_node node; /* in e->by_token when is_on */
    struct cp_flight flight;
    copal_exchange *x;
    copal_msg *sent;   /* ref'd: what it carried; NULL: x->request as it is */
    copal_msg *sealed; /* ref'd: the same as it left; NULL: as it is */
    struct cp_token_family *family; /* NULL: like no other */
    struct cp_guard *guard;  /* ref'd: what binds its answers; NULL: plain */
    struct cp_guard *before; /* the same under this token before */
    uint8_t bytes[CP_TOKEN_LEN];
    bool is_on;
    bool confirms; /* carried by CON messages, whatever the request is */
};

/* Tokens of one exchange that differ in a counter only, so that an answer to
 * any of them is known, however many there were: RFC 9177 6. The counter begins
 * anywhere, and who has not seen one guesses 64 bits all the same. */
struct cp_token_family {
    struct cp_map_node node; /* in e->families when is_on */
    struct cp_token any;     /* stands for those without a record */
    uint8_t common[4];
    uint32_t first, next; /* counters of those that answers are taken to */
    bool is_on;
};

/* From now on answers find t by its bytes. */
void cp_token_on(struct cp_engine *e, struct cp_token *t);

/* Nothing answers to it any more; its message is not sent again. */
void cp_token_off(struct cp_engine *e, struct cp_token *t);

/* Begins a family of x's. */
void cp_token_family_on(struct cp_engine *e, struct cp_token_family *f,
                        copal_exchange *x);
void cp_token_family_off(struct cp_engine *e, struct cp_token_family *f);
/* Makes t's bytes the next of its family. */
void cp_token_renew(struct cp_token *t);
/* Nothing answers to those made so far. */
void cp_token_family_forget(struct cp_token_family *f);

/* NULL: not one of ours. The next: of the same bytes, toward another peer, as
 * the members of a group are taken leave of. NULL: there is no other. */
struct cp_token *cp_token_find(struct cp_engine *e, copal_bytes token);
struct cp_token *cp_token_next(struct cp_token *t);

#endif
