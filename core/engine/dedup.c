#include "engine/dedup.h"
#include "base/fetch.h"
#include "engine/core.h"
#include "engine/fresh_guard.h"
#include "engine/reliable.h"

enum {
    SHARE_OF_ALL = 16, /* one source has no more of the store than 1/16 */
    LEAST_SHARE = 4096 /* bytes, or a small store would refuse too early */
};

_Static_assert(sizeof(struct cp_seen) == 64,
               "a line of the cache, and no more");

void cp_dedup_init(struct cp_dedup *d, struct cp_engine *e)
{
    d->engine = e;
    d->used = 0;
    cp_cells_init(&d->cells, e->mem, sizeof(struct cp_seen));
    cp_table_init(&d->table, e->mem, &e->random);
    memset(d->oldest, 0, sizeof(d->oldest));
    memset(d->shares, 0, sizeof(d->shares));
}

static inline struct cp_seen *seen_at(const struct cp_dedup *d, uint32_t n)
{
    return cp_cells_place(&d->cells, sizeof(struct cp_seen), n);
}

/* What tells hosts apart: of IPv6 the /64. */
static inline __attribute__((always_inline)) struct cp_sip sip_of_host(
    const struct cp_dedup *d, const uint64_t ip[2], uint8_t family)
{
    struct cp_sip s = cp_sip_begin(d->table.key);

    cp_sip_add(&s, ip[0]);
    if (family == CP_NAMED)
        cp_sip_add(&s, ip[1]);
    return s;
}

static size_t share_number(struct cp_sip of_host)
{
    return (size_t)(cp_sip_end(of_host) % CP_DEDUP_SHARES);
}

size_t cp_dedup_share(const struct cp_dedup *d, const struct cp_address *remote)
{
    uint64_t ip[2];

    memcpy(ip, remote->ip, sizeof(ip));
    return share_number(sip_of_host(d, ip, remote->family));
}

/* ---- Records ---- */

enum {
    SIZE = sizeof(struct cp_seen) + CP_TABLE_SHARE /* bytes, of each */
};

static bool is_outside(const struct cp_seen *s)
{
    return s->reply_len > CP_SEEN_INLINE;
}

static size_t size_of(const struct cp_seen *s)
{
    return SIZE + (is_outside(s) ? s->reply_len : 0);
}

static void *pointer_of(const struct cp_seen *s)
{
    void *p;

    memcpy(&p, s->reply, sizeof(p));
    return p;
}

static void set_pointer(struct cp_seen *s, void *p)
{
    memcpy(s->reply, &p, sizeof(p));
}

copal_bytes cp_dedup_reply(const struct cp_seen *s)
{
    return cp_bytes(is_outside(s) ? pointer_of(s) : s->reply, s->reply_len);
}

void cp_dedup_own(struct cp_seen *s, struct cp_seen **owner)
{
    if (s != NULL && s->reply_len == 0)
        set_pointer(s, owner);
}

static void leave_owner(struct cp_seen *s)
{
    struct cp_seen **owner = s->reply_len == 0 ? pointer_of(s) : NULL;

    if (owner != NULL)
        *owner = NULL;
}

static void let_reply_go(struct cp_dedup *d, struct cp_seen *s)
{
    if (is_outside(s)) {
        d->used -= s->reply_len;
        d->shares[s->share].used -= s->reply_len;
        cp_free(d->engine->mem, pointer_of(s));
    }
    s->reply_len = 0;
    set_pointer(s, NULL);
}

static const struct cp_row_form BY_WORTH = {sizeof(struct cp_seen),
                                            offsetof(struct cp_seen, place)},
                                BY_SHARE = {sizeof(struct cp_seen),
                                            offsetof(struct cp_seen, of_share)};

static void append(struct cp_dedup *d, struct cp_seen *s, uint32_t n)
{
    cp_row_append(&d->cells, BY_WORTH, &d->oldest[s->worth], n, &s->place);
    cp_row_append(&d->cells, BY_SHARE, &d->shares[s->share].oldest[s->worth], n,
                  &s->of_share);
}

static void take_out(struct cp_dedup *d, const struct cp_seen *s)
{
    cp_row_remove(&d->cells, BY_WORTH, &d->oldest[s->worth], &s->place);
    cp_row_remove(&d->cells, BY_SHARE, &d->shares[s->share].oldest[s->worth],
                  &s->of_share);
}

/* Its number, which whoever is before it in a row knows. */
static uint32_t number_of(const struct cp_dedup *d, const struct cp_seen *s)
{
    return s->place.prev != 0 ? seen_at(d, s->place.prev)->place.next
                              : d->oldest[s->worth].first;
}

static void forget(struct cp_dedup *d, struct cp_seen *s, uint32_t n)
{
    size_t size = size_of(s);

    leave_owner(s);
    if (is_outside(s))
        cp_free(d->engine->mem, pointer_of(s));
    d->used -= size;
    d->shares[s->share].used -= size;
    cp_table_remove(&d->table, s->hash, n);
    take_out(d, s);
    cp_cells_give_back(&d->cells, n);
}

void cp_dedup_forget(struct cp_dedup *d, struct cp_seen *s)
{
    if (s != NULL)
        forget(d, s, number_of(d, s));
}

void cp_dedup_clear(struct cp_dedup *d)
{
    for (size_t i = 0; i < CP_WORTH_COUNT; i++)
        while (d->oldest[i].first != 0)
            cp_dedup_forget(d, seen_at(d, d->oldest[i].first));
    cp_table_clear(&d->table);
    cp_cells_clear(&d->cells);
}

/* ---- Found ---- */

/* Enough of a token to tell two apart, those that only end in zeroes too. */
static uint64_t token_of(const struct cp_dedup *d, copal_bytes token)
{
    uint64_t number = 0;
    uint32_t first, last;

    if (token.len > 8)
        return cp_siphash(d->table.key, token.data, token.len);
    if (token.len == 8)
        return cp_sip_read(token.data);
    if (token.len >= 4) { /* two words, one over the other */
        memcpy(&first, token.data, sizeof(first));
        memcpy(&last, token.data + token.len - 4, sizeof(last));
        return (first | (uint64_t)last << 8 * (token.len - 4)) |
               (uint64_t)token.len << 56;
    }
    for (size_t i = 0; i < token.len; i++)
        number = number << 8 | token.data[i];
    return number | (uint64_t)token.len << 56;
}

struct cp_dedup_key cp_dedup_key_of(const struct cp_dedup *d,
                                    const struct cp_link *link,
                                    const struct cp_address *remote,
                                    const struct cp_header *h)
{
    struct cp_dedup_key key;
    struct cp_sip s;
    uint64_t ip[2];

    memcpy(ip, remote->ip, sizeof(ip));
    s = sip_of_host(d, ip, remote->family);
    key.share = share_number(s);
    cp_sip_add(&s, (remote->scope ^ (uint32_t)link->number << 16) |
                       (uint64_t)remote->port << 32 | (uint64_t)h->mid << 48);
    cp_sip_add(&s, token_of(d, h->token));
    if (remote->family == CP_IPV6)
        cp_sip_add(&s, ip[1]);
    if (remote->association != 0)
        cp_sip_add(&s, remote->association);
    key.hash = cp_sip_end(s);
    return key;
}

static uint64_t until(const struct cp_seen *s)
{
    return s->until | (uint64_t)s->until_high << 32;
}

struct cp_seen *cp_dedup_find(struct cp_dedup *d,
                              const struct cp_dedup_key *key)
{
    uint32_t step = 0, n;

    while ((n = cp_table_find(&d->table, key->hash, &step)) != 0) {
        struct cp_seen *s = seen_at(d, n);

        if (s->hash != key->hash)
            continue;
        if (until(s) > d->engine->now)
            return s;
        forget(d, s, n);
        break;
    }
    return NULL;
}

/* ---- Who gives way ---- */

/* The old go a few at a time, so that no turn pays for all of them. */
static void expire(struct cp_dedup *d)
{
    for (int worth = 0; worth < CP_WORTH_COUNT; worth++) {
        int most = 2;
        uint32_t n;

        while (most-- > 0 && (n = d->oldest[worth].first) != 0 &&
               until(seen_at(d, n)) <= d->engine->now)
            forget(d, seen_at(d, n), n);
    }
}

/* A source's POSTs may have more than its share as long as half the store is
 * free: nobody lacks it, and 5.03 is a high price. */
static bool is_within_share(const struct cp_dedup *d,
                            const struct cp_share *share, size_t need,
                            int worth)
{
    uint64_t limit = (uint64_t)d->engine->params.value[COPAL_P_DEDUP_MEMORY];
    uint64_t part = limit / SHARE_OF_ALL;

    if (worth >= CP_UNPROVEN && d->used + need <= limit / 2)
        return true;
    return share->used + need <= (part > LEAST_SHARE ? part : LEAST_SHARE);
}

static void fetch_seen(const struct cp_dedup *d, uint32_t n)
{
    if (n != 0)
        cp_fetch(seen_at(d, n));
}

/* Who gives way next is known before: what forgetting it touches is on its way by
 * then. It is the one after n, whose own was fetched when n was foreseen: the time
 * between two is hardly longer than a wait for memory. */
static void foresee_end(const struct cp_dedup *d, uint32_t n, bool of_share)
{
    const struct cp_seen *s = seen_at(d, n);
    uint32_t after = of_share ? s->of_share.next : s->place.next;

    if (after == 0)
        return;
    s = seen_at(d, after);
    cp_table_fetch(&d->table, s->hash);
    fetch_seen(d, s->place.next);
    fetch_seen(d, s->of_share.next);
    fetch_seen(d, s->place.prev); /* of all it is the first mostly */
}

/* Makes room by what is a source's own; spared is not to give way. */
static bool make_room_in_share(struct cp_dedup *d, struct cp_share *share,
                               size_t need, int needed_for,
                               const struct cp_seen *spared)
{
    for (int worth = CP_CHEAP; worth < CP_PRECIOUS; worth++)
        for (uint32_t n = share->oldest[worth].first, after; n != 0;
             n = after) {
            struct cp_seen *s = seen_at(d, n);

            if (is_within_share(d, share, need, needed_for)) {
                foresee_end(d, n, true);
                return true;
            }
            after = s->of_share.next;
            if (s != spared)
                forget(d, s, n);
        }
    return is_within_share(d, share, need, needed_for);
}

/* The same by anybody's. */
static bool make_room(struct cp_dedup *d, size_t need,
                      const struct cp_seen *spared)
{
    uint64_t limit = (uint64_t)d->engine->params.value[COPAL_P_DEDUP_MEMORY];

    for (int worth = CP_CHEAP; worth < CP_PRECIOUS; worth++)
        for (uint32_t n = d->oldest[worth].first, after; n != 0; n = after) {
            struct cp_seen *s = seen_at(d, n);

            if (d->used + need <= limit) {
                foresee_end(d, n, false);
                return true;
            }
            after = s->place.next;
            if (s != spared)
                forget(d, s, n);
        }
    return d->used + need <= limit;
}

/* Room for what is needed for a record of that worth, which is mostly there. */
static inline bool has_room(struct cp_dedup *d, struct cp_share *share,
                            size_t need, int worth,
                            const struct cp_seen *spared)
{
    uint64_t limit = (uint64_t)d->engine->params.value[COPAL_P_DEDUP_MEMORY];

    if (d->used + need <= limit && is_within_share(d, share, need, worth))
        return true;
    return make_room_in_share(d, share, need, worth, spared) &&
           make_room(d, need, spared);
}

bool cp_dedup_free_one(struct cp_dedup *d)
{
    for (int worth = CP_CHEAP; worth < CP_PRECIOUS; worth++) {
        uint32_t n = d->oldest[worth].first;

        if (n != 0) {
            forget(d, seen_at(d, n), n);
            return true;
        }
    }
    return false;
}

static int worth_of(struct cp_engine *e, const struct cp_link *link,
                    const struct cp_address *remote, const struct cp_header *h)
{
    switch (h->code) {
    case COPAL_GET:
    case COPAL_FETCH: return CP_CHEAP;
    case COPAL_PUT:
    case COPAL_DELETE:
    case COPAL_IPATCH: return CP_IDEMPOTENT;
    default: break;
    }
    if (!cp_code_is_request(h->code))
        return CP_CHEAP;
    return cp_fresh_doubts(e, link, remote) ? CP_UNPROVEN : CP_PRECIOUS;
}

int cp_dedup_add(struct cp_dedup *d, struct cp_link *link,
                 const struct cp_address *remote, const struct cp_header *h,
                 const struct cp_dedup_key *key, struct cp_seen **out)
{
    struct cp_engine *e = d->engine;
    struct cp_share *share = &d->shares[key->share];
    int worth = worth_of(e, link, remote, h);
    uint64_t over = e->now + (h->type == CP_CON ? cp_reliable_lifetime(e)
                                                : cp_reliable_non_lifetime(e));
    struct cp_seen *s;
    uint32_t n = 0;

    *out = NULL;
    expire(d);
    if (has_room(d, share, SIZE, worth, NULL) && cp_table_reserve(&d->table))
        n = cp_cells_take(&d->cells);
    if (n == 0) {
        cp_engine_limited(e, "dedup_memory");
        return worth >= CP_UNPROVEN ? COPAL_ELIMIT : 0;
    }
    s = seen_at(d, n);
    s->hash = key->hash;
    s->until = (uint32_t)over;
    s->until_high = (uint8_t)(over >> 32);
    s->worth = (uint8_t)worth;
    s->share = (uint8_t)key->share;
    s->reply_len = 0;
    set_pointer(s, NULL);
    append(d, s, n);
    cp_table_put(&d->table, key->hash, n);
    d->used += SIZE;
    share->used += SIZE;
    *out = s;
    return 0;
}

/* ---- Answers ---- */

/* Puts reply where it is kept; false: no room. Others may give way to it. */
static bool put_reply(struct cp_dedup *d, struct cp_seen *s, copal_bytes reply)
{
    struct cp_share *share = &d->shares[s->share];
    uint8_t *outside;

    if (reply.len > CP_SEEN_INLINE) {
        if (!has_room(d, share, reply.len, s->worth, s))
            return false;
        outside = cp_alloc(d->engine->mem, reply.len);
        if (outside == NULL)
            return false;
        memcpy(outside, reply.data, reply.len);
        leave_owner(s);
        set_pointer(s, outside);
        d->used += reply.len;
        share->used += reply.len;
    } else {
        leave_owner(s);
        memcpy(s->reply, reply.data, reply.len);
    }
    s->reply_len = (uint16_t)reply.len;
    return true;
}

/* To act upon it again would do no more than the first time did. */
static bool did_nothing(copal_bytes reply)
{
    return cp_code_class(reply.data[1]) >= 4 || reply.data[1] == COPAL_CONTINUE;
}

/* A POST whose answer finds no room keeps its place without one: a repeat is
 * not acted upon, only not answered. Others may be acted upon again. */
void cp_dedup_keep(struct cp_dedup *d, struct cp_seen *s, copal_bytes reply)
{
    uint32_t n;

    if (s->reply_len > 0)
        let_reply_go(d, s);
    if (reply.len > UINT16_MAX || !put_reply(d, s, reply)) {
        cp_engine_limited(d->engine, "dedup_memory");
        if (s->worth < CP_UNPROVEN)
            cp_dedup_forget(d, s);
        return;
    }
    if (s->worth != CP_CHEAP && did_nothing(reply)) {
        n = number_of(d, s);
        take_out(d, s);
        s->worth = CP_CHEAP;
        append(d, s, n);
    }
}
