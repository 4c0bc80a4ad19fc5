/* Odd datagrams: each gets the answer that its RFC demands, or silence, and no
 * handler hears of what is not a request. */
#include "servers.h"

#define PEER "192.0.2.1"

struct row {
    const char *what;
    const char *hex;
    const char *answer; /* the line of it after "server > "; NULL: silence */
    int handled;        /* calls of a handler */
};

#define LONG_5 "6161616161"
#define LONG_51 \
    LONG_5 LONG_5 LONG_5 LONG_5 LONG_5 LONG_5 LONG_5 LONG_5 LONG_5 LONG_5 "61"
#define LONG_41  LONG_5 LONG_5 LONG_5 LONG_5 LONG_5 LONG_5 LONG_5 LONG_5 "61"
#define LONG_255 LONG_51 LONG_51 LONG_51 LONG_51 LONG_51

#define RST       "192.0.2.1 RST empty 0001"
#define ACK(what) "192.0.2.1 ACK " what
#define NON(what) "192.0.2.1 NON " what

/* Served: /t for every method, /get for GET alone. Uri-Path "t" is b1 74. */
/* clang-format off */
static const struct row odd[] = {
    /* ---- RFC 7252 3, 4.1: frames ---- */
    {"ping", "4000 1234", RST, 0},
    {"ping as NON", "5000 1234", NULL, 0},
    {"empty CON with token", "4100 1234 aa", RST, 0},
    {"empty CON with option", "4000 1234 b174", RST, 0},
    {"empty CON with payload", "4000 1234 ff78", RST, 0},
    {"empty NON with token", "5100 1234 aa", NULL, 0},
    {"empty ACK with token", "6100 1234 aa", NULL, 0},
    {"empty RST with payload", "7000 1234 ff78", NULL, 0},
    {"no byte", "", NULL, 0},
    {"1 byte", "40", NULL, 0},
    {"2 bytes", "4001", NULL, 0},
    {"3 bytes", "4001 12", NULL, 0},
    {"version 0", "0001 1234 b174", NULL, 0},
    {"version 2", "8001 1234 b174", NULL, 0},
    {"version 3", "c001 1234 b174", NULL, 0},
    {"version 2, all odd", "bfff ffff ff", NULL, 0},
    {"token of 8", "4801 1234 0102030405060708 b174", ACK("2.05 0001 \"x\""), 1},
    {"token of 9", "4901 1234 010203040506070809 b174", RST, 0},
    {"token of 12", "4c01 1234 0102030405060708090a0b0c b174", RST, 0},
    {"token of 13", "4d01 1234 00 0102030405060708090a0b0c0d b174", RST, 0},
    {"TKL 13 without its byte", "4d01 1234", RST, 0},
    {"TKL 14 without its bytes", "4e01 1234 00", RST, 0},
    {"TKL 14 of much", "4e01 1234 ffff b174", RST, 0},
    {"TKL 15", "4f01 1234 b174", RST, 0},
    {"TKL 15 as NON", "5f01 1234 b174", NULL, 0},
    {"TKL 15 as ACK", "6f45 1234 b174", NULL, 0},
    {"TKL 15 as RST", "7f00 1234", NULL, 0},
    {"token longer than the rest", "4801 1234 01", RST, 0},
    {"the same as NON", "5801 1234 01", NULL, 0},
    {"token of 9 as NON", "5901 1234 010203040506070809 b174", NULL, 0},

    /* ---- RFC 7252 3.1: options ---- */
    {"delta 15", "4001 1234 f174", RST, 0},
    {"length 15", "4001 1234 bf74", RST, 0},
    {"delta 15 as NON", "5001 1234 f174", NULL, 0},
    {"delta 15 as ACK", "6045 1234 f174", NULL, 0},
    {"truncated option", "4001 1234 b574", RST, 0},
    {"truncated option as NON", "5001 1234 b574", NULL, 0},
    {"delta 13 without its byte", "4001 1234 d0", RST, 0},
    {"delta 14 without its bytes", "4001 1234 e000", RST, 0},
    {"length 13 without its byte", "4001 1234 bd", RST, 0},
    {"length 14 without its bytes", "4001 1234 be00", RST, 0},
    {"length of 65804", "4001 1234 beffff 74", RST, 0},
    {"delta 14 over 65535", "4001 1234 e0ffff", RST, 0},
    {"sum over 65535", "4001 1234 e0ff00 e0ff00", RST, 0},
    {"marker and nothing after", "4001 1234 b174 ff", RST, 0},
    {"the same as NON", "5001 1234 b174 ff", NULL, 0},
    {"the same, code 2.05", "4045 1234 ff", RST, 0},
    {"the same in an ACK", "6045 1234 ff", NULL, 0},
    {"a payload of markers", "4001 1234 b174 ffff", ACK("2.05 0001 \"x\""), 1},

    /* ---- RFC 7252 5.4: critical and elective ---- */
    {"unknown critical", "4001 1234 b174 e1fcd101", ACK("4.02 0001"), 0},
    {"unknown critical, NON", "5001 1234 b174 e1fcd101", NON("4.02 0001"), 0},
    {"unknown elective", "4001 1234 b174 e1fcd001", ACK("2.05 0001 \"x\""), 1},
    {"critical repeated", "4001 1234 3161 0162 8174", ACK("4.02 0001"), 0},
    {"elective repeated", "4002 1234 b174 10 013c", ACK("2.05 0001 \"x\""), 1},
    {"If-None-Match twice", "4003 1234 50 00 6174", ACK("4.02 0001"), 0},
    {"Uri-Host of nothing", "4001 1234 30 8174", ACK("4.02 0001"), 0},
    {"ETag of nothing", "4001 1234 40 7174", ACK("2.05 0001 \"x\""), 1},
    {"ETag of 9", "4001 1234 49 010203040506070809 7174",
     ACK("2.05 0001 \"x\""), 1},
    {"Uri-Port of 3 bytes", "4001 1234 73 000001 4174", ACK("4.02 0001"), 0},
    {"Uri-Query of nothing", "4001 1234 b174 40", ACK("2.05 0001 \"x\""), 1},
    {"Accept of 3 bytes", "4001 1234 b174 63 000000", ACK("4.02 0001"), 0},
    {"Accept with zeroes", "4001 1234 b174 62 0000",
     ACK("2.05 0001 \"x\""), 1},
    {"Content-Format of 3 bytes", "4002 1234 b174 13 000000",
     ACK("2.05 0001 \"x\""), 1},
    {"Observe of 4 bytes", "4001 1234 64 00000000 5174",
     ACK("2.05 0001 \"x\""), 1},
    {"Observe in a PUT", "4003 1234 60 5174", ACK("2.05 0001 \"x\""), 1},
    {"Observe 2", "4001 1234 6102 5174", ACK("2.05 0001 \"x\""), 1},
    {"Observe 1, never registered", "4001 1234 6101 5174",
     ACK("2.05 0001 \"x\""), 1},
    {"Size1 of 5 bytes", "4002 1234 b174 d524 0000000001",
     ACK("2.05 0001 \"x\""), 1},
    {"Hop-Limit 0", "4001 1234 b174 5100", ACK("4.00 0001"), 0},
    {"Hop-Limit of nothing", "4001 1234 b174 50", ACK("4.00 0001"), 0},
    {"Hop-Limit 256", "4001 1234 b174 520100", ACK("4.00 0001"), 0},
    {"Hop-Limit 0 and then 1", "4001 1234 b174 51000101", ACK("4.00 0001"), 0},
    {"Hop-Limit 256, NON", "5001 1234 b174 520100", NON("4.00 0001"), 0},
    {"Hop-Limit 255", "4001 1234 b174 51ff", ACK("2.05 0001 \"x\""), 1},
    {"Hop-Limit 1", "4001 1234 b174 5101", ACK("2.05 0001 \"x\""), 1},
    {"ETag of 8", "4001 1234 48 0102030405060708 7174",
     ACK("2.05 0001 \"x\""), 1},
    {"If-Match of 9", "4003 1234 19 010203040506070809 a174",
     ACK("4.02 0001"), 0},
    {"Uri-Host of 255", "4001 1234 3d f2" LONG_255 "8174",
     ACK("2.05 0001 \"x\""), 1},
    {"Uri-Host of 256", "4001 1234 3d f3" LONG_255 "61 8174",
     ACK("4.02 0001"), 0},
    {"Uri-Path of 256", "4001 1234 bd f3" LONG_255 "61", ACK("4.02 0001"), 0},
    {"Uri-Query of 256", "4001 1234 b174 4d f3" LONG_255 "61",
     ACK("4.02 0001"), 0},
    {"Uri-Query of 256, NON", "5001 1234 b174 4d f3" LONG_255 "61",
     NON("4.02 0001"), 0},
    {"Echo of 41", "4001 1234 b174 dd e41c" LONG_41,
     ACK("2.05 0001 \"x\""), 1},
    {"Request-Tag of 9", "4001 1234 b174 e9 000c 010203040506070809",
     ACK("2.05 0001 \"x\""), 1},
    {"No-Response of 2", "4001 1234 b174 d2ea 001a",
     ACK("2.05 0001 \"x\""), 1},
    {"Max-Age of 5", "4001 1234 b174 35 0000000001",
     ACK("2.05 0001 \"x\""), 1},
    {"Proxy-Uri of 1035", "4001 1234 de16 02fe" LONG_255 LONG_255 LONG_255
     LONG_255 "6161616161 6161616161 6161616161", ACK("5.05 0001"), 0},
    {"Echo of nothing", "4001 1234 b174 d0e4", ACK("2.05 0001 \"x\""), 1},
    {"OSCORE, and no context", "4001 1234 90 2174", ACK("4.02 0001"), 0},
    {"Q-Block2, not wanted here", "4001 1234 b174 d00700", ACK("4.02 0001"), 0},
    {"a NUL in the path", "4001 1234 b100", ACK("4.04 0001"), 0},
    {"a slash in the path", "4001 1234 b12f", ACK("4.04 0001"), 0},
    {"a path that is no UTF-8", "4001 1234 b1ff", ACK("4.04 0001"), 0},
    {"empty segments", "4001 1234 b0000000000000000000", ACK("4.04 0001"), 0},

    /* ---- RFC 7252 5.8, 12.1: codes ---- */
    {"class 1", "4020 1234 b174", RST, 0},
    {"class 1 as NON", "5020 1234 b174", NULL, 0},
    {"class 6", "40c0 1234", RST, 0},
    {"class 7", "40e1 1234", RST, 0},
    {"class 7 as NON", "50e1 1234", NULL, 0},
    {"class 7 as ACK", "60e1 1234", NULL, 0},
    {"method 0.08, not served", "4008 1234 b3676574", ACK("4.05 0001"), 0},
    {"method 0.31, not served", "401f 1234 b3676574", ACK("4.05 0001"), 0},
    {"method 0.08, NON", "5008 1234 b3676574", NON("4.05 0001"), 0},
    {"method 0.08, served", "4008 1234 b174", ACK("2.05 0001 \"x\""), 1},
    {"PUT, not served", "4003 1234 b3676574", ACK("4.05 0001"), 0},
    {"GET, nothing there", "4001 1234 b161", ACK("4.04 0001"), 0},
    {"GET, nothing there, NON", "5001 1234 b161", NON("4.04 0001"), 0},

    /* ---- RFC 7252 5.7.2: proxies ---- */
    {"Proxy-Uri", "4001 1234 d116 61", ACK("5.05 0001"), 0},
    {"Proxy-Uri of nothing", "4001 1234 d016", ACK("5.05 0001"), 0},
    {"Proxy-Scheme", "4001 1234 b174 d40f 636f6170", ACK("5.05 0001"), 0},
    {"both", "4001 1234 d116 61 44 636f6170", ACK("5.05 0001"), 0},
    {"Proxy-Uri, NON", "5001 1234 d116 61", NON("5.05 0001"), 0},


    /* ---- RFC 7252 4.2: answers to nothing ---- */
    {"unmatched ACK", "6000 1234", NULL, 0},
    {"unmatched RST", "7000 1234", NULL, 0},
    {"unmatched piggybacked response", "6145 1234 aa ff78", NULL, 0},
    {"unmatched CON response", "4145 1234 aa ff78", RST, 0},
    {"unmatched CON response, token of 8", "4845 1234 0102030405060708", RST, 0},
    {"unmatched NON response", "5145 1234 aa ff78", NULL, 0},
    {"unmatched CON, unknown critical", "4145 1234 aa e1fcdc01", RST, 0},
    {"ACK with a method", "6001 1234 b174", NULL, 0},
    {"RST with a method", "7001 1234 b174", NULL, 0},
    {"RST with a response", "7045 1234", NULL, 0},
};

/* With their answers, which have options of their own. */
static const struct row blocks[] = {
    {"Block2 of size 7", "4001 1234 b174 c107", "ACK 4.00 0001", 0},
    {"Block1 of size 7", "4003 1234 b174 d10307 ff78", "ACK 4.00 0001", 0},
    {"Block1 from number 1", "4003 1234 b174 d10310 ff78", "ACK 4.08 0001", 0},
    {"the same, more to come", "4003 1234 b174 d10318 ff"
     "00000000000000000000000000000000", "ACK 4.08 0001", 0},
};
/* clang-format on */

static void serve_both(struct world *w, struct record *served[2])
{
    served[0] = serve_text(w, w->server, "/t", COPAL_OBSERVABLE, "x");
    served[1] = next_record(w);
    copal_serve(w->server, COPAL_GET, "/get", 0, recording(served[1]));
}

static bool check_row(const struct row *row, bool exactly)
{
    struct world *w = new_world(1, 0);
    struct record *served[2];
    char line[128];
    const char *found;
    bool ok;

    serve_both(w, served);
    inject_hex(w, PEER, "server", row->hex);
    copal_sim_run(w->sim, 1000);
    found = strstr(copal_sim_transcript(w->sim), "server > ");
    snprintf(line, sizeof(line), "server > %s",
             row->answer == NULL ? "" : row->answer);
    if (row->answer == NULL)
        ok = found == NULL;
    else if (exactly)
        ok = found != NULL && strncmp(found, line, strlen(line)) == 0;
    else
        ok = found != NULL && strstr(found, row->answer) != NULL;
    if (found != NULL && strchr(found, '\n')[1] != '\0')
        ok = false; /* one answer, no more */
    if (served[0]->requests + served[1]->requests != row->handled)
        ok = false;
    if (!ok) {
        print_error("%s: %s\n%s", row->what, row->hex,
                    copal_sim_transcript(w->sim));
        print_error("handled %d\n", served[0]->requests + served[1]->requests);
    }
    free_world(w);
    return ok;
}

static void odd_datagrams_get_the_right_answer(void **state)
{
    int wrong = 0;

    (void)state;
    for (size_t i = 0; i < sizeof(odd) / sizeof(odd[0]); i++)
        wrong += !check_row(&odd[i], true);
    assert_int_equal(wrong, 0);
}

static void odd_blocks_get_the_right_answer(void **state)
{
    int wrong = 0;

    (void)state;
    for (size_t i = 0; i < sizeof(blocks) / sizeof(blocks[0]); i++)
        wrong += !check_row(&blocks[i], false);
    assert_int_equal(wrong, 0);
}

static void nothing_of_it_makes_a_client_do_more_than_reset(void **state)
{
    struct world *w = *state;
    const char *at;

    for (size_t i = 0; i < sizeof(odd) / sizeof(odd[0]); i++) {
        inject_hex(w, PEER, "client", odd[i].hex);
        copal_sim_run(w->sim, 1000);
    }
    at = copal_sim_transcript(w->sim);
    while ((at = strstr(at, "client > " PEER " ")) != NULL) {
        at += strlen("client > " PEER " ");
        assert_true(
            strncmp(at, "RST empty", 9) == 0 ||
            strncmp(at, "ACK 4.0", 7) == 0 || strncmp(at, "NON 4.0", 7) == 0 ||
            strncmp(at, "ACK 5.05", 8) == 0 || strncmp(at, "NON 5.05", 8) == 0);
    }
}

static void what_is_wrong_is_counted(void **state)
{
    struct world *w = *state;
    copal_stats stats = {.size = sizeof(stats)};

    inject_hex(w, PEER, "server", "40");
    inject_hex(w, PEER, "server", "8001 1234");
    inject_hex(w, PEER, "server", "4f01 1234");
    inject_hex(w, PEER, "server", "4001 1234 b174 ff");
    inject_hex(w, PEER, "server", "6000 1234");
    inject_hex(w, PEER, "server", "7000 1234");
    inject_hex(w, PEER, "server", "6145 1234 aa");
    inject_hex(w, PEER, "server", "4145 1234 aa");
    copal_sim_run(w->sim, 0);
    copal_get_stats(w->server, &stats);
    assert_int_equal(stats.malformed, 4);
    assert_int_equal(stats.rejected, 4);
    assert_int_equal(stats.datagrams_in, 8);
    assert_int_equal(stats.exchanges_open, 0);
    assert_int_equal(stats.peers, 0);
}

static void a_malformed_message_is_reset_each_time_and_may_be_mended(
    void **state)
{
    struct world *w = *state;
    struct record *served = serve_text(w, w->server, "/t", 0, "x");

    inject_hex(w, PEER, "server", "4001 1234 b174 ff");
    inject_hex(w, PEER, "server", "4001 1234 b174 ff");
    inject_hex(w, PEER, "server", "4001 1234 b174 ff78");
    copal_sim_run(w->sim, 0);
    assert_int_equal(count_in_transcript(w, "RST empty 0001"), 2);
    assert_int_equal(served->requests, 1);
}

/* ---- Tokens, RFC 7252 5.3.1, RFC 8974 ---- */

/* A request for path with a token of len bytes, as CON. */
static void inject_token(struct world *w, size_t len, unsigned mid,
                         const char *path)
{
    static char hex[2048 * 2];
    size_t at;

    at = (size_t)snprintf(hex, sizeof(hex), "4%c01%04x",
                          "0123456789abcde"[len < 13    ? len
                                            : len < 269 ? 13
                                                        : 14],
                          mid);
    if (len >= 269)
        at += (size_t)snprintf(hex + at, sizeof(hex) - at, "%04x",
                               (unsigned)len - 269);
    else if (len >= 13)
        at += (size_t)snprintf(hex + at, sizeof(hex) - at, "%02x",
                               (unsigned)len - 13);
    for (size_t i = 0; i < len; i++)
        at += (size_t)snprintf(hex + at, sizeof(hex) - at, "%02x",
                               (unsigned)(i & 0xff));
    snprintf(hex + at, sizeof(hex) - at, "%s", path);
    inject_hex(w, PEER, "server", hex);
}

struct echoed {
    size_t len;
    int answers;
    bool alike;
};

static void check_token(const copal_event *ev, void *user)
{
    struct echoed *e = user;
    const char *at = strstr(ev->text, "\"token\":\"");
    unsigned byte;

    if (strstr(ev->text, "\"ev\":\"in\"") != NULL ||
        strstr(ev->text, "\"code\":\"0.00\"") != NULL)
        return;
    assert_non_null(at);
    at += strlen("\"token\":\"");
    e->answers++;
    for (size_t i = 0; i < e->len; i++, at += 2)
        if (sscanf(at, "%2x", &byte) != 1 || byte != (i & 0xff))
            e->alike = false;
    e->alike = e->alike && *at == '"';
}

static void tokens_up_to_max_token_come_back_in_every_answer(void **state)
{
    static const size_t lengths[] = {0,  1,   8,   9,   12,  13,
                                     14, 100, 268, 269, 270, 900};
    static const char *const paths[] = {
        "b174",                               /* 2.05 */
        "b161",                               /* 4.04 */
        "b174e1fcd101",                       /* 4.02 */
        "b46c617465",                         /* separate */
        "bb2e77656c6c2d6b6e6f776e04636f7265", /* discovery */
        "b174c107",                           /* 4.00 */
        "d11661",                             /* 5.05 */
    };
    struct world *w = *state;
    struct echoed e = {0};
    unsigned mid = 0;

    copal_tune(w->server, NULL, COPAL_P_MAX_TOKEN, 65804);
    serve_text(w, w->server, "/t", 0, "x");
    serve_after(w, "/late", 1000, "y");
    copal_trace(w->server, COPAL_TRACE_WIRE, COPAL_CB(check_token, &e));
    for (size_t i = 0; i < sizeof(lengths) / sizeof(lengths[0]); i++)
        for (size_t j = 0; j < sizeof(paths) / sizeof(paths[0]); j++) {
            e = (struct echoed){.len = lengths[i], .alike = true};
            inject_token(w, lengths[i], mid++, paths[j]);
            copal_sim_run(w->sim, 100000);
            assert_true(e.answers >= 1);
            assert_true(e.alike);
        }
}

/* RFC 8974 2.2.2: not with a Reset, which says that long tokens are unknown. */
static void a_token_over_a_raised_max_token_gets_5_03(void **state)
{
    struct world *w = *state;
    struct record *served = serve_text(w, w->server, "/t", 0, "x");

    copal_tune(w->server, NULL, COPAL_P_MAX_TOKEN, 16);
    inject_token(w, 16, 1, "b174");
    inject_token(w, 17, 2, "b174");
    inject_token(w, 300, 3, "b174");
    copal_sim_run(w->sim, 1000);
    assert_int_equal(served->requests, 1);
    assert_int_equal(count_in_transcript(w, "ACK 2.05"), 1);
    assert_int_equal(count_in_transcript(w, "ACK 5.03"), 2);
}

/* ---- Options by the thousand ---- */

static void thousands_of_options_do_no_harm(void **state)
{
    static char hex[4000];
    struct world *w = *state;

    serve_text(w, w->server, "/t", 0, "x");
    strcpy(hex, "40011234b0"); /* empty Uri-Paths */
    for (size_t i = strlen(hex); i < 3600; i++)
        hex[i] = '0';
    inject_hex(w, PEER, "server", hex);
    strcpy(hex, "40011235b17410"); /* empty elective ones */
    for (size_t i = strlen(hex); i < 3600; i++)
        hex[i] = '0';
    inject_hex(w, PEER, "server", hex);
    copal_sim_run(w->sim, 0);
    assert_int_equal(count_in_transcript(w, "ACK 4.04 0001"), 1);
    assert_int_equal(count_in_transcript(w, "ACK 2.05 0002"), 1);
}

/* ---- Responses that a client cannot take, RFC 7252 5.4.1 ---- */

#define UNKNOWN "e1fcdc01" /* critical, delta 65001 */

static struct record *asked(struct world *w, struct tap **t)
{
    struct record *r;

    *t = tap(w->client);
    r = get(w, "coap://" PEER "/t");
    copal_sim_run(w->sim, 0);
    return r;
}

static void assert_not_understood(const struct record *r)
{
    assert_ended(r, COPAL_EFORMAT);
    assert_int_equal(r->responses, 0);
    assert_non_null(strstr(r->text, "must be understood and is not: 65001"));
}

static void a_con_response_not_understood_is_reset(void **state)
{
    struct world *w = *state;
    struct tap *t;
    struct record *r = asked(w, &t);
    char token[40];

    strcpy(token, t->token);
    inject_made(w, PEER, "4845 7777 %s" UNKNOWN, token);
    inject_made(w, PEER, "4845 7777 %s" UNKNOWN, token);
    copal_sim_run(w->sim, 100000);
    assert_not_understood(r);
    assert_int_equal(count_in_transcript(w, "client > " PEER " RST empty"), 2);
    assert_int_equal(count_in_transcript(w, "GET"), 1);
}

static void a_non_response_not_understood_ends_it(void **state)
{
    struct world *w = *state;
    struct tap *t;
    struct record *r = asked(w, &t);

    inject_made(w, PEER, "5845 7777 %s" UNKNOWN, t->token);
    copal_sim_run(w->sim, 100000);
    assert_not_understood(r);
    assert_int_equal(count_in_transcript(w, "client > "), 1);
}

static void a_piggybacked_response_not_understood_ends_it(void **state)
{
    struct world *w = *state;
    struct tap *t;
    struct record *r = asked(w, &t);

    inject_made(w, PEER, "6845 %04x %s" UNKNOWN, t->mid, t->token);
    copal_sim_run(w->sim, 100000);
    assert_not_understood(r);
    assert_int_equal(count_in_transcript(w, "client > "), 1);
}

static void a_notification_not_understood_is_reset(void **state)
{
    struct world *w = *state;
    struct tap *t = tap(w->client);
    struct record *r = observe(w, "coap://" PEER "/t");
    char token[40];

    copal_sim_run(w->sim, 0);
    strcpy(token, t->token);
    inject_made(w, PEER, "6845 %04x %s 6101 ff78", t->mid, token);
    inject_made(w, PEER, "4845 7777 %s 6102 e1fcd601 ff79", token);
    copal_sim_run(w->sim, 1000);
    assert_int_equal(r->responses, 1);
    assert_ended(r, COPAL_EFORMAT);
    assert_int_equal(count_in_transcript(w, "client > " PEER " RST empty"), 1);
}

static void an_understood_option_lets_a_response_through(void **state)
{
    struct world *w = *state;
    struct tap *t;
    struct record *r;

    assert_int_equal(copal_understand(w->client, 65001), 0);
    r = asked(w, &t);
    inject_made(w, PEER, "4845 7777 %s" UNKNOWN, t->token);
    copal_sim_run(w->sim, 0);
    assert_ended(r, 0);
    assert_int_equal(r->responses, 1);
}

static void malformed_responses_leave_the_request_alone(void **state)
{
    struct world *w = *state;
    struct tap *t;
    struct record *r = asked(w, &t);
    char token[40];
    unsigned mid = t->mid;

    strcpy(token, t->token);
    inject_made(w, PEER, "6845 %04x %s ff", mid, token);
    inject_made(w, PEER, "4845 7777 %s b574", token);
    inject_made(w, PEER, "68e5 %04x %s", mid, token);
    inject_made(w, PEER, "7845 %04x %s", mid, token);
    inject_made(w, PEER, "6801 %04x %s", mid, token);
    inject_made(w, PEER, "6000 %04x ff00", mid);
    copal_sim_run(w->sim, 1000);
    assert_int_equal(r->ends, 0);
    assert_int_equal(count_in_transcript(w, "client > " PEER " RST empty"), 1);
    inject_made(w, PEER, "6845 %04x %s ff79", mid, token);
    copal_sim_run(w->sim, 0);
    assert_ended(r, 0);
    assert_string_equal(r->payload, "y");
}

/* ---- Limits ---- */

static void beyond_max_exchanges_a_server_says_5_03(void **state)
{
    struct world *w = *state;
    struct kept *k = serve_kept(w, "/t");

    copal_tune(w->server, NULL, COPAL_P_MAX_EXCHANGES, 2);
    inject_hex(w, PEER, "server", "4001 0001 b174");
    inject_hex(w, PEER, "server", "4001 0002 b174");
    inject_hex(w, PEER, "server", "4001 0003 b174");
    inject_hex(w, PEER, "server", "5001 0004 b174");
    copal_sim_run(w->sim, 0);
    assert_int_equal(k->record->requests, 2);
    assert_int_equal(count_in_transcript(w, "ACK 5.03 0003"), 1);
    assert_int_equal(count_in_transcript(w, "NON 5.03"), 1);
    reply_kept(k, 0, COPAL_CONTENT, "x");
    inject_hex(w, PEER, "server", "4001 0005 b174");
    copal_sim_run(w->sim, 0);
    assert_int_equal(k->record->requests, 3);
}

static void beyond_max_exchanges_a_request_ends_at_once(void **state)
{
    struct world *w = *state;
    struct record *r;

    copal_tune(w->client, NULL, COPAL_P_MAX_EXCHANGES, 1);
    get(w, "coap://" PEER "/t");
    r = get(w, "coap://" PEER "/t");
    copal_sim_run(w->sim, 0);
    assert_ended(r, COPAL_ELIMIT);
    assert_non_null(strstr(r->text, "max_exchanges"));
}

static void beyond_max_peers_a_request_ends_at_once(void **state)
{
    struct world *w = *state;
    struct record *first, *r;
    copal_stats stats = {.size = sizeof(stats)};

    copal_tune(w->client, NULL, COPAL_P_MAX_PEERS, 1);
    first = get(w, "coap://" PEER "/t");
    r = get(w, "coap://192.0.2.2/t");
    copal_sim_run(w->sim, 0);
    assert_ended(r, COPAL_ELIMIT);
    assert_non_null(strstr(r->text, "max_peers"));
    copal_get_stats(w->client, &stats);
    assert_int_equal(stats.peers, 1);
    assert_int_equal(stats.limited, 1);
    copal_cancel(first->exchange);
    r = get(w, "coap://192.0.2.2/t");
    copal_sim_run(w->sim, 0);
    assert_int_equal(r->ends, 0);
}

static void beyond_max_peers_a_separate_answer_may_be_tried_again(void **state)
{
    struct world *w = *state;
    struct kept *k = serve_kept(w, "/t");

    copal_tune(w->server, NULL, COPAL_P_MAX_PEERS, 1);
    inject_hex(w, PEER, "server", "4001 0001 b174");
    inject_hex(w, "192.0.2.2", "server", "4001 0001 b174");
    copal_sim_run(w->sim, 1000);
    assert_int_equal(reply_kept(k, 0, COPAL_CONTENT, "x"), 0);
    assert_int_equal(copal_reply_text(k->x[1], COPAL_CONTENT, "y"),
                     COPAL_ELIMIT);
    copal_sim_run(w->sim, 100000); /* the first is given up */
    assert_int_equal(reply_kept(k, 1, COPAL_CONTENT, "y"), 0);
    copal_sim_run(w->sim, 0);
    assert_int_equal(count_in_transcript(w, "CON 2.05 0001 \"y\""), 1);
}

static void beyond_max_peers_who_lets_go_is_not_asked_for_ever(void **state)
{
    struct world *w = *state;
    struct kept *k = serve_kept(w, "/t");
    copal_stats stats = {.size = sizeof(stats)};

    copal_tune(w->server, NULL, COPAL_P_MAX_PEERS, 1);
    inject_hex(w, PEER, "server", "4001 0001 b174");
    inject_hex(w, "192.0.2.2", "server", "4001 0001 b174");
    copal_sim_run(w->sim, 1000);
    let_go_kept(k, 0);
    let_go_kept(k, 1); /* its 5.00 cannot be sent */
    copal_sim_run(w->sim, 0);
    assert_int_equal(count_in_transcript(w, "CON 5.00"), 1);
    copal_get_stats(w->server, &stats);
    assert_int_equal(stats.exchanges_open, 1);
}

/* ---- Noise ---- */

static uint32_t next_random(uint32_t *seed)
{
    *seed = *seed * 1664525u + 1013904223u;
    return *seed >> 8;
}

/* Datagrams of the tables with bytes changed, cut and put together. */
static size_t make_noise(uint32_t *seed, uint8_t out[256])
{
    const size_t rows = sizeof(odd) / sizeof(odd[0]);
    size_t len = 0;

    for (unsigned parts = next_random(seed) % 2 + 1; parts > 0; parts--) {
        const char *hex = odd[next_random(seed) % rows].hex;
        unsigned byte;

        for (; *hex != '\0' && len < 128; hex++) {
            if (*hex == ' ')
                continue;
            sscanf(hex++, "%2x", &byte);
            out[len++] = (uint8_t)byte;
        }
    }
    for (unsigned n = next_random(seed) % 4; n > 0 && len > 0; n--)
        out[next_random(seed) % len] = (uint8_t)next_random(seed);
    if (next_random(seed) % 4 == 0 && len > 0)
        len = next_random(seed) % len;
    return len;
}

static void noise_does_no_harm(void **state)
{
    struct world *w = *state;
    struct record *served[2], *r;
    uint32_t seed = 1;
    copal_stats stats = {.size = sizeof(stats)};

    copal_sim_keep(w->sim, 0);
    serve_both(w, served);
    serve_after(w, "/late", 100, "y");
    for (int i = 0; i < 20000; i++) {
        uint8_t bytes[256];
        size_t len = make_noise(&seed, bytes);

        copal_sim_inject(w->sim, i % 3 == 0 ? "client" : PEER,
                         i % 2 == 0 ? "server" : "client",
                         (copal_bytes){bytes, len});
        copal_sim_run(w->sim, next_random(&seed) % 20);
    }
    copal_sim_run(w->sim, 300000);
    copal_get_stats(w->server, &stats);
    assert_int_equal(stats.exchanges_open, 0);
    copal_sim_keep(w->sim, 1000);
    r = get(w, "coap://server/t");
    copal_sim_run(w->sim, 0);
    assert_ended(r, 0);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, build, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(odd_datagrams_get_the_right_answer),
        cmocka_unit_test(odd_blocks_get_the_right_answer),
        TEST(nothing_of_it_makes_a_client_do_more_than_reset),
        TEST(what_is_wrong_is_counted),
        TEST(a_malformed_message_is_reset_each_time_and_may_be_mended),
        TEST(tokens_up_to_max_token_come_back_in_every_answer),
        TEST(a_token_over_a_raised_max_token_gets_5_03),
        TEST(thousands_of_options_do_no_harm),
        TEST(a_con_response_not_understood_is_reset),
        TEST(a_non_response_not_understood_ends_it),
        TEST(a_piggybacked_response_not_understood_ends_it),
        TEST(a_notification_not_understood_is_reset),
        TEST(an_understood_option_lets_a_response_through),
        TEST(malformed_responses_leave_the_request_alone),
        TEST(beyond_max_exchanges_a_server_says_5_03),
        TEST(beyond_max_exchanges_a_request_ends_at_once),
        TEST(beyond_max_peers_a_request_ends_at_once),
        TEST(beyond_max_peers_a_separate_answer_may_be_tried_again),
        TEST(beyond_max_peers_who_lets_go_is_not_asked_for_ever),
        TEST(noise_does_no_harm),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
