/* copal_msg_decode(): datagrams that came by no endpoint. RFC 7252 3. */
#include "support.h"

#include <stdlib.h>

#define BYTES(...) \
    ((copal_bytes){(const uint8_t[]){__VA_ARGS__}, \
                   sizeof((const uint8_t[]){__VA_ARGS__})})

static void a_datagram_becomes_a_message_as_if_received(void **state)
{
    struct world *w = *state;
    copal_wire wire = {.size = sizeof(wire)};
    copal_msg *m = NULL;

    assert_int_equal(
        copal_msg_decode(w->client,
                         BYTES(0x41, 1, 0x12, 0x34, 0xab, 0xb1, 't', 0x41, 'q'),
                         &m),
        0);
    assert_int_equal(copal_msg_code(m), COPAL_GET);
    assert_string_equal(copal_msg_path(m), "/t");
    assert_int_equal(copal_msg_wire(m, &wire), 0);
    assert_int_equal(wire.type, 0);
    assert_int_equal(wire.mid, 0x1234);
    assert_int_equal(wire.token.len, 1);
    assert_string_equal(copal_msg_remote(m), "");
    assert_string_equal(copal_msg_local(m), "");
    assert_int_equal(copal_msg_remove(m, COPAL_OPT_URI_PATH), COPAL_ESTATE);
    copal_msg_unref(m);
}

static void assert_fault(struct world *w, copal_bytes datagram,
                         const char *sentence)
{
    copal_msg *m = NULL;

    assert_int_equal(copal_msg_decode(w->client, datagram, &m), COPAL_EFORMAT);
    assert_null(m);
    assert_string_equal(copal_why(w->client), sentence);
}

static void what_is_malformed_is_told_with_the_byte_where(void **state)
{
    struct world *w = *state;

    assert_fault(w, (copal_bytes){NULL, 0},
                 "not CoAP: 0 bytes; a CoAP message has at least 4");
    assert_fault(w, BYTES(0x40, 1, 0),
                 "not CoAP: 3 bytes; a CoAP message has at least 4");
    assert_fault(w, BYTES(0x80, 1, 0, 1),
                 "not CoAP: byte 0: version 2; CoAP's is 1");
    assert_fault(w, BYTES(0x4f, 1, 0, 1),
                 "not CoAP: byte 0: the token length is 15, which is reserved");
    assert_fault(w, BYTES(0x44, 1, 0, 1, 9),
                 "not CoAP: byte 4: the token is to have 4 bytes, the datagram "
                 "ends after 1");
    assert_fault(w, BYTES(0x4d, 1, 0, 1),
                 "not CoAP: byte 4: the datagram ends within the bytes of the "
                 "token length");
    assert_fault(w, BYTES(0x40, 0, 0, 1, 0xff),
                 "not CoAP: byte 4: an empty message (0.00) has no token, no "
                 "options and no payload");
    assert_fault(
        w, BYTES(0x40, 1, 0, 1, 0xff),
        "not CoAP: byte 4: a payload marker with no payload behind it");
    assert_fault(w, BYTES(0x40, 1, 0, 1, 0xf1, 1),
                 "not CoAP: byte 4: the option delta is 15, which only a "
                 "payload marker (ff) has");
    assert_fault(w, BYTES(0x40, 1, 0, 1, 0xbf, 1),
                 "not CoAP: byte 4: the length of option 11 (Uri-Path) is 15, "
                 "which is reserved");
    assert_fault(w, BYTES(0x40, 1, 0, 1, 0xb4, 't'),
                 "not CoAP: byte 5: option 11 (Uri-Path) is to have 4 bytes, "
                 "the datagram ends after 1");
    assert_fault(w, BYTES(0x40, 1, 0, 1, 0xe0, 0xff, 0xff),
                 "not CoAP: byte 6: option 65804; 65535 is the last number");
}

static void nowhere_to_put_it_is_refused(void **state)
{
    struct world *w = *state;

    assert_int_equal(copal_msg_decode(w->client, BYTES(0x40, 0, 0, 1), NULL),
                     COPAL_EINVAL);
}

static void play_decode(struct world *w)
{
    copal_msg *m = NULL;
    int err = copal_msg_decode(
        w->client,
        BYTES(0x40, 1, 0, 1, 0xb1, 't', 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 'x'),
        &m);

    assert_true(err == 0 || (err == COPAL_ENOMEM && memory_failed(w)));
    assert_true((m == NULL) == (err != 0));
    copal_msg_unref(m);
    m = NULL;
    err = copal_msg_decode(w->client, BYTES(0x40, 1, 0, 1, 0xff), &m);
    assert_true(err == COPAL_EFORMAT ||
                (err == COPAL_ENOMEM && memory_failed(w)));
    assert_null(m);
}

static void every_allocation_may_fail(void **state)
{
    (void)state;
    for_each_failed_allocation(play_decode);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(
            a_datagram_becomes_a_message_as_if_received, build, tear_down),
        cmocka_unit_test_setup_teardown(
            what_is_malformed_is_told_with_the_byte_where, build, tear_down),
        cmocka_unit_test_setup_teardown(nowhere_to_put_it_is_refused, build,
                                        tear_down),
        cmocka_unit_test(every_allocation_may_fail),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
