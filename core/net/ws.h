/* WebSocket, between a connection and its messages: one in each binary frame.
 * RFC 6455, RFC 8323 4. */
#ifndef CP_NET_WS_H
#define CP_NET_WS_H

#include "engine/security.h"
#include "net/stream.h"

/* A pipe of WebSocket on top of below: client or server, as asked says.
 * COPAL_ENOMEM. */
int cp_ws_new(struct cp_net *net, struct cp_pipe *below,
              const struct cp_asked *asked, struct cp_pipe **out);

/* Pages of that origin ("https://example.org") may connect, besides those of the
 * server's own host; "*": any. COPAL_ENOMEM, COPAL_EINVAL: none of these. */
int cp_ws_allow(struct cp_net *net, const char *origin);

/* Those of the server's own host may connect by that name ("device.example") as
 * well; "*": by any. COPAL_ENOMEM, COPAL_EINVAL: none of these. */
int cp_ws_allow_host(struct cp_net *net, const char *name);

/* All of both. */
void cp_ws_forget(struct cp_net *net);

#endif
