/* What values the parameters of COPAL_PARAMS may have, and where. */
#ifndef CP_WIRE_PARAMS_H
#define CP_WIRE_PARAMS_H

#include "base/bytes.h"
#include "base/mem.h"

/* May p be set to value where: 'E' for an endpoint, 'S' for the peers under a
 * URI prefix, 'M' for one message? 0, or with a sentence in mem: COPAL_EINVAL:
 * no such parameter, not there, or out of range; COPAL_ENOTSUP: what it tunes
 * is not built in, so that only its default is accepted. */
int cp_params_check(struct cp_mem *mem, copal_param p, int64_t value,
                    char where);

#endif
