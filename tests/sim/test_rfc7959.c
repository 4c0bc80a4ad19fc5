/* The figures of RFC 7959 section 3, in its order, as ladders of our own client
 * and server. What the RFC leaves out stands here: Size1 and Size2 aside, each
 * option and payload. Its message ids 1234, 1235, ... are 0001, 0002, ... here,
 * and where it says "..." nothing is left out. */
#include "bodies.h"

static copal_bytes part(size_t n, unsigned version, size_t offset, size_t size)
{
    copal_bytes body = body_of(n, version);
    size_t left = offset < n ? n - offset : 0;

    return (copal_bytes){body.data + offset, left < size ? left : size};
}

static struct party *serve_blocks(struct world *w, const char *path,
                                  size_t size, int64_t block_size)
{
    struct party *s = serve_body(w, 0, path, 0, size);

    tune(w->server, COPAL_P_BLOCK_SIZE, block_size);
    s->etag = "e";
    return s;
}

/* ---- 3.1: Block2 ---- */

static void figure_2_simple_get(void **state)
{
    struct world *w = *state;
    struct party *p;

    serve_blocks(w, "/status", 350, 128);
    p = ask_body(w, COPAL_GET, "coap://server/status", 0);
    run(w, 10);
    assert_body(p, 350, 1);
    assert_transcript(
        w, "   0 client > server CON GET 0001 /status\n"
           "   0 server > client ACK 2.05 0001 2:0/1/128 etag=65 (128 bytes)\n"
           "   0 client > server CON GET 0002 /status 2:1/0/128\n"
           "   0 server > client ACK 2.05 0002 2:1/1/128 etag=65 (128 bytes)\n"
           "   0 client > server CON GET 0003 /status 2:2/0/128\n"
           "   0 server > client ACK 2.05 0003 2:2/0/128 etag=65 (94 bytes)\n");
}

static void figure_3_get_with_early_negotiation(void **state)
{
    struct world *w = *state;
    struct party *p;

    serve_blocks(w, "/status", 350, 128);
    tune(w->client, COPAL_P_BLOCK_SIZE, 64);
    p = ask_body(w, COPAL_GET, "coap://server/status", 0);
    run(w, 10);
    assert_body(p, 350, 1);
    assert_transcript(
        w, "   0 client > server CON GET 0001 /status 2:0/0/64\n"
           "   0 server > client ACK 2.05 0001 2:0/1/64 etag=65 (64 bytes)\n"
           "   0 client > server CON GET 0002 /status 2:1/0/64\n"
           "   0 server > client ACK 2.05 0002 2:1/1/64 etag=65 (64 bytes)\n"
           "   0 client > server CON GET 0003 /status 2:2/0/64\n"
           "   0 server > client ACK 2.05 0003 2:2/1/64 etag=65 (64 bytes)\n"
           "   0 client > server CON GET 0004 /status 2:3/0/64\n"
           "   0 server > client ACK 2.05 0004 2:3/1/64 etag=65 (64 bytes)\n"
           "   0 client > server CON GET 0005 /status 2:4/0/64\n"
           "   0 server > client ACK 2.05 0005 2:4/1/64 etag=65 (64 bytes)\n"
           "   0 client > server CON GET 0006 /status 2:5/0/64\n"
           "   0 server > client ACK 2.05 0006 2:5/0/64 etag=65 (30 bytes)\n");
}

/* Asked without a wish, and unhappy with the size when the first block is
 * there. */
static struct party *ask_surprised(struct world *w)
{
    struct party *p;

    serve_blocks(w, "/status", 350, 128);
    copal_sim_set_path(w->sim, NULL, NULL, (copal_sim_path){.delay = 10});
    p = ask_body(w, COPAL_GET, "coap://server/status", 0);
    run(w, 15);
    tune(w->client, COPAL_P_BLOCK_SIZE, 64);
    return p;
}

static void figure_4_get_with_late_negotiation(void **state)
{
    struct world *w = *state;
    struct party *p = ask_surprised(w);

    run(w, 1000);
    assert_body(p, 350, 1);
    assert_transcript(
        w, "   0 client > server CON GET 0001 /status\n"
           "  10 server > client ACK 2.05 0001 2:0/1/128 etag=65 (128 bytes)\n"
           "  20 client > server CON GET 0002 /status 2:2/0/64\n"
           "  30 server > client ACK 2.05 0002 2:2/1/64 etag=65 (64 bytes)\n"
           "  40 client > server CON GET 0003 /status 2:3/0/64\n"
           "  50 server > client ACK 2.05 0003 2:3/1/64 etag=65 (64 bytes)\n"
           "  60 client > server CON GET 0004 /status 2:4/0/64\n"
           "  70 server > client ACK 2.05 0004 2:4/1/64 etag=65 (64 bytes)\n"
           "  80 client > server CON GET 0005 /status 2:5/0/64\n"
           "  90 server > client ACK 2.05 0005 2:5/0/64 etag=65 (30 bytes)\n");
}

static void figure_5_late_negotiation_and_lost_con(void **state)
{
    struct world *w = *state;
    struct party *p = ask_surprised(w);

    copal_sim_lose(w->sim, "client", 1);
    run(w, 10000);
    assert_body(p, 350, 1);
    assert_transcript(
        w, "   0 client > server CON GET 0001 /status\n"
           "  10 server > client ACK 2.05 0001 2:0/1/128 etag=65 (128 bytes)\n"
           "  20 client > server CON GET 0002 /status 2:2/0/64 (lost)\n"
           "2020 client > server CON GET 0002 /status 2:2/0/64\n"
           "2030 server > client ACK 2.05 0002 2:2/1/64 etag=65 (64 bytes)\n"
           "2040 client > server CON GET 0003 /status 2:3/0/64\n"
           "2050 server > client ACK 2.05 0003 2:3/1/64 etag=65 (64 bytes)\n"
           "2060 client > server CON GET 0004 /status 2:4/0/64\n"
           "2070 server > client ACK 2.05 0004 2:4/1/64 etag=65 (64 bytes)\n"
           "2080 client > server CON GET 0005 /status 2:5/0/64\n"
           "2090 server > client ACK 2.05 0005 2:5/0/64 etag=65 (30 bytes)\n");
}

static void figure_6_late_negotiation_and_lost_ack(void **state)
{
    struct world *w = *state;
    struct party *p = ask_surprised(w);

    copal_sim_lose(w->sim, "server", 1);
    run(w, 10000);
    assert_body(p, 350, 1);
    assert_transcript(
        w, "   0 client > server CON GET 0001 /status\n"
           "  10 server > client ACK 2.05 0001 2:0/1/128 etag=65 (128 bytes)\n"
           "  20 client > server CON GET 0002 /status 2:2/0/64\n"
           "  30 server > client ACK 2.05 0002 2:2/1/64 etag=65 (64 bytes) "
           "(lost)\n"
           "2020 client > server CON GET 0002 /status 2:2/0/64\n"
           "2030 server > client ACK 2.05 0002 2:2/1/64 etag=65 (64 bytes)\n"
           "2040 client > server CON GET 0003 /status 2:3/0/64\n"
           "2050 server > client ACK 2.05 0003 2:3/1/64 etag=65 (64 bytes)\n"
           "2060 client > server CON GET 0004 /status 2:4/0/64\n"
           "2070 server > client ACK 2.05 0004 2:4/1/64 etag=65 (64 bytes)\n"
           "2080 client > server CON GET 0005 /status 2:5/0/64\n"
           "2090 server > client ACK 2.05 0005 2:5/0/64 etag=65 (30 bytes)\n");
}

/* ---- 3.2: Block1 ---- */

static void figure_7_simple_atomic_put(void **state)
{
    struct world *w = *state;
    struct party *s = serve_body(w, COPAL_PUT, "/options", 0, 0), *p;

    s->answer = COPAL_CHANGED;
    tune(w->client, COPAL_P_BLOCK_SIZE, 128);
    p = ask_body(w, COPAL_PUT, "coap://server/options", 350);
    run(w, 10);
    assert_log(p, "2.04 0 bytes\nend OK\n");
    assert_body(s, 350, 1);
    assert_int_equal(s->requests, 1);
    assert_transcript(
        w, "   0 client > server CON PUT 0001 /options 1:0/1/128 (128 bytes)\n"
           "   0 server > client ACK 2.31 0001 1:0/1/128\n"
           "   0 client > server CON PUT 0002 /options 1:1/1/128 (128 bytes)\n"
           "   0 server > client ACK 2.31 0002 1:1/1/128\n"
           "   0 client > server CON PUT 0003 /options 1:2/0/128 (94 bytes)\n"
           "   0 server > client ACK 2.04 0003 1:2/0/128\n");
}

/* Our server acts on whole bodies only, or streams them: this one is played. */
static void figure_8_simple_stateless_put(void **state)
{
    struct world *w = *state;
    struct tap *t = tap_client(w);
    struct party *p;

    copal_free(w->server);
    tune(w->client, COPAL_P_BLOCK_SIZE, 128);
    p = ask_body(w, COPAL_PUT, "coap://server/options", 350);
    run(w, 0);
    play(w, t, "ACK 2.04 1:0/0/128", 0, (copal_bytes){0});
    play(w, t, "ACK 2.04 1:1/0/128", 0, (copal_bytes){0});
    play(w, t, "ACK 2.04 1:2/0/128", 0, (copal_bytes){0});
    assert_log(p, "2.04 0 bytes\nend OK\n");
    assert_transcript(
        w, "   0 client > server CON PUT 0001 /options 1:0/1/128 (128 bytes) "
           "(nobody)\n"
           "   0 server > client ACK 2.04 0001 1:0/0/128\n"
           "   0 client > server CON PUT 0002 /options 1:1/1/128 (128 bytes) "
           "(nobody)\n"
           "   0 server > client ACK 2.04 0002 1:1/0/128\n"
           "   0 client > server CON PUT 0003 /options 1:2/0/128 (94 bytes) "
           "(nobody)\n"
           "   0 server > client ACK 2.04 0003 1:2/0/128\n");
}

static void figure_9_atomic_put_with_negotiation(void **state)
{
    struct world *w = *state;
    struct party *s = serve_blocks(w, "/options", 0, 32), *p;

    s->answer = COPAL_CHANGED;
    s->etag = NULL;
    tune(w->client, COPAL_P_BLOCK_SIZE, 128);
    p = ask_body(w, COPAL_PUT, "coap://server/options", 214);
    run(w, 10);
    assert_log(p, "2.04 0 bytes\nend OK\n");
    assert_body(s, 214, 1);
    assert_transcript(
        w, "   0 client > server CON PUT 0001 /options 1:0/1/128 (128 bytes)\n"
           "   0 server > client ACK 2.31 0001 1:0/1/32\n"
           "   0 client > server CON PUT 0002 /options 1:4/1/32 (32 bytes)\n"
           "   0 server > client ACK 2.31 0002 1:4/1/32\n"
           "   0 client > server CON PUT 0003 /options 1:5/1/32 (32 bytes)\n"
           "   0 server > client ACK 2.31 0003 1:5/1/32\n"
           "   0 client > server CON PUT 0004 /options 1:6/0/32 (22 bytes)\n"
           "   0 server > client ACK 2.04 0004 1:6/0/32\n");
}

/* ---- 3.3: both ---- */

/* Our client names the size of the answer with the last block, as in figure 11,
 * where its own is below 1024; here the server's happens to be the same. */
static void figure_10_atomic_post_with_a_long_answer(void **state)
{
    struct world *w = *state;
    struct party *s = serve_blocks(w, "/soap", 450, 128), *p;

    s->answer = COPAL_CHANGED;
    tune(w->client, COPAL_P_BLOCK_SIZE, 128);
    p = ask_body(w, COPAL_POST, "coap://server/soap", 320);
    run(w, 10);
    assert_log(p, "2.04 450 bytes\nend OK\n");
    assert_body(p, 450, 1);
    assert_body(s, 320, 1);
    assert_int_equal(s->requests, 1);
    assert_transcript(
        w, "   0 client > server CON POST 0001 /soap 1:0/1/128 (128 bytes)\n"
           "   0 server > client ACK 2.31 0001 1:0/1/128\n"
           "   0 client > server CON POST 0002 /soap 1:1/1/128 (128 bytes)\n"
           "   0 server > client ACK 2.31 0002 1:1/1/128\n"
           "   0 client > server CON POST 0003 /soap 1:2/0/128 2:0/0/128 "
           "(64 bytes)\n"
           "   0 server > client ACK 2.04 0003 1:2/0/128 2:0/1/128 etag=65 "
           "(128 bytes)\n"
           "   0 client > server CON POST 0004 /soap 2:1/0/128\n"
           "   0 server > client ACK 2.04 0004 2:1/1/128 etag=65 (128 bytes)\n"
           "   0 client > server CON POST 0005 /soap 2:2/0/128\n"
           "   0 server > client ACK 2.04 0005 2:2/1/128 etag=65 (128 bytes)\n"
           "   0 client > server CON POST 0006 /soap 2:3/0/128\n"
           "   0 server > client ACK 2.04 0006 2:3/0/128 etag=65 (66 bytes)\n");
}

static void figure_11_the_same_with_early_negotiation(void **state)
{
    struct world *w = *state;
    struct party *s = serve_blocks(w, "/soap", 250, 128), *p;
    copal_msg *m = request_of(w, COPAL_POST, "coap://server/soap", 320);

    s->answer = COPAL_CHANGED;
    copal_msg_add_uint(m, COPAL_OPT_BLOCK2, 2); /* 0/0/64 */
    copal_msg_tune(m, COPAL_P_BLOCK_SIZE, 128);
    p = send_request(w, m);
    run(w, 10);
    assert_log(p, "2.04 250 bytes\nend OK\n");
    assert_body(p, 250, 1);
    assert_body(s, 320, 1);
    assert_transcript(
        w, "   0 client > server CON POST 0001 /soap 1:0/1/128 (128 bytes)\n"
           "   0 server > client ACK 2.31 0001 1:0/1/128\n"
           "   0 client > server CON POST 0002 /soap 1:1/1/128 (128 bytes)\n"
           "   0 server > client ACK 2.31 0002 1:1/1/128\n"
           "   0 client > server CON POST 0003 /soap 1:2/0/128 2:0/0/64 "
           "(64 bytes)\n"
           "   0 server > client ACK 2.04 0003 1:2/0/128 2:0/1/64 etag=65 "
           "(64 bytes)\n"
           "   0 client > server CON POST 0004 /soap 2:1/0/64\n"
           "   0 server > client ACK 2.04 0004 2:1/1/64 etag=65 (64 bytes)\n"
           "   0 client > server CON POST 0005 /soap 2:2/0/64\n"
           "   0 server > client ACK 2.04 0005 2:2/1/64 etag=65 (64 bytes)\n"
           "   0 client > server CON POST 0006 /soap 2:3/0/64\n"
           "   0 server > client ACK 2.04 0006 2:3/0/64 etag=65 (58 bytes)\n");
}

/* The parenthesis of figure 10: the rest in another size. */
static void figure_10_with_late_negotiation(void **state)
{
    struct world *w = *state;
    struct tap *t = tap_client(w);
    struct party *p;

    copal_free(w->server);
    tune(w->client, COPAL_P_BLOCK_SIZE, 64);
    p = ask_body(w, COPAL_POST, "coap://server/soap", 100);
    run(w, 0);
    play(w, t, "ACK 2.31 1:0/1/64", 0, (copal_bytes){0});
    play(w, t, "ACK 2.04 1:1/0/64 2:0/1/128", 0, part(250, 1, 0, 128));
    play(w, t, "ACK 2.04 2:2/1/64", 0, part(250, 1, 128, 64));
    play(w, t, "ACK 2.04 2:3/0/64", 0, part(250, 1, 192, 64));
    assert_log(p, "2.04 250 bytes\nend OK\n");
    assert_body(p, 250, 1);
    assert_int_equal(count_in_transcript(w, "POST 0003 /soap 2:2/0/64"), 1);
    assert_int_equal(count_in_transcript(w, "POST 0004 /soap 2:3/0/64"), 1);
}

/* ---- 3.4: Observe and Block2 ---- */

static struct party *observe_icon(struct world *w, struct party **s)
{
    struct party *p;

    *s = serve_body(w, COPAL_GET, "/status-icon", COPAL_OBSERVABLE, 181);
    (*s)->etag = "a";
    p = observe_body(w, "coap://server/status-icon");
    run(w, 10);
    assert_body(p, 181, 1);
    (*s)->etag = "b";
    (*s)->version = 2;
    assert_int_equal(copal_notify(w->server, "/status-icon"), 1);
    run(w, 10);
    assert_body(p, 181, 2);
    assert_log(p, "2.05 181 bytes\n2.05 181 bytes\n");
    return p;
}

/* Its sizes would be 309 bytes in three blocks; tokens of the two are not the
 * same (test_observe.c). */
static void figure_12_observing_a_long_representation(void **state)
{
    struct world *w = *state;
    struct party *s;

    tune(w->server, COPAL_P_BLOCK_SIZE, 128);
    observe_icon(w, &s);
    assert_transcript(
        w,
        "   0 client > server CON GET 0001 /status-icon obs=0\n"
        "   0 server > client ACK 2.05 0001 obs 2:0/1/128 etag=61 (128 bytes)\n"
        "   0 client > server CON GET 0002 /status-icon 2:1/0/128\n"
        "   0 server > client ACK 2.05 0002 2:1/0/128 etag=61 (53 bytes)\n"
        "  10 server > client CON 2.05 0001 obs 2:0/1/128 etag=62 (128 bytes)\n"
        "  10 client > server ACK empty 0001\n"
        "  10 client > server CON GET 0003 /status-icon 2:1/0/128\n"
        "  10 server > client ACK 2.05 0003 2:1/0/128 etag=62 (53 bytes)\n");
}

static void figure_13_the_same_with_early_negotiation(void **state)
{
    struct world *w = *state;
    struct party *s;

    tune(w->server, COPAL_P_BLOCK_SIZE, 128);
    tune(w->client, COPAL_P_BLOCK_SIZE, 64);
    observe_icon(w, &s);
    assert_transcript(
        w,
        "   0 client > server CON GET 0001 /status-icon obs=0 2:0/0/64\n"
        "   0 server > client ACK 2.05 0001 obs 2:0/1/64 etag=61 (64 bytes)\n"
        "   0 client > server CON GET 0002 /status-icon 2:1/0/64\n"
        "   0 server > client ACK 2.05 0002 2:1/1/64 etag=61 (64 bytes)\n"
        "   0 client > server CON GET 0003 /status-icon 2:2/0/64\n"
        "   0 server > client ACK 2.05 0003 2:2/0/64 etag=61 (53 bytes)\n"
        "  10 server > client CON 2.05 0001 obs 2:0/1/64 etag=62 (64 bytes)\n"
        "  10 client > server ACK empty 0001\n"
        "  10 client > server CON GET 0004 /status-icon 2:1/0/64\n"
        "  10 server > client ACK 2.05 0004 2:1/1/64 etag=62 (64 bytes)\n"
        "  10 client > server CON GET 0005 /status-icon 2:2/0/64\n"
        "  10 server > client ACK 2.05 0005 2:2/0/64 etag=62 (53 bytes)\n");
}

#define TEST(name) \
    cmocka_unit_test_setup_teardown(name, build_bodies, tear_down_bodies)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(figure_2_simple_get),
        TEST(figure_3_get_with_early_negotiation),
        TEST(figure_4_get_with_late_negotiation),
        TEST(figure_5_late_negotiation_and_lost_con),
        TEST(figure_6_late_negotiation_and_lost_ack),
        TEST(figure_7_simple_atomic_put),
        TEST(figure_8_simple_stateless_put),
        TEST(figure_9_atomic_put_with_negotiation),
        TEST(figure_10_atomic_post_with_a_long_answer),
        TEST(figure_10_with_late_negotiation),
        TEST(figure_11_the_same_with_early_negotiation),
        TEST(figure_12_observing_a_long_representation),
        TEST(figure_13_the_same_with_early_negotiation),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
