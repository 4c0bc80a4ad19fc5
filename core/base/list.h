/* Intrusive, circular, doubly linked list. A struct cp_list is a member
 * of what is listed; the list itself is a node, too. */
#ifndef CP_BASE_LIST_H
#define CP_BASE_LIST_H

#include <stdbool.h>
#include "base/bytes.h"

struct cp_list {
    struct cp_list *next, *prev;
};

static inline void cp_list_init(struct cp_list *l)
{
    l->next = l->prev = l;
}

/* Of a list: nothing in it. Of a node: in no list. */
static inline bool cp_list_empty(const struct cp_list *l)
{
    return l->next == l;
}

/* Puts node, which is in no list, in front of next. */
static inline void cp_list_insert_before(struct cp_list *next,
                                         struct cp_list *node)
{
    node->prev = next->prev;
    node->next = next;
    next->prev->next = node;
    next->prev = node;
}

static inline void cp_list_append(struct cp_list *l, struct cp_list *node)
{
    cp_list_insert_before(l, node); /* a list ends where it begins */
}

static inline void cp_list_remove(struct cp_list *node)
{
    node->prev->next = node->next;
    node->next->prev = node->prev;
    node->next = node->prev = node;
}

/* Moves all of from to the end of l. */
static inline void cp_list_join(struct cp_list *l, struct cp_list *from)
{
    if (cp_list_empty(from))
        return;
    from->next->prev = l->prev;
    l->prev->next = from->next;
    from->prev->next = l;
    l->prev = from->prev;
    cp_list_init(from);
}

/* The first node, or NULL. */
static inline struct cp_list *cp_list_first(const struct cp_list *l)
{
    return cp_list_empty(l) ? NULL : l->next;
}

/* Walks l; the current node may be removed meanwhile. */
#define list_each(node, after, l) \
    for (struct cp_list *node = (l)->next, *after = node->next; node != (l); \
         node = after, after = node->next)

#endif
