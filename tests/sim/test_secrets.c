/* Secrets are gone from memory once nobody needs them: what can be written in
 * this process is searched for them, the heap, freed or not, and the stack. */
#include "support.h"

#include <copal.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>
#include "base/bytes.h"

/* AddressSanitizer keeps what is freed, and memory of its own beside. */
#ifndef __has_feature
#define __has_feature(x) 0
#endif
#if defined(__SANITIZE_ADDRESS__) || __has_feature(address_sanitizer)
#define NEEDS_PLAIN_MEMORY() skip()
#else
#define NEEDS_PLAIN_MEMORY() ((void)0)
#endif

/* Constants, which no region that can be written holds. What is freed is written
 * over by the allocator at its beginning: the ends are looked for. */
#define BEGINNING "0123456789abcdef-"
static const char by_value[] = "psk-by-value-7d1f0c";
static const char by_file[] = "psk-by-file-b83e55a1";
static const char by_command[] = "psk-by-command-94c2e";
static const char in_hex[] = "9f3b6a0cd17e42b8865d20fae94c713d";
static const char of_hex[] =
    "\x9f\x3b\x6a\x0c\xd1\x7e\x42\xb8\x86\x5d\x20\xfa\xe9\x4c\x71\x3d";
static const char of_oscore[] = "oscore-secret-5ae81a";
static const char of_pem[] = "+lhr0Z9WAhgvtEdn2Mi0uTFoAoGCCqGSM49";
static const char of_scalar[] = "\xe9\x61\xaf\x46\x7d\x58\x08\x60"
                                "\xbe\xd1\x1d\x9f\x63\x22\xd2\xe4\xc5";

#define KEY_PEM \
    "-----BEGIN EC PRIVATE KEY-----\\n" \
    "MHcCAQEEIGcl6GHvF2bXAuiR4d8u2+lhr0Z9WAhgvtEdn2Mi0uTFoAoGCCqGSM49\\n" \
    "AwEHoUQDQgAEAueBMS3D6eUwCNSzvnhmDy2DF+GMEA1kaI9Jq6l2ErJf4lhkUlf4\\n" \
    "DoplnhDZ8Kl2pmpwlZrQldY5VroSV3JPcg==\\n" \
    "-----END EC PRIVATE KEY-----\\n"
#define PUBLIC_PEM \
    "-----BEGIN PUBLIC KEY-----\\n" \
    "MFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAEAueBMS3D6eUwCNSzvnhmDy2DF+GM\\n" \
    "EA1kaI9Jq6l2ErJf4lhkUlf4DoplnhDZ8Kl2pmpwlZrQldY5VroSV3JPcg==\\n" \
    "-----END PUBLIC KEY-----\\n"

static const char file_text[] =
    "{\"*\": [{\"psk-id\": \"a\", \"psk\": \"" BEGINNING
    "psk-by-value-7d1f0c\"},"
    "{\"psk-id\": \"b\", \"psk-file\": \"key\"},"
    "{\"psk-id\": \"d\", \"psk\": \"0x00112233445566778899aabbccddeeff00"
    "9f3b6a0cd17e42b8865d20fae94c713d\"},"
    "{\"psk-id\": \"e\", \"psk-cmd\": \"echo " BEGINNING
    "psk-by-command-94c2e\"},"
    "{\"rpk\": \"" PUBLIC_PEM "\", \"key\": \"" KEY_PEM "\"},"
    "{\"oscore\": {\"secret\": \"" BEGINNING "oscore-secret-5ae81a\","
    " \"recipient_id\": \"x\"}}],"
    "\"coaps://server\": {\"psk-id\": \"a\", \"psk\": \"" BEGINNING
    "psk-by-value-7d1f0c\"}"
    "}";

static const char file_key[] = BEGINNING "psk-by-file-b83e55a1";
static const char session_key[] = BEGINNING
    "\x9f\x3b\x6a\x0c\xd1\x7e\x42\xb8\x86\x5d\x20\xfa\xe9\x4c\x71\x3d";

/* ---- Searching ---- */

/* Regions that can be written, without what is not there (a sanitizer's). */
enum {
    MOST_REGION = 1 << 30
};

static unsigned count_in(const char *from, size_t len, copal_bytes secret)
{
    unsigned count = 0;

    while (len >= secret.len) {
        const char *hit = memmem(from, len, secret.data, secret.len);

        if (hit == NULL)
            break;
        count++;
        len -= (size_t)(hit + 1 - from);
        from = hit + 1;
    }
    return count;
}

static unsigned copies_of(copal_bytes secret)
{
    FILE *maps = fopen("/proc/self/maps", "r");
    char line[512];
    unsigned count = 0;

    if (maps == NULL)
        return 0;
    while (fgets(line, sizeof(line), maps) != NULL) {
        uintptr_t from, to;
        char mode[8];

        if (sscanf(line, "%" SCNxPTR "-%" SCNxPTR " %7s", &from, &to, mode) !=
                3 ||
            strncmp(mode, "rw", 2) != 0 || to - from > MOST_REGION)
            continue;
        count += count_in((const char *)from, to - from, secret);
    }
    fclose(maps);
    return count;
}

#define COPIES(text) copies_of(cp_bytes(text, sizeof(text) - 1))

#define ASSERT_NOWHERE(text) \
    do { \
        unsigned copies = COPIES(text); \
\
        if (copies > 0) \
            fail_msg(#text ": %u copies", copies); \
    } while (0)

/* ---- Files ---- */

static char folder[64], path[128], key_path[128];

/* Without stdio, whose buffers would hold them. */
static void put_file(const char *name, const char *text, size_t len)
{
    int fd = open(name, O_WRONLY | O_CREAT | O_TRUNC, 0600);

    assert_true(fd >= 0);
    assert_int_equal(write(fd, text, len), len);
    close(fd);
}

static int build_files(void **state)
{
    strcpy(folder, "/tmp/copal-secrets-XXXXXX");
    assert_non_null(mkdtemp(folder));
    snprintf(path, sizeof(path), "%s/creds.json", folder);
    snprintf(key_path, sizeof(key_path), "%s/key", folder);
    put_file(key_path, file_key, sizeof(file_key) - 1);
    return build(state);
}

static int tear_down_files(void **state)
{
    unlink(path);
    unlink(key_path);
    rmdir(folder);
    return tear_down(state);
}

static bool has_dtls(struct world *w)
{
    return copal_listen(w->server, "coaps://*", 0) != COPAL_ENOTSUP;
}

#define NEEDS_DTLS(w) \
    do { \
        if (!has_dtls(w)) \
            skip(); \
        NEEDS_PLAIN_MEMORY(); \
    } while (0)

static void keep_nothing(const copal_event *ev, void *user)
{
    (void)user;
    if (ev->kind == COPAL_REQUEST)
        copal_reply(ev->exchange,
                    copal_msg_code(ev->msg) == COPAL_PUT ? COPAL_CHANGED
                                                         : COPAL_NOT_FOUND,
                    COPAL_NO_FORMAT, (copal_bytes){0});
}

static void what_a_credentials_file_says_is_forgotten_with_it(void **state)
{
    struct world *w = *state;

    NEEDS_DTLS(w);
    put_file(path, file_text, sizeof(file_text) - 1);
    assert_int_equal(copal_store(w->server, NULL, COPAL_CB(keep_nothing, NULL)),
                     0);
    if (copal_use_file(w->server, path) != 0)
        fail_msg("%s", copal_why(w->server));
    run(w, 1000);
    assert_int_not_equal(COPIES(by_value), 0); /* they would be found */
    assert_int_not_equal(COPIES(by_file), 0);
    assert_int_not_equal(COPIES(of_hex), 0);
    assert_int_not_equal(COPIES(of_pem), 0);
    ASSERT_NOWHERE(in_hex); /* it is bytes by now */
    assert_int_equal(copal_forget(w->server, "*"), 0);
    assert_int_equal(copal_forget(w->server, "coaps://server"), 0);
    ASSERT_NOWHERE(by_value);
    ASSERT_NOWHERE(by_file);
    ASSERT_NOWHERE(by_command);
    ASSERT_NOWHERE(in_hex);
    ASSERT_NOWHERE(of_hex);
    ASSERT_NOWHERE(of_oscore);
    ASSERT_NOWHERE(of_pem);
    ASSERT_NOWHERE(of_scalar);
}

#define BEFORE "{\"*\": {\"psk-id\": \"a\", \"psk\""
#define SECRET "\"" BEGINNING "psk-by-value-7d1f0c\""

static void a_file_that_is_refused_leaves_nothing_either(void **state)
{
    static const char *const texts[] = {
        BEFORE " " SECRET "}}",
        BEFORE ": " SECRET " 1}}",
        BEFORE ": " SECRET "}, 1}",
        BEFORE ": " SECRET,
        BEFORE ": \"" BEGINNING "psk-by-value-7d1f0c",
        BEFORE ": \"" BEGINNING "psk-by-value-7d1f0c\n\"}}"};
    struct world *w = *state;

    NEEDS_DTLS(w);
    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
        put_file(path, texts[i], strlen(texts[i]));
        assert_int_equal(copal_use_file(w->server, path), COPAL_EFORMAT);
        ASSERT_NOWHERE(by_value);
    }
}

static void a_session_by_a_key_leaves_no_copy_of_it(void **state)
{
    struct world *w = *state;
    struct record *r;
    copal_bytes key = cp_bytes(session_key, sizeof(session_key) - 1);

    NEEDS_DTLS(w);
    assert_int_equal(
        copal_use_psk(w->client, "coaps://server", cp_bytes_of_text("me"), key),
        0);
    assert_int_equal(copal_use_psk(w->server, "*", cp_bytes_of_text("me"), key),
                     0);
    serve_text(w, w->server, "/t", 0, "hello");
    r = get(w, "coaps://server/t");
    run(w, 5000);
    assert_ended(r, 0);
    run(w, 600000);
    assert_int_equal(copal_forget(w->server, "*"), 0);
    assert_int_equal(copal_forget(w->client, "coaps://server"), 0);
    ASSERT_NOWHERE(of_hex);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, build_files, tear_down_files)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(what_a_credentials_file_says_is_forgotten_with_it),
        TEST(a_file_that_is_refused_leaves_nothing_either),
        TEST(a_session_by_a_key_leaves_no_copy_of_it),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
