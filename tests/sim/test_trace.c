/* What copal_trace() tells of messages. */
#include "support.h"

/* The line of the newest message that came. */
static void note_line(const copal_event *ev, void *user)
{
    char *line = user;

    if (ev->kind == COPAL_TRACE && strstr(ev->text, "\"ev\":\"in\"") != NULL)
        snprintf(line, MAX_RECORDED, "%s", ev->text);
}

static void put(struct world *w, const char *body, char line[MAX_RECORDED])
{
    copal_msg *m = copal_msg_new(w->client, COPAL_PUT);
    struct record *r = next_record(w);

    copal_trace(w->server, COPAL_TRACE_WIRE, COPAL_CB(note_line, line));
    assert_int_equal(copal_msg_set_uri(m, "coap://server/t"), 0);
    assert_int_equal(copal_msg_set_payload(
                         m, COPAL_NO_FORMAT,
                         (copal_bytes){(const uint8_t *)body, strlen(body)}),
                     0);
    r->exchange = copal_request(w->client, m, recording(r));
    copal_msg_unref(m);
    copal_sim_run(w->sim, 1000);
    copal_trace(w->server, 0, (copal_cb){0});
}

static void a_payload_of_text_is_traced_as_text(void **state)
{
    char line[MAX_RECORDED] = "";

    put(*state, "21 \xc2\xb0", line);
    assert_non_null(strstr(line, "\"payload\":\"21 \xc2\xb0\""));
    assert_null(strstr(line, "payload_hex"));
}

static void a_payload_that_is_not_utf8_is_traced_in_hex(void **state)
{
    char line[MAX_RECORDED] = "";

    put(*state, "\xff\xfe\xfdxyz", line);
    assert_non_null(strstr(line, "\"payload_hex\":\"fffefd78797a\""));
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, build, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_payload_of_text_is_traced_as_text),
        TEST(a_payload_that_is_not_utf8_is_traced_in_hex),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
