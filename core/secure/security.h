/* The library below: GnuTLS (security_gnutls.c), or none. */
#ifndef CP_SECURE_SECURITY_H
#define CP_SECURE_SECURITY_H

#include "engine/security.h"

/* NULL: built without a library. */
const struct cp_security *cp_security(void);

#endif
