/* How much goes to an address at which nobody has shown to be: a source
 * address is easily forged, and what is sent there hits somebody else. RFC 7252
 * 11.3, RFC 9175 2.4 item 3.
 *
 * Until then an answer has at most CP_FRESH_FREE bytes or ECHO_FACTOR times its
 * request, whichever is more, and is not sent again. A longer body goes in
 * blocks that are small enough, the first with an Echo: who sends that back is
 * there, who does not gets the rest in small blocks. An answer that no cutting
 * makes small enough becomes 4.01 with an Echo, and is asked for once more; but
 * what may have changed something must not be done twice, so that other methods
 * than GET and FETCH are told the code alone.
 *
 * The answer to a registration and the notification after it are together no
 * more than that: until the first is acknowledged, which is confirmable, nothing
 * else follows, and it is sent again as long as bytes are left. Whoever
 * acknowledged none for MAX_TRANSMIT_WAIT observes no more.
 *
 * An address is proven, for CP_PROVEN_FOR_MS, by a request that brings back an
 * Echo of ours, and by the ACK to a confirmable answer or notification of ours
 * (16 bits of message id: one wrong guess meanwhile, and it proves nothing).
 * Links other than UDP prove their addresses themselves. */
#ifndef CP_ENGINE_FRESH_GUARD_H
#define CP_ENGINE_FRESH_GUARD_H

#include "engine/answer_core.h"
#include "engine/core.h"
#include "wire/uri.h"

struct cp_observer;

enum {
    CP_FRESH_FREE = 136,       /* bytes of CoAP: RFC 9175 2.4 item 3 */
    CP_FRESH_TOO_LONG = 1,     /* a verdict: see cp_fresh_instead() */
    CP_PROVEN_FOR_MS = 600000, /* longer than a request may be repeated */
    CP_ECHO_LEN = 8
};

/* Does what comes by link from remote have to be proven? Not on loopback,
 * unless GUARD_LOOPBACK; the simulator's hosts count as that. */
static inline bool cp_fresh_guards(const struct cp_engine *e,
                                   const struct cp_link *link,
                                   const struct cp_address *remote)
{
    const int64_t *p = e->params.value;

    return p[COPAL_P_ECHO_FACTOR] != 0 && link->scheme == CP_COAP &&
           (p[COPAL_P_GUARD_LOOPBACK] != 0 ||
            !(link->is_simulated || cp_address_is_loopback(remote)));
}

/* Nobody has shown to be there; false where it needs no proof. */
bool cp_fresh_doubts(struct cp_engine *e, const struct cp_link *link,
                     const struct cp_address *remote);

/* A request on its way in: an Echo of ours proves its source. */
void cp_fresh_request(copal_exchange *x, const copal_msg *m);

/* An ACK for f came. */
void cp_fresh_acked(struct cp_engine *e, const struct cp_flight *f);

/* An ACK or RST came that nothing waits for: it may have been a guess. */
void cp_fresh_missed(struct cp_engine *e, struct cp_link *link,
                     const struct cp_path *path);

/* ---- Answers ---- */

/* Notes in a in how large blocks m may go at most, and whether with an Echo.
 * m's payload is whole, or to be pulled from the user. */
void cp_fresh_limit_blocks(struct cp_answer *a, const copal_msg *m);

/* May a datagram of size bytes go where a was asked from? For those beyond
 * CP_FRESH_FREE. */
bool cp_fresh_allows(const struct cp_answer *a, size_t size);

/* May an answer of size bytes go to remote once more, for a repeat of its request
 * that has so many? By message id and token anything passes for a repeat, also
 * what is much shorter than the request was. */
bool cp_fresh_allows_again(struct cp_engine *e, const struct cp_link *link,
                           const struct cp_address *remote, size_t size,
                           size_t request);

/* May an answer that goes separately be sent again until it is acknowledged? */
bool cp_fresh_may_repeat(const struct cp_answer *a);

/* Is m to bring an Echo that was not asked for? */
static inline bool cp_fresh_wants_echo(const struct cp_answer *a,
                                       const copal_msg *m)
{
    return a->gives_echo || m->code == COPAL_CONTINUE;
}

/* A copy of m with an Echo; m itself, ref'd, where it has one already or none
 * is needed. NULL: out of memory. */
copal_msg *cp_fresh_echoing(const struct cp_answer *a, copal_msg *m);

/* 4.01 with an Echo: who asks is to show first to be there. NULL: out of
 * memory. */
copal_msg *cp_fresh_demand(const struct cp_answer *a);

/* What goes in place of m, which is too long. NULL: out of memory. */
copal_msg *cp_fresh_instead(const struct cp_answer *a, const copal_msg *m);

/* ---- Notifications ---- */

/* a's request registers o: what may be sent to it is divided, so that a
 * notification can follow the answer. */
void cp_fresh_begin_observer(struct cp_answer *a, struct cp_observer *o);

/* The answer m to a registration left: what it did not need is its observer's. */
void cp_fresh_registered(struct cp_answer *a, const copal_msg *m);

/* The block in which whole goes to an unproven observer with that token, to whom
 * room bytes may be sent, at most. */
uint16_t cp_fresh_notification_block(const copal_msg *whole, copal_bytes token,
                                     uint32_t room);

#endif
