/* What goes by a secure association ends with it. */
#include "engine/answer_core.h"
#include "engine/ask.h"
#include "engine/core.h"
#include "engine/observe_core.h"
#include "engine/block_partial.h"
#include "engine/peer.h"
#include "engine/record.h"
#include "engine/record_put.h"

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

/* What was not answered goes by the new one, unless the peer might then act upon
 * it a second time: RFC 7252 5.1 has POST alone do harm, RFC 8132 PATCH. */
static bool may_move(const struct cp_ask *a)
{
    uint8_t code = a->x.request->code;

    if (a->heard || a->slot != &a->main)
        return false;
    return a->main.flight.state == CP_QUEUED ||
           (code != COPAL_POST && code != COPAL_PATCH);
}

/* Before the first does, since those behind it would then take its place. */
static void mark_moving(struct cp_engine *e, const struct cp_link *link,
                        const struct cp_address *remote, uint32_t heir)
{
    list_each (node, after, &e->exchanges) {
        copal_exchange *x = cp_container_of(node, copal_exchange, node);

        if (x->is_ask && goes_by(x, link, remote))
            cp_ask_of(x)->moves = heir != 0 && may_move(cp_ask_of(x));
    }
}

bool cp_engine_association_waits(const struct cp_engine *e,
                                 const struct cp_link *link,
                                 const struct cp_path *path)
{
    list_each (node, after, &e->exchanges) {
        copal_exchange *x = cp_container_of(node, copal_exchange, node);

        if (x->is_ask && goes_by(x, link, &path->remote) &&
            may_move(cp_ask_of(x)))
            return true;
    }
    return false;
}

static void note(struct cp_engine *e, const struct cp_link *link,
                 const struct cp_path *path, int status, uint32_t heir)
{
    uint8_t bytes[4];

    cp_record_le32(bytes, heir);
    cp_record_do_lost(e, CP_RECORD_OVER, link, path,
                      cp_bytes(bytes, heir == 0 ? 0 : sizeof(bytes)), status);
}

void cp_engine_association_over(struct cp_engine *e, struct cp_link *link,
                                const struct cp_path *path, int status,
                                uint32_t heir)
{
    const struct cp_address *remote = &path->remote;
    char where[CP_ADDRESS_TEXT];
    copal_exchange *x;
    struct cp_peer *peer;

    if (e->ending)
        return;
    if (CP_RECORD_IS_ON(e))
        note(e, link, path, status, heir);
    cp_address_print(remote, 0, where);
    mark_moving(e, link, remote, heir);
    while ((x = next_of(e, link, remote)) != NULL) {
        if (x->is_ask && cp_ask_of(x)->moves) {
            cp_ask_move(cp_ask_of(x), heir);
            continue;
        }
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
