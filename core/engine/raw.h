/* Messages that belong to no exchange (copal_send). */
#ifndef CP_ENGINE_RAW_H
#define CP_ENGINE_RAW_H

#include "engine/engine.h"

/* Sends m once to the base URI to: confirmable unless COPAL_NON is among its
 * flags, with a token of its own where it is not empty; nothing is repeated or
 * expected. A name may be looked up first; when that fails it is lost.
 * COPAL_EURI, COPAL_ENOMEM, and those of the driver. */
int cp_raw_send(struct cp_engine *e, copal_msg *m, const char *to);

/* The endpoint ends: those that still wait for a name are lost. */
void cp_raw_clear(struct cp_engine *e);

#endif
