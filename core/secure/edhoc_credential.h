/* Credentials of EDHOC (RFC 9528 3.5.2): a CWT Claims Set, a CWT or an X.509
 * certificate, each with a public key in it; and what names them. */
#ifndef CP_SECURE_EDHOC_CREDENTIAL_H
#define CP_SECURE_EDHOC_CREDENTIAL_H

#include "secure/cose.h"

enum {
    CP_EDHOC_NAME = 128 /* bytes of a name with its NUL */
};

enum cp_edhoc_credential_kind {
    CP_EDHOC_CCS,
    CP_EDHOC_CWT,
    CP_EDHOC_X509
};

/* Views into the item. */
struct cp_edhoc_credential {
    uint8_t kind;
    bool has_kid;
    bool is_authority; /* a certificate that may sign others */
    copal_bytes item;  /* CRED_x as it goes into MACs: one CBOR item */
    copal_bytes der;   /* of a certificate */
    copal_bytes kid;   /* of the COSE_Key */
    struct cp_public_key key;
    char name[CP_EDHOC_NAME]; /* as copal_msg_identity() */
};

/* The item begins a CBOR sequence, of which *rest is what follows; NULL: there
 * has to be nothing. COPAL_EFORMAT: no credential; COPAL_ENOTSUP: its key is of
 * a kind that copal does not have, or no library. COPAL_ENOMEM. */
int cp_edhoc_credential_read(copal_bytes sequence,
                             struct cp_edhoc_credential *out,
                             copal_bytes *rest);

/* Does id mean this one? By value, or by a reference that fits. */
bool cp_edhoc_credential_is(const struct cp_edhoc_credential *c,
                            const struct cp_cose_id *id);

/* A CWT Claims Set with that key; subject and kid may be empty: left away. */
void cp_edhoc_credential_put_ccs(struct cp_buf *b,
                                 const struct cp_public_key *key,
                                 copal_bytes subject, copal_bytes kid);

/* How we name one of ours where nothing else is said: by kid, if its key has
 * one; else by value. */
void cp_edhoc_credential_put_id(struct cp_buf *b,
                                const struct cp_edhoc_credential *c);

#endif
