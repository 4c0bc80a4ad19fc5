/* What goes out of all sockets of a loop: gathered while the turn runs, sent
 * with one system call a socket at its end. */
#ifndef CP_NET_OUTBOX_H
#define CP_NET_OUTBOX_H

#include "net/udp.h"

/* NULL: out of memory. Freed with cp_free(). */
struct cp_outbox *cp_outbox_new(struct cp_mem *mem);

/* Takes a copy. When there is no room and the system takes nothing more, it is
 * lost, as the network may lose it. */
void cp_outbox_put(struct cp_udp *s, const struct cp_path *path,
                   copal_bytes datagram);

/* o may be NULL in all that follow. */
void cp_outbox_flush(struct cp_outbox *o);

/* Are datagrams waiting for a socket that is blocked. */
bool cp_outbox_is_waiting(const struct cp_outbox *o);

/* Datagrams the system would not send, kept until the engine can be told:
 * that never happens inside cp_link_send(). */
bool cp_outbox_has_failures(const struct cp_outbox *o);
void cp_outbox_tell_failures(struct cp_outbox *o);

/* What an errno says of a datagram: COPAL_EREFUSED, EUNREACH, EPERM, EIO. */
int cp_outbox_status(int error);

#endif
