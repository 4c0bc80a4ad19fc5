/* OSCORE over restarts: no number is used twice, no request is acted upon
 * twice. RFC 8613 7.5, appendix B.1. */
#include "secured.h"

#include <signal.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>
#include "endpoint.h"
#include "secure/oscore_context.h"

static struct wire_tap tap;

static struct cp_oscore_context *context_of(copal *c)
{
    return cp_container_of(cp_list_first(&c->oscore->contexts),
                           struct cp_oscore_context, node);
}

/* ---- Numbers ---- */

static void a_number_is_used_only_once_its_ceiling_is_durable(void **state)
{
    struct world *w = *state;
    struct record *r;

    serve_text(w, w->server, "/t", 0, "x");
    copal_free(w->client);
    w->client = add_host(w, "client");
    client_store.holds = true;
    keep_in(w->client, &client_store);
    assert_int_equal(protect(w->client, "coap://server", client_end(0)), 0);
    listen_to(w->client, &tap);
    r = get(w, "coap://server/t");
    run(w, 5000);
    assert_int_equal(tap.count, 0);
    let_go_on(&client_store);
    run(w, 5000);
    assert_int_equal(tap.count, 2);
    assert_ended(r, 0);
}

static void who_waits_for_the_store_may_leave(void **state)
{
    struct world *w = *state;
    struct record *r[3];

    copal_free(w->client);
    w->client = add_host(w, "client");
    client_store.holds = true;
    keep_in(w->client, &client_store);
    assert_int_equal(protect(w->client, "coap://server", client_end(0)), 0);
    for (int i = 0; i < 3; i++)
        r[i] = get(w, "coap://server/t");
    run(w, 100);
    copal_cancel(r[1]->exchange);
    run(w, 100);
    assert_ended(r[1], COPAL_ECANCEL);
    let_go_on(&client_store);
    run(w, 5000);
    assert_ended(r[0], 0);
    assert_ended(r[2], 0);
}

static void a_store_that_fails_ends_what_waits_for_it(void **state)
{
    struct world *w = *state;
    struct record *r;

    copal_free(w->client);
    w->client = add_host(w, "client");
    client_store.fails = true;
    keep_in(w->client, &client_store);
    assert_int_equal(protect(w->client, "coap://server", client_end(0)), 0);
    r = get(w, "coap://server/t");
    run(w, 5000);
    assert_int_equal(r->ends, 1);
    assert_true(r->status < 0);
    client_store.fails = false;
    get(w, "coap://server/t"); /* tries anew, and says so */
    run(w, 5000);
    r = get(w, "coap://server/t");
    run(w, 5000);
    assert_ended(r, 0);
}

static void numbers_go_on_above_those_before_a_crash(void **state)
{
    struct world *w = *state;
    uint64_t last = 0, piv;

    serve_text(w, w->server, "/t", 0, "x");
    for (int life = 0; life < 20; life++) {
        listen_to(w->client, &tap);
        for (int i = 0; i <= life; i++) {
            get(w, "coap://server/t");
            run(w, 1000);
        }
        for (size_t i = 0; i < tap.count; i++)
            if (tap.heard[i].out && partial_iv(&tap.heard[i], &piv)) {
                assert_true(piv > last || (life == 0 && i == 0));
                last = piv;
            }
        restart_client(w);
    }
}

static void the_ceiling_is_raised_before_it_is_reached(void **state)
{
    struct world *w = *state;
    int before = client_store.puts;

    serve_text(w, w->server, "/t", 0, "x");
    for (int i = 0; i < 5000; i++) {
        struct record *r = get(w, "coap://server/t");

        run(w, 10);
        assert_ended(r, 0);
    }
    assert_in_range(client_store.puts - before, 3, 6);
}

static void the_last_number_is_the_last(void **state)
{
    struct world *w = *state;
    struct record *r;

    serve_text(w, w->server, "/t", 0, "x");
    context_of(w->client)->next = CP_OSCORE_LAST_SEQ - 1;
    context_of(w->client)->ceiling = CP_OSCORE_LAST_SEQ;
    listen_to(w->client, &tap);
    for (int i = 0; i < 2; i++) {
        r = get(w, "coap://server/t");
        run(w, 1000);
        assert_ended(r, 0);
    }
    r = get(w, "coap://server/t");
    run(w, 1000);
    assert_ended(r, COPAL_ELIMIT);
    assert_non_null(strstr(r->text, "sequence number"));
    assert_int_equal(tap.count, 4);
    restart_client(w); /* nor are there others after a restart */
    r = get(w, "coap://server/t");
    run(w, 1000);
    assert_ended(r, COPAL_ELIMIT);
}

static void what_cannot_be_read_is_not_begun_anew(void **state)
{
    struct world *w = *state;
    struct record *r;

    copal_free(w->client);
    w->client = add_host(w, "client");
    client_store.kept[0].value[client_store.kept[0].len / 2] ^= 1;
    keep_in(w->client, &client_store);
    assert_int_equal(protect(w->client, "coap://server", client_end(0)), 0);
    listen_to(w->client, &tap);
    r = get(w, "coap://server/t");
    run(w, 5000);
    assert_int_equal(r->ends, 1);
    assert_true(r->status < 0);
    r = get(w, "coap://server/t");
    run(w, 5000);
    assert_true(r->status < 0);
    assert_int_equal(tap.count, 0);
}

/* ---- State that was begun ---- */

/* The context with nothing known of its numbers but start. */
static int use(copal *c, const char *scope, copal_oscore k,
               enum cp_oscore_start start)
{
    struct cp_oscore_spec spec = {.in = {.secret = k.secret,
                                         .salt = k.salt,
                                         .sender_id = k.sender_id,
                                         .recipient_id = k.recipient_id,
                                         .aead = CP_OSCORE_AEAD,
                                         .hkdf = CP_OSCORE_HKDF},
                                  .start = start};

    return cp_oscore_use(cp_endpoint_oscore(c), scope, &spec);
}

static copal *anew(struct world *w, copal **c, const char *name,
                   struct memory_store *s)
{
    copal_free(*c);
    *c = add_host(w, name);
    keep_in(*c, s);
    return *c;
}

static void what_was_begun_and_is_gone_is_not_begun_anew(void **state)
{
    struct world *w = *state;
    struct record *r, *served;

    memset(&client_store, 0, sizeof(client_store));
    anew(w, &w->client, "client", &client_store);
    assert_int_equal(
        use(w->client, "coap://server", client_end(0), CP_OSCORE_BEGUN),
        0); /* the store has not answered */
    listen_to(w->client, &tap);
    for (int i = 0; i < 2; i++) {
        r = get(w, "coap://server/t");
        run(w, 1000);
        assert_ended(r, COPAL_ENOENT);
        assert_non_null(strstr(r->text, "give both ends a new secret"));
    }
    assert_int_equal(tap.count, 0);
    assert_int_equal(client_store.puts, 0);

    memset(&server_store, 0, sizeof(server_store));
    anew(w, &w->server, "server", &server_store);
    served = serve_text(w, w->server, "/t", 0, "x");
    use(w->server, "*", server_end(0), CP_OSCORE_BEGUN);
    anew(w, &w->client, "client", &client_store);
    assert_int_equal(protect(w->client, "coap://server", client_end(0)), 0);
    run(w, 0);
    r = get(w, "coap://server/t");
    run(w, 300000);
    assert_ended(r, COPAL_ETIMEOUT);
    assert_int_equal(served->requests, 0);
}

static void what_was_begun_and_is_there_goes_on(void **state)
{
    struct world *w = *state;
    struct record *r;
    uint64_t piv;

    serve_text(w, w->server, "/t", 0, "x");
    anew(w, &w->client, "client", &client_store);
    use(w->client, "coap://server", client_end(0), CP_OSCORE_BEGUN);
    run(w, 0);
    listen_to(w->client, &tap);
    r = get(w, "coap://server/t");
    run(w, 1000);
    assert_ended(r, 0);
    assert_true(partial_iv(&tap.heard[0], &piv));
    assert_int_equal(piv, 2048);
}

/* As copal creds add leaves it: the first number is still to be used, and no
 * Echo is asked for. */
static void what_was_only_begun_has_used_nothing(void **state)
{
    struct world *w = *state;
    struct record *r;
    uint64_t piv;

    memset(&client_store, 0, sizeof(client_store));
    memset(&server_store, 0, sizeof(server_store));
    anew(w, &w->client, "client", &client_store);
    anew(w, &w->server, "server", &server_store);
    use(w->client, "coap://server", client_end(0), CP_OSCORE_NEW);
    use(w->server, "*", server_end(0), CP_OSCORE_NEW);
    run(w, 0);
    assert_int_equal(client_store.puts, 1);
    anew(w, &w->client, "client", &client_store);
    anew(w, &w->server, "server", &server_store);
    serve_text(w, w->server, "/t", 0, "x");
    use(w->client, "coap://server", client_end(0), CP_OSCORE_BEGUN);
    use(w->server, "*", server_end(0), CP_OSCORE_BEGUN);
    run(w, 0);
    listen_to(w->client, &tap);
    r = get(w, "coap://server/t");
    run(w, 1000);
    assert_ended(r, 0);
    assert_int_equal(tap.count, 2);
    assert_true(partial_iv(&tap.heard[0], &piv));
    assert_int_equal(piv, 0);
}

/* Nobody takes what comes before a number is reserved: after a crash it would
 * not be known that anything came. */
static void what_is_new_reserves_numbers_when_the_first_request_comes(
    void **state)
{
    struct world *w = *state;
    struct record *r, *served;
    int before;

    memset(&server_store, 0, sizeof(server_store));
    anew(w, &w->server, "server", &server_store);
    served = serve_text(w, w->server, "/t", 0, "x");
    use(w->server, "*", server_end(0), CP_OSCORE_NEW);
    run(w, 0);
    before = server_store.puts;
    listen_to(w->client, &tap);
    r = get(w, "coap://server/t");
    run(w, 1000);
    assert_int_equal(served->requests, 0);
    assert_int_equal(server_store.puts, before + 1);
    run(w, 10000);
    assert_ended(r, 0);
    assert_int_equal(served->requests, 1);
    served = serve_text(w, restart_server(w), "/t", 0, "x");
    r = get(w, "coap://server/t");
    run(w, 1000);
    assert_ended(r, 0);
    assert_int_equal(tap.count, 7); /* by an Echo: it had used some */
}

/* ---- The window ---- */

static void after_a_restart_an_echo_shows_that_a_request_is_new(void **state)
{
    struct world *w = *state;
    struct record *served, *r;

    serve_text(w, w->server, "/t", 0, "x");
    get(w, "coap://server/t");
    run(w, 1000);
    restart_server(w);
    served = serve_text(w, w->server, "/t", 0, "again");
    listen_to(w->client, &tap);
    r = ask(w, w->client, COPAL_POST, "coap://server/t", "do it");
    run(w, 1000);
    assert_ended(r, 0);
    assert_string_equal(r->payload, "again");
    assert_int_equal(served->requests, 1);
    assert_int_equal(tap.count, 4);
    r = ask(w, w->client, COPAL_POST, "coap://server/t", "do it");
    run(w, 1000);
    assert_ended(r, 0);
    assert_int_equal(tap.count, 6); /* once is enough */
    assert_int_equal(served->requests, 2);
}

/* T10. */
static void no_request_from_before_a_restart_is_acted_upon(void **state)
{
    struct world *w = *state;
    struct record *served, *r;
    size_t before;

    serve_text(w, w->server, "/t", 0, "x");
    restart_server(w); /* so that there are requests with an Echo among them */
    serve_text(w, w->server, "/t", 0, "x");
    listen_to(w->client, &tap);
    for (int i = 0; i < 5; i++) {
        ask(w, w->client, COPAL_POST, "coap://server/t", "do it");
        run(w, 1000);
    }
    restart_server(w);
    served = serve_text(w, w->server, "/t", 0, "again");
    before = tap.count;
    for (int round = 0; round < 2; round++) {
        for (size_t i = 0; i < before; i++) {
            struct heard h = tap.heard[i];

            if (!h.out)
                continue;
            h.bytes[2] = (uint8_t)(0x10 + round);
            h.bytes[3] = (uint8_t)i;
            copal_sim_inject(w->sim, "192.0.2.1", "server",
                             (copal_bytes){h.bytes, h.len});
            run(w, 100);
        }
        assert_int_equal(served->requests, round);
        r = ask(w, w->client, COPAL_POST, "coap://server/t", "new");
        run(w, 1000);
        assert_ended(r, 0);
        assert_int_equal(served->requests, round + 1);
    }
}

static void an_echo_is_good_for_half_a_minute(void **state)
{
    struct world *w = *state;
    struct record *served, *r;

    serve_text(w, w->server, "/t", 0, "x");
    get(w, "coap://server/t");
    run(w, 1000);
    restart_server(w);
    served = serve_text(w, w->server, "/t", 0, "again");
    copal_sim_set_path(w->sim, "client", "server",
                       (copal_sim_path){.delay = 31000});
    r = ask(w, w->client, COPAL_POST, "coap://server/t", "do it");
    run(w, 200000);
    assert_int_equal(r->ends, 1);
    assert_int_equal(served->requests, 0);
}

static void a_server_without_numbers_yet_lets_the_client_try_again(void **state)
{
    struct world *w = *state;
    struct record *r;

    copal_free(w->server);
    w->server = add_host(w, "server");
    server_store.holds = true;
    keep_in(w->server, &server_store);
    assert_int_equal(protect(w->server, "*", server_end(0)), 0);
    serve_text(w, w->server, "/t", 0, "x");
    run(w, 0);
    r = get(w, "coap://server/t");
    run(w, 1000);
    assert_int_equal(r->ends, 0);
    let_go_on(&server_store);
    run(w, 5000);
    assert_ended(r, 0);
    assert_string_equal(r->payload, "x");
}

static void an_observation_begins_anew_after_a_restart(void **state)
{
    struct world *w = *state;
    struct record *r;

    serve_text(w, w->server, "/n", COPAL_OBSERVABLE, "x");
    restart_server(w);
    serve_text(w, w->server, "/n", COPAL_OBSERVABLE, "x");
    r = observe(w, "coap://server/n"); /* by way of an Echo */
    run(w, 1000);
    assert_int_equal(r->responses, 1);
    assert_int_equal(observers(w), 1);
    copal_notify(w->server, "/n");
    run(w, 4000);
    assert_int_equal(r->responses, 2);
    cancel_if_open(r);
    run(w, 10000);
    assert_int_equal(observers(w), 0);
}

/* ---- kill -9 ---- */

enum {
    LIVES = 40, /* COPAL_LIVES of the environment for a longer run */
    MOST_NUMBERS = 200000
};

static uint64_t numbers[MOST_NUMBERS];
static size_t number_count;

/* Uses numbers until it is killed, and tells each before it would be sent. */
static void live(const char *directory, int to)
{
    copal_sim *sim = copal_sim_new(1);
    copal *c = copal_sim_endpoint(sim, "client", NULL);
    copal_oscore end = client_end(0);
    uint64_t seq;

    if (copal_store(c, directory, COPAL_CB(NULL, NULL)) != 0 ||
        copal_use_oscore(c, "coap://server", &end) != 0)
        _exit(1);
    for (;;) {
        copal_sim_run(sim, 0);
        while (cp_oscore_state_take(context_of(c), &seq) == 0)
            if (write(to, &seq, sizeof(seq)) != sizeof(seq))
                _exit(1);
    }
}

static void die_at_random(const char *directory, unsigned life)
{
    int ends[2], status;
    uint64_t seq;
    size_t most = (size_t)rand() % 4000;
    pid_t child;

    assert_int_equal(pipe(ends), 0);
    child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        close(ends[0]);
        live(directory, ends[1]);
    }
    close(ends[1]);
    for (size_t i = 0; read(ends[0], &seq, sizeof(seq)) == sizeof(seq); i++) {
        if (number_count < MOST_NUMBERS)
            numbers[number_count++] = seq;
        if (i == most)
            kill(child, SIGKILL); /* what it wrote until then is read, too */
    }
    close(ends[0]);
    assert_int_equal(waitpid(child, &status, 0), child);
    if (!WIFSIGNALED(status))
        fail_msg("life %u: exit %d", life, WEXITSTATUS(status));
}

static int by_value(const void *a, const void *b)
{
    uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

    return x < y ? -1 : x > y;
}

/* T11. */
static void no_number_comes_twice_whenever_it_is_killed(void **state)
{
    char directory[] = "/tmp/copal-oscore-XXXXXX", command[80];
    const char *more = getenv("COPAL_LIVES");
    unsigned lives = more == NULL ? LIVES : (unsigned)atoi(more);

    (void)state;
    assert_non_null(mkdtemp(directory));
    number_count = 0;
    srand(1);
    for (unsigned life = 0; life < lives && number_count < MOST_NUMBERS - 9000;
         life++)
        die_at_random(directory, life);
    assert_true(number_count > lives);
    qsort(numbers, number_count, sizeof(numbers[0]), by_value);
    for (size_t i = 1; i < number_count; i++)
        assert_true(numbers[i] != numbers[i - 1]);
    print_message("%zu numbers in %u lives\n", number_count, lives);
    snprintf(command, sizeof(command), "rm -r %s", directory);
    assert_int_equal(system(command), 0);
}

/* T12. */
static void a_second_endpoint_with_that_state_is_refused(void **state)
{
    char directory[] = "/tmp/copal-oscore-XXXXXX", command[80];
    struct world *w = *state;
    copal *a = add_host(w, "a"), *b = add_host(w, "b");

    assert_non_null(mkdtemp(directory));
    assert_int_equal(copal_store(a, directory, COPAL_CB(NULL, NULL)), 0);
    assert_int_equal(protect(a, "*", server_end(1)), 0);
    assert_int_equal(copal_store(b, directory, COPAL_CB(NULL, NULL)),
                     COPAL_EINUSE);
    assert_true(strlen(copal_why(b)) > 10);
    assert_int_equal(protect(b, "*", server_end(1)), COPAL_ESTATE);
    copal_free(a);
    copal_free(b);
    snprintf(command, sizeof(command), "rm -r %s", directory);
    assert_int_equal(system(command), 0);
}

#define TEST(name) \
    cmocka_unit_test_setup_teardown(name, build_secured, tear_down_secured)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_number_is_used_only_once_its_ceiling_is_durable),
        TEST(who_waits_for_the_store_may_leave),
        TEST(a_store_that_fails_ends_what_waits_for_it),
        TEST(numbers_go_on_above_those_before_a_crash),
        TEST(the_ceiling_is_raised_before_it_is_reached),
        TEST(the_last_number_is_the_last),
        TEST(what_cannot_be_read_is_not_begun_anew),
        TEST(what_was_begun_and_is_gone_is_not_begun_anew),
        TEST(what_was_begun_and_is_there_goes_on),
        TEST(what_was_only_begun_has_used_nothing),
        TEST(what_is_new_reserves_numbers_when_the_first_request_comes),
        TEST(after_a_restart_an_echo_shows_that_a_request_is_new),
        TEST(no_request_from_before_a_restart_is_acted_upon),
        TEST(an_echo_is_good_for_half_a_minute),
        TEST(a_server_without_numbers_yet_lets_the_client_try_again),
        TEST(an_observation_begins_anew_after_a_restart),
        TEST(a_second_endpoint_with_that_state_is_refused),
        cmocka_unit_test(no_number_comes_twice_whenever_it_is_killed),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
