/* Timers: an intrusive pairing heap. Starting and stopping never fail and
 * never allocate; the earliest is at hand. Timers due at the same time come in
 * the order they were started. Those started one after another for the same
 * time, as a round of notifications does, are a row behind the first of them,
 * which alone is in the heap: the heap is as deep as there are rows. */
#ifndef CP_BASE_HEAP_H
#define CP_BASE_HEAP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct cp_timer;
typedef void cp_timer_due(struct cp_timer *t);

struct cp_timer {
    /* In the heap, prev is the parent or elder sibling. In a row behind another
     * (child points at itself) next and prev are its neighbours, the first's
     * row begins with behind. */
    struct cp_timer *child, *next, *prev, *behind;
    uint64_t at; /* ms */
    uint64_t order;
    cp_timer_due *due; /* NULL: not started */
};

struct cp_heap {
    struct cp_timer *root;
    struct cp_timer *last; /* started last, the end of its row; NULL: stopped */
    uint64_t order;
};

/* Starts t, or moves it if it was started. All zero at first. */
void cp_timer_start(struct cp_heap *h, struct cp_timer *t, uint64_t at,
                    cp_timer_due *due);

static inline bool cp_timer_is_on(const struct cp_timer *t)
{
    return t->due != NULL;
}

/* Stops t, which is on. */
void cp_timer_take_out(struct cp_heap *h, struct cp_timer *t);

/* t may be stopped already, as most are. */
static inline void cp_timer_stop(struct cp_heap *h, struct cp_timer *t)
{
    if (cp_timer_is_on(t))
        cp_timer_take_out(h, t);
}

/* When the earliest is due; UINT64_MAX: none. */
uint64_t cp_heap_next(const struct cp_heap *h);

/* Stops the earliest timer due at or before now and calls it. False: none is
 * due. */
bool cp_heap_run(struct cp_heap *h, uint64_t now);

#endif
