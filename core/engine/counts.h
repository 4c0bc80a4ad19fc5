/* What is counted by name beside copal_stats: requests by method, responses by
 * class, limits that refused something. All of it has a fixed size, whatever
 * comes. */
#ifndef CP_ENGINE_COUNTS_H
#define CP_ENGINE_COUNTS_H

#include <stdint.h>
#include "wire/code.h"

enum {
    CP_COUNTED_METHODS = 8, /* 0.01 to 0.07; 0: any other */
    CP_COUNTED_LIMITS = 32  /* the last one takes what finds no place */
};

enum cp_counted_handshake {
    CP_HANDSHAKE_DONE,
    CP_HANDSHAKE_FAILED, /* given up, too */
    CP_HANDSHAKE_SAVED,  /* an association went on without, after a restart */
    CP_COUNTED_HANDSHAKES
};

struct cp_counts {
    uint64_t requests[CP_COUNTED_METHODS]; /* that came, repeats aside */
    uint64_t responses[8]; /* by class, that were to be sent: notifications
                            * too, retransmissions not */
    uint64_t handshakes[CP_COUNTED_HANDSHAKES]; /* of DTLS, either way */
    struct {
        const char *name; /* good for ever; NULL: free */
        uint64_t count;
    } limits[CP_COUNTED_LIMITS];
};

static inline void cp_counts_request(struct cp_counts *c, uint8_t code)
{
    c->requests[code < CP_COUNTED_METHODS ? code : 0]++;
}

static inline void cp_counts_response(struct cp_counts *c, uint8_t code)
{
    c->responses[cp_code_class(code) & 7]++;
}

/* limit is a literal. */
void cp_counts_limit(struct cp_counts *c, const char *limit);

#endif
