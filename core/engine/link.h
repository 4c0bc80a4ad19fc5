/* A stack of byte layers between the network and the engine, bottom up:
 * udp | udp,tls | tcp | tcp,tls | tcp,ws | tcp,tls,ws. Layers know their
 * neighbours only as struct cp_link. A path says which two addresses and which
 * interface bytes travel between; on a connection it is always the same. */
#ifndef CP_ENGINE_LINK_H
#define CP_ENGINE_LINK_H

#include "base/address.h"

struct cp_link;
struct cp_engine;

struct cp_link_ops {
    const char *name;                 /* "udp", "tls", ... as traces show it */
    void (*ready)(struct cp_link *l); /* below: may send             */
    void (*recv)(struct cp_link *l, const struct cp_path *path,
                 copal_bytes data);              /* below: bytes came  */
    void (*gone)(struct cp_link *l, int status); /* below: no more     */
    int (*send)(struct cp_link *l, const struct cp_path *path,
                copal_bytes data);    /* above: bytes to go, copied now */
    void (*close)(struct cp_link *l); /* above: done        */
};

struct cp_link {
    const struct cp_link_ops *ops;
    struct cp_link *below;    /* NULL: this is a socket   */
    struct cp_link *above;    /* NULL: the engine is next */
    struct cp_engine *engine; /* where above is NULL */
    int scheme;               /* enum cp_scheme of the whole stack */
};

/* send never calls back into the layer above before it returns; trouble
 * reaches it later through gone, or for one datagram through
 * cp_engine_undelivered(). */
int cp_link_send(struct cp_link *from, const struct cp_path *path,
                 copal_bytes data);
void cp_link_recv(struct cp_link *from, const struct cp_path *path,
                  copal_bytes data);

#endif
