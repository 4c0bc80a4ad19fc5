/* A handshake under way, or just done: what dtls_shake_gnutls.c and
 * dtls_cid_gnutls.c share. */
#ifndef CP_SECURE_DTLS_SHAKE_H
#define CP_SECURE_DTLS_SHAKE_H

#include "secure/dtls.h"
#include "secure/session_gnutls.h"

struct cp_dtls_shake {
    struct cp_dtls_session *session;
    struct cp_session *proof; /* the library's session, and whom it proves */
    struct cp_dtls_flight *flight;
    struct cp_timer timer; /* the flight is sent again, or it is given up */
    uint64_t until;        /* ms: then it is given up */
    uint32_t wait_ms;      /* before the next repeat */
    uint8_t random[32];    /* of the ClientHello; ours: unused */
    copal_bytes in;        /* the record that the library may take; or empty */
    struct cp_list routes; /* struct cp_route: who waits */
    struct cp_lookup lookup;
    bool waits;               /* for it; what comes meanwhile is held */
    struct cp_buf held;       /* records */
    bool heard;               /* since our last flight: what goes is the next */
    bool offers_cid;          /* the peer does; or, ours, was told of one */
    bool knows_in, knows_out; /* session->protect has that key */
    bool showed_key; /* something sealed has left: the peer may check it */
};

static inline struct cp_dtls_shake *cp_dtls_shake_of(gnutls_session_t tls)
{
    return ((struct cp_session *)gnutls_session_get_ptr(tls))->user;
}

/* Notes the keys of a way, once there are some. False: there are none, or of a
 * suite that is none of ours. */
bool cp_dtls_shake_learn(struct cp_dtls_shake *k, bool is_in);

/* A look-up says whether the peer's public key is to be trusted. */
void cp_dtls_shake_trusted(struct cp_dtls_session *s, bool is_trusted);

/* ---- dtls_lookup_gnutls.c ---- */

/* Is r to wait for a look-up? Then it is fed again when that has come back. */
bool cp_dtls_lookup_holds(struct cp_dtls_shake *k, const struct cp_record *r);

/* The peer's key is looked up; cp_dtls_shake_trusted() follows. False: it cannot
 * be. */
bool cp_dtls_lookup_trust(struct cp_dtls_shake *k);

/* ---- dtls_cid_gnutls.c ---- */

/* Offers a Connection ID, or will answer the peer's. A library that has its own
 * idea of them is left alone: then there are none. */
void cp_dtls_cid_offer(struct cp_dtls_shake *k);

/* The record as the library may have it, in out: a record without Connection ID.
 * Empty: not for it. */
copal_bytes cp_dtls_cid_in(struct cp_dtls_shake *k, const struct cp_record *r,
                           uint8_t *out, size_t cap);

#endif
