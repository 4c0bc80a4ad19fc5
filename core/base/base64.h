/* Base64 with padding, RFC 4648 4. */
#ifndef CP_BASE_BASE64_H
#define CP_BASE_BASE64_H

#include "base/buf.h"

void cp_put_base64(struct cp_buf *b, copal_bytes v);

/* Bytes of text, which is NUL-terminated nowhere, into out, which has room for
 * cap of them. COPAL_EFORMAT: not base64, or not as cp_put_base64() writes it;
 * COPAL_ELIMIT: more than cap. */
int cp_base64_read(copal_bytes text, uint8_t *out, size_t cap, size_t *len);

#endif
