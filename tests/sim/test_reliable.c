/* The message layer: retransmission, NSTART, separate answers.
 * RFC 7252 4.2 to 4.8, 5.2, appendix A. */
#include "servers.h"

#define SERVER "coap://server"

/* Nobody has this address: what comes from there is made by the test. */
#define NOBODY "192.0.2.1"

static struct record *ask_with(struct world *w, const char *uri, unsigned flags,
                               copal_param p, int64_t value)
{
    struct record *r = next_record(w);
    copal_msg *m = copal_msg_new(w->client, COPAL_GET);

    assert_int_equal(copal_msg_set_uri(m, uri), 0);
    assert_int_equal(copal_msg_set_flags(m, flags), 0);
    if (p != COPAL_P_NONE)
        assert_int_equal(copal_msg_tune(m, p, value), 0);
    r->exchange = copal_request(w->client, m, recording(r));
    r->is_asked = true;
    r->is_begun = r->exchange != NULL;
    copal_msg_unref(m);
    return r;
}

static struct record *get_non(struct world *w, const char *uri)
{
    return ask_with(w, uri, COPAL_NON, COPAL_P_NONE, 0);
}

static void set_delay(struct world *w, uint32_t ms)
{
    assert_int_equal(
        copal_sim_set_path(w->sim, NULL, NULL, (copal_sim_path){.delay = ms}),
        0);
}

/* ---- Retransmission, RFC 7252 4.2 ---- */

static void waits_double_from_ack_timeout_until_max_retransmit(void **state)
{
    struct world *w = *state;
    struct record *r = get(w, "coap://" NOBODY "/t");

    copal_sim_run(w->sim, 61999);
    assert_int_equal(r->ends, 0);
    copal_sim_run(w->sim, 1);
    assert_ended(r, COPAL_ETIMEOUT);
    assert_transcript(w, "   0 client > 192.0.2.1 CON GET 0001 /t (nobody)\n"
                         "2000 client > 192.0.2.1 CON GET 0001 /t (nobody)\n"
                         "6000 client > 192.0.2.1 CON GET 0001 /t (nobody)\n"
                         "14000 client > 192.0.2.1 CON GET 0001 /t (nobody)\n"
                         "30000 client > 192.0.2.1 CON GET 0001 /t (nobody)\n");
}

static void a_timeout_says_who_did_not_answer_and_what_to_check(void **state)
{
    struct world *w = *state;
    struct record *r = get(w, "coap://" NOBODY "/t");

    copal_sim_run(w->sim, 100000);
    assert_string_equal(r->text,
                        "coap://192.0.2.1/t: no answer from 192.0.2.1:5683 "
                        "after 5 transmissions; is it on, and the address "
                        "right?");
}

static unsigned second_sent_at(struct world *w)
{
    unsigned at = 0;
    const char *line = strchr(copal_sim_transcript(w->sim), '\n');

    assert_non_null(line);
    assert_int_equal(sscanf(line, " %u client", &at), 1);
    return at;
}

static void the_first_wait_is_spread_by_ack_random(void **state)
{
    unsigned least = 100000, most = 0;

    (void)state;
    for (uint64_t seed = 1; seed <= 60; seed++) {
        struct world *w = new_world(seed, 0);
        unsigned at;

        copal_tune(w->client, NULL, COPAL_P_ACK_RANDOM, 150);
        get(w, "coap://" NOBODY "/t");
        copal_sim_run(w->sim, 5000);
        at = second_sent_at(w);
        least = at < least ? at : least;
        most = at > most ? at : most;
        free_world(w);
    }
    assert_in_range(least, 2000, 2200);
    assert_in_range(most, 2800, 3000);
}

static void an_empty_ack_stops_retransmissions(void **state)
{
    struct world *w = *state;
    struct tap *t = tap(w->client);
    struct record *r = get(w, "coap://" NOBODY "/t");

    copal_sim_run(w->sim, 1000);
    inject_made(w, NOBODY, "6000 %04x", t->mid);
    copal_sim_run(w->sim, 100000);
    assert_int_equal(r->ends, 0);
    assert_int_equal(count_in_transcript(w, "CON GET"), 1);
}

static void acknowledged_without_an_answer_it_ends_after_exchange_lifetime(
    void **state)
{
    struct world *w = *state;
    struct tap *t = tap(w->client);
    struct record *r = get(w, "coap://" NOBODY "/t");

    copal_sim_run(w->sim, 0);
    inject_made(w, NOBODY, "6000 %04x", t->mid);
    copal_sim_run(w->sim, 230000);
    assert_int_equal(r->ends, 0);
    copal_sim_run(w->sim, 20000);
    assert_ended(r, COPAL_ETIMEOUT);
    assert_non_null(strstr(r->text, "acknowledged, but no answer followed"));
}

static void a_reset_ends_the_exchange(void **state)
{
    struct world *w = *state;
    struct tap *t = tap(w->client);
    struct record *r = get(w, "coap://" NOBODY "/t");

    copal_sim_run(w->sim, 1000);
    inject_made(w, NOBODY, "7000 %04x", t->mid);
    copal_sim_run(w->sim, 100000);
    assert_ended(r, COPAL_ERESET);
    assert_int_equal(count_in_transcript(w, "CON GET"), 1);
}

static void an_ack_from_elsewhere_stops_nothing(void **state)
{
    struct world *w = *state;
    struct tap *t = tap(w->client);
    struct record *r = get(w, "coap://" NOBODY "/t");

    copal_sim_run(w->sim, 1000);
    inject_made(w, "192.0.2.2", "6000 %04x", t->mid);
    inject_made(w, "192.0.2.2", "7000 %04x", t->mid);
    copal_sim_run(w->sim, 100000);
    assert_ended(r, COPAL_ETIMEOUT);
    assert_int_equal(count_in_transcript(w, "CON GET"), 5);
}

static void a_lost_ack_is_sent_again_for_the_repeat(void **state)
{
    struct world *w = *state;
    struct record *r,
        *served = serve_text(w, w->server, "/temperature", 0, "22.3 C");

    copal_sim_lose(w->sim, "server", 1);
    r = get(w, SERVER "/temperature");
    copal_sim_run(w->sim, 60000);
    assert_ended(r, 0);
    assert_int_equal(served->requests, 1);
    assert_transcript(w,
                      "   0 client > server CON GET 0001 /temperature\n"
                      "   0 server > client ACK 2.05 0001 \"22.3 C\" (lost)\n"
                      "2000 client > server CON GET 0001 /temperature\n"
                      "2000 server > client ACK 2.05 0001 \"22.3 C\"\n");
}

/* ---- Parameters, RFC 7252 4.8 ---- */

static void a_message_has_its_own_ack_timeout(void **state)
{
    struct world *w = *state;

    ask_with(w, "coap://" NOBODY "/t", 0, COPAL_P_ACK_TIMEOUT, 500);
    copal_sim_run(w->sim, 600);
    assert_int_equal(second_sent_at(w), 500);
}

static void a_message_has_its_own_max_retransmit(void **state)
{
    struct world *w = *state;
    struct record *r =
        ask_with(w, "coap://" NOBODY "/t", 0, COPAL_P_MAX_RETRANSMIT, 0);

    copal_sim_run(w->sim, 2000);
    assert_ended(r, COPAL_ETIMEOUT);
    assert_non_null(strstr(r->text, "after 1 transmission;"));
}

static void parameters_of_a_scope_hold_for_its_uris_only(void **state)
{
    struct world *w = *state;

    assert_int_equal(
        copal_tune(w->client, "coap://192.0.2.7", COPAL_P_ACK_TIMEOUT, 100), 0);
    assert_int_equal(
        copal_tune(w->client, "coap://192.0.2.7", COPAL_P_MAX_RETRANSMIT, 1),
        0);
    get(w, "coap://192.0.2.7/t");
    get(w, "coap://192.0.2.8/t");
    copal_sim_run(w->sim, 2000);
    assert_transcript(w, "   0 client > 192.0.2.7 CON GET 0001 /t (nobody)\n"
                         "   0 client > 192.0.2.8 CON GET 0001 /t (nobody)\n"
                         " 100 client > 192.0.2.7 CON GET 0001 /t (nobody)\n"
                         "2000 client > 192.0.2.8 CON GET 0001 /t (nobody)\n");
}

static void the_narrowest_scope_counts_and_a_message_before_all(void **state)
{
    struct world *w = *state;

    copal_tune(w->client, NULL, COPAL_P_ACK_TIMEOUT, 4000);
    copal_tune(w->client, "coap://192.0.2.1/a/", COPAL_P_ACK_TIMEOUT, 200);
    copal_tune(w->client, "coap://192.0.2.1/", COPAL_P_ACK_TIMEOUT, 300);
    copal_tune(w->client, NULL, COPAL_P_NSTART, 4);
    get(w, "coap://192.0.2.1/a/b");
    get(w, "coap://192.0.2.1/b");
    ask_with(w, "coap://192.0.2.1/a/b", 0, COPAL_P_ACK_TIMEOUT, 100);
    copal_sim_run(w->sim, 300);
    assert_transcript(w,
                      "   0 client > 192.0.2.1 CON GET 0001 /a/b (nobody)\n"
                      "   0 client > 192.0.2.1 CON GET 0002 /b (nobody)\n"
                      "   0 client > 192.0.2.1 CON GET 0003 /a/b (nobody)\n"
                      " 100 client > 192.0.2.1 CON GET 0003 /a/b (nobody)\n"
                      " 200 client > 192.0.2.1 CON GET 0001 /a/b (nobody)\n"
                      " 300 client > 192.0.2.1 CON GET 0002 /b (nobody)\n"
                      " 300 client > 192.0.2.1 CON GET 0003 /a/b (nobody)\n");
}

static void a_scope_ends_where_a_part_of_the_uri_does(void **state)
{
    struct world *w = *state;

    copal_tune(w->client, NULL, COPAL_P_ACK_TIMEOUT, 4000);
    copal_tune(w->client, "coap://192.0.2.1", COPAL_P_ACK_TIMEOUT, 200);
    get(w, "coap://192.0.2.1/a");
    get(w, "coap://192.0.2.12/a");
    copal_sim_run(w->sim, 200);
    assert_transcript(w, "   0 client > 192.0.2.1 CON GET 0001 /a (nobody)\n"
                         "   0 client > 192.0.2.12 CON GET 0001 /a (nobody)\n"
                         " 200 client > 192.0.2.1 CON GET 0001 /a (nobody)\n");
}

static void timeout_is_a_deadline_for_the_whole_exchange(void **state)
{
    struct world *w = *state;
    struct record *r, *queued;

    r = ask_with(w, "coap://" NOBODY "/t", 0, COPAL_P_TIMEOUT, 3500);
    queued = ask_with(w, "coap://" NOBODY "/q", 0, COPAL_P_TIMEOUT, 100);
    copal_sim_run(w->sim, 100);
    assert_ended(queued, COPAL_ETIMEOUT);
    copal_sim_run(w->sim, 3399);
    assert_int_equal(r->ends, 0);
    copal_sim_run(w->sim, 100000);
    assert_ended(r, COPAL_ETIMEOUT);
    assert_non_null(strstr(r->text, "not done within 3500 ms"));
    assert_int_equal(count_in_transcript(w, "GET"), 2);
}

static void timeout_runs_on_after_an_empty_ack(void **state)
{
    struct world *w = *state;
    struct kept *k = serve_kept(w, "/t");
    struct record *r = ask_with(w, SERVER "/t", 0, COPAL_P_TIMEOUT, 3000);

    copal_sim_run(w->sim, 10000);
    assert_ended(r, COPAL_ETIMEOUT);
    assert_int_equal(k->count, 1);
}

static void a_separate_answer_goes_by_its_own_parameters(void **state)
{
    struct world *w = *state;
    struct kept *k = serve_kept(w, "/t");
    copal_msg *m = copal_msg_new(w->server, COPAL_CONTENT);

    get(w, SERVER "/t");
    copal_sim_run(w->sim, 1000);
    copal_sim_lose(w->sim, "server", 2);
    assert_int_equal(copal_msg_tune(m, COPAL_P_ACK_TIMEOUT, 300), 0);
    assert_int_equal(copal_respond(k->x[0], m), 0);
    copal_msg_unref(m);
    let_go_kept(k, 0);
    copal_sim_run(w->sim, 5000);
    assert_transcript(w, "   0 client > server CON GET 0001 /t\n"
                         " 250 server > client ACK empty 0001\n"
                         "1000 server > client CON 2.05 0001 (lost)\n"
                         "1300 server > client CON 2.05 0001 (lost)\n"
                         "1900 server > client CON 2.05 0001\n"
                         "1900 client > server ACK empty 0001\n");
}

static void a_separate_answer_goes_by_the_parameters_of_its_scope(void **state)
{
    struct world *w = *state;
    struct kept *k = serve_kept(w, "/t");

    copal_tune(w->server, "coap://client", COPAL_P_ACK_TIMEOUT, 300);
    get(w, SERVER "/t");
    copal_sim_run(w->sim, 1000);
    copal_sim_lose(w->sim, "server", 1);
    reply_kept(k, 0, COPAL_CONTENT, "x");
    copal_sim_run(w->sim, 5000);
    assert_int_equal(
        count_in_transcript(w, "1300 server > client CON 2.05 0001 \"x\"\n"),
        1);
}

/* ---- NSTART, RFC 7252 4.7 ---- */

static void requests_beyond_nstart_wait_in_their_order(void **state)
{
    struct world *w = *state;
    struct record *r[3];

    serve_text(w, w->server, "/a", 0, "1");
    serve_text(w, w->server, "/b", 0, "2");
    serve_text(w, w->server, "/c", 0, "3");
    set_delay(w, 10);
    r[0] = get(w, SERVER "/a");
    r[1] = get(w, SERVER "/b");
    r[2] = get(w, SERVER "/c");
    copal_sim_run(w->sim, 1000);
    for (int i = 0; i < 3; i++)
        assert_ended(r[i], 0);
    assert_transcript(w, "   0 client > server CON GET 0001 /a\n"
                         "  10 server > client ACK 2.05 0001 \"1\"\n"
                         "  20 client > server CON GET 0002 /b\n"
                         "  30 server > client ACK 2.05 0002 \"2\"\n"
                         "  40 client > server CON GET 0003 /c\n"
                         "  50 server > client ACK 2.05 0003 \"3\"\n");
}

static void nstart_counts_for_each_peer(void **state)
{
    struct world *w = *state;

    get(w, "coap://192.0.2.1/a");
    get(w, "coap://192.0.2.2/b");
    copal_tune(w->client, "coap://192.0.2.3", COPAL_P_NSTART, 2);
    get(w, "coap://192.0.2.3/c");
    get(w, "coap://192.0.2.3/d");
    get(w, "coap://192.0.2.3/e");
    copal_sim_run(w->sim, 0);
    assert_transcript(w, "   0 client > 192.0.2.1 CON GET 0001 /a (nobody)\n"
                         "   0 client > 192.0.2.2 CON GET 0001 /b (nobody)\n"
                         "   0 client > 192.0.2.3 CON GET 0001 /c (nobody)\n"
                         "   0 client > 192.0.2.3 CON GET 0002 /d (nobody)\n");
}

/* Or those of a smaller NSTART would wait as long as others come. */
static void who_waits_for_a_place_is_not_overtaken(void **state)
{
    struct world *w = *state;

    serve_text(w, w->server, "/a", 0, "1");
    serve_text(w, w->server, "/one", 0, "2");
    serve_text(w, w->server, "/b", 0, "3");
    set_delay(w, 10);
    copal_tune(w->client, SERVER, COPAL_P_NSTART, 2);
    copal_tune(w->client, SERVER "/one", COPAL_P_NSTART, 1);
    get(w, SERVER "/a");
    get(w, SERVER "/one");
    get(w, SERVER "/b");
    copal_sim_run(w->sim, 1000);
    assert_transcript(w, "   0 client > server CON GET 0001 /a\n"
                         "  10 server > client ACK 2.05 0001 \"1\"\n"
                         "  20 client > server CON GET 0002 /one\n"
                         "  20 client > server CON GET 0003 /b\n"
                         "  30 server > client ACK 2.05 0002 \"2\"\n"
                         "  30 server > client ACK 2.05 0003 \"3\"\n");
}

static void an_empty_ack_frees_the_place(void **state)
{
    struct world *w = *state;
    struct kept *k = serve_kept(w, "/slow");
    struct record *slow, *fast;

    serve_text(w, w->server, "/fast", 0, "f");
    slow = get(w, SERVER "/slow");
    fast = get(w, SERVER "/fast");
    copal_sim_run(w->sim, 1000);
    assert_ended(fast, 0);
    assert_int_equal(slow->ends, 0);
    reply_kept(k, 0, COPAL_CONTENT, "s");
    copal_sim_run(w->sim, 0);
    assert_ended(slow, 0);
    assert_transcript(w, "   0 client > server CON GET 0001 /slow\n"
                         " 250 server > client ACK empty 0001\n"
                         " 250 client > server CON GET 0002 /fast\n"
                         " 250 server > client ACK 2.05 0002 \"f\"\n"
                         "1000 server > client CON 2.05 0001 \"s\"\n"
                         "1000 client > server ACK empty 0001\n");
}

static void cancelling_stops_retransmissions_and_frees_the_place(void **state)
{
    struct world *w = *state;
    struct record *first = get(w, "coap://" NOBODY "/a");

    get(w, "coap://" NOBODY "/b");
    copal_sim_run(w->sim, 2500);
    assert_int_equal(copal_cancel(first->exchange), 0);
    assert_int_equal(first->ends, 0);
    copal_sim_run(w->sim, 2000);
    assert_ended(first, COPAL_ECANCEL);
    assert_int_equal(first->events, 1);
    assert_transcript(w, "   0 client > 192.0.2.1 CON GET 0001 /a (nobody)\n"
                         "2000 client > 192.0.2.1 CON GET 0001 /a (nobody)\n"
                         "2500 client > 192.0.2.1 CON GET 0002 /b (nobody)\n"
                         "4500 client > 192.0.2.1 CON GET 0002 /b (nobody)\n");
}

static void cancelling_what_waits_sends_nothing(void **state)
{
    struct world *w = *state;
    struct record *queued, *last;

    get(w, "coap://" NOBODY "/a");
    queued = get(w, "coap://" NOBODY "/b");
    last = get(w, "coap://" NOBODY "/c");
    copal_cancel(queued->exchange);
    copal_sim_run(w->sim, 62000);
    assert_ended(queued, COPAL_ECANCEL);
    assert_int_equal(last->ends, 0);
    assert_int_equal(count_in_transcript(w, "/b"), 0);
    assert_int_equal(count_in_transcript(w, "62000 client > 192.0.2.1 CON GET"),
                     1);
}

static void a_reset_does_not_reach_what_was_never_sent(void **state)
{
    struct world *w = *state;
    struct tap *t = tap(w->client);
    struct record *queued;

    get(w, "coap://" NOBODY "/a");
    queued = get(w, "coap://" NOBODY "/b");
    copal_sim_run(w->sim, 0);
    inject_made(w, NOBODY, "7000 %04x", (t->mid + 1) & 0xffff);
    inject_made(w, NOBODY, "6000 %04x", (t->mid + 1) & 0xffff);
    copal_sim_run(w->sim, 1000);
    assert_int_equal(queued->ends, 0);
}

/* ---- Non-confirmable requests, RFC 7252 4.3 ---- */

static void a_non_confirmable_request_is_answered_likewise(void **state)
{
    struct world *w = *state;
    struct record *r;

    serve_text(w, w->server, "/t", 0, "22.3 C");
    r = get_non(w, SERVER "/t");
    copal_sim_run(w->sim, 0);
    assert_ended(r, 0);
    assert_transcript(w, "   0 client > server NON GET 0001 /t\n"
                         "   0 server > client NON 2.05 0001 \"22.3 C\"\n");
}

static void a_slow_answer_to_a_non_confirmable_needs_no_ack(void **state)
{
    struct world *w = *state;
    struct record *r;

    serve_after(w, "/t", 5000, "x");
    r = get_non(w, SERVER "/t");
    copal_sim_run(w->sim, 10000);
    assert_ended(r, 0);
    assert_transcript(w, "   0 client > server NON GET 0001 /t\n"
                         "5000 server > client NON 2.05 0001 \"x\"\n");
}

static void a_non_confirmable_is_sent_once_and_given_up_in_time(void **state)
{
    struct world *w = *state;
    struct record *r = get_non(w, "coap://" NOBODY "/t");

    copal_sim_run(w->sim, 61999);
    assert_int_equal(r->ends, 0);
    copal_sim_run(w->sim, 60000);
    assert_ended(r, COPAL_ETIMEOUT);
    assert_non_null(strstr(r->text, "non-confirmable"));
    assert_int_equal(count_in_transcript(w, "GET"), 1);
}

static void a_reset_ends_a_non_confirmable_request(void **state)
{
    struct world *w = *state;
    struct tap *t = tap(w->client);
    struct record *r = get_non(w, "coap://" NOBODY "/t");

    copal_sim_run(w->sim, 10000);
    inject_made(w, NOBODY, "7000 %04x", t->mid);
    copal_sim_run(w->sim, 0);
    assert_ended(r, COPAL_ERESET);
}

static void a_non_confirmable_request_holds_its_place_until_answered(
    void **state)
{
    struct world *w = *state;

    serve_text(w, w->server, "/t", 0, "x");
    set_delay(w, 100);
    get_non(w, SERVER "/t");
    get_non(w, SERVER "/t?2");
    copal_sim_run(w->sim, 1000);
    assert_transcript(w, "   0 client > server NON GET 0001 /t\n"
                         " 100 server > client NON 2.05 0001 \"x\"\n"
                         " 200 client > server NON GET 0002 /t?2\n"
                         " 300 server > client NON 2.05 0002 \"x\"\n");
}

static void a_non_confirmable_request_without_answer_lets_others_go(
    void **state)
{
    struct world *w = *state;

    get_non(w, "coap://" NOBODY "/a");
    get(w, "coap://" NOBODY "/b");
    copal_sim_run(w->sim, 3000);
    assert_transcript(w, "   0 client > 192.0.2.1 NON GET 0001 /a (nobody)\n"
                         "2000 client > 192.0.2.1 CON GET 0002 /b (nobody)\n");
}

/* ---- Separate answers, RFC 7252 5.2.2 ---- */

/* Else a flood from an address that nobody has would hold every exchange for a
 * round of retransmissions, one after the other. */
static void who_acknowledges_no_answer_gets_no_others(void **state)
{
    struct world *w = *state;
    copal_stats stats = {.size = sizeof(stats)};

    serve_after(w, "/slow", 1000, "x");
    for (unsigned i = 0; i < 200; i++) {
        uint8_t get_slow[] = {0x40,       0x01, (uint8_t)(i >> 8),
                              (uint8_t)i, 0xb4, 's',
                              'l',        'o',  'w'};

        copal_sim_inject(w->sim, "nobody", "server",
                         (copal_bytes){get_slow, sizeof(get_slow)});
    }
    copal_sim_run(w->sim, 2000);
    copal_get_stats(w->server, &stats);
    assert_in_range(stats.exchanges_open, 1, 130);
    copal_sim_run(w->sim, 100000);
    copal_get_stats(w->server, &stats);
    assert_int_equal(stats.exchanges_open, 0);
}

static void a_slow_answer_goes_separately(void **state)
{
    struct world *w = *state;
    struct record *r;

    serve_after(w, "/t", 1000, "22.3 C");
    r = get(w, SERVER "/t");
    copal_sim_run(w->sim, 10000);
    assert_ended(r, 0);
    assert_int_equal(r->responses, 1);
    assert_transcript(w, "   0 client > server CON GET 0001 /t\n"
                         " 250 server > client ACK empty 0001\n"
                         "1000 server > client CON 2.05 0001 \"22.3 C\"\n"
                         "1000 client > server ACK empty 0001\n");
}

static void an_answer_before_separate_after_is_piggybacked(void **state)
{
    struct world *w = *state;

    serve_after(w, "/t", 249, "x");
    get(w, SERVER "/t");
    copal_sim_run(w->sim, 10000);
    assert_transcript(w, "   0 client > server CON GET 0001 /t\n"
                         " 249 server > client ACK 2.05 0001 \"x\"\n");
}

static void separate_after_can_be_set(void **state)
{
    struct world *w = *state;

    copal_tune(w->server, NULL, COPAL_P_SEPARATE_AFTER, 1500);
    serve_after(w, "/t", 1600, "x");
    get(w, SERVER "/t");
    copal_sim_run(w->sim, 10000);
    assert_transcript(w, "   0 client > server CON GET 0001 /t\n"
                         "1500 server > client ACK empty 0001\n"
                         "1600 server > client CON 2.05 0001 \"x\"\n"
                         "1600 client > server ACK empty 0001\n");
}

static void a_repeat_is_acknowledged_again_while_the_answer_is_awaited(
    void **state)
{
    struct world *w = *state;
    struct record *r, *served = serve_after(w, "/t", 5000, "x");

    copal_sim_lose(w->sim, "server", 1);
    r = get(w, SERVER "/t");
    copal_sim_run(w->sim, 10000);
    assert_ended(r, 0);
    assert_int_equal(served->requests, 1);
    assert_transcript(w, "   0 client > server CON GET 0001 /t\n"
                         " 250 server > client ACK empty 0001 (lost)\n"
                         "2000 client > server CON GET 0001 /t\n"
                         "2000 server > client ACK empty 0001\n"
                         "5000 server > client CON 2.05 0001 \"x\"\n"
                         "5000 client > server ACK empty 0001\n");
}

static void an_answer_that_overtakes_its_ack_stops_retransmissions(void **state)
{
    struct world *w = *state;
    struct record *r;

    serve_after(w, "/t", 1000, "x");
    copal_sim_lose(w->sim, "server", 1);
    r = get(w, SERVER "/t");
    copal_sim_run(w->sim, 10000);
    assert_ended(r, 0);
    assert_transcript(w, "   0 client > server CON GET 0001 /t\n"
                         " 250 server > client ACK empty 0001 (lost)\n"
                         "1000 server > client CON 2.05 0001 \"x\"\n"
                         "1000 client > server ACK empty 0001\n");
}

static void a_repeated_answer_is_acknowledged_again_and_told_once(void **state)
{
    struct world *w = *state;
    struct record *r;

    serve_after(w, "/t", 1000, "x");
    r = get(w, SERVER "/t");
    copal_sim_run(w->sim, 500);
    copal_sim_lose(w->sim, "client", 1);
    copal_sim_run(w->sim, 10000);
    assert_ended(r, 0);
    assert_int_equal(r->responses, 1);
    assert_transcript(w, "   0 client > server CON GET 0001 /t\n"
                         " 250 server > client ACK empty 0001\n"
                         "1000 server > client CON 2.05 0001 \"x\"\n"
                         "1000 client > server ACK empty 0001 (lost)\n"
                         "3000 server > client CON 2.05 0001 \"x\"\n"
                         "3000 client > server ACK empty 0001\n");
}

/* RFC 7252 figure 20: the asker restarted and knows nothing of its request. */
static void a_separate_answer_to_who_forgot_is_reset(void **state)
{
    struct world *w = *state;
    struct kept *k = serve_kept(w, "/t");
    struct record *r = get(w, SERVER "/t");

    copal_sim_run(w->sim, 500);
    copal_free(w->client);
    assert_ended(r, COPAL_ECLOSED);
    w->client = add_host(w, "client");
    assert_int_equal(reply_kept(k, 0, COPAL_CONTENT, "22.3 C"), 0);
    copal_sim_run(w->sim, 100000);
    assert_transcript(w, "   0 client > server CON GET 0001 /t\n"
                         " 250 server > client ACK empty 0001\n"
                         " 500 server > client CON 2.05 0001 \"22.3 C\"\n"
                         " 500 client > server RST empty 0001\n");
}

static void who_does_not_acknowledge_an_answer_is_given_up(void **state)
{
    struct world *w = *state;
    copal_stats stats = {.size = sizeof(stats)};

    serve_after(w, "/t", 1000, "x");
    inject_hex(w, NOBODY, "server", "4001 0001 b174");
    copal_sim_run(w->sim, 100000);
    assert_int_equal(count_in_transcript(w, "CON 2.05"), 5);
    copal_get_stats(w->server, &stats);
    assert_int_equal(stats.exchanges_open, 0);
    assert_int_equal(stats.peers, 0);
}

static void separate_answers_to_one_peer_keep_nstart(void **state)
{
    struct world *w = *state;

    serve_after(w, "/a", 1000, "a");
    serve_after(w, "/b", 1000, "b");
    copal_tune(w->client, NULL, COPAL_P_NSTART, 2);
    get(w, SERVER "/a");
    get(w, SERVER "/b");
    copal_sim_run(w->sim, 500);
    set_delay(w, 50);
    copal_sim_run(w->sim, 10000);
    assert_transcript(w, "   0 client > server CON GET 0001 /a\n"
                         "   0 client > server CON GET 0002 /b\n"
                         " 250 server > client ACK empty 0001\n"
                         " 250 server > client ACK empty 0002\n"
                         "1000 server > client CON 2.05 0001 \"a\"\n"
                         "1050 client > server ACK empty 0001\n"
                         "1100 server > client CON 2.05 0002 \"b\"\n"
                         "1150 client > server ACK empty 0002\n");
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, build, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(waits_double_from_ack_timeout_until_max_retransmit),
        TEST(a_timeout_says_who_did_not_answer_and_what_to_check),
        cmocka_unit_test(the_first_wait_is_spread_by_ack_random),
        TEST(an_empty_ack_stops_retransmissions),
        TEST(acknowledged_without_an_answer_it_ends_after_exchange_lifetime),
        TEST(a_reset_ends_the_exchange),
        TEST(an_ack_from_elsewhere_stops_nothing),
        TEST(a_lost_ack_is_sent_again_for_the_repeat),
        TEST(a_message_has_its_own_ack_timeout),
        TEST(a_message_has_its_own_max_retransmit),
        TEST(parameters_of_a_scope_hold_for_its_uris_only),
        TEST(the_narrowest_scope_counts_and_a_message_before_all),
        TEST(a_scope_ends_where_a_part_of_the_uri_does),
        TEST(timeout_is_a_deadline_for_the_whole_exchange),
        TEST(timeout_runs_on_after_an_empty_ack),
        TEST(a_separate_answer_goes_by_its_own_parameters),
        TEST(a_separate_answer_goes_by_the_parameters_of_its_scope),
        TEST(requests_beyond_nstart_wait_in_their_order),
        TEST(nstart_counts_for_each_peer),
        TEST(who_waits_for_a_place_is_not_overtaken),
        TEST(an_empty_ack_frees_the_place),
        TEST(cancelling_stops_retransmissions_and_frees_the_place),
        TEST(cancelling_what_waits_sends_nothing),
        TEST(a_reset_does_not_reach_what_was_never_sent),
        TEST(a_non_confirmable_request_is_answered_likewise),
        TEST(a_slow_answer_to_a_non_confirmable_needs_no_ack),
        TEST(a_non_confirmable_is_sent_once_and_given_up_in_time),
        TEST(a_reset_ends_a_non_confirmable_request),
        TEST(a_non_confirmable_request_holds_its_place_until_answered),
        TEST(a_non_confirmable_request_without_answer_lets_others_go),
        TEST(who_acknowledges_no_answer_gets_no_others),
        TEST(a_slow_answer_goes_separately),
        TEST(an_answer_before_separate_after_is_piggybacked),
        TEST(separate_after_can_be_set),
        TEST(a_repeat_is_acknowledged_again_while_the_answer_is_awaited),
        TEST(an_answer_that_overtakes_its_ack_stops_retransmissions),
        TEST(a_repeated_answer_is_acknowledged_again_and_told_once),
        TEST(a_separate_answer_to_who_forgot_is_reset),
        TEST(who_does_not_acknowledge_an_answer_is_given_up),
        TEST(separate_answers_to_one_peer_keep_nstart),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
