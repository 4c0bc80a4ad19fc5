/* Names of simulated hosts, and how datagrams travel between them. */
#ifndef CP_NET_SIM_PATH_H
#define CP_NET_SIM_PATH_H

#include "base/address.h"
#include "base/map.h"
#include "net/sim.h"

/* Lower case, NUL-padded, as it stands in cp_address.ip. */
struct cp_host_name {
    char text[16];
};

/* False: not 1 to 15 characters. */
bool cp_host_name_read(const char *text, struct cp_host_name *out);

struct cp_sim_paths {
    struct cp_mem *mem;
    struct cp_map by_ends;
};

void cp_sim_paths_init(struct cp_sim_paths *all, struct cp_mem *mem,
                       struct cp_random *random);
void cp_sim_paths_clear(struct cp_sim_paths *all);

/* As cp_sim_set_path(). */
int cp_sim_paths_set(struct cp_sim_paths *all, const char *from, const char *to,
                     const struct copal_sim_path *path);

/* The narrowest that fits; zeroes where none was set. */
struct copal_sim_path cp_sim_paths_find(const struct cp_sim_paths *all,
                                        const struct cp_address *from,
                                        const struct cp_address *to);

/* Does it happen this time, at so many percent? */
bool cp_sim_path_strikes(uint32_t percent, struct cp_random *random);

/* How long a datagram travels this time, ms. */
uint64_t cp_sim_path_time(const struct copal_sim_path *path,
                          struct cp_random *random);

#endif
