/* The module copal.process: processes of the same program, channels between
 * them that carry short texts and descriptors, and the signals of who looks
 * after them. What "copal serve --workers" does with these is in
 * copal/cli/workers.lua. Nothing here waits but poll(). */
#include "process.h"

#include <errno.h>
#include <fcntl.h>
#include <lauxlib.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

enum {
    MOST_TEXT = 8192, /* of one message */
    MOST_FDS = 16     /* that go with it */
};

static int push_failure(lua_State *L, const char *what)
{
    lua_pushnil(L);
    lua_pushstring(L, what);
    return 2;
}

/* "again": not now, there is no room or nothing came; "closed": the other end
 * is gone, or as good as that. */
static int push_errno(lua_State *L)
{
    bool later = errno == EAGAIN || errno == EWOULDBLOCK || errno == EINTR ||
                 errno == ENOBUFS || errno == ENOMEM;

    return push_failure(L, later ? "again" : "closed");
}

/* ---- Processes ---------------------------------------------------------- */

/* fork(): in the one 0, in the other its number; nil and why not. */
static int l_fork(lua_State *L)
{
    pid_t pid;

    fflush(NULL); /* what waits to be written is written once */
    pid = fork();
    if (pid < 0)
        return push_failure(L, strerror(errno));
    lua_pushinteger(L, pid);
    return 1;
}

static int l_pid(lua_State *L)
{
    lua_pushinteger(L, getpid());
    return 1;
}

/* reap(): of one that ended its number, and its exit status or "signal" and
 * which; nil: none did. */
static int l_reap(lua_State *L)
{
    int status;
    pid_t pid = waitpid(-1, &status, WNOHANG);

    if (pid <= 0)
        return 0;
    lua_pushinteger(L, pid);
    if (WIFSIGNALED(status)) {
        lua_pushliteral(L, "signal");
        lua_pushinteger(L, WTERMSIG(status));
        return 3;
    }
    lua_pushinteger(L, WEXITSTATUS(status));
    return 2;
}

/* kill(pid): at once, whatever it is doing. */
static int l_kill(lua_State *L)
{
    kill((pid_t)luaL_checkinteger(L, 1), SIGKILL);
    return 0;
}

/* ---- Signals ------------------------------------------------------------ */

static int signal_pipe[2] = {-1, -1};

static void on_signal(int number)
{
    int before = errno;
    unsigned char byte = (unsigned char)number;
    ssize_t written = write(signal_pipe[1], &byte, 1);

    (void)written; /* a full pipe wakes its reader as well */
    errno = before;
}

static void catch_with(void (*handler)(int))
{
    static const int numbers[] = {SIGINT, SIGTERM, SIGHUP, SIGCHLD};
    struct sigaction action;

    memset(&action, 0, sizeof(action));
    action.sa_handler = handler;
    action.sa_flags = SA_RESTART;
    sigemptyset(&action.sa_mask);
    for (size_t i = 0; i < sizeof(numbers) / sizeof(*numbers); i++)
        sigaction(numbers[i], &action, NULL);
}

static bool make_quiet(int fd)
{
    return fcntl(fd, F_SETFD, FD_CLOEXEC) == 0 &&
           fcntl(fd, F_SETFL, O_NONBLOCK) == 0;
}

/* signals(): from now on INT, TERM, HUP and CHLD only make a descriptor
 * readable, which it gives. */
static int l_signals(lua_State *L)
{
    if (pipe(signal_pipe) != 0 || !make_quiet(signal_pipe[0]) ||
        !make_quiet(signal_pipe[1]))
        return push_failure(L, strerror(errno));
    catch_with(on_signal);
    lua_pushinteger(L, signal_pipe[0]);
    return 1;
}

/* signalled(): the next that came, "INT", "TERM", "HUP" or "CHLD"; or nil. */
static int l_signalled(lua_State *L)
{
    unsigned char number;

    if (read(signal_pipe[0], &number, 1) != 1)
        return 0;
    lua_pushstring(L, number == SIGINT    ? "INT"
                      : number == SIGTERM ? "TERM"
                      : number == SIGHUP  ? "HUP"
                                          : "CHLD");
    return 1;
}

/* unsignalled(): in a process just forked: as before signals(), but that HUP,
 * which a terminal sends to all, is for its parent. */
static int l_unsignalled(lua_State *L)
{
    (void)L;
    catch_with(SIG_DFL);
    signal(SIGHUP, SIG_IGN);
    close(signal_pipe[0]);
    close(signal_pipe[1]);
    return 0;
}

/* ---- Channels ----------------------------------------------------------- */

/* pair(): the two ends of a channel. A message goes whole or not at all, and an
 * end learns that the other is gone. */
static int l_pair(lua_State *L)
{
    int ends[2];

    if (socketpair(AF_UNIX, SOCK_SEQPACKET, 0, ends) != 0)
        return push_failure(L, strerror(errno));
    if (!make_quiet(ends[0]) || !make_quiet(ends[1])) {
        close(ends[0]);
        close(ends[1]);
        return push_failure(L, strerror(errno));
    }
    lua_pushinteger(L, ends[0]);
    lua_pushinteger(L, ends[1]);
    return 2;
}

static int l_close(lua_State *L)
{
    close((int)luaL_checkinteger(L, 1));
    return 0;
}

union control {
    struct cmsghdr head;
    char room[CMSG_SPACE(MOST_FDS * sizeof(int))];
};

/* How many descriptors the list at i has; they are in fds. */
static size_t read_fds(lua_State *L, int i, int *fds)
{
    size_t count;

    if (lua_isnoneornil(L, i))
        return 0;
    count = lua_rawlen(L, i);
    luaL_argcheck(L, count <= MOST_FDS, i, "too many descriptors");
    for (size_t n = 0; n < count; n++) {
        lua_rawgeti(L, i, (lua_Integer)n + 1);
        fds[n] = (int)luaL_checkinteger(L, -1);
        lua_pop(L, 1);
    }
    return count;
}

/* send(fd, text, {descriptor...}): true; or nil and "again" or "closed". The
 * other end gets copies. */
static int l_send(lua_State *L)
{
    int fd = (int)luaL_checkinteger(L, 1), fds[MOST_FDS];
    struct iovec part;
    struct msghdr m = {.msg_iov = &part, .msg_iovlen = 1};
    union control control;
    size_t count = read_fds(L, 3, fds);

    part.iov_base = (void *)luaL_checklstring(L, 2, &part.iov_len);
    luaL_argcheck(L, part.iov_len <= MOST_TEXT, 2, "too long");
    if (count > 0) {
        memset(&control, 0, sizeof(control));
        m.msg_control = &control;
        m.msg_controllen = CMSG_SPACE(count * sizeof(int));
        control.head.cmsg_level = SOL_SOCKET;
        control.head.cmsg_type = SCM_RIGHTS;
        control.head.cmsg_len = CMSG_LEN(count * sizeof(int));
        memcpy(CMSG_DATA(&control.head), fds, count * sizeof(int));
    }
    if (sendmsg(fd, &m, MSG_NOSIGNAL) < 0)
        return push_errno(L);
    lua_pushboolean(L, 1);
    return 1;
}

static void push_fds(lua_State *L, struct msghdr *m)
{
    struct cmsghdr *c = CMSG_FIRSTHDR(m);
    size_t count = 0;
    int fd;

    if (c != NULL && c->cmsg_level == SOL_SOCKET && c->cmsg_type == SCM_RIGHTS)
        count = (c->cmsg_len - CMSG_LEN(0)) / sizeof(int);
    lua_createtable(L, (int)count, 0);
    for (size_t i = 0; i < count; i++) {
        memcpy(&fd, CMSG_DATA(c) + i * sizeof(int), sizeof(fd));
        (void)fcntl(fd, F_SETFD, FD_CLOEXEC);
        lua_pushinteger(L, fd);
        lua_rawseti(L, -2, (lua_Integer)i + 1);
    }
}

/* receive(fd): text and {descriptor...}, now one's own; or nil and "again" or
 * "closed". Nobody sends an empty text. */
static int l_receive(lua_State *L)
{
    char text[MOST_TEXT];
    struct iovec part = {text, sizeof(text)};
    union control control;
    struct msghdr m = {
        .msg_iov = &part,
        .msg_iovlen = 1,
        .msg_control = &control,
        .msg_controllen = sizeof(control),
    };
    ssize_t got = recvmsg((int)luaL_checkinteger(L, 1), &m, 0);

    if (got < 0)
        return push_errno(L);
    if (got == 0)
        return push_failure(L, "closed");
    lua_pushlstring(L, text, (size_t)got);
    push_fds(L, &m);
    return 2;
}

/* ---- Waiting ------------------------------------------------------------ */

static int add_fds(lua_State *L, int list, short events, struct pollfd *out)
{
    int count = (int)lua_rawlen(L, list);

    for (int i = 0; i < count; i++) {
        lua_rawgeti(L, list, i + 1);
        out[i] = (struct pollfd){.fd = (int)luaL_checkinteger(L, -1),
                                 .events = events};
        lua_pop(L, 1);
    }
    return count;
}

/* poll(seconds, {fd...}, {fd...}): waits (nil: without limit) until one of the
 * first has input or one of the others room; {[fd] = true}. */
static int l_poll(lua_State *L)
{
    lua_Number seconds = luaL_optnumber(L, 1, -1);
    int timeout = seconds < 0       ? -1
                  : seconds > 86400 ? 86400000
                                    : (int)(seconds * 1000) + 1;
    struct pollfd *all;
    int count;

    luaL_checktype(L, 2, LUA_TTABLE);
    luaL_checktype(L, 3, LUA_TTABLE);
    all = lua_newuserdatauv(
        L, (lua_rawlen(L, 2) + lua_rawlen(L, 3)) * sizeof(*all), 0);
    count = add_fds(L, 2, POLLIN, all);
    count += add_fds(L, 3, POLLOUT, all + count);
    lua_createtable(L, 0, count);
    if (poll(all, (nfds_t)count, timeout) <= 0)
        return 1;
    for (int i = 0; i < count; i++)
        if (all[i].revents != 0) {
            lua_pushboolean(L, 1);
            lua_rawseti(L, -2, all[i].fd);
        }
    return 1;
}

int copal_open_process(lua_State *L)
{
    static const luaL_Reg functions[] = {
        {"fork", l_fork},
        {"pid", l_pid},
        {"reap", l_reap},
        {"kill", l_kill},
        {"signals", l_signals},
        {"signalled", l_signalled},
        {"unsignalled", l_unsignalled},
        {"pair", l_pair},
        {"close", l_close},
        {"send", l_send},
        {"receive", l_receive},
        {"poll", l_poll},
        {NULL, NULL},
    };

    luaL_newlib(L, functions);
    return 1;
}
