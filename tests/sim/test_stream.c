/* Bodies that come and go in pieces: PULL, copal_write(), CHUNK, pause. */
#include "bodies.h"

static void small_blocks(struct world *w)
{
    tune(w->client, COPAL_P_BLOCK_SIZE, 64);
    tune(w->server, COPAL_P_BLOCK_SIZE, 64);
}

static struct party *serve_stream(struct world *w, size_t size)
{
    struct party *s = serve_body(w, COPAL_GET, "/fw", 0, size);

    s->flags = COPAL_STREAM_OUT;
    return s;
}

static copal_msg *streaming(struct world *w, int code, const char *uri,
                            size_t size, unsigned flags)
{
    copal_msg *m = request_of(w, code, uri, size);

    copal_msg_set_flags(m, flags);
    return m;
}

/* A request that pulls size bytes. */
static struct party *upload(struct world *w, size_t size, bool holds)
{
    struct party *p = send_request(
        w, streaming(w, COPAL_PUT, "coap://server/up", 0, COPAL_STREAM_OUT));

    p->size = size;
    p->holds = holds;
    return p;
}

static struct party *download(struct world *w, const char *uri)
{
    return send_request(w, streaming(w, COPAL_GET, uri, 0, COPAL_STREAM_IN));
}

static copal_bytes piece_of(const char *text)
{
    return (copal_bytes){(const uint8_t *)text, strlen(text)};
}

/* ---- Answers that are pulled ---- */

static void an_answer_is_pulled_block_by_block(void **state)
{
    struct world *w = *state;
    struct party *s = serve_stream(w, 150), *p;

    small_blocks(w);
    p = ask_body(w, COPAL_GET, "coap://server/fw", 0);
    run(w, 10);
    assert_log(p, "2.05 150 bytes\nend OK\n");
    assert_body(p, 150, 1);
    assert_log(s, "GET 0 bytes\npull 0 +64\npull 64 +64\npull 128 +64\n");
    assert_transcript(
        w, "   0 client > server CON GET 0001 /fw 2:0/0/64\n"
           "   0 server > client ACK 2.05 0001 2:0/1/64 (64 bytes)\n"
           "   0 client > server CON GET 0002 /fw 2:1/0/64\n"
           "   0 server > client ACK 2.05 0002 2:1/1/64 (64 bytes)\n"
           "   0 client > server CON GET 0003 /fw 2:2/0/64\n"
           "   0 server > client ACK 2.05 0003 2:2/0/64 (22 bytes)\n");
}

static void pulled_answers_of_any_size_are_whole(void **state)
{
    static const size_t sizes[] = {0, 1, 16, 17, 32, 33};

    (void)state;
    for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
        void *fixture;
        struct world *w;
        struct party *p;

        build_bodies(&fixture);
        w = fixture;
        tune(w->server, COPAL_P_BLOCK_SIZE, 16);
        serve_stream(w, sizes[i]);
        p = ask_body(w, COPAL_GET, "coap://server/fw", 0);
        run(w, 10);
        assert_int_equal(p->status, 0);
        assert_body(p, sizes[i], 1);
        tear_down_bodies(&fixture);
    }
}

/* Nobody pulls then, and the error that is answered instead ends it. */
static void a_stream_that_cannot_be_kept_leaves_nothing_behind(void **state)
{
    struct world *w = *state;
    copal_stats stats = {.size = sizeof(stats)};
    struct party *s = serve_stream(w, 150), *p;

    small_blocks(w);
    tune(w->server, COPAL_P_BODY_MEMORY, 0);
    p = ask_body(w, COPAL_GET, "coap://server/fw", 0);
    run(w, 10);
    assert_log(p, "5.00 0 bytes\nend OK\n");
    assert_log(s, "GET 0 bytes\n");
    assert_int_equal(copal_get_stats(w->server, &stats), 0);
    assert_int_equal(stats.exchanges_open, 0);
}

static void a_pull_answered_late_is_acknowledged_meanwhile(void **state)
{
    struct world *w = *state;
    struct party *s = serve_stream(w, 100), *p;

    tune(w->server, COPAL_P_BLOCK_SIZE, 64);
    s->holds = true;
    p = ask_body(w, COPAL_GET, "coap://server/fw", 0);
    run(w, 10);
    give(s);
    run(w, 1000);
    assert_int_equal(s->pulls, 1);
    give(s);
    run(w, 3000);
    give(s);
    run(w, 10);
    assert_log(p, "2.05 100 bytes\nend OK\n");
    assert_body(p, 100, 1);
    assert_transcript(w,
                      "   0 client > server CON GET 0001 /fw\n"
                      " 250 server > client ACK empty 0001\n"
                      "1010 server > client CON 2.05 0001 2:0/1/64 (64 bytes)\n"
                      "1010 client > server ACK empty 0001\n"
                      "1010 client > server CON GET 0002 /fw 2:1/0/64\n"
                      "1260 server > client ACK empty 0002\n"
                      "4010 server > client CON 2.05 0002 2:1/0/64 (36 bytes)\n"
                      "4010 client > server ACK empty 0002\n");
}

static struct party *ask_for_block(struct world *w, const char *text)
{
    copal_msg *m = message_of(w->client, text);

    copal_msg_set_flags(m, COPAL_RAW_BLOCKS);
    return send_request(w, m);
}

/* The PULL under way is for the beginning: what it brings is let go, and what
 * was asked for last is pulled. */
static void a_block_asked_for_meanwhile_is_not_given_anothers_bytes(
    void **state)
{
    struct world *w = *state;
    struct party *s = serve_stream(w, 200), *first, *again, *other;

    s->holds = true;
    tune(w->client, COPAL_P_NSTART, 4);
    first = ask_body(w, COPAL_GET, "coap://server/fw", 0);
    run(w, 10);
    give(s);
    run(w, 0);
    copal_cancel(first->x);
    again = ask_for_block(w, "GET coap://server/fw 2:1/0/64");
    run(w, 5000);
    other = ask_for_block(w, "GET coap://server/fw 2:2/0/64");
    run(w, 100);
    assert_int_equal(s->pulls, 1);
    give(s);
    run(w, 10);
    assert_int_equal(s->pulls, 2);
    assert_int_equal(s->pull_at, 128);
    give(s);
    run(w, 10);
    assert_int_equal(other->code, COPAL_CONTENT);
    assert_memory_equal(other->body, body_of(200, 1).data + 128, 64);
    copal_cancel(again->x);
    release(s);
}

static void a_lost_block_is_repeated_and_not_pulled_twice(void **state)
{
    struct world *w = *state;
    struct party *s = serve_stream(w, 100), *p;

    tune(w->server, COPAL_P_BLOCK_SIZE, 64);
    copal_sim_lose(w->sim, "server", 1);
    p = ask_body(w, COPAL_GET, "coap://server/fw", 0);
    run(w, 10000);
    assert_body(p, 100, 1);
    assert_int_equal(s->pulls, 2);
}

static void an_asker_who_leaves_ends_the_stream(void **state)
{
    struct world *w = *state;
    struct party *s = serve_stream(w, 1000), *p;

    small_blocks(w);
    copal_sim_set_path(w->sim, NULL, NULL, (copal_sim_path){.delay = 10});
    p = ask_body(w, COPAL_GET, "coap://server/fw", 0);
    run(w, 35);
    copal_cancel(p->x);
    run(w, 230000);
    assert_int_equal(s->ends, 0);
    run(w, 5000);
    assert_int_equal(s->ends, 1);
    assert_int_equal(s->status, COPAL_ETIMEOUT);
}

static void an_asker_who_resets_a_block_ends_it_at_once(void **state)
{
    struct world *w = *state;
    struct party *s = serve_stream(w, 1000), *p;

    s->holds = true;
    small_blocks(w);
    p = ask_body(w, COPAL_GET, "coap://server/fw", 0);
    run(w, 10);
    give(s);
    run(w, 1000);
    copal_cancel(p->x);
    give(s); /* separately by now: answered with RST */
    run(w, 10);
    assert_int_equal(s->ends, 1);
    assert_int_equal(s->status, COPAL_ERESET);
    release(s);
}

static void an_asker_who_begins_again_ends_the_first_stream(void **state)
{
    struct world *w = *state;
    struct party *s = serve_stream(w, 100), *p;

    small_blocks(w);
    s->holds = true;
    p = ask_body(w, COPAL_GET, "coap://server/fw", 0);
    run(w, 10);
    give(s);
    run(w, 10);
    copal_cancel(p->x);
    s->holds = false;
    p = ask_body(w, COPAL_GET, "coap://server/fw", 0);
    run(w, 10);
    assert_body(p, 100, 1);
    assert_int_equal(s->ends, 1);
    assert_int_equal(s->status, COPAL_ECLOSED);
    release(s);
}

static void a_stream_may_begin_in_the_middle(void **state)
{
    struct world *w = *state;
    struct party *s = serve_stream(w, 200), *p;
    copal_msg *m = message_of(w->client, "GET coap://server/fw 2:2/0/64");

    copal_msg_set_flags(m, COPAL_RAW_BLOCKS);
    p = send_request(w, m);
    run(w, 10);
    assert_int_equal(p->len, 64);
    assert_memory_equal(p->body, body_of(200, 1).data + 128, 64);
    assert_int_equal(s->pulls, 1);
}

static void an_uploaded_question_has_a_streamed_answer(void **state)
{
    struct world *w = *state;
    struct party *s = serve_body(w, COPAL_POST, "/both", 0, 150), *p;

    s->flags = COPAL_STREAM_OUT;
    small_blocks(w);
    p = ask_body(w, COPAL_POST, "coap://server/both", 100);
    run(w, 10);
    assert_log(p, "2.05 150 bytes\nend OK\n");
    assert_body(p, 150, 1);
    assert_body(s, 100, 1);
    assert_int_equal(count_in_transcript(w, "1:1/0/64 2:0/1/64"), 1);
}

/* ---- Requests that are pulled ---- */

static void a_request_is_pulled_block_by_block(void **state)
{
    struct world *w = *state;
    struct party *s = serve_body(w, COPAL_PUT, "/up", 0, 0), *p;

    small_blocks(w);
    p = upload(w, 150, false);
    run(w, 10);
    assert_log(p, "pull 0 +64\npull 64 +64\npull 128 +64\n2.05 0 bytes\n"
                  "end OK\n");
    assert_body(s, 150, 1);
    assert_transcript(w, "   0 client > server CON PUT 0001 /up 1:0/1/64 "
                         "(64 bytes)\n"
                         "   0 server > client ACK 2.31 0001 1:0/1/64\n"
                         "   0 client > server CON PUT 0002 /up 1:1/1/64 "
                         "(64 bytes)\n"
                         "   0 server > client ACK 2.31 0002 1:1/1/64\n"
                         "   0 client > server CON PUT 0003 /up 1:2/0/64 "
                         "(22 bytes)\n"
                         "   0 server > client ACK 2.05 0003 1:2/0/64\n");
}

static void pulled_requests_of_any_size_are_whole(void **state)
{
    static const size_t sizes[] = {0, 1, 16, 17, 32, 33};

    (void)state;
    for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
        void *fixture;
        struct world *w;
        struct party *s, *p;

        build_bodies(&fixture);
        w = fixture;
        tune(w->client, COPAL_P_BLOCK_SIZE, 16);
        s = serve_body(w, COPAL_PUT, "/up", 0, 0);
        p = upload(w, sizes[i], false);
        run(w, 10);
        assert_int_equal(p->status, 0);
        assert_body(s, sizes[i], 1);
        tear_down_bodies(&fixture);
    }
}

static void a_pull_follows_the_size_the_server_prefers(void **state)
{
    struct world *w = *state;
    struct party *s = serve_body(w, COPAL_PUT, "/up", 0, 0), *p;

    tune(w->server, COPAL_P_BLOCK_SIZE, 512);
    p = upload(w, 1600, false);
    run(w, 10);
    assert_log(p, "pull 0 +1024\npull 1024 +512\npull 1536 +512\n"
                  "2.05 0 bytes\nend OK\n");
    assert_body(s, 1600, 1);
}

static void an_upload_may_take_its_time(void **state)
{
    struct world *w = *state;
    struct party *s = serve_body(w, COPAL_PUT, "/up", 0, 0), *p;

    small_blocks(w);
    p = upload(w, 100, true);
    run(w, 20000);
    assert_int_equal(give(p), 0);
    run(w, 20000);
    assert_int_equal(give(p), 0);
    run(w, 10);
    assert_log(p, "pull 0 +64\npull 64 +64\n2.05 0 bytes\nend OK\n");
    assert_body(s, 100, 1);
    release(p);
}

static void writing_out_of_turn_is_told(void **state)
{
    struct world *w = *state;
    struct party *p;

    serve_body(w, COPAL_PUT, "/up", 0, 0);
    small_blocks(w);
    assert_int_equal(copal_write(NULL, piece_of("x"), 1), COPAL_EINVAL);
    p = upload(w, 100, true);
    run(w, 1);
    assert_int_equal(copal_write(p->x, piece_of("short"), 0), COPAL_EINVAL);
    assert_int_equal(copal_write(p->x, piece_of(""), 0), COPAL_EINVAL);
    assert_int_equal(copal_write(p->x, body_of(65, 1), 1), COPAL_EINVAL);
    assert_non_null(strstr(copal_why(w->client), "65 bytes"));
    assert_int_equal(copal_write(p->x, body_of(64, 1), 0), 0);
    assert_int_equal(copal_write(p->x, body_of(64, 1), 0), COPAL_ESTATE);
    run(w, 1);
    assert_int_equal(copal_write(p->x, piece_of(""), 1), 0);
    run(w, 1);
    assert_int_equal(p->status, 0);
    assert_int_equal(copal_write(p->x, piece_of("x"), 1), COPAL_ESTATE);
    release(p);
}

static void a_request_that_pulls_nothing_takes_no_writes(void **state)
{
    struct world *w = *state;
    struct party *p;

    p = ask_body(w, COPAL_GET, "coap://server/none", 0);
    assert_int_equal(copal_write(p->x, piece_of("x"), 1), COPAL_ESTATE);
    run(w, 10);
}

static void cancelling_amid_an_upload_takes_the_pull_back(void **state)
{
    struct world *w = *state;
    struct party *p;

    serve_body(w, COPAL_PUT, "/up", 0, 0);
    small_blocks(w);
    p = upload(w, 1000, true);
    run(w, 1);
    copal_cancel(p->x);
    assert_int_equal(copal_write(p->x, body_of(64, 1), 0), COPAL_ESTATE);
    run(w, 10);
    assert_log(p, "pull 0 +64\nend ECANCEL\n");
    release(p);
}

static void an_answer_amid_an_upload_ends_it(void **state)
{
    struct world *w = *state;
    struct party *p;

    small_blocks(w);
    p = upload(w, 1000, false); /* nothing is served there */
    run(w, 10);
    assert_log(p, "pull 0 +64\n4.04 0 bytes\nend OK\n");
}

/* ---- Answers in CHUNKs ---- */

static void an_answer_comes_as_chunks(void **state)
{
    struct world *w = *state;
    struct party *p, *s = serve_body(w, COPAL_GET, "/d", 0, 150);

    s->etag = "e";
    small_blocks(w);
    p = download(w, "coap://server/d");
    run(w, 10);
    assert_log(p, "2.05 0 bytes\nchunk 0 +64\nchunk 64 +64\n"
                  "chunk 128 +22 last\nend OK\n");
    assert_body(p, 150, 1);
    assert_int_equal(copal_msg_uint(p->msg, COPAL_OPT_BLOCK2), COPAL_ENOENT);
}

static void a_short_answer_is_one_chunk(void **state)
{
    struct world *w = *state;
    struct party *p, *s = serve_body(w, COPAL_GET, "/d", 0, 10);

    p = download(w, "coap://server/d");
    run(w, 10);
    assert_log(p, "2.05 0 bytes\nchunk 0 +10 last\nend OK\n");
    s->size = 0;
    p = download(w, "coap://server/d");
    run(w, 10);
    assert_log(p, "2.05 0 bytes\nchunk 0 +0 last\nend OK\n");
}

static void an_error_is_no_stream(void **state)
{
    struct world *w = *state;
    struct party *p = download(w, "coap://server/none");

    run(w, 10);
    assert_log(p, "4.04 0 bytes\nend OK\n");
}

static void a_streamed_answer_may_be_longer_than_max_body(void **state)
{
    struct world *w = *state;
    struct party *p;

    serve_body(w, COPAL_GET, "/d", 0, 5000);
    tune(w->client, COPAL_P_MAX_BODY, 100);
    p = download(w, "coap://server/d");
    run(w, 10);
    assert_body(p, 5000, 1);
    assert_int_equal(p->status, 0);
}

static void a_paused_download_asks_for_nothing(void **state)
{
    struct world *w = *state;
    struct party *p;

    serve_body(w, COPAL_GET, "/d", 0, 150);
    small_blocks(w);
    p = download(w, "coap://server/d");
    p->pauses = true;
    run(w, 60000);
    assert_log(p, "2.05 0 bytes\n"); /* paused then: no CHUNK yet */
    assert_int_equal(count_in_transcript(w, "GET"), 1);
    copal_resume(p->x);
    run(w, 60000);
    assert_log(p, "2.05 0 bytes\nchunk 0 +64\n");
    assert_int_equal(count_in_transcript(w, "GET"), 1);
    copal_resume(p->x);
    run(w, 10);
    assert_int_equal(count_in_transcript(w, "GET"), 2);
    p->pauses = false;
    copal_resume(p->x);
    run(w, 10);
    assert_log(p, "2.05 0 bytes\nchunk 0 +64\nchunk 64 +64\n"
                  "chunk 128 +22 last\nend OK\n");
    assert_body(p, 150, 1);
}

static void cancelling_a_paused_download_ends_it(void **state)
{
    struct world *w = *state;
    struct party *p;

    serve_body(w, COPAL_GET, "/d", 0, 150);
    small_blocks(w);
    p = download(w, "coap://server/d");
    p->pauses = true;
    run(w, 10);
    copal_cancel(p->x);
    run(w, 10);
    assert_log(p, "2.05 0 bytes\nend ECANCEL\n");
}

static void a_change_amid_a_stream_ends_it(void **state)
{
    struct world *w = *state;
    struct tap *t = tap_client(w);
    struct party *p;

    copal_free(w->server);
    p = download(w, "coap://server/d");
    run(w, 0);
    play(w, t, "ACK 2.05 2:0/1/64 etag=0a", 0, body_of(64, 1));
    play(w, t, "ACK 2.05 2:1/0/64 etag=0b", 0, body_of(64, 2));
    assert_log(p, "2.05 0 bytes\nchunk 0 +64\nend ECHANGED\n");
}

static void an_error_amid_a_stream_is_not_its_end(void **state)
{
    static const char *const errors[] = {"ACK 4.04", "ACK 4.04 2:1/0/64",
                                         "ACK 5.03 2:0/0/64"};

    for (size_t i = 0; i < sizeof(errors) / sizeof(errors[0]); i++) {
        void *fixture;
        struct world *w;
        struct tap *t;
        struct party *p;

        assert_int_equal(build_bodies(&fixture), 0);
        w = fixture;
        t = tap_client(w);
        copal_free(w->server);
        w->server = NULL;
        p = download(w, "coap://server/d");
        run(w, 0);
        play(w, t, "ACK 2.05 2:0/1/64", 0, body_of(64, 1));
        play(w, t, errors[i], 0, (copal_bytes){0});
        assert_log(p, "2.05 0 bytes\nchunk 0 +64\nend ECHANGED\n");
        tear_down_bodies(&fixture);
    }
    (void)state;
}

static void a_server_that_gives_the_first_block_for_ever_is_left(void **state)
{
    struct world *w = *state;
    struct tap *t = tap_client(w);
    struct party *p;

    copal_free(w->server);
    p = download(w, "coap://server/d");
    run(w, 0);
    play(w, t, "ACK 2.05 2:0/1/64 etag=0a", 0, body_of(64, 1));
    play(w, t, "ACK 2.05 2:0/1/64 etag=0a", 0, body_of(64, 1));
    assert_log(p, "2.05 0 bytes\nchunk 0 +64\nend EFORMAT\n");
}

/* ---- Requests in CHUNKs ---- */

static struct party *serve_chunks(struct world *w)
{
    struct party *s = serve_body(w, 0, "/up", COPAL_STREAMED, 0);

    s->answer = COPAL_CHANGED;
    return s;
}

static void a_streamed_resource_gets_chunks(void **state)
{
    struct world *w = *state;
    struct party *s = serve_chunks(w), *p;

    small_blocks(w);
    p = ask_body(w, COPAL_PUT, "coap://server/up", 150);
    run(w, 10);
    assert_log(s, "PUT 0 bytes\nchunk 0 +64\nchunk 64 +64\n"
                  "chunk 128 +22 last\n");
    assert_body(s, 150, 1);
    assert_log(p, "2.04 0 bytes\nend OK\n");
    assert_transcript(w, "   0 client > server CON PUT 0001 /up 1:0/1/64 "
                         "(64 bytes)\n"
                         "   0 server > client ACK 2.31 0001 1:0/1/64\n"
                         "   0 client > server CON PUT 0002 /up 1:1/1/64 "
                         "(64 bytes)\n"
                         "   0 server > client ACK 2.31 0002 1:1/1/64\n"
                         "   0 client > server CON PUT 0003 /up 1:2/0/64 "
                         "(22 bytes)\n"
                         "   0 server > client ACK 2.04 0003 1:2/0/64\n");
}

static void short_and_empty_bodies_are_one_chunk(void **state)
{
    struct world *w = *state;
    struct party *s = serve_chunks(w), *p;

    p = ask_body(w, COPAL_PUT, "coap://server/up", 10);
    run(w, 10);
    assert_log(s, "PUT 0 bytes\nchunk 0 +10 last\n");
    assert_int_equal(p->code, COPAL_CHANGED);
    p = ask_body(w, COPAL_POST, "coap://server/up", 0);
    run(w, 10);
    assert_log(s, "PUT 0 bytes\nchunk 0 +10 last\n"
                  "POST 0 bytes\nchunk 0 +0 last\n");
    assert_int_equal(p->code, COPAL_CHANGED);
}

static void a_paused_upload_holds_the_sender_back(void **state)
{
    struct world *w = *state;
    struct party *s = serve_chunks(w), *p;

    small_blocks(w);
    s->holds = s->pauses = true;
    p = ask_body(w, COPAL_PUT, "coap://server/up", 100);
    run(w, 300000); /* longer than any lifetime, and nobody's fault but ours */
    assert_log(s, "PUT 0 bytes\n");
    assert_int_equal(count_in_transcript(w, "2.31"), 0);
    (void)p;
}

static void a_resumed_upload_goes_on(void **state)
{
    struct world *w = *state;
    struct party *s = serve_chunks(w), *p;

    small_blocks(w);
    s->holds = s->pauses = true;
    p = ask_body(w, COPAL_PUT, "coap://server/up", 100);
    run(w, 1000);
    copal_resume(s->x);
    run(w, 1000);
    assert_log(s, "PUT 0 bytes\nchunk 0 +64\n");
    assert_int_equal(count_in_transcript(w, "2.31"), 0);
    copal_resume(s->x);
    run(w, 1000);
    assert_log(s, "PUT 0 bytes\nchunk 0 +64\nchunk 64 +36 last\n");
    copal_resume(s->x);
    assert_int_equal(give(s), 0);
    run(w, 10);
    assert_body(s, 100, 1);
    assert_log(p, "2.04 0 bytes\nend OK\n");
    release(s);
}

static void a_handler_may_refuse_before_the_body_is_there(void **state)
{
    struct world *w = *state;
    struct party *s = serve_chunks(w), *p;

    small_blocks(w);
    s->holds = s->pauses = true;
    s->answer = COPAL_FORBIDDEN;
    p = ask_body(w, COPAL_PUT, "coap://server/up", 1000);
    run(w, 10);
    assert_int_equal(give(s), 0);
    release(s);
    run(w, 10);
    assert_log(s, "PUT 0 bytes\n");
    assert_log(p, "4.03 0 bytes\nend OK\n");
    assert_int_equal(count_in_transcript(w, "PUT"), 1);
}

static void a_handler_may_be_content_early(void **state)
{
    struct world *w = *state;
    struct party *s = serve_chunks(w), *p;

    small_blocks(w);
    s->holds = s->pauses = true;
    p = ask_body(w, COPAL_PUT, "coap://server/up", 1000);
    run(w, 10);
    assert_int_equal(give(s), 0);
    release(s);
    run(w, 10);
    assert_log(p, "2.04 0 bytes\nend OK\n");
    assert_int_equal(count_in_transcript(w, "PUT"), 1);
}

static void a_sender_who_leaves_ends_the_stream(void **state)
{
    struct world *w = *state;
    struct party *s = serve_chunks(w), *p;

    small_blocks(w);
    copal_sim_set_path(w->sim, NULL, NULL, (copal_sim_path){.delay = 10});
    p = ask_body(w, COPAL_PUT, "coap://server/up", 1000);
    run(w, 35);
    copal_cancel(p->x);
    run(w, 240000);
    assert_log(s, "PUT 0 bytes\nchunk 0 +64\nchunk 64 +64\nend ETIMEOUT\n");
}

/* Under the same Request-Tag: RFC 9175 3.3. */
static struct party *put_tagged(struct world *w, size_t size)
{
    copal_msg *m = request_of(w, COPAL_PUT, "coap://server/up", size);

    copal_msg_add(m, COPAL_OPT_REQUEST_TAG, piece_of("t"));
    return send_request(w, m);
}

static void a_sender_who_begins_again_ends_the_stream(void **state)
{
    struct world *w = *state;
    struct party *s = serve_chunks(w), *p;

    small_blocks(w);
    copal_sim_set_path(w->sim, NULL, NULL, (copal_sim_path){.delay = 10});
    p = put_tagged(w, 1000);
    run(w, 15);
    copal_cancel(p->x);
    run(w, 10);
    p = put_tagged(w, 100);
    run(w, 1000);
    assert_log(s, "PUT 0 bytes\nchunk 0 +64\nend ECLOSED\nPUT 0 bytes\n"
                  "chunk 0 +64\nchunk 64 +36 last\n");
    assert_log(p, "2.04 0 bytes\nend OK\n");
}

static void a_handler_that_forgets_the_exchange_answers_5_00(void **state)
{
    struct world *w = *state;
    struct party *s = serve_chunks(w), *p;

    small_blocks(w);
    s->pauses = true; /* so it does not answer */
    p = ask_body(w, COPAL_PUT, "coap://server/up", 10);
    run(w, 10);
    assert_log(p, "5.00 0 bytes\nend OK\n");
}

static void streams_on_both_sides_meet(void **state)
{
    struct world *w = *state;
    struct party *s = serve_chunks(w), *p;

    p = upload(w, 100000, false);
    run(w, 10);
    assert_int_equal(p->code, COPAL_CHANGED);
    assert_body(s, 100000, 1);
}

static void progress_of_a_pulled_body_knows_the_total_if_told(void **state)
{
    struct world *w = *state;
    struct party *p;
    copal_msg *m = streaming(w, COPAL_PUT, "coap://server/up", 0,
                             COPAL_STREAM_OUT | COPAL_TELL_PROGRESS);

    serve_body(w, COPAL_PUT, "/up", 0, 0);
    small_blocks(w);
    copal_msg_add_uint(m, COPAL_OPT_SIZE1, 100);
    p = send_request(w, m);
    p->size = 100;
    run(w, 10);
    assert_log(p, "pull 0 +64\nprogress 64 of 100\npull 64 +64\n"
                  "progress 100 of 100\n2.05 0 bytes\nend OK\n");
}

/* ---- Weather ---- */

static void streams_in_weather(struct world *w)
{
    struct party *s = serve_body(w, COPAL_POST, "/up", COPAL_STREAMED, 2500);
    struct party *p;

    s->flags = COPAL_STREAM_OUT;
    p = send_request(w, streaming(w, COPAL_POST, "coap://server/up", 0,
                                  COPAL_STREAM_OUT | COPAL_STREAM_IN));
    p->size = 3000;
    run(w, 600000);
    assert_int_equal(p->ends, 1);
    if (p->status == 0) {
        assert_int_equal(p->code, COPAL_CONTENT);
        assert_body(p, 2500, 1);
        assert_body(s, 3000, 1);
    } else {
        assert_int_equal(p->status, COPAL_ETIMEOUT);
    }
    assert_in_range(s->requests, 0, 1);
}

static void streams_survive_bad_weather(void **state)
{
    (void)state;
    bodies_in_bad_weather(streams_in_weather, 50);
}

static void streams_once(struct world *w)
{
    struct party *s = serve_body(w, COPAL_POST, "/up", COPAL_STREAMED, 2500);
    struct party *p;

    s->flags = COPAL_STREAM_OUT;
    p = send_request(w, streaming(w, COPAL_POST, "coap://server/up", 0,
                                  COPAL_STREAM_OUT | COPAL_STREAM_IN));
    p->size = 3000;
    run(w, 600000);
    if (!memory_failed(w))
        assert_body(p, 2500, 1);
    else if (p->is_asked && p->ends == 0)
        copal_cancel(p->x); /* its write failed: nobody tried again */
    run(w, 600000);
}

static void streams_survive_every_failed_allocation(void **state)
{
    (void)state;
    bodies_with_failed_allocations(streams_once);
}

#define TEST(name) \
    cmocka_unit_test_setup_teardown(name, build_bodies, tear_down_bodies)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(an_answer_is_pulled_block_by_block),
        cmocka_unit_test(pulled_answers_of_any_size_are_whole),
        TEST(a_stream_that_cannot_be_kept_leaves_nothing_behind),
        TEST(a_pull_answered_late_is_acknowledged_meanwhile),
        TEST(a_block_asked_for_meanwhile_is_not_given_anothers_bytes),
        TEST(a_lost_block_is_repeated_and_not_pulled_twice),
        TEST(an_asker_who_leaves_ends_the_stream),
        TEST(an_asker_who_resets_a_block_ends_it_at_once),
        TEST(an_asker_who_begins_again_ends_the_first_stream),
        TEST(a_stream_may_begin_in_the_middle),
        TEST(an_uploaded_question_has_a_streamed_answer),
        TEST(a_request_is_pulled_block_by_block),
        cmocka_unit_test(pulled_requests_of_any_size_are_whole),
        TEST(a_pull_follows_the_size_the_server_prefers),
        TEST(an_upload_may_take_its_time),
        TEST(writing_out_of_turn_is_told),
        TEST(a_request_that_pulls_nothing_takes_no_writes),
        TEST(cancelling_amid_an_upload_takes_the_pull_back),
        TEST(an_answer_amid_an_upload_ends_it),
        TEST(an_answer_comes_as_chunks),
        TEST(a_short_answer_is_one_chunk),
        TEST(an_error_is_no_stream),
        TEST(a_streamed_answer_may_be_longer_than_max_body),
        TEST(a_paused_download_asks_for_nothing),
        TEST(cancelling_a_paused_download_ends_it),
        TEST(a_change_amid_a_stream_ends_it),
        cmocka_unit_test(an_error_amid_a_stream_is_not_its_end),
        TEST(a_server_that_gives_the_first_block_for_ever_is_left),
        TEST(a_streamed_resource_gets_chunks),
        TEST(short_and_empty_bodies_are_one_chunk),
        TEST(a_paused_upload_holds_the_sender_back),
        TEST(a_resumed_upload_goes_on),
        TEST(a_handler_may_refuse_before_the_body_is_there),
        TEST(a_handler_may_be_content_early),
        TEST(a_sender_who_leaves_ends_the_stream),
        TEST(a_sender_who_begins_again_ends_the_stream),
        TEST(a_handler_that_forgets_the_exchange_answers_5_00),
        TEST(streams_on_both_sides_meet),
        TEST(progress_of_a_pulled_body_knows_the_total_if_told),
        cmocka_unit_test(streams_survive_bad_weather),
        cmocka_unit_test(streams_survive_every_failed_allocation),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
