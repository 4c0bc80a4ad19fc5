/* What an endpoint has for EDHOC under one scope: our keys, the methods and suites
 * that they are for, and whom we know there. */
#ifndef CP_SECURE_EDHOC_SCOPE_H
#define CP_SECURE_EDHOC_SCOPE_H

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
    struct cp_list node; /* of those of an endpoint */
    unsigned refs;
    struct cp_mem *mem;
    unsigned methods; /* bits, 1 << method */
    bool combined;
    struct cp_edhoc_suites suites; /* the preferred first */
    struct cp_list own, peers;     /* struct key, struct peer */
    struct cp_buf shown;           /* a certificate that came by value */
    char text[];                   /* lower case as far as the host goes */
};

/* Empty, of that text. NULL: out of memory. */
struct cp_edhoc_scope *cp_edhoc_scope_new(struct cp_mem *mem, const char *text);
struct cp_edhoc_scope *cp_edhoc_scope_ref(struct cp_edhoc_scope *s);
void cp_edhoc_scope_unref(struct cp_edhoc_scope *s); /* may be NULL */

/* Into a new one; only under "*" a key of ours may be missing. All with a sentence:
 * COPAL_EINVAL: method, suite, or a key that is not for them; COPAL_EFORMAT: what
 * cannot be read, or does not belong together; COPAL_ENOTSUP: no library, or a key
 * of another kind; COPAL_ENOMEM. */
int cp_edhoc_scope_fill(struct cp_edhoc_scope *s,
                        const struct cp_edhoc_spec *spec);

/* Everything of a scope built aside becomes the other's, "*". */
void cp_edhoc_scope_join(struct cp_edhoc_scope *to,
                         struct cp_edhoc_scope *from);

/* ---- As struct cp_edhoc_setup wants it ---- */

bool cp_edhoc_scope_own(struct cp_edhoc_scope *s, enum cp_curve curve,
                        struct cp_edhoc_own *out);
/* host: whom we asked, for which a certificate that is not here itself has to
 * be; NULL: we are asked. */
int cp_edhoc_scope_find(struct cp_edhoc_scope *s, const char *host,
                        const struct cp_cose_id *id, size_t i,
                        struct cp_edhoc_credential *out);

#endif
