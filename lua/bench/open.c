/* copal.load for scripts: run(plan) makes the load and gives what it came to.
 * A plan's fields are those of struct bench_plan, times in seconds, messages as
 * handles of copal_core; copal.cli.bench checks them. */
#include "bench/bench.h"
#include "bench/load.h"
#include "bench/results.h"

#include <lauxlib.h>
#include <string.h>

/* One run: where on the stack its plan is, and what its hooks threw. */
struct script {
    lua_State *L;
    struct bench_load *load;
    bool failed; /* a hook did; what it threw is at index failure */
    int plan, traceback, failure;
};

/* ---- The plan ---- */

static lua_Number number_at(lua_State *L, int plan, const char *name)
{
    lua_Number n;

    lua_getfield(L, plan, name);
    n = luaL_optnumber(L, -1, 0);
    lua_pop(L, 1);
    return n;
}

static uint64_t ns_at(lua_State *L, int plan, const char *name)
{
    return (uint64_t)(number_at(L, plan, name) * 1e9);
}

/* What the bridge has behind the box on top of the stack, which stays there. */
static const copal_msg *borrow(lua_State *L)
{
    const copal_msg *m;

    lua_getfield(L, LUA_REGISTRYINDEX, "copal.lend");
    lua_pushvalue(L, -2);
    lua_call(L, 1, 1);
    m = lua_touserdata(L, -1);
    lua_pop(L, 1);
    return m;
}

static const copal_msg *message_at(lua_State *L, int plan, const char *name)
{
    const copal_msg *m = NULL;

    if (lua_getfield(L, plan, name) != LUA_TNIL)
        m = borrow(L);
    lua_pop(L, 1); /* the plan keeps it */
    return m;
}

static bool has_function(lua_State *L, int plan, const char *name)
{
    bool has = lua_getfield(L, plan, name) == LUA_TFUNCTION;

    lua_pop(L, 1);
    return has;
}

static void read_params(lua_State *L, int plan, struct bench_plan *p)
{
    struct bench_param *list;

    lua_getfield(L, plan, "params");
    luaL_checktype(L, -1, LUA_TTABLE);
    p->param_count = lua_rawlen(L, -1) / 2;
    list = lua_newuserdatauv(L, (p->param_count + 1) * sizeof(*list), 0);
    for (size_t i = 0; i < p->param_count; i++) {
        lua_rawgeti(L, -2, (lua_Integer)(2 * i + 1));
        lua_rawgeti(L, -3, (lua_Integer)(2 * i + 2));
        list[i].number = (int)luaL_checkinteger(L, -2);
        list[i].value = luaL_checkinteger(L, -1);
        lua_pop(L, 2);
    }
    p->params = list;
    lua_remove(L, -2); /* list stays on the stack as long as the run */
}

static void read_text(lua_State *L, int plan, struct bench_plan *p)
{
    static const char *const modes[] = {"requests", "observe", "transfer",
                                        NULL};
    size_t len;

    lua_getfield(L, plan, "mode");
    p->mode = (enum bench_mode)luaL_checkoption(L, -1, "requests", modes);
    lua_getfield(L, plan, "from");
    p->from = luaL_optstring(L, -1, NULL);
    lua_getfield(L, plan, "body");
    p->body.data = (const uint8_t *)luaL_optlstring(L, -1, "", &len);
    p->body.len = len;
    lua_pop(L, 3); /* the plan keeps them */
}

static void read_plan(lua_State *L, int plan, struct bench_plan *p)
{
    luaL_checktype(L, plan, LUA_TTABLE);
    read_text(L, plan, p);
    p->model[BENCH_DOWN] = message_at(L, plan, "down");
    p->model[BENCH_UP] = message_at(L, plan, "up");
    p->flags = (unsigned)number_at(L, plan, "flags");
    p->rate = number_at(L, plan, "rate");
    p->count = (uint64_t)number_at(L, plan, "count");
    p->duration = ns_at(L, plan, "duration");
    p->grace = ns_at(L, plan, "grace");
    p->interval = ns_at(L, plan, "interval");
    p->window = (unsigned)number_at(L, plan, "window");
    p->endpoints = (unsigned)number_at(L, plan, "endpoints");
    luaL_argcheck(L, p->window > 0 && p->endpoints > 0, plan, "no window");
    read_params(L, plan, p);
}

/* ---- Hooks ---- */

/* What it threw stays at failure; the run ends. */
static void note_failure(struct script *s)
{
    lua_replace(s->L, s->failure);
    s->failed = true;
    bench_load_fail(s->load, COPAL_ECANCEL, "the script failed");
}

struct question {
    const copal_msg *model;
    uint64_t i;
    unsigned flags;
    bool more;
};

/* request(i): a message's handle and flags, nil, or false. The handle is
 * kept in the plan until the next one. */
static int ask_script(lua_State *L)
{
    struct question *q = lua_touserdata(L, 2);

    lua_getfield(L, 1, "request");
    lua_pushinteger(L, (lua_Integer)q->i);
    lua_call(L, 1, 2);
    q->more = !lua_isboolean(L, -2);
    if (!q->more || lua_isnil(L, -2))
        return 0;
    q->flags = (unsigned)luaL_checkinteger(L, -1);
    lua_pop(L, 1);
    q->model = borrow(L);
    lua_setfield(L, 1, "lent");
    return 0;
}

static bool on_request(void *user, uint64_t i, const copal_msg **model,
                       unsigned *flags)
{
    struct script *s = user;
    struct question q = {.i = i, .flags = *flags};

    if (s->failed)
        return false;
    lua_pushcfunction(s->L, ask_script);
    lua_pushvalue(s->L, s->plan);
    lua_pushlightuserdata(s->L, &q);
    if (lua_pcall(s->L, 2, 0, s->traceback) != LUA_OK) {
        note_failure(s);
        return false;
    }
    *model = q.model;
    *flags = q.flags;
    return q.more;
}

struct answer {
    const copal_msg *res;
    const char *name, *text;
    uint64_t ns;
};

/* response(handle or nil, ms, name, text) */
static int tell_script(lua_State *L)
{
    struct answer *a = lua_touserdata(L, 2);

    lua_getfield(L, 1, "response");
    if (a->res == NULL) {
        lua_pushnil(L);
    } else {
        lua_getfield(L, LUA_REGISTRYINDEX, "copal.lend");
        lua_pushlightuserdata(L, (void *)a->res);
        lua_call(L, 1, 1);
    }
    lua_pushnumber(L, (lua_Number)a->ns / 1e6);
    lua_pushstring(L, a->name);
    lua_pushstring(L, a->text);
    lua_call(L, 4, 0);
    return 0;
}

static void on_response(void *user, const copal_msg *res, uint64_t ns,
                        int status, const char *text)
{
    struct script *s = user;
    struct answer a = {res, status == 0 ? NULL : copal_errname(status), text,
                       ns};

    if (s->failed)
        return;
    lua_pushcfunction(s->L, tell_script);
    lua_pushvalue(s->L, s->plan);
    lua_pushlightuserdata(s->L, &a);
    if (lua_pcall(s->L, 2, 0, s->traceback) != LUA_OK)
        note_failure(s);
}

static int tell_interval(lua_State *L)
{
    lua_getfield(L, 1, "on_interval");
    bench_results_push_interval(L, lua_touserdata(L, 2));
    lua_call(L, 1, 0);
    return 0;
}

static void on_interval(void *user, const struct bench_load *l)
{
    struct script *s = user;

    lua_pushcfunction(s->L, tell_interval);
    lua_pushvalue(s->L, s->plan);
    lua_pushlightuserdata(s->L, (void *)l);
    if (lua_pcall(s->L, 2, 0, s->traceback) != LUA_OK)
        note_failure(s);
}

static void on_reuse(void *user)
{
    struct script *s = user;

    lua_getfield(s->L, s->plan, "on_reuse");
    if (lua_pcall(s->L, 0, 0, s->traceback) != LUA_OK)
        note_failure(s);
}

/* ---- run(plan) ---- */

static int add_traceback(lua_State *L)
{
    if (lua_type(L, 1) == LUA_TSTRING)
        luaL_traceback(L, L, lua_tostring(L, 1), 1);
    return 1;
}

/* What it came to; or nil, text, NAME. Throws what a hook threw. */
static int l_run(lua_State *L)
{
    struct bench_load *load;
    struct bench_plan plan = {0};
    struct script s = {.L = L, .plan = 1};
    int err;

    lua_settop(L, 1);
    read_plan(L, 1, &plan);
    load = lua_newuserdatauv(L, sizeof(*load), 0);
    memset(load, 0, sizeof(*load));
    lua_pushcfunction(L, add_traceback);
    s.traceback = lua_gettop(L);
    lua_pushnil(L);
    s.failure = lua_gettop(L);
    luaL_checkstack(L, 16, "a run");
    s.load = load;
    plan.hooks = (struct bench_hooks){
        .user = &s,
        .request = has_function(L, 1, "request") ? on_request : NULL,
        .response = has_function(L, 1, "response") ? on_response : NULL,
        .interval = on_interval,
        .reuse = on_reuse,
    };
    err = bench_load_run(load, &plan);
    if (s.failed) {
        lua_settop(L, s.failure);
        return lua_error(L);
    }
    if (err == 0) {
        bench_results_push(L, load);
        return 1;
    }
    lua_pushnil(L);
    lua_pushstring(L, load->why[0] != '\0' ? load->why : copal_strerror(err));
    lua_pushstring(L, copal_errname(err));
    return 3;
}

int copal_open_load(lua_State *L)
{
    static const luaL_Reg functions[] = {{"run", l_run}, {NULL, NULL}};

    luaL_newlib(L, functions);
    return 1;
}
