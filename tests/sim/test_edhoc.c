/* EDHOC between two endpoints: the first request brings the keys for all that
 * follow. RFC 9528 A, RFC 9668. */
#include "secured.h"

#include "endpoint.h"
#include "secure/edhoc_hub.h"
#include "wire/cbor.h"

#include <stdlib.h>

/* ---- Who they are ---- */

struct identity {
    uint8_t secret[CP_CURVE_KEY], cred[256];
    size_t len;
};

static struct identity of_client, of_server, of_other;
static struct wire_tap tap;

static copal_bytes bytes_of(const char *text)
{
    return cp_bytes_of_text(text);
}

static copal_bytes cred_of(const struct identity *p)
{
    return cp_bytes(p->cred, p->len);
}

/* A CWT Claims Set; kid "" leaves it without one, to be sent by value. */
static void make(struct identity *p, enum cp_curve curve, const char *sub,
                 const char *kid)
{
    struct cp_buf b = cp_buf_fixed(p->cred, sizeof(p->cred));
    struct cp_public_key key;

    assert_int_equal(cp_curve_generate(curve, p->secret, &key), 0);
    cp_cbor_put_map(&b, 2);
    cp_cbor_put_unsigned(&b, 2);
    cp_cbor_put_text(&b, bytes_of(sub));
    cp_cbor_put_unsigned(&b, 8);
    cp_cbor_put_map(&b, 1);
    cp_cbor_put_unsigned(&b, 1);
    cp_cose_put_key(&b, &key, bytes_of(kid));
    p->len = b.len;
}

static bool combined;

static int give(copal *c, const char *scope, int method, int suite,
                const struct identity *own, const struct identity *peer)
{
    copal_edhoc keys = {.size = sizeof(keys),
                        .method = method,
                        .suite = suite,
                        .private_key = cp_bytes(own->secret, CP_CURVE_KEY),
                        .credential = cred_of(own),
                        .peer_credential = cred_of(peer),
                        .combined = combined};

    return copal_use_edhoc(c, scope, &keys);
}

static void arrange(struct world *w)
{
    make(&of_client, CP_P256, "the client", "c");
    make(&of_server, CP_P256, "the server", "s");
    assert_int_equal(
        give(w->client, "coap://server", 3, 2, &of_client, &of_server), 0);
    assert_int_equal(give(w->server, "*", 3, 2, &of_server, &of_client), 0);
}

static int build_keyed(void **state)
{
    int err = build(state);

    arrange(*state);
    return err;
}

static char who[64];
static void play_keyed(struct world *w);

static void note_identity(const copal_event *ev, void *user)
{
    const char *name;

    (void)user;
    if (ev->kind != COPAL_REQUEST)
        return;
    name = copal_msg_identity(ev->msg);
    snprintf(who, sizeof(who), "%s", name == NULL ? "nobody" : name);
    copal_reply_text(ev->exchange, COPAL_CONTENT, "hello");
}

static struct record *ask_who(struct world *w)
{
    struct record *r = get(w, "coap://server/who");

    who[0] = '\0';
    run(w, 5000);
    return r;
}

static void serve_who(struct world *w)
{
    copal_serve(w->server, COPAL_GET, "/who", 0, COPAL_CB(note_identity, NULL));
}

/* ---- What works ---- */

static void the_first_request_brings_keys_and_is_sealed(void **state)
{
    struct world *w = *state;
    struct record *r;

    serve_who(w);
    listen_to(w->client, &tap);
    r = ask_who(w);
    assert_ended(r, 0);
    assert_string_equal(r->payload, "hello");
    assert_string_equal(who, "the client");
    assert_false(shows(&tap, "who") || shows(&tap, "hello"));
    assert_int_equal(tap.count, 6); /* messages 1 to 4, and what was asked */
    r = ask_who(w);
    assert_string_equal(r->payload, "hello");
    assert_int_equal(tap.count, 8);
}

static void requests_that_wait_share_one_handshake(void **state)
{
    struct world *w = *state;
    struct record *r[5];

    serve_who(w);
    tune(w->client, COPAL_P_NSTART, 10);
    listen_to(w->client, &tap);
    for (int i = 0; i < 5; i++)
        r[i] = get(w, "coap://server/who");
    run(w, 5000);
    for (int i = 0; i < 5; i++) {
        assert_ended(r[i], 0);
        assert_string_equal(r[i]->payload, "hello");
    }
    assert_int_equal(tap.count, 4 + 10);
}

static void every_method_keys_a_request(void **state)
{
    struct world *w = *state;
    struct identity i_dh, i_sign, r_dh, r_sign;

    serve_who(w);
    make(&i_dh, CP_X25519, "the client", "a");
    make(&i_sign, CP_ED25519, "the client", "");
    make(&r_dh, CP_X25519, "the server", "b");
    make(&r_sign, CP_ED25519, "the server", "");
    for (int method = 0; method < 4; method++) {
        const struct identity *i = method & 2 ? &i_dh : &i_sign;
        const struct identity *s = method & 1 ? &r_dh : &r_sign;
        struct record *r;

        assert_int_equal(give(w->client, "coap://server", method, 0, i, s), 0);
        assert_int_equal(give(w->server, "*", method, 0, s, i), 0);
        r = ask_who(w);
        assert_ended(r, 0);
        assert_string_equal(who, "the client");
    }
}

/* The client prefers what the server has not. RFC 9528 6.3. */
static void a_suite_is_agreed_upon(void **state)
{
    struct world *w = *state;
    struct cp_edhoc_scope *s;
    struct record *r;

    serve_who(w);
    assert_int_equal(
        give(w->client, "coap://server", 3, 5, &of_client, &of_server), 0);
    s = cp_edhoc_keys_serve(&w->server->edhoc->keys);
    s->suites = (struct cp_edhoc_suites){1, {3}};
    listen_to(w->client, &tap);
    r = ask_who(w);
    assert_ended(r, 0);
    assert_string_equal(r->payload, "hello");
    assert_int_equal(tap.count, 2 + 6); /* an error first */
}

static void a_protected_resource_is_open_to_who_is_proven(void **state)
{
    struct world *w = *state;
    struct record *r;
    copal *other = add_host(w, "other");

    serve_text(w, w->server, "/door", COPAL_SECURE, "open");
    r = get(w, "coap://server/door");
    run(w, 5000);
    assert_int_equal(r->code, COPAL_CONTENT);
    r = ask(w, other, COPAL_GET, "coap://server/door", NULL);
    run(w, 5000);
    assert_int_equal(r->code, COPAL_UNAUTHORIZED);
    copal_free(other);
}

static void an_observation_is_keyed_like_any_request(void **state)
{
    struct world *w = *state;
    struct record *r;

    serve_text(w, w->server, "/t", COPAL_OBSERVABLE, "1");
    r = observe(w, "coap://server/t");
    run(w, 5000);
    assert_int_equal(r->responses, 1);
    copal_notify(w->server, "/t");
    run(w, 5000);
    assert_int_equal(r->responses, 2);
    copal_cancel(r->exchange);
    run(w, 1000);
}

static void credentials_by_value_are_sent_in_blocks_if_need_be(void **state)
{
    struct world *w = *state;
    struct record *r;

    make(&of_client, CP_ED25519, "the client", "");
    make(&of_server, CP_ED25519, "the server", "");
    tune(w->client, COPAL_P_BLOCK_SIZE, 64);
    tune(w->server, COPAL_P_BLOCK_SIZE, 64);
    serve_who(w);
    assert_int_equal(
        give(w->client, "coap://server", 0, 0, &of_client, &of_server), 0);
    assert_int_equal(give(w->server, "*", 0, 0, &of_server, &of_client), 0);
    r = ask_who(w);
    assert_ended(r, 0);
    assert_string_equal(who, "the client");
}

/* ---- Combined, RFC 9668 ---- */

static int build_combined(void **state)
{
    int err;

    combined = true;
    err = build_keyed(state);
    combined = false;
    return err;
}

static void the_last_message_goes_along_with_the_first_request(void **state)
{
    struct world *w = *state;
    struct record *r;

    serve_who(w);
    listen_to(w->client, &tap);
    r = ask_who(w);
    assert_ended(r, 0);
    assert_string_equal(r->payload, "hello");
    assert_string_equal(who, "the client");
    assert_int_equal(tap.count, 4);
    assert_false(shows(&tap, "who") || shows(&tap, "hello"));
    assert_ended(ask_who(w), 0);
    assert_int_equal(tap.count, 6);
}

static void those_behind_it_wait_for_its_answer(void **state)
{
    struct world *w = *state;
    struct record *r[5];

    serve_who(w);
    tune(w->client, COPAL_P_NSTART, 10);
    listen_to(w->client, &tap);
    for (int i = 0; i < 5; i++)
        r[i] = get(w, "coap://server/who");
    run(w, 5000);
    for (int i = 0; i < 5; i++) {
        assert_ended(r[i], 0);
        assert_string_equal(r[i]->payload, "hello");
    }
    assert_int_equal(tap.count, 2 + 10);
}

static void who_is_not_known_is_told_by_the_first_request(void **state)
{
    struct world *w = *state;
    struct record *r[2];

    serve_who(w);
    make(&of_other, CP_P256, "somebody", "x");
    combined = true;
    assert_int_equal(
        give(w->client, "coap://server", 3, 2, &of_other, &of_server), 0);
    combined = false;
    r[0] = get(w, "coap://server/who");
    r[1] = get(w, "coap://server/who");
    run(w, 60000);
    assert_ended(r[0], COPAL_EAUTH);
    assert_ended(r[1], COPAL_EAUTH);
    assert_int_equal(w->server->edhoc->half_open_count, 0);
    assert_int_equal(w->server->edhoc->made_count, 0);
}

static void an_edhoc_option_without_what_it_is_about_is_refused(void **state)
{
    struct world *w = *state;

    for (int i = 0; i < 3; i++) {
        copal_msg *m = copal_msg_new(w->client, COPAL_POST);
        struct record *r = next_record(w);

        copal_msg_set_uri(m, "coap://server/.well-known/edhoc");
        copal_msg_add(m, COPAL_OPT_EDHOC, (copal_bytes){0});
        if (i > 0)
            copal_msg_add(m, COPAL_OPT_OSCORE,
                          cp_bytes("\x09\x00\x05", i == 1 ? 3 : 1));
        copal_msg_set_payload(m, COPAL_NO_FORMAT, bytes_of("\x41\x00xyz"));
        r->is_asked = true;
        r->exchange = copal_request(w->client, m, recording(r));
        r->is_begun = r->exchange != NULL;
        copal_msg_unref(m);
        run(w, 5000);
        assert_ended(r, 0);
        assert_int_equal(r->code, COPAL_BAD_REQUEST);
    }
}

static void what_goes_along_gets_lost_and_comes_again(void **state)
{
    (void)state;
    make(&of_client, CP_P256, "the client", "c");
    make(&of_server, CP_P256, "the server", "s");
    combined = true;
    bad_weather(play_keyed, seeds_or(10));
    combined = false;
}

static void memory_may_run_out_there_too(void **state)
{
    (void)state;
    make(&of_client, CP_P256, "the client", "c");
    make(&of_server, CP_P256, "the server", "s");
    combined = true;
    for_each_failed_allocation(play_keyed);
    combined = false;
}

/* ---- When an end begins anew ---- */

static copal *restart(struct world *w, copal **which, const char *name)
{
    copal_free(*which);
    *which = add_host(w, name);
    tune(*which, COPAL_P_ACK_RANDOM, 100);
    return *which;
}

static void a_server_that_lost_its_keys_is_keyed_again(void **state)
{
    struct world *w = *state;
    struct record *r;

    serve_who(w);
    assert_ended(ask_who(w), 0);
    restart(w, &w->server, "server");
    serve_who(w);
    assert_int_equal(give(w->server, "*", 3, 2, &of_server, &of_client), 0);
    r = ask_who(w);
    assert_ended(r, 0);
    assert_string_equal(r->payload, "hello");
    assert_string_equal(who, "the client");
}

static void a_client_that_lost_its_keys_asks_for_others(void **state)
{
    struct world *w = *state;

    serve_who(w);
    for (int i = 0; i < 10; i++) {
        assert_ended(ask_who(w), 0);
        restart(w, &w->client, "client");
        assert_int_equal(
            give(w->client, "coap://server", 3, 2, &of_client, &of_server), 0);
    }
    /* Those it has no more make room. */
    assert_int_equal(w->server->edhoc->made_count, CP_EDHOC_OF_PEER);
}

/* ---- What is refused ---- */

static void who_is_not_known_gets_no_keys(void **state)
{
    struct world *w = *state;
    struct record *r;

    serve_who(w);
    make(&of_other, CP_P256, "somebody", "x");
    assert_int_equal(
        give(w->client, "coap://server", 3, 2, &of_other, &of_server), 0);
    r = ask_who(w);
    assert_ended(r, COPAL_EAUTH);
    assert_non_null(strstr(r->text, "the peer does not know our credential"));
    assert_string_equal(who, "");
    assert_int_equal(w->server->edhoc->half_open_count, 0);
    assert_int_equal(w->server->edhoc->made_count, 0);
}

static void a_server_that_is_not_the_one_is_not_believed(void **state)
{
    struct world *w = *state;
    struct record *r;

    serve_who(w);
    make(&of_other, CP_P256, "somebody", "s"); /* by the right kid */
    assert_int_equal(
        give(w->client, "coap://server", 3, 2, &of_client, &of_other), 0);
    r = ask_who(w);
    assert_ended(r, COPAL_EAUTH);
    assert_non_null(strstr(r->text, "Authentication failed"));
    assert_int_equal(w->server->edhoc->half_open_count, 0); /* it was told */
}

static void a_server_without_edhoc_is_told_in_words(void **state)
{
    struct world *w = *state;
    struct record *r;

    restart(w, &w->server, "server");
    serve_who(w);
    r = ask_who(w);
    assert_ended(r, COPAL_EAUTH);
    assert_non_null(strstr(r->text, "EDHOC failed: answered by 4.04"));
    r = ask_who(w); /* each request tries anew */
    assert_ended(r, COPAL_EAUTH);
}

static void nobody_there_ends_what_waits(void **state)
{
    struct world *w = *state;
    struct record *r;

    copal_free(w->server);
    w->server = NULL;
    r = get(w, "coap://server/who");
    run(w, 120000);
    assert_true(r->ends == 1 && r->status != 0);
}

static void forgetting_takes_the_keys_along(void **state)
{
    struct world *w = *state;
    struct record *r;

    serve_who(w);
    assert_ended(ask_who(w), 0);
    assert_int_equal(copal_forget(w->server, "*"), 0);
    r = ask_who(w);
    assert_ended(r, COPAL_EAUTH);
    assert_int_equal(copal_forget(w->client, "coap://server"), 0);
    assert_true(copal_forget(w->client, "coap://server") < 0);
    r = ask_who(w);
    assert_ended(r, 0);
    assert_string_equal(who, "nobody");
}

/* ---- Messages made by hand ---- */

static struct record *post(struct world *w, copal *c, copal_bytes body,
                           int format)
{
    copal_msg *m = copal_msg_new(c, COPAL_POST);
    struct record *r = next_record(w);

    copal_msg_set_uri(m, "coap://server/.well-known/edhoc");
    copal_msg_set_payload(m, format, body);
    r->is_asked = true;
    r->exchange = copal_request(c, m, recording(r));
    r->is_begun = r->exchange != NULL;
    copal_msg_unref(m);
    run(w, 1000);
    return r;
}

/* A message 1 behind `true`, of method 3 and suite 2. */
static copal_bytes message_1(uint8_t out[64], uint8_t c_i)
{
    struct cp_buf b = cp_buf_fixed(out, 64);
    uint8_t secret[CP_CURVE_KEY];
    struct cp_public_key key;

    assert_int_equal(cp_curve_generate(CP_P256, secret, &key), 0);
    cp_put_u8(&b, 0xf5);
    cp_put_u8(&b, 3);
    cp_put_u8(&b, 2);
    cp_cbor_put_bytes(&b, cp_bytes(key.x, CP_CURVE_KEY));
    cp_put_u8(&b, c_i);
    return cp_bytes(out, b.len);
}

static void what_is_no_message_is_answered_by_an_error(void **state)
{
    static const struct {
        const char *body;
        size_t len;
        int format, code;
    } rows[] = {
        {"", 0, CP_EDHOC_CID_FORMAT, COPAL_BAD_REQUEST},
        {"\xf5", 1, CP_EDHOC_CID_FORMAT, COPAL_BAD_REQUEST},
        {"\xf5\x03\x02", 3, CP_EDHOC_CID_FORMAT, COPAL_BAD_REQUEST},
        {"\x05\x40", 2, CP_EDHOC_CID_FORMAT, COPAL_BAD_REQUEST},
        {"\xff\xff", 2, CP_EDHOC_CID_FORMAT, COPAL_BAD_REQUEST},
        {"\xf5\x03", 2, COPAL_JSON, COPAL_UNSUPPORTED_FORMAT},
    };
    struct world *w = *state;

    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct record *r = post(
            w, w->client, cp_bytes(rows[i].body, rows[i].len), rows[i].format);

        assert_ended(r, 0);
        assert_int_equal(r->code, rows[i].code);
        assert_int_equal(w->server->edhoc->half_open_count, 0);
    }
}

static void half_open_sessions_are_few_and_short_lived(void **state)
{
    struct world *w = *state;
    uint8_t body[64];

    tune(w->server, COPAL_P_MAX_EDHOC, 8);
    for (int i = 0; i < 40; i++) {
        struct record *r =
            post(w, w->client, message_1(body, 5), CP_EDHOC_CID_FORMAT);

        assert_int_equal(r->code, COPAL_CHANGED);
        assert_true(w->server->edhoc->half_open_count <= 8);
    }
    assert_int_equal(w->server->edhoc->half_open_count, 8);
    serve_who(w); /* who is there is through all the same */
    assert_ended(ask_who(w), 0);
    run(w, 31000);
    assert_int_equal(w->server->edhoc->half_open_count, 0);
}

/* T14: ten thousand first messages, of which nobody goes on with one. */
static void a_flood_of_first_messages_is_bounded(void **state)
{
    struct world *w = *state;
    copal_stats before = {.size = sizeof(before)}, after = before;
    struct identity of_r, of_i;
    uint8_t body[64];
    copal_bytes first;

    make(&of_r, CP_X25519, "the server", "r");
    make(&of_i, CP_X25519, "the client", "i");
    assert_int_equal(give(w->server, "*", 3, 0, &of_r, &of_i), 0);
    tune(w->client, COPAL_P_NSTART, 100);
    first = message_1(body, 5);
    body[2] = 0; /* the suite; any 32 bytes are a key of it */
    copal_get_stats(w->server, &before);
    for (int i = 0; i < 10000; i++) {
        copal_msg *m = copal_msg_new(w->client, COPAL_POST);

        copal_msg_set_uri(m, "coap://server/.well-known/edhoc");
        copal_msg_set_payload(m, CP_EDHOC_CID_FORMAT, first);
        copal_request(w->client, m, (copal_cb){0});
        copal_msg_unref(m);
        if (i % 50 == 49) {
            run(w, 100);
            assert_true(w->server->edhoc->half_open_count <= 64);
        }
    }
    copal_get_stats(w->server, &after);
    assert_int_equal(w->server->edhoc->half_open_count, 64);
    assert_true(after.limited - before.limited >= 9000);
    assert_true(after.memory - before.memory < 9 * 1024 * 1024);
    run(w, 31000);
    assert_int_equal(w->server->edhoc->half_open_count, 0);
}

static void what_is_given_wrong_is_told(void **state)
{
    struct world *w = *state;
    copal_edhoc keys = {0};
    uint8_t secret[32], credential[64];

    assert_int_equal(copal_use_edhoc(w->client, "*", NULL), COPAL_EINVAL);
    assert_int_equal(copal_use_edhoc(w->client, "*", &keys), COPAL_EINVAL);
    keys = (copal_edhoc){.size = sizeof(keys), .private_key = {NULL, 32}};
    assert_int_equal(copal_use_edhoc(w->client, "coap://h", &keys),
                     COPAL_EINVAL);
    assert_int_equal(copal_make_edhoc(2, bytes_of(""), bytes_of(""), secret,
                                      credential, sizeof(credential)),
                     COPAL_EINVAL);
    assert_int_equal(copal_make_edhoc(1, bytes_of("\xff"), bytes_of(""), secret,
                                      credential, sizeof(credential)),
                     COPAL_EINVAL);
    assert_int_equal(copal_make_edhoc(1, bytes_of(""), bytes_of(""), secret,
                                      credential, sizeof(credential)),
                     COPAL_ELIMIT);
    assert_int_equal(copal_make_edhoc(4, bytes_of("me"), bytes_of("k"), secret,
                                      credential, sizeof(credential)),
                     51);
}

static void nobody_else_ends_a_session(void **state)
{
    struct world *w = *state;
    uint8_t body[64], forged[4];
    copal *other = add_host(w, "other");

    assert_int_equal(
        post(w, w->client, message_1(body, 5), CP_EDHOC_CID_FORMAT)->code,
        COPAL_CHANGED);
    for (int id = 0; id < 256; id++) { /* a message 3 for each */
        struct cp_buf b = cp_buf_fixed(forged, sizeof(forged));
        uint8_t cid = (uint8_t)id;
        copal_msg *m = copal_msg_new(other, COPAL_POST);

        cp_edhoc_put_cid(&b, cp_bytes(&cid, 1));
        cp_put_u8(&b, 0x40);
        copal_msg_set_uri(m, "coap://server/.well-known/edhoc");
        copal_msg_set_payload(m, CP_EDHOC_CID_FORMAT, cp_bytes(forged, b.len));
        copal_request(other, m, (copal_cb){0});
        copal_msg_unref(m);
        run(w, 100);
    }
    assert_int_equal(w->server->edhoc->half_open_count, 1);
    copal_free(other);
}

static void who_begins_often_keeps_nobody_from_keys(void **state)
{
    struct world *w = *state;
    copal *other = add_host(w, "other");
    copal_sim_path slow = {.delay = 500};
    struct record *r;
    uint8_t body[64];

    tune(w->server, COPAL_P_MAX_EDHOC, 8);
    tune(other, COPAL_P_NSTART, 100);
    serve_who(w);
    copal_sim_set_path(w->sim, "client", "server", slow);
    copal_sim_set_path(w->sim, "server", "client", slow);
    r = get(w, "coap://server/who");
    run(w, 600); /* message 1 is there, message 3 is not */
    for (int i = 0; i < 40; i++) {
        copal_msg *m = copal_msg_new(other, COPAL_POST);

        copal_msg_set_uri(m, "coap://server/.well-known/edhoc");
        copal_msg_set_payload(m, CP_EDHOC_CID_FORMAT, message_1(body, 5));
        copal_request(other, m, (copal_cb){0});
        copal_msg_unref(m);
    }
    run(w, 100);
    assert_int_equal(w->server->edhoc->half_open_count, 8);
    run(w, 5000);
    assert_ended(r, 0);
    assert_string_equal(r->payload, "hello");
    copal_free(other);
}

/* RFC 9528 9.6: from half of them on. */
static void under_load_who_asks_has_to_be_there(void **state)
{
    struct world *w = *state;
    uint8_t body[64];
    struct record *r;
    copal_msg *m;

    tune(w->server, COPAL_P_GUARD_LOOPBACK, 1);
    tune(w->server, COPAL_P_MAX_EDHOC, 8);
    for (int i = 0; i < 4; i++) {
        r = post(w, w->client, message_1(body, 5), CP_EDHOC_CID_FORMAT);
        assert_int_equal(r->code, COPAL_CHANGED);
    }
    /* copal brings the Echo back, unless it is told not to. */
    m = copal_msg_new(w->client, COPAL_POST);
    copal_msg_set_uri(m, "coap://server/.well-known/edhoc");
    copal_msg_set_payload(m, CP_EDHOC_CID_FORMAT, message_1(body, 5));
    copal_msg_add(m, COPAL_OPT_ECHO, bytes_of("x"));
    r = next_record(w);
    r->is_asked = true;
    r->exchange = copal_request(w->client, m, recording(r));
    r->is_begun = r->exchange != NULL;
    copal_msg_unref(m);
    run(w, 1000);
    assert_int_equal(r->code, COPAL_UNAUTHORIZED);
    assert_int_equal(w->server->edhoc->half_open_count, 4);
    r = post(w, w->client, message_1(body, 5), CP_EDHOC_CID_FORMAT);
    assert_int_equal(r->code, COPAL_CHANGED);
    assert_int_equal(w->server->edhoc->half_open_count, 5);
}

static void contexts_of_many_peers_are_bounded(void **state)
{
    struct world *w = *state;
    struct identity others[6];

    serve_who(w);
    tune(w->server, COPAL_P_MAX_CONTEXTS, 3);
    for (int i = 0; i < 6; i++) {
        char sub[16], kid[2] = {(char)('A' + i), 0};

        snprintf(sub, sizeof(sub), "peer %d", i);
        make(&others[i], CP_P256, sub, kid);
        restart(w, &w->client, "client");
        assert_int_equal(
            give(w->client, "coap://server", 3, 2, &others[i], &of_server), 0);
        assert_int_equal(
            copal_use_edhoc(
                w->server, "*",
                &(copal_edhoc){.size = sizeof(copal_edhoc),
                               .peer_credential = cred_of(&others[i])}),
            0);
        assert_ended(ask_who(w), 0);
        assert_string_equal(who, sub);
        assert_true(w->server->edhoc->made_count <= 3);
    }
}

/* ---- Weather and memory ---- */

static void play_keyed(struct world *w)
{
    struct record *r;

    if (give(w->client, "coap://server", 3, 2, &of_client, &of_server) != 0 ||
        give(w->server, "*", 3, 2, &of_server, &of_client) != 0)
        return;
    copal_serve(w->server, COPAL_GET, "/who", 0, COPAL_CB(note_identity, NULL));
    r = get(w, "coap://server/who");
    run(w, 300000);
    if (r->ends == 1 && r->code == COPAL_CONTENT)
        assert_string_equal(r->payload, "hello");
}

static void what_gets_lost_comes_again(void **state)
{
    (void)state;
    make(&of_client, CP_P256, "the client", "c");
    make(&of_server, CP_P256, "the server", "s");
    bad_weather(play_keyed, seeds_or(10));
}

static void memory_may_run_out_anywhere(void **state)
{
    (void)state;
    make(&of_client, CP_P256, "the client", "c");
    make(&of_server, CP_P256, "the server", "s");
    for_each_failed_allocation(play_keyed);
}

#define KEYED(f) cmocka_unit_test_setup_teardown(f, build_keyed, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        KEYED(the_first_request_brings_keys_and_is_sealed),
        KEYED(requests_that_wait_share_one_handshake),
        KEYED(every_method_keys_a_request),
        KEYED(a_suite_is_agreed_upon),
        KEYED(a_protected_resource_is_open_to_who_is_proven),
        KEYED(an_observation_is_keyed_like_any_request),
        KEYED(credentials_by_value_are_sent_in_blocks_if_need_be),
        KEYED(a_server_that_lost_its_keys_is_keyed_again),
        KEYED(a_client_that_lost_its_keys_asks_for_others),
        KEYED(who_is_not_known_gets_no_keys),
        KEYED(a_server_that_is_not_the_one_is_not_believed),
        KEYED(a_server_without_edhoc_is_told_in_words),
        KEYED(nobody_there_ends_what_waits),
        KEYED(forgetting_takes_the_keys_along),
        KEYED(what_is_no_message_is_answered_by_an_error),
        KEYED(half_open_sessions_are_few_and_short_lived),
        KEYED(who_begins_often_keeps_nobody_from_keys),
        KEYED(a_flood_of_first_messages_is_bounded),
        KEYED(what_is_given_wrong_is_told),
        KEYED(nobody_else_ends_a_session),
        KEYED(under_load_who_asks_has_to_be_there),
        KEYED(contexts_of_many_peers_are_bounded),
        cmocka_unit_test_setup_teardown(
            the_last_message_goes_along_with_the_first_request, build_combined,
            tear_down),
        cmocka_unit_test_setup_teardown(those_behind_it_wait_for_its_answer,
                                        build_combined, tear_down),
        cmocka_unit_test_setup_teardown(
            who_is_not_known_is_told_by_the_first_request, build_combined,
            tear_down),
        KEYED(an_edhoc_option_without_what_it_is_about_is_refused),
        cmocka_unit_test(what_goes_along_gets_lost_and_comes_again),
        cmocka_unit_test(memory_may_run_out_there_too),
        cmocka_unit_test(what_gets_lost_comes_again),
        cmocka_unit_test(memory_may_run_out_anywhere),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
