/* From an event of the core to a Lua function: cells, arguments, errors. Part of
 * lua_bridge.h. */

/* One registered function. */
struct cell {
    struct bridge *bridge;
    int fn;
};

struct call {
    struct bridge *b;
    const copal_event *ev;
    void *user; /* a cell, or a request */
};

static void drop_cell(void *user)
{
    struct cell *cell = user;

    luaL_unref(cell->bridge->thread, LUA_REGISTRYINDEX, cell->fn);
    free(cell);
}

/* NAME or nil, and the sentence. */
static void push_status(lua_State *L, const copal_event *ev)
{
    const char *text = ev->text;

    if (ev->status != 0 && (text == NULL || *text == '\0'))
        text = copal_strerror(ev->status);
    lua_pushstring(L, ev->status == 0 ? NULL : copal_errname(ev->status));
    lua_pushstring(L, text);
}

/* The arguments after kind, by kind. Boxes of one exchange are many, so where
 * a script may wish to know it again its address comes along as a key. */
static int push_event(lua_State *L, const copal_event *ev)
{
    switch (ev->kind) {
    case COPAL_REQUEST: /* its message is the exchange's, for who wants it */
        push_shown(L, &exchange_type, ev->exchange);
        lua_pushlightuserdata(L, ev->exchange);
        lua_pushstring(L, ev->text);
        return 3;
    case COPAL_RESPONSE:
    case COPAL_STRAY: return show_view(L, ev->msg);
    case COPAL_CHUNK:
        show_view(L, ev->msg);
        push_shown(L, &exchange_type, ev->exchange);
        lua_pushinteger(L, (lua_Integer)ev->offset);
        lua_pushboolean(L, ev->last);
        lua_pushlightuserdata(L, ev->exchange);
        return 5;
    case COPAL_PULL:
        push_shown(L, &exchange_type, ev->exchange);
        lua_pushinteger(L, (lua_Integer)ev->offset);
        lua_pushinteger(L, (lua_Integer)ev->want);
        lua_pushlightuserdata(L, ev->exchange);
        return 4;
    case COPAL_PROGRESS:
        lua_pushinteger(L, (lua_Integer)ev->offset);
        lua_pushinteger(L, (lua_Integer)ev->total);
        return 2;
    case COPAL_SILENT:
    case COPAL_END:
        push_status(L, ev);
        lua_pushlightuserdata(L, ev->exchange);
        return 3;
    case COPAL_TRACE: lua_pushstring(L, ev->text); return 1;
    case COPAL_RESUMED:
    case COPAL_TIMER: return 0;
    }
    return 0;
}

/* Runs inside lua_pcall: lack of memory while the arguments are made and an
 * error of the function end there, none of them jumps through the core. */
static int dispatch(lua_State *L)
{
    const struct call *call = lua_touserdata(L, 1);

    lua_rawgeti(L, LUA_REGISTRYINDEX, ((struct cell *)call->user)->fn);
    lua_pushinteger(L, call->ev->kind);
    lua_call(L, 1 + push_event(L, call->ev), 0);
    return 0;
}

/* What lua_pcall() calls with an error: debug.traceback, which adds to text
 * and leaves everything else as it is; without it, nothing is added. */
static int no_traceback(lua_State *L)
{
    lua_settop(L, 1);
    return 1;
}

static void push_traceback(lua_State *L)
{
    lua_getglobal(L, "debug");
    if (lua_istable(L, -1)) {
        lua_getfield(L, -1, "traceback");
        lua_remove(L, -2);
    }
    if (!lua_isfunction(L, -1)) {
        lua_pop(L, 1);
        lua_pushcfunction(L, no_traceback);
    }
}

/* The error is on top of the stack. */
static void report(struct bridge *b)
{
    lua_State *T = b->thread;
    const char *text;

    if (b->sink != LUA_NOREF) {
        lua_rawgeti(T, LUA_REGISTRYINDEX, b->sink);
        lua_pushvalue(T, -2);
        if (lua_pcall(T, 1, 0, 0) == 0)
            return;
    }
    text = lua_type(T, -1) == LUA_TSTRING ? lua_tostring(T, -1) : NULL;
    fprintf(stderr, "copal: error in a callback: %s\n",
            text != NULL ? text : luaL_typename(T, -1));
}

/* Room for what a call of ours puts on the bridge's thread. False: nothing is to
 * be called. */
static bool has_room(struct bridge *b)
{
    return b->mute == 0 && lua_checkstack(b->thread, 8);
}

/* Comes first of a guarded call, before its function and arguments. */
static void push_guard(struct bridge *b)
{
    lua_rawgeti(b->thread, LUA_REGISTRYINDEX, b->traceback);
}

/* Calls a function on the bridge's thread, with the n arguments on top, for no
 * results. False: something was thrown, which is told. */
static bool call_guarded(struct bridge *b, int n)
{
    lua_State *T = b->thread;
    int guard = lua_gettop(T) - n - 1;
    bool is_well = lua_pcall(T, n, 0, guard) == 0;

    if (!is_well)
        report(b);
    lua_settop(T, guard - 1);
    return is_well;
}

/* Runs dispatcher, a reference, for an event. False: something was thrown,
 * which is told. */
static bool deliver(struct bridge *b, int dispatcher, const copal_event *ev,
                    void *user)
{
    lua_State *T = b->thread;
    struct call call = {b, ev, user};

    if (!has_room(b))
        return true;
    push_guard(b);
    lua_rawgeti(T, LUA_REGISTRYINDEX, dispatcher);
    lua_pushlightuserdata(T, &call);
    return call_guarded(b, 1);
}

/* Runs inside lua_pcall, for finalisers of others. */
static int collect(lua_State *L)
{
    lua_gc(L, LUA_GCCOLLECT, 0);
    return 0;
}

/* Requests are refused for want of memory. Of that garbage may hold much, which the
 * collector does not see, and which nothing makes it look for as long as no handler
 * runs. A script that has stopped it is left alone. */
static void on_shortage(void *user)
{
    struct bridge *b = user;

    if (b->is_closing || b->kept == 0 || !is_collecting(b->thread))
        return;
    deliver(b, b->collector, NULL, NULL);
}

static void on_event(const copal_event *ev, void *user)
{
    struct cell *cell = user;

    deliver(cell->bridge, cell->bridge->dispatcher, ev, cell);
}

/* nil: nobody wants to be told. */
static void check_callback(lua_State *L, int i, copal_cb *cb)
{
    struct bridge *b = get_bridge(L);
    struct cell *cell;
    int fn;

    *cb = (copal_cb){NULL, NULL, NULL};
    if (lua_isnoneornil(L, i))
        return;
    luaL_checktype(L, i, LUA_TFUNCTION);
    lua_pushvalue(L, i);
    fn = luaL_ref(L, LUA_REGISTRYINDEX);
    cell = malloc(sizeof(*cell));
    if (cell == NULL) {
        luaL_unref(L, LUA_REGISTRYINDEX, fn);
        luaL_error(L, "out of memory");
        return;
    }
    *cell = (struct cell){b, fn};
    *cb = (copal_cb){on_event, cell, drop_cell};
}

static int l_on_error(lua_State *L)
{
    struct bridge *b = get_bridge(L);

    if (!lua_isnoneornil(L, 1))
        luaL_checktype(L, 1, LUA_TFUNCTION);
    luaL_unref(L, LUA_REGISTRYINDEX, b->sink);
    b->sink = LUA_NOREF;
    if (lua_isnoneornil(L, 1))
        return 0;
    lua_settop(L, 1);
    b->sink = luaL_ref(L, LUA_REGISTRYINDEX);
    return 0;
}
