/* Certificates and keys made while a test runs, so that none of them can
 * expire. To be included by one file of a program. */
#ifndef TESTS_NET_CERTS_H
#define TESTS_NET_CERTS_H

#include <gnutls/abstract.h>
#include <gnutls/x509.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

/* One party: its key and certificate, as objects and as text. */
struct party {
    gnutls_x509_privkey_t key;
    gnutls_x509_crt_t cert;
    char *key_pem, *cert_pem, *public_pem;
};

struct wish {
    const char *name;           /* common name */
    const char *dns;            /* subjectAltName; NULL: none */
    const struct party *issuer; /* NULL: itself */
    int64_t from, until; /* s from now; both 0: an hour before and after */
    int is_ca;
    const char *purpose; /* an OID; NULL: any */
};

static char *text_of(gnutls_datum_t *d)
{
    char *text = calloc(1, d->size + 1);

    assert_non_null(text);
    memcpy(text, d->data, d->size);
    gnutls_free(d->data);
    return text;
}

static void party_make(struct party *p, struct wish w)
{
    static uint8_t serial;
    const struct party *issuer = w.issuer == NULL ? p : w.issuer;
    uint8_t number[] = {1, ++serial};
    gnutls_datum_t out = {0};
    gnutls_pubkey_t public;
    time_t now = time(NULL);

    *p = (struct party){0};
    gnutls_x509_privkey_init(&p->key);
    assert_int_equal(gnutls_x509_privkey_generate(
                         p->key, GNUTLS_PK_ECDSA,
                         GNUTLS_CURVE_TO_BITS(GNUTLS_ECC_CURVE_SECP256R1), 0),
                     0);
    gnutls_x509_crt_init(&p->cert);
    gnutls_x509_crt_set_version(p->cert, 3);
    gnutls_x509_crt_set_serial(p->cert, number, sizeof(number));
    gnutls_x509_crt_set_dn_by_oid(p->cert, GNUTLS_OID_X520_COMMON_NAME, 0,
                                  w.name, (unsigned)strlen(w.name));
    gnutls_x509_crt_set_activation_time(
        p->cert, now + (w.from == 0 && w.until == 0 ? -3600 : w.from));
    gnutls_x509_crt_set_expiration_time(
        p->cert, now + (w.from == 0 && w.until == 0 ? 3600 : w.until));
    if (w.dns != NULL)
        gnutls_x509_crt_set_subject_alt_name(p->cert, GNUTLS_SAN_DNSNAME, w.dns,
                                             (unsigned)strlen(w.dns), 0);
    if (w.purpose != NULL)
        gnutls_x509_crt_set_key_purpose_oid(p->cert, w.purpose, 0);
    gnutls_x509_crt_set_ca_status(p->cert, (unsigned)w.is_ca);
    gnutls_x509_crt_set_key(p->cert, p->key);
    assert_int_equal(gnutls_x509_crt_sign2(p->cert,
                                           issuer == p ? p->cert : issuer->cert,
                                           issuer->key, GNUTLS_DIG_SHA256, 0),
                     0);
    assert_int_equal(
        gnutls_x509_crt_export2(p->cert, GNUTLS_X509_FMT_PEM, &out), 0);
    p->cert_pem = text_of(&out);
    assert_int_equal(
        gnutls_x509_privkey_export2(p->key, GNUTLS_X509_FMT_PEM, &out), 0);
    p->key_pem = text_of(&out);
    gnutls_pubkey_init(&public);
    assert_int_equal(gnutls_pubkey_import_x509(public, p->cert, 0), 0);
    assert_int_equal(gnutls_pubkey_export2(public, GNUTLS_X509_FMT_PEM, &out),
                     0);
    p->public_pem = text_of(&out);
    gnutls_pubkey_deinit(public);
}

static void party_free(struct party *p)
{
    gnutls_x509_crt_deinit(p->cert);
    gnutls_x509_privkey_deinit(p->key);
    free(p->key_pem);
    free(p->cert_pem);
    free(p->public_pem);
}

#endif
