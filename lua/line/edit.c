/* Lines with editing, history and completion, by libedit. It has one terminal
 * and keeps its state in globals, and so do we. A line is taken character by
 * character, as they come, so that the rest of the program goes on meanwhile. */
#include "line/line.h"

#include <editline/readline.h>
#include <lauxlib.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

static bool finished; /* the line is complete: text, or NULL at the end */
static char *text;
static lua_State *completing; /* whose function completes, while it reads */
static int completer = LUA_NOREF;

static void on_line(char *line)
{
    rl_callback_handler_remove();
    finished = true;
    text = line;
}

/* ---- Completion ---------------------------------------------------------- */

/* The i-th string of the list on top of the stack, for libedit to free. */
static char *list_item(lua_State *L, int i)
{
    const char *s;
    char *copy = NULL;

    lua_rawgeti(L, -1, i);
    s = lua_tostring(L, -1);
    if (s != NULL)
        copy = strdup(s);
    lua_pop(L, 1);
    return copy;
}

static char *next_match(const char *word, int state)
{
    static int i;
    lua_State *L = completing;
    char *match = NULL;

    if (state == 0)
        i = 0;
    if (L == NULL || completer == LUA_NOREF || !lua_checkstack(L, 4))
        return NULL;
    lua_rawgeti(L, LUA_REGISTRYINDEX, completer);
    lua_pushstring(L, word);
    if (lua_pcall(L, 1, 1, 0) == 0 && lua_istable(L, -1))
        match = list_item(L, ++i);
    lua_pop(L, 1);
    return match;
}

static char **complete(const char *word, int start, int end)
{
    (void)start;
    (void)end;
    rl_attempted_completion_over = 1; /* no file names */
    return rl_completion_matches(word, next_match);
}

/* ---- The module ------------------------------------------------------------ */

/* open(prompt): a line begins. */
static int l_open(lua_State *L)
{
    const char *prompt = luaL_checkstring(L, 1);

    finished = false;
    rl_callback_handler_install(prompt, on_line);
    return 0;
}

/* read(): takes what was typed. The line, false at the end of input, nil when
 * it is not complete yet. */
static int l_read(lua_State *L)
{
    completing = L;
    rl_callback_read_char();
    completing = NULL;
    if (!finished)
        return 0;
    finished = false;
    if (text == NULL)
        lua_pushboolean(L, 0);
    else
        lua_pushstring(L, text);
    free(text);
    text = NULL;
    return 1;
}

/* close(): the terminal as it was, whatever has been typed is forgotten. */
static int l_close(lua_State *L)
{
    (void)L;
    rl_callback_handler_remove();
    return 0;
}

static int l_remember(lua_State *L)
{
    add_history(luaL_checkstring(L, 1));
    return 0;
}

static int l_load(lua_State *L)
{
    lua_pushboolean(L, read_history(luaL_checkstring(L, 1)) == 0);
    return 1;
}

static int l_save(lua_State *L)
{
    lua_pushboolean(L, write_history(luaL_checkstring(L, 1)) == 0);
    return 1;
}

/* complete_with(fn): fn(word) gives a list of words that begin with it. */
static int l_complete_with(lua_State *L)
{
    luaL_checktype(L, 1, LUA_TFUNCTION);
    lua_settop(L, 1);
    luaL_unref(L, LUA_REGISTRYINDEX, completer);
    completer = luaL_ref(L, LUA_REGISTRYINDEX);
    return 0;
}

int copal_open_line(lua_State *L)
{
    static const luaL_Reg functions[] = {
        {"open", l_open},
        {"read", l_read},
        {"close", l_close},
        {"remember", l_remember},
        {"load", l_load},
        {"save", l_save},
        {"complete_with", l_complete_with},
        {NULL, NULL},
    };

    rl_readline_name = "copal";
    rl_catch_signals = 0; /* Ctrl-C is ours */
    rl_completer_word_break_characters = (char *)" \t\n\"'(){}[]=,;+-*/<>#";
    rl_attempted_completion_function = complete;
    using_history();
    stifle_history(1000);
    luaL_newlib(L, functions);
    return 1;
}
