/* Elliptic curves as EDHOC and COSE need them, whichever library gives them:
 * key agreement by X25519 (RFC 7748) and P-256 (of which EDHOC shows x alone,
 * RFC 9528 3.7), signatures by Ed25519 (RFC 8032) and ES256 (RFC 9053 2.1). */
#ifndef CP_SECURE_CURVE_H
#define CP_SECURE_CURVE_H

#include "base/bytes.h"

/* By their numbers among COSE's curves, RFC 9053 7.1. */
enum cp_curve {
    CP_P256 = 1,
    CP_X25519 = 4,
    CP_ED25519 = 6
};

enum {
    CP_CURVE_KEY = 32, /* bytes of a secret, a coordinate, what is shared */
    CP_CURVE_SIGNATURE = 64
};

/* P-256 alone has a y, big-endian as x is; the others have all in x. */
struct cp_public_key {
    uint8_t curve; /* enum cp_curve; 0: no key */
    bool has_y;    /* else y is unknown: enough to agree, not to verify */
    uint8_t x[CP_CURVE_KEY], y[CP_CURVE_KEY];
};

/* Each: COPAL_ENOTSUP: no library, or not of this curve; COPAL_ENOMEM. */

/* Draws a secret, from randomness that nobody records, and its public key. */
int cp_curve_generate(enum cp_curve curve, uint8_t secret[CP_CURVE_KEY],
                      struct cp_public_key *out);

/* What belongs to a secret. COPAL_EINVAL: it is none of this curve. */
int cp_curve_public(enum cp_curve curve, const uint8_t secret[CP_CURVE_KEY],
                    struct cp_public_key *out);

/* Finds the y of a P-256 key, of its two the odd one or the even one.
 * COPAL_EFORMAT: x belongs to no point of the curve. */
int cp_curve_find_y(struct cp_public_key *key, bool is_odd);

/* Is there such a point? COPAL_EFORMAT: none. RFC 9528 9.2. */
int cp_curve_check(const struct cp_public_key *key);

/* What a secret of ours and a key of the peer's have in common; y does not
 * matter. Of P-256 it is x of the product (SP 800-56A 5.7.1.2). COPAL_EFORMAT:
 * peer is on no such curve, or of an order so low that all is zero (RFC 7748
 * 6.1). */
int cp_curve_shared(const struct cp_public_key *peer,
                    const uint8_t secret[CP_CURVE_KEY],
                    uint8_t out[CP_CURVE_KEY]);

/* Signs with a secret of Ed25519 or P-256: EdDSA, or ES256 as COSE has it, r
 * and s of 32 bytes each. COPAL_EINVAL: no secret of this curve. */
int cp_curve_sign(enum cp_curve curve, const uint8_t secret[CP_CURVE_KEY],
                  copal_bytes data, uint8_t out[CP_CURVE_SIGNATURE]);

/* COPAL_EAUTH: not signed by that key. */
int cp_curve_verify(const struct cp_public_key *key, copal_bytes data,
                    copal_bytes signature);

#endif
