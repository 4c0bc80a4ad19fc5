/* What the header promises and a later version brings: a clear ENOTSUP. */
#include "endpoint.h"

static int not_built_in(copal *c, const char *what)
{
    return cp_why(c->mem, COPAL_ENOTSUP, "%s: not built in yet", what);
}

int copal_via(copal *c, const char *scope, const char *proxy_uri)
{
    (void)scope, (void)proxy_uri;
    return not_built_in(c, "asking through a proxy");
}
