/* A watch behind an exchange. */
#include "endpoint.h"
#include "engine/ask.h"
#include "engine/core.h"
#include "engine/record.h"
#include "serve/watch.h"

static void tell(void *user, int kind, int status, const char *text,
                 const copal_msg *msg)
{
    copal_exchange *x = user;
    struct cp_event *ev;
    copal_msg *shown = (copal_msg *)msg;

    if (x->over)
        return;
    ev = cp_exchange_tell(x, kind, shown);
    if (ev == NULL)
        return; /* out of memory: the next one tells */
    ev->status = status;
    if (text != NULL)
        ev->text = ev->own_text = cp_copy_text(x->mem, text, strlen(text));
}

static void over(void *user, int status, const char *text)
{
    cp_ask_finish(user, status, text == NULL ? "" : text);
}

static uint64_t random_up_to(void *user, uint64_t most)
{
    copal_exchange *x = user;

    return cp_random_below(&x->engine->random, most + 1);
}

static void stop(void *watch)
{
    cp_watch_free(watch);
}

static void pause(void *watch, bool paused)
{
    cp_watch_pause(watch, paused);
}

/* In patience's time a confirmable is sent three times and answered. */
static struct cp_watch_terms terms_of(const copal_exchange *x)
{
    uint64_t timeout = (uint64_t)cp_exchange_param(x, COPAL_P_ACK_TIMEOUT);
    uint64_t percent = (uint64_t)cp_exchange_param(x, COPAL_P_ACK_RANDOM);

    return (struct cp_watch_terms){
        .silence = (uint64_t)cp_exchange_param(x, COPAL_P_SILENCE),
        .patience = 3 * timeout * percent / 100 + 1000,
    };
}

copal_exchange *cp_endpoint_watch(copal *c, copal_msg *m, copal_cb cb)
{
    copal_exchange *x = cp_ask_open(c->engine, m, cb);
    struct cp_watch *w;
    unsigned was;

    if (x == NULL)
        return NULL;
    if (m->is_multicast) {
        cp_exchange_fail(x, COPAL_EINVAL,
                         "%s: a group is not watched; observe it, or watch its "
                         "members",
                         copal_msg_uri(m));
        return x;
    }
    was = cp_record_inner(c->engine);
    w = cp_watch_new(
        c->mem, c, m, terms_of(x),
        (struct cp_watch_face){tell, over, cp_ask_again, random_up_to, x});
    cp_record_return(c->engine, was);
    if (w == NULL)
        cp_exchange_fail(x, COPAL_ENOMEM, NULL);
    else
        cp_ask_of(x)->source = (struct cp_ask_source){stop, pause, w};
    return x;
}
