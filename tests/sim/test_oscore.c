/* OSCORE between two endpoints: what is asked and answered is protected, and
 * nothing else is believed. RFC 8613. */
#include "secured.h"

#include <stdlib.h>

static struct wire_tap tap;

/* ---- Requests and answers ---- */

static void a_request_and_its_answer_are_sealed(void **state)
{
    struct world *w = *state;
    struct record *served =
        serve_text(w, w->server, "/secret", 0, "the answer");
    struct record *r;

    listen_to(w->client, &tap);
    r = ask(w, w->client, COPAL_PUT, "coap://server/secret", "the question");
    run(w, 1000);
    assert_ended(r, 0);
    assert_int_equal(r->code, COPAL_CONTENT);
    assert_string_equal(r->payload, "the answer");
    assert_int_equal(served->requests, 1);
    assert_string_equal(served->payload, "the question");
    assert_int_equal(tap.count, 2);
    assert_false(shows(&tap, "secret") || shows(&tap, "answer") ||
                 shows(&tap, "question"));
    assert_int_equal(tap.heard[0].bytes[1], COPAL_POST);
    assert_int_equal(tap.heard[1].bytes[1], COPAL_CHANGED);
}

static void what_no_scope_covers_stays_plain(void **state)
{
    struct world *w = *state;
    struct record *r;

    serve_text(w, w->server, "/t", 0, "plain");
    copal_free(w->client);
    w->client = add_host(w, "client");
    keep_in(w->client, &client_store);
    assert_int_equal(protect(w->client, "coap://server/s", client_end(0)), 0);
    assert_int_equal(protect(w->client, "coap://serve", client_end(0)), 0);
    listen_to(w->client, &tap);
    r = get(w, "coap://server/t");
    run(w, 1000);
    assert_string_equal(r->payload, "plain");
    assert_true(shows(&tap, "plain"));
}

static void the_longest_scope_decides(void **state)
{
    struct world *w = *state;
    struct record *r;

    serve_text(w, w->server, "/a", 0, "a");
    serve_text(w, w->server, "/b", 0, "b");
    assert_int_equal(protect(w->server, "*", server_end(1)), 0);
    assert_int_equal(protect(w->client, "COAP://Server/b", client_end(1)), 0);
    run(w, 0);
    listen_to(w->client, &tap);
    r = get(w, "coap://server/b?x=1");
    run(w, 1000);
    assert_string_equal(r->payload, "b");
    assert_true(memchr(tap.heard[0].bytes, 'd', 24) != NULL); /* its kid */
    r = get(w, "coap://server:5683/a");
    run(w, 1000);
    assert_string_equal(r->payload, "a");
}

static char seen[MAX_RECORDED];

static void note_identity(const copal_event *ev, void *user)
{
    (void)user;
    if (ev->kind != COPAL_REQUEST)
        return;
    snprintf(seen, sizeof(seen), "%s",
             copal_msg_identity(ev->msg) == NULL ? "nobody"
                                                 : copal_msg_identity(ev->msg));
    copal_reply_text(ev->exchange, COPAL_CONTENT, "hello");
}

static void handlers_see_who_asks(void **state)
{
    struct world *w = *state;
    struct record *r;

    copal_serve(w->server, COPAL_GET, "/who", 0, COPAL_CB(note_identity, NULL));
    r = get(w, "coap://server/who");
    run(w, 1000);
    assert_ended(r, 0);
    assert_string_equal(seen, "oscore:63");
}

static void what_is_for_the_protected_only_is_refused_to_others(void **state)
{
    struct world *w = *state;
    struct record *r;
    copal *other = add_host(w, "other");

    serve_text(w, w->server, "/door", COPAL_SECURE, "open");
    r = ask(w, other, COPAL_GET, "coap://server/door", NULL);
    run(w, 1000);
    assert_int_equal(r->code, COPAL_UNAUTHORIZED);
    r = get(w, "coap://server/door");
    run(w, 1000);
    assert_int_equal(r->code, COPAL_CONTENT);
    copal_free(other);
}

static void errors_of_coap_are_sealed_too(void **state)
{
    struct world *w = *state;
    struct record *r;

    listen_to(w->client, &tap);
    r = get(w, "coap://server/nothing");
    run(w, 1000);
    assert_int_equal(r->code, COPAL_NOT_FOUND);
    assert_int_equal(tap.heard[1].bytes[1], COPAL_CHANGED);
}

static copal_exchange *held;

static void hold(const copal_event *ev, void *user)
{
    (void)user;
    if (ev->kind == COPAL_REQUEST)
        held = copal_exchange_ref(ev->exchange);
}

static void a_separate_answer_is_sealed(void **state)
{
    struct world *w = *state;
    struct record *r;

    copal_serve(w->server, COPAL_GET, "/slow", 0, COPAL_CB(hold, NULL));
    listen_to(w->client, &tap);
    r = get(w, "coap://server/slow");
    run(w, 1000);
    assert_int_equal(tap.count, 2); /* acknowledged meanwhile */
    copal_reply_text(held, COPAL_CONTENT, "at last");
    copal_exchange_unref(held);
    run(w, 1000);
    assert_false(shows(&tap, "at last"));
    assert_ended(r, 0);
    assert_string_equal(r->payload, "at last");
}

static void no_response_is_heeded_within(void **state)
{
    struct world *w = *state;
    struct record *served = serve_text(w, w->server, "/t", 0, "x"),
                  *r = next_record(w);
    copal_msg *m = copal_msg_new(w->client, COPAL_PUT);

    copal_msg_set_uri(m, "coap://server/t");
    copal_msg_add_uint(m, COPAL_OPT_NO_RESPONSE, 26);
    listen_to(w->client, &tap);
    copal_request(w->client, m, recording(r));
    r->is_asked = r->is_begun = true;
    copal_msg_unref(m);
    run(w, 100000);
    assert_ended(r, 0);
    assert_int_equal(served->requests, 1);
    assert_int_equal(tap.count, 2); /* the ACK is empty */
    assert_int_equal(tap.heard[1].len, 4);
}

/* ---- Bodies ---- */

static void bodies_go_in_blocks_each_sealed(void **state)
{
    static char body[5001];
    struct world *w = *state;
    struct record *served, *r;

    memset(body, 'b', sizeof(body) - 1);
    served = serve_text(w, w->server, "/body", 0, body);
    r = ask(w, w->client, COPAL_PUT, "coap://server/body", body);
    run(w, 10000);
    assert_ended(r, 0);
    assert_int_equal(served->requests, 1);
    assert_int_equal(served->payload_len, 5000);
    assert_int_equal(r->payload_len, 5000);
    assert_int_equal(count_in_transcript(w, "bbbb"), 0);
}

static void nobody_goes_on_with_the_body_of_another(void **state)
{
    static char body[3001];
    struct world *w = *state;
    struct record *served, *r;

    memset(body, 'b', sizeof(body) - 1);
    served = serve_text(w, w->server, "/body", 0, "thanks");
    copal_sim_set_path(w->sim, "client", "server",
                       (copal_sim_path){.delay = 50});
    r = ask(w, w->client, COPAL_PUT, "coap://server/body", body);
    run(w, 60);
    /* The second block, without protection, from the same address. */
    copal_sim_inject(w->sim, "client", "server",
                     (copal_bytes){(const uint8_t *)"\x40\x03\x77\x77\xb4"
                                                    "body\xd1\x03\x1e\xff"
                                                    "evil",
                                   16});
    run(w, 10000);
    assert_ended(r, 0);
    assert_int_equal(served->requests, 1);
    assert_int_equal(served->payload_len, 3000);
    assert_null(strstr(served->payload, "evil"));
}

/* ---- By connection ---- */

static void it_goes_by_connections_as_well(void **state)
{
    static const char *const uris[] = {"coap+tcp://server/t",
                                       "coap+ws://server/t"};
    struct world *w = *state;

    serve_text(w, w->server, "/t", COPAL_SECURE, "there");
    assert_int_equal(protect(w->client, "coap+tcp://server", client_end(0)), 0);
    assert_int_equal(protect(w->client, "coap+ws://server", client_end(0)), 0);
    for (int i = 0; i < 2; i++) {
        struct record *r = ask(w, w->client, COPAL_GET, uris[i], NULL);

        run(w, 1000);
        assert_ended(r, 0);
        assert_string_equal(r->payload, "there");
    }
}

/* Of which a connection could take all at once, but AES-CCM could not. */
static void long_bodies_by_connections_are_sealed_in_blocks(void **state)
{
    static char body[200001];
    struct world *w = *state;
    struct record *served, *r;

    memset(body, 'b', sizeof(body) - 1);
    served = serve_text(w, w->server, "/body", COPAL_SECURE, body);
    assert_int_equal(protect(w->client, "coap+tcp://server", client_end(0)), 0);
    r = ask(w, w->client, COPAL_PUT, "coap+tcp://server/body", body);
    run(w, 10000);
    assert_ended(r, 0);
    assert_int_equal(served->requests, 1);
    assert_int_equal(served->payload_len, 200000);
    assert_int_equal(r->payload_len, 200000);
}

/* ---- Observations ---- */

static void notifications_come_in_order_and_sealed(void **state)
{
    struct world *w = *state;
    struct record *served =
                      serve_text(w, w->server, "/n", COPAL_OBSERVABLE, "state"),
                  *r = observe(w, "coap://server/n");
    uint64_t last = 0, piv;
    int with_piv = 0;

    listen_to(w->client, &tap);
    run(w, 1000);
    for (int i = 0; i < 5; i++) {
        copal_notify(w->server, "/n");
        run(w, 4000);
    }
    assert_int_equal(r->responses, 6);
    assert_int_equal(served->requests, 6);
    assert_false(shows(&tap, "state"));
    for (size_t i = 0; i < tap.count; i++)
        if (!tap.heard[i].out && partial_iv(&tap.heard[i], &piv)) {
            assert_true(with_piv++ == 0 || piv > last);
            last = piv;
        }
    assert_int_equal(with_piv, 5); /* the first has the request's nonce */
    copal_cancel(r->exchange);
    run(w, 10000);
    assert_int_equal(observers(w), 0);
}

static void a_notification_that_came_late_is_dropped(void **state)
{
    struct world *w = *state;
    struct record *r;
    struct heard old;
    unsigned before;

    serve_text(w, w->server, "/n", COPAL_OBSERVABLE, "state");
    listen_to(w->client, &tap);
    r = observe(w, "coap://server/n");
    run(w, 1000);
    copal_notify(w->server, "/n");
    run(w, 4000);
    assert_int_equal(r->responses, 2);
    old = tap.heard[tap.count - 2]; /* the ACK is behind it */
    assert_false(old.out);
    copal_notify(w->server, "/n");
    run(w, 4000);
    assert_int_equal(r->responses, 3);
    before = (unsigned)r->responses;
    old.bytes[3] ^= 0x55; /* as another message */
    copal_sim_inject(w->sim, "server", "client",
                     (copal_bytes){old.bytes, old.len});
    run(w, 4000);
    assert_int_equal(r->responses, before);
    assert_int_equal(r->ends, 0);
    cancel_if_open(r);
    run(w, 10000);
}

static void nobody_else_ends_an_observation(void **state)
{
    struct world *w = *state;
    struct record *r;
    uint8_t forged[64];
    size_t len = 0, token;

    serve_text(w, w->server, "/n", COPAL_OBSERVABLE, "state");
    listen_to(w->client, &tap);
    r = observe(w, "coap://server/n");
    run(w, 1000);
    assert_int_equal(observers(w), 1);
    token = tap.heard[0].bytes[0] & 15;
    memcpy(forged, tap.heard[0].bytes, 4 + token);
    forged[1] = COPAL_GET;
    forged[3] ^= 0x55;
    len = 4 + token;
    memcpy(forged + len, "\x61\x01\x51n", 4); /* Observe 1, /n */
    len += 4;
    copal_sim_inject(w->sim, "client", "server", (copal_bytes){forged, len});
    run(w, 1000);
    assert_int_equal(observers(w), 1);
    copal_notify(w->server, "/n");
    run(w, 4000);
    assert_int_equal(r->responses, 2);
    cancel_if_open(r);
    run(w, 10000);
}

static void a_forgotten_context_ends_its_observations(void **state)
{
    struct world *w = *state;
    struct record *r;

    serve_text(w, w->server, "/n", COPAL_OBSERVABLE, "state");
    r = observe(w, "coap://server/n");
    run(w, 1000);
    assert_int_equal(observers(w), 1);
    assert_int_equal(copal_forget(w->server, "*"), 0);
    assert_int_equal(observers(w), 0);
    assert_int_equal(copal_forget(w->server, "*"), COPAL_ENOENT);
    cancel_if_open(r);
    run(w, 300000);
}

/* ---- What is not genuine ---- */

/* T9: each captured request again, as it was and as another message. */
static void each_request_is_acted_upon_once(void **state)
{
    struct world *w = *state;
    struct record *served = serve_text(w, w->server, "/t", 0, "x");
    size_t sent;

    listen_to(w->client, &tap);
    for (int i = 0; i < 10; i++) {
        ask(w, w->client, COPAL_POST, "coap://server/t", "do it");
        run(w, 1000);
    }
    assert_int_equal(served->requests, 10);
    sent = tap.count;
    for (size_t i = 0; i < sent; i++) {
        struct heard again = tap.heard[i];

        if (!again.out)
            continue;
        copal_sim_inject(w->sim, "client", "server",
                         (copal_bytes){again.bytes, again.len});
        again.bytes[2] ^= 0x55;
        copal_sim_inject(w->sim, "192.0.2.1", "server",
                         (copal_bytes){again.bytes, again.len});
        run(w, 1000);
    }
    assert_int_equal(served->requests, 10);
    assert_int_equal(count_in_transcript(w, "4.01"), 10);
    assert_int_equal(count_in_transcript(w, "Replay detected"), 10);
}

/* T32: whatever is changed outside, the server acts on what was sealed, and
 * once, or not at all. Uri-Host is nobody's to protect: RFC 8613 4.1.3.2. */
static void no_changed_byte_of_a_request_is_acted_upon(void **state)
{
    struct world *w = *state;
    struct record *served = serve_text(w, w->server, "/t", 0, "x");
    struct heard first;
    size_t host;

    listen_to(w->client, &tap);
    copal_sim_lose(w->sim, "client", 1);
    ask(w, w->client, COPAL_POST, "coap://server/t", "do it");
    run(w, 0);
    first = tap.heard[0];
    assert_true(first.out);
    host = 4u + (first.bytes[0] & 15) + 1;
    assert_memory_equal(first.bytes + host, "server", 6);
    for (size_t i = host - 1; i < first.len; i++)
        for (int bit = 0; bit < 8; bit++) {
            struct heard changed = first;

            if (i >= host && i < host + 6)
                continue;
            changed.bytes[2] = (uint8_t)(0x40 + i);
            changed.bytes[3] = (uint8_t)bit;
            changed.bytes[i] ^= (uint8_t)(1 << bit);
            copal_sim_inject(w->sim, "192.0.2.1", "server",
                             (copal_bytes){changed.bytes, changed.len});
            run(w, 1);
        }
    assert_int_equal(served->requests, 0);
    run(w, 100000); /* it is sent once more, and is genuine */
    assert_int_equal(served->requests, 1);
    assert_string_equal(served->payload, "do it");
}

static void no_changed_byte_of_an_answer_is_believed(void **state)
{
    struct world *w = *state;
    struct record *r, *served;
    struct heard first;
    size_t from;

    served = serve_text(w, w->server, "/t", 0, "the truth");
    listen_to(w->server, &tap);
    copal_sim_lose(w->sim, "server", 1);
    r = get(w, "coap://server/t");
    run(w, 0);
    assert_int_equal(served->requests, 1);
    first = tap.heard[1];
    assert_true(first.out);
    from = 4u + (first.bytes[0] & 15);
    for (size_t i = from; i < first.len; i++)
        for (int bit = 0; bit < 8; bit++) {
            struct heard changed = first;

            changed.bytes[i] ^= (uint8_t)(1 << bit);
            copal_sim_inject(w->sim, "server", "client",
                             (copal_bytes){changed.bytes, changed.len});
            run(w, 1);
            assert_int_equal(r->responses, 0);
        }
    run(w, 100000); /* the request again, the kept answer again */
    assert_ended(r, 0);
    assert_string_equal(r->payload, "the truth");
    assert_int_equal(served->requests, 1);
}

static void an_answer_without_protection_is_none(void **state)
{
    struct world *w = *state;
    struct record *r;

    serve_text(w, w->server, "/t", 0, "x");
    assert_int_equal(copal_forget(w->server, "*"), 0);
    r = get(w, "coap://server/t");
    run(w, 1000);
    assert_ended(r, COPAL_EAUTH);
    assert_int_equal(r->responses, 0);
    assert_non_null(strstr(r->text, "Security context not found"));
}

static void another_key_is_told_apart(void **state)
{
    struct world *w = *state;
    struct record *r;
    copal_oscore wrong = client_end(0);

    wrong.secret.len = 15;
    assert_int_equal(protect(w->client, "coap://server", wrong), 0);
    run(w, 0);
    r = get(w, "coap://server/t");
    run(w, 1000);
    assert_ended(r, COPAL_EAUTH);
    assert_non_null(strstr(r->text, "4.00"));
    assert_int_equal(count_in_transcript(w, "Decryption failed"), 1);
}

static void a_malformed_option_is_refused_in_words(void **state)
{
    /* CON POST 7777: reserved bits; a Partial IV of 6; no kid; no payload. */
    static const struct {
        const char *bytes;
        size_t len;
    } rows[] = {
        {"\x40\x02\x77\x01\x92\x29\x14\xff"
         "ciphertext",
         18},
        {"\x40\x02\x77\x02\x98\x0e\0\0\0\0\0\x01"
         "c\xff"
         "ciphertext",
         24},
        {"\x40\x02\x77\x03\x92\x01\x14\xff"
         "ciphertext",
         18},
        {"\x40\x02\x77\x04\x93\x09\x14"
         "c",
         8},
        {"\x40\x02\x77\x05\x90\xff"
         "ciphertext",
         16},
        {"\x40\x02\x77\x06\x93\x09\x14"
         "c\x03\x09\x14"
         "c\xff"
         "ciphertext",
         23},
    };
    struct world *w = *state;

    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
        copal_sim_inject(
            w->sim, "192.0.2.1", "server",
            (copal_bytes){(const uint8_t *)rows[i].bytes, rows[i].len});
    run(w, 1000);
    assert_int_equal(count_in_transcript(w, "ACK 4.02"), 6);
    assert_int_equal(count_in_transcript(w, "Failed to decode COSE"), 6);
}

/* ---- Contexts ---- */

static void a_context_needs_a_store(void **state)
{
    struct world *w = *state;
    copal *other = add_host(w, "other");

    assert_int_equal(protect(other, "coap://server", client_end(1)),
                     COPAL_ESTATE);
    assert_non_null(strstr(copal_why(other), "copal_store"));
    copal_free(other);
}

static void a_context_out_of_order_is_refused(void **state)
{
    struct world *w = *state;
    copal_oscore k = client_end(1);

    assert_int_equal(protect(w->client, "http://server", k), COPAL_EINVAL);
    assert_int_equal(protect(w->client, NULL, k), COPAL_EINVAL);
    k.aead = 4;
    assert_int_equal(protect(w->client, "*", k), COPAL_EINVAL);
    k = client_end(1);
    k.hkdf = 1;
    assert_int_equal(protect(w->client, "*", k), COPAL_EINVAL);
    k = client_end(1);
    k.secret.len = 0;
    assert_int_equal(protect(w->client, "*", k), COPAL_EINVAL);
    k = client_end(1);
    k.recipient_id = k.sender_id;
    assert_int_equal(protect(w->client, "*", k), COPAL_EINVAL);
    k = client_end(1);
    k.replay_window = 1025;
    assert_int_equal(protect(w->client, "*", k), COPAL_EINVAL);
    k.size = 0;
    assert_int_equal(protect(w->client, "*", k), COPAL_EINVAL);
    assert_int_equal(copal_use_oscore(w->client, "*", NULL), COPAL_EINVAL);
    k = server_end(0);
    k.salt.len = 3;
    assert_int_equal(protect(w->server, "*", k), COPAL_EEXIST);
    assert_int_equal(protect(w->server, "*", server_end(0)), 0);
}

static void peers_with_one_kid_are_told_apart_by_their_id_context(void **state)
{
    struct world *w = *state;
    copal_oscore ours = client_end(0), theirs = server_end(0);
    struct record *r;

    ours.id_context = theirs.id_context =
        (copal_bytes){(const uint8_t *)"room 7", 6};
    assert_int_equal(protect(w->server, "*", theirs), 0);
    assert_int_equal(protect(w->client, "coap://server/7", ours), 0);
    copal_serve(w->server, COPAL_GET, "/7", 0, COPAL_CB(note_identity, NULL));
    copal_serve(w->server, COPAL_GET, "/8", 0, COPAL_CB(note_identity, NULL));
    run(w, 0);
    r = get(w, "coap://server/7");
    run(w, 1000);
    assert_ended(r, 0);
    assert_string_equal(seen, "oscore:726f6f6d2037:63");
    r = get(w, "coap://server/8");
    run(w, 1000);
    assert_ended(r, 0);
    assert_string_equal(seen, "oscore:63");
}

static void both_ends_may_ask_under_one_context(void **state)
{
    struct world *w = *state;
    struct record *r;
    uint64_t piv[2] = {0};

    serve_text(w, w->server, "/s", 0, "of the server");
    serve_text(w, w->client, "/c", 0, "of the client");
    assert_int_equal(protect(w->client, "*", client_end(0)), 0);
    assert_int_equal(protect(w->server, "coap://client", server_end(0)), 0);
    run(w, 0);
    listen_to(w->client, &tap);
    r = get(w, "coap://server/s");
    run(w, 1000);
    assert_string_equal(r->payload, "of the server");
    r = ask(w, w->server, COPAL_GET, "coap://client/c", NULL);
    run(w, 1000);
    assert_string_equal(r->payload, "of the client");
    r = get(w, "coap://server/s");
    run(w, 1000);
    assert_true(partial_iv(&tap.heard[0], &piv[0]));
    assert_true(partial_iv(&tap.heard[4], &piv[1]));
    assert_int_equal(piv[1], piv[0] + 1); /* one row of numbers */
}

static void a_proxy_learns_no_path(void **state)
{
    struct world *w = *state;
    struct record *r = next_record(w);
    copal_msg *m = copal_msg_new(w->client, COPAL_GET);
    const char uri[] = "coap://other.example:1234/hidden/path?and=query";

    copal_msg_set_uri(m, "coap://server");
    copal_msg_add(m, COPAL_OPT_PROXY_URI,
                  (copal_bytes){(const uint8_t *)uri, sizeof(uri) - 1});
    listen_to(w->client, &tap);
    copal_request(w->client, m, recording(r));
    r->is_asked = r->is_begun = true;
    copal_msg_unref(m);
    run(w, 1000);
    assert_int_equal(r->code, COPAL_PROXYING_NOT_SUPPORTED);
    assert_true(shows(&tap, "coap://other.example:1234"));
    assert_false(shows(&tap, "hidden") || shows(&tap, "query"));
}

static void who_is_not_proven_to_be_there_is_answered_in_small_blocks(
    void **state)
{
    static char body[3001];
    struct world *w = *state;
    struct record *r, *o;

    memset(body, 'b', sizeof(body) - 1);
    tune(w->server, COPAL_P_GUARD_LOOPBACK, 1);
    serve_text(w, w->server, "/body", COPAL_OBSERVABLE, body);
    listen_to(w->client, &tap);
    r = get(w, "coap://server/body");
    run(w, 20000);
    assert_ended(r, 0);
    assert_int_equal(r->payload_len, 3000);
    assert_in_range(tap.heard[1].len, 5, 136);
    o = observe(w, "coap://server/body");
    run(w, 20000);
    copal_notify(w->server, "/body");
    run(w, 20000);
    assert_int_equal(o->responses, 2);
    cancel_if_open(o);
    run(w, 20000);
}

static void a_watch_hears_again_of_a_server_that_began_anew(void **state)
{
    struct world *w = *state;
    struct record *r = next_record(w);
    copal_msg *m = copal_msg_new(w->client, COPAL_GET);
    copal_exchange *x;
    int before;

    serve_text(w, w->server, "/n", COPAL_OBSERVABLE, "state");
    copal_msg_set_uri(m, "coap://server/n");
    copal_msg_set_flags(m, COPAL_WATCH);
    x = copal_request(w->client, m, recording(r));
    assert_non_null(x);
    copal_msg_unref(m);
    run(w, 1000);
    assert_int_equal(r->responses, 1);
    restart_server(w);
    serve_text(w, w->server, "/n", COPAL_OBSERVABLE, "anew");
    before = r->responses;
    run(w, 600000);
    assert_true(r->responses > before);
    assert_string_equal(r->payload, "anew");
    copal_cancel(x);
    run(w, 10000);
}

static void a_group_is_not_asked(void **state)
{
    struct world *w = *state;
    struct record *r;

    assert_int_equal(protect(w->client, "coap://224.0.1.187", client_end(1)),
                     0);
    run(w, 0);
    r = get(w, "coap://224.0.1.187/t");
    run(w, 1000);
    assert_ended(r, COPAL_ENOTSUP);
}

/* ---- Sweeps ---- */

static void ask_and_observe(struct world *w)
{
    struct record *r[4];
    copal_oscore ours = client_end(0), theirs = server_end(0);

    memset(&client_store, 0, sizeof(client_store));
    memset(&server_store, 0, sizeof(server_store));
    keep_in_if_possible(w->client, &client_store);
    keep_in_if_possible(w->server, &server_store);
    copal_use_oscore(w->client, "coap://server", &ours);
    copal_use_oscore(w->server, "*", &theirs);
    run(w, 100);
    serve_text(w, w->server, "/n", COPAL_OBSERVABLE, "state");
    r[0] = observe(w, "coap://server/n");
    run(w, 2000);
    r[1] = get(w, "coap://server/n");
    r[2] = ask(w, w->client, COPAL_POST, "coap://server/n", "x");
    r[3] = get(w, "coap://server/none");
    copal_notify(w->server, "/n");
    run(w, 200000);
    for (int i = 0; i < 4; i++)
        cancel_if_open(r[i]);
    settle(w);
}

static void every_allocation_may_fail(void **state)
{
    (void)state;
    for_each_failed_allocation(ask_and_observe);
}

static int handled;

static void count_posts(const copal_event *ev, void *user)
{
    (void)user;
    if (ev->kind != COPAL_REQUEST)
        return;
    handled++;
    copal_reply_text(ev->exchange, COPAL_CHANGED, "done");
}

static void a_storm(struct world *w)
{
    copal_oscore ours = client_end(0), theirs = server_end(0);
    struct record *r[20], *o;
    int done = 0;

    memset(&client_store, 0, sizeof(client_store));
    memset(&server_store, 0, sizeof(server_store));
    keep_in(w->client, &client_store);
    keep_in(w->server, &server_store);
    copal_use_oscore(w->client, "coap://server", &ours);
    copal_use_oscore(w->server, "*", &theirs);
    run(w, 0);
    handled = 0;
    copal_serve(w->server, COPAL_POST, "/p", 0, COPAL_CB(count_posts, NULL));
    serve_text(w, w->server, "/n", COPAL_OBSERVABLE, "state");
    o = observe(w, "coap://server/n");
    for (int i = 0; i < 20; i++) {
        r[i] = ask(w, w->client, COPAL_POST, "coap://server/p", "do it");
        run(w, 2000);
        copal_notify(w->server, "/n");
    }
    cancel_if_open(o);
    settle(w);
    for (int i = 0; i < 20; i++) {
        assert_true(r[i]->status == 0 || r[i]->status == COPAL_ETIMEOUT);
        done += r[i]->status == 0;
        assert_true(r[i]->status != 0 || r[i]->code == COPAL_CHANGED);
    }
    assert_true(handled >= done && handled <= 20); /* never one twice */
}

static void bad_weather_changes_nothing(void **state)
{
    (void)state;
    bad_weather(a_storm, 20);
}

#define TEST(name) \
    cmocka_unit_test_setup_teardown(name, build_secured, tear_down_secured)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_request_and_its_answer_are_sealed),
        TEST(what_no_scope_covers_stays_plain),
        TEST(the_longest_scope_decides),
        TEST(handlers_see_who_asks),
        TEST(what_is_for_the_protected_only_is_refused_to_others),
        TEST(errors_of_coap_are_sealed_too),
        TEST(a_separate_answer_is_sealed),
        TEST(no_response_is_heeded_within),
        TEST(bodies_go_in_blocks_each_sealed),
        TEST(nobody_goes_on_with_the_body_of_another),
        TEST(it_goes_by_connections_as_well),
        TEST(long_bodies_by_connections_are_sealed_in_blocks),
        TEST(notifications_come_in_order_and_sealed),
        TEST(a_notification_that_came_late_is_dropped),
        TEST(nobody_else_ends_an_observation),
        TEST(a_forgotten_context_ends_its_observations),
        TEST(each_request_is_acted_upon_once),
        TEST(no_changed_byte_of_a_request_is_acted_upon),
        TEST(no_changed_byte_of_an_answer_is_believed),
        TEST(an_answer_without_protection_is_none),
        TEST(another_key_is_told_apart),
        TEST(a_malformed_option_is_refused_in_words),
        TEST(a_context_needs_a_store),
        TEST(a_context_out_of_order_is_refused),
        TEST(peers_with_one_kid_are_told_apart_by_their_id_context),
        TEST(both_ends_may_ask_under_one_context),
        TEST(a_proxy_learns_no_path),
        TEST(who_is_not_proven_to_be_there_is_answered_in_small_blocks),
        TEST(a_watch_hears_again_of_a_server_that_began_anew),
        TEST(a_group_is_not_asked),
        cmocka_unit_test(every_allocation_may_fail),
        cmocka_unit_test(bad_weather_changes_nothing),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
