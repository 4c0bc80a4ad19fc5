/* The module's entry, instead of SWIG's. SWIG fills its own static tables in
 * when first opened and takes no lock: programs with a Lua state a thread take
 * turns here. Part of lua_bridge.i. */
#include <pthread.h>

/* SWIG's entry keeps its body, under a name nobody else sees. */
#undef SWIGEXPORT
#define SWIGEXPORT static
#undef SWIG_init
#define SWIG_init open_generated
static int open_generated(lua_State *L);

/* A module table of plain functions and numbers: without the metatable that
 * SWIG gives it, and without the globals it leaves behind. */
static void tidy_module(lua_State *L)
{
    lua_pushnil(L);
    lua_setmetatable(L, -2);
    lua_pushnil(L);
    lua_setglobal(L, "swig_type");
    lua_pushnil(L);
    lua_setglobal(L, "swig_equals");
}

__attribute__((visibility("default"))) int luaopen_copal_core(lua_State *L)
{
    static pthread_mutex_t turn = PTHREAD_MUTEX_INITIALIZER;
    int err;

    lua_settop(L, 0);
    lua_pushcfunction(L, open_generated);
    pthread_mutex_lock(&turn);
    err = lua_pcall(L, 0, 1, 0);
    pthread_mutex_unlock(&turn);
    if (err != 0)
        return lua_error(L);
    tidy_module(L);
    return 1;
}
