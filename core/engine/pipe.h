/* A stream of bytes to one peer, in layers: TCP, TLS over it, WebSocket over
 * that. Each knows the one below, to which it hands bytes, and the one above,
 * which hears what came. Who is on top hands messages to the engine
 * (net/stream.c); who is at the bottom owns a socket (net/tcp.c). */
#ifndef CP_ENGINE_PIPE_H
#define CP_ENGINE_PIPE_H

#include "base/bytes.h"

struct cp_pipe;

struct cp_pipe_ops {
    /* From below; each may end in close() of the pipes below. */
    void (*opened)(struct cp_pipe *p); /* bytes may go */
    /* As long as has_more() is true what came is left for another turn: nothing
     * is read, and empty bytes make it go on. */
    void (*bytes)(struct cp_pipe *p, copal_bytes bytes);
    bool (*has_more)(const struct cp_pipe *p);
    void (*drained)(struct cp_pipe *p); /* what was queued is less again */
    /* So many bytes are held of something that is not all there yet; 0: it is.
     * On top only. False: there is no room for that. */
    bool (*amid)(struct cp_pipe *p, size_t held);
    /* The last call: it hands that on, and frees itself. status: 0, or
     * COPAL_E*; why: a sentence, good for the call. */
    void (*closed)(struct cp_pipe *p, int status, const char *why);

    /* From above. send copies; COPAL_ECLOSED, COPAL_ELIMIT: too much waits
     * already; COPAL_ENOMEM. close lets what was sent leave first; closed()
     * follows, never from inside. */
    int (*send)(struct cp_pipe *p, copal_bytes bytes);
    void (*close)(struct cp_pipe *p);
    /* As close(), but once what was sent has left nobody waits for the peer. */
    void (*dismiss)(struct cp_pipe *p);
    void (*cut)(struct cp_pipe *p);            /* as close(), at once */
    size_t (*queued)(const struct cp_pipe *p); /* bytes that have not left */
    /* At the bottom only: has_more() of what is above may have come true by
     * itself. */
    void (*more)(struct cp_pipe *p);
};

struct cp_pipe {
    const struct cp_pipe_ops *ops;
    struct cp_pipe *below, *above;
    const char *identity; /* proven name of the peer, where TLS is; or NULL */
};

/* The proven name of who is at the other end; NULL: none. */
static inline const char *cp_pipe_identity(const struct cp_pipe *p)
{
    while (p != NULL && p->identity == NULL)
        p = p->below;
    return p == NULL ? NULL : p->identity;
}

/* Puts above on top of below. */
static inline void cp_pipe_join(struct cp_pipe *above, struct cp_pipe *below)
{
    above->below = below;
    below->above = above;
}

#endif
