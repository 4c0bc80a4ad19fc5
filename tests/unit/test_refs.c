/* base/refs.h: counted by its owner's thread, given back by any. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <pthread.h>
#include "base/refs.h"

enum {
    THREADS = 4,
    TIMES = 20000
};

struct thing {
    struct cp_refs refs;
    struct cp_mem *mem;
    int ends;
};

static void reap(struct cp_dead *dead)
{
    struct thing *t = cp_container_of(dead, struct thing, refs.dead);

    if (cp_refs_settle(&t->refs) == 0)
        t->ends++;
}

static void drop(struct thing *t)
{
    if (cp_refs_drop(&t->refs, t->mem) == 0)
        t->ends++;
}

static struct thing *thing_new(struct thing *t)
{
    *t = (struct thing){.mem = cp_mem_new(NULL, NULL)};
    assert_non_null(t->mem);
    cp_refs_init(&t->refs, reap);
    return t;
}

static void *give_back(void *user)
{
    drop(user);
    return NULL;
}

static void *take(void *user)
{
    struct thing *t = user;

    cp_refs_take(&t->refs, t->mem);
    return NULL;
}

static void *take_and_give_back(void *user)
{
    struct thing *t = user;

    for (int i = 0; i < TIMES; i++) {
        cp_refs_take(&t->refs, t->mem);
        drop(t);
    }
    drop(t);
    return NULL;
}

static void elsewhere(void *(*what)(void *user), struct thing *t)
{
    pthread_t thread;

    assert_int_equal(pthread_create(&thread, NULL, what, t), 0);
    pthread_join(thread, NULL);
}

static void the_owners_last_is_the_end(void **state)
{
    struct thing here, *t = thing_new(&here);

    (void)state;
    cp_refs_take(&t->refs, t->mem);
    assert_int_equal(cp_refs_count(&t->refs), 2);
    drop(t);
    assert_int_equal(t->ends, 0);
    drop(t);
    assert_int_equal(t->ends, 1);
    cp_mem_release(t->mem);
}

static void what_another_thread_gives_back_waits_for_the_owner(void **state)
{
    struct thing here, *t = thing_new(&here);

    (void)state;
    elsewhere(give_back, t);
    assert_int_equal(t->ends, 0);
    cp_mem_reap(t->mem);
    assert_int_equal(t->ends, 1);
    cp_mem_release(t->mem);
}

static void the_owner_does_not_end_what_waits(void **state)
{
    struct thing here, *t = thing_new(&here);

    (void)state;
    cp_refs_take(&t->refs, t->mem);
    elsewhere(give_back, t);
    drop(t);
    assert_int_equal(t->ends, 0);
    assert_int_equal(cp_refs_count(&t->refs), 0);
    cp_mem_reap(t->mem);
    assert_int_equal(t->ends, 1);
    cp_mem_release(t->mem);
}

static void what_another_thread_took_holds_it(void **state)
{
    struct thing here, *t = thing_new(&here);

    (void)state;
    elsewhere(take, t);
    assert_int_equal(cp_refs_count(&t->refs), 2);
    drop(t);
    assert_int_equal(t->ends, 0);
    elsewhere(give_back, t);
    assert_int_equal(t->ends, 0);
    cp_mem_reap(t->mem);
    assert_int_equal(t->ends, 1);

    cp_refs_init(&t->refs, reap);
    elsewhere(take, t);
    drop(t);
    drop(t); /* the owner gives back the other's */
    assert_int_equal(t->ends, 2);
    cp_mem_release(t->mem);
}

static void once_the_owner_has_let_go_any_thread_ends_it(void **state)
{
    struct thing here, *t = thing_new(&here);
    void *block = cp_alloc(t->mem, 10); /* which keeps mem */

    (void)state;
    cp_refs_take(&t->refs, t->mem);
    cp_mem_release(t->mem);
    elsewhere(give_back, t);
    assert_int_equal(t->ends, 0);
    drop(t);
    assert_int_equal(t->ends, 1);
    cp_free(t->mem, block);
}

/* The owner works with it, and sees to what waits, while others take and give
 * back all the time. */
static void whoever_is_last_it_ends_once(void **state)
{
    struct thing here, *t = thing_new(&here);
    pthread_t threads[THREADS];

    (void)state;
    for (int i = 0; i < THREADS; i++) {
        cp_refs_take(&t->refs, t->mem); /* his, who is begun */
        assert_int_equal(
            pthread_create(&threads[i], NULL, take_and_give_back, t), 0);
    }
    for (int i = 0; i < TIMES; i++) {
        cp_refs_take(&t->refs, t->mem);
        cp_mem_reap(t->mem);
        drop(t);
    }
    assert_int_equal(t->ends, 0);
    drop(t);
    for (int i = 0; i < THREADS; i++)
        pthread_join(threads[i], NULL);
    cp_mem_reap(t->mem);
    assert_int_equal(t->ends, 1);
    cp_mem_release(t->mem);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_owners_last_is_the_end),
        cmocka_unit_test(what_another_thread_gives_back_waits_for_the_owner),
        cmocka_unit_test(the_owner_does_not_end_what_waits),
        cmocka_unit_test(what_another_thread_took_holds_it),
        cmocka_unit_test(once_the_owner_has_let_go_any_thread_ends_it),
        cmocka_unit_test(whoever_is_last_it_ends_once),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
