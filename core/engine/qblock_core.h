/* The Q-Block stage from inside: what its files share. */
#ifndef CP_ENGINE_QBLOCK_CORE_H
#define CP_ENGINE_QBLOCK_CORE_H

#include "engine/answer_core.h"
#include "engine/ask.h"
#include "engine/core.h"
#include "engine/qblock_body.h"

/* ---- qblock_peer.c: servers that we asked ---- */

enum cp_qblock_support {
    CP_QBLOCK_UNKNOWN,
    CP_QBLOCK_SPOKEN,
    CP_QBLOCK_REFUSED
};

enum cp_qblock_support cp_qblock_peer_support(struct cp_engine *e,
                                              const struct cp_way *way);
/* Remembered for an hour, of so many peers; out of memory: not at all. */
void cp_qblock_peer_learn(struct cp_engine *e, const struct cp_way *way,
                          enum cp_qblock_support support);

/* ---- qblock_time.c: section 7.2's waits, ms ---- */

uint64_t cp_qblock_pause(copal_exchange *x);    /* NON_TIMEOUT_RANDOM */
uint64_t cp_qblock_patience(copal_exchange *x); /* NON_RECEIVE_TIMEOUT */
unsigned cp_qblock_max_tries(copal_exchange *x);

/* ---- Client ---- */

struct cp_qblock_part {
    struct cp_token token;
    uint32_t num;
};

/* What an exchange of ours sends and collects. */
struct cp_qblock_ask {
    copal_exchange *x;
    struct cp_token_family family;
    struct cp_qblock_part *parts; /* CP_MAX_PAYLOADS; NULL until needed */
    unsigned newest;              /* of parts */
    bool is_con;
    bool probes; /* whether the peer speaks Q-Block; the request waits */
    bool has_tag;
    uint8_t tag[4];

    /* Sending, Q-Block1. */
    copal_msg *sending; /* NULL: nothing, or answered */
    uint16_t size;
    uint32_t count, next;
    uint64_t again; /* blocks sent again so far */
    uint64_t pause;
    struct cp_timer pace;

    /* Collecting, Q-Block2. */
    copal_msg *head; /* the first part that came: its options are the whole's */
    struct cp_qblock_body body;
    unsigned tries, restarts;
    struct cp_timer wait;
};

/* a's, made if need be. NULL: out of memory. */
struct cp_qblock_ask *cp_qblock_ask_get(copal_exchange *x);
void cp_qblock_ask_free(copal_exchange *x);

/* Sends m, a request of its own beside the user's or a part of it, under a new
 * token; num: which block. COPAL_ELIMIT: MAX_PAYLOADS are under way; COPAL_ENOMEM
 * and those of the link. */
int cp_qblock_ask_send(struct cp_qblock_ask *q, copal_msg *m, uint32_t num);

/* The request goes by Block1 and Block2; is_refused: it may be that the peer
 * does not know better. */
void cp_qblock_ask_fall_back(copal_exchange *x, bool is_refused);

/* qblock_out.c: verdicts. */
int cp_qblock_out_request(copal_exchange *x, copal_msg *m);
int cp_qblock_out_response(copal_exchange *x, const copal_msg *m);
/* A block's flight is over. */
void cp_qblock_out_flown(struct cp_qblock_ask *q, struct cp_flight *f,
                         int status);
void cp_qblock_out_stop(struct cp_qblock_ask *q);

/* qblock_in.c: a verdict. */
int cp_qblock_in_response(copal_exchange *x, copal_msg **m);
void cp_qblock_in_forget(struct cp_qblock_ask *q);

/* ---- Server ---- */

/* Sends the parts of an answer. */
struct cp_qblock_answer {
    copal_exchange *x;
    copal_msg *whole;           /* without Observe */
    struct cp_block_kept *kept; /* whose sender it is; NULL: sends a list */
    uint16_t size;
    uint32_t count, next;
    uint32_t list[CP_MAX_PAYLOADS]; /* or just these */
    uint8_t listed, at;
    bool is_con, has_observe;
    uint32_t observe;
    uint64_t pause;
    struct cp_timer pace;
};

/* qblock_upload.c: a request with Q-Block1. A verdict. */
int cp_qblock_upload_in(copal_exchange *x, copal_msg **m);

/* qblock_done.c: a body was complete, and late blocks of it are nothing new. */
void cp_qblock_done_note(struct cp_engine *e, uint64_t key);
bool cp_qblock_done_has(struct cp_engine *e, uint64_t key);
void cp_qblock_done_clear(struct cp_engine *e);

/* qblock_answer.c: a request with Q-Block2. A verdict. */
int cp_qblock_answer_in(copal_exchange *x, copal_msg *m);
/* An answer. A verdict. */
int cp_qblock_answer_out(copal_exchange *x, copal_msg *m);
void cp_qblock_answer_free(copal_exchange *x);

/* Nothing more is sent for x, which ends without another word. */
void cp_qblock_answer_finish(copal_exchange *x);

#endif
