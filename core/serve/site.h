/* The site: paths to callbacks. Dispatches every request of an endpoint, and
 * answers itself what needs no user: 4.04, 4.05, 4.06, 4.12, 4.15, 5.05 and
 * /.well-known/core. */
#ifndef CP_SERVE_SITE_H
#define CP_SERVE_SITE_H

#include "base/mem.h"
#include "engine/answer.h"

struct cp_site;
struct cp_engine;

/* NULL: out of memory. */
struct cp_site *cp_site_new(struct cp_mem *mem, struct cp_engine *e, copal *c);

/* Drops every callback. */
void cp_site_free(struct cp_site *s);

/* The engine's on_request; user is the site. */
void cp_site_on_request(const copal_event *ev, void *user);

/* Flags of the handler that would get request, COPAL_STREAMED etc.; -1: none
 * would (an error is the answer). For stages that must know before the whole
 * body is there. user is the site. */
int cp_site_flags(void *user, const copal_msg *request);

/* As the public functions of that name; copal.c forwards them. */
int cp_site_serve(struct cp_site *s, int method, const char *path,
                  unsigned flags, copal_cb cb);
int cp_site_unserve(struct cp_site *s, const char *path);
int cp_site_describe(struct cp_site *s, const char *path, const char *name,
                     const char *value);
copal_bytes cp_site_links(struct cp_site *s);
int cp_site_notify(struct cp_site *s, const char *path);

/* What is served and said there, as calls would bring it about: for each method
 * of a path serve, then describe for each attribute. COPAL_ENOMEM. */
struct cp_site_calls {
    void (*serve)(void *user, int method, const char *path, unsigned flags,
                  bool has_callback);
    void (*describe)(void *user, const char *path, const char *name,
                     const char *value);
    void *user;
};
int cp_site_each(const struct cp_site *s, const struct cp_site_calls *calls);

#endif
