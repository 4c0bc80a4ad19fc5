/* The server's exchange from inside: for the engine's own files. */
#ifndef CP_ENGINE_ANSWER_CORE_H
#define CP_ENGINE_ANSWER_CORE_H

#include "engine/answer.h"
#include "engine/exchange.h"
#include "engine/reliable.h"
#include "wire/block.h"

struct cp_block_partial;
struct cp_param_value;
struct cp_qblock_answer;
struct cp_seen;

/* What of an answer's body the asker wants by Q-Block2, RFC 9177 4.4. */
struct cp_qblock_wish {
    bool is_offered;
    bool goes_on;  /* "Continue" with the set that begins with the first */
    uint8_t count; /* of nums; 0: all of it */
    uint16_t size; /* of blocks, at most */
    uint32_t nums[10];
};

struct cp_answer {
    copal_exchange x; /* x.request: as the user sees it, its body whole */
    struct cp_handler *handler; /* NULL until the site found it */
    struct cp_link *link;       /* NULL: asked from within (cp_answer_ask) */
    copal_msg *wire; /* the request that the next message answers; NULL: all
                      * that came were answered */
    struct cp_seen *seen;     /* of wire; NULL: not kept */
    struct cp_flight flight;  /* of a separate answer */
    struct cp_timer separate; /* its ACK, or its leisure, is over then */
    copal_msg *late;          /* the answer to a group's, until it may leave */
    struct cp_event arrival, end;
    struct cp_param_value *params;

    bool dispatched; /* the user was told of the request */
    bool answered;   /* the user gave the answer */
    bool acked;      /* wire had its empty ACK: the answer goes separately */
    bool asker_left; /* amid its upload, as far as is known: it may go on */
    bool registers, deregisters;    /* Observe 0 or 1, noted on the way in */
    bool wants_block, echoes_block; /* Block2 asked for; Block1 to be echoed */
    struct cp_block want, echo;
    uint16_t most_block; /* bytes to who is not proven to be there; 0: any */
    uint16_t reserve;    /* bytes of his that are for a notification */
    bool gives_echo;     /* the answer is to bring an Echo: fresh_guard.h */
    bool is_proven;      /* known by now: who asks is there */

    /* Its place among MAX_EXCHANGES: answer_place.h. */
    struct cp_list place, of_share; /* while nobody has shown to be there */
    uint16_t share;
    bool has_place, gave_way;

    /* More than one message answers wire; they are confirmable or not. */
    bool stays, confirms;
    struct cp_qblock_wish wish;
    struct cp_qblock_answer *qblock; /* what sends them; NULL: none */
    struct cp_block_partial *upload; /* whose newest block wire is */

    void (*done)(void *user, const copal_msg *answer); /* asked from within */
    void *done_user;
};

static inline struct cp_answer *cp_answer_of(copal_exchange *x)
{
    return cp_container_of(x, struct cp_answer, x);
}

/* A request from the wire. *m is the caller's reference and may be replaced;
 * seen: its place in the dedup store, or NULL. */
void cp_answer_request(struct cp_engine *e, struct cp_link *link, copal_msg **m,
                       struct cp_seen *seen);

/* An exchange of request that stages see nothing of yet. NULL: out of memory, as
 * if the network had lost it. */
struct cp_answer *cp_answer_begin(struct cp_engine *e, struct cp_link *link,
                                  copal_msg *request, struct cp_seen *seen);

/* Answers errors found on the way in, by an exchange that is over with that and
 * needs no place among MAX_EXCHANGES. */
void cp_answer_at_once(struct cp_engine *e, struct cp_link *link,
                       const copal_msg *request, struct cp_seen *seen, int code,
                       const char *diagnostic);

/* The same with m, and sealed where request is. */
void cp_answer_with(struct cp_engine *e, struct cp_link *link,
                    const copal_msg *request, struct cp_seen *seen,
                    copal_msg *m);

/* A request that may not be acted upon, as a repeat could not be told from it:
 * 5.03, kept by nobody. */
void cp_answer_full(struct cp_engine *e, struct cp_link *link,
                    const struct cp_path *path, const struct cp_header *h);

/* An exchange for more answers to wire, which had its first. NULL: out of
 * memory, or MAX_EXCHANGES reached. */
copal_exchange *cp_answer_open(struct cp_engine *e, struct cp_link *link,
                               copal_msg *wire);

/* Who waits for an answer that will not come is told: 5.03. */
void cp_answer_say_unavailable(struct cp_answer *a);

/* Over: everything but the memory goes, users may hold the handle for long. */
void cp_answer_finish(copal_exchange *x);

/* ---- answer_wire.c: the request that the next message answers ---- */

void cp_answer_wire_set(struct cp_answer *a, copal_msg *wire,
                        struct cp_seen *seen);

/* It was answered, or never will be. */
void cp_answer_wire_done(struct cp_answer *a);

/* Its empty ACK goes now: the answer comes separately. RFC 7252 5.2.2. */
void cp_answer_wire_ack(struct cp_answer *a);

/* The same after SEPARATE_AFTER, unless it was answered by then. */
void cp_answer_wire_expect(struct cp_answer *a);

/* later's request is what the next message of x answers: the next part of a
 * transfer. later ends without an answer of its own. */
void cp_answer_wire_adopt(copal_exchange *x, copal_exchange *later);

/* ---- answer_send.c ---- */

/* m as it is, at once. */
int cp_answer_send_now(struct cp_answer *a, const copal_msg *m, uint8_t type,
                       uint16_t mid);

/* x ends without an answer; a confirmable request is acknowledged. */
void cp_answer_keep_silent(copal_exchange *x);

/* The same, or separately, and with the Echo that it is to bring; or what may go
 * in its place: fresh_guard.h. To who asked a group nothing may:
 * CP_FRESH_TOO_LONG. */
int cp_answer_send_guarded(struct cp_answer *a, copal_msg *m);

/* The answer has left: over, unless a transfer goes on or it is yet to be
 * acknowledged. */
void cp_answer_sent(struct cp_answer *a);

/* A message of a stage's own, code alone, then x is over. */
int cp_answer_send_simple(const struct cp_stage *stage, copal_exchange *x,
                          int code, const char *diagnostic);

/* ---- answer_late.c ---- */

/* m answers what came to a group: later, or, beyond GROUP_RATE, never. */
int cp_answer_late(struct cp_answer *a, copal_msg *m);

/* ---- answer_param.c ---- */

void cp_answer_param_clear(struct cp_answer *a);

#endif
