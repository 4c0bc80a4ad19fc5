/* The Lua side of the bindings: checked handles, callbacks, errors. Part of
 * the generated module (lua_bridge.i), so everything is static.
 *
 * A handle is a box: a userdata with one pointer, known by its size and by what it
 * begins with, the address of its type. Closing or collecting a box empties it,
 * so what is left of one in memory that another userdata gets is empty too; an
 * empty box, or anything else that is no box of the wanted type, is refused
 * before its pointer is read. */
#ifndef COPAL_LUA_BRIDGE_H
#define COPAL_LUA_BRIDGE_H

#include "endpoint.h"
#include "repeated.h"
#include <inttypes.h>
#include <poll.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* SWIG's report of a wrong argument reads any userdata as its own. */
#undef SWIG_fail_arg
#define SWIG_fail_arg(func_name, argnum, type) \
    { \
        SWIG_Lua_pushferrstring(L, "bad argument #%d to %s: %s expected", \
                                argnum, func_name, type); \
        goto fail; \
    }

typedef int64_t copal_count; /* a number, or a negative COPAL_E* */

/* ---- The state's own corner of the registry ----------------------------- */

enum {
    HOOKS = 8,
    MAX_IDLE = 16,   /* coroutines kept to be used again */
    MAX_SLOTS = 64,  /* places in the registry, likewise */
    MAX_SPARE = 16,  /* views made before they are needed */
    MAX_KEPT = 1024, /* messages and requests before the collector is pushed */
    MAX_STEPS = 4096 /* of the collector until they may be twice as many     */
};

/* What C gives of a view by itself. */
enum {
    FIELD_PATH,
    FIELD_PAYLOAD,
    FIELD_TEXT,
    FIELD_CODE,
    FIELD_HANDLE,
    FIELD_COUNT
};

struct handling;

struct runner {
    lua_State *co;
    int ref; /* in the registry */
};

/* What callbacks need; one per Lua state, as long-lived as the state. */
struct bridge {
    lua_State *thread; /* runs callbacks: never suspended, never collected */
    lua_State *spare;  /* has views on its stack, see prepare()            */
    int dispatcher;    /* references in the registry: dispatch(), ...      */
    int preparer;
    int collector;
    int handled_dispatcher;
    int end_dispatcher;
    int traceback;
    int sink;         /* takes errors of callbacks; LUA_NOREF: stderr     */
    int mute;         /* an endpoint is being collected: no more Lua      */
    int hooks[HOOKS]; /* what handlers() and asking() gave   */
    int view_class;   /* references to metatables            */
    int held_class;
    int unpacked_class;
    int request_class;
    int held_request_class;
    struct cp_mem *mem; /* of messages that were packed; NULL: none yet */
    size_t packed_most; /* bytes of one, since the last views were made */
    bool is_closing;
    bool is_looked_at;               /* look() was called since wait() began */
    const void *fields[FIELD_COUNT]; /* of a view: their address_of() */
    struct handling *handling;       /* the handler that runs now, innermost */
    struct runner idle[MAX_IDLE];
    int idle_count;
    int slots[MAX_SLOTS];
    int slot_count;
    int kept, kept_most,
        steps; /* messages and requests, see push_collector() */
};

static char bridge_key; /* its address is the key */

static struct bridge *get_bridge(lua_State *L)
{
    struct bridge *b;

    lua_pushlightuserdata(L, &bridge_key);
    lua_rawget(L, LUA_REGISTRYINDEX);
    b = lua_touserdata(L, -1);
    lua_pop(L, 1);
    return b;
}

static bool is_collecting(lua_State *L)
{
#ifdef LUA_GCISRUNNING
    return lua_gc(L, LUA_GCISRUNNING, 0) != 0;
#else
    (void)L;
    return true;
#endif
}

/* More small userdata are made that hold much in C each. The collector sees only
 * the bytes of Lua, and counts what waits for its finaliser as alive: where all
 * that is thrown away has one, each cycle would begin later than the one before.
 * So from some number on it is pushed until a cycle is over, or has had its time:
 * the generational one never tells, nor does one whose cycle ends as something else
 * is made. A script that has stopped it is left alone. */
static void push_collector(lua_State *L, struct bridge *b, int more)
{
    if (b->kept <= b->kept_most) {
        b->steps = 0; /* it came down again, cycle or not */
        return;
    }
    if (!is_collecting(L))
        return;
    b->steps += more;
    if (lua_gc(L, LUA_GCSTEP, more) == 0 && b->steps < MAX_STEPS)
        return;
    b->steps = 0;
    b->kept_most = b->kept > MAX_KEPT / 2 ? 2 * b->kept : MAX_KEPT;
}

/* ---- Boxes -------------------------------------------------------------- */

struct box_type;

struct box {
    const struct box_type *type;
    void *ptr; /* NULL: closed or collected */
};

/* Endpoints of a simulation are freed with it, so it knows their boxes. */
struct endpoint_box {
    struct box box;
    struct endpoint_box *next, **back; /* back NULL: in no simulation */
    struct bridge *b;                  /* NULL: not asked for yet      */
    struct repeated last;
};

struct box_type {
    const char *name;
    void *(*ref)(void *p); /* NULL: has one owner */
    void (*unref)(void *p);
};

static void *ref_message(void *p)
{
    return copal_msg_ref(p);
}

static void unref_message(void *p)
{
    copal_msg_unref(p);
}

static void *ref_exchange(void *p)
{
    return copal_exchange_ref(p);
}

static void unref_exchange(void *p)
{
    copal_exchange_unref(p);
}

static void free_endpoint(void *p)
{
    copal_free(p);
}

static struct box_type endpoint_type = {"endpoint", NULL, free_endpoint};
static struct box_type message_type = {"message", ref_message, unref_message};
static struct box_type exchange_type = {"exchange", ref_exchange,
                                        unref_exchange};

#if LUA_VERSION_NUM < 502
#define lua_rawlen lua_objlen
#endif

static struct box *to_box(lua_State *L, int i, struct box_type *type)
{
    struct box *box = lua_touserdata(L, i); /* light userdata has no length */

    if (box == NULL || lua_rawlen(L, i) < sizeof(*box))
        return NULL;
    return box->type == type ? box : NULL;
}

static void unpack_view(lua_State *L, int i);

static void *check_box(lua_State *L, int i, struct box_type *type)
{
    struct box *box = to_box(L, i, type);

    if (box != NULL && box->ptr == NULL && type == &message_type)
        unpack_view(L, i);
    if (box == NULL || box->ptr == NULL) {
        lua_pushfstring(L, "%s expected, got %s", type->name,
                        box != NULL ? "a closed one" : luaL_typename(L, i));
        luaL_argerror(L, i, lua_tostring(L, -1));
    }
    return box->ptr;
}

static void *new_box_of(lua_State *L, struct box_type *type, size_t size)
{
    struct box *box = lua_newuserdata(L, size);

    memset(box, 0, size);
    box->type = type;
    lua_pushlightuserdata(L, type);
    lua_rawget(L, LUA_REGISTRYINDEX);
    lua_setmetatable(L, -2);
    return box;
}

static struct box *new_box(lua_State *L, struct box_type *type)
{
    return new_box_of(L, type, sizeof(struct box));
}

/* An endpoint is about to be freed: out of its simulation's list, if it is in
 * one. */
static void unlink_endpoint(struct endpoint_box *e)
{
    forget_repeated(&e->last);
    if (e->back == NULL)
        return;
    *e->back = e->next;
    if (e->next != NULL)
        e->next->back = e->back;
    e->next = NULL;
    e->back = NULL;
}

/* Pushes nil, text, NAME; text NULL or empty: the error's general one, as for
 * ENOMEM, which leaves the sentence of the failure before. */
static int push_error(lua_State *L, int error, const char *text)
{
    if (error == COPAL_ENOMEM)
        text = NULL;
    lua_pushnil(L);
    lua_pushstring(L, text != NULL && *text != '\0' ? text
                                                    : copal_strerror(error));
    lua_pushstring(L, copal_errname(error));
    return 3;
}

/* The box on top takes the reference that comes with p. */
static int fill_box(lua_State *L, void *p)
{
    struct box *box = lua_touserdata(L, -1);

    if (p == NULL)
        return push_error(L, COPAL_ENOMEM, NULL);
    box->ptr = p;
    return 1;
}

static int push_shown(lua_State *L, struct box_type *type, const void *p)
{
    struct box *box;

    if (p == NULL) {
        lua_pushnil(L);
        return 1;
    }
    box = new_box(L, type);
    box->ptr = type->ref((void *)p);
    return 1;
}

/* Of a finaliser, which has the bridge as an upvalue. */
static void empty_box(lua_State *L, struct box *box, struct box_type *type)
{
    void *p = box->ptr;
    struct bridge *b = lua_touserdata(L, lua_upvalueindex(1));

    box->ptr = NULL;
    if (p == NULL)
        return;
    b->mute++;
    type->unref(p);
    b->mute--;
}

static int gc_endpoint(lua_State *L)
{
    struct box *box = to_box(L, 1, &endpoint_type);

    if (box != NULL) {
        unlink_endpoint((struct endpoint_box *)(void *)box);
        empty_box(L, box, &endpoint_type);
    }
    return 0;
}

static int gc_message(lua_State *L)
{
    struct box *box = to_box(L, 1, &message_type);

    if (box != NULL)
        empty_box(L, box, &message_type);
    return 0;
}

static int gc_exchange(lua_State *L)
{
    struct box *box = to_box(L, 1, &exchange_type);

    if (box != NULL)
        empty_box(L, box, &exchange_type);
    return 0;
}

static void make_type(lua_State *L, struct bridge *b, struct box_type *type,
                      lua_CFunction gc)
{
    lua_pushlightuserdata(L, type);
    lua_newtable(L);
    lua_pushlightuserdata(L, b);
    lua_pushcclosure(L, gc, 1);
    lua_setfield(L, -2, "__gc");
    lua_pushfstring(L, "copal %s", type->name);
    lua_setfield(L, -2, "__name");
    lua_pushboolean(L, 0); /* getmetatable() shows false: hands off */
    lua_setfield(L, -2, "__metatable");
    lua_rawset(L, LUA_REGISTRYINDEX);
}

/* ---- Arguments ---------------------------------------------------------- */

static lua_Integer check_integer(lua_State *L, int i, int64_t min, int64_t max)
{
    lua_Integer n;

#if LUA_VERSION_NUM < 503 /* where a fraction would be cut off */
    lua_Number given = luaL_checknumber(L, i);

    luaL_argcheck(L,
                  given >= -0x1p53 && given <= 0x1p53 &&
                      (lua_Number)(int64_t)given == given,
                  i, "number has no integer representation");
#endif
    n = luaL_checkinteger(L, i);
    luaL_argcheck(L, n >= min && n <= max, i, "number out of range");
    return n;
}

/* C ends text at a zero: text with one inside would be cut in silence. */
static const char *check_text(lua_State *L, int i)
{
    size_t len;
    const char *text = luaL_checklstring(L, i, &len);

    luaL_argcheck(L, strlen(text) == len, i, "text contains a zero byte");
    return text;
}

/* The sentence about the call that just failed, where the first argument
 * leads to the endpoint; NULL otherwise. */
static const char *why(lua_State *L)
{
    struct box *box = to_box(L, 1, &endpoint_type);
    copal *c = NULL;

    if (box != NULL)
        c = box->ptr;
    else if ((box = to_box(L, 1, &message_type)) != NULL)
        return box->ptr != NULL ? copal_msg_why(box->ptr) : NULL;
    else if ((box = to_box(L, 1, &exchange_type)) != NULL && box->ptr != NULL)
        c = copal_exchange_endpoint(box->ptr);
    return c != NULL ? copal_why(c) : NULL;
}

static void push_bytes(lua_State *L, copal_bytes bytes)
{
    lua_pushlstring(L, bytes.len == 0 ? "" : (const char *)bytes.data,
                    bytes.len);
}

#include "lua_view.h"
#include "lua_callback.h"
#include "lua_serve.h"
#include "lua_ask.h"
#include "lua_loop.h"
#include "lua_inspect.h"
#include "lua_sim.h"

/* ---- For other C in the same state -------------------------------------- */

/* In the registry as "copal.lend", where scripts do not find it: of a message's
 * box the message, as light userdata, and the other way round. */
static int lend_message(lua_State *L)
{
    if (lua_islightuserdata(L, 1))
        return show_view(L, lua_touserdata(L, 1));
    lua_pushlightuserdata(L, check_box(L, 1, &message_type));
    return 1;
}

/* ---- Opening ------------------------------------------------------------ */

static int keep_function(lua_State *L, lua_CFunction fn)
{
    lua_pushcfunction(L, fn);
    return luaL_ref(L, LUA_REGISTRYINDEX);
}

/* It is made before all else that has a finaliser, so this one is the last. */
static int gc_bridge(lua_State *L)
{
    struct bridge *b = lua_touserdata(L, 1);

    b->is_closing = true;
    if (b->mem != NULL)
        cp_mem_release(b->mem);
    b->mem = NULL;
    return 0;
}

static struct bridge *new_bridge(lua_State *L)
{
    struct bridge *b;

    lua_pushlightuserdata(L, &bridge_key);
    b = lua_newuserdata(L, sizeof(*b));
    memset(b, 0, sizeof(*b));
    lua_newtable(L);
    lua_pushcfunction(L, gc_bridge);
    lua_setfield(L, -2, "__gc");
    lua_setmetatable(L, -2);
    b->sink = LUA_NOREF;
    b->kept_most = MAX_KEPT;
    for (int i = 0; i < HOOKS; i++)
        b->hooks[i] = LUA_NOREF;
    b->thread = lua_newthread(L);
    luaL_ref(L, LUA_REGISTRYINDEX);
    b->spare = lua_newthread(L);
    luaL_ref(L, LUA_REGISTRYINDEX);
    b->dispatcher = keep_function(L, dispatch);
    b->preparer = keep_function(L, prepare);
    b->collector = keep_function(L, collect);
    b->handled_dispatcher = keep_function(L, dispatch_handled);
    b->end_dispatcher = keep_function(L, dispatch_end);
    push_traceback(L);
    b->traceback = luaL_ref(L, LUA_REGISTRYINDEX);
    lua_rawset(L, LUA_REGISTRYINDEX);
    return b;
}

static void init_bridge(lua_State *L)
{
    struct bridge *b;

    if (get_bridge(L) != NULL)
        return;
    b = new_bridge(L);
    make_type(L, b, &endpoint_type, gc_endpoint);
    make_type(L, b, &message_type, gc_message);
    make_type(L, b, &exchange_type, gc_exchange);
    make_type(L, b, &sim_type, gc_sim);
    make_view_type(L, b);
    make_request_type(L, b);
    lua_pushcfunction(L, lend_message);
    lua_setfield(L, LUA_REGISTRYINDEX, "copal.lend");
}

#endif
