/* lua/slab.h: the memory of the copal program's Lua. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>
#include "slab.h"

enum {
    MANY = 4000
};

struct one {
    unsigned char *at;
    size_t size;
    unsigned char mark;
};

static struct slab slab;

static void fill(struct one *o, size_t from)
{
    memset(o->at + from, o->mark, o->size - from);
}

static void check(const struct one *o, size_t size)
{
    for (size_t i = 0; i < size; i++)
        assert_int_equal(o->at[i], o->mark);
}

static void resize(struct one *o, size_t size)
{
    size_t kept = o->size < size ? o->size : size;

    o->at = slab_alloc(&slab, o->at, o->at == NULL ? 5 : o->size, size);
    if (size == 0) {
        assert_null(o->at);
        o->size = 0;
        return;
    }
    assert_non_null(o->at);
    assert_int_equal((uintptr_t)o->at % 16, 0);
    check(o, kept);
    o->size = size;
    fill(o, kept);
}

static void blocks_keep_what_is_in_them(void **state)
{
    static struct one all[MANY];
    uint32_t random = 1;

    (void)state;
    for (size_t i = 0; i < MANY; i++)
        all[i].mark = (unsigned char)(i * 7 + 1);
    for (int step = 0; step < 100000; step++) {
        struct one *o;

        random = random * 1664525 + 1013904223;
        o = &all[(random >> 8) % MANY];
        check(o, o->size);
        resize(o, o->size != 0 && random >> 31 != 0 ? 0
                                                    : (random >> 20) % 700 + 1);
    }
    for (size_t i = 0; i < MANY; i++) {
        check(&all[i], all[i].size);
        if (all[i].at != NULL)
            resize(&all[i], 0);
    }
    slab_end(&slab);
}

static void a_block_that_was_given_back_is_the_next_one(void **state)
{
    void *first = slab_alloc(&slab, NULL, 0, 40), *second;

    (void)state;
    assert_ptr_equal(slab_alloc(&slab, first, 40, 0), NULL);
    second = slab_alloc(&slab, NULL, 0, 48);
    assert_ptr_equal(second, first);
    assert_ptr_equal(slab_alloc(&slab, second, 48, 33), second);
    slab_alloc(&slab, second, 33, 0);
    slab_end(&slab);
}

static void empty_pages_are_given_back(void **state)
{
    static void *all[MANY];

    (void)state;
    for (size_t i = 0; i < MANY; i++) {
        all[i] = slab_alloc(&slab, NULL, 0, 64);
        assert_non_null(all[i]);
    }
    assert_in_range(slab.pages, MANY * 64 / 16384, MANY * 64 / 16000 + 1);
    for (size_t i = 0; i < MANY; i++)
        slab_alloc(&slab, all[i * 7 % MANY], 64, 0);
    assert_int_equal(slab.pages, 1);
    slab_end(&slab);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(blocks_keep_what_is_in_them),
        cmocka_unit_test(a_block_that_was_given_back_is_the_next_one),
        cmocka_unit_test(empty_pages_are_given_back),
    };

    return cmocka_run_group_tests_name("slab", tests, NULL, NULL);
}
