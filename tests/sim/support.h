/* What tests on the simulator share: a world of a client and a server, callbacks
 * that count, and the two sweeps every behaviour has to survive. */
#ifndef TESTS_SIM_SUPPORT_H
#define TESTS_SIM_SUPPORT_H

#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>
#include <copal_sim.h>

enum {
    MAX_RECORDS = 64,
    MAX_RECORDED = 256
};

/* Memory that runs out at will. It also counts, so that a leak shows. */
struct heap {
    long blocks;      /* handed out and not yet freed      */
    unsigned asked;   /* allocations so far                */
    unsigned fail_at; /* the one that fails; 0: none       */
    bool failed;      /* it did                            */
};

/* What one callback heard. A fresh one is all zeroes, status and code aside. */
struct record {
    int events, requests, responses, chunks, pulls, silents, resumed, ends;
    int timers, strays, drops;
    bool is_asked;              /* it is of a request of ours */
    bool is_begun;              /* the call that took it gave a handle */
    int status;                 /* of END; 1 until then */
    int code;                   /* of the newest message; -1 until then */
    char text[MAX_RECORDED];    /* of END or SILENT */
    char payload[MAX_RECORDED]; /* of the newest message, cut off, with a NUL */
    size_t payload_len;         /* as it came */
    uint8_t sum;                /* of all its bytes */
    copal_exchange *exchange;   /* good until ends > 0 */
};

/* A client named "client", a server named "server", ACK_RANDOM 100 on both. */
struct world {
    copal_sim *sim;
    uint64_t seed;
    copal *client, *server; /* NULL: freed, or memory ran out at birth */
    struct heap heap;
    struct record records[MAX_RECORDS];
    size_t record_count;
    struct record last; /* of those that next_record() could not hold */
};

/* Fixtures for cmocka_unit_test_setup_teardown(): *state is a struct world of
 * seed 1. tear_down() checks that each exchange begun in a record ended exactly
 * once, that each callback was dropped exactly once, and that no memory of the
 * endpoints is left. */
int build(void **state);
int tear_down(void **state);

/* The same by hand. fail_at: the allocation that fails, 0: none. */
struct world *new_world(uint64_t seed, unsigned fail_at);
void free_world(struct world *w);

/* A host more, with the world's memory. NULL: out of it. */
copal *add_host(struct world *w, const char *name);

/* Run again it need not be the same: memory runs out, or a test does what no
 * driver does. */
extern bool runs_differ;

/* ---- Callbacks ---- */

/* A record of w's, and the callback that fills it. */
struct record *next_record(struct world *w);
copal_cb recording(struct record *r);

/* The requests of copal.h, recorded. */
struct record *ask(struct world *w, copal *c, int code, const char *uri,
                   const char *body);                 /* body NULL: none */
struct record *get(struct world *w, const char *uri); /* client's */
struct record *observe(struct world *w, const char *uri);

/* Serves text at path for any method: 2.05 with a plain text. text must stay
 * valid. Each answer counts as a request of the record, which is returned. */
struct record *serve_text(struct world *w, copal *c, const char *path,
                          unsigned flags, const char *text);

/* ---- Short for ---- */

void run(struct world *w, uint64_t ms);            /* lets time pass */
void tune(copal *c, copal_param p, int64_t value); /* which c takes */
uint64_t observers(const struct world *w);         /* the server's, now */

/* ---- Assertions ---- */

/* The transcript is exactly that; if not, shows where it goes apart. */
void assert_transcript(struct world *w, const char *expected);

/* Ended with status, and once. */
void assert_ended(const struct record *r, int status);

/* How often text stands in the transcript. */
unsigned count_in_transcript(struct world *w, const char *text);

/* ---- Sweeps ---- */

typedef void scenario(struct world *w);

/* Runs play with the 1st, 2nd, 3rd, ... allocation of its endpoints failing
 * until it passes without a failure, so play must not insist on success:
 * memory_failed() tells. client or server is NULL if they could not be made:
 * then play is not called. After each run all that tear_down() checks. */
void for_each_failed_allocation(scenario *play);
bool memory_failed(const struct world *w);

/* Lets all that was begun end, on both sides, and sees that it did. */
void settle(struct world *w);
void cancel_if_open(struct record *r);

/* Runs play under 20 % loss, duplication and reordering each, 10 to 60 ms a way,
 * with seeds from 1 to seeds, or to COPAL_SEEDS of the environment for a longer
 * run: sh tests/run.sh weather. COPAL_SEED plays one seed alone, and shows what
 * went over the line. After each run all that tear_down() checks. */
void bad_weather(scenario *play, unsigned seeds);
unsigned seeds_or(unsigned seeds); /* how many it takes */

#endif
