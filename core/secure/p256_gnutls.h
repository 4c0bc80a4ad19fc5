/* P-256 by hogweed, nettle's part for public keys, and GMP: both are GnuTLS'
 * own. Secrets pass through nettle's calls alone, which take their time
 * whatever a secret is; GMP reckons with public numbers. As in curve.h. */
#ifndef CP_SECURE_P256_GNUTLS_H
#define CP_SECURE_P256_GNUTLS_H

#include "secure/curve.h"

int cp_p256_public(const uint8_t secret[CP_CURVE_KEY],
                   struct cp_public_key *out);
int cp_p256_find_y(struct cp_public_key *key, bool is_odd);
int cp_p256_check(const struct cp_public_key *key);
int cp_p256_shared(const struct cp_public_key *peer,
                   const uint8_t secret[CP_CURVE_KEY],
                   uint8_t out[CP_CURVE_KEY]);
int cp_p256_sign(const uint8_t secret[CP_CURVE_KEY], const uint8_t digest[32],
                 uint8_t out[CP_CURVE_SIGNATURE]);
int cp_p256_verify(const struct cp_public_key *key, const uint8_t digest[32],
                   const uint8_t signature[CP_CURVE_SIGNATURE]);

#endif
