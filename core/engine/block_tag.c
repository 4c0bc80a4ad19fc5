/* Uploads of ours that look alike are told apart by Request-Tag: RFC 9175 3.
 *
 * An operation is known by where it goes, its cache key and its tags. The first
 * of its kind has none; one that begins beside others gets a short value that
 * none of them has (3.5.2). One that ended while a block of it had no answer is
 * not concluded: that block may yet arrive, and be taken for one of the next.
 * Its name is used again when no copy is under way any more (compare 3.5.1);
 * of blocks that were answered the server knows repeats by their message ids. */
#include "engine/transfer.h"

static uint64_t key_of(copal_exchange *x, const copal_msg *m)
{
    const struct cp_way *way = &cp_ask_of(x)->way;

    return cp_bodies_key(x->engine, way->link, &way->path.remote, m);
}

static bool is_free(struct cp_engine *e, uint64_t key)
{
    struct cp_operations *all = &e->operations;

    if (cp_map_first(&all->active, key) != NULL)
        return false;
    for (size_t i = 0; i < CP_LEFT_OPERATIONS; i++)
        if (all->left[i].key == key && e->now < all->left[i].until)
            return false;
    return true;
}

static int put_tag(copal_msg *m, uint16_t tag)
{
    return cp_msg_add_uint(m, COPAL_OPT_REQUEST_TAG, tag);
}

/* *m with the next tag that is free. */
static int add_free_tag(copal_exchange *x, copal_msg **m, uint64_t *key)
{
    struct cp_engine *e = x->engine;
    struct cp_transfer *t = x->transfer;
    copal_msg *tagged = cp_msg_derive(*m);
    int err = tagged == NULL ? COPAL_ENOMEM : 0;

    for (unsigned tries = 0; err == 0 && tries <= UINT16_MAX; tries++) {
        cp_msg_remove(tagged, COPAL_OPT_REQUEST_TAG);
        t->tag = e->operations.next_tag++;
        err = put_tag(tagged, t->tag);
        *key = key_of(x, tagged);
        if (is_free(e, *key))
            break;
    }
    if (err != 0) {
        copal_msg_unref(tagged);
        return err;
    }
    t->is_tagged = true;
    tagged->frozen = true; /* its blocks share the payload */
    copal_msg_unref(*m);
    *m = tagged;
    return 0;
}

int cp_block_tag_begin(copal_exchange *x, copal_msg **m)
{
    struct cp_engine *e = x->engine;
    struct cp_transfer *t = x->transfer;
    uint64_t key = key_of(x, *m);
    bool is_named = cp_msg_find(*m, COPAL_OPT_REQUEST_TAG) != NULL;
    int err = 0;

    cp_block_tag_end(
        x); /* of what begins again: by blocks, or without Q-Block */
    t->is_tagged = false;
    if (!is_named && !x->request->resumed &&
        (e->now < e->operations.crowded_until || !is_free(e, key)))
        err = add_free_tag(x, m, &key);
    if (err == 0)
        cp_map_put(&e->operations.active, &t->operation, key);
    t->is_operation = err == 0;
    return err;
}

int cp_block_tag_put(const copal_exchange *x, copal_msg *m)
{
    const struct cp_transfer *t = x->transfer;
    copal_bytes tag = cp_qblock_tag(x);

    if (tag.len > 0) /* the request went by Q-Block1, its answer does not */
        return cp_msg_add(m, COPAL_OPT_REQUEST_TAG, tag);
    return t != NULL && t->is_tagged ? put_tag(m, t->tag) : 0;
}

/* Where there are too many to note each, all new ones get a tag for a while. */
static void note_left(struct cp_engine *e, uint64_t key)
{
    struct cp_operations *all = &e->operations;
    uint64_t until = e->now + cp_reliable_lifetime(e);

    for (size_t i = 0; i < CP_LEFT_OPERATIONS; i++)
        if (all->left[i].until <= e->now) {
            all->left[i].key = key;
            all->left[i].until = until;
            return;
        }
    all->crowded_until = until;
}

void cp_block_tag_end(copal_exchange *x)
{
    struct cp_transfer *t = x->transfer;
    struct cp_engine *e = x->engine;

    if (!t->is_operation)
        return;
    t->is_operation = false;
    cp_map_remove(&e->operations.active, &t->operation);
    if (t->awaits_answer)
        note_left(e, t->operation.hash);
}
