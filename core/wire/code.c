#include "wire/code.h"
#include <strings.h>

enum {
    CODE_COUNT = 256,
    DOTTED_LEN = 4 /* "2.05" */
};

static const char *const names[CODE_COUNT] = {
#define CODE(class, detail, name) [COPAL_CODE(class, detail)] = (name),
#include "wire/codes.def"
#undef CODE
};

/* "0.00" to "7.31": an unknown code's name has to live for ever, too. */
#define TENTH(c, d) \
#c "." #d "0", #c "." #d "1", #c "." #d "2", #c "." #d "3", #c "." #d "4", \
        #c "." #d "5", #c "." #d "6", #c "." #d "7", #c "." #d "8", \
        #c "." #d "9"
#define CLASS(c) TENTH(c, 0), TENTH(c, 1), TENTH(c, 2), #c ".30", #c ".31"

static const char dotted[CODE_COUNT][DOTTED_LEN + 1] = {
    CLASS(0), CLASS(1), CLASS(2), CLASS(3),
    CLASS(4), CLASS(5), CLASS(6), CLASS(7),
};

struct format {
    uint16_t number;
    const char *name;
};

static const struct format formats[] = {
#define FORMAT(number, name) {(number), (name)},
#include "wire/formats.def"
#undef FORMAT
};

enum {
    FORMAT_COUNT = sizeof(formats) / sizeof(formats[0])
};

static const struct format short_names[] = {
    {COPAL_TEXT, "text"},
    {COPAL_LINKS, "links"},
    {COPAL_OCTETS, "octets"},
};

const char *cp_code_name(int code)
{
    if (code < 0 || code >= CODE_COUNT)
        return "?";
    return names[code] != NULL ? names[code] : dotted[code];
}

/* What follows "2.05 " in a known code's name; a method's whole name. */
static const char *phrase_of(int code)
{
    bool has_number = cp_code_class(code) != 0;

    return names[code] + (has_number ? DOTTED_LEN + 1 : 0);
}

static int number_of_phrase(const char *phrase)
{
    for (int code = 0; code < CODE_COUNT; code++)
        if (names[code] != NULL && strcasecmp(phrase_of(code), phrase) == 0)
            return code;
    return COPAL_ENOENT;
}

int cp_code_number(const char *name)
{
    for (int code = 0; code < CODE_COUNT; code++) {
        if (strncmp(dotted[code], name, DOTTED_LEN) != 0)
            continue;
        if (name[DOTTED_LEN] == '\0')
            return code;
        /* "2.05 Content", but not "2.05 Created". */
        if (name[DOTTED_LEN] == ' ' &&
            number_of_phrase(name + DOTTED_LEN + 1) == code)
            return code;
        return COPAL_ENOENT;
    }
    return number_of_phrase(name);
}

const char *cp_format_name(int format)
{
    size_t low = 0, high = FORMAT_COUNT;

    while (low < high) {
        size_t middle = (low + high) / 2;

        if (formats[middle].number == format)
            return formats[middle].name;
        if (formats[middle].number < format)
            low = middle + 1;
        else
            high = middle;
    }
    return NULL;
}

/* Reads 0 to 65535, all of text. */
static int read_number(const char *text)
{
    int number = 0;

    if (*text == '\0')
        return COPAL_ENOENT;
    for (; *text != '\0'; text++) {
        if (*text < '0' || *text > '9')
            return COPAL_ENOENT;
        number = number * 10 + (*text - '0');
        if (number > UINT16_MAX)
            return COPAL_ENOENT;
    }
    return number;
}

/* "senml+cbor" for "application/senml+cbor", "text/plain" for
 * "text/plain;charset=utf-8". */
static bool is_short_for(const char *text, const char *full)
{
    static const char prefix[] = "application/";
    size_t len = strcspn(full, ";");

    if (strchr(full, '@') != NULL)
        return false;
    if (strncmp(full, prefix, sizeof(prefix) - 1) == 0) {
        full += sizeof(prefix) - 1;
        len -= sizeof(prefix) - 1;
    }
    return strlen(text) == len && strncasecmp(text, full, len) == 0;
}

static int number_of_short_name(const char *name)
{
    int found = COPAL_ENOENT;

    for (size_t i = 0; i < sizeof(short_names) / sizeof(*short_names); i++)
        if (strcasecmp(short_names[i].name, name) == 0)
            return short_names[i].number;
    for (size_t i = 0; i < FORMAT_COUNT; i++) {
        if (!is_short_for(name, formats[i].name))
            continue;
        if (found != COPAL_ENOENT)
            return COPAL_ENOENT; /* it could mean either */
        found = formats[i].number;
    }
    return found;
}

int cp_format_number(const char *name)
{
    int number = read_number(name);

    if (number >= 0)
        return number;
    for (size_t i = 0; i < FORMAT_COUNT; i++)
        if (strcasecmp(formats[i].name, name) == 0)
            return formats[i].number;
    return number_of_short_name(name);
}
