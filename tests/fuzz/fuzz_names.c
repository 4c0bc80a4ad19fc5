/* Any text as the name of something in a registry: what is known has a name,
 * and by that the same number, in either case of letters. Then a parameter and
 * a value for it. */
#include <ctype.h>
#include <stdio.h>
#include "decoder.h"
#include "wire/code.h"
#include "wire/option.h"
#include "wire/params.h"

static void change_case(char *text)
{
    for (; *text != '\0'; text++)
        *text = (char)(islower((unsigned char)*text)
                           ? toupper((unsigned char)*text)
                           : tolower((unsigned char)*text));
}

static void check_name(copal_registry r, char *text)
{
    int number = copal_number(r, text);
    const char *name;

    require(number >= 0 || number == COPAL_ENOENT);
    if (number < 0)
        return;
    require(number <= 65535 ||
            (r == COPAL_OPTIONS && number >> 21 == 7)); /* of a signal */
    name = copal_name(r, number);
    require(name != NULL && name[0] != '\0');
    /* An unknown format has its number, but an unknown option no name. */
    require(copal_number(r, name) == number);
    change_case(text);
    require(copal_number(r, text) == number);
    change_case(text);
}

static void check_number(int number)
{
    for (int r = COPAL_CODES; r <= COPAL_PARAMETERS; r++) {
        const char *name = copal_name((copal_registry)r, number);
        int back = copal_number((copal_registry)r, name);

        require(name[0] != '\0');
        /* Two signals may call an option alike. */
        require(back == number || back == COPAL_ENOENT ||
                strcmp(name, copal_name((copal_registry)r, back)) == 0);
    }
    require(copal_strerror(number)[0] != '\0');
    require(copal_errname(number)[0] != '\0');
}

static void check_parameter(copal_bytes rest)
{
    int p = (int)take_number(&rest, 1);
    char where = "ESM"[take_number(&rest, 1) % 3];
    int64_t value = (int64_t)take_number(&rest, 8);
    int err = cp_params_check(memory(), (copal_param)p, value, where);

    require(err == 0 || err == COPAL_EINVAL || err == COPAL_ENOTSUP);
    require(err == 0 || cp_why_text(memory())[0] != '\0');
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    copal_bytes rest = cp_bytes(data, size);
    char *text = text_of(take_until(&rest, '\n'));

    for (int r = COPAL_CODES; r <= COPAL_PARAMETERS; r++)
        check_name((copal_registry)r, text);
    cp_free(memory(), text);
    check_number((int)take_number(&rest, 4));
    check_parameter(rest);
    require_all_back();
    return 0;
}
