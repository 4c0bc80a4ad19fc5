/* Concise problem details, RFC 9290: struct copal_problem as CBOR and back. */
#ifndef CP_WIRE_PROBLEM_H
#define CP_WIRE_PROBLEM_H

#include "base/buf.h"

enum {
    CP_PROBLEM_DEPTH = 16,  /* how deep its items may be nested */
    CP_PROBLEM_ENTRIES = 64 /* the most that it may have */
};

/* Reads payload into *out, untouched on failure but for its size; its texts are
 * views of payload. COPAL_EFORMAT: not well-formed CBOR, or not as RFC 9290 2
 * and A.2 have it; known texts in chunks, too. COPAL_ELIMIT: deeper or more
 * than above, or a key beyond 63 bits. */
int cp_problem_read(copal_bytes payload, copal_problem *out);

/* Appends p, and of p->entries what p has no field for. The order of keys is
 * deterministic, RFC 8949 4.2.1. COPAL_EINVAL: what cp_problem_read() would
 * not take. COPAL_ENOMEM. Not with fixed storage. */
int cp_problem_write(struct cp_buf *out, const copal_problem *p);

#endif
