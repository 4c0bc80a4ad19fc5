/* Messages that are protected end to end and that somebody on the way cut into
 * blocks: Block1 and Block2 outside. They are put together before they are
 * opened. Nothing that blocks say is protected until all of them are there, so
 * MAX_BODY bounds the whole, BODY_MEMORY and PEER_BODIES all of a server's, and
 * what is cut displaces nothing that is whole. RFC 8613 4.1.3.4.2.
 * Nothing of ours is cut: a request with Block2 outside, by which somebody on the
 * way wants an answer in blocks, is answered as one without. */
#ifndef CP_ENGINE_OUTER_H
#define CP_ENGINE_OUTER_H

#include "engine/link.h"
#include "wire/message.h"

struct cp_ask;
struct cp_engine;
struct cp_seen;
struct cp_token;

/* ---- Server ---- */

/* *m has an OSCORE option and Block1. True: it is whole now, and knows which
 * block its answer is to name; false: it was answered. */
bool cp_outer_request(struct cp_engine *e, struct cp_link *link, copal_msg **m,
                      struct cp_seen *seen);

/* m, sealed and nobody else's yet, answers request: it names the block.
 * COPAL_ENOMEM. */
int cp_outer_echo(const copal_msg *request, copal_msg *m);

/* ---- Client ---- */

/* Answers that a request for the rest of another one came. */
bool cp_outer_is_rest(const struct cp_ask *a, const struct cp_token *t);

/* *m, sealed, answers what *at carried. CP_PASS: it is whole, and *at what it
 * answers; CP_KEPT: it was a block, and is dealt with; COPAL_EAUTH: none that
 * was waited for, and *at NULL if it is so no more; COPAL_ENOMEM. It may end a. */
int cp_outer_hear(struct cp_ask *a, struct cp_link *link, struct cp_token **at,
                  copal_msg **m, struct cp_seen *seen);

/* What was cut is not put together any more. Gives what it answers, or NULL. */
struct cp_token *cp_outer_drop(struct cp_ask *a);

/* An answer to t is there: what was cut of another is history. */
void cp_outer_opened(struct cp_ask *a, const struct cp_token *t);

#endif
