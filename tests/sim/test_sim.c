/* The simulator itself: what it does to datagrams, hosts and time. Most of it
 * is shown by the CoAP ping of RFC 7252 4.3, an empty confirmable message that
 * is answered with a reset. */
#include "support.h"
#include <stdlib.h>

static const uint8_t ping[] = {0x40, 0x00, 0x70, 0x01};
static const uint8_t next_ping[] = {0x40, 0x00, 0x70, 0x02};

static void inject(struct world *w, const char *from, const void *data,
                   size_t len)
{
    const copal_bytes datagram = {data, len};

    assert_int_equal(copal_sim_inject(w->sim, from, "server", datagram), 0);
}

static void set_path(struct world *w, copal_sim_path path)
{
    assert_int_equal(copal_sim_set_path(w->sim, NULL, NULL, path), 0);
}

/* ---- Requests (design.md section 9) ---- */

static void a_lost_request_is_sent_again_after_ack_timeout(void **state)
{
    struct world *w = *state;
    struct record *r;

    serve_text(w, w->server, "/temperature", 0, "22.5 C");
    copal_sim_lose(w->sim, "client", 1);
    r = get(w, "coap://server/temperature");
    copal_sim_run(w->sim, 60000);

    assert_ended(r, 0);
    assert_string_equal(r->payload, "22.5 C");
    assert_transcript(w,
                      "   0 client > server CON GET 0001 /temperature (lost)\n"
                      "2000 client > server CON GET 0001 /temperature\n"
                      "2000 server > client ACK 2.05 0001 \"22.5 C\"\n");
}

static void silence_ends_the_exchange_after_max_retransmit(void **state)
{
    struct world *w = *state;
    struct record *r;

    copal_sim_lose(w->sim, "client", 5);
    r = get(w, "coap://server/temperature");
    copal_sim_run(w->sim, 120000);

    assert_ended(r, COPAL_ETIMEOUT);
    assert_int_equal(count_in_transcript(w, "(lost)"), 5);
}

static void a_host_can_ask_itself(void **state)
{
    struct world *w = *state;
    struct record *r;

    serve_text(w, w->client, "/self", 0, "me");
    r = get(w, "coap://client/self");
    copal_sim_run(w->sim, 0);

    assert_ended(r, 0);
    assert_transcript(w, "   0 client > client CON GET 0001 /self\n"
                         "   0 client > client ACK 2.05 0001 \"me\"\n");
}

static void an_unknown_name_does_not_resolve(void **state)
{
    struct world *w = *state;
    struct record *r = get(w, "coap://nowhere/");

    copal_sim_run(w->sim, 1000);
    assert_ended(r, COPAL_ERESOLVE);
    assert_non_null(strstr(r->text, "nowhere"));
    assert_transcript(w, "");
}

static void an_address_that_nobody_has_is_silent(void **state)
{
    struct world *w = *state;
    struct record *r = get(w, "coap://192.0.2.1/");

    copal_sim_run(w->sim, 120000);
    assert_ended(r, COPAL_ETIMEOUT);
    assert_int_equal(
        count_in_transcript(w, "client > 192.0.2.1 CON GET 0001 / (nobody)\n"),
        5);
}

static void names_of_hosts_are_found_in_any_case(void **state)
{
    struct world *w = *state;
    struct record *r;

    serve_text(w, w->server, "/t", 0, "x");
    r = get(w, "coap://SERVER/t");
    copal_sim_run(w->sim, 0);
    assert_ended(r, 0);
}

/* ---- What the network does ---- */

static void without_a_path_a_datagram_arrives_in_the_same_millisecond(
    void **state)
{
    struct world *w = *state;

    inject(w, "client", ping, sizeof(ping));
    assert_transcript(w, "   0 client > server CON empty 0001\n");
    assert_int_equal(copal_sim_run(w->sim, 0), 0);
    assert_transcript(w, "   0 client > server CON empty 0001\n"
                         "   0 server > client RST empty 0001\n");
}

static void a_delay_holds_back_each_way(void **state)
{
    struct world *w = *state;

    set_path(w, (copal_sim_path){.delay = 150});
    inject(w, "stranger", ping, sizeof(ping));
    assert_int_equal(copal_sim_run(w->sim, 149), 1);
    assert_transcript(w, "   0 stranger > server CON empty 0001\n");
    assert_int_equal(copal_sim_run(w->sim, 1), 0);
    assert_transcript(w, "   0 stranger > server CON empty 0001\n"
                         " 150 server > stranger RST empty 0001 (nobody)\n");
    assert_int_equal(copal_sim_now(w->sim), 150);
}

static void the_narrowest_path_counts(void **state)
{
    struct world *w = *state;
    const copal_sim_path lossy = {.loss = 100}, slow = {.delay = 70};

    set_path(w, lossy);
    assert_int_equal(copal_sim_set_path(w->sim, NULL, "client", slow), 0);
    assert_int_equal(
        copal_sim_set_path(w->sim, "client", "server", (copal_sim_path){0}), 0);
    inject(w, "client", ping, sizeof(ping));
    inject(w, "stranger", ping, sizeof(ping));
    assert_int_equal(copal_sim_run(w->sim, 0), 1);
    assert_transcript(w, "   0 client > server CON empty 0001\n"
                         "   0 stranger > server CON empty 0001 (lost)\n"
                         "   0 server > client RST empty 0001\n");
}

static void a_path_over_100_percent_is_refused(void **state)
{
    struct world *w = *state;
    const copal_sim_path bad[] = {
        {.loss = 101}, {.duplication = 101}, {.reordering = 101}};

    for (size_t i = 0; i < 3; i++)
        assert_int_equal(copal_sim_set_path(w->sim, NULL, NULL, bad[i]),
                         COPAL_EINVAL);
    assert_int_equal(copal_sim_set_path(w->sim, "a name of 17 char", NULL,
                                        (copal_sim_path){0}),
                     COPAL_EINVAL);
}

static void only_the_next_datagrams_of_that_host_are_lost(void **state)
{
    struct world *w = *state;

    assert_int_equal(copal_sim_lose(w->sim, "server", 1), 0);
    inject(w, "client", ping, sizeof(ping));
    copal_sim_run(w->sim, 1);
    inject(w, "client", next_ping, sizeof(next_ping));
    copal_sim_run(w->sim, 1);
    assert_transcript(w, "   0 client > server CON empty 0001\n"
                         "   0 server > client RST empty 0001 (lost)\n"
                         "   1 client > server CON empty 0002\n"
                         "   1 server > client RST empty 0002\n");
    assert_int_equal(copal_sim_lose(w->sim, "nowhere", 1), COPAL_ENOENT);
}

static void a_duplicate_is_shown_as_a_copy(void **state)
{
    struct world *w = *state;

    set_path(w, (copal_sim_path){.delay = 5, .duplication = 100});
    inject(w, "client", ping, sizeof(ping));
    assert_int_equal(copal_sim_run(w->sim, 0), 2);
    assert_transcript(w, "   0 client > server CON empty 0001\n"
                         "   0 client > server CON empty 0001 (copy)\n");
}

static void loss_comes_as_often_as_its_percentage(void **state)
{
    struct world *w = *state;
    unsigned lost;

    set_path(w, (copal_sim_path){.loss = 20});
    for (int i = 0; i < 1000; i++)
        inject(w, "stranger", ping, sizeof(ping));
    lost = count_in_transcript(w, "(lost)");
    assert_in_range(lost, 150, 250);
}

/* How many of 100 pings arrive after one that was sent later, at such a path.
 * Each RST tells when its ping arrived. */
static unsigned overtaken(struct world *w, copal_sim_path path,
                          unsigned *at_most_ms)
{
    const char *line;
    unsigned at, n, newest = 0, late = 0;

    set_path(w, path);
    for (unsigned i = 0; i < 100; i++) {
        const uint8_t p[] = {0x40, 0x00, 0x00, (uint8_t)(i + 1)};
        inject(w, "client", p, sizeof(p));
    }
    copal_sim_run(w->sim, 1000);
    *at_most_ms = 0;
    line = copal_sim_transcript(w->sim);
    for (; line != NULL && *line != '\0'; line = strchr(line, '\n') + 1) {
        if (sscanf(line, " %u server > client RST empty %x", &at, &n) != 2)
            continue;
        late += n < newest;
        newest = n > newest ? n : newest;
        *at_most_ms = at > *at_most_ms ? at : *at_most_ms;
    }
    assert_int_equal(count_in_transcript(w, "RST"), 100);
    return late;
}

static void datagrams_stay_in_order_without_jitter(void **state)
{
    unsigned longest;

    assert_int_equal(overtaken(*state, (copal_sim_path){.delay = 9}, &longest),
                     0);
    assert_int_equal(longest, 9);
}

static void jitter_makes_a_datagram_late_by_up_to_so_much(void **state)
{
    unsigned longest;

    assert_true(overtaken(*state, (copal_sim_path){.delay = 9, .jitter = 40},
                          &longest) > 10);
    assert_in_range(longest, 30, 49);
}

static void a_reordered_datagram_is_overtaken(void **state)
{
    unsigned longest, late;

    late = overtaken(*state, (copal_sim_path){.reordering = 20}, &longest);
    assert_in_range(late, 8, 40);
    assert_in_range(longest, 1, 100);
}

/* ---- Addresses ---- */

static void who_moved_sends_from_a_fresh_address_and_is_found_there(
    void **state)
{
    struct world *w = *state;
    struct record *r;

    serve_text(w, w->client, "/t", 0, "here");
    set_path(w, (copal_sim_path){.delay = 10});
    inject(w, "client", ping, sizeof(ping));
    copal_sim_run(w->sim, 15);
    assert_int_equal(copal_sim_move(w->sim, "client"), 0);
    copal_sim_run(w->sim, 15);
    r = ask(w, w->server, COPAL_GET, "coap://client/t", NULL);
    copal_sim_run(w->sim, 100);
    assert_ended(r, 0);
    assert_transcript(w, "   0 client > server CON empty 0001\n"
                         "  10 server > client RST empty 0001\n"
                         "  20 server > client RST empty 0001 (nobody)\n"
                         "  30 server > client:1024 CON GET 0001 /t\n"
                         "  40 client:1024 > server ACK 2.05 0001 \"here\"\n");
    assert_int_equal(copal_sim_move(w->sim, "nowhere"), COPAL_ENOENT);
}

static void what_comes_back_to_a_stranger_shows(void **state)
{
    struct world *w = *state;

    inject(w, "192.0.2.7", ping, sizeof(ping));
    inject(w, "2001:db8::7", ping, sizeof(ping));
    inject(w, "nobody", ping, sizeof(ping));
    copal_sim_run(w->sim, 0);
    assert_transcript(w, "   0 192.0.2.7 > server CON empty 0001\n"
                         "   0 [2001:db8::7] > server CON empty 0001\n"
                         "   0 nobody > server CON empty 0001\n"
                         "   0 server > 192.0.2.7 RST empty 0001 (nobody)\n"
                         "   0 server > [2001:db8::7] RST empty 0001 (nobody)\n"
                         "   0 server > nobody RST empty 0001 (nobody)\n");
}

static void only_hosts_take_injected_datagrams(void **state)
{
    struct world *w = *state;
    const copal_bytes p = {ping, sizeof(ping)};

    assert_int_equal(copal_sim_inject(w->sim, "client", "nowhere", p),
                     COPAL_ENOENT);
    assert_int_equal(copal_sim_inject(w->sim, "a name of 17 char", "server", p),
                     COPAL_EINVAL);
}

/* ---- Hosts come and go ---- */

static void who_crashed_hears_nothing_until_its_reboot(void **state)
{
    struct world *w = *state;

    copal_free(w->server);
    inject(w, "client", ping, sizeof(ping));
    copal_sim_run(w->sim, 10);
    w->server = add_host(w, "server");
    assert_non_null(w->server);
    inject(w, "client", next_ping, sizeof(next_ping));
    copal_sim_run(w->sim, 10);
    assert_transcript(w, "   0 client > server CON empty 0001 (nobody)\n"
                         "  10 client > server CON empty 0002\n"
                         "  10 server > client RST empty 0002\n");
}

static void a_datagram_to_who_crashes_meanwhile_is_shown_again(void **state)
{
    struct world *w = *state;

    set_path(w, (copal_sim_path){.delay = 10});
    inject(w, "client", ping, sizeof(ping));
    copal_sim_run(w->sim, 5);
    copal_free(w->server);
    copal_sim_run(w->sim, 50);
    assert_transcript(w, "   0 client > server CON empty 0001\n"
                         "  10 client > server CON empty 0001 (nobody)\n");
}

static void a_name_is_given_to_one_host_at_a_time(void **state)
{
    struct world *w = *state;

    assert_null(copal_sim_endpoint(w->sim, "server", NULL));
    assert_null(copal_sim_endpoint(w->sim, "", NULL));
    assert_null(copal_sim_endpoint(w->sim, "a name of 17 char", NULL));
}

static void a_crash_ends_what_the_host_asked(void **state)
{
    struct world *w = *state;
    struct record *r;

    copal_sim_lose(w->sim, "client", 1);
    r = get(w, "coap://server/t");
    copal_sim_run(w->sim, 100);
    copal_free(w->client);
    assert_ended(r, COPAL_ECLOSED);
    assert_int_equal(r->drops, 1);
}

static void free_self(const copal_event *ev, void *user)
{
    (void)ev;
    copal_free(user);
}

static void a_host_may_crash_in_its_own_callback(void **state)
{
    struct world *w = *state;
    struct record *r = next_record(w);

    copal_after(w->server, 1000, COPAL_CB(free_self, w->server));
    copal_after(w->server, 1000, recording(r));
    copal_sim_run(w->sim, 2000);
    inject(w, "client", ping, sizeof(ping));
    assert_int_equal(count_in_transcript(w, "(nobody)"), 1);
}

static void free_all(const copal_event *ev, void *user)
{
    (void)ev;
    copal_sim_free(user);
}

static void a_simulation_may_be_freed_in_a_callback(void **state)
{
    copal_sim *sim = copal_sim_new(1);
    copal *c = copal_sim_endpoint(sim, "host", NULL);

    (void)state;
    copal_after(c, 10, COPAL_CB(free_all, sim));
    assert_int_equal(copal_sim_run(sim, 100), 0);
}

static void freeing_it_again_meanwhile_does_no_harm(void **state)
{
    copal_sim *sim = copal_sim_new(1);
    copal *c = copal_sim_endpoint(sim, "host", NULL);

    (void)state;
    copal_get(c, "coap://192.0.2.1/", COPAL_CB(free_all, sim));
    copal_sim_run(sim, 100);
    copal_sim_free(sim);
}

static void run_inside(const copal_event *ev, void *user)
{
    (void)ev;
    assert_int_equal(copal_sim_run(user, 1), COPAL_ESTATE);
}

static void time_cannot_be_moved_from_a_callback(void **state)
{
    struct world *w = *state;

    copal_after(w->client, 10, COPAL_CB(run_inside, w->sim));
    copal_sim_run(w->sim, 100);
    assert_int_equal(copal_sim_now(w->sim), 100);
}

static void an_endpoint_cannot_run_by_itself(void **state)
{
    struct world *w = *state;

    assert_int_equal(copal_run(w->client), COPAL_ESTATE);
    assert_non_null(strstr(copal_why(w->client), "copal_sim_run"));
    assert_int_equal(copal_step(w->client), COPAL_ESTATE);
    assert_int_equal(copal_fd(w->client), COPAL_ESTATE);
    assert_int_equal(copal_timeout(w->client), COPAL_ESTATE);
}

static void listening_changes_nothing_but_tells_the_uri(void **state)
{
    struct world *w = *state;

    assert_null(copal_local(w->server, 0));
    assert_int_equal(copal_listen(w->server, "coap://*", 0), 0);
    assert_string_equal(copal_local(w->server, 0), "coap://server");
    assert_null(copal_local(w->server, 1));
    assert_int_equal(copal_join(w->server, "coaps://[ff02::fd]", NULL),
                     COPAL_ENOTSUP);
}

/* ---- Time ---- */

static void note_time(const copal_event *ev, void *user)
{
    struct world *w = user;

    (void)ev;
    next_record(w)->sum = (uint8_t)copal_sim_now(w->sim);
    w->records[w->record_count - 1].drops = 1;
}

static void timers_of_all_hosts_come_in_order(void **state)
{
    struct world *w = *state;

    copal_after(w->server, 30, COPAL_CB(note_time, w));
    copal_after(w->client, 20, COPAL_CB(note_time, w));
    copal_after(w->server, 10, COPAL_CB(note_time, w));
    assert_int_equal(copal_now(w->client), 0);
    copal_sim_run(w->sim, 29);
    assert_int_equal(w->record_count, 2);
    assert_int_equal(w->records[0].sum, 10);
    assert_int_equal(w->records[1].sum, 20);
    copal_sim_run(w->sim, 1);
    assert_int_equal(w->record_count, 3);
    assert_int_equal(copal_now(w->client), 30);
}

static void set_alarm(const copal_event *ev, void *user)
{
    struct world *w = user;

    (void)ev;
    copal_after(w->server, 5, COPAL_CB(note_time, w));
}

static void a_callback_may_call_another_host(void **state)
{
    struct world *w = *state;

    copal_after(w->client, 10, COPAL_CB(set_alarm, w));
    copal_sim_run(w->sim, 1000);
    assert_int_equal(w->record_count, 1);
    assert_int_equal(w->records[0].sum, 15);
}

static void at_once_again(const copal_event *ev, void *user)
{
    (void)ev;
    copal_after(user, 0, COPAL_CB(at_once_again, user));
}

static void who_always_has_work_cannot_stop_the_clock(void **state)
{
    struct world *w = *state;

    copal_after(w->client, 0, COPAL_CB(at_once_again, w->client));
    copal_sim_run(w->sim, 3);
    assert_int_equal(copal_sim_now(w->sim), 3);
}

/* ---- Seeds ---- */

static char *run_of_seed(uint64_t seed)
{
    struct world *w = new_world(seed, 0);
    char *text;

    set_path(w, (copal_sim_path){.delay = 10,
                                 .jitter = 90,
                                 .loss = 20,
                                 .duplication = 20,
                                 .reordering = 20});
    serve_text(w, w->server, "/t", 0, "x");
    for (int i = 0; i < 20; i++) {
        get(w, "coap://server/t");
        copal_sim_run(w->sim, 5000);
    }
    copal_sim_run(w->sim, 300000);
    text = strdup(copal_sim_transcript(w->sim));
    assert_non_null(text);
    free_world(w);
    return text;
}

static void the_same_seed_gives_the_same_transcript(void **state)
{
    char *first = run_of_seed(7), *again = run_of_seed(7);
    char *other = run_of_seed(8), *zero = run_of_seed(0),
         *zero_again = run_of_seed(0);

    (void)state;
    assert_string_equal(first, again);
    assert_string_equal(zero, zero_again);
    assert_string_not_equal(first, other);
    free(first);
    free(again);
    free(other);
    free(zero);
    free(zero_again);
}

static void seeds_differ_in_nothing_but_chance(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed < 20; seed++) {
        struct world *w = new_world(seed, 0);
        serve_text(w, w->server, "/t", 0, "x");
        get(w, "coap://server/t");
        copal_sim_run(w->sim, 1000);
        get(w, "coap://server/t");
        copal_sim_run(w->sim, 1000);
        assert_transcript(w, "   0 client > server CON GET 0001 /t\n"
                             "   0 server > client ACK 2.05 0001 \"x\"\n"
                             "1000 client > server CON GET 0002 /t\n"
                             "1000 server > client ACK 2.05 0002 \"x\"\n");
        free_world(w);
    }
}

static void everything_survives_bad_weather(struct world *w)
{
    struct record *served = serve_text(w, w->server, "/t", 0, "x");
    struct record *r = ask(w, w->client, COPAL_POST, "coap://server/t", "y");

    copal_sim_run(w->sim, 300000);
    assert_int_equal(r->ends, 1);
    if (r->status == 0)
        assert_string_equal(r->payload, "x");
    assert_in_range(served->requests, 0, 1);
}

static void a_post_ends_once_and_is_done_once_in_bad_weather(void **state)
{
    (void)state;
    bad_weather(everything_survives_bad_weather, 50);
}

static void ask_and_answer(struct world *w)
{
    struct record *r;

    serve_text(w, w->server, "/t", 0, "x");
    r = get(w, "coap://server/t");
    copal_sim_run(w->sim, 300000);
    if (!memory_failed(w)) {
        assert_ended(r, 0);
        assert_string_equal(r->payload, "x");
    }
}

static void a_request_survives_every_failed_allocation(void **state)
{
    (void)state;
    for_each_failed_allocation(ask_and_answer);
}

/* ---- The transcript ---- */

static void messages_have_their_line(void **state)
{
    static const struct {
        const char *bytes;
        size_t len;
        const char *line;
    } rows[] = {
#define ROW(bytes, line) {bytes, sizeof(bytes) - 1, line}
        ROW("\x51\x01\x00\x05\x99\xb1"
            "a\x02\xc3\xa4\x42"
            "x=\x03y&z",
            "NON GET 0001 /a/%C3%A4?x=&y%26z"),
        ROW("\x50\x02\x00\x06\xff\xc2\xb0 C", "NON POST 0002 / \"\xc2\xb0 C\""),
        ROW("\x50\x02\x00\x07\xff\x00", "NON POST 0003 / (1 bytes)"),
        ROW("\x50\x02\x00\x07\xff\xc0\x80", "NON POST 0003 / (2 bytes)"),
        ROW("\x50\x02\x00\x08\xff"
            "12345678901234567890123456789012",
            "NON POST 0004 / \"12345678901234567890123456789012\""),
        ROW("\x50\x02\x00\x08\xff"
            "12345678901234567890123456789012x",
            "NON POST 0004 / \"12345678901234567890123456789012\"..."),
        ROW("\x50\x1e\x00\x00", "NON 0.30 fffc /"),
        ROW("\x50\x01\x00\x05\x60", "NON GET 0001 / obs=0"),
        ROW("\x50\x01\x00\x05\x61\x01", "NON GET 0001 / obs=1"),
        ROW("\x50\x03\x00\x05\xd1\x0e\x0e\xff"
            "x",
            "NON PUT 0001 / 1:0/1/1024 \"x\""),
        ROW("\x50\x03\x00\x05\xd1\x0e\x13\xff"
            "12345678901234567890123456789012x",
            "NON PUT 0001 / 1:1/0/128 (33 bytes)"),
        ROW("\x50\x01\x00\x05\xd1\x0a\x0f", "NON GET 0001 / 2:?"),
        ROW("\x51\x45\x00\x05\x99\x42\xab\xcd\x21\x07\xff{}",
            "NON 2.05 0001 obs etag=abcd \"{}\""),
        ROW("\x60\x00\x00\x05", "ACK empty 0001"),
        ROW("\x70\x00\x00\x05", "RST empty 0001"),
        ROW("\x50\xe1\x00\x05", "NON 7.01 0001"),
        ROW("\x50\x01\x00\x05\xff", "malformed (5 bytes)"),
        ROW("\x90\x01\x00\x05", "malformed (4 bytes)"),
        ROW("", "malformed (0 bytes)"),
#undef ROW
    };

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        const uint8_t first[] = {0x50, 0x00, 0x00, 0x05};
        struct world *w = new_world(1, 0);
        char expected[160];

        copal_free(w->server); /* so that nothing comes back */
        if (strstr(rows[i].line, "0001") == NULL) {
            inject(w, "s", first, sizeof(first));
            snprintf(expected, sizeof(expected),
                     "   0 s > server NON empty 0001 (nobody)\n"
                     "   0 s > server %s (nobody)\n",
                     rows[i].line);
        } else {
            snprintf(expected, sizeof(expected),
                     "   0 s > server %s (nobody)\n", rows[i].line);
        }
        inject(w, "s", rows[i].bytes, rows[i].len);
        assert_transcript(w, expected);
        free_world(w);
    }
}

static void the_time_takes_more_room_when_it_needs_it(void **state)
{
    struct world *w = *state;

    copal_sim_run(w->sim, 12345);
    copal_free(w->server);
    inject(w, "s", ping, sizeof(ping));
    assert_transcript(w, "12345 s > server CON empty 0001 (nobody)\n");
}

static void only_the_newest_of_the_transcript_is_kept(void **state)
{
    struct world *w = *state;
    const char line[] = "   0 s > server CON empty 0001 (nobody)\n";

    copal_free(w->server);
    assert_int_equal(copal_sim_keep(w->sim, 2 * strlen(line) + 5), 0);
    for (int i = 0; i < 50; i++)
        inject(w, "s", ping, sizeof(ping));
    inject(w, "s", next_ping, sizeof(next_ping));
    assert_transcript(w, "   0 s > server CON empty 0001 (nobody)\n"
                         "   0 s > server CON empty 0002 (nobody)\n");
    assert_int_equal(copal_sim_keep(w->sim, strlen(line)), 0);
    assert_transcript(w, "   0 s > server CON empty 0002 (nobody)\n");
    assert_int_equal(copal_sim_keep(w->sim, 0), 0);
    inject(w, "s", ping, sizeof(ping));
    assert_transcript(w, "");
}

static void a_thousand_hosts_are_no_burden(void **state)
{
    struct world *w = *state;
    char name[16];

    assert_int_equal(copal_sim_keep(w->sim, 0), 0);
    for (int i = 0; i < 1000; i++) {
        snprintf(name, sizeof(name), "host%d", i);
        assert_non_null(copal_sim_endpoint(w->sim, name, NULL));
    }
    set_path(w, (copal_sim_path){.delay = 50, .jitter = 50});
    for (int i = 0; i < 20000; i++) {
        snprintf(name, sizeof(name), "host%d", i % 1000);
        assert_int_equal(copal_sim_inject(w->sim, "client", name,
                                          (copal_bytes){ping, sizeof(ping)}),
                         0);
    }
    assert_int_equal(copal_sim_run(w->sim, 300), 0);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, build, tear_down)

/* As a closed port does it, by ICMP; what nobody refuses vanishes. */
static void a_host_that_is_down_may_refuse(void **state)
{
    struct world *w = *state;
    struct record *r;

    assert_int_equal(copal_sim_refuse(w->sim, "nobody", 1), COPAL_ENOENT);
    assert_int_equal(copal_sim_refuse(w->sim, "server", 1), 0);
    copal_free(w->server);
    copal_sim_set_path(w->sim, NULL, NULL, (copal_sim_path){.delay = 10});
    r = get(w, "coap://server/t");
    copal_sim_run(w->sim, 9);
    assert_int_equal(r->ends, 0);
    copal_sim_run(w->sim, 1);
    assert_ended(r, COPAL_EREFUSED);
    assert_transcript(w, "   0 client > server CON GET 0001 /t (refused)\n");
    copal_sim_refuse(w->sim, "server", 0);
    r = get(w, "coap://server/t");
    copal_sim_run(w->sim, 100000);
    assert_ended(r, COPAL_ETIMEOUT);
}

static void what_is_no_origin_is_none_here_either(void **state)
{
    static const char *const wrong[] = {"", "example.org",
                                        "https://example.org/"};
    struct world *w = *state;

    assert_int_equal(copal_allow_origin(w->server, "https://example.org"), 0);
    assert_int_equal(copal_allow_origin(w->server, "*"), 0);
    for (size_t i = 0; i < 3; i++) {
        assert_int_equal(copal_allow_origin(w->server, wrong[i]), COPAL_EINVAL);
        assert_non_null(strstr(copal_why(w->server), "no origin"));
    }
}

static void what_is_no_name_of_a_host_is_none_here_either(void **state)
{
    static const char *const wrong[] = {"", "http://device.example",
                                        "device.example:80"};
    struct world *w = *state;

    assert_int_equal(copal_allow_host(w->server, "device.example"), 0);
    assert_int_equal(copal_allow_host(w->server, "*"), 0);
    for (size_t i = 0; i < 3; i++) {
        assert_int_equal(copal_allow_host(w->server, wrong[i]), COPAL_EINVAL);
        assert_non_null(strstr(copal_why(w->server), "no name of a host"));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_host_that_is_down_may_refuse),
        TEST(what_is_no_origin_is_none_here_either),
        TEST(what_is_no_name_of_a_host_is_none_here_either),
        TEST(a_lost_request_is_sent_again_after_ack_timeout),
        TEST(silence_ends_the_exchange_after_max_retransmit),
        TEST(a_host_can_ask_itself),
        TEST(an_unknown_name_does_not_resolve),
        TEST(an_address_that_nobody_has_is_silent),
        TEST(names_of_hosts_are_found_in_any_case),
        TEST(without_a_path_a_datagram_arrives_in_the_same_millisecond),
        TEST(a_delay_holds_back_each_way),
        TEST(the_narrowest_path_counts),
        TEST(a_path_over_100_percent_is_refused),
        TEST(only_the_next_datagrams_of_that_host_are_lost),
        TEST(a_duplicate_is_shown_as_a_copy),
        TEST(loss_comes_as_often_as_its_percentage),
        TEST(datagrams_stay_in_order_without_jitter),
        TEST(jitter_makes_a_datagram_late_by_up_to_so_much),
        TEST(a_reordered_datagram_is_overtaken),
        TEST(who_moved_sends_from_a_fresh_address_and_is_found_there),
        TEST(what_comes_back_to_a_stranger_shows),
        TEST(only_hosts_take_injected_datagrams),
        TEST(who_crashed_hears_nothing_until_its_reboot),
        TEST(a_datagram_to_who_crashes_meanwhile_is_shown_again),
        TEST(a_name_is_given_to_one_host_at_a_time),
        TEST(a_crash_ends_what_the_host_asked),
        TEST(a_host_may_crash_in_its_own_callback),
        cmocka_unit_test(a_simulation_may_be_freed_in_a_callback),
        cmocka_unit_test(freeing_it_again_meanwhile_does_no_harm),
        TEST(time_cannot_be_moved_from_a_callback),
        TEST(an_endpoint_cannot_run_by_itself),
        TEST(listening_changes_nothing_but_tells_the_uri),
        TEST(timers_of_all_hosts_come_in_order),
        TEST(a_callback_may_call_another_host),
        TEST(who_always_has_work_cannot_stop_the_clock),
        cmocka_unit_test(the_same_seed_gives_the_same_transcript),
        cmocka_unit_test(seeds_differ_in_nothing_but_chance),
        cmocka_unit_test(a_post_ends_once_and_is_done_once_in_bad_weather),
        cmocka_unit_test(a_request_survives_every_failed_allocation),
        cmocka_unit_test(messages_have_their_line),
        TEST(the_time_takes_more_room_when_it_needs_it),
        TEST(only_the_newest_of_the_transcript_is_kept),
        TEST(a_thousand_hosts_are_no_burden),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
