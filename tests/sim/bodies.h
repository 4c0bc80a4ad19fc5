/* What the tests of bodies share: parties that send and collect them, on either
 * side, and a peer that is played by hand. */
#ifndef TESTS_SIM_BODIES_H
#define TESTS_SIM_BODIES_H

#include "support.h"

enum {
    LONGEST_BODY = 2097152
};

/* A callback, and what it is to do. One that serves answers a REQUEST with
 * size bytes of version, writes them at PULLs, and answers a streamed request
 * at its last CHUNK. */
struct party {
    struct party *next;
    struct world *w;
    /* What it heard, a line an event, "2.05 350 bytes\n", "end OK\n". */
    char log[4096];
    int requests, responses, chunks, pulls, ends, drops, progresses;
    int status;           /* of END; 1 until then */
    int code;             /* of the newest message */
    copal_exchange *x;    /* of the newest event */
    copal_exchange *kept; /* the same, ref'd, if holds is set */
    copal_msg *msg;       /* the newest of RESPONSE or REQUEST, ref'd */
    uint8_t *body;        /* the newest, put together */
    size_t len;
    uint64_t pull_at;
    size_t want;
    bool is_asked;
    /* What it does. */
    bool holds;  /* answers and writes nothing by itself */
    bool pauses; /* at each message and CHUNK */
    int answer;  /* code; 0: 2.05 */
    size_t size; /* of the body it gives */
    unsigned version;
    const char *etag; /* NULL: none */
    int format;       /* COPAL_NO_FORMAT at first */
    unsigned flags;   /* of the answer: COPAL_NON, COPAL_STREAM_OUT */
    int size_option;  /* adds this one with the size; 0: none */
};

/* Fixtures as in support.h; they check the parties, too. */
int build_bodies(void **state);
int tear_down_bodies(void **state);

/* A play with parties in a world of its own, where nothing fails. */
void bodies_once(scenario *play);

/* bad_weather() for plays with parties; loss and duplication as there. */
void bodies_in_bad_weather(scenario *play, unsigned seeds);
void bodies_with_failed_allocations(scenario *play);

/* n bytes; versions differ everywhere. Good until the next call. */
copal_bytes body_of(size_t n, unsigned version);

/* It holds exactly that. */
void assert_body(const struct party *p, size_t n, unsigned version);
void assert_log(const struct party *p, const char *expected);

/* Serves size bytes of version 1. */
struct party *serve_body(struct world *w, int method, const char *path,
                         unsigned flags, size_t size);

/* A request still to be sent, with size bytes of version 1 (0: no body). */
copal_msg *request_of(struct world *w, int code, const char *uri, size_t size);
/* Sends m and lets go of it. */
struct party *send_request(struct world *w, copal_msg *m);
struct party *ask_body(struct world *w, int code, const char *uri, size_t size);
struct party *observe_body(struct world *w, const char *uri);
/* The i-th of several that do not share one registration, though they ask for
 * the same: by a parameter that observations do not heed. */
struct party *observe_apart(struct world *w, const char *uri, int i);

/* What a serving party gives now, at its PULL or for its REQUEST. */
int give(struct party *p);

/* Lets go of what a party holds. */
void release(struct party *p);

/* ---- A peer played by hand ---- */

/* What an endpoint, mostly the client, sent last: heard by its trace. */
struct tap {
    int count; /* messages so far, empty ones and repeats aside */
    unsigned mid;
    char code[8], type[8];
    uint8_t token[8];
    size_t token_len;
    char line[4096];
};

struct tap *tap_of(copal *c); /* the latest call's is the one that hears */
struct tap *tap_client(struct world *w);

/* Puts an answer to the client on its way, as from "server": text has type,
 * code and options as the transcript shows them, besides "obs=N", "size1=N",
 * "size2=N", "echo=HEX": "ACK 2.05 2:0/1/64 etag=0a". The payload is of version,
 * where Block2 says. mid 0: that of the tapped message. */
void play(struct world *w, const struct tap *t, const char *text, unsigned mid,
          copal_bytes payload);

/* A message of that kind; of a request the method and the URI come first. */
copal_msg *message_of(copal *c, const char *text);

#endif
