/* A user who is not ready for what comes next. */
#include "engine/ask_group.h"
#include "engine/core.h"

int copal_pause(copal_exchange *x)
{
    if (x == NULL)
        return COPAL_EINVAL;
    if (x->over)
        return cp_why(x->mem, COPAL_ESTATE, "pause: the exchange is over");
    x->paused = true;
    if (x->is_ask && cp_ask_of(x)->source.pause != NULL)
        cp_ask_of(x)->source.pause(cp_ask_of(x)->source.user, true);
    return 0;
}

int copal_resume(copal_exchange *x)
{
    struct cp_ask *a;
    copal_msg *held;

    if (x == NULL)
        return COPAL_EINVAL;
    if (x->over)
        return cp_why(x->mem, COPAL_ESTATE, "resume: the exchange is over");
    x->paused = false;
    cp_block_stream_in_delivered(x);
    if (!x->is_ask || x->over)
        return 0;
    a = cp_ask_of(x);
    if (a->source.pause != NULL)
        a->source.pause(a->source.user, false);
    if (a->group != NULL) {
        cp_ask_group_resume(a);
        return 0;
    }
    held = a->held;
    a->held = NULL;
    if (held != NULL && cp_exchange_tell(x, COPAL_RESPONSE, held) == NULL)
        cp_exchange_fail(x, COPAL_ENOMEM, NULL);
    copal_msg_unref(held);
    return 0;
}
