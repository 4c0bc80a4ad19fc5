/* Who we are to whom: scopes, keys, and keys on demand. */
#include <copal.h>
#include <copal_sim.h>
#include "endpoint.h"
#include "secure/credentials.h"
#include "wire/uri.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

struct world {
    copal_sim *sim;
    copal *c;
    struct cp_credentials *all;
    int drops, asked;
    char kind[16], identity[64];
    copal_exchange *late;
    int answer; /* a code; 0: later */
    int done, found;
    char value[64];
};

static struct cp_lookup waiter;
static struct world w;

static int build(void **state)
{
    w = (struct world){.sim = copal_sim_new(1)};
    assert_non_null(w.sim);
    w.c = copal_sim_endpoint(w.sim, "h", NULL);
    assert_non_null(w.c);
    w.all = w.c->credentials;
    *state = &w;
    if (copal_use_psk(w.c, "*", (copal_bytes){(const uint8_t *)"x", 1},
                      (copal_bytes){(const uint8_t *)"y", 1}) != COPAL_ENOTSUP)
        return copal_forget(w.c, "*");
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    copal_sim_free(w.sim);
    return 0;
}

static bool is_built_in(void)
{
    int err = copal_forget(w.c, "coaps://nobody");

    if (err != COPAL_ENOTSUP)
        return true;
    assert_non_null(strstr(copal_why(w.c), "built without GnuTLS"));
    assert_int_equal(copal_use_cert(w.c, "*", NULL, NULL, NULL), COPAL_ENOTSUP);
    return false;
}

static int use_psk(const char *scope, const char *identity, const char *key)
{
    return copal_use_psk(w.c, scope, cp_bytes_of_text(identity),
                         cp_bytes_of_text(key));
}

/* The identity that is shown to whom uri names; "": none applies. */
static const char *shown_to(const char *uri)
{
    static char text[64];
    struct cp_uri u;
    char host[320];
    const struct cp_scope_keys *s;

    assert_int_equal(cp_uri_split(w.c->mem, uri, &u), 0);
    cp_uri_host_text(&u, host);
    s = cp_credentials_for(
        w.all,
        &(struct cp_asked){.scheme = u.scheme, .host = host, .port = u.port});
    snprintf(text, sizeof(text), "%.*s",
             s == NULL ? 0 : (int)s->psk.identity.len,
             s == NULL ? "" : (const char *)s->psk.identity.data);
    return text;
}

/* ---- Scopes ---- */

static void the_longest_scope_wins(void **state)
{
    static const struct {
        const char *scope, *identity;
    } rows[] = {
        {"coaps://", "any"},
        {"coaps://host", "host"},
        {"coaps://host:6000", "port"},
        {"coaps://*.lab.example", "lab"},
        {"coaps://a.lab.example/", "a"},
        {"coaps://192.168.", "net"},
        {"coaps://[2001:db8::1]", "six"},
        {"coaps+tcp://host:5684", "tcp"},
    };
    static const struct {
        const char *uri, *identity;
    } cases[] = {
        {"coaps://host/x", "host"},
        {"coaps://HOST", "host"},
        {"coaps://host:5684/x", "host"},
        {"coaps://host:6000/x", "port"},
        {"coaps://hostile/x", "any"},
        {"coaps://host.evil.example", "any"},
        {"coaps://b.lab.example/x", "lab"},
        {"coaps://c.b.lab.example:1", "lab"},
        {"coaps://lab.example", "any"},
        {"coaps://evil-lab.example", "any"},
        {"coaps://b.lab.example.com", "any"},
        {"coaps://a.lab.example/x", "a"},
        {"coaps://a.lab.example:9/x", "lab"},
        {"coaps://192.168.7.1", "net"},
        {"coaps://192.16.7.1", "any"},
        {"coaps://[2001:db8:0::1]/t", "six"},
        {"coaps://[2001:db8::1]:7/t", "six"},
        {"coaps+tcp://host/", "tcp"},
        {"coaps+tcp://host:5684", "tcp"},
        {"coaps+tcp://host:5685", ""},
        {"coaps+ws://host/", ""},
    };

    (void)state;
    if (!is_built_in())
        skip();
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
        assert_int_equal(use_psk(rows[i].scope, rows[i].identity, "key"), 0);
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
        if (strcmp(shown_to(cases[i].uri), cases[i].identity) != 0)
            fail_msg("%s: \"%s\", not \"%s\"", cases[i].uri,
                     shown_to(cases[i].uri), cases[i].identity);
}

static void a_scope_that_can_never_apply_is_refused(void **state)
{
    static const struct {
        const char *scope, *part;
    } rows[] = {
        {"", "no scope"},
        {"coap://host", "coaps://"},
        {"host", "coaps://"},
        {"coaps://host/path", "leave the path away"},
        {"coaps://host?x", "leave the path away"},
    };

    (void)state;
    if (!is_built_in())
        skip();
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        assert_int_equal(use_psk(rows[i].scope, "me", "key"), COPAL_EINVAL);
        if (strstr(copal_why(w.c), rows[i].part) == NULL)
            fail_msg("%s: %s", rows[i].scope, copal_why(w.c));
    }
    assert_int_equal(use_psk("*", "", "key"), COPAL_EINVAL);
    assert_int_equal(use_psk("*", "me", ""), COPAL_EINVAL);
    assert_int_equal(
        copal_use_psk(w.c, "*", cp_bytes("a\0b", 3), cp_bytes("k", 1)),
        COPAL_EINVAL);
    assert_int_equal(copal_use_cert(w.c, "*", NULL, NULL, NULL), COPAL_EINVAL);
    assert_int_equal(copal_use_cert(w.c, "*", "cert", NULL, NULL),
                     COPAL_EINVAL);
    assert_int_equal(copal_use_cert(w.c, "*", NULL, "key", NULL), COPAL_EINVAL);
    assert_int_equal(copal_use_cert(w.c, "*", NULL, NULL, "/etc/ca.pem"),
                     COPAL_EFORMAT);
    assert_non_null(strstr(copal_why(w.c), "not a file name"));
    assert_false(cp_credentials_serve(w.all));
}

static void what_is_forgotten_applies_no_more(void **state)
{
    (void)state;
    if (!is_built_in())
        skip();
    assert_int_equal(use_psk("coaps://host", "host", "key"), 0);
    assert_int_equal(use_psk("coaps://", "any", "key"), 0);
    assert_int_equal(copal_forget(w.c, "coaps://HOST"), 0);
    assert_string_equal(shown_to("coaps://host"), "any");
    assert_int_equal(copal_forget(w.c, "coaps://host"), COPAL_ENOENT);
    assert_int_equal(copal_forget(w.c, "*"), COPAL_ENOENT);
    assert_int_equal(use_psk("*", "a", "one"), 0);
    assert_int_equal(use_psk("*", "b", "two"), 0);
    assert_int_equal(use_psk("*", "a", "three"), 0);
    assert_true(cp_bytes_is_text(
        cp_credentials_key_of(w.all, cp_bytes_of_text("a")), "three"));
    assert_int_equal(copal_forget(w.c, "*"), 0);
    assert_int_equal(cp_credentials_key_of(w.all, cp_bytes_of_text("b")).len,
                     0);
}

/* ---- Keys on demand ---- */

static void count_drop(void *user)
{
    ((struct world *)user)->drops++;
}

static void answer(const copal_event *ev, void *user)
{
    copal_bytes id;

    (void)user;
    if (ev->kind != COPAL_REQUEST)
        return;
    id = copal_msg_payload(ev->msg);
    w.asked++;
    snprintf(w.kind, sizeof(w.kind), "%s", ev->text);
    snprintf(w.identity, sizeof(w.identity), "%.*s", (int)id.len,
             (const char *)id.data);
    if (w.answer == 0)
        w.late = copal_exchange_ref(ev->exchange);
    else
        copal_reply(ev->exchange, w.answer, COPAL_NO_FORMAT,
                    cp_bytes("secret", 6));
}

static void done(struct cp_lookup *l, bool found, copal_bytes value)
{
    assert_ptr_equal(l, &waiter);
    w.done++;
    w.found = found;
    snprintf(w.value, sizeof(w.value), "%.*s", (int)value.len,
             (const char *)value.data);
}

static int look_up(void)
{
    waiter.done = done;
    return cp_credentials_look_up(w.all, "psk", cp_bytes_of_text("me"),
                                  &waiter);
}

static void serve_keys(int code)
{
    w.answer = code;
    assert_int_equal(
        copal_use_lookup(w.c, "*", COPAL_CB_OWN(answer, &w, count_drop)), 0);
}

static void a_key_is_asked_for_when_it_is_needed(void **state)
{
    (void)state;
    if (!is_built_in())
        skip();
    assert_int_equal(look_up(), COPAL_ENOENT);
    serve_keys(COPAL_CONTENT);
    assert_int_equal(look_up(), 0);
    assert_int_equal(w.done, 0);
    copal_sim_run(w.sim, 10);
    assert_int_equal(w.done, 1);
    assert_true(w.found);
    assert_string_equal(w.kind, "psk");
    assert_string_equal(w.identity, "me");
    assert_string_equal(w.value, "secret");

    serve_keys(COPAL_NOT_FOUND);
    assert_int_equal(w.drops, 1);
    assert_int_equal(look_up(), 0);
    copal_sim_run(w.sim, 10);
    assert_int_equal(w.done, 2);
    assert_false(w.found);
}

static void a_key_may_come_later(void **state)
{
    (void)state;
    if (!is_built_in())
        skip();
    serve_keys(0);
    assert_int_equal(look_up(), 0);
    copal_sim_run(w.sim, 5000);
    assert_int_equal(w.asked, 1);
    assert_int_equal(w.done, 0);
    copal_reply(w.late, COPAL_CONTENT, COPAL_NO_FORMAT, cp_bytes("late", 4));
    copal_exchange_unref(w.late);
    copal_sim_run(w.sim, 10);
    assert_int_equal(w.done, 1);
    assert_string_equal(w.value, "late");
}

static void nobody_is_told_who_has_left(void **state)
{
    (void)state;
    if (!is_built_in())
        skip();
    serve_keys(0);
    assert_int_equal(look_up(), 0);
    copal_sim_run(w.sim, 10);
    cp_lookup_forget(&waiter);
    cp_lookup_forget(&waiter);
    copal_reply(w.late, COPAL_CONTENT, COPAL_NO_FORMAT, cp_bytes("late", 4));
    copal_exchange_unref(w.late);
    copal_sim_run(w.sim, 10);
    assert_int_equal(w.done, 0);
}

static void who_never_answers_is_as_good_as_no(void **state)
{
    (void)state;
    if (!is_built_in())
        skip();
    serve_keys(0);
    assert_int_equal(look_up(), 0);
    copal_sim_run(w.sim, 10);
    copal_exchange_unref(w.late);
    copal_sim_run(w.sim, 10);
    assert_int_equal(w.done, 1);
    assert_false(w.found);
}

static void the_end_of_the_endpoint_ends_what_waits(void **state)
{
    (void)state;
    if (!is_built_in())
        skip();
    serve_keys(0);
    assert_int_equal(look_up(), 0);
    copal_sim_run(w.sim, 10);
    copal_sim_free(w.sim);
    assert_int_equal(w.done, 1);
    assert_false(w.found);
    copal_exchange_unref(w.late);
    assert_int_equal(w.drops, 1);
    w.sim = NULL;
}

static void an_identity_is_text_that_steers_no_terminal(void **state)
{
    static const struct {
        copal_bytes in;
        const char *out;
    } rows[] = {
        {{(const uint8_t *)"tr\xc3\xa4ger 1", 9}, "tr\xc3\xa4ger 1"},
        {{(const uint8_t *)"50%", 3}, "50%25"},
        {{(const uint8_t *)"\x1b[2J\n", 5}, "%1b[2J%0a"},
        {{(const uint8_t *)"\xff\xfe", 2}, "%ff%fe"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        char text[64];
        struct cp_buf b = cp_buf_fixed(text, sizeof(text));

        cp_credentials_put_identity(&b, rows[i].in);
        assert_string_equal(cp_buf_text(&b), rows[i].out);
    }
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, build, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(the_longest_scope_wins),
        TEST(a_scope_that_can_never_apply_is_refused),
        TEST(what_is_forgotten_applies_no_more),
        TEST(a_key_is_asked_for_when_it_is_needed),
        TEST(a_key_may_come_later),
        TEST(nobody_is_told_who_has_left),
        TEST(who_never_answers_is_as_good_as_no),
        TEST(the_end_of_the_endpoint_ends_what_waits),
        TEST(an_identity_is_text_that_steers_no_terminal),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
