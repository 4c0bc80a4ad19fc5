/* How fast a remote endpoint may be sent to, as far as that depends on what it
 * did before: its round trips, and whether it answers. Kept for a while after
 * we owe it nothing any more; RFC 7252 4.7.
 *
 * PROBING_RATE limits non-confirmable requests of ours to an endpoint that does
 * not respond: one that was not heard since the last of them and
 *   - was never heard while this is kept, or
 *   - did not answer so many in a row as a confirmable message is transmitted.
 * The next one then waits until all those since it was heard would have left at
 * PROBING_RATE, so that one is out at a time. Whatever comes from it ends that.
 * Confirmable messages are limited by their back-off instead. Notifications
 * have limits of their own (RFC 7641 4.5.1), and who gets them was heard. */
#ifndef CP_ENGINE_RATE_H
#define CP_ENGINE_RATE_H

#include "base/address.h"
#include "base/heap.h"
#include "base/list.h"
#include "base/map.h"
#include "engine/link.h"
#include "engine/rto.h"

struct cp_engine;

struct cp_rate {
    struct cp_map_node node; /* in rates.map, by link and address */
    struct cp_list place;    /* in rates.idle while no peer uses it */
    struct cp_list waiting;  /* peers whose requests may not go yet */
    struct cp_timer timer;   /* one may; or: forgotten */
    struct cp_engine *engine;
    struct cp_link *link;
    struct cp_address remote;
    struct cp_rto rto;
    uint64_t paid_at;    /* ms: all probes would have left by then */
    uint32_t users;      /* peers that have it */
    uint32_t unanswered; /* probes since it was heard */
    bool was_heard;
};

struct cp_rates {
    struct cp_map map;   /* at most MAX_PEERS */
    struct cp_list idle; /* the longest first: they give way */
    size_t silent;       /* of those in map, with probes unanswered */
};

void cp_rates_init(struct cp_engine *e);
void cp_rates_clear(struct cp_engine *e);

/* One user more. NULL: nothing is known; with is_new: out of memory. */
struct cp_rate *cp_rate_get(struct cp_engine *e, struct cp_link *link,
                            const struct cp_address *remote, bool is_new);
void cp_rate_put(struct cp_rate *r);

/* May a request go that would be given up after so many transmissions? */
bool cp_rate_allows(const struct cp_rate *r, unsigned transmissions);

/* A request of so many bytes goes. */
void cp_rate_probed(struct cp_rate *r, size_t bytes, uint32_t per_second);

/* Once one may go, cp_flight_launch_next() is told of place's peer. */
void cp_rate_wait(struct cp_rate *r, struct cp_list *place);

/* Something came by link from remote. */
void cp_rate_heard(struct cp_engine *e, struct cp_link *link,
                   const struct cp_address *remote);

#endif
