/* A request to a group and those who answer it: each is an exchange of its own
 * below the asker's, so that its blocks, its observation and its failures are
 * no matter of the others. RFC 7252 8.2, RFC 7959 2.8. */
#ifndef CP_ENGINE_ASK_GROUP_H
#define CP_ENGINE_ASK_GROUP_H

#include "engine/ask.h"

struct cp_group {
    struct cp_ask *ask;
    struct cp_map members; /* struct cp_ask.as_member, by address */
    uint64_t answers;
    uint64_t waited_ms; /* for them, once that time is over */
    bool was_observed;  /* by one member at least */
    bool is_waited;   /* the time for answers is over: ends with its members */
    bool is_extended; /* they have had as long again */
    bool is_walked;   /* the walk's end looks after what its steps end */
};

/* a's way leads to a group: makes it one that hears many. False: it is over, by
 * what a group cannot be asked, or without memory. */
bool cp_ask_group_begin(struct cp_ask *a);

/* How long answers are awaited, unless the user says: LEISURE, and the time in
 * which CoAP expects an answer to be there, ACK_TIMEOUT with its random part.
 * ms. */
uint64_t cp_ask_group_wait(const struct cp_ask *a);

/* That long went by. */
void cp_ask_group_waited(struct cp_ask *a);

/* Who answers from path: an exchange that observes there already, or a new one.
 * NULL: no room for it, or the rest of its answer is yet to come. */
struct cp_ask *cp_ask_group_member(struct cp_ask *a,
                                   const struct cp_path *path);

/* The user goes on after a pause: what the members held for it. */
void cp_ask_group_resume(struct cp_ask *a);

/* Tells the members that are observed that nobody listens any more. */
void cp_ask_group_farewell(struct cp_ask *a);

/* a is over, and so are its members, untold. */
void cp_ask_group_end(struct cp_ask *a);

#endif
