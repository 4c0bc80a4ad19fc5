/* A system of which the Nth call of one kind fails: the calls that core/net and
 * libuv make for us, defined here, where the dynamic linker finds them first.
 * To be included by one file of a program. */
#ifndef TESTS_NET_FAULTS_H
#define TESTS_NET_FAULTS_H

#include <dlfcn.h>
#include <errno.h>
#include <ifaddrs.h>
#include <netdb.h>
#include <net/if.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define CALLS(X) \
    X(socket) \
    X(bind) \
    X(setsockopt) \
    X(getsockopt) \
    X(getsockname) \
    X(sendmmsg) \
    X(recvmmsg) \
    X(recvmsg) \
    X(ioctl) \
    X(epoll_create1) \
    X(epoll_ctl) \
    X(epoll_pwait) \
    X(eventfd) \
    X(getrandom) \
    X(getifaddrs) \
    X(if_nametoindex) \
    X(getaddrinfo) \
    X(pthread_create)

enum call {
#define X(name) CALL_##name,
    CALLS(X)
#undef X
    CALL_COUNT
};

static const char *const call_names[] = {
#define X(name) #name,
    CALLS(X)
#undef X
};

/* Which calls fail: nth to nth + width - 1 of their kind, counted from
 * begin_faults() on. */
static struct fault {
    enum call call;
    int error; /* errno */
    unsigned nth, width;
    bool is_on;
} fault;
static atomic_uint calls_seen[CALL_COUNT], calls_failed;

static void begin_faults(struct fault f)
{
    for (int i = 0; i < CALL_COUNT; i++)
        atomic_store(&calls_seen[i], 0);
    atomic_store(&calls_failed, 0);
    fault = f;
    fault.is_on = true;
}

static void end_faults(void)
{
    fault.is_on = false;
}

static bool fails(enum call call)
{
    unsigned n;

    if (!fault.is_on)
        return false;
    n = atomic_fetch_add(&calls_seen[call], 1) + 1;
    if (call != fault.call || n < fault.nth || n - fault.nth >= fault.width)
        return false;
    atomic_fetch_add(&calls_failed, 1);
    errno = fault.error;
    return true;
}

/* The system's own, behind ours. */
#define REAL(name) ((__typeof__(&name))dlsym(RTLD_NEXT, #name))

/* ISO C has no cast from the one kind of pointer to the other. */
#pragma GCC diagnostic ignored "-Wpedantic"
#pragma GCC diagnostic ignored "-Wmissing-prototypes"
#pragma GCC visibility push(default)

#define FAILING(type, name, parameters, arguments) \
    type name parameters \
    { \
        return fails(CALL_##name) ? (type)-1 : REAL(name) arguments; \
    }

FAILING(int, socket, (int domain, int type, int protocol),
        (domain, type, protocol))
FAILING(int, bind, (int fd, const struct sockaddr *name, socklen_t len),
        (fd, name, len))
FAILING(int, setsockopt,
        (int fd, int level, int option, const void *value, socklen_t len),
        (fd, level, option, value, len))
FAILING(int, getsockopt,
        (int fd, int level, int option, void *value, socklen_t *len),
        (fd, level, option, value, len))
FAILING(int, getsockname, (int fd, struct sockaddr *name, socklen_t *len),
        (fd, name, len))
FAILING(int, sendmmsg, (int fd, struct mmsghdr *all, unsigned count, int flags),
        (fd, all, count, flags))
FAILING(int, recvmmsg,
        (int fd, struct mmsghdr *all, unsigned count, int flags,
         struct timespec *limit),
        (fd, all, count, flags, limit))
FAILING(ssize_t, recvmsg, (int fd, struct msghdr *head, int flags),
        (fd, head, flags))
FAILING(int, epoll_create1, (int flags), (flags))
FAILING(int, epoll_pwait,
        (int epfd, struct epoll_event *events, int most, int ms,
         const sigset_t *mask),
        (epfd, events, most, ms, mask))
FAILING(int, eventfd, (unsigned count, int flags), (count, flags))
FAILING(ssize_t, getrandom, (void *out, size_t n, unsigned flags),
        (out, n, flags))
FAILING(int, getifaddrs, (struct ifaddrs * *all), (all))

unsigned if_nametoindex(const char *name)
{
    return fails(CALL_if_nametoindex) ? 0 : REAL(if_nametoindex)(name);
}

int getaddrinfo(const char *host, const char *service,
                const struct addrinfo *hints, struct addrinfo **all)
{
    if (fails(CALL_getaddrinfo))
        return errno == ENOMEM   ? EAI_MEMORY
               : errno == EAGAIN ? EAI_AGAIN
                                 : EAI_SYSTEM;
    return REAL(getaddrinfo)(host, service, hints, all);
}

int pthread_create(pthread_t *thread, const pthread_attr_t *attr,
                   void *(*run)(void *), void *user)
{
    return fails(CALL_pthread_create)
               ? EAGAIN
               : REAL(pthread_create)(thread, attr, run, user);
}

int ioctl(int fd, unsigned long request, ...)
{
    va_list list;
    void *argument;

    va_start(list, request);
    argument = va_arg(list, void *);
    va_end(list);
    return fails(CALL_ioctl) ? -1 : REAL(ioctl)(fd, request, argument);
}

/* libuv tries each descriptor before it takes it, and ends the program where
 * the system refuses it later on: only what it tries may fail. */
int epoll_ctl(int epfd, int what, int fd, struct epoll_event *event)
{
    bool is_try =
        what == EPOLL_CTL_ADD && event != NULL && event->data.fd == -1;

    return is_try && fails(CALL_epoll_ctl)
               ? -1
               : REAL(epoll_ctl)(epfd, what, fd, event);
}

#pragma GCC visibility pop
#endif
