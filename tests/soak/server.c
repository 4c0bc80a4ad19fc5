/* server: what soak.c asks, at a free port of 127.0.0.1, which it tells; strangers
 * are guarded against as if they came from elsewhere. */
#include <copal.h>
#include <stdio.h>

static uint8_t large[1300];
static unsigned ticks;

static void get_test(const copal_event *ev, void *user)
{
    (void)user;
    copal_reply_text(ev->exchange, COPAL_CONTENT, "a small answer");
}

static void get_large(const copal_event *ev, void *user)
{
    (void)user;
    copal_reply(ev->exchange, COPAL_CONTENT, COPAL_OCTETS,
                (copal_bytes){large, sizeof(large)});
}

static void change(const copal_event *ev, void *user)
{
    (void)user;
    copal_reply(ev->exchange, COPAL_CHANGED, COPAL_NO_FORMAT,
                (copal_bytes){NULL, 0});
}

static void get_obs(const copal_event *ev, void *user)
{
    char text[16];

    (void)user;
    snprintf(text, sizeof(text), "tick %u", ticks);
    copal_reply_text(ev->exchange, COPAL_CONTENT, text);
}

static void tick(const copal_event *ev, void *user)
{
    copal *c = user;

    (void)ev;
    ticks++;
    copal_notify(c, "/obs");
    copal_after(c, 1000, COPAL_CB(tick, c));
}

static void later(const copal_event *ev, void *user)
{
    (void)ev;
    copal_reply_text(user, COPAL_CONTENT, "a second later");
}

static void let_go(void *user)
{
    copal_exchange_unref(user);
}

static void get_separate(const copal_event *ev, void *user)
{
    if (ev->kind == COPAL_REQUEST)
        copal_after(
            user, 1000,
            COPAL_CB_OWN(later, copal_exchange_ref(ev->exchange), let_go));
}

int main(void)
{
    copal *c = copal_new(NULL);
    int port;

    if (c == NULL)
        return 1;
    copal_tune(c, NULL, COPAL_P_GUARD_LOOPBACK, 1);
    copal_tune(c, NULL, COPAL_P_MAX_OBSERVERS, 10000); /* soon full */
    copal_serve(c, COPAL_GET, "/test", 0, COPAL_CB(get_test, NULL));
    copal_serve(c, COPAL_GET, "/large", 0, COPAL_CB(get_large, NULL));
    copal_serve(c, COPAL_PUT, "/large-update", 0, COPAL_CB(change, NULL));
    copal_serve(c, COPAL_GET, "/obs", COPAL_OBSERVABLE,
                COPAL_CB(get_obs, NULL));
    copal_serve(c, COPAL_GET, "/separate", 0, COPAL_CB(get_separate, c));
    copal_after(c, 1000, COPAL_CB(tick, c));
    if (copal_listen(c, "coap://127.0.0.1:0", 0) != 0) {
        fprintf(stderr, "%s\n", copal_why(c));
        return 1;
    }
    port = copal_metrics(c, "0");
    printf("metrics at http://127.0.0.1:%d/metrics\n", port);
    printf("listening on %s\n", copal_local(c, 0));
    fflush(stdout);
    copal_run(c);
    copal_free(c);
    return 0;
}
