/* Recordings of what went by coaps: they hold what the engine saw, run again as
 * others do, and have no keys in them. Those of OSCORE and EDHOC have none either,
 * and are refused where these were in use. */
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>
#include "secured.h"

#define TEXT(t)  ((copal_bytes){(const uint8_t *)(t), sizeof(t) - 1})
#define KEY      TEXT("0123456789abcdef")
#define OTHER    TEXT("fedcba9876543210")
#define IDENTITY TEXT("dev1")
#define SERVER   "coaps://server"

enum {
    LONGEST = 1 << 20
};

static char path[40];

static bool has_dtls(struct world *w)
{
    return copal_listen(w->server, "coaps://*", 0) != COPAL_ENOTSUP;
}

/* Both ends are recorded. */
static int build_recorded(void **state)
{
    int err = build(state), fd;
    struct world *w = *state;

    fd = mkstemp(strcpy(path, "/tmp/copal-record-XXXXXX"));
    assert_true(fd >= 0);
    close(fd);
    if (err != 0 || !has_dtls(w))
        return err;
    tune(w->client, COPAL_P_RECORD_MEMORY, LONGEST);
    tune(w->server, COPAL_P_RECORD_MEMORY, LONGEST);
    assert_int_equal(copal_use_psk(w->client, SERVER, IDENTITY, KEY), 0);
    return 0;
}

static int tear_down_recorded(void **state)
{
    unlink(path);
    return tear_down(state);
}

#define NEEDS_DTLS(w) \
    do { \
        if (!has_dtls(w)) \
            skip(); \
    } while (0)

static void know_key(struct world *w)
{
    assert_int_equal(copal_use_psk(w->server, "*", IDENTITY, KEY), 0);
}

/* What a replay shows. */
struct shown {
    int status;
    unsigned out, keyed;
    char why[700];
};

static void on_replay(const copal_event *ev, void *user)
{
    struct shown *s = user;

    if (ev->kind == COPAL_TRACE) {
        s->out += strstr(ev->text, "\"ev\":\"out\"") != NULL;
        s->keyed += strstr(ev->text, "which no recording holds") != NULL;
    } else {
        snprintf(s->why, sizeof(s->why), "%s", ev->text);
    }
}

/* Messages that c's recording sends when it is run again. */
static unsigned assert_same_again(copal *c)
{
    struct shown s = {0};

    assert_int_equal(copal_log_to(c, COPAL_LOG_RECORDING, path), 0);
    s.status = copal_replay(path, COPAL_CB(on_replay, &s));
    if (s.status != 0)
        fail_msg("%s", s.why);
    return s.out;
}

/* c's recording is not run again, and why is said. */
static void assert_has_no_keys(copal *c)
{
    struct shown s = {0};

    assert_int_equal(copal_log_to(c, COPAL_LOG_RECORDING, path), 0);
    s.status = copal_replay(path, COPAL_CB(on_replay, &s));
    if (s.status != COPAL_ENOTSUP ||
        strstr(s.why, "no recording holds") == NULL)
        fail_msg("%d: %s", s.status, s.why);
}

static void requests_by_coaps_are_the_same_again_at_both_ends(void **state)
{
    struct world *w = *state;

    NEEDS_DTLS(w);
    know_key(w);
    serve_text(w, w->server, "/t", COPAL_SECURE, "22.5 C");
    for (int i = 0; i < 3; i++) {
        struct record *r = get(w, SERVER "/t");

        run(w, 1000);
        assert_ended(r, 0);
        assert_int_equal(r->code, COPAL_CONTENT);
    }
    assert_int_equal(assert_same_again(w->client), 3);
    assert_int_equal(assert_same_again(w->server), 3);
}

/* Of the server's no handler is called where nobody is known to ask. */
static void who_asked_is_known_again(void **state)
{
    struct world *w = *state;
    copal_sim_path lossy = {.delay = 10, .loss = 20};

    NEEDS_DTLS(w);
    know_key(w);
    serve_text(w, w->server, "/t", COPAL_SECURE | COPAL_OBSERVABLE, "x");
    copal_sim_set_path(w->sim, NULL, NULL, lossy);
    observe(w, SERVER "/t");
    for (int i = 0; i < 20; i++) {
        run(w, 5000);
        copal_notify(w->server, "/t");
    }
    run(w, 100000);
    assert_true(assert_same_again(w->client) > 0);
    assert_true(assert_same_again(w->server) > 10);
}

static void a_handshake_that_fails_fails_again(void **state)
{
    struct world *w = *state;
    struct record *r;

    NEEDS_DTLS(w);
    assert_int_equal(copal_use_psk(w->server, "*", IDENTITY, OTHER), 0);
    r = get(w, SERVER "/t");
    run(w, 100000);
    assert_int_equal(r->ends, 1);
    assert_int_not_equal(r->status, 0);
    assert_int_equal(assert_same_again(w->client), 0);
    assert_int_equal(assert_same_again(w->server), 0);
}

static void a_handshake_that_nobody_answers_fails_again(void **state)
{
    struct world *w = *state;
    struct record *r;

    NEEDS_DTLS(w);
    copal_sim_lose(w->sim, "client", 100);
    r = get(w, SERVER "/t");
    run(w, 400000);
    assert_int_equal(r->ends, 1);
    assert_int_equal(assert_same_again(w->client), 0);
}

/* Who begins anew from the same address has forgotten the old one. */
static void an_association_that_ends_ends_again(void **state)
{
    struct world *w = *state;

    NEEDS_DTLS(w);
    know_key(w);
    serve_text(w, w->server, "/t", COPAL_OBSERVABLE, "x");
    observe(w, SERVER "/t");
    run(w, 1000);
    assert_int_equal(observers(w), 1);
    copal_free(w->client);
    w->client = add_host(w, "client");
    assert_int_equal(copal_use_psk(w->client, SERVER, IDENTITY, KEY), 0);
    get(w, SERVER "/t");
    run(w, 1000);
    assert_int_equal(observers(w), 0);
    copal_notify(w->server, "/t");
    run(w, 1000);
    assert_int_equal(assert_same_again(w->server), 2);
}

static copal_exchange *looking;

static void look_up(const copal_event *ev, void *user)
{
    (void)user;
    if (ev->kind == COPAL_REQUEST)
        looking = copal_exchange_ref(ev->exchange);
}

static bool has(const char *file, copal_bytes text)
{
    static uint8_t all[2 * LONGEST];
    FILE *f = fopen(file, "rb");
    size_t len;

    assert_non_null(f);
    len = fread(all, 1, sizeof(all), f);
    fclose(f);
    for (size_t i = 0; i + text.len <= len; i++)
        if (memcmp(all + i, text.data, text.len) == 0)
            return true;
    return false;
}

static void a_key_that_is_looked_up_is_in_no_recording(void **state)
{
    struct world *w = *state;
    struct record *r;

    NEEDS_DTLS(w);
    serve_text(w, w->server, "/t", 0, "22.5 C");
    assert_int_equal(copal_use_lookup(w->server, "*", COPAL_CB(look_up, NULL)),
                     0);
    r = get(w, SERVER "/t");
    run(w, 1000);
    assert_int_equal(copal_reply(looking, COPAL_CONTENT, COPAL_NO_FORMAT, KEY),
                     0);
    copal_exchange_unref(looking);
    run(w, 1000);
    assert_ended(r, 0);
    assert_int_equal(assert_same_again(w->server), 1);
    assert_true(has(path, IDENTITY));
    assert_true(has(path, TEXT("22.5 C")));
    assert_false(has(path, KEY));
}

/* What associations kept secret stands in it. */
static void a_recording_is_its_writers_alone(void **state)
{
    struct world *w = *state;
    struct stat st;

    NEEDS_DTLS(w);
    unlink(path);
    assert_same_again(w->client);
    assert_int_equal(stat(path, &st), 0);
    assert_int_equal(st.st_mode & 077, 0);
}

/* ---- OSCORE and EDHOC ---- */

/* Their keys are given after the recorder was switched on. */
static int build_oscore(void **state)
{
    int err = build_recorded(state);
    struct world *w = *state;

    if (err != 0 || !has_dtls(w))
        return err;
    memset(&client_store, 0, sizeof(client_store));
    memset(&server_store, 0, sizeof(server_store));
    keep_in(w->client, &client_store);
    keep_in(w->server, &server_store);
    assert_int_equal(protect(w->client, "coap://server", client_end(0)), 0);
    assert_int_equal(protect(w->server, "*", server_end(0)), 0);
    run(w, 0); /* the stores have answered */
    return 0;
}

static void get_content(struct world *w, const char *uri)
{
    struct record *r = get(w, uri);

    run(w, 5000);
    assert_ended(r, 0);
    assert_int_equal(r->code, COPAL_CONTENT);
}

static void what_oscore_sealed_is_refused_with_a_sentence(void **state)
{
    struct world *w = *state;

    NEEDS_DTLS(w);
    serve_text(w, w->server, "/t", 0, "22.5 C");
    get_content(w, "coap://server/t");
    assert_has_no_keys(w->client);
    assert_false(has(path, client_end(0).secret));
    assert_has_no_keys(w->server);
    assert_false(has(path, server_end(0).secret));
}

static void begin_anew(copal *c)
{
    tune(c, COPAL_P_RECORD_MEMORY, 0);
    tune(c, COPAL_P_RECORD_MEMORY, LONGEST);
}

/* c's recording is run again, and says what is not compared. */
static void assert_notes_keys(copal *c)
{
    struct shown s = {0};

    assert_int_equal(copal_log_to(c, COPAL_LOG_RECORDING, path), 0);
    s.status = copal_replay(path, COPAL_CB(on_replay, &s));
    if (s.status != 0)
        fail_msg("%s", s.why);
    assert_int_equal(s.keyed, 1);
}

/* Its setting says so: what is sealed there is not compared, which is noted. */
static void that_keys_are_missing_is_noted_where_it_began_late(void **state)
{
    struct world *w = *state;

    NEEDS_DTLS(w);
    serve_text(w, w->server, "/t", 0, "22.5 C");
    get_content(w, "coap://server/t");
    begin_anew(w->client);
    begin_anew(w->server);
    get_content(w, "coap://server/t");
    assert_notes_keys(w->client);
    assert_notes_keys(w->server);
}

/* Keys that nothing was sealed by do no harm. */
static void what_went_plainly_beside_oscore_is_the_same_again(void **state)
{
    struct world *w = *state;
    copal *other = add_host(w, "other");

    NEEDS_DTLS(w);
    serve_text(w, w->server, "/t", 0, "22.5 C");
    assert_int_equal(ask(w, other, COPAL_GET, "coap://server/t", NULL)->ends,
                     0);
    run(w, 1000);
    assert_int_equal(assert_same_again(w->server), 1);
    copal_free(other);
}

struct edhoc_end {
    uint8_t secret[32], cred[128];
    size_t len;
};

static void make_end(struct edhoc_end *e, const char *name, const char *kid)
{
    int n =
        copal_make_edhoc(1, (copal_bytes){(const uint8_t *)name, strlen(name)},
                         (copal_bytes){(const uint8_t *)kid, strlen(kid)},
                         e->secret, e->cred, sizeof(e->cred));

    assert_true(n > 0);
    e->len = (size_t)n;
}

static void use_end(copal *c, const char *scope, const struct edhoc_end *own,
                    const struct edhoc_end *peer)
{
    copal_edhoc keys = {.size = sizeof(keys),
                        .method = 3,
                        .suite = 2,
                        .private_key = {own->secret, sizeof(own->secret)},
                        .credential = {own->cred, own->len},
                        .peer_credential = {peer->cred, peer->len}};

    assert_int_equal(copal_use_edhoc(c, scope, &keys), 0);
}

static void what_edhoc_keyed_is_refused_with_a_sentence(void **state)
{
    struct world *w = *state;
    struct edhoc_end a, b;

    NEEDS_DTLS(w);
    make_end(&a, "the client", "a");
    make_end(&b, "the server", "b");
    use_end(w->client, "coap://server", &a, &b);
    use_end(w->server, "*", &b, &a);
    serve_text(w, w->server, "/t", 0, "22.5 C");
    get_content(w, "coap://server/t");
    assert_has_no_keys(w->client);
    assert_false(has(path, (copal_bytes){a.secret, sizeof(a.secret)}));
    assert_has_no_keys(w->server);
    assert_false(has(path, (copal_bytes){b.secret, sizeof(b.secret)}));
}

#define RECORDED(test) \
    cmocka_unit_test_setup_teardown(test, build_recorded, tear_down_recorded)
#define OSCORE(test) \
    cmocka_unit_test_setup_teardown(test, build_oscore, tear_down_recorded)

int main(void)
{
    const struct CMUnitTest tests[] = {
        RECORDED(requests_by_coaps_are_the_same_again_at_both_ends),
        RECORDED(who_asked_is_known_again),
        RECORDED(a_handshake_that_fails_fails_again),
        RECORDED(a_handshake_that_nobody_answers_fails_again),
        RECORDED(an_association_that_ends_ends_again),
        RECORDED(a_key_that_is_looked_up_is_in_no_recording),
        RECORDED(a_recording_is_its_writers_alone),
        OSCORE(what_oscore_sealed_is_refused_with_a_sentence),
        OSCORE(that_keys_are_missing_is_noted_where_it_began_late),
        OSCORE(what_went_plainly_beside_oscore_is_the_same_again),
        RECORDED(what_edhoc_keyed_is_refused_with_a_sentence),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
