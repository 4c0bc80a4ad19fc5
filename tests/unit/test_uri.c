/* wire/uri: URIs taken apart and put together. RFC 7252 6, RFC 8323 8. */
#include "wire/uri.h"
#include "vectors.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <cmocka.h>

static struct cp_mem *mem;

static int set_up(void **state)
{
    (void)state;
    mem = cp_mem_new(NULL, NULL);
    return mem == NULL ? -1 : 0;
}

static int tear_down(void **state)
{
    (void)state;
    assert_int_equal(cp_mem_used(mem), 0);
    cp_mem_release(mem);
    return 0;
}

/* ---- Vectors ---- */

enum {
    CASES = 115,
    VALID_CASES = 82
};

static void compare_parts(const char *uri, json_t *expected,
                          bool (*next)(copal_bytes *, uint8_t *, size_t *),
                          copal_bytes rest)
{
    uint8_t part[256];
    size_t len, count = 0;

    for (; next(&rest, part, &len); count++) {
        json_t *wanted = json_array_get(expected, count);

        if (wanted == NULL ||
            !cp_bytes_equal(cp_bytes(part, len), vectors_string_bytes(wanted)))
            fail_msg("%s: part %zu differs", uri, count);
    }
    if (count != json_array_size(expected))
        fail_msg("%s: %zu parts", uri, count);
}

static void compose(struct cp_buf *b, const struct cp_uri *uri)
{
    copal_bytes path = uri->path, query = uri->query;
    char host[320];
    uint8_t part[256];
    size_t len, count = 0;

    cp_uri_host_text(uri, host);
    cp_uri_put_base(b, uri->scheme, host, uri->port);
    for (; cp_uri_next_segment(&path, part, &len); count++)
        cp_uri_put_segment(b, cp_bytes(part, len));
    if (count == 0)
        cp_put_u8(b, '/');
    if (!uri->has_query)
        return;
    for (count = 0; cp_uri_next_argument(&query, part, &len); count++)
        cp_uri_put_argument(b, cp_bytes(part, len), count == 0);
}

static void check_composed(json_t *row, const struct cp_uri *uri)
{
    json_t *also = json_object_get(row, "also_composed");
    struct cp_buf b = cp_buf_new(mem);
    const char *text;

    compose(&b, uri);
    text = cp_buf_text(&b);
    assert_non_null(text);
    if (also == NULL || strcmp(text, json_string_value(also)) != 0)
        assert_string_equal(text, vectors_text(row, "composed"));
    cp_buf_free(&b);
}

static void check_valid(json_t *row)
{
    const char *text = vectors_text(row, "uri");
    json_t *uri_host = json_object_get(row, "uri_host");
    struct cp_uri uri;
    char host[320];

    if (cp_uri_split(mem, text, &uri) != 0)
        fail_msg("%s", cp_why_text(mem));
    assert_string_equal(cp_scheme_name(uri.scheme),
                        vectors_text(row, "scheme"));
    cp_uri_host_text(&uri, host);
    assert_string_equal(host, vectors_text(row, "destination"));
    assert_int_equal(uri.port, vectors_int(row, "destination_port"));
    /* Uri-Host is sent for names only, Uri-Port never: the request goes to
     * the port of the URI. */
    assert_int_equal(uri.is_literal, json_is_null(uri_host));
    if (!uri.is_literal)
        assert_string_equal(host, json_string_value(uri_host));
    assert_true(json_is_null(json_object_get(row, "uri_port")));
    compare_parts(text, vectors_array(row, "uri_path"), cp_uri_next_segment,
                  uri.path);
    compare_parts(text, vectors_array(row, "uri_query"), cp_uri_next_argument,
                  uri.query);
    assert_int_equal(uri.has_query,
                     json_array_size(vectors_array(row, "uri_query")) > 0);
    check_composed(row, &uri);
}

static void check_invalid(json_t *row)
{
    const char *text = vectors_text(row, "uri");
    struct cp_uri uri = {.port = 7};

    if (cp_uri_split(mem, text, &uri) != COPAL_EURI)
        fail_msg("%s was understood: %s", text, vectors_text(row, "reason"));
    assert_true(strlen(cp_why_text(mem)) > 20);
    assert_int_equal(uri.port, 7);
}

static void every_uri_gives_its_options_and_comes_back(void **state)
{
    json_t *document = vectors_load("uri.json"), *row;
    json_t *rows = vectors_rows(document, "cases", CASES);
    size_t i, valid = 0;

    (void)state;
    json_array_foreach(rows, i, row)
    {
        bool is_valid = vectors_bool(row, "valid");

        valid += is_valid;
        if (is_valid)
            check_valid(row);
        else
            check_invalid(row);
    }
    assert_int_equal(valid, VALID_CASES);
    json_decref(document);
}

/* ---- Dot segments ---- */

static void dot_segments_are_resolved(void **state)
{
    static const struct {
        const char *path, *resolved; /* segments with "|" behind each */
    } rows[] = {
        {"", ""},
        {"/", ""},
        {"/a", "a|"},
        {"/a/", "a||"},
        {"//", "||"},
        {"///", "|||"},
        {"/.", ""},
        {"/..", ""},
        {"/./", ""},
        {"/../", ""},
        {"/.//", "||"},
        {"//..", ""},
        {"//../", ""},
        {"/a/..", ""},
        {"/a/../", ""},
        {"/a/..//", "||"},
        {"/a/b/../..", ""},
        {"/a/b/../../..", ""},
        {"/a/b/../../c", "c|"},
        {"/a//..", "a||"},
        {"/a//../b", "a|b|"},
        {"/a/b/c/../../d/..", "a||"},
        {"/../../a/./b/.", "a|b||"},
        {"/a/%2e/%2E./b", "b|"},
        {"/a/%2E%2e", ""},
        {"/...", "...|"},
        {"/a/.../..", "a||"},
        {"/.a/..a", ".a|..a|"},
        {"/%252e%252e", "%2e%2e|"},
        {"/a/b/./../", "a||"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        copal_bytes rest = cp_bytes_of_text(rows[i].path);
        struct cp_buf b = cp_buf_new(mem);
        uint8_t part[256];
        size_t len;

        while (cp_uri_next_segment(&rest, part, &len)) {
            cp_put_bytes(&b, cp_bytes(part, len));
            cp_put_u8(&b, '|');
        }
        assert_string_equal(cp_buf_text(&b), rows[i].resolved);
        cp_buf_free(&b);
    }
}

/* ---- Sentences ---- */

static char long_uri[9000];

static void each_fault_has_its_sentence(void **state)
{
    static const struct {
        const char *uri, *sentence;
    } rows[] = {
        {"", "an empty text is no URI; try coap://host/path"},
        {"example.org/x", "example.org/x: a URI needs a scheme; try "
                          "coap://example.org/x"},
        {"example.org:5683/x", "example.org:5683/x: a URI needs a scheme; try "
                               "coap://example.org:5683/x"},
        {"//example.org/x", "//example.org/x: a URI needs a scheme; try "
                            "coap://example.org/x"},
        {"[::1]/x", "[::1]/x: a URI needs a scheme; try coap://[::1]/x"},
        {"/a/b", "/a/b: a path alone is no URI; put scheme and host before "
                 "it, as in coap://host/a/b"},
        {"://h/", "://h/: a URI begins with its scheme; try "
                  "coap://host/path"},
        {"ftp://h/", "ftp://h/: an unknown scheme; use coap, coaps, "
                     "coap+tcp, coaps+tcp, coap+ws or coaps+ws"},
        {"http://h/a", "http://h/a: http and https are reached only through "
                       "a proxy; send the request to one, with this as its "
                       "Proxy-Uri"},
        {"coaps:/h", "coaps:/h: behind the scheme come // and a host; try "
                     "coaps://host/path"},
        {"coap:///a", "coap:///a: the host is missing at character 8; write "
                      "one, as in coap://host/path"},
        {"coap://*/a", "coap://*/a: * is a host to listen at only; name the "
                       "one to ask"},
        {"coap://%2a/a", "coap://%2a/a: * is a host to listen at only; name "
                         "the one to ask"},
        {"coap://me:pw@h/", "coap://me:pw@h/: no user and password before "
                            "the host; cut off everything from character 8 "
                            "to the @"},
        {"coap://[::1/a", "coap://[::1/a: the [ at character 8 is never "
                          "closed; write a ] behind the address"},
        {"coap://[::g]/a", "coap://[::g]/a: what stands in brackets at "
                           "character 9 is no IPv6 address; write one, as in "
                           "[2001:db8::1]"},
        {"coap://[::1]x/", "coap://[::1]x/: only a port may follow the ] "
                           "before character 13; write it as in ]:5683"},
        {"coap://::1/a", "coap://::1/a: the IPv6 address at character 8 needs "
                         "brackets; write [::1]"},
        {"coap://[fe80::1%]/", "coap://[fe80::1%]/: the zone at character 16 "
                               "is not the name or number of an interface; "
                               "write it as in [fe80::1%25eth0]"},
        {"coap://a%2Fb/", "coap://a%2Fb/: no host has the %2F at character 9 "
                          "in its name; take it out"},
        {"coap://h:x/", "coap://h:x/: the port at character 10 is not a "
                        "number; write digits, as in :5683"},
        {"coap://h:65536/", "coap://h:65536/: the port at character 10 is "
                            "over 65535; write a smaller one"},
        {"coap://h:0/", "coap://h:0/: nobody can be reached at port 0; write "
                        "the port that the server listens at"},
        {"coap://h/a#b", "coap://h/a#b: a fragment stays with who uses the "
                         "URI; cut off everything from the # at character 11"},
        {"coap://h/a b", "coap://h/a b: a space at character 11; "
                         "percent-encode it as %20"},
        {"coap://h/a?<", "coap://h/a?<: a < cannot stand at character 12; "
                         "percent-encode it as %3C"},
        {"coap://h/\xc3\xa9", "coap://h/\?\?: the byte 0xC3 at character 10 "
                              "is not printable ASCII; percent-encode it as "
                              "%C3"},
        {"coap://h/a%2", "coap://h/a%2: the % at character 11 needs two "
                         "hexadecimal digits behind it; for the sign itself "
                         "write %25"},
        {"coap://h/a?b&%ff", "coap://h/a?b&%ff: the argument at character 14 "
                             "is not UTF-8 once decoded; percent-encode the "
                             "bytes of its UTF-8 form"},
        {"coap://h/b/%ff", "coap://h/b/%ff: the segment at character 12 is "
                           "not UTF-8 once decoded; percent-encode the bytes "
                           "of its UTF-8 form"},
        {long_uri,
         "coap://haaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
         "aaaaaaaaaaaaaaaaaaaa...: over 8192 bytes are too much for "
         "a URI; shorten it"},
    };

    (void)state;
    memset(long_uri, 'a', sizeof(long_uri) - 1);
    memcpy(long_uri, "coap://h", 8);
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct cp_uri uri;

        assert_int_equal(cp_uri_split(mem, rows[i].uri, &uri), COPAL_EURI);
        assert_string_equal(cp_why_text(mem), rows[i].sentence);
        for (size_t k = 0; k < i; k++)
            assert_string_not_equal(rows[k].sentence, rows[i].sentence);
    }
}

static void a_part_of_255_bytes_fits_and_one_more_does_not(void **state)
{
    static const struct {
        const char *before, *behind, *what;
        int place;
    } rows[] = {
        {"coap://", "/a", "host", 8},
        {"coap://h/a/", "/b", "segment", 12},
        {"coap://h/?a&", "", "argument", 13},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        char p[257], uri[300], wanted[80];
        struct cp_uri out;

        memset(p, 'p', 256);
        p[256] = '\0';
        snprintf(wanted, sizeof(wanted),
                 ": the %s at character %d has 256 bytes; make it 255 at most",
                 rows[i].what, rows[i].place);
        snprintf(uri, sizeof(uri), "%s%s%s", rows[i].before, p + 1,
                 rows[i].behind);
        assert_int_equal(cp_uri_split(mem, uri, &out), 0);
        snprintf(uri, sizeof(uri), "%s%s%s", rows[i].before, p, rows[i].behind);
        assert_int_equal(cp_uri_split(mem, uri, &out), COPAL_EURI);
        assert_non_null(strstr(cp_why_text(mem), wanted));
    }
}

static void utf8_is_checked_to_the_letter(void **state)
{
    static const struct {
        const char *segment;
        int error;
    } rows[] = {
        {"%C3%A9", 0},
        {"%E2%82%AC", 0},
        {"%F0%9F%98%80", 0},
        {"%F4%8F%BF%BF", 0},
        {"%C3", COPAL_EURI},          /* cut off */
        {"%C3%28", COPAL_EURI},       /* no tail */
        {"%A9", COPAL_EURI},          /* no head */
        {"%C0%80", COPAL_EURI},       /* NUL in two bytes */
        {"%E0%80%AF", COPAL_EURI},    /* "/" in three */
        {"%F0%80%80%AF", COPAL_EURI}, /* and in four */
        {"%ED%A0%80", COPAL_EURI},    /* half a surrogate pair */
        {"%F4%90%80%80", COPAL_EURI}, /* beyond U+10FFFF */
        {"%F8%88%80%80%80", COPAL_EURI},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct cp_uri out;
        char uri[64];

        snprintf(uri, sizeof(uri), "coap://h/%s", rows[i].segment);
        assert_int_equal(cp_uri_split(mem, uri, &out), rows[i].error);
    }
}

/* ---- Bases and hosts ---- */

static void a_base_is_scheme_host_and_port(void **state)
{
    static const struct {
        const char *text, *host;
        int error, scheme, port;
    } rows[] = {
        {"coap://*", "*", 0, CP_COAP, 5683},
        {"coaps+tcp://*:7", "*", 0, CP_COAPS_TCP, 7},
        {"coap://[::]:0", "::", 0, CP_COAP, 0},
        {"coap+ws://localhost/", "localhost", 0, CP_COAP_WS, 80},
        {"coap://127.0.0.1:5700", "127.0.0.1", 0, CP_COAP, 5700},
        {"coap://h/a", NULL, COPAL_EURI, 0, 0},
        {"coap://h?a", NULL, COPAL_EURI, 0, 0},
        {"coap://h#", NULL, COPAL_EURI, 0, 0},
        {"coap://", NULL, COPAL_EURI, 0, 0},
        {"*:5683", NULL, COPAL_EURI, 0, 0},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct cp_uri uri;
        char host[320];

        assert_int_equal(cp_uri_split_base(mem, rows[i].text, &uri),
                         rows[i].error);
        if (rows[i].error != 0)
            continue;
        cp_uri_host_text(&uri, host);
        assert_string_equal(host, rows[i].host);
        assert_int_equal(uri.scheme, rows[i].scheme);
        assert_int_equal(uri.port, rows[i].port);
    }
    assert_int_equal(cp_uri_split_base(mem, "coap://h/a", &(struct cp_uri){0}),
                     COPAL_EURI);
    assert_string_equal(cp_why_text(mem),
                        "coap://h/a: only scheme, host and port are wanted "
                        "here; cut off everything from character 9");
}

static void hosts_are_read_in_all_their_forms(void **state)
{
    static const struct {
        const char *authority, *host;
        bool is_literal;
    } rows[] = {
        {"h%41T", "hat", false},
        {"%31.2.3.4", "1.2.3.4", true},
        {"01.2.3.4", "01.2.3.4", false},
        {"[::FFFF:1.2.3.4]", "::ffff:1.2.3.4", true},
        {"[2001:0DB8:0:0:0:0:0:1]", "2001:db8::1", true},
        {"[fe80::1%eth0]", "fe80::1%eth0", true},
        {"[fe80::1%25eth0]", "fe80::1%eth0", true},
        {"[fe80::1%3]", "fe80::1%3", true},
        {"[fe80::1%2525]", "fe80::1%25", true},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct cp_uri uri;
        char text[64], host[320];

        snprintf(text, sizeof(text), "coap://%s/", rows[i].authority);
        assert_int_equal(cp_uri_split(mem, text, &uri), 0);
        cp_uri_host_text(&uri, host);
        assert_string_equal(host, rows[i].host);
        assert_int_equal(uri.is_literal, rows[i].is_literal);
    }
}

static void what_a_peer_calls_a_host_cannot_break_a_uri(void **state)
{
    struct cp_buf b = cp_buf_new(mem);

    (void)state;
    cp_uri_put_base(&b, CP_COAP, "a/b?c#d e:1@[\xff", 1);
    assert_string_equal(cp_buf_text(&b),
                        "coap://a%2Fb%3Fc%23d%20e%3A1%40%5B%FF:1");
    cp_buf_free(&b);
    b = cp_buf_new(mem);
    cp_uri_put_base(&b, CP_COAPS, "fe80::1%a]/b", 5684);
    assert_string_equal(cp_buf_text(&b), "coaps://[fe80::1%25a%5D%2Fb]");
    cp_buf_free(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(
            every_uri_gives_its_options_and_comes_back, set_up, tear_down),
        cmocka_unit_test_setup_teardown(dot_segments_are_resolved, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(each_fault_has_its_sentence, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(
            a_part_of_255_bytes_fits_and_one_more_does_not, set_up, tear_down),
        cmocka_unit_test_setup_teardown(utf8_is_checked_to_the_letter, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(a_base_is_scheme_host_and_port, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(hosts_are_read_in_all_their_forms,
                                        set_up, tear_down),
        cmocka_unit_test_setup_teardown(
            what_a_peer_calls_a_host_cannot_break_a_uri, set_up, tear_down),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
