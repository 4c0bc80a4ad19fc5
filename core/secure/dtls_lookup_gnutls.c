/* Keys that the user looks up, while the handshake waits: GnuTLS asks for one
 * from inside, where nothing can be waited for, so the identity is read before
 * it sees the message. */
#include "secure/dtls_shake.h"
#include "secure/hello.h"

enum {
    MESSAGE_HEAD = 12, /* type, length, number, fragment */
    MOST_HELD = 2048   /* bytes of records; the peer sends them again */
};

/* The body of a message that is whole in its record. RFC 6347 4.2.2. */
static bool read_message(const struct cp_record *r, uint8_t *type,
                         copal_bytes *body)
{
    struct cp_cursor c = cp_cursor_of(r->body);
    uint64_t len, at, part;

    *type = cp_take_u8(&c);
    len = cp_bytes_uint(cp_take(&c, 3));
    (void)cp_take_u16(&c);
    at = cp_bytes_uint(cp_take(&c, 3));
    part = cp_bytes_uint(cp_take(&c, 3));
    *body = cp_take(&c, (size_t)part);
    return !c.failed && at == 0 && part == len;
}

/* The identity whose key has to be looked up first; empty: none. */
static copal_bytes wanted_by(const struct cp_dtls_shake *k,
                             const struct cp_record *r)
{
    const struct cp_session *s = k->proof;
    gnutls_kx_algorithm_t kx = gnutls_kx_get(s->library);
    copal_bytes body, identity = {0};
    uint8_t type;

    if (cp_dtls_is_ours(k->session) || s->all->lookup == NULL ||
        r->type != CP_HANDSHAKE || r->epoch != 0 ||
        (kx != GNUTLS_KX_PSK && kx != GNUTLS_KX_ECDHE_PSK) ||
        !read_message(r, &type, &body) || type != CP_HELLO_KEY_EXCHANGE)
        return identity;
    identity = cp_hello_exchange_identity(body);
    if (identity.len > CP_PSK_IDENTITY ||
        cp_credentials_key_of(s->all, identity).len > 0 ||
        cp_bytes_equal(identity, cp_bytes(s->looked_for, s->looked_for_len)))
        identity.len = 0;
    return identity;
}

static void hold(struct cp_dtls_shake *k, const struct cp_record *r)
{
    if (k->held.len + r->whole.len <= MOST_HELD)
        cp_put_bytes(&k->held, r->whole);
}

/* Its session may end with any of them. */
static void go_on(struct cp_dtls_shake *k)
{
    struct cp_dtls *d = k->session->dtls;
    uint32_t number = k->session->name.association;
    struct cp_buf held = k->held;
    copal_bytes rest = cp_bytes(held.data, held.failed ? 0 : held.len);
    struct cp_dtls_session *s;
    struct cp_record r;

    k->held = cp_buf_new(d->mem);
    while ((s = cp_dtls_session_numbered(d, number)) != NULL &&
           cp_record_next(&rest, CP_CID_MINE, &r) == 1)
        cp_dtls_shake_feed(s, &r);
    cp_buf_free(&held);
}

static void on_key(struct cp_lookup *l, bool found, copal_bytes value)
{
    struct cp_dtls_shake *k = cp_container_of(l, struct cp_dtls_shake, lookup);
    struct cp_session *s = k->proof;

    k->waits = false;
    cp_session_key_found(s, cp_bytes(s->looked_for, s->looked_for_len),
                         found ? value : (copal_bytes){0});
    go_on(k);
}

bool cp_dtls_lookup_holds(struct cp_dtls_shake *k, const struct cp_record *r)
{
    copal_bytes identity = k->waits ? (copal_bytes){0} : wanted_by(k, r);

    if (identity.len > 0) {
        cp_session_key_found(k->proof, identity, (copal_bytes){0});
        k->lookup.done = on_key;
        k->waits = cp_credentials_look_up(k->proof->all, "psk", identity,
                                          &k->lookup) == 0;
    }
    if (k->waits)
        hold(k, r);
    return k->waits;
}

static void on_trusted(struct cp_lookup *l, bool found, copal_bytes value)
{
    struct cp_dtls_shake *k = cp_container_of(l, struct cp_dtls_shake, lookup);

    (void)value;
    k->waits = false;
    cp_dtls_shake_trusted(k->session, found);
}

bool cp_dtls_lookup_trust(struct cp_dtls_shake *k)
{
    k->lookup.done = on_trusted;
    k->waits = cp_credentials_look_up(k->proof->all, "rpk",
                                      cp_bytes_of_text(k->proof->doubted),
                                      &k->lookup) == 0;
    return k->waits;
}
