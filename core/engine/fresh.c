#include "engine/fresh_guard.h"

enum {
    /* How many addresses are remembered as proven, some 90 bytes each: who is
     * pushed out proves himself again. */
    MAX_PROVEN = 32768,
    /* Servers whose Echo values wait for the next request, at most 150 bytes
     * each, and for how long: a value tells the server who comes back (RFC 9175
     * 6), and hardly any is good for longer. */
    MAX_HEARD = 256,
    HEARD_FOR_MS = 60000
};

copal_msg *cp_fresh_with(const copal_msg *m, copal_bytes value)
{
    copal_msg *copy = cp_msg_derive(m);

    if (copy == NULL)
        return NULL;
    cp_msg_remove(copy, COPAL_OPT_ECHO);
    if (cp_msg_add(copy, COPAL_OPT_ECHO, value) != 0) {
        copal_msg_unref(copy);
        return NULL;
    }
    return copy;
}

static int in(copal_exchange *x, copal_msg **m)
{
    if (x->is_ask)
        return cp_fresh_ask_in(x, *m);
    if (cp_fresh_option(*m) != NULL)
        cp_fresh_request(x, *m);
    return CP_PASS;
}

static int out(copal_exchange *x, copal_msg **m)
{
    return x->is_ask ? cp_fresh_ask_out(x, m) : CP_PASS;
}

const struct cp_stage cp_fresh = {.name = "fresh", .in = in, .out = out};

void cp_fresh_init(struct cp_engine *e)
{
    cp_random_bytes(&e->random, e->freshness.key, sizeof(e->freshness.key));
    cp_known_init(&e->freshness.proven, e, "proven", MAX_PROVEN,
                  CP_PROVEN_FOR_MS);
    cp_known_init(&e->freshness.heard, e, "echo_values", MAX_HEARD,
                  HEARD_FOR_MS);
}

void cp_fresh_clear(struct cp_engine *e)
{
    cp_known_clear(&e->freshness.proven);
    cp_known_clear(&e->freshness.heard);
    cp_wipe(e->freshness.key, sizeof(e->freshness.key));
}
