#include "engine/reliable.h"
#include "engine/core.h"
#include "engine/trace.h"
#include "engine/wait.h"

enum {
    MAX_LATENCY = 100000,     /* ms: RFC 7252 4.8.2 */
    MAX_QUEUED_ANSWERS = 128, /* to one peer: twice PEER_OBSERVERS */
    SMALL = 1280 /* bytes: more need not go anywhere in one piece */
};

void cp_flight_init(struct cp_flight *f, struct cp_engine *e,
                    void (*over)(struct cp_flight *f, int status))
{
    f->engine = e;
    f->over = over;
    cp_list_init(&f->place);
}

struct cp_flight *cp_flight_find(struct cp_engine *e, struct cp_link *link,
                                 const struct cp_address *remote, uint16_t mid)
{
    struct cp_map_node *n =
        e->by_mid.count == 0
            ? NULL
            : cp_map_first(&e->by_mid, cp_peer_hash(e, remote) + mid);

    for (; n != NULL; n = cp_map_next(n)) {
        struct cp_flight *f = cp_container_of(n, struct cp_flight, node);

        if (f->mid == mid && f->peer->link == link &&
            cp_address_equal(&f->peer->path.remote, remote))
            return f;
    }
    return cp_observe_flight(e, link, remote, mid);
}

/* Ids are counted, so those of one peer stand side by side. */
static void note_mid(struct cp_flight *f)
{
    cp_map_put(&f->engine->by_mid, &f->node, f->peer->hash + f->mid);
    f->is_noted = true;
}

static void forget_mid(struct cp_flight *f)
{
    if (f->is_noted)
        cp_map_remove(&f->engine->by_mid, &f->node);
    f->is_noted = false;
}

static void on_wait_over(struct cp_timer *t);

static int transmit(struct cp_flight *f)
{
    f->sent++;
    if (f->datagram == NULL || (f->is_limited && f->len > f->allowance))
        return 0; /* as if the network had lost it */
    if (f->is_limited)
        f->allowance -= f->len;
    f->engine->stats.retransmissions += f->sent > 1;
    return cp_engine_send(f->engine, f->peer->link, &f->peer->path,
                          cp_bytes(f->datagram, f->len), f->sent > 1);
}

/* ---- Leaving ---- */

/* A NON notification's place counts among answers only: requests of ours have
 * nothing to do with it. RFC 7641 4.5.1. */
static bool has_place(const struct cp_flight *f)
{
    const struct cp_peer *peer = f->peer;

    return peer->open - (f->is_request ? peer->resting : 0) < f->nstart;
}

static bool may_leave(const struct cp_flight *f)
{
    if (f->is_part)
        return true;
    return has_place(f) &&
           (f->probing_rate == 0 || cp_rate_allows(f->peer->rate, f->max_sent));
}

static bool is_resting(const struct cp_flight *f)
{
    return f->state == CP_HOLDS && !f->is_request;
}

/* ---- Notifications that are not confirmed ---- */

/* There may be very many, and most have nobody behind them, neither another nor
 * a newer state: so nothing happens when they are rested, unless it was asked for.
 * Who asks later finds that they are. Their timer is moved only when it comes
 * too late, for the next will soon be under way. And a Reset for one is rare: it
 * is found by its observer, and not noted by its id. */
static inline bool is_notification(const struct cp_flight *f)
{
    return f->notes != NULL && !f->is_con && !f->is_request;
}

static inline uint64_t rested_at(const struct cp_flight *f)
{
    return f->sent_at + f->wait;
}

static inline bool has_rested(const struct cp_flight *f)
{
    return f->engine->now >= rested_at(f);
}

bool cp_flight_is_rested(const struct cp_flight *f)
{
    return f->state == CP_IDLE || f->state == CP_SENT ||
           (f->state == CP_HOLDS && has_rested(f));
}

static void come_at(struct cp_flight *f, uint64_t at)
{
    if (!cp_timer_is_on(&f->timer) || f->timer.at > at)
        cp_timer_start(&f->engine->timers, &f->timer, at, on_wait_over);
}

void cp_flight_hurry(struct cp_flight *f)
{
    if (f->state == CP_HOLDS && is_notification(f))
        come_at(f, rested_at(f));
}

/* Somebody is to wait for their places. */
static void hurry_all(const struct cp_peer *peer)
{
    if (peer->resting > 0)
        list_each (place, after, &peer->flying)
            cp_flight_hurry(cp_container_of(place, struct cp_flight, place));
}

/* Those that have rested give up their places. While others wait for these, they
 * do so by their timers. */
static void settle(struct cp_peer *peer)
{
    if (peer->resting == 0 || !cp_list_empty(&peer->queue))
        return;
    list_each (place, after, &peer->flying) {
        struct cp_flight *f = cp_container_of(place, struct cp_flight, place);

        if (f->state == CP_HOLDS && is_notification(f) && has_rested(f)) {
            peer->open--;
            peer->resting--;
            f->state = CP_SENT;
        }
    }
}

static void rest(struct cp_flight *f)
{
    bool is_awaited = !f->is_part && !cp_list_empty(&f->peer->queue);

    come_at(f, rested_at(f) + (is_awaited ? 0 : f->quiet));
}

/* ---- The first transmission ---- */

static int launch(struct cp_flight *f)
{
    struct cp_engine *e = f->engine;
    int err;

    cp_wait_choose(f);
    f->sent_at = e->now;
    if (f->probing_rate > 0)
        cp_rate_probed(f->peer->rate, f->len, f->probing_rate);
    err = transmit(f);
    f->state = f->is_con ? CP_OPEN : f->is_part ? CP_SENT : CP_HOLDS;
    cp_list_append(&f->peer->flying, &f->place);
    if (!f->is_part) {
        f->peer->open++;
        f->peer->resting += is_resting(f);
    }
    if (is_notification(f)) {
        rest(f);
        return err;
    }
    note_mid(f);
    if (!f->is_part)
        cp_timer_start(&e->timers, &f->timer, e->now + f->wait, on_wait_over);
    return err;
}

static void forget_copy(struct cp_flight *f)
{
    cp_free(f->engine->mem, f->datagram);
    f->datagram = NULL;
}

/* A NON is not sent again, and what may change on its way is made anew each
 * time: of those none is kept. */
static bool keeps_copy(const struct cp_flight *f)
{
    return f->is_con && (f->notes == NULL || f->is_request);
}

static int launch_copy(struct cp_flight *f)
{
    int err = launch(f);

    if (!keeps_copy(f))
        forget_copy(f);
    return err;
}

/* Whoever made room may be amid a walk over what a failure would end: that is
 * told by the flight's own timer, in this turn. */
static void launch_late(struct cp_flight *f)
{
    if (f->notes != NULL)
        f->notes->leaving(f);
    f->peer->queued--;
    cp_list_remove(&f->place);
    f->error = launch_copy(f);
    if (f->error != 0)
        cp_timer_start(&f->engine->timers, &f->timer, f->engine->now,
                       on_wait_over);
}

/* In their order, but those that may not probe hold nobody up. */
void cp_flight_launch_next(struct cp_peer *peer)
{
    bool waits = false;

    list_each (place, after, &peer->queue) {
        struct cp_flight *f = cp_container_of(place, struct cp_flight, place);

        if (peer->open - peer->resting >= f->nstart)
            break;
        if (may_leave(f))
            launch_late(f);
        else if (has_place(f))
            waits = true;
    }
    if (waits)
        cp_rate_wait(peer->rate, &peer->waits);
}

static void give_up_place(struct cp_flight *f)
{
    if (f->state != CP_OPEN && f->state != CP_HOLDS)
        return;
    f->peer->open--;
    f->peer->resting -= is_resting(f);
    f->state = CP_SENT;
    cp_flight_launch_next(f->peer);
}

/* Nothing is under way any more, but it still is its peer's. */
static void land(struct cp_flight *f)
{
    if (!is_notification(f))
        cp_timer_stop(&f->engine->timers, &f->timer);
    give_up_place(f);
    if (f->state == CP_QUEUED)
        f->peer->queued--;
    f->state = CP_SENT;
    cp_list_remove(&f->place);
    forget_mid(f);
    forget_copy(f);
}

void cp_flight_stop(struct cp_flight *f)
{
    struct cp_peer *peer = f->peer;

    if (f->state == CP_IDLE)
        return;
    land(f);
    cp_timer_stop(&f->engine->timers, &f->timer);
    f->state = CP_IDLE;
    f->peer = NULL;
    cp_peer_put(f->engine, peer);
}

void cp_flight_finish(struct cp_flight *f, int status)
{
    cp_flight_stop(f);
    f->over(f, status);
}

static struct cp_flight *first_answer(const struct cp_peer *peer)
{
    list_each (place, after, &peer->queue) {
        struct cp_flight *f = cp_container_of(place, struct cp_flight, place);

        if (!f->is_request)
            return f;
    }
    return NULL;
}

/* Who does not acknowledge this will not acknowledge what waits behind it: the
 * answers queued to a peer go together, or a flood of requests from a forged
 * address would hold them for a round of retransmissions each. Requests of ours
 * are somebody's here, and get their own chance. */
static void give_up_on(struct cp_flight *f)
{
    struct cp_engine *e = f->engine;
    struct cp_peer *peer = f->peer;
    struct cp_flight *behind;

    peer->users++; /* stays while its flights end */
    while ((behind = first_answer(peer)) != NULL)
        cp_flight_finish(behind, COPAL_ETIMEOUT);
    if (f->state != CP_IDLE)
        cp_flight_finish(f, COPAL_ETIMEOUT);
    cp_peer_put(e, peer);
}

static void send_again(struct cp_flight *f)
{
    struct cp_engine *e = f->engine;

    if (f->notes != NULL)
        f->notes->leaving(f);
    cp_wait_back_off(f);
    transmit(f);
    if (!keeps_copy(f))
        forget_copy(f);
    cp_timer_start(&e->timers, &f->timer, e->now + f->wait, on_wait_over);
}

/* Or too early: the timer was one's that it followed. */
static void on_rest_over(struct cp_flight *f)
{
    uint64_t rested = rested_at(f), quiet = rested + f->quiet;
    uint64_t now = f->engine->now;

    if (now < rested) {
        come_at(f, rested);
        return;
    }
    give_up_place(f);
    if (now < quiet)
        come_at(f, quiet);
    f->notes->rested(f, now >= quiet);
}

/* RFC 7252 4.2: sends again until the count is reached, then one more wait for
 * the last one's answer. */
static void on_wait_over(struct cp_timer *t)
{
    struct cp_flight *f = cp_container_of(t, struct cp_flight, timer);

    if (f->error != 0) {
        cp_flight_finish(f, f->error);
    } else if (is_notification(f)) {
        on_rest_over(f);
    } else if (f->state == CP_HOLDS || f->state == CP_SENT) {
        give_up_place(f);
    } else if (f->sent >= f->max_sent) {
        give_up_on(f);
    } else {
        send_again(f);
    }
}

struct cp_flight_plan cp_flight_plan_for(const struct cp_engine *e,
                                         const copal_msg *m, const char *uri)
{
    const struct cp_params *p = &e->params;
    bool estimates = cp_params_get(p, m, uri, COPAL_P_CONGESTION) != 0;

    return (struct cp_flight_plan){
        .ignores_icmp = cp_params_get(p, m, uri, COPAL_P_IGNORE_ICMP) != 0,
        .estimates = estimates,
        .measures = estimates,
        .ack_timeout = (uint32_t)cp_params_get(p, m, uri, COPAL_P_ACK_TIMEOUT),
        .ack_random = (uint32_t)cp_params_get(p, m, uri, COPAL_P_ACK_RANDOM),
        .max_retransmit =
            (uint32_t)cp_params_get(p, m, uri, COPAL_P_MAX_RETRANSMIT),
        .nstart = (uint32_t)cp_params_get(p, m, uri, COPAL_P_NSTART),
        .probing_rate = m->is_multicast ? 0
                                        : (uint32_t)cp_params_get(
                                              p, m, uri, COPAL_P_PROBING_RATE),
    };
}

static int encode(struct cp_flight *f, copal_bytes token, uint16_t mid,
                  const copal_msg *m)
{
    size_t size = cp_datagram_size(m, token);
    uint8_t *datagram = cp_alloc(f->engine->mem, size);
    struct cp_buf out;
    int err;

    if (datagram == NULL)
        return COPAL_ENOMEM;
    out = cp_buf_fixed(datagram, size);
    err = cp_datagram_encode(m, f->is_con ? CP_CON : CP_NON, mid, token, &out);
    if (err != 0) {
        cp_free(f->engine->mem, datagram);
        return err;
    }
    cp_free(f->engine->mem, f->datagram);
    f->datagram = datagram;
    f->len = (uint32_t)out.len;
    return 0;
}

int cp_flight_renew(struct cp_flight *f, const copal_msg *m, copal_bytes token,
                    bool is_new)
{
    uint16_t mid = is_new && f->sent > 0
                       ? cp_peer_take_mid(f->engine, f->peer->next_mid)
                       : f->mid;
    int err = encode(f, token, mid, m);

    if (err != 0 || mid == f->mid)
        return err;
    forget_mid(f);
    f->mid = mid;
    note_mid(f);
    f->sent_at = f->engine->now;
    return 0;
}

static void begin(struct cp_flight *f, const struct cp_flight_plan *plan)
{
    f->is_con = plan->is_con;
    f->is_request = plan->is_request;
    f->ignores_icmp = plan->ignores_icmp;
    f->estimates = plan->estimates;
    f->measures = plan->measures;
    f->is_part = plan->is_part && !plan->is_con;
    f->is_limited = plan->is_limited;
    f->allowance = plan->allowance;
    f->probing_rate = plan->is_request && !plan->is_con && !plan->is_part
                          ? plan->probing_rate
                          : 0;
    f->nstart = (uint16_t)plan->nstart;
    f->ack_random = (uint16_t)plan->ack_random;
    f->wait = plan->ack_timeout;
    f->quiet = plan->quiet;
    f->backoff = CP_RTO_DOUBLED;
    f->sent = 0;
    f->error = 0;
    f->max_sent = (uint8_t)(plan->max_retransmit + 1);
    f->state = CP_SENT; /* or as good as that, should it not leave */
    f->mid = cp_peer_take_mid(f->engine, f->peer->next_mid);
}

/* Who waits for a place is not overtaken: where NSTART differs, as by URIs,
 * those of the smallest would wait for ever. */
static bool is_held_up(const struct cp_flight *f)
{
    const struct cp_peer *peer = f->peer;
    const struct cp_list *first = cp_list_first(&peer->queue);

    return first != NULL &&
           peer->open - peer->resting >=
               cp_container_of(first, const struct cp_flight, place)->nstart;
}

/* What is small and not kept needs no memory of its own. */
static int leave(struct cp_flight *f, copal_bytes token, const copal_msg *m)
{
    uint8_t small[SMALL];
    struct cp_buf out = cp_buf_fixed(small, sizeof(small));
    int err;

    if (keeps_copy(f) || cp_datagram_size(m, token) > sizeof(small)) {
        err = encode(f, token, f->mid, m);
        return err != 0 ? err : launch_copy(f);
    }
    err =
        cp_datagram_encode(m, f->is_con ? CP_CON : CP_NON, f->mid, token, &out);
    if (err != 0)
        return err;
    f->datagram = small;
    f->len = (uint32_t)out.len;
    err = launch(f);
    f->datagram = NULL;
    return err;
}

static int wait_in_queue(struct cp_flight *f, copal_bytes token,
                         const copal_msg *m)
{
    int err = encode(f, token, f->mid, m);

    if (err != 0)
        return err;
    f->state = CP_QUEUED;
    cp_timer_stop(&f->engine->timers, &f->timer);
    if (cp_list_empty(&f->peer->queue))
        hurry_all(f->peer);
    cp_list_append(&f->peer->queue, &f->place);
    f->peer->queued++;
    if (f->probing_rate > 0 && has_place(f))
        cp_rate_wait(f->peer->rate, &f->peer->waits);
    return 0;
}

/* Leaves at once, or waits in its peer's queue. */
static int take_off(struct cp_flight *f, copal_bytes token, const copal_msg *m)
{
    if (f->probing_rate > 0 && cp_peer_rate(f->engine, f->peer) == NULL)
        return COPAL_ENOMEM;
    if (!f->is_request && !has_place(f))
        settle(f->peer);
    if (f->is_part || (may_leave(f) && !is_held_up(f)))
        return leave(f, token, m);
    return wait_in_queue(f, token, m);
}

/* What goes where the one before went stays that peer's: it is not let go of and
 * looked up anew, for each observer at each change. NULL: as cp_peer_get(). */
static struct cp_peer *peer_for(struct cp_flight *f,
                                const struct cp_flight_plan *plan)
{
    if (f->peer == NULL || (plan->path != NULL &&
                            !cp_peer_is_at(f->peer, plan->link, plan->path))) {
        cp_flight_stop(f);
        return cp_peer_get(f->engine, plan->link, plan->path);
    }
    land(f);
    return f->peer;
}

int cp_flight_start(struct cp_flight *f, const struct cp_flight_plan *plan,
                    const copal_msg *m)
{
    struct cp_engine *e = f->engine;
    int err;

    f->peer = peer_for(f, plan);
    if (f->peer == NULL)
        return e->peers.count < (size_t)e->params.value[COPAL_P_MAX_PEERS]
                   ? COPAL_ENOMEM
                   : COPAL_ELIMIT;
    if (!plan->is_request && f->peer->queued >= MAX_QUEUED_ANSWERS) {
        cp_engine_limited(e, "queued_answers");
        f->state = CP_SENT;
        cp_flight_stop(f);
        return COPAL_ELIMIT;
    }
    begin(f, plan);
    err = take_off(f, plan->token, m);
    if (err != 0)
        cp_flight_stop(f);
    else if (!plan->is_request)
        cp_counts_response(&e->counts, plan->code != 0 ? plan->code : m->code);
    return err;
}

void cp_flight_fail_all(struct cp_engine *e, struct cp_peer *peer, int status)
{
    peer->users++; /* stays while its flights end */
    for (;;) {
        struct cp_list *first = cp_list_first(&peer->queue);

        if (first == NULL) /* last: each would let the next of the queue go */
            first = cp_list_first(&peer->flying);
        if (first == NULL)
            break;
        cp_flight_finish(cp_container_of(first, struct cp_flight, place),
                         status);
    }
    cp_peer_put(e, peer);
}

void cp_reliable_empty(struct cp_engine *e, struct cp_link *link,
                       const struct cp_path *path, uint8_t type, uint16_t mid,
                       struct cp_seen *seen)
{
    uint8_t bytes[4] = {(uint8_t)(0x40 | type << 4), COPAL_EMPTY,
                        (uint8_t)(mid >> 8), (uint8_t)mid};
    copal_bytes datagram = cp_bytes(bytes, sizeof(bytes));

    if (path->is_multicast) /* RFC 7252 8.1: no ACK, no RST to a group's */
        return;
    cp_engine_send(e, link, path, datagram, false);
    if (seen != NULL)
        cp_dedup_keep(&e->dedup, seen, datagram);
}

static uint64_t max_transmit_span(struct cp_engine *e)
{
    const int64_t *p = e->params.value;

    return (uint64_t)p[COPAL_P_ACK_TIMEOUT] *
           ((UINT64_C(1) << p[COPAL_P_MAX_RETRANSMIT]) - 1) *
           (uint64_t)p[COPAL_P_ACK_RANDOM] / 100;
}

uint64_t cp_reliable_lifetime(struct cp_engine *e)
{
    return max_transmit_span(e) + 2 * MAX_LATENCY +
           (uint64_t)e->params.value[COPAL_P_ACK_TIMEOUT];
}

uint64_t cp_reliable_non_lifetime(struct cp_engine *e)
{
    return max_transmit_span(e) + MAX_LATENCY;
}

uint64_t cp_reliable_max_wait(struct cp_engine *e)
{
    const int64_t *p = e->params.value;

    return (uint64_t)p[COPAL_P_ACK_TIMEOUT] *
           ((UINT64_C(2) << p[COPAL_P_MAX_RETRANSMIT]) - 1) *
           (uint64_t)p[COPAL_P_ACK_RANDOM] / 100;
}
