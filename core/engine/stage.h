/* A stage sees every message of an exchange pass: in, from wire to
 * application, and out, the other way. It may replace the message, keep it,
 * answer it, or send others of its own through the stages below it. */
#ifndef CP_ENGINE_STAGE_H
#define CP_ENGINE_STAGE_H

#include <copal.h>

enum cp_verdict {
    CP_PASS, /* on to the next stage                            */
    CP_KEPT  /* mine now; nothing more happens with this message */
    /* or a negative COPAL_E*: the exchange ends with it */
};

/* *m is the caller's reference; a stage that replaces it unrefs the old one
 * and leaves a reference of its own. */
struct cp_stage {
    const char *name;
    int (*in)(copal_exchange *x, copal_msg **m);
    int (*out)(copal_exchange *x, copal_msg **m);
    void (*end)(copal_exchange *x); /* let go of what you kept; may be NULL */
};

/* Stages of an endpoint, the one nearest the wire first. */
struct cp_stages {
    const struct cp_stage *const *list;
    size_t count;
};

int cp_pass_in(struct cp_stages s, copal_exchange *x, copal_msg **m);
int cp_pass_out(struct cp_stages s, copal_exchange *x, copal_msg **m);

/* Sends m as if it came from just above stage: only stages below see it. */
int cp_pass_out_below(struct cp_stages s, const struct cp_stage *stage,
                      copal_exchange *x, copal_msg **m);

/* The exchange is over: every stage lets go. */
void cp_pass_end(struct cp_stages s, copal_exchange *x);

#endif
