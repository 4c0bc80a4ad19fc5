/* The world an engine runs in: a loop with sockets, or the simulator. The
 * engine and core/copal.c know it only as this table. */
#ifndef CP_ENGINE_DRIVER_H
#define CP_ENGINE_DRIVER_H

#include "base/list.h"
#include "engine/link.h"

struct cp_buf;
struct cp_credentials;
struct cp_driver;
struct cp_security;
struct cp_uri;

enum {
    CP_MAX_WAYS = 8
};

/* One way to a peer: the link that leads there and both addresses. */
struct cp_way {
    struct cp_link *link;
    struct cp_path path;
};

/* A way being looked for. Input is set by the asker and stays valid until
 * done was called or unroute() took it back. */
struct cp_route {
    struct cp_list node; /* the driver's, while it works on it */
    void *work;          /* the driver's */
    void *work_user;     /* the asker's */
    uint32_t number;     /* the recorder's */

    int scheme;
    const char *host;          /* name or literal, "%zone" allowed */
    struct cp_address address; /* what host says, where that is known */
    uint16_t port;
    struct cp_address from; /* family 0: any */
    uint32_t if_index;      /* 0: any */

    /* Called at most once, never from inside route(). status 0: ways are
     * filled, the best first; else COPAL_E* and why is the sentence. */
    void (*done)(struct cp_route *r, int status, const char *why);
    size_t count;
    struct cp_way ways[CP_MAX_WAYS]; /* last: only so many are ever written */
};

/* What is shown to who asks over HTTP, written anew each time. */
struct cp_page {
    void (*fn)(void *user, struct cp_buf *out);
    void *user;
};

struct cp_driver_ops {
    bool is_virtual; /* its time has nothing to do with the world's */

    /* Monotonic, ms. */
    uint64_t (*now)(struct cp_driver *d);

    /* From any thread: a turn is due soon. Needed only outside turns. */
    void (*wake)(struct cp_driver *d);

    /* 0: r->ways is filled, done will not be called; 1: done will be; else
     * COPAL_E*, sentence noted with cp_why(). Opens sockets as needed. */
    int (*route)(struct cp_driver *d, struct cp_route *r);
    void (*unroute)(struct cp_driver *d, struct cp_route *r);

    /* As copal_listen(), base already read from text. */
    int (*listen)(struct cp_driver *d, const struct cp_uri *base,
                  const char *text, unsigned flags);
    const char *(*local)(const struct cp_driver *d, size_t i);
    /* As the public functions of that name. NULL: there are no sockets. */
    int (*take_over)(struct cp_driver *d, int fd);
    int (*hand_over)(struct cp_driver *d, size_t i);
    /* As copal_join(), copal_leave() and copal_interface(). */
    int (*join)(struct cp_driver *d, const struct cp_uri *group,
                const char *if_name, bool leave);
    const char *(*interface)(struct cp_driver *d, size_t i, uint32_t *index);
    /* As copal_allow_origin() and copal_allow_host(). */
    int (*allow)(struct cp_driver *d, const char *origin);
    int (*allow_host)(struct cp_driver *d, const char *name);

    /* As the public functions of that name. */
    int (*run)(struct cp_driver *d);
    void (*stop)(struct cp_driver *d); /* any thread, any signal handler */
    int (*fd)(const struct cp_driver *d);
    int (*timeout)(const struct cp_driver *d);
    int (*step)(struct cp_driver *d);

    /* As copal_metrics(). NULL: there is no world to listen to. */
    int (*metrics)(struct cp_driver *d, const char *where, struct cp_page page);

    /* Closes everything and frees d; the engine is gone already and links
     * must not be used any more. May finish on the shared loop's next turn. */
    void (*close)(struct cp_driver *d);
};

/* First member of struct cp_loop and of a simulated host. */
struct cp_driver {
    const struct cp_driver_ops *ops;
    struct cp_mem *mem;
    struct cp_engine *engine; /* set by core/copal.c right after birth */
    const struct cp_security *security; /* likewise; NULL: there is none */
    struct cp_credentials *credentials; /* likewise: for security */
    void *owner;

    /* Called by the driver once it has left engine code and its own loop's
     * callbacks, after a turn that made cp_engine_is_condemned() true (the
     * user called copal_free() from a callback). Frees engine and driver: the
     * driver must not touch itself afterwards. */
    void (*condemned)(void *owner);
};

#endif
