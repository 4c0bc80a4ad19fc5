/* server [URI]: a clock to observe, a greeting by name, a note to keep. */
#include <copal.h>
#include <err.h>
#include <stdio.h>
#include <time.h>

static void get_time(const copal_event *ev, void *user)
{
    time_t now = time(NULL);

    (void)user;
    copal_reply_text(ev->exchange, COPAL_CONTENT, ctime(&now));
}

static void tick(const copal_event *ev, void *user)
{
    (void)ev;
    copal_notify(user, "/time"); /* asks get_time() for all who observe */
    copal_after(user, 1000, COPAL_CB(tick, user));
}

static void get_hello(const copal_event *ev, void *user)
{
    const char *name = copal_exchange_param(ev->exchange, "name");
    char text[80];

    snprintf(text, sizeof(text), "%s, %s!", (const char *)user, name);
    copal_reply_text(ev->exchange, COPAL_CONTENT, text);
}

static void on_note(const copal_event *ev, void *user)
{
    copal_msg **note = user;
    int is_put = copal_msg_code(ev->msg) == COPAL_PUT;

    if (is_put) { /* to keep a body, keep its message: it never changes */
        copal_msg_unref(*note);
        *note = copal_msg_ref(ev->msg);
    }
    copal_reply(ev->exchange, is_put ? COPAL_CHANGED : COPAL_CONTENT,
                COPAL_TEXT, copal_msg_payload(*note));
}

int main(int argc, char **argv)
{
    copal_msg *note = NULL;
    copal *c = copal_new(NULL);

    if (c == NULL || copal_listen(c, argc > 1 ? argv[1] : "coap://*", 0) != 0)
        errx(1, "%s", c == NULL ? "out of memory" : copal_why(c));
    copal_serve(c, COPAL_GET, "/time", COPAL_OBSERVABLE,
                COPAL_CB(get_time, NULL));
    copal_serve(c, COPAL_GET, "/hello/{name}", 0, COPAL_CB(get_hello, "Hello"));
    copal_serve(c, COPAL_GET, "/note", 0, COPAL_CB(on_note, &note));
    copal_serve(c, COPAL_PUT, "/note", 0, COPAL_CB(on_note, &note));
    copal_after(c, 1000, COPAL_CB(tick, c));
    fprintf(stderr, "listening on %s\n", copal_local(c, 0));
    return copal_run(c); /* for ever */
}
