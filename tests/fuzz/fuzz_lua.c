/* What the Lua module reads and writes as data: CBOR, JSON, SenML, links,
 * diagnostic notation. The first byte says which; lua_data.h and the files of
 * lua/copal/ do it in one Lua state, and oracles.lua says what must hold. Not
 * what is decoded, but any error that is thrown is a finding. */
#include <lauxlib.h>
#include <lualib.h>
#include <string.h>
#include "fuzz.h"
#include "base/bytes.h"

/* As lua_bridge.h has it, which needs all of the module. */
static void push_bytes(lua_State *L, copal_bytes b)
{
    lua_pushlstring(L, b.len == 0 ? "" : (const char *)b.data, b.len);
}

#include "lua_data.h"

static const luaL_Reg functions[] = {
    {"data_kinds", l_data_kinds},
    {"is_utf8", l_is_utf8},
    {"cbor_decode", l_cbor_decode},
    {"cbor_encode", l_cbor_encode},
    {"json_decode", l_json_decode},
    {"cbor_diagnostic", l_cbor_diagnostic},
    {NULL, NULL},
};

/* As much of the module as data needs: no endpoints. */
static int open_core(lua_State *L)
{
    luaL_newlib(L, functions);
    return 1;
}

/* With the function check(kind, bytes) of oracles.lua on its stack. */
static lua_State *open_state(void)
{
    lua_State *L = luaL_newstate();

    require(L != NULL);
    luaL_openlibs(L);
    lua_getglobal(L, "package");
    lua_getfield(L, -1, "preload");
    lua_pushcfunction(L, open_core);
    lua_setfield(L, -2, "copal_core");
    lua_pop(L, 1);
    lua_pushliteral(L, COPAL_LUA_DIR "/?.lua");
    lua_setfield(L, -2, "path");
    lua_pop(L, 1);
    if (luaL_dofile(L, COPAL_FUZZ_DIR "/oracles.lua") != 0)
        give_up(__FILE__, __LINE__, lua_tostring(L, -1));
    return L;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static lua_State *L;

    if (L == NULL)
        L = open_state();
    if (size == 0)
        return 0;
    lua_pushvalue(L, 1);
    lua_pushinteger(L, data[0]);
    lua_pushlstring(L, (const char *)data + 1, size - 1);
    if (lua_pcall(L, 2, 0, 0) != 0) {
        const char *text = luaL_tolstring(L, -1, NULL);

        give_up(__FILE__, __LINE__, text);
    }
    require(lua_gettop(L) == 1);
    return 0;
}
