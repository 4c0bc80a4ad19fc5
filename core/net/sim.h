/* A network of simulated hosts in virtual time: what core/copal_sim.c makes
 * public as copal_sim. Every host is a driver of one engine; datagrams travel
 * through one queue, so nothing arrives while its sender is still at work.
 * Given the same seed and the same calls, everything happens alike. */
#ifndef CP_NET_SIM_H
#define CP_NET_SIM_H

#include <copal_sim.h>
#include "engine/driver.h"

/* NULL: out of memory. seed 0 is a seed like any other. */
struct copal_sim *cp_sim_new(uint64_t seed);

/* No host may be up any more. */
void cp_sim_free(struct copal_sim *s);

/* The driver of the host called name, which is not up yet: for *out an
 * endpoint is made, then cp_sim_up() called; its close() takes the host down.
 * mem is that endpoint's. *seed: for its engine, another at each reboot.
 * COPAL_EINVAL: a name is 1 to 15 characters; COPAL_EEXIST: it is up;
 * COPAL_ENOMEM. */
int cp_sim_host(struct copal_sim *s, const char *name, struct cp_mem *mem,
                struct cp_driver **out, uint64_t *seed);

/* Connects the host to the network. */
void cp_sim_up(struct cp_driver *d);

/* cp_driver.owner of the first host that is up; NULL: none is. */
void *cp_sim_first_owner(const struct copal_sim *s);

/* NULL: any; the narrowest setting wins: that from one host to another, then
 * from a host, to a host, for all. A jittered datagram takes up to so many ms
 * longer, a reordered one 1 to 100 ms more on top, so later ones overtake it.
 * COPAL_EINVAL: name, or over 100 percent; COPAL_ENOMEM. */
int cp_sim_set_path(struct copal_sim *s, const char *from, const char *to,
                    const struct copal_sim_path *path);

/* COPAL_ENOENT: there never was such a host. */
int cp_sim_lose(struct copal_sim *s, const char *name, unsigned count);
int cp_sim_move(struct copal_sim *s, const char *name);
int cp_sim_refuse(struct copal_sim *s, const char *name, bool refuses);

/* The fate of the next datagrams of a host, one a character of pattern, which
 * is borrowed: x is lost, anything else goes. For ladders of which a few of
 * many are lost that leave in the same turn. COPAL_ENOENT. */
int cp_sim_lose_some(struct copal_sim *s, const char *name,
                     const char *pattern);

/* from: a host, an IP literal, or a name that nobody has. COPAL_EINVAL: none
 * of these; COPAL_ENOENT: to; COPAL_ENOMEM. */
int cp_sim_inject(struct copal_sim *s, const char *from, const char *to,
                  copal_bytes datagram);

/* Lets ms pass. Returns the datagrams that still travel. COPAL_ESTATE: it runs
 * already, this is one of its callbacks. */
int cp_sim_run(struct copal_sim *s, uint64_t ms);

/* cp_sim_run() stops after the turn that is on. False: it is not going on. */
bool cp_sim_interrupt(struct copal_sim *s);
/* The last cp_sim_run() was. */
bool cp_sim_is_interrupted(const struct copal_sim *s);

uint64_t cp_sim_now(const struct copal_sim *s);

/* net/ladder.h tells what they look like. */
const char *cp_sim_transcript(struct copal_sim *s);
void cp_sim_keep(struct copal_sim *s, size_t bytes);

#endif
