#include "net/sim_world.h"
#include <stdio.h>
#include "engine/engine.h"
#include "engine/security.h"
#include "wire/datagram.h"
#include "wire/upgrade.h"
#include "wire/uri.h"

enum {
    FIRST_MOVED_PORT = 1024
};

/* ---- Names and addresses ---- */

static struct cp_host *find_host(const struct copal_sim *s,
                                 const struct cp_host_name *name)
{
    uint64_t hash = cp_map_hash(&s->by_name, name->text, sizeof(name->text));
    struct cp_map_node *node = cp_map_first(&s->by_name, hash);

    for (; node != NULL; node = cp_map_next(node)) {
        struct cp_host *h = cp_container_of(node, struct cp_host, by_name);
        if (memcmp(h->address.ip, name->text, sizeof(name->text)) == 0)
            return h;
    }
    return NULL;
}

struct cp_host *cp_host_named(const struct copal_sim *s, const char *text)
{
    struct cp_host_name name;

    return cp_host_name_read(text, &name) ? find_host(s, &name) : NULL;
}

/* The host that is up and has that address now. */
struct cp_host *cp_host_at(const struct copal_sim *s,
                           const struct cp_address *a)
{
    struct cp_host_name name;
    struct cp_host *h;

    if (a->family != CP_NAMED)
        return NULL;
    memcpy(name.text, a->ip, sizeof(name.text));
    h = find_host(s, &name);
    return h != NULL && h->is_up && cp_address_equal(&h->address, a) ? h : NULL;
}

bool cp_host_refuses(const struct copal_sim *s, const struct cp_address *a)
{
    struct cp_host_name name;
    struct cp_host *h;

    if (a->family != CP_NAMED)
        return false;
    memcpy(name.text, a->ip, sizeof(name.text));
    h = find_host(s, &name);
    return h != NULL && !h->is_up && h->refuses &&
           cp_address_equal(&h->address, a);
}

struct cp_address cp_host_name_address(const struct cp_host_name *name)
{
    struct cp_address a = {.family = CP_NAMED, .port = CP_SIM_PORT};

    memcpy(a.ip, name->text, sizeof(a.ip));
    return a;
}

/* ---- Turns ---- */

static void on_deadline(struct cp_timer *t);

void cp_host_schedule(struct cp_host *h)
{
    struct copal_sim *s = h->sim;
    uint64_t at = cp_engine_deadline(h->driver.engine);

    if (at < s->now)
        at = s->now;
    if (at == UINT64_MAX)
        cp_timer_stop(&s->heap, &h->timer);
    else if (!cp_timer_is_on(&h->timer) || h->timer.at != at)
        cp_timer_start(&s->heap, &h->timer, at, on_deadline);
}

void cp_host_turn(struct cp_host *h)
{
    cp_engine_turn(h->driver.engine, h->sim->now);
    if (cp_engine_is_condemned(h->driver.engine))
        h->driver.condemned(h->driver.owner);
    else
        cp_host_schedule(h);
}

static void on_deadline(struct cp_timer *t)
{
    struct cp_host *h = cp_container_of(t, struct cp_host, timer);

    cp_engine_enter(h->driver.engine, h->sim->now);
    cp_host_turn(h);
}

/* A host has one address for both. */
static bool is_secured(const struct cp_host *h, copal_bytes datagram)
{
    return h->secured != NULL && cp_datagram_is_dtls(datagram);
}

void cp_host_receive(struct cp_host *h, const struct cp_path *path,
                     copal_bytes datagram)
{
    cp_engine_enter(h->driver.engine, h->sim->now);
    cp_engine_count_datagram(h->driver.engine, false, datagram.len);
    if (is_secured(h, datagram))
        h->driver.security->datagram(h->secured, path, datagram);
    else
        cp_engine_datagram(h->driver.engine, &h->link, path, datagram);
    cp_host_turn(h);
}

void cp_host_refused(struct cp_host *h, const struct cp_path *path,
                     copal_bytes datagram)
{
    cp_engine_enter(h->driver.engine, h->sim->now);
    if (is_secured(h, datagram))
        h->driver.security->undelivered(h->secured, path, COPAL_EREFUSED);
    else
        cp_engine_undelivered(h->driver.engine, &h->link, path, datagram,
                              COPAL_EREFUSED);
    cp_host_turn(h);
}

/* ---- Hosts ---- */

static struct cp_host *new_host(struct copal_sim *s,
                                const struct cp_host_name *name)
{
    struct cp_host *h = cp_zalloc(s->mem, sizeof(*h));

    if (h == NULL)
        return NULL;
    h->sim = s;
    h->losses = "";
    h->address = cp_host_name_address(name);
    h->next_port = FIRST_MOVED_PORT;
    cp_list_init(&h->groups);
    snprintf(h->local, sizeof(h->local), "coap://%s", name->text);
    cp_list_append(&s->hosts, &h->node);
    cp_map_put(&s->by_name, &h->by_name,
               cp_map_hash(&s->by_name, name->text, sizeof(name->text)));
    return h;
}

/* A host that reboots must not repeat the tokens and message ids of its former
 * life, so each has a seed of its own. */
static uint64_t engine_seed(const struct cp_host *h)
{
    uint8_t key[16], life[20];
    uint64_t seed;

    for (unsigned i = 0; i < 16; i++)
        key[i] = (uint8_t)(h->sim->seed >> i % 8 * 8);
    memcpy(life, h->address.ip, 16);
    for (unsigned i = 0; i < 4; i++)
        life[16 + i] = (uint8_t)(h->boots >> i * 8);
    seed = cp_siphash(key, life, sizeof(life));
    return seed == 0 ? 1 : seed;
}

int cp_sim_host(struct copal_sim *s, const char *name, struct cp_mem *mem,
                struct cp_driver **out, uint64_t *seed)
{
    struct cp_host_name host_name;
    struct cp_host *h;

    if (!cp_host_name_read(name, &host_name))
        return COPAL_EINVAL;
    h = find_host(s, &host_name);
    if (h == NULL)
        h = new_host(s, &host_name);
    if (h == NULL)
        return COPAL_ENOMEM;
    if (h->is_up)
        return COPAL_EEXIST;
    cp_sim_driver_init(h, mem);
    h->boots++;
    *out = &h->driver;
    *seed = engine_seed(h);
    return 0;
}

void cp_sim_up(struct cp_driver *d)
{
    struct cp_host *h = cp_host_of(d);

    h->is_up = true;
    h->link.engine = d->engine;
    cp_ladder_forget(&h->sim->ladder, &h->address);
    cp_engine_attach(d->engine, &h->link);
    d->ops->wake(d);
}

int cp_sim_lose(struct copal_sim *s, const char *name, unsigned count)
{
    struct cp_host *h = cp_host_named(s, name);

    if (h == NULL)
        return COPAL_ENOENT;
    h->lose = count;
    return 0;
}

int cp_sim_refuse(struct copal_sim *s, const char *name, bool refuses)
{
    struct cp_host *h = cp_host_named(s, name);

    if (h == NULL)
        return COPAL_ENOENT;
    h->refuses = refuses;
    return 0;
}

int cp_sim_lose_some(struct copal_sim *s, const char *name, const char *pattern)
{
    struct cp_host *h = cp_host_named(s, name);

    if (h == NULL)
        return COPAL_ENOENT;
    h->losses = pattern;
    return 0;
}

int cp_sim_move(struct copal_sim *s, const char *name)
{
    struct cp_host *h = cp_host_named(s, name);

    if (h == NULL)
        return COPAL_ENOENT;
    if (h->next_port == CP_SIM_PORT || h->next_port < FIRST_MOVED_PORT)
        h->next_port =
            h->next_port == CP_SIM_PORT ? CP_SIM_PORT + 1 : FIRST_MOVED_PORT;
    cp_sim_streams_break(h);
    h->address.port = h->next_port++;
    return 0;
}
