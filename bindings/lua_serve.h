/* Handlers: a request runs the script's function at once, in a coroutine, and
 * what that returns is the answer. Part of lua_bridge.h.
 *
 * Coroutines whose function has returned are used again. What is short is
 * answered from here: text, a code, both, a message made before. Everything else
 * is left to copal.server, as is what went wrong; and only a handler that waits
 * becomes a task (copal.task).
 *
 * A coroutine catches what its function throws, so a protected call around it is
 * spared: what may fail before is done beforehand, for many (prepare()), and what
 * may fail after is done in a call of its own (dispatch_handled()). */
#include "base/utf8.h"

/* A handler that runs right now, at first; they may be nested. */
struct handling {
    struct runner runner;
    struct served *served;
    struct view *view;
    int at;      /* where the bridge's thread has the view   */
    int adopted; /* it is a task now                         */
    int code;    /* of an answer that names none             */
    int status;  /* of the coroutine, when it has left it    */
    int count;   /* values that are on top of it then        */
    int depth;   /* handlers around it                       */
    struct handling *outer;
};

/* The text that a handler answered last. From its second time in a row on it is kept,
 * and as the message that it is: of who answers the same again and again. */
struct said {
    const char *text; /* where Lua has it; only compared, unless it is kept */
    int kept;         /* reference to it, if there is a message */
    copal_msg *m;     /* NULL: it was answered once */
};

/* The callback of one handler at one path: a cell whose function takes all
 * events but REQUEST. */
struct served {
    struct cell cell;
    int slot; /* reference to a table: [1] is the handler */
    int method;
    bool names; /* requests have parameters, which their exchanges know */
    bool is_resource;
    bool is_literal; /* what its requests ask for is one path */
    struct shared_path path;
    struct said said;
};

/* What copal.server gives to handlers(), in this order. */
enum {
    ON_ANSWER = 1, /* (slot, request, code, results...)                   */
    ON_FAILURE,    /* (slot, request, coroutine, error)                   */
    ON_LEFT,       /* (slot, request, code, coroutine, ended, ok, results...) */
    CODE_CLASS,    /* metatables, to know codes and messages by           */
    MESSAGE_CLASS
};

enum {
    RESULTS = 3,     /* of a handler are looked at */
    MAX_SAID = 1024, /* bytes that are kept to be answered again */
    MAX_NESTED = 40  /* handlers that wait for others inside a simulation */
};

/* Of an answer that names none. */
static int default_code(const struct served *s, const copal_msg *request)
{
    static const uint8_t codes[] = {69, 69, 68, 68, 66, 69, 68, 68};
    int method = s->method != 0 ? s->method : copal_msg_code(request);

    return method < 8 ? codes[method] : codes[0];
}

/* ---- Paths -------------------------------------------------------------- */

/* Only while a handler runs from its beginning to its end, alone: one that waits
 * may change its path after another was given it. */
static struct shared_path *shared_path(const struct view *v)
{
    const struct handling *h = v->b->handling;
    bool is_shared = h != NULL && h->view == v && !h->adopted &&
                     h->depth == 0 && h->served->is_literal;

    return is_shared ? &h->served->path : NULL;
}

static void drop_served(void *user)
{
    struct served *s = user;
    lua_State *T = s->cell.bridge->thread;

    luaL_unref(T, LUA_REGISTRYINDEX, s->slot);
    luaL_unref(T, LUA_REGISTRYINDEX, s->said.kept);
    copal_msg_unref(s->said.m);
    forget_path(T, &s->path);
    drop_cell(&s->cell);
}

/* ---- Coroutines --------------------------------------------------------- */

static void leave_runner(lua_State *L, struct bridge *b, struct runner r)
{
    if (b->idle_count < MAX_IDLE) {
        lua_settop(r.co, 0);
        b->idle[b->idle_count++] = r;
    } else {
        luaL_unref(L, LUA_REGISTRYINDEX, r.ref);
    }
}

static void add_runner(lua_State *L, struct bridge *b)
{
    struct runner r = {.co = lua_newthread(L)};

    r.ref = luaL_ref(L, LUA_REGISTRYINDEX);
    leave_runner(L, b, r);
}

/* Its status; *n values are on top of co. */
static int resume(lua_State *co, lua_State *from, int args, int *n)
{
    int status;

#if LUA_VERSION_NUM >= 504
    status = lua_resume(co, from, args, n);
#else
#if LUA_VERSION_NUM >= 502
    status = lua_resume(co, from, args);
#else
    (void)from;
    status = lua_resume(co, args);
#endif
    *n = lua_gettop(co);
    if (status > LUA_YIELD)
        *n = 1;
#endif
    return status;
}

/* ---- Answers ------------------------------------------------------------ */

static bool is_of_class(lua_State *L, int i, struct bridge *b, int which)
{
    bool is = false;

    if (lua_type(L, i) == LUA_TTABLE && lua_getmetatable(L, i)) {
        lua_rawgeti(L, LUA_REGISTRYINDEX, b->hooks[which - 1]);
        is = lua_rawequal(L, -1, -2);
        lua_pop(L, 2);
    }
    return is;
}

static int format_of(copal_bytes body)
{
    if (body.len == 0)
        return COPAL_NO_FORMAT;
    return cp_utf8_is_valid(body) ? 0 : 42;
}

/* The message of a text that is answered once more; NULL: it is as well made by
 * copal_reply(). What answers a look-up is a secret, which is not kept. */
static copal_msg *keep_said(lua_State *L, int i, struct served *s,
                            copal_exchange *x, int code, copal_bytes body)
{
    copal *c = copal_exchange_endpoint(x);
    struct said *said = &s->said;
    copal_msg *m;

    if (c == NULL || body.len > MAX_SAID || !s->is_resource)
        return NULL;
    m = copal_msg_new(c, code);
    if (m == NULL || copal_msg_set_payload(m, format_of(body), body) != 0) {
        copal_msg_unref(m);
        return NULL;
    }
    copal_msg_unref(said->m);
    said->m = m;
    if (i != 0) {
        lua_pushvalue(L, i);
        lua_rawseti(L, LUA_REGISTRYINDEX, said->kept);
    }
    return m;
}

/* A string of Lua, or nothing where i is 0. */
static int reply_text(lua_State *L, int i, const struct handling *h, int code)
{
    struct said *said = &h->served->said;
    copal_exchange *x = h->view->x;
    copal_bytes body = {NULL, 0};
    copal_msg *m = NULL;
    const char *text = "";

    if (i != 0)
        text = lua_tolstring(L, i, &body.len);
    body.data = (const uint8_t *)text;
    if (text == said->text)
        m = said->m != NULL && copal_msg_code(said->m) == code
                ? said->m
                : keep_said(L, i, h->served, x, code, body);
    if (m != NULL)
        return copal_respond(x, m);
    said->text = text;
    copal_msg_unref(said->m);
    said->m = NULL;
    return copal_reply(x, code, format_of(body), body);
}

static bool is_answered(int err)
{
    return err == 0 || err == COPAL_ESTATE || err == COPAL_ECLOSED;
}

/* Answers with what the coroutine returned, in no protected call: so
 * nothing is called here that raises an error. False: they are no short answer,
 * or it did not go out, which copal.server finds again and tells. An asker who
 * left is none of the handler's business. */
static bool answer_short(const struct handling *h)
{
    struct bridge *b = h->served->cell.bridge;
    lua_State *L = h->runner.co;
    copal_exchange *x = h->view->x;
    int n = h->count, i = lua_gettop(L) - n + 1, code = h->code, err;
    struct box *box;

    if (n == 1 && lua_type(L, i) == LUA_TSTRING)
        return is_answered(reply_text(L, i, h, code));
    while (n > 0 && lua_isnil(L, i + n - 1))
        n--;
    if (n > 2 || !lua_checkstack(L, 4))
        return false;
    if (n == 0) {
        err = reply_text(L, 0, h, code);
    } else if (n == 1 && lua_type(L, i) == LUA_TSTRING) {
        err = reply_text(L, i, h, code);
    } else if (n == 1 && is_of_class(L, i, b, MESSAGE_CLASS)) {
        lua_rawgeti(L, i, 1);
        box = to_box(L, -1, &message_type);
        lua_pop(L, 1);
        if (box == NULL || box->ptr == NULL)
            return false;
        err = copal_respond(x, box->ptr);
    } else if ((n == 1 || lua_type(L, i + 1) == LUA_TSTRING) &&
               is_of_class(L, i, b, CODE_CLASS)) {
        lua_rawgeti(L, i, 1);
        code = (int)lua_tointeger(L, -1);
        lua_pop(L, 1);
        err = reply_text(L, n == 1 ? 0 : i + 1, h, code);
    } else {
        return false;
    }
    return is_answered(err);
}

/* ---- Requests ----------------------------------------------------------- */

static void push_hook(lua_State *L, struct bridge *b, int which)
{
    lua_rawgeti(L, LUA_REGISTRYINDEX, b->hooks[which - 1]);
}

/* How many there were of them. */
static int move_results(lua_State *L, lua_State *co, int n)
{
    if (n > RESULTS) {
        lua_pop(co, n - RESULTS);
        n = RESULTS;
    }
    lua_xmove(co, L, n);
    return n;
}

/* A handler that is a task has its answer from there. */
static void leave_task(lua_State *L, const struct handling *h)
{
    push_hook(L, h->served->cell.bridge, ON_LEFT);
    lua_rawgeti(L, LUA_REGISTRYINDEX, h->served->slot);
    lua_pushvalue(L, h->at);
    lua_pushinteger(L, h->code);
    lua_rawgeti(L, LUA_REGISTRYINDEX, h->runner.ref);
    lua_pushboolean(L, h->status != LUA_YIELD);
    lua_pushboolean(L, h->status == 0);
    lua_call(L,
             6 + (h->status == LUA_YIELD
                      ? 0
                      : move_results(L, h->runner.co, h->count)),
             0);
}

static void answer_long(lua_State *L, const struct handling *h)
{
    push_hook(L, h->served->cell.bridge, ON_ANSWER);
    lua_rawgeti(L, LUA_REGISTRYINDEX, h->served->slot);
    lua_pushvalue(L, h->at);
    lua_pushinteger(L, h->code);
    lua_call(L, 3 + move_results(L, h->runner.co, h->count), 0);
}

static void fail_handler(lua_State *L, const struct handling *h)
{
    push_hook(L, h->served->cell.bridge, ON_FAILURE);
    lua_rawgeti(L, LUA_REGISTRYINDEX, h->served->slot);
    lua_pushvalue(L, h->at);
    lua_rawgeti(L, LUA_REGISTRYINDEX, h->runner.ref);
    lua_xmove(h->runner.co, L, 1);
    lua_call(L, 4, 0);
}

/* What is not answered in short: of a handling, whose view is the second argument.
 * Runs inside lua_pcall, as dispatch() does. */
static int dispatch_handled(lua_State *L)
{
    struct handling *h = lua_touserdata(L, 1);

    h->at = 2;
    if (h->status == LUA_YIELD || h->adopted)
        leave_task(L, h);
    else if (h->status != 0)
        fail_handler(L, h);
    else
        answer_long(L, h);
    return 0;
}

/* Whoever asked learns now that something was thrown, not when the exchange is
 * collected. */
static void refuse(const copal_event *ev)
{
    if (ev->exchange != NULL)
        copal_reply(ev->exchange, COPAL_INTERNAL_ERROR, COPAL_NO_FORMAT,
                    (copal_bytes){NULL, 0});
}

/* Runs inside lua_pcall, as dispatch() does: a coroutine and views for the next
 * requests. */
static int prepare(lua_State *L)
{
    const struct call *call = lua_touserdata(L, 1);
    struct bridge *b = call->b;

    if (b->handling != NULL && b->handling->depth == MAX_NESTED)
        luaL_error(L, "copal: too many handlers inside each other");
    if (lua_gettop(b->spare) == 0)
        spare_views(L, b);
    if (b->idle_count == 0 && call->ev->kind == COPAL_REQUEST)
        add_runner(L, b);
    return 0;
}

/* Resumes the handler for the first time. */
static void begin(lua_State *T, struct handling *h)
{
    struct bridge *b = h->served->cell.bridge;
    lua_State *co = h->runner.co;

    b->handling = h;
    lua_rawgeti(co, LUA_REGISTRYINDEX, h->served->slot);
    lua_rawgeti(co, -1, 1);
    lua_replace(co, -2);
    lua_pushvalue(T, h->at);
    lua_xmove(T, co, 1);
    h->status = resume(co, T, 1, &h->count);
    b->handling = h->outer;
}

static void handle_request(lua_State *T, const copal_event *ev,
                           struct handling *h)
{
    struct bridge *b = h->served->cell.bridge;

    h->runner = b->idle[--b->idle_count];
    h->view = take_view(T, b, ev->msg, ev->exchange);
    h->at = lua_gettop(T);
    h->code = default_code(h->served, ev->msg);
    begin(T, h);
    if (h->status == 0 && !h->adopted && answer_short(h)) {
        if (h->served->names) {
            keep_view(T, h->view);
        } else {
            let_go_of_exchange(h->view);
            leave_view(T, h->view);
        }
        leave_runner(T, b, h->runner);
        return;
    }
    if (h->status == LUA_YIELD || h->adopted)
        forget_path(T, &h->served->path);
    keep_view(T, h->view);
    push_guard(b);
    lua_rawgeti(T, LUA_REGISTRYINDEX, b->handled_dispatcher);
    lua_pushlightuserdata(T, h);
    lua_pushvalue(T, h->at);
    if (!call_guarded(b, 2))
        refuse(ev);
    if (h->status == 0 && !h->adopted)
        leave_runner(T, b, h->runner);
    else
        luaL_unref(T, LUA_REGISTRYINDEX, h->runner.ref);
}

static void on_request(const copal_event *ev, struct served *s)
{
    struct bridge *b = s->cell.bridge;
    lua_State *T = b->thread;
    struct handling h = {.served = s, .outer = b->handling};
    int top = lua_gettop(T);

    if (h.outer != NULL)
        h.depth = h.outer->depth + 1;

    if (!has_room(b))
        return;
    while (b->idle_count == 0 || lua_gettop(b->spare) == 0 ||
           h.depth > MAX_NESTED)
        if (!deliver(b, b->preparer, ev, s)) {
            refuse(ev);
            return;
        }
    handle_request(T, ev, &h);
    lua_settop(T, top);
}

static void on_served(const copal_event *ev, void *user)
{
    struct served *s = user;

    if (ev->kind == COPAL_REQUEST)
        on_request(ev, s);
    else
        on_event(ev, &s->cell);
}

/* handling(): of the handler that this coroutine runs, if it is not a task yet:
 * slot, request, code; it is one from now on. */
static int l_handling(lua_State *L)
{
    struct bridge *b = get_bridge(L);
    struct handling *h = b->handling;

    while (h != NULL && h->runner.co != L)
        h = h->outer;
    if (h == NULL || h->adopted)
        return 0;
    lua_rawgeti(L, LUA_REGISTRYINDEX, h->served->slot);
    lua_pushvalue(b->thread, h->at);
    lua_xmove(b->thread, L, 1);
    lua_pushinteger(L, h->code);
    h->adopted = 1;
    return 3;
}

/* The callback of a handler: a table, whose [1] takes the requests, and a
 * function, which takes all other events, are the last arguments. path: what it
 * serves; NULL: no resource. */
static int make_served(lua_State *L, int i, int method, const char *path,
                       copal_cb *cb)
{
    struct served *s;
    int fn, slot, kept;

    luaL_checktype(L, i, LUA_TTABLE);
    luaL_checktype(L, i + 1, LUA_TFUNCTION);
    lua_settop(L, i + 1);
    fn = luaL_ref(L, LUA_REGISTRYINDEX);
    slot = luaL_ref(L, LUA_REGISTRYINDEX);
    lua_pushboolean(L, 1); /* a place in the registry, for when none is made */
    kept = luaL_ref(L, LUA_REGISTRYINDEX);
    s = malloc(sizeof(*s));
    if (s == NULL) {
        luaL_unref(L, LUA_REGISTRYINDEX, kept);
        luaL_unref(L, LUA_REGISTRYINDEX, fn);
        luaL_unref(L, LUA_REGISTRYINDEX, slot);
        return COPAL_ENOMEM;
    }
    *s = (struct served){
        .cell = {get_bridge(L), fn},
        .slot = slot,
        .method = method,
        .names = path != NULL && strchr(path, '{') != NULL,
        .is_resource = path != NULL,
        .is_literal = path != NULL && strpbrk(path, "{*") == NULL,
        .path = {.list = LUA_NOREF, .segments = LUA_NOREF},
        .said = {.kept = kept},
    };
    *cb = (copal_cb){on_served, s, drop_served};
    return 0;
}

static int push_served(lua_State *L, copal *c, int err)
{
    if (err < 0)
        return push_error(L, err, copal_why(c));
    lua_pushboolean(L, 1);
    return 1;
}

/* serve_handler(endpoint, method, path, flags, slot, fn) */
static int l_serve_handler(lua_State *L)
{
    copal *c = check_box(L, 1, &endpoint_type);
    int method = (int)check_integer(L, 2, 0, 255);
    const char *path = check_text(L, 3);
    unsigned flags = (unsigned)check_integer(L, 4, 0, INT32_MAX);
    copal_cb cb;
    int err = make_served(L, 5, method, path, &cb);

    if (err == 0)
        err = copal_serve(c, method, path, flags, cb);
    return push_served(L, c, err);
}

/* lookup_handler(endpoint, scope, slot, fn) */
static int l_lookup_handler(lua_State *L)
{
    copal *c = check_box(L, 1, &endpoint_type);
    const char *scope = check_text(L, 2);
    copal_cb cb;
    int err = make_served(L, 3, 0, NULL, &cb);

    if (err == 0)
        err = copal_use_lookup(c, scope, cb);
    return push_served(L, c, err);
}

/* store_handler(endpoint, slot, fn) */
static int l_store_handler(lua_State *L)
{
    copal *c = check_box(L, 1, &endpoint_type);
    copal_cb cb;
    int err = make_served(L, 2, COPAL_GET, NULL, &cb);

    if (err == 0)
        err = copal_store(c, NULL, cb);
    return push_served(L, c, err);
}

/* handlers(...): see ON_ANSWER. */
static int l_handlers(lua_State *L)
{
    struct bridge *b = get_bridge(L);

    for (int i = 1; i <= MESSAGE_CLASS; i++) {
        luaL_checktype(L, i, i < CODE_CLASS ? LUA_TFUNCTION : LUA_TTABLE);
        lua_pushvalue(L, i);
        luaL_unref(L, LUA_REGISTRYINDEX, b->hooks[i - 1]);
        b->hooks[i - 1] = luaL_ref(L, LUA_REGISTRYINDEX);
    }
    return 0;
}
