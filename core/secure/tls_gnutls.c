#include "secure/tls.h"

#include <errno.h>
#include "engine/core.h"
#include "engine/trace.h"
#include "secure/hello.h"
#include "secure/session_gnutls.h"
#include "wire/uri.h"

enum {
    RECORD_HEADER = 5,
    RECORD_MOST = 16384 + 256, /* RFC 8446 5.2; 2048 more in RFC 5246 6.2.3 */
    ALERT = 21,                /* types of records */
    HANDSHAKE = 22,
    MOST_HELD = 65536, /* bytes of who does not wait for our answer */
    AT_ONCE = 64,      /* records in a row; then it is others' turn */
    ALPN_PORT = 5684   /* where ALPN may be left away */
};

struct tls {
    struct cp_pipe pipe;
    struct cp_session *session;
    struct cp_mem *mem;
    copal_bytes in;         /* what GnuTLS reads from, for the moment */
    struct cp_buf held;     /* what it may not see yet */
    struct cp_buf messages; /* of the handshake, as far as they are in clear */
    struct cp_lookup lookup;
    bool peeks;        /* keys are looked up: hellos are read before */
    bool is_seen;      /* the first record that is held was looked into */
    bool waits;        /* lookup is under way */
    bool is_open;      /* the handshake is over, the peer believed */
    bool is_saved;     /* what a later session may begin with */
    bool said_goodbye; /* the peer: close_notify */
    bool is_heard;     /* the peer sent something */
    bool is_ended;
    int status; /* of the end */
    char why[sizeof(((struct cp_session *)0)->why)];
};

static struct tls *of_pipe(const struct cp_pipe *p)
{
    return cp_container_of((struct cp_pipe *)p, struct tls, pipe);
}

static gnutls_session_t library(const struct tls *t)
{
    return t->session->library;
}

/* Whoever is above hears why when what is below has closed. Who has nothing to
 * show is told so by an alert, and that is all. */
static void end(struct tls *t, int status, const char *why)
{
    if (t->is_ended)
        return;
    t->is_ended = true;
    t->status = status;
    snprintf(t->why, sizeof(t->why), "%s", why);
    cp_lookup_forget(&t->lookup);
    if (status == COPAL_EAUTH || status == COPAL_EFORMAT)
        t->pipe.below->ops->dismiss(t->pipe.below);
    else
        t->pipe.below->ops->close(t->pipe.below);
}

/* GnuTLS gave error: the peer hears of it by an alert. */
static void fail(struct tls *t, int error)
{
    cp_session_explain(t->session, error);
    (void)gnutls_alert_send_appropriate(library(t), error);
    end(t, t->session->status, t->session->why);
}

/* ---- What GnuTLS reads and writes ---- */

static ssize_t pull(gnutls_transport_ptr_t user, void *out, size_t len)
{
    struct tls *t = user;
    size_t n = t->in.len < len ? t->in.len : len;

    if (n == 0) {
        gnutls_transport_set_errno(library(t), EAGAIN);
        return -1;
    }
    memcpy(out, t->in.data, n);
    t->in = cp_bytes(t->in.data + n, t->in.len - n);
    return (ssize_t)n;
}

static int is_there(gnutls_transport_ptr_t user, unsigned ms)
{
    const struct tls *t = user;

    (void)ms;
    return t->in.len > 0;
}

static ssize_t push(gnutls_transport_ptr_t user, const void *data, size_t len)
{
    struct tls *t = user;

    if (t->pipe.below->ops->send(t->pipe.below, cp_bytes(data, len)) == 0)
        return (ssize_t)len;
    gnutls_transport_set_errno(library(t), EPIPE);
    return -1;
}

/* ---- After the handshake ---- */

static void save(struct tls *t)
{
    if (t->is_saved || (gnutls_session_get_flags(library(t)) &
                        GNUTLS_SFLAGS_SESSION_TICKET) == 0)
        return;
    t->is_saved = true;
    cp_resumption_save(t->session);
}

static void read_error(struct tls *t, int error)
{
    if (error == GNUTLS_E_FATAL_ALERT_RECEIVED)
        fail(t, error); /* of TLS 1.3: what the client showed was not enough */
    else if (error == GNUTLS_E_MEMORY_ERROR)
        end(t, COPAL_ENOMEM, "out of memory");
    else if (error == GNUTLS_E_REHANDSHAKE) {
        gnutls_alert_send(library(t), GNUTLS_AL_FATAL,
                          GNUTLS_A_NO_RENEGOTIATION);
        end(t, COPAL_EAUTH, "the peer wanted to renegotiate, which is unsafe");
    } else {
        (void)gnutls_alert_send_appropriate(library(t), error);
        end(t, COPAL_EAUTH, "a record that is not genuine came");
    }
}

static bool above_has_more(const struct tls *t)
{
    return t->pipe.above->ops->has_more(t->pipe.above);
}

static void read_records(struct tls *t)
{
    uint8_t plain[16384];

    for (int i = 0; i < AT_ONCE && !t->is_ended && !above_has_more(t); i++) {
        size_t before = t->in.len;
        ssize_t n = gnutls_record_recv(library(t), plain, sizeof(plain));

        /* A ticket is no data: more may follow it. */
        if (n == GNUTLS_E_AGAIN && t->in.len == before)
            break;
        if (n == GNUTLS_E_AGAIN || n == GNUTLS_E_INTERRUPTED ||
            n == GNUTLS_E_WARNING_ALERT_RECEIVED)
            continue;
        if (n > 0) {
            t->pipe.above->ops->bytes(t->pipe.above,
                                      cp_bytes(plain, (size_t)n));
        } else if (n == 0) {
            t->said_goodbye = true;
            (void)gnutls_bye(library(t), GNUTLS_SHUT_WR);
            end(t, 0, "the peer closed the connection");
        } else {
            read_error(t, (int)n);
        }
    }
    if (!t->is_ended)
        save(t);
    cp_wipe(plain, sizeof(plain) < 256 ? sizeof(plain) : 256);
}

/* ---- The handshake ---- */

/* RFC 8323 8.2: a server on any other port than its own has to say that it
 * speaks CoAP. */
static bool speaks_coap(const struct tls *t)
{
    const struct cp_asked *asked = &t->session->asked;
    gnutls_datum_t chosen;

    if (asked->host == NULL || asked->scheme != CP_COAPS_TCP ||
        asked->port == ALPN_PORT)
        return true;
    return gnutls_alpn_get_selected_protocol(library(t), &chosen) == 0;
}

static void tell(const struct tls *t)
{
    struct cp_engine *e = t->session->all->engine;
    char text[256];

    if (e == NULL)
        return;
    snprintf(text, sizeof(text), "%s%s with %s",
             gnutls_protocol_get_name(gnutls_protocol_get_version(library(t))),
             gnutls_session_is_resumed(library(t)) ? ", resumed," : "",
             t->pipe.identity == NULL ? "nobody in particular"
                                      : t->pipe.identity);
    cp_trace_security(e, "handshake", text);
}

static void open_up(struct tls *t)
{
    if (!speaks_coap(t)) {
        (void)gnutls_alert_send(library(t), GNUTLS_AL_FATAL,
                                GNUTLS_A_NO_APPLICATION_PROTOCOL);
        end(t, COPAL_EAUTH,
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

static void shaken(struct tls *t)
{
    struct cp_session *s = t->session;

    if (cp_session_proven(s) != 0) {
        fail(t, GNUTLS_E_CERTIFICATE_ERROR);
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
        fail(t, GNUTLS_E_CERTIFICATE_ERROR);
    }
}

static void shake(struct tls *t)
{
    size_t before;
    int error;

    do {
        before = t->in.len;
        error = gnutls_handshake(library(t));
    } while (error != 0 && !gnutls_error_is_fatal(error) &&
             (error != GNUTLS_E_AGAIN || t->in.len != before));
    if (error == 0)
        shaken(t);
    else if (error != GNUTLS_E_AGAIN)
        fail(t, error);
}

static void keep(struct tls *t, copal_bytes bytes)
{
    if (bytes.len == 0)
        return;
    cp_put_bytes(&t->held, bytes);
    if (t->held.failed)
        end(t, COPAL_ENOMEM, "out of memory");
    else if (t->held.len > MOST_HELD)
        end(t, COPAL_ELIMIT, "the peer does not wait for the handshake");
}

static void feed(struct tls *t, copal_bytes bytes)
{
    t->in = bytes;
    if (!t->is_open && !t->is_ended)
        shake(t);
    if (t->is_open && !t->is_ended)
        read_records(t);
    if (!t->is_ended && (t->waits || t->is_open))
        keep(t, t->in); /* for the answer of a look-up, or its next turn */
    t->in = (copal_bytes){0};
}

/* ---- Keys that are looked up ---- */

static void go_on(struct tls *t);

static void on_key(struct cp_lookup *l, bool found, copal_bytes value)
{
    struct tls *t = cp_container_of(l, struct tls, lookup);

    t->waits = false;
    if (t->is_ended)
        return;
    cp_session_key_found(
        t->session,
        cp_bytes(t->session->looked_for, t->session->looked_for_len),
        found ? value : (copal_bytes){0});
    go_on(t);
    if (!t->is_ended)
        t->pipe.below->ops->more(t->pipe.below);
}

static void on_trusted(struct cp_lookup *l, bool found, copal_bytes value)
{
    struct tls *t = cp_container_of(l, struct tls, lookup);
    struct cp_session *s = t->session;

    (void)value;
    t->waits = false;
    if (t->is_ended)
        return;
    if (!found) {
        s->status = COPAL_EAUTH;
        snprintf(s->why, sizeof(s->why), "the public key %s is not trusted",
                 s->doubted);
        fail(t, GNUTLS_E_CERTIFICATE_ERROR);
        return;
    }
    open_up(t);
    if (!t->is_ended)
        go_on(t);
    if (!t->is_ended)
        t->pipe.below->ops->more(t->pipe.below);
}

/* Whose key the next message of the handshake wants, if it is one that GnuTLS
 * will ask for and we do not know. */
static copal_bytes wanted_by(struct tls *t, uint8_t type, copal_bytes body)
{
    gnutls_kx_algorithm_t kx = gnutls_kx_get(library(t));
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
static bool looks_up(struct tls *t, copal_bytes identity)
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
static bool peek(struct tls *t, copal_bytes record)
{
    copal_bytes m, wanted = {0};
    size_t used = 0;

    if (record.data[0] != HANDSHAKE)
        return false;
    cp_put_bytes(&t->messages, cp_bytes(record.data + RECORD_HEADER,
                                        record.len - RECORD_HEADER));
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

static void drop_held(struct tls *t, size_t n)
{
    memmove(t->held.data, t->held.data + n, t->held.len - n);
    t->held.len -= n;
}

/* Record by record, as long as a hello may come. */
static void feed_records(struct tls *t)
{
    while (!t->is_ended && !t->waits && !t->is_open && t->peeks &&
           t->held.len >= RECORD_HEADER) {
        size_t len =
            RECORD_HEADER + (size_t)(t->held.data[3] << 8) + t->held.data[4];
        copal_bytes record = cp_bytes(t->held.data, len);

        if (len > RECORD_HEADER + RECORD_MOST + 2048) {
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
        feed(t, record);
        if (!t->is_ended)
            drop_held(t, len);
    }
}

/* What was held goes on its way. */
static void go_on(struct tls *t)
{
    struct cp_buf all;

    feed_records(t);
    if (t->is_ended || t->waits || t->held.len == 0 ||
        (t->peeks && !t->is_open))
        return;
    all = t->held; /* what has to wait again is put anew */
    t->held = cp_buf_new(t->mem);
    feed(t, cp_bytes(all.data, all.len));
    cp_buf_free(&all);
}

/* ---- The pipe ---- */

static void opened(struct cp_pipe *p)
{
    struct tls *t = of_pipe(p);

    if (t->session->asked.host == NULL)
        return; /* the client speaks first */
    cp_resumption_take(t->session);
    feed(t, (copal_bytes){0});
}

/* Records that wait, once the handshake is over and nobody is looked up. */
static bool has_more(const struct cp_pipe *p)
{
    const struct tls *t = of_pipe(p);

    return t->is_open && !t->is_ended &&
           ((t->held.len > 0 && !t->waits) || above_has_more(t));
}

/* What is above has its turn, and what waits here if that left nothing. */
static void take_turn(struct tls *t)
{
    if (!has_more(&t->pipe))
        return;
    if (above_has_more(t))
        t->pipe.above->ops->bytes(t->pipe.above, (copal_bytes){0});
    else
        go_on(t);
}

static bool begins_a_record(copal_bytes b)
{
    if (b.data[0] != HANDSHAKE && b.data[0] != ALERT)
        return false;
    return b.len < RECORD_HEADER ||
           (b.data[3] << 8 | b.data[4]) <= RECORD_MOST + 2048;
}

static void bytes(struct cp_pipe *p, copal_bytes b)
{
    struct tls *t = of_pipe(p);

    if (b.len == 0)
        take_turn(t);
    if (b.len == 0 || t->is_ended)
        return;
    /* HTTP, for one: GnuTLS takes its letters for a length, and waits. */
    if (!t->is_heard && !begins_a_record(b)) {
        cp_session_explain(t->session, GNUTLS_E_UNEXPECTED_PACKET);
        end(t, t->session->status, t->session->why);
        return;
    }
    t->is_heard = true;
    if (!t->waits && t->held.len == 0 && (t->is_open || !t->peeks)) {
        feed(t, b);
        return;
    }
    keep(t, b);
    if (!t->waits && !t->is_ended)
        go_on(t);
}

static void drained(struct cp_pipe *p)
{
    if (of_pipe(p)->is_open)
        p->above->ops->drained(p->above);
}

static void tls_free(struct tls *t)
{
    cp_lookup_forget(&t->lookup);
    cp_session_free(t->session);
    cp_buf_free(&t->held);
    cp_buf_free(&t->messages);
    cp_free(t->mem, t);
}

/* An end without close_notify may be somebody else's doing. CoAP's messages
 * have lengths, so none that is cut off passes for a whole one. RFC 8446 6.1. */
static void closed(struct cp_pipe *p, int status, const char *why)
{
    struct tls *t = of_pipe(p);
    struct cp_pipe *above = p->above;
    char text[sizeof(t->why)];

    if (t->is_ended) {
        status = t->status;
        why = t->why;
    } else if (status == 0) {
        status = COPAL_ECLOSED;
        why = t->is_open ? "the connection ended without TLS' close_notify"
                         : "the peer closed the connection amid the handshake; "
                           "has it credentials for us?";
    }
    snprintf(text, sizeof(text), "%s", why);
    tls_free(t);
    if (above != NULL)
        above->ops->closed(above, status, text);
}

static int send_bytes(struct cp_pipe *p, copal_bytes b)
{
    struct tls *t = of_pipe(p);

    if (!t->is_open || t->is_ended)
        return COPAL_ECLOSED;
    while (b.len > 0) {
        ssize_t n = gnutls_record_send(library(t), b.data, b.len);

        if (n == GNUTLS_E_INTERRUPTED)
            continue;
        if (n <= 0) {
            end(t, n == GNUTLS_E_MEMORY_ERROR ? COPAL_ENOMEM : COPAL_EIO,
                "what was to be sent could not be");
            return t->status;
        }
        b = cp_bytes(b.data + n, b.len - (size_t)n);
    }
    return 0;
}

static void close_pipe(struct cp_pipe *p)
{
    struct tls *t = of_pipe(p);

    if (t->is_open && !t->is_ended)
        (void)gnutls_bye(library(t), GNUTLS_SHUT_WR);
    end(t, COPAL_ECLOSED, "closed here");
}

static void dismiss(struct cp_pipe *p)
{
    close_pipe(p);
    p->below->ops->dismiss(p->below);
}

static void cut(struct cp_pipe *p)
{
    struct tls *t = of_pipe(p);

    if (!t->is_ended) {
        t->is_ended = true;
        t->status = COPAL_ECLOSED;
        snprintf(t->why, sizeof(t->why), "closed here");
        cp_lookup_forget(&t->lookup);
    }
    p->below->ops->cut(p->below);
}

static size_t queued(const struct cp_pipe *p)
{
    return p->below->ops->queued(p->below);
}

static const struct cp_pipe_ops tls_ops = {
    .opened = opened,
    .bytes = bytes,
    .has_more = has_more,
    .drained = drained,
    .closed = closed,
    .send = send_bytes,
    .close = close_pipe,
    .dismiss = dismiss,
    .cut = cut,
    .queued = queued,
};

/* ---- Birth ---- */

/* RFC 8323 8.2: who offers ALPN gets "coap", or nothing. Over WebSocket HTTP is
 * what TLS carries: RFC 8323 9.2. */
static int offer(const struct tls *t)
{
    static const char *const names[] = {"coap", "http/1.1"};
    const struct cp_asked *asked = &t->session->asked;
    const char *name = names[asked->scheme == CP_COAPS_WS];
    gnutls_datum_t protocol = {(unsigned char *)name, (unsigned)strlen(name)};

    return gnutls_alpn_set_protocols(library(t), &protocol, 1,
                                     GNUTLS_ALPN_MANDATORY);
}

int cp_tls_new(struct cp_credentials *all, struct cp_pipe *below,
               const struct cp_asked *asked, struct cp_pipe **out)
{
    struct tls *t = cp_zalloc(all->mem, sizeof(*t));
    int err;

    if (t == NULL)
        return COPAL_ENOMEM;
    err = cp_session_new(all, asked, 0, &t->session);
    if (err == 0 && offer(t) != 0) {
        cp_session_free(t->session);
        err = COPAL_ENOMEM;
    }
    if (err != 0) {
        cp_free(all->mem, t);
        return err;
    }
    t->pipe.ops = &tls_ops;
    t->mem = all->mem;
    t->held = cp_buf_new(all->mem);
    t->messages = cp_buf_new(all->mem);
    t->peeks = asked->host == NULL && all->lookup != NULL;
    cp_list_init(&t->lookup.node);
    gnutls_transport_set_ptr(library(t), t);
    gnutls_transport_set_pull_function(library(t), pull);
    gnutls_transport_set_pull_timeout_function(library(t), is_there);
    gnutls_transport_set_push_function(library(t), push);
    cp_pipe_join(&t->pipe, below);
    *out = &t->pipe;
    return 0;
}
