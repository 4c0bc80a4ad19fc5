#include "engine/rto.h"

enum {
    LONGEST_RTT = 60000, /* ms: beyond, it is no round trip any more */
    SHORT = 1000,        /* ms: below, the RTO counts as short */
    LONG = 3000          /* ms: above, as long */
};

static void smooth(struct cp_rtt *e, uint32_t rtt)
{
    uint32_t apart = e->srtt > rtt ? e->srtt - rtt : rtt - e->srtt;

    if (!e->is_known) {
        *e = (struct cp_rtt){.srtt = rtt, .rttvar = rtt / 2, .is_known = true};
        return;
    }
    e->rttvar = (uint32_t)((3 * (uint64_t)e->rttvar + apart) / 4);
    e->srtt = (uint32_t)((7 * (uint64_t)e->srtt + rtt) / 8);
}

static uint32_t within(uint64_t ms)
{
    return ms < CP_RTO_LEAST  ? CP_RTO_LEAST
           : ms > CP_RTO_MOST ? CP_RTO_MOST
                              : (uint32_t)ms;
}

static void age(struct cp_rto *r, uint64_t now)
{
    for (;;) {
        uint64_t rto = r->rto;
        uint64_t lasts = rto < SHORT  ? 16 * rto
                         : rto > LONG ? 4 * rto
                                      : UINT64_MAX;

        if (now - r->at < lasts)
            return;
        r->at += lasts;
        r->rto = within(rto < SHORT ? 2 * rto : SHORT + rto / 2);
    }
}

void cp_rto_measure(struct cp_rto *r, uint64_t rtt, unsigned sent,
                    uint32_t initial, uint64_t now)
{
    bool is_strong = sent == 1;
    struct cp_rtt *e = is_strong ? &r->strong : &r->weak;
    uint64_t estimate, before = cp_rto_now(r, initial, now);

    smooth(e, (uint32_t)(rtt > LONGEST_RTT ? LONGEST_RTT : rtt) * 1000);
    estimate =
        ((uint64_t)e->srtt + (is_strong ? 4 : 1) * (uint64_t)e->rttvar) / 1000;
    r->rto = within(is_strong ? (estimate + before) / 2
                              : (estimate + 3 * before) / 4);
    r->at = now;
}

uint32_t cp_rto_now(struct cp_rto *r, uint32_t initial, uint64_t now)
{
    if (r->rto == 0)
        return initial;
    age(r, now);
    return r->rto;
}

uint8_t cp_rto_backoff(uint32_t rto)
{
    return rto < SHORT ? 30 : rto > LONG ? 15 : CP_RTO_DOUBLED;
}

uint32_t cp_rto_round_trip(const struct cp_rto *r)
{
    if (!r->strong.is_known)
        return 0;
    return r->strong.srtt < 1000 ? 1 : r->strong.srtt / 1000;
}
