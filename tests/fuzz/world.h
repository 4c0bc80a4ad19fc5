/* What fuzzers of sequences have in common: an input taken step by step,
 * memory that is counted, and a look at what endpoints of the simulator
 * send. */
#ifndef COPAL_FUZZ_WORLD_H
#define COPAL_FUZZ_WORLD_H

#include <copal_sim.h>
#include "engine/link.h"
#include "fuzz.h"
#include "wire/datagram.h"

/* ---- Input ---- */

struct input {
    const uint8_t *at, *end; /* what is left */
};

/* The next byte; one that is missing is 0. */
unsigned take(struct input *in);

/* Up to n bytes. */
copal_bytes take_bytes(struct input *in, size_t n);

/* From 0 to 250 s, ms: what timers of the protocol have, and a little more. */
uint64_t take_time(struct input *in);

/* ---- Memory ---- */

/* As copal_config wants it: user points to the size_t that counts the bytes
 * handed out. */
void *counting_realloc(void *user, void *p, size_t n);

/* ---- What crosses the wire ---- */

enum {
    MAX_SENT = 16
};

/* Listens at a host: what it sends is decoded and the newest of it kept, with
 * type, message id, token, and to whom in path.remote. on_sent hears all. */
struct tap {
    struct cp_link_ops ops;
    const struct cp_link_ops *real;
    copal_msg *sent[MAX_SENT];
    size_t count;
    void (*on_sent)(void *user, const struct cp_address *to,
                    copal_bytes datagram); /* may be NULL */
    void *user;
};

void tap_open(struct tap *t, copal_sim *sim, const char *host);

/* Lets go of the messages kept. */
void tap_close(struct tap *t);

/* Once all taps are closed, and all that was made up was sent. */
void require_no_messages(void);

/* What was sent so many messages ago; NULL: nothing yet. */
const copal_msg *tap_recall(const struct tap *t, unsigned back);

/* ---- Messages made up ---- */

/* A message to be encoded. Not of any endpoint. */
copal_msg *make_message(int code);

/* Puts it on the way to host, as copal_sim_inject(), and lets go of it. */
void inject_message(copal_sim *sim, const char *from, const char *host,
                    copal_msg *m, unsigned type, unsigned mid,
                    copal_bytes token);

/* len bytes, 3584 at most, of a text that repeats itself late. */
copal_bytes some_body(size_t offset, size_t len);

#endif
