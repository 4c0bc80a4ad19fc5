/* The open loop: requests begin when they are due, whatever became of those
 * before. One that had to wait for a slot keeps the time at which it was due,
 * and that is what its answer is measured from: a server that stands still is
 * seen by everybody who would have asked it meanwhile. What waits is a number,
 * so it takes no memory. */
#include "bench/load.h"

#include <errno.h>
#ifdef __linux__
#include <sys/timerfd.h>
#include <unistd.h>
#endif

static uint64_t due_at(const struct bench_load *l, uint64_t i)
{
    return l->begun + (uint64_t)((double)i * 1e9 / l->plan->rate);
}

/* How many are due in the whole run. However late its end is noticed, they are
 * no more. */
static uint64_t due_in_all(const struct bench_plan *plan)
{
    double most = plan->duration == 0
                      ? 1e18
                      : (double)plan->duration / 1e9 * plan->rate + 0.5;

    return plan->count != 0 && (double)plan->count < most ? plan->count
                                                          : (uint64_t)most;
}

uint64_t bench_pace_due(const struct bench_load *l, uint64_t now)
{
    double due = (double)(now - l->begun) / 1e9 * l->plan->rate + 1;
    uint64_t all = due_in_all(l->plan);

    return due < (double)all ? (uint64_t)due : all;
}

/* ---- Waiting: libuv's timers know milliseconds only ---- */

#ifdef __linux__

static void wait_until(struct bench_load *l, uint64_t at)
{
    struct itimerspec when = {.it_value = {.tv_sec = (time_t)(at / 1000000000),
                                           .tv_nsec = (long)(at % 1000000000)}};

    (void)timerfd_settime(l->pace_fd, TFD_TIMER_ABSTIME, &when, NULL);
}

static void on_due(uv_poll_t *poll, int status, int events)
{
    struct bench_load *l = poll->data;
    uint64_t times;

    (void)status;
    (void)events;
    if (read(l->pace_fd, &times, sizeof(times)) > 0)
        bench_pace_go_on(l);
}

int bench_pace_open(struct bench_load *l)
{
    l->pace_fd = timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK | TFD_CLOEXEC);
    if (l->pace_fd < 0)
        return errno;
    (void)uv_poll_init(&l->loop, &l->pace, l->pace_fd);
    l->pace.data = l;
    (void)uv_poll_start(&l->pace, UV_READABLE, on_due);
    return 0;
}

static void on_closed(uv_handle_t *handle)
{
    struct bench_load *l = handle->data;

    close(l->pace_fd);
    l->pace_fd = -1;
}

void bench_pace_close(struct bench_load *l)
{
    if (l->pace_fd >= 0)
        uv_close((uv_handle_t *)&l->pace, on_closed);
}

#else

static void on_due(uv_timer_t *timer)
{
    bench_pace_go_on(timer->data);
}

static void wait_until(struct bench_load *l, uint64_t at)
{
    uint64_t now = bench_now();

    uv_timer_start(&l->pace_timer, on_due,
                   at > now ? (at - now + BENCH_MS - 1) / BENCH_MS : 0, 0);
}

int bench_pace_open(struct bench_load *l)
{
    l->pace_fd = 0;
    (void)uv_timer_init(&l->loop, &l->pace_timer);
    l->pace_timer.data = l;
    return 0;
}

void bench_pace_close(struct bench_load *l)
{
    if (l->pace_fd >= 0)
        uv_close((uv_handle_t *)&l->pace_timer, NULL);
}

#endif

void bench_pace_go_on(struct bench_load *l)
{
    uint64_t now = bench_now(), all = due_in_all(l->plan);

    while (!l->is_ending && l->idle != NULL) {
        uint64_t due = due_at(l, l->given);
        struct bench_slot *slot = l->idle;

        if (l->given >= all) {
            if (l->plan->count == all)
                bench_load_finish(l);
            return; /* else it is over when its time is */
        }
        if (due > now)
            now = bench_now();
        if (due > now) {
            wait_until(l, due);
            return;
        }
        l->delayed += now - due > BENCH_MS;
        l->idle = slot->next_idle;
        slot->source = &l->sources[l->next_source++ % l->plan->endpoints];
        bench_ask_start(slot, due);
    }
}
