/* A user's callback for requests, counted: exchanges and observations that
 * still need it keep it alive after its resource is gone. */
#ifndef CP_ENGINE_HANDLER_H
#define CP_ENGINE_HANDLER_H

#include <copal.h>
#include <stdbool.h>
#include "base/mem.h"

struct cp_handler {
    struct cp_mem *mem;
    unsigned refs;
    unsigned flags;  /* COPAL_OBSERVABLE, COPAL_STREAMED, ... */
    bool is_own;     /* not the user's */
    uint64_t number; /* its owner's: no other has it, whatever memory it gets */
    copal_cb cb;
};

/* NULL: out of memory, and cb.drop was called. */
struct cp_handler *cp_handler_new(struct cp_mem *mem, unsigned flags,
                                  copal_cb cb);
static inline struct cp_handler *cp_handler_ref(struct cp_handler *h)
{
    if (h != NULL)
        h->refs++;
    return h;
}

/* The last one calls cb.drop. */
void cp_handler_unref(struct cp_handler *h);

#endif
