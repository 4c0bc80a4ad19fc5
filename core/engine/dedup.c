#include "engine/dedup.h"
#include "engine/core.h"
#include "engine/fresh_guard.h"
#include "engine/reliable.h"

enum {
    SHARE_OF_ALL = 16, /* one source has no more of the store than 1/16 */
    LEAST_SHARE = 4096 /* bytes, or a small store would refuse too early */
};

void cp_dedup_init(struct cp_dedup *d, struct cp_engine *e)
{
    d->engine = e;
    d->used = 0;
    cp_map_init(&d->map, e->mem, &e->random);
    for (size_t i = 0; i < CP_WORTH_COUNT; i++)
        cp_list_init(&d->oldest[i]);
    memset(d->shares, 0, sizeof(d->shares));
}

/* What tells hosts apart: of IPv6 the /64. */
static struct cp_sip sip_of_host(const struct cp_dedup *d, const uint64_t ip[2],
                                 uint8_t family)
{
    struct cp_sip s = cp_map_sip(&d->map);

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

/* Most shares are never asked for, so each is made ready when it first is. */
static struct cp_share *share_at(struct cp_dedup *d, size_t number)
{
    struct cp_share *share = &d->shares[number];

    if (share->oldest[0].next == NULL)
        for (size_t i = 0; i < CP_WORTH_COUNT; i++)
            cp_list_init(&share->oldest[i]);
    return share;
}

static size_t size_of(const struct cp_seen *s)
{
    return sizeof(*s) + (s->reply == s->inline_reply ? 0 : s->reply_len);
}

void cp_dedup_forget(struct cp_dedup *d, struct cp_seen *s)
{
    if (s == NULL)
        return;
    if (s->owner != NULL)
        *s->owner = NULL;
    d->used -= size_of(s);
    s->share->used -= size_of(s);
    cp_map_remove(&d->map, &s->node);
    cp_list_remove(&s->place);
    cp_list_remove(&s->of_share);
    if (s->reply != s->inline_reply)
        cp_free(d->engine->mem, s->reply);
    cp_free(d->engine->mem, s);
}

void cp_dedup_clear(struct cp_dedup *d)
{
    for (size_t i = 0; i < CP_WORTH_COUNT; i++)
        list_each (place, after, &d->oldest[i])
            cp_dedup_forget(d, cp_container_of(place, struct cp_seen, place));
    cp_map_clear(&d->map);
}

/* Enough of a token to tell two apart, those that only end in zeroes too. */
static uint64_t token_of(const struct cp_dedup *d, copal_bytes token)
{
    uint64_t number = 0;

    if (token.len > 8)
        return cp_map_hash(&d->map, token.data, token.len);
    if (token.len == 8)
        return cp_sip_read(token.data);
    for (size_t i = 0; i < token.len; i++)
        number = number << 8 | token.data[i];
    return number | (uint64_t)token.len << 56;
}

struct cp_dedup_key cp_dedup_key_of(const struct cp_dedup *d,
                                    const struct cp_address *remote,
                                    const struct cp_header *h)
{
    struct cp_dedup_key key = {.token = token_of(d, h->token)};
    struct cp_sip s;
    uint64_t ip[2];

    memcpy(ip, remote->ip, sizeof(ip));
    s = sip_of_host(d, ip, remote->family);
    key.share = share_number(s);
    cp_sip_add(&s, remote->scope | (uint64_t)remote->port << 32 |
                       (uint64_t)h->mid << 48);
    cp_sip_add(&s, key.token);
    if (remote->family == CP_IPV6)
        cp_sip_add(&s, ip[1]);
    key.hash = cp_sip_end(s);
    return key;
}

static struct cp_seen *find(struct cp_dedup *d, struct cp_link *link,
                            const struct cp_address *remote,
                            const struct cp_header *h,
                            const struct cp_dedup_key *key)
{
    struct cp_map_node *n = cp_map_first(&d->map, key->hash);

    for (; n != NULL; n = cp_map_next(n)) {
        struct cp_seen *s = cp_container_of(n, struct cp_seen, node);

        if (s->mid == h->mid && s->link == link && s->token == key->token &&
            cp_address_equal(&s->remote, remote))
            return s;
    }
    return NULL;
}

struct cp_seen *cp_dedup_find(struct cp_dedup *d, struct cp_link *link,
                              const struct cp_address *remote,
                              const struct cp_header *h,
                              const struct cp_dedup_key *key)
{
    struct cp_seen *s = find(d, link, remote, h, key);

    if (s != NULL && s->until <= d->engine->now) {
        cp_dedup_forget(d, s);
        return NULL;
    }
    return s;
}

static struct cp_seen *oldest(struct cp_dedup *d, int worth)
{
    struct cp_list *first = cp_list_first(&d->oldest[worth]);

    return first == NULL ? NULL : cp_container_of(first, struct cp_seen, place);
}

/* The old go a few at a time, so that no turn pays for all of them. */
static void expire(struct cp_dedup *d)
{
    for (int worth = 0; worth < CP_WORTH_COUNT; worth++)
        for (int i = 0; i < 2; i++) {
            struct cp_seen *s = oldest(d, worth);

            if (s == NULL || s->until > d->engine->now)
                break;
            cp_dedup_forget(d, s);
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

/* Makes room by what is a source's own; spared is not to give way. */
static bool make_room_in_share(struct cp_dedup *d, struct cp_share *share,
                               size_t need, int needed_for,
                               const struct cp_seen *spared)
{
    for (int worth = CP_CHEAP; worth < CP_PRECIOUS; worth++)
        list_each (place, after, &share->oldest[worth]) {
            struct cp_seen *s =
                cp_container_of(place, struct cp_seen, of_share);

            if (is_within_share(d, share, need, needed_for))
                return true;
            if (s != spared)
                cp_dedup_forget(d, s);
        }
    return is_within_share(d, share, need, needed_for);
}

/* The same by anybody's. */
static bool make_room(struct cp_dedup *d, size_t need,
                      const struct cp_seen *spared)
{
    uint64_t limit = (uint64_t)d->engine->params.value[COPAL_P_DEDUP_MEMORY];

    for (int worth = CP_CHEAP; worth < CP_PRECIOUS; worth++)
        list_each (place, after, &d->oldest[worth]) {
            struct cp_seen *s = cp_container_of(place, struct cp_seen, place);

            if (d->used + need <= limit)
                return true;
            if (s != spared)
                cp_dedup_forget(d, s);
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
        struct cp_seen *s = oldest(d, worth);

        if (s != NULL) {
            cp_dedup_forget(d, s);
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
    struct cp_share *share = share_at(d, key->share);
    int worth = worth_of(e, link, remote, h);
    struct cp_seen *s = NULL;

    *out = NULL;
    expire(d);
    if (has_room(d, share, sizeof(*s), worth, NULL))
        s = cp_alloc(e->mem, sizeof(*s));
    if (s == NULL) {
        cp_engine_limited(e, "dedup_memory");
        return worth >= CP_UNPROVEN ? COPAL_ELIMIT : 0;
    }
    memset(s, 0, offsetof(struct cp_seen, inline_reply));
    s->share = share;
    s->link = link;
    s->remote = *remote;
    s->mid = h->mid;
    s->token = key->token;
    s->worth = (uint8_t)worth;
    s->reply = s->inline_reply;
    s->until = e->now + (h->type == CP_CON ? cp_reliable_lifetime(e)
                                           : cp_reliable_non_lifetime(e));
    cp_list_append(&d->oldest[worth], &s->place);
    cp_list_append(&share->oldest[worth], &s->of_share);
    cp_map_put(&d->map, &s->node, key->hash);
    d->used += size_of(s);
    share->used += size_of(s);
    *out = s;
    return 0;
}

static void let_reply_go(struct cp_dedup *d, struct cp_seen *s)
{
    if (s->reply != s->inline_reply) {
        d->used -= s->reply_len;
        s->share->used -= s->reply_len;
        cp_free(d->engine->mem, s->reply);
    }
    s->reply = s->inline_reply;
    s->reply_len = 0;
}

static uint8_t *room_for_reply(struct cp_dedup *d, struct cp_seen *s,
                               size_t len)
{
    if (len <= sizeof(s->inline_reply))
        return s->inline_reply;
    if (!has_room(d, s->share, len, s->worth, s))
        return NULL;
    return cp_alloc(d->engine->mem, len);
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
    struct cp_engine *e = d->engine;
    uint8_t *room;

    let_reply_go(d, s);
    room = room_for_reply(d, s, reply.len);
    if (room == NULL) {
        cp_engine_limited(e, "dedup_memory");
        if (s->worth < CP_UNPROVEN)
            cp_dedup_forget(d, s);
        return;
    }
    memcpy(room, reply.data, reply.len);
    s->reply = room;
    s->reply_len = (uint32_t)reply.len;
    if (room != s->inline_reply) {
        d->used += reply.len;
        s->share->used += reply.len;
    }
    if (s->worth != CP_CHEAP && did_nothing(reply)) {
        s->worth = CP_CHEAP;
        cp_list_remove(&s->place);
        cp_list_remove(&s->of_share);
        cp_list_append(&d->oldest[CP_CHEAP], &s->place);
        cp_list_append(&s->share->oldest[CP_CHEAP], &s->of_share);
    }
}
