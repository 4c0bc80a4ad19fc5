/* The flight recorder, and recordings run again: copal_log_to() and
 * copal_replay(). That each simulation of this folder is the same again shows
 * with COPAL_RECORD, see recorded.c. */
#include <stdlib.h>
#include <unistd.h>
#include "bodies.h"
#include "engine/record.h"
#include "endpoint.h"
#include "replay.h"

enum {
    LONGEST = 1 << 20
};

static char path[] = "/tmp/copal-record-XXXXXX";

/* What a replay told, and what an endpoint sent. */
static struct heard {
    int ends, drops, status;
    char why[CP_REPLAY_SENTENCE];
    size_t notes;
    char sent[LONGEST];
    size_t len;
} heard, before;

/* Only what is sent, not how: its time, and all of it. */
static void note_line(struct heard *h, const char *line)
{
    size_t len = strlen(line);

    h->notes += strstr(line, "\"ev\":\"replay\"") != NULL;
    if (strstr(line, "\"ev\":\"out\"") == NULL &&
        strstr(line, "\"ev\":\"again\"") == NULL)
        return;
    assert_true(h->len + len + 2 < sizeof(h->sent));
    memcpy(h->sent + h->len, line, len);
    h->len += len;
    h->sent[h->len++] = '\n';
    h->sent[h->len] = '\0';
}

static void on_event(const copal_event *ev, void *user)
{
    struct heard *h = user;

    if (ev->kind == COPAL_TRACE) {
        note_line(h, ev->text);
        return;
    }
    assert_int_equal(ev->kind, COPAL_END);
    h->ends++;
    h->status = ev->status;
    snprintf(h->why, sizeof(h->why), "%s", ev->text);
}

static void on_drop(void *user)
{
    ((struct heard *)user)->drops++;
}

static copal_cb hearing(struct heard *h)
{
    memset(h, 0, sizeof(*h));
    return COPAL_CB_OWN(on_event, h, on_drop);
}

static int replay(void)
{
    int err = copal_replay(path, hearing(&heard));

    assert_int_equal(heard.ends, 1);
    assert_int_equal(heard.drops, 1);
    assert_int_equal(heard.status, err);
    return err;
}

/* Records c from now on, and what it sends beside. */
static void record(copal *c)
{
    tune(c, COPAL_P_RECORD_MEMORY, LONGEST);
    copal_trace(c, COPAL_TRACE_WIRE, hearing(&before));
}

static void write_out(copal *c)
{
    assert_int_equal(copal_log_to(c, COPAL_LOG_RECORDING, path), 0);
}

/* c's recording run again sends what c sent. */
static void assert_same_again(copal *c)
{
    write_out(c);
    if (replay() != 0)
        fail_msg("%s", heard.why);
    assert_true(before.len > 0);
    assert_string_equal(heard.sent, before.sent);
}

static int build_file(void **state)
{
    int fd = mkstemp(strcpy(path, "/tmp/copal-record-XXXXXX"));

    assert_true(fd >= 0);
    close(fd);
    return build_bodies(state);
}

static int tear_down_file(void **state)
{
    unlink(path);
    return tear_down_bodies(state);
}

static const copal_sim_path lossy = {.delay = 10, .jitter = 50, .loss = 20};

static void lose_some(struct world *w)
{
    assert_int_equal(copal_sim_set_path(w->sim, NULL, NULL, lossy), 0);
}

static void let_go(void *x)
{
    copal_exchange_unref(x);
}

static void reply_late(const copal_event *ev, void *user)
{
    (void)ev;
    copal_reply_text(user, COPAL_CONTENT, "worth the wait");
}

static void answer_late(const copal_event *ev, void *user)
{
    if (ev->kind == COPAL_REQUEST)
        copal_after(
            user, 3000,
            COPAL_CB_OWN(reply_late, copal_exchange_ref(ev->exchange), let_go));
}

static copal_exchange *kept;

static void keep(const copal_event *ev, void *user)
{
    (void)user;
    if (ev->kind == COPAL_REQUEST)
        kept = copal_exchange_ref(ev->exchange);
}

/* ---- The same again ---- */

static void a_request_and_its_answer_are_the_same_again(void **state)
{
    struct world *w = *state;

    record(w->client);
    serve_text(w, w->server, "/t", 0, "22.5 C");
    get(w, "coap://server/t");
    run(w, 1000);
    assert_same_again(w->client);
    assert_int_equal(heard.notes, 1);
}

static void a_server_is_the_same_again(void **state)
{
    struct world *w = *state;

    record(w->server);
    serve_text(w, w->server, "/t/{name}", 0, "22.5 C");
    copal_describe(w->server, "/t/{name}", "rt", "temperature");
    get(w, "coap://server/t/x");
    get(w, "coap://server/nothing");
    get(w, "coap://server/.well-known/core");
    run(w, 1000);
    assert_same_again(w->server);
}

static void a_separate_answer_is_the_same_again(void **state)
{
    struct world *w = *state;

    record(w->server);
    lose_some(w);
    copal_serve(w->server, COPAL_GET, "/slow", 0,
                COPAL_CB(answer_late, w->server));
    get(w, "coap://server/slow");
    run(w, 100000);
    assert_same_again(w->server);
}

static void who_never_answers_is_the_same_again(void **state)
{
    struct world *w = *state;

    record(w->server);
    copal_serve(w->server, COPAL_GET, "/kept", 0, COPAL_CB(keep, NULL));
    get(w, "coap://server/kept");
    run(w, 1000);
    copal_exchange_unref(kept); /* 5.00 for it, from outside of any turn */
    run(w, 1000);
    assert_same_again(w->server);
}

static void an_observation_is_the_same_again(void **state)
{
    struct world *w = *state;

    record(w->server);
    lose_some(w);
    serve_text(w, w->server, "/t", COPAL_OBSERVABLE, "x");
    observe(w, "coap://server/t");
    for (int i = 0; i < 20; i++) {
        run(w, 5000);
        copal_notify(w->server, "/t");
    }
    run(w, 10000);
    assert_same_again(w->server);
}

/* The required one: Block1 and Block2, a fifth of all lost. */
static void a_lossy_transfer_is_the_same_again_at_both_ends(void **state)
{
    struct world *w = *state;

    for (int end = 0; end < 2; end++) {
        copal *c = end == 0 ? w->client : w->server;

        record(c);
        if (end == 0) {
            lose_some(w);
            serve_body(w, COPAL_POST, "/both", 0, 9000);
        }
        ask_body(w, COPAL_POST, "coap://server/both", 12000);
        run(w, 400000);
        assert_same_again(c);
        copal_trace(c, 0, (copal_cb){0});
        tune(c, COPAL_P_RECORD_MEMORY, 0);
    }
}

static void streams_are_the_same_again(void **state)
{
    struct world *w = *state;
    copal_msg *m;

    record(w->client);
    lose_some(w);
    serve_body(w, COPAL_PUT, "/s", COPAL_STREAMED, 10);
    m = request_of(w, COPAL_PUT, "coap://server/s", 0);
    copal_msg_set_flags(m, COPAL_STREAM_OUT | COPAL_TELL_PROGRESS);
    send_request(w, m)->size = 5000;
    run(w, 400000);
    assert_same_again(w->client);
}

static void a_cancel_amid_a_transfer_is_the_same_again(void **state)
{
    struct world *w = *state;
    const copal_sim_path slow = {.delay = 100};
    copal_exchange *x;

    copal_sim_set_path(w->sim, NULL, NULL, slow);
    record(w->client);
    serve_body(w, COPAL_GET, "/b", 0, 20000);
    x = copal_get(w->client, "coap://server/b", (copal_cb){0});
    run(w, 1000);
    assert_int_equal(copal_cancel(x), 0);
    ask_body(w, COPAL_GET, "coap://server/b", 0);
    run(w, 10000);
    assert_same_again(w->client);
}

static void q_block_is_the_same_again(void **state)
{
    struct world *w = *state;

    tune(w->server, COPAL_P_Q_BLOCK, 1);
    tune(w->client, COPAL_P_Q_BLOCK, 1);
    record(w->client);
    lose_some(w);
    serve_body(w, COPAL_PUT, "/q", 0, 15000);
    ask_body(w, COPAL_PUT, "coap://server/q", 30000);
    run(w, 400000);
    assert_same_again(w->client);
}

static void a_group_is_the_same_again(void **state)
{
    struct world *w = *state;
    copal_msg *m = copal_msg_new(w->client, COPAL_GET);

    record(w->server);
    serve_text(w, w->server, "/t", COPAL_GROUP, "x");
    assert_int_equal(copal_join(w->server, "coap://224.0.1.187", NULL), 0);
    copal_msg_set_flags(m, COPAL_NON);
    copal_msg_set_uri(m, "coap://224.0.1.187/t");
    copal_request(w->client, m, (copal_cb){0});
    copal_msg_unref(m);
    run(w, 20000);
    assert_same_again(w->server);
}

static void a_watch_is_the_same_again(void **state)
{
    struct world *w = *state;

    record(w->client);
    lose_some(w);
    serve_text(w, w->server, "/t", COPAL_OBSERVABLE, "x");
    copal_watch(w->client, "coap://server/t", (copal_cb){0});
    run(w, 100000);
    copal_free(w->server);
    w->server = NULL;
    run(w, 300000);
    assert_same_again(w->client);
}

static void an_orderly_end_is_the_same_again(void **state)
{
    struct world *w = *state;

    record(w->client);
    serve_text(w, w->server, "/t", COPAL_OBSERVABLE, "x");
    copal_observe(w->client, "coap://server/t", (copal_cb){0});
    run(w, 1000);
    copal_close(w->client, 5000);
    run(w, 10000);
    assert_same_again(w->client);
}

/* ---- What is not the same ---- */

static void recording_changes_nothing_that_is_sent(void **state)
{
    struct world *w = *state;
    static struct heard without;

    for (int i = 0; i < 2; i++) {
        struct world *other = new_world(7, 0);

        if (i == 1)
            tune(other->client, COPAL_P_RECORD_MEMORY, LONGEST);
        copal_trace(other->client, COPAL_TRACE_WIRE,
                    hearing(i == 0 ? &without : &before));
        lose_some(other);
        serve_text(other, other->server, "/t", 0, "x");
        for (int k = 0; k < 5; k++) {
            get(other, "coap://server/t");
            run(other, 100000);
        }
        free_world(other);
    }
    assert_true(without.len > 0);
    assert_string_equal(before.sent, without.sent);
    (void)w;
}

static uint8_t *read_all(size_t *len)
{
    FILE *f = fopen(path, "rb");
    uint8_t *all = malloc(LONGEST);

    assert_non_null(f);
    assert_non_null(all);
    *len = fread(all, 1, LONGEST, f);
    fclose(f);
    return all;
}

static uint8_t *a_recording(struct world *w, size_t *len)
{
    tune(w->client, COPAL_P_RECORD_MEMORY, LONGEST);
    serve_text(w, w->server, "/t", 0, "22.5 C");
    get(w, "coap://server/t");
    run(w, 1000);
    write_out(w->client);
    return read_all(len);
}

static int replay_bytes(const uint8_t *data, size_t len, bool check_sum)
{
    uint8_t *exact = malloc(len + 1); /* whose end the sanitizers see */
    int err;

    assert_non_null(exact);
    memcpy(exact, data, len);
    exact = realloc(exact, len == 0 ? 1 : len);
    err =
        cp_replay_bytes((copal_bytes){exact, len}, check_sum, hearing(&heard));
    assert_int_equal(heard.ends, 1);
    free(exact);
    return err;
}

static void a_recording_cut_short_anywhere_is_refused(void **state)
{
    struct world *w = *state;
    size_t len;
    uint8_t *all = a_recording(w, &len);

    assert_int_equal(replay_bytes(all, len, true), 0);
    for (size_t n = 0; n < len; n++) {
        assert_int_equal(replay_bytes(all, n, true), COPAL_EFORMAT);
        assert_true(strlen(heard.why) > 10);
        replay_bytes(all, n, false); /* whatever it gives, it ends */
    }
    free(all);
}

static void a_recording_with_any_byte_changed_is_refused(void **state)
{
    struct world *w = *state;
    size_t len;
    uint8_t *all = a_recording(w, &len);

    for (size_t i = 0; i < len; i++) {
        all[i] ^= 0x55;
        assert_int_equal(replay_bytes(all, len, true), COPAL_EFORMAT);
        replay_bytes(all, len, false);
        all[i] ^= 0x55;
    }
    free(all);
}

static void garbage_and_what_is_not_there_is_refused(void **state)
{
    struct world *w = *state;
    static const uint8_t garbage[100] = "copalrec\1\0\0\0nonsense";

    (void)w;
    assert_int_equal(replay_bytes(garbage, sizeof(garbage), true),
                     COPAL_EFORMAT);
    assert_int_equal(replay_bytes((const uint8_t *)"hello", 5, true),
                     COPAL_EFORMAT);
    assert_non_null(strstr(heard.why, "not a recording"));
    assert_int_equal(copal_replay("/no/such/file", hearing(&heard)),
                     COPAL_ENOENT);
    assert_non_null(strstr(heard.why, "/no/such/file"));
    assert_int_equal(heard.drops, 1);
    assert_int_equal(copal_replay("/tmp", hearing(&heard)), COPAL_EIO);
    assert_int_equal(copal_replay(NULL, hearing(&heard)), COPAL_ENOENT);
}

/* The place of the i-th record of that type. */
static uint8_t *record_at(uint8_t *all, size_t len, uint8_t type, size_t i)
{
    struct cp_cursor c = cp_cursor_of((copal_bytes){all + 24, len - 24});
    struct cp_record_head h;

    while (cp_record_take(&c, &h))
        if (h.type == type && i-- == 0)
            return all + (h.body.data - all);
    fail_msg("no such record");
    return NULL;
}

static void where_it_first_differs_is_told(void **state)
{
    struct world *w = *state;
    size_t len;
    uint8_t *all = a_recording(w, &len);
    uint8_t *out = record_at(all, len, CP_RECORD_OUT, 0);

    out[CP_RECORD_PATH + 14] ^= 1; /* a letter of the path */
    assert_int_equal(replay_bytes(all, len, false), COPAL_ECHANGED);
    assert_non_null(strstr(heard.why, "at 0 ms: sends CON 0.01"));
    assert_non_null(strstr(heard.why, "to server; then it was CON 0.01"));
    assert_non_null(strstr(heard.why, "from byte 14"));
    free(all);
}

/* ---- The ring ---- */

static void answer_at_length(const copal_event *ev, void *user)
{
    static const uint8_t body[100000];

    (void)user;
    if (ev->kind == COPAL_REQUEST)
        copal_reply(ev->exchange, COPAL_CONTENT, COPAL_NO_FORMAT,
                    (copal_bytes){body, sizeof(body)});
}

/* Of the ring a part has an eighth, 128 KiB: the second one begins another. */
static void an_answer_of_most_of_a_part_leaves_no_gap(void **state)
{
    struct world *w = *state;

    record(w->server);
    copal_serve(w->server, COPAL_GET, "/long", 0,
                COPAL_CB(answer_at_length, NULL));
    for (int i = 0; i < 2; i++) {
        struct record *r = get(w, "coap://server/long");

        run(w, 100000);
        assert_ended(r, 0);
    }
    assert_same_again(w->server);
}

static void a_ring_that_has_wrapped_begins_at_its_oldest_part(void **state)
{
    struct world *w = *state;

    tune(w->server, COPAL_P_RECORD_MEMORY, 16384);
    serve_text(w, w->server, "/t", COPAL_OBSERVABLE, "22.5 C");
    observe(w, "coap://server/t");
    for (int i = 0; i < 300; i++) {
        get(w, "coap://server/t");
        run(w, 1000);
        if (i % 10 == 0)
            copal_notify(w->server, "/t");
        if (i % 50 == 49) {
            write_out(w->server);
            if (replay() != 0)
                fail_msg("after %d: %s", i, heard.why);
        }
    }
    assert_true(heard.notes == 2); /* that it begins amid things, and the sum */
    assert_non_null(strstr(heard.sent, "\"ev\":\"out\""));
}

static void a_client_that_has_wrapped_begins_at_its_oldest_part(void **state)
{
    struct world *w = *state;

    for (int64_t size = 16384; size < 20000; size += 601) {
        tune(w->client, COPAL_P_RECORD_MEMORY, size);
        lose_some(w);
        for (int i = 0; i < 30; i++) {
            ask_body(w, COPAL_GET, "coap://server/b", 0);
            if (i == 0 && size == 16384)
                serve_body(w, COPAL_GET, "/b", 0, 3000);
            run(w, i % 3 == 0 ? 700 : 100000);
        }
        write_out(w->client);
        if (replay() != 0)
            fail_msg("%d bytes: %s", (int)size, heard.why);
    }
}

/* What a function called before leaves where the next one's variables are. */
static __attribute__((noinline)) void leave_on_the_stack(int byte)
{
    volatile uint8_t all[2048];

    for (size_t i = 0; i < sizeof(all); i++)
        all[i] = (uint8_t)byte;
}

/* A GET goes out that is of before the recording if its peer was owed something,
 * and otherwise is not. */
static void what_began_before_is_known_whatever_the_stack_holds(void **state)
{
    static const uint8_t get[] = {0x42, COPAL_GET, 0x12, 0x34, 0xab, 0xcd};
    const struct cp_path to = {
        .remote = {.ip = "server", .port = 5683, .family = CP_NAMED}};
    copal_bytes datagram = {get, sizeof(get)};

    (void)state;
    for (int owed = 0; owed < 2; owed++) {
        struct cp_replay r = {.mem = cp_mem_new(NULL, NULL)};

        assert_non_null(r.mem);
        cp_replay_past_init(&r);
        leave_on_the_stack(0x55);
        if (owed)
            cp_replay_past_owed(&r, &to.remote);
        leave_on_the_stack(0xaa);
        cp_replay_past_note(&r, &to, datagram, true, false);
        leave_on_the_stack(0x55);
        assert_int_equal(cp_replay_past_has(&r, &to, datagram), owed);
        cp_replay_past_clear(&r);
        cp_mem_release(r.mem);
    }
}

static void it_may_begin_late(void **state)
{
    struct world *w = *state;

    serve_text(w, w->server, "/t", 0, "22.5 C");
    tune(w->server, COPAL_P_MAX_TOKEN, 9);
    get(w, "coap://server/t");
    run(w, 1000);
    record(w->server);
    get(w, "coap://server/t");
    run(w, 1000);
    assert_same_again(w->server);
}

/* It was answered before; what the recording has of it is but repeats. */
static void what_is_answered_again_may_be_of_before(void **state)
{
    struct world *w = *state;
    struct record *r;

    serve_text(w, w->server, "/t", 0, "22.5 C");
    copal_sim_lose(w->sim, "server", 3);
    r = get(w, "coap://server/t");
    run(w, 1000);
    assert_int_equal(r->ends, 0);
    record(w->server);
    run(w, 100000);
    assert_ended(r, 0);
    get(w, "coap://server/t");
    run(w, 1000);
    write_out(w->server);
    if (replay() != 0)
        fail_msg("%s", heard.why);
}

static void without_memory_it_is_off_and_says_so(void **state)
{
    struct world *w = *state;

    w->heap.fail_at = w->heap.asked + 1;
    runs_differ = true;
    assert_int_equal(
        copal_tune(w->client, NULL, COPAL_P_RECORD_MEMORY, 1 << 20),
        COPAL_ENOMEM);
    assert_non_null(strstr(copal_why(w->client), "record_memory"));
    assert_int_equal(copal_log_to(w->client, COPAL_LOG_RECORDING, path),
                     COPAL_ESTATE);
    assert_non_null(strstr(copal_why(w->client), "record_memory"));
    assert_int_equal(copal_tune(w->client, NULL, COPAL_P_RECORD_MEMORY, 1000),
                     COPAL_EINVAL);
}

static void play_recorded(struct world *w)
{
    copal_tune(w->client, NULL, COPAL_P_RECORD_MEMORY, 65536);
    copal_tune(w->server, NULL, COPAL_P_RECORD_MEMORY, 65536);
    serve_text(w, w->server, "/t", COPAL_OBSERVABLE, "x");
    observe(w, "coap://server/t");
    run(w, 1000);
    copal_notify(w->server, "/t");
    run(w, 1000);
    copal_log_to(w->server, COPAL_LOG_RECORDING, path);
    copal_replay(path, (copal_cb){0});
}

static void recording_survives_every_failed_allocation(void **state)
{
    (void)state;
    for_each_failed_allocation(play_recorded);
}

/* ---- Without payloads ---- */

static bool contains(const uint8_t *all, size_t len, const char *text)
{
    size_t n = strlen(text);

    for (size_t i = 0; i + n <= len; i++)
        if (memcmp(all + i, text, n) == 0)
            return true;
    return false;
}

static void payloads_can_be_left_out(void **state)
{
    struct world *w = *state;
    size_t len;
    uint8_t *all;

    record(w->server);
    serve_text(w, w->server, "/t", 0, "a secret of ours");
    ask(w, w->client, COPAL_PUT, "coap://server/t", "a secret of theirs");
    run(w, 1000);
    write_out(w->server);
    all = read_all(&len);
    assert_true(contains(all, len, "secret of ours"));
    free(all);
    tune(w->server, COPAL_P_RECORD_PAYLOADS, 0);
    write_out(w->server);
    all = read_all(&len);
    assert_false(contains(all, len, "secret"));
    free(all);
    assert_int_equal(replay(), 0);
}

#define ON_A_FILE(test) \
    cmocka_unit_test_setup_teardown(test, build_file, tear_down_file)

int main(void)
{
    const struct CMUnitTest tests[] = {
        ON_A_FILE(a_request_and_its_answer_are_the_same_again),
        ON_A_FILE(a_server_is_the_same_again),
        ON_A_FILE(a_separate_answer_is_the_same_again),
        ON_A_FILE(who_never_answers_is_the_same_again),
        ON_A_FILE(an_observation_is_the_same_again),
        ON_A_FILE(a_lossy_transfer_is_the_same_again_at_both_ends),
        ON_A_FILE(streams_are_the_same_again),
        ON_A_FILE(a_cancel_amid_a_transfer_is_the_same_again),
        ON_A_FILE(q_block_is_the_same_again),
        ON_A_FILE(a_group_is_the_same_again),
        ON_A_FILE(a_watch_is_the_same_again),
        ON_A_FILE(an_orderly_end_is_the_same_again),
        ON_A_FILE(recording_changes_nothing_that_is_sent),
        ON_A_FILE(a_recording_cut_short_anywhere_is_refused),
        ON_A_FILE(a_recording_with_any_byte_changed_is_refused),
        ON_A_FILE(garbage_and_what_is_not_there_is_refused),
        ON_A_FILE(where_it_first_differs_is_told),
        ON_A_FILE(an_answer_of_most_of_a_part_leaves_no_gap),
        ON_A_FILE(a_ring_that_has_wrapped_begins_at_its_oldest_part),
        ON_A_FILE(a_client_that_has_wrapped_begins_at_its_oldest_part),
        cmocka_unit_test(what_began_before_is_known_whatever_the_stack_holds),
        ON_A_FILE(it_may_begin_late),
        ON_A_FILE(what_is_answered_again_may_be_of_before),
        ON_A_FILE(without_memory_it_is_off_and_says_so),
        ON_A_FILE(recording_survives_every_failed_allocation),
        ON_A_FILE(payloads_can_be_left_out),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
