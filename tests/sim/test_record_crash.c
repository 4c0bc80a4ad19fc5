/* copal_dump(): who crashes leaves a recording, which is run again. */
#include <signal.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>
#include "support.h"

static char path[40];
static copal *crashing;

static void on_crash(int number)
{
    (void)number;
    _exit(copal_dump(crashing, path) == 0 ? 42 : 43);
}

static int build_file(void **state)
{
    int fd = mkstemp(strcpy(path, "/tmp/copal-crash-XXXXXX"));

    assert_true(fd >= 0);
    close(fd);
    return build(state);
}

static int tear_down_file(void **state)
{
    unlink(path);
    return tear_down(state);
}

static void crash(const copal_event *ev, void *user)
{
    (void)user;
    if (ev->kind == COPAL_REQUEST)
        abort();
}

/* A child asks and is asked until its handler aborts. */
static void crash_amid_work(struct world *w)
{
    signal(SIGABRT, on_crash);
    crashing = w->server;
    serve_text(w, w->server, "/t", COPAL_OBSERVABLE, "a secret");
    copal_serve(w->server, COPAL_GET, "/crash", 0, COPAL_CB(crash, NULL));
    observe(w, "coap://server/t");
    for (int i = 0; i < 100; i++) {
        get(w, "coap://server/t");
        run(w, 1000);
    }
    get(w, "coap://server/crash");
    run(w, 1000);
    _exit(1);
}

static int crash_in_a_child(struct world *w)
{
    int status = 0;
    pid_t child = fork();

    assert_true(child >= 0);
    if (child == 0)
        crash_amid_work(w);
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFEXITED(status));
    return WEXITSTATUS(status);
}

static void note_why(const copal_event *ev, void *user)
{
    if (ev->kind == COPAL_END && ev->status != 0)
        snprintf(user, 700, "%s", ev->text);
}

static void assert_same_again(void)
{
    char why[700];

    if (copal_replay(path, COPAL_CB(note_why, why)) != 0)
        fail_msg("%s", why);
}

static void who_aborts_leaves_a_recording_that_is_the_same_again(void **state)
{
    struct world *w = *state;

    tune(w->server, COPAL_P_RECORD_MEMORY, 1 << 20);
    assert_int_equal(crash_in_a_child(w), 42);
    assert_same_again();
}

/* What it was torn from had wrapped. */
static void so_does_one_that_has_wrapped(void **state)
{
    struct world *w = *state;

    tune(w->server, COPAL_P_RECORD_MEMORY, 16384);
    assert_int_equal(crash_in_a_child(w), 42);
    assert_same_again();
}

static bool has(const char *text)
{
    static char all[1 << 20];
    FILE *f = fopen(path, "rb");
    size_t len, n = strlen(text);

    assert_non_null(f);
    len = fread(all, 1, sizeof(all), f);
    fclose(f);
    assert_true(len > 100);
    for (size_t i = 0; i + n <= len; i++)
        if (memcmp(all + i, text, n) == 0)
            return true;
    return false;
}

static void it_is_without_payloads_where_they_are_to_be_left_out(void **state)
{
    struct world *w = *state;

    tune(w->server, COPAL_P_RECORD_MEMORY, 1 << 20);
    assert_int_equal(crash_in_a_child(w), 42);
    assert_true(has("a secret"));
    tune(w->server, COPAL_P_RECORD_PAYLOADS, 0);
    assert_int_equal(crash_in_a_child(w), 42);
    assert_false(has("a secret"));
    assert_same_again();
}

/* The same bytes but for the time of day, of which a simulation has none. */
static void it_is_what_log_to_writes(void **state)
{
    static char all[2][1 << 16];
    struct world *w = *state;
    size_t len[2];

    tune(w->client, COPAL_P_RECORD_MEMORY, 65536);
    serve_text(w, w->server, "/t", 0, "22.5 C");
    for (int i = 0; i < 5; i++) {
        get(w, "coap://server/t");
        run(w, 1000);
        for (int k = 0; k < 2; k++) {
            FILE *f;

            assert_int_equal(
                k == 0 ? copal_dump(w->client, path)
                       : copal_log_to(w->client, COPAL_LOG_RECORDING, path),
                0);
            f = fopen(path, "rb");
            assert_non_null(f);
            len[k] = fread(all[k], 1, sizeof(all[k]), f);
            fclose(f);
        }
        assert_int_equal(len[0], len[1]);
        assert_memory_equal(all[0], all[1], len[0]);
    }
}

static void what_cannot_be_written_is_told_by_its_number(void **state)
{
    struct world *w = *state;

    assert_int_equal(copal_dump(NULL, path), COPAL_EINVAL);
    assert_int_equal(copal_dump(w->client, NULL), COPAL_EINVAL);
    tune(w->client, COPAL_P_RECORD_MEMORY, 0);
    assert_int_equal(copal_dump(w->client, path), COPAL_ESTATE);
    tune(w->client, COPAL_P_RECORD_MEMORY, 65536);
    assert_int_equal(copal_dump(w->client, "/no/such/folder/file"), COPAL_EIO);
}

#define ON_A_FILE(test) \
    cmocka_unit_test_setup_teardown(test, build_file, tear_down_file)

int main(void)
{
    const struct CMUnitTest tests[] = {
        ON_A_FILE(who_aborts_leaves_a_recording_that_is_the_same_again),
        ON_A_FILE(so_does_one_that_has_wrapped),
        ON_A_FILE(it_is_without_payloads_where_they_are_to_be_left_out),
        ON_A_FILE(it_is_what_log_to_writes),
        ON_A_FILE(what_cannot_be_written_is_told_by_its_number),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
