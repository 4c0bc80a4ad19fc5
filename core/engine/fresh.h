/* Echo, RFC 9175 2, in both roles: the stage nearest the wire. As a server we
 * ask with it whether somebody is where a request says it came from, before
 * much is sent there (RFC 9175 2.4 item 3, RFC 7252 11.3): fresh_guard.h. As a
 * client we send back what a server asks us with: fresh_ask.c. */
#ifndef CP_ENGINE_FRESH_H
#define CP_ENGINE_FRESH_H

#include "engine/fresh_known.h"
#include "engine/stage.h"

extern const struct cp_stage cp_fresh;

struct cp_freshness {
    uint8_t key[16];        /* of our Echo values; as old as the endpoint */
    struct cp_known proven; /* addresses at which somebody is */
    struct cp_known heard;  /* Echo values of servers, for the next request */
};

void cp_fresh_init(struct cp_engine *e);
void cp_fresh_clear(struct cp_engine *e);

/* The Echo option of m, or NULL. */
static inline const struct cp_option *cp_fresh_option(const copal_msg *m)
{
    if (m->option_count == 0 ||
        m->options[m->option_count - 1].number < COPAL_OPT_ECHO)
        return NULL; /* options stand in order */
    return cp_msg_find(m, COPAL_OPT_ECHO);
}

/* A copy of m with this Echo value instead of any other. NULL: out of
 * memory. */
copal_msg *cp_fresh_with(const copal_msg *m, copal_bytes value);

/* ---- fresh_ask.c: the client's halves of the stage, verdicts ---- */

int cp_fresh_ask_in(copal_exchange *x, const copal_msg *m);
int cp_fresh_ask_out(copal_exchange *x, copal_msg **m);

#endif
