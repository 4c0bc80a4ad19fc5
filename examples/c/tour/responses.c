/* T15 to T19: what a response tells. */
#include "tour.h"

#include <stdio.h>
#include <string.h>

static void t15_code(copal *c, const char *uri)
{
    struct answer *a = get(c, at(uri, "/time"));
    int code = copal_msg_code(a->msg);

    step("T15", "Its code");
    did("code = copal_msg_code(m)");
    came("%d: class %d, detail %d", code, code >> 5, code & 31);
    did("copal_name(COPAL_CODES, code)");
    came("%s", copal_name(COPAL_CODES, code));
    hold(code == COPAL_CONTENT && code == 69, "2.05 is the number 69");
    hold(strcmp(copal_name(COPAL_CODES, code), "2.05 Content") == 0,
         "and is called 2.05 Content");
    did("copal_name(COPAL_CODES, COPAL_CODE(2, 30))");
    came("%s", copal_name(COPAL_CODES, COPAL_CODE(2, 30)));
    hold(strcmp(copal_name(COPAL_CODES, COPAL_CODE(2, 30)), "2.30") == 0,
         "a code nobody named shows its number");
}

static void who_answered(copal *c, const char *uri)
{
    struct answer *a = get(c, at(uri, "/whoami"));

    did("copal_msg_remote(m)");
    came("%s", copal_msg_remote(a->msg));
    did("copal_msg_local(m)");
    came("%s", copal_msg_local(a->msg));
    hold(strcmp(copal_msg_remote(a->msg), uri) == 0,
         "the remote is the server's base URI");
    hold(strncmp(copal_msg_local(a->msg), uri, strcspn(uri, "/")) == 0 &&
             strcmp(copal_msg_local(a->msg), uri) != 0,
         "the local address is ours");
}

static void t16_remote(copal *c, const char *uri, const char *uri6)
{
    step("T16", "Who answered, and where to");
    who_answered(c, uri);
    if (uri6 != NULL)
        who_answered(c, uri6);
    else
        came("this host has no IPv6, so [::1] is not shown");
}

static int is_for_a_group(copal *c, const char *uri)
{
    copal_msg *m = copal_msg_new(c, COPAL_GET);
    copal_wire wire = {.size = sizeof(wire)};

    copal_msg_set_uri(m, uri);
    copal_msg_wire(m, &wire);
    copal_msg_unref(m);
    did("copal_msg_wire(m, &wire)        of a request to %s", uri);
    came("wire.multicast %d", wire.multicast);
    return wire.multicast;
}

static void t17_multicast(copal *c, const char *uri)
{
    struct answer *a = get(c, at(uri, "/time"));
    copal_wire wire = {.size = sizeof(wire)};

    step("T17", "Is it multicast");
    copal_msg_wire(a->msg, &wire);
    did("copal_msg_wire(m, &wire)        of the response");
    came("wire.multicast %d", wire.multicast);
    hold(!wire.multicast, "a response comes from one server");
    hold(is_for_a_group(c, "coap://[ff02::fd]/") &&
             is_for_a_group(c, "coap://224.0.1.187/"),
         "the two are groups: all CoAP nodes");
}

static void t18_t19_payload(copal *c, const char *uri)
{
    struct answer *a = get(c, at(uri, "/link1"));
    copal_bytes body = copal_msg_payload(a->msg);
    int format = copal_msg_format(a->msg);

    step("T18", "Its payload");
    did("body = copal_msg_payload(m)");
    came("%zu bytes: %.*s", body.len, (int)body.len, (const char *)body.data);
    hold(body.len == 5 && memcmp(body.data, "link1", 5) == 0,
         "a pointer and a length, good as long as the message");

    step("T19", "Its Content-Format");
    did("copal_name(COPAL_FORMATS, copal_msg_format(m))");
    came("%d, %s", format, copal_name(COPAL_FORMATS, format));
    hold(format == COPAL_TEXT && strcmp(copal_name(COPAL_FORMATS, format),
                                        "text/plain;charset=utf-8") == 0,
         "0 is text/plain;charset=utf-8");
}

void tour_responses(copal *c, const char *uri, const char *uri6)
{
    t15_code(c, uri);
    t16_remote(c, uri, uri6);
    t17_multicast(c, uri);
    t18_t19_payload(c, uri);
}
