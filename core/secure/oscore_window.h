/* Which Partial IVs came already. RFC 8613 7.4, 3.2.2. */
#ifndef CP_SECURE_OSCORE_WINDOW_H
#define CP_SECURE_OSCORE_WINDOW_H

#include <stdbool.h>
#include <stdint.h>

enum {
    CP_OSCORE_WINDOW = 32, /* messages, the default */
    CP_OSCORE_WINDOW_MOST = 1024
};

/* Zero but for size at first. */
struct cp_oscore_window {
    uint64_t next; /* one above the highest that came */
    uint32_t size;
    uint64_t seen[CP_OSCORE_WINDOW_MOST / 64]; /* a ring: by seq modulo it */
};

/* It did not come yet, as far as is known. Nothing is noted: that is for what
 * has proven genuine. */
bool cp_oscore_window_is_new(const struct cp_oscore_window *w, uint64_t seq);
void cp_oscore_window_note(struct cp_oscore_window *w, uint64_t seq);

/* Nothing up to seq is new from now on. RFC 8613 B.1.2. */
void cp_oscore_window_begin(struct cp_oscore_window *w, uint64_t seq);

#endif
