/* Block-wise transfers, RFC 7959. Ladders are those of its section 3. */
#include "bodies.h"
#include <stdlib.h>
#include <jansson.h>
#include "wire/block.h"

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

    copal_msg_set_flags(m, COPAL_RAW_BLOCKS);
    if (payload.len > 0)
        copal_msg_set_payload(m, copal_msg_format(m), payload);
    return send_request(w, m);
}

static struct party *put_block(struct world *w, const char *uri, unsigned num,
                               bool more, unsigned size)
{
    char text[128];
    size_t len = more ? size : size / 2;

    snprintf(text, sizeof(text), "PUT %s 1:%u/%d/%u", uri, num, more, size);
    return raw(w, text, part(100000, 1, (size_t)num * size, len));
}

/* ---- The sequences of the vectors, against our server ---- */

struct step_world {
    struct world *w;
    size_t request_size;
};

/* "GET /x 2:1/0/64 (lost)" with "observe:0" as "obs=0": as message_of() wants
 * it. */
static void rewrite(const char *step, char *out, size_t cap)
{
    static const char *const names[][2] = {
        {"ct:", "ct="}, {"size1:", "size1="}, {"size2:", "size2="}};
    char copy[256], *rest = copy, *word;
    size_t n = 0;

    snprintf(copy, sizeof(copy), "%s", step);
    if (strstr(copy, " (") != NULL)
        *strstr(copy, " (") = '\0';
    while ((word = strtok_r(NULL == rest ? NULL : rest, " ", &rest)) != NULL) {
        const char *prefix = word[0] == '/' ? "coap://server" : "";

        for (size_t i = 0; i < 3; i++)
            if (strncmp(word, names[i][0], strlen(names[i][0])) == 0)
                word[strlen(names[i][0]) - 1] = '=';
        n += (size_t)snprintf(out + n, cap - n, "%s%s%s", n == 0 ? "" : " ",
                              prefix, word);
    }
}

static void put_block_text(const copal_msg *m, int option, char digit,
                           char *out, size_t cap)
{
    size_t n = strlen(out);
    copal_bytes value;
    struct cp_block b;

    if (copal_msg_value(m, option, 0, &value) != 0)
        return;
    assert_int_equal(cp_block_decode(value, &b), 0);
    snprintf(out + n, cap - n, " %c:%u/%d/%u", digit, b.num, b.more, b.size);
}

/* The code and the blocks of an answer, and that a size is there. */
static void check_answer(const struct party *p, const char *expected)
{
    char found[96], wanted[96] = "", copy[128], *rest = copy, *word;

    assert_non_null(p->msg);
    snprintf(copy, sizeof(copy), "%s", expected);
    if (strstr(copy, " (") != NULL)
        *strstr(copy, " (") = '\0';
    while ((word = strtok_r(rest, " ", &rest)) != NULL) {
        size_t n = strlen(wanted);

        if (strncmp(word, "size1:", 6) == 0)
            assert_true(copal_msg_uint(p->msg, COPAL_OPT_SIZE1) > 0);
        else if (strncmp(word, "size2:", 6) == 0)
            assert_int_equal(copal_msg_uint(p->msg, COPAL_OPT_SIZE2),
                             atoi(word + 6));
        else
            snprintf(wanted + n, sizeof(wanted) - n, "%s%s", n == 0 ? "" : " ",
                     word);
    }
    snprintf(found, sizeof(found), "%d.%02d", p->code >> 5, p->code & 31);
    put_block_text(p->msg, COPAL_OPT_BLOCK1, '1', found, sizeof(found));
    put_block_text(p->msg, COPAL_OPT_BLOCK2, '2', found, sizeof(found));
    assert_string_equal(found, wanted);
}

static void play_step(struct step_world *s, json_t *step)
{
    const char *request = json_string_value(json_object_get(step, "request"));
    const char *response = json_string_value(json_object_get(step, "response"));
    unsigned num, more, size;
    char text[256];
    const char *block = strstr(request, " 1:");
    copal_bytes payload = {0};
    struct party *p;

    rewrite(request, text, sizeof(text));
    if (block != NULL) {
        assert_int_equal(sscanf(block, " 1:%u/%u/%u", &num, &more, &size), 3);
        payload = part(s->request_size, 1, (size_t)num * size, size);
    }
    if (strstr(request, "(lost") != NULL)
        copal_sim_lose(s->w->sim, "client", 1);
    if (strstr(response, "(lost") != NULL)
        copal_sim_lose(s->w->sim, "server", 1);
    p = raw(s->w, text, payload);
    run(s->w, 10000);
    assert_ended(&(struct record){.ends = p->ends, .status = p->status}, 0);
    check_answer(p, response);
}

static json_t *sequence(json_t *document, const char *name)
{
    json_t *all = json_object_get(document, "sequences");

    for (size_t i = 0; i < json_array_size(all); i++) {
        json_t *row = json_array_get(all, i);
        if (strcmp(json_string_value(json_object_get(row, "name")), name) == 0)
            return row;
    }
    fail_msg("no sequence %s", name);
    return NULL;
}

static void the_server_answers_as_the_sequences_of_the_rfc(void **state)
{
    static const struct {
        const char *name, *path;
        int64_t block_size;
        size_t in, out;
        int code;
    } rows[] = {
        {"get-simple", "/status", 128, 0, 350, COPAL_CONTENT},
        {"get-early-negotiation", "/status", 128, 0, 350, COPAL_CONTENT},
        {"get-late-negotiation", "/status", 128, 0, 350, COPAL_CONTENT},
        {"get-late-negotiation-lost-con", "/status", 128, 0, 350,
         COPAL_CONTENT},
        {"get-late-negotiation-lost-ack", "/status", 128, 0, 350,
         COPAL_CONTENT},
        {"put-simple-atomic", "/options", 1024, 350, 0, COPAL_CHANGED},
        {"put-atomic-negotiation", "/options", 32, 214, 0, COPAL_CHANGED},
        {"post-block1-and-block2", "/soap", 128, 320, 450, COPAL_CHANGED},
        {"post-early-negotiated-block2", "/soap", 128, 320, 256, COPAL_CHANGED},
        {"put-gap", "/x", 1024, 256, 0, COPAL_CHANGED},
        {"put-content-format-changes", "/x", 1024, 128, 0, COPAL_CHANGED},
        {"put-too-large", "/x", 1024, 2048, 0, COPAL_CHANGED},
        {"get-size2", "/status", 128, 0, 350, COPAL_CONTENT},
    };
    json_error_t error;
    json_t *document =
        json_load_file(COPAL_VECTORS_DIR "/block.json", 0, &error);

    (void)state;
    assert_non_null(document);
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        json_t *steps =
            json_object_get(sequence(document, rows[i].name), "steps");
        struct step_world s = {.request_size = rows[i].in};
        void *fixture;
        struct party *p;

        print_message("%s\n", rows[i].name);
        assert_int_equal(build_bodies(&fixture), 0);
        s.w = fixture;
        tune(s.w->server, COPAL_P_BLOCK_SIZE, rows[i].block_size);
        p = serve_body(s.w, 0, rows[i].path, 0, rows[i].out);
        p->answer = rows[i].code;
        assert_true(json_array_size(steps) > 0);
        for (size_t j = 0; j < json_array_size(steps); j++)
            play_step(&s, json_array_get(steps, j));
        if (rows[i].in > 0 && p->requests > 0)
            assert_body(p, rows[i].in, 1);
        tear_down_bodies(&fixture);
    }
    json_decref(document);
}

/* ---- RFC 7959 section 3: GET ---- */

static void a_long_answer_comes_in_blocks(void **state)
{
    struct world *w = *state;
    struct party *s = serve_body(w, COPAL_GET, "/status", 0, 350), *p;

    s->etag = "e";
    tune(w->server, COPAL_P_BLOCK_SIZE, 128);
    p = ask_body(w, COPAL_GET, "coap://server/status", 0);
    run(w, 10);
    assert_log(p, "2.05 350 bytes\nend OK\n");
    assert_body(p, 350, 1);
    assert_int_equal(s->requests, 1);
    assert_int_equal(copal_msg_uint(p->msg, COPAL_OPT_BLOCK2), COPAL_ENOENT);
    assert_int_equal(copal_msg_uint(p->msg, COPAL_OPT_SIZE2), 350);
    assert_transcript(
        w, "   0 client > server CON GET 0001 /status\n"
           "   0 server > client ACK 2.05 0001 2:0/1/128 etag=65 (128 bytes)\n"
           "   0 client > server CON GET 0002 /status 2:1/0/128\n"
           "   0 server > client ACK 2.05 0002 2:1/1/128 etag=65 (128 bytes)\n"
           "   0 client > server CON GET 0003 /status 2:2/0/128\n"
           "   0 server > client ACK 2.05 0003 2:2/0/128 etag=65 (94 bytes)\n");
}

static void an_asker_with_small_blocks_says_so_at_once(void **state)
{
    struct world *w = *state;
    struct party *s = serve_body(w, COPAL_GET, "/status", 0, 350), *p;

    s->etag = "e";
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

static void a_server_that_knows_no_better_is_asked_for_smaller_blocks_late(
    void **state)
{
    struct world *w = *state;
    struct tap *t = tap_client(w);
    struct party *p;

    tune(w->client, COPAL_P_BLOCK_SIZE, 64);
    copal_free(w->server);
    p = ask_body(w, COPAL_GET, "coap://server/status", 0);
    run(w, 0);
    play(w, t, "ACK 2.05 2:0/1/128 etag=0a", 0, part(350, 1, 0, 128));
    assert_non_null(strstr(t->line, "2/0/64"));
    play(w, t, "ACK 2.05 2:2/1/64 etag=0a", 0, part(350, 1, 128, 64));
    assert_non_null(strstr(t->line, "3/0/64"));
    play(w, t, "ACK 2.05 2:3/0/64 etag=0a", 0, part(200, 1, 192, 8));
    assert_log(p, "2.05 200 bytes\nend OK\n");
    assert_body(p, 200, 1);
}

static void a_lost_block_is_asked_for_again(void **state)
{
    struct world *w = *state;
    struct party *s = serve_body(w, COPAL_GET, "/status", 0, 200), *p;

    s->etag = "e";
    tune(w->server, COPAL_P_BLOCK_SIZE, 128);
    copal_sim_set_path(w->sim, NULL, NULL, (copal_sim_path){.delay = 10});
    p = ask_body(w, COPAL_GET, "coap://server/status", 0);
    run(w, 15);
    copal_sim_lose(w->sim, "client", 1);
    run(w, 2020);
    copal_sim_lose(w->sim, "server", 1);
    run(w, 10000);
    assert_log(p, "2.05 200 bytes\nend OK\n");
    assert_body(p, 200, 1);
    assert_transcript(
        w, "   0 client > server CON GET 0001 /status\n"
           "  10 server > client ACK 2.05 0001 2:0/1/128 etag=65 (128 bytes)\n"
           "  20 client > server CON GET 0002 /status 2:1/0/128 (lost)\n"
           "2020 client > server CON GET 0002 /status 2:1/0/128\n"
           "2030 server > client ACK 2.05 0002 2:1/0/128 etag=65 (72 bytes)\n");
}

static void a_lost_answer_is_repeated_and_not_asked_of_the_handler(void **state)
{
    struct world *w = *state;
    struct party *s = serve_body(w, COPAL_GET, "/status", 0, 200), *p;

    s->etag = "e";
    tune(w->server, COPAL_P_BLOCK_SIZE, 128);
    copal_sim_lose(w->sim, "server", 1);
    p = ask_body(w, COPAL_GET, "coap://server/status", 0);
    run(w, 10000);
    assert_body(p, 200, 1);
    assert_int_equal(s->requests, 1);
    assert_transcript(
        w, "   0 client > server CON GET 0001 /status\n"
           "   0 server > client ACK 2.05 0001 2:0/1/128 etag=65 (128 bytes) "
           "(lost)\n"
           "2000 client > server CON GET 0001 /status\n"
           "2000 server > client ACK 2.05 0001 2:0/1/128 etag=65 (128 bytes)\n"
           "2000 client > server CON GET 0002 /status 2:1/0/128\n"
           "2000 server > client ACK 2.05 0002 2:1/0/128 etag=65 (72 bytes)\n");
}

static void a_slow_answer_comes_separately_and_in_blocks(void **state)
{
    struct world *w = *state;
    struct party *s = serve_body(w, COPAL_GET, "/slow", 0, 200), *p;

    s->etag = "e";
    s->holds = true;
    tune(w->server, COPAL_P_BLOCK_SIZE, 128);
    p = ask_body(w, COPAL_GET, "coap://server/slow", 0);
    run(w, 1000);
    assert_int_equal(give(s), 0);
    run(w, 10);
    assert_body(p, 200, 1);
    assert_transcript(
        w, "   0 client > server CON GET 0001 /slow\n"
           " 250 server > client ACK empty 0001\n"
           "1000 server > client CON 2.05 0001 2:0/1/128 etag=65 (128 bytes)\n"
           "1000 client > server ACK empty 0001\n"
           "1000 client > server CON GET 0002 /slow 2:1/0/128\n"
           "1000 server > client ACK 2.05 0002 2:1/0/128 etag=65 (72 bytes)\n");
}

static void a_non_confirmable_get_stays_that_for_all_blocks(void **state)
{
    struct world *w = *state;
    struct party *p;
    copal_msg *m = request_of(w, COPAL_GET, "coap://server/n", 0);

    serve_body(w, COPAL_GET, "/n", 0, 200)->etag = "e";
    tune(w->server, COPAL_P_BLOCK_SIZE, 128);
    copal_msg_set_flags(m, COPAL_NON);
    p = send_request(w, m);
    run(w, 10);
    assert_body(p, 200, 1);
    assert_transcript(
        w, "   0 client > server NON GET 0001 /n\n"
           "   0 server > client NON 2.05 0001 2:0/1/128 etag=65 (128 bytes)\n"
           "   0 client > server NON GET 0002 /n 2:1/0/128\n"
           "   0 server > client NON 2.05 0002 2:1/0/128 etag=65 (72 bytes)\n");
}

static void sizes_around_a_block_arrive_whole(void **state)
{
    static const size_t sizes[] = {0, 1, 15, 16, 17, 31, 32, 33, 47, 48, 49};

    (void)state;
    for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
        void *fixture;
        struct world *w;
        struct party *s, *down, *up;

        build_bodies(&fixture);
        w = fixture;
        tune(w->server, COPAL_P_BLOCK_SIZE, 16);
        tune(w->client, COPAL_P_BLOCK_SIZE, 16);
        s = serve_body(w, 0, "/b", 0, sizes[i]);
        down = ask_body(w, COPAL_GET, "coap://server/b", 0);
        run(w, 10);
        assert_int_equal(down->status, 0);
        assert_body(down, sizes[i], 1);
        up = ask_body(w, COPAL_POST, "coap://server/b", sizes[i]);
        run(w, 10);
        assert_int_equal(up->status, 0);
        assert_body(s, sizes[i], 1);
        assert_body(up, sizes[i], 1);
        tear_down_bodies(&fixture);
    }
}

/* ---- PUT and POST ---- */

static void a_long_body_leaves_in_blocks(void **state)
{
    struct world *w = *state;
    struct party *s = serve_body(w, COPAL_PUT, "/options", 0, 0), *p;

    s->answer = COPAL_CHANGED;
    tune(w->client, COPAL_P_BLOCK_SIZE, 128);
    p = ask_body(w, COPAL_PUT, "coap://server/options", 350);
    run(w, 10);
    assert_log(p, "2.04 0 bytes\nend OK\n");
    assert_log(s, "PUT 350 bytes\n");
    assert_body(s, 350, 1);
    assert_int_equal(copal_msg_uint(s->msg, COPAL_OPT_BLOCK1), COPAL_ENOENT);
    assert_transcript(
        w, "   0 client > server CON PUT 0001 /options 1:0/1/128 (128 bytes)\n"
           "   0 server > client ACK 2.31 0001 1:0/1/128\n"
           "   0 client > server CON PUT 0002 /options 1:1/1/128 (128 bytes)\n"
           "   0 server > client ACK 2.31 0002 1:1/1/128\n"
           "   0 client > server CON PUT 0003 /options 1:2/0/128 (94 bytes)\n"
           "   0 server > client ACK 2.04 0003 1:2/0/128\n");
}

static void a_server_may_ask_for_smaller_blocks_mid_way(void **state)
{
    struct world *w = *state;
    struct party *s = serve_body(w, COPAL_PUT, "/options", 0, 0), *p;

    s->answer = COPAL_CHANGED;
    tune(w->client, COPAL_P_BLOCK_SIZE, 128);
    tune(w->server, COPAL_P_BLOCK_SIZE, 32);
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

static void bodies_of_both_directions_follow_each_other(void **state)
{
    struct world *w = *state;
    struct party *s = serve_body(w, COPAL_POST, "/soap", 0, 450), *p;

    s->answer = COPAL_CHANGED;
    tune(w->client, COPAL_P_BLOCK_SIZE, 128);
    tune(w->server, COPAL_P_BLOCK_SIZE, 128);
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
           "   0 server > client ACK 2.04 0003 1:2/0/128 2:0/1/128 "
           "etag=00842e13 (128 bytes)\n"
           "   0 client > server CON POST 0004 /soap 2:1/0/128\n"
           "   0 server > client ACK 2.04 0004 2:1/1/128 "
           "etag=00842e13 (128 bytes)\n"
           "   0 client > server CON POST 0005 /soap 2:2/0/128\n"
           "   0 server > client ACK 2.04 0005 2:2/1/128 "
           "etag=00842e13 (128 bytes)\n"
           "   0 client > server CON POST 0006 /soap 2:3/0/128\n"
           "   0 server > client ACK 2.04 0006 2:3/0/128 "
           "etag=00842e13 (66 bytes)\n");
}

static void the_size_of_answers_is_asked_for_with_the_last_block(void **state)
{
    struct world *w = *state;
    struct party *s = serve_body(w, COPAL_POST, "/soap", 0, 100), *p;
    copal_msg *m = request_of(w, COPAL_POST, "coap://server/soap", 200);

    s->answer = COPAL_CHANGED;
    copal_msg_tune(m, COPAL_P_BLOCK_SIZE, 128);
    copal_msg_add_uint(m, COPAL_OPT_BLOCK2, 2); /* 0/0/64 */
    p = send_request(w, m);
    run(w, 10);
    assert_body(p, 100, 1);
    assert_transcript(
        w, "   0 client > server CON POST 0001 /soap 1:0/1/128 (128 bytes)\n"
           "   0 server > client ACK 2.31 0001 1:0/1/128\n"
           "   0 client > server CON POST 0002 /soap 1:1/0/128 2:0/0/64 "
           "(72 bytes)\n"
           "   0 server > client ACK 2.04 0002 1:1/0/128 2:0/1/64 "
           "etag=3b26d503 (64 bytes)\n"
           "   0 client > server CON POST 0003 /soap 2:1/0/64\n"
           "   0 server > client ACK 2.04 0003 2:1/0/64 etag=3b26d503 "
           "(36 bytes)\n");
}

static void a_stateless_server_gets_every_block(void **state)
{
    struct world *w = *state;
    struct tap *t = tap_client(w);
    struct party *p;

    copal_free(w->server);
    tune(w->client, COPAL_P_BLOCK_SIZE, 128);
    p = ask_body(w, COPAL_PUT, "coap://server/options", 350);
    run(w, 0);
    play(w, t, "ACK 2.04 1:0/0/128", 0, (copal_bytes){0});
    assert_int_equal(t->count, 2);
    play(w, t, "ACK 2.04 1:1/0/128", 0, (copal_bytes){0});
    assert_int_equal(t->count, 3);
    assert_non_null(strstr(t->line, "2/0/128"));
    play(w, t, "ACK 2.04 1:2/0/128", 0, (copal_bytes){0});
    assert_log(p, "2.04 0 bytes\nend OK\n");
}

static void a_success_that_names_no_block_is_the_answer(void **state)
{
    struct world *w = *state;
    struct tap *t = tap_client(w);
    struct party *p;

    copal_free(w->server);
    p = ask_body(w, COPAL_PUT, "coap://server/options", 3000);
    run(w, 0);
    play(w, t, "ACK 2.04", 0, (copal_bytes){0});
    assert_log(p, "2.04 0 bytes\nend OK\n");
    assert_int_equal(t->count, 1);
}

/* There are servers that know the body by it. */
static void the_blocks_of_an_upload_have_one_token(void **state)
{
    struct world *w = *state;
    struct tap *t = tap_client(w);
    struct tap first;

    copal_free(w->server);
    tune(w->client, COPAL_P_BLOCK_SIZE, 128);
    ask_body(w, COPAL_PUT, "coap://server/x", 350);
    run(w, 0);
    first = *t;
    for (int num = 0; num < 3; num++) {
        char answer[32];

        assert_int_equal(t->count, num + 1);
        assert_int_equal(t->token_len, first.token_len);
        assert_memory_equal(t->token, first.token, first.token_len);
        snprintf(answer, sizeof(answer), "ACK %s 1:%d/%d/128",
                 num < 2 ? "2.31" : "2.04", num, num < 2);
        play(w, t, answer, 0, (copal_bytes){0});
    }
}

static void after_a_late_answer_there_is_an_end_all_the_same(void **state)
{
    struct world *w = *state;
    struct tap *t = tap_client(w);
    struct party *p;

    copal_free(w->server);
    w->server = NULL;
    tune(w->client, COPAL_P_BLOCK_SIZE, 16);
    p = send_request(w, request_of(w, COPAL_PUT, "coap://server/x", 60));
    copal_sim_run(w->sim, 0);
    play(w, t, "ACK 2.31 1:0/1/16", 0, (copal_bytes){0});
    play(w, t, "ACK 2.31 1:1/1/16", 0, (copal_bytes){0});
    play(w, t, "NON 2.31 1:0/1/16", 1000, (copal_bytes){0});
    copal_sim_run(w->sim, 200000);
    assert_int_equal(p->ends, 0);
    copal_sim_run(w->sim, 100000);
    assert_int_equal(p->ends, 1);
    assert_int_equal(p->status, COPAL_ETIMEOUT);
}

static void a_late_answer_to_the_block_before_moves_nothing(void **state)
{
    struct world *w = *state;
    struct tap *t = tap_client(w);
    struct party *p;

    copal_free(w->server);
    tune(w->client, COPAL_P_BLOCK_SIZE, 128);
    p = ask_body(w, COPAL_PUT, "coap://server/x", 350);
    run(w, 0);
    play(w, t, "CON 2.31 1:0/1/128", 501, (copal_bytes){0});
    assert_int_equal(t->count, 2);
    play(w, t, "CON 2.31 1:0/1/128", 502, (copal_bytes){0});
    assert_int_equal(t->count, 2);
    play(w, t, "CON 2.31 1:1/1/128", 503, (copal_bytes){0});
    play(w, t, "CON 2.04 1:2/0/128", 504, (copal_bytes){0});
    assert_log(p, "2.04 0 bytes\nend OK\n");
}

static void a_first_block_too_large_is_tried_in_the_size_named(void **state)
{
    struct world *w = *state;
    struct tap *t = tap_client(w);
    struct party *p;

    copal_free(w->server);
    p = ask_body(w, COPAL_PUT, "coap://server/x", 2048);
    run(w, 0);
    assert_non_null(strstr(t->line, "0/1/1024"));
    play(w, t, "ACK 4.13 1:0/1/256", 0, (copal_bytes){0});
    assert_int_equal(t->count, 2);
    assert_non_null(strstr(t->line, "0/1/256"));
    play(w, t, "ACK 2.31 1:0/1/256", 0, (copal_bytes){0});
    assert_non_null(strstr(t->line, "1/1/256"));
    play(w, t, "ACK 4.13 1:1/0/128", 0, (copal_bytes){0});
    assert_log(p, "4.13 0 bytes\nend OK\n"); /* amid it, no second try */
}

static void a_server_that_never_has_enough_gets_no_more_than_the_body(
    void **state)
{
    struct world *w = *state;
    struct tap *t = tap_client(w);
    struct party *p;

    copal_free(w->server);
    p = ask_body(w, COPAL_PUT, "coap://server/x", 1500);
    run(w, 0);
    play(w, t, "ACK 2.31 1:0/1/1024", 0, (copal_bytes){0});
    play(w, t, "ACK 2.31 1:1/1/1024", 0, (copal_bytes){0});
    assert_int_equal(t->count, 2);
    assert_log(p, "2.31 0 bytes\nend OK\n");
}

static void an_error_amid_an_upload_is_the_answer(void **state)
{
    struct world *w = *state;
    struct tap *t = tap_client(w);
    struct party *p;

    copal_free(w->server);
    p = ask_body(w, COPAL_PUT, "coap://server/x", 3000);
    run(w, 0);
    play(w, t, "ACK 2.31 1:0/1/1024", 0, (copal_bytes){0});
    play(w, t, "ACK 4.08", 0, (copal_bytes){0});
    assert_log(p, "4.08 0 bytes\nend OK\n");
    assert_int_equal(t->count, 2);
}

static void nobody_collects_for_a_path_that_is_not_served(void **state)
{
    struct world *w = *state;
    struct party *p = ask_body(w, COPAL_PUT, "coap://server/none", 3000);

    run(w, 10);
    assert_log(p, "4.04 0 bytes\nend OK\n");
    assert_int_equal(count_in_transcript(w, "PUT"), 1);
}

static void size1_stands_in_the_first_block_only(void **state)
{
    struct world *w = *state;
    struct tap *t = tap_client(w);

    copal_free(w->server);
    ask_body(w, COPAL_PUT, "coap://server/x", 3000);
    run(w, 0);
    assert_non_null(strstr(t->line, "[\"Size1\",\"3000\"]"));
    play(w, t, "ACK 2.31 1:0/1/1024", 0, (copal_bytes){0});
    assert_null(strstr(t->line, "Size1"));
}

static void if_none_match_stands_in_the_first_block_and_is_heeded(void **state)
{
    struct world *w = *state;
    struct party *s = serve_body(w, COPAL_PUT, "/x", 0, 0), *p;
    struct tap *t = tap_client(w);
    copal_msg *m = request_of(w, COPAL_PUT, "coap://server/x", 1500);

    serve_body(w, COPAL_GET, "/x", 0, 10);
    copal_msg_add(m, COPAL_OPT_IF_NONE_MATCH, (copal_bytes){0});
    p = send_request(w, m);
    run(w, 10);
    assert_null(strstr(t->line, "If-None-Match"));
    assert_log(p, "4.12 0 bytes\nend OK\n");
    assert_int_equal(s->requests, 0);
    assert_int_equal(count_in_transcript(w, "2.31"), 1);
}

/* ---- What a server refuses ---- */

static void block_size_7_is_refused(void **state)
{
    struct world *w = *state;
    struct party *s = serve_body(w, 0, "/x", 0, 10);
    static const struct {
        int option;
        uint32_t value;
    } rows[] = {{COPAL_OPT_BLOCK1, 7},
                {COPAL_OPT_BLOCK1, 15},
                {COPAL_OPT_BLOCK2, 7},
                {COPAL_OPT_BLOCK2, 0x17}};

    for (size_t i = 0; i < 4; i++) {
        copal_msg *m = request_of(w, COPAL_PUT, "coap://server/x", 10);
        struct party *p;

        copal_msg_set_flags(m, COPAL_RAW_BLOCKS);
        copal_msg_add_uint(m, rows[i].option, rows[i].value);
        p = send_request(w, m);
        run(w, 10);
        assert_int_equal(p->code, COPAL_BAD_REQUEST);
    }
    assert_int_equal(s->requests, 0);
}

static void an_answer_of_block_size_7_ends_the_exchange(void **state)
{
    struct world *w = *state;
    struct tap *t = tap_client(w);
    struct party *p;
    uint8_t datagram[64] = {0x68, 0x45};
    size_t n = 4;

    copal_free(w->server);
    p = ask_body(w, COPAL_GET, "coap://server/x", 0);
    run(w, 0);
    datagram[2] = (uint8_t)(t->mid >> 8);
    datagram[3] = (uint8_t)t->mid;
    memcpy(datagram + n, t->token, 8);
    n += 8;
    datagram[n++] = 0xd1; /* Block2 */
    datagram[n++] = 23 - 13;
    datagram[n++] = 0x0f;
    datagram[n++] = 0xff;
    datagram[n++] = 'x';
    copal_sim_inject(w->sim, "server", "client", (copal_bytes){datagram, n});
    run(w, 0);
    assert_int_equal(p->status, COPAL_EFORMAT);
}

static void a_gap_is_refused_and_the_body_forgotten(void **state)
{
    struct world *w = *state;
    struct party *s = serve_body(w, COPAL_PUT, "/x", 0, 0);

    assert_int_equal(put_block(w, "coap://server/x", 0, true, 64)->code, -1);
    run(w, 10);
    put_block(w, "coap://server/x", 2, true, 64);
    run(w, 10);
    put_block(w, "coap://server/x", 1, false, 64); /* would have been next */
    run(w, 10);
    assert_int_equal(s->requests, 0);
    assert_transcript(
        w, "   0 client > server CON PUT 0001 /x 1:0/1/64 (64 bytes)\n"
           "   0 server > client ACK 2.31 0001 1:0/1/64\n"
           "  10 client > server CON PUT 0002 /x 1:2/1/64 (64 bytes)\n"
           "  10 server > client ACK 4.08 0002\n"
           "  20 client > server CON PUT 0003 /x 1:1/0/64 (32 bytes)\n"
           "  20 server > client ACK 4.08 0003\n");
}

static void a_block_asked_again_is_answered_again(void **state)
{
    struct world *w = *state;
    struct party *s = serve_body(w, COPAL_PUT, "/x", 0, 0), *p;

    for (unsigned num = 0; num < 2; num++) {
        put_block(w, "coap://server/x", num, true, 64);
        run(w, 10);
    }
    p = put_block(w, "coap://server/x", 1, true, 64);
    run(w, 10);
    assert_int_equal(p->code, COPAL_CONTINUE);
    put_block(w, "coap://server/x", 2, false, 64);
    run(w, 10);
    assert_body(s, 160, 1);
}

static void a_block_that_only_stands_where_the_last_did_is_refused(void **state)
{
    struct world *w = *state;
    struct party *p;

    serve_body(w, COPAL_PUT, "/x", 0, 0);
    put_block(w, "coap://server/x", 0, true, 64);
    run(w, 10);
    put_block(w, "coap://server/x", 1, true, 64);
    run(w, 10);
    p = raw(w, "PUT coap://server/x 1:1/1/64", part(1000, 2, 64, 64));
    run(w, 10);
    assert_int_equal(p->code, COPAL_INCOMPLETE);
}

static void a_streamed_block_asked_again_is_one_chunk(void **state)
{
    struct world *w = *state;
    struct party *s = serve_body(w, COPAL_PUT, "/x", COPAL_STREAMED, 0), *p;

    put_block(w, "coap://server/x", 0, true, 64);
    run(w, 10);
    put_block(w, "coap://server/x", 1, true, 64);
    run(w, 10);
    p = put_block(w, "coap://server/x", 1, true, 64);
    run(w, 10);
    assert_int_equal(p->code, COPAL_CONTINUE);
    p = put_block(w, "coap://server/x", 2, false, 64);
    run(w, 10);
    assert_log(s, "PUT 0 bytes\nchunk 0 +64\nchunk 64 +64\n"
                  "chunk 128 +32 last\n");
    assert_int_equal(p->code, COPAL_CONTENT);
}

/* Whoever asks last has the answer; the one before hears that we did. */
static void a_streamed_block_asked_again_waits_for_the_handler(void **state)
{
    struct world *w = *state;
    struct party *s = serve_body(w, COPAL_PUT, "/x", COPAL_STREAMED, 0), *p;

    put_block(w, "coap://server/x", 0, true, 64);
    run(w, 10);
    s->pauses = true;
    put_block(w, "coap://server/x", 1, true, 64);
    run(w, 10);
    p = put_block(w, "coap://server/x", 1, true, 64);
    run(w, 10);
    assert_int_equal(p->code, -1);
    copal_resume(s->x);
    run(w, 10);
    assert_int_equal(p->code, COPAL_CONTINUE);
    assert_log(s, "PUT 0 bytes\nchunk 0 +64\nchunk 64 +64\n");
}

/* Who paused it holds no reference, so that nobody can ever go on. */
static void a_paused_upload_that_nobody_holds_comes_to_its_end(void **state)
{
    struct world *w = *state;
    struct party *s = serve_body(w, COPAL_PUT, "/x", COPAL_STREAMED, 0), *p;

    s->pauses = true;
    p = put_block(w, "coap://server/x", 0, true, 64);
    run(w, 100000);
    assert_int_equal(stats_of(w->server).exchanges_open, 1);
    run(w, 400000);
    assert_int_equal(stats_of(w->server).exchanges_open, 0);
    assert_int_not_equal(p->code, COPAL_CONTINUE);
}

static void a_first_block_that_is_not_number_0_is_refused(void **state)
{
    struct world *w = *state;
    struct party *s = serve_body(w, COPAL_PUT, "/x", 0, 0), *p;

    p = put_block(w, "coap://server/x", 1, true, 64);
    run(w, 10);
    assert_int_equal(p->code, COPAL_INCOMPLETE);
    p = put_block(w, "coap://server/x", 3, false, 64);
    run(w, 10);
    assert_int_equal(p->code, COPAL_INCOMPLETE);
    assert_int_equal(s->requests, 0);
}

static void a_payload_that_is_no_block_is_refused(void **state)
{
    struct world *w = *state;
    struct party *p;

    serve_body(w, COPAL_PUT, "/x", 0, 0);
    p = raw(w, "PUT coap://server/x 1:0/1/64", part(100, 1, 0, 63));
    run(w, 10);
    assert_int_equal(p->code, COPAL_BAD_REQUEST);
    p = raw(w, "PUT coap://server/x 1:0/0/64", part(100, 1, 0, 65));
    run(w, 10);
    assert_int_equal(p->code, COPAL_BAD_REQUEST);
}

static void who_begins_again_is_heard_from_the_beginning(void **state)
{
    struct world *w = *state;
    struct party *s = serve_body(w, COPAL_PUT, "/x", 0, 0), *p;

    put_block(w, "coap://server/x", 0, true, 64);
    run(w, 10);
    put_block(w, "coap://server/x", 1, true, 64);
    run(w, 10);
    put_block(w, "coap://server/x", 0, true, 64);
    run(w, 10);
    p = put_block(w, "coap://server/x", 1, false, 64);
    run(w, 10);
    assert_int_equal(p->code, COPAL_CONTENT);
    assert_body(s, 96, 1);
}

static void a_body_over_max_body_is_refused_at_its_first_block(void **state)
{
    struct world *w = *state;
    struct party *s = serve_body(w, COPAL_PUT, "/x", 0, 0), *p;

    tune(w->server, COPAL_P_MAX_BODY, 2000);
    p = ask_body(w, COPAL_PUT, "coap://server/x", 3000);
    run(w, 10);
    assert_log(p, "4.13 0 bytes\nend OK\n");
    assert_int_equal(copal_msg_uint(p->msg, COPAL_OPT_SIZE1), 2000);
    assert_int_equal(count_in_transcript(w, "PUT"), 1);
    assert_int_equal(s->requests, 0);
}

static void a_body_that_grows_over_max_body_is_refused_on_its_way(void **state)
{
    struct world *w = *state;
    struct party *p = NULL;

    serve_body(w, COPAL_PUT, "/x", 0, 0);
    tune(w->server, COPAL_P_MAX_BODY, 2000);
    for (unsigned i = 0; i < 2; i++) {
        p = put_block(w, "coap://server/x", i, true, 1024);
        run(w, 10);
    }
    assert_int_equal(p->code, COPAL_TOO_LARGE);
    assert_int_equal(copal_msg_uint(p->msg, COPAL_OPT_SIZE1), 2000);
}

static void an_answer_over_max_body_ends_with_a_sentence(void **state)
{
    struct world *w = *state;
    struct party *p;

    serve_body(w, COPAL_GET, "/x", 0, 5000);
    tune(w->client, COPAL_P_MAX_BODY, 2000);
    p = ask_body(w, COPAL_GET, "coap://server/x", 0);
    run(w, 10);
    assert_log(p, "end ELIMIT\n");
    assert_int_equal(count_in_transcript(w, "GET"), 1); /* Size2 told it */
}

static void one_peer_has_so_many_bodies_under_way(void **state)
{
    struct world *w = *state;
    struct party *p;
    char uri[64];

    serve_body(w, COPAL_PUT, "/x/{n}", 0, 0);
    for (unsigned i = 0; i < 5; i++) {
        snprintf(uri, sizeof(uri), "coap://server/x/%u", i);
        p = put_block(w, uri, 0, true, 64);
        run(w, 10);
        assert_int_equal(p->code, i < 4 ? COPAL_CONTINUE : COPAL_UNAVAILABLE);
    }
    p = put_block(w, "coap://server/x/0", 1, false, 64); /* one is done */
    run(w, 10);
    assert_int_equal(p->code, COPAL_CONTENT);
    p = put_block(w, uri, 0, true, 64);
    run(w, 10);
    assert_int_equal(p->code, COPAL_CONTINUE);
    assert_int_equal(stats_of(w->server).limited, 1);
}

static void incomplete_bodies_die_at_exchange_lifetime(void **state)
{
    struct world *w = *state;
    struct party *p;
    uint64_t before;

    serve_body(w, COPAL_PUT, "/x", 0, 0);
    put_block(w, "coap://server/x", 0, true, 1024);
    run(w, 1);
    before = stats_of(w->server).memory;
    run(w, 231000); /* 30 s + 2 * 100 s + 2 s: RFC 7252 4.8.2, ACK_RANDOM 1 */
    p = put_block(w, "coap://server/x", 1, true, 1024);
    run(w, 1);
    assert_int_equal(p->code, COPAL_CONTINUE);
    run(w, 233000);
    assert_true(stats_of(w->server).memory < before);
    p = put_block(w, "coap://server/x", 2, false, 1024);
    run(w, 1);
    assert_int_equal(p->code, COPAL_INCOMPLETE);
}

static void bodies_have_so_much_memory_in_all(void **state)
{
    struct world *w = *state;
    struct party *p;

    serve_body(w, COPAL_PUT, "/x/{n}", 0, 0);
    tune(w->server, COPAL_P_BODY_MEMORY, 3000);
    put_block(w, "coap://server/x/1", 0, true, 1024);
    run(w, 10);
    p = put_block(w, "coap://server/x/2", 0, true, 1024);
    run(w, 10);
    assert_int_equal(p->code, COPAL_CONTINUE);
    p = put_block(w, "coap://server/x/1", 1, true, 1024);
    run(w, 10);
    assert_int_equal(p->code, COPAL_UNAVAILABLE);
}

static void a_kept_answer_gives_way_to_a_body_that_comes(void **state)
{
    struct world *w = *state;
    struct party *p, *s = serve_body(w, COPAL_GET, "/long", 0, 2500);

    serve_body(w, COPAL_PUT, "/x", 0, 0);
    tune(w->server, COPAL_P_BODY_MEMORY, 3500);
    raw(w, "GET coap://server/long", (copal_bytes){0});
    run(w, 10);
    p = put_block(w, "coap://server/x", 0, true, 1024);
    run(w, 10);
    assert_int_equal(p->code, COPAL_CONTINUE);
    p = raw(w, "GET coap://server/long 2:1/0/1024", (copal_bytes){0});
    run(w, 10);
    assert_int_equal(p->code, COPAL_CONTENT); /* asked of the handler anew */
    assert_int_equal(s->requests, 2);
}

static void an_answer_is_kept_until_its_last_block_was_asked_for(void **state)
{
    struct world *w = *state;
    struct party *s = serve_body(w, COPAL_GET, "/x", 0, 2500), *p;

    ask_body(w, COPAL_GET, "coap://server/x", 0);
    run(w, 10);
    assert_int_equal(s->requests, 1);
    s->version = 2;
    p = raw(w, "GET coap://server/x 2:1/0/1024", (copal_bytes){0});
    run(w, 10);
    assert_int_equal(s->requests, 2);
    assert_memory_equal(p->body, part(2500, 2, 1024, 1024).data, 1024);
}

static void any_block_may_be_asked_for_first(void **state)
{
    struct world *w = *state;
    struct party *s = serve_body(w, COPAL_GET, "/x", 0, 350), *p;

    p = raw(w, "GET coap://server/x 2:4/0/64", (copal_bytes){0});
    run(w, 10);
    check_answer(p, "2.05 2:4/1/64");
    assert_memory_equal(p->body, part(350, 1, 256, 64).data, 64);
    p = raw(w, "GET coap://server/x 2:5/0/64", (copal_bytes){0});
    run(w, 10);
    check_answer(p, "2.05 2:5/0/64");
    assert_int_equal(s->requests, 1);
    p = raw(w, "GET coap://server/x 2:6/0/64", (copal_bytes){0});
    run(w, 10);
    check_answer(p, "4.00");
    p = ask_body(w, COPAL_GET, "coap://server/none", 0);
    run(w, 10);
    assert_int_equal(p->code, COPAL_NOT_FOUND);
}

static void the_user_may_ask_for_one_block_only(void **state)
{
    struct world *w = *state;
    copal_msg *m = request_of(w, COPAL_GET, "coap://server/x", 0);
    struct party *p;

    serve_body(w, COPAL_GET, "/x", 0, 350);
    copal_msg_add_uint(m, COPAL_OPT_BLOCK2, 4 << 4 | 2);
    p = send_request(w, m);
    run(w, 10);
    assert_int_equal(p->code, COPAL_CONTENT);
    assert_int_equal(p->len, 64);
    assert_int_equal(p->status, 0);
    assert_int_equal(copal_msg_uint(p->msg, COPAL_OPT_BLOCK2), 4 << 4 | 8 | 2);
}

static void an_error_stays_an_error_whichever_block_was_asked_for(void **state)
{
    struct world *w = *state;
    struct party *s = serve_body(w, COPAL_GET, "/x", 0, 20), *p;

    s->answer = COPAL_FORBIDDEN;
    p = raw(w, "GET coap://server/x 2:3/0/64", (copal_bytes){0});
    run(w, 10);
    check_answer(p, "4.03");
    assert_body(p, 20, 1);
}

static void raw_blocks_pass_untouched_both_ways(void **state)
{
    struct world *w = *state;
    struct party *s = serve_body(w, COPAL_GET, "/x", 0, 40), *p;
    copal_msg *m = message_of(w->client, "GET coap://server/x 2:1/0/32");

    s->flags = COPAL_RAW_BLOCKS;
    copal_msg_set_flags(m, COPAL_RAW_BLOCKS);
    p = send_request(w, m);
    run(w, 10);
    assert_log(s, "GET 0 bytes\n");
    assert_int_equal(copal_msg_uint(s->msg, COPAL_OPT_BLOCK2), 1 << 4 | 1);
    assert_log(p, "2.05 40 bytes\nend OK\n");
}

/* ---- ETags ---- */

static void blocks_have_an_etag_even_if_the_handler_gave_none(void **state)
{
    struct world *w = *state;
    struct party *p;

    serve_body(w, COPAL_GET, "/long", 0, 2000);
    serve_body(w, COPAL_GET, "/short", 0, 20);
    p = ask_body(w, COPAL_GET, "coap://server/long", 0);
    run(w, 10);
    assert_int_equal(count_in_transcript(w, " etag="), 2);
    assert_body(p, 2000, 1);
    p = ask_body(w, COPAL_GET, "coap://server/short", 0);
    run(w, 10);
    assert_int_equal(count_in_transcript(w, " etag="), 2);
}

/* Two short requests have no Request-Tag, for nobody knows that their answers
 * will be long. Whose answer was replaced hears so, and gets no mixture. */
static void answers_of_two_posts_are_not_mixed_up(void **state)
{
    struct world *w = *state;
    struct party *s = serve_body(w, COPAL_POST, "/x", 0, 3000), *a, *b;

    s->answer = COPAL_CHANGED;
    copal_sim_set_path(w->sim, NULL, NULL, (copal_sim_path){.delay = 10});
    a = raw(w, "POST coap://server/x", (copal_bytes){0});
    run(w, 25);
    s->version = 2;
    b = ask_body(w, COPAL_POST, "coap://server/x", 0);
    run(w, 1000);
    assert_int_equal(count_in_transcript(w, "2.04 0001 2:0/1/1024 etag="), 1);
    assert_body(b, 3000, 2);
    a = ask_body(w, COPAL_POST, "coap://server/x", 0);
    run(w, 15);
    s->version = 3;
    raw(w, "POST coap://server/x", (copal_bytes){0});
    run(w, 1000);
    assert_log(a, "end ECHANGED\n");
}

static void a_representation_that_changed_is_fetched_anew(void **state)
{
    struct world *w = *state;
    struct tap *t = tap_client(w);
    struct party *p;

    copal_free(w->server);
    p = ask_body(w, COPAL_GET, "coap://server/x", 0);
    run(w, 0);
    play(w, t, "ACK 2.05 2:0/1/64 etag=0a", 0, part(128, 1, 0, 64));
    play(w, t, "ACK 2.05 2:1/0/64 etag=0b", 0, part(128, 2, 64, 64));
    assert_non_null(strstr(t->line, "0/0/64"));
    play(w, t, "ACK 2.05 2:0/1/64 etag=0b", 0, part(128, 2, 0, 64));
    play(w, t, "ACK 2.05 2:1/0/64 etag=0b", 0, part(128, 2, 64, 64));
    assert_log(p, "2.05 128 bytes\nend OK\n");
    assert_body(p, 128, 2);
}

static void one_that_changes_all_the_time_ends_with_echanged(void **state)
{
    struct world *w = *state;
    struct tap *t = tap_client(w);
    struct party *p;

    copal_free(w->server);
    p = ask_body(w, COPAL_GET, "coap://server/x", 0);
    run(w, 0);
    for (int i = 0; i < 4; i++) {
        assert_int_equal(t->count, 2 * i + 1);
        play(w, t, "ACK 2.05 2:0/1/64 etag=0a", 0, part(128, 1, 0, 64));
        play(w, t, "ACK 2.05 2:1/0/64 etag=0b", 0, part(128, 2, 64, 64));
    }
    assert_log(p, "end ECHANGED\n");
    assert_int_equal(t->count, 8);
}

static void a_post_is_not_done_twice_for_an_answer_that_changed(void **state)
{
    struct world *w = *state;
    struct tap *t = tap_client(w);
    struct party *p;

    copal_free(w->server);
    p = ask_body(w, COPAL_POST, "coap://server/x", 5);
    run(w, 0);
    play(w, t, "ACK 2.04 2:0/1/64 etag=0a", 0, part(128, 1, 0, 64));
    play(w, t, "ACK 2.04 2:1/0/64 etag=0b", 0, part(128, 2, 64, 64));
    assert_log(p, "end ECHANGED\n");
}

static void our_server_shows_a_change_between_blocks(void **state)
{
    struct world *w = *state;
    struct party *s = serve_body(w, COPAL_GET, "/x", 0, 3000), *p;

    tune(w->server, COPAL_P_BODY_MEMORY, 1000); /* nothing can be kept */
    copal_sim_set_path(w->sim, NULL, NULL, (copal_sim_path){.delay = 10});
    p = ask_body(w, COPAL_GET, "coap://server/x", 0);
    run(w, 15);
    s->version = 2;
    run(w, 1000);
    assert_log(p, "2.05 3000 bytes\nend OK\n");
    assert_body(p, 3000, 2);
}

static void an_error_amid_a_download_is_the_answer(void **state)
{
    struct world *w = *state;
    struct tap *t = tap_client(w);
    struct party *p;

    copal_free(w->server);
    p = ask_body(w, COPAL_GET, "coap://server/x", 0);
    run(w, 0);
    play(w, t, "ACK 2.05 2:0/1/64 etag=0a", 0, part(128, 1, 0, 64));
    play(w, t, "ACK 4.04", 0, (copal_bytes){0});
    assert_log(p, "4.04 0 bytes\nend OK\n");
}

static void a_block_out_of_place_ends_the_exchange(void **state)
{
    struct world *w = *state;
    struct tap *t = tap_client(w);
    struct party *p;

    copal_free(w->server);
    p = ask_body(w, COPAL_GET, "coap://server/x", 0);
    run(w, 0);
    play(w, t, "ACK 2.05 2:0/1/64 etag=0a", 0, part(256, 1, 0, 64));
    play(w, t, "ACK 2.05 2:2/1/64 etag=0a", 0, part(256, 1, 128, 64));
    assert_log(p, "end EFORMAT\n");
}

static void an_old_answer_is_no_block_of_the_new_request(void **state)
{
    struct world *w = *state;
    struct tap *t = tap_client(w);
    struct tap first;
    struct party *p;

    copal_free(w->server);
    p = ask_body(w, COPAL_GET, "coap://server/x", 0);
    run(w, 0);
    first = *t;
    play(w, t, "ACK 2.05 2:0/1/64 etag=0a", 0, part(100, 1, 0, 64));
    play(w, &first, "ACK 2.05 2:0/1/64 etag=0a", 0, part(100, 1, 0, 64));
    play(w, &first, "CON 2.05 2:0/1/64 etag=0a", 77, part(100, 1, 0, 64));
    play(w, t, "ACK 2.05 2:1/0/64 etag=0a", 0, part(100, 1, 64, 64));
    assert_log(p, "2.05 100 bytes\nend OK\n");
    assert_body(p, 100, 1);
    assert_int_equal(count_in_transcript(w, "client > server RST"), 1);
}

/* ---- Ends ---- */

static void cancelling_amid_a_download_stops_it(void **state)
{
    struct world *w = *state;
    struct party *p;

    serve_body(w, COPAL_GET, "/x", 0, 5000);
    copal_sim_set_path(w->sim, NULL, NULL, (copal_sim_path){.delay = 10});
    p = ask_body(w, COPAL_GET, "coap://server/x", 0);
    run(w, 25);
    copal_cancel(p->x);
    run(w, 1000);
    assert_log(p, "end ECANCEL\n");
    assert_int_equal(count_in_transcript(w, "GET"), 2);
}

static void cancelling_amid_an_upload_stops_it(void **state)
{
    struct world *w = *state;
    struct party *p, *s = serve_body(w, COPAL_PUT, "/x", 0, 0);

    copal_sim_set_path(w->sim, NULL, NULL, (copal_sim_path){.delay = 10});
    p = ask_body(w, COPAL_PUT, "coap://server/x", 5000);
    run(w, 25);
    copal_cancel(p->x);
    run(w, 300000);
    assert_log(p, "end ECANCEL\n");
    assert_int_equal(s->requests, 0);
    assert_int_equal(count_in_transcript(w, "PUT"), 2);
}

static void a_server_that_falls_silent_amid_a_transfer_ends_it(void **state)
{
    struct world *w = *state;
    struct party *up, *down;

    serve_body(w, 0, "/x", 0, 5000);
    copal_sim_set_path(w->sim, NULL, NULL, (copal_sim_path){.delay = 10});
    down = ask_body(w, COPAL_GET, "coap://server/x", 0);
    run(w, 35);
    copal_free(w->server);
    run(w, 100000);
    assert_log(down, "end ETIMEOUT\n");
    w->server = add_host(w, "server");
    serve_body(w, 0, "/x", 0, 0);
    up = ask_body(w, COPAL_PUT, "coap://server/x", 5000);
    run(w, 35);
    copal_free(w->server);
    run(w, 100000);
    assert_log(up, "end ETIMEOUT\n");
}

static void progress_is_told_both_ways(void **state)
{
    struct world *w = *state;
    struct party *p;
    copal_msg *m;

    serve_body(w, 0, "/x", 0, 2500);
    m = request_of(w, COPAL_POST, "coap://server/x", 1500);
    copal_msg_set_flags(m, COPAL_TELL_PROGRESS);
    p = send_request(w, m);
    run(w, 10);
    assert_log(p, "progress 1024 of 1500\nprogress 1500 of 1500\n"
                  "progress 1024 of 2500\nprogress 2048 of 2500\n"
                  "progress 2500 of 2500\n2.05 2500 bytes\nend OK\n");
}

/* ---- Much, and weather ---- */

static void a_hundred_kilobytes_go_both_ways(void **state)
{
    struct world *w = *state;
    struct party *s = serve_body(w, 0, "/x", 0, 100000), *p;

    p = ask_body(w, COPAL_POST, "coap://server/x", 100000);
    run(w, 10);
    assert_log(p, "2.05 100000 bytes\nend OK\n");
    assert_body(p, 100000, 1);
    assert_body(s, 100000, 1);
    assert_int_equal(stats_of(w->server).exchanges_open, 0);
}

static void a_megabyte_is_not_copied_for_every_block(void **state)
{
    struct world *w = *state;
    struct party *p;

    copal_sim_keep(w->sim, 0);
    serve_body(w, COPAL_GET, "/x", 0, 1000000);
    tune(w->server, COPAL_P_BLOCK_SIZE, 64);
    p = ask_body(w, COPAL_GET, "coap://server/x", 0);
    run(w, 10);
    assert_body(p, 1000000, 1);
}

static void transfers_of_two_askers_do_not_mix(void **state)
{
    struct world *w = *state;
    struct party *s = serve_body(w, COPAL_PUT, "/x/{n}", 0, 0), *a, *b;

    s->answer = COPAL_CHANGED;
    tune(w->client, COPAL_P_NSTART, 4);
    a = ask_body(w, COPAL_PUT, "coap://server/x/1", 5000);
    b = ask_body(w, COPAL_PUT, "coap://server/x/2", 4000);
    run(w, 10);
    assert_int_equal(a->code, COPAL_CHANGED);
    assert_int_equal(b->code, COPAL_CHANGED);
    assert_int_equal(s->requests, 2);
}

static void two_downloads_of_one_asker_do_not_disturb_each_other(void **state)
{
    struct world *w = *state;
    struct party *a, *b;

    tune(w->client, COPAL_P_NSTART, 4);
    copal_sim_set_path(w->sim, NULL, NULL, (copal_sim_path){.delay = 10});
    serve_body(w, COPAL_GET, "/x", 0, 5000);
    a = ask_body(w, COPAL_GET, "coap://server/x", 0);
    run(w, 45);
    b = ask_body(w, COPAL_GET, "coap://server/x", 0);
    run(w, 1000);
    assert_log(a, "2.05 5000 bytes\nend OK\n");
    assert_log(b, "2.05 5000 bytes\nend OK\n");
    assert_body(a, 5000, 1);
    assert_body(b, 5000, 1);
}

static void get_in_weather(struct world *w)
{
    struct party *s = serve_body(w, COPAL_GET, "/x", 0, 3000), *p;

    p = ask_body(w, COPAL_GET, "coap://server/x", 0);
    run(w, 600000);
    assert_int_equal(p->ends, 1);
    if (p->status == 0) {
        assert_int_equal(p->responses, 1);
        assert_body(p, 3000, 1);
    } else {
        assert_int_equal(p->status, COPAL_ETIMEOUT);
    }
    assert_in_range(s->requests, 0, 3);
}

static void put_in_weather(struct world *w)
{
    struct party *s = serve_body(w, COPAL_PUT, "/x", 0, 0), *p;

    s->answer = COPAL_CHANGED;
    p = ask_body(w, COPAL_PUT, "coap://server/x", 3000);
    run(w, 600000);
    assert_int_equal(p->ends, 1);
    if (p->status == 0)
        assert_int_equal(p->code, COPAL_CHANGED);
    else
        assert_int_equal(p->status, COPAL_ETIMEOUT);
    assert_in_range(s->requests, p->status == 0, 1);
    if (s->requests > 0)
        assert_body(s, 3000, 1);
}

static void post_in_weather(struct world *w)
{
    struct party *s = serve_body(w, COPAL_POST, "/x", 0, 2500), *p;

    p = ask_body(w, COPAL_POST, "coap://server/x", 3000);
    run(w, 600000);
    assert_int_equal(p->ends, 1);
    if (p->status == 0) {
        assert_int_equal(p->code, COPAL_CONTENT);
        assert_body(p, 2500, 1);
    } else {
        assert_int_equal(p->status, COPAL_ETIMEOUT);
    }
    assert_in_range(s->requests, p->status == 0, 1);
    if (s->requests > 0)
        assert_body(s, 3000, 1);
}

static void a_get_in_blocks_survives_bad_weather(void **state)
{
    (void)state;
    bodies_in_bad_weather(get_in_weather, 50);
}

static void a_put_in_blocks_survives_bad_weather(void **state)
{
    (void)state;
    bodies_in_bad_weather(put_in_weather, 50);
}

static void both_ways_survive_bad_weather(void **state)
{
    (void)state;
    bodies_in_bad_weather(post_in_weather, 50);
}

static void both_ways_once(struct world *w)
{
    struct party *p;

    serve_body(w, COPAL_POST, "/x", 0, 2500);
    p = ask_body(w, COPAL_POST, "coap://server/x", 3000);
    run(w, 600000);
    assert_int_equal(p->ends, p->is_asked);
    if (!memory_failed(w))
        assert_body(p, 2500, 1);
}

static void both_ways_survive_every_failed_allocation(void **state)
{
    (void)state;
    bodies_with_failed_allocations(both_ways_once);
}

static void answer_with_a_later_block(const copal_event *ev, void *user)
{
    copal *c = copal_exchange_endpoint(ev->exchange);
    copal_msg *m = copal_msg_new(c, COPAL_CONTENT);

    (void)user;
    copal_msg_add_uint(m, COPAL_OPT_BLOCK2, 3 << 4 | 8 | 0); /* 3/more/16 */
    copal_msg_set_payload(
        m, COPAL_TEXT, (copal_bytes){(const uint8_t *)"0123456789abcdef", 16});
    copal_respond(ev->exchange, m);
    copal_msg_unref(m);
}

/* Taken as it comes, a part would pass for the whole. */
static void a_later_block_that_nobody_asked_for_is_no_answer(void **state)
{
    struct world *w = *state;
    struct record *r;

    copal_serve(w->server, COPAL_GET, "/part", 0,
                COPAL_CB(answer_with_a_later_block, NULL));
    r = get(w, "coap://server/part");
    copal_sim_run(w->sim, 1000);
    assert_ended(r, COPAL_EFORMAT);
    assert_int_equal(r->responses, 0);
}

#define TEST(name) \
    cmocka_unit_test_setup_teardown(name, build_bodies, tear_down_bodies)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_later_block_that_nobody_asked_for_is_no_answer),
        cmocka_unit_test(the_server_answers_as_the_sequences_of_the_rfc),
        TEST(a_long_answer_comes_in_blocks),
        TEST(an_asker_with_small_blocks_says_so_at_once),
        TEST(a_server_that_knows_no_better_is_asked_for_smaller_blocks_late),
        TEST(a_lost_block_is_asked_for_again),
        TEST(a_lost_answer_is_repeated_and_not_asked_of_the_handler),
        TEST(a_slow_answer_comes_separately_and_in_blocks),
        TEST(a_non_confirmable_get_stays_that_for_all_blocks),
        cmocka_unit_test(sizes_around_a_block_arrive_whole),
        TEST(a_long_body_leaves_in_blocks),
        TEST(a_server_may_ask_for_smaller_blocks_mid_way),
        TEST(bodies_of_both_directions_follow_each_other),
        TEST(the_size_of_answers_is_asked_for_with_the_last_block),
        TEST(a_stateless_server_gets_every_block),
        TEST(a_success_that_names_no_block_is_the_answer),
        TEST(the_blocks_of_an_upload_have_one_token),
        TEST(a_late_answer_to_the_block_before_moves_nothing),
        TEST(after_a_late_answer_there_is_an_end_all_the_same),
        TEST(a_first_block_too_large_is_tried_in_the_size_named),
        TEST(a_server_that_never_has_enough_gets_no_more_than_the_body),
        TEST(an_error_amid_an_upload_is_the_answer),
        TEST(nobody_collects_for_a_path_that_is_not_served),
        TEST(size1_stands_in_the_first_block_only),
        TEST(if_none_match_stands_in_the_first_block_and_is_heeded),
        TEST(block_size_7_is_refused),
        TEST(an_answer_of_block_size_7_ends_the_exchange),
        TEST(a_gap_is_refused_and_the_body_forgotten),
        TEST(a_block_asked_again_is_answered_again),
        TEST(a_block_that_only_stands_where_the_last_did_is_refused),
        TEST(a_streamed_block_asked_again_is_one_chunk),
        TEST(a_streamed_block_asked_again_waits_for_the_handler),
        TEST(a_paused_upload_that_nobody_holds_comes_to_its_end),
        TEST(a_first_block_that_is_not_number_0_is_refused),
        TEST(a_payload_that_is_no_block_is_refused),
        TEST(who_begins_again_is_heard_from_the_beginning),
        TEST(a_body_over_max_body_is_refused_at_its_first_block),
        TEST(a_body_that_grows_over_max_body_is_refused_on_its_way),
        TEST(an_answer_over_max_body_ends_with_a_sentence),
        TEST(one_peer_has_so_many_bodies_under_way),
        TEST(incomplete_bodies_die_at_exchange_lifetime),
        TEST(bodies_have_so_much_memory_in_all),
        TEST(a_kept_answer_gives_way_to_a_body_that_comes),
        TEST(an_answer_is_kept_until_its_last_block_was_asked_for),
        TEST(any_block_may_be_asked_for_first),
        TEST(the_user_may_ask_for_one_block_only),
        TEST(an_error_stays_an_error_whichever_block_was_asked_for),
        TEST(raw_blocks_pass_untouched_both_ways),
        TEST(blocks_have_an_etag_even_if_the_handler_gave_none),
        TEST(answers_of_two_posts_are_not_mixed_up),
        TEST(a_representation_that_changed_is_fetched_anew),
        TEST(one_that_changes_all_the_time_ends_with_echanged),
        TEST(a_post_is_not_done_twice_for_an_answer_that_changed),
        TEST(our_server_shows_a_change_between_blocks),
        TEST(an_error_amid_a_download_is_the_answer),
        TEST(a_block_out_of_place_ends_the_exchange),
        TEST(an_old_answer_is_no_block_of_the_new_request),
        TEST(cancelling_amid_a_download_stops_it),
        TEST(cancelling_amid_an_upload_stops_it),
        TEST(a_server_that_falls_silent_amid_a_transfer_ends_it),
        TEST(progress_is_told_both_ways),
        TEST(a_hundred_kilobytes_go_both_ways),
        TEST(a_megabyte_is_not_copied_for_every_block),
        TEST(transfers_of_two_askers_do_not_mix),
        TEST(two_downloads_of_one_asker_do_not_disturb_each_other),
        cmocka_unit_test(a_get_in_blocks_survives_bad_weather),
        cmocka_unit_test(a_put_in_blocks_survives_bad_weather),
        cmocka_unit_test(both_ways_survive_bad_weather),
        cmocka_unit_test(both_ways_survive_every_failed_allocation),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
