/* The public names of errors and numbers, over the tables that define them.
 *
 * Most names are literals and live for ever. The two that have to be made are
 * kept in storage of the calling thread, since the library has no globals that
 * threads would share:
 *  - names of parameters, COPAL_PARAMS in lower case: one slot each, so that
 *    they stay good as long as the thread;
 *  - names of unknown options and formats, their numbers in digits: a ring of
 *    RING slots, so that a name is good for RING - 1 further ones. */
#include <stdio.h>
#include <strings.h>
#include "wire/code.h"
#include "wire/option.h"

enum {
    RING = 8,
    NUMBER_TEXT = 12,
    PARAM_TEXT = 24
};

const char *copal_strerror(int error)
{
    switch (error) {
#define X(name, number, text) \
    case -(number): return (text);
        COPAL_ERRORS(X)
#undef X
    case COPAL_OK: return "no error";
    default: return "unknown error";
    }
}

const char *copal_errname(int error)
{
    switch (error) {
#define X(name, number, text) \
    case -(number): return #name;
        COPAL_ERRORS(X)
#undef X
    case COPAL_OK: return "OK";
    default: return "?";
    }
}

static const char *name_of_number(int number)
{
    static _Thread_local char ring[RING][NUMBER_TEXT];
    static _Thread_local unsigned next;
    char *text = ring[next++ % RING];

    snprintf(text, NUMBER_TEXT, "%d", number);
    return text;
}

/* Where each parameter stands in the table below. */
enum {
#define X(name, number, value, where, what) ROW_##name,
    COPAL_PARAMS(X)
#undef X
    PARAM_COUNT
};

static const struct {
    int number;
    const char *name; /* upper case */
} params[PARAM_COUNT] = {
#define X(name, number, value, where, what) [ROW_##name] = {(number), #name},
    COPAL_PARAMS(X)
#undef X
};

#define X(name, number, value, where, what) \
    _Static_assert(sizeof(#name) <= PARAM_TEXT, #name " has no room");
COPAL_PARAMS(X)
#undef X

static const char *name_of_param(int number)
{
    static _Thread_local char lower[PARAM_COUNT][PARAM_TEXT];

    for (size_t i = 0; i < PARAM_COUNT; i++) {
        const char *upper = params[i].name;

        if (params[i].number != number)
            continue;
        for (size_t k = 0; upper[k] != '\0'; k++) {
            bool is_letter = upper[k] >= 'A' && upper[k] <= 'Z';

            lower[i][k] = (char)(is_letter ? upper[k] | 0x20 : upper[k]);
        }
        return lower[i];
    }
    return name_of_number(number);
}

static int number_of_param(const char *name)
{
    for (size_t i = 0; i < PARAM_COUNT; i++)
        if (strcasecmp(params[i].name, name) == 0)
            return params[i].number;
    return COPAL_ENOENT;
}

static const char *name_of_option(int number)
{
    int code = number / 65536; /* of a signal: COPAL_SIGNAL_OPTION() */
    bool is_signal = code >= COPAL_CODE(7, 0) && code <= COPAL_CODE(7, 31);
    int own = is_signal ? number % 65536 : number;
    const struct cp_option_def *o =
        is_signal ? cp_option_of((unsigned)code, (unsigned)own)
                  : cp_option_find((unsigned)own);

    return o != NULL ? o->name : name_of_number(own);
}

static int number_of_option(const char *name)
{
    const struct cp_option_def *o = cp_option_named(name);

    return o != NULL ? o->number : cp_option_of_signal(name);
}

static const char *name_of_format(int number)
{
    const char *name = cp_format_name(number);

    return name != NULL ? name : name_of_number(number);
}

const char *copal_name(copal_registry r, int number)
{
    switch (r) {
    case COPAL_CODES: return cp_code_name(number);
    case COPAL_FORMATS: return name_of_format(number);
    case COPAL_OPTIONS: return name_of_option(number);
    case COPAL_PARAMETERS: return name_of_param(number);
    }
    return "?";
}

int copal_number(copal_registry r, const char *name)
{
    if (name == NULL)
        return COPAL_ENOENT;
    switch (r) {
    case COPAL_CODES: return cp_code_number(name);
    case COPAL_FORMATS: return cp_format_number(name);
    case COPAL_OPTIONS: return number_of_option(name);
    case COPAL_PARAMETERS: return number_of_param(name);
    }
    return COPAL_ENOENT;
}
