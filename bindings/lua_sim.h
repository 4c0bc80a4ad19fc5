/* Simulated networks in Lua. Part of lua_bridge.h. */
#include <copal_sim.h>

struct sim_box {
    struct box box;
    struct endpoint_box *endpoints; /* alive; each knows its place */
    int stopped;                    /* somebody was woken          */
};

/* Called when a box of one is emptied; its endpoints are gone by then. */
static void free_sim(void *p)
{
    copal_sim_free(p);
}

static struct box_type sim_type = {"simulation", NULL, free_sim};

static struct sim_box *check_sim(lua_State *L)
{
    check_box(L, 1, &sim_type);
    return lua_touserdata(L, 1);
}

/* sim(seed) */
static int l_sim(lua_State *L)
{
    uint64_t seed = (uint64_t)check_integer(L, 1, 0, INT64_MAX);
    struct sim_box *sim = new_box_of(L, &sim_type, sizeof(*sim));

    sim->box.ptr = copal_sim_new(seed);
    if (sim->box.ptr == NULL)
        return push_error(L, COPAL_ENOMEM, NULL);
    return 1;
}

/* One by one, so that a callback of their end finds an empty box. */
static void free_endpoints(struct sim_box *sim)
{
    while (sim->endpoints != NULL) {
        struct endpoint_box *e = sim->endpoints;
        copal *c = e->box.ptr;

        e->box.ptr = NULL;
        unlink_endpoint(e);
        copal_free(c);
    }
}

static int l_sim_free(lua_State *L)
{
    struct box *box = to_box(L, 1, &sim_type);
    copal_sim *s;

    luaL_argcheck(L, box != NULL, 1, "simulation expected");
    free_endpoints((struct sim_box *)(void *)box);
    s = box->ptr;
    box->ptr = NULL;
    copal_sim_free(s);
    return 0;
}

static int gc_sim(lua_State *L)
{
    struct box *box = to_box(L, 1, &sim_type);
    struct bridge *b = lua_touserdata(L, lua_upvalueindex(1));

    if (box == NULL)
        return 0;
    b->mute++;
    free_endpoints((struct sim_box *)(void *)box);
    b->mute--;
    empty_box(L, box, &sim_type);
    return 0;
}

/* sim_endpoint(sim, host): nil, text, EEXIST when the host is up. */
static int l_sim_endpoint(lua_State *L)
{
    struct sim_box *sim = check_sim(L);
    const char *host = check_text(L, 2);
    struct endpoint_box *e = new_box_of(L, &endpoint_type, sizeof(*e));

    e->box.ptr = copal_sim_endpoint(sim->box.ptr, host, NULL);
    if (e->box.ptr == NULL)
        return push_error(L, COPAL_EEXIST,
                          "the host is up already, or out of memory");
    cp_endpoint_on_shortage(e->box.ptr, on_shortage, get_bridge(L));
    e->next = sim->endpoints;
    e->back = &sim->endpoints;
    if (e->next != NULL)
        e->next->back = &e->next;
    sim->endpoints = e;
    return 1;
}

static int push_result(lua_State *L, int result)
{
    if (result < 0)
        return push_error(L, result, NULL);
    lua_pushinteger(L, result);
    return 1;
}

/* sim_set_path(sim, from, to, delay, jitter, loss, duplication, reordering):
 * from and to may be nil; ms, ms, percent... */
static int l_sim_set_path(lua_State *L)
{
    struct sim_box *sim = check_sim(L);
    const char *from = lua_isnoneornil(L, 2) ? NULL : check_text(L, 2);
    const char *to = lua_isnoneornil(L, 3) ? NULL : check_text(L, 3);
    copal_sim_path path = {
        .delay = (uint32_t)check_integer(L, 4, 0, UINT32_MAX),
        .jitter = (uint32_t)check_integer(L, 5, 0, UINT32_MAX),
        .loss = (uint32_t)check_integer(L, 6, 0, UINT32_MAX),
        .duplication = (uint32_t)check_integer(L, 7, 0, UINT32_MAX),
        .reordering = (uint32_t)check_integer(L, 8, 0, UINT32_MAX),
    };

    return push_result(L, copal_sim_set_path(sim->box.ptr, from, to, path));
}

static int l_sim_lose(lua_State *L)
{
    struct sim_box *sim = check_sim(L);
    const char *host = check_text(L, 2);
    unsigned count = (unsigned)check_integer(L, 3, 0, UINT32_MAX);

    return push_result(L, copal_sim_lose(sim->box.ptr, host, count));
}

static int l_sim_move(lua_State *L)
{
    struct sim_box *sim = check_sim(L);

    return push_result(L, copal_sim_move(sim->box.ptr, check_text(L, 2)));
}

/* sim_refuse(sim, host, refuses) */
static int l_sim_refuse(lua_State *L)
{
    struct sim_box *sim = check_sim(L);

    return push_result(L, copal_sim_refuse(sim->box.ptr, check_text(L, 2),
                                           lua_toboolean(L, 3)));
}

/* sim_inject(sim, from, host, datagram) */
static int l_sim_inject(lua_State *L)
{
    struct sim_box *sim = check_sim(L);
    const char *from = check_text(L, 2), *host = check_text(L, 3);
    copal_bytes datagram;

    datagram.data = (const uint8_t *)luaL_checklstring(L, 4, &datagram.len);
    return push_result(L, copal_sim_inject(sim->box.ptr, from, host, datagram));
}

/* sim_run(sim, ms, whole): lets ms pass, or less if whole is false and
 * sim_stop() is called meanwhile: nobody who was woken finds that time went on
 * without him. Gives the number of datagrams on their way. */
static int l_sim_run(lua_State *L)
{
    struct sim_box *sim = check_sim(L);
    uint64_t ms = (uint64_t)check_integer(L, 2, 0, INT64_MAX);
    int underway = 0;

    if (lua_toboolean(L, 3))
        return push_result(L, copal_sim_run(sim->box.ptr, ms));
    sim->stopped = 0;
    for (uint64_t i = 0; i <= ms && !sim->stopped; i++) {
        underway = copal_sim_run(sim->box.ptr, i == 0 ? 0 : 1);
        if (underway < 0 || sim->box.ptr == NULL)
            break;
    }
    return push_result(L, underway);
}

static int l_sim_stop(lua_State *L)
{
    check_sim(L)->stopped = 1;
    return 0;
}

static int l_sim_now(lua_State *L)
{
    lua_pushinteger(L, (lua_Integer)copal_sim_now(check_sim(L)->box.ptr));
    return 1;
}

static int l_sim_transcript(lua_State *L)
{
    lua_pushstring(L, copal_sim_transcript(check_sim(L)->box.ptr));
    return 1;
}

static int l_sim_keep(lua_State *L)
{
    struct sim_box *sim = check_sim(L);
    size_t bytes = (size_t)check_integer(L, 2, 0, INT64_MAX);

    return push_result(L, copal_sim_keep(sim->box.ptr, bytes));
}
