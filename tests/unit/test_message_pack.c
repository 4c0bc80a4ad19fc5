/* Received messages as plain bytes, and back: wire/message_pack.c. */
#include "wire/message_pack.h"
#include "messages.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <cmocka.h>

static const char get[] = "\x44\x01\x12\x34TOKN\xb1"
                          "a\x04long\x42x1\xffpayload";

enum {
    ROOM = 512
};

static void assert_same(const copal_msg *a, const copal_msg *b)
{
    copal_wire wa = {.size = sizeof(wa)}, wb = {.size = sizeof(wb)};

    assert_string_equal(copal_msg_print(a, COPAL_LINE),
                        copal_msg_print(b, COPAL_LINE));
    assert_string_equal(copal_msg_print(a, COPAL_OPTION_LINES),
                        copal_msg_print(b, COPAL_OPTION_LINES));
    assert_string_equal(copal_msg_path(a), copal_msg_path(b));
    assert_string_equal(copal_msg_uri(a), copal_msg_uri(b));
    assert_string_equal(copal_msg_remote(a), copal_msg_remote(b));
    assert_string_equal(copal_msg_local(a), copal_msg_local(b));
    assert_true(cp_bytes_equal(copal_msg_payload(a), copal_msg_payload(b)));
    assert_int_equal(copal_msg_format(a), copal_msg_format(b));
    assert_int_equal(copal_msg_code(a), copal_msg_code(b));
    assert_int_equal(copal_msg_wire(a, &wa), 0);
    assert_int_equal(copal_msg_wire(b, &wb), 0);
    assert_int_equal(wa.type, wb.type);
    assert_int_equal(wa.mid, wb.mid);
    assert_int_equal(wa.multicast, wb.multicast);
    assert_int_equal(wa.if_index, wb.if_index);
    assert_true(cp_bytes_equal(wa.token, wb.token));
    assert_memory_equal(&a->path, &b->path, sizeof(a->path));
    assert_int_equal(a->present, b->present);
    assert_int_equal(a->scheme, b->scheme);
}

/* The first is let go of before the other is looked at. */
static void assert_survives(const copal_msg *m, const copal_msg *twin)
{
    unsigned char *bytes = malloc(ROOM + 1);
    copal_msg *again;

    assert_in_range(cp_msg_pack(m, bytes + 1, ROOM), 1, ROOM);
    copal_msg_unref(m);
    again = cp_msg_unpack(messages_mem, bytes + 1);
    free(bytes);
    assert_non_null(again);
    assert_same(again, twin);
    assert_int_equal(copal_msg_set_flags(again, 0), COPAL_ESTATE);
    copal_msg_unref(again);
    copal_msg_unref(twin);
}

static copal_msg *frozen(copal_msg *m)
{
    m->frozen = true;
    return m;
}

#define FROZEN(datagram) frozen(MESSAGE_RECEIVED(datagram))

static void what_was_received_reads_the_same_after_it_was_packed(void **state)
{
    (void)state;
    assert_survives(FROZEN(get), FROZEN(get));
    assert_survives(FROZEN("\x51\x03\x00\x01t\xb3put\x11\x2a\xffhello"),
                    FROZEN("\x51\x03\x00\x01t\xb3put\x11\x2a\xffhello"));
    assert_survives(FROZEN("\x40\x01\x00\x01"), FROZEN("\x40\x01\x00\x01"));
    assert_survives(FROZEN("\x40\x02\x00\x01\xff-"),
                    FROZEN("\x40\x02\x00\x01\xff-"));
}

static void texts_that_it_kept_are_made_again(void **state)
{
    copal_msg *m = FROZEN(get);

    (void)state;
    assert_string_equal(copal_msg_uri(m), copal_msg_uri(m));
    copal_msg_remote(m);
    copal_msg_print(m, COPAL_LINE);
    assert_survives(m, FROZEN(get));
}

static void too_little_room_leaves_the_bytes_as_they_are(void **state)
{
    copal_msg *m = FROZEN(get);
    unsigned char bytes[ROOM];
    size_t size = cp_msg_pack(m, bytes, sizeof(bytes));

    (void)state;
    assert_int_not_equal(size, 0);
    memset(bytes, 0xa5, sizeof(bytes));
    assert_int_equal(cp_msg_pack(m, bytes, size - 1), size);
    for (size_t i = 0; i < sizeof(bytes); i++)
        assert_int_equal(bytes[i], 0xa5);
    assert_int_equal(cp_msg_pack(m, bytes, size), size);
    copal_msg_unref(m);
}

static void assert_not_packed(const copal_msg *m)
{
    unsigned char bytes[ROOM];

    assert_int_equal(cp_msg_pack(m, bytes, sizeof(bytes)), 0);
}

/* Frees request. */
static copal_msg *answer_to(copal_msg *request)
{
    copal_msg *m = FROZEN("\x61\x45\x12\x34t\xc1\x2a\xff{}");

    m->request = frozen(request);
    return m;
}

static copal_msg *request_to(const char *uri)
{
    copal_msg *m = messages_new(COPAL_FETCH);

    assert_int_equal(copal_msg_set_uri(m, uri), 0);
    return m;
}

static void an_answer_knows_what_was_asked_for(void **state)
{
    static const char *const uris[] = {"coap://[2001:db8::1]:61616/a?b=c",
                                       "coaps+tcp://example/%2Fa"};

    (void)state;
    for (size_t i = 0; i < sizeof(uris) / sizeof(*uris); i++) {
        copal_msg *m = answer_to(request_to(uris[i]));

        assert_string_equal(copal_msg_uri(m), uris[i]);
        assert_survives(m, answer_to(request_to(uris[i])));
    }
}

static void an_answer_whose_request_has_no_uri_is_not_packed(void **state)
{
    copal_msg *m = answer_to(messages_new(COPAL_GET));

    (void)state;
    assert_not_packed(m);
    copal_msg_unref(m);
}

static void what_holds_more_than_bytes_is_not_packed(void **state)
{
    copal_msg *own = frozen(messages_new(COPAL_GET)), *m = FROZEN(get);
    copal_msg *open = MESSAGE_RECEIVED(get), *part = cp_msg_derive(m);

    (void)state;
    assert_not_packed(own);
    assert_not_packed(open);
    open->frozen = true;
    open->own_payload = cp_alloc(messages_mem, 1);
    assert_not_packed(open);
    assert_int_not_equal(copal_msg_payload(m).len, 0);
    assert_not_packed(frozen(part)); /* its payload is m's */
    m->outer_block = 1;
    assert_not_packed(m);
    m->outer_block = 0;
    m->is_secret = true;
    assert_not_packed(m);
    copal_msg_unref(own);
    copal_msg_unref(open);
    copal_msg_unref(part);
    copal_msg_unref(m);
}

static void many_options_are_not_packed(void **state)
{
    copal_msg *m = FROZEN("\x40\x01\x00\x01\xb1"
                          "a\x01"
                          "b\x01"
                          "c\x01"
                          "d\x01"
                          "e\x01"
                          "f\x01"
                          "g\x01"
                          "h\x01i");

    (void)state;
    assert_int_equal(m->option_count, 9);
    assert_not_packed(m);
    copal_msg_unref(m);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_was_received_reads_the_same_after_it_was_packed),
        cmocka_unit_test(texts_that_it_kept_are_made_again),
        cmocka_unit_test(too_little_room_leaves_the_bytes_as_they_are),
        cmocka_unit_test(an_answer_knows_what_was_asked_for),
        cmocka_unit_test(an_answer_whose_request_has_no_uri_is_not_packed),
        cmocka_unit_test(what_holds_more_than_bytes_is_not_packed),
        cmocka_unit_test(many_options_are_not_packed),
    };

    return cmocka_run_group_tests(tests, messages_set_up, messages_tear_down);
}
