/* What tests of the message layer need beyond support.h: handlers that take
 * their time, datagrams made by hand, and a look at the bytes sent. */
#ifndef TESTS_SIM_SERVERS_H
#define TESTS_SIM_SERVERS_H

#include "support.h"

enum {
    MAX_KEPT = 8,
    MAX_TAPPED = 64
};

/* A handler that keeps the exchanges it is asked by until the test answers. It
 * is gone with its endpoint. */
struct kept {
    struct record *record;
    copal_exchange *x[MAX_KEPT];
    size_t count;
};
struct kept *serve_kept(struct world *w, const char *path);

/* Answers the i-th, and lets go of it. */
int reply_kept(struct kept *k, size_t i, int code, const char *text);
void let_go_kept(struct kept *k, size_t i);

/* Serves path by a handler that replies after ms, from a timer. */
struct record *serve_after(struct world *w, const char *path, uint64_t ms,
                           const char *text);

/* Puts a datagram on its way; spaces in hex are skipped. */
void inject_hex(struct world *w, const char *from, const char *to,
                const char *hex);

/* The datagrams that c sends, as lines of trace: times and what tells a
 * repetition from a first one are left out. */
struct tap {
    char sent[MAX_TAPPED][MAX_RECORDED];
    size_t count;
    unsigned mid;   /* of the newest */
    char token[40]; /* likewise, in hex */
};
struct tap *tap(copal *c);

/* Sends what the format makes of arguments, in hex, to client. */
void inject_made(struct world *w, const char *from, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

#endif
