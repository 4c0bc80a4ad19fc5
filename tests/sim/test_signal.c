/* What a connection is told by its other end, which is played here byte by
 * byte. RFC 8323 3, 5. */
#include "endpoint.h"
#include "engine/core.h"
#include "support.h"
#include "wire/uri.h"

enum {
    MOST_BYTES = 8192
};

/* The other end: what it was sent, in hex, and whether it was closed. */
struct other {
    struct cp_link link;
    struct cp_engine *engine;
    char sent[2 * MOST_BYTES];
    bool is_blocked, is_closed, is_open;
};

static int note_sent(struct cp_link *l, const struct cp_path *path,
                     copal_bytes data)
{
    struct other *o = cp_container_of(l, struct other, link);

    (void)path;
    for (size_t i = 0; i < data.len; i++) {
        size_t at = strlen(o->sent);

        snprintf(o->sent + at, sizeof(o->sent) - at, "%02x", data.data[i]);
    }
    strcat(o->sent, " ");
    return 0;
}

static bool is_blocked(const struct cp_link *l)
{
    return cp_container_of((struct cp_link *)l, struct other, link)->is_blocked;
}

static void note_closed(struct cp_link *l)
{
    cp_container_of(l, struct other, link)->is_closed = true;
}

static const struct cp_link_ops ops = {
    .name = "played",
    .send = note_sent,
    .is_blocked = is_blocked,
    .close = note_closed,
};

static struct other *connect_from(struct world *w, struct other *o,
                                  const char *address)
{
    struct cp_path path = {0};

    *o = (struct other){.engine = w->server->engine};
    assert_true(cp_address_read(address, &path.remote));
    o->link = (struct cp_link){.ops = &ops,
                               .engine = o->engine,
                               .scheme = CP_COAP_TCP,
                               .is_simulated = true};
    cp_engine_enter(o->engine, copal_sim_now(w->sim));
    o->is_open = cp_engine_connected(o->engine, &o->link, &path, CP_STREAMED,
                                     false) == 0;
    cp_engine_turn(o->engine, copal_sim_now(w->sim));
    return o;
}

static void hear(struct world *w, struct other *o, const char *bytes, size_t n)
{
    o->sent[0] = '\0';
    cp_engine_enter(o->engine, copal_sim_now(w->sim));
    cp_engine_bytes(o->engine, &o->link, cp_bytes(bytes, n));
    cp_engine_turn(o->engine, copal_sim_now(w->sim));
}

#define HEAR(o, text) hear(w, (o), (text), sizeof(text) - 1)

static void end(struct world *w, struct other *o)
{
    cp_engine_enter(o->engine, copal_sim_now(w->sim));
    cp_engine_closed(o->engine, &o->link, 0);
    cp_engine_turn(o->engine, copal_sim_now(w->sim));
}

static void keep(const copal_event *ev, void *user)
{
    copal_exchange **kept = user;

    if (ev->kind == COPAL_REQUEST)
        *kept = copal_exchange_ref(ev->exchange);
}

static void answer(struct world *w, struct other *o, copal_exchange *kept)
{
    o->sent[0] = '\0';
    assert_int_equal(copal_reply_text(kept, COPAL_CONTENT, "x"), 0);
    copal_exchange_unref(kept);
    cp_engine_turn(o->engine, copal_sim_now(w->sim));
}

/* Our CSM: Max-Message-Size 1049600, Block-Wise-Transfer. */
#define CSM      "50e12310040020"
#define CSM_SENT CSM " "

/* ---- Signals ---- */

static void each_end_says_first_what_it_takes(void **state)
{
    struct world *w = *state;
    struct other o;

    connect_from(w, &o, "192.0.2.1");
    assert_string_equal(o.sent, CSM_SENT);
    HEAR(&o, "\x00\xe1");
    assert_string_equal(o.sent, "");
    end(w, &o);
}

static void an_answer_comes_under_the_token_of_its_request(void **state)
{
    struct world *w = *state;
    struct other o;

    serve_text(w, w->server, "/t", 0, "x");
    connect_from(w, &o, "192.0.2.1");
    HEAR(&o, "\x00\xe1\x22\x01\x31\x32\xb1t");
    assert_string_equal(o.sent, "3245"
                                "3132"
                                "c0ff78 ");
    end(w, &o);
}

/* RFC 8323 5.3.2: without the option in a CSM nobody knows. */
static void who_asks_for_a_block_knows_blocks(void **state)
{
    struct world *w = *state;
    struct other o;

    serve_text(w, w->server, "/t", 0, "x");
    connect_from(w, &o, "192.0.2.1");
    HEAR(&o, "\x00\xe1\x41\x01\x07\xb1t\xc1\x06");
    assert_non_null(strstr(o.sent, "4507"));
    assert_non_null(strstr(o.sent, "ff78 "));
    end(w, &o);
}

static void it_is_understood_wherever_it_is_cut(void **state)
{
    static const char all[] = "\x00\xe1\x01\xe2p\x22\x01\x31\x32\xb1t";
    struct world *w = *state;

    serve_text(w, w->server, "/t", 0, "x");
    for (size_t cut = 1; cut < sizeof(all) - 1; cut++) {
        struct other o;
        char sent[2 * MOST_BYTES];

        connect_from(w, &o, "192.0.2.1");
        hear(w, &o, all, cut);
        strcpy(sent, o.sent);
        hear(w, &o, all + cut, sizeof(all) - 1 - cut);
        strcat(sent, o.sent);
        assert_string_equal(sent, "01e370 32453132c0ff78 ");
        assert_false(o.is_closed);
        end(w, &o);
    }
}

static void a_ping_gets_its_token_back(void **state)
{
    struct world *w = *state;
    struct other o;

    connect_from(w, &o, "192.0.2.1");
    HEAR(&o, "\x00\xe1\x01\xe2\x42");
    assert_string_equal(o.sent, "01e342 ");
    end(w, &o);
}

/* RFC 8323 5.4.1 */
static void custody_is_promised_when_what_came_before_is_answered(void **state)
{
    struct world *w = *state;
    struct other o;
    copal_exchange *kept = NULL;

    copal_serve(w->server, COPAL_GET, "/t", 0, COPAL_CB(keep, &kept));
    connect_from(w, &o, "192.0.2.1");
    HEAR(&o, "\x00\xe1\x21\x01\x07\xb1t");
    HEAR(&o, "\x11\xe2\x42\x20");
    assert_string_equal(o.sent, "");
    answer(w, &o, kept);
    assert_string_equal(o.sent, "314507c0ff78 11e34220 ");
    end(w, &o);
}

static void without_anything_owed_custody_is_promised_at_once(void **state)
{
    struct world *w = *state;
    struct other o;

    connect_from(w, &o, "192.0.2.1");
    HEAR(&o, "\x00\xe1\x11\xe2\x42\x20");
    assert_string_equal(o.sent, "11e34220 ");
    end(w, &o);
}

static void an_empty_message_is_ignored(void **state)
{
    struct world *w = *state;
    struct other o;

    connect_from(w, &o, "192.0.2.1");
    HEAR(&o, "\x00\xe1\x00\x00\x02\x00tt\x01\xe2p");
    assert_string_equal(o.sent, "01e370 ");
    end(w, &o);
}

/* Unknown signals are let be, unknown elective options too. */
static void what_is_not_known_is_passed_over(void **state)
{
    struct world *w = *state;
    struct other o;

    connect_from(w, &o, "192.0.2.1");
    HEAR(&o, "\x30\xe1\xd1\x33x\x00\xe6\x01\xe2p");
    assert_string_equal(o.sent, "01e370 ");
    end(w, &o);
}

static void a_release_lets_what_was_asked_be_answered(void **state)
{
    struct world *w = *state;
    struct other o;
    copal_exchange *kept = NULL;

    copal_serve(w->server, COPAL_GET, "/t", 0, COPAL_CB(keep, &kept));
    connect_from(w, &o, "192.0.2.1");
    HEAR(&o, "\x00\xe1\x21\x01\x07\xb1t");
    HEAR(&o, "\x00\xe4");
    assert_false(o.is_closed);
    answer(w, &o, kept);
    assert_string_equal(o.sent, "314507c0ff78 ");
    assert_true(o.is_closed);
    end(w, &o);
}

/* ---- What ends it ---- */

struct row {
    const char *name, *bytes;
    size_t len;
    const char *why; /* what the Abort says; NULL: it is closed in silence */
};

#define ROW(name, bytes, why) \
    { \
        name, bytes, sizeof(bytes) - 1, why \
    }

static const struct row aborts[] = {
    ROW("a request before the CSM", "\x21\x01\x07\xb1t",
        "the first message is to be a CSM"),
    ROW("a critical option of a CSM", "\x30\xe1\xd1\x34x",
        "critical option not understood"),
    ROW("a critical option of a Ping", "\x00\xe1\x20\xe2\x91x",
        "critical option not understood"),
    ROW("token length 15", "\x00\xe1\x0f\x01", "malformed message"),
    ROW("token length 9", "\x00\xe1\x09\x01ttttttttt", "malformed message"),
    ROW("a marker without payload", "\x00\xe1\x11\x01t\xff",
        "malformed message"),
    ROW("an option longer than its message", "\x00\xe1\x20\x01\xb4t",
        "malformed message"),
    ROW("4 GiB", "\x00\xe1\xf0\xff\xff\xff\xff\x02",
        "longer than Max-Message-Size"),
    ROW("an Abort", "\x00\xe1\x00\xe5", NULL),
};

static bool says(const struct other *o, const char *why)
{
    char hex[2 * 64 + 1] = "";

    for (size_t i = 0; why[i] != '\0'; i++)
        snprintf(hex + 2 * i, 3, "%02x", (unsigned char)why[i]);
    return strstr(o->sent, "e5") != NULL && strstr(o->sent, hex) != NULL;
}

static void what_is_malformed_aborts_and_is_not_acted_upon(void **state)
{
    struct world *w = *state;
    struct record *r = serve_text(w, w->server, "/t", 0, "x");

    for (size_t i = 0; i < sizeof(aborts) / sizeof(aborts[0]); i++) {
        const struct row *row = &aborts[i];
        struct other o;

        connect_from(w, &o, "192.0.2.1");
        hear(w, &o, row->bytes, row->len);
        if (!o.is_closed)
            fail_msg("%s: goes on", row->name);
        if (row->why == NULL ? o.sent[0] != '\0' : !says(&o, row->why))
            fail_msg("%s: %s", row->name, o.sent);
        HEAR(&o, "\x21\x01\x07\xb1t"); /* nothing is heard any more */
        assert_string_equal(o.sent, "");
        end(w, &o);
    }
    assert_int_equal(r->requests, 0);
}

/* Which is no want of memory, and nothing that another time would be taken. */
static void more_options_than_are_read_are_told_so(void **state)
{
    enum {
        OPTIONS = 40000,
        HEAD = 6
    };
    static char bytes[HEAD + OPTIONS]; /* CSM; Len 14, two bytes of it, GET */
    struct world *w = *state;
    size_t more = OPTIONS - 269;
    struct other o;

    memcpy(bytes, "\x00\xe1\xe0", 3);
    bytes[3] = (char)(more >> 8);
    bytes[4] = (char)more;
    bytes[5] = 1;
    connect_from(w, &o, "192.0.2.1");
    hear(w, &o, bytes, sizeof(bytes));
    assert_true(o.is_closed);
    if (!says(&o, "too many options"))
        fail_msg("%s", o.sent);
    end(w, &o);
}

/* Nothing is answered before the last byte. */
static void hear_whole_or_cut(struct world *w, struct other *o,
                              const struct row *row, bool is_cut)
{
    if (!is_cut)
        hear(w, o, row->bytes, row->len);
    for (size_t i = 0; is_cut && i < row->len; i++)
        hear(w, o, row->bytes + i, 1);
}

/* Max-Message-Size 0, 1, and one too little for the code and the token. */
static void who_takes_no_message_is_told_so_by_an_abort(void **state)
{
    static const struct row rows[] = {
        ROW("0", "\x10\xe1\x20\x21\x01\x07\xb1t", ""),
        ROW("1", "\x20\xe1\x21\x01\x21\x01\x07\xb1t", ""),
        ROW("2", "\x20\xe1\x21\x02\x21\x01\x07\xb1t", ""),
        ROW("0, and a Ping", "\x10\xe1\x20\x00\xe2", ""),
        ROW("1, and a Ping", "\x20\xe1\x21\x01\x00\xe2", ""),
        ROW("2, and no such path", "\x20\xe1\x21\x02\x21\x01\x07\xb1x", ""),
    };
    struct world *w = *state;

    serve_text(w, w->server, "/t", 0, "x");
    for (size_t k = 0; k < 2 * sizeof(rows) / sizeof(rows[0]); k++) {
        size_t i = k / 2;
        struct other o;

        connect_from(w, &o, "192.0.2.1");
        hear_whole_or_cut(w, &o, &rows[i], k % 2 == 1);
        run(w, 10);
        if (!o.is_closed ||
            !says(&o, "Max-Message-Size leaves no room for an answer"))
            fail_msg("%s: %s", rows[i].name, o.sent);
        end(w, &o);
    }
}

/* The answer itself is longer than that, in whichever way it is asked for. */
static void who_takes_little_gets_what_fits(void **state)
{
    static const struct row rows[] = {
        ROW("3", "\x20\xe1\x21\x03\x21\x01\x07\xb1t", "01a007 "),
        ROW("20, and knows blocks", "\x30\xe1\x21\x14\x20\x21\x01\x07\xb1t",
            "01a007 "),
        ROW("3, and no such path", "\x20\xe1\x21\x03\x21\x01\x07\xb1x",
            "018407 "),
        ROW("2, and a Ping", "\x20\xe1\x21\x02\x00\xe2", "00e3 "),
    };
    struct world *w = *state;

    serve_text(w, w->server, "/t", 0, "twenty bytes and more of it");
    for (size_t k = 0; k < 2 * sizeof(rows) / sizeof(rows[0]); k++) {
        size_t i = k / 2;
        struct other o;

        connect_from(w, &o, "192.0.2.1");
        hear_whole_or_cut(w, &o, &rows[i], k % 2 == 1);
        run(w, 10);
        if (o.is_closed || strcmp(o.sent, rows[i].why) != 0)
            fail_msg("%s: %s", rows[i].name, o.sent);
        end(w, &o);
    }
}

static void a_bad_option_of_a_csm_is_named(void **state)
{
    struct world *w = *state;
    struct other o;

    connect_from(w, &o, "192.0.2.1");
    HEAR(&o, "\x30\xe1\xd1\x34x");
    assert_non_null(strstr(o.sent, "e52141ff")); /* 65: RFC 8323 5.6 */
    end(w, &o);
}

static void who_says_nothing_is_cut_off_after_10_s(void **state)
{
    struct world *w = *state;
    struct other o;

    connect_from(w, &o, "192.0.2.1");
    run(w, 9999);
    assert_false(o.is_closed);
    run(w, 2);
    assert_true(o.is_closed);
    end(w, &o);
}

/* One byte in 5 s is no progress: 30 s are for the whole message. */
static void a_message_that_takes_too_long_is_cut_off(void **state)
{
    struct world *w = *state;
    struct other o;

    connect_from(w, &o, "192.0.2.1");
    HEAR(&o, "\x00\xe1\xd0\x10\x01");
    for (int i = 0; i < 5; i++) {
        run(w, 5000);
        HEAR(&o, "x");
        assert_false(o.is_closed);
    }
    run(w, 5001);
    assert_true(o.is_closed);
    end(w, &o);
}

static void who_is_idle_is_released_after_ten_minutes(void **state)
{
    struct world *w = *state;
    struct other o;

    connect_from(w, &o, "192.0.2.1");
    HEAR(&o, "\x00\xe1");
    run(w, 599999);
    assert_false(o.is_closed);
    run(w, 2);
    assert_true(o.is_closed);
    assert_string_equal(o.sent, "00e4 ");
    end(w, &o);
}

static void keepalive_finds_out_who_is_gone(void **state)
{
    struct world *w = *state;
    struct other o;

    tune(w->server, COPAL_P_KEEPALIVE, 20000);
    connect_from(w, &o, "192.0.2.1");
    HEAR(&o, "\x00\xe1");
    run(w, 20001);
    assert_string_equal(o.sent, "00e2 ");
    HEAR(&o, "\x00\xe3");
    run(w, 20001);
    assert_string_equal(o.sent, "00e2 ");
    run(w, 30001);
    assert_true(o.is_closed);
    end(w, &o);
}

static void a_flood_of_pings_is_cut_off(void **state)
{
    struct world *w = *state;
    struct other o;
    int pongs = 0;

    connect_from(w, &o, "192.0.2.1");
    HEAR(&o, "\x00\xe1");
    while (!o.is_closed && pongs < 100) {
        HEAR(&o, "\x00\xe2");
        pongs++;
    }
    assert_in_range(pongs, 10, 20);
    end(w, &o);
}

static void ten_signals_a_second_are_no_flood(void **state)
{
    struct world *w = *state;
    struct other o;

    connect_from(w, &o, "192.0.2.1");
    HEAR(&o, "\x00\xe1");
    for (int i = 0; i < 600; i++) {
        run(w, 100);
        HEAR(&o, "\x00\xe2");
        assert_string_equal(o.sent, "00e3 ");
    }
    end(w, &o);
}

/* ---- Limits ---- */

static void one_address_has_its_share_of_connections(void **state)
{
    static struct other all[5];
    struct world *w = *state;

    tune(w->server, COPAL_P_ADDR_CONNECTIONS, 2);
    tune(w->server, COPAL_P_MAX_CONNECTIONS, 3);
    assert_true(connect_from(w, &all[0], "192.0.2.1")->is_open);
    assert_true(connect_from(w, &all[1], "192.0.2.1")->is_open);
    assert_false(connect_from(w, &all[2], "192.0.2.1")->is_open);
    assert_true(connect_from(w, &all[2], "192.0.2.2")->is_open);
    for (int i = 0; i < 3; i++)
        HEAR(&all[i], "\x00\xe1");
    assert_false(connect_from(w, &all[3], "192.0.2.3")->is_open);
    end(w, &all[0]);
    assert_true(connect_from(w, &all[3], "192.0.2.1")->is_open);
    for (int i = 1; i < 4; i++)
        end(w, &all[i]);
}

static void who_says_nothing_gives_way_to_who_comes(void **state)
{
    static struct other all[4];
    struct world *w = *state;
    int limits[] = {COPAL_P_MAX_CONNECTIONS, COPAL_P_MAX_HANDSHAKES};

    for (int i = 0; i < 2; i++) {
        tune(w->server, (copal_param)limits[i], 2);
        connect_from(w, &all[0], "192.0.2.1");
        connect_from(w, &all[1], "192.0.2.2");
        run(w, 10);
        assert_true(connect_from(w, &all[2], "192.0.2.3")->is_open);
        assert_true(all[0].is_closed);
        assert_false(all[1].is_closed);
        end(w, &all[0]);
        HEAR(&all[2], "\x00\xe1");
        assert_true(connect_from(w, &all[0], "192.0.2.4")->is_open);
        assert_int_equal(all[1].is_closed,
                         limits[i] == COPAL_P_MAX_CONNECTIONS);
        assert_false(all[2].is_closed);
        for (int j = 0; j < 3; j++)
            end(w, &all[j]);
        tune(w->server, (copal_param)limits[i], 1024);
    }
}

/* ---- Heaps ---- */

static unsigned count_of(const char *text, const char *part)
{
    unsigned n = 0;

    for (; (text = strstr(text, part)) != NULL; text++)
        n++;
    return n;
}

/* Nothing is lost of what has to wait, and it is answered in its order. */
static void a_heap_of_requests_is_worked_off_in_parts(void **state)
{
    static char heap[200 * 5];
    struct world *w = *state;
    struct other o;
    unsigned parts = 0, answers;

    serve_text(w, w->server, "/t", 0, "x");
    connect_from(w, &o, "192.0.2.1");
    HEAR(&o, "\x00\xe1");
    for (int i = 0; i < 200; i++)
        memcpy(heap + i * 5, "\x21\x01\x07\xb1t", 5);
    hear(w, &o, heap, sizeof(heap));
    answers = count_of(o.sent, "4507");
    assert_in_range(answers, 1, 100);
    while (cp_engine_has_more(&o.link)) {
        HEAR(&o, "");
        assert_in_range(count_of(o.sent, "4507"), 1, 100);
        answers += count_of(o.sent, "4507");
        assert_true(parts++ < 200);
    }
    assert_int_equal(answers, 200);
    assert_false(o.is_closed);
    end(w, &o);
}

/* Its peer is not to blame for it. */
static void what_waits_for_its_turn_is_not_late(void **state)
{
    static char heap[200 * 5];
    struct world *w = *state;
    struct other o;

    serve_text(w, w->server, "/t", 0, "x");
    connect_from(w, &o, "192.0.2.1");
    HEAR(&o, "\x00\xe1");
    for (int i = 0; i < 200; i++)
        memcpy(heap + i * 5, "\x21\x01\x07\xb1t", 5);
    hear(w, &o, heap, sizeof(heap));
    assert_true(cp_engine_has_more(&o.link));
    run(w, 60000);
    assert_false(o.is_closed);
    end(w, &o);
}

/* ---- Messages that are not all there ---- */

/* The beginning of a PUT of n bytes in all, token 31, and so many of its
 * bytes. */
static void begin_put(struct world *w, struct other *o, size_t n, size_t come)
{
    static uint8_t bytes[300000];
    size_t len = n - 7 - 65805; /* behind the token */

    memset(bytes, 0, sizeof(bytes));
    memcpy(bytes, "\xf1\x00\x00\x00\x00\x03\x31\xb1t\xff", 10);
    bytes[1] = (uint8_t)(len >> 24);
    bytes[2] = (uint8_t)(len >> 16);
    bytes[3] = (uint8_t)(len >> 8);
    bytes[4] = (uint8_t)len;
    o->sent[0] = '\0';
    for (size_t at = 0; at < come; at += 10000) {
        cp_engine_enter(o->engine, copal_sim_now(w->sim));
        cp_engine_bytes(
            o->engine, &o->link,
            cp_bytes(bytes + at, come - at < 10000 ? come - at : 10000));
        cp_engine_turn(o->engine, copal_sim_now(w->sim));
    }
}

static void the_rest_of_a_put(struct world *w, struct other *o, size_t n)
{
    static const uint8_t zeroes[10000];

    for (size_t at = 0; at < n; at += 10000) {
        cp_engine_enter(o->engine, copal_sim_now(w->sim));
        cp_engine_bytes(o->engine, &o->link,
                        cp_bytes(zeroes, n - at < 10000 ? n - at : 10000));
        cp_engine_turn(o->engine, copal_sim_now(w->sim));
    }
}

static void half_messages_are_part_of_body_memory(void **state)
{
    struct world *w = *state;
    struct cp_bodies *bodies = &w->server->engine->bodies;
    struct other o;

    serve_text(w, w->server, "/t", 0, "x");
    connect_from(w, &o, "192.0.2.1");
    HEAR(&o, "\x00\xe1");
    begin_put(w, &o, 200000, 4000);
    assert_int_equal(bodies->used, 0);
    the_rest_of_a_put(w, &o, 100000);
    assert_in_range(bodies->used, 100000, 200000);
    the_rest_of_a_put(w, &o, 96000);
    assert_int_equal(bodies->used, 0);
    assert_int_equal(count_of(o.sent, "4531"), 1);
    begin_put(w, &o, 200000, 100000);
    assert_in_range(bodies->used, 96000, 200000);
    end(w, &o);
    assert_int_equal(bodies->used, 0);
}

/* The connection goes on: what comes of the message passes by. */
static void a_request_without_room_is_refused_by_its_head(void **state)
{
    struct world *w = *state;
    struct record *r = serve_text(w, w->server, "/t", 0, "x");
    struct other o;

    tune(w->server, COPAL_P_BODY_MEMORY, 50000);
    connect_from(w, &o, "192.0.2.1");
    HEAR(&o, "\x00\xe1");
    begin_put(w, &o, 200000, 150000);
    assert_string_equal(o.sent, "018d31 "); /* 4.13 */
    assert_false(o.is_closed);
    assert_int_equal(w->server->engine->bodies.used, 0);
    the_rest_of_a_put(w, &o, 50000);
    assert_int_equal(r->requests, 0);
    HEAR(&o, "\x21\x01\x07\xb1t");
    assert_int_equal(r->requests, 1);
    assert_int_equal(count_of(o.sent, "4507"), 1);
    end(w, &o);
}

static void the_rest_of_what_was_refused_comes_within_30_s(void **state)
{
    struct world *w = *state;
    struct other o;

    tune(w->server, COPAL_P_BODY_MEMORY, 50000);
    connect_from(w, &o, "192.0.2.1");
    HEAR(&o, "\x00\xe1");
    begin_put(w, &o, 200000, 150000);
    run(w, 20000);
    the_rest_of_a_put(w, &o, 100);
    run(w, 9000);
    assert_false(o.is_closed);
    run(w, 1001);
    assert_true(o.is_closed);
    end(w, &o);
}

static void what_is_no_request_and_has_no_room_ends_the_connection(void **state)
{
    struct world *w = *state;
    static uint8_t answer[60000];
    struct other o;

    tune(w->server, COPAL_P_BODY_MEMORY, 20000);
    connect_from(w, &o, "192.0.2.1");
    HEAR(&o, "\x00\xe1");
    memcpy(answer, "\xf1\x00\x01\x00\x00\x45\x31", 7);
    hear(w, &o, (const char *)answer, sizeof(answer));
    assert_true(o.is_closed);
    assert_int_equal(w->server->engine->bodies.used, 0);
    end(w, &o);
}

/* A quarter of BODY_MEMORY, but for one message. */
static void one_address_does_not_take_all_of_body_memory(void **state)
{
    static struct other all[5];
    struct world *w = *state;

    tune(w->server, COPAL_P_BODY_MEMORY, 400000);
    for (int i = 0; i < 5; i++) {
        connect_from(w, &all[i], i < 4 ? "192.0.2.1" : "192.0.2.2");
        HEAR(&all[i], "\x00\xe1");
    }
    begin_put(w, &all[0], 200000, 40000);
    assert_string_equal(all[0].sent, "");
    begin_put(w, &all[1], 200000, 40000);
    assert_string_equal(all[1].sent, "");
    begin_put(w, &all[2], 200000, 40000);
    assert_string_equal(all[2].sent, "018d31 ");
    begin_put(w, &all[4], 200000, 90000);
    assert_string_equal(all[4].sent, "");
    for (int i = 0; i < 5; i++)
        end(w, &all[i]);
    assert_int_equal(w->server->engine->bodies.used, 0);
}

static uint64_t memory_of(struct world *w)
{
    copal_stats s = {.size = sizeof(s)};

    copal_get_stats(w->server, &s);
    return s.memory;
}

static void what_is_announced_takes_no_memory_before_it_comes(void **state)
{
    struct world *w = *state;
    struct other o;
    uint64_t before;

    connect_from(w, &o, "192.0.2.1");
    HEAR(&o, "\x00\xe1");
    before = memory_of(w);
    HEAR(&o, "\xf0\x00\x0e\x00\x00\x01"); /* 983 kB to come */
    assert_false(o.is_closed);
    assert_true(memory_of(w) - before < 1024);
    end(w, &o);
}

/* An observer that reads nothing: of what it is told meanwhile the newest
 * waits. */
static void a_slow_observer_gets_the_newest_state(void **state)
{
    struct world *w = *state;
    struct other o;

    serve_text(w, w->server, "/t", COPAL_OBSERVABLE, "x");
    connect_from(w, &o, "192.0.2.1");
    HEAR(&o, "\x00\xe1\x31\x01\x07\x60\x51t");
    assert_int_equal(observers(w), 1);
    o.is_blocked = true;
    o.sent[0] = '\0';
    for (int i = 0; i < 10; i++) {
        copal_notify(w->server, "/t");
        run(w, 10);
    }
    assert_string_equal(o.sent, "");
    o.is_blocked = false;
    cp_engine_drained(o.engine, &o.link);
    assert_non_null(strchr(o.sent, ' '));
    assert_true(strchr(o.sent, ' ')[1] == '\0'); /* one */
    end(w, &o);
    assert_int_equal(observers(w), 0);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, build, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(each_end_says_first_what_it_takes),
        TEST(an_answer_comes_under_the_token_of_its_request),
        TEST(who_asks_for_a_block_knows_blocks),
        TEST(it_is_understood_wherever_it_is_cut),
        TEST(a_ping_gets_its_token_back),
        TEST(custody_is_promised_when_what_came_before_is_answered),
        TEST(without_anything_owed_custody_is_promised_at_once),
        TEST(an_empty_message_is_ignored),
        TEST(what_is_not_known_is_passed_over),
        TEST(a_release_lets_what_was_asked_be_answered),
        TEST(more_options_than_are_read_are_told_so),
        TEST(what_is_malformed_aborts_and_is_not_acted_upon),
        TEST(who_takes_no_message_is_told_so_by_an_abort),
        TEST(who_takes_little_gets_what_fits),
        TEST(a_bad_option_of_a_csm_is_named),
        TEST(who_says_nothing_is_cut_off_after_10_s),
        TEST(a_message_that_takes_too_long_is_cut_off),
        TEST(who_is_idle_is_released_after_ten_minutes),
        TEST(keepalive_finds_out_who_is_gone),
        TEST(a_flood_of_pings_is_cut_off),
        TEST(ten_signals_a_second_are_no_flood),
        TEST(one_address_has_its_share_of_connections),
        TEST(who_says_nothing_gives_way_to_who_comes),
        TEST(a_heap_of_requests_is_worked_off_in_parts),
        TEST(what_waits_for_its_turn_is_not_late),
        TEST(half_messages_are_part_of_body_memory),
        TEST(a_request_without_room_is_refused_by_its_head),
        TEST(the_rest_of_what_was_refused_comes_within_30_s),
        TEST(what_is_no_request_and_has_no_room_ends_the_connection),
        TEST(one_address_does_not_take_all_of_body_memory),
        TEST(what_is_announced_takes_no_memory_before_it_comes),
        TEST(a_slow_observer_gets_the_newest_state),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
