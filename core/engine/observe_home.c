/* Where observers came to: shared by those who came the same way. */
#include "engine/observe_core.h"
#include "engine/core.h"

static uint64_t hash_of(const struct cp_engine *e, const struct cp_link *link,
                        const struct cp_path *path)
{
    struct cp_sip s = cp_map_sip(&e->observing.homes);

    cp_sip_add(&s, (uintptr_t)link);
    cp_sip_add(&s, path->if_index | (uint64_t)path->hops << 32);
    cp_address_hash(&s, &path->local);
    return cp_sip_end(s);
}

struct cp_home *cp_home_get(struct cp_engine *e, struct cp_link *link,
                            const struct cp_path *path)
{
    uint64_t hash = hash_of(e, link, path);
    struct cp_map_node *n = cp_map_first(&e->observing.homes, hash);
    struct cp_home *h;

    for (; n != NULL; n = cp_map_next(n)) {
        h = cp_container_of(n, struct cp_home, node);
        if (h->link == link && h->if_index == path->if_index &&
            h->hops == path->hops &&
            cp_address_equal(&h->local, &path->local)) {
            h->users++;
            return h;
        }
    }
    h = cp_zalloc(e->mem, sizeof(*h));
    if (h == NULL)
        return NULL;
    h->link = link;
    h->local = path->local;
    h->if_index = path->if_index;
    h->hops = path->hops;
    h->users = 1;
    cp_map_put(&e->observing.homes, &h->node, hash);
    return h;
}

void cp_home_put(struct cp_engine *e, struct cp_home *h)
{
    if (h == NULL || --h->users > 0)
        return;
    cp_map_remove(&e->observing.homes, &h->node);
    cp_free(e->mem, h);
}
