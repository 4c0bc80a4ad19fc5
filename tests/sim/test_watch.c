/* serve/watch: an observation that goes on by itself and never falls silent
 * without telling. RFC 7641 3.3.1. */
#include "support.h"

enum {
    MAX_AGE = 20 /* s, of what the server gives */
};

/* What the watcher heard, as one line: "R" a response with its payload, "S"
 * silent, "+" resumed, "E" the end. Static in each test, as END comes with the
 * tear-down. */
struct watch {
    struct world *world;
    char heard[512];
    char text[256];
    int silent_status, end_status, code;
    uint64_t silent_at, end_at;
    copal_exchange *x;
    bool frees_at_silence;
};

static void append(struct watch *h, const char *format, const char *what)
{
    size_t used = strlen(h->heard);

    snprintf(h->heard + used, sizeof(h->heard) - used, format, what);
}

static void hear_response(struct watch *h, const copal_msg *m)
{
    copal_bytes body = copal_msg_payload(m);
    char text[32];

    h->code = copal_msg_code(m);
    snprintf(text, sizeof(text), "%.*s", (int)body.len,
             body.len == 0 ? "" : (const char *)body.data);
    append(h, "R%s ", text);
}

static void hear(const copal_event *ev, void *user)
{
    struct watch *h = user;

    assert_ptr_equal(ev->exchange, h->x);
    switch (ev->kind) {
    case COPAL_RESPONSE: hear_response(h, ev->msg); break;
    case COPAL_RESUMED: append(h, "+ ", NULL); break;
    case COPAL_SILENT:
        append(h, "S ", NULL);
        h->silent_status = ev->status;
        h->silent_at = copal_sim_now(h->world->sim);
        if (h->frees_at_silence)
            copal_cancel(ev->exchange);
        break;
    case COPAL_END:
        append(h, "E", NULL);
        h->end_status = ev->status;
        h->end_at = copal_sim_now(h->world->sim);
        break;
    default: fail_msg("kind %d", ev->kind);
    }
    if (ev->text != NULL)
        snprintf(h->text, sizeof(h->text), "%s", ev->text);
}

/* ---- The watched ---- */

struct value {
    char text[16];
    uint32_t max_age; /* s */
    const char *etag;
    int code;
    int gets;
};

static void answer_value(const copal_event *ev, void *user)
{
    struct value *v = user;
    copal_msg *m;

    if (ev->kind != COPAL_REQUEST)
        return;
    v->gets++;
    m = copal_msg_new(copal_exchange_endpoint(ev->exchange), v->code);
    copal_msg_add_uint(m, COPAL_OPT_MAX_AGE, v->max_age);
    if (v->etag != NULL)
        copal_msg_add(m, COPAL_OPT_ETAG,
                      (copal_bytes){(const uint8_t *)v->etag, 1});
    copal_msg_set_payload(
        m, COPAL_TEXT,
        (copal_bytes){(const uint8_t *)v->text, strlen(v->text)});
    copal_respond(ev->exchange, m);
    copal_msg_unref(m);
}

static void serve_value(struct world *w, struct value *v, unsigned flags)
{
    v->max_age = MAX_AGE;
    if (v->code == 0)
        v->code = COPAL_CONTENT;
    copal_serve(w->server, COPAL_GET, "/t", flags, COPAL_CB(answer_value, v));
}

static void change(struct world *w, struct value *v, const char *text)
{
    snprintf(v->text, sizeof(v->text), "%s", text);
    copal_notify(w->server, "/t");
}

static void run(struct world *w, unsigned seconds)
{
    copal_sim_run(w->sim, 1000ull * seconds);
}

static void reboot(struct world *w, struct value *v)
{
    copal_free(w->server);
    w->server = add_host(w, "server");
    assert_non_null(w->server);
    if (v != NULL)
        serve_value(w, v, COPAL_OBSERVABLE);
}

/* silence: ms, 0: by Max-Age. */
static void watch(struct world *w, struct watch *h, const char *uri,
                  int64_t silence)
{
    copal_msg *m = copal_msg_new(w->client, COPAL_GET);

    *h = (struct watch){.world = w, .end_status = 1, .silent_status = 1};
    copal_msg_set_uri(m, uri);
    copal_msg_set_flags(m, COPAL_WATCH);
    copal_msg_tune(m, COPAL_P_SILENCE, silence);
    h->x = copal_request(w->client, m, COPAL_CB(hear, h));
    copal_msg_unref(m);
}

#define URI "coap://server/t"

/* ---- While all is well ---- */

static void every_notification_is_heard(void **state)
{
    struct world *w = *state;
    static struct value v = {.text = "1"};
    static struct watch h;

    serve_value(w, &v, COPAL_OBSERVABLE);
    watch(w, &h, URI, 0);
    run(w, 1);
    change(w, &v, "2");
    run(w, 1);
    change(w, &v, "3");
    run(w, 1);
    assert_string_equal(h.heard, "R1 R2 R3 ");
}

static void what_does_not_change_is_asked_for_when_max_age_is_over(void **state)
{
    struct world *w = *state;
    static struct value v = {.text = "1"};
    static struct watch h;

    serve_value(w, &v, COPAL_OBSERVABLE);
    watch(w, &h, URI, 0);
    run(w, 1);
    run(w, MAX_AGE);
    assert_string_equal(h.heard, "R1 ");
    run(w, 2);
    assert_string_equal(h.heard, "R1 R1 ");
    run(w, MAX_AGE + 2);
    assert_string_equal(h.heard, "R1 R1 R1 ");
    /* Still registered, and once. */
    change(w, &v, "2");
    run(w, 1);
    assert_string_equal(h.heard, "R1 R1 R1 R2 ");
}

/* RFC 7641 3.3.2: the ETag of what we have goes along. */
static void what_is_known_by_its_etag_is_not_sent_again(void **state)
{
    struct world *w = *state;
    static struct value v = {.text = "1", .etag = "A"};
    static struct watch h;

    serve_value(w, &v, COPAL_OBSERVABLE);
    watch(w, &h, URI, 0);
    run(w, MAX_AGE + 5);
    assert_string_equal(h.heard, "R1 R1 ");
    assert_int_equal(h.code, COPAL_CONTENT);
    assert_int_equal(count_in_transcript(w, "2.03"), 1);
    v.etag = "B";
    change(w, &v, "2");
    run(w, 1);
    v.etag = "A";
    change(w, &v, "1");
    run(w, 1);
    assert_string_equal(h.heard, "R1 R1 R2 R1 ");
    assert_int_equal(h.code, COPAL_CONTENT);
}

static void cancelling_ends_it(void **state)
{
    struct world *w = *state;
    static struct value v = {.text = "1"};
    static struct watch h;

    serve_value(w, &v, COPAL_OBSERVABLE);
    watch(w, &h, URI, 0);
    run(w, 1);
    assert_int_equal(copal_cancel(h.x), 0);
    run(w, 1);
    change(w, &v, "2");
    run(w, 600);
    assert_string_equal(h.heard, "R1 E");
    assert_int_equal(h.end_status, COPAL_ECANCEL);
}

/* ---- Silence ---- */

static void a_lost_server_is_told_and_so_is_its_return(void **state)
{
    struct world *w = *state;
    static struct value v = {.text = "1"};
    static struct watch h;

    serve_value(w, &v, COPAL_OBSERVABLE);
    watch(w, &h, URI, 0);
    run(w, 1);
    copal_sim_set_path(w->sim, NULL, NULL, (copal_sim_path){.loss = 100});
    run(w, MAX_AGE + 8);
    assert_string_equal(h.heard, "R1 ");
    run(w, 2);
    assert_string_equal(h.heard, "R1 S ");
    assert_int_equal(h.silent_status, COPAL_ETIMEOUT);
    assert_non_null(strstr(h.text, URI));
    assert_non_null(strstr(h.text, "30 s"));
    run(w, 600);
    /* One reason, told once. */
    assert_string_equal(h.heard, "R1 S ");
    copal_sim_set_path(w->sim, NULL, NULL, (copal_sim_path){0});
    snprintf(v.text, sizeof(v.text), "2");
    run(w, 100);
    assert_memory_equal(h.heard, "R1 S + R2 ", 10);
    assert_null(strstr(h.heard + 10, "S"));
}

static void silence_may_be_shorter_than_max_age(void **state)
{
    struct world *w = *state;
    static struct value v = {.text = "1"};
    static struct watch h;

    serve_value(w, &v, COPAL_OBSERVABLE);
    watch(w, &h, URI, 5000);
    run(w, 1);
    copal_sim_set_path(w->sim, NULL, NULL, (copal_sim_path){.loss = 100});
    run(w, 10);
    assert_string_equal(h.heard, "R1 S ");
    assert_in_range(h.silent_at, 5000, 5100);
}

static void an_answer_that_never_came_is_silence_too(void **state)
{
    struct world *w = *state;
    static struct value v = {.text = "1"};
    static struct watch h;

    serve_value(w, &v, COPAL_OBSERVABLE);
    copal_sim_set_path(w->sim, NULL, NULL, (copal_sim_path){.loss = 100});
    watch(w, &h, URI, 5000);
    run(w, 6);
    assert_string_equal(h.heard, "S ");
    assert_int_equal(h.silent_status, COPAL_ETIMEOUT);
    copal_sim_set_path(w->sim, NULL, NULL, (copal_sim_path){0});
    run(w, 10);
    assert_memory_equal(h.heard, "S + R1 ", 7);
}

static void a_rebooted_server_is_asked_again(void **state)
{
    struct world *w = *state;
    static struct value v = {.text = "1"};
    static struct watch h;

    serve_value(w, &v, COPAL_OBSERVABLE);
    watch(w, &h, URI, 0);
    run(w, 1);
    reboot(w, &v);
    snprintf(v.text, sizeof(v.text), "2");
    run(w, MAX_AGE + 2);
    assert_string_equal(h.heard, "R1 R2 ");
    change(w, &v, "3");
    run(w, 1);
    assert_string_equal(h.heard, "R1 R2 R3 ");
}

static void a_resource_that_went_away_is_waited_for(void **state)
{
    struct world *w = *state;
    static struct value v = {.text = "1"};
    static struct watch h;

    serve_value(w, &v, COPAL_OBSERVABLE);
    watch(w, &h, URI, 0);
    run(w, 1);
    copal_unserve(w->server, "/t");
    run(w, 200);
    assert_string_equal(h.heard, "R1 R S ");
    assert_int_equal(h.silent_status, COPAL_ENOTOBS);
    assert_non_null(strstr(h.text, "4.04"));
    /* 1, 2, 4, ... 60 s between attempts. */
    assert_in_range(count_in_transcript(w, "4.04"), 7, 11);
    snprintf(v.text, sizeof(v.text), "2");
    serve_value(w, &v, COPAL_OBSERVABLE);
    run(w, 61);
    assert_memory_equal(h.heard, "R1 R S + R2 ", 12);
}

static void who_observes_no_more_is_asked_again(void **state)
{
    struct world *w = *state;
    static struct value v = {.text = "1"};
    static struct watch h;

    serve_value(w, &v, COPAL_OBSERVABLE);
    watch(w, &h, URI, 0);
    run(w, 1);
    copal_free(w->server);
    w->server = add_host(w, "server");
    serve_value(w, &v, 0);
    run(w, MAX_AGE + 2);
    assert_memory_equal(h.heard, "R1 R1 S ", 8);
    assert_int_equal(h.silent_status, COPAL_ENOTOBS);
}

static void it_may_be_cancelled_from_its_own_callback(void **state)
{
    struct world *w = *state;
    static struct value v = {.text = "1"};
    static struct watch h;

    serve_value(w, &v, COPAL_OBSERVABLE);
    watch(w, &h, URI, 5000);
    h.frees_at_silence = true;
    run(w, 1);
    copal_sim_set_path(w->sim, NULL, NULL, (copal_sim_path){.loss = 100});
    run(w, 600);
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
    run(w, 600);
    assert_string_equal(h.heard, "R1 E");
    assert_int_equal(h.end_status, COPAL_ENOTOBS);
    assert_int_equal(v.gets, 1);
}

static void an_error_as_first_answer_ends_it(void **state)
{
    struct world *w = *state;
    static struct watch h;

    watch(w, &h, "coap://server/none", 0);
    run(w, 600);
    assert_string_equal(h.heard, "R E");
    assert_int_equal(h.code, COPAL_NOT_FOUND);
    assert_int_equal(h.end_status, COPAL_ENOTOBS);
    assert_non_null(strstr(h.text, "4.04"));
}

/* RFC 8516 4; also as the first answer, for it promises that waiting helps. */
static void after_4_29_it_asks_when_max_age_is_over(void **state)
{
    struct world *w = *state;
    static struct value v = {.text = "slowly", .code = COPAL_TOO_MANY_REQUESTS};
    static struct watch h;

    serve_value(w, &v, COPAL_OBSERVABLE);
    v.max_age = 100;
    watch(w, &h, URI, 0);
    run(w, 1);
    assert_string_equal(h.heard, "Rslowly S ");
    assert_int_equal(h.silent_status, COPAL_ENOTOBS);
    assert_non_null(strstr(h.text, "4.29"));
    assert_non_null(strstr(h.text, "in 100 s"));
    run(w, 98);
    assert_int_equal(v.gets, 1);
    run(w, 2);
    assert_int_equal(v.gets, 2);
    v.code = COPAL_CONTENT;
    run(w, 100);
    assert_string_equal(h.heard, "Rslowly S + Rslowly ");
    assert_int_equal(v.gets, 3);
}

/* RFC 7252 5.9.3.4. */
static void after_5_03_it_asks_when_max_age_is_over(void **state)
{
    struct world *w = *state;
    static struct value v = {.text = "1"};
    static struct watch h;

    serve_value(w, &v, COPAL_OBSERVABLE);
    watch(w, &h, URI, 0);
    run(w, 1);
    v.code = COPAL_UNAVAILABLE;
    v.max_age = 30;
    change(w, &v, "later");
    run(w, 1);
    v.code = COPAL_CONTENT;
    assert_string_equal(h.heard, "R1 Rlater S ");
    run(w, 28);
    assert_int_equal(v.gets, 2);
    run(w, 2);
    assert_string_equal(h.heard, "R1 Rlater S + Rlater ");
}

static void what_cannot_heal_ends_it_at_once(void **state)
{
    struct world *w = *state;
    static struct watch h;

    watch(w, &h, "http://server/t", 0);
    run(w, 1);
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
    run(w, 1);
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
    run(w, 1);
    assert_string_equal(answered.heard, "R1 ");
    assert_string_equal(waiting.heard, "S ");
    copal_close(w->client, 60000);
    run(w, 1);
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
    run(w, 30);
    copal_unserve(w->server, "/t");
    run(w, 30);
    serve_value(w, &swept, COPAL_OBSERVABLE);
    run(w, 300);
}

static void a_watch_survives_a_failing_allocation(void **state)
{
    (void)state;
    for_each_failed_allocation(watch_through_a_reboot);
}

static void watch_in_a_storm(struct world *w)
{
    struct record *r = next_record(w);

    swept = (struct value){.text = "1"};
    serve_value(w, &swept, COPAL_OBSERVABLE);
    r->is_asked = r->is_begun = true;
    r->exchange = copal_watch(w->client, URI, recording(r));
    run(w, 3600);
    assert_int_equal(r->ends, 0);
    assert_true(r->responses > 100);
}

static void a_watch_goes_on_in_bad_weather(void **state)
{
    (void)state;
    bad_weather(watch_in_a_storm, 20);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, build, tear_down)
    const struct CMUnitTest tests[] = {
        TEST(every_notification_is_heard),
        TEST(what_does_not_change_is_asked_for_when_max_age_is_over),
        TEST(what_is_known_by_its_etag_is_not_sent_again),
        TEST(cancelling_ends_it),
        TEST(a_lost_server_is_told_and_so_is_its_return),
        TEST(silence_may_be_shorter_than_max_age),
        TEST(an_answer_that_never_came_is_silence_too),
        TEST(a_rebooted_server_is_asked_again),
        TEST(a_resource_that_went_away_is_waited_for),
        TEST(who_observes_no_more_is_asked_again),
        TEST(it_may_be_cancelled_from_its_own_callback),
        TEST(what_cannot_be_observed_is_heard_once),
        TEST(an_error_as_first_answer_ends_it),
        TEST(after_4_29_it_asks_when_max_age_is_over),
        TEST(after_5_03_it_asks_when_max_age_is_over),
        TEST(what_cannot_heal_ends_it_at_once),
        TEST(the_end_of_the_endpoint_ends_it),
        TEST(closing_the_endpoint_ends_it),
        cmocka_unit_test(a_watch_survives_a_failing_allocation),
        cmocka_unit_test(a_watch_goes_on_in_bad_weather),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
