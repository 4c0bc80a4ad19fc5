#include "support.h"

#include <stdarg.h>
#include <setjmp.h>
#include <cmocka.h>

#include <dirent.h>
#include <poll.h>
#include <time.h>

enum {
    MOST_ENDPOINTS = 4
};

uint64_t now_ms(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000 + (uint64_t)t.tv_nsec / 1000000;
}

void step_all(copal *const *all, size_t count, int limit)
{
    struct pollfd fds[MOST_ENDPOINTS];
    nfds_t there = 0;

    assert_true(count <= MOST_ENDPOINTS);
    for (size_t i = 0; i < count; i++) {
        int timeout;

        if (all[i] == NULL)
            continue;
        timeout = copal_timeout(all[i]);
        if (timeout >= 0 && timeout < limit)
            limit = timeout;
        fds[there++] =
            (struct pollfd){.fd = copal_fd(all[i]), .events = POLLIN};
    }
    poll(fds, there, limit);
    for (size_t i = 0; i < count; i++)
        if (all[i] != NULL)
            assert_int_equal(copal_step(all[i]), 0);
}

int open_fds(void)
{
    DIR *dir = opendir("/proc/self/fd");
    int count = 0;

    assert_non_null(dir);
    while (readdir(dir) != NULL)
        count++;
    closedir(dir);
    return count;
}
