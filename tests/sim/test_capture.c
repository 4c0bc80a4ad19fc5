/* copal_log_to(): messages as a pcapng file. */
#include "support.h"
#include <stdlib.h>
#include <unistd.h>

enum {
    LARGEST = 65536
};

static char file_name[] = "/tmp/copal-capture-XXXXXX";
static uint8_t file[LARGEST];

static int build_file(void **state)
{
    int fd = mkstemp(strcpy(file_name, "/tmp/copal-capture-XXXXXX"));

    assert_true(fd >= 0);
    close(fd);
    return build(state);
}

static int tear_down_file(void **state)
{
    unlink(file_name);
    return tear_down(state);
}

static size_t read_file(void)
{
    FILE *f = fopen(file_name, "rb");
    size_t n;

    assert_non_null(f);
    n = fread(file, 1, sizeof(file), f);
    fclose(f);
    return n;
}

static uint32_t word(size_t at)
{
    return (uint32_t)file[at] << 24 | (uint32_t)file[at + 1] << 16 |
           (uint32_t)file[at + 2] << 8 | file[at + 3];
}

/* The i-th packet behind the two blocks a file begins with; 0: no more. Checks
 * that the blocks fit together. */
static size_t packet(size_t size, size_t i)
{
    size_t at = 0;

    for (size_t block = 0; at < size; block++) {
        uint32_t len = word(at + 4);

        assert_true(len >= 12 && len % 4 == 0 && at + len <= size);
        assert_int_equal(word(at + len - 4), len);
        if (block == i + 2)
            return at;
        at += len;
    }
    return 0;
}

static void every_message_of_an_endpoint_is_a_packet(void **state)
{
    static const uint8_t request[] = {0x48, 0x01};
    static const uint8_t answer[] = {0x68, 0x45};
    struct world *w = *state;
    size_t size, first, second;

    serve_text(w, w->server, "/t", 0, "22.5 C");
    assert_int_equal(copal_log_to(w->server, COPAL_LOG_CAPTURE, file_name), 0);
    copal_sim_run(w->sim, 3000);
    get(w, "coap://server/t");
    copal_sim_run(w->sim, 10);
    size = read_file();
    assert_int_equal(word(0), 0x0a0d0d0a);
    assert_int_equal(word(8), 0x1a2b3c4d);
    first = packet(size, 0);
    second = packet(size, 1);
    assert_true(first != 0 && second != 0);
    assert_int_equal(packet(size, 2), 0);
    assert_int_equal(word(first + 16), 3000000); /* us of virtual time */
    /* An IP packet of 10.0.0.0/8, UDP to 5683, then the message. */
    assert_int_equal(file[first + 28], 0x45);
    assert_int_equal(file[first + 28 + 12], 10);
    assert_int_equal(word(first + 28 + 20) & 0xffff, 5683);
    assert_memory_equal(file + first + 56, request, 2);
    assert_int_equal(word(second + 28 + 20) >> 16, 5683);
    assert_memory_equal(file + second + 56, answer, 2);
}

/* Under one id readers would take them for repeats. */
static void messages_of_a_connection_have_ids_of_their_own(void **state)
{
    static const uint8_t codes[] = {0xe1, 0xe1, COPAL_GET, COPAL_CONTENT};
    struct world *w = *state;
    size_t size, at;

    serve_text(w, w->server, "/t", 0, "22.5 C");
    assert_int_equal(copal_log_to(w->server, COPAL_LOG_CAPTURE, file_name), 0);
    get(w, "coap+tcp://server/t");
    copal_sim_run(w->sim, 10);
    size = read_file();
    for (size_t i = 0; i < 4; i++) {
        at = packet(size, i) + 56;
        assert_int_equal(file[at] >> 4, 5); /* NON */
        assert_int_equal(file[at + 1], codes[i]);
        for (size_t k = 0; k < i; k++)
            assert_memory_not_equal(file + at + 2,
                                    file + packet(size, k) + 56 + 2, 2);
    }
    assert_int_equal(packet(size, 4), 0);
}

static void a_capture_ends_when_told_and_another_begins_anew(void **state)
{
    struct world *w = *state;
    size_t size;

    serve_text(w, w->server, "/t", 0, "x");
    assert_int_equal(copal_log_to(w->client, COPAL_LOG_CAPTURE, file_name), 0);
    get(w, "coap://server/t");
    copal_sim_run(w->sim, 10);
    assert_int_equal(copal_log_to(w->client, COPAL_LOG_CAPTURE, NULL), 0);
    size = read_file();
    get(w, "coap://server/t");
    copal_sim_run(w->sim, 10);
    assert_int_equal(read_file(), size);
    assert_int_equal(copal_log_to(w->client, COPAL_LOG_CAPTURE, file_name), 0);
    assert_int_equal(packet(read_file(), 0), 0);
    assert_int_equal(copal_log_to(w->client, COPAL_LOG_CAPTURE, NULL), 0);
    assert_int_equal(copal_log_to(w->client, COPAL_LOG_CAPTURE, NULL), 0);
}

static void a_file_that_cannot_be_written_is_a_clear_error(void **state)
{
    struct world *w = *state;

    assert_int_equal(
        copal_log_to(w->client, COPAL_LOG_CAPTURE, "/no/such/folder/x"),
        COPAL_ENOENT);
    assert_non_null(strstr(copal_why(w->client), "/no/such/folder/x"));
    assert_int_equal(copal_log_to(w->client, COPAL_LOG_CAPTURE, "/"),
                     COPAL_EIO);
    assert_int_equal(copal_log_to(w->client, (copal_log)9, file_name),
                     COPAL_EINVAL);
}

/* /dev/full takes nothing, as a disk that is full. */
static void a_full_disk_ends_the_capture_and_nothing_else(void **state)
{
    struct world *w = *state;
    struct record *r;

    serve_text(w, w->server, "/t", 0, "x");
    if (access("/dev/full", W_OK) != 0)
        skip();
    assert_int_equal(copal_log_to(w->client, COPAL_LOG_CAPTURE, "/dev/full"),
                     COPAL_EIO);
    r = get(w, "coap://server/t");
    copal_sim_run(w->sim, 10);
    assert_ended(r, 0);
}

/* Packets may get lost, but never what the file begins with. */
static void capture_once(struct world *w)
{
    serve_text(w, w->server, "/t", 0, "x");
    if (copal_log_to(w->client, COPAL_LOG_CAPTURE, file_name) == 0) {
        assert_int_equal(read_file(), 48);
        assert_int_equal(word(0), 0x0a0d0d0a);
    }
    get(w, "coap://server/t");
    copal_sim_run(w->sim, 300000);
}

static void a_capture_survives_every_failed_allocation(void **state)
{
    (void)state;
    for_each_failed_allocation(capture_once);
}

#define TEST(name) \
    cmocka_unit_test_setup_teardown(name, build_file, tear_down_file)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(every_message_of_an_endpoint_is_a_packet),
        TEST(messages_of_a_connection_have_ids_of_their_own),
        TEST(a_capture_ends_when_told_and_another_begins_anew),
        TEST(a_file_that_cannot_be_written_is_a_clear_error),
        TEST(a_full_disk_ends_the_capture_and_nothing_else),
        TEST(a_capture_survives_every_failed_allocation),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
