#include "secure/edhoc_x509.h"

int cp_edhoc_x509_read(copal_bytes der, struct cp_public_key *key, char *name,
                       size_t cap, bool *is_authority)
{
    (void)der, (void)key, (void)name, (void)cap, (void)is_authority;
    return COPAL_ENOTSUP;
}

int cp_edhoc_x509_verify(const copal_bytes *chain, size_t length,
                         const copal_bytes *authorities, size_t count,
                         const char *host)
{
    (void)chain, (void)length, (void)authorities, (void)count, (void)host;
    return COPAL_ENOTSUP;
}

int cp_edhoc_x509_list(copal_bytes pem, struct cp_buf *out)
{
    (void)pem, (void)out;
    return COPAL_ENOTSUP;
}

int cp_edhoc_x509_secret(copal_bytes pem, uint8_t out[CP_CURVE_KEY])
{
    (void)pem, (void)out;
    return COPAL_ENOTSUP;
}
