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
    if (t->guard == NULL) /* plain */
        return;
    copal_msg_unref(t->sealed);
    cp_guard_unref(t->guard);
    cp_guard_unref(t->before);
    t->sealed = NULL;
    t->guard = t->before = NULL;
}

void cp_token_on(struct cp_engine *e, struct cp_token *t)
{
    cp_map_put(&e->by_token, &t->node, token_hash(t->bytes));
    t->is_on = true;
}

/* ---- Families ---- */

static uint32_t counter_of(const uint8_t bytes[CP_TOKEN_LEN])
{
    return (uint32_t)cp_bytes_uint(cp_bytes(bytes + 4, 4));
}

static struct cp_token_family *family_of(struct cp_engine *e,
                                         const uint8_t common[4])
{
    uint32_t hash;
    struct cp_map_node *n;

    memcpy(&hash, common, sizeof(hash));
    n = cp_map_first(&e->families, hash);
    return n == NULL ? NULL : cp_container_of(n, struct cp_token_family, node);
}

void cp_token_family_on(struct cp_engine *e, struct cp_token_family *f,
                        copal_exchange *x)
{
    uint32_t hash;

    do
        cp_random_bytes(&e->random, f->common, sizeof(f->common));
    while (family_of(e, f->common) != NULL);
    cp_random_bytes(&e->random, &f->first, sizeof(f->first));
    f->next = f->first;
    f->any.x = x;
    memcpy(&hash, f->common, sizeof(hash));
    cp_map_put(&e->families, &f->node, hash);
    f->is_on = true;
}

void cp_token_family_off(struct cp_engine *e, struct cp_token_family *f)
{
    cp_token_off(e, &f->any);
    if (f->is_on)
        cp_map_remove(&e->families, &f->node);
    f->is_on = false;
}

void cp_token_family_forget(struct cp_token_family *f)
{
    f->first = f->next;
}

void cp_token_renew(struct cp_token *t)
{
    uint32_t n = t->family->next++;

    memcpy(t->bytes, t->family->common, 4);
    for (int i = 0; i < 4; i++)
        t->bytes[4 + i] = (uint8_t)(n >> (24 - 8 * i));
}

static struct cp_token *find_in_family(struct cp_engine *e,
                                       const uint8_t bytes[CP_TOKEN_LEN])
{
    struct cp_token_family *f = family_of(e, bytes);

    if (f == NULL || counter_of(bytes) - f->first >= f->next - f->first)
        return NULL;
    return &f->any;
}

/* n or one behind it. */
static struct cp_token *with_bytes(struct cp_map_node *n, const uint8_t *bytes)
{
    for (; n != NULL; n = cp_map_next(n)) {
        struct cp_token *t = cp_container_of(n, struct cp_token, node);

        if (memcmp(t->bytes, bytes, CP_TOKEN_LEN) == 0)
            return t;
    }
    return NULL;
}

struct cp_token *cp_token_find(struct cp_engine *e, copal_bytes token)
{
    struct cp_token *t;

    if (token.len != CP_TOKEN_LEN)
        return NULL;
    t = with_bytes(cp_map_first(&e->by_token, token_hash(token.data)),
                   token.data);
    if (t == NULL && e->families.count > 0)
        t = find_in_family(e, token.data);
    return t;
}

struct cp_token *cp_token_next(struct cp_token *t)
{
    /* What stands for a family is in no map. */
    return t->is_on ? with_bytes(cp_map_next(&t->node), t->bytes) : NULL;
}
