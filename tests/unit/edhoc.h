/* Two ends of EDHOC for tests: what each has, and the traces of RFC 9529. */
#ifndef TESTS_EDHOC_H
#define TESTS_EDHOC_H

#include "secure/edhoc.h"
#include "vectors.h"

enum {
    MOST_OWN = 2,
    MOST_KNOWN = 8
};

/* One end: keys of its own, of at most two curves, and whom it knows. */
struct end {
    struct cp_edhoc_setup setup;
    struct cp_edhoc session;
    struct end_own {
        uint8_t curve, secret[CP_CURVE_KEY];
        copal_bytes id, cred;
    } own[MOST_OWN];
    size_t own_count;
    copal_bytes known[MOST_KNOWN]; /* credentials, an item each */
    size_t known_count;
    struct cp_edhoc_cid cid; /* that it chooses */
    unsigned asked;          /* how often for a credential */
};

/* A session that has methods and suites by their numbers, -1 the end. */
void end_init(struct end *e, struct cp_mem *mem, struct cp_aeads *aeads,
              unsigned methods, const int *suites);
void end_own(struct end *e, enum cp_curve curve, copal_bytes secret,
             copal_bytes id, copal_bytes cred);
void end_knows(struct end *e, copal_bytes cred);
void end_begin(struct end *e, bool is_initiator);

/* Built without a library. */
bool has_curves(void);

/* ---- Traces ---- */

enum {
    TRACE = 4096 /* bytes of all values of one that are asked for */
};

struct trace {
    json_t *document, *values;
    uint8_t bytes[TRACE];
    size_t used;
};

void trace_open(struct trace *t, int index);
void trace_close(struct trace *t);

/* The value in a section that begins so; form: how it begins, or NULL. It is
 * good until the trace is closed. What is not there fails the test. */
copal_bytes trace_get(struct trace *t, const char *section, const char *label,
                      const char *form);

#define assert_bytes_equal(a, b) assert_bytes_equal_at(a, b, __LINE__)
void assert_bytes_equal_at(copal_bytes a, copal_bytes b, int line);

#endif
