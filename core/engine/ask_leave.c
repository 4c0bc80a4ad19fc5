/* The user does not wait for the answer. */
#include "engine/ask_group.h"
#include "engine/core.h"
#include "engine/record.h"
#include "engine/transfer.h"

/* RFC 7641 3.6: a GET with Observe 1 under the observation's token. Nobody is
 * told how it ends; were it lost, a Reset to the next notification would do. The
 * token is what tells a server whom it means, 4.1: a body that takes an upload
 * does not come again. */
static void say_farewell(struct cp_ask *left)
{
    struct cp_engine *e = left->x.engine;
    copal_msg *m = copal_msg_copy(left->x.request);
    copal_exchange *x;
    struct cp_ask *a;

    if (m == NULL)
        return;
    cp_msg_remove(m, COPAL_OPT_OBSERVE);
    if (!cp_transfer_fits(&left->x, m))
        copal_msg_set_payload(m, COPAL_NO_FORMAT, (copal_bytes){0});
    m->flags &= ~(uint32_t)(COPAL_STREAM_IN | COPAL_NON);
    x = cp_msg_add_uint(m, COPAL_OPT_OBSERVE, 1) == 0
            ? cp_ask_open(e, m, (copal_cb){0})
            : NULL;
    if (x != NULL) {
        a = cp_ask_of(x);
        a->is_farewell = true;
        a->keeps_token = true;
        a->heard = true;
        a->way = left->way;
        memcpy(a->main.bytes, left->main.bytes, CP_TOKEN_LEN);
        if (cp_ask_send(x, m) != 0)
            cp_ask_finish(x, COPAL_EIO, "");
    }
    copal_msg_unref(m);
}

/* m is a piece of a body, and others follow. */
static bool is_amid_upload(const copal_msg *m)
{
    struct cp_block b;

    return m != NULL &&
           (cp_msg_has(m, COPAL_OPT_Q_BLOCK1) ||
            (cp_transfer_read_block(m, COPAL_OPT_BLOCK1, &b) > 0 && b.more));
}

/* Its registration is on its way to a server that is there. Amid an upload the
 * server knows of nothing yet; with the last block it has all of it. */
static bool may_be_registered(const struct cp_ask *a)
{
    return a->wants_observe && a->heard && a->share.leader == NULL &&
           a->main.is_on && a->main.flight.state != CP_QUEUED &&
           !is_amid_upload(a->main.sent);
}

void cp_ask_farewell(struct cp_ask *a)
{
    bool was_observed = a->is_observed || may_be_registered(a);

    a->is_observed = false;
    cp_flight_stop(&a->main.flight);
    if (!was_observed || a->x.engine->ending)
        return;
    cp_token_off(a->x.engine, &a->main);
    say_farewell(a);
}

static int cancel(copal_exchange *x)
{
    struct cp_ask *a;

    if (!x->is_ask || x->over || x->engine == NULL)
        return cp_why(x->mem, COPAL_ESTATE, "cancel: %s",
                      x->is_ask ? "the exchange is over already"
                                : "a request to be answered is not ours to "
                                  "cancel; reply to it");
    a = cp_ask_of(x);
    cp_engine_tell_time(x->engine);
    cp_event_forget(x->engine, x);
    if (a->group != NULL)
        cp_ask_group_farewell(a);
    else
        cp_ask_farewell(a);
    cp_observe_share_hand_over(a);
    cp_ask_finish(x, COPAL_ECANCEL, "cancelled here");
    return 0;
}

int copal_cancel(copal_exchange *x)
{
    struct cp_engine *e;
    unsigned was;
    int err;

    if (x == NULL)
        return COPAL_EINVAL;
    if (x->engine == NULL)
        return cancel(x);
    e = x->engine;
    was = cp_record_call(e, CP_RECORD_CANCEL, x->serial, 0);
    err = cancel(x);
    cp_record_return(e, was);
    return err;
}
