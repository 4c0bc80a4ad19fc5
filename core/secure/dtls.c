#include "secure/dtls.h"
#include "engine/connection.h"
#include "wire/uri.h"

enum {
    WHOLE = CP_DTLS_MESSAGE + CP_RECORD_HEAD + CP_CID_THEIRS + CP_RECORD_MORE,
    MOVED_FACTOR = 3 /* bytes for each that came: RFC 9146 6 */
};

/* ---- Out ---- */

void cp_dtls_send_below(struct cp_dtls *d, const struct cp_path *path,
                        copal_bytes datagram)
{
    (void)cp_link_send(d->below, path, datagram);
}

static int send_by(struct cp_dtls_session *s, uint8_t type, copal_bytes plain,
                   uint8_t hops)
{
    struct cp_path path = s->path;
    uint8_t whole[WHOLE];
    int len;

    if (!cp_dtls_keep_ahead(s))
        return 0; /* no number is ours: as if it were lost on the way */
    len = cp_protect_seal(&s->protect, s->dtls->aeads, type, plain, whole,
                          sizeof(whole));
    if (len < 0)
        return len;
    if (s->is_doubted && s->credit < (uint32_t)len)
        return 0; /* as if it were lost on the way */
    if (s->is_doubted)
        s->credit -= (uint32_t)len;
    path.hops = hops;
    cp_dtls_send_below(s->dtls, &path, cp_bytes(whole, (size_t)len));
    return 0;
}

int cp_dtls_send_record(struct cp_dtls_session *s, uint8_t type,
                        copal_bytes plain)
{
    return send_by(s, type, plain, 0);
}

/* Who is gone hears nothing: what went by him has ended already. */
static int send_message(struct cp_link *l, const struct cp_path *path,
                        copal_bytes data)
{
    struct cp_dtls *d = cp_dtls_of(l);
    struct cp_dtls_session *s =
        cp_dtls_session_numbered(d, path->remote.association);
    int err;

    if (s == NULL || !s->is_up)
        return 0;
    if (s->asked_at == 0)
        s->asked_at = d->engine->now;
    err = send_by(s, CP_APPLICATION, data, path->hops);
    if (s->host != NULL) /* behind it, as an answer may make that needless */
        cp_dtls_ask_note(s, data);
    return err;
}

static bool is_blocked(const struct cp_link *l)
{
    return cp_link_is_blocked(
        cp_container_of(l, const struct cp_dtls, link)->below);
}

static const char *identity(const struct cp_link *l, const struct cp_path *path)
{
    const struct cp_dtls_session *s =
        cp_dtls_session_numbered(cp_container_of(l, const struct cp_dtls, link),
                                 path->remote.association);

    return s == NULL ? NULL : s->identity;
}

static const struct cp_link_ops ops = {
    .name = "dtls",
    .send = send_message,
    .is_blocked = is_blocked,
    .identity = identity,
};

/* ---- In ---- */

/* Only the newest record moves the peer, so that an old one which somebody kept
 * and sends from elsewhere does not; and the next one from there confirms it.
 * Until then little goes there. RFC 9146 6. */
static void follow(struct cp_dtls_session *s, const struct cp_path *path,
                   size_t len)
{
    if (cp_address_equal(&s->path.remote, &path->remote)) {
        s->is_doubted = false;
        s->path.local = path->local;
        s->path.if_index = path->if_index;
        return;
    }
    cp_dtls_session_move(s, path);
    s->is_doubted = true;
    s->credit = MOVED_FACTOR * (uint32_t)len;
}

enum { /* RFC 5246 7.2 */
    FATAL = 2,
    CLOSE_NOTIFY = 0,
    BAD_RECORD_MAC = 20
};

/* The peer says good-bye; or that something failed for good, which is no fault of
 * what waits for its answer: some peers say good-bye behind that. RFC 5246 7.2. */
static void on_alert(struct cp_dtls_session *s, copal_bytes alert)
{
    if (alert.len != 2 || s->is_given_up)
        return;
    if (alert.data[1] == CLOSE_NOTIFY ||
        (alert.data[0] == FATAL && !cp_dtls_ask_renew(s)))
        cp_dtls_session_end(s, COPAL_ECLOSED, true);
}

/* Somebody forges records, and might be lucky one day. The peer is told, by what
 * only we can have sealed, so that its requests do not wait: RFC 6347 4.1.2.7. */
static void on_forgeries(struct cp_dtls_session *s)
{
    static const uint8_t alert[] = {FATAL, BAD_RECORD_MAC};

    if (s->is_given_up)
        return;
    cp_engine_limited(s->dtls->engine, "forged_records");
    (void)cp_dtls_send_record(s, CP_ALERT, cp_bytes(alert, sizeof(alert)));
    if (!cp_dtls_ask_renew(s))
        cp_dtls_session_end(s, COPAL_EAUTH, false);
}

/* RFC 7252 3: the class of its code. */
static bool is_request(copal_bytes message)
{
    return message.len >= 4 && message.data[1] != 0 &&
           message.data[1] >> 5 == 0;
}

static void on_message(struct cp_dtls_session *s, const struct cp_path *path,
                       copal_bytes message)
{
    struct cp_dtls *d = s->dtls;
    struct cp_path seen = cp_dtls_session_path(s);

    s->is_trial = false;
    if (s->ping != NULL && cp_dtls_ping_takes(s, message))
        return;
    if (s->is_stale && is_request(message)) {
        d->engine->stats.rejected++;
        cp_dtls_ping_prove(s);
        return;
    }
    seen.local = path->local;
    seen.if_index = path->if_index;
    cp_engine_datagram(d->engine, &d->link, &seen, message);
}

static void on_record(struct cp_dtls_session *s, const struct cp_path *path,
                      const struct cp_record *r)
{
    struct cp_dtls *d = s->dtls;
    uint8_t plain[WHOLE], type;
    bool newest = false;
    int len;

    if (r->body.len > sizeof(plain))
        return;
    len = cp_protect_open(&s->protect, d->aeads, r, plain, &type, &newest);
    if (len < 0)
        d->engine->stats.rejected++;
    if (len == COPAL_ELIMIT)
        on_forgeries(s);
    if (len < 0)
        return;
    if (type == CP_HANDSHAKE) { /* its last, again: it lacks ours */
        if (s->last != NULL)
            cp_dtls_flight_repeat(s->last);
        return;
    }
    cp_dtls_flight_free(s->last);
    s->last = NULL;
    cp_dtls_session_heard(s);
    if (newest)
        follow(s, path, r->whole.len);
    if (type == CP_ALERT && !s->is_stale)
        on_alert(s, cp_bytes(plain, (size_t)len));
    else if (type == CP_APPLICATION)
        on_message(s, path, cp_bytes(plain, (size_t)len));
}

/* Records that say who sent them by what they are sealed with go to who is
 * established; others belong to a handshake, and are no concern of who has done
 * with his. */
static struct cp_dtls_session *whose(struct cp_dtls *d,
                                     const struct cp_path *path,
                                     const struct cp_record *r)
{
    struct cp_dtls_session *shaking, *up;

    if (r->type == CP_TLS12_CID)
        return cp_dtls_session_with_cid(d, r->cid);
    up = cp_dtls_session_at(d, &path->remote, true);
    if (up != NULL && r->epoch > 0 && r->type != CP_HANDSHAKE)
        return up;
    shaking = cp_dtls_session_at(d, &path->remote, false);
    return shaking != NULL || r->epoch == 0 ? shaking : up;
}

static void take(struct cp_dtls *d, const struct cp_path *path,
                 const struct cp_record *r)
{
    struct cp_dtls_session *s = whose(d, path, r);

    if (s == NULL && cp_dtls_wake_holds(d, path, r))
        return;
    if (s == NULL) /* silence: an alert would go to who is named as sender */
        d->engine->stats.rejected++;
    else if (!s->is_up)
        cp_dtls_shake_feed(s, r);
    else
        on_record(s, path, r);
}

copal_bytes cp_dtls_records(struct cp_dtls *d, const struct cp_path *path,
                            copal_bytes records)
{
    struct cp_record r;

    while (cp_record_next(&records, CP_CID_MINE, &r) == 1)
        take(d, path, &r);
    return records;
}

void cp_dtls_datagram(struct cp_link *l, const struct cp_path *path,
                      copal_bytes datagram)
{
    struct cp_dtls *d = cp_dtls_of(l);
    struct cp_hello hello;

    if (path->is_multicast)
        return;
    if (cp_record_is_hello(datagram, &hello)) {
        cp_dtls_hello(d, path, datagram, &hello);
        return;
    }
    if (cp_dtls_records(d, path, datagram).len > 0)
        d->engine->stats.malformed++;
}

static void handshake_undelivered(struct cp_dtls_session *s,
                                  const struct cp_path *path, int status)
{
    char where[CP_ADDRESS_TEXT], why[160];

    cp_address_print(&path->remote, 0, where);
    if (status == COPAL_EREFUSED)
        snprintf(why, sizeof(why),
                 "nothing listens at %s; is the server running, and the port "
                 "right?",
                 where);
    else
        snprintf(why, sizeof(why), "%s: %s", where, copal_strerror(status));
    cp_dtls_ask_failed(s, status, why);
}

void cp_dtls_undelivered(struct cp_link *l, const struct cp_path *path,
                         int status)
{
    struct cp_dtls *d = cp_dtls_of(l);
    struct cp_dtls_session *s = cp_dtls_session_at(d, &path->remote, true);
    struct cp_path known;

    if (s != NULL) {
        known = cp_dtls_session_path(s);
        cp_engine_undelivered(d->engine, l, &known, (copal_bytes){0}, status);
    }
    s = cp_dtls_session_at(d, &path->remote, false);
    if (s != NULL && cp_dtls_is_ours(s))
        handshake_undelivered(s, path, status);
}

/* ---- Birth and end ---- */

struct cp_link *cp_dtls_new(struct cp_driver *driver, struct cp_link *below)
{
    struct cp_engine *e = driver->engine;
    struct cp_dtls *d = cp_zalloc(driver->mem, sizeof(*d));

    if (d == NULL)
        return NULL;
    d->aeads = cp_aeads_new(driver->mem);
    if (d->aeads == NULL) {
        cp_free(driver->mem, d);
        return NULL;
    }
    d->link = (struct cp_link){
        .ops = &ops,
        .engine = e,
        .scheme = CP_COAPS,
        .is_simulated = below->is_simulated,
    };
    d->below = below;
    d->driver = driver;
    d->mem = driver->mem;
    d->engine = e;
    d->credentials = cp_credentials_ref(driver->credentials);
    cp_map_init(&d->by_address, d->mem, &e->random);
    cp_map_init(&d->by_number, d->mem, &e->random);
    cp_map_init(&d->by_cid, d->mem, &e->random);
    cp_list_init(&d->up);
    cp_list_init(&d->shaking);
    cp_list_init(&d->waking);
    cp_list_init(&d->node);
    cp_list_append(&d->credentials->links, &d->node);
    d->answers = CP_DTLS_ANSWERS;
    d->answers_at = e->now;
    cp_engine_random(e, d->cookie_key, sizeof(d->cookie_key));
    cp_engine_random(e, &d->last_number, sizeof(d->last_number));
    return &d->link;
}

/* By the address where the peer is, or was at first. */
static bool is_under(const struct cp_dtls_session *s, const char *prefix)
{
    struct cp_address at = s->name;

    at.association = 0;
    return cp_connection_is_under(CP_COAPS, s->host, &s->path.remote, prefix) ||
           cp_connection_is_under(CP_COAPS, s->host, &at, prefix);
}

/* What ends with one may not end another: users hear of it later. */
int cp_dtls_disconnect(struct cp_credentials *all, const char *prefix)
{
    int count = 0;

    list_each (node, after, &all->links) {
        struct cp_dtls *d = cp_container_of(node, struct cp_dtls, node);

        list_each (n, next, &d->up) {
            struct cp_dtls_session *s =
                cp_container_of(n, struct cp_dtls_session, node);

            if (!is_under(s, prefix))
                continue;
            cp_dtls_session_end(s, COPAL_ECLOSED, true);
            count++;
        }
    }
    return count;
}

static void end_one(struct cp_dtls_session *s)
{
    cp_dtls_session_end(s, COPAL_ECLOSED, !s->is_saved);
}

static void end_all(struct cp_list *sessions)
{
    list_each (node, after, sessions)
        end_one(cp_container_of(node, struct cp_dtls_session, node));
}

void cp_dtls_close(struct cp_link *l)
{
    struct cp_dtls *d = cp_dtls_of(l);

    cp_dtls_wake_end(d);
    cp_dtls_keep_all(d);
    cp_list_remove(&d->node);
    end_all(&d->up);
    end_all(&d->shaking);
    cp_map_clear(&d->by_address);
    cp_map_clear(&d->by_number);
    cp_map_clear(&d->by_cid);
    cp_aeads_free(d->aeads);
    cp_credentials_unref(d->credentials);
    cp_free_secret(d->mem, d, sizeof(*d));
}
