/* The public headers stand alone, each function they name is in the library,
 * and wrong arguments give what its comment says. */
#include <copal.h>
#include <copal_sim.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

struct world {
    copal_sim *sim;
    copal *c;
    int drops; /* of callbacks that OWNED made */
    int ends, end_status;
    char end_text[256];
};

static const copal_bytes NONE = {NULL, 0};
static const copal_bytes NO_DATA = {NULL, 1};

static int build(void **state)
{
    static struct world w;

    w = (struct world){.sim = copal_sim_new(1), .end_status = 1};
    assert_non_null(w.sim);
    w.c = copal_sim_endpoint(w.sim, "h", NULL);
    assert_non_null(w.c);
    *state = &w;
    return 0;
}

static int tear_down(void **state)
{
    copal_sim_free(((struct world *)*state)->sim);
    return 0;
}

static void count_drop(void *user)
{
    ((struct world *)user)->drops++;
}

static void note_end(const copal_event *ev, void *user)
{
    struct world *w = user;

    if (ev->kind != COPAL_END)
        return;
    w->ends++;
    w->end_status = ev->status;
    strncpy(w->end_text, ev->text, sizeof(w->end_text) - 1);
}

#define OWNED(w) COPAL_CB_OWN(note_end, (w), count_drop)

static void assert_refused(const struct world *w, int64_t result, int error,
                           const char *part)
{
    assert_int_equal(result, error);
    if (strstr(copal_why(w->c), part) == NULL)
        fail_msg("\"%s\" does not say \"%s\"", copal_why(w->c), part);
}

/* ---- What a later version brings ---- */

static void assert_missing(const struct world *w, int result)
{
    assert_refused(w, result, COPAL_ENOTSUP, "not built in yet");
}

static void what_is_not_built_in_says_so(void **state)
{
    struct world *w = *state;
    copal *c = w->c;
    copal_msg *m = copal_msg_new(c, COPAL_GET);

    assert_missing(w, copal_via(c, "coap://", "coap://proxy"));
    assert_refused(w, copal_join(c, "coaps://[ff02::fd]", NULL), COPAL_ENOTSUP,
                   "coaps");
    assert_refused(w, copal_leave(c, "coaps://[ff02::fd]", NULL), COPAL_ENOTSUP,
                   "coaps");
    assert_refused(w, copal_listen(c, "coaps+tcp://h", 0), COPAL_ENOTSUP,
                   "coaps+tcp://h");
    assert_refused(w, copal_store(c, NULL, COPAL_CB_OWN(NULL, w, count_drop)),
                   COPAL_EINVAL, "no directory");
    assert_int_equal(w->drops, 1);
    copal_msg_unref(m);
}

static void every_parameter_can_be_set(void **state)
{
    static const struct {
        copal_param p;
        int64_t value;
    } rows[] = {
#define X(name, number, value, where, what) {COPAL_P_##name, (value)},
        COPAL_PARAMS(X)
#undef X
    };
    struct world *w = *state;

    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        /* 1 more, or for what is a power of two or a limit half as much */
        int64_t other =
            rows[i].value < 16 ? rows[i].value + 1 : rows[i].value / 2;

        if (rows[i].p == COPAL_P_ACK_RANDOM)
            other = 200;
        if (rows[i].p == COPAL_P_RECORD_MEMORY)
            other = 16384;
        if (rows[i].p == COPAL_P_RECORD_PAYLOADS)
            other = 0;
        assert_int_equal(copal_tune(w->c, NULL, rows[i].p, rows[i].value), 0);
        assert_int_equal(copal_tune(w->c, NULL, rows[i].p, other), 0);
    }
}

/* ---- Nothing where something should be ---- */

static void what_frees_takes_nothing(void **state)
{
    (void)state;
    copal_free(NULL);
    copal_sim_free(NULL);
    copal_msg_unref(NULL);
    copal_exchange_unref(NULL);
    assert_null(copal_msg_ref(NULL));
    assert_null(copal_msg_copy(NULL));
    assert_null(copal_exchange_ref(NULL));
}

static void no_message_is_out_of_memory(void **state)
{
    struct world *w = *state;
    copal_wire wire = {.size = sizeof(wire)};
    copal_bytes value;

    assert_int_equal(copal_msg_code(NULL), COPAL_ENOMEM);
    assert_int_equal(copal_msg_payload(NULL).len, 0);
    assert_int_equal(copal_msg_format(NULL), COPAL_NO_FORMAT);
    assert_int_equal(copal_msg_option(NULL, 0, &value), COPAL_ENOMEM);
    assert_int_equal(copal_msg_value(NULL, 1, 0, &value), COPAL_ENOMEM);
    assert_int_equal(copal_msg_uint(NULL, 1), COPAL_ENOMEM);
    assert_int_equal(copal_msg_wire(NULL, &wire), COPAL_ENOMEM);
    assert_string_equal(copal_msg_path(NULL), "");
    assert_null(copal_msg_query(NULL, "k"));
    assert_string_equal(copal_msg_uri(NULL), "");
    assert_string_equal(copal_msg_remote(NULL), "");
    assert_string_equal(copal_msg_local(NULL), "");
    assert_null(copal_msg_identity(NULL));
    assert_string_equal(copal_msg_print(NULL, COPAL_LINE), "");
    assert_int_equal(copal_msg_set_flags(NULL, 0), COPAL_ENOMEM);
    assert_int_equal(copal_msg_tune(NULL, COPAL_P_TIMEOUT, 0), COPAL_ENOMEM);
    assert_int_equal(copal_msg_set_uri(NULL, ""), COPAL_ENOMEM);
    assert_int_equal(copal_msg_set_from(NULL, ""), COPAL_ENOMEM);
    assert_int_equal(copal_msg_set_payload(NULL, 0, NONE), COPAL_ENOMEM);
    assert_int_equal(copal_msg_add(NULL, 1, NONE), COPAL_ENOMEM);
    assert_int_equal(copal_msg_add_uint(NULL, 1, 0), COPAL_ENOMEM);
    assert_int_equal(copal_msg_add_text(NULL, 1, ""), COPAL_ENOMEM);
    assert_int_equal(copal_msg_remove(NULL, 1), COPAL_ENOMEM);
    assert_int_equal(copal_msg_resume(NULL, 0, NONE), COPAL_ENOMEM);
    assert_int_equal(copal_send(w->c, NULL, "coap://h"), COPAL_ENOMEM);
    assert_null(copal_request(w->c, NULL, OWNED(w)));
    assert_int_equal(w->drops, 1);
}

static void no_exchange_is_an_argument_out_of_range(void **state)
{
    (void)state;
    assert_int_equal(copal_cancel(NULL), COPAL_EINVAL);
    assert_int_equal(copal_respond(NULL, NULL), COPAL_EINVAL);
    assert_int_equal(copal_reply(NULL, COPAL_CONTENT, 0, NONE), COPAL_EINVAL);
    assert_int_equal(copal_reply_text(NULL, COPAL_CONTENT, ""), COPAL_EINVAL);
    assert_int_equal(copal_write(NULL, NONE, 1), COPAL_EINVAL);
    assert_int_equal(copal_pause(NULL), COPAL_EINVAL);
    assert_int_equal(copal_resume(NULL), COPAL_EINVAL);
    assert_null(copal_exchange_endpoint(NULL));
    assert_null(copal_exchange_request(NULL));
    assert_null(copal_exchange_param(NULL, "name"));
}

static void no_uri_is_a_bad_one(void **state)
{
    struct world *w = *state;
    copal_msg *m = copal_msg_new(w->c, COPAL_GET);

    assert_refused(w, copal_listen(w->c, NULL, 0), COPAL_EURI, "coap://");
    assert_int_equal(copal_join(w->c, NULL, NULL), COPAL_EURI);
    assert_int_equal(copal_leave(w->c, NULL, NULL), COPAL_EURI);
    assert_int_equal(copal_send(w->c, m, NULL), COPAL_EURI);
    assert_int_equal(copal_msg_set_uri(m, NULL), COPAL_EURI);
    assert_int_equal(copal_msg_set_from(m, NULL), COPAL_EURI);
    copal_msg_unref(m);
}

/* ---- Names ---- */

static void every_number_has_a_name(void **state)
{
    struct world *w = *state;

    assert_string_equal(copal_strerror(COPAL_OK), "no error");
    assert_string_equal(copal_strerror(1), "unknown error");
    assert_string_equal(copal_errname(COPAL_ENOTOBS), "ENOTOBS");
    assert_string_equal(copal_errname(-99), "?");
    assert_true(strlen(copal_version()) >= 5);
    assert_string_equal(copal_why(w->c), "");
    assert_string_equal(copal_name(COPAL_CODES, 69), "2.05 Content");
    assert_string_equal(copal_name(COPAL_CODES, 30), "0.30");
    assert_string_equal(copal_name(COPAL_CODES, 256), "?");
    assert_string_equal(copal_name(COPAL_OPTIONS, 65000), "65000");
    assert_string_equal(copal_name(COPAL_FORMATS, 65000), "65000");
    assert_string_equal(copal_name(COPAL_PARAMETERS, 2), "ack_timeout");
    assert_int_equal(copal_number(COPAL_CODES, "content"), COPAL_CONTENT);
    assert_int_equal(copal_number(COPAL_FORMATS, "cbor"), COPAL_CBOR);
    assert_int_equal(copal_number(COPAL_OPTIONS, "Uri-Hat"), COPAL_ENOENT);
    assert_int_equal(copal_number(COPAL_PARAMETERS, NULL), COPAL_ENOENT);
}

/* ---- Endpoint ---- */

static void a_simulated_endpoint_does_not_run_by_itself(void **state)
{
    struct world *w = *state;

    assert_refused(w, copal_run(w->c), COPAL_ESTATE, "copal_sim_run()");
    assert_int_equal(copal_fd(w->c), COPAL_ESTATE);
    assert_int_equal(copal_timeout(w->c), COPAL_ESTATE);
    assert_int_equal(copal_step(w->c), COPAL_ESTATE);
    copal_stop(w->c);
    assert_int_equal(copal_now(w->c), copal_sim_now(w->sim));
    assert_null(copal_local(w->c, 0));
    assert_int_equal(copal_listen(w->c, "coap://h", 0), 0);
    assert_string_equal(copal_local(w->c, 0), "coap://h");
    assert_null(copal_local(w->c, 1));
    assert_int_equal(copal_close(w->c, 0), 0);
}

static void a_real_endpoint_with_nothing_to_do_returns(void **state)
{
    copal_config config = {COPAL_CONFIG_INIT};
    copal *c = copal_new(&config);

    (void)state;
    assert_non_null(c);
    assert_true(copal_fd(c) >= 0);
    assert_int_equal(copal_step(c), 0);
    assert_int_equal(copal_timeout(c), -1);
    assert_int_equal(copal_run(c), 0);
    copal_stop(c);
    assert_int_equal(copal_run(c), 0);
    copal_free(c);
}

static void timers_and_posts_are_let_go_of(void **state)
{
    struct world *w = *state;
    int64_t id = copal_after(w->c, 10, OWNED(w));

    assert_true(id > 0);
    assert_int_equal(copal_cancel_timer(w->c, id), 0);
    assert_int_equal(w->drops, 1);
    assert_refused(w, copal_cancel_timer(w->c, id), COPAL_ENOENT, "timer");
    assert_int_equal(copal_post(w->c, OWNED(w)), 0);
    copal_sim_run(w->sim, 1);
    assert_int_equal(w->drops, 2);
}

static void a_parameter_is_checked(void **state)
{
    struct world *w = *state;

    assert_refused(w, copal_tune(w->c, NULL, COPAL_P_NONE, 0), COPAL_EINVAL,
                   "there is none");
    assert_refused(w, copal_tune(w->c, NULL, COPAL_P_BLOCK_SIZE, 100),
                   COPAL_EINVAL, "none of 16");
    assert_refused(w, copal_tune(w->c, "coap://h", COPAL_P_MAX_PEERS, 1),
                   COPAL_EINVAL, "not to be set for");
    assert_int_equal(copal_tune(w->c, "coap://h", COPAL_P_NSTART, 2), 0);
}

static void what_looks_inside_is_told_the_size(void **state)
{
    struct {
        copal_stats known;
        uint64_t yet_to_come;
    } larger = {.known = {.size = sizeof(larger)}, .yet_to_come = 1};
    copal_stats smaller = {.size = offsetof(copal_stats, bytes_in),
                           .bytes_in = 7};
    copal_stats unset = {0};
    struct world *w = *state;

    assert_refused(w, copal_get_stats(w->c, NULL), COPAL_EINVAL, "size");
    assert_refused(w, copal_get_stats(w->c, &unset), COPAL_EINVAL, "size");
    assert_int_equal(copal_get_stats(w->c, &smaller), 0);
    assert_int_equal(smaller.bytes_in, 7);
    assert_int_equal(copal_get_stats(w->c, &larger.known), 0);
    assert_true(larger.known.memory > 0);
    assert_int_equal(larger.known.size, sizeof(larger));
    assert_int_equal(larger.yet_to_come, 0);

    assert_int_equal(copal_trace(w->c, COPAL_TRACE_WIRE, OWNED(w)), 0);
    assert_int_equal(copal_trace(w->c, 0, (copal_cb){0}), 0);
    assert_int_equal(w->drops, 1);
}

/* ---- Messages ---- */

static void a_message_refuses_what_it_cannot_hold(void **state)
{
    struct world *w = *state;
    copal_msg *m = copal_msg_new(w->c, COPAL_GET), *copy;
    copal_wire wire = {.size = sizeof(wire)};

    assert_null(copal_msg_new(w->c, 256));
    assert_null(copal_msg_new(w->c, -1));
    assert_int_equal(copal_msg_set_flags(m, 1u << 30), COPAL_EINVAL);
    assert_int_equal(copal_msg_set_payload(m, 65536, NONE), COPAL_EINVAL);
    assert_int_equal(copal_msg_set_payload(m, 0, NO_DATA), COPAL_EINVAL);
    assert_int_equal(copal_msg_add(m, 65536, NONE), COPAL_EINVAL);
    assert_int_equal(copal_msg_add(m, COPAL_OPT_ETAG, NONE), COPAL_EINVAL);
    assert_int_equal(copal_msg_add_text(m, COPAL_OPT_URI_PATH, ".."),
                     COPAL_EINVAL);
    assert_int_equal(copal_msg_add_text(m, COPAL_OPT_URI_PATH, NULL),
                     COPAL_EINVAL);
    assert_int_equal(copal_msg_add_uint(m, COPAL_OPT_ACCEPT, 0), 0);
    assert_int_equal(copal_msg_add_uint(m, COPAL_OPT_ACCEPT, 0), COPAL_EINVAL);
    assert_int_equal(copal_msg_remove(m, COPAL_OPT_ACCEPT), 0);
    assert_int_equal(copal_msg_remove(m, COPAL_OPT_ACCEPT), 0);
    assert_int_equal(copal_msg_set_from(m, "coap://name"), COPAL_EURI);
    assert_int_equal(copal_msg_wire(m, NULL), COPAL_EINVAL);
    assert_int_equal(copal_msg_wire(m, &wire), 0);
    assert_int_equal(wire.type, -1);
    assert_int_equal(wire.mid, -1);
    assert_string_equal(copal_msg_print(m, COPAL_LINE), "GET");
    assert_string_equal(copal_msg_path(m), "/");

    assert_int_equal(copal_send(w->c, m, "coap://h"), 0);
    assert_refused(w, copal_msg_set_flags(m, 0), COPAL_ESTATE, "handed over");
    copy = copal_msg_copy(m);
    assert_int_equal(copal_msg_set_flags(copy, COPAL_NON), 0);
    copal_msg_unref(copy);
    copal_msg_unref(m);
}

static void options_have_a_limit_and_it_is_told(void **state)
{
    struct world *w = *state;
    copal_msg *m = copal_msg_new(w->c, COPAL_GET);
    int err = 0;
    int n = 0;

    while (err == 0) {
        err = copal_msg_add(m, COPAL_OPT_URI_PATH, NONE);
        n += err == 0;
    }
    assert_refused(w, err, COPAL_ELIMIT, "Uri-Path: the message has too many");
    assert_int_equal(n, 32768);
    copal_msg_unref(m);
}

/* ---- Asking ---- */

static void what_cannot_be_asked_ends_with_its_reason(void **state)
{
    typedef copal_exchange *asking(copal * c, const char *uri, copal_cb cb);
    static asking *const all[] = {copal_get, copal_observe, copal_watch,
                                  copal_ping};
    struct world *w = *state;

    for (int i = 0; i < 4; i++) {
        assert_non_null(all[i](w->c, "http://h/", OWNED(w)));
        assert_int_equal(w->ends, i);
        copal_sim_run(w->sim, 1);
        assert_int_equal(w->ends, i + 1);
        assert_int_equal(w->end_status, COPAL_EURI);
        assert_int_equal(w->drops, i + 1);
    }
    assert_non_null(copal_get(w->c, "coaps+tcp://h/", OWNED(w)));
    copal_sim_run(w->sim, 1);
    assert_int_equal(w->end_status, COPAL_ENOTSUP);
    assert_non_null(copal_get(w->c, "coap://nobody/", OWNED(w)));
    copal_sim_run(w->sim, 1);
    assert_int_equal(w->end_status, COPAL_ERESOLVE);
    assert_non_null(copal_get(w->c, "coap://224.0.1.187/", OWNED(w)));
    copal_sim_run(w->sim, 1);
    assert_int_equal(w->end_status, COPAL_EINVAL);
    assert_string_equal(copal_sim_transcript(w->sim), "");
}

static void an_exchange_that_is_over_stays_over(void **state)
{
    struct world *w = *state;
    copal_exchange *x =
        copal_exchange_ref(copal_get(w->c, "coap://h/", OWNED(w)));

    assert_ptr_equal(copal_exchange_endpoint(x), w->c);
    assert_int_equal(copal_msg_code(copal_exchange_request(x)), COPAL_GET);
    assert_null(copal_exchange_param(x, "name"));
    assert_int_equal(copal_pause(x), 0);
    assert_int_equal(copal_resume(x), 0);
    assert_refused(w, copal_write(x, NONE, 1), COPAL_ESTATE, "PULL");
    assert_refused(w, copal_reply_text(x, COPAL_CONTENT, NULL), COPAL_ESTATE,
                   "this exchange asks");
    assert_int_equal(copal_cancel(x), 0);
    assert_refused(w, copal_cancel(x), COPAL_ESTATE, "over");
    assert_refused(w, copal_pause(x), COPAL_ESTATE, "pause");
    assert_refused(w, copal_resume(x), COPAL_ESTATE, "resume");
    copal_sim_run(w->sim, 1);
    assert_int_equal(w->end_status, COPAL_ECANCEL);
    assert_string_equal(w->end_text, "cancelled here");

    copal_free(w->c);
    assert_null(copal_exchange_endpoint(x));
    assert_int_equal(copal_cancel(x), COPAL_ESTATE);
    copal_exchange_unref(x);
}

static void raw_use_is_checked(void **state)
{
    struct world *w = *state;
    copal_msg *empty = copal_msg_new(w->c, COPAL_EMPTY);

    copal_msg_add(empty, COPAL_OPT_URI_PATH, NONE);
    assert_refused(w, copal_send(w->c, empty, "coap://h"), COPAL_EINVAL,
                   "empty");
    assert_int_equal(copal_strays(w->c, OWNED(w)), 0);
    assert_int_equal(copal_strays(w->c, (copal_cb){0}), 0);
    assert_int_equal(w->drops, 1);
    assert_int_equal(copal_understand(w->c, -1), COPAL_EINVAL);
    for (int i = 0; i < 16; i++)
        assert_int_equal(copal_understand(w->c, 60001 + 2 * i), 0);
    assert_int_equal(copal_understand(w->c, 60001), 0);
    assert_refused(w, copal_understand(w->c, 61001), COPAL_ELIMIT, "16");
    assert_int_equal(copal_disconnect(w->c, NULL), 0);
    assert_int_equal(copal_disconnect(w->c, "coaps://h"), 0);
    copal_msg_unref(empty);
}

/* ---- Serving ---- */

static void a_place_is_checked(void **state)
{
    struct world *w = *state;

    assert_int_equal(copal_serve(w->c, 32, "/a", 0, OWNED(w)), COPAL_EINVAL);
    assert_int_equal(copal_serve(w->c, 0, NULL, 0, OWNED(w)), COPAL_EINVAL);
    assert_int_equal(copal_serve(w->c, 0, "a", 0, OWNED(w)), COPAL_EINVAL);
    assert_int_equal(copal_serve(w->c, 0, "/a/{x}", 0, OWNED(w)), 0);
    assert_refused(w, copal_serve(w->c, 0, "/a/{x}", 0, OWNED(w)), COPAL_EEXIST,
                   "already served");
    assert_refused(w, copal_serve(w->c, 0, "/a/{y}", 0, OWNED(w)), COPAL_EINVAL,
                   "{x}");
    assert_int_equal(w->drops, 5);
    assert_int_equal(copal_describe(w->c, "/b", "rt", "x"), COPAL_ENOENT);
    assert_int_equal(copal_describe(w->c, "/a/{x}", NULL, "x"), COPAL_EINVAL);
    assert_int_equal(copal_describe(w->c, "/a/{x}", "rt", NULL), 0);
    assert_int_equal(copal_notify(w->c, NULL), COPAL_EINVAL);
    assert_int_equal(copal_notify(w->c, "/b"), COPAL_ENOENT);
    assert_int_equal(copal_notify(w->c, "/a/1"), 0);
    assert_true(copal_links(w->c).len > 0);
    assert_int_equal(copal_unserve(w->c, "/b"), COPAL_ENOENT);
    assert_int_equal(copal_unserve(w->c, NULL), COPAL_EINVAL);
    assert_int_equal(copal_unserve(w->c, "/a/{x}"), 0);
    assert_int_equal(w->drops, 6);
}

/* Answers wrongly in every way, then rightly, then once too often. */
static void answer(const copal_event *ev, void *user)
{
    struct world *w = user;
    copal_exchange *x = ev->exchange;

    if (ev->kind != COPAL_REQUEST)
        return;
    assert_refused(w, copal_cancel(x), COPAL_ESTATE, "not ours to cancel");
    assert_int_equal(copal_respond(x, NULL), COPAL_ENOMEM);
    assert_refused(w, copal_reply_text(x, COPAL_GET, "x"), COPAL_EINVAL,
                   "no response code");
    assert_refused(w, copal_reply(x, 256, 0, NONE), COPAL_EINVAL, "0 to 255");
    assert_refused(w, copal_reply(x, COPAL_CONTENT, 65536, NONE), COPAL_EINVAL,
                   "65535");
    assert_refused(w, copal_reply(x, COPAL_CONTENT, 0, NO_DATA), COPAL_EINVAL,
                   "no bytes");
    assert_int_equal(copal_reply_text(x, COPAL_CONTENT, NULL), 0);
    assert_refused(w, copal_reply_text(x, COPAL_CONTENT, "x"), COPAL_ESTATE,
                   "answered already");
}

static void an_answer_is_checked_and_given_once(void **state)
{
    struct world *w = *state;

    copal_serve(w->c, 0, "/", 0, COPAL_CB(answer, w));
    copal_get(w->c, "coap://h/", OWNED(w));
    copal_sim_run(w->sim, 10);
    assert_int_equal(w->end_status, 0);
    assert_string_equal(w->end_text, "");
}

/* ---- The simulator ---- */

static void the_simulator_knows_its_hosts(void **state)
{
    struct world *w = *state;
    copal_sim_path path = {.loss = 101};

    assert_null(copal_sim_endpoint(w->sim, "h", NULL)); /* up already */
    assert_null(copal_sim_endpoint(w->sim, "H", NULL));
    assert_null(copal_sim_endpoint(w->sim, NULL, NULL));
    assert_null(copal_sim_endpoint(w->sim, "sixteen-letters.", NULL));
    assert_int_equal(copal_sim_set_path(w->sim, NULL, NULL, path),
                     COPAL_EINVAL);
    path.loss = 0;
    assert_int_equal(copal_sim_set_path(w->sim, "", NULL, path), COPAL_EINVAL);
    assert_int_equal(copal_sim_set_path(w->sim, "later", NULL, path), 0);
    assert_int_equal(copal_sim_lose(w->sim, "later", 1), COPAL_ENOENT);
    assert_int_equal(copal_sim_lose(w->sim, NULL, 1), COPAL_ENOENT);
    assert_int_equal(copal_sim_lose(w->sim, "h", 0), 0);
    assert_int_equal(copal_sim_move(w->sim, "later"), COPAL_ENOENT);
    assert_int_equal(copal_sim_move(w->sim, "h"), 0);
    assert_int_equal(copal_sim_inject(w->sim, "192.0.2.1", "later", NONE),
                     COPAL_ENOENT);
    assert_int_equal(copal_sim_inject(w->sim, NULL, "h", NONE), COPAL_EINVAL);
    assert_int_equal(copal_sim_inject(w->sim, "192.0.2.1", "h", NONE), 0);
    assert_int_equal(copal_sim_run(w->sim, 5), 0);
    assert_int_equal(copal_sim_now(w->sim), 5);
    assert_non_null(strstr(copal_sim_transcript(w->sim), "malformed"));
    assert_int_equal(copal_sim_keep(w->sim, 0), 0);
    assert_string_equal(copal_sim_transcript(w->sim), "");
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, build, tear_down)
    const struct CMUnitTest tests[] = {
        TEST(what_is_not_built_in_says_so),
        TEST(every_parameter_can_be_set),
        cmocka_unit_test(what_frees_takes_nothing),
        TEST(no_message_is_out_of_memory),
        cmocka_unit_test(no_exchange_is_an_argument_out_of_range),
        TEST(no_uri_is_a_bad_one),
        TEST(every_number_has_a_name),
        TEST(a_simulated_endpoint_does_not_run_by_itself),
        cmocka_unit_test(a_real_endpoint_with_nothing_to_do_returns),
        TEST(timers_and_posts_are_let_go_of),
        TEST(a_parameter_is_checked),
        TEST(what_looks_inside_is_told_the_size),
        TEST(a_message_refuses_what_it_cannot_hold),
        TEST(options_have_a_limit_and_it_is_told),
        TEST(what_cannot_be_asked_ends_with_its_reason),
        TEST(an_exchange_that_is_over_stays_over),
        TEST(raw_use_is_checked),
        TEST(a_place_is_checked),
        TEST(an_answer_is_checked_and_given_once),
        TEST(the_simulator_knows_its_hosts),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
