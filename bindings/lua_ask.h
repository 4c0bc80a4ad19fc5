/* Requests as scripts make them: one crossing to begin, one to tell the end.
 * Part of lua_bridge.h.
 *
 * The response waits here until END, as bytes that are there already: Lua may
 * run out of memory while it is handed over, but then its asker is told so. */

enum {
    ROOM_FOR_URI = 72 /* longer ones leave their message with the request */
};

/* What a script has of it: an exchange's box, told from others by size. It is the
 * callback as well, and cannot be collected before the core has let go of that: so
 * most need no finaliser. Its function is its user value. The exchange is not ref'd:
 * it is not over before the core has let go of the callback. */
struct request_box {
    struct box box;
    struct bridge *b;
    copal_msg *response; /* the first, or NULL                        */
    copal_msg *m;        /* the request, if its URI is not here; held */
    int self;            /* slot of it                                */
    int others;          /* reference to what takes other events      */
    int refs;            /* the core's, and that of a call under way  */
    bool told;           /* its function was called                   */
    bool is_starved;     /* there was no memory for a piece of it     */
    bool done;
    char uri[]; /* or nothing */
};

enum { /* arguments of ask() */
    ASKER = 4,
    OTHER_EVENTS
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

    if (r == NULL || r->m == NULL)
        return 0;
    r->b->kept--;
    copal_msg_unref(r->m);
    r->m = NULL;
    return 0;
}

/* ---- Slots -------------------------------------------------------------- */

/* Places in the registry that are used again and again, which costs less than a
 * reference each. They hold false meanwhile: references count on it that what is in
 * use is not nil. */

static int take_slot(lua_State *L, struct bridge *b) /* for what is on top */
{
    int slot;

    if (b->slot_count == 0)
        return luaL_ref(L, LUA_REGISTRYINDEX);
    slot = b->slots[--b->slot_count];
    lua_rawseti(L, LUA_REGISTRYINDEX, slot);
    return slot;
}

static void leave_slot(lua_State *L, struct bridge *b, int slot)
{
    if (b->slot_count == MAX_SLOTS) {
        luaL_unref(L, LUA_REGISTRYINDEX, slot);
        return;
    }
    lua_pushboolean(L, 0);
    lua_rawseti(L, LUA_REGISTRYINDEX, slot);
    b->slots[b->slot_count++] = slot;
}

static void leave_request(struct request_box *r)
{
    r->done = true;
    r->box.ptr = NULL;
}

static void drop_asked(void *user)
{
    struct request_box *r = user;
    struct bridge *b = r->b;

    if (--r->refs > 0)
        return;
    leave_request(r);
    copal_msg_unref(r->response);
    r->response = NULL;
    if (r->others != LUA_NOREF)
        luaL_unref(b->thread, LUA_REGISTRYINDEX, r->others);
    leave_slot(b->thread, b, r->self);
}

/* ---- Its function ------------------------------------------------------- */

/* Of what is on top, at index i. */
static void set_function(lua_State *L, int i)
{
#if LUA_VERSION_NUM >= 504
    lua_pushvalue(L, i);
    lua_setiuservalue(L, -2, 1);
#elif LUA_VERSION_NUM >= 503
    lua_pushvalue(L, i);
    lua_setuservalue(L, -2);
#else
    lua_createtable(L, 1, 0);
    lua_pushvalue(L, i);
    lua_rawseti(L, -2, 1);
    lua_setfenv(L, -2);
#endif
}

/* Of what is at index i, which takes no memory. */
static void push_function(lua_State *L, int i)
{
#if LUA_VERSION_NUM >= 504
    lua_getiuservalue(L, i, 1);
#elif LUA_VERSION_NUM >= 503
    lua_getuservalue(L, i);
#else
    lua_getfenv(L, i);
    lua_rawgeti(L, -1, 1);
    lua_replace(L, -2);
#endif
}

/* What a script keeps of a request does not keep all that its function knew. */
static void clear_function(lua_State *L, int i)
{
#if LUA_VERSION_NUM >= 504
    lua_pushnil(L);
    lua_setiuservalue(L, i, 1);
#elif LUA_VERSION_NUM >= 503
    lua_pushnil(L);
    lua_setuservalue(L, i);
#else
    lua_getfenv(L, i);
    lua_pushnil(L);
    lua_rawseti(L, -2, 1);
    lua_pop(L, 1);
#endif
}

/* ---- The end ------------------------------------------------------------ */

/* Pushes what the function is called with where there is no response: true if
 * none was wanted, or nil and an error. */
static int push_outcome(lua_State *L, const struct request_box *r,
                        const copal_event *ev)
{
    if (ev->status == 0 && !r->is_starved) {
        lua_pushboolean(L, 1);
        return 1;
    }
    if (r->is_starved) {
        lua_pushnil(L);
        push_hook(L, r->b, NO_MEMORY);
        return 2;
    }
    push_hook(L, r->b, NEW_ERROR);
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
    struct request_box *r = call->user;
    int n;

    lua_rawgeti(L, LUA_REGISTRYINDEX, r->self);
    push_function(L, 2);
    n = push_outcome(L, r, call->ev);
    r->told = true;
    clear_function(L, 2);
    lua_call(L, n, 0);
    return 0;
}

/* False: there was no memory to tell it. */
static bool tell_response(struct request_box *r, const copal_event *ev)
{
    struct bridge *b = r->b;
    lua_State *T = b->thread;
    int guard = lua_gettop(T) + 1;
    struct view *v;

    while (lua_gettop(b->spare) == 0)
        if (!deliver(b, b->preparer, ev, r))
            return false;
    push_guard(b);
    lua_rawgeti(T, LUA_REGISTRYINDEX, r->self);
    v = take_view(T, b, r->response, NULL);
    push_function(T, guard + 1);
    clear_function(T, guard + 1);
    lua_pushvalue(T, guard + 2);
    if (lua_pcall(T, 1, 0, guard) != 0) {
        report(b);
        lua_settop(T, guard + 2);
    }
    leave_view(T, v);
    lua_settop(T, guard - 1);
    return true;
}

static bool tell_end(struct request_box *r, const copal_event *ev)
{
    struct bridge *b = r->b;

    if (ev->status != 0 || r->is_starved || r->response == NULL)
        return deliver(b, b->end_dispatcher, ev, r);
    return !has_room(b) || tell_response(r, ev);
}

static void on_asked_end(struct request_box *r, const copal_event *ev)
{
    leave_request(r);
    if (tell_end(r, ev) || r->told)
        return;
    /* An error made beforehand takes no memory. */
    r->is_starved = true;
    deliver(r->b, r->b->end_dispatcher, ev, r);
}

static void on_asked_other(struct request_box *r, const copal_event *ev)
{
    struct bridge *b = r->b;
    struct cell others = {b, r->others};

    if (ev->kind == COPAL_RESPONSE && r->response == NULL)
        r->response = copal_msg_ref((copal_msg *)ev->msg);
    if (r->others == LUA_NOREF || deliver(b, b->dispatcher, ev, &others))
        return;
    /* What a script's functions throw is caught before it gets here. */
    if (ev->kind == COPAL_CHUNK || ev->kind == COPAL_PULL) {
        r->is_starved = true;
        copal_cancel(ev->exchange);
    }
}

/* Whoever is called may free the endpoint, and the core lets go of us. */
static void on_asked(const copal_event *ev, void *user)
{
    struct request_box *r = user;

    r->refs++;
    if (ev->kind == COPAL_END)
        on_asked_end(r, ev);
    else
        on_asked_other(r, ev);
    drop_asked(r);
}

/* ---- The beginning ------------------------------------------------------ */

/* Pushes what will ask and tell, with room for so many bytes of a URI; the functions
 * are at ASKER and OTHER_EVENTS, which may be nil. */
static struct request_box *push_request(lua_State *L, struct bridge *b,
                                        size_t room)
{
    struct request_box *r;

    push_collector(L, b, 1);
#if LUA_VERSION_NUM >= 504
    r = lua_newuserdatauv(L, sizeof(*r) + room, 1);
#else
    r = lua_newuserdata(L, sizeof(*r) + room);
#endif
    memset(r, 0, sizeof(*r));
    r->box.type = &exchange_type;
    r->b = b;
    r->refs = 1;
    r->others = LUA_NOREF;
    set_function(L, ASKER);
    if (!lua_isnil(L, OTHER_EVENTS)) {
        lua_pushvalue(L, OTHER_EVENTS);
        r->others = luaL_ref(L, LUA_REGISTRYINDEX);
    }
    lua_pushvalue(L, -1);
    r->self = take_slot(L, b);
    return r;
}

/* What of the request is asked for later; the box, which has room bytes for that, is
 * on top. */
static void note_uri(lua_State *L, struct request_box *r, copal_msg *m,
                     size_t room)
{
    const char *uri = copal_msg_uri(m);
    size_t size = strlen(uri) + 1;
    bool fits = size <= room;

    lua_rawgeti(L, LUA_REGISTRYINDEX,
                fits ? r->b->request_class : r->b->held_request_class);
    lua_setmetatable(L, -2);
    if (fits) {
        memcpy(r->uri, uri, size);
        return;
    }
    r->m = copal_msg_ref(m);
    r->b->kept++;
}

/* Sends a message for the request on top; takes over the caller's reference. */
static int send_asked(lua_State *L, copal *c, copal_msg *m,
                      struct request_box *r, size_t room)
{
    copal_exchange *x;

    note_uri(L, r, m, room);
    x = copal_request(c, m, (copal_cb){on_asked, r, drop_asked});
    copal_msg_unref(m);
    if (x == NULL)
        return push_error(L, COPAL_ENOMEM, NULL);
    r->box.ptr = x;
    return 1;
}

/* The request of a message, or with m NULL of one of that code to the URI. To make
 * its box may run finalisers, and these may ask as well, or free the endpoint: so
 * what is not on the stack is looked for, or made, when it is there. */
static int ask(lua_State *L, copal_msg *m, int code, const char *uri)
{
    struct endpoint_box *e = lua_touserdata(L, 1);
    struct bridge *b = e->b != NULL ? e->b : (e->b = get_bridge(L));
    copal_msg *known = m != NULL ? m : repeated(&e->last, code, uri);
    size_t size =
        known == NULL ? ROOM_FOR_URI : strlen(copal_msg_uri(known)) + 1;
    size_t room = size <= ROOM_FOR_URI ? size : 0;
    struct request_box *r = push_request(L, b, room);
    copal *c = e->box.ptr;

    if (c != NULL)
        m = m != NULL ? copal_msg_ref(m)
                      : repeat_request(&e->last, c, code, uri);
    if (c != NULL && m != NULL)
        return send_asked(L, c, m, r, room);
    drop_asked(r);
    return push_error(L, c == NULL ? COPAL_ECLOSED : COPAL_ENOMEM, NULL);
}

static int ask_code(lua_State *L)
{
    int code = (int)check_integer(L, 2, 0, INT32_MAX);
    const char *uri = check_text(L, 3);

    check_box(L, 1, &endpoint_type);
    return ask(L, NULL, code, uri);
}

/* ask(endpoint, message or code, uri, fn, others): sends the message, or a new
 * one of that code to the URI. fn(response) at the end, fn(true) if none was
 * wanted, fn(nil, error); others(kind, ...), which may be nil, hears all events
 * before. A request, or nil, text, NAME. */
static int l_ask(lua_State *L)
{
    lua_settop(L, OTHER_EVENTS);
    luaL_argcheck(L, !lua_isnil(L, ASKER), ASKER, "function expected");
    if (lua_type(L, 2) == LUA_TNUMBER)
        return ask_code(L);
    check_box(L, 1, &endpoint_type);
    return ask(L, check_box(L, 2, &message_type), 0, NULL);
}

/* ask_plainly(endpoint, code, uri, fn, nil): ask() as most do, with text and a
 * function; false if something else is in one of their places. */
static int l_ask_plainly(lua_State *L)
{
    if (lua_gettop(L) == OTHER_EVENTS && lua_isuserdata(L, 1) &&
        lua_type(L, 3) == LUA_TSTRING && lua_type(L, ASKER) == LUA_TFUNCTION &&
        lua_isnil(L, OTHER_EVENTS))
        return ask_code(L);
    lua_pushboolean(L, 0);
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

static const char *uri_of(const struct request_box *r)
{
    return r->m != NULL ? copal_msg_uri(r->m) : r->uri;
}

/* Upvalue 1: cancel_request(). */
static int index_request(lua_State *L)
{
    struct request_box *r = to_request(L, 1);
    const char *key = lua_type(L, 2) == LUA_TSTRING ? lua_tostring(L, 2) : "";

    luaL_argcheck(L, r != NULL, 1, "request expected");
    if (strcmp(key, "cancel") == 0)
        lua_pushvalue(L, lua_upvalueindex(1));
    else if (strcmp(key, "uri") == 0)
        lua_pushstring(L, uri_of(r));
    else if (strcmp(key, "done") == 0)
        lua_pushboolean(L, r->done);
    else
        lua_pushnil(L);
    return 1;
}

static int print_request(lua_State *L)
{
    struct request_box *r = to_request(L, 1);

    luaL_argcheck(L, r != NULL, 1, "request expected");
    lua_pushfstring(L, "copal request %s (%s)", uri_of(r),
                    r->done ? "done" : "waiting");
    return 1;
}

static int make_request_class(lua_State *L)
{
    lua_newtable(L);
    lua_pushcfunction(L, cancel_request);
    lua_pushcclosure(L, index_request, 1);
    lua_setfield(L, -2, "__index");
    lua_pushcfunction(L, print_request);
    lua_setfield(L, -2, "__tostring");
    lua_pushboolean(L, 0);
    lua_setfield(L, -2, "__metatable");
    return luaL_ref(L, LUA_REGISTRYINDEX);
}

static void make_request_type(lua_State *L, struct bridge *b)
{
    b->request_class = make_request_class(L);
    b->held_request_class = make_request_class(L);
    lua_rawgeti(L, LUA_REGISTRYINDEX, b->held_request_class);
    lua_pushcfunction(L, gc_request);
    lua_setfield(L, -2, "__gc");
    lua_pop(L, 1);
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
