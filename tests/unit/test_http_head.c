/* The head of an HTTP request: what is taken, what is refused, and how soon.
 * RFC 9112. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>

#include "wire/http_head.h"

#define HOST "Host: h\r\n"
#define GET  "GET /metrics HTTP/1.1\r\n"

static int read_text(const char *text, struct cp_http_head *out)
{
    return cp_http_head_read(cp_bytes_of_text(text), out);
}

static void a_request_of_http_1_is_read_to_its_empty_line(void **state)
{
    static const char text[] = GET HOST "Accept: */*\r\n\r\nwhat follows";
    struct cp_http_head head;

    (void)state;
    assert_int_equal(read_text(text, &head), CP_HTTP_OK);
    assert_true(cp_bytes_is_text(head.method, "GET"));
    assert_true(cp_bytes_is_text(head.path, "/metrics"));
    assert_int_equal(head.len, strlen(text) - strlen("what follows"));
}

struct row {
    const char *text;
    int status;
    const char *path; /* of those with 200 */
};

/* clang-format off */
static const struct row rows[] = {
    /* Targets: RFC 9112 3.2. */
    {"GET /metrics?name[]=a HTTP/1.1\r\n" HOST "\r\n", 200, "/metrics"},
    {"GET http://h:1/metrics HTTP/1.1\r\n" HOST "\r\n", 200, "/metrics"},
    {"GET HTTP://h:1/metrics?x HTTP/1.1\r\n" HOST "\r\n", 200, "/metrics"},
    {"GET http://h HTTP/1.1\r\n" HOST "\r\n", 200, ""},
    {"GET http://h?/metrics HTTP/1.1\r\n" HOST "\r\n", 200, ""},
    {"GET http: HTTP/1.1\r\n" HOST "\r\n", 200, ""},
    {"OPTIONS * HTTP/1.1\r\n" HOST "\r\n", 200, ""},
    {"CONNECT h:1 HTTP/1.1\r\n" HOST "\r\n", 200, ""},
    {"GET /%6detrics HTTP/1.1\r\n" HOST "\r\n", 200, "/%6detrics"},
    /* Versions: 2.3, 3.2. */
    {"GET /metrics HTTP/1.0\r\n\r\n", 200, "/metrics"},
    {"GET /metrics HTTP/1.9\r\n" HOST "\r\n", 200, "/metrics"},
    {"GET /metrics HTTP/2.0\r\n" HOST "\r\n", 505, NULL},
    {"GET /metrics HTTP/0.9\r\n\r\n", 505, NULL},
    {"GET /metrics http/1.1\r\n" HOST "\r\n", 400, NULL},
    {"GET /metrics HTTP/1.10\r\n" HOST "\r\n", 400, NULL},
    {"GET /metrics HTTP/11\r\n" HOST "\r\n", 400, NULL},
    {"GET /metrics\r\n\r\n", 400, NULL},
    /* The request line: 3. */
    {" GET /metrics HTTP/1.1\r\n" HOST "\r\n", 400, NULL},
    {"GET  /metrics HTTP/1.1\r\n" HOST "\r\n", 400, NULL},
    {"GET /metrics  HTTP/1.1\r\n" HOST "\r\n", 400, NULL},
    {"GET /metrics HTTP/1.1 \r\n" HOST "\r\n", 400, NULL},
    {"GET\t/metrics HTTP/1.1\r\n" HOST "\r\n", 400, NULL},
    {"GET /m\xc3\xa9 HTTP/1.1\r\n" HOST "\r\n", 400, NULL},
    {"G@T /metrics HTTP/1.1\r\n" HOST "\r\n", 400, NULL},
    {"\r\n" GET HOST "\r\n", 400, NULL},
    /* Line ends: 2.2. */
    {"GET /metrics HTTP/1.1\n" HOST "\r\n", 400, NULL},
    {GET "Host: h\n\r\n", 400, NULL},
    {GET HOST "\n", 400, NULL},
    {GET "Host: h\rX: y\r\n\r\n", 400, NULL},
    /* Fields: 5. */
    {GET "Host:h\r\n\r\n", 200, "/metrics"},
    {GET "hOST: \t h \t\r\nX:\r\n\r\n", 200, "/metrics"},
    {GET HOST "X: caf\xe9\r\n\r\n", 200, "/metrics"},
    {GET "Host : h\r\n\r\n", 400, NULL},
    {GET HOST "X\r\n\r\n", 400, NULL},
    {GET HOST ": x\r\n\r\n", 400, NULL},
    {GET HOST "X: a\r\n b\r\n\r\n", 400, NULL},
    {GET "\tX: a\r\n" HOST "\r\n", 400, NULL},
    {GET HOST "X: \x01\r\n\r\n", 400, NULL},
    {GET HOST "X: \x7f\r\n\r\n", 400, NULL},
    /* Who is asked: 3.2. */
    {GET "\r\n", 400, NULL},
    {GET HOST HOST "\r\n", 400, NULL},
    {GET "Host: a b\r\n\r\n", 400, NULL},
    /* Bodies: 6. */
    {GET HOST "Content-Length: 0\r\n\r\n", 200, "/metrics"},
    {GET HOST "Content-Length: 5\r\n\r\nhello", 400, NULL},
    {GET HOST "Content-Length: \r\n\r\n", 400, NULL},
    {GET HOST "Content-Length: +0\r\n\r\n", 400, NULL},
    {GET HOST "Content-Length: 0, 0\r\n\r\n", 400, NULL},
    {GET HOST "Content-Length: 0\r\nContent-Length: 0\r\n\r\n", 400, NULL},
    {GET HOST "Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 400, NULL},
    {GET HOST "Content-Length: 0\r\nTransfer-Encoding: x\r\n\r\n", 400, NULL},
};
/* clang-format on */

static void what_is_not_of_the_grammar_is_refused(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
        struct cp_http_head head;
        int status = read_text(rows[i].text, &head);

        if (status != rows[i].status ||
            (status == CP_HTTP_OK &&
             !cp_bytes_is_text(head.path, rows[i].path)))
            fail_msg("row %zu: %d, %s", i, status, rows[i].text);
    }
}

static void a_zero_byte_is_refused_wherever_it_stands(void **state)
{
    static const char text[] = GET HOST "\r\n";
    char bytes[sizeof(text) - 1];
    struct cp_http_head head;

    (void)state;
    for (size_t i = 0; i < sizeof(bytes); i++) {
        memcpy(bytes, text, sizeof(bytes));
        bytes[i] = '\0';
        assert_int_equal(
            cp_http_head_read(cp_bytes(bytes, sizeof(bytes)), &head),
            CP_HTTP_BAD_REQUEST);
    }
}

/* Cut off anywhere it is only not whole yet: nobody is refused for being slow,
 * and nobody served too early. */
static void a_head_that_comes_byte_by_byte_is_waited_for(void **state)
{
    static const char text[] = GET HOST "Accept: */*\r\n\r\n";
    struct cp_http_head head;

    (void)state;
    for (size_t len = 0; len < sizeof(text) - 1; len++)
        assert_int_equal(cp_http_head_read(cp_bytes(text, len), &head),
                         CP_HTTP_MORE);
}

static void nonsense_is_refused_before_the_line_ends(void **state)
{
    struct cp_http_head head;

    (void)state;
    assert_int_equal(read_text("\x16\x03\x01", &head), CP_HTTP_BAD_REQUEST);
    assert_int_equal(read_text(GET "X: a\nb", &head), CP_HTTP_BAD_REQUEST);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_request_of_http_1_is_read_to_its_empty_line),
        cmocka_unit_test(what_is_not_of_the_grammar_is_refused),
        cmocka_unit_test(a_zero_byte_is_refused_wherever_it_stands),
        cmocka_unit_test(a_head_that_comes_byte_by_byte_is_waited_for),
        cmocka_unit_test(nonsense_is_refused_before_the_line_ends),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
