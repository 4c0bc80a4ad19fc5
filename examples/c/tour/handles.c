/* T11 to T14: the handle of a request, its answer, and the endpoint. */
#include "tour.h"

#include <stdio.h>
#include <string.h>

/* ---- A request ---- */

static void t12_wait(copal *c, struct answer *a)
{
    copal_wire wire = {.size = sizeof(wire)};
    copal_bytes body;

    step("T12", "Wait for it: the whole response");
    did("copal_run(c)");
    while (!a->over && copal_run(c) == 0)
        ;
    hold(a->status == 0 && a->msg != NULL, "RESPONSE came, then END with 0");
    copal_msg_wire(a->msg, &wire);
    body = copal_msg_payload(a->msg);
    came("code        %s", copal_name(COPAL_CODES, copal_msg_code(a->msg)));
    came("remote      %s", copal_msg_remote(a->msg));
    came("payload     %.*s", (int)body.len, (const char *)body.data);
    came("type        %d (0 CON, 1 NON, 2 ACK)", wire.type);
    came("message id  %d", wire.mid);
    came("token       %zu bytes", wire.token.len);
    came("or at once: %s", copal_msg_print(a->msg, COPAL_LINE));
    hold(copal_msg_code(a->msg) == COPAL_CONTENT && body.len == 16 &&
             wire.token.len > 0 &&
             (wire.type == 2 || strchr(copal_msg_remote(a->msg), '+') != NULL),
         "a time of 16 characters, piggybacked on the ACK, if by UDP");
}

void tour_handles(copal *c, const char *uri)
{
    struct answer a = {.c = c};
    copal_exchange *x;
    const char *line;

    step("T11", "A request returns at once");
    did("x = copal_get(c, \"%s\", COPAL_CB(on_event, &a))", at(uri, "/time"));
    x = copal_get(c, at(uri, "/time"), into(&a));
    line = copal_msg_print(copal_exchange_request(x), COPAL_LINE);
    did("copal_msg_print(copal_exchange_request(x), COPAL_LINE)");
    came("%s", line);
    hold(!a.over && a.msg == NULL, "nothing was answered before it returned");
    hold(strstr(line, at(uri, "/time")) != NULL,
         "the handle tells what was asked");

    t12_wait(c, &a);
    step("T13", "Ways to wait");
    came("In C there is one: a callback, called by copal_run(), by");
    came("copal_step() in a loop of your own, or by a shared libuv loop.");
    copal_msg_unref(a.msg);
}

/* ---- An endpoint ---- */

static void hello(const copal_event *ev, void *user)
{
    ++*(int *)user;
    copal_reply_text(ev->exchange, COPAL_CONTENT, "hello");
}

/* The port that the scheme means, if nobody has it; else any. */
static const char *listen_at(copal *c)
{
    if (copal_listen(c, by("127.0.0.1"), 0) != 0 &&
        copal_listen(c, by("127.0.0.1:0"), 0) != 0)
        return NULL;
    return copal_local(c, 0);
}

static void ask_itself(copal *c, const char *uri)
{
    copal_stats stats = {.size = sizeof(stats)};
    struct answer *a = NULL;
    char usual[80];
    int asked = 0;

    copal_serve(c, COPAL_GET, "/hello", 0, COPAL_CB(hello, &asked));
    did("copal_serve(c, COPAL_GET, \"/hello\", 0, COPAL_CB(hello, &asked))");
    did("copal_get(c, \"%s\", ...), a hundred times", at(uri, "/hello"));
    for (int i = 0; i < 100; i++)
        a = get(c, at(uri, "/hello"));
    came("%s", copal_msg_print(a->msg, COPAL_LINE));
    copal_get_stats(c, &stats);
    came("%d answers, %zu bytes of memory", asked, (size_t)stats.memory);
    hold(asked == 100 && a->status == 0,
         "one endpoint asked and answered all of them");
    snprintf(usual, sizeof(usual), "%s:%d", by("127.0.0.1"), usual_port());
    if (strcmp(uri, usual) == 0)
        hold(strcmp(copal_msg_remote(a->msg), by("127.0.0.1")) == 0,
             "T16: the port is shown only if it is not the scheme's own");
    done_asking();
}

void tour_endpoint(void)
{
    copal *c = copal_new(NULL);
    uint64_t began = copal_now(c), took;
    const char *uri;

    step("T14", "One endpoint: cheap, reused, client and server in one");
    did("copal_new(NULL), copal_free(c), a hundred times");
    for (int i = 0; i < 100; i++)
        copal_free(copal_new(NULL));
    took = copal_now(c) - began;
    copal_free(c);
    came("%llu ms", (unsigned long long)took);
    hold(took < 1000, "an endpoint is made within milliseconds");

    c = endpoint(NULL);
    uri = listen_at(c);
    hold(uri != NULL, "it listens");
    if (uri != NULL)
        ask_itself(c, uri);
    copal_free(c);
}
