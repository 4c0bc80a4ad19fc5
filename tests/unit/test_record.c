/* The flight recorder's ring: whole records, the newest, in order. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <cmocka.h>
#include "engine/record.h"
#include "engine/record_take.h"

enum {
    SMALLEST = 16,
    LARGEST = 400,
    RECORDS = 300
};

static struct cp_engine engine;

static void make_ring(size_t part_size)
{
    struct cp_record *r = malloc(sizeof(*r) + CP_RECORD_PARTS * part_size);

    assert_non_null(r);
    memset(r, 0, sizeof(*r));
    r->engine = &engine;
    r->part_size = part_size;
    r->parts[0].is_used = true;
    r->at = r->data;
    r->end = r->data + part_size;
    engine.record = r;
}

/* The i-th record has i % most bytes, each of them i. */
static void put(uint32_t i, size_t most)
{
    size_t n = i % most;
    uint8_t *p = cp_record_room(engine.record, 1, n);

    assert_non_null(p);
    memset(p, (uint8_t)i, n);
}

/* Those from some record on up to the i-th are there. Gives how many. */
static uint32_t check(uint32_t i, size_t most)
{
    copal_bytes parts[CP_RECORD_PARTS];
    size_t count = cp_record_parts(&engine, parts);
    uint32_t found = 0, first = 0;

    for (int pass = 0; pass < 2; pass++) {
        uint32_t at = first;

        for (size_t k = 0; k < count; k++) {
            struct cp_cursor c = cp_cursor_of(parts[k]);
            struct cp_record_head h;

            while (cp_record_take(&c, &h)) {
                if (pass == 0) {
                    found++;
                    continue;
                }
                assert_int_equal(h.body.len, at % most);
                for (size_t b = 0; b < h.body.len; b++)
                    assert_int_equal(h.body.data[b], (uint8_t)at);
                at++;
            }
            assert_int_equal(cp_cursor_left(&c), 0);
        }
        assert_true(found > 0 && found <= i + 1);
        first = i + 1 - found;
    }
    return found;
}

static void it_holds_the_newest_records_at_every_size(void **state)
{
    (void)state;
    for (size_t size = SMALLEST; size < LARGEST; size++) {
        size_t most = size - CP_RECORD_HEAD + 1;
        uint32_t found = 0;

        make_ring(size);
        for (uint32_t i = 0; i < RECORDS; i++) {
            put(i, most);
            found = check(i, most);
        }
        assert_true(found >= CP_RECORD_PARTS - 1);
        free(engine.record);
        engine.record = NULL;
    }
}

static void what_is_longer_than_a_part_leaves_nothing(void **state)
{
    copal_bytes parts[CP_RECORD_PARTS];

    (void)state;
    make_ring(64);
    put(5, 60);
    assert_null(cp_record_room(engine.record, 1, 60));
    assert_int_equal(cp_record_parts(&engine, parts), 1);
    assert_int_equal(parts[0].len, 0);
    assert_true(engine.record->needs_start);
    free(engine.record);
    engine.record = NULL;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(it_holds_the_newest_records_at_every_size),
        cmocka_unit_test(what_is_longer_than_a_part_leaves_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
