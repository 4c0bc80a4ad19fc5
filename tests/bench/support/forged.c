/* The yardstick of forged.sh: a server with the default limits, and strangers.
 * "forged FROM TO" first hears of FROM made up addresses, then counts what the
 * next TO - FROM cost. It says how much memory it has taken in KiB, as the system
 * and as copal_stats counts it, and what CPU time a datagram took in ns:
 * "49884 41053 3535". */
#include <copal_sim.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum {
    KINDS = 9
};

static const struct {
    const char *head; /* after the message id */
    size_t len, payload;
    uint8_t first, code;
} kinds[KINDS] = {
    {"\xb1t", 2, 0, 0x40, 1},                /* GET /t */
    {"\x60\x51t", 3, 0, 0x50, 1},            /* observes it */
    {"\xb1t\xd1\x03\x0e", 5, 1024, 0x40, 3}, /* PUT, the first of blocks */
    {"\xb1s\xd1\x03\x0e", 5, 1024, 0x40, 3}, /* to a stream */
    {"\xb1t", 2, 900, 0x40, 2},              /* POST */
    {"\xb1t\xd1\x03\x08", 5, 16, 0x40, 2},   /* in small blocks */
    {"\xb1l", 2, 0, 0x40, 1},                /* a handler that is slow */
    {"\xb1n\x47with=it", 10, 0, 0x40, 1},    /* nothing is there */
    {"", 0, 0, 0x40, 0},                     /* a ping */
};

static void answer(const copal_event *ev, void *user)
{
    (void)user;
    if (ev->kind == COPAL_REQUEST && copal_msg_code(ev->msg) != COPAL_PUT)
        copal_reply_text(ev->exchange, COPAL_CONTENT, "twenty-one degrees");
    else if (ev->kind == COPAL_CHUNK && ev->last)
        copal_reply_text(ev->exchange, COPAL_CHANGED, NULL);
    else if (ev->kind == COPAL_REQUEST && user == NULL)
        copal_reply_text(ev->exchange, COPAL_CHANGED, NULL);
}

static void be_slow(const copal_event *ev, void *user)
{
    (void)user;
    if (ev->kind == COPAL_REQUEST)
        copal_exchange_ref(ev->exchange);
    else if (ev->kind == COPAL_END)
        copal_exchange_unref(ev->exchange);
}

static void send_one(copal_sim *s, unsigned i)
{
    uint8_t d[1100] = {kinds[i % KINDS].first, kinds[i % KINDS].code,
                       (uint8_t)(i >> 8), (uint8_t)i};
    size_t len = 4 + kinds[i % KINDS].len;
    char from[20];

    memcpy(d + 4, kinds[i % KINDS].head, kinds[i % KINDS].len);
    if (kinds[i % KINDS].payload > 0) {
        d[len++] = 0xff;
        memset(d + len, 'x', kinds[i % KINDS].payload);
        len += kinds[i % KINDS].payload;
    }
    snprintf(from, sizeof(from), "10.%u.%u.%u", i >> 16 & 255, i >> 8 & 255,
             i & 255);
    if (copal_sim_inject(s, from, "server", (copal_bytes){d, len}) != 0)
        exit(1);
    if (i % 64 == 63)
        copal_sim_run(s, i % 640 == 639); /* some 640,000 a second */
}

/* By its name forged.sh finds what is to be counted. */
__attribute__((noinline)) void measured(copal_sim *s, unsigned from,
                                        unsigned to);
void measured(copal_sim *s, unsigned from, unsigned to)
{
    for (unsigned i = from; i < to; i++)
        send_one(s, i);
}

static long rss_kib(void)
{
    FILE *f = fopen("/proc/self/statm", "r");
    long pages = 0;

    if (f == NULL || fscanf(f, "%*s %ld", &pages) != 1)
        exit(1);
    fclose(f);
    return pages * 4;
}

static double cpu_ns(void)
{
    struct timespec t;

    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
    return (double)t.tv_sec * 1e9 + (double)t.tv_nsec;
}

int main(int argc, char **argv)
{
    unsigned from = argc == 3 ? (unsigned)atoi(argv[1]) : 0;
    unsigned to = argc == 3 ? (unsigned)atoi(argv[2]) : 0;
    copal_stats stats = {.size = sizeof(stats)};
    copal_sim *s = copal_sim_new(1);
    copal *c = s == NULL ? NULL : copal_sim_endpoint(s, "server", NULL);
    long before;
    double since;

    if (c == NULL || to <= from)
        return 2;
    copal_sim_keep(s, 0);
    copal_tune(c, NULL, COPAL_P_GUARD_LOOPBACK, 1);
    copal_serve(c, 0, "/t", COPAL_OBSERVABLE, COPAL_CB(answer, NULL));
    copal_serve(c, COPAL_PUT, "/s", COPAL_STREAMED, COPAL_CB(answer, c));
    copal_serve(c, COPAL_GET, "/l", 0, COPAL_CB(be_slow, NULL));
    copal_listen(c, "coap://server", 0);
    copal_sim_run(s, 0);
    before = rss_kib();
    for (unsigned i = 0; i < from; i++)
        send_one(s, i);
    since = cpu_ns();
    measured(s, from, to);
    since = cpu_ns() - since;
    copal_get_stats(c, &stats);
    printf("%ld %ld %.0f\n", rss_kib() - before, (long)(stats.memory / 1024),
           since / (to - from));
    copal_sim_free(s);
    return 0;
}
