#include "secure/dtls_shake.h"
#include "wire/uri.h"

#include <errno.h>
#include <gnutls/dtls.h>
#include "engine/trace.h"

enum {
    FIRST_WAIT_MS = 1000, /* RFC 6347 4.2.4.1 */
    GIVE_UP_MS = 31000,   /* after five flights: 1 + 2 + 4 + 8 + 16 s */
    LIBRARY_MS = 3600000, /* its own clock is to decide nothing */
    MOST_WARNINGS = 8
};

/* ---- Keys ---- */

/* Of the way in, once the peer has changed to it; else COPAL_ENOENT. */
static int algorithm_of(gnutls_session_t tls)
{
    switch (gnutls_cipher_get(tls)) {
    case GNUTLS_CIPHER_AES_128_CCM: return CP_AES_128_CCM;
    case GNUTLS_CIPHER_AES_128_CCM_8: return CP_AES_128_CCM_8;
    case GNUTLS_CIPHER_AES_128_GCM: return CP_AES_128_GCM;
    case GNUTLS_CIPHER_AES_256_GCM: return CP_AES_256_GCM;
    case GNUTLS_CIPHER_CHACHA20_POLY1305: return CP_CHACHA20_POLY1305;
    default: return COPAL_ENOENT;
    }
}

/* False: there is no key yet. */
static bool read_key(struct cp_dtls_shake *k, bool is_in,
                     struct cp_protect_way *w, size_t *len)
{
    gnutls_datum_t mac, iv, key;
    unsigned char number[8];

    if (gnutls_record_get_state(k->proof->library, is_in, &mac, &iv, &key,
                                number) != 0 ||
        key.size < 16 || key.size > sizeof(w->key.bytes) || iv.size < 4 ||
        iv.size > sizeof(w->iv))
        return false;
    memcpy(w->key.bytes, key.data, key.size);
    memcpy(w->iv, iv.data, iv.size);
    *len = key.size;
    return true;
}

bool cp_dtls_shake_learn(struct cp_dtls_shake *k, bool is_in)
{
    struct cp_protect *p = &k->session->protect;
    bool *knows = is_in ? &k->knows_in : &k->knows_out;
    struct cp_protect_way *w = is_in ? &p->in : &p->out;
    int algorithm = algorithm_of(k->proof->library);
    size_t len;

    if (*knows)
        return true;
    if (algorithm < 0 || !read_key(k, is_in, w, &len) ||
        len != cp_aead_key_len((enum cp_aead)algorithm))
        return false;
    w->key.algorithm = (uint8_t)algorithm;
    return *knows = true;
}

/* A client seals before the server has, and the library does not say then by
 * what: it is what opens the record. Gives what is in it, as
 * cp_protect_look(). */
static int look(struct cp_dtls_shake *k, const struct cp_record *r,
                uint8_t *out, uint8_t *type)
{
    struct cp_protect *p = &k->session->protect;
    struct cp_aeads *aeads = k->session->dtls->aeads;
    size_t key_len;

    if (cp_dtls_shake_learn(k, false))
        return cp_protect_look(p, aeads, r, out, type);
    if (!read_key(k, false, &p->out, &key_len))
        return COPAL_ESTATE;
    for (int a = 0; a < CP_AEAD_OF_TLS; a++) {
        int len;

        if (cp_aead_key_len((enum cp_aead)a) != key_len)
            continue;
        cp_aeads_forget(aeads, &p->out.key);
        p->out.key.algorithm = (uint8_t)a;
        len = cp_protect_look(p, aeads, r, out, type);
        if (len >= 0) {
            k->knows_out = true;
            return len;
        }
    }
    return COPAL_EAUTH;
}

/* ---- Between the library and the socket ---- */

/* One record, or several. Those of epoch 1 are taken apart and sealed anew, so
 * that their numbers, and a Connection ID, are ours to give. */
static void pass_on(struct cp_dtls_shake *k, const struct cp_record *r)
{
    uint8_t plain[2048], type = r->type;
    int len;

    if (k->heard)
        cp_dtls_flight_clear(k->flight);
    k->heard = false;
    if (r->epoch == 0) {
        cp_dtls_flight_put(k->flight, type, false, r->seq, r->body);
        return;
    }
    if (r->body.len > sizeof(plain))
        return;
    k->showed_key = true;
    len = look(k, r, plain, &type);
    if (len >= 0)
        cp_dtls_flight_put(k->flight, type, true, 0,
                           cp_bytes(plain, (size_t)len));
    cp_wipe(plain, sizeof(plain));
}

static ssize_t push(gnutls_transport_ptr_t user, const void *data, size_t len)
{
    copal_bytes rest = cp_bytes(data, len);
    struct cp_record r;

    while (cp_record_next(&rest, 0, &r) == 1)
        pass_on(user, &r);
    return (ssize_t)len; /* what is lost is sent again */
}

static ssize_t pull(gnutls_transport_ptr_t user, void *data, size_t room)
{
    struct cp_dtls_shake *k = user;
    size_t len = k->in.len < room ? k->in.len : room;

    if (len == 0) {
        gnutls_transport_set_errno(k->proof->library, EAGAIN);
        return -1;
    }
    memcpy(data, k->in.data, len);
    k->in = (copal_bytes){0};
    return (ssize_t)len;
}

static int pull_timeout(gnutls_transport_ptr_t user, unsigned ms)
{
    const struct cp_dtls_shake *k = user;

    (void)ms;
    return k->in.len > 0;
}

/* ---- Ends ---- */

/* Where the key is wrong a server hears only noise, and says nothing: RFC 6347
 * 4.1.2.7. */
static void time_out(struct cp_dtls_session *s)
{
    struct cp_dtls_shake *k = s->shake;
    char why[320];

    s->dtls->engine->counts.handshakes[CP_HANDSHAKE_FAILED]++;
    if (!cp_dtls_is_ours(s)) {
        cp_dtls_session_end(s, COPAL_ETIMEOUT, false);
        return;
    }
    if (k->showed_key)
        snprintf(why, sizeof(why),
                 "%s fell silent when it was shown what our key makes: it does "
                 "not know the identity, or has another key; compare both",
                 s->host);
    else
        snprintf(why, sizeof(why),
                 "%s does not answer the handshake; see whether it speaks DTLS "
                 "1.2 there",
                 s->host);
    cp_dtls_ask_failed(s, k->showed_key ? COPAL_EAUTH : COPAL_ETIMEOUT, why);
}

/* s is gone afterwards. */
static void fail(struct cp_dtls_session *s, int error)
{
    struct cp_dtls_shake *k = s->shake;
    char why[600];
    int status;

    s->dtls->engine->counts.handshakes[CP_HANDSHAKE_FAILED]++;
    cp_session_explain(k->proof, error);
    status = k->proof->status;
    (void)gnutls_alert_send_appropriate(k->proof->library, error);
    cp_dtls_flight_flush(k->flight);
    snprintf(why, sizeof(why), "%s: %s", s->host == NULL ? "a client" : s->host,
             k->proof->why);
    cp_trace_security(s->dtls->engine, "handshake_failed", why);
    if (cp_dtls_is_ours(s))
        cp_dtls_ask_failed(s, status, why);
    else
        cp_dtls_session_end(s, status, false);
}

static bool is_psk(gnutls_session_t library)
{
    gnutls_kx_algorithm_t kx = gnutls_kx_get(library);

    return kx == GNUTLS_KX_PSK || kx == GNUTLS_KX_ECDHE_PSK;
}

/* The library has done what it is for. The last flight is a server's: it is kept
 * for a while, as the client may lack it; a client's has been answered. */
static void establish(struct cp_dtls_session *s)
{
    struct cp_dtls_shake *k = s->shake;

    s->identity = k->proof->identity;
    k->proof->identity = NULL;
    cp_trace_security(s->dtls->engine, "handshake",
                      s->identity == NULL ? "DTLS1.2 with nobody in particular"
                                          : s->identity);
    s->dtls->engine->counts.handshakes[CP_HANDSHAKE_DONE]++;
    s->is_by_psk = is_psk(k->proof->library);
    cp_dtls_session_rise(s);
    cp_dtls_keep(s);
    if (cp_dtls_is_ours(s)) {
        cp_dtls_ping_watch(s);
        cp_dtls_ask_tell(s);
    } else {
        cp_dtls_flight_linger(k->flight);
        k->flight = NULL;
    }
    cp_dtls_shake_free(s);
}

static void complete(struct cp_dtls_session *s)
{
    struct cp_dtls_shake *k = s->shake;

    if (cp_session_proven(k->proof) != 0 || !cp_dtls_shake_learn(k, true) ||
        !cp_dtls_shake_learn(k, false)) {
        fail(s, GNUTLS_E_INSUFFICIENT_SECURITY);
        return;
    }
    if (k->proof->doubted[0] != '\0') {
        if (!cp_dtls_lookup_trust(k))
            cp_dtls_shake_trusted(s, false);
        return;
    }
    establish(s);
}

void cp_dtls_shake_trusted(struct cp_dtls_session *s, bool is_trusted)
{
    struct cp_session *proof = s->shake->proof;

    if (is_trusted) {
        establish(s);
        return;
    }
    proof->status = COPAL_EAUTH;
    snprintf(proof->why, sizeof(proof->why), "the public key %s is not trusted",
             proof->doubted);
    fail(s, GNUTLS_E_CERTIFICATE_ERROR);
}
/* ---- Going on ---- */

/* Anybody may send what does not belong here: it is as good as lost. RFC 6347
 * 4.1.2.7. */
static bool is_noise(int error)
{
    return error == GNUTLS_E_UNEXPECTED_PACKET ||
           error == GNUTLS_E_UNEXPECTED_PACKET_LENGTH;
}

static void step(struct cp_dtls_session *s)
{
    struct cp_dtls_shake *k = s->shake;
    int warnings = 0, error;

    do
        error = gnutls_handshake(k->proof->library);
    while (error != 0 && error != GNUTLS_E_AGAIN &&
           error != GNUTLS_E_INTERRUPTED && !gnutls_error_is_fatal(error) &&
           ++warnings < MOST_WARNINGS);
    k->in = (copal_bytes){0};
    cp_dtls_flight_flush(k->flight);
    if (error == 0)
        complete(s);
    else if (gnutls_error_is_fatal(error) && !is_noise(error))
        fail(s, error);
}

void cp_dtls_shake_feed(struct cp_dtls_session *s, const struct cp_record *r)
{
    struct cp_dtls_shake *k = s->shake;
    uint8_t room[2048];

    if (k == NULL || cp_dtls_lookup_holds(k, r))
        return;
    k->in = cp_dtls_cid_in(k, r, room, sizeof(room));
    if (k->in.len == 0 || k->in.data[0] == CP_APPLICATION)
        return;
    k->heard = true;
    step(s);
}

static void on_timer(struct cp_timer *t)
{
    struct cp_dtls_shake *k = cp_container_of(t, struct cp_dtls_shake, timer);
    struct cp_dtls_session *s = k->session;
    struct cp_engine *e = s->dtls->engine;

    if (e->now >= k->until) {
        time_out(s);
        return;
    }
    k->wait_ms *= 2;
    cp_timer_start(&e->timers, &k->timer,
                   e->now + k->wait_ms > k->until ? k->until
                                                  : e->now + k->wait_ms,
                   on_timer);
    cp_dtls_flight_repeat(k->flight);
}

void cp_dtls_shake_free(struct cp_dtls_session *s)
{
    struct cp_dtls_shake *k = s->shake;

    if (k == NULL)
        return;
    s->shake = NULL;
    if (s->dtls->driver->engine != NULL)
        cp_timer_stop(&s->dtls->engine->timers, &k->timer);
    cp_lookup_forget(&k->lookup);
    cp_buf_free(&k->held);
    cp_session_free(k->proof);
    cp_dtls_flight_free(k->flight);
    cp_free_secret(s->dtls->mem, k, sizeof(*k));
}

bool cp_dtls_shake_is_late(const struct cp_dtls_session *s)
{
    return s->shake->showed_key;
}

bool cp_dtls_shake_is(const struct cp_dtls_session *s, const uint8_t random[32])
{
    return s->shake != NULL &&
           memcmp(s->shake->random, random, sizeof(s->shake->random)) == 0;
}

struct cp_list *cp_dtls_shake_routes(struct cp_dtls_session *s)
{
    return s->shake == NULL ? NULL : &s->shake->routes;
}

/* ---- Beginning ---- */

static void set_up(struct cp_dtls_shake *k)
{
    gnutls_transport_set_ptr(k->proof->library, k);
    gnutls_transport_set_push_function(k->proof->library, push);
    gnutls_transport_set_pull_function(k->proof->library, pull);
    gnutls_transport_set_pull_timeout_function(k->proof->library, pull_timeout);
    /* It sends nothing again by itself: the engine's clock tells when. */
    gnutls_dtls_set_timeouts(k->proof->library, LIBRARY_MS, LIBRARY_MS);
    gnutls_dtls_set_mtu(k->proof->library,
                        CP_DTLS_DATAGRAM - CP_CID_THEIRS - 1);
}

static int begin(struct cp_dtls_session *s, const struct cp_asked *asked)
{
    struct cp_dtls *d = s->dtls;
    struct cp_dtls_shake *k = cp_zalloc(d->mem, sizeof(*k));
    int err;

    if (k == NULL)
        return COPAL_ENOMEM;
    cp_list_init(&k->routes);
    k->held = cp_buf_new(d->mem);
    k->session = s;
    s->shake = k;
    k->flight = cp_dtls_flight_new(s);
    if (k->flight == NULL)
        return COPAL_ENOMEM;
    /* Nothing is resumed: an association lasts as long as its peer does. */
    err = cp_session_new(d->credentials, asked,
                         GNUTLS_DATAGRAM | GNUTLS_NO_TICKETS, &k->proof);
    if (err != 0)
        return err;
    k->proof->user = k;
    set_up(k);
    cp_dtls_cid_offer(k);
    k->wait_ms = FIRST_WAIT_MS;
    k->until = d->engine->now + GIVE_UP_MS;
    cp_timer_start(&d->engine->timers, &k->timer, d->engine->now + k->wait_ms,
                   on_timer);
    return 0;
}

int cp_dtls_shake_ask(struct cp_dtls_session *s, uint16_t port)
{
    struct cp_asked asked = {CP_COAPS, s->host, port};
    int err = begin(s, &asked);

    if (err != 0)
        return err;
    /* A handshake that fails at once does so before anybody waits for it. */
    err = gnutls_handshake(s->shake->proof->library);
    if (err != 0 && gnutls_error_is_fatal(err)) {
        cp_session_explain(s->shake->proof, err);
        return cp_why(s->dtls->mem, s->shake->proof->status, "%s",
                      s->shake->proof->why);
    }
    cp_dtls_flight_flush(s->shake->flight);
    cp_engine_wake(s->dtls->engine);
    return 0;
}

int cp_dtls_shake_answer(struct cp_dtls_session *s, const uint8_t random[32],
                         void *prestate)
{
    struct cp_asked asked = {CP_COAPS, NULL, 0};
    int err = begin(s, &asked);

    if (err != 0)
        return err;
    memcpy(s->shake->random, random, sizeof(s->shake->random));
    gnutls_dtls_prestate_set(s->shake->proof->library, prestate);
    return 0;
}
