/* A client, a server and two strangers, driven by the bytes: datagrams made
 * up, time, what users of both sides do. Whatever happens, each request sees
 * END exactly once and nothing after it, each callback is dropped exactly
 * once, and the endpoints give all their memory back.
 *
 * An input is a row of steps; each begins with a byte that names it, and what
 * it needs follows. Bytes that are missing are zeroes. */
#include <string.h>
#include "world.h"

enum {
    MAX_STEPS = 200,
    MAX_ASKED = 32,
    MAX_LATE = 8,
    MAX_TOKEN = 8,
    TRACES = COPAL_TRACE_WIRE | COPAL_TRACE_STATE,
    LONGEST_LIFE = 3600000 /* ms: more than any timer of the protocol */
};

/* One request of the client's. */
struct asked {
    struct world *world;
    copal_exchange *x; /* NULL once END was seen */
    int ends, drops;
    bool started, refused, pauses;
};

struct world {
    struct input in;
    copal_sim *sim;
    copal *client, *server;
    size_t allocated;
    struct asked asked[MAX_ASKED];
    size_t asked_count;
    copal_exchange *late[MAX_LATE]; /* requests not answered yet */
    size_t late_count;
    struct tap of_client, of_server; /* what they sent */
    int served, served_drops;
    unsigned state; /* of what is served; changes with each notify */
};

/* ---- The client's user ---- */

static void on_client(const copal_event *ev, void *user)
{
    struct asked *a = user;

    require(a->ends == 0 && a->drops == 0);
    if (ev->kind == COPAL_END) {
        a->ends++;
        a->x = NULL;
        return;
    }
    require(ev->exchange != NULL);
    if (ev->kind == COPAL_PULL)
        copal_write(ev->exchange, some_body(ev->offset, ev->want),
                    ev->offset > 2000);
    if (ev->kind == COPAL_RESPONSE || ev->kind == COPAL_CHUNK)
        require(ev->msg != NULL);
    if (ev->kind == COPAL_CHUNK && a->pauses)
        copal_pause(ev->exchange);
}

static void drop_asked(void *user)
{
    struct asked *a = user;

    require(a->started && a->drops == 0);
    a->drops++;
}

static const char *const uris[] = {
    "coap://server/plain",   "coap://server/obs",  "coap://server/big",
    "coap://server/stream",  "coap://server/late", "coap://server/up",
    "coap://server/obs-big", "coap://192.0.2.1/x", "coap://server/obs-late",
    "coap://server/nowhere",
};

static void start(struct world *w)
{
    static const uint8_t codes[] = {COPAL_GET,    COPAL_PUT,   COPAL_POST,
                                    COPAL_FETCH,  COPAL_GET,   COPAL_GET,
                                    COPAL_DELETE, COPAL_EMPTY, COPAL_GET};
    unsigned how = take(&w->in), what = take(&w->in), size = take(&w->in);
    struct asked *a = &w->asked[w->asked_count];
    const char *uri = uris[what % (sizeof(uris) / sizeof(uris[0]))];
    copal_cb cb = COPAL_CB_OWN(on_client, a, drop_asked);
    int code = codes[how % sizeof(codes)];
    unsigned flags = 0;
    copal_msg *m;

    if (w->asked_count == MAX_ASKED)
        return;
    w->asked_count++;
    a->world = w;
    a->started = true;
    a->pauses = (what & 128) != 0;
    if (how % sizeof(codes) >= 4 && code == COPAL_GET) {
        a->x = how % sizeof(codes) == 8 ? copal_watch(w->client, uri, cb)
                                        : copal_observe(w->client, uri, cb);
        a->refused = a->x == NULL;
        return;
    }
    m = copal_msg_new(w->client, code);
    copal_msg_set_uri(m, uri);
    flags |= (how & 64) != 0 ? COPAL_NON : 0;
    flags |= (how & 128) != 0 ? COPAL_STREAM_IN : 0;
    flags |= (what & 64) != 0 ? COPAL_STREAM_OUT : 0;
    flags |= (what & 32) != 0 ? COPAL_TELL_PROGRESS : 0;
    copal_msg_set_flags(m, flags);
    if (code != COPAL_GET && code != COPAL_EMPTY)
        copal_msg_set_payload(m, COPAL_TEXT, some_body(0, size * 9));
    if ((size & 1) != 0)
        copal_msg_add_uint(m, COPAL_OPT_OBSERVE, 0);
    a->x = copal_request(w->client, m, cb);
    a->refused = a->x == NULL;
    copal_msg_unref(m);
}

/* ---- The server's user ---- */

static void answer(struct world *w, copal_exchange *x, size_t size,
                   unsigned flags)
{
    copal_msg *m = copal_msg_new(copal_exchange_endpoint(x), COPAL_CONTENT);

    if ((flags & COPAL_STREAM_OUT) == 0)
        copal_msg_set_payload(m, COPAL_TEXT, some_body(w->state, size));
    copal_msg_set_flags(m, flags | ((w->state & 3) == 3 ? COPAL_NON : 0));
    copal_respond(x, m);
    copal_msg_unref(m);
}

static void on_plain(const copal_event *ev, void *user)
{
    if (ev->kind == COPAL_REQUEST)
        answer(user, ev->exchange, 20, 0);
}

static void on_big(const copal_event *ev, void *user)
{
    if (ev->kind == COPAL_REQUEST)
        answer(user, ev->exchange, 2100, 0);
}

static void on_stream(const copal_event *ev, void *user)
{
    if (ev->kind == COPAL_REQUEST)
        answer(user, ev->exchange, 0, COPAL_STREAM_OUT);
    else if (ev->kind == COPAL_PULL)
        copal_write(ev->exchange, some_body(ev->offset, ev->want),
                    ev->offset > 2000);
}

static void on_late(const copal_event *ev, void *user)
{
    struct world *w = user;

    if (ev->kind == COPAL_REQUEST && w->late_count < MAX_LATE)
        w->late[w->late_count++] = copal_exchange_ref(ev->exchange);
}

static void on_up(const copal_event *ev, void *user)
{
    if (ev->kind == COPAL_CHUNK && ev->last)
        answer(user, ev->exchange, 1500, 0);
}

static void drop_served(void *user)
{
    struct world *w = user;

    w->served_drops++;
}

static void serve(struct world *w, const char *path, unsigned flags,
                  void (*fn)(const copal_event *ev, void *user))
{
    w->served++;
    require(copal_serve(w->server, 0, path, flags,
                        COPAL_CB_OWN(fn, w, drop_served)) == 0);
}

static void serve_all(struct world *w)
{
    serve(w, "/plain", 0, on_plain);
    serve(w, "/obs", COPAL_OBSERVABLE, on_plain);
    serve(w, "/obs-big", COPAL_OBSERVABLE, on_big);
    serve(w, "/obs-late", COPAL_OBSERVABLE | COPAL_PER_PEER, on_late);
    serve(w, "/big", 0, on_big);
    serve(w, "/stream", COPAL_OBSERVABLE, on_stream);
    serve(w, "/late", 0, on_late);
    serve(w, "/up", COPAL_STREAMED, on_up);
}

static void answer_late(struct world *w)
{
    unsigned how = take(&w->in);
    copal_exchange *x, **at;

    if (w->late_count == 0)
        return;
    at = &w->late[how % w->late_count];
    x = *at;
    *at = w->late[--w->late_count];
    if ((how & 128) == 0)
        answer(w, x, (how & 64) != 0 ? 2000 : 10, 0);
    copal_exchange_unref(x);
}

static void notify(struct world *w)
{
    static const char *const paths[] = {"/obs", "/obs-big", "/obs-late",
                                        "/stream"};

    w->state++;
    copal_notify(w->server, paths[take(&w->in) % 4]);
}

/* ---- Made-up datagrams ---- */

static const char *const strangers[] = {"client", "server", "192.0.2.1",
                                        "192.0.2.2"};

static void inject(struct world *w, bool to_client, unsigned from,
                   copal_bytes datagram)
{
    copal_sim_inject(w->sim, strangers[from & 3],
                     to_client ? "client" : "server", datagram);
}

static void inject_raw(struct world *w)
{
    unsigned how = take(&w->in), size = take(&w->in);

    inject(w, (how & 4) != 0, how, take_bytes(&w->in, size));
}

/* A header that fits what was seen, before options and payload of the input:
 * an answer to what the receiver sent, or a request like those of the other. */
static void inject_fitting(struct world *w)
{
    unsigned how = take(&w->in), code = take(&w->in), back = take(&w->in);
    unsigned size = take(&w->in);
    bool to_client = (how & 4) != 0;
    bool mirrors = (how & 8) != 0; /* what the receiver sent comes back */
    const copal_msg *s =
        tap_recall(to_client == mirrors ? &w->of_client : &w->of_server, back);
    uint8_t datagram[4 + MAX_TOKEN + 255];
    unsigned mid = s == NULL ? 0 : s->mid;
    size_t token_len = (how & 64) != 0 || s == NULL ? 0 : s->token.len;
    copal_bytes rest = take_bytes(&w->in, size);

    datagram[1] = (uint8_t)code;
    datagram[2] = (uint8_t)(mid >> 8);
    datagram[3] = (uint8_t)(mid + ((how & 128) != 0 ? back : 0));
    if (token_len > MAX_TOKEN)
        token_len = MAX_TOKEN;
    if (token_len > 0)
        memcpy(datagram + 4, s->token.data, token_len);
    datagram[0] = (uint8_t)(0x40 | (how >> 4 & 3) << 4 | token_len);
    if (rest.len > 0)
        memcpy(datagram + 4 + token_len, rest.data, rest.len);
    inject(w, to_client, how,
           (copal_bytes){datagram, 4 + token_len + rest.len});
}

/* A request for one of the resources that are there. */
static void inject_request(struct world *w)
{
    unsigned how = take(&w->in), what = take(&w->in), mid = take(&w->in);
    unsigned size = take(&w->in);
    const char *path = strrchr(uris[what % 10], '/') + 1;
    copal_bytes rest = take_bytes(&w->in, size);
    uint8_t datagram[300];
    size_t len = 0;

    datagram[len++] = (uint8_t)(0x41 | (how & 4) << 2);
    datagram[len++] = (uint8_t)(1 + (how >> 3 & 7));
    datagram[len++] = 0x70;
    datagram[len++] = (uint8_t)mid;
    datagram[len++] = (uint8_t)(what >> 4);
    if ((how & 64) != 0)
        datagram[len++] = 0x60; /* Observe 0 */
    datagram[len++] = (uint8_t)(((how & 64) != 0 ? 0x50 : 0xb0) | strlen(path));
    memcpy(datagram + len, path, strlen(path));
    len += strlen(path);
    if (rest.len > 0)
        memcpy(datagram + len, rest.data, rest.len);
    inject(w, false, how, (copal_bytes){datagram, len + rest.len});
}

/* ---- Steps ---- */

static void set_path(struct world *w)
{
    unsigned b = take(&w->in);
    copal_sim_path path = {.delay = b & 3 ? 0 : 50,
                           .loss = (b & 12) * 5,
                           .duplication = (b & 48),
                           .reordering = b >> 2 & 48};

    copal_sim_set_path(w->sim, NULL, NULL, path);
}

static void act_on_exchange(struct world *w)
{
    unsigned b = take(&w->in);
    struct asked *a;

    if (w->asked_count == 0)
        return;
    a = &w->asked[(b >> 2) % w->asked_count];
    if (a->x == NULL)
        return;
    switch (b & 3) {
    case 0: copal_pause(a->x); break;
    case 1:
        a->pauses = false;
        copal_resume(a->x);
        break;
    default: copal_cancel(a->x);
    }
}

/* Limits that are met early, blocks that are small. */
static void tune(struct world *w)
{
    static const struct {
        copal_param param;
        int64_t value;
    } choices[] = {
        {COPAL_P_BLOCK_SIZE, 16},    {COPAL_P_BLOCK_SIZE, 64},
        {COPAL_P_MAX_EXCHANGES, 3},  {COPAL_P_MAX_PEERS, 2},
        {COPAL_P_DEDUP_MEMORY, 600}, {COPAL_P_BODY_MEMORY, 3000},
        {COPAL_P_MAX_BODY, 1000},    {COPAL_P_PEER_BODIES, 1},
        {COPAL_P_PEER_OBSERVERS, 1}, {COPAL_P_MAX_OBSERVERS, 2},
        {COPAL_P_NSTART, 4},         {COPAL_P_SEPARATE_AFTER, 0},
        {COPAL_P_MAX_RETRANSMIT, 0}, {COPAL_P_TIMEOUT, 3000},
        {COPAL_P_MAX_TOKEN, 300},    {COPAL_P_SILENCE, 1500},
    };
    unsigned b = take(&w->in);

    copal_tune((b & 16) != 0 ? w->client : w->server, NULL,
               choices[b & 15].param, choices[b & 15].value);
    if ((b & 32) != 0) /* strangers everywhere */
        copal_tune(w->server, NULL, COPAL_P_GUARD_LOOPBACK, 1);
    if ((b & 64) != 0) {
        copal_tune(w->client, NULL, COPAL_P_Q_BLOCK, 1);
        copal_tune(w->server, NULL, COPAL_P_Q_BLOCK, (b & 128) == 0);
    }
}

static void step(struct world *w)
{
    switch (take(&w->in) % 16) {
    case 0:
    case 1: copal_sim_run(w->sim, take_time(&w->in)); break;
    case 2:
    case 3: start(w); break;
    case 4: inject_raw(w); break;
    case 5:
    case 6:
    case 7: inject_fitting(w); break;
    case 8:
    case 9: inject_request(w); break;
    case 10: act_on_exchange(w); break;
    case 11: notify(w); break;
    case 12: answer_late(w); break;
    case 13: set_path(w); break;
    case 14: tune(w); break;
    default:
        switch (take(&w->in) % 8) {
        case 0: copal_unserve(w->server, "/obs"); break;
        case 1: copal_sim_move(w->sim, "client"); break;
        case 2: copal_sim_lose(w->sim, "server", take(&w->in) % 8); break;
        case 3: copal_close(w->client, 10000); break;
        case 4: copal_close(w->server, 10000); break;
        default: copal_sim_lose(w->sim, "client", take(&w->in) % 8);
        }
    }
}

static void on_trace(const copal_event *ev, void *user)
{
    (void)user;
    require(ev->text[0] == '{' && strchr(ev->text, '\n') == NULL);
}

static void open_world(struct world *w, bool traces)
{
    copal_config config = {COPAL_CONFIG_INIT, .realloc_fn = counting_realloc,
                           .memory_user = &w->allocated};

    w->sim = copal_sim_new(1);
    require(w->sim != NULL);
    copal_sim_keep(w->sim, 0);
    w->client = copal_sim_endpoint(w->sim, "client", &config);
    w->server = copal_sim_endpoint(w->sim, "server", &config);
    require(w->client != NULL && w->server != NULL);
    tap_open(&w->of_client, w->sim, "client");
    tap_open(&w->of_server, w->sim, "server");
    if (traces) {
        copal_trace(w->client, TRACES, COPAL_CB(on_trace, NULL));
        copal_trace(w->server, TRACES, COPAL_CB(on_trace, NULL));
    }
    serve_all(w);
}

/* Requests that watch or observe never end by themselves. */
static void end_asked(struct world *w)
{
    for (size_t i = 0; i < w->asked_count; i++)
        if (w->asked[i].x != NULL)
            copal_cancel(w->asked[i].x);
}

static void let_late_go(struct world *w)
{
    while (w->late_count > 0)
        copal_exchange_unref(w->late[--w->late_count]);
}

/* When all is over, and time enough has passed, nothing is owed to anybody.
 * Handlers may be asked late once more for what is still observed. */
static void check_idle(struct world *w)
{
    copal_stats stats = {.size = sizeof(stats)};

    let_late_go(w);
    end_asked(w);
    copal_sim_set_path(w->sim, NULL, NULL, (copal_sim_path){0});
    for (int i = 0; i < MAX_LATE; i++) {
        copal_sim_run(w->sim, LONGEST_LIFE);
        let_late_go(w);
    }
    require(copal_get_stats(w->client, &stats) == 0);
    require(stats.exchanges_open == 0 && stats.peers == 0);
    require(copal_get_stats(w->server, &stats) == 0);
    require(stats.exchanges_open == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct world *w = calloc(1, sizeof(*w));
    unsigned how;

    require(w != NULL);
    w->in = (struct input){data, data + size};
    how = take(&w->in);
    open_world(w, (how & 2) != 0);
    for (int i = 0; i < MAX_STEPS && w->in.at < w->in.end; i++)
        step(w);
    if ((how & 1) != 0)
        check_idle(w);
    copal_sim_free(w->sim); /* with all that is under way */
    let_late_go(w);
    for (size_t i = 0; i < w->asked_count; i++) {
        require(w->asked[i].drops == 1);
        require(w->asked[i].ends == !w->asked[i].refused);
    }
    require(w->served == w->served_drops);
    tap_close(&w->of_client);
    tap_close(&w->of_server);
    require_no_messages();
    require(w->allocated == 0);
    free(w);
    return 0;
}
