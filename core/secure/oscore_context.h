/* A context from inside: what the files of OSCORE share. */
#ifndef CP_SECURE_OSCORE_CONTEXT_H
#define CP_SECURE_OSCORE_CONTEXT_H

#include "base/list.h"
#include "base/map.h"
#include "secure/oscore.h"
#include "secure/oscore_seal.h"
#include "secure/store.h"

enum {
    CP_OSCORE_ECHO = 8,      /* bytes of an Echo value */
    CP_OSCORE_PATH = 7 + 33, /* "oscore/" and 16 bytes in hex */
    CP_OSCORE_R = 8,         /* bytes of R1, R3, and of each half of R2 */
    CP_OSCORE_R2 = 16
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

/* What contexts are derived from anew: of a context that is a root, and under
 * whose keys nothing goes. RFC 8613 B.2. */
struct cp_oscore_root {
    copal_bytes secret, salt; /* own copies */
    int aead, hkdf;
    struct cp_oscore_context *current; /* ref'd; NULL: none yet */
    struct cp_list children;           /* contexts, while somebody has them */
    uint8_t hmac_key[32];              /* of R2s given and not used yet */
    bool has_hmac_key;
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

    /* ---- oscore_rederive.c ---- */
    struct cp_oscore_root *derives; /* NULL: it is no root */
    struct cp_oscore_context *root; /* whose child it is; NULL: nobody's */
    struct cp_list of_root;         /* in its children */

    /* ---- oscore_state.c ---- */
    uint64_t next;    /* the number to be used next */
    uint64_t ceiling; /* none at or above it may be used */
    uint64_t asked;   /* the ceiling that is being written */
    bool is_kept;     /* numbers are kept in the store */
    enum cp_oscore_start start;
    bool is_known; /* next is known: the store was read */
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
    bool nonce_used;            /* the request's, by an answer */
    uint8_t says[CP_OSCORE_R2]; /* what the answer has for a kid context */
    uint8_t says_len;
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

/* A context with the keys in k, of whom spec tells otherwise. NULL: out of
 * memory. */
struct cp_oscore_context *cp_oscore_context_new(
    struct cp_oscore *all, const struct cp_oscore_spec *spec,
    const struct cp_oscore_keys *k);

/* ---- oscore_rederive.c ---- */

/* Makes c a root of what in says. COPAL_ENOMEM. */
int cp_oscore_rederive_begin(struct cp_oscore_context *c,
                             const struct cp_oscore_input *in);
void cp_oscore_rederive_end(struct cp_oscore_context *c);

/* What requests of ours go under, made if need be. COPAL_ENOMEM. */
int cp_oscore_rederive_current(struct cp_oscore_context *root,
                               struct cp_oscore_context **out);

/* A request for root came; as cp_oscore_in_by(). COPAL_ENOENT: not under any
 * context of it. */
int cp_oscore_rederive_request(struct cp_oscore *all,
                               struct cp_oscore_context *root,
                               const struct cp_oscore_option *head,
                               copal_msg **m, copal_msg **answer);

/* An answer with a kid context to a request under a child: CP_GUARD_AGAIN, or
 * COPAL_EAUTH. */
int cp_oscore_rederive_answer(struct cp_oscore *all, struct cp_oscore_guard *g,
                              const struct cp_oscore_option *head,
                              const copal_msg *m);

/* The kid context that stands for an ID Context of this kind: it is wrapped in a
 * byte string of CBOR. storage: 2 bytes more than id. RFC 8613 B.2. */
copal_bytes cp_oscore_rederive_wrap(copal_bytes id, uint8_t *storage);

/* ---- oscore_in.c ---- */

/* A request by one context. As cp_guard_ops.open; COPAL_EAUTH, COPAL_EEXIST: it
 * came before; COPAL_EFORMAT. */
int cp_oscore_in_by(struct cp_oscore *all, struct cp_oscore_context *c,
                    const struct cp_oscore_option *head, copal_msg **m,
                    copal_msg **answer);

/* ---- oscore_state.c ---- */

/* Finds out which numbers may be used, now or later. The store's errors. */
int cp_oscore_state_begin(struct cp_oscore_context *c);
void cp_oscore_state_end(struct cp_oscore_context *c);

/* A request came, and there is no number that an answer could have: so that
 * there is one when it comes again. */
void cp_oscore_state_want(struct cp_oscore_context *c);

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
