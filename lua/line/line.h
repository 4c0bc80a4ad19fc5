/* The module copal.line: lines typed on a terminal, see edit.c; empty where it
 * was built without libedit (plain.c). */
#ifndef COPAL_LUA_LINE_LINE_H
#define COPAL_LUA_LINE_LINE_H

#include <lua.h>

int copal_open_line(lua_State *L);

#endif
