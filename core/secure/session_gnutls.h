/* One TLS or DTLS session of GnuTLS, from the endpoint's credentials: what
 * streams and datagrams have in common. How bytes get in and out is the
 * caller's (gnutls_transport_set_*). */
#ifndef CP_SECURE_SESSION_GNUTLS_H
#define CP_SECURE_SESSION_GNUTLS_H

#include <gnutls/gnutls.h>
#include "secure/certificate_gnutls.h"
#include "secure/credentials.h"

struct cp_session {
    gnutls_session_t library;
    struct cp_mem *mem;
    struct cp_credentials *all;
    struct cp_asked asked;              /* its host is the session's own copy */
    struct cp_certificate *certificate; /* NULL: none is used */
    gnutls_psk_client_credentials_t psk_client;
    gnutls_psk_server_credentials_t psk_server;
    unsigned generation; /* of all, when it began */

    /* The key that a look-up found for who asks us; looked_for: whose. */
    uint8_t looked_for[CP_PSK_IDENTITY], found[CP_PSK_KEY];
    size_t looked_for_len, found_len;

    /* The peer's public key is trusted if a look-up says so: its name. Else "".
     * Whoever drives the handshake asks that before anything else. */
    char doubted[CP_KEY_NAME];

    bool is_verified; /* what the peer showed was, and found to be good */
    char *identity;   /* proven name of the peer, once the handshake is over */
    int status;       /* why it failed: COPAL_E*, and a sentence */
    char why[320];
    void *user; /* the caller's */
};

/* A session that is about to shake hands. flags: GNUTLS_DATAGRAM, or 0.
 * COPAL_E*, with mem's sentence. */
int cp_session_new(struct cp_credentials *all, const struct cp_asked *asked,
                   unsigned flags, struct cp_session **out);
void cp_session_free(struct cp_session *s);

/* It failed so, and that is the sentence. */
void cp_session_say(struct cp_session *s, int status, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* gnutls_handshake() gave error: puts status and a sentence into s, unless one
 * is there that says more. */
void cp_session_explain(struct cp_session *s, int error);

/* The handshake is over: names the peer, and checks what a resumed one was
 * proven by. 0, or s->status. */
int cp_session_proven(struct cp_session *s);

/* A look-up found this key for identity; empty: none. */
void cp_session_key_found(struct cp_session *s, copal_bytes identity,
                          copal_bytes key);

/* ---- priorities_gnutls.c ---- */

/* By the certificate that s uses, if it uses any. 0, or GnuTLS' error. */
int cp_priorities_set(struct cp_session *s, bool is_datagram);

/* ---- verify_gnutls.c ---- */

/* Is the peer's certificate, or key, to be believed? As
 * gnutls_certificate_verify_function: 0, or GNUTLS_E_CERTIFICATE_ERROR and the
 * sentence in the cp_session that is the session's pointer. */
int cp_verify_peer(gnutls_session_t library);

/* The name that the peer's certificate or key proves, allocated. NULL: it has
 * none, or *err is COPAL_ENOMEM or COPAL_EAUTH: it cannot be known. */
char *cp_verify_name(struct cp_session *s, int *err);

/* ---- resumption_gnutls.c ---- */

/* A server's: tickets are given, and taken back. 0, COPAL_ENOMEM. */
int cp_resumption_allow(struct cp_session *s);

/* A client's, right before its hello: goes on where the last session with that
 * peer ended, if there was one. */
void cp_resumption_take(struct cp_session *s);

/* Where what GnuTLS made of priorities of that kind, a number of few, is kept; at
 * first NULL. NULL: out of memory, or all has ended. */
gnutls_priority_t *cp_resumption_priority(struct cp_credentials *all,
                                          unsigned kind);

/* The peer gave what the next session to it may go on with. */
void cp_resumption_save(struct cp_session *s);

#endif
