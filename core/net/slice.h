/* Whose turn it is, among connections that bring more than can be dealt with at
 * once: each reads a little, then the sockets of all others are looked at. */
#ifndef CP_NET_SLICE_H
#define CP_NET_SLICE_H

#include "base/list.h"

struct cp_loop;

/* What waits for its slice; made by cp_slice_init(). */
struct cp_slice {
    struct cp_list node;
    void (*go_on)(struct cp_slice *s); /* within no turn */
};

void cp_slice_init(struct cp_slice *s, void (*go_on)(struct cp_slice *s));

/* go_on() is called once, after those who wait already; unless it is left before.
 * Who waits may wait again. */
void cp_slice_wait(struct cp_loop *l, struct cp_slice *s);
void cp_slice_leave(struct cp_slice *s);
bool cp_slice_waits(const struct cp_slice *s);

/* When its latest turn began the loop had been busy for so long that others are to
 * come first. */
bool cp_slice_is_over(const struct cp_loop *l);

#endif
