/* Tokens of ours, by which answers find the exchange that asked. */
#ifndef CP_ENGINE_TOKEN_H
#define CP_ENGINE_TOKEN_H

#include "engine/reliable.h"

enum {
    CP_TOKEN_LEN = 8
};

/* A token on the wire and the message that carried it last. */
struct cp_token {
    struct cp_map_node node; /* in e->by_token when is_on */
    struct cp_flight flight;
    copal_exchange *x;
    copal_msg *sent; /* ref'd: what it carried; NULL: x->request as it is */
    uint8_t bytes[CP_TOKEN_LEN];
    bool is_on;
};

/* From now on answers find t by its bytes. */
void cp_token_on(struct cp_engine *e, struct cp_token *t);

/* Nothing answers to it any more; its message is not sent again. */
void cp_token_off(struct cp_engine *e, struct cp_token *t);

/* NULL: not one of ours. */
struct cp_token *cp_token_find(struct cp_engine *e, copal_bytes token);

#endif
