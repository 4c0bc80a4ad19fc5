/* MAX_MEMORY: what is begun for others stops before memory runs out, so that
 * what was promised can still be kept. */
#ifndef CP_ENGINE_MEMORY_H
#define CP_ENGINE_MEMORY_H

#include <stdbool.h>
#include <stdint.h>

struct cp_engine;

/* Where MAX_MEMORY is set: may something new be begun for a request, or, if
 * goes_on, may what was begun go on? The last eighth of it is for the latter, and
 * half of that for the answers alone. Before anything is refused give way, so
 * many at a time: answers kept for repeats that may be given anew, bodies that
 * can be asked for again, and what is kept for addresses at which nobody has
 * shown to be. */
bool cp_memory_has_room(struct cp_engine *e, bool goes_on);

/* What of it is held by whoever uses the endpoint, and could be let go of: a script
 * that is handed nothing more collects no garbage. */
struct cp_shortage {
    void (*tell)(void *user); /* NULL: nobody wants to know */
    void *user;
    bool is_new;   /* something was refused in this turn */
    uint64_t told; /* ms; at most once a second, since it may cost much */
};

/* Where callbacks are called, if is_new: tells of it. */
void cp_memory_tell_shortage(struct cp_engine *e);

#endif
