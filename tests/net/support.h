/* What tests with real sockets have in common. */
#ifndef TESTS_NET_SUPPORT_H
#define TESTS_NET_SUPPORT_H

#include <stddef.h>
#include <stdint.h>
#include <copal.h>

uint64_t now_ms(void); /* monotonic */

/* Waits until one of these endpoints, which may be NULL, has something to do,
 * or for limit ms, and lets each go on. */
void step_all(copal *const *all, size_t count, int limit);

/* Descriptors of this process, and one or two besides: to be compared. */
int open_fds(void);

#endif
