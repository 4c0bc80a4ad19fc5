/* Messages of EDHOC as bytes: RFC 9528 5 and 6, CBOR sequences in their
 * deterministic encoding alone. */
#ifndef CP_SECURE_EDHOC_MESSAGE_H
#define CP_SECURE_EDHOC_MESSAGE_H

#include "base/buf.h"
#include "secure/cose.h"

enum {
    CP_EDHOC_CID = 16,       /* bytes at most; OSCORE takes 7, or 6 */
    CP_EDHOC_SUITES = 16,    /* in one message at most */
    CP_EDHOC_EAD = 8,        /* items in one message at most */
    CP_EDHOC_MESSAGE = 16384 /* bytes at most */
};

/* A connection identifier. */
struct cp_edhoc_cid {
    uint8_t len, bytes[CP_EDHOC_CID];
};

static inline copal_bytes cp_edhoc_cid_bytes(const struct cp_edhoc_cid *c)
{
    return cp_bytes(c->bytes, c->len);
}

struct cp_edhoc_suites {
    size_t count;
    int list[CP_EDHOC_SUITES];
};

struct cp_edhoc_1 {
    int method;
    struct cp_edhoc_suites suites; /* the last one is selected */
    copal_bytes g_x;
    struct cp_edhoc_cid c_i;
    copal_bytes ead; /* a sequence of items, or empty */
};

/* PLAINTEXT_2 and _3. */
struct cp_edhoc_plain {
    struct cp_edhoc_cid c_r; /* of PLAINTEXT_2 */
    bool is_kid;
    copal_bytes kid;   /* if is_kid: ID_CRED in its compact form */
    uint8_t kid_int;   /* to which kid points, if it stood as an integer */
    copal_bytes id;    /* else: ID_CRED, a map */
    copal_bytes proof; /* Signature_or_MAC */
    copal_bytes ead;
};

struct cp_edhoc_ead {
    int64_t label; /* negative: critical */
    copal_bytes value;
    bool has_value;
};

enum cp_edhoc_error_code {
    CP_EDHOC_UNSPECIFIED = 1,
    CP_EDHOC_WRONG_SUITE,
    CP_EDHOC_UNKNOWN_CREDENTIAL
};

struct cp_edhoc_error {
    int64_t code;
    copal_bytes text;              /* of code 1 */
    struct cp_edhoc_suites suites; /* of code 2 */
};

/* Readers give COPAL_EFORMAT: not such a message, or not in its shortest form
 * (RFC 9528 9.8: then it may be refused); COPAL_ELIMIT: more of something than
 * above. */
int cp_edhoc_read_1(copal_bytes message, struct cp_edhoc_1 *out);

/* Message 2, 3 and 4: one byte string. */
int cp_edhoc_read_bytes(copal_bytes message, copal_bytes *out);

int cp_edhoc_read_plain(copal_bytes plain, bool has_cid,
                        struct cp_edhoc_plain *out);

/* An identifier at the beginning, as requests have it in CoAP (RFC 9528 A.2);
 * is_first: it is `true` instead, before a message 1. *rest is behind it. */
int cp_edhoc_read_prefix(copal_bytes body, bool *is_first,
                         struct cp_edhoc_cid *cid, copal_bytes *rest);

/* The next of a sequence. 1: there is one; 0: the end; else as above. */
int cp_edhoc_next_ead(copal_bytes *ead, struct cp_edhoc_ead *out);

/* Is it such a sequence? */
int cp_edhoc_check_ead(copal_bytes ead);

/* Is it an error message? COPAL_EFORMAT: no. */
int cp_edhoc_read_error(copal_bytes message, struct cp_edhoc_error *out);

/* Is this byte the encoding of an integer, which then stands for it? RFC 9528
 * 3.3.2. */
static inline bool cp_edhoc_is_int(uint8_t byte)
{
    return byte < 0x18 || (byte >= 0x20 && byte < 0x38);
}

void cp_edhoc_put_cid(struct cp_buf *b, copal_bytes cid);
void cp_edhoc_put_suites(struct cp_buf *b, const struct cp_edhoc_suites *s);
void cp_edhoc_put_1(struct cp_buf *b, const struct cp_edhoc_1 *m);

/* ID_CRED as it stands in a plaintext: of a kid alone, the kid. */
void cp_edhoc_put_id(struct cp_buf *b, copal_bytes map);

void cp_edhoc_put_error(struct cp_buf *b, const struct cp_edhoc_error *e);

#endif
