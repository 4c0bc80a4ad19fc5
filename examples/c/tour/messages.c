/* T8 to T10: messages, before anything is sent. */
#include "tour.h"

#include <string.h>

static int segment_is(const copal_msg *m, size_t i, const char *text)
{
    copal_bytes v;

    return copal_msg_value(m, COPAL_OPT_URI_PATH, i, &v) == 0 &&
           v.len == strlen(text) && memcmp(v.data, text, v.len) == 0;
}

static void show_path(const copal_msg *m)
{
    copal_bytes v;

    for (size_t i = 0; copal_msg_value(m, COPAL_OPT_URI_PATH, i, &v) == 0; i++)
        came("%zu: \"%.*s\"", i, (int)v.len, (const char *)v.data);
}

static void t8_print(const copal_msg *m)
{
    const char *line = copal_msg_print(m, COPAL_LINE);

    step("T8", "Build a message from code and URI, print it");
    did("m = copal_msg_new(c, COPAL_GET)");
    did("copal_msg_set_uri(m, \"coap://localhost/other/separate\")");
    did("copal_msg_print(m, COPAL_LINE)");
    came("%s", line);
    hold(strcmp(line, "GET coap://localhost/other/separate") == 0,
         "one line, the same in every language");
}

static void t9_options(const copal_msg *m)
{
    const char *lines = copal_msg_print(m, COPAL_OPTION_LINES);

    step("T9", "Print its options");
    did("copal_msg_print(m, COPAL_OPTION_LINES)");
    came("%s", lines);
    hold(strcmp(lines, "Uri-Host: localhost\nUri-Path: other / separate") == 0,
         "a line for each option, in the order of the wire");
}

static void t10_path(copal *c, copal_msg *m)
{
    copal_msg *other = copal_msg_new(c, COPAL_GET);

    step("T10", "The path, segment by segment");
    did("copal_msg_value(m, COPAL_OPT_URI_PATH, i, &segment)");
    show_path(m);
    hold(segment_is(m, 0, "other") && segment_is(m, 1, "separate"),
         "segments are read by index");

    did("copal_msg_set_uri(m, \"coap://localhost/caf%%C3%%A9/\")");
    copal_msg_set_uri(other, "coap://localhost/caf%C3%A9/");
    show_path(other);
    hold(segment_is(other, 0, "caf\xc3\xa9") && segment_is(other, 1, ""),
         "percent-decoded; a slash at the end is an empty last segment");

    did("copal_msg_remove(m, COPAL_OPT_URI_PATH)");
    did("copal_msg_add_text(m, COPAL_OPT_URI_PATH, \"a/b\")");
    copal_msg_remove(other, COPAL_OPT_URI_PATH);
    copal_msg_add_text(other, COPAL_OPT_URI_PATH, "a/b");
    came("%s", copal_msg_path(other));
    hold(strcmp(copal_msg_path(other), "/a%2Fb") == 0,
         "a slash within a segment stays within it");
    copal_msg_unref(other);
}

void tour_messages(copal *c)
{
    copal_msg *m = copal_msg_new(c, COPAL_GET);

    copal_msg_set_uri(m, "coap://localhost/other/separate");
    t8_print(m);
    t9_options(m);
    t10_path(c, m);
    copal_msg_unref(m);
}
