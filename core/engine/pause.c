/* A user who is not ready for what comes next. */
#include "engine/ask_group.h"
#include "engine/core.h"
#include "engine/record.h"

static void pause_source(copal_exchange *x, bool paused)
{
    struct cp_ask *a = x->is_ask ? cp_ask_of(x) : NULL;
    unsigned was;

    if (a == NULL || a->source.pause == NULL)
        return;
    was = cp_record_inner(x->engine);
    a->source.pause(a->source.user, paused);
    cp_record_return(x->engine, was);
}

int copal_pause(copal_exchange *x)
{
    unsigned was;

    if (x == NULL)
        return COPAL_EINVAL;
    if (x->over)
        return cp_why(x->mem, COPAL_ESTATE, "pause: the exchange is over");
    was = cp_record_call(x->engine, CP_RECORD_PAUSE, x->serial, 0);
    x->paused = true;
    pause_source(x, true);
    cp_record_return(x->engine, was);
    return 0;
}

static void resume(copal_exchange *x)
{
    struct cp_ask *a;
    copal_msg *held;

    x->paused = false;
    cp_block_stream_in_delivered(x);
    if (!x->is_ask || x->over)
        return;
    pause_source(x, false);
    a = cp_ask_of(x);
    if (a->group != NULL) {
        cp_ask_group_resume(a);
        return;
    }
    held = a->held;
    a->held = NULL;
    if (held != NULL && cp_exchange_tell(x, COPAL_RESPONSE, held) == NULL)
        cp_exchange_fail(x, COPAL_ENOMEM, NULL);
    copal_msg_unref(held);
}

int copal_resume(copal_exchange *x)
{
    struct cp_engine *e;
    unsigned was;

    if (x == NULL)
        return COPAL_EINVAL;
    if (x->over)
        return cp_why(x->mem, COPAL_ESTATE, "resume: the exchange is over");
    e = x->engine;
    was = cp_record_call(e, CP_RECORD_RESUME, x->serial, 0);
    resume(x);
    cp_record_return(e, was);
    return 0;
}
