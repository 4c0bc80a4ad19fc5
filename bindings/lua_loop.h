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

/* What one argument of wait() adds to what is waited for. */
static void wait_for(lua_State *L, int i, struct pollfd *p, int *timeout)
{
    copal *c;
    int left;

    *p = (struct pollfd){.events = POLLIN};
    if (lua_type(L, i) == LUA_TNUMBER) {
        p->fd = (int)check_integer(L, i, 0, INT32_MAX);
        return;
    }
    c = check_box(L, i, &endpoint_type);
    p->fd = copal_fd(c);
    left = copal_timeout(c);
    if (left >= 0 && (*timeout < 0 || left < *timeout))
        *timeout = left;
}

/* A turn for each that has something to do. One that is freed in the turn of
 * another is left out. */
static int step_all(lua_State *L, const struct pollfd *fds, int n)
{
    for (int i = 0; i < n; i++) {
        struct box *box = to_box(L, i + 2, &endpoint_type);
        copal *c = box == NULL ? NULL : box->ptr;
        int err = 0;

        if (c != NULL && (fds[i].revents != 0 || copal_timeout(c) == 0))
            err = copal_step(c);
        if (err < 0)
            return err;
    }
    return 0;
}

/* wait(ms, endpoint...): one turn of each of several endpoints, after at most
 * ms (-1: no limit) of waiting for something to do. Numbers among them are
 * descriptors to be watched for input; the first that has any is returned
 * after true. */
static int l_wait(lua_State *L)
{
    int timeout = (int)check_integer(L, 1, -1, INT32_MAX);
    int n = lua_gettop(L) - 1, err;
    struct pollfd *fds;
    copal *first = NULL;
    struct watched w;

    luaL_argcheck(L, n >= 1, 2, "endpoint expected");
    fds = lua_newuserdata(L, (size_t)n * sizeof(*fds));
    for (int i = 0; i < n; i++) {
        wait_for(L, i + 2, &fds[i], &timeout);
        if (first == NULL && lua_type(L, i + 2) != LUA_TNUMBER)
            first = check_box(L, i + 2, &endpoint_type);
    }
    watch_signals(&w, first);
    /* A signal from here on makes the endpoint's descriptor readable. */
    if (caught != 0 || poll(fds, (nfds_t)n, timeout) < 0)
        for (int i = 0; i < n; i++)
            fds[i].revents = 0;
    unwatch_signals(&w);
    write_wanted();
    err = step_all(L, fds, n);
    if (err < 0)
        return push_error(L, err, NULL);
    lua_pushboolean(L, 1);
    for (int i = 0; i < n; i++)
        if (lua_type(L, i + 2) == LUA_TNUMBER && fds[i].revents != 0) {
            lua_pushinteger(L, fds[i].fd);
            return 2;
        }
    return 1;
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
