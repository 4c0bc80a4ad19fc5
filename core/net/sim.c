#include "net/sim_world.h"
#include <limits.h>
#include "engine/engine.h"

/* So many events without a tick, and 1 ms passes: who always has work cannot
 * stop the clock. */
enum {
    EVENTS_PER_TICK = 100000
};

/* Deadlines counted from here still fit their 64 bits. */
#define LAST_TIME (UINT64_MAX / 2)

struct datagram {
    struct cp_timer timer; /* its arrival */
    struct cp_list node;
    struct copal_sim *sim;
    struct cp_address from, to;
    struct cp_address group; /* whose member the receiver is; or none */
    bool is_refusal;         /* what to sent to from comes back */
    size_t len;
    uint8_t data[];
};

/* ---- Datagrams ---- */

static void forget_datagram(struct datagram *d)
{
    cp_timer_stop(&d->sim->heap, &d->timer);
    cp_list_remove(&d->node);
    d->sim->underway_count--;
    cp_free(d->sim->mem, d);
}

static void tell(struct copal_sim *s, const struct cp_address *from,
                 const struct cp_address *to, copal_bytes data,
                 enum cp_fate fate)
{
    cp_ladder_add(&s->ladder, s->now, from, to, data, fate, NULL);
}

static void refuse(struct copal_sim *s, const struct cp_address *from,
                   const struct cp_address *to, copal_bytes data);

static void on_arrival(struct cp_timer *t)
{
    struct datagram *d = cp_container_of(t, struct datagram, timer);
    struct cp_path path = {.remote = d->from, .local = d->to};
    struct copal_sim *s = d->sim;
    struct cp_host *h = cp_host_at(s, &d->to);
    copal_bytes data = cp_bytes(d->data, d->len);

    if (d->group.family != 0) {
        path.local = d->group;
        path.is_multicast = 1;
        if (h != NULL && !cp_host_is_in(h, &d->group))
            h = NULL; /* left meanwhile */
    }
    if (h == NULL) {
        if (!d->is_refusal && d->group.family == 0 &&
            cp_host_refuses(s, &d->to))
            refuse(s, &d->from, &d->to, data);
        else if (!d->is_refusal)
            tell(s, &d->from, &d->to, data, CP_NOBODY);
        forget_datagram(d);
        return;
    }
    if (d->is_refusal)
        cp_host_refused(h, &path, data);
    else
        cp_host_receive(h, &path, data);
    forget_datagram(d);
}

/* What travels: to whom, and as a member of which group, NULL: of none. */
struct letter {
    const struct cp_address *from, *to, *group;
    copal_bytes data;
    bool is_refusal; /* as in struct datagram */
};

/* Out of memory: as if the network had lost it. */
static void put_on_the_way(struct copal_sim *s, const struct letter *l,
                           const struct copal_sim_path *path)
{
    struct datagram *d = NULL;

    if (s->underway_count < INT_MAX)
        d = cp_zalloc(s->mem, sizeof(*d) + l->data.len);
    if (d == NULL)
        return;
    d->sim = s;
    d->from = *l->from;
    d->to = *l->to;
    if (l->group != NULL)
        d->group = *l->group;
    d->is_refusal = l->is_refusal;
    d->len = l->data.len;
    if (l->data.len > 0)
        memcpy(d->data, l->data.data, l->data.len);
    cp_list_append(&s->underway, &d->node);
    s->underway_count++;
    cp_timer_start(&s->heap, &d->timer,
                   s->now + cp_sim_path_time(path, &s->random), on_arrival);
}

/* As an ICMP message it may be lost, too. */
static void refuse(struct copal_sim *s, const struct cp_address *from,
                   const struct cp_address *to, copal_bytes data)
{
    struct copal_sim_path back = cp_sim_paths_find(&s->paths, to, from);
    const struct letter l = {to, from, NULL, data, true};

    tell(s, from, to, data, CP_REFUSED);
    if (!cp_sim_path_strikes(back.loss, &s->random))
        put_on_the_way(s, &l, &back);
}

/* The line of the datagram is there; what becomes of it for one member gets a
 * line only where that differs. */
static void transmit_to_member(struct copal_sim *s, const struct letter *l)
{
    struct copal_sim_path path = cp_sim_paths_find(&s->paths, l->from, l->to);

    if (cp_sim_path_strikes(path.loss, &s->random)) {
        cp_ladder_add(&s->ladder, s->now, l->from, l->group, l->data, CP_LOST,
                      l->to);
        return;
    }
    put_on_the_way(s, l, &path);
    if (cp_sim_path_strikes(path.duplication, &s->random)) {
        cp_ladder_add(&s->ladder, s->now, l->from, l->group, l->data, CP_COPY,
                      l->to);
        put_on_the_way(s, l, &path);
    }
}

static bool has_member(const struct copal_sim *s,
                       const struct cp_address *group)
{
    list_each (node, after, &s->hosts)
        if (cp_host_is_in(cp_container_of(node, struct cp_host, node), group))
            return true;
    return false;
}

/* The sender hears itself where it is a member, too, as by IP_MULTICAST_LOOP. */
static void transmit_to_group(struct copal_sim *s,
                              const struct cp_address *from,
                              const struct cp_address *group, copal_bytes data)
{
    if (!has_member(s, group)) {
        tell(s, from, group, data, CP_NOBODY);
        return;
    }
    tell(s, from, group, data, CP_SENT);
    list_each (node, after, &s->hosts) {
        struct cp_host *h = cp_container_of(node, struct cp_host, node);

        if (cp_host_is_in(h, group))
            transmit_to_member(
                s, &(struct letter){from, &h->address, group, data, false});
    }
}

static void transmit_to_host(struct copal_sim *s, const struct cp_address *from,
                             const struct cp_address *to, copal_bytes data)
{
    struct copal_sim_path path = cp_sim_paths_find(&s->paths, from, to);
    const struct letter l = {from, to, NULL, data, false};
    enum cp_fate fate = CP_SENT;

    if (cp_sim_path_strikes(path.loss, &s->random))
        fate = CP_LOST;
    else if (cp_host_refuses(s, to))
        fate = CP_REFUSED;
    else if (cp_host_at(s, to) == NULL)
        fate = CP_NOBODY;
    if (fate == CP_REFUSED)
        refuse(s, from, to, data);
    else
        tell(s, from, to, data, fate);
    if (fate != CP_SENT)
        return;
    put_on_the_way(s, &l, &path);
    if (cp_sim_path_strikes(path.duplication, &s->random)) {
        tell(s, from, to, data, CP_COPY);
        put_on_the_way(s, &l, &path);
    }
}

void cp_sim_transmit(struct copal_sim *s, struct cp_host *sender,
                     const struct cp_address *from, const struct cp_address *to,
                     copal_bytes data)
{
    if (sender != NULL && sender->lose > 0) {
        sender->lose--;
        tell(s, from, to, data, CP_LOST);
    } else if (sender != NULL && *sender->losses != '\0' &&
               *sender->losses++ == 'x') {
        tell(s, from, to, data, CP_LOST);
    } else if (cp_address_is_multicast(to)) {
        transmit_to_group(s, from, to, data);
    } else {
        transmit_to_host(s, from, to, data);
    }
}

/* ---- The network ---- */

struct copal_sim *cp_sim_new(uint64_t seed)
{
    struct cp_mem *mem = cp_mem_new(NULL, NULL);
    struct copal_sim *s = mem == NULL ? NULL : cp_zalloc(mem, sizeof(*s));

    if (s == NULL) {
        if (mem != NULL)
            cp_mem_release(mem);
        return NULL;
    }
    s->mem = mem;
    s->seed = seed;
    /* 0 would mean the system's randomness, different each time. */
    cp_random_init(&s->random, seed == 0 ? UINT64_MAX : seed);
    cp_ladder_init(&s->ladder, mem, &s->random);
    cp_sim_paths_init(&s->paths, mem, &s->random);
    cp_map_init(&s->by_name, mem, &s->random);
    cp_list_init(&s->hosts);
    cp_list_init(&s->underway);
    cp_list_init(&s->streams);
    return s;
}

void cp_sim_free(struct copal_sim *s)
{
    struct cp_mem *mem = s->mem;

    list_each (node, after, &s->underway)
        forget_datagram(cp_container_of(node, struct datagram, node));
    cp_sim_streams_clear(s);
    cp_map_clear(&s->by_name);
    list_each (node, after, &s->hosts)
        cp_free(mem, cp_container_of(node, struct cp_host, node));
    cp_sim_paths_clear(&s->paths);
    cp_ladder_clear(&s->ladder);
    cp_free(mem, s);
    cp_mem_release(mem);
}

int cp_sim_set_path(struct copal_sim *s, const char *from, const char *to,
                    const struct copal_sim_path *path)
{
    return cp_sim_paths_set(&s->paths, from, to, path);
}

int cp_sim_inject(struct copal_sim *s, const char *from, const char *to,
                  copal_bytes datagram)
{
    struct cp_host *receiver = cp_host_named(s, to);
    struct cp_host *sender = cp_host_named(s, from);
    struct cp_host_name name;
    struct cp_address address, target;

    if (receiver != NULL)
        target = receiver->address;
    else if (to != NULL && cp_address_read(to, &target) &&
             cp_address_is_multicast(&target))
        target.port = CP_SIM_PORT;
    else
        return COPAL_ENOENT;
    if (from == NULL)
        return COPAL_EINVAL;
    if (sender != NULL)
        address = sender->address;
    else if (cp_address_read(from, &address))
        address.port = CP_SIM_PORT;
    else if (cp_host_name_read(from, &name))
        address = cp_host_name_address(&name);
    else
        return COPAL_EINVAL;
    cp_sim_transmit(s, sender, &address, &target, datagram);
    return 0;
}

void *cp_sim_first_owner(const struct copal_sim *s)
{
    list_each (node, after, &s->hosts) {
        const struct cp_host *h = cp_container_of(node, struct cp_host, node);
        if (h->is_up)
            return h->driver.owner;
    }
    return NULL;
}

/* ---- Time ---- */

/* Calls from outside a turn, or from another host's, change deadlines. */
static void schedule_woken(struct copal_sim *s)
{
    if (!atomic_exchange(&s->is_woken, false))
        return;
    list_each (node, after, &s->hosts) {
        struct cp_host *h = cp_container_of(node, struct cp_host, node);
        if (atomic_exchange(&h->is_woken, false) && h->is_up)
            cp_host_schedule(h);
    }
}

/* Whatever happened since the last run; handles that the hosts' former thread
 * let go of are ours to reap. */
static void begin(struct copal_sim *s)
{
    cp_mem_adopt(s->mem);
    list_each (node, after, &s->hosts) {
        struct cp_host *h = cp_container_of(node, struct cp_host, node);
        if (h->is_up) {
            cp_mem_adopt(h->driver.mem);
            cp_host_schedule(h);
        }
    }
}

/* Moves the clock to what comes next. False: nothing does before the end. */
static bool tick(struct copal_sim *s)
{
    uint64_t next = cp_heap_next(&s->heap);

    if (next == UINT64_MAX || next > s->end)
        return false;
    if (next <= s->now && ++s->events < EVENTS_PER_TICK)
        return true;
    if (next <= s->now && s->now == s->end)
        return false;
    s->now = next > s->now ? next : s->now + 1;
    s->events = 0;
    return true;
}

int cp_sim_run(struct copal_sim *s, uint64_t ms)
{
    if (s->is_running)
        return COPAL_ESTATE;
    s->is_running = true;
    s->is_interrupted = false;
    s->end = ms > LAST_TIME - s->now ? LAST_TIME : s->now + ms;
    s->events = 0;
    begin(s);
    while (!s->is_interrupted) {
        schedule_woken(s);
        if (!tick(s))
            break;
        cp_heap_run(&s->heap, s->now);
    }
    if (!s->is_interrupted)
        s->now = s->end;
    s->is_running = false;
    return s->underway_count;
}

bool cp_sim_interrupt(struct copal_sim *s)
{
    s->is_interrupted = s->is_running;
    return s->is_running;
}

bool cp_sim_is_interrupted(const struct copal_sim *s)
{
    return s->is_interrupted;
}

uint64_t cp_sim_now(const struct copal_sim *s)
{
    return s->now;
}

const char *cp_sim_transcript(struct copal_sim *s)
{
    return cp_ladder_text(&s->ladder);
}

void cp_sim_keep(struct copal_sim *s, size_t bytes)
{
    cp_ladder_keep(&s->ladder, bytes);
}
