/* What is kept of who asks and of who observes: "weight clients|observers N"
 * lets N made up addresses of the simulator do it once, and says how many bytes
 * of each the endpoint counts, and how many more are resident, the endpoint's
 * and the program's together. memory.sh makes a table of that. */
#include <copal_sim.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum {
    AT_A_TIME = 64
};

static void give(const copal_event *ev, void *user)
{
    (void)user;
    copal_reply_text(ev->exchange, COPAL_CONTENT, "hello, world");
}

static double resident(void)
{
    unsigned long pages = 0;
    FILE *f = fopen("/proc/self/statm", "r");

    if (f == NULL || fscanf(f, "%*u %lu", &pages) != 1)
        pages = 0;
    if (f != NULL)
        fclose(f);
    return (double)pages * (double)sysconf(_SC_PAGESIZE);
}

static double counted(copal *c)
{
    copal_stats s = {.size = sizeof(s)};

    copal_get_stats(c, &s);
    return (double)s.memory;
}

/* CON GET /value, a token of 4 bytes; behind that Observe: 0 or not. */
static void send_all(copal_sim *sim, bool observes, unsigned first,
                     unsigned count)
{
    static const uint8_t get[] = "\x44\x01\x12\x34tokn\xb5value",
                         observe[] = "\x44\x01\x12\x34tokn\x60\x55value";
    copal_bytes data = {observes ? observe : get,
                        (observes ? sizeof(observe) : sizeof(get)) - 1};
    char from[20];

    for (unsigned i = first; i < first + count; i++) {
        snprintf(from, sizeof(from), "10.%u.%u.%u", i >> 16 & 255, i >> 8 & 255,
                 i & 255);
        if (copal_sim_inject(sim, from, "server", data) != 0)
            exit(1);
        if (i % AT_A_TIME == AT_A_TIME - 1)
            copal_sim_run(sim, 0);
    }
    copal_sim_run(sim, 0);
}

int main(int argc, char **argv)
{
    unsigned count = argc == 3 ? (unsigned)strtoul(argv[2], NULL, 10) : 0;
    bool observes = count > 0 && strcmp(argv[1], "observers") == 0;
    double bytes, pages;
    copal_sim *sim;
    copal *c;

    if (count == 0 || (!observes && strcmp(argv[1], "clients") != 0)) {
        fprintf(stderr, "usage: weight clients|observers N\n");
        return 2;
    }
    sim = copal_sim_new(7);
    c = sim == NULL ? NULL : copal_sim_endpoint(sim, "server", NULL);
    if (c == NULL || copal_serve(c, COPAL_GET, "/value", COPAL_OBSERVABLE,
                                 COPAL_CB(give, NULL)) != 0)
        return 1;
    copal_sim_keep(sim, 0);
    send_all(sim, observes, 0, AT_A_TIME); /* what is there from then on */
    bytes = counted(c);
    pages = resident();
    send_all(sim, observes, AT_A_TIME, count);
    printf("%.1f %.1f\n", (counted(c) - bytes) / count,
           (resident() - pages) / count);
    copal_sim_free(sim);
    return 0;
}
