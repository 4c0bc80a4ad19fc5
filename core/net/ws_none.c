#include "net/ws.h"

#include "base/mem.h"

int cp_ws_new(struct cp_net *net, struct cp_pipe *below, const char *host,
              struct cp_pipe **out)
{
    (void)below;
    (void)host;
    (void)out;
    return cp_why(net->driver->mem, COPAL_ENOTSUP, "WebSocket: not built in");
}

int cp_ws_allow(struct cp_net *net, const char *origin)
{
    return cp_why(net->driver->mem, COPAL_ENOTSUP,
                  "%s: WebSocket is not built in", origin);
}

void cp_ws_forget(struct cp_net *net)
{
    (void)net;
}
