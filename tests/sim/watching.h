/* What the tests of watches share: one that writes down what it hears, and what
 * it watches. */
#ifndef TESTS_SIM_WATCHING_H
#define TESTS_SIM_WATCHING_H

#include "support.h"

enum {
    MAX_AGE = 20,      /* s, of what the server gives */
    REFRESHED = 36,    /* s: by then it was asked for, RFC 7641 3.3.1 */
    FOUND_SILENT = 46, /* s: by then silence was noticed */
    FOUND_BACK = 130   /* s: and by then a return */
};

#define URI "coap://server/t"

/* What the watcher heard, as one line: "R" a response with its payload, "S"
 * silent, "+" resumed, "E" the end. Static in each test, as END comes with the
 * tear-down. */
struct watch {
    struct world *world;
    char heard[1024];
    char text[256]; /* of SILENT or END */
    char last[32];  /* the newest payload */
    size_t len;     /* and its length */
    bool is_silent; /* told so last; it never comes twice in a row */
    int silents, ends;
    int silent_status, end_status, code;
    uint64_t silent_at, end_at, heard_at;
    copal_exchange *x;
    bool frees_at_silence;
};

/* Watches URI; silence: ms, 0: by Max-Age. */
void watch(struct world *w, struct watch *h, const char *uri, int64_t silence);

/* The same with a message of one's own, which is let go of. */
void watch_message(struct world *w, struct watch *h, copal_msg *m);

/* What is served at /t. */
struct value {
    char text[16];
    uint32_t max_age; /* s; UINT32_MAX: says nothing of it */
    const char *etag; /* NULL: none */
    int code;         /* 0: 2.05 */
    size_t size;      /* of a body that begins with text; 0: just that */
    int gets;
};

void serve_value(struct world *w, struct value *v, unsigned flags);
void change(struct world *w, struct value *v, const char *text);

void run_seconds(struct world *w, unsigned seconds);

/* All is lost, or nothing. */
void cut(struct world *w);
void mend(struct world *w);

/* The server dies; it begins anew, with v if that is not NULL. */
void kill_server(struct world *w);
void begin_server(struct world *w, struct value *v);

#endif
