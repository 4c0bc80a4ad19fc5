/* Callbacks as they travel. */
#ifndef CP_BASE_CALLBACK_H
#define CP_BASE_CALLBACK_H

#include <copal.h>
#include <stddef.h>

/* Lets go of cb, which may have nothing to let go of: once for each, and last
 * of all, as its drop may call anything. */
static inline void cp_cb_drop(copal_cb cb)
{
    if (cb.drop != NULL)
        cb.drop(cb.user);
}

#endif
