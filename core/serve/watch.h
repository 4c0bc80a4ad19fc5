/* The watch: an observation that registers again before Max-Age runs out and
 * after silence, refusal or reboot, and never goes quiet without telling.
 * Built on <copal.h> alone. */
#ifndef CP_SERVE_WATCH_H
#define CP_SERVE_WATCH_H

#include <copal.h>
#include "base/mem.h"

struct cp_watch;

/* What a watch needs of the exchange that its user holds; core/copal.c gives
 * it. tell: an event for the user's callback (RESPONSE, SILENT, RESUMED);
 * over: END with status and sentence, after which the watch is not used any
 * more. */
struct cp_watch_face {
    void (*tell)(void *user, int kind, int status, const char *text,
                 const copal_msg *msg);
    void (*over)(void *user, int status, const char *text);
    void *user;
};

/* Watches what m asks for (COPAL_WATCH is among its flags; it is frozen and
 * ref'd). silence_ms: COPAL_P_SILENCE, 0: by Max-Age. NULL: out of memory. */
struct cp_watch *cp_watch_new(struct cp_mem *mem, copal *c, copal_msg *m,
                              uint64_t silence_ms, struct cp_watch_face face);

/* Stops without a word more: cancels timers and the observation underneath
 * (which deregisters). */
void cp_watch_free(struct cp_watch *w);

#endif
