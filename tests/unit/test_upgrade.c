/* wire/upgrade: how a connection becomes a WebSocket; base/base64. RFC 6455 4,
 * RFC 8323 4.1, RFC 4648 10. */
#include "base/base64.h"
#include "wire/upgrade.h"

#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>

#define HEAD(lines) "GET /.well-known/coap HTTP/1.1\r\n" lines "\r\n"
#define HOST        "Host: example.org\r\n"
#define UPGRADE     "Upgrade: websocket\r\nConnection: Upgrade\r\n"
#define VERSION     "Sec-WebSocket-Version: 13\r\n"
#define COAP        "Sec-WebSocket-Protocol: coap\r\n"
#define KEY         "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
#define GOOD        HOST UPGRADE VERSION COAP KEY

/* ---- Base64 ---- */

static void base64_is_written_and_read(void **state)
{
    static const struct {
        const char *bytes, *text;
    } rows[] = {
        {"", ""},
        {"f", "Zg=="},
        {"fo", "Zm8="},
        {"foo", "Zm9v"},
        {"foob", "Zm9vYg=="},
        {"fooba", "Zm9vYmE="},
        {"foobar", "Zm9vYmFy"},
        {"\xff\xfe\xfd", "//79"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        char text[16];
        uint8_t bytes[16];
        struct cp_buf b = cp_buf_fixed(text, sizeof(text));
        size_t len = 99;

        cp_put_base64(&b, cp_bytes_of_text(rows[i].bytes));
        assert_true(cp_bytes_is_text(cp_bytes(text, b.len), rows[i].text));
        assert_int_equal(cp_base64_read(cp_bytes_of_text(rows[i].text), bytes,
                                        sizeof(bytes), &len),
                         0);
        assert_true(cp_bytes_is_text(cp_bytes(bytes, len), rows[i].bytes));
    }
}

static void what_is_not_base64_is_refused(void **state)
{
    static const char *const rows[] = {
        "Z",    "Zg=",  "Zg",   "Z===",     "=Zg=",    "Zm9 ",
        "Zh==", "Zm9=", "Zm-v", "Zg==Zg==", "\n\n\n\n"};
    uint8_t bytes[16];
    size_t len;

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
        if (cp_base64_read(cp_bytes_of_text(rows[i]), bytes, sizeof(bytes),
                           &len) != COPAL_EFORMAT)
            fail_msg("%s: was read", rows[i]);
    assert_int_equal(
        cp_base64_read(cp_bytes_of_text("Zm9vYmFy"), bytes, 5, &len),
        COPAL_ELIMIT);
}

/* ---- Requests ---- */

static bool nobody(void *user, copal_bytes origin, copal_bytes host)
{
    (void)user;
    return cp_bytes_is_text(origin, "https://good.example") &&
           cp_bytes_is_text(host, "example.org");
}

/* 0: it cannot be read. */
static int judge(const char *text)
{
    struct cp_upgrade u;

    return cp_upgrade_read_request(cp_bytes_of_text(text), &u) != 0
               ? 0
               : cp_upgrade_judge(&u, nobody, NULL);
}

static void requests_are_judged(void **state)
{
    static const struct {
        const char *text;
        int status;
    } rows[] = {
        {HEAD(GOOD), 101},
        {HEAD("host:example.org \r\nUPGRADE: h2c, WebSocket\r\nconnection: "
              "keep-alive,upgrade\r\nSec-WebSocket-Protocol: mqtt, "
              "coap\r\n" VERSION KEY),
         101},
        {HEAD(GOOD "Origin: https://good.example\r\n"), 101},
        {HEAD(GOOD "Content-Length: 0\r\n"), 101},
        {HEAD(GOOD "Origin: https://evil.example\r\n"), 403},
        {HEAD(GOOD "Origin: null\r\n"), 403},
        {"GET / HTTP/1.1\r\n" GOOD "\r\n", 404},
        {"GET /.well-known/coap/ HTTP/1.1\r\n" GOOD "\r\n", 404},
        {"POST /.well-known/coap HTTP/1.1\r\n" GOOD "\r\n", 405},
        {HEAD(HOST VERSION COAP KEY), 426},
        {HEAD(HOST "Upgrade: websocket\r\n" VERSION COAP KEY), 426},
        {HEAD(HOST UPGRADE COAP KEY), 426},
        {HEAD(HOST UPGRADE "Sec-WebSocket-Version: 8\r\n" COAP KEY), 426},
        {HEAD(UPGRADE VERSION COAP KEY), 0},
        {HEAD(HOST UPGRADE VERSION KEY), 400},
        {HEAD(HOST UPGRADE VERSION "Sec-WebSocket-Protocol: coaps\r\n" KEY),
         400},
        {HEAD(HOST UPGRADE VERSION COAP), 400},
        {HEAD(HOST UPGRADE VERSION COAP "Sec-WebSocket-Key: c2hvcnQ=\r\n"),
         400},
        /* What could be read in two ways. */
        {HEAD(GOOD HOST), 0},
        {HEAD(GOOD "Transfer-Encoding: chunked\r\n"), 0},
        {HEAD(GOOD "Content-Length: 5\r\n"), 0},
        {HEAD(GOOD "X: a\r\n b\r\n"), 0},
        {HEAD(GOOD "X : a\r\n"), 0},
        {HEAD(GOOD ": a\r\n"), 0},
        {HEAD(GOOD "no colon\r\n"), 0},
        {HEAD(GOOD "X: a\rb\r\n"), 0},
        {HEAD(GOOD "X: a\nb\r\n"), 0},
        {HEAD(GOOD "X: \x01\r\n"), 0},
        {"GET /.well-known/coap HTTP/1.0\r\n" GOOD "\r\n", 0},
        {"GET /.well-known/coap  HTTP/1.1\r\n" GOOD "\r\n", 0},
        {"GET /.well-known/coap\r\n" GOOD "\r\n", 0},
        {"\r\n\r\n", 0},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
        if (judge(rows[i].text) != rows[i].status)
            fail_msg("%s: %d, not %d", rows[i].text, judge(rows[i].text),
                     rows[i].status);
}

static void only_localhost_and_addresses_are_this_hosts_own_names(void **state)
{
    static const char *const own[] = {
        "localhost",      "LocalHost:5683", "127.0.0.1",  "127.0.0.1:80",
        "192.168.1.5:80", "[::1]",          "[::1]:8080", "[fd00::7]:1"};
    static const char *const others[] = {"",
                                         ":80",
                                         "evil.example",
                                         "evil.example:80",
                                         "127.0.0.1.evil.example",
                                         "localhost.evil.example",
                                         "[::1",
                                         "::1",
                                         "[localhost]",
                                         "[127.0.0.1]",
                                         "127.1",
                                         "2130706433",
                                         "localhost:x",
                                         "[]",
                                         "[::1]x",
                                         "0x7f.0.0.1"};

    (void)state;
    for (size_t i = 0; i < sizeof(own) / sizeof(own[0]); i++)
        if (!cp_upgrade_is_own_host(cp_bytes_of_text(own[i])))
            fail_msg("%s", own[i]);
    for (size_t i = 0; i < sizeof(others) / sizeof(others[0]); i++)
        if (cp_upgrade_is_own_host(cp_bytes_of_text(others[i])))
            fail_msg("%s", others[i]);
}

static void a_head_is_waited_for_to_its_end(void **state)
{
    static const char text[] = HEAD(GOOD) "frames";
    const size_t size = sizeof(text) - 1 - 6;
    struct cp_upgrade u;

    (void)state;
    for (size_t n = 0; n < size; n++)
        assert_int_equal(cp_upgrade_read_request(cp_bytes(text, n), &u),
                         COPAL_ESTATE);
    assert_int_equal(
        cp_upgrade_read_request(cp_bytes(text, sizeof(text) - 1), &u), 0);
    assert_int_equal(u.size, size);
}

static void a_head_that_never_ends_is_too_long(void **state)
{
    static char text[CP_UPGRADE_LONGEST + 100];
    struct cp_upgrade u;

    (void)state;
    memset(text, 'x', sizeof(text));
    memcpy(text, "GET / HTTP/1.1\r\nX: ", 19);
    assert_int_equal(
        cp_upgrade_read_request(cp_bytes(text, CP_UPGRADE_LONGEST), &u),
        COPAL_ESTATE);
    assert_int_equal(
        cp_upgrade_read_request(cp_bytes(text, CP_UPGRADE_LONGEST + 1), &u),
        COPAL_ELIMIT);
}

/* ---- Both ways ---- */

static void what_is_written_is_read_again(void **state)
{
    char text[512];
    struct cp_buf b = cp_buf_fixed(text, sizeof(text));
    struct cp_upgrade u;

    (void)state;
    cp_upgrade_put_request(&b, "example.org", "dGhlIHNhbXBsZSBub25jZQ==");
    assert_int_equal(cp_upgrade_read_request(cp_bytes(text, b.len), &u), 0);
    assert_int_equal(cp_upgrade_judge(&u, nobody, NULL), 101);
    for (int status = 400; status < 432; status++) {
        b = cp_buf_fixed(text, sizeof(text));
        cp_upgrade_put_response(&b, status, NULL);
        assert_int_equal(cp_upgrade_read_response(cp_bytes(text, b.len), &u),
                         0);
        assert_int_equal(u.status, status);
        assert_int_equal(u.size, b.len);
    }
    b = cp_buf_fixed(text, sizeof(text));
    cp_upgrade_put_response(&b, 101, "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=");
    assert_int_equal(cp_upgrade_read_response(cp_bytes(text, b.len), &u), 0);
    assert_true(u.has_upgrade && u.has_connection && u.is_coap);
    assert_true(cp_bytes_is_text(u.accept, "s3pPLMBiTxaQ9kYGzzhZRbK+xOo="));
}

/* RFC 6874 4: it means something on this host only. */
static void a_zone_is_not_told(void **state)
{
    static const struct {
        const char *host, *told;
    } rows[] = {
        {"[fe80::1%25eth0]:8080", "[fe80::1]:8080"},
        {"[fe80::1%25eth0]", "[fe80::1]"},
        {"[::1]:8080", "[::1]:8080"},
        {"a%25b", "a%25b"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        char text[512];
        struct cp_buf b = cp_buf_fixed(text, sizeof(text));
        struct cp_upgrade u;

        cp_upgrade_put_request(&b, rows[i].host, "dGhlIHNhbXBsZSBub25jZQ==");
        assert_int_equal(cp_upgrade_read_request(cp_bytes(text, b.len), &u), 0);
        assert_true(cp_bytes_is_text(u.host, rows[i].told));
    }
}

/* Stands for SHA-1: what it is given is what RFC 6455 1.3 says. */
static void note_input(copal_bytes in, uint8_t out[20])
{
    assert_true(cp_bytes_is_text(in, "dGhlIHNhbXBsZSBub25jZQ=="
                                     "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"));
    memset(out, 0, 20);
}

static void the_answer_is_made_of_the_key_and_the_guid(void **state)
{
    char accept[CP_UPGRADE_ACCEPT + 1];

    (void)state;
    cp_upgrade_accept(cp_bytes_of_text("dGhlIHNhbXBsZSBub25jZQ=="), note_input,
                      accept);
    assert_string_equal(accept, "AAAAAAAAAAAAAAAAAAAAAAAAAAA=");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(base64_is_written_and_read),
        cmocka_unit_test(what_is_not_base64_is_refused),
        cmocka_unit_test(requests_are_judged),
        cmocka_unit_test(only_localhost_and_addresses_are_this_hosts_own_names),
        cmocka_unit_test(a_head_is_waited_for_to_its_end),
        cmocka_unit_test(a_head_that_never_ends_is_too_long),
        cmocka_unit_test(what_is_written_is_read_again),
        cmocka_unit_test(a_zone_is_not_told),
        cmocka_unit_test(the_answer_is_made_of_the_key_and_the_guid),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
