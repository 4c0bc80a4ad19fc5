/* Observe, RFC 7641: the stage of both roles, and the observers of our
 * resources as small records. */
#ifndef CP_ENGINE_OBSERVE_H
#define CP_ENGINE_OBSERVE_H

#include "engine/answer.h"
#include "base/index.h"
#include "base/list.h"
#include "base/map.h"
#include "engine/link.h"
#include "engine/stage.h"

extern const struct cp_stage cp_observe;

/* Who observes our resources. */
struct cp_observing {
    struct cp_cells cells;     /* of struct cp_observer */
    struct cp_index observers; /* these, by the peer's address: of one there are
                                * no more than PEER_OBSERVERS */
    struct cp_map homes;       /* struct cp_home */
    struct cp_map interests; /* struct cp_interest, by handler and cache key */
    struct cp_map topics;    /* the same, by handler and path */
    struct cp_list unproven; /* of deliveries: nobody has shown to be there */
    size_t unproven_count;
    struct cp_list stale;   /* of topics: their handlers are to be asked */
    struct cp_list telling; /* of interests: their observers are to be told */
    struct cp_list rested;  /* of deliveries: what waited may be sent */
    unsigned budget;        /* steps left in this turn */
    unsigned heard;         /* notifications acknowledged since the last */
    uint32_t awaited[2]; /* not acknowledged yet, of those that were sent in */
    uint64_t period;     /* this period and the one before: [period & 1] */
    uint64_t resume_at;  /* ms: a link was blocked; 0: none was */
};

void cp_observing_init(struct cp_engine *e);
void cp_observing_clear(struct cp_engine *e);

/* Once a turn, before events are delivered: goes on with what was left. */
void cp_observe_turn(struct cp_engine *e);

/* When there is more to do, ms; UINT64_MAX: nothing is left. */
uint64_t cp_observe_deadline(const struct cp_engine *e);

/* The representation that h gives at path changed (copal_notify()). Returns
 * how many observers will be told. path as copal_msg_path() gives it. */
int cp_observe_notify(struct cp_engine *e, struct cp_handler *h,
                      const char *path);

/* The notification to remote with that id, if it is not confirmable, or NULL.
 * It may wait yet. */
struct cp_flight *cp_observe_flight(struct cp_engine *e, struct cp_link *link,
                                    const struct cp_address *remote,
                                    uint16_t mid);

/* h serves no more: its observers get a last answer with code. NULL: so do all
 * observers there are. */
void cp_observe_end(struct cp_engine *e, struct cp_handler *h, int code);

#endif
