/* What CBOR and JSON have in common in Lua: the values that Lua has no word
 * for, and memory that survives a longjmp. Part of lua_bridge.i.
 *
 * Lua errors leave C functions by longjmp: what a conversion allocates hangs
 * on a keeper, a userdata that the collector frees when nobody else did. */
#ifndef COPAL_LUA_DATA_H
#define COPAL_LUA_DATA_H

#include "base/buf.h"
#include "base/utf8.h"
#include "wire/cbor_print.h"

#include <assert.h>
#include <jansson.h>
#include <math.h>

/* ---- Keepers ------------------------------------------------------------ */

struct keeper {
    struct cp_mem *mem;
    struct cp_buf buf;
    json_t *json;
};

static char keeper_key; /* its address is the key of the metatable */

static void empty_keeper(struct keeper *k)
{
    json_decref(k->json);
    k->json = NULL;
    if (k->mem != NULL) {
        cp_buf_free(&k->buf);
        cp_mem_release(k->mem);
    }
    k->mem = NULL;
}

static int gc_keeper(lua_State *L)
{
    empty_keeper(lua_touserdata(L, 1));
    return 0;
}

/* Pushes a keeper with an empty buffer. */
static struct keeper *new_keeper(lua_State *L)
{
    struct keeper *k = lua_newuserdata(L, sizeof(*k));

    memset(k, 0, sizeof(*k));
    lua_pushlightuserdata(L, &keeper_key);
    lua_rawget(L, LUA_REGISTRYINDEX);
    if (lua_isnil(L, -1)) {
        lua_pop(L, 1);
        lua_newtable(L);
        lua_pushcfunction(L, gc_keeper);
        lua_setfield(L, -2, "__gc");
        lua_pushlightuserdata(L, &keeper_key);
        lua_pushvalue(L, -2);
        lua_rawset(L, LUA_REGISTRYINDEX);
    }
    lua_setmetatable(L, -2);
    k->mem = cp_mem_new(NULL, NULL);
    if (k->mem == NULL)
        luaL_error(L, "out of memory");
    k->buf = cp_buf_new(k->mem);
    return k;
}

/* Pushes what k's buffer holds and empties k. */
static void push_kept(lua_State *L, struct keeper *k)
{
    copal_bytes out;

    if (cp_buf_finish(&k->buf, &out) != 0)
        luaL_error(L, "out of memory");
    lua_pushlstring(L, out.len == 0 ? "" : (const char *)out.data, out.len);
    empty_keeper(k);
}

/* ---- Values that Lua has no word for ------------------------------------ */

/* Slots of the table that copal.data gives to data_kinds(): the values null
 * and undefined, and the metatables of the others. */
enum {
    KIND_NULL = 1,
    KIND_UNDEFINED,
    KIND_ARRAY,  /* { 1, 2 }                     */
    KIND_OBJECT, /* { a = 1 }                    */
    KIND_BYTES,  /* { bytes = "..." }            */
    KIND_TAG,    /* { tag = 1, value = 1.5 }     */
    KIND_SIMPLE  /* { simple = 99 }              */
};

static char kinds_key;

static int l_data_kinds(lua_State *L)
{
    luaL_checktype(L, 1, LUA_TTABLE);
    lua_pushlightuserdata(L, &kinds_key);
    lua_pushvalue(L, 1);
    lua_rawset(L, LUA_REGISTRYINDEX);
    return 0;
}

/* Pushes that table; where it is. */
static int push_kinds(lua_State *L)
{
    lua_pushlightuserdata(L, &kinds_key);
    lua_rawget(L, LUA_REGISTRYINDEX);
    if (!lua_istable(L, -1))
        luaL_error(L, "copal.data is not loaded");
    return lua_gettop(L);
}

/* Marks the table on top. It must be one: what is no table shares its
 * metatable with all others of its type. */
static void set_kind(lua_State *L, int kinds, int kind)
{
    assert(lua_istable(L, -1));
    lua_rawgeti(L, kinds, kind);
    lua_setmetatable(L, -2);
}

/* Which kind the table at i is; 0: an ordinary one. */
static int kind_of(lua_State *L, int kinds, int i)
{
    int found = 0;

    for (int kind = KIND_NULL; kind <= KIND_UNDEFINED; kind++) {
        lua_rawgeti(L, kinds, kind);
        if (lua_rawequal(L, -1, i))
            found = kind;
        lua_pop(L, 1);
    }
    if (found != 0 || !lua_getmetatable(L, i))
        return found;
    for (int kind = KIND_ARRAY; kind <= KIND_SIMPLE && found == 0; kind++) {
        lua_rawgeti(L, kinds, kind);
        if (lua_rawequal(L, -1, -2))
            found = kind;
        lua_pop(L, 1);
    }
    lua_pop(L, 1);
    return found;
}

static size_t raw_len(lua_State *L, int i)
{
#if LUA_VERSION_NUM >= 502
    return (size_t)lua_rawlen(L, i);
#else
    return lua_objlen(L, i);
#endif
}

/* ---- Numbers ------------------------------------------------------------ */

/* The number at i as an integer, if it is one: in Lua 5.3 and later by its
 * type, before that by its value. */
static bool to_integer(lua_State *L, int i, int64_t *n)
{
#if LUA_VERSION_NUM >= 503
    *n = lua_tointeger(L, i);
    return lua_isinteger(L, i);
#else
    double number = lua_tonumber(L, i);

    if (!(number >= -9007199254740992.0 && number <= 9007199254740992.0) ||
        (number == 0 && signbit(number)))
        return false;
    *n = (int64_t)number;
    return (double)*n == number;
#endif
}

/* Pushes n if Lua's numbers hold it exactly. */
static bool push_exactly(lua_State *L, int64_t n)
{
#if LUA_VERSION_NUM >= 503
    lua_pushinteger(L, (lua_Integer)n);
    return true;
#else
    if (n < -9007199254740992 || n > 9007199254740992)
        return false;
    lua_pushnumber(L, (lua_Number)n);
    return true;
#endif
}

/* is_utf8(text) */
static int l_is_utf8(lua_State *L)
{
    size_t len;
    const char *text = luaL_checklstring(L, 1, &len);

    lua_pushboolean(L, cp_utf8_is_valid(cp_bytes(text, len)));
    return 1;
}

#include "lua_cbor.h"
#include "lua_json.h"

#endif
