/* TLS 1.2 and 1.3 over a stream of bytes, as client and server: a pipe over a
 * pipe. RFC 8323 9.1, RFC 7925. */
#ifndef CP_SECURE_TLS_H
#define CP_SECURE_TLS_H

#include "engine/security.h"

/* As cp_security's tls. */
int cp_tls_new(struct cp_credentials *all, struct cp_pipe *below,
               const struct cp_asked *asked, struct cp_pipe **out);

#endif
