/* Messages sealed and opened, given keys and numbers: no state, but for the
 * library's. RFC 8613 4, 5.3, 8. */
#ifndef CP_SECURE_OSCORE_SEAL_H
#define CP_SECURE_OSCORE_SEAL_H

#include "secure/oscore_keys.h"
#include "wire/datagram.h"

/* What a request is bound by, and what binds its answers to it. */
struct cp_oscore_bound {
    uint8_t kid[CP_OSCORE_ID], piv[CP_OSCORE_PIV];
    uint8_t kid_len, piv_len;
    uint8_t aad_len; /* 0: aad is not made yet */
    uint8_t aad[CP_OSCORE_AAD];
};

static inline copal_bytes cp_oscore_bound_kid(const struct cp_oscore_bound *b)
{
    return cp_bytes(b->kid, b->kid_len);
}

static inline copal_bytes cp_oscore_bound_piv(const struct cp_oscore_bound *b)
{
    return cp_bytes(b->piv, b->piv_len);
}

/* kid and piv are short enough. */
CP_SHARED void cp_oscore_bind(struct cp_oscore_bound *b, copal_bytes kid,
                              copal_bytes piv);

/* Makes the AAD, which is the same for a request and all that answers it. */
void cp_oscore_bind_aad(struct cp_oscore_bound *b,
                        const struct cp_oscore_keys *k);

/* m, a request or an answer to the one that bound tells of, in *out: its code,
 * payload and options of class E within, those of class U without. head: the
 * option's parts; with a Partial IV it is the sender's, without one the nonce
 * is the request's. COPAL_EINVAL: m has an OSCORE option (RFC 8613 4.1.3.7);
 * COPAL_ENOMEM. */
CP_SHARED int cp_oscore_seal(struct cp_aeads *aeads,
                             const struct cp_oscore_keys *k,
                             const struct cp_oscore_bound *bound,
                             const struct cp_oscore_option *head,
                             const copal_msg *m, copal_msg **out);

/* The message in m, which came: its header, where it came from and options of
 * class U, and what was sealed in it. head as above, of the other end.
 * COPAL_EAUTH: not genuine; COPAL_EFORMAT: genuine, and no message;
 * COPAL_ENOMEM. */
int cp_oscore_open(struct cp_aeads *aeads, const struct cp_oscore_keys *k,
                   const struct cp_oscore_bound *bound,
                   const struct cp_oscore_option *head, const copal_msg *m,
                   copal_msg **out);

/* The same, in the place of *m, which is let go of, and is not the message any more
 * where COPAL_EFORMAT comes of it. */
int cp_oscore_open_as(struct cp_aeads *aeads, const struct cp_oscore_keys *k,
                      const struct cp_oscore_bound *bound,
                      const struct cp_oscore_option *head, copal_msg **m);

#endif
