/* How long a flight waits between its transmissions: RFC 7252 4.2, or by what
 * was measured (CONGESTION). */
#ifndef CP_ENGINE_WAIT_H
#define CP_ENGINE_WAIT_H

#include "engine/reliable.h"

/* It leaves now: the first wait, from the one planned; of a NON how long it
 * keeps its place. */
void cp_wait_choose(struct cp_flight *f);

/* It is sent again now: the next wait, twice the last unless CoCoA knows
 * better. */
void cp_wait_back_off(struct cp_flight *f);

/* ms to its peer and back; 0: unknown. */
uint32_t cp_wait_round_trip(const struct cp_flight *f);

/* It is acknowledged: what does that say of the path? Before it ends. */
void cp_wait_measure(struct cp_flight *f);

#endif
