/* Which answer belongs to which request, what becomes of the others, and what
 * a server makes of conditions in a request. RFC 7252 5.3.2, 5.10; RFC 7967. */
#include "servers.h"
#include <stdlib.h>

#define PEER "192.0.2.1"

static struct record *asked(struct world *w, struct tap **t, const char *uri,
                            unsigned flags)
{
    struct record *r = next_record(w);
    copal_msg *m = copal_msg_new(w->client, COPAL_GET);

    *t = tap(w->client);
    copal_msg_set_uri(m, uri);
    copal_msg_set_flags(m, flags);
    r->exchange = copal_request(w->client, m, recording(r));
    r->is_asked = true;
    r->is_begun = r->exchange != NULL;
    copal_msg_unref(m);
    copal_sim_run(w->sim, 0);
    return r;
}

/* ---- By id, token and peer ---- */

static void a_piggybacked_answer_needs_the_right_id(void **state)
{
    struct world *w = *state;
    struct tap *t;
    struct record *r = asked(w, &t, "coap://" PEER "/t", 0);

    inject_made(w, PEER, "6845 %04x %s ff78", (t->mid + 1) & 0xffff, t->token);
    copal_sim_run(w->sim, 0);
    assert_int_equal(r->events, 0);
    inject_made(w, PEER, "6845 %04x %s ff79", t->mid, t->token);
    copal_sim_run(w->sim, 0);
    assert_ended(r, 0);
    assert_string_equal(r->payload, "y");
}

/* ---- Who guesses ---- */

static uint32_t guess(uint32_t *seed)
{
    *seed = *seed * 1664525u + 1013904223u;
    return *seed >> 8;
}

/* From the right address, as who forges that would: every message id, and tokens
 * at random. COPAL_GUESSES=1000000 for as many. */
static void a_blind_responder_is_never_believed(void **state)
{
    struct world *w = *state;
    const char *text = getenv("COPAL_GUESSES");
    int guesses = text == NULL ? 70000 : atoi(text);
    struct record *r;
    struct tap *t;
    uint32_t seed = 7;

    copal_sim_keep(w->sim, 0);
    copal_tune(w->client, NULL, COPAL_P_MAX_RETRANSMIT, 20);
    r = asked(w, &t, "coap://" PEER "/t", 0);
    for (int i = 0; i < guesses; i++) {
        uint8_t d[] = {
            0x68, 0x45, (uint8_t)(i >> 8), (uint8_t)i, 0, 0, 0, 0, 0, 0, 0, 0,
            0xff, 'x'};

        if (i % 2 == 1)
            d[0] = 0x58; /* NON: the id does not matter */
        for (size_t j = 4; j < 12; j++)
            d[j] = (uint8_t)guess(&seed);
        copal_sim_inject(w->sim, PEER, "client", (copal_bytes){d, sizeof(d)});
        if (i % 64 == 0)
            copal_sim_run(w->sim, 0);
    }
    copal_sim_run(w->sim, 0);
    assert_int_equal(r->responses, 0);
    assert_int_equal(r->ends, 0);
}

struct spread {
    unsigned count[8][256], all;
    unsigned first_mid[256]; /* high byte of the first id to each peer */
};

static void note_token(const copal_event *ev, void *user)
{
    struct spread *s = user;
    const char *at = strstr(ev->text, "\"token\":\"");
    unsigned byte, mid;

    if (at == NULL || strstr(ev->text, "\"ev\":\"out\"") == NULL)
        return;
    at += strlen("\"token\":\"");
    for (int i = 0; i < 8; i++, at += 2) {
        assert_int_equal(sscanf(at, "%2x", &byte), 1);
        s->count[i][byte]++;
    }
    assert_int_equal(*at, '"'); /* eight bytes, no less and no more */
    sscanf(strstr(ev->text, "\"mid\":"), "\"mid\":%u", &mid);
    s->first_mid[mid >> 8 & 255]++;
    s->all++;
}

static double chi_square(const unsigned count[256], unsigned all)
{
    double sum = 0, expected = all / 256.0;

    for (int i = 0; i < 256; i++)
        sum += (count[i] - expected) * (count[i] - expected) / expected;
    return sum;
}

/* 255 degrees of freedom: 405 is passed once in a hundred million. */
static void tokens_and_first_ids_are_spread_evenly(void **state)
{
    static struct spread s;
    struct world *w = *state;

    memset(&s, 0, sizeof(s));
    copal_sim_keep(w->sim, 0);
    copal_trace(w->client, COPAL_TRACE_WIRE, COPAL_CB(note_token, &s));
    for (unsigned i = 0; i < 10000; i++) {
        copal_exchange *x;
        char uri[40];

        snprintf(uri, sizeof(uri), "coap://10.0.%u.%u/", i >> 8, i & 255);
        x = copal_get(w->client, uri, (copal_cb){0});
        copal_sim_run(w->sim, 0);
        copal_cancel(x);
    }
    copal_sim_run(w->sim, 0);
    assert_int_equal(s.all, 10000);
    for (int i = 0; i < 8; i++)
        assert_true(chi_square(s.count[i], s.all) < 405);
    assert_true(chi_square(s.first_mid, s.all) < 405 * 4); /* shared counters */
}

static void an_answer_needs_the_right_token(void **state)
{
    struct world *w = *state;
    struct tap *t;
    struct record *r = asked(w, &t, "coap://" PEER "/t", 0);
    unsigned mid = t->mid;
    char token[40];

    strcpy(token, t->token);
    inject_made(w, PEER, "6845 %04x 0102030405060708 ff78", mid);
    inject_made(w, PEER, "6045 %04x ff78", mid);
    inject_made(w, PEER, "6745 %04x %.14s ff78", mid, token);
    inject_made(w, PEER, "5745 7777 %.14s ff78", token);
    inject_made(w, PEER, "5845 7778 0102030405060708 ff78");
    copal_sim_run(w->sim, 0);
    assert_int_equal(r->events, 0);
    copal_sim_run(w->sim, 2000);
    assert_int_equal(count_in_transcript(w, "CON GET"), 2);
    inject_made(w, PEER, "5845 7779 %s ff79", token);
    copal_sim_run(w->sim, 0);
    assert_ended(r, 0);
}

static void an_answer_needs_the_right_peer(void **state)
{
    struct world *w = *state;
    struct tap *t;
    struct record *r = asked(w, &t, "coap://" PEER "/t", 0);
    unsigned mid = t->mid;
    char token[40];

    strcpy(token, t->token);
    inject_made(w, "192.0.2.2", "6845 %04x %s ff78", mid, token);
    inject_made(w, "192.0.2.2", "5845 7777 %s ff78", token);
    inject_made(w, "192.0.2.2", "4845 7778 %s ff78", token);
    copal_sim_run(w->sim, 0);
    assert_int_equal(r->events, 0);
    assert_int_equal(count_in_transcript(w, "client > 192.0.2.2 RST empty"), 1);
}

static void tokens_are_random_and_of_8_bytes(void **state)
{
    struct world *w = *state;
    struct tap *t = tap(w->client);
    char seen[32][40];

    serve_text(w, w->server, "/t", 0, "x");
    for (int i = 0; i < 32; i++) {
        get(w, "coap://server/t");
        copal_sim_run(w->sim, 0);
        strcpy(seen[i], t->token);
        assert_int_equal(strlen(seen[i]), 16);
        for (int j = 0; j < i; j++)
            assert_string_not_equal(seen[i], seen[j]);
    }
}

static void an_answer_to_what_was_cancelled_is_reset(void **state)
{
    struct world *w = *state;
    struct tap *t;
    struct record *r = asked(w, &t, "coap://" PEER "/t", 0);

    copal_cancel(r->exchange);
    inject_made(w, PEER, "4845 7777 %s ff78", t->token);
    copal_sim_run(w->sim, 1000);
    assert_ended(r, COPAL_ECANCEL);
    assert_int_equal(count_in_transcript(w, "client > " PEER " RST empty"), 1);
}

/* ---- ANY_PORT ---- */

static void answer_from_moved_server(struct world *w, struct record **r,
                                     unsigned flags)
{
    struct tap *t;

    copal_sim_lose(w->sim, "client", 1);
    *r = asked(w, &t, "coap://server/t", flags);
    copal_sim_move(w->sim, "server");
    inject_made(w, "server", "5845 7777 %s ff78", t->token);
    copal_sim_run(w->sim, 0);
}

static void an_answer_from_another_port_is_not_taken(void **state)
{
    struct world *w = *state;
    struct record *r;

    answer_from_moved_server(w, &r, 0);
    assert_int_equal(r->events, 0);
}

static void any_port_takes_an_answer_from_another_port(void **state)
{
    struct world *w = *state;
    struct record *r;

    answer_from_moved_server(w, &r, COPAL_ANY_PORT);
    assert_ended(r, 0);
    assert_string_equal(r->payload, "x");
}

static void any_port_takes_no_answer_from_another_host(void **state)
{
    struct world *w = *state;
    struct tap *t;
    struct record *r = asked(w, &t, "coap://" PEER "/t", COPAL_ANY_PORT);

    inject_made(w, "192.0.2.2", "5845 7777 %s ff78", t->token);
    copal_sim_run(w->sim, 0);
    assert_int_equal(r->events, 0);
}

/* ---- Strays and raw messages ---- */

static void strays_are_told_once_and_acknowledged(void **state)
{
    struct world *w = *state;
    struct record *r = next_record(w);

    copal_strays(w->client, recording(r));
    inject_hex(w, PEER, "client", "4145 0001 aa ff78");
    inject_hex(w, PEER, "client", "4145 0001 aa ff78");
    inject_hex(w, PEER, "client", "5145 0002 aa ff79");
    inject_hex(w, PEER, "client", "6145 0003 aa ff7a");     /* no ACK */
    inject_hex(w, PEER, "client", "4145 0004 aa e1fcdc01"); /* critical */
    copal_sim_run(w->sim, 0);
    assert_int_equal(r->strays, 2);
    assert_string_equal(r->payload, "y");
    assert_int_equal(count_in_transcript(w, "client > " PEER " ACK empty 0001"),
                     2);
    assert_int_equal(count_in_transcript(w, "client > " PEER " RST empty 0004"),
                     1);
    copal_strays(w->client, COPAL_CB(NULL, NULL));
    assert_int_equal(r->drops, 1);
    inject_hex(w, PEER, "client", "4145 0005 aa ff78");
    copal_sim_run(w->sim, 0);
    assert_int_equal(count_in_transcript(w, "client > " PEER " RST empty 0005"),
                     1);
}

static int send_raw(struct world *w, int code, unsigned flags, const char *to)
{
    copal_msg *m = copal_msg_new(w->client, code);
    int err;

    copal_msg_set_flags(m, flags);
    if (code == COPAL_GET)
        copal_msg_add_text(m, COPAL_OPT_URI_PATH, "t");
    err = copal_send(w->client, m, to);
    copal_msg_unref(m);
    return err;
}

static void a_raw_message_is_sent_once_and_nothing_is_expected(void **state)
{
    struct world *w = *state;
    copal_stats stats = {.size = sizeof(stats)};

    assert_int_equal(send_raw(w, COPAL_GET, 0, "coap://" PEER), 0);
    assert_int_equal(send_raw(w, COPAL_GET, COPAL_NON, "coap://" PEER), 0);
    assert_int_equal(send_raw(w, COPAL_EMPTY, 0, "coap://" PEER), 0);
    assert_int_equal(send_raw(w, COPAL_CONTENT, COPAL_NON, "coap://" PEER), 0);
    assert_int_equal(send_raw(w, COPAL_CODE(7, 1), 0, "coap://" PEER), 0);
    copal_sim_run(w->sim, 100000);
    assert_transcript(w, "   0 client > 192.0.2.1 CON GET 0001 /t (nobody)\n"
                         "   0 client > 192.0.2.1 NON GET 0002 /t (nobody)\n"
                         "   0 client > 192.0.2.1 CON empty 0003 (nobody)\n"
                         "   0 client > 192.0.2.1 NON 2.05 0004 (nobody)\n"
                         "   0 client > 192.0.2.1 CON 7.01 0005 (nobody)\n");
    copal_get_stats(w->client, &stats);
    assert_int_equal(stats.exchanges, 0);
    assert_int_equal(stats.peers, 0);
}

static void the_answer_to_a_raw_request_is_a_stray(void **state)
{
    struct world *w = *state;
    struct record *r = next_record(w);

    serve_text(w, w->server, "/t", 0, "x");
    copal_strays(w->client, recording(r));
    assert_int_equal(send_raw(w, COPAL_GET, COPAL_NON, "coap://server"), 0);
    copal_sim_run(w->sim, 0);
    assert_int_equal(r->strays, 1);
    assert_string_equal(r->payload, "x");
}

static void a_raw_empty_message_has_nothing_in_it(void **state)
{
    struct world *w = *state;
    copal_msg *m = copal_msg_new(w->client, COPAL_EMPTY);

    copal_msg_add_text(m, COPAL_OPT_URI_PATH, "t");
    assert_int_equal(copal_send(w->client, m, "coap://" PEER), COPAL_EINVAL);
    copal_msg_unref(m);
}

static void a_raw_message_needs_a_base_uri(void **state)
{
    struct world *w = *state;

    assert_int_equal(send_raw(w, COPAL_GET, 0, "nonsense"), COPAL_EURI);
    assert_int_equal(send_raw(w, COPAL_GET, 0, "coap://server/path"),
                     COPAL_EURI);
    assert_int_equal(send_raw(w, COPAL_CODE(0, 31), 0, "coap://"), COPAL_EURI);
    assert_int_equal(copal_send(w->client, NULL, "coap://server"),
                     COPAL_ENOMEM);
    send_raw(w, COPAL_GET, 0, "coap://nowhere"); /* lost */
    copal_sim_run(w->sim, 1000);
    assert_transcript(w, "");
}

/* ---- copal_understand ---- */

static void an_option_that_is_understood_reaches_the_handler(void **state)
{
    struct world *w = *state;
    struct record *served = serve_text(w, w->server, "/t", 0, "x");

    inject_hex(w, PEER, "server", "4001 0001 b174 e1fcd101");
    copal_sim_run(w->sim, 0);
    assert_int_equal(served->requests, 0);
    assert_int_equal(copal_understand(w->server, 65001), 0);
    assert_int_equal(copal_understand(w->server, 65001), 0);
    inject_hex(w, PEER, "server", "4001 0002 b174 e1fcd101");
    inject_hex(w, PEER, "server", "4001 0003 b174 e1fcd301"); /* 65003 */
    copal_sim_run(w->sim, 0);
    assert_int_equal(served->requests, 1);
    assert_int_equal(count_in_transcript(w, "ACK 4.02 0003"), 1);
}

static void understanding_has_limits(void **state)
{
    struct world *w = *state;

    assert_int_equal(copal_understand(w->server, -1), COPAL_EINVAL);
    assert_int_equal(copal_understand(w->server, 65536), COPAL_EINVAL);
    for (int i = 0; i < 16; i++)
        assert_int_equal(copal_understand(w->server, 65001 + 2 * i), 0);
    assert_int_equal(copal_understand(w->server, 3001), COPAL_ELIMIT);
}

/* ---- Ping ---- */

static struct record *ping(struct world *w, const char *uri)
{
    struct record *r = next_record(w);

    r->exchange = copal_ping(w->client, uri, recording(r));
    r->is_asked = true;
    r->is_begun = r->exchange != NULL;
    return r;
}

static void a_ping_is_answered_by_a_reset(void **state)
{
    struct world *w = *state;
    struct record *r = ping(w, "coap://server");

    copal_sim_run(w->sim, 0);
    assert_ended(r, 0);
    assert_int_equal(r->events, 1);
    assert_transcript(w, "   0 client > server CON empty 0001\n"
                         "   0 server > client RST empty 0001\n");
}

static void a_lost_ping_is_sent_again(void **state)
{
    struct world *w = *state;
    struct record *r;

    copal_sim_lose(w->sim, "server", 1);
    r = ping(w, "coap://server");
    copal_sim_run(w->sim, 10000);
    assert_ended(r, 0);
    assert_transcript(w, "   0 client > server CON empty 0001\n"
                         "   0 server > client RST empty 0001 (lost)\n"
                         "2000 client > server CON empty 0001\n"
                         "2000 server > client RST empty 0001\n");
}

static void a_ping_that_nobody_answers_times_out(void **state)
{
    struct world *w = *state;
    struct record *r = ping(w, "coap://" PEER);

    copal_sim_run(w->sim, 62000);
    assert_ended(r, COPAL_ETIMEOUT);
    assert_int_equal(count_in_transcript(w, "CON empty 0001"), 5);
}

static void an_ack_answers_a_ping_too(void **state)
{
    struct world *w = *state;
    struct tap *t = tap(w->client);
    struct record *r = ping(w, "coap://" PEER);

    copal_sim_run(w->sim, 0);
    inject_made(w, PEER, "6000 %04x", t->mid);
    copal_sim_run(w->sim, 0);
    assert_ended(r, 0);
}

static void a_ping_may_be_cancelled(void **state)
{
    struct world *w = *state;
    struct record *r = ping(w, "coap://" PEER);

    copal_sim_run(w->sim, 0);
    assert_int_equal(copal_cancel(r->exchange), 0);
    copal_sim_run(w->sim, 10000);
    assert_ended(r, COPAL_ECANCEL);
    assert_int_equal(count_in_transcript(w, "CON empty"), 1);
}

/* ---- ETag and Accept, RFC 7252 5.10.6, 5.10.4 ---- */

static void answer_with_etag(const copal_event *ev, void *user)
{
    copal_cb cb = recording(user);
    copal_msg *m;

    cb.fn(ev, cb.user);
    m = copal_msg_new(copal_exchange_endpoint(ev->exchange), COPAL_CONTENT);
    copal_msg_add(m, COPAL_OPT_ETAG, (copal_bytes){(const uint8_t *)"ab", 2});
    copal_msg_add_uint(m, COPAL_OPT_MAX_AGE, 7);
    copal_msg_set_payload(m, COPAL_JSON,
                          (copal_bytes){(const uint8_t *)"[1]", 3});
    assert_int_equal(copal_respond(ev->exchange, m), 0);
    copal_msg_unref(m);
}

static struct record *serve_etag(struct world *w)
{
    struct record *r = next_record(w);

    copal_serve(w->server, 0, "/e", 0,
                COPAL_CB_OWN(answer_with_etag, r, recording(r).drop));
    return r;
}

static void a_known_etag_gives_2_03_without_the_body(void **state)
{
    struct world *w = *state;
    struct tap *t = tap(w->server);

    serve_etag(w);
    inject_hex(w, PEER, "server", "4001 0001 426162 7165");
    inject_hex(w, PEER, "server", "4001 0002 426161 026162 7165");
    inject_hex(w, PEER, "server", "4001 0003 4161 03616263 7165");
    inject_hex(w, PEER, "server", "4001 0004 b165");
    copal_sim_run(w->sim, 0);
    assert_transcript(
        w, "   0 192.0.2.1 > server CON GET 0001 /e etag=6162\n"
           "   0 192.0.2.1 > server CON GET 0002 /e etag=6161\n"
           "   0 192.0.2.1 > server CON GET 0003 /e etag=61\n"
           "   0 192.0.2.1 > server CON GET 0004 /e\n"
           "   0 server > 192.0.2.1 ACK 2.03 0001 etag=6162 (nobody)\n"
           "   0 server > 192.0.2.1 ACK 2.03 0002 etag=6162 (nobody)\n"
           "   0 server > 192.0.2.1 ACK 2.05 0003 etag=6162 \"[1]\" (nobody)\n"
           "   0 server > 192.0.2.1 ACK 2.05 0004 etag=6162 \"[1]\" "
           "(nobody)\n");
    assert_non_null(strstr(t->sent[0], "[\"Max-Age\",\"7\"]"));
    assert_null(strstr(t->sent[0], "Content-Format"));
}

static void another_format_than_accepted_gives_4_06(void **state)
{
    struct world *w = *state;

    serve_etag(w);
    inject_hex(w, PEER, "server", "4001 0001 b165 6132");        /* 50: JSON */
    inject_hex(w, PEER, "server", "4001 0002 b165 60");          /* 0: text */
    inject_hex(w, PEER, "server", "4001 0003 426162 7165 613c"); /* and ETag */
    copal_sim_run(w->sim, 0);
    assert_int_equal(count_in_transcript(w, "ACK 2.05 0001"), 1);
    assert_int_equal(count_in_transcript(w, "ACK 4.06 0002 (nobody)"), 1);
    assert_int_equal(count_in_transcript(w, "ACK 4.06 0003"), 1);
}

static void errors_and_answers_without_format_are_acceptable(void **state)
{
    struct world *w = *state;
    struct kept *k = serve_kept(w, "/t");

    inject_hex(w, PEER, "server", "4001 0001 b174 6132");
    inject_hex(w, PEER, "server", "4001 0002 b174 6132");
    copal_sim_run(w->sim, 0);
    copal_reply(k->x[0], COPAL_CONTENT, COPAL_NO_FORMAT,
                (copal_bytes){(const uint8_t *)"x", 1});
    let_go_kept(k, 0);
    reply_kept(k, 1, COPAL_NOT_FOUND, "gone");
    copal_sim_run(w->sim, 0);
    assert_int_equal(count_in_transcript(w, "ACK 2.05 0001 \"x\""), 1);
    assert_int_equal(count_in_transcript(w, "ACK 4.04 0002 \"gone\""), 1);
}

/* ---- No-Response, RFC 7967 ---- */

/* Uri-Path "t", No-Response; after 11 comes 258: d1 with 247 - 13 = ea. */
static void ask_silently(struct world *w, unsigned mid, const char *type,
                         const char *path, const char *value)
{
    char hex[160];

    snprintf(hex, sizeof(hex), "%s02 %04x %s %s", type, mid, path, value);
    inject_hex(w, PEER, "server", hex);
    copal_sim_run(w->sim, 0);
}

static void a_suppressed_class_is_acknowledged_but_not_answered(void **state)
{
    struct world *w = *state;
    struct record *served = serve_text(w, w->server, "/t", 0, "x");

    ask_silently(w, 1, "40", "b174", "d1ea02"); /* no 2.xx */
    ask_silently(w, 1, "40", "b174", "d1ea02"); /* again */
    ask_silently(w, 2, "40", "b174", "d1ea18"); /* no errors */
    ask_silently(w, 3, "40", "b174", "d0ea");   /* all, please */
    ask_silently(w, 4, "40", "b161", "d1ea08"); /* no 4.xx */
    ask_silently(w, 5, "40", "b161", "d1ea12"); /* 4.xx wanted */
    copal_sim_run(w->sim, 10000);
    assert_int_equal(served->requests, 3);
    assert_int_equal(count_in_transcript(w, "server > "), 6);
    assert_int_equal(count_in_transcript(w, "ACK empty 0001"), 2);
    assert_int_equal(count_in_transcript(w, "ACK 2.05 0002"), 1);
    assert_int_equal(count_in_transcript(w, "ACK 2.05 0003"), 1);
    assert_int_equal(count_in_transcript(w, "ACK empty 0004"), 1);
    assert_int_equal(count_in_transcript(w, "ACK 4.04 0005"), 1);
}

static void a_non_confirmable_with_a_suppressed_class_gets_silence(void **state)
{
    struct world *w = *state;
    struct record *served = serve_text(w, w->server, "/t", 0, "x");

    ask_silently(w, 1, "50", "b174", "d1ea02");
    ask_silently(w, 2, "50", "b174", "d1ea1a");
    ask_silently(w, 3, "50", "b161", "d1ea1a");
    ask_silently(w, 4, "50", "b174e1fcd101", "");        /* 4.02, wanted */
    ask_silently(w, 5, "50", "b174", "d1ea08 e1fbda01"); /* 4.02, not */
    copal_sim_run(w->sim, 10000);
    assert_int_equal(served->requests, 2);
    assert_int_equal(count_in_transcript(w, "server > "), 1);
}

static void a_suppressed_answer_that_comes_late_is_not_sent(void **state)
{
    struct world *w = *state;
    struct kept *k = serve_kept(w, "/t");
    copal_stats stats = {.size = sizeof(stats)};

    ask_silently(w, 1, "40", "b174", "d1ea02");
    ask_silently(w, 2, "40", "b174", "d1ea02");
    copal_sim_run(w->sim, 1000);
    assert_int_equal(reply_kept(k, 0, COPAL_CHANGED, "x"), 0);
    assert_int_equal(reply_kept(k, 1, COPAL_BAD_REQUEST, "no"), 0);
    copal_sim_run(w->sim, 100);
    assert_int_equal(count_in_transcript(w, "ACK empty"), 2);
    assert_int_equal(count_in_transcript(w, "CON 2.04"), 0);
    assert_int_equal(count_in_transcript(w, "CON 4.00"), 1);
    copal_get_stats(w->server, &stats);
    assert_int_equal(stats.exchanges_open, 1);
}

/* Without 2.31 and 4.08 an upload could not go on; its end is nobody's. */
static void amid_an_upload_nothing_is_suppressed(void **state)
{
    static const char block[] = "ff 30313233343536373839616263646566";
    struct world *w = *state;
    struct record *served = serve_text(w, w->server, "/t", 0, "x");
    char rest[96];

    snprintf(rest, sizeof(rest), "d10308 d1da1a %s", block); /* 0/1/16, all */
    ask_silently(w, 1, "40", "b174", rest);
    snprintf(rest, sizeof(rest), "d10328 d1da1a %s", block); /* 2/1/16: a gap */
    ask_silently(w, 2, "40", "b174", rest);
    snprintf(rest, sizeof(rest), "d10308 d1da1a %s", block);
    ask_silently(w, 3, "40", "b174", rest);
    snprintf(rest, sizeof(rest), "d10310 d1da1a %s", block); /* 1/0/16 */
    ask_silently(w, 4, "40", "b174", rest);
    copal_sim_run(w->sim, 10000);
    assert_int_equal(served->requests, 1);
    assert_int_equal(count_in_transcript(w, "ACK 2.31 0001"), 1);
    assert_int_equal(count_in_transcript(w, "ACK 4.08 0002"), 1);
    assert_int_equal(count_in_transcript(w, "ACK 2.31 0003"), 1);
    assert_int_equal(count_in_transcript(w, "ACK empty 0004"), 1);
    assert_int_equal(count_in_transcript(w, "server > "), 4);
}

static struct record *ask_for_nothing(struct world *w, unsigned flags,
                                      size_t size)
{
    static const uint8_t body[2500];
    copal_msg *m = copal_msg_new(w->client, COPAL_PUT);
    struct record *r = next_record(w);

    copal_msg_set_uri(m, "coap://server/t");
    copal_msg_add_uint(m, COPAL_OPT_NO_RESPONSE, 26);
    copal_msg_set_flags(m, flags);
    copal_msg_set_payload(m, COPAL_OCTETS, (copal_bytes){body, size});
    r->exchange = copal_request(w->client, m, recording(r));
    r->is_asked = true;
    r->is_begun = r->exchange != NULL;
    copal_msg_unref(m);
    return r;
}

static void who_wants_no_answer_is_done_when_acknowledged(void **state)
{
    struct world *w = *state;
    struct record *served = serve_text(w, w->server, "/t", 0, "x"), *r;

    copal_sim_set_path(w->sim, NULL, NULL, (copal_sim_path){.delay = 10});
    copal_sim_lose(w->sim, "client", 1);
    r = ask_for_nothing(w, 0, 4);
    copal_sim_run(w->sim, 2015);
    assert_int_equal(r->ends, 0);
    copal_sim_run(w->sim, 10);
    assert_ended(r, 0);
    assert_int_equal(r->responses, 0);
    assert_int_equal(served->requests, 1);
    copal_free(w->server);
    w->server = NULL;
    r = ask_for_nothing(w, 0, 4); /* nobody acknowledges this */
    copal_sim_run(w->sim, 100000);
    assert_ended(r, COPAL_ETIMEOUT);
}

/* The server may do as it likes with the option. */
static void who_wants_no_answer_has_one_that_comes_all_the_same(void **state)
{
    struct world *w = *state;
    struct tap *t = tap(w->client);
    struct record *r;

    copal_free(w->server);
    w->server = NULL;
    r = ask_for_nothing(w, 0, 4);
    copal_sim_run(w->sim, 0);
    inject_made(w, "server", "6844 %04x %s", t->mid, t->token);
    copal_sim_run(w->sim, 0);
    assert_ended(r, 0);
    assert_int_equal(r->responses, 1);
    assert_int_equal(r->code, COPAL_CHANGED);
}

static void who_wants_no_answer_observes_all_the_same(void **state)
{
    struct world *w = *state;
    copal_msg *m = copal_msg_new(w->client, COPAL_GET);
    struct record *r = next_record(w);

    serve_text(w, w->server, "/t", COPAL_OBSERVABLE, "x");
    copal_msg_set_uri(m, "coap://server/t");
    copal_msg_add_uint(m, COPAL_OPT_OBSERVE, 0);
    copal_msg_add_uint(m, COPAL_OPT_NO_RESPONSE, 26);
    r->exchange = copal_request(w->client, m, recording(r));
    r->is_asked = r->is_begun = true;
    copal_msg_unref(m);
    copal_sim_run(w->sim, 1000);
    assert_int_equal(r->ends, 0);
}

static void a_non_confirmable_without_answer_is_done_when_sent(void **state)
{
    struct world *w = *state;
    struct record *r[2];

    serve_text(w, w->server, "/t", 0, "x");
    for (unsigned i = 0; i < 2; i++)
        r[i] = ask_for_nothing(w, COPAL_NON, 4);
    copal_sim_run(w->sim, 0);
    assert_ended(r[0], 0);
    assert_int_equal(r[1]->ends, 0); /* PROBING_RATE */
    copal_sim_run(w->sim, 40000);
    assert_ended(r[1], 0);
    assert_int_equal(count_in_transcript(w, "NON PUT"), 2);
    assert_int_equal(count_in_transcript(w, "server > client"), 0);
}

static void an_upload_without_answer_is_done_with_its_last_block(void **state)
{
    struct world *w = *state;
    struct record *served = serve_text(w, w->server, "/t", 0, "x");
    struct record *r = ask_for_nothing(w, 0, 2500);

    copal_sim_run(w->sim, 1000);
    assert_ended(r, 0);
    assert_int_equal(served->requests, 1);
    assert_int_equal(served->payload_len, 2500);
    assert_int_equal(count_in_transcript(w, "ACK 2.31"), 2);
    assert_int_equal(count_in_transcript(w, "ACK empty"), 1);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, build, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_piggybacked_answer_needs_the_right_id),
        TEST(an_answer_needs_the_right_token),
        TEST(a_blind_responder_is_never_believed),
        TEST(tokens_and_first_ids_are_spread_evenly),
        TEST(an_answer_needs_the_right_peer),
        TEST(tokens_are_random_and_of_8_bytes),
        TEST(an_answer_to_what_was_cancelled_is_reset),
        TEST(an_answer_from_another_port_is_not_taken),
        TEST(any_port_takes_an_answer_from_another_port),
        TEST(any_port_takes_no_answer_from_another_host),
        TEST(strays_are_told_once_and_acknowledged),
        TEST(a_raw_message_is_sent_once_and_nothing_is_expected),
        TEST(the_answer_to_a_raw_request_is_a_stray),
        TEST(a_raw_empty_message_has_nothing_in_it),
        TEST(a_raw_message_needs_a_base_uri),
        TEST(an_option_that_is_understood_reaches_the_handler),
        TEST(understanding_has_limits),
        TEST(a_ping_is_answered_by_a_reset),
        TEST(a_lost_ping_is_sent_again),
        TEST(a_ping_that_nobody_answers_times_out),
        TEST(an_ack_answers_a_ping_too),
        TEST(a_ping_may_be_cancelled),
        TEST(a_known_etag_gives_2_03_without_the_body),
        TEST(another_format_than_accepted_gives_4_06),
        TEST(errors_and_answers_without_format_are_acceptable),
        TEST(a_suppressed_class_is_acknowledged_but_not_answered),
        TEST(a_non_confirmable_with_a_suppressed_class_gets_silence),
        TEST(a_suppressed_answer_that_comes_late_is_not_sent),
        TEST(amid_an_upload_nothing_is_suppressed),
        TEST(who_wants_no_answer_is_done_when_acknowledged),
        TEST(who_wants_no_answer_has_one_that_comes_all_the_same),
        TEST(who_wants_no_answer_observes_all_the_same),
        TEST(a_non_confirmable_without_answer_is_done_when_sent),
        TEST(an_upload_without_answer_is_done_with_its_last_block),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
