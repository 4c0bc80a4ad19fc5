/* bench-server PORT: answers made once, for any number of requests. NOTIFY_CON=1
 * in the environment makes notifications confirmable. */
#include <copal.h>
#include <stdio.h>
#include <stdlib.h>

static copal_msg *hello, *big, *changed, *value;
static unsigned version;

static copal_msg *answer(copal *c, int code, const void *body, size_t len)
{
    copal_msg *m = copal_msg_new(c, code);

    copal_msg_set_payload(m, COPAL_NO_FORMAT, (copal_bytes){body, len});
    return m;
}

static void set_value(copal *c)
{
    char text[16];
    int len = snprintf(text, sizeof(text), "value %06u", version++ % 1000000);

    copal_msg_unref(value); /* whoever still sends it has a reference */
    value = answer(c, COPAL_CONTENT, text, (size_t)len);
    copal_msg_set_flags(value, getenv("NOTIFY_CON") ? 0 : COPAL_NON);
}

static void give(const copal_event *ev, void *user)
{
    copal_respond(ev->exchange, *(copal_msg **)user);
}

static void put_obs(const copal_event *ev, void *user)
{
    set_value(user);
    copal_respond(ev->exchange, changed);
    copal_notify(user, "/obs");
}

int main(int argc, char **argv)
{
    static uint8_t kilobyte[1024];
    char where[32];
    copal *c = copal_new(NULL);

    snprintf(where, sizeof(where), "coap://*:%s", argc > 1 ? argv[1] : "5683");
    hello = answer(c, COPAL_CONTENT, "hello, world", 12);
    big = answer(c, COPAL_CONTENT, kilobyte, sizeof(kilobyte));
    changed = answer(c, COPAL_CHANGED, NULL, 0);
    set_value(c);
    copal_serve(c, COPAL_GET, "/hello", 0, COPAL_CB(give, &hello));
    copal_serve(c, COPAL_GET, "/big", 0, COPAL_CB(give, &big));
    copal_serve(c, COPAL_PUT, "/sink", 0, COPAL_CB(give, &changed));
    copal_serve(c, COPAL_GET, "/obs", COPAL_OBSERVABLE, COPAL_CB(give, &value));
    copal_serve(c, COPAL_PUT, "/obs", 0, COPAL_CB(put_obs, c));
    if (copal_listen(c, where, 0) != 0 || copal_run(c) != 0)
        fprintf(stderr, "%s\n", copal_why(c));
    return 1; /* what serves ends by a signal */
}
