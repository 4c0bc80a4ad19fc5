/* copal_metrics_text(): what the counters say, as Prometheus reads it; and how
 * much copal_log_due() lets through. */
#include "support.h"

#include <stdlib.h>

static const char *text_of(copal *c)
{
    static char text[16384];
    copal_bytes shown = copal_metrics_text(c);

    assert_in_range(shown.len, 1, sizeof(text) - 1);
    memcpy(text, shown.data, shown.len);
    text[shown.len] = '\0';
    return text;
}

/* The value of the sample that begins line, its labels included; -1: none. */
static long value_of(copal *c, const char *sample)
{
    const char *text = text_of(c), *line = text;
    size_t len = strlen(sample);

    while (line != NULL) {
        line += line != text;
        if (strncmp(line, sample, len) == 0 && line[len] == ' ')
            return strtol(line + len, NULL, 10);
        line = strchr(line, '\n');
    }
    return -1;
}

static void every_field_of_copal_stats_is_there(void **state)
{
    struct world *w = *state;
    copal_stats stats = {.size = sizeof(stats)};

    serve_text(w, w->server, "/t", COPAL_OBSERVABLE, "hello");
    get(w, "coap://server/t");
    run(w, 1000);
    observe(w, "coap://server/t");
    run(w, 1000);
    assert_int_equal(copal_get_stats(w->server, &stats), 0);
    assert_int_equal(stats.observers, 1);
#define SAME(field, sample) \
    assert_int_equal(value_of(w->server, sample), stats.field)
    SAME(datagrams_in, "copal_datagrams_in_total");
    SAME(datagrams_out, "copal_datagrams_out_total");
    SAME(bytes_in, "copal_bytes_in_total");
    SAME(bytes_out, "copal_bytes_out_total");
    SAME(retransmissions, "copal_retransmissions_total");
    SAME(duplicates, "copal_duplicates_total");
    SAME(malformed, "copal_malformed_total");
    SAME(rejected, "copal_rejected_total");
    SAME(limited, "copal_limited_total");
    SAME(exchanges, "copal_exchanges_total");
    SAME(exchanges_open, "copal_exchanges_open");
    SAME(peers, "copal_peers");
    SAME(observers, "copal_observers");
#undef SAME
    assert_true(value_of(w->server, "copal_memory_bytes") > 0);
    assert_int_equal(value_of(w->server, "copal_uptime_seconds"), 2);
}

static void requests_are_told_apart_by_method_and_answers_by_class(void **state)
{
    struct world *w = *state;

    serve_text(w, w->server, "/t", 0, "hello");
    get(w, "coap://server/t");
    ask(w, w->client, COPAL_PUT, "coap://server/t", "x");
    ask(w, w->client, COPAL_GET, "coap://server/none", NULL);
    ask(w, w->client, COPAL_CODE(0, 30), "coap://server/none", NULL);
    run(w, 5000);
    assert_int_equal(
        value_of(w->server, "copal_requests_total{method=\"GET\"}"), 2);
    assert_int_equal(
        value_of(w->server, "copal_requests_total{method=\"PUT\"}"), 1);
    assert_int_equal(
        value_of(w->server, "copal_requests_total{method=\"other\"}"), 1);
    assert_int_equal(
        value_of(w->server, "copal_requests_total{method=\"FETCH\"}"), 0);
    assert_int_equal(
        value_of(w->server, "copal_responses_total{class=\"2.xx\"}"), 2);
    assert_int_equal(
        value_of(w->server, "copal_responses_total{class=\"4.xx\"}"), 2);
    assert_int_equal(
        value_of(w->server, "copal_responses_total{class=\"5.xx\"}"), 0);
    assert_int_equal(
        value_of(w->client, "copal_requests_total{method=\"GET\"}"), 0);
}

static void a_notification_counts_as_a_response(void **state)
{
    struct world *w = *state;

    serve_text(w, w->server, "/t", COPAL_OBSERVABLE, "hello");
    observe(w, "coap://server/t");
    run(w, 1000);
    copal_notify(w->server, "/t");
    run(w, 1000);
    assert_int_equal(
        value_of(w->server, "copal_responses_total{class=\"2.xx\"}"), 2);
}

static void a_repeat_counts_once(void **state)
{
    struct world *w = *state;

    serve_text(w, w->server, "/t", 0, "hello");
    copal_sim_lose(w->sim, "server", 1);
    get(w, "coap://server/t");
    run(w, 10000);
    assert_int_equal(value_of(w->server, "copal_duplicates_total"), 1);
    assert_int_equal(
        value_of(w->server, "copal_requests_total{method=\"GET\"}"), 1);
    assert_int_equal(
        value_of(w->server, "copal_responses_total{class=\"2.xx\"}"), 1);
}

static void a_limit_is_told_by_its_name(void **state)
{
    struct world *w = *state;

    tune(w->server, COPAL_P_MAX_OBSERVERS, 0);
    serve_text(w, w->server, "/t", COPAL_OBSERVABLE, "hello");
    assert_null(strstr(text_of(w->server), "limit="));
    observe(w, "coap://server/t");
    run(w, 1000);
    assert_int_equal(value_of(w->server, "copal_limited_total"), 1);
    assert_int_equal(
        value_of(w->server, "copal_limit_hits_total{limit=\"max_observers\"}"),
        1);
}

/* Metric names, HELP before TYPE before samples, no name twice, one line feed at
 * the end: exposition format 0.0.4. */
static void each_sample_stands_under_its_help_and_type(void **state)
{
    struct world *w = *state;
    char *text = (char *)text_of(w->server), *line, *rest;
    char name[80] = "", kind[16] = "", seen[4096] = "";
    int samples = 0;

    assert_int_equal(text[strlen(text) - 1], '\n');
    for (line = strtok_r(text, "\n", &rest); line != NULL;
         line = strtok_r(NULL, "\n", &rest)) {
        char other[84];

        if (strncmp(line, "# HELP ", 7) == 0) {
            assert_int_equal(sscanf(line, "# HELP %79s", name), 1);
            snprintf(other, sizeof(other), " %s ", name);
            assert_null(strstr(seen, other));
            strcat(seen, other);
            line = strtok_r(NULL, "\n", &rest);
            assert_non_null(line);
            assert_int_equal(sscanf(line, "# TYPE %79s %15s", other, kind), 2);
            assert_string_equal(other, name);
            assert_true(strcmp(kind, "counter") == 0 ||
                        strcmp(kind, "gauge") == 0);
            assert_int_equal(strcmp(kind, "counter") == 0,
                             strcmp(name + strlen(name) - 6, "_total") == 0);
            continue;
        }
        assert_int_equal(strcspn(line, "{ "), strlen(name));
        assert_int_equal(strncmp(line, name, strlen(name)), 0);
        samples++;
    }
    assert_in_range(samples, 25, 60);
}

static void a_simulation_says_nothing_of_the_process(void **state)
{
    struct world *w = *state;

    assert_null(strstr(text_of(w->server), "process_"));
    assert_int_equal(copal_metrics(w->server, "0"), COPAL_ESTATE);
    assert_non_null(strstr(copal_why(w->server), "simulated"));
}

static void show_metrics(struct world *w)
{
    serve_text(w, w->server, "/t", 0, "hello");
    get(w, "coap://server/t");
    run(w, 1000);
    if (copal_metrics_text(w->server).data == NULL)
        assert_true(memory_failed(w));
    if (copal_log_due(w->server, "handler") < 0)
        assert_true(memory_failed(w));
}

static void no_memory_is_no_text(void **state)
{
    (void)state;
    for_each_failed_allocation(show_metrics);
}

/* ---- copal_log_due() ---- */

/* How many of n lines may be written now. */
static int due_of(copal *c, const char *kind, int n)
{
    int due = 0;

    for (int i = 0; i < n; i++)
        due += copal_log_due(c, kind) >= 0;
    return due;
}

static void ten_lines_at_once_and_then_one_a_second(void **state)
{
    struct world *w = *state;

    assert_int_equal(due_of(w->server, "handler", 1000), 10);
    run(w, 999);
    assert_int_equal(due_of(w->server, "handler", 1000), 0);
    run(w, 1);
    assert_int_equal(copal_log_due(w->server, "handler"), 1990);
    assert_int_equal(copal_log_due(w->server, "handler"), COPAL_ELIMIT);
    run(w, 3000);
    assert_int_equal(due_of(w->server, "handler", 1000), 3);
    assert_int_equal(value_of(w->server, "copal_log_left_out_total"),
                     1990 + 1 + 997);
}

static void after_a_pause_it_is_ten_again(void **state)
{
    struct world *w = *state;

    assert_int_equal(due_of(w->server, "handler", 50), 10);
    run(w, 3600 * 1000);
    assert_int_equal(due_of(w->server, "handler", 50), 10);
}

static void each_kind_has_lines_of_its_own(void **state)
{
    struct world *w = *state;

    assert_int_equal(due_of(w->server, "handler", 50), 10);
    assert_int_equal(due_of(w->server, "timer", 50), 10);
    assert_int_equal(due_of(w->client, "handler", 50), 10);
}

static void kinds_without_end_share_a_bound(void **state)
{
    struct world *w = *state;
    int due = 0;

    for (int i = 0; i < 1000; i++) {
        char kind[16];

        snprintf(kind, sizeof(kind), "kind %d", i);
        due += due_of(w->server, kind, 50);
    }
    assert_int_equal(due, 16 * 10);
}

static void a_line_of_no_kind_is_an_error(void **state)
{
    struct world *w = *state;

    assert_int_equal(copal_log_due(w->server, NULL), COPAL_EINVAL);
    assert_non_null(strstr(copal_why(w->server), "no kind"));
    assert_int_equal(due_of(w->server, "", 50), 10);
}

static void both_numbers_can_be_tuned(void **state)
{
    struct world *w = *state;

    tune(w->server, COPAL_P_LOG_BURST, 3);
    tune(w->server, COPAL_P_LOG_RATE, 10);
    assert_int_equal(due_of(w->server, "handler", 50), 3);
    run(w, 200);
    assert_int_equal(due_of(w->server, "handler", 50), 2);
    tune(w->server, COPAL_P_LOG_BURST, 0);
    assert_int_equal(due_of(w->server, "handler", 50), 50);
    assert_int_equal(copal_tune(w->server, NULL, COPAL_P_LOG_RATE, 0),
                     COPAL_EINVAL);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, build, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(every_field_of_copal_stats_is_there),
        TEST(requests_are_told_apart_by_method_and_answers_by_class),
        TEST(a_notification_counts_as_a_response),
        TEST(a_repeat_counts_once),
        TEST(a_limit_is_told_by_its_name),
        TEST(each_sample_stands_under_its_help_and_type),
        TEST(a_simulation_says_nothing_of_the_process),
        cmocka_unit_test(no_memory_is_no_text),
        TEST(ten_lines_at_once_and_then_one_a_second),
        TEST(after_a_pause_it_is_ten_again),
        TEST(each_kind_has_lines_of_its_own),
        TEST(kinds_without_end_share_a_bound),
        TEST(a_line_of_no_kind_is_an_error),
        TEST(both_numbers_can_be_tuned),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
