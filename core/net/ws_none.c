#include "net/ws.h"

#include "base/mem.h"

static int not_built_in(const struct cp_net *net, const char *what)
{
    return cp_why(net->driver->mem, COPAL_ENOTSUP,
                  "%s: WebSocket is not built in; build copal with GnuTLS and "
                  "wslay (COPAL_TLS=gnutls)",
                  what);
}

int cp_ws_new(struct cp_net *net, struct cp_pipe *below,
              const struct cp_asked *asked, struct cp_pipe **out)
{
    (void)below;
    (void)out;
    return not_built_in(net, asked->host == NULL ? "connection" : asked->host);
}

int cp_ws_allow(struct cp_net *net, const char *origin)
{
    return not_built_in(net, origin);
}

int cp_ws_allow_host(struct cp_net *net, const char *name)
{
    return not_built_in(net, name);
}

void cp_ws_forget(struct cp_net *net)
{
    (void)net;
}
