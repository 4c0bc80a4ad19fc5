/* Flights on a link that fails, which neither the simulator nor a socket does
 * while a datagram is handed over. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>
#include "engine/core.h"
#include "engine/reliable.h"

struct line {
    struct cp_driver driver;
    struct cp_link link;
    struct cp_engine *engine;
    struct cp_path path;
    unsigned sent;
    int fails; /* what sending gives from now on; 0: it works */
};

struct told {
    struct cp_flight flight;
    unsigned times;
    int status;
};

static uint64_t at_zero(struct cp_driver *d)
{
    (void)d;
    return 0;
}

static void wake(struct cp_driver *d)
{
    (void)d;
}

static const struct cp_driver_ops driver_ops = {.now = at_zero, .wake = wake};

static int send_or_fail(struct cp_link *l, const struct cp_path *path,
                        copal_bytes data)
{
    struct line *line = cp_container_of(l, struct line, link);

    (void)path;
    (void)data;
    line->sent++;
    return line->fails;
}

static const struct cp_link_ops link_ops = {.name = "line",
                                            .send = send_or_fail};

static void on_over(struct cp_flight *f, int status)
{
    struct told *t = cp_container_of(f, struct told, flight);

    t->times++;
    t->status = status;
}

static int build(void **state)
{
    static struct line line;

    memset(&line, 0, sizeof(line));
    line.driver.ops = &driver_ops;
    line.driver.mem = cp_mem_new(NULL, NULL);
    line.engine = cp_engine_new(&line.driver, 1, (struct cp_stages){0},
                                (copal_cb){0}, NULL);
    assert_non_null(line.engine);
    line.link.ops = &link_ops;
    line.path.remote.port = 5683;
    cp_engine_attach(line.engine, &line.link);
    *state = &line;
    return 0;
}

static int tear_down(void **state)
{
    struct line *line = *state;

    cp_engine_end(line->engine);
    cp_engine_free(line->engine);
    cp_mem_release(line->driver.mem);
    return 0;
}

static int start(struct line *line, struct told *t)
{
    copal_msg *m = cp_msg_new(line->driver.mem, COPAL_GET, 0);
    struct cp_flight_plan plan = cp_flight_plan_for(line->engine, m, NULL);
    int err;

    plan.link = &line->link;
    plan.path = &line->path;
    plan.is_con = true;
    memset(t, 0, sizeof(*t));
    cp_flight_init(&t->flight, line->engine, on_over);
    err = cp_flight_start(&t->flight, &plan, m);
    copal_msg_unref(m);
    return err;
}

static void what_cannot_be_sent_is_told_by_the_call(void **state)
{
    struct line *line = *state;
    struct told t;

    line->fails = COPAL_EIO;
    assert_int_equal(start(line, &t), COPAL_EIO);
    assert_int_equal(t.times, 0);
    assert_int_equal(t.flight.state, CP_IDLE);
}

static void what_cannot_be_sent_once_its_turn_came_is_told_soon(void **state)
{
    struct line *line = *state;
    struct told flying, queued[3];

    assert_int_equal(start(line, &flying), 0);
    for (size_t i = 0; i < 3; i++)
        assert_int_equal(start(line, &queued[i]), 0);
    assert_int_equal(line->sent, 1);
    line->fails = COPAL_EIO;
    cp_flight_stop(&flying.flight);
    assert_int_equal(queued[0].times, 0); /* the caller may be amid a walk */
    cp_engine_turn(line->engine, 0);
    for (size_t i = 0; i < 3; i++) {
        assert_int_equal(queued[i].times, 1);
        assert_int_equal(queued[i].status, COPAL_EIO);
        assert_int_equal(queued[i].flight.state, CP_IDLE);
    }
    assert_int_equal(line->sent, 4);
    assert_int_equal(line->engine->peers.count, 0);
}

/* Later transmissions repeat one that left: the last wait decides. */
static void a_repeat_that_cannot_be_sent_is_as_good_as_lost(void **state)
{
    struct line *line = *state;
    struct told t;

    assert_int_equal(start(line, &t), 0);
    line->fails = COPAL_EIO;
    cp_engine_turn(line->engine, 3000);
    assert_int_equal(line->sent, 2);
    assert_int_equal(t.times, 0);
    cp_flight_finish(&t.flight, 0);
    assert_int_equal(t.status, 0);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, build, tear_down)
    const struct CMUnitTest tests[] = {
        TEST(what_cannot_be_sent_is_told_by_the_call),
        TEST(what_cannot_be_sent_once_its_turn_came_is_told_soon),
        TEST(a_repeat_that_cannot_be_sent_is_as_good_as_lost),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
