/* Associations of DTLS that outlive the process which made them. RFC 9146,
 * RFC 8613 B.1 in the manner of DTLS: no nonce twice, nothing heard twice. */
#include "support.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>
#include "net/sim.h"
#include "secure/dtls_record.h"

#define TEXT(t)  ((copal_bytes){(const uint8_t *)(t), sizeof(t) - 1})
#define KEY      TEXT("0123456789abcdef")
#define OTHER    TEXT("fedcba9876543210")
#define IDENTITY TEXT("dev1")
#define SERVER   "coaps://server"

/* ---- No nonce twice ---- */

/* Every record that is sealed, by anybody: of one key the numbers grow. */
struct sealed {
    uint8_t key[CP_AEAD_KEY];
    uint64_t last, count;
};

static struct sealed sealed[64];
static size_t sealed_count;

/* Records to the server, as they went by. */
static bool taps;
static uint8_t tapped[8][256];
static size_t tapped_len[8], tapped_count;

int __real_cp_protect_seal(struct cp_protect *p, struct cp_aeads *aeads,
                           uint8_t type, copal_bytes plain, uint8_t *out,
                           size_t cap);
int __wrap_cp_protect_seal(struct cp_protect *p, struct cp_aeads *aeads,
                           uint8_t type, copal_bytes plain, uint8_t *out,
                           size_t cap);

static struct sealed *sealed_with(const struct cp_protect *p)
{
    for (size_t i = 0; i < sealed_count; i++)
        if (memcmp(sealed[i].key, p->out.key.bytes, CP_AEAD_KEY) == 0)
            return &sealed[i];
    assert_true(sealed_count < sizeof(sealed) / sizeof(sealed[0]));
    memcpy(sealed[sealed_count].key, p->out.key.bytes, CP_AEAD_KEY);
    return &sealed[sealed_count++];
}

int __wrap_cp_protect_seal(struct cp_protect *p, struct cp_aeads *aeads,
                           uint8_t type, copal_bytes plain, uint8_t *out,
                           size_t cap)
{
    struct sealed *s = sealed_with(p);
    uint64_t number = p->next_out;
    int len = __real_cp_protect_seal(p, aeads, type, plain, out, cap);

    if (len <= 0)
        return len;
    if (s->count++ > 0 && number <= s->last)
        fail_msg("number %llu may have been used with that key before",
                 (unsigned long long)number);
    s->last = number;
    if (taps && p->cid_out_len > 0 && tapped_count < 8 && len <= 256) {
        memcpy(tapped[tapped_count], out, (size_t)len);
        tapped_len[tapped_count++] = (size_t)len;
    }
    return len;
}

/* ---- A world with stores ---- */

static char directory[64];    /* of the server's store */
static char photograph[64];   /* a copy of it */
static struct record *served; /* by the server that is there now */

static bool has_dtls(struct world *w)
{
    return copal_listen(w->server, "coaps://*", 0) != COPAL_ENOTSUP;
}

static void start_server(struct world *w, const char *store)
{
    assert_int_equal(copal_use_psk(w->server, "*", IDENTITY, KEY), 0);
    assert_int_equal(copal_listen(w->server, "coaps://*", 0), 0);
    if (store != NULL)
        assert_int_equal(copal_store(w->server, store, (copal_cb){0}), 0);
    served = serve_text(w, w->server, "/t", COPAL_OBSERVABLE, "x");
}

static int build_stored(void **state)
{
    int err = build(state);
    struct world *w = *state;

    strcpy(directory, "/tmp/copal-dtls-XXXXXX");
    strcpy(photograph, "/tmp/copal-photo-XXXXXX");
    assert_non_null(mkdtemp(directory));
    assert_non_null(mkdtemp(photograph));
    memset(sealed, 0, sizeof(sealed));
    sealed_count = 0;
    taps = false;
    if (err != 0 || !has_dtls(w))
        return err;
    assert_int_equal(copal_use_psk(w->client, SERVER, IDENTITY, KEY), 0);
    start_server(w, directory);
    return 0;
}

static void shell(const char *format, ...)
    __attribute__((format(printf, 1, 2)));
static void shell(const char *format, ...)
{
    char command[256];
    va_list list;

    va_start(list, format);
    vsnprintf(command, sizeof(command), format, list);
    va_end(list);
    assert_int_equal(system(command), 0);
}

static int tear_down_stored(void **state)
{
    int err = tear_down(state);

    shell("rm -rf %s %s", directory, photograph);
    return err;
}

#define NEEDS_DTLS(w) \
    do { \
        if (!has_dtls(w)) \
            skip(); \
    } while (0)

static void take_photograph(void)
{
    shell("rm -rf %s && cp -a %s %s", photograph, directory, photograph);
}

/* What is on disk is what was there when the photograph was taken: the process
 * was killed then. */
static void put_back(void)
{
    shell("rm -rf %s && cp -a %s %s", directory, photograph, directory);
}

static copal *new_host(struct world *w, const char *name)
{
    copal_config config = {COPAL_CONFIG_INIT};
    copal *c = copal_sim_endpoint(w->sim, name, &config);

    assert_non_null(c);
    return c;
}

static void stop_server(struct world *w)
{
    copal_free(w->server);
    w->server = NULL;
}

static void restart_server(struct world *w)
{
    stop_server(w);
    w->server = new_host(w, "server");
    start_server(w, directory);
}

static void kill_server(struct world *w)
{
    take_photograph();
    stop_server(w);
    put_back();
    w->server = new_host(w, "server");
    start_server(w, directory);
}

static unsigned datagrams(struct world *w)
{
    return count_in_transcript(w, "DTLS (");
}

/* A request that is answered; how many datagrams it took. */
static unsigned ask_once(struct world *w)
{
    unsigned before = datagrams(w);
    struct record *r = get(w, SERVER "/t");

    run(w, 20000);
    assert_ended(r, 0);
    assert_int_equal(r->code, COPAL_CONTENT);
    return datagrams(w) - before;
}

/* Of the server that is there now. */
static unsigned handshakes(struct world *w)
{
    copal_bytes text = copal_metrics_text(w->server);
    const char *name = "copal_dtls_handshakes_total{result=\"done\"} ";
    const char *at =
        text.len == 0 ? NULL : strstr((const char *)text.data, name);

    assert_non_null(at);
    return (unsigned)atoi(at + strlen(name));
}

/* ---- Restarts ---- */

static void a_restart_in_good_order_needs_no_handshake(void **state)
{
    struct world *w = *state;

    NEEDS_DTLS(w);
    ask_once(w);
    assert_int_equal(handshakes(w), 1);
    for (int i = 0; i < 3; i++) {
        restart_server(w);
        assert_int_equal(ask_once(w), 2);
        assert_int_equal(ask_once(w), 2);
        assert_int_equal(handshakes(w), 0);
        assert_int_equal(served->requests, 2);
    }
}

/* Ten ports and a restart between any two of them. */
static void ten_ports_and_a_restart_need_one_handshake(void **state)
{
    struct world *w = *state;

    NEEDS_DTLS(w);
    ask_once(w);
    assert_int_equal(handshakes(w), 1);
    for (int i = 0; i < 10; i++) {
        copal_sim_move(w->sim, "client");
        if (i == 5)
            restart_server(w);
        assert_int_equal(ask_once(w), 2);
        assert_int_equal(handshakes(w), i < 5);
    }
}

/* Two pings and their answers, the request once more; no request is lost. */
static void ten_ports_and_a_crash_need_one_handshake(void **state)
{
    struct world *w = *state;

    NEEDS_DTLS(w);
    ask_once(w);
    for (int i = 0; i < 10; i++) {
        copal_sim_move(w->sim, "client");
        if (i == 5)
            kill_server(w);
        assert_int_equal(ask_once(w), i == 5 ? 2 + 2 + 2 + 1 : 2);
        assert_int_equal(handshakes(w), i < 5);
    }
    assert_int_equal(served->requests, 5);
}

static void a_server_may_be_killed_again_and_again(void **state)
{
    struct world *w = *state;

    NEEDS_DTLS(w);
    ask_once(w);
    for (int i = 0; i < 20; i++) {
        for (int k = 0; k < i % 4; k++)
            ask_once(w);
        kill_server(w);
        ask_once(w);
        assert_int_equal(handshakes(w), 0);
    }
    assert_int_equal(sealed_count, 2); /* of the one handshake */
}

/* Before anything else can have reached the disk. */
static void a_crash_amid_the_first_write_costs_a_handshake(void **state)
{
    struct world *w = *state;

    NEEDS_DTLS(w);
    take_photograph();
    ask_once(w);
    stop_server(w);
    put_back();
    w->server = new_host(w, "server");
    start_server(w, directory);
    get(w, SERVER "/t");
    run(w, 100000);
    ask_once(w);
    assert_int_equal(handshakes(w), 1);
}

static void numbers_are_reserved_anew_in_time(void **state)
{
    struct world *w = *state;
    struct record *r;

    NEEDS_DTLS(w);
    ask_once(w);
    copal_sim_keep(w->sim, 0);
    for (int i = 1; i < 20000; i++) {
        copal_get(w->client, SERVER "/t", (copal_cb){0});
        run(w, 50);
    }
    assert_int_equal(served->requests, 20000);
    kill_server(w);
    r = get(w, SERVER "/t");
    run(w, 20000);
    assert_ended(r, 0);
    assert_int_equal(handshakes(w), 0);
}

static void a_client_goes_on_after_a_restart(void **state)
{
    char own[] = "/tmp/copal-client-XXXXXX";
    struct world *w = *state;

    NEEDS_DTLS(w);
    assert_non_null(mkdtemp(own));
    assert_int_equal(copal_store(w->client, own, (copal_cb){0}), 0);
    ask_once(w);
    for (int i = 0; i < 3; i++) {
        copal_free(w->client);
        w->client = new_host(w, "client");
        assert_int_equal(copal_store(w->client, own, (copal_cb){0}), 0);
        assert_int_equal(copal_use_psk(w->client, SERVER, IDENTITY, KEY), 0);
        assert_int_equal(ask_once(w), 2);
        assert_int_equal(handshakes(w), 1);
    }
    /* Under another key it was not proven. */
    copal_free(w->client);
    w->client = new_host(w, "client");
    assert_int_equal(copal_store(w->client, own, (copal_cb){0}), 0);
    assert_int_equal(copal_use_psk(w->client, SERVER, TEXT("dev2"), OTHER), 0);
    assert_int_equal(copal_use_psk(w->server, "*", TEXT("dev2"), OTHER), 0);
    ask_once(w);
    assert_int_equal(handshakes(w), 2);
    shell("rm -rf %s", own);
}

/* ---- Those who would use it ---- */

static char seen[64];
static int asked;

static void note_identity(const copal_event *ev, void *user)
{
    const char *name = copal_msg_identity(ev->msg);

    (void)user;
    if (ev->kind != COPAL_REQUEST)
        return;
    asked++;
    snprintf(seen, sizeof(seen), "%s", name == NULL ? "(none)" : name);
    copal_reply_text(ev->exchange, COPAL_CHANGED, "done");
}

static void replay_all(struct world *w, const char *from)
{
    for (size_t i = 0; i < tapped_count; i++)
        assert_int_equal(
            copal_sim_inject(w->sim, from, "server",
                             (copal_bytes){tapped[i], tapped_len[i]}),
            0);
    run(w, 100);
}

/* The file knows nothing of what came after it was written. */
static void what_came_before_a_crash_is_not_heard_again(void **state)
{
    struct world *w = *state;
    struct record *r;

    NEEDS_DTLS(w);
    asked = 0;
    assert_int_equal(copal_serve(w->server, COPAL_POST, "/do", 0,
                                 COPAL_CB(note_identity, NULL)),
                     0);
    ask_once(w);
    tapped_count = 0;
    taps = true;
    for (int i = 0; i < 3; i++) {
        r = ask(w, w->client, COPAL_POST, SERVER "/do", "x");
        run(w, 1000);
        assert_ended(r, 0);
    }
    taps = false;
    assert_int_equal(asked, 3);
    assert_int_equal(tapped_count, 3);
    kill_server(w);
    assert_int_equal(copal_serve(w->server, COPAL_POST, "/do", 0,
                                 COPAL_CB(note_identity, NULL)),
                     0);
    copal_sim_lose(w->sim, "client",
                   1000); /* it cannot show that it is there */
    replay_all(w, "192.0.2.7");
    replay_all(w, "client");
    run(w, 30000);
    assert_int_equal(asked, 3);
    copal_sim_lose(w->sim, "client", 0);
    r = ask(w, w->client, COPAL_POST, SERVER "/do", "x");
    run(w, 30000);
    assert_ended(r, 0);
    assert_int_equal(asked, 4);
    assert_string_equal(seen, "dev1");
    replay_all(w, "client");
    assert_int_equal(asked, 4);
    assert_int_equal(handshakes(w), 0);
}

static void who_is_forgotten_is_not_known_after_a_restart(void **state)
{
    struct world *w = *state;
    struct record *r;

    NEEDS_DTLS(w);
    ask_once(w);
    stop_server(w);
    w->server = new_host(w, "server");
    assert_int_equal(copal_use_psk(w->server, "*", IDENTITY, OTHER), 0);
    assert_int_equal(copal_listen(w->server, "coaps://*", 0), 0);
    assert_int_equal(copal_store(w->server, directory, (copal_cb){0}), 0);
    served = serve_text(w, w->server, "/t", 0, "x");
    r = get(w, SERVER "/t");
    run(w, 200000);
    assert_ended(r, COPAL_ETIMEOUT);
    assert_int_equal(served->requests, 0);
}

static size_t files(void)
{
    char path[128];
    size_t count = 0;
    DIR *dir;

    snprintf(path, sizeof(path), "%s/dtls", directory);
    dir = opendir(path);
    for (struct dirent *e; dir != NULL && (e = readdir(dir)) != NULL;)
        count += e->d_name[0] != '.';
    if (dir != NULL)
        closedir(dir);
    return count;
}

static void an_association_that_ends_leaves_no_file(void **state)
{
    struct world *w = *state;

    NEEDS_DTLS(w);
    ask_once(w);
    assert_int_equal(files(), 1);
    copal_free(w->client); /* which forgets it */
    w->client = new_host(w, "client");
    assert_int_equal(copal_use_psk(w->client, SERVER, IDENTITY, KEY), 0);
    ask_once(w);
    assert_int_equal(files(), 1);
}

static void damage_costs_a_handshake_and_is_told(void **state)
{
    struct world *w = *state;

    NEEDS_DTLS(w);
    ask_once(w);
    stop_server(w);
    shell("for f in %s/dtls/*; do printf junk > $f; done", directory);
    w->server = new_host(w, "server");
    start_server(w, directory);
    get(w, SERVER "/t");
    run(w, 100000);
    ask_once(w);
    assert_int_equal(handshakes(w), 1);
}

/* Junk with Connection IDs makes the store look, but not without end. */
static void strangers_make_the_store_look_at_most_1000_times_a_second(
    void **state)
{
    struct world *w = *state;
    uint8_t junk[60] = {25, 0xfe, 0xfd, 0, 1, 0, 0, 0, 0, 0, 7};

    NEEDS_DTLS(w);
    ask_once(w);
    run(w, 5000);
    copal_sim_keep(w->sim, 0);
    junk[21] = 37;
    for (unsigned i = 0; i < 20000; i++) {
        memcpy(junk + 11, &i, sizeof(i));
        assert_int_equal(copal_sim_inject(w->sim, "192.0.2.1", "server",
                                          (copal_bytes){junk, sizeof(junk)}),
                         0);
        if (i % 32 == 0)
            run(w, 0);
    }
    run(w, 10);
    assert_non_null(strstr((const char *)copal_metrics_text(w->server).data,
                           "copal_limit_hits_total{limit=\"dtls_wakes\"}"));
    run(w, 2000);
    ask_once(w);
    assert_int_equal(handshakes(w), 1);
}

/* ---- An application's store ---- */

struct kept {
    char path[96];
    uint8_t value[512];
    size_t len;
};

static struct kept kept[4];
static bool holds_back;
static copal_exchange *held[16];
static size_t held_count;

static struct kept *kept_at(const char *path)
{
    struct kept *free_one = NULL;

    for (size_t i = 0; i < 4; i++) {
        if (strcmp(kept[i].path, path) == 0)
            return &kept[i];
        if (kept[i].path[0] == '\0')
            free_one = &kept[i];
    }
    assert_non_null(free_one);
    return free_one;
}

static void answer_kept(copal_exchange *x)
{
    const copal_msg *m = copal_exchange_request(x);
    const char *path = copal_msg_path(m);
    struct kept *k = kept_at(path);
    copal_bytes body = copal_msg_payload(m);

    switch (copal_msg_code(m)) {
    case COPAL_PUT:
        snprintf(k->path, sizeof(k->path), "%s", path);
        memcpy(k->value, body.data, body.len);
        k->len = body.len;
        copal_reply(x, COPAL_CHANGED, COPAL_NO_FORMAT, (copal_bytes){0});
        break;
    case COPAL_DELETE:
        k->path[0] = '\0';
        copal_reply(x, COPAL_DELETED, COPAL_NO_FORMAT, (copal_bytes){0});
        break;
    default:
        if (k->path[0] == '\0')
            copal_reply_text(x, COPAL_NOT_FOUND, "");
        else
            copal_reply(x, COPAL_CONTENT, COPAL_NO_FORMAT,
                        (copal_bytes){k->value, k->len});
    }
}

static void keep(const copal_event *ev, void *user)
{
    (void)user;
    if (ev->kind != COPAL_REQUEST)
        return;
    if (holds_back)
        held[held_count++] = copal_exchange_ref(ev->exchange);
    else
        answer_kept(ev->exchange);
}

static void answer_held(void)
{
    for (size_t i = 0; i < held_count; i++) {
        answer_kept(held[i]);
        copal_exchange_unref(held[i]);
    }
    held_count = 0;
}

static void restart_asking(struct world *w)
{
    stop_server(w);
    w->server = new_host(w, "server");
    start_server(w, NULL);
    assert_int_equal(copal_store(w->server, NULL, COPAL_CB(keep, NULL)), 0);
}

static void an_application_s_store_does_as_well(void **state)
{
    struct world *w = *state;

    NEEDS_DTLS(w);
    memset(kept, 0, sizeof(kept));
    holds_back = false;
    restart_asking(w);
    ask_once(w);
    for (int i = 0; i < 3; i++) {
        restart_asking(w);
        ask_once(w);
        assert_int_equal(handshakes(w), 0);
    }
}

/* Nothing leaves before the numbers are written down. */
static void what_is_woken_waits_for_the_store(void **state)
{
    struct world *w = *state;
    struct record *r;
    unsigned before;

    NEEDS_DTLS(w);
    memset(kept, 0, sizeof(kept));
    holds_back = false;
    restart_asking(w);
    ask_once(w);
    restart_asking(w);
    holds_back = true;
    r = get(w, SERVER "/t");
    run(w, 500);
    assert_int_equal(held_count, 1); /* GET */
    answer_held();
    run(w, 500);
    assert_int_equal(held_count, 1); /* PUT */
    before = count_in_transcript(w, "server > client");
    run(w, 500);
    assert_int_equal(count_in_transcript(w, "server > client"), before);
    answer_held();
    holds_back = false;
    run(w, 10000);
    assert_ended(r, 0);
    assert_int_equal(handshakes(w), 0);
}

/* ---- Memory ---- */

static void play_restart(struct world *w)
{
    struct record *r;

    memset(kept, 0, sizeof(kept));
    memset(sealed, 0, sizeof(sealed));
    sealed_count = 0;
    holds_back = false;
    if (copal_use_psk(w->client, SERVER, IDENTITY, KEY) != 0 ||
        copal_use_psk(w->server, "*", IDENTITY, KEY) != 0 ||
        copal_listen(w->server, "coaps://*", 0) != 0 ||
        copal_store(w->server, NULL, COPAL_CB(keep, NULL)) != 0)
        return;
    serve_text(w, w->server, "/t", 0, "x");
    r = get(w, SERVER "/t");
    run(w, 100000);
    copal_free(w->server);
    w->server = add_host(w, "server");
    if (w->server == NULL ||
        copal_use_psk(w->server, "*", IDENTITY, KEY) != 0 ||
        copal_listen(w->server, "coaps://*", 0) != 0 ||
        copal_store(w->server, NULL, COPAL_CB(keep, NULL)) != 0)
        return;
    serve_text(w, w->server, "/t", 0, "x");
    r = get(w, SERVER "/t");
    run(w, 100000);
    if (!memory_failed(w))
        assert_ended(r, 0);
}

static void every_allocation_may_fail(void **state)
{
    NEEDS_DTLS((struct world *)*state);
    for_each_failed_allocation(play_restart);
}

#define WORLD(f) \
    cmocka_unit_test_setup_teardown(f, build_stored, tear_down_stored)

int main(void)
{
    const struct CMUnitTest tests[] = {
        WORLD(a_restart_in_good_order_needs_no_handshake),
        WORLD(ten_ports_and_a_restart_need_one_handshake),
        WORLD(ten_ports_and_a_crash_need_one_handshake),
        WORLD(a_server_may_be_killed_again_and_again),
        WORLD(a_crash_amid_the_first_write_costs_a_handshake),
        WORLD(numbers_are_reserved_anew_in_time),
        WORLD(a_client_goes_on_after_a_restart),
        WORLD(what_came_before_a_crash_is_not_heard_again),
        WORLD(who_is_forgotten_is_not_known_after_a_restart),
        WORLD(an_association_that_ends_leaves_no_file),
        WORLD(damage_costs_a_handshake_and_is_told),
        WORLD(strangers_make_the_store_look_at_most_1000_times_a_second),
        WORLD(an_application_s_store_does_as_well),
        WORLD(what_is_woken_waits_for_the_store),
        WORLD(every_allocation_may_fail),
    };

    return cmocka_run_group_tests_name("dtls_store", tests, NULL, NULL);
}
