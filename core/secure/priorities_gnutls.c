/* Which suites, groups, signatures and kinds of certificates GnuTLS may agree
 * upon. To read the text that says so is a tenth of a handshake by PSK, so that
 * is done once for each kind of session. */
#include "secure/session_gnutls.h"

/* No CBC, no RSA key exchange, nothing before 1.2. PSKs are tied to SHA-256, so
 * its suites come first. */
#define SUITES \
    "+AES-128-GCM:+AES-128-CCM:+AES-128-CCM-8:+CHACHA20-POLY1305:" \
    "+AES-256-GCM:+AEAD:+ECDHE-ECDSA:+ECDHE-RSA:+ECDHE-PSK:+PSK:" \
    "+GROUP-X25519:+GROUP-SECP256R1:+GROUP-SECP384R1:" \
    "+SIGN-ECDSA-SECP256R1-SHA256:+SIGN-ECDSA-SHA256:+SIGN-EDDSA-ED25519:" \
    "+SIGN-ECDSA-SECP384R1-SHA384:+SIGN-ECDSA-SHA384:" \
    "+SIGN-RSA-PSS-RSAE-SHA256:+SIGN-RSA-SHA256:+SIGN-RSA-PSS-RSAE-SHA384:" \
    "+SIGN-RSA-SHA384:+COMP-NULL:%SAFE_RENEGOTIATION"
#define STREAMS   "NONE:+VERS-TLS1.3:+VERS-TLS1.2:" SUITES
#define DATAGRAMS "NONE:+VERS-DTLS1.2:" SUITES

static void put_types(struct cp_buf *b, const char *side, bool rpk, bool x509)
{
    if (rpk)
        cp_put_format(b, ":+CTYPE-%s-RAWPK", side);
    if (x509 || !rpk)
        cp_put_format(b, ":+CTYPE-%s-X509", side);
}

/* What decides on the text. Seven bits: so few are kept. */
struct kind {
    bool is_datagram, is_client, has_certificate;
    bool shows_rpk, shows_x509, trusts_rpk, trusts_x509;
};

static struct kind kind_of(const struct cp_session *s, bool is_datagram)
{
    const struct cp_certificate *c = s->certificate;
    bool is_client = s->asked.host != NULL;
    struct kind k = {.is_datagram = is_datagram, .is_client = is_client};

    if (c != NULL) {
        k.has_certificate = true;
        k.shows_rpk = c->shows_rpk;
        k.shows_x509 = c->shows_x509;
        k.trusts_rpk = c->trusts_rpk || (!is_client && s->all->lookup != NULL);
        k.trusts_x509 = c->trusts_x509;
    }
    /* A server that asks for none minds no kind that the client could show: left
     * out, it would end the handshake over it. RFC 7250 4.2. */
    if (!is_client && !k.trusts_rpk && !k.trusts_x509)
        k.trusts_rpk = k.trusts_x509 = true;
    return k;
}

static unsigned number_of(const struct kind *k)
{
    return (unsigned)k->is_datagram | (unsigned)k->is_client << 1 |
           (unsigned)k->has_certificate << 2 | (unsigned)k->shows_rpk << 3 |
           (unsigned)k->shows_x509 << 4 | (unsigned)k->trusts_rpk << 5 |
           (unsigned)k->trusts_x509 << 6;
}

static int read_priorities(const struct kind *k, gnutls_priority_t *out)
{
    char text[1024];
    struct cp_buf b = cp_buf_fixed(text, sizeof(text));

    cp_put_text(&b, k->is_datagram ? DATAGRAMS : STREAMS);
    /* GnuTLS ends the handshake when it first finds a suite that it lacks a
     * certificate for, whatever else the peer offers. */
    if (!k->has_certificate)
        cp_put_text(&b, ":-ECDHE-ECDSA:-ECDHE-RSA");
    put_types(&b, k->is_client ? "CLI" : "SRV", k->shows_rpk, k->shows_x509);
    put_types(&b, k->is_client ? "SRV" : "CLI", k->trusts_rpk, k->trusts_x509);
    if (cp_buf_text(&b) == NULL)
        return GNUTLS_E_MEMORY_ERROR;
    return gnutls_priority_init(out, text, NULL);
}

int cp_priorities_set(struct cp_session *s, bool is_datagram)
{
    struct kind k = kind_of(s, is_datagram);
    gnutls_priority_t *kept = cp_resumption_priority(s->all, number_of(&k));
    gnutls_priority_t p = kept == NULL ? NULL : *kept;
    int error = p == NULL ? read_priorities(&k, &p) : 0;

    if (error != 0)
        return error;
    error = gnutls_priority_set(s->library, p);
    if (kept != NULL)
        *kept = p;
    else
        gnutls_priority_deinit(p); /* the session has a reference */
    return error;
}
