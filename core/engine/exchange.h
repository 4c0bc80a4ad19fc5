/* One request and everything that answers it: what both roles share. The
 * asker's side is ask.c, the server's answer.c. */
#ifndef CP_ENGINE_EXCHANGE_H
#define CP_ENGINE_EXCHANGE_H

#include "base/refs.h"
#include "engine/event.h"
#include "engine/stage.h"
#include "wire/message.h"

struct cp_connection;
struct cp_transfer;

struct copal_exchange {
    struct cp_refs refs; /* users', queued events', and the engine's one */
    bool is_ask;
    bool over;       /* nothing more goes in or out */
    bool is_live;    /* the engine still holds its reference */
    bool delivering; /* inside the user's callback */
    bool paused;
    uint32_t queued; /* events that are yet to be delivered */
    bool is_inner;   /* not the user's: the site's or a watch's */
    uint32_t serial; /* the how manieth of its endpoint */
    struct cp_mem *mem;
    struct cp_engine *engine; /* NULL: a husk, the endpoint is gone */
    struct cp_list node;      /* in engine->exchanges while it has memory */
    struct cp_connection *connection; /* what it goes by; NULL: datagrams */
    struct cp_list of_connection;     /* in its exchanges */
    copal_msg *request;               /* as the user sees it */
    struct cp_transfer *transfer;     /* the block stage's; NULL: none */
};

/* Shared beginnings and ends. */
void cp_exchange_init(copal_exchange *x, struct cp_engine *e, bool is_ask,
                      copal_msg *request);

/* References inside the engine. */
copal_exchange *cp_exchange_hold(copal_exchange *x);
void cp_exchange_let_go(copal_exchange *x);

/* Nobody holds x who could answer it: for the owner's thread. */
void cp_exchange_abandon(copal_exchange *x);

/* The engine is done with x: gives up its own reference. */
void cp_exchange_retire(copal_exchange *x);

/* Calls the user; by role. */
void cp_exchange_deliver(copal_exchange *x, const copal_event *ev);

/* Something went wrong: the exchange ends with status and a sentence (which
 * may be NULL: that of the status). */
void cp_exchange_fail(copal_exchange *x, int status, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* A stage sends m of its own: only stages below see it, then the wire. */
int cp_exchange_send_below(const struct cp_stage *stage, copal_exchange *x,
                           copal_msg *m);

/* For the user, above all stages: RESPONSE, CHUNK, PULL, PROGRESS. NULL: out
 * of memory. */
struct cp_event *cp_exchange_tell(copal_exchange *x, int kind, copal_msg *m);

/* The parameter that applies to x: cp_exchange_param() in core.h, or where more
 * than the endpoint's could. */
int64_t cp_exchange_narrow_param(const copal_exchange *x, int param);

/* By role, in the files of each. */
void cp_ask_deliver(copal_exchange *x, const copal_event *ev);
void cp_ask_fail(copal_exchange *x, int status, const char *sentence);
int cp_ask_send(copal_exchange *x, copal_msg *m);
void cp_ask_free(copal_exchange *x);
void cp_answer_deliver(copal_exchange *x, const copal_event *ev);
void cp_answer_fail(copal_exchange *x, int status, const char *sentence);
int cp_answer_send(copal_exchange *x, copal_msg *m);
void cp_answer_free(copal_exchange *x);
/* Nobody who could answer holds it any more. */
void cp_answer_abandoned(copal_exchange *x);

#endif
