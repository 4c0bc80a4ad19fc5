/* Reads a socket's datagrams, and its error queue, and hands them in. */
#ifndef CP_NET_INBOX_H
#define CP_NET_INBOX_H

#include "net/udp.h"

/* NULL: out of memory. Freed with cp_free(). */
struct cp_inbox *cp_inbox_new(struct cp_mem *mem);

/* One batch. True: it was full, there may be more. */
bool cp_inbox_receive(struct cp_udp *s);

/* What came back as not delivered: a refused port, no route. */
void cp_inbox_receive_errors(struct cp_udp *s);

#endif
