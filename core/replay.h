/* A recording run again: an endpoint on a driver that has no network, which is
 * given what the recording holds and asked for what is in it to be sent.
 *
 *   copal_replay.c   the file, its head and sum
 *   replay_walk.c    the walk through its records
 *   replay_hear.c    what comes in from outside
 *   replay_tell.c    what is told of it
 *   replay_world.c   the driver and its links: what the engine asks for
 *   replay_user.c    the user: which callback it is, what he holds
 *   replay_call.c    the calls that he made
 *   replay_check.c   is what is sent what was sent?
 *   replay_past.c    what began before the recording did */
#ifndef CP_REPLAY_H
#define CP_REPLAY_H

#include "endpoint.h"
#include "engine/record.h"
#include "engine/record_take.h"

enum {
    CP_REPLAY_SENTENCE = 700
};

struct cp_replay {
    struct cp_driver driver;
    struct cp_mem *mem;
    copal *c;
    copal_cb user;

    struct cp_cursor records; /* still to come */
    uint64_t number;          /* how many were taken */
    uint64_t clock;
    bool is_bare;       /* payloads were left out */
    bool is_late;       /* it begins amid things */
    uint32_t lives;     /* CP_START_*: what was there then */
    bool is_begun;      /* a START was there */
    bool is_keyed;      /* by OSCORE or EDHOC, with keys that are not here */
    bool is_over;       /* nothing counts any more */
    uint64_t turned_at; /* number of the record before the last turn's end */

    struct cp_list links;  /* struct link, of replay_world.c */
    struct cp_list routes; /* struct cp_route: looked up */
    struct cp_map
        exchanges; /* struct cp_replay_known, of replay_user.c, by number */
    struct cp_map timers; /* likewise */
    struct cp_map talks;  /* of replay_past.c */
    struct cp_replay_talk *newest;
    uint64_t sent, untold; /* datagrams alike; of before */

    int status;
    char why[CP_REPLAY_SENTENCE];
};

/* ---- replay_tell.c ---- */

/* It ends here, with a sentence; only the first counts. Where keys were in use
 * that are not here it is COPAL_ENOTSUP, and says so. */
void cp_replay_differs(struct cp_replay *r, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
void cp_replay_malformed(struct cp_replay *r, const char *what);
void cp_replay_damaged(struct cp_replay *r, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

/* A line of trace of the replay's own. */
void cp_replay_note(struct cp_replay *r, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

/* ---- replay_walk.c ---- */

/* All of it. */
void cp_replay_walk(struct cp_replay *r);

/* The next record, NULL: there is none, or it is over. Taking it. */
bool cp_replay_peek(struct cp_replay *r, struct cp_record_head *out);
bool cp_replay_take(struct cp_replay *r, struct cp_record_head *out);

/* The next one stands where the engine asked for nothing of the kind: whatever
 * has to be done with it is. */
void cp_replay_leftover(struct cp_replay *r);

/* ---- copal_replay.c ---- */

/* As copal_replay(), of a recording in memory, but that cb is not dropped.
 * check_sum false: one that was made to be wrong is run, too. */
int cp_replay_bytes(copal_bytes recording, bool check_sum, copal_cb cb);

/* ---- replay_hear.c ---- */

/* An IN, LOST or OVER; a record of a connection's. */
void cp_replay_hear(struct cp_replay *r, const struct cp_record_head *h);
void cp_replay_hear_stream(struct cp_replay *r, const struct cp_record_head *h);

/* ---- replay_world.c ---- */

void cp_replay_world_init(struct cp_replay *r);
void cp_replay_world_clear(struct cp_replay *r);

/* The link of that way. NULL: out of memory, or another by that number. */
struct cp_link *cp_replay_link(struct cp_replay *r,
                               const struct cp_record_way *way);
/* Who is at the end of that connection, by what it proved. False: no memory. */
bool cp_replay_name(struct cp_link *link, copal_bytes identity);
const char *cp_replay_named(const struct cp_link *link);
/* What came of looking up a name. */
void cp_replay_routed(struct cp_replay *r, copal_bytes body);

/* ---- replay_user.c ---- */

/* An exchange or a timer under its recorded number. */
struct cp_replay_known {
    struct cp_map_node node;
    uint64_t id;
    copal_exchange *x; /* ref'd; NULL: abandoned */
    int64_t timer;     /* its id now */
};

void cp_replay_user_init(struct cp_replay *r);
void cp_replay_user_clear(struct cp_replay *r);

/* By its recorded number, in r->exchanges or r->timers. */
struct cp_replay_known *cp_replay_find(const struct cp_map *map, uint64_t id);
/* x is ref'd. */
void cp_replay_remember(struct cp_replay *r, struct cp_map *map, uint64_t id,
                        copal_exchange *x, int64_t timer);

/* A callback of an exchange or timer; 0: of whichever comes. is_heard false:
 * there was none. */
copal_cb cp_replay_hook(struct cp_replay *r, bool is_heard, uint64_t id);

/* Calls that come next and were made by a drop or a line of trace. */
void cp_replay_nested(struct cp_replay *r);

/* Nobody holds that exchange any more. */
void cp_replay_abandon(struct cp_replay *r, const struct cp_record_head *h);

/* The calls up to the end of a callback whose CALLBACK was taken. */
void cp_replay_callback(struct cp_replay *r);

/* ---- replay_call.c ---- */

static inline bool cp_replay_is_call(const struct cp_record_head *h)
{
    unsigned type = h->type & ~(unsigned)CP_RECORD_NESTED;

    return type >= CP_RECORD_REQUEST && type <= CP_RECORD_DISCONNECT;
}

/* Makes the call; the record is taken. */
void cp_replay_call(struct cp_replay *r, const struct cp_record_head *h);

/* The user is asked for a key. */
void cp_replay_look_up(struct cp_replay *r, const struct cp_record_head *h);

/* ---- replay_check.c ---- */

/* The engine sends this. */
void cp_replay_sends(struct cp_replay *r, struct cp_link *link,
                     const struct cp_path *path, copal_bytes datagram);

/* By a connection; what the link said of it then. */
int cp_replay_streams(struct cp_replay *r, const struct cp_link *link,
                      copal_bytes bytes);

/* The next datagram from ahead on that was sent again amid the work that goes on.
 * False: there is none. */
bool cp_replay_sent_again(struct cp_replay *r, struct cp_cursor *ahead,
                          struct cp_record_way *way, copal_bytes *datagram);

/* h, an OUT, was sent then, and is not now. */
void cp_replay_unsent(struct cp_replay *r, const struct cp_record_head *h);

/* ---- replay_past.c ---- */

void cp_replay_past_init(struct cp_replay *r);
void cp_replay_past_clear(struct cp_replay *r);

/* Something was owed to that address when it began, or it had been asked. Family
 * 0: whoever it is. */
void cp_replay_past_owed(struct cp_replay *r, const struct cp_address *remote);

/* A ROUTE or ROUTED that nobody looks for now: to whom it leads is asked by what
 * began before. */
void cp_replay_past_route(struct cp_replay *r, copal_bytes body);

/* What went by that association goes by its heir; 0: there is none. */
void cp_replay_past_moved(struct cp_replay *r, const struct cp_address *remote,
                          uint32_t heir);

/* A datagram is about to be heard; or was recorded as sent, or as sent again. */
void cp_replay_past_note(struct cp_replay *r, const struct cp_path *path,
                         copal_bytes datagram, bool out, bool again);

/* What came last, or is asked for anew (request, which may be NULL), began
 * before: the user was not asked then. */
void cp_replay_past_unasked(struct cp_replay *r, const copal_msg *request);

/* Does that datagram belong to what began before the recording did? */
bool cp_replay_past_has(struct cp_replay *r, const struct cp_path *path,
                        copal_bytes datagram);

#endif
