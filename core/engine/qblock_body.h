/* A body that comes in blocks of any order, and which of them are missing.
 * RFC 9177 counts them in sets of MAX_PAYLOADS. */
#ifndef CP_ENGINE_QBLOCK_BODY_H
#define CP_ENGINE_QBLOCK_BODY_H

#include "base/mem.h"
#include "wire/block.h"

enum {
    CP_MAX_PAYLOADS = 10, /* RFC 9177 7.2 */
    /* Blocks so far ahead of all others are not taken: a stranger's single one
     * must not make us keep room for all before it. */
    CP_QBLOCK_AHEAD = 4 * CP_MAX_PAYLOADS
};

struct cp_qblock_body {
    struct cp_mem *mem;
    uint8_t *data; /* grows with the blocks that come */
    uint8_t *have; /* a bit a block */
    uint64_t total, cap;
    uint16_t size;
    uint32_t count;    /* blocks in all */
    uint32_t got;      /* those that came */
    uint32_t first;    /* the first that is missing */
    uint32_t end;      /* behind the last that came */
    uint32_t told_set; /* later sets than this were not told of earlier holes */
};

/* What the newest block calls for, of who collects by NON messages. */
enum cp_qblock_step {
    CP_QBLOCK_WAIT,     /* the rest of the set is on its way           */
    CP_QBLOCK_CONTINUE, /* a set is complete, and the newest           */
    CP_QBLOCK_ASK,      /* a later set began, and earlier ones miss some */
    CP_QBLOCK_DONE
};

/* Of total bytes in blocks of size. COPAL_EFORMAT: too many of them;
 * COPAL_ENOMEM. */
int cp_qblock_body_open(struct cp_qblock_body *b, struct cp_mem *mem,
                        uint64_t total, uint16_t size);
void cp_qblock_body_free(struct cp_qblock_body *b);

/* Bytes of memory that an open one takes, and one more with block num. */
uint64_t cp_qblock_body_needs(uint64_t total, uint16_t size);
uint64_t cp_qblock_body_growth(const struct cp_qblock_body *b, uint32_t num);

/* Can len bytes be block p of it? */
bool cp_qblock_body_fits(const struct cp_qblock_body *b, struct cp_block p,
                         size_t len);
bool cp_qblock_body_has(const struct cp_qblock_body *b, uint32_t num);
bool cp_qblock_body_is_ahead(const struct cp_qblock_body *b, uint32_t num);

/* Takes a block that fits and is not there yet. COPAL_ENOMEM. */
int cp_qblock_body_put(struct cp_qblock_body *b, uint32_t num,
                       copal_bytes part);

enum cp_qblock_step cp_qblock_body_step(struct cp_qblock_body *b);

/* At most MAX_PAYLOADS missing blocks into nums, rising: after an ASK those of
 * earlier sets, after a wait also those of the newest, or where that is
 * complete, of the next. */
size_t cp_qblock_body_missing(const struct cp_qblock_body *b, bool waited,
                              uint32_t nums[CP_MAX_PAYLOADS]);

/* Hands all bytes to the caller, who frees them. NULL: out of memory; else
 * never NULL. */
uint8_t *cp_qblock_body_take(struct cp_qblock_body *b);

#endif
