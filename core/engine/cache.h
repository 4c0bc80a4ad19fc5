/* Answers that a client keeps, so that a request may be answered without
 * asking (RFC 7252 5.6), and those that forbid to ask (RFC 8516). */
#ifndef CP_ENGINE_CACHE_H
#define CP_ENGINE_CACHE_H

#include "base/list.h"
#include "base/map.h"
#include "engine/stage.h"
#include "wire/message.h"

struct cp_engine;

enum {
    CP_CACHE_ETAGS = 4, /* representations kept of one request */
    CP_CACHE_COUNTERS = 256
};

/* The stage nearest the application: whole answers pass by it. */
extern const struct cp_stage cp_cache;

struct cp_cached {
    struct cp_map_node by_key, by_resource;
    struct cp_list place;
    copal_msg *msg;       /* frozen, without token and request */
    uint64_t kept_at;     /* ms */
    uint64_t fresh_until; /* ms; in the past: to be validated by its ETag */
    uint64_t cost;        /* bytes */
};

struct cp_caching {
    struct cp_map by_key, by_resource; /* struct cp_cached */
    struct cp_list oldest;             /* the one used longest ago first */
    uint64_t used;                     /* bytes, at most CACHE_MEMORY */

    /* How often something changed, by a part of the resource's hash: an answer
     * that was on its way meanwhile may be of the state before. */
    uint32_t changes[CP_CACHE_COUNTERS];

    struct cp_map held_back; /* struct cp_held_back, by method and resource */
    struct cp_list held_back_oldest;
};

/* What is noted of a request of ours while it is open. */
struct cp_cache_use {
    copal_msg *offered[CP_CACHE_ETAGS]; /* whose ETags the request has of us */
    uint32_t changes;                   /* of the resource when it was sent */
    uint8_t offered_count;
    bool may_act; /* it is sent, and is of a method that changes things */
};

void cp_cache_init(struct cp_engine *e);
void cp_cache_clear(struct cp_engine *e);

/* Gives up what CACHE_MEMORY has no room for any more. */
void cp_cache_trim(struct cp_engine *e);

/* Answers x, a request not sent yet, by what is kept; false: it has to be
 * asked. */
bool cp_cache_answers(copal_exchange *x);

/* A copy of kept as an answer to x whose Max-Age says s more seconds. NULL: out
 * of memory. */
copal_msg *cp_cache_shown(copal_exchange *x, const copal_msg *kept, uint64_t s);

/* ms that m may be used for. RFC 7252 5.10.5. */
uint64_t cp_cache_lifetime(const copal_msg *m);

/* ---- cache_store.c ---- */

/* The URI of request, a request of ours, and where it is asked from, as 64 bits
 * of SipHash under a random key, taken for the thing itself as in
 * cp_bodies_key(). location not NULL: the one that this answer to it tells by
 * Location-Path and Location-Query. False: out of memory. */
bool cp_cache_resource(struct cp_engine *e, const copal_msg *request,
                       const copal_msg *location, uint64_t *out);

/* The same of all that an answer depends on: the cache key and, of a FETCH,
 * the payload. RFC 7252 5.6, RFC 8132 2. */
bool cp_cache_key(struct cp_engine *e, const copal_msg *request, uint64_t *out);

/* A copy, not frozen, of m with this payload: nothing in it is borrowed from
 * the message it came in. NULL: out of memory. */
copal_msg *cp_cache_own_copy(const copal_msg *m, copal_bytes payload);

/* NULL: none is fresh. It counts as used. */
struct cp_cached *cp_cache_fresh(struct cp_engine *e, uint64_t key);

/* Those of that key that an ETag could bring back, ref'd; returns how many. */
size_t cp_cache_candidates(struct cp_engine *e, uint64_t key,
                           copal_msg *out[CP_CACHE_ETAGS]);

/* Keeps m, an answer to request, in place of one with the same ETag; others of
 * that key are fresh no more. Without room or memory it does not. */
void cp_cache_put(struct cp_engine *e, const copal_msg *request,
                  const copal_msg *m);

/* Nothing that is kept of that resource is fresh any more. */
void cp_cache_spoil(struct cp_engine *e, uint64_t resource);

/* How often cp_cache_spoil() was called for it, or for one of many others. */
uint32_t cp_cache_changes(const struct cp_engine *e, uint64_t resource);

/* ---- held_back.c ---- */

/* Notes m, the answer to x, if it is 4.29; else forgets the one before. */
void cp_held_back_note(copal_exchange *x, const copal_msg *m);

/* The answer for who may not ask yet, with what is left of its Max-Age. NULL:
 * it may be asked. */
copal_msg *cp_held_back_answer(copal_exchange *x);

void cp_held_back_clear(struct cp_engine *e);

#endif
