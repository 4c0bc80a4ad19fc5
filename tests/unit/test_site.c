/* serve/pattern and serve/tree: which path leads where. What needs an engine
 * is in sim/test_site.c. */
#include "base/buf.h"
#include "serve/pattern.h"
#include "serve/tree.h"
#include "wire/message.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <cmocka.h>

static struct cp_mem *mem;
static struct cp_tree tree;

static int set_up(void **state)
{
    (void)state;
    mem = cp_mem_new(NULL, NULL);
    return mem == NULL ? -1 : cp_tree_init(&tree, mem);
}

static int tear_down(void **state)
{
    (void)state;
    cp_tree_clear(&tree);
    assert_int_equal(cp_mem_used(mem), 0);
    cp_mem_release(mem);
    return 0;
}

/* ---- Patterns ---- */

static void paths_are_read_as_patterns_or_refused_with_a_reason(void **state)
{
    static const struct {
        const char *pattern;
        const char *reason; /* NULL: fine */
    } rows[] = {
        {"/", NULL},
        {"*", NULL},
        {"/*", NULL},
        {"/a", NULL},
        {"/a/", NULL},
        {"//", NULL},
        {"/a//b", NULL},
        {"/{x}/b/*", NULL},
        {"/a%2Fb", NULL},
        {"/%2A", NULL},
        {"/%7Bx%7D", NULL},
        {"/...", NULL},
        {"/gr\xc3\xb6\xc3\x9f"
         "e",
         NULL},
        {"", "begins with"},
        {"a", "begins with"},
        {"a/b", "begins with"},
        {"**", "begins with"},
        {"://*", "not built in"},
        {"/*/a", "comes last"},
        {"/*/", "comes last"},
        {"/a*", "stands alone"},
        {"/a/**", "stands alone"},
        {"/{x", "whole segment"},
        {"/{}", "whole segment"},
        {"/a{x}", "whole segment"},
        {"/{x}{y}", "whole segment"},
        {"/a?b", "%3F"},
        {"/a#b", "%23"},
        {"/%", "%25"},
        {"/%2", "%25"},
        {"/%zz", "%25"},
        {"/.", "cannot be asked"},
        {"/a/..", "cannot be asked"},
        {"/%2e%2E/a", "cannot be asked"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        const char *rest;
        int err = cp_pattern_check(mem, rows[i].pattern, &rest);

        if (err != (rows[i].reason == NULL ? 0 : COPAL_EINVAL))
            fail_msg("%s: %d", rows[i].pattern, err);
        if (err != 0 && strstr(cp_why_text(mem), rows[i].reason) == NULL)
            fail_msg("%s: %s", rows[i].pattern, cp_why_text(mem));
    }
}

static void a_segment_has_at_most_255_bytes_decoded(void **state)
{
    char path[1 + 3 * 256 + 1] = "/";
    const char *rest;

    (void)state;
    for (size_t i = 0; i < 255; i++)
        memcpy(path + 1 + 3 * i, "%61", 4);
    assert_int_equal(cp_pattern_check(mem, path, &rest), 0);
    memcpy(path + 1 + 3 * 255, "b", 2);
    assert_int_equal(cp_pattern_check(mem, path, &rest), COPAL_EINVAL);
}

/* ---- The tree ---- */

struct served {
    struct cp_method method;
    struct cp_place *place;
};

static void serve(struct served *s, const char *pattern)
{
    assert_int_equal(cp_tree_at(&tree, pattern, true, &s->place), 0);
    cp_list_append(&s->place->methods, &s->method.node);
}

static void unserve(struct served *s)
{
    cp_list_remove(&s->method.node);
    cp_tree_prune(&tree, s->place);
}

static struct cp_place *find(const char *path)
{
    copal_msg *m = cp_msg_new(mem, COPAL_GET, 0);
    struct cp_place *p;

    /* Options before and after the path are not of it. */
    assert_int_equal(cp_msg_add(m, COPAL_OPT_URI_HOST, cp_bytes_of_text("h")),
                     0);
    assert_int_equal(cp_msg_add(m, COPAL_OPT_URI_QUERY, cp_bytes_of_text("q")),
                     0);
    assert_int_equal(cp_pattern_add_path(mem, m, path), 0);
    p = cp_tree_find(&tree, m);
    copal_msg_unref(m);
    return p;
}

struct way {
    const char *path;
    const char *pattern; /* NULL: nothing */
};

static void check_ways(const char *const *patterns, size_t count,
                       const struct way *ways, size_t way_count)
{
    struct served served[16];

    for (size_t i = 0; i < count; i++)
        serve(&served[i], patterns[i]);
    for (size_t i = 0; i < way_count; i++) {
        struct cp_place *p = find(ways[i].path);
        const char *got = NULL;

        for (size_t j = 0; j < count; j++)
            if (served[j].place == p)
                got = patterns[j];
        if ((got == NULL) != (ways[i].pattern == NULL) ||
            (got != NULL && strcmp(got, ways[i].pattern) != 0))
            fail_msg("%s led to %s", ways[i].path, got == NULL ? "-" : got);
    }
    for (size_t i = 0; i < count; i++)
        unserve(&served[i]);
    assert_ptr_equal(find("/"), NULL);
    assert_int_equal(tree.literals.count, 0);
    assert_int_equal(tree.root->children, 0);
    assert_null(tree.all);
}

#define CHECK_WAYS(patterns, ways) \
    check_ways(patterns, sizeof(patterns) / sizeof((patterns)[0]), ways, \
               sizeof(ways) / sizeof((ways)[0]))

static void an_exact_segment_wins_over_a_name_and_that_over_the_rest(
    void **state)
{
    static const char *const patterns[] = {
        "/a/b", "/a/{x}", "/a/*", "/a/{x}/c", "/{y}/b/c/d", "/a", "/a/b/e/f",
    };
    static const struct way ways[] = {
        {"/a", "/a"},
        {"/a/b", "/a/b"},
        {"/a/z", "/a/{x}"},
        {"/a/", "/a/{x}"},
        {"/a/z/z", "/a/*"},
        {"/a/z/", "/a/*"},
        {"/a/z/c", "/a/{x}/c"},
        /* The exact way fails further down: back to the name. */
        {"/a/b/c", "/a/{x}/c"},
        {"/a/b/e", "/a/*"},
        {"/a/b/e/f", "/a/b/e/f"},
        {"/a/b/e/g", "/a/*"},
        /* "*" at /a is deeper than {y} at the root. */
        {"/a/b/c/d", "/a/*"},
        {"/q/b/c/d", "/{y}/b/c/d"},
        {"/q", NULL},
        {"/q/b/c", NULL},
        {"/", NULL},
        {"/A", NULL},
    };

    (void)state;
    CHECK_WAYS(patterns, ways);
}

static void a_star_takes_what_nobody_else_serves(void **state)
{
    static const char *const patterns[] = {"*", "/files/*", "/x/y"};
    static const struct way ways[] = {
        {"/", "*"},
        {"/files", "*"},
        {"/files/", "/files/*"},
        {"/files/a/b/c", "/files/*"},
        {"/x", "*"},
        {"/x/y", "/x/y"},
        {"/x/y/", "*"},
        {"/anything/at/all", "*"},
    };

    (void)state;
    CHECK_WAYS(patterns, ways);
}

static void a_star_below_the_root_needs_a_segment(void **state)
{
    static const char *const patterns[] = {"/*"};
    static const struct way ways[] = {
        {"/", NULL},
        {"/a", "/*"},
        {"//", "/*"},
        {"/a/b", "/*"},
    };

    (void)state;
    CHECK_WAYS(patterns, ways);
}

/* RFC 7252 6.4: a trailing slash is a last, empty segment. */
static void segments_are_compared_as_decoded_bytes(void **state)
{
    static const char *const patterns[] = {
        "/", "/a%2Fb", "/a/b", "/c/", "//", "/%2A", "/%7Bx%7D", "/%00",
    };
    static const struct way ways[] = {
        {"/", "/"},           {"/a%2fb", "/a%2Fb"}, {"/a/b", "/a/b"},
        {"/%61/b", "/a/b"},   {"/c", NULL},         {"/c/", "/c/"},
        {"//", "//"},         {"///", NULL},        {"/*", "/%2A"},
        {"/{x}", "/%7Bx%7D"}, {"/%00", "/%00"},     {"/z", NULL},
    };

    (void)state;
    CHECK_WAYS(patterns, ways);
}

/* The place that was found last is remembered. */
static void a_path_found_before_leads_nowhere_once_it_is_gone(void **state)
{
    struct served a, b, again;

    (void)state;
    serve(&a, "/a");
    serve(&b, "/a/b");
    for (int i = 0; i < 2; i++) {
        assert_ptr_equal(find("/a/b"), b.place);
        assert_ptr_equal(find("/a"), a.place);
        assert_null(find("/b"));
        assert_null(find("/a/a"));
    }
    unserve(&b);
    assert_null(find("/a/b"));
    assert_ptr_equal(find("/a"), a.place);
    unserve(&a);
    assert_null(find("/a"));
    serve(&again, "/a/b");
    assert_null(find("/a"));
    assert_ptr_equal(find("/a/b"), again.place);
    unserve(&again);
}

static void one_place_has_one_name(void **state)
{
    struct served first;
    struct cp_place *other;

    (void)state;
    serve(&first, "/a/{x}/b");
    assert_int_equal(cp_tree_at(&tree, "/a/{y}/c", true, &other), COPAL_EINVAL);
    assert_non_null(strstr(cp_why_text(mem), "{x}"));
    assert_int_equal(cp_tree_at(&tree, "/a/{x}", true, &other), 0);
    assert_ptr_equal(other, first.place->parent);
    unserve(&first);
    assert_int_equal(cp_tree_at(&tree, "/a/{y}/c", true, &other), 0);
    cp_tree_prune(&tree, other);
}

static void a_place_that_is_not_there_is_not_made_by_looking(void **state)
{
    struct cp_place *p;

    (void)state;
    assert_int_equal(cp_tree_at(&tree, "/a/b", false, &p), COPAL_ENOENT);
    assert_int_equal(cp_tree_at(&tree, "*", false, &p), COPAL_ENOENT);
    assert_int_equal(tree.literals.count, 0);
}

static void a_path_is_written_percent_encoded(void **state)
{
    static const char *const paths[] = {"/", "/a%2Fb/c", "/a/", "//",
                                        "/%25/%22"};
    struct cp_buf b = cp_buf_new(mem);

    (void)state;
    for (size_t i = 0; i < sizeof(paths) / sizeof(paths[0]); i++) {
        struct served s;

        serve(&s, paths[i]);
        b.len = 0;
        cp_place_put_path(s.place, &b);
        assert_string_equal(cp_buf_text(&b), paths[i]);
        assert_false(cp_place_is_open(s.place));
        unserve(&s);
    }
    cp_buf_free(&b);
}

static void out_of_memory_leaves_the_tree_as_it_was(void **state)
{
    static const char *const patterns[] = {"/a/b/{x}/c/*", "*"};
    struct cp_place *p;

    (void)state;
    for (size_t i = 0; i < sizeof(patterns) / sizeof(patterns[0]); i++) {
        uint64_t used;
        int err;

        /* Once before, since the map keeps the table it has grown. */
        assert_int_equal(cp_tree_at(&tree, patterns[i], true, &p), 0);
        cp_tree_prune(&tree, p);
        used = cp_mem_used(mem);
        err = COPAL_ENOMEM;
        for (uint64_t room = 1; err != 0; room += 64) {
            cp_mem_limit(mem, used + room);
            err = cp_tree_at(&tree, patterns[i], true, &p);
            assert_true(err == 0 || err == COPAL_ENOMEM);
            if (err != 0)
                assert_int_equal(cp_mem_used(mem), used);
        }
        cp_mem_limit(mem, 0);
        cp_tree_prune(&tree, p);
        assert_int_equal(cp_mem_used(mem), used);
    }
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        TEST(paths_are_read_as_patterns_or_refused_with_a_reason),
        TEST(a_segment_has_at_most_255_bytes_decoded),
        TEST(an_exact_segment_wins_over_a_name_and_that_over_the_rest),
        TEST(a_star_takes_what_nobody_else_serves),
        TEST(a_star_below_the_root_needs_a_segment),
        TEST(segments_are_compared_as_decoded_bytes),
        TEST(a_path_found_before_leads_nowhere_once_it_is_gone),
        TEST(one_place_has_one_name),
        TEST(a_place_that_is_not_there_is_not_made_by_looking),
        TEST(a_path_is_written_percent_encoded),
        TEST(out_of_memory_leaves_the_tree_as_it_was),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
