/* What goes by a secure association ends with it. */
#include "engine/answer_core.h"
#include "engine/ask.h"
#include "engine/core.h"
#include "engine/observe_core.h"
#include "engine/block_partial.h"
#include "engine/peer.h"
#include "engine/record.h"

static bool goes_by(copal_exchange *x, const struct cp_link *link,
                    const struct cp_address *remote)
{
    struct cp_answer *a;

    if (x->over)
        return false;
    if (x->is_ask)
        return cp_ask_of(x)->way.link == link &&
               cp_address_equal(&cp_ask_of(x)->way.path.remote, remote);
    a = cp_answer_of(x);
    return a->link == link &&
           cp_address_equal(&x->request->path.remote, remote);
}

/* NULL: none is left. */
static copal_exchange *next_of(const struct cp_engine *e,
                               const struct cp_link *link,
                               const struct cp_address *remote)
{
    list_each (node, after, &e->exchanges) {
        copal_exchange *x = cp_container_of(node, copal_exchange, node);

        if (goes_by(x, link, remote))
            return x;
    }
    return NULL;
}

void cp_engine_association_over(struct cp_engine *e, struct cp_link *link,
                                const struct cp_path *path, int status)
{
    const struct cp_address *remote = &path->remote;
    char where[CP_ADDRESS_TEXT];
    copal_exchange *x;
    struct cp_peer *peer;

    if (e->ending)
        return;
    if (CP_RECORD_IS_ON(e))
        cp_record_do_lost(e, CP_RECORD_OVER, link, path, (copal_bytes){0},
                          status);
    cp_address_print(remote, 0, where);
    while ((x = next_of(e, link, remote)) != NULL) {
        cp_exchange_hold(x);
        cp_exchange_fail(x, status,
                         x->is_ask ? "%s: the secure association with %s ended "
                                     "before the answer came; try again"
                                   : "%s: the secure association with %s ended",
                         copal_msg_uri(x->request), where);
        if (x->is_ask)
            cp_ask_of(x)->way.link = NULL;
        else
            cp_answer_of(x)->link = NULL;
        cp_exchange_let_go(x);
    }
    peer = cp_peer_find(e, link, path);
    if (peer != NULL)
        cp_flight_fail_all(e, peer, status);
    cp_observer_link_gone(e, link, remote);
    cp_block_partial_link_gone(e, link, remote);
}
