/* What a transfer may take, claim or repeat: RFC 7959 2.5, 2.9, 4 and 7. */
#include "bodies.h"

static copal_stats stats_of(const copal *c)
{
    copal_stats s = {.size = sizeof(s)};

    copal_get_stats(c, &s);
    return s;
}

static copal_bytes part(size_t n, unsigned version, size_t offset, size_t size)
{
    copal_bytes body = body_of(n, version);
    size_t left = offset < n ? n - offset : 0;

    return (copal_bytes){body.data + offset, left < size ? left : size};
}

/* A request of blocks that the test writes itself. */
static struct party *raw(struct world *w, const char *text, copal_bytes payload)
{
    copal_msg *m = message_of(w->client, text);
    struct party *p;

    copal_msg_set_flags(m, COPAL_RAW_BLOCKS);
    if (payload.len > 0)
        copal_msg_set_payload(m, copal_msg_format(m), payload);
    p = send_request(w, m);
    run(w, 10);
    return p;
}

/* The code that a block of a body at path gets; half a block if it is last. */
static int put(struct world *w, const char *path, unsigned num, bool more,
               unsigned size)
{
    char text[128];
    size_t len = more ? size : size / 2;

    snprintf(text, sizeof(text), "PUT coap://server%s 1:%u/%d/%u", path, num,
             more, size);
    return raw(w, text, part(100000, 1, (size_t)num * size, len))->code;
}

/* ---- Room: RFC 7959 7.1 ---- */

static void bodies_of_one_peer_have_max_body_together(void **state)
{
    struct world *w = *state;
    struct party *s = serve_body(w, COPAL_PUT, "/x/{n}", 0, 0);

    tune(w->server, COPAL_P_MAX_BODY, 3000);
    assert_int_equal(put(w, "/x/1", 0, true, 1024), COPAL_CONTINUE);
    assert_int_equal(put(w, "/x/2", 0, true, 1024), COPAL_CONTINUE);
    assert_int_equal(put(w, "/x/2", 1, true, 1024), COPAL_UNAVAILABLE);
    assert_int_equal(stats_of(w->server).limited, 1);
    assert_int_equal(put(w, "/x/1", 1, false, 1024), COPAL_CONTENT);
    assert_int_equal(put(w, "/x/2", 0, true, 1024), COPAL_CONTINUE);
    assert_int_equal(put(w, "/x/2", 1, false, 1024), COPAL_CONTENT);
    assert_int_equal(s->requests, 2);
}

/* Its sender gave up: MAX_TRANSMIT_WAIT is 62 s where ACK_RANDOM is 1. */
static void what_nobody_goes_on_with_gives_way_to_the_same_peer(void **state)
{
    struct world *w = *state;
    char path[16];

    serve_body(w, COPAL_PUT, "/x/{n}", 0, 0);
    for (unsigned i = 1; i <= 4; i++) {
        snprintf(path, sizeof(path), "/x/%u", i);
        assert_int_equal(put(w, path, 0, true, 64), COPAL_CONTINUE);
    }
    run(w, 50000);
    assert_int_equal(put(w, "/x/2", 1, true, 64), COPAL_CONTINUE);
    assert_int_equal(put(w, "/x/5", 0, true, 64), COPAL_UNAVAILABLE);
    run(w, 20000);
    assert_int_equal(put(w, "/x/5", 0, true, 64), COPAL_CONTINUE);
    assert_int_equal(put(w, "/x/2", 2, false, 64), COPAL_CONTENT);
}

static void what_nobody_goes_on_with_gives_way_to_all(void **state)
{
    struct world *w = *state;

    serve_body(w, COPAL_PUT, "/x/{n}", 0, 0);
    tune(w->server, COPAL_P_BODY_MEMORY, 2500);
    assert_int_equal(put(w, "/x/1", 0, true, 1024), COPAL_CONTINUE);
    assert_int_equal(put(w, "/x/2", 0, true, 1024), COPAL_UNAVAILABLE);
    run(w, 70000);
    assert_int_equal(put(w, "/x/2", 0, true, 1024), COPAL_CONTINUE);
    assert_int_equal(put(w, "/x/1", 1, false, 1024), COPAL_INCOMPLETE);
    assert_int_equal(put(w, "/x/2", 1, false, 1024), COPAL_CONTENT);
}

/* Block 0 of a body to /x, as from any address. */
static void forge(struct world *w, unsigned i)
{
    uint8_t datagram[128] = {0x40, 0x03, (uint8_t)(i >> 8), (uint8_t)i};
    const uint8_t options[] = {0xb1, 'x', 0xd1, 0x03, 0x0a, 0xff};
    char from[32];

    memcpy(datagram + 4, options, sizeof(options));
    snprintf(from, sizeof(from), "192.0.%u.%u", 2 + (i >> 8 & 31), i & 255);
    assert_int_equal(
        copal_sim_inject(w->sim, from, "server",
                         (copal_bytes){datagram, 4 + sizeof(options) + 64}),
        0);
}

static void forged_beginnings_lock_nobody_out(void **state)
{
    struct world *w = *state;
    struct party *s = serve_body(w, COPAL_PUT, "/x", 0, 0), *p;

    copal_sim_keep(w->sim, 0);
    tune(w->server, COPAL_P_GUARD_LOOPBACK, 1);
    tune(w->server, COPAL_P_BODY_MEMORY, 50000);
    tune(w->server, COPAL_P_DEDUP_MEMORY, 50000);
    for (unsigned i = 0; i < 1000; i++)
        forge(w, i);
    run(w, 10);
    copal_sim_set_path(w->sim, "client", NULL, (copal_sim_path){.delay = 10});
    p = ask_body(w, COPAL_PUT, "coap://server/x", 5000);
    for (unsigned i = 1000; i < 3000; i++) {
        forge(w, i);
        if (i % 4 == 0)
            run(w, 1);
    }
    run(w, 1000);
    assert_log(p, "2.05 0 bytes\nend OK\n");
    assert_body(s, 5000, 1);
    assert_true(stats_of(w->server).limited > 1000);
    assert_in_range(stats_of(w->server).memory, 0, 600000);
    run(w, 300000);
    assert_int_equal(stats_of(w->server).exchanges_open, 0);
}

static void who_is_there_is_not_pushed_out_by_who_may_not_be(void **state)
{
    struct world *w = *state;
    struct party *p;

    serve_body(w, COPAL_PUT, "/x", 0, 0);
    serve_body(w, COPAL_PUT, "/y", 0, 0);
    tune(w->server, COPAL_P_GUARD_LOOPBACK, 1);
    tune(w->server, COPAL_P_BODY_MEMORY, 6000);
    copal_sim_set_path(w->sim, "client", NULL, (copal_sim_path){.delay = 100});
    p = ask_body(w, COPAL_PUT, "coap://server/y", 5000);
    run(w, 450); /* proven by now, and with 2 KiB there */
    for (unsigned i = 0; i < 100; i++)
        forge(w, i);
    run(w, 5000);
    assert_log(p, "2.05 0 bytes\nend OK\n");
}

static void a_body_without_end_is_refused(void **state)
{
    struct world *w = *state;
    int code = COPAL_CONTINUE;
    unsigned num = 0;

    serve_body(w, COPAL_PUT, "/x", 0, 0);
    tune(w->server, COPAL_P_MAX_BODY, 2000);
    while (code == COPAL_CONTINUE && num < 1000)
        code = put(w, "/x", num++, true, 16);
    assert_int_equal(code, COPAL_TOO_LARGE);
    assert_int_equal(num, 126); /* 125 of 16 bytes are 2000 */
    assert_int_equal(put(w, "/x", num, true, 16), COPAL_INCOMPLETE);
}

static void the_highest_numbers_do_no_harm(void **state)
{
    struct world *w = *state;
    struct party *p;

    serve_body(w, 0, "/x", 0, 3000);
    p = raw(w, "PUT coap://server/x 1:1048575/1/1024", body_of(1024, 1));
    assert_int_equal(p->code, COPAL_INCOMPLETE);
    p = raw(w, "PUT coap://server/x 1:1048575/0/16", body_of(10, 1));
    assert_int_equal(p->code, COPAL_INCOMPLETE);
    p = raw(w, "GET coap://server/x 2:1048575/0/1024", (copal_bytes){0});
    assert_int_equal(p->code, COPAL_BAD_REQUEST);
    p = send_request(
        w, message_of(w->client, "GET coap://server/x 2:1048575/0/1024"));
    run(w, 10);
    assert_log(p, "4.00 0 bytes\nend OK\n");
}

/* ---- Repeats under a new message id ---- */

static void the_first_block_again_is_answered_again(void **state)
{
    struct world *w = *state;
    struct party *s = serve_body(w, COPAL_PUT, "/x", COPAL_STREAMED, 0);

    assert_int_equal(put(w, "/x", 0, true, 64), COPAL_CONTINUE);
    assert_int_equal(put(w, "/x", 0, true, 64), COPAL_CONTINUE);
    assert_int_equal(put(w, "/x", 1, false, 64), COPAL_CONTENT);
    assert_log(s, "PUT 0 bytes\nchunk 0 +64\nchunk 64 +32 last\n");
}

static void another_first_block_begins_again(void **state)
{
    struct world *w = *state;
    struct party *s = serve_body(w, COPAL_PUT, "/x", COPAL_STREAMED, 0), *p;

    assert_int_equal(put(w, "/x", 0, true, 64), COPAL_CONTINUE);
    p = raw(w, "PUT coap://server/x 1:0/1/64", part(96, 2, 0, 64));
    assert_int_equal(p->code, COPAL_CONTINUE);
    p = raw(w, "PUT coap://server/x 1:1/0/64", part(96, 2, 64, 64));
    assert_int_equal(p->code, COPAL_CONTENT);
    assert_body(s, 96, 2);
    assert_int_equal(s->requests, 2);
}

static void other_content_in_a_streams_last_place_is_refused(void **state)
{
    struct world *w = *state;
    struct party *s = serve_body(w, COPAL_PUT, "/x", COPAL_STREAMED, 0), *p;

    assert_int_equal(put(w, "/x", 0, true, 64), COPAL_CONTINUE);
    assert_int_equal(put(w, "/x", 1, true, 64), COPAL_CONTINUE);
    p = raw(w, "PUT coap://server/x 1:1/1/64", part(1000, 2, 64, 64));
    assert_int_equal(p->code, COPAL_INCOMPLETE);
    assert_log(s, "PUT 0 bytes\nchunk 0 +64\nchunk 64 +64\nend EFORMAT\n");
}

/* Nothing is collected by then: 4.08 is a must, RFC 7959 2.5. */
static void the_last_block_again_finds_nothing(void **state)
{
    struct world *w = *state;
    struct party *s = serve_body(w, COPAL_PUT, "/x", 0, 0);

    assert_int_equal(put(w, "/x", 0, true, 64), COPAL_CONTINUE);
    assert_int_equal(put(w, "/x", 1, false, 64), COPAL_CONTENT);
    assert_int_equal(put(w, "/x", 1, false, 64), COPAL_INCOMPLETE);
    assert_int_equal(s->requests, 1);
}

/* ---- Sizes that are claimed: RFC 7959 4 ---- */

static void a_size_is_an_estimate_and_no_end(void **state)
{
    static const char *const sizes[] = {"size1=0", "size1=1", "size1=64",
                                        "size1=100000"};
    struct world *w = *state;
    struct party *s = serve_body(w, COPAL_PUT, "/x", 0, 0);

    for (size_t i = 0; i < 4; i++) {
        char text[64];

        snprintf(text, sizeof(text), "PUT coap://server/x 1:0/1/64 %s",
                 sizes[i]);
        assert_int_equal(raw(w, text, part(150, 1, 0, 64))->code,
                         COPAL_CONTINUE);
        assert_int_equal(put(w, "/x", 1, true, 64), COPAL_CONTINUE);
        assert_int_equal(put(w, "/x", 2, false, 64), COPAL_CONTENT);
        assert_int_equal(s->len, 160);
    }
}

static void a_size_over_max_body_is_refused_with_what_would_do(void **state)
{
    struct world *w = *state;
    struct party *p;

    serve_body(w, COPAL_PUT, "/x", 0, 0);
    p = raw(w, "PUT coap://server/x 1:0/1/64 size1=4294967295",
            part(150, 1, 0, 64));
    assert_int_equal(p->code, COPAL_TOO_LARGE);
    assert_int_equal(copal_msg_uint(p->msg, COPAL_OPT_SIZE1), 1048576);
}

static void an_answers_size_is_an_estimate_too(void **state)
{
    static const char *const sizes[] = {"size2=0", "size2=1", "size2=64",
                                        "size2=100000"};
    struct world *w = *state;
    struct tap *t = tap_client(w);

    copal_free(w->server);
    for (size_t i = 0; i < 4; i++) {
        struct party *p = ask_body(w, COPAL_GET, "coap://server/x", 0);
        char text[64];

        run(w, 0);
        snprintf(text, sizeof(text), "ACK 2.05 2:0/1/64 etag=0a %s", sizes[i]);
        play(w, t, text, 0, part(100, 1, 0, 64));
        play(w, t, "ACK 2.05 2:1/0/64 etag=0a", 0, part(100, 1, 64, 64));
        assert_log(p, "2.05 100 bytes\nend OK\n");
        assert_body(p, 100, 1);
    }
}

static void an_answers_size_over_max_body_ends_it_at_once(void **state)
{
    struct world *w = *state;
    struct tap *t = tap_client(w);
    struct party *p;

    copal_free(w->server);
    p = ask_body(w, COPAL_GET, "coap://server/x", 0);
    run(w, 0);
    play(w, t, "ACK 2.05 2:0/1/64 etag=0a size2=4294967295", 0,
         part(100, 1, 0, 64));
    assert_log(p, "end ELIMIT\n");
    assert_int_equal(t->count, 1);
}

/* ---- Sizes of blocks: RFC 7959 2.3 to 2.5, 2.9.3 ---- */

static void what_was_too_long_is_tried_in_the_blocks_named(void **state)
{
    struct world *w = *state;
    struct tap *t = tap_client(w);
    struct party *p;

    copal_free(w->server);
    p = ask_body(w, COPAL_PUT, "coap://server/x", 150);
    run(w, 0);
    assert_null(strstr(t->line, "Block1"));
    play(w, t, "ACK 4.13 1:0/0/64", 0, (copal_bytes){0});
    assert_non_null(strstr(t->line, "0/1/64"));
    play(w, t, "ACK 2.31 1:0/1/64", 0, (copal_bytes){0});
    assert_non_null(strstr(t->line, "1/1/64"));
    play(w, t, "ACK 2.31 1:1/1/64", 0, (copal_bytes){0});
    assert_non_null(strstr(t->line, "2/0/64"));
    play(w, t, "ACK 2.04 1:2/0/64", 0, (copal_bytes){0});
    assert_log(p, "2.04 0 bytes\nend OK\n");
}

static void a_size_that_would_do_means_the_message_was_too_long(void **state)
{
    struct world *w = *state;
    struct tap *t = tap_client(w);
    struct party *p;

    copal_free(w->server);
    p = ask_body(w, COPAL_PUT, "coap://server/x", 150);
    run(w, 0);
    play(w, t, "ACK 4.13 size1=5000", 0, (copal_bytes){0});
    assert_non_null(strstr(t->line, "0/1/128"));
    play(w, t, "ACK 4.13 1:0/0/32", 0, (copal_bytes){0});
    assert_non_null(strstr(t->line, "0/1/32"));
    play(w, t, "ACK 4.13 1:0/0/32", 0, (copal_bytes){0}); /* the same again */
    assert_log(p, "4.13 0 bytes\nend OK\n");
}

static void a_body_that_is_too_long_is_not_tried_again(void **state)
{
    static const char *const answers[] = {"ACK 4.13", "ACK 4.13 size1=100",
                                          "ACK 4.13 size1=0"};
    struct world *w = *state;
    struct tap *t = tap_client(w);

    copal_free(w->server);
    for (int i = 0; i < 3; i++) {
        struct party *p = ask_body(w, COPAL_PUT, "coap://server/x", 150);

        run(w, 0);
        play(w, t, answers[i], 0, (copal_bytes){0});
        assert_log(p, "4.13 0 bytes\nend OK\n");
        assert_int_equal(t->count, i + 1);
    }
}

static void blocks_may_become_smaller_at_any_time(void **state)
{
    struct world *w = *state;
    struct tap *t = tap_client(w);
    struct party *p;

    copal_free(w->server);
    tune(w->client, COPAL_P_BLOCK_SIZE, 128);
    p = ask_body(w, COPAL_PUT, "coap://server/x", 500);
    run(w, 0);
    play(w, t, "ACK 2.31 1:0/1/128", 0, (copal_bytes){0});
    assert_non_null(strstr(t->line, "1/1/128"));
    play(w, t, "ACK 2.31 1:1/1/64", 0, (copal_bytes){0});
    assert_non_null(strstr(t->line, "4/1/64"));
    play(w, t, "ACK 2.31 1:4/1/128", 0, (copal_bytes){0}); /* never larger */
    assert_non_null(strstr(t->line, "5/1/64"));
    play(w, t, "ACK 2.31 1:5/1/32", 0, (copal_bytes){0});
    assert_non_null(strstr(t->line, "12/1/32"));
    for (unsigned num = 12; num < 15; num++) {
        char text[64];

        snprintf(text, sizeof(text), "ACK 2.31 1:%u/1/32", num);
        play(w, t, text, 0, (copal_bytes){0});
    }
    assert_non_null(strstr(t->line, "15/0/32"));
    play(w, t, "ACK 2.04 1:15/0/32", 0, (copal_bytes){0});
    assert_log(p, "2.04 0 bytes\nend OK\n");
}

static void a_server_takes_blocks_of_any_size_that_fit(void **state)
{
    struct world *w = *state;
    struct party *s = serve_body(w, COPAL_PUT, "/x", 0, 0);

    assert_int_equal(put(w, "/x", 0, true, 64), COPAL_CONTINUE);
    assert_int_equal(put(w, "/x", 4, true, 16), COPAL_CONTINUE); /* down */
    assert_int_equal(put(w, "/x", 5, true, 16), COPAL_CONTINUE);
    assert_int_equal(put(w, "/x", 3, true, 32), COPAL_CONTINUE); /* up */
    assert_int_equal(put(w, "/x", 1, true, 128), COPAL_CONTINUE);
    assert_int_equal(put(w, "/x", 2, false, 128), COPAL_CONTENT);
    assert_body(s, 320, 1);
}

static void a_client_takes_blocks_of_any_size_that_fit(void **state)
{
    struct world *w = *state;
    struct tap *t = tap_client(w);
    struct party *p;

    copal_free(w->server);
    tune(w->client, COPAL_P_BLOCK_SIZE, 64);
    p = ask_body(w, COPAL_GET, "coap://server/x", 0);
    run(w, 0);
    play(w, t, "ACK 2.05 2:0/1/64 etag=0a", 0, part(300, 1, 0, 64));
    assert_non_null(strstr(t->line, "1/0/64"));
    play(w, t, "ACK 2.05 2:2/1/32 etag=0a", 0, part(300, 1, 64, 32));
    assert_non_null(strstr(t->line, "3/0/32"));
    play(w, t, "ACK 2.05 2:3/1/32 etag=0a", 0, part(300, 1, 96, 32));
    assert_non_null(strstr(t->line, "4/0/32"));
    play(w, t, "ACK 2.05 2:1/1/128 etag=0a", 0, part(300, 1, 128, 128));
    assert_non_null(strstr(t->line, "4/0/64")); /* no larger than ours */
    play(w, t, "ACK 2.05 2:4/0/64 etag=0a", 0, part(300, 1, 256, 64));
    assert_log(p, "2.05 300 bytes\nend OK\n");
    assert_body(p, 300, 1);
}

/* The M bit of a request's Block2 means nothing: RFC 7959 2.4. */
static void the_m_bit_of_who_asks_is_ignored(void **state)
{
    struct world *w = *state;
    struct party *p;

    serve_body(w, COPAL_GET, "/x", 0, 150);
    p = raw(w, "GET coap://server/x 2:1/1/64", (copal_bytes){0});
    assert_int_equal(copal_msg_uint(p->msg, COPAL_OPT_BLOCK2), 1 << 4 | 8 | 2);
    p = raw(w, "GET coap://server/x 2:2/1/64", (copal_bytes){0});
    assert_int_equal(copal_msg_uint(p->msg, COPAL_OPT_BLOCK2), 2 << 4 | 2);
    assert_int_equal(p->len, 22);
}

/* ---- What blocks belong together ---- */

static void another_format_is_another_representation(void **state)
{
    struct world *w = *state;
    struct tap *t = tap_client(w);
    struct party *p;

    copal_free(w->server);
    p = ask_body(w, COPAL_GET, "coap://server/x", 0);
    run(w, 0);
    play(w, t, "ACK 2.05 ct=0 2:0/1/64", 0, part(128, 1, 0, 64));
    play(w, t, "ACK 2.05 ct=50 2:1/0/64", 0, part(128, 2, 64, 64));
    assert_non_null(strstr(t->line, "0/0/64"));
    play(w, t, "ACK 2.05 ct=50 2:0/1/64", 0, part(128, 2, 0, 64));
    play(w, t, "ACK 2.05 2:1/0/64", 0, part(128, 2, 64, 64)); /* says nothing */
    assert_log(p, "2.05 128 bytes\nend OK\n");
    assert_body(p, 128, 2);
}

/* What to fetch stands in the body: asking for block 0 without it would ask for
 * something else. */
static void a_fetch_that_changed_goes_with_its_body_again(void **state)
{
    struct world *w = *state;
    struct tap *t = tap_client(w);
    struct party *p;

    copal_free(w->server);
    tune(w->client, COPAL_P_BLOCK_SIZE, 64);
    p = ask_body(w, COPAL_FETCH, "coap://server/x", 100);
    run(w, 0);
    for (int i = 0; i < 2; i++) {
        assert_non_null(strstr(t->line, "[\"Block1\",\"0/1/64\"]"));
        play(w, t, "ACK 2.31 1:0/1/64", 0, (copal_bytes){0});
        assert_non_null(strstr(t->line, "[\"Block1\",\"1/0/64\"]"));
        play(w, t,
             i == 0 ? "ACK 2.05 1:1/0/64 2:0/1/64 etag=0a"
                    : "ACK 2.05 1:1/0/64 2:0/1/64 etag=0b",
             0, part(128, (unsigned)i + 1, 0, 64));
        assert_non_null(strstr(t->line, "[\"Block2\",\"1/0/64\"]"));
        play(w, t, "ACK 2.05 2:1/0/64 etag=0b", 0, part(128, 2, 64, 64));
    }
    assert_log(p, "2.05 128 bytes\nend OK\n");
    assert_body(p, 128, 2);
}

static void an_error_may_come_in_blocks(void **state)
{
    struct world *w = *state;
    struct party *s = serve_body(w, COPAL_GET, "/x", 0, 150), *p;

    s->answer = COPAL_NOT_FOUND;
    tune(w->server, COPAL_P_BLOCK_SIZE, 64);
    p = ask_body(w, COPAL_GET, "coap://server/x", 0);
    run(w, 10);
    assert_log(p, "4.04 150 bytes\nend OK\n");
    assert_body(p, 150, 1);
    assert_int_equal(s->requests, 1);
}

/* A server that gives no ETags: only the order of things tells states apart. */
static void a_late_block_of_the_state_before_is_not_mixed_in(void **state)
{
    struct world *w = *state;
    struct tap *t = tap_client(w), first, old;
    struct party *p;

    copal_free(w->server);
    p = observe_body(w, "coap://server/t");
    run(w, 0);
    first = *t;
    play(w, t, "ACK 2.05 obs=5 2:0/1/64", 0, part(128, 1, 0, 64));
    old = *t;
    play(w, &first, "CON 2.05 obs=6 2:0/1/64", 77, part(128, 2, 0, 64));
    play(w, &old, "ACK 2.05 2:1/0/64", 0, part(128, 1, 64, 64));
    play(w, &old, "CON 2.05 2:1/0/64", 78, part(128, 1, 64, 64));
    assert_int_equal(p->responses, 0);
    play(w, t, "ACK 2.05 2:1/0/64", 0, part(128, 2, 64, 64));
    assert_log(p, "2.05 128 bytes\n");
    assert_body(p, 128, 2);
    play(w, &first, "CON 2.05 obs=5 2:0/1/64", 79, part(128, 1, 0, 64));
    assert_int_equal(p->responses, 1); /* an old one begins nothing */
}

#define TEST(name) \
    cmocka_unit_test_setup_teardown(name, build_bodies, tear_down_bodies)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(bodies_of_one_peer_have_max_body_together),
        TEST(what_nobody_goes_on_with_gives_way_to_the_same_peer),
        TEST(what_nobody_goes_on_with_gives_way_to_all),
        TEST(forged_beginnings_lock_nobody_out),
        TEST(who_is_there_is_not_pushed_out_by_who_may_not_be),
        TEST(a_body_without_end_is_refused),
        TEST(the_highest_numbers_do_no_harm),
        TEST(the_first_block_again_is_answered_again),
        TEST(another_first_block_begins_again),
        TEST(other_content_in_a_streams_last_place_is_refused),
        TEST(the_last_block_again_finds_nothing),
        TEST(a_size_is_an_estimate_and_no_end),
        TEST(a_size_over_max_body_is_refused_with_what_would_do),
        TEST(an_answers_size_is_an_estimate_too),
        TEST(an_answers_size_over_max_body_ends_it_at_once),
        TEST(what_was_too_long_is_tried_in_the_blocks_named),
        TEST(a_size_that_would_do_means_the_message_was_too_long),
        TEST(a_body_that_is_too_long_is_not_tried_again),
        TEST(blocks_may_become_smaller_at_any_time),
        TEST(a_server_takes_blocks_of_any_size_that_fit),
        TEST(a_client_takes_blocks_of_any_size_that_fit),
        TEST(the_m_bit_of_who_asks_is_ignored),
        TEST(another_format_is_another_representation),
        TEST(a_fetch_that_changed_goes_with_its_body_again),
        TEST(an_error_may_come_in_blocks),
        TEST(a_late_block_of_the_state_before_is_not_mixed_in),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
