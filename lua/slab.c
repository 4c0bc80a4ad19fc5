#include "slab.h"

#include <assert.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

enum {
    PAGE = 16384 /* bytes, and where it is aligned to */
};

struct block {
    struct block *next;
};

/* In front of its blocks. */
struct slab_page {
    struct slab_page *next,
        **back;         /* of those with room; back NULL: it is full */
    struct block *free; /* given back                               */
    uint32_t used;      /* blocks                                   */
    uint32_t fresh;     /* bytes from the front: never used yet     */
    uint32_t size;      /* of a block                               */
};

enum {
    FRONT = (sizeof(struct slab_page) + SLAB_STEP - 1) / SLAB_STEP * SLAB_STEP
};

static size_t class_of(size_t size)
{
    return (size - 1) / SLAB_STEP;
}

static void link_page(struct slab *s, struct slab_page *p)
{
    struct slab_page **first = &s->with_room[class_of(p->size)];

    p->next = *first;
    p->back = first;
    if (p->next != NULL)
        p->next->back = &p->next;
    *first = p;
}

static void unlink_page(struct slab_page *p)
{
    *p->back = p->next;
    if (p->next != NULL)
        p->next->back = p->back;
    p->back = NULL;
}

static struct slab_page *add_page(struct slab *s, size_t class)
{
    struct slab_page *p = aligned_alloc(PAGE, PAGE);

    if (p == NULL)
        return NULL;
    s->pages++;
    *p = (struct slab_page){.fresh = FRONT,
                            .size = (uint32_t)(class + 1) * SLAB_STEP};
    link_page(s, p);
    return p;
}

static void *take(struct slab *s, size_t size)
{
    struct slab_page *p = s->with_room[class_of(size)];
    struct block *b;

    if (p == NULL && (p = add_page(s, class_of(size))) == NULL)
        return NULL;
    b = p->free;
    if (b != NULL) {
        p->free = b->next;
    } else {
        b = (struct block *)(void *)((char *)p + p->fresh);
        p->fresh += p->size;
    }
    p->used++;
    if (p->free == NULL && p->fresh + p->size > PAGE)
        unlink_page(p);
    return b;
}

static void give_back(struct slab *s, void *block)
{
    struct slab_page *p =
        (struct slab_page *)((uintptr_t)block & ~(uintptr_t)(PAGE - 1));
    struct block *b = block;

    b->next = p->free;
    p->free = b;
    if (p->back == NULL)
        link_page(s, p);
    if (--p->used > 0 ||
        (p->next == NULL && s->with_room[class_of(p->size)] == p))
        return;
    unlink_page(p);
    free(p);
    s->pages--;
}

static void *move(struct slab *s, void *block, size_t old_size, size_t size)
{
    void *moved = size > SLAB_LARGEST ? malloc(size) : take(s, size);

    if (moved == NULL)
        return NULL;
    memcpy(moved, block, old_size < size ? old_size : size);
    if (old_size > SLAB_LARGEST)
        free(block);
    else
        give_back(s, block);
    return moved;
}

/* Of a new block old_size says what it is for. */
void *slab_alloc(void *slab, void *block, size_t old_size, size_t size)
{
    struct slab *s = slab;

    if (block == NULL || old_size == 0)
        return size == 0 ? NULL
                         : (size > SLAB_LARGEST ? malloc(size) : take(s, size));
    if (size == 0) {
        if (old_size > SLAB_LARGEST)
            free(block);
        else
            give_back(s, block);
        return NULL;
    }
    if (old_size > SLAB_LARGEST && size > SLAB_LARGEST)
        return realloc(block, size);
    if (old_size <= SLAB_LARGEST && size <= SLAB_LARGEST &&
        class_of(old_size) == class_of(size))
        return block;
    return move(s, block, old_size, size);
}

void slab_end(struct slab *s)
{
    for (size_t i = 0; i < SLAB_LARGEST / SLAB_STEP; i++) {
        struct slab_page *p = s->with_room[i];

        if (p == NULL)
            continue;
        assert(p->used == 0 && p->next == NULL);
        free(p);
        s->with_room[i] = NULL;
        s->pages--;
    }
    assert(s->pages == 0);
}
