#include "secure/dtls.h"
#include "wire/uri.h"
#include <stdio.h>

/* Longer than a confirmable message is repeated: who has not answered for so
 * long may have forgotten the association (RFC 7252 4.8.2, MAX_TRANSMIT_SPAN).
 * A new handshake tells, and the old one lives until it is complete. */
enum {
    SUSPECT_AFTER_MS = 45000,
    LOST_AFTER = 3 /* transmissions of one request, with nothing heard */
};

static bool is_suspect(const struct cp_dtls_session *s)
{
    return s->is_given_up ||
           (s->asked_at != 0 &&
            s->dtls->engine->now - s->asked_at > SUSPECT_AFTER_MS);
}

/* Of ours to that address under that name, as a server may have several. */
struct cp_dtls_session *cp_dtls_ask_find(const struct cp_dtls *d,
                                         const struct cp_route *r, bool is_up)
{
    const struct cp_address *remote = &r->ways[0].path.remote;
    uint64_t hash = cp_map_hash(&d->by_address, remote, sizeof(*remote));
    struct cp_map_node *n = cp_map_first(&d->by_address, hash);

    for (; n != NULL; n = cp_map_next(n)) {
        struct cp_dtls_session *s =
            cp_container_of(n, struct cp_dtls_session, by_address);

        if (s->is_up == is_up && s->host != NULL &&
            cp_address_equal(&s->path.remote, remote) &&
            strcmp(s->host, r->host) == 0)
            return s;
    }
    return NULL;
}

void cp_dtls_ask_give(struct cp_dtls_session *s, struct cp_route *r)
{
    r->ways[0].path.remote = s->name;
    r->count = 1;
}

static int begin(struct cp_dtls *d, struct cp_route *r)
{
    struct cp_dtls_session *s =
        cp_dtls_session_new(d, &r->ways[0].path, r->host);
    int err;

    if (s == NULL)
        return COPAL_ENOMEM;
    err = cp_dtls_shake_ask(s, r->port);
    if (err != 0) {
        cp_dtls_session_end(s, err, false);
        return err;
    }
    cp_list_append(cp_dtls_shake_routes(s), &r->node);
    return 1;
}

/* ---- Who lost the association ---- */

static bool is_confirmable_request(copal_bytes message)
{
    return message.len >= 4 && (message.data[0] & 0x30) == 0 &&
           message.data[1] != 0 && message.data[1] >> 5 == 0;
}

static struct cp_dtls_session *beside(const struct cp_dtls_session *s)
{
    const struct cp_route r = {.host = s->host,
                               .ways[0].path.remote = s->path.remote};

    return cp_dtls_ask_find(s->dtls, &r, false);
}

/* Nobody waits for it. If it fails s goes on as it was, and the next time that
 * the request is sent again it is tried again. */
static void begin_beside(const struct cp_dtls_session *s)
{
    struct cp_dtls_session *other =
        cp_dtls_session_new(s->dtls, &s->path, s->host);
    int err;

    if (other == NULL)
        return;
    err = cp_dtls_shake_ask(other, s->name.port);
    if (err != 0)
        cp_dtls_session_end(other, err, false);
}

/* A peer without the association drops what comes by it and says nothing, lest it
 * answer whoever is named as sender (RFC 6347 4.1.2.7): all that waits would time
 * out, one after the other. A peer that is there ends its own only once the new
 * one is complete (4.2.8), so that asking for one costs nothing but the asking. */
void cp_dtls_ask_note(struct cp_dtls_session *s, copal_bytes message)
{
    uint16_t mid;

    if (!is_confirmable_request(message))
        return;
    mid = (uint16_t)(message.data[2] << 8 | message.data[3]);
    if (s->asked_times == 0)
        s->asked_mid = mid;
    if (s->asked_mid != mid || s->asked_times == UINT8_MAX)
        return;
    if (++s->asked_times > LOST_AFTER && beside(s) == NULL)
        begin_beside(s);
}

/* Unless it is so far that the peer may have let go of s for it. */
void cp_dtls_ask_trust(struct cp_dtls_session *s)
{
    bool was_doubted = s->asked_times > LOST_AFTER;
    struct cp_dtls_session *other = was_doubted ? beside(s) : NULL;

    s->asked_times = 0;
    if (other != NULL && cp_list_empty(cp_dtls_shake_routes(other)) &&
        !cp_dtls_shake_is_late(other))
        cp_dtls_session_end(other, COPAL_ECLOSED, false);
}

/* A peer that gives up each association it is asked by would have us begin one
 * after the other. */
bool cp_dtls_ask_renew(struct cp_dtls_session *s)
{
    struct cp_path path = cp_dtls_session_path(s);
    struct cp_dtls_session *other;

    if (s->host == NULL || s->is_trial ||
        !cp_engine_association_waits(s->dtls->engine, &s->dtls->link, &path))
        return false;
    if (beside(s) == NULL)
        begin_beside(s);
    other = beside(s);
    s->is_given_up = other != NULL;
    if (other != NULL)
        other->is_trial = true;
    return other != NULL;
}

/* What waited for other to take its place; NULL: nothing did. */
static struct cp_dtls_session *given_up_for(const struct cp_dtls_session *other)
{
    const struct cp_route r = {.host = other->host,
                               .ways[0].path.remote = other->path.remote};
    struct cp_dtls_session *s =
        other->is_up ? NULL : cp_dtls_ask_find(other->dtls, &r, true);

    return s != NULL && s->is_given_up ? s : NULL;
}

static void next_way(struct cp_route *r)
{
    r->count--;
    memmove(&r->ways[0], &r->ways[1], r->count * sizeof(r->ways[0]));
}

int cp_dtls_ask_anew(struct cp_dtls *d, struct cp_route *r)
{
    struct cp_dtls_session *s = cp_dtls_ask_find(d, r, false);

    if (s == NULL)
        return begin(d, r);
    cp_list_append(cp_dtls_shake_routes(s), &r->node);
    return 1;
}

int cp_dtls_associate(struct cp_driver *driver, struct cp_route *r)
{
    struct cp_dtls *d = cp_dtls_of(r->ways[0].link);
    struct cp_dtls_session *s;

    if (cp_address_is_multicast(&r->ways[0].path.remote))
        return cp_why(driver->mem, COPAL_EINVAL,
                      "%s: DTLS is between two, not for a group; use coap://",
                      r->host);
    s = cp_dtls_ask_find(d, r, true);
    if (s != NULL && !is_suspect(s)) {
        cp_dtls_ask_give(s, r);
        return 0;
    }
    if (s == NULL && cp_dtls_ask_find(d, r, false) == NULL &&
        cp_dtls_wake_ask(d, r) == 1)
        return 1;
    return cp_dtls_ask_anew(d, r);
}

/* Callbacks may begin and end others: each is taken off before it is told. */
static struct cp_route *take(struct cp_list *waiting)
{
    struct cp_list *first = cp_list_first(waiting);

    if (first == NULL)
        return NULL;
    cp_list_remove(first);
    return cp_container_of(first, struct cp_route, node);
}

void cp_dtls_ask_tell(struct cp_dtls_session *s)
{
    struct cp_list *waiting = cp_dtls_shake_routes(s);
    struct cp_route *r;

    while (waiting != NULL && (r = take(waiting)) != NULL) {
        cp_dtls_ask_give(s, r);
        r->done(r, 0, NULL);
    }
}

void cp_dtls_ask_failed(struct cp_dtls_session *s, int status, const char *why)
{
    struct cp_list *waiting = cp_dtls_shake_routes(s), all;
    struct cp_driver *driver = s->dtls->driver;
    struct cp_dtls_session *former;
    struct cp_route *r;
    char copy[384];

    cp_list_init(&all);
    while (waiting != NULL && (r = take(waiting)) != NULL)
        cp_list_append(&all, &r->node);
    former = given_up_for(s);
    cp_dtls_session_end(s, status, false);
    if (former != NULL)
        cp_dtls_session_end(former, status, false);
    while ((r = take(&all)) != NULL) {
        int got = status;

        snprintf(copy, sizeof(copy), "%s", why);
        next_way(r);
        /* One that fails for its key fails at each of the peer's addresses. */
        if (r->count > 0 && status != COPAL_EAUTH) {
            got = cp_dtls_associate(driver, r);
            if (got < 0)
                snprintf(copy, sizeof(copy), "%s", cp_why_text(driver->mem));
        }
        if (got != 1)
            r->done(r, got, got == 0 ? NULL : copy);
    }
}
