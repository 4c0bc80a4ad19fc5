/* Transfers that broke off and go on: copal_msg_resume(), and blocks asked for
 * one by one, RFC 7959 2.4. */
#include "bodies.h"

static copal_bytes etag_of(const char *text)
{
    return (copal_bytes){(const uint8_t *)text, strlen(text)};
}

static copal_msg *rest_of(struct world *w, uint64_t offset, const char *etag)
{
    copal_msg *m = request_of(w, COPAL_GET, "coap://server/x", 0);

    assert_int_equal(copal_msg_resume(m, offset, etag_of(etag)), 0);
    return m;
}

/* The rest of body_of(size, version) from offset on. */
static void assert_rest(const struct party *p, size_t size, unsigned version,
                        size_t offset)
{
    assert_int_equal(p->len, size - offset);
    assert_memory_equal(p->body, body_of(size, version).data + offset,
                        size - offset);
}

static struct party *serve_tagged(struct world *w, size_t size)
{
    struct party *s = serve_body(w, 0, "/x", 0, size);

    s->etag = "e";
    return s;
}

/* ---- Downloads ---- */

static void a_download_goes_on_where_it_broke_off(void **state)
{
    struct world *w = *state;
    struct party *p;

    serve_tagged(w, 350);
    tune(w->server, COPAL_P_BLOCK_SIZE, 128);
    tune(w->client, COPAL_P_BLOCK_SIZE, 128);
    p = send_request(w, rest_of(w, 128, "e"));
    run(w, 10);
    assert_log(p, "2.05 222 bytes\nend OK\n");
    assert_rest(p, 350, 1, 128);
    assert_int_equal(copal_msg_uint(p->msg, COPAL_OPT_BLOCK2), COPAL_ENOENT);
    assert_transcript(
        w, "   0 client > server CON GET 0001 /x 2:1/0/128\n"
           "   0 server > client ACK 2.05 0001 2:1/1/128 etag=65 (128 bytes)\n"
           "   0 client > server CON GET 0002 /x 2:2/0/128\n"
           "   0 server > client ACK 2.05 0002 2:2/0/128 etag=65 (94 bytes)\n");
}

static void a_download_goes_on_at_any_byte(void **state)
{
    static const uint64_t offsets[] = {0, 1, 15, 16, 17, 100, 127, 128, 1000};

    (void)state;
    for (size_t i = 0; i < sizeof(offsets) / sizeof(*offsets); i++)
        for (int streams = 0; streams < 2; streams++) {
            void *fixture;
            struct world *w;
            struct party *p;
            copal_msg *m;

            build_bodies(&fixture);
            w = fixture;
            serve_tagged(w, 1001);
            tune(w->server, COPAL_P_BLOCK_SIZE, 16); /* smaller than asked */
            tune(w->client, COPAL_P_BLOCK_SIZE, 64);
            m = rest_of(w, offsets[i], "e");
            if (streams)
                copal_msg_set_flags(m, COPAL_STREAM_IN);
            p = send_request(w, m);
            run(w, 10);
            assert_int_equal(p->status, 0);
            assert_int_equal(p->code, streams ? p->code : COPAL_CONTENT);
            if (streams) { /* at their places in the whole */
                assert_int_equal(p->len, 1001);
                assert_memory_equal(p->body + offsets[i],
                                    body_of(1001, 1).data + offsets[i],
                                    1001 - offsets[i]);
            } else {
                assert_rest(p, 1001, 1, offsets[i]);
            }
            tear_down_bodies(&fixture);
        }
}

static void a_streamed_download_goes_on_with_the_next_chunk(void **state)
{
    struct world *w = *state;
    copal_msg *m;
    struct party *p;

    serve_tagged(w, 350);
    tune(w->client, COPAL_P_BLOCK_SIZE, 128);
    m = rest_of(w, 200, "e");
    copal_msg_set_flags(m, COPAL_STREAM_IN);
    p = send_request(w, m);
    run(w, 10);
    assert_log(p, "2.05 0 bytes\nchunk 200 +56\nchunk 256 +94 last\nend OK\n");
}

static void progress_of_the_rest_counts_from_the_beginning(void **state)
{
    struct world *w = *state;
    copal_msg *m;
    struct party *p;

    serve_tagged(w, 350);
    tune(w->client, COPAL_P_BLOCK_SIZE, 128);
    m = rest_of(w, 130, "e");
    copal_msg_set_flags(m, COPAL_TELL_PROGRESS);
    p = send_request(w, m);
    run(w, 10);
    assert_log(p, "progress 256 of 350\nprogress 350 of 350\n"
                  "2.05 220 bytes\nend OK\n");
}

static void another_representation_ends_with_echanged(void **state)
{
    struct world *w = *state;
    struct party *s = serve_tagged(w, 3000), *p;

    p = send_request(w, rest_of(w, 1024, "f"));
    run(w, 10);
    assert_log(p, "end ECHANGED\n");
    run(w, 300000); /* what was kept of it is forgotten */
    s->etag = NULL; /* then it is one of the library's */
    p = send_request(w, rest_of(w, 1024, "e"));
    run(w, 10);
    assert_log(p, "end ECHANGED\n");
}

static void the_etag_of_the_first_try_fits_the_second(void **state)
{
    struct world *w = *state;
    struct party *s = serve_body(w, COPAL_GET, "/x", 0, 3000), *p;
    copal_msg *m;
    copal_bytes etag;

    p = ask_body(w, COPAL_GET, "coap://server/x", 0);
    run(w, 10);
    assert_int_equal(copal_msg_value(p->msg, COPAL_OPT_ETAG, 0, &etag), 0);
    m = request_of(w, COPAL_GET, "coap://server/x", 0);
    assert_int_equal(copal_msg_resume(m, 2048, etag), 0);
    p = send_request(w, m);
    run(w, 10);
    assert_rest(p, 3000, 1, 2048);
    s->version = 2;
    m = request_of(w, COPAL_GET, "coap://server/x", 0);
    assert_int_equal(copal_msg_resume(m, 2048, etag), 0);
    p = send_request(w, m);
    run(w, 10);
    assert_log(p, "end ECHANGED\n");
}

/* What came before is the old one's: there is no beginning again. */
static void a_change_amid_the_rest_ends_it(void **state)
{
    struct world *w = *state;
    struct tap *t = tap_client(w);
    struct party *p;

    copal_free(w->server);
    tune(w->client, COPAL_P_BLOCK_SIZE, 64);
    p = send_request(w, rest_of(w, 64, "e"));
    run(w, 0);
    play(w, t, "ACK 2.05 2:1/1/64 etag=65", 0, body_of(64, 1));
    assert_int_equal(t->count, 2);
    play(w, t, "ACK 2.05 2:2/1/64 etag=66", 0, body_of(64, 1));
    assert_log(p, "end ECHANGED\n");
}

static void a_server_that_gives_all_of_it_gave_the_rest_too(void **state)
{
    struct world *w = *state;
    struct tap *t = tap_client(w);
    struct party *p;

    copal_free(w->server);
    p = send_request(w, rest_of(w, 100, "e"));
    run(w, 0);
    play(w, t, "ACK 2.05 etag=65", 0, body_of(150, 1));
    assert_log(p, "2.05 50 bytes\nend OK\n");
    assert_rest(p, 150, 1, 100);
    p = send_request(w, rest_of(w, 151, "e"));
    run(w, 0);
    play(w, t, "ACK 2.05 etag=65", 0, body_of(150, 1));
    assert_log(p, "end EFORMAT\n");
    p = send_request(w, rest_of(w, 2048, "e")); /* another block: not this */
    run(w, 0);
    play(w, t, "ACK 2.05 2:0/1/1024 etag=65", 0, body_of(1024, 1));
    assert_log(p, "end EFORMAT\n");
}

static void an_error_instead_of_the_rest_is_the_answer(void **state)
{
    struct world *w = *state;
    struct party *p;

    serve_tagged(w, 350);
    p = send_request(w, rest_of(w, 2048, "e")); /* behind its end */
    run(w, 10);
    assert_log(p, "4.00 0 bytes\nend OK\n");
    copal_unserve(w->server, "/x");
    p = send_request(w, rest_of(w, 64, "e"));
    run(w, 10);
    assert_log(p, "4.04 0 bytes\nend OK\n");
}

static void max_body_is_about_what_is_kept(void **state)
{
    struct world *w = *state;
    struct party *p;

    serve_tagged(w, 5000);
    tune(w->client, COPAL_P_MAX_BODY, 1000);
    p = send_request(w, rest_of(w, 4096, "e"));
    run(w, 10);
    assert_rest(p, 5000, 1, 4096);
    p = send_request(w, rest_of(w, 3072, "e"));
    run(w, 10);
    assert_log(p, "end ELIMIT\n");
}

static void a_rest_is_not_kept_as_the_whole(void **state)
{
    struct world *w = *state;
    struct party *p;

    serve_tagged(w, 3000);
    tune(w->client, COPAL_P_CACHE_MEMORY, 65536);
    p = send_request(w, rest_of(w, 2048, "e"));
    run(w, 10);
    assert_rest(p, 3000, 1, 2048);
    p = ask_body(w, COPAL_GET, "coap://server/x", 0);
    run(w, 10);
    assert_body(p, 3000, 1);
    p = send_request(w, rest_of(w, 2048, "e")); /* nor the whole as the rest */
    run(w, 10);
    assert_rest(p, 3000, 1, 2048);
}

/* ---- Uploads ---- */

static copal_msg *tagged_upload(struct world *w, size_t size, const char *tag)
{
    copal_msg *m = request_of(w, COPAL_PUT, "coap://server/x", size);

    if (tag != NULL)
        copal_msg_add(m, COPAL_OPT_REQUEST_TAG, etag_of(tag));
    return m;
}

static void an_upload_goes_on_where_it_broke_off(void **state)
{
    struct world *w = *state;
    struct party *s = serve_body(w, COPAL_PUT, "/x", 0, 0), *p;
    copal_msg *m;

    tune(w->client, COPAL_P_BLOCK_SIZE, 128);
    copal_sim_set_path(w->sim, NULL, NULL, (copal_sim_path){.delay = 10});
    p = send_request(w, tagged_upload(w, 350, "t"));
    run(w, 35); /* two blocks are there, the answer to the second is not */
    copal_cancel(p->x);
    run(w, 965);
    m = tagged_upload(w, 350, "t");
    assert_int_equal(copal_msg_resume(m, 128, (copal_bytes){0}), 0);
    p = send_request(w, m);
    run(w, 1000);
    assert_log(p, "2.05 0 bytes\nend OK\n");
    assert_int_equal(s->requests, 1);
    assert_body(s, 350, 1);
    assert_transcript(
        w, "   0 client > server CON PUT 0001 /x 1:0/1/128 tag=74 (128 bytes)\n"
           "  10 server > client ACK 2.31 0001 1:0/1/128\n"
           "  20 client > server CON PUT 0002 /x 1:1/1/128 tag=74 (128 bytes)\n"
           "  30 server > client ACK 2.31 0002 1:1/1/128\n"
           "1000 client > server CON PUT 0003 /x 1:1/1/128 tag=74 (128 bytes)\n"
           "1010 server > client ACK 2.31 0003 1:1/1/128\n"
           "1020 client > server CON PUT 0004 /x 1:2/0/128 tag=74 (94 bytes)\n"
           "1030 server > client ACK 2.05 0004 1:2/0/128\n");
}

static void an_upload_without_a_tag_goes_on_without_one(void **state)
{
    struct world *w = *state;
    struct party *s = serve_body(w, COPAL_PUT, "/x", 0, 0), *p;
    copal_msg *m;

    copal_sim_set_path(w->sim, NULL, NULL, (copal_sim_path){.delay = 10});
    p = send_request(w, tagged_upload(w, 3000, NULL));
    run(w, 35);
    copal_cancel(p->x);
    run(w, 10);
    m = tagged_upload(w, 3000, NULL);
    assert_int_equal(copal_msg_resume(m, 1024, (copal_bytes){0}), 0);
    p = send_request(w, m);
    run(w, 1000);
    assert_log(p, "2.05 0 bytes\nend OK\n");
    assert_body(s, 3000, 1);
}

static void a_streamed_upload_is_pulled_from_there(void **state)
{
    struct world *w = *state;
    struct party *s = serve_body(w, COPAL_PUT, "/x", COPAL_STREAMED, 0), *p;
    copal_msg *m = tagged_upload(w, 0, "t");

    tune(w->client, COPAL_P_BLOCK_SIZE, 64);
    copal_sim_set_path(w->sim, NULL, NULL, (copal_sim_path){.delay = 10});
    copal_msg_set_flags(m, COPAL_STREAM_OUT);
    p = send_request(w, m);
    p->size = 300;
    run(w, 45);
    copal_cancel(p->x);
    m = tagged_upload(w, 0, "t");
    copal_msg_set_flags(m, COPAL_STREAM_OUT);
    assert_int_equal(copal_msg_resume(m, 192, (copal_bytes){0}), 0);
    p = send_request(w, m);
    p->size = 300;
    run(w, 1000);
    assert_log(p, "pull 192 +64\npull 256 +64\n2.05 0 bytes\nend OK\n");
    assert_body(s, 300, 1);
}

/* The first block is with a handler that takes its time. */
static struct party *ask_a_slow_handler(struct world *w, struct party *s,
                                        const char *tag)
{
    struct party *p;

    s->pauses = true;
    tune(w->client, COPAL_P_BLOCK_SIZE, 64);
    p = send_request(w, tagged_upload(w, 150, tag));
    run(w, 0);
    copal_resume(s->x);
    run(w, 500);
    assert_int_equal(s->chunks % 3, 1);
    return p;
}

static struct party *go_on_at(struct world *w, uint64_t offset)
{
    copal_msg *m = tagged_upload(w, 150, "t");

    assert_int_equal(copal_msg_resume(m, offset, (copal_bytes){0}), 0);
    return send_request(w, m);
}

static void an_upload_left_to_a_slow_handler_goes_on(void **state)
{
    struct world *w = *state;
    struct party *s = serve_body(w, COPAL_PUT, "/x", COPAL_STREAMED, 0), *p;

    p = ask_a_slow_handler(w, s, "t");
    run(w, 500);
    copal_cancel(p->x);
    copal_resume(s->x); /* 2.31, rejected */
    run(w, 14000);
    assert_log(s, "PUT 0 bytes\nchunk 0 +64\n");
    s->pauses = false;
    p = go_on_at(w, 64);
    run(w, 1000);
    assert_log(p, "2.05 0 bytes\nend OK\n");
    assert_log(s, "PUT 0 bytes\nchunk 0 +64\nchunk 64 +64\n"
                  "chunk 128 +22 last\n");
    assert_body(s, 150, 1);
    assert_transcript(
        w, "   0 client > server CON PUT 0001 /x 1:0/1/64 tag=74 (64 bytes)\n"
           " 250 server > client ACK empty 0001\n"
           "1000 server > client CON 2.31 0001 1:0/1/64\n"
           "1000 client > server RST empty 0001\n"
           "15000 client > server CON PUT 0002 /x 1:1/1/64 tag=74 (64 bytes)\n"
           "15000 server > client ACK 2.31 0002 1:1/1/64\n"
           "15000 client > server CON PUT 0003 /x 1:2/0/64 tag=74 (22 bytes)\n"
           "15000 server > client ACK 2.05 0003 1:2/0/64\n");
}

/* The client knows of no answer to it, so it begins with the same block. */
static void the_block_whose_answer_was_rejected_may_come_again(void **state)
{
    struct world *w = *state;
    struct party *s = serve_body(w, COPAL_PUT, "/x", COPAL_STREAMED, 0), *p;

    p = ask_a_slow_handler(w, s, "t");
    copal_resume(s->x);
    run(w, 1000); /* the second block waits now */
    copal_cancel(p->x);
    copal_resume(s->x); /* 2.31, rejected */
    run(w, 14000);
    assert_int_equal(s->ends, 0);
    s->pauses = false;
    p = go_on_at(w, 64);
    run(w, 1000);
    assert_log(p, "2.05 0 bytes\nend OK\n");
    assert_int_equal(s->chunks, 3);
    assert_body(s, 150, 1);
}

static void an_upload_left_goes_on_after_silence_as_after_reset(void **state)
{
    struct world *w = *state;
    struct party *s = serve_body(w, COPAL_PUT, "/x", COPAL_STREAMED, 0), *p;

    p = ask_a_slow_handler(w, s, "t");
    copal_cancel(p->x);
    copal_sim_lose(w->sim, "server", 5); /* 2.31, to the last repeat of it */
    copal_resume(s->x);
    run(w, 100000);
    assert_int_equal(s->ends, 0);
    s->pauses = false;
    p = go_on_at(w, 64);
    run(w, 1000);
    assert_log(p, "2.05 0 bytes\nend OK\n");
    assert_body(s, 150, 1);
}

static void an_upload_left_ends_with_its_lifetime(void **state)
{
    struct world *w = *state;
    struct party *s = serve_body(w, COPAL_PUT, "/x", COPAL_STREAMED, 0), *p;

    p = ask_a_slow_handler(w, s, "t");
    copal_cancel(p->x);
    copal_resume(s->x);
    run(w, 230000);
    assert_int_equal(s->ends, 0);
    run(w, 20000); /* EXCHANGE_LIFETIME is 232 s where ACK_RANDOM is 1 */
    assert_log(s, "PUT 0 bytes\nchunk 0 +64\nend ETIMEOUT\n");
    p = go_on_at(w, 64);
    run(w, 1000);
    assert_log(p, "4.08 0 bytes\nend OK\n");
}

/* Who leaves again and again is not refused for what lies about of him. */
static void uploads_left_give_way_to_the_next_of_the_same_peer(void **state)
{
    struct world *w = *state;
    struct party *s = serve_body(w, COPAL_PUT, "/x", COPAL_STREAMED, 0), *p;
    char tag[2] = "a";

    for (unsigned i = 0; i < 6; i++, tag[0]++) {
        s->chunks = 0;
        p = ask_a_slow_handler(w, s, tag);
        copal_cancel(p->x);
        copal_resume(s->x); /* 2.31, rejected */
        run(w, 500);
    }
    assert_int_equal(s->requests, 6);
    assert_int_equal(s->ends, 2);
    assert_int_equal(s->status, COPAL_ETIMEOUT);
}

/* A smaller size was agreed on: the place is no multiple of ours. */
static void an_upload_goes_on_at_a_smaller_block(void **state)
{
    struct world *w = *state;
    struct party *s = serve_body(w, COPAL_PUT, "/x", 0, 0), *p;
    copal_msg *m;

    tune(w->server, COPAL_P_BLOCK_SIZE, 32);
    copal_sim_set_path(w->sim, NULL, NULL, (copal_sim_path){.delay = 10});
    m = tagged_upload(w, 350, "t");
    copal_msg_tune(m, COPAL_P_BLOCK_SIZE, 128);
    p = send_request(w, m);
    run(w, 35);
    copal_cancel(p->x);
    m = tagged_upload(w, 350, "t");
    copal_msg_tune(m, COPAL_P_BLOCK_SIZE, 128);
    assert_int_equal(copal_msg_resume(m, 160, (copal_bytes){0}), 0);
    p = send_request(w, m);
    run(w, 1000);
    assert_log(p, "2.05 0 bytes\nend OK\n");
    assert_body(s, 350, 1);
}

static void what_the_server_forgot_is_told_by_4_08(void **state)
{
    struct world *w = *state;
    struct party *s = serve_body(w, COPAL_PUT, "/x", 0, 0), *p;
    copal_msg *m = tagged_upload(w, 3000, "t");

    assert_int_equal(copal_msg_resume(m, 1024, (copal_bytes){0}), 0);
    p = send_request(w, m);
    run(w, 10);
    assert_log(p, "4.08 0 bytes\nend OK\n");
    assert_int_equal(s->requests, 0);
}

/* ---- What cannot go on ---- */

static void what_cannot_go_on_is_refused_at_once(void **state)
{
    struct world *w = *state;
    copal_msg *get = request_of(w, COPAL_GET, "coap://server/x", 0);
    copal_msg *put = request_of(w, COPAL_PUT, "coap://server/x", 100);
    copal_bytes none = {0};

    assert_int_equal(copal_msg_resume(get, 16, none), COPAL_EINVAL);
    assert_non_null(strstr(copal_why(w->client), "ETag"));
    assert_int_equal(copal_msg_resume(get, 16, etag_of("123456789")),
                     COPAL_EINVAL);
    assert_int_equal(copal_msg_resume(get, UINT64_C(1) << 30, etag_of("e")),
                     COPAL_EINVAL);
    assert_int_equal(copal_msg_resume(put, 16, etag_of("e")), COPAL_EINVAL);
    assert_int_equal(copal_msg_resume(put, 17, none), COPAL_EINVAL);
    assert_int_equal(copal_msg_resume(put, 16, none), 0);
    copal_msg_unref(get);
    copal_msg_unref(put);
}

static void nothing_follows_the_end_of_an_upload(void **state)
{
    struct world *w = *state;
    copal_msg *m = tagged_upload(w, 2048, "t");
    struct party *p;

    assert_int_equal(copal_msg_resume(m, 2048, (copal_bytes){0}), 0);
    p = send_request(w, m);
    run(w, 10);
    assert_log(p, "end EINVAL\n");
    m = request_of(w, COPAL_GET, "coap://server/x", 0);
    copal_msg_add_uint(m, COPAL_OPT_OBSERVE, 0);
    copal_msg_resume(m, 64, etag_of("e"));
    p = send_request(w, m);
    run(w, 10);
    assert_log(p, "end EINVAL\n");
    assert_transcript(w, "");
}

static void a_copy_goes_on_at_the_same_place(void **state)
{
    struct world *w = *state;
    copal_msg *m = rest_of(w, 2048, "e");
    struct party *p;

    serve_tagged(w, 3000);
    p = send_request(w, copal_msg_copy(m));
    copal_msg_unref(m);
    run(w, 10);
    assert_rest(p, 3000, 1, 2048);
}

/* ---- Blocks one by one: a Block2 of the user's own ---- */

static void each_block_may_be_asked_for_by_itself(void **state)
{
    struct world *w = *state;

    serve_tagged(w, 350);
    for (unsigned i = 5; i > 0; i--) { /* in any order */
        struct party *p;
        char text[64];
        size_t n = i < 5 ? 64 : 30;

        snprintf(text, sizeof(text), "GET coap://server/x 2:%u/0/64", i);
        p = send_request(w, message_of(w->client, text));
        run(w, 10);
        assert_int_equal(p->responses, 1);
        assert_int_equal(p->len, n);
        assert_memory_equal(p->body, body_of(350, 1).data + 64 * i, n);
        assert_int_equal(copal_msg_uint(p->msg, COPAL_OPT_BLOCK2) >> 4, i);
    }
    assert_int_equal(count_in_transcript(w, "CON GET"), 5);
}

/* Number 0 proposes a size for all of them: RFC 7959 2.4. */
static void block_0_is_a_wish_for_a_size(void **state)
{
    struct world *w = *state;
    struct party *p;

    serve_tagged(w, 350);
    p = send_request(w, message_of(w->client, "GET coap://server/x 2:0/0/64"));
    run(w, 10);
    assert_body(p, 350, 1);
    assert_int_equal(count_in_transcript(w, "CON GET"), 6);
}

/* ---- Weather ---- */

static void rest_in_weather(struct world *w)
{
    struct party *p;

    serve_tagged(w, 3000);
    tune(w->client, COPAL_P_BLOCK_SIZE, 256);
    p = send_request(w, rest_of(w, 1000, "e"));
    run(w, 600000);
    assert_int_equal(p->ends, 1);
    if (p->status == 0)
        assert_rest(p, 3000, 1, 1000);
    else
        assert_int_equal(p->status, COPAL_ETIMEOUT);
}

/* Broken off wherever it was; then on from the last place that was told. */
static void upload_in_weather(struct world *w)
{
    struct party *s = serve_body(w, COPAL_PUT, "/x", 0, 0), *p;
    copal_msg *m = tagged_upload(w, 3000, "t");
    uint64_t at = 0;

    tune(w->client, COPAL_P_BLOCK_SIZE, 256);
    copal_msg_set_flags(m, COPAL_TELL_PROGRESS);
    p = send_request(w, m);
    run(w, 3000);
    at = 256 * (uint64_t)p->progresses;
    if (p->ends == 0) {
        copal_cancel(p->x);
        run(w, 1);
        m = tagged_upload(w, 3000, "t");
        assert_int_equal(copal_msg_resume(m, at, (copal_bytes){0}), 0);
        p = send_request(w, m);
    }
    run(w, 600000);
    assert_int_equal(p->ends, 1);
    assert_in_range(s->requests, 0, 1);
    if (s->requests > 0)
        assert_body(s, 3000, 1);
}

static void a_rest_survives_bad_weather(void **state)
{
    (void)state;
    bodies_in_bad_weather(rest_in_weather, 50);
}

static void an_upload_that_goes_on_survives_bad_weather(void **state)
{
    (void)state;
    bodies_in_bad_weather(upload_in_weather, 50);
}

static void rest_once(struct world *w)
{
    copal_msg *m = request_of(w, COPAL_GET, "coap://server/x", 0);
    struct party *p;

    serve_tagged(w, 3000);
    copal_msg_resume(m, 1000, etag_of("e"));
    p = send_request(w, m);
    run(w, 600000);
    assert_int_equal(p->ends, p->is_asked);
    if (!memory_failed(w))
        assert_rest(p, 3000, 1, 1000);
}

static void a_rest_survives_every_failed_allocation(void **state)
{
    (void)state;
    bodies_with_failed_allocations(rest_once);
}

#define TEST(name) \
    cmocka_unit_test_setup_teardown(name, build_bodies, tear_down_bodies)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_download_goes_on_where_it_broke_off),
        cmocka_unit_test(a_download_goes_on_at_any_byte),
        TEST(a_streamed_download_goes_on_with_the_next_chunk),
        TEST(progress_of_the_rest_counts_from_the_beginning),
        TEST(another_representation_ends_with_echanged),
        TEST(the_etag_of_the_first_try_fits_the_second),
        TEST(a_change_amid_the_rest_ends_it),
        TEST(a_server_that_gives_all_of_it_gave_the_rest_too),
        TEST(an_error_instead_of_the_rest_is_the_answer),
        TEST(max_body_is_about_what_is_kept),
        TEST(a_rest_is_not_kept_as_the_whole),
        TEST(an_upload_goes_on_where_it_broke_off),
        TEST(an_upload_without_a_tag_goes_on_without_one),
        TEST(a_streamed_upload_is_pulled_from_there),
        TEST(an_upload_left_to_a_slow_handler_goes_on),
        TEST(the_block_whose_answer_was_rejected_may_come_again),
        TEST(an_upload_left_goes_on_after_silence_as_after_reset),
        TEST(an_upload_left_ends_with_its_lifetime),
        TEST(uploads_left_give_way_to_the_next_of_the_same_peer),
        TEST(an_upload_goes_on_at_a_smaller_block),
        TEST(what_the_server_forgot_is_told_by_4_08),
        TEST(what_cannot_go_on_is_refused_at_once),
        TEST(nothing_follows_the_end_of_an_upload),
        TEST(a_copy_goes_on_at_the_same_place),
        TEST(each_block_may_be_asked_for_by_itself),
        TEST(block_0_is_a_wish_for_a_size),
        cmocka_unit_test(a_rest_survives_bad_weather),
        cmocka_unit_test(an_upload_that_goes_on_survives_bad_weather),
        cmocka_unit_test(a_rest_survives_every_failed_allocation),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
