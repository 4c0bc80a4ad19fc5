/* Where messages go and what they are as text: wire/message_uri.c,
 * wire/message_text.c, wire/message_print.c. */
#include "wire/datagram.h"
#include "wire/message_text.h"
#include "wire/target.h"
#include "wire/uri.h"
#include "messages.h"
#include "vectors.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <cmocka.h>

static const char *option_lines(const copal_msg *m)
{
    return copal_msg_print(m, COPAL_OPTION_LINES);
}

/* ---- URIs ---- */

static void assert_values(const copal_msg *m, int option, json_t *values)
{
    copal_bytes value;
    json_t *expected;
    size_t i;

    json_array_foreach(values, i, expected)
    {
        assert_int_equal(copal_msg_value(m, option, i, &value), 0);
        assert_true(cp_bytes_equal(value, vectors_string_bytes(expected)));
    }
    assert_int_equal(copal_msg_value(m, option, i, NULL), COPAL_ENOENT);
}

static void assert_target(const copal_msg *m, json_t *row)
{
    const char *uri = vectors_text(row, "uri");
    json_t *host = json_object_get(row, "uri_host");
    copal_bytes value;

    assert_string_equal(copal_msg_uri(m), uri);
    assert_string_equal(m->target->uri, uri);
    assert_string_equal(m->target->host, vectors_text(row, "destination"));
    assert_int_equal(m->target->port, vectors_int(row, "destination_port"));
    assert_string_equal(cp_scheme_name(m->target->scheme),
                        vectors_text(row, "scheme"));
    assert_int_equal(m->target->error, 0);
    assert_int_equal(copal_msg_value(m, COPAL_OPT_URI_HOST, 0, &value),
                     json_is_null(host) ? COPAL_ENOENT : 0);
    if (!json_is_null(host))
        assert_true(cp_bytes_equal(value, vectors_string_bytes(host)));
    assert_int_equal(copal_msg_uint(m, COPAL_OPT_URI_PORT), COPAL_ENOENT);
    assert_values(m, COPAL_OPT_URI_PATH, vectors_array(row, "uri_path"));
    assert_values(m, COPAL_OPT_URI_QUERY, vectors_array(row, "uri_query"));
}

static void every_uri_becomes_options_or_is_remembered_as_bad(void **state)
{
    json_t *document = vectors_load("uri.json");
    json_t *rows = vectors_rows(document, "cases", 115), *row;
    copal_msg *m =
        messages_new(COPAL_GET); /* one for all: each replaces the last */
    size_t i;

    (void)state;
    json_array_foreach(rows, i, row)
    {
        const char *uri = vectors_text(row, "uri");
        int err = copal_msg_set_uri(m, uri);

        if (err != (vectors_bool(row, "valid") ? 0 : COPAL_EURI))
            fail_msg("%s: %d", uri, err);
        if (err == 0) {
            assert_target(m, row);
            continue;
        }
        assert_int_equal(m->target->error, COPAL_EURI);
        assert_string_equal(m->target->why, cp_why_text(messages_mem));
        assert_string_equal(copal_msg_uri(m), uri);
        assert_int_equal(m->option_count, 0);
    }
    copal_msg_unref(m);
    json_decref(document);
}

static void a_uri_can_be_set_again_from_the_message_itself(void **state)
{
    copal_msg *m = messages_new(COPAL_GET);

    (void)state;
    copal_msg_add_uint(m, COPAL_OPT_ACCEPT, 0);
    assert_int_equal(copal_msg_set_uri(m, "coap://h/a?b"), 0);
    assert_int_equal(copal_msg_set_uri(m, copal_msg_uri(m)), 0);
    assert_string_equal(option_lines(m), "Uri-Host: h\n"
                                         "Uri-Path: a\n"
                                         "Uri-Query: b\n"
                                         "Accept: 0 text/plain;charset=utf-8");
    assert_int_equal(copal_msg_set_uri(m, NULL), COPAL_EURI);
    copal_msg_unref(m);
}

static void requests_to_one_uri_share_what_was_read(void **state)
{
    copal_msg *first = cp_msg_new(messages_mem, COPAL_GET, 0);
    copal_msg *second = cp_msg_new(messages_mem, COPAL_PUT, 0);

    (void)state;
    assert_int_equal(copal_msg_set_uri(first, "coap://a/b/c?d"), 0);
    assert_int_equal(copal_msg_set_uri(second, "coap://a/b/c?d"), 0);
    assert_ptr_equal(first->target, second->target);
    assert_string_equal(option_lines(first), option_lines(second));
    copal_msg_unref(first);
    assert_string_equal(second->target->host, "a");
    copal_msg_unref(second);
}

/* More than are known at a time, so that some take the place of others. */
static void each_of_many_uris_keeps_its_own_path(void **state)
{
    enum {
        MANY = 300
    };
    copal_msg *all[MANY];
    char uri[64], path[64];

    (void)state;
    for (int round = 0; round < 2; round++) {
        for (int i = 0; i < MANY; i++) {
            all[i] = cp_msg_new(messages_mem, COPAL_GET, 0);
            snprintf(uri, sizeof(uri), "coap://host%d/path/%d", i % 7, i);
            assert_int_equal(copal_msg_set_uri(all[i], uri), 0);
        }
        for (int i = 0; i < MANY; i++) {
            snprintf(uri, sizeof(uri), "coap://host%d/path/%d", i % 7, i);
            snprintf(path, sizeof(path), "/path/%d", i);
            assert_string_equal(all[i]->target->uri, uri);
            assert_string_equal(copal_msg_path(all[i]), path);
            copal_msg_unref(all[i]);
        }
    }
}

static void a_group_is_known_by_its_literal(void **state)
{
    static const struct {
        const char *uri;
        int multicast;
    } rows[] = {{"coap://224.0.1.187/x", 1},
                {"coap://[ff02::fd]/x", 1},
                {"coap://[ff02::fd%25nosuchif0]/x", 1},
                {"coap://[fe80::1]/x", 0},
                {"coap://192.0.2.1/x", 0},
                {"coap://all/x", 0}};
    copal_msg *m = messages_new(COPAL_GET);

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
        copal_wire wire = {.size = sizeof(wire)};

        assert_int_equal(copal_msg_set_uri(m, rows[i].uri), 0);
        assert_int_equal(copal_msg_wire(m, &wire), 0);
        assert_int_equal(wire.multicast, rows[i].multicast);
    }
    copal_msg_unref(m);
}

static void a_message_leaves_from_an_address_in_digits(void **state)
{
    copal_msg *m = messages_new(COPAL_GET);

    (void)state;
    assert_int_equal(copal_msg_set_from(m, "coap://[::1]:7000"), 0);
    assert_int_equal(m->from.family, CP_IPV6);
    assert_int_equal(m->from.port, 7000);
    assert_int_equal(copal_msg_set_from(m, "coap://name"), COPAL_EURI);
    assert_int_equal(copal_msg_set_from(m, "coap://[::1]/path"), COPAL_EURI);
    assert_int_equal(copal_msg_set_from(m, NULL), COPAL_EURI);
    assert_int_equal(m->from.port, 7000);
    copal_msg_unref(m);
}

/* ---- Texts ---- */

static void the_uri_of_a_request_is_composed_of_what_came(void **state)
{
    static const struct {
        const char *datagram;
        size_t len;
        const char *uri;
    } rows[] = {
#define ROW(bytes, uri) {(bytes), sizeof(bytes) - 1, (uri)}
        ROW("\x40\1\0\1", "coap://[::1]/"),
        ROW("\x40\1\0\1\xb1"
            "a\x01/",
            "coap://[::1]/a/%2F"),
        ROW("\x40\1\0\1\x31h\x42\x16\x34\x82q=\x01&", "coap://h:5684/?q=&%26"),
        ROW("\x40\1\0\1\xdd\x16\x0c"
            "coap://proxied/some/thing",
            "coap://proxied/some/thing"),
        ROW("\x40\1\0\1\x31h\xd5\x17"
            "coaps",
            "coaps://h:5683/"),
#undef ROW
    };

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
        copal_msg *m = messages_received(rows[i].datagram, rows[i].len);
        const char *first = copal_msg_uri(m);

        assert_string_equal(first, rows[i].uri);
        m->frozen = true;
        assert_ptr_equal(copal_msg_uri(m), first);
        copal_msg_unref(m);
    }
}

static void a_response_has_the_uri_of_its_request(void **state)
{
    copal_msg *request = messages_new(COPAL_GET);
    copal_msg *response = MESSAGE_RECEIVED("\x60\x45\0\1");

    (void)state;
    copal_msg_set_uri(request, "coap://H/%61");
    assert_string_equal(copal_msg_uri(response), "");
    response->request = copal_msg_ref(request);
    assert_string_equal(copal_msg_uri(response), "coap://H/%61");
    copal_msg_unref(response);
    copal_msg_unref(request);
}

static void both_ends_are_base_uris(void **state)
{
    copal_msg *m = MESSAGE_RECEIVED("\x60\x45\0\1"),
              *own = messages_new(COPAL_GET);

    (void)state;
    assert_string_equal(copal_msg_remote(m), "coap://192.0.2.1:40000");
    assert_string_equal(copal_msg_local(m), "coap://[::1]");
    m->scheme = CP_COAPS;
    m->path.remote.family = CP_NO_ADDRESS; /* made for many */
    assert_string_equal(copal_msg_remote(m), "");
    assert_string_equal(copal_msg_local(m), "coaps://[::1]:5683");
    assert_string_equal(copal_msg_remote(own), "");
    assert_string_equal(copal_msg_local(own), "");
    assert_null(copal_msg_identity(m));
    copal_msg_unref(m);
    copal_msg_unref(own);
}

static void a_path_tells_its_segments_apart(void **state)
{
    copal_msg *m = messages_new(COPAL_GET);
    const char *root, *one;

    (void)state;
    root = copal_msg_path(m);
    copal_msg_add_text(m, COPAL_OPT_URI_PATH, "caf\xc3\xa9 1");
    one = copal_msg_path(m);
    assert_ptr_equal(copal_msg_path(m), one);
    copal_msg_add_text(m, COPAL_OPT_URI_PATH, "b/c");
    copal_msg_add(m, COPAL_OPT_URI_PATH, cp_bytes("d\0e", 3));
    copal_msg_add_text(m, COPAL_OPT_URI_PATH, "");
    m->frozen = true;
    assert_string_equal(copal_msg_path(m), "/caf\xc3\xa9 1/b%2Fc/d%00e/");
    assert_ptr_equal(copal_msg_path(m), copal_msg_path(m));
    assert_string_equal(one, "/caf\xc3\xa9 1"); /* as long as the message */
    assert_string_equal(root, "/");
    copal_msg_unref(m);
}

static void a_query_is_found_by_its_key(void **state)
{
    copal_msg *m = messages_new(COPAL_GET);

    (void)state;
    copal_msg_set_uri(m, "coap://h/?ab=1&a=2=3&a=4&flag&e=");
    assert_string_equal(copal_msg_query(m, "a"), "2=3");
    assert_string_equal(copal_msg_query(m, "ab"), "1");
    assert_string_equal(copal_msg_query(m, "flag"), "");
    assert_string_equal(copal_msg_query(m, "e"), "");
    assert_null(copal_msg_query(m, "fla"));
    assert_null(copal_msg_query(m, "1"));
    assert_null(copal_msg_query(m, NULL));
    copal_msg_unref(m);
}

static void the_wire_is_told_to_older_and_newer_callers(void **state)
{
    struct {
        copal_wire wire;
        int more;
    } newer = {.wire = {.size = sizeof(newer)}, .more = 7};
    copal_wire older = {.size = offsetof(copal_wire, multicast),
                        .multicast = 7};
    copal_wire none = {0};
    copal_msg *m = MESSAGE_RECEIVED("\x51\x45\x12\x34T");

    (void)state;
    m->path.is_multicast = 1;
    m->path.if_index = 3;
    assert_int_equal(copal_msg_wire(m, &newer.wire), 0);
    assert_int_equal(newer.wire.size, sizeof(newer));
    assert_int_equal(newer.wire.type, CP_NON);
    assert_int_equal(newer.wire.mid, 0x1234);
    assert_int_not_equal(newer.wire.multicast, 0);
    assert_int_equal(newer.wire.if_index, 3);
    assert_true(cp_bytes_is_text(newer.wire.token, "T"));
    assert_int_equal(newer.more, 0);
    assert_int_equal(copal_msg_wire(m, &older), 0);
    assert_int_equal(older.mid, 0x1234);
    assert_int_equal(older.multicast, 7);
    assert_int_equal(copal_msg_wire(m, &none), COPAL_EINVAL);
    copal_msg_unref(m);
}

static void a_message_is_one_line(void **state)
{
    copal_msg *request = messages_new(COPAL_GET),
              *empty = MESSAGE_RECEIVED("\x70\0\0\x0a");
    copal_msg *response =
        MESSAGE_RECEIVED("\x64\x45\x1f\x2e\x0a\x0b\x0c\x0d\xc0\xff"
                         "This is the text");
    copal_msg *arrived = MESSAGE_RECEIVED("\x40\x02\0\1\xb1p\x12\xfd\xe8\xff!");

    (void)state;
    copal_msg_set_uri(request, "coap://localhost/other/separate");
    response->path.remote.port = 5683;
    assert_string_equal(copal_msg_print(request, COPAL_LINE),
                        "GET coap://localhost/other/separate");
    assert_string_equal(
        copal_msg_print(response, COPAL_LINE),
        "2.05 Content from coap://192.0.2.1, ACK 1f2e, token 0a0b0c0d, "
        "text/plain;charset=utf-8, 16 bytes");
    assert_string_equal(copal_msg_print(arrived, COPAL_LINE),
                        "POST coap://[::1]/p, CON 0001, format 65000, 1 byte");
    assert_string_equal(copal_msg_print(empty, COPAL_LINE),
                        "Empty from coap://192.0.2.1:40000, RST 000a");
    copal_msg_set_uri(request, "coap://h/\n\xff");
    assert_string_equal(copal_msg_print(request, COPAL_LINE),
                        "GET coap://h/\\x0a\\xff");
    copal_msg_unref(request);
    copal_msg_unref(response);
    copal_msg_unref(arrived);
    copal_msg_unref(empty);
}

static void options_are_lines(void **state)
{
    copal_msg *m = messages_new(COPAL_PUT);

    (void)state;
    assert_string_equal(option_lines(m), "");
    copal_msg_set_uri(m, "coap://localhost/other/separate");
    copal_msg_add(m, COPAL_OPT_IF_NONE_MATCH, (copal_bytes){0});
    copal_msg_add_uint(m, COPAL_OPT_OBSERVE, 0);
    copal_msg_add_uint(m, COPAL_OPT_CONTENT_FORMAT, 0);
    copal_msg_add_uint(m, COPAL_OPT_ACCEPT, 65000);
    copal_msg_add_uint(m, COPAL_OPT_BLOCK2, 6);
    copal_msg_add_uint(m, COPAL_OPT_BLOCK1, 0x1e);
    copal_msg_add_uint(m, COPAL_OPT_SIZE1, 4294967295);
    copal_msg_add(m, COPAL_OPT_REQUEST_TAG, cp_bytes("\xab\xcd", 2));
    assert_string_equal(option_lines(m),
                        "Uri-Host: localhost\n"
                        "If-None-Match:\n"
                        "Observe: 0\n"
                        "Uri-Path: other / separate\n"
                        "Content-Format: 0 text/plain;charset=utf-8\n"
                        "Accept: 65000\n"
                        "Block2: 0/0/1024\n"
                        "Block1: 1/1/1024\n"
                        "Size1: 4294967295\n"
                        "Request-Tag: abcd");
    copal_msg_unref(m);
}

/* RFC 8323 5.2: their numbers mean something else in every other message. */
static void options_of_signals_have_names_of_their_own(void **state)
{
    static const struct {
        int code, option;
        const char *value, *shown;
    } rows[] = {
        {COPAL_CODE(7, 1), 2, "\x04\x80", "Max-Message-Size: 1152"},
        {COPAL_CODE(7, 1), 4, "", "Block-Wise-Transfer:"},
        {COPAL_CODE(7, 1), 6, "\x40", "Extended-Token-Length: 64"},
        {COPAL_CODE(7, 1), 12, "\x32", "12: 32"},
        {COPAL_CODE(7, 1), 23, "\x06", "23: 06"},
        {COPAL_CODE(7, 2), 2, "", "Custody:"},
        {COPAL_CODE(7, 3), 2, "", "Custody:"},
        {COPAL_CODE(7, 4), 2, "coap+tcp://a",
         "Alternative-Address: coap+tcp://a"},
        {COPAL_CODE(7, 4), 4, "\x05", "Hold-Off: 5"},
        {COPAL_CODE(7, 5), 2, "\x02", "Bad-CSM-Option: 2"},
        {COPAL_CODE(7, 9), 2, "\x02", "2: 02"},
        {COPAL_GET, 4, "\x05", "ETag: 05"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        copal_msg *m = messages_new(rows[i].code);

        assert_int_equal(cp_msg_add(m, (uint16_t)rows[i].option,
                                    cp_bytes_of_text(rows[i].value)),
                         0);
        assert_string_equal(option_lines(m), rows[i].shown);
        copal_msg_unref(m);
    }
}

static void strangers_text_stays_in_its_line(void **state)
{
    static const struct {
        const char *value, *shown;
    } rows[] = {
        {"plain \xe2\x82\xac \xf0\x9f\x8c\xa1",
         "plain \xe2\x82\xac \xf0\x9f\x8c\xa1"},
        {"a\nb\x1b[2J\x7f", "a\\x0ab\\x1b[2J\\x7f"},
        {"\\x41", "\\x5cx41"},
        {"\xc2\x9b"
         "2J",
         "\\xc2\\x9b2J"}, /* CSI, as one character */
        {"\xc2\xa0", "\xc2\xa0"},
        {"\xff\xc0\x80", "\\xff\\xc0\\x80"},
        {"\xe2\x82", "\\xe2\\x82"},
        {"\xed\xa0\x80", "\\xed\\xa0\\x80"},
        {"\xf4\x90\x80\x80", "\\xf4\\x90\\x80\\x80"},
        {"\xe0\x80\x80", "\\xe0\\x80\\x80"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
        copal_msg *m = messages_new(COPAL_GET);
        char line[128];

        copal_msg_add_text(m, COPAL_OPT_URI_PATH, rows[i].value);
        snprintf(line, sizeof(line), "Uri-Path: %s", rows[i].shown);
        assert_string_equal(option_lines(m), line);
        copal_msg_unref(m);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_uri_becomes_options_or_is_remembered_as_bad),
        cmocka_unit_test(a_uri_can_be_set_again_from_the_message_itself),
        cmocka_unit_test(requests_to_one_uri_share_what_was_read),
        cmocka_unit_test(each_of_many_uris_keeps_its_own_path),
        cmocka_unit_test(a_group_is_known_by_its_literal),
        cmocka_unit_test(a_message_leaves_from_an_address_in_digits),
        cmocka_unit_test(the_uri_of_a_request_is_composed_of_what_came),
        cmocka_unit_test(a_response_has_the_uri_of_its_request),
        cmocka_unit_test(both_ends_are_base_uris),
        cmocka_unit_test(a_path_tells_its_segments_apart),
        cmocka_unit_test(a_query_is_found_by_its_key),
        cmocka_unit_test(the_wire_is_told_to_older_and_newer_callers),
        cmocka_unit_test(a_message_is_one_line),
        cmocka_unit_test(options_are_lines),
        cmocka_unit_test(options_of_signals_have_names_of_their_own),
        cmocka_unit_test(strangers_text_stays_in_its_line),
    };

    return cmocka_run_group_tests(tests, messages_set_up, messages_tear_down);
}
