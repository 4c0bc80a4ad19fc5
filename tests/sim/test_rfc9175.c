/* RFC 9175 section 2: the message flows of its figures 1 and 2, and how an
 * address is proven (section 2.4 item 3). The lock decides by itself what is
 * fresh; the client's side of it is the library's. */
#include "support.h"

/* Figure 1: t0 = 9 in 4 bytes, and what stands for a MAC. */
static const uint8_t at_nine[] = {0x00, 0x00, 0x00, 0x09, 0x43, 0x74,
                                  0x68, 0x75, 0x6c, 0x68, 0x75, 0x21};

enum {
    THRESHOLD_S = 5
};

struct lock {
    struct record *record;
    bool by_events; /* figure 2; else by time, figure 1 */
    uint8_t events; /* lock operations so far */
    int refused, done;
};

static void answer(const copal_event *ev, int code, copal_bytes echo)
{
    copal_msg *m = copal_msg_new(copal_exchange_endpoint(ev->exchange), code);

    if (echo.len > 0)
        copal_msg_add(m, COPAL_OPT_ECHO, echo);
    copal_respond(ev->exchange, m);
    copal_msg_unref(m);
}

static bool is_fresh(const struct lock *l, const copal_event *ev)
{
    uint64_t now_s = copal_now(copal_exchange_endpoint(ev->exchange)) / 1000;
    copal_bytes value;

    if (copal_msg_value(ev->msg, COPAL_OPT_ECHO, 0, &value) != 0)
        return false;
    if (l->by_events)
        return value.len == 1 && value.data[0] == l->events;
    return value.len == sizeof(at_nine) &&
           memcmp(value.data, at_nine, value.len) == 0 &&
           now_s - 9 < THRESHOLD_S;
}

static void on_lock(const copal_event *ev, void *user)
{
    struct lock *l = user;
    copal_cb cb = recording(l->record);
    bool fresh;

    cb.fn(ev, cb.user);
    if (ev->kind != COPAL_REQUEST)
        return;
    fresh = is_fresh(l, ev);
    l->done += fresh;
    l->refused += !fresh;
    if (l->by_events && fresh)
        l->events++;
    if (l->by_events)
        answer(ev, fresh ? COPAL_CHANGED : COPAL_UNAUTHORIZED,
               (copal_bytes){&l->events, 1});
    else if (fresh)
        answer(ev, COPAL_CHANGED, (copal_bytes){0});
    else
        answer(ev, COPAL_UNAUTHORIZED, (copal_bytes){at_nine, sizeof(at_nine)});
}

static void drop_lock(void *user)
{
    struct lock *l = user;

    l->record->drops++;
}

static void serve_lock(struct world *w, struct lock *l)
{
    l->record = next_record(w);
    assert_int_equal(copal_serve(w->server, COPAL_PUT, "/lock", 0,
                                 COPAL_CB_OWN(on_lock, l, drop_lock)),
                     0);
}

static struct record *unlock(struct world *w)
{
    return ask(w, w->client, COPAL_PUT, "coap://server/lock", "0");
}

static void figure_1_freshness_by_time(void **state)
{
    struct world *w = *state;
    struct lock lock = {.by_events = false};
    struct record *r;

    serve_lock(w, &lock);
    copal_sim_set_path(w->sim, NULL, NULL, (copal_sim_path){.delay = 500});
    copal_sim_run(w->sim, 8500);
    r = unlock(w);
    copal_sim_run(w->sim, 5000);
    assert_ended(r, 0);
    assert_int_equal(r->code, COPAL_CHANGED);
    assert_int_equal(r->responses, 1);
    assert_int_equal(lock.refused, 1);
    assert_int_equal(lock.done, 1);
    assert_transcript(w, "8500 client > server CON PUT 0001 /lock \"0\"\n"
                         "9000 server > client ACK 4.01 0001 echo\n"
                         "9500 client > server CON PUT 0002 /lock echo \"0\"\n"
                         "10000 server > client ACK 2.04 0002\n");
    copal_free(w->server);
    w->server = NULL;
}

/* The value is delayed beyond the threshold: the user hears of it, and the
 * lock stays closed. */
static void figure_1_too_late(void **state)
{
    struct world *w = *state;
    struct lock lock = {.by_events = false};
    struct record *r;

    serve_lock(w, &lock);
    copal_sim_set_path(w->sim, NULL, NULL, (copal_sim_path){.delay = 900});
    copal_sim_run(w->sim, 20000);
    r = unlock(w);
    copal_sim_run(w->sim, 5000);
    assert_ended(r, 0);
    assert_int_equal(r->code, COPAL_UNAUTHORIZED);
    assert_int_equal(lock.refused, 2);
    assert_int_equal(lock.done, 0);
    copal_free(w->server);
    w->server = NULL;
}

static void figure_2_freshness_by_events(void **state)
{
    struct world *w = *state;
    struct lock lock = {.by_events = true, .events = 5};
    struct record *first, *second;

    serve_lock(w, &lock);
    first = unlock(w);
    copal_sim_run(w->sim, 1000);
    second = unlock(w); /* with the value of the answer before */
    copal_sim_run(w->sim, 1000);
    assert_int_equal(first->code, COPAL_CHANGED);
    assert_int_equal(second->code, COPAL_CHANGED);
    assert_int_equal(lock.refused, 1);
    assert_int_equal(lock.done, 2);
    assert_int_equal(lock.events, 7);
    assert_transcript(w, "   0 client > server CON PUT 0001 /lock \"0\"\n"
                         "   0 server > client ACK 4.01 0001 echo\n"
                         "   0 client > server CON PUT 0002 /lock echo \"0\"\n"
                         "   0 server > client ACK 2.04 0002 echo\n"
                         "1000 client > server CON PUT 0003 /lock echo \"0\"\n"
                         "1000 server > client ACK 2.04 0003 echo\n");
    copal_free(w->server);
    w->server = NULL;
}

/* Section 2.4 item 3: who asks shows once that it is there. */
static void an_address_is_proven_once(void **state)
{
    static char text[301];
    struct world *w = *state;
    struct record *r;

    memset(text, 'x', 300);
    copal_tune(w->server, NULL, COPAL_P_GUARD_LOOPBACK, 1);
    serve_text(w, w->server, "/t", 0, text);
    r = get(w, "coap://server/t");
    copal_sim_run(w->sim, 1000);
    assert_int_equal(r->payload_len, 300);
    r = get(w, "coap://server/t");
    copal_sim_run(w->sim, 1000);
    assert_int_equal(r->payload_len, 300);
#define XS "\"xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx\"..."
    assert_transcript(
        w, "   0 client > server CON GET 0001 /t\n"
           "   0 server > client ACK 2.05 0001 2:0/1/64 etag=bfd50fc8 echo "
           "(64 bytes)\n"
           "   0 client > server CON GET 0002 /t echo\n"
           "   0 server > client ACK 2.05 0002 " XS "\n"
           "1000 client > server CON GET 0003 /t\n"
           "1000 server > client ACK 2.05 0003 " XS "\n");
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, build, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(figure_1_freshness_by_time),
        TEST(figure_1_too_late),
        TEST(figure_2_freshness_by_events),
        TEST(an_address_is_proven_once),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
