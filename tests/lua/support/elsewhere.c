/* A Lua whose state goes to another thread for a while, as where several of an
 * application's use it under a lock: elsewhere.run(fn) calls fn on a thread of its
 * own. elsewhere.used() gives the bytes that malloc() has given to anybody. */
#include <lauxlib.h>
#include <lua.h>
#include <malloc.h>
#include <pthread.h>

static void *call(void *state)
{
    lua_State *L = state;

    if (lua_pcall(L, 0, 0, 0) == LUA_OK)
        lua_pushnil(L);
    return NULL;
}

static int run(lua_State *L)
{
    pthread_t thread;

    luaL_checktype(L, 1, LUA_TFUNCTION);
    lua_settop(L, 1);
    if (pthread_create(&thread, NULL, call, L) != 0)
        return luaL_error(L, "no thread");
    pthread_join(thread, NULL);
    return lua_isnil(L, -1) ? 0 : lua_error(L);
}

static int used(lua_State *L)
{
    lua_pushinteger(L, (lua_Integer)mallinfo2().uordblks);
    return 1;
}

int luaopen_elsewhere(lua_State *L);

__attribute__((visibility("default"))) int luaopen_elsewhere(lua_State *L)
{
    lua_newtable(L);
    lua_pushcfunction(L, run);
    lua_setfield(L, -2, "run");
    lua_pushcfunction(L, used);
    lua_setfield(L, -2, "used");
    return 1;
}
