/* What some devices want: copal_profile(). */
#include "support.h"

#define T "coap://server/t"

/* The request that the server saw last, as text. */
static char seen[1024];

static void note_request(const copal_event *ev, void *user)
{
    struct record *r = user;

    r->requests++;
    snprintf(seen, sizeof(seen), "%s\n%s", copal_msg_print(ev->msg, COPAL_LINE),
             copal_msg_print(ev->msg, COPAL_OPTION_LINES));
    copal_reply_text(ev->exchange, COPAL_CONTENT, "x");
}

static void note_drop(void *user)
{
    ((struct record *)user)->drops++;
}

static int build_device(void **state)
{
    int err = build(state);
    struct world *w = *state;

    if (err != 0)
        return err;
    seen[0] = '\0';
    assert_int_equal(
        copal_serve(w->server, 0, "/t", 0,
                    COPAL_CB_OWN(note_request, next_record(w), note_drop)),
        0);
    assert_int_equal(copal_understand(w->server, 2049), 0);
    assert_int_equal(copal_understand(w->server, 2053), 0);
    return 0;
}

static void see(struct world *w, struct record *r)
{
    run(w, 30000);
    assert_ended(r, 0);
}

static void assert_seen(const char *text)
{
    if (strstr(seen, text) == NULL)
        fail_msg("no '%s' in\n%s", text, seen);
}

static void assert_not_seen(const char *text)
{
    if (strstr(seen, text) != NULL)
        fail_msg("'%s' in\n%s", text, seen);
}

/* ---- Which there are ---- */

static void each_profile_can_be_had_by_its_name(void **state)
{
    struct world *w = *state;
    size_t count = 0;

    for (const char *name; (name = copal_profile_name(count)) != NULL; count++)
        assert_int_equal(copal_profile(w->client, NULL, name), 0);
    assert_int_equal(count, 4);
    assert_int_equal(copal_profile(w->client, NULL, "nonsense"), COPAL_EINVAL);
    for (size_t i = 0; i < count; i++)
        assert_non_null(strstr(copal_why(w->client), copal_profile_name(i)));
    assert_int_equal(copal_profile(w->client, NULL, NULL), 0);
    assert_int_equal(copal_profile(w->client, NULL, NULL), 0);
}

/* ---- What they do ---- */

static void a_request_gets_what_is_not_in_it(void **state)
{
    struct world *w = *state;

    assert_int_equal(copal_profile(w->client, "coap://server", "samsung-ocf"),
                     0);
    see(w, get(w, T));
    assert_seen("Accept: 10000");
    assert_seen("2049: 0800");
    assert_not_seen("2053");
    see(w, ask(w, w->client, COPAL_PUT, T, "x"));
    assert_seen("2053: 0800");
}

static void what_is_in_it_stays(void **state)
{
    struct world *w = *state;
    copal_msg *m = copal_msg_new(w->client, COPAL_POST);
    struct record *r;

    assert_int_equal(copal_profile(w->client, "coap://server", "samsung-ocf"),
                     0);
    copal_msg_set_uri(m, T);
    copal_msg_set_payload(m, COPAL_TEXT, (copal_bytes){(uint8_t *)"x", 1});
    copal_msg_add_uint(m, COPAL_OPT_ACCEPT, COPAL_TEXT);
    copal_msg_add_uint(m, 2049, 4096);
    for (int i = 0; i < 2; i++) { /* handed over again it is as it was */
        r = next_record(w);
        r->exchange = copal_request(w->client, m, recording(r));
        r->is_asked = r->is_begun = true;
        see(w, r);
        assert_seen("Content-Format: 0");
        assert_seen("Accept: 0");
        assert_seen("2049: 1000");
        assert_not_seen("2049: 1000 / 0800");
        assert_seen("2053: 0800");
    }
    assert_int_equal(copal_msg_value(m, 2053, 0, NULL), COPAL_ENOENT);
    assert_int_equal(copal_msg_add_uint(m, 65000, 1), COPAL_ESTATE);
    copal_msg_unref(m);
}

/* As scripts do with one that is asked again. */
static void a_message_goes_by_the_profile_of_the_time(void **state)
{
    static const char *const profiles[] = {NULL, "samsung-ocf", NULL,
                                           "samsung-ocf"};
    struct world *w = *state;
    copal_msg *m = copal_msg_new(w->client, COPAL_GET);

    copal_msg_set_uri(m, T);
    for (size_t i = 0; i < 4; i++) {
        struct record *r = next_record(w);

        assert_int_equal(copal_profile(w->client, NULL, profiles[i]), 0);
        r->exchange = copal_request(w->client, m, recording(r));
        r->is_asked = r->is_begun = true;
        see(w, r);
        if (profiles[i] == NULL)
            assert_not_seen("2049");
        else
            assert_seen("2049: 0800");
    }
    copal_msg_unref(m);
}

static void who_wants_none_gets_no_confirmables_unless_it_is_asked_so(
    void **state)
{
    struct world *w = *state;
    copal_msg *m = copal_msg_new(w->client, COPAL_GET);
    struct record *r = next_record(w);

    assert_int_equal(copal_profile(w->client, NULL, "shelly"), 0);
    see(w, get(w, T));
    assert_seen("NON");
    copal_msg_set_uri(m, T);
    assert_int_equal(copal_msg_set_flags(m, COPAL_CON), 0);
    r->exchange = copal_request(w->client, m, recording(r));
    r->is_asked = r->is_begun = true;
    see(w, r);
    assert_seen("CON");
    copal_msg_unref(m);
}

static void a_node_that_sleeps_is_asked_once(void **state)
{
    struct world *w = *state;
    copal_stats stats = {.size = sizeof(stats)};

    assert_int_equal(copal_profile(w->client, "coap://server", "thread-sleepy"),
                     0);
    copal_sim_set_path(w->sim, NULL, NULL, (copal_sim_path){.delay = 5000});
    see(w, get(w, T));
    assert_int_equal(copal_get_stats(w->client, &stats), 0);
    assert_int_equal(stats.retransmissions, 0);
}

static void the_longest_scope_wins_up_to_the_end_of_a_part(void **state)
{
    struct world *w = *state;

    assert_int_equal(copal_profile(w->client, NULL, "samsung-ocf"), 0);
    assert_int_equal(copal_profile(w->client, "coap://serv", "shelly"), 0);
    see(w, get(w, T));
    assert_seen("2049: 0800");
    assert_seen("CON");
    assert_int_equal(copal_profile(w->client, "coap://server/t", "tradfri"), 0);
    see(w, get(w, T));
    assert_not_seen("2049");
    assert_int_equal(copal_profile(w->client, "coap://server/t", NULL), 0);
    see(w, get(w, T));
    assert_seen("2049: 0800");
}

/* Pings and signals have no options of a device's. */
static void only_requests_are_filled(void **state)
{
    struct world *w = *state;
    struct record *r = next_record(w);

    assert_int_equal(copal_profile(w->client, NULL, "samsung-ocf"), 0);
    r->exchange = copal_ping(w->client, "coap://server", recording(r));
    r->is_asked = r->is_begun = true;
    see(w, r);
}

/* ---- When memory runs out ---- */

static void ask_in_profile(struct world *w)
{
    if (copal_profile(w->client, "coap://server", "samsung-ocf") != 0 ||
        copal_profile(w->client, NULL, "shelly") != 0)
        return;
    serve_text(w, w->server, "/u", 0, "x");
    get(w, "coap://server/u");
    settle(w);
}

static void every_allocation_may_fail(void **state)
{
    (void)state;
    for_each_failed_allocation(ask_in_profile);
}

#define TEST(name) \
    cmocka_unit_test_setup_teardown(name, build_device, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(each_profile_can_be_had_by_its_name),
        TEST(a_request_gets_what_is_not_in_it),
        TEST(what_is_in_it_stays),
        TEST(a_message_goes_by_the_profile_of_the_time),
        TEST(who_wants_none_gets_no_confirmables_unless_it_is_asked_so),
        TEST(a_node_that_sleeps_is_asked_once),
        TEST(the_longest_scope_wins_up_to_the_end_of_a_part),
        TEST(only_requests_are_filled),
        cmocka_unit_test(every_allocation_may_fail),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
