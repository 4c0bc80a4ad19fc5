#include "base/cells.h"

#include "base/bytes.h"

enum {
    PER_CHUNK = 1 << CP_CELLS_SHIFT,
    FIRST_ROOM = 16 /* chunks, then twice as many */
};

/* Where every single allocation is to be seen, and perhaps to fail, a chunk has
 * one record, which goes when that is given back. */
void cp_cells_init(struct cp_cells *c, struct cp_mem *mem, size_t size)
{
    *c = (struct cp_cells){.mem = mem, .size = (uint32_t)size, .fresh = 1};
    c->alone = !cp_mem_has_slabs(mem);
    if (c->alone)
        c->fresh = PER_CHUNK; /* their numbers are multiples of it */
}

/* Of chunks of one record: those given back stand as numbers, made odd, in place
 * of the chunk. */
static bool is_number(const uint8_t *chunk)
{
    return ((uintptr_t)chunk & 1) != 0;
}

void cp_cells_clear(struct cp_cells *c)
{
    for (uint32_t i = 0; i < c->chunk_count; i++) {
        if (!c->alone)
            cp_mem_chunk_free(c->mem, c->chunks[i]);
        else if (!is_number(c->chunks[i]))
            cp_free(c->mem, c->chunks[i]);
    }
    if (!c->alone)
        cp_mem_discharge(c->mem, (size_t)c->count * c->size);
    cp_free(c->mem, c->chunks);
    cp_cells_init(c, c->mem, c->size);
}

/* Room for one more in the table of chunks. */
static bool reserve(struct cp_cells *c)
{
    uint32_t room = c->chunk_room == 0 ? FIRST_ROOM : 2 * c->chunk_room;
    uint8_t **chunks;

    if (c->chunk_count < c->chunk_room)
        return true;
    if (room > UINT32_MAX / 2 / PER_CHUNK)
        return false;
    chunks = cp_resize(c->mem, c->chunks, room * sizeof(*chunks));
    if (chunks == NULL)
        return false;
    c->chunks = chunks;
    c->chunk_room = room;
    return true;
}

static bool add_chunk(struct cp_cells *c)
{
    uint8_t *chunk = NULL;

    if (!reserve(c))
        return false;
    if (!c->alone) {
        chunk = cp_mem_chunk(c->mem, (size_t)c->size * PER_CHUNK);
        if (chunk == NULL)
            return false;
    }
    c->chunks[c->chunk_count++] = chunk; /* of one record: it comes later */
    return true;
}

/* ---- Chunks of one record ---- */

static uint32_t take_alone(struct cp_cells *c)
{
    uint8_t *chunk;
    uint32_t n;

    if (c->free == 0)
        while (c->chunk_count <= c->fresh / PER_CHUNK)
            if (!add_chunk(c))
                return 0;
    chunk = cp_alloc(c->mem, c->size);
    if (chunk == NULL)
        return 0;
    n = c->free;
    if (n != 0) {
        c->free = (uint32_t)((uintptr_t)c->chunks[n / PER_CHUNK] >> 1);
    } else {
        n = c->fresh;
        c->fresh += PER_CHUNK;
    }
    c->chunks[n / PER_CHUNK] = chunk;
    return n;
}

static void give_back_alone(struct cp_cells *c, uint32_t n)
{
    cp_free(c->mem, c->chunks[n / PER_CHUNK]);
    c->chunks[n / PER_CHUNK] = (uint8_t *)((uintptr_t)c->free << 1 | 1);
    c->free = n;
}

/* ---- Chunks of many ---- */

static uint32_t take_of_many(struct cp_cells *c)
{
    uint32_t n = c->free;

    if (!cp_mem_charge(c->mem, c->size))
        return 0;
    if (n != 0) {
        memcpy(&c->free, cp_cells_at(c, n), sizeof(c->free));
        return n;
    }
    if (c->fresh / PER_CHUNK >= c->chunk_count && !add_chunk(c)) {
        cp_mem_discharge(c->mem, c->size);
        return 0;
    }
    return c->fresh++;
}

static void give_back_of_many(struct cp_cells *c, uint32_t n)
{
    memcpy(cp_cells_at(c, n), &c->free, sizeof(c->free));
    c->free = n;
    cp_mem_discharge(c->mem, c->size);
}

uint32_t cp_cells_take(struct cp_cells *c)
{
    uint32_t n = c->alone ? take_alone(c) : take_of_many(c);

    c->count += n != 0;
    return n;
}

void cp_cells_give_back(struct cp_cells *c, uint32_t n)
{
    c->count--;
    if (c->alone)
        give_back_alone(c, n);
    else
        give_back_of_many(c, n);
}
