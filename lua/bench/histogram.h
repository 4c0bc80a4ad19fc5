/* How long things took: counts of durations, in buckets that grow with what
 * they count, so that each is told to three significant digits in a fixed
 * amount of memory. (What HdrHistogram does.) */
#ifndef COPAL_LUA_BENCH_HISTOGRAM_H
#define COPAL_LUA_BENCH_HISTOGRAM_H

#include <stddef.h>
#include <stdint.h>

enum {
    BENCH_HALF = 1024,   /* buckets for each doubling: 0.1 % apart */
    BENCH_MOST_BITS = 42 /* of a duration in ns: 73 minutes; more counts so */
};

#define BENCH_BUCKETS \
    ((size_t)2 * BENCH_HALF + \
     (size_t)(BENCH_MOST_BITS - 11) * BENCH_HALF) /* 33,792: 264 KiB */

/* Zeroed: nothing was counted. */
struct bench_histogram {
    uint64_t total;
    uint64_t least, most; /* ns, exact */
    double sum;           /* ns */
    uint64_t count[BENCH_BUCKETS];
};

void bench_histogram_add(struct bench_histogram *h, uint64_t ns);

/* What that part of all durations do not exceed, 0 to 1; ns. 0 where nothing was
 * counted. */
uint64_t bench_histogram_at(const struct bench_histogram *h, double part);

/* How many took at most ns. */
uint64_t bench_histogram_within(const struct bench_histogram *h, uint64_t ns);

#endif
