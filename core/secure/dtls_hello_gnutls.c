#include "secure/dtls.h"

#include <gnutls/dtls.h>
#include <gnutls/gnutls.h>

/* Strangers. Nothing is kept of them until one shows the cookie that was sent to
 * where he says he is: RFC 6347 4.2.1. */

enum {
    COOKIE_SLOT_MS =
        30000,            /* one is good for this and the next: 60 s at most */
    VERIFY_REQUEST = 128, /* bytes; the library's has 44 */
    SEQ_AT = 5            /* in a record: 48 bits */
};

/* What a cookie is for. */
struct origin {
    struct cp_address remote;
    uint32_t zero;
    uint64_t slot;
};

struct answer {
    uint8_t bytes[VERIFY_REQUEST];
    size_t len;
};

static gnutls_datum_t key_of(struct cp_dtls *d)
{
    return (gnutls_datum_t){d->cookie_key, sizeof(d->cookie_key)};
}

static bool has_cookie(struct cp_dtls *d, struct origin *o, copal_bytes hello,
                       gnutls_dtls_prestate_st *out)
{
    gnutls_datum_t key = key_of(d);

    for (int i = 0; i < 2 && o->slot >= (uint64_t)i; i++) {
        struct origin then = *o;

        then.slot -= (uint64_t)i;
        memset(out, 0, sizeof(*out));
        if (gnutls_dtls_cookie_verify(&key, &then, sizeof(then),
                                      (void *)hello.data, hello.len, out) >= 0)
            return true;
    }
    return false;
}

/* How many go out is bounded, whoever asks: T6. */
static bool may_answer(struct cp_dtls *d)
{
    uint64_t since = d->engine->now - d->answers_at;

    if (since > 0) {
        uint64_t more =
            since > 1000 ? CP_DTLS_ANSWERS : since * CP_DTLS_ANSWERS / 1000;

        d->answers = more + d->answers > CP_DTLS_ANSWERS
                         ? CP_DTLS_ANSWERS
                         : d->answers + (uint32_t)more;
        d->answers_at = d->engine->now;
    }
    if (d->answers == 0) {
        cp_engine_limited(d->engine, "hello_rate");
        return false;
    }
    d->answers--;
    return true;
}

static ssize_t keep(gnutls_transport_ptr_t user, const void *data, size_t len)
{
    struct answer *a = user;

    if (len > sizeof(a->bytes))
        return -1;
    memcpy(a->bytes, data, len);
    a->len = len;
    return (ssize_t)len;
}

/* Its record has the number of the ClientHello's, which the library does not
 * know: RFC 6347 4.2.1. It is never longer than what it answers. */
static void ask_back(struct cp_dtls *d, const struct cp_path *path,
                     struct origin *o, copal_bytes hello, uint64_t seq)
{
    gnutls_datum_t key = key_of(d);
    gnutls_dtls_prestate_st state = {0};
    struct answer a = {.len = 0};

    if (!may_answer(d) ||
        gnutls_dtls_cookie_send(&key, o, sizeof(*o), &state, &a, keep) < 0 ||
        a.len < CP_RECORD_HEAD || a.len > hello.len)
        return;
    for (int i = 0; i < 6; i++)
        a.bytes[SEQ_AT + i] = (uint8_t)(seq >> (40 - 8 * i));
    cp_dtls_send_below(d, path, cp_bytes(a.bytes, a.len));
}

static void feed(struct cp_dtls_session *s, copal_bytes datagram)
{
    struct cp_record r;

    if (cp_record_next(&datagram, 0, &r) == 1)
        cp_dtls_shake_feed(s, &r);
}

/* There is room for one more, if need be by the eldest that did not finish. */
static void make_room(struct cp_dtls *d)
{
    size_t most = (size_t)d->engine->params.value[COPAL_P_MAX_HANDSHAKES];

    if (d->asked_count < most)
        return;
    cp_engine_limited(d->engine, "max_handshakes");
    list_each (node, after, &d->shaking) {
        struct cp_dtls_session *s =
            cp_container_of(node, struct cp_dtls_session, node);

        if (cp_dtls_is_ours(s))
            continue;
        cp_dtls_session_end(s, COPAL_ELIMIT, false);
        return;
    }
}

void cp_dtls_hello(struct cp_dtls *d, const struct cp_path *path,
                   copal_bytes datagram, const struct cp_hello *hello)
{
    struct origin o = {
        .remote = path->remote,
        .slot = d->engine->now / COOKIE_SLOT_MS,
    };
    struct cp_dtls_session *s;
    gnutls_dtls_prestate_st state;

    if (!cp_credentials_serve(d->credentials))
        return;
    if (!has_cookie(d, &o, datagram, &state)) {
        ask_back(d, path, &o, datagram, hello->seq);
        return;
    }
    /* Again, for our answer was lost; else who was about to shake hands begins
     * anew. Who has done so is left alone until then. */
    s = cp_dtls_session_at(d, &path->remote, true);
    if (s != NULL && cp_dtls_shake_is(s, hello->random))
        return;
    s = cp_dtls_session_at(d, &path->remote, false);
    if (s != NULL && cp_dtls_shake_is(s, hello->random)) {
        feed(s, datagram);
        return;
    }
    if (s != NULL && !cp_dtls_is_ours(s))
        cp_dtls_session_end(s, COPAL_ECLOSED, false);
    make_room(d);
    s = cp_dtls_session_new(d, path, NULL);
    if (s == NULL)
        return;
    if (cp_dtls_shake_answer(s, hello->random, &state) != 0)
        cp_dtls_session_end(s, COPAL_ENOMEM, false);
    else
        feed(s, datagram);
}
