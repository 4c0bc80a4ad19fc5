/* What a watch lives through: its server's death and silence, refusals, moves;
 * each told once, and healed by itself. */
#include "bodies.h"
#include "watching.h"
#include <stdlib.h>

/* ---- The server ---- */

static void a_server_killed_and_begun_anew_is_heard_again(void **state)
{
    struct world *w = *state;
    static struct value v = {.text = "1"};
    static struct watch h;

    serve_value(w, &v, COPAL_OBSERVABLE);
    watch(w, &h, URI, 0);
    run_seconds(w, 1);
    kill_server(w);
    run_seconds(w, FOUND_SILENT);
    assert_string_equal(h.heard, "R1 S ");
    assert_int_equal(h.silent_status, COPAL_ETIMEOUT);
    assert_non_null(strstr(h.text, URI));
    run_seconds(w, 600);
    assert_string_equal(h.heard, "R1 S ");
    snprintf(v.text, sizeof(v.text), "2");
    begin_server(w, &v);
    run_seconds(w, FOUND_BACK);
    assert_string_equal(h.heard, "R1 S + R2 ");
    change(w, &v, "3");
    run_seconds(w, 1);
    assert_string_equal(h.heard, "R1 S + R2 R3 ");
    assert_int_equal(observers(w), 1);
}

/* Nothing was missed but what changed meanwhile. */
static void a_server_that_forgot_us_is_told_again_who_listens(void **state)
{
    struct world *w = *state;
    static struct value v = {.text = "1"};
    static struct watch h;

    serve_value(w, &v, COPAL_OBSERVABLE);
    watch(w, &h, URI, 0);
    run_seconds(w, 1);
    for (int i = 0; i < 30; i++) { /* its numbers are far beyond the first */
        change(w, &v, "1");
        run_seconds(w, 1);
    }
    kill_server(w);
    begin_server(w, &v);
    snprintf(v.text, sizeof(v.text), "2");
    run_seconds(w, REFRESHED);
    assert_string_equal(h.last, "2");
    change(w, &v, "3");
    run_seconds(w, 1);
    assert_string_equal(h.last, "3");
    assert_int_equal(h.silents, 0);
}

/* The same, if it answers separately and has begun to count anew. */
static void respond_later(const copal_event *ev, void *user)
{
    (void)ev;
    copal_reply_text(user, COPAL_CONTENT, "2");
}

static void let_go(void *user)
{
    copal_exchange_unref(user);
}

static void answer_later(const copal_event *ev, void *user)
{
    if (ev->kind == COPAL_REQUEST)
        copal_after(user, 1000,
                    COPAL_CB_OWN(respond_later,
                                 copal_exchange_ref(ev->exchange), let_go));
}

static void a_separate_answer_after_a_reboot_is_no_old_one(void **state)
{
    struct world *w = *state;
    static struct value v = {.text = "1"};
    static struct watch h;

    serve_value(w, &v, COPAL_OBSERVABLE);
    watch(w, &h, URI, 0);
    run_seconds(w, 1);
    for (int i = 0; i < 30; i++) {
        change(w, &v, "1");
        run_seconds(w, 1);
    }
    kill_server(w);
    begin_server(w, NULL);
    copal_serve(w->server, COPAL_GET, "/t", COPAL_OBSERVABLE,
                COPAL_CB(answer_later, w->server));
    run_seconds(w, REFRESHED + 2);
    assert_string_equal(h.last, "2");
    assert_int_equal(h.silents, 0);
}

static void thirty_seconds_of_silence_are_told_and_their_end(void **state)
{
    struct world *w = *state;
    static struct value v = {.text = "1"};
    static struct watch h;

    serve_value(w, &v, COPAL_OBSERVABLE);
    watch(w, &h, URI, 30000);
    run_seconds(w, 1);
    cut(w);
    run_seconds(w, 28);
    assert_string_equal(h.heard, "R1 ");
    run_seconds(w, 2);
    assert_string_equal(h.heard, "R1 S ");
    assert_in_range(h.silent_at, 30000, 30100);
    assert_non_null(strstr(h.text, "30 s"));
    mend(w);
    run_seconds(w, FOUND_BACK);
    assert_string_equal(h.heard, "R1 S + R1 ");
}

/* Silence is not the same as nothing new: it asks in time. */
static void what_does_not_change_is_not_silent(void **state)
{
    struct world *w = *state;
    static struct value v = {.text = "1", .max_age = 3600};
    static struct watch h;

    serve_value(w, &v, COPAL_OBSERVABLE);
    watch(w, &h, URI, 30000);
    run_seconds(w, 7200);
    assert_string_equal(h.heard, "R1 ");
    assert_in_range(v.gets, 7200 / 30, 7200 / 18);
    assert_int_equal(observers(w), 1);
}

static void a_refused_port_is_told_at_once(void **state)
{
    struct world *w = *state;
    static struct value v = {.text = "1"};
    static struct watch h;

    copal_sim_refuse(w->sim, "server", 1);
    serve_value(w, &v, COPAL_OBSERVABLE);
    watch(w, &h, URI, 0);
    run_seconds(w, 1);
    kill_server(w);
    run_seconds(w, REFRESHED);
    assert_string_equal(h.heard, "R1 S ");
    assert_int_equal(h.silent_status, COPAL_EREFUSED);
    assert_non_null(strstr(h.text, "asks again in 1 s"));
    run_seconds(w, 600);
    snprintf(v.text, sizeof(v.text), "2");
    begin_server(w, &v);
    run_seconds(w, 61);
    assert_string_equal(h.heard, "R1 S + R2 ");
}

static void who_was_not_there_yet_is_waited_for(void **state)
{
    struct world *w = *state;
    static struct value v = {.text = "1"};
    static struct watch h;

    copal_sim_refuse(w->sim, "server", 1);
    kill_server(w);
    watch(w, &h, URI, 0);
    run_seconds(w, 10);
    assert_string_equal(h.heard, "S ");
    begin_server(w, &v);
    run_seconds(w, 61);
    assert_string_equal(h.heard, "S + R1 ");
}

static void an_answer_that_never_came_is_silence_too(void **state)
{
    struct world *w = *state;
    static struct value v = {.text = "1"};
    static struct watch h;

    serve_value(w, &v, COPAL_OBSERVABLE);
    cut(w);
    watch(w, &h, URI, 0);
    run_seconds(w, 12);
    assert_string_equal(h.heard, "S ");
    assert_int_equal(h.silent_status, COPAL_ETIMEOUT);
    mend(w);
    run_seconds(w, 10);
    assert_string_equal(h.heard, "S + R1 ");
}

/* A reboot within the exchange: it acknowledged, and knows of nothing. */
static void who_acknowledged_and_forgot_is_asked_again(void **state)
{
    struct world *w = *state;
    static struct value v = {.text = "1"};
    static struct watch h;

    copal_serve(w->server, COPAL_GET, "/t", COPAL_OBSERVABLE,
                COPAL_CB(answer_later, w->server));
    watch(w, &h, URI, 0);
    copal_sim_run(w->sim, 500);
    kill_server(w);
    begin_server(w, &v);
    run_seconds(w, 260);
    assert_string_equal(h.heard, "S + R1 ");
}

static void attempts_come_rarer_and_not_all_together(void **state)
{
    struct world *w = *state;
    static struct watch h;
    const char *line;
    double last = 0, gap = 0, longest = 0;
    int count = 0;

    copal_sim_refuse(w->sim, "server", 1);
    kill_server(w);
    watch(w, &h, URI, 0);
    run_seconds(w, 3600);
    line = copal_sim_transcript(w->sim);
    for (; (line = strstr(line, " client > server CON GET")) != NULL; line++) {
        const char *from = line;
        double at;

        while (from > copal_sim_transcript(w->sim) && from[-1] != '\n')
            from--;
        at = strtod(from, NULL);
        gap = at - last;
        last = at;
        longest = gap > longest ? gap : longest;
        count++;
    }
    assert_in_range(count, 3600 / 60, 3600 / 30 + 12);
    assert_in_range((int)longest, 40000, 60100);
    assert_int_equal(h.silents, 1);
}

/* Whoever has the address now does not speak this part of CoAP, for once. */
static void a_reset_is_told_and_healed(void **state)
{
    struct world *w = *state;
    static struct value v = {.text = "1"};
    static struct watch h;
    struct tap *t;
    uint8_t rst[4] = {0x70, 0};

    serve_value(w, &v, COPAL_OBSERVABLE);
    watch(w, &h, URI, 0);
    run_seconds(w, 1);
    copal_sim_set_path(w->sim, "client", "server",
                       (copal_sim_path){.loss = 100});
    t = tap_of(w->client);
    for (int i = 0; i < REFRESHED && t->count == 0; i++)
        run_seconds(w, 1);
    assert_string_equal(t->type, "CON");
    rst[2] = (uint8_t)(t->mid >> 8);
    rst[3] = (uint8_t)t->mid;
    copal_sim_inject(w->sim, "server", "client", (copal_bytes){rst, 4});
    copal_sim_set_path(w->sim, "client", "server", (copal_sim_path){0});
    run_seconds(w, 2);
    assert_string_equal(h.heard, "R1 S + R1 ");
    assert_int_equal(h.silent_status, COPAL_ERESET);
}

/* ---- Moves ---- */

static void a_client_that_moved_is_told_what_it_missed(void **state)
{
    struct world *w = *state;
    static struct value v = {.text = "1"};
    static struct watch h;

    serve_value(w, &v, COPAL_OBSERVABLE);
    watch(w, &h, URI, 0);
    run_seconds(w, 1);
    copal_sim_move(w->sim, "client");
    change(w, &v, "2");
    run_seconds(w, REFRESHED);
    assert_string_equal(h.heard, "R1 R2 ");
    change(w, &v, "3");
    run_seconds(w, 5);
    assert_string_equal(h.heard, "R1 R2 R3 ");
}

static void a_server_that_moved_is_found_by_its_name(void **state)
{
    struct world *w = *state;
    static struct value v = {.text = "1"};
    static struct watch h;

    serve_value(w, &v, COPAL_OBSERVABLE);
    watch(w, &h, URI, 0);
    run_seconds(w, 1);
    copal_sim_move(w->sim, "server");
    snprintf(v.text, sizeof(v.text), "2");
    run_seconds(w, FOUND_SILENT + 1);
    assert_string_equal(h.heard, "R1 S + R2 ");
    change(w, &v, "3");
    run_seconds(w, 1);
    assert_string_equal(h.heard, "R1 S + R2 R3 ");
}

/* ---- What the server says ---- */

static void a_resource_that_went_away_is_waited_for(void **state)
{
    struct world *w = *state;
    static struct value v = {.text = "1"};
    static struct watch h;

    serve_value(w, &v, COPAL_OBSERVABLE);
    watch(w, &h, URI, 0);
    run_seconds(w, 1);
    copal_unserve(w->server, "/t");
    run_seconds(w, 200);
    assert_string_equal(h.heard, "R1 R S ");
    assert_int_equal(h.silent_status, COPAL_ENOTOBS);
    assert_non_null(strstr(h.text, "4.04"));
    assert_in_range(count_in_transcript(w, "4.04"), 7, 14);
    snprintf(v.text, sizeof(v.text), "2");
    serve_value(w, &v, COPAL_OBSERVABLE);
    run_seconds(w, 61);
    assert_string_equal(h.heard, "R1 R S + R2 ");
}

/* Each new reason is told, and heard is heard. */
static void another_error_is_news(void **state)
{
    struct world *w = *state;
    static struct value v = {.text = "1"};
    static struct watch h;

    serve_value(w, &v, COPAL_OBSERVABLE);
    watch(w, &h, URI, 0);
    run_seconds(w, 1);
    copal_unserve(w->server, "/t");
    run_seconds(w, 60);
    v.code = COPAL_FORBIDDEN;
    snprintf(v.text, sizeof(v.text), "no");
    serve_value(w, &v, COPAL_OBSERVABLE);
    run_seconds(w, 200);
    assert_string_equal(h.heard, "R1 R S + Rno S ");
    assert_non_null(strstr(h.text, "4.03"));
}

static void who_observes_no_more_is_asked_again(void **state)
{
    struct world *w = *state;
    static struct value v = {.text = "1"};
    static struct watch h;

    serve_value(w, &v, COPAL_OBSERVABLE);
    watch(w, &h, URI, 0);
    run_seconds(w, 1);
    kill_server(w);
    begin_server(w, NULL);
    serve_value(w, &v, 0);
    run_seconds(w, 300);
    assert_string_equal(h.heard, "R1 S ");
    assert_int_equal(h.silent_status, COPAL_ENOTOBS);
    assert_non_null(strstr(h.text, "does not observe any more"));
    snprintf(v.text, sizeof(v.text), "2");
    run_seconds(w, 61);
    assert_string_equal(h.heard, "R1 S + R2 S ");
}

/* Waits as long as the server says, and not much longer. */
static void waits_as_told(int code, uint32_t max_age, unsigned from,
                          unsigned to)
{
    void *fixture;
    struct world *w;
    static struct value v;
    static struct watch h;
    uint64_t asked_at;

    assert_int_equal(build(&fixture), 0);
    w = fixture;
    v = (struct value){.text = "busy", .code = code, .max_age = max_age};
    serve_value(w, &v, COPAL_OBSERVABLE);
    watch(w, &h, URI, 0);
    run_seconds(w, 1);
    assert_string_equal(h.heard, "Rbusy S ");
    assert_int_equal(h.silent_status, COPAL_ENOTOBS);
    asked_at = h.heard_at;
    v.code = 0;
    snprintf(v.text, sizeof(v.text), "1");
    run_seconds(w, 400);
    assert_memory_equal(h.heard, "Rbusy S + R1 ", 13);
    assert_in_range(h.heard_at - asked_at, 1000 * from, 1000 * to);
    tear_down(&fixture);
}

static void too_many_requests_is_heeded(void **state)
{
    (void)state;
    waits_as_told(COPAL_TOO_MANY_REQUESTS, 200, 200, 206);
    waits_as_told(COPAL_TOO_MANY_REQUESTS, 10, 10, 13);
    waits_as_told(COPAL_TOO_MANY_REQUESTS, UINT32_MAX, 60, 66);
}

static void an_unavailable_server_is_given_its_time(void **state)
{
    (void)state;
    waits_as_told(COPAL_UNAVAILABLE, 100, 100, 106);
    waits_as_told(COPAL_UNAVAILABLE, UINT32_MAX, 0, 4);
    waits_as_told(COPAL_GATEWAY_TIMEOUT, 100, 0, 4);
}

/* ---- Weather ---- */

enum {
    SEEDS = 250,
    STEPS = 40
};

static uint32_t dice(uint32_t *seed, uint32_t sides)
{
    *seed = *seed * 1664525u + 1013904223u;
    return (*seed >> 8) % sides;
}

static struct watch stormy;
static struct value shown;
static uint32_t storm_seed;
static uint32_t storms;
static int silences;
static char etag[2] = "A";

static void something_happens(struct world *w, int step)
{
    char text[16];

    snprintf(text, sizeof(text), "v%d", step);
    switch (dice(&storm_seed, 12)) {
    case 0:
        if (w->server != NULL)
            kill_server(w);
        break;
    case 1: copal_sim_move(w->sim, "client"); break;
    case 2: copal_sim_move(w->sim, "server"); break;
    case 3: copal_sim_refuse(w->sim, "server", dice(&storm_seed, 2)); break;
    case 4: copal_pause(stormy.x); break;
    case 5: copal_resume(stormy.x); break;
    default:
        if (w->server == NULL)
            begin_server(w, &shown);
        etag[0] = (char)('A' + step);
        if (dice(&storm_seed, 4) > 0)
            change(w, &shown, text);
        else /* and nobody is told */
            snprintf(shown.text, sizeof(shown.text), "%s", text);
    }
    copal_sim_run(w->sim, dice(&storm_seed, 20000));
}

static void live_through_a_storm(struct world *w)
{
    shown = (struct value){.text = "v"};
    storm_seed = ++storms * 2654435761u;
    shown.size = storms % 3 == 0 ? 2500 : 0;
    shown.etag = storms % 2 == 0 ? etag : NULL;
    serve_value(w, &shown, COPAL_OBSERVABLE);
    watch(w, &stormy, URI, storms % 5 == 0 ? 15000 : 0);
    for (int i = 0; i < STEPS; i++) {
        something_happens(w, i);
    }

    /* The weather clears. */
    mend(w);
    copal_resume(stormy.x);
    if (w->server == NULL)
        begin_server(w, &shown);
    run_seconds(w, 320);
    assert_string_equal(stormy.last, shown.text);
    assert_false(stormy.is_silent);
    assert_int_equal(stormy.ends, 0);
    silences += stormy.silents;
    if (dice(&storm_seed, 2) == 0) {
        copal_cancel(stormy.x);
        change(w, &shown, "end");
        run_seconds(w,
                    250); /* those that nobody answers for are found out, too */
        assert_int_equal(stormy.ends, 1);
        assert_int_equal(observers(w), 0);
    }
}

static void after_the_storm_the_last_state_is_known(void **state)
{
    (void)state;
    storms = 0;
    silences = 0;
    bad_weather(live_through_a_storm, SEEDS);
    assert_true(silences > SEEDS); /* it was one */
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, build, tear_down)
    const struct CMUnitTest tests[] = {
        TEST(a_server_killed_and_begun_anew_is_heard_again),
        TEST(a_server_that_forgot_us_is_told_again_who_listens),
        TEST(a_separate_answer_after_a_reboot_is_no_old_one),
        TEST(thirty_seconds_of_silence_are_told_and_their_end),
        TEST(what_does_not_change_is_not_silent),
        TEST(a_refused_port_is_told_at_once),
        TEST(who_was_not_there_yet_is_waited_for),
        TEST(an_answer_that_never_came_is_silence_too),
        TEST(who_acknowledged_and_forgot_is_asked_again),
        TEST(attempts_come_rarer_and_not_all_together),
        TEST(a_reset_is_told_and_healed),
        TEST(a_client_that_moved_is_told_what_it_missed),
        TEST(a_server_that_moved_is_found_by_its_name),
        TEST(a_resource_that_went_away_is_waited_for),
        TEST(another_error_is_news),
        TEST(who_observes_no_more_is_asked_again),
        cmocka_unit_test(too_many_requests_is_heeded),
        cmocka_unit_test(an_unavailable_server_is_given_its_time),
        cmocka_unit_test(after_the_storm_the_last_state_is_known),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
