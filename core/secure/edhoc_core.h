/* What the two roles of EDHOC have in common, for edhoc_initiator.c and
 * edhoc_responder.c alone. */
#ifndef CP_SECURE_EDHOC_CORE_H
#define CP_SECURE_EDHOC_CORE_H

#include "secure/edhoc.h"

/* ---- Ending (edhoc.c) ---- */

/* The session is over; what goes out is e. Gives err. */
int cp_edhoc_end(struct cp_edhoc *s, int err, const struct cp_edhoc_error *e,
                 copal_bytes *out);

/* The same with an error message of code 1, whose text is the sentence. */
int cp_edhoc_fail(struct cp_edhoc *s, int err, copal_bytes *out,
                  const char *format, ...)
    __attribute__((format(printf, 4, 5)));

/* Memory, or the library; not the peer. */
int cp_edhoc_fail_here(struct cp_edhoc *s, int err, copal_bytes *out);

/* ---- What is known (edhoc.c) ---- */

/* Method 1: the Responder has a static key, 2: the Initiator, 3: both. */
static inline bool cp_edhoc_signs(const struct cp_edhoc *s, bool initiator)
{
    return (s->method & (initiator ? 2 : 1)) == 0;
}

/* The curve of the key that proves one of them. */
static inline enum cp_curve cp_edhoc_curve_of(const struct cp_edhoc *s,
                                              bool initiator)
{
    return cp_edhoc_signs(s, initiator) ? s->schedule.suite->signature
                                        : s->schedule.suite->curve;
}

static inline copal_bytes cp_edhoc_hash_of(const struct cp_edhoc *s)
{
    return cp_bytes(s->hash, cp_edhoc_hash_len(&s->schedule));
}

/* The peer's ephemeral key. */
struct cp_public_key cp_edhoc_peer_key(const struct cp_edhoc *s);

/* Nothing of what goes out is built yet. */
void cp_edhoc_start_out(struct cp_edhoc *s, copal_bytes *out);

int cp_edhoc_make_ephemeral(struct cp_edhoc *s);

/* TH_2 and PRK_2e, once both ephemeral keys are known; hash is message 1's.
 * COPAL_EFORMAT: the peer's is none. */
int cp_edhoc_agree(struct cp_edhoc *s, const uint8_t *g_y);

/* TH_3 or TH_4: after a plaintext and the credential that it named. */
int cp_edhoc_advance(struct cp_edhoc *s, copal_bytes plain, copal_bytes cred);

/* Puts what is sealed of the plaintext in s->out in its place. */
int cp_edhoc_put_sealed(struct cp_edhoc *s, int key_label, copal_bytes *out);

/* PRK_out and PRK_exporter; the ephemeral secret is gone. */
int cp_edhoc_finish(struct cp_edhoc *s);

/* ---- Proofs (edhoc_auth.c) ---- */

/* Critical items that nobody understands end the session. */
int cp_edhoc_hear_ead(struct cp_edhoc *s, int message, copal_bytes ead,
                      copal_bytes *out);

/* Appends ID_CRED, Signature_or_MAC and EAD to s->out, which may have C_R
 * already; *cred is what proves us. s->prk is advanced by our static key where
 * we have one. label: CP_MAC_2, CP_MAC_3. */
int cp_edhoc_put_proof(struct cp_edhoc *s, int label, copal_bytes *cred);

/* Checks what a plaintext says; s->prk, s->hash and s->peer go on. */
int cp_edhoc_take_plain(struct cp_edhoc *s, int label, copal_bytes plain,
                        const struct cp_edhoc_plain *p, copal_bytes *out);

#endif
