/* Where the page of counters is given. */
#ifndef CP_NET_METRICS_PLACE_H
#define CP_NET_METRICS_PLACE_H

#include "base/address.h"
#include "base/mem.h"

/* Reads where, as cp_metrics_open() has it. Counters are nobody's business but
 * this host's, unless an address says so. COPAL_EINVAL, with the sentence. */
int cp_metrics_place_read(struct cp_mem *mem, const char *where,
                          struct cp_address *out);

/* A socket that listens there, into *out. 0 or an errno. After an earlier
 * program of the same kind the port is free at once, though its connections are
 * remembered: SO_REUSEADDR. */
int cp_metrics_place_bind(const struct cp_address *at, int *out);

/* The port that fd is bound to. COPAL_EIO: it has none. */
int cp_metrics_place_port(int fd);

#endif
