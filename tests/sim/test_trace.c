/* What copal_trace() tells of messages: always JSON, whatever strangers send. */
#include "support.h"

#include <jansson.h>
#include <stdlib.h>

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

/* ---- Whatever comes, a line is JSON ---- */

struct lines {
    int count, wire, state;
};

/* One object; keys once each; UTF-8; no line feed; what every line has. */
static void check_line(const copal_event *ev, void *user)
{
    struct lines *seen = user;
    json_error_t error;
    json_t *line;

    if (ev->kind != COPAL_TRACE)
        return;
    assert_null(strchr(ev->text, '\n'));
    line =
        json_loads(ev->text, JSON_REJECT_DUPLICATES | JSON_ALLOW_NUL, &error);
    if (line == NULL)
        fail_msg("%s at %d: %s", error.text, error.position, ev->text);
    assert_true(json_is_object(line));
    assert_true(json_is_integer(json_object_get(line, "t")));
    assert_true(json_is_string(json_object_get(line, "ev")));
    seen->count++;
    seen->wire += json_object_get(line, "peer") != NULL;
    seen->state += json_object_get(line, "what") != NULL;
    json_decref(line);
}

static void send_bytes(struct world *w, const uint8_t *bytes, size_t len)
{
    assert_int_equal(copal_sim_inject(w->sim, "stranger", "server",
                                      (copal_bytes){bytes, len}),
                     0);
    run(w, 1);
}

/* A GET, NON, its message id the newest, with one option after another of those
 * bytes: in Uri-Path, Uri-Query, an ETag, an unknown number; and as payload. */
static void send_everywhere(struct world *w, const uint8_t *bytes, uint8_t len)
{
    static const uint8_t deltas[] = {3, 1, 7, 4, 5, 15};
    static uint16_t mid;
    uint8_t d[512] = {0x52,         COPAL_GET, (uint8_t)(++mid >> 8),
                      (uint8_t)mid, bytes[0],  bytes[len - 1]};
    size_t at = 6;

    for (size_t i = 0; i < sizeof(deltas); i++) {
        size_t count = len < 8 ? len : 8;

        d[at++] = (uint8_t)((deltas[i] == 15 ? 0xd0 : deltas[i] << 4) | count);
        if (deltas[i] == 15)
            d[at++] = 200;
        memcpy(d + at, bytes, count);
        at += count;
    }
    d[at++] = 0xff;
    memcpy(d + at, bytes, len);
    send_bytes(w, d, at + len);
}

static void trace_everything(struct world *w, struct lines *seen)
{
    copal_trace(w->server,
                COPAL_TRACE_WIRE | COPAL_TRACE_STATE | COPAL_TRACE_SECURITY,
                COPAL_CB(check_line, seen));
}

static void text_of_all_kinds_is_traced_as_json(void **state)
{
    static const char *const texts[] = {
        "\"",
        "\\",
        "\\\"",
        "\"}",
        "\x01",
        "\x1b[2J",
        "\x7f",
        "a\nb",
        "\r\n",
        "\t",
        "\xff",
        "\xc3",
        "\xc3(",
        "\xc0\x80",
        "\xed\xa0\x80",
        "\xf4\x90\x80\x80",
        "\xf8\x88\x80\x80\x80",
        "\xef\xbf\xbf",
        "\xe2\x80\xa8",
        "\xf0\x9f\x8c\xa1",
        "%00",
        "\\u0000",
        "\\x00",
        "</",
        "{\"t\":1}",
    };
    struct world *w = *state;
    struct lines seen = {0};

    trace_everything(w, &seen);
    for (size_t i = 0; i < sizeof(texts) / sizeof(*texts); i++)
        send_everywhere(w, (const uint8_t *)texts[i],
                        (uint8_t)strlen(texts[i]));
    assert_true(seen.wire >= (int)(sizeof(texts) / sizeof(*texts)));
    copal_trace(w->server, 0, (copal_cb){0});
}

static void every_byte_is_traced_as_json(void **state)
{
    struct world *w = *state;
    struct lines seen = {0};

    trace_everything(w, &seen);
    for (int i = 0; i < 256; i++) {
        uint8_t bytes[] = {(uint8_t)i, 'a', (uint8_t)i};

        send_everywhere(w, bytes, sizeof(bytes));
    }
    assert_true(seen.wire >= 256);
    copal_trace(w->server, 0, (copal_cb){0});
}

static void nonsense_is_traced_as_json(void **state)
{
    struct world *w = *state;
    struct lines seen = {0};
    uint32_t dice = 1;
    uint8_t bytes[64];

    tune(w->server, COPAL_P_MAX_TOKEN, 65804);
    trace_everything(w, &seen);
    for (int i = 0; i < 5000; i++) {
        size_t len = (size_t)i % sizeof(bytes);

        for (size_t j = 0; j < len; j++)
            bytes[j] = (uint8_t)((dice = dice * 1664525 + 1013904223) >> 24);
        if (i % 2 && len > 1) { /* of the right version, with a code */
            bytes[0] = (uint8_t)(0x40 | (bytes[0] & 0x34));
            bytes[1] %= 8;
        }
        send_bytes(w, bytes, len);
    }
    assert_true(seen.wire >= 5000);
    copal_trace(w->server, 0, (copal_cb){0});
}

static void a_uri_with_control_bytes_is_traced_as_json(void **state)
{
    struct world *w = *state;
    struct lines seen = {0};

    tune(w->client, COPAL_P_CACHE_MEMORY, 65536);
    serve_text(w, w->server, "/*", 0, "hello");
    copal_trace(w->client, COPAL_TRACE_WIRE | COPAL_TRACE_STATE,
                COPAL_CB(check_line, &seen));
    for (int i = 0; i < 2; i++) { /* the cache tells of the second */
        get(w, "coap://server/%c2%80%22%5c%0a?%e2%80%a8%1b");
        run(w, 1000);
    }
    assert_true(seen.wire >= 2);
    assert_true(seen.state >= 1);
    copal_trace(w->client, 0, (copal_cb){0});
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, build, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_payload_of_text_is_traced_as_text),
        TEST(a_payload_that_is_not_utf8_is_traced_in_hex),
        TEST(text_of_all_kinds_is_traced_as_json),
        TEST(every_byte_is_traced_as_json),
        TEST(nonsense_is_traced_as_json),
        TEST(a_uri_with_control_bytes_is_traced_as_json),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
