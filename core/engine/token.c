#include "engine/token.h"
#include "engine/core.h"

static uint64_t token_hash(const uint8_t bytes[CP_TOKEN_LEN])
{
    uint64_t hash; /* they are random: as good as any hash of them */

    memcpy(&hash, bytes, sizeof(hash));
    return hash;
}

void cp_token_off(struct cp_engine *e, struct cp_token *t)
{
    cp_flight_stop(&t->flight);
    if (t->is_on)
        cp_map_remove(&e->by_token, &t->node);
    t->is_on = false;
    copal_msg_unref(t->sent);
    t->sent = NULL;
}

void cp_token_on(struct cp_engine *e, struct cp_token *t)
{
    cp_map_put(&e->by_token, &t->node, token_hash(t->bytes));
    t->is_on = true;
}

struct cp_token *cp_token_find(struct cp_engine *e, copal_bytes token)
{
    struct cp_map_node *n;

    if (token.len != CP_TOKEN_LEN)
        return NULL;
    n = cp_map_first(&e->by_token, token_hash(token.data));
    for (; n != NULL; n = cp_map_next(n)) {
        struct cp_token *t = cp_container_of(n, struct cp_token, node);

        if (memcmp(t->bytes, token.data, CP_TOKEN_LEN) == 0)
            return t;
    }
    return NULL;
}
