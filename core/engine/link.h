/* Where datagrams leave and come: a socket, or a host of the simulator. A path
 * says which two addresses and which interface they travel between. */
#ifndef CP_ENGINE_LINK_H
#define CP_ENGINE_LINK_H

#include "base/address.h"

struct cp_link;
struct cp_connection;
struct cp_engine;

struct cp_link_ops {
    const char *name; /* "udp", ... as traces show it */
    int (*send)(struct cp_link *l, const struct cp_path *path,
                copal_bytes data); /* copied now */
    /* Would what is sent now be lost here already? NULL: never. */
    bool (*is_blocked)(const struct cp_link *l);
    /* Of connections, else NULL. What was sent leaves first, then it closes, and
     * cp_engine_closed() is called later. */
    void (*close)(struct cp_link *l);
    /* Of connections, may be NULL: the peer's CSM came. */
    void (*agreed)(struct cp_link *l);
    /* The proven name of who is at path->remote; NULL: none. May be NULL. */
    const char *(*identity)(const struct cp_link *l,
                            const struct cp_path *path);
};

struct cp_link {
    const struct cp_link_ops *ops;
    struct cp_engine *engine; /* hears what comes: cp_engine_datagram() */
    int scheme;               /* enum cp_scheme */
    uint16_t number;          /* from 1, given by cp_engine_attach() */
    uint32_t mark;            /* the end of its paths in recordings */
    bool is_simulated;        /* whom it reaches is as good as on loopback */
    struct cp_connection *connection; /* the engine's; NULL: datagrams */
    const char *host;     /* as we asked for it; NULL: we were asked */
    const char *identity; /* proven name of who is at its end; NULL: none */
};

static inline bool cp_link_is_blocked(const struct cp_link *l)
{
    return l->ops->is_blocked != NULL && l->ops->is_blocked(l);
}

/* Never calls back into the engine before it returns; trouble with a datagram
 * that left is told later, by cp_engine_undelivered(). */
static inline int cp_link_send(struct cp_link *l, const struct cp_path *path,
                               copal_bytes data)
{
    return l->ops->send(l, path, data);
}

#endif
