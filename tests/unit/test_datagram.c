/* wire/datagram: messages as UDP carries them, and what a receiver finds
 * wrong with their options. RFC 7252 3, 5.4; RFC 8974 2.1. */
#include "wire/datagram.h"
#include "wire/option.h"
#include "vectors.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <cmocka.h>

enum {
    ROWS = 281,
    ROOM = 70000
};

static json_t *document;
static struct cp_mem *mem;

static int set_up(void **state)
{
    (void)state;
    document = vectors_load("codec_udp.json");
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

/* A row's datagram, which some rows describe by its beginning and how often a
 * byte follows. As long as its storage, so that a read past it is seen. */
static copal_bytes datagram_of(json_t *row)
{
    static uint8_t hex[ROOM];
    bool is_built = json_object_get(row, "hex_prefix") != NULL;
    copal_bytes part =
        vectors_hex(row, is_built ? "hex_prefix" : "hex", hex, sizeof(hex));
    size_t more = is_built ? (size_t)vectors_int(row, "value_length") : 0;
    uint8_t *bytes = malloc(part.len + more + (part.len + more == 0)), fill;

    assert_non_null(bytes);
    if (part.len > 0)
        memcpy(bytes, part.data, part.len);
    if (more > 0) {
        size_t len = part.len;

        vectors_hex(row, "value_byte", &fill, 1);
        memset(bytes + len, fill, more);
    }
    return cp_bytes(bytes, part.len + more);
}

/* 0 and *out, or why it was refused. */
static int decode(copal_bytes datagram, struct cp_header *header,
                  copal_msg **out)
{
    int err = cp_header_read(datagram, header);

    return err != 0 ? err : cp_datagram_decode(mem, header, out);
}

/* The message of a valid row; the datagram is gone already. */
static copal_msg *message_of(json_t *row)
{
    copal_bytes datagram = datagram_of(row);
    struct cp_header header;
    copal_msg *m = NULL;

    if (decode(datagram, &header, &m) != 0)
        fail_msg("%s: refused", vectors_text(row, "name"));
    free((void *)datagram.data);
    return m;
}

static const char *text_or_empty(json_t *row, const char *key)
{
    return json_object_get(row, key) == NULL ? "" : vectors_text(row, key);
}

static void assert_bytes(json_t *row, const char *key, copal_bytes found)
{
    static uint8_t hex[ROOM];
    copal_bytes expected = vectors_hex(row, key, hex, sizeof(hex));

    assert_int_equal(found.len, expected.len);
    if (found.len > 0)
        assert_memory_equal(found.data, expected.data, found.len);
}

/* ---- Valid datagrams ---- */

static int type_number(const char *name)
{
    static const char *const names[] = {"CON", "NON", "ACK", "RST"};

    for (int i = 0; i < 4; i++)
        if (strcmp(names[i], name) == 0)
            return i;
    return -1;
}

static void assert_header(const copal_msg *m, json_t *decoded)
{
    copal_wire wire = {.size = sizeof(wire)};

    assert_int_equal(copal_msg_wire(m, &wire), 0);
    assert_int_equal(wire.type, type_number(vectors_text(decoded, "type")));
    assert_int_equal(wire.mid, vectors_int(decoded, "mid"));
    assert_int_equal(copal_msg_code(m),
                     cp_code_number(vectors_text(decoded, "code")));
    assert_bytes(decoded, "token", wire.token);
    assert_bytes(decoded, "payload", copal_msg_payload(m));
}

static void assert_options(const copal_msg *m, json_t *decoded)
{
    json_t *options = vectors_array(decoded, "options"), *o;
    copal_bytes value;
    size_t i;

    json_array_foreach(options, i, o)
    {
        assert_int_equal(copal_msg_option(m, i, &value),
                         vectors_int(o, "number"));
        if (json_object_get(o, "value") != NULL)
            assert_bytes(o, "value", value);
        else
            assert_int_equal(value.len, vectors_int(o, "length"));
    }
    assert_int_equal(copal_msg_option(m, i, &value), COPAL_ENOENT);
}

static void every_valid_datagram_decodes_to_its_fields(void **state)
{
    json_t *rows = vectors_rows(document, "cases", ROWS), *row;
    size_t i;

    (void)state;
    json_array_foreach(rows, i, row)
    {
        json_t *decoded = json_object_get(row, "decoded");
        copal_msg *m;

        if (!vectors_bool(row, "valid"))
            continue;
        m = message_of(row);
        if (json_object_get(decoded, "code") != NULL)
            assert_header(m, decoded);
        assert_options(m, decoded);
        copal_msg_unref(m);
    }
}

static void every_valid_datagram_is_encoded_to_the_same_bytes(void **state)
{
    json_t *rows = vectors_rows(document, "cases", ROWS), *row;
    size_t i;

    (void)state;
    json_array_foreach(rows, i, row)
    {
        struct cp_buf b = cp_buf_new(mem);
        copal_bytes datagram;
        copal_msg *m;

        if (!vectors_bool(row, "valid"))
            continue;
        datagram = datagram_of(row);
        m = message_of(row);
        assert_int_equal(cp_datagram_encode(m, m->type, m->mid, m->token, &b),
                         0);
        assert_int_equal(b.len, datagram.len);
        assert_memory_equal(b.data, datagram.data, b.len);
        assert_int_equal(cp_datagram_size(m, m->token), datagram.len);
        cp_buf_free(&b);
        copal_msg_unref(m);
        free((void *)datagram.data);
    }
}

/* ---- Malformed datagrams ---- */

/* Token lengths 9 to 12 were reserved by RFC 7252 3 and are lengths by RFC 8974
 * 2.1, so the codec reads them. An endpoint refuses them like any token longer
 * than COPAL_P_MAX_TOKEN, which is 8 unless tuned: with RST, as the row says. */
static bool is_refused_for_its_length(json_t *row, copal_bytes datagram)
{
    int tkl = datagram.len == 0 ? 0 : datagram.data[0] & 15;

    return strcmp(vectors_text(row, "reason"), "reserved token length") == 0 &&
           tkl > 8 && tkl < 13;
}

/* Who receives a datagram chooses between RST and silence by its type; here it
 * counts that both are possible: COPAL_EFORMAT leaves type and message id,
 * COPAL_ENOTSUP nothing that could be answered. */
static int refusal_of(json_t *row, copal_bytes datagram)
{
    const char *reaction = vectors_text(row, "reaction");
    int type = datagram.len < 4 ? 0 : datagram.data[0] >> 4 & 3;

    if (strcmp(reaction, "ignore") == 0)
        return type == CP_ACK || type == CP_RST ? COPAL_EFORMAT : COPAL_ENOTSUP;
    assert_int_equal(strncmp(reaction, "RST", 3), 0);
    return COPAL_EFORMAT;
}

static void assert_refused(json_t *row, copal_bytes datagram)
{
    struct cp_header header;
    copal_msg *m = NULL;
    int err = decode(datagram, &header, &m);

    if (is_refused_for_its_length(row, datagram)) {
        assert_int_equal(err, 0);
        assert_true(m->token.len > 8);
        copal_msg_unref(m);
        return;
    }
    if (err != refusal_of(row, datagram))
        fail_msg("%s: %d", vectors_text(row, "name"), err);
    assert_null(m);
    if (err == COPAL_EFORMAT) {
        assert_int_equal(header.type, datagram.data[0] >> 4 & 3);
        assert_int_equal(header.mid, datagram.data[2] << 8 | datagram.data[3]);
    }
}

static void every_malformed_datagram_is_refused(void **state)
{
    json_t *rows = vectors_rows(document, "cases", ROWS), *row;
    size_t i, refused = 0;

    (void)state;
    json_array_foreach(rows, i, row)
    {
        copal_bytes datagram;

        if (vectors_bool(row, "valid"))
            continue;
        datagram = datagram_of(row);
        assert_refused(row, datagram);
        free((void *)datagram.data);
        refused++;
    }
    assert_int_equal(refused, 68);
}

/* ---- Reactions to well-formed datagrams ---- */

enum reaction {
    BAD_OPTION, /* a critical option that cp_msg_check_options() tells of */
    IGNORE,     /* an elective one, passed over */
    USE_FIRST,  /* of an elective one that stands there twice */
    ELSEWHERE,  /* not about options: for who gets the message */
    NO_REACTION
};

/* What is done about a code, a method, a value or an unexpected response is
 * decided behind the codec; a critical option, also in a NON, by it. */
static enum reaction reaction_of(json_t *row)
{
    static const struct {
        const char *text;
        enum reaction reaction;
    } table[] = {
        {"", NO_REACTION},
        {"4.02", BAD_OPTION},
        {"client: RST", BAD_OPTION},
        {"client: ignore (reject) the response", BAD_OPTION},
        {"process, ignoring the option", IGNORE},
        {"process, using the first occurrence", USE_FIRST},
        {"RST", ELSEWHERE},
        {"RST or ignore", ELSEWHERE},
        {"ignore", ELSEWHERE},
        {"4.00", ELSEWHERE},
        {"4.00, 4.02 or 4.04", ELSEWHERE},
        {"4.05 piggybacked", ELSEWHERE},
        {"4.xx", ELSEWHERE},
        {"5.05 unless a forward proxy", ELSEWHERE},
        {"accept as value 40", ELSEWHERE},
        {"client: reject", ELSEWHERE},
        {"client: treat as 2.00", ELSEWHERE},
        {"client: treat as 4.00", ELSEWHERE},
        {"client: treat as 5.00", ELSEWHERE},
        {"process if extended tokens are supported, else RST", ELSEWHERE},
    };
    const char *text = text_or_empty(row, "reaction");

    if (strstr(text_or_empty(row, "reason"), "critical option in a NON"))
        return BAD_OPTION;
    for (size_t i = 0; i < sizeof(table) / sizeof(*table); i++)
        if (strcmp(table[i].text, text) == 0)
            return table[i].reaction;
    fail_msg("%s: reaction %s is new", vectors_text(row, "name"), text);
    return NO_REACTION;
}

static size_t count_of(const copal_msg *m, int number)
{
    size_t n = 0;

    while (copal_msg_value(m, number, n, NULL) == 0)
        n++;
    return n;
}

/* The number at the end of the row's name, "repeated-elective-12"; or in
 * "length-elective-12-3" the one before. */
static int option_in_name(json_t *row)
{
    const char *name = vectors_text(row, "name");

    return atoi(name + strcspn(name, "0123456789"));
}

static void assert_reaction(json_t *row, copal_msg *m)
{
    enum reaction reaction = reaction_of(row);
    unsigned bad = cp_msg_check_options(m, NULL, NULL);
    int number = option_in_name(row);

    if ((reaction == BAD_OPTION) != (bad != 0) && reaction != NO_REACTION)
        fail_msg("%s: bad option %u", vectors_text(row, "name"), bad);
    if (reaction == BAD_OPTION)
        assert_true(bad & 1);
    if (reaction == IGNORE && cp_option_find((unsigned)number) != NULL)
        assert_int_equal(count_of(m, number), 0);
    if (reaction == USE_FIRST)
        assert_int_equal(count_of(m, number), 1);
}

static void every_reaction_to_options_is_told(void **state)
{
    json_t *rows = vectors_rows(document, "cases", ROWS), *row;
    size_t i, counts[NO_REACTION + 1] = {0};

    (void)state;
    json_array_foreach(rows, i, row)
    {
        copal_msg *m;

        if (!vectors_bool(row, "valid"))
            continue;
        m = message_of(row);
        assert_reaction(row, m);
        counts[reaction_of(row)]++;
        copal_msg_unref(m);
    }
    assert_int_equal(counts[BAD_OPTION], 34);
    assert_int_equal(counts[IGNORE], 16);
    assert_int_equal(counts[USE_FIRST], 6);
}

/* ---- Beyond the vectors ---- */

static copal_msg *decode_bytes(const void *bytes, size_t len)
{
    struct cp_header header;
    copal_msg *m = NULL;

    assert_int_equal(decode(cp_bytes(bytes, len), &header, &m), 0);
    return m;
}

static void leading_zeroes_of_a_number_are_read_over(void **state)
{
    copal_msg *m = decode_bytes("\x40\x01\x12\x34\xd2\x04\x00\x28", 8);

    (void)state;
    assert_int_equal(copal_msg_uint(m, COPAL_OPT_ACCEPT), 40);
    copal_msg_unref(m);
}

static bool understands_33(void *user, unsigned number)
{
    return user == NULL && number == 33;
}

static void an_option_that_somebody_understands_is_not_bad(void **state)
{
    copal_msg *m = decode_bytes("\x40\x01\x12\x34\xd0\x14\xd0\x13", 8);

    (void)state;
    assert_int_equal(cp_msg_check_options(m, understands_33, NULL), 65);
    assert_int_equal(cp_msg_check_options(m, understands_33, m), 33);
    copal_msg_unref(m);
}

static void an_etag_repeats_in_requests_only(void **state)
{
    static const uint8_t bytes[] = {0x40, 0x01, 0,   1,   0x41,
                                    'a',  0x01, 'b', 0xc0};
    uint8_t response[sizeof(bytes)];
    copal_msg *m = decode_bytes(bytes, 8);

    (void)state;
    assert_int_equal(cp_msg_check_options(m, NULL, NULL), 0);
    assert_int_equal(count_of(m, COPAL_OPT_ETAG), 2);
    copal_msg_unref(m);

    memcpy(response, bytes, sizeof(bytes));
    response[1] = COPAL_CONTENT;
    m = decode_bytes(response, 8);
    assert_int_equal(cp_msg_check_options(m, NULL, NULL), 0);
    assert_int_equal(count_of(m, COPAL_OPT_ETAG), 1);
    copal_msg_unref(m);
}

static void a_token_over_65804_bytes_is_not_encoded(void **state)
{
    uint8_t *token = calloc(1, 65805);
    copal_msg *m = cp_msg_new(mem, COPAL_GET, 0);
    struct cp_buf b = cp_buf_new(mem);

    (void)state;
    assert_int_equal(
        cp_datagram_encode(m, CP_CON, 1, cp_bytes(token, 65805), &b),
        COPAL_EINVAL);
    assert_int_equal(
        cp_datagram_encode(m, CP_CON, 1, cp_bytes(token, 65804), &b), 0);
    assert_int_equal(b.len, 4 + 2 + 65804);
    cp_buf_free(&b);
    copal_msg_unref(m);
    free(token);
}

static void what_finds_no_room_is_not_encoded(void **state)
{
    uint8_t room[8];
    struct cp_buf b = cp_buf_fixed(room, sizeof(room));
    copal_msg *m = decode_bytes("\x40\x01\x12\x34\xb4test", 9);

    (void)state;
    assert_int_equal(cp_datagram_encode(m, CP_CON, 1, m->token, &b),
                     COPAL_ELIMIT);
    copal_msg_unref(m);
}

static void too_many_options_are_refused(void **state)
{
    enum {
        COUNT = 32769
    };
    uint8_t *bytes = calloc(1, 4 + COUNT);
    struct cp_header header;
    copal_msg *m = NULL;

    (void)state;
    memcpy(bytes, "\x40\x01\x12\x34\xb0", 5);
    assert_int_equal(decode(cp_bytes(bytes, 4 + COUNT), &header, &m),
                     COPAL_ELIMIT);
    assert_int_equal(decode(cp_bytes(bytes, 4 + COUNT - 1), &header, &m), 0);
    assert_int_equal(count_of(m, COPAL_OPT_URI_PATH), COUNT - 1);
    copal_msg_unref(m);
    free(bytes);
}

/* As an inner message replaces the outer one's payload. */
static void options_decoded_later_bring_their_own_payload(void **state)
{
    copal_msg *m = decode_bytes("\x41\x01\x12\x34T\xb1"
                                "a\xff"
                                "outer",
                                13);

    (void)state;
    assert_int_equal(cp_options_decode(m, cp_bytes("\xb1"
                                                   "b\xff"
                                                   "in",
                                                   5)),
                     0);
    assert_string_equal(copal_msg_path(m), "/a/b");
    assert_true(cp_bytes_is_text(m->payload, "in"));
    assert_true(cp_bytes_is_text(m->token, "T"));
    assert_int_equal(cp_options_decode(m, cp_bytes("\xb1"
                                                   "c",
                                                   2)),
                     0);
    assert_int_equal(m->payload.len, 0);
    copal_msg_unref(m);
}

/* A message of its own, with values long enough to be announced by a byte more. */
static copal_msg *to_be_wired(void)
{
    copal_msg *m = cp_msg_new(mem, COPAL_CONTENT, 0);
    uint8_t value[300];

    assert_non_null(m);
    memset(value, 'v', sizeof(value));
    cp_msg_add(m, COPAL_OPT_ETAG, cp_bytes(value, 8));
    cp_msg_add_uint(m, COPAL_OPT_OBSERVE, 0x123456);
    cp_msg_add(m, 65000, cp_bytes(value, 300));
    cp_msg_add(m, 65000, cp_bytes(value, 0));
    cp_msg_add_uint(m, COPAL_OPT_MAX_AGE, 7);
    cp_msg_copy_payload(m, cp_bytes(value, 20));
    return m;
}

static size_t encode_to(const copal_msg *m, uint8_t *out, size_t room)
{
    struct cp_buf b = cp_buf_fixed(out, room);

    assert_int_equal(
        cp_datagram_encode(m, CP_CON, 0x1234, cp_bytes("tok", 3), &b), 0);
    assert_int_equal(b.len, cp_datagram_size(m, cp_bytes("tok", 3)));
    return b.len;
}

static void a_wired_message_is_encoded_and_read_as_before(void **state)
{
    copal_msg *m = to_be_wired(), *copy;
    uint8_t before[512], after[512];
    size_t len = encode_to(m, before, sizeof(before));

    (void)state;
    assert_int_equal(cp_datagram_wire(m), 0);
    assert_int_equal(encode_to(m, after, sizeof(after)), len);
    assert_memory_equal(before, after, len);
    assert_int_equal(cp_msg_uint_or(m, COPAL_OPT_OBSERVE, 0), 0x123456);
    assert_int_equal(cp_msg_etag(m).len, 8);
    assert_int_equal(m->payload.len, 20);
    m->frozen = true;
    copy = cp_msg_derive(m); /* which may change again */
    assert_non_null(copy);
    copal_msg_unref(m);
    cp_msg_remove(copy, COPAL_OPT_OBSERVE);
    assert_int_equal(encode_to(copy, after, sizeof(after)), len - 4);
    cp_msg_add_uint(copy, COPAL_OPT_OBSERVE, 0x123456);
    assert_int_equal(encode_to(copy, after, sizeof(after)), len);
    assert_memory_equal(before, after, len);
    copal_msg_unref(copy);
}

/* Another's would go to whom it is for. */
static void a_wired_message_has_no_token_of_its_own(void **state)
{
    uint8_t before[512], after[512];
    copal_msg *m = to_be_wired(), *received = NULL;
    size_t len = encode_to(m, before, sizeof(before));
    struct cp_header header;

    (void)state;
    assert_int_equal(cp_header_read(cp_bytes(before, len), &header), 0);
    assert_int_equal(cp_datagram_decode(mem, &header, &received), 0);
    assert_true(received->token.len > 0);
    assert_int_equal(cp_datagram_wire(received), 0);
    assert_int_equal(received->token.len, 0);
    assert_int_equal(encode_to(received, after, sizeof(after)), len);
    assert_memory_equal(before, after, len);
    copal_msg_unref(received);
    copal_msg_unref(m);
}

static void what_finds_no_memory_to_be_wired_stays_as_it_is(void **state)
{
    copal_msg *m = to_be_wired();
    uint8_t before[512], after[512];
    size_t len = encode_to(m, before, sizeof(before));
    int err = COPAL_ENOMEM, failed = 0;

    (void)state;
    for (uint64_t more = 1; err == COPAL_ENOMEM; more += 64, failed++) {
        cp_mem_limit(mem, cp_mem_used(mem) + more);
        err = cp_datagram_wire(m);
        assert_int_equal(encode_to(m, after, sizeof(after)), len);
        assert_memory_equal(before, after, len);
    }
    cp_mem_limit(mem, 0);
    assert_int_equal(err, 0);
    assert_true(failed > 1);
    copal_msg_unref(m);
}

static void a_datagram_that_finds_no_memory_is_lost_as_a_whole(void **state)
{
    static const uint8_t bytes[] = {0x41, 1, 0, 1, 'T', 0xb0, 0, 0,    0,  0,
                                    0,    0, 0, 0, 0,   0,    0, 0xff, 'x'};
    struct cp_header header;
    copal_msg *m = NULL;
    int err = COPAL_ENOMEM;

    (void)state;
    assert_int_equal(cp_header_read(cp_bytes(bytes, sizeof(bytes)), &header),
                     0);
    for (uint64_t limit = 1; err == COPAL_ENOMEM; limit += 8) {
        cp_mem_limit(mem, limit);
        err = cp_datagram_decode(mem, &header, &m);
        assert_true(err == 0 || cp_mem_used(mem) == 0);
    }
    cp_mem_limit(mem, 0);
    assert_int_equal(err, 0);
    assert_int_equal(count_of(m, COPAL_OPT_URI_PATH), 12);
    copal_msg_unref(m);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_valid_datagram_decodes_to_its_fields),
        cmocka_unit_test(every_valid_datagram_is_encoded_to_the_same_bytes),
        cmocka_unit_test(every_malformed_datagram_is_refused),
        cmocka_unit_test(every_reaction_to_options_is_told),
        cmocka_unit_test(leading_zeroes_of_a_number_are_read_over),
        cmocka_unit_test(an_option_that_somebody_understands_is_not_bad),
        cmocka_unit_test(an_etag_repeats_in_requests_only),
        cmocka_unit_test(a_token_over_65804_bytes_is_not_encoded),
        cmocka_unit_test(what_finds_no_room_is_not_encoded),
        cmocka_unit_test(too_many_options_are_refused),
        cmocka_unit_test(options_decoded_later_bring_their_own_payload),
        cmocka_unit_test(a_wired_message_is_encoded_and_read_as_before),
        cmocka_unit_test(a_wired_message_has_no_token_of_its_own),
        cmocka_unit_test(what_finds_no_memory_to_be_wired_stays_as_it_is),
        cmocka_unit_test(a_datagram_that_finds_no_memory_is_lost_as_a_whole),
    };

    return cmocka_run_group_tests(tests, set_up, tear_down);
}
