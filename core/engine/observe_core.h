/* Observers of our resources from inside: for the files of the observe stage
 * (observe*.c, observer.c, interest.c). */
#ifndef CP_ENGINE_OBSERVE_CORE_H
#define CP_ENGINE_OBSERVE_CORE_H

#include "engine/answer_core.h"
#include "engine/ask.h"
#include "engine/observe.h"

/* Content-Formats are 16 bits; beyond them is what none has. */
enum {
    CP_NO_FORMAT = 65536,
    CP_UNKNOWN_FORMAT
};

struct cp_telling;

/* What a handler gives at one path, whatever the query: what copal_notify()
 * names. */
struct cp_topic {
    struct cp_map_node node; /* in topics, by handler and path */
    struct cp_list work;     /* in observing.stale while stale has some */
    struct cp_handler *handler;
    struct cp_list interests, stale; /* stale: to be asked for */
    size_t observers;
    char path[];
};

/* Observers who may share one representation: the same handler, cache key and
 * identity. */
struct cp_interest {
    struct cp_map_node node; /* in interests */
    struct cp_list place;    /* in topic->interests or ->stale */
    struct cp_list work;     /* in observing.telling while untold has some */
    struct cp_topic *topic;
    struct cp_engine *engine;
    struct cp_handler *handler;
    copal_msg *request; /* what the handler is asked */
    uint64_t number;    /* of the newest state: its 24 lowest bits go out */
    struct cp_row observers; /* first those that are yet to hear of telling */
    uint32_t told;           /* the first of the others; 0: there are none */
    struct cp_telling *telling; /* NULL: all know what there is */
    bool asking;                /* the handler owes an answer */
    bool dirty;                 /* it changed again meanwhile */
    bool ended;                 /* its handler serves no more */
};

static inline bool cp_interest_is_told(const struct cp_interest *i)
{
    return i->observers.first == i->told;
}

/* From where those who came by one link to one address of ours are told. */
struct cp_home {
    struct cp_map_node node; /* in homes */
    struct cp_link *link;
    struct cp_address local;
    uint32_t if_index;
    uint32_t users; /* observers */
    uint8_t hops;
};

struct cp_late;
struct cp_observer;

/* What is on its way to an observer, as long as anything is, or while nobody has
 * shown to be there: most of the time most have none. */
struct cp_delivery {
    struct cp_observer *observer;
    struct cp_list unproven; /* in observing.unproven while it is_unproven */
    struct cp_list rested;   /* in observing.rested while next may go */
    struct cp_flight flight;
    copal_msg *state; /* under way, as long as it may be sent again */
    copal_msg *next;  /* the newest state, while an older one is under way */
    uint64_t state_at, next_at; /* ms: when the handler gave it */
    uint64_t period;            /* when it was sent; 0: not awaited */
    struct cp_late *late;       /* what it is told when its leisure is over */
    uint32_t room; /* bytes that may be sent while it is unproven */
};

enum {
    CP_OBSERVER_TOKEN = 8
};

/* There may be a hundred thousand, so it has no byte to spare. What registered
 * as most do, with a short token and without ETag or a wish for blocks, is kept
 * as its address and token; anything else with all of its request. */
struct cp_observer {
    struct cp_index_node node; /* in observers */
    struct cp_row_node place;  /* in interest->observers */
    struct cp_interest *interest;
    struct cp_home *home;
    struct cp_delivery *delivery; /* NULL: nothing is under way */
    union {
        copal_msg *request; /* the registration without its body: keeps_all */
        uint8_t token[CP_OBSERVER_TOKEN];
    };
    uint8_t ip[16]; /* as of struct cp_address, if not keeps_all */
    uint16_t port;
    uint8_t family;
    uint8_t token_len;
    uint32_t
        format : 17; /* of the first state, or beyond: unknown after 2.03 */
    uint32_t since_con : 5;
    uint32_t keeps_all : 1;
    uint32_t is_unproven : 1; /* nobody has shown to be where it is from */
    uint32_t of_group : 1;    /* it registered by a group */
    uint32_t ends : 1;        /* state is an error: its last notification */
    uint32_t is_quiet : 1;    /* nothing newer came since state was sent */
};

static inline copal_bytes cp_observer_token(const struct cp_observer *o)
{
    return o->keeps_all ? o->request->token : cp_bytes(o->token, o->token_len);
}

/* What protects it; NULL: nothing. */
static inline const struct cp_guard *cp_observer_guard(
    const struct cp_observer *o)
{
    return o->keeps_all ? o->request->guard : NULL;
}

static inline struct cp_link *cp_observer_link(const struct cp_observer *o)
{
    return o->home->link;
}

/* ---- interest.c ---- */

/* What a asks h for, made if need be. NULL: out of memory. */
struct cp_interest *cp_interest_get(struct cp_engine *e, struct cp_handler *h,
                                    copal_msg *request);

/* NULL: nobody is interested in path of h. */
struct cp_topic *cp_interest_topic(struct cp_engine *e, struct cp_handler *h,
                                   const char *path);

/* Takes from BODY_MEMORY what keeping m, frozen, needs beyond a small request;
 * false: it is spent. What strangers make us keep is bounded in
 * bytes, not only in number. */
bool cp_interest_charge(struct cp_engine *e, const copal_msg *m);
void cp_interest_discharge(struct cp_engine *e, const copal_msg *m);

/* o, the number n, joins i and counts as told; or leaves it, which gives n. */
void cp_interest_add(struct cp_interest *i, struct cp_observer *o, uint32_t n);
uint32_t cp_interest_remove(struct cp_interest *i, struct cp_observer *o);

/* All of its observers are to hear of its telling. */
void cp_interest_untold(struct cp_interest *i);

/* The next of these, which counts as told from now on; there is one. */
struct cp_observer *cp_interest_next(struct cp_interest *i);

/* Frees it if nobody has it any more, and no answer is awaited. */
void cp_interest_free_idle(struct cp_interest *i);

/* ---- observer.c ---- */

/* The observer that registered by link with the source and token of request,
 * or NULL. */
struct cp_observer *cp_observer_find(struct cp_engine *e, struct cp_link *link,
                                     const copal_msg *request);

/* Makes who asked a an observer; first: the answer it is given. NULL: no room,
 * which is no error, the answer then goes without Observe: RFC 7641 4.1. */
struct cp_observer *cp_observer_add(struct cp_answer *a,
                                    const copal_msg *first);
void cp_observer_free(struct cp_observer *o);

/* Its delivery, made if need be. NULL: out of memory. */
struct cp_delivery *cp_observer_delivery(struct cp_observer *o);

/* Lets its delivery go if nothing is under way. */
void cp_observer_settle(struct cp_observer *o);

/* A connection is over, or to be: who observes by it observes no more. RFC 8323
 * 7.3. */
void cp_observer_link_gone(struct cp_engine *e, const struct cp_link *link,
                           const struct cp_address *remote);

/* Does anybody observe by that connection? */
bool cp_observer_of_link(struct cp_engine *e, const struct cp_link *link,
                         const struct cp_address *remote);

/* Has nobody shown to be where it registered from? Anybody can register
 * somebody else. */
bool cp_observer_is_unproven(struct cp_observer *o);

/* The oldest of those that are unproven is none any more; false: there is none.
 * limit: for whose sake. */
bool cp_observer_free_one(struct cp_engine *e, const char *limit);

/* An error ends an observation. RFC 7641 4.2. */
bool cp_observer_is_last(const copal_msg *m);

/* The Content-Format of m, or one of the two beyond. */
uint32_t cp_observer_format_of(const copal_msg *m);

/* ---- observer_form.c ---- */

/* Notes what m, its registration, is kept of; its home is known. False: out of
 * memory, or of BODY_MEMORY. */
bool cp_observer_note(struct cp_observer *o, const copal_msg *m);

bool cp_observer_is_from(const struct cp_observer *o,
                         const struct cp_address *remote);

/* Where it is. */
struct cp_address cp_observer_remote(const struct cp_observer *o);
struct cp_path cp_observer_path(const struct cp_observer *o);

/* A registration with its options: its own, or one like it. */
const copal_msg *cp_observer_form(const struct cp_observer *o);

/* Its own, made if need be. NULL: out of memory. */
copal_msg *cp_observer_request(struct cp_observer *o);

/* cp_params_uri_back() for it. */
const char *cp_observer_uri(struct cp_observer *o);

/* ---- observe_home.c ---- */

/* One user more. NULL: out of memory. */
struct cp_home *cp_home_get(struct cp_engine *e, struct cp_link *link,
                            const struct cp_path *path);
void cp_home_put(struct cp_engine *e, struct cp_home *h);

/* ---- observer_send.c ---- */

extern const struct cp_flight_notes cp_observer_notes;

/* The size of blocks in which it is told of whole. */
uint16_t cp_observer_block_size(struct cp_observer *o, const copal_msg *whole);

/* Sends m, or soon. It may be no observer any more afterwards. */
void cp_observer_tell(struct cp_observer *o, copal_msg *m);

/* Sends m, now if nothing is under way. */
void cp_observer_send(struct cp_observer *o, copal_msg *m);

/* What waited until the one before had rested goes; there is some. It may be no
 * observer any more afterwards. */
void cp_observer_go_on(struct cp_observer *o);

/* By a connection that can take more: what waits goes. */
void cp_observer_drained(struct cp_observer *o);

/* Its flight is over. */
void cp_observer_flight_over(struct cp_flight *f, int status);

/* ---- observe_round.c: work that is done in portions ---- */

/* The interests of t are to be asked for. */
void cp_observe_round_ask(struct cp_engine *e, struct cp_topic *t);

/* The observers of i are to hear of i->telling. */
void cp_observe_round_tell(struct cp_interest *i);

/* o is told, or acknowledged it: who is told after it, and so acknowledges after
 * it, is so soon. What that touches is far away where they are very many. */
void cp_observe_round_fetch(const struct cp_observer *o);

/* What waited for d to rest may be sent now. */
void cp_observe_round_rested(struct cp_engine *e, struct cp_delivery *d);

/* What is under way by d is to be acknowledged, and leaves now; it was, or
 * nobody waits for that any more. */
void cp_observe_round_sent(struct cp_engine *e, struct cp_delivery *d);
void cp_observe_round_heard(struct cp_engine *e, struct cp_delivery *d);

/* ---- observe_notify.c ---- */

/* The handler is asked for i's state. i may be freed by that. */
void cp_observe_ask(struct cp_interest *i);

/* o hears of its interest's telling; it may be no observer any more. */
void cp_observe_tell(struct cp_observer *o);

/* All were told, or nobody needs to be. i may be freed by that. */
void cp_observe_told(struct cp_interest *i);

/* ---- observe_late.c ---- */

/* m is told at the end of o's leisure. False: out of memory. */
bool cp_observe_late(struct cp_observer *o, copal_msg *m);
void cp_observe_late_stop(struct cp_observer *o);

/* ---- observe.c and the stage's halves ---- */

/* The number of a state that is given now, before: of the one it follows.
 * RFC 7641 4.4. */
uint64_t cp_observe_number(const struct cp_engine *e, uint64_t before);

/* A copy of m that carries number. NULL: out of memory. */
copal_msg *cp_observe_numbered(const copal_msg *m, uint64_t number);

/* Client: a response that may be a notification. A verdict. */
int cp_observe_ask_in(copal_exchange *x, const copal_msg *m);

/* Is m, of the same observation as what came before, older than that? */
bool cp_observe_ask_is_stale(const struct cp_ask *a, const copal_msg *m);

/* Server: notes what m wants; registers or deregisters who asked. */
void cp_observe_register_in(copal_exchange *x, const copal_msg *m);
/* A verdict. */
int cp_observe_register_out(copal_exchange *x, copal_msg **m);

#endif
