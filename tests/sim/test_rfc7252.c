/* The ladders of RFC 7252, section 2 and appendix A, each beside its figure.
 * Message ids are counted from 1, tokens are test_matching.c's matter; the
 * bytes of figures 16 and 17, and the layouts of figures 7 to 11, are rows of
 * the vectors. A handler that takes 3 s stands for "time passes". */
#include "servers.h"

#define URI "coap://server/temperature"

static struct record *get_non(struct world *w, const char *uri)
{
    struct record *r = next_record(w);
    copal_msg *m = copal_msg_new(w->client, COPAL_GET);

    copal_msg_set_uri(m, uri);
    copal_msg_set_flags(m, COPAL_NON);
    r->exchange = copal_request(w->client, m, recording(r));
    r->is_asked = true;
    r->is_begun = r->exchange != NULL;
    copal_msg_unref(m);
    return r;
}

/* ---- Section 2 ---- */

/*   Client              Server
 *      |   CON [0x7d34]   |
 *      +----------------->|
 *      |   ACK [0x7d34]   |
 *      |<-----------------+
 * An acknowledgement alone: the answer takes longer. */
static void figure_2_reliable_message_transmission(void **state)
{
    struct world *w = *state;

    serve_after(w, "/temperature", 3000, "22.5 C");
    get(w, URI);
    copal_sim_run(w->sim, 1000);
    assert_transcript(w, "   0 client > server CON GET 0001 /temperature\n"
                         " 250 server > client ACK empty 0001\n");
}

/*   Client              Server
 *      |   NON [0x01a0]   |
 *      +----------------->|                                              */
static void figure_3_unreliable_message_transmission(void **state)
{
    struct world *w = *state;

    serve_after(w, "/temperature", 3000, "22.5 C");
    get_non(w, URI);
    copal_sim_run(w->sim, 1000);
    assert_transcript(w, "   0 client > server NON GET 0001 /temperature\n");
}

/*   Client              Server       Client              Server
 *      |   CON [0xbc90]   |             |   CON [0xbc91]   |
 *      | GET /temperature |             | GET /temperature |
 *      +----------------->|             +----------------->|
 *      |   ACK [0xbc90]   |             |   ACK [0xbc91]   |
 *      |   2.05 Content   |             |  4.04 Not Found  |
 *      |     "22.5 C"     |             |   "Not found"    |
 *      |<-----------------+             |<-----------------+
 * The diagnostic is the server's choice, and ours is none. */
static void figure_4_two_gets_with_piggybacked_responses(void **state)
{
    struct world *w = *state;
    struct record *r[2];

    serve_text(w, w->server, "/temperature", 0, "22.5 C");
    r[0] = get(w, URI);
    copal_sim_run(w->sim, 1000);
    copal_unserve(w->server, "/temperature");
    r[1] = get(w, URI);
    copal_sim_run(w->sim, 1000);
    assert_int_equal(r[0]->code, COPAL_CONTENT);
    assert_int_equal(r[1]->code, COPAL_NOT_FOUND);
    assert_transcript(w, "   0 client > server CON GET 0001 /temperature\n"
                         "   0 server > client ACK 2.05 0001 \"22.5 C\"\n"
                         "1000 client > server CON GET 0002 /temperature\n"
                         "1000 server > client ACK 4.04 0002\n");
}

/*   Client              Server
 *      |   CON [0x7a10]   |
 *      | GET /temperature |
 *      +----------------->|
 *      |   ACK [0x7a10]   |
 *      |<-----------------+
 *      ... Time Passes  ...
 *      |   CON [0x23bb]   |
 *      |   2.05 Content   |
 *      |     "22.5 C"     |
 *      |<-----------------+
 *      |   ACK [0x23bb]   |
 *      +----------------->|                                              */
static void figure_5_a_get_with_a_separate_response(void **state)
{
    struct world *w = *state;
    struct record *r;

    serve_after(w, "/temperature", 3000, "22.5 C");
    r = get(w, URI);
    copal_sim_run(w->sim, 10000);
    assert_ended(r, 0);
    assert_transcript(w, "   0 client > server CON GET 0001 /temperature\n"
                         " 250 server > client ACK empty 0001\n"
                         "3000 server > client CON 2.05 0001 \"22.5 C\"\n"
                         "3000 client > server ACK empty 0001\n");
}

/*   Client              Server
 *      |   NON [0x7a11]   |
 *      | GET /temperature |
 *      +----------------->|
 *      |   NON [0x23bc]   |
 *      |   2.05 Content   |
 *      |     "22.5 C"     |
 *      |<-----------------+                                              */
static void figure_6_request_and_response_in_non_confirmables(void **state)
{
    struct world *w = *state;
    struct record *r;

    serve_text(w, w->server, "/temperature", 0, "22.5 C");
    r = get_non(w, URI);
    copal_sim_run(w->sim, 1000);
    assert_ended(r, 0);
    assert_transcript(w, "   0 client > server NON GET 0001 /temperature\n"
                         "   0 server > client NON 2.05 0001 \"22.5 C\"\n");
}

/* ---- Appendix A ---- */

/* Client  Server
 *    +----->|     Header: GET (T=CON, Code=0.01, MID=0x7d34)
 *    | GET  |   Uri-Path: "temperature"
 *    |<-----+     Header: 2.05 Content (T=ACK, Code=2.05, MID=0x7d34)
 *    | 2.05 |    Payload: "22.3 C"
 * Figure 17 is the same with a token of one byte. */
static void figures_16_and_17_piggybacked_response(void **state)
{
    struct world *w = *state;
    struct record *r;

    serve_text(w, w->server, "/temperature", 0, "22.3 C");
    r = get(w, URI);
    copal_sim_run(w->sim, 1000);
    assert_string_equal(r->payload, "22.3 C");
    assert_transcript(w, "   0 client > server CON GET 0001 /temperature\n"
                         "   0 server > client ACK 2.05 0001 \"22.3 C\"\n");
}

/* Client  Server
 *    +----X |     Header: GET (T=CON, Code=0.01, MID=0x7d36)
 *    | GET  |   Uri-Path: "temperature"
 * TIMEOUT   |
 *    +----->|     Header: GET (T=CON, Code=0.01, MID=0x7d36)
 *    | GET  |   Uri-Path: "temperature"
 *    |<-----+     Header: 2.05 Content (T=ACK, Code=2.05, MID=0x7d36)
 *    | 2.05 |    Payload: "22.3 C"                                       */
static void figure_18_request_retransmitted(void **state)
{
    struct world *w = *state;

    serve_text(w, w->server, "/temperature", 0, "22.3 C");
    copal_sim_lose(w->sim, "client", 1);
    get(w, URI);
    copal_sim_run(w->sim, 10000);
    assert_transcript(w,
                      "   0 client > server CON GET 0001 /temperature (lost)\n"
                      "2000 client > server CON GET 0001 /temperature\n"
                      "2000 server > client ACK 2.05 0001 \"22.3 C\"\n");
}

/* Client  Server
 *    +----->|     Header: GET (T=CON, Code=0.01, MID=0x7d37)
 *    | GET  |   Uri-Path: "temperature"
 *    | X----+     Header: 2.05 Content (T=ACK, Code=2.05, MID=0x7d37)
 *    | 2.05 |    Payload: "22.3 C"
 * TIMEOUT   |
 *    +----->|     Header: GET (T=CON, Code=0.01, MID=0x7d37)
 *    | GET  |   Uri-Path: "temperature"
 *    |<-----+     Header: 2.05 Content (T=ACK, Code=2.05, MID=0x7d37)
 *    | 2.05 |    Payload: "22.3 C"                                       */
static void figure_19_response_retransmitted(void **state)
{
    struct world *w = *state;
    struct record *served =
        serve_text(w, w->server, "/temperature", 0, "22.3 C");

    copal_sim_lose(w->sim, "server", 1);
    get(w, URI);
    copal_sim_run(w->sim, 10000);
    assert_int_equal(served->requests, 1);
    assert_transcript(w,
                      "   0 client > server CON GET 0001 /temperature\n"
                      "   0 server > client ACK 2.05 0001 \"22.3 C\" (lost)\n"
                      "2000 client > server CON GET 0001 /temperature\n"
                      "2000 server > client ACK 2.05 0001 \"22.3 C\"\n");
}

/* Client  Server
 *    +----->|     Header: GET (T=CON, Code=0.01, MID=0x7d38)
 *    | GET  |   Uri-Path: "temperature"
 *    |<- - -+     Header: (T=ACK, Code=0.00, MID=0x7d38)
 *    |<-----+     Header: 2.05 Content (T=CON, Code=2.05, MID=0xad7b)
 *    | 2.05 |    Payload: "22.3 C"
 *    +- - ->|     Header: (T=ACK, Code=0.00, MID=0xad7b)                 */
static void figure_20_separate_response(void **state)
{
    struct world *w = *state;

    serve_after(w, "/temperature", 1000, "22.3 C");
    get(w, URI);
    copal_sim_run(w->sim, 10000);
    assert_transcript(w, "   0 client > server CON GET 0001 /temperature\n"
                         " 250 server > client ACK empty 0001\n"
                         "1000 server > client CON 2.05 0001 \"22.3 C\"\n"
                         "1000 client > server ACK empty 0001\n");
}

/* Client  Server
 *    +----->|     Header: GET (T=CON, Code=0.01, MID=0x7d39)
 *    | GET  |   Uri-Path: "temperature"
 *  CRASH    |
 *    |<- - -+     Header: (T=ACK, Code=0.00, MID=0x7d39)
 *    |<-----+     Header: 2.05 Content (T=CON, Code=2.05, MID=0xad7c)
 *    | 2.05 |    Payload: "22.3 C"
 *    +- - ->|     Header: (T=RST, Code=0.00, MID=0xad7c)                 */
static void figure_21_unexpected_separate_response(void **state)
{
    struct world *w = *state;

    serve_after(w, "/temperature", 1000, "22.3 C");
    get(w, URI);
    copal_sim_run(w->sim, 100);
    copal_free(w->client);
    w->client = add_host(w, "client");
    copal_sim_run(w->sim, 100000);
    assert_transcript(w, "   0 client > server CON GET 0001 /temperature\n"
                         " 250 server > client ACK empty 0001\n"
                         "1000 server > client CON 2.05 0001 \"22.3 C\"\n"
                         "1000 client > server RST empty 0001\n");
}

/* Client  Server
 *    +----->|     Header: GET (T=NON, Code=0.01, MID=0x7d40)
 *    | GET  |   Uri-Path: "temperature"
 *    |<-----+     Header: 2.05 Content (T=NON, Code=2.05, MID=0xad7d)
 *    | 2.05 |    Payload: "22.3 C"                                       */
static void figure_22_non_confirmable_request_and_response(void **state)
{
    struct world *w = *state;

    serve_text(w, w->server, "/temperature", 0, "22.3 C");
    get_non(w, URI);
    copal_sim_run(w->sim, 1000);
    assert_transcript(w, "   0 client > server NON GET 0001 /temperature\n"
                         "   0 server > client NON 2.05 0001 \"22.3 C\"\n");
}

/* Client  ff02::1  A  B  C
 *    +------>|     |  |  |  Header: GET (T=NON, Code=0.01, MID=0x7d41)
 *    |  GET  |     |  |  |   Uri-Path: "temperature"
 *    |<------------+  |  |  Header: 2.05 (T=NON, Code=2.05, MID=0x60b1)
 *    |      2.05   |  |  |   Payload: "22.3 C"
 *    |   X------------+  |  Header: 2.05 (T=NON, Code=2.05, MID=0x01a0)
 *    |      2.05   |  |  |   Payload: "20.9 C"
 *    |<------------------+  Header: 4.04 (T=NON, Code=4.04, MID=0x952a)
 *    |      4.04   |  |  |
 * C has nothing to say here: what a group's member cannot serve it passes over
 * in silence, as section 8.2 lets it. Without leisure, to be alike each time. */
static void figure_23_a_group_is_asked(void **state)
{
    struct world *w = *state;
    copal *c[3];

    for (int i = 0; i < 3; i++) {
        const char *const names[] = {"a", "b", "c"};

        c[i] = add_host(w, names[i]);
        assert_int_equal(copal_tune(c[i], NULL, COPAL_P_LEISURE, 0), 0);
        assert_int_equal(copal_join(c[i], "coap://[ff02::1]", NULL), 0);
    }
    serve_text(w, c[0], "/temperature", COPAL_GROUP, "22.3 C");
    serve_text(w, c[1], "/temperature", COPAL_GROUP, "20.9 C");
    copal_sim_lose(w->sim, "b", 1);
    get_non(w, "coap://[ff02::1]/temperature");
    copal_sim_run(w->sim, 10000);
    assert_transcript(w, "   0 client > [ff02::1] NON GET 0001 /temperature\n"
                         "   0 a > client NON 2.05 0001 \"22.3 C\"\n"
                         "   0 b > client NON 2.05 0001 \"20.9 C\" (lost)\n");
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, build, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(figure_2_reliable_message_transmission),
        TEST(figure_3_unreliable_message_transmission),
        TEST(figure_4_two_gets_with_piggybacked_responses),
        TEST(figure_5_a_get_with_a_separate_response),
        TEST(figure_6_request_and_response_in_non_confirmables),
        TEST(figures_16_and_17_piggybacked_response),
        TEST(figure_18_request_retransmitted),
        TEST(figure_19_response_retransmitted),
        TEST(figure_20_separate_response),
        TEST(figure_21_unexpected_separate_response),
        TEST(figure_22_non_confirmable_request_and_response),
        TEST(figure_23_a_group_is_asked),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
