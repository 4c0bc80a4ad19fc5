/* Captures that Wireshark and tshark read: pcapng blocks of IP packets, whose
 * headers are made up around messages. */
#ifndef CP_BASE_PCAPNG_H
#define CP_BASE_PCAPNG_H

#include "base/address.h"
#include "base/buf.h"

enum {
    CP_PCAPNG_BEGINNING = 48 /* bytes */
};

/* What a file begins with. */
void cp_pcapng_begin(struct cp_buf *b);

/* One message that went from one address to another, at us microseconds since
 * 1970. The lower port of the two is written as known_port: by it a reader
 * tells the protocol. A simulated host gets an address of 10.0.0.0/8, an
 * unknown one none. What is really known stands in the packet's comment.
 * message has at most 65,000 bytes; else nothing is written. */
void cp_pcapng_put(struct cp_buf *b, uint64_t us, const struct cp_address *from,
                   const struct cp_address *to, uint16_t known_port,
                   copal_bytes message);

#endif
