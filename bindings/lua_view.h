/* Messages as scripts get them: what was received, read from C when touched.
 * Part of lua_bridge.h.
 *
 * A view is a box of a message, so it goes where a message's handle does; one of
 * a request holds its exchange, too. What a script asks for again and again and
 * what it puts there itself is kept in user values: made when first needed.
 *
 * Most messages are forgotten when their handler or callback has returned, but nothing
 * tells us so. One that is small enough lies then in its view, as bytes: the message
 * goes at once, and its memory is used for the next; and no finaliser has to be called
 * for the view, which costs more than all else about it. Who does look again has the
 * message made again, held by a userdata of its own. */
#include "wire/message_pack.h"

enum {
    LEAST_ROOM = 68, /* bytes: one option or two, and some 20 of a body  */
    MOST_ROOM = 228, /* so that what is larger is held                   */
    /* Of one that holds a message in C, which the collector does not see: it is to
     * weigh something, or garbage grows to megabytes before that comes. */
    HELD_ROOM = 228,
    ROOM_STEP = 16 /* of Lua's memory                                  */
};

struct view {
    struct box box;    /* of type message_type: told from others by size */
    struct bridge *b;  /* of its state                                   */
    copal_exchange *x; /* NULL: no request to be answered                */
    uint8_t has;       /* which of the values below, a bit each          */
    bool answered;     /* it was one, and nothing is left to ask x for   */
    bool is_packed;    /* into bytes; there is no message meanwhile      */
    uint8_t room;      /* bytes, at least 4                              */
    uint8_t bytes[];
};

/* Lets go of the message that was made of a view's bytes. The two know each other, so
 * none is freed before the other. */
struct unpacked {
    struct view *view; /* NULL: there was no memory */
};

static char
    unpacked_key; /* its address is the key among what is put into a view */

enum {
    REST, /* the table of all else; before Lua 5.4 it is the only user value */
    PATH, /* in its place, and in it when there is one */
    PAYLOAD
};

enum {
    VALUES = 2 /* a message has: one of these is the payload */
};

enum {
    URI_PATH = 11,
    SHARED_SEGMENTS = 6,
    KEEP_PAYLOAD = 64 /* shorter strings cost less to make than to keep */
};

static struct view *to_view(lua_State *L, int i)
{
    struct view *v = lua_touserdata(L, i);

    if (v == NULL || lua_rawlen(L, i) < sizeof(*v))
        return NULL;
    return v->box.type == &message_type ? v : NULL;
}

/* Pushes a view that has no message yet, and no metatable. */
static void push_view(lua_State *L, struct bridge *b, uint8_t room)
{
    size_t size = offsetof(struct view, bytes) + room;
    struct view *v;

#if LUA_VERSION_NUM >= 504
    v = lua_newuserdatauv(L, size, VALUES);
#else
    v = lua_newuserdata(L, size);
#endif
    memset(v, 0, offsetof(struct view, bytes));
    v->box.type = &message_type;
    v->b = b;
    v->room = room;
}

/* The view on top holds a message from now on, until it is collected. */
static struct view *hold_view(lua_State *L, struct bridge *b)
{
    lua_rawgeti(L, LUA_REGISTRYINDEX, b->held_class);
    lua_setmetatable(L, -2);
    b->kept++;
    return lua_touserdata(L, -1);
}

/* As much as the messages that came lately took. */
static uint8_t room_for_next(struct bridge *b)
{
    size_t room = LEAST_ROOM;

    while (room < b->packed_most)
        room += ROOM_STEP;
    b->packed_most = 0;
    return (uint8_t)room;
}

/* Views for messages to come, made where an error is caught; at least one. */
static void spare_views(lua_State *L, struct bridge *b)
{
    uint8_t room = room_for_next(b);

    push_collector(L, b, MAX_SPARE);
    lua_rawgeti(L, LUA_REGISTRYINDEX, b->view_class);
    do {
        push_view(L, b, room); /* may run finalisers, and these a simulation */
        if (lua_gettop(b->spare) == MAX_SPARE)
            return;
        lua_pushvalue(L, -2);
        lua_setmetatable(L, -2);
        lua_xmove(L, b->spare, 1);
    } while (lua_gettop(b->spare) < MAX_SPARE);
}

/* Pushes one of these, and fails not; there has to be one. m and x are borrowed until
 * keep_view() or leave_view() decides what becomes of it, when the script has had it;
 * until then it is on the stack. */
static struct view *take_view(lua_State *L, struct bridge *b,
                              const copal_msg *m, copal_exchange *x)
{
    struct view *v = lua_touserdata(b->spare, -1);

    lua_xmove(b->spare, L, 1);
    v->box.ptr = (void *)m;
    v->x = x;
    return v;
}

/* The view v, which is on top, holds what it borrowed. */
static void keep_view(lua_State *L, struct view *v)
{
    copal_msg_ref(v->box.ptr);
    copal_exchange_ref(v->x);
    hold_view(L, v->b);
}

/* Of a request that was answered. The script may keep it, but its exchange is
 * several times as large, and memory that is used again at once is still in the
 * cache. */
static void let_go_of_exchange(struct view *v)
{
    v->answered = true;
    v->x = NULL;
}

/* The view v, which is on top, has no exchange: its message goes, if it can. */
static void leave_view(lua_State *L, struct view *v)
{
    size_t size = cp_msg_pack(v->box.ptr, v->bytes, v->room);

    if (size > v->b->packed_most && size <= MOST_ROOM)
        v->b->packed_most = size;
    if (size == 0 || size > v->room) {
        keep_view(L, v);
        return;
    }
    v->is_packed = true;
    v->box.ptr = NULL;
}

static int show_view(lua_State *L, const copal_msg *m)
{
    struct bridge *b = get_bridge(L);

    if (m == NULL) {
        lua_pushnil(L);
        return 1;
    }
    push_collector(L, b, 1);
    push_view(L, b, HELD_ROOM);
    hold_view(L, b)->box.ptr = copal_msg_ref(m);
    return 1;
}

static void empty_view(struct view *v)
{
    copal_msg *m = v->box.ptr;

    if (m == NULL)
        return;
    v->box.ptr = NULL;
    v->b->kept--;
    v->b->mute++;
    copal_msg_unref(m);
    copal_exchange_unref(v->x);
    v->b->mute--;
    v->x = NULL;
}

static int gc_view(lua_State *L)
{
    struct view *v = to_view(L, 1);

    if (v != NULL)
        empty_view(v);
    return 0;
}

/* ---- What is kept ------------------------------------------------------- */

/* The first user value: of a view what REST says, of others a table. */
#if LUA_VERSION_NUM >= 504
#define get_values(L, i) lua_getiuservalue(L, i, 1)
#define set_values(L, i) lua_setiuservalue(L, i, 1)
#elif LUA_VERSION_NUM >= 503
#define get_values(L, i) lua_getuservalue(L, i)
#define set_values(L, i) lua_setuservalue(L, i)
#else
#define get_values(L, i) lua_getfenv(L, i)
#define set_values(L, i) lua_setfenv(L, i)
#endif

static bool has_value(const struct view *v, int which)
{
    return (v->has & 1u << which) != 0;
}

/* Pushes the table of what was put into the view at index i, from the bottom. */
static void push_rest_of(lua_State *L, int i, struct view *v)
{
    if (has_value(v, REST)) {
        get_values(L, i);
        return;
    }
    lua_newtable(L);
#if LUA_VERSION_NUM >= 504
    if (has_value(v, PATH)) {
        get_values(L, i);
        lua_rawseti(L, -2, PATH);
    }
#endif
    lua_pushvalue(L, -1);
    set_values(L, i);
    v->has |= (uint8_t)(1u << REST);
}

static void push_rest(lua_State *L, struct view *v)
{
    push_rest_of(L, 1, v);
}

#if LUA_VERSION_NUM >= 504
#define is_apart(v, which)   ((which) != PATH || !has_value(v, REST))
#define push_apart(L, which) lua_getiuservalue(L, 1, which)
#define keep_apart(L, which) lua_setiuservalue(L, 1, which)
#else
#define is_apart(v, which)   false
#define push_apart(L, which) (void)0
#define keep_apart(L, which) (void)0
#endif

/* Pushes what keep_value() kept, if it did. */
static bool push_kept_value(lua_State *L, struct view *v, int which)
{
    if (!has_value(v, which))
        return false;
    if (is_apart(v, which)) {
        push_apart(L, which);
    } else {
        push_rest(L, v);
        lua_rawgeti(L, -1, which);
        lua_remove(L, -2);
    }
    return true;
}

/* Keeps what is on top, which stays there. */
static void keep_value(lua_State *L, struct view *v, int which)
{
    if (is_apart(v, which)) {
        lua_pushvalue(L, -1);
        keep_apart(L, which);
    } else {
        push_rest(L, v);
        lua_pushvalue(L, -2);
        lua_rawseti(L, -2, which);
        lua_pop(L, 1);
    }
    v->has |= (uint8_t)(1u << which);
}

/* ---- Packed, and unpacked ----------------------------------------------- */

static int gc_unpacked(lua_State *L)
{
    struct unpacked *u = lua_touserdata(L, 1);

    if (u->view != NULL)
        empty_view(u->view);
    u->view = NULL;
    return 0;
}

/* Pushes who will hold the message of the view at index i. */
static struct unpacked *push_unpacked(lua_State *L, int i, struct view *v)
{
    struct unpacked *u = lua_newuserdata(L, sizeof(*u));

    u->view = NULL;
    lua_rawgeti(L, LUA_REGISTRYINDEX, v->b->unpacked_class);
    lua_setmetatable(L, -2);
    lua_createtable(L, 1, 0);
    lua_pushvalue(L, i);
    lua_rawseti(L, -2, 1);
    set_values(L, -2);
    push_rest_of(L, i, v);
    lua_pushlightuserdata(L, &unpacked_key);
    lua_pushvalue(L, -3);
    lua_rawset(L, -3);
    lua_pop(L, 1);
    return u;
}

/* The state may have moved to another thread, where messages of it were let go
 * of. */
static struct cp_mem *memory_of(struct bridge *b)
{
    if (b->mem == NULL)
        return b->mem = b->is_closing ? NULL : cp_mem_new(NULL, NULL);
    cp_mem_adopt(b->mem);
    cp_mem_reap(b->mem);
    return b->mem;
}

/* Makes the message of the view at index i again, if it is one that is packed. */
static void unpack_view(lua_State *L, int i)
{
    struct view *v = to_view(L, i);
    struct unpacked *u;
    struct cp_mem *mem;
    int top = lua_gettop(L);

    if (v == NULL || !v->is_packed)
        return;
    luaL_checkstack(L, 8, "no room for a message");
    push_collector(L, v->b, 1);
    u = push_unpacked(L, i > 0 ? i : top + 1 + i, v);
    mem = memory_of(v->b);
    v->box.ptr = mem == NULL ? NULL : cp_msg_unpack(mem, v->bytes);
    if (v->box.ptr == NULL)
        luaL_error(L, "out of memory");
    v->is_packed = false;
    v->b->kept++;
    u->view = v;
    lua_settop(L, top);
}

/* ---- Reading ------------------------------------------------------------ */

/* Upvalues of index_view(). */
enum {
    OTHERS = 1, /* function(view, name): all the others    */
    CODES,      /* number -> code                          */
    PATHS,      /* the metatable of paths                  */
    NAMES,      /* a table that keeps the bridge's fields  */
    UPVALUES = NAMES
};

/* Tells strings from each other: short ones of a state are the same if they are
 * equal. */
static const void *address_of(lua_State *L, int i)
{
#if LUA_VERSION_NUM >= 504
    return lua_topointer(L, i);
#else
    return lua_type(L, i) == LUA_TSTRING ? lua_tostring(L, i) : NULL;
#endif
}

/* The first of a message's options with that number, or behind it; they are in
 * order. */
static const struct cp_option *seek_option(const copal_msg *m, unsigned number)
{
    const struct cp_option *o = m->options, *end = o + m->option_count;

    while (o < end && o->number < number)
        o++;
    return o;
}

static int count_of(const copal_msg *m, unsigned option)
{
    const struct cp_option *first = seek_option(m, option), *o = first;

    while (o < m->options + m->option_count && o->number == option)
        o++;
    return (int)(o - first);
}

/* Pushes the values of an option as a list. */
static void push_values(lua_State *L, const copal_msg *m, unsigned option)
{
    const struct cp_option *first = seek_option(m, option);
    int count = count_of(m, option);

    lua_createtable(L, count, 0);
    for (int i = 0; i < count; i++) {
        push_bytes(L, cp_msg_option_value(m, &first[i]));
        lua_rawseti(L, -2, i + 1);
    }
}

static void push_path(lua_State *L, const copal_msg *m)
{
    push_values(L, m, URI_PATH);
    lua_pushvalue(L, lua_upvalueindex(PATHS));
    lua_setmetatable(L, -2);
}

#include "lua_path.h"

/* ---- Its fields ---- */

static int index_payload(lua_State *L, struct view *v)
{
    copal_bytes payload = copal_msg_payload(v->box.ptr);

    if (payload.len >= KEEP_PAYLOAD && push_kept_value(L, v, PAYLOAD))
        return 1;
    push_bytes(L, payload);
    if (payload.len >= KEEP_PAYLOAD)
        keep_value(L, v, PAYLOAD);
    return 1;
}

static int index_others(lua_State *L)
{
    lua_settop(L, 2);
    lua_pushvalue(L, lua_upvalueindex(OTHERS));
    lua_insert(L, 1);
    lua_call(L, 2, 1);
    return 1;
}

/* FIELD_COUNT: no such. */
static int field_of(lua_State *L, const struct bridge *b, int i)
{
    const void *name = address_of(L, i);
    int field = 0;

    while (field < FIELD_COUNT && b->fields[field] != name)
        field++;
    return field;
}

static int index_view(lua_State *L)
{
    struct view *v = to_view(L, 1);

    if (v == NULL || v->box.ptr == NULL)
        check_box(L, 1, &message_type);
    luaL_argcheck(L, v != NULL, 1, "message expected");
    if (has_value(v, REST)) {
        push_rest(L, v);
        lua_pushvalue(L, 2);
        lua_rawget(L, -2);
        if (!lua_isnil(L, -1))
            return 1;
    }
    switch (field_of(L, v->b, 2)) {
    case FIELD_HANDLE: lua_pushvalue(L, 1); return 1;
    case FIELD_PATH: return index_path(L, v);
    case FIELD_PAYLOAD:
    case FIELD_TEXT: return index_payload(L, v);
    case FIELD_CODE:
        lua_rawgeti(L, lua_upvalueindex(CODES), copal_msg_code(v->box.ptr));
        if (!lua_isnil(L, -1))
            return 1;
    }
    return index_others(L);
}

/* view_keep(view, name, value): from now on view.name is value. */
static int l_view_keep(lua_State *L)
{
    struct view *v = to_view(L, 1);

    luaL_argcheck(L, v != NULL, 1, "message expected");
    luaL_checkany(L, 2);
    lua_settop(L, 3);
    push_rest(L, v);
    lua_insert(L, 2);
    lua_rawset(L, 2);
    return 0;
}

/* view_exchange(view): of a request its exchange and the key of that; false: it is
 * let go of; else nil */
static int l_view_exchange(lua_State *L)
{
    struct view *v = to_view(L, 1);

    if (v != NULL && v->answered) {
        lua_pushboolean(L, 0);
        return 1;
    }
    if (v == NULL || v->x == NULL)
        return 0;
    push_shown(L, &exchange_type, v->x);
    lua_pushlightuserdata(L, v->x);
    return 2;
}

/* The metatable that is there gets the metamethods at index 1, and as __index what
 * is on top, which stays there. */
static void set_view_class(lua_State *L, int class)
{
    int index = lua_gettop(L);

    lua_rawgeti(L, LUA_REGISTRYINDEX, class);
    lua_pushnil(L);
    while (lua_next(L, 1) != 0) {
        lua_pushvalue(L, -2);
        lua_insert(L, -2);
        lua_rawset(L, index + 1);
    }
    lua_pushvalue(L, index);
    lua_setfield(L, index + 1, "__index");
    lua_settop(L, index);
}

/* views(metamethods, others, codes, paths): what views are to be in Lua. */
static int l_views(lua_State *L)
{
    static const char *const names[FIELD_COUNT] = {
        [FIELD_PATH] = "path",     [FIELD_PAYLOAD] = "payload",
        [FIELD_TEXT] = "text",     [FIELD_CODE] = "code",
        [FIELD_HANDLE] = "handle",
    };
    struct bridge *b = get_bridge(L);

    for (int i = 1; i <= 4; i++)
        luaL_checktype(L, i, i == 2 ? LUA_TFUNCTION : LUA_TTABLE);
    lua_settop(L, 4);
    for (int i = 2; i <= 4; i++)
        lua_pushvalue(L, i);
    lua_newtable(L);
    for (int i = 0; i < FIELD_COUNT; i++) {
        lua_pushstring(L, names[i]);
        b->fields[i] = address_of(L, -1);
        lua_rawseti(L, -2, i + 1);
    }
    lua_pushcclosure(L, index_view, UPVALUES);
    set_view_class(L, b->view_class);
    set_view_class(L, b->held_class);
    return 0;
}

static int new_class(lua_State *L, lua_CFunction gc)
{
    lua_newtable(L);
    if (gc != NULL) {
        lua_pushcfunction(L, gc);
        lua_setfield(L, -2, "__gc");
    }
    lua_pushboolean(L, 0);
    lua_setfield(L, -2, "__metatable");
    return luaL_ref(L, LUA_REGISTRYINDEX);
}

static void make_view_type(lua_State *L, struct bridge *b)
{
    b->view_class = new_class(L, NULL);
    b->held_class = new_class(L, gc_view);
    b->unpacked_class = new_class(L, gc_unpacked);
}
