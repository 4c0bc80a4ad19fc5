/* wire/code and wire/names: codes, Content-Formats, parameters, errors. */
#include "wire/code.h"
#include "vectors.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <cmocka.h>

/* ---- Codes ---- */

static void every_assigned_code_has_its_name_both_ways(void **state)
{
    json_t *document = vectors_load("codes.json"), *row;
    json_t *rows = vectors_rows(document, "codes", 40);
    size_t i;

    (void)state;
    json_array_foreach(rows, i, row)
    {
        const char *dotted = vectors_text(row, "code");
        const char *name = vectors_text(row, "name");
        int code = vectors_int(row, "value");
        char full[64];

        snprintf(full, sizeof(full), "%s %s", dotted, name);
        assert_int_equal(cp_code_class(code), dotted[0] - '0');
        assert_int_equal(cp_code_detail(code), atoi(dotted + 2));
        assert_string_equal(cp_code_name(code),
                            cp_code_class(code) == 0 ? name : full);
        assert_int_equal(cp_code_number(full), code);
        assert_int_equal(cp_code_number(name), code);
        assert_int_equal(cp_code_number(dotted), code);
        assert_int_equal(copal_number(COPAL_CODES, name), code);
        assert_ptr_equal(copal_name(COPAL_CODES, code), cp_code_name(code));
    }
    json_decref(document);
}

static void every_code_is_found_by_the_name_it_is_given(void **state)
{
    (void)state;
    for (int code = 0; code < 256; code++)
        assert_int_equal(cp_code_number(cp_code_name(code)), code);
}

static void an_unknown_code_has_its_number_as_name(void **state)
{
    (void)state;
    assert_string_equal(cp_code_name(30), "0.30");
    assert_string_equal(cp_code_name(COPAL_CODE(2, 30)), "2.30");
    assert_string_equal(cp_code_name(COPAL_CODE(1, 9)), "1.09");
    assert_string_equal(cp_code_name(255), "7.31");
    assert_string_equal(cp_code_name(256), "?");
    assert_string_equal(cp_code_name(-1), "?");
}

static void codes_are_found_by_what_people_type(void **state)
{
    static const struct {
        const char *name;
        int code;
    } rows[] = {
        {"get", COPAL_GET},
        {"iPATCH", COPAL_IPATCH},
        {"ipatch", COPAL_IPATCH},
        {"content", COPAL_CONTENT},
        {"4.04 not found", COPAL_NOT_FOUND},
        {"0.01 GET", COPAL_GET},
        {"0.30", 30},
        {"2.05 Created", COPAL_ENOENT},
        {"2.05 ", COPAL_ENOENT},
        {"2.5", COPAL_ENOENT},
        {"2.32", COPAL_ENOENT},
        {"8.00", COPAL_ENOENT},
        {"2.055", COPAL_ENOENT},
        {"2.05x", COPAL_ENOENT},
        {"", COPAL_ENOENT},
        {"GETS", COPAL_ENOENT},
        {"69", COPAL_ENOENT},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
        assert_int_equal(cp_code_number(rows[i].name), rows[i].code);
}

/* ---- Content-Formats ---- */

static void every_assigned_format_has_its_name_both_ways(void **state)
{
    json_t *document = vectors_load("content_formats.json"), *row;
    json_t *rows = vectors_rows(document, "formats", 110);
    size_t i, known = 0;

    (void)state;
    json_array_foreach(rows, i, row)
    {
        json_t *coding = json_object_get(row, "content_coding");
        int number = vectors_int(row, "id");
        char name[128];

        snprintf(name, sizeof(name), "%s%s%s",
                 vectors_text(row, "content_type"),
                 json_is_string(coding) ? "@" : "",
                 json_is_string(coding) ? json_string_value(coding) : "");
        assert_non_null(cp_format_name(number));
        assert_string_equal(cp_format_name(number), name);
        assert_int_equal(cp_format_number(name), number);
        assert_int_equal(copal_number(COPAL_FORMATS, name), number);
        assert_string_equal(copal_name(COPAL_FORMATS, number), name);
    }
    for (int number = -2; number <= 65537; number++)
        known += cp_format_name(number) != NULL;
    assert_int_equal(known, 110);
    json_decref(document);
}

static void ranges_without_assignment_have_no_name(void **state)
{
    static const char *const keys[] = {"reserved", "documentation",
                                       "experimental"};
    json_t *document = vectors_load("content_formats.json");

    (void)state;
    for (size_t i = 0; i < sizeof(keys) / sizeof(keys[0]); i++) {
        json_t *range = json_array_get(vectors_rows(document, keys[i], 1), 0);
        json_int_t last = json_integer_value(json_array_get(range, 1));
        json_int_t n = json_integer_value(json_array_get(range, 0));

        for (; n <= last; n++)
            assert_null(cp_format_name((int)n));
    }
    json_decref(document);
}

static void formats_are_found_by_what_people_type(void **state)
{
    static const struct {
        const char *name;
        int format;
    } rows[] = {
        {"text", COPAL_TEXT},
        {"text/plain", COPAL_TEXT},
        {"links", COPAL_LINKS},
        {"link-format", COPAL_LINKS},
        {"json", COPAL_JSON},
        {"JSON", COPAL_JSON},
        {"cbor", COPAL_CBOR},
        {"octets", COPAL_OCTETS},
        {"octet-stream", COPAL_OCTETS},
        {"xml", COPAL_XML},
        {"senml+cbor", 112},
        {"senml+json", 110},
        {"image/png", 23},
        {"application/json@deflate", 11050},
        {"Application/CBOR", COPAL_CBOR},
        {"0", 0},
        {"60", 60},
        {"65535", 65535},
        {"65000", 65000},
        {"cose", COPAL_ENOENT},             /* six rows */
        {"application/cose", COPAL_ENOENT}, /* the same six */
        {"65536", COPAL_ENOENT},
        {"99999999999999999999", COPAL_ENOENT},
        {"-1", COPAL_ENOENT},
        {"", COPAL_ENOENT},
        {"jso", COPAL_ENOENT},
        {"application/", COPAL_ENOENT},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
        assert_int_equal(cp_format_number(rows[i].name), rows[i].format);
}

static void an_unknown_format_has_its_number_as_public_name(void **state)
{
    (void)state;
    assert_null(cp_format_name(65000));
    assert_string_equal(copal_name(COPAL_FORMATS, 65000), "65000");
    assert_int_equal(copal_number(COPAL_FORMATS, "nonsense"), COPAL_ENOENT);
}

/* RFC 8323 5.2: the same number means something else in each. */
static void options_of_signals_are_named_by_their_code(void **state)
{
    static const struct {
        int code, number;
        const char *name;
    } rows[] = {
        {COPAL_CODE(7, 1), 2, "Max-Message-Size"},
        {COPAL_CODE(7, 1), 4, "Block-Wise-Transfer"},
        {COPAL_CODE(7, 1), 6, "Extended-Token-Length"},
        {COPAL_CODE(7, 2), 2, "Custody"},
        {COPAL_CODE(7, 3), 2, "Custody"},
        {COPAL_CODE(7, 4), 2, "Alternative-Address"},
        {COPAL_CODE(7, 4), 4, "Hold-Off"},
        {COPAL_CODE(7, 5), 2, "Bad-CSM-Option"},
        {COPAL_CODE(7, 5), 4, "4"}, /* which is an ETag elsewhere */
        {COPAL_CODE(7, 31), 65535, "65535"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        int number = COPAL_SIGNAL_OPTION(rows[i].code, rows[i].number);
        int back = copal_number(COPAL_OPTIONS, rows[i].name);

        assert_string_equal(copal_name(COPAL_OPTIONS, number), rows[i].name);
        if (rows[i].name[0] < 'A')
            assert_int_equal(back, COPAL_ENOENT);
        else if (rows[i].code != COPAL_CODE(7, 3)) /* as that of a Ping */
            assert_int_equal(back, number);
    }
    assert_int_equal(copal_number(COPAL_OPTIONS, "max-message-size"),
                     COPAL_SIGNAL_OPTION(COPAL_CODE(7, 1), 2));
    assert_int_equal(copal_number(COPAL_OPTIONS, "Custody"),
                     COPAL_SIGNAL_OPTION(COPAL_CODE(7, 2), 2));
    assert_string_equal(copal_name(COPAL_OPTIONS, COPAL_OPT_ETAG), "ETag");
    assert_string_equal(copal_name(COPAL_OPTIONS, 65536 + 4), "65540");
    assert_string_equal(copal_name(COPAL_OPTIONS, -1), "-1");
}

/* ---- Parameters and errors ---- */

static void parameters_are_named_in_lower_case(void **state)
{
    const char *timeout = copal_name(COPAL_PARAMETERS, COPAL_P_TIMEOUT);

    (void)state;
#define X(name, number, value, where, what) \
    assert_int_equal(copal_number(COPAL_PARAMETERS, #name), number); \
    assert_int_equal( \
        copal_number(COPAL_PARAMETERS, copal_name(COPAL_PARAMETERS, number)), \
        number);
    COPAL_PARAMS(X)
#undef X
    assert_string_equal(timeout, "timeout");
    assert_string_equal(copal_name(COPAL_PARAMETERS, COPAL_P_ADDR_CONNECTIONS),
                        "addr_connections");
    assert_int_equal(copal_number(COPAL_PARAMETERS, "ack_timeout"),
                     COPAL_P_ACK_TIMEOUT);
    assert_int_equal(copal_number(COPAL_PARAMETERS, "ack"), COPAL_ENOENT);
    assert_string_equal(copal_name(COPAL_PARAMETERS, 999), "999");
}

static void errors_have_a_name_and_a_text(void **state)
{
    (void)state;
#define X(name, number, text) \
    assert_string_equal(copal_errname(COPAL_##name), #name); \
    assert_string_equal(copal_strerror(COPAL_##name), text);
    COPAL_ERRORS(X)
#undef X
    assert_string_equal(copal_errname(0), "OK");
    assert_string_equal(copal_strerror(0), "no error");
    assert_string_equal(copal_errname(-999), "?");
    assert_string_equal(copal_strerror(1), "unknown error");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_assigned_code_has_its_name_both_ways),
        cmocka_unit_test(every_code_is_found_by_the_name_it_is_given),
        cmocka_unit_test(an_unknown_code_has_its_number_as_name),
        cmocka_unit_test(codes_are_found_by_what_people_type),
        cmocka_unit_test(every_assigned_format_has_its_name_both_ways),
        cmocka_unit_test(ranges_without_assignment_have_no_name),
        cmocka_unit_test(formats_are_found_by_what_people_type),
        cmocka_unit_test(an_unknown_format_has_its_number_as_public_name),
        cmocka_unit_test(options_of_signals_are_named_by_their_code),
        cmocka_unit_test(parameters_are_named_in_lower_case),
        cmocka_unit_test(errors_have_a_name_and_a_text),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
