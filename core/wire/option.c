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

/* RFC 8323 5.3 to 5.6, RFC 8974 2.2.1. */
static const struct {
    uint8_t code;
    struct cp_option_def def;
} of_signals[] = {
    {COPAL_CODE(7, 1),
     {2, 0, 4, CP_UINT, CP_CLASS_U, false, "Max-Message-Size"}},
    {COPAL_CODE(7, 1),
     {4, 0, 0, CP_EMPTY, CP_CLASS_U, false, "Block-Wise-Transfer"}},
    {COPAL_CODE(7, 1),
     {6, 0, 3, CP_UINT, CP_CLASS_U, false, "Extended-Token-Length"}},
    {COPAL_CODE(7, 2), {2, 0, 0, CP_EMPTY, CP_CLASS_U, false, "Custody"}},
    {COPAL_CODE(7, 3), {2, 0, 0, CP_EMPTY, CP_CLASS_U, false, "Custody"}},
    {COPAL_CODE(7, 4),
     {2, 1, 255, CP_STRING, CP_CLASS_U, true, "Alternative-Address"}},
    {COPAL_CODE(7, 4), {4, 0, 3, CP_UINT, CP_CLASS_U, false, "Hold-Off"}},
    {COPAL_CODE(7, 5), {2, 0, 2, CP_UINT, CP_CLASS_U, false, "Bad-CSM-Option"}},
};

const struct cp_option_def *cp_option_of(unsigned code, unsigned number)
{
    if (code >> 5 != 7)
        return cp_option_find(number);
    for (size_t i = 0; i < sizeof(of_signals) / sizeof(of_signals[0]); i++)
        if (of_signals[i].code == code && of_signals[i].def.number == number)
            return &of_signals[i].def;
    return NULL;
}

int cp_option_of_signal(const char *name)
{
    for (size_t i = 0; i < sizeof(of_signals) / sizeof(of_signals[0]); i++)
        if (strcasecmp(of_signals[i].def.name, name) == 0)
            return COPAL_SIGNAL_OPTION(of_signals[i].code,
                                       of_signals[i].def.number);
    return COPAL_ENOENT;
}

const struct cp_option_def *cp_option_named(const char *name)
{
    for (size_t i = 0; i < ROW_COUNT; i++)
        if (strcasecmp(table[i].name, name) == 0)
            return &table[i];
    return NULL;
}
