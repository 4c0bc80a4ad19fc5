/* Reads a socket's datagrams, and its error queue, and hands them in. */
#ifndef CP_NET_INBOX_H
#define CP_NET_INBOX_H

#include "net/udp.h"

/* NULL: out of memory. Freed with cp_free(). */
struct cp_inbox *cp_inbox_new(struct cp_mem *mem);

/* One batch. 1: it was full, there may be more; 0; or a negative errno: there may
 * be more, too. */
int cp_inbox_receive(struct cp_udp *s);

/* What came back as not delivered: a refused port, no route. A negative errno:
 * it could not be read, and waits on. */
int cp_inbox_receive_errors(struct cp_udp *s);

#endif
