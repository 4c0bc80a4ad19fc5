/* Where a request's URI leads, and the options that say it on the wire. Counted
 * and never changed: requests to one URI share it, and the URIs asked for last
 * are read once. */
#ifndef CP_WIRE_TARGET_H
#define CP_WIRE_TARGET_H

#include "wire/message.h"

struct cp_target {
    _Atomic uint32_t refs;
    int error;       /* 0, or what was wrong with uri; then why says it */
    const char *uri; /* as typed */
    size_t uri_len;
    const char *host; /* decoded name or literal with zone, no brackets */
    const char *why;
    int scheme; /* enum cp_scheme */
    uint16_t port;
    bool is_literal;
    bool is_multicast;         /* a literal, and a group's */
    struct cp_address address; /* of a literal without a zone, which may come
                                * and go; else family 0 */
    uint16_t option_count;
    uint32_t value_size; /* bytes of all options' values */
    uint8_t *options;    /* of each number, length (16 bits), value */
};

/* What text leads to, ref'd. COPAL_EURI, with its sentence; COPAL_ENOMEM. */
int cp_target_find(struct cp_mem *mem, const char *text,
                   struct cp_target **out);
/* What text would have led to: its error, and why. NULL: out of memory. */
struct cp_target *cp_target_bad(struct cp_mem *mem, const char *text, int error,
                                const char *why);

struct cp_target *cp_target_ref(struct cp_target *t);
void cp_target_unref(struct cp_mem *mem, struct cp_target *t); /* or NULL */

/* m leads there from now on. COPAL_ENOMEM, COPAL_ELIMIT: nothing changed. */
int cp_target_set(struct cp_target *t, copal_msg *m);

#endif
