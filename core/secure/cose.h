/* What EDHOC needs of COSE: what is signed and what is authenticated (RFC 9052
 * 4.4, 5.3), keys (RFC 9052 7, RFC 9053 7), and header maps that name a
 * credential or hold it (RFC 9360, RFC 9528 3.5.3). */
#ifndef CP_SECURE_COSE_H
#define CP_SECURE_COSE_H

#include "base/buf.h"
#include "secure/curve.h"

enum {
    CP_COSE_KID = 4,      /* bytes */
    CP_COSE_KCWT = 13,    /* a CWT, untagged */
    CP_COSE_KCCS = 14,    /* a CWT Claims Set */
    CP_COSE_X5CHAIN = 33, /* a certificate, or an array of them */
    CP_COSE_X5T = 34      /* an algorithm and a hash of a certificate */
};

enum {
    CP_COSE_DEPTH = 8,   /* of what stands in a header map or a credential */
    CP_COSE_LABELS = 16, /* of a map */
    CP_COSE_CHAIN = 8    /* certificates of one */
};

/* A header map; views into it. */
struct cp_cose_id {
    copal_bytes whole;
    size_t count; /* labels, known ones or not */
    bool has_kid, has_x5t;
    copal_bytes kid;
    int x5t_algorithm;                /* COSE's: -15, -16, -43, -44 */
    copal_bytes x5t;                  /* the hash */
    copal_bytes kcwt;                 /* the item; empty: none */
    copal_bytes kccs;                 /* likewise */
    size_t chain_length;              /* 0: no x5chain */
    copal_bytes chain[CP_COSE_CHAIN]; /* DER, the end entity's first */
};

/* COPAL_EFORMAT: no map, a label twice, or a value that is none of its label's;
 * COPAL_ELIMIT: too many labels, certificates, or too deep. */
int cp_cose_read_id(copal_bytes map, struct cp_cose_id *out);

/* The map that has a kid and nothing else. RFC 9528 3.5.3.2. */
void cp_cose_put_kid(struct cp_buf *b, copal_bytes kid);

/* Is der the certificate that x5t means? RFC 9360 2. */
bool cp_cose_is_x5t(const struct cp_cose_id *id, copal_bytes der);

/* A public COSE_Key of a curve that copal has; of P-256 y may be a sign, from
 * which it is found, or be missing. kid may be NULL; *kid is untouched where
 * there is none. COPAL_EFORMAT: no such key, or no point of its curve;
 * COPAL_ENOTSUP: another kind, or a private one. */
int cp_cose_read_key(copal_bytes map, struct cp_public_key *out,
                     copal_bytes *kid);
void cp_cose_put_key(struct cp_buf *b, const struct cp_public_key *key,
                     copal_bytes kid);

/* The Sig_structure of COSE_Sign1; aad: the parts of what is not sent, one
 * behind the other. */
void cp_cose_put_to_sign(struct cp_buf *b, copal_bytes protected_map,
                         const copal_bytes *aad, size_t parts,
                         copal_bytes payload);

/* The Enc_structure of COSE_Encrypt0, with no protected header. */
void cp_cose_put_to_enclose(struct cp_buf *b, copal_bytes aad);

#endif
