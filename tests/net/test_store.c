/* A store on a real loop: a thread writes, and the loop goes on. */
#include "support.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>
#include <cmocka.h>
#include "endpoint.h"
#include "secure/credentials.h"
#include "secure/store.h"

enum {
    MANY = 200
};

static char directory[64];

struct waiter {
    struct cp_store_wait wait;
    copal *c;
    int told, status;
};

static int left;

static void on_done(struct cp_store_wait *wait, int status, copal_bytes value,
                    const char *why)
{
    struct waiter *w = cp_container_of(wait, struct waiter, wait);

    (void)value;
    (void)why;
    w->told++;
    w->status = status;
    if (--left == 0)
        copal_stop(w->c);
}

static copal *open_store(void)
{
    copal *c = copal_new(NULL);

    assert_non_null(c);
    assert_int_equal(copal_store(c, directory, (copal_cb){0}), 0);
    return c;
}

static struct cp_store *store_of(copal *c)
{
    return c->credentials->store;
}

static void put(copal *c, const char *text, struct cp_store_wait *w)
{
    assert_int_equal(
        cp_store_put(store_of(c), "dtls/0a", cp_bytes_of_text(text), w), 0);
}

static void assert_kept(copal *c, const char *text)
{
    struct cp_buf out = cp_buf_new(c->mem);

    assert_int_equal(cp_store_read(store_of(c), "dtls/0a", &out), 0);
    assert_true(cp_bytes_is_text(cp_bytes(out.data, out.len), text));
    cp_buf_free(&out);
}

static void ran_out(const copal_event *ev, void *user)
{
    (void)ev;
    copal_stop(user);
}

static void each_write_is_told_in_its_order(void **state)
{
    static struct waiter all[MANY];
    copal *c = open_store();
    char text[16], path[16];

    (void)state;
    left = MANY;
    for (int i = 0; i < MANY; i++) {
        all[i] = (struct waiter){.wait.done = on_done, .c = c};
        snprintf(text, sizeof(text), "value %d", i);
        snprintf(path, sizeof(path), "dtls/0%c", 'a' + i % 3);
        assert_int_equal(cp_store_put(store_of(c), path, cp_bytes_of_text(text),
                                      &all[i].wait),
                         0);
    }
    assert_int_equal(all[0].told, 0);
    copal_after(c, 60000, COPAL_CB(ran_out, c));
    assert_int_equal(copal_run(c), 0);
    for (int i = 0; i < MANY; i++) {
        assert_int_equal(all[i].told, 1);
        assert_int_equal(all[i].status, 0);
    }
    assert_kept(c, "value 198");
    copal_free(c);
}

static void what_was_put_is_there_when_the_endpoint_has_gone(void **state)
{
    struct waiter w = {.wait.done = on_done, .status = 1};
    copal *c = open_store();

    (void)state;
    left = 2;
    for (int i = 0; i < 50; i++)
        put(c, "old", NULL);
    put(c, "new", &w.wait);
    copal_free(c);
    assert_int_equal(w.told, 1);
    c = open_store();
    assert_kept(c, "new");
    copal_free(c);
}

static int make_directory(void **state)
{
    (void)state;
    strcpy(directory, "/tmp/copal-store-XXXXXX");
    return mkdtemp(directory) == NULL;
}

static int remove_directory(void **state)
{
    char command[100];

    (void)state;
    snprintf(command, sizeof(command), "rm -r %s", directory);
    return system(command);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(each_write_is_told_in_its_order,
                                        make_directory, remove_directory),
        cmocka_unit_test_setup_teardown(
            what_was_put_is_there_when_the_endpoint_has_gone, make_directory,
            remove_directory),
    };

    return cmocka_run_group_tests_name("store", tests, NULL, NULL);
}
