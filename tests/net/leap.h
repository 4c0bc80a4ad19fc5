/* A clock that leaps: clock_gettime() defined here, where the dynamic linker finds
 * it first. To be included by one file of a program. */
#ifndef TESTS_NET_LEAP_H
#define TESTS_NET_LEAP_H

#include <stdatomic.h>
#include <stdint.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

static atomic_llong leapt; /* ms */

/* Found by libuv before the system's own. */
__attribute__((visibility("default"))) int clock_gettime(clockid_t id,
                                                         struct timespec *t)
{
    long long ms = atomic_load(&leapt);
    int err = (int)syscall(SYS_clock_gettime, id, t);

    if (err == 0 && id != CLOCK_REALTIME) {
        t->tv_sec += (time_t)(ms / 1000);
        t->tv_nsec += (long)(ms % 1000) * 1000000;
    }
    return err;
}

static inline uint64_t true_ms(void)
{
    struct timespec t;

    syscall(SYS_clock_gettime, CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000 + (uint64_t)t.tv_nsec / 1000000;
}

static inline void leap(int64_t ms)
{
    atomic_fetch_add(&leapt, ms);
}

#endif
