/* What has no shape in Lua that a map could give it: options, what the wire
 * showed, counters, the tables of names. Part of lua_bridge.h. */

/* { number, value, number, value, ... } in wire order */
static int l_options(lua_State *L)
{
    const copal_msg *m = check_box(L, 1, &message_type);
    copal_bytes value;
    int number;

    lua_newtable(L);
    for (int i = 0; (number = copal_msg_option(m, (size_t)i, &value)) >= 0;
         i++) {
        lua_pushinteger(L, number);
        lua_rawseti(L, -2, 2 * i + 1);
        push_bytes(L, value);
        lua_rawseti(L, -2, 2 * i + 2);
    }
    return 1;
}

/* msg_value(m, option, i): nil past the last */
static int l_msg_value(lua_State *L)
{
    const copal_msg *m = check_box(L, 1, &message_type);
    int option = (int)check_integer(L, 2, 0, UINT16_MAX);
    size_t i = (size_t)check_integer(L, 3, 0, INT32_MAX);
    copal_bytes value;

    if (copal_msg_value(m, option, i, &value) < 0)
        return 0;
    push_bytes(L, value);
    return 1;
}

/* msg_list(m, option): { value, value, ... } */
static int l_msg_list(lua_State *L)
{
    const copal_msg *m = check_box(L, 1, &message_type);

    push_values(L, m, (unsigned)check_integer(L, 2, 0, UINT16_MAX));
    return 1;
}

/* nil: not there */
static int l_msg_uint(lua_State *L)
{
    const copal_msg *m = check_box(L, 1, &message_type);
    int64_t n = copal_msg_uint(m, (int)check_integer(L, 2, 0, UINT16_MAX));

    if (n < 0)
        return 0;
    lua_pushinteger(L, (lua_Integer)n);
    return 1;
}

static void set_integer(lua_State *L, const char *name, uint64_t n)
{
    lua_pushinteger(L, (lua_Integer)n);
    lua_setfield(L, -2, name);
}

/* msg_decode(endpoint, datagram): a message, or nil, text, NAME */
static int l_msg_decode(lua_State *L)
{
    copal *c = check_box(L, 1, &endpoint_type);
    struct bridge *b = get_bridge(L);
    copal_bytes datagram;
    copal_msg *m;
    int err;

    datagram.data = (const uint8_t *)luaL_checklstring(L, 2, &datagram.len);
    push_collector(L, b, 1);
    push_view(L, b, HELD_ROOM); /* there may be no memory for it later */
    err = copal_msg_decode(c, datagram, &m);
    if (err < 0)
        return push_error(L, err, why(L));
    hold_view(L, b)->box.ptr = m;
    return 1;
}

static int l_msg_wire(lua_State *L)
{
    const copal_msg *m = check_box(L, 1, &message_type);
    copal_wire wire = {.size = sizeof(wire)};
    int err = copal_msg_wire(m, &wire);

    if (err < 0)
        return push_error(L, err, NULL);
    lua_newtable(L);
    set_integer(L, "type", (uint64_t)wire.type);
    set_integer(L, "mid", (uint64_t)wire.mid);
    set_integer(L, "if_index", wire.if_index);
    lua_pushboolean(L, wire.multicast);
    lua_setfield(L, -2, "multicast");
    push_bytes(L, wire.token);
    lua_setfield(L, -2, "token");
    return 1;
}

/* interfaces(endpoint): { { name =, index = }, ... }, those that reach groups */
static int l_interfaces(lua_State *L)
{
    copal *c = check_box(L, 1, &endpoint_type);
    const char *name;
    unsigned index;

    lua_newtable(L);
    for (int i = 0; (name = copal_interface(c, (size_t)i, &index)) != NULL;
         i++) {
        lua_newtable(L);
        lua_pushstring(L, name);
        lua_setfield(L, -2, "name");
        set_integer(L, "index", index);
        lua_rawseti(L, -2, i + 1);
    }
    return 1;
}

static int l_stats(lua_State *L)
{
    const copal *c = check_box(L, 1, &endpoint_type);
    copal_stats s = {.size = sizeof(s)};
    int err = copal_get_stats(c, &s);

    if (err < 0)
        return push_error(L, err, why(L));
    lua_newtable(L);
    set_integer(L, "datagrams_in", s.datagrams_in);
    set_integer(L, "datagrams_out", s.datagrams_out);
    set_integer(L, "bytes_in", s.bytes_in);
    set_integer(L, "bytes_out", s.bytes_out);
    set_integer(L, "retransmissions", s.retransmissions);
    set_integer(L, "duplicates", s.duplicates);
    set_integer(L, "malformed", s.malformed);
    set_integer(L, "rejected", s.rejected);
    set_integer(L, "limited", s.limited);
    set_integer(L, "exchanges", s.exchanges);
    set_integer(L, "exchanges_open", s.exchanges_open);
    set_integer(L, "peers", s.peers);
    set_integer(L, "observers", s.observers);
    set_integer(L, "memory", s.memory);
    return 1;
}

/* How many exchanges are open: asked every turn, so without a table. */
static int l_open_exchanges(lua_State *L)
{
    lua_pushinteger(
        L, (lua_Integer)open_exchanges(check_box(L, 1, &endpoint_type)));
    return 1;
}

static void add_param(lua_State *L, int row, int number, int64_t value,
                      const char *where, const char *what)
{
    lua_newtable(L);
    set_integer(L, "number", (uint64_t)number);
    lua_pushinteger(L, (lua_Integer)value);
    lua_setfield(L, -2, "value");
    lua_pushstring(L, copal_name(COPAL_PARAMETERS, number));
    lua_setfield(L, -2, "name");
    lua_pushstring(L, where);
    lua_setfield(L, -2, "where");
    lua_pushstring(L, what);
    lua_setfield(L, -2, "what");
    lua_rawseti(L, -2, row);
}

/* Every row of COPAL_PARAMS, in order. */
static int l_params(lua_State *L)
{
    int row = 0;

    lua_newtable(L);
#define X(name, number, value, where, what) \
    add_param(L, ++row, number, value, where, what);
    COPAL_PARAMS(X)
#undef X
    return 1;
}

/* { ETIMEOUT = -9, ... } */
static int l_errors(lua_State *L)
{
    lua_newtable(L);
#define X(name, number, text) \
    lua_pushinteger(L, -(number)); \
    lua_setfield(L, -2, #name);
    COPAL_ERRORS(X)
#undef X
    return 1;
}
