#include "secure/dtls.h"
#include "engine/trace.h"

enum {
    CLOSE_NOTIFY = 0,
    WARNING = 1
};

static void end(struct cp_dtls_session *s, int status, bool is_told,
                const struct cp_dtls_session *heir);

static uint64_t hash_address(const struct cp_dtls *d,
                             const struct cp_address *remote)
{
    return cp_map_hash(&d->by_address, remote, sizeof(*remote));
}

/* Numbers go up one by one, and Connection IDs of ours are random: nobody else
 * has a say in which bucket one is, so these go without a hash that hides it. */
static uint64_t hash_number(uint32_t number)
{
    return number;
}

static uint64_t hash_cid(copal_bytes cid)
{
    uint64_t hash = 0;

    if (cid.len >= sizeof(hash))
        memcpy(&hash, cid.data + cid.len - sizeof(hash), sizeof(hash));
    return hash;
}

struct cp_dtls_session *cp_dtls_session_at(const struct cp_dtls *d,
                                           const struct cp_address *remote,
                                           bool is_up)
{
    struct cp_map_node *n =
        cp_map_first(&d->by_address, hash_address(d, remote));

    for (; n != NULL; n = cp_map_next(n)) {
        struct cp_dtls_session *s =
            cp_container_of(n, struct cp_dtls_session, by_address);

        if (s->is_up == is_up && cp_address_equal(&s->path.remote, remote))
            return s;
    }
    return NULL;
}

struct cp_dtls_session *cp_dtls_session_numbered(const struct cp_dtls *d,
                                                 uint32_t number)
{
    struct cp_map_node *n = cp_map_first(&d->by_number, hash_number(number));

    for (; n != NULL; n = cp_map_next(n)) {
        struct cp_dtls_session *s =
            cp_container_of(n, struct cp_dtls_session, by_number);

        if (s->name.association == number)
            return s;
    }
    return NULL;
}

struct cp_dtls_session *cp_dtls_session_with_cid(const struct cp_dtls *d,
                                                 copal_bytes cid)
{
    struct cp_map_node *n = cp_map_first(&d->by_cid, hash_cid(cid));

    for (; n != NULL; n = cp_map_next(n)) {
        struct cp_dtls_session *s =
            cp_container_of(n, struct cp_dtls_session, by_cid);

        if (cp_bytes_equal(cid,
                           cp_bytes(s->protect.cid_in, s->protect.cid_in_len)))
            return s;
    }
    return NULL;
}

/* A byte for the node that gave it, 0 while there is one, then as many as
 * nobody guesses. */
void cp_dtls_session_name(struct cp_dtls_session *s)
{
    struct cp_protect *p = &s->protect;
    struct cp_dtls *d = s->dtls;

    p->cid_in[0] = 0;
    cp_engine_random(d->engine, p->cid_in + 1, sizeof(p->cid_in) - 1);
    p->cid_in_len = sizeof(p->cid_in);
    cp_dtls_session_named(s);
}

void cp_dtls_session_named(struct cp_dtls_session *s)
{
    struct cp_map *all = &s->dtls->by_cid;

    cp_map_put(all, &s->by_cid,
               hash_cid(cp_bytes(s->protect.cid_in, s->protect.cid_in_len)));
}

struct cp_path cp_dtls_session_path(const struct cp_dtls_session *s)
{
    struct cp_path path = s->path;

    path.remote = s->name;
    return path;
}

struct cp_dtls_session *cp_dtls_session_new(struct cp_dtls *d,
                                            const struct cp_path *path,
                                            const char *host)
{
    struct cp_dtls_session *s = cp_zalloc(d->mem, sizeof(*s));

    if (s == NULL)
        return NULL;
    if (host != NULL) {
        s->host = cp_copy_text(d->mem, host, strlen(host));
        if (s->host == NULL) {
            cp_free(d->mem, s);
            return NULL;
        }
    }
    s->dtls = d;
    s->path = *path;
    s->path.hops = 0;
    s->name = path->remote;
    if (++d->last_number == 0) /* is no number */
        d->last_number++;
    s->name.association = d->last_number;
    s->protect.epoch = 1;
    cp_map_put(&d->by_address, &s->by_address,
               hash_address(d, &s->path.remote));
    cp_map_put(&d->by_number, &s->by_number, hash_number(s->name.association));
    cp_list_append(&d->shaking, &s->node);
    d->asked_count += host == NULL;
    return s;
}

static void leave_shaking(struct cp_dtls_session *s)
{
    cp_list_remove(&s->node);
    s->dtls->asked_count -= s->host == NULL;
}

/* The one before at that address: the peer began anew, as after a reboot. We may
 * ask and be asked by the same address, so that both roles stand beside each
 * other. NULL: none; there is one at most. */
static struct cp_dtls_session *former_of(struct cp_dtls_session *s)
{
    struct cp_dtls *d = s->dtls;
    uint64_t hash = hash_address(d, &s->path.remote);
    struct cp_map_node *n = cp_map_first(&d->by_address, hash);

    for (; n != NULL; n = cp_map_next(n)) {
        struct cp_dtls_session *former =
            cp_container_of(n, struct cp_dtls_session, by_address);

        if (former->is_up && former != s &&
            cp_address_equal(&former->path.remote, &s->path.remote) &&
            (former->host == NULL) == (s->host == NULL) &&
            (s->host == NULL || strcmp(s->host, former->host) == 0))
            return former;
    }
    return NULL;
}

static void make_room(struct cp_dtls *d)
{
    size_t most = (size_t)d->engine->params.value[COPAL_P_MAX_PEERS];
    struct cp_list *first = cp_list_first(&d->up);

    if (d->up_count < most || first == NULL)
        return;
    cp_engine_limited(d->engine, "max_peers");
    cp_dtls_session_end(cp_container_of(first, struct cp_dtls_session, node),
                        COPAL_ELIMIT, true);
}

void cp_dtls_session_rise(struct cp_dtls_session *s)
{
    struct cp_dtls *d = s->dtls;
    struct cp_dtls_session *former = former_of(s);

    if (former == NULL)
        make_room(d);
    leave_shaking(s);
    cp_list_append(&d->up, &s->node);
    d->up_count++;
    s->is_up = true;
    s->heard_at = d->engine->now;
    if (former != NULL)
        end(former, COPAL_ECLOSED, false, s);
}

void cp_dtls_session_heard(struct cp_dtls_session *s)
{
    s->heard_at = s->dtls->engine->now;
    s->asked_at = 0;
    if (s->asked_times > 0)
        cp_dtls_ask_trust(s);
    cp_list_remove(&s->node);
    cp_list_append(&s->dtls->up, &s->node);
}

void cp_dtls_session_move(struct cp_dtls_session *s, const struct cp_path *path)
{
    struct cp_dtls *d = s->dtls;

    cp_map_remove(&d->by_address, &s->by_address);
    s->path = *path;
    s->path.hops = 0;
    cp_map_put(&d->by_address, &s->by_address,
               hash_address(d, &s->path.remote));
}

/* 0: none; or the peer moved in between, and has two names. */
static uint32_t number_of(const struct cp_dtls_session *heir,
                          const struct cp_address *former)
{
    struct cp_address name = *former;

    if (heir == NULL)
        return 0;
    name.association = heir->name.association;
    return cp_address_equal(&name, &heir->name) ? name.association : 0;
}

/* heir: what has not been heard of goes by that one; NULL: nobody takes over. */
static void end(struct cp_dtls_session *s, int status, bool is_told,
                const struct cp_dtls_session *heir)
{
    static const uint8_t goodbye[] = {WARNING, CLOSE_NOTIFY};
    struct cp_dtls *d = s->dtls;
    struct cp_path path = cp_dtls_session_path(s);
    bool was_up = s->is_up;

    if (was_up && is_told)
        (void)cp_dtls_send_record(s, CP_ALERT,
                                  cp_bytes(goodbye, sizeof(goodbye)));
    if (was_up) {
        cp_list_remove(&s->node);
        d->up_count--;
    } else {
        leave_shaking(s);
    }
    cp_dtls_shake_free(s);
    cp_dtls_flight_free(s->last);
    cp_dtls_ping_free(s);
    cp_dtls_keep_end(s);
    cp_map_remove(&d->by_address, &s->by_address);
    cp_map_remove(&d->by_number, &s->by_number);
    if (s->protect.cid_in_len > 0)
        cp_map_remove(&d->by_cid, &s->by_cid);
    cp_aeads_forget(d->aeads, &s->protect.in.key);
    cp_aeads_forget(d->aeads, &s->protect.out.key);
    cp_free(d->mem, s->identity);
    cp_free(d->mem, s->host);
    cp_free_secret(d->mem, s, sizeof(*s));
    /* Last: who hears of it may begin anew. */
    if (was_up && d->driver->engine != NULL)
        cp_engine_association_over(d->engine, &d->link, &path, status,
                                   number_of(heir, &path.remote));
}

void cp_dtls_session_end(struct cp_dtls_session *s, int status, bool is_told)
{
    end(s, status, is_told, NULL);
}
