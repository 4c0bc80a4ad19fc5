/* engine/cache: what a client keeps and what it may do with it, RFC 7252 5.6;
 * engine/held_back: the requests that a 4.29 forbids, RFC 8516. */
#include "bodies.h"
#include "support.h"

#define URI "coap://server/t"

/* ---- The server ---- */

struct value {
    const char *text, *etag;
    int64_t max_age; /* s; -1: not told */
    int code;
    size_t size; /* of a long body in place of text */
    int gets, etags;
    const char *location;
};

static copal_bytes text_bytes(const char *text)
{
    return (copal_bytes){(const uint8_t *)text, strlen(text)};
}

static void answer_value(const copal_event *ev, void *user)
{
    static uint8_t body[8192];
    struct value *v = user;
    copal_msg *m;

    if (ev->kind != COPAL_REQUEST)
        return;
    v->gets++;
    v->etags = 0;
    while (copal_msg_value(ev->msg, COPAL_OPT_ETAG, (size_t)v->etags, NULL) ==
           0)
        v->etags++;
    m = copal_msg_new(copal_exchange_endpoint(ev->exchange), v->code);
    if (v->max_age >= 0)
        copal_msg_add_uint(m, COPAL_OPT_MAX_AGE, (uint32_t)v->max_age);
    if (v->etag != NULL)
        copal_msg_add_text(m, COPAL_OPT_ETAG, v->etag);
    if (v->location != NULL)
        copal_msg_add_text(m, COPAL_OPT_LOCATION_PATH, v->location);
    copal_msg_set_payload(m, COPAL_TEXT,
                          v->size > 0 ? (copal_bytes){body, v->size}
                                      : text_bytes(v->text));
    copal_respond(ev->exchange, m);
    copal_msg_unref(m);
}

static void serve_at(struct world *w, struct value *v, const char *path)
{
    if (v->code == 0)
        v->code = COPAL_CONTENT;
    if (w->server != NULL)
        copal_serve(w->server, 0, path, COPAL_OBSERVABLE,
                    COPAL_CB(answer_value, v));
    if (w->client != NULL)
        copal_tune(w->client, NULL, COPAL_P_CACHE_MEMORY, 65536);
}

static void serve_value(struct world *w, struct value *v)
{
    serve_at(w, v, "/t");
}

/* ---- The client ---- */

/* What it heard last, "2.05 text", and how often. */
struct heard {
    char text[64];
    int responses, ends, status;
    int64_t max_age;
    size_t len;
};

static void hear(const copal_event *ev, void *user)
{
    struct heard *h = user;

    if (ev->kind == COPAL_RESPONSE) {
        copal_bytes body = copal_msg_payload(ev->msg);

        h->responses++;
        h->max_age = copal_msg_uint(ev->msg, COPAL_OPT_MAX_AGE);
        h->len = body.len;
        snprintf(h->text, sizeof(h->text), "%.4s %.*s",
                 copal_name(COPAL_CODES, copal_msg_code(ev->msg)),
                 body.len < 40 ? (int)body.len : 40,
                 body.len == 0 ? "" : (const char *)body.data);
    } else if (ev->kind == COPAL_END) {
        h->ends++;
        h->status = ev->status;
    }
}

static copal_msg *request(struct world *w, int code, const char *uri)
{
    copal_msg *m = copal_msg_new(w->client, code);

    copal_msg_set_uri(m, uri);
    return m;
}

/* Sends m, which is unref'd, waits a second, and gives what it heard. */
static struct heard *answer_to(struct world *w, copal_msg *m)
{
    static struct heard h;

    h = (struct heard){.status = 1};
    copal_request(w->client, m, COPAL_CB(hear, &h));
    copal_msg_unref(m);
    assert_int_equal(h.responses, 0); /* never before the call returned */
    copal_sim_run(w->sim, 1000);
    assert_int_equal(h.responses, 1);
    assert_int_equal(h.ends, 1);
    assert_int_equal(h.status, 0);
    return &h;
}

static struct heard *ask_for(struct world *w, int code, const char *uri)
{
    return answer_to(w, request(w, code, uri));
}

static const char *got(struct world *w)
{
    return ask_for(w, COPAL_GET, URI)->text;
}

static void wait_s(struct world *w, unsigned seconds)
{
    copal_sim_run(w->sim, 1000ull * seconds);
}

/* ---- Fresh ---- */

static void without_memory_for_it_nothing_is_kept(void **state)
{
    struct world *w = *state;
    struct value v = {.text = "1", .max_age = 60};

    serve_value(w, &v);
    copal_tune(w->client, NULL, COPAL_P_CACHE_MEMORY, 0);
    got(w);
    got(w);
    assert_int_equal(v.gets, 2);
}

static void a_fresh_answer_is_given_without_a_datagram(void **state)
{
    struct world *w = *state;
    struct value v = {.text = "1", .max_age = 10};
    struct heard *h;

    serve_value(w, &v);
    assert_string_equal(got(w), "2.05 1");
    v.text = "2";
    wait_s(w, 4);
    h = ask_for(w, COPAL_GET, URI);
    assert_string_equal(h->text, "2.05 1");
    assert_int_equal(h->max_age, 5); /* what is left of it */
    assert_int_equal(v.gets, 1);
    assert_int_equal(count_in_transcript(w, " > "), 2);
}

static void after_max_age_it_is_asked_again(void **state)
{
    struct world *w = *state;
    struct value v = {.text = "1", .max_age = 10};

    serve_value(w, &v);
    got(w);
    v.text = "2";
    wait_s(w, 10);
    assert_string_equal(got(w), "2.05 2");
    assert_int_equal(v.gets, 2);
}

static void without_max_age_it_is_fresh_for_a_minute(void **state)
{
    struct world *w = *state;
    struct value v = {.text = "1", .max_age = -1};

    serve_value(w, &v);
    got(w);
    wait_s(w, 58);
    got(w);
    assert_int_equal(v.gets, 1);
    wait_s(w, 1);
    got(w);
    assert_int_equal(v.gets, 2);
}

static void with_max_age_0_it_is_asked_each_time(void **state)
{
    struct world *w = *state;
    struct value v = {.text = "1", .max_age = 0};

    serve_value(w, &v);
    got(w);
    got(w);
    assert_int_equal(v.gets, 2);
}

static void no_cache_asks_and_keeps_what_comes(void **state)
{
    struct world *w = *state;
    struct value v = {.text = "1", .max_age = 60, .etag = "a"};
    copal_msg *m = request(w, COPAL_GET, URI);

    serve_value(w, &v);
    got(w);
    v.text = "2";
    copal_msg_set_flags(m, COPAL_NO_CACHE);
    assert_string_equal(answer_to(w, m)->text, "2.05 2");
    assert_int_equal(v.etags, 0);
    assert_string_equal(got(w), "2.05 2");
    assert_int_equal(v.gets, 2);
}

static void errors_are_kept_too(void **state)
{
    struct world *w = *state;
    struct value v = {.text = "no", .max_age = 5, .code = COPAL_NOT_FOUND};

    serve_value(w, &v);
    got(w);
    assert_string_equal(got(w), "4.04 no");
    assert_int_equal(v.gets, 1);
    wait_s(w, 5);
    v.code = COPAL_CONTENT;
    assert_string_equal(got(w), "2.05 no");
}

static void a_long_body_is_kept_whole(void **state)
{
    struct world *w = *state;
    struct value v = {.size = 5000, .max_age = 60};

    serve_value(w, &v);
    assert_int_equal(ask_for(w, COPAL_GET, URI)->len, 5000);
    assert_int_equal(ask_for(w, COPAL_GET, URI)->len, 5000);
    assert_int_equal(v.gets, 1);
}

static void a_stream_is_neither_kept_nor_answered(void **state)
{
    struct world *w = *state;
    struct value v = {.text = "1", .max_age = 60};
    copal_msg *m = request(w, COPAL_GET, URI);

    serve_value(w, &v);
    copal_msg_set_flags(m, COPAL_STREAM_IN);
    answer_to(w, copal_msg_ref(m));
    got(w);
    answer_to(w, m);
    assert_int_equal(v.gets, 3);
}

/* ---- The key ---- */

static void another_request_has_another_answer(void **state)
{
    struct world *w = *state;
    struct value v = {.text = "1", .max_age = 60};
    copal_msg *m = request(w, COPAL_GET, URI);

    serve_value(w, &v);
    got(w);
    copal_msg_add_uint(m, COPAL_OPT_ACCEPT, COPAL_TEXT);
    answer_to(w, m);
    ask_for(w, COPAL_GET, URI "?q");
    ask_for(w, COPAL_FETCH, URI);
    assert_int_equal(v.gets, 4);
    ask_for(w, COPAL_GET, URI "?q");
    assert_int_equal(v.gets, 4);
}

static void what_does_not_belong_to_the_key_does_not_count(void **state)
{
    struct world *w = *state;
    struct value v = {.text = "1", .max_age = 60};
    copal_msg *m = request(w, COPAL_GET, URI);

    serve_value(w, &v);
    got(w);
    copal_msg_add_uint(m, 60, 7);   /* Size1 is NoCacheKey */
    copal_msg_add_uint(m, 2108, 7); /* and so is whatever this may be */
    answer_to(w, m);
    assert_int_equal(v.gets, 1);
}

/* RFC 8132 2: a FETCH's payload is part of its key. */
static void a_fetch_is_known_by_its_payload(void **state)
{
    struct world *w = *state;
    struct value v = {.text = "1", .max_age = 60};
    static const char *const bodies[] = {"a", "b", "a", "b"};

    serve_value(w, &v);
    for (size_t i = 0; i < 4; i++) {
        copal_msg *m = request(w, COPAL_FETCH, URI);

        copal_msg_set_payload(m, COPAL_TEXT, text_bytes(bodies[i]));
        answer_to(w, m);
    }
    assert_int_equal(v.gets, 2);
}

static void another_server_has_another_answer(void **state)
{
    struct world *w = *state;
    struct value v = {.text = "1", .max_age = 60}, v2 = {.text = "2"};
    copal *other = add_host(w, "other");

    serve_value(w, &v);
    v2.code = COPAL_CONTENT;
    copal_serve(other, 0, "/t", 0, COPAL_CB(answer_value, &v2));
    got(w);
    assert_string_equal(ask_for(w, COPAL_GET, "coap://other/t")->text,
                        "2.05 2");
}

/* ---- Validation ---- */

/* RFC 7252 5.6.2. */
static void what_has_an_etag_is_validated(void **state)
{
    struct world *w = *state;
    struct value v = {.text = "1", .max_age = 10, .etag = "a"};
    struct heard *h;

    serve_value(w, &v);
    got(w);
    wait_s(w, 10);
    v.max_age = 20;
    h = ask_for(w, COPAL_GET, URI);
    assert_string_equal(h->text, "2.05 1");
    assert_int_equal(h->max_age, 20);
    assert_int_equal(v.etags, 1);
    assert_int_equal(count_in_transcript(w, "2.03"), 1);
    wait_s(w, 15); /* fresh again, for the new time */
    got(w);
    assert_int_equal(v.gets, 2);
}

static void a_new_representation_takes_the_old_ones_place(void **state)
{
    struct world *w = *state;
    struct value v = {.text = "1", .max_age = 10, .etag = "a"};

    serve_value(w, &v);
    got(w);
    wait_s(w, 10);
    v.text = "2";
    v.etag = "b";
    assert_string_equal(got(w), "2.05 2");
    assert_string_equal(got(w), "2.05 2");
    assert_int_equal(v.gets, 2);
}

static void one_that_comes_back_is_known_by_its_etag(void **state)
{
    struct world *w = *state;
    struct value v = {.text = "1", .max_age = 10, .etag = "a"};

    serve_value(w, &v);
    got(w);
    wait_s(w, 10);
    v.text = "2";
    v.etag = "b";
    got(w);
    wait_s(w, 10);
    v.text = "1";
    v.etag = "a";
    assert_string_equal(got(w), "2.05 1");
    assert_int_equal(v.etags, 2);
    assert_int_equal(count_in_transcript(w, "2.03"), 1);
    assert_string_equal(got(w), "2.05 1");
    assert_int_equal(v.gets, 3);
}

static void no_more_than_four_etags_are_offered(void **state)
{
    static const char *const etags[] = {"a", "b", "c", "d", "e", "f"};
    struct world *w = *state;
    struct value v = {.text = "1", .max_age = 1};

    serve_value(w, &v);
    for (size_t i = 0; i < 6; i++) {
        v.etag = etags[i];
        got(w);
        wait_s(w, 1);
    }
    assert_int_equal(v.etags, 4);
    v.etag = "b"; /* which has given way by now */
    got(w);
    assert_int_equal(count_in_transcript(w, "2.03"), 0);
}

/* The user who validates sees 2.03, from the server or from here. */
static void the_users_own_etag_is_the_users(void **state)
{
    struct world *w = *state;
    struct value v = {.text = "1", .max_age = 10, .etag = "a"};
    copal_msg *m = request(w, COPAL_GET, URI);
    struct heard *h;

    serve_value(w, &v);
    got(w);
    copal_msg_add_text(m, COPAL_OPT_ETAG, "a");
    h = answer_to(w, copal_msg_ref(m));
    assert_string_equal(h->text, "2.03 ");
    assert_int_equal(h->max_age, 9);
    assert_int_equal(v.gets, 1);
    wait_s(w, 10);
    assert_string_equal(answer_to(w, m)->text, "2.03 ");
    assert_int_equal(v.gets, 2);
    assert_string_equal(got(w), "2.05 1"); /* which made it fresh again */
    assert_int_equal(v.gets, 2);
}

static void a_kept_one_that_gave_way_meanwhile_is_still_shown(void **state)
{
    struct world *w = *state;
    struct value v = {.text = "1", .max_age = 1, .etag = "a"};
    static struct heard h;

    serve_value(w, &v);
    got(w);
    wait_s(w, 1);
    h = (struct heard){0};
    copal_get(w->client, URI, COPAL_CB(hear, &h));
    copal_tune(w->client, NULL, COPAL_P_CACHE_MEMORY, 1);
    copal_sim_run(w->sim, 1000);
    assert_string_equal(h.text, "2.05 1");
    assert_int_equal(count_in_transcript(w, "2.03"), 1);
}

/* ---- Changes ---- */

static void assert_spoils(struct world *w, int method, int code)
{
    static struct value v;

    v = (struct value){.text = "1", .max_age = 60};
    serve_value(w, &v);
    got(w);
    v.code = code;
    ask_for(w, method, URI);
    v.code = COPAL_CONTENT;
    v.text = "2";
    assert_string_equal(got(w), "2.05 2");
    copal_unserve(w->server, "/t");
}

static void a_change_by_this_client_spoils_what_is_kept(void **state)
{
    struct world *w = *state;

    assert_spoils(w, COPAL_PUT, COPAL_CHANGED);
    w = *state;
    copal_sim_run(w->sim, 60000);
    assert_spoils(w, COPAL_POST, COPAL_CREATED);
    copal_sim_run(w->sim, 60000);
    assert_spoils(w, COPAL_DELETE, COPAL_DELETED);
    copal_sim_run(w->sim, 60000);
    assert_spoils(w, COPAL_IPATCH, COPAL_CHANGED);
}

static void a_refused_change_spoils_nothing(void **state)
{
    struct world *w = *state;
    struct value v = {.text = "1", .max_age = 60};

    serve_value(w, &v);
    got(w);
    v.code = COPAL_FORBIDDEN;
    ask_for(w, COPAL_PUT, URI);
    got(w);
    assert_int_equal(v.gets, 2);
}

static void a_change_without_answer_may_have_happened(void **state)
{
    struct world *w = *state;
    struct value v = {.text = "1", .max_age = 6000};
    static struct heard h;
    copal_msg *m = request(w, COPAL_PUT, URI);

    serve_value(w, &v);
    got(w);
    copal_msg_tune(m, COPAL_P_TIMEOUT, 500);
    copal_sim_lose(w->sim, "server", 1);
    h = (struct heard){0};
    copal_request(w->client, m, COPAL_CB(hear, &h));
    copal_msg_unref(m);
    wait_s(w, 1);
    assert_int_equal(h.status, COPAL_ETIMEOUT);
    got(w);
    assert_int_equal(v.gets, 3);
}

static void where_the_new_one_is_nothing_is_fresh(void **state)
{
    struct world *w = *state;
    struct value v = {.text = "1", .max_age = 60};
    struct value made = {.text = "", .code = COPAL_CREATED, .location = "t"};

    serve_at(w, &made, "/make");
    serve_value(w, &v);
    got(w);
    ask_for(w, COPAL_POST, "coap://server/make");
    got(w);
    assert_int_equal(v.gets, 2);
}

/* The GET was answered before the PUT, and its answer comes after. */
static void an_answer_from_before_a_change_is_not_kept(void **state)
{
    struct world *w = *state;
    struct value v = {.text = "1", .max_age = 60};
    static struct heard h;

    serve_value(w, &v);
    copal_tune(w->client, NULL, COPAL_P_NSTART, 2);
    copal_sim_set_path(w->sim, NULL, NULL, (copal_sim_path){.delay = 10});
    h = (struct heard){0};
    copal_get(w->client, URI, COPAL_CB(hear, &h));
    copal_sim_run(w->sim, 5);
    copal_sim_set_path(w->sim, "server", NULL, (copal_sim_path){.delay = 500});
    copal_sim_run(w->sim, 10);
    copal_sim_set_path(w->sim, "server", NULL, (copal_sim_path){0});
    v.code = COPAL_CHANGED;
    ask_for(w, COPAL_PUT, URI);
    v.code = COPAL_CONTENT;
    wait_s(w, 1);
    assert_string_equal(h.text, "2.05 1");
    got(w);
    assert_int_equal(v.gets, 3);
}

/* ---- Observing ---- */

/* RFC 7641 3.1, 3.4: a notification is a response like any other. */
static void notifications_are_kept(void **state)
{
    struct world *w = *state;
    struct value v = {.text = "1", .max_age = 60};
    static struct heard h;

    serve_value(w, &v);
    h = (struct heard){0};
    copal_observe(w->client, URI, COPAL_CB(hear, &h));
    wait_s(w, 1);
    assert_string_equal(got(w), "2.05 1");
    v.text = "2";
    copal_notify(w->server, "/t");
    wait_s(w, 1);
    assert_int_equal(h.responses, 2);
    assert_string_equal(got(w), "2.05 2");
    assert_int_equal(v.gets, 2);
}

static void who_observes_asks_whatever_is_kept(void **state)
{
    struct world *w = *state;
    struct value v = {.text = "1", .max_age = 60};
    static struct heard h;

    serve_value(w, &v);
    got(w);
    h = (struct heard){0};
    copal_observe(w->client, URI, COPAL_CB(hear, &h));
    wait_s(w, 1);
    assert_int_equal(h.responses, 1);
    assert_int_equal(h.ends, 0);
    assert_int_equal(v.gets, 2);
}

/* ---- Bounds ---- */

static void what_was_used_longest_ago_gives_way(void **state)
{
    struct world *w = *state;
    struct value v = {.size = 1000, .max_age = 600};
    char uri[64];
    copal_stats stats = {.size = sizeof(stats)};

    serve_at(w, &v, "/many/{n}");
    copal_tune(w->client, NULL, COPAL_P_CACHE_MEMORY, 16384);
    for (int i = 0; i < 40; i++) {
        snprintf(uri, sizeof(uri), "coap://server/many/%d", i);
        ask_for(w, COPAL_GET, uri);
        ask_for(w, COPAL_GET, "coap://server/many/0");
    }
    assert_int_equal(v.gets, 40);
    ask_for(w, COPAL_GET, "coap://server/many/39");
    assert_int_equal(v.gets, 40);
    ask_for(w, COPAL_GET, "coap://server/many/1");
    assert_int_equal(v.gets, 41);
    copal_get_stats(w->client, &stats);
    assert_in_range(stats.memory, 8192, 65536);
}

static void less_memory_gives_up_at_once(void **state)
{
    struct world *w = *state;
    struct value v = {.size = 5000, .max_age = 600};
    copal_stats before = {.size = sizeof(before)}, after = before;

    serve_value(w, &v);
    got(w);
    copal_get_stats(w->client, &before);
    copal_tune(w->client, NULL, COPAL_P_CACHE_MEMORY, 0);
    copal_sim_run(w->sim, 1);
    copal_get_stats(w->client, &after);
    assert_true(after.memory + 5000 <= before.memory);
}

static void what_is_too_large_is_not_kept_and_counted(void **state)
{
    struct world *w = *state;
    struct value v = {.size = 5000, .max_age = 600};
    copal_stats stats = {.size = sizeof(stats)};

    serve_value(w, &v);
    copal_tune(w->client, NULL, COPAL_P_CACHE_MEMORY, 4096);
    got(w);
    got(w);
    assert_int_equal(v.gets, 2);
    copal_get_stats(w->client, &stats);
    assert_int_equal(stats.limited, 2);
}

static void play_cached(struct world *w)
{
    static struct value v;

    v = (struct value){.size = 2000, .max_age = 2, .etag = "a"};
    serve_value(w, &v);
    get(w, URI);
    copal_sim_run(w->sim, 1000);
    get(w, URI);
    copal_sim_run(w->sim, 3000);
    get(w, URI);
    copal_sim_run(w->sim, 100000);
    v.code = COPAL_CHANGED;
    ask(w, w->client, COPAL_PUT, URI, "x");
    copal_sim_run(w->sim, 100000);
    v.code = COPAL_TOO_MANY_REQUESTS;
    get(w, URI);
    copal_sim_run(w->sim, 1000);
    get(w, URI);
    copal_sim_run(w->sim, 100000);
}

static void it_survives_every_failed_allocation(void **state)
{
    (void)state;
    for_each_failed_allocation(play_cached);
}

static void it_survives_bad_weather(void **state)
{
    (void)state;
    bad_weather(play_cached, 50);
}

/* ---- 4.29 ---- */

/* RFC 8516 4. */
static void after_4_29_the_request_is_not_sent_before_max_age(void **state)
{
    struct world *w = *state;
    struct value v = {
        .text = "slowly", .max_age = 10, .code = COPAL_TOO_MANY_REQUESTS};
    struct heard *h;

    serve_value(w, &v);
    copal_tune(w->client, NULL, COPAL_P_CACHE_MEMORY, 0);
    assert_string_equal(got(w), "4.29 slowly");
    v.code = COPAL_CONTENT;
    wait_s(w, 4);
    h = ask_for(w, COPAL_GET, URI);
    assert_string_equal(h->text, "4.29 slowly");
    assert_int_equal(h->max_age, 5);
    assert_int_equal(v.gets, 1);
    wait_s(w, 4);
    assert_string_equal(got(w), "2.05 slowly");
    assert_string_equal(got(w), "2.05 slowly");
    assert_int_equal(v.gets, 3);
}

/* Similar is what has the same method and URI: RFC 8516 1. */
static void what_is_not_similar_is_sent(void **state)
{
    struct world *w = *state;
    struct value v = {.text = "", .max_age = -1};
    copal_msg *m = request(w, COPAL_GET, URI);

    v.code = COPAL_TOO_MANY_REQUESTS;
    serve_value(w, &v);
    ask_for(w, COPAL_GET, URI);
    v.code = COPAL_CHANGED;
    ask_for(w, COPAL_POST, URI);
    ask_for(w, COPAL_GET, URI "?q=1");
    assert_int_equal(v.gets, 3);
    copal_msg_add_uint(m, COPAL_OPT_ACCEPT, COPAL_CBOR);
    assert_string_equal(answer_to(w, m)->text, "4.29 ");
    assert_int_equal(v.gets, 3);
    wait_s(w, 54);
    ask_for(w, COPAL_GET, URI);
    assert_int_equal(v.gets, 3); /* 60 s where Max-Age is not told */
    wait_s(w, 2);
    ask_for(w, COPAL_GET, URI);
    assert_int_equal(v.gets, 4);
}

static void no_cache_asks_against_a_4_29(void **state)
{
    struct world *w = *state;
    struct value v = {.text = "", .max_age = 60};
    copal_msg *m = request(w, COPAL_GET, URI);

    v.code = COPAL_TOO_MANY_REQUESTS;
    serve_value(w, &v);
    copal_tune(w->client, NULL, COPAL_P_CACHE_MEMORY, 0);
    got(w);
    v.code = COPAL_CONTENT;
    copal_msg_set_flags(m, COPAL_NO_CACHE);
    assert_string_equal(answer_to(w, m)->text, "2.05 ");
    assert_string_equal(got(w), "2.05 "); /* and it is forgotten */
    assert_int_equal(v.gets, 3);
}

static void of_many_4_29_the_oldest_are_forgotten(void **state)
{
    struct world *w = *state;
    struct value v = {.text = "", .max_age = 100000};
    copal_stats stats = {.size = sizeof(stats)};
    char uri[64];

    v.code = COPAL_TOO_MANY_REQUESTS;
    serve_at(w, &v, "/many/{n}");
    copal_tune(w->client, NULL, COPAL_P_CACHE_MEMORY, 0);
    for (int i = 0; i < 260; i++) {
        snprintf(uri, sizeof(uri), "coap://server/many/%d", i);
        ask_for(w, COPAL_GET, uri);
    }
    copal_get_stats(w->client, &stats);
    assert_int_equal(stats.limited, 4);
    ask_for(w, COPAL_GET, "coap://server/many/4");
    assert_int_equal(v.gets, 260);
    ask_for(w, COPAL_GET, "coap://server/many/3");
    assert_int_equal(v.gets, 261);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, build, tear_down)

static void note_trace(const copal_event *ev, void *user)
{
    char *lines = user;

    if (strstr(ev->text, "\"ev\":\"cache") != NULL ||
        strstr(ev->text, "\"ev\":\"held") != NULL)
        snprintf(lines + strlen(lines), 512 - strlen(lines), "%s\n", ev->text);
}

static void trace_tells_what_was_not_sent(void **state)
{
    struct world *w = *state;
    struct value v = {.text = "1", .max_age = 2, .etag = "a"};
    static char lines[512];

    serve_value(w, &v);
    copal_trace(w->client, COPAL_TRACE_STATE, COPAL_CB(note_trace, lines));
    got(w);
    got(w);
    got(w);
    v.code = COPAL_TOO_MANY_REQUESTS;
    v.etag = NULL;
    wait_s(w, 2);
    got(w);
    got(w);
    assert_string_equal(
        lines, "{\"t\":1000,\"ev\":\"cache_fresh\",\"what\":\"" URI "\"}\n"
               "{\"t\":2000,\"ev\":\"cache_valid\",\"what\":\"" URI "\"}\n"
               "{\"t\":6000,\"ev\":\"held_back\",\"what\":\"" URI "\"}\n");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(without_memory_for_it_nothing_is_kept),
        TEST(a_fresh_answer_is_given_without_a_datagram),
        TEST(after_max_age_it_is_asked_again),
        TEST(without_max_age_it_is_fresh_for_a_minute),
        TEST(with_max_age_0_it_is_asked_each_time),
        TEST(no_cache_asks_and_keeps_what_comes),
        TEST(errors_are_kept_too),
        TEST(a_long_body_is_kept_whole),
        TEST(a_stream_is_neither_kept_nor_answered),
        TEST(another_request_has_another_answer),
        TEST(what_does_not_belong_to_the_key_does_not_count),
        TEST(a_fetch_is_known_by_its_payload),
        TEST(another_server_has_another_answer),
        TEST(what_has_an_etag_is_validated),
        TEST(a_new_representation_takes_the_old_ones_place),
        TEST(one_that_comes_back_is_known_by_its_etag),
        TEST(no_more_than_four_etags_are_offered),
        TEST(the_users_own_etag_is_the_users),
        TEST(a_kept_one_that_gave_way_meanwhile_is_still_shown),
        TEST(a_change_by_this_client_spoils_what_is_kept),
        TEST(a_refused_change_spoils_nothing),
        TEST(a_change_without_answer_may_have_happened),
        TEST(where_the_new_one_is_nothing_is_fresh),
        TEST(an_answer_from_before_a_change_is_not_kept),
        TEST(notifications_are_kept),
        TEST(who_observes_asks_whatever_is_kept),
        TEST(what_was_used_longest_ago_gives_way),
        TEST(less_memory_gives_up_at_once),
        TEST(what_is_too_large_is_not_kept_and_counted),
        cmocka_unit_test(it_survives_every_failed_allocation),
        cmocka_unit_test(it_survives_bad_weather),
        TEST(after_4_29_the_request_is_not_sent_before_max_age),
        TEST(what_is_not_similar_is_sent),
        TEST(no_cache_asks_against_a_4_29),
        TEST(of_many_4_29_the_oldest_are_forgotten),
        TEST(trace_tells_what_was_not_sent),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
