/* A turn: time and bytes go in, timers run, events are delivered, what is to go
 * out is flushed, the timer is set to the engine's next deadline. */
#ifndef CP_NET_TURN_H
#define CP_NET_TURN_H

#include <stdatomic.h>
#include <uv.h>
#include "net/net.h"

struct cp_loop {
    struct cp_driver driver;
    struct cp_net net;
    uv_loop_t own; /* unused when shared */
    uv_loop_t *uv;
    bool is_shared;

    /* An idle loop needs a referenced handle: without one libuv does not wait
     * at all, and a host polling its descriptor would spin. */
    uv_async_t wake;
    uv_timer_t timer;       /* the engine's deadline */
    uint64_t armed;         /* for when; UINT64_MAX: not; 0: anew */
    uint64_t latest;        /* that it ever was */
    uint64_t lost;          /* ms by which libuv's clock went back in all */
    uint64_t rest_until;    /* sockets that cannot be read; UINT64_MAX: none */
    uv_prepare_t prepare;   /* shared: a turn before the loop blocks */
    uv_idle_t idle;         /* slice.c: while somebody waits for a slice */
    struct cp_list waiting; /* struct cp_slice, first come, first served */
    size_t handles;         /* opened and not yet closed */

    _Atomic(uv_thread_t) thread; /* that ran the last turn */
    atomic_bool is_due;          /* a turn is */
    atomic_bool is_stopped;      /* run() is to return */
    bool is_inside;              /* between enter and turn */
    bool comes_round;            /* libuv has to: cp_turn_come_round() */
    bool is_condemned;           /* no more turns */
    bool is_closing;
};

/* libuv's own clock in ms, without its cache, which is stale between runs; and
 * should that go back, it goes on from where it was. */
uint64_t cp_turn_now(struct cp_loop *l);

/* Every callback of a libuv handle begins with enter and ends with end. False:
 * the endpoint is going away; the callback returns at once and touches
 * nothing. */
bool cp_turn_enter(struct cp_loop *l);
bool cp_turn_end(struct cp_loop *l);

/* A turn of its own, always or only if one is due. */
void cp_turn_run(struct cp_loop *l);
void cp_turn_run_due(struct cp_loop *l);

/* The engine's deadline, or that of the sockets' rest. */
uint64_t cp_turn_deadline(const struct cp_loop *l);

/* In a moment each socket is to go on that rests now. */
void cp_turn_rest(struct cp_loop *l);

/* From any thread: a turn is due. */
void cp_turn_wake(struct cp_loop *l);

/* Something waits to be sent: unless a turn is on, one is due. */
void cp_turn_due(struct cp_loop *l);

/* A handle was told to watch for something. libuv asks the system for that when
 * it next runs, and who drives this loop by its descriptor runs it only when that
 * is readable: it will be. */
void cp_turn_come_round(struct cp_loop *l);

/* Is there anything left to wait for; a shared loop goes on as long as there
 * is. */
bool cp_turn_is_alive(const struct cp_loop *l);
void cp_turn_update_reference(struct cp_loop *l);

#endif
