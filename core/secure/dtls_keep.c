#include "secure/dtls.h"
#include "base/digest.h"
#include "engine/trace.h"
#include "secure/store.h"
#include "wire/uri.h"

/* Numbers of records are reserved ahead, and those that are left after a crash
 * are skipped: no nonce is used twice. Half of them is put aside for the time
 * that a write takes. */
enum {
    AHEAD = 16384,
    MOST_SAVED = 1024,      /* each costs a write that is waited for */
    AGAIN_S = 7 * 24 * 3600 /* a store may throw away what is old */
};

/* The store is at work on an association. */
struct cp_dtls_keeping {
    struct cp_store_wait wait;
    struct cp_dtls_session *session;
    uint64_t end_out; /* ours once it is done; 0: it is taken away */
};

/* ---- What it is called, and what is written ---- */

void cp_dtls_keep_path(copal_bytes cid, const struct cp_address *remote,
                       const char *host, char out[CP_DTLS_PATH])
{
    struct cp_buf b = cp_buf_fixed(out, CP_DTLS_PATH);

    cp_put_text(&b, "dtls/");
    if (cid.len > 0) {
        cp_put_hex(&b, cid);
    } else {
        uint8_t number[10];
        uint64_t name = host == NULL ? 0 : cp_digest(host, strlen(host));

        for (int i = 0; i < 8; i++)
            number[2 + i] = (uint8_t)(name >> (56 - 8 * i));
        number[0] = (uint8_t)(remote->port >> 8);
        number[1] = (uint8_t)remote->port;
        cp_put_hex(&b, cp_bytes(remote->ip, sizeof(remote->ip)));
        cp_put_hex(&b, cp_bytes(number, host == NULL ? 2 : sizeof(number)));
    }
    cp_put_u8(&b, '\0');
}

static void path_of(const struct cp_dtls_session *s, char out[CP_DTLS_PATH])
{
    cp_dtls_keep_path(cp_bytes(s->protect.cid_in, s->protect.cid_in_len),
                      &s->name, s->host, out);
}

/* Names are shown with "%" and two digits for what is no text. */
static copal_bytes raw_identity(const char *name, uint8_t out[CP_PSK_IDENTITY])
{
    struct cp_buf b = cp_buf_fixed(out, CP_PSK_IDENTITY);

    for (; *name != '\0'; name++) {
        unsigned byte = (uint8_t)*name;

        if (*name == '%' && name[1] != '\0' && name[2] != '\0') {
            byte = 0;
            for (int i = 1; i <= 2; i++)
                byte =
                    byte * 16 + (unsigned)(name[i] <= '9' ? name[i] - '0'
                                                          : name[i] - 'a' + 10);
            name += 2;
        }
        cp_put_u8(&b, (uint8_t)byte);
    }
    return b.failed ? (copal_bytes){0} : cp_bytes(out, b.len);
}

uint16_t cp_dtls_keep_mark(const struct cp_credentials *all, bool is_by_psk,
                           const char *identity, const struct cp_asked *asked)
{
    uint8_t raw[CP_PSK_IDENTITY];
    const struct cp_scope_keys *keys;
    copal_bytes key = {0};
    uint64_t sum = 0;

    if (is_by_psk && asked->host == NULL && identity != NULL) {
        key = cp_credentials_key_of(all, raw_identity(identity, raw));
    } else if (is_by_psk && asked->host != NULL) {
        keys = cp_credentials_for(all, asked);
        if (keys != NULL) {
            key = keys->psk.key;
            sum = cp_digest(keys->psk.identity.data, keys->psk.identity.len);
        }
    }
    if (key.len == 0)
        return 0;
    /* Too little to find the key by. */
    sum = (sum ^ cp_digest(key.data, key.len)) & 0xffff;
    return sum == 0 ? 1 : (uint16_t)sum;
}

static uint16_t mark_of(const struct cp_dtls_session *s)
{
    struct cp_asked asked = {CP_COAPS, s->host, s->name.port};

    return cp_dtls_keep_mark(s->dtls->credentials, s->is_by_psk, s->identity,
                             &asked);
}

static struct cp_dtls_state state_of(const struct cp_dtls_session *s,
                                     uint64_t next_out, bool is_clean)
{
    struct cp_dtls_state state = {
        .protect = s->protect,
        .remote = s->path.remote,
        .is_by_psk = s->is_by_psk,
        .is_clean = is_clean,
        .keys = s->keys,
    };

    state.protect.next_out = next_out;
    if (s->identity != NULL)
        state.identity = cp_bytes_of_text(s->identity);
    if (s->host != NULL)
        state.host = cp_bytes_of_text(s->host);
    return state;
}

static struct cp_store *store_of(const struct cp_dtls *d)
{
    return d->credentials->store;
}

static int put(struct cp_dtls_session *s, uint64_t next_out, bool is_clean,
               struct cp_store_wait *w)
{
    struct cp_dtls_state state = state_of(s, next_out, is_clean);
    uint8_t bytes[CP_DTLS_STATE];
    struct cp_buf b = cp_buf_fixed(bytes, sizeof(bytes));
    char path[CP_DTLS_PATH];
    int err = cp_dtls_state_write(&state, &b);

    path_of(s, path);
    if (err == 0)
        err = cp_store_put(store_of(s->dtls), path, cp_bytes(b.data, b.len), w);
    cp_wipe(bytes, sizeof(bytes));
    cp_wipe(&state, sizeof(state));
    return err;
}

/* ---- Ahead ---- */

static void stop(struct cp_dtls_session *s)
{
    struct cp_dtls_keeping *k = s->keeping;

    if (k == NULL)
        return;
    cp_store_forget(&k->wait);
    cp_free(s->dtls->mem, k);
    s->keeping = NULL;
}

/* Left where it is, and not written any more, it would be begun from with numbers
 * that were used: only once it is gone all numbers are ours. */
static void give_up(struct cp_dtls_session *s)
{
    struct cp_dtls_keeping *k = s->keeping;
    char path[CP_DTLS_PATH];

    k->end_out = 0;
    path_of(s, path);
    if (cp_store_delete(store_of(s->dtls), path, &k->wait) != 0)
        stop(s);
}

static void on_done(struct cp_store_wait *w, int status, copal_bytes value,
                    const char *why)
{
    struct cp_dtls_keeping *k =
        cp_container_of(w, struct cp_dtls_keeping, wait);
    struct cp_dtls_session *s = k->session;

    (void)value;
    if (status != 0) {
        cp_trace_security(s->dtls->engine, "association_not_kept", why);
        if (k->end_out > 0 && status != COPAL_ECLOSED)
            give_up(s);
        else
            stop(s);
        return;
    }
    s->protect.end_out = k->end_out;
    s->is_kept = k->end_out > 0;
    stop(s);
}

static uint32_t seconds(const struct cp_dtls *d)
{
    return (uint32_t)(d->engine->now / 1000);
}

static void reserve(struct cp_dtls_session *s)
{
    struct cp_dtls_keeping *k = cp_zalloc(s->dtls->mem, sizeof(*k));

    if (k == NULL)
        return;
    k->wait.done = on_done;
    k->session = s;
    k->end_out = s->protect.next_out + AHEAD;
    s->keeping = k;
    s->kept_at = seconds(s->dtls);
    if (put(s, k->end_out, false, &k->wait) != 0)
        stop(s);
}

/* Two that are called alike, by two sockets, are never kept at once: each would
 * write over the other's. The one before by this socket has ended. */
static bool has_namesake(const struct cp_dtls_session *s)
{
    struct cp_route r = {.host = s->host,
                         .ways[0].path.remote = s->path.remote};

    if (s->protect.cid_in_len > 0)
        return false;
    list_each (node, after, &s->dtls->credentials->links) {
        const struct cp_dtls *d = cp_container_of(node, struct cp_dtls, node);
        const struct cp_dtls_session *other =
            d == s->dtls      ? NULL
            : s->host != NULL ? cp_dtls_ask_find(d, &r, true)
                              : cp_dtls_session_at(d, &s->path.remote, true);

        if (other != NULL && other->is_kept)
            return true;
    }
    return false;
}

/* Of ours only those are worth it that the server knows again by Connection ID:
 * we will ask from another port. */
void cp_dtls_keep(struct cp_dtls_session *s)
{
    if (store_of(s->dtls) == NULL || s->dtls->engine->ending ||
        (s->host != NULL && s->protect.cid_out_len == 0) || has_namesake(s))
        return;
    s->is_kept = true;
    s->keys = mark_of(s);
    s->protect.end_out = s->protect.next_out + AHEAD; /* as will be written */
    reserve(s);
    if (s->keeping == NULL) { /* nothing was written, and nothing will be */
        s->is_kept = false;
        s->protect.end_out = 0;
    }
}

void cp_dtls_keep_on(struct cp_dtls_session *s)
{
    s->is_kept = true;
    s->keys = mark_of(s);
    s->kept_at = seconds(s->dtls);
}

bool cp_dtls_keep_ahead(struct cp_dtls_session *s)
{
    struct cp_protect *p = &s->protect;

    if (!s->is_kept)
        return true;
    if (s->keeping == NULL && (p->next_out + AHEAD / 2 >= p->end_out ||
                               seconds(s->dtls) - s->kept_at > AGAIN_S))
        reserve(s);
    return p->next_out < p->end_out;
}

/* ---- Ends ---- */

void cp_dtls_keep_end(struct cp_dtls_session *s)
{
    char path[CP_DTLS_PATH];

    stop(s);
    if (!s->is_kept || store_of(s->dtls) == NULL)
        return;
    path_of(s, path);
    (void)cp_store_delete(store_of(s->dtls), path, NULL);
    s->is_kept = false;
}

/* Those that nothing is written of begin behind what was reserved, and ask their
 * peers for a sign first: as after a crash. */
void cp_dtls_keep_all(struct cp_dtls *d)
{
    size_t count = 0;

    for (struct cp_list *n = d->up.prev; n != &d->up; n = n->prev) {
        struct cp_dtls_session *s =
            cp_container_of(n, struct cp_dtls_session, node);

        stop(s);
        if (!s->is_kept)
            continue;
        s->is_kept = false;
        s->is_saved = true;
        if (!s->is_stale && ++count <= MOST_SAVED)
            (void)put(s, s->protect.next_out, true, NULL);
    }
}
