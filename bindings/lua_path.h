/* The path of a request, as a table: part of lua_bridge.h, between what lua_view.h keeps
 * of a message and its fields. */

/* A resource's path is the same for each of its requests, so they are given the same
 * table, as long as nobody changes it: made when first asked for. */
struct shared_path {
    int list;     /* reference to it; LUA_NOREF: none yet */
    int segments; /* reference to a copy, which keeps what these are: */
    const void *at[SHARED_SEGMENTS];
    const void *class; /* its metatable */
    int count;
};

/* That of the handler whose request v is; NULL: its requests share none. */
static struct shared_path *shared_path(const struct view *v);

static void forget_path(lua_State *L, struct shared_path *p)
{
    luaL_unref(L, LUA_REGISTRYINDEX, p->list);
    luaL_unref(L, LUA_REGISTRYINDEX, p->segments);
    p->list = p->segments = LUA_NOREF;
}

/* Of the list on top. */
static void share_path(lua_State *L, struct shared_path *p, int count)
{
    int list = lua_gettop(L);

    forget_path(L, p);
    if (count > SHARED_SEGMENTS)
        return;
    lua_createtable(L, count, 0);
    for (int i = 0; i < count; i++) {
        lua_rawgeti(L, list, i + 1);
        p->at[i] = address_of(L, -1);
        lua_rawseti(L, -2, i + 1);
    }
    p->class = lua_topointer(L, lua_upvalueindex(PATHS));
    p->count = count;
    p->segments = luaL_ref(L, LUA_REGISTRYINDEX);
    lua_pushvalue(L, -1);
    p->list = luaL_ref(L, LUA_REGISTRYINDEX);
}

/* Pushes it, if it is as it was. */
static bool push_shared_path(lua_State *L, const struct shared_path *p)
{
    int list = lua_gettop(L) + 1;
    bool same;

    lua_rawgeti(L, LUA_REGISTRYINDEX, p->list);
    same = lua_rawlen(L, list) == (size_t)p->count &&
           lua_getmetatable(L, list) && lua_topointer(L, -1) == p->class;
    for (int i = 0; same && i < p->count; i++) {
        lua_rawgeti(L, list, i + 1);
        same = address_of(L, -1) == p->at[i];
    }
    lua_settop(L, same ? list : list - 1);
    return same;
}

static int index_path(lua_State *L, struct view *v)
{
    struct shared_path *p;
    int count;

    if (push_kept_value(L, v, PATH))
        return 1;
    p = shared_path(v);
    count = count_of(v->box.ptr, URI_PATH);
    if (p == NULL || p->list == LUA_NOREF || p->count != count ||
        !push_shared_path(L, p)) {
        push_path(L, v->box.ptr);
        if (p != NULL)
            share_path(L, p, count);
    }
    keep_value(L, v, PATH);
    return 1;
}
