/* Block-wise transfers, RFC 7959: above this stage bodies are whole, or come
 * and go as streams. A request's body leaves by block_out.c and comes by
 * block_upload.c, an answer's leaves by block_answer.c and comes by block_in.c. */
#ifndef CP_ENGINE_BLOCK_H
#define CP_ENGINE_BLOCK_H

#include "base/heap.h"
#include "base/list.h"
#include "base/map.h"
#include "engine/stage.h"

struct cp_engine;

extern const struct cp_stage cp_block;

/* Bodies under way as a server: requests not yet complete, answers kept until
 * their last block was asked for. Both count against BODY_MEMORY. */
struct cp_bodies {
    struct cp_map in; /* struct cp_block_partial, by sender and cache key */
    struct cp_map by_peer; /* the same, by sender */
    /* Those collected, whose newest block is oldest first: of senders of whom
     * nobody knows whether they are there, and of others. */
    struct cp_list doubted_in, trusted_in;
    struct cp_map out; /* struct cp_block_kept, by asker and cache key */
    struct cp_list oldest_out;
    uint64_t used; /* bytes */
};

enum {
    CP_LEFT_OPERATIONS = 8
};

/* Uploads of ours, by where they go, cache key and tags: block_tag.c. */
struct cp_operations {
    struct cp_map active; /* struct cp_transfer by its operation */
    struct {
        uint64_t key, until; /* blocks may be under way until then */
    } left[CP_LEFT_OPERATIONS];
    uint64_t crowded_until;
    uint16_t next_tag;
};

void cp_bodies_init(struct cp_engine *e);
void cp_bodies_clear(struct cp_engine *e);

/* A CHUNK is about to be delivered: true if it is not to be, as the user has
 * paused (it comes again) or answered meanwhile. */
bool cp_block_stream_in_holds_back(copal_exchange *x, const copal_event *chunk);

/* The user has seen the last CHUNK, or resumed, and may be given the next. */
void cp_block_stream_in_delivered(copal_exchange *x);

#endif
