#include "bench/histogram.h"

/* Below 2,048 each number has a bucket. Of each further doubling the eleven
 * leading bits tell which. */
static size_t bucket_of(uint64_t ns)
{
    unsigned shift;

    if (ns < 2 * BENCH_HALF)
        return (size_t)ns;
    if (ns >> BENCH_MOST_BITS != 0)
        return BENCH_BUCKETS - 1;
    shift = 53 - (unsigned)__builtin_clzll(ns); /* leaves 1,024 to 2,047 */
    return (size_t)BENCH_HALF * shift + (size_t)(ns >> shift);
}

/* The longest that is counted there. */
static uint64_t longest_in(size_t bucket)
{
    unsigned shift;

    if (bucket < 2 * BENCH_HALF)
        return bucket;
    shift = (unsigned)(bucket / BENCH_HALF) - 1;
    return ((bucket % BENCH_HALF + BENCH_HALF + 1) << shift) - 1;
}

void bench_histogram_add(struct bench_histogram *h, uint64_t ns)
{
    if (h->total == 0 || ns < h->least)
        h->least = ns;
    if (ns > h->most)
        h->most = ns;
    h->total++;
    h->sum += (double)ns;
    h->count[bucket_of(ns)]++;
}

uint64_t bench_histogram_at(const struct bench_histogram *h, double part)
{
    double exact = part * (double)h->total;
    uint64_t wanted = (uint64_t)exact, seen = 0;

    if ((double)wanted < exact || wanted == 0)
        wanted++;
    for (size_t i = 0; i < BENCH_BUCKETS; i++) {
        seen += h->count[i];
        if (seen >= wanted)
            return longest_in(i) < h->most ? longest_in(i) : h->most;
    }
    return h->most;
}

uint64_t bench_histogram_within(const struct bench_histogram *h, uint64_t ns)
{
    size_t last = bucket_of(ns);
    uint64_t seen = 0;

    for (size_t i = 0; i <= last; i++)
        seen += h->count[i];
    return seen;
}
