#include "engine/engine.h"
#include "base/callback.h"
#include "engine/answer_core.h"
#include "engine/ask.h"
#include "engine/fresh_guard.h"
#include "engine/outer.h"
#include "engine/raw.h"
#include "engine/record.h"
#include "engine/record_put.h"
#include "engine/trace.h"
#include "engine/wait.h"
#include <stdio.h>

/* What was drawn at birth, keys of tables and where message ids begin, can be
 * drawn again from a number of 64 bits, so that a recording need not hold it.
 * What others see and must not guess is not among that. */
static void leave_birth(struct cp_engine *e)
{
    cp_random_init(&e->random, 0);
    cp_random_bytes(&e->random, e->freshness.key, sizeof(e->freshness.key));
}

struct cp_engine *cp_engine_new(struct cp_driver *driver, uint64_t seed,
                                struct cp_stages stages, copal_cb on_request,
                                copal *owner)
{
    struct cp_mem *mem = driver->mem;
    struct cp_engine *e = cp_zalloc(mem, sizeof(*e));

    if (e == NULL)
        return NULL;
    e->mem = mem;
    e->driver = driver;
    e->owner = owner;
    e->stages = stages;
    e->on_request = on_request;
    e->now = driver->ops->now(driver);
    cp_random_init(&e->random, seed);
    e->birth = seed != 0 ? seed : cp_random_u64(&e->random);
    cp_random_init(&e->random, e->birth);
    cp_random_bytes(&e->random, e->mids, sizeof(e->mids));
    cp_params_init(&e->params, mem);
    if (cp_events_init(e) != 0) {
        cp_free(mem, e);
        return NULL;
    }
    cp_list_init(&e->exchanges);
    cp_list_init(&e->raws);
    cp_map_init(&e->by_token, mem, &e->random);
    cp_map_init(&e->families, mem, &e->random);
    cp_map_init(&e->by_mid, mem, &e->random);
    cp_map_init(&e->shared, mem, &e->random);
    cp_map_init(&e->peers, mem, &e->random);
    cp_rates_init(e);
    cp_connections_init(e);
    cp_dedup_init(&e->dedup, e);
    cp_observing_init(e);
    cp_bodies_init(e);
    cp_places_init(e);
    cp_cache_init(e);
    cp_fresh_init(e);
    cp_list_init(&e->protection.waiting);
    cp_qblocks_init(e);
    if (seed == 0)
        leave_birth(e);
    else /* what comes does not depend on how many keys were drawn */
        cp_random_skip(&e->random);
    return e;
}

static void end_all(struct cp_engine *e)
{
    list_each (node, after, &e->exchanges) {
        copal_exchange *x = cp_container_of(node, copal_exchange, node);

        cp_exchange_hold(x);
        cp_exchange_fail(x, COPAL_ECLOSED, "the endpoint was closed");
        cp_exchange_let_go(x);
    }
    cp_event_deliver(e);
}

/* Handles that users still hold become husks. */
static void make_husks(struct cp_engine *e)
{
    list_each (node, after, &e->exchanges) {
        copal_exchange *x = cp_container_of(node, copal_exchange, node);

        cp_list_remove(node);
        x->engine = NULL;
    }
}

void cp_engine_end(struct cp_engine *e)
{
    e->ending = true;
    e->in_turn = CP_ENTERED;
    cp_record_freeze(e);
    cp_raw_clear(e);
    cp_observing_clear(e);
    end_all(e);
    cp_connections_clear(e);
    cp_bodies_clear(e);
    end_all(e); /* what callbacks began meanwhile */
    cp_events_clear(e);
    cp_mem_reap(e->mem);
}

void cp_engine_free(struct cp_engine *e)
{
    struct cp_mem *mem = e->mem;

    cp_record_end(e);
    make_husks(e);
    cp_dedup_clear(&e->dedup);
    cp_cache_clear(e);
    cp_map_clear(&e->by_token);
    cp_map_clear(&e->families);
    cp_qblocks_clear(e);
    cp_map_clear(&e->by_mid);
    cp_map_clear(&e->shared);
    cp_map_clear(&e->peers);
    cp_rates_clear(e);
    cp_fresh_clear(e);
    cp_params_clear(&e->params);
    cp_cb_drop(e->on_stray);
    cp_cb_drop(e->on_trace);
    cp_events_free(e); /* last: whoever was let go of may have posted */
    cp_free(mem, e);
}

/* ---- Turns ---- */

static inline void enter(struct cp_engine *e, uint64_t now, uint8_t in_turn)
{
    if (now > e->now) /* time never goes back, whatever the clock does */
        e->now = now;
    e->in_turn = in_turn;
    e->whose = CP_WHOSE_ENGINE;
    cp_record_time(e, false);
}

void cp_engine_enter(struct cp_engine *e, uint64_t now)
{
    enter(e, now, CP_ENTERED);
}

void cp_engine_tell_time(struct cp_engine *e)
{
    uint64_t now;

    if (e->in_turn)
        return;
    now = e->driver->ops->now(e->driver);
    if (now > e->now)
        e->now = now;
    cp_record_time(e, true);
}

void cp_engine_turn(struct cp_engine *e, uint64_t now)
{
    enter(e, now, CP_IN_TIMERS);
    cp_mem_reap(e->mem);
    cp_event_collect(e);
    if (CP_RECORD_IS_ON(e))
        cp_record_do_plain(e, CP_RECORD_TURN);
    while (cp_heap_run(&e->timers, e->now))
        continue;
    cp_observe_turn(e);
    if (e->shortage.is_new)
        cp_memory_tell_shortage(e);
    cp_event_deliver(e);
    e->in_turn = CP_NOT_IN_TURN;
    cp_record_turn_over(e);
}

uint64_t cp_engine_deadline(const struct cp_engine *e)
{
    uint64_t timer, observing;

    if (cp_event_is_waiting((struct cp_engine *)e))
        return e->now;
    timer = cp_heap_next(&e->timers);
    observing = cp_observe_deadline(e);
    return timer < observing ? timer : observing;
}

bool cp_engine_is_busy(const struct cp_engine *e)
{
    return e->exchange_count > 0 || e->events.timers.count > 0 ||
           e->peers.count > 0 || cp_observe_deadline(e) != UINT64_MAX ||
           cp_event_is_waiting((struct cp_engine *)e);
}

bool cp_engine_is_closing(const struct cp_engine *e)
{
    return e->closing;
}

bool cp_engine_is_condemned(const struct cp_engine *e)
{
    return e->condemned;
}

void cp_engine_wake(struct cp_engine *e)
{
    if (!e->in_turn)
        e->driver->ops->wake(e->driver);
}

/* ---- Links ---- */

void cp_engine_attach(struct cp_engine *e, struct cp_link *link)
{
    link->engine = e;
    link->number = ++e->links;
    link->mark = cp_record_mark(link);
}

/* Does anybody see the datagrams that pass? */
static bool is_watched(const struct cp_engine *e)
{
    return e->tap.fn != NULL || (e->trace & COPAL_TRACE_WIRE) != 0;
}

int cp_engine_send(struct cp_engine *e, struct cp_link *link,
                   const struct cp_path *path, copal_bytes datagram, bool again)
{
    const struct cp_path *to = path;
    struct cp_path way;
    int err;

    if (path->hops == 0 && e->params.value[COPAL_P_HOPS] != 0) {
        way = *path;
        way.hops = (uint8_t)e->params.value[COPAL_P_HOPS];
        to = &way;
    }
    cp_record_datagram(e, CP_RECORD_OUT, link, to, datagram, again);
    err = cp_link_send(link, to, datagram);
    if (is_watched(e))
        cp_trace_datagram(e, again ? CP_TRACE_AGAIN : CP_TRACE_OUT, link, path,
                          datagram);
    return err;
}

void cp_engine_count_datagram(struct cp_engine *e, bool out, size_t bytes)
{
    if (out) {
        e->stats.datagrams_out++;
        e->stats.bytes_out += bytes;
    } else {
        e->stats.datagrams_in++;
        e->stats.bytes_in += bytes;
    }
}

void cp_engine_random(struct cp_engine *e, void *out, size_t n)
{
    cp_random_untapped(&e->random, out, n);
}

int64_t cp_engine_param(const struct cp_engine *e, int param)
{
    return e->params.value[param];
}

void cp_engine_limited(struct cp_engine *e, const char *limit)
{
    e->stats.limited++;
    cp_counts_limit(&e->counts, limit);
    cp_trace_state(e, "limit", limit);
}

bool cp_engine_understands(void *engine, unsigned option)
{
    const struct cp_engine *e = engine;

    for (size_t i = 0; i < e->understood_count; i++)
        if (e->understood[i] == option)
            return true;
    return false;
}

/* ---- Datagrams ---- */

/* RFC 7252 4.2, 4.3: a confirmable is rejected with RST, others in silence. */
static void reject(struct cp_engine *e, struct cp_link *link,
                   const struct cp_path *path, const struct cp_header *h)
{
    if (h->type == CP_CON)
        cp_reliable_empty(e, link, path, CP_RST, h->mid, NULL);
}

/* An empty message: ACK, RST, or a ping. */
static void on_empty(struct cp_engine *e, struct cp_link *link,
                     const struct cp_path *path, const struct cp_header *h)
{
    struct cp_flight *f;

    if (h->token.len + h->rest.len > 0) {
        e->stats.malformed++;
        reject(e, link, path, h);
        return;
    }
    if (h->type == CP_CON || h->type == CP_NON) {
        reject(e, link, path, h); /* a ping: RFC 7252 4.3 */
        return;
    }
    f = cp_flight_find(e, link, &path->remote, h->mid);
    if (f == NULL || f->state == CP_QUEUED ||
        (h->type == CP_ACK && f->state != CP_OPEN)) {
        e->stats.rejected++;
        cp_fresh_missed(e, link, path);
    } else if (h->type == CP_RST) {
        cp_flight_finish(f, COPAL_ERESET);
    } else {
        cp_wait_measure(f);
        cp_fresh_acked(e, f);
        cp_flight_finish(f, 0);
    }
}

/* An answer that was given before goes out again, byte for byte. While there
 * is none yet the repeat is not answered: the ACK will be. size: of the repeat,
 * bytes. */
static void on_repeat(struct cp_engine *e, struct cp_link *link,
                      const struct cp_path *path, const struct cp_seen *seen,
                      size_t size)
{
    struct cp_path back = *path;
    copal_bytes reply = cp_dedup_reply(seen);

    e->stats.duplicates++;
    back.is_multicast = 0;
    if (reply.len > 0 && !path->is_multicast &&
        cp_fresh_allows_again(e, link, &path->remote, reply.len, size))
        cp_engine_send(e, link, &back, reply, true);
}

/* Critical options of parts that are not built in are as good as unknown. */
static unsigned unsupported(const copal_msg *m)
{
    static const uint8_t options[] = {COPAL_OPT_OSCORE, COPAL_OPT_EDHOC};

    for (size_t i = 0; i < sizeof(options); i++)
        if (cp_msg_has(m, options[i]))
            return options[i];
    return 0;
}

unsigned cp_engine_check_options(struct cp_engine *e, copal_msg *m)
{
    unsigned bad = cp_msg_check_options(m, cp_engine_understands, e);

    return bad != 0 ? bad : unsupported(m);
}

/* Sealed, and cut into blocks on the way. */
#define CUT_AND_SEALED \
    (UINT64_C(1) << COPAL_OPT_OSCORE | UINT64_C(1) << COPAL_OPT_BLOCK1)

/* RFC 8768 3: 0 and what is above 255 are refused, be the option elective. */
static bool has_bad_hop_limit(const copal_msg *m)
{
    const struct cp_option *o = cp_msg_find(m, COPAL_OPT_HOP_LIMIT);

    return o != NULL &&
           (o->len != 1 || cp_bytes_uint(cp_msg_option_value(m, o)) == 0);
}

void cp_engine_request(struct cp_engine *e, struct cp_link *link, copal_msg **m,
                       struct cp_seen *seen)
{
    bool bad_hop_limit;
    unsigned bad;
    char why[64];

    if (e->protection.ops != NULL &&
        ((*m)->present & CUT_AND_SEALED) == CUT_AND_SEALED &&
        !cp_outer_request(e, link, m, seen))
        return;
    if (e->protection.ops != NULL &&
        (cp_msg_has(*m, COPAL_OPT_OSCORE) ||
         (cp_msg_has(*m, COPAL_OPT_EDHOC) && e->protection.by_edhoc)) &&
        !cp_guard_open(e, link, m, seen))
        return;
    bad_hop_limit = has_bad_hop_limit(*m); /* which the check takes out */
    bad = cp_engine_check_options(e, *m);
    cp_counts_request(&e->counts, (*m)->code);
    if (bad == 0)
        bad = cp_qblock_refused(e, *m);
    if (bad == COPAL_OPT_PROXY_URI || bad == COPAL_OPT_PROXY_SCHEME)
        bad = 0; /* wrong length or not: 5.05 is the site's to say */
    if (bad == 0 && !bad_hop_limit) {
        cp_answer_request(e, link, m, seen);
        return;
    }
    if ((*m)->path.is_multicast)
        return;
    if (bad == 0) {
        cp_answer_at_once(e, link, *m, seen, COPAL_BAD_REQUEST,
                          "Hop-Limit is not 1 to 255");
        return;
    }
    snprintf(why, sizeof(why), "option %u not understood", bad);
    cp_answer_at_once(e, link, *m, seen, COPAL_BAD_OPTION, why);
}

/* False: out of memory. */
static bool name_sender(const struct cp_link *link, copal_msg *m)
{
    const char *identity = link->ops->identity == NULL
                               ? NULL
                               : link->ops->identity(link, &m->path);

    cp_record_named(link->engine, identity);
    if (identity != NULL)
        m->identity = cp_copy_text(m->mem, identity, strlen(identity));
    return identity == NULL || m->identity != NULL;
}

static void on_message(struct cp_engine *e, struct cp_link *link,
                       const struct cp_path *path, const struct cp_header *h,
                       struct cp_seen *seen)
{
    copal_msg *m = NULL;
    int err = cp_datagram_decode(e->mem, h, &m);

    if (err == COPAL_EFORMAT) {
        e->stats.malformed++;
        reject(e, link, path, h);
    }
    if (err != 0) { /* nothing happened: a repeat shall be new */
        cp_dedup_forget(&e->dedup, seen);
        return;
    }
    m->path = *path;
    m->scheme = (uint8_t)link->scheme;
    if (!name_sender(link, m)) {
        cp_dedup_forget(&e->dedup, seen);
        copal_msg_unref(m);
        return;
    }
    if (cp_code_is_request(h->code))
        cp_engine_request(e, link, &m, seen);
    else
        cp_ask_hear(e, link, &m, seen);
    copal_msg_unref(m);
}

static bool is_acceptable(const struct cp_header *h)
{
    if (cp_code_is_request(h->code)) /* no ACK or RST carries one */
        return h->type == CP_CON || h->type == CP_NON;
    return cp_code_is_response(h->code) && h->type != CP_RST;
}

/* To a group goes nothing that wants to be confirmed, or confirms: RFC 7252
 * 8.1. Nobody is told that it was not heard. */
static bool is_for_groups(const struct cp_header *h)
{
    return h->type == CP_NON && h->code != COPAL_EMPTY;
}

/* RFC 8974 2.2.2: who takes long tokens answers even those that are too long,
 * so that the asker does not think that none are taken. */
static bool is_too_long(const struct cp_engine *e, const struct cp_header *h)
{
    int64_t most = e->params.value[COPAL_P_MAX_TOKEN];

    return most > 8 && h->token.len > (size_t)most &&
           cp_code_is_request(h->code);
}

void cp_engine_foresee(struct cp_engine *e, const struct cp_link *link,
                       const struct cp_path *path, copal_bytes datagram,
                       struct cp_foreseen *out)
{
    struct cp_dedup_key key;
    struct cp_header h;

    out->is_known = cp_header_read(datagram, &h) == 0 && h.type != CP_ACK &&
                    h.code != COPAL_EMPTY;
    if (!out->is_known)
        return;
    key = cp_dedup_key_of(&e->dedup, link, &path->remote, &h);
    cp_table_fetch(&e->dedup.table, key.hash);
    out->hash = key.hash;
    out->share = (uint32_t)key.share;
}

static struct cp_dedup_key key_of(const struct cp_engine *e,
                                  const struct cp_link *link,
                                  const struct cp_path *path,
                                  const struct cp_header *h,
                                  const struct cp_foreseen *f)
{
    if (f == NULL || !f->is_known)
        return cp_dedup_key_of(&e->dedup, link, &path->remote, h);
    return (struct cp_dedup_key){.hash = f->hash, .share = f->share};
}

void cp_engine_foreseen(struct cp_engine *e, struct cp_link *link,
                        const struct cp_path *path, copal_bytes datagram,
                        const struct cp_foreseen *f)
{
    struct cp_header h;
    struct cp_seen *seen = NULL;
    int err = cp_header_read(datagram, &h);

    cp_record_datagram(e, CP_RECORD_IN, link, path, datagram, false);
    if (is_watched(e))
        cp_trace_datagram(e, CP_TRACE_IN, link, path, datagram);
    if (err == COPAL_ENOTSUP) { /* too short, or of a version to come */
        e->stats.malformed++;
        return;
    }
    cp_rate_heard(e, link, &path->remote);
    if (err == 0 && path->is_multicast && !is_for_groups(&h)) {
        e->stats.rejected++;
        return;
    }
    if (err == 0 && is_too_long(e, &h) && is_acceptable(&h)) {
        cp_engine_limited(e, "max_token");
        cp_answer_full(e, link, path, &h);
        return;
    }
    if (err != 0 || h.token.len > (size_t)e->params.value[COPAL_P_MAX_TOKEN] ||
        (h.code != COPAL_EMPTY && !is_acceptable(&h))) {
        e->stats.malformed++;
        reject(e, link, path, &h);
        return;
    }
    if (h.code == COPAL_EMPTY) {
        on_empty(e, link, path, &h);
        return;
    }
    if (h.type != CP_ACK) { /* an ACK is a repeat where nothing waits for it */
        struct cp_dedup_key key = key_of(e, link, path, &h, f);

        seen = cp_dedup_find(&e->dedup, &key);
        if (seen != NULL) {
            on_repeat(e, link, path, seen, datagram.len);
            return;
        }
        if (cp_dedup_add(&e->dedup, link, &path->remote, &h, &key, &seen) !=
            0) {
            cp_answer_full(e, link, path, &h);
            return;
        }
    }
    on_message(e, link, path, &h, seen);
}

void cp_engine_datagram(struct cp_engine *e, struct cp_link *link,
                        const struct cp_path *path, copal_bytes datagram)
{
    cp_engine_foreseen(e, link, path, datagram, NULL);
}

/* ---- What the network could not deliver ---- */

void cp_engine_undelivered(struct cp_engine *e, struct cp_link *link,
                           const struct cp_path *path, copal_bytes quoted,
                           int status)
{
    struct cp_header h;
    struct cp_flight *f;
    struct cp_peer *peer;

    if (CP_RECORD_IS_ON(e))
        cp_record_do_lost(e, CP_RECORD_LOST, link, path, quoted, status);
    if (quoted.len == 0) {
        peer = cp_peer_find(e, link, path);
        if (peer != NULL && !e->params.value[COPAL_P_IGNORE_ICMP])
            cp_flight_fail_all(e, peer, status);
        return;
    }
    if (cp_header_read(quoted, &h) == COPAL_ENOTSUP)
        return;
    f = cp_flight_find(e, link, &path->remote, h.mid);
    if (f != NULL && !f->ignores_icmp && (h.type == CP_CON) == f->is_con)
        cp_flight_finish(f, status);
}
