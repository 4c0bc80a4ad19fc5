/* The insides of the simulator, shared by sim.c (the network and its time),
 * sim_host.c (the hosts), sim_driver.c (what their endpoints see of the network)
 * and sim_stream.c (connections). */
#ifndef CP_NET_SIM_WORLD_H
#define CP_NET_SIM_WORLD_H

#include <stdatomic.h>
#include "base/heap.h"
#include "base/list.h"
#include "base/map.h"
#include "net/ladder.h"
#include "net/sim.h"
#include "net/sim_path.h"

/* Of who never moved. */
enum {
    CP_SIM_PORT = 5683
};

struct copal_sim {
    struct cp_mem *mem;
    struct cp_random random;
    struct cp_ladder ladder;
    struct cp_sim_paths paths;

    uint64_t seed, now, end;
    unsigned events; /* since the last tick */
    bool is_running, is_interrupted;
    atomic_bool is_woken; /* some host is */

    struct cp_heap heap;     /* arrivals and hosts' deadlines */
    struct cp_map by_name;   /* struct cp_host.by_name */
    struct cp_list hosts;    /* struct cp_host.node, the eldest first */
    struct cp_list underway; /* struct datagram.node */
    int underway_count;
    struct cp_list streams; /* sim_stream.c */
};

/* A host's place in a group. */
struct cp_sim_member {
    struct cp_list node;
    struct cp_address group;
};

/* Stays when its endpoint is freed: a host that is down keeps its name and
 * address, and memory of the simulator's is all it takes. */
struct cp_host {
    struct cp_driver driver;
    struct cp_link link;
    struct cp_link *secured; /* DTLS over link; NULL: not wanted yet */
    struct cp_timer timer;   /* the engine's deadline */
    struct cp_list node;
    struct cp_map_node by_name;
    struct copal_sim *sim;
    struct cp_address address;
    uint32_t boots;
    unsigned lose;
    const char *losses; /* after those: cp_sim_lose_some() */
    uint16_t next_port;
    struct cp_list groups; /* struct cp_sim_member */
    bool is_up;
    unsigned listens;     /* bits by enum cp_scheme */
    bool refuses;         /* while it is down */
    atomic_bool is_woken; /* the deadline may have changed outside its turn */
    char local[32];       /* "coap://name", as last asked for */
};

static inline struct cp_host *cp_host_of(const struct cp_driver *d)
{
    return cp_container_of(d, struct cp_host, driver);
}

/* The host of that name, up or down; NULL: there never was one. */
struct cp_host *cp_host_named(const struct copal_sim *s, const char *name);

/* The host that is up and has that address now. */
struct cp_host *cp_host_at(const struct copal_sim *s,
                           const struct cp_address *a);

/* A host that is down had that address, and what comes to it is refused. */
bool cp_host_refuses(const struct copal_sim *s, const struct cp_address *a);

struct cp_address cp_host_name_address(const struct cp_host_name *name);

/* Takes the next turn of h when its engine wants it. */
void cp_host_schedule(struct cp_host *h);

/* After its engine was entered and told something: its turn. */
void cp_host_turn(struct cp_host *h);

/* A datagram for h: in, and a turn. */
__attribute__((noinline)) CP_SHARED void cp_host_receive(
    struct cp_host *h, const struct cp_path *path, copal_bytes datagram);

/* What h sent by path was refused. */
void cp_host_refused(struct cp_host *h, const struct cp_path *path,
                     copal_bytes datagram);

/* ---- sim_driver.c ---- */

/* The driver and the link of h, for an endpoint with that memory. */
void cp_sim_driver_init(struct cp_host *h, struct cp_mem *mem);

/* It is up and has joined group. */
bool cp_host_is_in(const struct cp_host *h, const struct cp_address *group);

/* ---- sim_stream.c: connections ---- */

/* As the driver's route(), for schemes that connect; unroute() of one that
 * waits for its connection. */
int cp_sim_stream_route(struct cp_host *h, struct cp_route *r,
                        struct cp_host *peer);

/* All connections of h break: its endpoint is gone, or it moved. */
void cp_sim_streams_break(struct cp_host *h);
void cp_sim_streams_clear(struct copal_sim *s);

/* Sends a datagram; sender: NULL for a stranger. */
void cp_sim_transmit(struct copal_sim *s, struct cp_host *sender,
                     const struct cp_address *from, const struct cp_address *to,
                     copal_bytes datagram);

#endif
