#include "net/sim_path.h"

enum {
    LONGEST_HOLD = 100 /* ms, of a reordered datagram */
};

/* A name of NULs stands for any. */
struct ends {
    struct cp_host_name from, to;
};

struct setting {
    struct cp_map_node node;
    struct ends ends;
    struct copal_sim_path path;
};

bool cp_host_name_read(const char *text, struct cp_host_name *out)
{
    size_t len = text == NULL ? 0 : strlen(text);

    *out = (struct cp_host_name){{0}};
    if (len == 0 || len >= sizeof(out->text))
        return false;
    /* Host names in URIs become lower case: RFC 7252 6.4. */
    for (size_t i = 0; i < len; i++)
        out->text[i] =
            (char)(text[i] >= 'A' && text[i] <= 'Z' ? text[i] | 0x20 : text[i]);
    return true;
}

void cp_sim_paths_init(struct cp_sim_paths *all, struct cp_mem *mem,
                       struct cp_random *random)
{
    all->mem = mem;
    cp_map_init(&all->by_ends, mem, random);
}

void cp_sim_paths_clear(struct cp_sim_paths *all)
{
    map_each (node, after, &all->by_ends)
        cp_free(all->mem, cp_container_of(node, struct setting, node));
    cp_map_clear(&all->by_ends);
}

static struct setting *find(const struct cp_sim_paths *all,
                            const struct ends *ends)
{
    uint64_t hash = cp_map_hash(&all->by_ends, ends, sizeof(*ends));
    struct cp_map_node *node = cp_map_first(&all->by_ends, hash);

    for (; node != NULL; node = cp_map_next(node)) {
        struct setting *set = cp_container_of(node, struct setting, node);
        if (memcmp(&set->ends, ends, sizeof(*ends)) == 0)
            return set;
    }
    return NULL;
}

int cp_sim_paths_set(struct cp_sim_paths *all, const char *from, const char *to,
                     const struct copal_sim_path *path)
{
    struct ends ends = {{{0}}, {{0}}};
    struct setting *set;

    if (path->loss > 100 || path->duplication > 100 || path->reordering > 100)
        return COPAL_EINVAL;
    if (from != NULL && !cp_host_name_read(from, &ends.from))
        return COPAL_EINVAL;
    if (to != NULL && !cp_host_name_read(to, &ends.to))
        return COPAL_EINVAL;
    set = find(all, &ends);
    if (set == NULL) {
        set = cp_zalloc(all->mem, sizeof(*set));
        if (set == NULL)
            return COPAL_ENOMEM;
        set->ends = ends;
        cp_map_put(&all->by_ends, &set->node,
                   cp_map_hash(&all->by_ends, &ends, sizeof(ends)));
    }
    set->path = *path;
    return 0;
}

static struct cp_host_name name_of(const struct cp_address *a)
{
    struct cp_host_name name = {{0}};

    if (a->family == CP_NAMED)
        memcpy(name.text, a->ip, sizeof(name.text));
    return name;
}

struct copal_sim_path cp_sim_paths_find(const struct cp_sim_paths *all,
                                        const struct cp_address *from,
                                        const struct cp_address *to)
{
    const struct cp_host_name any = {{0}};
    const struct cp_host_name a = name_of(from), b = name_of(to);
    const struct ends narrowest_first[] = {
        {a, b}, {a, any}, {any, b}, {any, any}};

    if (all->by_ends.count == 0)
        return (struct copal_sim_path){0};
    for (size_t i = 0; i < 4; i++) {
        const struct setting *set = find(all, &narrowest_first[i]);
        if (set != NULL)
            return set->path;
    }
    return (struct copal_sim_path){0};
}

bool cp_sim_path_strikes(uint32_t percent, struct cp_random *random)
{
    return percent > 0 && cp_random_below(random, 100) < percent;
}

uint64_t cp_sim_path_time(const struct copal_sim_path *path,
                          struct cp_random *random)
{
    uint64_t ms = path->delay;

    if (path->jitter > 0)
        ms += cp_random_below(random, (uint64_t)path->jitter + 1);
    if (cp_sim_path_strikes(path->reordering, random))
        ms += 1 + cp_random_below(random, LONGEST_HOLD);
    return ms;
}
