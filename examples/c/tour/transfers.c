/* T23 to T25: observing, large bodies, and who one is to the server. */
#include "tour.h"

#include <stdio.h>
#include <string.h>

/* ---- T23 ---- */

struct watched {
    copal *c;
    uint64_t began, times[3];
    int seen, left; /* left: RESPONSEs after we said we leave */
    int status;
    int over;
};

static void on_time(const copal_event *ev, void *user)
{
    struct watched *w = user;

    if (ev->kind == COPAL_RESPONSE && w->seen == 3) {
        w->left++;
    } else if (ev->kind == COPAL_RESPONSE) {
        copal_bytes body = copal_msg_payload(ev->msg);

        w->times[w->seen++] = copal_now(w->c) - w->began;
        came("%5llu ms  %.*s", (unsigned long long)w->times[w->seen - 1],
             (int)body.len, (const char *)body.data);
        if (w->seen == 3)
            copal_cancel(ev->exchange);
    } else if (ev->kind == COPAL_END) {
        w->status = ev->status;
        w->over = 1;
        copal_stop(w->c);
    }
}

static void say(const copal_event *ev, void *user)
{
    (void)user;
    copal_reply_text(ev->exchange, COPAL_CONTENT, "now");
}

static void stop_at_first(const copal_event *ev, void *user)
{
    if (ev->kind == COPAL_RESPONSE)
        copal_stop(user);
}

static void stop(const copal_event *ev, void *user)
{
    (void)ev;
    copal_stop(user);
}

/* On an endpoint that observes itself both ends can be seen. */
static void count_observers(void)
{
    copal *c = endpoint(NULL);
    copal_stats stats = {.size = sizeof(stats)};
    copal_exchange *x;
    uint64_t before;

    copal_serve(c, COPAL_GET, "/now", COPAL_OBSERVABLE, COPAL_CB(say, NULL));
    copal_listen(c, by("127.0.0.1:0"), 0);
    x = copal_observe(c, at(copal_local(c, 0), "/now"),
                      COPAL_CB(stop_at_first, c));
    copal_exchange_ref(x);
    copal_run(c);
    copal_get_stats(c, &stats);
    before = stats.observers;
    copal_cancel(x);
    copal_exchange_unref(x);
    copal_after(c, 200, COPAL_CB(stop, c));
    copal_run(c);
    copal_get_stats(c, &stats);
    came("observers of a server: %llu, after copal_cancel(): %llu",
         (unsigned long long)before, (unsigned long long)stats.observers);
    hold(before == 1 && stats.observers == 0,
         "who leaves is taken off the server's list");
    copal_free(c);
}

void tour_observe(copal *c, const char *uri)
{
    struct watched w = {.c = c, .began = copal_now(c)};

    step("T23", "Observe /time: the first value, and one every 5 s");
    did("copal_observe(c, \"%s\", COPAL_CB(on_time, &w))", at(uri, "/time"));
    copal_observe(c, at(uri, "/time"), COPAL_CB(on_time, &w));
    while (!w.over && copal_run(c) == 0)
        ;
    did("copal_cancel(ev->exchange)      after the third");
    hold(w.seen == 3 && w.times[0] < 1000, "the first value came at once");
    hold(w.times[2] - w.times[1] > 4000 && w.times[2] - w.times[1] < 6000,
         "the others 5 s apart, also when the text is the same");
    hold(w.status == COPAL_ECANCEL && w.left == 0,
         "then END with ECANCEL, and nothing more");
    count_observers();
}

/* ---- T24 ---- */

static uint64_t datagrams(copal *c)
{
    copal_stats stats = {.size = sizeof(stats)};

    copal_get_stats(c, &stats);
    return stats.datagrams_out;
}

void tour_blocks(copal *c, const char *uri)
{
    static uint8_t text[3000];
    copal_msg *m = copal_msg_new(c, COPAL_PUT);
    uint64_t before = datagrams(c);
    copal_bytes body;
    struct answer *a;

    step("T24", "PUT, then GET a body of several blocks");
    for (size_t i = 0; i < sizeof(text); i++)
        text[i] = i % 60 == 59 ? '\n' : (uint8_t)('a' + i % 26);
    did("copal_msg_set_payload(m, COPAL_TEXT, 3000 bytes)");
    copal_msg_set_uri(m, at(uri, "/other/block"));
    copal_msg_set_payload(m, COPAL_TEXT, (copal_bytes){text, sizeof(text)});
    a = ask(c, m);
    copal_msg_unref(m);
    came("%s", copal_msg_print(a->msg, COPAL_LINE));
    hold(copal_msg_code(a->msg) == COPAL_CHANGED, "it was taken");

    a = get(c, at(uri, "/other/block"));
    did("copal_get(c, \"%s\", ...)", at(uri, "/other/block"));
    came("%s", copal_msg_print(a->msg, COPAL_LINE));
    came("%llu datagrams went out for both",
         (unsigned long long)(datagrams(c) - before));
    body = copal_msg_payload(a->msg);
    hold(body.len == sizeof(text) && memcmp(body.data, text, body.len) == 0,
         "it came back the same");
    hold(datagrams(c) - before >= 6 || strchr(uri, '+') != NULL,
         "in blocks of 1,024 bytes, unseen, or whole by a connection");
}

/* ---- T25 ---- */

static void who_am_i(copal *c, const char *uri)
{
    struct answer *a = get(c, at(uri, "/whoami"));
    copal_bytes body = copal_msg_payload(a->msg);
    char text[512];

    snprintf(text, sizeof(text), "%.*s", (int)body.len,
             (const char *)body.data);
    did("copal_get(c, \"%s\", ...)", at(uri, "/whoami"));
    came("%s", text);
    hold(strstr(text, "coap") != NULL &&
             strstr(text, strstr(copal_msg_local(a->msg), "//") + 2) &&
             strstr(text, strstr(copal_msg_remote(a->msg), "//") + 2),
         "the server sees our address, and its own, as we do");
    hold((strstr(text, "identity: none") == NULL) == has_credentials(),
         "and who we have proved to be, if anybody");
}

void tour_whoami(copal *c, const char *uri, const char *uri6)
{
    step("T25", "Who am I to the server");
    who_am_i(c, uri);
    if (uri6 != NULL)
        who_am_i(c, uri6);
}
