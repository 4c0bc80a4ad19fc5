/* Setters of messages and where their bytes are kept: copal.h, wire/message.c,
 * wire/message_api.c, wire/params.c. */
#include "wire/datagram.h"
#include "wire/params.h"
#include "messages.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <cmocka.h>

static void assert_why(const char *sentence)
{
    assert_string_equal(cp_why_text(messages_mem), sentence);
}

static const char *option_lines(const copal_msg *m)
{
    return copal_msg_print(m, COPAL_OPTION_LINES);
}

/* ---- Setters ---- */

static void no_message_is_out_of_memory_and_has_nothing_in_it(void **state)
{
    copal_wire wire = {.size = sizeof(wire)};
    copal_bytes value;

    (void)state;
    assert_int_equal(copal_msg_set_uri(NULL, "coap://h"), COPAL_ENOMEM);
    assert_int_equal(copal_msg_set_from(NULL, "coap://h"), COPAL_ENOMEM);
    assert_int_equal(copal_msg_set_flags(NULL, 0), COPAL_ENOMEM);
    assert_int_equal(copal_msg_tune(NULL, COPAL_P_HOPS, 1), COPAL_ENOMEM);
    assert_int_equal(copal_msg_set_payload(NULL, 0, messages_text("x")),
                     COPAL_ENOMEM);
    assert_int_equal(copal_msg_add(NULL, 1, messages_text("x")), COPAL_ENOMEM);
    assert_int_equal(copal_msg_add_uint(NULL, 12, 1), COPAL_ENOMEM);
    assert_int_equal(copal_msg_add_text(NULL, 11, "x"), COPAL_ENOMEM);
    assert_int_equal(copal_msg_remove(NULL, 11), COPAL_ENOMEM);
    assert_int_equal(copal_msg_resume(NULL, 1, messages_text("x")),
                     COPAL_ENOMEM);
    assert_int_equal(copal_msg_code(NULL), COPAL_ENOMEM);
    assert_int_equal(copal_msg_option(NULL, 0, &value), COPAL_ENOMEM);
    assert_int_equal(copal_msg_value(NULL, 1, 0, &value), COPAL_ENOMEM);
    assert_int_equal(copal_msg_uint(NULL, 1), COPAL_ENOMEM);
    assert_int_equal(copal_msg_wire(NULL, &wire), COPAL_ENOMEM);
    assert_int_equal(copal_msg_format(NULL), COPAL_NO_FORMAT);
    assert_int_equal(copal_msg_payload(NULL).len, 0);
    assert_string_equal(copal_msg_path(NULL), "");
    assert_string_equal(copal_msg_uri(NULL), "");
    assert_string_equal(copal_msg_remote(NULL), "");
    assert_string_equal(copal_msg_local(NULL), "");
    assert_string_equal(copal_msg_print(NULL, COPAL_LINE), "");
    assert_null(copal_msg_query(NULL, "x"));
    assert_null(copal_msg_identity(NULL));
}

static void a_message_that_was_handed_over_refuses_every_setter(void **state)
{
    copal_msg *m = messages_new(COPAL_GET);

    (void)state;
    m->frozen = true;
    assert_int_equal(copal_msg_set_uri(m, "coap://h"), COPAL_ESTATE);
    assert_int_equal(copal_msg_set_from(m, "coap://h"), COPAL_ESTATE);
    assert_int_equal(copal_msg_set_flags(m, 0), COPAL_ESTATE);
    assert_int_equal(copal_msg_tune(m, COPAL_P_HOPS, 1), COPAL_ESTATE);
    assert_int_equal(copal_msg_set_payload(m, 0, messages_text("x")),
                     COPAL_ESTATE);
    assert_int_equal(copal_msg_add(m, 1, messages_text("x")), COPAL_ESTATE);
    assert_int_equal(copal_msg_add_uint(m, 12, 1), COPAL_ESTATE);
    assert_int_equal(copal_msg_add_text(m, 11, "x"), COPAL_ESTATE);
    assert_int_equal(copal_msg_remove(m, 11), COPAL_ESTATE);
    assert_int_equal(copal_msg_resume(m, 1, messages_text("x")), COPAL_ESTATE);
    assert_non_null(strstr(cp_why_text(messages_mem), "copal_msg_copy"));
    copal_msg_unref(m);
}

static void options_are_kept_in_wire_order(void **state)
{
    copal_msg *m = messages_new(COPAL_GET);

    (void)state;
    assert_int_equal(copal_msg_add_uint(m, COPAL_OPT_ACCEPT, 0), 0);
    assert_int_equal(copal_msg_add_text(m, COPAL_OPT_URI_PATH, "a"), 0);
    assert_int_equal(copal_msg_add_uint(m, COPAL_OPT_MAX_AGE, 65536), 0);
    assert_int_equal(copal_msg_add(m, 65000, cp_bytes("\0\xff", 2)), 0);
    assert_int_equal(copal_msg_add_text(m, COPAL_OPT_URI_PATH, "b"), 0);
    assert_int_equal(copal_msg_add(m, COPAL_OPT_ETAG, messages_text("1")), 0);
    assert_int_equal(copal_msg_add(m, COPAL_OPT_ETAG, messages_text("2")), 0);
    assert_string_equal(option_lines(m), "ETag: 31 / 32\n"
                                         "Uri-Path: a / b\n"
                                         "Max-Age: 65536\n"
                                         "Accept: 0 text/plain;charset=utf-8\n"
                                         "65000: 00ff");
    assert_int_equal(copal_msg_uint(m, COPAL_OPT_MAX_AGE), 65536);
    assert_int_equal(copal_msg_uint(m, COPAL_OPT_ACCEPT), 0);
    assert_int_equal(copal_msg_uint(m, COPAL_OPT_SIZE1), COPAL_ENOENT);
    assert_int_equal(copal_msg_remove(m, COPAL_OPT_ETAG), 0);
    assert_int_equal(copal_msg_remove(m, COPAL_OPT_ETAG), 0);
    assert_int_equal(copal_msg_value(m, COPAL_OPT_ETAG, 0, NULL), COPAL_ENOENT);
    assert_int_equal(copal_msg_value(m, COPAL_OPT_URI_PATH, 1, NULL), 0);
    assert_int_equal(copal_msg_value(m, COPAL_OPT_URI_PATH, 2, NULL),
                     COPAL_ENOENT);
    copal_msg_unref(m);
}

static void an_option_is_held_against_the_table(void **state)
{
    static const char long_text[301] = {0};
    static const struct {
        int option;
        size_t len;
        const char *why; /* NULL: accepted */
    } rows[] = {
        {COPAL_OPT_URI_PATH, 255, NULL},
        {COPAL_OPT_URI_PATH, 300, "Uri-Path: 300 bytes, at most 255"},
        {COPAL_OPT_URI_HOST, 0, "Uri-Host: 0 bytes, at least 1"},
        {COPAL_OPT_IF_NONE_MATCH, 0, NULL},
        {COPAL_OPT_IF_NONE_MATCH, 1, "If-None-Match: 1 bytes, at most 0"},
        {COPAL_OPT_ETAG, 9, "ETag: 9 bytes, at most 8"},
        {-1, 0, "option -1: 0 to 65535"},
        {65536, 0, "option 65536: 0 to 65535"},
        {65535, 300, NULL},
        {0, 0, NULL},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
        copal_msg *m = messages_new(COPAL_GET);
        int err =
            copal_msg_add(m, rows[i].option, cp_bytes(long_text, rows[i].len));

        assert_int_equal(err, rows[i].why == NULL ? 0 : COPAL_EINVAL);
        if (err != 0)
            assert_why(rows[i].why);
        assert_int_equal(m->option_count, err == 0);
        copal_msg_unref(m);
    }
}

static void an_unknown_option_holds_up_to_65804_bytes(void **state)
{
    uint8_t *bytes = calloc(1, 65805);
    copal_msg *m = messages_new(COPAL_GET);

    (void)state;
    assert_int_equal(copal_msg_add(m, 2, cp_bytes(bytes, 65804)), 0);
    assert_int_equal(copal_msg_add(m, 2, cp_bytes(bytes, 65805)), COPAL_EINVAL);
    assert_why("2: 65805 bytes, at most 65804");
    free(bytes);
    copal_msg_unref(m);
}

static void what_may_stand_once_is_not_added_twice(void **state)
{
    copal_msg *m = messages_new(COPAL_CONTENT);

    (void)state;
    assert_int_equal(copal_msg_add_uint(m, COPAL_OPT_MAX_AGE, 1), 0);
    assert_int_equal(copal_msg_add_uint(m, COPAL_OPT_MAX_AGE, 2), COPAL_EINVAL);
    assert_why("Max-Age: there already, and only once in a message; remove it "
               "first");
    assert_int_equal(copal_msg_add(m, COPAL_OPT_ETAG, messages_text("1")), 0);
    assert_int_equal(copal_msg_add(m, COPAL_OPT_ETAG, messages_text("2")),
                     COPAL_EINVAL);
    assert_int_equal(copal_msg_add_text(m, COPAL_OPT_LOCATION_PATH, ".."),
                     COPAL_EINVAL);
    assert_int_equal(copal_msg_add_text(m, COPAL_OPT_LOCATION_PATH, "..."), 0);
    assert_int_equal(copal_msg_add_uint(m, COPAL_OPT_CONTENT_FORMAT, 65536),
                     COPAL_EINVAL);
    assert_int_equal(m->option_count, 3);
    copal_msg_unref(m);
}

static void a_payload_is_copied_and_brings_its_format(void **state)
{
    char body[] = "one";
    copal_msg *m = messages_new(COPAL_POST);

    (void)state;
    assert_int_equal(copal_msg_set_payload(m, COPAL_JSON, messages_text(body)),
                     0);
    body[0] = 'x';
    assert_true(cp_bytes_is_text(copal_msg_payload(m), "one"));
    assert_int_equal(copal_msg_format(m), COPAL_JSON);
    assert_int_equal(copal_msg_set_payload(m, 11050, messages_text("two")), 0);
    assert_int_equal(copal_msg_format(m), 11050);
    assert_int_equal(m->option_count, 1);
    assert_int_equal(copal_msg_set_payload(m, 65536, messages_text("x")),
                     COPAL_EINVAL);
    assert_int_equal(copal_msg_set_payload(m, -2, messages_text("x")),
                     COPAL_EINVAL);
    assert_true(cp_bytes_is_text(copal_msg_payload(m), "two"));
    assert_int_equal(
        copal_msg_set_payload(m, COPAL_NO_FORMAT, copal_msg_payload(m)), 0);
    assert_true(cp_bytes_is_text(copal_msg_payload(m), "two"));
    assert_int_equal(copal_msg_format(m), COPAL_NO_FORMAT);
    assert_int_equal(
        copal_msg_set_payload(m, COPAL_NO_FORMAT, (copal_bytes){0}), 0);
    assert_int_equal(copal_msg_payload(m).len, 0);
    copal_msg_unref(m);
}

static void only_known_flags_are_set(void **state)
{
    copal_msg *m = messages_new(COPAL_GET);

    (void)state;
    assert_int_equal(copal_msg_set_flags(m, COPAL_NON | COPAL_ANY_PORT), 0);
    assert_int_equal(copal_msg_set_flags(m, 1u << 30), COPAL_EINVAL);
    assert_int_equal(m->flags, COPAL_NON | COPAL_ANY_PORT);
    copal_msg_unref(m);
}

/* Out of memory at every place there is: the message stays as it was. */
static void a_setter_that_finds_no_memory_changes_nothing(void **state)
{
    static const char *const uri = "coap://other/a/b/c/d/e/f/g/h/i?x=1&y=2";
    copal_msg *m = messages_new(COPAL_GET);
    char *before;
    int err = COPAL_ENOMEM;

    (void)state;
    assert_int_equal(copal_msg_set_uri(m, "coap://first/p?q"), 0);
    assert_int_equal(copal_msg_set_payload(m, COPAL_TEXT, messages_text("old")),
                     0);
    before = strdup(option_lines(m));
    for (uint64_t room = 0; err == COPAL_ENOMEM; room += 8) {
        cp_mem_limit(messages_mem, cp_mem_used(messages_mem) + room);
        err = copal_msg_set_payload(m, 65000, messages_text(uri));
        if (err == 0)
            err = copal_msg_set_uri(m, uri);
        if (err == 0)
            err = copal_msg_tune(m, COPAL_P_TIMEOUT, 1);
        cp_mem_limit(messages_mem, 0);
        if (err == COPAL_ENOMEM && copal_msg_format(m) == COPAL_TEXT) {
            assert_string_equal(option_lines(m), before);
            assert_true(cp_bytes_is_text(m->payload, "old"));
            assert_string_equal(copal_msg_uri(m), "coap://first/p?q");
        }
    }
    assert_int_equal(err, 0);
    assert_string_equal(option_lines(m),
                        "Uri-Host: other\n"
                        "Uri-Path: a / b / c / d / e / f / g / h / i\n"
                        "Content-Format: 65000\n"
                        "Uri-Query: x=1 / y=2");
    free(before);
    copal_msg_unref(m);
}

/* ---- Storage ---- */

static void what_was_received_stays_when_options_are_added(void **state)
{
    copal_msg *m = MESSAGE_RECEIVED("\x41\x02\x12\x34T\xb1p\xffpayload");
    copal_bytes value;

    (void)state;
    for (int i = 0; i < 100; i++) {
        assert_int_equal(copal_msg_option(m, 0, &value), COPAL_OPT_URI_PATH);
        assert_int_equal(copal_msg_add(m, 65000, value), 0);
    }
    assert_true(cp_bytes_is_text(copal_msg_payload(m), "payload"));
    assert_true(cp_bytes_is_text(m->token, "T"));
    assert_int_equal(copal_msg_value(m, 65000, 99, &value), 0);
    assert_true(cp_bytes_is_text(value, "p"));
    copal_msg_unref(m);
}

static void a_copy_is_private(void **state)
{
    copal_msg *m = messages_new(COPAL_POST), *copy;

    (void)state;
    copal_msg_set_uri(m, "coap://h/a");
    copal_msg_set_payload(m, COPAL_TEXT, messages_text("body"));
    copal_msg_tune(m, COPAL_P_ACK_TIMEOUT, 7);
    copy = copal_msg_copy(m);
    copal_msg_set_payload(m, COPAL_TEXT, messages_text("another"));
    copal_msg_set_uri(m, "coap://i/b");
    copal_msg_unref(m);
    assert_true(cp_bytes_is_text(copal_msg_payload(copy), "body"));
    assert_string_equal(copal_msg_uri(copy), "coap://h/a");
    assert_string_equal(copal_msg_path(copy), "/a");
    assert_int_equal(cp_msg_tuned(copy, COPAL_P_ACK_TIMEOUT, 0), 7);
    copal_msg_unref(copy);
}

static void copies_of_a_frozen_message_share_its_payload(void **state)
{
    copal_msg *m = messages_new(COPAL_POST), *copy, *copy_of_copy;
    const uint8_t *bytes;

    (void)state;
    copal_msg_set_payload(m, COPAL_TEXT, messages_text("body"));
    bytes = m->payload.data;
    m->frozen = true;
    copy = copal_msg_copy(m);
    copy_of_copy = copal_msg_copy(copy);
    copal_msg_unref(m);
    copal_msg_unref(copy);
    assert_ptr_equal(copal_msg_payload(copy_of_copy).data, bytes);
    assert_true(cp_bytes_is_text(copal_msg_payload(copy_of_copy), "body"));
    assert_int_equal(copal_msg_add_uint(copy_of_copy, COPAL_OPT_ACCEPT, 1), 0);
    copal_msg_unref(copy_of_copy);
}

static void a_copy_of_what_was_received_is_ones_own(void **state)
{
    copal_msg *m = MESSAGE_RECEIVED("\x41\x01\x12\x34T\xb1p"), *copy;
    copal_wire wire = {.size = sizeof(wire)};

    (void)state;
    copy = copal_msg_copy(m);
    assert_string_equal(copal_msg_remote(copy), "");
    assert_int_equal(copal_msg_wire(copy, &wire), 0);
    assert_int_equal(wire.type, -1);
    assert_int_equal(wire.mid, -1);
    assert_int_equal(wire.token.len, 0);
    assert_string_equal(copal_msg_path(copy), "/p");
    copal_msg_unref(m);
    copal_msg_unref(copy);
}

static copal_bytes cache_key(struct cp_buf *b, const copal_msg *m)
{
    *b = cp_buf_new(messages_mem);
    cp_msg_put_cache_key(m, b);
    return cp_bytes(b->data, b->len);
}

/* RFC 7252 5.6: what asks for another representation, and what does not. */
static void only_what_names_a_representation_is_in_the_cache_key(void **state)
{
    copal_msg *m = messages_new(COPAL_GET), *other = messages_new(COPAL_GET);
    struct cp_buf a, b;

    (void)state;
    copal_msg_add_text(m, COPAL_OPT_URI_QUERY, "q");
    copal_msg_add_text(other, COPAL_OPT_URI_QUERY, "q");
    copal_msg_add_uint(other, COPAL_OPT_OBSERVE, 0);
    copal_msg_add_uint(other, COPAL_OPT_BLOCK2, 0x16);
    copal_msg_add(other, COPAL_OPT_ETAG, messages_text("1"));
    copal_msg_add_uint(other, COPAL_OPT_SIZE1, 9); /* NoCacheKey */
    assert_true(cp_bytes_equal(cache_key(&a, m), cache_key(&b, other)));
    cp_buf_free(&b);
    copal_msg_add_uint(other, COPAL_OPT_ACCEPT, 0);
    assert_false(cp_bytes_equal(cp_bytes(a.data, a.len), cache_key(&b, other)));
    cp_buf_free(&a);
    cp_buf_free(&b);
    copal_msg_unref(m);
    copal_msg_unref(other);
}

/* ---- Parameters ---- */

static void every_default_is_accepted_where_it_belongs(void **state)
{
    (void)state;
#define X(name, number, value, where, what) \
    for (const char *w = "ESM"; *w != '\0'; w++) \
        assert_int_equal( \
            cp_params_check(messages_mem, COPAL_P_##name, (value), *w), \
            strchr(where, *w) == NULL ? COPAL_EINVAL : 0);
    COPAL_PARAMS(X)
#undef X
}

static void a_parameter_out_of_range_is_refused_with_a_sentence(void **state)
{
    static const struct {
        copal_param p;
        int64_t value;
        int err;
        const char *why;
    } rows[] = {
        {COPAL_P_NSTART, 0, COPAL_EINVAL,
         "nstart: 0 is out of range, 1 to 65535"},
        {COPAL_P_BLOCK_SIZE, 100, COPAL_EINVAL,
         "block_size: 100 is none of 16, 32, 64, 128, 256, 512, 1024"},
        {COPAL_P_BLOCK_SIZE, 64, 0, NULL},
        {COPAL_P_ACK_RANDOM, 99, COPAL_EINVAL,
         "ack_random: 99 is out of range, 100 to 1000"},
        {COPAL_P_TIMEOUT, -1, COPAL_EINVAL, NULL},
        {COPAL_P_MAX_TOKEN, 7, COPAL_EINVAL, NULL},
        {COPAL_P_MAX_MESSAGE, 1151, COPAL_EINVAL, NULL},
        {COPAL_P_HOPS, 0, 0, NULL},
        {COPAL_P_HOPS, 256, COPAL_EINVAL, NULL},
        {COPAL_P_NONE, 0, COPAL_EINVAL, "parameter 0: there is none"},
        {(copal_param)99, 0, COPAL_EINVAL, "parameter 99: there is none"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
        assert_int_equal(
            cp_params_check(messages_mem, rows[i].p, rows[i].value, 'E'),
            rows[i].err);
        if (rows[i].why != NULL)
            assert_why(rows[i].why);
    }
}

static void a_message_holds_every_parameter_of_messages(void **state)
{
    copal_msg *m = messages_new(COPAL_GET);
    int set = 0;

    (void)state;
#define X(name, number, value, where, what) \
    if (strchr(where, 'M') != NULL) { \
        assert_int_equal(copal_msg_tune(m, COPAL_P_##name, (value)), 0); \
        set++; \
    }
    COPAL_PARAMS(X)
#undef X
    assert_true(set > 0 && set <= CP_MAX_TUNED);
    assert_int_equal(copal_msg_tune(m, COPAL_P_ACK_TIMEOUT, 12000), 0);
    assert_int_equal(cp_msg_tuned(m, COPAL_P_ACK_TIMEOUT, 1), 12000);
    assert_int_equal(cp_msg_tuned(m, COPAL_P_NSTART, 9), 9);
    assert_int_equal(copal_msg_tune(m, COPAL_P_NSTART, 2), COPAL_EINVAL);
    assert_why("nstart: not to be set for one message; set it for an endpoint");
    assert_int_equal(copal_msg_resume(m, 1, messages_text("x")), 0);
    assert_int_equal(copal_msg_resume(m, 16, (copal_bytes){0}), COPAL_EINVAL);
    assert_why("resume: the rest of an answer needs the ETag of its beginning");
    assert_why(copal_msg_why(m));
    assert_string_equal(copal_msg_why(NULL), "");
    copal_msg_unref(m);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(no_message_is_out_of_memory_and_has_nothing_in_it),
        cmocka_unit_test(a_message_that_was_handed_over_refuses_every_setter),
        cmocka_unit_test(options_are_kept_in_wire_order),
        cmocka_unit_test(an_option_is_held_against_the_table),
        cmocka_unit_test(an_unknown_option_holds_up_to_65804_bytes),
        cmocka_unit_test(what_may_stand_once_is_not_added_twice),
        cmocka_unit_test(a_payload_is_copied_and_brings_its_format),
        cmocka_unit_test(only_known_flags_are_set),
        cmocka_unit_test(a_setter_that_finds_no_memory_changes_nothing),
        cmocka_unit_test(what_was_received_stays_when_options_are_added),
        cmocka_unit_test(a_copy_is_private),
        cmocka_unit_test(copies_of_a_frozen_message_share_its_payload),
        cmocka_unit_test(a_copy_of_what_was_received_is_ones_own),
        cmocka_unit_test(only_what_names_a_representation_is_in_the_cache_key),
        cmocka_unit_test(every_default_is_accepted_where_it_belongs),
        cmocka_unit_test(a_parameter_out_of_range_is_refused_with_a_sentence),
        cmocka_unit_test(a_message_holds_every_parameter_of_messages),
    };

    return cmocka_run_group_tests(tests, messages_set_up, messages_tear_down);
}
