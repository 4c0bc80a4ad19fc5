/* Where the endpoint listens. */
#ifndef CP_NET_LISTEN_H
#define CP_NET_LISTEN_H

#include "net/net.h"
#include "wire/uri.h"

/* As the driver's listen(): for datagrams, for DTLS, and for connections. */
int cp_listen_udp(struct cp_net *net, const struct cp_uri *base,
                  const char *text, unsigned flags);
int cp_listen_dtls(struct cp_net *net, const struct cp_uri *base,
                   const char *text, unsigned flags);
int cp_listen_tcp(struct cp_net *net, const struct cp_uri *base,
                  const char *text, unsigned flags);

/* As copal_take_over() and copal_hand_over(). */
int cp_listen_take_over(struct cp_net *net, int fd);
int cp_listen_hand_over(struct cp_net *net, size_t i);

/* The i-th URI listened at; NULL past the last. */
const char *cp_listen_uri(const struct cp_net *net, size_t i);

/* Writes the sentence for an errno of binding to what. */
int cp_listen_error(struct cp_mem *mem, const char *what, int error);

#endif
