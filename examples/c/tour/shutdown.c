/* T28: an endpoint that ends in the middle of its work. */
#include "tour.h"

#include <stdio.h>
#include <stdlib.h>
#include <time.h>

/* The endpoint's allocator, counting. */
static void *counted(void *user, void *p, size_t n)
{
    long *blocks = user;

    if (p == NULL && n > 0)
        ++*blocks;
    else if (p != NULL && n == 0)
        --*blocks;
    if (n == 0) {
        free(p);
        return NULL;
    }
    return realloc(p, n);
}

static void note_end(const copal_event *ev, void *user)
{
    int *closed = user;

    if (ev->kind != COPAL_END)
        return;
    came("END %s: %s", copal_errname(ev->status), ev->text);
    *closed += ev->status == COPAL_ECLOSED;
}

static void count_drop(void *user)
{
    ++*(int *)user;
}

static void stop(const copal_event *ev, void *user)
{
    (void)ev;
    copal_stop(user);
}

static double seconds(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

void tour_shutdown(const char *uri)
{
    long blocks = 0;
    int closed = 0, dropped = 0;
    copal *c = endpoint(&(copal_config){
        COPAL_CONFIG_INIT, .realloc_fn = counted, .memory_user = &blocks});
    double began;

    step("T28", "Shut down");
    did("copal_get(c, \"%s\", ...)", at(uri, "/other/separate"));
    did("copal_get(c, \"%s\", ...)", at(uri, "/other/separate?2"));
    copal_get(c, at(uri, "/other/separate"), COPAL_CB(note_end, &closed));
    copal_get(c, at(uri, "/other/separate?2"), COPAL_CB(note_end, &closed));
    copal_after(c, 60000, COPAL_CB_OWN(NULL, &dropped, count_drop));
    copal_after(c, 300, COPAL_CB(stop, c));
    copal_run(c);
    came("two requests are under way, and a timer; %ld blocks of memory",
         blocks);

    began = seconds();
    did("copal_close(c, 1000), copal_run(c), copal_free(c)");
    copal_close(c, 1000);
    copal_run(c);
    copal_free(c);
    began = seconds() - began;
    came("%.1f s; %ld blocks of memory", began, blocks);
    hold(closed == 2, "requests under way end with ECLOSED");
    hold(dropped == 1, "callbacks are let go of");
    hold(blocks == 0, "nothing leaks");
    hold(began < 3, "and it takes less than three seconds");
}
