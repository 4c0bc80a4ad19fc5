/* Credentials in a file: what is read, and what is refused. */
#include <copal.h>
#include <copal_sim.h>
#include "endpoint.h"
#include "engine/core.h"
#include "engine/params.h"
#include "secure/credentials.h"
#include "wire/uri.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <cmocka.h>

struct world {
    copal_sim *sim;
    copal *c;
    char folder[64], path[128], key[128];
};

static struct world w;

static void put_file(const char *path, const char *text, mode_t mode)
{
    FILE *f = fopen(path, "w");

    assert_non_null(f);
    fputs(text, f);
    fclose(f);
    assert_int_equal(chmod(path, mode), 0);
}

static int build(void **state)
{
    w = (struct world){.sim = copal_sim_new(1)};
    assert_non_null(w.sim);
    w.c = copal_sim_endpoint(w.sim, "h", NULL);
    strcpy(w.folder, "/tmp/copal-creds-XXXXXX");
    assert_non_null(mkdtemp(w.folder));
    snprintf(w.path, sizeof(w.path), "%s/creds.json", w.folder);
    snprintf(w.key, sizeof(w.key), "%s/key", w.folder);
    *state = &w;
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    copal_sim_free(w.sim);
    unlink(w.path);
    unlink(w.key);
    rmdir(w.folder);
    return 0;
}

static bool is_built_in(void)
{
    return copal_forget(w.c, "coaps://nobody") != COPAL_ENOTSUP;
}

static int use(const char *text)
{
    put_file(w.path, text, 0600);
    return copal_use_file(w.c, w.path);
}

static void assert_key(const char *identity, const char *key)
{
    copal_bytes found =
        cp_credentials_key_of(w.c->credentials, cp_bytes_of_text(identity));

    if (!cp_bytes_is_text(found, key))
        fail_msg("%s: \"%.*s\", not \"%s\"", identity, (int)found.len,
                 found.data == NULL ? "" : (const char *)found.data, key);
}

static void keys_come_by_value_file_variable_and_command(void **state)
{
    (void)state;
    if (!is_built_in())
        skip();
    put_file(w.key, "of a file\n", 0600);
    setenv("COPAL_TEST_KEY", "of a variable", 1);
    assert_int_equal(
        use("{\"*\": [{\"psk-id\": \"a\", \"psk\": \"by value\"},\n"
            "{\"psk-id\": \"b\", \"psk\": \"0x414243\"},\n"
            "{\"psk-id\": \"c\", \"psk-file\": \"key\"},\n"
            "{\"psk-id\": \"d\", \"psk-env\": \"COPAL_TEST_KEY\"},\n"
            "{\"psk-id\": \"e\", \"psk-cmd\": \"echo of a command\"}],\n"
            "\"coaps://h\": {\"psk-id\": \"me\", \"psk\": \"k\"}}"),
        0);
    assert_key("a", "by value");
    assert_key("b", "ABC");
    assert_key("c", "of a file");
    assert_key("d", "of a variable");
    assert_key("e", "of a command");
    assert_non_null(cp_credentials_for(
        w.c->credentials,
        &(struct cp_asked){.scheme = CP_COAPS, .host = "h", .port = 5684}));
}

static void what_is_wrong_is_said_with_its_place(void **state)
{
    static const struct {
        const char *text;
        int error;
        const char *part;
    } rows[] = {
        {"{\n \"*\": 1,\n nonsense", COPAL_EFORMAT, "creds.json:3:"},
        {"[]", COPAL_EFORMAT, "an object is wanted"},
        {"{\"*\": 1}", COPAL_EFORMAT, "\"*\": value"},
        {"{\"*\": [1]}", COPAL_EFORMAT, "list of objects"},
        {"{\"coaps://h\": [{}]}", COPAL_EFORMAT, "only \"*\""},
        {"{\"*\": {\"pks-id\": \"a\"}}", COPAL_EFORMAT, "pks-id: not known"},
        {"{\"*\": {\"psk-id\": 7}}", COPAL_EFORMAT, "psk-id: a string"},
        {"{\"*\": {\"psk-id\": \"a\"}}", COPAL_EFORMAT, "come together"},
        {"{\"*\": {\"psk\": \"a\"}}", COPAL_EFORMAT, "come together"},
        {"{\"*\": {}}", COPAL_EFORMAT, "neither"},
        {"{\"*\": {\"psk-id\": \"a\", \"psk\": \"b\", \"psk-env\": \"c\"}}",
         COPAL_EFORMAT, "only one of"},
        {"{\"*\": {\"psk-id\": \"a\", \"psk\": \"0x123\"}}", COPAL_EFORMAT,
         "even number"},
        {"{\"*\": {\"psk-id\": \"a\", \"psk-env\": \"COPAL_NO_SUCH\"}}",
         COPAL_EFORMAT, "no such variable"},
        {"{\"*\": {\"psk-id\": \"a\", \"psk-file\": \"none\"}}", COPAL_ENOENT,
         "/none"},
        {"{\"*\": {\"psk-id\": \"a\", \"psk-cmd\": \"exit 3\"}}", COPAL_EIO,
         "status 3"},
        {"{\"coap://h\": {\"psk-id\": \"a\", \"psk\": \"b\"}}", COPAL_EINVAL,
         "creds.json: \"coap://h\""},
        {"{\"*\": {\"cert\": \"-----BEGIN X\", \"key\": \"-----BEGIN Y\"}}",
         COPAL_EFORMAT, "private key cannot be read"},
        {"{\"*\": {\"cert\": \"a\", \"rpk\": \"b\"}}", COPAL_ENOENT, "/a"},
        {"{\"*\": {\"psk-id\": \"a\", \"psk-id\": \"b\"}}", COPAL_EFORMAT,
         "duplicate"},
        {"{\"*\": {\"profile\": \"shelly\"}}", COPAL_EFORMAT,
         "is of whom we ask"},
        {"{\"coaps://*.lab\": {\"profile\": \"shelly\"}}", COPAL_EFORMAT,
         "without *"},
        {"{\"coap://h\": {\"profile\": \"nonsense\"}}", COPAL_EINVAL,
         "\"coap://h\": no profile 'nonsense'"},
    };

    (void)state;
    if (!is_built_in())
        skip();
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        int err = use(rows[i].text);

        if (err != rows[i].error ||
            strstr(copal_why(w.c), rows[i].part) == NULL)
            fail_msg("%s: %d, \"%s\"", rows[i].text, err, copal_why(w.c));
    }
}

static void a_profile_stands_beside_a_key_or_alone(void **state)
{
    copal *c = w.c;

    (void)state;
    if (!is_built_in())
        skip();
    assert_int_equal(use("{\"coap://h\": {\"profile\": \"thread-sleepy\"},"
                         "\"coap://i\": {\"profile\": \"nonsense\"}}"),
                     COPAL_EINVAL); /* all of it, or nothing */
    assert_true(cp_list_empty(&c->profiles));
    assert_int_equal(use("{\"coap://h\": {\"profile\": \"thread-sleepy\"},"
                         "\"coaps://g\": {\"psk-id\": \"a\", \"psk\": \"b\","
                         " \"profile\": \"tradfri\"}}"),
                     0);
    assert_int_equal(cp_params_get(&c->engine->params, NULL, "coap://h/t",
                                   COPAL_P_ACK_TIMEOUT),
                     12000);
    assert_int_equal(cp_params_get(&c->engine->params, NULL, "coaps://g/t",
                                   COPAL_P_ACK_TIMEOUT),
                     3000);
    assert_int_equal(cp_params_get(&c->engine->params, NULL, "coap://i/t",
                                   COPAL_P_ACK_TIMEOUT),
                     2000);
}

/* What an application that keeps nothing says to copal_store(). */
static void keep_nothing(const copal_event *ev, void *user)
{
    (void)user;
    if (ev->kind == COPAL_REQUEST)
        copal_reply(ev->exchange,
                    copal_msg_code(ev->msg) == COPAL_PUT ? COPAL_CHANGED
                                                         : COPAL_NOT_FOUND,
                    COPAL_NO_FORMAT, (copal_bytes){0});
}

static const char contexts[] =
    "{\"*\": [{\"oscore\": {\"secret\": \"0x00112233\", \"sender_id\": \"s\","
    " \"recipient_id\": \"\", \"salt\": \"0x0a\"}},"
    "{\"oscore\": {\"secret-file\": \"key\", \"sender_id\": \"s\","
    " \"recipient_id\": \"\", \"id_context\": \"\", \"aead\": \"A128GCM\","
    " \"hkdf\": \"SHA-512\", \"replay_window\": 64}}],"
    "\"coap://h/\": {\"oscore\": {\"secret-cmd\": \"echo k\", \"aead\": 24,"
    " \"hkdf\": -11, \"recipient_id\": \"0xff\", \"rederives\": true}}}";

static void contexts_of_oscore_stand_beside_keys(void **state)
{
    (void)state;
    if (!is_built_in())
        skip();
    put_file(w.key, "of a file\n", 0600);
    assert_int_equal(use(contexts), COPAL_ESTATE); /* they need a store */
    assert_int_equal(copal_forget(w.c, "coap://h/"), COPAL_EINVAL);
    assert_int_equal(copal_store(w.c, NULL, COPAL_CB(keep_nothing, NULL)), 0);
    assert_int_equal(use(contexts), 0);
    assert_int_equal(use(contexts), 0); /* the same once more */
    assert_int_equal(copal_forget(w.c, "coap://h/"), 0);
    assert_int_equal(copal_forget(w.c, "*"), 0);
    assert_int_equal(copal_forget(w.c, "*"), COPAL_ENOENT);
}

static void what_is_wrong_with_a_context_is_said_with_its_place(void **state)
{
    static const struct {
        const char *entry;
        int error;
        const char *part;
    } rows[] = {
        {"1", COPAL_EFORMAT, "oscore: value"},
        {"{\"secret\": \"k\", \"sender\": \"a\"}", COPAL_EFORMAT,
         "sender: not known"},
        {"{\"secret\": 7}", COPAL_EFORMAT, "secret: a string"},
        {"{\"secret\": \"k\", \"secret-env\": \"HOME\"}", COPAL_EFORMAT,
         "secret-env: it is there already"},
        {"{\"secret\": \"0x1\"}", COPAL_EFORMAT, "even number"},
        {"{\"secret\": \"k\", \"sender_id\": \"0xzz\"}", COPAL_EFORMAT,
         "sender_id: after 0x"},
        {"{\"secret\": \"k\", \"aead\": \"ROT13\"}", COPAL_EFORMAT,
         "aead: an algorithm"},
        {"{\"secret\": \"k\", \"replay_window\": -1}", COPAL_EFORMAT,
         "replay_window: not known"},
        {"{\"secret\": \"k\", \"state\": \"old\"}", COPAL_EFORMAT,
         "state: \"new\" or \"begun\""},
        {"{\"secret-file\": \"none\"}", COPAL_ENOENT, "/none"},
        {"{\"sender_id\": \"a\"}", COPAL_EINVAL, "no secret"},
        {"{\"secret\": \"k\"}", COPAL_EINVAL, "are the same"},
        {"{\"secret\": \"k\", \"sender_id\": \"12345678\"}", COPAL_EINVAL,
         "at most 7 bytes"},
        {"{\"secret\": \"k\", \"sender_id\": \"a\", \"aead\": 9}", COPAL_EINVAL,
         "no AEAD"},
    };

    (void)state;
    if (!is_built_in())
        skip();
    assert_int_equal(copal_store(w.c, NULL, COPAL_CB(keep_nothing, NULL)), 0);
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        char text[256];
        int err;

        snprintf(text, sizeof(text), "{\"*\": {\"oscore\": %s}}",
                 rows[i].entry);
        err = use(text);
        if (err != rows[i].error ||
            strstr(copal_why(w.c), rows[i].part) == NULL)
            fail_msg("%s: %d, \"%s\"", text, err, copal_why(w.c));
    }
    assert_int_equal(
        use("{\"*\": [{\"oscore\": {\"secret\": \"k\", \"recipient_id\": "
            "\"a\"}},"
            "{\"oscore\": {\"secret\": \"l\", \"recipient_id\": \"a\"}}]}"),
        COPAL_EEXIST);
    assert_int_equal(copal_forget(w.c, "*"), COPAL_ENOENT); /* none of them */
}

static void a_file_is_taken_as_a_whole_or_not_at_all(void **state)
{
    (void)state;
    if (!is_built_in())
        skip();
    assert_int_equal(use("{\"*\": {\"psk-id\": \"a\", \"psk\": \"k\"},"
                         "\"coap://h\": {\"psk-id\": \"b\", \"psk\": \"k\"}}"),
                     COPAL_EINVAL);
    assert_false(cp_credentials_serve(w.c->credentials));
}

static void a_file_that_others_can_read_is_refused(void **state)
{
    static const mode_t modes[] = {0640, 0604, 0620, 0602};

    (void)state;
    if (!is_built_in())
        skip();
    for (size_t i = 0; i < sizeof(modes) / sizeof(modes[0]); i++) {
        put_file(w.path, "{}", modes[i]);
        assert_int_equal(copal_use_file(w.c, w.path), COPAL_EPERM);
        assert_non_null(strstr(copal_why(w.c), "chmod 600 /tmp/copal-creds"));
    }
    put_file(w.key, "k", 0644);
    assert_int_equal(use("{\"*\": {\"psk-id\": \"a\", \"psk-file\": \"key\"}}"),
                     COPAL_EPERM);
    assert_int_equal(copal_use_file(w.c, "/no/such/file"), COPAL_ENOENT);
    assert_int_equal(copal_use_file(w.c, w.folder), COPAL_EIO);
    assert_int_equal(copal_use_file(w.c, NULL), COPAL_EINVAL);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, build, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(keys_come_by_value_file_variable_and_command),
        TEST(what_is_wrong_is_said_with_its_place),
        TEST(a_profile_stands_beside_a_key_or_alone),
        TEST(contexts_of_oscore_stand_beside_keys),
        TEST(what_is_wrong_with_a_context_is_said_with_its_place),
        TEST(a_file_is_taken_as_a_whole_or_not_at_all),
        TEST(a_file_that_others_can_read_is_refused),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
