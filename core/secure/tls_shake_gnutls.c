/* Handshakes of TLS, and what they wait for: keys of peers that are looked up. */
#include "secure/tls_gnutls.h"

#include "engine/core.h"
#include "engine/trace.h"
#include "secure/hello.h"
#include "wire/uri.h"

enum {
    ALPN_PORT = 5684 /* where ALPN may be left away */
};

/* RFC 8323 8.2: a server on any other port than its own has to say that it
 * speaks CoAP. */
static bool speaks_coap(const struct cp_tls *t)
{
    const struct cp_asked *asked = &t->session->asked;
    gnutls_datum_t chosen;

    if (asked->host == NULL || asked->scheme != CP_COAPS_TCP ||
        asked->port == ALPN_PORT)
        return true;
    return gnutls_alpn_get_selected_protocol(cp_tls_library(t), &chosen) == 0;
}

static void tell(const struct cp_tls *t)
{
    struct cp_engine *e = t->session->all->engine;
    char text[256];

    if (e == NULL)
        return;
    snprintf(text, sizeof(text), "%s%s with %s",
             gnutls_protocol_get_name(
                 gnutls_protocol_get_version(cp_tls_library(t))),
             gnutls_session_is_resumed(cp_tls_library(t)) ? ", resumed," : "",
             t->pipe.identity == NULL ? "nobody in particular"
                                      : t->pipe.identity);
    cp_trace_security(e, "handshake", text);
}

static void open_up(struct cp_tls *t)
{
    if (!speaks_coap(t)) {
        (void)gnutls_alert_send(cp_tls_library(t), GNUTLS_AL_FATAL,
                                GNUTLS_A_NO_APPLICATION_PROTOCOL);
        cp_tls_end(
            t, COPAL_EAUTH,
            "the server does not say that it speaks CoAP (ALPN \"coap\"), "
            "which "
            "it may leave away on port 5684 only; RFC 8323 8.2");
        return;
    }
    t->is_open = true;
    cp_buf_free(&t->messages);
    t->pipe.identity = t->session->identity;
    tell(t);
    t->pipe.above->ops->opened(t->pipe.above);
}

static void on_trusted(struct cp_lookup *l, bool found, copal_bytes value);

static void shaken(struct cp_tls *t)
{
    struct cp_session *s = t->session;

    if (cp_session_proven(s) != 0) {
        cp_tls_fail(t, GNUTLS_E_CERTIFICATE_ERROR);
        return;
    }
    if (s->doubted[0] == '\0') {
        open_up(t);
        return;
    }
    t->lookup.done = on_trusted;
    t->waits =
        cp_credentials_look_up(s->all, "rpk", cp_bytes_of_text(s->doubted),
                               &t->lookup) == 0;
    if (!t->waits) {
        s->status = COPAL_EAUTH;
        snprintf(s->why, sizeof(s->why), "the peer's key was not looked up");
        cp_tls_fail(t, GNUTLS_E_CERTIFICATE_ERROR);
    }
}

void cp_tls_shake(struct cp_tls *t)
{
    size_t before;
    int error;

    do {
        before = t->in.len;
        error = gnutls_handshake(cp_tls_library(t));
    } while (error != 0 && !gnutls_error_is_fatal(error) &&
             (error != GNUTLS_E_AGAIN || t->in.len != before));
    if (error == 0)
        shaken(t);
    else if (error != GNUTLS_E_AGAIN)
        cp_tls_fail(t, error);
}

/* ---- Keys that are looked up ---- */

static void on_key(struct cp_lookup *l, bool found, copal_bytes value)
{
    struct cp_tls *t = cp_container_of(l, struct cp_tls, lookup);

    t->waits = false;
    if (t->is_ended)
        return;
    cp_session_key_found(
        t->session,
        cp_bytes(t->session->looked_for, t->session->looked_for_len),
        found ? value : (copal_bytes){0});
    cp_tls_shake_go_on(t);
    if (!t->is_ended)
        t->pipe.below->ops->more(t->pipe.below);
}

static void on_trusted(struct cp_lookup *l, bool found, copal_bytes value)
{
    struct cp_tls *t = cp_container_of(l, struct cp_tls, lookup);
    struct cp_session *s = t->session;

    (void)value;
    t->waits = false;
    if (t->is_ended)
        return;
    if (!found) {
        s->status = COPAL_EAUTH;
        snprintf(s->why, sizeof(s->why), "the public key %s is not trusted",
                 s->doubted);
        cp_tls_fail(t, GNUTLS_E_CERTIFICATE_ERROR);
        return;
    }
    open_up(t);
    if (!t->is_ended)
        cp_tls_shake_go_on(t);
    if (!t->is_ended)
        t->pipe.below->ops->more(t->pipe.below);
}

/* Whose key the next message of the handshake wants, if it is one that GnuTLS
 * will ask for and we do not know. */
static copal_bytes wanted_by(struct cp_tls *t, uint8_t type, copal_bytes body)
{
    gnutls_kx_algorithm_t kx = gnutls_kx_get(cp_tls_library(t));
    copal_bytes identity = {0};

    if (type == CP_HELLO_CLIENT)
        identity = cp_hello_identity(body);
    else if (type == CP_HELLO_KEY_EXCHANGE &&
             (kx == GNUTLS_KX_PSK || kx == GNUTLS_KX_ECDHE_PSK ||
              kx == GNUTLS_KX_DHE_PSK))
        identity = cp_hello_exchange_identity(body);
    if (identity.len > 0 &&
        cp_credentials_key_of(t->session->all, identity).len > 0)
        return (copal_bytes){0};
    return identity;
}

/* True: the key is being looked up, and the record has to wait. */
static bool looks_up(struct cp_tls *t, copal_bytes identity)
{
    struct cp_session *s = t->session;

    if (identity.len == 0 ||
        cp_bytes_equal(cp_bytes(s->looked_for, s->looked_for_len), identity))
        return false;
    cp_session_key_found(s, identity, (copal_bytes){0});
    t->lookup.done = on_key;
    t->waits = cp_credentials_look_up(s->all, "psk", identity, &t->lookup) == 0;
    return t->waits;
}

/* A record of handshake messages in clear is seen before GnuTLS takes it. Only
 * whole messages tell something; the rest waits for the next record. */
static bool peek(struct cp_tls *t, copal_bytes record)
{
    copal_bytes m, wanted = {0};
    size_t used = 0;

    if (record.data[0] != CP_TLS_HANDSHAKE)
        return false;
    cp_put_bytes(&t->messages, cp_bytes(record.data + CP_TLS_RECORD_HEADER,
                                        record.len - CP_TLS_RECORD_HEADER));
    if (t->messages.failed || t->messages.len > CP_HELLO_MOST) {
        t->peeks = false; /* whoever needed that key has not got it */
        return false;
    }
    m = cp_bytes(t->messages.data, t->messages.len);
    while (wanted.len == 0 && m.len - used >= 4) {
        size_t len = (size_t)cp_bytes_uint(cp_bytes(m.data + used + 1, 3));

        if (m.len - used - 4 < len)
            break;
        wanted = wanted_by(t, m.data[used], cp_bytes(m.data + used + 4, len));
        used += 4 + len;
    }
    (void)looks_up(t, wanted);
    memmove(t->messages.data, t->messages.data + used, t->messages.len - used);
    t->messages.len -= used;
    return t->waits;
}

static void drop_held(struct cp_tls *t, size_t n)
{
    memmove(t->held.data, t->held.data + n, t->held.len - n);
    t->held.len -= n;
}

/* Record by record, as long as a hello may come. */
static void feed_records(struct cp_tls *t)
{
    while (!t->is_ended && !t->waits && !t->is_open && t->peeks &&
           t->held.len >= CP_TLS_RECORD_HEADER) {
        size_t len = CP_TLS_RECORD_HEADER + (size_t)(t->held.data[3] << 8) +
                     t->held.data[4];
        copal_bytes record = cp_bytes(t->held.data, len);

        if (len > CP_TLS_RECORD_HEADER + CP_TLS_RECORD_MOST) {
            t->peeks = false; /* GnuTLS will say what is wrong with it */
            break;
        }
        if (t->held.len < len)
            return;
        if (!t->is_seen && peek(t, record)) {
            t->is_seen = true;
            return;
        }
        t->is_seen = false;
        cp_tls_feed(t, record);
        if (!t->is_ended)
            drop_held(t, len);
    }
}

/* What was held goes on its way. */
void cp_tls_shake_go_on(struct cp_tls *t)
{
    struct cp_buf all;

    feed_records(t);
    if (t->is_ended || t->waits || t->held.len == 0 ||
        (t->peeks && !t->is_open))
        return;
    all = t->held; /* what has to wait again is put anew */
    t->held = cp_buf_new(t->mem);
    cp_tls_feed(t, cp_bytes(all.data, all.len));
    cp_buf_free(&all);
}
