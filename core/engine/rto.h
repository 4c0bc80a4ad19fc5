/* How long to wait for an acknowledgement, estimated from those that came:
 * CoCoA, the advanced congestion control of draft-ietf-core-cocoa, which RFC
 * 7252 4.7 leaves room for. Pure arithmetic.
 *
 * Two estimators, each as RFC 6298 2 has it (SRTT, RTTVAR, gains 1/8 and 1/4):
 *   strong  round trips of messages sent once; its estimate E is
 *           SRTT + 4 RTTVAR, and RTO := 1/2 E + 1/2 RTO
 *   weak    round trips of messages sent two or three times, measured from the
 *           first transmission, since nobody knows which one was answered; E is
 *           SRTT + 1 RTTVAR, and RTO := 1/4 E + 3/4 RTO
 * RTO is ACK_TIMEOUT before the first. A longer series says nothing.
 *
 * Back-off: a short RTO grows faster, or all transmissions would be over before
 * a congested path has calmed down, and a long one slower: the next wait is 3
 * times the last for RTO < 1 s, 1.5 times for RTO > 3 s, else twice it.
 *
 * Ageing, for what was measured long ago may hold no more: an RTO below 1 s
 * doubles for each 16 RTO without a measure; one above 3 s becomes 1 s + RTO/2
 * for each 4 RTO.
 *
 * The least RTO is above what a server may take until it acknowledges without
 * an answer (SEPARATE_AFTER); the longest wait keeps a whole series within
 * EXCHANGE_LIFETIME. */
#ifndef CP_ENGINE_RTO_H
#define CP_ENGINE_RTO_H

#include <stdbool.h>
#include <stdint.h>

enum {
    CP_RTO_LEAST = 300,   /* ms */
    CP_RTO_MOST = 32000,  /* ms, also of a wait grown by the back-off */
    CP_RTO_MOST_SENT = 3, /* transmissions that still give a measure */
    CP_RTO_DOUBLED = 20   /* a back-off without estimates, in tenths */
};

struct cp_rtt {
    uint32_t srtt, rttvar; /* us */
    bool is_known;
};

/* All zero: nothing was measured. */
struct cp_rto {
    struct cp_rtt strong, weak;
    uint32_t rto; /* ms; 0: nothing was measured */
    uint64_t at;  /* ms: of the last measure, or since when rto is aged */
};

/* A message sent so many times (1 to CP_RTO_MOST_SENT) was acknowledged rtt ms
 * after its first transmission. initial: ACK_TIMEOUT, ms. */
void cp_rto_measure(struct cp_rto *r, uint64_t rtt, unsigned sent,
                    uint32_t initial, uint64_t now);

/* For a transmission that begins now, ms; initial where nothing is known. */
uint32_t cp_rto_now(struct cp_rto *r, uint32_t initial, uint64_t now);

/* By which each wait of it is longer than the one before, in tenths. */
uint8_t cp_rto_backoff(uint32_t rto);

/* The smoothed round trip, ms, at least 1; 0: unknown. Weak measures do not
 * count. */
uint32_t cp_rto_round_trip(const struct cp_rto *r);

#endif
