/* Notifications on their way: pace, what takes whose place, and very many of
 * them. RFC 7641 4.3 to 4.5, 7. */
#include "bodies.h"
#include <stdlib.h>

enum {
    MANY = 10000,
    A_TURN = 128,   /* datagrams of one round, in a turn */
    A_BUFFER = 5000 /* acknowledgements in 4 MiB */
};

static void set_delay(struct world *w, uint32_t ms)
{
    assert_int_equal(
        copal_sim_set_path(w->sim, NULL, NULL, (copal_sim_path){.delay = ms}),
        0);
}

static copal_stats stats_of(const copal *c)
{
    copal_stats s = {.size = sizeof(s)};

    copal_get_stats(c, &s);
    return s;
}

static struct party *serve_state(struct world *w, unsigned flags)
{
    struct party *s =
        serve_body(w, COPAL_GET, "/t", COPAL_OBSERVABLE | flags, 20);

    return s;
}

static void change(struct world *w, struct party *s)
{
    s->version++;
    copal_notify(w->server, "/t");
}

static int64_t number_of(const struct party *p)
{
    return copal_msg_uint(p->msg, COPAL_OPT_OBSERVE);
}

/* ---- Superseding, RFC 7641 4.5.2 ---- */

static void a_newer_state_takes_the_place_of_a_retransmission(void **state)
{
    struct world *w = *state;
    struct party *s = serve_state(w, 0), *p;

    p = observe_body(w, "coap://server/t");
    run(w, 10);
    copal_sim_lose(w->sim, "server", 2);
    change(w, s);
    run(w, 1000);
    change(w, s);
    change(w, s);
    run(w, 9000);
    assert_body(p, 20, 4);
    assert_log(p, "2.05 20 bytes\n2.05 20 bytes\n");
    /* Message id 2, with the wait of 1 doubled. */
    assert_transcript(
        w, "   0 client > server CON GET 0001 /t obs=0\n"
           "   0 server > client ACK 2.05 0001 obs (20 bytes)\n"
           "  10 server > client CON 2.05 0001 obs (20 bytes) (lost)\n"
           "2010 server > client CON 2.05 0002 obs (20 bytes) (lost)\n"
           "6010 server > client CON 2.05 0002 obs (20 bytes)\n"
           "6010 client > server ACK empty 0002\n");
}

static void an_unchanged_state_is_sent_again_with_its_number(void **state)
{
    struct world *w = *state;
    struct party *s = serve_state(w, 0), *p;
    struct tap *t = tap_of(w->server), first;

    p = observe_body(w, "coap://server/t");
    run(w, 10);
    copal_sim_lose(w->sim, "server", 1);
    change(w, s);
    run(w, 10);
    first = *t;
    run(w, 3000);
    assert_int_equal(first.mid, t->mid);
    assert_int_equal(p->responses, 2);
    assert_non_null(strstr(first.line, "[\"Observe\",\"320\"]"));
    /* 10 ms by 32 a millisecond */
    assert_int_equal(number_of(p), 320);
}

static void max_age_of_what_is_late_is_less(void **state)
{
    struct world *w = *state;
    struct party *s = serve_state(w, 0), *p;

    p = observe_body(w, "coap://server/t");
    run(w, 10);
    assert_int_equal(copal_msg_uint(p->msg, COPAL_OPT_MAX_AGE), COPAL_ENOENT);
    copal_sim_lose(w->sim, "server", 3);
    change(w, s);
    run(w, 30000);
    assert_int_equal(p->responses, 2);
    assert_int_equal(copal_msg_uint(p->msg, COPAL_OPT_MAX_AGE), 60 - 14);
}

static void respond_with(const copal_event *ev, void *user)
{
    if (ev->kind == COPAL_REQUEST)
        assert_int_equal(copal_respond(ev->exchange, user), 0);
}

/* As a proxy answers with what it was answered: the token there is that of its
 * own request. */
static void what_was_received_from_elsewhere_is_a_state_as_well(void **state)
{
    static const uint8_t datagram[] = {0x54, 0x45, 1,    2,   't', 'o',
                                       'k',  'n',  0xff, 'h', 'i'};
    struct world *w = *state;
    struct party *p;
    copal_msg *m = NULL;
    copal_bytes body;

    assert_int_equal(copal_msg_decode(w->server,
                                      (copal_bytes){datagram, sizeof(datagram)},
                                      &m),
                     0);
    copal_serve(w->server, COPAL_GET, "/t", COPAL_OBSERVABLE,
                COPAL_CB(respond_with, m));
    p = observe_body(w, "coap://server/t");
    run(w, 10);
    copal_notify(w->server, "/t");
    run(w, 10);
    assert_int_equal(p->responses, 2);
    body = copal_msg_payload(p->msg);
    assert_int_equal(body.len, 2);
    assert_memory_equal(body.data, "hi", 2);
    copal_msg_unref(m);
}

/* Else an observer that is gone would stay as long as there is news. */
static void superseding_begins_no_new_series(void **state)
{
    struct world *w = *state;
    struct party *s = serve_state(w, 0);

    observe_body(w, "coap://server/t");
    run(w, 10);
    copal_free(w->client);
    w->client = NULL;
    for (int i = 0; i < 61; i++) {
        change(w, s);
        run(w, 1000);
    }
    assert_int_equal(stats_of(w->server).observers, 1);
    run(w, 2000);
    assert_int_equal(stats_of(w->server).observers, 0);
    assert_int_equal(count_in_transcript(w, "(nobody)"), 5);
}

static void a_late_acknowledgement_of_what_was_superseded_ends_nothing(
    void **state)
{
    struct world *w = *state;
    struct party *s = serve_state(w, 0), *p;

    p = observe_body(w, "coap://server/t");
    run(w, 10);
    set_delay(w, 1500);
    change(w, s);
    run(w, 100);
    change(w, s);
    run(w, 10000);
    assert_body(p, 20, 3);
    assert_int_equal(stats_of(w->server).observers, 1);
    assert_transcript(w, "   0 client > server CON GET 0001 /t obs=0\n"
                         "   0 server > client ACK 2.05 0001 obs (20 bytes)\n"
                         "  10 server > client CON 2.05 0001 obs (20 bytes)\n"
                         "1510 client > server ACK empty 0001\n"
                         "2010 server > client CON 2.05 0002 obs (20 bytes)\n"
                         "3510 client > server ACK empty 0002\n");
}

static void an_error_takes_the_place_of_a_retransmission_too(void **state)
{
    struct world *w = *state;
    struct party *s = serve_state(w, 0), *p;

    p = observe_body(w, "coap://server/t");
    run(w, 10);
    copal_sim_lose(w->sim, "server", 1);
    change(w, s);
    run(w, 1000);
    copal_unserve(w->server, "/t");
    run(w, 10000);
    assert_log(p, "2.05 20 bytes\n4.04 0 bytes\nend OK\n");
    assert_int_equal(stats_of(w->server).observers, 0);
    assert_int_equal(count_in_transcript(w, "2010 server > client CON 4.04"),
                     1);
}

/* ---- Pace, RFC 7641 4.5.1 ---- */

/* The second has to wait, and measures. */
static void non_confirmables_come_once_a_round_trip(void **state)
{
    struct world *w = *state;
    struct party *s = serve_state(w, 0), *p;

    s->flags = COPAL_NON;
    p = observe_body(w, "coap://server/t");
    run(w, 10);
    set_delay(w, 200);
    for (int i = 0; i < 42; i++) {
        change(w, s);
        run(w, 100);
    }
    run(w, 500);
    assert_body(p, 20, 43);
    assert_transcript(w, "   0 client > server CON GET 0001 /t obs=0\n"
                         "   0 server > client ACK 2.05 0001 obs (20 bytes)\n"
                         "  10 server > client NON 2.05 0001 obs (20 bytes)\n"
                         "3010 server > client CON 2.05 0002 obs (20 bytes)\n"
                         "3210 client > server ACK empty 0002\n"
                         "3410 server > client NON 2.05 0003 obs (20 bytes)\n"
                         "3810 server > client NON 2.05 0004 obs (20 bytes)\n"
                         "4210 server > client NON 2.05 0005 obs (20 bytes)\n");
}

static void slow_changes_wait_for_nothing(void **state)
{
    struct world *w = *state;
    struct party *s = serve_state(w, 0);

    s->flags = COPAL_NON;
    observe_body(w, "coap://server/t");
    run(w, 10);
    for (int i = 0; i < 3; i++) {
        change(w, s);
        run(w, 5000);
    }
    assert_transcript(w,
                      "   0 client > server CON GET 0001 /t obs=0\n"
                      "   0 server > client ACK 2.05 0001 obs (20 bytes)\n"
                      "  10 server > client NON 2.05 0001 obs (20 bytes)\n"
                      "5010 server > client NON 2.05 0002 obs (20 bytes)\n"
                      "10010 server > client NON 2.05 0003 obs (20 bytes)\n");
}

static void a_lost_last_state_is_repeated_confirmably(void **state)
{
    struct world *w = *state;
    struct party *s = serve_state(w, 0), *p;

    s->flags = COPAL_NON;
    p = observe_body(w, "coap://server/t");
    run(w, 10);
    copal_sim_lose(w->sim, "server", 1);
    change(w, s);
    run(w, 40000);
    assert_body(p, 20, 2);
    assert_int_equal(copal_msg_uint(p->msg, COPAL_OPT_MAX_AGE), 60 - 33);
    assert_int_equal(count_in_transcript(w, "server > client CON"), 1);
    run(w, 1000000);
    assert_int_equal(count_in_transcript(w, "server > client CON"), 1);
}

/* Half of Max-Age after the last of them, not after the first. */
static void of_many_states_the_last_is_repeated(void **state)
{
    struct world *w = *state;
    struct party *s = serve_state(w, 0), *p;

    s->flags = COPAL_NON;
    p = observe_body(w, "coap://server/t");
    run(w, 10);
    for (int i = 0; i < 3; i++) {
        if (i == 2)
            copal_sim_lose(w->sim, "server", 1);
        change(w, s);
        run(w, 20000);
    }
    run(w, 40000);
    assert_body(p, 20, 4);
    assert_int_equal(count_in_transcript(w, "server > client NON 2.05"), 3);
    assert_int_equal(count_in_transcript(w, "server > client CON"), 1);
    assert_int_equal(count_in_transcript(w, "73010 server > client CON"), 1);
}

/* Nobody waited for the place of what rested meanwhile. */
static void another_observation_finds_a_place_that_is_free(void **state)
{
    struct world *w = *state;
    struct party *s = serve_state(w, 0), *other;

    s->flags = COPAL_NON;
    other = serve_body(w, COPAL_GET, "/u", COPAL_OBSERVABLE, 20);
    other->flags = COPAL_NON;
    observe_body(w, "coap://server/t");
    observe_body(w, "coap://server/u");
    run(w, 10);
    change(w, s);
    run(w, 5000);
    other->version++;
    copal_notify(w->server, "/u");
    run(w, 1000);
    assert_int_equal(count_in_transcript(w, "  10 server > client NON"), 1);
    assert_int_equal(count_in_transcript(w, "5010 server > client NON"), 1);
    change(w, s); /* waits for that, and measures */
    run(w, 4000);
    assert_int_equal(count_in_transcript(w, "8010 server > client CON"), 1);
}

static void reset(struct world *w, unsigned mid)
{
    uint8_t rst[] = {0x70, 0, (uint8_t)(mid >> 8), (uint8_t)mid};

    copal_sim_inject(w->sim, "client", "server",
                     (copal_bytes){rst, sizeof(rst)});
    run(w, 10);
}

/* The first of two, when the second has been told, too. */
static void a_reset_for_one_ends_that_observation_alone(void **state)
{
    struct world *w = *state;
    struct party *s = serve_state(w, 0);
    struct tap *t = tap_of(w->server);
    unsigned mid;

    s->flags = COPAL_NON;
    observe_apart(w, "coap://server/t", 0);
    observe_apart(w, "coap://server/t", 1);
    run(w, 10);
    change(w, s);
    run(w, 0);
    assert_string_equal(t->type, "NON");
    mid = t->mid;
    run(w, 10000);
    reset(w, mid ^ 0x8000); /* nobody's */
    assert_int_equal(stats_of(w->server).observers, 2);
    reset(w, mid);
    assert_int_equal(stats_of(w->server).observers, 1);
}

/* NSTART is for a client, however many resources it observes. */
static void observations_of_one_client_share_its_pace(void **state)
{
    struct world *w = *state;
    struct party *s = serve_state(w, 0), *p[4];

    s->flags = COPAL_NON;
    for (int i = 0; i < 4; i++)
        p[i] = observe_apart(w, "coap://server/t", i);
    run(w, 10);
    set_delay(w, 200);
    change(w, s);
    run(w, 1000);
    change(w, s); /* overtakes what three of them wait for */
    run(w, 4000);
    for (int i = 0; i < 4; i++)
        assert_body(p[i], 20, 3);
    assert_int_equal(count_in_transcript(w, "server > client"), 4 + 5);
    assert_int_equal(count_in_transcript(w, "  10 server > client NON"), 1);
    assert_int_equal(count_in_transcript(w, "3010 server > client CON"), 1);
    assert_int_equal(count_in_transcript(w, "3410 server > client NON"), 1);
    assert_int_equal(count_in_transcript(w, "3810 server > client NON"), 1);
    assert_int_equal(count_in_transcript(w, "4210 server > client NON"), 1);
}

/* Encoded anew it finds no memory, so what was queued leaves as it was. */
static void a_newer_state_that_finds_no_memory_waits_a_round_trip(void **state)
{
    struct world *w = *state;
    struct party *first = serve_state(w, 0), *p;
    struct party *s = serve_body(w, COPAL_GET, "/u", COPAL_OBSERVABLE, 20);

    first->flags = s->flags = COPAL_NON;
    observe_body(w, "coap://server/t");
    p = observe_body(w, "coap://server/u");
    run(w, 10);
    set_delay(w, 200);
    change(w, first);
    run(w, 40000); /* it is repeated confirmably */
    change(w, first);
    for (int i = 0; i < 2; i++) {
        s->version++;
        copal_notify(w->server, "/u");
        run(w, 150); /* it waits for the first */
    }
    runs_differ = true;
    for (int ms = 0; ms < 300 && !w->heap.failed; ms++) {
        w->heap.fail_at = w->heap.asked + 1;
        run(w, 1);
    }
    assert_true(w->heap.failed);
    w->heap.fail_at = 0;
    run(w, 300);
    assert_body(p, 20, 2);
    run(w, 2000);
    assert_body(p, 20, 3);
}

static void requests_do_not_wait_for_notifications_that_rest(void **state)
{
    struct world *w = *state;
    struct party *s = serve_state(w, 0);
    struct record *r;

    s->flags = COPAL_NON;
    serve_text(w, w->client, "/c", 0, "x");
    observe_body(w, "coap://server/t");
    run(w, 10);
    change(w, s);
    r = ask(w, w->server, COPAL_GET, "coap://client/c", NULL);
    run(w, 0);
    assert_ended(r, 0);
}

/* RFC 7641 7: who was never asked about it gets few. */
static void who_never_acknowledges_gets_few(void **state)
{
    struct world *w = *state;
    const uint8_t get[] = {0x51, 1, 0, 9, 0xaa, 0x60, 0x51, 't'};
    struct party *s = serve_state(w, 0);

    s->flags = COPAL_NON;
    copal_sim_inject(w->sim, "192.0.2.1", "server",
                     (copal_bytes){get, sizeof(get)});
    run(w, 10);
    for (int i = 0; i < 200; i++) {
        change(w, s);
        run(w, 3001);
    }
    assert_int_equal(stats_of(w->server).observers, 0);
    assert_int_equal(count_in_transcript(w, "192.0.2.1 NON 2.05"), 20);
    assert_int_equal(count_in_transcript(w, "192.0.2.1 CON 2.05"), 5);
}

/* ---- Numbers, RFC 7641 4.4 ---- */

static void numbers_do_not_run_away_from_the_clock(void **state)
{
    struct world *w = *state;
    struct party *s = serve_state(w, 0), *p;
    int64_t before;

    p = observe_body(w, "coap://server/t");
    run(w, 10);
    change(w, s);
    run(w, 10);
    before = number_of(p);
    for (int i = 0; i < 6000; i++) { /* in no time at all */
        change(w, s);
        run(w, 0);
    }
    assert_in_range(number_of(p) - before, 4000, 4096 + 20 * 32);
    run(w, 1000);
    change(w, s);
    run(w, 10);
    assert_body(p, 20, s->version);
    assert_in_range(number_of(p) - before, 1, 33000);
}

static void strangers_do_not_move_the_numbers_of_others(void **state)
{
    struct world *w = *state;
    uint8_t get[] = {0x52, 1, 0, 0, 0, 0, 0x60, 0x51, 't'};
    struct party *s = serve_state(w, 0), *p;
    int64_t before;

    p = observe_body(w, "coap://server/t");
    run(w, 10);
    before = number_of(p);
    for (unsigned i = 0; i < 12000; i++) { /* anew, and again */
        get[2] = (uint8_t)(i >> 8);
        get[3] = (uint8_t)i;
        get[4] = (uint8_t)(i % 3);
        copal_sim_inject(w->sim, "192.0.2.1", "server",
                         (copal_bytes){get, sizeof(get)});
        run(w, 0);
    }
    change(w, s);
    run(w, 10);
    assert_int_equal(p->responses, 2);
    assert_in_range(number_of(p) - before, 1, 10 * 32 + 4096);
}

static void a_wrap_of_the_numbers_is_survived(void **state)
{
    struct world *w = *state;
    struct party *s = serve_state(w, 0), *p;

    p = observe_body(w, "coap://server/t");
    run(w, 10);
    for (int i = 0; i < 120; i++) { /* 2^24 numbers are 524 s */
        change(w, s);
        run(w, 10000);
        assert_body(p, 20, s->version);
    }
}

/* ---- Very many ---- */

/* Observers at addresses that nobody has; the test acknowledges for them. */
struct crowd {
    struct world *w;
    struct party *state;
    unsigned deaf; /* this one acknowledges nothing; MANY: all do */
    unsigned notified, repeated, at_once, most_at_once;
    uint8_t times[MANY]; /* CONs heard, each */
    uint16_t mids[MANY]; /* to be acknowledged */
    unsigned due[MANY], due_count;
    unsigned before_the_get; /* notifications until the server answered it */
};

static void hear(struct crowd *c, unsigned i, unsigned mid)
{
    assert_in_range(i, 0, MANY - 1);
    c->notified++;
    c->times[i]++;
    if (i == c->deaf)
        return;
    c->mids[i] = (uint16_t)mid;
    c->due[c->due_count++] = i;
}

static void on_sent(const copal_event *ev, void *user)
{
    struct crowd *c = user;
    const char *peer = strstr(ev->text, "\"peer\":\"coap://10.");
    const char *mid = strstr(ev->text, "\"mid\":");
    unsigned high, low, id;

    c->repeated += strstr(ev->text, "\"ev\":\"again\"") != NULL;
    if (strstr(ev->text, "\"ev\":\"out\"") == NULL)
        return;
    if (strstr(ev->text, "\"peer\":\"coap://client\"") != NULL)
        c->before_the_get = c->notified;
    if (peer == NULL || mid == NULL ||
        strstr(ev->text, "\"type\":\"CON\"") == NULL)
        return;
    assert_int_equal(
        sscanf(peer, "\"peer\":\"coap://10.0.%u.%u\"", &high, &low), 2);
    assert_int_equal(sscanf(mid, "\"mid\":%u", &id), 1);
    hear(c, high * 250 + low - 1, id);
}

static void acknowledge(struct crowd *c)
{
    for (unsigned k = 0; k < c->due_count; k++) {
        unsigned i = c->due[k];
        uint8_t ack[4] = {0x60, 0, (uint8_t)(c->mids[i] >> 8),
                          (uint8_t)c->mids[i]};
        char from[32];

        snprintf(from, sizeof(from), "10.0.%u.%u", i / 250, i % 250 + 1);
        copal_sim_inject(c->w->sim, from, "server",
                         (copal_bytes){ack, sizeof(ack)});
    }
    c->due_count = 0;
}

/* All that are awaited, and those that these let go out, as they come. */
static void acknowledge_all(struct crowd *c, uint32_t ms)
{
    do {
        acknowledge(c);
        run(c->w, ms);
    } while (c->due_count > 0);
}

/* each: they ask for different things. */
static struct crowd *gather(struct world *w, bool each)
{
    struct crowd *c = calloc(1, sizeof(*c));

    assert_non_null(c);
    c->w = w;
    c->deaf = MANY;
    c->state = serve_state(w, 0);
    copal_sim_keep(w->sim, 4096);
    for (unsigned i = 0; i < MANY; i++) {
        uint8_t get[14] = {0x51, 1, 0, 9, 0xaa, 0x60, 0x51, 't'};
        size_t len = 8;
        char from[32];

        if (each) /* Uri-Query of 4 digits */
            len += (size_t)snprintf((char *)get + 8, 6, "\x44%04u", i);
        snprintf(from, sizeof(from), "10.0.%u.%u", i / 250, i % 250 + 1);
        copal_sim_inject(w->sim, from, "server", (copal_bytes){get, len});
        run(w, 0);
    }
    assert_int_equal(stats_of(w->server).observers, MANY);
    copal_trace(w->server, COPAL_TRACE_WIRE, COPAL_CB(on_sent, c));
    return c;
}

static void disperse(struct crowd *c)
{
    copal_trace(c->w->server, 0, (copal_cb){0});
    free(c);
}

static void ten_thousand_observers_are_told_once_each(void **state)
{
    struct world *w = *state;
    struct crowd *c = gather(w, false);

    set_delay(w, 20);
    for (int round = 1; round <= 2; round++) {
        c->state->version++;
        assert_int_equal(copal_notify(w->server, "/t"), MANY);
        run(w, 10);
        acknowledge_all(c, 25);
        run(w, 10000);
        assert_int_equal(c->notified, round * MANY);
        for (unsigned i = 0; i < MANY; i++)
            assert_int_equal(c->times[i], round);
    }
    assert_int_equal(c->repeated, 0);
    assert_int_equal(c->state->requests, MANY + 2);
    assert_int_equal(stats_of(w->server).observers, MANY);
    disperse(c);
}

static void one_dead_observer_delays_nobody(void **state)
{
    struct world *w = *state;
    struct crowd *c = gather(w, false);

    c->deaf = 4711;
    for (int round = 1; round <= 6; round++) {
        c->state->version++;
        copal_notify(w->server, "/t");
        run(w, 0);
        acknowledge_all(c, 25);
        run(w, 100);
        for (unsigned i = 0; i < MANY; i++)
            if (i != c->deaf)
                assert_int_equal(c->times[i], round);
    }
    run(w, 100000);
    assert_int_equal(c->times[c->deaf], 1);
    assert_int_equal(stats_of(w->server).observers, MANY - 1);
    assert_int_equal(stats_of(w->server).retransmissions, 4);
    disperse(c);
}

/* Who asks something else meanwhile is not kept waiting by the round. */
static void a_round_leaves_room_for_others(void **state)
{
    struct world *w = *state;
    struct crowd *c = gather(w, false);
    struct party *p;

    serve_body(w, COPAL_GET, "/other", 0, 5);
    c->state->version++;
    copal_notify(w->server, "/t");
    p = ask_body(w, COPAL_GET, "coap://server/other", 0);
    run(w, 0);
    assert_int_equal(p->responses, 1);
    assert_in_range(c->before_the_get, 0, 8 * A_TURN);
    acknowledge_all(c, 1);
    assert_int_equal(c->notified, MANY);
    disperse(c);
}

/* A receive buffer holds so many acknowledgements, and what comes while it is
 * full is lost. */
static void acknowledge_what_a_buffer_holds(struct crowd *c)
{
    run(c->w, 0);
    do {
        if (c->due_count > A_BUFFER)
            c->due_count = A_BUFFER;
        acknowledge(c);
        run(c->w, 100);
    } while (c->due_count > 0);
    run(c->w, 10000);
    assert_int_equal(c->notified, MANY);
    assert_int_equal(c->repeated, 0);
}

static void a_round_awaits_no_more_than_a_buffer_holds(void **state)
{
    struct world *w = *state;
    struct crowd *c = gather(w, false);

    set_delay(w, 10);
    c->state->version++;
    copal_notify(w->server, "/t");
    acknowledge_what_a_buffer_holds(c);
    disperse(c);
}

/* One state follows another: all wait for the same time, and then their
 * notifications are confirmable. */
static void nor_does_what_waited_for_a_round_trip(void **state)
{
    struct world *w = *state;
    struct crowd *c = gather(w, false);

    c->state->flags = COPAL_NON;
    set_delay(w, 10);
    for (int i = 0; i < 2; i++) {
        c->state->version++;
        copal_notify(w->server, "/t");
        run(w, 1000);
    }
    assert_int_equal(c->notified, 0);
    run(w, 1000);
    acknowledge_what_a_buffer_holds(c);
    disperse(c);
}

static void nor_does_what_is_repeated_confirmably(void **state)
{
    struct world *w = *state;
    struct crowd *c = gather(w, false);

    c->state->flags = COPAL_NON;
    set_delay(w, 10);
    c->state->version++;
    copal_notify(w->server, "/t");
    run(w, 32999);
    assert_int_equal(c->notified, 0);
    run(w, 1);
    acknowledge_what_a_buffer_holds(c);
    disperse(c);
}

/* Those before them are all dead. */
static void who_never_answers_holds_up_nobody_for_long(void **state)
{
    struct world *w = *state;
    struct crowd *c = gather(w, false);

    c->state->version++;
    copal_notify(w->server, "/t");
    for (int i = 0; i < 30; i++) {
        run(w, 100);
        c->due_count = 0;
    }
    for (unsigned i = 0; i < MANY; i++)
        assert_true(c->times[i] > 0);
    disperse(c);
}

static void very_many_interests_are_asked_for_in_portions(void **state)
{
    struct world *w = *state;
    struct crowd *c = gather(w, true);
    struct party *p;

    serve_body(w, COPAL_GET, "/other", 0, 5);
    c->state->version++;
    assert_int_equal(copal_notify(w->server, "/t"), MANY);
    assert_in_range(stats_of(w->server).exchanges_open, 1, A_TURN);
    p = ask_body(w, COPAL_GET, "coap://server/other", 0);
    run(w, 0);
    assert_int_equal(p->responses, 1);
    assert_in_range(c->before_the_get, 0, 8 * A_TURN);
    acknowledge_all(c, 1);
    assert_int_equal(c->notified, MANY);
    assert_int_equal(c->state->requests, 2 * MANY);
    disperse(c);
}

static void unserving_amid_a_round_tells_all(void **state)
{
    struct world *w = *state;
    struct crowd *c = gather(w, false);

    c->state->version++;
    copal_notify(w->server, "/t");
    assert_int_equal(copal_unserve(w->server, "/t"), 0);
    run(w, 0);
    for (int i = 0; i < 3; i++) {
        acknowledge(c);
        run(w, 100);
    }
    assert_int_equal(stats_of(w->server).observers, 0);
    disperse(c);
}

static void an_end_amid_a_round_leaves_nothing(void **state)
{
    struct world *w = *state;
    struct crowd *c = gather(w, true);

    c->state->version++;
    copal_notify(w->server, "/t");
    disperse(c);
}

/* ---- Weather: the last state reaches every live observer ---- */

static void notify_in_weather(struct world *w, unsigned flags)
{
    struct party *s = serve_state(w, 0), *p[3];
    uint64_t before;
    int live = 0;

    s->flags = flags;
    run(w, 0);
    for (int i = 0; i < 3; i++)
        p[i] = observe_apart(w, "coap://server/t", i);
    run(w, 200000);
    for (int i = 0; i < 30; i++) {
        change(w, s);
        run(w, 50 + 370 * (unsigned)(i % 7));
    }
    run(w, 400000);
    for (int i = 0; i < 3; i++)
        live += p[i]->ends == 0 && p[i]->responses > 0;
    /* One whose acknowledgements were all lost is gone without knowing it. */
    if (stats_of(w->server).observers == (unsigned)live)
        for (int i = 0; i < 3; i++)
            if (p[i]->ends == 0 && p[i]->responses > 0)
                assert_body(p[i], 20, s->version);
    before = stats_of(w->server).memory;
    for (int i = 0; i < 20; i++) {
        change(w, s);
        run(w, 20000);
    }
    run(w, 400000);
    if (live == 3 && stats_of(w->server).observers == 3)
        assert_in_range(stats_of(w->server).memory, 0, before + 1024);
}

static void confirmable_in_weather(struct world *w)
{
    notify_in_weather(w, 0);
}

static void non_confirmable_in_weather(struct world *w)
{
    notify_in_weather(w, COPAL_NON);
}

static void the_last_state_arrives_in_bad_weather(void **state)
{
    (void)state;
    bodies_in_bad_weather(confirmable_in_weather, 50);
    bodies_in_bad_weather(non_confirmable_in_weather, 50);
}

static void notify_without_memory(struct world *w)
{
    struct party *s = serve_state(w, 0), *p;

    s->flags = COPAL_NON;
    p = observe_body(w, "coap://server/t");
    run(w, 10);
    copal_sim_lose(w->sim, "server", 1);
    change(w, s);
    run(w, 10);
    change(w, s);
    run(w, 10);
    s->flags = 0;
    change(w, s);
    run(w, 3500);
    copal_sim_lose(w->sim, "server", 1);
    change(w, s);
    run(w, 100);
    change(w, s);
    run(w, 100000);
    if (p->is_asked && p->ends == 0)
        copal_cancel(p->x);
    run(w, 400000);
}

static void notifying_survives_every_failed_allocation(void **state)
{
    (void)state;
    bodies_with_failed_allocations(notify_without_memory);
}

#define TEST(name) \
    cmocka_unit_test_setup_teardown(name, build_bodies, tear_down_bodies)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_newer_state_takes_the_place_of_a_retransmission),
        TEST(an_unchanged_state_is_sent_again_with_its_number),
        TEST(max_age_of_what_is_late_is_less),
        TEST(what_was_received_from_elsewhere_is_a_state_as_well),
        TEST(superseding_begins_no_new_series),
        TEST(a_late_acknowledgement_of_what_was_superseded_ends_nothing),
        TEST(an_error_takes_the_place_of_a_retransmission_too),
        TEST(non_confirmables_come_once_a_round_trip),
        TEST(slow_changes_wait_for_nothing),
        TEST(a_lost_last_state_is_repeated_confirmably),
        TEST(of_many_states_the_last_is_repeated),
        TEST(another_observation_finds_a_place_that_is_free),
        TEST(a_reset_for_one_ends_that_observation_alone),
        TEST(observations_of_one_client_share_its_pace),
        TEST(a_newer_state_that_finds_no_memory_waits_a_round_trip),
        TEST(requests_do_not_wait_for_notifications_that_rest),
        TEST(who_never_acknowledges_gets_few),
        TEST(numbers_do_not_run_away_from_the_clock),
        TEST(strangers_do_not_move_the_numbers_of_others),
        TEST(a_wrap_of_the_numbers_is_survived),
        TEST(ten_thousand_observers_are_told_once_each),
        TEST(one_dead_observer_delays_nobody),
        TEST(a_round_leaves_room_for_others),
        TEST(a_round_awaits_no_more_than_a_buffer_holds),
        TEST(nor_does_what_waited_for_a_round_trip),
        TEST(nor_does_what_is_repeated_confirmably),
        TEST(who_never_answers_holds_up_nobody_for_long),
        TEST(very_many_interests_are_asked_for_in_portions),
        TEST(unserving_amid_a_round_tells_all),
        TEST(an_end_amid_a_round_leaves_nothing),
        cmocka_unit_test(the_last_state_arrives_in_bad_weather),
        cmocka_unit_test(notifying_survives_every_failed_allocation),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
