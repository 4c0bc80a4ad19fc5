/* Names of hosts to addresses, off the loop's thread. Each look-up runs in a
 * thread of its own that can be left behind: nobody has to wait for a silent
 * name server in order to end. Answers are kept for a minute, 64 at most. */
#ifndef CP_NET_RESOLVE_H
#define CP_NET_RESOLVE_H

#include "base/address.h"
#include "engine/driver.h"

struct cp_resolver;

struct cp_found {
    struct cp_address list[CP_MAX_WAYS]; /* the best first, port 0 */
    size_t count;
};

/* driver->ops->wake() is called, from a strange thread, when
 * cp_resolver_deliver() has something to do. NULL: out of memory. */
struct cp_resolver *cp_resolver_new(struct cp_driver *driver);
void cp_resolver_free(struct cp_resolver *res);

/* 0: known, *out is filled. 1: r waits until delivered or forgotten; r->host
 * is asked for once, however many wait. COPAL_ENOMEM, COPAL_ELIMIT. */
int cp_resolver_ask(struct cp_resolver *res, struct cp_route *r, uint64_t now,
                    struct cp_found *out);

/* r may not be waiting. */
void cp_resolver_forget(struct cp_route *r);

/* Takes the routes whose look-ups are over from the lists, one by one. status
 * 0: found is filled, else COPAL_ERESOLVE and why says why. */
void cp_resolver_deliver(struct cp_resolver *res, uint64_t now,
                         void (*told)(void *user, struct cp_route *r,
                                      const struct cp_found *found, int status,
                                      const char *why),
                         void *user);

/* At once, while the caller waits. 0, or COPAL_ERESOLVE with mem's sentence. */
int cp_resolve_now(struct cp_mem *mem, const char *host, struct cp_found *out);

#endif
