#include "secure/session_gnutls.h"

#include <gnutls/crypto.h>
#include <stdarg.h>
#include "base/address.h"

enum {
    MOST_HANDSHAKE = 32768 /* bytes that who asks may show before it is known */
};

static struct cp_session *of_library(gnutls_session_t library)
{
    return gnutls_session_get_ptr(library);
}

/* What GnuTLS says when it is set up. */
static int border(struct cp_mem *mem, int error)
{
    if (error >= 0)
        return 0;
    if (error == GNUTLS_E_MEMORY_ERROR)
        return COPAL_ENOMEM;
    return cp_why(mem, COPAL_EIO, "GnuTLS: %s", gnutls_strerror(error));
}

/* ---- Keys ---- */

static int give_random_key(gnutls_datum_t *out)
{
    return gnutls_rnd(GNUTLS_RND_NONCE, out->data, out->size);
}

/* Who is not known gets a key like any other that fits nobody, so that it
 * fails as a wrong key does. RFC 4279 2. */
static int give_key(gnutls_session_t library, const gnutls_datum_t *username,
                    gnutls_datum_t *out)
{
    struct cp_session *s = of_library(library);
    copal_bytes identity = cp_bytes(username->data, username->size);
    copal_bytes key = cp_credentials_key_of(s->all, identity);

    if (key.len == 0 &&
        cp_bytes_equal(cp_bytes(s->looked_for, s->looked_for_len), identity))
        key = cp_bytes(s->found, s->found_len);
    out->size = key.len == 0 ? 16 : (unsigned)key.len;
    out->data = gnutls_malloc(out->size);
    if (out->data == NULL)
        return GNUTLS_E_MEMORY_ERROR;
    if (key.len == 0)
        return give_random_key(out);
    memcpy(out->data, key.data, key.len);
    return 0;
}

void cp_session_key_found(struct cp_session *s, copal_bytes identity,
                          copal_bytes key)
{
    bool fits = key.len <= sizeof(s->found);

    cp_wipe(s->found, sizeof(s->found));
    s->looked_for_len = s->found_len = 0;
    if (identity.len > sizeof(s->looked_for))
        return;
    memcpy(s->looked_for, identity.data, identity.len);
    s->looked_for_len = identity.len;
    if (fits && key.len > 0)
        memcpy(s->found, key.data, key.len);
    s->found_len = fits ? key.len : 0;
}

static int copy_datum(copal_bytes from, gnutls_datum_t *to)
{
    to->data = gnutls_malloc(from.len);
    if (to->data == NULL)
        return GNUTLS_E_MEMORY_ERROR;
    memcpy(to->data, from.data, from.len);
    to->size = (unsigned)from.len;
    return 0;
}

/* As a client, when it is needed: what GnuTLS asks for it wipes, which it does
 * not with a key that it was given before. */
static int give_own_key(gnutls_session_t library, gnutls_datum_t *username,
                        gnutls_datum_t *out)
{
    const struct cp_session *s = of_library(library);
    const struct cp_scope_keys *keys = cp_credentials_for(s->all, &s->asked);
    int error;

    if (keys == NULL || keys->psk.key.len == 0) /* forgotten meanwhile */
        return GNUTLS_E_INSUFFICIENT_CREDENTIALS;
    error = copy_datum(keys->psk.identity, username);
    if (error != 0)
        return error;
    error = copy_datum(keys->psk.key, out);
    if (error != 0) {
        gnutls_free(username->data);
        username->data = NULL;
    }
    return error;
}

static int show_psk(struct cp_session *s)
{
    int error = gnutls_psk_allocate_client_credentials(&s->psk_client);

    if (error != 0)
        return border(s->mem, error);
    gnutls_psk_set_client_credentials_function2(s->psk_client, give_own_key);
    return border(s->mem, gnutls_credentials_set(s->library, GNUTLS_CRD_PSK,
                                                 s->psk_client));
}

static int know_psks(struct cp_session *s)
{
    int error = gnutls_psk_allocate_server_credentials(&s->psk_server);

    if (error != 0)
        return border(s->mem, error);
    gnutls_psk_set_server_credentials_function2(s->psk_server, give_key);
    return border(s->mem, gnutls_credentials_set(s->library, GNUTLS_CRD_PSK,
                                                 s->psk_server));
}

static int use_certificate(struct cp_session *s, struct cp_certificate *c)
{
    s->certificate = cp_certificate_ref(c);
    gnutls_session_set_verify_function(s->library, cp_verify_peer);
    return border(s->mem, gnutls_credentials_set(
                              s->library, GNUTLS_CRD_CERTIFICATE, c->library));
}

/* ---- Client and server ---- */

/* Nobody is asked by more than what was said of him: who has a key of his own
 * is not believed for a certificate that somebody signed. */
static int dress_client(struct cp_session *s)
{
    const struct cp_scope_keys *keys = cp_credentials_for(s->all, &s->asked);
    int err = 0;

    if (keys == NULL) {
        if (s->all->system == NULL)
            err = cp_certificate_new(s->mem, &(struct cp_pem){0}, 1, true,
                                     &s->all->system);
        return err != 0 ? err : use_certificate(s, s->all->system);
    }
    if (keys->psk.key.len > 0)
        err = show_psk(s);
    if (err == 0 && keys->certificate != NULL)
        err = use_certificate(s, keys->certificate);
    return err;
}

/* RFC 6066 3: names only, no addresses. */
static int name_server(struct cp_session *s)
{
    struct cp_address literal;

    if (cp_address_read(s->asked.host, &literal) ||
        strchr(s->asked.host, ':') != NULL)
        return 0;
    return border(s->mem,
                  gnutls_server_name_set(s->library, GNUTLS_NAME_DNS,
                                         s->asked.host, strlen(s->asked.host)));
}

/* Who is to be proven by a certificate has to show one; who asks by a key is
 * proven already. */
static int dress_server(struct cp_session *s)
{
    const struct cp_credentials *all = s->all;
    const struct cp_certificate *c = all->served;
    int err = 0;

    if (all->psks.count > 0 || all->lookup != NULL)
        err = know_psks(s);
    if (err == 0 && c != NULL)
        err = use_certificate(s, all->served);
    if (err == 0 && c != NULL)
        gnutls_certificate_server_set_request(
            s->library, c->trusts_x509 || c->trusts_rpk ? GNUTLS_CERT_REQUIRE
                        : all->lookup != NULL           ? GNUTLS_CERT_REQUEST
                                                        : GNUTLS_CERT_IGNORE);
    return err;
}

/* NSS key log: label, client random, secret. Flushed line by line, as a capture
 * is read while it grows. */
static int log_key(gnutls_session_t library, const char *label,
                   const gnutls_datum_t *secret)
{
    struct cp_session *s = of_library(library);
    char line[512];
    struct cp_buf b = cp_buf_fixed(line, sizeof(line));
    gnutls_datum_t ours, theirs;

    if (s->all->key_log == NULL)
        return 0;
    gnutls_session_get_random(library, &ours, &theirs);
    cp_put_text(&b, label);
    cp_put_u8(&b, ' ');
    cp_put_hex(&b, cp_bytes(ours.data, ours.size));
    cp_put_u8(&b, ' ');
    cp_put_hex(&b, cp_bytes(secret->data, secret->size));
    cp_put_u8(&b, '\n');
    if (!b.failed) {
        fwrite(line, 1, b.len, s->all->key_log);
        fflush(s->all->key_log);
    }
    cp_wipe(line, sizeof(line));
    return 0;
}

static int dress(struct cp_session *s, unsigned flags)
{
    bool is_client = s->asked.host != NULL;
    int err = is_client ? dress_client(s) : dress_server(s);

    if (err == 0)
        err = border(s->mem,
                     cp_priorities_set(s, (flags & GNUTLS_DATAGRAM) != 0));
    if (err == 0 && is_client)
        err = name_server(s);
    if (err == 0 && !is_client)
        err = cp_resumption_allow(s);
    /* Always: left alone GnuTLS logs to what SSLKEYLOGFILE names, unasked. */
    gnutls_session_set_keylog_function(s->library, log_key);
    return err;
}

int cp_session_new(struct cp_credentials *all, const struct cp_asked *asked,
                   unsigned flags, struct cp_session **out)
{
    bool is_client = asked->host != NULL;
    struct cp_session *s = cp_zalloc(all->mem, sizeof(*s));
    int err = COPAL_ENOMEM;

    if (s == NULL)
        return COPAL_ENOMEM;
    s->mem = all->mem;
    s->all = cp_credentials_ref(all);
    s->asked = *asked;
    s->generation = all->generation;
    if (is_client) {
        s->asked.host =
            cp_copy_text(all->mem, asked->host, strlen(asked->host));
        if (s->asked.host == NULL)
            goto fail;
    }
    err = border(all->mem,
                 gnutls_init(&s->library,
                             flags | GNUTLS_NONBLOCK | GNUTLS_ENABLE_RAWPK |
                                 GNUTLS_NO_SIGNAL |
                                 (is_client ? GNUTLS_CLIENT : GNUTLS_SERVER)));
    if (err != 0) {
        s->library = NULL;
        goto fail;
    }
    gnutls_session_set_ptr(s->library, s);
    gnutls_handshake_set_timeout(s->library, GNUTLS_INDEFINITE_TIMEOUT);
    if (!is_client)
        gnutls_handshake_set_max_packet_length(s->library, MOST_HANDSHAKE);
    err = dress(s, flags);
    if (err != 0)
        goto fail;
    *out = s;
    return 0;
fail:
    cp_session_free(s);
    return err;
}

void cp_session_free(struct cp_session *s)
{
    if (s == NULL)
        return;
    if (s->library != NULL)
        gnutls_deinit(s->library);
    if (s->psk_client != NULL)
        gnutls_psk_free_client_credentials(s->psk_client);
    if (s->psk_server != NULL)
        gnutls_psk_free_server_credentials(s->psk_server);
    cp_certificate_unref(s->certificate);
    cp_credentials_unref(s->all);
    cp_free(s->mem, s->identity);
    cp_free(s->mem, (char *)s->asked.host);
    cp_free_secret(s->mem, s, sizeof(*s));
}

/* ---- What became of it ---- */

static char *psk_name(struct cp_session *s, int *err)
{
    struct cp_buf b = cp_buf_new(s->mem);
    const char *name = NULL;
    size_t len;

    if (s->asked.host == NULL) {
        name = gnutls_psk_server_get_username(s->library);
    } else {
        const struct cp_scope_keys *keys =
            cp_credentials_for(s->all, &s->asked);

        if (keys != NULL && keys->psk.key.len > 0)
            name = (const char *)keys->psk.identity.data;
    }
    if (name == NULL) { /* by whose key is not known then */
        *err = COPAL_EAUTH;
        return NULL;
    }
    cp_credentials_put_identity(&b, cp_bytes_of_text(name));
    cp_put_u8(&b, '\0');
    if (b.failed) {
        *err = COPAL_ENOMEM;
        cp_buf_free(&b);
        return NULL;
    }
    return (char *)cp_buf_take(&b, &len);
}

/* RFC 7627: or else whoever stands in between may make two sessions alike. It
 * cannot be asked of GnuTLS 3.7 before. */
static bool binds_master_secret(const struct cp_session *s)
{
    gnutls_protocol_t version = gnutls_protocol_get_version(s->library);

    return version == GNUTLS_TLS1_3 ||
           gnutls_session_ext_master_secret_status(s->library) != 0;
}

/* GnuTLS asked for it, and might yet fail to tell what it got. */
static bool has_to_show(const struct cp_session *s)
{
    const struct cp_certificate *c = s->certificate;

    return c != NULL && (c->trusts_x509 || c->trusts_rpk);
}

int cp_session_proven(struct cp_session *s)
{
    bool is_client = s->asked.host != NULL;
    gnutls_credentials_type_t by =
        is_client ? gnutls_auth_server_get_type(s->library)
                  : gnutls_auth_client_get_type(s->library);
    int err = 0;

    if (!binds_master_secret(s)) {
        cp_session_say(
            s, COPAL_EAUTH,
            "the peer knows no extended master secret (RFC 7627), without "
            "which "
            "TLS 1.2 is not safe; let it be newer");
        return s->status;
    }
    if (by == GNUTLS_CRD_PSK) {
        s->identity = psk_name(s, &err);
    } else if (gnutls_certificate_get_peers(s->library, NULL) != NULL) {
        int error = gnutls_session_is_resumed(s->library)
                        ? cp_verify_peer(s->library)
                        : 0;

        if (error != 0) {
            cp_session_explain(s, error);
            return s->status;
        }
        s->identity = cp_verify_name(s, &err);
    } else if (is_client || has_to_show(s)) {
        err = COPAL_EAUTH;
    }
    if (err == COPAL_ENOMEM)
        cp_session_say(s, err, "out of memory");
    else if (err != 0)
        cp_session_say(s, err, "the %s did not prove itself",
                       is_client ? "server" : "client");
    return err;
}
