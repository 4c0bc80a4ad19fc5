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
     * whole answers are kept in struct cp_block_kept). */
    copal_msg *sending; /* the whole message; a stream's has no payload */
    uint64_t sent;      /* bytes acknowledged, or where to pull from */
    uint64_t total;     /* of the whole body; 0: unknown */
    uint16_t size;      /* of blocks out */
    bool is_bert;       /* several of them at once */
    uint32_t last_len;  /* bytes of the block under way */
    bool pulls;         /* the body comes by copal_write() */
    bool awaits_write;
    bool wrote_last;
    bool awaits_answer; /* a block is under way */
    bool is_operation;  /* in engine->operations */
    bool is_tagged;
    uint16_t tag;
    struct cp_map_node operation;
    uint64_t pull_at; /* what the PULL under way is for */
    uint16_t pull_size;

    /* Collecting: a response's body (Block2), or a request's as a stream. */
    copal_msg *head; /* the first response: its options are the whole's */
    struct cp_buf body;
    uint64_t got;
    uint64_t from; /* what is before this the user has already */
    bool is_rest;  /* the whole begins elsewhere: copal_msg_resume() */
    uint16_t in_size;
    bool in_bert;
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

    /* Server: what its stream is kept by between blocks; NULL: nothing. */
    struct cp_block_partial *partial;
    struct cp_block_kept *kept;
    bool is_ending; /* the last block leaves, and with it the stream ends */
};

/* Nothing of a body is left to be sent or received. */
static inline bool cp_transfer_is_over(const copal_exchange *x)
{
    return x->transfer == NULL || x->transfer->is_ending;
}

/* x's, made if need be. NULL: out of memory. */
struct cp_transfer *cp_transfer_get(copal_exchange *x);
void cp_transfer_free(copal_exchange *x);

/* Server: x ends with status, and what keeps its stream goes, too. */
void cp_transfer_give_up(copal_exchange *x, int status, const char *why);

/* The size of x's blocks as it prefers them. */
uint16_t cp_transfer_own_size(const copal_exchange *x);

/* What x goes by; NULL: nothing yet, or it was asked from within. */
struct cp_link *cp_transfer_link(const copal_exchange *x);

/* Who names a block takes blocks, whether or not its CSM said so: without that
 * option nothing is known. RFC 8323 5.3.2. */
void cp_transfer_note_blocks(const copal_exchange *x);

/* Would m go in one piece: as long as a block, or as any message that the other
 * end of a connection takes? */
bool cp_transfer_fits(const copal_exchange *x, const copal_msg *m);

/* The first block of m as x prefers it; by a connection BERT, where it helps.
 * size 0: the other end takes none. */
struct cp_block cp_transfer_first(const copal_exchange *x, const copal_msg *m);

/* Bytes of m's body that go with b. */
uint16_t cp_transfer_span(const copal_exchange *x, const copal_msg *m,
                          struct cp_block b);

/* Block1 or Block2 of a message that came. 0: it has none; 1: read;
 * COPAL_EFORMAT: no block, or BERT in a datagram (RFC 7959 2.2). */
int cp_transfer_read_block(const copal_msg *m, unsigned option,
                           struct cp_block *b);

void cp_transfer_tell_progress(copal_exchange *x, uint64_t offset,
                               uint64_t total);

/* A copy of m without body that says which block it is. NULL: out of memory. */
copal_msg *cp_transfer_block_of(const copal_msg *m, unsigned option,
                                struct cp_block b);

/* The block of body at offset, which is not behind its end. */
copal_bytes cp_transfer_part_of(copal_bytes body, uint64_t offset,
                                uint16_t size);

/* ---- bodies.c ---- */

/* Who sends which body: the other end and the request's cache key, which has
 * its Request-Tags in it (RFC 9175 3.3), as 64 bits of SipHash under a random
 * key of ours. They are taken for the thing itself: nobody can aim at a
 * collision, and by chance there is none among as many as BODY_MEMORY holds. A
 * FETCH's payload is not part of it: each block of an upload has another, and
 * later blocks of an answer may be asked for with or without it; two answers of
 * one sender that are mixed up so differ in their ETag. RFC 8132 2, RFC 7959
 * 2.4. */
uint64_t cp_bodies_key(struct cp_engine *e, const struct cp_link *link,
                       const struct cp_address *remote,
                       const copal_msg *request);

/* Bodies by Q-Block of one sender and cache key are others than those by Block:
 * their keys differ by this. */
#define CP_BODIES_QBLOCK UINT64_C(0x9177917791779177)

/* Room for n bytes more, also that of answers kept; false: BODY_MEMORY is
 * spent. */
bool cp_bodies_take(struct cp_engine *e, uint64_t n);
void cp_bodies_give_back(struct cp_engine *e, uint64_t n);

/* ---- block_out.c: a request's body ---- */

/* The request's first block. A verdict. */
int cp_block_out_request(copal_exchange *x, copal_msg **m);
/* The whole body once more, after it was sent in blocks. A verdict. */
int cp_block_out_again(copal_exchange *x);
/* A block leaves, a later one under the token of the first. A verdict. */
int cp_block_out_send(copal_exchange *x, copal_msg *m);
/* A response to a block of ours. A verdict: PASS is for the user. */
int cp_block_out_response(copal_exchange *x, copal_msg **m);
/* The block of the request's body at t->sent, or a piece given as such. NULL:
 * out of memory, or of numbers. */
copal_msg *cp_block_out_piece(copal_exchange *x, copal_bytes part, bool more);

/* ---- block_resume.c ---- */

bool cp_block_resume_is_download(const copal_msg *m);
bool cp_block_resume_is_upload(const copal_msg *m); /* not from its beginning */
/* The size of blocks, at most size, in which an upload of m can go on. */
uint16_t cp_block_resume_size(const copal_msg *m, uint16_t size);
/* *m asks for the rest of a download. A verdict. */
int cp_block_resume_ask(copal_exchange *x, copal_msg **m);
/* *m, which stands at t->got, loses what the user has already. COPAL_ENOMEM. */
int cp_block_resume_skip(copal_exchange *x, copal_msg **m);

/* ---- block_tag.c ---- */

/* A body of ours begins: *m, the whole request, is replaced by one with a
 * Request-Tag if another like it is around and the user gave none. 0, or
 * COPAL_ENOMEM. */
int cp_block_tag_begin(copal_exchange *x, copal_msg **m);
/* m, made of x's request, belongs to the same operation. COPAL_ENOMEM. */
int cp_block_tag_put(const copal_exchange *x, copal_msg *m);
void cp_block_tag_end(copal_exchange *x);

/* ---- block_answer.c: an answer's body ---- */

/* The first block of an answer. A verdict. */
int cp_block_answer_out(copal_exchange *x, copal_msg **m);
/* A request for a later block. A verdict. */
int cp_block_answer_next(copal_exchange *x, copal_msg *request);
/* Names in *m the block of the request that it answers. COPAL_ENOMEM. */
int cp_block_answer_echo(copal_exchange *x, copal_msg **m);

/* Adds an ETag made of m's body, unless it has one. */
int cp_block_answer_add_etag(copal_msg *m);

/* The size of blocks that answers go in: to who asks for none, and that request
 * is answered with. */
uint16_t cp_block_answer_own_size(const struct cp_engine *e);
uint16_t cp_block_answer_size(struct cp_engine *e, const copal_msg *request);

/* A notification's first block in that size: m itself, ref'd, where it is no
 * longer. The others are asked for as of any representation. NULL: out of
 * memory. */
copal_msg *cp_block_answer_first(copal_msg *m, uint16_t size);

/* ---- block_stream_out.c ---- */

/* Asks the user for the block at t->sent. KEPT, or COPAL_ENOMEM. */
int cp_block_stream_out_pull(copal_exchange *x);

/* ---- block_in.c: a response's body ---- */

/* A response that may be a block. A verdict. */
int cp_block_in_response(copal_exchange *x, copal_msg **m);
/* Asks for the block that begins at t->got. A verdict. */
int cp_block_in_ask_next(copal_exchange *x);

/* ---- block_upload.c: a request's body, as a server ---- */

struct cp_block_partial;

/* A request with Block1, or for a streamed resource. A verdict. */
int cp_block_upload_in(copal_exchange *x, copal_msg **m, int flags);
/* 2.31 names the size that we would rather have. RFC 7959 2.5. A verdict. */
int cp_block_upload_continue(copal_exchange *x);
/* Answers x by code and gives in up, which may be NULL. A verdict. */
int cp_block_upload_refuse(copal_exchange *x, struct cp_block_partial *in,
                           int code, const char *diagnostic);
/* 4.13 says how much we would take. RFC 7959 2.9.3. A verdict. */
int cp_block_upload_refuse_size(copal_exchange *x, struct cp_block_partial *in);

/* ---- block_stream_in.c ---- */

/* m's payload goes to the user. KEPT, or COPAL_ENOMEM. */
int cp_block_stream_in_hand(copal_exchange *x, const copal_msg *m, bool last);
/* Server: a part of in, or with NULL all, of a body as a stream. A verdict. */
int cp_block_stream_in_request(copal_exchange *x, copal_msg **m,
                               struct cp_block_partial *in, bool last);

#endif
