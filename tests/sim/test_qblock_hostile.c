/* Q-Block1 and Q-Block2, RFC 9177: what it forbids, and what strangers try. */
#include "qblock.h"

/* To the newest block that the client sent. */
static void answer_list(struct world *w, const struct tap *t, unsigned mid,
                        const void *list, size_t len)
{
    inject_as(w, "server", "client", "NON 4.08 ct=272", (uint16_t)mid,
              (copal_bytes){t->token, t->token_len}, (copal_bytes){list, len});
}

static uint64_t limited(copal *c)
{
    copal_stats s = {.size = sizeof(s)};

    copal_get_stats(c, &s);
    return s.limited;
}

/* ---- What is no good ---- */

static void lists_that_break_the_rules_are_dropped(void **state)
{
    static const struct {
        uint8_t bytes[12];
        size_t len;
    } lists[] = {
        {{0}, 0},          /* none                 */
        {{0x02, 0x01}, 2}, /* falling              */
        {{0x18, 0x63}, 2}, /* beyond the body      */
        {{0x20}, 1},       /* negative             */
        {{0x81, 0x01}, 2}, /* an array             */
        {{0x41, 0x01}, 2}, /* bytes                */
        {{0x18}, 1},       /* cut off              */
        {{0x1b, 255, 255, 255, 255, 255, 255, 255, 255}, 9},
        {{0x01, 0xff}, 2}, /* a stray break        */
        {{0x5f, 0x41}, 2}, /* endless, and cut off */
    };
    struct world *w = *state;
    struct tap *t;
    struct party *p;
    int before;

    speak(w->client);
    copal_free(w->server);
    w->server = NULL;
    t = tap_client(w);
    p = ask_path(w, COPAL_PUT, 3 * BLOCK, COPAL_NON);
    copal_sim_run(w->sim, 0);
    play(w, t, "ACK 4.04", 0, (copal_bytes){0});
    before = t->count;
    for (size_t i = 0; i < sizeof(lists) / sizeof(lists[0]); i++) {
        answer_list(w, t, (unsigned)(1000 + i), lists[i].bytes, lists[i].len);
        assert_int_equal(t->count, before);
    }
    /* One that keeps them, with a duplicate. */
    answer_list(w, t, 2000, "\x00\x01\x01", 3);
    assert_int_equal(t->count, before + 2);
    play(w, t, "NON 2.04", 2001, (copal_bytes){0});
    assert_int_equal(p->code, COPAL_CHANGED);
    assert_int_equal(p->status, 0);
}

static void who_asks_for_ever_is_not_served_for_ever(void **state)
{
    struct world *w = *state;
    struct tap *t;
    int before;

    speak(w->client);
    copal_free(w->server);
    w->server = NULL;
    t = tap_client(w);
    ask_path(w, COPAL_PUT, 3 * BLOCK, COPAL_NON);
    copal_sim_run(w->sim, 0);
    play(w, t, "ACK 4.04", 0, (copal_bytes){0});
    before = t->count;
    for (unsigned i = 0; i < 100; i++)
        answer_list(w, t, 1000 + i, "\x00\x01", 2);
    assert_int_equal(t->count, before + 3 * 5);
}

/* It is no word about blocks, where none were sent. */
static void a_request_without_a_body_is_answered_by_continue(void **state)
{
    struct world *w = *state;
    struct tap *t;
    struct party *p;

    speak(w->client);
    copal_free(w->server);
    w->server = NULL;
    t = tap_client(w);
    p = ask_path(w, COPAL_GET, 0, COPAL_NON);
    copal_sim_run(w->sim, 0);
    play(w, t, "ACK 4.04", 0, (copal_bytes){0});
    play(w, t, "NON 2.31", 1, (copal_bytes){0});
    assert_int_equal(p->code, COPAL_CONTINUE);
    assert_int_equal(p->ends, 1);
    assert_int_equal(p->status, 0);
}

struct bad {
    const char *text;
    size_t len;
    const char *answer;
};

static void requests_that_break_the_rules(void **state)
{
    static const struct bad rows[] = {
        {"CON PUT " PATH " q1:0/1/64 size1=1000", 64, "4.00"},
        {"CON PUT " PATH " q1:0/1/64 tag=01", 64, "4.00"},
        {"CON PUT " PATH " q1:0/1/64 tag=02 size1=1000", 63, "4.00"},
        {"CON PUT " PATH " q1:0/0/64 tag=03 size1=1000", 64, "4.00"},
        {"CON PUT " PATH " q1:99/1/64 tag=04 size1=1000", 64, "4.00"},
        {"CON PUT " PATH " q1:0/1/64 tag=05 size1=2000000", 64, "4.13"},
        {"CON PUT " PATH " q1:0/1/64 1:0/1/64 tag=06 size1=99", 64, "4.02"},
        {"CON GET " PATH " q2:0/1/64 2:0/0/64", 0, "4.02"},
        {"CON GET " PATH " q2:2/0/64 q2:1/0/64", 0, "4.00"},
        {"CON GET " PATH " q2:1/0/64 q2:1/0/64", 0, "4.00"},
        {"CON GET " PATH " q2:1/0/64 q2:2/0/32", 0, "4.00"},
        {"CON POST " PATH " q2:1/0/64", 0, "4.08"},
    };
    struct world *w = *state;
    struct party *served;
    char line[32];

    both_speak(w);
    served = serve_path(w, 0, 3);
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        copal_sim_keep(w->sim, 0);
        copal_sim_keep(w->sim, 4096);
        stranger_sends(w, "192.0.2.1", rows[i].text, (uint16_t)(i + 1), 1,
                       body_of(rows[i].len, 1));
        snprintf(line, sizeof(line), "ACK %s", rows[i].answer);
        if (count_in_transcript(w, line) != 1)
            fail_msg("%s: %s", rows[i].text, copal_sim_transcript(w->sim));
    }
    assert_int_equal(served->requests, 0);
}

static void a_block_that_is_asked_for_twice_goes_once(void **state)
{
    struct world *w = *state;

    both_speak(w);
    serve_path(w, COPAL_GET, MANY);
    stranger_sends(w, "192.0.2.1", "NON GET " PATH " q2:0/0/64", 1, 1,
                   (copal_bytes){0});
    copal_sim_keep(w->sim, 0);
    copal_sim_keep(w->sim, 4096);
    stranger_sends(w, "192.0.2.1", "NON GET " PATH " q2:3/1/64 q2:5/0/64", 2, 2,
                   (copal_bytes){0});
    assert_int_equal(count_in_transcript(w, "2.05"), 7);
    assert_int_equal(count_in_transcript(w, "q2:5/1/64 etag"), 1);
}

/* ---- What strangers make us keep ---- */

static void half_open_bodies_of_one_peer_are_few(void **state)
{
    struct world *w = *state;
    char text[80];

    both_speak(w);
    serve_path(w, COPAL_PUT, 3);
    for (unsigned i = 0; i < 20; i++) {
        snprintf(text, sizeof(text),
                 "NON PUT " PATH " q1:0/1/64 tag=%02x size1=1000000", i);
        stranger_sends(w, "192.0.2.1", text, (uint16_t)(i + 1), (uint8_t)i,
                       body_of(64, 1));
    }
    assert_int_equal(limited(w->server), 16);
    assert_int_equal(count_in_transcript(w, "5.03"), 16);
}

/* Each began while the others had little. */
static void half_open_bodies_of_one_peer_are_no_longer_than_one(void **state)
{
    struct world *w = *state;
    copal_stats before = {.size = sizeof(before)}, now = before;
    char text[80];
    uint16_t mid = 0;

    both_speak(w);
    copal_tune(w->server, NULL, COPAL_P_MAX_BODY, 60000);
    serve_path(w, COPAL_PUT, 3);
    copal_sim_run(w->sim, 1000);
    copal_get_stats(w->server, &before);
    for (unsigned num = 0; num < 48; num++)
        for (unsigned tag = 0; tag < 4; tag++) {
            snprintf(text, sizeof(text),
                     "NON PUT " PATH " q1:%u/1/1024 tag=%02x size1=50000", num,
                     tag);
            stranger_sends(w, "192.0.2.1", text, ++mid, (uint8_t)tag,
                           body_of(1024, 1));
        }
    copal_get_stats(w->server, &now);
    assert_true(now.limited > 0);
    assert_true(now.memory - before.memory < 120000);
}

static void half_open_bodies_of_many_stay_in_body_memory(void **state)
{
    struct world *w = *state;
    copal_stats before = {.size = sizeof(before)}, now = before;
    char from[20];

    both_speak(w);
    copal_tune(w->server, NULL, COPAL_P_BODY_MEMORY, 100000);
    serve_path(w, COPAL_PUT, 3);
    copal_sim_run(w->sim, 1000);
    copal_get_stats(w->server, &before);
    for (unsigned i = 0; i < 200; i++) {
        snprintf(from, sizeof(from), "192.0.2.%u", i + 1);
        stranger_sends(w, from,
                       "NON PUT " PATH " q1:30/1/64 tag=01 size1=1000000", 1, 1,
                       body_of(64, 1));
    }
    copal_get_stats(w->server, &now);
    assert_true(now.limited > 0);
    assert_true(now.memory - before.memory < 400000);
    /* Nobody goes on: 4 + 8 + 16 + 32 + 64 s, then they are gone. */
    copal_sim_run(w->sim, 400000);
    for (uint16_t mid = 1; mid <= 150; mid++) /* dedup forgets some a message */
        stranger_sends(w, "192.0.2.250", "NON GET " PATH, mid, 1,
                       (copal_bytes){0});
    copal_sim_run(w->sim, 400000);
    copal_get_stats(w->server, &now);
    assert_true(now.memory < before.memory + 40000); /* tables have grown */
}

/* Whether confirmable or not, and with blocks too far ahead to be kept. */
static void forged_half_bodies_lock_nobody_out(void **state)
{
    static const char *const rows[] = {
        "CON PUT " PATH " q1:30/1/64 tag=01 size1=1000000",
        "NON PUT " PATH " q1:30/1/64 tag=02 size1=1000000",
        "CON PUT " PATH " q1:60/1/64 tag=03 size1=1000000"};
    struct world *w = *state;
    struct party *served, *streamed, *p;
    char from[20];

    copal_tune(w->server, NULL, COPAL_P_Q_BLOCK, 1);
    copal_tune(w->server, NULL, COPAL_P_GUARD_LOOPBACK, 1);
    copal_tune(w->server, NULL, COPAL_P_BODY_MEMORY, 50000);
    served = serve_path(w, COPAL_PUT, 3);
    streamed = serve_body(w, COPAL_GET, "/stream", 0, 3000);
    streamed->flags = COPAL_STREAM_OUT;
    for (unsigned i = 0; i < 600; i++) {
        snprintf(from, sizeof(from), "192.0.%u.%u", 2 + i % 3, 1 + i / 3);
        stranger_sends(w, from, rows[i % 3], 1, 1, body_of(64, 1));
    }
    p = ask_body(w, COPAL_PUT, PATH, 5000);
    copal_sim_run(w->sim, 1000);
    assert_int_equal(p->status, 0);
    assert_body(served, 5000, 1);
    for (unsigned i = 0; i < 600; i++) {
        snprintf(from, sizeof(from), "192.1.%u.%u", 2 + i % 3, 1 + i / 3);
        stranger_sends(w, from, rows[i % 3], 1, 1, body_of(64, 1));
    }
    p = ask_body(w, COPAL_GET, "coap://server/stream", 0);
    copal_sim_run(w->sim, 1000);
    assert_body(p, 3000, 1);
}

/* One that gives way takes the body along of which it was the newest block: there
 * would be nobody to be told what is missing. */
static void a_half_open_body_gives_way_with_its_newest_block(void **state)
{
    struct world *w = *state;
    char from[20];

    both_speak(w);
    copal_tune(w->server, NULL, COPAL_P_GUARD_LOOPBACK, 1);
    copal_tune(w->server, NULL, COPAL_P_MAX_EXCHANGES, 8);
    serve_path(w, COPAL_PUT, 3);
    for (unsigned i = 0; i < 20; i++) {
        snprintf(from, sizeof(from), "192.0.2.%u", i + 1);
        stranger_sends(w, from, "NON PUT " PATH " q1:0/1/64 tag=01 size1=2000",
                       1, 1, body_of(64, 1));
    }
    assert_true(limited(w->server) > 0);
    copal_sim_run(w->sim, 300000);
    assert_int_equal(count_in_transcript(w, "server > 192.0.2.1 "), 1);
    assert_int_equal(count_in_transcript(w, "NON 5.03"), 12);
    assert_int_equal(count_in_transcript(w, "NON 4.08"), 8);
}

/* RFC 9177 11: what is asked for again and again hits who is not there. */
static void a_stranger_is_told_once_a_request_and_with_an_echo(void **state)
{
    struct world *w = *state;

    both_speak(w);
    copal_tune(w->server, NULL, COPAL_P_GUARD_LOOPBACK, 1);
    serve_path(w, COPAL_PUT, 3);
    stranger_sends(w, "192.0.2.1",
                   "NON PUT " PATH " q1:0/1/64 tag=01 size1=2000", 1, 1,
                   body_of(64, 1));
    stranger_sends(w, "192.0.2.1",
                   "NON PUT " PATH " q1:9/1/64 tag=01 size1=2000", 2, 2,
                   body_of(64, 1));
    copal_sim_run(w->sim, 300000);
    assert_int_equal(count_in_transcript(w, "192.0.2.1 > server"), 2);
    assert_int_equal(count_in_transcript(w, "server > 192.0.2.1"), 1);
    assert_int_equal(count_in_transcript(w, "4.08 0001 echo missing 1,2,3,"),
                     1);
}

static void who_sends_that_echo_back_is_told_until_it_hears(void **state)
{
    struct world *w = *state;
    struct party *p;

    both_speak(w);
    copal_tune(w->server, NULL, COPAL_P_GUARD_LOOPBACK, 1);
    serve_path(w, COPAL_PUT, 3);
    p = ask_path(w, COPAL_PUT, MANY, COPAL_NON);
    copal_sim_run(w->sim, 100);
    assert_int_equal(count_in_transcript(w, "2.31 0001 q1:9/1/64 echo"), 1);
    assert_int_equal(count_in_transcript(w, "q1:10/1/64 (64 bytes)"), 0);
    copal_sim_run(w->sim, 60000);
    assert_int_equal(p->status, 0);
    assert_int_equal(p->code, COPAL_CONTENT);
}

static void a_reset_ends_a_half_open_body(void **state)
{
    struct world *w = *state;

    both_speak(w);
    serve_path(w, COPAL_PUT, 3);
    copal_sim_run(w->sim, 0);
    /* The client knows nothing of that token: RFC 9177 4.3. */
    stranger_sends(w, "client", "NON PUT " PATH " q1:0/1/64 tag=01 size1=200",
                   77, 1, body_of(64, 1));
    copal_sim_run(w->sim, 300000);
    assert_int_equal(count_in_transcript(w, "4.08"), 1);
    assert_int_equal(count_in_transcript(w, "RST"), 1);
}

static void a_late_block_of_a_complete_body_begins_no_other(void **state)
{
    struct world *w = *state;
    struct party *served;

    both_speak(w);
    served = serve_path(w, COPAL_PUT, 3);
    for (uint16_t mid = 1; mid <= 4; mid++)
        stranger_sends(w, "192.0.2.1",
                       mid % 2 == 1
                           ? "NON PUT " PATH " q1:0/1/64 tag=01 size1=128"
                           : "NON PUT " PATH " q1:1/0/64 tag=01 size1=128",
                       mid, (uint8_t)mid, body_of(64, 1));
    copal_sim_run(w->sim, 200000);
    assert_int_equal(served->requests, 1);
    assert_int_equal(count_in_transcript(w, "4.08"), 0);
}

static void a_body_that_is_too_long_is_not_taken(void **state)
{
    struct world *w = *state;
    struct party *p;

    both_speak(w);
    serve_path(w, COPAL_GET, MANY);
    copal_tune(w->client, NULL, COPAL_P_MAX_BODY, MANY - 1);
    p = ask_path(w, COPAL_GET, 0, 0);
    copal_sim_run(w->sim, 100000);
    assert_int_equal(p->status, COPAL_ELIMIT);
    assert_int_equal(p->responses, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(lists_that_break_the_rules_are_dropped,
                                        build_bodies, tear_down_bodies),
        cmocka_unit_test_setup_teardown(
            who_asks_for_ever_is_not_served_for_ever, build_bodies,
            tear_down_bodies),
        cmocka_unit_test_setup_teardown(
            a_request_without_a_body_is_answered_by_continue, build_bodies,
            tear_down_bodies),
        cmocka_unit_test_setup_teardown(requests_that_break_the_rules,
                                        build_bodies, tear_down_bodies),
        cmocka_unit_test_setup_teardown(
            a_block_that_is_asked_for_twice_goes_once, build_bodies,
            tear_down_bodies),
        cmocka_unit_test_setup_teardown(half_open_bodies_of_one_peer_are_few,
                                        build_bodies, tear_down_bodies),
        cmocka_unit_test_setup_teardown(
            half_open_bodies_of_one_peer_are_no_longer_than_one, build_bodies,
            tear_down_bodies),
        cmocka_unit_test_setup_teardown(
            half_open_bodies_of_many_stay_in_body_memory, build_bodies,
            tear_down_bodies),
        cmocka_unit_test_setup_teardown(forged_half_bodies_lock_nobody_out,
                                        build_bodies, tear_down_bodies),
        cmocka_unit_test_setup_teardown(
            a_half_open_body_gives_way_with_its_newest_block, build_bodies,
            tear_down_bodies),
        cmocka_unit_test_setup_teardown(
            a_stranger_is_told_once_a_request_and_with_an_echo, build_bodies,
            tear_down_bodies),
        cmocka_unit_test_setup_teardown(
            who_sends_that_echo_back_is_told_until_it_hears, build_bodies,
            tear_down_bodies),
        cmocka_unit_test_setup_teardown(a_reset_ends_a_half_open_body,
                                        build_bodies, tear_down_bodies),
        cmocka_unit_test_setup_teardown(
            a_late_block_of_a_complete_body_begins_no_other, build_bodies,
            tear_down_bodies),
        cmocka_unit_test_setup_teardown(a_body_that_is_too_long_is_not_taken,
                                        build_bodies, tear_down_bodies),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
