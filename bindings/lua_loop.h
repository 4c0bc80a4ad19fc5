/* Making, running and freeing endpoints from Lua, and Ctrl-C while one runs.
 * Part of lua_bridge.h. */

/* ---- Signals ------------------------------------------------------------ */

/* Signals belong to the process, and so does this: the endpoint that runs and
 * the signal that stopped it. A program with a loop in each of several threads
 * has its signals stop whichever came first. */
static _Atomic(copal *) running;
static volatile sig_atomic_t caught;
static int catching; /* for good, by catch_signals() */

static void on_signal(int number)
{
    copal *c = atomic_load(&running);

    if (caught != 0) { /* the first one was not heard: mean it */
        signal(number, SIG_DFL);
        raise(number);
    }
    caught = number;
    if (c != NULL)
        copal_stop(c);
}

static void catch_signal(int number, struct sigaction *before)
{
    struct sigaction action;

    memset(&action, 0, sizeof(action));
    action.sa_handler = on_signal;
    sigemptyset(&action.sa_mask);
    sigaction(number, &action, before);
}

/* From now on SIGINT and SIGTERM end run() and wait() instead of the
 * program. */
static int l_catch_signals(lua_State *L)
{
    (void)L;
    if (!catching) {
        catching = 1;
        catch_signal(SIGINT, NULL);
        catch_signal(SIGTERM, NULL);
    }
    return 0;
}

/* What SIGUSR1 has written: the recording of one endpoint, by the loop that it
 * wakes. */
static volatile sig_atomic_t recording_wanted;
static copal *recorded;
static char recording_path[1024];

static void on_recording_signal(int number)
{
    copal *c = atomic_load(&running);

    (void)number;
    recording_wanted = 1;
    if (c != NULL)
        copal_stop(c);
}

/* Did it stop the loop? What it asked for is done then. */
static bool write_wanted(void)
{
    bool was_wanted = recording_wanted != 0;

    recording_wanted = 0;
    if (was_wanted && recorded != NULL &&
        copal_log_to(recorded, COPAL_LOG_RECORDING, recording_path) < 0)
        fprintf(stderr, "copal: %s\n", copal_why(recorded));
    return was_wanted;
}

/* It was a crash, and is one: the signal comes again. */
static void on_crash(int number)
{
    if (recorded != NULL)
        (void)copal_dump(recorded, recording_path);
    raise(number);
}

/* Also where the stack is what ran out. */
static void catch_crashes(void)
{
    static const int numbers[] = {SIGABRT, SIGSEGV, SIGBUS, SIGFPE, SIGILL};
    static char stack[65536];
    stack_t other = {.ss_sp = stack, .ss_size = sizeof(stack)};
    struct sigaction action;

    memset(&action, 0, sizeof(action));
    action.sa_handler = on_crash;
    action.sa_flags = SA_RESETHAND | SA_ONSTACK;
    sigemptyset(&action.sa_mask);
    if (sigaltstack(&other, NULL) != 0)
        action.sa_flags = (int)SA_RESETHAND;
    for (size_t i = 0; i < sizeof(numbers) / sizeof(numbers[0]); i++)
        sigaction(numbers[i], &action, NULL);
}

/* record_on_signal(endpoint, path): from now on SIGUSR1 writes its recording
 * there, and so does a crash. Without arguments: no more. */
static int l_record_on_signal(lua_State *L)
{
    copal *c = lua_isnoneornil(L, 1) ? NULL : check_box(L, 1, &endpoint_type);
    const char *path = c == NULL ? "" : luaL_checkstring(L, 2);
    struct sigaction action;

    luaL_argcheck(L, strlen(path) < sizeof(recording_path), 2, "too long");
    recorded = NULL;
    strcpy(recording_path, path);
    recorded = c;
    if (c == NULL)
        return 0;
    catch_crashes();
    memset(&action, 0, sizeof(action));
    action.sa_handler = on_recording_signal;
    sigemptyset(&action.sa_mask);
    sigaction(SIGUSR1, &action, NULL);
    return 0;
}

/* The number of the signal that came, or nil; forgets it. */
static int l_caught(lua_State *L)
{
    int number = caught;

    caught = 0;
    if (number == 0)
        return 0;
    lua_pushinteger(L, number);
    return 1;
}

/* ---- Endpoints ---------------------------------------------------------- */

/* The loop of luv, if it is loaded in this state: what luv keeps in the
 * registry begins with a pointer to its loop. */
static struct uv_loop_s *luv_loop(lua_State *L)
{
    struct uv_loop_s **context;

    lua_getfield(L, LUA_REGISTRYINDEX, "luv_context");
    context = lua_touserdata(L, -1);
    lua_pop(L, 1);
    return context != NULL ? *context : NULL;
}

/* endpoint(share): on luv's loop if share is true. As the box is younger than
 * luv's context, it is collected before it when the state is closed: our
 * handles are closed by then, which luv would take for its own. */
static int l_endpoint(lua_State *L)
{
    copal_config config = {COPAL_CONFIG_INIT};
    struct endpoint_box *e;

    if (lua_toboolean(L, 1)) {
        config.loop = luv_loop(L);
        if (config.loop == NULL)
            return push_error(L, COPAL_ESTATE, "luv is not loaded");
    }
    e = new_box_of(L, &endpoint_type, sizeof(*e));
    e->box.ptr = copal_new(&config);
    if (e->box.ptr == NULL)
        return push_error(L, COPAL_ENOMEM, NULL);
    cp_endpoint_on_shortage(e->box.ptr, on_shortage, get_bridge(L));
    return 1;
}

/* END reaches the callbacks, unlike when an endpoint is collected. Freeing
 * twice is no mistake. */
static int l_free(lua_State *L)
{
    struct box *box = to_box(L, 1, &endpoint_type);
    copal *c;

    luaL_argcheck(L, box != NULL, 1, "endpoint expected");
    c = box->ptr;
    box->ptr = NULL;
    if (c == recorded)
        recorded = NULL;
    unlink_endpoint((struct endpoint_box *)(void *)box);
    if (c != NULL)
        copal_free(c);
    return 0;
}

/* While c runs, SIGINT stops it; as before afterwards. */
struct watched {
    bool mine, temporary;
    struct sigaction before;
};

static void watch_signals(struct watched *w, copal *c)
{
    copal *none = NULL;

    w->mine = atomic_compare_exchange_strong(&running, &none, c);
    w->temporary = w->mine && !catching;
    if (w->temporary)
        catch_signal(SIGINT, &w->before);
}

static void unwatch_signals(struct watched *w)
{
    if (w->temporary)
        sigaction(SIGINT, &w->before, NULL);
    if (w->mine)
        atomic_store(&running, NULL);
}

/* Runs one endpoint until it has nothing left to wait for, stop() or a
 * signal. */
static int l_run(lua_State *L)
{
    copal *c = check_box(L, 1, &endpoint_type);
    struct watched w;
    int err = 0;

    watch_signals(&w, c);
    do
        err = caught == 0 ? copal_run(c) : 0;
    while (write_wanted() && err == 0 && caught == 0);
    unwatch_signals(&w);
    if (err < 0)
        return push_error(L, err, why(L));
    lua_pushboolean(L, 1);
    return 1;
}

/* What wait() waits for: arguments of it, from the second on. */
struct waiting {
    struct pollfd *fds;
    bool *busy; /* of each: it had an exchange open when it was looked at */
    int n;
    int most; /* ms, or -1 */
};

/* NULL: a descriptor of somebody else's, or an endpoint that was freed. */
static copal *waiting_at(lua_State *L, int i)
{
    struct box *box = to_box(L, i + 2, &endpoint_type);

    return box == NULL ? NULL : box->ptr;
}

/* What one argument adds to what is waited for. */
static void wait_for(lua_State *L, const struct waiting *w, int i, int *timeout)
{
    struct pollfd *p = &w->fds[i];
    copal *c;
    int left;

    *p = (struct pollfd){.events = POLLIN};
    if (lua_type(L, i + 2) == LUA_TNUMBER) {
        p->fd = (int)check_integer(L, i + 2, 0, INT32_MAX);
        return;
    }
    c = check_box(L, i + 2, &endpoint_type);
    p->fd = copal_fd(c);
    left = copal_timeout(c);
    if (left >= 0 && (*timeout < 0 || left < *timeout))
        *timeout = left;
}

/* A turn for each that has something to do. One that is freed in the turn of
 * another is left out. */
static int step_all(lua_State *L, const struct waiting *w)
{
    for (int i = 0; i < w->n; i++) {
        copal *c = waiting_at(L, i);
        int err = 0;

        if (c != NULL && (w->fds[i].revents != 0 || copal_timeout(c) == 0))
            err = copal_step(c);
        if (err < 0)
            return err;
    }
    return 0;
}

static int turn_all(lua_State *L, const struct waiting *w)
{
    int timeout = w->most;
    copal *first = NULL;
    struct watched signals;

    for (int i = 0; i < w->n; i++) {
        wait_for(L, w, i, &timeout);
        if (first == NULL)
            first = waiting_at(L, i);
    }
    watch_signals(&signals, first);
    /* A signal from here on makes the endpoint's descriptor readable. */
    if (caught != 0 || poll(w->fds, (nfds_t)w->n, timeout) < 0)
        for (int i = 0; i < w->n; i++)
            w->fds[i].revents = 0;
    unwatch_signals(&signals);
    write_wanted();
    return step_all(L, w);
}

static uint64_t open_exchanges(const copal *c)
{
    copal_stats s = {.size = sizeof(s)};

    copal_get_stats(c, &s);
    return s.exchanges_open;
}

/* Whether the last exchange of one is over since this was asked last, or it was
 * freed: of all that makes one idle, Lua has no other way to notice this. */
static bool one_came_to_rest(lua_State *L, const struct waiting *w)
{
    bool did = false;

    for (int i = 0; i < w->n; i++) {
        const copal *c = waiting_at(L, i);
        bool is_busy = c != NULL && open_exchanges(c) > 0;

        did = did || (w->busy[i] && !is_busy);
        w->busy[i] = is_busy;
    }
    return did;
}

/* The first descriptor of somebody else's that has input; -1: none. */
static int readable(lua_State *L, const struct waiting *w)
{
    for (int i = 0; i < w->n; i++)
        if (lua_type(L, i + 2) == LUA_TNUMBER && w->fds[i].revents != 0)
            return w->fds[i].fd;
    return -1;
}

/* wait(ms, endpoint...): turns of each of several endpoints, until look() is called
 * or one of them has no exchange open any more; or one turn, after at most ms
 * (-1: no limit) of waiting for something to do. Numbers among them are
 * descriptors to be watched for input; the first that has any is returned
 * after true. */
static int l_wait(lua_State *L)
{
    struct bridge *b = get_bridge(L);
    struct waiting w = {.most = (int)check_integer(L, 1, -1, INT32_MAX),
                        .n = lua_gettop(L) - 1};
    size_t n = (size_t)w.n;
    int err, fd;

    luaL_argcheck(L, w.n >= 1, 2, "endpoint expected");
    w.fds = lua_newuserdata(L, n * (sizeof(*w.fds) + sizeof(*w.busy)));
    w.busy = (bool *)(w.fds + n);
    memset(w.busy, 0, n * sizeof(*w.busy));
    one_came_to_rest(L, &w);
    b->is_looked_at = false;
    do {
        err = turn_all(L, &w);
        fd = readable(L, &w);
    } while (err == 0 && fd < 0 && w.most < 0 && caught == 0 &&
             !one_came_to_rest(L, &w) && !b->is_looked_at);
    if (err < 0)
        return push_error(L, err, NULL);
    lua_pushboolean(L, 1);
    if (fd < 0)
        return 1;
    lua_pushinteger(L, fd);
    return 2;
}

/* look(): wait(), if it is under way, ends with this turn. */
static int l_look(lua_State *L)
{
    get_bridge(L)->is_looked_at = true;
    return 0;
}

/* replay(path, fn): runs a recording again; fn sees each line of trace. True, or
 * nil, sentence, number and name. An error in fn is raised when it is over. */
struct replaying {
    lua_State *L;
    bool failed; /* what fn raised is on top of the stack */
    char why[1024];
};

static void on_replay(const copal_event *ev, void *user)
{
    struct replaying *r = user;

    if (ev->kind == COPAL_END) {
        snprintf(r->why, sizeof(r->why), "%s", ev->text);
        return;
    }
    if (ev->kind != COPAL_TRACE || r->failed)
        return;
    lua_pushvalue(r->L, 2);
    lua_pushstring(r->L, ev->text);
    r->failed = lua_pcall(r->L, 1, 0, 0) != 0;
}

static int l_replay(lua_State *L)
{
    struct replaying r = {.L = L};
    const char *path = luaL_checkstring(L, 1);
    int err;

    luaL_checktype(L, 2, LUA_TFUNCTION);
    lua_settop(L, 2);
    luaL_checkstack(L, 8, NULL);
    err = copal_replay(path, COPAL_CB(on_replay, &r));
    if (r.failed)
        return lua_error(L);
    if (err < 0)
        return push_error(L, err, r.why);
    lua_pushboolean(L, 1);
    return 1;
}
