/* Where security state is kept, as users say it. */
#include "endpoint.h"
#include "base/callback.h"
#include "engine/core.h"
#include "secure/credentials.h"
#include "secure/store.h"

static int ask_application(copal *c, copal_cb cb)
{
    struct cp_handler *h = cp_handler_new(c->mem, 0, cb);

    if (h == NULL)
        return COPAL_ENOMEM;
    c->credentials->store = cp_store_asking(c->mem, c->engine, h);
    return c->credentials->store == NULL ? COPAL_ENOMEM : 0;
}

static int use(copal *c, const char *directory, copal_cb cb)
{
    int err = 0;

    if (c->credentials->store != NULL)
        err = cp_why(c->mem, COPAL_EEXIST,
                     "this endpoint has a store already, and keeps it");
    else if (directory == NULL && cb.fn == NULL)
        err =
            cp_why(c->mem, COPAL_EINVAL, "no directory given, and no callback");
    else if (directory != NULL)
        err =
            cp_store_open(c->mem, c->engine, directory, &c->credentials->store);
    else
        return ask_application(c, cb);
    cp_cb_drop(cb);
    return err;
}

int copal_store(copal *c, const char *directory, copal_cb cb)
{
    int err;

    cp_endpoint_enter(c);
    cp_endpoint_call(c);
    err = use(c, directory, cb);
    cp_endpoint_return(c, c->engine->whose);
    return err;
}
