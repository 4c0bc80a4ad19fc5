/* A context from inside: what the files of OSCORE share. */
#ifndef CP_SECURE_OSCORE_CONTEXT_H
#define CP_SECURE_OSCORE_CONTEXT_H

#include "base/list.h"
#include "base/map.h"
#include "secure/oscore.h"
#include "secure/oscore_seal.h"
#include "secure/store.h"

enum {
    CP_OSCORE_ECHO = 8,     /* bytes of an Echo value */
    CP_OSCORE_PATH = 7 + 33 /* "oscore/" and 16 bytes in hex */
};

struct cp_oscore {
    struct cp_mem *mem;
    struct cp_engine *engine;
    struct cp_aeads *aeads;
    struct cp_store *store;  /* NULL: none */
    struct cp_list contexts; /* all that messages or scopes have */
    struct cp_list scopes;   /* of requests of ours */
    struct cp_map by_kid;    /* for requests that come */
    uint8_t echo_key[32];    /* of Echo values; as old as this */
};

struct cp_oscore_context {
    /* Counted by scopes, requests and answers under way. */
    struct cp_guard guard;
    struct cp_oscore *all; /* NULL: the endpoint has ended */
    struct cp_mem *mem;
    struct cp_list node;       /* in all->contexts */
    struct cp_map_node by_kid; /* in all->by_kid while serves */
    bool serves;
    struct cp_oscore_keys keys;
    uint8_t id_context[CP_OSCORE_ID_CONTEXT];
    uint8_t id_context_len;
    bool has_id_context;
    char *identity; /* of the peer */
    struct cp_oscore_window window;

    /* ---- oscore_state.c ---- */
    uint64_t next;    /* the number to be used next */
    uint64_t ceiling; /* none at or above it may be used */
    uint64_t asked;   /* the ceiling that is being written */
    bool is_kept;     /* numbers are kept in the store */
    bool is_known;    /* next is known: the store was read */
    bool is_writing;
    bool is_synced; /* the window is one that saw all that came */
    int error;      /* why next is not known, or ceiling does not grow */
    struct cp_store_wait wait;
    char path[CP_OSCORE_PATH];
};

/* What binds answers to a request: the guard of a request that came, or of what
 * was sent. */
struct cp_oscore_guard {
    struct cp_guard guard;
    struct cp_oscore_context *context; /* ref'd */
    struct cp_oscore_bound bound;
    bool nonce_used; /* the request's, by an answer */
    /* Client: of an observation. RFC 8613 4.1.3.5.2. */
    bool observes, has_number;
    uint64_t number; /* the Notification Number */
    uint32_t count;  /* of notifications taken: what Observe is set to */
};

static inline struct cp_oscore_context *cp_oscore_context_of(
    const struct cp_guard *g)
{
    return cp_container_of((struct cp_guard *)g, struct cp_oscore_context,
                           guard);
}

static inline struct cp_oscore_guard *cp_oscore_guard_of(
    const struct cp_guard *g)
{
    return cp_container_of((struct cp_guard *)g, struct cp_oscore_guard, guard);
}

static inline copal_bytes cp_oscore_id_context(
    const struct cp_oscore_context *c)
{
    return cp_bytes(c->id_context, c->id_context_len);
}

/* NULL: out of memory. */
struct cp_oscore_guard *cp_oscore_guard_new(struct cp_oscore_context *c,
                                            const struct cp_oscore_bound *b);

/* ---- oscore.c ---- */

/* The first of those who serve with that Recipient ID, and the next. */
struct cp_oscore_context *cp_oscore_by_kid(struct cp_oscore *all,
                                           copal_bytes kid);
struct cp_oscore_context *cp_oscore_next(struct cp_oscore_context *c,
                                         copal_bytes kid);

/* ---- oscore_state.c ---- */

/* Finds out which numbers may be used, now or later. The store's errors. */
int cp_oscore_state_begin(struct cp_oscore_context *c);
void cp_oscore_state_end(struct cp_oscore_context *c);

/* A number that was never used. CP_GUARD_LATER; COPAL_ELIMIT: there is none
 * any more; the store's errors; both with their sentence. */
int cp_oscore_state_take(struct cp_oscore_context *c, uint64_t *out);

/* An Echo value for c, good for 15 to 30 s, and is this one? RFC 8613 B.1.2. */
int cp_oscore_state_echo(struct cp_oscore_context *c,
                         uint8_t out[CP_OSCORE_ECHO]);
bool cp_oscore_state_is_echo(struct cp_oscore_context *c, copal_bytes value);

/* ---- oscore_in.c, oscore_out.c: as struct cp_guard_ops ---- */

int cp_oscore_in_request(void *user, copal_msg **m, copal_msg **answer);
int cp_oscore_in_answer(void *user, struct cp_guard *guard, copal_msg **m);
int cp_oscore_out_answer(void *user, const copal_msg *request,
                         const copal_msg *m, copal_msg **out);
int cp_oscore_out_request(void *user, struct cp_guard *way, const copal_msg *m,
                          const struct cp_guard *before,
                          struct cp_guard **guard, copal_msg **out);

#endif
