#include "engine/handler.h"
#include "base/callback.h"

struct cp_handler *cp_handler_new(struct cp_mem *mem, unsigned flags,
                                  copal_cb cb)
{
    struct cp_handler *h = cp_alloc(mem, sizeof(*h));

    if (h == NULL) {
        cp_cb_drop(cb);
        return NULL;
    }
    *h = (struct cp_handler){.mem = mem, .refs = 1, .flags = flags, .cb = cb};
    return h;
}

void cp_handler_unref(struct cp_handler *h)
{
    copal_cb cb;

    if (h == NULL || --h->refs > 0)
        return;
    cb = h->cb;
    cp_free(h->mem, h);
    cp_cb_drop(cb);
}
