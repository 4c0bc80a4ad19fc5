/* Recordings that begin amid things: what lives on from before is not in them,
 * so that what comes of it is not compared. What begins in them is. */
#include <stdlib.h>
#include <unistd.h>
#include "bodies.h"
#include "replay.h"

enum {
    SMALLEST = 16384,
    LONGEST = 1 << 20
};

static char path[] = "/tmp/copal-record-XXXXXX";

static struct shown {
    char why[CP_REPLAY_SENTENCE];
    unsigned long long sent, untold;
} shown;

static void on_replay(const copal_event *ev, void *user)
{
    const char *sum = strstr(ev->text, "\"what\":\"");

    (void)user;
    if (ev->kind == COPAL_END)
        snprintf(shown.why, sizeof(shown.why), "%s", ev->text);
    else if (sum != NULL)
        sscanf(sum,
               "\"what\":\"%llu datagrams were sent as they were; %llu of what",
               &shown.sent, &shown.untold);
}

static int replay(copal *c)
{
    memset(&shown, 0, sizeof(shown));
    assert_int_equal(copal_log_to(c, COPAL_LOG_RECORDING, path), 0);
    return copal_replay(path, COPAL_CB(on_replay, NULL));
}

static void assert_same_again(copal *c)
{
    if (replay(c) != 0)
        fail_msg("%s", shown.why);
}

static void record(copal *c)
{
    tune(c, COPAL_P_RECORD_MEMORY, LONGEST);
}

static int build_file(void **state)
{
    int fd = mkstemp(strcpy(path, "/tmp/copal-record-XXXXXX"));

    assert_true(fd >= 0);
    close(fd);
    return build_bodies(state);
}

static int tear_down_file(void **state)
{
    unlink(path);
    return tear_down_bodies(state);
}

/* ---- What was asked before ---- */

static struct record *watch(struct world *w, const char *uri)
{
    struct record *r = next_record(w);

    r->exchange = copal_watch(w->client, uri, recording(r));
    assert_non_null(r->exchange);
    return r;
}

/* Max-Age is a minute: by then it has registered twice more. */
static void a_watch_of_before_registers_again(void **state)
{
    struct world *w = *state;
    struct record *r;

    serve_text(w, w->server, "/t", COPAL_OBSERVABLE, "22.5 C");
    r = watch(w, "coap://server/t");
    run(w, 1000);
    assert_int_equal(r->responses, 1);
    record(w->client);
    run(w, 150000);
    assert_same_again(w->client);
    assert_true(shown.untold >= 2);
}

/* It looks for a way anew, so that whom it asks is not known before. */
static void a_watch_of_before_that_waits_asks_again(void **state)
{
    struct world *w = *state;

    copal_free(w->server);
    w->server = NULL;
    copal_sim_refuse(w->sim, "server", 1);
    watch(w, "coap://server/t");
    run(w, 100);
    record(w->client);
    run(w, 100000);
    assert_same_again(w->client);
    assert_true(shown.untold >= 2);
}

static void an_observation_of_before_is_given_up(void **state)
{
    struct world *w = *state;
    struct record *r;

    serve_text(w, w->server, "/t", COPAL_OBSERVABLE, "22.5 C");
    r = observe(w, "coap://server/t");
    run(w, 1000);
    record(w->client);
    assert_int_equal(copal_cancel(r->exchange), 0);
    run(w, 1000);
    assert_int_equal(observers(w), 0);
    assert_same_again(w->client);
    assert_true(shown.untold >= 1);
}

/* The answers are kept: once they are stale they are asked for by their ETags. */
static void answer_with_etag(const copal_event *ev, void *user)
{
    copal_msg *m;

    (void)user;
    if (ev->kind != COPAL_REQUEST)
        return;
    m = copal_msg_new(copal_exchange_endpoint(ev->exchange), COPAL_CONTENT);
    copal_msg_add_text(m, COPAL_OPT_ETAG, "a");
    copal_msg_set_payload(m, COPAL_TEXT, (copal_bytes){(uint8_t *)"x", 1});
    copal_respond(ev->exchange, m);
    copal_msg_unref(m);
}

static void what_is_kept_of_before_decides_what_is_asked(void **state)
{
    struct world *w = *state;

    tune(w->client, COPAL_P_CACHE_MEMORY, 65536);
    copal_serve(w->server, COPAL_GET, "/t", 0,
                COPAL_CB(answer_with_etag, NULL));
    get(w, "coap://server/t");
    run(w, 1000);
    record(w->client);
    get(w, "coap://server/t");
    run(w, 100000);
    get(w, "coap://server/t");
    run(w, 1000);
    assert_same_again(w->client);
}

/* Of very many it says but that there are some, so that there is room to begin. */
static void so_many_may_have_been_asked_before(void **state)
{
    struct world *w = *state;
    char uri[64];

    tune(w->client, COPAL_P_NSTART, 1);
    for (int i = 0; i < 200; i++) {
        copal_msg *m = copal_msg_new(w->client, COPAL_GET);

        snprintf(uri, sizeof(uri), "coap://192.0.2.%d/t", i);
        copal_msg_set_uri(m, uri);
        copal_request(w->client, m, (copal_cb){0});
        copal_msg_unref(m);
    }
    run(w, 100);
    tune(w->client, COPAL_P_RECORD_MEMORY, SMALLEST);
    run(w, 60000);
    assert_same_again(w->client);
}

/* ---- What was heard before ---- */

static void let_go(void *x)
{
    copal_exchange_unref(x);
}

static void reply_late(const copal_event *ev, void *user)
{
    (void)ev;
    copal_reply_text(user, COPAL_CONTENT, "worth the wait");
}

static void answer_late(const copal_event *ev, void *user)
{
    if (ev->kind == COPAL_REQUEST)
        copal_after(
            user, 3000,
            COPAL_CB_OWN(reply_late, copal_exchange_ref(ev->exchange), let_go));
}

/* The first answer is sent again and again meanwhile: NSTART is 1. */
static void an_answer_waits_for_what_goes_there_from_before(void **state)
{
    struct world *w = *state;
    struct record *r;

    copal_serve(w->server, COPAL_GET, "/slow", 0,
                COPAL_CB(answer_late, w->server));
    get(w, "coap://server/slow");
    run(w, 2900);
    copal_sim_lose(w->sim, "server", 3);
    run(w, 200);
    record(w->server);
    r = get(w, "coap://server/slow");
    run(w, 100000);
    assert_ended(r, 0);
    assert_same_again(w->server);
}

static void inject(struct world *w, const void *datagram, size_t len)
{
    assert_int_equal(copal_sim_inject(w->sim, "client", "server",
                                      (copal_bytes){datagram, len}),
                     0);
    run(w, 100);
}

/* By its message id it is one, whatever else it says: an option that nobody
 * knows, which is found out at once. */
static void a_repeat_of_before_is_answered_as_then(void **state)
{
    static const uint8_t first[] = {0x41, COPAL_GET, 0x12, 0x34, 1, 0xb1, 't'};
    static const uint8_t other[] = {0x41, COPAL_GET, 0x12, 0x34,
                                    1,    0xd1,      30,   'x'};
    struct world *w = *state;

    serve_text(w, w->server, "/t", 0, "22.5 C");
    inject(w, first, sizeof(first));
    record(w->server);
    inject(w, other, sizeof(other));
    assert_same_again(w->server);
    assert_int_equal(shown.untold, 2); /* now 4.02, then what was sent again */
}

/* Of a body by Q-Block the first block alone is asked for again, which says
 * nothing of the body that it answers. */
static void a_block_that_was_lost_before_is_asked_for(void **state)
{
    struct world *w = *state;
    struct party *p;

    copal_sim_set_path(w->sim, NULL, NULL, (copal_sim_path){.delay = 10});
    tune(w->server, COPAL_P_Q_BLOCK, 1);
    tune(w->client, COPAL_P_Q_BLOCK, 1);
    serve_body(w, COPAL_PUT, "/q", 0, 3000);
    ask_body(w, COPAL_PUT, "coap://server/q", 3000);
    run(w, 100000);
    p = ask_body(w, COPAL_PUT, "coap://server/q", 3000);
    run(w, 45);
    copal_sim_lose(w->sim, "server", 1);
    run(w, 8);
    assert_int_equal(p->ends, 0);
    record(w->server);
    run(w, 100000);
    assert_body(p, 3000, 1);
    assert_same_again(w->server);
    assert_true(shown.untold >= 1);
}

/* One representation is for all: whom it was given for first, the handler is asked
 * for again. */
static void who_comes_to_observers_of_before_is_told_with_them(void **state)
{
    struct world *w = *state;
    copal *other = add_host(w, "other");
    struct record *r = next_record(w);

    serve_text(w, w->server, "/t", COPAL_OBSERVABLE, "22.5 C");
    observe(w, "coap://server/t");
    run(w, 1000);
    record(w->server);
    r->exchange = copal_observe(other, "coap://server/t", recording(r));
    for (int i = 0; i < 3; i++) {
        run(w, 5000);
        copal_notify(w->server, "/t");
    }
    run(w, 5000);
    assert_int_equal(r->responses, 4);
    assert_int_equal(copal_cancel(r->exchange), 0);
    run(w, 5000);
    assert_same_again(w->server);
    assert_true(shown.untold >= 6);
}

/* By Q-Block a body that was complete is not begun anew. */
static void a_late_block_of_a_body_of_before_begins_none(void **state)
{
    static const uint8_t first[] = {
        0x51, COPAL_PUT, 0x12, 0x34, 1,    0xb1, 'q', 0x81, 0x08, 0xd1, 0x1c,
        32,   0xd1,      0xdb, 't',  0xff, '0',  '1', '2',  '3',  '4',  '5',
        '6',  '7',       '8',  '9',  'a',  'b',  'c', 'd',  'e',  'f'};
    uint8_t block[sizeof(first)];
    struct world *w = *state;
    struct record *served;

    tune(w->server, COPAL_P_Q_BLOCK, 1);
    served = serve_text(w, w->server, "/q", 0, "x");
    memcpy(block, first, sizeof(first));
    inject(w, block, sizeof(block));
    block[3]++;
    block[8] = 0x10; /* the second and last */
    inject(w, block, sizeof(block));
    assert_int_equal(served->requests, 1);
    record(w->server);
    memcpy(block, first, sizeof(first));
    block[3] += 2;
    inject(w, block, sizeof(block));
    assert_int_equal(served->requests, 1);
    for (int i = 0; i < 6; i++) { /* so that what is due is found */
        get(w, "coap://server/q");
        run(w, 50000);
    }
    assert_same_again(w->server);
}

/* ---- What begins in it ---- */

static void what_is_asked_in_it_is_compared(void **state)
{
    struct world *w = *state;

    serve_text(w, w->server, "/t", COPAL_OBSERVABLE, "22.5 C");
    get(w, "coap://server/t");
    run(w, 1000);
    record(w->client);
    record(w->server);
    for (int i = 0; i < 10; i++) {
        get(w, "coap://server/t");
        run(w, 1000);
    }
    for (int i = 0; i < 2; i++) {
        assert_same_again(i == 0 ? w->client : w->server);
        assert_int_equal(shown.sent, 10);
        assert_int_equal(shown.untold, 0);
    }
}

#define ON_A_FILE(test) \
    cmocka_unit_test_setup_teardown(test, build_file, tear_down_file)

int main(void)
{
    const struct CMUnitTest tests[] = {
        ON_A_FILE(a_watch_of_before_registers_again),
        ON_A_FILE(a_watch_of_before_that_waits_asks_again),
        ON_A_FILE(an_observation_of_before_is_given_up),
        ON_A_FILE(what_is_kept_of_before_decides_what_is_asked),
        ON_A_FILE(so_many_may_have_been_asked_before),
        ON_A_FILE(an_answer_waits_for_what_goes_there_from_before),
        ON_A_FILE(a_repeat_of_before_is_answered_as_then),
        ON_A_FILE(a_block_that_was_lost_before_is_asked_for),
        ON_A_FILE(who_comes_to_observers_of_before_is_told_with_them),
        ON_A_FILE(a_late_block_of_a_body_of_before_begins_none),
        ON_A_FILE(what_is_asked_in_it_is_compared),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
