/* What the cache keeps: found by its key, told of changes by its resource,
 * bounded in bytes. */
#include "engine/cache.h"
#include "engine/core.h"
#include "wire/target.h"

static struct cp_cached *of_key(struct cp_map_node *n)
{
    return n == NULL ? NULL : cp_container_of(n, struct cp_cached, by_key);
}

static struct cp_cached *first_of(struct cp_engine *e, uint64_t key)
{
    return of_key(cp_map_first(&e->caching.by_key, key));
}

static struct cp_cached *next_of(const struct cp_cached *c)
{
    return of_key(cp_map_next(&c->by_key));
}

/* ---- Keys ---- */

static void put_text(struct cp_buf *key, const char *text)
{
    cp_put_u32(key, (uint32_t)strlen(text));
    cp_put_text(key, text);
}

static void put_options(struct cp_buf *key, const copal_msg *m, unsigned option)
{
    for (size_t i = 0; i < m->option_count; i++)
        if (m->options[i].number == option) {
            cp_put_u32(key, m->options[i].len);
            cp_put_bytes(key, cp_msg_option_value(m, &m->options[i]));
        }
    cp_put_u32(key, UINT32_MAX); /* no value is that long */
}

/* Who is asked, and from where: of another interface or address of ours the
 * same URI may lead elsewhere. */
static void put_where(struct cp_engine *e, struct cp_buf *key,
                      const copal_msg *request)
{
    const struct cp_target *to = request->target;
    int64_t if_index =
        cp_params_get(&e->params, request, to->uri, COPAL_P_INTERFACE);

    cp_put_u8(key, (uint8_t)to->scheme);
    cp_put_u16(key, to->port);
    put_text(key, to->host == NULL ? "" : to->host);
    cp_put_bytes(key, cp_bytes(&request->from, sizeof(request->from)));
    cp_put_u32(key, (uint32_t)if_index);
    put_options(key, request, COPAL_OPT_URI_HOST);
    put_options(key, request, COPAL_OPT_URI_PORT);
    put_options(key, request, COPAL_OPT_PROXY_URI);
    put_options(key, request, COPAL_OPT_PROXY_SCHEME);
}

bool cp_cache_resource(struct cp_engine *e, const copal_msg *request,
                       const copal_msg *location, uint64_t *out)
{
    struct cp_buf key = cp_buf_new(e->mem);
    copal_bytes all;
    bool done;

    put_where(e, &key, request);
    if (location == NULL) {
        put_options(&key, request, COPAL_OPT_URI_PATH);
        put_options(&key, request, COPAL_OPT_URI_QUERY);
    } else {
        put_options(&key, location, COPAL_OPT_LOCATION_PATH);
        put_options(&key, location, COPAL_OPT_LOCATION_QUERY);
    }
    done = cp_buf_finish(&key, &all) == 0;
    if (done)
        *out = cp_map_hash(&e->caching.by_resource, all.data, all.len);
    cp_buf_free(&key);
    return done;
}

bool cp_cache_key(struct cp_engine *e, const copal_msg *request, uint64_t *out)
{
    struct cp_buf key = cp_buf_new(e->mem);
    copal_bytes all;
    bool done;

    put_where(e, &key, request);
    cp_msg_put_cache_key(request, &key);
    if (request->code == COPAL_FETCH)
        cp_put_bytes(&key, request->payload);
    done = cp_buf_finish(&key, &all) == 0;
    if (done)
        *out = cp_map_hash(&e->caching.by_key, all.data, all.len);
    cp_buf_free(&key);
    return done;
}

/* ---- Life ---- */

void cp_cache_init(struct cp_engine *e)
{
    cp_map_init(&e->caching.by_key, e->mem, &e->random);
    cp_map_init(&e->caching.by_resource, e->mem, &e->random);
    cp_map_init(&e->caching.held_back, e->mem, &e->random);
    cp_list_init(&e->caching.oldest);
    cp_list_init(&e->caching.held_back_oldest);
}

static void give_up(struct cp_engine *e, struct cp_cached *c)
{
    cp_map_remove(&e->caching.by_key, &c->by_key);
    cp_map_remove(&e->caching.by_resource, &c->by_resource);
    cp_list_remove(&c->place);
    e->caching.used -= c->cost;
    copal_msg_unref(c->msg);
    cp_free(e->mem, c);
}

static void make_room(struct cp_engine *e, uint64_t need)
{
    uint64_t limit = (uint64_t)e->params.value[COPAL_P_CACHE_MEMORY];

    list_each (place, after, &e->caching.oldest) {
        if (e->caching.used + need <= limit)
            break;
        give_up(e, cp_container_of(place, struct cp_cached, place));
    }
}

void cp_cache_trim(struct cp_engine *e)
{
    make_room(e, 0);
}

void cp_cache_clear(struct cp_engine *e)
{
    list_each (place, after, &e->caching.oldest)
        give_up(e, cp_container_of(place, struct cp_cached, place));
    cp_held_back_clear(e);
    cp_map_clear(&e->caching.by_key);
    cp_map_clear(&e->caching.by_resource);
    cp_map_clear(&e->caching.held_back);
}

/* ---- Looking up ---- */

static void touch(struct cp_engine *e, struct cp_cached *c)
{
    cp_list_remove(&c->place);
    cp_list_append(&e->caching.oldest, &c->place);
}

struct cp_cached *cp_cache_fresh(struct cp_engine *e, uint64_t key)
{
    for (struct cp_cached *c = first_of(e, key); c != NULL; c = next_of(c))
        if (c->fresh_until > e->now) {
            touch(e, c);
            return c;
        }
    return NULL;
}

size_t cp_cache_candidates(struct cp_engine *e, uint64_t key,
                           copal_msg *out[CP_CACHE_ETAGS])
{
    size_t count = 0;

    for (struct cp_cached *c = first_of(e, key); c != NULL; c = next_of(c))
        if (cp_msg_has(c->msg, COPAL_OPT_ETAG) && count < CP_CACHE_ETAGS) {
            touch(e, c);
            out[count++] = copal_msg_ref(c->msg);
        }
    return count;
}

/* ---- Keeping ---- */

/* What is kept under key gives way to m: at once where an ETag could not bring
 * it back, or where there are enough that could. */
static void outdate(struct cp_engine *e, uint64_t key, const copal_msg *m)
{
    struct cp_cached *next, *first = NULL;
    size_t left = 0;

    for (struct cp_cached *c = first_of(e, key); c != NULL; c = next) {
        copal_bytes etag = cp_msg_etag(c->msg);

        next = next_of(c);
        if (etag.len == 0 || cp_bytes_equal(etag, cp_msg_etag(m))) {
            give_up(e, c);
            continue;
        }
        c->fresh_until = 0;
        left++;
        if (first == NULL || c->kept_at < first->kept_at)
            first = c;
    }
    if (left >= CP_CACHE_ETAGS)
        give_up(e, first);
}

copal_msg *cp_cache_own_copy(const copal_msg *m, copal_bytes payload)
{
    copal_msg *copy = cp_msg_derive(m);

    if (copy == NULL)
        return NULL;
    copal_msg_unref(copy->request);
    copy->request = NULL;
    copy->token = (copal_bytes){0};
    copy->type = 0xff;
    if (cp_msg_copy_payload(copy, payload) != 0) {
        copal_msg_unref(copy);
        return NULL;
    }
    return copy;
}

/* Which notification it came as, and in which blocks, is not kept. */
static copal_msg *kept_of(const copal_msg *m)
{
    copal_msg *copy = cp_cache_own_copy(m, m->payload);

    if (copy == NULL)
        return NULL;
    cp_msg_remove(copy, COPAL_OPT_OBSERVE);
    cp_msg_remove(copy, COPAL_OPT_BLOCK1);
    cp_msg_remove(copy, COPAL_OPT_BLOCK2);
    copy->frozen = true;
    return copy;
}

static uint64_t cost_of(const copal_msg *m)
{
    return sizeof(struct cp_cached) + sizeof(*m) + m->data_cap +
           m->payload.len +
           (m->option_cap > CP_INLINE_OPTIONS
                ? m->option_cap * sizeof(struct cp_option)
                : 0) +
           (m->identity == NULL ? 0 : strlen(m->identity) + 1);
}

static struct cp_cached *cached_new(struct cp_engine *e, const copal_msg *m)
{
    struct cp_cached *c = cp_zalloc(e->mem, sizeof(*c));

    if (c == NULL)
        return NULL;
    c->msg = kept_of(m);
    if (c->msg == NULL) {
        cp_free(e->mem, c);
        return NULL;
    }
    c->cost = cost_of(c->msg);
    c->kept_at = e->now;
    c->fresh_until = e->now + cp_cache_lifetime(m);
    return c;
}

void cp_cache_put(struct cp_engine *e, const copal_msg *request,
                  const copal_msg *m)
{
    uint64_t limit = (uint64_t)e->params.value[COPAL_P_CACHE_MEMORY];
    uint64_t key, resource;
    struct cp_cached *c;

    if (!cp_cache_key(e, request, &key) ||
        !cp_cache_resource(e, request, NULL, &resource))
        return;
    outdate(e, key, m);
    if (cp_cache_lifetime(m) == 0 && !cp_msg_has(m, COPAL_OPT_ETAG))
        return; /* it would never be of use */
    if (sizeof(*c) + m->payload.len > limit) {
        cp_engine_limited(e, "cache_memory");
        return;
    }
    c = cached_new(e, m);
    if (c == NULL)
        return;
    make_room(e, c->cost);
    cp_list_init(&c->place);
    cp_list_append(&e->caching.oldest, &c->place);
    cp_map_put(&e->caching.by_key, &c->by_key, key);
    cp_map_put(&e->caching.by_resource, &c->by_resource, resource);
    e->caching.used += c->cost;
    make_room(e, 0); /* all the others, and still too much */
}

/* ---- Changes ---- */

void cp_cache_spoil(struct cp_engine *e, uint64_t resource)
{
    struct cp_map_node *n = cp_map_first(&e->caching.by_resource, resource);

    e->caching.changes[resource % CP_CACHE_COUNTERS]++;
    for (; n != NULL; n = cp_map_next(n))
        cp_container_of(n, struct cp_cached, by_resource)->fresh_until = 0;
}

uint32_t cp_cache_changes(const struct cp_engine *e, uint64_t resource)
{
    return e->caching.changes[resource % CP_CACHE_COUNTERS];
}
