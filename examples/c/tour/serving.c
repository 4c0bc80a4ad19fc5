/* T26: to write a server. It is asked on the same endpoint, which is client
 * and server in one. */
#include "tour.h"

#include <stdio.h>
#include <string.h>
#include <time.h>

static void get_time(const copal_event *ev, void *user)
{
    char text[32];
    time_t now = time(NULL);

    (void)user;
    strftime(text, sizeof(text), "%H:%M:%S", gmtime(&now));
    copal_reply_text(ev->exchange, COPAL_CONTENT, text);
}

static void get_hello(const copal_event *ev, void *user)
{
    char text[128];

    (void)user;
    snprintf(text, sizeof(text), "Hello, %s!",
             copal_exchange_param(ev->exchange, "name"));
    copal_reply_text(ev->exchange, COPAL_CONTENT, text);
}

/* What is at path, as text good until the next call. */
static const char *text_at(copal *c, const char *path)
{
    static char text[512];
    struct answer *a = get(c, at(copal_local(c, 0), path));
    copal_bytes body = {0};

    if (a->msg != NULL)
        body = copal_msg_payload(a->msg);
    snprintf(text, sizeof(text), "%.*s", (int)body.len,
             body.len == 0 ? "" : (const char *)body.data);
    came("%s", text);
    return text;
}

void tour_serving(void)
{
    copal *c = endpoint(NULL);
    const char *list;

    step("T26", "Write a server");
    did("copal_serve(c, COPAL_GET, \"/time\", COPAL_OBSERVABLE, ...)");
    copal_serve(c, COPAL_GET, "/time", COPAL_OBSERVABLE,
                COPAL_CB(get_time, NULL));
    copal_describe(c, "/time", "rt", "clock");
    did("copal_serve(c, COPAL_GET, \"/hello/{name}\", 0, ...)");
    copal_serve(c, COPAL_GET, "/hello/{name}", 0, COPAL_CB(get_hello, NULL));
    if (copal_listen(c, by("127.0.0.1:0"), 0) == 0) {
        hold(strlen(text_at(c, "/time")) == 8, "it tells the time");
        hold(strcmp(text_at(c, "/hello/Anne"), "Hello, Anne!") == 0,
             "it greets, with what the path says");
        list = text_at(c, "/.well-known/core");
        hold(strstr(list, "</time>;rt=\"clock\";obs") != NULL &&
                 strstr(list, "</hello/%7Bname%7D>") != NULL,
             "both are listed");
    } else {
        hold(0, copal_why(c));
    }
    done_asking();
    copal_free(c);
}
