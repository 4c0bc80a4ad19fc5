/* The amplification limit by the million, which the simulator would take long
 * for; and the table of what is known of addresses. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <cmocka.h>
#include "engine/block.h"
#include "engine/fresh_guard.h"

enum {
#ifdef __SANITIZE_ADDRESS__ /* which takes its time */
    FORGED = 100000,
#else
    FORGED = 1000000,
#endif
    BODY = 700 /* bytes */
};

struct server {
    struct cp_driver driver;
    struct cp_link link;
    struct cp_engine *engine;
    uint64_t now;
    unsigned sent, requests;
    size_t longest;
    uint8_t newest[1400];
};

static uint64_t now_of(struct cp_driver *d)
{
    return cp_container_of(d, struct server, driver)->now;
}

static void wake(struct cp_driver *d)
{
    (void)d;
}

static const struct cp_driver_ops driver_ops = {.now = now_of, .wake = wake};

static int note_sent(struct cp_link *l, const struct cp_path *path,
                     copal_bytes data)
{
    struct server *s = cp_container_of(l, struct server, link);

    (void)path;
    s->sent++;
    if (data.len > s->longest)
        s->longest = data.len;
    assert_true(data.len <= sizeof(s->newest));
    memcpy(s->newest, data.data, data.len);
    return 0;
}

static const struct cp_link_ops link_ops = {.name = "test", .send = note_sent};

static void answer(const copal_event *ev, void *user)
{
    static const uint8_t body[BODY];
    struct server *s = user;

    s->requests++;
    copal_reply(ev->exchange, COPAL_CONTENT, COPAL_NO_FORMAT,
                cp_bytes(body, sizeof(body)));
}

static int build(void **state)
{
    static const struct cp_stage *const stages[] = {&cp_fresh, &cp_block};
    struct server *s = calloc(1, sizeof(*s));

    assert_non_null(s);
    s->driver.ops = &driver_ops;
    s->driver.mem = cp_mem_new(NULL, NULL);
    s->link = (struct cp_link){.ops = &link_ops, .scheme = CP_COAP};
    s->engine = cp_engine_new(&s->driver, 1, (struct cp_stages){stages, 2},
                              COPAL_CB(answer, s), NULL);
    assert_non_null(s->engine);
    cp_engine_attach(s->engine, &s->link);
    *state = s;
    return 0;
}

static int tear_down(void **state)
{
    struct server *s = *state;
    struct cp_mem *mem = s->driver.mem;

    cp_engine_end(s->engine);
    cp_engine_free(s->engine);
    assert_int_equal(cp_mem_used(mem), 0);
    cp_mem_release(mem);
    free(s);
    return 0;
}

static struct cp_address source(uint32_t i)
{
    return (struct cp_address){
        .family = CP_IPV4,
        .port = 5683,
        .ip = {10, (uint8_t)(i >> 16), (uint8_t)(i >> 8), (uint8_t)i}};
}

/* GET /t, with an Echo of 8 bytes, or none. */
static void ask(struct server *s, uint32_t from, const uint8_t *echo)
{
    static uint16_t mid;
    uint8_t datagram[17] = {
        0x50, 1,    (uint8_t)(++mid >> 8),   (uint8_t)mid, 0xb1,
        't',  0xd8, COPAL_OPT_ECHO - 11 - 13};
    struct cp_path path = {.remote = source(from)};

    if (echo != NULL)
        memcpy(datagram + 8, echo, 8);
    cp_engine_enter(s->engine, s->now);
    cp_engine_datagram(s->engine, &s->link, &path,
                       cp_bytes(datagram, echo == NULL ? 6 : 16));
    cp_engine_turn(s->engine, s->now);
}

static void a_million_forged_sources_take_no_memory(void **state)
{
    struct server *s = *state;
    uint64_t before = 0;

    s->engine->params.value[COPAL_P_DEDUP_MEMORY] = 1 << 20;
    for (uint32_t i = 0; i < FORGED; i++) {
        ask(s, i, i % 2 == 0 ? NULL : (const uint8_t *)"whatever");
        if (i == 20000)
            before = cp_mem_used(s->driver.mem);
    }
    assert_int_equal(s->requests, FORGED);
    assert_int_equal(s->sent, FORGED); /* one each */
    assert_true(s->longest <= CP_FRESH_FREE);
    assert_int_equal(s->engine->freshness.proven.map.count, 0);
    assert_true(cp_mem_used(s->driver.mem) <= before + 65536);
}

/* The Echo in what was sent last. */
static const uint8_t *echo_of(const struct server *s)
{
    for (size_t i = 4; i < 136; i++) /* its header, behind ETag or Size2 */
        if (s->newest[i] >> 4 == 13 && (s->newest[i] & 15) == 8)
            return s->newest + i + 2;
    fail_msg("no Echo");
    return NULL;
}

static void who_proved_to_be_there_may_be_pushed_out(void **state)
{
    struct server *s = *state;
    struct cp_known *proven = &s->engine->freshness.proven;
    uint8_t echo[8];

    proven->most = 100;
    for (uint32_t i = 0; i < 150; i++) {
        ask(s, i, NULL);
        memcpy(echo, echo_of(s), 8);
        s->longest = 0;
        ask(s, i, echo);
        assert_true(s->longest > BODY);
        assert_int_equal(proven->map.count, i < 100 ? i + 1 : 100);
    }
    assert_int_equal(s->engine->stats.limited, 50);
    s->longest = 0;
    ask(s, 49, NULL);
    assert_true(s->longest <= CP_FRESH_FREE);
    ask(s, 50, NULL);
    assert_true(s->longest > BODY);
}

static void what_is_known_is_forgotten_in_time(void **state)
{
    struct server *s = *state;
    struct cp_known k;
    struct cp_address a = source(1), b = source(2);

    cp_known_init(&k, s->engine, "test", 10, 1000);
    cp_known_put(&k, NULL, &a, cp_bytes_of_text("one"));
    cp_known_put(&k, NULL, &a, cp_bytes_of_text("another"));
    assert_int_equal(k.map.count, 1);
    assert_int_equal(cp_known_find(&k, NULL, &a)->len, 7);
    assert_null(cp_known_find(&k, &s->link, &a));
    assert_null(cp_known_find(&k, NULL, &b));
    cp_engine_enter(s->engine, 999);
    cp_known_put(&k, NULL, &b, (copal_bytes){0});
    assert_non_null(cp_known_find(&k, NULL, &a));
    cp_engine_enter(s->engine, 1000);
    assert_null(cp_known_find(&k, NULL, &a));
    assert_int_equal(k.map.count, 1);
    cp_engine_enter(s->engine, 2000);
    cp_known_put(&k, NULL, &a, (copal_bytes){0}); /* and b goes by itself */
    assert_int_equal(k.map.count, 1);
    assert_int_equal(s->engine->stats.limited, 0);
    cp_known_clear(&k);
    cp_engine_turn(s->engine, 2000);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, build, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_million_forged_sources_take_no_memory),
        TEST(who_proved_to_be_there_may_be_pushed_out),
        TEST(what_is_known_is_forgotten_in_time),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
