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
    bool is_refusal; /* what to sent to from comes back */
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

static void refuse(struct copal_sim *s, const struct cp_address *from,
                   const struct cp_address *to, copal_bytes data);

static void on_arrival(struct cp_timer *t)
{
    struct datagram *d = cp_container_of(t, struct datagram, timer);
    struct cp_path path = {.remote = d->from, .local = d->to};
    struct copal_sim *s = d->sim;
    struct cp_host *h = cp_host_at(s, &d->to);
    copal_bytes data = cp_bytes(d->data, d->len);

    if (h == NULL) {
        if (!d->is_refusal && cp_host_refuses(s, &d->to))
            refuse(s, &d->from, &d->to, data);
        else if (!d->is_refusal)
            cp_ladder_add(&s->ladder, s->now, &d->from, &d->to, data,
                          CP_NOBODY);
        forget_datagram(d);
        return;
    }
    if (d->is_refusal)
        cp_host_refused(h, &path, data);
    else
        cp_host_receive(h, &path, data);
    forget_datagram(d);
}

/* Out of memory: as if the network had lost it. */
static void put_on_the_way(struct copal_sim *s, const struct cp_address *from,
                           const struct cp_address *to, copal_bytes data,
                           const struct copal_sim_path *path, bool is_refusal)
{
    struct datagram *d = NULL;

    if (s->underway_count < INT_MAX)
        d = cp_zalloc(s->mem, sizeof(*d) + data.len);
    if (d == NULL)
        return;
    d->sim = s;
    d->from = *from;
    d->to = *to;
    d->is_refusal = is_refusal;
    d->len = data.len;
    if (data.len > 0)
        memcpy(d->data, data.data, data.len);
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

    cp_ladder_add(&s->ladder, s->now, from, to, data, CP_REFUSED);
    if (!cp_sim_path_strikes(back.loss, &s->random))
        put_on_the_way(s, to, from, data, &back, true);
}

void cp_sim_transmit(struct copal_sim *s, struct cp_host *sender,
                     const struct cp_address *from, const struct cp_address *to,
                     copal_bytes data)
{
    struct copal_sim_path path = cp_sim_paths_find(&s->paths, from, to);
    enum cp_fate fate = CP_SENT;

    if (sender != NULL && sender->lose > 0) {
        sender->lose--;
        fate = CP_LOST;
    } else if (sender != NULL && *sender->losses != '\0' &&
               *sender->losses++ == 'x') {
        fate = CP_LOST;
    } else if (cp_sim_path_strikes(path.loss, &s->random)) {
        fate = CP_LOST;
    } else if (cp_host_refuses(s, to)) {
        refuse(s, from, to, data);
        return;
    } else if (cp_host_at(s, to) == NULL) {
        fate = CP_NOBODY;
    }
    cp_ladder_add(&s->ladder, s->now, from, to, data, fate);
    if (fate != CP_SENT)
        return;
    put_on_the_way(s, from, to, data, &path, false);
    if (cp_sim_path_strikes(path.duplication, &s->random)) {
        cp_ladder_add(&s->ladder, s->now, from, to, data, CP_COPY);
        put_on_the_way(s, from, to, data, &path, false);
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
    return s;
}

void cp_sim_free(struct copal_sim *s)
{
    struct cp_mem *mem = s->mem;

    list_each (node, after, &s->underway)
        forget_datagram(cp_container_of(node, struct datagram, node));
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
    struct cp_address address;

    if (receiver == NULL)
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
    cp_sim_transmit(s, sender, &address, &receiver->address, datagram);
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
