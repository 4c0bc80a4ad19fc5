/* The queue of what happened, and the only place that calls user code. */
#ifndef CP_ENGINE_EVENT_H
#define CP_ENGINE_EVENT_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include "base/heap.h"
#include "base/list.h"
#include "base/map.h"
#include <copal.h>

struct cp_engine;

/* One event on its way to the user. Those that were promised (REQUEST, END)
 * are part of their exchange; the others are allocated. */
struct cp_event {
    struct cp_list node;
    uint8_t kind; /* copal_kind */
    bool last;
    bool is_part; /* of something else: not freed after delivery */
    int status;
    copal_exchange *x; /* ref'd while queued */
    copal_msg *msg;    /* likewise */
    uint64_t offset, total;
    size_t want;
    const char *text;
    char *own_text; /* freed after delivery */
};

/* What another thread does for the engine. It sets has_news and wakes the
 * driver; collect is then called within a turn. */
struct cp_outside {
    atomic_bool has_news;
    void (*collect)(struct cp_outside *outside);
};

/* Timers of the user and calls from other threads. */
struct cp_events {
    struct cp_list queue;
    struct cp_map timers; /* by id */
    int64_t last_id;
    pthread_mutex_t lock;
    struct cp_list posted; /* under lock */
    _Atomic size_t posted_count;
};

int cp_events_init(struct cp_engine *e);
/* Delivers nothing any more; drops the callbacks of timers and posts. */
void cp_events_clear(struct cp_engine *e);
/* Afterwards not even a post is taken; what was posted meanwhile is dropped. */
void cp_events_free(struct cp_engine *e);

/* Queues ev, an event that is part of something else. */
void cp_event_post_part(struct cp_engine *e, struct cp_event *ev,
                        copal_exchange *x, copal_msg *msg);

/* Allocates and queues one. NULL: out of memory. Fields may be filled in
 * before the turn ends. */
struct cp_event *cp_event_post(struct cp_engine *e, int kind, copal_exchange *x,
                               copal_msg *msg);

/* Queues a line of trace; line is from e->mem and taken over. */
void cp_event_post_trace(struct cp_engine *e, char *line);

/* Takes queued events of x away, all but END: it was cancelled. */
void cp_event_forget(struct cp_engine *e, const copal_exchange *x);

/* Calls the user until nothing is queued. */
void cp_event_deliver(struct cp_engine *e);

/* Moves what other threads posted into the queue. */
void cp_event_collect(struct cp_engine *e);
bool cp_event_is_waiting(struct cp_engine *e);

int64_t cp_event_after(struct cp_engine *e, uint64_t ms, copal_cb cb);
int cp_event_cancel(struct cp_engine *e, int64_t id);
int cp_event_from_thread(struct cp_engine *e, copal_cb cb);

#endif
