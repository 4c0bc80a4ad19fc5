/* slow [URI]: /slow answers after three seconds. The library acknowledges the
 * request in time; the answer goes out in a message of its own. */
#include <copal.h>
#include <err.h>
#include <stdio.h>

static void on_time(const copal_event *ev, void *user)
{
    (void)ev;
    copal_reply_text(user, COPAL_CONTENT, "worth the wait");
    /* ESTATE if the asker left meanwhile, which is all the same to us. */
}

static void let_go(void *user)
{
    copal_exchange_unref(user);
}

static void get_slow(const copal_event *ev, void *user)
{
    if (ev->kind != COPAL_REQUEST) /* END: an unanswered asker left */
        return;
    /* The timer owns a reference to the exchange, and let_go() gives it back
     * also when the timer never comes. */
    copal_after(
        user, 3000,
        COPAL_CB_OWN(on_time, copal_exchange_ref(ev->exchange), let_go));
}

int main(int argc, char **argv)
{
    copal *c = copal_new(NULL);

    if (c == NULL || copal_listen(c, argc > 1 ? argv[1] : "coap://*", 0) != 0)
        errx(1, "%s", c == NULL ? "out of memory" : copal_why(c));
    copal_serve(c, COPAL_GET, "/slow", 0, COPAL_CB(get_slow, c));
    fprintf(stderr, "listening on %s\n", copal_local(c, 0));
    return copal_run(c); /* for ever */
}
