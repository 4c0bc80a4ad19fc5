/* The Lua files of this folder, carried inside the copal program. The table
 * is written at build time by embed.cmake. */
#ifndef COPAL_LUA_EMBEDDED_H
#define COPAL_LUA_EMBEDDED_H

#include <stddef.h>

struct embedded {
    const char *module; /* as require() asks for it: "copal.cli.get"      */
    const char *chunk;  /* for luaL_loadbuffer(): "@copal/cli/get.lua"     */
    const unsigned char *data;
    size_t len;
};

/* Ends with a row whose module is NULL. */
extern const struct embedded embedded_scripts[];

#endif
