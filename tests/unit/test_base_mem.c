/* base/mem.c: counting, limits, failures, lives and threads. */
#include "base/bytes.h"
#include "base/mem.h"
#include "base/random.h"

#include <setjmp.h>
#include <stdarg.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>
#include <cmocka.h>

/* A realloc that counts what is out and can fail. */
struct heap {
    int blocks;
    int calls;
    int fail_at; /* the call that fails, from 1; 0: none */
};

static void *counting_realloc(void *user, void *p, size_t n)
{
    struct heap *heap = user;

    if (n == 0) {
        heap->blocks -= p != NULL;
        free(p);
        return NULL;
    }
    if (++heap->calls == heap->fail_at)
        return NULL;
    void *q = realloc(p, n);
    heap->blocks += p == NULL && q != NULL;
    return q;
}

/* ---- One thread ---- */

enum {
    PLACES = 300
};

struct place {
    uint8_t *p;
    size_t n;
    uint8_t fill;
};

static void check_fill(const struct place *place, size_t n)
{
    for (size_t i = 0; i < n; i++)
        assert_int_equal(place->p[i], place->fill);
}

static size_t some_size(struct cp_random *r)
{
    switch (cp_random_below(r, 4)) {
    case 0: return cp_random_below(r, 40);
    case 1: return cp_random_below(r, 300);
    case 2: return cp_random_below(r, 2100);
    default: return cp_random_below(r, 9000);
    }
}

static void blocks_follow_a_model(struct cp_mem *mem)
{
    static struct place places[PLACES];
    struct cp_random r;
    uint64_t used = 0;

    memset(places, 0, sizeof(places));
    cp_random_init(&r, 11);
    for (int step = 0; step < 20000; step++) {
        struct place *place = &places[cp_random_below(&r, PLACES)];
        size_t n = some_size(&r), before = place->n;

        if (place->p == NULL || cp_random_below(&r, 2) == 0) {
            void *p = cp_resize(mem, place->p, n);

            assert_non_null(p);
            place->p = p;
            check_fill(place, n < before ? n : before);
            place->n = n;
            place->fill = (uint8_t)step;
            memset(place->p, place->fill, n);
            used = used - before + n;
        } else {
            check_fill(place, before);
            cp_free(mem, place->p);
            *place = (struct place){0};
            used -= before;
        }
        assert_int_equal((uintptr_t)place->p % 16, 0);
        assert_int_equal(cp_mem_used(mem), used);
    }
    for (int i = 0; i < PLACES; i++) {
        check_fill(&places[i], places[i].n);
        cp_free(mem, places[i].p);
    }
    assert_int_equal(cp_mem_used(mem), 0);
}

static void blocks_keep_their_bytes_and_are_counted(void **state)
{
    struct heap heap = {0};
    struct cp_mem *slabs = cp_mem_new(NULL, NULL);
    struct cp_mem *direct = cp_mem_new(counting_realloc, &heap);

    (void)state;
    blocks_follow_a_model(slabs);
    cp_mem_release(slabs);
    blocks_follow_a_model(direct);
    cp_mem_release(direct);
    assert_int_equal(heap.blocks, 0);
}

static void every_size_has_room_for_itself(void **state)
{
    struct cp_mem *mem = cp_mem_new(NULL, NULL);
    struct place places[2100];

    (void)state;
    for (size_t n = 0; n < 2100; n++) {
        places[n] = (struct place){cp_alloc(mem, n), n, (uint8_t)n};
        assert_non_null(places[n].p);
        memset(places[n].p, (int)n, n);
    }
    for (size_t n = 0; n < 2100; n++) {
        check_fill(&places[n], n);
        cp_free(mem, places[n].p);
    }
    cp_mem_release(mem);
}

static void every_block_comes_from_a_given_realloc(void **state)
{
    struct heap heap = {0};
    struct cp_mem *mem = cp_mem_new(counting_realloc, &heap);
    void *blocks[10];

    (void)state;
    for (int i = 0; i < 10; i++)
        blocks[i] = cp_alloc(mem, 8);
    assert_int_equal(heap.blocks, 11);
    for (int i = 0; i < 10; i++)
        cp_free(mem, blocks[i]);
    assert_int_equal(heap.blocks, 1);
    cp_mem_release(mem);
    assert_int_equal(heap.blocks, 0);
}

/* Everything that can fail, once: returns false if something did. */
static bool allocate_in_all_ways(struct cp_mem *mem)
{
    uint8_t *a = cp_alloc(mem, 100), *b = cp_zalloc(mem, 50), *grown = NULL;
    char *c = cp_copy_text(mem, "text", 4);
    bool ok = a != NULL && b != NULL && c != NULL;

    if (a != NULL) {
        a[99] = 0x77;
        grown = cp_resize(mem, a, 5000);
        assert_int_equal((grown == NULL ? a : grown)[99], 0x77);
    }
    if (b != NULL)
        assert_int_equal(b[49], 0);
    if (c != NULL)
        assert_string_equal(c, "text");
    cp_free(mem, grown == NULL ? a : grown);
    cp_free_secret(mem, b, 50);
    cp_free(mem, c);
    return ok && grown != NULL;
}

static void a_failed_allocation_changes_nothing(void **state)
{
    bool ok = false;
    int fail_at;

    (void)state;
    for (fail_at = 1; !ok; fail_at++) {
        struct heap heap = {.fail_at = fail_at};
        struct cp_mem *mem = cp_mem_new(counting_realloc, &heap);

        if (mem != NULL) {
            ok = allocate_in_all_ways(mem);
            assert_int_equal(cp_mem_used(mem), 0);
            cp_mem_release(mem);
        }
        assert_int_equal(heap.blocks, 0);
    }
    assert_int_equal(fail_at, 7);
}

static void a_limit_is_kept_to_the_byte(void **state)
{
    struct cp_mem *mem = cp_mem_new(NULL, NULL);
    void *a, *b, *c;

    (void)state;
    cp_mem_limit(mem, 1000);
    a = cp_alloc(mem, 600);
    assert_non_null(a);
    assert_null(cp_alloc(mem, 401));
    b = cp_alloc(mem, 400);
    assert_non_null(b);
    assert_null(cp_resize(mem, b, 401));
    b = cp_resize(mem, b, 100);
    a = cp_resize(mem, a, 900);
    assert_non_null(a);
    assert_int_equal(cp_mem_used(mem), 1000);

    /* Below what is out: nothing more, but less is always possible. */
    cp_mem_limit(mem, 10);
    assert_null(cp_alloc(mem, 1));
    a = cp_resize(mem, a, 800);
    assert_int_equal(cp_mem_used(mem), 900);
    cp_mem_limit(mem, 0);
    c = cp_alloc(mem, 100000);
    assert_non_null(c);
    cp_free(mem, a);
    cp_free(mem, b);
    cp_free(mem, c);
    cp_mem_release(mem);
}

static void absurd_sizes_fail(void **state)
{
    struct cp_mem *mem = cp_mem_new(NULL, NULL);
    void *p = cp_alloc(mem, 0);

    (void)state;
    assert_non_null(p);
    assert_null(cp_alloc(mem, SIZE_MAX));
    assert_null(cp_zalloc(mem, SIZE_MAX - 8));
    assert_null(cp_alloc(mem, (size_t)PTRDIFF_MAX));
    assert_null(cp_resize(mem, p, SIZE_MAX - 15));
    assert_null(cp_copy_text(mem, "", SIZE_MAX));
    assert_int_equal(cp_mem_used(mem), 0);
    cp_free(mem, p);
    cp_free(mem, NULL);
    cp_mem_release(mem);
}

static void what_is_out_outlives_the_owner(void **state)
{
    struct heap heap = {0};
    struct cp_mem *mem = cp_mem_new(counting_realloc, &heap);
    char *a = cp_copy_text(mem, "a", 1), *b;

    (void)state;
    cp_mem_release(mem);
    assert_string_equal(a, "a");
    b = cp_alloc(mem, 10);
    a = cp_resize(mem, a, 3000);
    assert_string_equal(a, "a");
    cp_free(mem, a);
    assert_int_equal(heap.blocks, 2);
    cp_free(mem, b);
    assert_int_equal(heap.blocks, 0);

    mem = cp_mem_new(NULL, NULL);
    a = cp_copy_text(mem, "a", 1);
    cp_mem_release(mem);
    assert_string_equal(a, "a");
    cp_free(mem, a);
}

static void a_wiped_secret_is_gone(void **state)
{
    uint8_t secret[32], zero[32] = {0};

    (void)state;
    memset(secret, 0xaa, sizeof(secret));
    cp_wipe(secret, sizeof(secret));
    assert_memory_equal(secret, zero, sizeof(zero));
    cp_wipe(NULL, 0);
}

static void the_last_sentence_is_kept_and_cut_between_characters(void **state)
{
    struct cp_mem *mem = cp_mem_new(NULL, NULL);
    char words[600];

    (void)state;
    assert_string_equal(cp_why_text(mem), "");
    assert_int_equal(cp_why(mem, COPAL_EURI, "%s: no scheme", "x"), COPAL_EURI);
    assert_string_equal(cp_why_text(mem), "x: no scheme");
    cp_why(mem, COPAL_EURI, "in a: %s", cp_why_text(mem));
    assert_string_equal(cp_why_text(mem), "in a: x: no scheme");

    for (size_t i = 0; i + 3 <= sizeof(words); i += 3)
        memcpy(words + i, "\xe2\x82\xac", 3);
    words[sizeof(words) - 1] = '\0';
    cp_why(mem, COPAL_EURI, "%s", words);
    assert_int_equal(strlen(cp_why_text(mem)), 510);
    cp_why(mem, COPAL_EURI, "a%s", words);
    assert_int_equal(strlen(cp_why_text(mem)), 511);
    cp_why(mem, COPAL_EURI, "ab%s", words);
    assert_int_equal(strlen(cp_why_text(mem)), 509);
    cp_mem_release(mem);
}

/* ---- Threads ---- */

struct handle {
    struct cp_dead dead;
    struct cp_mem *mem;
    pthread_t *reaper; /* where to note who reaped; may be NULL */
    char *text;
};

static void reap_handle(struct cp_dead *dead)
{
    struct handle *h = cp_container_of(dead, struct handle, dead);

    if (h->reaper != NULL)
        *h->reaper = pthread_self();
    cp_free(h->mem, h->text);
    cp_free(h->mem, h);
}

static struct handle *new_handle(struct cp_mem *mem, pthread_t *reaper)
{
    struct handle *h = cp_zalloc(mem, sizeof(*h));

    assert_non_null(h);
    h->dead.reap = reap_handle;
    h->mem = mem;
    h->reaper = reaper;
    h->text = cp_copy_text(mem, "text", 4);
    return h;
}

static void *retire_one(void *user)
{
    struct handle *h = user;

    cp_mem_retire(h->mem, &h->dead);
    return NULL;
}

static void retire_on_another_thread(struct handle *h)
{
    pthread_t thread;

    assert_int_equal(pthread_create(&thread, NULL, retire_one, h), 0);
    pthread_join(thread, NULL);
}

static void the_owner_retires_at_once(void **state)
{
    struct cp_mem *mem = cp_mem_new(NULL, NULL);
    struct handle *h = new_handle(mem, NULL);

    (void)state;
    cp_mem_retire(mem, &h->dead);
    assert_int_equal(cp_mem_used(mem), 0);
    cp_mem_release(mem);
}

static void what_strangers_retire_waits_for_the_owner(void **state)
{
    struct cp_mem *mem = cp_mem_new(NULL, NULL);
    pthread_t reaper;

    (void)state;
    retire_on_another_thread(new_handle(mem, &reaper));
    retire_on_another_thread(new_handle(mem, NULL));
    assert_int_not_equal(cp_mem_used(mem), 0);
    cp_mem_reap(mem);
    assert_int_equal(cp_mem_used(mem), 0);
    assert_true(pthread_equal(reaper, pthread_self()));
    cp_mem_reap(mem);
    cp_mem_release(mem);
}

static void the_end_reaps_what_waits(void **state)
{
    struct heap heap = {0};
    struct cp_mem *mem = cp_mem_new(counting_realloc, &heap);

    (void)state;
    retire_on_another_thread(new_handle(mem, NULL));
    cp_mem_release(mem);
    assert_int_equal(heap.blocks, 0);
}

static void after_the_end_any_thread_reaps_and_the_last_cleans_up(void **state)
{
    struct heap heap = {0};
    struct cp_mem *mem = cp_mem_new(counting_realloc, &heap);
    struct handle *a = new_handle(mem, NULL), *b = new_handle(mem, NULL);

    (void)state;
    cp_mem_release(mem);
    retire_on_another_thread(a);
    assert_int_equal(heap.blocks, 3);
    cp_mem_retire(mem, &b->dead);
    assert_int_equal(heap.blocks, 0);
}

static void *adopt_and_retire(void *user)
{
    struct handle *h = user;

    cp_mem_adopt(h->mem);
    cp_mem_retire(h->mem, &h->dead);
    return NULL;
}

static void an_adopting_thread_is_the_owner(void **state)
{
    struct cp_mem *mem = cp_mem_new(NULL, NULL);
    struct handle *a = new_handle(mem, NULL), *b = new_handle(mem, NULL);
    pthread_t thread;

    (void)state;
    assert_int_equal(pthread_create(&thread, NULL, adopt_and_retire, a), 0);
    pthread_join(thread, NULL);
    assert_int_equal(cp_mem_used(mem), sizeof(*b) + 5);
    cp_mem_retire(mem, &b->dead);
    assert_int_equal(cp_mem_used(mem), sizeof(*b) + 5);
    cp_mem_adopt(mem);
    cp_mem_reap(mem);
    assert_int_equal(cp_mem_used(mem), 0);
    cp_mem_release(mem);
}

/* The owner hands handles over and keeps working; strangers let go of them,
 * before, while and after it lets go of the allocator. */
enum {
    HANDED = 2000,
    STRANGERS = 2
};

struct handover {
    _Atomic(struct handle *) slots[HANDED];
};

static void *let_go_of_all(void *user)
{
    struct handover *over = user;

    for (int i = 0; i < HANDED; i++) {
        struct handle *h;

        while ((h = atomic_load(&over->slots[i])) == NULL)
            usleep(10);
        cp_mem_retire(h->mem, &h->dead);
    }
    return NULL;
}

static void strangers_retire_while_the_owner_works_and_ends(void **state)
{
    struct cp_mem *mem = cp_mem_new(NULL, NULL);
    struct handover *over = calloc(STRANGERS, sizeof(*over));
    pthread_t threads[STRANGERS];

    (void)state;
    for (int t = 0; t < STRANGERS; t++)
        pthread_create(&threads[t], NULL, let_go_of_all, &over[t]);
    for (int i = 0; i < HANDED; i++) {
        struct handle *own = new_handle(mem, NULL);

        for (int t = 0; t < STRANGERS; t++)
            atomic_store(&over[t].slots[i], new_handle(mem, NULL));
        cp_mem_retire(mem, &own->dead);
        if (i % 16 == 0)
            cp_mem_reap(mem);
    }
    cp_mem_release(mem);
    for (int t = 0; t < STRANGERS; t++)
        pthread_join(threads[t], NULL);
    free(over);
}

struct husk {
    struct cp_mem *mem;
    void *held;
};

static void *use_after_the_end(void *user)
{
    struct husk *husk = user;

    for (int i = 0; i < 2000; i++) {
        void *p = cp_alloc(husk->mem, (size_t)(i % 300));

        p = cp_resize(husk->mem, p, (size_t)(i % 700));
        cp_free(husk->mem, p);
        husk->held = cp_resize(husk->mem, husk->held, (size_t)(i % 2500));
    }
    cp_free(husk->mem, husk->held);
    return NULL;
}

static void husks_on_many_threads_share_what_is_left(void **state)
{
    struct cp_mem *mem = cp_mem_new(NULL, NULL);
    struct husk husks[3];
    pthread_t threads[3];

    (void)state;
    for (int t = 0; t < 3; t++)
        husks[t] = (struct husk){mem, cp_alloc(mem, 1)};
    cp_mem_release(mem);
    for (int t = 0; t < 3; t++)
        pthread_create(&threads[t], NULL, use_after_the_end, &husks[t]);
    for (int t = 0; t < 3; t++)
        pthread_join(threads[t], NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(blocks_keep_their_bytes_and_are_counted),
        cmocka_unit_test(every_size_has_room_for_itself),
        cmocka_unit_test(every_block_comes_from_a_given_realloc),
        cmocka_unit_test(a_failed_allocation_changes_nothing),
        cmocka_unit_test(a_limit_is_kept_to_the_byte),
        cmocka_unit_test(absurd_sizes_fail),
        cmocka_unit_test(what_is_out_outlives_the_owner),
        cmocka_unit_test(a_wiped_secret_is_gone),
        cmocka_unit_test(the_last_sentence_is_kept_and_cut_between_characters),
        cmocka_unit_test(the_owner_retires_at_once),
        cmocka_unit_test(what_strangers_retire_waits_for_the_owner),
        cmocka_unit_test(the_end_reaps_what_waits),
        cmocka_unit_test(after_the_end_any_thread_reaps_and_the_last_cleans_up),
        cmocka_unit_test(an_adopting_thread_is_the_owner),
        cmocka_unit_test(strangers_retire_while_the_owner_works_and_ends),
        cmocka_unit_test(husks_on_many_threads_share_what_is_left),
    };

    return cmocka_run_group_tests_name("base/mem", tests, NULL, NULL);
}
