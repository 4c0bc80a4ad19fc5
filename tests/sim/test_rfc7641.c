/* The ladders of RFC 7641, section 1 and appendix A.1, each beside its figure
 * and at its times, a second for each of the RFC's. Figure 1 is no ladder, 7
 * and 8 are a proxy's. Tokens are not in the transcript; Observe numbers follow
 * our clock. What the RFC does in one series of four figures is four tests here,
 * each beginning with the registration. Ids are counted from 1. */
#include "support.h"

#define URI "coap://server/temperature"

enum {
    SECOND = 1000
};

struct sensor {
    const char *cel;
    const char *etag; /* NULL: none */
    unsigned flags;
};

static void tell(const copal_event *ev, void *user)
{
    const struct sensor *s = user;
    copal_msg *m =
        copal_msg_new(copal_exchange_endpoint(ev->exchange), COPAL_CONTENT);

    copal_msg_set_flags(m, s->flags);
    copal_msg_add_uint(m, COPAL_OPT_MAX_AGE, 15);
    if (s->etag != NULL)
        copal_msg_add_text(m, COPAL_OPT_ETAG, s->etag);
    copal_msg_set_payload(
        m, COPAL_TEXT, (copal_bytes){(const uint8_t *)s->cel, strlen(s->cel)});
    copal_respond(ev->exchange, m);
    copal_msg_unref(m);
}

static void serve(struct world *w, struct sensor *s)
{
    assert_int_equal(copal_serve(w->server, COPAL_GET, "/temperature",
                                 COPAL_OBSERVABLE, COPAL_CB(tell, s)),
                     0);
}

static void until(struct world *w, uint64_t second)
{
    copal_sim_run(w->sim, second * SECOND - copal_sim_now(w->sim));
}

/* The sensor measures something else. */
static void measure(struct world *w, struct sensor *s, const char *cel,
                    const char *etag)
{
    s->cel = cel;
    s->etag = etag;
    copal_notify(w->server, "/temperature");
}

static struct record *register_with(struct world *w, const char *etag)
{
    struct record *r = next_record(w);
    copal_msg *m = copal_msg_new(w->client, COPAL_GET);

    copal_msg_set_uri(m, URI);
    copal_msg_add_uint(m, COPAL_OPT_OBSERVE, 0);
    copal_msg_add_text(m, COPAL_OPT_ETAG, etag);
    r->exchange = copal_request(w->client, m, recording(r));
    r->is_asked = true;
    r->is_begun = r->exchange != NULL;
    copal_msg_unref(m);
    return r;
}

/* Client                Server
 *    |  GET /temperature  |
 *    |  Observe: 0        |   Registration
 *    +------------------->|
 *    |    2.05 Content    |
 *    |  Observe: 12       |   Notification of
 *    |  Payload: 22.9 Cel |   the current state
 *    |<-------------------+
 *    |    2.05 Content    |
 *    |  Observe: 44       |   Notification upon
 *    |  Payload: 22.8 Cel |   a state change
 *    |<-------------------+
 *    |    2.05 Content    |
 *    |  Observe: 60       |   Notification upon
 *    |  Payload: 23.1 Cel |   a state change
 *    |<-------------------+                                              */
static void figure_2_observing_a_resource(void **state)
{
    struct world *w = *state;
    struct sensor s = {.cel = "22.9 Cel", .flags = COPAL_NON};
    struct record *r;

    serve(w, &s);
    r = observe(w, URI);
    until(w, 32);
    measure(w, &s, "22.8 Cel", NULL);
    until(w, 36);
    measure(w, &s, "23.1 Cel", NULL);
    until(w, 40);
    assert_int_equal(r->responses, 3);
    assert_transcript(w,
                      "   0 client > server CON GET 0001 /temperature obs=0\n"
                      "   0 server > client ACK 2.05 0001 obs \"22.9 Cel\"\n"
                      "32000 server > client NON 2.05 0001 obs \"22.8 Cel\"\n"
                      "36000 server > client NON 2.05 0002 obs \"23.1 Cel\"\n");
}

/*     Observed   CLIENT  SERVER     Actual
 * t   State         |      |         State
 *     ____________  |      |  ____________
 * 2    unknown      |      |     18.5 Cel
 * 3                 +----->|                  Header: GET 0x41011633
 *                   | GET  |                Uri-Path: temperature
 *                   |      |                 Observe: 0 (register)
 * 9   ____________  |<-----+                  Header: 2.05 0x61451633
 *                   | 2.05 |                 Observe: 9
 *      18.5 Cel     |      |                 Max-Age: 15
 *                   |      |                 Payload: "18.5 Cel"
 *                   |      |  ____________
 * 16  ____________  |<-----+                  Header: 2.05 0x51457b50
 *                   | 2.05 |     19.2 Cel    Observe: 16
 *      19.2 Cel     |      |                 Max-Age: 15
 *                   |      |                 Payload: "19.2 Cel"         */
static void figure_3_a_notification_upon_a_state_change(void **state)
{
    struct world *w = *state;
    struct sensor s = {.cel = "18.5 Cel", .flags = COPAL_NON};
    struct record *r;

    serve(w, &s);
    until(w, 3);
    r = observe(w, URI);
    until(w, 16);
    measure(w, &s, "19.2 Cel", NULL);
    until(w, 21);
    assert_string_equal(r->payload, "19.2 Cel");
    assert_transcript(w,
                      "3000 client > server CON GET 0001 /temperature obs=0\n"
                      "3000 server > client ACK 2.05 0001 obs \"18.5 Cel\"\n"
                      "16000 server > client NON 2.05 0001 obs \"19.2 Cel\"\n");
}

/* 25                 | X----+                  Header: 2.05 0x51457b51
 *                    | 2.05 |     19.7 Cel    Observe: 25
 *                    |      |                 Max-Age: 15
 *                    |      |                 Payload: "19.7 Cel"
 * 31   ____________  |      |
 *       19.2 Cel     |      |
 *       (stale)      |      |
 * 38                 +----->|                  Header: GET 0x41011634
 *                    | GET  |                Uri-Path: temperature
 *                    |      |                 Observe: 0 (register)
 * 44   ____________  |<-----+                  Header: 2.05 0x61451634
 *                    | 2.05 |                 Observe: 44
 *       19.7 Cel     |      |                 Max-Age: 15
 *                    |      |                    ETag: 0x78797a7a79
 *                    |      |                 Payload: "19.7 Cel"
 * Our server does not leave it at the lost one: it repeats it confirmably, 3 s
 * and half of Max-Age later, at 35.5. Those it loses, too, here. */
static void figure_4_registering_again_after_max_age(void **state)
{
    struct world *w = *state;
    struct sensor s = {.cel = "19.2 Cel", .flags = COPAL_NON};
    struct record *r;

    serve(w, &s);
    until(w, 16);
    observe(w, URI);
    until(w, 25);
    copal_sim_lose(w->sim, "server", 3);
    measure(w, &s, "19.7 Cel", "xyzzy");
    until(w, 38);
    r = register_with(w, "none");
    until(w, 39);
    assert_string_equal(r->payload, "19.7 Cel");
    assert_transcript(w,
                      "16000 client > server CON GET 0001 /temperature obs=0\n"
                      "16000 server > client ACK 2.05 0001 obs \"19.2 Cel\"\n"
                      "25000 server > client NON 2.05 0001 obs etag=78797a7a79 "
                      "\"19.7 Cel\" (lost)\n"
                      "35500 server > client CON 2.05 0002 obs etag=78797a7a79 "
                      "\"19.7 Cel\" (lost)\n"
                      "37500 server > client CON 2.05 0002 obs etag=78797a7a79 "
                      "\"19.7 Cel\" (lost)\n"
                      "38000 client > server CON GET 0002 /temperature obs=0 "
                      "etag=6e6f6e65\n"
                      "38000 server > client ACK 2.05 0002 obs etag=78797a7a79 "
                      "\"19.7 Cel\"\n");
}

/* 67                 +----->|                  Header: GET 0x41011635
 *                    | GET  |                Uri-Path: temperature
 *                    |      |                 Observe: 0 (register)
 *                    |      |                    ETag: 0x78797a7a79
 * 74   ____________  |<-----+                  Header: 2.05 0x61451635
 *                    | 2.05 |                 Observe: 74
 *       20.0 Cel     |      |                 Max-Age: 15
 *                    |      |                 Payload: "20.0 Cel"
 *                    |      |  ____________
 * 81   ____________  |<-----+                  Header: 2.03 0x5143aa0c
 *                    | 2.03 |     19.7 Cel    Observe: 81
 *       19.7 Cel     |      |                    ETag: 0x78797a7a79
 *                    |      |                 Max-Age: 15                */
static void figure_5_selecting_a_stored_response(void **state)
{
    struct world *w = *state;
    struct sensor s = {.cel = "20.0 Cel", .flags = COPAL_NON};
    struct record *r;

    serve(w, &s);
    until(w, 67);
    r = register_with(w, "xyzzy");
    until(w, 81);
    measure(w, &s, "19.7 Cel", "xyzzy");
    until(w, 86);
    assert_int_equal(r->code, COPAL_VALID);
    assert_transcript(
        w, "67000 client > server CON GET 0001 /temperature obs=0 "
           "etag=78797a7a79\n"
           "67000 server > client ACK 2.05 0001 obs \"20.0 Cel\"\n"
           "81000 server > client NON 2.03 0001 obs etag=78797a7a79\n");
}

/* 91   ____________  |<-----+                  Header: 2.05 0x4145aa0f
 *                    | 2.05 |     19.3 Cel    Observe: 91
 *       19.3 Cel     |      |                 Max-Age: 15
 *                    |      |                 Payload: "19.3 Cel"
 * 98                 +- - ->|                  Header: 0x7000aa0f
 * 102                |      |  ____________
 *                    |      |     19.0 Cel
 *                    |      |
 * The client has forgotten that it ever asked. */
static void figure_6_rejecting_cancels_the_observation(void **state)
{
    struct world *w = *state;
    struct sensor s = {.cel = "19.7 Cel"};

    serve(w, &s);
    until(w, 81);
    observe(w, URI);
    until(w, 90);
    copal_free(w->client);
    w->client = add_host(w, "client");
    until(w, 91);
    measure(w, &s, "19.3 Cel", NULL);
    until(w, 102);
    measure(w, &s, "19.0 Cel", NULL);
    until(w, 110);
    assert_transcript(w,
                      "81000 client > server CON GET 0001 /temperature obs=0\n"
                      "81000 server > client ACK 2.05 0001 obs \"19.7 Cel\"\n"
                      "91000 server > client CON 2.05 0001 obs \"19.3 Cel\"\n"
                      "91000 client > server RST empty 0001\n");
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, build, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(figure_2_observing_a_resource),
        TEST(figure_3_a_notification_upon_a_state_change),
        TEST(figure_4_registering_again_after_max_age),
        TEST(figure_5_selecting_a_stored_response),
        TEST(figure_6_rejecting_cancels_the_observation),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
