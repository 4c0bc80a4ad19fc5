/* An established association written down, so that another process can go on
 * with it. Pure. */
#ifndef CP_SECURE_DTLS_STATE_H
#define CP_SECURE_DTLS_STATE_H

#include "base/address.h"
#include "base/buf.h"
#include "secure/dtls_record.h"

enum {
    CP_DTLS_STATE = 1024 /* bytes at most: who has longer names is not kept */
};

struct cp_dtls_state {
    /* next_out is where whoever reads it may begin; failed counts on, as
     * attempts to forge add up. end_out is nobody's. */
    struct cp_protect protect;
    struct cp_address remote; /* where the peer was then; no association */
    copal_bytes identity;     /* proven name; data NULL: none */
    copal_bytes host;         /* whom we asked for; data NULL: we were asked */
    uint16_t keys;            /* mark of the credentials it was made with */
    bool is_by_psk;
    bool is_clean; /* nothing was sent or opened since it was written */
};

/* COPAL_ENOMEM, or COPAL_ELIMIT: out is full. */
int cp_dtls_state_write(const struct cp_dtls_state *s, struct cp_buf *out);

/* What it gives points into bytes. COPAL_EFORMAT: of another version, or no
 * association that could be. */
int cp_dtls_state_read(copal_bytes bytes, struct cp_dtls_state *out);

#endif
