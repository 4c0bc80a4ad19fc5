/* A Lua that runs out of memory at will: starved.fail_at(n) makes the nth
 * allocation from now on fail, and what Lua tries again at once; 0: none any
 * more. It gives how many there were since the last call, and whether one
 * failed. */
#include <lauxlib.h>
#include <lua.h>
#include <stdbool.h>

static struct {
    lua_Alloc real;
    void *user;
    lua_Integer asked, fail_at;
    bool failed;
} memory;

static void *allocate(void *user, void *p, size_t old, size_t size)
{
    bool grows = size > 0 && (p == NULL || size > old);

    (void)user;
    if (grows && ++memory.asked >= memory.fail_at && memory.fail_at > 0 &&
        memory.asked <= memory.fail_at + 1) {
        memory.failed = true;
        return NULL;
    }
    return memory.real(memory.user, p, old, size);
}

static int fail_at(lua_State *L)
{
    lua_Integer n = luaL_checkinteger(L, 1);

    memory.fail_at = 0;
    lua_pushinteger(L, memory.asked);
    lua_pushboolean(L, memory.failed);
    memory.asked = 0;
    memory.failed = false;
    memory.fail_at = n;
    return 2;
}

int luaopen_starved(lua_State *L);

__attribute__((visibility("default"))) int luaopen_starved(lua_State *L)
{
    lua_newtable(L);
    lua_pushcfunction(L, fail_at);
    lua_setfield(L, -2, "fail_at");
    memory.real = lua_getallocf(L, &memory.user);
    lua_setallocf(L, allocate, NULL);
    return 1;
}
