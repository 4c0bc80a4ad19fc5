#include "base/heap.h"

#include <stddef.h>

static bool is_before(const struct cp_timer *a, const struct cp_timer *b)
{
    return a->at < b->at || (a->at == b->at && a->order < b->order);
}

/* One heap of two, neither of which has siblings. */
static struct cp_timer *meld(struct cp_timer *a, struct cp_timer *b)
{
    if (is_before(b, a)) {
        struct cp_timer *later = a;

        a = b;
        b = later;
    }
    b->prev = a;
    b->next = a->child;
    if (a->child != NULL)
        a->child->prev = b;
    a->child = b;
    return a;
}

/* One heap of a row of siblings: pairs from left to right, then all of them
 * from right to left, which is what makes taking the earliest cost O(log n) in
 * the long run. A loop: rows may be as long as there are timers. */
static struct cp_timer *meld_row(struct cp_timer *row)
{
    struct cp_timer *pairs = NULL, *all = NULL;

    while (row != NULL) {
        struct cp_timer *a = row, *b = row->next;

        row = b == NULL ? NULL : b->next;
        a->next = a->prev = NULL;
        if (b != NULL) {
            b->next = b->prev = NULL;
            a = meld(a, b);
        }
        a->next = pairs;
        pairs = a;
    }
    while (pairs != NULL) {
        struct cp_timer *a = pairs;

        pairs = a->next;
        a->next = NULL;
        all = all == NULL ? a : meld(all, a);
    }
    return all;
}

/* ---- Rows ---- */

/* Nothing was started between those of a row, so that whatever is before or
 * after one of them in the heap's order is so for all. */
static inline bool is_behind(const struct cp_timer *t)
{
    return t->child == t;
}

/* before is the end of its row. */
static void put_behind(struct cp_timer *before, struct cp_timer *t)
{
    if (is_behind(before))
        before->next = t;
    else
        before->behind = t;
    t->child = t;
    t->prev = before;
}

static void leave_row(struct cp_timer *t)
{
    if (is_behind(t->prev))
        t->prev->next = t->next;
    else
        t->prev->behind = t->next;
    if (t->next != NULL)
        t->next->prev = t->prev;
}

/* The second of t's row takes t's place in the heap. */
static void hand_over(struct cp_heap *h, struct cp_timer *t)
{
    struct cp_timer *heir = t->behind;

    heir->behind = heir->next;
    heir->child = t->child;
    heir->next = t->next;
    heir->prev = t->prev;
    if (heir->child != NULL)
        heir->child->prev = heir;
    if (heir->next != NULL)
        heir->next->prev = heir;
    if (heir->prev == NULL)
        h->root = heir;
    else if (heir->prev->child == t)
        heir->prev->child = heir;
    else
        heir->prev->next = heir;
}

/* ---- Started and stopped ---- */

void cp_timer_start(struct cp_heap *h, struct cp_timer *t, uint64_t at,
                    cp_timer_due *due)
{
    cp_timer_stop(h, t);
    *t = (struct cp_timer){.at = at, .order = h->order++, .due = due};
    if (h->last != NULL && h->last->at == at)
        put_behind(h->last, t);
    else
        h->root = h->root == NULL ? t : meld(h->root, t);
    h->last = t;
}

/* Takes t with all below it out of its row; t is not the root. */
static void cut(struct cp_timer *t)
{
    if (t->prev->child == t)
        t->prev->child = t->next;
    else
        t->prev->next = t->next;
    if (t->next != NULL)
        t->next->prev = t->prev;
}

static void leave_heap(struct cp_heap *h, struct cp_timer *t)
{
    struct cp_timer *below = meld_row(t->child);

    if (t == h->root) {
        h->root = below;
        return;
    }
    cut(t);
    if (below != NULL)
        h->root = meld(h->root, below);
}

void cp_timer_take_out(struct cp_heap *h, struct cp_timer *t)
{
    if (t == h->last)
        h->last = is_behind(t) ? t->prev : NULL;
    if (is_behind(t))
        leave_row(t);
    else if (t->behind != NULL)
        hand_over(h, t);
    else
        leave_heap(h, t);
    t->child = t->next = t->prev = t->behind = NULL;
    t->due = NULL;
}

uint64_t cp_heap_next(const struct cp_heap *h)
{
    return h->root == NULL ? UINT64_MAX : h->root->at;
}

bool cp_heap_run(struct cp_heap *h, uint64_t now)
{
    struct cp_timer *t = h->root;
    cp_timer_due *due;

    if (t == NULL || t->at > now)
        return false;
    due = t->due;
    cp_timer_stop(h, t);
    due(t);
    return true;
}
