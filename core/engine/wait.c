#include "engine/wait.h"
#include "engine/core.h"

enum {
    UNKNOWN_ROUND_TRIP = 3000 /* ms */
};

/* From ACK_TIMEOUT, or what CoCoA has in its place, to ACK_RANDOM times it. */
static uint32_t spread(struct cp_engine *e, uint64_t least, uint32_t random)
{
    return (uint32_t)(least +
                      cp_random_below(&e->random,
                                      least * (random - 100) / 100 + 1));
}

/* Each one lost doubles it, as if one confirmable had been sent again. */
static uint32_t of_request(const struct cp_flight *f)
{
    const struct cp_rate *rate = f->peer->rate;
    uint32_t wait = spread(f->engine, f->wait, f->ack_random);
    unsigned lost = 0;

    if (f->probing_rate > 0 && rate->was_heard &&
        rate->unanswered < f->max_sent)
        lost = rate->unanswered;
    for (; lost > 0 && wait < CP_RTO_MOST; lost--)
        wait *= 2;
    return wait;
}

uint32_t cp_wait_round_trip(const struct cp_flight *f)
{
    const struct cp_rate *rate = f->peer == NULL ? NULL : f->peer->rate;

    return rate == NULL ? 0 : cp_rto_round_trip(&rate->rto);
}

/* RFC 7641 4.5.1: a round trip, or 3 seconds where it is unknown. */
static uint32_t of_notification(const struct cp_flight *f)
{
    uint32_t round_trip = cp_wait_round_trip(f);

    return round_trip > 0 ? round_trip : UNKNOWN_ROUND_TRIP;
}

void cp_wait_choose(struct cp_flight *f)
{
    struct cp_engine *e = f->engine;
    struct cp_rate *rate = f->peer->rate;

    if (f->is_con && f->estimates && rate != NULL) {
        f->wait = cp_rto_now(&rate->rto, f->wait, e->now);
        f->backoff = cp_rto_backoff(f->wait);
    }
    if (f->is_con)
        f->wait = spread(e, f->wait, f->ack_random);
    else
        f->wait = f->is_request ? of_request(f) : of_notification(f);
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
