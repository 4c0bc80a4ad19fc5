/* OSCORE, RFC 8613: the contexts of an endpoint, and the engine's protector made
 * of them.
 *   oscore_option.c oscore_keys.c oscore_window.c oscore_seal.c
 *                     pure: bytes in, bytes out
 *   oscore.c          contexts, by scope and by kid
 *   oscore_state.c    sequence numbers that survive a restart, appendix B.1
 *   oscore_rederive.c keys made anew after one, appendix B.2
 *   oscore_in.c       requests and answers that come
 *   oscore_out.c      requests and answers that go */
#ifndef CP_SECURE_OSCORE_H
#define CP_SECURE_OSCORE_H

#include "engine/guard.h"
#include "secure/oscore_keys.h"
#include "secure/oscore_window.h"

struct cp_engine;
struct cp_oscore; /* the contexts of an endpoint */
struct cp_store;

/* user is a struct cp_oscore. */
extern const struct cp_guard_ops cp_oscore_guard_ops;

/* NULL: out of memory. */
struct cp_oscore *cp_oscore_new(struct cp_mem *mem, struct cp_engine *e);

/* The engine has ended: keys are wiped with the last message under them. all
 * may be NULL. */
void cp_oscore_free(struct cp_oscore *all);

/* Where numbers are kept from now on; it outlives all, or NULL comes first. */
void cp_oscore_keep_in(struct cp_oscore *all, struct cp_store *store);

/* What the store is known to have of a context's numbers. */
enum cp_oscore_start {
    CP_OSCORE_EITHER, /* their state, or nothing: then this is their first use */
    CP_OSCORE_NEW,    /* the same, but none is used before somebody asks */
    CP_OSCORE_BEGUN /* their state: where it is gone they are not used again */
};

struct cp_oscore_spec {
    struct cp_oscore_input in;
    uint32_t window;      /* messages; 0: the default */
    const char *identity; /* of the peer; NULL: "oscore:" and its kid */
    bool is_new;          /* fresh keys, as from EDHOC: nothing is kept */
    bool rederives;       /* new ones of these at each beginning: B.2 */
    enum cp_oscore_start start;
};

/* A context for requests to what scope covers, or with "*" for those that come.
 * The same under two scopes is one, with one row of numbers. What scope had
 * before gives way but under "*", where each peer has its own. COPAL_EINVAL:
 * scope, IDs, algorithms, window; COPAL_EEXIST: under "*" another has that kid
 * and ID Context; COPAL_ESTATE: there is no store, and it is not new;
 * COPAL_ENOENT: its state was begun, and is gone; the store's errors, and
 * COPAL_ENOMEM. */
int cp_oscore_use(struct cp_oscore *all, const char *scope,
                  const struct cp_oscore_spec *spec);

/* What that would give, without doing it. */
int cp_oscore_try(struct cp_oscore *all, const char *scope,
                  const struct cp_oscore_spec *spec);

/* Takes every context of scope away, and ends the observations under them.
 * COPAL_ENOENT. */
int cp_oscore_forget(struct cp_oscore *all, const char *scope);

/* A context that is new, as from EDHOC, under no scope: it serves who uses its
 * kid, and *out, ref'd, is the way of requests of ours under it. As
 * cp_oscore_use(). */
int cp_oscore_add(struct cp_oscore *all, const struct cp_oscore_spec *spec,
                  struct cp_guard **out);

/* It serves no longer; observations under it end. What is under way by it may
 * go on. */
void cp_oscore_retire(struct cp_oscore *all, struct cp_guard *way);

/* Is it one's Recipient ID? */
bool cp_oscore_knows(struct cp_oscore *all, copal_bytes kid);

/* Is there one for that scope, word for word? */
bool cp_oscore_has(const struct cp_oscore *all, const char *scope);

#endif
