/* Exchanges seen from the server: a request that came, and the answer it is
 * owed. What serve/site.c and the engine's own files use. */
#ifndef CP_ENGINE_ANSWER_H
#define CP_ENGINE_ANSWER_H

#include "engine/handler.h"

struct cp_engine;

/* Hands the REQUEST ev of ev->exchange to h: from then on its events are h's.
 * Called from on_request, at once or later (the exchange ref'd meanwhile). */
void cp_answer_dispatch(const copal_event *ev, struct cp_handler *h);

/* Notes a path parameter, "{name}" of the pattern; value is copied. ENOMEM. */
int cp_answer_param_set(copal_exchange *x, const char *name, copal_bytes value);

/* Asks h as if request had come from the wire, on an exchange of its own that
 * never reaches the network: a notification's representation, the ETag that a
 * precondition is held against. The answer comes to done exactly once, maybe
 * before this returns; answer is borrowed; NULL: there was none (out of
 * memory, or the endpoint ends). */
void cp_answer_ask(struct cp_engine *e, struct cp_handler *h,
                   const copal_msg *request,
                   void (*done)(void *user, const copal_msg *answer),
                   void *user);

/* The same for a key or what else h is asked for: kind, which lives for ever, is
 * the event's text. */
void cp_answer_look_up(struct cp_engine *e, struct cp_handler *h,
                       const char *kind, const copal_msg *request,
                       void (*done)(void *user, const copal_msg *answer),
                       void *user);

#endif
