/* TLS and DTLS while any one call into GnuTLS fails, or memory runs out: each
 * exchange ends once, what is refused is told in a sentence, nothing leaks, and
 * who comes next is served. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "gnutls_faults.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <copal.h>
#include "certs.h"
#include "leap.h"
#include "support.h"

enum {
    LEAP_EVERY = 10, /* ms: something may wait for its time */
    MOST_LEAPS = 400,
    MOST_CALLS = 2000
};

struct scenario {
    const char *scheme;
    bool by_key; /* else by certificates */
    bool
        is_again; /* a second connection goes on with the first one's session */
};

struct world {
    copal *client, *server;
    int ends, drops, begun, status, responses;
    char uri[80], text[700];
};

static struct party ca, server_cert, client_cert;

static int make_parties(void **state)
{
    (void)state;
    party_make(&ca, (struct wish){.name = "Test CA", .is_ca = 1});
    party_make(
        &server_cert,
        (struct wish){.name = "server", .dns = "localhost", .issuer = &ca});
    party_make(&client_cert, (struct wish){.name = "client 7", .issuer = &ca});
    return 0;
}

static int free_parties(void **state)
{
    (void)state;
    party_free(&ca);
    party_free(&server_cert);
    party_free(&client_cert);
    return 0;
}

/* ---- Memory ---- */

static long blocks;
static unsigned allocations, failing_allocation; /* 0: none */
static bool memory_failed;

static void *counting_realloc(void *user, void *p, size_t n)
{
    void *moved;

    (void)user;
    if (n == 0) {
        blocks -= p != NULL;
        free(p);
        return NULL;
    }
    if (++allocations == failing_allocation) {
        memory_failed = true;
        return NULL;
    }
    moved = realloc(p, n);
    assert_non_null(moved);
    blocks += p == NULL;
    return moved;
}

/* ---- The world ---- */

static void note(const copal_event *ev, void *user)
{
    struct world *w = user;

    w->responses += ev->kind == COPAL_RESPONSE;
    if (ev->kind != COPAL_END)
        return;
    w->ends++;
    w->status = ev->status;
    snprintf(w->text, sizeof(w->text), "%s", ev->text);
}

static void note_drop(void *user)
{
    ((struct world *)user)->drops++;
}

/* Whatever fails, nobody is taken for somebody else, or let in unproven. */
static void answer(const copal_event *ev, void *user)
{
    const struct scenario *s = user;
    const char *id;

    if (ev->kind != COPAL_REQUEST)
        return;
    id = copal_msg_identity(ev->msg);
    if (id == NULL || strcmp(id, s->by_key ? "me" : "client 7") != 0)
        fail_msg("%s makes %s of who asks", gnutls_fault.failed,
                 id == NULL ? "nobody" : id);
    copal_reply_text(ev->exchange, COPAL_CONTENT, "22.5 C");
}

static copal *new_endpoint(void)
{
    const copal_config config = {COPAL_CONFIG_INIT,
                                 .realloc_fn = counting_realloc};
    copal *c = copal_new(&config);

    if (c != NULL) {
        copal_tune(c, NULL, COPAL_P_ACK_RANDOM, 100);
        copal_tune(c, NULL, COPAL_P_TIMEOUT, 5000);
    }
    return c;
}

/* 0, or it says why not. */
static int dress(copal *c, const char *scope, const struct party *own,
                 bool by_key)
{
    const copal_bytes key = {(const uint8_t *)"0123456789abcdef", 16},
                      identity = {(const uint8_t *)"me", 2};

    return by_key ? copal_use_psk(c, scope, identity, key)
                  : copal_use_cert(c, scope, own->cert_pem, own->key_pem,
                                   ca.cert_pem);
}

static bool is_told(copal *c, int err)
{
    assert_true(err == COPAL_ENOMEM || strlen(copal_why(c)) > 10);
    return false;
}

static bool dress_client(struct world *w, const struct scenario *s)
{
    char scope[64];
    int err;

    snprintf(scope, sizeof(scope), "%s://localhost", s->scheme);
    err = dress(w->client, scope, &client_cert, s->by_key);
    return err == 0 || is_told(w->client, err);
}

static bool set_up(struct world *w, const struct scenario *s)
{
    char base[64];
    int err;

    *w = (struct world){.client = new_endpoint(), .server = new_endpoint()};
    if (w->client == NULL || w->server == NULL)
        return false;
    snprintf(base, sizeof(base), "%s://127.0.0.1:0", s->scheme);
    err = copal_serve(w->server, 0, "/t", 0,
                      COPAL_CB(answer, (void *)(uintptr_t)s));
    if (err == 0)
        err = dress(w->server, "*", &server_cert, s->by_key);
    if (err == 0)
        err = copal_listen(w->server, base, 0);
    if (err != 0)
        return is_told(w->server, err);
    if (!dress_client(w, s))
        return false;
    snprintf(w->uri, sizeof(w->uri), "%s://localhost%s/t", s->scheme,
             strrchr(copal_local(w->server, 0), ':'));
    return true;
}

static void tear_down(struct world *w)
{
    copal_free(w->client);
    copal_free(w->server);
    assert_int_equal(w->ends, w->begun);
    assert_int_equal(blocks, 0);
}

/* Where something failed the rest may wait for its time, and what else there is
 * may come to any end: then the clock leaps. */
static void go_until_over(struct world *w, bool leaps)
{
    copal *all[] = {w->client, w->server};
    uint64_t since = true_ms();
    int count = 0;

    while (w->ends < w->begun) {
        step_all(all, 2, 5);
        if (!leaps || true_ms() - since < LEAP_EVERY)
            continue;
        leap(2000);
        since = true_ms();
        if (++count > MOST_LEAPS)
            fail_msg("it does not end, after a failure of %s",
                     gnutls_fault.failed == NULL ? "memory"
                                                 : gnutls_fault.failed);
    }
}

/* True: it was answered. */
static bool ask(struct world *w, bool leaps)
{
    int drops = w->drops;
    copal_exchange *x;

    w->responses = 0;
    w->status = 1;
    x = copal_get(w->client, w->uri, COPAL_CB_OWN(note, w, note_drop));
    w->begun += x != NULL;
    go_until_over(w, leaps);
    assert_int_equal(w->drops, drops + 1);
    if (x == NULL)
        return false;
    if (w->status != 0)
        assert_true(strlen(w->text) > 10 || w->status == COPAL_ENOMEM);
    return w->responses == 1 && w->status == 0;
}

/* What failed is over, and did no lasting harm: who comes next is served. An
 * association of DTLS that only one end knows of is that end's alone. */
static void see_others_served(struct world *w, const struct scenario *s)
{
    const char *failed =
        gnutls_fault.failed == NULL ? "memory" : gnutls_fault.failed;

    copal_free(w->client);
    assert_int_equal(w->ends, w->begun);
    w->client = new_endpoint();
    assert_non_null(w->client);
    assert_true(dress_client(w, s));
    if (!ask(w, false))
        fail_msg("%s does lasting harm: %s", failed, w->text);
}

static void play(const struct scenario *s)
{
    struct world w;

    if (set_up(&w, s)) {
        (void)ask(&w, gnutls_fault.nth > 0 || failing_allocation > 0);
        if (s->is_again) {
            copal *all[] = {w.client, w.server};

            (void)copal_disconnect(w.client, s->scheme);
            step_all(all, 2, 5);
        }
        (void)ask(&w, gnutls_fault.nth > 0 || failing_allocation > 0);
        if (gnutls_fault.failed != NULL || memory_failed)
            see_others_served(&w, s);
    }
    tear_down(&w);
}

static const struct scenario scenarios[] = {
    {"coaps+tcp", true, false},
    {"coaps+tcp", false, true},
    {"coaps", true, false},
    {"coaps", false, false},
};

static void any_call_into_gnutls_may_fail(void **state)
{
    static const int errors[] = {GNUTLS_E_MEMORY_ERROR,
                                 GNUTLS_E_INTERNAL_ERROR};

    (void)state;
    for (size_t i = 0; i < sizeof(scenarios) / sizeof(scenarios[0]); i++)
        for (size_t j = 0; j < (scenarios[i].by_key ? 2 : 1); j++) {
            unsigned n = 0;

            do {
                memset(&gnutls_fault, 0, sizeof(gnutls_fault));
                gnutls_fault.nth = ++n;
                gnutls_fault.error = errors[j];
                play(&scenarios[i]);
            } while (gnutls_fault.failed != NULL && n < MOST_CALLS);
            assert_in_range(n, 20, MOST_CALLS - 1);
            print_message("%s by %s: %u calls\n", scenarios[i].scheme,
                          scenarios[i].by_key ? "key" : "certificate", n - 1);
        }
    memset(&gnutls_fault, 0, sizeof(gnutls_fault));
}

static void any_allocation_may_fail(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(scenarios) / sizeof(scenarios[0]); i++) {
        unsigned n = 0;

        do {
            allocations = 0;
            memory_failed = false;
            failing_allocation = ++n;
            play(&scenarios[i]);
        } while (memory_failed && n < MOST_CALLS);
        assert_in_range(n, 20, MOST_CALLS - 1);
        print_message("%s by %s: %u allocations\n", scenarios[i].scheme,
                      scenarios[i].by_key ? "key" : "certificate", n - 1);
    }
    failing_allocation = 0;
    memory_failed = false;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(any_call_into_gnutls_may_fail),
        cmocka_unit_test(any_allocation_may_fail),
    };

    return cmocka_run_group_tests(tests, make_parties, free_parties);
}
