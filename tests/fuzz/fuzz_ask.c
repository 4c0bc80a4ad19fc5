/* A client alone, and servers made up from the bytes: answers that fit what it
 * asked, nearly fit, or come from elsewhere; observations, blocks, sets of
 * blocks, Echo, 4.08 and 4.29, groups, watches, the cache. Each request sees
 * END exactly once and nothing after it, and not later than any timer of the
 * protocol; each callback is dropped exactly once; all memory comes back.
 *
 * An input is a row of steps; each begins with a byte that names it, and what
 * it needs follows. Bytes that are missing are zeroes. */
#include <string.h>
#include "wire/block.h"
#include "wire/missing.h"
#include "world.h"

enum {
    MAX_STEPS = 120,
    MAX_ASKED = 24,
    MAX_ANSWERS = 40, /* of the good server, at a time */
    LONGEST_LIFE = 3600000
};

/* One request of the client's. */
struct asked {
    struct world *world;
    copal_exchange *x; /* NULL once END was seen */
    int ends, drops;
    bool refused, lasts; /* it observes or watches: no end of its own */
    unsigned mischief;   /* what its callback does besides */
};

struct world {
    struct input in;
    copal_sim *sim;
    copal *client; /* NULL: freed */
    size_t allocated;
    struct tap tap;
    struct asked asked[MAX_ASKED];
    size_t asked_count;
    size_t answered; /* of what the tap has seen, by the good server */
    unsigned mid;    /* of the next message of a server's own */
    uint32_t state;  /* Observe number and ETag of what is served */
};

/* ---- The user ---- */

static struct asked *ask(struct world *w, unsigned how, unsigned what,
                         unsigned with);

/* What users do in callbacks, and must be able to. */
static void do_mischief(struct asked *a, const copal_event *ev)
{
    struct world *w = a->world;

    switch (a->mischief) {
    case 1: copal_cancel(ev->exchange); break;
    case 2: copal_pause(ev->exchange); break;
    case 3:
        if (ev->kind == COPAL_END)
            ask(w, 0, 0, 0);
        break;
    case 4:
        for (size_t i = 0; i < w->asked_count; i++)
            if (w->asked[i].x != NULL)
                copal_cancel(w->asked[i].x);
        break;
    case 5:
        if (w->client != NULL)
            copal_free(w->client);
        w->client = NULL;
        break;
    default: break;
    }
}

/* What was not taken has to be offered again, or given up. */
static void answer_pull(const copal_event *ev)
{
    bool last = ev->offset > 2000;
    copal_bytes piece =
        some_body((size_t)ev->offset, last ? ev->want / 2 : ev->want);

    if (copal_write(ev->exchange, piece, last) != 0)
        copal_cancel(ev->exchange);
}

static void on_event(const copal_event *ev, void *user)
{
    struct asked *a = user;

    require(a->ends == 0 && a->drops == 0 && ev->exchange != NULL);
    if (ev->kind == COPAL_END) {
        a->ends++;
        a->x = NULL;
        require(ev->text != NULL && (ev->status == 0 || ev->text[0] != '\0'));
    } else if (ev->kind == COPAL_PULL) {
        answer_pull(ev);
    } else if (ev->kind == COPAL_RESPONSE || ev->kind == COPAL_CHUNK) {
        require(ev->msg != NULL && copal_msg_remote(ev->msg) != NULL);
    }
    do_mischief(a, ev);
}

static void on_drop(void *user)
{
    struct asked *a = user;

    require(a->drops == 0);
    a->drops++;
}

static const char *const uris[] = {
    "coap://192.0.2.1/a",       "coap://192.0.2.1/b?c=d",
    "coap://192.0.2.2/a",       "coap://[2001:db8::1]/",
    "coap://224.0.1.187/group", "coap://[ff02::fd]/group",
    "coap://nobody/a",          "coaps://192.0.2.1/",
};

static copal_msg *make_request(struct world *w, unsigned how, unsigned what,
                               unsigned with)
{
    static const uint8_t codes[] = {COPAL_GET,    COPAL_PUT,   COPAL_POST,
                                    COPAL_FETCH,  COPAL_PATCH, COPAL_DELETE,
                                    COPAL_IPATCH, COPAL_EMPTY};
    static const uint16_t sizes[] = {0, 10, 64, 300, 1024, 1025, 2100, 2600};
    int code = codes[how & 7];
    copal_msg *m = copal_msg_new(w->client, code);
    unsigned flags = 0;

    copal_msg_set_uri(m, uris[what & 7]);
    flags |= (how & 8) != 0 ? COPAL_NON : 0;
    flags |= (how & 16) != 0 ? COPAL_STREAM_IN : 0;
    flags |= (how & 32) != 0 ? COPAL_STREAM_OUT : 0;
    flags |= (how & 64) != 0 ? COPAL_TELL_PROGRESS : 0;
    flags |= (with & 8) != 0 ? COPAL_RAW_BLOCKS : 0;
    flags |= (with & 16) != 0 ? COPAL_ANY_PORT : 0;
    flags |= (with & 32) != 0 ? COPAL_NO_CACHE : 0;
    copal_msg_set_flags(m, flags);
    if (code != COPAL_GET && code != COPAL_EMPTY && (how & 32) == 0)
        copal_msg_set_payload(m, COPAL_TEXT, some_body(0, sizes[with & 7]));
    if ((what & 8) != 0)
        copal_msg_add_uint(m, COPAL_OPT_OBSERVE, 0);
    if ((what & 16) != 0)
        copal_msg_tune(m, COPAL_P_Q_BLOCK, 1);
    if ((what & 32) != 0)
        copal_msg_add_uint(m, COPAL_OPT_NO_RESPONSE, with & 26);
    if ((what & 64) != 0)
        copal_msg_add_uint(m, COPAL_OPT_BLOCK2, with & 0x7f);
    if ((what & 128) != 0)
        copal_msg_resume(m, (with >> 4) * 64,
                         some_body(0, (how & 7) == 0 ? 4 : 0));
    return m;
}

/* NULL: no more can be noted, or the endpoint is gone. */
static struct asked *ask(struct world *w, unsigned how, unsigned what,
                         unsigned with)
{
    struct asked *a = &w->asked[w->asked_count];
    copal_cb cb = COPAL_CB_OWN(on_event, a, on_drop);
    copal_msg *m;

    if (w->asked_count == MAX_ASKED || w->client == NULL)
        return NULL;
    w->asked_count++;
    a->world = w;
    a->lasts = (what & 8) != 0 || (how & 128) != 0;
    if ((how & 128) != 0) {
        const char *uri = uris[what & 7];

        a->x = (how & 1) != 0 ? copal_watch(w->client, uri, cb)
                              : copal_observe(w->client, uri, cb);
    } else {
        m = make_request(w, how, what, with);
        a->x = copal_request(w->client, m, cb);
        copal_msg_unref(m);
    }
    a->refused = a->x == NULL;
    return a;
}

static void start(struct world *w)
{
    unsigned how = take(&w->in), what = take(&w->in), with = take(&w->in);
    struct asked *a = ask(w, how, what, with);

    if (a != NULL && (with & 128) != 0)
        a->mischief = take(&w->in) % 8;
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
    case 1: copal_resume(a->x); break;
    default: copal_cancel(a->x);
    }
}

static void tune(struct world *w)
{
    static const struct {
        copal_param param;
        int64_t value;
    } choices[] = {
        {COPAL_P_BLOCK_SIZE, 16},     {COPAL_P_BLOCK_SIZE, 256},
        {COPAL_P_MAX_EXCHANGES, 3},   {COPAL_P_MAX_PEERS, 2},
        {COPAL_P_CACHE_MEMORY, 5000}, {COPAL_P_CACHE_MEMORY, 100000},
        {COPAL_P_MAX_BODY, 1000},     {COPAL_P_CONGESTION, 1},
        {COPAL_P_NSTART, 4},          {COPAL_P_Q_BLOCK, 1},
        {COPAL_P_MAX_RETRANSMIT, 0},  {COPAL_P_TIMEOUT, 3000},
        {COPAL_P_SILENCE, 1500},      {COPAL_P_DEDUP_MEMORY, 300},
        {COPAL_P_LEISURE, 100},       {COPAL_P_BODY_MEMORY, 2000},
    };
    unsigned b = take(&w->in) & 15;

    copal_tune(w->client, NULL, choices[b].param, choices[b].value);
}

/* ---- Servers ---- */

static const char *const hosts[] = {"192.0.2.1", "192.0.2.2", "2001:db8::1",
                                    "192.0.2.3"};

/* Whom the client asked, as inject takes it; of a group one of its members. */
static const char *host_of(const copal_msg *asked)
{
    const struct cp_address *a = &asked->path.remote;
    static char text[CP_ADDRESS_TEXT];
    size_t len;

    if (cp_address_is_multicast(a) || a->family < CP_IPV4)
        return hosts[0];
    cp_address_print(a, a->port, text);
    len = strlen(text);
    if (text[0] != '[')
        return text;
    text[len - 1] = '\0';
    return text + 1;
}

static void answer(struct world *w, const copal_msg *asked, const char *from,
                   unsigned type, copal_msg *m)
{
    unsigned mid = type == CP_ACK || type == CP_RST ? asked->mid : w->mid++;

    inject_message(w->sim, from, "client", m, type, mid, asked->token);
}

static bool wanted_block(const copal_msg *asked, unsigned option,
                         struct cp_block *b)
{
    const struct cp_option *o = cp_msg_find(asked, option);

    return o != NULL && cp_block_decode(cp_msg_option_value(asked, o), b) == 0;
}

/* The part of a representation of 2100 bytes that was asked for. */
static void put_part(copal_msg *m, unsigned option, struct cp_block b)
{
    uint64_t at = cp_block_offset(b);
    size_t left = at < 2100 ? 2100 - (size_t)at : 0;

    b.more = left > b.size;
    cp_msg_add_uint(m, option, cp_block_encode(b));
    cp_msg_copy_payload(m,
                        some_body((size_t)at, left < b.size ? left : b.size));
}

/* As a good server would: a row of blocks for an upload, blocks of a long
 * body, observations accepted, Q-Blocks by the set. */
static void answer_well(struct world *w, const copal_msg *asked)
{
    struct cp_block b = {.size = 512}, q;
    bool uploads = wanted_block(asked, COPAL_OPT_BLOCK1, &b);
    copal_msg *m =
        make_message(uploads && b.more ? COPAL_CONTINUE : COPAL_CONTENT);
    uint8_t etag = (uint8_t)w->state;

    if (uploads)
        cp_msg_add_uint(m, COPAL_OPT_BLOCK1, cp_block_encode(b));
    if (!uploads || !b.more) {
        cp_msg_add(m, COPAL_OPT_ETAG, cp_bytes(&etag, 1));
        if (cp_msg_uint_or(asked, COPAL_OPT_OBSERVE, 1) == 0)
            cp_msg_add_uint(m, COPAL_OPT_OBSERVE, w->state);
        if (wanted_block(asked, COPAL_OPT_Q_BLOCK2, &q))
            put_part(m, COPAL_OPT_Q_BLOCK2, q);
        else if (wanted_block(asked, COPAL_OPT_BLOCK2, &q))
            put_part(m, COPAL_OPT_BLOCK2, q);
        else if (asked->code == COPAL_GET)
            put_part(m, COPAL_OPT_BLOCK2, (struct cp_block){.size = 512});
        if (wanted_block(asked, COPAL_OPT_Q_BLOCK1, &q))
            cp_msg_add_uint(m, COPAL_OPT_Q_BLOCK1, cp_block_encode(q));
    }
    answer(w, asked, host_of(asked), asked->type == CP_CON ? CP_ACK : CP_NON,
           m);
}

/* Everything not answered yet, and what comes of that. */
static void serve_well(struct world *w)
{
    unsigned most = take(&w->in) % MAX_ANSWERS;

    for (unsigned i = 0; i < most; i++) {
        if (w->answered == w->tap.count)
            copal_sim_run(w->sim, 1);
        if (w->tap.count - w->answered > MAX_SENT)
            w->answered = w->tap.count - MAX_SENT;
        if (w->answered == w->tap.count)
            return;
        const copal_msg *asked = w->tap.sent[w->answered++ % MAX_SENT];
        if (cp_code_is_request(asked->code))
            answer_well(w, asked);
    }
}

/* ---- Answers piece by piece ---- */

static void add_option(struct world *w, copal_msg *m, const copal_msg *asked,
                       unsigned which)
{
    static const uint16_t blocks[] = {COPAL_OPT_BLOCK2, COPAL_OPT_BLOCK1,
                                      COPAL_OPT_Q_BLOCK2, COPAL_OPT_Q_BLOCK1};
    unsigned b = take(&w->in);
    struct cp_block block = {.size = 64};
    uint8_t bytes[8] = {(uint8_t)(b & 3), 2, 3, 4, 5, 6, 7, 8};

    switch (which % 12) {
    case 0: cp_msg_add_uint(m, COPAL_OPT_OBSERVE, w->state + b); break;
    case 1:
        cp_msg_add(m, COPAL_OPT_ETAG, cp_bytes(bytes, 1 + b / 4 % 8));
        break;
    case 2: cp_msg_add_uint(m, COPAL_OPT_MAX_AGE, b < 200 ? b : b << 16); break;
    case 3:
        cp_msg_add_uint(m, COPAL_OPT_CONTENT_FORMAT, b & 1 ? 0 : 272);
        break;
    case 4: cp_msg_add(m, COPAL_OPT_ECHO, cp_bytes(bytes, 1 + b % 8)); break;
    case 5: cp_msg_add_uint(m, COPAL_OPT_SIZE2, (uint64_t)b << b % 24); break;
    case 6: cp_msg_add(m, COPAL_OPT_LOCATION_PATH, cp_bytes("b", 1)); break;
    case 7: cp_msg_add_uint(m, 2000 + (b & 3), b); break;
    case 8: cp_msg_add_uint(m, COPAL_OPT_SIZE1, (uint64_t)b << b % 24); break;
    default:
        if (asked != NULL)
            wanted_block(asked, blocks[b & 3], &block);
        block.num += b >> 4 & 3;
        block.more = (b & 64) != 0;
        if ((b & 128) != 0)
            block.size =
                cp_block_fit(block.size / 2u < 16 ? 16 : block.size / 2u);
        cp_msg_add_uint(m, blocks[b & 3], cp_block_encode(block));
    }
}

static copal_bytes list_of_missing(struct world *w, uint8_t storage[64])
{
    struct cp_buf b = cp_buf_fixed(storage, 64);
    uint32_t nums[4], last = 0;

    for (size_t i = 0; i < 4; i++)
        nums[i] = last += take(&w->in) % 8;
    cp_missing_put(&b, nums, 4);
    return cp_bytes(b.data, b.len);
}

static void put_payload(struct world *w, copal_msg *m)
{
    static const uint16_t sizes[] = {0, 0, 5, 16, 64, 256, 512, 1024};
    uint8_t storage[64];
    unsigned b = take(&w->in);

    if (b >= 240)
        cp_msg_copy_payload(m, list_of_missing(w, storage));
    else if (b >= 224)
        cp_msg_copy_payload(m, take_bytes(&w->in, b & 15));
    else
        cp_msg_copy_payload(
            m, some_body(w->state * 7 + (b >> 3) * 16, sizes[b & 7]));
}

/* Any answer to any of what was asked lately. */
static void answer_somehow(struct world *w)
{
    static const uint8_t codes[] = {
        COPAL_CONTENT,       COPAL_CONTENT,      COPAL_CONTENT,
        COPAL_CONTENT,       COPAL_VALID,        COPAL_CHANGED,
        COPAL_CONTINUE,      COPAL_UNAUTHORIZED, COPAL_NOT_FOUND,
        COPAL_INCOMPLETE,    COPAL_TOO_LARGE,    COPAL_TOO_MANY_REQUESTS,
        COPAL_UNAVAILABLE,   COPAL_BAD_OPTION,   COPAL_CREATED,
        COPAL_INTERNAL_ERROR};
    unsigned how = take(&w->in), what = take(&w->in), back = take(&w->in);
    const copal_msg *asked = tap_recall(&w->tap, back);
    const char *from;
    copal_msg *m;

    if (asked == NULL)
        return;
    from = (how & 64) != 0 ? hosts[how & 3] : host_of(asked);
    if ((how & 128) != 0) { /* empty */
        answer(w, asked, from, (how & 32) != 0 ? CP_RST : CP_ACK,
               make_message(COPAL_EMPTY));
        return;
    }
    m = make_message(codes[what & 15]);
    for (unsigned i = 0; i < (what >> 4 & 3); i++)
        add_option(w, m, asked, take(&w->in));
    put_payload(w, m);
    if ((what & 64) != 0)
        w->state++;
    answer(w, asked, from,
           (how & 16) != 0   ? CP_ACK
           : (how & 32) != 0 ? CP_CON
                             : CP_NON,
           m);
}

/* ---- Steps ---- */

static void pass_time(struct world *w)
{
    copal_sim_run(w->sim, take_time(&w->in));
}

static void inject_raw(struct world *w)
{
    unsigned b = take(&w->in);

    copal_sim_inject(w->sim, hosts[b & 3], "client",
                     take_bytes(&w->in, b >> 2));
}

static void do_rarely(struct world *w)
{
    unsigned b = take(&w->in);
    copal_msg *m;

    switch (b & 7) {
    case 0: copal_close(w->client, 10000); break;
    case 1: copal_sim_move(w->sim, "client"); break;
    case 2: copal_sim_lose(w->sim, "client", b >> 3); break;
    case 3: copal_strays(w->client, COPAL_CB(NULL, NULL)); break;
    case 4:
        m = copal_msg_new(w->client, (int)(b >> 3));
        copal_msg_set_flags(m, (b & 16) != 0 ? COPAL_NON : 0);
        copal_send(w->client, m, "coap://192.0.2.1");
        copal_msg_unref(m);
        break;
    default: w->state += b >> 3;
    }
}

static void step(struct world *w)
{
    unsigned b = take(&w->in) % 16;

    if (w->client == NULL) {
        pass_time(w);
        return;
    }
    switch (b) {
    case 0:
    case 1:
    case 2: start(w); break;
    case 3:
    case 4: pass_time(w); break;
    case 5:
    case 6:
    case 7: serve_well(w); break;
    case 8: act_on_exchange(w); break;
    case 9: tune(w); break;
    case 10: do_rarely(w); break;
    case 11: inject_raw(w); break;
    default: answer_somehow(w);
    }
}

/* Nobody answers any more: what has an end of its own comes to it. */
static void check_ends(struct world *w)
{
    copal_stats stats = {.size = sizeof(stats)};

    for (size_t i = 0; i < w->asked_count; i++) {
        w->asked[i].mischief = 0; /* which may be to pause */
        if (w->asked[i].x != NULL)
            copal_resume(w->asked[i].x);
    }
    copal_sim_run(w->sim, LONGEST_LIFE);
    for (size_t i = 0; i < w->asked_count; i++) {
        require(w->asked[i].x == NULL || w->asked[i].lasts);
        if (w->asked[i].x != NULL)
            copal_cancel(w->asked[i].x);
    }
    copal_sim_run(w->sim, LONGEST_LIFE);
    if (w->client == NULL)
        return;
    require(copal_get_stats(w->client, &stats) == 0);
    require(stats.exchanges_open == 0 && stats.peers == 0);
}

static void open_world(struct world *w)
{
    copal_config config = {COPAL_CONFIG_INIT, .realloc_fn = counting_realloc,
                           .memory_user = &w->allocated};

    w->sim = copal_sim_new(1);
    require(w->sim != NULL);
    copal_sim_keep(w->sim, 0);
    w->client = copal_sim_endpoint(w->sim, "client", &config);
    require(w->client != NULL);
    /* Without a key each run would read all authorities of this system. */
    copal_use_psk(w->client, "coaps://", cp_bytes("me", 2),
                  cp_bytes("0123456789", 10));
    tap_open(&w->tap, w->sim, "client");
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct world *w = calloc(1, sizeof(*w));

    require(w != NULL);
    w->in = (struct input){data, data + size};
    open_world(w);
    for (int i = 0; i < MAX_STEPS && w->in.at < w->in.end; i++)
        step(w);
    if (size % 2 == 0)
        check_ends(w);
    copal_sim_free(w->sim);
    for (size_t i = 0; i < w->asked_count; i++) {
        require(w->asked[i].drops == 1);
        require(w->asked[i].ends == !w->asked[i].refused);
    }
    tap_close(&w->tap);
    require_no_messages();
    require(w->allocated == 0);
    free(w);
    return 0;
}
