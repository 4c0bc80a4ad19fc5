/* Who observes what another exchange of this endpoint observes already is told
 * what that one hears, and registers nothing. RFC 7641 3.1. */
#ifndef CP_ENGINE_OBSERVE_SHARE_H
#define CP_ENGINE_OBSERVE_SHARE_H

#include "base/list.h"
#include "base/map.h"
#include "engine/exchange.h"

struct cp_ask;

/* The part of a request that it has in that. */
struct cp_observe_share {
    struct cp_map_node node; /* in e->shared, if it leads */
    struct cp_list
        followers; /* struct cp_observe_share.place, in their order */
    struct cp_list place;
    struct cp_ask *leader; /* whose registration serves it; NULL: its own */
    bool leads;            /* others that ask for the same follow it */
    bool is_answered;      /* it leads, and told something: a value is known */
};

void cp_observe_share_init(struct cp_observe_share *s);

/* x, which nothing was sent for, observes: finds whom to follow, or leads. True:
 * there is nothing to send, as the leader's first answer is x's, too, or x is
 * over without memory. A follower that comes later asks for its first value by
 * itself, without Observe: so no body is kept for those who may come. */
bool cp_observe_share_join(copal_exchange *x);

/* *m, which a follower sends, registers nothing. A verdict. */
int cp_observe_share_out(copal_msg **m);

/* m came for a: was it the first value of a follower, which is told of it here?
 * Its refusal is a matter of a alone, and ends it as any. */
bool cp_observe_share_answered(struct cp_ask *a, copal_msg *m);

/* The followers of a hear what a heard. What they asked for themselves may be
 * older, and is not waited for any more. */
void cp_observe_share_tell(struct cp_ask *a, copal_msg *m);

/* The user of a leaves: the first follower registers, and leads the others. */
void cp_observe_share_hand_over(struct cp_ask *a);

/* a is over, and so are those that follow it. */
void cp_observe_share_end(struct cp_ask *a, int status, const char *sentence);

/* a turns out to ask a group: it shares nothing, and its followers go on by
 * themselves. */
void cp_observe_share_part(struct cp_ask *a);

#endif
