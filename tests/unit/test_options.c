/* wire/option: the option table against the registry. RFC 7252 12.2. */
#include "wire/option.h"
#include "vectors.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <cmocka.h>

static json_t *document;

static int set_up(void **state)
{
    (void)state;
    document = vectors_load("options_registry.json");
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    json_decref(document);
    return 0;
}

static const char *format_name(int format)
{
    static const char *const names[] = {
        [CP_EMPTY] = "empty",
        [CP_OPAQUE] = "opaque",
        [CP_STRING] = "string",
        [CP_UINT] = "uint",
    };

    return names[format];
}

static const char *class_name(int oscore)
{
    static const char *const names[] = {
        [CP_CLASS_E] = "E", [CP_CLASS_U] = "U", [CP_CLASS_EU] = "EU"};

    return names[oscore];
}

static void every_registered_option_is_in_the_table(void **state)
{
    json_t *rows = vectors_rows(document, "options", 27), *row;
    size_t i;

    (void)state;
    json_array_foreach(rows, i, row)
    {
        unsigned number = (unsigned)vectors_int(row, "number");
        const struct cp_option_def *o = cp_option_find(number);

        assert_non_null(o);
        assert_int_equal(o->number, number);
        assert_string_equal(o->name, vectors_text(row, "name"));
        assert_int_equal(o->shortest, vectors_int(row, "min_length"));
        assert_int_equal(o->longest, vectors_int(row, "max_length"));
        assert_int_equal(o->repeatable, vectors_bool(row, "repeatable"));
        assert_string_equal(format_name(o->format),
                            vectors_text(row, "format"));
        assert_string_equal(class_name(o->oscore),
                            vectors_text(row, "oscore_class"));
        assert_ptr_equal(cp_option_named(o->name), o);
    }
}

static void properties_follow_from_the_number(void **state)
{
    json_t *rows = vectors_rows(document, "options", 27), *row;
    size_t i;

    (void)state;
    json_array_foreach(rows, i, row)
    {
        unsigned number = (unsigned)vectors_int(row, "number");

        assert_int_equal(cp_option_is_critical(number),
                         vectors_bool(row, "critical"));
        assert_int_equal(cp_option_is_unsafe(number),
                         vectors_bool(row, "unsafe"));
        /* Means something only where the option is safe to forward. */
        if (!cp_option_is_unsafe(number))
            assert_int_equal(cp_option_is_no_cache_key(number),
                             vectors_bool(row, "no_cache_key"));
    }
}

static void nothing_else_is_in_the_table(void **state)
{
    json_t *reserved = vectors_rows(document, "reserved_numbers", 5);
    json_t *others = vectors_rows(document, "other_assignments", 7), *row;
    size_t i, known = 0;

    (void)state;
    for (unsigned number = 0; number <= 70000; number++)
        known += cp_option_find(number) != NULL;
    assert_int_equal(known, 27);
    json_array_foreach(reserved, i, row)
        assert_null(cp_option_find((unsigned)json_integer_value(row)));
    json_array_foreach(others, i, row)
    {
        assert_null(cp_option_find((unsigned)vectors_int(row, "number")));
        assert_null(cp_option_named(vectors_text(row, "name")));
    }
}

static void names_are_found_in_any_case(void **state)
{
    (void)state;
    assert_int_equal(cp_option_named("uri-path")->number, 11);
    assert_int_equal(cp_option_named("ETAG")->number, 4);
    assert_null(cp_option_named(""));
    assert_null(cp_option_named("Uri-Pat"));
    assert_null(cp_option_named("Uri-Paths"));
}

static void the_public_registry_knows_options_both_ways(void **state)
{
    (void)state;
    assert_string_equal(copal_name(COPAL_OPTIONS, 27), "Block1");
    assert_string_equal(copal_name(COPAL_OPTIONS, 65000), "65000");
    assert_string_equal(copal_name(COPAL_OPTIONS, -3), "-3");
    assert_int_equal(copal_number(COPAL_OPTIONS, "block1"), 27);
    assert_int_equal(copal_number(COPAL_OPTIONS, "Block3"), COPAL_ENOENT);
    assert_int_equal(copal_number(COPAL_OPTIONS, NULL), COPAL_ENOENT);
}

/* RFC 8323 5.3: what is an ETag elsewhere is empty there. */
static void options_of_signals_are_checked_as_theirs(void **state)
{
    copal *c = copal_new(NULL);
    copal_msg *csm = copal_msg_new(c, COPAL_CODE(7, 1));

    (void)state;
    assert_int_equal(copal_msg_add_uint(csm, 2, 1152), 0);
    assert_int_equal(copal_msg_add_uint(csm, 2, 1152), COPAL_EINVAL);
    assert_non_null(strstr(copal_why(c), "Max-Message-Size"));
    assert_int_equal(copal_msg_add_text(csm, 4, "x"), COPAL_EINVAL);
    assert_non_null(strstr(copal_why(c), "Block-Wise-Transfer"));
    assert_int_equal(copal_msg_add_text(csm, 4, ""), 0);
    assert_int_equal(copal_msg_add_text(csm, 4, ""), COPAL_EINVAL);
    assert_non_null(strstr(copal_why(c), "Block-Wise-Transfer"));
    assert_int_equal(copal_msg_add_text(csm, 4, NULL), COPAL_EINVAL);
    assert_non_null(strstr(copal_why(c), "Block-Wise-Transfer"));
    copal_msg_unref(csm);
    copal_free(c);
}

static void names_made_of_numbers_stay_good_for_seven_more(void **state)
{
    const char *first = copal_name(COPAL_OPTIONS, 65001);

    (void)state;
    for (int i = 0; i < 7; i++)
        copal_name(COPAL_OPTIONS, 65100 + i);
    assert_string_equal(first, "65001");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_registered_option_is_in_the_table),
        cmocka_unit_test(properties_follow_from_the_number),
        cmocka_unit_test(nothing_else_is_in_the_table),
        cmocka_unit_test(names_are_found_in_any_case),
        cmocka_unit_test(the_public_registry_knows_options_both_ways),
        cmocka_unit_test(options_of_signals_are_checked_as_theirs),
        cmocka_unit_test(names_made_of_numbers_stay_good_for_seven_more),
    };

    return cmocka_run_group_tests(tests, set_up, tear_down);
}
