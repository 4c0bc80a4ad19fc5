/* wire/stream: messages as TCP and WebSocket carry them. RFC 8323 3.2, 4.2;
 * RFC 8974 2.1. */
#include "wire/stream.h"
#include "vectors.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <cmocka.h>

enum {
    ROWS = 82,
    ROOM = 70000
};

static json_t *document;
static struct cp_mem *mem;

static int set_up(void **state)
{
    (void)state;
    document = vectors_load("codec_tcp.json");
    mem = cp_mem_new(NULL, NULL);
    return mem == NULL;
}

static int tear_down(void **state)
{
    (void)state;
    json_decref(document);
    assert_int_equal(cp_mem_used(mem), 0);
    cp_mem_release(mem);
    return 0;
}

/* ---- Rows ---- */

static enum cp_framing framing_of(json_t *row)
{
    return json_object_get(row, "transport") == NULL ? CP_STREAMED : CP_FRAMED;
}

/* A row's bytes, of some rows the beginning of them and how many more follow.
 * As long as their storage, so that a read past them is seen. */
static copal_bytes bytes_of(json_t *row)
{
    static uint8_t hex[ROOM];
    bool is_built = json_object_get(row, "hex_prefix") != NULL;
    copal_bytes head =
        vectors_hex(row, is_built ? "hex_prefix" : "hex", hex, sizeof(hex));
    size_t len = head.len;
    uint8_t *bytes;

    if (is_built) { /* the last five of the beginning are payload already */
        len = head.len - 5 + (size_t)vectors_int(row, "payload_length");
        memset(hex + head.len, 'x', len - head.len);
    }
    bytes = malloc(len);
    assert_non_null(bytes);
    memcpy(bytes, hex, len);
    return cp_bytes(bytes, len);
}

static void assert_bytes(json_t *row, const char *key, copal_bytes found)
{
    static uint8_t hex[ROOM];
    copal_bytes expected = vectors_hex(row, key, hex, sizeof(hex));

    assert_int_equal(found.len, expected.len);
    if (found.len > 0)
        assert_memory_equal(found.data, expected.data, found.len);
}

static void assert_message(const copal_msg *m, json_t *expected)
{
    json_t *options = vectors_array(expected, "options"), *o;
    copal_bytes value;
    size_t i;

    assert_int_equal(m->code, cp_code_number(vectors_text(expected, "code")));
    assert_bytes(expected, "token", m->token);
    assert_bytes(expected, "payload", m->payload);
    json_array_foreach(options, i, o)
    {
        assert_int_equal(copal_msg_option(m, i, &value),
                         vectors_int(o, "number"));
        assert_bytes(o, "value", value);
    }
    assert_int_equal(copal_msg_option(m, i, &value), COPAL_ENOENT);
}

/* The message at the beginning of bytes, or NULL where there is none whole. */
static copal_msg *take(copal_bytes *bytes, enum cp_framing framing)
{
    struct cp_frame f;
    copal_msg *m = NULL;
    int err = cp_frame_read(*bytes, framing, &f);

    if (err == COPAL_ESTATE)
        return NULL;
    assert_int_equal(err, 0);
    assert_int_equal(cp_frame_decode(mem, &f, &m), 0);
    *bytes = cp_bytes(bytes->data + f.size, bytes->len - (size_t)f.size);
    return m;
}

/* ---- Tests ---- */

static void every_stream_is_taken_apart_into_its_messages(void **state)
{
    json_t *rows = vectors_rows(document, "cases", ROWS), *row, *expected;
    size_t i, k;

    (void)state;
    json_array_foreach(rows, i, row)
    {
        json_t *messages = json_object_get(row, "messages");
        copal_bytes all, left;
        copal_msg *m;

        if (!vectors_bool(row, "valid") || messages == NULL)
            continue;
        left = all = bytes_of(row);
        json_array_foreach(messages, k, expected)
        {
            m = take(&left, framing_of(row));
            assert_non_null(m);
            assert_message(m, expected);
            copal_msg_unref(m);
        }
        if (framing_of(row) == CP_STREAMED) {
            assert_int_equal(left.len, vectors_int(row, "incomplete_bytes"));
            assert_null(take(&left, CP_STREAMED));
        }
        free((void *)all.data);
    }
}

static void every_message_is_put_together_to_the_same_bytes(void **state)
{
    json_t *rows = vectors_rows(document, "cases", ROWS), *row;
    size_t i, built = 0;

    (void)state;
    json_array_foreach(rows, i, row)
    {
        enum cp_framing framing = framing_of(row);
        copal_bytes all, left;
        struct cp_buf b = cp_buf_new(mem);
        copal_msg *m;

        if (!vectors_bool(row, "valid"))
            continue;
        left = all = bytes_of(row);
        while (left.len > 0 && (m = take(&left, framing)) != NULL) {
            size_t before = b.len;

            assert_int_equal(cp_frame_encode(m, m->token, framing, &b), 0);
            assert_int_equal(cp_frame_size(m, m->token, framing),
                             b.len - before);
            copal_msg_unref(m);
        }
        assert_int_equal(b.len, all.len - left.len);
        if (b.len > 0)
            assert_memory_equal(b.data, all.data, b.len);
        built += json_object_get(row, "hex_prefix") != NULL;
        cp_buf_free(&b);
        free((void *)all.data);
    }
    assert_int_equal(built, 2);
}

/* Of the token lengths 9 to 12 the codec knows the meaning that RFC 8974 gives
 * them; of what is above the longest message it tells the size. Both are for
 * the connection to refuse. */
static bool is_refused_later(json_t *row)
{
    static const char *const names[] = {"tkl-9", "tkl-12", "announced-4-gib"};

    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
        if (strcmp(vectors_text(row, "name"), names[i]) == 0)
            return true;
    return false;
}

static void every_malformed_stream_is_refused(void **state)
{
    json_t *rows = vectors_rows(document, "cases", ROWS), *row;
    size_t i, refused = 0;

    (void)state;
    json_array_foreach(rows, i, row)
    {
        struct cp_frame f;
        copal_msg *m = NULL;
        copal_bytes all;
        int err;

        if (vectors_bool(row, "valid") || is_refused_later(row))
            continue;
        all = bytes_of(row);
        err = cp_frame_read(all, framing_of(row), &f);
        if (err == 0)
            err = cp_frame_decode(mem, &f, &m);
        if (err != COPAL_EFORMAT)
            fail_msg("%s: %d", vectors_text(row, "name"), err);
        assert_null(m);
        free((void *)all.data);
        refused++;
    }
    assert_int_equal(refused, 4);
}

static void a_message_of_4_gib_is_known_by_its_header(void **state)
{
    static const uint8_t head[] = {0xf0, 0xff, 0xff, 0xff, 0xff, 2};
    struct cp_frame f;

    (void)state;
    assert_int_equal(cp_frame_read(cp_bytes(head, 6), CP_STREAMED, &f),
                     COPAL_ESTATE);
    assert_true(f.size == UINT64_C(0xffffffff) + 65805 + 6);
}

static void a_header_cut_short_tells_no_size(void **state)
{
    static const uint8_t head[] = {0xed, 0x01, 0x00, 0x45, 0x05};

    (void)state;
    for (size_t n = 0; n < sizeof(head); n++) {
        struct cp_frame f;

        assert_int_equal(cp_frame_read(cp_bytes(head, n), CP_STREAMED, &f),
                         COPAL_ESTATE);
        assert_true(f.size == 0);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_stream_is_taken_apart_into_its_messages),
        cmocka_unit_test(every_message_is_put_together_to_the_same_bytes),
        cmocka_unit_test(every_malformed_stream_is_refused),
        cmocka_unit_test(a_message_of_4_gib_is_known_by_its_header),
        cmocka_unit_test(a_header_cut_short_tells_no_size),
    };

    return cmocka_run_group_tests(tests, set_up, tear_down);
}
