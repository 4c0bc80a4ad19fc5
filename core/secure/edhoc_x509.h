/* X.509 certificates in EDHOC, whichever library reads them. */
#ifndef CP_SECURE_EDHOC_X509_H
#define CP_SECURE_EDHOC_X509_H

#include "base/buf.h"
#include "secure/curve.h"

/* The key and the name of a certificate, in DER; name has room for cap bytes
 * with the NUL. COPAL_EFORMAT: not read; COPAL_ENOTSUP: a key of another kind;
 * COPAL_ENOMEM. */
int cp_edhoc_x509_read(copal_bytes der, struct cp_public_key *key, char *name,
                       size_t cap, bool *is_authority);

/* Is the chain, the end entity's certificate first, valid now, by one of the
 * authorities, and, unless it is NULL, for host? COPAL_EAUTH: no. */
int cp_edhoc_x509_verify(const copal_bytes *chain, size_t length,
                         const copal_bytes *authorities, size_t count,
                         const char *host);

/* Certificates in PEM, each as a byte string of CBOR. */
int cp_edhoc_x509_list(copal_bytes pem, struct cp_buf *out);

/* The secret of a private key in PEM. COPAL_EFORMAT: not read, or another kind
 * of key. */
int cp_edhoc_x509_secret(copal_bytes pem, uint8_t out[CP_CURVE_KEY]);

#endif
