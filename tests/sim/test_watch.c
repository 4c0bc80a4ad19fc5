/* serve/watch: an observation that goes on by itself and never falls silent
 * without telling. RFC 7641 3.3.1. */
#include "watching.h"

/* ---- While all is well ---- */

static void every_notification_is_heard(void **state)
{
    struct world *w = *state;
    static struct value v = {.text = "1"};
    static struct watch h;

    serve_value(w, &v, COPAL_OBSERVABLE);
    watch(w, &h, URI, 0);
    run_seconds(w, 1);
    change(w, &v, "2");
    run_seconds(w, 1);
    change(w, &v, "3");
    run_seconds(w, 1);
    assert_string_equal(h.heard, "R1 R2 R3 ");
}

/* RFC 7641 3.3.1: not while it is fresh, then 5 to 15 s later, under the same
 * token and with the same options. */
static void max_age_passes_before_it_asks_again(void **state)
{
    struct world *w = *state;
    static struct value v = {.text = "1"};
    static struct watch h;

    serve_value(w, &v, COPAL_OBSERVABLE);
    watch(w, &h, URI, 0);
    run_seconds(w, MAX_AGE + 4);
    assert_int_equal(v.gets, 1);
    run_seconds(w, 12);
    assert_int_equal(v.gets, 2);
    assert_int_equal(observers(w), 1);
    assert_int_equal(count_in_transcript(w, "client > server"), 2);
    assert_int_equal(count_in_transcript(w, "/t obs=0"), 2);
    run_seconds(w, MAX_AGE + 16);
    assert_int_equal(v.gets, 3);
    assert_int_equal(observers(w), 1);
    change(w, &v, "2");
    run_seconds(w, 1);
    assert_string_equal(h.heard, "R1 R2 ");
}

static void clients_do_not_ask_again_all_at_once(void **state)
{
    struct world *w = *state;
    static struct value v = {.text = "1"};
    static struct watch h[20];
    int before;

    copal_tune(w->client, NULL, COPAL_P_NSTART, 64);
    serve_value(w, &v, COPAL_OBSERVABLE);
    for (int i = 0; i < 20; i++) {
        char uri[32];

        snprintf(uri, sizeof(uri), "%s?%d", URI, i);
        watch(w, &h[i], uri, 0);
    }
    run_seconds(w, MAX_AGE + 5);
    assert_int_equal(v.gets, 20);
    before = v.gets;
    for (int i = 0; i < 10; i++) {
        run_seconds(w, 1);
        assert_true(v.gets - before < 8);
        before = v.gets;
    }
    assert_int_equal(v.gets, 40);
}

/* What it asks for is told only if it is another; what the server sends by
 * itself is told as it comes. */
static void the_same_value_is_no_news_when_it_was_asked_for(void **state)
{
    struct world *w = *state;
    static struct value v = {.text = "1"};
    static struct watch h;

    serve_value(w, &v, COPAL_OBSERVABLE);
    watch(w, &h, URI, 0);
    run_seconds(w, REFRESHED);
    assert_int_equal(v.gets, 2);
    assert_string_equal(h.heard, "R1 ");
    change(w, &v, "1");
    run_seconds(w, 1);
    assert_string_equal(h.heard, "R1 R1 ");
    snprintf(v.text, sizeof(v.text), "2"); /* and nobody was told */
    run_seconds(w, REFRESHED);
    assert_string_equal(h.heard, "R1 R1 R2 ");
}

/* RFC 7641 3.3.2: the ETag of what we have goes along. */
static void what_is_known_by_its_etag_is_not_sent_again(void **state)
{
    struct world *w = *state;
    static struct value v = {.text = "1", .etag = "A"};
    static struct watch h;

    serve_value(w, &v, COPAL_OBSERVABLE);
    watch(w, &h, URI, 0);
    run_seconds(w, REFRESHED);
    assert_string_equal(h.heard, "R1 ");
    assert_int_equal(count_in_transcript(w, "2.03"), 1);
    v.etag = "B";
    change(w, &v, "2");
    run_seconds(w, 1);
    v.etag = "A";
    change(w, &v, "1");
    run_seconds(w, 1);
    assert_string_equal(h.heard, "R1 R2 R1 ");
    assert_int_equal(count_in_transcript(w, "2.03"), 2);
    assert_int_equal(h.code, COPAL_CONTENT);
}

/* The notification was on its way when the request to register again left. */
static void a_notification_that_crosses_its_asking_is_heard(void **state)
{
    struct world *w = *state;
    static struct value v = {.text = "1"};
    static struct watch h;

    copal_sim_set_path(w->sim, NULL, NULL, (copal_sim_path){.delay = 3000});
    copal_tune(w->client, NULL, COPAL_P_ACK_TIMEOUT, 10000);
    copal_tune(w->server, NULL, COPAL_P_ACK_TIMEOUT, 10000);
    serve_value(w, &v, COPAL_OBSERVABLE);
    watch(w, &h, URI, 0);
    for (int i = 0; i < 40; i++) {
        char text[8];

        run_seconds(w, MAX_AGE);
        snprintf(text, sizeof(text), "%d", i);
        change(w, &v, text);
        run_seconds(w, 11); /* some of them meet */
        assert_string_equal(h.last, text);
    }
    assert_int_equal(h.silents, 0);
    assert_int_equal(observers(w), 1);
}

static void a_long_representation_is_watched_by_blocks(void **state)
{
    struct world *w = *state;
    static struct value v = {.text = "1", .size = 5000};
    static struct watch h;

    copal_sim_set_path(w->sim, NULL, NULL, (copal_sim_path){.delay = 50});
    serve_value(w, &v, COPAL_OBSERVABLE);
    watch(w, &h, URI, 0);
    run_seconds(w, 2);
    assert_string_equal(h.heard, "R1 ");
    assert_int_equal(h.len, 5000);
    change(w, &v, "2");
    copal_sim_run(w->sim, 200); /* amid its blocks */
    change(w, &v, "3");
    copal_sim_run(w->sim, 200);
    change(w, &v, "4");
    run_seconds(w, 2);
    assert_string_equal(h.heard, "R1 R4 ");
    assert_int_equal(h.len, 5000);
    run_seconds(w, REFRESHED);
    assert_string_equal(h.heard, "R1 R4 ");
    change(w, &v, "5");
    run_seconds(w, 2);
    assert_string_equal(h.heard, "R1 R4 R5 ");
    assert_int_equal(observers(w), 1);
}

/* A TIMEOUT is for the first answer of each registration, not for what follows
 * it. */
static void a_timeout_does_not_end_what_is_answered(void **state)
{
    struct world *w = *state;
    static struct value v = {.text = "1"};
    static struct watch h;

    copal_tune(w->client, NULL, COPAL_P_TIMEOUT, 5000);
    serve_value(w, &v, COPAL_OBSERVABLE);
    watch(w, &h, URI, 0);
    run_seconds(w, 3 * REFRESHED);
    assert_true(v.gets > 2);
    change(w, &v, "2");
    run_seconds(w, 1);
    assert_string_equal(h.heard, "R1 R2 ");
    cut(w);
    run_seconds(w, FOUND_SILENT);
    assert_string_equal(h.heard, "R1 R2 S ");
    assert_int_equal(h.silent_status, COPAL_ETIMEOUT);
    mend(w);
    run_seconds(w, FOUND_BACK);
    assert_string_equal(h.heard, "R1 R2 S + R2 ");
}

/* ---- Paused ---- */

static void who_is_paused_hears_the_newest_afterwards(void **state)
{
    struct world *w = *state;
    static struct value v = {.text = "1"};
    static struct watch h;

    serve_value(w, &v, COPAL_OBSERVABLE);
    watch(w, &h, URI, 0);
    run_seconds(w, 1);
    copal_pause(h.x);
    change(w, &v, "2");
    run_seconds(w, 1);
    change(w, &v, "3");
    run_seconds(w, 1);
    assert_string_equal(h.heard, "R1 ");
    copal_resume(h.x);
    run_seconds(w, 1);
    assert_string_equal(h.heard, "R1 R3 ");
    change(w, &v, "4");
    run_seconds(w, 1);
    assert_string_equal(h.heard, "R1 R3 R4 ");
}

static void a_silence_that_came_and_went_in_a_pause_is_not_told(void **state)
{
    struct world *w = *state;
    static struct value v = {.text = "1"};
    static struct watch h;

    serve_value(w, &v, COPAL_OBSERVABLE);
    watch(w, &h, URI, 0);
    run_seconds(w, 1);
    copal_pause(h.x);
    cut(w);
    run_seconds(w, FOUND_SILENT);
    mend(w);
    run_seconds(w, FOUND_BACK);
    copal_resume(h.x);
    run_seconds(w, 1);
    assert_string_equal(h.heard, "R1 R1 ");
    copal_pause(h.x);
    change(w, &v, "2");
    run_seconds(w, 1);
    cut(w);
    run_seconds(w, FOUND_SILENT);
    copal_resume(h.x);
    run_seconds(w, 1);
    assert_string_equal(h.heard, "R1 R1 R2 S ");
    copal_pause(h.x);
    mend(w);
    run_seconds(w, FOUND_BACK);
    copal_resume(h.x);
    run_seconds(w, 1);
    assert_string_equal(h.heard, "R1 R1 R2 S + R2 ");
}

static void who_is_paused_may_cancel(void **state)
{
    struct world *w = *state;
    static struct value v = {.text = "1"};
    static struct watch h;

    serve_value(w, &v, COPAL_OBSERVABLE);
    watch(w, &h, URI, 0);
    run_seconds(w, 1);
    copal_pause(h.x);
    change(w, &v, "2");
    cut(w);
    run_seconds(w, FOUND_SILENT);
    copal_cancel(h.x);
    run_seconds(w, 1);
    assert_string_equal(h.heard, "R1 E");
    assert_int_equal(h.end_status, COPAL_ECANCEL);
}

static void cancelling_ends_it(void **state)
{
    struct world *w = *state;
    static struct value v = {.text = "1"};
    static struct watch h;

    serve_value(w, &v, COPAL_OBSERVABLE);
    watch(w, &h, URI, 0);
    run_seconds(w, 1);
    assert_int_equal(copal_cancel(h.x), 0);
    run_seconds(w, 1);
    change(w, &v, "2");
    run_seconds(w, 600);
    assert_string_equal(h.heard, "R1 E");
    assert_int_equal(h.end_status, COPAL_ECANCEL);
}

/* ---- Its end ---- */

static void it_may_be_cancelled_from_its_own_callback(void **state)
{
    struct world *w = *state;
    static struct value v = {.text = "1"};
    static struct watch h;

    serve_value(w, &v, COPAL_OBSERVABLE);
    watch(w, &h, URI, 5000);
    h.frees_at_silence = true;
    run_seconds(w, 1);
    copal_sim_set_path(w->sim, NULL, NULL, (copal_sim_path){.loss = 100});
    run_seconds(w, 600);
    assert_string_equal(h.heard, "R1 S E");
    assert_int_equal(h.end_status, COPAL_ECANCEL);
}

/* ---- What cannot be watched ---- */

static void what_cannot_be_observed_is_heard_once(void **state)
{
    struct world *w = *state;
    static struct value v = {.text = "1"};
    static struct watch h;

    serve_value(w, &v, 0);
    watch(w, &h, URI, 0);
    run_seconds(w, 600);
    assert_string_equal(h.heard, "R1 E");
    assert_int_equal(h.end_status, COPAL_ENOTOBS);
    assert_int_equal(v.gets, 1);
}

static void an_error_as_first_answer_ends_it(void **state)
{
    struct world *w = *state;
    static struct watch h;

    watch(w, &h, "coap://server/none", 0);
    run_seconds(w, 600);
    assert_string_equal(h.heard, "R E");
    assert_int_equal(h.code, COPAL_NOT_FOUND);
    assert_int_equal(h.end_status, COPAL_ENOTOBS);
    assert_non_null(strstr(h.text, "4.04"));
}

/* RFC 7252 5.9.3.4. */
static void after_5_03_it_asks_when_max_age_is_over(void **state)
{
    struct world *w = *state;
    static struct value v = {.text = "1"};
    static struct watch h;

    serve_value(w, &v, COPAL_OBSERVABLE);
    watch(w, &h, URI, 0);
    run_seconds(w, 1);
    v.code = COPAL_UNAVAILABLE;
    v.max_age = 30;
    change(w, &v, "later");
    run_seconds(w, 1);
    v.code = COPAL_CONTENT;
    assert_string_equal(h.heard, "R1 Rlater S ");
    run_seconds(w, 28);
    assert_int_equal(v.gets, 2);
    run_seconds(w, 2 + 6);
    assert_string_equal(h.heard, "R1 Rlater S + Rlater ");
}

static void what_cannot_heal_ends_it_at_once(void **state)
{
    struct world *w = *state;
    static struct watch h;

    watch(w, &h, "http://server/t", 0);
    run_seconds(w, 1);
    assert_string_equal(h.heard, "E");
    assert_int_equal(h.end_status, COPAL_EURI);
}

static void the_end_of_the_endpoint_ends_it(void **state)
{
    struct world *w = *state;
    static struct value v = {.text = "1"};
    static struct watch h;

    serve_value(w, &v, COPAL_OBSERVABLE);
    watch(w, &h, URI, 0);
    run_seconds(w, 1);
    copal_free(w->client);
    w->client = NULL;
    assert_string_equal(h.heard, "R1 E");
    assert_int_equal(h.end_status, COPAL_ECLOSED);
}

/* Both while it observes and while it only waits to try again. */
static void closing_the_endpoint_ends_it(void **state)
{
    struct world *w = *state;
    static struct watch answered, waiting;
    static struct value v = {.text = "1"};

    serve_value(w, &v, COPAL_OBSERVABLE);
    watch(w, &answered, URI, 0);
    watch(w, &waiting, "coap://nobody/t", 0);
    run_seconds(w, 1);
    assert_string_equal(answered.heard, "R1 ");
    assert_string_equal(waiting.heard, "S ");
    copal_close(w->client, 60000);
    run_seconds(w, 1);
    assert_string_equal(answered.heard, "R1 E");
    assert_string_equal(waiting.heard, "S E");
    assert_int_equal(answered.end_status, COPAL_ECANCEL);
    assert_int_equal(waiting.end_status, COPAL_ECANCEL);
}

/* ---- Sweeps ---- */

static struct value swept;

static void watch_through_a_reboot(struct world *w)
{
    struct record *r = next_record(w);
    copal_msg *m = copal_msg_new(w->client, COPAL_GET);

    swept = (struct value){.text = "1", .etag = "A"};
    serve_value(w, &swept, COPAL_OBSERVABLE);
    copal_msg_set_uri(m, URI);
    copal_msg_set_flags(m, COPAL_WATCH);
    r->is_asked = true;
    r->exchange = copal_request(w->client, m, recording(r));
    r->is_begun = r->exchange != NULL;
    copal_msg_unref(m);
    run_seconds(w, 30);
    copal_unserve(w->server, "/t");
    run_seconds(w, 30);
    serve_value(w, &swept, COPAL_OBSERVABLE);
    run_seconds(w, 300);
}

static void a_watch_survives_a_failing_allocation(void **state)
{
    (void)state;
    for_each_failed_allocation(watch_through_a_reboot);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, build, tear_down)
    const struct CMUnitTest tests[] = {
        TEST(every_notification_is_heard),
        TEST(max_age_passes_before_it_asks_again),
        TEST(clients_do_not_ask_again_all_at_once),
        TEST(the_same_value_is_no_news_when_it_was_asked_for),
        TEST(what_is_known_by_its_etag_is_not_sent_again),
        TEST(a_notification_that_crosses_its_asking_is_heard),
        TEST(a_long_representation_is_watched_by_blocks),
        TEST(a_timeout_does_not_end_what_is_answered),
        TEST(who_is_paused_hears_the_newest_afterwards),
        TEST(a_silence_that_came_and_went_in_a_pause_is_not_told),
        TEST(who_is_paused_may_cancel),
        TEST(cancelling_ends_it),
        TEST(it_may_be_cancelled_from_its_own_callback),
        TEST(what_cannot_be_observed_is_heard_once),
        TEST(an_error_as_first_answer_ends_it),
        TEST(after_5_03_it_asks_when_max_age_is_over),
        TEST(what_cannot_heal_ends_it_at_once),
        TEST(the_end_of_the_endpoint_ends_it),
        TEST(closing_the_endpoint_ends_it),
        cmocka_unit_test(a_watch_survives_a_failing_allocation),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
