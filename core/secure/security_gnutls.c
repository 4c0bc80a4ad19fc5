#include "secure/security.h"
#include "secure/dtls.h"
#include "secure/tls.h"
#include <gnutls/crypto.h>
#include <gnutls/gnutls.h>

/* SHA-1 is no secret's keeper here: RFC 6455 has it as a check sum. */
static void sha1(copal_bytes in, uint8_t out[20])
{
    if (gnutls_hash_fast(GNUTLS_DIG_SHA1, in.data, in.len, out) != 0)
        memset(out, 0, 20); /* which no peer takes for right */
}

const struct cp_security *cp_security(void)
{
    static const struct cp_security table = {
        .sha1 = sha1,
        .is_named = cp_credentials_name,
        .tls = cp_tls_new,
        .datagrams = cp_dtls_new,
        .datagram = cp_dtls_datagram,
        .undelivered = cp_dtls_undelivered,
        .associate = cp_dtls_associate,
        .disconnect = cp_dtls_disconnect,
        .close = cp_dtls_close,
    };

    return &table;
}
