/* JSON to Lua values, read by jansson; lua/copal/json.lua writes it. Part of
 * lua_data.h. */

enum {
    JSON_DEPTH = 200
}; /* deeper nesting is refused */

static bool push_json(lua_State *L, int kinds, const json_t *v, int depth);

static bool push_json_array(lua_State *L, int kinds, const json_t *v, int depth)
{
    size_t count = json_array_size(v);

    lua_newtable(L);
    for (size_t i = 0; i < count; i++) {
        if (!push_json(L, kinds, json_array_get(v, i), depth + 1))
            return false;
        lua_rawseti(L, -2, (int)i + 1);
    }
    set_kind(L, kinds, KIND_ARRAY);
    return true;
}

static bool push_json_object(lua_State *L, int kinds, json_t *v, int depth)
{
    const char *key;
    json_t *member;

    lua_newtable(L);
    json_object_foreach(v, key, member)
    {
        lua_pushstring(L, key);
        if (!push_json(L, kinds, member, depth + 1))
            return false;
        lua_rawset(L, -3);
    }
    set_kind(L, kinds, KIND_OBJECT);
    return true;
}

/* Pushes v; false: nested too deeply, with anything on the stack. */
static bool push_json(lua_State *L, int kinds, const json_t *v, int depth)
{
    luaL_checkstack(L, 8, "JSON");
    switch (json_typeof(v)) {
    case JSON_OBJECT:
        return depth < JSON_DEPTH &&
               push_json_object(L, kinds, (json_t *)v, depth);
    case JSON_ARRAY:
        return depth < JSON_DEPTH && push_json_array(L, kinds, v, depth);
    case JSON_STRING:
        lua_pushlstring(L, json_string_value(v), json_string_length(v));
        return true;
    case JSON_INTEGER:
        if (!push_exactly(L, json_integer_value(v)))
            lua_pushnumber(L, (lua_Number)json_integer_value(v));
        return true;
    case JSON_REAL: lua_pushnumber(L, json_real_value(v)); return true;
    case JSON_NULL: lua_rawgeti(L, kinds, KIND_NULL); return true;
    default: lua_pushboolean(L, json_is_true(v)); return true;
    }
}

/* json_decode(text): the value; or nil, text */
static int l_json_decode(lua_State *L)
{
    size_t len;
    const char *text = luaL_checklstring(L, 1, &len);
    int kinds = push_kinds(L);
    struct keeper *k = new_keeper(L);
    json_error_t error;

    k->json = json_loadb(text, len, JSON_DECODE_ANY | JSON_ALLOW_NUL, &error);
    if (k->json == NULL) {
        lua_pushnil(L);
        lua_pushfstring(L, "JSON: %s at byte %d", error.text, error.position);
        return 2;
    }
    if (!push_json(L, kinds, k->json, 0)) {
        lua_pushnil(L);
        lua_pushliteral(L, "JSON: nested too deeply");
        empty_keeper(k);
        return 2;
    }
    empty_keeper(k);
    return 1;
}
