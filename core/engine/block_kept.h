/* Answers kept until their last block was asked for, and streams whose blocks
 * are: RFC 7959 2.4. Counted against BODY_MEMORY. */
#ifndef CP_ENGINE_BLOCK_KEPT_H
#define CP_ENGINE_BLOCK_KEPT_H

#include "engine/exchange.h"
#include "engine/link.h"

struct cp_block_kept {
    struct cp_map_node node; /* in bodies.out */
    struct cp_list place;    /* in bodies.oldest_out */
    struct cp_timer timer;
    uint64_t until; /* which timer need not know of: it is then set anew */
    struct cp_engine *engine;
    copal_msg *whole;       /* NULL: a stream */
    copal_exchange *stream; /* ref'd: who pulls */

    /* Of one that goes by Q-Block2, qblock_answer.c: */
    copal_exchange *sender; /* ref'd: whose blocks are on their way; or NULL */
    copal_msg *request;     /* who asked: address and token */
    bool is_sending;        /* at this moment: it gives no room */
    bool has_observe;
    uint32_t observe;
};

/* Keeps whole, or with NULL x's stream, in place of what was kept under key
 * (cp_bodies_key()). NULL: no room, or out of memory. */
struct cp_block_kept *cp_block_kept_new(copal_exchange *x, uint64_t key,
                                        copal_msg *whole);
struct cp_block_kept *cp_block_kept_find(struct cp_engine *e, uint64_t key);

/* Somebody wanted it: its lifetime begins again. */
void cp_block_kept_touch(struct cp_block_kept *o);

void cp_block_kept_free(struct cp_block_kept *o);

/* The same; a stream ends with status. */
void cp_block_kept_give_up(struct cp_block_kept *o, int status,
                           const char *why);

/* What is kept for who asked request, or the like, from remote is outdated. */
void cp_block_kept_forget(struct cp_engine *e, struct cp_link *link,
                          const struct cp_address *remote,
                          const copal_msg *request);

/* Whole answers give way, oldest first, to need bytes: whoever still wants one
 * asks again. */
void cp_block_kept_make_room(struct cp_engine *e, uint64_t need);

/* The oldest of them gives way; false: there is none. */
bool cp_block_kept_free_one(struct cp_engine *e);

/* The endpoint ends. */
void cp_block_kept_clear(struct cp_engine *e);

#endif
