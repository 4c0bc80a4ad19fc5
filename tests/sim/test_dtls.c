/* DTLS between simulated hosts: handshakes in virtual time, on bad days, and
 * against those who would disturb them. RFC 6347, RFC 7252 9.1. */
#include "support.h"

#include <stdlib.h>
#include "endpoint.h"
#include "net/sim.h"
#include "secure/dtls.h"

#define TEXT(t)  ((copal_bytes){(const uint8_t *)(t), sizeof(t) - 1})
#define KEY      TEXT("0123456789abcdef")
#define OTHER    TEXT("fedcba9876543210")
#define IDENTITY TEXT("dev1")
#define SERVER   "coaps://server"

/* Datagrams of a whole handshake: ClientHello twice, key exchange; a request to
 * verify, the server's two flights. */
enum {
    OF_CLIENT = 3,
    OF_SERVER = 3
};

static bool has_dtls(struct world *w)
{
    return copal_listen(w->server, "coaps://*", 0) != COPAL_ENOTSUP;
}

static int build_dtls(void **state)
{
    int err = build(state);
    struct world *w = *state;

    if (err != 0 || !has_dtls(w))
        return err;
    assert_int_equal(copal_use_psk(w->client, SERVER, IDENTITY, KEY), 0);
    assert_int_equal(copal_use_psk(w->server, "*", IDENTITY, KEY), 0);
    return 0;
}

#define NEEDS_DTLS(w) \
    do { \
        if (!has_dtls(w)) \
            skip(); \
    } while (0)

static unsigned datagrams(struct world *w)
{
    return count_in_transcript(w, "DTLS (");
}

/* A request that is answered; how many datagrams it took. */
static unsigned ask_once(struct world *w)
{
    unsigned before = datagrams(w);
    struct record *r = get(w, SERVER "/t");

    run(w, 60000);
    assert_ended(r, 0);
    return datagrams(w) - before;
}

/* ---- Asking ---- */

static void a_request_is_answered_over_dtls(void **state)
{
    struct world *w = *state;
    struct record *r;

    NEEDS_DTLS(w);
    serve_text(w, w->server, "/t", 0, "secret");
    r = get(w, SERVER "/t");
    run(w, 1000);
    assert_ended(r, 0);
    assert_string_equal(r->payload, "secret");
    assert_int_equal(datagrams(w), OF_CLIENT + OF_SERVER + 2);
    assert_int_equal(count_in_transcript(w, "GET"), 0);
}

static void one_handshake_does_for_many_requests(void **state)
{
    struct world *w = *state;
    struct record *all[5];

    NEEDS_DTLS(w);
    serve_text(w, w->server, "/t", 0, "x");
    tune(w->client, COPAL_P_NSTART, 10);
    for (int i = 0; i < 5; i++)
        all[i] = get(w, SERVER "/t");
    run(w, 1000);
    for (int i = 0; i < 5; i++)
        assert_ended(all[i], 0);
    assert_int_equal(datagrams(w), OF_CLIENT + OF_SERVER + 10);
    assert_int_equal(ask_once(w), 2);
}

static char seen_identity[64];

static void note_identity(const copal_event *ev, void *user)
{
    const char *name = copal_msg_identity(ev->msg);

    (void)user;
    snprintf(seen_identity, sizeof(seen_identity), "%s",
             name == NULL ? "(none)" : name);
    copal_reply_text(ev->exchange, COPAL_CONTENT, "you");
}

static void who_asks_is_known_by_name(void **state)
{
    struct world *w = *state;
    struct record *r;

    NEEDS_DTLS(w);
    assert_int_equal(copal_serve(w->server, COPAL_GET, "/me", COPAL_SECURE,
                                 COPAL_CB(note_identity, NULL)),
                     0);
    r = get(w, SERVER "/me");
    run(w, 1000);
    assert_ended(r, 0);
    assert_int_equal(r->code, COPAL_CONTENT);
    assert_string_equal(seen_identity, "dev1");
}

static void who_asks_in_clear_has_no_name(void **state)
{
    struct world *w = *state;
    struct record *r;

    NEEDS_DTLS(w);
    assert_int_equal(copal_serve(w->server, COPAL_GET, "/me", COPAL_SECURE,
                                 COPAL_CB(note_identity, NULL)),
                     0);
    r = get(w, "coap://server/me");
    run(w, 1000);
    assert_ended(r, 0);
    assert_int_equal(r->code, COPAL_UNAUTHORIZED);
}

static void without_credentials_nothing_is_sent(void **state)
{
    struct world *w = *state;
    struct record *r;

    NEEDS_DTLS(w);
    assert_int_equal(copal_forget(w->server, "*"), 0);
    r = get(w, SERVER "/t");
    run(w, 60000);
    assert_ended(r, COPAL_ETIMEOUT);
    assert_int_equal(count_in_transcript(w, "server > client"), 0);
    assert_non_null(strstr(r->text, "does not answer the handshake"));
}

/* What the wire shows of a handshake that fails. */
static void fail_with(struct world *w, copal_bytes identity, copal_bytes key,
                      char *out, size_t room)
{
    struct record *r;

    assert_int_equal(copal_use_psk(w->client, SERVER, identity, key), 0);
    r = get(w, SERVER "/t");
    run(w, 100000);
    assert_ended(r, COPAL_EAUTH);
    assert_non_null(strstr(r->text, "has another key"));
    snprintf(out, room, "%s", copal_sim_transcript(w->sim));
}

/* RFC 4279 5.3: nobody learns which identities there are. */
static void an_unknown_identity_looks_like_a_wrong_key(void **state)
{
    static char wrong[4096], unknown[4096];
    struct world *w = *state;

    NEEDS_DTLS(w);
    fail_with(w, IDENTITY, OTHER, wrong, sizeof(wrong));
    free_world(w);
    build_dtls(state);
    w = *state;
    fail_with(w, TEXT("dev2"), KEY, unknown, sizeof(unknown));
    assert_string_equal(wrong, unknown);
}

static void a_refused_port_is_told_at_once(void **state)
{
    struct world *w = *state;
    struct record *r;

    NEEDS_DTLS(w);
    copal_free(w->server);
    w->server = NULL;
    copal_sim_refuse(w->sim, "server", 1);
    r = get(w, SERVER "/t");
    run(w, 500);
    assert_ended(r, COPAL_EREFUSED);
    assert_non_null(strstr(r->text, "nothing listens at "));
    assert_non_null(strstr(r->text, "; is the server running, and"));
}

static void who_stops_waiting_for_a_handshake_is_not_told(void **state)
{
    struct world *w = *state;
    struct record *r;

    NEEDS_DTLS(w);
    serve_text(w, w->server, "/t", 0, "x");
    copal_sim_lose(w->sim, "server", 1);
    r = get(w, SERVER "/t");
    run(w, 10);
    assert_int_equal(copal_cancel(r->exchange), 0);
    run(w, 10000);
    assert_ended(r, COPAL_ECANCEL);
    assert_int_equal(ask_once(w), 2); /* it went on without him */
}

/* ---- Bad days ---- */

/* Each datagram of either side lost once, and each pair of them. RFC 6347
 * 4.2.4. */
static void a_handshake_survives_the_loss_of_any_two(void **state)
{
    const int all = OF_CLIENT + OF_SERVER + 2;
    struct world *w = *state;

    NEEDS_DTLS(w);
    for (int a = 0; a < all; a++)
        for (int b = a; b < all; b++) {
            char lost[2][16] = {"..........", ".........."};
            struct record *r;

            lost[a % 2][a / 2] = lost[b % 2][b / 2] = 'x';
            free_world(w);
            build_dtls(state);
            w = *state;
            serve_text(w, w->server, "/t", 0, "x");
            cp_sim_lose_some(w->sim, "client", lost[0]);
            cp_sim_lose_some(w->sim, "server", lost[1]);
            r = get(w, SERVER "/t");
            run(w, 30000);
            if (r->ends != 1 || r->status != 0)
                fail_msg("lost client %s, server %s: %d %s\n%s", lost[0],
                         lost[1], r->status, r->text,
                         copal_sim_transcript(w->sim));
        }
}

static unsigned went_well, went;

static void play_storm(struct world *w)
{
    struct record *all[4];

    copal_use_psk(w->client, SERVER, IDENTITY, KEY);
    copal_use_psk(w->server, "*", IDENTITY, KEY);
    copal_listen(w->server, "coaps://*", 0);
    serve_text(w, w->server, "/t", 0, "x");
    for (int i = 0; i < 4; i++) {
        all[i] = get(w, SERVER "/t");
        run(w, 100000);
        assert_int_equal(all[i]->ends, 1);
        went++;
        went_well += all[i]->status == 0;
    }
}

static void requests_get_through_a_storm(void **state)
{
    NEEDS_DTLS((struct world *)*state);
    went = went_well = 0;
    bad_weather(play_storm, 40);
    print_message("%u of %u\n", went_well, went);
    assert_true(went_well * 100 >= went * 97);
}

/* A record that comes again is not even looked at as a message. */
static void a_record_that_comes_twice_is_heard_once(void **state)
{
    struct world *w = *state;
    struct record *served;
    copal_stats stats = {.size = sizeof(stats)};

    NEEDS_DTLS(w);
    copal_sim_set_path(w->sim, NULL, NULL,
                       (copal_sim_path){.duplication = 100});
    served = serve_text(w, w->server, "/t", 0, "x");
    ask_once(w);
    assert_int_equal(served->requests, 1);
    copal_get_stats(w->server, &stats);
    assert_int_equal(stats.duplicates, 0);
    assert_true(stats.rejected > 0);
}

/* ---- Peers that begin anew ---- */

static void reboot(struct world *w, const char *name, copal **c)
{
    copal_config config = {COPAL_CONFIG_INIT};

    copal_free(*c);
    *c = copal_sim_endpoint(w->sim, name, &config);
    assert_non_null(*c);
}

static void a_client_that_rebooted_is_served_again(void **state)
{
    struct world *w = *state;
    unsigned taken;

    NEEDS_DTLS(w);
    serve_text(w, w->server, "/t", 0, "x");
    ask_once(w);
    reboot(w, "client", &w->client);
    copal_use_psk(w->client, SERVER, IDENTITY, KEY);
    taken = ask_once(w);
    assert_int_equal(taken, OF_CLIENT + OF_SERVER + 2);
}

static void reboot_server(struct world *w)
{
    reboot(w, "server", &w->server);
    copal_use_psk(w->server, "*", IDENTITY, KEY);
    copal_listen(w->server, "coaps://*", 0);
}

/* Nobody tells the client: its request goes unanswered, thrice, and that makes
 * it try a handshake beside. The ladder is RFC 7252 4.2's, then RFC 6347 4.2.1's:
 * 2, 6 and 14 s after the request was sent first. */
static void a_server_that_rebooted_is_found_again(void **state)
{
    struct world *w = *state;
    unsigned before;
    struct record *r;

    NEEDS_DTLS(w);
    serve_text(w, w->server, "/t", 0, "x");
    ask_once(w);
    reboot_server(w);
    serve_text(w, w->server, "/t", 0, "x");
    before = datagrams(w);
    r = get(w, SERVER "/t");
    run(w, 13900);
    assert_int_equal(datagrams(w), before + 3);
    assert_int_equal(r->ends, 0);
    run(w, 1000);
    assert_ended(r, 0);
    assert_string_equal(r->payload, "x");
    assert_int_equal(datagrams(w), before + 4 + OF_CLIENT + OF_SERVER + 2);
    assert_int_equal(ask_once(w), 2);
}

/* Those that wait for their turn (NSTART) need not find it out one by one. */
static void what_waits_for_a_server_that_rebooted_is_answered_at_once(
    void **state)
{
    struct world *w = *state;
    struct record *all[5];

    NEEDS_DTLS(w);
    serve_text(w, w->server, "/t", 0, "x");
    ask_once(w);
    reboot_server(w);
    serve_text(w, w->server, "/t", 0, "x");
    for (int i = 0; i < 5; i++)
        all[i] = ask(w, w->client, i < 3 ? COPAL_GET : COPAL_POST, SERVER "/t",
                     i < 3 ? NULL : "p");
    run(w, 15000);
    for (int i = 0; i < 5; i++) /* no POST has left before */
        assert_ended(all[i], 0);
}

/* It may have been acted upon, and only the answers be lost. */
static void a_post_is_not_asked_twice_of_a_server_that_rebooted(void **state)
{
    struct world *w = *state;
    struct record *posted, *served, *next;

    NEEDS_DTLS(w);
    serve_text(w, w->server, "/t", 0, "x");
    ask_once(w);
    reboot_server(w);
    served = serve_text(w, w->server, "/t", 0, "x");
    posted = ask(w, w->client, COPAL_POST, SERVER "/t", "p");
    next = ask(w, w->client, COPAL_POST, SERVER "/t", "q");
    run(w, 15000);
    assert_ended(posted, COPAL_ECLOSED);
    assert_ended(next, 0);
    assert_int_equal(served->requests, 1);
}

static void who_is_only_hard_to_reach_keeps_his_association(void **state)
{
    struct world *w = *state;
    struct record *r;
    unsigned before;

    NEEDS_DTLS(w);
    serve_text(w, w->server, "/t", 0, "x");
    ask_once(w);
    before = datagrams(w);
    copal_sim_lose(w->sim, "client", 3);
    r = get(w, SERVER "/t");
    run(w, 60000);
    assert_ended(r, 0);
    /* The request four times and its answer, a ClientHello, and what asks for
     * a cookie, which came too late. */
    assert_int_equal(datagrams(w), before + 5 + 2);
    assert_int_equal(ask_once(w), 2);
}

/* What it began beside comes to nothing, and it is told when it always was. */
static void who_is_gone_is_given_up_when_he_always_was(void **state)
{
    struct world *w = *state;
    struct record *r;

    NEEDS_DTLS(w);
    serve_text(w, w->server, "/t", 0, "x");
    ask_once(w);
    copal_sim_lose(w->sim, "client", 1000);
    r = get(w, SERVER "/t");
    run(w, 61900);
    assert_int_equal(r->ends, 0);
    run(w, 200);
    assert_ended(r, COPAL_ETIMEOUT);
}

static void what_was_observed_ends_with_its_association(void **state)
{
    struct world *w = *state;

    NEEDS_DTLS(w);
    serve_text(w, w->server, "/t", COPAL_OBSERVABLE, "x");
    observe(w, SERVER "/t");
    run(w, 1000);
    assert_int_equal(observers(w), 1);
    reboot(w, "client", &w->client);
    copal_use_psk(w->client, SERVER, IDENTITY, KEY);
    ask_once(w);
    assert_int_equal(observers(w), 0);
}

/* ---- Those who disturb ---- */

static size_t put_hello(uint8_t out[80])
{
    static const uint8_t head[] = {
        22,   0xfe, 0xfd, 0,  0, 0, 0, 0, 0, 0, 9, 0,  54, /* record */
        1,    0,    0,    42, 0, 0, 0, 0, 0, 0, 0, 42,     /* message */
        0xfe, 0xfd,
    };
    static const uint8_t tail[] = {0, 0, 0, 2, 0xc0, 0xa8, 1, 0};

    memset(out, 0x5a, 80);
    memcpy(out, head, sizeof(head));
    memcpy(out + sizeof(head) + 32, tail, sizeof(tail));
    return sizeof(head) + 32 + sizeof(tail);
}

static void inject(struct world *w, const char *from, const void *data,
                   size_t len)
{
    assert_int_equal(
        copal_sim_inject(w->sim, from, "server",
                         (copal_bytes){(const uint8_t *)data, len}),
        0);
}

static void spoofed_hellos_and_alerts_end_nothing(void **state)
{
    static const uint8_t fatal[] = {21, 0xfe, 0xfd, 0, 0, 0, 0, 0,
                                    0,  0,    9,    0, 2, 2, 40};
    static const uint8_t goodbye[] = {21, 0xfe, 0xfd, 0, 1, 0, 0, 0,
                                      0,  0,    9,    0, 2, 1, 0};
    static const uint8_t finished[] = {22, 0xfe, 0xfd, 0, 1, 0, 0, 0,
                                       0,  0,    9,    0, 2, 1, 0};
    struct world *w = *state;
    uint8_t hello[80];
    size_t len = put_hello(hello);

    NEEDS_DTLS(w);
    serve_text(w, w->server, "/t", 0, "x");
    ask_once(w);
    inject(w, "client", hello, len);
    inject(w, "client", fatal, sizeof(fatal));
    inject(w, "client", goodbye, sizeof(goodbye));
    inject(w, "client", finished, sizeof(finished));
    run(w, 1000);
    assert_int_equal(ask_once(w), 2);
}

static uint64_t memory_of(copal *c)
{
    copal_stats stats = {.size = sizeof(stats)};

    assert_int_equal(copal_get_stats(c, &stats), 0);
    return stats.memory;
}

/* From 250 addresses; each answer is no longer than what it answers. */
static void a_flood_of_hellos_leaves_nothing_behind(void **state)
{
    struct world *w = *state;
    uint8_t hello[80];
    size_t len = put_hello(hello);
    uint64_t before;
    char from[32], line[64];

    NEEDS_DTLS(w);
    copal_sim_keep(w->sim, 1 << 20);
    inject(w, "192.0.2.1", hello, len);
    run(w, 10);
    before = memory_of(w->server);
    for (int i = 1; i <= 250; i++) {
        snprintf(from, sizeof(from), "192.0.2.%d", i);
        inject(w, from, hello, len);
    }
    run(w, 1000);
    assert_int_equal(memory_of(w->server), before);
    snprintf(line, sizeof(line), "server > 192.0.2.77 DTLS (44 bytes)");
    assert_int_equal(count_in_transcript(w, line), 1);
    assert_true(len >= 44);
}

/* Who was served and is quiet costs a record of his keys. COPAL_PEERS of them
 * for a longer run. */
static void a_quiet_peer_takes_little_memory(void **state)
{
    struct world *w = *state;
    const char *text = getenv("COPAL_PEERS");
    int peers = text == NULL ? 200 : atoi(text);
    uint64_t before, each;

    NEEDS_DTLS(w);
    copal_sim_keep(w->sim, 0);
    tune(w->server, COPAL_P_DEDUP_MEMORY, 4096); /* it is not about answers */
    serve_text(w, w->server, "/t", 0, "x");
    ask_once(w);
    run(w, 300000);
    before = memory_of(w->server);
    for (int i = 0; i < peers; i++) {
        char name[16];
        copal *c;

        snprintf(name, sizeof(name), "peer%d", i);
        c = copal_sim_endpoint(w->sim, name, NULL);
        assert_non_null(c);
        copal_use_psk(c, SERVER, IDENTITY, KEY);
        copal_get(c, SERVER "/t", COPAL_CB(NULL, NULL));
        run(w, 10);
        copal_free(c);
    }
    run(w, 300000);
    each = (memory_of(w->server) - before) / (uint64_t)peers;
    print_message("%d peers, %u bytes each\n", peers, (unsigned)each);
    assert_true(each > 200);
    assert_true(each <= 5 * 1024 * 1024 / 10000);
}

static void no_more_than_5000_hellos_a_second_are_answered(void **state)
{
    struct world *w = *state;
    uint8_t hello[80];
    size_t len = put_hello(hello);
    copal_stats stats = {.size = sizeof(stats)};

    NEEDS_DTLS(w);
    copal_sim_keep(w->sim, 0);
    for (int i = 0; i < 12000; i++)
        inject(w, "192.0.2.1", hello, len);
    run(w, 10);
    copal_get_stats(w->server, &stats);
    assert_in_range(stats.datagrams_out, 5000, 5050);
    run(w, 2000);
    inject(w, "192.0.2.1", hello, len);
    run(w, 10);
    copal_get_stats(w->server, &stats);
    assert_in_range(stats.datagrams_out, 5001, 5051);
}

static void junk_is_not_answered(void **state)
{
    struct world *w = *state;
    uint8_t junk[80];

    NEEDS_DTLS(w);
    for (uint8_t type = 20; type <= 26; type++)
        for (size_t len = 1; len <= sizeof(junk); len++) {
            memset(junk, 0x33, sizeof(junk));
            junk[0] = type;
            junk[1] = 0xfe;
            junk[2] = 0xfd;
            junk[11] = 0;
            junk[12] = (uint8_t)(len > 13 ? len - 13 : 0);
            inject(w, "192.0.2.1", junk, len);
        }
    run(w, 1000);
    assert_int_equal(count_in_transcript(w, "server > "), 0);
}

/* Peers that show their cookie and then fall silent. */
static void handshakes_that_stop_half_way_are_bounded(void **state)
{
    struct world *w = *state;
    copal *all[6];
    struct record *r;
    char name[16];

    NEEDS_DTLS(w);
    tune(w->server, COPAL_P_MAX_HANDSHAKES, 3);
    serve_text(w, w->server, "/t", 0, "x");
    for (int i = 0; i < 6; i++) {
        snprintf(name, sizeof(name), "half%d", i);
        all[i] = add_host(w, name);
        copal_use_psk(all[i], SERVER, IDENTITY, KEY);
        cp_sim_lose_some(w->sim, name, "..xxxxxxxxxxxx");
        ask(w, all[i], COPAL_GET, SERVER "/t", NULL);
        run(w, 10);
    }
    r = get(w, SERVER "/t");
    run(w, 500);
    assert_ended(r, 0);
    assert_non_null(
        strstr((const char *)copal_metrics_text(w->server).data,
               "copal_limit_hits_total{limit=\"max_handshakes\"} 4"));
    for (int i = 0; i < 6; i++)
        copal_free(all[i]);
}

/* ---- Connection IDs, RFC 9146 ---- */

static void a_client_that_moves_needs_no_handshake(void **state)
{
    struct world *w = *state;
    struct record *o;

    NEEDS_DTLS(w);
    serve_text(w, w->server, "/t", COPAL_OBSERVABLE, "x");
    ask_once(w);
    o = observe(w, SERVER "/t");
    run(w, 1000);
    for (int i = 0; i < 10; i++) {
        copal_sim_move(w->sim, "client");
        assert_int_equal(ask_once(w), 2);
        copal_notify(w->server, "/t");
        run(w, 10000);
        assert_int_equal(o->responses, 2 + i);
    }
    assert_int_equal(observers(w), 1);
}

/* The only association of c. */
static struct cp_dtls_session *only_session(const copal *c)
{
    const struct cp_dtls *d = cp_container_of(
        cp_list_first(&c->credentials->links), struct cp_dtls, node);

    assert_int_equal(d->up_count, 1);
    return cp_container_of(cp_list_first(&d->up), struct cp_dtls_session, node);
}

/* As a peer that knows no RFC 9146 would have it. */
static void take_connection_ids(struct world *w)
{
    struct cp_dtls_session *ours = only_session(w->client);
    struct cp_dtls_session *its = only_session(w->server);

    assert_true(ours->protect.cid_out_len > 0);
    ours->protect.cid_out_len = 0;
    cp_map_remove(&its->dtls->by_cid, &its->by_cid);
    its->protect.cid_in_len = 0;
}

/* Its records come from where nobody is known, and are dropped without a word:
 * to the client that is as if the server had rebooted. */
static void without_connection_id_who_moves_shakes_hands_again(void **state)
{
    struct world *w = *state;
    struct record *r, *served;

    NEEDS_DTLS(w);
    served = serve_text(w, w->server, "/t", 0, "x");
    ask_once(w);
    take_connection_ids(w);
    assert_int_equal(ask_once(w), 2);
    copal_sim_move(w->sim, "client");
    r = get(w, SERVER "/t");
    run(w, 13900);
    assert_int_equal(r->ends, 0);
    assert_int_equal(served->requests, 2);
    run(w, 1000);
    assert_ended(r, 0);
    assert_int_equal(served->requests, 3);
    assert_int_equal(ask_once(w), 2);
}

/* ---- Records that somebody forges ---- */

/* As with a peer that has neither RFC 9146 nor longer tags. */
static void take_long_tags(struct world *w)
{
    struct cp_protect *ours = &only_session(w->client)->protect;
    struct cp_protect *its = &only_session(w->server)->protect;

    take_connection_ids(w);
    ours->in.key.algorithm = ours->out.key.algorithm = CP_AES_128_CCM_8;
    its->in.key.algorithm = its->out.key.algorithm = CP_AES_128_CCM_8;
}

/* A datagram full of them, as from who is known there without Connection ID. */
static void forge(struct world *w, const char *from, const char *to, int count)
{
    static const uint8_t record[] =
        {
            23,  0xfe, 0xfd, 0,   1,   0,   0,   0,   1,   0,
            0,   0,    20, /* head */
            'n', 'o',  'n',  'c', 'e', ' ', ' ', ' ', 'f', 'o',
            'r', 'g',  't',  'a', 'g', ' ', 'o', 'f', ' ', '8',
        };
    uint8_t all[40 * sizeof(record)];

    for (size_t i = 0; i < 40; i++)
        memcpy(all + i * sizeof(record), record, sizeof(record));
    for (; count > 0; count -= 40)
        assert_int_equal(
            copal_sim_inject(
                w->sim, from, to,
                (copal_bytes){all, (size_t)(count < 40 ? count : 40) *
                                       sizeof(record)}),
            0);
}

enum {
    FORGERIES = 1 << 14 /* that end an association with tags of 8 bytes */
};

static void some_forged_records_harm_nobody(void **state)
{
    struct world *w = *state;

    NEEDS_DTLS(w);
    serve_text(w, w->server, "/t", 0, "x");
    ask_once(w);
    take_long_tags(w);
    forge(w, "client", "server", FORGERIES - 1);
    run(w, 1000);
    assert_int_equal(only_session(w->server)->protect.failed, FORGERIES - 1);
    assert_int_equal(ask_once(w), 2);
}

/* As after so many that one more ends it. */
static void forge_nearly_all(copal *c)
{
    only_session(c)->protect.failed = FORGERIES - 1;
}

/* The server says so by an alert under the old keys; the client shakes hands
 * anew, with who waits and without. */
static void forged_records_cost_a_handshake_and_no_request(void **state)
{
    static const char *const from[] = {"client", "server"};
    static const char *const to[] = {"server", "client"};
    struct world *w = *state;
    struct record *r, *served;

    NEEDS_DTLS(w);
    served = serve_text(w, w->server, "/t", 0, "x");
    for (int i = 0; i < 4; i++) {
        int asked = served->requests;

        ask_once(w);
        take_long_tags(w);
        forge_nearly_all(i % 2 == 0 ? w->server : w->client);
        if (i / 2 == 0) { /* nobody waits: the next request begins anew */
            forge(w, from[i % 2], to[i % 2], 1);
            run(w, 1000);
            assert_int_equal(ask_once(w), OF_CLIENT + OF_SERVER + 2);
        } else { /* while a request is on its way */
            copal_sim_lose(w->sim, "client", 1);
            r = get(w, SERVER "/t");
            run(w, 100);
            forge(w, from[i % 2], to[i % 2], 1);
            run(w, 1000); /* not after ACK_TIMEOUT: at once */
            assert_ended(r, 0);
        }
        assert_int_equal(served->requests, asked + 2);
        assert_int_equal(copal_disconnect(w->client, NULL), 1);
        run(w, 100);
        assert_int_equal(copal_disconnect(w->server, NULL), 0);
    }
}

static size_t up_count(const copal *c)
{
    return cp_container_of(cp_list_first(&c->credentials->links),
                           struct cp_dtls, node)
        ->up_count;
}

/* A server that ends each with an alert, so many ms after it is up, is not asked
 * for one after the other. */
static void end_each_after(struct world *w, uint64_t ms_up)
{
    static const uint8_t fatal[] = {2, 80}; /* internal_error */
    struct record *r, *served;

    served = serve_text(w, w->server, "/t", 0, "x");
    copal_sim_set_path(w->sim, NULL, NULL, (copal_sim_path){.delay = 10});
    ask_once(w);
    copal_sim_lose(w->sim, "client", 1);
    r = get(w, SERVER "/t");
    run(w, 100);
    for (int i = 0; i < 2; i++) {
        assert_int_equal(cp_dtls_send_record(only_session(w->server), CP_ALERT,
                                             cp_bytes(fatal, sizeof(fatal))),
                         0);
        cp_dtls_session_end(only_session(w->server), COPAL_ECLOSED, false);
        for (int ms = 0; i == 0 && up_count(w->server) == 0; ms++) {
            assert_true(ms < 1000);
            run(w, 1);
        }
        run(w, ms_up);
        assert_int_equal(r->ends, 0);
    }
    run(w, 10000);
    assert_ended(r, COPAL_ECLOSED);
    assert_int_equal(served->requests, 1);
    assert_int_equal(up_count(w->client) + up_count(w->server), 0);
    assert_int_equal(ask_once(w), OF_CLIENT + OF_SERVER + 2);
}

/* Behind the handshake, before an answer could be there. */
static void a_renewed_association_is_not_renewed_for_nothing(void **state)
{
    NEEDS_DTLS(*state);
    end_each_after(*state, 5);
}

/* Both arrive in the same ms, but one after the other. */
static void one_that_ends_as_soon_as_it_is_up_is_renewed_no_more(void **state)
{
    NEEDS_DTLS(*state);
    end_each_after(*state, 0);
}

/* As of some peers whose association failed for good. */
static void a_good_bye_behind_a_fatal_alert_costs_no_request(void **state)
{
    static const uint8_t fatal[] = {2, 80}; /* internal_error */
    struct world *w = *state;
    struct record *r, *served;

    NEEDS_DTLS(w);
    served = serve_text(w, w->server, "/t", 0, "x");
    ask_once(w);
    copal_sim_lose(w->sim, "client", 1);
    r = get(w, SERVER "/t");
    run(w, 100);
    assert_int_equal(cp_dtls_send_record(only_session(w->server), CP_ALERT,
                                         cp_bytes(fatal, sizeof(fatal))),
                     0);
    cp_dtls_session_end(only_session(w->server), COPAL_ECLOSED, true);
    run(w, 1000);
    assert_ended(r, 0);
    assert_int_equal(served->requests, 2);
}

/* Not the network's fault, and the server is not there to shake hands. */
static void who_waits_is_told_when_there_is_no_new_association(void **state)
{
    struct world *w = *state;
    struct record *r;

    NEEDS_DTLS(w);
    serve_text(w, w->server, "/t", 0, "x");
    ask_once(w);
    take_long_tags(w);
    forge_nearly_all(w->client);
    copal_sim_lose(w->sim, "client", 1000);
    r = get(w, SERVER "/t");
    run(w, 100);
    forge(w, "server", "client", 2);
    run(w, 100);
    assert_int_equal(r->ends, 0);
    run(w, 60000);
    assert_ended(r, COPAL_ETIMEOUT);
    assert_int_equal(copal_disconnect(w->client, NULL), 0);
}

/* ---- Ends, and signs of life ---- */

static void disconnected_both_ends_let_go(void **state)
{
    struct world *w = *state;
    struct record *waits;
    uint64_t before;

    NEEDS_DTLS(w);
    serve_text(w, w->server, "/t", COPAL_OBSERVABLE, "x");
    ask_once(w);
    observe(w, SERVER "/t");
    run(w, 1000);
    assert_int_equal(observers(w), 1);
    before = memory_of(w->server);
    copal_sim_lose(w->sim, "server", 1);
    waits = get(w, SERVER "/t");
    run(w, 100);
    assert_int_equal(copal_disconnect(w->client, "coaps://other"), 0);
    assert_int_equal(copal_disconnect(w->client, "coap://server"), 0);
    assert_int_equal(copal_disconnect(w->client, SERVER), 1);
    run(w, 100);
    assert_ended(waits, COPAL_ECLOSED);
    assert_int_equal(observers(w), 0);
    assert_true(memory_of(w->server) < before);
    assert_int_equal(copal_disconnect(w->client, NULL), 0);
    assert_int_equal(copal_disconnect(w->server, NULL), 0);
    assert_int_equal(ask_once(w), OF_CLIENT + OF_SERVER + 2);
    assert_int_equal(copal_disconnect(w->server, "coaps://client"), 1);
    run(w, 100);
    assert_int_equal(copal_disconnect(w->client, NULL), 0);
}

/* A ping each 20 s of silence, and its answer; behind it a request needs no
 * handshake, and a server that sleeps is not woken by anybody. */
static void silence_is_broken_by_a_ping(void **state)
{
    struct world *w = *state;
    unsigned before;

    NEEDS_DTLS(w);
    serve_text(w, w->server, "/t", 0, "x");
    tune(w->client, COPAL_P_KEEPALIVE, 20000);
    tune(w->server, COPAL_P_KEEPALIVE, 1000);
    get(w, SERVER "/t");
    run(w, 1000);
    before = datagrams(w);
    run(w, 100000);
    assert_int_equal(datagrams(w) - before, 10);
    copal_sim_lose(w->sim, "server", 2); /* answers to pings */
    run(w, 40000);
    copal_sim_move(w->sim, "client");
    before = datagrams(w);
    run(w, 40000);
    assert_true(datagrams(w) - before >= 4);
    assert_int_equal(ask_once(w) % 2, 0);
    assert_int_equal(copal_disconnect(w->client, NULL), 1);
}

static void who_does_not_answer_pings_is_given_up_after_30_s(void **state)
{
    struct world *w = *state;
    struct record *o;

    NEEDS_DTLS(w);
    serve_text(w, w->server, "/t", COPAL_OBSERVABLE, "x");
    tune(w->client, COPAL_P_KEEPALIVE, 20000);
    o = observe(w, SERVER "/t");
    run(w, 1000);
    assert_int_equal(o->responses, 1);
    copal_sim_lose(w->sim, "server", 1000);
    run(w, 45000);
    assert_int_equal(o->ends, 0);
    run(w, 10000);
    assert_ended(o, COPAL_ECLOSED);
    assert_int_equal(copal_disconnect(w->client, NULL), 0);
}

/* ---- Memory ---- */

static void play_request(struct world *w)
{
    struct record *r;

    if (copal_use_psk(w->client, SERVER, IDENTITY, KEY) != 0 ||
        copal_use_psk(w->server, "*", IDENTITY, KEY) != 0 ||
        copal_listen(w->server, "coaps://*", 0) != 0)
        return;
    serve_text(w, w->server, "/t", 0, "x");
    r = get(w, SERVER "/t");
    run(w, 300000);
    if (!memory_failed(w))
        assert_ended(r, 0);
}

/* The server lets go of the association, which the client does not hear. */
static void play_forgotten(struct world *w)
{
    struct record *all[2];

    play_request(w);
    copal_sim_lose(w->sim, "server", 1);
    (void)copal_disconnect(w->server, NULL);
    for (int i = 0; i < 2; i++)
        all[i] = get(w, SERVER "/t");
    run(w, 300000);
    for (int i = 0; !memory_failed(w) && i < 2; i++)
        assert_ended(all[i], 0);
}

static void every_allocation_may_fail(void **state)
{
    NEEDS_DTLS((struct world *)*state);
    for_each_failed_allocation(play_request);
    for_each_failed_allocation(play_forgotten);
}

#define WORLD(f) cmocka_unit_test_setup_teardown(f, build_dtls, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        WORLD(a_request_is_answered_over_dtls),
        WORLD(one_handshake_does_for_many_requests),
        WORLD(who_asks_is_known_by_name),
        WORLD(who_asks_in_clear_has_no_name),
        WORLD(without_credentials_nothing_is_sent),
        WORLD(an_unknown_identity_looks_like_a_wrong_key),
        WORLD(a_refused_port_is_told_at_once),
        WORLD(who_stops_waiting_for_a_handshake_is_not_told),
        WORLD(a_handshake_survives_the_loss_of_any_two),
        WORLD(requests_get_through_a_storm),
        WORLD(a_record_that_comes_twice_is_heard_once),
        WORLD(a_client_that_rebooted_is_served_again),
        WORLD(a_server_that_rebooted_is_found_again),
        WORLD(what_waits_for_a_server_that_rebooted_is_answered_at_once),
        WORLD(a_post_is_not_asked_twice_of_a_server_that_rebooted),
        WORLD(who_is_only_hard_to_reach_keeps_his_association),
        WORLD(who_is_gone_is_given_up_when_he_always_was),
        WORLD(what_was_observed_ends_with_its_association),
        WORLD(spoofed_hellos_and_alerts_end_nothing),
        WORLD(a_flood_of_hellos_leaves_nothing_behind),
        WORLD(a_quiet_peer_takes_little_memory),
        WORLD(no_more_than_5000_hellos_a_second_are_answered),
        WORLD(junk_is_not_answered),
        WORLD(handshakes_that_stop_half_way_are_bounded),
        WORLD(a_client_that_moves_needs_no_handshake),
        WORLD(without_connection_id_who_moves_shakes_hands_again),
        WORLD(some_forged_records_harm_nobody),
        WORLD(forged_records_cost_a_handshake_and_no_request),
        WORLD(a_renewed_association_is_not_renewed_for_nothing),
        WORLD(a_good_bye_behind_a_fatal_alert_costs_no_request),
        WORLD(one_that_ends_as_soon_as_it_is_up_is_renewed_no_more),
        WORLD(who_waits_is_told_when_there_is_no_new_association),
        WORLD(disconnected_both_ends_let_go),
        WORLD(silence_is_broken_by_a_ping),
        WORLD(who_does_not_answer_pings_is_given_up_after_30_s),
        WORLD(every_allocation_may_fail),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
