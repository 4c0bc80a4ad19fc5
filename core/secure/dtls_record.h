/* Records of DTLS 1.2 (RFC 6347 4.1), with or without a Connection ID (RFC
 * 9146): finding them in a datagram, and sealing and opening them with keys
 * that a handshake made. Pure: no handshake, no time, no peer. */
#ifndef CP_SECURE_DTLS_RECORD_H
#define CP_SECURE_DTLS_RECORD_H

#include "secure/crypto.h"

enum cp_content { /* RFC 5246 6.2.1, RFC 9146 4 */
    CP_CHANGE_CIPHER = 20,
    CP_ALERT = 21,
    CP_HANDSHAKE = 22,
    CP_APPLICATION = 23,
    CP_TLS12_CID = 25
};

enum {
    CP_RECORD_HEAD = 13, /* bytes, without Connection ID */
    CP_CID_MINE = 9,     /* what we ask others to put into records */
    CP_CID_THEIRS = 32,  /* the longest that we put into ours */
    CP_RECORD_MORE = 8 + CP_AEAD_TAG + 1, /* that sealing adds to the body */
    CP_HELLO_LEAST = 44 /* bytes of datagram: as long as our answer */
};

#define CP_DTLS_1_2 0xfefd

struct cp_record {
    uint8_t type; /* as the header says: enum cp_content, or any other */
    uint16_t version, epoch;
    uint64_t seq;     /* 48 bits */
    copal_bytes cid;  /* of a CP_TLS12_CID record */
    copal_bytes body; /* sealed, from epoch 1 on */
    copal_bytes whole;
};

/* Takes the next record off rest. cid_len: of the Connection IDs that we give
 * out. 1; 0: none is left; COPAL_EFORMAT: what is left is none. */
int cp_record_next(copal_bytes *rest, size_t cid_len, struct cp_record *out);

struct cp_hello {
    uint64_t seq;          /* of its record */
    const uint8_t *random; /* 32 bytes */
    copal_bytes cookie;
};

/* Is the datagram one well-formed, unfragmented ClientHello of epoch 0, of at
 * least CP_HELLO_LEAST bytes? Nothing else earns an answer from somebody who
 * proved nothing. RFC 6347 4.2.1. */
bool cp_record_is_hello(copal_bytes datagram, struct cp_hello *out);

/* One way of an association. */
struct cp_protect_way {
    struct cp_aead_key key;
    uint8_t iv[CP_AEAD_TLS_NONCE]; /* of CCM and GCM the first 4 */
};

/* An association that has keys. No larger than it must be: thousands of them
 * sleep. */
struct cp_protect {
    uint64_t next_out; /* sequence number of the next record */
    uint64_t end_out;  /* from here on numbers are not ours yet; 0: all are */
    uint64_t next_in;  /* one more than the highest that came; 0: none came */
    uint64_t seen;     /* bit n: next_in - 1 - n came */
    uint32_t failed;   /* records that did not open */
    uint16_t epoch;
    uint8_t cid_in_len, cid_out_len; /* 0: records that way have none */
    uint8_t cid_in[CP_CID_MINE], cid_out[CP_CID_THEIRS];
    struct cp_protect_way in, out;
};

/* Whatever came until now, seen or not, is as good as seen. */
void cp_protect_forget(struct cp_protect *p);

/* How many more bytes a record has than what it carries. */
size_t cp_protect_more(const struct cp_protect *p);

/* Writes a record of content type to out, of cap bytes. Gives its length.
 * COPAL_ELIMIT: it does not fit; or no number is left (2^48 records), then the
 * association is over; or none below end_out. COPAL_ENOMEM. */
int cp_protect_seal(struct cp_protect *p, struct cp_aeads *aeads, uint8_t type,
                    copal_bytes plain, uint8_t *out, size_t cap);

/* Opens r into out, which has room for r->body.len bytes. Only when it turned
 * out to be genuine is it noted as seen. *type: its content; *newest: no record
 * that came before has a higher number. Gives the length.
 * COPAL_EEXIST: it came before, or is too old to tell; COPAL_EFORMAT: not for
 * this association (epoch, version, Connection ID); COPAL_EAUTH: not genuine;
 * COPAL_ELIMIT: one more that is not, and the association is over, for its key
 * may be known soon (2^23; 2^14 with a tag of 8 bytes); COPAL_ENOMEM. */
int cp_protect_open(struct cp_protect *p, struct cp_aeads *aeads,
                    const struct cp_record *r, uint8_t *out, uint8_t *type,
                    bool *newest);

/* ---- Between a library without Connection IDs and the wire ---- */

/* A genuine record with a Connection ID written as one without: same key, same
 * number, so it must never leave the process. out has cap bytes. Gives its
 * length; COPAL_EAUTH, COPAL_EFORMAT, COPAL_ELIMIT, COPAL_ENOMEM. */
int cp_protect_without_cid(const struct cp_protect *p, struct cp_aeads *aeads,
                           const struct cp_record *r, uint8_t *out, size_t cap);

/* What is in a record that the library sealed with p's key, without Connection
 * ID: out has room for r->body.len bytes. Gives the length, or COPAL_E*. */
int cp_protect_look(const struct cp_protect *p, struct cp_aeads *aeads,
                    const struct cp_record *r, uint8_t *out, uint8_t *type);

#endif
