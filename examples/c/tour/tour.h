/* What the stops of the tour share: how they speak, and how they ask. */
#ifndef TOUR_H
#define TOUR_H

#include <copal.h>
#include <stdbool.h>

/* A heading; what is done; what came of it; and a fact that has to hold. One
 * that does not makes the tour fail at its end. */
void step(const char *number, const char *what);
void did(const char *format, ...) __attribute__((format(printf, 1, 2)));
void came(const char *format, ...) __attribute__((format(printf, 1, 2)));
void hold(int fact, const char *sentence);
int facts_broken(void);

/* The tour's scheme is that of uri; creds is a file of credentials, or NULL. */
void tour_by(const char *uri, const char *creds);

/* An endpoint with these credentials; config may be NULL. NULL, with a word on
 * stderr: out of memory, or what is wrong with them. */
copal *endpoint(const copal_config *config);

/* "127.0.0.1:0" and the like behind the tour's scheme, as at() does it. */
const char *by(const char *place);

/* The port that the tour's scheme means when none is said. */
int usual_port(void);
bool has_credentials(void);

/* All that a request leads to. */
struct answer {
    copal *c;
    copal_msg *msg;     /* ref'd; NULL if none came */
    int status;         /* of END */
    char sentence[256]; /* of END, when status is not 0 */
    uint64_t began, ms; /* on the endpoint's clock; how long it took */
    int over;
};

/* The copal_cb that fills an answer and, at END, stops the loop. */
copal_cb into(struct answer *a);

/* Sends m and runs the endpoint until the answer is there. It is good until
 * the next ask(). */
struct answer *ask(copal *c, copal_msg *m);
struct answer *get(copal *c, const char *uri);
void done_asking(void);

/* base and path in one, good until the third next call. */
const char *at(const char *base, const char *path);

/* The stops. uri is the demo server's, uri6 the same over IPv6, or NULL. */
void tour_messages(copal *c);
void tour_handles(copal *c, const char *uri);
void tour_endpoint(void);
void tour_responses(copal *c, const char *uri, const char *uri6);
void tour_parallel(copal *c, const char *uri);
void tour_errors(copal *c, const char *uri);
void tour_observe(copal *c, const char *uri);
void tour_blocks(copal *c, const char *uri);
void tour_whoami(copal *c, const char *uri, const char *uri6);
void tour_serving(void);
void tour_shutdown(const char *uri);

#endif
