#include "secure/certificate_gnutls.h"

#include <gnutls/abstract.h>
#include <gnutls/crypto.h>
#include <gnutls/x509.h>
#include "base/base64.h"
#include "secure/wiping.h"

static const char cert_head[] = "-----BEGIN CERTIFICATE-----";
static const char key_head[] = "-----BEGIN PUBLIC KEY-----";

static gnutls_datum_t datum(const char *text)
{
    return (gnutls_datum_t){(unsigned char *)text, (unsigned)strlen(text)};
}

static int unreadable(struct cp_mem *mem, const char *what, int error)
{
    if (error == GNUTLS_E_MEMORY_ERROR)
        return COPAL_ENOMEM;
    return cp_why(mem, COPAL_EFORMAT, "%s cannot be read: %s", what,
                  gnutls_strerror(error));
}

/* ---- Names of keys ---- */

bool cp_certificate_name_key(copal_bytes spki, struct cp_key_hash *hash,
                             char out[CP_KEY_NAME])
{
    struct cp_buf b = cp_buf_fixed(out, CP_KEY_NAME);
    uint8_t text[48];
    struct cp_buf t = cp_buf_fixed(text, sizeof(text));

    if (gnutls_hash_fast(GNUTLS_DIG_SHA256, spki.data, spki.len, hash->of) != 0)
        return false;
    cp_put_base64(&t, cp_bytes(hash->of, sizeof(hash->of)));
    cp_put_text(&b, "ni:///sha-256;");
    for (size_t i = 0; i < t.len && text[i] != '='; i++)
        cp_put_u8(&b, text[i] == '+' ? '-' : text[i] == '/' ? '_' : text[i]);
    return cp_buf_text(&b) != NULL;
}

bool cp_certificate_trusts(const struct cp_certificate *c,
                           const struct cp_key_hash *hash)
{
    for (size_t i = 0; i < c->key_count; i++)
        if (memcmp(c->keys[i].of, hash->of, sizeof(hash->of)) == 0)
            return true;
    return false;
}

/* ---- What we show ---- */

static bool holds(const char *pem, const char *head)
{
    return pem != NULL && strstr(pem, head) != NULL;
}

static int no_fit(struct cp_mem *mem, int error)
{
    switch (error) {
    case GNUTLS_E_MEMORY_ERROR: return COPAL_ENOMEM;
    case GNUTLS_E_CERTIFICATE_KEY_MISMATCH:
        return cp_why(mem, COPAL_EFORMAT,
                      "the private key does not belong to the certificate");
    default:
        return cp_why(mem, COPAL_EFORMAT,
                      "certificate and private key cannot be used: %s",
                      gnutls_strerror(error));
    }
}

/* GnuTLS takes keys of PKCS #8 only with their public part. */
static int check_key(struct cp_mem *mem, const char *pem)
{
    gnutls_datum_t in = datum(pem);
    gnutls_x509_privkey_t key;
    int error = gnutls_x509_privkey_init(&key);

    if (error != 0)
        return COPAL_ENOMEM;
    error = gnutls_x509_privkey_import2(key, &in, GNUTLS_X509_FMT_PEM, NULL, 0);
    gnutls_x509_privkey_deinit(key);
    if (error == 0)
        return 0;
    if (error == GNUTLS_E_DECRYPTION_FAILED)
        return cp_why(mem, COPAL_EFORMAT,
                      "the private key is encrypted; decrypt it with openssl "
                      "pkey -in FILE -out FILE2");
    if (error == GNUTLS_E_MEMORY_ERROR)
        return COPAL_ENOMEM;
    return cp_why(mem, COPAL_EFORMAT,
                  "the private key cannot be read: %s; PEM without a password "
                  "is needed, and of a PKCS #8 key its public part, too "
                  "(openssl ec -in FILE)",
                  gnutls_strerror(error));
}

/* GnuTLS does not look whether a raw public key belongs to the private one. */
static int check_pair(struct cp_mem *mem, const struct cp_pem *pem)
{
    gnutls_datum_t key_text = datum(pem->key), public_text = datum(pem->cert);
    gnutls_privkey_t key = NULL;
    gnutls_pubkey_t of_key = NULL, given = NULL;
    uint8_t id[32], other[32];
    size_t n = sizeof(id), m = sizeof(other);
    int error = gnutls_privkey_init(&key);

    if (error == 0)
        error = gnutls_pubkey_init(&of_key);
    if (error == 0)
        error = gnutls_pubkey_init(&given);
    if (error == 0)
        error = gnutls_privkey_import_x509_raw(key, &key_text,
                                               GNUTLS_X509_FMT_PEM, NULL, 0);
    if (error == 0)
        error = gnutls_pubkey_import_privkey(of_key, key, 0, 0);
    if (error == 0)
        error = gnutls_pubkey_import(given, &public_text, GNUTLS_X509_FMT_PEM);
    if (error == 0)
        error =
            gnutls_pubkey_get_key_id(of_key, GNUTLS_KEYID_USE_SHA256, id, &n);
    if (error == 0)
        error =
            gnutls_pubkey_get_key_id(given, GNUTLS_KEYID_USE_SHA256, other, &m);
    gnutls_pubkey_deinit(given);
    gnutls_pubkey_deinit(of_key);
    gnutls_privkey_deinit(key);
    if (error != 0)
        return unreadable(mem, "the public or the private key", error);
    if (memcmp(id, other, sizeof(id)) != 0)
        return cp_why(mem, COPAL_EFORMAT,
                      "the private key does not belong to the public key");
    return 0;
}

static int show_key(struct cp_certificate *c, const struct cp_pem *pem)
{
    gnutls_datum_t public_text = datum(pem->cert), key = datum(pem->key);
    int error, err = check_pair(c->mem, pem);

    if (err != 0)
        return err;
    error = gnutls_certificate_set_rawpk_key_mem(c->library, &public_text, &key,
                                                 GNUTLS_X509_FMT_PEM, NULL, 0,
                                                 NULL, 0, 0);
    if (error < 0)
        return no_fit(c->mem, error);
    c->shows_rpk = true;
    return 0;
}

static int show(struct cp_certificate *c, const struct cp_pem *pem)
{
    gnutls_datum_t chain, key;
    int error, err;

    if (pem->cert == NULL)
        return 0;
    err = check_key(c->mem, pem->key);
    if (err != 0)
        return err;
    if (holds(pem->cert, key_head) && !holds(pem->cert, cert_head))
        return show_key(c, pem);
    chain = datum(pem->cert);
    key = datum(pem->key);
    error = gnutls_certificate_set_x509_key_mem2(c->library, &chain, &key,
                                                 GNUTLS_X509_FMT_PEM, NULL, 0);
    if (error < 0)
        return no_fit(c->mem, error);
    c->shows_x509 = true;
    return 0;
}

/* ---- Whom we trust ---- */

static int trust_key(struct cp_certificate *c, gnutls_datum_t pem)
{
    struct cp_key_hash *more =
        cp_resize(c->mem, c->keys, (c->key_count + 1) * sizeof(*c->keys));
    char name[CP_KEY_NAME];
    gnutls_pubkey_t key;
    gnutls_datum_t der = {0};
    int error;

    if (more == NULL || gnutls_pubkey_init(&key) != 0) {
        c->keys = more == NULL ? c->keys : more;
        return COPAL_ENOMEM;
    }
    c->keys = more;
    error = gnutls_pubkey_import(key, &pem, GNUTLS_X509_FMT_PEM);
    if (error == 0)
        error = gnutls_pubkey_export2(key, GNUTLS_X509_FMT_DER, &der);
    gnutls_pubkey_deinit(key);
    if (error == 0 && !cp_certificate_name_key(cp_bytes(der.data, der.size),
                                               &c->keys[c->key_count], name))
        error = GNUTLS_E_MEMORY_ERROR;
    gnutls_free(der.data);
    if (error != 0)
        return unreadable(c->mem, "a public key to trust", error);
    c->key_count++;
    c->trusts_rpk = true;
    return 0;
}

static int trust(struct cp_certificate *c, const char *trusted)
{
    gnutls_datum_t all = datum(trusted);
    int count = 0, err = 0;

    for (const char *at = strstr(trusted, key_head); err == 0 && at != NULL;
         at = strstr(at + 1, key_head))
        err = trust_key(c, datum(at));
    if (err == 0 && strstr(trusted, cert_head) != NULL) {
        count = gnutls_certificate_set_x509_trust_mem(c->library, &all,
                                                      GNUTLS_X509_FMT_PEM);
        c->trusts_x509 = count > 0;
    }
    if (err == 0 && count < 0)
        err = unreadable(c->mem, "a certificate to trust", count);
    if (err == 0 && !c->trusts_x509 && !c->trusts_rpk)
        err = cp_why(c->mem, COPAL_EFORMAT,
                     "there is neither a certificate nor a public key in what "
                     "is to be trusted; PEM text is needed, not a file name");
    return err;
}

/* ---- Together ---- */

static int take(struct cp_certificate *c, const struct cp_pem *pem,
                bool is_client)
{
    int err = show(c, pem);

    if (err != 0)
        return err;
    if (pem->trusted != NULL)
        return trust(c, pem->trusted);
    if (is_client)
        c->trusts_x509 =
            gnutls_certificate_set_x509_system_trust(c->library) > 0;
    return 0;
}

int cp_certificate_new(struct cp_mem *mem, const struct cp_pem *list,
                       size_t count, bool is_client,
                       struct cp_certificate **out)
{
    struct cp_certificate *c = cp_zalloc(mem, sizeof(*c));
    int err = 0;

    if (c == NULL)
        return COPAL_ENOMEM;
    c->mem = mem;
    c->refs = 1;
    if (gnutls_certificate_allocate_credentials(&c->library) != 0) {
        cp_free(mem, c);
        return COPAL_ENOMEM;
    }
    cp_wiping_gnutls();
    for (size_t i = 0; err == 0 && i < count; i++)
        err = take(c, &list[i], is_client);
    cp_wiping_gnutls_over();
    if (err != 0) {
        cp_certificate_unref(c);
        return err;
    }
    *out = c;
    return 0;
}

struct cp_certificate *cp_certificate_ref(struct cp_certificate *c)
{
    if (c != NULL)
        c->refs++;
    return c;
}

void cp_certificate_unref(struct cp_certificate *c)
{
    if (c == NULL || --c->refs > 0)
        return;
    gnutls_certificate_free_credentials(c->library);
    cp_free(c->mem, c->keys);
    cp_free(c->mem, c);
}

/* ---- For whom they are ---- */

/* The i-th that we show, of a chain the first: 1 if that is for host, 0 if not, as
 * a raw public key is for none; below 0 past the last. */
static int shown_is_for(const struct cp_certificate *c, unsigned i,
                        const char *host)
{
    gnutls_x509_crt_t *chain = NULL;
    unsigned count = 0;
    int error = gnutls_certificate_get_x509_crt(c->library, i, &chain, &count);
    bool is_for;

    if (error != 0)
        return error == GNUTLS_E_REQUESTED_DATA_NOT_AVAILABLE ? error : 0;
    is_for = count > 0 && gnutls_x509_crt_check_hostname(chain[0], host) != 0;
    for (unsigned k = 0; k < count; k++)
        gnutls_x509_crt_deinit(chain[k]);
    gnutls_free(chain);
    return is_for;
}

bool cp_certificate_is_for(const struct cp_certificate *c, const char *host)
{
    int is_for = 0;

    for (unsigned i = 0; c->shows_x509 && is_for == 0; i++)
        is_for = shown_is_for(c, i, host);
    return is_for > 0;
}
