/* Requests to a group, from both sides. RFC 7252 8; RFC 7959 2.8; RFC 7967. */
#include "servers.h"
#include <stdlib.h>

#define GROUP "coap://224.0.1.187"

enum {
    MAX_HEARD = 2048,
    MEMBERS = 3
};

/* What one request to a group heard: a line for each answer. */
struct heard {
    struct record *record;
    char lines[MAX_HEARD];
};

static void hear(const copal_event *ev, void *user)
{
    struct heard *h = user;
    copal_cb cb = recording(h->record);
    size_t used = strlen(h->lines);
    copal_bytes body;

    cb.fn(ev, cb.user);
    if (ev->kind != COPAL_RESPONSE)
        return;
    body = copal_msg_payload(ev->msg);
    snprintf(h->lines + used, sizeof(h->lines) - used, "%s %.4s %.*s\n",
             copal_msg_remote(ev->msg),
             copal_name(COPAL_CODES, copal_msg_code(ev->msg)),
             (int)(body.len < 40 ? body.len : 40), (const char *)body.data);
}

static void drop_heard(void *user)
{
    struct heard *h = user;

    h->record->drops++;
    free(h);
}

/* The lines live as long as the request, and its END: kept is for the end. */
static char kept[MAX_HEARD];

static void hear_and_keep(const copal_event *ev, void *user)
{
    struct heard *h = user;

    hear(ev, user);
    strcpy(kept, h->lines);
}

static struct record *request(struct world *w, copal_msg *m)
{
    struct heard *h = calloc(1, sizeof(*h));
    struct record *r = next_record(w);

    assert_non_null(h);
    kept[0] = '\0';
    h->record = r;
    r->exchange =
        copal_request(w->client, m, COPAL_CB_OWN(hear_and_keep, h, drop_heard));
    r->is_asked = true;
    r->is_begun = r->exchange != NULL;
    copal_msg_unref(m);
    return r;
}

static copal_msg *message(struct world *w, int code, const char *uri)
{
    copal_msg *m = copal_msg_new(w->client, code);

    copal_msg_set_uri(m, uri);
    copal_msg_set_flags(m, COPAL_NON);
    return m;
}

static struct record *ask_group(struct world *w, const char *uri)
{
    return request(w, message(w, COPAL_GET, uri));
}

static copal_msg *observing(struct world *w, const char *uri)
{
    copal_msg *m = message(w, COPAL_GET, uri);

    copal_msg_add_uint(m, COPAL_OPT_OBSERVE, 0);
    return m;
}

/* A second and a third server; each tells its name at /name, to groups too, and
 * all three have joined. */
static void add_members(struct world *w, copal *c[MEMBERS])
{
    static const char *const names[MEMBERS] = {"server", "server2", "server3"};

    c[0] = w->server;
    for (int i = 0; i < MEMBERS; i++) {
        if (i > 0)
            c[i] = add_host(w, names[i]);
        if (c[i] == NULL)
            continue;
        serve_text(w, c[i], "/name", COPAL_GROUP | COPAL_OBSERVABLE, names[i]);
        (void)copal_join(c[i], GROUP, NULL);
    }
}

static uint64_t stat_limited(copal *c)
{
    copal_stats stats = {.size = sizeof(stats)};

    assert_int_equal(copal_get_stats(c, &stats), 0);
    return stats.limited;
}

/* ---- Who answers, and when ---- */

static void all_members_answer_and_the_asker_hears_each(void **state)
{
    struct world *w = *state;
    copal *c[MEMBERS];
    struct record *r;

    add_members(w, c);
    for (int i = 0; i < MEMBERS; i++)
        copal_tune(c[i], NULL, COPAL_P_LEISURE, 0);
    r = ask_group(w, GROUP "/name");
    copal_sim_run(w->sim, 6999);
    assert_string_equal(kept, "coap://server 2.05 server\n"
                              "coap://server2 2.05 server2\n"
                              "coap://server3 2.05 server3\n");
    assert_int_equal(r->ends, 0); /* LEISURE and ACK_TIMEOUT */
    copal_sim_run(w->sim, 1);
    assert_ended(r, 0);
    assert_transcript(w, "   0 client > 224.0.1.187 NON GET 0001 /name\n"
                         "   0 server > client NON 2.05 0001 \"server\"\n"
                         "   0 server2 > client NON 2.05 0001 \"server2\"\n"
                         "   0 server3 > client NON 2.05 0001 \"server3\"\n");
}

static void each_answers_at_its_own_time_within_leisure(void **state)
{
    struct world *w = *state;
    copal *c[MEMBERS];
    unsigned before = 0;
    int moments = 0;

    add_members(w, c);
    ask_group(w, GROUP "/name");
    for (int ms = 0; ms <= 5000; ms += 100) {
        unsigned now;

        copal_sim_run(w->sim, 100);
        now = count_in_transcript(w, "> client NON 2.05");
        moments += now != before;
        before = now;
    }
    assert_int_equal(before, MEMBERS);
    assert_int_equal(moments, MEMBERS);
    copal_sim_run(w->sim, 2000);
}

static void who_has_not_joined_or_has_left_hears_nothing(void **state)
{
    struct world *w = *state;
    copal *c[MEMBERS];
    struct record *r;

    add_members(w, c);
    for (int i = 0; i < MEMBERS; i++)
        copal_tune(c[i], NULL, COPAL_P_LEISURE, 0);
    assert_int_equal(copal_leave(c[0], GROUP, NULL), 0);
    assert_int_equal(copal_join(c[0], "coap://224.0.1.188", NULL), 0);
    copal_free(c[1]); /* reboots, and is no member any more */
    c[1] = add_host(w, "server2");
    assert_non_null(c[1]);
    serve_text(w, c[1], "/name", COPAL_GROUP, "back");
    r = ask_group(w, GROUP "/name");
    copal_sim_run(w->sim, 7000);
    assert_ended(r, 0);
    assert_string_equal(kept, "coap://server3 2.05 server3\n");
}

static void groups_are_told_apart_by_address_and_port(void **state)
{
    struct world *w = *state;
    struct record *r;

    serve_text(w, w->server, "/name", COPAL_GROUP, "six");
    assert_int_equal(copal_join(w->server, "coap://[ff02::fd%eth0]:61616", "x"),
                     0);
    r = ask_group(w, "coap://[ff02::fd]/name");
    copal_sim_run(w->sim, 7000);
    assert_ended(r, COPAL_ETIMEOUT);
    assert_non_null(strstr(r->text, "nobody in the group"));
    r = ask_group(w, "coap://[ff02::fd%eth7]:61616/name");
    copal_sim_run(w->sim, 7000);
    assert_ended(r, 0);
    assert_int_equal(
        count_in_transcript(w, "client > [ff02::fd] NON GET 0001 /name "
                               "(nobody)\n"),
        1);
    assert_int_equal(
        count_in_transcript(w, "client > [ff02::fd]:61616 NON GET 0001 /name"),
        1);
}

static void joining_and_leaving_tell_what_was_wrong(void **state)
{
    struct world *w = *state;

    assert_int_equal(copal_join(w->server, GROUP, NULL), 0);
    assert_int_equal(copal_join(w->server, GROUP, NULL), COPAL_EEXIST);
    assert_int_equal(copal_leave(w->server, GROUP, NULL), 0);
    assert_int_equal(copal_leave(w->server, GROUP, NULL), COPAL_ENOENT);
    assert_int_equal(copal_join(w->server, "coap://192.0.2.1", NULL),
                     COPAL_EINVAL);
    assert_non_null(strstr(copal_why(w->server), "not the address of a group"));
    assert_int_equal(copal_join(w->server, "224.0.1.187", NULL), COPAL_EURI);
}

/* ---- What is answered ---- */

static void only_what_is_served_to_groups_answers(void **state)
{
    struct world *w = *state;
    struct record *quiet = serve_text(w, w->server, "/quiet", 0, "no");
    struct record *loud = serve_text(w, w->server, "/loud", COPAL_GROUP, "yes");

    copal_join(w->server, GROUP, NULL);
    ask_group(w, GROUP "/quiet");
    ask_group(w, GROUP "/loud");
    ask_group(w, GROUP "/none");
    copal_sim_run(w->sim, 20000);
    assert_int_equal(quiet->requests, 0);
    assert_int_equal(loud->requests, 1);
    assert_int_equal(count_in_transcript(w, "server > client"), 1);
    assert_int_equal(count_in_transcript(w, "\"yes\""), 1);
}

static void refuse(const copal_event *ev, void *user)
{
    struct record *r = user;

    r->requests++;
    copal_reply_text(ev->exchange, COPAL_CONFLICT, "no");
}

static struct record *serve_refusal(struct world *w)
{
    struct record *r = next_record(w);

    copal_serve(w->server, 0, "/refuses", COPAL_GROUP, COPAL_CB(refuse, r));
    r->drops = 1; /* it is never let go of */
    copal_join(w->server, GROUP, NULL);
    return r;
}

static void no_error_goes_to_a_groups_asker(void **state)
{
    struct world *w = *state;
    struct record *served = serve_refusal(w), *r;
    copal_msg *m = message(w, COPAL_GET, GROUP "/refuses");

    copal_msg_add_text(m, 65001, "unknown, and critical");
    request(w, m);
    r = ask_group(w, GROUP "/refuses");
    ask_group(w, GROUP "/.well-known/core?rt=nothing");
    copal_sim_run(w->sim, 30000);
    assert_int_equal(served->requests, 1);
    assert_ended(r, COPAL_ETIMEOUT);
    assert_int_equal(count_in_transcript(w, "server > client"), 0);
}

/* RFC 7967 2.1: interest in a class overrides a server's silence. */
static void no_response_says_which_errors_are_wanted(void **state)
{
    struct world *w = *state;
    copal_msg *m = message(w, COPAL_GET, GROUP "/refuses");
    struct record *r;

    serve_refusal(w);
    copal_msg_add_uint(m, COPAL_OPT_NO_RESPONSE, 2); /* not 2.xx */
    r = request(w, m);
    copal_sim_run(w->sim, 7000);
    assert_ended(r, 0);
    assert_int_equal(r->code, COPAL_CONFLICT);

    m = message(w, COPAL_GET, GROUP "/refuses");
    copal_msg_add_uint(m, COPAL_OPT_NO_RESPONSE, 8); /* not 4.xx */
    r = request(w, m);
    copal_sim_run(w->sim, 7000);
    assert_ended(r, COPAL_ETIMEOUT);

    m = message(w, COPAL_GET, GROUP "/none"); /* nothing is served to groups */
    copal_msg_add_uint(m, COPAL_OPT_NO_RESPONSE, 0);
    r = request(w, m);
    copal_sim_run(w->sim, 7000);
    assert_ended(r, COPAL_ETIMEOUT);
}

/* The block stage says so where the handler gave a good answer. */
static void a_block_beyond_the_end_is_no_ones_error(void **state)
{
    struct world *w = *state;
    copal *c[MEMBERS];
    copal_msg *m;

    add_members(w, c);
    m = message(w, COPAL_GET, GROUP "/name");
    copal_msg_set_flags(m, COPAL_NON | COPAL_RAW_BLOCKS);
    copal_msg_add_uint(m, COPAL_OPT_BLOCK2, 0x56); /* number 5 */
    request(w, m);
    m = message(w, COPAL_GET, "coap://server/name");
    copal_msg_set_flags(m, COPAL_RAW_BLOCKS);
    copal_msg_add_uint(m, COPAL_OPT_BLOCK2, 0x56);
    copal_msg_add_uint(m, COPAL_OPT_NO_RESPONSE, 8); /* nor of one host */
    request(w, m);
    copal_sim_run(w->sim, 20000);
    assert_int_equal(count_in_transcript(w, "4.00"), 0);
}

static void no_response_silences_successes(void **state)
{
    struct world *w = *state;
    copal *c[MEMBERS];
    copal_msg *m = message(w, COPAL_PUT, GROUP "/name");
    struct record *r;

    add_members(w, c);
    copal_msg_add_uint(m, COPAL_OPT_NO_RESPONSE, 26);
    r = request(w, m);
    copal_sim_run(w->sim, 7000);
    assert_ended(r, 0); /* nobody is waited for: RFC 7967 2.1 */
    assert_int_equal(r->responses, 0);
    assert_transcript(w, "   0 client > 224.0.1.187 NON PUT 0001 /name\n");
}

static void discovery_finds_who_has_what_is_looked_for(void **state)
{
    struct world *w = *state;
    copal *c[MEMBERS];

    add_members(w, c);
    copal_describe(c[1], "/name", "rt", "lamp");
    ask_group(w, GROUP "/.well-known/core?rt=lamp");
    copal_sim_run(w->sim, 7000);
    assert_string_equal(kept, "coap://server2 2.05 </name>;rt=\"lamp\";obs\n");
}

/* ---- What is not heard ---- */

/* RFC 7252 8.1: nothing to a group is confirmed or rejected. */
static void nothing_but_non_is_heard_by_a_group(void **state)
{
    struct world *w = *state;
    struct record *r = serve_text(w, w->server, "/t", COPAL_GROUP, "yes");
    copal_stats stats = {.size = sizeof(stats)};

    copal_join(w->server, GROUP, NULL);
    inject_hex(w, "192.0.2.1", "224.0.1.187", "4001 1111 b1 74"); /* CON GET */
    inject_hex(w, "192.0.2.1", "224.0.1.187", "4000 1112");       /* ping    */
    inject_hex(w, "192.0.2.1", "224.0.1.187", "6000 1113");       /* ACK     */
    inject_hex(w, "192.0.2.1", "224.0.1.187", "4045 1114 ff 78"); /* CON 2.05 */
    inject_hex(w, "192.0.2.1", "224.0.1.187", "5045 1115 ff 78"); /* NON 2.05 */
    inject_hex(w, "192.0.2.1", "224.0.1.187", "4101 1116");       /* no token */
    copal_sim_run(w->sim, 10000);
    assert_int_equal(r->requests, 0);
    assert_int_equal(count_in_transcript(w, "server >"), 0);
    copal_get_stats(w->server, &stats);
    assert_int_equal(stats.rejected, 5);
    assert_int_equal(stats.malformed, 1);

    inject_hex(w, "192.0.2.1", "224.0.1.187", "5001 1117 b1 74"); /* NON GET */
    copal_sim_run(w->sim, 10000);
    assert_int_equal(r->requests, 1);
    assert_int_equal(count_in_transcript(w, "server > 192.0.2.1 NON 2.05"), 1);
}

static void a_repeat_is_acted_upon_once(void **state)
{
    struct world *w = *state;
    struct record *r = serve_text(w, w->server, "/t", COPAL_GROUP, "yes");

    copal_join(w->server, GROUP, NULL);
    for (int i = 0; i < 3; i++) {
        inject_hex(w, "192.0.2.1", "224.0.1.187", "5102 1111 aa b1 74");
        copal_sim_run(w->sim, 3000);
    }
    assert_int_equal(r->requests, 1);
    assert_int_equal(count_in_transcript(w, "server > 192.0.2.1"), 1);
    inject_hex(w, "192.0.2.1", "224.0.1.187", "5102 1112 aa b1 74");
    copal_sim_run(w->sim, 6000);
    assert_int_equal(r->requests, 2);
}

static void an_upload_in_blocks_to_a_group_is_ignored(void **state)
{
    struct world *w = *state;
    struct record *r = serve_text(w, w->server, "/t", COPAL_GROUP, "yes");

    copal_join(w->server, GROUP, NULL);
    /* PUT /t, Block1 0/1/16 and 0/0/16 */
    inject_hex(w, "192.0.2.1", "224.0.1.187",
               "5003 1111 b1 74 d1 03 08 ff 30313233343536373839303132333435");
    inject_hex(w, "192.0.2.1", "224.0.1.187", "5003 1112 b1 74 d0 03 ff 30");
    copal_sim_run(w->sim, 10000);
    assert_int_equal(r->requests, 0);
    assert_int_equal(count_in_transcript(w, "server >"), 0);
}

/* ---- Floods ---- */

static void strangers(struct world *w, const char *group, unsigned count,
                      unsigned first)
{
    for (unsigned i = 0; i < count; i++) {
        char hex[32], from[32];

        snprintf(hex, sizeof(hex), "5001 %04x b1 74", first + i);
        snprintf(from, sizeof(from), "192.0.2.%u", 1 + i % 200);
        inject_hex(w, from, group, hex);
    }
}

/* T31: what strangers ask of a group is answered at a rate of its own. */
static void answers_to_one_group_are_rationed(void **state)
{
    struct world *w = *state;

    serve_text(w, w->server, "/t", COPAL_GROUP, "yes");
    copal_join(w->server, GROUP, NULL);
    copal_join(w->server, "coap://224.0.1.188", NULL);
    copal_tune(w->server, NULL, COPAL_P_GROUP_RATE, 5);
    copal_tune(w->server, NULL, COPAL_P_LEISURE, 10000);
    strangers(w, "224.0.1.187", 1000, 0x1000);
    copal_sim_run(w->sim, 0);
    assert_int_equal(stat_limited(w->server), 995);
    strangers(w, "224.0.1.188", 4, 0x2000); /* another group's share */
    copal_sim_run(w->sim, 1000);
    assert_int_equal(stat_limited(w->server), 995);
    strangers(w, "224.0.1.187", 6, 0x3000); /* a second later */
    copal_sim_run(w->sim, 20000);
    assert_int_equal(stat_limited(w->server), 996);
    assert_int_equal(count_in_transcript(w, "server > 192.0.2."), 14);
}

static void answers_that_wait_count_among_max_exchanges(void **state)
{
    struct world *w = *state;
    struct record *r;

    serve_text(w, w->server, "/t", COPAL_GROUP, "yes");
    copal_join(w->server, GROUP, NULL);
    copal_tune(w->server, NULL, COPAL_P_GROUP_RATE, 0);
    copal_tune(w->server, NULL, COPAL_P_MAX_EXCHANGES, 50);
    strangers(w, "224.0.1.187", 200, 0x1000);
    copal_sim_run(w->sim, 0);
    assert_int_equal(stat_limited(w->server), 150);
    copal_sim_run(w->sim, 5000);
    assert_int_equal(count_in_transcript(w, "server > 192.0.2."), 50);
    r = get(w, "coap://server/t");
    copal_sim_run(w->sim, 0);
    assert_ended(r, 0);
}

/* ---- The asker ---- */

static const char *refused(struct world *w, copal_msg *m)
{
    struct record *r = request(w, m);

    copal_sim_run(w->sim, 0);
    assert_ended(r, COPAL_EINVAL);
    return r->text;
}

static void what_a_group_cannot_be_asked_says_why(void **state)
{
    struct world *w = *state;
    static uint8_t large[1025];
    copal_msg *m = copal_msg_new(w->client, COPAL_GET);
    struct record *r = next_record(w);

    copal_msg_set_uri(m, GROUP "/t");
    assert_non_null(strstr(refused(w, m), "a group cannot confirm"));
    m = message(w, COPAL_GET, GROUP "/t");
    copal_msg_set_flags(m, COPAL_NON | COPAL_STREAM_IN);
    assert_non_null(strstr(refused(w, m), "without streams"));
    m = message(w, COPAL_GET, GROUP "/t");
    copal_msg_set_flags(m, COPAL_NON | COPAL_WATCH);
    assert_non_null(strstr(refused(w, m), "not watched"));
    m = message(w, COPAL_PUT, GROUP "/t");
    copal_msg_set_payload(m, COPAL_OCTETS, (copal_bytes){large, sizeof(large)});
    assert_non_null(strstr(refused(w, m), "several blocks"));

    r->is_asked = true;
    r->is_begun = copal_ping(w->client, GROUP, recording(r)) != NULL;
    copal_sim_run(w->sim, 0);
    assert_ended(r, COPAL_EINVAL);
    m = copal_msg_new(w->client, COPAL_GET);
    assert_int_equal(copal_send(w->client, m, GROUP), COPAL_EINVAL);
    copal_msg_unref(m);
    assert_transcript(w, "");
}

/* A token is known, so what comes with it is an answer, from whatever port;
 * each that differs is told, a repetition on the way is not. */
static void answers_come_from_anywhere_and_are_told_once(void **state)
{
    struct world *w = *state;
    struct record *r;
    struct tap *t = tap(w->client);

    r = ask_group(w, GROUP "/t");
    copal_sim_run(w->sim, 0);
    inject_made(w, "192.0.2.1", "5845 0001 %s ff31", t->token);
    inject_made(w, "192.0.2.1", "5845 0001 %s ff31", t->token);
    inject_made(w, "192.0.2.1", "5845 0002 %s ff32", t->token);
    inject_made(w, "192.0.2.2", "5884 0001 %s", t->token);
    inject_made(w, "192.0.2.3", "4845 0001 %s ff33", t->token); /* CON: ACK */
    inject_made(w, "192.0.2.4", "6845 %04x %s ff34", t->mid, t->token);
    inject_made(w, "192.0.2.5", "5845 0001 0102030405060708 ff35");
    inject_made(w, "192.0.2.6", "7000 %04x", t->mid); /* RST */
    copal_sim_run(w->sim, 7000);
    assert_ended(r, 0);
    assert_string_equal(kept, "coap://192.0.2.1 2.05 1\n"
                              "coap://192.0.2.1 2.05 2\n"
                              "coap://192.0.2.2 4.04 \n"
                              "coap://192.0.2.3 2.05 3\n");
    assert_int_equal(count_in_transcript(w, "client > 192.0.2.3 ACK empty"), 1);
    inject_made(w, "192.0.2.7", "4845 0001 %s ff37", t->token); /* too late */
    copal_sim_run(w->sim, 0);
    assert_int_equal(count_in_transcript(w, "client > 192.0.2.7 RST empty"), 1);
}

static uint64_t stat_open(copal *c)
{
    copal_stats stats = {.size = sizeof(stats)};

    assert_int_equal(copal_get_stats(c, &stats), 0);
    return stats.exchanges_open;
}

/* Block 0 of an answer, and there are more. */
static void begin_answer(struct world *w, const char *token, const char *from,
                         unsigned n)
{
    char text[80];

    snprintf(text, sizeof(text), "5845 %04x %%s d10a08 ff%032x", n, n);
    inject_made(w, from, text, token);
    copal_sim_run(w->sim, 0);
}

/* Whoever hears the group hears the token, and can answer as many. */
static void answers_that_begin_leave_room_for_others(void **state)
{
    struct world *w = *state;
    struct tap *t = tap(w->client);
    struct record *r, *other;
    char from[20], token[40];

    serve_text(w, w->server, "/t", 0, "yes");
    copal_tune(w->client, NULL, COPAL_P_MAX_EXCHANGES, 40);
    r = ask_group(w, GROUP "/t");
    copal_sim_run(w->sim, 0);
    snprintf(token, sizeof(token), "%s", t->token); /* others follow */
    for (unsigned i = 0; i < 100; i++)
        begin_answer(w, token, "192.0.2.1", i);
    assert_int_equal(stat_open(w->client), 2);
    for (unsigned i = 0; i < 100; i++) {
        snprintf(from, sizeof(from), "192.0.2.%u", i + 2);
        begin_answer(w, token, from, i);
    }
    assert_int_equal(stat_open(w->client), 1 + 20);
    other = get(w, "coap://server/t");
    copal_sim_run(w->sim, 0);
    assert_ended(other, 0);
    copal_sim_run(w->sim, 400000);
    assert_ended(r, 0);
}

/* RFC 7252 5.4.1: one member's unknown critical option is no matter of the
 * others. */
static void one_bad_answer_spoils_no_other(void **state)
{
    struct world *w = *state;
    struct tap *t = tap(w->client);
    struct record *r = ask_group(w, GROUP "/t");

    copal_sim_run(w->sim, 0);
    inject_made(w, "192.0.2.1", "5845 0001 %s d1fc00 ff31", t->token);
    inject_made(w, "192.0.2.2", "5845 0001 %s ff32", t->token);
    copal_sim_run(w->sim, 7000);
    assert_ended(r, 0);
    assert_string_equal(kept, "coap://192.0.2.2 2.05 2\n");
}

static void the_user_says_how_long_answers_are_awaited(void **state)
{
    struct world *w = *state;
    copal *c[MEMBERS];
    copal_msg *m = message(w, COPAL_GET, GROUP "/name");
    struct record *r;

    add_members(w, c);
    copal_tune(c[0], NULL, COPAL_P_LEISURE, 0);
    copal_tune(c[1], NULL, COPAL_P_LEISURE, 0);
    copal_tune(c[2], NULL, COPAL_P_LEISURE, 86400000);
    copal_msg_tune(m, COPAL_P_TIMEOUT, 500);
    r = request(w, m);
    copal_sim_run(w->sim, 499);
    assert_int_equal(r->ends, 0);
    copal_sim_run(w->sim, 1);
    assert_ended(r, 0);
    assert_int_equal(r->responses, 2);
}

static void a_cancelled_request_hears_no_more(void **state)
{
    struct world *w = *state;
    copal *c[MEMBERS];
    struct record *r;

    add_members(w, c);
    r = ask_group(w, GROUP "/name");
    copal_sim_run(w->sim, 0);
    assert_int_equal(copal_cancel(r->exchange), 0);
    copal_sim_run(w->sim, 10000);
    assert_ended(r, COPAL_ECANCEL);
    assert_int_equal(r->responses, 0);
    assert_int_equal(count_in_transcript(w, "> client NON 2.05"), MEMBERS);
}

static void who_asks_and_has_joined_answers_itself(void **state)
{
    struct world *w = *state;

    serve_text(w, w->client, "/name", COPAL_GROUP, "me");
    copal_tune(w->client, NULL, COPAL_P_LEISURE, 0);
    copal_join(w->client, GROUP, NULL);
    ask_group(w, GROUP "/name");
    copal_sim_run(w->sim, 7000);
    assert_string_equal(kept, "coap://client 2.05 me\n");
}

static void a_request_of_its_own_at_a_time_is_open_to_a_group(void **state)
{
    struct world *w = *state;

    ask_group(w, GROUP "/a");
    ask_group(w, GROUP "/b");
    ask_group(w, "coap://224.0.1.188/c");
    copal_sim_run(w->sim, 10000);
    assert_transcript(w, "   0 client > 224.0.1.187 NON GET 0001 /a (nobody)\n"
                         "   0 client > 224.0.1.188 NON GET 0001 /c (nobody)\n"
                         "2000 client > 224.0.1.187 NON GET 0002 /b "
                         "(nobody)\n");
}

/* ---- Blocks ---- */

static void every_long_answer_arrives_whole(void **state)
{
    struct world *w = *state;
    static char text[3][101];
    const char *names[] = {"server", "server2", "server3"};
    copal *c[3] = {w->server, add_host(w, "server2"), add_host(w, "server3")};
    struct record *r;

    for (int i = 0; i < 3; i++) {
        memset(text[i], 'a' + i, 40);
        serve_text(w, c[i], "/long", COPAL_GROUP, text[i]);
        copal_tune(c[i], NULL, COPAL_P_LEISURE, (int64_t)i * 1000);
        copal_tune(c[i], NULL, COPAL_P_BLOCK_SIZE, 32);
        copal_join(c[i], GROUP, NULL);
        assert_non_null(names[i]);
    }
    r = ask_group(w, GROUP "/long");
    copal_sim_run(w->sim, 7000);
    assert_ended(r, 0);
    assert_int_equal(r->responses, 3);
    assert_int_equal(r->payload_len, 40);
    for (int i = 0; i < 3; i++) {
        char line[128];

        snprintf(line, sizeof(line), "coap://%s 2.05 %.40s\n", names[i],
                 text[i]);
        assert_non_null(strstr(kept, line));
        snprintf(line, sizeof(line), "client > %s CON GET 0001 /long 2:1/0/32",
                 names[i]);
        assert_int_equal(count_in_transcript(w, line), 1);
    }
}

static void the_rest_of_an_answer_is_asked_of_its_sender(void **state)
{
    struct world *w = *state;
    static char text[41];

    memset(text, 'x', 40);
    serve_text(w, w->server, "/long", COPAL_GROUP, text);
    copal_tune(w->server, NULL, COPAL_P_LEISURE, 0);
    copal_join(w->server, GROUP, NULL);
    copal_tune(w->client, NULL, COPAL_P_BLOCK_SIZE, 32);
    ask_group(w, GROUP "/long");
    copal_sim_run(w->sim, 0);
    assert_string_equal(kept, "coap://server 2.05 "
                              "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx\n");
    assert_transcript(w, "   0 client > 224.0.1.187 NON GET 0001 /long "
                         "2:0/0/32\n"
                         "   0 server > client NON 2.05 0001 2:0/1/32 "
                         "etag=d5183e1b \"xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx\"\n"
                         "   0 client > server CON GET 0001 /long 2:1/0/32\n"
                         "   0 server > client ACK 2.05 0001 2:1/0/32 "
                         "etag=d5183e1b \"xxxxxxxx\"\n");
    copal_sim_run(w->sim, 7000);
}

/* What came in time is fetched to its end; who is gone meanwhile does not keep
 * the others from ending. */
static void blocks_are_awaited_beyond_the_time_for_answers(void **state)
{
    struct world *w = *state;
    static char text[101];
    copal *other = add_host(w, "server2");
    copal_msg *m = message(w, COPAL_GET, GROUP "/long");
    struct record *r;

    memset(text, 'x', 96);
    serve_text(w, w->server, "/long", COPAL_GROUP, text);
    serve_text(w, other, "/long", COPAL_GROUP, "short");
    for (int i = 0; i < 2; i++) {
        copal_tune(i ? other : w->server, NULL, COPAL_P_LEISURE, 0);
        copal_tune(i ? other : w->server, NULL, COPAL_P_BLOCK_SIZE, 16);
        copal_join(i ? other : w->server, GROUP, NULL);
    }
    copal_sim_set_path(w->sim, NULL, NULL, (copal_sim_path){.delay = 100});
    copal_msg_tune(m, COPAL_P_TIMEOUT, 700);
    r = request(w, m);
    copal_sim_run(w->sim, 701); /* 6 blocks, 200 ms each */
    assert_int_equal(r->ends, 0);
    assert_int_equal(r->responses, 1);
    copal_sim_run(w->sim, 499);
    assert_ended(r, 0);
    assert_int_equal(r->responses, 2);

    m = message(w, COPAL_GET, GROUP "/long");
    copal_msg_tune(m, COPAL_P_TIMEOUT, 700);
    r = request(w, m);
    copal_sim_run(w->sim, 300);
    copal_free(w->server);
    w->server = NULL;
    copal_sim_run(w->sim, 1099);
    assert_int_equal(r->ends, 0);
    copal_sim_run(w->sim, 1);
    assert_ended(r, 0);
    assert_int_equal(r->responses, 1);
}

static void discovery_fetches_each_list_to_its_end(void **state)
{
    struct world *w = *state;
    copal *c[MEMBERS];
    struct record *r;

    add_members(w, c);
    for (int i = 0; i < MEMBERS; i++)
        for (int k = 0; k < 40; k++) {
            char path[64];

            snprintf(path, sizeof(path), "/a/rather/long/path/of/number/%d", k);
            copal_serve(c[i], COPAL_GET, path, 0, (copal_cb){0});
        }
    r = ask_group(w, GROUP "/.well-known/core");
    copal_sim_run(w->sim, 20000);
    assert_ended(r, 0);
    assert_int_equal(r->responses, MEMBERS);
    assert_true(r->payload_len > 1024);
    assert_int_equal(count_in_transcript(w, "2:1/0/1024"), 2 * MEMBERS);
}

/* RFC 9175 2.4: who has not shown to be there is told little, with an Echo; the
 * rest is asked for with that, of the member alone. */
static void who_is_not_proven_hears_it_all_by_echo(void **state)
{
    struct world *w = *state;
    static char text[601];
    copal *c[MEMBERS];
    struct record *r;

    add_members(w, c);
    memset(text, 'x', 600);
    for (int i = 0; i < MEMBERS; i++) {
        serve_text(w, c[i], "/long", COPAL_GROUP, text);
        copal_tune(c[i], NULL, COPAL_P_GUARD_LOOPBACK, 1);
    }
    r = ask_group(w, GROUP "/long");
    copal_sim_run(w->sim, 7000);
    assert_ended(r, 0);
    assert_int_equal(r->responses, MEMBERS);
    assert_int_equal(r->payload_len, 600);
    assert_int_equal(count_in_transcript(w, "CON GET 0001 /long echo"),
                     MEMBERS);
    r = request(w, observing(w, GROUP "/long"));
    copal_sim_run(w->sim, 7000);
    assert_ended(r, COPAL_ENOTOBS);
    assert_int_equal(r->responses, MEMBERS);
}

/* ---- Observing ---- */

static void a_group_is_observed_member_by_member(void **state)
{
    struct world *w = *state;
    copal *c[MEMBERS];
    struct record *r;

    add_members(w, c);
    r = request(w, observing(w, GROUP "/name"));
    copal_sim_run(w->sim, 60000);
    assert_int_equal(r->responses, MEMBERS);
    assert_int_equal(r->ends, 0);
    assert_int_equal(copal_notify(c[1], "/name"), 1);
    assert_int_equal(copal_notify(c[1], "/name"), 1);
    copal_sim_run(w->sim, 5000); /* leisure: the newest of the two */
    assert_int_equal(r->responses, MEMBERS + 1);
    assert_int_equal(copal_notify(c[2], "/name"), 1);
    copal_sim_run(w->sim, 5000);
    assert_int_equal(r->responses, MEMBERS + 2);

    assert_int_equal(copal_cancel(r->exchange), 0); /* deregisters with each */
    copal_sim_run(w->sim, 10000);
    assert_ended(r, COPAL_ECANCEL);
    assert_int_equal(count_in_transcript(w, "CON GET 0001 /name obs=1"),
                     MEMBERS);
    for (int i = 0; i < MEMBERS; i++)
        assert_int_equal(copal_notify(c[i], "/name"), 0);
}

static void a_paused_observation_keeps_the_newest_of_each_member(void **state)
{
    struct world *w = *state;
    copal *c[MEMBERS];
    struct record *r;

    add_members(w, c);
    r = request(w, observing(w, GROUP "/name"));
    copal_sim_run(w->sim, 10000);
    assert_int_equal(r->responses, MEMBERS);
    assert_int_equal(copal_pause(r->exchange), 0);
    for (int i = 0; i < 4; i++) {
        copal_notify(c[0], "/name");
        copal_notify(c[1], "/name");
        copal_sim_run(w->sim, 10000);
    }
    assert_int_equal(r->responses, MEMBERS);
    assert_int_equal(copal_resume(r->exchange), 0);
    copal_sim_run(w->sim, 0);
    assert_int_equal(r->responses, MEMBERS + 2);
    copal_cancel(r->exchange);
    copal_sim_run(w->sim, 10000);
}

static void an_observation_ends_with_its_last_member(void **state)
{
    struct world *w = *state;
    copal *c[MEMBERS];
    struct record *r, *none;

    add_members(w, c);
    serve_text(w, w->server, "/plain", COPAL_GROUP, "plain");
    none = request(w, observing(w, GROUP "/plain"));
    copal_sim_run(w->sim, 10000);
    assert_ended(none, COPAL_ENOTOBS);

    r = request(w, observing(w, GROUP "/name"));
    copal_sim_run(w->sim, 10000);
    for (int i = 0; i < MEMBERS; i++) {
        assert_int_equal(r->ends, 0);
        copal_unserve(c[i], "/name"); /* 4.04 */
        copal_sim_run(w->sim, 10000);
    }
    assert_ended(r, 0);
    assert_int_equal(r->responses, 2 * MEMBERS);
}

/* ---- Weather, memory ---- */

static void a_lost_datagram_is_lost_to_one_member_only(void **state)
{
    struct world *w = *state;
    copal *c[MEMBERS];
    struct record *r;

    add_members(w, c);
    for (int i = 0; i < MEMBERS; i++)
        copal_tune(c[i], NULL, COPAL_P_LEISURE, 0);
    copal_sim_set_path(w->sim, "client", "server2",
                       (copal_sim_path){.loss = 100});
    copal_sim_set_path(w->sim, "client", "server3",
                       (copal_sim_path){.duplication = 100});
    r = ask_group(w, GROUP "/name");
    copal_sim_run(w->sim, 7000);
    assert_ended(r, 0);
    assert_transcript(
        w, "   0 client > 224.0.1.187 NON GET 0001 /name\n"
           "   0 client > 224.0.1.187 NON GET 0001 /name (lost to server2)\n"
           "   0 client > 224.0.1.187 NON GET 0001 /name (copy to server3)\n"
           "   0 server3 > client NON 2.05 0001 \"server3\"\n"
           "   0 server > client NON 2.05 0001 \"server\"\n");
    copal_sim_lose(w->sim, "client", 1);
    r = ask_group(w, GROUP "/name");
    copal_sim_run(w->sim, 7000);
    assert_ended(r, COPAL_ETIMEOUT);
    assert_int_equal(count_in_transcript(w, "0002 /name (lost)\n"), 1);
}

static void play(struct world *w)
{
    static char text[101];
    copal *c[MEMBERS];
    copal_msg *m;

    memset(text, 'x', 100);
    add_members(w, c);
    serve_text(w, w->server, "/long", COPAL_GROUP, text);
    copal_tune(w->server, NULL, COPAL_P_BLOCK_SIZE, 32);
    m = message(w, COPAL_GET, GROUP "/long");
    if (m != NULL)
        request(w, m);
    m = message(w, COPAL_GET, GROUP "/name");
    copal_msg_add_uint(m, COPAL_OPT_OBSERVE, 0);
    copal_msg_tune(m, COPAL_P_TIMEOUT, 30000);
    if (m != NULL)
        request(w, m);
    copal_sim_run(w->sim, 10000);
    for (int i = 0; i < MEMBERS; i++)
        if (c[i] != NULL)
            copal_notify(c[i], "/name");
    copal_sim_run(w->sim, 600000);
}

static void a_group_survives_any_failed_allocation(void **state)
{
    (void)state;
    for_each_failed_allocation(play);
}

static void a_group_survives_bad_weather(void **state)
{
    (void)state;
    bad_weather(play, 50);
}

static void an_end_amid_answers_leaves_nothing(void **state)
{
    struct world *w = *state;
    copal *c[MEMBERS];
    struct record *r;

    add_members(w, c);
    r = request(w, observing(w, GROUP "/name"));
    ask_group(w, GROUP "/name");
    copal_sim_run(w->sim, 2000);
    copal_free(c[1]);
    copal_free(w->client);
    w->client = NULL;
    assert_ended(r, COPAL_ECLOSED);
}

static void who_closes_sends_the_answers_it_owes(void **state)
{
    struct world *w = *state;

    serve_text(w, w->server, "/name", COPAL_GROUP, "yes");
    copal_join(w->server, GROUP, NULL);
    ask_group(w, GROUP "/name");
    copal_sim_run(w->sim, 0);
    copal_close(w->server, 6000);
    copal_sim_run(w->sim, 7000);
    assert_string_equal(kept, "coap://server 2.05 yes\n");
}

#define IN_WORLD(test) cmocka_unit_test_setup_teardown(test, build, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        IN_WORLD(all_members_answer_and_the_asker_hears_each),
        IN_WORLD(each_answers_at_its_own_time_within_leisure),
        IN_WORLD(who_has_not_joined_or_has_left_hears_nothing),
        IN_WORLD(groups_are_told_apart_by_address_and_port),
        IN_WORLD(joining_and_leaving_tell_what_was_wrong),
        IN_WORLD(only_what_is_served_to_groups_answers),
        IN_WORLD(no_error_goes_to_a_groups_asker),
        IN_WORLD(no_response_says_which_errors_are_wanted),
        IN_WORLD(a_block_beyond_the_end_is_no_ones_error),
        IN_WORLD(no_response_silences_successes),
        IN_WORLD(discovery_finds_who_has_what_is_looked_for),
        IN_WORLD(nothing_but_non_is_heard_by_a_group),
        IN_WORLD(a_repeat_is_acted_upon_once),
        IN_WORLD(an_upload_in_blocks_to_a_group_is_ignored),
        IN_WORLD(answers_to_one_group_are_rationed),
        IN_WORLD(answers_that_wait_count_among_max_exchanges),
        IN_WORLD(what_a_group_cannot_be_asked_says_why),
        IN_WORLD(answers_come_from_anywhere_and_are_told_once),
        IN_WORLD(answers_that_begin_leave_room_for_others),
        IN_WORLD(one_bad_answer_spoils_no_other),
        IN_WORLD(the_user_says_how_long_answers_are_awaited),
        IN_WORLD(a_cancelled_request_hears_no_more),
        IN_WORLD(who_asks_and_has_joined_answers_itself),
        IN_WORLD(a_request_of_its_own_at_a_time_is_open_to_a_group),
        IN_WORLD(every_long_answer_arrives_whole),
        IN_WORLD(the_rest_of_an_answer_is_asked_of_its_sender),
        IN_WORLD(blocks_are_awaited_beyond_the_time_for_answers),
        IN_WORLD(discovery_fetches_each_list_to_its_end),
        IN_WORLD(who_is_not_proven_hears_it_all_by_echo),
        IN_WORLD(a_group_is_observed_member_by_member),
        IN_WORLD(a_paused_observation_keeps_the_newest_of_each_member),
        IN_WORLD(an_observation_ends_with_its_last_member),
        IN_WORLD(a_lost_datagram_is_lost_to_one_member_only),
        cmocka_unit_test(a_group_survives_any_failed_allocation),
        cmocka_unit_test(a_group_survives_bad_weather),
        IN_WORLD(an_end_amid_answers_leaves_nothing),
        IN_WORLD(who_closes_sends_the_answers_it_owes),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
