/* The value of the OSCORE option: a COSE object's head, compressed. RFC 8613
 * 6.1. */
#ifndef CP_SECURE_OSCORE_OPTION_H
#define CP_SECURE_OSCORE_OPTION_H

#include "base/buf.h"

enum {
    CP_OSCORE_PIV = 5, /* bytes of a Partial IV at most */
    CP_OSCORE_ID = 7,  /* of a Sender or Recipient ID: a nonce of 13 less 6 */
    CP_OSCORE_ID_CONTEXT = 64, /* of an ID Context; a choice of ours */
    /* Of the whole option of ours: flags, Partial IV, length, kid context in a
     * byte string, kid. */
    CP_OSCORE_VALUE = 1 + 5 + 1 + 2 + 64 + 7
};

#define CP_OSCORE_LAST_SEQ ((UINT64_C(1) << 40) - 1) /* RFC 8613 7.2.1 */

/* Views into what was read, or is to be written. */
struct cp_oscore_option {
    copal_bytes piv;     /* 1 to 5 bytes; len 0: there is none */
    copal_bytes context; /* 'kid context', at most 255 bytes */
    copal_bytes kid;
    bool has_context, has_kid; /* either may be there and empty */
};

/* COPAL_EFORMAT: reserved bits or lengths, parts that are cut off, bytes behind
 * the last of them, or a flags byte without flags, which is written as
 * nothing. */
int cp_oscore_option_decode(copal_bytes value, struct cp_oscore_option *out);

void cp_oscore_option_put(struct cp_buf *out, const struct cp_oscore_option *o);

/* The shortest Partial IV of a number: 0 is one byte. */
CP_SHARED copal_bytes cp_oscore_piv(uint64_t seq, uint8_t storage[8]);

#endif
