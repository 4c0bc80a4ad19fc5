/* Places among MAX_EXCHANGES for who asks us. Anybody can make up sources, and
 * have each begin what takes minutes to be given up: a body in blocks whose
 * rest never comes, or a request whose handler takes its time. So those that
 * begin from addresses at which nobody has shown to be (fresh_guard.h) are at
 * most MAX_UNPROVEN, and give way, oldest first: to each other, to who needs a
 * place where none is left, and to their own source once that has its share.
 * Once half of the places are taken no source has more than a 16th of all, its
 * ports and the rest of an IPv6 /64 together. RFC 7252 11.3, RFC 8516. */
#ifndef CP_ENGINE_ANSWER_PLACE_H
#define CP_ENGINE_ANSWER_PLACE_H

#include "base/list.h"
#include "engine/dedup.h"

struct cp_answer;
struct cp_engine;

struct cp_places {
    struct cp_list unproven; /* struct cp_answer, in the order they came */
    size_t unproven_count;
    size_t leaving; /* gave way, and are counted until their END was told */
    struct {
        struct cp_list unproven;
        size_t count; /* also those who have shown to be there */
    } shares[CP_DEDUP_SHARES];
};

void cp_places_init(struct cp_engine *e);

/* Makes room for one more from remote: 0, or the code with which the request
 * is refused, 5.03 or 4.29. */
int cp_answer_place_make(struct cp_engine *e, struct cp_link *link,
                         const struct cp_address *remote);

/* a, a request from the wire, has a place; it may be without one already. */
void cp_answer_place_take(struct cp_answer *a);
void cp_answer_place_leave(struct cp_answer *a);

/* The oldest of who has not shown to be there gives way; false: there is
 * none. */
bool cp_answer_place_free_one(struct cp_engine *e, const char *limit);

#endif
