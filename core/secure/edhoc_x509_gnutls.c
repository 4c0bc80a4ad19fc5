#include "secure/edhoc_x509.h"
#include <gnutls/abstract.h>
#include <gnutls/gnutls.h>
#include <gnutls/x509.h>
#include "secure/certificate_gnutls.h"
#include "secure/cose.h"
#include "secure/credentials.h"
#include "secure/wiping.h"
#include "wire/cbor.h"

/* NULL, and *error: it is none. */
static gnutls_x509_crt_t import(copal_bytes der, int *error)
{
    gnutls_datum_t in = {(unsigned char *)(uintptr_t)der.data,
                         (unsigned)der.len};
    gnutls_x509_crt_t cert = NULL;

    *error = gnutls_x509_crt_init(&cert);
    if (*error == 0)
        *error = gnutls_x509_crt_import(cert, &in, GNUTLS_X509_FMT_DER);
    if (*error == 0)
        return cert;
    gnutls_x509_crt_deinit(cert);
    return NULL;
}

static int failed(int error)
{
    return error == GNUTLS_E_MEMORY_ERROR ? COPAL_ENOMEM : COPAL_EFORMAT;
}

/* ---- Keys ---- */

/* The library leaves leading zeroes away, or puts one in front. */
static bool copy_number(gnutls_datum_t from, uint8_t to[CP_CURVE_KEY])
{
    while (from.size > 0 && from.data[0] == 0) {
        from.data++;
        from.size--;
    }
    if (from.size > CP_CURVE_KEY)
        return false;
    memset(to, 0, CP_CURVE_KEY);
    memcpy(to + CP_CURVE_KEY - from.size, from.data, from.size);
    return true;
}

static int read_key(gnutls_pubkey_t library, struct cp_public_key *key)
{
    gnutls_ecc_curve_t curve;
    gnutls_datum_t x = {0}, y = {0};
    int err = COPAL_ENOTSUP;

    *key = (struct cp_public_key){0};
    if (gnutls_pubkey_export_ecc_raw2(library, &curve, &x, &y, 0) != 0)
        return COPAL_ENOTSUP;
    if (curve == GNUTLS_ECC_CURVE_SECP256R1) {
        key->curve = CP_P256;
        key->has_y = copy_number(x, key->x) && copy_number(y, key->y);
        err = key->has_y ? 0 : COPAL_EFORMAT;
    } else if (curve == GNUTLS_ECC_CURVE_ED25519 ||
               curve == GNUTLS_ECC_CURVE_X25519) {
        key->curve = curve == GNUTLS_ECC_CURVE_ED25519 ? CP_ED25519 : CP_X25519;
        err = x.size == CP_CURVE_KEY ? 0 : COPAL_EFORMAT;
        if (err == 0)
            memcpy(key->x, x.data, CP_CURVE_KEY);
    }
    gnutls_free(x.data);
    gnutls_free(y.data);
    return err;
}

static int read_cert_key(gnutls_x509_crt_t cert, struct cp_public_key *key)
{
    gnutls_pubkey_t library = NULL;
    int error = gnutls_pubkey_init(&library);
    int err;

    if (error != 0)
        return COPAL_ENOMEM;
    error = gnutls_pubkey_import_x509(library, cert, 0);
    err = error == GNUTLS_E_MEMORY_ERROR ? COPAL_ENOMEM
          : error != 0                   ? COPAL_ENOTSUP
                                         : read_key(library, key);
    gnutls_pubkey_deinit(library);
    return err;
}

int cp_edhoc_x509_read(copal_bytes der, struct cp_public_key *key, char *name,
                       size_t cap, bool *is_authority)
{
    int error, err;
    gnutls_x509_crt_t cert = import(der, &error);
    unsigned critical;

    if (cert == NULL)
        return failed(error);
    err = read_cert_key(cert, key);
    if (err == 0 && !cp_certificate_name(cert, name, cap))
        err = COPAL_EFORMAT;
    *is_authority = gnutls_x509_crt_get_ca_status(cert, &critical) > 0;
    gnutls_x509_crt_deinit(cert);
    return err;
}

/* ---- Chains ---- */

/* How many could be read. */
static size_t import_all(const copal_bytes *list, size_t count,
                         gnutls_x509_crt_t *out)
{
    size_t n = 0;
    int error;

    for (size_t i = 0; i < count; i++) {
        out[n] = import(list[i], &error);
        n += out[n] != NULL;
    }
    return n;
}

int cp_edhoc_x509_verify(const copal_bytes *chain, size_t length,
                         const copal_bytes *authorities, size_t count,
                         const char *host)
{
    enum {
        MOST = CP_COSE_CHAIN
    };
    gnutls_x509_crt_t shown[MOST], trusted[MOST];
    unsigned status = GNUTLS_CERT_INVALID;
    size_t n, m;

    if (length == 0 || count == 0)
        return COPAL_EAUTH;
    n = import_all(chain, length < MOST ? length : MOST, shown);
    m = import_all(authorities, count < MOST ? count : MOST, trusted);
    if (n != length || m == 0 ||
        gnutls_x509_crt_list_verify(shown, (unsigned)n, trusted, (unsigned)m,
                                    NULL, 0, 0, &status) != 0)
        status = GNUTLS_CERT_INVALID;
    /* Else whoever has one of that authority's could stand in for the host. */
    if (status == 0 && host != NULL &&
        !gnutls_x509_crt_check_hostname(shown[0], host))
        status = GNUTLS_CERT_UNEXPECTED_OWNER;
    while (n > 0)
        gnutls_x509_crt_deinit(shown[--n]);
    while (m > 0)
        gnutls_x509_crt_deinit(trusted[--m]);
    return status == 0 ? 0 : COPAL_EAUTH;
}

/* ---- PEM ---- */

int cp_edhoc_x509_list(copal_bytes pem, struct cp_buf *out)
{
    gnutls_datum_t in = {(unsigned char *)(uintptr_t)pem.data,
                         (unsigned)pem.len};
    gnutls_x509_crt_t *list = NULL;
    unsigned count = 0;
    int error = gnutls_x509_crt_list_import2(&list, &count, &in,
                                             GNUTLS_X509_FMT_PEM, 0);

    for (unsigned i = 0; error >= 0 && i < count; i++) {
        gnutls_datum_t der = {0};

        error = gnutls_x509_crt_export2(list[i], GNUTLS_X509_FMT_DER, &der);
        if (error == 0)
            cp_cbor_put_bytes(out, cp_bytes(der.data, der.size));
        gnutls_free(der.data);
    }
    for (unsigned i = 0; i < count; i++)
        gnutls_x509_crt_deinit(list[i]);
    gnutls_free(list);
    return error < 0 ? failed(error) : 0;
}

int cp_edhoc_x509_secret(copal_bytes pem, uint8_t out[CP_CURVE_KEY])
{
    gnutls_datum_t in = {(unsigned char *)(uintptr_t)pem.data,
                         (unsigned)pem.len};
    gnutls_datum_t x = {0}, y = {0}, k = {0};
    gnutls_x509_privkey_t key = NULL;
    gnutls_ecc_curve_t curve;
    int error = gnutls_x509_privkey_init(&key);

    if (error != 0)
        return COPAL_ENOMEM;
    cp_wiping_gnutls();
    error = gnutls_x509_privkey_import2(key, &in, GNUTLS_X509_FMT_PEM, NULL, 0);
    cp_wiping_gnutls_over();
    if (error == 0)
        error = gnutls_x509_privkey_export_ecc_raw(key, &curve, &x, &y, &k);
    if (error == 0 && (k.size > CP_CURVE_KEY + 1 || !copy_number(k, out)))
        error = GNUTLS_E_INVALID_REQUEST;
    /* Of Ed25519 it is bytes, of which none are left away. */
    if (error == 0 && k.size == CP_CURVE_KEY)
        memcpy(out, k.data, CP_CURVE_KEY);
    cp_wipe(k.data, k.size);
    gnutls_free(x.data);
    gnutls_free(y.data);
    gnutls_free(k.data);
    gnutls_x509_privkey_deinit(key);
    return error == 0 ? 0 : failed(error);
}
