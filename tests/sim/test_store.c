/* The store of security state: what was put is there after a crash, or it is
 * said what became of it. RFC 8613 7.2, B.1.1. */
#include "support.h"

#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>
#include "endpoint.h"
#include "secure/credentials.h"
#include "secure/store.h"

#define NAME "oscore/0a1b"

/* ---- A directory of the test's ---- */

static char directory[64];

static const char *file(const char *name)
{
    static char path[256];

    snprintf(path, sizeof(path), "%s/%s", directory, name);
    return path;
}

static void write_file(const char *name, const char *data, size_t len)
{
    int fd = open(file(name), O_WRONLY | O_CREAT | O_TRUNC, 0600);

    assert_true(fd >= 0);
    assert_int_equal(write(fd, data, len), (ssize_t)len);
    close(fd);
}

static size_t read_file(const char *name, char *data, size_t room)
{
    int fd = open(file(name), O_RDONLY);
    ssize_t n = fd < 0 ? 0 : read(fd, data, room);

    if (fd >= 0)
        close(fd);
    return n < 0 ? 0 : (size_t)n;
}

static int build_directory(void **state)
{
    strcpy(directory, "/tmp/copal-store-XXXXXX");
    assert_non_null(mkdtemp(directory));
    return build(state);
}

static int remove_directory(void **state)
{
    int err = tear_down(state);

    (void)unlink(file(NAME));
    (void)unlink(file("oscore/0c0d"));
    (void)unlink(file("oscore/.new"));
    (void)rmdir(file("oscore"));
    (void)unlink(file("lock"));
    (void)rmdir(directory);
    return err;
}

static struct cp_store *store_of(copal *c)
{
    return c->credentials->store;
}

/* ---- Who waits ---- */

struct waiter {
    struct cp_store_wait wait;
    int told, status;
    char value[64], why[400];
};

static void on_done(struct cp_store_wait *wait, int status, copal_bytes value,
                    const char *why)
{
    struct waiter *w = cp_container_of(wait, struct waiter, wait);

    w->told++;
    w->status = status;
    snprintf(w->value, sizeof(w->value), "%.*s", (int)value.len,
             value.data == NULL ? "" : (const char *)value.data);
    snprintf(w->why, sizeof(w->why), "%s", why);
}

static struct waiter waiting(void)
{
    return (struct waiter){.wait.done = on_done, .status = 1};
}

/* w NULL: nobody waits. */
static int put(copal *c, const char *path, const char *text, struct waiter *w)
{
    if (w == NULL)
        return cp_store_put(store_of(c), path, cp_bytes_of_text(text), NULL);
    *w = waiting();
    return cp_store_put(store_of(c), path, cp_bytes_of_text(text), &w->wait);
}

static int get_value(copal *c, const char *path, struct waiter *w)
{
    *w = waiting();
    return cp_store_get(store_of(c), path, &w->wait);
}

static void assert_told(const struct waiter *w, int status, const char *value)
{
    assert_int_equal(w->told, 1);
    assert_int_equal(w->status, status);
    assert_string_equal(w->value, value);
}

/* What a crash leaves of it: another host begins with the same directory. */
static copal *begin_again(struct world *w)
{
    copal *c;

    copal_free(w->client);
    w->client = NULL;
    c = add_host(w, "again");
    assert_int_equal(copal_store(c, directory, (copal_cb){0}), 0);
    return c;
}

/* ---- Directories ---- */

static void what_was_put_is_there_after_a_restart(void **state)
{
    struct world *w = *state;
    struct waiter a, b;
    copal *again;

    assert_int_equal(copal_store(w->client, directory, (copal_cb){0}), 0);
    assert_int_equal(get_value(w->client, NAME, &a), 0);
    run(w, 1);
    assert_told(&a, COPAL_ENOENT, "");
    assert_int_equal(put(w->client, NAME, "first", &a), 0);
    assert_int_equal(put(w->client, NAME, "second", &b), 0);
    assert_int_equal(a.told, 0); /* never from inside the call */
    run(w, 1);
    assert_told(&a, 0, "");
    assert_told(&b, 0, "");
    again = begin_again(w);
    assert_int_equal(get_value(again, NAME, &a), 0);
    run(w, 1);
    assert_told(&a, 0, "second");
    a = waiting();
    assert_int_equal(cp_store_delete(store_of(again), NAME, &a.wait), 0);
    assert_int_equal(get_value(again, NAME, &b), 0);
    run(w, 1);
    assert_told(&a, 0, "");
    assert_told(&b, COPAL_ENOENT, "");
}

static void a_directory_s_value_can_be_had_at_once(void **state)
{
    struct world *w = *state;
    struct cp_buf out = cp_buf_new(w->client->mem);

    assert_int_equal(copal_store(w->client, directory, (copal_cb){0}), 0);
    assert_int_equal(cp_store_read(store_of(w->client), NAME, &out),
                     COPAL_ENOENT);
    assert_int_equal(put(w->client, NAME, "now", NULL), 0);
    assert_int_equal(cp_store_read(store_of(w->client), NAME, &out), 0);
    assert_true(cp_bytes_is_text(cp_bytes(out.data, out.len), "now"));
    cp_buf_free(&out);
}

static void files_are_for_nobody_but_us(void **state)
{
    struct world *w = *state;
    struct waiter a;
    struct stat st;

    (void)umask(0);
    assert_int_equal(rmdir(directory), 0);
    assert_int_equal(copal_store(w->client, directory, (copal_cb){0}), 0);
    assert_int_equal(put(w->client, NAME, "x", &a), 0);
    assert_int_equal(stat(directory, &st), 0);
    assert_int_equal(st.st_mode & 0777, 0700);
    assert_int_equal(stat(file("oscore"), &st), 0);
    assert_int_equal(st.st_mode & 0777, 0700);
    assert_int_equal(stat(file(NAME), &st), 0);
    assert_int_equal(st.st_mode & 0777, 0600);
    run(w, 1);

    assert_int_equal(chmod(file(NAME), 0640), 0);
    assert_int_equal(get_value(w->client, NAME, &a), 0);
    run(w, 1);
    assert_told(&a, COPAL_EPERM, "");
    assert_non_null(strstr(a.why, file(NAME)));
    assert_non_null(strstr(a.why, "chmod 600"));
}

static void a_directory_that_others_look_into_is_refused(void **state)
{
    struct world *w = *state;

    assert_int_equal(chmod(directory, 0750), 0);
    assert_int_equal(copal_store(w->client, directory, (copal_cb){0}),
                     COPAL_EPERM);
    assert_non_null(strstr(copal_why(w->client), "chmod 700"));
    assert_int_equal(chmod(directory, 0700), 0);
    assert_int_equal(copal_store(w->client, directory, (copal_cb){0}), 0);
}

static void a_directory_of_nobody_s_is_refused(void **state)
{
    struct world *w = *state;

    assert_int_equal(copal_store(w->client, "/dev/null", (copal_cb){0}),
                     COPAL_ENOENT);
    assert_int_equal(
        copal_store(w->client, "/nonexistent/deep/store", (copal_cb){0}),
        COPAL_ENOENT);
    assert_int_equal(copal_store(w->client, NULL, (copal_cb){0}), COPAL_EINVAL);
}

static void a_second_endpoint_does_not_get_the_same_directory(void **state)
{
    struct world *w = *state;

    assert_int_equal(copal_store(w->client, directory, (copal_cb){0}), 0);
    assert_int_equal(copal_store(w->client, directory, (copal_cb){0}),
                     COPAL_EEXIST);
    assert_int_equal(copal_store(w->server, directory, (copal_cb){0}),
                     COPAL_EINUSE);
    assert_non_null(strstr(copal_why(w->server), "of this process"));
    assert_non_null(strstr(copal_why(w->server), directory));
    copal_free(w->client);
    w->client = NULL;
    assert_int_equal(copal_store(w->server, directory, (copal_cb){0}), 0);
}

/* Nobody has to tidy up after a crash. */
static void a_process_that_is_killed_gives_the_directory_back(void **state)
{
    struct world *w = *state;
    struct waiter a;
    int ready[2], status;
    char byte;
    pid_t child;

    assert_int_equal(pipe(ready), 0);
    child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        copal *c = copal_new(NULL);
        struct cp_buf out = {0};

        if (c == NULL || copal_store(c, directory, (copal_cb){0}) != 0 ||
            cp_store_put(store_of(c), NAME, cp_bytes_of_text("kept"), NULL) !=
                0)
            _exit(1);
        out = cp_buf_new(c->mem);
        if (cp_store_read(store_of(c), NAME, &out) != 0 || /* waits for it */
            write(ready[1], "x", 1) != 1)
            _exit(1);
        for (;;)
            pause();
    }
    assert_int_equal(read(ready[0], &byte, 1), 1);
    assert_int_equal(copal_store(w->client, directory, (copal_cb){0}),
                     COPAL_EINUSE);
    snprintf(a.why, sizeof(a.why), "process %ld", (long)child);
    assert_non_null(strstr(copal_why(w->client), a.why));
    assert_int_equal(kill(child, SIGKILL), 0);
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_int_equal(copal_store(w->client, directory, (copal_cb){0}), 0);
    assert_int_equal(get_value(w->client, NAME, &a), 0);
    run(w, 1);
    assert_told(&a, 0, "kept");
    close(ready[0]);
    close(ready[1]);
}

/* A power cut may leave the file beside it, not what is in its place. */
static void what_a_crash_left_half_written_is_not_read(void **state)
{
    struct world *w = *state;
    struct waiter a;

    assert_int_equal(copal_store(w->client, directory, (copal_cb){0}), 0);
    assert_int_equal(put(w->client, NAME, "whole", NULL), 0);
    write_file("oscore/.new", "cps1\0\0", 6);
    assert_int_equal(get_value(w->client, NAME, &a), 0);
    run(w, 1);
    assert_told(&a, 0, "whole");
    assert_int_equal(put(w->client, NAME, "newer", NULL), 0);
    assert_int_equal(get_value(w->client, NAME, &a), 0);
    run(w, 1);
    assert_told(&a, 0, "newer");
}

/* Whatever happens to a file, it is no fresh start. */
static void a_damaged_file_is_named_and_never_taken_for_a_fresh_start(
    void **state)
{
    struct world *w = *state;
    char whole[256], other[256];
    struct waiter a;
    size_t len;

    assert_int_equal(copal_store(w->client, directory, (copal_cb){0}), 0);
    assert_int_equal(put(w->client, "oscore/0c0d", "some text", NULL), 0);
    assert_int_equal(put(w->client, NAME, "some text", NULL), 0);
    len = read_file(NAME, whole, sizeof(whole));
    assert_int_equal(len, 16 + 9);
    for (size_t i = 0; i < len; i++) { /* cut short, then one bit wrong */
        write_file(NAME, whole, i);
        assert_int_equal(get_value(w->client, NAME, &a), 0);
        run(w, 1);
        assert_told(&a, COPAL_EFORMAT, "");
        assert_non_null(strstr(a.why, file(NAME)));
        memcpy(other, whole, len);
        other[i] ^= 0x10;
        write_file(NAME, other, len);
        assert_int_equal(get_value(w->client, NAME, &a), 0);
        run(w, 1);
        assert_told(&a, COPAL_EFORMAT, "");
        assert_non_null(strstr(a.why, file(NAME)));
    }
    whole[len] = '!';
    write_file(NAME, whole, len + 1);
    assert_int_equal(get_value(w->client, NAME, &a), 0);
    run(w, 1);
    assert_told(&a, COPAL_EFORMAT, "");
    /* Another path's, of the same value. */
    len = read_file("oscore/0c0d", other, sizeof(other));
    write_file(NAME, other, len);
    assert_int_equal(get_value(w->client, NAME, &a), 0);
    run(w, 1);
    assert_told(&a, COPAL_EFORMAT, "");
    assert_int_equal(unlink(file(NAME)), 0);
    assert_int_equal(mkdir(file(NAME), 0700), 0);
    assert_int_equal(get_value(w->client, NAME, &a), 0);
    run(w, 1);
    assert_int_equal(a.status, COPAL_EPERM);
    assert_int_equal(rmdir(file(NAME)), 0);
}

static void a_link_is_not_followed(void **state)
{
    struct world *w = *state;
    struct waiter a;

    assert_int_equal(copal_store(w->client, directory, (copal_cb){0}), 0);
    assert_int_equal(put(w->client, "oscore/0c0d", "x", NULL), 0);
    assert_int_equal(symlink("0c0d", file(NAME)), 0);
    assert_int_equal(get_value(w->client, NAME, &a), 0);
    run(w, 1);
    assert_told(&a, COPAL_EPERM, "");
}

static void what_cannot_be_written_is_told(void **state)
{
    struct world *w = *state;
    struct waiter a;

    assert_int_equal(copal_store(w->client, directory, (copal_cb){0}), 0);
    write_file("oscore", "", 0); /* where its directory would be */
    assert_int_equal(put(w->client, NAME, "x", &a), 0);
    run(w, 1);
    assert_int_equal(a.told, 1);
    assert_int_equal(a.status, COPAL_EIO); /* never ENOENT, a fresh start */
    assert_non_null(strstr(a.why, file(NAME)));
    assert_int_equal(unlink(file("oscore")), 0);
}

static void odd_paths_are_none(void **state)
{
    static const char *const odd[] = {"oscore", "oscore/", "/x",  "a/../b",
                                      "a/b/c",  "a/.new",  "A/b", ""};
    struct world *w = *state;
    struct waiter a;

    assert_int_equal(copal_store(w->client, directory, (copal_cb){0}), 0);
    for (size_t i = 0; i < sizeof(odd) / sizeof(odd[0]); i++)
        assert_int_equal(put(w->client, odd[i], "x", &a), COPAL_ELIMIT);
}

/* ---- The application's ---- */

/* Keeps one value, answers when it is told to. */
struct keeper {
    uint8_t value[256];
    size_t len;
    bool has, is_slow;
    int answer; /* of a PUT; 0: as it should be */
    int gets, puts, deletes, drops;
    char path[64];
    copal_exchange *open[8];
    size_t count;
};

static void answer_one(struct keeper *k, copal_exchange *x)
{
    const copal_msg *m = copal_exchange_request(x);
    copal_bytes body = copal_msg_payload(m);

    switch (copal_msg_code(m)) {
    case COPAL_PUT:
        if (k->answer == 0) {
            memcpy(k->value, body.data, body.len);
            k->len = body.len;
            k->has = true;
        }
        copal_reply(x, k->answer == 0 ? COPAL_CHANGED : k->answer,
                    COPAL_NO_FORMAT, (copal_bytes){0});
        break;
    case COPAL_DELETE:
        k->has = false;
        copal_reply(x, COPAL_DELETED, COPAL_NO_FORMAT, (copal_bytes){0});
        break;
    default:
        copal_reply(x, k->has ? COPAL_CONTENT : COPAL_NOT_FOUND,
                    COPAL_NO_FORMAT,
                    k->has ? cp_bytes(k->value, k->len) : (copal_bytes){0});
    }
}

static void keep(const copal_event *ev, void *user)
{
    struct keeper *k = user;
    int code;

    if (ev->kind != COPAL_REQUEST)
        return;
    assert_string_equal(ev->text, "store");
    code = copal_msg_code(ev->msg);
    k->gets += code == COPAL_GET;
    k->puts += code == COPAL_PUT;
    k->deletes += code == COPAL_DELETE;
    snprintf(k->path, sizeof(k->path), "%s", copal_msg_path(ev->msg));
    if (k->is_slow)
        k->open[k->count++] = copal_exchange_ref(ev->exchange);
    else
        answer_one(k, ev->exchange);
}

static void dropped(void *user)
{
    ((struct keeper *)user)->drops++;
}

static void answer_all(struct keeper *k)
{
    size_t count = k->count;

    k->count = 0;
    for (size_t i = 0; i < count; i++) {
        answer_one(k, k->open[i]);
        copal_exchange_unref(k->open[i]);
    }
}

static void an_application_may_be_the_store(void **state)
{
    struct world *w = *state;
    struct keeper k = {0};
    struct waiter a;

    assert_int_equal(
        copal_store(w->client, NULL, COPAL_CB_OWN(keep, &k, dropped)), 0);
    assert_int_equal(cp_store_read(store_of(w->client), NAME, NULL),
                     COPAL_ESTATE);
    assert_int_equal(get_value(w->client, NAME, &a), 0);
    run(w, 1);
    assert_told(&a, COPAL_ENOENT, "");
    assert_string_equal(k.path, "/" NAME);
    assert_int_equal(put(w->client, NAME, "mine", &a), 0);
    run(w, 1);
    assert_told(&a, 0, "");
    assert_int_equal(get_value(w->client, NAME, &a), 0);
    run(w, 1);
    assert_told(&a, 0, "mine");
    k.value[k.len - 1] ^= 1;
    assert_int_equal(get_value(w->client, NAME, &a), 0);
    run(w, 1);
    assert_told(&a, COPAL_EFORMAT, "");
    assert_non_null(strstr(a.why, NAME));
    a = waiting();
    assert_int_equal(cp_store_delete(store_of(w->client), NAME, &a.wait), 0);
    run(w, 1);
    assert_told(&a, 0, "");
    assert_int_equal(k.drops, 0);
    copal_free(w->client);
    w->client = NULL;
    assert_int_equal(k.drops, 1);
}

static void what_waits_for_a_write_waits_as_long_as_it_takes(void **state)
{
    struct world *w = *state;
    struct keeper k = {.is_slow = true};
    struct waiter a, b, c;

    assert_int_equal(copal_store(w->client, NULL, COPAL_CB(keep, &k)), 0);
    assert_int_equal(put(w->client, NAME, "one", &a), 0);
    assert_int_equal(put(w->client, NAME, "two", &b), 0);
    assert_int_equal(put(w->client, "oscore/0c0d", "other", &c), 0);
    run(w, 5000);
    assert_int_equal(a.told + b.told + c.told, 0);
    assert_int_equal(k.puts, 2); /* of one path one after another */
    answer_all(&k);
    run(w, 1);
    assert_told(&a, 0, "");
    assert_told(&c, 0, "");
    assert_int_equal(b.told, 0);
    assert_int_equal(k.puts, 3);
    answer_all(&k);
    run(w, 1);
    assert_told(&b, 0, "");
}

static void an_application_that_could_not_write_says_so(void **state)
{
    struct world *w = *state;
    struct keeper k = {.answer = COPAL_INTERNAL_ERROR};
    struct waiter a;

    assert_int_equal(copal_store(w->client, NULL, COPAL_CB(keep, &k)), 0);
    assert_int_equal(put(w->client, NAME, "one", &a), 0);
    run(w, 1);
    assert_told(&a, COPAL_EIO, "");
    assert_non_null(strstr(a.why, "5.00"));
    assert_non_null(strstr(a.why, NAME));
}

static void who_waits_is_told_when_the_endpoint_ends(void **state)
{
    struct world *w = *state;
    struct keeper k = {.is_slow = true};
    struct waiter a, b, gone;

    assert_int_equal(copal_store(w->client, NULL, COPAL_CB(keep, &k)), 0);
    assert_int_equal(put(w->client, NAME, "one", &a), 0);
    assert_int_equal(put(w->client, NAME, "two", &b), 0);
    assert_int_equal(put(w->client, "oscore/0c0d", "x", &gone), 0);
    cp_store_forget(&gone.wait);
    run(w, 1);
    copal_free(w->client);
    w->client = NULL;
    assert_told(&a, COPAL_ECLOSED, "");
    assert_told(&b, COPAL_ECLOSED, "");
    assert_int_equal(gone.told, 0);
    answer_all(&k);
}

/* ---- Out of memory ---- */

static void use_a_store(struct world *w, copal_cb cb, const char *where)
{
    struct waiter a = waiting(), b = waiting();
    int put_it, got_it;

    if (copal_store(w->client, where, cb) != 0) {
        assert_true(memory_failed(w));
        return;
    }
    put_it =
        cp_store_put(store_of(w->client), NAME, cp_bytes_of_text("v"), &a.wait);
    got_it = cp_store_get(store_of(w->client), NAME, &b.wait);
    run(w, 10);
    assert_int_equal(a.told, put_it == 0);
    assert_int_equal(b.told, got_it == 0);
    if (!memory_failed(w))
        assert_told(&b, 0, "v");
}

static void asks_the_application(struct world *w)
{
    struct keeper k = {0};

    use_a_store(w, COPAL_CB(keep, &k), NULL);
    copal_free(w->client);
    w->client = NULL;
}

static void writes_files(struct world *w)
{
    use_a_store(w, (copal_cb){0}, directory);
}

static void a_store_survives_any_failed_allocation(void **state)
{
    (void)state;
    for_each_failed_allocation(asks_the_application);
    for_each_failed_allocation(writes_files);
}

int main(void)
{
#define TEST(name) \
    cmocka_unit_test_setup_teardown(name, build_directory, remove_directory)
    const struct CMUnitTest tests[] = {
        TEST(what_was_put_is_there_after_a_restart),
        TEST(a_directory_s_value_can_be_had_at_once),
        TEST(files_are_for_nobody_but_us),
        TEST(a_directory_that_others_look_into_is_refused),
        TEST(a_directory_of_nobody_s_is_refused),
        TEST(a_second_endpoint_does_not_get_the_same_directory),
        TEST(a_process_that_is_killed_gives_the_directory_back),
        TEST(what_a_crash_left_half_written_is_not_read),
        TEST(a_damaged_file_is_named_and_never_taken_for_a_fresh_start),
        TEST(a_link_is_not_followed),
        TEST(what_cannot_be_written_is_told),
        TEST(odd_paths_are_none),
        TEST(an_application_may_be_the_store),
        TEST(what_waits_for_a_write_waits_as_long_as_it_takes),
        TEST(an_application_that_could_not_write_says_so),
        TEST(who_waits_is_told_when_the_endpoint_ends),
        TEST(a_store_survives_any_failed_allocation),
    };

    return cmocka_run_group_tests_name("store", tests, NULL, NULL);
#undef TEST
}
