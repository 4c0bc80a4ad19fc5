/* The load generator behind "copal bench": endpoints of the library on one
 * loop, and slots, each with one request (transfer, observation) under way. It
 * is a program on <copal.h> like any other, so it stands here and not in core/,
 * and it is C so that it costs little more than the kernel does: scripts are
 * asked only where hooks want it. */
#ifndef COPAL_LUA_BENCH_LOAD_H
#define COPAL_LUA_BENCH_LOAD_H

#include "bench/histogram.h"

#include <copal.h>
#include <signal.h>
#include <stdbool.h>
#include <uv.h>

enum bench_mode {
    BENCH_REQUESTS,
    BENCH_OBSERVE,
    BENCH_TRANSFER
};

enum {
    BENCH_DOWN, /* what is asked for; bodies that come */
    BENCH_UP,   /* bodies that go */
    BENCH_LANES,
    BENCH_MARKS = 16,    /* see struct bench_source */
    BENCH_STATES = 1024, /* of an observed resource that are remembered */
    BENCH_WHY = 320
};

#define BENCH_MS UINT64_C(1000000) /* ns */

struct bench_load;

/* What a script has to say. Functions may be NULL. */
struct bench_hooks {
    void *user;
    /* The i-th request, from 1: *model to be sent, which may stay NULL for the
     * plan's, with these flags. False: there are no more. */
    bool (*request)(void *user, uint64_t i, const copal_msg **model,
                    unsigned *flags);
    /* res NULL: status and text of the END say why there is none. */
    void (*response)(void *user, const copal_msg *res, uint64_t ns, int status,
                     const char *text);
    void (*interval)(void *user, const struct bench_load *l);
    void (*reuse)(void *user); /* the first message id came again too soon */
};

struct bench_param {
    int number;
    int64_t value;
};

/* Times in ns, 0: none. Everything is borrowed until the run is over. */
struct bench_plan {
    enum bench_mode mode;
    const copal_msg *model[BENCH_LANES]; /* NULL: not that way */
    unsigned flags;                      /* COPAL_NON or 0 */
    const char *from;                    /* base URI to leave from, or NULL */
    copal_bytes body;                    /* goes up */
    double rate;                         /* requests/s; 0: one after another */
    uint64_t count;                      /* then it is over; 0: no limit */
    uint64_t duration, grace, interval;
    unsigned window, endpoints;
    const struct bench_param *params;
    size_t param_count;
    struct bench_hooks hooks;
};

/* All that were sent have ended in one of these ways. */
struct bench_counts {
    uint64_t sent;
    uint64_t ok, client_error, server_error; /* 2.xx, 4.xx, 5.xx */
    uint64_t timeout, reset, failed;
    uint64_t unanswered; /* when the run was cut off */
};

struct bench_lane {
    uint64_t done, bytes, blocks;
    struct bench_histogram took;
};

/* An endpoint. marks: when its number of messages last passed each multiple of
 * 4,096: what is there when the next one takes the place is how long ago the
 * same message id was used. */
struct bench_source {
    copal *c;
    copal_msg *request[BENCH_LANES];
    uint64_t sent;
    uint64_t marks[BENCH_MARKS];
};

struct bench_slot {
    struct bench_load *load;
    struct bench_source *source;
    copal_exchange *x; /* NULL: nothing is under way */
    struct bench_slot *next_idle;
    uint64_t due;   /* when it was to begin */
    uint64_t heard; /* 0: nothing yet */
    uint64_t state; /* the newest that this observer was told of */
    size_t offset;  /* of the body that goes up */
    unsigned stay;  /* requests until it moves to another source */
    int code;
    uint8_t lane;
    bool was_registered; /* as an observer */
};

/* The states of the observed resource, by what their payloads are, in the order
 * in which they were first heard of: number n is at n % BENCH_STATES. */
struct bench_states {
    uint64_t newest; /* 0: none yet */
    uint64_t hash[BENCH_STATES];
};

struct bench_load {
    const struct bench_plan *plan;
    uv_loop_t loop;
    uv_timer_t end, ticks;
    uv_async_t woken; /* by a signal */
    uv_poll_t pace;
    uv_timer_t pace_timer; /* where there is no timerfd */
    int pace_fd;           /* -1: the load is not paced */

    struct bench_source *sources;
    struct bench_slot *slots, *idle;
    unsigned next_source, busy, opened;
    uint64_t given;    /* requests that were begun */
    bool is_ending;    /* nothing new begins */
    bool is_timed_out; /* by the plan's duration */
    bool is_over;
    volatile sig_atomic_t was_interrupted;

    uint64_t begun, ended; /* ns */
    double cpu;            /* seconds, of the run */
    struct bench_counts counts;
    uint64_t delayed, unsent; /* paced: begun over 1 ms late; never begun */
    uint64_t notifications, gaps;
    struct bench_states states;
    uint64_t strays, late;
    bool has_reused_ids;
    struct bench_lane lane[BENCH_LANES];
    struct bench_histogram recent; /* since the last interval */
    copal_stats total; /* of all endpoints, at the end; what results.c gives */

    char remote[160]; /* who answers */
    int first_bad;    /* code or COPAL_E* of what went wrong first; 0 */
    int error;        /* that ended the run; 0 */
    char why[BENCH_WHY];
};

/* Runs it. 0, or the COPAL_E* that kept it from starting; l->why says more. l
 * is zeroed and large: not for the stack. */
int bench_load_run(struct bench_load *l, const struct bench_plan *plan);

/* Nothing new begins; it is over with the last that is under way. */
void bench_load_finish(struct bench_load *l);

/* The same at once, because of an error; the first one is kept. */
void bench_load_fail(struct bench_load *l, int error, const char *why);

/* It was cut off, and something was under way no longer. */
void bench_load_check(struct bench_load *l);

uint64_t bench_now(void); /* ns, monotonic */

/* ---- source.c ---- */

int bench_sources_open(struct bench_load *l);
void bench_sources_close(struct bench_load *l);

/* A message of s like model. NULL: out of memory, or *error is set. */
copal_msg *bench_source_copy(struct bench_load *l, struct bench_source *s,
                             const copal_msg *model, unsigned flags,
                             int *error);

/* s uses one more message id. */
void bench_source_count(struct bench_load *l, struct bench_source *s,
                        uint64_t now);

/* ---- ask.c ---- */

/* Begins the next request in slot, which was due then. */
void bench_ask_start(struct bench_slot *slot, uint64_t due);

/* An END that says that no other will fare better. */
bool bench_ask_is_hopeless(int status);

/* Counts how one ended. code: of the answer, 0 where there is none. */
void bench_ask_count(struct bench_load *l, int status, int code);

/* ---- observe.c ---- */

void bench_observe_start(struct bench_slot *slot);

/* ---- pace.c ---- */

/* 0, or an errno. */
int bench_pace_open(struct bench_load *l);
void bench_pace_close(struct bench_load *l);

/* Begins what is due, as far as there are slots, and waits for the next. */
void bench_pace_go_on(struct bench_load *l);

/* How many are due until then. */
uint64_t bench_pace_due(const struct bench_load *l, uint64_t now);

#endif
