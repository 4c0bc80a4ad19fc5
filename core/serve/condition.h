/* If-Match and If-None-Match, RFC 7252 5.10.8: a request that is done only if
 * the representation is, or is not, as its sender thinks. */
#ifndef CP_SERVE_CONDITION_H
#define CP_SERVE_CONDITION_H

#include <stdbool.h>
#include "engine/answer.h"

/* Does m ask for a condition that its method can have? */
bool cp_condition_is_asked(const copal_msg *m);

/* Asks getter, the handler of GET at the same path, what there is; then hands
 * the REQUEST ev to handler, or answers 4.12. COPAL_ENOMEM: nothing was
 * done. */
int cp_condition_check(struct cp_engine *e, struct cp_handler *getter,
                       const copal_event *ev, struct cp_handler *handler);

#endif
