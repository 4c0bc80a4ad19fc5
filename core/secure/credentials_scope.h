/* Scopes of credentials: what they may look like, and which is for whom. */
#ifndef CP_SECURE_CREDENTIALS_SCOPE_H
#define CP_SECURE_CREDENTIALS_SCOPE_H

#include "secure/credentials.h"

/* "*" */
bool cp_scope_is_for_askers(const char *scope);

/* COPAL_EINVAL, with the sentence: no scope of TLS or DTLS, or one with a path,
 * as a connection is one for all paths of a host. */
int cp_scope_check(struct cp_credentials *all, const char *scope);

/* What a scope has, named alike but for the case of letters; NULL: nothing. */
struct cp_scope_keys *cp_scope_find(const struct cp_credentials *all,
                                    const char *scope);

/* The same, made if need be. NULL: out of memory. */
struct cp_scope_keys *cp_scope_for(struct cp_credentials *all,
                                   const char *scope);

#endif
