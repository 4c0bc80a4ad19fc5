/* Request-Tag, RFC 9175 3: uploads of one client to one resource, kept apart. */
#include "bodies.h"

static copal_bytes part(size_t n, unsigned version, size_t offset, size_t size)
{
    copal_bytes body = body_of(n, version);
    size_t left = offset < n ? n - offset : 0;

    return (copal_bytes){body.data + offset, left < size ? left : size};
}

/* size bytes of version to /x, with options in the words of message_of(). */
static struct party *upload(struct world *w, const char *text, size_t size,
                            unsigned version)
{
    copal_msg *m = message_of(w->client, text);

    copal_msg_set_payload(m, COPAL_NO_FORMAT, body_of(size, version));
    return send_request(w, m);
}

/* A block that the test writes itself. */
static struct party *raw(struct world *w, const char *text, copal_bytes payload)
{
    copal_msg *m = message_of(w->client, text);

    copal_msg_set_flags(m, COPAL_RAW_BLOCKS);
    if (payload.len > 0)
        copal_msg_set_payload(m, COPAL_NO_FORMAT, payload);
    return send_request(w, m);
}

/* A server of /x that counts whole bodies of the versions 1 to 7, and answers
 * with as many bytes of the same version. */
struct counting {
    unsigned whole[8], broken;
    size_t answer;
};

static unsigned version_of(copal_bytes body)
{
    for (unsigned v = 1; v < 8 && body.len > 0; v++)
        if (memcmp(body.data, body_of(body.len, v).data, body.len) == 0)
            return v;
    return 0;
}

static void count_versions(const copal_event *ev, void *user)
{
    struct counting *c = user;
    copal_bytes body;
    unsigned version;

    if (ev->kind != COPAL_REQUEST)
        return;
    body = copal_msg_payload(ev->msg);
    version = version_of(body);
    c->whole[version] += version > 0;
    c->broken += version == 0 && body.len > 0; /* no memory, no body */
    copal_reply(ev->exchange, COPAL_CHANGED, COPAL_NO_FORMAT,
                c->answer == 0 ? (copal_bytes){0}
                               : body_of(c->answer, version));
}

static void serve_counting(struct world *w, struct counting *c)
{
    copal_serve(w->server, 0, "/x", 0, COPAL_CB(count_versions, c));
}

/* ---- Client ---- */

static void an_upload_alone_has_no_tag(void **state)
{
    struct world *w = *state;
    struct party *p;

    serve_body(w, COPAL_PUT, "/x", 0, 0);
    for (int i = 0; i < 2; i++) { /* one after the other is alone, too */
        p = ask_body(w, COPAL_PUT, "coap://server/x", 3000);
        run(w, 10);
        assert_int_equal(p->code, COPAL_CONTENT);
    }
    assert_int_equal(count_in_transcript(w, " tag="), 0);
}

static void two_uploads_to_one_resource_do_not_break_each_other(void **state)
{
    struct world *w = *state;
    struct counting c = {0};
    struct party *a, *b;

    serve_counting(w, &c);
    tune(w->client, COPAL_P_BLOCK_SIZE, 64);
    a = upload(w, "PUT coap://server/x", 150, 1);
    b = upload(w, "PUT coap://server/x", 150, 2);
    run(w, 10);
    assert_log(a, "2.04 0 bytes\nend OK\n");
    assert_log(b, "2.04 0 bytes\nend OK\n");
    assert_int_equal(c.whole[1], 1);
    assert_int_equal(c.whole[2], 1);
    assert_transcript(
        w, "   0 client > server CON PUT 0001 /x 1:0/1/64 (64 bytes)\n"
           "   0 server > client ACK 2.31 0001 1:0/1/64\n"
           "   0 client > server CON PUT 0002 /x 1:0/1/64 tag= (64 bytes)\n"
           "   0 server > client ACK 2.31 0002 1:0/1/64\n"
           "   0 client > server CON PUT 0003 /x 1:1/1/64 (64 bytes)\n"
           "   0 server > client ACK 2.31 0003 1:1/1/64\n"
           "   0 client > server CON PUT 0004 /x 1:1/1/64 tag= (64 bytes)\n"
           "   0 server > client ACK 2.31 0004 1:1/1/64\n"
           "   0 client > server CON PUT 0005 /x 1:2/0/64 (22 bytes)\n"
           "   0 server > client ACK 2.04 0005 1:2/0/64\n"
           "   0 client > server CON PUT 0006 /x 1:2/0/64 tag= (22 bytes)\n"
           "   0 server > client ACK 2.04 0006 1:2/0/64\n");
}

static void what_differs_anyway_needs_no_tag(void **state)
{
    struct world *w = *state;
    struct party *all[4];

    add_host(w, "other");
    serve_body(w, 0, "/x", 0, 0);
    serve_body(w, 0, "/y", 0, 0);
    tune(w->client, COPAL_P_NSTART, 8);
    all[0] = ask_body(w, COPAL_PUT, "coap://server/x", 3000);
    all[1] = ask_body(w, COPAL_POST, "coap://server/x", 3000);
    all[2] = ask_body(w, COPAL_PUT, "coap://server/y", 3000);
    all[3] = ask_body(w, COPAL_PUT, "coap://server/x?a", 3000);
    ask_body(w, COPAL_PUT, "coap://other/x", 3000);
    run(w, 10);
    for (int i = 0; i < 4; i++)
        assert_int_equal(all[i]->code, COPAL_CONTENT);
    assert_int_equal(count_in_transcript(w, " tag="), 0);
}

static void each_of_many_has_a_tag_of_its_own(void **state)
{
    struct world *w = *state;
    struct counting c = {0};
    struct party *all[7];

    serve_counting(w, &c);
    tune(w->client, COPAL_P_NSTART, 8);
    tune(w->server, COPAL_P_PEER_BODIES, 8);
    copal_sim_set_path(w->sim, NULL, NULL, (copal_sim_path){.delay = 10});
    for (unsigned i = 0; i < 7; i++)
        all[i] = upload(w, "PUT coap://server/x", 3000 + i, i + 1);
    run(w, 1000);
    for (unsigned i = 0; i < 7; i++) {
        assert_log(all[i], "2.04 0 bytes\nend OK\n");
        assert_int_equal(c.whole[i + 1], 1);
    }
    assert_int_equal(count_in_transcript(w, " tag= "), 3);
    assert_int_equal(count_in_transcript(w, " tag=01 "), 3);
    assert_int_equal(count_in_transcript(w, " tag=05 "), 3);
    assert_int_equal(count_in_transcript(w, " tag="), 18);
}

/* RFC 9175 3.4: or it would not be the same operation. */
static void the_answer_of_an_upload_is_fetched_under_its_tag(void **state)
{
    struct world *w = *state;
    struct counting c = {.answer = 150};
    struct party *a, *b;

    serve_counting(w, &c);
    tune(w->client, COPAL_P_BLOCK_SIZE, 64);
    a = upload(w, "POST coap://server/x", 100, 1);
    b = upload(w, "POST coap://server/x", 100, 2);
    run(w, 10);
    assert_body(a, 150, 1);
    assert_body(b, 150, 2);
    assert_int_equal(count_in_transcript(w, "POST 0006 /x 2:1/0/64 tag=") +
                         count_in_transcript(w, "POST 0007 /x 2:1/0/64 tag=") +
                         count_in_transcript(w, "POST 0008 /x 2:1/0/64 tag="),
                     1);
    assert_int_equal(count_in_transcript(w, "2:2/0/64 tag=\n"), 1);
}

static void bodies_of_fetch_have_tags_too(void **state)
{
    struct world *w = *state;
    struct counting c = {.answer = 2000};
    struct party *a, *b;

    serve_counting(w, &c);
    a = upload(w, "FETCH coap://server/x", 2000, 1);
    b = upload(w, "FETCH coap://server/x", 2000, 2);
    run(w, 10);
    assert_body(a, 2000, 1);
    assert_body(b, 2000, 2);
    assert_int_equal(count_in_transcript(w, " tag="), 3);
}

static void streamed_uploads_have_tags_too(void **state)
{
    struct world *w = *state;
    struct party *a, *b, *s = serve_body(w, COPAL_PUT, "/x", 0, 0);

    for (int i = 0; i < 2; i++) {
        copal_msg *m = message_of(w->client, "PUT coap://server/x");

        copal_msg_set_flags(m, COPAL_STREAM_OUT);
        b = send_request(w, m);
        b->size = 2500;
        a = i == 0 ? b : a;
    }
    run(w, 10);
    assert_int_equal(a->code, COPAL_CONTENT);
    assert_int_equal(b->code, COPAL_CONTENT);
    assert_int_equal(s->requests, 2);
    assert_int_equal(count_in_transcript(w, " tag="), 3);
}

/* What a user chose stays, and nobody else gets it. */
static void a_tag_of_the_users_own_is_left_alone(void **state)
{
    struct world *w = *state;
    struct counting c = {0};
    struct party *a, *b, *d;

    serve_counting(w, &c);
    tune(w->client, COPAL_P_NSTART, 4);
    a = upload(w, "PUT coap://server/x tag=", 2000, 1);
    b = upload(w, "PUT coap://server/x", 2000, 2);
    d = upload(w, "PUT coap://server/x", 2000, 3);
    run(w, 10);
    assert_int_equal(a->code, COPAL_CHANGED);
    assert_int_equal(b->code, COPAL_CHANGED);
    assert_int_equal(d->code, COPAL_CHANGED);
    assert_int_equal(count_in_transcript(w, " tag= "), 2);
    assert_int_equal(count_in_transcript(w, " tag=01 "), 2);
    assert_int_equal(c.broken, 0);
}

/* Blocks of an upload that was given up may still be under way: they must not
 * become part of the next. RFC 9175 3.5.1 has the same rule. */
static void what_was_given_up_is_not_taken_up_by_the_next(void **state)
{
    struct world *w = *state;
    struct counting c = {0};
    struct party *a, *b;

    serve_counting(w, &c);
    copal_sim_set_path(w->sim, NULL, NULL, (copal_sim_path){.delay = 10});
    a = upload(w, "PUT coap://server/x", 2000, 1);
    run(w, 25);
    copal_cancel(a->x);
    b = upload(w, "PUT coap://server/x", 2000, 2);
    run(w, 1000);
    assert_int_equal(b->code, COPAL_CHANGED);
    assert_int_equal(c.whole[2], 1);
    assert_int_equal(count_in_transcript(w, " tag= "), 2);
    run(w, 300000); /* by now nothing of it is under way */
    upload(w, "PUT coap://server/x", 2000, 3);
    run(w, 1000);
    assert_int_equal(c.whole[3], 1);
    assert_int_equal(count_in_transcript(w, " tag="), 2);
}

static void who_gives_up_often_uses_no_tag_twice(void **state)
{
    struct world *w = *state;
    struct counting c = {0};
    struct party *p;

    serve_counting(w, &c);
    copal_sim_set_path(w->sim, NULL, NULL, (copal_sim_path){.delay = 10});
    for (unsigned i = 0; i < 40; i++) {
        p = upload(w, "PUT coap://server/x", 2000, 1);
        run(w, 5);
        copal_cancel(p->x);
    }
    assert_int_equal(count_in_transcript(w, "1:0/1/1024 (1024"), 1);
    assert_int_equal(count_in_transcript(w, " tag= "), 1);
    assert_int_equal(count_in_transcript(w, " tag=26 "), 1);
    run(w, 1000);
    run(w, 300000);
    p = upload(w, "PUT coap://server/x", 2000, 1);
    run(w, 1000);
    assert_int_equal(p->code, COPAL_CHANGED);
    assert_int_equal(count_in_transcript(w, "1:0/1/1024 (1024"), 2);
}

/* ---- Server ---- */

static void a_tag_is_part_of_what_an_upload_is_known_by(void **state)
{
    static const char *const tags[] = {"", " tag=", " tag=00", " tag=0000"};
    struct world *w = *state;
    struct counting c = {0};

    serve_counting(w, &c);
    for (unsigned num = 0; num < 3; num++)
        for (unsigned i = 0; i < 4; i++) {
            char text[64];
            struct party *p;

            snprintf(text, sizeof(text), "PUT coap://server/x 1:%u/%d/64%s",
                     num, num < 2, tags[i]);
            p = raw(w, text, part(150, i + 1, 64 * num, 64));
            run(w, 10);
            assert_int_equal(p->code, num < 2 ? COPAL_CONTINUE : COPAL_CHANGED);
            assert_int_equal(
                copal_msg_value(p->msg, COPAL_OPT_REQUEST_TAG, 0, NULL),
                COPAL_ENOENT);
        }
    for (unsigned i = 0; i < 4; i++)
        assert_int_equal(c.whole[i + 1], 1);
    assert_int_equal(c.broken, 0);
}

/* RFC 9175 3.3: the list of them counts. */
static void several_tags_are_one_name(void **state)
{
    struct world *w = *state;
    struct party *p;

    serve_body(w, COPAL_PUT, "/x", 0, 0);
    raw(w, "PUT coap://server/x 1:0/1/64 tag=01 tag=02", part(150, 1, 0, 64));
    run(w, 10);
    p = raw(w, "PUT coap://server/x 1:1/1/64 tag=01", part(150, 1, 64, 64));
    run(w, 10);
    assert_int_equal(p->code, COPAL_INCOMPLETE);
    p = raw(w, "PUT coap://server/x 1:1/1/64 tag=0102", part(150, 1, 64, 64));
    run(w, 10);
    assert_int_equal(p->code, COPAL_INCOMPLETE);
    p = raw(w, "PUT coap://server/x 1:1/0/64 tag=01 tag=02",
            part(120, 1, 64, 64));
    run(w, 10);
    assert_int_equal(p->code, COPAL_CONTENT);
}

static void a_tag_without_blocks_does_no_harm(void **state)
{
    struct world *w = *state;
    struct party *s = serve_body(w, 0, "/x", 0, 10), *p;

    p = raw(w, "GET coap://server/x tag=01", (copal_bytes){0});
    run(w, 10);
    assert_int_equal(p->code, COPAL_CONTENT);
    p = raw(w, "PUT coap://server/x tag=0102030405060708", body_of(10, 1));
    run(w, 10);
    assert_int_equal(p->code, COPAL_CONTENT);
    assert_int_equal(s->requests, 2);
}

/* ---- Weather ---- */

static void five_in_weather(struct world *w)
{
    struct counting c = {.answer = 1500};
    struct party *all[5];
    unsigned whole = 0;

    serve_counting(w, &c);
    tune(w->client, COPAL_P_NSTART, 3);
    tune(w->server, COPAL_P_PEER_BODIES, 8);
    for (unsigned i = 0; i < 5; i++)
        all[i] = upload(w, "POST coap://server/x", 2500, i + 1);
    run(w, 600000);
    assert_int_equal(c.broken, 0);
    for (unsigned i = 0; i < 5; i++) {
        assert_int_equal(all[i]->ends, 1);
        if (all[i]->status == 0) {
            assert_int_equal(all[i]->code, COPAL_CHANGED);
            assert_body(all[i], 1500, i + 1);
        } else {
            assert_int_equal(all[i]->status, COPAL_ETIMEOUT);
        }
        assert_in_range(c.whole[i + 1], all[i]->status == 0, 1);
        whole += c.whole[i + 1];
    }
    assert_true(whole > 0);
}

static void five_uploads_survive_bad_weather(void **state)
{
    (void)state;
    bodies_in_bad_weather(five_in_weather, 50);
}

static void two_once(struct world *w)
{
    struct counting c = {.answer = 1500};
    struct party *a, *b;

    serve_counting(w, &c);
    a = upload(w, "POST coap://server/x", 1500, 1);
    b = upload(w, "POST coap://server/x", 1500, 2);
    run(w, 600000);
    assert_int_equal(a->ends, a->is_asked);
    assert_int_equal(b->ends, b->is_asked);
    assert_int_equal(c.broken, 0);
    if (!memory_failed(w)) {
        assert_body(a, 1500, 1);
        assert_body(b, 1500, 2);
    }
}

static void two_uploads_survive_every_failed_allocation(void **state)
{
    (void)state;
    bodies_with_failed_allocations(two_once);
}

#define TEST(name) \
    cmocka_unit_test_setup_teardown(name, build_bodies, tear_down_bodies)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(an_upload_alone_has_no_tag),
        TEST(two_uploads_to_one_resource_do_not_break_each_other),
        TEST(what_differs_anyway_needs_no_tag),
        TEST(each_of_many_has_a_tag_of_its_own),
        TEST(the_answer_of_an_upload_is_fetched_under_its_tag),
        TEST(bodies_of_fetch_have_tags_too),
        TEST(streamed_uploads_have_tags_too),
        TEST(a_tag_of_the_users_own_is_left_alone),
        TEST(what_was_given_up_is_not_taken_up_by_the_next),
        TEST(who_gives_up_often_uses_no_tag_twice),
        TEST(a_tag_is_part_of_what_an_upload_is_known_by),
        TEST(several_tags_are_one_name),
        TEST(a_tag_without_blocks_does_no_harm),
        cmocka_unit_test(five_uploads_survive_bad_weather),
        cmocka_unit_test(two_uploads_survive_every_failed_allocation),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
