/* What is known of an option from its number: wire/options.def, by look-up. */
#ifndef CP_WIRE_OPTION_H
#define CP_WIRE_OPTION_H

#include "base/bytes.h"

enum cp_option_format {
    CP_EMPTY,
    CP_OPAQUE,
    CP_STRING,
    CP_UINT
};
enum cp_oscore_class {
    CP_CLASS_E = 1,
    CP_CLASS_U = 2,
    CP_CLASS_EU = 3
};

struct cp_option_def {
    uint16_t number;
    uint16_t shortest, longest; /* bytes */
    uint8_t format;             /* enum cp_option_format */
    uint8_t oscore;             /* enum cp_oscore_class */
    bool repeatable;
    const char *name;
};

/* NULL: not in the table. */
const struct cp_option_def *cp_option_find(unsigned number);

/* What a message with that code means by it: signals have options of their own
 * under numbers that others have, too. RFC 8323 5.2. NULL: nothing known. */
const struct cp_option_def *cp_option_of(unsigned code, unsigned number);

/* By name, any case. NULL: not in the table. */
const struct cp_option_def *cp_option_named(const char *name);

/* COPAL_SIGNAL_OPTION() of the first signal that has one of that name, any case.
 * COPAL_ENOENT. */
int cp_option_of_signal(const char *name);

/* Bits of the number, also of unknown options. RFC 7252 5.4.6. */
static inline bool cp_option_is_critical(unsigned number)
{
    return number & 1;
}

static inline bool cp_option_is_unsafe(unsigned number)
{
    return number >> 1 & 1;
}

static inline bool cp_option_is_no_cache_key(unsigned number)
{
    return (number & 0x1e) == 0x1c;
}

#endif
