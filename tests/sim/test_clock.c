/* The protocol does not care what time it is: whatever happens, happens alike
 * where 31, 32 or more bits of a clock run over amid it. */
#include "bodies.h"
#include <stdlib.h>

#define SERVER "coap://server"

/* The transcript, its times counted from start. */
static char *ladder_from(struct world *w, uint64_t start)
{
    const char *line = copal_sim_transcript(w->sim);
    char *out = calloc(1, 2 * strlen(line) + 1), *at = out, *text;

    assert_non_null(out);
    for (; *line != '\0'; line = strchr(line, '\n') + 1) {
        uint64_t t = strtoull(line, &text, 10);

        at += sprintf(at, "%llu%.*s\n", (unsigned long long)(t - start),
                      (int)(strchr(text, '\n') - text), text);
    }
    return out;
}

/* What is sent again, kept, told and timed out within some minutes. */
static void live(struct world *w)
{
    struct party *s = serve_body(w, COPAL_GET, "/o", COPAL_OBSERVABLE, 300);
    struct party *o;
    struct record *r[4];

    copal_tune(w->client, NULL, COPAL_P_BLOCK_SIZE, 64);
    copal_tune(w->client, NULL, COPAL_P_CACHE_MEMORY, 10000);
    serve_body(w, COPAL_PUT, "/x", 0, 300);
    serve_text(w, w->server, "/t", COPAL_OBSERVABLE, "x");
    copal_after(w->client, 60000, recording(next_record(w)));
    o = observe_body(w, SERVER "/o");
    r[0] = next_record(w);
    r[0]->exchange = copal_watch(w->client, SERVER "/t", recording(r[0]));
    r[0]->is_asked = r[0]->is_begun = true;
    copal_sim_lose(w->sim, "client", 3);
    for (int i = 0; i < 12; i++) {
        r[1] = get(w, SERVER "/t");
        ask_body(w, COPAL_PUT, SERVER "/x", 300);
        if (i % 4 == 0)
            get(w, "coap://192.0.2.1/");
        run(w, 500);
        copal_sim_lose(w->sim, i % 2 == 0 ? "server" : "client", 2);
        s->version++;
        copal_notify(w->server, "/o");
        copal_notify(w->server, "/t");
        run(w, 17000);
    }
    copal_sim_lose(w->sim, "server", 30);
    run(w, 200000);
    assert_ended(r[1], 0);
    assert_true(o->responses > 4);
    assert_true(r[0]->responses > 4);
    copal_cancel(o->x);
    copal_cancel(r[0]->exchange);
    run(w, 400000);
}

static const uint64_t starts[] = {
    (UINT64_C(1) << 31) - 3000,         (UINT64_C(1) << 32) - 3000,
    (UINT64_C(1) << 31) * 1000 - 90000, (UINT64_C(1) << 32) * 1000 - 90000,
    (UINT64_C(1) << 48) - 90000,        (UINT64_C(1) << 53) - 90000,
    (UINT64_C(1) << 63) - 2000000,
};

static char *expected;
static uint64_t start;

static void compare(struct world *w)
{
    char *found;

    run(w, start);
    assert_int_equal(copal_now(w->client), start);
    live(w);
    found = ladder_from(w, start);
    if (expected == NULL) {
        expected = found;
        return;
    }
    if (strcmp(found, expected) != 0)
        print_error("from %llu on:\n%s\nfrom 0 on:\n%s",
                    (unsigned long long)start, found, expected);
    assert_string_equal(found, expected);
    free(found);
}

static void all_is_alike_at_any_time(void **state)
{
    (void)state;
    expected = NULL;
    start = 0;
    bodies_once(compare);
    for (size_t i = 0; i < sizeof(starts) / sizeof(starts[0]); i++) {
        start = starts[i];
        bodies_once(compare);
    }
    free(expected);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(all_is_alike_at_any_time),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
