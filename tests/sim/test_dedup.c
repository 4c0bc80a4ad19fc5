/* Repeats: what came before is answered as before and acted upon once. RFC
 * 7252 4.5. */
#include "servers.h"

#define ASKER "192.0.2.1"
#define OTHER "192.0.2.2"

/* CON, mid 1234, token 0a0b, path "t", payload "x". */
#define POST_T "4202 1234 0a0b b174 ff78"
#define PUT_T  "4203 1234 0a0b b174 ff78"
#define GET_T  "4201 1234 0a0b b174"

static void assert_all_alike(const struct tap *t, size_t count)
{
    assert_int_equal(t->count, count);
    for (size_t i = 1; i < count; i++)
        assert_string_equal(t->sent[i], t->sent[0]);
}

static void repeat(struct world *w, const char *hex, int times)
{
    for (int i = 0; i < times; i++) {
        inject_hex(w, ASKER, "server", hex);
        copal_sim_run(w->sim, 1000);
    }
}

static void a_repeated_post_is_acted_upon_once_and_answered_alike(void **state)
{
    struct world *w = *state;
    struct record *served = serve_text(w, w->server, "/t", 0, "done");
    struct tap *t = tap(w->server);
    copal_stats stats = {.size = sizeof(stats)};

    repeat(w, POST_T, 12);
    assert_int_equal(served->requests, 1);
    assert_all_alike(t, 12);
    copal_get_stats(w->server, &stats);
    assert_int_equal(stats.duplicates, 11);
    assert_int_equal(
        count_in_transcript(w, "server > 192.0.2.1 ACK 2.05 0001 \"done\""),
        12);
}

static void a_repeated_put_is_acted_upon_once_and_answered_alike(void **state)
{
    struct world *w = *state;
    struct record *served = serve_text(w, w->server, "/t", 0, "done");
    struct tap *t = tap(w->server);

    repeat(w, PUT_T, 5);
    assert_int_equal(served->requests, 1);
    assert_all_alike(t, 5);
}

static void repeats_in_one_burst_are_one_too(void **state)
{
    struct world *w = *state;
    struct record *served = serve_text(w, w->server, "/t", 0, "done");

    for (int i = 0; i < 4; i++)
        inject_hex(w, ASKER, "server", POST_T);
    copal_sim_run(w->sim, 0);
    assert_int_equal(served->requests, 1);
}

static void a_long_answer_is_repeated_whole(void **state)
{
    struct world *w = *state;
    struct record *served;
    struct tap *t = tap(w->server);
    char text[700];

    memset(text, 'a', sizeof(text) - 1);
    text[sizeof(text) - 1] = '\0';
    served = serve_text(w, w->server, "/t", 0, text);
    repeat(w, POST_T, 3);
    assert_int_equal(served->requests, 1);
    assert_all_alike(t, 3);
}

static void repeated_errors_are_alike_too(void **state)
{
    struct world *w = *state;
    struct tap *t = tap(w->server);

    repeat(w, POST_T, 3);
    assert_all_alike(t, 3);
    assert_int_equal(count_in_transcript(w, "ACK 4.04 0001"), 3);
}

/* Before: nothing yet; during: the same empty ACK; after: likewise, and the
 * answer is not sent once more. */
static void repeats_around_a_separate_answer(void **state)
{
    struct world *w = *state;
    struct kept *k = serve_kept(w, "/t");

    inject_hex(w, "client", "server", POST_T);
    copal_sim_run(w->sim, 100);
    inject_hex(w, "client", "server", POST_T);
    copal_sim_run(w->sim, 900);
    inject_hex(w, "client", "server", POST_T);
    copal_sim_run(w->sim, 1000);
    copal_sim_lose(w->sim, "client", 1); /* its RST */
    assert_int_equal(reply_kept(k, 0, COPAL_CHANGED, "ok"), 0);
    copal_sim_run(w->sim, 500);
    inject_hex(w, "client", "server", POST_T);
    copal_sim_run(w->sim, 5000);
    inject_hex(w, "client", "server", POST_T);
    copal_sim_run(w->sim, 1000);
    assert_int_equal(k->record->requests, 1);
    assert_transcript(w, "   0 client > server CON POST 0001 /t \"x\"\n"
                         " 100 client > server CON POST 0001 /t \"x\"\n"
                         " 250 server > client ACK empty 0001\n"
                         "1000 client > server CON POST 0001 /t \"x\"\n"
                         "1000 server > client ACK empty 0001\n"
                         "2000 server > client CON 2.04 0001 \"ok\"\n"
                         "2000 client > server RST empty 0001 (lost)\n"
                         "2500 client > server CON POST 0001 /t \"x\"\n"
                         "2500 server > client ACK empty 0001\n"
                         "4000 server > client CON 2.04 0001 \"ok\"\n"
                         "4000 client > server RST empty 0001\n"
                         "7500 client > server CON POST 0001 /t \"x\"\n"
                         "7500 server > client ACK empty 0001\n");
}

static void the_same_id_from_another_source_is_another_message(void **state)
{
    struct world *w = *state;
    struct record *served = serve_text(w, w->server, "/t", 0, "done");

    inject_hex(w, ASKER, "server", POST_T);
    inject_hex(w, OTHER, "server", POST_T);
    copal_sim_run(w->sim, 0);
    assert_int_equal(served->requests, 2);
    copal_sim_move(w->sim, "client"); /* from another port likewise */
    inject_hex(w, "client", "server", POST_T);
    copal_sim_move(w->sim, "client");
    inject_hex(w, "client", "server", POST_T);
    copal_sim_run(w->sim, 0);
    assert_int_equal(served->requests, 4);
}

static void the_same_id_with_another_token_is_another_message(void **state)
{
    static const char *const tokens[] = {
        "4002 1234 b174",
        "4102 1234 00 b174",
        "4202 1234 0000 b174",
        "4102 1234 01 b174",
        "4202 1234 0100 b174",
        "4802 1234 0100000000000000 b174",
        "4702 1234 01000000000000 b174",
    };
    struct world *w = *state;
    struct record *served = serve_text(w, w->server, "/t", 0, "done");
    const int count = (int)(sizeof(tokens) / sizeof(tokens[0]));

    for (int round = 0; round < 2; round++)
        for (int i = 0; i < count; i++) {
            inject_hex(w, ASKER, "server", tokens[i]);
            copal_sim_run(w->sim, 0);
        }
    assert_int_equal(served->requests, count);
    assert_int_equal(count_in_transcript(w, "ACK 2.05"), 2 * (unsigned)count);
}

static void a_repeated_non_confirmable_is_ignored(void **state)
{
    struct world *w = *state;
    struct record *served = serve_text(w, w->server, "/t", 0, "done");

    repeat(w, "5202 1234 0a0b b174 ff78", 3);
    assert_int_equal(served->requests, 1);
    assert_int_equal(count_in_transcript(w, "server > "), 1);
}

static void an_id_is_new_again_after_exchange_lifetime(void **state)
{
    struct world *w = *state;
    struct record *served = serve_text(w, w->server, "/t", 0, "done");

    inject_hex(w, ASKER, "server", POST_T);
    copal_sim_run(w->sim, 231000); /* ACK_RANDOM 100: 2 * 15 + 2 * 100 + 2 s */
    inject_hex(w, ASKER, "server", POST_T);
    copal_sim_run(w->sim, 0);
    assert_int_equal(served->requests, 1);
    copal_sim_run(w->sim, 1000);
    inject_hex(w, ASKER, "server", POST_T);
    copal_sim_run(w->sim, 0);
    assert_int_equal(served->requests, 2);
}

static void an_id_of_a_non_confirmable_is_new_after_non_lifetime(void **state)
{
    struct world *w = *state;
    struct record *served = serve_text(w, w->server, "/t", 0, "done");

    inject_hex(w, ASKER, "server", "5002 1234 b174");
    copal_sim_run(w->sim, 129999); /* 2 * 15 + 100 s */
    inject_hex(w, ASKER, "server", "5002 1234 b174");
    copal_sim_run(w->sim, 0);
    assert_int_equal(served->requests, 1);
    copal_sim_run(w->sim, 1);
    inject_hex(w, ASKER, "server", "5002 1234 b174");
    copal_sim_run(w->sim, 0);
    assert_int_equal(served->requests, 2);
}

/* ---- DEDUP_MEMORY ---- */

static void send_many(struct world *w, const char *method, int count)
{
    char hex[64];

    for (int i = 0; i < count; i++) {
        snprintf(hex, sizeof(hex), "40%s %04x b174", method, i);
        inject_hex(w, OTHER, "server", hex);
        copal_sim_run(w->sim, 0);
    }
}

static void gets_give_way_before_puts_and_both_before_posts(void **state)
{
    struct world *w = *state;
    struct record *served;

    copal_tune(w->server, NULL, COPAL_P_DEDUP_MEMORY, 4096);
    served = serve_text(w, w->server, "/t", 0, "done");
    inject_hex(w, ASKER, "server", "4002 0001 b174");
    inject_hex(w, ASKER, "server", "4003 0002 b174");
    inject_hex(w, ASKER, "server", "4001 0003 b174");
    copal_sim_run(w->sim, 0);
    send_many(w, "01", 100); /* GETs push out GETs alone */
    served->requests = 0;
    inject_hex(w, ASKER, "server", "4002 0001 b174");
    inject_hex(w, ASKER, "server", "4003 0002 b174");
    copal_sim_run(w->sim, 0);
    assert_int_equal(served->requests, 0);
    inject_hex(w, ASKER, "server", "4001 0003 b174");
    copal_sim_run(w->sim, 0);
    assert_int_equal(served->requests, 1);
    send_many(w, "03", 100);
    served->requests = 0;
    inject_hex(w, ASKER, "server", "4002 0001 b174");
    copal_sim_run(w->sim, 0);
    assert_int_equal(served->requests, 0);
    inject_hex(w, ASKER, "server", "4003 0002 b174");
    copal_sim_run(w->sim, 0);
    assert_int_equal(served->requests, 1);
}

static void when_nothing_may_give_way_a_post_gets_5_03(void **state)
{
    struct world *w = *state;
    struct record *served;
    copal_stats stats = {.size = sizeof(stats)};
    int room;

    copal_tune(w->server, NULL, COPAL_P_DEDUP_MEMORY, 4096);
    served = serve_text(w, w->server, "/t", 0, "done");
    send_many(w, "02", 100);
    room = served->requests;
    assert_in_range(room, 8, 60);
    assert_int_equal(count_in_transcript(w, "ACK 5.03"), 100 - (unsigned)room);
    copal_get_stats(w->server, &stats);
    assert_true(stats.limited >= (uint64_t)(100 - room));
    inject_hex(w, OTHER, "server", "4002 0000 b174"); /* the first, again */
    copal_sim_run(w->sim, 0);
    assert_int_equal(served->requests, room);
    inject_hex(w, ASKER, "server", "4001 0001 b174"); /* harmless: served */
    copal_sim_run(w->sim, 0);
    assert_int_equal(served->requests, room + 1);
    copal_sim_run(w->sim, 240000); /* time makes room */
    inject_hex(w, ASKER, "server", "4002 0009 b174");
    copal_sim_run(w->sim, 0);
    assert_int_equal(served->requests, room + 2);
}

static void a_get_whose_answer_finds_no_room_is_answered_anew(void **state)
{
    struct world *w = *state;
    struct record *served;
    char text[900];

    copal_tune(w->server, NULL, COPAL_P_DEDUP_MEMORY, 600);
    memset(text, 'a', sizeof(text) - 1);
    text[sizeof(text) - 1] = '\0';
    served = serve_text(w, w->server, "/t", 0, text);
    repeat(w, GET_T, 3);
    assert_int_equal(count_in_transcript(w, "ACK 2.05"), 3);
    assert_int_equal(served->requests, 3);
    served->requests = 0;
    repeat(w, "4002 1235 b174", 3); /* a POST is not: silence */
    assert_int_equal(served->requests, 1);
    assert_int_equal(count_in_transcript(w, "ACK 2.05"), 4);
}

static void a_late_answer_to_the_oldest_pushes_out_younger_ones(void **state)
{
    struct world *w = *state;
    struct kept *k;
    char text[700];

    copal_tune(w->server, NULL, COPAL_P_DEDUP_MEMORY, 1000);
    memset(text, 'a', sizeof(text) - 1);
    text[sizeof(text) - 1] = '\0';
    k = serve_kept(w, "/k");
    serve_text(w, w->server, "/t", 0, "x");
    inject_hex(w, ASKER, "server", "4001 1234 b16b");
    copal_sim_run(w->sim, 0);
    send_many(w, "01", 6);
    assert_int_equal(reply_kept(k, 0, COPAL_CONTENT, text), 0);
    inject_hex(w, ASKER, "server", "4001 1234 b16b");
    copal_sim_run(w->sim, 0);
    assert_int_equal(k->record->requests, 1);
    assert_int_equal(count_in_transcript(w, "\"aaaa"), 2);
}

static void without_memory_for_repeats_gets_are_served(void **state)
{
    struct world *w = *state;
    struct record *served;

    copal_tune(w->server, NULL, COPAL_P_DEDUP_MEMORY, 0);
    served = serve_text(w, w->server, "/t", 0, "x");
    repeat(w, GET_T, 3);
    assert_int_equal(served->requests, 3);
    repeat(w, POST_T, 1);
    assert_int_equal(served->requests, 3);
    assert_int_equal(count_in_transcript(w, "ACK 5.03"), 1);
}

static void memory_stays_flat_under_a_flood_of_ids(void **state)
{
    struct world *w = *state;
    copal_stats before = {.size = sizeof(before)}, after = before;
    char from[32], hex[64];

    copal_sim_keep(w->sim, 0);
    copal_tune(w->server, NULL, COPAL_P_DEDUP_MEMORY, 65536);
    serve_text(w, w->server, "/t", 0, "x");
    for (int i = 0; i < 20000; i++) {
        if (i == 4000)
            copal_get_stats(w->server, &before);
        snprintf(from, sizeof(from), "192.0.2.%d", i % 200 + 1);
        snprintf(hex, sizeof(hex), "40%02x %04x b174", i % 3 + 1, i);
        inject_hex(w, from, "server", hex);
        copal_sim_run(w->sim, 0);
    }
    copal_get_stats(w->server, &after);
    assert_true(after.memory <= before.memory + 4096);
}

/* One source may have half the store, as long as nobody else needs it: the
 * others' POSTs are served all the same. */
static void one_source_does_not_fill_the_store_for_others(void **state)
{
    struct world *w = *state;
    struct record *served;
    char from[32], hex[64];
    int flooded;

    copal_sim_keep(w->sim, 0);
    copal_tune(w->server, NULL, COPAL_P_DEDUP_MEMORY, 1 << 20);
    served = serve_text(w, w->server, "/t", 0, "x");
    send_many(w, "02", 20000);
    flooded = served->requests;
    /* A record is a line of 64 bytes, and what it takes of a table. */
    assert_in_range(flooded, (1 << 19) / 96, (1 << 19) / 64);
    for (int i = 0; i < 100; i++) {
        snprintf(from, sizeof(from), "198.51.100.%d", i + 1);
        snprintf(hex, sizeof(hex), "4002 %04x b174", i);
        inject_hex(w, from, "server", hex);
        copal_sim_run(w->sim, 0);
    }
    /* Of 256 one has the same share, and of 100 others hardly three. */
    assert_in_range(served->requests, flooded + 97, flooded + 100);
}

/* Its own GETs push out each other, nobody else's: the store stays small. */
static void repeatable_answers_to_one_source_keep_to_its_share(void **state)
{
    struct world *w = *state;
    copal_stats stats = {.size = sizeof(stats)};
    struct record *served;
    uint64_t before;
    char text[900];

    copal_sim_keep(w->sim, 0);
    memset(text, 'a', sizeof(text) - 1);
    text[sizeof(text) - 1] = '\0';
    served = serve_text(w, w->server, "/t", 0, text);
    inject_hex(w, ASKER, "server", "4001 0001 b174");
    copal_sim_run(w->sim, 0);
    copal_get_stats(w->server, &stats);
    before = stats.memory;
    send_many(w, "01", 20000);
    copal_get_stats(w->server, &stats);
    assert_true(stats.memory - before < (8 << 20) / 16 + 65536);
    served->requests = 0;
    inject_hex(w, ASKER, "server", "4001 0001 b174"); /* still kept */
    copal_sim_run(w->sim, 0);
    assert_int_equal(served->requests, 0);
}

/* ---- Responses ---- */

static void a_repeated_separate_response_is_acknowledged_and_told_once(
    void **state)
{
    struct world *w = *state;
    struct tap *t = tap(w->client);
    struct record *r = get(w, "coap://" ASKER "/t");
    char token[40];

    copal_sim_run(w->sim, 0);
    snprintf(token, sizeof(token), "%s", t->token);
    inject_made(w, ASKER, "6000 %04x", t->mid);
    for (int i = 0; i < 3; i++)
        inject_made(w, ASKER, "4845 7777 %s ff78", token);
    copal_sim_run(w->sim, 1000);
    assert_ended(r, 0);
    assert_int_equal(r->responses, 1);
    assert_int_equal(count_in_transcript(w, "client > " ASKER " ACK empty"), 3);
}

static void a_repeated_unmatched_response_is_reset_each_time(void **state)
{
    struct world *w = *state;

    for (int i = 0; i < 3; i++)
        inject_hex(w, ASKER, "client", "4445 7777 01020304 ff78");
    copal_sim_run(w->sim, 1000);
    assert_int_equal(count_in_transcript(w, "RST empty 0001"), 3);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, build, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_repeated_post_is_acted_upon_once_and_answered_alike),
        TEST(a_repeated_put_is_acted_upon_once_and_answered_alike),
        TEST(repeats_in_one_burst_are_one_too),
        TEST(a_long_answer_is_repeated_whole),
        TEST(repeated_errors_are_alike_too),
        TEST(repeats_around_a_separate_answer),
        TEST(the_same_id_from_another_source_is_another_message),
        TEST(the_same_id_with_another_token_is_another_message),
        TEST(a_repeated_non_confirmable_is_ignored),
        TEST(an_id_is_new_again_after_exchange_lifetime),
        TEST(an_id_of_a_non_confirmable_is_new_after_non_lifetime),
        TEST(gets_give_way_before_puts_and_both_before_posts),
        TEST(when_nothing_may_give_way_a_post_gets_5_03),
        TEST(a_get_whose_answer_finds_no_room_is_answered_anew),
        TEST(a_late_answer_to_the_oldest_pushes_out_younger_ones),
        TEST(without_memory_for_repeats_gets_are_served),
        TEST(memory_stays_flat_under_a_flood_of_ids),
        TEST(one_source_does_not_fill_the_store_for_others),
        TEST(repeatable_answers_to_one_source_keep_to_its_share),
        TEST(a_repeated_separate_response_is_acknowledged_and_told_once),
        TEST(a_repeated_unmatched_response_is_reset_each_time),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
