/* With COPAL_RECORD in the environment every endpoint of a simulation is
 * recorded, and when it is freed its recording is run again: it must send what
 * it sent. So each test of this folder is one of the recorder, too. Where it says
 * "wrapped" the ring is as small as can be, so that recordings begin late. Linked
 * with --wrap, see tests/CMakeLists.txt. */
#include <stdlib.h>
#include <unistd.h>
#include "support.h"
#include "engine/record.h"
#include "endpoint.h"

enum {
    ENOUGH = 16777216, /* and no more: ASan looks after each byte of it */
    LEAST = 16384
};

copal *__real_copal_sim_endpoint(copal_sim *s, const char *host,
                                 const copal_config *config);
copal *__wrap_copal_sim_endpoint(copal_sim *s, const char *host,
                                 const copal_config *config);
void __real_copal_free(copal *c);
void __wrap_copal_free(copal *c);

static unsigned failures;

static void tell_failures(void)
{
    if (failures == 0)
        return;
    fprintf(stderr, "%u recordings were not the same again\n", failures);
    _exit(1);
}

static bool is_recording(void)
{
    static int is_on = -1;

    if (is_on < 0) {
        is_on = getenv("COPAL_RECORD") != NULL;
        if (is_on)
            atexit(tell_failures);
    }
    return is_on > 0;
}

static bool may_wrap(void)
{
    return strcmp(getenv("COPAL_RECORD"), "wrapped") == 0;
}

copal *__wrap_copal_sim_endpoint(copal_sim *s, const char *host,
                                 const copal_config *config)
{
    copal *c = __real_copal_sim_endpoint(s, host, config);

    if (c != NULL && is_recording())
        copal_tune(c, NULL, COPAL_P_RECORD_MEMORY, may_wrap() ? LEAST : ENOUGH);
    return c;
}

static void on_replay(const copal_event *ev, void *user)
{
    (void)user;
    if (ev->kind != COPAL_END || ev->status == 0)
        return;
    failures++;
    fprintf(stderr, "replay: %s %s\n", copal_errname(ev->status), ev->text);
}

/* Then the oldest may have given way, which would not be run again. */
static bool is_full(const copal *c)
{
    copal_bytes parts[CP_RECORD_PARTS];

    return cp_record_parts(c->engine, parts) == CP_RECORD_PARTS;
}

void __wrap_copal_free(copal *c)
{
    char path[] = "/tmp/copal-recorded-XXXXXX";
    int fd = -1;

    if (c != NULL && !runs_differ && is_recording())
        fd = mkstemp(path);
    if (fd >= 0) {
        close(fd);
        if (!may_wrap() && is_full(c)) {
            failures++;
            fprintf(stderr, "recorded: more than there is room for\n");
        }
        if (copal_log_to(c, COPAL_LOG_RECORDING, path) == 0)
            copal_replay(path, COPAL_CB(on_replay, NULL));
        if (getenv("COPAL_RECORD_STOP") != NULL && failures > 0)
            fprintf(stderr, "%s\n", path), abort();
        unlink(path);
    }
    __real_copal_free(c);
}
