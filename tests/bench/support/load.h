/* The load generator's insides: wire.c has the socket and the batches, slots.c
 * the open requests, observe.c the observers, report.c what is said. */
#ifndef BENCH_LOAD_H
#define BENCH_LOAD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include "wire.h"

enum {
    TOKEN = 4, /* bytes: a slot and how often it was used */
    SLOT_BITS = 18,
    MOST_SLOTS = 1 << SLOT_BITS,
    MOST_CLIENTS = 200000,
    LONGEST_REQUEST = 1500
};

struct plan {
    const char *path;
    bool is_put, non;
    size_t payload;
    uint32_t clients, window;
    uint64_t count, ns, warm_up_ns;
    int server; /* a process; 0: none */
};

struct pattern {
    uint8_t bytes[LONGEST_REQUEST];
    size_t len;
};

/* One open request, or one observer. */
struct slot {
    uint64_t due; /* ns: sent again, or lost, then */
    uint32_t client;
    uint32_t round; /* the last in which it was told */
    uint16_t mid, use;
    uint8_t tries;
    bool is_open, is_observer, was_told;
};

/* What /proc says of a process. */
struct spent {
    double cpu_ns;
    double memory; /* bytes, resident */
};

struct load {
    struct plan plan;
    struct wire wire;
    struct slot *slots;
    uint32_t slot_count, *free, free_count;
    uint16_t *next_mid; /* of each client */
    uint32_t next_client;
    uint64_t next_look; /* for what is overdue */

    uint64_t start; /* ns */
    uint64_t begun, done, lost, again, errors, stray;
    struct spent at_first, at_start, at_registered;
    double own_cpu_ns;

    bool has_more; /* of the body */
    uint64_t bodies;

    uint64_t told, twice, rounds, unheard, last_told, longest_gap;
    uint32_t observers, round, told_now;
};

_Noreturn void load_die(const char *what);

struct pattern load_pattern(const struct plan *p, unsigned code, bool observes,
                            int block); /* number, or -1: none */

/* slots.c: room for all, then counted from now on. */
void load_begin(struct load *l);
void load_reset(struct load *l);

uint32_t load_take_slot(struct load *l);
void load_ask(struct load *l, uint32_t slot, uint32_t client,
              const struct pattern *r);

/* Waits, for at most 20 ms, and takes what came; r: what is sent again. */
void load_hear(struct load *l, const struct pattern *r);

/* observe.c */
void load_observe(struct load *l);
void load_told(struct load *l, struct slot *s, const uint8_t *m);

/* report.c */
struct spent load_spent(int process);
double load_own_cpu(void);
void load_report(struct load *l);

#endif
