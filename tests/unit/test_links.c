/* wire/links: link format read, written and filtered. RFC 6690. */
#include "wire/links.h"
#include "vectors.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <cmocka.h>

static struct cp_mem *mem;
static json_t *document;

static int set_up(void **state)
{
    (void)state;
    document = vectors_load("linkformat.json");
    mem = cp_mem_new(NULL, NULL);
    return mem == NULL ? -1 : 0;
}

static int tear_down(void **state)
{
    (void)state;
    json_decref(document);
    assert_int_equal(cp_mem_used(mem), 0);
    cp_mem_release(mem);
    return 0;
}

static copal_bytes resolved(struct cp_buf *b, const struct cp_attribute *a)
{
    copal_bytes value = {0};

    b->len = 0;
    cp_put_bytes(b, cp_bytes("", 0));
    cp_attribute_put_value(b, a);
    assert_int_equal(cp_buf_finish(b, &value), 0);
    /* An empty value is a value, too. */
    return value.data == NULL ? cp_bytes("", 0) : value;
}

static void check_attribute(json_t *expected, const struct cp_attribute *a)
{
    json_t *name = json_array_get(expected, 0);
    json_t *value = json_array_get(expected, 1);
    struct cp_buf b = cp_buf_new(mem);

    assert_true(cp_bytes_equal(a->name, vectors_string_bytes(name)));
    assert_int_equal(a->has_value, json_is_string(value));
    if (a->has_value)
        assert_true(
            cp_bytes_equal(resolved(&b, a), vectors_string_bytes(value)));
    cp_buf_free(&b);
}

static void check_link(json_t *expected, const struct cp_link_value *link)
{
    json_t *attributes = vectors_array(expected, "attributes");
    copal_bytes rest = link->attributes;
    struct cp_attribute a;
    size_t count = 0;

    assert_true(
        cp_bytes_is_text(link->target, vectors_text(expected, "target")));
    for (; cp_attribute_next(&rest, &a) == 1; count++) {
        assert_true(count < json_array_size(attributes));
        check_attribute(json_array_get(attributes, count), &a);
    }
    assert_int_equal(count, json_array_size(attributes));
    assert_int_equal(rest.len, 0);
}

static void write_link(struct cp_buf *out, const struct cp_link_value *link)
{
    copal_bytes rest = link->attributes;
    struct cp_attribute a;

    cp_links_put(out, link->target);
    while (cp_attribute_next(&rest, &a) == 1) {
        struct cp_buf b = cp_buf_new(mem);
        char name[64];

        snprintf(name, sizeof(name), "%.*s", (int)a.name.len,
                 (const char *)a.name.data);
        cp_links_put_attribute(
            out, name, a.has_value ? resolved(&b, &a) : (copal_bytes){0});
        cp_buf_free(&b);
    }
}

/* Reads all of the row's input; its links and what is written of them are as
 * the row says. */
static void check_document(json_t *row)
{
    json_t *links = vectors_array(row, "links");
    json_t *canonical = json_object_get(row, "canonical");
    copal_bytes rest = cp_bytes_of_text(vectors_text(row, "input"));
    struct cp_buf written = cp_buf_new(mem);
    struct cp_link_value link;
    size_t count = 0;

    for (; cp_links_next(&rest, &link) == 1; count++) {
        assert_true(count < json_array_size(links));
        check_link(json_array_get(links, count), &link);
        write_link(&written, &link);
    }
    assert_int_equal(cp_links_next(&rest, &link), 0);
    assert_int_equal(count, json_array_size(links));
    if (canonical != NULL)
        assert_string_equal(cp_buf_text(&written),
                            json_string_value(canonical));
    cp_buf_free(&written);
}

static int read_all(const char *input)
{
    copal_bytes rest = cp_bytes_of_text(input);
    struct cp_link_value link;
    int result = 1;

    while (result == 1)
        result = cp_links_next(&rest, &link);
    return result;
}

static void every_document_is_read_and_written(void **state)
{
    json_t *rows = vectors_rows(document, "parse", 40), *row;
    size_t i, valid = 0;

    (void)state;
    json_array_foreach(rows, i, row)
    {
        if (!vectors_bool(row, "valid")) {
            assert_int_equal(read_all(vectors_text(row, "input")),
                             COPAL_EFORMAT);
            continue;
        }
        assert_non_null(json_object_get(row, "canonical"));
        check_document(row);
        valid++;
    }
    assert_int_equal(valid, 28);
}

static void white_space_and_a_comma_at_the_end_are_forgiven(void **state)
{
    json_t *rows = vectors_rows(document, "either", 5), *row;
    size_t i;

    (void)state;
    json_array_foreach(rows, i, row) check_document(row);
}

static void what_must_not_be_written_is_known_beforehand(void **state)
{
    static const char *const single[] = {"rt",    "if",     "sz",   "ct",
                                         "rel",   "anchor", "type", "media",
                                         "title", "title*", NULL};

    (void)state;
    vectors_rows(document, "not_to_be_written", 7);
    for (size_t i = 0; single[i] != NULL; i++)
        assert_true(cp_attribute_is_single(single[i]));
    assert_false(cp_attribute_is_single("ext"));
    assert_false(cp_attribute_is_single("hreflang"));
    assert_false(cp_attribute_name_is_valid("href"));
}

static void names_are_of_the_characters_of_rfc_5987(void **state)
{
    static const struct {
        const char *name;
        bool is_valid;
    } rows[] = {
        {"rt", true},        {"x-y.z_1", true}, {"title*", true},
        {"!#$&+^`|~", true}, {"", false},       {"*", false},
        {"a b", false},      {"a=b", false},    {"a*b", false},
        {"a;", false},       {"a\"", false},    {"\xc3\xa9", false},
        {"a**", false},      {"a%", false},     {"a'", false},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
        assert_int_equal(cp_attribute_name_is_valid(rows[i].name),
                         rows[i].is_valid);
}

/* The targets that match, comma-separated. */
static void filter(const char *text, const char *query, struct cp_buf *found)
{
    copal_bytes rest = cp_bytes_of_text(text);
    struct cp_link_value link;

    while (cp_links_next(&rest, &link) == 1) {
        if (!cp_links_match(&link, cp_bytes_of_text(query)))
            continue;
        if (found->len > 0)
            cp_put_u8(found, ',');
        cp_put_bytes(found, link.target);
    }
}

static void every_query_finds_its_links(void **state)
{
    const char *text = vectors_text(document, "filter_document");
    json_t *rows = vectors_rows(document, "filters", 34), *row, *target;
    size_t i, k;

    (void)state;
    json_array_foreach(rows, i, row)
    {
        struct cp_buf found = cp_buf_new(mem), wanted = cp_buf_new(mem);

        json_array_foreach(vectors_array(row, "matching_targets"), k, target)
        {
            cp_put_text(&wanted, k > 0 ? "," : "");
            cp_put_bytes(&wanted, vectors_string_bytes(target));
        }
        filter(text, vectors_text(row, "query"), &found);
        if (strcmp(cp_buf_text(&found), cp_buf_text(&wanted)) != 0)
            fail_msg("%s: %s, not %s", vectors_text(row, "query"),
                     cp_buf_text(&found), cp_buf_text(&wanted));
        cp_buf_free(&found);
        cp_buf_free(&wanted);
    }
}

static void a_value_is_compared_without_its_escapes_and_by_word(void **state)
{
    static const struct {
        const char *link, *query;
        bool matches;
    } rows[] = {
        {"</a>;title=\"a\\\"b\"", "title=a\"b", true},
        {"</a>;title=\"a\\\"b\"", "title=a\\\"b", false},
        {"</a>;title=\"a b\"", "title=a b", true},
        {"</a>;title=\"a b\"", "title=b", false},
        {"</a>;title=\"\"", "title=", true},
        {"</a>;title=\"\"", "title=*", true},
        {"</a>;ct=\"0 41\"", "ct=41", true},
        {"</a>;ct=\"0 41\"", "ct=4", false},
        {"</a>;ct=\"0 41\"", "ct=0 41", false},
        {"</a>;rt=\"\"", "rt=", false},
        {"</a>;rt=\"\"", "rt=*", true},
        {"</a>;rt=\"x  y\"", "rt=y", true},
        {"</a>;obs", "obs", true},
        {"</a>;obs", "obs=", false},
        {"</a>;obs", "ob", false},
        {"</a>;ext=1;ext=2", "ext=2", true},
        {"</a>;x=a*", "x=a*", true},
        {"</a>", "href=/a", true},
        {"</a>", "href", true},
        {"</a>", "=x", false},
        {"</a>", "*", false},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        copal_bytes rest = cp_bytes_of_text(rows[i].link);
        struct cp_link_value link;

        assert_int_equal(cp_links_next(&rest, &link), 1);
        assert_int_equal(cp_links_match(&link, cp_bytes_of_text(rows[i].query)),
                         rows[i].matches);
    }
}

static void a_target_cannot_break_out_of_its_brackets(void **state)
{
    struct cp_buf b = cp_buf_new(mem);

    (void)state;
    cp_links_put(&b, cp_bytes_of_text("/a>;rt=<b\n"));
    cp_links_put_attribute(&b, "sz", cp_bytes_of_text("1;x=2"));
    assert_string_equal(cp_buf_text(&b), "</a%3E;rt=%3Cb%0A>;sz=\"1;x=2\"");
    cp_buf_free(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_document_is_read_and_written),
        cmocka_unit_test(white_space_and_a_comma_at_the_end_are_forgiven),
        cmocka_unit_test(what_must_not_be_written_is_known_beforehand),
        cmocka_unit_test(names_are_of_the_characters_of_rfc_5987),
        cmocka_unit_test(every_query_finds_its_links),
        cmocka_unit_test(a_value_is_compared_without_its_escapes_and_by_word),
        cmocka_unit_test(a_target_cannot_break_out_of_its_brackets),
    };

    return cmocka_run_group_tests(tests, set_up, tear_down);
}
