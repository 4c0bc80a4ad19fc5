/* What the tests of messages, timers, observing and groups show to work, while
 * memory runs out at any one point: whatever was begun ends once, and nothing is
 * left. */
#include "servers.h"

#define SERVER "coap://server"
#define GROUP  "coap://224.0.1.187"

static copal_bytes text_of(const char *text)
{
    return (copal_bytes){(const uint8_t *)text, strlen(text)};
}

/* ---- Messages ---- */

/* The same message at once, while its answer is made, after it, and when its
 * id means nothing any more. RFC 7252 4.5. */
static void play_repeats(struct world *w)
{
    static const uint64_t waits[] = {0, 300, 300000, 0};
    struct record *served = serve_after(w, "/t", 500, "done");

    for (int i = 0; i < 4; i++) {
        inject_hex(w, "192.0.2.1", "server", "4102 0001 aa b174");
        inject_hex(w, "192.0.2.1", "server", "5102 0002 ab b174");
        inject_hex(w, "192.0.2.1", "server", "4101 0003 ac b178");
        run(w, waits[i]);
    }
    if (!memory_failed(w))
        assert_int_equal(served->requests, 4);
    settle(w);
}

static void play_no_response(struct world *w)
{
    copal_msg *m = copal_msg_new(w->client, COPAL_PUT);
    struct record *r = next_record(w);

    serve_text(w, w->server, "/t", 0, "x");
    copal_msg_set_uri(m, SERVER "/t");
    copal_msg_add_uint(m, COPAL_OPT_NO_RESPONSE, 26);
    r->exchange = copal_request(w->client, m, recording(r));
    r->is_asked = true;
    r->is_begun = r->exchange != NULL;
    copal_msg_unref(m);
    settle(w);
    if (!memory_failed(w))
        assert_ended(r, 0);
}

static void play_with_messages(struct world *w)
{
    static const char longer[] = "a payload that is longer than the others are";
    static const uint8_t etag[] = {1, 2, 3};
    copal_msg *m = copal_msg_new(w->client, COPAL_GET), *copy;
    const char *path, *query, *uri;

    copal_msg_set_uri(m, "coap://example.org:1/a%20b/c?d=e%26&f");
    copal_msg_set_from(m, "coap://127.0.0.1:0");
    copal_msg_add(m, COPAL_OPT_ETAG, (copal_bytes){etag, sizeof(etag)});
    copal_msg_add_text(m, COPAL_OPT_URI_QUERY, "g=h");
    copal_msg_add_uint(m, 65000, 7);
    copal_msg_tune(m, COPAL_P_ACK_TIMEOUT, 100);
    copal_msg_set_payload(m, COPAL_TEXT, text_of(longer));
    copy = copal_msg_copy(m);
    copal_msg_remove(copy, COPAL_OPT_ETAG);
    copal_msg_set_payload(copy, COPAL_NO_FORMAT, (copal_bytes){0});
    copal_msg_set_uri(copy, "coap://other/");
    (void)copal_msg_print(m, COPAL_LINE);
    (void)copal_msg_print(m, COPAL_OPTION_LINES);
    path = copal_msg_path(m);
    query = copal_msg_query(m, "d");
    uri = copal_msg_uri(copy);
    if (!memory_failed(w)) {
        assert_string_equal(path, "/a b/c");
        assert_string_equal(query, "e&");
        assert_string_equal(uri, "coap://other/");
        assert_int_equal(copal_msg_value(copy, COPAL_OPT_ETAG, 0, NULL),
                         COPAL_ENOENT);
    }
    copal_msg_unref(copy);
    copal_msg_unref(m);
}

/* ---- Problem details ---- */

static void answer_problem(const copal_event *ev, void *user)
{
    copal_cb cb = recording(user);

    cb.fn(ev, cb.user);
    if (ev->kind == COPAL_REQUEST)
        copal_reply_problem(ev->exchange, COPAL_CONFLICT, "taken",
                            "choose another");
}

static void drop_record(void *user)
{
    ((struct record *)user)->drops++;
}

static void play_problem(struct world *w)
{
    copal_problem p = {.size = sizeof(p)};
    struct record *served = next_record(w), *r;
    copal_msg *m = copal_msg_new(w->client, COPAL_CONFLICT);

    copal_serve(w->server, 0, "/t", 0,
                COPAL_CB_OWN(answer_problem, served, drop_record));
    r = get(w, SERVER "/t");
    p.title.text = text_of("taken");
    p.instance = text_of("/a");
    if (copal_msg_set_problem(m, &p) == 0)
        assert_int_equal(copal_msg_problem(m, &p), 0);
    copal_msg_unref(m);
    settle(w);
    if (!memory_failed(w))
        assert_int_equal(r->code, COPAL_CONFLICT);
}

/* ---- Timers ---- */

static void begin_timer(const copal_event *ev, void *user)
{
    struct world *w = user;

    if (ev->kind == COPAL_TIMER)
        copal_after(w->client, 10, recording(next_record(w)));
}

static void play_timers(struct world *w)
{
    struct record *late = next_record(w), *never = next_record(w);
    int64_t id;

    id = copal_after(w->client, 1000, recording(late));
    assert_true(id > 0 || memory_failed(w));
    id = copal_after(w->client, 2000, recording(never));
    copal_after(w->client, 0, COPAL_CB(begin_timer, w));
    copal_post(w->client, recording(next_record(w)));
    run(w, 1500);
    if (id > 0)
        assert_int_equal(copal_cancel_timer(w->client, id), 0);
    run(w, 10000);
    assert_int_equal(never->timers, 0);
    if (!memory_failed(w))
        assert_int_equal(late->timers, 1);
}

/* ---- Observing ---- */

/* Refused, moved, silent, answered 5.03, gone and back. */
static void play_healing(struct world *w)
{
    struct record *r = next_record(w);

    serve_text(w, w->server, "/t", COPAL_OBSERVABLE, "x");
    r->exchange = copal_watch(w->client, SERVER "/t", recording(r));
    r->is_asked = true;
    r->is_begun = r->exchange != NULL;
    run(w, 1000);
    copal_sim_move(w->sim, "client");
    copal_notify(w->server, "/t");
    run(w, 100000);
    copal_sim_lose(w->sim, "server", 12);
    copal_notify(w->server, "/t");
    run(w, 200000);
    copal_unserve(w->server, "/t");
    run(w, 1000);
    serve_text(w, w->server, "/t", COPAL_OBSERVABLE, "y");
    run(w, 400000);
    if (!memory_failed(w)) {
        assert_int_equal(r->ends, 0);
        assert_true(r->silents > 0);
        assert_int_equal(r->silents, r->resumed);
        assert_string_equal(r->payload, "y");
    }
    cancel_if_open(r);
    settle(w);
}

static void play_paused_observation(struct world *w)
{
    struct record *r, *watched = next_record(w);

    serve_text(w, w->server, "/t", COPAL_OBSERVABLE | COPAL_PER_PEER, "x");
    r = observe(w, SERVER "/t");
    watched->exchange =
        copal_watch(w->client, SERVER "/t?2", recording(watched));
    watched->is_asked = true;
    watched->is_begun = watched->exchange != NULL;
    run(w, 1000);
    for (int i = 0; i < 2; i++) {
        if (r->is_begun && r->ends == 0)
            copal_pause(r->exchange);
        if (watched->is_begun && watched->ends == 0)
            copal_pause(watched->exchange);
        copal_notify(w->server, "/t");
        run(w, 5000);
        copal_notify(w->server, "/t");
        run(w, 5000);
        if (r->is_begun && r->ends == 0)
            copal_resume(r->exchange);
        if (watched->is_begun && watched->ends == 0)
            copal_resume(watched->exchange);
        run(w, 1000);
    }
    if (!memory_failed(w))
        assert_int_equal(r->responses, 3);
    cancel_if_open(r);
    cancel_if_open(watched);
    settle(w);
}

/* ---- Groups ---- */

/* Long lists from several members; one leaves, one crashes, amid it. */
static void play_find(struct world *w)
{
    copal *second = add_host(w, "server2"), *third = add_host(w, "server3");
    copal *all[] = {w->server, second, third};
    copal_msg *m = copal_msg_new(w->client, COPAL_GET);
    struct record *r = next_record(w);

    for (int i = 0; i < 3; i++) {
        if (all[i] == NULL)
            continue;
        copal_tune(all[i], NULL, COPAL_P_BLOCK_SIZE, 64);
        serve_text(w, all[i], "/a/rather/long/path", 0, "x");
        serve_text(w, all[i], "/another/rather/long/path", 0, "x");
        copal_describe(all[i], "/a/rather/long/path", "rt", "temperature");
        (void)copal_join(all[i], GROUP, NULL);
    }
    copal_msg_set_uri(m, GROUP "/.well-known/core?rt=temperature");
    copal_msg_set_flags(m, COPAL_NON);
    copal_sim_set_path(w->sim, NULL, NULL, (copal_sim_path){.delay = 10});
    r->exchange = copal_request(w->client, m, recording(r));
    r->is_asked = true;
    r->is_begun = r->exchange != NULL;
    copal_msg_unref(m);
    run(w, 2000);
    if (second != NULL)
        (void)copal_leave(second, GROUP, NULL);
    run(w, 2000);
    copal_free(third);
    settle(w);
    if (!memory_failed(w))
        assert_true(r->responses >= 1);
}

#define SWEEP(name, scene) \
    static void name(void **state) \
    { \
        (void)state; \
        for_each_failed_allocation(scene); \
    }

SWEEP(repeats_survive_any_failed_allocation, play_repeats)
SWEEP(who_wants_no_answer_survives_any_failed_allocation, play_no_response)
SWEEP(messages_survive_any_failed_allocation, play_with_messages)
SWEEP(a_problem_survives_any_failed_allocation, play_problem)
SWEEP(timers_survive_any_failed_allocation, play_timers)
SWEEP(healing_survives_any_failed_allocation, play_healing)
SWEEP(a_paused_observation_survives_it, play_paused_observation)
SWEEP(a_search_survives_any_failed_allocation, play_find)

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(repeats_survive_any_failed_allocation),
        cmocka_unit_test(who_wants_no_answer_survives_any_failed_allocation),
        cmocka_unit_test(messages_survive_any_failed_allocation),
        cmocka_unit_test(a_problem_survives_any_failed_allocation),
        cmocka_unit_test(timers_survive_any_failed_allocation),
        cmocka_unit_test(healing_survives_any_failed_allocation),
        cmocka_unit_test(a_paused_observation_survives_it),
        cmocka_unit_test(a_search_survives_any_failed_allocation),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
