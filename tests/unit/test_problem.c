/* wire/problem: concise problem details, RFC 9290. */
#include "messages.h"
#include "wire/problem.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <cmocka.h>

static copal_bytes from_hex(const char *hex)
{
    static uint8_t bytes[1024];
    size_t len = 0;
    unsigned byte;

    for (; *hex != '\0'; hex += *hex == ' ' ? 1 : 2)
        if (*hex != ' ' && sscanf(hex, "%2x", &byte) == 1)
            bytes[len++] = (uint8_t)byte;
    return (copal_bytes){bytes, len};
}

static void assert_text(copal_bytes found, const char *expected)
{
    assert_int_equal(found.len, strlen(expected));
    assert_memory_equal(found.data, expected, found.len);
}

static copal_bytes text(const char *t)
{
    return (copal_bytes){(const uint8_t *)t, strlen(t)};
}

static int read_hex(const char *hex, copal_problem *out)
{
    *out = (copal_problem){.size = sizeof(*out)};
    return cp_problem_read(from_hex(hex), out);
}

/* clang-format off */
#define TITLE "20727469746c65206f6620746865206572726f72"
#define DETAIL "21782464657461696c656420696e666f726d6174696f6e2061626f757420" \
    "746865206572726f72"
#define INSTANCE "22781b636f6170733a2f2f70642e6578616d706c652f4641333137343334"
#define CODE "231880"
#define URI_KEY "781c7461673a336770702e6f72672c323032322d30333a54533239313132"

/* {0: "machine-readable error cause", 1: [["first parameter name", "must be a
 * positive integer"], ["second parameter name"]], 2: "d34db33f"} */
#define CUSTOM "a300781c6d616368696e652d7265616461626c65206572726f7220636175" \
    "736501828274666972737420706172616d65746572206e616d65781a6d75" \
    "7374206265206120706f73697469766520696e746567657281757365636f" \
    "6e6420706172616d65746572206e616d6502686433346462333366"
/* clang-format on */

/* RFC 9290 figures 3 and 4. */
static void the_examples_of_the_rfc_are_read(void **state)
{
    static const struct {
        const char *key;
        int64_t number;
        const char *uri;
    } rows[] = {
        {URI_KEY, 0, "tag:3gpp.org,2022-03:TS29112"},
        {"191267", 4711, NULL},
    };

    (void)state;
    for (size_t i = 0; i < 2; i++) {
        char hex[1024];
        copal_problem p;
        copal_problem_item item;

        snprintf(hex, sizeof(hex), "a5" TITLE DETAIL INSTANCE CODE "%s" CUSTOM,
                 rows[i].key);
        assert_int_equal(read_hex(hex, &p), 0);
        assert_text(p.title.text, "title of the error");
        assert_null(p.title.lang.data);
        assert_text(p.detail.text, "detailed information about the error");
        assert_text(p.instance, "coaps://pd.example/FA317434");
        assert_int_equal(p.response_code, COPAL_BAD_REQUEST);
        assert_null(p.base_uri.data);
        assert_int_equal(copal_problem_entry(&p, 0, &item), 0);
        assert_int_equal(item.key, rows[i].number);
        if (rows[i].uri != NULL)
            assert_text(item.uri, rows[i].uri);
        else
            assert_null(item.uri.data);
        assert_int_equal(item.value.data[0], 0xa3);
        assert_int_equal(copal_problem_entry(&p, 1, &item), COPAL_ENOENT);
    }
}

/* RFC 9290 A.3. */
static void a_language_is_read(void **state)
{
    copal_problem p;

    (void)state;
    assert_int_equal(read_hex("a1 20 d826 82 62656e 6548656c6c6f", &p), 0);
    assert_text(p.title.text, "Hello");
    assert_text(p.title.lang, "en");
    assert_int_equal(p.title.direction, COPAL_AUTO);
    assert_int_equal(read_hex("a1 21 d826 83 626865 68d7a9d79cd795d79d f5", &p),
                     0);
    assert_text(p.detail.text, "\xd7\xa9\xd7\x9c\xd7\x95\xd7\x9d");
    assert_text(p.detail.lang, "he");
    assert_int_equal(p.detail.direction, COPAL_RTL);
    assert_int_equal(read_hex("a3 24 63613a62 25 65656e2d4742 26 f4", &p), 0);
    assert_text(p.base_uri, "a:b");
    assert_text(p.base_lang, "en-GB");
    assert_int_equal(p.base_direction, COPAL_LTR);
}

/* RFC 9290 3: the ignore-unknown rule; -8 is RFC 9290 3.1.1's. */
static void what_is_unknown_is_passed_over_but_can_be_had(void **state)
{
    copal_problem p;
    copal_problem_item item;

    (void)state;
    assert_int_equal(read_hex("a4 27 09 20 6174 3863 82f7f6 00 a1 0000", &p),
                     0);
    assert_text(p.title.text, "t");
    assert_int_equal(copal_problem_entry(&p, 0, &item), 0);
    assert_int_equal(item.key, -8);
    assert_int_equal(item.value.len, 1);
    assert_int_equal(copal_problem_entry(&p, 1, &item), 0);
    assert_int_equal(item.key, -100);
    assert_int_equal(copal_problem_entry(&p, 2, &item), 0);
    assert_int_equal(item.key, 0);
    assert_int_equal(copal_problem_entry(&p, 3, &item), COPAL_ENOENT);
}

static void what_is_no_problem_is_refused(void **state)
{
    static const struct {
        const char *what, *hex;
        int err;
    } rows[] = {
        {"nothing", "", COPAL_EFORMAT},
        {"no map", "80", COPAL_EFORMAT},
        {"an empty map", "a0", COPAL_EFORMAT},
        {"an empty map of unknown length", "bfff", COPAL_EFORMAT},
        {"cut off", "a1 20 62 61", COPAL_EFORMAT},
        {"something behind", "a1 20 6174 00", COPAL_EFORMAT},
        {"a key twice", "a2 20 6174 20 6175", COPAL_EFORMAT},
        {"a key twice, written otherwise", "a2 20 6174 3800 6175",
         COPAL_EFORMAT},
        {"a URI twice", "a2 63613a62 a10000 63613a62 a10000", COPAL_EFORMAT},
        {"a key of bytes", "a1 4100 6174", COPAL_EFORMAT},
        {"a key of no text", "a1 60 a10000", COPAL_EFORMAT},
        {"a title of a number", "a1 20 00", COPAL_EFORMAT},
        {"a title of bytes", "a1 20 4174", COPAL_EFORMAT},
        {"a title in chunks", "a1 20 7f6174ff", COPAL_EFORMAT},
        {"a title that is no UTF-8", "a1 20 61ff", COPAL_EFORMAT},
        {"another tag", "a1 20 d827 82 62656e 6174", COPAL_EFORMAT},
        {"a tag 38 of text", "a1 20 d826 6174", COPAL_EFORMAT},
        {"a tag 38 without text", "a1 20 d826 81 62656e", COPAL_EFORMAT},
        {"a tag 38 of four", "a1 20 d826 84 62656e 6174 f4 f4", COPAL_EFORMAT},
        {"a direction that is none", "a1 20 d826 83 62656e 6174 00",
         COPAL_EFORMAT},
        {"a language that is none", "a1 25 6265 2d", COPAL_EFORMAT},
        {"a language of a digit", "a1 25 6131", COPAL_EFORMAT},
        {"a language of nine letters", "a1 25 69616161616161616161",
         COPAL_EFORMAT},
        {"a code of 256", "a1 23 190100", COPAL_EFORMAT},
        {"a negative code", "a1 23 20", COPAL_EFORMAT},
        {"an entry that is no map", "a1 05 00", COPAL_EFORMAT},
        {"an entry of nothing", "a1 05 a0", COPAL_EFORMAT},
        {"a key of 64 bits", "a1 1bffffffffffffffff a10000", COPAL_ELIMIT},
        {"17 deep", "a1 05 a1 00 81818181818181818181818181818100",
         COPAL_ELIMIT},
    };
    copal_problem p;

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        if (read_hex(rows[i].hex, &p) != rows[i].err)
            fail_msg("%s: %d", rows[i].what, read_hex(rows[i].hex, &p));
        assert_null(p.title.text.data); /* untouched */
    }
}

static void it_has_64_entries_at_most(void **state)
{
    uint8_t bytes[512] = {0xb8, 64};
    copal_problem p = {.size = sizeof(p)};
    size_t len = 2;

    (void)state;
    for (uint8_t i = 0; i < 65; i++) {
        memcpy(bytes + len, (uint8_t[]){0x19, 1, i, 0xa1, 0, 0}, 6);
        len += 6;
    }
    assert_int_equal(cp_problem_read((copal_bytes){bytes, len - 6}, &p), 0);
    bytes[1] = 65;
    assert_int_equal(cp_problem_read((copal_bytes){bytes, len}, &p),
                     COPAL_ELIMIT);
}

/* ---- As the payload of a message ---- */

static void what_is_made_is_read_again(void **state)
{
    copal_msg *m = messages_new(COPAL_BAD_REQUEST);
    copal_problem p = {.size = sizeof(p)}, again = p;
    copal_bytes expected = from_hex("a9 05 a10000 20 d826 82 62656e 6174 21 "
                                    "6164 22 6169 23 1880 24 63613a62 "
                                    "25 626465 26 f5 27 09");

    (void)state;
    p.title.text = text("t");
    p.title.lang = text("en");
    p.detail.text = text("d");
    p.instance = text("i");
    p.response_code = COPAL_BAD_REQUEST;
    p.base_uri = text("a:b");
    p.base_lang = text("de");
    p.base_direction = COPAL_RTL;
    /* What has a field gives way to that; the others stay. */
    p.entries = (copal_bytes){
        (const uint8_t *)"\xa3\x27\x09\x20\x61\x78\x05\xa1\x00\x00", 10};
    assert_int_equal(copal_msg_set_problem(m, &p), 0);
    assert_int_equal(copal_msg_format(m), COPAL_PROBLEM);
    assert_int_equal(copal_msg_payload(m).len, expected.len);
    assert_memory_equal(copal_msg_payload(m).data, expected.data, expected.len);
    assert_int_equal(copal_msg_problem(m, &again), 0);
    assert_text(again.title.text, "t");
    assert_text(again.title.lang, "en");
    assert_int_equal(copal_msg_set_problem(m, &again), 0);
    assert_memory_equal(copal_msg_payload(m).data, expected.data, expected.len);
    copal_msg_unref(m);
}

static void what_cannot_be_a_problem_is_not_made(void **state)
{
    copal_msg *m = messages_new(COPAL_BAD_REQUEST);
    copal_problem p = {.size = sizeof(p)};

    (void)state;
    assert_int_equal(copal_msg_problem(m, &p), COPAL_ENOENT);
    assert_int_equal(copal_msg_set_problem(m, NULL), COPAL_EINVAL);
    assert_int_equal(copal_msg_set_problem(m, &p), COPAL_EINVAL);
    p.title.text = text("\xff");
    assert_int_equal(copal_msg_set_problem(m, &p), COPAL_EINVAL);
    p.title.text = text("t");
    p.title.lang = text("e n");
    assert_int_equal(copal_msg_set_problem(m, &p), COPAL_EINVAL);
    p.title.lang = text("en");
    p.response_code = COPAL_NOT_FOUND;
    assert_int_equal(copal_msg_set_problem(m, &p), COPAL_EINVAL);
    p.response_code = 0;
    p.entries = text("\x01");
    assert_int_equal(copal_msg_set_problem(m, &p), COPAL_EINVAL);
    p.entries = text("\xa1\x05\x01");
    assert_int_equal(copal_msg_set_problem(m, &p), COPAL_EINVAL);
    assert_int_equal(copal_msg_payload(m).len, 0);
    p.entries = (copal_bytes){0};
    p.size = 8;
    assert_int_equal(copal_msg_set_problem(m, &p), COPAL_EINVAL);
    assert_int_equal(copal_msg_problem(m, &p), COPAL_EINVAL);
    copal_msg_set_payload(m, COPAL_PROBLEM, text("\xa0"));
    p.size = sizeof(p);
    assert_int_equal(copal_msg_problem(m, &p), COPAL_EFORMAT);
    assert_int_equal(copal_msg_problem(NULL, &p), COPAL_ENOMEM);
    assert_int_equal(copal_problem_entry(NULL, 0, NULL), COPAL_EINVAL);
    copal_msg_unref(m);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_examples_of_the_rfc_are_read),
        cmocka_unit_test(a_language_is_read),
        cmocka_unit_test(what_is_unknown_is_passed_over_but_can_be_had),
        cmocka_unit_test(what_is_no_problem_is_refused),
        cmocka_unit_test(it_has_64_entries_at_most),
        cmocka_unit_test(what_is_made_is_read_again),
        cmocka_unit_test(what_cannot_be_a_problem_is_not_made),
    };

    return cmocka_run_group_tests(tests, messages_set_up, messages_tear_down);
}
