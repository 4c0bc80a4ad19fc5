/* An observation registers once more. */
#include "engine/ask.h"
#include "engine/core.h"
#include "engine/transfer.h"

/* A body in blocks would need a token for each, and those that the server has
 * of the observation is one. */
static bool fits_one_message(const copal_exchange *x, const copal_msg *m)
{
    return cp_transfer_fits(x, m) && (m->flags & COPAL_STREAM_OUT) == 0;
}

int cp_ask_again(copal_exchange *x, copal_msg *m)
{
    struct cp_ask *a = cp_ask_of(x);
    copal_msg *going;
    int verdict;

    if (!x->is_ask || x->over || !a->is_observed || !fits_one_message(x, m))
        return COPAL_ESTATE;
    cp_engine_tell_time(x->engine);
    m->frozen = true;
    going = copal_msg_ref(m);
    a->slot = &a->main;
    a->is_again = true;
    verdict = cp_pass_out(x->engine->stages, x, &going);
    a->keeps_token = true;
    if (verdict == CP_PASS)
        verdict = cp_ask_send(x, going);
    a->keeps_token = false;
    copal_msg_unref(going);
    if (verdict < 0)
        a->is_again = false;
    else
        cp_ask_limit(a);
    return verdict < 0 ? verdict : 0;
}
