/* What cost.sh counts the instructions of: "cost WHAT COUNT" lets a server or a
 * client work COUNT times, after a warm-up that fills what is bounded by time, at
 * a link of its own, in a time of its own. No socket, no clock and no randomness
 * has a part in it, so that runs do not differ.
 *
 *   get, put     a request to a handler, answered
 *   block        one block of 1 MiB, asked for and answered
 *   non, con     one notification, to each of 1,000 observers in turn; of the
 *                confirmable ones with its acknowledgement
 *   ask          a request of ours with its response
 *   oscore       get, sealed and answered sealed
 *   aead         what of that is the cipher's: one opened, one sealed
 *
 * "recorded-get" and so on do the same with a flight recorder of 1 MiB. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <copal_sim.h>
#include "endpoint.h"
#include "engine/core.h"
#include "mark.h"
#include "secure/oscore_seal.h"

enum {
    CLIENTS = 256,
    OBSERVERS = 1000,
    AT_A_TIME = 16, /* requests a turn */
    BLOCKS = 1024,
    TURN = 800, /* ms: EXCHANGE_LIFETIME is 309 turns, 4,944 requests */
    WARM_UP = 6000,
    ROOM = 2048,
    RING = 1048576 /* bytes of the flight recorder */
};

/* The other end of the link: what copal sends it is answered in the next turn. */
struct world {
    struct cp_driver_ops ops;
    struct cp_link link;
    copal *c;
    struct cp_engine *engine;
    uint64_t now;
    size_t came; /* messages with a code */
    size_t waiting;
    struct {
        struct cp_path path;
        uint8_t data[ROOM];
        size_t len;
    } answers[OBSERVERS + AT_A_TIME];
};

static struct world *the_world;

/* ---- The other end ---- */

/* An empty ACK for a confirmable response, 2.05 for a request. */
static int on_send(struct cp_link *l, const struct cp_path *path,
                   copal_bytes data)
{
    static const uint8_t payload[] = "\xffhello, world";
    struct world *w = cp_container_of(l, struct world, link);
    size_t tkl = data.data[0] & 15u, len = 4;
    uint8_t *out = w->answers[w->waiting].data;

    w->came += data.data[1] != 0;
    if ((data.data[0] & 0x30) != 0)
        return 0;
    memcpy(out, data.data, 4 + tkl);
    out[0] = 0x60;
    out[1] = 0;
    if (data.data[1] < 32) {
        out[0] = (uint8_t)(0x60 | tkl);
        out[1] = COPAL_CONTENT;
        memcpy(out + 4 + tkl, payload, sizeof(payload) - 1);
        len = 4 + tkl + sizeof(payload) - 1;
    }
    w->answers[w->waiting].path = *path;
    w->answers[w->waiting++].len = len;
    return 0;
}

static const struct cp_link_ops link_ops = {.name = "cost", .send = on_send};

static uint64_t now_of(struct cp_driver *d)
{
    (void)d;
    return the_world->now;
}

static void wake(struct cp_driver *d)
{
    (void)d;
}

static int route(struct cp_driver *d, struct cp_route *r)
{
    (void)d;
    if (r->address.family == 0) /* what it says is known, as with sockets */
        return COPAL_ERESOLVE;
    r->ways[0] = (struct cp_way){.link = &the_world->link,
                                 .path = {.remote = r->address}};
    r->ways[0].path.remote.port = r->port;
    r->count = 1;
    return 0;
}

/* A simulated host, whose world is replaced by this one. */
static void build(struct world *w, copal_sim *sim)
{
    the_world = w;
    w->c = copal_sim_endpoint(sim, "here", NULL);
    if (w->c == NULL)
        exit(1);
    w->engine = w->c->engine;
    w->ops = *w->c->driver->ops;
    w->ops.now = now_of;
    w->ops.wake = wake;
    w->ops.route = route;
    w->c->driver->ops = &w->ops;
    w->link = (struct cp_link){.ops = &link_ops, .is_simulated = true};
    cp_engine_attach(w->engine, &w->link);
}

static void turn(struct world *w)
{
    do
        cp_engine_turn(w->engine, w->now);
    while (cp_engine_deadline(w->engine) <= w->now);
}

static void hand_in(struct world *w, const struct cp_path *path,
                    copal_bytes data)
{
    cp_engine_datagram(w->engine, &w->link, path, data);
}

/* All that was sent is answered until nothing more is. */
static void answer(struct world *w)
{
    while (w->waiting > 0) {
        size_t count = w->waiting;

        w->waiting = 0;
        cp_engine_enter(w->engine, w->now);
        for (size_t i = 0; i < count; i++)
            hand_in(w, &w->answers[i].path,
                    cp_bytes(w->answers[i].data, w->answers[i].len));
        turn(w);
    }
}

static struct cp_path path_of(unsigned client)
{
    struct cp_path path = {
        .remote = {.ip = {127, 1, (uint8_t)(client >> 8), (uint8_t)client},
                   .port = 40000,
                   .family = CP_IPV4},
        .local = {.ip = {127, 0, 0, 1}, .port = 5683, .family = CP_IPV4},
        .if_index = 1,
    };

    return path;
}

/* ---- Requests to us ---- */

static copal_msg *hello, *changed, *value, *body;

static copal_msg *message(copal *c, int code, const void *data, size_t len,
                          unsigned flags)
{
    copal_msg *m = copal_msg_new(c, code);

    copal_msg_set_payload(m, COPAL_NO_FORMAT, (copal_bytes){data, len});
    copal_msg_set_flags(m, flags);
    return m;
}

static void give(const copal_event *ev, void *user)
{
    copal_respond(ev->exchange, *(copal_msg **)user);
}

static void serve(copal *c, unsigned flags)
{
    static uint8_t large[BLOCKS * 1024];

    hello = message(c, COPAL_CONTENT, "hello, world", 12, 0);
    changed = message(c, COPAL_CHANGED, NULL, 0, 0);
    value = message(c, COPAL_CONTENT, "value 000000", 12, flags);
    body = message(c, COPAL_CONTENT, large, sizeof(large), 0);
    copal_serve(c, COPAL_GET, "/hello", 0, COPAL_CB(give, &hello));
    copal_serve(c, COPAL_PUT, "/hello", 0, COPAL_CB(give, &changed));
    copal_serve(c, COPAL_GET, "/body", 0, COPAL_CB(give, &body));
    copal_serve(c, COPAL_GET, "/value", COPAL_OBSERVABLE,
                COPAL_CB(give, &value));
}

/* The header and a token of four bytes; what follows is rest. */
static size_t request(uint8_t *out, uint8_t code, size_t number,
                      const void *rest, size_t len)
{
    uint32_t token = (uint32_t)(number * 2654435761u);

    out[0] = 0x44;
    out[1] = code;
    out[2] = (uint8_t)(number / CLIENTS >> 8);
    out[3] = (uint8_t)(number / CLIENTS);
    memcpy(out + 4, &token, 4);
    memcpy(out + 8, rest, len);
    return 8 + len;
}

/* Options by hand: Uri-Path is 11, Block2 12 more, Observe 6. */
static size_t request_for(const char *what, uint8_t *out, size_t i)
{
    static uint8_t put[8 + 1024] = "\xb5hello\x10\xff"; /* text/plain */
    uint8_t block[] = "\xb4"
                      "body\xc2..";
    unsigned number = (unsigned)(i % BLOCKS) << 4 | 6;

    if (strcmp(what, "put") == 0)
        return request(out, COPAL_PUT, i, put, sizeof(put));
    if (strcmp(what, "get") == 0)
        return request(out, COPAL_GET, i, "\xb5hello", 6);
    block[6] = (uint8_t)(number >> 8);
    block[7] = (uint8_t)number;
    return request(out, COPAL_GET, i, block, 8);
}

/* The requests from first on, so many a turn; but block by block. */
static void send_requests(struct world *w, const char *what, size_t first,
                          size_t count)
{
    bool is_block = strcmp(what, "block") == 0;
    uint8_t data[ROOM];

    for (size_t i = first; i < first + count; i++) {
        size_t len = request_for(what, data, i);
        struct cp_path path =
            path_of((unsigned)(is_block ? i / BLOCKS : i) % CLIENTS);

        hand_in(w, &path, cp_bytes(data, len));
        if (!is_block && i % AT_A_TIME < AT_A_TIME - 1)
            continue;
        turn(w);
        w->now += is_block ? TURN / AT_A_TIME : TURN;
        cp_engine_enter(w->engine, w->now);
    }
    turn(w);
}

static int be_asked(struct world *w, const char *what, size_t count)
{
    size_t before = strcmp(what, "block") == 0 ? 5 * BLOCKS : WARM_UP;

    serve(w->c, 0);
    send_requests(w, what, 0, before);
    cost_begin(NULL);
    send_requests(w, what, before, count);
    cost_end(NULL);
    return w->came == before + count;
}

/* ---- Notifications ---- */

/* Each observer that many times less often. */
static void tell(struct world *w, size_t count)
{
    for (size_t i = 0; i < count; i += OBSERVERS) {
        w->now += 10000;
        cp_engine_enter(w->engine, w->now);
        turn(w); /* who rests from the one before */
        copal_notify(w->c, "/value");
        turn(w);
        answer(w);
    }
}

static int notify(struct world *w, bool is_con, size_t count)
{
    uint8_t data[ROOM];

    serve(w->c, is_con ? 0 : COPAL_NON);
    for (unsigned i = 0; i < OBSERVERS; i++) {
        size_t len =
            request(data, COPAL_GET, i, "\x60\x55value", 7); /* Observe: 0 */
        struct cp_path path = path_of(i);

        hand_in(w, &path, cp_bytes(data, len));
        turn(w);
    }
    tell(w, OBSERVERS);
    w->came = 0;
    cost_begin(NULL);
    tell(w, count);
    cost_end(NULL);
    return w->came >= count;
}

/* ---- Requests of ours ---- */

struct asker {
    copal *c;
    size_t begun, done, count;
};

static void on_event(const copal_event *ev, void *user);

static void ask(struct asker *a)
{
    if (a->begun == a->count)
        return;
    a->begun++;
    copal_get(a->c, "coap://127.0.0.1/hello", COPAL_CB(on_event, a));
}

static void on_event(const copal_event *ev, void *user)
{
    struct asker *a = user;

    if (ev->kind == COPAL_RESPONSE && copal_msg_payload(ev->msg).len != 12)
        exit(1);
    if (ev->kind != COPAL_END)
        return;
    if (ev->status != 0)
        exit(1);
    a->done++;
    ask(a);
}

static bool ask_many(struct world *w, size_t count)
{
    struct asker a = {.c = w->c, .count = count};

    for (int i = 0; i < AT_A_TIME; i++)
        ask(&a);
    turn(w);
    answer(w);
    return a.done == count;
}

static int ask_twice(struct world *w, size_t count)
{
    bool went_well;

    copal_tune(w->c, NULL, COPAL_P_NSTART, AT_A_TIME);
    if (!ask_many(w, AT_A_TIME))
        return 0;
    cost_begin(NULL);
    went_well = ask_many(w, count);
    cost_end(NULL);
    return went_well;
}

/* What is asked for, without "recorded-". */
static const char *begin_recording(copal *c, const char *what)
{
    static const char word[] = "recorded-";

    if (strncmp(what, word, sizeof(word) - 1) != 0)
        return what;
    if (copal_tune(c, NULL, COPAL_P_RECORD_MEMORY, RING) != 0)
        exit(1);
    return what + sizeof(word) - 1;
}

/* ---- OSCORE ---- */

static const uint8_t secret[] = "sixteen bytes of";

/* What a client would have. */
static struct cp_oscore_keys client_keys(void)
{
    struct cp_oscore_input in = {.secret = cp_bytes(secret, 16),
                                 .sender_id = cp_bytes("c", 1),
                                 .recipient_id = cp_bytes("s", 1),
                                 .aead = CP_OSCORE_AEAD,
                                 .hkdf = CP_OSCORE_HKDF};
    struct cp_oscore_keys k;

    if (cp_oscore_derive(&in, &k) != 0)
        exit(1);
    return k;
}

static void keep(const copal_event *ev, void *user)
{
    (void)user;
    if (ev->kind == COPAL_REQUEST)
        copal_reply(ev->exchange,
                    copal_msg_code(ev->msg) == COPAL_PUT ? COPAL_CHANGED
                                                         : COPAL_NOT_FOUND,
                    COPAL_NO_FORMAT, (copal_bytes){0});
}

/* All of them before anything is counted. */
static void seal_requests(struct world *w, uint8_t (*out)[64], size_t *lens,
                          size_t count)
{
    struct cp_aeads *aeads = cp_aeads_new(w->c->mem);
    struct cp_oscore_keys k = client_keys();
    copal_msg *plain = copal_msg_new(w->c, COPAL_GET);

    copal_msg_add(plain, COPAL_OPT_URI_PATH, cp_bytes_of_text("hello"));
    for (size_t i = 0; i < count; i++) {
        uint8_t piv[8], rest[64];
        struct cp_oscore_option head = {.piv = cp_oscore_piv(i, piv),
                                        .kid = cp_oscore_sender(&k),
                                        .has_kid = true};
        struct cp_oscore_bound bound;
        struct cp_buf b = cp_buf_fixed(rest, sizeof(rest));
        copal_msg *m;

        cp_oscore_bind(&bound, head.kid, head.piv);
        if (cp_oscore_seal(aeads, &k, &bound, &head, plain, &m) != 0 ||
            cp_options_encode(m, &b) != 0)
            exit(1);
        lens[i] = request(out[i], COPAL_POST, i, rest, b.len);
        copal_msg_unref(m);
    }
    copal_msg_unref(plain);
    cp_aeads_free(aeads);
}

static void send_sealed(struct world *w, uint8_t (*data)[64],
                        const size_t *lens, size_t first, size_t count)
{
    for (size_t i = first; i < first + count; i++) {
        struct cp_path path = path_of((unsigned)i % CLIENTS);

        hand_in(w, &path, cp_bytes(data[i], lens[i]));
        if (i % AT_A_TIME < AT_A_TIME - 1)
            continue;
        turn(w);
        w->now += TURN;
        cp_engine_enter(w->engine, w->now);
    }
    turn(w);
}

static int be_asked_sealed(struct world *w, size_t count)
{
    copal_oscore k = {.size = sizeof(k),
                      .secret = cp_bytes(secret, 16),
                      .sender_id = cp_bytes("s", 1),
                      .recipient_id = cp_bytes("c", 1)};
    uint8_t(*data)[64] = malloc((WARM_UP + count) * sizeof(*data));
    size_t *lens = malloc((WARM_UP + count) * sizeof(*lens));

    serve(w->c, 0);
    if (data == NULL || lens == NULL ||
        copal_store(w->c, NULL, COPAL_CB(keep, NULL)) != 0 ||
        copal_use_oscore(w->c, "*", &k) != 0)
        return 0;
    for (int i = 0; i < 4; i++)
        turn(w); /* the store answers */
    seal_requests(w, data, lens, WARM_UP + count);
    send_sealed(w, data, lens, 0, WARM_UP);
    cost_begin(NULL);
    send_sealed(w, data, lens, WARM_UP, count);
    cost_end(NULL);
    free(data);
    free(lens);
    return w->came == WARM_UP + count;
}

/* As many bytes as in the requests and answers above. */
static int encrypt(struct world *w, size_t count)
{
    struct cp_aeads *aeads = cp_aeads_new(w->c->mem);
    struct cp_oscore_keys k = client_keys();
    uint8_t nonce[CP_AEAD_NONCE] = {1}, sealed[64], plain[64] = {0};
    copal_bytes n = cp_bytes(nonce, k.aead->nonce_len),
                aad = cp_bytes(secret, 16);

    if (cp_aead_seal(aeads, &k.sender, n, aad, cp_bytes(secret, 7), sealed) !=
            0 ||
        cp_aead_seal(aeads, &k.recipient, n, aad, cp_bytes(secret, 7), plain) !=
            0)
        return 0;
    cost_begin(NULL);
    for (size_t i = 0; i < count; i++)
        if (cp_aead_open(aeads, &k.sender, n, aad, cp_bytes(sealed, 15),
                         plain) != 0 ||
            cp_aead_seal(aeads, &k.recipient, n, aad, cp_bytes(secret, 14),
                         plain) != 0)
            return 0;
    cost_end(NULL);
    cp_aeads_free(aeads);
    return 1;
}

int main(int argc, char **argv)
{
    static struct world w;
    copal_sim *sim = copal_sim_new(7);
    size_t count = argc == 3 ? strtoul(argv[2], NULL, 10) : 0;
    const char *what = count > 0 ? argv[1] : "";
    int went_well;

    if (sim == NULL)
        return 1;
    copal_sim_keep(sim, 0);
    build(&w, sim);
    what = begin_recording(w.c, what);
    if (strcmp(what, "ask") == 0) {
        went_well = ask_twice(&w, count);
    } else if (strcmp(what, "oscore") == 0) {
        went_well = be_asked_sealed(&w, count);
    } else if (strcmp(what, "aead") == 0) {
        went_well = encrypt(&w, count);
    } else if (strcmp(what, "con") == 0 || strcmp(what, "non") == 0) {
        went_well = notify(&w, strcmp(what, "con") == 0, count);
    } else if (strcmp(what, "get") == 0 || strcmp(what, "put") == 0 ||
               strcmp(what, "block") == 0) {
        went_well = be_asked(&w, what, count);
    } else {
        fprintf(stderr, "usage: cost "
                        "[recorded-]get|put|block|non|con|ask|oscore|aead "
                        "COUNT\n");
        return 2;
    }
    if (!went_well)
        fprintf(stderr, "%s: not all of %zu came\n", what, count);
    return !went_well; /* what is left of it ends with the process */
}
