/* Q-Block1 and Q-Block2, RFC 9177, beyond the ladders it draws: who speaks it,
 * and what is lost at random. */
#include "qblock.h"

/* ---- Tokens: RFC 9177 6 ---- */

struct tokens {
    char out[64][20], in[64][20];
    int outs, ins;
};

static void on_trace(const copal_event *ev, void *user)
{
    struct tokens *t = user;
    const char *at = strstr(ev->text, "\"token\":\"");
    bool is_out = strstr(ev->text, "\"ev\":\"out\"") != NULL;
    bool is_in = strstr(ev->text, "\"ev\":\"in\"") != NULL;
    char *token = is_out ? t->out[t->outs] : t->in[t->ins];

    if (at == NULL || (!is_out && !is_in))
        return;
    snprintf(token, 17, "%s", at + 9);
    t->outs += is_out;
    t->ins += is_in;
}

static void each_block_of_a_request_has_a_token_of_its_own(void **state)
{
    struct world *w = *state;
    static struct tokens t;

    t = (struct tokens){0};
    both_speak(w);
    serve_path(w, COPAL_POST, MANY);
    copal_trace(w->client, COPAL_TRACE_WIRE, COPAL_CB(on_trace, &t));
    ask_path(w, COPAL_POST, MANY, COPAL_NON);
    copal_sim_run(w->sim, 1000);
    /* The probe, 25 blocks, two "Continue" for the answer. */
    assert_int_equal(t.outs, 28);
    for (int i = 0; i < t.outs; i++)
        for (int k = 0; k < i; k++)
            assert_string_not_equal(t.out[i], t.out[k]);
    /* The probe's answer, two 2.31, each with the newest block's token; then
     * all of the body with that of the last block. */
    assert_int_equal(t.ins, 28);
    assert_string_equal(t.in[1], t.out[10]);
    assert_string_equal(t.in[2], t.out[20]);
    for (int i = 3; i < t.ins; i++)
        assert_string_equal(t.in[i], t.out[25]);
}

/* ---- Who speaks it, and who does not ---- */

static void a_peer_without_it_gets_blocks(void **state)
{
    struct world *w = *state;
    struct party *served, *p;

    speak(w->client);
    served = serve_path(w, COPAL_PUT, 3);
    p = ask_path(w, COPAL_PUT, MANY, 0);
    copal_sim_run(w->sim, 1000);
    assert_body(served, MANY, 1);
    assert_body(p, 3, 1);
    assert_int_equal(p->status, 0);
    assert_int_equal(count_in_transcript(w, " q1:"), 1);
    assert_int_equal(count_in_transcript(w, "4.02"), 1);
    assert_int_equal(count_in_transcript(w, " 1:24/0/64"), 2);
}

static void a_peer_without_it_is_remembered_for_an_hour(void **state)
{
    struct world *w = *state;

    speak(w->client);
    serve_path(w, COPAL_PUT, 3);
    ask_path(w, COPAL_PUT, MANY, 0);
    copal_sim_run(w->sim, 3500000);
    ask_path(w, COPAL_PUT, MANY, 0);
    copal_sim_run(w->sim, 1000);
    assert_int_equal(count_in_transcript(w, " q1:"), 1);
    copal_sim_run(w->sim, 200000);
    ask_path(w, COPAL_PUT, MANY, 0);
    copal_sim_run(w->sim, 1000);
    assert_int_equal(count_in_transcript(w, " q1:"), 2);
}

static void a_probe_that_is_refused_leaves_the_request_as_it_was(void **state)
{
    struct world *w = *state;
    struct party *served, *p;

    speak(w->client);
    served = serve_path(w, COPAL_POST, MANY);
    p = ask_path(w, COPAL_POST, 20, COPAL_NON);
    copal_sim_run(w->sim, 100000);
    assert_int_equal(p->status, 0);
    assert_body(p, MANY, 1);
    assert_int_equal(served->requests, 1);
    assert_int_equal(count_in_transcript(w, " q2:"), 1);
}

/* Whatever else the server does not understand says nothing of Q-Block. */
static void another_bad_option_is_no_refusal(void **state)
{
    struct world *w = *state;
    copal_msg *m = request_of(w, COPAL_GET, PATH, 0);
    struct party *p;

    both_speak(w);
    serve_path(w, COPAL_GET, MANY);
    copal_understand(w->client, 2049);
    copal_msg_add_uint(m, 2049, 1);
    p = send_request(w, m);
    copal_sim_run(w->sim, 1000);
    assert_int_equal(p->code, COPAL_BAD_OPTION);
    p = ask_path(w, COPAL_GET, 0, 0);
    copal_sim_run(w->sim, 1000);
    assert_body(p, MANY, 1);
    assert_int_equal(count_in_transcript(w, "2.05 "), 25);
}

static void one_without_it_refuses_it(void **state)
{
    struct world *w = *state;

    serve_path(w, COPAL_GET, 3);
    stranger_sends(w, "192.0.2.1", "CON GET " PATH " q2:0/1/64", 1, 1,
                   (copal_bytes){0});
    assert_int_equal(count_in_transcript(w, "ACK 4.02"), 1);
}

static void streams_go_by_block(void **state)
{
    struct world *w = *state;
    struct party *served, *p;
    copal_msg *m;

    both_speak(w);
    served = serve_path(w, COPAL_GET, MANY);
    served->flags = COPAL_STREAM_OUT;
    p = ask_path(w, COPAL_GET, 0, 0);
    copal_sim_run(w->sim, 1000);
    assert_body(p, MANY, 1);
    m = request_of(w, COPAL_GET, PATH, 0);
    copal_msg_set_flags(m, COPAL_STREAM_IN);
    p = send_request(w, m);
    copal_sim_run(w->sim, 1000);
    assert_body(p, MANY, 1);
    assert_true(p->chunks > 1);
    assert_int_equal(count_in_transcript(w, "2.05"), 50);
}

static void a_streamed_resource_sees_one_chunk(void **state)
{
    struct world *w = *state;
    struct party *served, *p;

    both_speak(w);
    served = serve_body(w, COPAL_PUT, "/path", COPAL_STREAMED, 3);
    p = ask_path(w, COPAL_PUT, MANY, 0);
    copal_sim_run(w->sim, 1000);
    assert_body(served, MANY, 1);
    assert_int_equal(served->chunks, 1);
    assert_int_equal(p->status, 0);
}

/* ---- What is lost, doubled and overtaken ---- */

static void check_once(const struct party *served, const struct party *p)
{
    if (p->ends == 0 || p->status != 0 || p->code != COPAL_CONTENT)
        return;
    assert_int_equal(served->requests, 1);
    assert_body(served, MANY, 1);
    assert_body(p, MANY, 1);
}

static void play_post(struct world *w, unsigned flags)
{
    struct party *served, *p;

    both_speak(w);
    served = serve_path(w, COPAL_POST, MANY);
    p = ask_path(w, COPAL_POST, MANY, flags);
    copal_sim_run(w->sim, 1000000);
    if (!memory_failed(w)) {
        assert_int_equal(p->ends, 1);
        assert_true(served->requests <= 1);
    }
    if (!memory_failed(w)) /* else the request may have lost its body */
        check_once(served, p);
}

static void play_post_non(struct world *w)
{
    play_post(w, COPAL_NON);
}

static void play_post_con(struct world *w)
{
    play_post(w, 0);
}

static void play_observe(struct world *w)
{
    copal_msg *m = request_of(w, COPAL_GET, PATH, 0);
    struct party *served, *p;

    both_speak(w);
    served = serve_body(w, COPAL_GET, "/path", COPAL_OBSERVABLE, MANY);
    copal_msg_set_flags(m, COPAL_NON);
    copal_msg_add_uint(m, COPAL_OPT_OBSERVE, 0);
    p = send_request(w, m);
    for (int i = 0; i < 6; i++) {
        copal_sim_run(w->sim, 50000);
        served->version++;
        copal_notify(w->server, "/path");
    }
    copal_sim_run(w->sim, 150000);
    if (p->responses > 0 && p->code == COPAL_CONTENT && !memory_failed(w))
        assert_int_equal(p->len, MANY);
    if (p->ends == 0)
        copal_cancel(p->x);
    copal_sim_run(w->sim, 400000);
}

/* As of a notification in one message, RFC 7641 4.5: who is not there any more
 * is found out by a confirmable one. */
static void a_set_that_nobody_hears_is_confirmed_in_the_end(void **state)
{
    struct world *w = *state;
    copal_stats stats = {.size = sizeof(stats)};
    copal_msg *m = request_of(w, COPAL_GET, PATH, 0);
    struct party *served;

    both_speak(w);
    served = serve_body(w, COPAL_GET, "/path", COPAL_OBSERVABLE, MANY);
    served->flags = COPAL_NON;
    copal_msg_set_flags(m, COPAL_NON);
    copal_msg_add_uint(m, COPAL_OPT_OBSERVE, 0);
    send_request(w, m);
    copal_sim_run(w->sim, 50000);
    copal_get_stats(w->server, &stats);
    assert_int_equal(stats.observers, 1);
    copal_sim_set_path(w->sim, NULL, NULL, (copal_sim_path){.loss = 100});
    served->version++;
    copal_notify(w->server, "/path");
    copal_sim_run(w->sim, 600000);
    copal_get_stats(w->server, &stats);
    assert_int_equal(stats.observers, 0);
    assert_int_equal(stats.peers, 0);
}

/* Room for the body, but none besides for who observes it. */
static void a_set_is_not_forgotten_to_note_who_observes(void **state)
{
    struct world *w = *state;
    copal_msg *m;
    struct party *p;

    both_speak(w);
    serve_body(w, COPAL_GET, "/path", COPAL_OBSERVABLE, MANY);
    for (int64_t room = MANY + 200; room < MANY + 2000; room += 100) {
        copal_tune(w->server, NULL, COPAL_P_BODY_MEMORY, room);
        m = request_of(w, COPAL_GET, PATH, 0);
        copal_msg_set_flags(m, COPAL_NON);
        copal_msg_add_uint(m, COPAL_OPT_OBSERVE, 0);
        p = send_request(w, m);
        copal_sim_run(w->sim, 50000);
        assert_int_equal(p->code, COPAL_CONTENT);
        assert_int_equal(p->len, MANY);
        if (p->ends == 0)
            copal_cancel(p->x);
        copal_sim_run(w->sim, 400000);
    }
}

static void bodies_survive_bad_weather(void **state)
{
    (void)state;
    bodies_in_bad_weather(play_post_non, 60);
    bodies_in_bad_weather(play_post_con, 30);
    bodies_in_bad_weather(play_observe, 30);
}

static void bodies_survive_failed_allocations(void **state)
{
    (void)state;
    bodies_with_failed_allocations(play_post_non);
    bodies_with_failed_allocations(play_post_con);
    bodies_with_failed_allocations(play_observe);
}

/* Under light loss what is missing is asked for, and all of it arrives. */
static void what_is_lost_comes_again(void **state)
{
    unsigned whole = 0;

    (void)state;
    for (uint64_t seed = 1; seed <= 40; seed++) {
        struct world *w = new_world(seed, 0);
        struct record *r;

        both_speak(w);
        serve_text(w, w->server, "/path", 0, "done");
        r = get(w, PATH);
        copal_sim_run(w->sim, 1000);
        assert_int_equal(r->ends, 1);
        copal_sim_set_path(w->sim, "client", NULL,
                           (copal_sim_path){.delay = 20, .loss = 15});
        {
            copal_msg *m = request_of(w, COPAL_PUT, PATH, MANY);

            copal_msg_set_flags(m, COPAL_NON);
            r = next_record(w);
            r->is_begun = r->is_asked = true;
            copal_request(w->client, m, recording(r));
            copal_msg_unref(m);
        }
        copal_sim_run(w->sim, 400000);
        assert_int_equal(r->ends, 1);
        whole += r->status == 0;
        free_world(w);
    }
    assert_int_equal(whole, 40);
}

/* ---- Congestion control: RFC 9177 7.2 ---- */

/* Nobody answers the first body: the second waits, but not for ever. */
static void the_next_body_to_a_silent_peer_waits(void **state)
{
    struct world *w = *state;
    struct party *p;

    both_speak(w);
    serve_path(w, COPAL_PUT, 3);
    p = ask_path(w, COPAL_PUT, 3 * BLOCK, COPAL_NON);
    copal_sim_run(w->sim, 1000);
    assert_int_equal(p->status, 0);
    copal_sim_lose(w->sim, "server", 1000);
    ask_path(w, COPAL_PUT, MANY, COPAL_NON);
    copal_sim_run(w->sim, 10000);
    assert_int_equal(count_in_transcript(w, " q1:24/0/64"), 1);
    ask_path(w, COPAL_PUT, MANY, COPAL_NON);
    copal_sim_run(w->sim, 200000);
    assert_int_equal(count_in_transcript(w, " q1:0/1/64"), 2);
    copal_sim_run(w->sim, 40000);
    assert_int_equal(count_in_transcript(w, " q1:0/1/64"), 3);
    copal_sim_run(w->sim, 200000);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(
            each_block_of_a_request_has_a_token_of_its_own, build_bodies,
            tear_down_bodies),
        cmocka_unit_test_setup_teardown(a_peer_without_it_gets_blocks,
                                        build_bodies, tear_down_bodies),
        cmocka_unit_test_setup_teardown(
            a_peer_without_it_is_remembered_for_an_hour, build_bodies,
            tear_down_bodies),
        cmocka_unit_test_setup_teardown(
            a_probe_that_is_refused_leaves_the_request_as_it_was, build_bodies,
            tear_down_bodies),
        cmocka_unit_test_setup_teardown(
            a_set_is_not_forgotten_to_note_who_observes, build_bodies,
            tear_down_bodies),
        cmocka_unit_test_setup_teardown(
            a_set_that_nobody_hears_is_confirmed_in_the_end, build_bodies,
            tear_down_bodies),
        cmocka_unit_test_setup_teardown(another_bad_option_is_no_refusal,
                                        build_bodies, tear_down_bodies),
        cmocka_unit_test_setup_teardown(one_without_it_refuses_it, build_bodies,
                                        tear_down_bodies),
        cmocka_unit_test_setup_teardown(streams_go_by_block, build_bodies,
                                        tear_down_bodies),
        cmocka_unit_test_setup_teardown(a_streamed_resource_sees_one_chunk,
                                        build_bodies, tear_down_bodies),
        cmocka_unit_test(bodies_survive_bad_weather),
        cmocka_unit_test(bodies_survive_failed_allocations),
        cmocka_unit_test(what_is_lost_comes_again),
        cmocka_unit_test_setup_teardown(the_next_body_to_a_silent_peer_waits,
                                        build_bodies, tear_down_bodies),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
