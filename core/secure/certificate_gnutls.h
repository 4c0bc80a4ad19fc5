/* Certificates as GnuTLS has them: for handshakes. */
#ifndef CP_SECURE_CERTIFICATE_GNUTLS_H
#define CP_SECURE_CERTIFICATE_GNUTLS_H

#include <gnutls/gnutls.h>
#include <gnutls/x509.h>
#include "base/bytes.h"
#include "secure/certificate.h"

enum {
    CP_KEY_NAME = 64 /* bytes with the NUL: "ni:///sha-256;..." */
};

/* A public key by its hash: SHA-256 over its SubjectPublicKeyInfo. */
struct cp_key_hash {
    uint8_t of[32];
};

struct cp_certificate {
    struct cp_mem *mem;
    unsigned refs;
    gnutls_certificate_credentials_t library;
    struct cp_key_hash *keys; /* raw public keys that are trusted */
    size_t key_count;
    bool shows_x509, shows_rpk; /* we have one of our own */
    bool trusts_x509, trusts_rpk;
};

/* RFC 6920 3: "ni:///sha-256;" and base64url. spki is DER. false: it cannot be
 * hashed. */
bool cp_certificate_name_key(copal_bytes spki, struct cp_key_hash *hash,
                             char out[CP_KEY_NAME]);

/* The first name or URI that it is for, else its common name, else all of its
 * subject (RFC 7252 9.1.3.3), as copal_msg_identity() has it. cap: with the
 * NUL. false: it has none, or one too long. */
bool cp_certificate_name(gnutls_x509_crt_t cert, char *out, size_t cap);

bool cp_certificate_trusts(const struct cp_certificate *c,
                           const struct cp_key_hash *hash);

#endif
