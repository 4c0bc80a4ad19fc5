/* Paths as copal_serve() takes them, read segment by segment:
 * "/sensors/{name}/raw", "/files/" and a star, or a star alone. */
#ifndef CP_SERVE_PATTERN_H
#define CP_SERVE_PATTERN_H

#include "base/bytes.h"
#include "base/mem.h"

enum {
    CP_MAX_SEGMENT = 255
}; /* bytes, decoded: RFC 7252 5.10 */

struct cp_pattern_step {
    int kind; /* enum cp_place_kind */
    size_t len;
    char text[CP_MAX_SEGMENT]; /* the segment decoded, or the name */
};

/* COPAL_EINVAL with a sentence: not a pattern. 0: *rest is for
 * cp_pattern_next(). */
int cp_pattern_check(struct cp_mem *mem, const char *pattern,
                     const char **rest);

/* The next segment. False: there is none. */
bool cp_pattern_next(const char **rest, struct cp_pattern_step *out);

/* A plain path as copal_msg_path() gives it: only "%" and two hex digits mean
 * something else than they are. COPAL_ENOMEM if m cannot hold it, COPAL_EINVAL
 * with a sentence if it does not begin with "/" or a segment is too long. */
int cp_pattern_add_path(struct cp_mem *mem, copal_msg *m, const char *path);

#endif
