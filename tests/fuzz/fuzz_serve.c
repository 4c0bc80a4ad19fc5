/* A server alone, and strangers made up from the bytes: requests whole, in
 * blocks and in sets of blocks, observations and what becomes of their
 * notifications, conditions, Echo values brought back, groups, repeats. Each
 * callback is dropped exactly once; all memory comes back; what changes
 * something is done once for each message; an address where nobody has shown to
 * be gets no more than RFC 9175 2.4 allows.
 *
 * An input is a row of steps; each begins with a byte that names it, and what
 * it needs follows. Bytes that are missing are zeroes. */
#include <string.h>
#include "wire/block.h"
#include "world.h"

enum {
    MAX_STEPS = 120,
    MAX_LATE = 6,
    MAX_DONE = 64,
    STRANGERS = 4,
    FREE_BYTES = 136,       /* RFC 9175 2.4 item 3 */
    NON_LIFETIME = 145000,  /* ms: RFC 7252 4.8.2 */
    LONGEST_LIFE = 3600000, /* ms: more than any timer of the protocol */
    FIRST_MID = 0x7000
};

/* One source of requests. */
struct stranger {
    const char *from;
    struct cp_address address;
    uint64_t allowed, got; /* bytes */
    bool is_proven;        /* or may be: it acknowledged, or sent an Echo */
    uint8_t echo[40];
    size_t echo_len;
    unsigned mid;
    /* of its upload */
    uint32_t num;
    unsigned path;
};

/* A request that changed something, by what tells repeats. */
struct done {
    uint64_t at;
    struct cp_address from;
    uint16_t mid;
    uint8_t token;
};

struct world {
    struct input in;
    copal_sim *sim;
    copal *server; /* NULL: freed */
    size_t allocated;
    struct tap tap;
    struct stranger strangers[STRANGERS];
    copal_exchange *late[MAX_LATE]; /* requests not answered yet */
    size_t late_count;
    struct done done[MAX_DONE];
    size_t done_count;
    int served, served_drops;
    unsigned state; /* of what is served */
    unsigned mischief;
    bool remembers; /* for NON_LIFETIME, and all of it */
};

/* ---- The user ---- */

/* RFC 7252 4.5: not twice, however often it comes. */
static void note_done(struct world *w, const copal_msg *m)
{
    struct done *d = &w->done[w->done_count++ % MAX_DONE];
    copal_wire wire = {.size = sizeof(wire)};
    uint64_t now = copal_sim_now(w->sim);
    struct done new = {.at = now, .from = m->path.remote};

    require(copal_msg_wire(m, &wire) == 0);
    new.mid = (uint16_t)wire.mid;
    new.token = wire.token.len == 0 ? 0 : wire.token.data[0];
    for (size_t i = 0; w->remembers && i < MAX_DONE && i < w->done_count; i++) {
        const struct done *old = &w->done[i];

        require(old == d || old->mid != new.mid || old->token != new.token ||
                now - old->at >= NON_LIFETIME ||
                !cp_address_equal(&old->from, &new.from));
    }
    *d = new;
}

/* What users do in callbacks, and must be able to. */
static void do_mischief(struct world *w)
{
    unsigned what = w->mischief;

    w->mischief = 0;
    switch (what) {
    case 1: copal_unserve(w->server, "/obs"); break;
    case 2: copal_notify(w->server, "/obs"); break;
    case 3:
        if (w->server != NULL)
            copal_free(w->server);
        w->server = NULL;
        break;
    case 4: copal_close(w->server, 1000); break;
    default: break;
    }
}

static void reply(struct world *w, copal_exchange *x, size_t size,
                  unsigned flags)
{
    copal *c = copal_exchange_endpoint(x);
    copal_msg *m;
    uint8_t etag = (uint8_t)(w->state & 3);

    if (c == NULL)
        return;
    m = copal_msg_new(c, COPAL_CONTENT);
    copal_msg_add(m, COPAL_OPT_ETAG, (copal_bytes){&etag, 1});
    if ((flags & COPAL_STREAM_OUT) == 0)
        copal_msg_set_payload(m, COPAL_TEXT, some_body(w->state, size));
    copal_msg_set_flags(m, flags | ((w->state & 12) == 12 ? COPAL_NON : 0));
    copal_respond(x, m);
    copal_msg_unref(m);
}

static void on_request(struct world *w, const copal_event *ev, size_t size,
                       unsigned flags)
{
    if (ev->kind == COPAL_PULL)
        copal_write(ev->exchange, some_body((size_t)ev->offset, ev->want),
                    ev->offset > 2000);
    if (ev->kind != COPAL_REQUEST)
        return;
    if (!cp_code_is_safe(copal_msg_code(ev->msg)))
        note_done(w, ev->msg);
    do_mischief(w);
    if (w->server != NULL)
        reply(w, ev->exchange, size, flags);
}

static void on_small(const copal_event *ev, void *user)
{
    on_request(user, ev, 20, 0);
}

static void on_big(const copal_event *ev, void *user)
{
    on_request(user, ev, 2100, 0);
}

static void on_stream(const copal_event *ev, void *user)
{
    on_request(user, ev, 0, COPAL_STREAM_OUT);
}

static void on_late(const copal_event *ev, void *user)
{
    struct world *w = user;

    if (ev->kind != COPAL_REQUEST)
        return;
    if (!cp_code_is_safe(copal_msg_code(ev->msg)))
        note_done(w, ev->msg);
    if (w->late_count < MAX_LATE)
        w->late[w->late_count++] = copal_exchange_ref(ev->exchange);
}

static void on_up(const copal_event *ev, void *user)
{
    struct world *w = user;

    if (ev->kind == COPAL_CHUNK && ev->last)
        reply(w, ev->exchange, 1500, 0);
    else if (ev->kind == COPAL_CHUNK && w->mischief == 5)
        copal_pause(ev->exchange);
}

static void on_drop(void *user)
{
    struct world *w = user;

    w->served_drops++;
}

static const struct {
    const char *path;
    unsigned flags;
    void (*fn)(const copal_event *ev, void *user);
} resources[] = {
    {"/small", COPAL_GROUP, on_small},
    {"/obs", COPAL_OBSERVABLE | COPAL_GROUP, on_small},
    {"/big", COPAL_OBSERVABLE, on_big},
    {"/stream", COPAL_OBSERVABLE, on_stream},
    {"/late", COPAL_OBSERVABLE | COPAL_PER_PEER, on_late},
    {"/up", COPAL_STREAMED, on_up},
    {"/{a}/{b}", COPAL_UNLISTED, on_small},
};

enum {
    RESOURCES = sizeof(resources) / sizeof(*resources)
};

static void serve(struct world *w, unsigned i)
{
    w->served++;
    copal_serve(w->server, 0, resources[i].path, resources[i].flags,
                COPAL_CB_OWN(resources[i].fn, w, on_drop));
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
        reply(w, x, (how & 64) != 0 ? 2000 : 10, 0);
    copal_exchange_unref(x);
}

static void let_late_go(struct world *w)
{
    while (w->late_count > 0)
        copal_exchange_unref(w->late[--w->late_count]);
}

static void tune(struct world *w)
{
    static const struct {
        copal_param param;
        int64_t value;
    } choices[] = {
        {COPAL_P_BLOCK_SIZE, 16},    {COPAL_P_BLOCK_SIZE, 256},
        {COPAL_P_MAX_EXCHANGES, 3},  {COPAL_P_MAX_PEERS, 2},
        {COPAL_P_DEDUP_MEMORY, 600}, {COPAL_P_BODY_MEMORY, 3000},
        {COPAL_P_MAX_BODY, 1000},    {COPAL_P_PEER_BODIES, 1},
        {COPAL_P_PEER_OBSERVERS, 1}, {COPAL_P_MAX_OBSERVERS, 2},
        {COPAL_P_NSTART, 4},         {COPAL_P_SEPARATE_AFTER, 0},
        {COPAL_P_MAX_RETRANSMIT, 0}, {COPAL_P_Q_BLOCK, 1},
        {COPAL_P_LEISURE, 0},        {COPAL_P_MAX_TOKEN, 300},
    };
    unsigned b = take(&w->in) & 15;

    if (choices[b].param == COPAL_P_DEDUP_MEMORY ||
        choices[b].param == COPAL_P_MAX_RETRANSMIT) /* NON_LIFETIME is less */
        w->remembers = false;
    copal_tune(w->server, NULL, choices[b].param, choices[b].value);
}

/* ---- Strangers ---- */

static struct stranger *stranger_at(struct world *w, const struct cp_address *a)
{
    for (size_t i = 0; i < STRANGERS; i++)
        if (cp_address_equal(&w->strangers[i].address, a))
            return &w->strangers[i];
    return NULL;
}

/* The sum of what each of its requests may bring. What an observer that did
 * not acknowledge yet is sent again and again is bounded by transmissions,
 * not here. */
static void on_sent(void *user, const struct cp_address *to,
                    copal_bytes datagram)
{
    struct world *w = user;
    struct stranger *s = stranger_at(w, to);
    const copal_msg *m = tap_recall(&w->tap, 0);
    copal_bytes echo;

    require(s != NULL || cp_address_is_multicast(to));
    if (s == NULL)
        return;
    if (copal_msg_value(m, COPAL_OPT_ECHO, 0, &echo) == 0) {
        require(echo.len <= sizeof(s->echo));
        memcpy(s->echo, echo.data, echo.len);
        s->echo_len = echo.len;
    }
    s->got += datagram.len;
    require(s->is_proven || s->got <= s->allowed);
    require(s->is_proven || datagram.len <= s->allowed);
}

/* Where n bytes leave for the server. */
static void allow(struct stranger *s, size_t n)
{
    s->allowed += n * 3 < FREE_BYTES ? FREE_BYTES : n * 3;
}

static void send_message(struct world *w, struct stranger *s, copal_msg *m,
                         unsigned type, unsigned mid, uint8_t token,
                         bool to_group)
{
    allow(s, cp_datagram_size(m, cp_bytes(&token, 1)));
    inject_message(w->sim, s->from, to_group ? "224.0.1.187" : "server", m,
                   type, mid, cp_bytes(&token, 1));
}

static copal_msg *request_for(unsigned code, unsigned path)
{
    static const uint8_t codes[] = {COPAL_GET,    COPAL_GET,   COPAL_PUT,
                                    COPAL_POST,   COPAL_FETCH, COPAL_DELETE,
                                    COPAL_IPATCH, 20};
    copal_msg *m = make_message(codes[code & 7]);

    if (path < 6) {
        const char *name = resources[path].path + 1;

        cp_msg_add(m, COPAL_OPT_URI_PATH, cp_bytes_of_text(name));
    } else if (path == 6) {
        cp_msg_add(m, COPAL_OPT_URI_PATH, cp_bytes_of_text(".well-known"));
        cp_msg_add(m, COPAL_OPT_URI_PATH, cp_bytes_of_text("core"));
    } else {
        cp_msg_add(m, COPAL_OPT_URI_PATH, cp_bytes_of_text("x"));
        cp_msg_add(m, COPAL_OPT_URI_PATH, cp_bytes_of_text("y"));
    }
    return m;
}

static uint32_t take_block(struct world *w)
{
    unsigned b = take(&w->in);

    return cp_block_encode(
        (struct cp_block){.num = b & 7,
                          .more = (b & 128) != 0,
                          .size = (uint16_t)(16u << (b >> 3 & 7) % 7)});
}

static void add_option(struct world *w, struct stranger *s, copal_msg *m)
{
    static const char *const queries[] = {"rt=a*", "href=/o*", "a", "obs"};
    unsigned which = take(&w->in), b = which >> 4;
    uint8_t etag = (uint8_t)(b & 3);

    switch (which & 15) {
    case 0:
    case 1:
        cp_msg_add_uint(m, COPAL_OPT_OBSERVE, b & 1);
        s->is_proven = true; /* told again until it acknowledges: not here */
        break;
    case 2: cp_msg_add_uint(m, COPAL_OPT_BLOCK2, take_block(w)); break;
    case 3: cp_msg_add_uint(m, COPAL_OPT_BLOCK1, take_block(w)); break;
    case 4: cp_msg_add_uint(m, COPAL_OPT_Q_BLOCK2, take_block(w)); break;
    case 5: cp_msg_add_uint(m, COPAL_OPT_Q_BLOCK1, take_block(w)); break;
    case 6: cp_msg_add(m, COPAL_OPT_ETAG, cp_bytes(&etag, 1)); break;
    case 7: cp_msg_add(m, COPAL_OPT_IF_MATCH, cp_bytes(&etag, b & 1)); break;
    case 8: cp_msg_add(m, COPAL_OPT_IF_NONE_MATCH, cp_bytes("", 0)); break;
    case 9:
        if (s->echo_len == 0)
            break;
        s->is_proven = true;
        cp_msg_add(m, COPAL_OPT_ECHO, cp_bytes(s->echo, s->echo_len));
        break;
    case 10:
        cp_msg_add(m, COPAL_OPT_REQUEST_TAG, cp_bytes(&etag, b & 1));
        break;
    case 11: cp_msg_add_uint(m, COPAL_OPT_NO_RESPONSE, b * 2); break;
    case 12:
        cp_msg_add(m, COPAL_OPT_URI_QUERY, cp_bytes_of_text(queries[b & 3]));
        break;
    case 13: cp_msg_add_uint(m, COPAL_OPT_SIZE1, UINT64_C(1) << 2 * b); break;
    case 14: cp_msg_add_uint(m, COPAL_OPT_ACCEPT, b & 1 ? 0 : 60); break;
    default: cp_msg_add_uint(m, 2049 + b, b);
    }
}

static void ask(struct world *w)
{
    static const uint16_t sizes[] = {0, 0, 0, 5, 16, 64, 512, 1024};
    unsigned how = take(&w->in), what = take(&w->in);
    struct stranger *s = &w->strangers[how & 3];
    copal_msg *m = request_for(what, what >> 3 & 7);
    /* a new one, or one that came before */
    unsigned mid = (how & 128) != 0 ? s->mid - (how >> 4 & 7) : ++s->mid;

    for (unsigned i = 0; i < (how >> 2 & 3); i++)
        add_option(w, s, m);
    if ((what & 7) > 1)
        cp_msg_copy_payload(m, some_body(0, sizes[take(&w->in) & 7]));
    send_message(w, s, m, (what & 64) != 0 ? CP_NON : CP_CON, mid,
                 (uint8_t)(what >> 7), (how & 16) != 0 && (what & 64) != 0);
}

/* The next block of an upload, or some before it. */
static void upload(struct world *w)
{
    unsigned how = take(&w->in);
    struct stranger *s = &w->strangers[how & 3];
    bool more = (how & 4) == 0, by_sets = (how & 8) != 0;
    struct cp_block b = {.num = s->num, .size = 64, .more = more};
    copal_msg *m;

    if ((how & 16) != 0)
        s->path = how >> 5;
    m = request_for(2, s->path & 7);
    if ((how & 96) == 96)
        b.num = s->num = 0;
    cp_msg_add_uint(m, by_sets ? COPAL_OPT_Q_BLOCK1 : COPAL_OPT_BLOCK1,
                    cp_block_encode(b));
    if (by_sets)
        cp_msg_add(m, COPAL_OPT_REQUEST_TAG, cp_bytes("t", 1));
    cp_msg_copy_payload(m, some_body(b.num * 64, more ? 64 : 30));
    s->num = more ? s->num + 1 + (how >> 7) : 0;
    send_message(w, s, m, by_sets ? CP_NON : CP_CON, ++s->mid, 7, false);
}

/* To what the server sent: an acknowledgement, or a rejection. */
static void acknowledge(struct world *w)
{
    unsigned how = take(&w->in);
    const copal_msg *m = tap_recall(&w->tap, how >> 2);
    struct stranger *s = m == NULL ? NULL : stranger_at(w, &m->path.remote);

    if (s == NULL)
        return;
    s->is_proven = true;
    inject_message(w->sim, s->from, "server", make_message(COPAL_EMPTY),
                   (how & 1) != 0 ? CP_RST : CP_ACK, m->mid, cp_bytes("", 0));
}

static void inject_raw(struct world *w)
{
    unsigned b = take(&w->in);
    struct stranger *s = &w->strangers[b & 3];
    copal_bytes datagram = take_bytes(&w->in, b >> 2);

    allow(s, datagram.len);
    s->is_proven = true; /* who knows what is in it */
    copal_sim_inject(w->sim, s->from, "server", datagram);
}

/* ---- Steps ---- */

static void notify(struct world *w)
{
    unsigned b = take(&w->in);

    w->state++;
    copal_notify(w->server, resources[b % 6].path);
}

static void do_rarely(struct world *w)
{
    unsigned b = take(&w->in);

    switch (b & 7) {
    case 0: copal_close(w->server, 10000); break;
    case 1:
        copal_unserve(w->server, resources[(b >> 3) % RESOURCES].path);
        break;
    case 2: serve(w, (b >> 3) % RESOURCES); break;
    case 3:
        copal_describe(w->server, "/obs", "ct", (b & 8) != 0 ? "0 60" : "60");
        break;
    case 4: copal_describe(w->server, "/obs", "rt", "a b"); break;
    case 5: copal_sim_lose(w->sim, "server", b >> 3); break;
    case 6: w->mischief = b >> 3; break;
    default: w->state += b >> 3;
    }
}

static void step(struct world *w)
{
    unsigned b = take(&w->in) % 16;

    if (w->server == NULL) {
        copal_sim_run(w->sim, take_time(&w->in));
        return;
    }
    switch (b) {
    case 0:
    case 1:
    case 2: copal_sim_run(w->sim, take_time(&w->in)); break;
    case 3:
    case 4:
    case 5: upload(w); break;
    case 6: acknowledge(w); break;
    case 7: notify(w); break;
    case 8: answer_late(w); break;
    case 9: tune(w); break;
    case 10: do_rarely(w); break;
    case 11: inject_raw(w); break;
    default: ask(w);
    }
}

/* Nobody asks any more: what is owed comes to its end. */
static void check_ends(struct world *w)
{
    copal_stats stats = {.size = sizeof(stats)};

    w->mischief = 0;
    for (int i = 0; i < 8; i++) {
        let_late_go(w);
        copal_sim_run(w->sim, LONGEST_LIFE);
    }
    let_late_go(w);
    if (w->server == NULL)
        return;
    require(copal_get_stats(w->server, &stats) == 0);
    require(stats.exchanges_open == 0 && stats.peers == 0);
}

static void open_world(struct world *w, bool guards)
{
    static const char *const from[STRANGERS] = {"192.0.2.1", "192.0.2.2",
                                                "192.0.2.3", "2001:db8::1"};
    copal_config config = {COPAL_CONFIG_INIT, .realloc_fn = counting_realloc,
                           .memory_user = &w->allocated};

    w->remembers = true;
    w->sim = copal_sim_new(1);
    require(w->sim != NULL);
    copal_sim_keep(w->sim, 0);
    w->server = copal_sim_endpoint(w->sim, "server", &config);
    require(w->server != NULL);
    w->tap.on_sent = on_sent;
    w->tap.user = w;
    tap_open(&w->tap, w->sim, "server");
    copal_listen(w->server, "coap://*", 0);
    copal_join(w->server, "coap://224.0.1.187", NULL);
    copal_tune(w->server, NULL, COPAL_P_GUARD_LOOPBACK, guards);
    for (unsigned i = 0; i < STRANGERS; i++) {
        struct stranger *s = &w->strangers[i];

        s->from = from[i];
        require(cp_address_read(from[i], &s->address));
        s->address.port = 5683;
        s->mid = FIRST_MID;
        s->is_proven = !guards;
    }
    for (unsigned i = 0; i < RESOURCES; i++)
        serve(w, i);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct world *w = calloc(1, sizeof(*w));
    unsigned how;

    require(w != NULL);
    w->in = (struct input){data, data + size};
    how = take(&w->in);
    open_world(w, (how & 1) != 0);
    for (int i = 0; i < MAX_STEPS && w->in.at < w->in.end; i++)
        step(w);
    if ((how & 2) != 0)
        check_ends(w);
    copal_sim_free(w->sim);
    let_late_go(w);
    require(w->served == w->served_drops);
    tap_close(&w->tap);
    require_no_messages();
    require(w->allocated == 0);
    free(w);
    return 0;
}
