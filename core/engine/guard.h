/* Messages protected end to end (OSCORE), as the engine sees it: a table that
 * copal.c hands over, for secure/ is above. It is no stage, for what is sealed is
 * not only what passes the stages: notifications, their repeats with another
 * Max-Age, sets of blocks and what stands in for an answer leave by themselves.
 * So a request keeps what protects it, its guard, and whatever answers it is
 * sealed where it is encoded. Above that line all is plain. RFC 8613. */
#ifndef CP_ENGINE_GUARD_H
#define CP_ENGINE_GUARD_H

#include "base/list.h"
#include "engine/link.h"
#include "wire/message.h"

struct cp_ask;
struct cp_engine;
struct cp_seen;
struct cp_token;

enum cp_guard_verdict {
    CP_GUARD_DONE,
    CP_GUARD_REFUSED, /* a request: it gets an answer of this layer's own */
    CP_GUARD_AGAIN,   /* an answer: the request is to be sealed once more */
    CP_GUARD_LATER    /* not yet: cp_guard_ready() will be called */
    /* or COPAL_E* */
};

struct cp_guard_ops {
    /* A request that came, *m, with an OSCORE option: becomes what was sealed in
     * it, with its guard. REFUSED: *answer is to be sent to *m, sealed if *m has
     * a guard by now. COPAL_E*: it is as if it had been lost. */
    int (*open)(void *user, copal_msg **m, copal_msg **answer);

    /* An answer to request, which has a guard, sealed in *out. COPAL_E*. */
    int (*seal)(void *user, const copal_msg *request, const copal_msg *m,
                copal_msg **out);

    /* What protects requests of ours to that target, ref'd. NULL: nothing. */
    struct cp_guard *(*way)(void *user, const struct cp_target *to);

    /* A request of ours, sealed in *out; *guard is what binds its answers.
     * before: what binds those under the same token until now; NULL: nothing. */
    int (*seal_request)(void *user, struct cp_guard *way, const copal_msg *m,
                        const struct cp_guard *before, struct cp_guard **guard,
                        copal_msg **out);

    /* An answer that came, *m, to what guard binds: becomes what was sealed in
     * it. COPAL_EAUTH: not genuine; COPAL_EEXIST: a notification that came
     * before, or is older than one that did. */
    int (*open_answer)(void *user, struct cp_guard *guard, copal_msg **m);

    /* m, an error that is not protected, answers what way protects: is the
     * request to be sealed once more, for the peer may have lost what way has?
     * NULL: never. */
    bool (*is_lost)(void *user, struct cp_guard *way, const copal_msg *m);
};

struct cp_protection {
    const struct cp_guard_ops *ops; /* NULL: not built in */
    void *user;
    bool asks;              /* there are ways for requests of ours */
    bool by_edhoc;          /* and such as are still to be made: asks stays
                             * true, and ops hears an EDHOC option, too */
    struct cp_list waiting; /* of cp_ask.sealing: CP_GUARD_LATER */
};

/* What sealing adds to a message of ours at most: an option with a Partial IV,
 * the code, a marker, the tag. */
enum {
    CP_GUARD_MORE = 28
};

/* Bytes that can be sealed at once: AES-CCM with nonces of 13 bytes takes 65535
 * (RFC 3610 2), of which some are for what tells blocks apart. */
enum {
    CP_GUARD_MOST = 65000
};

/* ---- Server ---- */

/* False: *m was answered, or is nobody's. */
bool cp_guard_open(struct cp_engine *e, struct cp_link *link, copal_msg **m,
                   struct cp_seen *seen);

/* m as it answers request on the wire, ref'd: itself where nothing protects
 * that. COPAL_E*. */
int cp_guard_answer(struct cp_engine *e, const copal_msg *request,
                    const copal_msg *m, copal_msg **out);

/* Observations under a context that is gone end. */
void cp_guard_gone(struct cp_engine *e, const void *whose);

/* ---- Client ---- */

/* a's request is protected from now on, if its URI says so. */
void cp_guard_ask_begin(struct cp_ask *a);

/* m as it leaves under the token t, and what binds its answers. 0 or COPAL_E*;
 * LATER: it will be sent by itself. */
int cp_guard_ask(struct cp_ask *a, copal_msg *m, struct cp_guard **guard,
                 copal_msg **out);

/* An answer came to what *at carried, which was protected. 0: *m is what was
 * sealed in it, and *at what it answers; else it was dealt with. */
int cp_guard_hear(struct cp_engine *e, struct cp_link *link,
                  struct cp_token **at, copal_msg **m, struct cp_seen *seen);

/* a does not wait to be sealed any more. */
void cp_guard_ask_stop(struct cp_ask *a);

/* What waited for CP_GUARD_LATER is tried again. status: 0, or why it cannot
 * be, with its sentence. From within a turn. */
void cp_guard_ready(struct cp_engine *e, const struct cp_guard *way, int status,
                    const char *why);

#endif
