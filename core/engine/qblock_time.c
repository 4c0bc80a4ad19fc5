#include "engine/qblock_core.h"

static uint64_t param(copal_exchange *x, int p)
{
    return (uint64_t)cp_exchange_param(x, p);
}

uint64_t cp_qblock_pause(copal_exchange *x)
{
    uint64_t least = param(x, COPAL_P_ACK_TIMEOUT);
    uint64_t spread = least * (param(x, COPAL_P_ACK_RANDOM) - 100) / 100;

    return least + cp_random_below(&x->engine->random, spread + 1);
}

/* Longer than any pause of the peer's by a second. */
uint64_t cp_qblock_patience(copal_exchange *x)
{
    uint64_t timeout = param(x, COPAL_P_ACK_TIMEOUT);
    uint64_t least = timeout * param(x, COPAL_P_ACK_RANDOM) / 100 + 1000;

    return timeout * 2 > least ? timeout * 2 : least;
}

unsigned cp_qblock_max_tries(copal_exchange *x)
{
    return (unsigned)param(x, COPAL_P_MAX_RETRANSMIT);
}
