#include "base/table.h"

#include "base/bytes.h"

enum {
    FIRST_ROOM = 16
};

void cp_table_init(struct cp_table *t, struct cp_mem *mem,
                   struct cp_random *random)
{
    *t = (struct cp_table){.mem = mem};
    cp_random_bytes(random, t->key, sizeof(t->key));
}

static struct cp_place *places_new(struct cp_mem *mem, uint32_t room)
{
    size_t size = (size_t)room * sizeof(struct cp_place);
    struct cp_place *places;

    if (!cp_mem_has_slabs(mem))
        return cp_zalloc(mem, size);
    if (!cp_mem_charge(mem, size))
        return NULL;
    places = cp_mem_chunk(mem, size);
    if (places == NULL)
        cp_mem_discharge(mem, size);
    else
        memset(places, 0, size);
    return places;
}

static void places_free(struct cp_mem *mem, struct cp_place *places,
                        uint32_t room)
{
    if (!cp_mem_has_slabs(mem)) {
        cp_free(mem, places);
    } else if (places != NULL) {
        cp_mem_chunk_free(mem, places);
        cp_mem_discharge(mem, (size_t)room * sizeof(*places));
    }
}

void cp_table_clear(struct cp_table *t)
{
    places_free(t->mem, t->places, t->room);
    t->places = NULL;
    t->room = t->count = 0;
}

uint32_t cp_table_find(const struct cp_table *t, uint64_t hash, uint32_t *step)
{
    while (*step < t->room) {
        const struct cp_place *p =
            &t->places[((uint32_t)hash + (*step)++) & (t->room - 1)];

        if (p->number == 0)
            return 0;
        if (p->hash == (uint32_t)hash)
            return p->number;
    }
    return 0;
}

/* In the first free place from where its hash wants it. */
static inline void put(struct cp_table *t, struct cp_place one)
{
    uint32_t i = one.hash & (t->room - 1);

    while (t->places[i].number != 0)
        i = (i + 1) & (t->room - 1);
    t->places[i] = one;
}

static bool grow(struct cp_table *t)
{
    uint32_t before = t->room;
    uint32_t room = before == 0 ? FIRST_ROOM : 2 * before;
    struct cp_place *old = t->places;
    struct cp_place *places = room == 0 ? NULL : places_new(t->mem, room);

    if (places == NULL)
        return false;
    t->places = places;
    t->room = room;
    for (uint32_t i = 0; i < before; i++)
        if (old[i].number != 0)
            put(t, old[i]);
    places_free(t->mem, old, before);
    return true;
}

/* Three eighths stay free: with a quarter, ways would be twice as long. Without
 * memory for a larger table the last but one of its places is used. */
bool cp_table_reserve(struct cp_table *t)
{
    return t->count < t->room / 8 * 5 || grow(t) || t->count + 1 < t->room;
}

void cp_table_put(struct cp_table *t, uint64_t hash, uint32_t number)
{
    put(t, (struct cp_place){.number = number, .hash = (uint32_t)hash});
    t->count++;
}

/* Those behind the gap move up, but for whom that were too far: before where its
 * hash wants it. */
static void close_gap(struct cp_table *t, uint32_t gap)
{
    uint32_t mask = t->room - 1;

    for (uint32_t i = (gap + 1) & mask; t->places[i].number != 0;
         i = (i + 1) & mask)
        if (((i - t->places[i].hash) & mask) >= ((i - gap) & mask)) {
            t->places[gap] = t->places[i];
            gap = i;
        }
    t->places[gap].number = 0;
}

void cp_table_remove(struct cp_table *t, uint64_t hash, uint32_t number)
{
    uint32_t i = (uint32_t)hash & (t->room - 1);

    while (t->places[i].number != number)
        i = (i + 1) & (t->room - 1);
    close_gap(t, i);
    t->count--;
}
