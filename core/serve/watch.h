/* The watch: an observation that registers again when Max-Age has run out and
 * after silence, refusal or reboot, and never goes quiet without telling.
 * Built on <copal.h> alone, but for what its face gives it. */
#ifndef CP_SERVE_WATCH_H
#define CP_SERVE_WATCH_H

#include <copal.h>
#include "base/mem.h"
#include <stdbool.h>

struct cp_watch;

/* What a watch needs of the exchange that its user holds, and of the engine;
 * core/copal_watch.c gives it. */
struct cp_watch_face {
    /* An event for the user's callback: RESPONSE, SILENT, RESUMED. */
    void (*tell)(void *user, int kind, int status, const char *text,
                 const copal_msg *msg);
    /* END, after which the watch is not used any more. */
    void (*over)(void *user, int status, const char *text);
    /* Registers x once more, as m asks, under the token it has (RFC 7641
     * 3.3.1). Anything but 0: it cannot. */
    int (*again)(copal_exchange *x, copal_msg *m);
    /* A random number from 0 to most. */
    uint64_t (*random)(void *user, uint64_t most);
    void *user;
};

struct cp_watch_terms {
    uint64_t silence;  /* ms, COPAL_P_SILENCE; 0: by Max-Age */
    uint64_t patience; /* ms in which an answer comes if all is well, also
                        * when two datagrams are lost */
};

/* Watches what m asks for (COPAL_WATCH is among its flags; it is frozen and
 * ref'd). NULL: out of memory. */
struct cp_watch *cp_watch_new(struct cp_mem *mem, copal *c, copal_msg *m,
                              struct cp_watch_terms terms,
                              struct cp_watch_face face);

/* While paused nothing is told, and of the values only the newest kept; then
 * that is told, and whether it was heard again or fell silent meanwhile. */
void cp_watch_pause(struct cp_watch *w, bool paused);

/* Stops without a word more: cancels timers and the observation underneath
 * (which deregisters). */
void cp_watch_free(struct cp_watch *w);

#endif
