/* Asks a server on loopback as fast as it answers, from any number of addresses,
 * and says what that cost whom, as one line of JSON. See usage(). */
#include "load.h"
#include <errno.h>
#include <getopt.h>
#include <stdlib.h>
#include <string.h>

static _Noreturn void usage(void)
{
    fputs(
        "usage: load PORT ask|observe|body [OPTION...]\n"
        "  ask      --window requests are open, from --clients in turn\n"
        "  observe  --clients observers, whom a PUT has told, again and again\n"
        "  body     one client, block by block (Block2)\n"
        "  --path NAME --method GET|PUT --payload BYTES --non\n"
        "  --clients N --window N --seconds S\n"
        "  --warm-up S     not counted; lasts until each client asked once\n"
        "  --count N       as many requests, instead of a time\n"
        "  --server PID    whose CPU time and memory are told\n",
        stderr);
    exit(2);
}

_Noreturn void load_die(const char *what)
{
    perror(what);
    exit(1);
}

/* ---- A request as bytes ---- */

static size_t put_option(uint8_t *out, unsigned delta, const void *value,
                         size_t len)
{
    size_t n = 1;

    out[0] = (uint8_t)((delta < 13 ? delta : 13) << 4 | len);
    if (delta >= 13)
        out[n++] = (uint8_t)(delta - 13);
    memcpy(out + n, value, len);
    return n + len;
}

/* Message id and token are filled in when it is sent. path: one segment. */
struct pattern load_pattern(const struct plan *p, unsigned code, bool observes,
                            int block)
{
    struct pattern r = {.len = 4 + TOKEN};
    uint8_t *out = r.bytes;
    unsigned last = 0;

    out[0] = (uint8_t)((p->non ? 0x50 : 0x40) | TOKEN);
    out[1] = (uint8_t)code;
    if (observes) {
        r.len += put_option(out + r.len, 6, "", 0);
        last = 6;
    }
    r.len += put_option(out + r.len, 11 - last, p->path, strlen(p->path));
    if (block >= 0) {
        unsigned value = (unsigned)block << 4 | 6; /* of 1024 bytes */
        uint8_t bytes[] = {(uint8_t)(value >> 16), (uint8_t)(value >> 8),
                           (uint8_t)value};

        r.len += put_option(out + r.len, 23 - 11, bytes, sizeof(bytes));
    }
    if (code != 1) {
        out[r.len++] = 0xff;
        memset(out + r.len, 'x', p->payload);
        r.len += p->payload;
    }
    return r;
}

/* ---- ask ---- */

/* Whoever is free asks again. */
static void fill_window(struct load *l, const struct pattern *r, uint64_t limit)
{
    while (l->free_count > 0 && l->begun < limit) {
        uint32_t client = l->next_client;

        l->next_client = client + 1 == l->plan.clients ? 0 : client + 1;
        load_ask(l, load_take_slot(l), client, r);
    }
    wire_flush(&l->wire);
}

static void ask(struct load *l)
{
    struct plan *p = &l->plan;
    struct pattern r = load_pattern(p, p->is_put ? 3 : 1, false, -1);
    uint64_t end = UINT64_MAX;
    bool counts = false;

    for (;;) {
        uint64_t now = wire_now();
        uint64_t limit = counts && p->count > 0 ? p->count : UINT64_MAX;

        if (!counts && now >= l->start + p->warm_up_ns &&
            l->done >= (p->warm_up_ns > 0 ? p->clients : 0)) {
            load_reset(l);
            counts = true;
            end = p->count > 0 ? UINT64_MAX : l->start + p->ns;
        }
        if (now >= end || l->done >= limit)
            break;
        fill_window(l, &r, limit);
        load_hear(l, &r);
    }
}

/* ---- body ---- */

/* One block at a time, and as often as there is time. */
static void fetch(struct load *l)
{
    l->plan.clients = 1;
    load_reset(l);
    while (wire_now() < l->start + l->plan.ns) {
        l->has_more = true;
        for (int number = 0; l->has_more; number++) {
            struct pattern r = load_pattern(&l->plan, 1, false, number);
            uint64_t done = l->done;

            l->has_more = false;
            load_ask(l, load_take_slot(l), 0, &r);
            wire_flush(&l->wire);
            while (l->done == done)
                load_hear(l, &r);
        }
        l->bodies++;
    }
}

int main(int argc, char **argv)
{
    static const struct option names[] = {
        {"path", 1, NULL, 'u'},    {"method", 1, NULL, 'm'},
        {"payload", 1, NULL, 'l'}, {"non", 0, NULL, 'N'},
        {"clients", 1, NULL, 'c'}, {"window", 1, NULL, 'w'},
        {"seconds", 1, NULL, 't'}, {"warm-up", 1, NULL, 'W'},
        {"count", 1, NULL, 'n'},   {"server", 1, NULL, 'p'},
        {NULL, 0, NULL, 0}};
    static struct load l = {
        .plan = {
            .path = "hello", .clients = 256, .window = 16, .ns = 1000000000}};
    struct plan *p = &l.plan;

    for (int c; (c = getopt_long(argc, argv, "", names, NULL)) != -1;)
        switch (c) {
        case 'u': p->path = optarg; break;
        case 'm': p->is_put = strcmp(optarg, "PUT") == 0; break;
        case 'l': p->payload = strtoul(optarg, NULL, 10); break;
        case 'N': p->non = true; break;
        case 'c': p->clients = (uint32_t)strtoul(optarg, NULL, 10); break;
        case 'w': p->window = (uint32_t)strtoul(optarg, NULL, 10); break;
        case 't': p->ns = (uint64_t)(atof(optarg) * 1e9); break;
        case 'W': p->warm_up_ns = (uint64_t)(atof(optarg) * 1e9); break;
        case 'n': p->count = strtoull(optarg, NULL, 10); break;
        case 'p': p->server = atoi(optarg); break;
        default: usage();
        }
    if (optind + 2 != argc || strlen(p->path) > 12 || p->payload > 1400 ||
        p->clients == 0 || p->clients > MOST_CLIENTS || p->window == 0 ||
        p->window > MOST_SLOTS)
        usage();
    wire_open(&l.wire, (uint16_t)atoi(argv[optind]));
    load_begin(&l);
    if (strcmp(argv[optind + 1], "ask") == 0)
        ask(&l);
    else if (strcmp(argv[optind + 1], "observe") == 0)
        load_observe(&l);
    else if (strcmp(argv[optind + 1], "body") == 0)
        fetch(&l);
    else
        usage();
    load_report(&l);
    return l.done == 0 || l.lost > 0;
}
