/* Bodies by Q-Block1 that were complete. A block that was sent again and came
 * twice would begin such a body anew, and its handler would be called twice. */
#include "engine/qblock_core.h"

enum {
    MAX_REMEMBERED = 1024 /* the oldest gives way */
};

struct cp_qblock_done {
    struct cp_map_node node; /* in qblocks.done, by key */
    struct cp_list place;    /* in qblocks.oldest_done */
    uint64_t until;          /* ms */
};

static struct cp_qblock_done *done_find(struct cp_engine *e, uint64_t key)
{
    struct cp_map_node *n = cp_map_first(&e->qblocks.done, key);

    return n == NULL ? NULL : cp_container_of(n, struct cp_qblock_done, node);
}

static void done_free(struct cp_engine *e, struct cp_qblock_done *d)
{
    cp_map_remove(&e->qblocks.done, &d->node);
    cp_list_remove(&d->place);
    cp_free(e->mem, d);
}

bool cp_qblock_done_has(struct cp_engine *e, uint64_t key)
{
    const struct cp_qblock_done *d = done_find(e, key);

    return d != NULL && d->until > e->now;
}

void cp_qblock_done_note(struct cp_engine *e, uint64_t key)
{
    struct cp_qblock_done *d = done_find(e, key);

    if (d != NULL)
        done_free(e, d);
    if (e->qblocks.done.count >= MAX_REMEMBERED)
        done_free(e, cp_container_of(cp_list_first(&e->qblocks.oldest_done),
                                     struct cp_qblock_done, place));
    d = cp_zalloc(e->mem, sizeof(*d));
    if (d == NULL)
        return;
    /* A partial one would have been kept as long: NON_PARTIAL_TIMEOUT. */
    d->until = e->now + cp_reliable_lifetime(e);
    cp_list_init(&d->place);
    cp_list_append(&e->qblocks.oldest_done, &d->place);
    cp_map_put(&e->qblocks.done, &d->node, key);
}

void cp_qblock_done_clear(struct cp_engine *e)
{
    list_each (place, after, &e->qblocks.oldest_done)
        done_free(e, cp_container_of(place, struct cp_qblock_done, place));
}
