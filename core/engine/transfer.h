/* A transfer as the block stage's files share it. */
#ifndef CP_ENGINE_TRANSFER_H
#define CP_ENGINE_TRANSFER_H

#include "base/buf.h"
#include "engine/answer_core.h"
#include "engine/ask.h"
#include "engine/core.h"

enum {
    CP_MAX_ETAG = 8,
    CP_MAX_RESTARTS = 3
};

/* What one exchange sends and collects block by block. */
struct cp_transfer {
    /* Sending: a request's body (Block1), or an answer's as a stream (Block2,
     * whole answers are kept in struct outgoing). */
    copal_msg *sending; /* the whole message; a stream's has no payload */
    uint64_t sent;      /* bytes acknowledged, or where to pull from */
    uint64_t total;     /* of the whole body; 0: unknown */
    uint16_t size;      /* of blocks out */
    uint32_t last_len;  /* bytes of the block under way */
    bool pulls;         /* the body comes by copal_write() */
    bool awaits_write;
    bool wrote_last;
    uint64_t pull_at; /* what the PULL under way is for */
    uint16_t pull_size;

    /* Collecting: a response's body (Block2), or a request's as a stream. */
    copal_msg *head; /* the first response: its options are the whole's */
    struct cp_buf body;
    uint64_t got;
    uint16_t in_size;
    bool streams_in;
    bool asks;      /* a later block was asked for */
    bool owes_next; /* the block before was handed to the user */
    bool in_is_last;
    copal_msg *held; /* a CHUNK that came up while the user had paused */
    uint64_t held_at;
    bool held_is_last;
    uint8_t etag[CP_MAX_ETAG];
    uint8_t etag_len;
    unsigned restarts;
};

/* x's, made if need be. NULL: out of memory. */
struct cp_transfer *cp_transfer_get(copal_exchange *x);
void cp_transfer_free(copal_exchange *x);

/* The size of x's blocks as it prefers them. */
uint16_t cp_transfer_own_size(const copal_exchange *x);

void cp_transfer_tell_progress(copal_exchange *x, uint64_t offset,
                               uint64_t total);

/* ---- block_out.c ---- */

/* Client: the request's first block. A verdict. */
int cp_block_out_request(copal_exchange *x, copal_msg **m);
/* Client: a response to a block of ours. A verdict: PASS is for the user. */
int cp_block_out_response(copal_exchange *x, copal_msg **m);
/* Server: the first block of an answer. A verdict. */
int cp_block_out_answer(copal_exchange *x, copal_msg **m);
/* Server: a request for a later block. A verdict. */
int cp_block_out_next(copal_exchange *x, copal_msg *request);

/* The size of blocks that request is answered with. */
uint16_t cp_block_preferred(struct cp_engine *e, const copal_msg *request);

/* A notification's first block in that size: m itself, ref'd, where it is no
 * longer. The others are asked for as of any representation. NULL: out of
 * memory. */
copal_msg *cp_block_first(copal_msg *m, uint16_t size);

/* What is kept for who asked request is outdated. */
void cp_block_forget_kept(struct cp_engine *e, struct cp_link *link,
                          const copal_msg *request);

/* ---- block_in.c ---- */

/* Client: a response that may be a block. A verdict. */
int cp_block_in_response(copal_exchange *x, copal_msg **m);
/* Client: asks for the block that begins at transfer->got. */
int cp_block_in_ask_next(copal_exchange *x);
/* Server: a request with Block1, or for a streamed resource. A verdict. */
int cp_block_in_request(copal_exchange *x, copal_msg **m, int flags);
/* Server: goes on with a streamed request after a CHUNK. */
void cp_block_in_go_on(copal_exchange *x);

/* Who sends which body: the source of request and its cache key. */
uint64_t cp_body_key(struct cp_engine *e, const struct cp_link *link,
                     const copal_msg *request);

/* Room for n bytes more, also that of answers kept; false: BODY_MEMORY is
 * spent. */
bool cp_bodies_take(struct cp_engine *e, uint64_t n);
void cp_bodies_give_back(struct cp_engine *e, uint64_t n);

/* Whole answers give way, oldest first: whoever still wants one asks again. */
void cp_bodies_make_room(struct cp_engine *e, uint64_t need);

/* The endpoint ends: answers kept go. */
void cp_bodies_clear_out(struct cp_engine *e);

#endif
