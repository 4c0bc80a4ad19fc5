/* Messages as datagrams hold them. RFC 7252 3, tokens up to 65804 bytes by
 * RFC 8974 2. */
#ifndef CP_WIRE_DATAGRAM_H
#define CP_WIRE_DATAGRAM_H

#include "wire/message.h"

enum cp_type {
    CP_CON = 0,
    CP_NON = 1,
    CP_ACK = 2,
    CP_RST = 3
};

/* The part that stands even where the rest is malformed. */
struct cp_header {
    uint8_t type; /* enum cp_type */
    uint8_t code;
    uint16_t mid;
    copal_bytes token; /* valid where cp_header_read() gave 0 */
    copal_bytes rest;  /* options and payload */
};

/* COPAL_EFORMAT with type, code and mid filled: the token does not fit, or its
 * length is 15. COPAL_ENOTSUP, nothing filled: under 4 bytes, or not version 1
 * (to be ignored silently, RFC 7252 3). */
int cp_header_read(copal_bytes datagram, struct cp_header *out);

/* Copies a datagram into *out, a message of mem's that is not yet frozen.
 * COPAL_EFORMAT: malformed, or an empty message with token, options or payload
 * (RFC 7252 3, 4.1). COPAL_ELIMIT: over 32768 options. COPAL_ENOMEM. */
int cp_datagram_decode(struct cp_mem *mem, const struct cp_header *header,
                       copal_msg **out);

/* Where both share an address: records of DTLS begin with 20 to 63, CoAP of
 * version 1 with more. RFC 7983 7. */
static inline bool cp_datagram_is_dtls(copal_bytes datagram)
{
    return datagram.len > 0 && datagram.data[0] >= 20 && datagram.data[0] < 64;
}

/* What is wrong with a datagram that the two above refuse as malformed: one
 * sentence, with the offset of the byte. Nothing: it is well-formed. */
void cp_datagram_put_fault(struct cp_buf *out, copal_bytes datagram);

/* Bytes that cp_datagram_encode() will write. */
size_t cp_datagram_size(const copal_msg *m, copal_bytes token);

/* m, which nobody else has, keeps its options and payload as they go from now on, so
 * that it is encoded by one copy, as often as it is; it may not change any more. Its
 * token, which what was received has, it keeps not. COPAL_ENOMEM: it is as it was. */
int cp_datagram_wire(copal_msg *m);

/* Appends m to out with that type, mid and token. COPAL_ELIMIT or COPAL_ENOMEM
 * from the writer; COPAL_EINVAL: token over 65804 bytes. */
int cp_datagram_encode(const copal_msg *m, uint8_t type, uint16_t mid,
                       copal_bytes token, struct cp_buf *out);

/* Options and payload alone, as every transport has them; also what OSCORE
 * encrypts. cp_options_decode() adds options to m and replaces its payload.
 * COPAL_EFORMAT, COPAL_ELIMIT, COPAL_ENOMEM. */
CP_SHARED int cp_options_encode(const copal_msg *m, struct cp_buf *out);
int cp_options_decode(copal_msg *m, copal_bytes rest);

/* One option behind one of number *last, which becomes number. */
void cp_options_put(struct cp_buf *out, uint32_t *last, unsigned number,
                    copal_bytes value);

/* The marker and a payload, unless it is empty. */
void cp_options_put_payload(struct cp_buf *out, copal_bytes payload);

#endif
