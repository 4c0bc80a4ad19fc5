/* One page over HTTP/1.1, "GET /metrics", for who collects counters. A small and
 * strict server: 16 connections, of which the oldest that has not asked gives way,
 * 4 kB of head, 5 s each way, one answer, then closed. It never waits, and keeps
 * no endpoint running. */
#ifndef CP_NET_METRICS_H
#define CP_NET_METRICS_H

#include "net/net.h"

/* Listens at where, "9100", ":9100" (both 127.0.0.1), "127.0.0.1:9100",
 * "[::1]:9100", in place of before, and gives the port; where NULL: no more,
 * and 0. COPAL_EINVAL: where; as copal_listen() otherwise. */
int cp_metrics_open(struct cp_net *net, const char *where, struct cp_page page);

/* Closes everything; the memory goes with the handles. */
void cp_metrics_close(struct cp_net *net);

#endif
