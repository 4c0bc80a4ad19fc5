/* The engine from inside: what its files share. */
#ifndef CP_ENGINE_CORE_H
#define CP_ENGINE_CORE_H

#include "base/heap.h"
#include "base/list.h"
#include "base/map.h"
#include "base/random.h"
#include "engine/answer_place.h"
#include "engine/block.h"
#include "engine/cache.h"
#include "engine/connection.h"
#include "engine/counts.h"
#include "engine/dedup.h"
#include "engine/engine.h"
#include "engine/event.h"
#include "engine/exchange.h"
#include "engine/fresh.h"
#include "engine/memory.h"
#include "engine/observe.h"
#include "engine/params.h"
#include "engine/guard.h"
#include "engine/qblock.h"
#include "engine/rate.h"
#include "engine/reliable.h"

enum {
    CP_MID_COUNTERS = 4096,
    CP_GROUP_COUNTERS = 64
};

enum cp_in_turn {
    CP_NOT_IN_TURN = 0,
    CP_ENTERED,  /* something is handed in */
    CP_IN_TIMERS /* and now timers fire, events are delivered */
};

struct cp_engine {
    struct cp_mem *mem;
    struct cp_driver *driver;
    copal *owner;
    struct cp_stages stages;
    copal_cb on_request;
    int (*flags_of)(void *user, const copal_msg *request);

    uint64_t now;    /* ms, of this turn */
    uint8_t in_turn; /* enum cp_in_turn */
    bool condemned;  /* copal_free() from a callback: at the turn's end */
    bool ending;     /* cp_engine_free() is at work */
    bool closing;    /* copal_close(): nothing new comes in */

    uint64_t birth;           /* the seed of what was drawn at birth */
    uint32_t serial;          /* the newest exchange's */
    uint16_t links;           /* the newest link's number */
    uint8_t whose;            /* enum cp_whose; kept while there is a record */
    struct cp_record *record; /* the flight recorder; NULL: off */
    struct cp_record *frozen; /* what it held when the end began */

    struct cp_random random;
    struct cp_params params;
    struct cp_heap timers;
    struct cp_events events;
    struct cp_outside *outside; /* the store's writer; NULL: there is none */

    struct cp_list exchanges; /* both roles, also those users still hold */
    size_t exchange_count;    /* live ones */
    struct cp_places places;
    struct cp_list raws;    /* raw messages whose name is looked up */
    struct cp_map by_token; /* struct cp_token: requests of ours */
    struct cp_map families; /* struct cp_token_family */
    struct cp_map by_mid;   /* struct cp_flight */
    struct cp_map
        shared; /* struct cp_observe_share: leaders, by what they observe */
    struct cp_map peers;
    struct cp_rates rates;
    struct cp_connections connections;
    uint16_t mids[CP_MID_COUNTERS];
    uint64_t group_next[CP_GROUP_COUNTERS]; /* us: answer_late.c */
    struct cp_dedup dedup;
    struct cp_observing observing;
    struct cp_bodies bodies;
    struct cp_operations operations;
    struct cp_caching caching;
    struct cp_freshness freshness;
    struct cp_qblocks qblocks;
    struct cp_protection protection;

    uint16_t understood[16]; /* options outside the table: copal_understand */
    size_t understood_count;
    copal_cb on_stray, on_trace;
    bool has_stray;
    unsigned trace; /* COPAL_TRACE_* */
    /* Sees each datagram before it is read, or when it left. fn may be NULL. */
    struct {
        void (*fn)(void *user, const struct cp_path *path, copal_bytes datagram,
                   bool out);
        void *user;
    } tap;
    copal_stats stats;
    struct cp_counts counts;
    struct cp_shortage shortage;
};

/* The parameter that applies to x. */
static inline int64_t cp_exchange_param(const copal_exchange *x, int param)
{
    const struct cp_params *p = &x->engine->params;

    return cp_list_empty(&p->scopes) &&
                   (!x->is_ask || x->request->tuned == NULL)
               ? p->value[param]
               : cp_exchange_narrow_param(x, param);
}

/* A recording may begin when ids have been used: each is noted as if it had been
 * drawn at random. */
uint16_t cp_peer_tapped_mid(struct cp_engine *e, uint16_t *counter);

/* The next message id of a counter. */
static inline uint16_t cp_peer_take_mid(struct cp_engine *e, uint16_t *counter)
{
    return e->random.tap_user != NULL ? cp_peer_tapped_mid(e, counter)
                                      : (*counter)++;
}

/* A call from outside a turn does something now: what is the time? */
void cp_engine_tell_time(struct cp_engine *e);

/* Sends by link, counted and traced. again: a retransmission. */
int cp_engine_send(struct cp_engine *e, struct cp_link *link,
                   const struct cp_path *path, copal_bytes datagram,
                   bool again);

/* A request that can be read. *m is the caller's reference and may be replaced;
 * seen: its place in the dedup store, or NULL. */
void cp_engine_request(struct cp_engine *e, struct cp_link *link, copal_msg **m,
                       struct cp_seen *seen);

/* Work was left from outside a turn: the driver comes round. */
void cp_engine_wake(struct cp_engine *e);

/* cp_msg_check_options() for a message that came: 0, or the critical option
 * that makes it unacceptable. */
unsigned cp_engine_check_options(struct cp_engine *e, copal_msg *m);

/* For cp_msg_check_options(): does the user claim to know the option? */
bool cp_engine_understands(void *engine, unsigned option);

#endif
