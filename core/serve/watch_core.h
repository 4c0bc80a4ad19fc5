/* A watch from inside: what its files share. */
#ifndef CP_SERVE_WATCH_CORE_H
#define CP_SERVE_WATCH_CORE_H

#include "serve/watch.h"

enum {
    CP_WATCH_SENTENCE = 512
};

enum cp_watch_state {
    CP_WATCH_ASKING,   /* registering; no answer yet             */
    CP_WATCH_RENEWING, /* the same once more, under the same token */
    CP_WATCH_HEARING,  /* registered and answered                */
    CP_WATCH_WAITING,  /* the last attempt failed                */
    CP_WATCH_OVER      /* nothing is told from here on           */
};

/* What a paused user is owed, in this order. */
struct cp_watch_owed {
    bool resumed;
    const copal_msg *value; /* NULL: none */
    bool silent;
    int status;
    char *text; /* of silent */
};

struct cp_watch {
    struct cp_mem *mem;
    unsigned refs; /* the owner, callbacks given away, and those at work */
    copal *endpoint;
    struct cp_watch_face face;
    struct cp_watch_terms terms;
    copal_msg *request; /* as the user's, with Observe */

    enum cp_watch_state state;
    copal_exchange *x; /* the observation; NULL: none */
    bool was_answered; /* at any time */

    uint64_t act_at;    /* registers then, whatever the state */
    uint64_t heard_at;  /* or begun */
    uint64_t silent_at; /* silent then, unless it is already */
    uint64_t wait;      /* ms, of the next failure */
    bool is_timer_on;
    int64_t timer;
    uint64_t timer_at;

    bool is_silent;
    int last_code; /* of the last answer that nothing followed; 0: observing */

    /* The newest success that was told, and the one whose ETag the server has
     * from us and may answer with 2.03. RFC 7641 3.3.2. */
    const copal_msg *latest, *offered;

    bool is_paused;
    struct cp_watch_owed owed;
};

/* ---- watch.c ---- */

struct cp_watch *cp_watch_hold(struct cp_watch *w);
void cp_watch_let_go(void *watch);

/* END: the watch is over. */
void cp_watch_finish(struct cp_watch *w, int status, const char *text);
void cp_watch_out_of_memory(struct cp_watch *w);

/* What comes of the observation underneath. user: the watch. */
void cp_watch_on_event(const copal_event *ev, void *user);

/* ---- watch_ask.c: when and how it asks ---- */

/* Registers anew; 0 or COPAL_ENOMEM. */
int cp_watch_ask(struct cp_watch *w);

/* A notification came: when will the next be due? 0 or COPAL_ENOMEM. */
int cp_watch_heard(struct cp_watch *w, const copal_msg *msg);

/* The attempt failed: says so, and waits to try again; at_least: ms. */
void cp_watch_fail(struct cp_watch *w, int status, uint64_t at_least,
                   const char *reason);

/* ---- watch_tell.c: what the user hears ---- */

void cp_watch_tell_silent(struct cp_watch *w, int status, const char *text);

/* msg, a success, was received; RESUMED first if it was silent. is_news: the
 * server sent it by itself, so it is told even if it is the same again. */
void cp_watch_tell_value(struct cp_watch *w, const copal_msg *msg,
                         bool is_news);

/* msg was received, after which the server tells no more: an error, or a
 * success that is not observed. Told once, not with every attempt. */
void cp_watch_tell_last(struct cp_watch *w, const copal_msg *msg);

/* Lets go of all that is kept for telling. */
void cp_watch_forget_told(struct cp_watch *w);

#endif
