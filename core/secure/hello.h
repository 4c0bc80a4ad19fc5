/* The identity of a pre-shared key in a client's handshake, read before GnuTLS
 * sees it: its callback cannot wait for a key that is looked up. */
#ifndef CP_SECURE_HELLO_H
#define CP_SECURE_HELLO_H

#include "base/bytes.h"

enum {
    CP_HELLO_CLIENT = 1,        /* type of a ClientHello */
    CP_HELLO_KEY_EXCHANGE = 16, /* of a ClientKeyExchange */
    CP_HELLO_MOST = 65536       /* bytes of a message that is looked into */
};

/* The first identity that a ClientHello offers and that may be a key's: one
 * longer than CP_PSK_IDENTITY is a ticket. body: without the handshake's
 * header; empty: there is none. RFC 8446 4.1.2, 4.2.11. */
copal_bytes cp_hello_identity(copal_bytes body);

/* That of a ClientKeyExchange with a key. RFC 4279 2, RFC 5489 2. */
copal_bytes cp_hello_exchange_identity(copal_bytes body);

#endif
