/* Exchanges seen from the client: a request of ours until its END. */
#ifndef CP_ENGINE_ASK_H
#define CP_ENGINE_ASK_H

#include "engine/cache.h"
#include "engine/driver.h"
#include "engine/exchange.h"
#include "engine/observe_share.h"
#include "engine/token.h"

enum {
    CP_WHY_LEN = 256
};

struct cp_group;
struct cp_outer;
struct cp_qblock_ask;
struct cp_seen;

/* Where the events of an exchange come from that sends nothing itself: a
 * watch. All may be NULL. */
struct cp_ask_source {
    void (*over)(void *user); /* stops it; called once */
    void (*pause)(void *user, bool paused);
    void *user;
};

/* What is to be sent once it can be sealed: engine/guard.h. */
struct cp_sealing {
    struct cp_list node; /* in protection.waiting */
    struct cp_token *slot;
    copal_msg *m; /* ref'd; NULL: nothing waits */
    bool keeps_token;
};

struct cp_ask {
    copal_exchange x;
    copal_cb cb;
    struct cp_route *route;   /* until somebody was heard */
    struct cp_way way;        /* the one in use */
    struct cp_token main;     /* of the request, or of the observation */
    struct cp_token sub;      /* of a transfer beside an observation */
    struct cp_token *slot;    /* what the next transmission uses */
    struct cp_token *came_by; /* what the message being passed up answers */
    struct cp_timer deadline;
    bool routing;    /* route->done is awaited */
    bool user_limit; /* deadline is COPAL_P_TIMEOUT's */
    bool heard;      /* something came back: this way leads there */
    bool is_ping;
    bool is_silent;   /* nobody wants an answer to what is under way */
    bool is_farewell; /* deregisters an observation whose user has left */
    bool keeps_token; /* what is sent next goes under the token before it */
    bool moves;       /* to the association that its peer has by now */
    bool echoed;      /* what is under way repeats a request with an Echo */
    bool wants_observe, is_observed;
    bool is_again;       /* registered once more, and not answered yet */
    bool qblock_off;     /* the peer refused it, or did not answer */
    bool qblock_doubted; /* whether that was why, its next answer tells */
    uint32_t way_index;
    uint32_t observe_number; /* of the newest notification */
    uint64_t observe_at;
    struct cp_observe_share share; /* of one observation with others like it */
    struct cp_cache_use cache;
    copal_msg *held;             /* the newest notification while paused */
    struct cp_ask_source source; /* of what comes from elsewhere */
    struct cp_guard *protection; /* ref'd; NULL: what it sends is plain */
    struct cp_sealing sealing;
    struct cp_outer *outer; /* an answer that comes in blocks: outer.h */
    bool was_forged;        /* an answer came that was not genuine */
    uint8_t rekeyed;        /* so often in a row the peer wanted other keys */
    struct cp_qblock_ask *qblock; /* the qblock stage's; NULL: not offered */
    struct cp_group *group;       /* it asks one, its members answer */
    struct cp_group *member_of; /* it is one's, and what it hears the asker's */
    struct cp_map_node as_member;
    struct cp_event end;
    char why[CP_WHY_LEN]; /* last: all before it is zero at first */
};

static inline struct cp_ask *cp_ask_of(copal_exchange *x)
{
    return cp_container_of(x, struct cp_ask, x);
}

/* Sends m, which is frozen by that. Failures end it. NULL: out of memory; cb
 * was dropped. */
copal_exchange *cp_ask_start(struct cp_engine *e, copal_msg *m, copal_cb cb);

/* The same without sending: its events come from source, if any. */
copal_exchange *cp_ask_open(struct cp_engine *e, copal_msg *m, copal_cb cb);

/* Sends x's request, by the first way that leads to whom it is for. */
void cp_ask_begin(struct cp_ask *a);

/* Nothing of it is under way any more, nor waited for but by the user's limit.
 * It is not over: it may begin anew. */
void cp_ask_stop(struct cp_ask *a);

/* Over: END with status and sentence will be the last event. */
void cp_ask_finish(copal_exchange *x, int status, const char *sentence);

/* Sends m for the observation x, under its token: what x was begun with, but for
 * ETag (RFC 7641 3.3.1). The answer is one more RESPONSE; failing to get one
 * ends x. COPAL_ESTATE: x does not observe (yet, or any more), or m is too long
 * for one message. */
int cp_ask_again(copal_exchange *x, copal_msg *m);

/* It ends after ms, or its group was waited for so long. */
void cp_ask_wait(struct cp_ask *a, uint64_t ms);

/* COPAL_P_TIMEOUT runs from now; the answer it is about is there. */
void cp_ask_limit(struct cp_ask *a);
void cp_ask_limit_met(struct cp_ask *a);

/* An answer came to what t carried: this way leads to somebody. */
void cp_ask_heard(struct cp_ask *a, struct cp_token *t);

/* t, zero, is one more token of a's. */
void cp_ask_token_init(struct cp_ask *a, struct cp_token *t);

/* Sends m, sealed already, under t, whose guard stays and bytes are new. */
int cp_ask_send_as_it_is(struct cp_ask *a, struct cp_token *t, copal_msg *m);

/* Nothing was heard, and the association that it went by is over: it goes by the
 * peer's new one, from its beginning. */
void cp_ask_move(struct cp_ask *a, uint32_t association);

/* Sends the request once more from its beginning, through all stages. */
void cp_ask_restart(copal_exchange *x);

/* A part of the request was not delivered after so many transmissions: tries
 * another way, or ends. */
void cp_ask_lost(struct cp_ask *a, int status, unsigned sent);

/* Without a deadline of the user's, an answer is waited for so long. */
void cp_ask_hope(struct cp_ask *a, uint64_t ms);

/* ---- ask_silent.c ---- */

/* Is a message of ours over once it is acknowledged; a NON once it has left. */
bool cp_ask_wants_nothing(const copal_msg *m);
bool cp_ask_has_left_silently(const struct cp_ask *a);

/* Who is to hear that a NON leaves; NULL: nobody. */
const struct cp_flight_notes *cp_ask_silent_notes(const struct cp_ask *a);

/* ---- ask_hear.c ---- */

/* A response or notification from the wire. *m is the caller's reference, not
 * frozen yet, and may be replaced; seen: its place in the dedup store. */
void cp_ask_hear(struct cp_engine *e, struct cp_link *link, copal_msg **m,
                 struct cp_seen *seen);

/* Above all stages: the user's response. */
void cp_ask_answered(copal_exchange *x, copal_msg *m);

/* The user has paused it and will see m, unless a newer one comes. */
void cp_ask_hold(struct cp_ask *a, copal_msg *m);

/* ---- ask_leave.c ---- */

/* The user of an observation has left; nothing where there is none. */
void cp_ask_farewell(struct cp_ask *a);

#endif
