/* The driver over libuv: its life, and running it. */
#ifndef CP_NET_LOOP_H
#define CP_NET_LOOP_H

#include "engine/driver.h"

struct cp_loop;
struct uv_loop_s;

/* On shared, or on a loop of its own when that is NULL. NULL: out of memory or
 * of descriptors; mem's sentence says which. */
struct cp_driver *cp_loop_new(struct cp_mem *mem, struct uv_loop_s *shared);

/* For net/udp.c: the loop's memory lives until every handle opened was closed. */
void cp_loop_handle_opened(struct cp_loop *l);
void cp_loop_handle_closed(struct cp_loop *l);

#endif
