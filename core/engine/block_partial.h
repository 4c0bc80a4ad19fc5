/* Bodies of requests on their way in, whole or as streams: RFC 7959 2.5.
 * Counted against BODY_MEMORY, and of one peer so many, and together no more
 * than MAX_BODY. Where there is no room, those give way whose sender may not be
 * at its address (what is sent there proves it: fresh_guard.h), and those of
 * which no block came for MAX_TRANSMIT_WAIT; of streams only those whose sender
 * rejected or did not acknowledge a 2.31, for bodies of its own. A late block
 * gets 4.08. RFC 9175 3.3, RFC 7959 7.1. */
#ifndef CP_ENGINE_BLOCK_PARTIAL_H
#define CP_ENGINE_BLOCK_PARTIAL_H

#include "base/buf.h"
#include "engine/exchange.h"

struct cp_answer;

struct cp_block_partial {
    struct cp_map_node node;    /* in bodies.in */
    struct cp_map_node of_peer; /* in bodies.by_peer */
    struct cp_list place;       /* in bodies.doubted_in or trusted_in */
    struct cp_timer timer;
    uint64_t heard_at; /* of the newest block */
    struct cp_engine *engine;
    struct cp_link *link;
    struct cp_address remote;
    struct cp_buf body;
    uint64_t got;
    size_t last_len;        /* of the newest block */
    uint64_t last_hash;     /* of its payload */
    uint64_t size1;         /* as block 0 told it; 0: it did not */
    uint64_t taken;         /* of BODY_MEMORY */
    copal_exchange *stream; /* ref'd: who sees the CHUNKs; NULL: collected */
    struct cp_qblock_upload *q; /* Q-Block1: which blocks came; NULL: Block1 */
    bool if_none_match; /* which stands in block 0 only: RFC 7959 2.10 */
};

/* The body whose first block came with a, under key (cp_bodies_key()). NULL: a
 * limit was reached, or out of memory. */
struct cp_block_partial *cp_block_partial_new(struct cp_engine *e,
                                              struct cp_answer *a,
                                              uint64_t key);
struct cp_block_partial *cp_block_partial_find(struct cp_engine *e,
                                               uint64_t key);

/* Room for n bytes more of a peer that may send most together; false: there is
 * none. */
bool cp_block_partial_take(struct cp_block_partial *in, size_t n,
                           uint64_t most);

/* For n bytes of BODY_MEMORY those give way that may. */
void cp_block_partial_make_room(struct cp_engine *e, uint64_t n);

/* The oldest of them gives way for the sake of limit; false: there is none. */
bool cp_block_partial_free_one(struct cp_engine *e, const char *limit);

/* A block came: its lifetime begins again. */
void cp_block_partial_wait(struct cp_block_partial *in);

/* It will not be completed: a stream's handler is told. */
void cp_block_partial_give_up(struct cp_block_partial *in, int status,
                              const char *why);
void cp_block_partial_free(struct cp_block_partial *in);

/* The connection is over by which they came. */
void cp_block_partial_link_gone(struct cp_engine *e, const struct cp_link *link,
                                const struct cp_address *remote);

/* The endpoint ends. */
void cp_block_partial_clear(struct cp_engine *e);

#endif
