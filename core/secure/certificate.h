/* Certificates and raw public keys, read from PEM: what we show, and whom we
 * trust. */
#ifndef CP_SECURE_CERTIFICATE_H
#define CP_SECURE_CERTIFICATE_H

#include "base/buf.h"

/* PEM texts. cert: a chain, our own first, or a bare public key (RFC 7250);
 * NULL: we show nothing. key: what belongs to it; NULL with cert. trusted:
 * certificates and public keys in any number; NULL: the system's authorities
 * for whom we ask, nobody for who asks us. */
struct cp_pem {
    const char *cert, *key, *trusted;
};

struct cp_certificate; /* counted */

/* All of list together: who is asked shows the one whose name is wanted.
 * COPAL_EFORMAT, with the sentence: which text cannot be read, or does not fit.
 * COPAL_ENOTSUP: no library. */
int cp_certificate_new(struct cp_mem *mem, const struct cp_pem *list,
                       size_t count, bool is_client,
                       struct cp_certificate **out);
struct cp_certificate *cp_certificate_ref(struct cp_certificate *c);
void cp_certificate_unref(struct cp_certificate *c);

/* Does any that we show of c name host? RFC 6125. */
bool cp_certificate_is_for(const struct cp_certificate *c, const char *host);

#endif
