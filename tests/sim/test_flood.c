/* Floods from made up addresses: what they make a server keep is bounded, and
 * whoever is really there is served throughout. RFC 7252 11.3, RFC 7959 7.2. */
#include "strangers.h"
#include <stdlib.h>

enum {
    MANY = 17000, /* more than MAX_EXCHANGES */
    KINDS = 12
};

/* A handler that takes its time: it answers nobody, and lets go of who left. */
struct slow {
    int requests, ends;
    int status; /* of the newest END */
};

static void take_time(const copal_event *ev, void *user)
{
    struct slow *s = user;

    if (ev->kind == COPAL_REQUEST) {
        s->requests++;
        copal_exchange_ref(ev->exchange);
    } else if (ev->kind == COPAL_END) {
        s->ends++;
        s->status = ev->status;
        copal_exchange_unref(ev->exchange);
    }
}

/* An answer for who is there. */
static void assert_served(struct world *w)
{
    struct party *p = ask_body(w, COPAL_GET, "coap://server/t", 0);

    run(w, 0);
    assert_int_equal(p->code, COPAL_CONTENT);
    assert_int_equal(p->status, 0);
    p = ask_body(w, COPAL_PUT, "coap://server/stream", 3000);
    run(w, 100);
    assert_int_equal(p->code, COPAL_CONTENT);
    assert_int_equal(p->status, 0);
}

static void serve_all(struct world *w)
{
    serve_body(w, COPAL_GET, "/t", COPAL_OBSERVABLE, 300);
    serve_body(w, COPAL_PUT, "/t", 0, 0);
    serve_body(w, COPAL_POST, "/t", 0, 300);
    serve_body(w, COPAL_PUT, "/stream", COPAL_STREAMED, 0);
    serve_body(w, COPAL_GET, "/out", 0, 3000)->flags = COPAL_STREAM_OUT;
}

/* d from MANY strangers, and between them from who is there. */
static void flood_and_serve(struct world *w, const struct bytes *d)
{
    for (unsigned i = 0; i < MANY; i += 1000) {
        flood(w, i, i + 1000, d);
        assert_served(w);
    }
}

static void forged_uploads_to_a_stream_leave_room_for_who_is_there(void **state)
{
    struct world *w = *state;
    struct bytes d =
        datagram_of(w, "CON PUT coap://server/stream 1:0/1/64", 1, 64);
    struct limits *l = count_limits(w->server);

    serve_all(w);
    flood_and_serve(w, &d);
    assert_in_range(hits_of(l, "max_unproven"), MANY - 8192, MANY);
    assert_in_range(stats_of(w->server).exchanges_open, 8000, 8200);
}

static void forged_requests_for_a_stream_leave_room_for_who_is_there(
    void **state)
{
    struct world *w = *state;
    struct bytes d = datagram_of(w, "CON GET coap://server/out", 1, 0);

    serve_all(w);
    flood_and_serve(w, &d);
    assert_in_range(stats_of(w->server).exchanges_open, 1, 8200);
}

static void who_waits_for_a_slow_handler_gives_way_and_is_told(void **state)
{
    struct world *w = *state;
    struct slow s = {0};
    struct bytes d = datagram_of(w, "CON GET coap://server/slow", 1, 0);
    uint64_t out;

    serve_all(w);
    copal_serve(w->server, COPAL_GET, "/slow", 0, COPAL_CB(take_time, &s));
    out = stats_of(w->server).datagrams_out;
    flood(w, 0, 8192, &d);
    assert_int_equal(s.ends, 0);
    assert_int_equal(stats_of(w->server).datagrams_out, out);
    flood(w, 8192, 9192, &d);
    assert_int_equal(s.requests, 9192);
    assert_int_equal(s.ends, 1000);
    assert_int_equal(s.status, COPAL_ELIMIT);
    assert_int_equal(stats_of(w->server).datagrams_out, out + 1000);
    assert_served(w);
    copal_free(w->server);
    w->server = NULL;
    assert_int_equal(s.ends, 9192);
}

static void note_refusal(const copal_event *ev, void *user)
{
    if (strstr(ev->text, "\"ev\":\"out\"") != NULL)
        snprintf(user, MAX_RECORDED, "%s", ev->text);
}

/* Its ports and, with IPv6, the rest of its network count together. */
static void one_source_has_a_share_once_half_is_taken(void **state)
{
    struct world *w = *state;
    struct slow s = {0};
    struct limits *l = count_limits(w->server);
    char refusal[MAX_RECORDED] = "";
    struct bytes d;

    serve_all(w);
    tune(w->server, COPAL_P_GUARD_LOOPBACK, 0);
    tune(w->server, COPAL_P_MAX_EXCHANGES, 2048);
    copal_serve(w->server, COPAL_GET, "/slow", 0, COPAL_CB(take_time, &s));
    for (unsigned i = 0; i < 2000; i++) {
        d = datagram_of(w, "NON GET coap://server/slow", i, 0);
        send_as(w, "192.0.2.1", &d);
        run(w, 0);
    }
    assert_int_equal(s.requests, 1024);
    assert_int_equal(s.ends, 0); /* it is there: nothing is taken from it */
    assert_int_equal(hits_of(l, "max_exchanges"), 2000 - 1024);
    assert_served(w);
    d = datagram_of(w, "NON GET coap://server/slow", 3000, 0);
    copal_trace(w->server, COPAL_TRACE_WIRE, COPAL_CB(note_refusal, refusal));
    send_as(w, "192.0.2.1", &d);
    run(w, 0);
    assert_non_null(strstr(refusal, "\"code\":\"4.29\""));
    assert_non_null(strstr(refusal, "[\"Max-Age\",\"1\"]"));
    copal_free(w->server);
    w->server = NULL;
}

static void who_is_there_keeps_what_it_began(void **state)
{
    struct world *w = *state;
    struct bytes d =
        datagram_of(w, "CON PUT coap://server/stream 1:0/1/64", 1, 64);
    struct party *p, *big;

    serve_all(w);
    big = serve_body(w, COPAL_GET, "/slow", 0, 20);
    big->holds = true;
    assert_served(w); /* a body of 300 bytes proves its address */
    p = ask_body(w, COPAL_GET, "coap://server/slow", 0);
    run(w, 1000);
    flood(w, 0, MANY, &d);
    give(big);
    run(w, 1000);
    assert_int_equal(p->code, COPAL_CONTENT);
    release(big);
}

/* RFC 7252 4.5: a POST is acted upon once. Of forged ones the store of repeats
 * would be full within a second, for 247 of them. */
static void forged_posts_do_not_push_out_what_was_heard(void **state)
{
    struct world *w = *state;
    struct bytes forged = datagram_of(w, "CON POST coap://server/t", 1, 20);
    struct bytes post = datagram_of(w, "CON POST coap://server/once", 999, 20);
    struct limits *l = count_limits(w->server);
    struct party *p;

    serve_all(w);
    tune(w->server, COPAL_P_DEDUP_MEMORY, 1 << 20);
    p = serve_body(w, COPAL_POST, "/once", 0, 10);
    assert_served(w);
    send_as(w, "client", &post);
    flood(w, 0, 20000, &forged);
    assert_int_equal(hits_of(l, "dedup_memory"), 0); /* nobody got 5.03 */
    send_as(w, "client", &post);
    run(w, 0);
    assert_int_equal(p->requests, 1);
    assert_served(w);
    p = ask_body(w, COPAL_POST, "coap://server/t", 10);
    run(w, 0);
    assert_int_equal(p->code, COPAL_CONTENT);
}

/* ---- Observers ---- */

static void forged_observers_are_bounded_and_the_oldest_give_way(void **state)
{
    struct world *w = *state;
    struct limits *l = count_limits(w->server);
    struct bytes d = datagram_of(w, "NON GET coap://server/t obs=0", 1, 0);
    struct party *p;

    serve_all(w);
    tune(w->server, COPAL_P_MAX_UNPROVEN, 1000);
    p = observe_body(w, "coap://server/t");
    run(w, 100);
    assert_int_equal(p->responses, 1);
    flood(w, 0, 3000, &d);
    assert_int_equal(observers(w), 1001);
    assert_int_equal(hits_of(l, "max_unproven"), 2000);
    copal_notify(w->server, "/t");
    run(w, 100);
    assert_int_equal(p->responses, 2);
}

/* The value's last observer, with whom it was shared, is gone by then. */
static void the_only_observer_of_a_value_gives_way_to_the_next(void **state)
{
    struct world *w = *state;
    struct limits *l = count_limits(w->server);
    struct bytes d = datagram_of(w, "NON GET coap://server/t obs=0", 1, 0);

    serve_all(w);
    tune(w->server, COPAL_P_MAX_UNPROVEN, 1);
    for (unsigned i = 0; i < 50; i++) {
        send_as(w, stranger(256 * i), &d);
        run(w, 0);
        assert_int_equal(observers(w), 1);
    }
    assert_int_equal(hits_of(l, "max_unproven"), 49);
    assert_int_equal(copal_notify(w->server, "/t"), 1);
    run(w, CON_CYCLE); /* it never acknowledges */
    assert_int_equal(observers(w), 0);
}

static void at_max_observers_those_who_may_not_be_there_give_way(void **state)
{
    struct world *w = *state;
    struct limits *l = count_limits(w->server);
    struct bytes d = datagram_of(w, "NON GET coap://server/t obs=0", 1, 0);
    struct party *p;

    serve_all(w);
    tune(w->server, COPAL_P_MAX_OBSERVERS, 100);
    flood(w, 0, 100, &d);
    p = observe_body(w, "coap://server/t");
    run(w, 100);
    assert_int_equal(p->ends, 0);
    assert_int_equal(observers(w), 100);
    assert_in_range(hits_of(l, "max_observers"), 1, 2);
}

/* ---- Everything at once ---- */

/* What a million strangers send: each kind grows something else. */
static size_t kinds_of(struct world *w, struct bytes d[KINDS])
{
    static const char *const texts[] = {
        "CON GET coap://server/t",
        "NON GET coap://server/t obs=0",
        "CON PUT coap://server/t 1:0/1/1024",
        "CON PUT coap://server/stream 1:0/1/1024",
        "CON POST coap://server/t",
        "CON POST coap://server/t 1:0/1/16",
        "CON GET coap://server/out",
        "CON GET coap://server/slow",
        "CON GET coap://server/nothing?with=a&long=query",
    };
    static const size_t sizes[] = {0, 0, 1024, 1024, 1000, 16, 0, 0, 0};
    size_t n = 0;

    for (; n < sizeof(texts) / sizeof(texts[0]); n++)
        d[n] = datagram_of(w, texts[n], 77, sizes[n]);
    d[n++] = (struct bytes){{0x40, 0, 1, 2}, 4};             /* a ping */
    d[n++] = (struct bytes){{0x4f, 0xff, 1, 2, 0xff, 9}, 6}; /* junk */
    return n;
}

static unsigned flood_size(unsigned otherwise)
{
    const char *text = getenv("COPAL_FLOOD");

    return text == NULL ? otherwise : (unsigned)atoi(text);
}

/* COPAL_FLOOD=1000000 for as many. */
static void all_kinds_of_forged_requests_stay_under_64_mib(void **state)
{
    struct world *w = *state;
    struct bytes d[KINDS];
    struct slow s = {0};
    size_t n;
    unsigned all = flood_size(60000);
    uint64_t before, most = 0;

    serve_all(w);
    copal_serve(w->server, COPAL_GET, "/slow", 0, COPAL_CB(take_time, &s));
    n = kinds_of(w, d);
    before = stats_of(w->server).memory;
    for (unsigned i = 0; i < all; i += 10000) {
        for (unsigned j = i; j < i + 10000; j++) {
            send_as(w, stranger(j), &d[j % n]);
            if (j % 64 == 0)
                run(w, 0);
        }
        assert_served(w);
        if (stats_of(w->server).memory > most)
            most = stats_of(w->server).memory;
    }
    print_message("%u forged sources: %.1f MiB\n", all,
                  (double)(most - before) / 1048576);
    assert_in_range(most - before, 0, 64u << 20);
    copal_free(w->server);
    w->server = NULL;
}

/* ---- MAX_MEMORY ---- */

/* What the server answered, by class; 5.03 apart. */
struct answers {
    unsigned by_class[8], unavailable, acks;
};

static void note_answer(const copal_event *ev, void *user)
{
    struct answers *a = user;
    const char *code = strstr(ev->text, "\"code\":\"");

    if (strstr(ev->text, "\"ev\":\"out\"") == NULL || code == NULL)
        return;
    a->by_class[code[8] - '0']++;
    a->unavailable += strncmp(code + 8, "5.03", 4) == 0;
}

static unsigned all_of(const struct answers *a)
{
    unsigned sum = 0;

    for (int i = 0; i < 8; i++)
        sum += a->by_class[i];
    return sum;
}

static void limit_memory(struct world *w, uint64_t more)
{
    tune(w->server, COPAL_P_MAX_MEMORY,
         (int64_t)(stats_of(w->server).memory + more));
}

/* Each of them is there, and nothing of it may be forgotten: half bodies, and
 * POSTs that must not be acted upon twice. */
static void at_max_memory_what_is_new_gets_5_03(void **state)
{
    struct world *w = *state;
    struct bytes half =
        datagram_of(w, "CON POST coap://server/t 1:0/1/1024", 1, 1024);
    struct bytes post = datagram_of(w, "CON POST coap://server/t", 2, 900);
    struct answers a = {0};
    struct party *posted, *p;
    int requests;

    tune(w->server, COPAL_P_GUARD_LOOPBACK, 0);
    posted = serve_body(w, COPAL_POST, "/t", 0, 10);
    limit_memory(w, 512 << 10);
    copal_trace(w->server, COPAL_TRACE_WIRE, COPAL_CB(note_answer, &a));
    for (unsigned i = 0; i < 4000; i++) {
        send_as(w, stranger(i), i % 2 == 0 ? &half : &post);
        run(w, 0);
        assert_int_equal(all_of(&a), i + 1); /* each is told at once */
        assert_int_equal(a.by_class[2],
                         i + 1 - a.unavailable); /* 2.31 and 2.05 */
    }
    assert_in_range(a.unavailable, 1000, 3900);
    requests = posted->requests;
    send_as(w, stranger(1), &post); /* a repeat of one that was heard */
    run(w, 0);
    assert_int_equal(posted->requests, requests);
    run(w, 300000); /* whoever stayed away is forgotten */
    p = ask_body(w, COPAL_POST, "coap://server/t", 3000);
    run(w, 1000);
    assert_int_equal(p->status, 0);
    assert_int_equal(p->code, COPAL_CONTENT);
}

static void at_max_memory_what_was_begun_is_answered(void **state)
{
    struct world *w = *state;
    struct limits *l = count_limits(w->server);
    struct bytes post = datagram_of(w, "CON POST coap://server/t", 2, 900);
    struct party *slow, *p;

    tune(w->server, COPAL_P_GUARD_LOOPBACK, 0);
    serve_body(w, COPAL_POST, "/t", 0, 10);
    slow = serve_body(w, COPAL_GET, "/slow", 0, 5000);
    slow->holds = true;
    limit_memory(w, 256 << 10);
    p = ask_body(w, COPAL_GET, "coap://server/slow", 0);
    run(w, 0);
    for (unsigned i = 0; i < 4000; i++) {
        send_as(w, stranger(i), &post);
        run(w, 0);
    }
    assert_true(hits_of(l, "max_memory") > 1000);
    assert_int_equal(give(slow), 0);
    run(w, 1000);
    assert_body(p, 5000, 1);
    assert_int_equal(p->status, 0);
    release(slow);
}

/* One block of a body by a connection, whose size field says 7: RFC 8323 6. */
static int code_of_bert_block(struct world *w, uint8_t num)
{
    uint8_t value = (uint8_t)(num << 4 | 7);
    copal_msg *m = request_of(w, COPAL_GET, "coap+tcp://server/t", 0);
    struct record *r = next_record(w);

    copal_msg_set_flags(m, COPAL_RAW_BLOCKS);
    assert_int_equal(
        copal_msg_add(m, COPAL_OPT_BLOCK2, (copal_bytes){&value, 1}), 0);
    assert_non_null(copal_request(w->client, m, recording(r)));
    copal_msg_unref(m);
    run(w, 1000);
    assert_ended(r, 0);
    return r->code;
}

/* Between the two reserves: what goes on may, what begins may not. */
static void at_max_memory_later_blocks_of_any_size_go_on(void **state)
{
    struct world *w = *state;
    uint64_t used;

    assert_int_equal(copal_listen(w->server, "coap+tcp://*", 0), 0);
    serve_text(w, w->server, "/t", 0, "22.5 C");
    assert_int_equal(code_of_bert_block(w, 0), COPAL_CONTENT);
    used = stats_of(w->server).memory;
    tune(w->server, COPAL_P_MAX_MEMORY, (int64_t)(used * 32 / 29));
    assert_int_equal(code_of_bert_block(w, 0), COPAL_UNAVAILABLE);
    assert_int_not_equal(code_of_bert_block(w, 1), COPAL_UNAVAILABLE);
}

static void at_max_memory_strangers_give_way(void **state)
{
    struct world *w = *state;
    struct bytes d[KINDS];
    struct slow s = {0};
    struct limits *l = count_limits(w->server);
    size_t n;

    serve_all(w);
    copal_serve(w->server, COPAL_GET, "/slow", 0, COPAL_CB(take_time, &s));
    n = kinds_of(w, d);
    assert_served(w);
    limit_memory(w, 512 << 10);
    for (unsigned i = 0; i < 20000; i++) {
        send_as(w, stranger(i), &d[i % n]);
        if (i % 64 == 63)
            run(w, 0);
        if (i % 100 == 99)
            assert_served(w);
    }
    assert_true(hits_of(l, "max_memory") > 100);
    copal_free(w->server);
    w->server = NULL;
}

#define guarded(test) \
    cmocka_unit_test_setup_teardown(test, build_guarded, tear_down_bodies)

int main(void)
{
    const struct CMUnitTest tests[] = {
        guarded(forged_uploads_to_a_stream_leave_room_for_who_is_there),
        guarded(forged_requests_for_a_stream_leave_room_for_who_is_there),
        guarded(who_waits_for_a_slow_handler_gives_way_and_is_told),
        guarded(one_source_has_a_share_once_half_is_taken),
        guarded(who_is_there_keeps_what_it_began),
        guarded(forged_posts_do_not_push_out_what_was_heard),
        guarded(forged_observers_are_bounded_and_the_oldest_give_way),
        guarded(the_only_observer_of_a_value_gives_way_to_the_next),
        guarded(at_max_observers_those_who_may_not_be_there_give_way),
        guarded(at_max_memory_what_is_new_gets_5_03),
        guarded(at_max_memory_what_was_begun_is_answered),
        guarded(at_max_memory_later_blocks_of_any_size_go_on),
        guarded(at_max_memory_strangers_give_way),
        guarded(all_kinds_of_forged_requests_stay_under_64_mib),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
