/* What a run came to, as tables for scripts. */
#ifndef COPAL_LUA_BENCH_RESULTS_H
#define COPAL_LUA_BENCH_RESULTS_H

#include "bench/load.h"

#include <lua.h>

/* Of a run that is over: counters by their names, elapsed and cpu in seconds,
 * and { lane = struct bench_lane as a table } for down and up. */
void bench_results_push(lua_State *L, const struct bench_load *l);

/* Of one that goes on, up to now. */
void bench_results_push_interval(lua_State *L, const struct bench_load *l);

#endif
