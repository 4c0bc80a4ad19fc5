/* The module copal.load, see open.c: what copal bench has the load made by. */
#ifndef COPAL_LUA_BENCH_BENCH_H
#define COPAL_LUA_BENCH_BENCH_H

#include <lua.h>

int copal_open_load(lua_State *L);

#endif
