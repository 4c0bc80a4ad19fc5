/* EDHOC of an endpoint: sessions by CoAP, and the OSCORE contexts they end in.
 * RFC 9528 A, RFC 9668.
 *   edhoc_hub.c     what both roles share
 *   edhoc_server.c  who asks us: the resource /.well-known/edhoc
 *   edhoc_client.c  whom we ask: a request waits until there is a context
 *   edhoc_way.c     what is sealed, and what comes with an EDHOC option */
#ifndef CP_SECURE_EDHOC_HUB_H
#define CP_SECURE_EDHOC_HUB_H

#include "base/heap.h"
#include "engine/guard.h"
#include "secure/edhoc_keys.h"
#include "secure/oscore.h"

#define CP_EDHOC_PATH "/.well-known/edhoc"

enum {
    CP_EDHOC_FORMAT = 64,     /* application/edhoc+cbor-seq */
    CP_EDHOC_CID_FORMAT = 65, /* application/cid-edhoc+cbor-seq */
    CP_EDHOC_OF_PEER = 4      /* contexts that one peer has at once */
};

struct cp_edhoc_hub {
    struct cp_mem *mem;
    struct cp_engine *engine;
    struct cp_oscore *oscore;
    struct cp_aeads *aeads;
    struct cp_edhoc_keys keys;
    bool is_served;           /* the resource is there */
    struct cp_list half_open; /* who asks us, the oldest first */
    size_t half_open_count;
    struct cp_list made; /* contexts of who asked us, the oldest first */
    size_t made_count;
    struct cp_list keyings; /* whom we ask */
    size_t keying_count;
};

/* NULL: out of memory. oscore outlives it. */
struct cp_edhoc_hub *cp_edhoc_hub_new(struct cp_mem *mem, struct cp_engine *e,
                                      struct cp_oscore *oscore);

/* The engine has ended. hub may be NULL. */
void cp_edhoc_hub_free(struct cp_edhoc_hub *hub);

/* As copal_use_edhoc() and copal_forget() of these; who was proven by what is
 * gone is to prove itself anew. */
int cp_edhoc_hub_use(struct cp_edhoc_hub *hub, const char *scope,
                     const struct cp_edhoc_spec *spec);
int cp_edhoc_hub_forget(struct cp_edhoc_hub *hub, const char *scope);

/* A copal_cb's fn: answers POST to CP_EDHOC_PATH. user is the hub. */
void cp_edhoc_hub_on_post(const copal_event *ev, void *user);

/* Protects requests of ours, and hears combined ones; around OSCORE's own. */
extern const struct cp_guard_ops cp_edhoc_guard;

/* ---- Among its files ---- */

/* A session of the hub's, by what a scope has. */
struct cp_edhoc_work {
    struct cp_edhoc_hub *hub;
    struct cp_edhoc_scope *scope; /* ref'd */
    const char *host;             /* whom we ask; NULL: we are asked */
    struct cp_edhoc session;
};

/* w keeps its place in memory. */
void cp_edhoc_work_begin(struct cp_edhoc_work *w, struct cp_edhoc_hub *hub,
                         struct cp_edhoc_scope *scope, const char *host);
void cp_edhoc_work_end(struct cp_edhoc_work *w);

/* What the session agreed upon, as a context of OSCORE; *out is ref'd. */
int cp_edhoc_work_install(struct cp_edhoc_work *w, struct cp_guard **out);

/* Lets go of sessions, contexts, whom we ask. */
void cp_edhoc_server_clear(struct cp_edhoc_hub *hub);
void cp_edhoc_client_clear(struct cp_edhoc_hub *hub);
void cp_edhoc_client_forget(struct cp_edhoc_hub *hub,
                            const struct cp_edhoc_scope *scope);

/* Is one of theirs called so on our side? */
bool cp_edhoc_server_has(const struct cp_edhoc_hub *hub, copal_bytes cid);
bool cp_edhoc_client_has(const struct cp_edhoc_hub *hub, copal_bytes cid);

/* A request with an EDHOC option, RFC 9668 3.3: becomes the OSCORE request in
 * it. As guard ops' open(). */
int cp_edhoc_server_combined(struct cp_edhoc_hub *hub, copal_msg **m,
                             copal_msg **answer);

#endif
