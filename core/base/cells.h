/* Records of one size, known by their numbers: where a record is hardly more than
 * links to others, numbers make it half as large as addresses do, and it comes
 * without what an allocation of its own costs. A record stays where it is.
 * cp_row lists them, cp_index finds them. */
#ifndef CP_BASE_CELLS_H
#define CP_BASE_CELLS_H

#include "base/mem.h"

enum {
    CP_CELLS_SHIFT = 6 /* 64 records a chunk */
};

struct cp_cells {
    struct cp_mem *mem;
    uint8_t **chunks;
    uint32_t chunk_count, chunk_room;
    uint32_t size;  /* of a record, bytes */
    uint32_t count; /* of those taken */
    uint32_t free;  /* the first of those given back; 0: none */
    uint32_t fresh; /* the first that was never taken */
    bool alone;     /* a chunk has one record, its first */
};

/* size: at least 4, a multiple of the alignment that a record needs. */
void cp_cells_init(struct cp_cells *c, struct cp_mem *mem, size_t size);
void cp_cells_clear(struct cp_cells *c);

/* The number of a record, never 0, whose bytes are anything. 0: out of
 * memory. */
uint32_t cp_cells_take(struct cp_cells *c);
void cp_cells_give_back(struct cp_cells *c, uint32_t n);

/* size is c's: a constant where the compiler knows it. */
static inline void *cp_cells_place(const struct cp_cells *c, size_t size,
                                   uint32_t n)
{
    return c->chunks[n >> CP_CELLS_SHIFT] +
           (n & ((1u << CP_CELLS_SHIFT) - 1)) * size;
}

static inline void *cp_cells_at(const struct cp_cells *c, uint32_t n)
{
    return cp_cells_place(c, c->size, n);
}

/* ---- Rows ---- */

/* Records in an order. Which row a record is in its owner has to know. */
struct cp_row {
    uint32_t first, last; /* 0: it is empty */
};

/* What a record needs of it. */
struct cp_row_node {
    uint32_t next, prev; /* 0: none */
};

/* How to find that: a constant of each kind of row. */
struct cp_row_form {
    size_t size; /* of a record */
    size_t at;   /* of its node */
};

static inline struct cp_row_node *cp_row_node(const struct cp_cells *c,
                                              struct cp_row_form form,
                                              uint32_t n)
{
    return (
        struct cp_row_node *)(void *)((char *)cp_cells_place(c, form.size, n) +
                                      form.at);
}

/* node: that of n. */
static inline void cp_row_append(const struct cp_cells *c,
                                 struct cp_row_form form, struct cp_row *row,
                                 uint32_t n, struct cp_row_node *node)
{
    *node = (struct cp_row_node){.prev = row->last};
    if (row->last == 0)
        row->first = n;
    else
        cp_row_node(c, form, row->last)->next = n;
    row->last = n;
}

static inline void cp_row_remove(const struct cp_cells *c,
                                 struct cp_row_form form, struct cp_row *row,
                                 const struct cp_row_node *node)
{
    if (node->prev == 0)
        row->first = node->next;
    else
        cp_row_node(c, form, node->prev)->next = node->next;
    if (node->next == 0)
        row->last = node->prev;
    else
        cp_row_node(c, form, node->next)->prev = node->prev;
}

#endif
