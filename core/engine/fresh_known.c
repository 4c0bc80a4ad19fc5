#include "engine/fresh_known.h"
#include "engine/core.h"

void cp_known_init(struct cp_known *k, struct cp_engine *e, const char *limit,
                   size_t most, uint64_t lives)
{
    *k = (struct cp_known){
        .engine = e, .limit = limit, .most = most, .lives = lives};
    cp_map_init(&k->map, e->mem, &e->random);
    cp_list_init(&k->oldest);
}

void cp_known_remove(struct cp_known *k, struct cp_known_entry *known)
{
    cp_map_remove(&k->map, &known->node);
    cp_list_remove(&known->place);
    cp_free(k->engine->mem, known);
}

void cp_known_clear(struct cp_known *k)
{
    list_each (place, after, &k->oldest)
        cp_known_remove(k,
                        cp_container_of(place, struct cp_known_entry, place));
    cp_map_clear(&k->map);
}

static uint64_t hash_of(const struct cp_known *k,
                        const struct cp_address *remote)
{
    struct cp_sip s = cp_map_sip(&k->map);

    cp_address_hash(&s, remote);
    return cp_sip_end(s);
}

static struct cp_known_entry *find(const struct cp_known *k,
                                   const struct cp_link *link,
                                   const struct cp_address *remote,
                                   uint64_t hash)
{
    struct cp_map_node *n = cp_map_first(&k->map, hash);

    for (; n != NULL; n = cp_map_next(n)) {
        struct cp_known_entry *known =
            cp_container_of(n, struct cp_known_entry, node);

        if (known->link == link && cp_address_equal(&known->remote, remote))
            return known;
    }
    return NULL;
}

struct cp_known_entry *cp_known_find(struct cp_known *k,
                                     const struct cp_link *link,
                                     const struct cp_address *remote)
{
    struct cp_known_entry *known;

    if (k->map.count == 0)
        return NULL;
    known = find(k, link, remote, hash_of(k, remote));
    if (known != NULL && k->engine->now - known->at >= k->lives) {
        cp_known_remove(k, known);
        known = NULL;
    }
    return known;
}

/* One more is to come: those that are too old anyway go, else the one noted
 * longest ago. */
static void make_room(struct cp_known *k)
{
    for (int i = 0; i < 2; i++) {
        struct cp_list *first = cp_list_first(&k->oldest);
        struct cp_known_entry *eldest;

        if (first == NULL)
            return;
        eldest = cp_container_of(first, struct cp_known_entry, place);
        if (k->engine->now - eldest->at < k->lives) {
            if (k->map.count < k->most)
                return;
            cp_engine_limited(k->engine, k->limit);
        }
        cp_known_remove(k, eldest);
    }
}

void cp_known_put(struct cp_known *k, const struct cp_link *link,
                  const struct cp_address *remote, copal_bytes value)
{
    uint64_t hash = hash_of(k, remote);
    struct cp_known_entry *known = find(k, link, remote, hash);

    if (known != NULL)
        cp_known_remove(k, known);
    make_room(k);
    known = cp_alloc(k->engine->mem, sizeof(*known) + value.len);
    if (known == NULL)
        return;
    *known = (struct cp_known_entry){.link = link,
                                     .remote = *remote,
                                     .at = k->engine->now,
                                     .len = value.len};
    if (value.len > 0)
        memcpy(known->value, value.data, value.len);
    cp_list_append(&k->oldest, &known->place);
    cp_map_put(&k->map, &known->node, hash);
}
