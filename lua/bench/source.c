/* The endpoints that the load comes from, each with a port of its own. */
#include "bench/load.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

enum {
    OTHER_FILES = 64
};

/* ---- Message ids ---- */

/* EXCHANGE_LIFETIME, or NON_LIFETIME, with the parameters of RFC 7252 4.8.2, ns:
 * the server may still know the id that long, and take the next message under it
 * for a repeat. */
static uint64_t lifetime(const struct bench_plan *plan)
{
    return ((plan->flags & COPAL_NON) != 0 ? 145000 : 247000) * BENCH_MS;
}

void bench_source_count(struct bench_load *l, struct bench_source *s,
                        uint64_t now)
{
    const uint64_t stretch = 65536 / BENCH_MARKS;
    uint64_t *mark;

    if (s->sent++ % stretch != 0)
        return;
    mark = &s->marks[s->sent / stretch % BENCH_MARKS];
    if (*mark != 0 && !l->has_reused_ids && now - *mark < lifetime(l->plan)) {
        l->has_reused_ids = true;
        if (l->plan->hooks.reuse != NULL)
            l->plan->hooks.reuse(l->plan->hooks.user);
    }
    *mark = now;
}

/* ---- Requests ---- */

static bool is_from_uri(int option)
{
    return option == COPAL_OPT_URI_HOST || option == COPAL_OPT_URI_PORT ||
           option == COPAL_OPT_URI_PATH || option == COPAL_OPT_URI_QUERY;
}

/* Those of the model in place of what its URI gave: some may be its own. */
static int copy_options(copal_msg *m, const copal_msg *model)
{
    copal_bytes value;
    int err = 0, number;

    for (int option = 0; option <= COPAL_OPT_URI_QUERY && err == 0; option++)
        if (is_from_uri(option))
            err = copal_msg_remove(m, option);
    for (size_t i = 0; err == 0; i++) {
        number = copal_msg_option(model, i, &value);
        if (number < 0)
            break;
        err = copal_msg_add(m, number, value);
    }
    return err;
}

copal_msg *bench_source_copy(struct bench_load *l, struct bench_source *s,
                             const copal_msg *model, unsigned flags, int *error)
{
    copal_msg *m = copal_msg_new(s->c, copal_msg_code(model));
    copal_bytes payload = copal_msg_payload(model);
    int err =
        m == NULL ? COPAL_ENOMEM : copal_msg_set_uri(m, copal_msg_uri(model));

    if (err == 0)
        err = copy_options(m, model);
    if (err == 0 && payload.len > 0)
        err = copal_msg_set_payload(m, COPAL_NO_FORMAT, payload);
    if (err == 0 && l->plan->from != NULL)
        err = copal_msg_set_from(m, l->plan->from);
    /* A server's 4.29 is to be counted, not to be guessed from the last. */
    if (err == 0)
        err = copal_msg_set_flags(m, flags | COPAL_NO_CACHE);
    if (err == 0)
        return m;
    *error = err;
    if (m != NULL)
        snprintf(l->why, sizeof(l->why), "%s", copal_msg_why(m));
    copal_msg_unref(m);
    return NULL;
}

static int make_requests(struct bench_load *l, struct bench_source *s)
{
    static const unsigned streamed[BENCH_LANES] = {COPAL_STREAM_IN,
                                                   COPAL_STREAM_OUT};
    int err = 0;

    for (int i = 0; i < BENCH_LANES && err == 0; i++) {
        unsigned flags = l->plan->flags;

        if (l->plan->model[i] == NULL)
            continue;
        if (l->plan->mode == BENCH_TRANSFER)
            flags |= streamed[i];
        s->request[i] = bench_source_copy(l, s, l->plan->model[i], flags, &err);
    }
    return err;
}

/* ---- Birth and end ---- */

/* What is there to protect networks and servers from us would hide what they
 * can do; the user's own parameters come after it. */
static int tune(struct bench_load *l, struct bench_source *s)
{
    const struct bench_plan *plan = l->plan;
    int64_t kept = 8388608 / plan->endpoints;
    const struct bench_param ours[] = {
        {COPAL_P_NSTART, 65535},
        {COPAL_P_PROBING_RATE, INT64_C(1) << 30},
        {COPAL_P_MAX_EXCHANGES, (int64_t)plan->window + 1024},
        {COPAL_P_DEDUP_MEMORY, kept < 65536 ? 65536 : kept},
    };
    int err = 0;

    for (size_t i = 0; i < sizeof(ours) / sizeof(*ours) && err == 0; i++)
        err =
            copal_tune(s->c, NULL, (copal_param)ours[i].number, ours[i].value);
    for (size_t i = 0; i < plan->param_count && err == 0; i++)
        err = copal_tune(s->c, NULL, (copal_param)plan->params[i].number,
                         plan->params[i].value);
    if (err != 0)
        snprintf(l->why, sizeof(l->why), "%s", copal_why(s->c));
    return err;
}

static void on_stray(const copal_event *ev, void *user)
{
    struct bench_load *l = user;

    /* Where nobody was in time yet, it is whom we asked. */
    if (l->remote[0] == '\0' ||
        strcmp(copal_msg_remote(ev->msg), l->remote) == 0)
        l->late++;
    else
        l->strays++;
}

static int open_one(struct bench_load *l, struct bench_source *s)
{
    copal_config config = {COPAL_CONFIG_INIT};
    int err;

    config.loop = &l->loop;
    s->c = copal_new(&config);
    if (s->c == NULL)
        return COPAL_ENOMEM;
    err = tune(l, s);
    if (err == 0)
        err = copal_strays(s->c, COPAL_CB(on_stray, l));
    return err == 0 ? make_requests(l, s) : err;
}

/* As many descriptors as the system lets us have: a socket for each. */
static void make_room(unsigned endpoints)
{
    struct rlimit files;

    if (getrlimit(RLIMIT_NOFILE, &files) != 0 ||
        files.rlim_cur >= (rlim_t)endpoints + OTHER_FILES)
        return;
    files.rlim_cur = files.rlim_max;
    (void)setrlimit(RLIMIT_NOFILE, &files);
}

int bench_sources_open(struct bench_load *l)
{
    int err = 0;

    make_room(l->plan->endpoints);
    l->sources = calloc(l->plan->endpoints, sizeof(*l->sources));
    if (l->sources == NULL)
        return COPAL_ENOMEM;
    while (l->opened < l->plan->endpoints && err == 0)
        err = open_one(l, &l->sources[l->opened++]);
    return err;
}

/* Answers that nobody waited for any more came piggybacked, or as strays. */
static void add_stats(struct bench_load *l, const copal *c)
{
    copal_stats one = {.size = sizeof(one)};

    if (copal_get_stats(c, &one) != 0)
        return;
    l->total.datagrams_in += one.datagrams_in;
    l->total.datagrams_out += one.datagrams_out;
    l->total.bytes_in += one.bytes_in;
    l->total.bytes_out += one.bytes_out;
    l->total.retransmissions += one.retransmissions;
    l->total.duplicates += one.duplicates;
    l->late += one.rejected;
}

void bench_sources_close(struct bench_load *l)
{
    for (unsigned i = 0; i < l->opened; i++) {
        struct bench_source *s = &l->sources[i];

        for (int lane = 0; lane < BENCH_LANES; lane++)
            copal_msg_unref(s->request[lane]);
        if (s->c == NULL)
            continue;
        add_stats(l, s->c);
        copal_strays(s->c, (copal_cb){0});
        copal_free(s->c);
    }
    free(l->sources);
    l->sources = NULL;
    l->opened = 0;
}
