/* Block-wise transfers whose blocks travel in sets, each without waiting for
 * the one before: RFC 9177. Offered, and understood, where COPAL_P_Q_BLOCK is 1.
 * As with the block stage, above this one bodies are whole. A request's body
 * leaves by qblock_out.c and comes by qblock_upload.c, an answer's leaves by
 * qblock_answer.c and comes by qblock_in.c. Bodies as streams go by Block1 and
 * Block2; what comes by Q-Block1 for a COPAL_STREAMED resource is collected and
 * is one CHUNK. Nothing is sent to groups. */
#ifndef CP_ENGINE_QBLOCK_H
#define CP_ENGINE_QBLOCK_H

#include "base/list.h"
#include "base/map.h"
#include "engine/stage.h"

struct cp_ask;
struct cp_block_kept;
struct cp_block_partial;
struct cp_engine;
struct cp_link;

extern const struct cp_stage cp_qblock;

struct cp_qblocks {
    struct cp_map peers; /* struct cp_qblock_peer: what is known of servers */
    struct cp_list oldest_peer;
    struct cp_map done; /* bodies that were complete: their late blocks */
    struct cp_list oldest_done;
    uint32_t tag; /* of the newest body: RFC 9177 4.3 */
};

void cp_qblocks_init(struct cp_engine *e);
void cp_qblocks_clear(struct cp_engine *e);

/* 0, or the option for which request, that came, gets 4.02: Q-Block is not
 * wanted here, or mixed with Block. RFC 9177 4.1. */
unsigned cp_qblock_refused(struct cp_engine *e, const copal_msg *request);

/* 0, or the option for which the response m to a (NULL: nobody's) is no good,
 * as Q-Block was not offered. */
unsigned cp_qblock_unasked(const struct cp_ask *a, const copal_msg *m);

/* A 4.08 that asks for blocks: RFC 9177 5. */
bool cp_qblock_is_missing_list(const copal_msg *m);

/* ---- Client ---- */

/* The request was not delivered; true: it goes again without Q-Block. */
bool cp_qblock_unheard(struct cp_ask *a, int status);

/* The Request-Tag under which x, of ours, sent its body; empty: it did not. */
copal_bytes cp_qblock_tag(const copal_exchange *x);

/* What is being passed up answers a request for missing blocks, not the user's:
 * it neither is a notification nor ends an observation. */
bool cp_qblock_is_beside(const struct cp_ask *a);

/* ---- Server ---- */

/* A message of x that stays for more of them was delivered or not. */
void cp_qblock_answer_flown(copal_exchange *x, int status);

/* The parts of x's answer carry this Observe number. RFC 9177 4.5. */
void cp_qblock_answer_numbered(copal_exchange *x, uint32_t number);

/* A kept answer or a partial body goes: so does what sends or collects it. */
void cp_qblock_answer_let_go(struct cp_block_kept *o);
void cp_qblock_upload_let_go(struct cp_block_partial *in);

/* The size of blocks that who registered with request is told in by Q-Block2;
 * 0: not by that. */
uint16_t cp_qblock_notify_size(struct cp_engine *e, const struct cp_link *link,
                               const copal_msg *request);
/* The first part of a notification m, which is longer than size. NULL: out of
 * memory. */
copal_msg *cp_qblock_notify_first(const copal_msg *m, uint16_t size);
/* first left for who registered with request; the other parts follow. */
void cp_qblock_notify_rest(struct cp_engine *e, struct cp_link *link,
                           copal_msg *request, const copal_msg *first,
                           bool is_con);

#endif
