/* Who speaks Q-Block1 and Q-Block2, and who only seems to: for test_qblock*.c. */
#ifndef TESTS_SIM_QBLOCK_H
#define TESTS_SIM_QBLOCK_H

#include "bodies.h"

#define PATH "coap://server/path"

enum {
    BLOCK = 64,
    MANY = 25 * BLOCK - 7 /* bytes: three sets */
};

/* Blocks of BLOCK, by RFC 9177. */
void speak(copal *c);
void both_speak(struct world *w);

/* PATH, by the client and at the server; size: bytes of body. */
struct party *ask_path(struct world *w, int code, size_t size, unsigned flags);
struct party *serve_path(struct world *w, int method, size_t size);

/* As if from made it; the first word is its type. */
void inject_as(struct world *w, const char *from, const char *to,
               const char *text, uint16_t mid, copal_bytes token,
               copal_bytes payload);
/* The same to the server, with a token of one byte. */
void stranger_sends(struct world *w, const char *from, const char *text,
                    uint16_t mid, uint8_t token, copal_bytes payload);

#endif
