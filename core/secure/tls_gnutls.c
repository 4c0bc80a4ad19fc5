#include "secure/tls_gnutls.h"

#include <errno.h>
#include "wire/uri.h"

enum {
    ALERT = 21,        /* a type of records */
    MOST_HELD = 65536, /* bytes of who does not wait for our answer */
    AT_ONCE = 64       /* records in a row; then it is others' turn */
};

static struct cp_tls *of_pipe(const struct cp_pipe *p)
{
    return cp_container_of((struct cp_pipe *)p, struct cp_tls, pipe);
}

/* Whoever is above hears why when what is below has closed. Who has nothing to
 * show is told so by an alert, and that is all. */
void cp_tls_end(struct cp_tls *t, int status, const char *why)
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
void cp_tls_fail(struct cp_tls *t, int error)
{
    cp_session_explain(t->session, error);
    (void)gnutls_alert_send_appropriate(cp_tls_library(t), error);
    cp_tls_end(t, t->session->status, t->session->why);
}

/* ---- What GnuTLS reads and writes ---- */

static ssize_t pull(gnutls_transport_ptr_t user, void *out, size_t len)
{
    struct cp_tls *t = user;
    size_t n = t->in.len < len ? t->in.len : len;

    if (n == 0) {
        gnutls_transport_set_errno(cp_tls_library(t), EAGAIN);
        return -1;
    }
    memcpy(out, t->in.data, n);
    t->in = cp_bytes(t->in.data + n, t->in.len - n);
    return (ssize_t)n;
}

static int is_there(gnutls_transport_ptr_t user, unsigned ms)
{
    const struct cp_tls *t = user;

    (void)ms;
    return t->in.len > 0;
}

static ssize_t push(gnutls_transport_ptr_t user, const void *data, size_t len)
{
    struct cp_tls *t = user;

    if (t->pipe.below->ops->send(t->pipe.below, cp_bytes(data, len)) == 0)
        return (ssize_t)len;
    gnutls_transport_set_errno(cp_tls_library(t), EPIPE);
    return -1;
}

/* ---- After the handshake ---- */

static void save(struct cp_tls *t)
{
    if (t->is_saved || (gnutls_session_get_flags(cp_tls_library(t)) &
                        GNUTLS_SFLAGS_SESSION_TICKET) == 0)
        return;
    t->is_saved = true;
    cp_resumption_save(t->session);
}

static void read_error(struct cp_tls *t, int error)
{
    if (error == GNUTLS_E_FATAL_ALERT_RECEIVED)
        cp_tls_fail(
            t, error); /* of TLS 1.3: what the client showed was not enough */
    else if (error == GNUTLS_E_MEMORY_ERROR)
        cp_tls_end(t, COPAL_ENOMEM, "out of memory");
    else if (error == GNUTLS_E_REHANDSHAKE) {
        gnutls_alert_send(cp_tls_library(t), GNUTLS_AL_FATAL,
                          GNUTLS_A_NO_RENEGOTIATION);
        cp_tls_end(t, COPAL_EAUTH,
                   "the peer wanted to renegotiate, which is unsafe");
    } else {
        (void)gnutls_alert_send_appropriate(cp_tls_library(t), error);
        cp_tls_end(t, COPAL_EAUTH, "a record that is not genuine came");
    }
}

static bool above_has_more(const struct cp_tls *t)
{
    return t->pipe.above->ops->has_more(t->pipe.above);
}

static void read_records(struct cp_tls *t)
{
    uint8_t plain[16384];

    for (int i = 0; i < AT_ONCE && !t->is_ended && !above_has_more(t); i++) {
        size_t before = t->in.len;
        ssize_t n = gnutls_record_recv(cp_tls_library(t), plain, sizeof(plain));

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
            (void)gnutls_bye(cp_tls_library(t), GNUTLS_SHUT_WR);
            cp_tls_end(t, 0, "the peer closed the connection");
        } else {
            read_error(t, (int)n);
        }
    }
    if (!t->is_ended)
        save(t);
    cp_wipe(plain, sizeof(plain) < 256 ? sizeof(plain) : 256);
}

void cp_tls_keep(struct cp_tls *t, copal_bytes bytes)
{
    if (bytes.len == 0)
        return;
    cp_put_bytes(&t->held, bytes);
    if (t->held.failed)
        cp_tls_end(t, COPAL_ENOMEM, "out of memory");
    else if (t->held.len > MOST_HELD)
        cp_tls_end(t, COPAL_ELIMIT, "the peer does not wait for the handshake");
}

void cp_tls_feed(struct cp_tls *t, copal_bytes bytes)
{
    t->in = bytes;
    if (!t->is_open && !t->is_ended)
        cp_tls_shake(t);
    if (t->is_open && !t->is_ended)
        read_records(t);
    if (!t->is_ended && (t->waits || t->is_open))
        cp_tls_keep(t,
                    t->in); /* for the answer of a look-up, or its next turn */
    t->in = (copal_bytes){0};
}

/* ---- The pipe ---- */

static void opened(struct cp_pipe *p)
{
    struct cp_tls *t = of_pipe(p);

    if (t->session->asked.host == NULL)
        return; /* the client speaks first */
    cp_resumption_take(t->session);
    cp_tls_feed(t, (copal_bytes){0});
}

/* Records that wait, once the handshake is over and nobody is looked up. */
static bool has_more(const struct cp_pipe *p)
{
    const struct cp_tls *t = of_pipe(p);

    return t->is_open && !t->is_ended &&
           ((t->held.len > 0 && !t->waits) || above_has_more(t));
}

/* What is above has its turn, and what waits here if that left nothing. */
static void take_turn(struct cp_tls *t)
{
    if (!has_more(&t->pipe))
        return;
    if (above_has_more(t))
        t->pipe.above->ops->bytes(t->pipe.above, (copal_bytes){0});
    else
        cp_tls_shake_go_on(t);
}

static bool begins_a_record(copal_bytes b)
{
    if (b.data[0] != CP_TLS_HANDSHAKE && b.data[0] != ALERT)
        return false;
    return b.len < CP_TLS_RECORD_HEADER ||
           (b.data[3] << 8 | b.data[4]) <= CP_TLS_RECORD_MOST;
}

static void bytes(struct cp_pipe *p, copal_bytes b)
{
    struct cp_tls *t = of_pipe(p);

    if (b.len == 0)
        take_turn(t);
    if (b.len == 0 || t->is_ended)
        return;
    /* HTTP, for one: GnuTLS takes its letters for a length, and waits. */
    if (!t->is_heard && !begins_a_record(b)) {
        cp_session_explain(t->session, GNUTLS_E_UNEXPECTED_PACKET);
        cp_tls_end(t, t->session->status, t->session->why);
        return;
    }
    t->is_heard = true;
    if (!t->waits && t->held.len == 0 && (t->is_open || !t->peeks)) {
        cp_tls_feed(t, b);
        return;
    }
    cp_tls_keep(t, b);
    if (!t->waits && !t->is_ended)
        cp_tls_shake_go_on(t);
}

static void drained(struct cp_pipe *p)
{
    if (of_pipe(p)->is_open)
        p->above->ops->drained(p->above);
}

static void tls_free(struct cp_tls *t)
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
    struct cp_tls *t = of_pipe(p);
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
    struct cp_tls *t = of_pipe(p);

    if (!t->is_open || t->is_ended)
        return COPAL_ECLOSED;
    while (b.len > 0) {
        ssize_t n = gnutls_record_send(cp_tls_library(t), b.data, b.len);

        if (n == GNUTLS_E_INTERRUPTED)
            continue;
        if (n <= 0) {
            cp_tls_end(t, n == GNUTLS_E_MEMORY_ERROR ? COPAL_ENOMEM : COPAL_EIO,
                       "what was to be sent could not be");
            return t->status;
        }
        b = cp_bytes(b.data + n, b.len - (size_t)n);
    }
    return 0;
}

static void close_pipe(struct cp_pipe *p)
{
    struct cp_tls *t = of_pipe(p);

    if (t->is_open && !t->is_ended)
        (void)gnutls_bye(cp_tls_library(t), GNUTLS_SHUT_WR);
    cp_tls_end(t, COPAL_ECLOSED, "closed here");
}

static void dismiss(struct cp_pipe *p)
{
    close_pipe(p);
    p->below->ops->dismiss(p->below);
}

/* Who waits for the rest of a handshake learns that none comes, if that can be
 * sent at once. RFC 8446 6.1. */
static void break_off(struct cp_tls *t)
{
    (void)gnutls_alert_send(cp_tls_library(t), GNUTLS_AL_WARNING,
                            GNUTLS_A_USER_CANCELED);
    (void)gnutls_alert_send(cp_tls_library(t), GNUTLS_AL_WARNING,
                            GNUTLS_A_CLOSE_NOTIFY);
}

static void cut(struct cp_pipe *p)
{
    struct cp_tls *t = of_pipe(p);

    if (!t->is_ended) {
        t->is_ended = true;
        if (!t->is_open)
            break_off(t);
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
static int offer(const struct cp_tls *t)
{
    static const char *const names[] = {"coap", "http/1.1"};
    const struct cp_asked *asked = &t->session->asked;
    const char *name = names[asked->scheme == CP_COAPS_WS];
    gnutls_datum_t protocol = {(unsigned char *)name, (unsigned)strlen(name)};

    return gnutls_alpn_set_protocols(cp_tls_library(t), &protocol, 1,
                                     GNUTLS_ALPN_MANDATORY);
}

int cp_tls_new(struct cp_credentials *all, struct cp_pipe *below,
               const struct cp_asked *asked, struct cp_pipe **out)
{
    struct cp_tls *t = cp_zalloc(all->mem, sizeof(*t));
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
    gnutls_transport_set_ptr(cp_tls_library(t), t);
    gnutls_transport_set_pull_function(cp_tls_library(t), pull);
    gnutls_transport_set_pull_timeout_function(cp_tls_library(t), is_there);
    gnutls_transport_set_push_function(cp_tls_library(t), push);
    cp_pipe_join(&t->pipe, below);
    *out = &t->pipe;
    return 0;
}
