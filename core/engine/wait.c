#include "engine/wait.h"
#include "engine/core.h"

/* From ACK_TIMEOUT, or what CoCoA has in its place, to ACK_RANDOM times it. */
static uint32_t spread(struct cp_engine *e, uint64_t least, uint32_t random)
{
    return (uint32_t)(least +
                      cp_random_below(&e->random,
                                      least * (random - 100) / 100 + 1));
}

void cp_wait_choose(struct cp_flight *f)
{
    struct cp_engine *e = f->engine;
    struct cp_rate *rate = f->peer->rate;
    unsigned lost = 0;

    if (f->is_con && f->estimates && rate != NULL) {
        f->wait = cp_rto_now(&rate->rto, f->wait, e->now);
        f->backoff = cp_rto_backoff(f->wait);
    }
    if (f->is_con || f->is_request)
        f->wait = spread(e, f->wait, f->ack_random);
    if (f->probing_rate > 0 && rate->was_heard &&
        rate->unanswered < f->max_sent)
        lost = rate->unanswered;
    for (; lost > 0 && f->wait < CP_RTO_MOST; lost--)
        f->wait *= 2; /* as if one confirmable had been sent again */
}

void cp_wait_back_off(struct cp_flight *f)
{
    uint64_t next = (uint64_t)f->wait * f->backoff / 10;

    if (f->estimates && next > CP_RTO_MOST)
        next = f->wait > CP_RTO_MOST ? f->wait : CP_RTO_MOST;
    f->wait = next > UINT32_MAX ? UINT32_MAX : (uint32_t)next;
}

void cp_wait_measure(struct cp_flight *f)
{
    struct cp_engine *e = f->engine;
    struct cp_rate *rate;

    if (!f->measures || f->state != CP_OPEN || f->sent > CP_RTO_MOST_SENT)
        return;
    rate = cp_peer_rate(e, f->peer);
    if (rate != NULL) /* else it is as if nobody had looked */
        cp_rto_measure(&rate->rto, e->now - f->sent_at, f->sent,
                       (uint32_t)e->params.value[COPAL_P_ACK_TIMEOUT], e->now);
}
