/* What a peer sends that each time wants an answer, or is in vain: more than ten a
 * second in the long run are a flood, a few at once are none. */
#ifndef CP_ENGINE_FLOOD_H
#define CP_ENGINE_FLOOD_H

#include <stdbool.h>
#include <stdint.h>

/* ms: what came so far is paid for then. */
struct cp_flood {
    uint64_t paid;
};

/* One more came. True: that is a flood. */
static inline bool cp_flood_is_on(struct cp_flood *f, uint64_t now)
{
    enum {
        EVERY = 100,   /* ms: so many are taken in the long run */
        AT_ONCE = 1000 /* ms of that */
    };

    if (f->paid < now)
        f->paid = now;
    f->paid += EVERY;
    return f->paid > now + AT_ONCE + EVERY;
}

#endif
