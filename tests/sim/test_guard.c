/* The amplification limit of a server: RFC 7252 11.3, RFC 9175 2.4 item 3.
 * GUARD_LOOPBACK is on, so that all hosts count as strangers. Those named by an
 * address are nobody: what they send is made up, and what comes back is seen by
 * the server's trace. */
#include "bodies.h"
#include "wire/datagram.h"
#include <stdlib.h>

#define STRANGER "192.0.2.1"

enum {
    MOST = 136,       /* bytes */
    CON_CYCLE = 70000 /* ms: more than MAX_TRANSMIT_WAIT without randomness */
};

/* What the server sent to strangers. */
struct seen {
    int count, again;  /* datagrams, those sent again among them */
    size_t longest;    /* bytes of CoAP */
    size_t bytes;      /* in all */
    char newest[2048]; /* line of trace */
    char echo[100];    /* of the newest one that had any, in hex; or "" */
    uint8_t body[8192];
    size_t body_len; /* of blocks, put together */
};

static void note_wire(const copal_event *ev, void *user)
{
    struct seen *s = user;
    const char *len = strstr(ev->text, "\"len\":");
    const char *echo = strstr(ev->text, "[\"Echo\",\"");
    const char *payload = strstr(ev->text, "\"payload_hex\":\"");
    bool is_again = strstr(ev->text, "\"ev\":\"again\"") != NULL;
    unsigned byte;
    size_t n;

    if (strstr(ev->text, "://192.") == NULL || len == NULL ||
        strstr(ev->text, "\"ev\":\"in\"") != NULL)
        return;
    s->count++;
    s->again += is_again;
    n = (size_t)atoi(len + 6);
    s->bytes += n;
    if (n > s->longest)
        s->longest = n;
    snprintf(s->newest, sizeof(s->newest), "%s", ev->text);
    if (echo != NULL)
        sscanf(echo, "[\"Echo\",\"%99[0-9a-f]", s->echo);
    if (payload == NULL || is_again)
        return;
    for (payload += 15; sscanf(payload, "%2x", &byte) == 1; payload += 2)
        if (s->body_len < sizeof(s->body))
            s->body[s->body_len++] = (uint8_t)byte;
}

static struct seen the_seen;

static struct seen *watch_strangers(struct world *w)
{
    the_seen = (struct seen){0};
    copal_trace(w->server, COPAL_TRACE_WIRE, COPAL_CB(note_wire, &the_seen));
    return &the_seen;
}

static int build_guarded(void **state)
{
    struct world *w;
    int err = build_bodies(state);

    w = *state;
    assert_int_equal(copal_tune(w->server, NULL, COPAL_P_GUARD_LOOPBACK, 1), 0);
    return err;
}

static uint16_t newest_mid = 100; /* of the newest request from a stranger */

/* A request from a stranger: "CON GET coap://server/big echo=..." Returns its
 * size. */
static size_t send_from(struct world *w, const char *from, const char *text)
{
    uint8_t storage[256];
    struct cp_buf out = cp_buf_fixed(storage, sizeof(storage));
    copal_msg *m = message_of(w->client, text + 4);
    copal_bytes datagram;

    newest_mid++;
    assert_int_equal(cp_datagram_encode(m, text[0] == 'C' ? CP_CON : CP_NON,
                                        newest_mid, cp_bytes(&newest_mid, 2),
                                        &out),
                     0);
    copal_msg_unref(m);
    assert_int_equal(cp_buf_finish(&out, &datagram), 0);
    assert_int_equal(copal_sim_inject(w->sim, from, "server", datagram), 0);
    run(w, 0);
    return datagram.len;
}

static size_t send(struct world *w, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
static size_t send(struct world *w, const char *format, ...)
{
    char text[256];
    va_list list;

    va_start(list, format);
    vsnprintf(text, sizeof(text), format, list);
    va_end(list);
    return send_from(w, STRANGER, text);
}

static bool newest_has(const struct seen *s, const char *text)
{
    return strstr(s->newest, text) != NULL;
}

/* An answer with more options than a stranger may be sent. */
static void answer_with_options(const copal_event *ev, void *user)
{
    struct record *r = user;
    copal_cb cb = recording(r);
    copal_msg *m;
    bool is_get;

    cb.fn(ev, cb.user);
    if (ev->kind != COPAL_REQUEST)
        return;
    is_get = copal_msg_code(ev->msg) == COPAL_GET;
    m = copal_msg_new(copal_exchange_endpoint(ev->exchange),
                      is_get ? COPAL_CONTENT : COPAL_CREATED);
    for (int i = 0; i < 20; i++)
        copal_msg_add_text(m, COPAL_OPT_LOCATION_PATH, "a-long-segment");
    copal_respond(ev->exchange, m);
    copal_msg_unref(m);
}

static void drop_record(void *user)
{
    struct record *r = user;

    r->drops++;
}

static struct record *serve_options(struct world *w)
{
    struct record *r = next_record(w);

    copal_serve(w->server, 0, "/options", 0,
                COPAL_CB_OWN(answer_with_options, r, drop_record));
    return r;
}

/* ---- Answers ---- */

static void a_stranger_gets_a_small_block_with_an_echo(void **state)
{
    struct world *w = *state;
    struct seen *s = watch_strangers(w);

    serve_body(w, COPAL_GET, "/big", 0, 500);
    send(w, "CON GET coap://server/big");
    assert_transcript(w, "   0 192.0.2.1 > server CON GET 0001 /big\n"
                         "   0 server > 192.0.2.1 ACK 2.05 0001 2:0/1/64 "
                         "etag=ad31ca51 echo (64 bytes) (nobody)\n");
    assert_true(s->longest <= MOST);
    assert_int_equal(strlen(s->echo), 16);
}

static void who_sends_it_back_gets_all(void **state)
{
    struct world *w = *state;
    struct seen *s = watch_strangers(w);

    serve_body(w, COPAL_GET, "/big", 0, 500);
    send(w, "CON GET coap://server/big");
    send(w, "CON GET coap://server/big echo=%s", s->echo);
    assert_true(s->longest > 500);
    assert_false(newest_has(s, "Echo"));
    send(w, "CON GET coap://server/big"); /* and is known from then on */
    assert_false(newest_has(s, "Block2"));
}

static void a_long_request_may_have_a_longer_answer(void **state)
{
    struct world *w = *state;
    struct seen *s = watch_strangers(w);
    char query[200] = {0};
    size_t size;

    memset(query, 'q', 90);
    serve_body(w, COPAL_GET, "/big", 0, 1000);
    size = send(w, "CON GET coap://server/big?%s", query);
    assert_true(s->longest > MOST && s->longest <= 3 * size);
    copal_tune(w->server, NULL, COPAL_P_ECHO_FACTOR, 1);
    s->longest = 0;
    size = send(w, "CON GET coap://server/big?%s", query + 1);
    assert_true(s->longest <= MOST && size < MOST);
    copal_tune(w->server, NULL, COPAL_P_ECHO_FACTOR, 0);
    send(w, "CON GET coap://server/big?%s", query);
    assert_true(s->longest > 1000);
}

/* The header of the newest request again, for which its answer is repeated. */
static void send_header_again(struct world *w)
{
    uint8_t header[6] = {0x42, COPAL_GET, (uint8_t)(newest_mid >> 8),
                         (uint8_t)newest_mid};

    memcpy(header + 4, &newest_mid, 2);
    copal_sim_inject(w->sim, STRANGER, "server",
                     (copal_bytes){header, sizeof(header)});
    run(w, 0);
}

static void a_short_repeat_does_not_bring_the_answer_to_a_long_one(void **state)
{
    struct world *w = *state;
    struct seen *s = watch_strangers(w);
    char query[200] = {0};

    memset(query, 'q', 90);
    serve_body(w, COPAL_GET, "/big", 0, 1000);
    send(w, "CON GET coap://server/big?%s", query);
    assert_true(s->longest > MOST && s->count == 1);
    send_header_again(w);
    assert_int_equal(s->count, 1);
    send(w, "CON GET coap://server/big"); /* one that any repeat may bring */
    assert_true(s->count == 2);
    send_header_again(w);
    assert_true(s->count == 3 && s->again == 1);
}

static void loopback_is_guarded_only_if_told_so(void **state)
{
    struct world *w = *state;
    struct seen *s = watch_strangers(w);

    copal_tune(w->server, NULL, COPAL_P_GUARD_LOOPBACK, 0);
    serve_body(w, COPAL_GET, "/big", 0, 1000);
    send(w, "CON GET coap://server/big");
    assert_true(s->longest > 1000);
}

static void who_knows_no_echo_is_served_in_small_blocks(void **state)
{
    struct world *w = *state;
    struct seen *s = watch_strangers(w);
    struct party *p = serve_body(w, COPAL_GET, "/big", 0, 2000);

    send(w, "CON GET coap://server/big");
    for (unsigned i = 1; i <= 2000 / 64; i++) {
        send(w, "CON GET coap://server/big 2:%u/0/64", i);
        assert_false(newest_has(s, "Echo"));
    }
    assert_int_equal(s->body_len, 2000);
    assert_memory_equal(s->body, body_of(2000, 1).data, 2000);
    assert_true(s->longest <= MOST);
    assert_int_equal(s->count, 1 + 2000 / 64);
    assert_int_equal(p->requests, s->count); /* nothing is kept for him */
}

static void a_later_block_is_no_larger(void **state)
{
    struct world *w = *state;
    struct seen *s = watch_strangers(w);

    serve_body(w, COPAL_GET, "/big", 0, 9000);
    send(w, "CON GET coap://server/big 2:5/0/1024");
    assert_true(newest_has(s, "Echo") && s->longest <= MOST);
    assert_memory_equal(s->body, body_of(9000, 1).data + 5 * 1024, 64);
}

static void an_error_with_many_words_is_no_longer(void **state)
{
    struct world *w = *state;
    struct seen *s = watch_strangers(w);
    struct party *p = serve_body(w, COPAL_GET, "/big", 0, 900);

    p->answer = COPAL_FORBIDDEN;
    send(w, "CON GET coap://server/big");
    assert_true(newest_has(s, "\"4.03\"") && s->longest <= MOST);
}

static void a_stream_is_cut_as_well(void **state)
{
    struct world *w = *state;
    struct seen *s = watch_strangers(w);
    struct party *p = serve_body(w, COPAL_GET, "/big", 0, 900);

    p->flags = COPAL_STREAM_OUT;
    send(w, "CON GET coap://server/big");
    send(w, "CON GET coap://server/big 2:1/0/64");
    assert_true(s->count == 2 && s->longest <= MOST);
    assert_memory_equal(s->body, body_of(900, 1).data, 128);
    send(w, "CON GET coap://server/big 2:1/0/1024 echo=%s", s->echo);
    assert_true(s->longest <= MOST); /* the end of it */
}

static void what_cannot_be_cut_is_asked_for_again(void **state)
{
    struct world *w = *state;
    struct seen *s = watch_strangers(w);
    struct record *r = serve_options(w);

    send(w, "CON GET coap://server/options");
    assert_true(newest_has(s, "\"ACK\"") && newest_has(s, "\"4.01\""));
    send(w, "NON GET coap://server/options");
    assert_true(newest_has(s, "\"NON\"") && newest_has(s, "\"4.01\""));
    assert_true(s->longest <= 20);
    send(w, "CON GET coap://server/options echo=%s", s->echo);
    assert_true(newest_has(s, "\"2.05\"") && s->longest > 300);
    assert_int_equal(r->requests, 3);
}

static void what_was_done_is_told_by_its_code_and_not_done_again(void **state)
{
    struct world *w = *state;
    struct seen *s = watch_strangers(w);
    struct record *r = serve_options(w), *asked;

    send(w, "CON POST coap://server/options");
    assert_true(newest_has(s, "\"2.01\"") && s->longest <= 20);
    asked = ask(w, w->client, COPAL_POST, "coap://server/options", "x");
    run(w, 1000);
    assert_ended(asked, 0);
    assert_int_equal(asked->code, COPAL_CREATED);
    assert_int_equal(r->requests, 2);
}

static void a_long_answer_to_a_post_comes_in_small_blocks(void **state)
{
    struct world *w = *state;
    struct party *s = serve_body(w, COPAL_POST, "/big", 0, 1000), *p;

    p = ask_body(w, COPAL_POST, "coap://server/big", 10);
    run(w, 1000);
    assert_body(p, 1000, 1);
    assert_int_equal(s->requests, 1);
    p = ask_body(w, COPAL_POST, "coap://server/big", 20);
    run(w, 1000);
    assert_body(p, 1000, 1);
    assert_int_equal(count_in_transcript(w, "(1000 bytes)"), 1);
}

/* ---- Separate answers ---- */

static void a_separate_answer_to_a_stranger_goes_once(void **state)
{
    struct world *w = *state;
    struct seen *s = watch_strangers(w);
    struct party *p = serve_body(w, COPAL_GET, "/late", 0, 60);

    p->holds = true;
    send(w, "CON GET coap://server/late");
    run(w, 500);
    assert_true(newest_has(s, "0.00"));
    give(p);
    run(w, CON_CYCLE);
    assert_true(newest_has(s, "\"NON\"") && s->count == 2 && s->again == 0);
    release(p);
}

static void what_cannot_be_cut_is_no_separate_con_either(void **state)
{
    struct world *w = *state;
    struct seen *s = watch_strangers(w);
    struct party *p = serve_body(w, COPAL_GET, "/late", 0, 1000);

    p->holds = true;
    p->flags = COPAL_RAW_BLOCKS;
    send(w, "CON GET coap://server/late");
    run(w, 500);
    give(p);
    run(w, CON_CYCLE);
    assert_true(newest_has(s, "\"NON\"") && newest_has(s, "\"4.01\""));
    assert_true(s->count == 2 && s->longest <= 20);
    release(p);
}

static void who_is_known_gets_it_until_he_acknowledges(void **state)
{
    struct world *w = *state;
    struct seen *s = watch_strangers(w);
    struct party *p = serve_body(w, COPAL_GET, "/late", 0, 60);

    serve_body(w, COPAL_GET, "/big", 0, 500);
    p->holds = true;
    send(w, "CON GET coap://server/big");
    send(w, "CON GET coap://server/late echo=%s", s->echo);
    run(w, 500);
    give(p);
    run(w, CON_CYCLE);
    assert_int_equal(s->again, 4);
    release(p);
}

/* ---- What proves an address ---- */

static bool is_believed(struct world *w, struct seen *s, const char *echo)
{
    s->longest = 0;
    send(w, "CON GET coap://server/big echo=%s", echo);
    return s->longest > 500;
}

static void a_value_made_up_proves_nothing(void **state)
{
    struct world *w = *state;
    struct seen *s = watch_strangers(w);
    char echo[100], longer[102], shorter[100];

    serve_body(w, COPAL_GET, "/big", 0, 500);
    send(w, "CON GET coap://server/big");
    memcpy(echo, s->echo, sizeof(echo));
    for (size_t i = 0; i < 16; i++) {
        char forged[100];

        memcpy(forged, echo, sizeof(forged));
        forged[i] = forged[i] == '0' ? '1' : '0';
        assert_false(is_believed(w, s, forged));
    }
    snprintf(longer, sizeof(longer), "%.16s00", echo);
    snprintf(shorter, sizeof(shorter), "%.14s", echo);
    assert_false(is_believed(w, s, longer));
    assert_false(is_believed(w, s, shorter));
    assert_false(is_believed(w, s, "00"));
    assert_true(is_believed(w, s, echo));
}

static void a_value_of_another_address_proves_nothing(void **state)
{
    struct world *w = *state;
    struct seen *s = watch_strangers(w);
    char text[200];

    serve_body(w, COPAL_GET, "/big", 0, 500);
    send(w, "CON GET coap://server/big");
    snprintf(text, sizeof(text), "CON GET coap://server/big echo=%.16s",
             s->echo);
    send_from(w, "192.0.2.10", text);
    assert_true(s->longest <= MOST);
    assert_int_equal(s->count, 2);
}

static void an_old_value_proves_nothing(void **state)
{
    struct world *w = *state;
    struct seen *s = watch_strangers(w);
    char echo[100];

    serve_body(w, COPAL_GET, "/big", 0, 500);
    send(w, "CON GET coap://server/big");
    memcpy(echo, s->echo, sizeof(echo));
    run(w, 120000);
    assert_false(is_believed(w, s, echo));
    memcpy(echo, s->echo, sizeof(echo));
    run(w, 59000);
    assert_true(is_believed(w, s, echo));
}

static void a_value_of_the_life_before_proves_nothing(void **state)
{
    struct world *w = *state;
    struct seen *s = watch_strangers(w);
    char echo[100];

    serve_body(w, COPAL_GET, "/big", 0, 500);
    send(w, "CON GET coap://server/big");
    memcpy(echo, s->echo, sizeof(echo));
    copal_free(w->server);
    w->server = add_host(w, "server");
    copal_listen(w->server, "coap://server", 0);
    copal_tune(w->server, NULL, COPAL_P_GUARD_LOOPBACK, 1);
    serve_body(w, COPAL_GET, "/big", 0, 500);
    s = watch_strangers(w);
    assert_false(is_believed(w, s, echo));
    assert_true(is_believed(w, s, s->echo));
}

static void a_proof_holds_for_ten_minutes(void **state)
{
    struct world *w = *state;
    struct seen *s = watch_strangers(w);

    serve_body(w, COPAL_GET, "/big", 0, 500);
    send(w, "CON GET coap://server/big");
    assert_true(is_believed(w, s, s->echo));
    run(w, 299000);
    s->echo[0] = '\0';
    send(w, "CON GET coap://server/big");
    assert_string_equal(s->echo, "");
    run(w, 2000); /* half of it is over: the next one would do */
    send(w, "CON GET coap://server/big");
    assert_int_equal(strlen(s->echo), 16);
    assert_true(s->longest > 500);
    run(w, 298000);
    assert_true(is_believed(w, s, "00"));
    run(w, 2000);
    assert_false(is_believed(w, s, "00"));
}

static void a_client_renews_it_as_it_goes(void **state)
{
    struct world *w = *state;

    serve_body(w, COPAL_GET, "/big", 0, 500);
    for (int i = 0; i < 120; i++) { /* an hour */
        struct party *p = ask_body(w, COPAL_GET, "coap://server/big", 0);

        run(w, 30000);
        assert_body(p, 500, 1);
    }
    assert_int_equal(count_in_transcript(w, "2:0/1/64"), 1);
    assert_int_equal(count_in_transcript(w, "client > server CON"), 121);
}

/* The empty answer that a stranger gives to what the server sent. */
static void answer_empty(struct world *w, const struct seen *s, uint8_t type,
                         unsigned off)
{
    unsigned mid = 0;
    uint8_t bytes[4];

    sscanf(strstr(s->newest, "\"mid\":"), "\"mid\":%u", &mid);
    mid += off;
    bytes[0] = (uint8_t)(0x40 | type << 4);
    bytes[1] = 0;
    bytes[2] = (uint8_t)(mid >> 8);
    bytes[3] = (uint8_t)mid;
    copal_sim_inject(w->sim, STRANGER, "server", (copal_bytes){bytes, 4});
    run(w, 0);
}

static struct party *observed_by_stranger(struct world *w, size_t size)
{
    struct party *p = serve_body(w, COPAL_GET, "/t", COPAL_OBSERVABLE, size);

    p->flags = COPAL_NON;
    send(w, "CON GET coap://server/t obs=0");
    return p;
}

static void change(struct world *w, struct party *p)
{
    p->version++;
    copal_notify(w->server, "/t");
    run(w, 0);
}

static void a_stranger_who_acknowledges_nothing_observes_nothing(void **state)
{
    struct world *w = *state;
    struct seen *s = watch_strangers(w);
    struct party *p = observed_by_stranger(w, 20);

    assert_int_equal(observers(w), 1);
    for (int i = 0; i < 100; i++) {
        change(w, p);
        run(w, 100);
    }
    run(w, CON_CYCLE);
    assert_int_equal(observers(w), 0);
    assert_int_equal(s->count, 1 + 3); /* and no bytes are left for more */
    assert_int_equal(s->again, 2);
    assert_true(s->bytes <= MOST);
    change(w, p);
    run(w, CON_CYCLE);
    assert_int_equal(s->count, 4);
}

/* Whatever the size of states, of request and answer. */
static void answer_and_notification_share_what_a_stranger_may_be_sent(
    void **state)
{
    static const char *const queries[] = {"", "?a-query",
                                          "?0123456789abcdef"
                                          "0123456789abcdef"
                                          "0123456789abcdef"};
    struct world *w = *state;
    struct party *p = serve_body(w, COPAL_GET, "/t", COPAL_OBSERVABLE, 0);

    for (size_t size = 0; size < 300; size++) {
        struct seen *s = watch_strangers(w);
        size_t asked;

        p->size = size;
        p->etag = size % 3 == 0 ? "an etag" : NULL;
        p->format = size % 5 == 0 ? COPAL_TEXT : COPAL_NO_FORMAT;
        p->flags = size % 2 == 0 ? COPAL_NON : 0;
        asked = send(w, "%s GET coap://server/t%s obs=0",
                     size % 7 == 0 ? "NON" : "CON", queries[size % 3]);
        assert_int_equal(s->count, 1);
        for (int i = 0; i < 4; i++) {
            p->size = size * (size_t)i;
            change(w, p);
            run(w, 3000);
        }
        assert_true(s->count >= 2); /* one notification at least */
        run(w, CON_CYCLE);
        assert_int_equal(observers(w), 0);
        if (s->bytes > (3 * asked > MOST ? 3 * asked : MOST))
            fail_msg("%zu bytes to %zu, state of %zu", s->bytes, asked, size);
    }
}

static void who_acknowledges_late_is_heard_though_nothing_is_repeated(
    void **state)
{
    struct world *w = *state;
    struct seen *s = watch_strangers(w);
    struct party *p = observed_by_stranger(w, 60);

    change(w, p);
    assert_int_equal(s->count, 2);
    run(w, 61000); /* almost a whole cycle of 2, 4, 8, 16 and 32 s */
    assert_int_equal(s->again, 0);
    answer_empty(w, s, CP_ACK, 0);
    assert_int_equal(observers(w), 1);
    change(w, p);
    assert_true(newest_has(s, "\"NON\"") && s->count == 3);
}

static void a_stranger_who_rejects_observes_nothing(void **state)
{
    struct world *w = *state;
    struct seen *s = watch_strangers(w);
    struct party *p = observed_by_stranger(w, 20);

    change(w, p);
    answer_empty(w, s, CP_RST, 0);
    assert_int_equal(observers(w), 0);
    run(w, CON_CYCLE);
    assert_int_equal(s->count, 2);
}

static void a_notification_acknowledged_proves_who_observes(void **state)
{
    struct world *w = *state;
    struct seen *s = watch_strangers(w);
    struct party *p = observed_by_stranger(w, 1000);

    change(w, p);
    assert_true(newest_has(s, "\"CON\"") && s->longest <= MOST);
    answer_empty(w, s, CP_ACK, 0);
    change(w, p);
    assert_true(newest_has(s, "\"NON\"") && s->longest > 1000);
    assert_int_equal(observers(w), 1);
}

static void a_wrong_guess_before_it_proves_nothing(void **state)
{
    struct world *w = *state;
    struct seen *s = watch_strangers(w);
    struct party *p = observed_by_stranger(w, 1000);

    change(w, p);
    answer_empty(w, s, CP_ACK, 1);
    answer_empty(w, s, CP_ACK, 0);
    change(w, p);
    assert_true(newest_has(s, "\"CON\"") && s->longest <= MOST);
    answer_empty(w, s, CP_ACK, 0);
    change(w, p);
    assert_true(newest_has(s, "\"NON\"") && s->longest > 1000);
}

static void an_echo_proves_who_observes(void **state)
{
    struct world *w = *state;
    struct seen *s = watch_strangers(w);
    struct party *p = observed_by_stranger(w, 1000);

    send(w, "CON GET coap://server/t echo=%s", s->echo);
    change(w, p);
    assert_true(newest_has(s, "\"NON\"") && s->longest > 1000);
}

static void the_end_of_an_observation_is_told_in_few_words(void **state)
{
    struct world *w = *state;
    struct seen *s = watch_strangers(w);
    struct party *p = observed_by_stranger(w, 1000);

    p->answer = COPAL_FORBIDDEN;
    change(w, p);
    assert_true(newest_has(s, "\"4.03\"") && s->longest <= MOST);
}

/* ---- With our client ---- */

static void a_body_from_a_fresh_port_takes_one_echo(void **state)
{
    struct world *w = *state;
    struct party *p;

    serve_body(w, COPAL_GET, "/big", 0, 100000);
    p = ask_body(w, COPAL_GET, "coap://server/big", 0);
    run(w, 60000);
    assert_body(p, 100000, 1);
    assert_int_equal(p->status, 0);
    assert_int_equal(count_in_transcript(w, " echo"), 2);
    assert_int_equal(count_in_transcript(w, "client > server"), 1 + 98);
}

static void a_body_to_it_takes_one_echo(void **state)
{
    struct world *w = *state;
    struct party *p, *s = serve_body(w, COPAL_PUT, "/big", 0, 3000);

    p = ask_body(w, COPAL_PUT, "coap://server/big", 5000);
    run(w, 60000);
    assert_body(s, 5000, 1);
    assert_body(p, 3000, 1);
    assert_int_equal(count_in_transcript(w, " echo"), 2);
    assert_int_equal(count_in_transcript(w, "2:0/1/1024"), 1);
    assert_int_equal(s->requests, 1);
}

static void a_fetch_in_blocks_takes_one_echo(void **state)
{
    struct world *w = *state;
    struct party *p, *s = serve_body(w, COPAL_FETCH, "/big", 0, 3000);

    p = ask_body(w, COPAL_FETCH, "coap://server/big", 3000);
    run(w, 60000);
    assert_body(p, 3000, 1);
    assert_int_equal(count_in_transcript(w, " echo"), 2);
    assert_int_equal(s->requests, 1);
}

static void an_observation_begins_with_one_echo(void **state)
{
    struct world *w = *state;
    struct party *s = serve_body(w, COPAL_GET, "/t", COPAL_OBSERVABLE, 500), *p;

    s->flags = COPAL_NON;
    p = observe_body(w, "coap://server/t");
    run(w, 1000);
    assert_int_equal(observers(w), 1);
    change(w, s);
    run(w, 1000);
    assert_log(p, "2.05 500 bytes\n2.05 500 bytes\n");
    assert_body(p, 500, 2);
    assert_transcript(
        w, "   0 client > server CON GET 0001 /t obs=0\n"
           "   0 server > client ACK 2.05 0001 obs 2:0/1/32 etag=ad31ca51 "
           "echo (32 bytes)\n"
           "   0 client > server CON GET 0002 /t obs=0 echo\n"
           "   0 server > client ACK 2.05 0002 obs (500 bytes)\n"
           "1000 server > client NON 2.05 0001 obs (500 bytes)\n");
}

static void a_host_that_moved_proves_its_new_address(void **state)
{
    struct world *w = *state;
    struct party *p;

    serve_body(w, COPAL_GET, "/big", 0, 500);
    for (int i = 0; i < 3; i++) {
        p = ask_body(w, COPAL_GET, "coap://server/big", 0);
        run(w, 1000);
        assert_body(p, 500, 1);
        copal_sim_move(w->sim, "client");
    }
    assert_int_equal(count_in_transcript(w, " echo"), 6);
}

/* ---- Floods ---- */

static uint64_t memory_of(copal *c)
{
    copal_stats s = {.size = sizeof(s)};

    copal_get_stats(c, &s);
    return s.memory;
}

static void flood(struct world *w, unsigned from, unsigned to, const char *hex)
{
    uint8_t bytes[64];
    size_t len = 0;
    unsigned byte;

    for (; sscanf(hex, "%2x", &byte) == 1; hex += 2)
        bytes[len++] = (uint8_t)byte;
    for (unsigned i = from; i < to; i++) {
        char source[20];

        snprintf(source, sizeof(source), "10.%u.%u.%u", i >> 16 & 255,
                 i >> 8 & 255, i & 255);
        copal_sim_inject(w->sim, source, "server", (copal_bytes){bytes, len});
        if (i % 64 == 0)
            run(w, 0);
    }
    run(w, 0);
}

static void forged_sources_take_no_memory(void **state)
{
    struct world *w = *state;
    uint64_t before;

    copal_sim_keep(w->sim, 0);
    copal_tune(w->server, NULL, COPAL_P_DEDUP_MEMORY, 65536);
    serve_body(w, COPAL_GET, "/t", COPAL_OBSERVABLE, 2000);
    flood(w, 0, 2000, "40011234b174");
    before = memory_of(w->server);
    flood(w, 2000, 20000, "40011234b174");
    assert_true(memory_of(w->server) <= before + 4096);
}

/* ---- Sweeps ---- */

static void play_all(struct world *w)
{
    struct party *s = serve_body(w, COPAL_GET, "/t", COPAL_OBSERVABLE, 500);

    copal_tune(w->server, NULL, COPAL_P_GUARD_LOOPBACK, 1);
    s->flags = COPAL_NON;
    serve_body(w, COPAL_POST, "/t", 0, 300);
    serve_options(w);
    observe_body(w, "coap://server/t");
    run(w, 1000);
    ask_body(w, COPAL_POST, "coap://server/t", 2000);
    get(w, "coap://server/options");
    s->version++;
    copal_notify(w->server, "/t");
    run(w, 400000);
}

static void memory_may_run_out_anywhere(void **state)
{
    (void)state;
    bodies_with_failed_allocations(play_all);
}

static void play_in_weather(struct world *w)
{
    struct party *p, *q;

    serve_body(w, COPAL_GET, "/big", 0, 5000);
    serve_body(w, COPAL_PUT, "/big", 0, 3000);
    copal_tune(w->server, NULL, COPAL_P_GUARD_LOOPBACK, 1);
    /* Never so long between two of them that the server forgets what it
     * answers from: EXCHANGE_LIFETIME, RFC 7252 4.8.2. */
    copal_tune(w->client, NULL, COPAL_P_MAX_RETRANSMIT, 12);
    copal_tune(w->client, NULL, COPAL_P_ACK_TIMEOUT, 50);
    p = ask_body(w, COPAL_GET, "coap://server/big", 0);
    run(w, 3000000);
    q = ask_body(w, COPAL_PUT, "coap://server/big", 3000);
    run(w, 3000000);
    assert_int_equal(p->status, 0);
    assert_body(p, 5000, 1);
    assert_int_equal(q->status, 0);
    assert_body(q, 3000, 1);
}

static void bodies_come_through_bad_weather(void **state)
{
    (void)state;
    bodies_in_bad_weather(play_in_weather, 20);
}

#define guarded(test) \
    cmocka_unit_test_setup_teardown(test, build_guarded, tear_down_bodies)

int main(void)
{
    const struct CMUnitTest tests[] = {
        guarded(a_stranger_gets_a_small_block_with_an_echo),
        guarded(who_sends_it_back_gets_all),
        guarded(a_long_request_may_have_a_longer_answer),
        guarded(a_short_repeat_does_not_bring_the_answer_to_a_long_one),
        guarded(loopback_is_guarded_only_if_told_so),
        guarded(who_knows_no_echo_is_served_in_small_blocks),
        guarded(a_later_block_is_no_larger),
        guarded(an_error_with_many_words_is_no_longer),
        guarded(a_stream_is_cut_as_well),
        guarded(what_cannot_be_cut_is_asked_for_again),
        guarded(what_was_done_is_told_by_its_code_and_not_done_again),
        guarded(a_long_answer_to_a_post_comes_in_small_blocks),
        guarded(a_separate_answer_to_a_stranger_goes_once),
        guarded(what_cannot_be_cut_is_no_separate_con_either),
        guarded(who_is_known_gets_it_until_he_acknowledges),
        guarded(a_value_made_up_proves_nothing),
        guarded(a_value_of_another_address_proves_nothing),
        guarded(an_old_value_proves_nothing),
        guarded(a_value_of_the_life_before_proves_nothing),
        guarded(a_proof_holds_for_ten_minutes),
        guarded(a_client_renews_it_as_it_goes),
        guarded(a_stranger_who_acknowledges_nothing_observes_nothing),
        guarded(answer_and_notification_share_what_a_stranger_may_be_sent),
        guarded(who_acknowledges_late_is_heard_though_nothing_is_repeated),
        guarded(a_stranger_who_rejects_observes_nothing),
        guarded(a_notification_acknowledged_proves_who_observes),
        guarded(a_wrong_guess_before_it_proves_nothing),
        guarded(an_echo_proves_who_observes),
        guarded(the_end_of_an_observation_is_told_in_few_words),
        guarded(a_body_from_a_fresh_port_takes_one_echo),
        guarded(a_body_to_it_takes_one_echo),
        guarded(a_fetch_in_blocks_takes_one_echo),
        guarded(an_observation_begins_with_one_echo),
        guarded(a_host_that_moved_proves_its_new_address),
        guarded(forged_sources_take_no_memory),
        cmocka_unit_test(memory_may_run_out_anywhere),
        cmocka_unit_test(bodies_come_through_bad_weather),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
