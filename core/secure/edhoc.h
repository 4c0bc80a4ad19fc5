/* One session of EDHOC (RFC 9528), as Initiator or Responder: messages come and
 * go as bytes; who sends them, when, and where keys are from, is told to it. */
#ifndef CP_SECURE_EDHOC_H
#define CP_SECURE_EDHOC_H

#include "base/buf.h"
#include "secure/edhoc_credential.h"
#include "secure/edhoc_message.h"
#include "secure/edhoc_schedule.h"

enum {
    CP_EDHOC_CANDIDATES = 8, /* credentials that one name may mean */
    CP_EDHOC_METHODS = 4     /* 0 to 3: bit 1: the Responder, bit 2: the
                              * Initiator has a static key (RFC 9528 3.2) */
};

/* A key of ours, as it is used: what is shown of it, and the secret. */
struct cp_edhoc_own {
    copal_bytes id;   /* ID_CRED, a header map */
    copal_bytes cred; /* CRED, one CBOR item */
    const uint8_t *secret;
};

/* What a session needs; borrowed, as long as it lasts. */
struct cp_edhoc_setup {
    struct cp_mem *mem;
    struct cp_aeads *aeads;
    struct cp_edhoc_suites suites; /* ours, the preferred first */
    unsigned methods; /* bits, 1 << method; an Initiator uses the lowest */

    /* The key of ours for a curve. false: there is none. */
    bool (*own)(void *user, enum cp_curve curve, struct cp_edhoc_own *out);

    /* The i-th credential that id may mean, with its key; good until the next
     * call. COPAL_ENOENT: there are no more of them; COPAL_EAUTH: one is here by
     * value, and not trusted; COPAL_ENOTSUP: nothing is known by such names. */
    int (*find)(void *user, const struct cp_cose_id *id, size_t i,
                struct cp_edhoc_credential *out);

    /* An identifier for our side that is nobody else's, and not taken (RFC 9668
     * 4.1). COPAL_ELIMIT: none is left. */
    int (*choose)(void *user, const struct cp_edhoc_cid *taken,
                  struct cp_edhoc_cid *out);

    /* An item of external authorization data that came, not padding; 0: it was
     * understood. NULL: none is. Critical ones that are not end the session. */
    int (*on_ead)(void *user, int message, const struct cp_edhoc_ead *ead);
    void *user;

    copal_bytes ead[4];    /* to be sent, of messages 1 to 4 */
    const uint8_t *secret; /* of a test: the ephemeral one; NULL: drawn */
};

enum cp_edhoc_state {
    CP_EDHOC_NEW,
    CP_EDHOC_WAITS_2,
    CP_EDHOC_WAITS_3,
    CP_EDHOC_WAITS_4, /* keys are there; message 4 may come, or not */
    CP_EDHOC_DONE,
    CP_EDHOC_FAILED
};

struct cp_edhoc {
    struct cp_edhoc_setup setup;
    struct cp_edhoc_schedule schedule;
    uint8_t state; /* enum cp_edhoc_state */
    bool is_initiator;
    int method;
    struct cp_edhoc_cid c_i, c_r;
    uint8_t secret[CP_CURVE_KEY]; /* the ephemeral one; wiped after use */
    uint8_t own_x[CP_CURVE_KEY], peer_x[CP_CURVE_KEY];
    uint8_t hash[CP_HASH_LEN]; /* of message 1, then TH_2, TH_3, TH_4 */
    uint8_t prk[CP_HASH_LEN];  /* PRK_2e, PRK_3e2m, PRK_4e3m */
    uint8_t prk_out[CP_HASH_LEN], prk_exporter[CP_HASH_LEN];
    char peer[CP_EDHOC_NAME]; /* once proven */
    struct cp_buf out;        /* what is to be sent: a message, or an error */
    char why[160];            /* of a failure, a sentence */
};

/* Fills a session that nobody uses. */
void cp_edhoc_init(struct cp_edhoc *s, const struct cp_edhoc_setup *setup,
                   bool is_initiator);

/* Wipes it. */
void cp_edhoc_clear(struct cp_edhoc *s);

/* Each of these takes a message, and gives what is to be sent then in *out,
 * good until the next call. On failure the session is over, and *out an error
 * message to be sent, or empty: there is none. COPAL_EFORMAT: malformed;
 * COPAL_ENOTSUP: method or suite; COPAL_EAUTH: not proven, or unknown;
 * COPAL_ELIMIT; COPAL_ENOMEM. COPAL_ESTATE: no such message is waited for, and
 * nothing happened. */

/* Initiator. selected: place of the suite among ours; RFC 9528 5.2.2. */
int cp_edhoc_begin(struct cp_edhoc *s, size_t selected, copal_bytes *out);
int cp_edhoc_take_2(struct cp_edhoc *s, copal_bytes message, copal_bytes *out);
int cp_edhoc_take_4(struct cp_edhoc *s, copal_bytes message, copal_bytes *out);

/* Responder. take_3 gives message 4, which need not be sent. */
int cp_edhoc_take_1(struct cp_edhoc *s, copal_bytes message, copal_bytes *out);
int cp_edhoc_take_3(struct cp_edhoc *s, copal_bytes message, copal_bytes *out);

/* Ours of suites the peer says it has, that we prefer; COPAL_ENOENT: none. RFC
 * 9528 6.3.1. */
int cp_edhoc_negotiate(const struct cp_edhoc_suites *ours,
                       const struct cp_edhoc_suites *theirs);

/* ---- Once keys are there (WAITS_4, DONE) ---- */

/* EDHOC_Exporter, RFC 9528 4.2.1. COPAL_ESTATE: there are none. */
int cp_edhoc_export(const struct cp_edhoc *s, uint64_t label,
                    copal_bytes context, uint8_t *out, size_t len);

/* EDHOC_KeyUpdate, RFC 9528 H. */
int cp_edhoc_update(struct cp_edhoc *s, copal_bytes context);

/* What OSCORE is to be keyed with. RFC 9528 A.1. COPAL_ELIMIT: identifiers too
 * long for it. */
struct cp_edhoc_oscore {
    uint8_t secret[32], salt[8];
    size_t secret_len;
    struct cp_edhoc_cid sender, recipient;
    int aead, hkdf; /* COSE's numbers */
};
int cp_edhoc_oscore(const struct cp_edhoc *s, struct cp_edhoc_oscore *out);

#endif
