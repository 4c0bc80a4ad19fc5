/* A message on its way by datagram: message id, retransmission, NSTART,
 * PROBING_RATE. RFC 7252 4.2, 4.3, 4.7. */
#ifndef CP_ENGINE_RELIABLE_H
#define CP_ENGINE_RELIABLE_H

#include "base/heap.h"
#include "engine/peer.h"
#include "wire/datagram.h"

enum cp_flight_state {
    CP_IDLE,   /* nothing of it is left                       */
    CP_QUEUED, /* waits for a place among NSTART, or to probe  */
    CP_OPEN,   /* CON: sent, not acknowledged                  */
    CP_HOLDS,  /* NON: sent, still counts for NSTART           */
    CP_SENT    /* NON: sent; only a RST could still concern it */
};

struct cp_flight;

/* What the owner of a message that may change on its way wants to know. */
struct cp_flight_notes {
    /* It is about to leave after it waited, or to be sent again: this is when
     * cp_flight_renew() may be called, and nothing else of a flight. */
    void (*leaving)(struct cp_flight *f);
    /* Of a NON that is no request: the next may be sent, which was asked for
     * (cp_flight_hurry()), or nothing newer was sent for its quiet: is_over. */
    void (*rested)(struct cp_flight *f, bool is_over);
};

struct cp_flight {
    struct cp_map_node node; /* in e->by_mid, by address and id: is_noted */
    struct cp_timer timer;   /* of one that rests: then, or before */
    struct cp_list place;    /* in peer->queue or peer->flying */
    struct cp_engine *engine;
    struct cp_peer *peer; /* NULL when idle */
    uint8_t *datagram;    /* sent again as it is */
    uint32_t len;
    uint32_t wait;    /* ms until the next transmission; NON: of its place */
    uint32_t quiet;   /* NON: ms after that, for notes->rested */
    uint64_t sent_at; /* first with this id */
    uint32_t probing_rate; /* bytes/s of a NON request; 0: is none */
    uint16_t mid;
    uint16_t nstart, ack_random;
    uint8_t state; /* enum cp_flight_state */
    bool is_con;
    bool is_noted;
    bool is_request;   /* else an answer: not while others wait behind it */
    bool ignores_icmp; /* the network's word is no verdict */
    bool estimates;    /* waits by what was measured: CoCoA */
    bool measures;     /* its round trip is to be known */
    bool is_part;
    bool is_limited;    /* it is sent again only as long as */
    uint32_t allowance; /* bytes are left of these */
    uint8_t backoff;    /* each wait to the one before, in tenths */
    uint8_t sent;       /* transmissions so far */
    uint8_t max_sent;
    int error; /* of the first transmission, still to be told */

    const struct cp_flight_notes *notes; /* NULL: none wanted */

    /* CON: 0 once acknowledged, else COPAL_ERESET, ETIMEOUT or what the
     * network said. NON: only the latter two kinds. Idle again by then. */
    void (*over)(struct cp_flight *f, int status);
};

struct cp_seen;

struct cp_flight_plan {
    struct cp_link *link;
    const struct cp_path *path; /* NULL: where the one before went */
    copal_bytes token;
    uint8_t code; /* of an answer, before it was sealed; 0: the message's */
    bool is_con, is_request, ignores_icmp;
    bool estimates, measures;
    bool is_part; /* NON: leaves at once and takes no place, for the body that
                   * it is a part of keeps limits of its own (RFC 9177 7.2) */
    bool is_limited;                  /* and to be no more in all than */
    uint32_t allowance;               /* bytes; then it waits, unsent */
    uint32_t ack_timeout, ack_random; /* ms, percent */
    uint32_t quiet;                   /* ms: as of the flight */
    uint32_t max_retransmit, nstart;
    uint32_t probing_rate; /* bytes/s; 0: no NON request, or to a group */
};

/* The plan for m, with the narrowest parameters that apply to it: its own, or
 * those of the scope under which uri falls, or the endpoint's (uri may be
 * NULL). Where it goes, its token and its kind are the caller's to fill in. */
struct cp_flight_plan cp_flight_plan_for(const struct cp_engine *e,
                                         const copal_msg *m, const char *uri);

/* f's memory is the caller's and zeroed before first use. */
void cp_flight_init(struct cp_flight *f, struct cp_engine *e,
                    void (*over)(struct cp_flight *f, int status));

/* Sends m, or queues it. COPAL_ENOMEM, COPAL_ELIMIT (too many peers), or that
 * of the link (too large for a datagram). */
int cp_flight_start(struct cp_flight *f, const struct cp_flight_plan *plan,
                    const copal_msg *m);

/* Ends it without a word, at any time; gives its place to the next. */
void cp_flight_stop(struct cp_flight *f);

/* From notes->leaving: m goes instead, with what remains of the transmissions
 * and their waits; under a new message id where one was used already and is_new
 * says that m is another message. COPAL_ENOMEM: it goes as it was. RFC 7641
 * 4.5.2. */
int cp_flight_renew(struct cp_flight *f, const copal_msg *m, copal_bytes token,
                    bool is_new);

/* Of who has notes, and no request: may the next be sent, which ends it? */
bool cp_flight_is_rested(const struct cp_flight *f);

/* Then notes->rested is to be called, and not only when its quiet is over. */
void cp_flight_hurry(struct cp_flight *f);

/* Those of peer's queue leave that may: a place became free, or it was heard. */
void cp_flight_launch_next(struct cp_peer *peer);

/* The flight to remote with that id, or NULL. */
struct cp_flight *cp_flight_find(struct cp_engine *e, struct cp_link *link,
                                 const struct cp_address *remote, uint16_t mid);

/* It was acknowledged, rejected, or found undeliverable: stops, tells. */
void cp_flight_finish(struct cp_flight *f, int status);

/* Everything on its way or queued to a peer fails with status; used where the
 * network does not quote what it could not deliver. */
void cp_flight_fail_all(struct cp_engine *e, struct cp_peer *peer, int status);

/* An empty ACK or RST for a message from path->remote; seen: where it is kept
 * for repeats, or NULL. RFC 7252 4.2. */
void cp_reliable_empty(struct cp_engine *e, struct cp_link *link,
                       const struct cp_path *path, uint8_t type, uint16_t mid,
                       struct cp_seen *seen);

/* RFC 7252 4.8.2, from an endpoint's parameters; ms. */
uint64_t cp_reliable_lifetime(struct cp_engine *e);
uint64_t cp_reliable_non_lifetime(struct cp_engine *e);
uint64_t cp_reliable_max_wait(struct cp_engine *e);

#endif
