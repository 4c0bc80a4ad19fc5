/* Requests as scripts make them: one crossing to begin, one to tell the end.
 * Part of lua_bridge.h.
 *
 * The response waits here until END, as bytes that are there already: Lua may
 * run out of memory while it is handed over, but then its asker is told so. */

/* The callback of a request: a cell whose function hears how it ended. */
struct asked {
    struct cell cell;
    int others;              /* reference to what takes other events, NOREF */
    int refs;                /* the core's, and that of a call under way    */
    copal_msg *response;     /* the first, or NULL                          */
    struct request_box *box; /* NULL: collected                             */
    bool told;               /* its function was called                     */
    bool is_starved;         /* there was no memory for a piece of it       */
};

/* What a script has of it: an exchange's box, told from others by size. */
struct request_box {
    struct box box;
    copal_msg *m; /* the request */
    struct asked *asked;
    int done;
};

enum { /* what asking() keeps, behind what handlers() does */
    NEW_ERROR = MESSAGE_CLASS + 1,
    NO_MEMORY
};

static struct request_box *to_request(lua_State *L, int i)
{
    struct request_box *r = lua_touserdata(L, i);

    if (r == NULL || lua_rawlen(L, i) < sizeof(*r))
        return NULL;
    return r->box.type == &exchange_type ? r : NULL;
}

static int gc_request(lua_State *L)
{
    struct request_box *r = to_request(L, 1);

    if (r == NULL)
        return 0;
    if (r->asked != NULL)
        r->asked->box = NULL;
    r->asked = NULL;
    if (r->m != NULL) {
        struct bridge *b = lua_touserdata(L, lua_upvalueindex(1));

        b->kept--;
    }
    copal_msg_unref(r->m);
    r->m = NULL;
    empty_box(L, &r->box, &exchange_type);
    return 0;
}

/* It is over. The collector sees a few bytes, and not what they hold: so that is
 * let go of here. */
static void leave_request(struct request_box *r)
{
    copal_exchange *x = r->box.ptr;

    r->done = 1;
    r->box.ptr = NULL;
    copal_exchange_unref(x);
}

static void drop_asked(void *user)
{
    struct asked *a = user;

    if (--a->refs > 0)
        return;
    if (a->box != NULL) {
        a->box->asked = NULL;
        leave_request(a->box);
    }
    copal_msg_unref(a->response);
    luaL_unref(a->cell.bridge->thread, LUA_REGISTRYINDEX, a->others);
    drop_cell(&a->cell);
}

/* ---- The end ------------------------------------------------------------ */

/* Pushes what the function is called with where there is no response: true if
 * none was wanted, or nil and an error. */
static int push_outcome(lua_State *L, const struct asked *a,
                        const copal_event *ev)
{
    if (ev->status == 0 && !a->is_starved) {
        lua_pushboolean(L, 1);
        return 1;
    }
    if (a->is_starved) {
        lua_pushnil(L);
        push_hook(L, a->cell.bridge, NO_MEMORY);
        return 2;
    }
    push_hook(L, a->cell.bridge, NEW_ERROR);
    push_status(L, ev);
    lua_call(L, 2, 1);
    lua_pushnil(L);
    lua_insert(L, -2);
    return 2;
}

/* Runs inside lua_pcall, as dispatch() does. */
static int dispatch_end(lua_State *L)
{
    const struct call *call = lua_touserdata(L, 1);
    struct asked *a = call->user;
    int n;

    lua_rawgeti(L, LUA_REGISTRYINDEX, a->cell.fn);
    n = push_outcome(L, a, call->ev);
    a->told = true;
    lua_call(L, n, 0);
    return 0;
}

/* False: there was no memory to tell it. */
static bool tell_response(struct asked *a, const copal_event *ev)
{
    struct bridge *b = a->cell.bridge;

    while (lua_gettop(b->spare) == 0)
        if (!deliver(b, b->preparer, ev, a))
            return false;
    push_guard(b);
    lua_rawgeti(b->thread, LUA_REGISTRYINDEX, a->cell.fn);
    take_view(b->thread, b, a->response, NULL);
    call_guarded(b, 1);
    return true;
}

static bool tell_end(struct asked *a, const copal_event *ev)
{
    struct bridge *b = a->cell.bridge;

    if (ev->status != 0 || a->is_starved || a->response == NULL)
        return deliver(b, b->end_dispatcher, ev, a);
    return !has_room(b) || tell_response(a, ev);
}

static void on_asked_end(struct asked *a, const copal_event *ev)
{
    struct bridge *b = a->cell.bridge;

    if (a->box != NULL)
        leave_request(a->box);
    if (tell_end(a, ev) || a->told)
        return;
    /* An error made beforehand takes no memory. */
    a->is_starved = true;
    deliver(b, b->end_dispatcher, ev, a);
}

static void on_asked_other(struct asked *a, const copal_event *ev)
{
    struct bridge *b = a->cell.bridge;
    struct cell others = {b, a->others};

    if (ev->kind == COPAL_RESPONSE && a->response == NULL)
        a->response = copal_msg_ref((copal_msg *)ev->msg);
    if (a->others == LUA_NOREF || deliver(b, b->dispatcher, ev, &others))
        return;
    /* What a script's functions throw is caught before it gets here. */
    if (ev->kind == COPAL_CHUNK || ev->kind == COPAL_PULL) {
        a->is_starved = true;
        copal_cancel(ev->exchange);
    }
}

/* Whoever is called may free the endpoint, and the core lets go of us. */
static void on_asked(const copal_event *ev, void *user)
{
    struct asked *a = user;

    a->refs++;
    if (ev->kind == COPAL_END)
        on_asked_end(a, ev);
    else
        on_asked_other(a, ev);
    drop_asked(a);
}

/* ---- The beginning ------------------------------------------------------ */

static struct request_box *new_request(lua_State *L, struct bridge *b)
{
    struct request_box *r;

    push_collector(L, b, 1);
    r = lua_newuserdata(L, sizeof(*r));
    *r = (struct request_box){.box = {&exchange_type, NULL}};
    lua_rawgeti(L, LUA_REGISTRYINDEX, b->request_class);
    lua_setmetatable(L, -2);
    return r;
}

/* The cell of a request; the functions are at fn and fn + 1, which may be nil. */
static struct asked *new_asked(lua_State *L, struct bridge *b, int fn,
                               struct request_box *r)
{
    struct asked *a;
    int others = LUA_NOREF, end;

    lua_pushvalue(L, fn);
    end = luaL_ref(L, LUA_REGISTRYINDEX);
    if (!lua_isnil(L, fn + 1)) {
        lua_pushvalue(L, fn + 1);
        others = luaL_ref(L, LUA_REGISTRYINDEX);
    }
    a = malloc(sizeof(*a));
    if (a == NULL) {
        luaL_unref(L, LUA_REGISTRYINDEX, end);
        luaL_unref(L, LUA_REGISTRYINDEX, others);
        return NULL;
    }
    *a = (struct asked){{b, end}, others, 1, NULL, r, false, false};
    r->asked = a;
    return a;
}

/* ask(endpoint, message or code, uri, fn, others): sends the message, or a new
 * one of that code to the URI. fn(response) at the end, fn(true) if none was
 * wanted, fn(nil, error); others(kind, ...), which may be nil, hears all events
 * before. A request, or nil, text, NAME. */
static int l_ask(lua_State *L)
{
    copal *c = check_box(L, 1, &endpoint_type);
    struct bridge *b = get_bridge(L);
    struct endpoint_box *e = lua_touserdata(L, 1);
    const char *uri = NULL;
    int code = 0;
    struct request_box *r;
    struct asked *a;

    lua_settop(L, 5);
    if (lua_type(L, 2) == LUA_TNUMBER) {
        code = (int)check_integer(L, 2, 0, INT32_MAX);
        uri = check_text(L, 3);
    } else {
        check_box(L, 2, &message_type);
    }
    luaL_argcheck(L, !lua_isnil(L, 4), 4, "function expected");
    r = new_request(L, b);
    r->m = code != 0 ? repeat_request(&e->last, c, code, uri)
                     : copal_msg_ref(check_box(L, 2, &message_type));
    if (r->m == NULL)
        return push_error(L, COPAL_ENOMEM, NULL);
    b->kept++;
    a = new_asked(L, b, 4, r);
    if (a == NULL)
        return push_error(L, COPAL_ENOMEM, NULL);
    r->box.ptr = copal_request(c, r->m, (copal_cb){on_asked, a, drop_asked});
    if (r->box.ptr == NULL)
        return push_error(L, COPAL_ENOMEM, NULL);
    copal_exchange_ref(r->box.ptr);
    return 1;
}

/* ---- Looking at it ------------------------------------------------------ */

static int cancel_request(lua_State *L)
{
    struct request_box *r = to_request(L, 1);

    luaL_argcheck(L, r != NULL, 1, "request expected");
    lua_pushboolean(L, !r->done && copal_cancel(r->box.ptr) == 0);
    return 1;
}

/* Upvalue 1: cancel_request(). */
static int index_request(lua_State *L)
{
    struct request_box *r = to_request(L, 1);
    const char *key = lua_type(L, 2) == LUA_TSTRING ? lua_tostring(L, 2) : "";

    luaL_argcheck(L, r != NULL && r->m != NULL, 1, "request expected");
    if (strcmp(key, "cancel") == 0)
        lua_pushvalue(L, lua_upvalueindex(1));
    else if (strcmp(key, "uri") == 0)
        lua_pushstring(L, copal_msg_uri(r->m));
    else if (strcmp(key, "done") == 0)
        lua_pushboolean(L, r->done);
    else
        lua_pushnil(L);
    return 1;
}

static int print_request(lua_State *L)
{
    struct request_box *r = to_request(L, 1);

    luaL_argcheck(L, r != NULL && r->m != NULL, 1, "request expected");
    lua_pushfstring(L, "copal request %s (%s)", copal_msg_uri(r->m),
                    r->done ? "done" : "waiting");
    return 1;
}

static void make_request_type(lua_State *L, struct bridge *b)
{
    lua_newtable(L);
    lua_pushlightuserdata(L, b);
    lua_pushcclosure(L, gc_request, 1);
    lua_setfield(L, -2, "__gc");
    lua_pushcfunction(L, cancel_request);
    lua_pushcclosure(L, index_request, 1);
    lua_setfield(L, -2, "__index");
    lua_pushcfunction(L, print_request);
    lua_setfield(L, -2, "__tostring");
    lua_pushboolean(L, 0);
    lua_setfield(L, -2, "__metatable");
    b->request_class = luaL_ref(L, LUA_REGISTRYINDEX);
}

/* asking(new_error, no_memory): a function of NAME and text, and the error for
 * when there is no memory to make one. */
static int l_asking(lua_State *L)
{
    struct bridge *b = get_bridge(L);

    luaL_checktype(L, 1, LUA_TFUNCTION);
    luaL_checktype(L, 2, LUA_TTABLE);
    lua_settop(L, 2);
    luaL_unref(L, LUA_REGISTRYINDEX, b->hooks[NO_MEMORY - 1]);
    b->hooks[NO_MEMORY - 1] = luaL_ref(L, LUA_REGISTRYINDEX);
    luaL_unref(L, LUA_REGISTRYINDEX, b->hooks[NEW_ERROR - 1]);
    b->hooks[NEW_ERROR - 1] = luaL_ref(L, LUA_REGISTRYINDEX);
    return 0;
}
