/* TCP: the pipe at the bottom of every connection, and sockets that listen for
 * them. */
#ifndef CP_NET_TCP_H
#define CP_NET_TCP_H

#include "engine/pipe.h"
#include "net/net.h"
#include "wire/uri.h"

/* A connection to to, on its way; from: where it leaves from, family 0: any.
 * Whoever is put on top hears opened() or closed(). COPAL_E* with mem's
 * sentence. */
int cp_tcp_connect(struct cp_net *net, const struct cp_address *to,
                   const struct cp_address *from, struct cp_pipe **out);

/* A pipe on the socket fd, which is taken over in any case; is_open, or about to
 * connect. COPAL_ENOMEM. */
int cp_tcp_adopt(struct cp_net *net, int fd, const struct cp_path *path,
                 bool is_open, struct cp_pipe **out);

/* Our own end of it, once it is open; false: the system does not tell. */
bool cp_tcp_local_end(const struct cp_pipe *p, struct cp_address *out);

struct cp_tcp_listener;

/* Listens at local, of which port 0 becomes a real one. flags as of
 * copal_listen(). 0, or an errno. Nobody is accepted before start. */
int cp_tcp_listen(struct cp_net *net, const struct cp_address *local,
                  unsigned flags, struct cp_tcp_listener **out);
void cp_tcp_start(struct cp_tcp_listener *l, int scheme);
void cp_tcp_close(struct cp_tcp_listener *l);
const struct cp_address *cp_tcp_local(const struct cp_tcp_listener *l);

/* "coap+tcp://[::1]:5683" of the i-th that listens; NULL: there is none. */
const char *cp_tcp_uri(const struct cp_net *net, size_t i);

/* All that listen are closed. */
void cp_tcp_close_all(struct cp_net *net);

#endif
