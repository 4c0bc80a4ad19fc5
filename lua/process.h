/* The module copal.process, see process.c. */
#ifndef COPAL_LUA_PROCESS_H
#define COPAL_LUA_PROCESS_H

#include <lua.h>

int copal_open_process(lua_State *L);

#endif
