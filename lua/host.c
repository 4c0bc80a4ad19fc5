/* The copal program: Lua, the core and their glue in one executable. It opens
 * Lua, makes the embedded modules loadable and hands the command line to
 * copal.cli.main, which returns the exit status. */
#include "bench/bench.h"
#include "embedded.h"
#include "line/line.h"
#include "process.h"
#include "slab.h"

#include <errno.h>
#include <fcntl.h>
#include <lauxlib.h>
#include <lua.h>
#include <lualib.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

int luaopen_copal_core(lua_State *L);

/* ---- What the commands want to know of the system ----------------------- */

static int l_isatty(lua_State *L)
{
    lua_pushboolean(L, isatty((int)luaL_checkinteger(L, 1)));
    return 1;
}

/* Columns of the terminal behind a descriptor; nil if it is none. */
static int l_columns(lua_State *L)
{
    struct winsize size;

    if (ioctl((int)luaL_checkinteger(L, 1), TIOCGWINSZ, &size) != 0 ||
        size.ws_col == 0)
        return 0;
    lua_pushinteger(L, size.ws_col);
    return 1;
}

/* Seconds of a clock that never goes back, for round trips. */
static int l_clock(lua_State *L)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    lua_pushnumber(L, (lua_Number)now.tv_sec + (lua_Number)now.tv_nsec / 1e9);
    return 1;
}

/* When a file was last written, in seconds; nil if it is not there. */
static int l_modified(lua_State *L)
{
    struct stat s;

    if (stat(luaL_checkstring(L, 1), &s) != 0)
        return 0;
    lua_pushnumber(L, (lua_Number)s.st_mtim.tv_sec +
                          (lua_Number)s.st_mtim.tv_nsec / 1e9);
    return 1;
}

/* write_secret(path, text): a file that nobody else may read, at once or not at
 * all. true, or nil and why. */
static int l_write_secret(lua_State *L)
{
    const char *path = luaL_checkstring(L, 1), *temp;
    size_t len;
    const char *text = luaL_checklstring(L, 2, &len);
    int fd, ok;

    temp = lua_pushfstring(L, "%s.%d", path, (int)getpid());
    fd = open(temp, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    ok = fd >= 0 && write(fd, text, len) == (ssize_t)len && fsync(fd) == 0;
    if (fd >= 0 && close(fd) != 0)
        ok = 0;
    if (ok && rename(temp, path) == 0) {
        lua_pushboolean(L, 1);
        return 1;
    }
    lua_pushnil(L);
    lua_pushstring(L, strerror(errno));
    if (fd >= 0)
        unlink(temp);
    return 2;
}

/* A crash right after must not bring the old one back. */
static int sync_folder_of(const char *path)
{
    const char *slash = strrchr(path, '/');
    char folder[4096];
    int fd, ok;

    if (slash == NULL)
        snprintf(folder, sizeof(folder), ".");
    else
        snprintf(folder, sizeof(folder), "%.*s",
                 slash == path ? 1 : (int)(slash - path), path);
    fd = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0)
        return 0;
    ok = fsync(fd) == 0;
    close(fd);
    return ok;
}

/* replace(path, by): the file by is path from now on, durably. true, or nil and
 * why. */
static int l_replace(lua_State *L)
{
    const char *path = luaL_checkstring(L, 1);

    if (rename(luaL_checkstring(L, 2), path) == 0 && sync_folder_of(path)) {
        lua_pushboolean(L, 1);
        return 1;
    }
    lua_pushnil(L);
    lua_pushstring(L, strerror(errno));
    return 2;
}

static int open_host(lua_State *L)
{
    static const luaL_Reg functions[] = {
        {"isatty", l_isatty},   {"columns", l_columns},
        {"clock", l_clock},     {"modified", l_modified},
        {"replace", l_replace}, {"write_secret", l_write_secret},
        {NULL, NULL},
    };

    luaL_newlib(L, functions);
    return 1;
}

/* ---- Embedded modules ---------------------------------------------------- */

/* The loader of one module; its row is the upvalue. */
static int load_embedded(lua_State *L)
{
    const struct embedded *e = lua_touserdata(L, lua_upvalueindex(1));

    if (luaL_loadbufferx(L, (const char *)e->data, e->len, e->chunk, "t") !=
        LUA_OK)
        return lua_error(L);
    lua_pushstring(L, e->module);
    lua_call(L, 1, 1);
    return 1;
}

static void preload(lua_State *L)
{
    luaL_getsubtable(L, LUA_REGISTRYINDEX, LUA_PRELOAD_TABLE);
    lua_pushcfunction(L, luaopen_copal_core);
    lua_setfield(L, -2, "copal_core");
    lua_pushcfunction(L, open_host);
    lua_setfield(L, -2, "copal.host");
    lua_pushcfunction(L, copal_open_line);
    lua_setfield(L, -2, "copal.line");
    lua_pushcfunction(L, copal_open_load);
    lua_setfield(L, -2, "copal.load");
    lua_pushcfunction(L, copal_open_process);
    lua_setfield(L, -2, "copal.process");
    for (const struct embedded *e = embedded_scripts; e->module != NULL; e++) {
        lua_pushlightuserdata(L, (void *)e);
        lua_pushcclosure(L, load_embedded, 1);
        lua_setfield(L, -2, e->module);
    }
    lua_pop(L, 1);
}

/* ---- Start ---------------------------------------------------------------- */

static int add_traceback(lua_State *L)
{
    if (lua_type(L, 1) == LUA_TSTRING)
        luaL_traceback(L, L, lua_tostring(L, 1), 1);
    return 1;
}

/* warn(), of which luaL_newstate() would know: off until "@on". A message may come
 * in pieces. */
static void on_warning(void *user, const char *text, int more)
{
    static bool is_on, is_inside;

    (void)user;
    if (!is_inside && more == 0 && *text == '@') {
        if (strcmp(text, "@on") == 0)
            is_on = true;
        else if (strcmp(text, "@off") == 0)
            is_on = false;
        return;
    }
    if (is_on)
        fprintf(stderr, "%s%s%s", is_inside ? "" : "Lua warning: ", text,
                more != 0 ? "" : "\n");
    is_inside = more != 0;
}

static struct slab memory;

static lua_State *new_state(void)
{
    lua_State *L = lua_newstate(slab_alloc, &memory);

    if (L != NULL)
        lua_setwarnf(L, on_warning, NULL);
    return L;
}

struct args {
    int argc;
    char **argv;
    int status;
};

static int start(lua_State *L)
{
    struct args *a = lua_touserdata(L, 1);

    luaL_openlibs(L);
    preload(L);
    lua_getglobal(L, "require");
    lua_pushliteral(L, "copal.cli.main");
    lua_call(L, 1, 1);
    luaL_checkstack(L, a->argc, "too many arguments");
    for (int i = 1; i < a->argc; i++)
        lua_pushstring(L, a->argv[i]);
    lua_call(L, a->argc - 1, 1);
    a->status = (int)luaL_optinteger(L, -1, 0);
    return 0;
}

/* A core would hold keys. Only the soft limit: whoever looks for a fault raises
 * it again, with prlimit or COPAL_CORE=1. */
static void leave_no_core(void)
{
    struct rlimit core;

    if (getenv("COPAL_CORE") != NULL || getrlimit(RLIMIT_CORE, &core) != 0)
        return;
    core.rlim_cur = 0;
    (void)setrlimit(RLIMIT_CORE, &core);
}

int main(int argc, char **argv)
{
    struct args a = {argc, argv, 1};
    lua_State *L = new_state();

    leave_no_core();
    if (L == NULL) {
        fputs("copal: out of memory\n", stderr);
        return 1;
    }
    lua_pushcfunction(L, add_traceback);
    lua_pushcfunction(L, start);
    lua_pushlightuserdata(L, &a);
    if (lua_pcall(L, 1, 0, 1) != LUA_OK) {
        const char *text = lua_tostring(L, -1);

        fprintf(stderr, "copal: %s\n", text != NULL ? text : "internal error");
        a.status = 1;
    }
    lua_close(L);
    slab_end(&memory);
    /* What did not reach the disk or the pipe was not a success. */
    if (fflush(stdout) != 0 && a.status == 0)
        a.status = 1;
    return a.status;
}
