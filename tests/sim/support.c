#include "support.h"
#include <stdlib.h>

/* ---- Memory ---- */

static void *heap_realloc(void *user, void *p, size_t n)
{
    struct heap *heap = user;
    void *moved;

    if (n == 0) {
        heap->blocks -= p != NULL;
        free(p);
        return NULL;
    }
    if (++heap->asked == heap->fail_at) {
        heap->failed = true;
        return NULL;
    }
    moved = realloc(p, n);
    assert_non_null(moved);
    heap->blocks += p == NULL;
    return moved;
}

bool runs_differ;

bool memory_failed(const struct world *w)
{
    return w->heap.failed;
}

void settle(struct world *w)
{
    copal_stats stats = {.size = sizeof(stats)};
    copal *all[] = {w->client, w->server};

    run(w, 800000);
    for (int i = 0; i < 2; i++) {
        copal_get_stats(all[i], &stats);
        assert_int_equal(stats.exchanges_open, 0);
        assert_int_equal(stats.peers, 0);
    }
}

void cancel_if_open(struct record *r)
{
    if (r->is_begun && r->ends == 0)
        assert_int_equal(copal_cancel(r->exchange), 0);
}

/* ---- The world ---- */

copal *add_host(struct world *w, const char *name)
{
    const copal_config config = {
        COPAL_CONFIG_INIT,
        .realloc_fn = heap_realloc,
        .memory_user = &w->heap,
    };
    copal *c = copal_sim_endpoint(w->sim, name, &config);

    if (c != NULL)
        copal_tune(c, NULL, COPAL_P_ACK_RANDOM, 100);
    return c;
}

struct world *new_world(uint64_t seed, unsigned fail_at)
{
    struct world *w = calloc(1, sizeof(*w));

    assert_non_null(w);
    w->heap.fail_at = fail_at;
    w->seed = seed;
    runs_differ = fail_at != 0;
    w->sim = copal_sim_new(seed);
    assert_non_null(w->sim);
    w->client = add_host(w, "client");
    w->server = add_host(w, "server");
    return w;
}

static void check_record(const struct record *r)
{
    if (r->is_asked && r->ends != r->is_begun)
        fail_msg("END came %d times", r->ends);
    if (r->drops != 1)
        fail_msg("a callback was dropped %d times", r->drops);
}

void free_world(struct world *w)
{
    copal_sim_free(w->sim);
    for (size_t i = 0; i < w->record_count; i++)
        check_record(&w->records[i]);
    if (w->heap.blocks != 0)
        fail_msg("%ld blocks of memory are left", w->heap.blocks);
    free(w);
}

int build(void **state)
{
    struct world *w = new_world(1, 0);

    *state = w;
    return w->client == NULL || w->server == NULL;
}

int tear_down(void **state)
{
    free_world(*state);
    return 0;
}

/* ---- Callbacks ---- */

struct record *next_record(struct world *w)
{
    struct record *r = &w->last;

    if (w->record_count < MAX_RECORDS)
        r = &w->records[w->record_count++];
    *r = (struct record){.status = 1, .code = -1};
    return r;
}

static void note_message(struct record *r, const copal_msg *m)
{
    copal_bytes payload = copal_msg_payload(m);
    size_t kept = payload.len;

    if (kept >= sizeof(r->payload))
        kept = sizeof(r->payload) - 1;
    if (kept > 0)
        memcpy(r->payload, payload.data, kept);
    r->payload[kept] = '\0';
    r->payload_len = payload.len;
    r->sum = 0;
    for (size_t i = 0; i < payload.len; i++)
        r->sum = (uint8_t)(r->sum + payload.data[i]);
    r->code = copal_msg_code(m);
}

static void count(struct record *r, copal_kind kind)
{
    r->events++;
    r->requests += kind == COPAL_REQUEST;
    r->responses += kind == COPAL_RESPONSE;
    r->chunks += kind == COPAL_CHUNK;
    r->pulls += kind == COPAL_PULL;
    r->silents += kind == COPAL_SILENT;
    r->resumed += kind == COPAL_RESUMED;
    r->ends += kind == COPAL_END;
    r->timers += kind == COPAL_TIMER;
    r->strays += kind == COPAL_STRAY;
}

static void note(const copal_event *ev, void *user)
{
    struct record *r = user;

    assert_int_equal(r->drops, 0);
    count(r, ev->kind);
    if (ev->msg != NULL)
        note_message(r, ev->msg);
    if (ev->kind == COPAL_END)
        r->status = ev->status;
    if (ev->text != NULL)
        snprintf(r->text, sizeof(r->text), "%s", ev->text);
}

static void note_drop(void *user)
{
    struct record *r = user;

    r->drops++;
}

copal_cb recording(struct record *r)
{
    return COPAL_CB_OWN(note, r, note_drop);
}

static struct record *begun(struct record *r, copal_exchange *x)
{
    r->exchange = x;
    r->is_asked = true;
    r->is_begun = x != NULL;
    return r;
}

struct record *ask(struct world *w, copal *c, int code, const char *uri,
                   const char *body)
{
    struct record *r = next_record(w);
    copal_msg *m = copal_msg_new(c, code);

    copal_msg_set_uri(m, uri);
    if (body != NULL)
        copal_msg_set_payload(
            m, COPAL_TEXT, (copal_bytes){(const uint8_t *)body, strlen(body)});
    begun(r, copal_request(c, m, recording(r)));
    copal_msg_unref(m);
    return r;
}

struct record *get(struct world *w, const char *uri)
{
    struct record *r = next_record(w);

    return begun(r, copal_get(w->client, uri, recording(r)));
}

struct record *observe(struct world *w, const char *uri)
{
    struct record *r = next_record(w);

    return begun(r, copal_observe(w->client, uri, recording(r)));
}

struct served {
    struct record *record;
    const char *text;
};

static void answer_text(const copal_event *ev, void *user)
{
    struct served *served = user;

    note(ev, served->record);
    if (ev->kind == COPAL_REQUEST)
        copal_reply_text(ev->exchange, COPAL_CONTENT, served->text);
}

static void drop_served(void *user)
{
    struct served *served = user;

    note_drop(served->record);
    free(served);
}

struct record *serve_text(struct world *w, copal *c, const char *path,
                          unsigned flags, const char *text)
{
    struct served *served = malloc(sizeof(*served));
    struct record *r = next_record(w);

    assert_non_null(served);
    *served = (struct served){.record = r, .text = text};
    copal_serve(c, 0, path, flags,
                COPAL_CB_OWN(answer_text, served, drop_served));
    return r;
}

/* ---- Short for ---- */

void run(struct world *w, uint64_t ms)
{
    copal_sim_run(w->sim, ms);
}

void tune(copal *c, copal_param p, int64_t value)
{
    assert_int_equal(copal_tune(c, NULL, p, value), 0);
}

uint64_t observers(const struct world *w)
{
    copal_stats s = {.size = sizeof(s)};

    copal_get_stats(w->server, &s);
    return s.observers;
}

/* ---- Assertions ---- */

static size_t line_length(const char *line)
{
    const char *end = strchr(line, '\n');

    return end == NULL ? strlen(line) : (size_t)(end - line) + 1;
}

static bool has_line(const char *text, const char *line, size_t len)
{
    for (; *text != '\0'; text += line_length(text))
        if (line_length(text) == len && memcmp(text, line, len) == 0)
            return true;
    return false;
}

/* Lines of both have two spaces before them, those only expected "- ", those
 * only found "+ ". */
static void print_difference(const char *expected, const char *found)
{
    while (*expected != '\0' || *found != '\0') {
        size_t a = line_length(expected), b = line_length(found);
        bool is_same = a == b && memcmp(expected, found, a) == 0;
        bool is_extra = b > 0 && (a == 0 || has_line(found, expected, a));

        if (is_same)
            print_error("  %.*s", (int)a, expected);
        else if (is_extra)
            print_error("+ %.*s", (int)b, found);
        else
            print_error("- %.*s", (int)a, expected);
        if (is_same || !is_extra)
            expected += a;
        if (is_same || is_extra)
            found += b;
    }
}

void assert_transcript(struct world *w, const char *expected)
{
    const char *found = copal_sim_transcript(w->sim);

    if (strcmp(found, expected) == 0)
        return;
    print_error("transcript, - expected, + found:\n");
    print_difference(expected, found);
    fail_msg("another transcript was expected");
}

void assert_ended(const struct record *r, int status)
{
    if (r->ends != 1)
        fail_msg("END came %d times", r->ends);
    if (r->status != status)
        fail_msg("END has %s (%s), expected was %s", copal_errname(r->status),
                 r->text, copal_errname(status));
}

unsigned count_in_transcript(struct world *w, const char *text)
{
    const char *at = copal_sim_transcript(w->sim);
    unsigned n = 0;

    while ((at = strstr(at, text)) != NULL) {
        at += strlen(text);
        n++;
    }
    return n;
}

/* ---- Sweeps ---- */

/* cmocka leaves a failed test with a jump, so which run of a sweep it was is
 * told when the program ends. */
static char running[48];
static struct world *alone; /* the one of COPAL_SEED */

static void tell_running(void)
{
    if (running[0] != '\0' && alone != NULL)
        fputs(copal_sim_transcript(alone->sim), stderr);
    if (running[0] != '\0')
        print_error("the sweep failed with %s\n", running);
}

static void note_running(const char *what, unsigned n)
{
    static bool is_registered;

    if (!is_registered)
        atexit(tell_running);
    is_registered = true;
    snprintf(running, sizeof(running), "%s %u", what, n);
}

void for_each_failed_allocation(scenario *play)
{
    bool failed = true;
    unsigned n;

    for (n = 1; failed; n++) {
        struct world *w;

        note_running("failing allocation", n);
        w = new_world(1, n);
        if (w->client != NULL && w->server != NULL)
            play(w);
        failed = w->heap.failed;
        free_world(w);
    }
    print_message("%u allocations failed in turn\n", n - 2);
    running[0] = '\0';
}

static unsigned number_of(const char *variable)
{
    const char *text = getenv(variable);

    return text == NULL ? 0 : (unsigned)strtoul(text, NULL, 10);
}

unsigned seeds_or(unsigned seeds)
{
    unsigned n = number_of("COPAL_SEEDS");

    if (number_of("COPAL_SEED") > 0)
        return 1;
    return n > 0 ? n : seeds;
}

void bad_weather(scenario *play, unsigned seeds)
{
    const unsigned only = number_of("COPAL_SEED");
    const unsigned first = only > 0 ? only : 1;
    const unsigned last = first + seeds_or(seeds) - 1;
    const copal_sim_path storm = {.delay = 10,
                                  .jitter = 50,
                                  .loss = 20,
                                  .duplication = 20,
                                  .reordering = 20};

    for (unsigned seed = first; seed <= last; seed++) {
        struct world *w;

        note_running("seed", seed);
        w = new_world(seed, 0);
        alone = only > 0 ? w : NULL;
        assert_int_equal(copal_sim_set_path(w->sim, NULL, NULL, storm), 0);
        play(w);
        alone = NULL;
        free_world(w);
    }
    running[0] = '\0';
}
