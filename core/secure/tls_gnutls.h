/* A pipe of TLS, as tls_gnutls.c and tls_shake_gnutls.c know it. */
#ifndef CP_SECURE_TLS_GNUTLS_H
#define CP_SECURE_TLS_GNUTLS_H

#include "secure/session_gnutls.h"
#include "secure/tls.h"

enum {
    CP_TLS_RECORD_HEADER = 5,
    CP_TLS_RECORD_MOST =
        16384 + 2304,     /* RFC 5246 6.2.3; fewer in RFC 8446 5.2 */
    CP_TLS_HANDSHAKE = 22 /* a type of records */
};

struct cp_tls {
    struct cp_pipe pipe;
    struct cp_session *session;
    struct cp_mem *mem;
    copal_bytes in;         /* what GnuTLS reads from, for the moment */
    struct cp_buf held;     /* what it may not see yet */
    struct cp_buf messages; /* of the handshake, as far as they are in clear */
    struct cp_lookup lookup;
    bool peeks;        /* keys are looked up: hellos are read before */
    bool is_seen;      /* the first record that is held was looked into */
    bool waits;        /* lookup is under way */
    bool is_open;      /* the handshake is over, the peer believed */
    bool is_saved;     /* what a later session may begin with */
    bool said_goodbye; /* the peer: close_notify */
    bool is_heard;     /* the peer sent something */
    bool is_ended;
    int status; /* of the end */
    char why[sizeof(((struct cp_session *)0)->why)];
};

static inline gnutls_session_t cp_tls_library(const struct cp_tls *t)
{
    return t->session->library;
}

/* Ends it, and what is below; whoever is above hears why when that has closed. */
void cp_tls_end(struct cp_tls *t, int status, const char *why);

/* GnuTLS gave error: the peer hears of it by an alert. */
void cp_tls_fail(struct cp_tls *t, int error);

/* Bytes that came, for GnuTLS; and those that it may not see yet. */
void cp_tls_feed(struct cp_tls *t, copal_bytes bytes);
void cp_tls_keep(struct cp_tls *t, copal_bytes bytes);

/* ---- tls_shake_gnutls.c ---- */

/* Goes on with the handshake, as far as what came allows. */
void cp_tls_shake(struct cp_tls *t);

/* What was kept goes on its way, record by record where a key may have to be looked
 * up. */
void cp_tls_shake_go_on(struct cp_tls *t);

#endif
