#include "bench/load.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>

enum {
    AT_ONCE = 64,       /* observers that register beside each other */
    FAREWELL_MS = 1000, /* that servers have to hear that we leave */
    LOOK_MS = 10
};

uint64_t bench_now(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000000000 + (uint64_t)t.tv_nsec;
}

static double cpu_seconds(void)
{
    struct rusage used;

    getrusage(RUSAGE_SELF, &used);
    return (double)(used.ru_utime.tv_sec + used.ru_stime.tv_sec) +
           (double)(used.ru_utime.tv_usec + used.ru_stime.tv_usec) / 1e6;
}

/* ---- Its end ---- */

void bench_load_check(struct bench_load *l)
{
    if (!l->is_ending || l->busy > 0 || l->is_over)
        return;
    l->is_over = true;
    if (!l->is_timed_out) /* else answers after the end are an extra */
        l->ended = bench_now();
    uv_stop(&l->loop);
}

/* Whatever is under way has ended without an answer, as END will say of each. */
static void cut(struct bench_load *l)
{
    for (unsigned i = 0; i < l->plan->window; i++)
        if (l->slots[i].x != NULL)
            copal_cancel(l->slots[i].x);
    bench_load_check(l);
}

static void on_grace_over(uv_timer_t *timer)
{
    cut(timer->data);
}

void bench_load_finish(struct bench_load *l)
{
    if (l->is_ending)
        return;
    l->is_ending = true;
    l->ended = bench_now();
    if (l->plan->rate != 0 && l->begun != 0) {
        uint64_t due = bench_pace_due(l, l->ended);

        l->unsent = due > l->given ? due - l->given : 0;
    }
    if (l->plan->mode == BENCH_OBSERVE)
        uv_timer_start(&l->end, on_grace_over, 0, 0);
    bench_load_check(l);
}

void bench_load_fail(struct bench_load *l, int error, const char *why)
{
    if (l->error == 0) {
        l->error = error;
        if (why != l->why)
            snprintf(l->why, sizeof(l->why), "%s", why);
    }
    bench_load_finish(l);
    uv_timer_start(&l->end, on_grace_over, 0, 0);
}

static void on_duration_over(uv_timer_t *timer)
{
    struct bench_load *l = timer->data;

    l->is_timed_out = true;
    bench_load_finish(l);
    if (!l->is_over && l->plan->mode != BENCH_OBSERVE)
        uv_timer_start(timer, on_grace_over, l->plan->grace / BENCH_MS, 0);
}

/* ---- The interrupt ---- */

static struct bench_load *running;

/* A second one is meant: it ends the program. */
static void on_signal(int number)
{
    int saved = errno;

    (void)number;
    running->was_interrupted = true;
    uv_async_send(&running->woken);
    errno = saved;
}

static void on_woken(uv_async_t *async)
{
    struct bench_load *l = async->data;

    if (!l->was_interrupted)
        return;
    bench_load_finish(l);
    cut(l);
}

static void catch_signals(struct bench_load *l, struct sigaction before[2])
{
    struct sigaction action;

    memset(&action, 0, sizeof(action));
    action.sa_handler = on_signal;
    action.sa_flags = (int)SA_RESETHAND;
    sigemptyset(&action.sa_mask);
    running = l;
    sigaction(SIGINT, &action, &before[0]);
    sigaction(SIGTERM, &action, &before[1]);
}

static void let_signals_go(const struct sigaction before[2])
{
    sigaction(SIGINT, &before[0], NULL);
    sigaction(SIGTERM, &before[1], NULL);
    running = NULL;
}

/* ---- Its beginning ---- */

static void on_interval(uv_timer_t *timer)
{
    struct bench_load *l = timer->data;

    l->plan->hooks.interval(l->plan->hooks.user, l);
    memset(&l->recent, 0, sizeof(l->recent));
}

static void open_handles(struct bench_load *l)
{
    (void)uv_timer_init(&l->loop, &l->end);
    (void)uv_timer_init(&l->loop, &l->ticks);
    l->end.data = l->ticks.data = l->woken.data = l;
}

static void start_timers(struct bench_load *l)
{
    const struct bench_plan *plan = l->plan;

    uv_update_time(&l->loop);
    if (plan->duration != 0)
        uv_timer_start(&l->end, on_duration_over, plan->duration / BENCH_MS, 0);
    if (plan->interval != 0)
        uv_timer_start(&l->ticks, on_interval, plan->interval / BENCH_MS,
                       plan->interval / BENCH_MS);
}

static int make_slots(struct bench_load *l)
{
    unsigned all = l->plan->window;

    l->slots = calloc(all, sizeof(*l->slots));
    if (l->slots == NULL)
        return COPAL_ENOMEM;
    for (unsigned i = all; i-- > 0;) {
        struct bench_slot *slot = &l->slots[i];

        slot->load = l;
        slot->source = &l->sources[i % l->plan->endpoints];
        slot->stay = 1 + i % 256; /* that not all of them move together */
        slot->next_idle = l->idle;
        l->idle = slot;
    }
    return 0;
}

static struct bench_slot *take_idle(struct bench_load *l)
{
    struct bench_slot *slot = l->idle;

    if (slot != NULL)
        l->idle = slot->next_idle;
    return slot;
}

static void begin(struct bench_load *l)
{
    unsigned at_once = l->plan->window;

    l->begun = bench_now();
    if (l->plan->rate != 0) {
        bench_pace_go_on(l);
        return;
    }
    if (l->plan->mode == BENCH_OBSERVE && at_once > AT_ONCE)
        at_once = AT_ONCE;
    for (; at_once > 0 && !l->is_ending; at_once--) {
        struct bench_slot *slot = take_idle(l);

        if (slot == NULL)
            break;
        if (l->plan->mode == BENCH_OBSERVE)
            bench_observe_start(slot);
        else
            bench_ask_start(slot, l->begun);
    }
}

/* ---- All of it ---- */

static bool owes_nothing(const struct bench_load *l)
{
    copal_stats now = {.size = sizeof(now)};

    for (unsigned i = 0; i < l->opened; i++)
        if (copal_get_stats(l->sources[i].c, &now) == 0 &&
            now.exchanges_open > 0)
            return false;
    return true;
}

static void on_look(uv_timer_t *timer)
{
    struct bench_load *l = timer->data;

    if (owes_nothing(l) || bench_now() - l->ended > FAREWELL_MS * BENCH_MS)
        uv_stop(&l->loop);
}

/* Servers are told that those who observed them leave. */
static void take_leave(struct bench_load *l)
{
    l->ended = bench_now();
    uv_timer_start(&l->ticks, on_look, LOOK_MS, LOOK_MS);
    uv_run(&l->loop, UV_RUN_DEFAULT);
    uv_timer_stop(&l->ticks);
}

static void run(struct bench_load *l)
{
    struct sigaction before[2];
    double cpu = cpu_seconds();
    uint64_t ended;

    catch_signals(l, before);
    start_timers(l);
    begin(l);
    bench_load_check(l);
    if (!l->is_over)
        uv_run(&l->loop, UV_RUN_DEFAULT);
    l->cpu = cpu_seconds() - cpu;
    ended = l->ended;
    uv_timer_stop(&l->ticks);
    if (l->plan->mode == BENCH_OBSERVE)
        take_leave(l);
    l->ended = ended;
    let_signals_go(before);
}

int bench_load_run(struct bench_load *l, const struct bench_plan *plan)
{
    int err;

    l->plan = plan;
    l->pace_fd = -1;
    if (uv_loop_init(&l->loop) != 0)
        return COPAL_EIO;
    if (uv_async_init(&l->loop, &l->woken, on_woken) != 0) {
        (void)uv_loop_close(&l->loop);
        return COPAL_EIO;
    }
    open_handles(l);
    err = bench_sources_open(l);
    if (err == 0)
        err = make_slots(l);
    if (err == 0 && plan->rate != 0 && bench_pace_open(l) != 0)
        err = COPAL_EIO;
    if (err == 0)
        run(l);
    bench_sources_close(l);
    bench_pace_close(l);
    uv_close((uv_handle_t *)&l->end, NULL);
    uv_close((uv_handle_t *)&l->ticks, NULL);
    uv_close((uv_handle_t *)&l->woken, NULL);
    uv_run(&l->loop, UV_RUN_DEFAULT);
    (void)uv_loop_close(&l->loop);
    free(l->slots);
    l->slots = NULL;
    return err;
}
