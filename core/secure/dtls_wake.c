#include "secure/dtls.h"
#include "engine/trace.h"
#include "secure/store.h"
#include "wire/uri.h"

/* An association that a process before us left in the store goes on when a
 * record of it comes, or when we ask the same peer again. First it is written
 * down anew, with numbers that are ours: only then does anything leave. */
enum {
    AHEAD = 16384,
    MOST = 64,       /* at once, for records of anybody */
    RATE = 1000,     /* such questions a second */
    MOST_HELD = 4096 /* bytes of records; the peer sends them again */
};

struct cp_dtls_waking {
    struct cp_list node; /* in dtls->waking */
    struct cp_dtls *dtls;
    struct cp_store_wait wait;
    struct cp_path path;   /* where it came from, or leads */
    struct cp_list routes; /* struct cp_route: who waits; ours */
    struct cp_buf held;    /* records; others' */
    char *host;            /* NULL: others' */
    char *identity;
    struct cp_dtls_state state; /* once it came; without its texts */
    char name[CP_DTLS_PATH];
};

/* ---- Ends ---- */

static void waking_free(struct cp_dtls_waking *w)
{
    struct cp_dtls *d = w->dtls;

    cp_store_forget(&w->wait);
    cp_list_remove(&w->node);
    d->waking_count -= w->host == NULL;
    cp_buf_free(&w->held);
    cp_free(d->mem, w->host);
    cp_free(d->mem, w->identity);
    cp_free_secret(d->mem, w, sizeof(*w));
}

void cp_dtls_wake_end(struct cp_dtls *d)
{
    for (struct cp_list *n; (n = cp_list_first(&d->waking)) != NULL;)
        waking_free(cp_container_of(n, struct cp_dtls_waking, node));
}

/* Who waits is told by what follows, which may end everything here. */
static void hand_on(struct cp_dtls *d, struct cp_list *routes,
                    struct cp_dtls_session *s)
{
    for (struct cp_list *n; (n = cp_list_first(routes)) != NULL;) {
        struct cp_route *r = cp_container_of(n, struct cp_route, node);
        int err = 0;

        cp_list_remove(n);
        if (s != NULL)
            cp_dtls_ask_give(s, r);
        else
            err = cp_dtls_ask_anew(d, r);
        if (err <= 0)
            r->done(r, err, err == 0 ? NULL : cp_why_text(d->mem));
    }
}

/* It is not there, or of no use: ours begin with a handshake, and others' records
 * are as good as lost. */
static void give_up(struct cp_dtls_waking *w)
{
    struct cp_dtls *d = w->dtls;
    struct cp_list routes;

    cp_list_init(&routes);
    cp_list_join(&routes, &w->routes);
    if (w->held.len > 0)
        d->engine->stats.rejected++;
    waking_free(w);
    if (!d->engine->ending)
        hand_on(d, &routes, NULL);
}

static void give_up_with(struct cp_dtls_waking *w, const char *why)
{
    cp_trace_security(w->dtls->engine, "association_lost", why);
    give_up(w);
}

/* ---- Up ---- */

/* Where it is taken up: where the peer was, from which the record that woke it
 * may then move it. Another that is there by now stays: an old record must not
 * end it. False: there is no place for both. */
static bool find_place(struct cp_dtls_waking *w)
{
    struct cp_path was = w->path;

    if (w->host != NULL)
        return true;
    was.remote = w->state.remote;
    if (cp_dtls_session_at(w->dtls, &was.remote, true) == NULL) {
        w->path = was;
        return true;
    }
    return cp_dtls_session_at(w->dtls, &w->path.remote, true) == NULL;
}

static struct cp_dtls_session *rise(struct cp_dtls_waking *w)
{
    struct cp_dtls *d = w->dtls;
    struct cp_dtls_session *s =
        find_place(w) ? cp_dtls_session_new(d, &w->path, w->host) : NULL;

    if (s == NULL)
        return NULL;
    s->protect = w->state.protect;
    s->identity = w->identity;
    w->identity = NULL;
    s->is_by_psk = w->state.is_by_psk;
    s->is_stale = !w->state.is_clean;
    if (s->protect.cid_in_len > 0)
        cp_dtls_session_named(s);
    cp_dtls_session_rise(s);
    cp_dtls_keep_on(s);
    d->engine->counts.handshakes[CP_HANDSHAKE_SAVED]++;
    cp_trace_security(d->engine, "association_kept",
                      s->identity == NULL ? "DTLS1.2 with nobody in particular"
                                          : s->identity);
    return s;
}

/* What came may be old, and somebody else's doing. */
static void doubt(struct cp_dtls_session *s, size_t len)
{
    s->is_doubted = true;
    s->credit = 3 * (uint32_t)len;
}

/* The numbers are ours. */
static void on_put(struct cp_store_wait *wait, int status, copal_bytes value,
                   const char *why)
{
    struct cp_dtls_waking *w =
        cp_container_of(wait, struct cp_dtls_waking, wait);
    struct cp_dtls *d = w->dtls;
    struct cp_path path = w->path; /* of the records */
    struct cp_buf held = w->held;
    struct cp_list routes;
    struct cp_dtls_session *s;
    uint32_t number;
    copal_bytes rest = cp_bytes(held.data, held.failed ? 0 : held.len);

    (void)value;
    s = status == 0 ? rise(w) : NULL;
    if (s == NULL) {
        give_up_with(w, status == 0 ? "it finds no room" : why);
        return;
    }
    cp_list_init(&routes);
    cp_list_join(&routes, &w->routes);
    w->held = cp_buf_new(d->mem);
    waking_free(w);
    if (s->host != NULL)
        cp_dtls_ping_watch(s);
    hand_on(d, &routes, s);
    number = s->name.association;
    cp_dtls_records(d, &path, rest);
    s = cp_dtls_session_numbered(d, number);
    if (s != NULL && s->host == NULL && s->is_stale)
        doubt(s, held.len);
    cp_buf_free(&held);
}

/* ---- Down from the store ---- */

/* Whose key is not that of then, or not known any more, is proven no more. */
static bool is_still_proven(const struct cp_dtls_waking *w)
{
    const struct cp_credentials *all = w->dtls->credentials;
    struct cp_asked asked = {CP_COAPS, w->host, w->path.remote.port};
    const struct cp_dtls_state *s = &w->state;

    if (cp_dtls_keep_mark(all, s->is_by_psk, w->identity, &asked) != s->keys)
        return false;
    if (w->host != NULL || s->keys != 0)
        return true;
    return s->is_by_psk ? all->lookup != NULL : all->served != NULL;
}

/* Of that name, and not another's that is called alike. */
static bool is_meant(const struct cp_dtls_waking *w,
                     const struct cp_dtls_state *s)
{
    if ((w->host == NULL) != (s->host.data == NULL))
        return false;
    return w->host == NULL || cp_bytes_is_text(s->host, w->host);
}

static bool take(struct cp_dtls_waking *w, copal_bytes value, const char **why)
{
    struct cp_dtls *d = w->dtls;
    struct cp_dtls_state *s = &w->state;

    *why = "what the store has is no association";
    if (cp_dtls_state_read(value, s) != 0 || !is_meant(w, s))
        return false;
    *why = "out of memory";
    if (s->identity.data != NULL) {
        w->identity = cp_copy_text(d->mem, (const char *)s->identity.data,
                                   s->identity.len);
        if (w->identity == NULL)
            return false;
    }
    return true;
}

static void on_got(struct cp_store_wait *wait, int status, copal_bytes value,
                   const char *why)
{
    struct cp_dtls_waking *w =
        cp_container_of(wait, struct cp_dtls_waking, wait);
    struct cp_dtls_state *s = &w->state;
    uint8_t bytes[CP_DTLS_STATE];
    struct cp_buf b = cp_buf_fixed(bytes, sizeof(bytes));
    bool was_clean;

    if (status == COPAL_ENOENT) {
        give_up(w);
        return;
    }
    if (status != 0 || !take(w, value, &why)) {
        give_up_with(w, why);
        return;
    }
    if (!is_still_proven(w)) {
        (void)cp_store_delete(w->dtls->credentials->store, w->name, NULL);
        give_up_with(w, "its credentials are none any more");
        return;
    }
    was_clean = s->is_clean;
    s->is_clean = false;
    s->protect.end_out = s->protect.next_out + AHEAD;
    s->protect.next_out = s->protect.end_out; /* as it is to be written */
    status = cp_dtls_state_write(s, &b);
    s->protect.next_out -= AHEAD;
    s->is_clean = was_clean;
    w->wait.done = on_put;
    if (status == 0)
        status = cp_store_put(w->dtls->credentials->store, w->name,
                              cp_bytes(b.data, b.len), &w->wait);
    cp_wipe(bytes, sizeof(bytes));
    s->identity = s->host = (copal_bytes){0};
    if (status != 0)
        give_up_with(w, copal_strerror(status));
}

/* ---- Asking ---- */

static struct cp_dtls_waking *find(struct cp_dtls *d, const char *name)
{
    list_each (node, after, &d->waking) {
        struct cp_dtls_waking *w =
            cp_container_of(node, struct cp_dtls_waking, node);

        if (strcmp(w->name, name) == 0)
            return w;
    }
    return NULL;
}

static struct cp_dtls_waking *begin(struct cp_dtls *d, const char *name,
                                    const struct cp_path *path,
                                    const char *host)
{
    struct cp_dtls_waking *w = cp_zalloc(d->mem, sizeof(*w));

    if (w == NULL)
        return NULL;
    w->dtls = d;
    w->path = *path;
    w->wait.done = on_got;
    w->held = cp_buf_new(d->mem);
    cp_list_init(&w->routes);
    cp_list_append(&d->waking, &w->node);
    memcpy(w->name, name, sizeof(w->name));
    if (host != NULL)
        w->host = cp_copy_text(d->mem, host, strlen(host));
    d->waking_count += w->host == NULL;
    if ((host != NULL && w->host == NULL) ||
        cp_store_get(d->credentials->store, name, &w->wait) != 0) {
        waking_free(w);
        return NULL;
    }
    return w;
}

/* Whoever sends us what looks like a record makes us look. */
static bool may_look(struct cp_dtls *d)
{
    uint64_t since = d->engine->now - d->wakes_at;

    if (since > 0) {
        uint64_t more = since > 1000 ? RATE : since * RATE / 1000;

        d->wakes = more + d->wakes > RATE ? RATE : d->wakes + (uint32_t)more;
        d->wakes_at = d->engine->now;
    }
    if (d->waking_count >= MOST || d->wakes == 0) {
        cp_engine_limited(d->engine, "dtls_wakes");
        return false;
    }
    d->wakes--;
    return true;
}

/* By another socket: it is not got a second time, for its numbers would be given
 * twice. */
static bool is_elsewhere(const struct cp_dtls *d, const struct cp_path *path,
                         const struct cp_record *r, const char *name)
{
    list_each (node, after, &d->credentials->links) {
        struct cp_dtls *other = cp_container_of(node, struct cp_dtls, node);

        if (other == d)
            continue;
        if ((r->cid.len > 0
                 ? cp_dtls_session_with_cid(other, r->cid)
                 : cp_dtls_session_at(other, &path->remote, true)) != NULL ||
            find(other, name) != NULL)
            return true;
    }
    return false;
}

bool cp_dtls_wake_holds(struct cp_dtls *d, const struct cp_path *path,
                        const struct cp_record *r)
{
    struct cp_dtls_waking *w;
    char name[CP_DTLS_PATH];

    if (d->credentials->store == NULL || d->engine->ending || r->epoch != 1 ||
        (r->type != CP_TLS12_CID && r->type != CP_APPLICATION))
        return false;
    cp_dtls_keep_path(r->cid, &path->remote, NULL, name);
    w = find(d, name);
    if (w == NULL) {
        if (is_elsewhere(d, path, r, name) || !may_look(d))
            return false;
        w = begin(d, name, path, NULL);
    }
    if (w == NULL)
        return false;
    if (w->held.len + r->whole.len <= MOST_HELD)
        cp_put_bytes(&w->held, r->whole);
    return true;
}

int cp_dtls_wake_ask(struct cp_dtls *d, struct cp_route *r)
{
    struct cp_dtls_waking *w;
    char name[CP_DTLS_PATH];

    if (d->credentials->store == NULL || d->engine->ending)
        return 0;
    cp_dtls_keep_path((copal_bytes){0}, &r->ways[0].path.remote, r->host, name);
    w = find(d, name);
    if (w == NULL) {
        list_each (node, after, &d->credentials->links) {
            struct cp_dtls *other = cp_container_of(node, struct cp_dtls, node);

            if (other != d && (cp_dtls_ask_find(other, r, true) != NULL ||
                               find(other, name) != NULL))
                return 0;
        }
        w = begin(d, name, &r->ways[0].path, r->host);
    }
    if (w == NULL)
        return 0;
    cp_list_append(&w->routes, &r->node);
    return 1;
}
