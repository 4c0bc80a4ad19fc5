#include "wire/option.h"
#include <strings.h>

/* Where each option stands in the table below. */
enum {
#define OPTION(number, name, format, shortest, longest, repeatable, oscore) \
    ROW_##number,
#include "wire/options.def"
#undef OPTION
    ROW_COUNT
};

static const struct cp_option_def table[ROW_COUNT] = {
#define OPTION(number, name, format, shortest, longest, repeatable, oscore) \
    [ROW_##number] = {(number),          (shortest),   (longest), CP_##format, \
                      CP_CLASS_##oscore, (repeatable), (name)},
#include "wire/options.def"
#undef OPTION
};

/* Every option of every message comes by here; the compiler makes a jump table
 * of the dense numbers and a few comparisons of the rest. */
const struct cp_option_def *cp_option_find(unsigned number)
{
    switch (number) {
#define OPTION(number, name, format, shortest, longest, repeatable, oscore) \
    case number: \
        return &table[ROW_##number];
#include "wire/options.def"
#undef OPTION
    default: return NULL;
    }
}

const struct cp_option_def *cp_option_named(const char *name)
{
    for (size_t i = 0; i < ROW_COUNT; i++)
        if (strcasecmp(table[i].name, name) == 0)
            return &table[i];
    return NULL;
}
