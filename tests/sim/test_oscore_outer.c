/* Sealed messages that a proxy cuts into blocks: Block1 and Block2 outside.
 * They are put together before they are opened. RFC 8613 4.1.3.4.2. */
#include "secured.h"

#include "endpoint.h"
#include "engine/core.h"
#include "wire/block.h"
#include "wire/datagram.h"

/* ---- The proxy ---- */

enum {
    LINE = 128 /* messages that may wait */
};

/* Who stands between client and server, and sees what each of them sends. What
 * he sends looks as if the other end had: for this it makes no difference. */
static struct {
    struct world *w;
    struct cp_mem *mem;
    copal_msg *of_client[LINE], *of_server[LINE];
    size_t asked, heard; /* of each that were looked at */
    size_t client_count, server_count;
    uint16_t cuts_requests, cuts_answers; /* bytes of blocks; 0: does not */
    unsigned skips;      /* the block of requests that is left out; 0: none */
    unsigned spoils;     /* the block of answers that is changed; 0: none */
    copal_msg *answer;   /* the newest of the server, whole */
    uint8_t token[8];    /* the client's, that it answers */
    uint8_t observed[8]; /* that of its observation */
    uint16_t mid;        /* of messages of his own */
    int continues;       /* 2.31s that the server sent */
    int rests;           /* requests for a later block, of the client */
    int last_code;       /* the server's newest that had no protection */
    int64_t last_block1; /* of its newest with protection; -1: none */
} proxy;

static void note(copal_msg **line, size_t *count, copal_bytes datagram)
{
    struct cp_header h;
    copal_msg *m = NULL;

    assert_int_equal(cp_header_read(datagram, &h), 0);
    assert_int_equal(cp_datagram_decode(proxy.mem, &h, &m), 0);
    m->frozen = true;
    assert_true(*count < LINE);
    line[(*count)++] = m;
}

static void on_client(void *user, const struct cp_path *path,
                      copal_bytes datagram, bool out)
{
    (void)user, (void)path;
    if (out)
        note(proxy.of_client, &proxy.client_count, datagram);
}

static void on_server(void *user, const struct cp_path *path,
                      copal_bytes datagram, bool out)
{
    (void)user, (void)path;
    if (out)
        note(proxy.of_server, &proxy.server_count, datagram);
}

static void inject(const char *from, const char *to, const copal_msg *m,
                   uint8_t type, uint16_t mid, copal_bytes token)
{
    uint8_t storage[MAX_DATAGRAM];
    struct cp_buf out = cp_buf_fixed(storage, sizeof(storage));

    assert_int_equal(cp_datagram_encode(m, type, mid, token, &out), 0);
    copal_sim_set_path(proxy.w->sim, from, to, (copal_sim_path){0});
    copal_sim_inject(proxy.w->sim, from, to, cp_bytes(storage, out.len));
    copal_sim_set_path(proxy.w->sim, from, to, (copal_sim_path){.loss = 100});
}

static void acknowledge(const char *from, const char *to, const copal_msg *m)
{
    copal_msg *empty = cp_msg_new(proxy.mem, COPAL_EMPTY, 0);

    inject(from, to, empty, CP_ACK, m->mid, (copal_bytes){0});
    copal_msg_unref(empty);
}

/* Block num of m. */
static copal_msg *part_of(const copal_msg *m, unsigned option, uint32_t num,
                          uint16_t size)
{
    copal_msg *part = cp_msg_derive(m);
    size_t at = (size_t)num * size, left = m->payload.len - at;
    struct cp_block b = {.num = num, .size = size, .more = left > size};

    cp_msg_remove(part, COPAL_OPT_BLOCK1);
    assert_int_equal(cp_msg_add_uint(part, option, cp_block_encode(b)), 0);
    cp_msg_copy_payload(part,
                        cp_bytes(m->payload.data + at, b.more ? size : left));
    return part;
}

static void to_server(const copal_msg *m)
{
    static const uint8_t token[] = {7};

    inject("client", "server", m, CP_CON, ++proxy.mid, cp_bytes(token, 1));
    run(proxy.w, 1);
}

/* What the server answered to the newest; NULL: nothing (yet). */
static copal_msg *from_server(void)
{
    copal_msg *m = NULL;

    while (proxy.heard < proxy.server_count) {
        m = proxy.of_server[proxy.heard++];
        if (m->type == CP_CON)
            acknowledge("client", "server", m);
        if (m->code == COPAL_EMPTY)
            m = NULL;
    }
    return m;
}

/* The part of the answer that the client asked for by mid, or with 0 a part that
 * it did not ask for. */
static void hand_out(uint32_t num, uint16_t mid)
{
    copal_msg *m = proxy.answer, *part;
    uint8_t type = mid != 0 ? CP_ACK : CP_CON;

    mid = mid != 0 ? mid : ++proxy.mid;
    if (proxy.cuts_answers == 0 || m->payload.len <= proxy.cuts_answers ||
        !cp_msg_has(m, COPAL_OPT_OSCORE)) {
        inject("server", "client", m, type, mid, cp_bytes(proxy.token, 8));
        return;
    }
    part = part_of(m, COPAL_OPT_BLOCK2, num, proxy.cuts_answers);
    if (proxy.spoils > 0 && num == proxy.spoils)
        ((uint8_t *)part->payload.data)[0] ^= 1;
    inject("server", "client", part, type, mid, cp_bytes(proxy.token, 8));
    copal_msg_unref(part);
}

static void take_answer(copal_msg *m, const copal_msg *request)
{
    if (!cp_msg_has(m, COPAL_OPT_OSCORE)) {
        proxy.last_code = m->code;
    } else {
        proxy.last_block1 =
            (int64_t)cp_msg_uint_or(m, COPAL_OPT_BLOCK1, UINT64_MAX);
        assert_false(cp_msg_has(m, COPAL_OPT_BLOCK2));
    }
    proxy.answer = m;
    memcpy(proxy.token, request->token.data, 8);
    if (cp_msg_has(request, COPAL_OPT_OBSERVE))
        memcpy(proxy.observed, request->token.data, 8);
    hand_out(0, request->mid);
}

static void forward(const copal_msg *request)
{
    uint16_t size = proxy.cuts_requests;
    uint32_t last = size == 0 || request->payload.len <= size
                        ? 0
                        : (uint32_t)((request->payload.len - 1) / size);
    copal_msg *m = NULL, *part;

    if (last == 0) {
        to_server(request);
        m = from_server();
    }
    for (uint32_t i = 0; last > 0 && i <= last; i++) {
        if (i > 0 && i == proxy.skips)
            continue;
        part = part_of(request, COPAL_OPT_BLOCK1, i, size);
        to_server(part);
        copal_msg_unref(part);
        m = from_server();
        if (m == NULL || m->code != COPAL_CONTINUE)
            break;
        assert_true(i < last);
        assert_false(cp_msg_has(m, COPAL_OPT_OSCORE));
        proxy.continues++;
    }
    if (m != NULL)
        take_answer(m, request);
}

/* A request for a later block is the first one, but for its Observe. */
static void give_rest(const copal_msg *m)
{
    uint64_t wanted = cp_msg_uint_or(m, COPAL_OPT_BLOCK2, 0);
    bool is_fetch = m->code == COPAL_FETCH;

    proxy.rests++;
    assert_true(cp_msg_has(m, COPAL_OPT_OSCORE));
    assert_false(cp_msg_has(m, COPAL_OPT_OBSERVE));
    assert_int_equal(m->payload.len > 0, is_fetch);
    assert_int_equal(16u << (wanted & 7), proxy.cuts_answers);
    memcpy(proxy.token, m->token.data, 8);
    hand_out((uint32_t)(wanted >> 4), m->mid);
}

/* What comes to the proxy within that time, it deals with. */
static void pass_on(struct world *w, unsigned ms)
{
    copal_msg *m;

    for (unsigned i = 0; i < ms; i++) {
        run(w, 1);
        while (proxy.asked < proxy.client_count) {
            m = proxy.of_client[proxy.asked++];
            if (!cp_code_is_request(m->code))
                continue;
            if (cp_msg_uint_or(m, COPAL_OPT_BLOCK2, 0) >> 4 > 0)
                give_rest(m);
            else
                forward(m);
        }
        m = from_server(); /* a notification */
        if (m == NULL)
            continue;
        proxy.answer = m;
        memcpy(proxy.token, proxy.observed, 8);
        hand_out(0, 0);
    }
}

static void look_at(copal *c, void (*fn)(void *, const struct cp_path *,
                                         copal_bytes, bool))
{
    c->engine->tap.fn = fn;
}

static void begin_proxy(struct world *w)
{
    memset(&proxy, 0, sizeof(proxy));
    proxy.w = w;
    proxy.mem = cp_mem_new(NULL, NULL);
    proxy.mid = 4711;
    copal_sim_set_path(w->sim, "client", "server",
                       (copal_sim_path){.loss = 100});
    copal_sim_set_path(w->sim, "server", "client",
                       (copal_sim_path){.loss = 100});
    look_at(w->client, on_client);
    look_at(w->server, on_server);
}

static void end_proxy(void)
{
    for (size_t i = 0; i < proxy.client_count; i++)
        copal_msg_unref(proxy.of_client[i]);
    for (size_t i = 0; i < proxy.server_count; i++)
        copal_msg_unref(proxy.of_server[i]);
    cp_mem_release(proxy.mem);
}

static int build_proxied(void **state)
{
    int err = build_secured(state);

    begin_proxy(*state);
    return err;
}

static int tear_down_proxied(void **state)
{
    end_proxy();
    return tear_down_secured(state);
}

/* ---- Requests ---- */

static const char *text_of(size_t len)
{
    static char text[8000];

    for (size_t i = 0; i < len; i++)
        text[i] = (char)('a' + i / 16 % 26);
    text[len] = '\0';
    return text;
}

static void a_request_that_was_cut_is_put_together(void **state)
{
    struct world *w = *state;
    struct record *served = serve_text(w, w->server, "/t", 0, "thanks"), *r;

    proxy.cuts_requests = 64;
    r = ask(w, w->client, COPAL_PUT, "coap://server/t", text_of(500));
    pass_on(w, 100);
    assert_ended(r, 0);
    assert_string_equal(r->payload, "thanks");
    assert_int_equal(served->requests, 1);
    assert_int_equal(served->payload_len, 500);
    assert_int_equal(proxy.continues, 8);
    assert_int_equal(proxy.last_block1 >> 4, 8); /* the last, acknowledged */
}

static void blocks_of_a_body_may_be_cut_as_well(void **state)
{
    struct world *w = *state;
    const char *body = text_of(3000);
    struct record *served = serve_text(w, w->server, "/t", 0, body), *r;

    proxy.cuts_requests = proxy.cuts_answers = 256;
    r = ask(w, w->client, COPAL_PUT, "coap://server/t", body);
    pass_on(w, 200);
    assert_ended(r, 0);
    assert_int_equal(served->requests, 1);
    assert_int_equal(served->payload_len, 3000);
    assert_int_equal(r->payload_len, 3000);
    assert_int_equal(r->sum, served->sum);
    assert_in_range(proxy.continues, 8, 16);
    assert_in_range(proxy.rests, 8, 16);
}

static void a_request_of_which_a_block_is_missing_is_none(void **state)
{
    struct world *w = *state;
    struct record *served = serve_text(w, w->server, "/t", 0, "thanks"), *r;

    proxy.cuts_requests = 64;
    proxy.skips = 3;
    r = ask(w, w->client, COPAL_PUT, "coap://server/t", text_of(500));
    pass_on(w, 100);
    assert_int_equal(proxy.last_code, COPAL_INCOMPLETE);
    assert_ended(r, COPAL_EAUTH); /* the proxy's word, and it says whose */
    assert_non_null(strstr(r->text, "4.08"));
    assert_int_equal(served->requests, 0);
}

static void a_request_longer_than_max_body_is_refused(void **state)
{
    struct world *w = *state;
    struct record *served = serve_text(w, w->server, "/t", 0, "thanks"), *r;

    tune(w->server, COPAL_P_MAX_BODY, 300);
    proxy.cuts_requests = 64;
    r = ask(w, w->client, COPAL_PUT, "coap://server/t", text_of(500));
    pass_on(w, 100);
    assert_int_equal(proxy.last_code, COPAL_TOO_LARGE);
    assert_int_equal(proxy.continues, 4);
    assert_ended(r, COPAL_EAUTH);
    assert_int_equal(served->requests, 0);
}

/* Whoever is on the way may send blocks and no last one. */
static void bodies_that_never_end_take_no_more_than_their_share(void **state)
{
    static const uint8_t seven[] = {7}, option[] = {9, 0, 'c'};
    struct world *w = *state;
    uint8_t kid[3];
    copal_msg *m, *part;

    for (unsigned i = 0; i < 20; i++) {
        m = cp_msg_new(proxy.mem, COPAL_POST, 0);
        memcpy(kid, option, 3);
        kid[1] = (uint8_t)i;
        cp_msg_add(m, COPAL_OPT_OSCORE, cp_bytes(kid, 3));
        cp_msg_copy_payload(m, cp_bytes((const uint8_t *)text_of(500), 500));
        part = part_of(m, COPAL_OPT_BLOCK1, 0, 256);
        inject("client", "server", part, CP_CON, ++proxy.mid,
               cp_bytes(seven, 1));
        run(w, 1);
        copal_msg_unref(part);
        copal_msg_unref(m);
        m = from_server();
        assert_int_equal(m->code, i < 4 ? COPAL_CONTINUE : COPAL_UNAVAILABLE);
    }
    run(w, 300000);
    assert_int_equal(w->server->engine->bodies.used, 0);
}

/* AES-CCM with nonces of 13 bytes counts no further than 65535. */
static void what_is_longer_than_can_be_sealed_is_not_genuine(void **state)
{
    static const uint8_t option[] = {9, 5, 'c'};
    static uint8_t body[70000];
    copal_msg *m = cp_msg_new(proxy.mem, COPAL_POST, 0), *request, *answer;

    (void)state;
    cp_msg_add(m, COPAL_OPT_OSCORE, cp_bytes(option, 3));
    cp_msg_copy_payload(m, cp_bytes(body, sizeof(body)));
    for (uint32_t i = 0; i * 1024 < sizeof(body); i++) {
        request = part_of(m, COPAL_OPT_BLOCK1, i, 1024);
        to_server(request);
        copal_msg_unref(request);
        answer = from_server();
        assert_non_null(answer);
        assert_int_equal(answer->code, (i + 1) * 1024 < sizeof(body)
                                           ? COPAL_CONTINUE
                                           : COPAL_BAD_REQUEST);
    }
    copal_msg_unref(m);
}

/* ---- Answers ---- */

static void an_answer_that_was_cut_is_put_together(void **state)
{
    struct world *w = *state;
    struct record *r;

    serve_text(w, w->server, "/t", 0, text_of(500));
    proxy.cuts_answers = 64;
    r = get(w, "coap://server/t");
    pass_on(w, 100);
    assert_ended(r, 0);
    assert_int_equal(r->responses, 1);
    assert_int_equal(r->payload_len, 500);
    assert_int_equal(proxy.rests, 7);
}

static void an_answer_of_which_a_block_was_changed_is_none(void **state)
{
    struct world *w = *state;
    struct record *r;

    serve_text(w, w->server, "/t", 0, text_of(500));
    proxy.cuts_answers = 64;
    proxy.spoils = 3;
    r = get(w, "coap://server/t");
    pass_on(w, 100);
    assert_int_equal(proxy.rests, 7);
    assert_int_equal(r->ends, 0); /* the genuine one may still come */
    run(w, 300000);
    assert_ended(r, COPAL_EAUTH);
    assert_int_equal(r->responses, 0);
}

static void an_answer_longer_than_max_body_is_not_kept(void **state)
{
    struct world *w = *state;
    struct record *r;

    tune(w->client, COPAL_P_MAX_BODY, 300);
    serve_text(w, w->server, "/t", 0, text_of(500));
    proxy.cuts_answers = 64;
    r = get(w, "coap://server/t");
    pass_on(w, 100);
    assert_ended(r, COPAL_ELIMIT);
    assert_int_equal(proxy.rests, 4);
}

/* Whoever guesses the token might send a block. */
static void a_made_up_block_keeps_no_answer_away(void **state)
{
    struct world *w = *state;
    struct record *r;
    copal_msg *m;

    serve_text(w, w->server, "/t", 0, "genuine");
    r = get(w, "coap://server/t");
    run(w, 1);
    m = cp_msg_new(proxy.mem, COPAL_CHANGED, 0);
    cp_msg_add(m, COPAL_OPT_OSCORE, (copal_bytes){0});
    cp_msg_add_uint(m, COPAL_OPT_BLOCK2, 8 | 2);
    cp_msg_copy_payload(m, cp_bytes((const uint8_t *)text_of(64), 64));
    inject("server", "client", m, CP_NON, ++proxy.mid,
           proxy.of_client[0]->token);
    copal_msg_unref(m);
    run(w, 1);
    forward(proxy.of_client[0]);
    run(w, 1);
    assert_ended(r, 0);
    assert_string_equal(r->payload, "genuine");
}

static void a_proxy_that_lost_the_rest_ends_the_request(void **state)
{
    struct world *w = *state;
    struct record *r;
    copal_msg *m;

    serve_text(w, w->server, "/t", 0, text_of(500));
    proxy.cuts_answers = 64;
    r = get(w, "coap://server/t");
    run(w, 1);
    forward(proxy.of_client[0]);
    run(w, 1);
    assert_int_equal(proxy.client_count, 2);
    m = cp_msg_new(proxy.mem, COPAL_INCOMPLETE, 0);
    inject("server", "client", m, CP_ACK, proxy.of_client[1]->mid,
           proxy.of_client[1]->token);
    copal_msg_unref(m);
    run(w, 1);
    assert_ended(r, COPAL_EAUTH);
    assert_non_null(strstr(r->text, "4.08"));
}

static void notifications_that_were_cut_are_put_together(void **state)
{
    struct world *w = *state;
    struct record *o;

    serve_text(w, w->server, "/n", COPAL_OBSERVABLE, text_of(500));
    proxy.cuts_answers = 64;
    o = observe(w, "coap://server/n");
    pass_on(w, 100);
    assert_int_equal(o->responses, 1);
    for (int i = 2; i < 5; i++) {
        run(w, 2000);
        copal_notify(w->server, "/n");
        pass_on(w, 100);
        assert_int_equal(o->responses, i);
        assert_int_equal(o->payload_len, 500);
    }
    assert_int_equal(proxy.rests, 28);
    cancel_if_open(o);
    pass_on(w, 100);
    assert_ended(o, COPAL_ECANCEL);
}

/* ---- Sweeps ---- */

static void put_and_observe(struct world *w)
{
    struct record *r, *o;
    copal_oscore ours = client_end(0), theirs = server_end(0);

    memset(&client_store, 0, sizeof(client_store));
    memset(&server_store, 0, sizeof(server_store));
    begin_proxy(w);
    keep_in_if_possible(w->client, &client_store);
    keep_in_if_possible(w->server, &server_store);
    copal_use_oscore(w->client, "coap://server", &ours);
    copal_use_oscore(w->server, "*", &theirs);
    run(w, 100);
    serve_text(w, w->server, "/n", COPAL_OBSERVABLE, text_of(300));
    proxy.cuts_requests = proxy.cuts_answers = 128;
    r = ask(w, w->client, COPAL_PUT, "coap://server/n", text_of(300));
    pass_on(w, 5000);
    o = observe(w, "coap://server/n");
    pass_on(w, 5000);
    copal_notify(w->server, "/n");
    pass_on(w, 5000);
    cancel_if_open(r);
    cancel_if_open(o);
    pass_on(w, 500);
    settle(w);
    end_proxy();
}

static void every_allocation_may_fail(void **state)
{
    (void)state;
    for_each_failed_allocation(put_and_observe);
}

#define TEST(name) \
    cmocka_unit_test_setup_teardown(name, build_proxied, tear_down_proxied)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_request_that_was_cut_is_put_together),
        TEST(blocks_of_a_body_may_be_cut_as_well),
        TEST(a_request_of_which_a_block_is_missing_is_none),
        TEST(a_request_longer_than_max_body_is_refused),
        TEST(bodies_that_never_end_take_no_more_than_their_share),
        TEST(what_is_longer_than_can_be_sealed_is_not_genuine),
        TEST(an_answer_that_was_cut_is_put_together),
        TEST(an_answer_of_which_a_block_was_changed_is_none),
        TEST(an_answer_longer_than_max_body_is_not_kept),
        TEST(a_made_up_block_keeps_no_answer_away),
        TEST(a_proxy_that_lost_the_rest_ends_the_request),
        TEST(notifications_that_were_cut_are_put_together),
        cmocka_unit_test(every_allocation_may_fail),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
