/* What is said of the places that are served: link attributes, and the
 * document /.well-known/core that holds them all. RFC 6690. */
#ifndef CP_SERVE_WELLKNOWN_H
#define CP_SERVE_WELLKNOWN_H

#include "base/buf.h"
#include "serve/tree.h"

/* Adds an attribute to p, or replaces the one that may stand only once. value
 * NULL: none. COPAL_EINVAL with a sentence: name; COPAL_ENOMEM. */
int cp_wellknown_describe(struct cp_mem *mem, struct cp_place *p,
                          const char *name, const char *value);

/* Each attribute that p has. */
void cp_wellknown_each(const struct cp_place *p,
                       void (*fn)(void *user, const char *name,
                                  const char *value),
                       void *user);

/* Forgets all that was said of p. */
void cp_wellknown_forget(struct cp_mem *mem, struct cp_place *p);

/* Is format among those that "ct" names? Also true where nothing is said of
 * it, or something that is not a list of numbers. RFC 7252 7.2.1. */
bool cp_wellknown_allows(const struct cp_place *p, uint64_t format);

/* Appends the links of all places but patterns and unlisted ones, in the order
 * of the list, through their member listed. */
void cp_wellknown_put(const struct cp_list *places, struct cp_buf *out);

/* A copal_cb's fn: answers GET /.well-known/core. user is the site. */
void cp_wellknown_on_request(const copal_event *ev, void *user);

#endif
