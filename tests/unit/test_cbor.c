/* wire/cbor: items read, printed and written. RFC 8949. */
#include "wire/cbor_print.h"
#include "vectors.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <cmocka.h>

enum {
    ITEMS = 109,
    MALFORMED = 114
};

static struct cp_mem *mem;
static json_t *document;

static int set_up(void **state)
{
    (void)state;
    document = vectors_load("cbor.json");
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

/* ---- The tables ---- */

static void print(copal_bytes bytes, enum cp_cbor_style style,
                  struct cp_buf *out)
{
    struct cp_cbor_reader r = cp_cbor_read(bytes, CP_CBOR_DEPTH);

    assert_int_equal(cp_cbor_print(&r, style, out), 0);
}

static void every_item_is_printed(void **state)
{
    json_t *rows = vectors_rows(document, "items", ITEMS), *row;
    size_t i;

    (void)state;
    json_array_foreach(rows, i, row)
    {
        bool other = json_object_get(row, "printed") != NULL;
        const char *wanted =
            vectors_text(row, other ? "printed" : "diagnostic");
        struct cp_buf b = cp_buf_new(mem);
        uint8_t data[64];

        print(vectors_hex(row, "hex", data, sizeof(data)), CP_CBOR_ON_ONE_LINE,
              &b);
        if (strcmp(cp_buf_text(&b), wanted) != 0)
            fail_msg("%s, not %s", cp_buf_text(&b), wanted);
        cp_buf_free(&b);
    }
}

static void write_again(struct cp_buf *b, const struct cp_cbor_item *item)
{
    switch (item->kind) {
    case CP_CBOR_UNSIGNED: cp_cbor_put_unsigned(b, item->n); break;
    case CP_CBOR_NEGATIVE: cp_cbor_put_negative(b, item->n); break;
    case CP_CBOR_BYTES: cp_cbor_put_bytes(b, item->bytes); break;
    case CP_CBOR_TEXT: cp_cbor_put_text(b, item->bytes); break;
    case CP_CBOR_ARRAY: cp_cbor_put_array(b, item->n); break;
    case CP_CBOR_MAP: cp_cbor_put_map(b, item->n); break;
    case CP_CBOR_TAG: cp_cbor_put_tag(b, item->n); break;
    case CP_CBOR_SIMPLE: cp_cbor_put_simple(b, (uint8_t)item->n); break;
    case CP_CBOR_FLOAT: cp_cbor_put_float(b, item->number); break;
    default: break;
    }
}

static void what_is_deterministic_is_written_as_it_was(void **state)
{
    json_t *rows = vectors_rows(document, "items", ITEMS), *row;
    size_t i;

    (void)state;
    json_array_foreach(rows, i, row)
    {
        struct cp_buf b = cp_buf_new(mem);
        uint8_t data[64];
        copal_bytes in = vectors_hex(row, "hex", data, sizeof(data)), out;
        struct cp_cbor_reader r = cp_cbor_read(in, CP_CBOR_DEPTH);
        struct cp_cbor_item item;

        while (cp_cbor_next(&r, &item) == 1)
            write_again(&b, &item);
        assert_int_equal(cp_buf_finish(&b, &out), 0);
        if (cp_bytes_equal(in, out) != vectors_bool(row, "roundtrip"))
            fail_msg("%s is written otherwise", vectors_text(row, "hex"));
        cp_buf_free(&b);
    }
}

static void what_is_not_well_formed_is_refused(void **state)
{
    json_t *rows = vectors_rows(document, "malformed", MALFORMED), *row;
    size_t i;

    (void)state;
    json_array_foreach(rows, i, row)
    {
        uint8_t data[32];
        copal_bytes in = vectors_hex(row, "hex", data, sizeof(data));

        if (cp_cbor_check(in, CP_CBOR_DEPTH) != COPAL_EFORMAT)
            fail_msg("%s: %s", vectors_text(row, "hex"),
                     vectors_text(row, "why"));
    }
}

static void every_item_is_incomplete_without_its_last_byte(void **state)
{
    json_t *rows = vectors_rows(document, "items", ITEMS), *row;
    size_t i;

    (void)state;
    json_array_foreach(rows, i, row)
    {
        uint8_t data[64];
        copal_bytes in = vectors_hex(row, "hex", data, sizeof(data));

        assert_int_equal(cp_cbor_check(in, CP_CBOR_DEPTH), 0);
        for (size_t len = 0; len < in.len; len++)
            assert_int_equal(
                cp_cbor_check(cp_bytes(in.data, len), CP_CBOR_DEPTH),
                COPAL_EFORMAT);
    }
}

/* ---- Reading ---- */

static void nesting_has_the_limit_that_is_given(void **state)
{
    static const uint8_t openings[] = {0x81, 0xc1, 0x9f, 0xa1, 0xbf};
    uint8_t deep[200];

    (void)state;
    for (size_t i = 0; i < sizeof(openings); i++) {
        memset(deep, openings[i], sizeof(deep));
        assert_int_equal(cp_cbor_check(cp_bytes(deep, sizeof(deep)), 32),
                         COPAL_ELIMIT);
        assert_int_equal(cp_cbor_check(cp_bytes(deep, sizeof(deep)), 1000),
                         COPAL_ELIMIT);
    }
    memset(deep, 0x81, 32);
    deep[32] = 0;
    assert_int_equal(cp_cbor_check(cp_bytes(deep, 33), 32), 0);
    assert_int_equal(cp_cbor_check(cp_bytes(deep, 33), 31), COPAL_ELIMIT);
    assert_int_equal(cp_cbor_check(cp_bytes("\x5f\xff", 2), 0), COPAL_ELIMIT);
    assert_int_equal(cp_cbor_check(cp_bytes("", 1), 0), 0);
}

static void an_item_knows_its_place(void **state)
{
    /* {1: [_ "a"], 2: 3} */
    static const uint8_t data[] = {0xa2, 1, 0x9f, 0x61, 'a', 0xff, 2, 3};
    static const struct {
        enum cp_cbor_kind kind, parent;
        int depth;
        uint64_t index;
    } wanted[] = {
        {CP_CBOR_MAP, CP_CBOR_NOTHING, 0, 0},
        {CP_CBOR_UNSIGNED, CP_CBOR_MAP, 1, 0},
        {CP_CBOR_ARRAY, CP_CBOR_MAP, 1, 1},
        {CP_CBOR_TEXT, CP_CBOR_ARRAY, 2, 0},
        {CP_CBOR_END, CP_CBOR_ARRAY, 1, 1},
        {CP_CBOR_UNSIGNED, CP_CBOR_MAP, 1, 2},
        {CP_CBOR_UNSIGNED, CP_CBOR_MAP, 1, 3},
        {CP_CBOR_END, CP_CBOR_MAP, 0, 4},
    };
    struct cp_cbor_reader r = cp_cbor_read(cp_bytes(data, sizeof(data)), 2);
    struct cp_cbor_item item;

    (void)state;
    for (size_t i = 0; i < sizeof(wanted) / sizeof(wanted[0]); i++) {
        assert_int_equal(cp_cbor_next(&r, &item), 1);
        assert_int_equal(item.kind, wanted[i].kind);
        assert_int_equal(item.parent, wanted[i].parent);
        assert_int_equal(item.depth, wanted[i].depth);
        assert_int_equal(item.index, wanted[i].index);
    }
    assert_int_equal(cp_cbor_next(&r, &item), 0);
}

static void an_item_can_be_skipped(void **state)
{
    static const uint8_t data[] = {0x82, 0xc1, 0x82, 1, 0x80, 7};
    struct cp_cbor_reader r = cp_cbor_read(cp_bytes(data, sizeof(data)), 8);
    struct cp_cbor_item item;

    (void)state;
    assert_int_equal(cp_cbor_next(&r, &item), 1);
    assert_int_equal(cp_cbor_next(&r, &item), 1);
    assert_int_equal(item.kind, CP_CBOR_TAG);
    assert_int_equal(cp_cbor_skip(&r, &item), 0);
    assert_int_equal(cp_cbor_next(&r, &item), 1);
    assert_int_equal(item.n, 7);
    assert_int_equal(cp_cbor_skip(&r, &item), 0);
    assert_int_equal(cp_cbor_next(&r, &item), 1);
    assert_int_equal(item.kind, CP_CBOR_END);
    assert_int_equal(cp_cbor_next(&r, &item), 0);
}

static void a_fault_stays_and_has_a_place(void **state)
{
    static const uint8_t data[] = {0x82, 1, 0x1c};
    copal_bytes in = cp_bytes(data, sizeof(data));
    struct cp_cbor_reader r = cp_cbor_read(in, 8);
    struct cp_cbor_item item;

    (void)state;
    assert_int_equal(cp_cbor_next(&r, &item), 1);
    assert_int_equal(cp_cbor_next(&r, &item), 1);
    assert_int_equal(cp_cbor_next(&r, &item), COPAL_EFORMAT);
    assert_int_equal(cp_cbor_next(&r, &item), COPAL_EFORMAT);
    assert_int_equal(cp_cbor_offset(&r, in), 2);
}

static void a_sequence_has_any_number_of_items(void **state)
{
    struct cp_buf b = cp_buf_new(mem);
    struct cp_cbor_reader r = cp_cbor_read(cp_bytes("\x01\x81\x02\x03", 4), 8);
    struct cp_cbor_item item;

    (void)state;
    r.is_sequence = true;
    assert_int_equal(cp_cbor_print(&r, CP_CBOR_ON_ONE_LINE, &b), 0);
    assert_string_equal(cp_buf_text(&b), "1\n[2]\n3");
    r = cp_cbor_read(cp_bytes("", 0), 8);
    r.is_sequence = true;
    assert_int_equal(cp_cbor_next(&r, &item), 0);
    cp_buf_free(&b);
}

/* ---- Printing ---- */

static void items_stand_on_lines_of_their_own_when_indented(void **state)
{
    static const uint8_t data[] = {0xa3, 0x61, 'a',  0x82, 1,    0xc1, 2, 0x61,
                                   'b',  0x80, 0x61, 'c',  0x5f, 0x41, 3, 0xff};
    struct cp_buf b = cp_buf_new(mem);

    (void)state;
    print(cp_bytes(data, sizeof(data)), CP_CBOR_INDENTED, &b);
    assert_string_equal(cp_buf_text(&b), "{\n"
                                         "  \"a\": [\n"
                                         "    1,\n"
                                         "    1(2)\n"
                                         "  ],\n"
                                         "  \"b\": [],\n"
                                         "  \"c\": (_ h'03')\n"
                                         "}");
    cp_buf_free(&b);
}

/* ---- Writing ---- */

static double read_back(struct cp_buf *b)
{
    copal_bytes out = {0};
    struct cp_cbor_reader r;
    struct cp_cbor_item item;

    assert_int_equal(cp_buf_finish(b, &out), 0);
    r = cp_cbor_read(out, 0);
    assert_int_equal(cp_cbor_next(&r, &item), 1);
    assert_int_equal(item.kind, CP_CBOR_FLOAT);
    assert_int_equal(cp_cbor_next(&r, &item), 0);
    return item.number;
}

static void every_half_is_read_and_written_as_a_half(void **state)
{
    (void)state;
    for (unsigned bits = 0; bits < 0x10000; bits++) {
        uint8_t data[3] = {0xf9, (uint8_t)(bits >> 8), (uint8_t)bits}, out[16];
        struct cp_buf in = cp_buf_fixed(data, 3), b = cp_buf_fixed(out, 16);
        double number;

        in.len = 3;
        number = read_back(&in);
        cp_cbor_put_float(&b, number);
        assert_int_equal(b.len, 3);
        if (isnan(number))
            assert_memory_equal(out, "\xf9\x7e\x00", 3);
        else
            assert_memory_equal(out, data, 3);
    }
}

static void a_float_keeps_its_value(void **state)
{
    static const struct {
        double number;
        size_t len;
    } rows[] = {
        {0x1p-24, 3},        {0x1p-25, 5},     {0x1.8p-24, 5}, {65504, 3},
        {65505, 5},          {65520, 5},       {0x1p-149, 5},  {0x1p-150, 9},
        {0x1.fffffep127, 5}, {0x1p128, 9},     {0.1, 9},       {2049, 5},
        {2048, 3},           {1e-320, 9},      {16777217, 9},  {-0.0, 3},
        {0x1.ff8p-15, 3},    {0x1.ffcp-15, 5},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        uint8_t out[16];
        struct cp_buf b = cp_buf_fixed(out, sizeof(out));

        cp_cbor_put_float(&b, rows[i].number);
        assert_int_equal(b.len, rows[i].len);
        assert_true(read_back(&b) == rows[i].number);
    }
}

static void integers_are_as_short_as_they_can_be(void **state)
{
    static const struct {
        int64_t n;
        const char *hex;
    } rows[] = {
        {0, "00"},
        {23, "17"},
        {24, "1818"},
        {255, "18ff"},
        {256, "190100"},
        {65535, "19ffff"},
        {65536, "1a00010000"},
        {4294967295, "1affffffff"},
        {4294967296, "1b0000000100000000"},
        {INT64_MAX, "1b7fffffffffffffff"},
        {-1, "20"},
        {-24, "37"},
        {-25, "3818"},
        {INT64_MIN, "3b7fffffffffffffff"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct cp_buf b = cp_buf_new(mem), hex = cp_buf_new(mem);
        copal_bytes out = {0};

        cp_cbor_put_int(&b, rows[i].n);
        assert_int_equal(cp_buf_finish(&b, &out), 0);
        cp_put_hex(&hex, out);
        assert_string_equal(cp_buf_text(&hex), rows[i].hex);
        cp_buf_free(&b);
        cp_buf_free(&hex);
    }
}

static void a_bignum_that_64_bits_hold_is_an_integer(void **state)
{
    struct cp_buf b = cp_buf_new(mem), text = cp_buf_new(mem);
    struct cp_cbor_reader r;

    (void)state;
    cp_cbor_put_bignum(&b, cp_bytes("\0\0\1\0", 4), false);
    cp_cbor_put_bignum(&b, cp_bytes("", 0), true);
    cp_cbor_put_bignum(&b, cp_bytes("\0\1\0\0\0\0\0\0\0\0", 10), true);
    r = cp_cbor_read(cp_bytes(b.data, b.len), 8);
    r.is_sequence = true;
    assert_int_equal(cp_cbor_print(&r, CP_CBOR_ON_ONE_LINE, &text), 0);
    assert_string_equal(cp_buf_text(&text),
                        "256\n-1\n3(h'010000000000000000')");
    cp_buf_free(&b);
    cp_buf_free(&text);
}

/* The keys of RFC 8949 4.2.1, backwards. */
static void keys_are_brought_into_the_order_of_their_bytes(void **state)
{
    struct cp_buf b = cp_buf_new(mem), text = cp_buf_new(mem);
    size_t begin;

    (void)state;
    cp_cbor_put_map(&b, 8);
    begin = b.len;
    cp_cbor_put_simple(&b, CP_CBOR_FALSE);
    cp_cbor_put_int(&b, 8);
    cp_cbor_put_array(&b, 1);
    cp_cbor_put_int(&b, -1);
    cp_cbor_put_int(&b, 7);
    cp_cbor_put_array(&b, 1);
    cp_cbor_put_int(&b, 100);
    cp_cbor_put_int(&b, 6);
    cp_cbor_put_text(&b, cp_bytes_of_text("aa"));
    cp_cbor_put_int(&b, 5);
    cp_cbor_put_text(&b, cp_bytes_of_text("z"));
    cp_cbor_put_int(&b, 4);
    cp_cbor_put_int(&b, -1);
    cp_cbor_put_int(&b, 3);
    cp_cbor_put_int(&b, 100);
    cp_cbor_put_array(&b, 0);
    cp_cbor_put_int(&b, 10);
    cp_cbor_put_int(&b, 1);
    assert_int_equal(cp_cbor_sort_map(&b, begin, 8), 0);
    print(cp_bytes(b.data, b.len), CP_CBOR_ON_ONE_LINE, &text);
    assert_string_equal(cp_buf_text(&text),
                        "{10: 1, 100: [], -1: 3, \"z\": 4, \"aa\": 5, "
                        "[100]: 6, [-1]: 7, false: 8}");
    cp_buf_free(&b);
    cp_buf_free(&text);
}

static void a_key_that_stands_twice_is_refused(void **state)
{
    struct cp_buf b = cp_buf_new(mem);

    (void)state;
    for (int i = 0; i < 3; i++) {
        cp_cbor_put_int(&b, i % 2);
        cp_cbor_put_int(&b, i);
    }
    assert_int_equal(cp_cbor_sort_map(&b, 0, 3), COPAL_EINVAL);
    cp_buf_free(&b);
}

static void sorting_without_memory_changes_nothing(void **state)
{
    struct cp_mem *small = cp_mem_new(NULL, NULL);
    struct cp_buf b = cp_buf_new(small);

    (void)state;
    for (int i = 0; i < 4; i++)
        cp_cbor_put_int(&b, 4 - i);
    cp_mem_limit(small, cp_mem_used(small) + 8);
    assert_int_equal(cp_cbor_sort_map(&b, 0, 2), COPAL_ENOMEM);
    assert_memory_equal(b.data, "\4\3\2\1", 4);
    cp_buf_free(&b);
    cp_mem_release(small);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_item_is_printed),
        cmocka_unit_test(what_is_deterministic_is_written_as_it_was),
        cmocka_unit_test(what_is_not_well_formed_is_refused),
        cmocka_unit_test(every_item_is_incomplete_without_its_last_byte),
        cmocka_unit_test(nesting_has_the_limit_that_is_given),
        cmocka_unit_test(an_item_knows_its_place),
        cmocka_unit_test(an_item_can_be_skipped),
        cmocka_unit_test(a_fault_stays_and_has_a_place),
        cmocka_unit_test(a_sequence_has_any_number_of_items),
        cmocka_unit_test(items_stand_on_lines_of_their_own_when_indented),
        cmocka_unit_test(every_half_is_read_and_written_as_a_half),
        cmocka_unit_test(a_float_keeps_its_value),
        cmocka_unit_test(integers_are_as_short_as_they_can_be),
        cmocka_unit_test(a_bignum_that_64_bits_hold_is_an_integer),
        cmocka_unit_test(keys_are_brought_into_the_order_of_their_bytes),
        cmocka_unit_test(a_key_that_stands_twice_is_refused),
        cmocka_unit_test(sorting_without_memory_changes_nothing),
    };

    return cmocka_run_group_tests(tests, set_up, tear_down);
}
