/* A received message as bytes of someone else's memory: for who may be asked for it
 * again, but hardly ever is. */
#ifndef CP_WIRE_MESSAGE_PACK_H
#define CP_WIRE_MESSAGE_PACK_H

#include "wire/message.h"

/* What m says, as bytes at to, which need not be aligned; how many. To is untouched if
 * they are more than the room; and if m is not only bytes, or has more than some 250 of
 * them, which is 0. Such is what we made ourselves, what came sealed, in blocks, or from
 * somebody who is named. Of the request that m answers its code and URI are kept. Texts
 * that m keeps are made again when wanted. */
CP_SHARED size_t cp_msg_pack(const copal_msg *m, void *to, size_t room);

/* Reads the same as the one that was packed, and is frozen. NULL: out of memory. */
CP_SHARED copal_msg *cp_msg_unpack(struct cp_mem *mem, const void *packed);

#endif
