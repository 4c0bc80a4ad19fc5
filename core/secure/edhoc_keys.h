/* An endpoint's keys for EDHOC: who we are to whom, and whom we know. For peers
 * we ask they stand under scopes, of which the longest that fits wins; for peers
 * that ask us under "*". Nothing is ever fetched: who is not here is unknown. */
#ifndef CP_SECURE_EDHOC_KEYS_H
#define CP_SECURE_EDHOC_KEYS_H

#include "base/list.h"
#include "secure/edhoc.h"

/* As copal_edhoc has it. */
struct cp_edhoc_spec {
    int method, suite;
    copal_bytes private_key; /* 32 bytes, or PEM */
    copal_bytes credential;  /* CBOR items, a certificate in DER, or PEM */
    copal_bytes identifier;  /* ID_CRED; empty: made of the credential */
    copal_bytes peers;       /* as credential, any number */
    bool combined;           /* message 3 goes with the first request */
};

/* What one scope has. Counted: sessions hold on to it. */
struct cp_edhoc_scope {
    struct cp_list node; /* in all->scopes */
    unsigned refs;
    struct cp_mem *mem;
    unsigned methods; /* bits, 1 << method */
    bool combined;
    struct cp_edhoc_suites suites; /* the preferred first */
    struct cp_list own, peers;     /* struct key, struct peer */
    struct cp_buf shown;           /* a certificate that came by value */
    char text[];                   /* lower case as far as the host goes */
};

struct cp_edhoc_keys {
    struct cp_mem *mem;
    struct cp_list scopes;
};

void cp_edhoc_keys_init(struct cp_edhoc_keys *all, struct cp_mem *mem);
void cp_edhoc_keys_clear(struct cp_edhoc_keys *all); /* wipes them */

/* Under "*" one more, else in place of the one before. Without a key of ours,
 * under "*", only peers are added. All with a sentence: COPAL_EINVAL: scope,
 * method, suite, or a key that is not for them; COPAL_EFORMAT: what cannot be
 * read, or does not belong together; COPAL_ENOTSUP: no library, or a key of
 * another kind; COPAL_ENOMEM. */
int cp_edhoc_keys_use(struct cp_edhoc_keys *all, const char *scope,
                      const struct cp_edhoc_spec *spec);

/* COPAL_ENOENT: there is none. */
int cp_edhoc_keys_forget(struct cp_edhoc_keys *all, const char *scope);

/* What a scope has, word for word; NULL: nothing. */
struct cp_edhoc_scope *cp_edhoc_keys_at(const struct cp_edhoc_keys *all,
                                        const char *scope);

/* For requests of ours to uri, in lower case as scopes are; with_port: the same
 * with its port, or "". NULL: none. */
struct cp_edhoc_scope *cp_edhoc_keys_for(const struct cp_edhoc_keys *all,
                                         const char *uri,
                                         const char *with_port);

/* For requests that come; NULL: none. */
struct cp_edhoc_scope *cp_edhoc_keys_serve(const struct cp_edhoc_keys *all);

struct cp_edhoc_scope *cp_edhoc_scope_ref(struct cp_edhoc_scope *s);
void cp_edhoc_scope_unref(struct cp_edhoc_scope *s); /* may be NULL */

/* ---- As struct cp_edhoc_setup wants it ---- */

bool cp_edhoc_scope_own(struct cp_edhoc_scope *s, enum cp_curve curve,
                        struct cp_edhoc_own *out);
/* host: whom we asked, for which a certificate that is not here itself has to
 * be; NULL: we are asked. */
int cp_edhoc_scope_find(struct cp_edhoc_scope *s, const char *host,
                        const struct cp_cose_id *id, size_t i,
                        struct cp_edhoc_credential *out);

#endif
