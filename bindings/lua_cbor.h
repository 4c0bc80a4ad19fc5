/* CBOR to Lua values and back; lua/copal/cbor.lua says what becomes what.
 * Part of lua_data.h. */

/* ---- Reading ------------------------------------------------------------ */

struct decoding {
    lua_State *L;
    struct cp_cbor_reader r;
    int kinds;
    bool exact;      /* byte strings come as such           */
    const char *why; /* NULL: what the error says by itself */
};

static int read_next(struct decoding *d);

/* Pushes { tag = number, value = what is on top }, in its place. */
static void wrap_tag(struct decoding *d, uint64_t number)
{
    lua_State *L = d->L;

    lua_createtable(L, 0, 2);
    lua_insert(L, -2);
    lua_setfield(L, -2, "value");
    lua_pushinteger(L, (lua_Integer)number);
    lua_setfield(L, -2, "tag");
    set_kind(L, d->kinds, KIND_TAG);
}

/* An integer; what Lua cannot hold exactly comes as the bignum that it might
 * have been, RFC 8949 3.4.3. */
static void push_whole(struct decoding *d, uint64_t n, bool is_negative)
{
    uint8_t bytes[8];

    if (n <= INT64_MAX &&
        push_exactly(d->L, is_negative ? -1 - (int64_t)n : (int64_t)n))
        return;
    for (int i = 0; i < 8; i++)
        bytes[i] = (uint8_t)(n >> (56 - 8 * i));
    lua_pushlstring(d->L, (const char *)bytes, sizeof(bytes));
    wrap_tag(d, is_negative ? 3 : 2);
}

static int push_chunks(struct decoding *d)
{
    struct cp_cbor_item chunk;
    luaL_Buffer text;
    int result;

    luaL_buffinit(d->L, &text);
    while ((result = cp_cbor_next(&d->r, &chunk)) > 0 &&
           chunk.kind != CP_CBOR_END)
        if (chunk.bytes.len > 0)
            luaL_addlstring(&text, (const char *)chunk.bytes.data,
                            chunk.bytes.len);
    luaL_pushresult(&text);
    return result;
}

static int push_string(struct decoding *d, const struct cp_cbor_item *item)
{
    int result = 1;

    if (item->indefinite)
        result = push_chunks(d);
    else
        push_bytes(d->L, item->bytes);
    if (item->kind == CP_CBOR_BYTES && d->exact) {
        lua_createtable(d->L, 0, 1);
        lua_insert(d->L, -2);
        lua_setfield(d->L, -2, "bytes");
        set_kind(d->L, d->kinds, KIND_BYTES);
    }
    return result;
}

/* The items up to the END. The count is the sender's word: room is made as
 * items come, but for the first few. */
static int push_array(struct decoding *d, const struct cp_cbor_item *item)
{
    int few = item->n < 64 ? (int)item->n : 64, result;

    lua_createtable(d->L, few, 0);
    for (int i = 1; (result = read_next(d)) == 1; i++)
        lua_rawseti(d->L, -2, i);
    if (result != 2)
        return result;
    set_kind(d->L, d->kinds, KIND_ARRAY);
    return 1;
}

static int l_cbor_encode(lua_State *L);

/* Tables are alike by what they hold. How those that were keys are written
 * stands in a table below the map, which is made for the first. */
static bool is_new_table(struct decoding *d)
{
    lua_State *L = d->L;
    bool is_new;

    if (lua_isnil(L, -3)) {
        lua_newtable(L);
        lua_replace(L, -4);
    }
    lua_pushcfunction(L, l_cbor_encode);
    lua_pushvalue(L, -2);
    lua_call(L, 1, 1);
    lua_pushvalue(L, -1);
    lua_rawget(L, -5);
    is_new = lua_isnil(L, -1);
    lua_pop(L, 1);
    lua_pushboolean(L, 1);
    lua_rawset(L, -5);
    return is_new;
}

/* What cannot be a key in Lua, or is one already. Two of a key make a map
 * invalid, and who reads the first and who the last would not agree.
 * RFC 8949 5.6. */
static bool is_new_key(struct decoding *d)
{
    bool is_new;

    if (lua_type(d->L, -1) == LUA_TNUMBER &&
        lua_tonumber(d->L, -1) != lua_tonumber(d->L, -1)) {
        d->why = "NaN as the key of a map";
        return false;
    }
    lua_pushvalue(d->L, -1);
    lua_rawget(d->L, -3);
    is_new = lua_isnil(d->L, -1);
    lua_pop(d->L, 1);
    if (is_new && lua_istable(d->L, -1))
        is_new = is_new_table(d);
    if (!is_new)
        d->why = "a map with the same key twice";
    return is_new;
}

static int push_map(struct decoding *d)
{
    int result;

    lua_pushnil(d->L); /* keys that are tables, once there are any */
    lua_newtable(d->L);
    while ((result = read_next(d)) == 1) {
        if (!is_new_key(d))
            return COPAL_EFORMAT;
        result = read_next(d);
        if (result != 1)
            break;
        lua_rawset(d->L, -3);
    }
    if (result < 0)
        return result;
    lua_remove(d->L, -2);
    set_kind(d->L, d->kinds, KIND_OBJECT);
    return 1;
}

static int push_tagged(struct decoding *d, uint64_t number)
{
    struct cp_cbor_item end;
    int result = read_next(d);

    if (result != 1)
        return result;
    wrap_tag(d, number);
    return cp_cbor_next(&d->r, &end);
}

static void push_simple(struct decoding *d, uint64_t n)
{
    switch (n) {
    case CP_CBOR_FALSE:
    case CP_CBOR_TRUE: lua_pushboolean(d->L, n == CP_CBOR_TRUE); break;
    case CP_CBOR_NULL: lua_rawgeti(d->L, d->kinds, KIND_NULL); break;
    case CP_CBOR_UNDEFINED: lua_rawgeti(d->L, d->kinds, KIND_UNDEFINED); break;
    default:
        lua_createtable(d->L, 0, 1);
        lua_pushinteger(d->L, (lua_Integer)n);
        lua_setfield(d->L, -2, "simple");
        set_kind(d->L, d->kinds, KIND_SIMPLE);
    }
}

/* Pushes the next item with all that is in it. 1; 2: it was the END of what
 * it would stand in, nothing is pushed; 0: no more; or an error, with anything
 * on the stack. Never deeper than the reader allows. */
static int read_next(struct decoding *d)
{
    struct cp_cbor_item item;
    int result = cp_cbor_next(&d->r, &item);

    if (result != 1)
        return result;
    luaL_checkstack(d->L, 12, "CBOR");
    switch (item.kind) {
    case CP_CBOR_UNSIGNED: push_whole(d, item.n, false); return 1;
    case CP_CBOR_NEGATIVE: push_whole(d, item.n, true); return 1;
    case CP_CBOR_BYTES:
    case CP_CBOR_TEXT: return push_string(d, &item);
    case CP_CBOR_ARRAY: return push_array(d, &item);
    case CP_CBOR_MAP: return push_map(d);
    case CP_CBOR_TAG: return push_tagged(d, item.n);
    case CP_CBOR_SIMPLE: push_simple(d, item.n); return 1;
    case CP_CBOR_FLOAT: lua_pushnumber(d->L, item.number); return 1;
    default: return 2;
    }
}

/* nil and a sentence; why NULL: the error's own. */
static int refuse_cbor(lua_State *L, const struct cp_cbor_reader *r,
                       copal_bytes in, int error, const char *why)
{
    size_t at = cp_cbor_offset(r, in);

    if (why == NULL && error == COPAL_ELIMIT)
        why = "nested too deeply";
    else if (why == NULL && at >= in.len)
        why = "incomplete";
    else if (why == NULL)
        why = "not well-formed, or longer than what there is";
    lua_pushnil(L);
    lua_pushfstring(L, "CBOR: %s at byte %d", why, (int)at + 1);
    return 2;
}

/* cbor_decode(bytes, exact, is_sequence): the value, of a sequence an array of
 * them; or nil, text */
static int l_cbor_decode(lua_State *L)
{
    copal_bytes in;
    struct decoding d = {.L = L};
    int result;

    in.data = (const uint8_t *)luaL_checklstring(L, 1, &in.len);
    d.exact = lua_toboolean(L, 2);
    d.r = cp_cbor_read(in, CP_CBOR_DEPTH);
    d.r.is_sequence = lua_toboolean(L, 3);
    d.kinds = push_kinds(L);
    if (d.r.is_sequence) {
        lua_newtable(L);
        for (int i = 1; (result = read_next(&d)) == 1; i++)
            lua_rawseti(L, -2, i);
        if (result == 0)
            set_kind(L, d.kinds, KIND_ARRAY);
    } else {
        struct cp_cbor_item more;

        result = read_next(&d);
        if (result == 1) /* is that all? */
            result = cp_cbor_next(&d.r, &more);
    }
    if (result < 0)
        return refuse_cbor(L, &d.r, in, result, d.why);
    return 1;
}

/* cbor_diagnostic(bytes, indented, is_sequence): text; or nil, text */
static int l_cbor_diagnostic(lua_State *L)
{
    copal_bytes in;
    struct cp_cbor_reader r;
    struct keeper *k;
    int result;

    in.data = (const uint8_t *)luaL_checklstring(L, 1, &in.len);
    r = cp_cbor_read(in, CP_CBOR_DEPTH);
    r.is_sequence = lua_toboolean(L, 3);
    k = new_keeper(L);
    result = cp_cbor_print(
        &r, lua_toboolean(L, 2) ? CP_CBOR_INDENTED : CP_CBOR_ON_ONE_LINE,
        &k->buf);
    if (result < 0) {
        empty_keeper(k);
        return refuse_cbor(L, &r, in, result, NULL);
    }
    push_kept(L, k);
    return 1;
}

/* ---- Writing ------------------------------------------------------------ */

struct encoding {
    lua_State *L;
    struct cp_buf *out;
    int kinds;
    int depth;
};

static void write_value(struct encoding *e, int i);

static void write_number(struct encoding *e, int i)
{
    int64_t n;

    if (to_integer(e->L, i, &n))
        cp_cbor_put_int(e->out, n);
    else
        cp_cbor_put_float(e->out, lua_tonumber(e->L, i));
}

static copal_bytes string_at(lua_State *L, int i)
{
    copal_bytes bytes = {0};

    bytes.data = (const uint8_t *)lua_tolstring(L, i, &bytes.len);
    return bytes;
}

/* Pushes the field of the table at i. */
static void push_field(lua_State *L, int i, const char *name)
{
    lua_pushstring(L, name);
    lua_rawget(L, i);
}

static void write_bytes(struct encoding *e, int i)
{
    push_field(e->L, i, "bytes");
    if (lua_type(e->L, -1) != LUA_TSTRING)
        luaL_error(e->L, "CBOR: bytes are a string, got %s",
                   luaL_typename(e->L, -1));
    cp_cbor_put_bytes(e->out, string_at(e->L, -1));
    lua_pop(e->L, 1);
}

static void write_simple(struct encoding *e, int i)
{
    lua_Number n;

    push_field(e->L, i, "simple");
    n = lua_tonumber(e->L, -1);
    if (!(n >= 0 && n <= 255) || (n >= 24 && n < 32) || n != (int)n)
        luaL_error(e->L, "CBOR: a simple value is 0 to 23 or 32 to 255");
    cp_cbor_put_simple(e->out, (uint8_t)n);
    lua_pop(e->L, 1);
}

/* The string on top, or the one in the byte string on top. */
static bool find_bytes(struct encoding *e, copal_bytes *bytes)
{
    int top = lua_gettop(e->L);

    if (lua_type(e->L, top) == LUA_TTABLE &&
        kind_of(e->L, e->kinds, top) == KIND_BYTES) {
        push_field(e->L, top, "bytes");
        lua_replace(e->L, top);
    }
    if (lua_type(e->L, top) != LUA_TSTRING)
        return false;
    *bytes = string_at(e->L, top);
    return true;
}

static void write_tag(struct encoding *e, int i)
{
    int64_t tag = 0;
    copal_bytes bytes;

    push_field(e->L, i, "tag");
    if (lua_type(e->L, -1) != LUA_TNUMBER || !to_integer(e->L, -1, &tag))
        luaL_error(e->L, "CBOR: a tag's number is an integer");
    lua_pop(e->L, 1);
    push_field(e->L, i, "value");
    if ((tag == 2 || tag == 3) && find_bytes(e, &bytes)) {
        cp_cbor_put_bignum(e->out, bytes, tag == 3);
    } else {
        cp_cbor_put_tag(e->out, (uint64_t)tag);
        write_value(e, lua_gettop(e->L));
    }
    lua_pop(e->L, 1);
}

static void write_array(struct encoding *e, int i, size_t count)
{
    cp_cbor_put_array(e->out, count);
    for (size_t k = 1; k <= count; k++) {
        lua_rawgeti(e->L, i, (int)k);
        write_value(e, lua_gettop(e->L));
        lua_pop(e->L, 1);
    }
}

static void write_map(struct encoding *e, int i, size_t pairs)
{
    size_t begin;
    int err;

    cp_cbor_put_map(e->out, pairs);
    begin = e->out->len;
    lua_pushnil(e->L);
    while (lua_next(e->L, i) != 0) {
        int value = lua_gettop(e->L);

        write_value(e, value - 1);
        write_value(e, value);
        lua_pop(e->L, 1);
    }
    err = cp_cbor_sort_map(e->out, begin, pairs);
    if (err != 0)
        luaL_error(e->L, err == COPAL_EINVAL ? "CBOR: the same key twice"
                                             : "out of memory");
}

/* How many pairs the table at i has, and whether they are those of an array:
 * 1 to their number. */
static size_t count_pairs(lua_State *L, int i, bool *is_array)
{
    size_t pairs = 0, len = raw_len(L, i);

    *is_array = true;
    lua_pushnil(L);
    while (lua_next(L, i) != 0) {
        lua_pop(L, 1);
        pairs++;
        if (lua_type(L, -1) != LUA_TNUMBER || lua_tonumber(L, -1) < 1 ||
            lua_tonumber(L, -1) > (lua_Number)len)
            *is_array = false;
    }
    *is_array = *is_array && pairs == len;
    return pairs;
}

static void write_plain_table(struct encoding *e, int i, int kind)
{
    bool is_array;
    size_t pairs = count_pairs(e->L, i, &is_array);

    if (kind == KIND_ARRAY)
        write_array(e, i, raw_len(e->L, i));
    else if (kind != KIND_OBJECT && is_array)
        write_array(e, i, pairs);
    else
        write_map(e, i, pairs);
}

static void write_table(struct encoding *e, int i)
{
    int kind = kind_of(e->L, e->kinds, i);

    switch (kind) {
    case KIND_NULL: cp_cbor_put_simple(e->out, CP_CBOR_NULL); return;
    case KIND_UNDEFINED: cp_cbor_put_simple(e->out, CP_CBOR_UNDEFINED); return;
    case KIND_BYTES: write_bytes(e, i); return;
    case KIND_SIMPLE: write_simple(e, i); return;
    default: break;
    }
    /* A table that contains itself ends here, too. */
    if (++e->depth > CP_CBOR_DEPTH)
        luaL_error(e->L, "CBOR: nested too deeply");
    if (kind == KIND_TAG)
        write_tag(e, i);
    else
        write_plain_table(e, i, kind);
    e->depth--;
}

/* The value at i, an absolute index. */
static void write_value(struct encoding *e, int i)
{
    copal_bytes text;

    luaL_checkstack(e->L, 12, "CBOR");
    switch (lua_type(e->L, i)) {
    case LUA_TNIL: cp_cbor_put_simple(e->out, CP_CBOR_NULL); break;
    case LUA_TBOOLEAN:
        cp_cbor_put_simple(e->out, lua_toboolean(e->L, i) ? CP_CBOR_TRUE
                                                          : CP_CBOR_FALSE);
        break;
    case LUA_TNUMBER: write_number(e, i); break;
    case LUA_TSTRING:
        text = string_at(e->L, i);
        if (cp_utf8_is_valid(text))
            cp_cbor_put_text(e->out, text);
        else
            cp_cbor_put_bytes(e->out, text);
        break;
    case LUA_TTABLE: write_table(e, i); break;
    default: luaL_error(e->L, "CBOR has no %s", luaL_typename(e->L, i));
    }
}

/* cbor_encode(value): bytes; an error for what CBOR cannot say */
static int l_cbor_encode(lua_State *L)
{
    struct encoding e = {.L = L};
    struct keeper *k;

    luaL_checkany(L, 1);
    lua_settop(L, 1);
    e.kinds = push_kinds(L);
    k = new_keeper(L);
    e.out = &k->buf;
    write_value(&e, 1);
    push_kept(L, k);
    return 1;
}
