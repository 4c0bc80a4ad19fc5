/* An endpoint's credentials for TLS and DTLS: who we are to whom, and whom we
 * believe. For peers we ask they stand under scopes, URI prefixes of which the
 * longest that fits wins; for peers that ask us under "*". RFC 7252 9.1.3. */
#ifndef CP_SECURE_CREDENTIALS_H
#define CP_SECURE_CREDENTIALS_H

#include <stdio.h>
#include "base/list.h"
#include "base/map.h"
#include "engine/handler.h"
#include "engine/security.h"
#include "secure/certificate.h"

struct cp_engine;
struct cp_store;

enum {
    CP_PSK_IDENTITY = 128, /* bytes at most; RFC 7925 4.2 */
    CP_PSK_KEY = 64        /* likewise */
};

/* A pre-shared key and its name; both empty: none. */
struct cp_psk {
    copal_bytes identity, key;
};

/* What one scope has. */
struct cp_scope_keys {
    struct cp_list node;                /* in credentials.scopes */
    char *scope;                        /* lower case as far as the host goes */
    struct cp_psk psk;                  /* key.len 0: none */
    struct cp_certificate *certificate; /* NULL: none */
};

struct cp_credentials {
    unsigned refs; /* the endpoint's, and one of each TLS session */
    struct cp_mem *mem;
    struct cp_engine *engine;      /* NULL: the endpoint has ended */
    struct cp_list scopes;         /* struct cp_scope_keys: of whom we ask */
    struct cp_map psks;            /* of who asks us, by identity */
    struct cp_list pems;           /* certificates for who asks us, as given */
    struct cp_certificate *served; /* all of pems; NULL: there are none */
    struct cp_certificate *system; /* for whom no scope is; NULL: not yet */
    struct cp_handler *lookup;     /* keys on demand; NULL: none */
    struct cp_list lookups;        /* struct cp_lookup that wait */
    FILE *key_log;                 /* copal_log_to(); NULL: none */
    struct cp_store *store;        /* copal_store(); NULL: there is none */
    struct cp_list links;          /* struct cp_dtls: of every socket */
    unsigned generation;           /* of what is here: grows with changes */

    /* What the library below keeps for sessions to come (tickets): made and
     * freed by it, and let go of whenever a credential changes, so that nobody
     * resumes what was proven by one that is gone. NULL: nothing. */
    void *resumption;
    void (*resumption_free)(void *resumption);
};

/* NULL: out of memory. */
struct cp_credentials *cp_credentials_new(struct cp_mem *mem,
                                          struct cp_engine *e);
struct cp_credentials *cp_credentials_ref(struct cp_credentials *all);
void cp_credentials_unref(struct cp_credentials *all);

/* The endpoint ends: secrets are wiped, callbacks dropped; who still waits for
 * a look-up is told before. */
void cp_credentials_end(struct cp_credentials *all);

/* As the public functions of that name, copal_use_psk() and so on. */
int cp_credentials_use_psk(struct cp_credentials *all, const char *scope,
                           copal_bytes identity, copal_bytes key);
int cp_credentials_use_cert(struct cp_credentials *all, const char *scope,
                            const struct cp_pem *pem);
int cp_credentials_forget(struct cp_credentials *all, const char *scope);
int cp_credentials_use_lookup(struct cp_credentials *all, const char *scope,
                              copal_cb cb);

/* ---- For handshakes ---- */

/* What applies to whom we ask, by the longest scope; NULL: nothing does. Good
 * until credentials change: what is needed longer is copied, or ref'd. */
const struct cp_scope_keys *cp_credentials_for(const struct cp_credentials *all,
                                               const struct cp_asked *asked);

/* The key of who asks us and calls itself so. Empty: unknown, and whoever asks
 * is to notice no difference to a wrong key. */
copal_bytes cp_credentials_key_of(const struct cp_credentials *all,
                                  copal_bytes identity);

/* May anybody ask us at all by these: a key, a certificate or a look-up? */
bool cp_credentials_serve(const struct cp_credentials *all);

/* Is a certificate that who asks us may see for that host? */
bool cp_credentials_name(const struct cp_credentials *all, const char *host);

/* ---- Keys on demand ---- */

/* A look-up under way, part of what waits for it. */
struct cp_lookup {
    struct cp_list node;
    void *work; /* the store's */
    /* Called exactly once, within a turn, never from inside
     * cp_credentials_look_up(). found: 2.05 came; value is then what it brought
     * (a key), good for the call. */
    void (*done)(struct cp_lookup *l, bool found, copal_bytes value);
};

/* Asks the user's look-up: kind "psk", and the identity whose key is wanted, or
 * "rpk", and the name of a public key (cp_certificate_name_key()) that is to be
 * trusted or not. COPAL_ENOENT: there is no look-up, COPAL_ENOMEM; done is not
 * called then. */
int cp_credentials_look_up(struct cp_credentials *all, const char *kind,
                           copal_bytes identity, struct cp_lookup *l);

/* l waits no more; nothing happens if it does not. */
void cp_lookup_forget(struct cp_lookup *l);

/* ---- Names ---- */

/* A PSK's identity as copal_msg_identity() has it: text as it is, but for "%",
 * control characters and what is no UTF-8, which are percent-encoded. */
void cp_credentials_put_identity(struct cp_buf *out, copal_bytes identity);

#endif
