#include "secure/hash.h"
#include <gnutls/crypto.h>
#include <gnutls/gnutls.h>

static gnutls_mac_algorithm_t hmac_name(enum cp_hash h)
{
    return h == CP_SHA256   ? GNUTLS_MAC_SHA256
           : h == CP_SHA384 ? GNUTLS_MAC_SHA384
                            : GNUTLS_MAC_SHA512;
}

static gnutls_digest_algorithm_t digest_name(enum cp_hash h)
{
    return h == CP_SHA256   ? GNUTLS_DIG_SHA256
           : h == CP_SHA384 ? GNUTLS_DIG_SHA384
                            : GNUTLS_DIG_SHA512;
}

/* The library takes views as if it might write there. */
static gnutls_datum_t datum(copal_bytes b)
{
    static unsigned char nothing;

    return (gnutls_datum_t){b.len == 0 ? &nothing
                                       : (unsigned char *)(uintptr_t)b.data,
                            (unsigned)b.len};
}

/* With lengths as they are here, only memory can be missing. */
static int outcome(int err)
{
    return err == 0 ? 0 : COPAL_ENOMEM;
}

int cp_hash(enum cp_hash h, copal_bytes data, uint8_t *out)
{
    gnutls_datum_t d = datum(data);

    return outcome(gnutls_hash_fast(digest_name(h), d.data, data.len, out));
}

int cp_hmac(enum cp_hash h, copal_bytes key, copal_bytes data, uint8_t *out)
{
    gnutls_datum_t k = datum(key), d = datum(data);

    return outcome(
        gnutls_hmac_fast(hmac_name(h), k.data, key.len, d.data, data.len, out));
}

int cp_hkdf_extract(enum cp_hash h, copal_bytes salt, copal_bytes ikm,
                    uint8_t *prk)
{
    gnutls_datum_t s = datum(salt), k = datum(ikm);

    return outcome(gnutls_hkdf_extract(hmac_name(h), &k, &s, prk));
}

int cp_hkdf_expand(enum cp_hash h, copal_bytes prk, copal_bytes info,
                   uint8_t *out, size_t len)
{
    gnutls_datum_t k = datum(prk), i = datum(info);

    if (len > 255 * cp_hash_len(h))
        return COPAL_EINVAL;
    return outcome(gnutls_hkdf_expand(hmac_name(h), &k, &i, out, len));
}
