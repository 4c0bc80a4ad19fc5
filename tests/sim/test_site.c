/* serve/site: what a path and a method lead to, conditions, and the list of
 * links at /.well-known/core. */
#include "support.h"
#include "wire/links.h"
#include <jansson.h>
#include <stdlib.h>

static copal_bytes text_bytes(const char *text)
{
    return (copal_bytes){(const uint8_t *)text, strlen(text)};
}

static void answer_nothing(const copal_event *ev, void *user)
{
    int *calls = user;

    if (ev->kind != COPAL_REQUEST)
        return;
    *calls += 1;
    copal_reply(ev->exchange, COPAL_CHANGED, COPAL_NO_FORMAT, (copal_bytes){0});
}

/* A request for path of the server, to be amended and sent. */
static copal_msg *request_for(struct world *w, int code, const char *path)
{
    char uri[128];
    copal_msg *m = copal_msg_new(w->client, code);

    snprintf(uri, sizeof(uri), "coap://server%s", path);
    assert_int_equal(copal_msg_set_uri(m, uri), 0);
    return m;
}

/* Sends m, which is unref'd, and waits. */
static struct record *answer_to(struct world *w, copal_msg *m)
{
    struct record *r = next_record(w);

    r->exchange = copal_request(w->client, m, recording(r));
    r->is_asked = r->is_begun = true;
    copal_msg_unref(m);
    copal_sim_run(w->sim, 10000);
    assert_ended(r, 0);
    return r;
}

static int code_of(struct world *w, int method, const char *path)
{
    return answer_to(w, request_for(w, method, path))->code;
}

/* ---- Answers ---- */

static void answer_problem(const copal_event *ev, void *user)
{
    int *status = user;

    if (ev->kind != COPAL_REQUEST)
        return;
    assert_int_equal(copal_reply_problem(NULL, COPAL_CONFLICT, "t", NULL),
                     COPAL_EINVAL);
    assert_int_equal(
        copal_reply_problem(ev->exchange, COPAL_CONFLICT, NULL, NULL),
        COPAL_EINVAL);
    assert_int_equal(copal_reply_problem(ev->exchange, 256, "t", NULL),
                     COPAL_EINVAL);
    *status = copal_reply_problem(ev->exchange, COPAL_CONFLICT, "taken",
                                  "try the 4th");
}

struct problem_heard {
    copal_problem p;
    char title[16], detail[16];
    int status;
};

static void hear_problem(const copal_event *ev, void *user)
{
    struct problem_heard *h = user;

    if (ev->kind != COPAL_RESPONSE)
        return;
    h->p.size = sizeof(h->p);
    h->status = copal_msg_problem(ev->msg, &h->p);
    snprintf(h->title, sizeof(h->title), "%.*s", (int)h->p.title.text.len,
             (const char *)h->p.title.text.data);
    snprintf(h->detail, sizeof(h->detail), "%.*s", (int)h->p.detail.text.len,
             (const char *)h->p.detail.text.data);
}

/* RFC 9290. */
static void a_problem_reaches_who_asked(void **state)
{
    struct world *w = *state;
    struct problem_heard h = {.status = 1};
    int replied = 1;

    copal_serve(w->server, COPAL_GET, "/t", 0,
                COPAL_CB(answer_problem, &replied));
    copal_get(w->client, "coap://server/t", COPAL_CB(hear_problem, &h));
    copal_sim_run(w->sim, 1000);
    assert_int_equal(replied, 0);
    assert_int_equal(h.status, 0);
    assert_string_equal(h.title, "taken");
    assert_string_equal(h.detail, "try the 4th");
}

/* ---- Paths and methods ---- */

static void a_path_and_a_method_lead_to_a_handler_or_a_code(void **state)
{
    struct world *w = *state;
    int calls = 0;
    copal_cb cb = COPAL_CB(answer_nothing, &calls);
    static const struct {
        int method;
        const char *path;
        int code;
    } rows[] = {
        {COPAL_GET, "/a", COPAL_CHANGED},
        {COPAL_PUT, "/a", COPAL_CHANGED},
        {COPAL_POST, "/a", COPAL_METHOD_NOT_ALLOWED},
        {30, "/a", COPAL_METHOD_NOT_ALLOWED},
        {30, "/none", COPAL_METHOD_NOT_ALLOWED},
        {30, "/any", COPAL_CHANGED},
        {COPAL_DELETE, "/any", COPAL_CHANGED},
        {COPAL_GET, "/none", COPAL_NOT_FOUND},
        {COPAL_GET, "/", COPAL_NOT_FOUND},
        {COPAL_GET, "/a/", COPAL_NOT_FOUND},
        {COPAL_GET, "/a/b/c", COPAL_NOT_FOUND},
        {COPAL_POST, "/any/x", COPAL_NOT_FOUND},
        {8, "/a", COPAL_CHANGED},
        {COPAL_PUT, "/.well-known/core", COPAL_METHOD_NOT_ALLOWED},
        {COPAL_GET, "/.well-known", COPAL_NOT_FOUND},
    };

    assert_int_equal(copal_serve(w->server, COPAL_GET, "/a", 0, cb), 0);
    assert_int_equal(copal_serve(w->server, COPAL_PUT, "/a", 0, cb), 0);
    assert_int_equal(copal_serve(w->server, 8, "/a", 0, cb), 0);
    assert_int_equal(copal_serve(w->server, 0, "/any", 0, cb), 0);
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        int code = code_of(w, rows[i].method, rows[i].path);

        if (code != rows[i].code)
            fail_msg("0.%02d %s: %s", rows[i].method, rows[i].path,
                     copal_name(COPAL_CODES, code));
    }
}

static void a_method_of_its_own_goes_before_any(void **state)
{
    struct world *w = *state;
    int any = 0, put = 0;

    copal_serve(w->server, 0, "/a", 0, COPAL_CB(answer_nothing, &any));
    copal_serve(w->server, COPAL_PUT, "/a", 0, COPAL_CB(answer_nothing, &put));
    code_of(w, COPAL_PUT, "/a");
    code_of(w, COPAL_POST, "/a");
    assert_int_equal(any, 1);
    assert_int_equal(put, 1);
}

static void a_request_to_a_proxy_is_refused(void **state)
{
    struct world *w = *state;
    struct record *served = serve_text(w, w->server, "*", 0, "all");
    copal_msg *m = request_for(w, COPAL_GET, "/a");

    copal_msg_add_text(m, COPAL_OPT_PROXY_SCHEME, "coap");
    assert_int_equal(answer_to(w, m)->code, COPAL_PROXYING_NOT_SUPPORTED);
    m = request_for(w, COPAL_GET, "/");
    copal_msg_add_text(m, COPAL_OPT_PROXY_URI, "coap://elsewhere/a");
    assert_int_equal(answer_to(w, m)->code, COPAL_PROXYING_NOT_SUPPORTED);
    assert_int_equal(served->requests, 0);
}

static void a_secured_path_asks_for_an_identity(void **state)
{
    struct world *w = *state;
    struct record *served =
        serve_text(w, w->server, "/door", COPAL_SECURE, "open");

    assert_int_equal(code_of(w, COPAL_GET, "/door"), COPAL_UNAUTHORIZED);
    assert_int_equal(served->requests, 0);
}

static void answer_params(const copal_event *ev, void *user)
{
    const char *x = copal_exchange_param(ev->exchange, "x");
    const char *y = copal_exchange_param(ev->exchange, "y");
    char text[64];

    (void)user;
    if (ev->kind != COPAL_REQUEST)
        return;
    snprintf(text, sizeof(text), "x=%s y=%s", x == NULL ? "-" : x,
             y == NULL ? "-" : y);
    copal_reply_text(ev->exchange, COPAL_CONTENT, text);
}

static void the_names_of_a_path_have_their_segments_as_values(void **state)
{
    struct world *w = *state;
    copal_cb cb = COPAL_CB(answer_params, NULL);

    copal_serve(w->server, COPAL_GET, "/a/{x}/b/{y}", 0, cb);
    copal_serve(w->server, COPAL_GET, "/a/{x}/*", 0, cb);
    assert_string_equal(
        answer_to(w, request_for(w, COPAL_GET, "/a/1/b/2%2F3"))->payload,
        "x=1 y=2/3");
    assert_string_equal(
        answer_to(w, request_for(w, COPAL_GET, "/a/1/c/2"))->payload,
        "x=1 y=-");
    assert_string_equal(
        answer_to(w, request_for(w, COPAL_GET, "/a//b/"))->payload, "x= y=");
}

static void no_name_of_a_path_stands_for_a_segment_with_a_nul(void **state)
{
    struct world *w = *state;
    copal_cb cb = COPAL_CB(answer_params, NULL);

    copal_serve(w->server, COPAL_GET, "/a/{x}", 0, cb);
    copal_serve(w->server, COPAL_GET, "/b/{x}", 0, cb);
    copal_serve(w->server, COPAL_GET, "/b/*", 0, cb);
    assert_int_equal(code_of(w, COPAL_GET, "/a/me%00you"), COPAL_NOT_FOUND);
    assert_int_equal(code_of(w, COPAL_GET, "/a/%00"), COPAL_NOT_FOUND);
    assert_string_equal(
        answer_to(w, request_for(w, COPAL_GET, "/b/me%00you"))->payload,
        "x=- y=-");
}

/* ---- Formats ---- */

static void a_described_format_decides_accept_and_put(void **state)
{
    struct world *w = *state;
    int calls = 0;
    copal_cb cb = COPAL_CB(answer_nothing, &calls);
    static const struct {
        int method;
        const char *path;
        int option, format, code;
    } rows[] = {
        {COPAL_GET, "/a", COPAL_OPT_ACCEPT, 50, COPAL_CHANGED},
        {COPAL_GET, "/a", COPAL_OPT_ACCEPT, 60, COPAL_CHANGED},
        {COPAL_GET, "/a", COPAL_OPT_ACCEPT, 0, COPAL_NOT_ACCEPTABLE},
        {COPAL_GET, "/a", COPAL_OPT_ACCEPT, 5, COPAL_NOT_ACCEPTABLE},
        {COPAL_PUT, "/a", COPAL_OPT_CONTENT_FORMAT, 60, COPAL_CHANGED},
        {COPAL_PUT, "/a", COPAL_OPT_CONTENT_FORMAT, 0,
         COPAL_UNSUPPORTED_FORMAT},
        /* What POST takes and gives is not said by ct. */
        {COPAL_POST, "/a", COPAL_OPT_CONTENT_FORMAT, 0, COPAL_CHANGED},
        {COPAL_POST, "/a", COPAL_OPT_ACCEPT, 0, COPAL_CHANGED},
        {COPAL_GET, "/free", COPAL_OPT_ACCEPT, 0, COPAL_CHANGED},
        {COPAL_GET, "/odd", COPAL_OPT_ACCEPT, 0, COPAL_CHANGED},
    };

    copal_serve(w->server, 0, "/a", 0, cb);
    copal_serve(w->server, 0, "/free", 0, cb);
    copal_serve(w->server, 0, "/odd", 0, cb);
    copal_describe(w->server, "/a", "ct", "50 60");
    copal_describe(w->server, "/odd", "ct", "text/plain");
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        copal_msg *m = request_for(w, rows[i].method, rows[i].path);
        int code;

        copal_msg_add_uint(m, rows[i].option, (uint32_t)rows[i].format);
        code = answer_to(w, m)->code;
        if (code != rows[i].code)
            fail_msg("row %zu: %s", i, copal_name(COPAL_CODES, code));
    }
}

/* ---- Conditions ---- */

struct thing {
    int get_code; /* what GET answers   */
    const char *etag;
    int gets, changes;
    unsigned late; /* ms until GET answers */
    struct world *world;
};

static void answer_get_now(struct thing *t, copal_exchange *x)
{
    copal_msg *m = copal_msg_new(copal_exchange_endpoint(x), t->get_code);

    if (t->etag != NULL)
        copal_msg_add(m, COPAL_OPT_ETAG, text_bytes(t->etag));
    copal_respond(x, m);
    copal_msg_unref(m);
}

struct later {
    struct thing *thing;
    copal_exchange *x;
};

static void answer_get_later(const copal_event *ev, void *user)
{
    struct later *l = user;

    (void)ev;
    answer_get_now(l->thing, l->x);
}

static void drop_later(void *user)
{
    struct later *l = user;

    copal_exchange_unref(l->x);
    free(l);
}

static void answer_get(const copal_event *ev, void *user)
{
    struct thing *t = user;
    struct later *l;

    if (ev->kind != COPAL_REQUEST)
        return;
    t->gets++;
    if (t->late == 0) {
        answer_get_now(t, ev->exchange);
        return;
    }
    l = malloc(sizeof(*l));
    *l = (struct later){t, copal_exchange_ref(ev->exchange)};
    copal_after(t->world->server, t->late,
                COPAL_CB_OWN(answer_get_later, l, drop_later));
}

static void serve_thing(struct world *w, struct thing *t)
{
    t->world = w;
    copal_serve(w->server, COPAL_GET, "/t", 0, COPAL_CB(answer_get, t));
    copal_serve(w->server, 0, "/t", 0, COPAL_CB(answer_nothing, &t->changes));
}

/* match: an If-Match each, or NULL. */
static int conditional(struct world *w, int method, const char *match,
                       const char *other, int none_match)
{
    copal_msg *m = request_for(w, method, "/t");

    if (match != NULL)
        copal_msg_add(m, COPAL_OPT_IF_MATCH, text_bytes(match));
    if (other != NULL)
        copal_msg_add(m, COPAL_OPT_IF_MATCH, text_bytes(other));
    if (none_match)
        copal_msg_add(m, COPAL_OPT_IF_NONE_MATCH, (copal_bytes){0});
    return answer_to(w, m)->code;
}

/* RFC 7252 5.10.8. */
static void conditions_are_held_against_what_get_answers(void **state)
{
    struct world *w = *state;
    struct thing t = {0};
    static const struct {
        int get_code;
        const char *etag, *match, *other;
        int none_match, code;
    } rows[] = {
        {COPAL_CONTENT, "A", "A", NULL, 0, COPAL_CHANGED},
        {COPAL_CONTENT, "A", "B", NULL, 0, COPAL_PRECONDITION_FAILED},
        {COPAL_CONTENT, "A", "B", "A", 0, COPAL_CHANGED},
        {COPAL_CONTENT, "A", "AA", NULL, 0, COPAL_PRECONDITION_FAILED},
        {COPAL_CONTENT, NULL, "A", NULL, 0, COPAL_PRECONDITION_FAILED},
        {COPAL_CONTENT, NULL, "", NULL, 0, COPAL_CHANGED},
        {COPAL_CONTENT, "A", "", NULL, 0, COPAL_CHANGED},
        {COPAL_NOT_FOUND, NULL, "", NULL, 0, COPAL_PRECONDITION_FAILED},
        {COPAL_NOT_FOUND, NULL, "A", NULL, 0, COPAL_PRECONDITION_FAILED},
        {COPAL_NOT_FOUND, NULL, NULL, NULL, 1, COPAL_CHANGED},
        {COPAL_CONTENT, NULL, NULL, NULL, 1, COPAL_PRECONDITION_FAILED},
        {COPAL_CONTENT, "A", "A", NULL, 1, COPAL_PRECONDITION_FAILED},
        {COPAL_UNAVAILABLE, NULL, "A", NULL, 0, COPAL_INTERNAL_ERROR},
        {COPAL_UNAVAILABLE, NULL, NULL, NULL, 1, COPAL_INTERNAL_ERROR},
        {COPAL_CONTENT, "A", NULL, NULL, 0, COPAL_CHANGED},
    };

    serve_thing(w, &t);
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        int changes = t.changes, code;

        t.get_code = rows[i].get_code;
        t.etag = rows[i].etag;
        code = conditional(w, COPAL_PUT, rows[i].match, rows[i].other,
                           rows[i].none_match);
        if (code != rows[i].code)
            fail_msg("row %zu: %s", i, copal_name(COPAL_CODES, code));
        assert_int_equal(t.changes - changes, code == COPAL_CHANGED);
    }
}

static void conditions_hold_for_every_method_that_changes(void **state)
{
    struct world *w = *state;
    struct thing t = {.get_code = COPAL_CONTENT, .etag = "A"};
    static const int methods[] = {COPAL_PUT, COPAL_POST, COPAL_DELETE,
                                  COPAL_PATCH, COPAL_IPATCH};

    serve_thing(w, &t);
    for (size_t i = 0; i < sizeof(methods) / sizeof(methods[0]); i++)
        assert_int_equal(conditional(w, methods[i], "B", NULL, 0),
                         COPAL_PRECONDITION_FAILED);
    assert_int_equal(t.changes, 0);
    assert_int_equal(t.gets, 5);
    assert_int_equal(conditional(w, COPAL_FETCH, "B", NULL, 0), COPAL_CHANGED);
    assert_int_equal(t.gets, 5);
}

static void a_condition_waits_for_a_late_answer(void **state)
{
    struct world *w = *state;
    struct thing t = {.get_code = COPAL_CONTENT, .etag = "A", .late = 3000};

    serve_thing(w, &t);
    assert_int_equal(conditional(w, COPAL_PUT, "A", NULL, 0), COPAL_CHANGED);
    assert_int_equal(conditional(w, COPAL_PUT, "B", NULL, 0),
                     COPAL_PRECONDITION_FAILED);
    assert_int_equal(t.changes, 1);
}

/* A conditional PUT of which GET is yet to answer. */
static struct record *begin_conditional(struct world *w, struct thing *t)
{
    copal_msg *m = request_for(w, COPAL_PUT, "/t");
    struct record *r = next_record(w);

    *t = (struct thing){.get_code = COPAL_CONTENT, .late = 3000};
    serve_thing(w, t);
    copal_msg_add(m, COPAL_OPT_IF_MATCH, (copal_bytes){0});
    r->exchange = copal_request(w->client, m, recording(r));
    r->is_asked = r->is_begun = true;
    copal_msg_unref(m);
    copal_sim_run(w->sim, 1000);
    assert_int_equal(t->gets, 1);
    return r;
}

static void a_waiting_condition_outlives_its_path(void **state)
{
    struct world *w = *state;
    struct thing t;
    struct record *r = begin_conditional(w, &t);

    assert_int_equal(copal_unserve(w->server, "/t"), 0);
    copal_sim_run(w->sim, 10000);
    assert_ended(r, 0);
    assert_int_equal(r->code, COPAL_CHANGED);
    assert_int_equal(t.changes, 1);
}

static void a_waiting_condition_ends_with_its_endpoint(void **state)
{
    struct world *w = *state;
    struct thing t;

    begin_conditional(w, &t);
    copal_free(w->server);
    w->server = NULL;
    copal_sim_run(w->sim, 10000);
    assert_int_equal(t.changes, 0);
}

static void a_condition_goes_to_the_handler_where_nobody_can_be_asked(
    void **state)
{
    struct world *w = *state;
    int calls = 0;

    copal_serve(w->server, COPAL_PUT, "/t", 0,
                COPAL_CB(answer_nothing, &calls));
    assert_int_equal(conditional(w, COPAL_PUT, "A", NULL, 0), COPAL_CHANGED);
    assert_int_equal(calls, 1);
}

/* ---- Serving ---- */

static int serve_recorded(struct world *w, int method, const char *path,
                          struct record **r)
{
    *r = next_record(w);
    return copal_serve(w->server, method, path, 0, recording(*r));
}

static void what_cannot_be_served_is_refused_and_dropped(void **state)
{
    struct world *w = *state;
    struct record *r;

    assert_int_equal(serve_recorded(w, COPAL_GET, "/a", &r), 0);
    assert_int_equal(serve_recorded(w, COPAL_GET, "/a", &r), COPAL_EEXIST);
    assert_int_equal(r->drops, 1);
    assert_non_null(strstr(copal_why(w->server), "GET"));
    assert_int_equal(serve_recorded(w, 0, "/a", &r), 0);
    assert_int_equal(serve_recorded(w, 0, "/a", &r), COPAL_EEXIST);
    assert_int_equal(serve_recorded(w, 32, "/b", &r), COPAL_EINVAL);
    assert_int_equal(serve_recorded(w, -1, "/b", &r), COPAL_EINVAL);
    assert_int_equal(serve_recorded(w, COPAL_GET, "b", &r), COPAL_EINVAL);
    assert_int_equal(serve_recorded(w, COPAL_GET, "://*", &r), COPAL_EINVAL);
    assert_int_equal(r->drops, 1);
    assert_int_equal(code_of(w, COPAL_GET, "/b"), COPAL_NOT_FOUND);
}

static void a_path_taken_away_is_not_found(void **state)
{
    struct world *w = *state;
    struct record *r = serve_text(w, w->server, "/a/b", 0, "b");

    serve_text(w, w->server, "/a", 0, "a");
    assert_int_equal(copal_unserve(w->server, "/a/b"), 0);
    assert_int_equal(r->drops, 1);
    assert_int_equal(code_of(w, COPAL_GET, "/a/b"), COPAL_NOT_FOUND);
    assert_int_equal(code_of(w, COPAL_GET, "/a"), COPAL_CONTENT);
    assert_int_equal(copal_unserve(w->server, "/a/b"), COPAL_ENOENT);
    assert_non_null(strstr(copal_why(w->server), "/a/b"));
    assert_int_equal(copal_unserve(w->server, "/.well-known/core"),
                     COPAL_ENOENT);
}

static void a_change_is_told_to_the_observers_of_its_path(void **state)
{
    struct world *w = *state;
    struct record *one, *other;

    copal_serve(w->server, COPAL_GET, "/hello/{x}", COPAL_OBSERVABLE,
                COPAL_CB(answer_params, NULL));
    one = observe(w, "coap://server/hello/bob");
    other = observe(w, "coap://server/hello/a%2Fb");
    copal_sim_run(w->sim, 1000);
    assert_int_equal(copal_notify(w->server, "/hello/bob"), 1);
    assert_int_equal(copal_notify(w->server, "/hello/eve"), 0);
    copal_sim_run(w->sim, 1000);
    assert_int_equal(one->responses, 2);
    assert_string_equal(one->payload, "x=bob y=-");
    assert_int_equal(other->responses, 1);
    assert_int_equal(copal_notify(w->server, "/hello/a%2Fb"), 1);
    copal_sim_run(w->sim, 1000);
    assert_int_equal(other->responses, 2);
    assert_int_equal(copal_notify(w->server, "/nobody"), COPAL_ENOENT);
    assert_int_equal(copal_notify(w->server, "nobody"), COPAL_EINVAL);
}

static void observers_of_a_path_taken_away_get_not_found(void **state)
{
    struct world *w = *state;
    struct record *r;

    serve_text(w, w->server, "/a", COPAL_OBSERVABLE, "a");
    r = observe(w, "coap://server/a");
    copal_sim_run(w->sim, 1000);
    assert_int_equal(copal_unserve(w->server, "/a"), 0);
    copal_sim_run(w->sim, 1000);
    assert_int_equal(r->responses, 2);
    assert_int_equal(r->code, COPAL_NOT_FOUND);
    assert_ended(r, 0);
}

/* ---- Links ---- */

#define OWN "</.well-known/core>;ct=40"

static void assert_links(struct world *w, const char *expected)
{
    copal_bytes links = copal_links(w->server);

    if (links.len != strlen(expected) ||
        memcmp(links.data, expected, links.len) != 0)
        fail_msg("links: %.*s", (int)links.len, (const char *)links.data);
}

static void served_paths_are_listed_with_what_is_said_of_them(void **state)
{
    struct world *w = *state;
    copal *c = w->server;

    assert_links(w, OWN);
    serve_text(w, c, "/time", COPAL_OBSERVABLE, "12:00");
    serve_text(w, c, "/secret", COPAL_UNLISTED, "x");
    serve_text(w, c, "/p/{name}", 0, "x");
    serve_text(w, c, "/q/*", 0, "x");
    serve_text(w, c, "/a%2Fb", 0, "x");
    assert_links(w, OWN ",</time>;obs,</p/%7Bname%7D>,</a%2Fb>");
    assert_int_equal(copal_describe(c, "/time", "rt", "clock"), 0);
    assert_int_equal(copal_describe(c, "/time", "ct", "0"), 0);
    assert_int_equal(copal_describe(c, "/time", "x", NULL), 0);
    assert_links(w, OWN
                 ",</time>;rt=\"clock\";ct=0;x;obs,</p/%7Bname%7D>,</a%2Fb>");
    assert_int_equal(copal_describe(c, "/time", "rt", "a \"b\""), 0);
    assert_links(
        w,
        OWN ",</time>;rt=\"a \\\"b\\\"\";ct=0;x;obs,</p/%7Bname%7D>,</a%2Fb>");
    assert_int_equal(copal_describe(c, "/time", "href", "/x"), COPAL_EINVAL);
    assert_int_equal(copal_describe(c, "/time", "r t", "x"), COPAL_EINVAL);
    assert_int_equal(copal_describe(c, "/none", "rt", "x"), COPAL_ENOENT);
    copal_unserve(c, "/time");
    assert_links(w, OWN ",</p/%7Bname%7D>,</a%2Fb>");
    /* What was said of it went with it. */
    serve_text(w, c, "/time", 0, "12:00");
    assert_links(w, OWN ",</p/%7Bname%7D>,</a%2Fb>,</time>");
}

static void a_list_of_ones_own_replaces_the_built_in_one(void **state)
{
    struct world *w = *state;
    struct record *r;

    serve_text(w, w->server, "/.well-known/core", 0, "mine");
    r = get(w, "coap://server/.well-known/core");
    copal_sim_run(w->sim, 1000);
    assert_string_equal(r->payload, "mine");
    assert_links(w, "</.well-known/core>");
    assert_int_equal(copal_unserve(w->server, "/.well-known/core"), 0);
    r = get(w, "coap://server/.well-known/core");
    copal_sim_run(w->sim, 1000);
    assert_string_equal(r->payload, OWN);
}

static void a_star_does_not_hide_the_list(void **state)
{
    struct world *w = *state;
    struct record *r;

    serve_text(w, w->server, "*", 0, "star");
    r = get(w, "coap://server/.well-known/core");
    copal_sim_run(w->sim, 1000);
    assert_string_equal(r->payload, OWN);
    assert_int_equal(code_of(w, COPAL_GET, "/.well-known"), COPAL_CONTENT);
}

static void note_list(const copal_event *ev, void *user)
{
    copal_bytes *etag = user, value;

    if (ev->kind != COPAL_RESPONSE)
        return;
    assert_int_equal(copal_msg_format(ev->msg), COPAL_LINKS);
    assert_int_equal(copal_msg_value(ev->msg, COPAL_OPT_ETAG, 0, &value), 0);
    memcpy((uint8_t *)etag->data, value.data, value.len);
    etag->len = value.len;
}

static void the_list_has_a_format_and_an_etag(void **state)
{
    struct world *w = *state;
    uint8_t storage[8];
    copal_bytes etag = {storage, 0};
    copal_msg *m;
    struct record *r;

    copal_get(w->client, "coap://server/.well-known/core",
              COPAL_CB(note_list, &etag));
    copal_sim_run(w->sim, 1000);
    assert_true(etag.len > 0);
    m = request_for(w, COPAL_GET, "/.well-known/core");
    copal_msg_add(m, COPAL_OPT_ETAG, etag);
    r = answer_to(w, m);
    assert_int_equal(r->code, COPAL_VALID);
    assert_int_equal(r->payload_len, 0);
    serve_text(w, w->server, "/new", 0, "x");
    m = request_for(w, COPAL_GET, "/.well-known/core");
    copal_msg_add(m, COPAL_OPT_ETAG, etag);
    assert_int_equal(answer_to(w, m)->code, COPAL_CONTENT);
    m = request_for(w, COPAL_GET, "/.well-known/core");
    copal_msg_add_uint(m, COPAL_OPT_ACCEPT, COPAL_LINKS);
    assert_int_equal(answer_to(w, m)->code, COPAL_CONTENT);
    m = request_for(w, COPAL_GET, "/.well-known/core");
    copal_msg_add_uint(m, COPAL_OPT_ACCEPT, COPAL_JSON);
    assert_int_equal(answer_to(w, m)->code, COPAL_NOT_ACCEPTABLE);
}

/* ---- Filters, by the document of the vectors ---- */

static const char *text_of(char *out, size_t size, copal_bytes b)
{
    snprintf(out, size, "%.*s", (int)b.len, (const char *)b.data);
    return out;
}

static bool text_is(copal_bytes b, const char *text)
{
    return b.len == strlen(text) && memcmp(b.data, text, b.len) == 0;
}

static void serve_link(struct world *w, const struct cp_link_value *link)
{
    char path[64], name[32], value[64];
    copal_bytes rest = link->attributes;
    struct cp_attribute a;
    bool is_observable = false;

    text_of(path, sizeof(path), link->target);
    while (cp_attribute_next(&rest, &a) == 1)
        is_observable |= text_is(a.name, "obs");
    serve_text(w, w->server, path, is_observable ? COPAL_OBSERVABLE : 0, "x");
    rest = link->attributes;
    while (cp_attribute_next(&rest, &a) == 1) {
        text_of(name, sizeof(name), a.name);
        if (!text_is(a.name, "obs"))
            assert_int_equal(
                copal_describe(w->server, path, name,
                               text_of(value, sizeof(value), a.value)),
                0);
    }
}

struct document {
    char text[1024];
    size_t len;
    int code;
};

static void keep_document(const copal_event *ev, void *user)
{
    struct document *d = user;
    copal_bytes body;

    if (ev->kind != COPAL_RESPONSE)
        return;
    body = copal_msg_payload(ev->msg);
    d->code = copal_msg_code(ev->msg);
    assert_in_range(body.len, 0, sizeof(d->text));
    if (body.len > 0)
        memcpy(d->text, body.data, body.len);
    d->len = body.len;
}

static void check_filter(struct world *w, json_t *row)
{
    const char *query = json_string_value(json_object_get(row, "query"));
    json_t *targets = json_object_get(row, "matching_targets");
    copal_msg *m = request_for(w, COPAL_GET, "/.well-known/core");
    struct document d = {.code = 0};
    struct cp_link_value link;
    copal_bytes rest;
    size_t found = 0;

    copal_msg_add_text(m, COPAL_OPT_URI_QUERY, query);
    copal_request(w->client, m, COPAL_CB(keep_document, &d));
    copal_msg_unref(m);
    copal_sim_run(w->sim, 1000);
    assert_int_equal(d.code, COPAL_CONTENT);
    rest = (copal_bytes){(const uint8_t *)d.text, d.len};
    while (cp_links_next(&rest, &link) == 1) {
        char target[64];
        const char *expected =
            json_string_value(json_array_get(targets, found));

        text_of(target, sizeof(target), link.target);
        if (strcmp(target, "/.well-known/core") == 0)
            continue;
        if (expected == NULL || strcmp(target, expected) != 0)
            fail_msg("%s: %.*s", query, (int)d.len, d.text);
        found++;
    }
    if (found != json_array_size(targets))
        fail_msg("%s: %zu links, %.*s", query, found, (int)d.len, d.text);
}

static void the_list_is_filtered_as_asked(void **state)
{
    struct world *w = *state;
    json_t *document =
        json_load_file(COPAL_VECTORS_DIR "/linkformat.json", 0, NULL);
    json_t *filters = json_object_get(document, "filters");
    copal_bytes rest = text_bytes(
        json_string_value(json_object_get(document, "filter_document")));
    struct cp_link_value link;

    assert_true(json_array_size(filters) >= 34);
    while (cp_links_next(&rest, &link) == 1)
        serve_link(w, &link);
    for (size_t i = 0; i < json_array_size(filters); i++)
        check_filter(w, json_array_get(filters, i));
    json_decref(document);
}

static void a_link_has_to_match_every_argument(void **state)
{
    struct world *w = *state;
    struct record *r;

    serve_text(w, w->server, "/a", COPAL_OBSERVABLE, "x");
    serve_text(w, w->server, "/b", COPAL_OBSERVABLE, "x");
    copal_describe(w->server, "/b", "rt", "t");
    r = get(w, "coap://server/.well-known/core?obs&rt=t");
    copal_sim_run(w->sim, 1000);
    assert_string_equal(r->payload, "</b>;rt=\"t\";obs");
    r = get(w, "coap://server/.well-known/core?rt=t&rt=u");
    copal_sim_run(w->sim, 1000);
    assert_int_equal(r->code, COPAL_CONTENT);
    assert_int_equal(r->payload_len, 0);
}

/* ---- Memory ---- */

static void serve_all(struct world *w)
{
    serve_text(w, w->server, "/a/{x}/b", COPAL_OBSERVABLE, "a");
    serve_text(w, w->server, "/t", 0, "t");
    copal_describe(w->server, "/t", "rt", "t");
    copal_notify(w->server, "/a/1/b");
    get(w, "coap://server/a/1/b");
    get(w, "coap://server/.well-known/core?rt=t");
    get(w, "coap://server/.well-known/core");
    copal_sim_run(w->sim, 300000);
    copal_unserve(w->server, "/a/{x}/b");
    copal_links(w->server);
}

static void a_condition(struct world *w)
{
    copal_msg *m = copal_msg_new(w->client, COPAL_PUT);
    struct record *r = next_record(w);

    serve_text(w, w->server, "/t", 0, "t");
    copal_msg_set_uri(m, "coap://server/t");
    copal_msg_add(m, COPAL_OPT_IF_MATCH, (copal_bytes){0});
    r->is_asked = true;
    r->exchange = copal_request(w->client, m, recording(r));
    r->is_begun = r->exchange != NULL;
    copal_msg_unref(m);
    copal_sim_run(w->sim, 300000);
}

static void serving_survives_a_failing_allocation(void **state)
{
    (void)state;
    for_each_failed_allocation(serve_all);
    for_each_failed_allocation(a_condition);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, build, tear_down)
    const struct CMUnitTest tests[] = {
        TEST(a_problem_reaches_who_asked),
        TEST(a_path_and_a_method_lead_to_a_handler_or_a_code),
        TEST(a_method_of_its_own_goes_before_any),
        TEST(a_request_to_a_proxy_is_refused),
        TEST(a_secured_path_asks_for_an_identity),
        TEST(the_names_of_a_path_have_their_segments_as_values),
        TEST(no_name_of_a_path_stands_for_a_segment_with_a_nul),
        TEST(a_described_format_decides_accept_and_put),
        TEST(conditions_are_held_against_what_get_answers),
        TEST(conditions_hold_for_every_method_that_changes),
        TEST(a_condition_waits_for_a_late_answer),
        TEST(a_waiting_condition_outlives_its_path),
        TEST(a_waiting_condition_ends_with_its_endpoint),
        TEST(a_condition_goes_to_the_handler_where_nobody_can_be_asked),
        TEST(what_cannot_be_served_is_refused_and_dropped),
        TEST(a_path_taken_away_is_not_found),
        TEST(a_change_is_told_to_the_observers_of_its_path),
        TEST(observers_of_a_path_taken_away_get_not_found),
        TEST(served_paths_are_listed_with_what_is_said_of_them),
        TEST(a_list_of_ones_own_replaces_the_built_in_one),
        TEST(a_star_does_not_hide_the_list),
        TEST(the_list_has_a_format_and_an_etag),
        TEST(the_list_is_filtered_as_asked),
        TEST(a_link_has_to_match_every_argument),
        cmocka_unit_test(serving_survives_a_failing_allocation),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
