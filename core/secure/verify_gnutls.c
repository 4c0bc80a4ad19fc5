/* Whether a peer is who it says, and its name. */
#include <gnutls/abstract.h>
#include <gnutls/x509.h>
#include <stdarg.h>
#include <time.h>
#include "secure/session_gnutls.h"

static int refuse(struct cp_session *s, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
static int refuse(struct cp_session *s, const char *format, ...)
{
    va_list list;

    s->status = COPAL_EAUTH;
    va_start(list, format);
    vsnprintf(s->why, sizeof(s->why), format, list);
    va_end(list);
    return GNUTLS_E_CERTIFICATE_ERROR;
}

static const char *who(const struct cp_session *s)
{
    return s->asked.host == NULL ? "the client" : "the server";
}

static bool has_bare_key(gnutls_session_t library)
{
    return gnutls_certificate_type_get2(library, GNUTLS_CTYPE_PEERS) ==
           GNUTLS_CRT_RAWPK;
}

/* ---- Raw public keys, RFC 7250 ---- */

static int verify_key(struct cp_session *s, const gnutls_datum_t *spki)
{
    struct cp_key_hash hash;
    char name[CP_KEY_NAME];

    if (!cp_certificate_name_key(cp_bytes(spki->data, spki->size), &hash, name))
        return refuse(s, "the public key of %s cannot be read", who(s));
    if (cp_certificate_trusts(s->certificate, &hash))
        return 0;
    if (s->asked.host == NULL && s->all->lookup != NULL) {
        memcpy(s->doubted, name, sizeof(name));
        return 0;
    }
    return refuse(s,
                  "the public key of %s, %s, is none of those that are "
                  "trusted; give it as trusted if it is right",
                  who(s), name);
}

/* ---- X.509 ---- */

static void put_date(char out[16], time_t t)
{
    struct tm day;

    if (gmtime_r(&t, &day) == NULL || strftime(out, 16, "%Y-%m-%d", &day) == 0)
        strcpy(out, "?");
}

/* The names of a certificate, for a sentence: "a.example, b.example". */
static void put_names(struct cp_buf *b, gnutls_x509_crt_t cert)
{
    char name[128];
    size_t len = sizeof(name);
    unsigned count = 0;

    for (unsigned i = 0; count < 4; i++, len = sizeof(name)) {
        int type =
            gnutls_x509_crt_get_subject_alt_name(cert, i, name, &len, NULL);

        if (type < 0)
            break;
        if (type == GNUTLS_SAN_DNSNAME || type == GNUTLS_SAN_URI)
            cp_put_format(b, "%s%.*s", count++ > 0 ? ", " : "", (int)len, name);
    }
    len = sizeof(name);
    if (count == 0 &&
        gnutls_x509_crt_get_dn_by_oid(cert, GNUTLS_OID_X520_COMMON_NAME, 0, 0,
                                      name, &len) == 0)
        cp_put_format(b, "%.*s", (int)len, name);
}

static bool is_self_signed(gnutls_x509_crt_t cert)
{
    return gnutls_x509_crt_check_issuer(cert, cert) != 0;
}

/* The check that failed, the first of those that can be mended. */
static int explain(struct cp_session *s, gnutls_x509_crt_t cert,
                   unsigned status)
{
    char names[256] = "", issuer[128] = "", day[16];
    struct cp_buf b = cp_buf_fixed(names, sizeof(names) - 1);
    size_t len = sizeof(issuer);

    put_names(&b, cert);
    names[b.failed ? 0 : b.len] = '\0';
    if (status & GNUTLS_CERT_EXPIRED) {
        put_date(day, gnutls_x509_crt_get_expiration_time(cert));
        return refuse(s,
                      "the certificate of %s (%s), or one it is signed by, "
                      "has expired: %s; renew it, or set this clock right",
                      who(s), names, day);
    }
    if (status & GNUTLS_CERT_NOT_ACTIVATED) {
        put_date(day, gnutls_x509_crt_get_activation_time(cert));
        return refuse(s,
                      "the certificate of %s (%s) is valid from %s on only; "
                      "is this clock right?",
                      who(s), names, day);
    }
    if (status & GNUTLS_CERT_REVOKED)
        return refuse(s, "the certificate of %s (%s) was revoked", who(s),
                      names);
    if ((status & GNUTLS_CERT_SIGNER_NOT_FOUND) && is_self_signed(cert))
        return refuse(s,
                      "the certificate of %s (%s) is signed by itself, and not "
                      "trusted; give it as trusted if it is right",
                      who(s), names);
    if (status & GNUTLS_CERT_SIGNER_NOT_FOUND) {
        if (gnutls_x509_crt_get_issuer_dn(cert, issuer, &len) != 0)
            strcpy(issuer, "?");
        return refuse(
            s,
            "the certificate of %s (%s) is signed by %s, who is not "
            "trusted; give that certificate as trusted if it is right",
            who(s), names, issuer);
    }
    if (status & GNUTLS_CERT_UNEXPECTED_OWNER)
        return refuse(
            s,
            "the certificate of the server is for %s, not for %s; ask "
            "it by that name, or let it have one for this",
            b.len == 0 ? "nobody" : names, s->asked.host);
    if (status & GNUTLS_CERT_PURPOSE_MISMATCH)
        return refuse(s, "the certificate of %s (%s) is not meant for a %s",
                      who(s), names,
                      s->asked.host == NULL ? "client" : "server");
    if (status & GNUTLS_CERT_INSECURE_ALGORITHM)
        return refuse(s,
                      "the certificate of %s (%s) is signed in a way that is "
                      "not secure any more",
                      who(s), names);
    return refuse(s, "the certificate of %s (%s) is not valid (0x%x)", who(s),
                  names, status);
}

static int import(const gnutls_datum_t *der, gnutls_x509_crt_t *out)
{
    int error = gnutls_x509_crt_init(out);

    if (error != 0)
        return error;
    error = gnutls_x509_crt_import(*out, der, GNUTLS_X509_FMT_DER);
    if (error != 0)
        gnutls_x509_crt_deinit(*out);
    return error;
}

static int verify_chain(struct cp_session *s, const gnutls_datum_t *first)
{
    gnutls_typed_vdata_st wanted[] = {
        {.type = GNUTLS_DT_KEY_PURPOSE_OID,
         .data = (unsigned char *)(s->asked.host == NULL
                                       ? GNUTLS_KP_TLS_WWW_CLIENT
                                       : GNUTLS_KP_TLS_WWW_SERVER)},
        {.type = GNUTLS_DT_DNS_HOSTNAME,
         .data = (unsigned char *)s->asked.host},
    };
    unsigned status = 0;
    gnutls_x509_crt_t cert;
    int error = gnutls_certificate_verify_peers(
        s->library, wanted, s->asked.host == NULL ? 1 : 2, &status);

    if (error != 0)
        return error == GNUTLS_E_MEMORY_ERROR
                   ? error
                   : refuse(s, "the certificate of %s cannot be checked: %s",
                            who(s), gnutls_strerror(error));
    if (status == 0)
        return 0;
    if (import(first, &cert) != 0)
        return refuse(s, "the certificate of %s cannot be read", who(s));
    error = explain(s, cert, status);
    gnutls_x509_crt_deinit(cert);
    return error;
}

int cp_verify_peer(gnutls_session_t library)
{
    struct cp_session *s = gnutls_session_get_ptr(library);
    unsigned count = 0;
    const gnutls_datum_t *list = gnutls_certificate_get_peers(library, &count);

    int error;

    if (list == NULL || count == 0)
        return 0; /* whether one must be shown is decided elsewhere */
    error = has_bare_key(library) ? verify_key(s, &list[0])
                                  : verify_chain(s, &list[0]);
    s->is_verified = error == 0;
    return error;
}

/* ---- Names ---- */

/* The first name or URI that it is for, else its common name, else all of its
 * subject. RFC 7252 9.1.3.3. 0, or of GnuTLS: whom it names is not known then, and
 * nobody else is to be taken for that. */
static int name_cert(gnutls_x509_crt_t cert, char *out, size_t *len)
{
    size_t most = *len;
    int error;

    for (unsigned i = 0;; i++, *len = most) {
        int type =
            gnutls_x509_crt_get_subject_alt_name(cert, i, out, len, NULL);

        if (type == GNUTLS_SAN_DNSNAME || type == GNUTLS_SAN_URI)
            return 0;
        if (type == GNUTLS_E_REQUESTED_DATA_NOT_AVAILABLE)
            break;
        if (type < 0 && type != GNUTLS_E_SHORT_MEMORY_BUFFER)
            return type;
    }
    *len = most;
    error = gnutls_x509_crt_get_dn_by_oid(cert, GNUTLS_OID_X520_COMMON_NAME, 0,
                                          0, out, len);
    if (error != GNUTLS_E_REQUESTED_DATA_NOT_AVAILABLE &&
        error != GNUTLS_E_SHORT_MEMORY_BUFFER)
        return error;
    *len = most;
    error = gnutls_x509_crt_get_dn(cert, out, len);
    if (error == GNUTLS_E_REQUESTED_DATA_NOT_AVAILABLE ||
        error == GNUTLS_E_SHORT_MEMORY_BUFFER)
        *len = 0; /* it has none that could be told */
    return *len == 0 ? 0 : error;
}

/* Whom the certificate or key names, into b. 0, or of GnuTLS. */
static int put_name(struct cp_session *s, const gnutls_datum_t *shown,
                    struct cp_buf *b)
{
    char text[512];
    size_t len = sizeof(text);
    struct cp_key_hash hash;
    gnutls_x509_crt_t cert;
    int error;

    if (has_bare_key(s->library)) {
        if (!cp_certificate_name_key(cp_bytes(shown->data, shown->size), &hash,
                                     text))
            return GNUTLS_E_CERTIFICATE_ERROR;
        cp_put_text(b, text);
        return 0;
    }
    error = import(shown, &cert);
    if (error != 0)
        return error;
    error = name_cert(cert, text, &len);
    if (error == 0)
        cp_credentials_put_identity(b, cp_bytes(text, len));
    gnutls_x509_crt_deinit(cert);
    return error;
}

bool cp_certificate_name(gnutls_x509_crt_t cert, char *out, size_t cap)
{
    struct cp_buf b = cp_buf_fixed(out, cap);
    char text[512];
    size_t len = sizeof(text);

    if (name_cert(cert, text, &len) == 0 && len > 0)
        cp_credentials_put_identity(&b, cp_bytes(text, len));
    return b.len > 0 && cp_buf_text(&b) != NULL;
}

char *cp_verify_name(struct cp_session *s, int *err)
{
    const gnutls_datum_t *list = gnutls_certificate_get_peers(s->library, NULL);
    struct cp_buf b = cp_buf_new(s->mem);
    size_t len;
    int error = list == NULL || !s->is_verified ? GNUTLS_E_CERTIFICATE_ERROR
                                                : put_name(s, &list[0], &b);

    if (error == 0 && b.len == 0 && !b.failed)
        return NULL;
    cp_put_u8(&b, '\0');
    if (error != 0 || b.failed) {
        *err = b.failed || error == GNUTLS_E_MEMORY_ERROR ? COPAL_ENOMEM
                                                          : COPAL_EAUTH;
        cp_buf_free(&b);
        return NULL;
    }
    return (char *)cp_buf_take(&b, &len);
}
