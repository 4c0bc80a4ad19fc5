/* Counters as Prometheus reads them: text exposition format 0.0.4. */
#include "endpoint.h"
#include "engine/core.h"

#include <dirent.h>
#include <stdio.h>
#include <unistd.h>

struct row {
    const char *name, *help;
    size_t at; /* in copal_stats */
    bool is_gauge;
};

#define COUNTER(field, name, help) \
    { \
        "copal_" name "_total", help, offsetof(copal_stats, field), false \
    }
#define GAUGE(field, name, help) \
    { \
        "copal_" name, help, offsetof(copal_stats, field), true \
    }

/* clang-format off */
static const struct row rows[] = {
    COUNTER(datagrams_in, "datagrams_in", "Datagrams received."),
    COUNTER(datagrams_out, "datagrams_out", "Datagrams sent."),
    COUNTER(bytes_in, "bytes_in", "Bytes received in datagrams."),
    COUNTER(bytes_out, "bytes_out", "Bytes sent in datagrams."),
    COUNTER(retransmissions, "retransmissions", "Messages sent again."),
    COUNTER(duplicates, "duplicates", "Messages that came again."),
    COUNTER(malformed, "malformed", "Datagrams that were no CoAP."),
    COUNTER(rejected, "rejected", "Messages that nobody wanted."),
    COUNTER(limited, "limited", "Times a limit refused something."),
    COUNTER(exchanges, "exchanges", "Exchanges begun, either way."),
    GAUGE(exchanges_open, "exchanges_open", "Exchanges not yet over."),
    GAUGE(peers, "peers", "Peers to whom something is owed."),
    GAUGE(observers, "observers", "Observers registered."),
    GAUGE(memory, "memory_bytes", "Bytes allocated by the endpoint."),
};
/* clang-format on */

/* Each counter of copal_stats has its row. */
_Static_assert(sizeof(copal_stats) ==
                   offsetof(copal_stats, datagrams_in) +
                       sizeof(rows) / sizeof(*rows) * sizeof(uint64_t),
               "a field of copal_stats without a row");

static void put_head(struct cp_buf *b, const char *name, const char *type,
                     const char *help)
{
    cp_put_format(b, "# HELP %s %s\n# TYPE %s %s\n", name, help, name, type);
}

static void put_number(struct cp_buf *b, uint64_t value)
{
    cp_put_format(b, " %llu\n", (unsigned long long)value);
}

static void put_gauge(struct cp_buf *b, const char *name, const char *help,
                      uint64_t value)
{
    put_head(b, name, "gauge", help);
    cp_put_text(b, name);
    put_number(b, value);
}

/* No value of a label has a character that would need an escape. */
static void put_labelled(struct cp_buf *b, const char *name, const char *label,
                         const char *label_value, uint64_t value)
{
    cp_put_format(b, "%s{%s=\"%s\"}", name, label, label_value);
    put_number(b, value);
}

static void put_stats(struct cp_buf *b, copal *c)
{
    copal_stats stats = {.size = sizeof(stats)};

    (void)copal_get_stats(c, &stats);
    for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
        uint64_t value;

        memcpy(&value, (const char *)&stats + rows[i].at, sizeof(value));
        put_head(b, rows[i].name, rows[i].is_gauge ? "gauge" : "counter",
                 rows[i].help);
        cp_put_text(b, rows[i].name);
        put_number(b, value);
    }
}

static void put_counts(struct cp_buf *b, const struct cp_counts *counts)
{
    static const char *const classes[] = {
        [2] = "2.xx", [4] = "4.xx", [5] = "5.xx"};
    static const char *const handshakes[] = {
        [CP_HANDSHAKE_DONE] = "done",
        [CP_HANDSHAKE_FAILED] = "failed",
        [CP_HANDSHAKE_SAVED] = "saved",
    };
    const char *name = "copal_requests_total";

    put_head(b, name, "counter", "Requests received, repeats aside.");
    for (int i = 1; i < CP_COUNTED_METHODS; i++)
        put_labelled(b, name, "method", copal_name(COPAL_CODES, i),
                     counts->requests[i]);
    put_labelled(b, name, "method", "other", counts->requests[0]);

    name = "copal_responses_total";
    put_head(b, name, "counter",
             "Responses and notifications sent, retransmissions aside.");
    for (size_t i = 0; i < sizeof(classes) / sizeof(*classes); i++)
        if (classes[i] != NULL)
            put_labelled(b, name, "class", classes[i], counts->responses[i]);

    name = "copal_dtls_handshakes_total";
    put_head(b, name, "counter",
             "Handshakes of DTLS, either way; saved: an association went on "
             "after a restart.");
    for (int i = 0; i < CP_COUNTED_HANDSHAKES; i++)
        put_labelled(b, name, "result", handshakes[i], counts->handshakes[i]);

    name = "copal_limit_hits_total";
    put_head(b, name, "counter", "Times each limit refused something.");
    for (size_t i = 0; i < CP_COUNTED_LIMITS; i++)
        if (counts->limits[i].name != NULL)
            put_labelled(b, name, "limit", counts->limits[i].name,
                         counts->limits[i].count);
}

/* ---- The process; what a system does not tell is left out ---- */

static void put_resident(struct cp_buf *b)
{
    FILE *f = fopen("/proc/self/statm", "re");
    unsigned long long pages;

    if (f == NULL)
        return;
    if (fscanf(f, "%*u %llu", &pages) == 1)
        put_gauge(b, "process_resident_memory_bytes",
                  "Resident memory of the process in bytes.",
                  pages * (unsigned long long)sysconf(_SC_PAGESIZE));
    fclose(f);
}

static void put_descriptors(struct cp_buf *b)
{
    DIR *dir = opendir("/proc/self/fd");
    uint64_t count = 0;

    if (dir == NULL)
        return;
    for (struct dirent *e; (e = readdir(dir)) != NULL;)
        count += e->d_name[0] != '.';
    closedir(dir);
    put_gauge(b, "process_open_fds", "Open file descriptors of the process.",
              count - 1); /* this one aside */
}

static void put_page(void *endpoint, struct cp_buf *b)
{
    copal *c = endpoint;
    uint64_t left_out = cp_log_left_out(c);

    put_stats(b, c);
    put_counts(b, &c->engine->counts);
    put_head(b, "copal_log_left_out_total", "counter",
             "Lines that were not logged, as there were too many like them.");
    cp_put_text(b, "copal_log_left_out_total");
    put_number(b, left_out);
    put_gauge(b, "copal_uptime_seconds", "Seconds since the endpoint was made.",
              (copal_now(c) - c->born) / 1000);
    put_head(b, "copal_build_info", "gauge", "The version that runs.");
    put_labelled(b, "copal_build_info", "version", copal_version(), 1);
    if (c->driver->ops->metrics == NULL) /* a seed gives the same text */
        return;
    put_resident(b);
    put_descriptors(b);
}

copal_bytes copal_metrics_text(copal *c)
{
    copal_bytes text = {0};

    cp_buf_free(&c->metrics);
    c->metrics = cp_buf_new(c->mem);
    put_page(c, &c->metrics);
    if (cp_buf_finish(&c->metrics, &text) != 0)
        text = (copal_bytes){0};
    return text;
}

int copal_metrics(copal *c, const char *where)
{
    if (c->driver->ops->metrics == NULL)
        return cp_why(c->mem, COPAL_ESTATE,
                      "metrics: a simulated host has no HTTP; ask for the text "
                      "(copal_metrics_text)");
    return c->driver->ops->metrics(c->driver, where,
                                   (struct cp_page){put_page, c});
}
