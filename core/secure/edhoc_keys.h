/* An endpoint's keys for EDHOC: who we are to whom, and whom we know. For peers
 * we ask they stand under scopes, of which the longest that fits wins; for peers
 * that ask us under "*". Nothing is ever fetched: who is not here is unknown. */
#ifndef CP_SECURE_EDHOC_KEYS_H
#define CP_SECURE_EDHOC_KEYS_H

#include "secure/edhoc_scope.h"

struct cp_edhoc_keys {
    struct cp_mem *mem;
    struct cp_list scopes;
};

void cp_edhoc_keys_init(struct cp_edhoc_keys *all, struct cp_mem *mem);
void cp_edhoc_keys_clear(struct cp_edhoc_keys *all); /* wipes them */

/* Under "*" one more, else in place of the one before. Without a key of ours,
 * under "*", only peers are added. COPAL_EINVAL, with a sentence: the scope; or
 * as cp_edhoc_scope_fill(). */
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

#endif
