/* What a client does with an Echo: RFC 9175 2.3. The server is played by hand,
 * or a handler that asks for one. */
#include "bodies.h"

#define A40 \
    "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef01234567" \
    "89abcdef"

static bool sent(const struct tap *t, const char *text)
{
    return strstr(t->line, text) != NULL;
}

static const copal_bytes nothing;

/* Nobody but the test answers. */
static int build_alone(void **state)
{
    struct world *w;
    int err = build_bodies(state);

    w = *state;
    copal_free(w->server);
    w->server = NULL;
    return err;
}

static void a_4_01_with_an_echo_is_answered_by_itself(void **state)
{
    struct world *w = *state;
    struct tap *t = tap_client(w);
    struct party *p = ask_body(w, COPAL_GET, "coap://server/t", 0);
    char token[17];

    run(w, 0);
    assert_false(sent(t, "Echo"));
    memcpy(token, t->token, 8);
    play(w, t, "ACK 4.01 echo=0a0b", 0, nothing);
    assert_int_equal(t->count, 2);
    assert_true(sent(t, "[\"Echo\",\"0a0b\"]") && sent(t, "\"CON\""));
    assert_memory_not_equal(token, t->token, 8);
    play(w, t, "ACK 2.05", 0, body_of(5, 1));
    assert_log(p, "2.05 5 bytes\nend OK\n");
}

static void all_of_it_is_sent_again(void **state)
{
    struct world *w = *state;
    struct tap *t = tap_client(w);
    copal_msg *m = message_of(w->client, "PUT coap://server/a/b?c ct=42");
    struct party *p;

    copal_msg_set_payload(m, COPAL_OCTETS,
                          (copal_bytes){(const uint8_t *)"xyz", 3});
    copal_msg_set_flags(m, COPAL_NON);
    p = send_request(w, m);
    run(w, 0);
    play(w, t, "NON 4.01 echo=" A40, 1, nothing);
    assert_true(sent(t, "[\"Echo\",\"" A40 "\"]") && sent(t, "\"NON\""));
    assert_true(sent(t, "\"payload\":\"xyz\"") && sent(t, "\"Uri-Query\""));
    play(w, t, "NON 2.04", 2, nothing);
    assert_log(p, "2.04 0 bytes\nend OK\n");
}

static void a_second_one_is_told(void **state)
{
    struct world *w = *state;
    struct tap *t = tap_client(w);
    struct party *p = ask_body(w, COPAL_GET, "coap://server/t", 0);

    run(w, 0);
    play(w, t, "ACK 4.01 echo=0a", 0, nothing);
    play(w, t, "ACK 4.01 echo=0b", 0, nothing);
    assert_int_equal(t->count, 2);
    assert_log(p, "4.01 0 bytes\nend OK\n");
}

static void without_an_echo_it_is_told_at_once(void **state)
{
    struct world *w = *state;
    struct tap *t = tap_client(w);
    struct party *p = ask_body(w, COPAL_GET, "coap://server/t", 0), *q;

    run(w, 0);
    play(w, t, "ACK 4.01", 0, nothing);
    assert_log(p, "4.01 0 bytes\nend OK\n");
    q = ask_body(w, COPAL_GET, "coap://server/t", 0);
    run(w, 0); /* 41 bytes are none: RFC 9175 2.2.1 */
    play(w, t, "ACK 4.01 echo=00" A40, 0, nothing);
    assert_log(q, "4.01 0 bytes\nend OK\n");
    assert_int_equal(t->count, 2);
}

static void who_sets_an_echo_sees_what_comes_of_it(void **state)
{
    struct world *w = *state;
    struct tap *t = tap_client(w);
    struct party *p, *q;

    p = send_request(w, message_of(w->client, "GET coap://server/t echo=77"));
    run(w, 0);
    play(w, t, "ACK 4.01 echo=0a", 0, nothing);
    assert_int_equal(t->count, 1);
    assert_log(p, "4.01 0 bytes\nend OK\n");
    assert_true(copal_msg_uint(p->msg, COPAL_OPT_ECHO) == 10);
    q = ask_body(w, COPAL_GET, "coap://server/t", 0);
    run(w, 0);
    assert_false(sent(t, "Echo"));
    play(w, t, "ACK 2.05", 0, nothing);
    assert_int_equal(q->status, 0);
}

static void a_block_of_an_upload_is_sent_again(void **state)
{
    struct world *w = *state;
    struct tap *t = tap_client(w);
    struct party *p = ask_body(w, COPAL_PUT, "coap://server/t", 2500);

    run(w, 0);
    play(w, t, "ACK 2.31 1:0/1/1024", 0, nothing);
    assert_true(sent(t, "\"1/1/1024\""));
    play(w, t, "ACK 4.01 echo=0a", 0, nothing);
    assert_true(sent(t, "\"1/1/1024\"") && sent(t, "[\"Echo\",\"0a\"]"));
    assert_true(sent(t, "\"len\":10"));
    play(w, t, "ACK 2.31 1:1/1/1024", 0, nothing);
    assert_true(sent(t, "\"2/0/1024\"") && !sent(t, "Echo"));
    play(w, t, "ACK 4.01 echo=0b", 0, nothing); /* each of them may be asked */
    assert_true(sent(t, "\"2/0/1024\"") && sent(t, "[\"Echo\",\"0b\"]"));
    play(w, t, "ACK 2.04 1:2/0/1024", 0, nothing);
    assert_log(p, "2.04 0 bytes\nend OK\n");
    assert_int_equal(t->count, 5);
}

static void a_request_for_a_block_is_sent_again(void **state)
{
    struct world *w = *state;
    struct tap *t = tap_client(w);
    struct party *p = ask_body(w, COPAL_GET, "coap://server/t", 0);
    copal_bytes body = body_of(1500, 1);

    run(w, 0);
    play(w, t, "ACK 2.05 2:0/1/1024", 0, (copal_bytes){body.data, 1024});
    play(w, t, "ACK 4.01 echo=0a", 0, nothing);
    assert_true(sent(t, "\"1/0/1024\"") && sent(t, "[\"Echo\",\"0a\"]"));
    play(w, t, "ACK 2.05 2:1/0/1024", 0, (copal_bytes){body.data + 1024, 476});
    assert_body(p, 1500, 1);
    assert_log(p, "2.05 1500 bytes\nend OK\n");
}

static void a_registration_keeps_its_token(void **state)
{
    struct world *w = *state;
    struct tap *t = tap_client(w);
    struct party *p = observe_body(w, "coap://server/t");
    uint8_t token[8];

    run(w, 0);
    memcpy(token, t->token, 8);
    play(w, t, "ACK 4.01 echo=0a", 0, nothing);
    assert_memory_equal(token, t->token, 8);
    assert_true(sent(t, "Observe") && sent(t, "Echo"));
    play(w, t, "ACK 2.05 obs=5", 0, body_of(5, 1));
    play(w, t, "NON 2.05 obs=6", 77, body_of(6, 1));
    assert_log(p, "2.05 5 bytes\n2.05 6 bytes\n");
    play(w, t, "NON 4.01 echo=0b", 78, nothing); /* it wants to be sure */
    assert_memory_equal(token, t->token, 8);
    assert_true(sent(t, "Observe") && sent(t, "[\"Echo\",\"0b\"]"));
    play(w, t, "ACK 2.05 obs=2", 0, body_of(7, 1));
    assert_log(p, "2.05 5 bytes\n2.05 6 bytes\n2.05 7 bytes\n");
    play(w, t, "NON 2.05 obs=3", 79, body_of(8, 1));
    assert_int_equal(p->responses, 4);
}

static void a_body_beside_an_observation_goes_on(void **state)
{
    struct world *w = *state;
    struct tap *t = tap_client(w);
    struct party *p = observe_body(w, "coap://server/t");
    copal_bytes body = body_of(1500, 1);

    run(w, 0);
    play(w, t, "ACK 2.05 obs=5 2:0/1/1024", 0, (copal_bytes){body.data, 1024});
    play(w, t, "ACK 4.01 echo=0a", 0, nothing);
    assert_true(sent(t, "\"1/0/1024\"") && sent(t, "Echo"));
    assert_false(sent(t, "Observe"));
    play(w, t, "ACK 2.05 2:1/0/1024", 0, (copal_bytes){body.data + 1024, 476});
    assert_log(p, "2.05 1500 bytes\n");
}

static void the_farewell_to_an_observation_is_sent_again(void **state)
{
    struct world *w = *state;
    struct tap *t = tap_client(w);
    struct party *p = observe_body(w, "coap://server/t");

    run(w, 0);
    play(w, t, "ACK 2.05 obs=5", 0, body_of(5, 1));
    copal_cancel(p->x);
    run(w, 0);
    play(w, t, "ACK 4.01 echo=0a", 0, nothing);
    assert_true(sent(t, "[\"Observe\",\"1\"]") && sent(t, "Echo"));
    play(w, t, "ACK 2.05", 0, nothing);
    assert_int_equal(t->count, 3);
}

/* ---- Values for the next request ---- */

static void the_next_request_brings_it(void **state)
{
    struct world *w = *state;
    struct tap *t = tap_client(w);

    ask_body(w, COPAL_GET, "coap://server/t", 0);
    run(w, 0);
    play(w, t, "ACK 2.05 echo=0a", 0, nothing);
    ask_body(w, COPAL_GET, "coap://server/u", 0);
    run(w, 0);
    assert_true(sent(t, "[\"Echo\",\"0a\"]"));
    play(w, t, "ACK 4.04", 0, nothing);
    ask_body(w, COPAL_GET, "coap://server/t", 0); /* and no other */
    run(w, 0);
    assert_false(sent(t, "Echo"));
    play(w, t, "ACK 4.04 echo=0b", 0, nothing);
    ask_body(w, COPAL_GET, "coap://server/t", 0);
    run(w, 0);
    assert_true(sent(t, "[\"Echo\",\"0b\"]"));
    play(w, t, "ACK 2.05", 0, nothing);
}

static void it_goes_to_no_other_server(void **state)
{
    struct world *w = *state;
    struct tap *t = tap_client(w);

    add_host(w, "other");
    ask_body(w, COPAL_GET, "coap://server/t", 0);
    run(w, 0);
    play(w, t, "ACK 2.05 echo=0a", 0, nothing);
    ask_body(w, COPAL_GET, "coap://other/t", 0);
    ask_body(w, COPAL_GET, "coap://server:5684/t", 0);
    run(w, 0);
    assert_int_equal(count_in_transcript(w, "/t echo"), 0);
    ask_body(w, COPAL_GET, "coap://server/t", 0);
    run(w, 0);
    assert_int_equal(count_in_transcript(w, "/t echo"), 1);
}

static void it_is_kept_for_a_minute(void **state)
{
    struct world *w = *state;
    struct tap *t = tap_client(w);

    ask_body(w, COPAL_GET, "coap://server/t", 0);
    run(w, 0);
    play(w, t, "ACK 2.05 echo=0a", 0, nothing);
    run(w, 60000);
    ask_body(w, COPAL_GET, "coap://server/t", 0);
    run(w, 0);
    assert_false(sent(t, "Echo"));
    play(w, t, "ACK 2.05", 0, nothing);
}

static void an_old_one_is_replaced_by_the_answer(void **state)
{
    struct world *w = *state;
    struct tap *t = tap_client(w);
    struct party *p;

    ask_body(w, COPAL_GET, "coap://server/t", 0);
    run(w, 0);
    play(w, t, "ACK 2.05 echo=0a", 0, nothing);
    p = ask_body(w, COPAL_GET, "coap://server/t", 0);
    run(w, 0);
    play(w, t, "ACK 4.01 echo=0b", 0, nothing);
    assert_true(sent(t, "[\"Echo\",\"0b\"]") && !sent(t, "0a"));
    play(w, t, "ACK 2.05", 0, nothing);
    assert_log(p, "2.05 0 bytes\nend OK\n");
}

/* ---- Bodies that begin small ---- */

static void a_small_first_block_is_asked_for_again(void **state)
{
    struct world *w = *state;
    struct tap *t = tap_client(w);
    struct party *p = ask_body(w, COPAL_GET, "coap://server/t", 0);

    run(w, 0);
    play(w, t, "ACK 2.05 2:0/1/64 echo=0a", 0, body_of(64, 1));
    assert_true(sent(t, "[\"Echo\",\"0a\"]") && !sent(t, "Block2"));
    play(w, t, "ACK 2.05 2:0/1/64 echo=0b", 0, body_of(64, 1));
    assert_true(sent(t, "\"1/0/64\"") && sent(t, "[\"Echo\",\"0b\"]"));
    play(w, t, "ACK 2.05 2:1/0/64", 0,
         (copal_bytes){body_of(100, 1).data + 64, 36});
    assert_body(p, 100, 1);
}

static void not_what_would_act_again(void **state)
{
    struct world *w = *state;
    struct tap *t = tap_client(w);
    struct party *p = ask_body(w, COPAL_POST, "coap://server/t", 3);

    run(w, 0);
    play(w, t, "ACK 2.04 2:0/1/64 echo=0a", 0, body_of(64, 1));
    assert_true(sent(t, "\"1/0/64\"") && sent(t, "[\"Echo\",\"0a\"]"));
    play(w, t, "ACK 2.04 2:1/0/64", 0,
         (copal_bytes){body_of(100, 1).data + 64, 36});
    assert_body(p, 100, 1);
}

#define played(test) \
    cmocka_unit_test_setup_teardown(test, build_alone, tear_down_bodies)

int main(void)
{
    const struct CMUnitTest tests[] = {
        played(a_4_01_with_an_echo_is_answered_by_itself),
        played(all_of_it_is_sent_again),
        played(a_second_one_is_told),
        played(without_an_echo_it_is_told_at_once),
        played(who_sets_an_echo_sees_what_comes_of_it),
        played(a_block_of_an_upload_is_sent_again),
        played(a_request_for_a_block_is_sent_again),
        played(a_registration_keeps_its_token),
        played(a_body_beside_an_observation_goes_on),
        played(the_farewell_to_an_observation_is_sent_again),
        played(the_next_request_brings_it),
        played(it_goes_to_no_other_server),
        played(it_is_kept_for_a_minute),
        played(an_old_one_is_replaced_by_the_answer),
        played(a_small_first_block_is_asked_for_again),
        played(not_what_would_act_again),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
